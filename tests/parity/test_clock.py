# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a clock enters: limits, late spans, caches, eviction. One run of the collector feeds all of them.

At least 99.9 % of the traces must be equal; see clock.py for how both sides see the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from clock import Lattice, Run, Sent, run, settings, sized
from lists import ERRORS, Policy, and_, composite, drop, not_, policy
from real import Processor
from simulated import replay
from traffic import request, trace

pytestmark = pytest.mark.nightly

EQUAL = 0.999
ALONE, CROWD, LATE = 1, 2, 3  # groups of processors
TICKS, CROWD_SIZE = 12, 3
# Spans and bytes. With rates of up to three and two steps a second, a tick may be 20 and 11 ms off.
LONE = Lattice(64, 5, TICKS), Lattice(16384, 1280, TICKS)
CROWDED = Lattice(128, 3, TICKS * CROWD_SIZE), Lattice(32768, 768, TICKS * CROWD_SIZE)
SLOW = policy("latency", threshold_ms=100)


def limits(random: Random, lattices: tuple[Lattice, Lattice], steps: int) -> Policy:
    """A limit of some kind, with a rate of up to `steps` and a bucket on the lattices."""
    kind = random.choice(("rate_limiting", "bytes_limiting", "composite"))
    lattice = lattices[kind == "bytes_limiting"]
    rate, bucket = (lattice.step * random.randint(1, steps), lattice.step * random.randint(1, 6))
    burst = {"burst_capacity": bucket} if random.random() < 0.6 else {}
    if kind == "rate_limiting":
        return policy(kind, spans_per_second=rate, **burst)
    if kind == "bytes_limiting":
        return policy(kind, bytes_per_second=rate, **burst)
    made = composite(*random.sample([ERRORS, SLOW, and_(ERRORS, SLOW), policy("always_sample")], 3), total=2 * rate)
    for share in made["composite"]["rate_allocation"]:
        share["percent"] = random.choice((0, 10, 25, 50, 75, 100))
    return made


def limited(random: Random) -> list[Policy]:
    """One to three policies, at least one of them with a limit, in every way that these can be combined."""
    made: list[Policy] = []
    for _number in range(random.randint(1, 3)):
        limit = limits(random, LONE, 3)
        shape = random.random()
        if limit["type"] != "composite" and shape < 0.4:
            pair = [limit, random.choice((ERRORS, SLOW, not_(ERRORS)))]
            random.shuffle(pair)
            limit = random.choice((and_, and_, drop))(*pair)
        elif limit["type"] != "composite" and shape < 0.5:
            limit = not_(limit)
        made.append(limit)
    if random.random() < 0.3:
        made.insert(random.randint(0, len(made)), random.choice((ERRORS, SLOW)))
    return [{**one, "name": f"policy-{number}"} for number, one in enumerate(made)]


def lone_traces(random: Random) -> list[bytes]:
    """For every second one trace."""
    return [
        request([_sized(random, LONE, random.randint(0, 4), random.choice((50, 101, 500)), random.random() < 0.5)])
        for _number in range(TICKS)
    ]


def _sized(
    random: Random, lattices: tuple[Lattice, Lattice], steps: int, milliseconds: int, error: bool
) -> dict[str, Any]:
    spans, size = lattices
    return sized(random, spans.size(steps), size.size(random.randint(1 + steps, 6)), milliseconds, error)


def crowds(random: Random) -> list[bytes]:
    """For every second three traces that are alike, apart from their ids."""
    found = []
    for _number in range(TICKS):
        steps, duration, error = random.randint(0, 1), random.choice((50, 101, 500)), random.random() < 0.5
        spans, size = CROWDED[0].size(steps), CROWDED[1].size(random.randint(1, 3))
        found.append(request([sized(random, spans, size, duration, error) for _trace in range(CROWD_SIZE)]))
    return found


def late_requests(random: Random, traces: int) -> list[bytes]:
    """For every second the parts that arrive of traces in up to four parts."""
    parts: list[list[dict[str, Any]]] = [[] for _number in range(TICKS)]
    for _number in range(traces):
        whole = trace(random, random.randint(2, 8))
        second = random.randint(0, TICKS - 4)
        for resource in whole:
            parts[second].append(resource)
            if random.random() < 0.7:
                second = min(second + random.choice((0, 1, 1, 2, 3, 5)), TICKS - 1)
    return [request(part) for part in parts]


