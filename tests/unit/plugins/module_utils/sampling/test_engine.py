# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The processor over time: when a trace is decided, with which spans, and what late spans meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, from_document
from ansible_collections.orion.tracing.plugins.module_utils.otlp.sizes import resource_spans_size
from ansible_collections.orion.tracing.plugins.module_utils.sampling import engine as module
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Engine, Outcome, Samplers, Settings
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import (
    MS,
    START,
    document,
    record,
    span,
    trace_id,
)

ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
ALWAYS = {"name": "all", "type": "always_sample"}
SLOW = {"name": "slow", "type": "latency", "latency": {"threshold_ms": 100}}
CACHES = {"decision_cache": {"sampled_cache_size": 1000, "non_sampled_cache_size": 1000}}


def engine(*policies: dict[str, Any], **settings: Any) -> Engine:
    return Engine(Settings.from_config({"decision_wait": "2s", "policies": list(policies), **settings}))


def run(one: Engine | Samplers, *requests: tuple[Record, float]) -> list[Outcome]:
    """All outcomes of these requests, to the end."""
    found = [outcome for request, arrival in requests for outcome in one.feed(request, arrival)]
    return [*found, *one.finish()]


def brief(outcomes: Iterable[Outcome]) -> list[tuple[int, str, int, bool]]:
    """Trace, reason, spans and whether late."""
    return [(int(o.facts.trace_id, 16), o.reason, o.facts.spans, o.late) for o in outcomes]


def test_a_trace_is_decided_at_the_tick_after_decision_wait() -> None:
    """It waits in the current batch for the next tick, and then for as many ticks as there are seconds."""
    one = engine(ALWAYS)
    assert list(one.feed(record(span(1)), 0.5)) == []
    seen = [brief(one.feed(record(), arrival)) for arrival in (1.5, 2.5, 2.999, 3.0)]
    assert seen == [[], [], [], [(1, "sampled", 1, False)]]
    assert list(one.finish()) == []


def test_spans_until_the_decision_count() -> None:
    one = engine(ERRORS)
    found = run(one, (record(span(1)), 0.5), (record(span(1, 2, 1, error=True)), 2.9), (record(span(2)), 2.9))
    assert brief(found) == [(1, "sampled", 2, False), (2, "not_sampled", 1, False)]
    assert found[0].policies == ("errors",) and found[0].kept and found[0].facts.error


def test_a_wait_below_a_second_counts_as_one() -> None:
    one = engine(ALWAYS, decision_wait="100ms")
    list(one.feed(record(span(1)), 0.5))
    assert brief(one.feed(record(), 1.5)) == []
    assert brief(one.feed(record(), 2.0)) == [(1, "sampled", 1, False)]


@pytest.mark.parametrize("caches", [{}, CACHES])
def test_late_spans_follow_the_decision(caches: dict[str, Any]) -> None:
    """With a cache, or without one while the trace is on the map."""
    one = engine(ERRORS, **caches)
    found = run(
        one,
        (record(span(1, error=True), span(2)), 0.5),
        (record(span(1, 2, 1), span(2, 2, 1, error=True)), 5.5),
    )
    assert brief(found) == [
        (1, "sampled", 1, False), (2, "not_sampled", 1, False), (1, "sampled", 1, True), (2, "not_sampled", 1, True),
    ]  # fmt: skip
    assert found[2].kept and found[2].policies == ("errors",) and not found[3].kept


def test_late_spans_of_a_dropped_trace_are_dropped() -> None:
    drop = {"name": "noise", "type": "drop", "drop": {"drop_sub_policy": [ALWAYS]}}
    for caches in ({}, CACHES):
        found = run(engine(drop, **caches), (record(span(1)), 0.5), (record(span(1, 2)), 5.5))
        assert [(o.reason, o.policies, o.late) for o in found] == [
            ("dropped", ("noise",), False), ("dropped", ("noise",), True),
        ]  # fmt: skip


def test_a_cache_forgets_what_was_used_longest_ago() -> None:
    """The third decision pushes out the first; its late spans are a trace of their own, decided anew."""
    one = engine(ERRORS, decision_cache={"non_sampled_cache_size": 2})
    found = run(
        one,
        (record(span(1), span(2), span(3)), 0.5),
        (record(span(3, 2), span(1, 2, error=True)), 5.5),
    )
    assert brief(found)[3:] == [(3, "not_sampled", 1, True), (1, "sampled", 1, False)]


