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
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PermissionDenied,
    ToolError,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.process import VERSION, Runner, run_process
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.helm import info
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import (
    Modes,
    read,
    read_modes,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.rollout import owners
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import entries
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import MIN_HELM, dotted
from ansible_collections.orion.tracing.plugins.module_utils.preflight import grafana as running_grafana
from ansible_collections.orion.tracing.plugins.module_utils.preflight import kafka as running_kafka
from ansible_collections.orion.tracing.plugins.module_utils.preflight import reviews, rights
from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import (
    PULL_SECRETS,
    Facts,
    Variables,
    flag,
    named_secrets,
    secret_references,
    text,
    uses_bucket,
)
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right
from ansible_collections.orion.tracing.plugins.module_utils.s3 import names
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, region_of
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import InstalledTempo, installed
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import FRONT

HELM_REMEDY = f"Install helm {dotted(MIN_HELM)} or newer, or 4, and put it on PATH or name it in tracing_helm_binary."
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
ENFORCE = "pod-security.kubernetes.io/enforce"


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
        everything = pool.submit(reviews.everything, kube)
        release = text(v, "tempo_release_name") or FRONT
        tempo = pool.submit(_tempo, kube, namespace, release) if namespace and "tempo_image_tag" in v else None
        before = pool.submit(_tempo, kube, namespace, FRONT) if tempo and release != FRONT else None
        instrumented = pool.submit(_instrumented, kube, v) if flag(v, "instrumentation_enabled") else None
        brokers = pool.submit(running_kafka.ask, kube, v, namespace) if text(v, "tempo_profile") == "kafka" else None
        beside = text(v, "grafana_namespace") if text(v, "grafana_provisioning") == running_grafana.SIDECAR else ""
        grafanas = pool.submit(running_grafana.in_cluster, kube, beside) if beside else None
        found, document = space.result() if space else (True, None)
        instrumentation = instrumented.result() if instrumented else {}
        listed, items = classes.result()
        absent: tuple[str, ...] = ()
        denied: tuple[Right, ...] = ()
        if namespace and not everything.result():
            absent, denied = _rights(kube, v, found and document is None, instrumentation.get("modes"))
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
        "absent": absent,
        "denied": denied,
        # Only the names of the keys leave this function.
        "secrets": {
            name: sorted(answer.get("data") or {}) if answer else None
            for name, (readable, answer) in ((name, future.result()) for name, future in secrets.items())
            if readable
        },
        "tempo": tempo.result() if tempo else None,
        "tempo_before": before.result() if before else None,
        "kafka": brokers.result() if brokers else None,
        "unreadable": tuple(name for name, future in secrets.items() if not future.result()[0]),
        "grafana": running_grafana.GrafanaFacts(grafanas.result() if grafanas else ()),
        **instrumentation,
    }


def _rights(
    kube: Kube, v: Variables, is_absent: bool, modes: Modes | None
) -> tuple[tuple[str, ...], tuple[Right, ...]]:
    """Which namespaces do not exist, and which rights are missing. is_absent: whether tracing_namespace does not exist.
    Without permission to look, a namespace may be there; being allowed to create it is then not demanded."""
    first, *others = rights.namespaces(v)
    looked = in_threads(lambda name: _allowed(kube.get, f"/api/v1/namespaces/{quote(name)}"), others)
    absent = [first] if is_absent else []
    absent += [name for name, (readable, found) in zip(others, looked, strict=True) if readable and found is None]
    return tuple(absent), reviews.missing(kube, rights.required(v, modes, absent))


def _tempo(kube: Kube, namespace: str, release: str) -> InstalledTempo | None:
    """By the record of its release; None where it may not be read, which the check of permissions reports."""
    try:
        values = info.user_values(kube, namespace, release)
    except PermissionDenied:
        return None
    return None if values is None else installed(values)


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
    """Whether the bucket is there, asked by HeadBucket. Nothing for a name that no bucket can have, and for a bucket
    that this host does not use."""
    v = params["variables"]
    bucket = text(v, "object_storage_bucket")
    if "object_storage_bucket" not in v or names.problem(bucket) or not uses_bucket(v):
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
