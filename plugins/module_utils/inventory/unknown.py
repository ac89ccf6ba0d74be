# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Variables that begin like those of a role but are not variables of any role: almost always misspelled."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error

# How similar two names must be, all of them or what follows the prefix, and how many names are listed at most.
ALIKE, ALIKE_AFTER_PREFIX, LISTED = 0.85, 0.6, 12


def unknown_variables(names: Iterable[str], known: Iterable[str], prefixes: Iterable[str]) -> list[Finding]:
    """A finding for each of the names that begins with one of the prefixes and an underscore, and is not known.

    names: all variables in sight. known: variables of all roles. The nearest known name is offered.
    """
    known = sorted(known)
    begin = tuple(f"{prefix}_" for prefix in prefixes)
    findings = []
    for name in sorted({name for name in names if name.startswith(begin)} - set(known)):
        # The longest is the narrowest: local_backends_ and local_ may both be prefixes.
        prefix = max((prefix for prefix in begin if name.startswith(prefix)), key=len)
        findings.append(error(name, _what(name, known, prefix), "Correct or remove it."))
    return findings


def _what(name: str, known: list[str], prefix: str) -> str:
    unknown = "is not a variable of this collection"
    alike = [one.removeprefix(prefix) for one in known if one.startswith(prefix)]
    near = difflib.get_close_matches(name, known, 1, ALIKE) or [
        prefix + rest for rest in difflib.get_close_matches(name.removeprefix(prefix), alike, 1, ALIKE_AFTER_PREFIX)
    ]
    if near:
        return f"{unknown}; did you mean {near[0]}?"
    if 0 < len(alike) <= LISTED:
        return f"{unknown}, which has {', '.join(prefix + rest for rest in alike)}"
    return unknown
