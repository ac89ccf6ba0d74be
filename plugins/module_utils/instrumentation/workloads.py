# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which pod templates change so that the listed workloads are instrumented. Pure.

A template gets annotations, and variables of the environment where they are asked for, by server-side apply under a
field manager of its own: what is not asked for any more is removed by the API server, and nothing else is.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import injection, report
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import (
    OWNED,
    RESOURCES,
    TEMPLATES,
    Document,
    Snapshot,
    Workload,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import plain, sdk_environment
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.injection import SDK
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    LANGUAGES,
    SAMPLER,
    SAMPLER_ARGUMENT,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import annotation_value
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import KIND

MANAGER = "orion.tracing.instrumentation"
# The annotation of kubectl rollout restart.
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
PRESENT, ABSENT = "present", "absent"
KEYS = ("namespace", "kind", "name", "language", "containers", "sampler_argument", "state")
# Kinds that people list although their pods come about in another way, and what to list instead.
INSTEAD = {
    "Job": "The template of a Job cannot be changed: set the annotation in its manifest and create it again.",
    "Pod": "A pod cannot be changed once it runs: set the annotation in its manifest and create it again.",
    "ReplicaSet": "A ReplicaSet does not replace its pods: use a Deployment.",
}
WITHHELD = "not shown: may hold secrets"


@dataclass(frozen=True)
class Entry:
    """One item of the list. sampler_argument: share of traces from 0 to 1, as text; "" leaves it to the policy."""

    place: Place
    namespace: str
    kind: str
    name: str
    language: str
    containers: tuple[str, ...] = ()
    sampler_argument: str = ""
    state: str = PRESENT

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def entries(items: Any, variable: str, excluded: Iterable[str] = ()) -> tuple[list[Entry], list[Finding]]:
    """The entries of a list of workloads, and what is wrong with them as far as the list alone shows it.

    items: of the shape {namespace, kind: Deployment, name, language, containers: [], sampler_argument, state: present}.
    variable: its name, for findings. excluded: namespaces that are not instrumented.
    """
    found: list[Entry] = []
    findings: list[Finding] = []
    if not isinstance(items, list):
        return [], [error(variable, "is not a list", "List workloads, each with namespace, name and language.")]
    excluded = set(excluded)
    for index, item in enumerate(items):
        place = Place(variable).item(index)
        wrong = _shape(item, place)
        if not wrong:
            entry = _entry(item, place)
            wrong = _values(entry, excluded)
            twice = next((one for one in found if (one.key, one.language) == (entry.key, entry.language)), None)
            if twice:
                what = f"{entry} is listed twice for {entry.language}" if entry.language else f"{entry} is listed twice"
                wrong.append(error(place, what, f"Keep this or {twice.place}."))
            wrong += _contradiction(entry, found)
            found.append(entry)
        findings += wrong
    return found, findings


def _contradiction(entry: Entry, before: Iterable[Entry]) -> list[Finding]:
    """Two languages in one container. An entry without containers means the first; whether that is one of those that
    another entry names, only the cluster shows."""
    for other in before:
        both = (other.key, other.state, entry.state) == (entry.key, PRESENT, PRESENT)
        shared = other.containers == entry.containers or set(other.containers) & set(entry.containers)
        known = other.language in LANGUAGES and entry.language in LANGUAGES
        if both and shared and known and other.language != entry.language:
            what = f"contradicts {other.place}: {entry} has {other.language} and {entry.language} in the same container"
            remedy = "Keep one, or name the containers of each."
            return [error(entry.place, what, remedy, "a container can have one agent")]
    return []


def _shape(item: Any, place: Place) -> list[Finding]:
    if not isinstance(item, Mapping):
        return [error(place, "is not a mapping", f"Give it the keys {', '.join(KEYS)}.")]
    findings = []
    for key in item:
        if key not in KEYS:
            near = injection.nearest(str(key), KEYS)
            hint = f"; did you mean {near}?" if near else ""
            findings.append(error(place.key(key), f"is not a key of a workload{hint}", f"Use {', '.join(KEYS)}."))
    required = ("namespace", "name", *(["language"] if item.get("state") != ABSENT else []))
    findings += [
        error(place.key(key), "is missing or is not text", "Set it.")
        for key in required
        if not isinstance(item.get(key), str) or not item[key]
    ]
    if item.get("kind") is not None and not isinstance(item["kind"], str):
        findings.append(error(place.key("kind"), "is not text", f"Use one of {', '.join(RESOURCES)}."))
    containers = item.get("containers")
    if containers is not None and not (
        isinstance(containers, list) and all(isinstance(one, str) and one for one in containers)
    ):
        findings.append(error(place.key("containers"), "is not a list of names", "List the names of containers."))
    return findings


def _entry(item: Mapping[str, Any], place: Place) -> Entry:
    argument = item.get("sampler_argument")
    return Entry(
        place,
        item["namespace"],
        item.get("kind") or "Deployment",
        item["name"],
        item.get("language") or "",
        tuple(item.get("containers") or ()),
        "" if argument is None else _argument(argument),
        item.get("state") or PRESENT,
    )


def _argument(value: Any) -> str:
    """As the SDKs read it; what is not a number stays as it is, for a finding."""
    try:
        return plain(value)
    except (TypeError, ValueError):
        return str(value)


def _values(entry: Entry, excluded: set[str]) -> list[Finding]:
    findings = []
    if entry.kind not in RESOURCES and entry.kind not in OWNED:
        near = injection.nearest(entry.kind, RESOURCES, 0.5)
        what = f"{entry.kind} does not own pods that can be instrumented"
        what += f"; did you mean {near}?" if near else ""
        findings.append(error(entry.place.key("kind"), what, f"Use one of {', '.join(RESOURCES)}."))
    if entry.state not in (PRESENT, ABSENT):
        findings.append(error(entry.place.key("state"), f"is '{entry.state}'", f"Use {PRESENT} or {ABSENT}."))
    if entry.language not in LANGUAGES and (entry.language or entry.state != ABSENT):
        near = injection.nearest(entry.language, LANGUAGES)
        what = f"unknown language '{entry.language}'" + (f"; did you mean {near}?" if near else "")
        remedy = f"Use one of {', '.join(LANGUAGES)}; {SDK} is for services that bring their own SDK, in any language."
        findings.append(error(entry.place.key("language"), what, remedy))
    if entry.sampler_argument and not _is_share(entry.sampler_argument):
        what = f"is '{entry.sampler_argument}', not a number from 0 to 1"
        findings.append(error(entry.place.key("sampler_argument"), what, "Write a share of traces, such as 0.1."))
    if entry.namespace in excluded and entry.state == PRESENT:
        findings.append(
            error(
                entry.place.key("namespace"),
                f"namespace {entry.namespace} is in instrumentation_excluded_namespaces",
                "Remove it from one of the two lists.",
            )
        )
    return findings


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


@dataclass(frozen=True)
class WorkloadSettings:
    """mode: policy, operator or sdk. variables: those of the role instrumentation, for mode sdk."""

    mode: str
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def annotation_value(self) -> str:
        """What the inject annotations are set to."""
        namespace = self.variables.get("tracing_namespace")
        return annotation_value(self.mode, str(namespace)) if namespace else "true"


def examine(
    listed: Iterable[Entry], snapshot: Snapshot, settings: WorkloadSettings, owners: Mapping[tuple[str, str, str], str]
) -> list[Finding]:
    """What the cluster shows to be wrong with the entries. owners: of those of the kinds OWNED, the object that each
    belongs to, as "Deployment orders", "" for none; what does not exist is left out."""
    findings: list[Finding] = []
    for key, entries_of_one in grouped(listed).items():
        workload, before = snapshot.workloads.get(key), len(findings)
        for entry in entries_of_one:
            if entry.kind in OWNED:
                findings.append(_owned(entry, owners))
            elif entry.state == PRESENT and (workload is None or not workload.document):
                findings.append(_not_found(entry, snapshot))
            elif entry.state == PRESENT and workload:
                findings += _against(entry, workload, settings)
        if workload and workload.document and len(findings) == before:
            findings += _together(entries_of_one, workload, snapshot, settings)
    return findings


def grouped(listed: Iterable[Entry]) -> dict[tuple[str, str, str], list[Entry]]:
    """Entries by workload: one that several languages go into has several."""
    found: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in listed:
        found.setdefault(entry.key, []).append(entry)
    return found


def _together(
    present: Sequence[Entry], workload: Workload, snapshot: Snapshot, settings: WorkloadSettings
) -> list[Finding]:
    """What is wrong with the annotations that a workload would have."""
    owned = Owned.of(workload).annotations
    kept = {name: value for name, value in workload.annotations.items() if name not in owned}
    after = {**kept, **wanted_annotations(present, workload, settings)}
    asked = injection.asked(after, snapshot.annotations_of(workload.namespace), workload.containers)
    place = present[0].place
    if all(entry.state == ABSENT for entry in present):
        return []
    return [error(place, f"{workload}: {one.why}", one.remedy) for one in asked.problems]


def _owned(entry: Entry, owners: Mapping[tuple[str, str, str], str]) -> Finding:
    if entry.key not in owners:
        return error(entry.place, f"{entry} does not exist", f"Use one of the kinds {', '.join(RESOURCES)}.")
    owner = owners[entry.key]
    if owner:
        return error(
            entry.place, f"{entry} belongs to {owner}", f"List {owner} instead.", "it may be replaced any time"
        )
    return error(entry.place, f"{entry} cannot be instrumented where it is", INSTEAD[entry.kind])


def _not_found(entry: Entry, snapshot: Snapshot) -> Finding:
    what = f"{entry} does not exist"
    known = [one for one in snapshot.workloads.values() if one.document]
    if snapshot.namespaces and entry.namespace not in snapshot.namespaces:
        near = injection.nearest(entry.namespace, snapshot.namespaces)
        what = f"namespace {entry.namespace} does not exist" + (f"; did you mean {near}?" if near else "")
        return error(entry.place, what, "Correct it, or create the namespace and the workload first.")
    elsewhere = [str(one) for one in known if one.name == entry.name]
    near = injection.nearest(entry.name, [one.name for one in known if one.namespace == entry.namespace])
    hint = [one for one in elsewhere if f" {entry.namespace}/" in one] or (
        [str(one) for one in known if one.namespace == entry.namespace and one.name == near][:1] or elsewhere[:3]
    )
    what += f"; did you mean {' or '.join(hint)}?" if hint else ""
    return error(entry.place, what, "Correct it, or install the workload first; state absent needs none.")


def _against(entry: Entry, workload: Workload, settings: WorkloadSettings) -> list[Finding]:
    """Findings about an entry whose workload exists."""
    findings = []
    missing = [name for name in entry.containers if name not in workload.containers]
    if missing:
        what = f"{workload} has no container {', '.join(missing)}"
        findings.append(error(entry.place.key("containers"), what, f"It has {', '.join(workload.containers)}."))
    if settings.mode == SDK and entry.language != SDK:
        findings.append(
            error(
                entry.place.key("language"),
                f"{entry.language} cannot be instrumented in mode sdk",
                f"Install the OpenTelemetry Operator, or use a cluster that serves {KIND} (Kubernetes "
                f"1.36, or 1.34 with its feature gate). If the service brings its own SDK, set language to {SDK}.",
                "mode sdk only sets environment variables, and an agent needs an admission policy or the operator",
            )
        )
    own = Owned.of(workload)
    where = injection.INJECT + entry.language
    current = workload.annotations.get(where)
    if where not in own.annotations and current is not None and not injection.is_on(current):
        findings.append(
            error(
                entry.place,
                f'{workload} opts out: its pod template sets {where} to "{current}"',
                "Remove the annotation there, or the entry here.",
                f"{managers(workload, where)} set it",
            )
        )
    if entry.sampler_argument:
        for container in targets(entry, workload):
            names = {SAMPLER, SAMPLER_ARGUMENT} & set(container_variables(workload, container))
            foreign = sorted(names - own.variables.get(container, frozenset()))
            if foreign:
                findings.append(
                    error(
                        entry.place.key("sampler_argument"),
                        f"{workload} sets {' and '.join(foreign)} itself in container {container}",
                        "Remove it there, or sampler_argument here.",
                        "what a workload sets itself is not overridden",
                    )
                )
    return findings


@dataclass(frozen=True)
class Owned:
    """What the field manager of this collection owns in a pod template. variables: container → names."""

    annotations: frozenset[str] = frozenset()
    variables: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.annotations or any(self.variables.values()))

    @classmethod
    def of(cls, workload: Workload, manager: str = MANAGER) -> Owned:
        """By the object's managedFields."""
        path = [f"f:{name}" for name in TEMPLATES[workload.kind]]
        names: set[str] = set()
        variables: dict[str, frozenset[str]] = {}
        for entry in inside(workload.document, "metadata", "managedFields") or []:
            if entry.get("manager") != manager or entry.get("operation") != "Apply":
                continue
            template = inside(entry.get("fieldsV1") or {}, *path) or {}
            found = inside(template, "f:metadata", "f:annotations") or {}
            names |= {key.removeprefix("f:") for key in found if key.startswith("f:")}
            for key, fields in (inside(template, "f:spec", "f:containers") or {}).items():
                env = fields.get("f:env") or {} if key.startswith("k:") else {}
                owned = frozenset(_name(one) for one in env if one.startswith("k:"))
                if owned:
                    variables[_name(key)] = owned
        return cls(frozenset(names), variables)


