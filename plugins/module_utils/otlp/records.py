# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Recorded traces as the simulator needs them, from OTLP/JSON and OTLP protobuf.

A record is what one export request held. Its spans keep their attributes and events undecoded until a policy asks for
them. One record is in memory at a time. recordings.py finds the requests in files, s3/recording.py in a bucket.

Fields bear the names of opentelemetry/proto/trace/v1/trace.proto; times are Unix nanoseconds.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import BrokenDocument
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, Recording


class _Plain:
    """What msgspec.Struct gives, where msgspec is not installed."""

    def __init_subclass__(cls, rename: Any = None) -> None:
        super().__init_subclass__()

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)


try:
    import msgspec
except ImportError:
    HAS_MSGSPEC = False
else:
    HAS_MSGSPEC = True

try:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.trace.v1 import trace_pb2
except ImportError:
    HAS_PROTO = False
else:
    HAS_PROTO = True

if TYPE_CHECKING:
    from typing import dataclass_transform

    @dataclass_transform(kw_only_default=True)
    class Struct:
        """What both have in common."""

        def __init_subclass__(cls, rename: Any = None) -> None: ...

    Undecoded = Any
else:
    Struct = msgspec.Struct if HAS_MSGSPEC else _Plain
    Undecoded = msgspec.Raw if HAS_MSGSPEC else bytes

_TEXTS: tuple[type, ...] = (bytes, msgspec.Raw) if HAS_MSGSPEC else (bytes,)

_HEX = frozenset("0123456789abcdef")
STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
KINDS = {f"SPAN_KIND_{name}": number for name, number in {"UNSPECIFIED": 0, **otlp.KINDS}.items()}
ERROR = STATUS_CODES["STATUS_CODE_ERROR"]


class Status(Struct):
    """code: 0 unset, 1 ok, 2 error; by name in some JSON."""

    code: int | str = 0
    message: str = ""

    @property
    def number(self) -> int:
        return STATUS_CODES.get(self.code, 0) if isinstance(self.code, str) else self.code


_UNKNOWN = object()
_NEEDLES: dict[str, bytes] = {}


def _needle(key: str) -> bytes:
    found = _NEEDLES.get(key)
    if found is None:
        if len(_NEEDLES) > 1000:  # keys come from policies, but OTTL can compute them
            _NEEDLES.clear()
        found = _NEEDLES[key] = key.encode("utf-8", "surrogateescape")
    return found


def _pairs(holder: Any, key: str) -> dict[str, Any]:
    """The undecoded values of a holder's attributes by key; empty when this key is not among them."""
    known: dict[str, Any] | None = holder.decoded
    if known is not None:
        return known
    if HAS_MSGSPEC and isinstance(holder.attributes, msgspec.Raw):
        # Without an escape a key stands in JSON as it is.
        text = bytes(holder.attributes)
        if _needle(key) not in text and b"\\" not in text:
            return {}
    # As pcommon.Map.Get, the first of equal keys counts.
    pairs = listed(holder.attributes)
    try:
        known = {pair["key"]: pair["value"] for pair in reversed(pairs)}
    except KeyError:
        known = {pair.get("key", ""): pair.get("value") for pair in reversed(pairs)}
    holder.decoded = known
    return known


class _Attributed:
    """Attributes by key. They are decoded when a key is asked for that may be among them, and each value when it is
    asked for itself."""

    __slots__ = ()

    def get(self, key: str, default: Any = None) -> Any:
        """The value of an attribute (see any_value)."""
        value = _pairs(self, key).get(key, _UNKNOWN)
        return default if value is _UNKNOWN else any_value(value)

    def values(self) -> dict[str, Any]:
        """All of them."""
        whole: Any = self
        return attribute_map(listed(whole.attributes))


