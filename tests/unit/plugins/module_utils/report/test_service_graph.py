# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The service graph of some traces, and the comparison of two sets of traces."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.report.comparison import compare
from ansible_collections.orion.tracing.plugins.module_utils.report.service_graph import percentile, service_graph
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.report.made import MS, rows


@pytest.fixture
def order():
    """An order as the shop makes it. slow: milliseconds that the query takes longer."""

    def made(slow=0):
        return rows(
            (1, 0, "web", "POST /orders", 0, 100 + slow, {"kind": "SERVER"}),
            (2, 1, "web", "POST", 10, 90 + slow, {"kind": "CLIENT", "attributes": {"server.address": "orders"}}),
            (3, 2, "orders", "POST /orders", 20, 80 + slow, {"kind": "SERVER"}),
            (4, 3, "orders", "INSERT", 30, 50 + slow, {
                "kind": "CLIENT", "error": "locked" if slow else None,
                "attributes": {"db.system.name": "postgresql", "db.namespace": "shop"},
            }),
            (5, 3, "orders", "send", 60 + slow, 70 + slow, {
                "kind": "PRODUCER", "attributes": {"messaging.system": "kafka", "messaging.destination.name": "orders"},
            }),
            (6, 5, "fulfilment", "process", 75 + slow, 300, {
                "kind": "CONSUMER", "attributes": {"messaging.system": "kafka", "messaging.destination.name": "orders"},
            }),
            (7, 6, "fulfilment", "GET", 80 + slow, 90 + slow, {
                "kind": "CLIENT", "attributes": {"server.address": "carrier.example.com"},
            }),
        )  # fmt: skip

    return made


def edges(graph):
    return {key: (one.figures()["calls"], one.errors) for key, one in graph.edges.items()}


def test_services_databases_queues_and_others(order):
    graph = service_graph([order(), order(slow=5)])
    assert {one.name: one.kind for one in graph.nodes.values()} == {
        "web": "service", "orders": "service", "fulfilment": "service", "postgresql: shop": "database",
        "kafka: orders": "queue", "carrier.example.com": "other",
    }  # fmt: skip
    assert edges(graph) == {
        ("web", "orders"): (2, 0),
        ("orders", "postgresql: shop"): (2, 1),
        ("orders", "kafka: orders"): (2, 0),
        ("kafka: orders", "fulfilment"): (2, 0),
        ("fulfilment", "carrier.example.com"): (2, 0),
    }
    assert graph.edges["web", "orders"].figures()["p50"] == 80 * MS
    assert graph.edges["web", "orders"].figures()["max"] == 85 * MS


def test_calls_without_kinds_or_names():
    graph = service_graph(
        [rows((1, 0, "a", "x", 0, 9), (2, 1, "b", "y", 1, 2), (3, 2, "b", "z", 1, 2, {"kind": "CLIENT"}))]
    )
    assert edges(graph) == {("a", "b"): (1, 0)}


def test_no_traces_no_graph():
    graph = service_graph([])
    assert (graph.nodes, graph.edges) == ({}, {})


@pytest.mark.parametrize(
    ("values", "share", "expected"), [([], 50, 0), ([7], 95, 7), ([1, 2, 3, 4], 50, 2), (list(range(1, 101)), 95, 95)]
)
def test_percentiles_by_nearest_rank(values, share, expected):
    assert percentile(values, share) == expected


def test_differences_add_up_to_that_of_the_roots(order):
    found = compare([order(), order()], [order(slow=40)])
    assert [side["traces"] for side in found["sides"]] == [2, 1]
    assert found["sides"][1]["errors"] == 1
    total = found["sides"][1]["mean"] - found["sides"][0]["mean"]
    assert total == 40 * MS
    assert sum(one["difference"] for one in found["operations"]) == total
    assert found["operations"][0] == {
        "service": "orders", "name": "INSERT", "kind": "CLIENT", "times": [20 * MS, 60 * MS], "spans": [1, 1],
        "difference": 40 * MS,
    }  # fmt: skip


def test_what_only_one_side_has():
    found = compare([rows((1, 0, "a", "x", 0, 10), (2, 1, "a", "gone", 0, 4))], [rows((1, 0, "a", "x", 0, 10))])
    gone = next(one for one in found["operations"] if one["name"] == "gone")
    assert gone["times"] == [4 * MS, 0]
    assert compare([], [])["operations"] == []
