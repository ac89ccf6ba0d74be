# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What a policy set keeps of a recording, added up as outcomes stream by. Pure: no I/O, no Ansible.

Memory grows with the number of services, operations and policies, not with that of traces (Slowest has a bound).
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import GIBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import (
    Outcome,
    Settings,
    TraceFacts,
)

# Durations are counted in bins whose bounds grow by this factor, so a percentile is at most this much too high.
BIN_FACTOR = 1.002
SLOW_PERCENTILE = 0.99
# One trace in a hundred is slow: all of them are held for up to two million traces, about 600 bytes each.
MAX_SLOWEST = 20_000
# A service that puts ids into span names must not fill the memory: what comes after so many operations is one.
MAX_OPERATIONS = 10_000
OTHER_OPERATIONS = ("", "(other operations)")
EDGES_SHOWN = 50
DIFFERENCES_SHOWN = 100


@dataclass(slots=True)
class Count:
    """Traces, spans and OTLP protobuf bytes."""

    traces: int = 0
    spans: int = 0
    size: int = 0

    def add(self, traces: int, spans: int, size: int = 0) -> None:
        self.traces += traces
        self.spans += spans
        self.size += size


@dataclass(slots=True)
class SeenAndKept:
    """Of everything, and of what was kept."""

    seen: Count = field(default_factory=Count)
    kept: Count = field(default_factory=Count)

    def add(self, kept: bool, traces: int, spans: int, size: int = 0) -> None:
        # Count.add by hand: this runs for each operation of each trace.
        count = self.seen
        count.traces += traces
        count.spans += spans
        count.size += size
        if kept:
            count = self.kept
            count.traces += traces
            count.spans += spans
            count.size += size

    def result(self, *units: str) -> dict[str, dict[str, float]]:
        """units: traces, spans, size. Each as seen, kept, lost and the kept percentage."""
        return {
            {"size": "bytes"}.get(unit, unit): shares(getattr(self.seen, unit), getattr(self.kept, unit))
            for unit in units
        }


def shares(seen: int, kept: int) -> dict[str, float]:
    """seen, kept, lost and kept in percent (100 of nothing: nothing was lost)."""
    return {
        "seen": seen,
        "kept": kept,
        "lost": seen - kept,
        "percentage": round(100 * kept / seen, 2) if seen else 100.0,
    }


