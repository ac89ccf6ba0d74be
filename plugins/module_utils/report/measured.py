# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The service graph of all requests, sampled or not, from the metrics that the collectors' service_graph connector
makes.

Source: connector/servicegraphconnector of opentelemetry-collector-contrib 0.158; sampler.py configures it.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.report.service_graph import DATABASE, OTHER, SERVICE
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus, increase

CALLS, FAILED = "traces_service_graph_request_total", "traces_service_graph_request_failed_total"
BUCKETS = "traces_service_graph_request_server_seconds_bucket"
# The caller of what nobody in the trace calls, as the connector names it.
USER = "user"
VIRTUAL, OF_DATABASES = "virtual_node", "database"

Series = list[tuple[dict[str, str], float]]


def queries(length: str) -> dict[str, str]:
    """PromQL by what it gives. length: of the time until now, such as 3600s."""
    ends = "client, server"
    found = {name: f"sum by ({ends}, connection_type) ({increase(metric, length)})"
             for name, metric in (("calls", CALLS), ("errors", FAILED))}  # fmt: skip
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        found[name] = f"histogram_quantile({share}, sum by ({ends}, le) ({increase(BUCKETS, length)}))"
    return found


def read(prometheus: Prometheus, seconds: int) -> tuple[dict[str, Any] | None, str]:
    """The graph of the last seconds, and why there is none, '' where there is one."""
    try:
        found = {name: prometheus.query(query) for name, query in queries(f"{seconds}s").items()}
    except TracingError as error:
        return None, f"Prometheus gave no service graph: {error}"
    graph = measured_graph(found, seconds)
    if not graph["edges"]:
        return None, f"{prometheus.endpoint.url} has no request of the last {seconds} s in {CALLS}."
    return graph, ""


def measured_graph(found: dict[str, Series], seconds: int) -> dict[str, Any]:
    """What the queries gave as the page has a graph. Durations in nanoseconds, None where none is known. Pure."""
    edges: dict[tuple[str, str], dict[str, Any]] = {}
    kinds: dict[str, str] = {}
    for labels, calls in found["calls"]:
        client, server, way = (labels.get(name, "") for name in ("client", "server", "connection_type"))
        # increase() extrapolates, so what was not called may have a small part of a call.
        if not client or not server or round(calls) < 1:
            continue
        blank = {"client": client, "server": server, "calls": 0, "errors": 0, "p50": None, "p95": None, "max": None}
        edges.setdefault((client, server), blank)["calls"] += round(calls)
        _kind(kinds, client, OTHER if way == VIRTUAL and client == USER else SERVICE)
        virtual = way == VIRTUAL and client != USER
        _kind(kinds, server, DATABASE if way == OF_DATABASES else OTHER if virtual else SERVICE)
    for name, series in found.items():
        for labels, value in series:
            edge = edges.get((labels.get("client", ""), labels.get("server", "")))
            if edge is None or name == "calls":
                continue
            if name == "errors":
                edge["errors"] = min(edge["errors"] + round(value), edge["calls"])
            else:
                edge[name] = round(value * 1e9)
    ordered = sorted(edges.values(), key=lambda edge: (edge["client"], edge["server"]))
    calls_of = {name: sum(edge["calls"] for edge in ordered if edge["server"] == name) for name in kinds}
    return {
        "source": "metrics",
        "seconds": seconds,
        "nodes": [{"name": name, "kind": kinds[name], "calls": calls_of[name]} for name in sorted(kinds)],
        "edges": ordered,
    }


def _kind(kinds: dict[str, str], name: str, kind: str) -> None:
    """What has spans of its own is a service, whatever else an edge makes of it."""
    kinds[name] = SERVICE if SERVICE in (kind, kinds.get(name)) else kind
