# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every query of every dashboard, asked of the real stores while the shop has load: a panel without data needs a reason
that its source states."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.applications.shop import TENANT, Shop, request

from tools.dashboards.builder import Dashboard, JaegerSearch, Panel, PromQL, Query, TraceQL
from tools.dashboards.catalog import DASHBOARDS
from tools.dashboards.interpolate import chosen, interpolated
from tools.dashboards.metrics import METRICS, Maker, absence

# From the first load to data in every panel: rates need two scrapes (15 s each) after the first one that has a series,
# and the samplers send the metrics of spans every 15 s, ten seconds late for those of the service graph.
PATIENCE = 240.0
# The range of a dashboard, and the step of its curves: Grafana's $__rate_interval is four steps.
SECONDS, STEP = 900, 30
# Of the services, where a dashboard has no "All": it serves requests that fail and requests that are slow.
SERVICE = "gateway"
ROUND = ("book", "slow", "broken-price", "flaky-shipment", "unknown")


@dataclass(frozen=True)
class Asked:
    """One query of a panel. reason: why it may have no data here, "" if it must have some."""

    dashboard: Dashboard
    panel: Panel
    ref: str
    query: Query
    reason: str

    def __str__(self) -> str:
        return f"{self.dashboard.uid}: {self.panel.title}, {self.ref}"

    @property
    def values(self) -> dict[str, str]:
        return {"service": SERVICE, **chosen(self.dashboard, SECONDS, STEP)}


class Stores:
    """Prometheus, and the store of traces, through the API server's proxy. store: the value of tracing_store_reader."""

    def __init__(self, kube: Kube, store: str) -> None:
        self.kube, self.store = kube, store

    def prometheus(self, path: str, **query: Any) -> Any:
        return self._ask("local-backends", "prometheus", 9090, f"api/v1/{path}", query)["data"]

    def ask(self, query: Query, values: dict[str, str]) -> list[Any]:
        """What Grafana would show: series with a value now, or traces."""
        text = interpolated(query.service if isinstance(query, JaegerSearch) else query.text, values)
        end = int(time.time())
        times = {"start": end - SECONDS, "end": end}
        if isinstance(query, PromQL):
            found = self.prometheus("query", query=text)["result"]
            return [one for one in found if not math.isnan(float(one["value"][1]))]
        if isinstance(query, TraceQL):
            path, key = ("metrics/query_range", "series") if query.metrics else ("search", "traces")
            asked = {"q": text, **times, **({"step": f"{STEP}s"} if query.metrics else {"limit": query.limit})}
            return self._ask("tracing", "tempo-query-frontend", 3200, f"api/{path}", asked).get(key) or []
        asked = {"service": text, "limit": query.limit, **{key: 10**6 * value for key, value in times.items()}}
        if query.tags:
            asked["tags"] = json.dumps(dict(tag.split("=") for tag in query.tags.split()))
        if query.minimum:
            asked["minDuration"] = interpolated(query.minimum, values)
        return self._ask("local-backends", "jaeger", 16686, "api/traces", asked)["data"] or []

    def _ask(self, namespace: str, service: str, port: int, path: str, query: dict[str, Any]) -> Any:
        answer = self.kube.proxy("services", namespace, service, port, path, query=query)
        assert answer.ok, f"{service} answered {answer.status} to {query}: {answer.text[:500]}"
        return answer.json()


@pytest.fixture(scope="module")
def stores(kube: Kube) -> Stores:
    return Stores(kube, os.environ["ORION_TEST_STORE"])


@pytest.fixture(scope="module")
def there(stores: Stores) -> set[str]:
    """The names of all metrics in Prometheus, when the load is over."""
    return set(stores.prometheus("label/__name__/values"))


def present(stores: Stores) -> set[Maker]:
    """Who must have made metrics. The optional ones count as soon as there is one of their metrics."""
    names = set(stores.prometheus("label/__name__/values"))
    made = {metric.maker for name, metric in METRICS.items() if name in names}
    optional = {Maker.PROBE, Maker.KUBE_STATE_METRICS, Maker.RULES}
    needed = {Maker.COLLECTOR, Maker.CONNECTORS} | ({Maker.TEMPO} if stores.store == "tempo" else set())
    return needed | (made & optional)


def reason(panel: Panel, query: Query, stores: Stores, makers: set[Maker]) -> str:
    if isinstance(query, PromQL):
        return "; ".join(filter(None, (absence(query.text, makers), panel.empty)))
    if query.source.type != stores.store:
        return f"needs {query.source.type} as the store of traces"
    return panel.empty