class Durations:
    """How many traces took how long, in bins of growing width (BIN_FACTOR); from 1 microsecond."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.kept: Counter[int] = Counter()

    @staticmethod
    def bin(nanoseconds: int) -> int:
        return math.ceil(math.log(max(nanoseconds, 1000) / 1000) / math.log(BIN_FACTOR))

    @staticmethod
    def bound(number: int) -> float:
        """Upper bound of a bin in milliseconds."""
        return float(BIN_FACTOR**number / 1000)

    def add(self, nanoseconds: int, kept: bool) -> int:
        """The bin."""
        number = self.bin(nanoseconds)
        self.seen[number] += 1
        if kept:
            self.kept[number] += 1
        return number

    def move(self, before: int, nanoseconds: int, kept: bool) -> int:
        """The new bin of a trace that turned out to be longer. before: the bin in which it was."""
        for counts in (self.seen, self.kept) if kept else (self.seen,):
            counts[before] -= 1
            if not counts[before]:
                del counts[before]
        return self.add(nanoseconds, kept)

    def percentile(self, share: float) -> int:
        """The bin in which the percentile lies (nearest rank)."""
        rank, passed = math.ceil(share * self.seen.total()), 0
        for number in sorted(self.seen):
            passed += self.seen[number]
            if passed >= rank:
                return number
        return 0

    def above(self, number: int) -> tuple[int, int]:
        """Traces in higher bins: seen, kept."""
        return (
            sum(count for bin_, count in self.seen.items() if bin_ > number),
            sum(count for bin_, count in self.kept.items() if bin_ > number),
        )

    def distribution(self) -> list[dict[str, float]]:
        """Traces by duration for a picture: four columns for each factor of ten; up_to is in milliseconds."""
        columns: dict[int, list[int]] = {}
        for counts, place in ((self.seen, 0), (self.kept, 1)):
            for number, count in counts.items():
                column = math.ceil(4 * math.log10(self.bound(number)) - 1e-9)
                columns.setdefault(column, [0, 0])[place] += count
        return [
            {
                "up_to": 10 ** (column / 4),
                "seen": columns.get(column, [0, 0])[0],
                "kept": columns.get(column, [0, 0])[1],
            }
            for column in (range(min(columns), max(columns) + 1) if columns else ())
        ]


@dataclass(slots=True, eq=False)  # a key by identity: it changes
class Part:
    """A service's or an operation's part of the recording, or a policy's of the decisions.

    whole: all of it. errors: of its traces, those with an error of its own; of a policy's, those with any error.
    """

    whole: SeenAndKept = field(default_factory=SeenAndKept)
    errors: SeenAndKept = field(default_factory=SeenAndKept)


class Slowest:
    """The MAX_SLOWEST traces that took longest, with the parts they count for.

    Which traces are slow is known only when all have been seen. The same traces stay in whatever order they come. A
    trace that late spans make longer is added again.
    """

    def __init__(self) -> None:
        # Bin, trace id, a number that makes items differ (a trace can be decided again after it was evicted), kept.
        self._heap: list[tuple[int, str, int, bool, tuple[Part, ...]]] = []

    def add(self, number: int, trace_id: str, unique: int, kept: bool, parts: Iterable[Part]) -> None:
        """number: the bin of the trace's duration. unique: among the trace's decisions."""
        if len(self._heap) < MAX_SLOWEST:
            heapq.heappush(self._heap, (number, trace_id, unique, kept, tuple(parts)))
        elif number >= self._heap[0][0]:
            heapq.heappushpop(self._heap, (number, trace_id, unique, kept, tuple(parts)))

    def above(self, number: int) -> tuple[Counter[Part], Counter[Part]]:
        """Traces in higher bins by part: seen, kept."""
        counts: tuple[Counter[Part], Counter[Part]] = (Counter(), Counter())
        traces: dict[int, tuple[bool, set[Part]]] = {}
        for bin_, _trace_id, unique, kept, parts in self._heap:
            if bin_ > number:
                traces.setdefault(unique, (kept, set()))[1].update(parts)
        # Of a trace that was added again, the parts that it had before count too.
        for _bin, _trace_id, unique, _kept, parts in self._heap:
            if unique in traces:
                traces[unique][1].update(parts)
        for kept, found in traces.values():
            counts[0].update(found)
            if kept:
                counts[1].update(found)
        return counts


@dataclass(frozen=True, slots=True)
class CostLoad:
    """What a month of production is taken to be, for costs.

    bytes_per_second: OTLP protobuf before sampling; None takes the recording's own bytes over its own time, which says
    something only of a recording without gaps. retention: seconds. stored_share: bytes in the bucket per byte of OTLP
    protobuf. price: of a GiB stored for a month.
    """

    bytes_per_second: float | None = None
    retention: float = 7 * 86400.0
    stored_share: float = 0.5
    price: float = 0.023

    def monthly(self, bytes_per_second: float) -> dict[str, float]:
        """What lies in the bucket once retention is reached, and what a month of that costs."""
        stored = bytes_per_second * self.retention * self.stored_share
        return {
            "bytes_per_second": round(bytes_per_second, 1),
            "stored_gib": round(stored / GIBIBYTE, 3),
            "per_month": round(stored / GIBIBYTE * self.price, 2),
        }


class Summary:
    """One policy set over one recording."""

    def __init__(self, name: str, policies: list[str], decision_wait: float = 30.0) -> None:
        """policies: names in the order of the list. decision_wait: seconds."""
        self.name, self.decision_wait = name, decision_wait
        self.policies = {policy: Part() for policy in policies}
        self.total, self.errors = SeenAndKept(), SeenAndKept()
        self.services: dict[str, Part] = {}
        self.operations: dict[tuple[str, str], Part] = {}
        self.edges_seen: Counter[tuple[str, str]] = Counter()
        self.edges_kept: Counter[tuple[str, str]] = Counter()
        self.durations = Durations()
        self.slowest = Slowest()
        self.reasons: Counter[str] = Counter()
        # Spans; and traces with late spans, of which the errors came late, or which only late spans made slow.
        self.late, self.late_traces, self.late_errors = SeenAndKept(), SeenAndKept(), SeenAndKept()
        self.lateness = Durations()
        self.start, self.end = 0, 0

    @classmethod
    def of(cls, name: str, settings: Settings) -> Summary:
        """Of a processor's settings."""
        return cls(name, [policy["name"] for policy in settings.policies], settings.decision_wait)

    def add(self, outcome: Outcome) -> None:
        """Late spans count as spans, not as another trace. What they say of their trace, an error or a longer duration,
        counts as if the decision had known it: kept or lost is what the decision made of the trace.
        """
        facts, kept = outcome.facts, outcome.kept
        traces = 0 if outcome.late else 1
        self.total.add(kept, traces, facts.spans, facts.size)
        parts = []
        for service, spans in facts.services.items():
            part = self.services.get(service) or self._service(service)
            part.whole.add(kept, traces, spans)
            parts.append(part)
        for key, spans in facts.operations.items():
            part = self.operations.get(key) or self._operation(key)
            part.whole.add(kept, traces, spans)
            parts.append(part)
        self.edges_seen.update(facts.edges)
        if kept:
            self.edges_kept.update(facts.edges)
        self.start = min(self.start or facts.start, facts.start)
        self.end = max(self.end, facts.end)
        if outcome.late:
            self._late(outcome, parts)
            return
        self.reasons[outcome.reason] += 1
        if facts.error:
            self.errors.add(kept, 1, facts.spans)
        for name in outcome.policies:
            part = self.policies.get(name) or self._policy(name)
            part.whole.add(kept, 1, facts.spans, facts.size)
            parts.append(part)
            if facts.error:
                part.errors.add(kept, 1, facts.spans)
        for service in {service for service, _name in facts.failed}:
            self._service(service).errors.add(kept, 1, 0)
        for key in facts.failed:
            self._operation(key).errors.add(kept, 1, 0)
        number = self.durations.add(facts.end - facts.start, kept)
        trace = outcome.trace
        trace.start, trace.end, trace.failed, trace.number = (
            facts.start,
            facts.end,
            facts.failed,
            self.total.seen.traces,
        )
        self.slowest.add(number, facts.trace_id, trace.number, kept, parts)

    def _late(self, outcome: Outcome, parts: list[Part]) -> None:
        facts, kept, trace = outcome.facts, outcome.kept, outcome.trace
        self.late.add(kept, 0, facts.spans)
        self.lateness.add(round(outcome.after * 1e9), kept)
        if not trace.late:
            trace.late = True
            self.late_traces.add(kept, 1, 0)
        policies = [self.policies.get(name) or self._policy(name) for name in outcome.policies]
        if failed := facts.failed - trace.failed:
            if not trace.failed:
                for count in (self.errors, self.late_errors, *(policy.errors for policy in policies)):
                    count.add(kept, 1, 0)
            for service in {name for name, _key in failed} - {name for name, _key in trace.failed}:
                self._service(service).errors.add(kept, 1, 0)
            for key in failed:
                self._operation(key).errors.add(kept, 1, 0)
            trace.failed |= failed
        before = trace.end - trace.start
        trace.start, trace.end = min(trace.start, facts.start), max(trace.end, facts.end)
        if trace.end - trace.start > before:
            number = self.durations.move(self.durations.bin(before), trace.end - trace.start, kept)
            self.slowest.add(number, facts.trace_id, trace.number, kept, [*parts, *policies])

    def _lateness(self, share: float) -> float:
        """Milliseconds from the arrival of a trace's first span within which this share of the late requests came."""
        return round(Durations.bound(self.lateness.percentile(share)), 3) if self.lateness.seen else 0.0

    def _service(self, name: str) -> Part:
        return self.services.setdefault(name, Part())

    def _operation(self, key: tuple[str, str]) -> Part:
        known = key in self.operations or len(self.operations) < MAX_OPERATIONS
        return self.operations.setdefault(key if known else OTHER_OPERATIONS, Part())

    def _policy(self, name: str) -> Part:
        return self.policies.setdefault(name, Part())

    def result(self, load: CostLoad, operations: int = 200) -> dict[str, Any]:
        """Everything as plain data. operations: how many are listed, those with the most spans first."""
        p99 = self.durations.percentile(SLOW_PERCENTILE)
        slow_seen, slow_kept = self.durations.above(p99)
        slow_of = self.slowest.above(p99)
        lost = sorted(set(self.edges_seen) - set(self.edges_kept))
        seconds = max((self.end - self.start) / 1e9, 1.0)
        offered = self.total.seen.size / seconds if load.bytes_per_second is None else load.bytes_per_second
        kept_share = self.total.kept.size / self.total.seen.size if self.total.seen.size else 0.0
        most = sorted(self.operations.items(), key=lambda item: (-item[1].whole.seen.spans, item[0]))

        def figures(part: Part) -> dict[str, Any]:
            return {
                **part.whole.result("traces", "spans"),
                "error_traces": shares(part.errors.seen.traces, part.errors.kept.traces),
                "slow_traces": shares(*(counts[part] for counts in slow_of)),
            }

        def votes(part: Part) -> dict[str, int]:
            """One number of each: whether they are kept is what the policy voted for."""
            voted = part.whole.seen
            return {
                "traces": voted.traces,
                "spans": voted.spans,
                "bytes": voted.size,
                "error_traces": part.errors.seen.traces,
                "slow_traces": slow_of[0][part],
            }

        return {
            "name": self.name,
            **self.total.result("traces", "spans", "size"),
            "error_traces": shares(self.errors.seen.traces, self.errors.kept.traces),
            "slow_traces": {**shares(slow_seen, slow_kept), "above_ms": round(self.durations.bound(p99), 3)},
            "edges": {
                **shares(len(self.edges_seen), len(self.edges_kept)),
                "names_of_lost": [f"{caller} -> {callee}" for caller, callee in lost[:EDGES_SHOWN]],
            },
            "late_spans": {
                **shares(self.late.seen.spans, self.late.kept.spans),
                "p99_after_ms": self._lateness(SLOW_PERCENTILE),
                "max_after_ms": self._lateness(1),
            },
            "late_traces": shares(self.late_traces.seen.traces, self.late_traces.kept.traces),
            "late_error_traces": shares(self.late_errors.seen.traces, self.late_errors.kept.traces),
            "long_traces": {
                **shares(*self.durations.above(Durations.bin(round(self.decision_wait * 1e9)))),
                "above_ms": round(self.decision_wait * 1000, 3),
            },
            "reasons": dict(sorted(self.reasons.items())),
            "policies": {name: votes(part) for name, part in self.policies.items()},
            "services": {name: figures(self.services[name]) for name in sorted(self.services)},
            "operations": [
                {"service": service, "operation": name, **figures(part)} for (service, name), part in most[:operations]
            ],
            "operations_total": len(self.operations),
            "durations": self.durations.distribution(),
            "recorded_seconds": round(seconds, 1),
            "cost": {"before": load.monthly(offered), "kept": load.monthly(offered * kept_share)},
        }


