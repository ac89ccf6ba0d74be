# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every kind of variable: what is taken for one, what is said of the rest, and what a Reader makes of both."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from ansible.module_utils.parsing import convert_bool
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import DURATION_REMEDY, QUANTITY_REMEDY
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    boolean,
    container_memory,
    duration,
    integer,
    listing,
    mapping,
    number,
    size,
    text,
    usable,
)

NAN, HUGE = float("nan"), 10**400


@pytest.mark.parametrize(
    ("read", "value", "result"),
    [
        (text, " a b ", "a b"),
        (text, 1.5, "1.5"),
        (text, True, "True"),
        (number, "12.5", 12.5),
        (number, " 3 ", 3.0),
        (number, -2, -2.0),
        (integer, "2", 2),
        (integer, 2.0, 2),
        (boolean, True, True),
        (boolean, 0, False),
        (boolean, " YES ", True),
        (boolean, "f", False),
        (listing, [], []),
        (listing, [1, "a", None], [1, "a", None]),
        (mapping, {}, {}),
        (mapping, MappingProxyType({"a": 1}), {"a": 1}),
        (duration, "1h30m", 5400.0),
        (duration, " 500ms ", 0.5),
        (duration, "0s", 0.0),
        (size, " 1Gi ", 2**30),
        (size, 1000, 1000),
    ],
)
def test_values(read: Callable[[Any], Any], value: Any, result: Any) -> None:
    found = read(value)
    assert found == result and type(found) is type(result)


@pytest.mark.parametrize(
    ("read", "value", "why"),
    [
        (text, None, "is None, not a string. Give a string."),
        (text, " ", "is empty. Give a string."),
        (text, ["a"], "is ['a'], not a string. Give a string."),
        (text, {}, "is {}, not a string. Give a string."),
        (number, "many", "is 'many', not a number. Give a number."),
        (number, None, "is None, not a number. Give a number."),
        (number, True, "is True, not a number. Give a number."),
        (number, NAN, "is nan, not a number. Give a number."),
        (number, "inf", "is 'inf', not a number. Give a number."),
        (number, [1], "is [1], not a number. Give a number."),
        (number, HUGE, f"is {HUGE}, not a number. Give a number."),
        (integer, 1.5, "is 1.5, not a whole number. Give a whole number."),
        (integer, "1.5", "is 1.5, not a whole number. Give a whole number."),
        (integer, "x", "is 'x', not a number. Give a number."),
        (boolean, "maybe", "is 'maybe', not a boolean. Give true or false."),
        (boolean, "", "is '', not a boolean. Give true or false."),
        (boolean, None, "is None, not a boolean. Give true or false."),
        (boolean, 2, "is 2, not a boolean. Give true or false."),
        (listing, "/orders", "is '/orders', not a list. Write it as [a, b]."),
        (listing, None, "is None, not a list. Write it as [a, b]."),
        (mapping, [], "is [], not a mapping. Write it as {key: value}."),
        (duration, "7 days", "is '7 days', not a Go duration. Write 168h."),
        (duration, "2w", "is '2w', not a Go duration. Write 336h."),
        (duration, 10, f"is '10', not a Go duration. {DURATION_REMEDY}"),
        (duration, None, f"is 'None', not a Go duration. {DURATION_REMEDY}"),
        (size, "10 GB", f"is '10 GB', not a Kubernetes quantity of bytes. {QUANTITY_REMEDY}"),
        (size, "512m", f"is '512m', not a Kubernetes quantity of bytes. {QUANTITY_REMEDY}"),
    ],
)
def test_what_is_said_of_other_values(read: Callable[[Any], Any], value: Any, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(value)
    assert str(caught.value) == why


def test_options_of_the_kinds() -> None:
    assert text("", empty=True) == ""
    assert [number(value, 0, 100) for value in (0, 100)] == [0, 100]
    assert integer(1, 1) == 1
    assert listing(["a"], str) == ["a"]
    assert duration("1s", positive=True) == 1
    assert size("256Mi", 2**28) == 2**28


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda: text(None, empty=True), "is None, not a string. Give a string."),
        (lambda: number(-1, 0.001), "is -1, less than 0.001. Give a number of at least 0.001."),
        (lambda: number("101", 0, 100), "is 101, more than 100. Give a number from 0 to 100."),
        (lambda: integer(0, 1), "is 0, less than 1. Give a number of at least 1."),
        (lambda: listing([1], str), "is [1], not a list of strings. Write it as [a, b]."),
        (lambda: listing(["x"], dict), "is ['x'], not a list of mappings. Write it as [{…}, {…}]."),
        (lambda: duration("0ms", positive=True), f"is '0ms', not longer than zero. {DURATION_REMEDY}"),
        (lambda: size(" 100Mi", 2**28), "is 100Mi, less than 256Mi. Give 256Mi or more."),
    ],
)
def test_what_is_said_where_an_option_excludes_a_value(read: Callable[[], Any], why: str) -> None:
    with pytest.raises(ValueError) as caught:
        read()
    assert str(caught.value) == why


