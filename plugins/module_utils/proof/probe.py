# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The probe as data: which traces are sent, what is expected of them, and what an observation proves. Pure.

What is expected follows from the deployed configuration alone: the simulator says of each trace whether it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import (
    Bounds,
    Expectation,
    expect,
    keeps,
    walk,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import StoredTrace

if TYPE_CHECKING:
    # Not for the periodic probe, which has neither the API server nor counters.
    from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Increase

ERROR, SLOW, CRITICAL, DROPPED, PLAIN = "error", "slow", "critical", "dropped", "plain"
# The traces of these are read one by one, since they are usually kept.
KEPT_CASES = (ERROR, SLOW, CRITICAL)
NAMES = {ERROR: "error traces", SLOW: "slow traces", CRITICAL: "critical route", DROPPED: "health checks"}
SINGLE = {
    ERROR: "error trace",
    SLOW: "slow trace",
    CRITICAL: "critical route",
    DROPPED: "health check",
    PLAIN: "ordinary trace",
}
RUN_ATTRIBUTE, CASE_ATTRIBUTE = "orion.probe.run", "orion.probe.case"
SCOPE = "orion.tracing.probe"
KEEPING_POLICY = (
    "{name: proof, type: string_attribute, string_attribute: {key: service.namespace, values: [orion-probe]}}"
)
SERVICES = ("probe-frontend", "probe-orders-api", "probe-fulfilment")
PLAIN_ROUTE = "/orion/probe"
MIN_PLAIN = 300
COUNTS = {ERROR: 3, SLOW: 3, CRITICAL: 3, DROPPED: 20}
# Trace ids that are tried for each case (see build).
MAX_ID_ATTEMPTS = 300
# Traces that share requests where many are sent: their services still go separately, to different gateways.
GROUP_TRACES = 50
# After this long without anything new (an exporter's flush and one retry), nothing more will arrive.
SETTLE_SECONDS = 6.0
# Trace ids that a check names.
IDS_NAMED = 3

Check = dict[str, Any]


@dataclass(frozen=True)
class ProbeSettings:
    """The pipeline that is probed.

    tail_sampling: the samplers' configuration of the processor of that name. gateway: what gateways do before.
    critical_route, dropped_route: values of http.route and url.path of traces of these cases; '' for none.
    bucket, prefix: where Tempo's blocks are; '' skips the check.
    search_name: what the store's search is called (StoreReader). reads_back: whether traces are read back from a store.
    recordings: s3://bucket/prefix of a recording of what is kept.
    """

    tail_sampling: Mapping[str, Any]
    gateway: Gateway = field(default_factory=Gateway)
    critical_route: str = ""
    dropped_route: str = ""
    plain_traces: int = MIN_PLAIN
    bucket: str = ""
    prefix: str = ""
    search_name: str = "TraceQL search"
    reads_back: bool = True
    recordings: str = ""

    @property
    def thresholds(self) -> list[int]:
        """Milliseconds of all latency policies, in ascending order."""
        policies = walk(self.tail_sampling.get("policies") or ())
        found = (one["latency"].get("threshold_ms") for one in policies if one["type"] == "latency")
        return sorted({threshold for threshold in found if threshold})

    @property
    def cases(self) -> dict[str, int]:
        """How many traces are sent of each case."""
        given = {SLOW: bool(self.thresholds), CRITICAL: bool(self.critical_route), DROPPED: bool(self.dropped_route)}
        return {case: count for case, count in COUNTS.items() if given.get(case, True)} | {PLAIN: self.plain_traces}


@dataclass(frozen=True)
class ProbeTrace:
    """One trace: a document per service, and its spans as store.StoredTrace has them (span id → parent's)."""

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
    decided: whether the sampler is known to have decided on every trace. alone: whether the samplers are known to have
    had no other traces. block_problem: why there is no block. recorded: traces in the recording. recorded_problem: why
    it could not be read. accepted_spans, decided_traces, kept_traces: by the counters of gateways and samplers.
    """

    seconds: float = 0.0
    read: dict[str, StoredTrace] = field(default_factory=dict)
    complete_at: dict[str, float] = field(default_factory=dict)
    decided: bool = False
    alone: bool = False
    settled_at: float | None = None
    searched: dict[str, int] = field(default_factory=dict)
    searched_at: float | None = None
    block: Block | None = None
    block_at: float | None = None
    block_problem: str = ""
    recorded: dict[str, StoredTrace] = field(default_factory=dict)
    recorded_at: float | None = None
    recorded_problem: str = ""
    accepted_spans: int = 0
    decided_traces: int = 0
    kept_traces: int = 0


def build(settings: ProbeSettings, run: str, now: int, random: Random | None = None) -> list[ProbeTrace]:
    """All traces of a run, as settings.cases has them, ending at now (Unix nanoseconds).

    The ids of ordinary traces are random. Those of the other cases pass head sampling, and are chosen so that an
    ordinary trace with the same id has the other outcome (if one of MAX_ID_ATTEMPTS ids is such): an error trace is
    then kept for its error, not by the baseline percentage.
    """
    kept = keeps(settings.tail_sampling, settings.gateway)
    found: list[ProbeTrace] = []
    for case, count in settings.cases.items():
        if case == PLAIN:
            found += [trace(case, settings, run, now, random) for _number in range(count)]
            continue
        telling: list[ProbeTrace] = []
        others: list[ProbeTrace] = []
        for _number in range(MAX_ID_ATTEMPTS):
            one = trace(case, settings, run, now, random)
            passes = settings.gateway.passes(one.trace_id)
            plain = trace(PLAIN, settings, run, now, random, one.trace_id)
            if passes and kept(one.trace_id, one.documents) != kept(one.trace_id, plain.documents):
                telling.append(one)
                if len(telling) == count:
                    break
            elif passes or len(others) < count:
                others.insert(0 if passes else len(others), one)
        found += [*telling, *others][:count]
    return found


def expected(settings: ProbeSettings, traces: Sequence[ProbeTrace]) -> Expectation:
    """What the configuration makes of the traces. InvalidInput where it keeps none of them: nothing could be read back,
    and that nothing is there proves nothing."""
    found = expect(settings.tail_sampling, settings.gateway, {one.trace_id: one.documents for one in traces})
    if found.alone.kept or found.alone.possible:
        return found
    cases = ", ".join(settings.cases)
    if not found.arriving:
        raise InvalidInput(
            f"head sampling lets none of the {len(traces)} traces of the proof pass",
            "nothing can be read back, so nothing can be proven",
            "Raise collector_head_sampling_percentage, or leave the proof out (tracing_prove=never).",
        )
    policies = ", ".join(policy["name"] for policy in settings.tail_sampling.get("policies") or ())
    raise InvalidInput(
        f"the sampling policies ({policies}) keep none of the {len(traces)} traces of the proof ({cases})",
        "nothing can be read back, so nothing can be proven",
        "Add a policy that keeps some of them to collector_tail_sampling_extra_policies, for example "
        f"{KEEPING_POLICY}, or leave the proof out (tracing_prove=never).",
    )


def trace(
    case: str, settings: ProbeSettings, run: str, now: int, random: Random | None = None, trace_id: str = ""
) -> ProbeTrace:
    """One trace over three services; a health check is one span. Attributes are those of the stable conventions.

    An order comes in by HTTP, is stored in PostgreSQL and handed on through Kafka. The error happens in the consumer
    alone: only a sampler that sees all services together keeps the rest of that trace.
    Source: https://opentelemetry.io/docs/specs/semconv/ (http, database, messaging)
    """
    thresholds = settings.thresholds or [200]
    milliseconds = 1.5 * thresholds[-1] if case == SLOW else min(40.0, 0.2 * thresholds[0])
    length = int(milliseconds * 1e6)
    route = {CRITICAL: settings.critical_route, DROPPED: settings.dropped_route}.get(case, PLAIN_ROUTE)
    trace_id = trace_id or otlp.new_id(otlp.TRACE_ID_DIGITS, random)
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

    Traces that must be kept have one request per trace and service, the others one per GROUP_TRACES traces and service.
    The services of one trace always go to neighbouring gateways.
    """
    planned: list[tuple[int, otlp.Document]] = []
    groups = [[one] for one in traces if one.case in KEPT_CASES]
    for case in (DROPPED, PLAIN):
        same = [one for one in traces if one.case == case]
        groups += [same[first : first + GROUP_TRACES] for first in range(0, len(same), GROUP_TRACES)]
    for number, group in enumerate(groups):
        for place, documents in enumerate(zip(*(one.documents for one in group), strict=True)):
            planned.append((number + place, otlp.merge(documents)))
    return planned


def is_complete(sent: ProbeTrace, read: StoredTrace | None) -> bool:
    """Whether all spans of a trace are there, and no others."""
    return read is not None and read.spans.keys() == sent.spans.keys()


def is_alone(expectation: Expectation, since: Increase) -> bool:
    """Whether the samplers are known to have had the probe's traces only."""
    return since.new_traces == len(expectation.arriving) and not since.interrupted.get("sampler")


def planned_checks(settings: ProbeSettings, traces: Sequence[ProbeTrace], bounds: Bounds) -> list[Check]:
    """name and expected of every check that a run with these traces makes."""
    must = len(bounds.kept)
    checks = _read_back(settings, traces, bounds) if settings.reads_back else _counted(traces, bounds)
    if settings.bucket:
        checks.append({"name": "block objects in the bucket", "expected": f"a new block in {settings.bucket}"})
    if settings.recordings:
        text = f"{must} of {must} kept traces, whole, in {settings.recordings}"
        checks.append({"name": "recorded objects in the bucket", "expected": text})
    return checks


def _counted(traces: Sequence[ProbeTrace], bounds: Bounds) -> list[Check]:
    """What counters can tell. Other traffic counts too, so alone they are all that can be expected exactly."""
    spans = sum(len(one.spans) for one in traces)
    kept, possible = len(bounds.kept), len(bounds.possible)
    return [
        {"name": "spans accepted by the gateways", "expected": f"{spans} or more"},
        {"name": "traces decided on by the samplers", "expected": "all that arrive"},
        {
            "name": "traces kept by the samplers",
            "expected": f"{kept}{f' to {kept + possible}' if possible else ''}, more only with other traffic",
        },
    ]


def _read_back(settings: ProbeSettings, traces: Sequence[ProbeTrace], bounds: Bounds) -> list[Check]:
    """What reading back tells."""
    checks = []
    for case in settings.cases:
        sent = [one.trace_id for one in traces if one.case == case]
        kept, possible = (sum(one in some for one in sent) for some in (bounds.kept, bounds.possible))
        if case == PLAIN:
            name = "share of other traces kept"
        else:
            name = f"{NAMES[case]} {'kept and complete' if kept or possible else 'dropped'}"
        if possible:
            text = f"{kept} to {kept + possible} of {len(sent)} traces, by what else is kept at the time"
        elif case == PLAIN:
            text = f"the same {kept} of {len(sent)} traces ({100 * kept / len(sent):.1f} %)"
        else:
            text = f"{kept} of {len(sent)} traces"
        checks.append({"name": name, "expected": text})
    checks.append({"name": "W3C ids and parents intact", "expected": "every span as sent"})
    must = len(bounds.kept)
    checks.append({"name": f"found by {settings.search_name}", "expected": f"{must} of {must} kept traces"})
    return checks


def evaluate(
    settings: ProbeSettings, traces: Sequence[ProbeTrace], expectation: Expectation, seen: Observation
) -> list[Check]:
    """The planned checks with observed, seconds and passed."""
    bounds = expectation.alone if seen.alone else expectation.shared
    if settings.reads_back:
        outcomes = [
            _case([one for one in traces if one.case == case], expectation, bounds, seen) for case in settings.cases
        ]
        outcomes += [_ids(traces, seen), _search(bounds, seen)]
    else:
        outcomes = _counts(traces, expectation, bounds, seen)
    if settings.bucket:
        block = seen.block
        found = f"block {block.block_id}: {block.traces} traces, {block.size} bytes" if block else seen.block_problem
        outcomes.append((found, seen.block_at, block is not None))
    if settings.recordings:
        outcomes.append(_recorded(traces, bounds, seen))
    return [
        {**check, "observed": observed, "seconds": round(seen.seconds if at is None else at, 1), "passed": passed}
        for check, (observed, at, passed) in zip(planned_checks(settings, traces, bounds), outcomes, strict=True)
    ]


def _case(
    sent: Sequence[ProbeTrace], expectation: Expectation, bounds: Bounds, seen: Observation
) -> tuple[str, float | None, bool]:
    """What became of the traces of a case: each one that must be there is there, whole, and no others are."""
    there = [one for one in sent if one.trace_id in seen.read or one.trace_id in seen.searched]
    whole = [one for one in there if is_complete(one, seen.read.get(one.trace_id))]
    ids = {one.trace_id for one in there}
    missing = [one.trace_id for one in sent if one.trace_id in bounds.kept and one.trace_id not in ids]
    extra = [one for one in ids if one not in bounds.kept and one not in bounds.possible]
    certain = all(one.trace_id in bounds.kept for one in sent)
    parts = [f"{len(whole)} of {len(sent)} traces"]
    if sent[0].case == PLAIN:
        parts[0] += f" ({100 * len(whole) / len(sent):.1f} %)"
    if len(whole) < len(there):
        parts.append(f"{len(there) - len(whole)} more in part")
    if not certain and not seen.decided:
        parts.append("before the sampler had decided")
    # That nothing is there proves nothing where nothing at all is there.
    empty = not seen.read and not any(one.trace_id in bounds.kept for one in sent)
    if empty:
        parts.append("nor any other trace")
    for what, some in (("missing", missing), ("unexpected", sorted(extra))):
        if some:
            named = ", ".join(f"{one} ({_why(one, expectation, bounds)})" for one in some[:IDS_NAMED])
            parts.append(f"{what}: {named}{', …' if len(some) > IDS_NAMED else ''}")
    good = len(whole) == len(there) and not missing and not extra and not empty and (certain or seen.decided)
    at = max(seen.complete_at.get(one.trace_id, seen.seconds) for one in sent) if certain else seen.settled_at
    return ", ".join(parts), at, good


def outcomes(
    settings: ProbeSettings, traces: Sequence[ProbeTrace], expectation: Expectation, seen: Observation
) -> list[dict[str, Any]]:
    """What became of the traces of each case: name, sent, kept (read back or found), wanted (at least and at most), and
    why: what decides, with the number of traces. Empty where no store was read back from."""
    bounds = expectation.alone if seen.alone else expectation.shared
    found = []
    for case in settings.cases if settings.reads_back else ():
        sent = [one.trace_id for one in traces if one.case == case]
        least = sum(one in bounds.kept for one in sent)
        why = Counter(_why(one, expectation, bounds) for one in sent)
        found.append(
            {
                "name": NAMES.get(case, "other traces"),
                "sent": len(sent),
                "kept": sum(one in seen.read or one in seen.searched for one in sent),
                "wanted": [least, least + sum(one in bounds.possible for one in sent)],
                "why": [{"text": text, "traces": number} for text, number in why.most_common()],
            }
        )
    return found


def _why(trace_id: str, expectation: Expectation, bounds: Bounds) -> str:
    """What decides about a trace."""
    if trace_id not in expectation.arriving:
        return "dropped by head sampling"
    if policies := bounds.kept.get(trace_id):
        return f"kept by {', '.join(policies)}"
    if policies := bounds.dropped.get(trace_id):
        return f"dropped by {', '.join(policies)}"
    if trace_id in bounds.possible:
        return f"kept by {', '.join(bounds.possible[trace_id]) or 'a policy'} as far as its limit allows"
    return "kept by no policy"


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


def _search(bounds: Bounds, seen: Observation) -> tuple[str, float | None, bool]:
    found = sum(trace_id in seen.searched for trace_id in bounds.kept)
    return f"{found} of {len(bounds.kept)} kept traces", seen.searched_at, found == len(bounds.kept)


def _counts(
    traces: Sequence[ProbeTrace], expectation: Expectation, bounds: Bounds, seen: Observation
) -> list[tuple[str, float | None, bool]]:
    """The outcomes of _counted."""
    spans, arriving = sum(len(one.spans) for one in traces), len(expectation.arriving)
    low, high = len(bounds.kept), len(bounds.kept) + len(bounds.possible)
    kept = low <= seen.kept_traces and (seen.kept_traces <= high or not seen.alone)
    return [
        (f"{seen.accepted_spans}", None, seen.accepted_spans >= spans),
        (f"{seen.decided_traces} of {arriving} traces", None, seen.decided and seen.decided_traces >= arriving),
        (f"{seen.kept_traces}{'' if seen.alone else ', other traffic included'}", None, seen.decided and kept),
    ]


def recorded_whole(traces: Sequence[ProbeTrace], bounds: Bounds, seen: Observation) -> list[str]:
    """Ids of the traces that must be kept and are whole in the recording."""
    return [
        one.trace_id
        for one in traces
        if one.trace_id in bounds.kept and is_complete(one, seen.recorded.get(one.trace_id))
    ]


def _recorded(traces: Sequence[ProbeTrace], bounds: Bounds, seen: Observation) -> tuple[str, float | None, bool]:
    """The recording has every trace that must be kept, whole, and none that must not be."""
    whole = recorded_whole(traces, bounds, seen)
    parts = [f"{len(whole)} of {len(bounds.kept)} kept traces"]
    extra = sorted(seen.recorded.keys() - bounds.kept.keys() - set(bounds.possible))
    if extra:
        parts.append(f"unexpected: {', '.join(extra[:IDS_NAMED])}{', …' if len(extra) > IDS_NAMED else ''}")
    if seen.recorded_problem and len(whole) < len(bounds.kept):
        parts.append(seen.recorded_problem)
    return ", ".join(parts), seen.recorded_at, len(whole) == len(bounds.kept) and not extra


def last_seen(increase: Increase, sent_spans: int, arriving_traces: int, received: bool, in_part: bool) -> str:
    """Where spans got to, by the components' own counters, and which part of the path to look at.

    Other traffic counts too, so a part is only blamed when less came through than the probe alone sent.
    arriving_traces: those that head sampling leaves. received: whether any trace was read back. in_part: whether one
    was that lacks spans.
    """
    kept = increase.kept_by_policy
    policies = ", ".join(f"{policy} {count}" for policy, count in kept.items() if count) or "none"
    facts = (
        f"gateways accepted {increase.accepted_spans} of {sent_spans} spans, samplers decided on "
        f"{increase.decided_traces} of {arriving_traces} traces and keep {increase.kept_traces} (by policy: {policies})"
        + (
            f", Tempo's distributors received {increase.received_spans} spans"
            if increase.tempo
            else f", their exporters sent {increase.exported_spans} spans"
        )
    )
    store, reached = ("Tempo", increase.received_spans) if increase.tempo else ("store", increase.exported_spans)
    if increase.interrupted:
        pods = ", ".join(pod for some in increase.interrupted.values() for pod in some)
        return (
            f"{facts}, at least: {pods} ended, began anew or did not answer meanwhile, and "
            "spans that were in them may be gone; run the proof again"
        )
    if increase.accepted_spans < sent_spans:
        verdict = "the gateways refuse spans; see the logs of the otel-collector pods"
    elif increase.new_traces < arriving_traces:
        verdict = "the path gateway → sampler is broken; see the logs of the otel-collector pods"
    elif increase.decided_traces < arriving_traces:
        verdict = "the samplers have not decided yet; compare decision_wait with the option timeout"
    elif not reached and increase.kept_traces:
        verdict = f"the path sampler → {store} is broken; see the logs of otel-sampler"
    elif lost := {place: count for place, count in increase.lost.items() if count}:
        verdict = "lost: " + ", ".join(f"{place} {count}" for place, count in lost.items())
    elif increase.kept_traces and not received:
        where = "; see the logs of its ingesters and queriers" if increase.tempo else "; see its logs"
        verdict = f"{'Tempo' if increase.tempo else 'the store'} takes spans and does not give them back{where}"
    elif in_part:
        verdict = (
            "some traces are there in part, so their spans were decided on in different places or too late; check that "
            "the gateways route by trace id and know all samplers"
        )
    else:
        verdict = "the path is whole, so compare the policies that the samplers run with the expected ones"
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
