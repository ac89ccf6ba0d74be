# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def one(**changes: Any) -> dict[str, Any]:
    span = otlp.span(TRACE, SPAN, "", "GET /", "SERVER", 10, 20, {"a": "b"})
    return {key: value for key, value in (span | changes).items() if value is not None}


def line(*spans: dict[str, Any]) -> bytes:
    return json.dumps(otlp.request({"service.name": "s"}, "scope", list(spans))).encode()


def test_ids_are_w3c_ids() -> None:
    assert len(otlp.new_id(32)) == 32
    assert len({otlp.new_id(16) for _number in range(100)}) == 100
    assert otlp.new_id(16, Random(1)) == otlp.new_id(16, Random(1))

    class Least(Random):
        def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
            return start

    assert otlp.new_id(16, Least()) == "0000000000000001"  # never all zeros, never short


@pytest.mark.parametrize(
    ("value", "digits", "wanted"),
    [
        (TRACE, 32, TRACE),
        (TRACE.upper(), 32, TRACE),
        ("CvdlGRbNQ92ESOshHIAxnA==", 32, TRACE),
        ("t61rcWkgMzE=", 16, SPAN),
        ("7651916cd43dd8448eb211c80319c", 32, "0007651916cd43dd8448eb211c80319c"),
    ],
)
def test_ids_of_every_spelling(value: str, digits: int, wanted: str) -> None:
    assert otlp.hex_id(value, digits) == wanted


@pytest.mark.parametrize("value", ["xyz", "t61rcWkgMzE", "!!!=", TRACE + "00"])
def test_what_is_no_id(value: str) -> None:
    with pytest.raises(otlp.BrokenDocument, match="id"):
        otlp.hex_id(value, 32)


def test_attributes_both_ways() -> None:
    values = {"s": "x", "b": True, "i": 7, "f": 0.5}
    pairs = otlp.attributes(values | {"l": ["a", "b"]})
    assert pairs[1:3] == [{"key": "b", "value": {"boolValue": True}}, {"key": "i", "value": {"intValue": "7"}}]
    assert pairs[4]["value"] == {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}
    assert otlp.attribute_values(pairs[:4]) == values
    assert otlp.attribute_values([{"key": "empty"}]) == {}


def test_spans_of_both_names_and_of_holes() -> None:
    assert list(otlp.spans({"batches": [{"instrumentationLibrarySpans": [{"spans": [1, 2]}]}]})) == [1, 2]
    assert list(otlp.spans({"resourceSpans": [{}, {"scopeSpans": [{}, {"spans": None}, {"spans": [3]}]}]})) == [3]
    assert list(otlp.spans({})) == []


def test_merge_keeps_everything_in_order() -> None:
    first, second = json.loads(line(one())), json.loads(line(one(name="b"), one(name="c")))
    merged = otlp.merge([first, second])
    assert [span["name"] for span in otlp.spans(merged)] == ["GET /", "b", "c"]
    assert otlp.count_spans(merged) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [({"code": 2}, True), ({"code": "STATUS_CODE_ERROR"}, True), ({"code": 1}, False), ({}, False), (None, False)],
)
def test_error_status(status: Any, error: bool) -> None:
    assert otlp.is_error({"status": status}) is error
    assert otlp.is_error({}) is False


def test_shift_keeps_inner_timing_and_adds_attributes() -> None:
    span = one(events=[{"timeUnixNano": "15", "name": "e"}, {"name": "without time"}])
    document = json.loads(line(span, one(attributes=None)))
    otlp.shift(document, lambda trace_id: {TRACE: 100}[trace_id], {"run": "x"})
    moved, bare = otlp.spans(document)
    assert (moved["startTimeUnixNano"], moved["endTimeUnixNano"]) == ("110", "120")
    assert [event["timeUnixNano"] for event in moved["events"]] == ["115", "100"]
    assert otlp.attribute_values(moved["attributes"]) == {"a": "b", "run": "x"}
    assert otlp.attribute_values(bare["attributes"]) == {"run": "x"}
