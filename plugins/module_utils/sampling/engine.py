# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The tail_sampling processor over time: which trace is decided when, with which spans, and what late spans meet.

Rules: processor.go, internal/idbatcher/id_batcher.go and cache/lru_cache.go of processor/tailsamplingprocessor v0.158.0
of opentelemetry-collector-contrib, sampling_strategy trace-complete.

Time is the arrival of requests, in seconds. The processor decides at the ticks of a timer, once a second; here they are
at whole seconds, and one that coincides with an arrival comes first. Traces of one tick are decided in the order in
which they arrived; the collector's order is random, which matters to rate limits alone.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import STATUS_ERROR
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import (
    Record,
    ResourceSpans,
    ScopeSpans,
    Span,
)
from ansible_collections.orion.tracing.plugins.module_utils.otlp.sizes import resource_spans_size
from ansible_collections.orion.tracing.plugins.module_utils.sampling import evaluate
from ansible_collections.orion.tracing.plugins.module_utils.sampling.evaluate import (
    SAMPLED,
    Limits,
    PolicyList,
    Trace,
)

TOO_EARLY, TOO_LARGE = "too_early", "too_large"
# The collector role's S3 exporter waits 10 s for a batch to fill.
BATCHED_SECONDS = 15.0


@dataclass(slots=True)
class TraceFacts:
    """All spans of a trace that the sampler had when it decided.

    start, end: Unix nanoseconds. size: OTLP protobuf bytes. services: spans by service.name. operations: spans by
    service.name and span name. edges: caller's and callee's service where a span's parent is of another service.
    failed: operations of which a span has status ERROR.
    """

    trace_id: str
    start: int
    end: int
    spans: int
    size: int
    services: dict[str, int]
    operations: dict[tuple[str, str], int]
    edges: frozenset[tuple[str, str]]
    failed: frozenset[tuple[str, str]]

    @property
    def error(self) -> bool:
        """Whether a span has status ERROR."""
        return bool(self.failed)


