# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The tempo role's variables with their types, and what is wrong or doubtful about them. Pure: no I/O, no Ansible.

The rules are those that the argument spec cannot express and that Tempo reports late, obscurely or never. Each compares
only variables that are there and have no error of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import GIBIBYTE, MEBIBYTE, QUANTITY_REMEDY
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, errors
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader, boolean, size, usable
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import MAX_EXPORT_BYTES, kept_spans
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import TEMPO, TEMPO_3, dotted, minor
from ansible_collections.orion.tracing.plugins.module_utils.tempo.keys import unknown_keys

Variables = Mapping[str, Any]

PROFILES = ("distributed", "monolithic", "kafka")
ADDRESSING_STYLES = ("", "auto", "path", "virtual")
# By profile: Tempo's -target, and the prefix of the component's variables.
COMPONENTS: dict[str, dict[str, str]] = {
    "distributed": {
        "distributor": "tempo_distributor",
        "ingester": "tempo_ingester",
        "querier": "tempo_querier",
        "query-frontend": "tempo_query_frontend",
        "compactor": "tempo_compactor",
        "metrics-generator": "tempo_metrics_generator",
    },
    "monolithic": {"all": "tempo_monolithic"},
    "kafka": {
        "distributor": "tempo_distributor",
        "block-builder": "tempo_block_builder",
        "live-store": "tempo_live_store",
        "backend-scheduler": "tempo_backend_scheduler",
        "backend-worker": "tempo_backend_worker",
        "querier": "tempo_querier",
        "query-frontend": "tempo_query_frontend",
        "metrics-generator": "tempo_metrics_generator",
    },
}
# One instance each: Tempo supports no more.
SINGLE = ("all", "backend-scheduler")
GENERATOR = "metrics-generator"

# Go durations in tempo.yaml.
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
    "tempo_live_store_trace_idle_period",
    "tempo_live_store_max_block_duration",
    "tempo_live_store_complete_block_timeout",
    "tempo_block_builder_consume_cycle_duration",
    "tempo_kafka_topic_retention",
)
# Whole numbers, and the smallest value of each. Numbers of pods are not among them.
INTEGERS = {
    "tempo_compaction_max_block_bytes": 1,
    "tempo_ingestion_rate_limit_bytes": 0,
    "tempo_ingestion_burst_size_bytes": 0,
    "tempo_max_traces_per_user": 0,
    "tempo_max_bytes_per_trace": 0,
    "tempo_memcached_replicas": 1,
    "tempo_memcached_memory_mib": 64,
    "tempo_search_concurrent_jobs": 1,
    "tempo_run_as_user": 0,
    "tempo_run_as_group": 0,
    "tempo_fs_group": 0,
    "tempo_kafka_topic_partitions": 0,
    "tempo_kafka_topic_replication_factor": 1,
    "tempo_kafka_topic_min_insync_replicas": 1,
    "tempo_kafka_topic_max_message_bytes": 1,
    "tempo_search_target_bytes_per_job": 1,
}
# Text that may be empty.
TEXTS = (
    "tempo_s3_prefix",
    "tempo_s3_addressing_style",
    "tempo_s3_credentials_secret",
    "tempo_s3_ca_secret",
    "tempo_priority_class_name",
    "tempo_ingester_storage_class",
    "tempo_live_store_storage_class",
    "tempo_kafka_address",
    "tempo_kafka_topic_address",
    "tempo_kafka_sasl_secret",
    "tempo_metrics_generator_remote_write_url",
    "tempo_block_version",
)
# The name by which other roles know Tempo's Services.
FRONT = "tempo"
RELEASE = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
BOOLEANS = (
    "tempo_front_services_enabled",
    "tempo_traceql_metrics_enabled",
    "tempo_ipv6_only",
    "tempo_s3_insecure",
    "tempo_compaction_enabled",
    "tempo_memcached_enabled",
    "tempo_metrics_generator_enabled",
    "tempo_network_policy_enabled",
)
MAPPINGS_OF_STRINGS = ("tempo_service_account_annotations", "tempo_node_selector", "tempo_environment")
LISTS_OF_MAPPINGS = (
    "tempo_dedicated_columns",
    "tempo_tolerations",
    "tempo_network_policy_otlp_from",
    "tempo_network_policy_query_from",
    "tempo_network_policy_admin_from",
)
LISTS_OF_STRINGS = (
    "tempo_secret_files",
    "tempo_config_map_files",
    "tempo_zones",
    "tempo_memcached_addresses",
    "tempo_memcached_roles",
    "tempo_metrics_generator_service_graph_dimensions",
    "tempo_metrics_generator_span_metrics_dimensions",
)
# The load that limits are derived from where they are 0, with the collector role's defaults. Its variables are there
# only where an inventory sets them.
LOAD = {
    "tracing_expected_traces_per_second": 1000,
    "tracing_expected_spans_per_trace": 20,
    "tracing_expected_bytes_per_span": 500,
    "tracing_expected_kept_percentage": 25,
    "collector_max_total_spans_per_second": 0,
    "collector_max_total_bytes_per_second": 0,
}

