# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import math
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from ansible_collections.orion.tracing.plugins.module_utils import otlp, probe
from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput, NotFound, PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.kube import Response
from ansible_collections.orion.tracing.plugins.module_utils.pipeline import Increase, Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.probe_run import Probe, Proof, write_proof
from ansible_collections.orion.tracing.plugins.module_utils.store import Trace
from ansible_collections.orion.tracing.plugins.module_utils.tempo import Tempo
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.fake_pipeline import (
    EPOCH,
    FakePipeline,
    status,
)

ROOT = Path(__file__).parents[4]
SETTINGS = probe.Settings(10.0, 1000, "/api/v1/orders", "/health", 300, "blocks")
NOW = EPOCH * 10**9


def exact(n: int, p: float, k: int) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


@pytest.mark.parametrize(("n", "p"), [(300, 0.1), (300, 0.5), (1000, 0.01), (300, 0.999), (500, 0.25), (300, 1e-6)])
def test_interval_is_the_central_region_of_the_exact_distribution(n: int, p: float) -> None:
    low, high = probe.binomial_interval(n, p)
    tail = 0.0005
    assert sum(exact(n, p, k) for k in range(low)) <= tail < sum(exact(n, p, k) for k in range(low + 1))
    assert sum(exact(n, p, k) for k in range(high + 1, n + 1)) <= tail < sum(exact(n, p, k) for k in range(high, n + 1))


def test_interval_at_the_ends_and_of_the_story() -> None:
    assert probe.binomial_interval(300, 0.0) == (0, 0)
    assert probe.binomial_interval(300, 1.0) == (300, 300)
    assert probe.binomial_interval(300, 0.1) == (14, 48)


@pytest.mark.parametrize(
    ("percentage", "kept", "dropped"),
    [(10.0, 3, 66), (0.0, 3, 700), (100.0, 10, 20), (1.0, 3, 688), (None, 3, 20), (50.0, 10, 20)],
)
def test_copies_make_luck_rare(percentage: float | None, kept: int, dropped: int) -> None:
    cases = probe.Settings(percentage, 1000, "/a", "/b").cases
    assert (cases["error"], cases["slow"], cases["critical"], cases["dropped"]) == (kept, kept, kept, dropped)
    assert cases.get("plain") == (None if percentage is None else 300)


def test_expectations_can_be_switched_off() -> None:
    settings = probe.Settings(None, 0, "", "")
    assert settings.cases == {"error": 3}
    assert [check["name"] for check in probe.planned_checks(settings)] == [
        "error traces kept and complete", "W3C ids and parents intact", "found by TraceQL search",
    ]  # fmt: skip
    one = probe.trace("error", settings, "run", NOW)
    assert len(one.spans) == 6


def traces_of(settings: probe.Settings = SETTINGS) -> list[probe.ProbeTrace]:
    return probe.build(settings, "0123456789abcdef", NOW, Random(1))


def spans_of(one: probe.ProbeTrace) -> list[dict[str, Any]]:
    return [span for document in one.documents for span in otlp.spans(document)]


@pytest.mark.parametrize("case", ["error", "slow", "critical", "plain"])
def test_a_trace_spans_three_services_with_todays_attributes(case: str) -> None:
    one = probe.trace(case, SETTINGS, "run", NOW, Random(2))
    services = [
        otlp.attribute_values(part["resource"]["attributes"])["service.name"]
        for document in one.documents
        for part in document["resourceSpans"]
    ]
    assert services == list(probe.SERVICES)
    spans = spans_of(one)
    assert Counter(span["kind"] for span in spans) == {2: 2, 3: 2, 4: 1, 5: 1}
    assert {span["spanId"]: span.get("parentSpanId", "") for span in spans} == one.spans
    assert list(one.spans.values()).count("") == 1
    assert all(parent in one.spans for parent in one.spans.values() if parent)
    names = {key for span in spans for key in otlp.attribute_values(span["attributes"])}
    assert names >= {
        "http.request.method", "http.route", "url.path", "http.response.status_code", "server.address",
        "db.system.name", "db.operation.name", "db.query.text", "messaging.system", "messaging.operation.type",
        "messaging.destination.name", "orion.probe.run", "orion.probe.case",
    }  # fmt: skip
    assert not names & {"http.method", "http.target", "http.status_code", "db.system", "db.statement", "http.url"}
    # Well-formed: inside the root, which ends now.
    assert max(int(span["endTimeUnixNano"]) for span in spans) == NOW
    assert all(int(s["startTimeUnixNano"]) < int(s["endTimeUnixNano"]) for s in spans)


