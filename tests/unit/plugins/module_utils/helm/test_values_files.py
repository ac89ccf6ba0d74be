# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tests/integration/test_chart_sources.py compares the same with helm itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.helm.values_files import merge


def files(folder: Path, *texts: str) -> list[str]:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text, "utf-8")
    return [str(folder / f"{number}.yaml") for number in range(len(texts))]


def test_nothing() -> None:
    assert merge([], {}) == {}


def test_maps_are_merged_at_every_depth_and_lists_replaced(tmp_path: Path) -> None:
    first, second = "a: {b: {c: 1, d: 1}, list: [1, 2]}\nkept: yes\n", "a: {b: {d: 2, e: 2}, list: [3]}\n"
    assert merge(files(tmp_path, first, second), {}) == {
        "a": {"b": {"c": 1, "d": 2, "e": 2}, "list": [3]},
        "kept": True,
    }


def test_values_win_over_every_file(tmp_path: Path) -> None:
    values = {"a": {"b": 3}}
    assert merge(files(tmp_path, "a: {b: 1, c: 1}", "a: {b: 2}"), values) == {"a": {"b": 3, "c": 1}}
    assert values == {"a": {"b": 3}}


def test_a_null_stays_for_helm_to_remove_the_default(tmp_path: Path) -> None:
    assert merge(files(tmp_path, "a: {b: 1}", "a: {b: null}\nc:\n"), {}) == {"a": {"b": None}, "c": None}
    assert merge(files(tmp_path, "a: {b: 1}"), {"a": None}) == {"a": None}
    assert merge(files(tmp_path, "a: null"), {"a": {"b": 1}}) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a.b/c": {"d.e": 1}', {"a.b/c": {"d.e": 1}}),
        ("1: a\ntrue: b\n2.0: c\n1.10: d", {"1": "a", "true": "b", "2": "c", "1.1": "d"}),
        ("a: '1'\nb: 1\nc: 1.5\nd: 'true'\ne: on", {"a": "1", "b": 1, "c": 1.5, "d": "true", "e": True}),
        ("a: 2024-01-31\nb: 12:30", {"a": "2024-01-31", "b": "12:30"}),
        ("a: =", {"a": "="}),
        ("one: &one {b: 1}\ntwo: {<<: *one, c: 2}", {"one": {"b": 1}, "two": {"b": 1, "c": 2}}),
        ("y: 1\noff: 2", {"true": 1, "false": 2}),
        ("", {}),
        ("# nothing", {}),
        ("a: {b: 1, c: 1}\n---\n---\na: {c: 2}", {"a": {"b": 1, "c": 2}}),
    ],
)
def test_keys_and_types_are_helm_s(tmp_path: Path, text: str, expected: dict) -> None:
    assert merge(files(tmp_path, text), {}) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: c: d\n", r"1\.yaml, line 2, column 5, is not YAML: mapping values are not allowed"),
        ("a: 1\nb: 'open\n", r"1\.yaml, line 3, column 1, is not YAML: found unexpected end of stream"),
        ("a: 1\n\x01\n", r"1\.yaml, line 2, is not YAML: .*not allowed"),
        ("a: !unknown x\n", "line 1, column 4, is not YAML: could not determine a constructor"),
        ("null: x\n", "line 1, column 1, is not YAML: unsupported map key"),
        ("? [a]\n: x\n", "unsupported map key"),
        ("- a\n", r"1\.yaml is not a mapping: it is of the type list"),
        ("text\n", "is not a mapping: it is of the type text"),
        ("a: 1\n---\n2\n", r"1\.yaml, document 2, is not a mapping: it is of the type int"),
        ("a: [.inf]\n", "holds a value that Helm refuses: a number is infinite"),
        ("a: {b: !!binary aGVsbG8=}\n", "holds a value that Helm refuses: .*bytes"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted with ansible-vault.*include_vars"),
    ],
)
def test_what_is_wrong_with_a_file_and_where(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"values_files: .*{words}"):
        merge(files(tmp_path, "good: 1", text), {})


def test_an_error_does_not_quote_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        merge(files(tmp_path, "password: hunter2: x\n"), {})
    assert "hunter2" not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="values_files: .*missing.yaml cannot be read: No such file"):
        merge([str(tmp_path / "missing.yaml")], {})
    with pytest.raises(InvalidInput, match=r"values_files: https://example.com/values\.yaml is a URL"):
        merge(["https://example.com/values.yaml"], {})
