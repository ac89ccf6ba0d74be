# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OTTL conditions: what holds of a span, what is an error, and what is refused where.

That the collector agrees is tests/parity's matter; here each rule stands with its reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.otlp import records as spans
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import conditions as ottl
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import functions as ottl_functions
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.values import Strings, compare, go_json

ATTRIBUTES = [
    {"key": "route", "value": {"stringValue": "/api/v1/orders"}},
    {"key": "empty", "value": {"stringValue": ""}},
    {"key": "status", "value": {"intValue": "503"}},
    {"key": "ratio", "value": {"doubleValue": 0.5}},
    {"key": "whole", "value": {"doubleValue": 3.0}},
    {"key": "yes", "value": {"boolValue": True}},
    {"key": "raw", "value": {"bytesValue": "AQI="}},
    {"key": "none", "value": {}},
    {"key": "number", "value": {"stringValue": "42"}},
    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "7"}}]}}},
]


def place(**changes: Any) -> ottl.SpanPlace:
    document = {
        "traceId": "0102030405060708090a0b0c0d0e0f10",
        "spanId": "00000000000000ff",
        "parentSpanId": "",
        "traceState": "ot=th:8,vendor=1",
        "flags": 257,
        "name": "GET /orders",
        "kind": 2,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001500000000",
        "attributes": ATTRIBUTES,
        "events": [
            {
                "name": "exception",
                "timeUnixNano": "1700000001000000000",
                "attributes": [{"key": "exception.type", "value": {"stringValue": "IOError"}}],
            }
        ],
        "links": [],
        "status": {"code": 2, "message": "broken"},
        "droppedAttributesCount": 3,
        **changes,
    }
    record = spans.from_document(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                    "scopeSpans": [{"scope": {"name": "lib", "version": "1.2"}, "spans": [document]}],
                }
            ]
        }
    )
    found = ottl.SpanPlace()
    found.resource_spans = record.resource_spans[0]
    found.scope_spans = found.resource_spans.scope_spans[0]
    found.span = found.scope_spans.spans[0]
    found.event = found.events()[0]
    return found


def holds(text: str, context: str = "span", **changes: Any) -> bool:
    return ottl.parse(text, context)(place(**changes))


