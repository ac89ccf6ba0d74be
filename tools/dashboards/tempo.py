# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tempo: write, read, compaction, bucket."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Dashboard, Panel, PromQL, Row

S3 = "tempodb_backend_request_duration_seconds"

TEMPO = Dashboard(
    uid="orion-tempo",
    title="Tracing: Tempo",
    description="What Tempo writes, reads and compacts, and its requests to the bucket.",
    rows=(
        Row(
            "Write",
            (
                Panel(
                    "Spans received",
                    "Spans per second that distributors accept and refuse.",
                    [
                        PromQL(q.total("tempo_receiver_accepted_spans"), "accepted"),
                        PromQL(q.zero(q.total("tempo_receiver_refused_spans")), "refused"),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Bytes received",
                    "Bytes per second by tenant; tempo_ingestion_rate_limit_bytes is the limit.",
                    [PromQL(q.total("tempo_distributor_bytes_received_total", by="tenant"), "{{tenant}}")],
                    unit="Bps",
                    width=8,
                    stacked=True,
                ),
                Panel(
                    "Spans discarded",
                    "Spans per second by reason: a limit of the tenant, such as live_traces_exceeded.",
                    [PromQL(q.total("tempo_discarded_spans_total", by="reason, tenant"), "{{reason}} {{tenant}}")],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Time of a push",
                    "From a distributor to the ingesters.",
                    [
                        PromQL(q.quantile(share, "tempo_distributor_push_duration_seconds_bucket"), f"p{share * 100:g}")
                        for share in (0.5, 0.95)
                    ],
                    unit="s",
                    width=8,
                ),
                Panel(
                    "Live traces",
                    "Traces that ingesters have in memory, by tenant.",
                    [PromQL("sum by (tenant) (tempo_ingester_live_traces)", "{{tenant}}")],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Flushes",
                    "Blocks per second that were written to the bucket, and that failed. "
                    "docs/runbooks/TracingIngesterFlushFailing.md",
                    [
                        PromQL(q.total("tempo_ingester_blocks_flushed_total"), "flushed"),
                        PromQL(q.total("tempo_ingester_failed_flushes_total"), "failed"),
                        PromQL(q.total("tempo_ingester_flush_failed_retries_total"), "failed again"),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Time of a flush",
                    "The 95th percentile.",
                    [PromQL(q.quantile(0.95, "tempo_ingester_flush_duration_seconds_bucket"), "p95")],
                    unit="s",
                    width=8,
                    empty="no block was flushed in the last minutes",
                ),
                Panel(
                    "Blocks that wait for a flush",
                    "By ingester. It should go back to 0.",
                    [PromQL("tempo_ingester_flush_queue_length", "{{instance}}")],
                    unit="none",
                    width=8,
                ),
            ),
        ),
        Row(
            "Read",
            (
                Panel(
                    "Queries",
                    "Queries per second by kind, at the query-frontend.",
                    [PromQL(q.total("tempo_query_frontend_queries_total", by="op"), "{{op}}")],
                    unit="reqps",
                    width=8,
                ),
                Panel(
                    "Queries that took too long",
                    "Share of the queries outside of Tempo's own objective, by kind.",
                    [
                        PromQL(
                            f"1 - {q.total('tempo_query_frontend_queries_within_slo_total', by='op')} / "
                            f"{q.total('tempo_query_frontend_queries_total', by='op')}",
                            "{{op}}",
                        )
                    ],
                    unit="percentunit",
                    width=8,
                ),
                Panel(
                    "Time of a query",
                    "The 95th percentile by route of the API.",
                    [
                        PromQL(
                            q.quantile(0.95, "tempo_request_duration_seconds_bucket", 'route=~"api_.*"', "route"),
                            "{{route}}",
                        )
                    ],
                    unit="s",
                    width=8,
                    empty="nothing was asked in the last minutes",
                ),
                Panel(
                    "Answers by status",
                    "Requests per second to the API.",
                    [
                        PromQL(
                            q.total("tempo_request_duration_seconds_count", 'route=~"api_.*"', "status_code"),
                            "{{status_code}}",
                        )
                    ],
                    unit="reqps",
                    width=8,
                    stacked=True,
                    empty="nothing was asked yet",
                ),
            ),
        ),
        Row(
            "Compaction and bucket",
            (
                Panel(
                    "Blocks",
                    "Blocks in the bucket, by tenant. Searches take longer the more there are.",
                    [PromQL("max by (tenant) (tempodb_blocklist_length)", "{{tenant}}")],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Blocks that wait for compaction",
                    "For each compactor, by tenant. docs/runbooks/TracingCompactionBehind.md",
                    [PromQL(q.OUTSTANDING, "{{tenant}}")],
                    unit="none",
                    width=8,
                    steps=[(100, "orange")],
                ),
                Panel(
                    "Compaction",
                    "Blocks per second by level, and errors.",
                    [
                        PromQL(q.total("tempodb_compaction_blocks_total", by="level"), "level {{level}}"),
                        PromQL(q.total("tempodb_compaction_errors_total"), "errors"),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Requests to the bucket",
                    "Per second, by operation and status.",
                    [PromQL(q.total(f"{S3}_count", by="operation, status_code"), "{{operation}} {{status_code}}")],
                    unit="reqps",
                    width=8,
                ),
                Panel(
                    "Requests to the bucket that fail",
                    "Share of the answers that are 5xx, 403 or 429, by operation. docs/runbooks/TracingS3Errors.md",
                    [PromQL(f"({q.s3_errors()}) or 0 * {q.total(f'{S3}_count', by='operation')}", "{{operation}}")],
                    unit="percentunit",
                    width=8,
                    steps=[(0.01, "red")],
                ),
                Panel(
                    "Time of a request to the bucket",
                    "The 95th percentile by operation.",
                    [PromQL(q.quantile(0.95, f"{S3}_bucket", by="operation"), "{{operation}}")],
                    unit="s",
                    width=8,
                ),
                Panel(
                    "Failed polls of the block list",
                    "Per second. Without a list, queries miss new blocks.",
                    [PromQL(q.zero(q.total("tempodb_blocklist_poll_errors_total")), "errors")],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Bytes written by compaction",
                    "Per second, by level.",
                    [PromQL(q.total("tempodb_compaction_bytes_written_total", by="level"), "level {{level}}")],
                    unit="Bps",
                    width=8,
                ),
                Panel(
                    "Bytes in the bucket",
                    "By status of the block; compacted ones are deleted after an hour.",
                    [PromQL("sum by (status) (max by (tenant, status) (tempodb_backend_bytes_total))", "{{status}}")],
                    unit="bytes",
                    width=8,
                    stacked=True,
                ),
            ),
        ),
    ),
)
