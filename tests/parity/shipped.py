# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collectors' configurations as the collector role makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values

ROLE = Path(__file__).resolve().parents[2] / "roles/collector"
FROM_INVENTORY = {
    "tracing_namespace": "tracing",
    "tracing_environment": "production",
    "tracing_cluster_name": "orion-prod",
    "role_path": str(ROLE),
}


def chart_values(**changes: Any) -> dict[str, Any]:
    """From the role's defaults and these variables."""
    text = (ROLE / "defaults/main.yml").read_text()
    for name, value in FROM_INVENTORY.items():
        text = text.replace("{{ " + name + " }}", value)
    return collector_values({**yaml.safe_load(text), **changes})[0]


def tail_sampling(**changes: Any) -> dict[str, Any]:
    """The samplers' settings in them."""
    settings: dict[str, Any] = chart_values(**changes)["sampler"]["config"]["processors"]["tail_sampling"]
    return settings