@pytest.mark.parametrize(
    "text",
    [
        # paths
        'span.name == "GET /orders"',
        'name == "GET /orders"',
        'attributes["route"] == "/api/v1/orders"',
        'resource.attributes["service.name"] == "shop"',
        'scope.name == "lib" and instrumentation_scope.version == "1.2"',
        "span.kind == SPAN_KIND_SERVER",
        'span.kind.string == "Server" and kind.deprecated_string == "SPAN_KIND_SERVER"',
        'span.status.code == STATUS_CODE_ERROR and status.message == "broken"',
        'span.trace_id.string == "0102030405060708090a0b0c0d0e0f10"',
        "span.trace_id == TraceID(0x0102030405060708090a0b0c0d0e0f10)",
        'span.trace_id == TraceID("0102030405060708090a0b0c0d0e0f10")',
        "span.span_id == SpanID(0x00000000000000ff)",
        "span.parent_span_id == SpanID(0x0000000000000000)",
        'span.parent_span_id.string == "0000000000000000"',
        'span.trace_state["vendor"] == "1" and span.trace_state["absent"] == ""',
        "span.flags == 257",
        "span.dropped_attributes_count == 3",
        "Len(span.events) == 1 and Len(span.links) == 0",
        'span.attributes["list"][0] == "a" and span.attributes["list"][1] == 1',
        'span.attributes["map"]["k"] == 7 and span.attributes["map"]["x"] == nil',
        'span.attributes[Concat(["rou", "te"], "")] == "/api/v1/orders"',
        'resource.schema_url == ""',
        'cache["x"] == nil',
        # comparison: types that differ are unequal and not ordered; int and double are numbers
        'span.attributes["absent"] == nil and span.attributes["none"] == nil',
        'span.attributes["route"] != nil',
        'span.attributes["status"] == 503.0 and span.attributes["whole"] == 3',
        'span.attributes["status"] != "503"',
        'not (span.attributes["status"] < "504")',
        'not (span.attributes["absent"] < 5) and not (span.attributes["absent"] >= 5)',
        "nil <= nil and nil >= nil and not (nil < nil)",
        'span.attributes["yes"] == true and span.attributes["yes"] > false',
        'span.attributes["yes"] != 1',
        'span.attributes["raw"] == 0x0102 and span.attributes["raw"] < 0x02',
        'span.attributes["list"] == ["a", 1] and span.attributes["list"] != ["a", 1.0]',
        'span.attributes["map"] == {"k": 7} and span.attributes["map"] != {"k": 8}',
        'span.name > "GET" and span.name < "GETA"',
        # arithmetic
        "span.end_time_unix_nano - span.start_time_unix_nano == 1500000000",
        'span.attributes["status"] / 100 == 5 and -span.attributes["status"] / 100 == -5',
        'span.attributes["status"] * 2 + 1 == 1007',
        "(1 + 2) * 3 == 9 and 1 + 2 * 3 == 7",
        'span.attributes["ratio"] + 1 == 1.5',
        'span.end_time - span.start_time == Duration("1.5s")',
        'span.end_time - span.start_time > Duration("1s499ms")',
        'span.start_time + Duration("1500ms") == span.end_time',
        "Unix(1700000000) == span.start_time",
        # booleans
        "true or Int(span.events) == 1",  # folded: what stands beside a constant is not evaluated
        "not false",
        'false or (span.name == "x" or IsRootSpan()) and true',
        "not IsRootSpan() or IsRootSpan()",
        'span.attributes["whole"] < 4 and 4 > span.attributes["whole"] and 3.5 > span.attributes["whole"]',
        'Duration("1s") + Duration("1s") == Duration("2s") and Duration("1s") - Duration("2s") == Duration("-1s")',
        'Duration("1s") + span.start_time > span.start_time - Duration("1s")',
        'Duration("1h1m1.5s") == Duration("3661500ms") and Duration("0") < Duration("1ns")',
        # functions
        "IsRootSpan()",
        'IsMatch(span.name, "^GET .*s$") and IsMatch(span.attributes["status"], "5..")',
        'not IsMatch(span.attributes["absent"], ".*")',
        'IsString(span.name) and not IsString(span.attributes["absent"])',
        'IsInt(span.attributes["status"]) and not IsInt(span.attributes["whole"])',
        'not IsInt(span.attributes["yes"]) and not IsDouble(span.attributes["status"])',
        'IsDouble(span.attributes["ratio"]) and IsBool(span.attributes["yes"])',
        'IsMap(span.attributes["map"]) and IsMap(span.attributes) and IsList(span.attributes["list"])',
        "IsList(span.events) and not IsEmpty(span.links)",  # a list of pdata is not empty
        'IsEmpty(span.attributes["empty"]) and IsEmpty(span.attributes["absent"]) and not IsEmpty(span.name)',
        'HasPrefix(span.name, "GET") and HasSuffix(span.name, "orders")',
        'Concat(["a", span.attributes["status"], nil], "-") == "a-503-<nil>"',
        'Len("é") == 2 and Len(span.attributes["list"]) == 2 and Len(span.attributes["map"]) == 1',
        'Int("42") == 42 and Int(span.attributes["number"]) == 42 and Int("x") == nil and Int(2.9) == 2',
        'Int(true) == 1 and Int(nil) == nil and Int("9223372036854775808") == nil',
        'Double("1e3") == 1000.0 and Double(true) == 1.0 and Double(nil) == nil and Double("-inf") < 0',
        'Bool("T") and not Bool(0) and Bool(0.5)',
        'Hex("a") == "61" and Hex(true) == "01" and Hex(1) == "0000000000000001" and Hex(1.0) == "3ff0000000000000"',
        'String(Duration("1s")) == "1000000000" and String(span.start_time) == "\\"2023-11-14T22:13:20Z\\""',
        'IsEmpty(Duration("0")) and not IsEmpty(span.start_time) and IsEmpty(span.parent_span_id)',
        'Split("ab", "")[1] == "b" and Index("abc", "") == 0',
        'String(span.attributes["status"]) == "503" and String(span.attributes["raw"]) == "0102"',
        'String(span.attributes["map"]) == "{\\"k\\":7}"',
        'Substring(span.name, 0, 3) == "GET" and Substring("aé", 0, 2, true) == "a"',
        'ToLowerCase(span.name) == "get /orders" and ConvertCase(span.name, "upper") == "GET /ORDERS"',
        'Split(span.name, " ")[1] == "/orders"',
        'Split(span.name, " ") != ["GET", "/orders"]',  # a []string equals nothing
        'ContainsValue(span.attributes["list"], 1) and not ContainsValue(span.attributes["list"], "1")',
        'ContainsValue(["a", "b"], "b")',
        'Index(span.name, "/") == 4 and Index(span.attributes["list"], 1) == 1 and Index(["a"], "b") == -1',
        'Trim("__a_", "_") == "a" and TrimPrefix(span.name, "GET ") == "/orders" and TrimSuffix("ab", "b") == "a"',
        'Coalesce([span.attributes["absent"], "x"]) == "x"',
        'Seconds(Duration("1m30s")) == 90.0 and Milliseconds(Duration("1.5s")) == 1500',
        'Hours(Duration("90m")) == 1.5 and Nanoseconds(Duration("-1us")) == -1000',
        "UnixNano(span.start_time) == span.start_time_unix_nano and UnixSeconds(span.end_time) == 1700000001",
        "Hour(span.start_time) == 22 and Weekday(span.start_time) == 2 and Year(span.start_time) == 2023",
        'FNV("a") == -5808556873153909620',
        'SHA256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
        'IsInCIDR("10.1.2.3", ["192.168.0.0/16", "10.0.0.0/8"]) and not IsInCIDR("x", ["10.0.0.0/8"])',
        'ParseInt("ff", 16) == 255',
        'Len(Keys(span.attributes["map"])) == 1 and Values(span.attributes["map"])[0] == 7',
        'Substring(target = span.name, start = 0, length = 3) == "GET"',
    ],
)
def test_holds(text: str) -> None:
    assert holds(text) is True
    assert holds(f"not ({text})") is False


