# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The installed pipeline as seen from outside: its pods, the way in (gateways), and what its own metrics say.

Everything goes through the API server's pod proxy, so the user's kubeconfig is all that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    NotFound,
    PermissionDenied,
    TimedOut,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import from_api_server, proxy_denied
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    MAX_SAMPLER_RETRY_SECONDS,
    SAMPLER_REQUEST_SECONDS,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text

COLLECTOR_METRICS_PORT = 8888
TEMPO_PORT = 3200


@dataclass(frozen=True)
class Selectors:
    """Label selectors of the pods of each component, '' for none. Tempo's match the monolithic profile too."""

    gateway: str = "app.kubernetes.io/name=otel-collector,app.kubernetes.io/component=gateway"
    sampler: str = "app.kubernetes.io/name=otel-collector,app.kubernetes.io/component=sampler"
    distributor: str = "app.kubernetes.io/name=tempo,app.kubernetes.io/component in (distributor,all)"
    ingester: str = "app.kubernetes.io/name=tempo,app.kubernetes.io/component in (ingester,all)"
    builder: str = "app.kubernetes.io/name=tempo,app.kubernetes.io/component=block-builder"

    def of_tempo(self, release: str) -> Selectors:
        """With the pods of one Helm release of Tempo alone: while Tempo is upgraded, there are two."""
        parts = {name: getattr(self, name) for name in ("distributor", "ingester", "builder")}
        return replace(
            self, **{name: f"{one},app.kubernetes.io/instance={release}" for name, one in parts.items() if one}
        )


# What tells a process in a pod from the one before: the pod's uid, and how often its containers were restarted.
Process = tuple[str, int]


@dataclass
class Figures:
    """Metrics of one moment: by component, by pod, by series. missing: pods that did not answer.

    tempo: distributors and ingesters. processes: of the components that were read, all pods that are there.
    """

    gateway: dict[str, text.Samples] = field(default_factory=dict)
    sampler: dict[str, text.Samples] = field(default_factory=dict)
    tempo: dict[str, text.Samples] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    processes: dict[str, dict[str, Process]] = field(default_factory=dict)

    @property
    def backends(self) -> list[float]:
        """How many samplers each gateway knows, of those that tell."""
        name = "otelcol_loadbalancer_num_backends"
        return [text.total(one, name) for one in self.gateway.values() if text.has(one, name)]


COMPONENTS = ("gateway", "sampler", "tempo")
# Those whose counters count traces.
SAMPLING_TIERS = ("gateway", "sampler")
# Seconds: longer than a sampler's ticks and the pauses between a gateway's attempts.
QUIET_SECONDS = 5.0
# Seconds until a gateway has routed spans again that a sampler did not accept: it retries for a while, and the last
# attempt has a time limit.
REROUTE_SECONDS = MAX_SAMPLER_RETRY_SECONDS + SAMPLER_REQUEST_SECONDS


