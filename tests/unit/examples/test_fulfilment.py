# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from fastapi.testclient import TestClient
from opentelemetry import baggage, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from fulfilment.app import create_app
from fulfilment.shipping import RETRY_TOPIC, Shipping, shipping_cost

ID = "00000000-0000-0000-0000-00000000000{}"
TRACE = "0af7651916cd43dd8448eb211c80319{}"
PARENT = "b7ad6b716920333{}"


@dataclass
class Message:
    """As aiokafka gives it."""

    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    topic: str = "orders"
    partition: int = 0
    offset: int = 7


def message(number: int = 1, sku: str = "book", **fields) -> Message:
    """An order in the trace of this number."""
    headers = [
        ("traceparent", f"00-{TRACE.format(number)}-{PARENT.format(number)}-01".encode()),
        ("tracestate", b"vendor=x"),
        ("baggage", f"tenant.id=tenant-{number}".encode()),
        ("empty", None),
    ]
    return Message(json.dumps({"id": ID.format(number), "sku": sku, "quantity": 12, **fields}).encode(), headers)


class Shipments:
    def __init__(self):
        self.orders = []
        self.tenants = []

    async def add(self, order):
        self.orders.append((str(order.id), order.attempt))
        self.tenants.append(baggage.get_baggage("tenant.id"))


class Producer:
    """Keeps each message with the headers that the agent would give it."""

    def __init__(self):
        self.messages = []

    async def send_and_wait(self, topic, value, key):
        headers = {}
        propagate.inject(headers)
        self.messages.append((topic, value, key, [(name, text.encode()) for name, text in headers.items()]))


@pytest.fixture
def shipments():
    return Shipments()


@pytest.fixture
def producer():
    return Producer()


@pytest.fixture
def process(spans, shipments, producer):
    shipping = Shipping(shipments, producer)
    return lambda *messages: asyncio.run(shipping.process(messages))


def hexadecimal(context) -> tuple[str, str]:
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def test_a_message_is_processed_in_the_trace_of_its_producer(process, spans, shipments):
    process(message())

    processing, ship = spans.one("process orders"), spans.one("ship order")
    assert hexadecimal(processing.parent) == (TRACE.format(1), PARENT.format(1))
    assert processing.parent.is_remote
    assert processing.parent.trace_state.get("vendor") == "x"
    assert (processing.kind, ship.kind) == (SpanKind.CONSUMER, SpanKind.INTERNAL)
    assert ship.parent == processing.context
    assert dict(processing.attributes) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.consumer.group.name": "fulfilment",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 7,
    }
    assert dict(ship.attributes) == {"shop.order_id": ID.format(1), "shop.sku": "book", "shop.attempt": 1}
    (event,) = ship.events
    assert (event.name, dict(event.attributes)) == ("handed to carrier", {"shop.parcels": 2})
    assert shipments.orders == [(ID.format(1), 1)]


def test_its_baggage_is_there_while_it_is_processed_and_not_after(process, shipments):
    process(message())

    assert shipments.tenants == ["tenant-1"]
    assert baggage.get_baggage("tenant.id") is None
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_message_without_a_context_starts_a_trace(process, spans):
    process(Message(message().value))

    assert spans.one("process orders").parent is None
    assert spans.one("ship order").parent == spans.one("process orders").context


def test_a_single_message_has_no_span_of_a_batch(process, spans):
    process(message())

    assert spans.named("ship batch") == []
    assert spans.one("process orders").links == ()


def test_a_batch_has_a_link_to_each_producer_and_they_have_one_to_it(process, spans):
    process(message(1), message(2), Message(message(3).value))

    batch, processing = spans.one("ship batch"), spans.named("process orders")
    assert batch.parent is None
    assert batch.kind == SpanKind.CONSUMER
    assert batch.attributes["messaging.batch.message_count"] == 3
    # the third came without a context
    assert [hexadecimal(link.context) for link in batch.links] == [(TRACE.format(n), PARENT.format(n)) for n in (1, 2)]
    assert [[link.context for link in span.links] for span in processing] == [[batch.context]] * 3
    assert [hexadecimal(span.context)[0] for span in processing[:2]] == [TRACE.format(1), TRACE.format(2)]
    assert processing[2].parent is None


def test_an_order_that_fails_is_tried_again_in_the_same_trace(process, spans, shipments, producer, exception):
    process(message(sku="flaky-shipment"))

    failed = spans.one("ship order")
    assert failed.status.status_code == StatusCode.ERROR
    assert exception(failed).startswith("fulfilment.shipping.CarrierUnavailable: the carrier does not take parcels")
    assert spans.one("process orders").status.status_code == StatusCode.UNSET
    assert shipments.orders == []

    ((topic, value, key, headers),) = producer.messages
    assert (topic, key) == (RETRY_TOPIC, ID.format(1).encode())
    process(Message(value, headers, topic=RETRY_TOPIC))

    again = spans.one(f"process {RETRY_TOPIC}")
    assert again.parent.span_id == spans.one("process orders").context.span_id
    assert hexadecimal(again.context)[0] == TRACE.format(1)
    assert spans.named("ship order")[1].status.status_code == StatusCode.UNSET
    assert (shipments.orders, shipments.tenants) == ([(ID.format(1), 2)], ["tenant-1"])
    assert len(producer.messages) == 1


@pytest.mark.parametrize("value", [None, b"", b"nonsense", b"[]", b"{}", b'{"id": 1, "sku": "book", "quantity": 1}'])
def test_a_message_that_is_not_an_order_is_skipped_with_an_error(process, spans, shipments, value, exception):
    bad = message(1)
    bad.value = value
    process(bad, message(2))

    first, second = spans.named("process orders")
    assert first.status.status_code == StatusCode.ERROR
    assert "the message is not an order" in exception(first)
    assert second.status.status_code == StatusCode.UNSET
    assert shipments.orders == [(ID.format(2), 1)]


@pytest.mark.parametrize(("quantity", "cents"), [(1, 250), (10, 250), (11, 500), (1000, 25000)])
def test_a_parcel_holds_ten_pieces(quantity, cents):
    assert shipping_cost(quantity) == cents


async def forever() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ConnectionError("the database is away")


def test_the_cost_over_http():
    with TestClient(create_app(forever)) as client:
        assert client.get("/shipping-cost?quantity=11").json() == {"shipping_cost_cents": 500}
        assert client.get("/shipping-cost?quantity=0").status_code == 422


def test_health_while_the_consumer_runs():
    with TestClient(create_app(forever)) as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_a_consumer_that_has_ended_is_not_healthy_and_the_log_has_the_reason(caplog):
    with TestClient(create_app(broken)) as client:
        answer = client.get("/healthz")

    assert answer.status_code == 503
    assert "the database is away" in caplog.text