def test_cases_differ_in_what_the_policies_look_at() -> None:
    def facts(case: str) -> tuple[int, float, set[Any]]:
        spans = spans_of(probe.trace(case, SETTINGS, "run", NOW))
        start = min(int(span["startTimeUnixNano"]) for span in spans)
        routes = {otlp.attribute_values(span["attributes"]).get("http.route") for span in spans}
        return sum(map(otlp.is_error, spans)), (NOW - start) / 1e6, routes - {None, "/internal/orders"}

    assert facts("error") == (1, 40.0, {"/orion/probe"})
    assert facts("slow") == (0, 1500.0, {"/orion/probe"})
    assert facts("critical") == (0, 40.0, {"/api/v1/orders"})
    assert facts("dropped") == (0, 40.0, {"/health"})
    assert facts("plain") == (0, 40.0, {"/orion/probe"})


def test_a_short_threshold_makes_short_plain_traces() -> None:
    spans = spans_of(probe.trace("plain", probe.Settings(10.0, 50), "run", NOW))
    assert NOW - min(int(span["startTimeUnixNano"]) for span in spans) == 10_000_000


def test_services_of_a_trace_go_in_separate_requests_to_neighbours() -> None:
    traces = traces_of()
    where: dict[str, list[int]] = {}
    spans = 0
    for gateway, document in probe.requests(traces):
        services = {
            otlp.attribute_values(p["resource"]["attributes"])["service.name"] for p in document["resourceSpans"]
        }
        assert len(services) == 1
        spans += otlp.count_spans(document)
        for trace_id in {span["traceId"] for span in otlp.spans(document)}:
            where.setdefault(trace_id, []).append(gateway)
    assert spans == sum(len(one.spans) for one in traces)
    for one in traces:
        first = where[one.trace_id][0]
        assert where[one.trace_id] == list(range(first, first + len(one.documents)))
    assert len(probe.requests(traces)) == 9 * 3 + 2 + 6 * 3


def observed(traces: list[probe.ProbeTrace], share: int = 30) -> probe.Observation:
    kept = [one for one in traces if one.case in probe.KEPT_CASES]
    kept += [one for one in traces if one.case == "plain"][:share]
    return probe.Observation(
        seconds=40.0,
        read={one.trace_id: Trace(dict(one.spans), frozenset({one.trace_id})) for one in kept},
        complete_at={one.trace_id: 12.0 for one in kept},
        decided=True,
        settled_at=13.0,
        searched={one.trace_id: 6 for one in kept},
        searched_at=20.0,
        block=probe.Block("b", 39, 10),
        block_at=30.0,
    )


def verdicts(traces: list[probe.ProbeTrace], seen: probe.Observation) -> dict[str, tuple[str, bool]]:
    return {c["name"]: (c["observed"], c["passed"]) for c in probe.evaluate(SETTINGS, traces, seen)}


def test_a_good_observation_passes() -> None:
    traces = traces_of()
    assert verdicts(traces, observed(traces)) == {
        "error traces kept and complete": ("3 of 3 traces", True),
        "slow traces kept and complete": ("3 of 3 traces", True),
        "critical route kept and complete": ("3 of 3 traces", True),
        "health checks dropped": ("0 of 66 traces", True),
        "share of other traces kept": ("30 of 300 traces (10.0 %)", True),
        "W3C ids and parents intact": ("234 of 234 spans read as sent", True),
        "found by TraceQL search": ("9 of 9 kept traces", True),
        "block objects in the bucket": ("block b: 39 traces, 10 bytes", True),
    }


def failing(traces: list[probe.ProbeTrace], seen: probe.Observation) -> set[str]:
    return {name for name, (_observed, passed) in verdicts(traces, seen).items() if not passed}


