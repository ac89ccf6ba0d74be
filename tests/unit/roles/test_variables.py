# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every role's variables: one default, one description, the same in defaults/main.yml and in the argument spec."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
# Variables of the platform whose defaults differ from role to role.
OWN_DEFAULT_OF_SHARED = {"tracing_state_dir": {"local_backends", "local_cluster", "verify"}}
# Entry points whose variables people type on the command line of a playbook, and so do not begin with its whole name.
PREFIXES = {"trace_report": ("report_", "trace_id", "search", "other_"), "scale_samplers": ("sampler_",)}


def read(role: str, file: str) -> dict[str, Any]:
    return yaml.safe_load((ROLES / role / file).read_text())


def specs(role: str) -> dict[str, dict[str, Any]]:
    return {name: spec["options"] for name, spec in read(role, "meta/argument_specs.yml")["argument_specs"].items()}


def options(role: str) -> dict[str, Any]:
    return specs(role)["variables" if role == "tracing" else "main"]


def every_option() -> list[Any]:
    """(role, name, option) of each variable of each entry point."""
    return [(role, name, option) for role in NAMES for spec in specs(role).values() for name, option in spec.items()]


def test_all_roles_are_looked_at() -> None:
    assert len(NAMES) == 11 and "tracing" in NAMES


@pytest.mark.parametrize("role", NAMES)
def test_defaults_and_argument_spec_agree(role: str) -> None:
    defaults, spec = read(role, "defaults/main.yml"), options(role)
    # Only the cluster may stay unset.
    optional = {name for name, option in spec.items() if not option.get("required")}
    assert optional - set(defaults) == ({"tracing_kubeconfig", "tracing_context"} if role == "tracing" else set())
    assert set(defaults) <= set(spec)
    for name, default in defaults.items():
        if "default" not in spec[name] and "{{" in str(default):
            # Not a template that the spec's type or its reader could take: described in words.
            assert "default" in str(spec[name]["description"]), name
        else:
            assert spec[name].get("default") == default, name


@pytest.mark.parametrize("role", NAMES)
def test_defaults_have_the_type_of_the_spec(role: str) -> None:
    plain = {n: o for n, o in options(role).items() if o.get("default") is not None and "{{" not in str(o["default"])}
    result = ArgumentSpecValidator(plain).validate({name: option["default"] for name, option in plain.items()})
    assert not result.error_messages
    for name, option in plain.items():
        if option["type"] == "str":
            assert isinstance(option["default"], str), name


def test_a_variable_belongs_to_one_role() -> None:
    owners: dict[str, list[str]] = {}
    for role, name, _option in every_option():
        owners.setdefault(name, []).append(role)
    several = {name: set(found) for name, found in owners.items() if len(found) > 1}
    assert several == OWN_DEFAULT_OF_SHARED
    for name, (role, *_others) in owners.items():
        entry_points = [PREFIXES.get(point, (f"{point}_",)) for point in specs(role) if point != "main"]
        assert name.startswith((f"{role}_", *chain(*entry_points))) or name in several, name


def test_every_role_depends_on_the_shared_variables() -> None:
    for role in set(NAMES) - {"tracing"}:
        assert read(role, "meta/main.yml")["dependencies"] == [{"role": "orion.tracing.tracing"}]
    # Tasks of its own would run with each role, and so would the check of an entry point named main.
    assert not (ROLES / "tracing/tasks").exists() and "main" not in specs("tracing")


def test_each_entry_point_has_its_tasks() -> None:
    for role in set(NAMES) - {"tracing"}:
        for entry_point in specs(role):
            assert (ROLES / role / "tasks" / f"{entry_point}.yml").is_file()


def test_conditions_take_booleans_as_text() -> None:
    """Forms and -e name=false give text, which Ansible does not take for a condition."""
    booleans = {name for _role, name, option in every_option() if option.get("type") == "bool"}
    found = 0
    for path in [*ROLES.glob("*/tasks/*.yml"), *ROLES.glob("../playbooks/*.yml")]:
        for line in path.read_text().splitlines():
            for name in booleans if line.strip().startswith("when:") else ():
                for match in re.finditer(rf"\b{name}\b(.*)", line):
                    assert re.match(r"( \| default\(\w+\))? \| bool\b", match[1]), f"{path}: {line}"
                    found += 1
    assert found > 10


def test_secrets_are_not_logged() -> None:
    secret = re.compile(r"_(secret_key|session_token|password|token)$")
    named = [(name, option) for _role, name, option in every_option() if secret.search(name)]
    assert len(named) >= 4
    assert all(option.get("no_log") for _name, option in named)
