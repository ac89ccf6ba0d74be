# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What reports have of the shop beside its traces: the logs of each service, and the service graph of all requests."""

from __future__ import annotations

import time

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.plugins.module_utils.report import measured
from ansible_collections.orion.tracing.plugins.module_utils.report.logs import LogsOfTraces
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS
from ansible_collections.orion.tracing.tests.applications.shop import PATIENCE, Shop, traceparent

PROMETHEUS = "http://prometheus.local-backends.svc:9090"
CALLS = {
    ("storefront", "gateway"), ("gateway", "orders"), ("orders", "pricing"), ("pricing", "fulfilment"),
    ("orders", "fulfilment"),
}  # fmt: skip


@pytest.fixture(scope="module")
def trace_id(shop: Shop) -> str:
    """A checkout whose trace the store has, with the consumer's part."""
    made = new_id(32)
    status, order = shop.checkout(headers=(traceparent(made),))
    assert status == 201, order
    shop.trace(made, lambda trace: trace.find("fulfilment", "ship order"))
    return made


def test_a_page_has_the_logs_of_each_span(shop: Shop, logs: VictoriaLogs, trace_id: str) -> None:
    limit = Deadline(Clock(), PATIENCE)
    wanted = {"storefront", "orders", "pricing", "fulfilment"}
    while True:
        document = shop.store.document(trace_id, shop.started, int(time.time()) + MARGIN_SECONDS)
        trace = trace_rows(trace_id, document)
        services = {row.span_id: row.service for row in trace.rows}
        read = LogsOfTraces(logs)
        found = read(trace)
        assert read.problem == ""
        # Beside a span of the service that wrote it.
        beside = {one["service"] for one in found.get("records", ()) if services.get(one["span_id"]) == one["service"]}
        if wanted <= beside:
            return
        assert limit.wait(0.5), f"no record beside a span of {wanted - beside} after {PATIENCE:g} s: {found}"


def test_the_graph_of_all_requests_has_the_shops_calls(kube: Kube, trace_id: str) -> None:
    limit = Deadline(Clock(), 2 * PATIENCE)
    while True:
        graph, why = measured.read(Prometheus(kube, PROMETHEUS), 3600)
        edges = {(one["client"], one["server"]): one for one in graph["edges"]} if graph else {}
        if set(edges) >= CALLS:
            break
        assert limit.wait(1.0), f"{CALLS - set(edges)} of {trace_id} are not counted after {limit.seconds:g} s. {why}"
    assert all(edges[call]["calls"] > 0 for call in CALLS)
    assert edges["storefront", "gateway"]["p50"] > 0