@dataclass(slots=True)
class Decision:
    """Of one trace, for the list of decisions and for comparison. duration: seconds."""

    trace_id: str
    spans: int
    duration: float
    error: bool
    kept: bool
    reason: str
    policies: tuple[str, ...]

    @classmethod
    def of(cls, outcome: Outcome) -> Decision:
        facts: TraceFacts = outcome.facts
        duration = (facts.end - facts.start) / 1e9
        return cls(
            facts.trace_id, facts.spans, duration, facts.error, outcome.kept, outcome.reason, outcome.policies
        )  # fmt: skip


class Comparison:
    """Two policy sets trace by trace. Holds what one side has decided and the other has not: the decision window."""

    def __init__(self) -> None:
        self._waiting: tuple[dict[str, Decision], dict[str, Decision]] = ({}, {})
        self.same = 0
        self.only: list[Count] = [Count(), Count()]
        self.differences: list[dict[str, Any]] = []

    def add(self, side: int, outcome: Outcome) -> tuple[Decision, Decision] | None:
        """side: 0 or 1. SeenAndKept decisions once the other side has decided as well; late spans do not count."""
        if outcome.late:
            return None
        mine = Decision.of(outcome)
        other = self._waiting[1 - side].pop(mine.trace_id, None)
        if other is None:
            self._waiting[side][mine.trace_id] = mine
            return None
        pair = (mine, other) if side == 0 else (other, mine)
        self._count(*pair)
        return pair

    def rest(self) -> Iterator[tuple[Decision | None, Decision | None]]:
        """Traces that one side alone decided, such as a part of a trace that came late for the other."""
        for side in (0, 1):
            for one in self._waiting[side].values():
                yield (one, None) if side == 0 else (None, one)

    def _count(self, first: Decision, second: Decision) -> None:
        if first.kept == second.kept:
            self.same += 1
            return
        one = first if first.kept else second
        self.only[0 if first.kept else 1].add(1, one.spans)
        if len(self.differences) < DIFFERENCES_SHOWN:
            self.differences.append(
                {
                    "trace_id": first.trace_id,
                    "spans": one.spans,
                    "duration_ms": round(one.duration * 1000, 3),
                    "error": first.error or second.error,
                    "kept_by": 0 if first.kept else 1,
                    "policies": list(one.policies),
                    "why_not": [(second if first.kept else first).reason, *(second if first.kept else first).policies],
                }
            )

    def result(self, names: tuple[str, str]) -> dict[str, Any]:
        """Counts, and up to DIFFERENCES_SHOWN traces that only one side keeps."""
        return {
            "names": list(names),
            "same": self.same,
            "only_first": {"traces": self.only[0].traces, "spans": self.only[0].spans},
            "only_second": {"traces": self.only[1].traces, "spans": self.only[1].spans},
            "one_side_alone": sum(len(waiting) for waiting in self._waiting),
            "differences": [{**one, "kept_by": names[one["kept_by"]]} for one in self.differences],
        }


