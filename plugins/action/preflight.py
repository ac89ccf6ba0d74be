# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evaluates the variables of roles for the module of the same name, on the controller, where variables are.

A role's defaults are not visible before it runs, and its argument spec is checked only then: after the roles before it
have changed something. Here, all of them are evaluated and checked at the start. Inventory wins over defaults.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.module_utils.inventory.unknown import unknown_variables

ROLES = Path(__file__).resolve().parents[2] / "roles"
S3 = {
    "endpoint_url": "object_storage_endpoint_url",
    "region": "object_storage_region",
    "access_key": "object_storage_access_key",
    "secret_key": "object_storage_secret_key",
    "session_token": "object_storage_session_token",
    "ca_bundle": "object_storage_ca_bundle",
    "validate_certs": "object_storage_validate_certs",
    "addressing_style": "object_storage_addressing_style",
}


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        values: dict[str, Any] = {}
        findings: list[dict[str, str]] = []
        secret: set[str] = set()
        roles = arguments.get("roles") or []
        own = {name: task_vars[name] for name in task_vars if name.startswith(("tracing_", "preflight_"))}
        values.update(self._evaluate(own, task_vars, "", findings))
        # A role's defaults may name another's: verify's are about what tempo and object_storage were told.
        defaults_of = {role: self._defaults(role) for role in (_with_defaults() if roles else [])}
        every = {name: value for defaults in defaults_of.values() for name, value in defaults.items()}
        for role in roles:
            if role not in defaults_of:
                raise AnsibleActionFail(f"roles: {role} is no role of this collection.")
            defaults, spec = defaults_of[role], self._spec(role)
            secret.update(name for name, option in spec.items() if option.get("no_log"))
            mine = {name: task_vars[name] for name in task_vars if name.startswith(f"{role}_")}
            seen = self._evaluate({**defaults, **mine}, {**every, **defaults, **task_vars}, role, findings)
            findings += _check_spec(spec, seen)
            for sentence in unknown_variables(mine, spec, f"{role}_"):
                name, problem = sentence.split(" ", 1)
                findings.append({"variable": name, "what": problem, "remedy": ""})
            values = {**seen, **values}
        if "object_storage" in roles:
            arguments.setdefault(
                "s3", {o: values[name] for o, name in S3.items() if values.get(name) not in (None, "")}
            )
        # Of the same shape whatever was found: secrets go by options that are not logged, or not at all.
        variables = {name: value for name, value in values.items() if name not in secret}
        arguments["variables"] = {**variables, **(arguments.get("variables") or {})}
        arguments["findings"] = findings + list(arguments.get("findings") or [])
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("chosen_by_environment") and not result.get("failed"):
            Display().display(f"preflight: {result['chosen_by_environment']}")
        return result

    def _defaults(self, role: str) -> dict[str, Any]:
        return self._loader.load_from_file(str(ROLES / role / "defaults/main.yml"), trusted_as_template=True)

    def _spec(self, role: str) -> dict[str, Any]:
        """The options of a role's argument spec."""
        spec = self._loader.load_from_file(str(ROLES / role / "meta/argument_specs.yml"))
        return spec["argument_specs"]["main"]["options"]

    def _evaluate(
        self, names: dict[str, Any], context: dict[str, Any], role: str, findings: list[dict[str, str]]
    ) -> dict[str, Any]:
        if role:
            context = {**context, "role_path": str(ROLES / role), "role_name": role}
        templar = self._templar.copy_with_new_env(available_variables=context)
        values = {}
        for name in sorted(names):
            try:
                values[name] = templar.template(context[name])
            except AnsibleError as error:
                problem = " ".join(str(error).split())
                findings.append({"variable": name, "what": f"cannot be evaluated: {problem}", "remedy": ""})
        return values


def _with_defaults() -> list[str]:
    """Names of this collection's roles that have variables."""
    return sorted(path.parents[1].name for path in ROLES.glob("*/defaults/main.yml"))


def _check_spec(spec: dict[str, Any], values: dict[str, Any]) -> list[dict[str, str]]:
    """What the role's own argument spec says, one finding for each message."""
    given = {name: values[name] for name in spec if name in values and not spec[name].get("no_log")}
    open_ = {name: option for name, option in spec.items() if name in given}
    result = ArgumentSpecValidator(open_).validate(given)
    findings = []
    for message in result.error_messages:
        name = next((n for n in sorted(open_, key=len, reverse=True) if re.search(rf"\b{n}\b", message)), "")
        findings.append({"variable": name or "variables", "what": message.rstrip("."), "remedy": ""})
    return findings