def test_alternatives_of_one_path() -> None:
    """One look-up answers for all of them; a value of another type is none of them, and an error stays one."""
    assert holds('span.name == "a" or span.name == "GET /orders" or span.name == "b"')
    assert not holds('span.name == "a" or span.name == "b"')
    assert not holds('span.attributes["status"] == "503" or span.attributes["status"] == "504"')
    assert not holds('span.attributes["absent"] == "503" or span.attributes["absent"] == ""')
    assert holds('span.attributes["absent"] == "503" or span.attributes["route"] == "/api/v1/orders"')
    assert holds('span.attributes["status"] == "503" or span.attributes["status"] == 503')
    with pytest.raises(ottl.EvaluationError):
        holds('span.attributes["route"]["x"] == "a" or span.attributes["route"]["x"] == "b"')


def test_a_child_is_no_root() -> None:
    assert not holds("IsRootSpan()", parentSpanId="00000000000000aa")
    assert holds("IsRootSpan()", parentSpanId="0000000000000000")


@pytest.mark.parametrize(
    "text",
    [
        'spanevent.name == "exception"',
        'attributes["exception.type"] == "IOError" and span.name == "GET /orders"',
        'resource.attributes["service.name"] == "shop" and spanevent.time > span.start_time',
        "time_unix_nano == 1700000001000000000",
    ],
)
def test_holds_of_an_event(text: str) -> None:
    assert holds(text, "spanevent")


@pytest.mark.parametrize(
    "text",
    [
        'HasPrefix(span.attributes["absent"], "a")',
        'HasPrefix(span.attributes["status"], "5")',
        'span.attributes["route"]["x"] == 1',
        'span.attributes["list"][2] == 1',
        'span.attributes["list"]["x"] == 1',
        'span.attributes["absent"] + 1 == 2',
        "1 / 0 == 1",
        'Int(span.attributes["map"]) == 1',
        'Bool(span.attributes["route"])',
        'Hex(span.attributes["map"]) == ""',
        "TraceID(span.name) == span.trace_id",
        'Index(span.name, span.attributes["status"]) == 0',
        "span.start_time + span.end_time == nil",
        "-span.name == 1",
        "ParseInt(span.name, 10) == 1",
        'IsInCIDR("10.1.2.3", [span.name])',
        'Double(span.attributes["route"]) == 1.0',
        "Substring(span.name, 0, 100) == span.name",
        'Duration("1x") == nil',
        'Len(span.attributes["status"]) == 1',
        'Split(span.name, " ")[5] == ""',
        "String(span.name)",  # a function whose value is no boolean
        'IsMatch(span.name, span.attributes["map"])',
        'Split(span.name, " ") == Split(span.name, " ")',  # the collector panics here
    ],
)
def test_errors_on_a_span(text: str) -> None:
    with pytest.raises(ottl.EvaluationError):
        holds(text)


