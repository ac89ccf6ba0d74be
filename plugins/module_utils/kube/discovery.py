# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What an API server serves: the resources behind kinds, read from its discovery documents.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

THREADS = 8
# v2 since Kubernetes 1.30, v2beta1 since 1.26, the list of groups before.
DISCOVERY = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)


@dataclass(frozen=True)
class ApiResource:
    """Where the API server serves a kind."""

    group: str
    version: str
    plural: str
    namespaced: bool

    def url(self, namespace: str, name: str = "") -> str:
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace)}" if self.namespaced else ""
        return f"{base}{inside}/{self.plural}" + (f"/{quote(name)}" if name else "")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Served:
    """What the API server serves, by group, version and kind; stale: groups whose extension server does not answer."""

    resources: Mapping[tuple[str, str, str], ApiResource]
    stale: frozenset[str] = frozenset()

    def resource(self, group: str, version: str, kind: str) -> ApiResource | None:
        """In this version, or in another if it is no longer served."""
        others = (found for (of, _version, name), found in self.resources.items() if (of, name) == (group, kind))
        return self.resources.get((group, version, kind)) or next(others, None)


def discover(kube: Kube, versions: Collection[str]) -> Served:
    """Where these API versions ("v1", "apps/v1", ...) are served: one or two requests to an API server with aggregated
    discovery (Kubernetes 1.26 or newer), else one per version.
    """
    from concurrent.futures import ThreadPoolExecutor  # costs a module's start a few percent, and is seldom needed

    grouped = sorted(set(versions) - {"v1"})
    paths = [path for path, used in (("/api", "v1" in versions), ("/apis", grouped)) if used]
    found: dict[tuple[str, str, str], ApiResource] = {}
    stale: set[str] = set()
    plain: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for path, groups in zip(paths, pool.map(lambda path: _aggregated(kube, path), paths), strict=True):
            if groups is None:
                plain += ["v1"] if path == "/api" else grouped
                continue
            for name, version in groups:
                if version.get("freshness") == "Stale":
                    stale.add(name)
                for resource in version.get("resources") or []:
                    where = ApiResource(
                        name, version["version"], resource["resource"], resource["scope"] == "Namespaced"
                    )
                    found.setdefault((name, version["version"], _kind(resource)), where)
        for served, document in zip(plain, pool.map(lambda version: _plain(kube, version), plain), strict=True):
            name, _slash, number = served.rpartition("/")
            for resource in document.get("resources") or []:
                if "/" not in resource["name"]:
                    where = ApiResource(name, number, resource["name"], bool(resource.get("namespaced")))
                    found.setdefault((name, number, resource["kind"]), where)
    return Served(found, frozenset(stale))


def custom_api_versions(kube: Kube) -> list[str]:
    """What CRDs and extension servers add to Kubernetes' own API: "example.com/v1" and "example.com/v1/Widget", as
    Helm's --api-versions takes them. One request. Empty where the API server has no aggregated discovery."""
    found: list[str] = []
    for name, version in _aggregated(kube, "/apis") or []:
        if name.endswith(".k8s.io") or "." not in name:
            continue
        prefix = f"{name}/{version['version']}"
        kinds = {_kind(resource) for resource in version.get("resources") or []}
        found += [prefix, *(f"{prefix}/{kind}" for kind in sorted(kinds))]
    return found


def _aggregated(kube: Kube, path: str) -> list[tuple[str, dict[str, Any]]] | None:
    """(group, version) pairs, the group "" for Kubernetes' core; None where the API server has no such document."""
    answer = kube.send("GET", path, headers={"Accept": DISCOVERY})
    document = answer.json() if answer.ok else None
    if not isinstance(document, dict) or document.get("kind") != "APIGroupDiscoveryList":
        return None
    return [
        ((group.get("metadata") or {}).get("name") or "", version)
        for group in document.get("items") or []
        for version in group.get("versions") or []
    ]


def _plain(kube: Kube, version: str) -> dict[str, Any]:
    return kube.get(f"/apis/{version}" if "/" in version else f"/api/{version}") or {}


def _kind(resource: Mapping[str, Any]) -> str:
    return str((resource.get("responseKind") or {}).get("kind", ""))