def test_a_cache_knows_a_trace_by_the_right_half_of_its_id() -> None:
    other = (1 << 64) + 1
    found = run(engine(ALWAYS, **CACHES), (record(span(1)), 0.5), (record(span(other)), 5.5))
    assert brief(found) == [(1, "sampled", 1, False), (other, "sampled", 1, True)]


def test_num_traces_evicts_the_trace_that_came_first() -> None:
    found = run(engine(ALWAYS, num_traces=2), (record(span(1), span(2), span(3)), 0.5))
    assert brief(found) == [(1, "too_early", 1, False), (2, "sampled", 1, False), (3, "sampled", 1, False)]
    assert not found[0].kept


def test_decided_traces_take_room_without_a_cache() -> None:
    """They are evicted without a loss; with a cache they are off the map at once."""
    requests = [(record(span(number)), 0.5 + 4 * number) for number in range(1, 6)]
    for caches in ({}, CACHES):
        found = run(engine(ALWAYS, num_traces=2, **caches), *requests)
        assert [o.reason for o in found] == ["sampled"] * 5


def test_an_evicted_trace_that_comes_again_is_decided_at_its_first_tick() -> None:
    """Its id is still in the first batch, so the decision is early, and only on what came since."""
    one = engine(ALWAYS, num_traces=1)
    found = run(one, (record(span(1)), 0.5), (record(span(2)), 0.6), (record(span(1, 2), span(1, 3)), 1.5))
    assert brief(found) == [(1, "too_early", 1, False), (2, "too_early", 1, False), (1, "sampled", 2, False)]


def test_block_on_overflow_waits_for_a_decision() -> None:
    one = engine(ALWAYS, num_traces=1, block_on_overflow=True, **CACHES)
    assert brief(run(one, (record(span(1), span(2)), 0.5))) == [(1, "sampled", 1, False), (2, "sampled", 1, False)]
    with pytest.raises(InvalidInput, match="decision_cache"):
        run(engine(ALWAYS, num_traces=1, block_on_overflow=True), (record(span(1), span(2)), 0.5))


def test_decision_wait_after_root_received() -> None:
    """The root moves its trace to an earlier batch, a child does not, and a later root does not move it back."""
    one = engine(ALWAYS, decision_wait="5s", decision_wait_after_root_received="1s")
    list(one.feed(record(span(1), span(2, 1, 7)), 0.5))
    assert brief(one.feed(record(), 1.5)) == []
    assert brief(one.feed(record(), 2.0)) == [(1, "sampled", 1, False)]
    list(one.feed(record(span(2, 2)), 5.5))  # due at 6 anyway
    assert brief(one.feed(record(), 5.99)) == []
    assert brief(one.feed(record(), 6.0)) == [(2, "sampled", 2, False)]


def test_maximum_trace_size_bytes() -> None:
    """A trace that grows too large is not sampled, at once and for good."""
    batch = record(span(1, error=True)).resource_spans[0]
    size = resource_spans_size(batch)
    limited = {"maximum_trace_size_bytes": size, **CACHES}
    requests = [(record(span(1, number, error=True)), 0.5 + number / 10) for number in (1, 2, 3)]
    found = run(engine(ERRORS, **limited), *requests)
    assert brief(found) == [(1, "too_large", 2, False), (1, "too_large", 1, True)]
    assert found[0].facts.size == 2 * size
    assert brief(run(engine(ERRORS, **limited), requests[0])) == [(1, "sampled", 1, False)]


def test_time_may_leap() -> None:
    """A pause of years costs no tick per second."""
    found = run(engine(ALWAYS), (record(span(1)), 0.5), (record(span(2)), 1.7e9 + 0.25))
    assert brief(found) == [(1, "sampled", 1, False), (2, "sampled", 1, False)]


def test_rate_limits_refill_by_the_time_of_decisions() -> None:
    limit = {"name": "few", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 1, "burst_capacity": 1}}
    requests = [(record(span(number)), 0.5 + (number > 2)) for number in (1, 2, 3)]
    assert [o.reason for o in run(engine(limit), *requests)] == ["sampled", "not_sampled", "sampled"]


