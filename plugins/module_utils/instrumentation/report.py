# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which workloads are instrumented, why others are not, and what to do about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.helm import pulls
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import injection
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import (
    NOT_READY,
    Document,
    Modes,
    Snapshot,
    Workload,
    created,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.injection import Asked, Obstacle
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    AGENTS,
    LANGUAGES,
    RESOURCE_ATTRIBUTES,
    SAMPLER,
    SAMPLER_ARGUMENT,
    SERVICE_NAME,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.modes import AUTO, resolved
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.progress import progress_of
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import tag_and_digest
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import KIND

YES, PARTLY, NO, NO_PODS = "yes", "partly", "no", "no pods"
REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
INIT_CONTAINERS = {language.injected: language.name for language in AGENTS}
DOCUMENTATION = "docs/instrument-your-service.md"


@dataclass(frozen=True)
class Row:
    """One workload. instrumented: YES, PARTLY, NO or NO_PODS. agents: language → image of the agent. spans: how many
    were counted lately, None where that is not known. code, why, remedy: of an Obstacle, empty where all is well."""

    namespace: str
    kind: str
    name: str
    instrumented: str = NO
    pods: int = 0
    pods_instrumented: int = 0
    languages: tuple[str, ...] = ()
    agents: Mapping[str, str] | None = None
    service_name: str = ""
    endpoint: str = ""
    sampler: str = ""
    sampler_argument: str = ""
    spans: int | None = None
    code: str = ""
    why: str = ""
    remedy: str = ""

    @property
    def versions(self) -> dict[str, str]:
        return {language: version_of(image) for language, image in (self.agents or {}).items() if image}

    def with_problem(self, problem: Obstacle | None) -> Row:
        return replace(self, code=problem.code, why=problem.why, remedy=problem.remedy) if problem else self

    def result(self) -> dict[str, Any]:
        """As plain data."""
        return {
            **asdict(self),
            "languages": list(self.languages),
            "agents": dict(self.agents or {}),
            "agent_versions": self.versions,
        }

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def row_of(workload: Workload, snapshot: Snapshot) -> Row:
    """What there is to say about a workload, without its spans."""
    wanted = injection.asked(workload.annotations, snapshot.annotations_of(workload.namespace), workload.containers)
    done = [pod for pod in workload.pods if is_instrumented(pod, wanted)]
    agents: dict[str, str] = {}
    for pod in sorted(done, key=created):
        agents |= injection.injected(pod)
    shown = max(done, key=created, default=workload.template)
    languages = tuple(sorted(agents or wanted.languages))
    variables = variables_of(shown, _containers(wanted, agents, workload.containers))
    row = Row(
        workload.namespace,
        workload.kind,
        workload.name,
        NO_PODS if not workload.pods else YES if len(done) == len(workload.pods) else PARTLY if done else NO,
        len(workload.pods),
        len(done),
        languages,
        agents,
        service_name(variables) if agents else "",
        next((variables[name] for name in reversed(injection.ENDPOINTS) if name in variables), ""),
        variables.get(SAMPLER, ""),
        variables.get(SAMPLER_ARGUMENT, ""),
    )
    return row.with_problem(_problem(workload, wanted, snapshot, row))


def is_instrumented(pod: Document, wanted: Asked) -> bool:
    """Whether a pod has all that is asked for; without annotations, whether it has anything."""
    found = injection.injected(pod)
    languages = wanted.languages
    if injection.SDK in languages and found:
        found = {**found, injection.SDK: ""}
    return bool(found) and set(languages) <= set(found)


def _containers(wanted: Asked, agents: Mapping[str, str], containers: Sequence[str]) -> list[str]:
    """Those whose environment is shown: of the languages that were injected, or all."""
    named = [name for language in agents for name in wanted.languages.get(language, ())]
    return named or list(containers)


def _problem(workload: Workload, wanted: Asked, snapshot: Snapshot, row: Row) -> Obstacle | None:
    if row.instrumented == YES:
        return (
            _blocked(workload)
            or _crashing(workload, wanted)
            or next(iter(wanted.problems), None)
            or _musl(workload, row)
            or _disabled(variables_of(workload.pods[0], _containers(wanted, row.agents or {}, workload.containers)))
        )
    return (
        next(iter(wanted.problems), None)
        or _not_asked(workload, wanted)
        or obstacle(workload, wanted, snapshot)
        or _blocked(workload)
        or _crashing(workload, wanted)
        or _unfinished(workload)
        or _restart(workload, wanted, snapshot)
    )


def obstacle(workload: Workload, wanted: Asked, snapshot: Snapshot) -> Obstacle | None:
    """What keeps a new pod of the workload from being instrumented as its annotations ask for."""
    if wanted.problems:
        return wanted.problems[0]
    both = {**snapshot.annotations_of(workload.namespace), **workload.annotations}
    for language, containers in wanted.languages.items():
        problem = (
            injection.wrong_platform(both, LANGUAGES[language])
            or _not_installed(language, workload, snapshot)
            or injection.left_alone(workload.template, LANGUAGES[language], containers)
        )
        if problem:
            return problem
    return None


def _not_asked(workload: Workload, wanted: Asked) -> Obstacle | None:
    if wanted.languages:
        return None
    if wanted.opted_out:
        language, place = next(iter(wanted.opted_out.items()))
        where = f"namespace {workload.namespace}" if place == "namespace" else "pod template"
        return Obstacle(
            "opted_out",
            f'the {where} sets {injection.INJECT}{language} to "false"',
            f'Set it to "true" on the pod template to instrument {workload}.',
        )
    own = inside(workload.document, "metadata", "annotations") or {}
    misplaced = next((name for name in own if name.startswith(injection.INJECT)), "")
    if misplaced:
        return Obstacle(
            "misplaced_annotation",
            f"the annotation {misplaced} is on the {workload.kind} itself, where it has no effect",
            f"Set it on the pod template ({'.'.join(_template_path(workload))}.metadata.annotations).",
        )
    return Obstacle(
        "no_annotation",
        "neither the pod template nor the namespace has an annotation",
        f'Set {injection.INJECT}LANGUAGE to "true" on the pod template, with one of '
        f"{', '.join(LANGUAGES)}, or list the workload in instrumentation_workloads.",
    )


def _template_path(workload: Workload) -> tuple[str, ...]:
    return ("spec", "jobTemplate", "spec", "template") if workload.kind == "CronJob" else ("spec", "template")


def _not_installed(language: str, workload: Workload, snapshot: Snapshot) -> Obstacle | None:
    """Why nothing in the cluster injects this language into this namespace."""
    modes = snapshot.modes
    effective = modes.effective(language)
    labels = snapshot.labels_of(workload.namespace)
    if any(policy.covers(labels) for policy in effective):
        return None
    if modes.instrumentations:
        value = {**snapshot.annotations_of(workload.namespace), **workload.annotations}[injection.INJECT + language]
        if problem := _instrumentation(value, language, workload, modes):
            return problem
        if modes.webhook == NOT_READY:
            return Obstacle(
                "operator_not_ready",
                "no pod answers for the webhook of the OpenTelemetry Operator",
                "Check the operator's pods and its certificate, then restart the workload.",
            )
        return None
    if effective:
        return Obstacle(
            "namespace_excluded",
            f"policy {effective[0].name} leaves out namespace {workload.namespace}",
            "Remove the namespace from instrumentation_excluded_namespaces and run the playbook.",
        )
    if "mutatingadmissionpolicies" in modes.unreadable or "mutatingadmissionpolicybindings" in modes.unreadable:
        return None
    unbound = next((one.name for one in modes.policies if language == one.language), "")
    if unbound:
        why, remedy = f"policy {unbound} has no binding", "Run the playbook again."
    else:
        why = f"no policy for {language} is installed"
        remedy = f"Add {language} to instrumentation_languages and run the playbook."
        if not modes.policies:
            remedy = f"Run the playbook site with instrumentation_enabled, and {language} in instrumentation_languages."
    if not modes.policy_version:
        why = f"the cluster serves neither {KIND} nor the OpenTelemetry Operator's Instrumentation"
        remedy = (
            f"Upgrade to Kubernetes 1.36, switch the feature gate {KIND} on (1.34), install the "
            "operator, or set instrumentation_mode to sdk for services that bring their own SDK."
        )
        if modes.operator_version:
            why = "the OpenTelemetry Operator is there, but no Instrumentation resource"
            remedy = "Run the playbook with instrumentation_mode auto or operator."
    return Obstacle("policy_not_installed", why, remedy)


def _instrumentation(value: str, language: str, workload: Workload, modes: Modes) -> Obstacle | None:
    """An annotation by which the operator finds no Instrumentation, or more than one.
    Source: https://github.com/open-telemetry/opentelemetry-operator, internal/instrumentation/podmutator.go
    """
    here = [one for one in modes.instrumentations if one.startswith(f"{workload.namespace}/")]
    if value.lower() == "true":
        found = len(here) == 1
    else:
        found = (value if "/" in value else f"{workload.namespace}/{value}") in modes.instrumentations
    if found:
        return None
    return Obstacle(
        "instrumentation_not_found",
        f"the annotation {injection.INJECT}{language} is '{value}', and the operator finds "
        + ("several Instrumentations" if value.lower() == "true" and here else "no Instrumentation")
        + " by that",
        f"Set it to {' or '.join(modes.instrumentations)}.",
    )


def _blocked(workload: Workload) -> Obstacle | None:
    """An agent's init container that keeps a pod from starting."""
    for pod in workload.pods:
        for status in inside(pod, "status", "initContainerStatuses") or []:
            name = str(status["name"])
            waiting = inside(status, "state", "waiting") or {}
            reason = str(waiting.get("reason") or "")
            if name in INIT_CONTAINERS and reason not in ("", "PodInitializing", "ContainerCreating"):
                return blocked_by_agent(pod, name, reason, str(waiting.get("message") or ""))
    return None


def blocked_by_agent(pod: Document, container: str, reason: str, message: str) -> Obstacle:
    """The problem of an init container with an agent that cannot start."""
    language = INIT_CONTAINERS[container]
    image = image_of(pod, container)
    message = " ".join(pulls.WRAPPING.sub("", message).split())[:400] or "no reason given"
    off = f'or set the annotation {injection.INJECT}{language} to "false"'
    if "Image" in reason:
        return Obstacle(
            "agent_image",
            f"init container {container} of pod {pod['metadata']['name']} cannot pull {image} ({reason}: "
            f"{message[:400]}); the pod waits for it",
            f"Set instrumentation_{language}_image_repository and instrumentation_{language}_image_tag to an image "
            f"that the nodes can pull, {off}.",
        )
    return Obstacle(
        "agent_failed",
        f"init container {container} ({image}) of pod {pod['metadata']['name']} fails ({reason}: {message}); the "
        "pod waits for it",
        f"Read its log (kubectl -n {pod['metadata']['namespace']} logs {pod['metadata']['name']} -c {container}), "
        f"{off}.",
    )


def _crashing(workload: Workload, wanted: Asked) -> Obstacle | None:
    """A container that ends again and again since it has the agent."""
    for pod in workload.pods:
        for status in inside(pod, "status", "containerStatuses") or [] if is_instrumented(pod, wanted) else []:
            if inside(status, "state", "waiting", "reason") == "CrashLoopBackOff":
                count = status.get("restartCount")
                return Obstacle(
                    "crash",
                    f"container {status['name']} of pod {pod['metadata']['name']} ended {count} times",
                    f"Read its log (kubectl -n {workload.namespace} logs {pod['metadata']['name']} -c {status['name']} "
                    f"--previous). {DOCUMENTATION} lists known traps.",
                )
    return None


def _unfinished(workload: Workload) -> Obstacle | None:
    """New pods may come without anybody's help."""
    progress = progress_of({"kind": workload.kind, **workload.document}) if workload.document else None
    if progress is None or progress.done:
        return None
    remedy = "Wait for it."
    if workload.kind != "CronJob":
        target = f"{workload.kind.lower()}/{workload.name}"
        remedy = f"Wait for it: kubectl -n {workload.namespace} rollout status {target}"
    return Obstacle("rollout", f"its rollout has not ended ({progress.text})", remedy)


def image_of(pod: Document, container: str) -> str:
    spec = pod.get("spec") or {}
    both = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return next((str(one.get("image")) for one in both if one["name"] == container), "")


def _restart(workload: Workload, wanted: Asked, snapshot: Snapshot) -> Obstacle | None:
    """Nothing is wrong but the age of the pods."""
    waiting = [pod for pod in workload.pods if not is_instrumented(pod, wanted)]
    if not waiting:
        return None
    since = [policy.created for language in wanted.languages for policy in snapshot.modes.effective(language)]
    old = [pod for pod in waiting if since and created(pod) < max(since)]
    count = f"{len(waiting)} pod{'s' if len(waiting) > 1 else ''}"
    if len(old) == len(waiting):
        why = f"{count} started before the policy"
    else:
        why = f"{count} started without the agent, before the annotation was set or while nothing injected it"
    return Obstacle("restart_needed", why, restart_remedy(workload))


def restart_remedy(workload: Workload) -> str:
    """The command that gives a workload new pods."""
    if workload.kind in ("Deployment", "StatefulSet", "DaemonSet"):
        kind = workload.kind.lower()
        return f"Restart it: kubectl -n {workload.namespace} rollout restart {kind}/{workload.name}"
    if workload.kind in ("CronJob", "Job"):
        return "Its next run is instrumented."
    return f"Delete and create {workload} again; whoever owns it may do so by itself."


def _musl(workload: Workload, row: Row) -> Obstacle | None:
    """The agent for glibc in an image that has another C library, as far as its name shows that."""
    for name in row.languages:
        annotation, platforms = LANGUAGES[name].platform_annotation, LANGUAGES[name].platforms
        musl = next((platform for platform in platforms if "musl" in platform), "")
        for container in inside(workload.template, "spec", "containers") or [] if musl else []:
            image = str(container.get("image"))
            if "alpine" in image and workload.annotations.get(annotation) != musl:
                return Obstacle(
                    "musl",
                    f"image {image} looks like Alpine Linux, whose C library is musl, and the agent is that for glibc",
                    f"Set the annotation {annotation} to {musl} on the pod template.",
                )
    return None


def _disabled(variables: Mapping[str, str]) -> Obstacle | None:
    """Settings of the workload itself with which an agent sends nothing."""
    text = {name: value.strip().lower() for name, value in variables.items()}
    off = {
        "OTEL_SDK_DISABLED": ("true",),
        "OTEL_TRACES_EXPORTER": ("none",),
        "OTEL_JAVAAGENT_ENABLED": ("false",),
        SAMPLER: ("always_off", "parentbased_always_off"),
    }
    name = next((name for name, values in off.items() if text.get(name) in values), "")
    if not name and "traceidratio" in text.get(SAMPLER, "") and _is_zero(text.get(SAMPLER_ARGUMENT, "1")):
        name = SAMPLER_ARGUMENT
    if not name:
        return None
    return Obstacle(
        "switched_off",
        f"{name} is {variables[name]}, so no spans are sent",
        "Change it in the pod template, or in instrumentation_sampler, instrumentation_sampler_argument or "
        "instrumentation_environment.",
    )


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:
        return False


def variables_of(pod: Document, containers: Sequence[str]) -> dict[str, str]:
    """Variables of the first of these containers that has an endpoint, or else of the first one: those with values, or
    of the pod's own fields, with references to each other replaced."""
    found = [_variables(pod, one) for one in inside(pod, "spec", "containers") or [] if one["name"] in containers]
    return next((one for one in found if one.keys() & set(injection.ENDPOINTS)), found[0] if found else {})


def _variables(pod: Document, container: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in container.get("env") or []:
        value = one.get("value")
        if value is None:
            value = _field(pod, str(inside(one, "valueFrom", "fieldRef", "fieldPath") or ""))
        if value is not None:
            found[one["name"]] = _expanded(str(value), found)
    return found


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """$(NAME) replaced, as the kubelet does."""
    return REFERENCE.sub(lambda match: known.get(match[1], match[0]), value)


def _field(pod: Document, path: str) -> str | None:
    """A field of the downward API."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        value = (inside(pod, "metadata", match[1]) or {}).get(match[2])
    else:
        value = inside(pod, *path.split(".")) if path else None
    return None if value is None else str(value)


def service_name(variables: Mapping[str, str]) -> str:
    """The service.name of an SDK with this environment: OTEL_SERVICE_NAME takes precedence.
    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
    """
    if variables.get(SERVICE_NAME):
        return variables[SERVICE_NAME]
    pairs = [pair.strip().partition("=") for pair in variables.get(RESOURCE_ATTRIBUTES, "").split(",")]
    return next((value for name, _sign, value in pairs if name == "service.name"), "")


def version_of(image: str) -> str:
    """The tag of an image, or its digest."""
    tag, digest = tag_and_digest(image)
    return tag or digest


def with_spans(rows: Iterable[Row], spans: Mapping[str, int] | None, minutes: int) -> list[Row]:
    """Rows with the spans of their services. spans: by service.name, None where they are not known."""
    return [_with_spans(row, spans, minutes) for row in rows]


def _with_spans(row: Row, spans: Mapping[str, int] | None, minutes: int) -> Row:
    if spans is None or not row.service_name:
        return row
    row = replace(row, spans=spans.get(row.service_name, 0))
    if row.spans or row.code or row.instrumented != YES:
        return row
    return row.with_problem(
        Obstacle(
            "no_spans",
            f"instrumented, but no span of service {row.service_name} was counted in the last {minutes} minutes",
            "Send it a request: without traffic there are no spans. If there are still none, read the log for errors "
            f"of the exporter (kubectl -n {row.namespace} logs {_target(row)}): {row.endpoint or 'the endpoint'} must "
            "be reachable, so namespaces have to be in collector_network_policy_clients if that is set. A static "
            f"binary, such as one in Go, loads no agent, and some servers load it wrongly: see {DOCUMENTATION}.",
        )
    )


def _target(row: Row) -> str:
    return f"{row.kind.lower()}/{row.name}"


def rows(snapshot: Snapshot, namespace: str = "", name: str = "") -> list[Row]:
    """A row for each workload of the namespace, by namespace, kind and name; of all namespaces, only of those with an
    annotation or an agent. name: only workloads of this name."""
    found = [row_of(one, snapshot) for one in snapshot.workloads.values() if not name or one.name == name]
    kept = [row for row in found if namespace or name or row.languages or row.code not in ("", "no_annotation")]
    return sorted(kept, key=lambda row: (row.namespace, row.kind, row.name))


def check_name(found: Sequence[Row], snapshot: Snapshot, namespace: str, name: str) -> None:
    """NotFound for a name that no workload has."""
    if found or not name:
        return
    where = f"namespace {namespace}" if namespace else "the cluster"
    near = injection.nearest(name, [one.name for one in snapshot.workloads.values()])
    raise NotFound(
        f"{where} has no workload {name}", remedy=f"Did you mean {near}?" if near else "Check its name and namespace."
    )


def table(found: Sequence[Row], one_namespace: bool, unknown: str = "") -> str:
    """Rows for people, with the reasons and remedies below. unknown: why numbers of spans are, "" where they are known;
    without them there is no column for them."""
    if not found:
        return "No workloads."
    head = ("WORKLOAD", "INSTRUMENTED", "LANGUAGE", "AGENT", "SERVICE", "SAMPLER", "SPANS")
    lines = [head, *(_line(row, one_namespace) for row in found)]
    if unknown:
        lines = [line[:-1] for line in lines]
    notes = _notes(found)
    if unknown and any(row.service_name for row in found):
        notes.append(f"The numbers of spans are unknown: {unknown}.")
    return "\n".join([align(lines, {6}), *([""] if notes else []), *notes])


def _notes(found: Iterable[Row]) -> list[str]:
    """One note for all workloads of which the same is to be said."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in found:
        if row.why:
            names.setdefault((row.why, row.remedy), []).append(str(row))
    return [f"{', '.join(same)}: {why}.\n    {remedy}" for (why, remedy), same in names.items()]


def _line(row: Row, one_namespace: bool) -> tuple[str, ...]:
    name = f"{row.kind} {row.name}" if one_namespace else str(row)
    state = f"{row.pods_instrumented} of {row.pods}" if row.instrumented == PARTLY else row.instrumented
    if row.code in ("agent_image", "agent_failed"):
        state = "blocked"
    sampler = " ".join(filter(None, (row.sampler, row.sampler_argument)))
    return (
        name,
        state,
        ", ".join(row.languages) or "-",
        ", ".join(dict.fromkeys(row.versions.values())) or "-",
        row.service_name or "-",
        sampler or "-",
        "-" if row.spans is None else str(row.spans),
    )


def summary(found: Sequence[Row], namespace: str) -> str:
    """One sentence about all rows."""
    where = f"namespace {namespace}" if namespace else "the cluster"
    done = sum(row.instrumented == YES for row in found)
    waiting = sum(row.code == "restart_needed" for row in found)
    text = f"{done} of {len(found)} workloads of {where} are instrumented"
    return f"{text}; {waiting} must be restarted." if waiting else f"{text}."


def modes_result(modes: Modes) -> dict[str, Any]:
    """What can instrument pods in the cluster, as plain data."""
    return {
        "resolved": resolved(AUTO, modes.serves),
        "policy": {
            "version": modes.policy_version,
            "policies": [{"name": one.name, "language": one.language, "bound": one.bound} for one in modes.policies],
        },
        "operator": {
            "version": modes.operator_version,
            "webhook": modes.webhook,
            "instrumentations": list(modes.instrumentations),
        },
        "unreadable": list(modes.unreadable),
    }
