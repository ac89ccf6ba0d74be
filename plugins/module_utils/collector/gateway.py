# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Tier 1: receives, adds attributes and sends every span of a trace to the same sampler, logs to their stores, and
metrics to Prometheus.

Pure: no I/O, no Ansible.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import (
    CLUSTER_NAME,
    EXTENSIONS,
    MEMORY_LIMITER,
    POD_IP,
    Config,
    cluster_label,
    remote_write,
    retry,
    service,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.edges import (
    GRPC_PORT,
    HTTP_PORT,
    RECEIVER,
    EdgeReceiver,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    Destinations,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.names import (
    detector_findings,
    detector_settings,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    literal,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.variables import (
    CollectorVariables,
    plain_number,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    MEBIBYTE,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Place,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    GATEWAY_CONNECTION_SECONDS,
    SAMPLER_REQUEST_SECONDS,
    sampler_retry_seconds,
)


def _receivers(read: CollectorVariables, edges: EdgeReceiver) -> Config:
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
    age = {
        "keepalive": {
            "server_parameters": {
                "max_connection_age": f"{GATEWAY_CONNECTION_SECONDS // 60}m",
                "max_connection_age_grace": "30s",
            }
        }
    }
    receivers: Config = {"otlp": {"protocols": {"grpc": {**grpc(4317), **age}, "http": http(4318)}}}
    if read.boolean("collector_jaeger_enabled"):
        receivers["jaeger"] = {"protocols": {"grpc": grpc(14250), "thrift_http": http(14268)}}
    if read.boolean("collector_zipkin_enabled"):
        receivers["zipkin"] = http(9411)
    if edges.enabled:
        receivers[RECEIVER] = {
            "protocols": {
                "grpc": {**grpc(GRPC_PORT), **age, **edges.settings},
                "http": {**http(HTTP_PORT), **edges.settings},
            }
        }
    return receivers


def _resource_attributes(read: CollectorVariables) -> dict[str, str]:
    """collector_resource_attributes. The cluster's name is always among them: with several clusters in one store,
    nothing else tells their spans apart."""
    given = read.strings("collector_resource_attributes")
    return {**given, CLUSTER_NAME: given.get(CLUSTER_NAME) or read.text("tracing_cluster_name")}


def _head_sampling(read: CollectorVariables) -> Config:
    """proportional: by the 56 random bits of the trace id, alike on every gateway, and written to tracestate as ot=th.

    span_metrics multiplies what it counts by that threshold, so rates stay unbiased; service_graph of 0.158 does not.
    tail_sampling's own percentage hashes the trace id, so the two shares multiply. What that costs is a matter of the
    linter, rule head-sampling.
    Source: processor/probabilisticsamplerprocessor and connector/spanmetricsconnector/internal/metrics/
    adjusted_count.go of contrib 0.158.
    """
    percentage = plain_number(read.number("collector_head_sampling_percentage", maximum=100))
    if percentage >= 100:
        return {}
    return {"probabilistic_sampler": {"mode": "proportional", "sampling_percentage": percentage}}


def _service_name(read: CollectorVariables) -> Config:
    """Records from log files have none. Attributes that are there already are kept."""
    if not read.boolean("collector_node_agent_enabled"):
        return {}
    return {"labels": [{"tag_name": "service.name", "key": "app.kubernetes.io/name", "from": "pod"}]}


def _inserted(key: str, wanted: Mapping[str, str]) -> Config:
    """Settings of a processor that adds attributes where there are none of these names."""
    return {key: [{"key": name, "value": literal(value), "action": "insert"} for name, value in wanted.items()]}


# Of what only traces go through.
_SPANS_ALONE = ("probabilistic_sampler", "attributes")


def _edges(pipelines: Config) -> Config:
    """The pipelines of what other clusters send, to where this cluster's own goes. They have no processors that add
    attributes: k8s_attributes would look the sender's address up in the wrong cluster."""
    kept = ("memory_limiter", "batch/logs")
    return {
        f"{signal}/edges": {
            **pipelines[signal],
            "receivers": [RECEIVER],
            "processors": [name for name in pipelines[signal]["processors"] if name in kept],
        }
        for signal in ("traces", "logs")
        if signal in pipelines
    }


def _logs(processors: Config, made: Destinations, queue_size: int) -> tuple[Config, Config, Config]:
    """Processors, exporters and pipelines of logs. processors: the traces'. queue_size: records, for all destinations.

    Each pipeline has instances of its own of the processors, hence a second cache of pods in k8s_attributes.
    batch keeps the error of a full queue to itself. Passed on, it would make clients send the whole request again, to
    the other destinations too.
    """
    enrichment = [name for name in processors if name not in _SPANS_ALONE]
    own: Config = {"batch/logs": {"timeout": "0s", "send_batch_size": 0}}
    exporters = {
        one.component: {
            **one.settings,
            "sending_queue": one.sending_queue(max(queue_size // len(made.logs), 1000), ""),
            "retry_on_failure": retry("1s", "5s", "0s"),
        }
        for one in made.logs
    }
    pipeline = {"receivers": ["otlp"], "processors": [*enrichment, *own], "exporters": list(exporters)}
    return own, exporters, {"logs": pipeline}


def gateway_config(
    read: CollectorVariables, made: Destinations, edges: EdgeReceiver, queue_size: int, decision_wait: float
) -> Config:
    """queue_size: how many spans and log records the queues may hold together."""
    logs = read.boolean("collector_logs_enabled") and bool(made.logs)
    if logs:
        queue_size //= 2
    receivers = _receivers(read, edges)
    processors: Config = {
        "memory_limiter": dict(MEMORY_LIMITER),
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
                ],
                **_service_name(read),
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
    # Before the detectors, which replace nothing: a cloud's name of the cluster is not the platform's.
    processors["resource"] = _inserted("attributes", _resource_attributes(read))
    if detectors := read.listing("collector_resource_detectors", str):
        read.findings += detector_findings(detectors, Place("collector_resource_detectors"))
        processors["resource_detection"] = {
            "detectors": detectors,
            "timeout": "5s",
            "override": False,
            **detector_settings(detectors),
        }
    if wanted := read.strings("collector_span_attributes"):
        processors["attributes"] = _inserted("actions", wanted)

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
        "retry_on_failure": retry("500ms", "5s", "0s"),
        "protocol": {
            "otlp": {
                "tls": {"insecure": True},
                "compression": "none",
                "timeout": f"{SAMPLER_REQUEST_SECONDS:g}s",
                "sending_queue": {"enabled": False},
                "retry_on_failure": retry("200ms", "500ms", f"{retry_milliseconds}ms"),
            }
        },
    }
    exporters: Config = {"load_balancing": exporter}
    extensions = dict(EXTENSIONS)
    pipelines: Config = {
        "traces": {
            "receivers": [name for name in receivers if name != RECEIVER],
            "processors": list(processors),
            "exporters": list(exporters),
        }
    }
    if logs:
        own_processors, log_exporters, log_pipelines = _logs(processors, made, queue_size)
        processors |= own_processors
        exporters |= log_exporters
        pipelines |= log_pipelines
    metrics = read.boolean("collector_metrics_enabled")
    if metrics:
        # Without the attributes of pods: those of resources do not become labels.
        name = read.text("tracing_cluster_name")
        processors["transform/metrics"] = {"metric_statements": [cluster_label(name)]}
        metric_exporters = remote_write(read.written("collector_remote_write_url"), made.gateway_remote_write)
        exporters |= metric_exporters
        pipelines["metrics"] = {
            "receivers": ["otlp"],
            "processors": ["memory_limiter", "transform/metrics"],
            "exporters": list(metric_exporters),
        }
    if logs or metrics:
        extensions |= made.gateway_wiring.extensions
    if edges.enabled:
        pipelines |= _edges(pipelines)
        extensions |= edges.wiring.extensions
    return {
        "receivers": receivers,
        "processors": processors,
        "exporters": exporters,
        "extensions": extensions,
        "service": service(list(extensions), pipelines),
    }
