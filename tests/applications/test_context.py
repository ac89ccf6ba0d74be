# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What callers send of a context: traceparent and tracestate, baggage, B3 and Jaeger headers.

The cases of traceparent and tracestate are those of the W3C's test suite, run against the gateway service, whose spans
in the store show what it took and what it passed on.
Source: https://github.com/w3c/trace-context/blob/main/test/test.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.tests.applications.shop import (
    NAMESPACE,
    TENANT,
    Headers,
    Shop,
    Span,
    Trace,
    is_ready,
    request,
    traceparent,
)

PARENT = "1234567890123456"
ORDER = {"sku": "book", "quantity": 1}
# The trace id is put in for {}.
GOOD = "00-{}-1234567890123456-01"

CONTINUED = {
    "version 00": GOOD,
    "future version": "cc-{}-1234567890123456-01",
    "future version with more": "cc-{}-1234567890123456-01-what-the-future-will-be-like",
    "spaces around": f" {GOOD} ",
    "tab in front": f"\t{GOOD}",
}
STARTED = {
    "version ff": "ff-{}-1234567890123456-01",
    "version 00 with more": f"{GOOD}-more",
    "version 00 with a dash": f"{GOOD}-",
    "future version with a stray character": "cc-{}-1234567890123456-01.what",
    "version of one digit": "0-{}-1234567890123456-01",
    "version that is not hexadecimal": ".0-{}-1234567890123456-01",
    "trace id of zeros": "00-00000000000000000000000000000000-1234567890123456-01",
    "trace id with a stray character": "00-.2345678901234567890123456789012-1234567890123456-01",
    "trace id too long": "00-{}1-1234567890123456-01",
    "trace id too short": "00-1234567890123456789012345678901-1234567890123456-01",
    "upper case trace id": "00-ABCDEFABCDEFABCDEFABCDEFABCDEFAB-1234567890123456-01",
    "parent id of zeros": "00-{}-0000000000000000-01",
    "parent id with a stray character": "00-{}-.234567890123456-01",
    "parent id too long": "00-{}-12345678901234567-01",
    "parent id too short": "00-{}-123456789012345-01",
    "flags with a stray character": "00-{}-1234567890123456-.0",
    "flags too long": "00-{}-1234567890123456-001",
    "flags too short": "00-{}-1234567890123456-1",
    "empty": "",
}
# tracestate headers → what is passed on. Where both are there, the trace is continued.
STATES: dict[str, tuple[list[str], str]] = {
    "one member": (["foo=1"], "foo=1"),
    "two members": (["foo=1,bar=2"], "foo=1,bar=2"),
    "two headers": (["foo=1", "bar=2"], "foo=1,bar=2"),
    "empty": ([""], ""),
    "an empty one among others": (["foo=1", "", "bar=2"], "foo=1,bar=2"),
    "spaces around members": (["foo=1 \t , \t bar=2"], "foo=1,bar=2"),
    "32 members": ([",".join(f"k{n}={n}" for n in range(32))], ",".join(f"k{n}={n}" for n in range(32))),
    "33 members": ([",".join(f"k{n}={n}" for n in range(33))], ""),
    "key of 256": ([f"{'k' * 256}=1"], f"{'k' * 256}=1"),
    "key of 257": ([f"{'k' * 257}=1"], ""),
    "tenant of 241 at system of 14": ([f"{'t' * 241}@{'v' * 14}=1"], f"{'t' * 241}@{'v' * 14}=1"),
    "system of 15": ([f"t@{'v' * 15}=1"], ""),
    "illegal key": (["foo =1"], ""),
    "upper case key": (["FOO=1"], ""),
    "value of 256": ([f"foo={'v' * 256}"], f"foo={'v' * 256}"),
    "value of 257": ([f"foo={'v' * 257}"], ""),
    "illegal value": (["foo=bar=baz"], ""),
    "more than 512 characters": ([f"foo={'v' * 250},bar={'w' * 250},baz=1"], f"foo={'v' * 250},bar={'w' * 250},baz=1"),
}


def place(shop: Shop, headers: Headers) -> str:
    """Places an order at the gateway: its id."""
    status, order = request(f"{shop.gateway}/api/v1/orders", ORDER, headers)
    assert status == 201, order
    return str(order["id"])


def joined(trace: Trace) -> bool:
    return bool(trace.find("gateway", "POST /api/v1/orders") and trace.find("orders", "POST /orders"))


def spans_of(shop: Shop, order_id: str) -> tuple[Span, Span]:
    """The spans of the gateway's and of the orders service's request for this order."""
    trace = shop.trace(shop.logged("orders", message="order placed", order_id=order_id)["trace_id"], joined)
    return trace.one("gateway", "POST /api/v1/orders"), trace.one("orders", "POST /orders")


