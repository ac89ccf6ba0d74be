# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Sends requests to applications in the cluster and compares the traces that they make with descriptions of them.

A request goes through the API server's proxy of Services, which passes traceparent, tracestate and baggage on as they
are. Its trace has a root that the probe makes and sends itself, so the trace is complete and has no orphan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import from_api_server
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import keeps
from ansible_collections.orion.tracing.plugins.module_utils.proof.expected_trace import (
    ExpectedTrace,
    Mismatch,
    SeenSpan,
    check_keys,
    compare,
    expected_trace,
    seen_spans,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS, NotNow, StoreReader

CASE = "application"
SERVICE = "probe-client"
KEYS = ("name", "namespace", "service", "port", "method", "path", "headers", "body", "status", "trace")
REQUIRED = ("name", "namespace", "service", "path", "status", "trace")
# Headers that the probe writes itself.
OWN_HEADERS = frozenset({"traceparent", "authorization"})
REQUEST_SECONDS = 30.0
POLL_SECONDS = 0.5
# After the decision: an SDK's export interval (5 s), the exporters' queues, and the store.
SETTLE_SECONDS = 12.0
# Differences that a row names; the rest are counted.
NAMED = 3
INSTALL = (
    "install the application (the example system: local_demo_enabled=true), or take the entry out of "
    "verify_applications"
)
UNINSTRUMENTED = "the module instrumentation_info says whether the application is instrumented"


@dataclass(frozen=True)
class ApplicationRequest:
    """A request and the trace that it makes. body: JSON, or None for none. status: of the answer."""

    name: str
    namespace: str
    service: str
    port: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int
    trace: ExpectedTrace


def applications(value: Sequence[Any]) -> list[ApplicationRequest]:
    """The option applications; InvalidInput names what is wrong with it."""
    found = [_application(one, f"applications[{number}]") for number, one in enumerate(value)]
    names = [one.name for one in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"option applications has {', '.join(repeated)} more than once", remedy="Give other names.")
    return found


def _application(value: Any, where: str) -> ApplicationRequest:
    check_keys(value, KEYS, where)
    if missing := [key for key in REQUIRED if not value.get(key)]:
        raise InvalidInput(f"{where} lacks {', '.join(missing)}", remedy="Give them.")
    headers = value.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise InvalidInput(f"{where}.headers is not a mapping", remedy="Give names and values.")
    if own := sorted(key for key in headers if key.lower() in OWN_HEADERS):
        raise InvalidInput(
            f"{where}.headers has {', '.join(own)}",
            "the probe makes the trace, and the API server does not pass credentials on",
            "Leave it out.",
        )
    for key in ("port", "status"):
        if not isinstance(value.get(key, 80), int):
            raise InvalidInput(f"{where}.{key} is {value[key]!r}", "it is a whole number", "Give a number.")
    return ApplicationRequest(
        name=str(value["name"]),
        namespace=str(value["namespace"]),
        service=str(value["service"]),
        port=value.get("port", 80),
        method=str(value.get("method", "GET")).upper(),
        path=str(value["path"]),
        headers={key.lower(): str(one) for key, one in headers.items()},
        body=value.get("body"),
        status=value["status"],
        trace=expected_trace(value["trace"], str(value["name"]), f"{where}.trace"),
    )


def planned_checks(wanted: Sequence[ApplicationRequest]) -> list[probe.Check]:
    """name and expected of each check. Applications whose descriptions name the same check share it."""
    texts: dict[str, list[str]] = {}
    for one in wanted:
        for name, text in one.trace.checks.items():
            texts.setdefault(name, []).append(f"{one.name}: {text}")
    return [{"name": name, "expected": "; ".join(parts)} for name, parts in texts.items()]


@dataclass
class Sent:
    """A request that was sent. problem: why there will be no trace as described, '' for none. certain: whether the
    samplers keep the trace whatever its other spans are. seconds: from the first request to the last look.
    document: the trace as read back last."""

    application: ApplicationRequest
    trace_id: str
    root: str
    certain: bool
    problem: str = ""
    spans: list[SeenSpan] = field(default_factory=list)
    findings: list[Mismatch] = field(default_factory=list)
    seconds: float = 0.0
    document: otlp.Document = field(default_factory=dict)


class Applications:
    """The requests of a run. decision_wait: seconds that the samplers wait."""

    def __init__(
        self,
        wanted: Sequence[ApplicationRequest],
        reader: StoreReader,
        settings: probe.ProbeSettings,
        decision_wait: float,
    ) -> None:
        self.wanted, self.reader, self.settings, self.decision_wait = wanted, reader, settings, decision_wait
        self.sent: list[Sent] = []

    def run(self, kube: Kube, sender: Sender, run_id: str, deadline: Deadline, progress: Callable[[str], None]) -> None:
        """Send all requests, and wait until each trace is as described or nothing more comes.

        Raises what the sender and the reader raise; what an application does wrong is in the result.
        """
        clock = deadline.clock
        started = Deadline(clock, 0.0)
        now = clock.time_ns() // 10**9
        window = now - MARGIN_SECONDS, now + int(deadline.seconds) + MARGIN_SECONDS
        kept = keeps(self.settings.tail_sampling, self.settings.gateway)

        def one(application: ApplicationRequest) -> Sent:
            sent = self._prepare(application, run_id, clock.time_ns(), kept)
            begin = clock.time_ns()
            sent.problem = _request(kube, application, sent)
            root = _root(application, sent, run_id, begin, clock.time_ns())
            sender.send(root, len(application.name), deadline)
            return sent

        self.sent = in_threads(one, self.wanted)
        progress(f"sent {len(self.sent)} requests to applications")
        waiting, seen, changed = [one for one in self.sent if not one.problem], -1, started.elapsed
        while waiting:
            for sent in waiting:
                self._look(sent, *window)
                sent.seconds = started.elapsed
            waiting = [sent for sent in waiting if sent.findings]
            count = sum(len(sent.spans) for sent in self.sent)
            if count != seen:
                seen, changed = count, started.elapsed
            if started.elapsed - changed >= self.decision_wait + SETTLE_SECONDS or not deadline.wait(POLL_SECONDS):
                break
        good = sum(not sent.findings and not sent.problem for sent in self.sent)
        progress(f"{good} of {len(self.sent)} traces of applications are as described")

    def _prepare(
        self,
        application: ApplicationRequest,
        run_id: str,
        now: int,
        kept: Callable[[str, Sequence[otlp.Document]], bool],
    ) -> Sent:
        """Ids for a trace that the samplers keep because of its root alone, if one of MAX_ID_ATTEMPTS ids is such."""
        for _number in range(probe.MAX_ID_ATTEMPTS):
            trace_id, root = otlp.new_id(otlp.TRACE_ID_DIGITS), otlp.new_id(otlp.SPAN_ID_DIGITS)
            sent = Sent(application, trace_id, root, certain=True)
            document = _root(application, sent, run_id, now, now)
            if self.settings.gateway.passes(trace_id) and kept(trace_id, [document]):
                return sent
        sent.certain = False
        return sent

    def _look(self, sent: Sent, start: int, end: int) -> None:
        try:
            document = self.reader.document(sent.trace_id, start, end)
        except NotNow:
            document = {}
        found = seen_spans(document)
        if found or not sent.spans:
            sent.spans, sent.document = found, document
            sent.findings = compare(sent.application.trace, found, sent.root)

    @property
    def traces(self) -> list[str]:
        """Ids of the traces that are as described."""
        return [one.trace_id for one in self.sent if not one.problem and not one.findings]

    def checks(self) -> list[probe.Check]:
        """The planned checks with observed, seconds and passed."""
        found = []
        for check in planned_checks(self.wanted):
            some = [one for one in self.sent if check["name"] in one.application.trace.checks]
            found.append({**check, **_outcome(check["name"], some)})
        return found


def _outcome(name: str, sent: Sequence[Sent]) -> dict[str, Any]:
    parts, passed = [], True
    for one in sent:
        own = [finding.text for finding in one.findings if finding.check == name]
        passed = passed and not one.problem and not own
        if one.problem:
            text = one.problem
        elif not one.spans:
            doubt = "" if one.certain else ", and no sampling policy is certain to keep it"
            text = f"the trace is not in the store{doubt}; {UNINSTRUMENTED}"
        elif own:
            text = "; ".join(own[:NAMED]) + (f"; {len(own) - NAMED} more differences" if len(own) > NAMED else "")
        else:
            text = f"{len(one.spans)} spans"
        parts.append(f"{one.application.name}: {text}, trace {one.trace_id}")
    seconds = max((one.seconds for one in sent), default=0.0)
    return {"observed": "; ".join(parts), "seconds": round(seconds, 1), "passed": passed}


def _root(application: ApplicationRequest, sent: Sent, run_id: str, begin: int, end: int) -> otlp.Document:
    """The probe's own span of the request."""
    host = f"{application.service}.{application.namespace}.svc"
    values = {
        "http.request.method": application.method,
        "url.full": f"http://{host}:{application.port}{application.path}",
        "server.address": host,
        "server.port": application.port,
        probe.RUN_ATTRIBUTE: run_id,
        probe.CASE_ATTRIBUTE: CASE,
    }
    span = otlp.span(sent.trace_id, sent.root, "", application.method, "CLIENT", begin, max(begin, end), values)
    return otlp.request({"service.name": SERVICE, "service.namespace": "orion-probe"}, probe.SCOPE, [span])


def _request(kube: Kube, application: ApplicationRequest, sent: Sent) -> str:
    """Send the request; why its answer is not as expected, '' if it is."""
    headers = {**application.headers, "traceparent": f"00-{sent.trace_id}-{sent.root}-01"}
    body = None
    if application.body is not None:
        body = json.dumps(application.body).encode()
        headers.setdefault("content-type", "application/json")
    path, _mark, query = application.path.partition("?")
    where = f"{application.method} {application.path} of Service {application.service} in {application.namespace}"
    try:
        answer = kube.proxy(
            "services", application.namespace, application.service, application.port, path, application.method,
            query=parse_qs(query, keep_blank_values=True), body=body, headers=headers, timeout=REQUEST_SECONDS,
        )  # fmt: skip
    except Unreachable as error:
        return f"{where}: {error}"
    if from_api_server(answer):
        reason = refusal("", answer).why
        if answer.status == 403:
            return f"{where}: {reason}; grant its verb (get, create, …) on services/proxy to the user of the kubeconfig"
        if answer.status in (404, 503):
            return f"{where}: {reason}; {INSTALL}"
    if answer.status != application.status:
        return f"{where} answered {answer.status}, expected {application.status}: {answer.text[:200]}"
    return ""
