# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the object_storage role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.tempo import retention as tempo_retention


def tempo_lifecycle_rules(variables: dict[str, Any]) -> list[dict[str, Any]] | None:
    """See tempo_lifecycle_rules.yml."""
    try:
        return tempo_retention.rules(variables)
    except TracingError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tempo_lifecycle_rules": tempo_lifecycle_rules}