@pytest.fixture(scope="module")
def placed(shop: Shop) -> dict[str, tuple[str, str]]:
    """All requests of the cases at once: their traces take as long to arrive as one. Case → trace id sent, order."""
    sent = {}
    for case, text in {**CONTINUED, **STARTED}.items():
        trace_id = new_id(32)
        sent[case] = (trace_id, place(shop, [("traceparent", text.format(trace_id))]))
    for case, (states, _passed) in STATES.items():
        trace_id = new_id(32)
        headers = [("traceparent", GOOD.format(trace_id)), *(("tracestate", state) for state in states)]
        sent[f"tracestate: {case}"] = (trace_id, place(shop, headers))
    for case, headers in {
        "header in another case": [("TraceParent", GOOD)],
        "header of another name": [("trace-parent", GOOD)],
        "two headers": [("traceparent", GOOD), ("traceparent", GOOD.replace("1234567890123456", PARENT[::-1]))],
        "tracestate alone": [("tracestate", "foo=1")],
        "tracestate with a bad traceparent": [("traceparent", GOOD + "-"), ("tracestate", "foo=1")],
        "tracestate with a key twice": [("traceparent", GOOD), ("tracestate", "foo=1,foo=2")],
    }.items():
        trace_id = new_id(32)
        sent[case] = (trace_id, place(shop, [(name, text.format(trace_id)) for name, text in headers]))
    return sent


@pytest.mark.parametrize("case", [*CONTINUED, "header in another case"])
def test_a_callers_trace_is_continued(shop: Shop, placed: dict[str, tuple[str, str]], case: str) -> None:
    trace_id, order_id = placed[case]
    gateway, orders = spans_of(shop, order_id)
    assert (gateway.trace_id, gateway.parent, orders.trace_id) == (trace_id, PARENT, trace_id)


@pytest.mark.parametrize("case", [*STARTED, "header of another name"])
def test_a_malformed_traceparent_starts_a_trace(shop: Shop, placed: dict[str, tuple[str, str]], case: str) -> None:
    trace_id, order_id = placed[case]
    gateway, orders = spans_of(shop, order_id)
    assert gateway.trace_id != trace_id and not gateway.parent
    assert orders.trace_id == gateway.trace_id


@pytest.mark.parametrize("case", STATES)
def test_tracestate_is_passed_on_or_dropped_whole(shop: Shop, placed: dict[str, tuple[str, str]], case: str) -> None:
    trace_id, order_id = placed[f"tracestate: {case}"]
    gateway, orders = spans_of(shop, order_id)
    assert gateway.trace_id == trace_id
    assert (gateway.trace_state, orders.trace_state) == (STATES[case][1],) * 2


@pytest.mark.parametrize("case", ["tracestate alone", "tracestate with a bad traceparent"])
def test_a_tracestate_without_its_traceparent_is_dropped(
    shop: Shop, placed: dict[str, tuple[str, str]], case: str
) -> None:
    gateway, orders = spans_of(shop, placed[case][1])
    assert (gateway.parent, gateway.trace_state, orders.trace_state) == ("", "", "")


def test_known_deviations_of_the_python_sdk(shop: Shop, placed: dict[str, tuple[str, str]]) -> None:
    """Where it is not as the suite wants it: of two traceparent headers the first is taken instead of none, and a
    tracestate with a key twice is dropped instead of passed on. docs/instrument-your-service/python.md names them."""
    trace_id, order_id = placed["two headers"]
    assert spans_of(shop, order_id)[0].trace_id == trace_id
    trace_id, order_id = placed["tracestate with a key twice"]
    gateway, orders = spans_of(shop, order_id)
    assert (gateway.trace_id, orders.trace_state) == (trace_id, "")


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

B3_AND_JAEGER = "b3,b3multi,jaeger,tracecontext,baggage"


@pytest.fixture(scope="module")
def other_gateway(shop: Shop) -> Iterator[str]:
    """A pod like the gateway's that understands these headers."""
    deployment = shop.kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gateway")
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    container["env"] = [*container.get("env", []), {"name": "OTEL_PROPAGATORS", "value": B3_AND_JAEGER}]
    name = f"gateway-{new_id(8)}"
    made = shop.beside(name, template["spec"], template["metadata"]["annotations"])
    assert {"name": "OTEL_PROPAGATORS", "value": B3_AND_JAEGER} in made["spec"]["containers"][0]["env"]
    try:
        shop.pod(name, is_ready)
        yield name
    finally:
        shop.remove(name)


@pytest.mark.parametrize(
    "headers",
    [
        {"b3": "{trace}-{parent}-1"},
        {"X-B3-TraceId": "{trace}", "X-B3-SpanId": "{parent}", "X-B3-Sampled": "1"},
        {"uber-trace-id": "{trace}:{parent}:0:1"},
    ],
    ids=["b3", "b3multi", "jaeger"],
)
def test_headers_of_b3_and_jaeger_continue_a_trace(shop: Shop, other_gateway: str, headers: dict[str, str]) -> None:
    trace_id = new_id(32)
    filled = {name: text.format(trace=trace_id, parent=PARENT) for name, text in headers.items()}
    answer = shop.kube.proxy(
        "pods", NAMESPACE, other_gateway, 8080, "api/v1/orders", "POST",
        body=json.dumps(ORDER).encode(), headers={"Content-Type": "application/json", **filled},
    )  # fmt: skip
    assert answer.status == 201, answer.text

    def there(trace: Trace) -> bool:
        return bool(trace.find(other_gateway, "POST /api/v1/orders") and trace.find("orders", "POST /orders"))

    trace = shop.trace(trace_id, there)
    assert trace.one(other_gateway, "POST /api/v1/orders").parent == PARENT


def test_without_being_asked_they_are_not_understood(shop: Shop) -> None:
    trace_id = new_id(32)
    gateway, _orders = spans_of(shop, place(shop, [("b3", f"{trace_id}-{PARENT}-1")]))
    assert gateway.trace_id != trace_id
