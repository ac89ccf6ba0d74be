# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every query of the dashboards returns data from the real Prometheus and Jaeger, while the real Collector has load."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.report import measured
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus
from ansible_collections.orion.tracing.tests.queries.stack import Stack
from ansible_collections.orion.tracing.tests.queries.stores import Asked, Stores
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

PATIENCE = 90.0


@pytest.fixture(scope="module")
def stores(stack: Stack) -> Stores:
    ask = {"prometheus": stack.asker(stack.prometheus), "jaeger": stack.asker(stack.jaeger)}
    return Stores(ask, step=5)


@pytest.fixture(scope="module")
def empty(stack: Stack, stores: Stores) -> list[Asked]:
    return stores.empty(stack.load, PATIENCE)


def test_no_query_is_without_data_and_without_a_reason(stores: Stores, empty: list[Asked]) -> None:
    stores.check(empty)


def test_most_queries_have_data(stores: Stores, empty: list[Asked]) -> None:
    """The reasons do not swallow the test: Tempo's, the probe's and those of failures are all that is missing."""
    sure = [one for one in stores.queries() if one.dashboard.uid not in ("orion-tempo", "orion-traces", "orion-probe")]
    missing = {str(one) for one in empty}
    assert len([one for one in sure if str(one) not in missing]) > 85


def test_every_metric_is_there(stores: Stores, empty: list[Asked]) -> None:
    stores.check_metrics()


def test_points_lead_to_traces_that_are_stored(stack: Stack, stores: Stores, empty: list[Asked]) -> None:
    newest = stores.exemplars()[0]
    [trace] = stack.asker(stack.jaeger)(f"api/traces/{newest}", {})["data"]
    assert trace["traceID"] == newest


def test_variables_offer_choices(stores: Stores, empty: list[Asked]) -> None:
    choices = stores.choices()
    assert len(choices) > 5
    assert [name for name, found in choices.items() if not found] == []
    assert {"gateway", "orders"} <= set(choices["orion-red, service"])


def test_the_service_map_has_all_edges(stores: Stores, empty: list[Asked]) -> None:
    assert stores.edges() >= {
        "user → storefront",
        "storefront → gateway",
        "gateway → orders",
        "orders → pricing",
        "orders → shop",
        "pricing → fulfilment",
        "orders → fulfilment",
        "fulfilment → carrier",
    }


def test_what_sends_no_spans_is_named(stores: Stores, empty: list[Asked]) -> None:
    [one] = [one for one in stores.queries() if one.panel.title == "Called, but without spans"]
    assert [series["metric"]["service"] for series in stores.answer(one)] == ["carrier"]


def test_the_service_graph_of_the_reports_has_every_call(stack: Stack, empty: list[Asked]) -> None:
    """With the queries of trace_probe: the edges of what was sent, and the failures and durations of one that fails."""
    graph, why = measured.read(Prometheus(FakeKube().client(), f"http://127.0.0.1:{stack.prometheus}"), 600)
    assert graph is not None, why
    edges = {(one["client"], one["server"]): one for one in graph["edges"]}
    assert set(edges) >= {
        ("storefront", "gateway"), ("gateway", "orders"), ("orders", "pricing"), ("pricing", "fulfilment"),
        ("orders", "shop"), ("orders", "fulfilment"), ("fulfilment", "carrier"),
    }  # fmt: skip
    call = edges["gateway", "orders"]
    # One of three fails, and one of three takes 1.5 seconds.
    assert 0.2 < call["errors"] / call["calls"] < 0.45
    assert 0 < call["p50"] < 0.5 * 10**9 < call["p95"] < 5 * 10**9
    assert edges["orders", "shop"]["errors"] == 0
    kinds = {one["name"]: one["kind"] for one in graph["nodes"]}
    assert (kinds["orders"], kinds["shop"], kinds["carrier"]) == ("service", "database", "other")
