# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evaluates the variables of roles for the module of the same name, on the controller, where variables are.

An argument spec is checked only when its role runs: after the roles before it have changed something. Here, all of them
are evaluated and checked at the start.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import connection
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import (
    SHARED,
    RoleVariables,
    merged,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.targets import shared_targets


class ActionModule(ActionBase):
    """See the module's documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        roles = arguments.get("roles") or []
        read = RoleVariables(self._templar, self._loader, task_vars)
        found = merged(read.read(role) for role in (roles or [SHARED]))
        shared = shared_targets(task_vars, read.shared()["tracing_namespace"]["default"])
        findings = [*found.findings, *read.unknown("preflight", *roles), *shared]
        if "object_storage" in roles:
            arguments.setdefault("s3", connection(found.values))
        if "grafana" in roles and found.values.get("grafana_provisioning") == "api" and found.values.get("grafana_url"):
            names = ("url", "token", "username", "password", "ca_cert", "validate_certs")
            given = {name: found.values.get(f"grafana_{name}") for name in names}
            arguments.setdefault("grafana", {name: value for name, value in given.items() if value not in (None, "")})
        # Secrets only as options that are not logged.
        variables = {n: v for n, v in found.values.items() if v is not None and n not in found.secret}
        arguments["variables"] = {**variables, **(arguments.get("variables") or {})}
        arguments["repeats"] = {**found.repeats, **(arguments.get("repeats") or {})}
        arguments["findings"] = [finding.result() for finding in findings] + list(arguments.get("findings") or [])
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("chosen_by_environment") and not result.get("failed"):
            Display().display(f"preflight: {result['chosen_by_environment']}")
        return result
