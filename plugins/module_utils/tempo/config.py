# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The role's variables as values of the tempo chart, with tempo.yaml built as data.

Pure: no I/O, no Ansible. The configuration is that of Tempo 2.10, the last line with ingesters, or of 3.0, whose
components are joined by Kafka (settings.line chooses): the key names are those of modules/*/config.go, pkg/ingest,
tempodb/config.go and tempodb/backend/s3/config.go of grafana/tempo v2.10.8 and v3.0.3.
tests/unit/charts/approved/tempo has examples that Tempo has accepted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import go_mem_limit
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import image_values, pull_secrets
from ansible_collections.orion.tracing.plugins.module_utils.platform import tempo as numbers
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import (
    FRONT,
    GRPC_CLIENT_BYTES,
    GRPC_SERVER_BYTES,
    VERSION_3,
    caches,
    components,
    generates,
    grpc_message_bytes,
    line,
    local_blocks,
    read,
    volume,
)

# How Tempo's S3 client names the bucket; bucket_lookup_type is an enumeration of minio-go, whose 1 is the host name.
# Source: grafana/tempo v2.10.8, tempodb/backend/s3/config.go
ADDRESSING: dict[str, dict[str, Any]] = {
    "": {},
    "auto": {},
    "path": {"forcepathstyle": True},
    "virtual": {"bucket_lookup_type": 1},
}
# Fields of a pod's security context, and their variables; 0 leaves a field to the cluster.
IDS = {"runAsUser": "tempo_run_as_user", "runAsGroup": "tempo_run_as_group", "fsGroup": "tempo_fs_group"}
# Where the chart mounts the key ca.crt of s3.caSecret.
S3_CA_PATH = "/etc/tempo/s3-ca/ca.crt"
# What the chart sets in the environment from kafka.saslSecret; Tempo expands them in its configuration.
SASL = {"sasl_username": "${TEMPO_KAFKA_USERNAME}", "sasl_password": "${TEMPO_KAFKA_PASSWORD}"}
# The pod's own address, which the chart sets with ipv6Only.
POD_IP = "${TEMPO_POD_IP}"
MEMBERLIST = {"kvstore": {"store": "memberlist"}}


def tempo_config(variables: Mapping[str, Any], release_name: str = "") -> dict[str, Any]:
    """tempo.yaml for every component of the profile.

    variables: all tempo_* variables and tracing_namespace, as roles/tempo/meta/argument_specs.yml describes them, and
    of the load (tracing_expected_*, collector_max_total_*) what the inventory sets. release_name: by default
    tempo_release_name.
    It holds no credentials: they reach Tempo's S3 client by environment.
    Raises InvalidVariables with every error: what Tempo would only report in a crashing pod, or not at all.
    """
    v = _checked(variables)
    return _config(v, release_name or v["tempo_release_name"])


def _checked(variables: Mapping[str, Any]) -> dict[str, Any]:
    v, found = read(variables)
    refuse("the tempo role's variables", found)
    return v


def _config(v: Mapping[str, Any], release_name: str) -> dict[str, Any]:
    alone = v["tempo_profile"] == "monolithic"
    rate = v["tempo_ingestion_rate_limit_bytes"] or ingestion_limit(v)
    config: dict[str, Any] = {
        # Grafana streams search results by gRPC through the port of the HTTP API.
        "stream_over_http_enabled": True,
        "server": {"http_listen_port": 3200, "grpc_listen_port": 9095, "log_level": v["tempo_log_level"]},
        "distributor": {
            "receivers": {
                "otlp": {
                    "protocols": {
                        # 4 MiB, the receiver's default, refuses what a sampler exports in one batch of large traces.
                        "grpc": {"endpoint": "0.0.0.0:4317", "max_recv_msg_size_mib": 16},
                        "http": {"endpoint": "0.0.0.0:4318"},
                    }
                }
            },
            # Without it a collector takes RATE_LIMITED for a permanent error and drops the spans.
            "retry_after_on_resource_exhausted": v["tempo_retry_after_on_resource_exhausted"],
        },
        "query_frontend": {
            "search": {
                "concurrent_jobs": v["tempo_search_concurrent_jobs"],
                "target_bytes_per_job": v["tempo_search_target_bytes_per_job"],
                "max_duration": v["tempo_search_max_duration"],
            }
        },
        "storage": {
            "trace": {
                "backend": "s3",
                "blocklist_poll": v["tempo_blocklist_poll"],
                "wal": {"path": "/var/tempo/wal"},
                "s3": _s3(v),
            }
        },
        "overrides": {
            "defaults": {
                "ingestion": {
                    "rate_strategy": v["tempo_ingestion_rate_strategy"],
                    "rate_limit_bytes": rate,
                    # One request may not be larger than the burst.
                    "burst_size_bytes": v["tempo_ingestion_burst_size_bytes"] or max(rate, numbers.MIN_INGESTION_LIMIT),
                    "max_traces_per_user": v["tempo_max_traces_per_user"],
                },
                "global": {"max_bytes_per_trace": v["tempo_max_bytes_per_trace"]},
            }
        },
        "usage_report": {"reporting_enabled": False},
    }
    if not v["tempo_compaction_enabled"]:
        # Of a tenant: neither compaction nor retention.
        config["overrides"]["defaults"]["compaction"] = {"compaction_disabled": True}
    if not alone:
        namespace = v["tracing_namespace"]
        config["memberlist"] = {
            "join_members": [f"dns+{release_name}-gossip-ring.{namespace}.svc:7946"],
            "abort_if_cluster_join_fails": False,
            # Pods that start together may each see only themselves in DNS; joining again heals such a split.
            "rejoin_interval": "15s",
            # Keeps rings apart when a pod of another release gets the address of a former member.
            "cluster_label": f"{release_name}.{namespace}",
        }
        config["distributor"]["ring"] = MEMBERLIST
        config["querier"] = {
            "frontend_worker": {
                "frontend_address": f"{release_name}-query-frontend-discovery.{namespace}.svc:9095",
                # The default of 10s is what a new query-frontend would wait for its first querier.
                "dns_lookup_duration": "2s",
            }
        }
    config |= _recent_3(v, release_name) if line(v) == VERSION_3 else _recent_2(v)
    _message_sizes(config, grpc_message_bytes(v["tempo_max_bytes_per_trace"]), line(v) == VERSION_3)
    if generates(v):
        generator, processors = _metrics_generator(v)
        if not alone:
            generator["ring"] = MEMBERLIST
        config["metrics_generator"] = generator
        config["overrides"]["defaults"]["metrics_generator"] = {"processors": processors}
    if addresses := caches(v, release_name):
        memcached = {"addresses": ",".join(addresses), "consistent_hash": True, "timeout": "500ms"}
        config["cache"] = {"caches": [{"memcached": memcached, "roles": v["tempo_memcached_roles"]}]}
    block: dict[str, Any] = {}
    if v["tempo_block_version"]:
        block["version"] = v["tempo_block_version"]
    if v["tempo_dedicated_columns"]:
        block["parquet_dedicated_columns"] = v["tempo_dedicated_columns"]
    if block:
        config["storage"]["trace"]["block"] = block
    if v["tempo_ipv6_only"]:
        config = overlay(config, _ipv6(config))
    return overlay(config, v["tempo_extra_config"])


def _ipv6(config: Mapping[str, Any]) -> dict[str, Any]:
    """Listen on IPv6, and make it known to the rings: by default, Tempo looks for an IPv4 address of the pod."""
    inet6 = {"enable_inet6": True}
    changes: dict[str, Any] = {
        "server": {"http_listen_address": "::", "grpc_listen_address": "::"},
        "distributor": {
            "ring": inet6,
            "receivers": {
                "otlp": {"protocols": {"grpc": {"endpoint": "[::]:4317"}, "http": {"endpoint": "[::]:4318"}}}
            },
        },
    }
    if "ingester" in config:
        changes["ingester"] = {"lifecycler": inet6}
        changes["compactor"] = {"ring": inet6}
    else:
        changes["live_store"] = {"ring": inet6}
        changes["backend_worker"] = {"ring": inet6}
    if "metrics_generator" in config:
        changes["metrics_generator"] = {"ring": inet6}
    if "memberlist" in config:
        changes["memberlist"] = {"bind_addr": [POD_IP]}
        return changes
    # The one process calls itself, by default at 127.0.0.1.
    changes["querier"] = {"frontend_worker": {"frontend_address": "[::1]:9095"}}
    if "backend_worker" in config:
        changes["backend_worker"] = {"ring": inet6, "backend_scheduler_addr": "[::1]:9095"}
    return changes


def _compaction(v: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "block_retention": v["tempo_retention"],
        "compacted_block_retention": v["tempo_compaction_compacted_block_retention"],
        "compaction_window": v["tempo_compaction_window"],
        "max_block_bytes": v["tempo_compaction_max_block_bytes"],
    }


def _recent_2(v: Mapping[str, Any]) -> dict[str, Any]:
    """What holds recent traces, and what looks after blocks, in 2.10: ingester and compactor."""
    distributed = v["tempo_profile"] == "distributed"
    lifecycler: dict[str, Any] = {
        "ring": {"replication_factor": v["tempo_replication_factor"] if distributed else 1},
        "min_ready_duration": v["tempo_ingester_min_ready_duration"],
    }
    compactor: dict[str, Any] = {"compaction": _compaction(v)}
    if distributed:
        lifecycler["ring"] |= MEMBERLIST
        if v["tempo_zones"]:
            lifecycler["ring"]["zone_awareness_enabled"] = True
        # On the volume: an ingester that comes back takes its old place in the ring at once.
        lifecycler["tokens_file_path"] = "/var/tempo/tokens.json"
        compactor["ring"] = {
            **MEMBERLIST,
            # Several compactors wait until all of them know each other (upstream's minute); one has nobody to wait for.
            "wait_stability_min_duration": "1m" if v["tempo_compactor_replicas"] > 1 else "0s",
        }
    return {
        "ingester": {
            "lifecycler": lifecycler,
            "trace_idle_period": v["tempo_ingester_trace_idle_period"],
            "max_block_duration": v["tempo_ingester_max_block_duration"],
            "complete_block_timeout": v["tempo_ingester_complete_block_timeout"],
        },
        "compactor": compactor,
    }


def _recent_3(v: Mapping[str, Any], release_name: str) -> dict[str, Any]:
    """The same in 3.0: live-store, block-builder, backend-scheduler and -worker, with Kafka between the first two and
    the distributor, unless everything is in one process.
    """
    config: dict[str, Any] = {
        "live_store": {
            "max_trace_idle": v["tempo_live_store_trace_idle_period"],
            "max_block_duration": v["tempo_live_store_max_block_duration"],
            "complete_block_timeout": v["tempo_live_store_complete_block_timeout"],
            "wal": {"path": "/var/tempo/live-store/traces"},
            "shutdown_marker_dir": "/var/tempo/live-store/shutdown-marker",
        },
        "backend_scheduler": {
            "local_work_path": "/var/tempo/work",
            "provider": {"compaction": {"compaction": _compaction(v)}},
        },
        # Each reads its own section: the scheduler chooses blocks by these times, the worker compacts and deletes.
        "backend_worker": {"compaction": _compaction(v)},
    }
    if v["tempo_profile"] != "kafka":
        return config
    namespace = v["tracing_namespace"]
    config["live_store"] |= {"ring": MEMBERLIST, "partition_ring": MEMBERLIST}
    config["backend_worker"] |= {
        "backend_scheduler_addr": f"{release_name}-backend-scheduler.{namespace}.svc:9095",
        "ring": MEMBERLIST,
    }
    kafka = {
        "address": v["tempo_kafka_address"],
        "topic": v["tempo_kafka_topic"],
        # It would also change num.partitions of the brokers. The module kafka_topic makes topics.
        "auto_create_topic_enabled": False,
    }
    return config | {
        "block_builder": {
            "partitions_per_instance": v["tempo_live_store_replicas"] // v["tempo_block_builder_replicas"],
            "consume_cycle_duration": v["tempo_block_builder_consume_cycle_duration"],
            "wal": {"path": "/var/tempo/block-builder/traces"},
        },
        "ingest": {"kafka": kafka | (SASL if v["tempo_kafka_sasl_secret"] else {})},
    }


def _message_sizes(config: dict[str, Any], size: int, third: bool) -> None:
    """Larger gRPC messages, where the largest trace would not fit into those that Tempo allows by default."""
    if size <= GRPC_SERVER_BYTES:
        return
    config["server"] |= {"grpc_server_max_recv_msg_size": size, "grpc_server_max_send_msg_size": size}
    client = {"max_send_msg_size": size}
    if size > GRPC_CLIENT_BYTES:
        client["max_recv_msg_size"] = size
        config["live_store_client" if third else "ingester_client"] = {"grpc_client_config": dict(client)}
    worker = config.setdefault("querier", {}).setdefault("frontend_worker", {})
    worker["grpc_client_config"] = client


def ingestion_limit(v: Mapping[str, Any]) -> int:
    """Bytes per second that Tempo accepts where no limit is set, from the load. With the strategy local each
    distributor counts for itself, and gets its share.
    """
    alone = v["tempo_profile"] == "monolithic" or v["tempo_ingestion_rate_strategy"] != "local"
    return numbers.ingestion_limit(v["kept_bytes_per_second"], 1 if alone else v["tempo_distributor_replicas"])


def tempo_values(variables: Mapping[str, Any], release_name: str = "") -> dict[str, Any]:
    """Values of roles/tempo/files/chart for the role's variables; same arguments and errors as tempo_config."""
    v = _checked(variables)
    release_name = release_name or v["tempo_release_name"]
    config = _config(v, release_name)
    prefix = volume(v)[0]
    persistence = {"size": v[f"{prefix}_storage_size"], "storageClass": v[f"{prefix}_storage_class"]}
    found = {name: _component(v, name, own) for name, own in components(v).items()}
    if "ingester" in found and v["tempo_zones"]:
        # Of each zone. A live-store has a partition of its own in every zone, whatever their number.
        found["ingester"]["replicas"] //= len(v["tempo_zones"])
    for name in ("all", "ingester", "live-store"):
        if name in found:
            found[name]["persistence"] = persistence
    return {
        "profile": v["tempo_profile"],
        "line": dotted(line(v)),
        "image": image_values(v, "tempo"),
        "imagePullSecrets": [{"name": name} for name in pull_secrets(v, "tempo")],
        "config": config,
        "s3": {"credentialsSecret": v["tempo_s3_credentials_secret"], "caSecret": v["tempo_s3_ca_secret"]},
        "memcached": _memcached(v),
        "serviceAccount": {"annotations": v["tempo_service_account_annotations"]},
        "kafka": {"saslSecret": _authenticates(v)},
        "components": found,
        "serviceAliases": [FRONT] if release_name != FRONT and v["tempo_front_services_enabled"] else [],
        "environment": v["tempo_environment"],
        "secretEnvironment": v["tempo_secret_environment"],
        "secretFiles": v["tempo_secret_files"],
        "configMapFiles": v["tempo_config_map_files"],
        # Only where there is something to expand: a configuration may have ${…} of its own, such as in relabelling.
        "expandEnv": bool(
            (v["tempo_environment"] or v["tempo_secret_environment"] or v["tempo_ipv6_only"] or _authenticates(v))
            and "${" in json.dumps(config)
        ),
        "ipv6Only": v["tempo_ipv6_only"],
        "zones": v["tempo_zones"],
        "securityContext": {name: v[variable] for name, variable in IDS.items() if v[variable]},
        "nodeSelector": v["tempo_node_selector"],
        "tolerations": v["tempo_tolerations"],
        "priorityClassName": v["tempo_priority_class_name"],
        "networkPolicy": {
            "enabled": v["tempo_network_policy_enabled"],
            "otlpFrom": v["tempo_network_policy_otlp_from"],
            "queryFrom": v["tempo_network_policy_query_from"],
            "adminFrom": v["tempo_network_policy_admin_from"],
        },
    }


def _memcached(v: Mapping[str, Any]) -> dict[str, Any]:
    if not v["tempo_memcached_enabled"]:
        return {"replicas": 0}
    size = v["tempo_memcached_memory_mib"]
    memory, cpu = f"{numbers.memcached_memory_mib(size)}Mi", f"{round(1000 * numbers.MEMCACHED_CPU)}m"
    return {
        "replicas": v["tempo_memcached_replicas"],
        "memoryMib": size,
        "image": image_values(v, "tempo_memcached"),
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
    }


def _authenticates(v: Mapping[str, Any]) -> str:
    """The Secret with credentials for Kafka, "" for none."""
    return v["tempo_kafka_sasl_secret"] if v["tempo_profile"] == "kafka" else ""


def _s3(v: Mapping[str, Any]) -> dict[str, Any]:
    s3 = {"bucket": v["tempo_s3_bucket"], "endpoint": v["tempo_s3_endpoint"], "region": v["tempo_s3_region"]}
    if v["tempo_s3_prefix"]:
        s3["prefix"] = v["tempo_s3_prefix"]
    if v["tempo_s3_insecure"]:
        s3["insecure"] = True
    s3 |= ADDRESSING[v["tempo_s3_addressing_style"]]
    if v["tempo_s3_ca_secret"]:
        s3["tls_ca_path"] = S3_CA_PATH
    return s3


def _metrics_generator(v: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Its section, and the processors that run."""
    config: dict[str, Any] = {"storage": {"path": "/var/tempo/generator/wal"}}
    processors = []
    if v["tempo_metrics_generator_enabled"]:
        processors += ["service-graphs", "span-metrics"]
        config["processor"] = {
            "service_graphs": {"dimensions": v["tempo_metrics_generator_service_graph_dimensions"]},
            "span_metrics": {"dimensions": v["tempo_metrics_generator_span_metrics_dimensions"]},
        }
        config["storage"]["remote_write"] = [
            {"url": v["tempo_metrics_generator_remote_write_url"], "send_exemplars": True}
        ]
    if local_blocks(v):
        processors.append("local-blocks")
        # By default it has the spans of servers alone, and stores nothing.
        blocks = {"filter_server_spans": False, "flush_to_storage": True}
        config.setdefault("processor", {})["local_blocks"] = blocks
        config["traces_storage"] = {"path": "/var/tempo/generator/traces"}
    return config, processors


def _go_mem_limit(resources: Mapping[str, Any]) -> str:
    """GOMEMLIMIT for a container with these resources, or "" where memory has no limit."""
    limit = (resources.get("limits") or {}).get("memory")
    return "" if limit is None else go_mem_limit(limit, numbers.GOMEMLIMIT)


def _component(v: Mapping[str, Any], name: str, prefix: str) -> dict[str, Any]:
    resources = v[f"{prefix}_resources"]
    return {
        "replicas": v.get(f"{prefix}_replicas", 1),
        "resources": resources,
        "goMemLimit": _go_mem_limit(resources),
        "terminationGracePeriodSeconds": numbers.grace_seconds(name),
    }
