# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What leads from traces to metrics and back, asked of real stores: exemplars, span metrics, service graph, search."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import SpanRow, TraceRows, trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    MARGIN_SECONDS,
    Criteria,
    NotNow,
    StoreReader,
)
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo, traceql
from ansible_collections.orion.tracing.tests.queries.links import SECOND, DataSources
from ansible_collections.orion.tracing.tests.queries.stores import Ask

# Seconds that searches look back, and the most traces that one returns.
RANGE, MANY = 900, 5000
DATABASE, MESSAGING, VIRTUAL = "database", "messaging_system", "virtual_node"


class Edge(NamedTuple):
    """A call. kind: connection_type of the service graph, "" between two services over HTTP or gRPC."""

    client: str
    server: str
    kind: str
    failed: bool


def edges_of(traces: Iterable[TraceRows]) -> Counter[Edge]:
    """The edges of these traces with their numbers of calls, as the service graph is meant to have them.

    A call is a CLIENT or PRODUCER span with the SERVER or CONSUMER span below it; to a database, or to what sends no
    spans, the caller's span alone. A request from outside comes from "user".
    Source: README.md and config of connector/servicegraphconnector of opentelemetry-collector-contrib
    """
    found: Counter[Edge] = Counter()
    for trace in traces:
        served = {row.parent_id: row for row in trace.rows if row.kind in ("SERVER", "CONSUMER")}
        for row in trace.rows:
            values = row.attributes
            if row.kind in ("CLIENT", "PRODUCER"):
                other = served.get(row.span_id)
                if database := values.get("db.namespace") or values.get("db.name"):
                    found[Edge(row.service, database, DATABASE, row.is_error)] += 1
                elif other:
                    kind = MESSAGING if row.kind == "PRODUCER" else ""
                    found[Edge(row.service, other.service, kind, row.is_error or other.is_error)] += 1
                else:
                    server = values.get("peer.service") or values.get("db.system.name") or "unknown"
                    found[Edge(row.service, server, VIRTUAL, row.is_error)] += 1
            elif row.kind in ("SERVER", "CONSUMER") and not row.parent_id:
                found[Edge("user", row.service, VIRTUAL, row.is_error)] += 1
    return found


@dataclass(frozen=True)
class Correlations:
    """sources: the data sources as they are provisioned. prometheus: asks Prometheus. store: of traces."""

    sources: DataSources
    prometheus: Ask
    store: StoreReader

    def now(self, trace_id: str) -> TraceRows:
        """What the store has of a trace now."""
        end = int(time.time())
        try:
            document = self.store.document(trace_id, end - RANGE, end + MARGIN_SECONDS)
        except NotNow:
            document = {}
        return trace_rows(trace_id, document)

    def query(self, text: str) -> list[dict[str, Any]]:
        """The series of a query that have a value now: labels, and the value."""
        found = self.prometheus("api/v1/query", {"query": text})["data"]["result"]
        return [
            {**series["metric"], "value": float(series["value"][1])}
            for series in found
            if not math.isnan(float(series["value"][1]))
        ]

    def edges(self, server: str) -> Counter[Edge]:
        """The edges of the service graph in Prometheus whose server matches this, with all calls so far."""
        labels = ("client", "server", "connection_type", "failed")
        query = f'sum by ({", ".join(labels)}) (traces_service_graph_request_total{{server=~"{server}"}})'
        found: Counter[Edge] = Counter()
        for one in self.query(query):
            client, called, kind, failed = (one.get(label, "") for label in labels)
            found[Edge(client, called, kind, failed == "true")] += round(one["value"])
        return found

    def points(self, service: str) -> list[dict[str, Any]]:
        """The exemplars of a service's latencies with the labels of their series, the newest first."""
        end = time.time()
        query = f'traces_spanmetrics_sampled_latency_bucket{{service="{service}"}}'
        asked = {"query": query, "start": f"{end - RANGE:.0f}", "end": f"{end:.3f}"}
        found = self.prometheus("api/v1/query_exemplars", asked)["data"]
        points = [{"series": series["seriesLabels"], **one} for series in found for one in series["exemplars"]]
        return sorted(points, key=lambda one: -float(one["timestamp"]))

    def check_points(self, service: str, patience: float) -> None:
        """The newest exemplar of a service opens a trace in the store, which has the very span that was measured."""
        point = until(lambda: self.points(service), patience, f"an exemplar of {service}")[0]
        link = self.sources.trace_of_point(point["labels"])
        assert link and link.uid == self.sources.traces["uid"], f"no data source opens {point['labels']}"
        span_id = point["labels"]["span_id"]
        what = f"span {span_id} in trace {link.query} of an exemplar"
        [row] = until(lambda: [one for one in self.now(link.query).rows if one.span_id == span_id], patience, what)
        assert (row.service, row.name) == (service, point["series"]["span_name"])
        assert math.isclose(row.duration / SECOND, float(point["value"]), rel_tol=1e-6, abs_tol=1e-6)

    def check_metrics(self, trace: TraceRows, row: SpanRow, load: Callable[[], None], patience: float) -> None:
        """Each query behind a span, while there is load, has a figure of the span's service: there are requests, some
        fail, and they take time."""
        links = self.sources.metrics_of(trace, row)
        assert set(links) >= {"Rate", "Errors", "Duration p95"}
        prometheus = self.sources.one("prometheus")["uid"]

        def figures() -> dict[str, float]:
            load()
            found = {}
            for name, link in links.items():
                assert link and link.uid == prometheus, f"{name} of {row.service}: no link"
                [series] = self.query(link.query) or [{"value": 0.0}]
                found[name] = series["value"]
            return found

        def all_there() -> dict[str, float]:
            found = figures()
            return found if all(found.values()) else {}

        until(all_there, patience, f"a figure of each query of {row.service}", pause=2)
        # Another service's span leads elsewhere.
        other = TraceRows(trace.trace_id, resources=[{**trace.resources[row.resource], "service.name": "none-such"}])
        nobody = SpanRow(**{**vars(row), "resource": 0, "service": "none-such"})
        for link in self.sources.metrics_of(other, nobody).values():
            assert link and self.query(link.query) == []

    def check_edges(self, server: str, sent: Counter[Edge], patience: float) -> None:
        """The service graph has the edges of what was sent, and no others: each call is counted once."""
        deadline = Deadline(Clock(), patience)
        while (found := self.edges(server)) != sent:
            missing, more = sent - found, found - sent
            assert deadline.wait(1), f"calls that are missing: {missing}; calls that nobody made: {more}"

    def search(self, criteria: Criteria) -> set[str]:
        end = int(time.time())
        try:
            return set(self.store.search(criteria, end - RANGE, end + 1, MANY, criteria.services))
        except NotNow:
            return set()

    def search_below(self, above: Criteria, below: Criteria) -> set[str]:
        """Traces with a span below another one, at whatever depth.

        TraceQL has an operator for it. Jaeger searches for single spans: what it finds is read, and looked through.
        """
        if isinstance(self.store, Tempo):
            end = int(time.time())
            text = f"{traceql(above)} >> {traceql(below)}"
            return set(self.store.search_traceql(text, end - RANGE, end + 1, MANY))
        return {
            trace_id
            for trace_id in self.search(below)
            if any(_meets(one, above) for row in _met(self.now(trace_id), below) for one in row)
        }


