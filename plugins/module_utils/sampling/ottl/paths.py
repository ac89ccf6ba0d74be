# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Paths of OTTL: what a condition can ask of a span, an event, a scope and a resource.

Source: pkg/ottl/contexts/internal/ctx{span,spanevent,scope,resource} v0.158.0 of opentelemetry-collector-contrib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import (
    Resource,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    attribute_map,
    listed,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.values import (
    EvaluationError,
    Id,
    Items,
    Time,
    wrap,
)


class Event:
    """A span event, its attributes decoded when first asked for."""

    __slots__ = ("_values", "raw")

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self._values: dict[str, Any] | None = None

    def get(self, key: str) -> Any:
        return self.values().get(key)

    def values(self) -> dict[str, Any]:
        if self._values is None:
            self._values = attribute_map(self.raw.get("attributes") or ())
        return self._values


_NO_RESOURCE, _NO_SCOPE = Resource(attributes=[], decoded={}), Scope(attributes=[], decoded={})


class SpanPlace:
    """What a condition looks at: a span, and an event of it in the context spanevent."""

    __slots__ = ("event", "resource_spans", "scope_spans", "span")

    resource_spans: ResourceSpans
    scope_spans: ScopeSpans
    span: Span
    event: Event

    @property
    def resource(self) -> Resource:
        return self.resource_spans.resource or _NO_RESOURCE

    @property
    def scope(self) -> Scope:
        return self.scope_spans.scope or _NO_SCOPE

    def events(self) -> list[Event]:
        return [Event(one) for one in listed(self.span.events)]


Get = Callable[[SpanPlace], Any]

# ctxspan/span.go
ENUMS = {
    "SPAN_KIND_UNSPECIFIED": 0, "SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4, "SPAN_KIND_CONSUMER": 5,
    "STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2,
}  # fmt: skip
_KIND_NAMES = {0: "Unspecified", 1: "Internal", 2: "Server", 3: "Client", 4: "Producer", 5: "Consumer"}

CONTEXTS = {
    "span": ("span", "resource", "instrumentation_scope", "scope", "otelcol"),
    "spanevent": ("spanevent", "span", "resource", "instrumentation_scope", "scope", "otelcol"),
}


def _id_bytes(text: str, size: int) -> bytes:
    return bytes.fromhex(text.rjust(2 * size, "0")) if text else bytes(size)


def _no_index(_place: SpanPlace) -> Any:
    raise EvaluationError("no 'event_index' property has been set")


PATHS: dict[str, dict[str, Get]] = {
    "span": {
        "trace_id": lambda place: Id(_id_bytes(place.span.trace_id, 16)),
        "trace_id.string": lambda place: place.span.trace_id,
        "span_id": lambda place: Id(_id_bytes(place.span.span_id, 8)),
        "span_id.string": lambda place: place.span.span_id,
        "parent_span_id": lambda place: Id(_id_bytes(place.span.parent_span_id, 8)),
        "parent_span_id.string": lambda place: place.span.parent_span_id or "0" * 16,
        "trace_state": lambda place: place.span.trace_state,
        "name": lambda place: place.span.name,
        "kind": lambda place: place.span.kind_number,
        "kind.string": lambda place: _KIND_NAMES.get(place.span.kind_number, ""),
        "kind.deprecated_string": lambda place: (
            f"SPAN_KIND_{_KIND_NAMES[place.span.kind_number].upper()}" if place.span.kind_number in _KIND_NAMES else ""
        ),
        "start_time_unix_nano": lambda place: wrap(place.span.start),
        "end_time_unix_nano": lambda place: wrap(place.span.end),
        "start_time": lambda place: Time(wrap(place.span.start)),
        "end_time": lambda place: Time(wrap(place.span.end)),
        "dropped_attributes_count": lambda place: place.span.dropped_attributes_count,
        "events": lambda place: Items(listed(place.span.events)),
        "dropped_events_count": lambda place: place.span.dropped_events_count,
        "links": lambda place: Items(listed(place.span.links)),
        "dropped_links_count": lambda place: place.span.dropped_links_count,
        "status.code": lambda place: place.span.code,
        "status.message": lambda place: place.span.status.message if place.span.status is not None else "",
        "flags": lambda place: place.span.flags,
    },
    "spanevent": {
        "time_unix_nano": lambda place: wrap(int(place.event.raw.get("timeUnixNano") or 0)),
        "time": lambda place: Time(wrap(int(place.event.raw.get("timeUnixNano") or 0))),
        "name": lambda place: place.event.raw.get("name", ""),
        "dropped_attributes_count": lambda place: int(place.event.raw.get("droppedAttributesCount") or 0),
        "event_index": _no_index,
    },
    "resource": {
        "dropped_attributes_count": lambda place: place.resource.dropped_attributes_count,
        "schema_url": lambda place: place.resource_spans.schema_url,
    },
    "scope": {
        "name": lambda place: place.scope.name,
        "version": lambda place: place.scope.version,
        "dropped_attributes_count": lambda place: place.scope.dropped_attributes_count,
        "schema_url": lambda place: place.scope_spans.schema_url,
    },
}
# What has attributes: its get() finds one, its values() all.
HOLDERS: dict[str, Callable[[SpanPlace], Any]] = {
    "span": lambda place: place.span,
    "spanevent": lambda place: place.event,
    "resource": lambda place: place.resource,
    "scope": lambda place: place.scope,
}
