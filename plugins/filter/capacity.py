# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around capacity; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def tracing_plan(variables: dict[str, Any]) -> dict[str, Any]:
    """What the expected load takes, as data, text and a snippet for group_vars."""
    from ansible_collections.orion.tracing.plugins.module_utils.planner import capacity

    with role_variables("tracing_plan", variables):
        return capacity.tracing_plan(variables)


def tracing_fleet_plan(plans: dict[str, Any], centrals: dict[str, str]) -> dict[str, Any]:
    """The plans of several hosts together, as data and text."""
    from ansible_collections.orion.tracing.plugins.module_utils.planner import fleet

    return fleet.fleet_plan(plans, centrals)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tracing_plan": tracing_plan, "tracing_fleet_plan": tracing_fleet_plan}