@dataclass(slots=True, eq=False)
class DecidedTrace:
    """What is known of a trace after its decision; as long as the processor remembers that, late spans have the same
    object. start, end and failed include the late spans that whoever takes the outcomes adds to them.

    reason, policies: as in Outcome. arrived: when the first span arrived, in seconds. number: its place among the
    decisions. late: whether spans came late.
    """

    reason: str
    policies: tuple[str, ...]
    arrived: float
    start: int = 0
    end: int = 0
    failed: frozenset[tuple[str, str]] = frozenset()
    number: int = 0
    late: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of spans.

    policies: names of those that voted for the decision. reason: sampled, dropped, not_sampled, too_early (evicted
    undecided at num_traces) or too_large (maximum_trace_size_bytes). late: these came after the decision, and facts are
    of them alone. trace: the same object for the decision on a trace and for its late spans. after: seconds from the
    first span's arrival to that of late spans.
    """

    facts: TraceFacts
    kept: bool
    policies: tuple[str, ...]
    reason: str
    late: bool
    trace: DecidedTrace
    after: float = 0.0


_NONE: frozenset[tuple[str, str]] = frozenset()


def facts(trace_id: str, batches: Iterable[ResourceSpans], size: int) -> TraceFacts:
    """The facts of these spans."""
    start = end = count = 0
    failed: set[tuple[str, str]] = set()
    services: dict[str, int] = {}
    operations: dict[tuple[str, str], int] = {}
    owners: dict[str, str] = {}
    children: list[tuple[str, str]] = []
    for batch in batches:
        service = batch.resource.service if batch.resource is not None else "unknown_service"
        before = count
        for scope in batch.scope_spans:
            spans = scope.spans
            count += len(spans)
            for span in spans:
                if span.start < start or not start:
                    start = span.start
                if span.end > end:
                    end = span.end
                operation = (service, span.name)
                status = span.status
                if status is not None and status.code and status.number == STATUS_ERROR:
                    failed.add(operation)
                operations[operation] = operations.get(operation, 0) + 1
                owners[span.span_id] = service
                parent = span.parent_span_id
                if parent:
                    children.append((parent, service))
        services[service] = services.get(service, 0) + count - before
    edges = _NONE
    if len(services) > 1:
        edges = frozenset(
            (owner, service)
            for parent, service in set(children)
            if (owner := owners.get(parent)) is not None and owner != service
        )
    return TraceFacts(
        trace_id, start, end, count, size, services, operations, edges, frozenset(failed) if failed else _NONE
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a tail_sampling processor, by upstream's names and with its defaults. Times in seconds.

    expected_new_traces_per_sec and drop_pending_traces_on_shutdown have no part in decisions before a shutdown.
    exact_sizes: whether bytes are counted or estimated (Sizes); from_config has them counted where decisions need it.
    """

    policies: tuple[Any, ...] = ()
    decision_wait: float = 30.0
    decision_wait_after_root_received: float = 0.0
    num_traces: int = 50_000
    block_on_overflow: bool = False
    sampled_cache_size: int = 0
    non_sampled_cache_size: int = 0
    sample_on_first_match: bool = False
    maximum_trace_size_bytes: int = 0
    exact_sizes: bool = True

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """From a processor's configuration as it stands in a collector's file. Raises InvalidInput."""
        values = {key: value for key, value in config.items() if key != "policies" and value is not None}
        values = evaluate.expand(values)
        strategy = values.pop("sampling_strategy", "trace-complete")
        if strategy != "trace-complete":
            raise _wrong("sampling_strategy", strategy, "only trace-complete can be simulated", "Leave it out.")
        if "tail_storage" in values:
            raise _wrong("tail_storage", values["tail_storage"], "it cannot be simulated", "Leave it out.")
        for ignored in ("expected_new_traces_per_sec", "drop_pending_traces_on_shutdown"):
            values.pop(ignored, None)
        cache = values.pop("decision_cache", None) or {}
        if not isinstance(cache, Mapping):
            raise _wrong(
                "decision_cache", cache, "not a mapping", "Give sampled_cache_size and non_sampled_cache_size."
            )
        for key, value in cache.items():
            if key not in ("sampled_cache_size", "non_sampled_cache_size"):
                raise _wrong(f"decision_cache.{key}", value, "the collector knows no such key", "Remove it.")
            values[key] = value
        found: dict[str, Any] = {}
        for key, value in values.items():
            if key in ("decision_wait", "decision_wait_after_root_received"):
                found[key] = _seconds(key, value)
            elif key in ("num_traces", "maximum_trace_size_bytes", "sampled_cache_size", "non_sampled_cache_size"):
                found[key] = _count(key, value)
            elif key in ("block_on_overflow", "sample_on_first_match"):
                if not isinstance(value, bool):
                    raise _wrong(key, value, "not a boolean", "Give true or false.")
                found[key] = value
            else:
                raise _wrong(key, value, "the processor 0.158 knows no such setting", "Remove it.")
        policies = config.get("policies") or ()
        if not isinstance(policies, (list, tuple)):
            raise _wrong("policies", policies, "not a list", "Give a list of policies.")
        exact = bool(found.get("maximum_trace_size_bytes")) or evaluate.needs_sizes(policies)
        settings = cls(policies=tuple(policies), **found, exact_sizes=exact)
        PolicyList(settings.policies)  # complains here rather than at the first engine
        return settings


def _wrong(key: str, value: Any, why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"tail_sampling's {key} is {value!r}", why, remedy)


def _seconds(key: str, value: Any) -> float:
    try:
        if not isinstance(value, str):
            raise ValueError("not a string")
        return float(duration_seconds(value))
    except ValueError as error:
        raise _wrong(key, value, str(error), "Give a duration such as 10s.") from None


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(key, value, "not a whole number of at least 0", "Give one.")
    return value


class _DecisionCache:
    """LRU of decisions by the right half of the trace id (cache/lru_cache.go); size 0 holds nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.items: OrderedDict[str, DecidedTrace] = OrderedDict()

    def get(self, trace_id: str) -> DecidedTrace | None:
        if not self.size:
            return None
        half = trace_id[16:]
        found = self.items.get(half)
        if found is not None:
            self.items.move_to_end(half)
        return found

    def put(self, trace_id: str, decided: DecidedTrace) -> bool:
        """Whether it is held now."""
        if not self.size:
            return False
        half = trace_id[16:]
        self.items[half] = decided
        self.items.move_to_end(half)
        if len(self.items) > self.size:
            self.items.popitem(last=False)
        return True


class _State(Trace):
    """A trace on the processor's map."""

    __slots__ = ("arrived", "batch", "bytes", "decided")

    def __init__(self, trace_id: str, arrived: float) -> None:
        super().__init__(trace_id, [], 0)
        self.arrived = arrived
        self.batch = 0
        self.bytes = 0
        self.decided: DecidedTrace | None = None


