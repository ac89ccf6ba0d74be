# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the tempo role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def tempo_values(variables: dict[str, Any], release_name: str = "") -> dict[str, Any]:
    """See tempo_values.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values as build

    with role_variables("tempo_values", variables):
        return build(variables, release_name)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tempo_values": tempo_values}
