# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every metric that dashboards and alert rules read: who makes it, and why it may not be there.

Tests compare the names with what the programs have: the Collector's and Tempo's are strings in their binaries, the
connectors' arrive in the local cluster's Prometheus.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from tools.dashboards.alerts import PLAN


class Maker(Enum):
    """Who makes a metric. In a cluster without one, none of its metrics is there."""

    COLLECTOR = "the Collector's own telemetry, port 8888 of gateways and samplers"
    CONNECTORS = "the samplers' connectors span_metrics and service_graph, by remote write"
    TEMPO = "Tempo's own telemetry, port 3200"
    TEMPO_2 = "the telemetry of Tempo 2.10, port 3200"
    TEMPO_3 = "the telemetry of Tempo 3, port 3200"
    PROBE = "the periodic probe, by remote write"
    RULES = "the recording rules of the plan, in the file of the alert rules"
    KUBE_STATE_METRICS = "kube-state-metrics, which many clusters have and this collection does not install"


@dataclass(frozen=True)
class Metric:
    """rare: why it may not be there although its maker is."""

    maker: Maker
    rare: str = ""


_FIRST_FAILURE = "a counter that appears with the first failure"
_SOME_COMPACTION = "appears with the first compaction, when there are two blocks of a time window"


def _metrics(maker: Maker, *names: str, rare: str = "") -> dict[str, Metric]:
    return {name: Metric(maker, rare) for name in names}


