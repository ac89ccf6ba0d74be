# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the instrumentation role; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def instrumentation_values(variables: dict[str, Any], modes: Mapping[str, Any]) -> dict[str, Any]:
    """See instrumentation_values.yml. Warnings are shown as such, so no task reports a change for them."""
    from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.modes import served
    from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.variables import chart_values

    with role_variables("instrumentation_values", variables):
        values, found = chart_values(variables, served(modes))
    for warning in found:
        Display().warning(str(warning))
    return values


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"instrumentation_values": instrumentation_values}
