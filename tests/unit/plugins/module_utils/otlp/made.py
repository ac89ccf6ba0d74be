# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records made by hand."""

from __future__ import annotations

import base64
import copy
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import attributes, spans
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, from_document
from google.protobuf import json_format
from opentelemetry.proto.trace.v1 import trace_pb2

START = 1_700_000_000 * 10**9
MS = 10**6


def trace_id(number: int) -> str:
    return f"{number:032x}"


def span(trace: int, number: int = 1, parent: int = 0, took_ms: float = 1, **more: Any) -> dict[str, Any]:
    """A span as OTLP/JSON has it. values: its attributes; error: whether it failed; more: fields of it."""
    values, error = more.pop("values", {}), more.pop("error", False)
    start = more.pop("start", START)
    return {
        "traceId": trace_id(trace),
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"operation {number}",
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(took_ms * MS)),
        "attributes": attributes(values),
        "status": {"code": 2} if error else {},
        **more,
    }


def document(*parts: tuple[dict[str, Any], list[dict[str, Any]]]) -> dict[str, Any]:
    """A request of several resources: attributes and spans of each."""
    return {
        "resourceSpans": [
            {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"scope": {}, "spans": spans}]}
            for resource, spans in parts
        ]
    }


def record(*spans: dict[str, Any], service: str = "shop") -> Record:
    return from_document(document(({"service.name": service}, list(spans))))


def protobuf(made: dict[str, Any]) -> bytes:
    """A document in OTLP protobuf. Protobuf's own JSON form has ids in base64."""
    made = copy.deepcopy(made)
    for one in spans(made):
        for holder in (one, *one.get("links", ())):
            for key in ("traceId", "spanId", "parentSpanId"):
                if holder.get(key):
                    holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    message: bytes = json_format.ParseDict(made, trace_pb2.TracesData()).SerializeToString()
    return message
