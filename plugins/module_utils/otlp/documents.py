# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""OTLP/JSON traces as data: build, merge, move in time, inspect. Pure: no I/O, no Ansible.

records.py reads them, from JSON and protobuf.

A document is an ExportTraceServiceRequest in the OTLP/JSON encoding: lowerCamelCase names, ids in hexadecimal, enums as
numbers, 64-bit numbers as strings. Times are Unix nanoseconds.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random, SystemRandom
from typing import Any

Document = dict[str, Any]
Span = dict[str, Any]

# Enums: JSON has their numbers, but some writers give the names.
KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
KIND_NUMBERS = {f"SPAN_KIND_{name}": number for name, number in {"UNSPECIFIED": 0, **KINDS}.items()}
STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
STATUS_ERROR = STATUS_CODES["STATUS_CODE_ERROR"]
TRACE_ID_DIGITS = 32
SPAN_ID_DIGITS = 16
TIMES = ("startTimeUnixNano", "endTimeUnixNano")
IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_HEX = frozenset("0123456789abcdef")


class BrokenDocument(ValueError):
    """Text that is not a trace document; the message is what is wrong with it."""


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
    code = (one.get("status") or {}).get("code", 0)
    return bool(STATUS_CODES.get(code, 0) == STATUS_ERROR if isinstance(code, str) else code == STATUS_ERROR)


def shift(document: Document, offset: Callable[[str], int], added: Mapping[str, Any]) -> None:
    """Move every span in time, with its events, and add attributes to it; in place.

    offset: from a trace id as written in the document to nanoseconds.
    """
    extra = attributes(added)
    for one in spans(document):
        by = offset(one["traceId"])
        for key in TIMES:
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