def _name(key: str) -> str:
    """The name in the key of a list item, such as k:{"name":"app"}."""
    return str(json.loads(key.removeprefix("k:"))["name"])


def managers(workload: Workload, annotation: str) -> str:
    """Who set an annotation of the pod template, for people."""
    path = [*(f"f:{name}" for name in TEMPLATES[workload.kind]), "f:metadata", "f:annotations", f"f:{annotation}"]
    found = [
        str(entry.get("manager"))
        for entry in inside(workload.document, "metadata", "managedFields") or []
        if inside(entry.get("fieldsV1") or {}, *path) is not None
    ]
    return f"field manager {' and '.join(found)}" if found else "someone else"


def targets(entry: Entry, workload: Workload) -> tuple[str, ...]:
    """The containers that variables go into: those listed, or the first."""
    return entry.containers or tuple(workload.containers[:1])


def container_variables(workload: Workload, container: str) -> dict[str, Any]:
    """Variables of a container of the template: name → the whole entry."""
    for one in inside(workload.template, "spec", "containers") or []:
        if one["name"] == container:
            return {str(variable["name"]): variable for variable in one.get("env") or []}
    return {}


def wanted_annotations(listed: Sequence[Entry], workload: Workload, settings: WorkloadSettings) -> dict[str, str]:
    """Those to apply: others' annotations that ask for the same are left to them."""
    owned = Owned.of(workload).annotations
    current = workload.annotations
    found: dict[str, str] = {}
    for entry in listed:
        if entry.state == ABSENT:
            continue
        language = LANGUAGES[entry.language]
        theirs = language.annotation in current and language.annotation not in owned
        if not (theirs and injection.is_on(current[language.annotation])):
            found[language.annotation] = settings.annotation_value
        names = ",".join(entry.containers)
        if names and (language.container_names in owned or current.get(language.container_names) != names):
            found[language.container_names] = names
    return found