class Span(Struct, _Attributed, rename={
    "trace_id": "traceId", "span_id": "spanId", "parent_span_id": "parentSpanId", "trace_state": "traceState",
    "start": "startTimeUnixNano", "end": "endTimeUnixNano", "dropped_attributes_count": "droppedAttributesCount",
    "dropped_events_count": "droppedEventsCount", "dropped_links_count": "droppedLinksCount", "decoded": "-decoded",
}):  # fmt: skip
    """Ids in lower-case hexadecimal; parent_span_id is empty or zeros for a root. attributes, events, links:
    undecoded; see get(), values() and listed()."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    trace_state: str = ""
    flags: int = 0
    name: str = ""
    kind: int | str = 0
    start: int = 0
    end: int = 0
    attributes: Undecoded = b""
    events: Undecoded = b""
    links: Undecoded = b""
    status: Status | None = None
    dropped_attributes_count: int = 0
    dropped_events_count: int = 0
    dropped_links_count: int = 0
    decoded: dict[str, Any] | None = None

    @property
    def code(self) -> int:
        return self.status.number if self.status is not None else 0

    @property
    def kind_number(self) -> int:
        return KINDS.get(self.kind, 0) if isinstance(self.kind, str) else self.kind

    @property
    def is_root(self) -> bool:
        return not self.parent_span_id.strip("0")


class Scope(Struct, _Attributed, rename={
    "dropped_attributes_count": "droppedAttributesCount", "decoded": "-decoded",
}):  # fmt: skip
    """The instrumentation scope."""

    name: str = ""
    version: str = ""
    attributes: Undecoded = b""
    dropped_attributes_count: int = 0
    decoded: dict[str, Any] | None = None


class Resource(Struct, _Attributed, rename={
    "dropped_attributes_count": "droppedAttributesCount", "decoded": "-decoded", "named": "-named",
}):  # fmt: skip
    """What produced the spans."""

    attributes: Undecoded = b""
    dropped_attributes_count: int = 0
    decoded: dict[str, Any] | None = None
    named: str | None = None

    @property
    def service(self) -> str:
        """service.name; the SDKs' own default where it is not set."""
        if self.named is None:
            name = self.get("service.name")
            self.named = name if isinstance(name, str) and name else "unknown_service"
        return self.named


class ScopeSpans(Struct, rename={"schema_url": "schemaUrl"}):
    """Spans of one scope."""

    scope: Scope | None = None
    spans: list[Span] = []  # noqa: RUF012  msgspec copies it
    schema_url: str = ""


