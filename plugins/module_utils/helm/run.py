# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read, plan, apply: one Helm release from what is there to what is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.errors import PermissionDenied, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import plan as plans
from ansible_collections.orion.tracing.plugins.module_utils.helm import release, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Helm
from ansible_collections.orion.tracing.plugins.module_utils.helm.diagnose import diagnose
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import Current, Decision, Wanted
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Mask
from ansible_collections.orion.tracing.plugins.module_utils.kube import APPLY_PATCH, Kube
from ansible_collections.orion.tracing.plugins.module_utils.plan import Plan, Step, run_steps

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def read(kube: Kube, wanted: Wanted) -> Current:
    """One list of release Secrets, and the Namespace where it matters: its labels are wanted, or nothing is installed
    yet."""
    namespace = quote(wanted.namespace)
    secrets = kube.list(
        f"/api/v1/namespaces/{namespace}/secrets", f"owner=helm,name={wanted.name},status!={release.SUPERSEDED}"
    )
    history = release.history(secrets)
    if wanted.state == "absent" or (history.latest and wanted.namespace_labels is None):
        return Current(history)
    try:
        return Current(history, kube.get(f"/api/v1/namespaces/{namespace}"))
    except PermissionDenied:
        if wanted.namespace_labels is not None or wanted.create_namespace:
            raise
        return Current(history)  # a user of one namespace may not read Namespaces, and need not


def ensure(kube: Kube, helm: Helm, wanted: Wanted, check_mode: bool, mask: Mask) -> Plan:
    """Bring the release to what is wanted, or say what that would take. Nothing is written in check mode."""
    mask.learn(wanted.values)
    try:
        plan = _plan(kube, helm, wanted, mask)
        if not check_mode:
            run_steps(plan.steps, lambda step: _execute(kube, helm, wanted, plan, step))
    except TracingError as error:
        raise _masked(error, mask) from None
    plan.result["helm_processes"], plan.result["api_calls"] = helm.processes, kube.calls
    return plan


def _plan(kube: Kube, helm: Helm, wanted: Wanted, mask: Mask) -> Plan:
    if wanted.state == "absent":
        return plans.plan_absent(read(kube, wanted), wanted, mask)
    chart = charts.load(wanted.chart_ref)
    current = read(kube, wanted)
    decision = plans.decide(current, wanted, chart)
    return plans.make_plan(current, wanted, chart, decision, _render(kube, helm, wanted, chart, decision), mask)


def _render(
    kube: Kube, helm: Helm, wanted: Wanted, chart: charts.Chart, decision: Decision
) -> dict[render.Key, dict[str, Any]] | None:
    if decision.render == "upgrade":
        document = release.of_document(helm.render(wanted, chart))
        return render.parse_release(document.manifest, document.hooks)
    if decision.render == "template":
        served = [*_api_versions(kube), *plans.crd_versions(chart)]
        manifest = helm.template(wanted, chart, kube.version(), served, is_upgrade=bool(decision.rollback_to))
        return render.parse(manifest)
    return None


def _api_versions(kube: Kube) -> list[str]:
    """The API versions and kinds of CRDs and extension servers (Helm knows Kubernetes' own), as --api-versions takes
    them. Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery"""
    answer = kube.send("GET", "/apis", headers={"Accept": DISCOVERY})
    if not answer.ok:
        return []
    found: list[str] = []
    for group in answer.json().get("items") or []:
        name = group["metadata"]["name"]
        if name.endswith(".k8s.io") or "." not in name:
            continue
        for version in group.get("versions") or []:
            prefix = f"{name}/{version['version']}"
            kinds = {resource["responseKind"]["kind"] for resource in version.get("resources") or []}
            found += [prefix, *(f"{prefix}/{kind}" for kind in sorted(kinds))]
    return found


def _execute(kube: Kube, helm: Helm, wanted: Wanted, plan: Plan, step: Step) -> None:
    if step.action == plans.NAMESPACE:
        kube.request(
            "PATCH",
            f"/api/v1/namespaces/{quote(wanted.namespace)}",
            {"fieldManager": plans.namespace_manager(wanted), "force": "true"},
            plans.namespace_document(wanted),
            content_type=APPLY_PATCH,
        )
        return
    started = datetime.now(UTC)
    try:
        if step.action == plans.ROLLBACK:
            helm.rollback(wanted, step.data.revision, step.data.wait)
        elif step.action == plans.UNINSTALL:
            helm.uninstall(wanted, step.data.wait)
        else:
            plan.result["release"] = release.of_document(helm.upgrade(wanted)).summary()
    except TracingError as error:
        # The clocks of this machine and of the cluster may differ a little.
        since = (started - timedelta(seconds=30)).isoformat()
        lines = diagnose(kube, wanted.namespace, step.data.objects, since)
        why = "\n".join([error.why, *lines]) if lines else error.why
        raise type(error)(error.what, why, error.remedy, not_ready=lines, **error.details) from error


def _masked(error: TracingError, mask: Mask) -> TracingError:
    """The same error without secret values: Helm quotes values in the messages of a schema."""
    return type(error)(mask.text(error.what), mask.text(error.why), error.remedy, **error.details)
