# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The plan for a release: steps and diff, made of what is there and what was rendered. Pure: no I/O.

One direction, each part a frozen record: CurrentRelease (what is there) → ReleaseDecision (decide.py: what to do, how
to render) → Rendered (the objects before and after) → Plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import (
    crds,
    documents,
    dry_run,
    release,
    render,
    replicas,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart
from ansible_collections.orion.tracing.plugins.module_utils.helm.decide import UNKNOWN, CurrentRelease, ReleaseDecision
from ansible_collections.orion.tracing.plugins.module_utils.helm.dry_run import DryRun
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import REPAIR, ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import release_of
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import History, Release
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Key, Objects

if TYPE_CHECKING:
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

NAMESPACE, CRDS, ROLLBACK, UNINSTALL, UPGRADE, TEST = "namespace", "crds", "rollback", "uninstall", "upgrade", "test"
PUT_BACK, REMOVE_ADDED, CLAIM = "put back", "remove added", "claim"
TEST_HOOKS = ("test", "test-success")


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


@dataclass(frozen=True)
class Rendered:
    """What a plan is made of.

    chart: None where none is installed. before: the objects that are applied now, as records show. restored: those that
    a rollback brings back, else before. after: those that will be applied in the end. upgrades: whether an upgrade or
    installation leads there.
    """

    wanted: ReleaseOptions
    current: CurrentRelease
    decision: ReleaseDecision
    chart: Chart | None
    before: Objects
    restored: Objects
    after: Objects
    upgrades: bool

    @property
    def rolls_back_to(self) -> Release | None:
        history = self.current.history
        return (history.target if self.wanted.rollback_to else history.fallback) if self.decision.rollback_to else None

    @property
    def fresh(self) -> bool:
        """Whether the release is installed anew."""
        return self.current.history.latest is None or self.decision.uninstall


def rendered_of(
    wanted: ReleaseOptions,
    current: CurrentRelease,
    decision: ReleaseDecision,
    chart: Chart | None,
    objects: Objects | None,
) -> Rendered:
    """objects: those rendered, given exactly when the decision asks for it."""
    history = current.history
    before = _objects(history.applied)
    restored = _objects(history.target if wanted.rollback_to else history.fallback) if decision.rollback_to else before
    upgrades = objects is not None and chart is not None and (decision.sure or not render.same(restored, objects))
    after = objects if objects is not None and upgrades else restored
    return Rendered(wanted, current, decision, chart, before, restored, after, upgrades)


def make_plan(
    rendered: Rendered,
    mask: Mask,
    dry_run_found: DryRun | None = None,
    report: drift.DriftReport | None = None,
    on_server: bool = True,
) -> Plan:
    """The plan for state present. dry_run_found: what the API server said of the objects that differ. report: what
    drifted. on_server: helm applies on the server."""
    plan, wanted, current, decision = Plan(), rendered.wanted, rendered.current, rendered.decision
    found = dry_run_found or DryRun()
    _warn_of_rounded_numbers(plan, wanted)
    _plan_namespace(plan, current, wanted)
    applied = _plan_crds(plan, current, wanted, mask)
    plan.result["release"] = _summary(rendered)
    if not rendered.fresh:
        _plan_replicas(plan, rendered, on_server)
    if decision.rollback_to:
        # Rolling back only unlocks the release where an upgrade follows: what it brings up need not become ready.
        operation = Operation(
            decision.rollback_to,
            list(rendered.restored.values()),
            wait=wanted.wait and not rendered.upgrades,
            force=found.force and not rendered.upgrades,
        )
        plan.steps.append(Step(f"roll back to revision {decision.rollback_to}", ROLLBACK, operation))
    if decision.uninstall:
        plan.steps.append(Step("uninstall the unfinished release", UNINSTALL, Operation(wait=True)))
    helms_crds: Objects = {}
    if rendered.upgrades:
        _plan_upgrade(plan, rendered, report, found.force)
        if rendered.fresh and not wanted.skip_crds:
            helms_crds = {key: item for key, item in current.crds.missing.items() if key not in applied}
    _plan_objects(plan, rendered, helms_crds, found, mask)
    if report is not None:
        _plan_drift(plan, current, wanted, report, mask)
    if not plan.diff and any(step.action in (UPGRADE, ROLLBACK, UNINSTALL) for step in plan.steps):
        plan.diff.append(_record_entry(rendered, mask))
    if wanted.test:
        _plan_test(plan, rendered.after, current.history.latest)
    return plan


def plan_absent(current: CurrentRelease, wanted: ReleaseOptions, mask: Mask) -> Plan:
    """The plan for state absent. The namespace, CRDs and volumes stay."""
    plan = Plan()
    latest = current.history.latest
    if latest:
        plan.steps.append(Step("uninstall", UNINSTALL, Operation(wait=wanted.wait)))
    plan.result["objects"], plan.diff = render.changes(_objects(current.history.applied), {}, wanted.namespace, mask)
    if latest and not plan.diff:
        before = documents.dump(_record_of(latest.chart.get("metadata") or {}, latest.status))
        plan.diff.append(diff_entry(_record_header(wanted), before, ""))
    plan.result["release"] = release.absent(wanted.name, wanted.namespace)
    return plan


def _summary(rendered: Rendered) -> dict[str, Any]:
    wanted, latest, target = rendered.wanted, rendered.current.history.latest, rendered.rolls_back_to
    if rendered.upgrades and rendered.chart is not None:
        return _next(wanted, rendered.chart, rendered.decision.revision)
    if latest and target:
        return _future({**target.summary(), "revision": latest.revision + 1}, f"Rollback to {target.revision}")
    return latest.summary() if latest else release.absent(wanted.name, wanted.namespace)


def _plan_upgrade(plan: Plan, rendered: Rendered, report: drift.DriftReport | None, force: bool) -> None:
    wanted, latest, labels = rendered.wanted, rendered.current.history.latest, rendered.decision.labels
    repairs = wanted.drift == REPAIR and report is not None and bool(_repairable(report))
    operation = Operation(
        objects=list(rendered.after.values()),
        wait=wanted.wait,
        labels=labels,
        force=force or (repairs and _by_server(latest)),
    )
    plan.steps.append(Step("install" if rendered.fresh else "upgrade", UPGRADE, operation))
    _show_labels(plan, latest, wanted, labels)


def _plan_replicas(plan: Plan, rendered: Rendered, on_server: bool) -> None:
    """Keep the numbers of replicas that an autoscaler is to set from now on; or say that helm will not."""
    found = replicas.handed_over((rendered.before, rendered.restored), rendered.after, rendered.wanted.namespace)
    if found and on_server:
        plan.steps.append(Step(f"keep the number of replicas of {', '.join(map(str, found))}", CLAIM, found))
    elif found:
        plan.warnings += [
            f"{one} will have one pod until its autoscaler's first look, about 15 seconds after the upgrade: helm"
            " removes spec.replicas, as it applies on the client here (Helm 3, or a release that Helm 3 installed)."
            for one in found
        ]


def _plan_objects(plan: Plan, rendered: Rendered, helms_crds: Objects, found: DryRun, mask: Mask) -> None:
    wanted, after = rendered.wanted, dict(rendered.after)
    taken = dry_run.shown(found.taken, after, wanted, mask)
    after.update({key: dry_run.marked(after[key], wanted) for key in taken})
    notes = {}
    for key, live in found.taken.items():
        owner = release_of(live)
        notes[key] = f"taken over from release {owner}" if owner else "taken over, belongs to no release"
    objects, diff = render.changes({**rendered.before, **taken}, {**helms_crds, **after}, wanted.namespace, mask, notes)
    plan.result["objects"] = [*plan.result.get("objects", []), *objects]
    plan.diff.extend(diff)


def _warn_of_rounded_numbers(plan: Plan, wanted: ReleaseOptions) -> None:
    plan.warnings += [
        f"values: {path} is an integer that Helm rounds, as it reads numbers as 64-bit floats. Write it as a string."
        for path in documents.rounded_numbers(wanted.values)
    ]


def _record_header(wanted: ReleaseOptions) -> str:
    return f"Release {wanted.namespace}/{wanted.name} (record)"


def _record_entry(rendered: Rendered, mask: Mask) -> dict[str, str]:
    """Why a release changes although no object does: its state, chart, values or files of the chart."""
    wanted, chart, latest = rendered.wanted, rendered.chart, rendered.current.history.latest
    texts: list[dict[str, Any]] = [{}, {}]
    if latest is not None:
        target = rendered.rolls_back_to
        metadata = chart.metadata if chart and rendered.upgrades else ((target or latest).chart.get("metadata") or {})
        texts = [
            _record_of(latest.chart.get("metadata") or {}, latest.status),
            _record_of(metadata, release.DEPLOYED),
        ]
        values = wanted.values if rendered.upgrades else (target or latest).config
        changed = _changed_values(latest.config, values)
        for text, number in zip(texts, (0, 1), strict=True):
            shown = {
                path: _fingerprint(pair[number], mask) for path, pair in changed.items() if pair[number] is not None
            }
            if shown:
                text["values"] = shown
        if chart is not None and rendered.upgrades:
            files = charts.differences(charts.of_release(latest.chart), chart) - charts.UNCERTAIN
            if files:
                texts[1]["changed files of the chart"] = sorted(files)
        if texts[0] == texts[1]:
            texts[1]["revision"], texts[0]["revision"] = (
                rendered.decision.revision or latest.revision + 1,
                latest.revision,
            )
    before, after = (documents.dump(text) if text else "" for text in texts)
    return diff_entry(_record_header(wanted), before, after)


def _record_of(metadata: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {
        "chart": f"{metadata.get('name', '')} {metadata.get('version', '')}",
        "app version": str(metadata.get("appVersion", "")),
        "status": status,
    }


def _changed_values(before: Any, after: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Path → value before and after, None where it is not set."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for name in sorted({*map(str, before), *map(str, after)}):
            below = f"{path}.{name}" if path else name
            found |= _changed_values(before.get(name), after.get(name), below)
        return found
    same = documents.canonical(documents.as_float64(before)) == documents.canonical(documents.as_float64(after))
    return {} if same else {path or "values": (before, after)}


def _fingerprint(value: Any, mask: Mask) -> Any:
    """Values are not shown in results, only that they change."""
    return None if value is None else mask.fingerprint(documents.canonical(value))


def namespace_manager(wanted: ReleaseOptions) -> str:
    """Field manager of the labels on the Namespace: one per release, so that releases which share a namespace each
    own their labels."""
    return f"orion.tracing/{wanted.name}"


def serving(history: History, wanted: ReleaseOptions, said: str) -> str:
    """Which revision serves, in words, after helm failed. said: helm's message, which Helm notes in the record too."""
    latest, what = history.latest, str(wanted)
    if latest is None:
        return f"{what} is not installed now"
    noted = latest.description
    _what, _failed, why = noted.partition(" failed: ")
    state = f"{what} is now at revision {latest.revision}, {latest.status}"
    state += "" if not noted or (why and why in said) else f" ({noted})"
    if latest.status == release.DEPLOYED or not history.deployed:
        return state
    return f"{state}; revision {history.deployed} was the last to be deployed"


def _plan_crds(plan: Plan, current: CurrentRelease, wanted: ReleaseOptions, mask: Mask) -> dict[Key, dict[str, Any]]:
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


def _plan_drift(
    plan: Plan, current: CurrentRelease, wanted: ReleaseOptions, report: drift.DriftReport, mask: Mask
) -> None:
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

    plan.result["drift"] = [item.summary() for item in report.drifted]
    plan.warnings += [str(item) for item in report.unreadable]
    plan.warnings += [f"{what}: a release that is deployed lacks it from then on" for what in report.deleting]
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
    # Before helm runs, so that an upgrade which states such a field has the last word.
    plan.steps[:0] = [
        Step(f"remove what was added to {item.key.kind} {item.key.name}", REMOVE_ADDED, item)
        for item in repairable
        if item.added
    ]
    if any(step.action in (UPGRADE, ROLLBACK) for step in plan.steps):
        return
    changed = [item for item in repairable if item.differences or not item.added]
    apart = [item for item in changed if not _by_server(latest) and drift.left_by_helm(item)]
    if len(apart) < len(changed):
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


def _repairable(report: drift.DriftReport) -> list[drift.Drifted]:
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


def _show_labels(plan: Plan, latest: Release | None, wanted: ReleaseOptions, given: Mapping[str, str | None]) -> None:
    before = latest.labels if latest else {}
    after = {**before, **given}
    after = {name: text for name, text in after.items() if text is not None and name != release.CHART_LABEL}
    if before != after:
        header = f"Release {wanted.namespace}/{wanted.name} (labels)"
        texts = (documents.dump(labels) if labels else "" for labels in (before, after))
        plan.diff.append(diff_entry(header, *texts))


def _plan_namespace(plan: Plan, current: CurrentRelease, wanted: ReleaseOptions) -> None:
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


def namespace_document(wanted: ReleaseOptions) -> dict[str, Any]:
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


def _objects(of: Release | None) -> dict[Key, dict[str, Any]]:
    return render.parse_release(of.manifest, of.hooks) if of else {}


def _next(wanted: ReleaseOptions, chart: Chart, revision: int) -> dict[str, Any]:
    summary = release.absent(wanted.name, wanted.namespace)
    metadata = {
        "chart": chart.metadata.get("name", ""),
        "chart_version": chart.metadata.get("version", ""),
        "app_version": chart.metadata.get("appVersion", ""),
    }
    return _future({**summary, **metadata, "revision": revision}, wanted.description or "")


def _future(summary: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**summary, "status": release.DEPLOYED, "updated": "", "description": description}
