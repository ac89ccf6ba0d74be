# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is added up of decisions, compared, and shown as a page."""

from __future__ import annotations

import csv
import io
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, from_document
from ansible_collections.orion.tracing.plugins.module_utils.sampling import report, summary
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import (
    DecidedTrace,
    Outcome,
    TraceFacts,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.simulate import Candidate, peek, simulate
from ansible_collections.orion.tracing.plugins.module_utils.sampling.summary import (
    Comparison,
    CostLoad,
    Durations,
    Summary,
)
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import (
    MS,
    START,
    document,
    record,
    span,
    trace_id,
)

ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
SLOW = {"name": "slow", "type": "latency", "latency": {"threshold_ms": 500}}
ALL = {"name": "all", "type": "always_sample"}
PROBE = Path(__file__).parents[3] / "fixtures" / "probe.jsonl"


def config(*policies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"decision_wait": "1s", "policies": list(policies), **more}


def facts(number: int, **changes: Any) -> TraceFacts:
    values: dict[str, Any] = {
        "trace_id": trace_id(number),
        "start": START,
        "end": START + 10 * MS,
        "spans": 4,
        "size": 400,
        "services": {"web": 3, "db": 1},
        "operations": {("web", "GET /"): 3, ("db", "SELECT"): 1},
        "edges": frozenset({("web", "db")}),
        "failed": frozenset(),
    }
    return TraceFacts(**{**values, **changes})


def outcome(number: int, kept: bool, *policies: str, reason: str = "", failed: Any = (), **changes: Any) -> Outcome:
    """failed: operations with an error."""
    reason = reason or ("sampled" if kept else "not_sampled")
    known = facts(number, failed=frozenset(failed), **changes)
    return Outcome(known, kept, policies, reason, False, DecidedTrace(reason, policies, 0.0))


def late(first: Outcome, after: float = 5.0, failed: Any = (), **changes: Any) -> Outcome:
    """Spans of a trace that came after the decision on it."""
    known = facts(int(first.facts.trace_id, 16), failed=frozenset(failed), **changes)
    return Outcome(known, first.kept, first.policies, first.reason, True, first.trace, after)


def summed(*outcomes: Outcome) -> Summary:
    one = Summary("mine", ["errors", "slow"])
    for item in outcomes:
        one.add(item)
    return one


def test_counts_by_policy_service_operation_and_edge():
    result = summed(
        outcome(1, True, "errors", "slow", failed={("db", "SELECT")}),
        outcome(2, False, edges=frozenset({("web", "cache")}), services={"web": 4}, operations={("web", "GET /"): 4}),
        outcome(3, True, "slow"),
        outcome(4, False, failed={("db", "SELECT")}, reason="too_early"),
    ).result(CostLoad())
    assert result["traces"] == {"seen": 4, "kept": 2, "lost": 2, "percentage": 50.0}
    assert result["spans"] == {"seen": 16, "kept": 8, "lost": 8, "percentage": 50.0}
    assert result["bytes"]["kept"] == 800
    assert result["error_traces"] == {"seen": 2, "kept": 1, "lost": 1, "percentage": 50.0}
    assert result["policies"] == {
        "errors": {"traces": 1, "spans": 4, "bytes": 400, "error_traces": 1, "slow_traces": 0},
        "slow": {"traces": 2, "spans": 8, "bytes": 800, "error_traces": 1, "slow_traces": 0},
    }
    assert result["services"]["db"]["spans"] == {"seen": 3, "kept": 2, "lost": 1, "percentage": 66.67}
    assert result["operations"][0]["operation"] == "GET /"
    assert result["operations"][0]["spans"]["seen"] == 13
    assert (result["edges"]["seen"], result["edges"]["kept"]) == (2, 1)
    assert result["edges"]["names_of_lost"] == ["web -> cache"]
    assert result["reasons"] == {"not_sampled": 1, "sampled": 2, "too_early": 1}


def kept_of(value: dict[str, float]) -> tuple[float, float]:
    return value["kept"], value["seen"]


def test_an_error_is_that_of_the_services_and_operations_that_failed():
    web, other, db = ("web", "GET /"), ("web", "POST /"), ("db", "SELECT")
    three = {"operations": {web: 1, other: 2, db: 1}}
    result = summed(
        outcome(1, True, "errors", failed={web, other}, **three),  # once for the service, once for each operation
        outcome(2, False, failed={web}, **three),
        outcome(3, True, "errors", failed={db}, **three),
        outcome(4, True, **three),
    ).result(CostLoad())
    assert kept_of(result["error_traces"]) == (2, 3)
    assert {name: kept_of(one["error_traces"]) for name, one in result["services"].items()} == {
        "web": (1, 2),
        "db": (1, 1),
    }
    assert {one["operation"]: kept_of(one["error_traces"]) for one in result["operations"]} == {
        "GET /": (1, 2),
        "POST /": (1, 1),
        "SELECT": (1, 1),
    }
    assert result["policies"]["errors"]["error_traces"] == 2


def slow_ones(count: int = 400) -> list[Outcome]:
    """Of these traces, 1 in 100 is slow. Every other slow one is kept, and db has part in the last one alone."""
    web, db = {"services": {"web": 1}, "operations": {("web", "GET /"): 1}}, {}
    return [
        outcome(
            n, n % 2 == 0, *(("slow",) if n % 2 == 0 else ()), end=START + n * n * MS, **(db if n == count else web)
        )
        for n in range(1, count + 1)
    ]


def check_slow_ones(result: dict[str, Any]) -> None:
    assert kept_of(result["slow_traces"]) == (2, 4)
    assert {name: kept_of(one["slow_traces"]) for name, one in result["services"].items()} == {
        "web": (2, 4),
        "db": (1, 1),
    }
    assert [kept_of(one["slow_traces"]) for one in result["operations"]] == [(2, 4), (1, 1)]
    assert [one["slow_traces"] for one in result["policies"].values()] == [0, 2]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_slow_trace_is_slow_for_every_service_and_operation_in_it(backwards):
    check_slow_ones(summed(*(reversed(slow_ones()) if backwards else slow_ones())).result(CostLoad()))


@pytest.mark.parametrize("held", [4, 5])
def test_no_more_slow_traces_are_held_than_can_be_slow(monkeypatch, held):
    monkeypatch.setattr(summary, "MAX_SLOWEST", held)
    for outcomes in (slow_ones(), slow_ones()[::-1]):
        one = summed(*outcomes)
        assert len(one.slowest._heap) == held
        check_slow_ones(one.result(CostLoad()))


def test_of_too_many_slow_traces_the_slowest_count(monkeypatch):
    monkeypatch.setattr(summary, "MAX_SLOWEST", 1)
    result = summed(*slow_ones()).result(CostLoad())
    assert kept_of(result["slow_traces"]) == (2, 4)
    assert (
        kept_of(result["services"]["web"]["slow_traces"]) == kept_of(result["services"]["db"]["slow_traces"]) == (1, 1)
    )


def test_of_slow_traces_that_took_equally_long_the_same_are_held_in_any_order(monkeypatch):
    monkeypatch.setattr(summary, "MAX_SLOWEST", 2)
    several = [outcome(n, True, services={f"s{n}": 4}, end=START + (900 if n < 5 else 1) * MS) for n in range(1, 500)]
    assert summed(*several).result(CostLoad()) == summed(*several[::-1]).result(CostLoad())


def test_a_span_whose_status_is_ok_did_not_fail():
    fine = record(span(1, 1, error=True), span(1, 2, 1, status={"code": 1}))
    [result] = simulate([fine], [Candidate("all", config(ALL))], CostLoad(), spans_per_second=1).results
    failed = {one["operation"]: one["error_traces"]["seen"] for one in result["operations"]}
    assert failed == {"operation 1": 1, "operation 2": 0}


def test_a_trace_that_is_decided_again_as_it_was_before():
    once = outcome(1, False, reason="too_early")
    other = outcome(1, False, reason="too_early", services={"cache": 1}, operations={("cache", "GET"): 1})
    result = summed(*[once, other] * 3).result(CostLoad())
    assert result["traces"]["seen"] == 6 and result["services"]["cache"]["traces"]["seen"] == 3


def by_hand(records_: list[Record], p99_ms: float) -> dict[str, dict[str, tuple[int, int]]]:
    """Error traces and slow traces by service, from the spans themselves: kept, seen. Everything with an error is kept,
    and nothing else."""
    traces: dict[str, list[tuple[str, Any]]] = {}
    for one in records_:
        for batch in one.resource_spans:
            for each in itertools.chain.from_iterable(scope.spans for scope in batch.scope_spans):
                traces.setdefault(each.trace_id, []).append((batch.resource.service, each))
    found: dict[str, dict[str, list[bool]]] = {}
    for spans_ in traces.values():
        kept = any(each.code == 2 for _service, each in spans_)
        took = max(each.end for _service, each in spans_) - min(each.start for _service, each in spans_)
        for service in {service for service, _each in spans_}:
            mine = found.setdefault(service, {"error_traces": [], "slow_traces": []})
            if any(each.code == 2 for name, each in spans_ if name == service):
                mine["error_traces"].append(kept)
            if took / MS > p99_ms:
                mine["slow_traces"].append(kept)
    return {name: {kind: (sum(all_), len(all_)) for kind, all_ in kinds.items()} for name, kinds in found.items()}


def test_errors_and_slow_traces_are_what_the_spans_say():
    def made() -> list[Record]:
        return [
            from_document(
                document(
                    ({"service.name": f"s{n % 3}"}, [span(n, 1, 0, n, error=n % 7 == 0)]),
                    ({"service.name": f"s{n % 4}"}, [span(n, 2, 1, 1, error=n % 5 == 0), span(n, 3, 1, 1)]),
                )
            )
            for n in range(1, 501)
        ]

    [result] = simulate(made(), [Candidate("errors", config(ERRORS))], CostLoad(), spans_per_second=100).results
    expected = by_hand(made(), result["slow_traces"]["above_ms"])
    assert {
        name: {kind: kept_of(one[kind]) for kind in ("error_traces", "slow_traces")}
        for name, one in result["services"].items()
    } == expected
    assert sum(seen for one in expected.values() for _kept, seen in [one["slow_traces"]]) > 5
    failed = [kept_of(one["error_traces"]) for one in result["operations"] if one["operation"] == "operation 3"]
    assert failed == [(0, 0)] * 4


def test_late_spans_are_spans_of_no_other_trace():
    first = outcome(1, True, "slow")
    result = summed(first, late(first, spans=2), late(first, spans=3)).result(CostLoad())
    assert result["traces"]["seen"] == 1 and result["spans"]["seen"] == 9
    assert kept_of(result["late_spans"]) == (5, 5)
    assert kept_of(result["late_traces"]) == (1, 1)
    assert kept_of(result["late_error_traces"]) == (0, 0)
    assert result["policies"]["slow"]["traces"] == 1


def test_an_error_that_comes_late_makes_an_error_trace():
    web, db = ("web", "GET /"), ("db", "SELECT")
    kept, lost = outcome(1, True, "slow"), outcome(2, False)
    known = outcome(3, False, failed={web})
    result = summed(
        kept, lost, known, outcome(4, False),
        late(kept, failed={db}), late(kept, failed={db}),  # one trace, however often
        late(lost, failed={db}), late(known, failed={web, db}),
    ).result(CostLoad())  # fmt: skip
    assert kept_of(result["error_traces"]) == (1, 3)
    # The third trace was known to have an error when it was decided.
    assert kept_of(result["late_error_traces"]) == (1, 2)
    assert kept_of(result["late_traces"]) == (1, 3)
    assert kept_of(result["services"]["db"]["error_traces"]) == (1, 3)
    assert kept_of(result["services"]["web"]["error_traces"]) == (0, 1)
    assert {one["operation"]: kept_of(one["error_traces"]) for one in result["operations"]} == {
        "GET /": (0, 1),
        "SELECT": (1, 3),
    }
    assert result["policies"]["slow"]["error_traces"] == 1


def test_a_trace_is_as_long_as_its_late_spans_make_it():
    """100 traces of 10 ms, one of which goes on for 70 s after its decision."""
    several = [outcome(number, number % 2 == 0) for number in range(100)]
    result = summed(
        *several, *(late(several[7], after=seconds, end=START + seconds * 1000 * MS) for seconds in (20, 70))
    ).result(CostLoad())
    assert kept_of(result["slow_traces"]) == (0, 1)
    assert (
        kept_of(result["services"]["web"]["slow_traces"]) == kept_of(result["services"]["db"]["slow_traces"]) == (0, 1)
    )
    assert kept_of(result["long_traces"]) == (0, 1) and result["long_traces"]["above_ms"] == 30_000
    assert result["durations"][-1]["up_to"] == 100_000 and sum(one["seen"] for one in result["durations"]) == 100
    assert result["late_spans"]["max_after_ms"] == pytest.approx(70_000, rel=0.002)


def test_a_late_span_that_begins_earlier_counts_too():
    first = outcome(1, True)
    result = summed(first, late(first, start=START - 900 * MS)).result(CostLoad())
    assert [one["seen"] for one in result["durations"]] == [1] and result["durations"][0]["up_to"] == 1000


@pytest.mark.parametrize("cache", [{"sampled_cache_size": 10, "non_sampled_cache_size": 10}, None])
@pytest.mark.parametrize(("wait", "late_errors", "kept"), [("1s", (0, 1), 0), ("10s", (0, 0), 1)])
def test_whether_a_decision_wait_is_long_enough(wait, late_errors, kept, cache):
    """A trace whose retry fails 5 s later: with or without decision caches, lost after 1 s, kept after 10 s."""
    records_ = [
        record(span(1, number=1, start=START)),
        record(span(1, number=2, parent=1, start=START + 5000 * MS, error=True)),
        record(span(2, number=1, start=START + 9000 * MS)),
    ]
    more = {"decision_cache": cache} if cache else {}
    tried = [Candidate("errors", {**config(ERRORS, **more), "decision_wait": wait})]
    [result] = simulate(records_, tried, CostLoad()).results
    assert kept_of(result["error_traces"]) == (kept, 1)
    assert kept_of(result["late_error_traces"]) == late_errors
    assert kept_of(result["late_traces"]) == late_errors
    assert kept_of(result["long_traces"]) == ((0, 1) if wait == "1s" else (0, 0))
    if late_errors[1]:
        assert result["late_spans"]["max_after_ms"] == pytest.approx(5000, rel=0.01)
    text = summary.table([result])
    assert ("traces kept whose first error came late" in text) is bool(late_errors[1])
    titles = [row[0] for row in block(report.page_data([result], None, "x"), "What is kept")["table"]["rows"]]
    assert ("Traces whose first error came late" in titles) is bool(late_errors[1])


def test_operations_are_bounded(monkeypatch):
    monkeypatch.setattr(summary, "MAX_OPERATIONS", 2)
    one = summed(*(outcome(n, True, operations={("web", f"GET /{n}"): 4}) for n in range(5)))
    assert len(one.operations) == 3 and one.operations[summary.OTHER_OPERATIONS].whole.seen.spans == 12
    assert one.result(CostLoad(), operations=1)["operations_total"] == 3
    one.add(outcome(6, True, failed={("web", "GET /6")}, operations={("web", "GET /6"): 4}))
    assert one.operations[summary.OTHER_OPERATIONS].errors.seen.traces == 1


def test_slow_is_above_the_nearest_rank_of_p99():
    durations = Durations()
    for number in range(1, 1001):
        durations.add(number * MS, kept=number > 995)
    p99 = durations.percentile(0.99)
    assert 990 <= durations.bound(p99) <= 990 * summary.BIN_FACTOR
    seen, kept = durations.above(p99)
    assert (seen, kept) in [(10, 5), (9, 5), (8, 5)]  # one or two may share the bin of the percentile
    assert Durations().percentile(0.99) == 0 and Durations().distribution() == []


def test_distribution_has_every_trace_once():
    durations = Durations()
    for number in range(500):
        durations.add(number * 7 * MS, kept=number % 3 == 0)
    columns = durations.distribution()
    assert sum(column["seen"] for column in columns) == 500
    assert sum(column["kept"] for column in columns) == 167
    assert all(math.isclose(b["up_to"] / a["up_to"], 10**0.25) for a, b in itertools.pairwise(columns))


def test_cost_is_what_lies_in_the_bucket_at_the_end_of_retention():
    load = CostLoad(bytes_per_second=1_000_000, retention=86400, stored_share=0.5, price=0.02)
    cost = summed(outcome(1, True, "slow"), *(outcome(n, False) for n in range(2, 5))).result(load)["cost"]
    stored = 1_000_000 * 86400 * 0.5 / 2**30
    assert cost["before"] == {
        "bytes_per_second": 1_000_000,
        "stored_gib": round(stored, 3),
        "per_month": round(stored * 0.02, 2),
    }
    assert cost["kept"]["stored_gib"] == round(stored / 4, 3)
    # Without a rate, that of the recording: 1600 bytes in a second at least.
    assert (
        summed(*(outcome(n, True) for n in range(4))).result(CostLoad())["cost"]["before"]["bytes_per_second"] == 1600
    )


def test_nothing_at_all():
    result = Summary("none", []).result(CostLoad())
    assert result["traces"] == {"seen": 0, "kept": 0, "lost": 0, "percentage": 100.0}
    assert "none" in summary.table([result])
    assert block(report.page_data([result], None, "x"), "Traces by duration")["columns"] == {"most": "0", "columns": []}


def test_comparison_waits_for_both_sides_and_lists_differences():
    both = Comparison()
    assert both.add(0, outcome(1, True, "errors")) is None
    assert both.add(0, outcome(2, True, "slow")) is None
    assert both.add(1, late(outcome(1, True, "all"))) is None
    pair = both.add(1, outcome(2, False, reason="dropped"))
    assert pair and [one.kept for one in pair] == [True, False]
    both.add(1, outcome(3, True, "all"))
    both.add(0, outcome(3, False))
    both.add(1, outcome(4, False))
    both.add(0, outcome(4, False))
    result = both.result(("old", "new"))
    assert result["same"] == 1 and result["one_side_alone"] == 1
    assert result["only_first"] == {"traces": 1, "spans": 4} == result["only_second"]
    assert [(d["trace_id"], d["kept_by"], d["policies"]) for d in result["differences"]] == [
        (trace_id(2), "old", ["slow"]),
        (trace_id(3), "new", ["all"]),
    ]
    assert result["differences"][0]["why_not"] == ["dropped"]
    assert [(a is None, b is None) for a, b in both.rest()] == [(False, True)]


def records() -> list[Any]:
    return [
        record(span(1, error=True)),
        record(span(2, took_ms=900)),
        record(span(3)),
        record(span(3, number=2, start=START + 5000 * MS)),  # late
    ]


def test_two_candidates_over_the_same_records():
    stream = io.StringIO()
    lines: list[str] = []
    result = simulate(
        records(), [Candidate("strict", config(ERRORS, SLOW)), Candidate("all", config(ALL))], CostLoad(),
        decisions=stream, progress=lines.append,
    )  # fmt: skip
    strict, everything = result.results
    assert (strict["traces"]["kept"], everything["traces"]["kept"]) == (2, 3)
    assert result.comparison and result.comparison["only_second"]["traces"] == 1
    rows = {row["trace_id"]: row for row in csv.DictReader(io.StringIO(stream.getvalue()))}
    assert (rows[trace_id(1)]["kept"], rows[trace_id(1)]["policies"], rows[trace_id(1)]["error"]) == (
        "1",
        "errors",
        "1",
    )
    assert (rows[trace_id(3)]["kept"], rows[trace_id(3)]["kept_all"], rows[trace_id(3)]["reason"]) == (
        "0", "1", "not_sampled",
    )  # fmt: skip
    assert "traces kept" in result.table and "Only all keeps" not in result.table
    assert "only all 1 (1 spans)" in result.table


def test_one_candidate_and_its_decisions():
    stream = io.StringIO()
    result = simulate(
        records(), [Candidate("strict", config(ERRORS))], CostLoad(), spans_per_second=10, decisions=stream
    )
    assert result.comparison is None
    assert stream.getvalue().splitlines()[0] == "trace_id,spans,duration_ms,error,kept,reason,policies"
    assert len(stream.getvalue().splitlines()) == 4


def test_progress_is_told():
    lines: list[str] = []
    many = (record(span(n)) for n in range(1, 2002))
    simulate(many, [Candidate("a", config(ALL))], CostLoad(), spans_per_second=1000, progress=lines.append)
    assert len(lines) == 1 and lines[0].startswith("2,000 records read, ")


def test_a_configuration_that_is_refused_is_refused_before_anything_is_read():
    records_ = iter(records())
    with pytest.raises(InvalidInput, match="span-ingest"):
        simulate(records_, [Candidate("a", config(ALL, sampling_strategy="span-ingest"))], CostLoad())
    assert len(list(records_)) == 4


def test_peek():
    some, all_of_them = peek(iter(records()))
    assert some and len(list(all_of_them)) == 4
    assert peek(iter(()))[0] is False


def block(data, title):
    """A part of the page by its title."""
    return next(one for one in data["blocks"] if one["title"] == title)


def test_the_page_has_each_part_that_there_are_figures_for():
    nasty = "<script>alert(1)</script>"
    one = summed(
        *(outcome(n, n % 2 == 0, "errors", services={nasty: 4}, operations={(nasty, nasty): 4}) for n in range(20)),
        outcome(99, False, edges=frozenset({("web", nasty)})),
        late(outcome(7, True, "slow")),
        outcome(100, False, reason="too_early"),
    ).result(CostLoad())
    comparison = Comparison()
    comparison.add(0, outcome(1, True, nasty))
    comparison.add(1, outcome(1, False))
    data = report.page_data([one, {**one, "name": "second"}], comparison.result(("mine", "second")), nasty)
    assert data["subtitle"].startswith(f"{nasty}: 22 traces, ")
    titles = [row[0] for row in block(data, "What is kept")["table"]["rows"]]
    assert "Evicted undecided (num_traces)" in titles and "Late spans" in titles
    assert [key["name"] for key in block(data, "Spans kept by service")["keys"]] == [
        "everything",
        one["name"],
        "second",
    ]
    kept = next(one for one in block(data, "Spans kept by service")["bars"] if one["name"] == nasty)
    assert [part["share"] for part in kept["parts"]] == [0.5, 0.5] and kept["text"] == "50.0 % / 50.0 %"
    assert kept["parts"][0]["title"] == "40 of 80 spans, 50.0 %" and kept["whole"] == "80 spans"
    columns = block(data, "Traces by duration")["columns"]["columns"]
    assert max(column["share"] for column in columns) == 1.0 and all(len(column["parts"]) == 2 for column in columns)
    assert [each["name"] for each in block(data, "Storage per month")["bars"]] == ["everything", one["name"], "second"]
    lost = block(data, f"Edges of the service graph that {one['name']} loses")
    assert lost["table"]["rows"] == [[{"code": f"web -> {nasty}"}]]
    different = block(data, "Where the two differ")
    assert different["note"].startswith("They agree on 0 traces. Only mine keeps 1, only second 0.")
    assert different["table"]["rows"][0][5] == nasty


def test_the_page_has_error_traces_and_slow_traces_of_each_service_and_operation():
    one = summed(*slow_ones(), outcome(999, False, failed={("db", "SELECT")})).result(CostLoad())
    data = report.page_data([one], None, "x")

    def rows(data, title):
        return {str(row[-4]): row[-3:] for row in block(data, title)["table"]["rows"]}

    def share(text, strong):
        return {"text": text, "strong": strong}

    for_db = [share("1 of 2", "50.0 %"), share("0 of 1", "0.0 %"), share("1 of 1", "100.0 %")]
    services, operations = "Traces by service", "Operations with the most spans"
    assert rows(data, services)["db"] == [{"figures": [figure]} for figure in for_db]
    assert rows(data, operations)["{'code': 'SELECT'}"] == [{"figures": [figure]} for figure in for_db]
    assert [{"figures": [{"text": "none"}]}, {"figures": [share("2 of 4", "50.0 %")]}] in [
        row[1:] for row in rows(data, services).values()
    ]
    assert "200 traces (0 with an error, 2 slow), " in str(block(data, "By policy"))
    assert "keys" in block(data, services) and not block(data, services)["keys"]
    # Two results: a line for each. The second has no such operation of its own.
    both = report.page_data([one, {**one, "operations": []}], None, "x")
    assert rows(both, services)["db"][1] == {"figures": [for_db[1]] * 2}
    assert rows(both, operations)["{'code': 'SELECT'}"][1] == {"figures": [for_db[1], {"text": ""}]}


def test_many_services_are_cut_in_the_page():
    one = summed(outcome(1, True, "errors", services={f"s{n}": 1 for n in range(50)})).result(CostLoad())
    more = [one.get("more") for one in report.page_data([one], None, "x")["blocks"]]
    assert more.count("… and 10 services with fewer spans.") == 2  # bars and table
