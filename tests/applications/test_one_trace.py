# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One request is one trace, over HTTP, Kafka and the database, in three languages.

examples/shop/README.md has the tree.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.plugins.module_utils.proof.expected_trace import SeenSpan
from ansible_collections.orion.tracing.tests.applications.shop import (
    PATIENCE,
    TENANT,
    Shop,
    Trace,
    failed,
    request,
    traceparent,
)

SERVICES = {"storefront", "gateway", "orders", "pricing", "fulfilment"}
# Span of a request or message → the service that sent it, and the kind of its span.
EDGES = {
    ("gateway", "POST /api/v1/orders"): ("storefront", "CLIENT"),
    ("orders", "POST /orders"): ("gateway", "CLIENT"),
    ("pricing", "POST /price"): ("orders", "CLIENT"),
    ("fulfilment", "GET /shipping-cost"): ("pricing", "CLIENT"),
    ("fulfilment", "process orders"): ("orders", "PRODUCER"),
}
FAILED = {
    ("storefront", "POST /checkout"),
    ("gateway", "POST /api/v1/orders"),
    ("orders", "POST /orders"),
    ("orders", "reserve stock"),
    ("orders", "release stock"),
    ("pricing", "POST /price"),
    ("pricing", "price order"),
}
FAILURES = 200


def shipped(trace: Trace) -> bool:
    """Whether the whole trace of a checkout is there: fulfilment's last statement, and the root."""
    return (
        trace.services >= SERVICES
        and bool(trace.find("storefront", "POST /checkout"))
        and any(
            ancestor.name == "ship order" for s in trace.find("fulfilment", "INSERT") for ancestor in trace.ancestors(s)
        )
        and all(trace.find(*edge) for edge in EDGES)
    )


@pytest.fixture(scope="module")
def order_id(shop: Shop) -> str:
    status, order = shop.checkout()
    assert status == 201, order
    return str(order["id"])


@pytest.fixture(scope="module")
def checkout(shop: Shop, order_id: str) -> Trace:
    """Of a request without a traceparent: its id is in the log line that names the order."""
    return shop.trace(shop.logged("orders", message="order placed", order_id=order_id)["trace_id"], shipped)


def test_there_is_one_root_and_no_orphan(checkout: Trace) -> None:
    [root] = checkout.roots()
    assert (root.service, root.name, root.kind, root.parent) == ("storefront", "POST /checkout", "SERVER", ""), checkout


@pytest.mark.parametrize("edge", EDGES, ids=" ".join)
def test_each_service_continues_the_span_that_called_it(checkout: Trace, edge: tuple[str, str]) -> None:
    service, kind = EDGES[edge]
    span = checkout.one(*edge)
    parent = checkout.spans[span.parent]
    assert (parent.service, parent.kind) == (service, kind), checkout
    # The request that it belongs to, in the same service.
    [server, *_others] = [one for one in checkout.ancestors(parent) if one.kind == "SERVER"]
    assert server.service == service, checkout


def test_business_operations_have_spans_with_attributes_and_events(checkout: Trace) -> None:
    for service, name, event, below in (
        ("orders", "reserve stock", "stock reserved", "POST /orders"),
        ("pricing", "price order", "order priced", "POST /price"),
        ("fulfilment", "ship order", "handed to carrier", "process orders"),
    ):
        span = checkout.one(service, name, "INTERNAL")
        assert span.attributes["shop.sku"] == "book"
        assert event in dict(span.events)
        assert below in [one.name for one in checkout.ancestors(span) if one.service == service]
        assert not failed(span)
    assert checkout.one("orders", "reserve stock").attributes["shop.quantity"] == 2


def test_requests_have_the_stable_http_attributes(checkout: Trace) -> None:
    for service, name in (("storefront", "POST /checkout"), *EDGES):
        span = checkout.one(service, name)
        if span.kind != "SERVER":
            continue
        method, route = name.split(" ")
        assert span.attributes["http.request.method"] == method
        assert span.attributes["http.route"] == route
        assert span.attributes["url.path"] == route
        assert span.attributes["http.response.status_code"] in (200, 201)
        client = checkout.spans.get(span.parent)
        if client:
            assert client.attributes["http.request.method"] == method
            assert client.attributes["url.full"].startswith(f"http://{service}/"), client.attributes
    for span in checkout:
        assert not {"http.method", "http.target", "http.status_code", "http.url"} & span.attributes.keys(), span


def statements(trace: Trace) -> Iterator[SeenSpan]:
    return (span for span in trace if "db.system.name" in span.attributes and span.attributes.get("db.query.text"))


