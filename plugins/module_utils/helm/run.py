# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Read, plan, apply: one Helm release from what is there to what is wanted."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PartialFailure,
    PermissionDenied,
    ToolError,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import (
    crds,
    dry_run,
    pulls,
    reference,
    release,
    render,
    replicas,
    source,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import plan as plans
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Helm, RaceLost, ServerLost, seconds_of
from ansible_collections.orion.tracing.plugins.module_utils.helm.decide import (
    CurrentRelease,
    ReleaseDecision,
    check,
    decide,
    is_pinned,
    same_values,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.diagnose import diagnose
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import IGNORE, REPAIR, ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import Rendered
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Objects
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import custom_api_versions

if TYPE_CHECKING:
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

# An API server that restarts is back within a minute; a control plane that is being upgraded takes longer.
BACK_SECONDS, PAUSE_SECONDS = 120.0, 1.0
# The API server's message about a missing permission, as helm passes it on. Source: k8s.io/apiserver
# pkg/endpoints/handlers/responsewriters/errors.go
FORBIDDEN = re.compile(
    r'is forbidden: User "[^"]*" cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?'
)
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ROLES_SECONDS = 10.0  # within which a server that was started has read its roles


def read(kube: Kube, wanted: ReleaseOptions) -> CurrentRelease:
    """One list of release Secrets, and the Namespace where it matters: its labels are wanted, or nothing is installed
    yet. Superseded revisions are listed only where they are asked for, or nothing else is there."""
    namespace = quote(wanted.namespace)
    path, selector = f"/api/v1/namespaces/{namespace}/secrets", f"owner=helm,name={wanted.name}"
    if wanted.rollback_to:
        history = release.history(kube.list(path, selector), wanted.rollback_to)
    else:
        secrets = kube.list(path, f"{selector},status!={release.SUPERSEDED}")
        history = release.history(secrets)
        if history.incomplete:
            secrets += kube.list(path, f"{selector},status={release.SUPERSEDED}")
            history = release.history(secrets)
    if wanted.state == "absent" or (history.latest and wanted.namespace_labels is None):
        return CurrentRelease(history)
    try:
        return CurrentRelease(history, kube.get(f"/api/v1/namespaces/{namespace}"))
    except PermissionDenied:
        if wanted.namespace_labels is not None or wanted.create_namespace:
            raise
        return CurrentRelease(history)  # a user of one namespace may not read Namespaces, and need not


def ensure(kube: Kube, helm: Helm, wanted: ReleaseOptions, check_mode: bool, mask: Mask) -> Plan:
    """Bring the release to what is wanted, or return what that would take. Nothing is written in check mode.

    If helm fails because the API server went away, the whole is done once more as soon as that is back: a revision of
    our own that was left unfinished is rolled back, whatever on_pending is.
    """
    mask.learn(wanted.values)
    mask.learn({"password": wanted.source.repo_password})
    try:
        plan = _ensure(kube, helm, wanted, check_mode, mask)
    except TracingError as error:
        raise _masked(error, mask) from None
    plan.result["helm_processes"], plan.result["api_calls"] = helm.processes, kube.calls
    return plan


def _ensure(kube: Kube, helm: Helm, wanted: ReleaseOptions, check_mode: bool, mask: Mask) -> Plan:
    first: Plan | None = None
    try:
        chart, first = _plan(kube, helm, wanted, mask)
        return first if check_mode else _apply(kube, helm, wanted, chart, first, mask)
    except TracingError as error:
        lost = isinstance(error, ServerLost) or isinstance(error.__cause__, ServerLost)
        if not lost and not _refused_too_early(kube, error):
            raise
        _await_server(kube, error)
    again = wanted
    if first is not None and _is_ours(read(kube, wanted).history, first, wanted):
        again = replace(wanted, on_pending="rollback", on_failed="upgrade")
    chart, plan = _plan(kube, helm, again, mask)
    if not check_mode:
        plan = _apply(kube, helm, again, chart, plan, mask)
    if first is None:
        return plan
    # The difference is the one that the whole run made.
    warning = "the API server went away while helm was at work; the release was read again and completed"
    return replace(
        plan,
        steps=[*first.steps, *plan.steps],
        diff=first.diff,
        warnings=[*plan.warnings, warning],
        result={**plan.result, "objects": first.result["objects"]},
    )


def _apply(kube: Kube, helm: Helm, wanted: ReleaseOptions, chart: Chart | None, plan: Plan, mask: Mask) -> Plan:
    """Execute the steps; the plan with what came of them in its result."""
    outcome: dict[str, Any] = {}
    run_steps(plan.steps, lambda step: outcome.update(_execute(kube, helm, wanted, chart, step, mask)))
    return replace(plan, result={**plan.result, **outcome})


def _is_ours(history: release.History, plan: Plan, wanted: ReleaseOptions) -> bool:
    """Whether the newest revision is the one that the plan was making, rather than that of another run."""
    latest, planned = history.latest, plan.result["release"]["revision"]
    if latest is None or wanted.state == "absent":
        return latest is not None
    if wanted.rollback_to or latest.revision < planned:  # in the rollback before the upgrade
        return latest.description.startswith("Rollback to") and latest.revision <= planned
    return latest.revision == planned and same_values(latest.config, wanted.values)


def _refused_too_early(kube: Kube, error: TracingError) -> bool:
    """Whether helm met an API server that had not read its roles yet, and so refused what it allows now."""
    found = FORBIDDEN.search(str(error))
    if not found or not isinstance(error, ToolError | PermissionDenied | PartialFailure):
        return False
    verb, resource, group, namespace = found.groups("")
    resource, _slash, subresource = resource.partition("/")
    asked = {"verb": verb, "resource": resource, "subresource": subresource, "group": group, "namespace": namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    deadline = time.monotonic() + ROLES_SECONDS
    while True:
        try:
            answer = kube.request("POST", ACCESS_REVIEWS, body={**review, "spec": {"resourceAttributes": asked}})
            return bool(answer["status"].get("allowed"))
        except (PermissionDenied, Unreachable):
            if time.monotonic() > deadline:
                return False
        except TracingError:
            return False
        time.sleep(PAUSE_SECONDS)


def _await_server(kube: Kube, error: TracingError) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        try:
            if kube.send("GET", "/readyz").ok:
                return
        except Unreachable:
            pass
        if time.monotonic() > deadline:
            raise error
        time.sleep(PAUSE_SECONDS)


def _plan(kube: Kube, helm: Helm, wanted: ReleaseOptions, mask: Mask) -> tuple[Chart | None, Plan]:
    """The plan, and the chart that it installs. What the options forbid is refused before helm is started."""
    if wanted.state == "absent":
        current = read(kube, wanted)
        _learn(mask, current.history)
        return None, plans.plan_absent(current, wanted, mask)
    remote = reference.is_remote(wanted.source)
    chart = None if remote or wanted.rollback_to else charts.load(wanted.source.chart_ref)
    current = read(kube, wanted)
    _learn(mask, current.history)
    check(current, wanted)
    if remote and not is_pinned(current, wanted):
        chart = charts.load(str(source.cached(wanted.source) or source.pull(wanted.source, helm)))
    current = replace(current, crds=_read_crds(kube, wanted, current, chart))
    decision = decide(current, wanted, chart)
    objects = None
    if chart and decision.render:
        objects = _render(kube, helm, wanted, current, chart, decision)
    elif decision.rollback_to:
        helm.check(wanted)
    rendered = plans.rendered_of(wanted, current, decision, chart, objects)
    report = _drift(kube, wanted, current, mask)
    on_server = helm.applies_on_server(wanted, current.history.latest)
    return chart, plans.make_plan(rendered, mask, _dry_run(kube, rendered, on_server), report, on_server)


def _dry_run(kube: Kube, rendered: Rendered, on_server: bool) -> dry_run.DryRun:
    """The API server's answers about the objects that differ. Nothing is asked if the objects are removed first, or
    their namespace does not exist yet."""
    wanted, current, decision = rendered.wanted, rendered.current, rendered.decision
    if decision.uninstall or current.namespace is None or not (rendered.upgrades or decision.rollback_to):
        return dry_run.DryRun()
    force = wanted.force_conflicts or wanted.drift == REPAIR
    return dry_run.check(kube, wanted, rendered.before, rendered.after, on_server, force, current.crds.chart)


def _learn(mask: Mask, history: release.History) -> None:
    """Secrets of the revisions that diffs show: those that are no longer wanted are still secrets."""
    for revision in (history.latest, history.fallback, history.target):
        if revision is not None:
            mask.learn(revision.config)


def _read_crds(kube: Kube, wanted: ReleaseOptions, current: CurrentRelease, chart: Chart | None) -> crds.Crds:
    """One list, where this module applies CRDs, or where helm is going to install what is missing."""
    latest = current.history.latest
    if wanted.skip_crds or (latest and not wanted.upgrade_crds):
        return crds.Crds()
    if chart is None and latest:
        chart = charts.of_release(latest.chart)
    return crds.read(kube, crds.of_chart(chart, wanted.values), wanted.upgrade_crds) if chart else crds.Crds()


def _render(
    kube: Kube, helm: Helm, wanted: ReleaseOptions, current: CurrentRelease, chart: Chart, decision: ReleaseDecision
) -> Objects:
    if wanted.source.verify and not reference.is_remote(wanted.source):
        helm.verify(Path(chart.path), reference.keyring_of(wanted.source))
    if decision.render == "upgrade":
        document = helm.render(wanted, chart, decision.labels)
        release.check_size(document, str(wanted))
        found = release.of_document(document)
        return render.parse_release(found.manifest, found.hooks)
    served = [*custom_api_versions(kube), *crds.versions(current.crds.chart)]
    manifest = helm.template(wanted, chart, kube.version(), served, is_upgrade=bool(decision.rollback_to))
    release.check_size(charts.record_of(chart, wanted.values, manifest), str(wanted))
    return render.parse(manifest)


def _drift(kube: Kube, wanted: ReleaseOptions, current: CurrentRelease, mask: Mask) -> drift.DriftReport | None:
    """What differs from the newest revision, where that one serves."""
    if wanted.drift == IGNORE:
        return None
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

    latest = current.history.latest
    if latest is None or latest.status != release.DEPLOYED:
        return drift.DriftReport()
    objects = render.parse_release(latest.manifest, latest.hooks)
    return drift.survey(kube, wanted.namespace, objects, mask, added=wanted.drift_added)


def _execute(
    kube: Kube, helm: Helm, wanted: ReleaseOptions, chart: Chart | None, step: Step, mask: Mask
) -> dict[str, Any]:
    """Do one step; the keys of the result that only doing it gives."""
    if step.action == plans.NAMESPACE:
        path = f"/api/v1/namespaces/{quote(wanted.namespace)}"
        kube.apply(path, plans.namespace_document(wanted), manager=plans.namespace_manager(wanted))
        return {}
    if step.action == plans.CLAIM:
        replicas.claim(kube, step.data)
        return {}
    if step.action == plans.PUT_BACK:
        from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

        drift.put_back(kube, step.data)
        return {}
    if step.action == plans.REMOVE_ADDED:
        from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

        drift.remove_added(kube, step.data)
        return {}
    if step.action == plans.CRDS:
        for document in step.data.objects:
            crds.apply(kube, document, seconds_of(wanted.timeout))
        return {}
    started = datetime.now(UTC)
    watch = pulls.Watch(kube, wanted.namespace, step.data.objects, started)
    try:
        return _run(helm, wanted, chart, step, mask, watch)
    except TracingError as error:
        if isinstance(error, ServerLost | RaceLost):
            raise  # the server cannot be asked, or its objects are those of another run
        if watch.found:
            raise _unpulled(kube, wanted, chart, watch, error) from error
        raise _explained(kube, wanted, step, error, started) from error


def _run(
    helm: Helm, wanted: ReleaseOptions, chart: Chart | None, step: Step, mask: Mask, watch: pulls.Watch
) -> dict[str, Any]:
    operation: plans.Operation = step.data
    if step.action == plans.ROLLBACK:
        helm.rollback(wanted, operation.revision, operation.wait, operation.repair, operation.force)
    elif step.action == plans.UNINSTALL:
        helm.uninstall(wanted, operation.wait)
    elif step.action == plans.TEST:
        return {"test": mask.all(helm.test(wanted))}
    elif chart is not None:
        # A rollback is not stopped: helm would leave it pending.
        waits = wanted.wait or wanted.rollback_on_failure
        document = helm.upgrade(wanted, chart, operation.labels, operation.force, watch if waits else None)
        return {"release": release.of_document(document).summary()}
    return {}


def _explained(kube: Kube, wanted: ReleaseOptions, step: Step, error: TracingError, started: datetime) -> TracingError:
    """The error with what pods and events say, and which revision serves now: four requests at most."""
    # The clocks of this machine and of the cluster may differ a little.
    since = rfc3339(started - timedelta(seconds=30))
    # helm test brings the logs of its pods itself.
    lines = diagnose(kube, wanted.namespace, step.data.objects, since, read_logs=step.action != plans.TEST)
    details: dict[str, Any] = {**error.details, "not_ready": lines}
    if step.action != plans.TEST:
        try:
            history = read(kube, replace(wanted, state="absent", rollback_to=None)).history
        except TracingError:
            return type(error)(error.what, "\n".join([error.why, *lines]), error.remedy, **details)
        latest = history.latest
        details["release"] = latest.summary() if latest else release.absent(wanted.name, wanted.namespace)
        lines = [*lines, plans.serving(history, wanted, error.why)]
    else:
        lines = [*lines, *(f"{test['name']}: {test['log']}" for test in error.details.get("test", []) if _bad(test))]
    return type(error)(error.what, "\n".join([error.why, *lines]), error.remedy, **details)


def _unpulled(
    kube: Kube, wanted: ReleaseOptions, chart: Chart | None, watch: pulls.Watch, error: TracingError
) -> TracingError:
    """That an image cannot be pulled, for which helm was stopped, and which revision serves now."""
    details: dict[str, Any] = {**error.details}
    serving = ""
    try:
        history = read(kube, replace(wanted, state="absent", rollback_to=None)).history
        latest = history.latest
        details["release"] = latest.summary() if latest else release.absent(wanted.name, wanted.namespace)
        serving = plans.serving(history, wanted, error.why)
    except TracingError:
        pass
    variables = pulls.variables_of(chart.metadata if chart else {})
    found = pulls.error_of(watch.found, watch.missing_secrets(), wanted.namespace, variables, serving)
    return type(found)(found.what, found.why, found.remedy, **{**details, **found.details})


def _bad(test: dict[str, str]) -> bool:
    return test["phase"] != "Succeeded" and bool(test["log"])


def _masked(error: TracingError, mask: Mask) -> TracingError:
    """The same error without secret values: Helm quotes values in the messages of a schema."""
    return type(error)(mask.text(error.what), mask.text(error.why), error.remedy, **mask.all(error.details))
