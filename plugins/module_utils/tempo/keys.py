# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The keys of tempo.yaml that Tempo 2.10 accepts. Pure: no I/O, no Ansible.

Tempo parses its configuration strictly: it refuses to start for a key that it does not define. The table was made by
asking Tempo 2.10.8 (-config.verify) about every name that its source declares as a key, at every place.
tests/unit/charts/test_tempo_configs.py compares the two.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error

Tree = dict[str, Any]

# A key, and in braces the keys below it. Without braces it takes a scalar or a list, or keys that are not listed here:
# those of overrides exist in two spellings, those of a receiver belong to the collector.
_TEXT = """
auth_enabled backend_scheduler { backend_flush_interval job_timeout local_work_path maintenance_interval provider {
compaction { compaction { block_retention compacted_block_retention compaction_cycle compaction_window max_block_bytes
max_compaction_objects max_time_per_tenant retention_concurrency v2_in_buffer_bytes v2_out_buffer_bytes
v2_prefetch_traces_count } max_compaction_level max_input_blocks max_jobs_per_tenant measure_interval
min_cycle_interval min_input_blocks } retention { interval } } work { dead_job_timeout prune_age } }
backend_scheduler_client { grpc_client_config { backoff_config { max_period max_retries min_period }
backoff_on_ratelimits cluster_validation { label } connect_backoff_base_delay connect_backoff_max_delay
connect_timeout grpc_compression initial_connection_window_size initial_stream_window_size max_recv_msg_size
max_send_msg_size rate_limit rate_limit_burst tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name } } backend_worker { backend_scheduler_addr
backoff { max_period max_retries min_period } compaction { block_retention compacted_block_retention compaction_cycle
compaction_window max_block_bytes max_compaction_objects max_time_per_tenant retention_concurrency v2_in_buffer_bytes
v2_out_buffer_bytes v2_prefetch_traces_count } finish_on_shutdown_timeout override_ring_key ring { enable_inet6
heartbeat_period heartbeat_timeout instance_addr instance_id instance_interface_names instance_port kvstore { consul {
acl_token cas_retry_delay consistent_reads host http_client_timeout watch_burst_size watch_rate_limit } etcd {
dial_timeout endpoints max_retries password tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name username } multi { mirror_enabled mirror_timeout
primary secondary } prefix store } wait_active_instance_timeout wait_stability_max_duration
wait_stability_min_duration } } block_builder { assigned_partitions block { bloom_filter_false_positive
bloom_filter_shard_size_bytes max_block_bytes parquet_dedicated_columns parquet_row_group_size_bytes search_encoding
search_page_size_bytes v2_encoding v2_index_downsample_bytes v2_index_page_size_bytes version } consume_cycle_duration
instance_id max_consuming_bytes partitions_per_instance wal { ingestion_time_range_slack path search_encoding
v2_encoding version } } cache { background { writeback_buffer writeback_goroutines } caches } compactor { compaction {
block_retention compacted_block_retention compaction_cycle compaction_window max_block_bytes max_compaction_objects
max_time_per_tenant retention_concurrency v2_in_buffer_bytes v2_out_buffer_bytes v2_prefetch_traces_count } disabled
override_ring_key ring { enable_inet6 heartbeat_period heartbeat_timeout instance_addr instance_id
instance_interface_names instance_port kvstore { consul { acl_token cas_retry_delay consistent_reads host
http_client_timeout watch_burst_size watch_rate_limit } etcd { dial_timeout endpoints max_retries password tls_ca_path
tls_cert_path tls_cipher_suites tls_enabled tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name
username } multi { mirror_enabled mirror_timeout primary secondary } prefix store } wait_active_instance_timeout
wait_stability_max_duration wait_stability_min_duration } } distributor { artificial_delay extend_writes forwarders
ingester_write_path_enabled kafka_config { address auto_create_topic_default_partitions auto_create_topic_enabled
client_id consumer_group consumer_group_lag_metric_update_interval consumer_group_offset_commit_interval dial_timeout
disable_kafka_telemetry last_produced_offset_retry_timeout max_consumer_lag_at_startup producer_max_buffered_bytes
producer_max_record_size_bytes sasl_password sasl_username target_consumer_lag_at_startup topic write_timeout }
kafka_write_path_enabled log_discarded_spans { enabled filter_by_status_error include_all_attributes }
log_received_spans { enabled filter_by_status_error include_all_attributes } max_attribute_bytes metric_received_spans
{ enabled root_only } override_ring_key receivers retry_after_on_resource_exhausted ring { enable_inet6
heartbeat_period heartbeat_timeout instance_addr instance_id instance_interface_names instance_port kvstore { consul {
acl_token cas_retry_delay consistent_reads host http_client_timeout watch_burst_size watch_rate_limit } etcd {
dial_timeout endpoints max_retries password tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name username } multi { mirror_enabled mirror_timeout
primary secondary } prefix store } } usage { cost_attribution { enabled max_cardinality stale_duration } } }
enable_go_runtime_metrics http_api_prefix ingest { enabled kafka { address auto_create_topic_default_partitions
auto_create_topic_enabled client_id consumer_group consumer_group_lag_metric_update_interval
consumer_group_offset_commit_interval dial_timeout disable_kafka_telemetry last_produced_offset_retry_timeout
max_consumer_lag_at_startup producer_max_buffered_bytes producer_max_record_size_bytes sasl_password sasl_username
target_consumer_lag_at_startup topic write_timeout } } ingester { complete_block_timeout concurrent_flushes
flush_all_on_shutdown flush_check_period flush_object_storage flush_op_timeout lifecycler { address availability_zone
enable_inet6 final_sleep heartbeat_period heartbeat_timeout id interface_names join_after min_ready_duration
num_tokens observe_period port readiness_check_ring_health ring { excluded_zones heartbeat_timeout kvstore { consul {
acl_token cas_retry_delay consistent_reads host http_client_timeout watch_burst_size watch_rate_limit } etcd {
dial_timeout endpoints max_retries password tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name username } multi { mirror_enabled mirror_timeout
primary secondary } prefix store } replication_factor zone_awareness_enabled } tokens_file_path unregister_on_shutdown
} max_block_bytes max_block_duration override_ring_key partition_ring { delete_inactive_partition_after kvstore {
consul { acl_token cas_retry_delay consistent_reads host http_client_timeout watch_burst_size watch_rate_limit } etcd
{ dial_timeout endpoints max_retries password tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name username } multi { mirror_enabled mirror_timeout
primary secondary } prefix store } min_partition_owners_count min_partition_owners_duration } trace_idle_period
trace_live_period } ingester_client { grpc_client_config { backoff_config { max_period max_retries min_period }
backoff_on_ratelimits cluster_validation { label } connect_backoff_base_delay connect_backoff_max_delay
connect_timeout grpc_compression initial_connection_window_size initial_stream_window_size max_recv_msg_size
max_send_msg_size rate_limit rate_limit_burst tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name } pool_config remote_timeout } internal_server {
cluster_validation { additional_labels grpc { enabled soft_validation } http { enabled excluded_paths
excluded_user_agents soft_validation } label } create_new_traces enable graceful_shutdown_timeout
grpc_collect_max_streams_by_conn grpc_listen_address grpc_listen_conn_limit grpc_listen_network grpc_listen_port
grpc_server_keepalive_time grpc_server_keepalive_timeout grpc_server_max_concurrent_streams
grpc_server_max_connection_age grpc_server_max_connection_age_grace grpc_server_max_connection_idle
grpc_server_max_recv_msg_size grpc_server_max_send_msg_size grpc_server_min_time_between_pings grpc_server_num_workers
grpc_server_ping_without_stream_allowed grpc_server_read_buffer_size grpc_server_recv_buffer_pools_enabled
grpc_server_stats_tracking_enabled grpc_server_write_buffer_size grpc_tls_config { cert cert_file client_auth_type
client_ca client_ca_file key key_file } http_listen_address http_listen_conn_limit http_listen_network
http_listen_port http_log_closed_connections_without_response_enabled http_path_prefix http_server_idle_timeout
http_server_read_header_timeout http_server_read_timeout http_server_write_timeout http_tls_config { cert cert_file
client_auth_type client_ca client_ca_file key key_file } log_format log_level log_request_at_info_level_enabled
log_request_exclude_headers_list log_request_headers log_source_ips_enabled log_source_ips_full log_source_ips_header
log_source_ips_regex proxy_protocol_enabled register_instrumentation
report_grpc_codes_in_instrumentation_label_enabled tls_cipher_suites tls_min_version
trace_request_exclude_headers_list trace_request_headers } live_store { block_config { bloom_filter_false_positive
bloom_filter_shard_size_bytes parquet_dedicated_columns parquet_row_group_size_bytes search_encoding
search_page_size_bytes v2_encoding v2_index_downsample_bytes v2_index_page_size_bytes version } commit_interval
complete_block_concurrency complete_block_timeout flush_check_period flush_op_timeout max_block_bytes
max_block_duration max_live_traces_bytes max_trace_idle max_trace_live metrics { time_overlap_cutoff } partition_ring
{ delete_inactive_partition_after kvstore { consul { acl_token cas_retry_delay consistent_reads host
http_client_timeout watch_burst_size watch_rate_limit } etcd { dial_timeout endpoints max_retries password tls_ca_path
tls_cert_path tls_cipher_suites tls_enabled tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name
username } multi { mirror_enabled mirror_timeout primary secondary } prefix store } min_partition_owners_count
min_partition_owners_duration } query_block_concurrency ring { enable_inet6 heartbeat_period heartbeat_timeout
instance_addr instance_id instance_interface_names instance_port instance_zone kvstore { consul { acl_token
cas_retry_delay consistent_reads host http_client_timeout watch_burst_size watch_rate_limit } etcd { dial_timeout
endpoints max_retries password tls_ca_path tls_cert_path tls_cipher_suites tls_enabled tls_insecure_skip_verify
tls_key_path tls_min_version tls_server_name username } multi { mirror_enabled mirror_timeout primary secondary }
prefix store } } shutdown_marker_dir wal { ingestion_time_range_slack path search_encoding v2_encoding version } }
live_store_client { grpc_client_config { backoff_config { max_period max_retries min_period } backoff_on_ratelimits
cluster_validation { label } connect_backoff_base_delay connect_backoff_max_delay connect_timeout grpc_compression
initial_connection_window_size initial_stream_window_size max_recv_msg_size max_send_msg_size rate_limit
rate_limit_burst tls_ca_path tls_cert_path tls_cipher_suites tls_enabled tls_insecure_skip_verify tls_key_path
tls_min_version tls_server_name } pool_config remote_timeout } memberlist { abort_if_cluster_fast_join_fails
abort_if_cluster_fast_join_fails_min_nodes abort_if_cluster_join_fails acquire_writer_timeout advertise_addr
advertise_port bind_addr bind_port broadcast_timeout_for_local_updates_on_shutdown cluster_label
cluster_label_verification_disabled compression_enabled dead_node_reclaim_time gossip_interval gossip_nodes
gossip_to_dead_nodes_time join_members leave_timeout left_ingesters_timeout max_concurrent_writes max_join_backoff
max_join_retries message_history_buffer_bytes min_join_backoff node_name notify_interval obsolete_entries_timeout
packet_dial_timeout packet_write_timeout propagation_delay_tracker { beacon_interval beacon_lifetime enabled
log_beacons_latency_longer_than } pull_push_interval randomize_node_name received_messages_queue_size rejoin_interval
rejoin_seed_nodes retransmit_factor stream_timeout tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name watch_prefix_buffer_size zone_aware_routing {
enabled instance_availability_zone role } } metrics_generator { codec disable_grpc disable_local_blocks
ingest_concurrency instance_id limiter_type metrics_ingestion_time_range_slack override_ring_key processor { host_info
{ host_identifiers metric_name } local_blocks { block { bloom_filter_false_positive bloom_filter_shard_size_bytes
parquet_dedicated_columns parquet_row_group_size_bytes search_encoding search_page_size_bytes v2_encoding
v2_index_downsample_bytes v2_index_page_size_bytes version } complete_block_timeout concurrency concurrent_blocks
filter_server_spans flush_check_period flush_to_storage max_block_bytes max_block_duration max_live_traces
max_live_traces_bytes search { cache_control { column_index footer offset_index } chunk_size_bytes
prefetch_trace_count read_buffer_count read_buffer_size_bytes } time_overlap_cutoff trace_idle_period
trace_live_period } service_graphs { database_name_attributes dimensions enable_client_server_prefix
enable_messaging_system_latency_histogram enable_virtual_node_label histogram_buckets max_items peer_attributes
span_multiplier_key wait workers } span_metrics { dimension_mappings dimensions enable_instance_label
enable_target_info filter_policies histogram_buckets intrinsic_dimensions { service span_kind span_name status_code
status_message } span_multiplier_key target_info_excluded_dimensions } } query_timeout registry { collection_interval
external_labels inject_tenant_id_as max_label_name_length max_label_value_length stale_duration } ring { enable_inet6
heartbeat_period heartbeat_timeout instance_addr instance_id instance_interface_names instance_port instance_zone
kvstore { consul { acl_token cas_retry_delay consistent_reads host http_client_timeout watch_burst_size
watch_rate_limit } etcd { dial_timeout endpoints max_retries password tls_ca_path tls_cert_path tls_cipher_suites
tls_enabled tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name username } multi { mirror_enabled
mirror_timeout primary secondary } prefix store } } storage { path remote_write remote_write_add_org_id_header
remote_write_flush_deadline wal { max_wal_time min_wal_time no_lockfile stripe_size truncate_frequency wal_compression
wal_segment_size } } traces_query_storage { ingestion_time_range_slack path search_encoding v2_encoding version }
traces_storage { ingestion_time_range_slack path search_encoding v2_encoding version } } metrics_generator_client {
grpc_client_config { backoff_config { max_period max_retries min_period } backoff_on_ratelimits cluster_validation {
label } connect_backoff_base_delay connect_backoff_max_delay connect_timeout grpc_compression
initial_connection_window_size initial_stream_window_size max_recv_msg_size max_send_msg_size rate_limit
rate_limit_burst tls_ca_path tls_cert_path tls_cipher_suites tls_enabled tls_insecure_skip_verify tls_key_path
tls_min_version tls_server_name } pool_config remote_timeout } multitenancy_enabled overrides
partition_ring_live_store querier { extra_query_delay frontend_worker { dns_lookup_duration frontend_address
grpc_client_config { backoff_config { max_period max_retries min_period } backoff_on_ratelimits cluster_validation {
label } connect_backoff_base_delay connect_backoff_max_delay connect_timeout grpc_compression
initial_connection_window_size initial_stream_window_size max_recv_msg_size max_send_msg_size rate_limit
rate_limit_burst tls_ca_path tls_cert_path tls_cipher_suites tls_enabled tls_insecure_skip_verify tls_key_path
tls_min_version tls_server_name } id match_max_concurrent parallelism } max_concurrent_queries metrics {
concurrent_blocks time_overlap_cutoff } partition_ring { hedging_delay minimize_requests preferred_zone }
query_live_store query_relevant_ingesters search { query_timeout } secondary_ingester_ring
shuffle_sharding_ingesters_enabled shuffle_sharding_ingesters_lookback_period trace_by_id { external { endpoint
timeout } query_timeout } } query_frontend { allowed_headers api_timeout log_query_request_headers max_batch_size
max_outstanding_per_tenant max_query_expression_size_bytes max_retries mcp_server { enabled } metrics {
concurrent_jobs duration_slo interval max_duration max_exemplars max_intervals max_response_series query_backend_after
streaming_shards target_bytes_per_job throughput_bytes_slo } multi_tenant_queries_enabled query_end_cutoff
response_consumers rf1_after search { concurrent_jobs default_result_limit default_spans_per_span_set duration_slo
ingester_shards max_duration max_result_limit max_spans_per_span_set metadata_slo { duration_slo throughput_bytes_slo
} most_recent_shards query_backend_after query_ingesters_until target_bytes_per_job throughput_bytes_slo timeout }
trace_by_id { concurrent_shards duration_slo external_enabled query_shards throughput_bytes_slo } url_deny_list
weights { max_regex_conditions max_traceql_conditions request_with_weights retry_with_weights } } server {
cluster_validation { additional_labels grpc { enabled soft_validation } http { enabled excluded_paths
excluded_user_agents soft_validation } label } create_new_traces graceful_shutdown_timeout
grpc_collect_max_streams_by_conn grpc_listen_address grpc_listen_conn_limit grpc_listen_network grpc_listen_port
grpc_server_keepalive_time grpc_server_keepalive_timeout grpc_server_max_concurrent_streams
grpc_server_max_connection_age grpc_server_max_connection_age_grace grpc_server_max_connection_idle
grpc_server_max_recv_msg_size grpc_server_max_send_msg_size grpc_server_min_time_between_pings grpc_server_num_workers
grpc_server_ping_without_stream_allowed grpc_server_read_buffer_size grpc_server_recv_buffer_pools_enabled
grpc_server_stats_tracking_enabled grpc_server_write_buffer_size grpc_tls_config { cert cert_file client_auth_type
client_ca client_ca_file key key_file } http_listen_address http_listen_conn_limit http_listen_network
http_listen_port http_log_closed_connections_without_response_enabled http_path_prefix http_server_idle_timeout
http_server_read_header_timeout http_server_read_timeout http_server_write_timeout http_tls_config { cert cert_file
client_auth_type client_ca client_ca_file key key_file } log_format log_level log_request_at_info_level_enabled
log_request_exclude_headers_list log_request_headers log_source_ips_enabled log_source_ips_full log_source_ips_header
log_source_ips_regex proxy_protocol_enabled register_instrumentation
report_grpc_codes_in_instrumentation_label_enabled tls_cipher_suites tls_min_version
trace_request_exclude_headers_list trace_request_headers } shutdown_delay storage { trace { azure { buffer_size
container_name endpoint_suffix hedge_requests_at hedge_requests_up_to max_buffers prefix storage_account_key
storage_account_name use_federated_token use_managed_identity user_assigned_id } backend background_cache {
writeback_buffer writeback_goroutines } block { bloom_filter_false_positive bloom_filter_shard_size_bytes
parquet_dedicated_columns parquet_row_group_size_bytes search_encoding search_page_size_bytes v2_encoding
v2_index_downsample_bytes v2_index_page_size_bytes version } blocklist_poll blocklist_poll_concurrency
blocklist_poll_fallback blocklist_poll_jitter_ms blocklist_poll_stale_tenant_index blocklist_poll_tenant_concurrency
blocklist_poll_tenant_index_builders blocklist_poll_tolerate_consecutive_errors
blocklist_poll_tolerate_tenant_failures cache cache_max_block_age cache_min_compaction_level empty_tenant_deletion_age
empty_tenant_deletion_enabled gcs { bucket_name chunk_buffer_size endpoint hedge_requests_at hedge_requests_up_to
insecure list_blocks_concurrency max_retries object_cache_control object_metadata prefix } local { path } memcached {
addresses circuit_breaker_consecutive_failures circuit_breaker_interval circuit_breaker_timeout consistent_hash host
max_idle_conns max_item_size service timeout tls_ca_path tls_cert_path tls_cipher_suites tls_enabled
tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name ttl update_interval } pool { max_workers
queue_depth } redis { db endpoint expiration idle_timeout master_name max_connection_age password pool_size
sentinel_password sentinel_username timeout tls_enabled tls_insecure_skip_verify ttl username } s3 { access_key bucket
bucket_lookup_type enable_dual_stack endpoint forcepathstyle hedge_requests_at hedge_requests_up_to insecure
list_blocks_concurrency metadata native_aws_auth_enabled part_size prefix region secret_key session_token signature_v2
sse { encryption_key kms_encryption_context kms_key_id type } storage_class tags tls_ca_path tls_cert_path
tls_cipher_suites tls_insecure_skip_verify tls_key_path tls_min_version tls_server_name } search { cache_control {
column_index footer offset_index } chunk_size_bytes prefetch_trace_count read_buffer_count read_buffer_size_bytes }
wal { ingestion_time_range_slack path search_encoding v2_encoding version } } } stream_over_http_enabled target
usage_report { backoff { max_period max_retries min_period } reporting_enabled }
"""


