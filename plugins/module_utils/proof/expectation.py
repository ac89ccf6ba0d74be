# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which of some known traces a platform keeps: certainly, possibly, or not at all. Pure.

The answer is the simulator's. It is exact for every policy that looks at the trace alone, the percentages included,
which hash the trace id: so on every sampler alike, however many there are. What depends on what else is kept at the
time (rate_limiting, bytes_limiting, the shares of composite) has bounds instead, as has what depends on the order in
which a trace's services arrive.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, from_document
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import TOO_EARLY, Engine, Outcome, Settings
from ansible_collections.orion.tracing.plugins.module_utils.sampling.evaluate import (
    DROPPED,
    SAMPLED,
    Allow,
    Limits,
    PolicyList,
    Trace,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import below

Votes = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Bounds:
    """kept: traces that are certainly kept. possible: those that may be. Both with the policies that vote for it.
    dropped: those that a policy of type drop is certain to drop, with its name; all others no policy keeps."""

    kept: Votes = field(default_factory=dict)
    possible: Votes = field(default_factory=dict)
    dropped: Votes = field(default_factory=dict)


@dataclass(frozen=True)
class Expectation:
    """arriving: traces that pass head sampling. alone: what is kept where the samplers get no other traces at the time;
    shared: where they do. limiters: names of the policies because of which the two differ."""

    arriving: frozenset[str]
    alone: Bounds
    shared: Bounds
    limiters: tuple[str, ...] = ()


class _Asked(Limits):
    """Limits that give one answer, and count what they are asked for.

    passing: numbers of limits, in the order of the policies, that always pass. Of the others, up makes each pass where
    that keeps traces, otherwise each pass where that loses them.
    """

    def __init__(self, up: bool, passing: frozenset[int] = frozenset()) -> None:
        self.up, self.passing, self.positive = up, passing, True
        self.budgets: list[int] = []
        self.demand: list[int] = []

    def bucket(self, rate: int, burst: int) -> Allow:
        # A second's worth: what earlier traces have left of a larger bucket is not known.
        return self._limit(min(rate, burst), burst)

    def share(self, spans: int) -> Allow:
        return self._limit(spans, spans)

    def inverted(self) -> Limits:
        found = _Asked(not self.up, self.passing)
        found.budgets, found.demand = self.budgets, self.demand
        return found

    def _limit(self, budget: int, most: int) -> Allow:
        number = len(self.budgets)
        self.budgets.append(budget)
        self.demand.append(0)
        passes = self.up or number in self.passing

        def allow(now: float, count: int) -> bool:
            self.demand[number] += count
            # A single trace above this is refused always.
            return passes and count <= most

        return allow


def keeps(tail_sampling: Mapping[str, Any], gateway: Gateway) -> Callable[[str, Sequence[otlp.Document]], bool]:
    """A function of a trace, by its id and documents: whether the samplers keep it where no limit is reached."""
    settings = Settings.from_config(tail_sampling)
    policies = PolicyList(settings.policies, settings.sample_on_first_match, _Asked(True))

    def kept(trace_id: str, documents: Sequence[otlp.Document]) -> bool:
        batches = [part for one in documents for part in from_document(gateway.document(one)).resource_spans]
        count = sum(len(scope.spans) for part in batches for scope in part.scope_spans)
        return policies.decide(Trace(trace_id, batches, count), 0.0)[0] == SAMPLED

    return kept


@dataclass
class _Runs:
    """Of all orders of arrival: the votes of the traces that are kept in any, and those kept in every one; and what the
    limits were asked for at most."""

    some: Votes
    every: Votes
    dropped: Votes
    budgets: list[int]
    demand: list[int]


def expect(
    tail_sampling: Mapping[str, Any], gateway: Gateway, traces: Mapping[str, Sequence[otlp.Document]]
) -> Expectation:
    """What becomes of these traces. Their documents reach the samplers about together, in any order.

    tail_sampling: the processor's configuration. traces: documents, at most a few, by trace id. InvalidInput for a
    configuration that the collector would refuse or that cannot be simulated.
    """
    settings = Settings.from_config(tail_sampling)
    arriving = {
        trace_id: [from_document(gateway.document(one)) for one in documents]
        for trace_id, documents in traces.items()
        if gateway.passes(trace_id)
    }

    def bounds(passing: frozenset[int]) -> tuple[Bounds, frozenset[int]]:
        up = _run(settings, arriving, True, passing)
        down = _run(settings, arriving, False, passing) if up.budgets else up
        kept = {trace_id: votes for trace_id, votes in down.every.items() if trace_id in up.every}
        # All of them on one sampler within one second is the worst case.
        fitting = frozenset(
            number for number, budget in enumerate(up.budgets) if max(up.demand[number], down.demand[number]) <= budget
        )
        possible = {one: votes for one, votes in up.some.items() if one not in kept}
        return Bounds(kept, possible, up.dropped), fitting

    shared, fitting = bounds(frozenset())
    alone = bounds(fitting)[0] if fitting else shared
    return Expectation(frozenset(arriving), alone, shared, limiters(settings.policies))


def _run(settings: Settings, traces: Mapping[str, Sequence[Record]], up: bool, passing: frozenset[int]) -> _Runs:
    runs: list[Votes] = []
    dropped: Votes = {}
    doubtful: set[str] = set()
    limits: list[_Asked] = []
    most = max((len(records) for records in traces.values()), default=1)
    for order in itertools.permutations(range(most)) if _ordered(settings.policies) else [tuple(range(most))]:
        limits.append(_Asked(up, passing))
        kept: Votes = {}
        for outcome in _decide(Engine(settings, limits[-1]), traces, order):
            if outcome.reason == TOO_EARLY:  # num_traces is less than these traces: which are evicted, time decides
                doubtful.add(outcome.facts.trace_id)
            elif outcome.kept:
                kept[outcome.facts.trace_id] = outcome.policies
            elif outcome.reason == DROPPED:
                dropped[outcome.facts.trace_id] = outcome.policies
        runs.append(kept)
    some = dict.fromkeys(doubtful, ()) | {one: votes for kept in reversed(runs) for one, votes in kept.items()}
    every = {
        one: votes for one, votes in runs[0].items() if one not in doubtful and all(one in kept for kept in runs[1:])
    }
    return _Runs(
        some,
        every,
        dropped,
        limits[0].budgets,
        [max(asked) for asked in zip(*(one.demand for one in limits), strict=True)],
    )


def _decide(engine: Engine, traces: Mapping[str, Sequence[Record]], order: Sequence[int]) -> Iterator[Outcome]:
    for records in traces.values():
        for place in order:
            if place < len(records):
                yield from engine.feed(records[place], 0.0)
    yield from engine.finish()


def walk(policies: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Every policy, and those inside it."""
    for policy in policies:
        yield policy
        yield from walk(below(policy))


def limiters(policies: Sequence[Any]) -> tuple[str, ...]:
    """Names of the policies whose decision depends on what else is kept."""
    kinds = ("rate_limiting", "bytes_limiting", "composite")
    return tuple(policy["name"] for policy in policies if any(one["type"] in kinds for one in walk([policy])))


def _ordered(policies: Sequence[Any]) -> bool:
    """Whether a decision depends on the order of arrival: latency with an upper bound looks at the spans so far."""
    return any(one["type"] == "latency" and one["latency"].get("upper_threshold_ms") for one in walk(policies))