def by_trace(part: ResourceSpans) -> Iterator[tuple[str, ResourceSpans, int]]:
    """Trace id, its spans of one resource, and how many they are (groupSpansByTraceKey of processor.go).

    As there, the copy for a trace has no schema URLs.
    """
    scopes = part.scope_spans
    first = scopes[0].spans[0].trace_id if scopes and scopes[0].spans else ""
    count = 0
    for scope in scopes:
        count += len(scope.spans)
        if not scope.spans:
            yield from _split(part)
            return
        for span in scope.spans:
            if span.trace_id != first:
                yield from _split(part)
                return
        scope.schema_url = ""
    if count:
        part.schema_url = ""
        yield first, part, count


def _split(part: ResourceSpans) -> Iterator[tuple[str, ResourceSpans, int]]:
    groups: dict[str, list[ScopeSpans]] = {}
    counts: dict[str, int] = {}
    for scope in part.scope_spans:
        spans: dict[str, list[Span]] = {}
        for span in scope.spans:
            spans.setdefault(span.trace_id, []).append(span)
        for trace_id, own in spans.items():
            groups.setdefault(trace_id, []).append(ScopeSpans(scope=scope.scope, spans=own, schema_url=""))
            counts[trace_id] = counts.get(trace_id, 0) + len(own)
    for trace_id, own_scopes in groups.items():
        yield trace_id, ResourceSpans(resource=part.resource, scope_spans=own_scopes, schema_url=""), counts[trace_id]


class Sizes:
    """Bytes of spans as OTLP protobuf.

    To count them, all attributes must be decoded, which takes longer than a decision. Unless exact, one record in 64 is
    counted, and the others have as many bytes per byte of the recording as those so far; a record's traces share its
    bytes by their spans.
    """

    EVERY = 64

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self._records = 0
        self._counted = self._lengths = 0

    def batches(self, record: Record) -> Iterator[tuple[str, ResourceSpans, int, int]]:
        """Of a record: trace id, its spans of one resource, how many they are, and their bytes."""
        if self.exact or not record.length:
            for part in record.resource_spans:
                for trace_id, batch, count in by_trace(part):
                    yield trace_id, batch, count, resource_spans_size(batch)
            return
        parts = [found for part in record.resource_spans for found in by_trace(part)]
        if self._records % self.EVERY == 0:
            self._counted += sum(resource_spans_size(batch) for _trace_id, batch, _count in parts)
            self._lengths += record.length
        self._records += 1
        spans = sum(count for _trace_id, _batch, count in parts)
        each = record.length * self._counted / (self._lengths * spans) if spans else 0.0
        for trace_id, batch, count in parts:
            yield trace_id, batch, count, round(each * count)


