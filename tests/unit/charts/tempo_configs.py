# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Configurations that the tempo role generates, approved by Tempo itself and kept in approved/tempo.

Tempo is not always at hand (docs/testing.md), but whether a configuration is the one that Tempo has accepted can always
be told. After a change of it, where Tempo's image is at hand,

    make tempo-configs

writes every configuration of its minor version that Tempo accepts, with Tempo's version in its first line; those of
Tempo 3 where its image is at hand, or ORION_TEMPO_3 names its binary. Look at the difference, and commit it. What Tempo
refuses, or warns of, is printed, and nothing of it is written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted, minor
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_config, tempo_values
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import CACHE_ROLES
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "tempo"
APPROVED = Path(__file__).parent / "approved" / "tempo"
COMMAND = "ORION_TEMPO=PATH python tests/unit/charts/tempo_configs.py"
ACCEPTED_BY = "# Accepted by Tempo "
# Beside the role's own variables, as in roles/tempo/tasks/main.yml.
LIMITS = ("collector_max_total_spans_per_second", "collector_max_total_bytes_per_second")
# Without the image, which is not in tempo.yaml, and which the local inventory reads from a file.
OF_THE_MACHINE = re.compile(r"__local|\blookup\(")
IN_CONFIGURATION = re.compile(
    r"tempo_(?!image_)|tracing_(namespace|region|retention|expected_\w+)$|object_storage_bucket$"
)

