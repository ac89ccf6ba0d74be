# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.helm.documents import (
    as_float64,
    canonical,
    dump,
    load,
    load_all,
    rounded_numbers,
    to_helm,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("0755", 493),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("y", True),
        ("off", False),
        ("N", False),
        ("1.2.3", "1.2.3"),
        ("", None),
        ("~", None),
        (".inf", float("inf")),
    ],
)
def test_scalars_are_read_as_helm_reads_them(text: str, value: object) -> None:
    loaded = load(text)
    assert loaded == value
    assert type(loaded) is type(value)


def test_streams_hold_empty_documents() -> None:
    assert load_all("a: 1\n---\n# nothing\n---\nb: 2\n") == [{"a": 1}, None, {"b": 2}]


def test_dump_is_made_for_diffs() -> None:
    shared = {"z": "one\ntwo\n"}
    assert dump({"b": shared, "a": shared}) == "a:\n  z: |\n    one\n    two\nb:\n  z: |\n    one\n    two\n"


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ({"a": 1, "b": [1]}, {"b": [1.0], "a": 1}, True),
        (True, 1, False),
        ("1", 1, False),
        (None, "null", False),
        ({"a": None}, {}, False),
        ({True: 1, None: 2}, {"true": 1, "none": 2}, True),
        ((1, 2), [1, 2], True),
        (1.5, 1, False),
    ],
)
def test_canonical(left: object, right: object, equal: bool) -> None:
    assert (canonical(left) == canonical(right)) is equal


def test_keys_are_text_as_in_json() -> None:
    assert load("1: a\ntrue: b\n2.0: c\n1.10: d\n1.5e10: e\n0.123456789: f") == {
        **{"1": "a", "true": "b", "2": "c", "1.1": "d", "1.5e+10": "e", "0.123456789": "f"}
    }
    for text in ("null: x", "? [1]\n: x", "? {a: 1}\n: x"):
        with pytest.raises(ValueError, match="unsupported map key"):
            load(text)
    assert load("a: =") == {"a": "="}


@pytest.mark.parametrize("text", ["😀", "𠮷", "\\ud83d\\ude00 as text", 'ü\u2028\x85\ufeff\x7f\n"\\'])
def test_values_reach_helm_without_what_its_parser_refuses(text: str) -> None:
    written = to_helm({"a": text, text: [1, True, None]})
    assert json.loads(written) == {"a": text, text: [1, True, None]}
    assert not [char for char in written if "\x7f" <= char <= "\uffff"]
    assert ("\\ud83d" in written) is (text.startswith("\\"))


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not Unicode"):
        to_helm({"a": "\ud83d"})


def test_numbers_are_compared_as_helm_keeps_them() -> None:
    number = 901234567890123457
    recorded = json.loads("9.012345678901235e+17")  # what the release record holds
    assert canonical(as_float64({"a": [number]})) == canonical(as_float64({"a": [recorded]}))
    assert canonical(as_float64(number)) != canonical(as_float64(number + 1000))
    assert as_float64([2**53, True, "1", 10**400]) == [2**53, True, "1", 10**400]


def test_rounded_numbers_are_found_with_their_paths() -> None:
    values = {"a": {"b": [1, 901234567890123457]}, "exact": 2**60, "small": 2**53, "neither": "901234567890123457"}
    assert rounded_numbers(values) == ["a.b[1]"]
