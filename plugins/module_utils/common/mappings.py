# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Nested mappings as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def overlay(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """A new mapping, upper laid over lower: mappings are merged, everything else (lists too) is replaced."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = overlay(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged


def plain(value: Any) -> Any:
    """A copy of nested data in dicts and lists of its own.

    Unlike copy.deepcopy, it does not copy what else hangs on the containers: Ansible's lazy ones know their templating
    engine, with plugin loaders that warn when they are copied.
    """
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def inside(value: Any, *path: str) -> Any:
    """The value at a path of keys; None where the path ends early, or leads through something else than a mapping."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
