# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who calls whom, from the service graph metrics of all spans.

The picture is drawn from Prometheus, so it is there whatever store has the traces; Tempo's data source draws another in
Explore.
"""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Column, Dashboard, Panel, PromQL, Row, Variable, to_dashboard

REQUESTS = "traces_service_graph_request_total"
FAILED = "traces_service_graph_request_failed_total"
SECONDS = "traces_service_graph_request_server_seconds_bucket"
CHOSEN = ('client=~"$service"', 'server=~"$service"')
EDGE = "client, server, connection_type"
WINDOW = "$__range"


def either(metric: str, by: str) -> str:
    """Rates of the edges at one of whose ends the chosen service is."""
    return " or ".join(q.total(metric, end, by, WINDOW) for end in CHOSEN)


def _nodes() -> str:
    """A series for each end of an edge: what arrives there, or 0 where nothing does."""
    arriving = f'label_replace(sum by (server) ({either(REQUESTS, EDGE)}), "id", "$1", "server", "(.*)")'
    leaving = f'label_replace(sum by (client) ({either(REQUESTS, EDGE)}), "id", "$1", "client", "(.*)")'
    return f'label_replace(sum by (id) ({arriving}) or 0 * sum by (id) ({leaving}), "title", "$1", "id", "(.*)")'


def _edges() -> str:
    edges = f"sum by (client, server) ({either(REQUESTS, EDGE)})"
    for label, end in (("source", "client"), ("target", "server")):
        edges = f'label_replace({edges}, "{label}", "$1", "{end}", "(.*)")'
    return f'label_join({edges}, "id", " → ", "client", "server")'


ERRORS = f"({either(FAILED, EDGE)} or 0 * ({either(REQUESTS, EDGE)})) / (({either(REQUESTS, EDGE)}) > 0)"

SERVICE_MAP = Dashboard(
    uid="orion-service-map",
    title="Tracing: service map",
    description="Edges between services, databases and brokers, from all spans before sampling.",
    variables=(Variable("service", "Service", f"label_values({REQUESTS}, server)"),),
    rows=(
        Row(
            "Map",
            (
                Panel(
                    "Service map",
                    "Requests per second at each service and on each edge, in the chosen time. A database or a service "
                    "without instrumentation is known from the caller's span alone.",
                    [
                        PromQL(_nodes(), ref="nodes"),
                        PromQL(
                            _edges(),
                            ref="edges",
                        ),
                    ],
                    "nodeGraph",
                    "reqps",
                    width=24,
                    height=16,
                    columns=[
                        Column("id", "id"),
                        Column("title", "title"),
                        Column("source", "source"),
                        Column("target", "target"),
                        Column("nodes", "mainstat", "reqps"),
                        Column("edges", "mainstat", "reqps"),
                    ],
                ),
            ),
        ),
        Row(
            "Edges",
            (
                Panel(
                    "Edges",
                    "In the chosen time. Durations are the server's; of a database, the caller's.",
                    [
                        PromQL(either(REQUESTS, EDGE), ref="rate"),
                        PromQL(ERRORS, ref="errors"),
                        PromQL(" or ".join(q.quantile(0.95, SECONDS, end, EDGE, WINDOW) for end in CHOSEN), ref="p95"),
                    ],
                    "table",
                    width=24,
                    height=12,
                    sort_by="Requests per second",
                    columns=[
                        Column("client", "From", link=to_dashboard("orion-red", service="${__data.fields.From}")),
                        Column("server", "To", link=to_dashboard("orion-red", service="${__data.fields.To}")),
                        Column("connection_type", "Kind"),
                        Column("rate", "Requests per second", "reqps"),
                        Column("errors", "Errors", "percentunit"),
                        Column("p95", "p95", "s"),
                    ],
                ),
                Panel(
                    "Rate of each edge",
                    "Requests per second.",
                    [
                        PromQL(
                            " or ".join(q.total(REQUESTS, end, "client, server") for end in CHOSEN),
                            "{{client}} → {{server}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Failing edges",
                    "Requests per second that failed.",
                    [
                        PromQL(
                            " or ".join(q.total(FAILED, end, "client, server") for end in CHOSEN),
                            "{{client}} → {{server}}",
                        )
                    ],
                    unit="reqps",
                ),
            ),
        ),
    ),
)