def test_each_defect_fails_its_check() -> None:
    traces = traces_of()
    error, *_rest = (one for one in traces if one.case == "error")

    seen = observed(traces)
    seen.read[error.trace_id] = Trace(dict(list(error.spans.items())[:4]), frozenset({error.trace_id}))
    assert failing(traces, seen) == {"error traces kept and complete"}
    assert verdicts(traces, seen)["error traces kept and complete"][0] == "2 of 3 traces, 1 more in part"

    seen = observed(traces)
    health = next(one for one in traces if one.case == "dropped")
    seen.read[health.trace_id] = Trace(dict(health.spans), frozenset({health.trace_id}))
    assert failing(traces, seen) == {"health checks dropped"}

    for share in (13, 49):
        assert failing(traces, observed(traces, share)) == {"share of other traces kept"}
    for share in (14, 48):
        assert failing(traces, observed(traces, share)) == set()

    seen = observed(traces)
    seen.decided = False
    assert failing(traces, seen) == {"health checks dropped", "share of other traces kept"}

    seen = observed(traces)
    seen.read[error.trace_id] = Trace(dict(error.spans), frozenset({"f" * 32}))
    assert failing(traces, seen) == {"W3C ids and parents intact"}

    seen = observed(traces)
    seen.read[error.trace_id] = Trace(dict.fromkeys(error.spans, ""), frozenset({error.trace_id}))
    assert failing(traces, seen) == {"W3C ids and parents intact"}

    seen = observed(traces)
    del seen.searched[error.trace_id]
    assert failing(traces, seen) == {"found by TraceQL search"}

    seen = observed(traces)
    seen.block, seen.block_problem = None, "nothing new"
    assert failing(traces, seen) == {"block objects in the bucket"}

    nothing = probe.Observation(decided=True, block_problem="none")
    assert len(failing(traces, nothing)) == 8
    assert verdicts(traces, nothing)["health checks dropped"][0] == "0 of 66 traces, nor any other trace"


def increase(gateway: float, new: float, decided: float, kept: float, received: float, lost: float = 0) -> Increase:
    none: frozenset[tuple[str, str]] = frozenset()
    prefix = "otelcol_processor_tail_sampling_"
    return Increase(
        gateway={("otelcol_receiver_accepted_spans_total", none): gateway},
        sampler={
            (f"{prefix}new_trace_id_received_total", none): new,
            (f"{prefix}global_count_traces_sampled", frozenset({("sampled", "true")})): kept,
            (f"{prefix}global_count_traces_sampled", frozenset({("sampled", "false")})): decided - kept,
            (f"{prefix}count_traces_sampled", frozenset({("sampled", "true"), ("policy", "errors")})): kept,
            ("otelcol_exporter_send_failed_spans_total", none): lost,
        },
        tempo={("tempo_distributor_spans_received_total", none): received},
    )


@pytest.mark.parametrize(
    ("counts", "received", "verdict"),
    [
        ((4, 0, 0, 0, 0), False, "the gateways refuse spans"),
        ((5, 0, 0, 0, 0), False, "gateway → sampler"),
        ((5, 1, 0, 0, 0), False, "have not decided yet"),
        ((5, 1, 1, 1, 0), False, "sampler → Tempo is broken"),
        ((5, 1, 1, 1, 5, 3), False, "lost: sampler_send_failed_spans 3"),
        ((5, 1, 1, 0, 0), False, "the path is whole"),
        ((5, 1, 1, 1, 5), False, "Tempo takes spans and does not give them back"),
        ((5, 1, 1, 1, 5), True, "the path is whole"),
    ],
)
def test_last_seen_names_the_broken_part(counts: tuple[float, ...], received: bool, verdict: str) -> None:
    assert verdict in probe.last_seen(increase(*counts), 5, 1, received, False)


def test_last_seen_has_the_figures() -> None:
    assert probe.last_seen(increase(5, 1, 1, 1, 0), 5, 1, False, False) == (
        "gateways accepted 5 of 5 spans, samplers decided on 1 of 1 traces and keep 1 (by policy: errors 1), Tempo's "
        "distributors received 0 spans: the path sampler → Tempo is broken; see the logs of otel-sampler"
    )


def test_table_lines_up() -> None:
    traces = traces_of()
    lines = probe.table(probe.evaluate(SETTINGS, traces, observed(traces))).splitlines()
    assert len(lines) == 9
    assert len({line.index("passed") for line in lines[1:]}) == 1
    planned = probe.table(probe.planned_checks(SETTINGS))
    assert planned.count("not run") == 8


