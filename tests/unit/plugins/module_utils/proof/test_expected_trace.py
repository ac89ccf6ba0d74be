# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import copy

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof.expected_trace import (
    compare,
    expected_trace,
    seen_spans,
)

TRACE = "ab" * 16
PROBE, HTTP, STOCK, QUERY, CALL, SEND, PROCESS, SHIP = (f"{number:016x}" for number in range(1, 9))
NAMES = {PROBE: "probe", HTTP: "POST /orders", STOCK: "reserve stock", QUERY: "UPDATE", CALL: "POST"}

DESCRIPTION = """
check: propagation
services: [orders, fulfilment]
every_span: {check: baggage, attributes: {tenant.id: acme}}
spans:
  - service: orders
    name: POST /orders
    kind: SERVER
    status: UNSET
    resource: {service.version: 1.0.0}
    attributes: {http.response.status_code: 201}
    spans:
      - service: orders
        name: reserve stock
        check: custom spans
        kind: INTERNAL
        events: [{name: stock reserved, attributes: {shop.stock_left: {pattern: '[0-9]+'}}}]
        spans:
          - service: orders
            name: {pattern: 'UPDATE.*'}
            check: database
            attributes:
              db.query.text: {pattern: 'UPDATE stock SET .*%\\(quantity\\)s.*'}
              db.user: {absent: true}
      - {service: orders, name: POST, kind: CLIENT, status: UNSET}
      - service: orders
        name: orders send
        check: kafka
        kind: PRODUCER
        spans:
          - service: fulfilment
            name: process orders
            kind: CONSUMER
            links: [{service: orders, name: orders send}, {other_trace: true}]
            spans: [{service: fulfilment, name: ship order, status: ERROR}]
"""


def document() -> otlp.Document:
    times = (1_800_000_000 * 10**9, 1_800_000_001 * 10**9)

    def span(span_id: str, parent: str, name: str, kind: str, error: str | None = None, **values: object) -> otlp.Span:
        return otlp.span(TRACE, span_id, parent, name, kind, *times, {"tenant.id": "acme", **values}, error)

    stock = span(STOCK, HTTP, "reserve stock", "INTERNAL")
    stock["events"] = [{"name": "stock reserved", "attributes": otlp.attributes({"shop.stock_left": 7})}]
    process = span(PROCESS, SEND, "process orders", "CONSUMER")
    process["links"] = [{"traceId": TRACE, "spanId": SEND}, {"traceId": "cd" * 16, "spanId": SHIP}]
    statement = "UPDATE stock SET left=left-%(quantity)s\nWHERE sku=%(sku)s"
    orders = [
        span(HTTP, PROBE, "POST /orders", "SERVER", **{"http.response.status_code": 201}),
        stock,
        span(QUERY, STOCK, "UPDATE shop", "CLIENT", **{"db.query.text": statement}),
        span(CALL, HTTP, "POST", "CLIENT"),
        span(SEND, HTTP, "orders send", "PRODUCER"),
    ]
    fulfilment = [process, span(SHIP, PROCESS, "ship order", "INTERNAL", "no carrier")]
    probe = otlp.span(TRACE, PROBE, "", "probe", "CLIENT", *times, {})
    return otlp.merge([
        otlp.request({"service.name": "probe"}, "probe", [probe]),
        otlp.request({"service.name": "orders", "service.version": "1.0.0"}, "orders", orders),
        otlp.request({"service.name": "fulfilment"}, "fulfilment", fulfilment),
    ])  # fmt: skip


def described(text: str = DESCRIPTION, **changes: object):
    return expected_trace({**yaml.safe_load(text), **changes}, "an order", "applications[0].trace")


def findings(found: otlp.Document, root: str = PROBE, **changes: object) -> list[tuple[str, str]]:
    return [(one.check, one.text) for one in compare(described(**changes), seen_spans(found), root)]


def by_id(found: otlp.Document, span_id: str) -> otlp.Span:
    return next(one for one in otlp.spans(found) if one["spanId"] == span_id)