@dataclass(frozen=True)
class Increase:
    """How far the counters of each component went up since a moment, added up over its pods.

    interrupted: by component, pods that ended, began anew or could not be asked since then. What they counted after
    they were last asked is not known, so the counts of a component that has such pods are lower bounds.
    """

    gateway: text.Samples
    sampler: text.Samples
    tempo: text.Samples
    interrupted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def flow_interrupted(self) -> bool:
        """Whether gateways or samplers were: not all spans that were sent will be counted."""
        return bool(self.interrupted.get("gateway") or self.interrupted.get("sampler"))

    @property
    def accepted_spans(self) -> int:
        """Spans that the gateways took."""
        return round(text.total(self.gateway, "otelcol_receiver_accepted_spans"))

    @property
    def refused_spans(self) -> int:
        """Spans that a gateway or sampler refused; the sender may have sent them again."""
        return sum(round(text.total(part, "otelcol_receiver_refused_spans")) for part in (self.gateway, self.sampler))

    @property
    def arrived_spans(self) -> int:
        """Spans that the samplers took. A receiver otlp/… is one by which a sampler sends to itself, on to X-Ray."""
        taken = text.by_label(self.sampler, "otelcol_receiver_accepted_spans", "receiver")
        return round(sum(count for receiver, count in taken.items() if not receiver.startswith("otlp/")))

    @property
    def repeated_spans(self) -> int:
        """Spans of traces that the samplers had decided on before, and whose cached decision they repeated."""
        return round(text.total(self.sampler, "otelcol_processor_tail_sampling_early_releases_from_cache_decision"))

    @property
    def new_traces(self) -> int:
        """Traces that the samplers saw for the first time."""
        return round(text.total(self.sampler, "otelcol_processor_tail_sampling_new_trace_id_received"))

    @property
    def decided_traces(self) -> int:
        """Traces that the samplers decided on, either way."""
        return round(text.total(self.sampler, "otelcol_processor_tail_sampling_global_count_traces_sampled"))

    @property
    def kept_traces(self) -> int:
        """Traces that the samplers decided to keep."""
        return round(
            text.total(self.sampler, "otelcol_processor_tail_sampling_global_count_traces_sampled", sampled="true")
        )

    @property
    def kept_by_policy(self) -> dict[str, int]:
        """Traces that each policy votes to keep; a trace counts for every policy that does."""
        counts = text.by_label(
            self.sampler, "otelcol_processor_tail_sampling_count_traces_sampled", "policy", sampled="true"
        )
        return {policy: round(count) for policy, count in counts.items()}

    @property
    def received_spans(self) -> int:
        """Spans that Tempo's distributors received."""
        return round(text.total(self.tempo, "tempo_distributor_spans_received"))

    @property
    def exported_spans(self) -> int:
        """Spans that the samplers' exporters delivered, added up over all destinations."""
        return round(text.total(self.sampler, "otelcol_exporter_sent_spans"))

    @property
    def lost(self) -> dict[str, int]:
        """Spans (dropped_too_early: traces) that are gone for good, by place. All zero in a healthy pipeline."""

        def count(samples: text.Samples, name: str) -> int:
            return round(text.total(samples, name))

        # What X-Ray did not take is sent again from the queue in front of its exporter.
        failed = text.by_label(self.sampler, "otelcol_exporter_send_failed_spans", "exporter")
        return {
            "gateway_send_failed_spans": count(self.gateway, "otelcol_exporter_send_failed_spans"),
            "gateway_enqueue_failed_spans": count(self.gateway, "otelcol_exporter_enqueue_failed_spans"),
            "sampler_dropped_too_early": count(
                self.sampler, "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early"
            ),
            "sampler_send_failed_spans": round(sum(n for name, n in failed.items() if not name.startswith("awsxray/"))),
            "sampler_enqueue_failed_spans": count(self.sampler, "otelcol_exporter_enqueue_failed_spans"),
            "tempo_discarded_spans": count(self.tempo, "tempo_discarded_spans"),
        }


class Counters:
    """Adds up counters over pods that come, go and begin anew, since the figures that it is made with. Pure."""

    def __init__(self, first: Figures) -> None:
        self._processes = {part: dict(found) for part, found in first.processes.items()}
        # By component and pod: what the process that is there now had counted when it was first asked, and last.
        self._first = {part: dict(getattr(first, part)) for part in COMPONENTS}
        self._last = {part: dict(getattr(first, part)) for part in COMPONENTS}
        self._ended: dict[str, list[text.Samples]] = {part: [] for part in COMPONENTS}
        self._interrupted: dict[str, dict[str, None]] = {part: {} for part in COMPONENTS}
        self._missing: dict[str, list[str]] = {}

    def add(self, now: Figures) -> Increase:
        """How far all went up by now. Components that were not read now keep what they had."""
        for part, processes in now.processes.items():
            known, samples = self._processes.setdefault(part, {}), getattr(now, part)
            for pod in [*known]:
                if pod not in processes:
                    self._end(part, pod)
            for pod, process in processes.items():
                values = samples.get(pod)
                if pod in known and (process != known[pod] or (values is not None and self._fell(part, pod, values))):
                    self._end(part, pod)
                if pod not in known:
                    # It began after the first figures: everything that it has counted counts.
                    known[pod] = process
                    self._first[part][pod] = self._last[part][pod] = {}
                if values is not None:
                    # One that did not answer at first counts from its first answer.
                    if pod not in self._first[part]:
                        self._interrupted[part][pod] = None
                    self._first[part].setdefault(pod, values)
                    self._last[part][pod] = values
            self._missing[part] = [pod for pod in processes if pod not in samples]
        interrupted = {
            part: tuple(self._interrupted[part] | dict.fromkeys(self._missing.get(part, ()))) for part in COMPONENTS
        }
        return Increase(
            **{part: text.add([*self._ended[part], *self._running(part)]) for part in COMPONENTS},
            interrupted={part: pods for part, pods in interrupted.items() if pods},
        )

    def _running(self, part: str) -> Iterator[text.Samples]:
        for pod, last in self._last[part].items():
            yield text.increase(self._first[part][pod], last)

    def _end(self, part: str, pod: str) -> None:
        del self._processes[part][pod]
        last = self._last[part].pop(pod, {})
        self._ended[part].append(text.increase(self._first[part].pop(pod, {}), last))
        self._interrupted[part][pod] = None

    def _fell(self, part: str, pod: str, values: text.Samples) -> bool:
        """Whether a counter is lower than before: the kubelet may tell of a restart later than the new process does."""
        last = self._last[part].get(pod, {})
        return any(
            value < last.get(series, value)
            for series, value in values.items()
            if series[0].removesuffix("_total") in COUNTERS
        )


