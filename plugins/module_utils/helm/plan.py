# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be done to bring a release to what is wanted. Pure: no I/O, neither Ansible nor a client.

Two steps, because rendering costs a process: decide() says from the release record alone whether the chart has to be
rendered at all; make_plan() takes the rendered objects and makes the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import Conflict, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents, release, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import UNCERTAIN, Chart, differences, of_release
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import History, Release
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import CRD, Mask, Objects
from ansible_collections.orion.tracing.plugins.module_utils.plan import Plan, Step

NAMESPACE, ROLLBACK, UNINSTALL, UPGRADE = "namespace", "rollback", "uninstall", "upgrade"
UNKNOWN: Any = object()  # the namespace was not read, or may not be read


@dataclass(frozen=True)
class Wanted:
    """The options of the module, by their names there."""

    name: str
    namespace: str
    state: str = "present"
    chart_ref: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    create_namespace: bool = False
    namespace_labels: dict[str, str] | None = None
    wait: bool = True
    timeout: str = "5m"
    history_max: int | None = None
    rollback_on_failure: bool = False
    on_pending: str = "fail"
    on_failed: str = "upgrade"


@dataclass(frozen=True)
class Current:
    """history: of the release. namespace: its Namespace object, None where it does not exist, or UNKNOWN."""

    history: History
    namespace: Any = UNKNOWN


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
    """What the executor of a helm step needs. revision: to roll back to. objects: those that have to become ready."""

    revision: int = 0
    objects: list[dict[str, Any]] = field(default_factory=list)
    wait: bool = True


def decide(current: Current, wanted: Wanted, chart: Chart) -> Decision:
    """Compare by content. Conflict or NotFound where the options forbid to go on."""
    latest, fallback = current.history.latest, current.history.fallback
    _check_namespace(current, wanted)
    if latest is None:
        # A dry run against the server fails on custom resources whose definitions are yet to come with the chart.
        return Decision(render="template" if chart.crds else "upgrade", sure=True)
    if latest.pending or latest.status == release.UNINSTALLING:
        return _recover(latest, fallback, wanted, chart)
    if latest.status != release.DEPLOYED:
        if wanted.on_failed == "fail":
            raise Conflict(
                _state(latest, wanted), latest.description, "Repair it, or set on_failed to upgrade or to replace."
            )
        replace = wanted.on_failed == "replace"
        return Decision(uninstall=replace, render="template" if replace else "upgrade", sure=True)
    changed = _changed(latest, wanted, chart)
    if not changed:
        return Decision()
    return Decision(render="upgrade", sure=not changed <= UNCERTAIN)


def _recover(latest: Release, fallback: Release | None, wanted: Wanted, chart: Chart) -> Decision:
    if wanted.on_pending == "fail":
        raise Conflict(
            _state(latest, wanted),
            "another helm operation is running, or one was interrupted",
            "Wait for it; if nothing is running, set on_pending to rollback (back to the revision before, then upgrade)"
            " or to replace (uninstall, then install again).",
        )
    if wanted.on_pending == "replace" or fallback is None or not latest.pending:
        return Decision(uninstall=True, render="template", sure=True)
    changed = _changed(fallback, wanted, chart)
    return Decision(rollback_to=fallback.revision, render="template" if changed else "", sure=not changed <= UNCERTAIN)


def _changed(stored: Release, wanted: Wanted, chart: Chart) -> set[str]:
    changed = differences(of_release(stored.chart), chart)
    if documents.canonical(stored.config) != documents.canonical(wanted.values):
        changed.add("values")
    return changed


def _state(latest: Release, wanted: Wanted) -> str:
    since = f" since {latest.updated}" if latest.updated else ""
    return f"release {wanted.namespace}/{wanted.name} is in state {latest.status} (revision {latest.revision}{since})"


def make_plan(
    current: Current, wanted: Wanted, chart: Chart, decision: Decision, rendered: Objects | None, mask: Mask
) -> Plan:
    """The plan for state present. rendered: given exactly when the decision asks for it."""
    plan = Plan()
    _plan_namespace(plan, current, wanted)
    latest = current.history.latest
    before = _objects(latest)
    after: Objects = before
    summary = latest.summary() if latest else release.absent(wanted.name, wanted.namespace)
    fallback = current.history.fallback
    if decision.rollback_to and latest and fallback:
        after = _objects(fallback)
        summary = {**fallback.summary(), "revision": latest.revision + 1, "status": release.DEPLOYED}
    upgrades = rendered is not None and (decision.sure or not render.same(after, rendered))
    if decision.rollback_to:
        # Rolling back only unlocks the release where an upgrade follows: what it brings up need not become ready.
        operation = Operation(decision.rollback_to, list(after.values()), wait=wanted.wait and not upgrades)
        plan.steps.append(Step(f"roll back to revision {decision.rollback_to}", ROLLBACK, operation))
    if decision.uninstall:
        plan.steps.append(Step("uninstall the unfinished release", UNINSTALL, Operation(wait=True)))
    if rendered is not None and upgrades:
        fresh = latest is None or decision.uninstall
        operation = Operation(objects=list(rendered.values()), wait=wanted.wait)
        plan.steps.append(Step("install" if fresh else "upgrade", UPGRADE, operation))
        after = {**_crds(chart), **rendered} if fresh else rendered
        revision = 1 if latest is None or fresh else latest.revision + 1 + bool(decision.rollback_to)
        summary = _next(wanted, chart, revision)
    plan_objects(plan, before, after, wanted, mask)
    plan.result["release"] = summary
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
    plan.result["objects"], diff = render.changes(before, after, wanted.namespace, mask)
    plan.diff.extend(diff)


def namespace_manager(wanted: Wanted) -> str:
    """Field manager of the labels on the Namespace: one per release, so that releases which share a namespace each
    own their labels."""
    return f"orion.tracing/{wanted.name}"


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
    plan.diff.append(
        {
            "before_header": header,
            "after_header": header,
            "before": "" if before is None else _show_namespace(wanted.namespace, before),
            "after": _show_namespace(wanted.namespace, labels),
        }
    )


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


def _crds(chart: Chart) -> dict[render.Key, dict[str, Any]]:
    found: dict[render.Key, dict[str, Any]] = {}
    for data in chart.crds.values():
        found.update(render.parse(data.decode("utf-8", "replace"), CRD))
    return found


def crd_versions(chart: Chart) -> list[str]:
    """What the chart's own CRDs will serve when its templates are rendered, as helm's --api-versions takes it."""
    found: list[str] = []
    for document in _crds(chart).values():
        spec = document.get("spec") or {}
        for version in spec.get("versions") or []:
            prefix = f"{spec.get('group')}/{version.get('name')}"
            found += [prefix, f"{prefix}/{(spec.get('names') or {}).get('kind')}"]
    return found


def _next(wanted: Wanted, chart: Chart, revision: int) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "namespace": wanted.namespace,
        "revision": revision,
        "status": release.DEPLOYED,
        "chart": chart.metadata.get("name", ""),
        "chart_version": chart.metadata.get("version", ""),
        "app_version": chart.metadata.get("appVersion", ""),
    }
