# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Changes of workloads carried out: tried without effect first, applied, and waited for, all at the same time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PartialFailure,
    TimedOut,
    ToolError,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.helm import pulls
from ansible_collections.orion.tracing.plugins.module_utils.helm.diagnose import diagnose
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import injection, report
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import (
    NOT_READY,
    OWNED,
    RESOURCES,
    TEMPLATES,
    Document,
    Snapshot,
    Workload,
    assemble,
    read_modes,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.injection import Obstacle
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.progress import (
    Progress,
    may_remove_first,
    progress_of,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import (
    MANAGER,
    Entry,
    TemplateChange,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

# A policy is in effect about a second after it was created, on every API server for itself; the operator's webhook
# answers as soon as its pod does.
EFFECTIVE_SECONDS, EFFECTIVE_INTERVAL = 60.0, 1.0
POLL_SECONDS = 2.0
# How long something must stand in the way of a rollout without any progress until it counts as final.
PATIENCE_SECONDS = 20.0
CRASHES = 3
OBSTRUCTED = ("ImagePullBackOff", "ErrImagePull", *(name for name, kind in pulls.REASONS.items() if kind))


def owners(kube: Kube, entries: Iterable[Entry]) -> dict[tuple[str, str, str], str]:
    """Of the entries with kinds whose pods belong to something else, what they belong to. One request for each."""
    found = {}
    for entry in entries:
        if entry.kind in OWNED:
            document = kube.get(OWNED[entry.kind].url(entry.namespace, entry.name))
            if document:
                found[entry.key] = owner(kube, entry.namespace, document)
    return found


def owner(kube: Kube, namespace: str, document: Document) -> str:
    """The object at the top of a chain of owners, "" for none."""
    top = ""
    while reference := next(
        (o for o in document["metadata"].get("ownerReferences") or [] if o.get("controller")), None
    ):
        top = f"{reference['kind']} {reference['name']}"
        if reference["kind"] not in OWNED:
            return top
        document = kube.get(OWNED[reference["kind"]].url(namespace, reference["name"])) or {"metadata": {}}
    return top


# Trying


@dataclass(frozen=True)
class Trial:
    """What the API server answers to a change and to a pod of the changed template, without effect. findings: why the
    change would fail. injected: whether the pod would be instrumented, None where that cannot be found out."""

    change: TemplateChange
    findings: tuple[Finding, ...] = ()
    injected: bool | None = None
    doubt: str = ""


def try_changes(kube: Kube, changes: Sequence[TemplateChange], snapshot: Snapshot) -> list[Trial]:
    """Two dry runs for each change, at the same time."""
    return in_threads(lambda one: _try(kube, one, snapshot), [one for one in changes if one.document])


def _try(kube: Kube, change: TemplateChange, snapshot: Snapshot) -> Trial:
    try:
        after = apply(kube, change, dry_run=True)
    except TracingError as refused:
        what = f"the API server refuses to change {change.workload}"
        finding = error(change.place, what, refused.remedy or "Correct it, and run again.", refused.why)
        return Trial(change, (finding,))
    if change.absent:
        return Trial(change)
    return try_pod(kube, change, replace(change.workload, document=after), snapshot)


def try_pod(kube: Kube, change: TemplateChange, workload: Workload, snapshot: Snapshot) -> Trial:
    """A dry run of creating a pod of a workload's template."""
    answer = kube.send(
        "POST",
        f"/api/v1/namespaces/{quote(workload.namespace)}/pods",
        {"dryRun": "All", "fieldManager": MANAGER},
        body=json.dumps(pod_of(workload)).encode(),
        headers={"Content-Type": "application/json"},
    )
    if answer.ok:
        wanted = injection.asked(workload.annotations, snapshot.annotations_of(workload.namespace), workload.containers)
        return Trial(change, injected=report.is_instrumented(answer.json(), wanted))
    why = refusal("", answer).why
    if cannot_try(answer, why) or ("exceeded quota" in why and may_remove_first(workload.document)):
        return Trial(change, doubt=f"whether new pods of {workload} are instrumented was not tried: {why}")
    what = f"the API server would refuse the pods of {workload}"
    return Trial(change, (error(change.place, what, _refused_remedy(why), why),))


def cannot_try(answer: Response, why: str) -> bool:
    """Whether the refusal is about the trial: no permission to create pods, or a webhook that takes no dry runs."""
    return "cannot create resource" in why or "does not support dry run" in why or answer.status >= 500


def _refused_remedy(why: str) -> str:
    if "violates PodSecurity" in why:
        return "Correct the pod template, or the label pod-security.kubernetes.io/enforce of the namespace."
    if "exceeded quota" in why:
        return "Raise the quota, or lower instrumentation_init_resources."
    return "Correct the pod template."


def pod_of(workload: Workload) -> dict[str, Any]:
    """A pod as the workload's controller makes them, as far as admission is concerned."""
    template = workload.template
    metadata, spec = template.get("metadata") or {}, dict(template.get("spec") or {})
    claims = inside(workload.document, "spec", "volumeClaimTemplates") or []
    volumes = [
        {"name": one["metadata"]["name"], "persistentVolumeClaim": {"claimName": one["metadata"]["name"]}}
        for one in claims
    ]
    if volumes:
        spec["volumes"] = [*(spec.get("volumes") or []), *volumes]
    kept = {name: metadata[name] for name in ("labels", "annotations") if metadata.get(name)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "orion-tracing-trial-", "namespace": workload.namespace, **kept},
        "spec": spec,
    }


def await_injection(
    kube: Kube,
    trials: Sequence[Trial],
    snapshot: Snapshot,
    mode: str,
    clock: Clock,
    say: Callable[[str], None],
    seconds: float = EFFECTIVE_SECONDS,
) -> list[Finding]:
    """Wait until new pods of all changed workloads would be instrumented. Findings about those that would not be."""
    deadline = Deadline(clock, seconds)
    waiting = [one for one in trials if one.injected is False]
    modes = snapshot.modes
    while waiting:
        hopeless = [one for one in waiting if _final(one, replace(snapshot, modes=modes))]
        if hopeless or not deadline.wait(EFFECTIVE_INTERVAL):
            break
        say(f"waiting until the {'operator' if mode == 'operator' else 'policy'} instruments new pods")
        modes = read_modes(kube)
        if mode == "operator" and modes.webhook == NOT_READY:
            continue
        again = in_threads(lambda one: _retry(kube, one, snapshot), waiting)
        waiting = [one for one in again if one.injected is False]
    return [_not_injected(one, replace(snapshot, modes=modes)) for one in waiting]


def _retry(kube: Kube, trial: Trial, snapshot: Snapshot) -> Trial:
    after = apply(kube, trial.change, dry_run=True)
    return try_pod(kube, trial.change, replace(trial.change.workload, document=after), snapshot)


def _after(trial: Trial) -> Workload:
    """The workload with the annotations that it gets, for reasons."""
    document = trial.change.document or {}
    path = TEMPLATES[trial.change.workload.kind]
    new = inside(document, *path, "metadata", "annotations") or {}
    template = dict(trial.change.workload.template)
    metadata = dict(template.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **new}
    body: Any = {**template, "metadata": metadata}
    for key in reversed(path):
        body = {key: body}
    return replace(trial.change.workload, document={**trial.change.workload.document, **body})


def _reason(trial: Trial, snapshot: Snapshot) -> Obstacle | None:
    after = _after(trial)
    wanted = injection.asked(after.annotations, snapshot.annotations_of(after.namespace), after.containers)
    return report.obstacle(after, wanted, snapshot)


def _final(trial: Trial, snapshot: Snapshot) -> bool:
    """Whether waiting longer is of no use."""
    reason = _reason(trial, snapshot)
    return reason is not None and reason.code != "operator_not_ready"


def _not_injected(trial: Trial, snapshot: Snapshot) -> Finding:
    reason = _reason(trial, snapshot) or Obstacle(
        "not_injected",
        "the API server accepts its pods without the agent",
        "Check that nothing else, such as a container that sets its own agent, keeps the policy from it "
        "(orion.tracing.instrumentation_info).",
    )
    what = f"new pods of {trial.change.workload} would not be instrumented"
    return error(trial.change.place, what, reason.remedy, reason.why)


# Applying


def apply(kube: Kube, change: TemplateChange, dry_run: bool = False) -> dict[str, Any]:
    """Server-side apply. Forced, since RESTARTED_AT may have another owner; what others own is left out beforehand."""
    workload = change.workload
    path = RESOURCES[workload.kind].url(workload.namespace, workload.name)
    return kube.apply(path, dict(change.document or {}), dry_run, force=True, manager=MANAGER)


def apply_all(kube: Kube, steps: Sequence[TemplateChange]) -> None:
    """Changes with a document. PartialFailure if one of several fails."""

    def one(change: TemplateChange) -> TracingError | None:
        try:
            apply(kube, change)
        except TracingError as failed:
            return failed
        return None

    outcomes = list(zip(steps, in_threads(one, steps), strict=True))
    failures = [(change, failed) for change, failed in outcomes if failed]
    if len(outcomes) == 1 and failures:
        raise failures[0][1]
    if failures:
        raise PartialFailure(
            f"{len(failures)} of {len(outcomes)} workloads could not be changed",
            "; ".join(f"{change.workload}: {failed}" for change, failed in failures),
            done=[change.name for change, failed in outcomes if not failed],
            failed=[change.name for change, _failed in failures],
        )


# Waiting


@dataclass
class Observed:
    """What has been seen of one rollout. since: seconds of the clock at which it last went on."""

    workload: Workload
    progress: Progress
    since: float
    failure: Obstacle | None = None


@dataclass
class Waiter:
    """Waits for rollouts. started: RFC 3339 time before which no pod counts. calls: one for each workload and one or
    two for each namespace, every POLL_SECONDS."""

    kube: Kube
    clock: Clock
    say: Callable[[str], None]
    started: str
    seen: dict[tuple[str, str, str], Observed] = field(default_factory=dict)

    def wait(self, changed: Mapping[tuple[str, str, str], Workload], seconds: float) -> None:
        """Until all rollouts are done. ToolError as soon as one cannot succeed, TimedOut when the time is over."""
        deadline = Deadline(self.clock, seconds)
        pending = dict(changed)
        while pending:
            for observed in self._look(list(pending.values())):
                if observed.progress.done:
                    del pending[observed.workload.key]
            failed = [one for key, one in self.seen.items() if key in pending and one.failure]
            if failed:
                raise ToolError(
                    f"the rollout of {failed[0].workload} cannot succeed",
                    "; ".join(one.failure.why for one in failed if one.failure),
                    " ".join(dict.fromkeys(one.failure.remedy for one in failed if one.failure)),
                    not_ready=[str(one) for one in pending.values()],
                )
            if pending and not deadline.wait(POLL_SECONDS):
                raise self._late(pending, seconds)

    def _look(self, workloads: Sequence[Workload]) -> list[Observed]:
        spaces = sorted({one.namespace for one in workloads})
        documents = in_threads(
            lambda one: self.kube.request("GET", RESOURCES[one.kind].url(one.namespace, one.name)), workloads
        )
        lists = in_threads(lambda name: self.kube.list(f"/api/v1/namespaces/{quote(name)}/pods"), spaces)
        pods = [pod for listed in lists for pod in listed]
        by_kind: dict[str, list[Document]] = {}
        for one, document in zip(workloads, documents, strict=True):
            by_kind.setdefault(one.kind, []).append({"kind": one.kind, **document})
        current = assemble(by_kind, pods)
        refused = self._refused(spaces) if any(one.kind in ("StatefulSet", "DaemonSet") for one in workloads) else {}
        return [self._observe(current[one.key], refused) for one in workloads]

    def _refused(self, spaces: Sequence[str]) -> dict[tuple[str, str, str], str]:
        """Workloads whose controller cannot create pods, with its message. Deployments have a condition for it."""
        lists = in_threads(
            lambda name: self.kube.list(
                f"/api/v1/namespaces/{quote(name)}/events", field_selector="reason=FailedCreate"
            ),
            spaces,
        )
        found = {}
        for event in (one for listed in lists for one in listed):
            about = event.get("involvedObject") or {}
            when = str(event.get("lastTimestamp") or event.get("eventTime") or "")
            if when[:19] >= self.started[:19]:
                key = (str(about.get("kind")), str(about.get("namespace")), str(about.get("name")))
                found[key] = str(event.get("message") or "")
        return found

    def _observe(self, workload: Workload, refused: Mapping[tuple[str, str, str], str]) -> Observed:
        progress = progress_of(workload.document)
        before = self.seen.get(workload.key)
        now = self.clock.monotonic()
        if before is None or before.progress.text != progress.text:
            self.say(f"{workload}: {progress.text}")
        stuck_since = now if before is None or progress.counts != before.progress.counts else before.since
        observed = Observed(workload, progress, stuck_since)
        if not progress.done:
            stuck = now - stuck_since >= PATIENCE_SECONDS
            observed.failure = self._fault(workload, progress, refused.get(workload.key, ""), stuck)
        self.seen[workload.key] = observed
        return observed

    def _fault(self, workload: Workload, progress: Progress, refused: str, stuck: bool) -> Obstacle | None:
        """Why a rollout cannot succeed, as soon as that is certain."""
        new = [pod for pod in workload.pods if str(pod["metadata"].get("creationTimestamp", "")) >= self.started]
        return (
            self._agent(workload, new, stuck)
            or self._crash(workload, new)
            or _stopped(workload, progress, refused, stuck)
        )

    def _agent(self, workload: Workload, pods: Sequence[Document], stuck: bool) -> Obstacle | None:
        """An image that cannot be pulled, or an agent's init container that fails."""
        for pod in pods:
            for status in _statuses(pod):
                name, waiting = str(status["name"]), inside(status, "state", "waiting") or {}
                reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
                final = bool(pulls.REASONS.get(reason)) or bool(pulls.final(message))
                if reason in OBSTRUCTED and (final or stuck):
                    if name in report.INIT_CONTAINERS:
                        return report.blocked_by_agent(pod, name, reason, message)
                    return Obstacle(
                        "image",
                        f"container {name} of pod {pod['metadata']['name']} cannot pull {report.image_of(pod, name)} "
                        f"({reason}: {pulls.WRAPPING.sub('', message)[:400]})",
                        f"Correct the image of {workload}.",
                    )
                if name in report.INIT_CONTAINERS and reason == "CrashLoopBackOff":
                    return report.blocked_by_agent(pod, name, reason, self._log(workload, pod) or message)
        return None

    def _crash(self, workload: Workload, pods: Sequence[Document]) -> Obstacle | None:
        for pod in pods:
            for status in inside(pod, "status", "containerStatuses") or []:
                reason = inside(status, "state", "waiting", "reason")
                if reason == "CrashLoopBackOff" and int(status.get("restartCount") or 0) >= CRASHES:
                    ended = f"container {status['name']} of pod {pod['metadata']['name']} starts and ends again"
                    return Obstacle(
                        "crash",
                        self._log(workload, pod) or ended,
                        "If it worked before, the agent may be the cause: set the workload's state to absent, or run "
                        f"kubectl -n {workload.namespace} rollout undo {workload.kind.lower()}/{workload.name}. "
                        f"{report.DOCUMENTATION} lists known traps.",
                    )
        return None

    def _log(self, workload: Workload, pod: Document) -> str:
        """The end of the log of what failed, in one line."""
        document = {"kind": "Pod", "metadata": pod["metadata"]}
        return "; ".join(diagnose(self.kube, workload.namespace, [document], self.started))

    def _late(self, pending: Mapping[tuple[str, str, str], Workload], seconds: float) -> TimedOut:
        lines = [f"{workload}: {self.seen[key].progress.text}" for key, workload in pending.items()]
        for namespace in sorted({one.namespace for one in pending.values()}):
            documents = [
                {"kind": self.seen[key].workload.kind, **self.seen[key].workload.document}
                for key, one in pending.items()
                if one.namespace == namespace
            ]
            lines += diagnose(self.kube, namespace, documents, self.started)
        return TimedOut(
            f"{len(pending)} rollout{'s' if len(pending) > 1 else ''} did not end within {seconds:g} seconds",
            "\n".join(lines),
            "The pods from before serve on where the strategy keeps them. Correct the cause, or raise "
            "instrumentation_wait_timeout.",
            not_ready=[str(one) for one in pending.values()],
        )


def _statuses(pod: Document) -> list[Document]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _stopped(workload: Workload, progress: Progress, refused: str, stuck: bool) -> Obstacle | None:
    """The controller itself gives up, or may not create pods."""
    why = progress.failure or refused
    if not why or not (stuck or "deadline" in why or "violates PodSecurity" in why):
        return None
    return Obstacle("stopped", f"{workload}: {why}", _refused_remedy(why))
