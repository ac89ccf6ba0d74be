# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tempo: write, read, compaction, bucket; one dashboard of two forms, for Tempo 2.10 and for Tempo 3."""

from __future__ import annotations

from tools.dashboards import queries as q
from tools.dashboards.builder import Dashboard, Panel, PromQL, Row

S3 = "tempodb_backend_request_duration_seconds"

ACCEPTED = (
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
)


def pushes(where: str) -> Panel:
    """where: distributors write to."""
    return Panel(
        "Time of a push",
        f"From a distributor to {where}.",
        [
            PromQL(q.quantile(share, "tempo_distributor_push_duration_seconds_bucket"), f"p{share * 100:g}")
            for share in (0.5, 0.95)
        ],
        unit="s",
        width=8,
    )


READ = Row(
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
)
BLOCKS = Panel(
    "Blocks",
    "Blocks in the bucket, by tenant. Searches take longer the more there are.",
    [PromQL("max by (tenant) (tempodb_blocklist_length)", "{{tenant}}")],
    unit="none",
    width=8,
)
WAITING = Panel(
    "Blocks that wait for compaction",
    "For each compactor or backend-worker, by tenant. docs/runbooks/TracingCompactionBehind.md",
    [PromQL(q.OUTSTANDING, "{{tenant}}")],
    unit="none",
    width=8,
    steps=[(100, "orange")],
)
BUCKET = (
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
)
UID, TITLE = "orion-tempo", "Tracing: Tempo"

TEMPO = Dashboard(
    uid=UID,
    title=TITLE,
    description="What Tempo writes, reads and compacts, and its requests to the bucket.",
    rows=(
        Row(
            "Write",
            (
                *ACCEPTED,
                pushes("the ingesters"),
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
        READ,
        Row(
            "Compaction and bucket",
            (
                BLOCKS,
                WAITING,
                *BUCKET,
            ),
        ),
    ),
)

TEMPO_3 = Dashboard(
    uid=UID,
    form="-3",
    title=TITLE,
    description="What Tempo writes to Kafka and to the bucket, reads and compacts, and its requests to the bucket.",
    rows=(
        Row(
            "Write",
            (
                *ACCEPTED,
                pushes("Kafka, or with one instance to its live-store"),
                Panel(
                    "Time of a write to Kafka",
                    "The 95th percentile.",
                    [PromQL(q.quantile(0.95, "tempo_distributor_kafka_write_latency_seconds_bucket"), "p95")],
                    unit="s",
                    width=8,
                    empty="one instance does without Kafka",
                ),
                Panel(
                    "Failed writes to Kafka",
                    "Records per second, by reason. docs/runbooks/TracingKafkaWritesFailing.md",
                    [PromQL(q.total("tempo_distributor_produce_failures_total", by="reason"), "{{reason}}")],
                    unit="cps",
                    width=8,
                ),
            ),
        ),
        Row(
            "Kafka's readers",
            (
                Panel(
                    "Lag",
                    "Seconds from the write of a record to its reading, by group of readers and partition. "
                    "docs/runbooks/TracingPartitionLag.md",
                    [PromQL(q.PARTITION_LAG, "{{group}} {{partition}}")],
                    unit="s",
                    width=8,
                    steps=[(900, "orange")],
                    empty="nothing is left to be read, or one instance does without Kafka",
                ),
                Panel(
                    "Partitions",
                    "Those in Tempo's ring, and those that have a reader. docs/runbooks/TracingPartitionUnread.md",
                    [
                        PromQL(q.PARTITIONS, "in the ring"),
                        PromQL(q.read_partitions("tempo_live_store_partition_owned"), "read by live-stores"),
                        PromQL(q.read_partitions("tempo_block_builder_owned_partitions"), "read by block-builders"),
                    ],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Live traces",
                    "Traces that live-stores have in memory, by tenant.",
                    [PromQL("sum by (tenant) (tempo_live_store_live_traces)", "{{tenant}}")],
                    unit="none",
                    width=8,
                ),
                Panel(
                    "Blocks written",
                    "Per second, to the bucket; and failures. One instance writes them itself. "
                    "docs/runbooks/TracingBlocksNotWritten.md, docs/runbooks/TracingIngesterFlushFailing.md",
                    [
                        PromQL(q.total("tempo_block_builder_flushed_blocks"), "by block-builders"),
                        PromQL(q.total("tempo_live_store_local_blocks_flushed_total"), "by one instance"),
                        PromQL(q.total("tempo_live_store_local_failed_flushes_total"), "failed, of one instance"),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Failed reads of block-builders",
                    "Per second, by partition. They are tried again.",
                    [PromQL(q.total("tempo_block_builder_fetch_errors_total", by="partition"), "{{partition}}")],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Answers that may lack new spans",
                    "Requests per second to live-stores that were behind, by route.",
                    [PromQL(q.total("tempo_live_store_lagged_requests_total", by="route"), "{{route}}")],
                    unit="reqps",
                    width=8,
                ),
            ),
        ),
        READ,
        Row(
            "Compaction and bucket",
            (
                BLOCKS,
                WAITING,
                Panel(
                    "Jobs",
                    "Jobs per second that the backend-scheduler gives to workers, by type: compaction, retention.",
                    [
                        PromQL(q.total("tempo_backend_scheduler_jobs_completed_total", by="job_type"), "{{job_type}}"),
                        PromQL(
                            q.total("tempo_backend_scheduler_jobs_failed_total", by="job_type"), "{{job_type}}, failed"
                        ),
                    ],
                    unit="cps",
                    width=8,
                ),
                Panel(
                    "Jobs that fail",
                    "Share of the jobs of a type. docs/runbooks/TracingBackendJobsFailing.md",
                    [
                        PromQL(
                            f"({q.failed_jobs()}) or 0 * "
                            f"{q.total('tempo_backend_scheduler_jobs_created_total', by='job_type')}",
                            "{{job_type}}",
                        )
                    ],
                    unit="percentunit",
                    width=8,
                    steps=[(0.1, "orange")],
                ),
                Panel(
                    "Jobs in work",
                    "By type.",
                    [PromQL("sum by (job_type) (tempo_backend_scheduler_jobs_active)", "{{job_type}}")],
                    unit="none",
                    width=8,
                ),
                *BUCKET,
            ),
        ),
    ),
)
