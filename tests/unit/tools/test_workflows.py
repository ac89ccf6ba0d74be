# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What actionlint does not ask of the workflows: pinned actions, few permissions, an end, and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.steps import ROOT

WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
ACTIONS = sorted(ROOT.glob(".github/actions/*/action.yml"))
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))


def name(path: Path) -> str:
    return path.relative_to(ROOT / ".github").as_posix()


def load(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def test_each_command_has_a_workflow() -> None:
    assert [path.stem for path in WORKFLOWS] == ["check", "nightly", "test"]
    assert len(ACTIONS) == 1


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=name)
def test_actions_are_pinned_by_commit_with_the_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for one in used:
        if one.startswith("./"):
            assert (ROOT / one / "action.yml").is_file()
        else:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_workflows_may_only_read_and_end_by_themselves(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"] == "${{ github.workflow }}-${{ github.ref }}"
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 180
        for step in job["steps"]:
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_commands_are_those_of_the_makefile(path: Path) -> None:
    targets = re.findall(r"^([a-z -]+): venv$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = [step["with"]["command"] for job in load(path)["jobs"].values() for step in job["steps"][1:]]
    assert commands and set(commands) <= set(" ".join(targets).split())


def test_an_issue_form_says_what_to_leave_out() -> None:
    forms = {path.stem: load(path) for path in FORMS}
    assert set(forms) == {"bug", "config"}
    fields = {field["id"]: field for field in forms["bug"]["body"] if "id" in field}
    assert {"what", "expected", "input", "output", "versions"} <= fields.keys()
    assert "security/advisories/new" in forms["config"]["contact_links"][0]["url"]
    assert "secrets" in str(fields["confirm"])
