# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the Grafana that is to be provisioned would make of it: its Deployment in the cluster, or what its API says.

What is read is in the first part, what it means in the second, which is pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PermissionDenied,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.grafana import sources
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import OLDEST, Grafana, version_of
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import (
    API,
    NONE,
    SIDECAR,
    names_and_uids,
)
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import VICTORIALOGS
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import mapping, usable
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

# By which charts of Grafana label its Deployment.
LABEL = "app.kubernetes.io/name=grafana"
AUTO_UPDATE = "GF_PLUGINS_PREINSTALL_AUTO_UPDATE"
VICTORIALOGS_LINKS = (12, 2)
_OPTION = re.compile(r"\boption (url|token|username|ca_cert)\b")
_INI = re.compile(r"^\s*preinstall_auto_update\s*=\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Deployed:
    """A Deployment of Grafana. environment: of its containers, None for a value that is elsewhere. settings: its
    grafana.ini, "" where it was not found."""

    name: str
    read_only_root: bool
    environment: Mapping[str, str | None]
    sidecar: bool
    settings: str = ""


@dataclass(frozen=True)
class GrafanaFacts:
    """deployed: those in grafana_namespace. version, sources: of grafana_url. Empty where it was not asked."""

    deployed: tuple[Deployed, ...] = ()
    version: str = ""
    sources: tuple[Mapping[str, Any], ...] = ()
    error: TracingError | None = None


NOTHING = GrafanaFacts()
__all__ = ["API", "NONE", "NOTHING", "SIDECAR", "Deployed", "GrafanaFacts", "by_api", "findings", "in_cluster"]


def in_cluster(kube: Kube, namespace: str) -> tuple[Deployed, ...]:
    """The Deployments of Grafana in a namespace; none where they may not be read."""
    try:
        found = kube.list(f"/apis/apps/v1/namespaces/{namespace}/deployments", label_selector=LABEL)
        return tuple(_deployed(kube, namespace, one) for one in found)
    except PermissionDenied:
        return ()


def _deployed(kube: Kube, namespace: str, deployment: Mapping[str, Any]) -> Deployed:
    pod = inside(deployment, "spec", "template", "spec") or {}
    containers = pod.get("containers") or []
    environment = {one["name"]: one.get("value") for item in containers for one in item.get("env") or []}
    maps = {name for volume in pod.get("volumes") or [] if (name := inside(volume, "configMap", "name"))}
    settings = ""
    for name in sorted(maps):
        document = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        settings = settings or inside(document, "data", "grafana.ini") or ""
    read_only = any(
        inside(item, "securityContext", "readOnlyRootFilesystem") for item in containers if item["name"] == "grafana"
    )
    sidecar = any("datasources" in item["name"] for item in [*containers, *(pod.get("initContainers") or [])])
    return Deployed(str(inside(deployment, "metadata", "name")), read_only, environment, sidecar, settings)


def by_api(params: Mapping[str, Any]) -> GrafanaFacts:
    """What Grafana itself says. params: the options of grafana/client.py."""
    try:
        grafana = Grafana.connect(params)
        try:
            health = grafana.get("api/health") or {}
            found = tuple(sources.every(grafana))
        finally:
            grafana.close()
    except TracingError as problem:
        return GrafanaFacts(error=problem)
    return GrafanaFacts(version=str(health.get("version", "")), sources=found)


def findings(v: Mapping[str, Any], facts: GrafanaFacts) -> Iterator[Finding]:
    """v: variables of the inventory, those of the grafana role among them."""
    if v.get("grafana_provisioning", NONE) == NONE:
        return
    if v["grafana_provisioning"] == API:
        yield from _of_api(v, facts)
    else:
        for one in facts.deployed:
            yield from _of_deployment(v, one)


def _of_api(v: Mapping[str, Any], facts: GrafanaFacts) -> Iterator[Finding]:
    if facts.error:
        variable = "grafana_token" if isinstance(facts.error, PermissionDenied) else "grafana_url"
        what = f"{facts.error.what}: {facts.error.why}" if facts.error.why else facts.error.what
        what, remedy = (_OPTION.sub(r"grafana_\1", text) for text in (what, facts.error.remedy))
        yield error(variable, what, remedy)
        return
    version = version_of({"version": facts.version})
    if version and version < OLDEST:
        yield warning("grafana_url", f"is Grafana {facts.version}", "Upgrade it.", "Grafana 11 to 13 are supported")
    elif version and version < VICTORIALOGS_LINKS and v.get("grafana_logs_type") == VICTORIALOGS:
        yield warning(
            "grafana_logs_type",
            f"is victorialogs, but Grafana is {facts.version}",
            "Upgrade it to 12.2.",
            "older ones show no link from a span to logs in VictoriaLogs",
        )
    names = {str(one.get("name")): one for one in facts.sources}
    uids = {str(one.get("uid")): one for one in facts.sources}
    for place, name, uid in names_and_uids(v):
        other = names.get(name)
        if other and str(other.get("uid")) != uid:
            yield error(
                place,
                f"is {uid}, but Grafana has a data source {name} with the uid {other.get('uid')} ({other.get('type')})",
                f"Set it to {other.get('uid')} to take that over, or rename or remove the other.",
                "Grafana takes a name once",
            )
        if uids.get(uid, {}).get("readOnly"):
            yield error(
                place,
                f"is {uid}, a data source that is read-only in Grafana",
                "Remove it from Grafana's files, ConfigMaps and Secrets first, or set grafana_provisioning: sidecar.",
                "it was provisioned from a file",
            )


def _of_deployment(v: Mapping[str, Any], one: Deployed) -> Iterator[Finding]:
    where = f"Deployment {one.name} in namespace {v.get('grafana_namespace')}"
    match = _INI.search(one.settings)
    written = one.environment.get(AUTO_UPDATE) or (match[1] if match else "")
    if one.read_only_root and str(written).lower() != "false":
        yield warning(
            "grafana_namespace",
            f"{where} has a read-only root file system, and updates its bundled plugins at start",
            f"Set preinstall_auto_update = false in the section plugins of grafana.ini, or {AUTO_UPDATE}=false.",
            "the update fails and leaves Grafana without Tempo, Loki and Prometheus",
        )
    if not one.sidecar:
        yield warning(
            "grafana_provisioning",
            f"is sidecar, but {where} has no sidecar for data sources",
            "Set sidecar.datasources.enabled: true in the values of Grafana's chart, or use grafana_provisioning: api.",
            "nothing would read the data sources",
        )
    tenants = usable({}, mapping, v.get("grafana_tenant_variables") or {})
    for name, variable in tenants.items():
        if str(variable) not in one.environment:
            yield warning(
                Place("grafana_tenant_variables").key(name),
                f"is {variable}, which {where} does not have",
                "Fill it from a Secret (envValueFrom of Grafana's chart).",
                "the header would be empty, and the store would answer 'no org id'",
            )