METRICS = {
    # Collector contrib 0.158: metadata.yaml of its parts. Names without _total, as the roles configure the reader.
    **_metrics(
        Maker.COLLECTOR,
        "otelcol_exporter_queue_capacity",
        "otelcol_exporter_queue_size",
        "otelcol_exporter_sent_spans",
        "otelcol_loadbalancer_backend_latency_bucket",
        "otelcol_loadbalancer_num_backends",
        "otelcol_process_cpu_seconds",
        "otelcol_process_memory_rss",
        "otelcol_process_uptime",
        "otelcol_processor_tail_sampling_count_traces_sampled",
        "otelcol_processor_tail_sampling_global_count_traces_sampled",
        "otelcol_processor_tail_sampling_sampling_decision_timer_latency_bucket",
        "otelcol_processor_tail_sampling_sampling_policy_evaluation_error",
        "otelcol_processor_tail_sampling_sampling_policy_execution_count",
        "otelcol_processor_tail_sampling_sampling_policy_execution_time_sum",
        "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early",
        "otelcol_processor_tail_sampling_sampling_traces_on_memory",
        "otelcol_receiver_accepted_spans",
        "otelcol_receiver_refused_spans",
    ),
    **_metrics(
        Maker.COLLECTOR,
        "otelcol_connector_servicegraph_expired_edges",
        "otelcol_connector_servicegraph_total_edges",
        rare="appears with the first client or server span",
    ),
    **_metrics(
        Maker.COLLECTOR,
        "otelcol_exporter_enqueue_failed_spans",
        "otelcol_exporter_send_failed_spans",
        rare=_FIRST_FAILURE,
    ),
    **_metrics(
        Maker.COLLECTOR,
        "otelcol_processor_tail_sampling_early_releases_from_cache_decision",
        "otelcol_processor_tail_sampling_sampling_late_span_age_bucket",
        "otelcol_processor_tail_sampling_sampling_late_span_age_count",
        rare="appears with the first span that comes after its trace's decision",
    ),
    # connector/spanmetricsconnector and connector/servicegraphconnector, under the names that the collector role gives
    **_metrics(
        Maker.CONNECTORS,
        "traces_service_graph_request_server_seconds_bucket",
        "traces_service_graph_request_total",
        "traces_spanmetrics_calls_total",
        "traces_spanmetrics_latency_bucket",
        "traces_spanmetrics_latency_sum",
        "traces_spanmetrics_sampled_latency_bucket",
    ),
    **_metrics(
        Maker.CONNECTORS, "traces_service_graph_request_failed_total", rare="appears with the first request that fails"
    ),
    # Tempo 2.10 and 3.0: modules/{distributor,ingester,frontend,overrides}, tempodb/; its mixin shows how they are read
    **_metrics(
        Maker.TEMPO,
        "tempo_distributor_bytes_received_total",
        "tempo_distributor_push_duration_seconds_bucket",
        "tempo_distributor_spans_received_total",
        "tempo_receiver_accepted_spans",
        "tempo_request_duration_seconds_bucket",
        "tempo_request_duration_seconds_count",
        "tempodb_backend_request_duration_seconds_bucket",
        "tempodb_backend_request_duration_seconds_count",
        "tempodb_blocklist_length",
    ),
    **_metrics(
        Maker.TEMPO_2,
        "tempo_ingester_blocks_flushed_total",
        "tempo_ingester_failed_flushes_total",
        "tempo_ingester_flush_duration_seconds_bucket",
        "tempo_ingester_flush_failed_retries_total",
        "tempo_ingester_flush_queue_length",
        "tempo_ingester_live_traces",
    ),
    **_metrics(Maker.TEMPO, "tempodb_compaction_errors_total", "tempodb_backend_bytes_total"),
    **_metrics(
        Maker.TEMPO,
        "tempo_discarded_spans_total",
        "tempo_receiver_refused_spans",
        "tempodb_blocklist_poll_errors_total",
        rare=_FIRST_FAILURE,
    ),
    **_metrics(
        Maker.TEMPO,
        "tempodb_compaction_blocks_total",
        "tempodb_compaction_bytes_written_total",
        "tempodb_compaction_outstanding_blocks",
        rare=_SOME_COMPACTION,
    ),
    # Tempo 3.0: modules/{livestore,blockbuilder,backendscheduler}, pkg/ingest
    **_metrics(
        Maker.TEMPO_3,
        "tempo_block_builder_fetch_records_total",
        "tempo_block_builder_flushed_blocks",
        "tempo_block_builder_owned_partitions",
        "tempo_distributor_kafka_write_bytes_total",
        "tempo_distributor_kafka_write_latency_seconds_bucket",
        "tempo_ingest_group_partition_lag",
        "tempo_ingest_group_partition_lag_seconds",
        "tempo_live_store_live_traces",
        "tempo_live_store_local_blocks_flushed_total",
        "tempo_live_store_local_failed_flushes_total",
        "tempo_live_store_partition_owned",
        "tempo_live_store_records_processed_total",
        "tempo_partition_ring_partitions",
    ),
    **_metrics(
        Maker.TEMPO_3,
        "tempo_block_builder_fetch_errors_total",
        "tempo_distributor_produce_failures_total",
        rare=_FIRST_FAILURE,
    ),
    **_metrics(
        Maker.TEMPO_3,
        "tempo_live_store_lagged_requests_total",
        rare="appears with the first answer that may lack spans",
    ),
    **_metrics(
        Maker.TEMPO_3,
        "tempo_backend_scheduler_jobs_active",
        "tempo_backend_scheduler_jobs_completed_total",
        "tempo_backend_scheduler_jobs_created_total",
        rare="appears with the first job",
    ),
    **_metrics(Maker.TEMPO_3, "tempo_backend_scheduler_jobs_failed_total", rare=_FIRST_FAILURE),
    **_metrics(
        Maker.TEMPO_3, "tempo_backend_worker_call_retries_total", rare="appears when a worker first has no job to do"
    ),
    **_metrics(
        Maker.TEMPO,
        "tempo_query_frontend_queries_total",
        "tempo_query_frontend_queries_within_slo_total",
        rare="appears with the first query",
    ),
    **_metrics(Maker.PROBE, "orion_probe_completeness_ratio", "orion_probe_freshness_seconds", "orion_probe_success"),
    **_metrics(Maker.RULES, *PLAN),
    **_metrics(Maker.KUBE_STATE_METRICS, "kube_deployment_status_replicas_available"),
}

# A metric in a query: what Prometheus' own functions and keywords do not look like.
_NAME = re.compile(r"\b(?:otelcol|traces|tempo|tempodb|orion|kube)_[a-z0-9_]+\b(?!:)")


def names(query: str) -> set[str]:
    """The metrics that a PromQL query reads; KeyError for one that is not in METRICS."""
    found = set(_NAME.findall(query))
    if unknown := found - set(METRICS):
        raise KeyError(f"{sorted(unknown)} in {query!r}: not in METRICS")
    return found


def absence(query: str, makers: set[Maker]) -> str:
    """Why a query may have no data where these makers are; "" if it must have some."""
    read = {name: METRICS[name] for name in sorted(names(query))}
    missing = [metric.maker.value for metric in read.values() if metric.maker not in makers]
    rare = [f"{name} {metric.rare}" for name, metric in read.items() if metric.rare]
    return "; ".join(dict.fromkeys([*(f"needs {maker}" for maker in missing), *rare]))