def without(found: otlp.Document, *span_ids: str) -> otlp.Document:
    for part in found["resourceSpans"]:
        for scope in part["scopeSpans"]:
            scope["spans"] = [one for one in scope["spans"] if one["spanId"] not in span_ids]
    return found


def test_a_trace_as_described():
    assert findings(document()) == []
    assert findings(document(), exact=True) == []


def test_the_checks_and_what_they_expect():
    assert described().checks == {
        "propagation": "one root, no orphan, 2 services, 2 spans as described",
        "custom spans": "1 span as described",
        "database": "1 span as described",
        "kafka": "3 spans as described",
        "baggage": "tenant.id on every span",
    }


def test_nothing_in_the_store():
    assert findings({}) == [(check, "the trace is not in the store") for check in described().checks]


def test_the_form_of_tempo():
    """Ids in base64, enums as names."""
    found = document()
    for one in otlp.spans(found):
        for key in otlp.IDS & one.keys():
            one[key] = otlp.base64.b64encode(bytes.fromhex(one[key])).decode()
        one["kind"] = next(name for name, number in otlp.KIND_NUMBERS.items() if number == one["kind"])
        if otlp.is_error(one):
            one["status"]["code"] = "STATUS_CODE_ERROR"
    for link in by_id_of(found, "process orders")["links"]:
        for key in ("traceId", "spanId"):
            link[key] = otlp.base64.b64encode(bytes.fromhex(link[key])).decode()
    assert findings(found) == []


def by_id_of(found: otlp.Document, name: str) -> otlp.Span:
    return next(one for one in otlp.spans(found) if one["name"] == name)


def test_the_state_of_other_vendors_is_read():
    with_state, without = (otlp.span(TRACE, one, "", "x", "CLIENT", 1, 2, {}) for one in (CALL, SEND))
    with_state["traceState"] = "vendor=1,ot=th:8"
    found = seen_spans(otlp.request({"service.name": "orders"}, "", [with_state, without]))
    assert [one.trace_state for one in found] == ["vendor=1,ot=th:8", ""]


def test_the_order_of_the_spans_does_not_matter():
    found = document()
    for part in found["resourceSpans"]:
        for scope in part["scopeSpans"]:
            scope["spans"].reverse()
    found["resourceSpans"].reverse()
    assert findings(found) == []


def test_a_span_that_is_there_twice_counts_once():
    found = document()
    found["resourceSpans"] += copy.deepcopy(found["resourceSpans"])
    assert findings(found, exact=True) == []


def test_a_missing_span_is_named_with_the_nearest():
    found = document()
    by_id(found, STOCK)["name"] = "reserve"
    assert findings(found) == [
        (
            "custom spans",
            "orders: 'reserve stock' (INTERNAL) is missing below orders: 'POST /orders' (SERVER); nearest: "
            "orders: 'reserve' (INTERNAL) below orders: 'POST /orders' (SERVER), "
            "orders: 'POST' (CLIENT) below orders: 'POST /orders' (SERVER)",
        )
    ]


def test_a_span_with_another_parent_is_found_there():
    found = document()
    by_id(found, QUERY)["parentSpanId"] = HTTP
    assert findings(found) == [
        (
            "database",
            "orders: a value that matches 'UPDATE.*' is not below orders: 'reserve stock' (INTERNAL), "
            "but below orders: 'POST /orders' (SERVER)",
        )
    ]


def test_an_orphan():
    assert findings(without(document(), SEND)) == [
        ("propagation", f"fulfilment: 'process orders' (CONSUMER) is an orphan: its parent {SEND} is missing"),
        (
            "kafka",
            "orders: 'orders send' (PRODUCER) is missing below orders: 'POST /orders' (SERVER); nearest: "
            "orders: 'reserve stock' (INTERNAL) below orders: 'POST /orders' (SERVER), "
            "orders: 'POST' (CLIENT) below orders: 'POST /orders' (SERVER)",
        ),
    ]


