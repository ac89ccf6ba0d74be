# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The periodic probe: what a pod of the cluster runs. It sends a few traces, reads them back and sends what it found as
metrics.

The traces, what is expected of them and the checks are those of the proof (probe.py). The pod has neither the API
server nor the collectors' counters: it reaches the gateways' Service and the store directly, and goes by the clock
alone as to when the samplers have decided. Only the standard library is used, here and in what is imported.
"""

from __future__ import annotations

import json
import secrets
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    InvalidInput,
    TimedOut,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.direct import Direct
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import RETRYABLE, Proxy
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import Expectation, expect
from ansible_collections.orion.tracing.plugins.module_utils.proof.readback import ReadBack
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import OTLP_HTTP_PORT, Sender
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Settings as Sampling
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    MARGIN_SECONDS,
    NotNow,
    StoreReader,
)
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS, reader_of

GATEWAY = "otel-collector"
# service.name of its metrics, which becomes their label job.
SERVICE = "trace-probe"
# Ordinary traces of a run. They are few, since every run's traces stay in the store.
PLAIN_TRACES = 20
# Sets of traces that are tried until the policies are certain to keep one of a set.
ATTEMPTS = 5
POLL_SECONDS = 1.0
PUSH_SECONDS = 30.0


@dataclass(frozen=True)
class PeriodicSettings:
    """What a pod gets, as JSON. gateway_url and store_url: http://HOST:PORT. timeout: seconds for sending and reading.

    tail_sampling, gateway_processors, critical_route and dropped_route are those of the module trace_probe.
    """

    gateway_url: str
    store_reader: str
    store_url: str
    tail_sampling: Mapping[str, Any]
    gateway_processors: Mapping[str, Any]
    critical_route: str
    dropped_route: str
    timeout: float

    def probed(self) -> probe.ProbeSettings:
        return probe.ProbeSettings(
            tail_sampling=self.tail_sampling,
            gateway=Gateway.from_config(self.gateway_processors),
            critical_route=self.critical_route,
            dropped_route=self.dropped_route,
            plain_traces=PLAIN_TRACES,
            search_name=READERS[self.store_reader].search_name,
        )


@dataclass(frozen=True)
class ProbeResult:
    """completeness: share of the spans that must be kept and were found, 0 to 1. freshness: seconds from the first span
    sent until each trace that must be kept could be read whole, None if one never could. problem: why no more is known.
    """

    passed: bool = False
    completeness: float = 0.0
    freshness: float | None = None
    checks: list[probe.Check] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True)
class _WayIn:
    kube: Proxy
    namespace: str = ""


def plan(settings: probe.ProbeSettings, run: str, now: int) -> tuple[list[probe.ProbeTrace], Expectation]:
    """The traces of a run that ends at now (Unix nanoseconds), and what becomes of them.

    InvalidInput where the configuration is not certain to keep any of them while there is other traffic: that nothing
    is there would prove nothing.
    """
    for _attempt in range(ATTEMPTS):
        traces = probe.build(settings, run, now)
        found = expect(settings.tail_sampling, settings.gateway, {one.trace_id: one.documents for one in traces})
        if found.shared.kept:
            return traces, found
    policies = ", ".join(policy["name"] for policy in settings.tail_sampling.get("policies") or ())
    raise InvalidInput(
        f"head sampling and the sampling policies ({policies}) are not certain to keep any of the probe's traces",
        "nothing could be expected in the store",
        f"Add a policy that keeps them to collector_tail_sampling_extra_policies, for example {probe.KEEPING_POLICY}, "
        "or set verify_probe_enabled: false.",
    )


class PeriodicProbe:
    """One run."""

    def __init__(
        self, settings: probe.ProbeSettings, gateway: Proxy, reader: StoreReader, timeout: float, clock: Clock
    ) -> None:
        self.settings, self.reader, self.clock = settings, reader, clock
        self.deadline = Deadline(clock, timeout)
        self.sender = Sender(_WayIn(gateway), [GATEWAY], "services")
        self.decision_wait = Sampling.from_config(settings.tail_sampling).decision_wait
        self.run_id = secrets.token_hex(8)
        self.seen = probe.Observation()

    def run(self) -> ProbeResult:
        """Raises TracingError where the gateways or the store refuse for good, or nothing could be expected."""
        now = self.clock.time_ns()
        self.traces, self.expectation = plan(self.settings, self.run_id, now)
        self.by_id = {one.trace_id: one for one in self.traces}
        self.must = list(self.expectation.shared.kept)
        self.start = now // 10**9 - MARGIN_SECONDS
        self.end = now // 10**9 + round(self.deadline.seconds) + MARGIN_SECONDS
        self.sent_at = Deadline(self.clock, 0.0)
        self.back = ReadBack(self.reader, self.by_id, self.run_id, (self.start, self.end), self.seen, self.sent_at)
        in_threads(lambda one: self.sender.send(one[1], one[0], self.deadline), probe.requests(self.traces))
        decided_at = self.sent_at.elapsed + self.decision_wait + probe.SETTLE_SECONDS
        problem = self._until_settled(decided_at)
        self.seen.decided = self.sent_at.elapsed >= decided_at
        # Whether there is anything that must not be there.
        self._read([one.trace_id for one in self.traces if one.trace_id not in self.seen.complete_at])
        self.seen.seconds = self.seen.settled_at = self.sent_at.elapsed
        checks = probe.evaluate(self.settings, self.traces, self.expectation, self.seen)
        passed = all(check["passed"] for check in checks)
        return ProbeResult(passed, self._completeness(), self._freshness(), checks, "" if passed else problem)

    def _until_settled(self, decided_at: float) -> str:
        """Until what must be kept is whole and found by search, and decisions were made on all others. Returns why the
        store could not answer at last, if so."""
        while True:
            problem = ""
            lacking = [one for one in self.must if one not in self.seen.complete_at]
            # One tells whether there is anything yet.
            self._read(lacking if self.seen.complete_at else lacking[:1])
            if all(one in self.seen.complete_at for one in self.must) and self.seen.searched_at is None:
                problem = self.back.search(self.must)
            if self.seen.searched_at is not None and self.sent_at.elapsed >= decided_at:
                return ""
            if not self.deadline.wait(POLL_SECONDS):
                return problem or self._asked(self.must[0])

    def _read(self, trace_ids: Sequence[str]) -> None:
        self.back.read(trace_ids, self.deadline.left)

    def _asked(self, trace_id: str) -> str:
        """Why the store cannot give a trace, if it cannot answer."""
        try:
            self.reader.document(trace_id, self.start, self.end)
        except NotNow as error:
            return str(error)
        return ""

    def _completeness(self) -> float:
        sent = found = 0
        for trace_id in self.must:
            spans = self.by_id[trace_id].spans.keys()
            sent += len(spans)
            if (read := self.seen.read.get(trace_id)) is not None:
                found += len(spans & read.spans.keys())
        return found / sent

    def _freshness(self) -> float | None:
        if any(one not in self.seen.complete_at for one in self.must):
            return None
        return max(self.seen.complete_at[one] for one in self.must)


def metrics(result: ProbeResult, now: int) -> otlp.Document:
    """An ExportMetricsServiceRequest in OTLP/JSON, at now (Unix nanoseconds).

    With their units, Prometheus' names are orion_probe_success, orion_probe_completeness_ratio and
    orion_probe_freshness_seconds; the last is missing where a trace could never be read.
    Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-metadata-1
    """
    values = [
        ("orion.probe.success", "", "1: every check of the last run passed", float(result.passed)),
        ("orion.probe.completeness", "1", "Share of the spans that must be kept and were found", result.completeness),
        ("orion.probe.freshness", "s", "Time until every trace that must be kept could be read", result.freshness),
    ]
    gauges = [
        {
            "name": name,
            "unit": unit,
            "description": description,
            "gauge": {"dataPoints": [{"timeUnixNano": str(now), "asDouble": value}]},
        }
        for name, unit, description, value in values
        if value is not None
    ]
    resource = {"attributes": otlp.attributes({"service.name": SERVICE})}
    scopes = [{"scope": {"name": probe.SCOPE}, "metrics": gauges}]
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": scopes}]}


def push(gateway: Proxy, document: otlp.Document, limit: Deadline) -> None:
    """Send metrics to a gateway, again where it cannot take them at the moment. Raises TracingError if it does not."""
    body, headers = json.dumps(document).encode(), {"Content-Type": "application/json"}
    while True:
        try:
            answer = gateway.proxy("services", "", GATEWAY, OTLP_HTTP_PORT, "v1/metrics", "POST", None, body, headers)
            if answer.ok:
                return
            error = refusal("POST /v1/metrics of the gateways", answer)
            if answer.status == 404:
                remedy = "Set collector_metrics_enabled: true: the gateways take metrics only then."
                raise ApiError(error.what, error.why, remedy, **error.details)
            if answer.status not in RETRYABLE:
                raise error
        except Unreachable as silence:
            error = silence
        if not limit.wait(POLL_SECONDS):
            raise TimedOut(f"the gateways did not take the metrics within {limit.seconds:.0f} s", str(error))


def main(path: str) -> int:
    """One run with the settings in a file, which prints what it found. Returns 0 if every check passed, else 1."""
    settings = PeriodicSettings(**json.loads(Path(path).read_text(encoding="utf-8")))
    clock, gateway = Clock(), Direct(settings.gateway_url)
    try:
        reader = reader_of(Direct(settings.store_url), settings.store_reader, "", None, None)
        result = PeriodicProbe(settings.probed(), gateway, reader, settings.timeout, clock).run()
    except TracingError as error:
        result = ProbeResult(problem=str(error))
    except Exception:
        # Whatever it is, nothing is proven, and that has to be seen.
        result = ProbeResult(problem=traceback.format_exc())
    if result.checks:
        sys.stdout.write(f"{probe.table(result.checks)}\n")
    if result.freshness is not None:
        sys.stdout.write(f"Every trace that must be kept could be read after {result.freshness:.1f} s.\n")
    if result.problem:
        sys.stderr.write(f"FAILED: {result.problem}\n")
    try:
        push(gateway, metrics(result, clock.time_ns()), Deadline(clock, PUSH_SECONDS))
    except TracingError as error:
        sys.stderr.write(f"The result could not be sent as metrics: {error}\n")
        return 1
    return 0 if result.passed else 1