class ResourceSpans(Struct, rename={"scope_spans": "scopeSpans", "schema_url": "schemaUrl"}):
    """Spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] = []  # noqa: RUF012
    schema_url: str = ""


class Record(Struct, rename={"resource_spans": "resourceSpans", "length": "-length"}):
    """One export request. length: of its encoding in the file."""

    resource_spans: list[ResourceSpans]
    length: int = 0


def attribute_map(pairs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Values by key. As pcommon.Map.Get, the first of equal keys counts.

    string → str, bool → bool, int → int, double → float, bytes → bytes, array → list, kvlist → dict, none → None.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key = pair.get("key", "")
        if key not in found:
            found[key] = any_value(pair.get("value"))
    return found


def any_value(value: Mapping[str, Any] | None) -> Any:
    for kind, content in (value or {}).items():
        if kind in ("stringValue", "boolValue"):
            return content
        if kind == "intValue":
            return int(content)
        if kind == "doubleValue":
            return float(content)
        if kind == "bytesValue":
            return content if isinstance(content, bytes) else base64.b64decode(content)
        if kind == "arrayValue":
            return [any_value(item) for item in (content or {}).get("values") or ()]
        if kind == "kvlistValue":
            return attribute_map((content or {}).get("values") or ())
    return None


def listed(undecoded: Any) -> list[dict[str, Any]]:
    """Attributes, events or links that stand undecoded in a span, a scope or a resource, as OTLP/JSON has them."""
    if isinstance(undecoded, list):
        return undecoded
    if isinstance(undecoded, _TEXTS):
        return [] if undecoded == b"" else json_loads(undecoded) or []
    return [_plain_message(one) for one in undecoded]


_KINDS_OF_VALUE = {
    "string_value": "stringValue", "bool_value": "boolValue", "int_value": "intValue", "double_value": "doubleValue",
    "bytes_value": "bytesValue",
}  # fmt: skip


def _plain_message(one: Any) -> dict[str, Any]:
    """An attribute, event or link of protobuf, as OTLP/JSON has it; bytes stay bytes."""
    kind = type(one).__name__
    if kind == "KeyValue":
        return {"key": one.key, "value": _plain_value(one.value)}
    found: dict[str, Any] = {"droppedAttributesCount": one.dropped_attributes_count}
    found["attributes"] = [_plain_message(pair) for pair in one.attributes]
    if kind == "Event":
        return {**found, "timeUnixNano": one.time_unix_nano, "name": one.name}
    ids = {"traceId": one.trace_id.hex(), "spanId": one.span_id.hex()}
    return {**found, **ids, "traceState": one.trace_state, "flags": one.flags}


def _plain_value(value: Any) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind is None:
        return {}
    if kind == "array_value":
        return {"arrayValue": {"values": [_plain_value(item) for item in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": [_plain_message(pair) for pair in value.kvlist_value.values]}}
    return {_KINDS_OF_VALUE[kind]: getattr(value, kind)} if kind in _KINDS_OF_VALUE else {}


def json_loads(text: Any) -> Any:
    return msgspec.json.decode(text) if HAS_MSGSPEC else json.loads(text)


def _whole(record: Record) -> Record:
    """BrokenDocument unless every span has a trace id and a span id; they become lower-case."""
    for part in record.resource_spans:
        for scope in part.scope_spans:
            previous = ""
            for span in scope.spans:
                if len(span.span_id) != 16:
                    raise BrokenDocument(f"the span id {span.span_id!r} is not 16 hexadecimal digits")
                if span.trace_id != previous:
                    previous = span.trace_id
                    if len(previous) != 32 or not _HEX.issuperset(previous):
                        if len(previous) != 32 or not _HEX.issuperset(previous.lower()):
                            raise BrokenDocument(f"the trace id {previous!r} is not 32 hexadecimal digits")
                        span.trace_id = previous.lower()
    return record


def from_document(document: Mapping[str, Any], length: int = 0) -> Record:
    """A record from a decoded OTLP/JSON document; also understands Tempo's older names and ids in base64."""
    parts = []
    for part in document.get("resourceSpans") or document.get("batches") or ():
        scopes = []
        for scope in part.get("scopeSpans") or part.get("instrumentationLibrarySpans") or ():
            about = scope.get("scope") or scope.get("instrumentationLibrary") or {}
            scopes.append(
                ScopeSpans(
                    scope=Scope(
                        name=about.get("name", ""),
                        version=about.get("version", ""),
                        attributes=about.get("attributes") or [],
                        dropped_attributes_count=int(about.get("droppedAttributesCount") or 0),
                        decoded=None,
                    ),
                    spans=[_span(one) for one in scope.get("spans") or ()],
                    schema_url=scope.get("schemaUrl", ""),
                )
            )
        resource = part.get("resource") or {}
        parts.append(
            ResourceSpans(
                resource=Resource(
                    attributes=resource.get("attributes") or [],
                    dropped_attributes_count=int(resource.get("droppedAttributesCount") or 0),
                    decoded=None,
                    named=None,
                ),
                scope_spans=scopes,
                schema_url=part.get("schemaUrl", ""),
            )
        )
    return Record(resource_spans=parts, length=length)


def _span(one: Mapping[str, Any]) -> Span:
    status = one.get("status") or {}
    return Span(
        trace_id=otlp.hex_id(one["traceId"], otlp.TRACE_ID_DIGITS),
        span_id=otlp.hex_id(one["spanId"], otlp.SPAN_ID_DIGITS),
        parent_span_id=otlp.hex_id(one["parentSpanId"], otlp.SPAN_ID_DIGITS) if one.get("parentSpanId") else "",
        trace_state=one.get("traceState", ""),
        flags=int(one.get("flags") or 0),
        name=one.get("name", ""),
        kind=one.get("kind", 0),
        start=int(one.get("startTimeUnixNano") or 0),
        end=int(one.get("endTimeUnixNano") or 0),
        attributes=one.get("attributes") or [],
        events=one.get("events") or [],
        links=one.get("links") or [],
        status=Status(code=status.get("code", 0), message=status.get("message", "")),
        dropped_attributes_count=int(one.get("droppedAttributesCount") or 0),
        dropped_events_count=int(one.get("droppedEventsCount") or 0),
        dropped_links_count=int(one.get("droppedLinksCount") or 0),
        decoded=None,
    )


