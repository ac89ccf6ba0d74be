# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Variables that carry a role's prefix but that the role does not know: almost always a misspelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_variables(names: Iterable[str], known: Iterable[str], prefix: str) -> list[str]:
    """One sentence for every name that begins with the prefix (such as C(tempo_)) and is not known.

    names: all variables in sight. known: the options of the role's argument spec. The nearest known name is offered.
    """
    known = sorted(known)
    findings = []
    for name in sorted(n for n in names if n.startswith(prefix) and n not in known):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"the role knows {', '.join(known)}."
        findings.append(f"{name} is no variable of this role; {hint}")
    return findings