SMALL = {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
SIZES = ("distributor", "ingester", "querier", "query_frontend", "compactor")
GENERATOR = {
    "tempo_metrics_generator_enabled": True,
    "tempo_metrics_generator_remote_write_url": "http://prometheus-operated:9090/api/v1/write",
}
THIRD = {"tempo_image_tag": "3.0.3"}
KAFKA: dict[str, Any] = {**THIRD, "tempo_profile": "kafka", "tempo_kafka_address": "kafka-bootstrap.kafka.svc:9092"}
# A password of remote write, limits of tenants, a region for STS.
FILES: dict[str, Any] = {
    **GENERATOR,
    "tempo_environment": {"AWS_REGION": "eu-central-1", "AWS_STS_REGIONAL_ENDPOINTS": "regional"},
    "tempo_secret_environment": {"REMOTE_WRITE_USER": {"secret": "prometheus", "key": "user"}},
    "tempo_secret_files": ["prometheus"],
    "tempo_config_map_files": ["tempo-tenants"],
    "tempo_extra_config": {
        "metrics_generator": {
            "storage": {
                "remote_write": [
                    {
                        "url": "http://prometheus-operated:9090/api/v1/write",
                        "basic_auth": {
                            "username": "${REMOTE_WRITE_USER}",
                            "password_file": "/etc/tempo/secrets/prometheus/password",
                        },
                    }
                ]
            }
        },
        "overrides": {"per_tenant_override_config": "/etc/tempo/config-maps/tempo-tenants/overrides.yaml"},
    },
}
# What the charts' tests render.
CASES: dict[str, dict[str, Any]] = {
    "production": {},
    "irsa": {
        "tempo_service_account_annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/tempo"},
        "tempo_node_selector": {"pool": "tracing"},
        "tempo_tolerations": [{"key": "tracing", "operator": "Exists", "effect": "NoSchedule"}],
        "tempo_priority_class_name": "high",
        "tempo_image_pull_secrets": ["registry"],
        "tempo_network_policy_query_from": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "tempo_network_policy_admin_from": [{"namespaceSelector": {}}],
    },
    "local": {
        "tempo_s3_endpoint": "seaweedfs.local-backends.svc:8333",
        "tempo_s3_credentials_secret": "tempo-s3",
        "tempo_s3_ca_secret": "tempo-s3",
        "tempo_ingester_storage_size": "1Gi",
        "tempo_ingester_storage_class": "standard",
        "tempo_ingester_min_ready_duration": "1s",
        **{f"tempo_{name}_replicas": 1 for name in ("distributor", "querier", "query_frontend", "compactor")},
        **{f"tempo_{name}_resources": SMALL for name in SIZES},
    },
    "generator": {**GENERATOR, "tempo_compactor_replicas": 2},
    "monolithic": {"tempo_profile": "monolithic", "tempo_s3_credentials_secret": "tempo-s3", "tempo_s3_insecure": True},
    "monolithic-generator": {"tempo_profile": "monolithic", **GENERATOR},
    "monolithic-3": {**THIRD, "tempo_profile": "monolithic", "tempo_s3_credentials_secret": "tempo-s3"},
    "kafka": {**KAFKA, "tempo_s3_credentials_secret": "tempo-s3"},
    "kafka-sasl": {
        **KAFKA,
        **GENERATOR,
        "tempo_kafka_sasl_secret": "tempo-kafka",
        "tempo_live_store_replicas": 6,
        "tempo_block_builder_replicas": 2,
        "tempo_backend_worker_replicas": 2,
    },
    "zones": {"tempo_zones": ["eu-1a", "eu-1b", "eu-1c"], "tempo_ingester_replicas": 6},
    "kafka-zones": {**KAFKA, "tempo_zones": ["eu-1a", "eu-1b"]},
    "openshift": dict.fromkeys(("tempo_run_as_user", "tempo_run_as_group", "tempo_fs_group"), 0),
    "files": FILES,
    "kafka-files-ipv6": {**KAFKA, **FILES, "tempo_ipv6_only": True},
    "ipv6-generator": {**GENERATOR, "tempo_ipv6_only": True, "tempo_metrics_generator_replicas": 2},
    "memcached": {"tempo_memcached_enabled": True, "tempo_memcached_addresses": ["cache.example.com:11211"]},
    "kafka-memcached": {
        **KAFKA,
        "tempo_memcached_enabled": True,
        "tempo_memcached_replicas": 3,
        "tempo_memcached_memory_mib": 2048,
    },
    "open": {"tempo_network_policy_otlp_from": [], "tempo_ingester_storage_class": ""},
    "no-policies": {"tempo_network_policy_enabled": False},
}
LIMITS = {
    "tempo_ingestion_rate_limit_bytes": 15_000_000,
    "tempo_ingestion_burst_size_bytes": 20_000_000,
    "tempo_max_traces_per_user": 100_000,
    "tempo_max_bytes_per_trace": 50_000_000,
    "tempo_retry_after_on_resource_exhausted": "2s",
}
# What goes through tempo_extra_config because it has no variable of its own, and takes other paths through Tempo's
# parser: numbers larger than 2^32, an inlined section, a list of mappings, tenants.
EXTRA = {
    "multitenancy_enabled": True,
    "server": {"log_format": "json", "grpc_server_max_recv_msg_size": 33554432},
    "ingester": {"max_block_bytes": 5368709120, "concurrent_flushes": 8},
    "querier": {"max_concurrent_queries": 40, "search": {"query_timeout": "1m"}},
    "storage": {
        "trace": {
            "pool": {"max_workers": 200, "queue_depth": 20000},
            "s3": {"sse": {"type": "SSE-KMS", "kms_key_id": "alias/tempo"}, "storage_class": "STANDARD_IA"},
            "block": {
                "version": "vParquet4",
                "parquet_dedicated_columns": [{"name": "tenant.id", "type": "string", "scope": "span"}],
            },
        }
    },
    "cache": {"caches": [{"memcached": {"host": "memcached", "service": "client"}, "roles": ["bloom"]}]},
    "overrides": {"defaults": {"read": {"max_bytes_per_tag_values_query": 10000000}}},
}
# Besides, what only changes tempo.yaml.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    **CASES,
    "keys": {"tempo_s3_credentials_secret": "tempo-s3", "tracing_region": "eu-central-1"},
    "prefix": {"tempo_s3_prefix": "tempo/production"},
    "limits": LIMITS,
    "limits-global": {**LIMITS, "tempo_ingestion_rate_strategy": "global"},
    "limits-derived": {"tracing_expected_traces_per_second": 20_000, "tracing_expected_kept_percentage": 50},
    "unlimited-traces": {"tempo_max_traces_per_user": 0, "tempo_max_bytes_per_trace": 0},
    "one-copy": {"tempo_replication_factor": 1, "tempo_ingester_replicas": 1, "tracing_namespace": "observability"},
    "retention": {
        "tempo_retention": "720h",
        "tempo_search_max_duration": "336h",
        "tempo_compaction_window": "4h",
        "tempo_compaction_max_block_bytes": 21474836480,
        "tempo_blocklist_poll": "1m",
    },
    "extra-config": {"tempo_extra_config": EXTRA},
    "monolithic-prefix-extra-config": {
        "tempo_profile": "monolithic",
        "tempo_s3_prefix": "tempo",
        "tempo_s3_credentials_secret": "tempo-s3",
        "tempo_extra_config": {"ingester": {"flush_all_on_shutdown": True}},
    },
    **{
        f"{name}-blocks": {
            **profile,
            "tempo_block_version": "vParquet5",
            "tempo_dedicated_columns": [
                {"name": f"attribute.{i}", "type": "string", "scope": "span"} for i in range(10)
            ],
            "tempo_memcached_addresses": ["dns+memcached.cache.svc:11211", "10.0.0.1:11211"],
            "tempo_memcached_roles": list(CACHE_ROLES),
            "tempo_traceql_metrics_enabled": True,
        }
        for name, profile in (("distributed", {}), ("kafka", KAFKA))
    },
    "traceql-metrics-generator": {**GENERATOR, "tempo_traceql_metrics_enabled": True},
    "monolithic-ipv6": {"tempo_profile": "monolithic", "tempo_ipv6_only": True},
    "monolithic-3-ipv6": {**THIRD, "tempo_profile": "monolithic", "tempo_ipv6_only": True},
    "kafka-limits": {**KAFKA, **LIMITS, "tempo_ingestion_rate_strategy": "global"},
    "kafka-beside-2": {**KAFKA, "tempo_compaction_enabled": False, "tempo_s3_prefix": "tempo/production"},
    "kafka-retention": {
        **KAFKA,
        "tempo_retention": "720h",
        "tempo_compaction_window": "4h",
        "tempo_compaction_max_block_bytes": 21474836480,
        "tempo_blocklist_poll": "1m",
        "tempo_live_store_complete_block_timeout": "30m",
        "tempo_block_builder_consume_cycle_duration": "2m",
    },
    "monolithic-3-generator": {**THIRD, "tempo_profile": "monolithic", **GENERATOR},
    "monolithic-3-extra-config": {
        **THIRD,
        "tempo_profile": "monolithic",
        "tempo_extra_config": {
            "live_store": {"max_block_bytes": 104857600},
            "overrides": {"defaults": {"read": {"left_pad_trace_ids": True}}},
            "storage": {"trace": {"block": {"version": "vParquet5"}}},
        },
    },
    **{f"inventory-{name}": {} for name in ("local", "staging", "production")},
}