def test_facts_of_a_trace() -> None:
    request = from_document(
        document(
            ({"service.name": "shop"}, [span(1, 1, took_ms=50), span(1, 2, 1, start=START + 5 * MS)]),
            ({"service.name": "stock"}, [span(1, 3, 2, start=START - MS, took_ms=100, error=True)]),
            ({}, [span(1, 4, 3), span(1, 5, 99)]),
        )
    )
    (found,) = run(engine(SLOW), (request, 0.5))
    facts = found.facts
    assert (facts.trace_id, facts.start, facts.end) == (trace_id(1), START - MS, START + 99 * MS)
    assert (facts.spans, facts.error) == (5, True)
    assert facts.services == {"shop": 2, "stock": 1, "unknown_service": 2}
    assert facts.operations[("shop", "operation 2")] == 1 and len(facts.operations) == 5
    assert facts.edges == {("shop", "stock"), ("stock", "unknown_service")}  # a parent that did not come has no edge


def test_a_request_may_hold_several_traces_and_one_trace_several_resources() -> None:
    request = from_document(
        document(
            ({"service.name": "a"}, [span(1, 1), span(2, 2), span(1, 3, 1)]),
            ({"service.name": "b"}, [span(2, 4, 2)]),
        )
    )
    assert sorted(brief(run(engine(ALWAYS), (request, 0.5)))) == [(1, "sampled", 2, False), (2, "sampled", 2, False)]


def test_two_engines_may_read_the_same_records() -> None:
    request = record(span(1, error=True), span(2))
    one, two = (run(engine(policy), (request, 0.5)) for policy in (ERRORS, ALWAYS))
    assert [len([o for o in found if o.kept]) for found in (one, two)] == [1, 2]


def test_estimated_sizes_are_near() -> None:
    """One record in 64 is counted; here they are alike, so the sum must be within 2 %."""
    records = [
        from_document(document(({"service.name": "shop"}, [span(n, 1), span(n, 2, 1, values={"k": "v" * (n % 9)})])))
        for n in range(1, 200)
    ]
    exact = sum(resource_spans_size(part) for one in records for part in one.resource_spans)
    for one in records:
        one.length = 2 * sum(resource_spans_size(part) for part in one.resource_spans)
    sizes = module.Sizes(False)
    estimated = sum(size for one in records for _id, _batch, _count, size in sizes.batches(one))
    assert estimated == pytest.approx(exact, rel=0.02)
    assert sum(s for one in records for *_rest, s in module.Sizes(True).batches(one)) == exact


# several samplers


def test_a_trace_stays_with_one_sampler() -> None:
    records = [(record(*[span(n, part) for n in range(1, 301)]), 0.5 + part / 10) for part in (1, 2, 3)]
    found = run(Samplers(Settings.from_config({"decision_wait": "2s", "policies": [ALWAYS]}), 3), *records)
    assert sorted(brief(found)) == [(n, "sampled", 3, False) for n in range(1, 301)]


def test_limits_are_per_sampler() -> None:
    limit = {"name": "few", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 5, "burst_capacity": 5}}
    settings = Settings.from_config({"decision_wait": "2s", "policies": [limit]})
    request = record(*[span(n) for n in range(1, 301)])
    assert [sum(o.kept for o in run(Samplers(settings, n), (request, 0.5))) for n in (1, 3)] == [5, 15]


def test_one_more_sampler_takes_its_part_from_all() -> None:
    ids = [trace_id(n * 0x9E3779B97F4A7C15 % 2**128) for n in range(1, 4001)]
    three, four = ([module.owner(one, n) for one in ids] for n in (3, 4))
    moved = [(a, b) for a, b in zip(three, four, strict=True) if a != b]
    assert {b for _a, b in moved} == {3}
    assert len(ids) * 0.2 < len(moved) < len(ids) * 0.3
    assert all(len(ids) * 0.2 < count < len(ids) * 0.3 for count in Counter(four).values())


def test_samplers_refuse_none() -> None:
    with pytest.raises(InvalidInput, match="samplers"):
        Samplers(Settings(), 0)