class Engine:
    """One tail_sampling processor of one collector."""

    def __init__(self, settings: Settings, limits: Limits | None = None) -> None:
        """limits: instead of the collector's own."""
        self.settings = settings
        self.policies = PolicyList(settings.policies, settings.sample_on_first_match, limits)
        self._traces: OrderedDict[str, _State] = OrderedDict()
        self._sampled = _DecisionCache(settings.sampled_cache_size)
        self._not_sampled = _DecisionCache(settings.non_sampled_cache_size)
        self._batches = int(max(1.0, settings.decision_wait))
        self._after_root = settings.decision_wait_after_root_received
        self._pending: dict[int, dict[str, None]] = {}
        self._taken = 0  # ticks so far: the batch of this number is decided next
        self._tick = math.nan  # when
        self._now = 0.0  # arrival of the request
        self.sizes = Sizes(settings.exact_sizes)
        self._limit = settings.maximum_trace_size_bytes

    def feed(self, record: Record, arrival: float) -> Iterator[Outcome]:
        """The outcomes up to a request's arrival, and those of its late spans.

        arrival: seconds, not before that of the request before. The iterator must be exhausted.
        """
        yield from self.advance(arrival)
        for trace_id, batch, count, size in self.sizes.batches(record):
            yield from self.process(trace_id, batch, count, size)

    def finish(self) -> Iterator[Outcome]:
        """The outcomes of everything that is not decided yet: time goes on without requests."""
        while self._pending:
            yield from self._on_tick()

    def advance(self, arrival: float) -> Iterator[Outcome]:
        """The outcomes up to a time."""
        self._now = arrival
        if math.isnan(self._tick):
            self._tick = math.floor(arrival) + 1.0
        while self._tick <= arrival:
            if not self._pending:
                ticks = math.floor(arrival - self._tick) + 1
                self._taken += ticks
                self._tick += ticks
                return
            yield from self._on_tick()

    def _on_tick(self) -> Iterator[Outcome]:
        """samplingPolicyOnTick."""
        now = self._tick
        ids = self._pending.pop(self._taken, ())
        self._taken += 1
        self._tick += 1
        for trace_id in ids:
            state = self._traces.get(trace_id)
            if state is None or state.decided is not None:
                continue
            yield self._decide(state, *self.policies.decide(state, now))

    def _decide(self, state: _State, reason: str, policies: tuple[str, ...]) -> Outcome:
        decided = state.decided = DecidedTrace(reason, policies, state.arrived)
        known = facts(state.id, state.batches, state.bytes)
        self._release(state, decided)
        state.batches = []
        return Outcome(known, reason == SAMPLED, policies, reason, False, decided)

    def _release(self, state: _State, decided: DecidedTrace) -> None:
        """releaseSampledTrace and releaseNotSampledTrace: off the map when a cache holds the decision."""
        cache = self._sampled if decided.reason == SAMPLED else self._not_sampled
        if cache.put(state.id, decided):
            self._traces.pop(state.id, None)

    def _late(self, trace_id: str, batch: ResourceSpans, size: int, decided: DecidedTrace) -> Outcome:
        known, reason = facts(trace_id, [batch], size), decided.reason
        after = self._now - decided.arrived
        return Outcome(known, reason == SAMPLED, decided.policies, reason, True, decided, after)

    def process(self, trace_id: str, batch: ResourceSpans, count: int, size: int) -> Iterator[Outcome]:
        """iter and processTrace: spans of one trace and resource, how many they are, and their bytes."""
        decided = self._sampled.get(trace_id) or self._not_sampled.get(trace_id)
        if decided is not None:
            yield self._late(trace_id, batch, size, decided)
            return
        state = self._traces.get(trace_id)
        if state is None:
            if len(self._traces) >= self.settings.num_traces:
                yield from self._make_space()
            state = _State(trace_id, self._now)
            self._traces[trace_id] = state
            state.batch = self._taken + self._batches
            self._pending.setdefault(state.batch, {})[trace_id] = None
        state.span_count += count
        if self._after_root > 0 and any(span.is_root for scope in batch.scope_spans for span in scope.spans):
            self._move_earlier(state)
        state.bytes += size
        decided = state.decided
        if decided is not None:
            if decided.reason != SAMPLED:
                self._release(state, decided)
            yield self._late(trace_id, batch, size, decided)
            return
        state.batches.append(batch)
        if 0 < self._limit < state.bytes:
            self._remove(state)
            yield self._decide(state, TOO_LARGE, ())

    def _move_earlier(self, state: _State) -> None:
        """MoveToEarlierBatch."""
        proposed = self._taken + int(self._after_root)
        if proposed >= state.batch:
            return
        self._remove(state)
        state.batch = proposed
        self._pending.setdefault(proposed, {})[state.id] = None

    def _remove(self, state: _State) -> None:
        batch = self._pending.get(state.batch)
        if batch is not None:
            batch.pop(state.id, None)

    def _make_space(self) -> Iterator[Outcome]:
        """waitForSpace: evicts the trace that came first, or lets time go on until a decision frees space."""
        if self.settings.block_on_overflow:
            while len(self._traces) >= self.settings.num_traces:
                if not self._pending:
                    raise InvalidInput(
                        "tail_sampling with block_on_overflow stands still",
                        f"num_traces ({self.settings.num_traces}) decided traces stay in memory and nothing frees them",
                        "Set both sizes of decision_cache.",
                    )
                yield from self._on_tick()
            return
        if not self._traces:
            return
        trace_id, state = self._traces.popitem(last=False)
        if state.decided is None:
            known = facts(trace_id, state.batches, state.bytes)
            yield Outcome(known, False, (), TOO_EARLY, False, DecidedTrace(TOO_EARLY, (), state.arrived))


