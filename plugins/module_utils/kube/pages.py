# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Collections of the Kubernetes API that can be large, read in pages."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

LIMIT = 500  # items per page, as kubectl get reads them


def pages(
    kube: Kube, path: str, label_selector: str = "", field_selector: str = "", limit: int = LIMIT
) -> list[dict[str, Any]]:
    """The items of a collection, one request per page of limit items.

    Where the API server has meanwhile forgotten the state that the pages are of (410), all is read at once, as
    client-go does. Raises as Kube.request.
    Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
    """
    query: dict[str, Any] = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        try:
            page = kube.request("GET", path, {**query, "limit": limit, **({"continue": token} if token else {})})
        except ApiError as error:
            if not token or error.details.get("status") != 410:
                raise
            page, found = kube.request("GET", path, query), []
        found += page.get("items") or []
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            return found
