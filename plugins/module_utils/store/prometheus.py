# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Prometheus' instant queries.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
"""

from __future__ import annotations

import math

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.store.url import UrlEndpoint

# For messages about an option with its URL.
EXAMPLE = "http://prometheus.monitoring.svc:9090"
PATH = "api/v1/query"


class Prometheus:
    """A server with Prometheus' HTTP API, by its base URL."""

    def __init__(self, kube: Kube, url: str) -> None:
        self.endpoint = UrlEndpoint(kube, url)

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series that the query gives now, without those whose value is not a number.

        ApiError where the server does not answer as Prometheus does, NotNow among them.
        """
        answer = self.endpoint.get(PATH, {"query": promql})
        try:
            document = answer.json()
            if inside(document, "status") == "success":
                found = [(dict(one["metric"]), float(one["value"][1])) for one in document["data"]["result"]]
                return [(labels, value) for labels, value in found if math.isfinite(value)]
            why = inside(document, "error") or inside(document, "message")
        except (ValueError, LookupError, TypeError):
            why = None
        what = f"{self.endpoint.url} answered {answer.status} to {PATH}"
        raise ApiError(what, str(why or "the answer is not one of Prometheus"), status=answer.status)


def increase(metric: str, length: str) -> str:
    """PromQL for how far counters went up in a time such as 15m. increase() alone misses what a counter had when it was
    first seen, which for a new one is everything."""
    new = f"(last_over_time({metric}[{length}]) unless {metric} offset {length})"
    return f"{new} or increase({metric}[{length}])"