def late_settings() -> Iterator[dict[str, Any]]:
    policies = [ERRORS, policy("span_count", min_spans=4), policy("probabilistic", sampling_percentage=20)]
    dropping = [drop(ERRORS), policy("span_count", min_spans=3)]
    both = {"sampled_cache_size": 100_000, "non_sampled_cache_size": 100_000}
    for cache in ({}, both, {"sampled_cache_size": 100_000}, {"non_sampled_cache_size": 100_000}):
        more: dict[str, Any] = {"decision_cache": cache} if cache else {}
        yield settings(policies, **more)
        yield settings(dropping, **more)
        for wait in ("500ms", "1500ms", "2s", "4s"):
            yield settings(policies, **(more | {"decision_wait": wait}))
        for root in ("1s", "2s", "500ms"):
            yield settings(policies, **(more | {"decision_wait": "4s", "decision_wait_after_root_received": root}))
        for number in (1, 3, 10, 40, 100):
            yield settings(policies, **(more | {"num_traces": number, "decision_wait": "2s"}))
        yield settings(policies, **(more | {"maximum_trace_size_bytes": 1500, "decision_wait": "2s"}))
        yield settings(policies, **(more | {"maximum_trace_size_bytes": 1500, "num_traces": 40}))


PROCESSORS = [
    *(Processor(settings(limited(Random(number))), ALONE) for number in range(270)),
    *(Processor(settings([limits(Random(number), CROWDED, 2)]), CROWD) for number in range(90)),
    *(Processor(one, LATE) for one in late_settings()),
]


@pytest.fixture(scope="module")
def done(otelcol: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    random = Random(20)
    groups = {ALONE: lone_traces(random), CROWD: crowds(random), LATE: late_requests(random, 300)}
    slots = [[(group, bodies[second]) for group, bodies in groups.items()] for second in range(TICKS)]
    return run(otelcol, tmp_path_factory.mktemp("clock"), PROCESSORS, slots)


@pytest.fixture(scope="module")
def simulated(done: Run) -> list[list[dict[str, int]]]:
    """What the simulator keeps of the same requests, with the arrivals that they really had."""
    return [replay(one.settings, [sent for sent in done.sent if sent.group == one.group]) for one in PROCESSORS]


def traces_of(sent: list[Sent]) -> list[set[str]]:
    return [{span["traceId"] for span in otlp.spans(json.loads(one.body))} for one in sent]


def test_limits_trace_by_trace(done: Run, simulated: list[dict[str, int]]) -> None:
    """Limits of all three kinds, alone, combined and beside others: one trace is decided at each tick.

    It has to be one: the processor keeps the traces of a tick in a Go map, so which of several takes what is left of a
    limit is chance, in the collector too. 270 processors with 12 traces each.
    """
    compare(done, simulated, ALONE, 3_000)


def test_limits_by_number(done: Run, simulated: list[dict[str, int]]) -> None:
    """Several traces at each tick: they are alike, and as many are kept.

    Which ones is chance (see above), so they are counted. That a composite counts what it keeps within a second is seen
    here only. 90 processors with 36 traces each.
    """
    sent = [one for one in done.sent if one.group == CROWD]
    different, total, some = [], 0, 0
    for one, real, ours in zip(PROCESSORS, done.kept, simulated, strict=True):
        if one.group == CROWD:
            for second, traces in enumerate(traces_of(sent)):
                kept = len(traces & real.keys()), len(traces & ours.keys())
                total += len(traces)
                some += 0 < kept[0] < len(traces)
                if kept[0] != kept[1]:
                    different.append((second, *kept, one.settings["policies"]))
    assert total >= 3_000
    assert some > 100, "hardly a limit was reached"
    off = sum(abs(real - ours) for _second, real, ours, _policies in different)
    assert off <= total * (1 - EQUAL), f"(second, collector's traces, simulator's, policies) {different[:5]}"


def test_late_spans_caches_and_eviction(done: Run, simulated: list[dict[str, int]]) -> None:
    """Traces that arrive in parts, over up to twelve seconds.

    Spans after the decision, with and without caches; decisions that the root brings forward; eviction at num_traces;
    traces that grow too large. 56 processors with 300 traces each.
    """
    compare(done, simulated, LATE, 15_000)
    for one, real in zip(PROCESSORS, done.kept, strict=True):
        if one.group == LATE and one.settings["num_traces"] > 300:
            assert 0 < len(real) < 300


def compare(done: Run, simulated: list[dict[str, int]], group: int, traces: int) -> None:
    """Trace by trace over all processors of a group: how many of its spans each side keeps."""
    known = len(set().union(*traces_of([one for one in done.sent if one.group == group])))
    different, total, kept_of_all = [], 0, 0
    for one, real, ours in zip(PROCESSORS, done.kept, simulated, strict=True):
        if one.group == group:
            kept = {trace_id: len(ids) for trace_id, ids in real.items()}
            total, kept_of_all = total + known, kept_of_all + len(kept)
            different += [
                (trace_id, kept.get(trace_id, 0), ours.get(trace_id, 0), one.settings)
                for trace_id in sorted(kept.keys() | ours.keys())
                if kept.get(trace_id, 0) != ours.get(trace_id, 0)
            ]
    assert total >= traces
    assert 0.1 < kept_of_all / total < 0.9
    assert len(different) <= total * (1 - EQUAL), (
        f"{len(different)} of {total} traces differ, such as (id, collector's spans, simulator's, settings) "
        f"{different[:5]}"
    )
