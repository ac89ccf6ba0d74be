# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What has to be done to bring a release to what is wanted. Pure: no I/O, neither Ansible nor a client.

Three steps, because rendering costs a process: check() refuses what the options forbid; decide() says from the release
record alone whether the chart has to be rendered at all; make_plan() takes the rendered objects and makes the plan.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.helm import (
    crds,
    documents,
    reference,
    release,
    render,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import (
    UNCERTAIN,
    Chart,
    content_digest,
    differences,
    of_release,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.crds import Crds
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import Source
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import History, Release
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Key, Objects

if TYPE_CHECKING:
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

NAMESPACE, CRDS, ROLLBACK, UNINSTALL, UPGRADE, TEST = "namespace", "crds", "rollback", "uninstall", "upgrade", "test"
PUT_BACK = "put back"
UNKNOWN: Any = object()  # the namespace was not read, or may not be read
POST_RENDERER = "post_renderer"  # a part of what is deployed that only running it can tell
TEST_HOOKS = ("test", "test-success")
IGNORE, REPORT, REPAIR = "ignore", "report", "repair"


@dataclass(frozen=True)
class Wanted:
    """The options of the module, by their names there.

    chart_ref is a path as soon as the chart is at hand. values: merged with those of values_files. labels: None leaves
    those of the release alone.
    """

    name: str
    namespace: str
    state: str = "present"
    chart_ref: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    create_namespace: bool = False
    namespace_labels: dict[str, str] | None = None
    wait: bool = True
    wait_for_jobs: bool = False
    timeout: str = "5m"
    history_max: int | None = None
    rollback_on_failure: bool = False
    on_pending: str = "fail"
    on_failed: str = "upgrade"
    source: Source = field(default_factory=Source)
    skip_crds: bool = False
    upgrade_crds: bool = False
    take_ownership: bool = False
    force_conflicts: bool = False
    labels: dict[str, str] | None = None
    description: str | None = None
    post_renderer: str | None = None
    post_renderer_args: tuple[str, ...] = ()
    rollback_to: int | None = None
    test: bool = False
    drift: str = IGNORE


@dataclass(frozen=True)
class Current:
    """history: of the release. namespace: its Namespace object, None where it does not exist, or UNKNOWN. crds: those
    of the chart, where they matter."""

    history: History
    namespace: Any = UNKNOWN
    crds: Crds = field(default_factory=Crds)


@dataclass(frozen=True)
class Decision:
    """What comes before the upgrade, whether there is one, and how it can be rendered.

    rollback_to: revision, or 0. uninstall: remove the release first. render: "" (nothing to install), "upgrade" (as
    Helm's dry run of the very upgrade) or "template" (where Helm refuses that).
    sure: the chart or the values differ; otherwise only the rendered objects can tell whether anything changed.
    """

    rollback_to: int = 0
    uninstall: bool = False
    render: str = ""
    sure: bool = False


@dataclass(frozen=True)
class Operation:
    """What the executor of a step needs.

    revision: to roll back to. objects: those that have to become ready, or that are applied. labels: of the new
    revision; a value None removes one. repair: only to put back what drifted, without hooks. force: take over fields
    that others changed.
    """

    revision: int = 0
    objects: list[dict[str, Any]] = field(default_factory=list)
    wait: bool = True
    labels: Mapping[str, str | None] = field(default_factory=dict)
    repair: bool = False
    force: bool = False


def check_options(wanted: Wanted) -> None:
    """InvalidInput for options that contradict each other, which no argument specification can say of booleans."""
    if wanted.upgrade_crds and wanted.skip_crds:
        raise InvalidInput("upgrade_crds and skip_crds are both set", "they contradict each other", "Drop one of them.")
    if wanted.wait_for_jobs and not wanted.wait:
        raise InvalidInput("wait_for_jobs is set, and wait is not", "", "Set wait to true.")
    if wanted.post_renderer_args and not wanted.post_renderer:
        raise InvalidInput("post_renderer_args is set, and post_renderer is not", "", "Set post_renderer.")
    for name, text in (wanted.labels or {}).items():
        if name in release.SYSTEM_LABELS or name == release.CHART_LABEL:
            raise InvalidInput(f"labels: {name} is reserved", "Helm or this module sets it", "Choose another name.")
        if text == "null":
            raise InvalidInput(f"labels: {name} is null", "Helm removes a label for this value", "Leave the label out.")
    if wanted.rollback_to is None:
        return
    if wanted.rollback_to < 1:
        raise InvalidInput(f"rollback_to {wanted.rollback_to} is not a revision", "", "Revisions count from 1.")
    for name in ("values", "skip_crds", "upgrade_crds", "take_ownership", "rollback_on_failure"):
        if getattr(wanted, name):
            why = "a rollback brings back that revision as it was"
            raise InvalidInput(f"rollback_to and {name} are both set", why, f"Drop {name}.")


def check(current: Current, wanted: Wanted) -> None:
    """Conflict or NotFound where the options, or what is there, forbid to go on."""
    _check_namespace(current, wanted)
    latest = current.history.latest
    if wanted.rollback_to:
        _check_revision(current, wanted)
    if latest is None:
        return
    if current.history.doomed:
        what = f"the record of release {wanted.namespace}/{wanted.name} is being deleted"
        raise Conflict(what, "its namespace is, or somebody deletes the release", "Wait, then run again.")
    if latest.pending or latest.status == release.UNINSTALLING:
        if wanted.on_pending == "fail":
            raise Conflict(
                _state(latest, wanted),
                "another helm operation is running, or one was interrupted",
                "Wait for it; if nothing is running, set on_pending to rollback (back to the revision before, then"
                " upgrade) or to replace (uninstall, then install again).",
            )
    elif latest.status not in (release.DEPLOYED, release.SUPERSEDED) and wanted.on_failed == "fail":
        raise Conflict(
            _state(latest, wanted), latest.description, "Repair it, or set on_failed to upgrade or to replace."
        )


def is_pinned(current: Current, wanted: Wanted) -> bool:
    """Whether the release has the very chart, by name and version, and everything else that is wanted, so that a chart
    from elsewhere need not be looked at."""
    latest = current.history.latest
    if latest is None or latest.status != release.DEPLOYED or wanted.post_renderer:
        return False
    metadata = latest.chart.get("metadata") or {}
    name, version = reference.pinned(wanted.source)
    if not name or not version or (wanted.upgrade_crds and metadata.get("dependencies")):
        return False  # the CRDs of subcharts are in no release record
    return (name, version.removeprefix("v")) == (
        metadata.get("name"),
        str(metadata.get("version", "")).removeprefix("v"),
    ) and not _settings_changed(latest, wanted)


def decide(current: Current, wanted: Wanted, chart: Chart | None) -> Decision:
    """Compare by content. chart: None for the one that the release has (rollback_to, is_pinned)."""
    latest, fallback = current.history.latest, current.history.fallback
    if wanted.rollback_to:
        target = current.history.target
        if latest is None or target is None or _serves(latest, target):
            return Decision()
        return Decision(rollback_to=target.revision)
    # A dry run against the server fails on custom resources whose definitions are yet to come with the chart.
    dry = "template" if current.crds.missing else "upgrade"
    if latest is None:
        return Decision(render=dry, sure=True)
    if latest.pending or latest.status == release.UNINSTALLING:
        return _recover(latest, fallback, wanted, chart)
    if latest.status == release.SUPERSEDED:
        return Decision(render=dry, sure=True)  # the record of the revision that replaced it is gone
    if latest.status != release.DEPLOYED:
        replace = wanted.on_failed == "replace"
        return Decision(uninstall=replace, render="template" if replace else dry, sure=True)
    changed = _changed(latest, wanted, chart)
    if not changed:
        return Decision()
    return Decision(render=dry, sure=not changed <= UNCERTAIN | {POST_RENDERER})


def next_revision(current: Current, decision: Decision) -> int:
    """Number of the revision that an upgrade or installation would make."""
    if decision.uninstall:
        return 1  # its history goes with it
    return current.history.newest + 1 + bool(decision.rollback_to)


def labels(current: Current, wanted: Wanted, decision: Decision, chart: Chart) -> dict[str, str | None]:
    """Labels of the new revision, as helm's --labels takes them: the wanted ones, None for what has to go, and the
    note about the chart's content."""
    last = current.history.fallback if decision.rollback_to else current.history.latest
    before = {} if decision.uninstall or not last else last.labels
    given = wanted.labels or {}
    gone = {} if wanted.labels is None else dict.fromkeys(name for name in before if name not in given)
    note = release.chart_label(next_revision(current, decision), content_digest(chart))
    return {**gone, **given, release.CHART_LABEL: note}


def make_plan(
    current: Current,
    wanted: Wanted,
    chart: Chart | None,
    decision: Decision,
    rendered: Objects | None,
    mask: Mask,
    report: drift.Report | None = None,
) -> Plan:
    """The plan for state present. rendered: given exactly when the decision asks for it. report: what drifted."""
    plan = Plan()
    _plan_namespace(plan, current, wanted)
    applied = _plan_crds(plan, current, wanted, mask)
    latest = current.history.latest
    before = _objects(latest)
    after: Objects = before
    summary = latest.summary() if latest else release.absent(wanted.name, wanted.namespace)
    target = current.history.target if wanted.rollback_to else current.history.fallback
    if decision.rollback_to and latest and target:
        after = _objects(target)
        summary = _future({**target.summary(), "revision": latest.revision + 1}, f"Rollback to {target.revision}")
    upgrades = rendered is not None and (decision.sure or not render.same(after, rendered))
    if decision.rollback_to:
        # Rolling back only unlocks the release where an upgrade follows: what it brings up need not become ready.
        operation = Operation(decision.rollback_to, list(after.values()), wait=wanted.wait and not upgrades)
        plan.steps.append(Step(f"roll back to revision {decision.rollback_to}", ROLLBACK, operation))
    if decision.uninstall:
        plan.steps.append(Step("uninstall the unfinished release", UNINSTALL, Operation(wait=True)))
    helms_crds: Objects = {}
    if rendered is not None and chart is not None and upgrades:
        fresh = latest is None or decision.uninstall
        set_labels = labels(current, wanted, decision, chart)
        repairs = wanted.drift == REPAIR and report is not None and bool(_repairable(report))
        operation = Operation(
            objects=list(rendered.values()), wait=wanted.wait, labels=set_labels, force=repairs and _by_server(latest)
        )
        plan.steps.append(Step("install" if fresh else "upgrade", UPGRADE, operation))
        if fresh and not wanted.skip_crds:
            helms_crds = {key: item for key, item in current.crds.missing.items() if key not in applied}
        after = rendered
        summary = _next(wanted, chart, next_revision(current, decision))
        _show_labels(plan, latest, wanted, set_labels)
    plan_objects(plan, before, {**helms_crds, **after}, wanted, mask)
    plan.result["release"] = summary
    if report is not None:
        _plan_drift(plan, current, wanted, report, mask)
    if wanted.test:
        _plan_test(plan, after, latest)
    return plan


def plan_absent(current: Current, wanted: Wanted, mask: Mask) -> Plan:
    """The plan for state absent. The namespace, CRDs and volumes stay."""
    plan = Plan()
    latest = current.history.latest
    if latest:
        plan.steps.append(Step("uninstall", UNINSTALL, Operation(wait=wanted.wait)))
    plan_objects(plan, _objects(latest), {}, wanted, mask)
    plan.result["release"] = release.absent(wanted.name, wanted.namespace)
    return plan


def plan_objects(plan: Plan, before: Objects, after: Objects, wanted: Wanted, mask: Mask) -> None:
    objects, diff = render.changes(before, after, wanted.namespace, mask)
    plan.result["objects"] = [*plan.result.get("objects", []), *objects]
    plan.diff.extend(diff)


def namespace_manager(wanted: Wanted) -> str:
    """Field manager of the labels on the Namespace: one per release, so that releases which share a namespace each
    own their labels."""
    return f"orion.tracing/{wanted.name}"


def check_size(document: Mapping[str, Any], wanted: Wanted) -> None:
    """InvalidInput where the release record would not fit into a Secret: by then, Helm would have made the namespace,
    and its message names neither the size nor what is large. document: as a dry run prints it."""
    size = release.size(dict(document))
    if size * (1 - release.SIZE_ERROR) > release.SECRET_LIMIT:
        largest = [part for part in release.largest(dict(document)) if part[1] > size / 50]
        parts = ", ".join(f"{name} ({_kib(packed)})" for name, packed in largest)
        raise InvalidInput(
            f"release {wanted.namespace}/{wanted.name} is too large: its record takes about {_kib(size)}, and a Secret"
            f" holds {_kib(release.SECRET_LIMIT)}",
            f"the largest parts, compressed: {parts}",
            "Keep files that no template reads out of the chart (.helmignore), or split the chart.",
        )


def record_of(wanted: Wanted, chart: Chart, manifest: str) -> dict[str, Any]:
    """What Helm would store, near enough to weigh it, where no dry run can tell."""
    return {
        "config": wanted.values,
        "manifest": manifest,
        "chart": {
            "metadata": chart.metadata,
            "values": chart.values,
            "files": [{"name": name, "data": base64.b64encode(data).decode()} for name, data in chart.files.items()],
        },
    }


def serving(history: History, wanted: Wanted, said: str) -> str:
    """Which revision serves, in words, after helm failed. said: helm's message, which Helm notes in the record too."""
    latest, what = history.latest, f"release {wanted.namespace}/{wanted.name}"
    if latest is None:
        return f"{what} is not installed now"
    noted = latest.description
    _what, _failed, why = noted.partition(" failed: ")
    state = f"{what} is now at revision {latest.revision}, {latest.status}"
    state += "" if not noted or (why and why in said) else f" ({noted})"
    if latest.status == release.DEPLOYED or not history.deployed:
        return state
    return f"{state}; revision {history.deployed} was the last to be deployed"


def _kib(size: int) -> str:
    return f"{size / 1024:.0f} KiB"


def _recover(latest: Release, fallback: Release | None, wanted: Wanted, chart: Chart | None) -> Decision:
    if wanted.on_pending == "replace" or fallback is None or not latest.pending:
        return Decision(uninstall=True, render="template", sure=True)
    changed = _changed(fallback, wanted, chart)
    sure = not changed <= UNCERTAIN | {POST_RENDERER}
    return Decision(rollback_to=fallback.revision, render="template" if changed else "", sure=sure)


def _changed(stored: Release, wanted: Wanted, chart: Chart | None) -> set[str]:
    changed = _settings_changed(stored, wanted)
    if chart is not None and stored.chart_digest != content_digest(chart):
        changed |= differences(of_release(stored.chart), chart)
    if wanted.post_renderer:
        changed.add(POST_RENDERER)
    return changed


def _settings_changed(stored: Release, wanted: Wanted) -> set[str]:
    changed = set()
    if not same_values(stored.config, wanted.values):
        changed.add("values")
    if wanted.labels is not None and stored.labels != wanted.labels:
        changed.add("labels")
    return changed


def same_values(one: Any, other: Any) -> bool:
    return documents.canonical(documents.as_float64(one)) == documents.canonical(documents.as_float64(other))


def _serves(latest: Release, target: Release) -> bool:
    """Whether the newest revision is deployed and has the content of another one."""
    return latest.status == release.DEPLOYED and all(
        documents.canonical(getattr(latest, part)) == documents.canonical(getattr(target, part))
        for part in ("manifest", "config", "chart")
    )


def _state(latest: Release, wanted: Wanted) -> str:
    since = f" since {latest.updated}" if latest.updated else ""
    return f"release {wanted.namespace}/{wanted.name} is in state {latest.status} (revision {latest.revision}{since})"


def _check_revision(current: Current, wanted: Wanted) -> None:
    if current.history.latest is None:
        raise NotFound(
            f"release {wanted.namespace}/{wanted.name} does not exist", "there is nothing to go back to", "Install it."
        )
    if current.history.target is None:
        kept = ", ".join(map(str, current.history.revisions))
        raise NotFound(
            f"release {wanted.namespace}/{wanted.name} has no revision {wanted.rollback_to}",
            f"helm keeps {kept}",
            "Choose one of them, or set chart_ref and values instead of rollback_to.",
        )


def _check_namespace(current: Current, wanted: Wanted) -> None:
    if current.namespace is UNKNOWN:
        return
    if current.namespace is None:
        if not wanted.create_namespace:
            raise NotFound(
                f"namespace {wanted.namespace} does not exist", "", "Create it, or set create_namespace to true."
            )
    elif (current.namespace.get("status") or {}).get("phase") == "Terminating":
        raise Conflict(f"namespace {wanted.namespace} is being deleted", "", "Wait until it is gone, then run again.")


def _plan_crds(plan: Plan, current: Current, wanted: Wanted, mask: Mask) -> dict[Key, dict[str, Any]]:
    """Those that this module applies itself: Helm installs missing ones with the first revision only."""
    if not wanted.upgrade_crds:
        return {}
    found = current.crds
    missing = found.missing if current.history.latest else {}
    applied = {key: item for key, item in found.chart.items() if key in found.outdated or key in missing}
    plan.result["objects"], diff = crds.changes(found, applied, mask)
    plan.diff.extend(diff)
    plan.steps += [Step(f"apply CRD {key.name}", CRDS, Operation(objects=[item])) for key, item in applied.items()]
    return applied


def _plan_drift(plan: Plan, current: Current, wanted: Wanted, report: drift.Report, mask: Mask) -> None:
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

    plan.result["drift"] = [item.summary() for item in report.drifted]
    plan.warnings += [str(item) for item in report.unreadable]
    plan.diff += drift.diff_entries(report.drifted, mask)
    latest = current.history.latest
    repairable = _repairable(report)
    if wanted.drift != REPAIR or not repairable or latest is None:
        return
    named = {(entry["kind"], entry["namespace"], entry["name"]) for entry in plan.result["objects"]}
    plan.result["objects"] += [
        {
            **render.entry(item.key, item.document, ""),
            "action": "create" if item.action == drift.MISSING else "update",
        }
        for item in repairable
        if (item.key.kind, item.key.namespace, item.key.name) not in named
    ]
    if any(step.action in (UPGRADE, ROLLBACK) for step in plan.steps):
        return
    apart = [item for item in repairable if not _by_server(latest) and drift.left_by_helm(item)]
    if len(apart) < len(repairable):
        operation = Operation(
            latest.revision,
            list(_objects(latest).values()),
            wait=wanted.wait,
            repair=True,
            force=_by_server(latest),
        )
        plan.steps.append(Step("repair drift", ROLLBACK, operation))
        plan.result["release"] = _future(
            {**latest.summary(), "revision": latest.revision + 1}, f"Rollback to {latest.revision}"
        )
    plan.steps += [Step(f"put back {item.key.kind} {item.key.name}", PUT_BACK, item) for item in apart]


def _repairable(report: drift.Report) -> list[drift.Drifted]:
    """What the API server did not confirm may be no drift at all: repairing it would never end."""
    return [item for item in report.drifted if item.confirmed]


def _by_server(latest: Release | None) -> bool:
    """Whether Helm applies on the server, where fields that others changed are conflicts."""
    return latest is not None and latest.apply_method == release.SSA


def _plan_test(plan: Plan, after: Objects, latest: Release | None) -> None:
    """Tests follow what changes the release. One that failed is run again, or a second run would hide the failure."""
    plan.result["test"] = []
    hooks = [item for key, item in after.items() if key.part == render.HOOK and _is_test(item)]
    changes = any(step.action in (UPGRADE, ROLLBACK) for step in plan.steps)
    if not hooks:
        if changes:
            plan.warnings.append("test is set, and the chart has no test hooks")
    elif changes or (latest and _test_failed(latest)):
        plan.steps.append(Step("test", TEST, Operation(objects=hooks)))


def _is_test(document: Mapping[str, Any]) -> bool:
    events = str(((document.get("metadata") or {}).get("annotations") or {}).get(render.HOOK_ANNOTATION, ""))
    return any(event.strip() in TEST_HOOKS for event in events.split(","))


def _test_failed(latest: Release) -> bool:
    return any(
        (hook.get("last_run") or {}).get("phase") == "Failed" and set(hook.get("events") or []) & set(TEST_HOOKS)
        for hook in latest.hooks
    )


def _show_labels(plan: Plan, latest: Release | None, wanted: Wanted, given: Mapping[str, str | None]) -> None:
    before = latest.labels if latest else {}
    after = {**before, **given}
    after = {name: text for name, text in after.items() if text is not None and name != release.CHART_LABEL}
    if before != after:
        header = f"Release {wanted.namespace}/{wanted.name} (labels)"
        texts = (documents.dump(labels) if labels else "" for labels in (before, after))
        plan.diff.append(diff_entry(header, *texts))


def _plan_namespace(plan: Plan, current: Current, wanted: Wanted) -> None:
    namespace, labels = current.namespace, wanted.namespace_labels or {}
    if namespace is UNKNOWN:
        return
    before: dict[str, str] | None = None
    if namespace is not None:
        if wanted.namespace_labels is None:
            return
        present = namespace["metadata"].get("labels") or {}
        owned = _owned_labels(namespace, namespace_manager(wanted))
        before = {name: present[name] for name in sorted(owned | labels.keys()) if name in present}
        if before == labels:
            return
    header = f"Namespace {wanted.namespace}"
    plan.steps.append(
        Step(f"{'create' if before is None else 'label'} namespace {wanted.namespace}", NAMESPACE, dict(labels))
    )
    shown = "" if before is None else _show_namespace(wanted.namespace, before)
    plan.diff.append(diff_entry(header, shown, _show_namespace(wanted.namespace, labels)))


def _owned_labels(namespace: Mapping[str, Any], manager: str) -> set[str]:
    """Labels that an earlier run applied: those that are no longer wanted are removed again."""
    return {
        name.removeprefix("f:")
        for entry in namespace["metadata"].get("managedFields") or []
        if entry.get("manager") == manager and entry.get("operation") == "Apply"
        for name in entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:labels", {})
        if name.startswith("f:")
    }


def namespace_document(wanted: Wanted) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": wanted.namespace}
    if wanted.namespace_labels:
        metadata["labels"] = wanted.namespace_labels
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _show_namespace(name: str, labels: Mapping[str, str]) -> str:
    return documents.dump(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, **({"labels": dict(labels)} if labels else {})},
        }
    )


def _objects(of: Release | None) -> dict[render.Key, dict[str, Any]]:
    return render.parse_release(of.manifest, of.hooks) if of else {}


def _next(wanted: Wanted, chart: Chart, revision: int) -> dict[str, Any]:
    summary = release.absent(wanted.name, wanted.namespace)
    metadata = {
        "chart": chart.metadata.get("name", ""),
        "chart_version": chart.metadata.get("version", ""),
        "app_version": chart.metadata.get("appVersion", ""),
    }
    return _future({**summary, **metadata, "revision": revision}, wanted.description or "")


def _future(summary: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**summary, "status": release.DEPLOYED, "updated": "", "description": description}