def wanted_variables(
    listed: Sequence[Entry], workload: Workload, settings: WorkloadSettings
) -> dict[str, list[dict[str, Any]]]:
    """Container → variables to apply: never one that the workload sets itself."""
    own = Owned.of(workload).variables
    found: dict[str, list[dict[str, Any]]] = {}
    for entry, container in ((one, name) for one in listed for name in targets(one, workload)):
        if entry.state == ABSENT:
            continue
        variables: list[dict[str, Any]] = []
        if settings.mode == SDK:
            template = without(workload.template, own)
            variables = sdk_environment(
                settings.variables, workload.kind, workload.namespace, workload.name, template, container
            )
        if entry.sampler_argument:
            sampler = {SAMPLER: "parentbased_traceidratio", SAMPLER_ARGUMENT: entry.sampler_argument}
            variables = [one for one in variables if one["name"] not in sampler]
            variables += [{"name": name, "value": value} for name, value in sampler.items()]
        foreign = set(container_variables(workload, container)) - own.get(container, frozenset())
        kept = [_with_default(one) for one in variables if one["name"] not in foreign]
        if kept:
            found[container] = kept
    return found


def _with_default(variable: Mapping[str, Any]) -> dict[str, Any]:
    """As the API server completes it, so that the two can be compared."""
    field_ref = inside(variable, "valueFrom", "fieldRef")
    if field_ref is None:
        return dict(variable)
    return {"name": variable["name"], "valueFrom": {"fieldRef": {"apiVersion": "v1", **field_ref}}}


