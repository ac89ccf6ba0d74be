# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Shipping the orders of a topic; an order that fails is tried again through another topic, within its trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from opentelemetry import baggage, trace

from fulfilment.messages import Message, batch, processing

TOPIC = "orders"
RETRY_TOPIC = "orders.retry"
SHIPPING_COST_CENTS = 250

logger = logging.getLogger("fulfilment")
tracer = trace.get_tracer("fulfilment")


class CarrierUnavailable(Exception):
    """The carrier does not take the parcel now."""


@dataclass(frozen=True)
class Order:
    """An order that is to be shipped. attempt: 1 for the first."""

    id: UUID
    sku: str
    quantity: int
    attempt: int

    @classmethod
    def parse(cls, value: bytes | None) -> Order:
        """The order of a message: JSON with id, sku, quantity, and attempt on the topic of retries. Or ValueError."""
        try:
            fields = json.loads(value or b"")
            return cls(UUID(fields["id"]), str(fields["sku"]), int(fields["quantity"]), int(fields.get("attempt", 1)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the message is not an order: {error!r}") from error

    def again(self) -> bytes:
        """The message of the next attempt."""
        fields = {"id": str(self.id), "sku": self.sku, "quantity": self.quantity, "attempt": self.attempt + 1}
        return json.dumps(fields).encode()


class Shipments(Protocol):
    """What shipping needs of a store."""

    async def add(self, order: Order) -> None:
        """Stores the shipment of an order; nothing where it is stored already: Kafka may deliver a message twice."""


class Producer(Protocol):
    """What shipping needs of aiokafka's producer."""

    async def send_and_wait(self, topic: str, value: bytes, key: bytes) -> object:
        """Returns when the broker has the message."""


def shipping_cost(quantity: int) -> int:
    """In cents: a parcel holds ten pieces."""
    return SHIPPING_COST_CENTS * -(-quantity // 10)


class Shipping:
    """Ships orders, with a carrier that does not take the sku flaky-shipment at the first attempt."""

    def __init__(self, shipments: Shipments, producer: Producer) -> None:
        self._shipments = shipments
        self._producer = producer

    async def process(self, messages: Sequence[Message]) -> None:
        """Processes these messages one after the other."""
        with batch(messages) as links:
            for message in messages:
                with processing(message, links) as span:
                    try:
                        order = Order.parse(message.value)
                    except ValueError as error:
                        # It will not be better next time. The status is ours to set: the exception ends here.
                        span.record_exception(error)
                        span.set_status(trace.StatusCode.ERROR, str(error))
                        logger.error("message skipped: %s", error)
                        continue
                    await self._ship_or_retry(order)

    async def _ship_or_retry(self, order: Order) -> None:
        fields = {"order_id": str(order.id), "sku": order.sku, "tenant": baggage.get_baggage("tenant.id")}
        try:
            await self._ship(order)
        except CarrierUnavailable as error:
            logger.warning("order will be shipped later: %s", error, extra={"fields": fields})
            # Within the span of this attempt, so the next one is in the same trace.
            await self._producer.send_and_wait(RETRY_TOPIC, order.again(), key=str(order.id).encode())
        else:
            logger.info("order shipped", extra={"fields": fields})

    async def _ship(self, order: Order) -> None:
        # An exception that leaves the block is recorded on the span and sets its status to Error.
        with tracer.start_as_current_span("ship order") as span:
            span.set_attribute("shop.order_id", str(order.id))
            span.set_attribute("shop.sku", order.sku)
            span.set_attribute("shop.attempt", order.attempt)
            if order.sku == "flaky-shipment" and order.attempt == 1:
                raise CarrierUnavailable("the carrier does not take parcels at the moment")
            await self._shipments.add(order)
            span.add_event("handed to carrier", {"shop.parcels": -(-order.quantity // 10)})
