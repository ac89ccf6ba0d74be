# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Empties samplers before they are removed: takes them out of the Service by which gateways find samplers, and waits
until they have decided and sent everything.

A sampler that just ends decides at once on parts of traces, and its queue stays behind: in memory it is lost when the
destination does not answer, and on disk it stays on a volume that nothing reads any more, even if the destination does
answer. Source: persistentQueue.Shutdown of exporter/exporterhelper v0.159.0, which sends nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    NotFound,
    PermissionDenied,
    TimedOut,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Step, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, is_ready

# Of a sampler's pod. The Service has it in its selector, the StatefulSet does not: so the pod stays the StatefulSet's.
LABEL = "orion.tracing/receives-spans"
RECEIVES, DRAINED = "true", "false"
# A request of a gateway may still be on its way when the gateway has just forgotten the sampler.
LOOKS = 2
PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class SamplerPod:
    """labelled: whether it has the label at all; pods of earlier versions of the chart do not."""

    name: str
    ready: bool
    receives: bool
    labelled: bool

    @property
    def ordinal(self) -> int:
        return int(self.name.rpartition("-")[2])


def sampler_pods(items: Iterable[Mapping[str, Any]]) -> list[SamplerPod]:
    """Of pods as the API server lists them, in the order of their numbers."""
    found = []
    for item in items:
        label = (item["metadata"].get("labels") or {}).get(LABEL)
        found.append(SamplerPod(item["metadata"]["name"], is_ready(item), label == RECEIVES, label is not None))
    return sorted(found, key=lambda pod: pod.ordinal)


def label_steps(pods: Sequence[SamplerPod], replicas: int) -> list[Step]:
    """What makes the samplers 0 to replicas - 1 receive spans, and no others. Pure.

    NotFound for samplers without the label, which nothing takes out of the Service.
    """
    if old := [pod.name for pod in pods if not pod.labelled]:
        raise NotFound(
            f"{', '.join(old)} {'has' if len(old) == 1 else 'have'} no label {LABEL}",
            "an earlier version of the collector role has installed them",
            "Run playbooks/site.yml first.",
        )
    steps = []
    for pod in pods:
        if pod.receives != (pod.ordinal < replicas):
            what = "take {} out of the Service" if pod.receives else "put {} back into the Service"
            steps.append(Step(what.format(pod.name), "label", (pod.name, DRAINED if pod.receives else RECEIVES)))
    return steps


@dataclass
class Drain:
    """The samplers of a pipeline. timeout: seconds until they have to be empty. say: is called with progress."""

    pipeline: Pipeline
    timeout: float
    say: Callable[[str], None]

    def pods(self) -> list[SamplerPod]:
        return sampler_pods(self.pipeline.alive(self.pipeline.selectors.sampler).values())

    def label(self, step: Step) -> None:
        name, value = step.data
        namespace, body = self.pipeline.namespace, {"metadata": {"labels": {LABEL: value}}}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        try:
            self.pipeline.kube.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        except PermissionDenied as error:
            remedy = (
                f"Grant the verb patch on pods in namespace {namespace} to the user of the kubeconfig, or leave "
                "the samplers as they are (sampler_drain: false of the playbook scale_samplers)."
            )
            raise PermissionDenied(error.what, error.why, remedy, **error.details) from error

    def carry_out(self, steps: Sequence[Step], replicas: int, leaving: Sequence[str]) -> None:
        """Change the labels, and wait until the samplers that are leaving are empty.

        If that fails, all samplers receive spans again, also those that an earlier run took out.
        """
        try:
            run_steps(steps, self.label)
            if leaving:
                self.wait(replicas)
        except TracingError:
            with suppress(TracingError):
                pods = self.pods()
                # One of a lower number may be missing just now.
                every = max((pod.ordinal for pod in pods), default=-1) + 1
                run_steps(label_steps(pods, every), self.label)
            raise

    def wait(self, replicas: int) -> None:
        """Until the samplers from number replicas on hold nothing. TimedOut if they still do."""
        limit, empty, said = Deadline(self.pipeline.clock, self.timeout), 0, 0.0
        while True:
            reasons = list(self._reasons(replicas))
            empty = 0 if reasons else empty + 1
            if empty == LOOKS:
                return
            if reasons and limit.elapsed - said >= PROGRESS_SECONDS:
                said = limit.elapsed
                self.say(f"{said:.0f} s: {', '.join(reasons)}")
            if not limit.wait(1.0):
                raise TimedOut(
                    f"the samplers that are to go are not empty after {self.timeout:.0f} s",
                    ", ".join(reasons) or "they were only just empty",
                    "See whether the samplers' destinations answer, and try again; all samplers receive spans again.",
                )

    def _reasons(self, replicas: int) -> Iterator[str]:
        """Why they are not empty yet, for people."""
        pods = self.pods()
        for step in label_steps(pods, replicas):
            # One that was replaced meanwhile has the label of the StatefulSet's template.
            self.label(step)
            yield f"{step.data[0]} was replaced"
        known = sum(pod.ready for pod in pods if pod.ordinal < replicas)
        for gateway, ready in self.pipeline.pods(self.pipeline.selectors.gateway).items():
            if ready:
                yield from self._of_gateway(gateway, known)
        for pod in pods:
            if pod.ordinal >= replicas:
                yield from self._of_sampler(pod.name)

    def _of_gateway(self, name: str, known: int) -> Iterator[str]:
        samples = self.pipeline.samples(name)
        metric = "otelcol_loadbalancer_num_backends"
        if samples is None:
            yield f"{name} does not answer"
        elif text.has(samples, metric) and round(text.total(samples, metric)) != known:
            yield f"{name} sends to {round(text.total(samples, metric))} samplers instead of {known}"

    def _of_sampler(self, name: str) -> Iterator[str]:
        samples = self.pipeline.samples(name)
        if samples is None:
            yield f"{name} does not answer"
            return
        if undecided := round(text.total(samples, "otelcol_processor_tail_sampling_sampling_traces_on_memory")):
            yield f"{name} has {undecided:,} undecided traces"
        queues = text.by_label(samples, "otelcol_exporter_queue_size", "exporter", data_type="traces")
        for exporter, size in sorted(queues.items()):
            if size:
                yield f"{name} has {round(size):,} spans for {exporter} in its queue"
