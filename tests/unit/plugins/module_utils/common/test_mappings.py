# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nested mappings."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay, plain


def test_overlay_replaces_lists_and_keeps_its_arguments() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert overlay(base, {"a": {"c": [3]}, "d": {"e": 2}, "f": 3}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 2}, "f": 3}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_plain_is_a_deep_copy_of_dicts_and_lists_alone() -> None:
    class Lazy(dict):
        def __deepcopy__(self, memo: object) -> None:
            raise AssertionError("copied with what hangs on it")

    inner = Lazy(b=[1, {"c": (2, 3)}])
    copied = plain({"a": inner})
    assert copied == {"a": {"b": [1, {"c": [2, 3]}]}}
    assert not isinstance(copied["a"], Lazy)
    copied["a"]["b"].append(4)
    assert len(inner["b"]) == 2