# The minor versions of Tempo whose configuration the role generates, by the major one, and a tag of each.
LINES = {found[0]: found for found in (minor(TEMPO), minor(TEMPO_3))}
TAGS = {minor(TEMPO): TEMPO, minor(TEMPO_3): TEMPO_3}
# The line of a profile whose image does not name a version, and the lines of each profile.
VERSION, VERSION_3 = minor(TEMPO), minor(TEMPO_3)
PROFILE_LINES = {"distributed": (VERSION,), "monolithic": (VERSION, VERSION_3), "kafka": (VERSION_3,)}
# host:port, one of a broker: Tempo passes it to its Kafka client as a single seed.
# Source: pkg/ingest/writer_client.go (kgo.SeedBrokers) of v3.0.3.
BROKER = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):\d{1,5}")
# Source: https://github.com/apache/kafka, Topic.java (LEGAL_CHARS, MAX_NAME_LENGTH)
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")

# host or host:port, as Tempo's S3 client takes it.
ENDPOINT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")

ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Variables of the environment that the chart sets.
RESERVED = {
    "GOMEMLIMIT": "It follows the memory limit: set the component's resources.",
    "AWS_ACCESS_KEY_ID": "Use tempo_s3_credentials_secret.",
    "AWS_SECRET_ACCESS_KEY": "Use tempo_s3_credentials_secret.",
    "TEMPO_POD_IP": "Remove it.",
}
# A zone is part of the name of a StatefulSet, and of its pods' host names.
ZONE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")
# Source: vendor/github.com/grafana/dskit/dns/provider.go of v2.10.8 and v3.0.3
MEMCACHED = re.compile(r"(?:dns\+|dnssrv\+|dnssrvnoa\+)?[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::\d{1,5})?")
# Source: pkg/cache/cache.go of v2.10.8 and v3.0.3
CACHE_ROLES = (
    "bloom",
    "trace-id-index",
    "parquet-footer",
    "parquet-column-idx",
    "parquet-offset-idx",
    "parquet-page",
    "frontend-search",
)
# Source: pkg/ingest/config.go of v3.0.3 (producerBatchMaxBytes).
LARGEST_BATCH = 16_000_000
# Largest gRPC messages that Tempo's servers accept, and its clients, by default; queriers also send no larger ones than
# the former. Source: cmd/tempo/app/config.go, modules/querier/config.go of v2.10.8, and grpcclient of its dskit.
GRPC_SERVER_BYTES, GRPC_CLIENT_BYTES = 16 * MEBIBYTE, 100 * MEBIBYTE
# Versions of blocks that each line of Tempo writes. 3.0 still starts with vParquet3, but does not support it.
# Source: tempodb/encoding/versioned.go of v2.10.8, docs/sources/tempo/release-notes/v3-0.md of v3.0.3.
BLOCK_VERSIONS = {VERSION: ("v2", "vParquet3", "vParquet4", "vParquet5"), VERSION_3: ("vParquet4", "vParquet5")}
# Dedicated columns, at most, by type, for each scope. Source: tempodb/backend/block_meta.go of v2.10.8.
DEDICATED_COLUMNS = {"string": 10, "int": 5}
DEDICATED_SCOPES = ("span", "resource", "event")


