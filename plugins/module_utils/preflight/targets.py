# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Hosts of an inventory that name the same namespace of the same cluster, or of two namespaces the same objects of the
whole cluster. Pure: no I/O, no Ansible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean, usable

KUBECONFIG, CONTEXT, NAMESPACE = "tracing_kubeconfig", "tracing_context", "tracing_namespace"
CREATE, PRIORITY_CLASS = "collector_priority_class_create", "collector_priority_class_name"
INSTRUMENTATION, MODE = "instrumentation_enabled", "instrumentation_mode"
# Variables that decide about objects of the whole cluster, by their role.
DECIDING = {"collector": (CREATE, PRIORITY_CLASS), "instrumentation": (INSTRUMENTATION, MODE)}


@dataclass(frozen=True)
class InstallTarget:
    """Where a host installs. server: URL of its API server, "" where that is not known. by_context: whether
    tracing_context chooses the cluster."""

    host: str
    server: str
    namespace: str
    by_context: bool = False

    @property
    def place(self) -> tuple[str, int | None, str, str]:
        """Equal for equal targets."""
        return (*self.cluster, self.namespace)

    @property
    def cluster(self) -> tuple[str, int | None, str]:
        """Equal for one API server: its URLs may differ in case, in a default port and in a last slash."""
        parts = urlsplit(self.server)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        return ((parts.hostname or "").lower(), port, parts.path.rstrip("/"))

    def beside(self, others: Iterable[InstallTarget]) -> list[str]:
        """Those of the others, by host, that are in another namespace of the same cluster."""
        return [one.host for one in others if self.server and one.cluster == self.cluster and one.place != self.place]


def repeated(own: InstallTarget, others: Iterable[InstallTarget]) -> list[Finding]:
    """An error for the host where others have the same target. A cluster under two addresses is not recognized."""
    same = [one.host for one in others if own.server and one.host != own.host and one.place == own.place]
    if not same:
        return []
    return [
        error(
            CONTEXT if own.by_context else KUBECONFIG,
            f"leads {own.host} to the namespace {own.namespace} of {own.server}, as it does {_listed(same)}",
            f"Give each host another cluster ({KUBECONFIG}, {CONTEXT}) or another {NAMESPACE}.",
            "each host would replace what another has installed",
        )
    ]


@dataclass(frozen=True)
class ClusterObjects:
    """Objects of the whole cluster that a host's variables make. name: what they are. variable: by which they are made.
    certain: whether they are in every cluster."""

    name: str
    variable: str
    certain: bool = True


def cluster_objects(v: Mapping[str, Any]) -> list[ClusterObjects]:
    """v: collector_priority_class_create and _name, instrumentation_enabled and _mode. Those whose names have the
    namespace in them are left out, as are variables that are not usable."""
    found = []
    if usable(False, boolean, v.get(CREATE)):
        found.append(ClusterObjects(f"the PriorityClass {v.get(PRIORITY_CLASS) or ''}", CREATE))
    mode = v.get(MODE)
    if usable(False, boolean, v.get(INSTRUMENTATION)) and mode in ("auto", "policy"):
        found.append(ClusterObjects("the admission policies of instrumentation", INSTRUMENTATION, mode == "policy"))
    return found


def repeated_objects(host: str, made: Mapping[str, Iterable[ClusterObjects]]) -> list[Finding]:
    """Of a host, what another host of the same cluster makes too. made: by host, that one included."""
    found = []
    for one in made[host]:
        others = [
            other for other, objects in made.items() if other != host and one.name in {two.name for two in objects}
        ]
        if others:
            found.append(
                (error if one.certain else warning)(
                    one.variable,
                    f"makes {one.name} for {host}, as it does for {_listed(others)} in the same cluster",
                    f"Set {one.variable} to false for all but one of these hosts.",
                    "objects of the whole cluster belong to one release"
                    + ("" if one.certain else ", where the cluster serves admission policies"),
                )
            )
    return found


def _listed(hosts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(hosts[:-1]), hosts[-1]]))
