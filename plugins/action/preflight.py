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
from ansible_collections.orion.tracing.plugins.plugin_utils.preflight import options_of
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables


class ActionModule(ActionBase):
    """See the module's documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        read = RoleVariables(self._templar, self._loader, task_vars)
        _found, arguments = options_of(read, dict(self._task.args), task_vars)
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("chosen_by_environment") and not result.get("failed"):
            Display().display(f"preflight: {result['chosen_by_environment']}")
        return result
