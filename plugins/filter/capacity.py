# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around capacity; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.planner import capacity


def tracing_plan(variables: dict[str, Any]) -> dict[str, Any]:
    """What the expected load takes, as data, text and a snippet for group_vars."""
    if not isinstance(variables, dict):
        raise AnsibleFilterError(f"tracing_plan takes a mapping of variables, not {type(variables).__name__}")
    try:
        return capacity.tracing_plan(variables)
    except InvalidInput as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tracing_plan": tracing_plan}