def table(results: list[dict[str, Any]], comparison: dict[str, Any] | None = None) -> str:
    """The results side by side as a text table."""

    def row(title: str, *keys: str) -> list[str]:
        cells = [title]
        for result in results:
            value: Any = result
            for key in keys:
                value = value[key]
            cells.append(f"{value['kept']:,} of {value['seen']:,} ({value['percentage']:.1f} %)")
        return cells

    rows = [["", *(result["name"] for result in results)]]
    rows += [row("traces kept", "traces"), row("spans kept", "spans"), row("error traces kept", "error_traces")]
    slow = results[0]["slow_traces"]["above_ms"]
    rows.append(row(f"slow traces kept (> p99, {slow:,.0f} ms)", "slow_traces"))
    rows.append(row("edges of the service graph", "edges"))
    rows.append(["services", *(_services(result) for result in results)])
    if any(result["late_spans"]["seen"] for result in results):
        rows.append(row("late spans kept", "late_spans"))
        rows.append(row("traces with late spans kept", "late_traces"))
        rows.append(row("traces kept whose first error came late", "late_error_traces"))
        rows.append(["late by, since the first span (p99)", *(_after(result) for result in results)])
    if any(result["long_traces"]["seen"] for result in results):
        rows.append(row("traces kept that take longer than decision_wait", "long_traces"))
    for policy in dict.fromkeys(name for result in results for name in result["policies"]):
        counts = [result["policies"].get(policy) for result in results]
        rows.append([f"policy {policy}", *(f"{c['traces']:,} traces" if c else "" for c in counts)])
    for reason in ("too_early", "too_large"):
        if any(reason in result["reasons"] for result in results):
            rows.append([f"lost: {reason}", *(f"{result['reasons'].get(reason, 0):,} traces" for result in results)])
    rows.append(["stored at retention", *(f"{result['cost']['kept']['stored_gib']:,.2f} GiB" for result in results)])
    rows.append(["storage per month", *(_cost(result["cost"]) for result in results)])
    text = align(rows, right=set())
    if comparison:
        first, second = comparison["names"]
        text += (
            f"\n\nThe two agree on {comparison['same']:,} traces. Only {first} keeps "
            f"{comparison['only_first']['traces']:,} traces ({comparison['only_first']['spans']:,} spans), only "
            f"{second} {comparison['only_second']['traces']:,} ({comparison['only_second']['spans']:,} spans)."
        )
    return text


def _services(result: dict[str, Any]) -> str:
    kept = sum(1 for service in result["services"].values() if service["spans"]["kept"])
    return f"{kept} of {len(result['services'])}"


def _after(result: dict[str, Any]) -> str:
    late = result["late_spans"]
    return f"{late['p99_after_ms'] / 1000:,.3g} s" if late["seen"] else ""


def _cost(cost: dict[str, Any]) -> str:
    return f"{cost['kept']['per_month']:,.2f} of {cost['before']['per_month']:,.2f} USD"