def line(variables: Variables) -> tuple[int, int]:
    """The minor version of Tempo whose configuration these variables get: of those that the profile runs with, that of
    the image's major version. A tag that does not name a version, or does not fit, gets the first of them.
    """
    lines = PROFILE_LINES.get(str(variables.get("tempo_profile")), (VERSION,))
    version = images.tagged_version(variables.get("tempo_image_tag"))
    wanted = LINES.get(version[0]) if version else VERSION_3 if _rolling(variables) else None
    return wanted if wanted in lines else lines[0]


def _rolling(variables: Variables) -> bool:
    """Whether the image is upstream's newest, which is Tempo 3."""
    tag, repository = str(variables.get("tempo_image_tag")), str(variables.get("tempo_image_repository", ""))
    return repository.endswith("grafana/tempo") and re.match(r"latest$|main\b", tag.strip()) is not None


def components(v: Variables) -> dict[str, str]:
    """Of what runs: Tempo's -target, and the prefix of the component's variables. v: as read returns them."""
    found = COMPONENTS[v["tempo_profile"]]
    return {name: prefix for name, prefix in found.items() if name != GENERATOR or generates(v)}


def generates(v: Variables) -> bool:
    """Whether the metrics-generator is needed: for metrics, and in 2.10 for TraceQL metrics, whose blocks it writes."""
    return bool(v["tempo_metrics_generator_enabled"] or local_blocks(v))


def local_blocks(v: Variables) -> bool:
    """Whether the generator's processor of that name is needed; 3.0 answers TraceQL metrics without it."""
    return bool(v["tempo_traceql_metrics_enabled"] and line(v) == VERSION)


def read(variables: Variables) -> tuple[dict[str, Any], list[Finding]]:
    """All variables, those of the role with their types, and the findings. With errors among them, the values must not
    be used.
    """
    reader = Reader(variables)
    v = dict(variables)
    v["tempo_profile"] = reader.choice("tempo_profile", PROFILES)
    for name in ("tracing_namespace", "tempo_s3_region", "tempo_kafka_topic"):
        v[name] = reader.text(name)
    name = "tempo_release_name"
    v[name] = reader.text(name)
    if reader.sound(name) and not RELEASE.fullmatch(v[name]):
        reader.wrong(name, f"is '{v[name]}', not a name", "Give up to 40 lower-case letters, digits and '-'.")
    for name in TEXTS:
        v[name] = reader.text(name, empty=True)
    for name, minimum in INTEGERS.items():
        v[name] = reader.integer(name, minimum=minimum)
    for name in BOOLEANS:
        v[name] = reader.boolean(name)
    for name in MAPPINGS_OF_STRINGS:
        v[name] = reader.strings(name)
    for name in LISTS_OF_MAPPINGS:
        v[name] = reader.listing(name, dict)
    for name in LISTS_OF_STRINGS:
        v[name] = reader.listing(name, str)
    v["tempo_ingestion_rate_strategy"] = reader.choice("tempo_ingestion_rate_strategy", ("local", "global"))
    v["tempo_secret_environment"] = reader.mapping("tempo_secret_environment")
    v["tempo_kafka_topic_state"] = reader.choice("tempo_kafka_topic_state", ("ignored", "checked", "present"))
    v["tempo_log_level"] = reader.choice("tempo_log_level", ("info", "debug", "warn", "error"))
    v["tempo_extra_config"] = reader.mapping("tempo_extra_config")
    for component, prefix in components(v).items():
        v[f"{prefix}_resources"] = reader.resources(f"{prefix}_resources")
        if component not in SINGLE:
            v[f"{prefix}_replicas"] = reader.integer(f"{prefix}_replicas", minimum=1)
    distributed = v["tempo_profile"] == "distributed"
    v["tempo_replication_factor"] = reader.integer("tempo_replication_factor", minimum=1) if distributed else 1
    for name in ("tempo_ingester_storage_size", "tempo_live_store_storage_size"):
        if reader.size(name) == 0 and reader.sound(name):
            reader.wrong(name, f"is '{v[name]}', not larger than zero", QUANTITY_REMEDY)
    seconds = {name: reader.duration(name, positive=True) for name in TEMPO_DURATIONS}
    load = [reader.number(name, default) for name, default in LOAD.items()]
    v["kept_bytes_per_second"] = kept_spans(*load) * load[2]
    _image(reader, variables)
    _bucket(reader, v)
    _times(reader, v, seconds)
    _copies(reader, v, distributed)
    _limits(reader, v)
    _volume(reader, v, seconds)
    _kafka(reader, v)
    _generator(reader, v)
    _environment(reader, v)
    _placed(reader, v)
    _cache(reader, v)
    _extra(reader, v)
    return v, reader.findings


