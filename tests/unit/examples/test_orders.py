# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from contextlib import asynccontextmanager

import httpx
import pytest
from opentelemetry.trace import StatusCode

from orders.app import create_app
from orders.ordering import Ordering


class Store:
    """Stock and orders in memory."""

    def __init__(self):
        self.stock = {"book": 10, "broken-price": 10}
        self.orders = {}

    async def known(self, sku):
        return sku in self.stock

    async def take(self, sku, quantity):
        if self.stock[sku] < quantity:
            return None
        self.stock[sku] -= quantity
        return self.stock[sku]

    async def put_back(self, sku, quantity):
        self.stock[sku] += quantity

    async def add(self, order):
        self.orders[order.id] = order

    async def find(self, order_id):
        return self.orders.get(order_id)


class Producer:
    """Keeps the messages with the orders that were stored when they were sent."""

    def __init__(self, store):
        self.store = store
        self.messages = []

    async def send_and_wait(self, topic, value, key):
        self.messages.append((topic, json.loads(value), key.decode(), len(self.store.orders)))


def pricing(request):
    order = json.loads(request.content)
    if order["sku"] == "broken-price":
        return httpx.Response(500)
    return httpx.Response(200, json={"total_cents": 100 * order["quantity"]})


@pytest.fixture
def shop(spans, client):
    class Shop:
        store = Store()
        producer = Producer(store)
        prices = staticmethod(pricing)

        def post(self, path, body):
            @asynccontextmanager
            async def connect():
                async with httpx.AsyncClient(
                    base_url="http://pricing", transport=httpx.MockTransport(self.prices)
                ) as prices:
                    yield Ordering(self.store, prices, self.producer)

            service = client(create_app(connect))
            return service.post(path, json=body) if body is not None else service.get(path)

    return Shop()


def test_an_order_is_stored_and_announced(shop):
    answer = shop.post("/orders", {"sku": "book", "quantity": 2})

    placed = answer.json()
    assert answer.status_code == 201
    assert placed == {"id": placed["id"], "sku": "book", "quantity": 2, "total_cents": 200}
    assert shop.producer.messages == [("orders", placed, placed["id"], 1)]
    assert shop.store.stock["book"] == 8
    assert shop.post(f"/orders/{placed['id']}", None).json() == placed


def test_stock_is_reserved_in_a_span_with_attributes_and_an_event(shop, spans):
    shop.post("/orders", {"sku": "book", "quantity": 2})

    span = spans.one("reserve stock")
    (event,) = span.events
    assert dict(span.attributes) == {"shop.sku": "book", "shop.quantity": 2}
    assert (event.name, dict(event.attributes)) == ("stock reserved", {"shop.stock_left": 8})
    assert span.parent.span_id == spans.request().context.span_id
    assert spans.named("release stock") == []


def test_too_small_a_stock_is_a_conflict_and_not_an_error_of_the_span(shop, spans):
    answer = shop.post("/orders", {"sku": "book", "quantity": 11})

    span = spans.one("reserve stock")
    assert answer.status_code == 409
    assert answer.json() == {"detail": "there are not enough pieces of book in stock"}
    assert (span.status.status_code, [event.name for event in span.events]) == (StatusCode.UNSET, ["stock refused"])
    assert shop.producer.messages == []


def test_an_unknown_sku_is_not_found(shop, spans):
    answer = shop.post("/orders", {"sku": "unknown", "quantity": 1})

    assert (answer.status_code, answer.json()) == (404, {"detail": "the shop does not sell unknown"})
    assert spans.named("reserve stock") == []
    assert spans.request().status.status_code == StatusCode.UNSET


def test_without_a_price_the_stock_is_released_and_the_request_has_the_exception(shop, spans, exception):
    answer = shop.post("/orders", {"sku": "broken-price", "quantity": 3})

    reason = "there is no price for broken-price: the pricing service answered 500"
    assert (answer.status_code, answer.json()) == (502, {"detail": reason})
    assert exception(spans.request()) == f"orders.ordering.PricingFailed: {reason}"
    assert dict(spans.one("release stock").attributes) == {"shop.sku": "broken-price", "shop.quantity": 3}
    assert shop.store.stock["broken-price"] == 10
    assert (shop.store.orders, shop.producer.messages) == ({}, [])


def test_pricing_that_cannot_be_reached_is_a_502(shop):
    def refused(request):
        raise httpx.ConnectError("refused")

    shop.prices = refused
    answer = shop.post("/orders", {"sku": "book", "quantity": 1})

    assert answer.status_code == 502
    assert "ConnectError('refused')" in answer.json()["detail"]
    assert shop.store.stock["book"] == 10


def test_the_messages_of_a_batch_are_sent_when_all_orders_are_stored(shop, spans):
    answer = shop.post("/orders/batch", {"orders": [{"sku": "book", "quantity": n} for n in (1, 2, 3)]})

    placed = answer.json()["orders"]
    assert answer.status_code == 201
    assert [order["quantity"] for order in placed] == [1, 2, 3]
    assert shop.producer.messages == [("orders", order, order["id"], 3) for order in placed]
    assert len(spans.named("reserve stock")) == 3


def test_the_orders_before_one_that_fails_are_announced(shop):
    orders = [{"sku": sku, "quantity": 1} for sku in ("book", "broken-price", "book")]
    answer = shop.post("/orders/batch", {"orders": orders})

    assert answer.status_code == 502
    assert [(sku["sku"], stored) for _one, sku, _two, stored in shop.producer.messages] == [("book", 1)]
    assert shop.store.stock == {"book": 9, "broken-price": 10}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/orders", {"sku": "book", "quantity": 0}),
        ("/orders", {"sku": "", "quantity": 1}),
        ("/orders", {"quantity": 1}),
        ("/orders/batch", {"orders": []}),
        ("/orders/batch", {"orders": [{"sku": "book", "quantity": 1}] * 101}),
    ],
)
def test_an_order_that_is_not_one_changes_nothing(shop, path, body):
    assert shop.post(path, body).status_code == 422
    assert shop.store.stock["book"] == 10


def test_an_order_that_is_not_there(shop):
    assert shop.post("/orders/00000000-0000-0000-0000-000000000001", None).status_code == 404
