# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks and plans the platform in the process of the task; see plugin_utils/platform.py for the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsiblePromptNoninteractive
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.plan import plan as plans
from ansible_collections.orion.tracing.plugins.module_utils.plan import text
from ansible_collections.orion.tracing.plugins.module_utils.plan.arguments import ARGUMENTS, PREFLIGHT
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import changed_variables
from ansible_collections.orion.tracing.plugins.plugin_utils import platform
from ansible_collections.orion.tracing.plugins.plugin_utils.preflight import options_of
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables, Values

YES = "yes"


class ActionModule(ActionBase):
    """See the module's documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self._display, self._task_vars = Display(), task_vars
        self._read: tuple[Values, dict[str, Any]] | None = None
        self._applied: platform.Applied | None = None
        checked = ArgumentSpecValidator(ARGUMENTS).validate(dict(self._task.args))
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        options: dict[str, Any] = checked.validated_parameters
        read = RoleVariables(self._templar, self._loader, task_vars)
        if not platform.is_here(self, task_vars):
            return self._elsewhere(options, read, task_vars)
        about = platform.Platform(options["components"], options["roles"], read, task_vars["inventory_hostname"])
        with platform.environment(self._task):
            try:
                return self._here(options, about)
            except TracingError as error:
                return self._hidden({"failed": True, "msg": str(error), **error.details}, read)

    def _hidden(self, result: dict[str, Any], read: RoleVariables) -> dict[str, Any]:
        """Without the values of secret variables."""
        values = self._checked(read)[0]
        secret = {str(values.values[name]) for name in values.secret if values.values.get(name)}
        shown: dict[str, Any] = remove_values(result, secret)
        return shown

    def _checked(self, read: RoleVariables) -> tuple[Values, dict[str, Any]]:
        """The variables, typed and checked, and the options of the preflight with them; made once."""
        if self._read is None:
            given = {name: value for name, value in self._task.args.items() if name in PREFLIGHT}
            self._read = options_of(read, given, self._task_vars)
        return self._read

    def _elsewhere(
        self, options: Mapping[str, Any], read: RoleVariables, task_vars: Mapping[str, Any]
    ) -> dict[str, Any]:
        for name in ("confirm", "plan_file", "plan_output"):
            if options[name]:
                raise AnsibleError(
                    f"tracing_{name} needs a plan, and for this host none is made: its modules run on another machine, "
                    "as another user or with another Python than ansible-playbook. Set ansible_connection: local, or "
                    f"leave tracing_{name} empty."
                )
        return dict(
            self._execute_module(
                module_name="orion.tracing.preflight",
                module_args=self._checked(read)[1],
                task_vars=dict(task_vars),
            )
        )

    def _here(self, options: Mapping[str, Any], about: platform.Platform) -> dict[str, Any]:
        bucket = platform.BucketProcess() if "object_storage" in about.names else None
        try:
            if options["drift"] == "ignore":
                quick = self._unchanged(about, bucket)
                if quick is not None:
                    return self._result(options, *quick)
            return self._hidden(self._changed(options, about, bucket), about.read)
        finally:
            if bucket:
                bucket.close()

    def _unchanged(
        self, about: platform.Platform, bucket: platform.BucketProcess | None
    ) -> tuple[dict[str, Any], dict[str, Any], Sequence[str], Sequence[str]] | None:
        """Plan, result, advice and warnings where the cluster has what these variables made of it. What cannot be read
        is for the whole preflight, which names it."""
        try:
            with platform.connected(self._task.args) as kube:
                applied = self._applied = platform.read_applied(kube, about, bucket)
                planned = platform.unchanged(kube, about, applied, bucket, self._say)
                if planned is None or applied.record is None:
                    return None
                inputs = about.inputs(applied.served, applied.record.hidden)
                made = plans.unchanged(about.where(kube), about.names, inputs)
                warnings = [line for one in planned for line in one.warnings]
                return made, {"findings": [], "api_calls": kube.calls}, applied.record.advice, warnings
        except (TracingError, AnsibleError):
            return None

    def _changed(
        self,
        options: Mapping[str, Any],
        about: platform.Platform,
        bucket: platform.BucketProcess | None,
    ) -> dict[str, Any]:
        _values, arguments = self._checked(about.read)
        from ansible_collections.orion.tracing.plugins.module_utils.preflight.run import ARGUMENTS as CHECKED
        from ansible_collections.orion.tracing.plugins.module_utils.preflight.run import examine

        checked = ArgumentSpecValidator(CHECKED).validate(
            {name: value for name, value in arguments.items() if name in CHECKED}
        )
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        examined = examine({**platform.connection_of(arguments), **checked.validated_parameters})
        if examined.result["chosen_by_environment"]:
            self._display.display(f"preflight: {examined.result['chosen_by_environment']}")
        if examined.errors:
            return {"failed": True, "msg": examined.errors, "warnings": examined.advice, **examined.result}
        with platform.connected(self._task.args) as kube:
            applied = self._applied or platform.read_applied(kube, about)
            components = platform.components_of(about, applied)
            planned = platform.make(kube, components, self._task.args, bucket, self._say, options["drift"])
            inputs = about.inputs(applied.served, about.read.secret())
            differ = changed_variables(applied.record, inputs)
            made = plans.of_components(planned, inputs, differ, about.where(kube), platform.is_recorded(about, applied))
            made["consequences"] = platform.consequences(about, applied, differ, self._say)
            examined.result["api_calls"] = kube.calls
        warnings = [line for one in planned for line in one.warnings]
        return self._result(options, made, examined.result, examined.advice, warnings)

    def _result(
        self,
        options: Mapping[str, Any],
        made: dict[str, Any],
        result: dict[str, Any],
        advice: Sequence[str],
        warnings: Sequence[str],
    ) -> dict[str, Any]:
        if options["plan_file"]:
            plans.check_saved(_read(options["plan_file"]), made, f"tracing_plan_file {options['plan_file']}")
        if options["plan"]:
            plans.check_saved(options["plan"], made, "tracing_plan, which an earlier job of the workflow has made,")
        if options["plan_output"]:
            Path(options["plan_output"]).write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", "utf-8")
        differs = made["changed"] or made["totals"][plans.DRIFTED]
        rendered = text.render(made) if differs else text.summary(made)
        if not self._task.check_mode or not made["changed"]:
            self._display.display(rendered)
        if options["confirm"] and made["changed"] and not self._task.check_mode:
            self._confirm()
        public = {key: value for key, value in made.items() if key != "inputs"}
        return {
            "changed": False,
            **result,
            "plan": public,
            "plan_text": rendered.splitlines(),
            "advice_text": list(advice),
            "warnings": list(dict.fromkeys([*advice, *warnings])),
            # By host, and merged: ansible-runner, and so AWX, takes only statistics of the whole run.
            "ansible_stats": {"data": {"tracing_plan": {made["host"]: made}}, "per_host": False, "aggregate": True},
        }

    def _confirm(self) -> None:
        try:
            answer = self._display.prompt_until(f"Apply this plan? Only '{YES}' is taken: ")
        except AnsiblePromptNoninteractive as error:
            raise InvalidInput(
                "tracing_confirm is true, and there is no terminal to ask at",
                "",
                "Set tracing_confirm: false, or apply a plan that was looked at before with tracing_plan_file.",
            ) from error
        if answer.decode(errors="replace").strip() != YES:
            raise InvalidInput("The plan was not confirmed, so nothing was changed")

    def _say(self, line: str) -> None:
        self._display.display(f"platform_plan: {line}")


def _read(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"tracing_plan_file {path} cannot be read", str(error), "Name the file that tracing_plan_output wrote."
        ) from error
