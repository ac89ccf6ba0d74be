# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Variables that only repeat another one: what is wrong with that one is said once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import ERROR, Finding


def without_repeats(findings: Iterable[Finding], repeats: Mapping[str, str]) -> list[Finding]:
    """The findings, but not the errors of a variable that repeats one with an error of its own.

    repeats: the variable that each of these repeats. Equal values alone are not enough: two variables that both say
    "7 days" are two mistakes.
    """
    found = list(findings)
    wrong = {finding.variable for finding in found if finding.severity == ERROR}
    return [f for f in found if f.severity != ERROR or not wrong & set(_repeated(f.variable, repeats))]


def _repeated(name: str, repeats: Mapping[str, str]) -> list[str]:
    """The variables that this one repeats, by way of one another."""
    found: list[str] = []
    while (name := repeats.get(name, "")) and name not in found:
        found.append(name)
    return found
