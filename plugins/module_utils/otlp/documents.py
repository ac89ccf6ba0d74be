# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""OTLP/JSON traces: build, parse, shift in time, stream from a file. Pure, apart from reading the file.

OTLP protobuf is read by turning it into the same documents.

A document is an ExportTraceServiceRequest in the OTLP/JSON encoding: lowerCamelCase names, ids in hexadecimal, enums as
numbers, 64-bit numbers as strings. Times are Unix nanoseconds.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random, SystemRandom
from typing import IO, Any, cast

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

Document = dict[str, Any]
Span = dict[str, Any]

KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
STATUS_ERROR = 2
TRACE_ID_DIGITS = 32
SPAN_ID_DIGITS = 16
_TIMES = ("startTimeUnixNano", "endTimeUnixNano")
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_HEX = frozenset("0123456789abcdef")


class BrokenDocument(ValueError):
    """Text that is no trace document; the message says what is wrong with it."""


def new_id(digits: int, random: Random | None = None) -> str:
    """A W3C trace id (32 digits) or span id (16): random lower-case hexadecimal, not all zeros.

    Source: https://www.w3.org/TR/trace-context/#trace-id
    """
    source = random or SystemRandom()
    return f"{source.randrange(1, 1 << (4 * digits)):0{digits}x}"


def hex_id(value: str, digits: int) -> str:
    """An id as lower-case hexadecimal of full length, from hexadecimal or from base64.

    Tempo's JSON has ids in base64 (protobuf's own JSON form), and its search results lack leading zeros. An id's base64
    always ends in "=", which hexadecimal never does.
    """
    if value.endswith("="):
        try:
            value = base64.b64decode(value, validate=True).hex()
        except binascii.Error:
            raise BrokenDocument(f"the id {value!r} is neither hexadecimal nor base64") from None
    value = value.lower()
    if len(value) > digits or not _HEX.issuperset(value):
        raise BrokenDocument(f"the id {value!r} is not {digits} hexadecimal digits")
    return value.rjust(digits, "0")


def attributes(values: Mapping[str, str | bool | int | float | Sequence[str]]) -> list[dict[str, Any]]:
    """Key-value pairs in OTLP's form, in the order given."""
    return [{"key": key, "value": _any_value(value)} for key, value in values.items()]


def _any_value(value: str | bool | int | float | Sequence[str]) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [_any_value(item) for item in value]}}


def attribute_values(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The reverse of attributes, for scalars; other values stay as they are."""
    found: dict[str, Any] = {}
    for pair in pairs:
        for kind, value in pair.get("value", {}).items():
            found[pair["key"]] = int(value) if kind == "intValue" else value
    return found


def span(
    trace_id: str,
    span_id: str,
    parent_id: str,
    name: str,
    kind: str,
    start: int,
    end: int,
    values: Mapping[str, Any],
    error: str | None = None,
) -> Span:
    """One span. parent_id: '' for a root. kind: a key of KINDS. error: the status message of a failed span."""
    document: Span = {
        "traceId": trace_id,
        "spanId": span_id,
        **({"parentSpanId": parent_id} if parent_id else {}),
        "name": name,
        "kind": KINDS[kind],
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes(values),
        "status": {} if error is None else {"code": STATUS_ERROR, "message": error},
    }
    return document


def request(resource: Mapping[str, Any], scope: str, spans: list[Span]) -> Document:
    """A document with the spans of one resource."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeSpans": [{"scope": {"name": scope}, "spans": spans}],
            }
        ]
    }


def merge(documents: Sequence[Document]) -> Document:
    """One document with everything in these, in their order."""
    return {"resourceSpans": [part for document in documents for part in document["resourceSpans"]]}


def spans(document: Mapping[str, Any]) -> Iterator[Span]:
    """Every span of a document. Also understands Tempo's older names (batches, instrumentationLibrarySpans)."""
    for part in document.get("resourceSpans") or document.get("batches") or ():
        for scope in part.get("scopeSpans") or part.get("instrumentationLibrarySpans") or ():
            yield from scope.get("spans") or ()


def services(document: Mapping[str, Any]) -> set[str]:
    """The service.name of every resource that has one."""
    found: set[str] = set()
    for part in document.get("resourceSpans") or ():
        for pair in (part.get("resource") or {}).get("attributes") or ():
            if pair.get("key") == "service.name" and (name := (pair.get("value") or {}).get("stringValue")):
                found.add(name)
    return found


