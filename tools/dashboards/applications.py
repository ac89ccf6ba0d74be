# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which applications send spans, and which do not."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Column, Dashboard, Panel, PromQL, Row, to_dashboard
from tools.dashboards.red import CALLS
from tools.dashboards.service_map import REQUESTS

RED = to_dashboard("orion-red", service="${__data.fields.Service}")
SENDING = f"count by (service) ({CALLS})"
# What others call and what sends no span itself; databases and brokers are not expected to.
CALLED = f"label_replace(sum by (server) ({q.rate(REQUESTS, 'connection_type="virtual_node"', '$__range')}), "
CALLED += '"service", "$1", "server", "(.*)")'
WITHOUT = f"sum by (service) ({CALLED}) unless on (service) {SENDING}"

APPLICATIONS = Dashboard(
    uid="orion-applications",
    title="Tracing: applications",
    description="Services that send spans, and those that are known only because others call them. For one namespace "
    "in detail: playbooks/instrumentation.yml",
    rows=(
        Row(
            "Sending spans",
            (
                Panel(
                    "Services",
                    "With spans in the last minutes.",
                    [PromQL(f"count({SENDING})")],
                    "stat",
                    "none",
                    width=6,
                    height=6,
                ),
                Panel(
                    "Spans by service",
                    "Per second, before sampling.",
                    [PromQL(q.total(CALLS, by="service"), "{{service}}")],
                    unit="cps",
                    width=18,
                    height=6,
                    stacked=True,
                ),
                Panel(
                    "Services and their spans",
                    "By kind. A service without server or consumer spans is a job, or lacks the instrumentation of its "
                    "framework; one without client spans calls nothing, or with a library that is not instrumented.",
                    [
                        PromQL(q.total(CALLS, by="service", window="$__range"), ref="all"),
                        *(
                            PromQL(
                                q.total(CALLS, f'span_kind="SPAN_KIND_{kind}"', "service", "$__range"), ref=kind.lower()
                            )
                            for kind in ("SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL")
                        ),
                        PromQL(f"count by (service) (count by (service, span_name) ({CALLS}))", ref="names"),
                    ],
                    "table",
                    width=24,
                    height=10,
                    sort_by="Spans per second",
                    columns=[
                        Column("service", "Service", link=RED),
                        Column("all", "Spans per second", "cps"),
                        *(
                            Column(kind, f"{kind.title()}", "cps")
                            for kind in ("server", "client", "producer", "consumer", "internal")
                        ),
                        Column("names", "Span names", "none"),
                    ],
                ),
            ),
        ),
        Row(
            "Not sending spans",
            (
                Panel(
                    "Called, but without spans",
                    "Services and hosts that instrumented services call and that send no span themselves. Instrument "
                    "them: docs/instrument-your-service.md",
                    [PromQL(WITHOUT)],
                    "table",
                    columns=[Column("service", "Service"), Column("A", "Requests per second", "reqps")],
                    empty="every service that is called sends spans itself",
                ),
                Panel(
                    "Deployments without spans",
                    "Deployments with pods whose name is not a service.name. One that is named otherwise is here too.",
                    [
                        PromQL(
                            "max by (namespace, deployment) (kube_deployment_status_replicas_available) > 0 "
                            f'unless on (deployment) label_replace({SENDING}, "deployment", "$1", "service", "(.*)")'
                        )
                    ],
                    "table",
                    columns=[
                        Column("namespace", "Namespace"),
                        Column("deployment", "Deployment"),
                        Column("A", "Pods", "none"),
                    ],
                    empty="every Deployment sends spans",
                ),
            ),
        ),
        Row(
            "Span names",
            (
                Panel(
                    "Span names of a service",
                    "Hundreds are a sign of ids in names: each name is a series of the span metrics, and there are at "
                    "most 5,000 a service.",
                    [PromQL(f"topk(20, count by (service) (count by (service, span_name) ({CALLS})))", "{{service}}")],
                    "bargauge",
                    "none",
                    width=24,
                    steps=[(200, "orange"), (1000, "red")],
                ),
            ),
        ),
    ),
)
