# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recordings: JSON lines and protobuf give the same records, and what is broken is named."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp import records as spans
from ansible_collections.orion.tracing.plugins.module_utils.otlp import sizes
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import read
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import document, span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

EVENT = {
    "timeUnixNano": "1700000000000000001",
    "name": "exception",
    "attributes": otlp.attributes({"exception.type": "IOError"}),
    "droppedAttributesCount": 1,
}
LINK = {"traceId": "0" * 31 + "9", "spanId": "0" * 15 + "9", "traceState": "a=b", "attributes": [], "flags": 1}
VALUES = {"text": "héllo", "int": -5, "big": 2**40, "double": 1.5, "bool": True, "list": ["a", "b"]}
RICH = document(
    (
        {"service.name": "shop", "n": 1},
        [
            span(1, 1, values=VALUES, error=True, traceState="a=1", flags=257, kind=2, events=[EVENT], links=[LINK]),
            span(1, 2, 1, droppedAttributesCount=300, droppedEventsCount=1, droppedLinksCount=1),
        ],
    ),
    ({}, [span(2, 1)]),
)
RICH["resourceSpans"][0]["scopeSpans"][0]["scope"] = {
    "name": "lib",
    "version": "1",
    "attributes": otlp.attributes({"s": "t"}),
}
RICH["resourceSpans"][0]["scopeSpans"][0]["spans"][1]["attributes"] = [
    {"key": "raw", "value": {"bytesValue": "AQI="}},
    {"key": "none", "value": {}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "7"}}]}}},
    {"key": "raw", "value": {"stringValue": "the first counts"}},
]


def line(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode() + b"\n"


def _fill(target: AnyValue, value: dict[str, Any]) -> None:
    for kind, content in value.items():
        if kind == "arrayValue":
            target.array_value.SetInParent()
            for item in content["values"]:
                _fill(target.array_value.values.add(), item)
        elif kind == "kvlistValue":
            target.kvlist_value.SetInParent()
            _pairs(target.kvlist_value.values, content["values"])
        elif kind == "bytesValue":
            target.bytes_value = b"\x01\x02"
        else:
            name = {"stringValue": "string_value", "boolValue": "bool_value", "doubleValue": "double_value"}
            setattr(target, name.get(kind, "int_value"), int(content) if kind == "intValue" else content)


def _pairs(target: Any, pairs: list[dict[str, Any]]) -> None:
    for pair in pairs:
        one = target.add(key=pair["key"])
        _fill(one.value, pair["value"])


def protobuf(found: dict[str, Any]) -> bytes:
    """The same document by the protobuf package's own encoder."""
    request = ExportTraceServiceRequest()
    for part in found["resourceSpans"]:
        resource_spans = request.resource_spans.add()
        _pairs(resource_spans.resource.attributes, part["resource"]["attributes"])
        for scope in part["scopeSpans"]:
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = scope["scope"].get("name", "")
            scope_spans.scope.version = scope["scope"].get("version", "")
            _pairs(scope_spans.scope.attributes, scope["scope"].get("attributes", []))
            for one in scope["spans"]:
                made = scope_spans.spans.add(
                    trace_id=bytes.fromhex(one["traceId"]),
                    span_id=bytes.fromhex(one["spanId"]),
                    parent_span_id=bytes.fromhex(one["parentSpanId"]),
                    trace_state=one.get("traceState", ""),
                    flags=one.get("flags", 0),
                    name=one["name"],
                    kind=one["kind"],
                    start_time_unix_nano=int(one["startTimeUnixNano"]),
                    end_time_unix_nano=int(one["endTimeUnixNano"]),
                    dropped_attributes_count=one.get("droppedAttributesCount", 0),
                    dropped_events_count=one.get("droppedEventsCount", 0),
                    dropped_links_count=one.get("droppedLinksCount", 0),
                )
                made.status.code = one["status"].get("code", 0)
                _pairs(made.attributes, one["attributes"])
                for event in one.get("events", []):
                    added = made.events.add(
                        time_unix_nano=int(event["timeUnixNano"]), name=event["name"], dropped_attributes_count=1
                    )
                    _pairs(added.attributes, event["attributes"])
                for link in one.get("links", []):
                    made.links.add(
                        trace_id=bytes.fromhex(link["traceId"]),
                        span_id=bytes.fromhex(link["spanId"]),
                        trace_state=link["traceState"],
                        flags=link["flags"],
                    )
    return request.SerializeToString()


def prefixed(*messages: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "big") + one for one in messages)


