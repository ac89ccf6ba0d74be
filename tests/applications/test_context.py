# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What callers send of a context: traceparent and tracestate, baggage, B3 and Jaeger headers.

The cases of traceparent and tracestate (trace_context.py) are run against the gateway service: its spans and those of
the orders service show in the store what it took and what it passed on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.plugins.module_utils.proof.expected_trace import SeenSpan
from ansible_collections.orion.tracing.tests.applications.shop import (
    NAMESPACE,
    TENANT,
    Headers,
    Shop,
    Trace,
    request,
    traceparent,
)
from ansible_collections.orion.tracing.tests.applications.trace_context import CASES, PARENT, TRACE

ORDER = {"sku": "book", "quantity": 1}


def place(shop: Shop, headers: Headers) -> str:
    """Places an order at the gateway: its id."""
    status, order = request(f"{shop.gateway}/api/v1/orders", ORDER, headers)
    assert status == 201, order
    return str(order["id"])


def joined(trace: Trace) -> bool:
    return bool(trace.find("gateway", "POST /api/v1/orders") and trace.find("orders", "POST /orders"))


def spans_of(shop: Shop, order_id: str) -> tuple[SeenSpan, SeenSpan]:
    """The spans of the gateway's and of the orders service's request for this order."""
    trace = shop.trace(shop.logged("orders", message="order placed", order_id=order_id)["trace_id"], joined)
    return trace.one("gateway", "POST /api/v1/orders"), trace.one("orders", "POST /orders")


@pytest.fixture(scope="module")
def placed(shop: Shop) -> dict[str, tuple[str, str]]:
    """All requests of the cases at once: their traces take as long to arrive as one. Case → trace id sent, order."""
    sent = {}
    for name, case in CASES.items():
        trace_id = new_id(32)
        # All but the last digit, so that those are replaced too that are too short or too long.
        headers = [(key, text.replace(TRACE[:-1], trace_id[:-1])) for key, text in case.headers]
        sent[name] = (trace_id[:-1] + TRACE[-1], place(shop, headers))
    return sent


@pytest.mark.parametrize("name", CASES)
def test_the_gateway_takes_and_passes_on_what_w3c_wants(
    shop: Shop, placed: dict[str, tuple[str, str]], name: str
) -> None:
    case, (trace_id, order_id) = CASES[name], placed[name]
    gateway, orders = spans_of(shop, order_id)
    assert orders.trace_id == gateway.trace_id
    assert (gateway.trace_id == trace_id) == case.continued
    assert gateway.parent == (PARENT if case.continued else "")
    passed = ",".join(case.tracestate or ())
    assert (gateway.trace_state, orders.trace_state) == (passed, passed)


def test_known_deviations_are_few() -> None:
    """docs/instrument-your-service/python.md names them."""
    assert len({case.deviation for case in CASES.values() if case.deviation}) == 3


def test_a_trace_that_the_caller_does_not_sample_is_not_recorded(shop: Shop) -> None:
    trace_id, sampled = new_id(32), new_id(32)
    order_id = place(shop, [traceparent(trace_id, flags="00")])
    # The log has the id all the same. The next trace is recorded, so it would be too.
    assert shop.logged("orders", message="order placed", order_id=order_id)["trace_id"] == trace_id
    place(shop, [traceparent(sampled)])
    shop.trace(sampled, joined)
    assert not shop.now(trace_id).spans


# Baggage: https://www.w3.org/TR/baggage/#limits


def whole(trace: Trace) -> bool:
    """As far as fulfilment, which the message's baggage has to reach."""
    return joined(trace) and bool(trace.find("fulfilment", "ship order")) and bool(trace.find("pricing", "price order"))


def carried(shop: Shop, baggage: str) -> Trace:
    """The trace of an order that was placed with this baggage."""
    trace_id = new_id(32)
    place(shop, [traceparent(trace_id), ("baggage", baggage)])
    return shop.trace(trace_id, whole)


def tenants(trace: Trace) -> set[Any]:
    return {span.attributes.get("tenant.id") for span in trace}