# Counters that Increase reads, and the collector's uptime.
COUNTERS = frozenset(
    {
        "otelcol_process_uptime",
        "otelcol_receiver_accepted_spans",
        "otelcol_receiver_refused_spans",
        "otelcol_exporter_send_failed_spans",
        "otelcol_exporter_enqueue_failed_spans",
        "otelcol_processor_tail_sampling_early_releases_from_cache_decision",
        "otelcol_processor_tail_sampling_new_trace_id_received",
        "otelcol_processor_tail_sampling_global_count_traces_sampled",
        "otelcol_processor_tail_sampling_count_traces_sampled",
        "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early",
        "tempo_distributor_spans_received",
        "tempo_discarded_spans",
        "tempo_ingester_blocks_flushed",
    }
)


class Decisions:
    """Tells when the samplers have decided on everything that was sent. Times are seconds after the last span was sent.

    Their counters alone cannot, where other traffic counts too, where cached decisions are repeated, which count
    nowhere, or where a pod took its counts with it; the clock alone cannot, where spans waited in a queue.
    """

    def __init__(self, traces: int, spans: int, decision_wait: float) -> None:
        self.traces, self.spans, self.decision_wait = traces, spans, decision_wait
        self._arrived_at: float | None = None
        self._counted: tuple[int, ...] = ()
        self._moved_at = 0.0

    def made(self, elapsed: float, since: Increase) -> bool:
        """since: how far the counters went up since before the first span was sent."""
        if since.arrived_spans >= self.spans and self._arrived_at is None:
            self._arrived_at = elapsed
        counted = (since.arrived_spans, since.new_traces, since.decided_traces)
        if counted != self._counted:
            self._counted, self._moved_at = counted, elapsed
        if elapsed < self.decision_wait:
            return False
        if not since.sampler:
            # No metrics: the clock is all there is.
            return elapsed >= 2 * self.decision_wait
        if since.decided_traces >= self.traces:
            return True
        if since.flow_interrupted:
            # The counts stay incomplete. The last traces are decided once nothing has moved for this long; where other
            # traffic keeps the counts moving, spans that wait for a pod are re-routed within REROUTE_SECONDS.
            if elapsed >= self._moved_at + self.decision_wait + QUIET_SECONDS:
                return True
            return elapsed >= 2 * self.decision_wait + REROUTE_SECONDS
        if self._arrived_at is None:
            return False
        return since.decided_traces >= since.new_traces or elapsed >= self._arrived_at + 2 * self.decision_wait


