# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Python the modules of the playbooks run with, where Ansible's discovery would find another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COLLECTIONS = next(path for path in sys.path if Path(path, "ansible_collections/orion/tracing").is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
LOCAL = {"ansible_connection": "local"}
# The first name that discovery looks for
DISCOVERED = "python3.14"


def interpreter(tmp_path: Path, host: dict[str, Any], *argv: str, ours: bool = True, **environ: str) -> str:
    """The path by which a module's Python was called."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for name in (DISCOVERED, "named"):
        if not (folder / name).exists():
            (folder / name).write_text(f'#!/bin/sh\nPYTHON_CALLED_AS="$0" exec {sys.executable} "$@"\n')
            (folder / name).chmod(0o755)
    play: dict[str, Any] = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.command": "printenv PYTHON_CALLED_AS", "failed_when": False}],
    }
    if ours:
        play["vars_files"] = [str(ROOT / "playbooks/vars/interpreter.yml")]
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"localhost": host}}}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        **environ,
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, tmp_path / "play.yml", "-i", tmp_path / "hosts.yml", "-v", *argv],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answer = done.stdout.partition(" => ")[2]
    called: str = json.JSONDecoder().raw_decode(answer)[0]["stdout"]
    return Path(called).name if called else "playbook's"


def test_discovery_would_find_another(tmp_path: Path) -> None:
    assert interpreter(tmp_path, LOCAL, ours=False) == DISCOVERED


@pytest.mark.parametrize("setting", ["", "auto", "auto_legacy_silent"])
def test_a_local_connection(tmp_path: Path, setting: str) -> None:
    environ = {"ANSIBLE_PYTHON_INTERPRETER": setting} if setting else {}
    assert interpreter(tmp_path, LOCAL, **environ) == "playbook's"


def test_a_local_connection_by_the_command_line(tmp_path: Path) -> None:
    assert interpreter(tmp_path, {}, "-c", "local") == "playbook's"


def test_whoever_names_an_interpreter_gets_it(tmp_path: Path) -> None:
    named = str(tmp_path / "bin/named")
    assert interpreter(tmp_path, LOCAL | {"ansible_python_interpreter": named}) == "named"
    assert interpreter(tmp_path, LOCAL, "-e", f"ansible_python_interpreter={named}") == "named"
    assert interpreter(tmp_path, LOCAL, ANSIBLE_PYTHON_INTERPRETER=named) == "named"
    templated = {"ansible_python_interpreter": "{{ own }}", "own": named}
    assert interpreter(tmp_path, LOCAL | templated) == "named"


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_play_uses_it(playbook: Path) -> None:
    for play in yaml.safe_load(playbook.read_text()):
        assert play["vars_files"][0] == "vars/interpreter.yml"
