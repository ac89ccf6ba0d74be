# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection awx.awx (ORION_AWX, see tools/peers.py), and awx/ as playbooks/awx.yml evaluates it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
FILES = ("credential_types", "project", "job_templates", "workflow")
GIVEN = {
    "awx_scm_url": "https://git.example.com/tracing.git",
    "awx_execution_environment_image": "registry.example.com/tracing-ee:1",
}


@pytest.fixture(scope="session")
def collections() -> Path:
    """The folder that has ansible_collections/awx/awx."""
    found = sorted(Path(os.environ.get("ORION_AWX", "unset")).glob("lib/python3*/site-packages/ansible_collections/awx/awx"))
    if not found:
        pytest.fail("no collection awx.awx: run `make test GATE=awx`")
    return found[0].parents[2]


@pytest.fixture(scope="session")
def objects() -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """What awx/ has, by variable, for variables of the playbook."""

    def read(**given: Any) -> dict[str, list[dict[str, Any]]]:
        loader, variables = DataLoader(), dict[str, Any]()
        for name in ("names", *FILES):
            variables |= loader.load_from_file(str(ROOT / f"awx/{name}.yml"), trusted_as_template=True)
        wanted = [name for name in variables if name.startswith("controller_")]
        variables |= {"__awx_folder": str(ROOT / "awx"), **GIVEN, **given}
        templar = Templar(loader=loader, variables=variables)
        found: dict[str, list[dict[str, Any]]] = {name: templar.template(variables[name]) for name in wanted}
        return found

    return read