def values_of(case: str) -> dict[str, Any]:
    """The values that the role would pass to the chart."""
    given = CONFIGURATIONS[case]
    if case.startswith("inventory-"):
        inventory = ROOT / "inventories" / case.removeprefix("inventory-") / "group_vars" / "all.yml"
        variables = yaml.safe_load(inventory.read_text())
        # What depends on the machine (inventories/local, where Tempo 3 is asked for) has the role's default here.
        variables = {n: value for n, value in variables.items() if not OF_THE_MACHINE.search(str(value))}
        given = {n: value for n, value in variables.items() if IN_CONFIGURATION.match(n) or n in LIMITS}
    return tempo_values(_variables(given))


def config_of(variables: dict[str, Any]) -> dict[str, Any]:
    """tempo.yaml for the role's defaults with these variables over them."""
    return tempo_config(_variables(variables))


def _variables(given: dict[str, Any]) -> dict[str, Any]:
    return role_defaults("tempo", *LIMITS, **{"object_storage_bucket": "orion-traces", **given})


@dataclass(frozen=True)
class Verdict:
    """What Tempo says of a configuration. accepted: it can be parsed, and Tempo warns of nothing."""

    accepted: bool
    output: str


def verify(tempo: str, text: str, *flags: str) -> Verdict:
    """Let Tempo read a tempo.yaml and flags (-config.verify=true; without its value the flag takes the next argument).

    It reads keys and types strictly. It starts nothing, so that it accepts unknown receivers and processors and an
    endpoint that is none: test_tempo_runs.py is about those. A warning makes 2.10 exit with 1 as an error does, and
    makes other versions exit with 0: either way the configuration is not accepted.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tempo.yaml")
        file.write_text(text)
        done = subprocess.run(
            [tempo, f"-config.file={file}", "-config.verify=true", *flags],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    output = (done.stdout + done.stderr).strip()
    return Verdict(done.returncode == 0 and "CONFIGURATION WARNINGS" not in output, output)


def version(tempo: str) -> str:
    """ "2.10.8", of a binary that says "tempo, version v2.10.8 (branch: …)" or the same without the v."""
    done = subprocess.run([tempo, "-version"], capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r"version v?(\d+\.\d+\.\S+)", done.stdout)
    if not found:
        raise ValueError(f"{tempo} -version says {done.stdout.strip()!r}, which names no version")
    return found[1].rstrip(",")


class _Dumper(yaml.SafeDumper):
    """Indents lists, as the project's other YAML files do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def text_of(config: dict[str, Any]) -> str:
    return yaml.dump(config, Dumper=_Dumper, width=120)


