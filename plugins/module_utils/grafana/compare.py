# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Whether what Grafana returns is what was asked for. Pure: no I/O, no Ansible.

Grafana adds to documents what it needs itself: ids, versions, defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def within(wanted: Any, found: Any, additions: bool = False) -> bool:
    """Whether found says all that wanted says. Lists have the same length.

    additions: whether mappings in found may have any further keys; otherwise only such with nothing in them.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        if any(not within(value, found.get(key), additions) for key, value in wanted.items()):
            return False
        return additions or all(_nothing(value) for key, value in found.items() if key not in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(
            within(one, other, additions) for one, other in zip(wanted, found, strict=True)
        )
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found or (not wanted and found is None)
    return bool(wanted == found) or (_nothing(wanted) and _nothing(found))


def _nothing(value: Any) -> bool:
    return value is None or value is False or value in ("", 0) or (isinstance(value, (Mapping, list)) and not value)


def as_text(document: Any) -> str:
    """For a diff: "" for nothing."""
    return "" if document is None else json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
