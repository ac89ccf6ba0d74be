# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""awx/ against the argument specs in the documentation of awx.awx's modules, without a controller."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible_collections.orion.tracing.tests.awx.conftest import ROOT

# The variable of each module's objects.
OBJECTS = {
    "credential_type": "controller_credential_types",
    "organization": "controller_organizations",
    "execution_environment": "controller_execution_environments",
    "project": "controller_projects",
    "inventory": "controller_inventories",
    "inventory_source": "controller_inventory_sources",
    "job_template": "controller_templates",
    "workflow_job_template": "controller_workflows",
    "workflow_job_template_node": "controller_workflow_nodes",
    "schedule": "controller_schedules",
}
Objects = Callable[..., dict[str, list[dict[str, Any]]]]


def options(collections: Path, module: str) -> dict[str, Any]:
    """The argument spec of a module of awx.awx, from its documentation."""
    source = (collections / f"ansible_collections/awx/awx/plugins/modules/{module}.py").read_text()
    (text,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION"
    ]
    found: dict[str, Any] = yaml.safe_load(text)["options"]
    keys = ("type", "elements", "choices", "required", "aliases")
    return {name: {key: one[key] for key in keys if key in one} for name, one in found.items()}


def tasks() -> list[tuple[str, dict[str, str], str]]:
    """Module, arguments and loop of each task of awx/apply.yml with a module of awx.awx."""
    (_read, block) = DataLoader().load_from_file(str(ROOT / "awx/apply.yml"))
    return [
        (key.removeprefix("awx.awx."), task[key], task["loop"])
        for task in block["block"]
        for key in task
        if key.startswith("awx.awx.")
    ]


def test_every_kind_of_object_is_looked_at(objects: Objects) -> None:
    assert set(objects()) == set(OBJECTS.values())
    assert {module for module, _arguments, _loop in tasks()} == set(OBJECTS)


@pytest.mark.parametrize("module", OBJECTS)
def test_objects_fit_the_argument_spec(module: str, objects: Objects, collections: Path) -> None:
    spec = options(collections, module)
    for one in objects(awx_credentials=["Cluster"], awx_scm_credential="Git")[OBJECTS[module]]:
        result = ArgumentSpecValidator(spec).validate(one)
        assert not result.error_messages, (one.get("name", one.get("identifier")), result.error_messages)
        assert {name: result.validated_parameters[name] for name in one} == one, "awx.awx would convert it"


@pytest.mark.parametrize("module", OBJECTS)
def test_what_an_object_has_is_passed_on_and_nothing_else(module: str, objects: Objects, collections: Path) -> None:
    passed: dict[str, str] = {}
    for name, arguments, loop in tasks():
        if name == module:
            assert loop == "{{ " + OBJECTS[module] + " }}"
            passed |= arguments
    assert set(passed) <= set(options(collections, module))
    every, least = objects(awx_scm_credential="Git")[OBJECTS[module]], objects()[OBJECTS[module]]
    assert set(passed) == set().union(*every)
    for name, value in passed.items():
        optional = any(name not in one for one in least)
        assert value == ("{{ item." + name + (" | default(omit)" if optional else "") + " }}"), name


def test_names_begin_with_the_prefix_so_that_two_platforms_fit_on_a_controller(objects: Objects) -> None:
    found = objects(awx_prefix="Staging", awx_organization="Shop")
    for variable, several in found.items():
        for one in several:
            name = one.get("name") or one["workflow_job_template"]
            assert name.startswith("Shop" if variable == "controller_organizations" else "Staging"), name
            assert one.get("organization", "Shop") == "Shop"
    assert "Tracing" not in str(
        [{k: v for k, v in one.items() if k != "survey_spec"} for f in found.values() for one in f]
    )


def test_playbooks_of_job_templates_exist(objects: Objects) -> None:
    for one in objects()["controller_templates"]:
        assert (ROOT / one["playbook"]).is_file(), one["playbook"]
        # A file in a folder that a job can write: the project's is read-only.
        for value in one.get("extra_vars", {}).values():
            assert value.startswith("/runner/artifacts"), value