@dataclass(frozen=True)
class Approved:
    """versions: those of Tempo that have accepted the configuration."""

    config: dict[str, Any]
    versions: tuple[str, ...]


def file_of(case: str) -> Path:
    return APPROVED / f"{case}.yaml"


def approved(case: str) -> Approved | None:
    """The approved configuration of a case, or None where there is none."""
    file = file_of(case)
    if not file.exists():
        return None
    text = file.read_text()
    head = text.partition("\n")[0]
    versions = head.removeprefix(ACCEPTED_BY).rstrip(".").split(", ") if head.startswith(ACCEPTED_BY) else []
    return Approved(yaml.safe_load(text), tuple(versions))


def approve(tempo: str) -> Iterator[tuple[str, Verdict]]:
    """Each case of Tempo's minor version with what it says of it. Files of what it accepts are written, those of no
    case removed.
    """
    own = version(tempo)
    APPROVED.mkdir(parents=True, exist_ok=True)
    for stale in {*APPROVED.iterdir()} - {file_of(case) for case in CONFIGURATIONS}:
        stale.unlink()
    for case in CONFIGURATIONS:
        values = values_of(case)
        config = values["config"]
        if values["line"] != dotted(minor(own)):
            continue
        verdict = verify(tempo, text_of(config))
        if verdict.accepted:
            before = approved(case)
            # What an earlier version has said of another configuration counts no more.
            earlier = before.versions if before and before.config == config else ()
            versions = sorted({*earlier, own}, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
            file_of(case).write_text(f"{ACCEPTED_BY}{', '.join(versions)}.\n{text_of(config)}")
        yield case, verdict


def main() -> int:
    programs = [os.environ[name] for name in ("ORION_TEMPO", "ORION_TEMPO_3") if os.environ.get(name)]
    if not programs:
        print(f"ORION_TEMPO is not set: {COMMAND}", file=sys.stderr)
        return 2
    refused = 0
    for case, verdict in (one for tempo in programs for one in approve(tempo)):
        print(f"{case}: {'accepted' if verdict.accepted else 'REFUSED'}")
        if not verdict.accepted:
            refused += 1
            print(verdict.output)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
