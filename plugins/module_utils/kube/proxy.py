# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Answers through the API server's proxy of pods and services: which of the two servers refused."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Response, refusal

# Statuses after which the same request may be sent again. 404 and 500 are, too, when the API server itself answers.
# Source: https://opentelemetry.io/docs/specs/otlp/#failures-1
RETRYABLE = frozenset({429, 502, 503, 504})


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
