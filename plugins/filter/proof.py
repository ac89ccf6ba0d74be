# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the verify role; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def probe_values(variables: dict[str, Any]) -> dict[str, Any]:
    """See probe_values.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.proof.variables import chart_values
    from ansible_collections.orion.tracing.plugins.plugin_utils.probe_program import program

    with role_variables("probe_values", variables):
        return chart_values(variables, program())


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"probe_values": probe_values}
