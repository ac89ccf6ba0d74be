# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""version_added in the documentation of plugins and roles, against the collection's version and its releases.

The next release is galaxy.yml's version: what is new in it has that version, and nothing has a later one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.steps import ROOT

VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
RELEASES = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text())["releases"]
MODULES = sorted([*ROOT.glob("plugins/modules/*.py"), *ROOT.glob("plugins/lookup/*.py")])
SIDECARS = sorted(path for path in ROOT.glob("plugins/*/*.yml"))
FRAGMENTS = sorted(ROOT.glob("plugins/doc_fragments/*.py"))
SPECS = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))


def number(version: object) -> tuple[int, ...]:
    return tuple(map(int, str(version).split(".")))


def blocks(path: Path) -> list[Any]:
    """The YAML documents of a plugin, role or documentation fragment: a file, or the texts assigned in Python."""
    if path.suffix == ".yml":
        return [yaml.safe_load(path.read_text())]
    assigned = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assign))
    names = ("DOCUMENTATION", "RETURN")
    return [
        yaml.safe_load(node.value.value)
        for node in assigned
        if isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and any(isinstance(name, ast.Name) and name.id in names for name in node.targets)
    ]


def added(document: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Each version_added of a document with the path to it."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        if key == "version_added":
            yield where, value
        elif isinstance(value, dict | list):
            yield from added(value, f"{where}.{key}".lstrip("."))


def test_there_is_documentation_to_look_at() -> None:
    assert len(MODULES) >= 10 and len(SIDECARS) >= 13 and len(SPECS) >= 8


@pytest.mark.parametrize("path", MODULES + SIDECARS, ids=lambda path: path.stem)
def test_every_plugin_says_since_when(path: Path) -> None:
    [document] = [block.get("DOCUMENTATION", block) for block in blocks(path)][:1]
    assert "version_added" in document


@pytest.mark.parametrize("path", MODULES + SIDECARS + FRAGMENTS + SPECS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_version_is_later_than_the_next_release(path: Path) -> None:
    found = [(where, version) for block in blocks(path) for where, version in added(block)]
    assert [entry for entry in found if number(entry[1]) > number(VERSION)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_an_option_says_since_when_only_if_its_module_is_older(path: Path) -> None:
    own, *rest = [(where, version) for block in blocks(path) for where, version in added(block)]
    assert own[0] == ""
    assert [entry for entry in rest if number(entry[1]) <= number(own[1])] == []


def test_the_next_release_is_later_than_the_last() -> None:
    assert all(number(VERSION) > number(version) for version in RELEASES)


def test_documentation_with_a_later_version_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text('DOCUMENTATION = r"""\nmodule: x\noptions:\n  o:\n    version_added: 9.0.0\n"""\n')
    assert [entry for block in blocks(path) for entry in added(block)] == [("options.o", "9.0.0")]
