# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nested mappings."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.mappings import overlay


def test_overlay_replaces_lists_and_keeps_its_arguments() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert overlay(base, {"a": {"c": [3]}, "d": {"e": 2}, "f": 3}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 2}, "f": 3}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}
