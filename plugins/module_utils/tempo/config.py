# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The role's variables as values of the tempo chart, with tempo.yaml built as data.

Pure: no I/O, no Ansible. The configuration is that of Tempo 2.10, the last line with ingesters: the key names are those
of modules/*/config.go, tempodb/config.go and tempodb/backend/s3/config.go of grafana/tempo v2.10.8.
tests/unit/charts/approved/tempo has examples that Tempo has accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    DURATION_REMEDY,
    QUANTITY_REMEDY,
    duration_seconds,
    go_mem_limit,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import image_values, pull_secrets
from ansible_collections.orion.tracing.plugins.module_utils.platform import tempo as numbers
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import kept_spans
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import TEMPO, dotted, minor

# The minor version of Tempo whose configuration this is.
VERSION = minor(TEMPO)
NEWER = "Tempo 3 has no ingesters and no compactor, and refuses the role's configuration, which is that of Tempo 2.10"
VERSION_REMEDY = f"Use a tag of {dotted(VERSION)}, such as {TEMPO}."
_VERSION_TAG = re.compile(r"v?(\d{1,2})\.(\d{1,3})(?![\da-z])|v?(\d)$")

# How Tempo's S3 client names the bucket; bucket_lookup_type is an enumeration of minio-go, whose 1 is the host name.
# Source: grafana/tempo v2.10.8, tempodb/backend/s3/config.go
ADDRESSING: dict[str, dict[str, Any]] = {
    "auto": {},
    "path": {"forcepathstyle": True},
    "virtual": {"bucket_lookup_type": 1},
}
# Where the chart mounts the key ca.crt of s3.caSecret.
S3_CA_PATH = "/etc/tempo/s3-ca/ca.crt"

# Tempo's -target, and the prefix of the component's variables.
COMPONENTS = {
    "distributor": "tempo_distributor",
    "ingester": "tempo_ingester",
    "querier": "tempo_querier",
    "query-frontend": "tempo_query_frontend",
    "compactor": "tempo_compactor",
    "metrics-generator": "tempo_metrics_generator",
}

# Those that are Go durations in tempo.yaml.
TEMPO_DURATIONS = (
    "tempo_retention",
    "tempo_compaction_compacted_block_retention",
    "tempo_compaction_window",
    "tempo_search_max_duration",
    "tempo_blocklist_poll",
    "tempo_retry_after_on_resource_exhausted",
    "tempo_ingester_min_ready_duration",
    "tempo_ingester_trace_idle_period",
    "tempo_ingester_max_block_duration",
    "tempo_ingester_complete_block_timeout",
)

# ansible-playbook -e name=value makes strings of everything, and a role's argument spec checks without converting.
_INTEGERS = (
    "tempo_compaction_max_block_bytes",
    "tempo_replication_factor",
    "tempo_ingestion_rate_limit_bytes",
    "tempo_ingestion_burst_size_bytes",
    "tempo_max_traces_per_user",
    "tempo_max_bytes_per_trace",
    "tempo_search_concurrent_jobs",
    "tempo_search_target_bytes_per_job",
    "tempo_distributor_replicas",
    "tempo_ingester_replicas",
    "tempo_querier_replicas",
    "tempo_query_frontend_replicas",
    "tempo_compactor_replicas",
)
# The load that limits are derived from where they are 0, with the collector role's defaults. Its own variables are not
# the tempo role's, and are there only where an inventory sets them.
_LOAD = {
    "tracing_expected_traces_per_second": 1000,
    "tracing_expected_spans_per_trace": 20,
    "tracing_expected_bytes_per_span": 500,
    "tracing_expected_kept_percentage": 25,
    "collector_max_total_spans_per_second": 0,
    "collector_max_total_bytes_per_second": 0,
}
_BOOLEANS = ("tempo_s3_insecure", "tempo_metrics_generator_enabled", "tempo_network_policy_enabled")
_TRUE = {"true", "yes", "on", "y", "t", "1"}
_FALSE = {"false", "no", "off", "n", "f", "0", ""}

# host or host:port, as Tempo's S3 client takes it.
ENDPOINT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")


def tempo_config(variables: Mapping[str, Any], release_name: str = "tempo") -> dict[str, Any]:
    """tempo.yaml for every component of the profile.

    variables: all tempo_* variables and tracing_namespace, as roles/tempo/meta/argument_specs.yml describes them, and
    of the load (tracing_expected_*, collector_max_total_*) what the inventory sets.
    It holds no credentials: they reach Tempo's S3 client by environment.
    Raises InvalidInput, naming the variable, for what Tempo would only report in a crashing pod, or not at all.
    """
    v = typed(variables)
    _check(v)
    distributed = v["tempo_profile"] == "distributed"
    memberlist = {"kvstore": {"store": "memberlist"}}
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
        "ingester": {
            "lifecycler": {
                "ring": {"replication_factor": v["tempo_replication_factor"] if distributed else 1},
                "min_ready_duration": v["tempo_ingester_min_ready_duration"],
            },
            "trace_idle_period": v["tempo_ingester_trace_idle_period"],
            "max_block_duration": v["tempo_ingester_max_block_duration"],
            "complete_block_timeout": v["tempo_ingester_complete_block_timeout"],
        },
        "query_frontend": {
            "search": {
                "concurrent_jobs": v["tempo_search_concurrent_jobs"],
                "target_bytes_per_job": v["tempo_search_target_bytes_per_job"],
                "max_duration": v["tempo_search_max_duration"],
            }
        },
        "compactor": {
            "compaction": {
                "block_retention": v["tempo_retention"],
                "compacted_block_retention": v["tempo_compaction_compacted_block_retention"],
                "compaction_window": v["tempo_compaction_window"],
                "max_block_bytes": v["tempo_compaction_max_block_bytes"],
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
    if distributed:
        namespace = v["tracing_namespace"]
        config["memberlist"] = {
            "join_members": [f"dns+{release_name}-gossip-ring.{namespace}.svc:7946"],
            "abort_if_cluster_join_fails": False,
            # Pods that start together may each see only themselves in DNS; joining again heals such a split.
            "rejoin_interval": "15s",
            # Keeps rings apart when a pod of another release gets the address of a former member.
            "cluster_label": f"{release_name}.{namespace}",
        }
        config["distributor"]["ring"] = memberlist
        config["ingester"]["lifecycler"]["ring"]["kvstore"] = memberlist["kvstore"]
        # On the volume: an ingester that comes back takes its old place in the ring at once.
        config["ingester"]["lifecycler"]["tokens_file_path"] = "/var/tempo/tokens.json"
        config["querier"] = {
            "frontend_worker": {
                "frontend_address": f"{release_name}-query-frontend-discovery.{namespace}.svc:9095",
                # The default of 10s is what a new query-frontend would wait for its first querier.
                "dns_lookup_duration": "2s",
            }
        }
        config["compactor"]["ring"] = {
            **memberlist,
            # Several compactors wait until all of them know each other (upstream's minute); one has nobody to wait for.
            "wait_stability_min_duration": "1m" if v["tempo_compactor_replicas"] > 1 else "0s",
        }
    if v["tempo_metrics_generator_enabled"]:
        generator = _metrics_generator(v)
        if distributed:
            generator["ring"] = memberlist
        config["metrics_generator"] = generator
        config["overrides"]["defaults"]["metrics_generator"] = {"processors": ["service-graphs", "span-metrics"]}
    return overlay(config, v["tempo_extra_config"])


def tagged_version(tag: Any) -> tuple[int, int] | None:
    """(2, 10) for the tags 2.10.8, v2.10 and 2.10.8-amd64; (3, 0) for 3. None for one that names no version, as
    main-1a2b3c4 and latest do, and for what is no text (see images.py)."""
    found = _VERSION_TAG.match(tag.strip()) if isinstance(tag, str) else None
    return (int(found[1] or found[3]), int(found[2] or 0)) if found else None


def newer_than_config(tag: Any) -> bool:
    """Whether the tag is of a major version that refuses this configuration, at its start and in each pod."""
    version = tagged_version(tag)
    return version is not None and version[0] > VERSION[0]


def ingestion_limit(v: Mapping[str, Any]) -> int:
    """Bytes per second that Tempo accepts where no limit is set, from the load. With the strategy local each
    distributor counts for itself, and gets its share.
    """
    load: dict[str, float] = {}
    for name, default in _LOAD.items():
        try:
            load[name] = float(v.get(name, default))
        except (TypeError, ValueError):
            raise InvalidInput(f"{name}: '{v[name]}' is not a number") from None
    kept = kept_spans(*load.values()) * load["tracing_expected_bytes_per_span"]
    alone = v["tempo_profile"] != "distributed" or v["tempo_ingestion_rate_strategy"] != "local"
    return numbers.ingestion_limit(kept, 1 if alone else v["tempo_distributor_replicas"])


def tempo_values(variables: Mapping[str, Any], release_name: str = "tempo") -> dict[str, Any]:
    """Values of roles/tempo/files/chart for the role's variables; same arguments and errors as tempo_config."""
    v = typed(variables)
    config = tempo_config(v, release_name)
    persistence = {"size": v["tempo_ingester_storage_size"], "storageClass": v["tempo_ingester_storage_class"]}
    components: dict[str, dict[str, Any]]
    if v["tempo_profile"] == "monolithic":
        components = {"all": {**_component(v, "all", "tempo_monolithic", 1), "persistence": persistence}}
    else:
        components = {
            name: _component(v, name, prefix, v.get(f"{prefix}_replicas", 1))
            for name, prefix in COMPONENTS.items()
            if name != "metrics-generator" or v["tempo_metrics_generator_enabled"]
        }
        components["ingester"]["persistence"] = persistence
    return {
        "profile": v["tempo_profile"],
        "image": image_values(v, "tempo"),
        "imagePullSecrets": [{"name": name} for name in pull_secrets(v, "tempo")],
        "config": config,
        "s3": {"credentialsSecret": v["tempo_s3_credentials_secret"], "caSecret": v["tempo_s3_ca_secret"]},
        "serviceAccount": {"annotations": v["tempo_service_account_annotations"]},
        "components": components,
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


def typed(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with whole numbers as int and switches as bool."""
    result = dict(variables)
    for name in _INTEGERS:
        try:
            result[name] = int(result[name])
        except (TypeError, ValueError):
            raise InvalidInput(f"{name}: '{result[name]}' is not a whole number") from None
    for name in _BOOLEANS:
        word = str(result[name]).lower()
        if word not in _TRUE | _FALSE:
            raise InvalidInput(f"{name}: '{result[name]}' is neither true nor false")
        result[name] = word in _TRUE
    return result


def _s3(v: Mapping[str, Any]) -> dict[str, Any]:
    s3 = {"bucket": v["tempo_s3_bucket"], "endpoint": v["tempo_s3_endpoint"], "region": v["tempo_s3_region"]}
    if v["tempo_s3_prefix"]:
        s3["prefix"] = v["tempo_s3_prefix"]
    if v["tempo_s3_insecure"]:
        s3["insecure"] = True
    s3 |= ADDRESSING[v["tempo_s3_addressing_style"] or "auto"]
    if v["tempo_s3_ca_secret"]:
        s3["tls_ca_path"] = S3_CA_PATH
    return s3


def _metrics_generator(v: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "processor": {
            "service_graphs": {"dimensions": v["tempo_metrics_generator_service_graph_dimensions"]},
            "span_metrics": {"dimensions": v["tempo_metrics_generator_span_metrics_dimensions"]},
        },
        "storage": {
            "path": "/var/tempo/generator/wal",
            "remote_write": [{"url": v["tempo_metrics_generator_remote_write_url"], "send_exemplars": True}],
        },
    }


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = duration_seconds(value)
    except ValueError:
        raise InvalidInput(f"{name}: '{value}' is not a Go duration", remedy=DURATION_REMEDY) from None
    if seconds <= 0:
        raise InvalidInput(f"{name}: the duration must be longer than zero")
    return seconds


def _go_mem_limit(name: str, resources: Mapping[str, Any]) -> str:
    """GOMEMLIMIT for a container with these resources, or "" where memory has no limit."""
    limit = (resources.get("limits") or {}).get("memory")
    try:
        return "" if limit is None else go_mem_limit(limit, numbers.GOMEMLIMIT)
    except ValueError:
        raise InvalidInput(
            f"{name}.limits.memory: '{limit}' is not a Kubernetes quantity", remedy=QUANTITY_REMEDY
        ) from None


def _component(v: Mapping[str, Any], name: str, prefix: str, replicas: int) -> dict[str, Any]:
    resources = v[f"{prefix}_resources"]
    return {
        "replicas": replicas,
        "resources": resources,
        "goMemLimit": _go_mem_limit(f"{prefix}_resources", resources),
        "terminationGracePeriodSeconds": numbers.grace_seconds(name),
    }


def _check(v: Mapping[str, Any]) -> None:
    """What the types of the argument spec cannot say and Tempo reports late, obscurely or never."""
    if not v["tempo_s3_bucket"]:
        raise InvalidInput("tempo_s3_bucket is empty", remedy="Set object_storage_bucket, or tempo_s3_bucket itself.")
    endpoint = str(v["tempo_s3_endpoint"])
    if not ENDPOINT.fullmatch(endpoint):
        raise InvalidInput(
            f"tempo_s3_endpoint: '{endpoint}' is not host or host:port",
            "Tempo's S3 client takes no scheme and no path",
            "Leave out 'https://' and the path; for plain HTTP set tempo_s3_insecure to true.",
        )
    if str(v["tempo_s3_prefix"] or "").startswith("/"):
        raise InvalidInput(
            f"tempo_s3_prefix: '{v['tempo_s3_prefix']}' begins with a slash",
            "keys would begin with it, and lifecycle rules and recordings beside them would not match",
            f"Write '{str(v['tempo_s3_prefix']).strip('/')}'.",
        )
    if v["tempo_s3_insecure"] and v["tempo_s3_ca_secret"]:
        raise InvalidInput(
            "tempo_s3_ca_secret is set, but tempo_s3_insecure turns TLS off",
            remedy="Set tempo_s3_insecure to false, or leave tempo_s3_ca_secret empty.",
        )
    seconds = {name: _seconds(name, v[name]) for name in TEMPO_DURATIONS}
    # Tempo only warns of these (Config.CheckConfig), and then loses sight of blocks for a while.
    for name in (
        "tempo_ingester_complete_block_timeout",
        "tempo_compaction_compacted_block_retention",
        "tempo_retention",
    ):
        if seconds[name] < seconds["tempo_blocklist_poll"]:
            raise InvalidInput(
                f"{name} ({v[name]}) is shorter than tempo_blocklist_poll ({v['tempo_blocklist_poll']})",
                "queriers would miss traces, or read blocks that are gone, until their next poll",
                f"Raise {name} or lower tempo_blocklist_poll.",
            )
    if v["tempo_profile"] == "distributed" and v["tempo_replication_factor"] > v["tempo_ingester_replicas"]:
        raise InvalidInput(
            f"tempo_replication_factor is {v['tempo_replication_factor']}, but tempo_ingester_replicas is only "
            f"{v['tempo_ingester_replicas']}",
            "every span is written to as many different ingesters as the replication factor says",
            "Raise tempo_ingester_replicas or lower tempo_replication_factor.",
        )
    if v["tempo_metrics_generator_enabled"] and not v["tempo_metrics_generator_remote_write_url"]:
        raise InvalidInput(
            "tempo_metrics_generator_remote_write_url is empty, but tempo_metrics_generator_enabled is true",
            remedy="Set the URL of a Prometheus remote-write receiver, for example http://prometheus:9090/api/v1/write.",
        )
    if newer_than_config(v["tempo_image_tag"]):
        raise InvalidInput(f"tempo_image_tag is {v['tempo_image_tag']}", NEWER, VERSION_REMEDY)
