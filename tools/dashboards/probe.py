# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The periodic probe: traces sent, and read back from the store."""

from __future__ import annotations

from tools.dashboards.builder import Dashboard, Panel, PromQL, Row

# The probe sends its result when it ends, so between two runs the last one counts.
LAST = "last_over_time({}[1h])"
SUCCESS, FRESHNESS, COMPLETENESS = (
    LAST.format(f"orion_probe_{name}") for name in ("success", "freshness_seconds", "completeness_ratio")
)

PROBE = Dashboard(
    uid="orion-probe",
    title="Tracing: end-to-end probe",
    description="The proof of playbooks/verify.yml, run periodically in the cluster: traces are sent to the gateways "
    "and read back from the store.",
    hours=24,
    rows=(
        Row(
            "Now",
            (
                Panel(
                    "Last run",
                    "1: every check passed. 0: docs/runbooks/TracingProbeFailing.md",
                    [PromQL(f"min({SUCCESS})")],
                    "stat",
                    "none",
                    width=6,
                    height=5,
                    steps=[],
                ),
                Panel(
                    "Freshness",
                    "Seconds from sending a trace until it could be read.",
                    [PromQL(f"max({FRESHNESS})")],
                    "stat",
                    "s",
                    width=6,
                    height=5,
                    steps=[(60, "orange")],
                ),
                Panel(
                    "Completeness",
                    "Share of the spans that should be kept and were found.",
                    [PromQL(f"min({COMPLETENESS})")],
                    "stat",
                    "percentunit",
                    width=6,
                    height=5,
                    steps=[],
                ),
                Panel(
                    "Runs that passed",
                    "Share, in the chosen time.",
                    [PromQL("avg(avg_over_time(orion_probe_success[$__range]))", now=True)],
                    "stat",
                    "percentunit",
                    width=6,
                    height=5,
                    steps=[],
                ),
            ),
        ),
        Row(
            "Over time",
            (
                Panel(
                    "Success",
                    "1 where every check passed.",
                    [PromQL(SUCCESS, "success")],
                    unit="none",
                    maximum=1,
                    width=8,
                ),
                Panel(
                    "Freshness",
                    "With the decision wait and the agents' batches in it.",
                    [PromQL(FRESHNESS, "seconds")],
                    unit="s",
                    width=8,
                ),
                Panel(
                    "Completeness",
                    "Below 1: spans were lost on the way.",
                    [PromQL(COMPLETENESS, "ratio")],
                    unit="percentunit",
                    maximum=1,
                    width=8,
                ),
            ),
        ),
    ),
)