# ---- a whole run against a pipeline in memory


def run(fake: FakePipeline, settings: probe.Settings = SETTINGS, timeout: float = 120.0, **options: Any) -> Proof:
    lines: list[str] = options.pop("lines", [])
    return Probe(
        Pipeline(fake, "tracing", Selectors(), fake.clock),  # type: ignore[arg-type]
        Tempo(fake, "tracing"),  # type: ignore[arg-type]
        settings, "0123456789abcdef", timeout, options.pop("decision_wait", 10.0), fake if settings.bucket else None,
        lines.append,
    ).run()  # fmt: skip


def failed(proof: Proof) -> list[str]:
    return [check["name"] for check in proof.checks if not check["passed"]]


def test_a_working_pipeline_is_proven() -> None:
    fake, lines = FakePipeline(), []
    fake.put_block("old", timedelta(hours=1), 5)
    fake.put_block("compacted", timedelta(seconds=-1), 5, end=timedelta(hours=1))
    proof = run(fake, lines=lines)
    assert failed(proof) == []
    assert proof.passed and proof.last_seen == "" and proof.notes == []
    assert proof.gateways == ["gw-0", "gw-1"]
    assert 10.0 <= proof.first_trace_seconds < 11.5
    assert proof.kept_by_policy["errors"] == 3
    assert proof.checks[-1]["observed"].startswith("block new-block")
    assert [line for line in lines if line.startswith("first trace read back after 10.")]
    # Spans of a trace went through both gateways.
    error = proof.traces["error"][0]
    assert {gw for gw, document in fake.requests for span in otlp.spans(document) if span["traceId"] == error} == {
        "gw-0", "gw-1",
    }  # fmt: skip
    schema = json.loads((ROOT / "roles/verify/files/proof.schema.json").read_text())
    jsonschema.validate(proof.document(), schema, format_checker=jsonschema.FormatChecker())


