# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The samplers' configuration as the collector role makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector_config import collector_values

ROLE = Path(__file__).resolve().parents[2] / "roles/collector"
FROM_INVENTORY = {
    "tracing_namespace": "tracing",
    "tracing_environment": "production",
    "tracing_cluster_name": "orion-prod",
    "role_path": str(ROLE),
}


def sampler(**changes: Any) -> dict[str, Any]:
    """From the role's defaults and these variables."""
    text = (ROLE / "defaults/main.yml").read_text()
    for name, value in FROM_INVENTORY.items():
        text = text.replace("{{ " + name + " }}", value)
    config: dict[str, Any] = collector_values({**yaml.safe_load(text), **changes})[0]["sampler"]["config"]
    return config


def tail_sampling(**changes: Any) -> dict[str, Any]:
    """The processor's settings."""
    settings: dict[str, Any] = sampler(**changes)["processors"]["tail_sampling"]
    return settings
