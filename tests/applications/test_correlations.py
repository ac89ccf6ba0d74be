# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each link between traces, logs and metrics, in the cluster: the queries are those of the data sources that the role
grafana has provisioned there, filled in as Grafana does, and the real stores answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana import trace_to_logs
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import VICTORIALOGS
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import SpanRow, TraceRows, trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import Record, VictoriaLogs
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.tests.applications.conftest import setting, through_the_api_server
from ansible_collections.orion.tracing.tests.applications.shop import PATIENCE, TENANT, Shop, traceparent
from ansible_collections.orion.tracing.tests.queries.correlations import (
    DATABASE,
    EDITORS,
    MESSAGING,
    Correlations,
    Edge,
    edges_of,
    until,
)
from ansible_collections.orion.tracing.tests.queries.links import SECOND, DataSources, span_values
from ansible_collections.orion.tracing.tests.queries.stack import order

# Which lines a checkout of "book" makes each service log.
LOGGED = {"storefront": "checkout", "orders": "order placed", "pricing": "order priced", "fulfilment": "order shipped"}
# Those of whose requests some fail, with the operation that clients call.
FAILING = {
    "storefront": "POST /checkout",
    "gateway": "POST /api/v1/orders",
    "orders": "POST /orders",
    "pricing": "POST /price",
}
SERVICES = {*FAILING, "fulfilment"}
# The span that ends a trace, beside the storefront's.
LAST = {"broken-price": "price order", "flaky-shipment": "process orders.retry"}
# Requests of services that exist in their spans alone. One in ten of those without an error is kept.
GOOD, FAILED = 40, 3
# Samplers send metrics every 15 s, and those of the service graph ten seconds late; a rate needs two of them.
METRICS_PATIENCE = 120.0


@pytest.fixture(scope="module")
def correlations(kube: Kube, shop: Shop, sources: DataSources) -> Correlations:
    return Correlations(sources, through_the_api_server(kube, "prometheus"), shop.store)


def checkout(shop: Shop, correlations: Correlations, sku: str, services: set[str]) -> TraceRows:
    """The trace of a checkout, as soon as it is whole: all services' spans are there, the storefront's, which ends
    last, and nothing is added any more."""
    trace_id, counts = new_id(32), [0]
    status, answer = shop.checkout(sku, (("x-tenant-id", TENANT), traceparent(trace_id)))
    assert status in (201, 502), answer

    def whole() -> TraceRows | None:
        trace = correlations.now(trace_id)
        counts.append(len(trace.rows))
        names = {row.name for row in trace.rows} & {"POST /checkout", LAST.get(sku, "ship order")}
        there = set(trace.services()) >= services and len(names) == 2
        return trace if there and counts[-1] == counts[-2] else None

    return until(whole, PATIENCE, f"the whole trace {trace_id} of {sku}")


@pytest.fixture(scope="module")
def good(shop: Shop, correlations: Correlations) -> TraceRows:
    return checkout(shop, correlations, "book", SERVICES)


@pytest.fixture(scope="module")
def slow(shop: Shop, correlations: Correlations) -> TraceRows:
    return checkout(shop, correlations, "slow", SERVICES)


@pytest.fixture(scope="module")
def broken(shop: Shop, correlations: Correlations) -> TraceRows:
    return checkout(shop, correlations, "broken-price", set(FAILING))


@pytest.fixture(scope="module")
def lines(good: TraceRows, broken: TraceRows, logs: VictoriaLogs) -> dict[str, list[Record]]:
    """The records of both traces by service, as soon as each service's line is there."""

    def all_there() -> dict[str, list[Record]]:
        records = [*logs.records(good.trace_id), *logs.records(broken.trace_id)]
        found = {name: [one for one in records if one["service.name"] == name] for name in SERVICES}
        there = all(any(one["_msg"] == LOGGED[name] for one in found[name]) for name in LOGGED)
        return found if there and any(one["trace_id"] == broken.trace_id for one in records) else {}

    return until(all_there, PATIENCE, "a line of each service")


def asked(logs: VictoriaLogs, sources: DataSources, trace: TraceRows, row: SpanRow) -> list[Record]:
    """The lines that the link beside a span shows."""
    link = sources.logs_of(trace, row)
    assert link and link.uid == sources.one(trace_to_logs.PLUGINS[VICTORIALOGS])["uid"], f"{row.name} has no link"
    return logs.query(link.query, link.start, link.end)


def server_span(trace: TraceRows, service: str) -> SpanRow:
    [row] = [row for row in trace.rows if row.service == service and row.name == FAILING[service]]
    return row


