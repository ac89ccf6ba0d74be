# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What a change of variables means for cost, and for the traces that are kept of a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import GIBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import integer, usable
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import DAYS_PER_MONTH

SAMPLER = ("sampler", "config", "processors", "tail_sampling")


def of_cost(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The planner's cost of the expected load, where it differs. before, after: the variables that the planner takes;
    where those of before are not enough, as after an upgrade of this collection, nothing is said."""
    from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import tracing_plan

    try:
        was, now = (tracing_plan(variables) for variables in (before, after))
    except (TracingError, KeyError):
        return []
    lines = []
    cost = [made["cost"]["total"] / DAYS_PER_MONTH for made in (was, now)]
    if abs(cost[1] - cost[0]) >= 0.005:
        lines.append(f"cost of the expected load: {cost[0]:,.2f} → {cost[1]:,.2f} USD a day (docs/capacity.md)")
    stored = [made["storage"]["bytes_at_rest"] / GIBIBYTE for made in (was, now)]
    if abs(stored[1] - stored[0]) >= 0.05:
        lines.append(f"traces in the bucket: {stored[0]:,.1f} → {stored[1]:,.1f} GiB")
    return lines


def of_samplers(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What fewer samplers lose, if the number is just set. before, after: variables of the collector role."""
    was, now = (usable(0, integer, one.get("collector_sampler_replicas")) for one in (before, after))
    if not 0 < now < was:
        return []
    return [
        f"samplers: {was} → {now}; those that go end with what is in their queues, unless they are emptied first "
        f"(playbooks/scale_samplers.yml -e sampler_replicas={now})"
    ]


def of_sampling(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str, progress: Callable[[str], None]
) -> list[str]:
    """What the policies of before and after keep of a recording, where they differ. before, after: variables of the
    collector role. path: the recording, "" for none."""
    from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
    from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
    from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, read
    from ansible_collections.orion.tracing.plugins.module_utils.sampling.simulate import Candidate, simulate
    from ansible_collections.orion.tracing.plugins.module_utils.sampling.summary import CostLoad

    try:
        values = [collector_values(variables)[0] for variables in (before, after)]
    except (TracingError, KeyError):
        return []
    was, now = (inside(one, *SAMPLER) for one in values)
    if was == now:
        return []
    if not path:
        return ["sampling changes; with simulate_path, a recording, this plan says what is kept of it"]
    candidates = [
        Candidate(name, config, one["sampler"]["replicas"])
        for name, config, one in zip(("before", "after"), (was, now), values, strict=True)
    ]
    results = simulate(read(FileRecording(path)), candidates, CostLoad(), progress=progress).results
    return [f"of {path}: {line}" for line in kept(results)]


def kept(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Lines about two results of the simulator, before and after."""
    was, now = results
    lines = []
    for key, what in (
        ("traces", "traces kept"),
        ("spans", "spans kept"),
        ("error_traces", "traces with errors kept"),
        ("slow_traces", "slowest 1 % kept"),
    ):
        lines.append(f"{what}: {was[key]['percentage']:g} % → {now[key]['percentage']:g} %")
    return lines
