# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Requests to pods and services through the API server's proxy, and which of the two servers refused."""

from __future__ import annotations

from typing import Any, Protocol

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal

# Statuses after which the same request may be sent again. 404 and 500 are, too, when the API server itself answers.
# Source: https://opentelemetry.io/docs/specs/otlp/#failures-1
RETRYABLE = frozenset({429, 502, 503, 504})


class Proxy(Protocol):
    """What reaches a server in the cluster: client.Kube, through the API server, or direct.Direct."""

    def proxy(
        self,
        kind: str,
        namespace: str,
        name: str,
        port: int | str,
        path: str,
        method: str = "GET",
        query: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        scheme: str = "http",
        timeout: float = 30.0,
    ) -> Response:
        """As client.Kube.proxy."""


def from_api_server(answer: Response) -> bool:
    """Whether the API server itself refused (it sends a Status document), not the server behind its proxy."""
    try:
        document = answer.json()
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("kind") == "Status"


def proxy_denied(verb: str, resource: str, namespace: str, answer: Response) -> PermissionDenied:
    return PermissionDenied(
        f"no permission for {resource}/proxy in namespace {namespace}",
        refusal("", answer).why,
        f"Grant the verb {verb} on {resource}/proxy to the user of the kubeconfig.",
        status=answer.status,
    )