def findings(variables: Variables) -> list[Finding]:
    """What is wrong, or, if nothing is, doubtful about the role's variables. A variable that is not there has no
    finding.
    """
    found = list(dict.fromkeys(read(variables)[1]))
    # Warnings compare several variables, and one that is wrong or missing would make them meaningless.
    return [finding for finding in errors(found) or found if finding.variable in variables]


def _image(reader: Reader, variables: Variables) -> None:
    found = [*images.problems(variables, "tempo"), *images.pull_secret_problems(variables, "tempo")]
    reader.findings += found
    name = "tempo_image_tag"
    if name not in variables or name in {finding.variable for finding in found}:
        return
    tag, profile = str(variables[name]).strip(), str(variables.get("tempo_profile"))
    lines = PROFILE_LINES.get(profile, (VERSION,))
    version = images.tagged_version(tag)
    wanted = line(variables)
    remedy = _version_remedy(profile, lines)
    if version and version[0] not in {found[0] for found in lines}:
        reader.wrong(
            name,
            f"is {tag}, but the role's configuration for tempo_profile {profile} is that of Tempo {_lines(lines)}",
            remedy,
            _WHY_NOT.get((profile, version[0]), "other versions refuse it"),
        )
    elif _rolling(variables) and VERSION_3 not in lines:
        reader.wrong(
            name,
            f"is {tag}, but the role's configuration for tempo_profile {profile} is that of Tempo {_lines(lines)}",
            remedy,
            f"{_WHY_NOT[('distributed', 3)]}; {tag} is Tempo 3",
        )
    elif version is None:
        reader.doubtful(
            name,
            f"is {tag}, which does not name a version",
            remedy,
            f"the role's configuration is that of Tempo {dotted(wanted)}, and other versions may refuse it",
        )
    elif version != wanted:
        reader.doubtful(
            name,
            f"is {tag}, but the role's configuration is that of Tempo {dotted(wanted)}, the only one tested",
            f"Use a tag of {dotted(wanted)}, such as {TAGS[wanted]}.",
        )


# By profile, and the major version that it does not run with.
_WHY_NOT = {
    ("distributed", 3): "Tempo 3 has no ingesters and no compactor, and refuses it",
    ("kafka", 2): "Tempo 2 has neither live-stores nor a backend-scheduler of this kind",
}


def _lines(lines: Sequence[tuple[int, int]]) -> str:
    return " or ".join(map(dotted, lines))


def _version_remedy(profile: str, lines: Sequence[tuple[int, int]]) -> str:
    tags = " or ".join(TAGS[one] for one in lines)
    other = {"distributed": "kafka, which is Tempo 3's (docs/tempo-3.md)", "kafka": "distributed, which is Tempo 2's"}
    instead = f", or tempo_profile: {other[profile]}" if profile in other else ""
    return f"Use a tag of {_lines(lines)}, such as {tags}{instead}."


def _bucket(reader: Reader, v: Variables) -> None:
    name = "tempo_s3_bucket"
    if name in v and not v[name]:
        reader.wrong(name, "is empty", "Set object_storage_bucket, or tempo_s3_bucket itself.")
    elif name not in v:
        reader.wrong(name, "is not defined")
    name = "tempo_s3_endpoint"
    endpoint = str(v.get(name) or "")
    if name not in v:
        reader.wrong(name, "is not defined")
    elif not ENDPOINT.fullmatch(endpoint):
        scheme, bare = re.match(r"(\w+)://", endpoint), re.sub(r"^\w+://", "", endpoint).split("/")[0]
        remedy = f"Write {bare or 's3.us-east-1.amazonaws.com'}"
        if scheme:
            remedy += f", and set tempo_s3_insecure: {'true' if scheme[1] == 'http' else 'false'}"
        what = f"is '{endpoint}', which has a scheme" if scheme else f"is '{endpoint}', not host or host:port"
        reader.wrong(name, what, f"{remedy}.", "Tempo's S3 client takes neither a scheme nor a path")
    style = v.get("tempo_s3_addressing_style")
    if style not in (None, *ADDRESSING_STYLES):
        reader.wrong(
            "tempo_s3_addressing_style", f"is '{style}', not one of the choices", "Choose auto, path or virtual, or ''."
        )
    prefix = str(v.get("tempo_s3_prefix") or "")
    if prefix.startswith("/"):
        reader.wrong(
            "tempo_s3_prefix",
            f"is '{prefix}', which begins with a slash",
            f"Write '{prefix.strip('/')}'. If there are blocks under the old prefix, set it in tempo_extra_config "
            "(storage.trace.s3.prefix) instead.",
            "the keys of all blocks would begin with it, so lifecycle rules without it would not apply to them",
        )
    if reader.sound("tempo_s3_insecure", "tempo_s3_ca_secret") and v["tempo_s3_insecure"] and v["tempo_s3_ca_secret"]:
        reader.wrong(
            "tempo_s3_ca_secret",
            "is set, but tempo_s3_insecure turns TLS off",
            "Set tempo_s3_insecure to false, or leave tempo_s3_ca_secret empty.",
        )