class Pipeline:
    """Reads pods and metrics of one namespace."""

    def __init__(self, kube: Kube, namespace: str, selectors: Selectors, clock: Clock | None = None) -> None:
        self.kube, self.namespace, self.selectors, self.clock = kube, namespace, selectors, clock or Clock()

    def pods(self, selector: str) -> dict[str, bool]:
        """Pods of a label selector that are not being deleted: name → ready, sorted by name."""
        return {name: is_ready(item) for name, item in self.alive(selector).items()}

    def images(self) -> dict[str, list[str]]:
        """Images that run now, by component; several while one is being replaced."""
        components = {
            "gateways": self.selectors.gateway,
            "samplers": self.selectors.sampler,
            "distributors": self.selectors.distributor,
            "ingesters": self.selectors.ingester,
        }
        found = {}
        for component, selector in components.items():
            pods = self.alive(selector).values() if selector else ()
            images = {
                container["image"] for pod in pods for container in (pod.get("spec") or {}).get("containers") or ()
            }
            if images:
                found[component] = sorted(images)
        return found

    def alive(self, selector: str) -> dict[str, dict[str, Any]]:
        """The same as the API server lists them, by name."""
        try:
            items = self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods", selector)
        except PermissionDenied as error:
            remedy = f"Grant the verb list on pods in namespace {self.namespace} to the user of the kubeconfig."
            raise PermissionDenied(error.what, error.why, remedy, **error.details) from error
        alive = [item for item in items if "deletionTimestamp" not in item["metadata"]]
        return {item["metadata"]["name"]: item for item in sorted(alive, key=lambda item: item["metadata"]["name"])}

    def gateways(self, deadline: Deadline) -> list[str]:
        """Names of the ready gateway pods, as soon as there is one."""
        while True:
            pods = self.pods(self.selectors.gateway)
            if not pods:
                raise NotFound(
                    f"namespace {self.namespace} has no gateway pod with the labels {self.selectors.gateway}",
                    remedy="Check the options namespace and gateway_selector, and that the collector is installed.",
                )
            if ready := [name for name, answers in pods.items() if answers]:
                return ready
            if not deadline.wait(1.0):
                raise TimedOut(
                    f"none of the gateway pods {', '.join(pods)} in namespace {self.namespace} became ready in "
                    f"{deadline.seconds:.0f} s",
                    remedy="Look at their events and logs.",
                )

    def figures(self, components: Sequence[str] = COMPONENTS) -> Figures:
        """The metrics of all pods of these components, read at the same time."""
        selectors = {
            "gateway": (self.selectors.gateway,),
            "sampler": (self.selectors.sampler,),
            "tempo": (self.selectors.distributor, self.selectors.ingester),
        }
        found = Figures()
        for part in components:
            # The same pod may match both of Tempo's selectors.
            found.processes[part] = {
                pod: _process(item)
                for selector in selectors[part]
                if selector
                for pod, item in self.alive(selector).items()
            }
        targets = [
            (part, pod, TEMPO_PORT if part == "tempo" else COLLECTOR_METRICS_PORT)
            for part, processes in found.processes.items()
            for pod in processes
        ]
        for (part, pod, _port), samples in zip(
            targets, in_threads(lambda target: self.samples(*target[1:]), targets), strict=True
        ):
            if samples is None:
                found.missing.append(pod)
            else:
                getattr(found, part)[pod] = samples
        return found

    def samples(self, pod: str, port: int = COLLECTOR_METRICS_PORT) -> text.Samples | None:
        """The metrics of a pod; None if it does not answer."""
        try:
            answer = scrape(self.kube, self.namespace, pod, port)
        except Unreachable:
            return None
        return text.parse(answer.text) if answer.ok else None

    def flush(self, deadline: Deadline) -> list[str]:
        """Ask every ingester to cut and flush its blocks now. Returns the pods that did; refusals raise ApiError.

        Tempo 3 has no such request: its block-builders and single instances store what they have at intervals.
        """
        if not self.pods(self.selectors.ingester) and self.pods(self.selectors.builder):
            return []
        pods = [name for name, ready in self.pods(self.selectors.ingester).items() if ready]
        if not pods:
            raise NotFound(
                f"namespace {self.namespace} has no ready ingester pod with the labels {self.selectors.ingester}",
                remedy="Check the option ingester_selector.",
            )

        def one(pod: str) -> Response:
            return self.kube.proxy(
                "pods", self.namespace, pod, TEMPO_PORT, "flush", timeout=max(5.0, min(60.0, deadline.left))
            )

        done = []
        for pod, answer in zip(pods, in_threads(one, pods), strict=True):
            if answer.status == 403 and from_api_server(answer):
                raise proxy_denied("get", "pods", self.namespace, answer)
            if answer.status == 404 and not from_api_server(answer):
                continue
            if not answer.ok:
                raise refusal(f"GET /flush of pod {pod}", answer)
            done.append(pod)
        return done


def scrape(kube: Kube, namespace: str, pod: str, port: int) -> Response:
    """What a pod answers to GET /metrics. Unreachable if it does not; PermissionDenied without the right to proxy."""
    answer = kube.proxy("pods", namespace, pod, port, "metrics", timeout=10.0)
    if answer.status == 403 and from_api_server(answer):
        raise proxy_denied("get", "pods", namespace, answer)
    return answer


def _process(pod: Mapping[str, Any]) -> Process:
    containers = pod.get("status", {}).get("containerStatuses") or ()
    return pod["metadata"].get("uid", ""), sum(one.get("restartCount", 0) for one in containers)


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
