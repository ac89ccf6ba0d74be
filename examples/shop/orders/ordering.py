# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Placing orders. The custom spans are those of business operations; HTTP, SQL and Kafka have spans by the agent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID, uuid4

import httpx
from opentelemetry import baggage, trace

from orders.model import NewOrder, Order
from orders.store import OrderStore

TOPIC = "orders"

logger = logging.getLogger("orders")
tracer = trace.get_tracer("orders")


class UnknownSku(Exception):
    """The shop does not sell it."""


class OutOfStock(Exception):
    """There are fewer pieces than ordered."""


class PricingFailed(Exception):
    """The pricing service failed or cannot be reached."""


class Producer(Protocol):
    """What ordering needs of aiokafka's producer."""

    async def send_and_wait(self, topic: str, value: bytes, key: bytes) -> object:
        """Returns when the broker has the message."""


class Ordering:
    """Places orders with the stock, the pricing service and the topic of new orders."""

    def __init__(self, store: OrderStore, prices: httpx.AsyncClient, producer: Producer) -> None:
        self._store = store
        self._prices = prices
        self._producer = producer

    async def place(self, new: NewOrder) -> Order:
        """Places one order. Raises UnknownSku, OutOfStock or PricingFailed; then the stock is as before."""
        (order,) = await self.place_all([new])
        return order

    async def place_all(self, new: Sequence[NewOrder]) -> list[Order]:
        """Places these orders one after the other, and announces them together.

        The first that fails ends it; those before it stay placed.
        """
        placed: list[Order] = []
        try:
            for order in new:
                placed.append(await self._store_order(order))  # noqa: PERF401 (extend would lose those before a failure)
        finally:
            await asyncio.gather(*(self._announce(order) for order in placed))
        return placed

    async def find(self, order_id: UUID) -> Order | None:
        return await self._store.find(order_id)

    async def _store_order(self, new: NewOrder) -> Order:
        if not await self._store.known(new.sku):
            raise UnknownSku(new.sku)
        await self._reserve(new)
        try:
            total = await self._price(new)
        except PricingFailed:
            await self._release(new)
            raise
        order = Order(id=uuid4(), sku=new.sku, quantity=new.quantity, total_cents=total)
        await self._store.add(order)
        fields = {"order_id": str(order.id), "sku": order.sku, "tenant": baggage.get_baggage("tenant.id")}
        logger.info("order placed", extra={"fields": fields})
        return order

    async def _reserve(self, new: NewOrder) -> None:
        with tracer.start_as_current_span("reserve stock") as span:
            span.set_attribute("shop.sku", new.sku)
            span.set_attribute("shop.quantity", new.quantity)
            left = await self._store.take(new.sku, new.quantity)
            if left is not None:
                span.add_event("stock reserved", {"shop.stock_left": left})
                return
            span.add_event("stock refused")
        # After the span, because an exception would make it an error, and too small a stock is not one.
        raise OutOfStock(new.sku)

    async def _release(self, new: NewOrder) -> None:
        with tracer.start_as_current_span("release stock") as span:
            span.set_attribute("shop.sku", new.sku)
            span.set_attribute("shop.quantity", new.quantity)
            await self._store.put_back(new.sku, new.quantity)

    async def _price(self, new: NewOrder) -> int:
        try:
            answer = await self._prices.post("/price", json=new.model_dump())
        except httpx.TransportError as error:
            raise PricingFailed(f"there is no price for {new.sku}: {error!r}") from error
        if not answer.is_success:
            raise PricingFailed(f"there is no price for {new.sku}: the pricing service answered {answer.status_code}")
        return int(answer.json()["total_cents"])

    async def _announce(self, order: Order) -> None:
        # The agent writes the trace context and the baggage into the message's headers.
        await self._producer.send_and_wait(TOPIC, order.model_dump_json().encode(), key=str(order.id).encode())