def _times(reader: Reader, v: Variables, seconds: Mapping[str, float]) -> None:
    """Tempo only warns of these (Config.CheckConfig), and then loses track of blocks for a while."""
    poll = "tempo_blocklist_poll"
    recent = "tempo_live_store" if line(v) == VERSION_3 else "tempo_ingester"
    for name in (
        f"{recent}_complete_block_timeout",
        "tempo_compaction_compacted_block_retention",
        "tempo_retention",
    ):
        if reader.sound(name, poll) and seconds[name] < seconds[poll]:
            reader.wrong(
                name,
                f"is {v[name]}, shorter than {poll} ({v[poll]})",
                f"Raise it, or lower {poll}.",
                "queriers would miss traces, or read blocks that are gone, until their next poll",
            )


def _copies(reader: Reader, v: Variables, distributed: bool) -> None:
    name, pods = "tempo_replication_factor", "tempo_ingester_replicas"
    if not distributed or not reader.sound(name):
        return
    if v[name] % 2 == 0:
        reader.wrong(
            name,
            f"is {v[name]}, an even number",
            "Give 3, or 1 where loss is acceptable.",
            "a write needs a majority, so an even factor stores one more copy and survives no more failures",
        )
    if reader.sound(pods) and v[name] > v[pods]:
        reader.wrong(
            name,
            f"is {v[name]}, but {pods} is only {v[pods]}",
            f"Set {pods} to at least {v[name]}, or {name} to 1.",
            "every span is written to that many different ingesters",
        )


def _limits(reader: Reader, v: Variables) -> None:
    name = "tempo_ingestion_burst_size_bytes"
    if reader.sound(name) and 0 < v[name] < MAX_EXPORT_BYTES:
        # Source: modules/distributor/distributor.go: a request that is larger than the burst is never accepted.
        reader.wrong(
            name,
            f"is {v[name]}, less than the largest request of the samplers ({MAX_EXPORT_BYTES} bytes)",
            f"Give {MAX_EXPORT_BYTES} or more, or 0 to derive it.",
            "Tempo refuses a request that is larger than the burst each time it is sent",
        )
    name = "tempo_max_bytes_per_trace"
    if reader.sound(name) and v[name] == 0:
        reader.doubtful(
            name,
            "is 0, so traces of any size are stored",
            "Set a limit: message sizes are then derived from it.",
            f"a trace that exceeds Tempo's largest gRPC message ({GRPC_SERVER_BYTES // MEBIBYTE} MiB) cannot be read",
        )


