# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What is known about attributes without a trace: the types of their values, which every trace has, and which names are
fields of a span and not attributes. Pure.

Source: https://opentelemetry.io/docs/specs/semconv/, and for the fields
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The types of attributes' values, by the semantic conventions.
_INTEGERS = _names("""
client.port code.line.number code.lineno db.operation.batch.size db.response.returned_rows destination.port
exception.line gen_ai.usage.input_tokens gen_ai.usage.output_tokens http.request.body.size http.request.resend_count
http.request.size http.request_content_length http.resend_count http.response.body.size http.response.size
http.response.status_code http.response_content_length http.status_code messaging.batch.message_count
messaging.kafka.message.offset messaging.kafka.offset messaging.message.body.size messaging.message.envelope.size
net.host.port net.peer.port network.local.port network.peer.port process.pid rpc.grpc.status_code rpc.message.id
server.port source.port thread.id url.port
""")
_BOOLEANS = _names("""
exception.escaped faas.coldstart messaging.destination.anonymous messaging.destination.temporary
messaging.kafka.message.tombstone
""")
_STRINGS = _names("""
client.address cloud.region cloud.provider container.name db.collection.name db.name db.namespace db.operation
db.operation.name db.query.text db.response.status_code db.statement db.system db.system.name deployment.environment
deployment.environment.name enduser.id error.type exception.message exception.type host.name http.flavor http.host
http.method http.request.method http.route http.scheme http.target http.url http.user_agent k8s.cluster.name
k8s.deployment.name k8s.namespace.name k8s.node.name k8s.pod.name messaging.destination messaging.destination.name
messaging.operation.name messaging.system network.protocol.name network.protocol.version peer.service rpc.method
rpc.service rpc.system server.address service.instance.id service.name service.namespace service.version
telemetry.sdk.language telemetry.sdk.name telemetry.sdk.version url.full url.path url.query url.scheme user.id
user_agent.original
""")

# Resource attributes that SDKs or the gateways set on every trace.
EVERYWHERE = _names("""
k8s.namespace.name k8s.pod.name service.name telemetry.sdk.language telemetry.sdk.name telemetry.sdk.version
""")
# Span attributes that instrumentation sets on every HTTP request.
HTTP = _names("""
http.method http.request.method http.route http.scheme http.target http.url server.address url.full url.path url.scheme
""")
_PATHS = frozenset({"http.route", "http.target", "url.path"})
_RESOURCE = re.compile(r"(service|telemetry|k8s|deployment|host|cloud|container|process|os|device|aws|faas)\.")

# Fields of a span by the names under which they are looked for among attributes, and what asks for them instead.
_NAME = 'Use an ottl_condition, such as span.name == "…".'
_KIND = "Use an ottl_condition, such as span.kind == SPAN_KIND_SERVER."
_STATUS = "Use a policy of type status_code, or span.status.code == STATUS_CODE_ERROR in an ottl_condition."
_LATENCY = "Use a policy of type latency, or span.end_time - span.start_time in an ottl_condition."
_IDS = 'Use an ottl_condition, such as span.trace_id.string == "…".'
_TRACE_STATE = "Use a policy of type trace_state."
SPAN_FIELDS = {
    "name": _NAME, "span.name": _NAME, "span_name": _NAME,
    "kind": _KIND, "span.kind": _KIND, "span_kind": _KIND,
    "status": _STATUS, "status.code": _STATUS, "status_code": _STATUS, "status.message": _STATUS,
    "span.status": _STATUS, "span.status.code": _STATUS,
    "duration": _LATENCY, "span.duration": _LATENCY, "start_time": _LATENCY, "end_time": _LATENCY,
    "trace_id": _IDS, "trace.id": _IDS, "span_id": _IDS, "parent_span_id": _IDS, "traceId": _IDS, "spanId": _IDS,
    "trace_state": _TRACE_STATE, "tracestate": _TRACE_STATE,
}  # fmt: skip


# Attributes of span events, which policies on attributes do not look at.
_EVENT = 'Use an ottl_condition with spanevent, such as spanevent.attributes["{key}"] == ….'


def misplaced(key: str) -> tuple[str, str] | None:
    """What a name is that is looked for among the attributes of spans and resources and is none, and a remedy."""
    if key in SPAN_FIELDS:
        return f"'{key}' is a field of the span, not an attribute", SPAN_FIELDS[key]
    if key.startswith("exception.") or key == "event.name":
        return f"'{key}' is an attribute of span events, not of spans", _EVENT.format(key=key)
    return None


def value_type(key: str) -> type | None:
    """int, bool or str: the type of an attribute's values; None where that is not known."""
    return int if key in _INTEGERS else bool if key in _BOOLEANS else str if key in _STRINGS else None


def of_resource(key: str) -> bool:
    """Whether it describes what sends a span rather than the span."""
    return _RESOURCE.match(key) is not None


# A pattern that matches all of these matches any value: they have no character in common.
_ANY = ("q", "7", "/", "-", "Zx", "日本", "a b", "k=v;", "/9f8e7d6c/zz?w=1", "GET", "EOF", "@example")
_ANY_PATH = ("/", "/q", "/7", "/Zx-9/日本", "/api/v1/orders", "/healthz", "/9f8e7d6c/zz.html")


def any_value(key: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    """Whether one of the patterns, found anywhere in a value, matches every value of the attribute."""
    samples = _ANY_PATH if key in _PATHS else _ANY
    return any(all(pattern.search(sample) for sample in samples) for pattern in patterns)
