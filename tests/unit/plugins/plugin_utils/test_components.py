# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What roles are going to do, by their own tasks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_collections
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import CALLS
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import (
    BUCKET,
    GRAFANA,
    RELEASE,
    TOPIC,
    Component,
    RoleCall,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.components import (
    INCLUDED,
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


# A process of its own, since Ansible's loader of collections, which finds the filters, replaces Python's.
PROCESS = """
import dataclasses, json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
init_plugin_loader([sys.argv[1]])
from ansible_collections.orion.tracing.plugins.plugin_utils.components import RoleTasks
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables
given = {n: trust_as_template(v) if isinstance(v, str) else v for n, v in json.loads(sys.argv[3]).items()}
loader = DataLoader()
tasks = RoleTasks(RoleVariables(Templar(loader=loader, variables=given), loader, given))
print(json.dumps(dataclasses.asdict(tasks.component(sys.argv[2], {}))))
"""


def component_of(name: str, **variables: Any) -> Component:
    """With the collection's own filters."""
    first, *_others = ansible_collections.__path__
    argv = [sys.executable, "-c", PROCESS, str(Path(first).parent), name, json.dumps(variables)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    calls = tuple(RoleCall(call["module"], call["options"]) for call in found["calls"])
    return Component(found["name"], calls, found["unplanned"])


def test_tasks_of_an_included_file_have_the_defaults_of_their_block() -> None:
    given = {"grafana_provisioning": "api", "grafana_url": "https://grafana.example", "grafana_token": "t"}
    component = component_of("grafana", **given, grafana_dashboards_enabled=False, grafana_alerts_enabled=True)
    assert [call.module for call in component.calls] == ["grafana_datasource", "grafana_folder", "grafana_alert_rules"]
    assert component.unplanned == ""
    for call in component.calls:
        assert (call.options["url"], call.options["token"]) == ("https://grafana.example", "t")
        assert call.options["username"] is None and call.options["state"] == "present"
    assert component.calls[1].options["title"] == "Tracing"


def test_the_topic_is_planned_where_the_role_looks_after_it() -> None:
    given = {
        "tempo_profile": "kafka", "tempo_kafka_address": "kafka.shop.svc:9092", "tempo_image_tag": "3.0.3",
        "object_storage_bucket": "traces", "tempo_s3_credentials_secret": "store",
    }  # fmt: skip
    [topic, _release] = component_of("tempo", **given, tempo_kafka_topic_state="checked").calls
    assert (topic.module, topic.options["state"]) == (TOPIC, "checked")
    assert topic.options["address"] == "kafka.shop.svc:9092"
    assert len(component_of("tempo", **given, tempo_kafka_topic_state="ignored").calls) == 1


def test_an_iam_role_is_made_by_another_collection() -> None:
    given = {"object_storage_iam_role_name": "tempo", "object_storage_bucket": "traces"}
    component = component_of("object_storage", **given)
    assert component.unplanned == "not planned: make tempo's iam role" and len(component.calls) == 1


def tasks_in(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [task for one in tasks for part in ("block", "rescue") for task in tasks_in(one.get(part, []))]
    return [*(one for one in tasks if "block" not in one), *inner]


def modules_of(role: str, file: str) -> Iterator[str]:
    """Of a file of tasks and of those that it includes."""
    for task in tasks_in(yaml.safe_load((ROLES / role / "tasks" / file).read_text())):
        if INCLUDED in task:
            yield from modules_of(role, task[INCLUDED])
        else:
            yield from (key for key in task if key not in WORDS)


@pytest.mark.parametrize("name", list(TASKS))
def test_nothing_that_a_role_does_is_left_out_of_the_plan(name: str) -> None:
    role, file = TASKS[name]
    modules = set(modules_of(role, f"{file}.yml"))
    planned = {f"orion.tracing.{module}" for module in PLANNED}
    assert modules - planned - set(UNPLANNED) - LEFT_OUT == set()


def test_where_a_release_is_not_wanted_it_is_absent() -> None:
    [call] = role_tasks(verify_probe_enabled=False).component("probe", {}).calls
    assert not call.installs and str(call.release) == "tracing/trace-probe"


def test_every_module_that_writes_to_grafana_can_be_planned() -> None:
    assert set(GRAFANA) == set(CALLS)


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
