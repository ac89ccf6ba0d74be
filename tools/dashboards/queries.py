# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PromQL that dashboards and alert rules share. window: of rates; dashboards leave it to Grafana.

Gateways and samplers are told apart by what only one of them has, not by labels, which differ between Prometheus'
configurations.
"""

from __future__ import annotations

WINDOW = "$__rate_interval"
# Of spans that somebody asked for; the others are what those requests did.
ENTRY = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
ERROR = 'status_code="STATUS_CODE_ERROR"'
ON_GATEWAYS = "and on (instance) otelcol_loadbalancer_num_backends"
ON_SAMPLERS = "and on (instance) otelcol_processor_tail_sampling_sampling_traces_on_memory"
# Exporters of traces that leave the platform
DESTINATIONS = 'exporter!="load_balancing"'
SECONDS_PER_DAY = 86400
GIBIBYTE = 1024**3
DAYS_PER_MONTH = 730.5 / 24


def rate(metric: str, selector: str = "", window: str = WINDOW) -> str:
    return f"rate({metric}{{{selector}}}[{window}])" if selector else f"rate({metric}[{window}])"


def total(metric: str, selector: str = "", by: str = "", window: str = WINDOW) -> str:
    """The sum of a counter's rates."""
    return f"sum{f' by ({by}) ' if by else ' '}({rate(metric, selector, window)})".replace("sum (", "sum(")


def zero(query: str) -> str:
    """0 where the query has no series: counters of failures appear with the first failure."""
    return f"({query}) or vector(0)"


def quantile(share: float, histogram: str, selector: str = "", by: str = "", window: str = WINDOW) -> str:
    """histogram: with _bucket."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, {total(histogram, selector, labels, window)})"


def received(window: str = WINDOW) -> str:
    """Spans per second that the gateways have accepted."""
    return f"sum({rate('otelcol_receiver_accepted_spans', '', window)} {ON_GATEWAYS})"


def refused(window: str = WINDOW) -> str:
    """Spans per second that the gateways have refused: their memory is full."""
    return f"sum({rate('otelcol_receiver_refused_spans', '', window)} {ON_GATEWAYS})"


def at_samplers(window: str = WINDOW) -> str:
    """Spans per second that the samplers have accepted."""
    return f"sum({rate('otelcol_receiver_accepted_spans', '', window)} {ON_SAMPLERS})"


def exported(by: str = "", window: str = WINDOW) -> str:
    """Spans per second that destinations have taken."""
    return total("otelcol_exporter_sent_spans", DESTINATIONS, by, window)


def lost(window: str = WINDOW) -> str:
    """Spans per second that were lost between tiers and destinations. A trace that was dropped before its decision is
    not among them: its spans may still be exported one by one."""
    return (
        f"({zero(total('otelcol_exporter_send_failed_spans', window=window))})"
        f" + ({zero(total('otelcol_exporter_enqueue_failed_spans', window=window))})"
        f" + ({zero(refused(window))})"
    )


def late(window: str = WINDOW) -> str:
    """Spans per second that came after their trace's decision."""
    return total("otelcol_processor_tail_sampling_sampling_late_span_age_count", window=window)


def dropped_too_early(window: str = WINDOW) -> str:
    """Traces per second that left the samplers' memory before their decision."""
    return total("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early", window=window)


QUEUE_SHARE = "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)"
# Seconds that the queue would take at the present rate, with nothing more coming in.
QUEUE_SECONDS = (
    'sum by (exporter) (otelcol_exporter_queue_size{data_type="traces"})'
    f" / (sum by (exporter) ({rate('otelcol_exporter_sent_spans')}) > 0)"
)

# Blocks that wait for compaction, for each compactor: 2.10's, which all say how many wait, or 3.0's workers, for which
# the scheduler says it.
OUTSTANDING = (
    "sum by (tenant) (tempodb_compaction_outstanding_blocks) / on () group_left () "
    "(count(tempo_backend_worker_call_retries_total)"
    " or count(count by (instance) (tempodb_compaction_outstanding_blocks)))"
)


# Of each partition and group of readers, seconds. Live-stores and generators keep the last figure when nothing more
# comes; block-builders set theirs to 0. So only a reader that still has something to read counts.
# Source: modules/livestore/live_store.go, modules/generator/generator_kafka.go, modules/blockbuilder of Tempo 3.0.3
PARTITION_LAG = (
    "max by (group, partition) ("
    "tempo_ingest_group_partition_lag_seconds and on (instance, group, partition) tempo_ingest_group_partition_lag > 0"
    " or tempo_ingest_group_partition_lag_seconds and on (instance) "
    "sum by (instance) (rate(tempo_live_store_records_processed_total[10m])) > 0)"
)
PARTITIONS = (
    'sum(max by (state) (tempo_partition_ring_partitions{name="livestore-partitions", state=~"Active|Inactive"}))'
)


def read_partitions(owned: str) -> str:
    """How many partitions have a reader. owned: its metric. 0 where no reader runs."""
    return zero(f"count(max by (partition) ({owned}) > 0)")


def unread_partitions() -> str:
    """Partitions that distributors write to and that no live-store, or no block-builder, reads; not of one instance,
    which does without Kafka."""
    readers = {
        "live-store": "tempo_live_store_partition_owned",
        "block-builder": "tempo_block_builder_owned_partitions",
    }
    each = (
        f'label_replace({PARTITIONS} - ({read_partitions(owned)}), "reader", "{reader}", "", "")'
        for reader, owned in readers.items()
    )
    return f"({' or '.join(each)}) and on () count(tempo_distributor_kafka_write_bytes_total)"


def blocks_not_written(window: str = "30m") -> str:
    """Records per second of each block-builder that reads and writes no block."""
    fetched, flushed = (
        total(f"tempo_block_builder_{metric}", by="instance", window=window)
        for metric in ("fetch_records_total", "flushed_blocks")
    )
    return f"{fetched} > 0 unless on (instance) {flushed} > 0"


def failed_jobs(window: str = WINDOW) -> str:
    """The share of the backend-scheduler's jobs that failed, by type."""
    failed, created = (
        total(f"tempo_backend_scheduler_jobs_{what}_total", by="job_type", window=window)
        for what in ("failed", "created")
    )
    return f"{failed} / ({created} > 0)"


def s3_errors(window: str = WINDOW) -> str:
    """The share of Tempo's requests to the bucket that failed, by operation. 404 is a question, not a failure."""
    failed = total("tempodb_backend_request_duration_seconds_count", 'status_code=~"5..|403|429"', "operation", window)
    return f"{failed} / {total('tempodb_backend_request_duration_seconds_count', '', 'operation', window)}"


def bucket_cost(storage: str, put: str, get: str, window: str = "1h") -> str:
    """USD per day for what the bucket holds and for requests to it, at these prices: a GiB and month, 1,000 requests.

    Each compactor reports all of the bucket, hence the maximum.
    """
    held = f"sum(max by (tenant, status) (tempodb_backend_bytes_total)) / {GIBIBYTE} * {storage} / {DAYS_PER_MONTH:g}"
    requests = "tempodb_backend_request_duration_seconds_count"
    puts = zero(total(requests, 'operation=~"PUT|POST"', window=window))
    gets = zero(total(requests, 'operation=~"GET|HEAD"', window=window))
    return f"{held} + ({puts}) * {SECONDS_PER_DAY} / 1000 * {put} + ({gets}) * {SECONDS_PER_DAY} / 1000 * {get}"
