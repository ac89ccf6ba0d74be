# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From inventory variables to the collector chart's values, as data: no I/O, no Ansible.

The component and option names are those of OpenTelemetry Collector contrib 0.158.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.quantities import (
    MEBIBYTE,
    duration_seconds,
    go_mem_limit,
    memory_bytes,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policies import (
    default_policies,
    literal,
    modern_policies,
    well_formed,
)

Config = dict[str, Any]

POD_IP = "${env:MY_POD_IP}"
POD_NAME = "${env:MY_POD_NAME}"

# What a gateway must not stamp on other nodes' spans: these describe the machine that the gateway itself runs on.
OWN_HOST = ("host.id", "host.image.id", "host.name", "host.type", "cloud.availability_zone")
CLOUD_DETECTORS = ("ec2", "eks")

# Queues are counted in spans. 8 KiB of memory limit for each: at 5 KiB, a large span, a full queue takes 60 % of the
# limit and the memory limiter still has room to work.
BYTES_PER_QUEUED_SPAN = 8 * 1024

# What the semantic conventions advise for http.server.request.duration.
LATENCY_BUCKETS = (
    "5ms", "10ms", "25ms", "50ms", "75ms", "100ms", "250ms", "500ms", "750ms", "1s", "2500ms", "5s", "7500ms", "10s",
)  # fmt: skip


class _Variables:
    """Reads variables with their types and keeps every finding, so that one run reports all of them.

    Extra variables on the command line are text, so text that reads as a number or boolean is taken as one.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables, self.findings = variables, list[str]()

    def wrong(self, name: str, why: str) -> None:
        self.findings.append(f"{name} {why}")

    def raw(self, name: str) -> Any:
        if name not in self._variables:
            self.wrong(name, "is not defined")
            return None
        return self._variables[name]

    def text(self, name: str, required: bool = True) -> str:
        value = self.raw(name)
        if value is not None and not isinstance(value, (dict, list)):
            value = str(value).strip()
            if value or not required:
                return str(value)
        self.wrong(name, f"is {value!r}: give {'non-empty ' if required else ''}text")
        return ""

    def number(self, name: str, minimum: float, maximum: float = math.inf) -> float:
        value = self.raw(name)
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(value)
            if not (minimum <= number <= maximum and math.isfinite(number)):
                raise ValueError
        except (TypeError, ValueError):
            limits = f"from {minimum:g} to {maximum:g}" if maximum < math.inf else f"of at least {minimum:g}"
            self.wrong(name, f"is {value!r}: give a number {limits}")
            return minimum
        return int(number) if number.is_integer() else number

    def integer(self, name: str, minimum: int) -> int:
        number = self.number(name, minimum)
        if number != int(number):
            self.wrong(name, f"is {number}: give a whole number")
        return int(number)

    def boolean(self, name: str) -> bool:
        value = self.raw(name)
        known = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if str(value).strip().lower() not in known:
            self.wrong(name, f"is {value!r}: give true or false")
        return known.get(str(value).strip().lower(), False)

    def listing(self, name: str, kind: type[str] | type[dict[str, Any]]) -> list[Any]:
        value = self.raw(name)
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            self.wrong(name, f"is {value!r}: give a list of {'texts' if kind is str else 'mappings'}")
            return []
        return [dict(item) if kind is dict else str(item) for item in value]

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.raw(name)
        if not isinstance(value, dict):
            self.wrong(name, f"is {value!r}: give a mapping")
            return {}
        return dict(value)

    def strings(self, name: str) -> dict[str, str]:
        return {str(key): _scalar(value) for key, value in self.mapping(name).items()}

    def routes(self, name: str) -> list[str]:
        routes = self.listing(name, str)
        for route in routes:
            if not route.startswith("/"):
                self.wrong(name, f"has '{route}': a path or route begins with /")
        return routes

    def seconds(self, name: str) -> tuple[str, float]:
        """A duration as it was written, and its seconds."""
        text = self.text(name)
        try:
            if (seconds := duration_seconds(text)) > 0:
                return text, seconds
            self.wrong(name, "is 0: give a duration such as 10s")
        except ValueError as error:
            self.wrong(name, f"is wrong: {error}")
        return text, 0.0

    def tier(self, tier: str) -> tuple[dict[str, Any], int]:
        """Replicas, resources and GOMEMLIMIT of a tier, and how many spans its queue may hold."""
        name = f"collector_{tier}_resources"
        resources = self.mapping(name)
        limit = (resources.get("limits") or {}).get("memory", "")
        try:
            size = memory_bytes(limit)
        except ValueError as error:
            self.wrong(name, f"needs limits.memory, from which GOMEMLIMIT and the queues are derived: {error}")
            size, limit = MEBIBYTE, "1Mi"
        values = {
            "replicas": self.integer(f"collector_{tier}_replicas", 1),
            "resources": resources,
            "goMemLimit": go_mem_limit(limit),
        }
        return values, size // BYTES_PER_QUEUED_SPAN


def _scalar(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _policies(read: _Variables) -> tuple[list[Config], list[str]]:
    own = [
        policy
        for name in ("collector_tail_sampling_policies", "collector_tail_sampling_extra_policies")
        for policy in read.listing(name, dict)
    ]
    for policy in own:
        if not well_formed(policy):
            read.wrong(
                "collector_tail_sampling_policies",
                f"has {policy!r}: a policy, and each inside it, needs a name, a type and settings of the type's name",
            )
            return [], []
    built = default_policies(
        read.number("collector_sampling_percentage", 0, 100),
        read.integer("collector_latency_threshold_ms", 0),
        read.routes("collector_critical_routes"),
        read.routes("collector_dropped_routes"),
    )
    own, warnings = modern_policies(own)
    policies = own if read.raw("collector_tail_sampling_policies") else built + own
    names = [policy["name"] for policy in policies]
    for name in sorted({name for name in names if names.count(name) > 1}):
        read.wrong("collector_tail_sampling_policies", f"has the name '{name}' twice: the collector refuses to start")
    return policies, warnings


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
_MEMORY_LIMITER: Config = {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20}


def _gateway_config(read: _Variables, queue_size: int) -> Config:
    receivers: Config = {
        "otlp": {
            "protocols": {
                "grpc": {
                    "endpoint": f"{POD_IP}:4317",
                    # Collectors in front of this one send batches of 8192 spans.
                    "max_recv_msg_size_mib": 16,
                    # A gRPC client stays with one gateway; this spreads clients again after scaling or a restart.
                    "keepalive": {"server_parameters": {"max_connection_age": "5m", "max_connection_age_grace": "30s"}},
                },
                "http": {"endpoint": f"{POD_IP}:4318"},
            }
        }
    }
    if read.boolean("collector_jaeger_enabled"):
        receivers["jaeger"] = {
            "protocols": {"grpc": {"endpoint": f"{POD_IP}:14250"}, "thrift_http": {"endpoint": f"{POD_IP}:14268"}}
        }
    if read.boolean("collector_zipkin_enabled"):
        receivers["zipkin"] = {"endpoint": f"{POD_IP}:9411"}

    processors: Config = {
        "memory_limiter": dict(_MEMORY_LIMITER),
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
        own_host = {"resource_attributes": {name: {"enabled": False} for name in OWN_HOST}}
        processors["resource_detection"] = {
            "detectors": detectors,
            "timeout": "5s",
            "override": False,
            **{name: own_host for name in CLOUD_DETECTORS if name in detectors},
        }
    for processor, key, name in (
        ("resource", "attributes", "collector_resource_attributes"),
        ("attributes", "actions", "collector_span_attributes"),
    ):
        if wanted := read.strings(name):
            processors[processor] = {
                key: [{"key": k, "value": literal(v), "action": "insert"} for k, v in wanted.items()]
            }

    exporter = {
        "routing_key": "traceID",
        "resolver": {"k8s": {"service": f"otel-sampler.{read.text('tracing_namespace')}", "ports": [4317]}},
        # Two layers. The inner one tries a sampler again for a while, with that sampler's spans alone, and has no
        # queue of its own, which would be lost with the sampler. The outer one keeps the request and routes it anew,
        # over the samplers that are there by then. It sends the whole request again, so spans may reach a sampler
        # twice: hence the inner one bridges a restart, and more consumers than usual, for those that wait in it.
        "timeout": "20s",
        "sending_queue": {
            "enabled": True,
            "sizer": "items",
            "queue_size": max(queue_size, 2000),
            "num_consumers": 20,
            "batch": {"flush_timeout": "200ms", "min_size": 2000, "max_size": 8000},
        },
        "retry_on_failure": _retry("1s", "5s", "0s"),
        "protocol": {
            "otlp": {
                "tls": {"insecure": True},
                "compression": "none",
                "timeout": "5s",
                "sending_queue": {"enabled": False},
                "retry_on_failure": _retry("200ms", "2s", "15s"),
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
    """Connectors, processor and exporter of the request, error and duration metrics, under the names Grafana reads.

    Grafana's Tempo data source reads traces_spanmetrics_calls_total, traces_spanmetrics_latency_bucket (seconds) and
    traces_service_graph_* and takes no other names.
    """
    connectors: Config = {
        "span_metrics": {
            "namespace": "traces.spanmetrics",
            "histogram": {"unit": "s", "explicit": {"buckets": list(LATENCY_BUCKETS)}},
            "dimensions": [{"name": name} for name in dimensions],
            # One set of counters per service. By default each resource, so each pod, has its own, and once resource
            # attributes are gone they would be the same series.
            "resource_metrics_key_attributes": ["service.name"],
            # Bounds for a service that puts ids into span names.
            "aggregation_cardinality_limit": 5000,
            "metrics_expiration": "1h",
            "metrics_flush_interval": "15s",
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
        "transform/red": {
            "metric_statements": [
                # Those of whichever pod came first; the service is a label.
                'delete_matching_keys(resource.attributes, ".*")',
                # With a unit, Prometheus' name would end in _seconds.
                'set(metric.unit, "") where metric.name == "traces.spanmetrics.duration"',
                'set(metric.name, "traces.spanmetrics.latency") where metric.name == "traces.spanmetrics.duration"',
                'set(datapoint.attributes["service"], datapoint.attributes["service.name"]) '
                'where datapoint.attributes["service.name"] != nil',
                # service_graph does not set it, and samplers must not write each other's series.
                f'set(datapoint.attributes["collector.instance.id"], "{POD_NAME}")',
            ]
        }
    }
    exporters: Config = {
        "prometheus_remote_write": {
            "endpoint": url,
            "target_info": {"enabled": False},
            "disable_scope_info": True,
        }
    }
    return connectors, processors, exporters


def _tempo_exporter(read: _Variables, queue_size: int) -> Config:
    """otlp_http for a URL, otlp_grpc for host:port.

    HTTP is the default because gRPC, whose pause between connection attempts grows to two minutes and cannot be set,
    may find a Tempo that came late only half as long again after that; HTTP tries at every retry. It also uses several
    connections, so a sampler's load spreads over the distributors behind their Service.
    """
    endpoint = read.text("collector_tempo_endpoint")
    settings: Config = {
        "endpoint": endpoint,
        "sending_queue": {
            "enabled": True,
            "sizer": "items",
            "queue_size": max(queue_size, 1000),
            # In bytes: a gRPC receiver refuses messages above 4 MiB, and the collector would give them up.
            "batch": {"sizer": "bytes", "flush_timeout": "200ms", "min_size": MEBIBYTE, "max_size": 3 * MEBIBYTE},
        },
        "retry_on_failure": _retry("1s", "5s", "0s"),
    }
    if re.match(r"https?://[^/]", endpoint):
        return {"otlp_http/tempo": settings}
    if not re.fullmatch(r"[^/\s]+:[0-9]+", endpoint):
        read.wrong("collector_tempo_endpoint", f"is '{endpoint}': give a URL (http://host:4318) or host:port (gRPC)")
    return {"otlp_grpc/tempo": {**settings, "tls": {"insecure": True}}}


def _sampler_config(read: _Variables, queue_size: int) -> tuple[Config, list[str]]:
    policies, warnings = _policies(read)
    num_traces = read.integer("collector_num_traces", 1)
    exporters = _tempo_exporter(read, queue_size)
    if read.boolean("collector_xray_enabled"):
        exporters["awsxray"] = {
            "region": read.text("tracing_region"),
            "indexed_attributes": ["service.name", "http.request.method", "http.response.status_code"],
        }
    if read.boolean("collector_debug_enabled"):
        exporters["debug"] = {"verbosity": "detailed", "sampling_initial": 5, "sampling_thereafter": 200}
    traces_out = list(exporters)

    processors: Config = {
        "memory_limiter": dict(_MEMORY_LIMITER),
        "tail_sampling": {
            "decision_wait": read.seconds("collector_decision_wait")[0],
            "num_traces": num_traces,
            "expected_new_traces_per_sec": read.integer("collector_expected_new_traces_per_sec", 0),
            # Late spans follow the decision of their trace: an order of magnitude above num_traces, says upstream.
            "decision_cache": {"sampled_cache_size": 10 * num_traces, "non_sampled_cache_size": 10 * num_traces},
            "policies": policies,
        },
    }
    connectors: Config = {}
    pipelines: Config = {
        "traces": {"receivers": ["otlp"], "processors": list(processors), "exporters": traces_out},
    }
    dimensions = read.listing("collector_span_metrics_dimensions", str)
    if url := read.text("collector_remote_write_url", required=False):
        if not re.match(r"https?://", url):
            read.wrong("collector_remote_write_url", f"is '{url}': give a URL that begins with http:// or https://")
        red_connectors, red_processors, red_exporters = _red_metrics(dimensions, url)
        # Metrics are computed before sampling, so they count every request.
        connectors = {"forward": {}, **red_connectors}
        processors |= red_processors
        exporters |= red_exporters
        pipelines = {
            "traces/in": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": list(connectors)},
            "traces/sampled": {"receivers": ["forward"], "processors": ["tail_sampling"], "exporters": traces_out},
            "metrics/red": {
                "receivers": list(red_connectors),
                "processors": list(red_processors),
                "exporters": list(red_exporters),
            },
        }
    config: Config = {
        # A gateway's request of 8000 spans may exceed gRPC's default of 4 MiB.
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"{POD_IP}:4317", "max_recv_msg_size_mib": 64}}}},
        "processors": processors,
        "exporters": exporters,
        "extensions": dict(_EXTENSIONS),
        "service": _service(list(_EXTENSIONS), pipelines),
    }
    return ({**config, "connectors": connectors} if connectors else config), warnings


def collector_values(variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values of the collector chart, and warnings about outdated spellings.

    variables: all collector_* variables and tracing_namespace and tracing_region, as the role's defaults name them.
    Raises InvalidInput that lists everything that is wrong, each with the variable's name.
    """
    read = _Variables(variables)
    gateway, gateway_queue = read.tier("gateway")
    sampler, sampler_queue = read.tier("sampler")
    gateway["config"] = _gateway_config(read, gateway_queue)
    sampler["config"], warnings = _sampler_config(read, sampler_queue)
    gateway["terminationGracePeriodSeconds"] = 60
    # On shutdown pending traces are decided at once; then the queue is sent.
    sampler["terminationGracePeriodSeconds"] = math.ceil(read.seconds("collector_decision_wait")[1]) + 30
    values = {
        "image": {
            "repository": read.text("collector_image_repository"),
            "tag": read.text("collector_image_tag"),
            "pullPolicy": "IfNotPresent",
            "pullSecrets": read.listing("collector_image_pull_secrets", str),
        },
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
        "priorityClassName": read.text("collector_priority_class_name", required=False),
    }
    if read.findings:
        raise InvalidInput("the collector's variables are wrong", "; ".join(dict.fromkeys(read.findings)))
    return values, warnings
