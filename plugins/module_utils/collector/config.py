# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""From inventory variables to the collector chart's values, as data: no I/O, no Ansible.

The component and option names are those of OpenTelemetry Collector contrib 0.158.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    Destinations,
    Exporter,
    destinations,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.names import (
    detector_findings,
    detector_settings,
    dimension_findings,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    Ceiling,
    default_policies,
    literal,
    modern_policies,
    refused,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import plain
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    MEBIBYTE,
    QUANTITY_REMEDY,
    go_mem_limit,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    Place,
    errors,
    refuse,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    container_memory,
    text,
    usable,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    BYTES_PER_QUEUED_SPAN,
    DISK_PER_BYTE,
    GATEWAY_GOGC,
    GATEWAY_GRACE_SECONDS,
    GOMEMLIMIT,
    MEMORY_HARD_LIMIT,
    MEMORY_REFUSED,
    QUEUE_SHARE_OF_VOLUME,
    SAMPLER_REQUEST_SECONDS,
    decision_cache_size,
    sampler_grace_period,
    sampler_retry_seconds,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import kept_spans, queued_spans
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import COLLECTOR, dotted, minor
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import read_policies

Config = dict[str, Any]

# The first version with load_balancing, the newest of the component names in the configuration.
# Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/pull/48533
OLDEST_COLLECTOR = (0, 153)

POD_IP = "${env:MY_POD_IP}"
POD_NAME = "${env:MY_POD_NAME}"

# Where the chart mounts the samplers' volume.
QUEUE_DIRECTORY = "/var/lib/otelcol/file_storage"
# file_storage starts compaction at 100 MiB, and refuses to start where it may not grow so far.
SMALLEST_VOLUME = 256 * MEBIBYTE
# Of each queue's file, at least.
SMALLEST_FILE = 32 * MEBIBYTE

# What the semantic conventions advise for http.server.request.duration.
LATENCY_BUCKETS = (
    "5ms", "10ms", "25ms", "50ms", "75ms", "100ms", "250ms", "500ms", "750ms", "1s", "2500ms", "5s", "7500ms", "10s",
)  # fmt: skip
# An exemplar carries its own value, so few buckets suffice to spread exemplars over fast and slow requests.
EXEMPLAR_BUCKETS = ("100ms", "1s", "10s")


class _Variables(Reader):
    """Reads the collector's variables, all of which are required."""

    def written(self, name: str) -> str:
        """Of a kind that another method looks after, the text that goes into the configuration."""
        return usable("", text, self._variables.get(name))

    def is_mapping(self, name: str) -> bool:
        return isinstance(self._variables.get(name), Mapping)

    def shares(self, name: str) -> dict[str, int]:
        """Percentages by name; text that reads as a whole number is one."""
        return {
            str(key): int(value) if isinstance(value, str) and value.strip().isdecimal() else value
            for key, value in self.mapping(name).items()
        }

    def routes(self, name: str) -> list[str]:
        routes = self.listing(name, str)
        for index, route in enumerate(routes):
            if not route.startswith("/"):
                self.wrong(Place(name).item(index), f"is '{route}', not a route", f"Begin it with a slash: /{route}.")
        return routes

    def image(self) -> Config:
        """The chart's section image."""
        variables = self._variables
        for name in ("collector_image_repository", "collector_image_tag"):
            if name not in variables:
                self.wrong(name, "is not defined")
        found = [*images.problems(variables, "collector"), *images.pull_secret_problems(variables, "collector")]
        self.findings += found
        if found or not {"collector_image_repository", "collector_image_tag"} <= variables.keys():
            return {}
        self._version(variables["collector_image_tag"])
        return {
            **images.image_values(variables, "collector"),
            "pullPolicy": "IfNotPresent",
            "pullSecrets": images.pull_secrets(variables, "collector"),
        }

    def _version(self, tag: Any) -> None:
        """A tag that does not name a version is not judged."""
        name, version, tested = "collector_image_tag", images.tagged_version(tag), minor(COLLECTOR)
        remedy = f"Use a tag of {dotted(tested)}, such as {COLLECTOR}."
        if version and version < OLDEST_COLLECTOR:
            self.wrong(
                name,
                f"is {tag}, older than {dotted(OLDEST_COLLECTOR)}",
                remedy,
                "it does not have the component names of the role's configuration, such as load_balancing, and refuses "
                "to start",
            )
        elif version and version != tested:
            self.doubtful(
                name, f"is {tag}, but the role's configuration is that of {dotted(tested)}, the only one tested", remedy
            )

    def tier(self, tier: str) -> tuple[dict[str, Any], int]:
        """Replicas, resources and GOMEMLIMIT of a tier, and how many spans its queue may hold."""
        name = f"collector_{tier}_resources"
        resources = self.resources(name)
        try:
            size = container_memory(resources, "limits")
        except ValueError:
            limits = resources.get("limits") or {}
            if self.is_mapping(name) and isinstance(limits, Mapping) and "memory" not in limits:
                self.wrong(
                    Place(name).key("limits").key("memory"),
                    "is missing",
                    QUANTITY_REMEDY,
                    "GOMEMLIMIT and the sizes of the queues are derived from it",
                )
            size = MEBIBYTE
        values = {
            "replicas": self.integer(f"collector_{tier}_replicas", minimum=1),
            "resources": resources,
            "goMemLimit": go_mem_limit(size, GOMEMLIMIT),
        }
        return values, size // BYTES_PER_QUEUED_SPAN


def _plain(number: float) -> float:
    """As the configuration has it: 10 instead of 10.0."""
    return int(number) if number.is_integer() else number


@dataclass(frozen=True, slots=True)
class _Load:
    """What is expected of the platform, and what the samplers keep of it."""

    samplers: int
    traces: float  # per second, over the platform
    spans_per_trace: float
    bytes_per_span: float
    ceiling: Ceiling
    kept: float  # spans per second, over the platform
    outage_minutes: float

    @classmethod
    def of(cls, read: _Variables, samplers: int) -> _Load:
        traces = read.number("tracing_expected_traces_per_second", minimum=0.001)
        spans = read.number("tracing_expected_spans_per_trace", minimum=1)
        size = read.number("tracing_expected_bytes_per_span", minimum=1)
        ceiling = Ceiling(
            spans=read.integer("collector_max_total_spans_per_second"),
            size=read.integer("collector_max_total_bytes_per_second"),
            shares=read.shares("collector_rate_allocation"),
            samplers=samplers,
        )
        percentage = read.number("tracing_expected_kept_percentage", maximum=100)
        kept = kept_spans(traces, spans, size, percentage, ceiling.spans, ceiling.size)
        return cls(samplers, traces, spans, size, ceiling, kept, read.number("collector_outage_minutes"))

    def waiting(self, one: Exporter) -> int:
        """Spans that a sampler keeps while that destination is away."""
        unsampled = self.traces * self.spans_per_trace * one.share / 100
        return queued_spans(self.kept if one.traces == "kept" else unsampled, self.samplers, self.outage_minutes)


def _policies(read: _Variables, load: _Load) -> list[Config]:
    instead = read.listing("collector_tail_sampling_policies")
    extra = read.listing("collector_tail_sampling_extra_policies")
    written = [(Place("collector_tail_sampling_policies").item(i), policy) for i, policy in enumerate(instead)]
    written += [(Place("collector_tail_sampling_extra_policies").item(i), policy) for i, policy in enumerate(extra)]
    built = default_policies(
        _plain(read.number("collector_sampling_percentage", maximum=100)),
        read.integer("collector_latency_threshold_ms"),
        read.routes("collector_critical_routes"),
        read.routes("collector_dropped_routes"),
    )
    # Built policies come first, so a name that is used twice is a problem of the user's policy.
    before = [] if instead else built
    everything = [*before, *(policy for _place, policy in written)]
    decoded = read_policies(everything, [""] * len(everything))[len(before) :]
    good = [item for item, one in zip(written, decoded, strict=True) if not one.all_problems]
    for (place, _policy), one in zip(written, decoded, strict=True):
        read.findings += refused(one, place)
    all_read = len(good) == len(written)
    own, outdated = modern_policies(
        [policy for _place, policy in good], [place for place, _policy in good], alone=all_read and not before
    )
    read.findings += outdated
    policies = before + own
    ceiling = load.ceiling
    if (ceiling.spans or ceiling.size) and read.is_mapping("collector_rate_allocation"):
        found = ceiling.findings(policies, all_read=all_read)
        read.findings += found
        # What was not read, or has no share, cannot be divided either.
        if found or not all_read:
            return policies
        _small_shares(read, load, policies)
        return ceiling.apply(policies)
    return policies


def _small_shares(read: _Variables, load: _Load, policies: list[Config]) -> None:
    """Warnings for policies whose share of a ceiling is smaller than one trace."""
    ceiling = load.ceiling
    what = "its share on each of {samplers} samplers is {share}, less than one trace of {trace}"
    remedy = "Raise the ceiling, or the policy's share in collector_rate_allocation."
    why = "the policy would keep next to nothing"
    for name, percent in ceiling.percentages(policies).items():
        spans = ceiling.spans_per_sampler * percent // 100
        if ceiling.spans and spans < load.spans_per_trace:
            text = what.format(
                samplers=load.samplers, share=f"{spans} spans per second", trace=f"{load.spans_per_trace:g} spans"
            )
            read.doubtful("collector_max_total_spans_per_second", f"policy '{name}': {text}", remedy, why)
        size = 2 * (ceiling.size // ceiling.samplers * percent // 100)
        if ceiling.size and size < load.spans_per_trace * load.bytes_per_span:
            text = what.format(
                samplers=load.samplers,
                share=f"a bucket of {size} bytes",
                trace=f"{load.spans_per_trace:g} spans of {load.bytes_per_span:g} bytes",
            )
            read.doubtful("collector_max_total_bytes_per_second", f"policy '{name}': {text}", remedy, why)


def _retry(initial: str, maximum: str, elapsed: str) -> Config:
    # All five keys: load_balancing has no defaults for them, and a missing interval is a retry without any pause.
    return {
        "enabled": True,
        "initial_interval": initial,
        "max_interval": maximum,
        "max_elapsed_time": elapsed,
        "multiplier": 1.5,
        "randomization_factor": 0.5,
    }


# The without_* switches give metrics the names that the collector uses where no reader is configured, and that its
# documentation shows.
_TELEMETRY_ENDPOINT: Config = {
    "host": POD_IP,
    "port": 8888,
    "without_scope_info": True,
    "without_type_suffix": True,
    "without_units": True,
}


def _service(extensions: list[str], pipelines: Config) -> Config:
    return {
        "extensions": extensions,
        "telemetry": {
            # The pod's name instead of a random id at each start.
            "resource": {"attributes": [{"name": "service.instance.id", "value": POD_NAME}]},
            "metrics": {"readers": [{"pull": {"exporter": {"prometheus": _TELEMETRY_ENDPOINT}}}]},
        },
        "pipelines": pipelines,
    }


_EXTENSIONS: Config = {
    "health_check": {"endpoint": f"{POD_IP}:13133"},
    "zpages": {"endpoint": "localhost:55679"},
    "pprof": {"endpoint": "localhost:1777"},
}
_MEMORY_LIMITER: Config = {
    "check_interval": "1s",
    "limit_percentage": MEMORY_HARD_LIMIT,
    "spike_limit_percentage": MEMORY_HARD_LIMIT - MEMORY_REFUSED,
}


def _receivers(read: _Variables) -> Config:
    """The gateway's, each with the limits of collector_max_recv_msg_size_mib and collector_max_concurrent_streams."""
    mebibytes = read.integer("collector_max_recv_msg_size_mib", minimum=1)
    streams = read.integer("collector_max_concurrent_streams")

    def grpc(port: int) -> Config:
        limits: Config = {"endpoint": f"{POD_IP}:{port}", "max_recv_msg_size_mib": mebibytes}
        return {**limits, "max_concurrent_streams": streams} if streams else limits

    def http(port: int) -> Config:
        # Of the body as it was before compression.
        return {"endpoint": f"{POD_IP}:{port}", "max_request_body_size": mebibytes * MEBIBYTE}

    # A gRPC client stays with one gateway; this spreads clients again after scaling or a restart.
    age = {"keepalive": {"server_parameters": {"max_connection_age": "5m", "max_connection_age_grace": "30s"}}}
    receivers: Config = {"otlp": {"protocols": {"grpc": {**grpc(4317), **age}, "http": http(4318)}}}
    if read.boolean("collector_jaeger_enabled"):
        receivers["jaeger"] = {"protocols": {"grpc": grpc(14250), "thrift_http": http(14268)}}
    if read.boolean("collector_zipkin_enabled"):
        receivers["zipkin"] = http(9411)
    return receivers


def _head_sampling(read: _Variables) -> Config:
    """proportional: by the 56 random bits of the trace id, alike on every gateway, and written to tracestate as ot=th.

    span_metrics multiplies what it counts by that threshold, so rates stay unbiased; service_graph of 0.158 does not.
    tail_sampling's own percentage hashes the trace id, so the two shares multiply.
    Source: processor/probabilisticsamplerprocessor and connector/spanmetricsconnector/internal/metrics/
    adjusted_count.go of contrib 0.158.
    """
    percentage = _plain(read.number("collector_head_sampling_percentage", maximum=100))
    if percentage >= 100:
        return {}
    read.doubtful(
        "collector_head_sampling_percentage",
        f"is {percentage:g}",
        "Lower collector_sampling_percentage instead, or set it to 100.",
        f"{100 - percentage:g} % of the traces, those with errors and slow ones among them, are discarded before the "
        "samplers see them, and service graph rates count only the rest",
        "head-sampling",
    )
    return {"probabilistic_sampler": {"mode": "proportional", "sampling_percentage": percentage}}


def _gateway_config(read: _Variables, queue_size: int, decision_wait: float) -> Config:
    receivers = _receivers(read)
    processors: Config = {
        "memory_limiter": dict(_MEMORY_LIMITER),
        # Before the others, which then have less to do.
        **_head_sampling(read),
        "k8s_attributes": {
            "extract": {
                "metadata": [
                    "k8s.namespace.name",
                    "k8s.pod.name",
                    "k8s.pod.uid",
                    "k8s.deployment.name",
                    "k8s.node.name",
                ]
            },
            "pod_association": [
                {"sources": [{"from": "resource_attribute", "name": "k8s.pod.ip"}]},
                {"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]},
                {"sources": [{"from": "connection"}]},
            ],
            # Missing permissions stop the start instead of leaving spans without attributes.
            "wait_for_metadata": True,
        },
    }
    if detectors := read.listing("collector_resource_detectors", str):
        read.findings += detector_findings(detectors, Place("collector_resource_detectors"))
        processors["resource_detection"] = {
            "detectors": detectors,
            "timeout": "5s",
            "override": False,
            **detector_settings(detectors),
        }
    for processor, key, name in (
        ("resource", "attributes", "collector_resource_attributes"),
        ("attributes", "actions", "collector_span_attributes"),
    ):
        if wanted := read.strings(name):
            processors[processor] = {
                key: [{"key": k, "value": literal(v), "action": "insert"} for k, v in wanted.items()]
            }

    retry_milliseconds = round(1000 * sampler_retry_seconds(decision_wait))
    exporter = {
        "routing_key": "traceID",
        "resolver": {"k8s": {"service": f"otel-sampler.{read.text('tracing_namespace')}", "ports": [4317]}},
        # Two layers. The inner one retries one sampler for a while, with that sampler's spans only, and has no queue of
        # its own, which would be lost with the sampler. The outer one keeps the request and routes it again, over the
        # samplers that exist by then. It sends the whole request again, so spans may reach a sampler twice: hence the
        # inner one outlasts the restart of a sampler, but no more than half of the decision wait, since later spans
        # come too late for the decision. There is a consumer for each request that may wait meanwhile; otherwise
        # requests for other samplers would wait behind it.
        "timeout": "20s",
        "sending_queue": {
            "enabled": True,
            "sizer": "items",
            "queue_size": max(queue_size, 2000),
            "num_consumers": 100,
            "batch": {"flush_timeout": "200ms", "min_size": 2000, "max_size": 8000},
        },
        "retry_on_failure": _retry("500ms", "5s", "0s"),
        "protocol": {
            "otlp": {
                "tls": {"insecure": True},
                "compression": "none",
                "timeout": f"{SAMPLER_REQUEST_SECONDS:g}s",
                "sending_queue": {"enabled": False},
                "retry_on_failure": _retry("200ms", "500ms", f"{retry_milliseconds}ms"),
            }
        },
    }
    pipeline = {"receivers": list(receivers), "processors": list(processors), "exporters": ["load_balancing"]}
    return {
        "receivers": receivers,
        "processors": processors,
        "exporters": {"load_balancing": exporter},
        "extensions": dict(_EXTENSIONS),
        "service": _service(list(_EXTENSIONS), {"traces": pipeline}),
    }


def _red_metrics(dimensions: list[str], url: str) -> tuple[Config, Config, Config]:
    """Connectors, processors and exporter of the request, error and duration metrics, under the names Grafana reads.

    Grafana's Tempo data source reads traces_spanmetrics_calls_total, traces_spanmetrics_latency_bucket (seconds) and
    traces_service_graph_* and takes no other names. They count every span and so carry no exemplars, most of which
    would name a trace that was not kept. Exemplars come with a second histogram of the kept spans alone,
    traces_spanmetrics_sampled_latency_bucket: its values are biased by what is kept and good for nothing else.
    """
    span_metrics: Config = {
        # One set of counters per service. By default each resource, so each pod, has its own, and once resource
        # attributes are gone they would be the same series.
        "resource_metrics_key_attributes": ["service.name"],
        # Bounds for a service that puts ids into span names.
        "aggregation_cardinality_limit": 5000,
        "metrics_expiration": "1h",
        "metrics_flush_interval": "15s",
    }
    connectors: Config = {
        "span_metrics": {
            "namespace": "traces.spanmetrics",
            "histogram": {"unit": "s", "explicit": {"buckets": list(LATENCY_BUCKETS)}},
            "dimensions": [{"name": name} for name in dimensions],
            "exemplars": {"enabled": False},
            **span_metrics,
        },
        "span_metrics/sampled": {
            "namespace": "traces.spanmetrics.sampled",
            "histogram": {"unit": "s", "explicit": {"buckets": list(EXEMPLAR_BUCKETS)}},
            "exemplars": {"enabled": True, "max_per_data_point": 5},
            **span_metrics,
        },
        "service_graph": {
            "store": {"ttl": "10s", "max_items": 50000},
            "latency_histogram_buckets": list(LATENCY_BUCKETS),
            "database_name_attributes": ["db.namespace", "db.name"],
            "virtual_node_peer_attributes": ["peer.service", "db.namespace", "db.name", "db.system.name", "db.system"],
            "metrics_flush_interval": "15s",
        },
    }
    processors: Config = {
        "filter/sampled": {"metric_conditions": ['metric.name == "traces.spanmetrics.sampled.calls"']},
        "transform/red": {
            "metric_statements": [
                # Those of whichever pod came first; the service is a label.
                'delete_matching_keys(resource.attributes, ".*")',
                # With a unit, Prometheus' name would end in _seconds.
                *(
                    f'set({field}, "{value}") where metric.name == "{name}.duration"'
                    for name in ("traces.spanmetrics", "traces.spanmetrics.sampled")
                    for field, value in (("metric.unit", ""), ("metric.name", f"{name}.latency"))
                ),
                'set(datapoint.attributes["service"], datapoint.attributes["service.name"]) '
                'where datapoint.attributes["service.name"] != nil',
                # service_graph does not set it, and samplers must not write each other's series.
                f'set(datapoint.attributes["collector.instance.id"], "{POD_NAME}")',
            ]
        },
    }
    exporters: Config = {
        "prometheus_remote_write": {
            "endpoint": url,
            "target_info": {"enabled": False},
            "disable_scope_info": True,
        }
    }
    return connectors, processors, exporters


@dataclass(frozen=True, slots=True)
class _Queues:
    """The queues in front of the destinations: the size of each in spans, by its name, and for those on disk, the
    extensions, by the same name, and the chart's volume.
    """

    sizes: dict[str, int]
    storages: dict[str, Config]
    volume: Config

    @classmethod
    def of(cls, read: _Variables, load: _Load, in_memory: int, exporters: list[Exporter]) -> _Queues:
        """On disk as large as the outage needs; in memory as large as memory allows (in_memory, in spans). What
        several have of the memory or of the volume is divided as their needs are.
        """
        written = read.written("collector_persistent_queue_volume_size")
        size = read.size("collector_persistent_queue_volume_size", minimum=SMALLEST_VOLUME)
        volume = {
            "enabled": read.boolean("collector_persistent_queue_enabled"),
            "size": written,
            "storageClass": read.text("collector_persistent_queue_storage_class", empty=True),
        }
        needs = {one.name: load.waiting(one) for one in exporters}
        memory = {one.name: needs[one.name] for one in exporters if one.queue == "memory"}
        disk = {one.name: needs[one.name] for one in exporters if one.queue == "disk"}
        needed = sum(memory.values())
        if needed > in_memory:
            minutes = in_memory / needed * read.number("collector_outage_minutes")
            read.doubtful(
                "collector_outage_minutes",
                f"{_wanted(memory, load)}, but memory allows {in_memory}",
                "Set collector_persistent_queue_enabled, raise collector_sampler_resources, or lower it.",
                f"when a destination is unavailable for longer than {minutes:.1f} minutes at the expected rate, spans "
                "are lost",
            )
        sizes = {name: max(share, 1000) for name, share in _divide(in_memory, memory).items()}
        # Small platforms get what a burst of theirs may need.
        sizes |= {name: max(spans, 10000) for name, spans in disk.items()}
        if disk and SMALLEST_VOLUME <= size < len(disk) * SMALLEST_VOLUME:
            least = len(disk) * SMALLEST_VOLUME // MEBIBYTE
            read.wrong(
                "collector_persistent_queue_volume_size",
                f"is {written}, but {len(disk)} queues need {least}Mi",
                f"Give {least}Mi or more.",
            )
        maximum = int(size * QUEUE_SHARE_OF_VOLUME)
        bytes_needed = sum(disk.values()) * load.bytes_per_span * DISK_PER_BYTE
        if bytes_needed > maximum:
            enough = math.ceil(bytes_needed / QUEUE_SHARE_OF_VOLUME / MEBIBYTE)
            read.doubtful(
                "collector_persistent_queue_volume_size",
                f"{_wanted(disk, load)}, {math.ceil(bytes_needed / MEBIBYTE)} MiB on disk, but {written} leaves "
                f"{maximum // MEBIBYTE} MiB for it",
                f"Raise it to {enough}Mi, or lower collector_outage_minutes.",
            )
        rest = _divide(maximum - len(disk) * SMALLEST_FILE, {name: sizes[name] for name in disk})
        storages = {name: _file_storage(SMALLEST_FILE + share) for name, share in rest.items()}
        return cls(sizes, storages, volume)


def _divide(whole: int, needs: Mapping[str, int]) -> dict[str, int]:
    """Parts of the whole as the needs are to each other."""
    total = sum(needs.values())
    return {name: whole * need // total if total else whole // len(needs) for name, need in needs.items()}


def _wanted(needs: Mapping[str, int], load: _Load) -> str:
    each = f" ({', '.join(f'{name} {need}' for name, need in needs.items())})" if len(needs) > 1 else ""
    queues = "queues" if len(needs) > 1 else "a queue"
    return (
        f"collector_outage_minutes asks for {queues} of {sum(needs.values())} spans{each} on each of {load.samplers} "
        "samplers"
    )


def _file_storage(maximum: int) -> Config:
    """maximum: bytes of the file, which is one for each queue."""
    compaction: Config = {"on_rebound": True, "directory": QUEUE_DIRECTORY, "cleanup_on_start": True}
    if maximum < SMALLEST_VOLUME // 2:
        # At most max_size, says the extension, and 100 MiB unless it is told.
        compaction["rebound_needed_threshold_mib"] = maximum // MEBIBYTE // 2
    return {
        "directory": QUEUE_DIRECTORY,
        "create_directory": True,
        # Until the lock of a sampler that is being stopped is gone.
        "timeout": "10s",
        # A full volume would be an error of the file system in the midst of a write.
        "max_size": maximum,
        # What the process has written survives its end; only the node's own crash may cost the last seconds, and
        # the file, which recreate then replaces. fsync would bound the sampler by the disk's latency.
        "fsync": False,
        "recreate": True,
        "compaction": compaction,
    }


def _exporters(made: Destinations, queues: _Queues) -> tuple[Config, Config, Config]:
    """Exporters of traces, and the receivers and pipelines of those that the collector sends to through itself."""
    exporters: Config = {}
    receivers: Config = {}
    pipelines: Config = {}
    for one in made.exporters:
        storage = f"file_storage/{one.name}" if one.name in queues.storages else ""
        exporters[one.component] = {
            **one.settings,
            "sending_queue": one.sending_queue(queues.sizes[one.name], storage),
            "retry_on_failure": _retry("1s", "5s", "0s"),
        }
        if one.relayed:
            name, settings, port = one.relayed
            exporters[name] = settings
            receiver = f"otlp/{one.name}"
            receivers[receiver] = {"protocols": {"grpc": {"endpoint": f"localhost:{port}"}}}
            pipelines[f"traces/relay-{one.name}"] = {"receivers": [receiver], "exporters": [name]}
    if made.debug:
        exporters["debug"] = {"verbosity": "detailed", "sampling_initial": 5, "sampling_thereafter": 200}
    return exporters, receivers, pipelines


def _unsampled(one: Exporter) -> tuple[Config, Config]:
    """Processors and pipeline of a destination of all traces, or a share of them, before sampling.

    batch is there for the one thing that it does beside batches: it keeps the error of a full queue to itself. Passed
    on, it would make the gateways send the whole request again, to tail_sampling and the metrics too.
    """
    processors: Config = {}
    if one.share < 100:
        # By trace id, so traces stay whole. hash_seed mode leaves tracestate as it is: a replay of what was recorded
        # must not be counted many times over by span_metrics.
        processors[f"probabilistic_sampler/{one.name}"] = {
            "mode": "hash_seed",
            "hash_seed": 1,
            "sampling_percentage": _plain(one.share),
        }
    processors[f"batch/{one.name}"] = {"timeout": "0s", "send_batch_size": 0}
    pipeline = {"receivers": ["forward"], "processors": list(processors), "exporters": [one.component]}
    return processors, pipeline


def _sampler_config(read: _Variables, load: _Load, made: Destinations, queues: _Queues) -> Config:
    policies = _policies(read, load)
    num_traces = read.integer("collector_num_traces", minimum=1)
    cache = decision_cache_size(num_traces)
    exporters, receivers, relays = _exporters(made, queues)
    kept = [one.component for one in made.exporters if one.traces == "kept"] + (["debug"] if made.debug else [])
    unsampled = [one for one in made.exporters if one.traces == "all"]

    processors: Config = {
        "memory_limiter": dict(_MEMORY_LIMITER),
        "tail_sampling": {
            "decision_wait": read.written("collector_decision_wait"),
            "num_traces": num_traces,
            "expected_new_traces_per_sec": math.ceil(load.traces / load.samplers),
            "decision_cache": {"sampled_cache_size": cache, "non_sampled_cache_size": cache},
            "policies": policies,
        },
    }
    connectors: Config = {}
    pipelines: Config = {"traces": {"receivers": ["otlp"], "processors": list(processors), "exporters": kept}}
    dimensions = read.listing("collector_span_metrics_dimensions", str)
    read.findings += dimension_findings(dimensions, Place("collector_span_metrics_dimensions"))
    url = read.text("collector_remote_write_url", empty=True)
    if url and not re.match(r"https?://", url):
        read.wrong("collector_remote_write_url", f"is '{url}', not a URL", "Begin it with http:// or https://.")
    if url or unsampled:
        # Before tail_sampling, for what is to see every span.
        connectors = {"forward": {}}
        pipelines = {
            "traces/in": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["forward"]},
            "traces/sampled": {"receivers": ["forward"], "processors": ["tail_sampling"], "exporters": kept},
        }
    for one in unsampled:
        own_processors, pipelines[f"traces/unsampled-{one.name}"] = _unsampled(one)
        processors |= own_processors
    if url:
        red_connectors, red_processors, red_exporters = _red_metrics(dimensions, url)
        for settings in red_exporters.values():
            settings |= made.remote_write
        connectors |= red_connectors
        processors |= red_processors
        exporters |= red_exporters
        pipelines["traces/in"]["exporters"] += ["span_metrics", "service_graph"]
        pipelines["traces/sampled"]["exporters"] = [*kept, "span_metrics/sampled"]
        pipelines["metrics/red"] = {
            "receivers": list(red_connectors),
            "processors": list(red_processors),
            "exporters": list(red_exporters),
        }
    storages = {f"file_storage/{name}": storage for name, storage in queues.storages.items()}
    extensions = {**_EXTENSIONS, **made.wiring.extensions, **storages}
    config: Config = {
        # A gateway's request of 8000 spans may exceed gRPC's default of 4 MiB.
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": f"{POD_IP}:4317", "max_recv_msg_size_mib": 64}}},
            **receivers,
        },
        "processors": processors,
        "exporters": exporters,
        "extensions": extensions,
        "service": _service(list(extensions), {**pipelines, **relays}),
    }
    return {**config, "connectors": connectors} if connectors else config


def collector_values(variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Values of the collector chart, and warnings: outdated spellings, and limits that the load exceeds.

    variables: all collector_* and tracing_* variables, as the role's defaults name them.
    Raises InvalidVariables with every error.
    """
    values, found = _build(variables)
    warnings = refuse("the collector's variables", found)
    # No part is shared with this module's constants, so a caller may change the result.
    return plain(values), warnings


def findings(variables: Mapping[str, Any]) -> list[Finding]:
    """What is wrong, or, if nothing is, doubtful about the collector's variables. A variable that is not there has no
    finding.
    """
    found = list(dict.fromkeys(_build(variables)[1]))
    # Warnings compare several variables, and one that is wrong or missing would make them meaningless.
    return [finding for finding in errors(found) or found if finding.variable in variables]


def _build(variables: Mapping[str, Any]) -> tuple[Config, list[Finding]]:
    """The chart's values, not to be used if there are errors among the findings."""
    read = _Variables(variables)
    gateway, gateway_queue = read.tier("gateway")
    sampler, sampler_queue = read.tier("sampler")
    load = _Load.of(read, sampler["replicas"])
    made = destinations(variables)
    queues = _Queues.of(read, load, sampler_queue, made.exporters)
    decision_wait = read.duration("collector_decision_wait", positive=True)
    gateway["config"] = _gateway_config(read, gateway_queue, decision_wait)
    sampler["config"] = _sampler_config(read, load, made, queues)
    sampler["persistence"] = queues.volume
    sampler["secretEnv"], sampler["secretFiles"] = made.wiring.env, made.wiring.files
    gateway["goGC"] = GATEWAY_GOGC
    gateway["terminationGracePeriodSeconds"] = GATEWAY_GRACE_SECONDS
    sampler["terminationGracePeriodSeconds"] = sampler_grace_period(decision_wait)
    values = {
        "image": read.image(),
        "gateway": gateway,
        "sampler": sampler,
        "ports": {
            "jaeger": read.boolean("collector_jaeger_enabled"),
            "zipkin": read.boolean("collector_zipkin_enabled"),
        },
        "serviceAccount": {"annotations": read.strings("collector_service_account_annotations")},
        "networkPolicy": {
            "enabled": read.boolean("collector_network_policy_enabled"),
            "clients": read.listing("collector_network_policy_clients", dict),
        },
        "podLabels": read.strings("collector_pod_labels"),
        "podAnnotations": read.strings("collector_pod_annotations"),
        "nodeSelector": read.strings("collector_node_selector"),
        "tolerations": read.listing("collector_tolerations", dict),
        "priorityClassName": read.text("collector_priority_class_name", empty=True),
    }
    return values, [*read.findings, *made.wiring.findings]
