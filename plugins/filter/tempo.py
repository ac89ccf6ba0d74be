# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the tempo role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values as build


def tempo_values(variables: dict[str, Any], release_name: str = "tempo") -> dict[str, Any]:
    """See tempo_values.yml."""
    try:
        return build(variables, release_name)
    except TracingError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tempo_values": tempo_values}
