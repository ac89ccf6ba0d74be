# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the grafana role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import grafana_values as build
from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def grafana_values(variables: dict[str, Any]) -> dict[str, Any]:
    """See grafana_values.yml."""
    with role_variables("grafana_values", variables):
        return build(variables)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"grafana_values": grafana_values}
