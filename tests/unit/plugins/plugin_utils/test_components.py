# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What roles are going to do, by their own tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import BUCKET, RELEASE, RoleCall
from ansible_collections.orion.tracing.plugins.plugin_utils.components import (
    PLANNED,
    TASKS,
    UNPLANNED,
    RoleTasks,
    digest_of,
    portable,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import ROLES, RoleVariables

# Tasks that a plan need not have: they check, wait, or make a password that is then never changed.
LEFT_OUT = {
    "ansible.builtin.assert",
    "ansible.builtin.fail",
    "ansible.builtin.uri",
    "orion.tracing.instrumentation_info",
    "orion.tracing.local_secret",
}
WORDS = {"name", "when", "register", "vars", "block", "rescue", "loop", "until", "retries", "delay", "failed_when",
         "changed_when", "check_mode", "diff", "no_log", "module_defaults", "tags"}  # fmt: skip


def role_tasks(**variables: Any) -> RoleTasks:
    given = {name: trust_as_template(one) if isinstance(one, str) else one for name, one in variables.items()}
    return RoleTasks(RoleVariables(Templar(DataLoader(), variables=given), DataLoader(), given))


def test_options_are_those_of_the_task_as_plain_data() -> None:
    """As a module gets them; YAML cannot write Ansible's own strings."""
    component = role_tasks(tracing_namespace="observability", verify_probe_enabled=False).component("probe", {})
    [call] = component.calls
    assert (call.module, str(call.release)) == (RELEASE, "observability/trace-probe") and component.unplanned == ""
    assert call.options["wait"] is True and call.options["timeout"] == "5m"
    assert type(call.options["release_name"]) is type(call.options["release_namespace"]) is str
    assert yaml.safe_load(yaml.safe_dump(dict(call.options))) == call.options


def tasks_in(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [task for one in tasks for part in ("block", "rescue") for task in tasks_in(one.get(part, []))]
    return [*(one for one in tasks if "block" not in one), *inner]


@pytest.mark.parametrize("name", list(TASKS))
def test_nothing_that_a_role_does_is_left_out_of_the_plan(name: str) -> None:
    role, file = TASKS[name]
    tasks = yaml.safe_load((ROLES / role / "tasks" / f"{file}.yml").read_text())
    modules = {key for task in tasks_in(tasks) for key in task if key not in WORDS}
    planned = {f"orion.tracing.{module}" for module in PLANNED}
    assert modules - planned - set(UNPLANNED) - LEFT_OUT == set()


def test_where_a_release_is_not_wanted_it_is_absent() -> None:
    [call] = role_tasks(verify_probe_enabled=False).component("probe", {}).calls
    assert not call.installs and str(call.release) == "tracing/trace-probe"


def test_only_the_wanted_modules() -> None:
    found = role_tasks(object_storage_manage=False).component("object_storage", {}, (BUCKET,))
    assert found.calls == () and found.unplanned == ""


def test_a_call_of_another_module_has_no_release() -> None:
    assert RoleCall(BUCKET, {"name": "traces"}).release is None


def test_charts_of_the_collection_are_the_same_on_every_machine(tmp_path: Path) -> None:
    chart = ROLES / "tempo/files/chart"
    assert portable("tempo_chart_ref", str(chart)) == "tempo/files/chart"
    (tmp_path / "Chart.yaml").write_text("name: own")
    before = portable("tempo_chart_ref", str(tmp_path))
    (tmp_path / "Chart.yaml").write_text("name: changed")
    assert before != portable("tempo_chart_ref", str(tmp_path))
    assert portable("tempo_chart_ref", "oci://registry.example/tempo") == "oci://registry.example/tempo"
    assert portable("tempo_retention", str(chart)) == str(chart)


def test_the_digest_is_that_of_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "__pycache__").mkdir()
    before = digest_of(tmp_path)
    (tmp_path / "__pycache__/x.pyc").write_text("compiled")
    assert digest_of(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest_of(tmp_path) != before
