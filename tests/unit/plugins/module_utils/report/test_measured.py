# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The service graph from the metrics of the service_graph connector."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.report import measured
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, answer_of, refused

URL = "http://prometheus.monitoring.svc:9090"


def ends(client: str, server: str, way: str | None = None) -> dict[str, str]:
    return {"client": client, "server": server, **({} if way is None else {"connection_type": way})}


FOUND: dict[str, measured.Series] = {
    "calls": [
        (ends("user", "web", "virtual_node"), 10.0),
        (ends("web", "orders", ""), 9.6),
        (ends("web", "orders", "messaging_system"), 3.2),
        (ends("orders", "shop", "database"), 20.0),
        (ends("orders", "carrier", "virtual_node"), 5.0),
        # Called by an uninstrumented name that has spans of its own elsewhere.
        (ends("web", "ship", "virtual_node"), 2.0),
        (ends("ship", "orders", ""), 2.0),
        # Extrapolated from nothing, and without a name.
        (ends("web", "gone", ""), 0.3),
        (ends("", "web", ""), 7.0),
    ],
    "errors": [(ends("web", "orders", ""), 1.9), (ends("orders", "carrier", "virtual_node"), 5.4)],
    "p50": [(ends("web", "orders"), 0.0125), (ends("web", "gone"), 1.0)],
    "p95": [(ends("web", "orders"), 0.25)],
}


def test_the_graph_has_what_the_metrics_have() -> None:
    graph = measured.measured_graph(FOUND, 600)
    assert (graph["source"], graph["seconds"]) == ("metrics", 600)
    edges = {(one["client"], one["server"]): one for one in graph["edges"]}
    assert edges["web", "orders"] == {
        "client": "web", "server": "orders", "calls": 13, "errors": 2, "p50": 12_500_000, "p95": 250_000_000,
        "max": None,
    }  # fmt: skip
    assert (edges["orders", "carrier"]["errors"], edges["orders", "carrier"]["p50"]) == (5, None)
    assert set(edges) == {
        ("user", "web"), ("web", "orders"), ("orders", "shop"), ("orders", "carrier"), ("web", "ship"),
        ("ship", "orders"),
    }  # fmt: skip
    assert {one["name"]: (one["kind"], one["calls"]) for one in graph["nodes"]} == {
        "user": ("other", 0), "web": ("service", 10), "orders": ("service", 15), "shop": ("database", 20),
        "carrier": ("other", 5), "ship": ("service", 2),
    }  # fmt: skip


def test_what_is_asked() -> None:
    asked = measured.queries("600s")
    assert asked["calls"] == (
        "sum by (client, server, connection_type) ((last_over_time(traces_service_graph_request_total[600s]) unless "
        "traces_service_graph_request_total offset 600s) or increase(traces_service_graph_request_total[600s]))"
    )
    assert "traces_service_graph_request_failed_total" in asked["errors"]
    assert asked["p95"].startswith("histogram_quantile(0.95, sum by (client, server, le) (")


def test_one_question_for_each_figure() -> None:
    def answer(request: Request) -> Any:
        query = request.query["query"]
        rows = (
            []
            if "failed" in query
            else [{"metric": ends("a", "b", ""), "value": [1, "0.5" if "le)" in query else "4"]}]
        )
        return answer_of({"status": "success", "data": {"result": rows}})

    cluster = FakeKube()
    cluster.on("prometheus", answer)
    graph, why = measured.read(Prometheus(cluster.client(), URL), 60)
    assert why == "" and graph is not None and len(cluster.asked) == 4
    [edge] = graph["edges"]
    assert (edge["calls"], edge["errors"], edge["p50"], edge["p95"]) == (4, 0, 500_000_000, 500_000_000)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refused(503, "no endpoints"), f"Prometheus gave no service graph: {URL} answered 503"),
        ({"status": "success", "data": {"result": []}}, f"{URL} has no request of the last 60 s in {measured.CALLS}."),
    ],
)
def test_no_graph_has_a_reason(answer: Any, why: str) -> None:
    cluster = FakeKube()
    cluster.on("prometheus", answer)
    graph, found = measured.read(Prometheus(cluster.client(), URL), 60)
    assert graph is None and found.startswith(why)