def grpc_message_bytes(max_bytes_per_trace: int) -> int:
    """Largest gRPC message between Tempo's components, in whole MiB: twice the largest trace, since what surrounds the
    spans in an answer is not counted in the trace's size.

    Source: docs/sources/tempo/troubleshooting/querying/response-too-large.md of v2.10.8.
    """
    return max(-(-2 * max_bytes_per_trace // MEBIBYTE) * MEBIBYTE, GRPC_SERVER_BYTES)


def volume(v: Variables) -> tuple[str, str]:
    """The prefixes of the variables of the volume with recent blocks, and of the times for which blocks stay on it. A
    single instance has its volume's variables in common on both lines.
    """
    times = "tempo_live_store" if line(v) == VERSION_3 else "tempo_ingester"
    return "tempo_live_store" if v["tempo_profile"] == "kafka" else "tempo_ingester", times


def _volume(reader: Reader, v: Variables, seconds: Mapping[str, float]) -> None:
    """What holds recent blocks keeps each until complete_block_timeout after it is complete, whatever the volume."""
    prefix, of_times = volume(v)
    name, replicas = f"{prefix}_storage_size", f"{prefix}_replicas"
    times = (f"{of_times}_max_block_duration", f"{of_times}_complete_block_timeout")
    pods = {"distributed": ("tempo_replication_factor", replicas), "kafka": (replicas,)}.get(v["tempo_profile"], ())
    if not reader.sound(name, *times, *pods, *(one for one in LOAD if one in v)):
        return
    share = v["tempo_replication_factor"] / v[replicas] if pods else 1
    needed = v["kept_bytes_per_second"] * share * sum(seconds[one] for one in times)
    there = usable(0, size, v[name])
    if needed > there:
        who = {"distributed": "an ingester", "kafka": "a live-store"}.get(v["tempo_profile"], "the instance")
        reader.doubtful(
            name,
            f"is {v[name]}, but at the expected load {who} keeps {needed / GIBIBYTE:.1f} GiB on it",
            f"Raise it, or lower {times[1]} ({v[times[1]]}) or {times[0]} ({v[times[0]]}).",
            f"a block stays on the volume for both of these times, and {who} stops when the volume is full",
        )


def _kafka(reader: Reader, v: Variables) -> None:
    name = "tempo_kafka_address"
    if v["tempo_profile"] != "kafka":
        return
    if reader.sound(name) and not BROKER.fullmatch(v[name]):
        fault = "is empty, but tempo_profile is kafka" if not v[name] else f"is '{v[name]}', not one host:port"
        reader.wrong(
            name,
            fault,
            "Give the address of one broker, or of a Service in front of them, such as kafka-bootstrap.kafka.svc:9092.",
            "Tempo's Kafka client starts from one address, and learns the other brokers from it",
        )
    elif name not in v:
        reader.wrong(name, "is not defined")
    name = "tempo_kafka_topic"
    if reader.sound(name) and not TOPIC.fullmatch(v[name]):
        reader.wrong(name, f"is '{v[name]}', not the name of a topic", "Give up to 249 letters, digits, '.', '_', '-'.")
    _topic(reader, v)
    name, stores = "tempo_block_builder_replicas", "tempo_live_store_replicas"
    if reader.sound(name, stores) and v[stores] % v[name]:
        reader.wrong(
            name,
            f"is {v[name]}, which does not divide {stores} ({v[stores]})",
            f"Set it to {v[stores]}, or to a number that divides that.",
            "each live-store owns a partition of the topic, and every block-builder reads the same number of them: one "
            "that is left over would not be stored, or a block-builder without a partition would end",
        )


def _topic(reader: Reader, v: Variables) -> None:
    name, state = "tempo_kafka_topic_address", "tempo_kafka_topic_state"
    if reader.sound(name, state) and v[state] != "ignored" and not BROKER.fullmatch(v[name]):
        reader.wrong(
            name,
            f"is '{v[name]}', not one host:port",
            "Give the address of a broker as this machine reaches it, such as kafka.example.com:9092.",
        )
    name, stores = "tempo_kafka_topic_partitions", "tempo_live_store_replicas"
    if reader.sound(name, stores) and 0 < v[name] < v[stores]:
        reader.wrong(
            name,
            f"is {v[name]}, less than {stores} ({v[stores]})",
            f"Set it to {v[stores]} or more, or to 0.",
            "each live-store owns the partition of its number",
        )
    name, copies = "tempo_kafka_topic_min_insync_replicas", "tempo_kafka_topic_replication_factor"
    if reader.sound(name, copies) and v[name] > v[copies]:
        reader.wrong(
            name,
            f"is {v[name]}, more than {copies} ({v[copies]})",
            "Lower it: one less lets one broker fail.",
            "nothing could ever be written",
        )
    name = "tempo_kafka_topic_max_message_bytes"
    if reader.sound(name) and v[name] < LARGEST_BATCH:
        reader.wrong(
            name,
            f"is {v[name]}, less than the largest batch that Tempo writes ({LARGEST_BATCH} bytes)",
            f"Set it to {LARGEST_BATCH} or more.",
            "the broker refuses larger batches, and their spans are lost",
        )
    name, copies = "tempo_kafka_topic_replication_factor", "tempo_kafka_topic_state"
    if reader.sound(name, copies) and v[copies] != "ignored" and v[name] == 1:
        reader.doubtful(
            name,
            "is 1, so spans that are not in the bucket yet are on one broker alone",
            "Set it to 3 where the cluster has as many brokers.",
        )


def _generator(reader: Reader, v: Variables) -> None:
    name = "tempo_metrics_generator_remote_write_url"
    extra = v["tempo_extra_config"]
    if reader.sound("tempo_metrics_generator_enabled") and v["tempo_metrics_generator_enabled"] and not v[name]:
        reader.wrong(
            name,
            "is empty, but tempo_metrics_generator_enabled is true",
            "Set the URL of a Prometheus remote-write receiver, such as http://prometheus:9090/api/v1/write.",
        )
    place = Place("tempo_extra_config").key("metrics_generator").key("storage").key("remote_write")
    given = inside(extra, "metrics_generator", "storage", "remote_write")
    for index, entry in enumerate(given if isinstance(given, list) else []):
        if isinstance(entry, Mapping) and not entry.get("url"):
            reader.wrong(
                place.item(index).key("url"),
                "is missing",
                f"Repeat the URL of {name} in each entry.",
                "a list in tempo_extra_config replaces the whole list that the role generates",
            )


def _extra(reader: Reader, v: Variables) -> None:
    extra, place = v["tempo_extra_config"], Place("tempo_extra_config")
    # Another minor version may define other keys.
    version, ours = images.tagged_version(v.get("tempo_image_tag")), line(v)
    if version is None or version == ours or version[0] != ours[0]:
        reader.findings += unknown_keys(extra, place, ours)
    block = place.key("storage").key("trace").key("block")
    written = inside(extra, "storage", "trace", "block", "version")
    for where, found in (
        (block.key("version"), written),
        (Place("tempo_block_version"), v["tempo_block_version"] or None),
    ):
        if found is not None and found not in BLOCK_VERSIONS[ours]:
            reader.wrong(where, f"is {found!r}", f"Choose {' or '.join(BLOCK_VERSIONS[ours])}.",
                         f"Tempo {dotted(ours)} does not support writing blocks of another version")  # fmt: skip
    _columns(reader, v["tempo_dedicated_columns"], Place("tempo_dedicated_columns"))
    _columns(reader, inside(extra, "storage", "trace", "block", "parquet_dedicated_columns"),
             block.key("parquet_dedicated_columns"))  # fmt: skip


def _environment(reader: Reader, v: Variables) -> None:
    """Names of environment variables, and the Secrets and ConfigMaps that are named."""
    for name in ("tempo_environment", "tempo_secret_environment"):
        for key in v[name]:
            if not ENVIRONMENT.fullmatch(str(key)):
                reader.wrong(Place(name).key(key), "is not the name of an environment variable",
                             "Use letters, digits and '_'.")  # fmt: skip
            elif str(key) in RESERVED or str(key).startswith("TEMPO_KAFKA_"):
                reader.wrong(Place(name).key(key), "is set by the role itself", RESERVED.get(str(key), "Remove it."))
    for key in set(map(str, v["tempo_environment"])) & set(map(str, v["tempo_secret_environment"])):
        reader.wrong(Place("tempo_secret_environment").key(key), "is in tempo_environment too", "Remove one of them.")
    for key, source in v["tempo_secret_environment"].items():
        place = Place("tempo_secret_environment").key(key)
        if not isinstance(source, Mapping) or set(source) != {"secret", "key"}:
            reader.wrong(place, f"is {source!r}, not a Secret and its key", "Write {secret: NAME, key: KEY}.")
        elif not images.OBJECT_NAME.fullmatch(str(source["secret"])) or not str(source["key"] or ""):
            reader.wrong(place, f"is {source!r}, not the name of a Secret and one of its keys",
                         "Write {secret: NAME, key: KEY}.")  # fmt: skip
    for name in ("tempo_secret_files", "tempo_config_map_files"):
        for index, item in enumerate(v[name]):
            if not images.OBJECT_NAME.fullmatch(item) or v[name].index(item) != index:
                fault = "is there twice" if item in v[name][:index] else f"is {item!r}, not the name of an object"
                reader.wrong(Place(name).item(index), fault, "Give names in tracing_namespace, each once.")


def _placed(reader: Reader, v: Variables) -> None:
    """Zones of pods."""
    name, zones = "tempo_zones", v["tempo_zones"]
    for index, zone in enumerate(zones):
        if not ZONE.fullmatch(zone) or zone in zones[:index]:
            fault = "is there twice" if zone in zones[:index] else f"is {zone!r}, not the name of a zone"
            reader.wrong(Place(name).item(index), fault, "Give values of topology.kubernetes.io/zone, each once.")
    if not zones or not reader.sound(name):
        return
    if v["tempo_profile"] == "monolithic":
        reader.wrong(name, "is set, but tempo_profile is monolithic", "Leave it empty.", "one instance is in one zone")
    elif v["tempo_profile"] == "distributed":
        copies, pods = "tempo_replication_factor", "tempo_ingester_replicas"
        if reader.sound(copies) and len(zones) < v[copies]:
            reader.wrong(
                name,
                f"has {len(zones)} zones, fewer than {copies} ({v[copies]})",
                f"Name {v[copies]} zones or more.",
                "each copy of a span goes to an ingester of another zone",
            )
        if reader.sound(pods) and v[pods] % len(zones):
            reader.wrong(
                pods,
                f"is {v[pods]}, not a multiple of the {len(zones)} zones of {name}",
                f"Set it to {-(-v[pods] // len(zones)) * len(zones)}.",
                "every zone has the same number of ingesters",
            )


def _cache(reader: Reader, v: Variables) -> None:
    name = "tempo_memcached_addresses"
    for index, address in enumerate(v[name]):
        if not MEMCACHED.fullmatch(address):
            reader.wrong(
                Place(name).item(index),
                f"is {address!r}, not an address of memcached",
                "Write host:port, or dns+host:port for every address that a name has.",
            )
    name = "tempo_memcached_roles"
    for index, role in enumerate(v[name]):
        if role not in CACHE_ROLES:
            reader.wrong(Place(name).item(index), f"is {role!r}", f"Choose {', '.join(CACHE_ROLES)}.")
    if caches(v, "tempo") and not v[name]:
        given = (
            "tempo_memcached_addresses is not" if v["tempo_memcached_addresses"] else "tempo_memcached_enabled is true"
        )
        reader.wrong(name, f"is empty, but {given}", f"Name some of {', '.join(CACHE_ROLES)}.")
    reader.findings += images.problems(v, "tempo_memcached")


def caches(v: Variables, release_name: str) -> list[str]:
    """Addresses of the servers of memcached, the release's own first."""
    own = f"dns+{release_name}-memcached.{v['tracing_namespace']}.svc:11211"
    return [*([own] if v["tempo_memcached_enabled"] else []), *v["tempo_memcached_addresses"]]


def multitenancy(variables: Variables) -> bool:
    """Whether tempo_extra_config switches multitenancy on."""
    extra = variables.get("tempo_extra_config")
    enabled = extra.get("multitenancy_enabled", False) if isinstance(extra, Mapping) else False
    return usable(False, boolean, enabled)


def _columns(reader: Reader, columns: Any, place: Place) -> None:
    counts: dict[tuple[str, str], int] = {}
    for column in columns if isinstance(columns, list) else []:
        if isinstance(column, Mapping):
            kind = (str(column.get("type", "string")), str(column.get("scope", "span")))
            counts[kind] = counts.get(kind, 0) + 1
    for (kind_, scope), count in counts.items():
        most = DEDICATED_COLUMNS.get(kind_)
        if most is None or scope not in DEDICATED_SCOPES:
            reader.wrong(
                place,
                f"has a column of type {kind_} and scope {scope}",
                f"Choose type {' or '.join(DEDICATED_COLUMNS)}, and scope {' or '.join(DEDICATED_SCOPES)}.",
            )
        elif count > most:
            reader.wrong(place, f"has {count} columns of type {kind_} and scope {scope}", f"Give at most {most}.")
