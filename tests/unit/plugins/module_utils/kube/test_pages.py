# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Collections in pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages


class Collection(Kube):
    """Numbers from 0 to count - 1. expired: the page from which on the server has forgotten the snapshot."""

    def __init__(self, count: int, expired: int = 0, status: int = 410) -> None:
        self.count, self.expired, self.status = count, expired, status
        self.queries: list[dict[str, Any]] = []

    def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
        self.queries.append(query)
        first, size = int(query.get("continue", 0)), query.get("limit", self.count)
        if self.expired and first >= self.expired:
            return Response(self.status, {}, json.dumps({"message": "gone"}).encode())
        last = min(first + size, self.count)
        metadata = {"continue": str(last)} if last < self.count else {}
        return Response(200, {}, json.dumps({"metadata": metadata, "items": list(range(first, last))}).encode())


def test_one_page_is_one_request() -> None:
    kube = Collection(2)
    assert pages(kube, "/x", "a=b", "c=d") == [0, 1]
    assert kube.queries == [{"labelSelector": "a=b", "fieldSelector": "c=d", "limit": 500}]


def test_all_pages() -> None:
    kube = Collection(5)
    assert pages(kube, "/x", limit=2) == [0, 1, 2, 3, 4]
    assert [query.get("continue") for query in kube.queries] == [None, "2", "4"]


def test_a_snapshot_that_expired_is_read_at_once() -> None:
    kube = Collection(5, expired=4)
    assert pages(kube, "/x", "a=b", limit=2) == [0, 1, 2, 3, 4]
    assert kube.queries[-1] == {"labelSelector": "a=b"}


def test_other_refusals_are_errors() -> None:
    with pytest.raises(ApiError):
        pages(Collection(5, expired=4, status=500), "/x", limit=2)
