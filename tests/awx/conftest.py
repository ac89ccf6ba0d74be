# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection awx.awx (ORION_AWX, see tools/peers.py), and awx/ as playbooks/awx.yml evaluates it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("credential_types", "project", "job_templates", "workflow")
GIVEN = {
    "awx_scm_url": "https://git.example.com/tracing.git",
    "awx_execution_environment_image": "registry.example.com/tracing-ee:1",
}
# A process of its own, since Ansible's loader of plugins replaces Python's.
PROCESS = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
init_plugin_loader()
files, given = json.loads(sys.argv[1])
loader, variables = DataLoader(), {}
for file in files:
    variables |= loader.load_from_file(file, trusted_as_template=True)
wanted = [name for name in variables if name.startswith("controller_")]
templar = Templar(loader=loader, variables=variables | given)
print(json.dumps({name: templar.template(variables[name]) for name in wanted}))
"""


@pytest.fixture(scope="session")
def collections() -> Path:
    """The folder that has ansible_collections/awx/awx."""
    found = sorted(
        Path(os.environ.get("ORION_AWX", "unset")).glob("lib/python3*/site-packages/ansible_collections/awx/awx")
    )
    if not found:
        pytest.fail("no collection awx.awx: run `make test GATE=awx`")
    return found[0].parents[2]


@pytest.fixture(scope="session")
def objects() -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """What awx/ has, by variable, for variables of the playbook."""

    @cache
    def evaluated(given: str) -> str:
        variables = {"__awx_folder": str(ROOT / "awx"), **GIVEN, **json.loads(given)}
        files = [str(ROOT / f"awx/{name}.yml") for name in ("names", *FILES)]
        argv = [sys.executable, "-c", PROCESS, json.dumps([files, variables])]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    return lambda **given: json.loads(evaluated(json.dumps(given)))
