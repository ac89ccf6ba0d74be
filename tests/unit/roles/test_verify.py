# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verify role as plays run it, in check mode: it asks no cluster then, and shows what it expects."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/verify"
# As playbooks/verify.yml and playbooks/site.yml have it.
IMPORTED = {"ansible.builtin.import_role": {"name": "orion.tracing.verify"}}
INCLUDED = {
    "ansible.builtin.include_role": {"name": "orion.tracing.verify", "apply": {"tags": ["verify"]}},
    "tags": ["verify"],
}


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., str]:
    """Run the role in check mode; its output in one line."""

    def run(task: dict[str, Any], **variables: Any) -> str:
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        given = {"object_storage_bucket": "orion-traces", "ansible_python_interpreter": sys.executable, **variables}
        argv = ["play.yml", "-i", "localhost,", "-c", "local", "--check", "-e", json.dumps(given)]
        return in_one_line(run_ansible(tmp_path, "ansible-playbook", *argv))

    return run


@pytest.mark.parametrize("task", [IMPORTED, INCLUDED], ids=["imported", "included"])
def test_expectations_follow_from_the_defaults_of_the_collectors(verify: Callable[..., str], task: Any) -> None:
    shown = verify(task)
    for line in (
        "error traces kept and complete 3 of 3 traces",
        "slow traces kept and complete 3 of 3 traces",
        "critical route kept and complete 3 of 3 traces",
        "health checks dropped 0 of 20 traces",
        "share of other traces kept the same",
        "block objects in the bucket a new block in orion-traces",
    ):
        assert line in shown
    assert "failed=0" in shown


def test_expectations_of_rare_paths(verify: Callable[..., str]) -> None:
    shown = verify(IMPORTED, **yaml.safe_load((ROOT / "examples/sampling/rare-paths.yml").read_text()))
    assert "failed=0" in shown and "error traces kept and complete 3 of 3 traces" in shown
    assert "critical route" not in shown


def test_policies_that_show_nothing_fail_with_what_to_do(verify: Callable[..., str]) -> None:
    policies = [{"name": "one", "type": "string_attribute", "string_attribute": {"key": "a", "values": ["b"]}}]
    shown = verify(IMPORTED, collector_tail_sampling_policies=policies)
    assert "failed=1" in shown and "collector_tail_sampling_extra_policies" in shown


def test_no_variable_repeats_another_roles_default() -> None:
    """What the role shares with others has their name, and what it takes from them is a reference."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    own = {name: value for name, value in defaults.items() if name.startswith("verify_")}
    literal = {name for name, value in own.items() if "{{" not in str(value)}
    probe = {name for name in own if name.startswith("verify_probe_")}
    assert literal - probe == {"verify_applications", "verify_grafana_url", "verify_plain_traces", "verify_timeout"}