def owner(trace_id: str, samplers: int) -> int:
    """The sampler of a trace, from 0: from n to n + 1 samplers one trace in n + 1 moves, as with load_balancing's ring.

    Which trace moves where is not the collector's choice. Source: J. Lamping and E. Veach, A Fast, Minimal Memory,
    Consistent Hash Algorithm, https://arxiv.org/abs/1406.2294
    """
    key = int(trace_id[16:], 16)
    found, following = 0, 0
    while following < samplers:
        found = following
        key = (key * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        following = int((found + 1) * (2**31 / ((key >> 33) + 1)))
    return found


class Samplers:
    """Several samplers behind load_balancing by trace id. Each has limits and caches of its own."""

    def __init__(self, settings: Settings, samplers: int = 1) -> None:
        if samplers < 1:
            raise InvalidInput(f"samplers is {samplers}", "there must be one", "Give at least 1.")
        self.engines = [Engine(settings) for _number in range(samplers)]
        self._sizes = Sizes(settings.exact_sizes)

    @property
    def errors(self) -> int:
        """Evaluations of policies that failed, and so had no vote."""
        return sum(engine.policies.errors for engine in self.engines)

    def feed(self, record: Record, arrival: float) -> Iterator[Outcome]:
        """As Engine.feed."""
        engines = self.engines
        if len(engines) == 1:
            yield from engines[0].feed(record, arrival)
            return
        for engine in engines:
            yield from engine.advance(arrival)
        for trace_id, batch, count, size in self._sizes.batches(record):
            yield from engines[owner(trace_id, len(engines))].process(trace_id, batch, count, size)

    def finish(self) -> Iterator[Outcome]:
        """As Engine.finish."""
        for engine in self.engines:
            yield from engine.finish()


def unbatched(records: Iterable[Record], seconds: float = BATCHED_SECONDS) -> Iterator[Record]:
    """What arrived separately and was written together, apart again: a record for each ResourceSpans, in the order in
    which they ended.

    For objects of the S3 exporter, which hold what came to one sampler in about ten seconds, beside those of the other
    samplers. Taken as they are, all of it would arrive at once, and a limit by the second would meet ten of them. A
    gateway sends the spans of a trace as ResourceSpans of their own, so none is too large a piece.
    seconds: how much later than others an object may come and still be put into order; so much is held in memory.
    """
    waiting: list[tuple[int, int, Record]] = []
    newest = number = 0
    for record in records:
        counts = [sum(len(scope.spans) for scope in part.scope_spans) for part in record.resource_spans]
        total = sum(counts)
        for part, count in zip(record.resource_spans, counts, strict=True):
            if not count:
                continue
            end = max(span.end for scope in part.scope_spans for span in scope.spans)
            newest, number = max(newest, end), number + 1
            piece = Record(resource_spans=[part], length=record.length * count // total)
            heapq.heappush(waiting, (end, number, piece))
        while waiting and waiting[0][0] < newest - seconds * 1e9:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def by_end_time(records: Iterable[Record]) -> Iterator[tuple[Record, float]]:
    """Records with the time at which an exporter sent them: when their last span had ended, in Unix seconds, and never
    before the record before."""
    latest = 0
    for record in records:
        for part in record.resource_spans:
            for scope in part.scope_spans:
                for span in scope.spans:
                    if span.end > latest:
                        latest = span.end
        yield record, latest / 1e9


def at_rate(records: Iterable[Record], spans_per_second: float) -> Iterator[tuple[Record, float]]:
    """Records as a replay at this rate sends them, from second 0."""
    sent = 0
    for record in records:
        yield record, sent / spans_per_second
        sent += sum(len(scope.spans) for part in record.resource_spans for scope in part.scope_spans)
