# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The node agent: reads the containers' log files of its node and sends them to the gateways. Pure: no I/O, no Ansible.

Source: receiver/filelogreceiver and pkg/stanza/docs/operators (container, json_parser, trace_parser, and others) of
OpenTelemetry Collector contrib 0.158.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import (
    MEMORY_LIMITER,
    POD_IP,
    Config,
    retry,
    service,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.variables import CollectorVariables
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import OBJECT_NAME

# Where the kubelet has them: NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
LOGS = "/var/log/pods"
# Where the chart mounts a folder of the node, for how far each file has been read.
STATE_DIRECTORY = "/var/lib/otelcol"
# Numbers that pino and bunyan write for levels.
LEVELS = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}


def _with(field: str, digits: int) -> str:
    """A condition: a field is there and has so many hexadecimal digits."""
    return f'(attributes["{field}"] != nil and string(attributes["{field}"]) matches "^[0-9a-f]{{{digits}}}$")'


def _operators() -> list[dict[str, Any]]:
    """What is made of a line. A line of JSON has its ids, level and message taken out; another stays as it is."""
    quiet = {"on_error": "send_quiet"}
    trace_id, span_id = _with("trace_id", 32), _with("span_id", 16)
    trace, span = {"trace_id": {"parse_from": "attributes.trace_id"}}, {"span_id": {"parse_from": "attributes.span_id"}}
    return [
        {"type": "container"},
        {"type": "json_parser", "if": 'body matches "^\\\\s*{"', **quiet},
        # Either of the two: a parser also clears what it does not read.
        {"type": "trace_parser", "if": f"{trace_id} and {span_id}", **trace, **span, **quiet},
        {"type": "trace_parser", "if": f"{trace_id} and not {span_id}", **trace, **quiet},
        {"type": "remove", "if": f"{trace_id} and {span_id}", "field": "attributes.span_id"},
        {"type": "remove", "if": trace_id, "field": "attributes.trace_id"},
        {
            "type": "severity_parser",
            "if": 'attributes["level"] != nil',
            "parse_from": "attributes.level",
            "mapping": LEVELS,
            **quiet,
        },
        {"type": "move", "if": 'attributes["message"] != nil', "from": "attributes.message", "to": "body"},
    ]


def _config(read: CollectorVariables, excluded: list[str]) -> Config:
    receiver = {
        "include": [f"{LOGS}/*/*/*.log"],
        "exclude": [f"{LOGS}/{namespace}_*/*/*.log" for namespace in excluded],
        "include_file_path": True,
        # Of files that are there when the agent starts for the first time. Later ones are read from their beginning.
        "start_at": "end",
        "storage": "file_storage",
        # What the exporter does not take is read again: the file is the queue.
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
        "operators": _operators(),
    }
    exporter = {
        "endpoint": f"otel-collector.{read.text('tracing_namespace')}.svc:4317",
        "tls": {"insecure": True},
        "compression": "none",
        "timeout": "10s",
        "sending_queue": {
            "enabled": True,
            "sizer": "items",
            "queue_size": 5000,
            "block_on_overflow": True,
            "batch": {"flush_timeout": "200ms", "min_size": 1000, "max_size": 4000},
        },
        "retry_on_failure": retry("1s", "5s", "0s"),
    }
    extensions: Config = {
        "health_check": {"endpoint": f"{POD_IP}:13133"},
        "file_storage": {"directory": f"{STATE_DIRECTORY}/offsets", "create_directory": True},
    }
    pipeline = {"receivers": ["file_log"], "processors": ["memory_limiter"], "exporters": ["otlp_grpc/gateway"]}
    return {
        "receivers": {"file_log": receiver},
        "processors": {"memory_limiter": dict(MEMORY_LIMITER)},
        "exporters": {"otlp_grpc/gateway": exporter},
        "extensions": extensions,
        "service": service(list(extensions), {"logs": pipeline}),
    }


def node_agent_values(read: CollectorVariables) -> dict[str, Any]:
    """The chart's section nodeAgent."""
    name, namespace_name = "collector_node_agent_enabled", "collector_node_agent_namespace"
    enabled, namespace = read.boolean(name), read.text(namespace_name)
    container, _limit = read.limited("collector_node_agent_resources")
    if enabled and read.sound("collector_logs_enabled") and not read.boolean("collector_logs_enabled"):
        read.wrong(
            name,
            "is true, but collector_logs_enabled is false",
            "Set collector_logs_enabled: true, with a destination in collector_exporters.",
            "the gateways would refuse what the agents send",
        )
    tracing = read.text("tracing_namespace")
    if read.sound(namespace_name) and not OBJECT_NAME.fullmatch(namespace):
        read.wrong(namespace_name, f"is '{namespace}', not a name of a namespace", "Give its name.")
    elif enabled and read.sound(namespace_name) and namespace == tracing:
        read.wrong(
            namespace_name,
            f"is {namespace}, the namespace of the platform",
            "Give it a namespace of its own.",
            "the agents mount folders of their nodes, which Pod Security restricted refuses there",
        )
    excluded_name = "collector_node_agent_excluded_namespaces"
    excluded = read.listing(excluded_name, str)
    for index, one in enumerate(excluded):
        if not OBJECT_NAME.fullmatch(one):
            read.wrong(Place(excluded_name).item(index), f"is '{one}', not a name of a namespace", "Give its name.")
    # What collectors log about logs that they cannot deliver would be such logs again.
    own = [tracing, namespace]
    return {
        "enabled": enabled,
        "namespace": namespace,
        **container,
        "config": _config(read, [*own, *(one for one in excluded if one not in own)]),
    }