def plain(record: spans.Record) -> list[Any]:
    """Everything a record says."""
    return [
        (
            part.resource.values() if part.resource else {},
            [
                (
                    (scope.scope.name, scope.scope.version, scope.scope.values()) if scope.scope else None,
                    [
                        (
                            one.trace_id, one.span_id, one.is_root, one.parent_span_id, one.trace_state, one.flags,
                            one.name, one.kind_number, one.start, one.end, one.values(), one.code,
                            [(e["name"], int(e["timeUnixNano"]), spans.attribute_map(e["attributes"]))
                             for e in spans.listed(one.events)],
                            [(item["traceId"], item["spanId"]) for item in spans.listed(one.links)],
                            one.dropped_attributes_count, one.dropped_events_count, one.dropped_links_count,
                        )
                        for one in scope.spans
                    ],
                )
                for scope in part.scope_spans
            ],
        )
        for part in record.resource_spans
    ]  # fmt: skip


@pytest.fixture
def without_msgspec(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it is where only the standard library is installed."""
    for name in ("msgspec", "opentelemetry.proto.trace.v1", "google.protobuf"):
        monkeypatch.setitem(sys.modules, name, None)
    spec = importlib.util.spec_from_file_location("spans_without", spans.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module.HAS_MSGSPEC and not module.HAS_PROTO
    return module


def test_json_protobuf_and_documents_say_the_same(tmp_path: Path) -> None:
    lines, messages = tmp_path / "a.jsonl", tmp_path / "a.binpb"
    lines.write_bytes(line(RICH) + b"\n" + line(document(({}, [span(3)]))))
    messages.write_bytes(prefixed(protobuf(RICH), protobuf(document(({}, [span(3)])))))
    (one, two), (three, four) = read(lines), read(messages)
    assert plain(one) == plain(three) == plain(spans.from_document(RICH))
    assert plain(two) == plain(four)
    values = one.resource_spans[0].scope_spans[0].spans[0].values()
    assert values == VALUES and [type(values[key]) for key in ("int", "double", "bool")] == [int, float, bool]
    rest = one.resource_spans[0].scope_spans[0].spans[1].values()
    assert rest == {"raw": b"\x01\x02", "none": None, "map": {"k": 7}}


def test_without_msgspec_the_same_comes_slower(without_msgspec: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(RICH))
    one = without_msgspec.parse_json(path.read_bytes())
    (two,) = read(path)
    assert plain(one) == plain(two)
    assert one.length == two.length == len(line(RICH))


def test_protobuf_without_its_package_says_what_to_install(without_msgspec: ModuleType) -> None:
    for read_it in (without_msgspec.parse_protobuf, without_msgspec.protobuf_document):
        with pytest.raises(InvalidInput, match="opentelemetry-proto"):
            read_it(protobuf(RICH))


@pytest.mark.parametrize("write", [line, lambda found: prefixed(protobuf(found))], ids=["json", "protobuf"])
def test_gzip_is_known_by_its_first_bytes(write: Callable[[dict[str, Any]], bytes], tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(gzip.compress(write(RICH) * 3))
    assert [plain(one) for one in read(path)] == [plain(spans.from_document(RICH))] * 3
    path.write_bytes(gzip.compress(write(RICH) * 3)[:-20])
    with pytest.raises(OSError, match="gzip"):
        list(read(path))


@pytest.mark.parametrize("before", [b"", b"\x00\x00\x01\x00"])
def test_zstd_is_refused_by_name(before: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(before + b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(InvalidInput, match="zstd"):
        list(read(path))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert list(read(path)) == []


def broken(**changes: Any) -> bytes:
    return line(document(({}, [span(1), span(1, 2, **changes)])))


BROKEN = [
    (b"{", "not an OTLP trace document"),
    (b"\xff{}", "not an OTLP trace document"),
    (b"[]", "not an OTLP trace document"),
    (b'{"resourceMetrics": []}', "resourceSpans"),
    (b'{"resourceSpans": 5}', "resourceSpans"),
    (b'{"resourceSpans": [5]}', "not an OTLP trace document"),
    (broken(traceId="12"), "the trace id '12' is not 32 hexadecimal digits"),
    (broken(traceId="x" * 32), "trace id 'x"),
    (broken(traceId="0" * 32), "or all zeros"),
    (broken(spanId="12"), "the span id '12' is not 16 hexadecimal digits"),
    (broken(spanId="12 34 56 78 9a b"), "span id"),
    (broken(spanId="1" * 15), "span id"),
    (broken(spanId="0" * 16), "or all zeros"),
    (broken(startTimeUnixNano="soon"), "not an OTLP trace document"),
    (broken(endTimeUnixNano="1.5"), "not an OTLP trace document"),
]


@pytest.mark.parametrize(("bad", "why"), BROKEN)
def test_records_and_documents_refuse_the_same_with_the_same_text(
    bad: bytes, why: str, without_msgspec: ModuleType
) -> None:
    said = []
    for read_it in (spans.parse_json, spans.json_document):
        with pytest.raises(otlp.BrokenDocument, match=re.escape(why)) as caught:
            read_it(bad)
        said.append(str(caught.value))
    assert said[0] == said[1]
    with pytest.raises(otlp.BrokenDocument, match=re.escape(why)):
        without_msgspec.parse_json(bad)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"endTimeUnixNano": None}, "a span without endTimeUnixNano"),
        ({"attributes": 5}, "attributes are not a list"),
        ({"events": {}}, ""),
        ({"events": {"a": 1}}, "events are not a list"),
    ],
)
def test_documents_have_what_moving_them_in_time_needs(changes: dict[str, Any], why: str) -> None:
    one = {key: value for key, value in {**span(1), **changes}.items() if value is not None}
    text = line(document(({}, [one])))
    assert len(spans.parse_json(text).resource_spans[0].scope_spans[0].spans) == 1
    if not why:
        spans.json_document(text)
        return
    with pytest.raises(otlp.BrokenDocument, match=why):
        spans.json_document(text)


def test_a_document_has_everything_that_is_in_the_text() -> None:
    assert spans.json_document(b'{"resourceSpans":[]}') == {"resourceSpans": []}
    # Times as numbers, ids in capitals and unknown keys are valid too.
    one = span(0xABC, startTimeUnixNano=10, traceId=f"{0xABC:032X}", unknown={"a": None})
    text = line(document(({}, [one])))
    assert spans.json_document(text) == json.loads(text)


@pytest.mark.parametrize("ids", [{"traceId": b""}, {"spanId": bytes(8)}, {"spanId": b"12"}])
def test_records_and_documents_from_protobuf_refuse_the_same(ids: dict[str, bytes]) -> None:
    message = ExportTraceServiceRequest.FromString(protobuf(document(({}, [span(1)]))))
    one = message.resource_spans[0].scope_spans[0].spans[0]
    for name, value in ids.items():
        setattr(one, {"traceId": "trace_id", "spanId": "span_id"}[name], value)
    said = []
    for read_it in (spans.parse_protobuf, spans.protobuf_document):
        with pytest.raises(otlp.BrokenDocument, match=" id ") as caught:
            read_it(message.SerializeToString())
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("bad", [b"{", broken(traceId="12"), broken(startTimeUnixNano="soon")])
def test_broken_lines_are_named_and_left_out(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(RICH) + bad.rstrip() + b"\n" + line(RICH))
    told: list[tuple[str, str]] = []
    assert len(list(read(path, lambda place, text: told.append((place, text))))) == 2
    with pytest.raises(otlp.BrokenDocument) as caught:
        spans.parse_json(bad)
    assert told == [("line 2", str(caught.value))]
    with pytest.raises(otlp.BrokenDocument, match="line 2"):
        list(read(path))


def test_broken_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.binpb"
    good = protobuf(RICH)
    told: list[tuple[str, str]] = []
    path.write_bytes(prefixed(good, b"\xff\xff\xff", good) + prefixed(good)[:-5])
    assert len(list(read(path, lambda place, text: told.append((place, text))))) == 2
    assert [place for place, _text in told] == ["message 2", "message 4"] and "ends after" in told[1][1]
    path.write_bytes(b"\xff\xfe\xfd\xfcwhatever")
    with pytest.raises(otlp.BrokenDocument, match="neither"):
        list(read(path))


def test_a_key_is_found_however_json_writes_it() -> None:
    """Attributes are not decoded for a key whose letters do not stand in them, unless there is an escape."""
    text = line(document(({}, [span(1, values={"http.route": "/x", "note": "a"}), span(1, 2, values={"n": 1})])))
    for written in (text, text.replace(b"http.route", rb"http\u002eroute"), text.replace(b'"note"', rb'"n\"ote"')):
        one, two = spans.parse_json(written).resource_spans[0].scope_spans[0].spans
        assert (two.get("http.route", "none"), two.decoded) == ("none", None)
        assert (one.get("http.route"), one.get("absent", "none"), two.get("n")) == ("/x", "none", 1)


def test_an_attribute_may_lack_its_key_or_value() -> None:
    pairs = [{"value": {"stringValue": "x"}}, {"key": "k"}, {"key": "null", "value": None}]
    (one,) = spans.parse_json(line(document(({}, [span(1, attributes=pairs)])))).resource_spans[0].scope_spans[0].spans
    assert [one.get(key, "none") for key in ("", "k", "null", "other")] == ["x", None, None, "none"]
    assert one.values() == {"": "x", "k": None, "null": None}


@pytest.mark.parametrize("upper", ["traceId", "spanId"])
def test_upper_case_ids_become_lower_case(upper: str) -> None:
    whole = span(0xABC, 0xABC, 0xDEF)
    (one,) = (
        spans.parse_json(line(document(({}, [{**whole, upper: whole[upper].upper()}]))))
        .resource_spans[0]
        .scope_spans[0]
        .spans
    )
    assert (one.trace_id, one.span_id, one.parent_span_id) == (f"{0xABC:032x}", f"{0xABC:016x}", f"{0xDEF:016x}")


def test_tempos_older_names_and_base64_ids() -> None:
    one = {"traceId": "AAAAAAAAAAAAAAAAAAAAAQ==", "spanId": "AAAAAAAAAAE=", "kind": "SPAN_KIND_SERVER"}
    found = spans.from_document({"batches": [{"instrumentationLibrarySpans": [{"spans": [one]}]}]})
    (read,) = found.resource_spans[0].scope_spans[0].spans
    assert (read.trace_id, read.span_id, read.kind_number) == (f"{1:032x}", f"{1:016x}", 2)


def test_enum_names_in_json() -> None:
    found = document(({}, [span(1, kind="SPAN_KIND_CLIENT", status={"code": "STATUS_CODE_ERROR"})]))
    (one,) = spans.parse_json(line(found)).resource_spans[0].scope_spans[0].spans
    assert (one.kind_number, one.code) == (3, 2)


def test_a_resource_without_a_name_is_an_unknown_service() -> None:
    names = [
        spans.from_document(document((values, []))).resource_spans[0].resource
        for values in ({}, {"service.name": ""}, {"service.name": 5}, {"service.name": "shop"})
    ]
    assert [one.service for one in names if one] == ["unknown_service"] * 3 + ["shop"]


def test_sizes_are_those_of_the_encoder_and_what_pdata_adds() -> None:
    """pdata writes ids and embedded messages even when they are empty, with 2 bytes each: here the parent ids of two
    root spans, the resource of the second part, and the value of the attribute none."""
    found = sizes.traces_size(spans.from_document(RICH).resource_spans)
    again = sizes.traces_size(spans.parse_protobuf(protobuf(RICH)).resource_spans)
    assert found == again == len(protobuf(RICH)) + 4 * 2
