# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Plans: what a module is going to do, as data.

A module reads, makes a plan with a pure function, and applies it. Check mode and diff come from the plan alone,
so both modes return the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PartialFailure, TracingError


@dataclass(frozen=True)
class Step:
    """One write: its name for people ("put lifecycle"), and what the executor needs to do it."""

    name: str
    action: str
    data: Any = None


@dataclass
class Plan:
    """Steps in the order in which they are applied, with the difference they make.

    diff: entries of Ansible's own form, made by diff_entry.
    result: the keys that the module returns; the apply phase may add to them.
    """

    steps: list[Step] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.steps)


def diff_entry(header: str, before: str, after: str) -> dict[str, str]:
    """One entry of a plan's diff."""
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def run_steps(steps: Iterable[Step], execute: Callable[[Step], None]) -> None:
    """Apply steps in order. A failure says which steps were done, which one failed and which were not tried."""
    steps = list(steps)
    for number, step in enumerate(steps):
        try:
            execute(step)
        except TracingError as error:
            if len(steps) == 1:
                raise
            raise PartialFailure(
                f"step '{step.name}' failed",
                str(error),
                done=[s.name for s in steps[:number]],
                failed=step.name,
                not_done=[s.name for s in steps[number + 1 :]],
                **error.details,
            ) from error
