# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes what was applied; see plugin_utils/platform.py for why it is done in the process of the task."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.plan import record as records
from ansible_collections.orion.tracing.plugins.module_utils.plan.arguments import RECORD
from ansible_collections.orion.tracing.plugins.plugin_utils import platform
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables


class ActionModule(ActionBase):
    """See the module's documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        checked = ArgumentSpecValidator(RECORD).validate(dict(self._task.args))
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        if not platform.is_here(self, task_vars):
            return {"changed": False, "skipped": True, "skip_reason": "no plan is made for this host"}
        options = checked.validated_parameters
        read = RoleVariables(self._templar, self._loader, task_vars)
        about = platform.Platform(options["components"], options["roles"], read, task_vars["inventory_hostname"])
        with platform.environment(self._task):
            try:
                return self._note(about, options["advice"]) if options["state"] == "present" else self._forget(about)
            except TracingError as error:
                return {"failed": True, "msg": str(error), **error.details}

    def _forget(self, about: platform.Platform) -> dict[str, Any]:
        with platform.connected(self._task.args) as kube:
            path = records.path(about.namespace)
            there = kube.get(path) is not None
            if there and not self._task.check_mode:
                kube.request("DELETE", path)
            return {"changed": there, "releases": {}, "api_calls": kube.calls}

    def _note(self, about: platform.Platform, advice: list[str]) -> dict[str, Any]:
        with platform.connected(self._task.args) as kube:
            applied = platform.read_applied(kube, about)
            components = platform.components_of(about, applied)
            releases = platform.releases_of(kube, about, applied, components)
            record = platform.record_of(about, applied, components, releases, advice)
            changed = record != applied.record
            if changed and not self._task.check_mode:
                document = records.document(about.namespace, record)
                kube.apply(records.path(about.namespace), document)
            return {"changed": changed, "releases": releases, "api_calls": kube.calls}