def _parse(text: str) -> Tree:
    tree: Tree = {}
    open_: list[Tree] = [tree]
    last = ""
    for word in text.split():
        if word == "{":
            below: Tree = {}
            open_[-1][last] = below
            open_.append(below)
        elif word == "}":
            open_.pop()
        else:
            open_[-1][word] = None
            last = word
    return tree


KEYS = _parse(_TEXT)


def unknown_keys(config: Mapping[Any, Any], place: Place) -> Iterator[Finding]:
    """A finding for each key of a part of tempo.yaml that Tempo does not define. place: of the part."""
    yield from _unknown(config, KEYS, place, ())


def _unknown(config: Mapping[Any, Any], known: Tree, place: Place, path: tuple[str, ...]) -> Iterator[Finding]:
    for key, value in config.items():
        name = str(key)
        if name not in known:
            yield error(
                place.key(name),
                "is not an option of Tempo 2.10",
                _instead(name, known, path),
                "Tempo refuses to start for an option that it does not define",
            )
        elif known[name] and isinstance(value, Mapping):
            yield from _unknown(value, known[name], place.key(name), (*path, name))


def _instead(name: str, known: Tree, path: tuple[str, ...]) -> str:
    if near := difflib.get_close_matches(name, known, 1, 0.8):
        return f"Did you mean {'.'.join((*path, near[0]))}?"
    top = path[:1]
    section = KEYS[path[0]] if path else KEYS
    elsewhere = [".".join((*top, *found)) for found in _places(name, section or {})]
    if elsewhere:
        return f"Did you mean {' or '.join(elsewhere[:3])}?"
    listed = ", ".join(sorted(known))
    return f"Known here are {listed}." if len(known) <= 20 else "See Tempo's configuration reference."


def _places(name: str, tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, below in tree.items():
        if key == name:
            yield (*path, key)
        yield from _places(name, below or {}, (*path, key))
