# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rate, errors and duration of services and their operations, from the span metrics of all spans, kept or not."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Column, Dashboard, Panel, PromQL, Row, Variable, to_dashboard

CALLS = "traces_spanmetrics_calls_total"
LATENCY = "traces_spanmetrics_latency_bucket"
# Of kept spans alone, with exemplars: their values are good for nothing else.
SAMPLED = "traces_spanmetrics_sampled_latency_bucket"
CHOSEN = f'{q.ENTRY}, service=~"$service"'
OPERATION = f'{CHOSEN}, span_name=~"$operation"'

SERVICE = Variable("service", "Service", f"label_values({CALLS}, service)")
TO_TRACES = ("Its traces", to_dashboard("orion-traces", service="${__field.labels.service}"))


def errors(selector: str, by: str = "", window: str = q.WINDOW) -> str:
    """The share of the requests that failed; 0 where none did."""
    every = q.total(CALLS, selector, by, window)
    failed = q.total(CALLS, f"{selector}, {q.ERROR}", by, window)
    return f"({failed} or 0 * {every}) / ({every} > 0)"


def table(by: str, selector: str) -> list[PromQL]:
    window = "$__range"
    return [
        PromQL(q.total(CALLS, selector, by, window), ref="rate"),
        PromQL(errors(selector, by, window), ref="errors"),
        *(PromQL(q.quantile(share, LATENCY, selector, by, window), ref=f"p{share * 100:g}") for share in (0.5, 0.95)),
        # What an operation costs its callers in all: where a second saved is saved most often.
        PromQL(q.total("traces_spanmetrics_latency_sum", selector, by, window), ref="impact"),
    ]


def columns(*labels: Column) -> list[Column]:
    return [
        *labels,
        Column("rate", "Requests per second", "reqps"),
        Column("errors", "Errors", "percentunit"),
        Column("p50", "p50", "s"),
        Column("p95", "p95", "s"),
        Column("impact", "Time spent, per second", "s"),
    ]


def rate_and_errors(selector: str, by: str, legend: str) -> tuple[Panel, Panel]:
    """Curves, one for each combination of the labels in by."""
    rate = [PromQL(q.total(CALLS, selector, by), legend)]
    failed = [PromQL(errors(selector, by), legend)]
    return (
        Panel("Rate", "Requests per second.", rate, unit="reqps", width=8, link=TO_TRACES),
        Panel(
            "Errors",
            "Share of the requests with status Error.",
            failed,
            unit="percentunit",
            width=8,
            link=TO_TRACES,
        ),
    )


RED = Dashboard(
    uid="orion-red",
    title="Tracing: services and operations",
    description="Rate, errors and duration from all spans, before sampling. Requests that a service serves and "
    "messages that it consumes count; what it calls does not.",
    variables=(SERVICE, Variable("operation", "Operation", f'label_values({CALLS}{{service=~"$service"}}, span_name)')),
    rows=(
        Row(
            "Services",
            (
                Panel(
                    "Services",
                    "In the chosen time. A click on a service shows its operations.",
                    table("service", CHOSEN),
                    "table",
                    width=24,
                    columns=columns(
                        Column("service", "Service", link=to_dashboard("orion-red", service="${__data.fields.Service}"))
                    ),
                    sort_by="Time spent, per second",
                ),
                *rate_and_errors(CHOSEN, "service", "{{service}}"),
                Panel(
                    "Duration, p95",
                    "Of all spans, before sampling.",
                    [PromQL(q.quantile(0.95, LATENCY, CHOSEN, "service"), "{{service}}")],
                    unit="s",
                    width=8,
                    link=TO_TRACES,
                ),
            ),
        ),
        Row(
            "Operations",
            (
                Panel(
                    "Operations",
                    "In the chosen time, of the chosen services.",
                    table("service, span_name", OPERATION),
                    "table",
                    width=24,
                    columns=columns(
                        Column("service", "Service"),
                        Column(
                            "span_name",
                            "Operation",
                            link=to_dashboard(
                                "orion-red", service="${__data.fields.Service}", operation="${__data.fields.Operation}"
                            ),
                        ),
                    ),
                    sort_by="Time spent, per second",
                ),
                *rate_and_errors(OPERATION, "service, span_name", "{{service}} {{span_name}}"),
                Panel(
                    "Duration, with traces",
                    "The curves are of all spans. The points are kept traces: a click opens one.",
                    [
                        PromQL(q.quantile(0.5, LATENCY, OPERATION), "p50"),
                        PromQL(q.quantile(0.95, LATENCY, OPERATION), "p95"),
                        PromQL(q.quantile(1, SAMPLED, OPERATION), "longest kept, upper bound", exemplars=True),
                    ],
                    unit="s",
                    width=8,
                ),
            ),
        ),
        Row(
            "What the service calls",
            (
                Panel(
                    "Calls",
                    "Client and producer spans per second: databases, brokers and other services.",
                    [
                        PromQL(
                            q.total(
                                CALLS,
                                'span_kind=~"SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER", service=~"$service"',
                                "service, span_name",
                            ),
                            "{{service}} {{span_name}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Their duration, p95",
                    "As the caller sees it.",
                    [
                        PromQL(
                            q.quantile(
                                0.95,
                                LATENCY,
                                'span_kind=~"SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER", service=~"$service"',
                                "service, span_name",
                            ),
                            "{{service}} {{span_name}}",
                        )
                    ],
                    unit="s",
                ),
            ),
        ),
    ),
)