def test_the_senders_root_is_missing():
    assert findings(without(document(), PROBE)) == [
        ("propagation", f"the root that the sender made ({PROBE}) is missing")
    ]


def test_a_second_root():
    found = document()
    by_id(found, CALL)["parentSpanId"] = ""
    text = "1 roots instead of 0 beside the sender's: orders: 'POST' (CLIENT)"
    assert ("propagation", text) in findings(found)


def test_without_a_sender_the_described_span_is_the_root():
    found = without(document(), PROBE)
    by_id(found, HTTP)["parentSpanId"] = ""
    assert findings(found, root="") == []
    by_id(found, CALL)["parentSpanId"] = ""
    text = "2 roots instead of 1: orders: 'POST /orders' (SERVER), orders: 'POST' (CLIENT)"
    assert ("propagation", text) in findings(found, root="")


def test_a_service_that_is_missing_and_one_too_many():
    assert ("propagation", "no span of fulfilment; there are orders") in findings(without(document(), PROCESS, SHIP))
    assert ("propagation", "spans of other services: fulfilment") in findings(document(), services=["orders"])


def test_a_span_of_another_trace():
    found = document()
    by_id(found, SHIP)["traceId"] = "cd" * 16
    assert ("propagation", f"spans of 2 traces: {TRACE}, {'cd' * 16}") in findings(found)


@pytest.mark.parametrize(
    ("span_id", "change", "check", "text"),
    [
        (HTTP, {"kind": 3}, "propagation", "kind is CLIENT, expected SERVER"),
        (HTTP, {"status": {"code": 2}}, "propagation", "status is ERROR, expected UNSET"),
        (SHIP, {"status": {}}, "kafka", "status is UNSET, expected ERROR"),
        (
            HTTP,
            {"attributes": otlp.attributes({"tenant.id": "acme", "http.response.status_code": 200})},
            "propagation",
            "attribute http.response.status_code is 200, expected 201",
        ),
        (
            HTTP,
            {"attributes": otlp.attributes({"tenant.id": "acme", "http.response.status_code": "201"})},
            "propagation",
            "attribute http.response.status_code is '201', expected 201",
        ),
        (
            QUERY,
            {"attributes": otlp.attributes({"tenant.id": "acme", "db.query.text": "UPDATE stock SET left=left-2"})},
            "database",
            "attribute db.query.text is 'UPDATE stock SET left=left-2', expected a value that matches",
        ),
        (
            QUERY,
            {
                "attributes": otlp.attributes({
                    "tenant.id": "acme", "db.user": "shop", "db.query.text": "UPDATE stock SET x=%(quantity)s",
                })
            },
            "database",
            "attribute db.user is 'shop', expected no such value",
        ),
        (CALL, {"attributes": []}, "baggage", "attribute tenant.id is missing, expected 'acme'"),
        (
            CALL,
            {"attributes": otlp.attributes({"tenant.id": "other"})},
            "baggage",
            "attribute tenant.id is 'other', expected 'acme'",
        ),
        (STOCK, {"events": []}, "custom spans", "no event 'stock reserved'; events: none"),
        (
            STOCK,
            {"events": [{"name": "stock reserved"}]},
            "custom spans",
            "event 'stock reserved': attribute shop.stock_left is missing",
        ),
        (PROCESS, {"links": []}, "kafka", "no link to orders: 'orders send'; links: none"),
        (
            PROCESS,
            {"links": [{"traceId": TRACE, "spanId": SEND}]},
            "kafka",
            "no link to a span of another trace; links: orders: 'orders send' (PRODUCER)",
        ),
    ],
)  # fmt: skip
def test_what_differs_in_a_span(span_id, change, check, text):
    found = document()
    by_id(found, span_id).update(change)
    hits = [one for one in findings(found) if text in one[1]]
    assert hits, findings(found)
    assert hits[0][0] == check