def without(template: Document, variables: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """A pod template without some variables: container → names."""
    spec = dict(template.get("spec") or {})
    spec["containers"] = [
        {**one, "env": [v for v in one.get("env") or [] if v["name"] not in variables.get(one["name"], ())]}
        for one in spec.get("containers") or []
    ]
    return {**template, "spec": spec}


@dataclass(frozen=True)
class TemplateChange:
    """What becomes of one workload. document: what is applied, None where nothing changes. action: "instrument",
    "restart", "remove" or "". place: of its first entry. absent: whether it shall not be instrumented."""

    place: Place
    absent: bool
    workload: Workload
    action: str = ""
    document: Document | None = None

    @property
    def name(self) -> str:
        return f"{self.action} {self.workload}"


def change(
    listed: Sequence[Entry], workload: Workload, snapshot: Snapshot, settings: WorkloadSettings, now: str
) -> TemplateChange:
    """listed: the entries of one workload. now: RFC 3339, for a restart."""
    own = Owned.of(workload)
    place, absent = listed[0].place, all(entry.state == ABSENT for entry in listed)
    if absent:
        removed = document_of(workload, {}, {}) if own else None
        return TemplateChange(place, absent, workload, "remove" if own else "", removed)
    labels = wanted_annotations(listed, workload, settings)
    variables = wanted_variables(listed, workload, settings)
    current = workload.annotations
    # A restart of ours stays part of what is applied: without it, the template would change back.
    restarted = {name: current[name] for name in {RESTARTED_AT} & own.annotations if name in current}
    there = {container: container_variables(workload, container) for container in variables}
    same = (
        set(labels) == own.annotations - {RESTARTED_AT}
        and all(current.get(name) == value for name, value in labels.items())
        and {container: frozenset(one["name"] for one in items) for container, items in variables.items()}
        == dict(own.variables)
        and all(there[container].get(one["name"]) == one for container, items in variables.items() for one in items)
    )
    if not same:
        applied = document_of(workload, {**labels, **restarted}, variables)
        return TemplateChange(place, absent, workload, "instrument", applied)
    if needs_restart(workload, snapshot):
        applied = document_of(workload, {**labels, RESTARTED_AT: now}, variables)
        return TemplateChange(place, absent, workload, "restart", applied)
    return TemplateChange(place, absent, workload)


def needs_restart(workload: Workload, snapshot: Snapshot) -> bool:
    """Whether new pods would be instrumented, and pods are there that are not."""
    if workload.kind == "CronJob":
        return False
    return report.row_of(workload, snapshot).code == "restart_needed"


def document_of(
    workload: Workload, labels: Mapping[str, str], variables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """What to apply: the object's identity, and of its pod template these annotations and variables alone."""
    template: dict[str, Any] = {}
    if labels:
        template["metadata"] = {"annotations": dict(labels)}
    if variables:
        template["spec"] = {
            "containers": [{"name": name, "env": [dict(one) for one in listed]} for name, listed in variables.items()]
        }
    metadata = {"name": workload.name, "namespace": workload.namespace}
    body: dict[str, Any] = template
    for key in reversed(TEMPLATES[workload.kind]):
        body = {key: body} if body else {}
    return {"apiVersion": RESOURCES[workload.kind].api_version, "kind": workload.kind, "metadata": metadata, **body}


def make_plan(changes: Sequence[TemplateChange]) -> Plan:
    """A step for each workload that changes, with the difference in its pod template."""
    plan = Plan()
    for one in changes:
        if one.document is not None:
            plan.steps.append(Step(one.name, one.action, one))
            plan.diff.append(_difference(one))
    return plan


def _difference(one: TemplateChange) -> dict[str, str]:
    """Of the template, only what this module owns before or after: other variables may hold secrets."""
    own = Owned.of(one.workload)
    template = inside(one.document or {}, *TEMPLATES[one.workload.kind]) or {}
    new = inside(template, "metadata", "annotations") or {}
    current = one.workload.annotations
    before = {f"annotation {name}": current[name] for name in {*own.annotations, *new} if name in current}
    after = {f"annotation {name}": value for name, value in new.items()}
    applied = {item["name"]: item["env"] for item in inside(template, "spec", "containers") or []}
    for container in {*own.variables, *applied}:
        there = container_variables(one.workload, container)
        names = {*own.variables.get(container, ()), *(item["name"] for item in applied.get(container, ()))}
        before |= {f"container {container} {name}": _shown(there[name]) for name in names if name in there}
        after |= {f"container {container} {item['name']}": _shown(item) for item in applied.get(container, ())}
    return diff_entry(f"{one.workload}, pod template", _lines(before), _lines(after))


def _shown(variable: Mapping[str, Any]) -> str:
    if "HEADERS" in variable["name"]:
        return WITHHELD
    return str(variable["value"]) if "value" in variable else json.dumps(variable.get("valueFrom"), sort_keys=True)


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{name}: {values[name]}\n" for name in sorted(values))


def others(snapshot: Snapshot, listed: Iterable[Entry]) -> list[report.Row]:
    """Workloads that are not listed, ask for instrumentation, and have pods without it."""
    known = {entry.key for entry in listed}
    found = [row for row in report.rows(snapshot) if (row.kind, row.namespace, row.name) not in known]
    return [row for row in found if row.pods > row.pods_instrumented and row.code not in ("opted_out", "no_annotation")]


def reports(found: Sequence[report.Row]) -> list[str]:
    """Warnings about others(): one for all that only have to be restarted, and one for each of the rest."""
    waiting = [row for row in found if row.code == "restart_needed"]
    texts = []
    if waiting:
        pods = sum(row.pods - row.pods_instrumented for row in waiting)
        names = ", ".join(f"{row} ({row.pods - row.pods_instrumented})" for row in waiting)
        commands = "; ".join(dict.fromkeys(row.remedy.removeprefix("Restart it: ") for row in waiting))
        texts.append(
            f"{pods} pod{'s' if pods > 1 else ''} started before the policy and {'are' if pods > 1 else 'is'} not "
            f"instrumented: {names}. To restart them: {commands}"
        )
    return texts + [f"{row} is not instrumented: {row.why}. {row.remedy}" for row in found if row not in waiting]
