# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the grafana role; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.module_utils.grafana import datasources
from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def grafana_values(variables: dict[str, Any]) -> dict[str, Any]:
    """See grafana_values.yml. Warnings are shown as such, so no task reports a change for them."""
    with role_variables("grafana_values", variables):
        values, warnings = datasources.grafana_values(variables)
    for warning in warnings:
        Display().warning(str(warning))
    return values


def grafana_datasources(variables: dict[str, Any]) -> list[dict[str, Any]]:
    """See grafana_datasources.yml. Warnings are shown as such."""
    with role_variables("grafana_datasources", variables):
        sources, warnings = datasources.api_sources(variables)
    for warning in warnings:
        Display().warning(str(warning))
    return sources


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"grafana_values": grafana_values, "grafana_datasources": grafana_datasources}
