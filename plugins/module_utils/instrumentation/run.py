# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The listed workloads are instrumented: read, plan, try, apply, wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, ToolError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import modes, report, rollout
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import workloads as core
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Snapshot, read
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.progress import progress_of
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import (
    Entry,
    TemplateChange,
    WorkloadSettings,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import errors, refuse
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

WHAT = "the workloads to instrument"


@dataclass(frozen=True)
class WantedWorkloads:
    """seconds: for all waiting together. check: nothing is written, and nothing is waited for."""

    entries: Sequence[Entry]
    mode: str = modes.AUTO
    variables: Mapping[str, Any] = field(default_factory=dict)
    wait: bool = True
    seconds: float = 300.0
    check: bool = False


def instrument(kube: Kube, wanted: WantedWorkloads, clock: Clock, say: Callable[[str], None]) -> Plan:
    """The plan, carried out unless this is a check. InvalidVariables with all findings before anything changes."""
    return _Run(kube, wanted, clock, say).plan()


class _Run:
    """One run of the module. snapshot: the cluster before it, and after plan() as it is then."""

    def __init__(self, kube: Kube, wanted: WantedWorkloads, clock: Clock, say: Callable[[str], None]) -> None:
        self.kube, self.wanted, self.clock, self.say = kube, wanted, clock, say
        self.started = clock.timestamp()
        self.snapshot = read(kube)
        self.settings = WorkloadSettings(_mode(wanted, self.snapshot.modes.serves), wanted.variables)
        self.warnings: list[str] = []

    def plan(self) -> Plan:
        wanted = self.wanted
        owners = rollout.owners(self.kube, wanted.entries)
        refuse(WHAT, core.examine(wanted.entries, self.snapshot, self.settings, owners))
        changes = self._changes()
        plan = core.make_plan(changes)
        deadline = Deadline(self.clock, wanted.seconds)
        self._try(changes, deadline)
        if not wanted.check:
            self._carry_out(changes, deadline)
        others = core.others(self.snapshot, wanted.entries)
        if wanted.check:
            # The same run installs what is missing.
            others = [row for row in others if row.code != "policy_not_installed"]
        plan.warnings += self.warnings + core.reports(others)
        plan.result |= {
            "mode": self.settings.mode,
            "workloads": [_result(one, self.snapshot) for one in changes],
            "not_instrumented": [row.result() for row in others],
            "api_calls": self.kube.calls,
        }
        return plan

    def _changes(self) -> list[TemplateChange]:
        return [
            core.change(listed, self.snapshot.workloads[key], self.snapshot, self.settings, self.started)
            for key, listed in core.grouped(self.wanted.entries).items()
            if key in self.snapshot.workloads
        ]

    def _try(self, changes: Sequence[TemplateChange], deadline: Deadline) -> None:
        """Everything that would fail, before anything changes."""
        trials = rollout.try_changes(self.kube, changes, self.snapshot)
        refuse(WHAT, [finding for trial in trials for finding in trial.findings])
        self.warnings += [trial.doubt for trial in trials if trial.doubt]
        if not self.wanted.check and self.settings.mode != modes.SDK:
            seconds = min(rollout.EFFECTIVE_SECONDS, deadline.left)
            left = rollout.await_injection(
                self.kube, trials, self.snapshot, self.settings.mode, self.clock, self.say, seconds
            )
            refuse(WHAT, left)

    def _carry_out(self, changes: Sequence[TemplateChange], deadline: Deadline) -> None:
        steps = [one for one in changes if one.document is not None]
        rollout.apply_all(self.kube, steps)
        if steps and self.wanted.wait:
            waiter = rollout.Waiter(self.kube, self.clock, self.say, self.started)
            waiter.wait({one.workload.key: one.workload for one in steps}, deadline.left)
            self.snapshot = read(self.kube)
            _require_instrumented(steps, self.snapshot, self.settings)
        elif self.wanted.wait:
            self.warnings += _unfinished(changes)


def _mode(wanted: WantedWorkloads, serves: Mapping[str, str]) -> str:
    """The mode to work in. InvalidVariables for one that the cluster does not serve."""
    variable = modes.VARIABLE if modes.VARIABLE in wanted.variables else "mode"
    refuse(WHAT, errors(modes.findings(wanted.mode, serves, variable)))
    mode = modes.resolved(wanted.mode, serves)
    if mode == modes.SDK and not wanted.variables and wanted.entries:
        raise InvalidInput(
            "mode sdk needs the option variables",
            "the environment is computed from the variables of the role instrumentation",
            "Set it to lookup('orion.tracing.role_variables', 'instrumentation').",
        )
    return mode


def _require_instrumented(steps: Sequence[TemplateChange], snapshot: Snapshot, settings: WorkloadSettings) -> None:
    """The rollouts are over: every pod has the agent now. ToolError where one has not."""
    if settings.mode == modes.SDK:
        return
    rows = [
        report.row_of(snapshot.workloads[one.workload.key], snapshot)
        for one in steps
        if not one.absent and one.workload.key in snapshot.workloads
    ]
    left = [row for row in rows if row.pods > row.pods_instrumented]
    if left:
        raise ToolError(
            f"pods of {', '.join(map(str, left))} are not instrumented after their rollout",
            "; ".join(f"{row}: {row.why}" for row in left),
            " ".join(dict.fromkeys(row.remedy for row in left)),
        )


def _unfinished(changes: Sequence[TemplateChange]) -> list[str]:
    """Warnings about rollouts that somebody else began, or an earlier run that did not wait for their end."""
    found = []
    for one in changes:
        if not one.absent and one.workload.document:
            progress = progress_of({"kind": one.workload.kind, **one.workload.document})
            if not progress.done:
                why = f": {progress.failure}" if progress.failure else ""
                found.append(f"the rollout of {one.workload} has not ended: {progress.text}{why}")
    return found


def _result(change: TemplateChange, snapshot: Snapshot) -> dict[str, Any]:
    workload = snapshot.workloads.get(change.workload.key, replace(change.workload, pods=()))
    row = report.row_of(workload, snapshot)
    return {**row.result(), "action": change.action}
