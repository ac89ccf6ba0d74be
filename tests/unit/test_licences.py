# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What users load into their services, and what they copy, is under Apache-2.0; the rest of the collection is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PERMISSIVE = ("airgap/agents", "examples")
# The folder's README names the licence of files that have no place for it: pins, the project file of Maven, prose.
WITHOUT_HEADER = {"jars.lock", "pom.xml", "requirements.txt", "README.md"}
IDENTIFIER = "SPDX-License-Identifier: Apache-2.0"
FILES = [
    path
    for folder in PERMISSIVE
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and path.suffix != ".pyc" and not {"node_modules", ".venv"} & set(path.parts)
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_users_run_or_copy_names_its_licence(path):
    if path.name in WITHOUT_HEADER:
        return
    if path.suffix == ".json":
        package = json.loads(path.read_text())
        assert package.get("packages", {}).get("", package)["license"] == "Apache-2.0"
    else:
        head = path.read_text().splitlines()[:4]
        assert any(line.endswith(IDENTIFIER) for line in head), head


def test_no_other_file_of_the_collection_names_apache():
    """The licence of a folder is that of all its files, so a file that moves keeps no wrong header."""
    others = [ROOT / folder for folder in ("plugins", "roles", "playbooks", "tools", "inventories")]
    files = [path for folder in others for path in folder.rglob("*") if path.suffix in (".py", ".yml", ".tpl")]
    assert files
    assert [path for path in files if IDENTIFIER in path.read_text()] == []


def test_the_licences_of_the_collection_have_their_texts():
    names = yaml.safe_load((ROOT / "galaxy.yml").read_text())["license"]
    assert names == ["GPL-3.0-or-later", "Apache-2.0"]
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text()
    assert "Apache License" in (ROOT / "LICENSES/Apache-2.0.txt").read_text()