# settings


def test_defaults_are_upstreams() -> None:
    found = Settings.from_config({})
    assert (found.decision_wait, found.num_traces, found.sampled_cache_size) == (30.0, 50_000, 0)
    assert not found.exact_sizes


def test_settings_of_a_configuration() -> None:
    found = Settings.from_config(
        {
            "decision_wait": "1m30s", "num_traces": 5, "expected_new_traces_per_sec": 10, "sample_on_first_match": True,
            "decision_cache": {"sampled_cache_size": 7}, "sampling_strategy": "trace-complete",
            "drop_pending_traces_on_shutdown": True, "maximum_trace_size_bytes": 9, "policies": [ERRORS],
        }
    )  # fmt: skip
    assert (found.decision_wait, found.num_traces, found.sampled_cache_size) == (90.0, 5, 7)
    assert found.sample_on_first_match and found.exact_sizes and found.policies == (ERRORS,)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"sampling_strategy": "span-ingest"}, ["sampling_strategy", "span-ingest", "trace-complete"]),
        ({"tail_storage": "file_storage"}, ["tail_storage"]),
        ({"num_shards": 4}, ["num_shards", "0.158"]),
        ({"decision_wait": 10}, ["decision_wait", "10s"]),
        ({"decision_wait": "10 s"}, ["decision_wait"]),
        ({"num_traces": -1}, ["num_traces"]),
        ({"num_traces": "many"}, ["num_traces"]),
        ({"sample_on_first_match": "yes"}, ["sample_on_first_match"]),
        ({"decision_cache": 5}, ["decision_cache"]),
        ({"decision_cache": {"size": 5}}, ["decision_cache.size"]),
        ({"policies": {"name": "x"}}, ["policies"]),
        ({"policies": [{"name": "x", "type": "y"}]}, ["'x'", "'y'"]),
    ],
)
def test_settings_refused_by_name(config: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.from_config(config)
    for word in words:
        assert word in str(caught.value)


# arrival


def test_arrival_by_end_time_never_goes_back() -> None:
    records = [record(span(1, start=START + shift * MS, took_ms=10)) for shift in (0, 500, 200)]
    assert [arrival - START / 1e9 for _one, arrival in module.by_end_time(records)] == pytest.approx([0.01, 0.51, 0.51])


def test_arrival_at_a_rate() -> None:
    records = [record(span(1), span(1, 2)), record(span(2)), record(span(3))]
    assert [arrival for _one, arrival in module.at_rate(records, 4)] == [0.0, 0.5, 0.75]


# Objects of the S3 exporter


def test_what_was_written_together_is_taken_apart() -> None:
    """Two samplers, a trace a second at each, in objects of ten seconds: a limit by the second keeps as much as it does
    of the traces one by one."""
    seconds = [from_document(document(({}, [span(n + 1, start=START + n * 500 * MS)]))) for n in range(120)]
    objects = [
        Record(resource_spans=[one.resource_spans[0] for one in seconds[at : at + 20][sampler::2]], length=2000)
        for at in range(0, 120, 20) for sampler in (0, 1)
    ]  # fmt: skip
    apart = list(module.unbatched(objects))
    assert [one.resource_spans for one in apart] == [one.resource_spans for one in seconds]
    assert {one.length for one in apart} == {200}
    limit = {"name": "limit", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 1}}
    config = {"decision_wait": "2s", "policies": [limit]}

    def kept(records: list[Record]) -> set[str]:
        engine = Engine(Settings.from_config(config))
        found = [one for record, at in module.by_end_time(records) for one in engine.feed(record, at)]
        return {one.facts.trace_id for one in (*found, *engine.finish()) if one.kept}

    assert kept(apart) == kept(seconds)
    assert 3 * len(kept(objects)) < len(kept(apart))


def test_only_so_much_waits_to_be_put_into_order() -> None:
    taken = 0

    def objects() -> Iterator[Record]:
        nonlocal taken
        for n in range(100):
            taken += 1
            yield from_document(document(({}, [span(n + 1, start=START + n * 1000 * MS)])))

    given = 0
    for given, _record in enumerate(module.unbatched(objects(), 10.0), 1):
        assert taken - given <= 11
    assert given == 100