def test_a_resource_attribute():
    found = document()
    found["resourceSpans"][1]["resource"]["attributes"] = otlp.attributes({"service.name": "orders"})
    text = "orders: 'POST /orders' (SERVER): resource attribute service.version is missing, expected '1.0.0'"
    assert findings(found) == [("propagation", text)]


def test_spans_that_are_not_described():
    found = document()
    extra = copy.deepcopy(by_id(found, CALL)) | {"spanId": "ff" * 8, "name": "GET"}
    found["resourceSpans"][1]["scopeSpans"][0]["spans"].append(extra)
    assert findings(found) == []
    text = "orders: 'GET' (CLIENT) below orders: 'POST /orders' (SERVER) is not described"
    assert findings(found, exact=True) == [("propagation", text)]


def test_spans_that_are_ignored():
    found = document()
    for number, (below, above) in enumerate(((CALL, HTTP), (PROCESS, SEND), (HTTP, PROBE))):
        extra = copy.deepcopy(by_id(found, STOCK)) | {
            "spanId": f"ff{number:014x}", "parentSpanId": above, "name": f"middleware {number}", "events": [],
        }  # fmt: skip
        found["resourceSpans"][1]["scopeSpans"][0]["spans"].append(extra)
        by_id(found, below)["parentSpanId"] = extra["spanId"]
    ignore = {"pattern": "middleware.*"}
    assert findings(found, ignore=ignore, exact=True) == []
    assert len(findings(found)) == 1
    assert findings(without(found, HTTP), ignore=ignore)


def test_siblings_of_the_same_name_are_told_apart_by_what_else_is_described():
    """The first wanted span would also fit the only span that fits the second one."""
    text = """
spans:
  - {service: orders, name: {pattern: '.*'}, kind: CLIENT}
  - {service: orders, name: POST, kind: CLIENT, attributes: {server.address: pricing}}
"""
    times = (1, 2)
    one = otlp.span(TRACE, CALL, PROBE, "POST", "CLIENT", *times, {"server.address": "pricing"})
    other = otlp.span(TRACE, SEND, PROBE, "POST", "CLIENT", *times, {"server.address": "kafka"})
    probe = otlp.span(TRACE, PROBE, "", "probe", "CLIENT", *times, {})
    for order in ([one, other], [other, one]):
        spans = seen_spans(otlp.request({"service.name": "orders"}, "", [probe, *order]))
        assert compare(described(text), spans, PROBE) == []
    spans = seen_spans(otlp.request({"service.name": "orders"}, "", [probe, other]))
    found = [one.text for one in compare(described(text), spans, PROBE)]
    assert found == ["orders: 'POST' (CLIENT) is missing at the top; nearest: orders: 'POST' (CLIENT) at the top"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spans": []}, "applications[0].trace.spans is missing or empty"),
        ({"spam": 1}, "applications[0].trace has unknown keys: spam"),
        ({"spans": [{"name": "x"}]}, "applications[0].trace.spans[0].service is missing"),
        ({"spans": [{"service": "x", "name": "x", "kind": "server"}]}, "spans[0].kind is 'server'"),
        ({"spans": [{"service": "x", "name": {"pattern": "("}}]}, "spans[0].name.pattern is not a regular expression"),
        ({"spans": [{"service": "x", "name": {"like": "x"}}]}, "spans[0].name has unknown keys: like"),
        ({"spans": [{"service": "x", "name": "x", "attributes": {"a": None}}]}, "attributes.a has no value"),
        ({"spans": [{"service": "x", "name": "x", "links": [{}]}]}, "links[0] names no span"),
        ({"spans": [{"service": "x", "name": "x", "events": [{}]}]}, "events[0].name is missing"),
        ({"spans": [{"service": "x", "name": "x", "spans": {}}, 3]}, "spans[1] is not a mapping"),
        ({"services": "orders"}, "services is not a list of names"),
        ({"exact": "yes"}, "exact is 'yes'"),
    ],
)
def test_a_wrong_description_is_refused_by_name(change, message):
    with pytest.raises(InvalidInput) as refused:
        described(**change)
    assert message in str(refused.value)
