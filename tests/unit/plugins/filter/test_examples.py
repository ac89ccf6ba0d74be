# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The examples in the documentation of the filters, run in a play without an inventory."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

FILTERS = Path(__file__).resolve().parents[4] / "plugins/filter"
# What the roles require, and an example's own names.
VARIABLES = {
    "object_storage_bucket": "orion-traces",
    "object_storage_endpoint_url": "https://s3.example.org:8333",
    "tracing_region": "eu-central-1",
}


def tasks() -> dict[str, dict[str, Any]]:
    """The examples that only show a result, by filter and place."""
    found = {}
    for path in sorted(FILTERS.glob("*.yml")):
        for number, task in enumerate(yaml.safe_load(yaml.safe_load(path.read_text())["EXAMPLES"])):
            if "ansible.builtin.debug" in task:
                found[f"{path.stem}-{number}"] = task
    return found


TASKS = tasks()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of one run of ansible-playbook with all tasks."""
    folder = tmp_path_factory.mktemp("examples")
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": VARIABLES,
        "tasks": [{**task, "name": name, "ignore_errors": True} for name, task in TASKS.items()],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        ["ansible-playbook", folder / "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_filter_has_an_example() -> None:
    # Those of the last two are not tasks that show something.
    there = {path.stem for path in FILTERS.glob("*.yml")} - {"python_interpreter", "s3_connection"}
    assert {name.rpartition("-")[0] for name in TASKS} == there


@pytest.mark.parametrize("name", TASKS)
def test_the_example_shows_something(output: str, name: str) -> None:
    part = output.partition(f"TASK [{name}]")[2].partition("\nTASK [")[0]
    assert "ok: [localhost]" in part and "[ERROR]" not in part, part
    assert json.loads(part.partition("=> ")[2].partition("\n}")[0] + "\n}").keys() == {"msg"}
