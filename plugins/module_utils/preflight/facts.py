# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The facts that checks.py judges, gathered at once from the cluster, helm, the store and Grafana. Read-only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.workloads import autoscaled
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    NotFound,
    PermissionDenied,
    ToolError,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.process import VERSION, Runner, run_process
from ansible_collections.orion.tracing.plugins.module_utils.grafana.content import PROMETHEUS_RULE
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import (
    RESOURCES,
    Modes,
    read,
    read_modes,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.modes import AUTO, resolved
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import GROUP as OPERATOR
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.policies import GROUP as ADMISSION
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.rollout import owners
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import entries
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import MIN_HELM, dotted
from ansible_collections.orion.tracing.plugins.module_utils.preflight import grafana as running_grafana
from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import (
    PULL_SECRETS,
    Access,
    Facts,
    Variables,
    flag,
    named_secrets,
    secret_references,
    text,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3 import names
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, region_of

HELM_REMEDY = f"Install helm {dotted(MIN_HELM)} or newer, or 4, and put it on PATH or name it in tracing_helm_binary."
MONITORING = "monitoring.coreos.com"
RBAC = "rbac.authorization.k8s.io"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
ENFORCE = "pod-security.kubernetes.io/enforce"

# What the charts and the proof need. Helm reads, creates, patches and, on upgrades, deletes.
OWNED = (
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("", "services"),
    ("", "configmaps"),
    ("", "secrets"),
    ("", "serviceaccounts"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "networkpolicies"),
    (RBAC, "roles"),
    (RBAC, "rolebindings"),
)
HELM_VERBS = ("get", "list", "create", "patch", "delete")
# The API server lets nobody grant what he may not do himself, so the rules of the chart's own roles are needed, too.
GRANTED = (("", "pods"), ("", "namespaces"), ("apps", "replicasets"))


def required(v: Variables, namespace_exists: bool, modes: Modes | None = None) -> list[Access]:
    """The permissions that the roles of this collection use. Pure. modes: as in Facts."""
    namespace = text(v, "tracing_namespace")
    wanted = [Access(verb, group, resource, namespace) for group, resource in OWNED for verb in HELM_VERBS]
    wanted += [
        Access(verb, "", resource, namespace)
        for resource in ("services/proxy", "pods/proxy")
        for verb in ("get", "create")
    ]
    wanted += [Access(verb, "discovery.k8s.io", "endpointslices", namespace) for verb in ("get", "list", "watch")]
    wanted += [Access(verb, group, resource) for group, resource in GRANTED for verb in ("get", "list", "watch")]
    wanted += [
        Access(verb, RBAC, resource)
        for resource in ("clusterroles", "clusterrolebindings")
        for verb in ("get", "create", "patch", "delete")
    ]
    if not namespace_exists:
        wanted.append(Access("create", "", "namespaces"))
    if modes is not None:
        wanted += [Access("list", one.group, one.plural) for one in RESOURCES.values()]
        mode = resolved(str(v.get("instrumentation_mode", AUTO)), modes.serves)
        if mode == "policy":
            policies = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
            wanted += [Access(verb, ADMISSION, resource) for resource in policies for verb in HELM_VERBS]
        elif mode == "operator":
            wanted += [Access(verb, OPERATOR, "instrumentations", namespace) for verb in HELM_VERBS]
    if autoscaled(v):
        wanted += [Access(verb, "autoscaling", "horizontalpodautoscalers", namespace) for verb in HELM_VERBS]
    if flag(v, "collector_priority_class_create"):
        wanted += [Access(verb, "scheduling.k8s.io", "priorityclasses") for verb in HELM_VERBS]
    if flag(v, "verify_probe_enabled"):
        wanted += [Access(verb, "batch", "cronjobs", namespace) for verb in HELM_VERBS]
    in_cluster = text(v, "grafana_provisioning") not in (running_grafana.API, running_grafana.NONE)
    grafana = text(v, "grafana_namespace") if in_cluster else ""
    rules = flag(v, "grafana_alerts_enabled") and text(v, "grafana_alerts_kind") == PROMETHEUS_RULE
    if grafana and rules:
        wanted += [Access(verb, MONITORING, "prometheusrules", grafana) for verb in HELM_VERBS]
    if grafana and grafana != namespace:
        maps = text(v, "grafana_provisioning_kind") == "ConfigMap"
        maps = maps or flag(v, "grafana_dashboards_enabled") or flag(v, "grafana_alerts_enabled")
        kinds = ("secrets", *(("configmaps",) if maps else ()))
        wanted += [Access(verb, "", resource, grafana) for resource in kinds for verb in HELM_VERBS]
    return wanted


def gather(params: dict[str, Any], connect: Callable[[dict[str, Any]], Kube] = Kube.connect) -> Facts:
    """Ask the cluster, helm, the store and Grafana. What fails becomes part of the facts; nothing raises.

    params: the module's options: variables, binary_path, s3, grafana, and those of the connection to the cluster.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        by_api = pool.submit(running_grafana.by_api, params["grafana"]) if params.get("grafana") else None
        parts = [
            pool.submit(cluster_facts, params, connect),
            pool.submit(helm_facts, params["binary_path"]),
            pool.submit(store_facts, params),
        ]
        facts = Facts()
        for part in parts:
            facts = replace(facts, **part.result())
    return replace(facts, grafana=by_api.result()) if by_api else facts


def cluster_facts(params: dict[str, Any], connect: Callable[[dict[str, Any]], Kube]) -> dict[str, Any]:
    try:
        kube = connect(params)
    except TracingError as error:
        return {"cluster_error": error}
    known = {"api_server": kube.host, "origin": kube.origin}
    # A finding at once is worth more here than one after a wait.
    kube.patience = 0.0
    try:
        version = kube.request("GET", "/version", timeout=10.0)["gitVersion"]
        return {**known, "kubernetes_version": version, **_inside(kube, params["variables"])}
    except TracingError as error:
        return {**known, "cluster_error": error}
    finally:
        kube.close()


def _inside(kube: Kube, v: Variables) -> dict[str, Any]:
    namespace = text(v, "tracing_namespace")
    wanted_secrets = {*secret_references(v), *(secret for name in PULL_SECRETS for secret in named_secrets(v, name))}
    with ThreadPoolExecutor(max_workers=8) as pool:
        space = pool.submit(_allowed, kube.get, f"/api/v1/namespaces/{namespace}") if namespace else None
        classes = pool.submit(_allowed, kube.list, "/apis/storage.k8s.io/v1/storageclasses")
        secrets = {
            name: pool.submit(_allowed, kube.get, f"/api/v1/namespaces/{namespace}/secrets/{name}")
            for name in sorted(wanted_secrets)
        }
        everything = pool.submit(can, kube, Access("*", "*", "*"))
        instrumented = pool.submit(_instrumented, kube, v) if flag(v, "instrumentation_enabled") else None
        beside = text(v, "grafana_namespace") if text(v, "grafana_provisioning") == running_grafana.SIDECAR else ""
        grafanas = pool.submit(running_grafana.in_cluster, kube, beside) if beside else None
        found, document = space.result() if space else (True, None)
        instrumentation = instrumented.result() if instrumented else {}
        # Without permission to look, the namespace may be there; being allowed to create it is then not demanded.
        asked = (
            []
            if everything.result() or not namespace
            else required(v, document is not None or not found, instrumentation.get("modes"))
        )
        answers = list(pool.map(lambda access: can(kube, access), asked))
        listed, items = classes.result()
    metadata = (document or {}).get("metadata", {})
    return {
        "namespace_phase": (document or {}).get("status", {}).get("phase", ""),
        "pod_security": metadata.get("labels", {}).get(ENFORCE, ""),
        "storage_classes": {
            item["metadata"]["name"]: item["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"
            for item in items or []
        }
        if listed
        else None,
        "denied": tuple(access for access, allowed in zip(asked, answers, strict=True) if not allowed),
        # Only the names of the keys leave this function.
        "secrets": {
            name: sorted(answer.get("data") or {}) if answer else None
            for name, (readable, answer) in ((name, future.result()) for name, future in secrets.items())
            if readable
        },
        "unreadable": tuple(name for name, future in secrets.items() if not future.result()[0]),
        "grafana": running_grafana.GrafanaFacts(grafanas.result() if grafanas else ()),
        **instrumentation,
    }


def _instrumented(kube: Kube, v: Variables) -> dict[str, Any]:
    """What can instrument pods, and, where workloads are listed, all that the cluster has."""
    listed, _wrong = entries(v.get("instrumentation_workloads"), "instrumentation_workloads")
    if listed:
        try:
            snapshot = read(kube)
            return {"modes": snapshot.modes, "workloads": snapshot, "owners": owners(kube, listed)}
        except PermissionDenied:
            pass  # the check of permissions names what is missing
    return {"modes": read_modes(kube)}


def _allowed(read: Callable[[str], Any], path: str) -> tuple[bool, Any]:
    """(False, None) where reading is forbidden, else (True, what was read)."""
    try:
        return True, read(path)
    except PermissionDenied:
        return False, None


def can(kube: Kube, access: Access) -> bool:
    """Whether these credentials may do it. Everybody may ask about himself, as a rule; without an answer: no.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
    """
    resource, separator, subresource = access.resource.partition("/")
    attributes = {"verb": access.verb, "group": access.group, "resource": resource, "namespace": access.namespace}
    if separator:
        attributes["subresource"] = subresource
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = kube.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    except (PermissionDenied, NotFound):
        return False
    return bool(answer["status"].get("allowed"))


def helm_facts(binary: str, run: Runner = run_process) -> dict[str, Any]:
    """The version of helm, by one process."""
    try:
        return {"helm_version": _helm_version(binary, run)}
    except TracingError as error:
        return {"helm_error": error}


def _helm_version(binary: str, run: Runner) -> str:
    oldest = dotted(MIN_HELM)
    path = shutil.which(binary)
    if path is None:
        where = f"{binary} is not an executable file" if os.sep in binary else f"there is no {binary} on PATH"
        raise ToolError("helm is missing", where, HELM_REMEDY)
    try:
        answer = run([path, "version", "--short"], os.environ, "", 20.0)
    except OSError as error:
        raise ToolError(f"{path} cannot be started", str(error), HELM_REMEDY) from error
    found = VERSION.match(answer.out.strip())
    if answer.code or not found:
        raise ToolError(
            f"{path} does not behave like helm",
            (answer.err or answer.out).strip()[:200] or f"it ended with {answer.code}",
            HELM_REMEDY,
        )
    if (int(found[1]), int(found[2])) < MIN_HELM:
        raise ToolError(f"{path} is helm {found[0]}", f"helm {oldest} or newer is needed", HELM_REMEDY)
    return found[0]


def store_facts(params: dict[str, Any]) -> dict[str, Any]:
    """Whether the bucket is there, asked by HeadBucket. Nothing for a name that no bucket can have."""
    bucket = text(params["variables"], "object_storage_bucket")
    if "object_storage_bucket" not in params["variables"] or names.problem(bucket):
        return {}
    try:
        store = Store.connect(params.get("s3") or {})
        try:
            head = store.head(bucket)
        finally:
            store.close()
    except TracingError as error:
        return {"s3_error": error}
    return {"bucket_exists": head is not None, "bucket_region": region_of(head)}
