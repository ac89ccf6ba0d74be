# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collectors' configurations as the collector role makes them."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults


def chart_values(**changes: Any) -> dict[str, Any]:
    """From the role's defaults and these variables."""
    return collector_values({**role_defaults("collector"), **changes})[0]


def tail_sampling(**changes: Any) -> dict[str, Any]:
    """The samplers' settings in them."""
    settings: dict[str, Any] = chart_values(**changes)["sampler"]["config"]["processors"]["tail_sampling"]
    return settings
