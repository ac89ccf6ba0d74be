# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe as data: which traces are sent, what is expected of them, and what an observation proves. Pure.

Every case is sent often enough that the baseline sampling would produce the expected outcome by luck with a chance of
LUCK at most: one error trace that is still there proves nothing where 10 % of everything is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils import otlp
from ansible_collections.orion.tracing.plugins.module_utils.pipeline import Increase
from ansible_collections.orion.tracing.plugins.module_utils.store import Trace
from ansible_collections.orion.tracing.plugins.module_utils.text_table import align

ERROR, SLOW, CRITICAL, DROPPED, PLAIN = "error", "slow", "critical", "dropped", "plain"
KEPT_CASES = (ERROR, SLOW, CRITICAL)
RUN_ATTRIBUTE, CASE_ATTRIBUTE = "orion.probe.run", "orion.probe.case"
SCOPE = "orion.tracing.probe"
SERVICES = ("probe-frontend", "probe-orders-api", "probe-fulfilment")
PLAIN_ROUTE = "/orion/probe"
LUCK = 0.001
CONFIDENCE = 0.999
MIN_PLAIN = 300
# Traces that share requests where many are sent: their services still go separately, to different gateways.
CHUNK = 50

Check = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What the pipeline is configured to do. An expectation is off when its value is None, 0 or ''.

    sampling_percentage: 0–100, of traces that no other policy keeps. latency_threshold_ms: milliseconds.
    critical_route, dropped_route: values of http.route and url.path. bucket, prefix: where Tempo's blocks are.
    search_name: what the store's search is called (StoreReader).
    """

    sampling_percentage: float | None = 10.0
    latency_threshold_ms: int = 1000
    critical_route: str = ""
    dropped_route: str = ""
    plain_traces: int = MIN_PLAIN
    bucket: str = ""
    prefix: str = ""
    search_name: str = "TraceQL search"

    @property
    def cases(self) -> dict[str, int]:
        """How many traces are sent of each case that is on."""
        keep = None if self.sampling_percentage is None else self.sampling_percentage / 100
        kept = copies(keep, least=3, most=10)
        dropped = copies(None if keep is None else 1 - keep, least=20, most=700)
        wanted = {
            ERROR: kept,
            SLOW: kept if self.latency_threshold_ms else 0,
            CRITICAL: kept if self.critical_route else 0,
            DROPPED: dropped if self.dropped_route else 0,
            PLAIN: 0 if keep is None else self.plain_traces,
        }
        return {case: count for case, count in wanted.items() if count}

    @property
    def interval(self) -> tuple[int, int]:
        """How many plain traces may be kept, both ends inside."""
        return binomial_interval(self.plain_traces, (self.sampling_percentage or 0.0) / 100)


@dataclass(frozen=True)
class ProbeTrace:
    """One trace: a document per service, and its spans as store.Trace has them (span id → parent's)."""

    case: str
    trace_id: str
    documents: list[otlp.Document]
    spans: dict[str, str]


@dataclass(frozen=True)
class Block:
    """A block object in the bucket: its id, the number of traces in it, and its size in bytes."""

    block_id: str
    traces: int
    size: int


@dataclass
class Observation:
    """What was read back. Times are seconds after the first span was sent; a time that is missing means never.

    read: traces by id. complete_at: trace id → when all its spans were there. searched: trace id → matching spans.
    decided: whether the sampler is known to have decided on every trace. block_problem: why there is no block.
    """

    seconds: float = 0.0
    read: dict[str, Trace] = field(default_factory=dict)
    complete_at: dict[str, float] = field(default_factory=dict)
    decided: bool = False
    settled_at: float | None = None
    searched: dict[str, int] = field(default_factory=dict)
    searched_at: float | None = None
    block: Block | None = None
    block_at: float | None = None
    block_problem: str = ""


def copies(chance: float | None, least: int, most: int) -> int:
    """How many independent traces must have an outcome, each by luck with this chance, to make luck rarer than LUCK."""
    if not chance:
        return least
    return most if chance >= 1 else min(most, max(least, math.ceil(math.log(LUCK) / math.log(chance))))


def binomial_interval(n: int, p: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The central acceptance region of a binomial count: numbers of successes, both ends inside.

    Less than the lower, and more than the upper end, have a probability of at most (1 - confidence) / 2 each. This is
    the exact test that Clopper and Pearson invert (Biometrika 26 (1934), 404–413): a count lies in the region of p if
    and only if p lies in the count's Clopper–Pearson interval.
    """
    if p <= 0.0 or p >= 1.0:
        return (0, 0) if p <= 0.0 else (n, n)
    tail = (1.0 - confidence) / 2.0

    def quantile(success: float) -> int:
        """The smallest k with P(X <= k) > tail."""
        below, k = 0.0, -1
        while below <= tail and k < n:
            k += 1
            below += math.exp(
                math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                + k * math.log(success) + (n - k) * math.log1p(-success)
            )  # fmt: skip
        return k

    # The upper end is the lower end of the failures' count, which keeps both sums in the accurate, small tail.
    return quantile(p), n - quantile(1.0 - p)


def build(settings: Settings, run: str, now: int, random: Random | None = None) -> list[ProbeTrace]:
    """All traces of a run, as settings.cases has them, ending at now (Unix nanoseconds)."""
    return [
        trace(case, settings, run, now, random) for case, count in settings.cases.items() for _number in range(count)
    ]


def trace(case: str, settings: Settings, run: str, now: int, random: Random | None = None) -> ProbeTrace:
    """One trace over three services; a health check is one span. Attributes are those of the stable conventions.

    An order comes in by HTTP, is stored in PostgreSQL and handed on through Kafka. The error happens in the consumer
    alone: only a sampler that sees all services together keeps the rest of that trace.
    Source: https://opentelemetry.io/docs/specs/semconv/ (http, database, messaging)
    """
    threshold = settings.latency_threshold_ms
    milliseconds = 1.5 * threshold if case == SLOW else min(40.0, 0.2 * threshold) if threshold else 40.0
    length = int(milliseconds * 1e6)
    route = {CRITICAL: settings.critical_route, DROPPED: settings.dropped_route}.get(case, PLAIN_ROUTE)
    trace_id = otlp.new_id(otlp.TRACE_ID_DIGITS, random)
    ids = [otlp.new_id(otlp.SPAN_ID_DIGITS, random) for _number in range(6)]
    root, call, handle, store, send, process = ids
    parents = {root: "", call: root, handle: call, store: handle, send: handle, process: send}

    def part(span_id: str, name: str, kind: str, begin: float, end: float, *values: dict[str, Any]) -> otlp.Span:
        marked: dict[str, Any] = {RUN_ATTRIBUTE: run, CASE_ATTRIBUTE: case}
        for some in values:
            marked |= some
        first = now - length
        times = first + int(begin * length), first + int(end * length)
        error = "item is out of stock" if "error.type" in marked else None
        return otlp.span(trace_id, span_id, parents[span_id], name, kind, *times, marked, error)

    def http(method: str, status: int, address: str, port: int) -> dict[str, Any]:
        return {
            "http.request.method": method, "http.response.status_code": status, "url.scheme": "http",
            "server.address": address, "server.port": port, "network.protocol.version": "1.1",
        }  # fmt: skip

    def kafka(operation: str) -> dict[str, Any]:
        return {
            "messaging.system": "kafka", "messaging.operation.name": operation, "messaging.operation.type": operation,
            "messaging.destination.name": "probe-orders", "messaging.destination.partition.id": "0",
            "server.address": "kafka", "server.port": 9092,
        }  # fmt: skip

    routed = {"http.route": route, "url.path": route}
    if case == DROPPED:
        health = part(root, f"GET {route}", "SERVER", 0.0, 1.0, routed, http("GET", 200, "shop.example.com", 80))
        return ProbeTrace(case, trace_id, [_document(SERVICES[0], [health])], {root: ""})
    frontend = [
        part(root, f"POST {route}", "SERVER", 0.0, 1.0, routed, http("POST", 202, "shop.example.com", 80)),
        part(call, "POST", "CLIENT", 0.05, 0.9, {"url.full": "http://orders-api:8080/internal/orders"},
             http("POST", 202, "orders-api", 8080)),
    ]  # fmt: skip
    orders = [
        part(handle, "POST /internal/orders", "SERVER", 0.1, 0.85,
             {"http.route": "/internal/orders", "url.path": "/internal/orders"}, http("POST", 202, "orders-api", 8080)),
        part(store, "INSERT orders", "CLIENT", 0.15, 0.55, {
            "db.system.name": "postgresql", "db.namespace": "shop", "db.operation.name": "INSERT",
            "db.collection.name": "orders", "db.query.summary": "INSERT orders",
            "db.query.text": "INSERT INTO orders (id, item, quantity) VALUES ($1, $2, $3)",
            "server.address": "postgresql", "server.port": 5432,
        }),
        part(send, "send probe-orders", "PRODUCER", 0.6, 0.65, kafka("send"), {"messaging.client.id": "orders-api-1"}),
    ]  # fmt: skip
    failure = {"error.type": "java.lang.IllegalStateException"} if case == ERROR else {}
    fulfilment = [
        part(process, "process probe-orders", "CONSUMER", 0.7, 0.95, kafka("process"), failure,
             {"messaging.kafka.offset": 42, "messaging.consumer.group.name": "fulfilment"}),
    ]  # fmt: skip
    documents = [_document(*one) for one in zip(SERVICES, (frontend, orders, fulfilment), strict=True)]
    return ProbeTrace(case, trace_id, documents, parents)


def _document(service: str, spans: list[otlp.Span]) -> otlp.Document:
    return otlp.request({"service.name": service, "service.namespace": "orion-probe"}, SCOPE, spans)


def requests(traces: Sequence[ProbeTrace]) -> list[tuple[int, otlp.Document]]:
    """What to send: (number of the gateway, document).

    Traces that must be kept have one request per trace and service, the others one per CHUNK traces and service. The
    services of one trace always go to neighbouring gateways.
    """
    planned: list[tuple[int, otlp.Document]] = []
    groups = [[one] for one in traces if one.case in KEPT_CASES]
    for case in (DROPPED, PLAIN):
        same = [one for one in traces if one.case == case]
        groups += [same[first : first + CHUNK] for first in range(0, len(same), CHUNK)]
    for number, group in enumerate(groups):
        for place, documents in enumerate(zip(*(one.documents for one in group), strict=True)):
            planned.append((number + place, otlp.merge(documents)))
    return planned


def is_complete(sent: ProbeTrace, read: Trace | None) -> bool:
    """Whether all spans of a trace are there, and no others."""
    return read is not None and read.spans.keys() == sent.spans.keys()


def planned_checks(settings: Settings) -> list[Check]:
    """name and expected of every check that a run with these settings makes."""
    cases = settings.cases
    checks = [
        {"name": f"{name} kept and complete", "expected": f"{cases[case]} of {cases[case]} traces"}
        for case, name in ((ERROR, "error traces"), (SLOW, "slow traces"), (CRITICAL, "critical route"))
        if case in cases
    ]
    if DROPPED in cases:
        checks.append({"name": "health checks dropped", "expected": f"0 of {cases[DROPPED]} traces"})
    if PLAIN in cases:
        low, high = settings.interval
        share = f"{settings.sampling_percentage:g} % of {cases[PLAIN]}: {low} to {high} traces ({CONFIDENCE * 100:g} %)"
        checks.append({"name": "share of other traces kept", "expected": share})
    checks.append({"name": "W3C ids and parents intact", "expected": "every span as sent"})
    checks.append(
        {"name": f"found by {settings.search_name}", "expected": f"{_must(cases)} of {_must(cases)} kept traces"}
    )
    if settings.bucket:
        checks.append({"name": "block objects in the bucket", "expected": f"a new block in {settings.bucket}"})
    return checks


def evaluate(settings: Settings, traces: Sequence[ProbeTrace], seen: Observation) -> list[Check]:
    """The planned checks with observed, seconds and passed."""
    outcomes: list[tuple[str, float | None, bool]] = []
    for case in KEPT_CASES:
        if sent := [one for one in traces if one.case == case]:
            whole = [one for one in sent if is_complete(one, seen.read.get(one.trace_id))]
            there = sum(one.trace_id in seen.read for one in sent)
            parts = "" if there == len(whole) else f", {there - len(whole)} more in part"
            at = max((seen.complete_at.get(one.trace_id, seen.seconds) for one in sent), default=None)
            outcomes.append((f"{len(whole)} of {len(sent)} traces{parts}", at, len(whole) == len(sent)))
    for case in (DROPPED, PLAIN):
        if sent := [one for one in traces if one.case == case]:
            count = sum(one.trace_id in seen.read or one.trace_id in seen.searched for one in sent)
            late = "" if seen.decided else ", before the sampler had decided"
            if case == DROPPED:
                # That nothing is there proves nothing where nothing at all is there.
                good, share = count == 0 and bool(seen.read), "" if seen.read else ", nor any other trace"
            else:
                low, high = settings.interval
                good, share = low <= count <= high, f" ({100 * count / len(sent):.1f} %)"
            outcomes.append((f"{count} of {len(sent)} traces{share}{late}", seen.settled_at, good and seen.decided))
    outcomes += [_ids(traces, seen), _search(traces, seen)]
    if settings.bucket:
        block = seen.block
        found = f"block {block.block_id}: {block.traces} traces, {block.size} bytes" if block else seen.block_problem
        outcomes.append((found, seen.block_at, block is not None))
    return [
        {**check, "observed": observed, "seconds": round(seen.seconds if at is None else at, 1), "passed": passed}
        for check, (observed, at, passed) in zip(planned_checks(settings), outcomes, strict=True)
    ]


def _must(cases: dict[str, int]) -> int:
    return sum(count for case, count in cases.items() if case in KEPT_CASES)


def _ids(traces: Sequence[ProbeTrace], seen: Observation) -> tuple[str, float | None, bool]:
    """Every span that was read back has the trace id, span id and parent that were sent."""
    good = total = 0
    for one in traces:
        if (read := seen.read.get(one.trace_id)) is None:
            continue
        total += len(read.spans)
        if read.trace_ids == {one.trace_id}:
            good += sum(one.spans.get(span_id) == parent for span_id, parent in read.spans.items())
    return f"{good} of {total} spans read as sent", seen.settled_at, 0 < total == good


def _search(traces: Sequence[ProbeTrace], seen: Observation) -> tuple[str, float | None, bool]:
    must = [one.trace_id for one in traces if one.case in KEPT_CASES]
    found = sum(trace_id in seen.searched for trace_id in must)
    return f"{found} of {len(must)} kept traces", seen.searched_at, found == len(must)


def last_seen(increase: Increase, sent_spans: int, sent_traces: int, received: bool, in_part: bool) -> str:
    """Where spans got to, by the components' own counters, and which part of the path to look at.

    Other traffic counts too, so a part is only blamed when less came through than the probe alone sent.
    received: whether any trace was read back. in_part: whether one was that lacks spans.
    """
    kept = increase.kept_by_policy
    policies = ", ".join(f"{policy} {count}" for policy, count in kept.items() if count) or "none"
    facts = (
        f"gateways accepted {increase.accepted_spans} of {sent_spans} spans, samplers decided on "
        f"{increase.decided_traces} of {sent_traces} traces and keep {increase.kept_traces} (by policy: {policies}), "
        f"Tempo's distributors received {increase.received_spans} spans"
    )
    if increase.accepted_spans < sent_spans:
        verdict = "the gateways refuse spans; see the logs of the otel-collector pods"
    elif increase.new_traces < sent_traces:
        verdict = "the path gateway → sampler is broken; see the logs of the otel-collector pods"
    elif increase.decided_traces < sent_traces:
        verdict = "the samplers have not decided yet; compare decision_wait with the option timeout"
    elif not increase.received_spans and increase.kept_traces:
        verdict = "the path sampler → Tempo is broken; see the logs of otel-sampler"
    elif lost := {place: count for place, count in increase.lost.items() if count}:
        verdict = "lost: " + ", ".join(f"{place} {count}" for place, count in lost.items())
    elif increase.kept_traces and not received:
        verdict = "Tempo takes spans and does not give them back; see the logs of its ingesters and queriers"
    elif in_part:
        verdict = (
            "some traces are there in part, so their spans were decided on in different places or too late; check that "
            "the gateways route by trace id and know all samplers"
        )
    else:
        verdict = "the path is whole, so compare the samplers' policies with what was expected"
    return f"{facts}: {verdict}"


def table(checks: Iterable[Check]) -> str:
    """Checks as a text table; planned ones have only the first two columns."""
    rows = [["check", "expected", "observed", "seconds", ""]]
    rows += [
        [
            check["name"],
            check["expected"],
            check.get("observed", "–"),
            f"{check['seconds']:.1f}" if "seconds" in check else "–",
            {True: "passed", False: "FAILED", None: "not run"}[check.get("passed")],
        ]
        for check in checks
    ]
    return align(rows, right={3})
