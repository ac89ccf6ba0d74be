# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Hosts of an inventory that name the same namespace of the same cluster. Pure: no I/O, no Ansible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error

KUBECONFIG, CONTEXT, NAMESPACE = "tracing_kubeconfig", "tracing_context", "tracing_namespace"


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
        """Equal for equal targets: URLs of one server may differ in case, in a default port and in a last slash."""
        parts = urlsplit(self.server)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        return ((parts.hostname or "").lower(), port, parts.path.rstrip("/"), self.namespace)


def repeated(own: InstallTarget, others: Iterable[InstallTarget]) -> list[Finding]:
    """An error for the host where others have the same target. A cluster under two addresses is not recognized."""
    same = [one.host for one in others if own.server and one.host != own.host and one.place == own.place]
    if not same:
        return []
    hosts = " and ".join(filter(None, [", ".join(same[:-1]), same[-1]]))
    return [
        error(
            CONTEXT if own.by_context else KUBECONFIG,
            f"leads {own.host} to the namespace {own.namespace} of {own.server}, as it does {hosts}",
            f"Give each host another cluster ({KUBECONFIG}, {CONTEXT}) or another {NAMESPACE}.",
            "each host would replace what another has installed",
        )
    ]
