# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole path of a span, on one page."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Constant, Dashboard, Panel, PromQL, Row, to_dashboard

# roles/grafana fills them in from the plan of the inventory: module_utils/grafana/content.py. Here: of the defaults.
CONSTANTS = (
    Constant("plan_received_spans", 20000),
    Constant("plan_kept_spans", 5000),
    Constant("plan_bucket_usd", 1.57),
    Constant("price_storage", 0.023),
    Constant("price_put", 0.005),
    Constant("price_get", 0.0004),
)
SAMPLED = 'sampled="true"'
COLLECTOR = ("Collector", to_dashboard("orion-collector"))

OVERVIEW = Dashboard(
    uid="orion-overview",
    title="Tracing: overview",
    description="From the gateways to the bucket: what arrives, what is kept, what is lost, how fresh it is, its cost.",
    constants=CONSTANTS,
    rows=(
        Row(
            "Now",
            (
                Panel(
                    "Received",
                    "Spans per second that the gateways accept. 0: docs/runbooks/TracingNoSpans.md",
                    [PromQL(q.zero(q.received()))],
                    "stat",
                    "cps",
                    width=4,
                    height=4,
                    link=COLLECTOR,
                ),
                Panel(
                    "Kept",
                    "Of the decided traces, the share that a policy keeps.",
                    [
                        PromQL(
                            f"{q.total('otelcol_processor_tail_sampling_global_count_traces_sampled', SAMPLED)} / "
                            f"{q.total('otelcol_processor_tail_sampling_global_count_traces_sampled')}"
                        )
                    ],
                    "stat",
                    "percentunit",
                    width=4,
                    height=4,
                    link=COLLECTOR,
                    empty="no trace was decided in the last minutes, so there is no share",
                ),
                Panel(
                    "Lost",
                    "Spans per second that were refused, or failed to be queued or sent. Should be 0.",
                    [PromQL(q.lost())],
                    "stat",
                    "cps",
                    width=4,
                    height=4,
                    steps=[(0.001, "red")],
                    link=COLLECTOR,
                ),
                Panel(
                    "Late",
                    "Share of the spans at the samplers that came after their trace's decision.",
                    [PromQL(f"({q.zero(q.late())}) / ({q.at_samplers()} > 0)")],
                    "stat",
                    "percentunit",
                    width=4,
                    height=4,
                    steps=[(0.01, "orange")],
                    link=COLLECTOR,
                    empty="no span reached a sampler in the last minutes, so there is no share",
                ),
                Panel(
                    "Freshness",
                    "Seconds from sending a trace to reading it back, by the periodic probe.",
                    [PromQL("max(last_over_time(orion_probe_freshness_seconds[1h]))")],
                    "stat",
                    "s",
                    width=4,
                    height=4,
                    steps=[(60, "orange")],
                    link=("Probe", to_dashboard("orion-probe")),
                ),
                Panel(
                    "S3 errors",
                    "Share of Tempo's requests to the bucket that fail. docs/runbooks/TracingS3Errors.md",
                    [PromQL(f"max({q.s3_errors()}) or vector(0)")],
                    "stat",
                    "percentunit",
                    width=4,
                    height=4,
                    steps=[(0.01, "red")],
                    link=("Tempo", to_dashboard("orion-tempo")),
                ),
            ),
        ),
        Row(
            "Received, decided, exported, stored",
            (
                Panel(
                    "Spans",
                    "Samplers get what gateways accept, destinations what is kept. A widening gap is a queue that "
                    "fills, or a loss.",
                    [
                        PromQL(q.received(), "accepted by gateways"),
                        PromQL(q.at_samplers(), "accepted by samplers"),
                        PromQL(q.exported("exporter"), "taken by {{exporter}}"),
                        PromQL(q.total("tempo_distributor_spans_received_total"), "stored in Tempo"),
                    ],
                    unit="cps",
                    width=16,
                    link=COLLECTOR,
                ),
                Panel(
                    "Traces by decision",
                    "Traces per second that the samplers have decided.",
                    [
                        PromQL(
                            q.total("otelcol_processor_tail_sampling_global_count_traces_sampled", by="decision"),
                            "{{decision}}",
                        )
                    ],
                    unit="cps",
                    width=8,
                    stacked=True,
                    link=COLLECTOR,
                ),
                Panel(
                    "Losses",
                    "Spans per second by where they were lost. Should be 0 everywhere.",
                    [
                        PromQL(q.zero(q.refused()), "refused by gateways: memory"),
                        PromQL(
                            q.zero(q.total("otelcol_exporter_enqueue_failed_spans")), "not queued: the queue was full"
                        ),
                        PromQL(q.zero(q.total("otelcol_exporter_send_failed_spans")), "refused by a destination"),
                        PromQL(
                            q.zero(q.total("tempo_discarded_spans_total")), "discarded by Tempo: a limit of the tenant"
                        ),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Backlog",
                    "Seconds that each queue would take to empty. It grows while a destination is away.",
                    [PromQL(q.QUEUE_SECONDS, "{{exporter}}")],
                    unit="s",
                    width=8,
                    empty="nothing was sent in the last minutes, so there is no rate to divide by",
                ),
                Panel(
                    "Decisions that were missed",
                    "Traces that left memory before their decision, and spans that came after it. "
                    "docs/runbooks/TracingTracesDroppedTooEarly.md, docs/runbooks/TracingLateSpans.md",
                    [
                        PromQL(q.zero(q.dropped_too_early()), "traces dropped too early"),
                        PromQL(q.zero(q.late()), "late spans"),
                    ],
                    unit="cps",
                    width=8,
                ),
            ),
        ),
        Row(
            "Against the plan",
            (
                Panel(
                    "Load",
                    "Spans per second, and what the inventory plans for: playbooks/plan.yml, docs/capacity.md",
                    [
                        PromQL(q.zero(q.received()), "received"),
                        PromQL("vector($plan_received_spans)", "planned to be received"),
                        PromQL(q.zero(q.exported()), "exported, all destinations"),
                        PromQL("vector($plan_kept_spans)", "planned to be kept"),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Bucket, USD per day",
                    "What the bucket holds and requests to it, at the planner's prices; compute and volumes do not "
                    "depend on the load. Over the plan: docs/runbooks/TracingCostOverPlan.md",
                    [
                        PromQL(q.bucket_cost("$price_storage", "$price_put", "$price_get"), "actual"),
                        PromQL("vector($plan_bucket_usd)", "planned"),
                    ],
                    unit="currencyUSD",
                    width=8,
                ),
                Panel(
                    "Bucket",
                    "Bytes that Tempo has in the bucket; compacted blocks are deleted after an hour.",
                    [PromQL("sum by (status) (max by (tenant, status) (tempodb_backend_bytes_total))", "{{status}}")],
                    unit="bytes",
                    width=8,
                    stacked=True,
                ),
            ),
        ),
    ),
)
