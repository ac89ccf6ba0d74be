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
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import report, rollout
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import workloads as core
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Modes, Snapshot, read
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.progress import progress_of
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import (
    Entry,
    TemplateChange,
    WorkloadSettings,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

WHAT = "the workloads to instrument"


@dataclass(frozen=True)
class WantedWorkloads:
    """seconds: for all waiting together. check: nothing is written, and nothing is waited for."""

    entries: Sequence[Entry]
    mode: str = "auto"
    variables: Mapping[str, Any] = field(default_factory=dict)
    wait: bool = True
    seconds: float = 300.0
    check: bool = False


def instrument(kube: Kube, wanted: WantedWorkloads, clock: Clock, say: Callable[[str], None]) -> Plan:
    """The plan, carried out unless this is a check. InvalidVariables with all findings before anything changes."""
    started = rollout.timestamp(clock)
    snapshot = read(kube)
    settings = WorkloadSettings(_mode(wanted, snapshot.modes), wanted.variables)
    refuse(WHAT, core.examine(wanted.entries, snapshot, settings, rollout.owners(kube, wanted.entries)))
    changes = _changes(wanted.entries, snapshot, settings, started)
    plan = core.make_plan(changes)
    deadline = Deadline(clock, wanted.seconds)
    _try(kube, changes, snapshot, settings, wanted, plan, clock, say, deadline)
    if not wanted.check:
        snapshot = _carry_out(kube, changes, snapshot, settings, wanted, plan, clock, say, deadline, started)
    others = core.others(snapshot, wanted.entries)
    if wanted.check:
        # The same run installs what is missing.
        others = [row for row in others if row.code != "policy_not_installed"]
    plan.warnings += core.reports(others)
    plan.result |= {
        "mode": settings.mode,
        "workloads": [_result(one, snapshot) for one in changes],
        "not_instrumented": [row.result() for row in others],
        "api_calls": kube.calls,
    }
    return plan


def _mode(wanted: WantedWorkloads, modes: Modes) -> str:
    """InvalidInput for a mode that the cluster does not have."""
    mode = modes.resolved if wanted.mode == "auto" else wanted.mode
    served = {"policy": modes.policy_version, "operator": modes.operator_version, "sdk": "always"}
    if not served[mode]:
        apis = {"policy": "MutatingAdmissionPolicy", "operator": "the OpenTelemetry Operator's Instrumentation"}
        raise InvalidInput(
            f"mode {mode} is not possible",
            f"the cluster does not serve {apis[mode]}",
            f"Use mode {modes.resolved} or auto, upgrade to Kubernetes 1.36, switch the feature gate "
            "MutatingAdmissionPolicy on (1.34), or install the operator.",
        )
    if mode == "sdk" and not wanted.variables and wanted.entries:
        raise InvalidInput(
            "mode sdk needs the option variables",
            "the environment is computed from the variables of the role instrumentation",
            "Set it to lookup('orion.tracing.role_variables', 'instrumentation').",
        )
    return mode


def _changes(
    entries: Sequence[Entry], snapshot: Snapshot, settings: WorkloadSettings, now: str
) -> list[TemplateChange]:
    return [
        core.change(listed, snapshot.workloads[key], snapshot, settings, now)
        for key, listed in core.grouped(entries).items()
        if key in snapshot.workloads
    ]


def _try(
    kube: Kube,
    changes: Sequence[TemplateChange],
    snapshot: Snapshot,
    settings: WorkloadSettings,
    wanted: WantedWorkloads,
    plan: Plan,
    clock: Clock,
    say: Callable[[str], None],
    deadline: Deadline,
) -> None:
    """Everything that would fail, before anything changes."""
    trials = rollout.try_changes(kube, changes, snapshot)
    refuse(WHAT, [finding for trial in trials for finding in trial.findings])
    plan.warnings += [trial.doubt for trial in trials if trial.doubt]
    if not wanted.check and settings.mode != "sdk":
        seconds = min(rollout.EFFECTIVE_SECONDS, deadline.left)
        refuse(WHAT, rollout.await_injection(kube, trials, snapshot, settings.mode, clock, say, seconds))


def _carry_out(
    kube: Kube,
    changes: Sequence[TemplateChange],
    snapshot: Snapshot,
    settings: WorkloadSettings,
    wanted: WantedWorkloads,
    plan: Plan,
    clock: Clock,
    say: Callable[[str], None],
    deadline: Deadline,
    started: str,
) -> Snapshot:
    """The cluster as it is afterwards."""
    steps = [one for one in changes if one.document is not None]
    rollout.apply_all(kube, steps)
    if steps and wanted.wait:
        waiter = rollout.Waiter(kube, clock, say, started)
        waiter.wait({one.workload.key: one.workload for one in steps}, deadline.left)
        snapshot = read(kube)
        _require_instrumented(steps, snapshot, settings)
    elif wanted.wait:
        plan.warnings += _unfinished(changes)
    return snapshot


def _require_instrumented(steps: Sequence[TemplateChange], snapshot: Snapshot, settings: WorkloadSettings) -> None:
    """The rollouts are over: every pod has the agent now. ToolError where one has not."""
    if settings.mode == "sdk":
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
