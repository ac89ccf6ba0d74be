# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast services use up their error budget."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Column, Dashboard, Panel, PromQL, Row, Variable, to_dashboard
from tools.dashboards.red import CALLS, QUIET, SERVICE, errors

CHOSEN = f'{q.ENTRY}, service=~"$service"'
BUCKET = "traces_spanmetrics_latency_bucket"
BUDGET = "(1 - $objective / 100)"
# Window, and the burn rate at which a page is due: a fiftieth, a twentieth and a tenth of a month's budget.
# https://sre.google/workbook/alerting-on-slos/
WINDOWS = (("5m", 14.4), ("1h", 14.4), ("6h", 6.0), ("1d", 3.0))
FAST = [(1, "orange"), (14.4, "red")]


def slow(by: str, window: str) -> str:
    """The share of the requests that took longer than the chosen time."""
    every = q.total(BUCKET, f'{CHOSEN}, le="+Inf"', by, window)
    return f"1 - {q.total(BUCKET, f'{CHOSEN}, le="$seconds"', by, window)} / ({every} > 0)"


SLO = Dashboard(
    uid="orion-slo",
    title="Tracing: SLO burn",
    description="Error budget of each service, from all spans before sampling. A burn rate of 1 uses up the budget "
    "exactly at the end of the objective's period; at 14.4 a month's budget is gone in two days.",
    hours=6,
    variables=(
        SERVICE,
        Variable("objective", "Objective, %", values=("99.9", "99", "99.5", "99.95", "99.99")),
        Variable("seconds", "Good is faster than, s", values=("1", "0.1", "0.25", "0.5", "2.5", "5")),
    ),
    rows=(
        Row(
            "Availability",
            (
                Panel(
                    "Burn rate",
                    "By service and window. Red: page somebody. Over 1: look at it in office hours.",
                    [
                        PromQL(f"{errors(CHOSEN, 'service', window)} / {BUDGET}", ref=window)
                        for window, _page in WINDOWS
                    ],
                    "table",
                    width=14,
                    steps=FAST,
                    sort_by="1h",
                    columns=[
                        Column(
                            "service", "Service", link=to_dashboard("orion-red", service="${__data.fields.Service}")
                        ),
                        *(Column(window, window) for window, _page in WINDOWS),
                    ],
                ),
                Panel(
                    "Budget left",
                    "In the chosen time: 100 % is untouched, below 0 the objective is missed.",
                    [PromQL(f"1 - {errors(CHOSEN, 'service', '$__range')} / {BUDGET}", "{{service}}")],
                    "bargauge",
                    "percentunit",
                    width=10,
                    minimum=-1,
                    maximum=1,
                    steps=[],
                ),
                Panel(
                    "Burn rate over time, 1 hour",
                    "Of each service.",
                    [PromQL(f"{errors(CHOSEN, 'service', '1h')} / {BUDGET}", "{{service}}")],
                    steps=FAST,
                    empty=QUIET,
                ),
                Panel(
                    "Burn rate over time, 5 minutes",
                    "Of each service: it falls soon after a problem has ended.",
                    [PromQL(f"{errors(CHOSEN, 'service', '5m')} / {BUDGET}", "{{service}}")],
                    steps=FAST,
                    empty=QUIET,
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    "Slow requests",
                    "Share of the requests that took longer than the chosen time, in an hour.",
                    [PromQL(slow("service", "1h"), "{{service}}")],
                    unit="percentunit",
                    empty=QUIET,
                ),
                Panel(
                    "Burn rate of slow requests, 1 hour",
                    "With the same objective.",
                    [PromQL(f"({slow('service', '1h')}) / {BUDGET}", "{{service}}")],
                    steps=FAST,
                    empty=QUIET,
                ),
            ),
        ),
        Row(
            "Traffic",
            (
                Panel(
                    "Requests",
                    "Per second: of few requests, one failure is a high burn rate.",
                    [PromQL(q.total(CALLS, CHOSEN, "service"), "{{service}}")],
                    unit="reqps",
                    width=24,
                ),
            ),
        ),
    ),
)
