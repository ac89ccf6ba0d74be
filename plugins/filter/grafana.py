# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the grafana role; documented in the sidecar files of their names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables

# The forms of the alert rules: for Prometheus, and for Grafana.
RULES = ("prometheus", "grafana")


def grafana_values(variables: dict[str, Any]) -> dict[str, Any]:
    """See grafana_values.yml. Warnings are shown as such, so no task reports a change for them."""
    from ansible_collections.orion.tracing.plugins.module_utils.grafana import datasources

    with role_variables("grafana_values", variables):
        values, warnings = datasources.grafana_values(variables)
    for warning in warnings:
        Display().warning(str(warning))
    return values


def grafana_datasources(variables: dict[str, Any]) -> list[dict[str, Any]]:
    """See grafana_datasources.yml. Warnings are shown as such."""
    from ansible_collections.orion.tracing.plugins.module_utils.grafana import datasources

    with role_variables("grafana_datasources", variables):
        sources, warnings = datasources.api_sources(variables)
    for warning in warnings:
        Display().warning(str(warning))
    return sources


def grafana_content(variables: dict[str, Any], files: str, plan: dict[str, Any]) -> dict[str, Any]:
    """See grafana_content.yml."""
    import yaml
    from ansible_collections.orion.tracing.plugins.module_utils.grafana import content

    folder = Path(files)
    dashboards = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "dashboards").glob("*.json"))}
    rules, provisioning = (yaml.safe_load((folder / f"alerts/{name}.yml").read_text()) for name in RULES)
    with role_variables("grafana_content", variables):
        return content.content_values(variables, dashboards, rules, provisioning, plan)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "grafana_values": grafana_values,
            "grafana_datasources": grafana_datasources,
            "grafana_content": grafana_content,
        }
