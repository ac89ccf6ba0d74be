# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the roles are going to do, read from their own task files, so that a plan has no second description of them.

A component is a part of the platform that playbooks/site.yml installs: a role, or an entry point of one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import (
    BUCKET,
    GRAFANA,
    RELEASE,
    TOPIC,
    WORKLOADS,
    Component,
    RoleCall,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import ARTIFACTS, ROLES, RoleVariables

# Component → role and file of its tasks, in the order of playbooks/site.yml.
TASKS = {
    "object_storage": ("object_storage", "main"),
    "tempo": ("tempo", "main"),
    "collector": ("collector", "main"),
    "instrumentation": ("instrumentation", "main"),
    "grafana": ("grafana", "main"),
    "local_demo": ("local_demo", "main"),
    "probe": ("verify", "probe"),
}
PLANNED = (RELEASE, BUCKET, WORKLOADS, TOPIC, *GRAFANA)
OWN = "orion.tracing."
INCLUDED = "ansible.builtin.include_tasks"
# Modules of other collections, which only the role can run.
UNPLANNED = ("amazon.aws.iam_role", "amazon.aws.iam_policy")
# Variables of the run, which decide nothing about what is applied.
OF_THE_RUN = ARTIFACTS | {
    "tracing_confirm",
    "tracing_context",
    "tracing_helm_binary",
    "tracing_kubeconfig",
    "tracing_max_fail_percentage",
    "tracing_plan_file",
    "tracing_plan_output",
    "tracing_prove",
    "tracing_serial",
    "tracing_state_dir",
}
COLLECTION = Path(__file__).resolve().parents[2]


class RoleTasks:
    """Components by the tasks of their roles. read: the variables of the play."""

    def __init__(self, read: RoleVariables) -> None:
        self._read = read

    def component(self, name: str, registered: Mapping[str, Any], modules: Sequence[str] = PLANNED) -> Component:
        """registered: results that tasks of the role have registered before. modules: those whose calls are wanted.
        AnsibleError where a template fails."""
        role, file = TASKS[name]
        calls: list[RoleCall] = []
        unplanned: list[str] = []
        for task, defaults in self._tasks(role, self._read.tasks(role, file), registered, {}):
            calls += [
                self._call(role, module, {**_of_module(defaults, module), **task[OWN + module]}, registered)
                for module in PLANNED
                if OWN + module in task and module in modules
            ]
            if any(module in task for module in UNPLANNED):
                unplanned.append(str(task["name"]).lower())
        return Component(name, tuple(calls), f"not planned: {', '.join(unplanned)}" if unplanned else "")

    def _tasks(
        self,
        role: str,
        tasks: Sequence[Mapping[str, Any]],
        registered: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Those that apply, also of blocks and of files that are included, with the module_defaults around them."""
        for task in tasks:
            # A task in check mode only looks at what another one is going to do.
            if task.get("check_mode") or not self._applies(role, task, registered):
                continue
            if INCLUDED in task:
                included = self._read.tasks(role, str(task[INCLUDED]).removesuffix(".yml"))
                yield from self._tasks(role, included, registered, defaults)
            elif "block" in task:
                inner = {**defaults, **(task.get("module_defaults") or {})}
                yield from self._tasks(role, task["block"], registered, inner)
            else:
                yield task, defaults

    def _applies(self, role: str, task: Mapping[str, Any], registered: Mapping[str, Any]) -> bool:
        return self._read.holds(role, task.get("when", True), registered)

    def _call(self, role: str, module: str, arguments: Any, registered: Mapping[str, Any]) -> RoleCall:
        # As a module gets them: Ansible's own strings, which have tags, are nothing that YAML can write.
        evaluated = json.loads(json.dumps(self._read.evaluate(role, arguments, registered), default=str))
        checked = ArgumentSpecValidator(_spec(module)).validate(evaluated)
        if checked.error_messages:
            raise AnsibleError(f"{role}: {'; '.join(checked.error_messages)}")
        return RoleCall(module, checked.validated_parameters)


def _of_module(defaults: Mapping[str, Any], module: str) -> dict[str, Any]:
    """What module_defaults give a module of this collection, by its own name or by its groups."""
    found: dict[str, Any] = {}
    for name, options in defaults.items():
        group = name.removeprefix(f"group/{OWN}")
        if name == OWN + module or (group != name and module in _groups().get(group, ())):
            found.update(options)
    return found


@cache
def _groups() -> Mapping[str, Sequence[str]]:
    groups: Mapping[str, Sequence[str]] = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text())["action_groups"]
    return groups


def _spec(module: str) -> Mapping[str, Any]:
    """The module's argument spec. Imported when it is needed: without a change, few are."""
    if module == TOPIC:
        from ansible_collections.orion.tracing.plugins.module_utils.kafka.options import ARGUMENTS as TOPICS

        return TOPICS
    if module in GRAFANA:
        from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import CALLS
        from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import GRAFANA_OPTIONS

        return {**GRAFANA_OPTIONS, **CALLS[module].arguments}
    if module == RELEASE:
        from ansible_collections.orion.tracing.plugins.module_utils.helm.arguments import ARGUMENTS as RELEASES

        return RELEASES
    if module == BUCKET:
        from ansible_collections.orion.tracing.plugins.module_utils.s3.options import bucket_options

        return bucket_options()
    from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.options import ARGUMENTS as LISTED

    return LISTED


def portable(name: str, value: Any) -> Any:
    """Paths inside the collection differ from machine to machine; the content of a chart elsewhere may change."""
    if not name.endswith("_chart_ref") or not isinstance(value, str):
        return value
    path = Path(value).expanduser()
    if path.is_relative_to(ROLES):
        return str(path.relative_to(ROLES))
    return f"{value} {digest_of(path)}" if path.exists() else value


def digest_of(*folders: Path) -> str:
    """SHA-256 over the names and the content of all files."""
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted(_files(folder)):
            data = path.read_bytes()
            total.update(f"{path.relative_to(folder.parent)}\0{len(data)}\0".encode())
            total.update(data)
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    for parent, folders, files in folder.walk():
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (parent / name for name in files)
