# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gateways and samplers."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Dashboard, Panel, PromQL, Row

TAIL = "otelcol_processor_tail_sampling"
ACCEPTED = "otelcol_receiver_accepted_spans"

COLLECTOR = Dashboard(
    uid="orion-collector",
    title="Tracing: Collector",
    description="The Collector's two tiers: what they accept and refuse, their queues, and the samplers' decisions.",
    rows=(
        Row(
            "Gateways",
            (
                Panel(
                    "Accepted",
                    "Spans per second by the protocol that brought them.",
                    [
                        PromQL(
                            f"sum by (receiver, transport) ({q.rate(ACCEPTED)} {q.ON_GATEWAYS})",
                            "{{receiver}} {{transport}}",
                        )
                    ],
                    unit="cps",
                    width=8,
                    stacked=True,
                ),
                Panel(
                    "Refused",
                    "Spans per second that a gateway refused because its memory is full; clients may send them again. "
                    "docs/runbooks/TracingSpansRefused.md",
                    [
                        PromQL(
                            f"sum by (instance) ({q.rate('otelcol_receiver_refused_spans')} {q.ON_GATEWAYS})",
                            "{{instance}}",
                        )
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Samplers that a gateway sends to",
                    "Should equal the number of samplers, on every gateway.",
                    [PromQL("otelcol_loadbalancer_num_backends", "{{instance}}")],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Time of a sampler's answer",
                    "The 95th percentile, by sampler.",
                    [
                        PromQL(
                            q.quantile(0.95, "otelcol_loadbalancer_backend_latency_bucket", by="endpoint"),
                            "{{endpoint}}",
                        )
                    ],
                    unit="ms",
                    width=8,
                    empty="nothing was sent in the last minutes, so there are no times",
                ),
                Panel(
                    "Spread over gateways",
                    "Spans per second by gateway: clients with gRPC stay with one for 5 minutes.",
                    [
                        PromQL(
                            f"sum by (instance) ({q.rate(ACCEPTED)} {q.ON_GATEWAYS})",
                            "{{instance}}",
                        )
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Spread over samplers",
                    "Spans per second by sampler: traces are spread by their ids.",
                    [
                        PromQL(
                            f"sum by (instance) ({q.rate(ACCEPTED)} {q.ON_SAMPLERS})",
                            "{{instance}}",
                        )
                    ],
                    unit="cps",
                    width=8,
                ),
            ),
        ),
        Row(
            "Queues and destinations",
            (
                Panel(
                    "Queue used",
                    "Share of each exporter's queue, of the fullest pod. docs/runbooks/TracingQueueFilling.md",
                    [PromQL(q.QUEUE_SHARE, "{{exporter}}")],
                    unit="percentunit",
                    width=8,
                    maximum=1,
                    steps=[(0.5, "orange"), (0.9, "red")],
                ),
                Panel(
                    "Sent",
                    "Spans per second by destination.",
                    [PromQL(q.exported("exporter"), "{{exporter}}")],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Failed",
                    "Spans per second that were not queued, or that a destination refused for good. "
                    "docs/runbooks/TracingExportFailing.md",
                    [
                        PromQL(
                            q.total("otelcol_exporter_enqueue_failed_spans", by="exporter"), "{{exporter}}: not queued"
                        ),
                        PromQL(q.total("otelcol_exporter_send_failed_spans", by="exporter"), "{{exporter}}: refused"),
                    ],
                    unit="cps",
                    width=8,
                ),
            ),
        ),
        Row(
            "Decisions",
            (
                Panel(
                    "Traces kept, by policy",
                    "Traces per second that each policy votes to keep. A trace that several policies keep is counted "
                    "for each of them.",
                    [PromQL(q.total(f"{TAIL}_count_traces_sampled", 'decision="sampled"', "policy"), "{{policy}}")],
                    unit="cps",
                    width=8,
                    stacked=True,
                ),
                Panel(
                    "Traces by decision",
                    "Traces per second: what all policies together decided.",
                    [PromQL(q.total(f"{TAIL}_global_count_traces_sampled", by="decision"), "{{decision}}")],
                    unit="cps",
                    width=8,
                    stacked=True,
                ),
                Panel(
                    "Undecided traces",
                    "Traces in memory by sampler. collector_num_traces is the most there can be.",
                    [PromQL(f"{TAIL}_sampling_traces_on_memory", "{{instance}}")],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Late spans",
                    "Spans per second that came after their trace's decision, and that found it in the cache. "
                    "docs/runbooks/TracingLateSpans.md",
                    [
                        PromQL(q.late(), "late"),
                        PromQL(
                            q.total(f"{TAIL}_early_releases_from_cache_decision", by="sampled"),
                            "decided by the cache, sampled: {{sampled}}",
                        ),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "How late",
                    "The 95th percentile of the time from a decision to a span that came after it.",
                    [PromQL(q.quantile(0.95, f"{TAIL}_sampling_late_span_age_bucket"), "p95")],
                    unit="s",
                    width=8,
                ),
                Panel(
                    "Dropped too early",
                    "Traces per second that left memory before their decision: there were more than "
                    "collector_num_traces. docs/runbooks/TracingTracesDroppedTooEarly.md",
                    [
                        PromQL(
                            f"sum by (instance) ({q.rate(f'{TAIL}_sampling_trace_dropped_too_early')})", "{{instance}}"
                        )
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Time of a decision run",
                    "The 95th percentile; a run of more than a second delays the next one.",
                    [PromQL(q.quantile(0.95, f"{TAIL}_sampling_decision_timer_latency_bucket"), "p95")],
                    unit="ms",
                    width=8,
                    steps=[(1000, "red")],
                ),
                Panel(
                    "Time of each policy",
                    "Microseconds for one trace, on average.",
                    [
                        PromQL(
                            f"{q.total(f'{TAIL}_sampling_policy_execution_time_sum', by='policy')} / "
                            f"{q.total(f'{TAIL}_sampling_policy_execution_count', by='policy')}",
                            "{{policy}}",
                        )
                    ],
                    unit="µs",
                    width=8,
                ),
                Panel(
                    "Policy errors",
                    "Policies that failed to evaluate a trace: see the samplers' logs.",
                    [PromQL(q.total(f"{TAIL}_sampling_policy_evaluation_error"), "errors")],
                    unit="cps",
                    width=8,
                ),
            ),
        ),
        Row(
            "Service graph",
            (
                Panel(
                    "Edges",
                    "Edges per second that were completed, and that expired: the other side's span did not come within "
                    "10 seconds, or there is none.",
                    [
                        PromQL(q.total("otelcol_connector_servicegraph_total_edges"), "all"),
                        PromQL(q.total("otelcol_connector_servicegraph_expired_edges"), "expired"),
                    ],
                    unit="cps",
                ),
            ),
        ),
        Row(
            "Pods",
            (
                Panel(
                    "Memory",
                    "Resident memory by pod. New spans are refused at 65 % of the limit.",
                    [PromQL("otelcol_process_memory_rss", "{{instance}}")],
                    unit="bytes",
                    width=8,
                ),
                Panel(
                    "Processors",
                    "Cores in use, by pod.",
                    [PromQL(q.rate("otelcol_process_cpu_seconds"), "{{instance}}")],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Time since the start",
                    "A pod that starts again and again is at the bottom.",
                    [PromQL("otelcol_process_uptime", "{{instance}}")],
                    unit="s",
                    width=8,
                ),
            ),
        ),
    ),
)
