# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every query of every dashboard, asked of the cluster's stores while the shop has load: a panel without data needs a
reason that its source states."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.applications.conftest import setting, through_the_api_server
from ansible_collections.orion.tracing.tests.applications.shop import TENANT, Shop, request
from ansible_collections.orion.tracing.tests.queries.stores import Asked, Stores

from tools.dashboards.metrics import Maker

# From the first load to data in every panel: rates need two scrapes (15 s each) after the first one that has a series,
# the samplers send the metrics of spans every 15 s, those of the service graph ten seconds late, and the periodic probe
# runs every five minutes.
PATIENCE = 400.0


@pytest.fixture(scope="module")
def stores(kube: Kube) -> Stores:
    store = setting("ORION_TEST_STORE")
    makers = {Maker.COLLECTOR, Maker.CONNECTORS, Maker.PROBE} | (
        {Maker.TEMPO, Maker.TEMPO_2} if store == "tempo" else set()
    )
    return Stores({name: through_the_api_server(kube, name) for name in ("prometheus", store)}, makers=makers)


@pytest.fixture(scope="module")
def empty(shop: Shop, stores: Stores) -> list[Asked]:
    def load() -> None:
        for sku in ("book", "slow", "broken-price", "flaky-shipment", "unknown"):
            shop.checkout(sku)
        orders = [{"sku": "book", "quantity": 1}, {"sku": "flaky-shipment", "quantity": 1}]
        request(f"{shop.storefront}/checkout/batch", {"orders": orders}, (("x-tenant-id", TENANT),))

    return stores.empty(load, PATIENCE)


def test_no_query_is_without_data_and_without_a_reason(stores: Stores, empty: list[Asked]) -> None:
    stores.check(empty)


def test_every_metric_is_there(stores: Stores, empty: list[Asked]) -> None:
    stores.check_metrics()


def test_points_lead_to_traces_that_are_stored(stores: Stores, empty: list[Asked], shop: Shop) -> None:
    assert list(shop.trace(stores.exemplars()[0], lambda trace: trace.spans))


def test_variables_offer_choices(stores: Stores, empty: list[Asked]) -> None:
    assert [name for name, found in stores.choices().items() if not found] == []


def test_the_service_map_has_the_edges_of_the_shop(stores: Stores, empty: list[Asked]) -> None:
    found = stores.edges()
    assert found >= {"storefront → gateway", "gateway → orders", "orders → pricing", "pricing → fulfilment"}, found