def test_an_error_ends_a_chain_only_when_it_is_reached() -> None:
    failing = 'HasPrefix(span.attributes["absent"], "a")'
    assert holds(f"IsRootSpan() or {failing}")
    assert not holds(f"not IsRootSpan() and {failing}")
    with pytest.raises(ottl.EvaluationError):
        holds(f"{failing} or IsRootSpan()")


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("", 0, "too early"),
        ("span.name ==", 12, "too early"),
        ("span.name = 5", 10, "unexpected '='"),
        ("span.name == 5 5", 15, "unexpected '5'"),
        ("(span.name == 5", 15, "too early"),
        ("span.name == 'a'", 13, "invalid input text"),
        ('span.name == "\\d"', 14, "invalid escape"),
        ("span.nam == 5", 0, "path"),
        ("span.name.x == 5", 0, "path"),
        ('span.name["x"] == 5', 0, "indexing"),
        ("span.attributes.x == 5", 0, "attributes"),
        ("log.body == 5", 0, "path"),
        ("span.kind == SPAN_KIND_X", 13, "enum"),
        ("Foo(span.name)", 0, "undefined function"),
        ("true and Foo()", 9, "undefined function"),
        ("isMatch(span.name, span.name)", 0, "uppercase letter"),
        ('IsMatch(span.name, "(")', 0, "pattern"),
        ('IsMatch(span.name, "(?=a)")', 0, "lookaround"),
        ("IsMatch(span.name)", 0, "number of arguments"),
        ("HasPrefix(span.name, 5)", 21, "expected string"),
        ('Double("x") == 1.0', 7, "not a number"),
        ("IsString(5)", 9, "expected string"),
        ('ConvertCase(span.name, "title") == "x"', 0, "invalid case"),
        ("Concat(span.name, span.name) == nil", 7, "must be a list"),
        ("Substring(span.name, first=1, length=2) == nil", 21, "no such parameter"),
        ('span.attributes["a"] == 0x1', 24, "odd number"),
        ("span.flags == 9223372036854775808", 14, "range"),
        ("TraceID(0x01) == span.trace_id", 0, "decode"),
        ('IsInCIDR("1.2.3.4", ["1.2.3.4"])', 0, "CIDR"),
        ("Any(span.attributes, (k) => true)", 21, "feature gate"),
        ('span.trace_state["a"]["b"] == ""', 0, "exactly 1 key"),
    ],
)
def test_invalid(text: str, position: int, why: str) -> None:
    with pytest.raises(ottl.OttlError) as caught:
        ottl.parse(text, "span")
    assert (caught.value.position, caught.value.unsupported) == (position, False)
    assert why in caught.value.why


@pytest.mark.parametrize(
    "text",
    [
        'ParseJSON(span.name)["a"] == 1',
        "Now() > span.start_time",
        'ConvertCase(span.name, "snake") == "x"',
        'IsMatch(span.name, "\\\\pL")',
        "span.status == nil",
        'otelcol.client.addr == "x"',
    ],
)
def test_valid_upstream_and_not_here(text: str) -> None:
    with pytest.raises(ottl.OttlError) as caught:
        ottl.parse(text, "span")
    assert caught.value.unsupported


def test_events_have_no_root_span_function() -> None:
    with pytest.raises(ottl.OttlError, match="undefined function"):
        ottl.parse("IsRootSpan()", "spanevent")


def test_no_function_is_both_known_and_evaluated() -> None:
    assert not ottl_functions.KNOWN & set(ottl_functions.FUNCTIONS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1.5e-7, "1.5e-7"),
        (0.000001, "0.000001"), (123456789.125, "123456789.125"), (-2.5, "-2.5"),
        ({"b": [1, None, True], "a": "<&>"}, '{"a":"\\u003c\\u0026\\u003e","b":[1,null,true]}'), (b"\x01", '"AQ=="'),
    ],
)  # fmt: skip
def test_json_as_go_writes_it(value: Any, text: str) -> None:
    assert go_json(value) == text


def test_comparison_with_nil_turns_round() -> None:
    """nil < 5 is asked as 5 < nil, which is false as every order with nil."""
    assert [compare(None, 5, sign) for sign in ("==", "!=", "<", ">")] == [False, True, False, False]
    assert compare(Strings(["a"]), ["a"], "!=")
