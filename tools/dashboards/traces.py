# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slow and failing traces: by TraceQL where Tempo has them, by search where Jaeger does.

No TraceQL metrics (`| rate()` and others): Tempo 2.10 answers them with its metrics-generators, which the tempo role
does not run, since the Collectors make the metrics from all spans.
"""

from __future__ import annotations

from tools.dashboards.builder import JAEGER, PROMETHEUS, TEMPO, Dashboard, JaegerSearch, Panel, Row, TraceQL, Variable
from tools.dashboards.red import CALLS, SERVICE

OF_SERVICE = 'resource.service.name =~ "$service"'
LONGER = Variable("longer", "Longer than", values=("1s", "100ms", "500ms", "5s", "10s"))
NONE = "no such trace was kept in the chosen time"

TRACES = Dashboard(
    uid="orion-traces",
    title="Tracing: slow and failing traces",
    description="Kept traces, found with TraceQL: policies decide which there are, so counts say nothing about rates.",
    variables=(SERVICE, LONGER),
    sources=(PROMETHEUS, TEMPO),
    rows=(
        Row(
            "Failing",
            (
                Panel(
                    "Traces with errors",
                    "A span of the service has status Error.",
                    [TraceQL(f"{{ {OF_SERVICE} && status = error }} | select(name, statusMessage)")],
                    "table",
                ),
                Panel(
                    "Where errors begin",
                    "A failing span of the service that has no failing child.",
                    [TraceQL(f"{{ status = error }} !< {{ {OF_SERVICE} && status = error }}")],
                    "table",
                    empty=NONE,
                ),
                Panel(
                    "Exceptions",
                    "Spans of the service with an exception event.",
                    [
                        TraceQL(
                            f'{{ {OF_SERVICE} && event:name = "exception" }} | select(event.exception.type, '
                            "event.exception.message)"
                        )
                    ],
                    "table",
                ),
            ),
        ),
        Row(
            "Slow",
            (
                Panel(
                    "Slow requests",
                    "A span of the service took longer than the chosen time.",
                    [TraceQL(f"{{ {OF_SERVICE} && duration > $longer }}")],
                    "table",
                    empty=NONE,
                ),
                Panel(
                    "Slow traces",
                    "The whole trace, of which the service is a part, took longer.",
                    [TraceQL(f"{{ {OF_SERVICE} && traceDuration > $longer }} | select(rootServiceName, rootName)")],
                    "table",
                    empty=NONE,
                ),
                Panel(
                    "Slow database calls",
                    "Client spans to a database that took more than 100 ms.",
                    [TraceQL(f'{{ {OF_SERVICE} && span.db.system.name != "" && duration > 100ms }}')],
                    "table",
                    empty=NONE,
                ),
            ),
        ),
    ),
)

# Jaeger searches in one service; there is no way to ask for all.
ONE_SERVICE = Variable("service", "Service", f"label_values({CALLS}, service)", all=False)

TRACES_JAEGER = Dashboard(
    uid="orion-traces-jaeger",
    title="Tracing: slow and failing traces (Jaeger)",
    description="Kept traces of one service, where Jaeger is the store.",
    variables=(ONE_SERVICE, LONGER),
    sources=(PROMETHEUS, JAEGER),
    rows=(
        Row(
            "Traces",
            (
                Panel(
                    "Traces with errors",
                    "A span of the service has status Error.",
                    [JaegerSearch("$service", "error=true")],
                    "table",
                    height=12,
                ),
                Panel(
                    "Slow requests",
                    "A span of the service took longer than the chosen time.",
                    [JaegerSearch("$service", minimum="$longer")],
                    "table",
                    height=12,
                ),
                Panel(
                    "Latest traces",
                    "Of the service.",
                    [JaegerSearch("$service")],
                    "table",
                    width=24,
                    height=12,
                ),
            ),
        ),
    ),
)