def count_spans(document: Mapping[str, Any]) -> int:
    return sum(1 for _span in spans(document))


def is_error(one: Mapping[str, Any]) -> bool:
    """Whether a span's status is ERROR."""
    return (one.get("status") or {}).get("code") in (STATUS_ERROR, "STATUS_CODE_ERROR")


def parse(line: bytes) -> Document:
    """A document that is whole: each span has ids of the right length and two times. BrokenDocument if it is not."""
    try:
        document = json.loads(line)
    except ValueError as error:
        raise BrokenDocument(f"not JSON: {error}") from None
    return _whole(document)


def no_protobuf() -> InvalidInput:
    """The error where the Python package that reads OTLP protobuf is missing."""
    return InvalidInput(
        "the recording holds OTLP protobuf",
        "the Python package opentelemetry-proto, which reads it, is not installed",
        "Install it where the module runs, or record JSON: format json of the file exporter, otlp_json of S3's.",
    )


def parse_protobuf(message: bytes) -> Document:
    """As parse, from an ExportTraceServiceRequest or TracesData in protobuf, which look alike.

    InvalidInput where the Python package opentelemetry-proto is missing.
    """
    try:
        from google.protobuf import json_format
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.trace.v1 import trace_pb2
    except ImportError as error:
        raise no_protobuf() from error
    try:
        document = json_format.MessageToDict(trace_pb2.TracesData.FromString(message), use_integers_for_enums=True)
    except DecodeError as error:
        raise BrokenDocument(f"no OTLP protobuf message: {error}") from None
    # Protobuf's own JSON form has ids in base64, OTLP's in hexadecimal.
    for one in spans(document):
        for holder in (one, *one.get("links", ())):
            for key in _IDS.intersection(holder):
                holder[key] = base64.b64decode(holder[key]).hex()
    return _whole({"resourceSpans": [], **document})


def _whole(document: Any) -> Document:
    if not isinstance(document, dict) or not isinstance(document.get("resourceSpans"), list):
        raise BrokenDocument("no object with a list resourceSpans (an OTLP ExportTraceServiceRequest)")
    try:
        for one in spans(document):
            for key, digits in (("traceId", TRACE_ID_DIGITS), ("spanId", SPAN_ID_DIGITS)):
                if len(one[key]) != digits or not _HEX.issuperset(one[key].lower()) or not one[key].strip("0"):
                    raise BrokenDocument(f"{key} {one[key]!r} is not {digits} hexadecimal digits, or all zeros")
            for key in _TIMES:
                int(one[key])
    except BrokenDocument:
        raise
    except KeyError as error:
        raise BrokenDocument(f"a span without {error.args[0]}") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise BrokenDocument(f"not the form of an OTLP document: {error}") from None
    return cast(Document, document)


def shift(document: Document, offset: Callable[[str], int], added: Mapping[str, Any]) -> None:
    """Move every span in time, with its events, and add attributes to it; in place.

    offset: from a trace id as written in the document to nanoseconds.
    """
    extra = attributes(added)
    for one in spans(document):
        by = offset(one["traceId"])
        for key in _TIMES:
            one[key] = str(int(one[key]) + by)
        for event in one.get("events") or ():
            event["timeUnixNano"] = str(int(event.get("timeUnixNano", 0)) + by)
        one["attributes"] = [*(one.get("attributes") or ()), *extra]


def rename_traces(document: Document, new: Callable[[str], str]) -> None:
    """Give spans, and their links, other trace ids; in place. new: from a trace id in lower case."""
    for one in spans(document):
        for holder in (one, *(one.get("links") or ())):
            if holder.get("traceId"):
                holder["traceId"] = new(holder["traceId"].lower())


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """A file, plain or gzip. Damaged or cut gzip data is an OSError too."""
    with Path(path).open("rb") as raw, unpacked(raw) as stream:
        yield stream


@contextmanager
def unpacked(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """What is in a file or buffer, plain or gzip, which is known by its first two bytes. Errors are those of opened."""
    magic = raw.read(2)
    raw.seek(0)
    try:
        yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw
    except (EOFError, zlib.error) as error:
        raise OSError(f"damaged gzip data: {error}") from error