def test_baggage_of_a_caller_is_on_all_spans_and_only_what_is_allowed(shop: Shop) -> None:
    trace = carried(shop, f"tenant.id={TENANT},secret.key=hunter2,tenant.identity=other")
    assert tenants(trace) == {TENANT}, trace
    for span in trace:
        assert not {"secret.key", "tenant.identity"} & span.attributes.keys(), span
        assert "hunter2" not in json.dumps([dict(span.attributes), dict(span.resource)])


@pytest.mark.parametrize(
    ("case", "baggage", "expected"),
    [
        ("64 members", ",".join([f"tenant.id={TENANT}", *(f"k{n}=v" for n in range(63))]), TENANT),
        ("8192 bytes", f"tenant.id={TENANT}," + ",".join(f"key{n}={'v' * 1000}" for n in range(8)), TENANT),
        ("too long", f"tenant.id={TENANT}," + ",".join(f"key{n}={'v' * 1000}" for n in range(9)), None),
        ("a malformed member", f"tenant.id={TENANT},=nothing", TENANT),
        ("a value that is encoded", "tenant.id=caf%C3%A9", "café"),
    ],
)
def test_large_and_malformed_baggage(shop: Shop, case: str, baggage: str, expected: str | None) -> None:
    """What is dropped is dropped whole: the limits are of W3C, 64 members and 8192 bytes must pass."""
    assert tenants(carried(shop, baggage)) == {expected}


# Headers of other systems: the workload's own OTEL_PROPAGATORS takes precedence, as instrumentation_propagators would
# set it for all.

B3_AND_JAEGER = {"OTEL_PROPAGATORS": "b3,b3multi,jaeger,tracecontext,baggage"}
# Service → what it is asked, for which sku, and the span of the service that it asks in its turn. Orders are a critical
# route; a price alone is not one, and its trace is kept because it is slow.
ASKED = {
    "storefront": ("POST /checkout", "book", ("gateway", "POST /api/v1/orders")),
    "gateway": ("POST /api/v1/orders", "book", ("orders", "POST /orders")),
    "pricing": ("POST /price", "slow", ("fulfilment", "GET /shipping-cost")),
}


@pytest.fixture(scope="module")
def others(shop: Shop) -> Iterator[dict[str, str]]:
    """Pods that understand these headers, one for each language: service → name."""
    with shop.copies(dict.fromkeys(ASKED, B3_AND_JAEGER)) as names:
        yield names


@pytest.mark.parametrize("service", ASKED)
@pytest.mark.parametrize(
    "headers",
    [
        {"b3": "{trace}-{parent}-1"},
        {"X-B3-TraceId": "{trace}", "X-B3-SpanId": "{parent}", "X-B3-Sampled": "1"},
        {"uber-trace-id": "{trace}:{parent}:0:1"},
    ],
    ids=["b3", "b3multi", "jaeger"],
)
def test_headers_of_b3_and_jaeger_continue_a_trace(
    shop: Shop, others: dict[str, str], headers: dict[str, str], service: str
) -> None:
    trace_id, pod, (name, sku, below) = new_id(32), others[service], ASKED[service]
    filled = {header: text.format(trace=trace_id, parent=PARENT) for header, text in headers.items()}
    answer = shop.kube.proxy(
        "pods", NAMESPACE, pod, 8080, name.removeprefix("POST "), "POST",
        body=json.dumps({**ORDER, "sku": sku}).encode(), headers={"Content-Type": "application/json", **filled},
    )  # fmt: skip
    assert answer.status in (200, 201), answer.text
    trace = shop.trace(trace_id, lambda trace: trace.find(pod, name) and trace.find(*below))
    assert trace.one(pod, name).parent == PARENT


def test_without_being_asked_they_are_not_understood(shop: Shop) -> None:
    trace_id = new_id(32)
    gateway, _orders = spans_of(shop, place(shop, [("b3", f"{trace_id}-{PARENT}-1")]))
    assert gateway.trace_id != trace_id
