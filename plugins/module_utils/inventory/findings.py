# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Findings: what is wrong (error) or doubtful (warning) about inventory variables. Pure: no I/O, no Ansible.

A finding stays an object from the rule that makes it to the place that shows it. Text is made in one function, render,
and never parsed. Code that turns variables into configuration collects all findings, raises InvalidVariables if one of
them is an error, and returns the warnings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """A variable and the path to a value inside it, such as collector_exporters and [0].tls.ca ("" for all of it)."""

    variable: str
    path: str = ""

    def key(self, name: Any) -> Place:
        return Place(self.variable, f"{self.path}.{name}")

    def item(self, index: int) -> Place:
        return Place(self.variable, f"{self.path}[{index}]")

    def __str__(self) -> str:
        return self.variable + self.path


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (severity error) or doubtful (warning).

    variable: the name of an inventory variable, path: where inside its value, as Place has them.
    what: what is wrong, a clause without a full stop at its end; it may continue the name ("is not defined").
    why: the reason or the consequence, a clause too, "" where what says enough.
    remedy: what to do, in whole sentences.
    code: the name of the rule, where the documentation lists rules by name (docs/sampling-linter.md).
    """

    variable: str
    what: str
    why: str = ""
    remedy: str = ""
    severity: str = ERROR
    path: str = ""
    code: str = ""

    @property
    def place(self) -> Place:
        return Place(self.variable, self.path)

    def result(self) -> dict[str, str]:
        """As plain data, with every field."""
        return asdict(self)

    def __str__(self) -> str:
        return render(self)


def error(place: Place | str, what: str, remedy: str = "", why: str = "", code: str = "") -> Finding:
    """place: a Place, or a variable's name."""
    return _finding(ERROR, place, what, remedy, why, code)


def warning(place: Place | str, what: str, remedy: str = "", why: str = "", code: str = "") -> Finding:
    """place: as for error."""
    return _finding(WARNING, place, what, remedy, why, code)


def _finding(severity: str, place: Place | str, what: str, remedy: str, why: str, code: str) -> Finding:
    if isinstance(place, str):
        place = Place(place)
    return Finding(place.variable, what, why, remedy, severity, place.path, code)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == ERROR]


def warnings(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == WARNING]


def render(finding: Finding) -> str:
    """One line for people: place, what, why, remedy, and the code where there is one."""
    text = f"{finding.place}: {finding.what}"
    if finding.why:
        text += f": {finding.why}"
    if finding.code:
        text += f" ({finding.code})"
    return f"{text if text.endswith('?') else text.rstrip('.') + '.'} {finding.remedy}".rstrip()


def numbered(findings: Iterable[Finding]) -> str:
    """One numbered line for each finding."""
    return "\n".join(f"{number}. {render(finding)}" for number, finding in enumerate(findings, 1))


class InvalidVariables(InvalidInput):
    """Variables that cannot be turned into configuration: findings holds every error, each once."""

    def __init__(self, what: str, findings: Iterable[Finding]) -> None:
        """what: names what the variables are for, such as "the collector's variables"."""
        self.findings = list(dict.fromkeys(findings))
        super().__init__(f"{what}: {len(self.findings)} errors")

    def __str__(self) -> str:
        """All findings: one in a line of its own, several as a numbered list."""
        if len(self.findings) == 1:
            return render(self.findings[0])
        return f"{self.what}:\n{numbered(self.findings)}"


def refuse(what: str, findings: Iterable[Finding]) -> list[Finding]:
    """The warnings among the findings, each once. Raises InvalidVariables if there are errors."""
    found = list(dict.fromkeys(findings))
    if wrong := errors(found):
        raise InvalidVariables(what, wrong)
    return warnings(found)
