# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around the collector's configuration; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def collector_values(variables: dict[str, Any]) -> dict[str, Any]:
    """Values of the collector chart. Outdated spellings are shown as warnings, so no task reports a change for them."""
    from ansible_collections.orion.tracing.plugins.module_utils.collector import config as collector_config

    with role_variables("collector_values", variables):
        values, warnings = collector_config.collector_values(variables)
    for warning in warnings:
        Display().warning(str(warning))
    return values


def sampler_scaling(variables: dict[str, Any], before: int, after: int) -> dict[str, Any]:
    """What a change of the number of samplers costs in traces that are decided in parts."""
    from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse
    from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader
    from ansible_collections.orion.tracing.plugins.module_utils.platform import load

    with role_variables("sampler_scaling", variables):
        read = Reader(variables)
        traces = read.number("tracing_expected_traces_per_second", minimum=0.001)
        wait = read.duration("collector_decision_wait", positive=True)
        refuse("the collector's variables", read.findings)
        return {
            "in_progress": round(traces * wait),
            "moved_percent": round(100 * load.moved_share(before, after), 1),
            "restarted_percent": round(100 * load.restarted_share(before, after), 1),
            "split_traces": load.split_traces(traces, wait, before, after),
        }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"collector_values": collector_values, "sampler_scaling": sampler_scaling}