def test_the_schema_refuses_what_is_no_proof() -> None:
    schema = json.loads((ROOT / "roles/verify/files/proof.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    document = run(FakePipeline()).document()
    for wrong in ({"passed": "yes"}, {"run": "X"}, {"checks": []}, {"extra": 1}, {"traces": {"plain": []}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | wrong, schema)


def test_the_sample_in_the_docs_is_a_proof() -> None:
    schema = json.loads((ROOT / "roles/verify/files/proof.schema.json").read_text())
    text = (ROOT / "docs/proof.md").read_text()
    jsonschema.validate(json.loads(text.partition("```json\n")[2].partition("```")[0]), schema)


def test_a_broken_export_is_located_within_the_timeout() -> None:
    fake = FakePipeline()
    fake.export_broken = True
    proof = run(fake, timeout=60.0)
    assert failed(proof) == [
        "error traces kept and complete", "slow traces kept and complete", "critical route kept and complete",
        "health checks dropped", "share of other traces kept", "W3C ids and parents intact", "found by TraceQL search",
        "block objects in the bucket",
    ]  # fmt: skip
    assert "the path sampler → Tempo is broken" in proof.last_seen
    assert proof.first_trace_seconds is None
    assert fake.clock.now <= 100.0
    assert proof.checks[-1]["observed"] == "no block newer than the run after 30 s"


def test_fragments_instead_of_whole_traces_fail() -> None:
    fake = FakePipeline()
    fake.lose_service = "probe-orders-api"
    proof = run(fake)
    assert {"error traces kept and complete", "slow traces kept and complete"} <= set(failed(proof))
    assert "found by TraceQL search" in failed(proof)
    assert "check that the gateways route by trace id" in proof.last_seen
    # All that the samplers kept was found, so there is no use in waiting for the timeout.
    assert fake.clock.now < 60.0


def test_wrong_policies_fail() -> None:
    fake = FakePipeline()
    fake.percentage, fake.dropped, fake.critical = 30.0, set(), set()
    proof = run(fake)
    assert failed(proof) == [
        "critical route kept and complete", "health checks dropped", "share of other traces kept",
        "found by TraceQL search",
    ]  # fmt: skip
    assert "compare the samplers' policies" in proof.last_seen


def test_changed_parents_fail() -> None:
    fake = FakePipeline()
    fake.rewrite_parents = True
    assert failed(run(fake)) == ["W3C ids and parents intact"]


def test_refusals_at_first_are_overcome_and_told() -> None:
    fake = FakePipeline()
    fake.unreachable = 1
    fake.answers = [Response(503, {"retry-after": "2"}, b"memory"), status(404, 'pods "gw-1" not found')]
    proof = run(fake)
    assert proof.passed
    assert proof.sent["retries"] == 3
    assert "3 requests were sent again" in proof.notes[0]


def test_one_gateway_works_and_is_told() -> None:
    proof = run(FakePipeline(gateways=1), probe.Settings(10.0))
    assert proof.passed
    assert [note.partition(":")[0] for note in proof.notes] == [
        "only one gateway replica", "no bucket given, so whether blocks reach object storage was not checked",
    ]  # fmt: skip


def test_other_traffic_does_not_end_the_wait_early() -> None:
    fake = FakePipeline()
    fake.other_traffic = 1000
    proof = run(fake)
    assert proof.passed
    # Counters cannot tell, so the clock and quiet do.
    assert 30.0 <= proof.checks[3]["seconds"] <= 33.0


def test_samplers_without_metrics() -> None:
    fake = FakePipeline()
    fake.metrics_down = {"sampler-0", "sampler-1"}
    proof = run(fake, timeout=120.0)
    assert proof.passed and proof.kept_by_policy == {}
    assert proof.checks[3]["seconds"] >= 20.0


def test_a_decision_that_takes_longer_than_the_timeout() -> None:
    fake = FakePipeline()
    fake.decision_wait = 90.0
    proof = run(fake, timeout=30.0)
    assert "before the sampler had decided" in proof.checks[3]["observed"]
    assert "have not decided yet" in proof.last_seen


def test_gateways_that_do_not_know_the_samplers_are_waited_for() -> None:
    fake = FakePipeline()
    fake.backends = 1
    proof = run(fake)
    assert proof.notes == ["2 samplers are ready, but the gateways know 1, 1 of them"]
    fake = FakePipeline()
    fake.backends = None
    assert run(fake).notes == []


def test_search_that_does_not_answer() -> None:
    fake = FakePipeline()
    fake.search_answers = [Response(429, {}, b"too many")] * 500
    proof = run(fake, probe.Settings(10.0), timeout=40.0)
    assert failed(proof) == ["found by TraceQL search"]
    assert "Tempo's GET /api/search answered 429" in proof.notes[0]


def test_a_flush_that_is_refused() -> None:
    fake = FakePipeline()
    fake.flush_status = 405
    assert "GET /flush of pod ingester-0 answered 405" in run(fake).checks[-1]["observed"]


def test_a_bucket_prefix() -> None:
    fake = FakePipeline()
    assert run(fake, probe.Settings(10.0, bucket="b", prefix="elsewhere")).checks[-1]["passed"] is False
    fake = FakePipeline()
    assert run(fake, probe.Settings(10.0, bucket="b", prefix="t/")).checks[-1]["passed"] is True


@pytest.mark.parametrize(
    ("deny", "what"),
    [
        ("list", "list on pods in namespace tracing"),
        ("POST pods", "create on pods/proxy"),
        ("GET pods", "get on pods/proxy"),
        ("GET services", "get on services/proxy"),
    ],
)
def test_missing_permissions_name_verb_and_resource(deny: str, what: str) -> None:
    fake = FakePipeline()
    fake.deny = deny
    with pytest.raises(PermissionDenied, match=f"Grant the verb {what}"):
        run(fake)


def test_no_gateway_and_no_query_frontend() -> None:
    fake = FakePipeline(gateways=0)
    with pytest.raises(NotFound, match="no gateway pod with the labels"):
        run(fake)
    fake = FakePipeline()
    fake.query_service = "other"
    with pytest.raises(NotFound, match="no Service tempo-query-frontend"):
        run(fake)


def test_the_proof_is_written_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "proof.json"
    write_proof(str(target), "one\n")
    write_proof(str(target), "two\n")
    assert target.read_text() == "two\n"
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(InvalidInput, match="proof_path"):
        write_proof(str(tmp_path / "missing" / "proof.json"), "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidInput, match="proof_path"):
        write_proof(str(tmp_path / "folder"), "x")
    assert {path.name for path in tmp_path.iterdir()} == {"proof.json", "folder"}
