# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The options of the module preflight, made of the variables of roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.s3.options import connection
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import (
    SHARED,
    RoleVariables,
    Values,
    merged,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.targets import shared_targets


def options_of(
    read: RoleVariables, given: dict[str, Any], task_vars: Mapping[str, Any]
) -> tuple[Values, dict[str, Any]]:
    """The variables of the roles that the options name, and the options with these. given: those of the task."""
    arguments = dict(given)
    roles = arguments.get("roles") or []
    found = merged(read.read(role) for role in (roles or [SHARED]))
    shared = shared_targets(task_vars, read, roles)
    findings = [*found.findings, *read.unknown("preflight", *roles), *shared]
    if "object_storage" in roles:
        arguments.setdefault("s3", connection(found.values))
    if "grafana" in roles and found.values.get("grafana_provisioning") == "api" and found.values.get("grafana_url"):
        names = ("url", "token", "username", "password", "ca_cert", "validate_certs")
        values = {name: found.values.get(f"grafana_{name}") for name in names}
        arguments.setdefault("grafana", {name: value for name, value in values.items() if value not in (None, "")})
    # Secrets only as options that are not logged.
    variables = {n: v for n, v in found.values.items() if v is not None and n not in found.secret}
    arguments["variables"] = {**variables, **(arguments.get("variables") or {})}
    arguments["repeats"] = {**found.repeats, **(arguments.get("repeats") or {})}
    arguments["findings"] = [finding.result() for finding in findings] + list(arguments.get("findings") or [])
    return found, arguments