def test_statements_have_system_operation_and_no_values(checkout: Trace, order_id: str) -> None:
    found = {(span.service, span.name.split(" ")[0]) for span in statements(checkout)}
    wanted = {("orders", "SELECT"), ("orders", "UPDATE"), ("orders", "INSERT"), ("pricing", "SELECT")}
    assert found >= wanted | {("fulfilment", "INSERT")}, checkout
    for span in statements(checkout):
        assert span.kind == "CLIENT"
        assert span.attributes["db.system.name"] == "postgresql"
        text = span.attributes["db.query.text"]
        assert order_id not in text and "'book'" not in text, text
        assert not {"db.system", "db.statement", "db.user", "db.name"} & span.attributes.keys(), span.attributes


def test_the_message_has_the_attributes_of_kafka(checkout: Trace) -> None:
    producer, consumer = checkout.one("orders", "orders send", "PRODUCER"), checkout.one("fulfilment", "process orders")
    assert consumer.kind == "CONSUMER" and consumer.parent == producer.span_id
    for span in (producer, consumer):
        assert span.attributes["messaging.system"] == "kafka"
    assert consumer.attributes["messaging.destination.name"] == "orders"
    assert consumer.attributes["messaging.consumer.group.name"] == "fulfilment"


def test_resources_name_service_version_pod_and_instance(checkout: Trace) -> None:
    for span in checkout:
        assert span.resource["service.namespace"] == "shop"
        assert span.resource["service.version"] == "1.0.0"
        assert span.resource["k8s.pod.name"].startswith(span.service)
        assert span.resource["service.instance.id"] == f"shop.{span.resource['k8s.pod.name']}.{span.service}"
        assert span.resource["k8s.deployment.name"] == span.service


def test_every_span_has_the_tenant(checkout: Trace) -> None:
    without = [str(span) for span in checkout if span.attributes.get("tenant.id") != TENANT]
    assert not without, checkout


def test_the_state_of_other_vendors_reaches_every_span(shop: Shop) -> None:
    """tracestate of a caller, through three languages and through Kafka."""
    trace_id, state = new_id(32), "vendor=00f067aa0ba902b7,other=t61rcWkgMzE"
    headers = [("x-tenant-id", TENANT), traceparent(trace_id), ("tracestate", state)]
    assert shop.checkout("book", headers)[0] == 201
    trace = shop.trace(trace_id, shipped)
    assert {(span.service, span.trace_state) for span in trace} == {(service, state) for service in SERVICES}, trace


def test_logs_have_the_ids_of_their_spans(shop: Shop, checkout: Trace, order_id: str) -> None:
    [trace_id] = {span.trace_id for span in checkout}
    lines = [
        shop.logged("storefront", trace_id=trace_id),
        shop.logged("orders", order_id=order_id),
        shop.logged("pricing", trace_id=trace_id),
        shop.logged("fulfilment", order_id=order_id, message="order shipped"),
    ]
    services = ("storefront", "orders", "pricing", "fulfilment")
    for service, line in zip(services, lines, strict=True):
        assert line["trace_id"] == trace_id
        assert checkout.spans[line["span_id"]].service == service


def test_all_traces_with_a_downstream_failure_are_kept_and_complete(shop: Shop) -> None:
    ids = [new_id(32) for _one in range(FAILURES)]

    def fail(trace_id: str) -> int:
        return shop.checkout("broken-price", [("x-tenant-id", TENANT), traceparent(trace_id)])[0]

    # Two at a time: a load that the small pods of the local inventory serve.
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(fail, ids)) == {502}
    limit, missing = Deadline(Clock(), PATIENCE), set(ids)
    found: dict[str, Trace] = {}
    while missing and limit.wait(0.5):
        with ThreadPoolExecutor(8) as pool:
            found |= dict(zip(missing, pool.map(shop.now, missing), strict=True))
        missing = {one for one in ids if not {(s.service, s.name) for s in found[one]} >= FAILED}
    assert not missing, f"{len(missing)} of {FAILURES} are not complete, one of them:\n{found[min(missing)]}"
    for trace in found.values():
        # The caller's span, which it has not sent, is the only missing parent.
        assert [(root.name, root.parent) for root in trace.roots()] == [("POST /checkout", "b7ad6b7169203331")], trace
        operation = trace.one("pricing", "price order")
        assert failed(operation)
        [exception] = [attributes for name, attributes in operation.events if name == "exception"]
        assert exception["exception.type"] == "java.lang.IllegalStateException"
        assert exception["exception.stacktrace"]
        for service, name in FAILED:
            span = trace.one(service, name)
            assert failed(span) == (span.kind == "SERVER" or span is operation), f"{span}\n{trace}"


