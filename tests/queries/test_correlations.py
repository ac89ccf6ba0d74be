# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From traces to metrics and back, with the real Collector, Prometheus and Jaeger; and the links of each log store."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import provisioning
from ansible_collections.orion.tracing.plugins.module_utils.kube.direct import Direct
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import spans
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows, trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.tests.queries.correlations import (
    EDITORS,
    Correlations,
    Edge,
    check_rules,
    edges_of,
    evaluated,
    until,
)
from ansible_collections.orion.tracing.tests.queries.links import DataSources
from ansible_collections.orion.tracing.tests.queries.stack import RULES, Stack, order
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import started

PATIENCE = 60.0
# Requests of each kind. One in ten of those without an error is kept.
GOOD, FAILED = 40, 3
SUFFIX = "-counted"


def sources(**variables: Any) -> DataSources:
    """As the role provisions them, with Jaeger as the store of traces."""
    given = role_defaults(
        "grafana",
        tracing_namespace="tracing",
        tracing_store="otlp",
        tracing_store_reader="jaeger",
        tracing_store_namespace="local-backends",
        tracing_store_service="jaeger",
        tracing_store_port=16686,
        grafana_prometheus_url="http://prometheus:9090",
        grafana_logs_url="http://logs:1",
        **variables,
    )
    return DataSources.provisioned(provisioning(given)[0])


@pytest.fixture(scope="module")
def correlations(stack: Stack) -> Correlations:
    store = Jaeger(Direct(f"http://127.0.0.1:{stack.jaeger}"), "")
    return Correlations(sources(), stack.asker(stack.prometheus), store)


def sent_trace(document: dict[str, Any]) -> TraceRows:
    return trace_rows(next(spans(document))["traceId"], document)


@pytest.fixture(scope="module")
def sent(stack: Stack) -> list[TraceRows]:
    """Traces with names of their own, so that nothing else is counted with them; those that fail are the last."""
    documents = [order(number >= GOOD, 0.02, SUFFIX) for number in range(GOOD + FAILED)]
    for document in documents:
        stack.send(document)
    return [sent_trace(document) for document in documents]


def test_edges_of_an_order() -> None:
    found = edges_of([sent_trace(order(failed=True, seconds=0.1))])
    assert found == Counter(
        {
            Edge("user", "storefront", "virtual_node", True): 1,
            Edge("storefront", "gateway", "", True): 1,
            Edge("gateway", "orders", "", True): 1,
            Edge("orders", "shop", "database", False): 1,
            Edge("orders", "pricing", "", True): 1,
            Edge("pricing", "fulfilment", "", False): 1,
            Edge("orders", "fulfilment", "messaging_system", False): 1,
            Edge("fulfilment", "carrier", "virtual_node", False): 1,
        }
    )


def test_the_service_graph_counts_every_call_that_was_made(correlations: Correlations, sent: list[TraceRows]) -> None:
    correlations.check_edges(f".*{SUFFIX}", edges_of(sent), PATIENCE)


def test_most_of_what_is_counted_was_not_kept(correlations: Correlations, sent: list[TraceRows]) -> None:
    service = Criteria(services=(f"storefront{SUFFIX}",))
    failed = {trace.trace_id for trace in sent[GOOD:]}
    kept = until(lambda: (found := correlations.search(service)) >= failed and found, PATIENCE, "the failed requests")
    assert len(kept) < GOOD / 2
    requests = f'traces_spanmetrics_calls_total{{service="storefront{SUFFIX}",span_kind="SPAN_KIND_SERVER"}}'
    [series] = correlations.query(f"sum({requests})")
    assert series["value"] == len(sent)


def test_a_point_opens_its_trace(correlations: Correlations, sent: list[TraceRows]) -> None:
    correlations.check_points(f"pricing{SUFFIX}", PATIENCE)


