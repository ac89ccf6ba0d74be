# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The reader of OTLP/JSON and OTLP protobuf: records for the simulator, documents for whoever changes and sends them.

Both accept the same requests and refuse others with the same text. A record is what one export request held. Its spans
keep their attributes and events undecoded until a policy asks for them. recordings.py finds the requests in files,
s3/recording.py in a bucket.

Fields bear the names of opentelemetry/proto/trace/v1/trace.proto; times are Unix nanoseconds.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import BrokenDocument, Document


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
    from google.protobuf import json_format
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

_NO_SPAN_ID = bytes(otlp.SPAN_ID_DIGITS // 2)


class Status(Struct):
    """code: 0 unset, 1 ok, 2 error; by name in some JSON."""

    code: int | str = 0
    message: str = ""

    @property
    def number(self) -> int:
        return otlp.STATUS_CODES.get(self.code, 0) if isinstance(self.code, str) else self.code


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
        return otlp.KIND_NUMBERS.get(self.kind, 0) if isinstance(self.kind, str) else self.kind

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


def _checked(record: Record) -> Record:
    """BrokenDocument unless every span has a trace id and a span id; all ids become lower-case."""
    spans = [span for part in record.resource_spans for scope in part.scope_spans for span in scope.spans]
    # Together, since this runs for every span; one by one only to name what is wrong.
    text = " ".join([span.span_id for span in spans])
    if not _are_span_ids(text, len(spans)):
        for span in spans:
            _check_id("span", span.span_id, otlp.SPAN_ID_DIGITS)
    previous: str | None = None
    for span in spans:
        if span.trace_id != previous:
            previous = span.trace_id
            _check_id("trace", previous, otlp.TRACE_ID_DIGITS)
            text += previous
    if text != text.lower():
        for span in spans:
            span.trace_id, span.span_id = span.trace_id.lower(), span.span_id.lower()
            span.parent_span_id = span.parent_span_id.lower()
    return record


def _are_span_ids(text: str, count: int) -> bool:
    """Whether these are so many span ids, with a space between them. False too for some that are, next to zeros."""
    try:
        ids = bytes.fromhex(text)  # which passes over white space
    except ValueError:
        return False
    # Spaces between the ids, and hence none inside.
    apart = len(text) == max(17 * count - 1, 0) and text[16::17] == " " * (count - 1)
    return apart and len(ids) == 8 * count and _NO_SPAN_ID not in ids


def _are_hexadecimal(text: str) -> bool:
    try:
        # It passes over white space, but then gives fewer bytes.
        return 2 * len(bytes.fromhex(text)) == len(text)
    except ValueError:
        return False


def _check_id(name: str, value: str, digits: int) -> None:
    if len(value) != digits or not _are_hexadecimal(value) or not value.strip("0"):
        raise BrokenDocument(f"the {name} id {value!r} is not {digits} hexadecimal digits, or all zeros")


def from_document(
    document: Mapping[str, Any], length: int = 0, read_id: Callable[[str, int], str] = otlp.hex_id
) -> Record:
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
                    spans=[_span(one, read_id) for one in scope.get("spans") or ()],
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


def _as_written(value: str, digits: int) -> str:
    """_checked decides whether it is an id of so many digits."""
    if not isinstance(value, str):
        raise TypeError(f"expected {digits} hexadecimal digits, got {value!r}")
    return value


def _span(one: Mapping[str, Any], read_id: Callable[[str, int], str]) -> Span:
    status = one.get("status") or {}
    return Span(
        trace_id=read_id(one["traceId"], otlp.TRACE_ID_DIGITS),
        span_id=read_id(one["spanId"], otlp.SPAN_ID_DIGITS),
        parent_span_id=read_id(one["parentSpanId"], otlp.SPAN_ID_DIGITS) if one.get("parentSpanId") else "",
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


_DECODER = msgspec.json.Decoder(Record, strict=False) if HAS_MSGSPEC else None


def _decode(text: bytes) -> Record:
    if _DECODER is None:
        return decode_plainly(text)
    try:
        record: Record = _DECODER.decode(text)
    except ValueError as error:  # msgspec's errors, and that of text that is not UTF-8
        raise BrokenDocument(f"not an OTLP trace document: {error}") from None
    record.length = len(text)
    return record


def decode_plainly(text: bytes) -> Record:
    """What decodes where msgspec is not installed, unchecked. Zeros may be left out, as in protobuf's JSON form."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or not isinstance(document.get("resourceSpans"), list):
            raise BrokenDocument("not an OTLP trace document: there is no list resourceSpans")
        return from_document(document, len(text), _as_written)
    except BrokenDocument:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BrokenDocument(f"not an OTLP trace document: {error}") from None


def parse_json(text: bytes) -> Record:
    """A record from one OTLP/JSON document. BrokenDocument if it is not one. Numbers may be text, and enums names."""
    return _checked(_decode(text))


def json_document(text: bytes) -> Document:
    """As parse_json, with all there is in the text. BrokenDocument also for a span without its two times."""
    parse_json(text)
    return _movable(json_loads(text))


def _movable(document: Document) -> Document:
    """BrokenDocument unless every span has what documents.shift changes."""
    for one in otlp.spans(document):
        for key in otlp.TIMES:
            if key not in one:
                raise BrokenDocument(f"a span without {key}")
        for key in ("attributes", "events", "links"):
            if not isinstance(one.get(key) or [], list):
                raise BrokenDocument(f"a span's {key} are not a list")
    return document


def _message(text: bytes) -> Any:
    """The TracesData in it; an ExportTraceServiceRequest has the same encoding."""
    if not HAS_PROTO:
        raise InvalidInput(
            "the recording holds OTLP protobuf",
            "the Python package opentelemetry-proto, which reads it, is not installed",
            "Install it where the module runs, or record JSON: format json of the file exporter, otlp_json of S3's.",
        )
    message = trace_pb2.TracesData()
    try:
        message.ParseFromString(text)
    except DecodeError as error:
        raise BrokenDocument(f"not an OTLP protobuf message: {error}") from None
    return message


def parse_protobuf(text: bytes) -> Record:
    """A record from an ExportTraceServiceRequest or TracesData. BrokenDocument if it is not one, InvalidInput where the
    Python package opentelemetry-proto is missing.
    """
    return _checked(_from_message(_message(text), len(text)))


def protobuf_document(text: bytes) -> Document:
    """As parse_protobuf, as an OTLP/JSON document. BrokenDocument also for a span without its two times."""
    message = _message(text)
    _checked(_from_message(message, len(text)))
    found = json_format.MessageToDict(message, use_integers_for_enums=True)
    document: Document = {"resourceSpans": [], **found}
    # Protobuf's own JSON form has ids in base64, OTLP's in hexadecimal.
    for one in otlp.spans(document):
        for holder in (one, *one.get("links", ())):
            for key in otlp.IDS.intersection(holder):
                holder[key] = base64.b64decode(holder[key]).hex()
    return _movable(document)


def _from_message(document: Any, length: int) -> Record:
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
    return Record(resource_spans=parts, length=length)


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
