# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around sampling policies; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def sampling_findings(variables: dict[str, Any], two_tiers: bool = True) -> list[dict[str, str]]:
    """What is wrong or doubtful about the collector role's sampling variables, as data."""
    from ansible_collections.orion.tracing.plugins.module_utils.linter.variables import lint_variables

    with role_variables("sampling_findings", variables):
        return [finding.result() for finding in lint_variables(variables, two_tiers)]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"sampling_findings": sampling_findings}