def test_lists_and_mappings_are_copies() -> None:
    lists: list[Any] = [{"a": 1}]
    listing(lists, dict)[0]["a"] = 2
    listing(lists).append(3)
    mapping(lists[0])["b"] = 4
    assert lists == [{"a": 1}]


def test_every_spelling_of_ansible_s_is_a_boolean() -> None:
    for word in convert_bool.BOOLEANS:
        assert boolean(word) is convert_bool.boolean(word)


def test_memory_of_a_container() -> None:
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": 2**31, "cpu": 1}}
    assert [container_memory(resources, kind) for kind in ("requests", "limits")] == [2**30, 2**31]


@pytest.mark.parametrize(
    ("resources", "written"),
    [
        (None, ""), ("1Gi", ""), ({}, ""), ({"limits": None}, ""), ({"limits": "1Gi"}, ""),
        ({"limits": {"cpu": 1}}, ""), ({"limits": {"memory": None}}, "None"), ({"limits": {"memory": "1 GB"}}, "1 GB"),
    ],
)  # fmt: skip
def test_a_container_without_memory(resources: Any, written: str) -> None:
    with pytest.raises(ValueError, match=f"^'{written}' is not a Kubernetes quantity"):
        container_memory(resources, "limits")


def test_something_else_instead() -> None:
    assert usable(None, number, "7") == 7
    assert usable(None, number, "7", maximum=5) is None
    assert usable([], listing, None) == []


def test_a_reader_gives_what_is_there() -> None:
    read = Reader(
        {
            "name": "a", "share": "50", "count": "3", "on": "yes", "items": [1], "labels": {"a": 1}, "wait": "1m",
            "volume": "1Gi",
        }
    )  # fmt: skip
    assert read.text("name") == "a" and read.text("name", "b") == "a"
    assert read.number("share", maximum=100) == 50 and isinstance(read.number("share"), float)
    assert read.integer("count", minimum=3) == 3
    assert read.boolean("on") is True and read.boolean("on", False) is True
    assert read.listing("items") == [1]
    assert read.mapping("labels") == {"a": 1}
    assert read.duration("wait", positive=True) == 60
    assert read.size("volume", minimum=1) == 2**30
    assert read.findings == []


READS: list[tuple[Callable[..., Any], dict[str, Any], Any, Any]] = [
    # the method, its options, a default, the smallest value
    (Reader.text, {}, "b", ""),
    (Reader.number, {"minimum": 1}, 5, 1),
    (Reader.integer, {"minimum": 1}, 5, 1),
    (Reader.boolean, {}, True, False),
    (Reader.listing, {"kind": str}, ["a"], []),
    (Reader.mapping, {}, {"a": 1}, {}),
    (Reader.duration, {}, 10, 0),
    (Reader.size, {"minimum": 7}, 9, 7),
]


@pytest.mark.parametrize(("method", "options", "default", "smallest"), READS)
def test_a_reader_of_what_is_wrong_or_missing(
    method: Callable[..., Any], options: dict[str, Any], default: Any, smallest: Any
) -> None:
    missing = Reader({})
    assert method(missing, "v", default=default, **options) == default
    assert missing.findings == []
    assert method(missing, "v", **options) == smallest
    assert missing.findings == [error("v", "is not defined")]
    wrong = Reader({"v": None})
    assert method(wrong, "v", default=default, **options) == default
    assert method(wrong, "v", **options) == smallest
    first, second = wrong.findings
    assert first == second and first.variable == "v" and first.what.startswith("is ")


def test_numbers_by_default_are_no_integers() -> None:
    assert isinstance(Reader({}).number("share", 10), float)
    assert isinstance(Reader({}).duration("wait", 10), float)


def test_findings_are_kept_in_order() -> None:
    read = Reader({"a": "x", "c": -1})
    read.boolean("a")
    read.wrong(Place("b").item(0), "is odd", "Give 2.", "halves are needed")
    read.doubtful("d", "is old")
    read.number("c")
    assert read.findings == [
        error("a", "is 'x', not a boolean", "Give true or false."),
        error(Place("b", "[0]"), "is odd", "Give 2.", "halves are needed"),
        warning("d", "is old"),
        error("c", "is -1, less than 0", "Give a number of at least 0."),
    ]