def _json_decoder() -> Callable[[bytes], Record]:
    """A function from a line to a record."""
    if HAS_MSGSPEC:
        decoder = msgspec.json.Decoder(Record, strict=False)

        def quick(line: bytes) -> Record:
            try:
                record = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BrokenDocument(f"no OTLP trace document: {error}") from None
            record.length = len(line)
            return record

        return quick

    return decode_plainly


def decode_plainly(line: bytes) -> Record:
    """What the decoder does where msgspec is not installed. Zeros may be left out, as in protobuf's JSON form."""
    try:
        document = json.loads(line)
        if not isinstance(document, dict) or not isinstance(document.get("resourceSpans"), list):
            raise BrokenDocument("no object with a list resourceSpans (an OTLP ExportTraceServiceRequest)")
        return from_document(document, len(line))
    except BrokenDocument:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BrokenDocument(f"no OTLP trace document: {error}") from None


def parse_json(line: bytes) -> Record:
    """A record from one OTLP/JSON document. BrokenDocument if it is none."""
    return _whole(_json_decoder()(line))


def parse_protobuf(message: bytes) -> Record:
    """A record from an ExportTraceServiceRequest or TracesData, which look alike. BrokenDocument if it is none."""
    document = trace_pb2.TracesData()
    try:
        document.ParseFromString(message)
    except DecodeError as error:
        raise BrokenDocument(f"no OTLP protobuf message: {error}") from None
    parts = [
        ResourceSpans(
            resource=Resource(
                attributes=part.resource.attributes,
                dropped_attributes_count=part.resource.dropped_attributes_count,
                decoded=None,
                named=None,
            ),
            scope_spans=[
                ScopeSpans(
                    scope=Scope(
                        name=scope.scope.name,
                        version=scope.scope.version,
                        attributes=scope.scope.attributes,
                        dropped_attributes_count=scope.scope.dropped_attributes_count,
                        decoded=None,
                    ),
                    spans=[_protobuf_span(one) for one in scope.spans],
                    schema_url=scope.schema_url,
                )
                for scope in part.scope_spans
            ],
            schema_url=part.schema_url,
        )
        for part in document.resource_spans
    ]
    return _whole(Record(resource_spans=parts, length=len(message)))


def _protobuf_span(one: Any) -> Span:
    return Span(
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
        parent_span_id=one.parent_span_id.hex(),
        trace_state=one.trace_state,
        flags=one.flags,
        name=one.name,
        kind=one.kind,
        start=one.start_time_unix_nano,
        end=one.end_time_unix_nano,
        attributes=one.attributes,
        events=one.events,
        links=one.links,
        status=Status(code=one.status.code, message=one.status.message),
        dropped_attributes_count=one.dropped_attributes_count,
        dropped_events_count=one.dropped_events_count,
        dropped_links_count=one.dropped_links_count,
        decoded=None,
    )


def read(source: Recording | str | Path, broken: Callable[[str, str], None] | None = None) -> Iterator[Record]:
    """The records of a recording, or of a file by its path, in their order.

    broken: called with the place of a record and what is wrong with it; the record is skipped. Without it
    BrokenDocument is raised. Raises what the recording raises, and InvalidInput for protobuf where the Python package
    for it is missing.
    """
    recording = FileRecording(source) if isinstance(source, str | Path) else source
    decode = _json_decoder()
    for message in recording.messages():
        if message.protobuf and not HAS_PROTO:
            raise otlp.no_protobuf()
        try:
            if message.problem:
                raise BrokenDocument(message.problem)
            record = parse_protobuf(message.text) if message.protobuf else _whole(decode(message.text))
        except (BrokenDocument, binascii.Error) as error:
            if broken is None:
                raise BrokenDocument(f"{message.place}: {error}") from None
            broken(message.place, str(error))
        else:
            yield record
