# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which services of some traces call which, and the databases and queues between them: nodes and edges. Pure.

A call is a span whose parent is another service's. Databases, queues and services without instrumentation write no
spans themselves: their names are those in the attributes of the span that calls them, by the semantic conventions.
Source: https://opentelemetry.io/docs/specs/semconv/ (database, messaging, http)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.report.trace import SpanRow, TraceRows

SERVICE, DATABASE, QUEUE, OTHER = "service", "database", "queue", "other"


@dataclass
class GraphNode:
    """spans, errors: of a service; 0 for what writes no spans."""

    name: str
    kind: str
    spans: int = 0
    errors: int = 0


@dataclass
class GraphEdge:
    """durations: nanoseconds of each call, as its caller saw it (a queue's reader: its own span)."""

    client: str
    server: str
    durations: list[int] = field(default_factory=list)
    errors: int = 0

    def add(self, row: SpanRow) -> None:
        self.durations.append(row.duration)
        self.errors += row.is_error

    def figures(self) -> dict[str, Any]:
        """calls, errors, and the durations' median, 95th percentile and maximum."""
        durations = sorted(self.durations)
        return {
            "client": self.client,
            "server": self.server,
            "calls": len(durations),
            "errors": self.errors,
            "p50": percentile(durations, 50),
            "p95": percentile(durations, 95),
            "max": durations[-1] if durations else 0,
        }


@dataclass
class ServiceGraph:
    """Nodes by name, edges by client and server."""

    nodes: dict[str, GraphNode] = field(default_factory=dict)
    edges: dict[tuple[str, str], GraphEdge] = field(default_factory=dict)

    def node(self, name: str, kind: str) -> GraphNode:
        return self.nodes.setdefault(name, GraphNode(name, kind))

    def call(self, client: str, server: str, row: SpanRow) -> None:
        self.edges.setdefault((client, server), GraphEdge(client, server)).add(row)


def percentile(ordered: Sequence[int], share: float) -> int:
    """By the nearest rank, of values in ascending order; 0 for none."""
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)] if ordered else 0


def service_graph(traces: Iterable[TraceRows]) -> ServiceGraph:
    """The graph of all calls in these traces."""
    graph = ServiceGraph()
    for trace in traces:
        for row in trace.rows:
            node = graph.node(row.service, SERVICE)
            node.spans += 1
            node.errors += row.is_error
        called = _called(trace, graph)
        for number, row in enumerate(trace.rows):
            if number not in called and row.kind in ("CLIENT", "PRODUCER") and (peer := _peer(row)):
                # A service of the same name has spans of its own elsewhere: it is that one.
                name, kind = peer
                graph.node(name, kind)
                graph.call(row.service, name, row)
    return graph


def _called(trace: TraceRows, graph: ServiceGraph) -> set[int]:
    """Add the calls that two spans show. Returns the callers' rows."""
    found: set[int] = set()
    for row in trace.rows:
        if row.parent < 0:
            continue
        parent = trace.rows[row.parent]
        queue = _queue(row) if row.kind == "CONSUMER" else None
        if queue:
            # The producer's own span makes the other edge.
            graph.node(queue, QUEUE)
            graph.call(queue, row.service, row)
        elif row.service != parent.service:
            found.add(row.parent)
            graph.call(parent.service, row.service, parent if parent.kind == "CLIENT" else row)
    return found


def _peer(row: SpanRow) -> tuple[str, str] | None:
    """What a span calls that writes no span itself: (name, kind). None for what its attributes do not name."""
    values = row.attributes
    system = values.get("db.system.name") or values.get("db.system")
    if system:
        where = values.get("db.namespace") or values.get("db.name") or values.get("server.address")
        return (f"{system}: {where}" if where else str(system)), DATABASE
    if queue := _queue(row):
        return queue, QUEUE
    if row.kind == "PRODUCER":
        return None
    name = values.get("peer.service") or values.get("service.peer.name") or values.get("server.address")
    return (str(name), OTHER) if name else None


def _queue(row: SpanRow) -> str | None:
    system, name = row.attributes.get("messaging.system"), row.attributes.get("messaging.destination.name")
    return f"{system or 'queue'}: {name}" if name else None