def test_a_message_that_fails_is_retried_in_the_same_trace(shop: Shop) -> None:
    trace_id = new_id(32)
    status, _order = shop.checkout("flaky-shipment", [traceparent(trace_id)])
    assert status == 201

    def retried(trace: Trace) -> bool:
        return len(trace.find("fulfilment", "ship order")) == 2 and bool(trace.find("storefront", "POST /checkout"))

    trace = shop.trace(trace_id, retried)
    first, second = sorted(trace.find("fulfilment", "ship order"), key=lambda span: span.attributes["shop.attempt"])
    assert (failed(first), failed(second)) == (True, False)
    [exception] = [attributes for name, attributes in first.events if name == "exception"]
    assert exception["exception.type"].endswith("CarrierUnavailable")
    again = trace.one("fulfilment", "process orders.retry", "CONSUMER")
    assert again in trace.ancestors(second)
    producer = trace.spans[again.parent]
    assert (producer.name, producer.kind) == ("orders.retry send", "PRODUCER")
    assert trace.one("fulfilment", "process orders") in trace.ancestors(producer)


def test_a_message_from_outside_any_trace_starts_one(shop: Shop) -> None:
    """Sent by a pod that is not instrumented."""
    [pod] = shop.pods("app.kubernetes.io/name=fulfilment")
    container, order_id = pod["spec"]["containers"][0], f"{new_id(8)}-0000-4000-8000-{new_id(12)}"
    message = json.dumps({"id": order_id, "sku": "flaky-shipment", "quantity": 1})
    script = (
        "import asyncio, aiokafka\n"
        "async def main():\n"
        "    producer = aiokafka.AIOKafkaProducer(bootstrap_servers='kafka:9092')\n"
        "    await producer.start()\n"
        f"    await producer.send_and_wait('orders', {message.encode()!r})\n"
        "    await producer.stop()\n"
        "asyncio.run(main())\n"
    )
    name = f"outside-{new_id(8)}"
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pod["spec"]["securityContext"],
        "containers": [
            {
                "name": "producer",
                "image": container["image"],
                "command": [*container["command"], "-c", script],
                "securityContext": container["securityContext"],
                "env": [{"name": "PYTHONPATH", "value": "/app"}],
            }
        ],
    }
    shop.beside(name, spec)
    try:
        shop.pod(name, lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"))
        log = shop.kube.send("GET", f"/api/v1/namespaces/shop/pods/{name}/log").text
        assert shop.pod(name, lambda pod: True)["status"]["phase"] == "Succeeded", log
    finally:
        shop.remove(name)
    trace_id = shop.logged("fulfilment", message="order shipped", order_id=order_id)["trace_id"]
    # Its first attempt fails, so it is kept whatever the percentage.
    trace = shop.trace(trace_id, lambda trace: len(trace.find("fulfilment", "ship order")) == 2)
    [root] = trace.roots()
    assert (root.name, root.kind, root.parent) == ("process orders", "CONSUMER", "")
    assert trace.services == {"fulfilment"}


def test_messages_that_are_processed_together_are_linked(shop: Shop) -> None:
    """One order of each request fails at first, so its trace is kept. The trace of a batch is one of its own, kept with
    the same share as others: so batches until one is kept."""
    limit = Deadline(Clock(), 3 * PATIENCE)
    orders = [{"sku": sku, "quantity": 1} for sku in ("book", "book", "book", "book", "flaky-shipment")]
    batches: dict[str, list[SeenSpan]] = {}  # trace id of the batch → spans that are linked to it
    kept = Trace()
    while not kept.spans:
        assert limit.left, f"none of {len(batches)} batches was kept"
        ids = [new_id(32) for _one in range(20)]
        for trace_id in ids:
            status, _answer = request(f"{shop.storefront}/checkout/batch", {"orders": orders}, [traceparent(trace_id)])
            assert status == 201
        for trace_id in ids:
            trace = shop.trace(trace_id, lambda trace: len(processed(trace)) == 6)
            for span in processed(trace):
                # The parent is the message's producer, whether it came alone or with others.
                assert trace.spans[span.parent].name == span.name.replace("process ", "") + " send"
                for batch, _span_id in span.links:
                    batches.setdefault(batch, []).append(span)
        kept = next((found for found in map(shop.now, batches) if found.find("fulfilment", "ship batch")), kept)
    span = kept.one("fulfilment", "ship batch")
    linked = batches[span.trace_id]
    assert len(linked) == span.attributes["messaging.batch.message_count"] > 1
    assert {(one.trace_id, one.parent) for one in linked} == set(span.links)
    assert all((span.trace_id, span.span_id) in one.links for one in linked)


def processed(trace: Trace) -> list[SeenSpan]:
    """The spans of messages that fulfilment processed: five orders, and one of them again."""
    return trace.find("fulfilment", "process orders") + trace.find("fulfilment", "process orders.retry")


def test_a_slow_request_is_kept_with_its_duration(shop: Shop) -> None:
    trace_id = new_id(32)
    began = time.monotonic()
    assert shop.checkout("slow", [traceparent(trace_id)])[0] == 201
    assert time.monotonic() - began >= 1.5
    trace = shop.trace(trace_id, shipped)
    assert trace.one("pricing", "price order").attributes["shop.sku"] == "slow"