def queries(stores: Stores) -> Iterator[Asked]:
    makers = present(stores)
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for ref, query in panel.named_queries():
                yield Asked(dashboard, panel, ref, query, reason(panel, query, stores, makers))


def send(shop: Shop) -> None:
    """One request of each kind, and a batch."""
    for sku in ROUND:
        shop.checkout(sku)
    orders = [{"sku": "book", "quantity": 1}, {"sku": "flaky-shipment", "quantity": 1}]
    request(f"{shop.storefront}/checkout/batch", {"orders": orders}, (("x-tenant-id", TENANT),))


@pytest.fixture(scope="module")
def empty(shop: Shop, stores: Stores) -> list[Asked]:
    """The queries that have no data although the shop has had load, for as long as any of them may still get some."""
    limit = Deadline(Clock(), PATIENCE)
    while True:
        send(shop)
        missing = [one for one in queries(stores) if not _askable(one, stores) or not stores.ask(one.query, one.values)]
        if not [one for one in missing if not one.reason] or not limit.wait(2):
            return missing


def _askable(one: Asked, stores: Stores) -> bool:
    return isinstance(one.query, PromQL) or one.query.source.type == stores.store


def test_no_panel_is_empty_without_a_reason(empty: list[Asked], stores: Stores) -> None:
    every = list(queries(stores))
    print(f"{len(every) - len(empty)} of {len(every)} queries have data. The others:")
    for one in empty:
        print(f"  {one}: {one.reason or 'NO REASON'}")
    wrong = [f"{one}\n    {getattr(one.query, 'text', one.query)}" for one in empty if not one.reason]
    assert not wrong, f"{len(wrong)} queries without data:\n" + "\n".join(wrong)


def test_most_panels_have_data(empty: list[Asked], stores: Stores) -> None:
    """The reasons do not swallow the test: of what the Collector and its connectors make, nearly all is there."""
    makers = {Maker.COLLECTOR, Maker.CONNECTORS}
    sure = [
        one
        for one in queries(stores)
        if isinstance(one.query, PromQL) and not absence(one.query.text, makers) and one.dashboard.uid != "orion-probe"
    ]
    missing = {str(one) for one in empty}
    assert len(sure) > 60
    assert len([one for one in sure if str(one) in missing]) <= 4


@pytest.mark.parametrize("maker", [Maker.COLLECTOR, Maker.CONNECTORS])
def test_every_metric_is_there(maker: Maker, empty: list[Asked], there: set[str]) -> None:
    """Also those behind `or vector(0)`, where a wrong name would show zero for ever."""
    wanted = {name for name, metric in METRICS.items() if metric.maker is maker and not metric.rare}
    assert wanted - there == set()


def test_exemplars_lead_to_traces(empty: list[Asked], stores: Stores, shop: Shop) -> None:
    [one] = [one for one in queries(stores) if isinstance(one.query, PromQL) and one.query.exemplars]
    end = int(time.time())
    asked = {"query": interpolated(one.query.text, one.values), "start": end - SECONDS, "end": end}
    found = [point for series in stores.prometheus("query_exemplars", **asked) for point in series["exemplars"]]
    assert found, "no exemplar"
    newest = max(found, key=lambda point: float(point["timestamp"]))
    trace_id = newest["labels"].get("trace_id") or newest["labels"]["traceID"]
    assert shop.trace(trace_id, lambda trace: trace.spans).spans


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_variables_offer_choices(dashboard: Dashboard, empty: list[Asked], stores: Stores) -> None:
    for variable in dashboard.variables:
        if variable.query:
            inner = variable.query.removeprefix("label_values(").removesuffix(")")
            series, _comma, label = inner.rpartition(", ")
            match = interpolated(series, chosen(dashboard))
            assert stores.prometheus(f"label/{label}/values", **{"match[]": match}), variable.name


def test_the_service_map_has_the_edges_of_the_shop(empty: list[Asked], stores: Stores) -> None:
    [edges] = [one for one in queries(stores) if one.dashboard.uid == "orion-service-map" and one.ref == "edges"]
    ids = {series["metric"]["id"] for series in stores.ask(edges.query, edges.values)}
    assert ids >= {"storefront → gateway", "gateway → orders", "orders → pricing", "pricing → fulfilment"}, ids