@pytest.mark.parametrize("service", LOGGED)
def test_a_span_leads_to_the_lines_of_its_service_in_its_trace_and_to_no_others(
    service: str,
    good: TraceRows,
    broken: TraceRows,
    lines: dict[str, list[Record]],
    logs: VictoriaLogs,
    sources: DataSources,
) -> None:
    expected = [one for one in lines[service] if one["trace_id"] == good.trace_id]
    assert LOGGED[service] in [one["_msg"] for one in expected]
    for row in good.rows:
        if row.service == service:
            found = asked(logs, sources, good, row)
            assert all(line in found for line in expected), f"lines of {row.name}: {found}"
            assert {(one["trace_id"], one["service.name"]) for one in found} == {(good.trace_id, service)}
    others = [(trace, row) for trace in (good, broken) for row in {one.service: one for one in trace.rows}.values()]
    for trace, row in others:
        if (trace, row.service) != (good, service):
            assert not [one for one in asked(logs, sources, trace, row) if one in expected], (row.service, row.name)


def test_with_the_filter_by_span_id_only_the_span_leads_to_its_line(
    good: TraceRows, lines: dict[str, list[Record]], logs: VictoriaLogs, sources: DataSources
) -> None:
    """grafana_traces_to_logs_filter_by_span_id."""
    tags = sources.traces["jsonData"]["tracesToLogsV2"]["tags"]
    [line] = [one for one in lines["orders"] if one["_msg"] == LOGGED["orders"]]
    for row in good.rows:
        query = trace_to_logs.query(VICTORIALOGS, by_span_id=True, span=span_values(good, row), tags=tags)
        assert (line in logs.query(query or "")) == (row.span_id == line["span_id"]), f"{row.service}: {row.name}"


@pytest.mark.parametrize("service", LOGGED)
def test_a_line_leads_to_the_trace_and_the_span_that_it_was_written_in(
    service: str, lines: dict[str, list[Record]], correlations: Correlations
) -> None:
    line = next(one for one in lines[service] if one["_msg"] == LOGGED[service])
    # Grafana's labels are all fields but the line and its time.
    link = correlations.sources.trace_of_line({name: line[name] for name in line if name not in ("_msg", "_time")})
    assert link and link.uid == correlations.sources.traces["uid"], line
    spans = {row.span_id: row.service for row in correlations.now(link.query).rows}
    assert spans[line["span_id"]] == service


def test_a_line_outside_of_requests_leads_nowhere(logs: VictoriaLogs, sources: DataSources) -> None:
    found = logs.query('trace_id:"" "k8s.namespace.name":="shop"', limit=10)
    assert found, "what services log when they start"
    assert [sources.trace_of_line(one, one["_msg"]) for one in found] == [None] * len(found)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_point_opens_its_trace(service: str, correlations: Correlations, good: TraceRows, broken: TraceRows) -> None:
    correlations.check_points(service, PATIENCE)


@pytest.mark.parametrize("service", FAILING)
def test_a_span_leads_to_its_services_metrics(
    service: str, correlations: Correlations, shop: Shop, broken: TraceRows
) -> None:
    def load() -> None:
        shop.checkout("broken-price")

    correlations.check_metrics(broken, server_span(broken, service), load, METRICS_PATIENCE)


@pytest.fixture(scope="module")
def suffix() -> str:
    """Of services that nobody else sends spans of, so that their calls can be counted."""
    return f"-{new_id(8)}"


@pytest.fixture(scope="module")
def sent(kube: Kube, suffix: str) -> list[TraceRows]:
    """Traces that a gateway has taken; those that fail are the last."""
    found = []
    for number in range(GOOD + FAILED):
        document = order(number >= GOOD, 0.02, suffix)
        trace_id = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"]
        headers, body = {"Content-Type": "application/json"}, json.dumps(document).encode()
        answer = kube.proxy(
            "services", "tracing", "otel-collector", 4318, "v1/traces", "POST", body=body, headers=headers
        )
        assert answer.ok, answer.text
        found.append(trace_rows(trace_id, document))
    return found


def test_the_service_graph_counts_every_call_that_was_made(
    correlations: Correlations, sent: list[TraceRows], suffix: str
) -> None:
    wanted = edges_of(sent)
    assert {edge.kind for edge in wanted} >= {"", DATABASE, MESSAGING}
    correlations.check_edges(f".*{suffix}", wanted, METRICS_PATIENCE)


def test_most_of_what_is_counted_was_not_kept(correlations: Correlations, sent: list[TraceRows], suffix: str) -> None:
    service, failed = Criteria(services=(f"storefront{suffix}",)), {trace.trace_id for trace in sent[GOOD:]}

    def search() -> set[str]:
        found = correlations.search(service)
        return found if found >= failed else set()

    assert len(until(search, PATIENCE, "the failed requests")) < GOOD / 2