@pytest.mark.parametrize("service", ["gateway", "pricing"])
def test_a_span_leads_to_its_services_metrics(service: str, correlations: Correlations, stack: Stack) -> None:
    trace = sent_trace(order(True, 0.02))
    [row] = [row for row in trace.rows if row.kind == "SERVER" and row.service == service]

    def load() -> None:
        stack.send(order(True, 0.02))

    correlations.check_metrics(trace, row, load, PATIENCE)


def test_search(correlations: Correlations, sent: list[TraceRows]) -> None:
    failed = {trace.trace_id for trace in sent[GOOD:]}
    service, name = f"pricing{SUFFIX}", "POST /price"
    assert correlations.search(Criteria((service,), name, error=True)) >= failed
    assert not correlations.search(Criteria((service,), "POST /refund"))
    assert not correlations.search(Criteria((service,), name, minimum_duration=5))
    above, below = Criteria((f"gateway{SUFFIX}",), error=True), Criteria((service,), name, error=True)
    assert correlations.search_below(above, below) >= failed
    assert not correlations.search_below(below, above)


def test_every_rule_is_evaluated_and_no_alert_fires(correlations: Correlations, sent: list[TraceRows]) -> None:
    check_rules(evaluated(correlations.prometheus, PATIENCE), RULES)
    alerts = correlations.prometheus("api/v1/alerts", {})["data"]["alerts"]
    assert not [one for one in alerts if one["state"] == "firing"]


def test_the_editor_offers_services_and_operations(stack: Stack, sent: list[TraceRows]) -> None:
    editor = EDITORS["jaeger"](stack.asker(stack.jaeger))
    until(lambda: f"pricing{SUFFIX}" in editor.services(), PATIENCE, "the services")
    assert editor.operations(f"pricing{SUFFIX}") == {"POST /price", "GET"}


def test_a_span_leads_to_the_lines_of_its_service_in_its_trace(tmp_path: Path) -> None:
    """With the real VictoriaLogs."""
    trace, other = (sent_trace(order(False, 0.02)) for _one in range(2))
    rows = {row.service: row for row in trace.rows if row.kind == "SERVER"}
    found = sources(grafana_logs_type="victorialogs")
    with started(tmp_path) as store:
        lines = [
            {"service.name": service, "trace_id": one.trace_id, "_msg": service, "_time": rfc3339(datetime.now(UTC))}
            for one in (trace, other)
            for service in rows
        ]
        body = "\n".join(map(json.dumps, lines)).encode()
        headers = {"Content-Type": "application/stream+json"}
        request = urllib.request.Request(f"{store.url}/insert/jsonline?_stream_fields=service.name", body, headers)
        urllib.request.urlopen(request, timeout=30).close()
        until(lambda: len(store.reader.query("*")) == len(lines), PATIENCE, "the lines")
        for service, row in rows.items():
            link = found.logs_of(trace, row)
            assert link and link.uid == "victorialogs" and link.end - link.start > 600
            [line] = store.reader.query(link.query, link.start, link.end)
            assert (line["service.name"], line["trace_id"]) == (service, trace.trace_id)
            back = found.trace_of_line(line)
            assert back and (back.uid, back.query) == ("jaeger", trace.trace_id)
            assert store.reader.query(link.query, link.start - 7200, link.start) == [], "outside of the range"


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("store", "labels"),
    [
        ("loki", {"service_name": "orders", "trace_id": TRACE, "span_id": "00f067aa0ba902b7"}),
        ("victorialogs", {"service.name": "orders", "trace_id": TRACE, "span_id": "00f067aa0ba902b7"}),
    ],
)
def test_a_line_leads_to_its_trace(store: str, labels: dict[str, str]) -> None:
    found = sources(grafana_logs_type=store)
    link = found.trace_of_line(labels)
    assert link and (link.uid, link.query) == ("jaeger", TRACE)
    assert found.trace_of_line({"service.name": "orders"}, "no id") is None
