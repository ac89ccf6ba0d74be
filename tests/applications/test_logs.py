# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a trace to its logs: agents send what services log over OTLP, and the store finds it by trace and by span."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import Record, VictoriaLogs, moment
from ansible_collections.orion.tracing.tests.applications.shop import NAMESPACE, PATIENCE, Shop, Trace, traceparent

# What a checkout makes each service log, and the language that sends it.
LOGGED = {
    "storefront": "checkout",  # Node.js, pino
    "orders": "order placed",  # Python, logging
    "pricing": "order priced",  # Java, Logback
    "fulfilment": "order shipped",  # Python, in the consumer
}
FAILURE = "the orders service failed"


def complete(trace: Trace) -> bool:
    return trace.services >= {*LOGGED, "gateway"} and bool(trace.find("fulfilment", "ship order"))


def records(logs: VictoriaLogs, trace_id: str, services: set[str]) -> list[Record]:
    """The records of a trace as soon as there is one of each service, each once: what was sent again because the answer
    came late is stored twice."""
    limit = Deadline(Clock(), PATIENCE)
    while True:
        found = []
        for one in logs.records(trace_id):
            if one not in found:
                found.append(one)
        missing = services - {one["service.name"] for one in found}
        if not missing:
            return found
        messages = [f"{one['service.name']}: {one['_msg']}" for one in found]
        assert limit.wait(0.5), f"no record of {missing} in trace {trace_id} after {PATIENCE:g} s, only {messages}"


@pytest.fixture(scope="module")
def trace(shop: Shop) -> Trace:
    trace_id = new_id(32)
    status, order = shop.checkout(headers=(("x-tenant-id", "acme"), traceparent(trace_id)))
    assert status == 201, order
    return shop.trace(trace_id, complete)


@pytest.fixture(scope="module")
def found(trace: Trace, logs: VictoriaLogs) -> list[Record]:
    [trace_id] = {span.trace_id for span in trace}
    return records(logs, trace_id, set(LOGGED))


@pytest.fixture(scope="module")
def failed(shop: Shop, logs: VictoriaLogs) -> list[Record]:
    trace_id = new_id(32)
    status, answer = shop.checkout("broken-price", (traceparent(trace_id),))
    assert status == 502, answer
    return records(logs, trace_id, {"gateway", "storefront"})


@pytest.mark.parametrize("service", LOGGED)
def test_a_line_is_found_by_the_span_that_it_was_written_in_and_by_no_other(
    service: str, trace: Trace, found: list[Record], logs: VictoriaLogs
) -> None:
    [record] = [one for one in found if (one["service.name"], one["_msg"]) == (service, LOGGED[service])]
    span = trace.spans[record["span_id"]]
    assert span.service == service, f"the line of {service} has the id of {span}"
    assert record in logs.records(span.trace_id, span.span_id)
    for other in trace:
        if other.span_id != span.span_id:
            assert record not in logs.records(span.trace_id, other.span_id)
    assert logs.records(new_id(32), span.span_id) == []


def test_lines_have_the_resource_attributes_of_spans(trace: Trace, found: list[Record]) -> None:
    for record in found:
        span = trace.spans[record["span_id"]]
        for name in ("service.name", "service.version", "service.namespace", "k8s.namespace.name", "k8s.pod.name",
                     "k8s.node.name", "deployment.environment.name", "k8s.cluster.name"):  # fmt: skip
            assert record[name] == span.resource[name], f"{name} of {record}"
        assert record["k8s.namespace.name"] == NAMESPACE


def test_lines_have_fields_severity_and_their_place_in_time(found: list[Record]) -> None:
    by_service = {one["service.name"]: one for one in found if one["_msg"] == LOGGED[one["service.name"]]}
    assert {one["severity_text"].upper() for one in by_service.values()} == {"INFO"}
    assert by_service["storefront"]["status"] == "201"
    assert by_service["pricing"]["sku"] == "book"
    assert by_service["orders"]["fields.order_id"]
    times = [moment(by_service[name]) for name in ("pricing", "orders", "storefront")]
    assert times == sorted(times), "pricing answers orders, which answers the gateway, which answers the storefront"


def test_standard_output_has_the_same_lines(shop: Shop, found: list[Record]) -> None:
    for record in found:
        service = record["service.name"]
        if record["_msg"] == LOGGED[service]:
            line = shop.logged(service, message=record["_msg"], trace_id=record["trace_id"])
            assert line["span_id"] == record["span_id"], json.dumps(line)


def test_errors_are_errors(failed: list[Record]) -> None:
    [record] = [one for one in failed if one["service.name"] == "gateway"]
    assert (record["_msg"], record["severity_text"].upper()) == (FAILURE, "ERROR")
    assert record["fields.status"] == "502", "what orders answered"
