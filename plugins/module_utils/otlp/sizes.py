# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Bytes of traces in OTLP protobuf, as the collector counts them.

Source: SizeProto in pdata/internal/generated_proto_*.go of go.opentelemetry.io/collector/pdata v1.65.0. Embedded
messages and ids are written even when empty; scalars and strings are not.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import (
    Resource,
    ResourceSpans,
    Scope,
    Span,
    listed,
)


def _varint(number: int) -> int:
    """Bytes of a number as varint; negative ones take ten."""
    return 10 if number < 0 else max((number.bit_length() + 6) // 7, 1)


def _framed(length: int) -> int:
    """Bytes of a length-delimited field whose number is below 16."""
    return 1 + _varint(length) + length


def _string(text: str) -> int:
    length = len(text) if text.isascii() else len(text.encode())
    return _framed(length) if length else 0


def _number(number: int) -> int:
    return 1 + _varint(number) if number else 0


def _id(text: str, size: int) -> int:
    return 2 + size if text and text.strip("0") else 2


def _attributes(pairs: Iterable[Mapping[str, Any]]) -> int:
    total = 0
    for pair in pairs:
        total += _framed(_string(pair.get("key", "")) + _framed(_any_value(pair.get("value"))))
    return total


def _any_value(value: Mapping[str, Any] | None) -> int:
    for kind, content in (value or {}).items():
        if kind == "stringValue":
            return _framed(len(content.encode()))
        if kind == "boolValue":
            return 2
        if kind == "intValue":
            return 1 + _varint(int(content))
        if kind == "doubleValue":
            return 9
        if kind == "bytesValue":
            return _framed(len(content if isinstance(content, bytes) else base64.b64decode(content)))
        if kind == "arrayValue":
            return _framed(sum(_framed(_any_value(item)) for item in (content or {}).get("values") or ()))
        if kind == "kvlistValue":
            return _framed(_attributes((content or {}).get("values") or ()))
    return 0


def _event(event: Mapping[str, Any]) -> int:
    return (
        (9 if int(event.get("timeUnixNano") or 0) else 0)
        + _string(event.get("name", ""))
        + _attributes(event.get("attributes") or ())
        + _number(int(event.get("droppedAttributesCount") or 0))
    )


def _link(link: Mapping[str, Any]) -> int:
    return (
        _id(link.get("traceId", ""), 16)
        + _id(link.get("spanId", ""), 8)
        + _string(link.get("traceState", ""))
        + _attributes(link.get("attributes") or ())
        + _number(int(link.get("droppedAttributesCount") or 0))
        + (5 if int(link.get("flags") or 0) else 0)
    )


def span_size(span: Span) -> int:
    """Bytes of a Span message."""
    total = (
        _id(span.trace_id, 16)
        + _id(span.span_id, 8)
        + _id(span.parent_span_id, 8)
        + _string(span.trace_state)
        + (6 if span.flags else 0)
        + _string(span.name)
        + _number(span.kind_number)
        + (9 if span.start else 0)
        + (9 if span.end else 0)
        + _number(span.dropped_attributes_count)
        + _number(span.dropped_events_count)
        + _number(span.dropped_links_count)
        + _attributes(listed(span.attributes))
    )
    for event in listed(span.events):
        total += _framed(_event(event))
    for link in listed(span.links):
        total += _framed(_link(link))
    status = span.status
    return total + _framed(_string(status.message) + _number(status.number) if status is not None else 0)


def _resource(resource: Resource | None) -> int:
    if resource is None:
        return 0
    return _attributes(listed(resource.attributes)) + _number(resource.dropped_attributes_count)


def _scope(scope: Scope | None) -> int:
    if scope is None:
        return 0
    return (
        _string(scope.name)
        + _string(scope.version)
        + _attributes(listed(scope.attributes))
        + _number(scope.dropped_attributes_count)
    )


def resource_spans_size(batch: ResourceSpans) -> int:
    """Bytes of a ResourceSpans message."""
    total = _framed(_resource(batch.resource)) + _string(batch.schema_url)
    for scope in batch.scope_spans:
        inside = _framed(_scope(scope.scope)) + _string(scope.schema_url)
        for span in scope.spans:
            inside += _framed(span_size(span))
        total += _framed(inside)
    return total


def traces_size(batches: Iterable[ResourceSpans]) -> int:
    """Bytes of a TracesData message, which is also an ExportTraceServiceRequest."""
    return sum(_framed(resource_spans_size(batch)) for batch in batches)