def test_the_service_graph_has_the_shops_calls_and_no_others(
    correlations: Correlations, shop: Shop, good: TraceRows, slow: TraceRows, broken: TraceRows
) -> None:
    """Of calls between services, and to the database: which of them there are, since all tests together make them."""
    retried = checkout(shop, correlations, "flaky-shipment", SERVICES)

    def among(edges: Mapping[Edge, int]) -> set[tuple[str, str, str]]:
        kinds = {"", MESSAGING, DATABASE}
        return {
            (edge.client, edge.server, edge.kind)
            for edge in edges
            if edge.client in SERVICES and edge.kind in kinds and (edge.kind == DATABASE or edge.server in SERVICES)
        }

    wanted = among(edges_of([good, slow, broken, retried]))
    services = {(client, server, kind) for client, server, kind in wanted if kind != DATABASE}
    assert services == {
        ("storefront", "gateway", ""),
        ("gateway", "orders", ""),
        ("orders", "pricing", ""),
        ("pricing", "fulfilment", ""),
        ("orders", "fulfilment", MESSAGING),
        ("fulfilment", "fulfilment", MESSAGING),
    }
    assert {client for client, _server, kind in wanted if kind == DATABASE} == {"orders", "pricing", "fulfilment"}
    until(lambda: among(correlations.edges(".*")) >= wanted, METRICS_PATIENCE, f"the edges {sorted(wanted)}")
    assert among(correlations.edges(".*")) == wanted


@pytest.mark.parametrize(
    ("criteria", "those"),
    [
        (Criteria(("pricing",)), {"good", "slow", "broken"}),
        (Criteria(("fulfilment",)), {"good", "slow"}),
        (Criteria(("pricing",), "price order"), {"good", "slow", "broken"}),
        (Criteria(("fulfilment",), "price order"), set()),
        (Criteria(("pricing",), minimum_duration=1.4), {"slow"}),
        (Criteria(("pricing",), error=True), {"broken"}),
        (Criteria(("orders",), "reserve stock", {"shop.sku": "slow"}), {"slow"}),
        (Criteria(("pricing",), "price order", {"shop.quantity": 2}, error=True), {"broken"}),
    ],
    ids=["service", "another service", "operation", "operation elsewhere", "duration", "status", "attribute", "all"],
)
def test_search_finds_what_meets_the_criteria_and_nothing_else(
    criteria: Criteria,
    those: set[str],
    correlations: Correlations,
    good: TraceRows,
    slow: TraceRows,
    broken: TraceRows,
) -> None:
    ids = {good.trace_id: "good", slow.trace_id: "slow", broken.trace_id: "broken"}
    if least := criteria.minimum_duration * SECOND:
        # On a busy machine, the others may take as long.
        for name, trace in (("good", good), ("broken", broken)):
            those = those | {name for row in trace.rows if row.service == "pricing" and row.duration >= least}
    patience = PATIENCE + correlations.store.search_lag
    until(lambda: correlations.search(Criteria(("pricing",))) >= set(ids), patience, "all three by their service")
    found = until(lambda: those <= {ids.get(one, "") for one in correlations.search(criteria)}, patience, str(criteria))
    assert found
    assert {ids[one] for one in correlations.search(criteria) if one in ids} == those


def test_search_by_structure(shop: Shop, correlations: Correlations) -> None:
    # Without a traceparent: the root span is in the store then, without which Tempo does not relate a trace's spans.
    own = {"tenant.id": f"{TENANT}-{new_id(8)}"}
    status, answer = shop.checkout("broken-price", (("x-tenant-id", own["tenant.id"]),))
    assert status == 502, answer
    above = Criteria(("gateway",), attributes=own, error=True)
    below = Criteria(("pricing",), "price order", own, error=True)
    patience = PATIENCE + correlations.store.search_lag
    found = until(lambda: correlations.search_below(above, below), patience, "pricing below the gateway")
    assert found == correlations.search(below) and len(found) == 1
    assert not correlations.search_below(below, above)


def test_the_query_editor_offers_services_operations_and_attributes(
    kube: Kube, good: TraceRows, broken: TraceRows
) -> None:
    store = setting("ORION_TEST_STORE")
    editor = EDITORS[store](through_the_api_server(kube, store))
    until(lambda: editor.services() >= SERVICES, PATIENCE, "the services")
    wanted = {"POST /price", "price order"}
    until(lambda: editor.operations("pricing") >= wanted, PATIENCE, f"{wanted} of pricing")
    assert not editor.operations("pricing") & {"ship order"}
    values = {name: editor.values(name, "orders") for name in editor.names() & {"shop.sku", "tenant.id"}}
    # Jaeger has no list of attributes: people write them.
    wanted_names = {"tempo": {"shop.sku", "tenant.id"}, "jaeger": set()}
    assert set(values) == wanted_names[store]
    assert values.get("shop.sku", {"book", "broken-price"}) >= {"book", "broken-price"}
    assert TENANT in values.get("tenant.id", {TENANT})