class JaegerEditor:
    """What Grafana's data source for Jaeger asks for while somebody fills in a search."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def services(self) -> set[str]:
        return set(self.ask("api/services", {})["data"])

    def operations(self, service: str) -> set[str]:
        return set(self.ask(f"api/services/{service}/operations", {})["data"])

    def names(self) -> set[str]:
        """Of attributes: Jaeger has no list of them."""
        return set()

    def values(self, name: str, service: str) -> set[str]:
        raise NotImplementedError(f"{name} of {service}: Jaeger has no list of values")


class TempoEditor:
    """What Grafana's data source for Tempo asks for while somebody writes a query."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def _values(self, tag: str, query: str) -> set[str]:
        return {one["value"] for one in self.ask(f"api/v2/search/tag/{tag}/values", {"q": query})["tagValues"]}

    def services(self) -> set[str]:
        return self._values("resource.service.name", "{}")

    def operations(self, service: str) -> set[str]:
        return self._values("name", traceql(Criteria((service,))))

    def names(self) -> set[str]:
        """Of spans' attributes."""
        scopes = self.ask("api/v2/search/tags", {"scope": "span"})["scopes"]
        return {tag for scope in scopes if scope["name"] == "span" for tag in scope["tags"]}

    def values(self, name: str, service: str) -> set[str]:
        return self._values(f"span.{name}", traceql(Criteria((service,))))


EDITORS: dict[str, type[JaegerEditor | TempoEditor]] = {"jaeger": JaegerEditor, "tempo": TempoEditor}


def evaluated(ask: Ask, patience: float) -> dict[str, dict[str, Any]]:
    """The groups of rules in Prometheus by name, as soon as all rules were evaluated."""

    def groups() -> dict[str, dict[str, Any]]:
        found = {group["name"]: group for group in ask("api/v1/rules", {})["data"]["groups"]}
        waiting = [rule for group in found.values() for rule in group["rules"] if rule["health"] == "unknown"]
        return {} if waiting else found

    return until(groups, patience, "an evaluation of all rules")


def check_rules(groups: dict[str, dict[str, Any]], file: dict[str, Any]) -> None:
    """Prometheus has the rules of this file and no others, and each can be evaluated."""
    wanted = {one["name"]: [rule.get("alert") or rule["record"] for rule in one["rules"]] for one in file["groups"]}
    assert {name: [rule["name"] for rule in group["rules"]] for name, group in groups.items()} == wanted
    rules = [rule for group in groups.values() for rule in group["rules"]]
    unhealthy = {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"}
    assert not unhealthy


def _met(trace: TraceRows, criteria: Criteria) -> Iterator[list[SpanRow]]:
    """The spans above each span that meets the criteria."""
    for row in trace.rows:
        if _meets(row, criteria):
            above = []
            while row.parent >= 0:
                row = trace.rows[row.parent]
                above.append(row)
            yield above


def _meets(row: SpanRow, criteria: Criteria) -> bool:
    """Of service, operation and error alone."""
    return (
        row.service in (criteria.services or [row.service])
        and row.name == (criteria.operation or row.name)
        and (row.is_error or not criteria.error)
    )


def until[T](found: Callable[[], T], patience: float, what: str, pause: float = 0.5) -> T:
    """What is found, as soon as there is something."""
    deadline = Deadline(Clock(), patience)
    while not (one := found()):
        assert deadline.wait(pause), f"{what}: not within {patience:g} s"
    return one
