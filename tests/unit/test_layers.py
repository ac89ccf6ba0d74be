# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The packages of module_utils and their order, read from the imports: nothing imports a package above its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_UTILS = ROOT / "plugins/module_utils"
NAME = "ansible_collections.orion.tracing.plugins.module_utils"


def layers() -> list[list[str]]:
    """The layers of docs/architecture.md from the lowest up, each with its packages."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| \d+ \| ([^|]+) \|", text, re.MULTILINE)
    return [re.findall(r"`(\w+)`", row) for row in rows]


def imported(file: Path) -> Iterator[str]:
    """The packages of module_utils that a file imports from, at the top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"a relative import in line {node.lineno}"
        elif isinstance(node, ast.ImportFrom) and node.module == NAME:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{NAME}."):
            yield node.module.removeprefix(f"{NAME}.").split(".")[0]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f"{NAME}."):
                    yield alias.name.removeprefix(f"{NAME}.").split(".")[0]


LEVEL = {package: level for level, packages in enumerate(layers()) for package in packages}


def test_every_package_has_a_layer():
    there = {path.parent.name for path in MODULE_UTILS.glob("*/*.py")}
    assert there == set(LEVEL), "docs/architecture.md lists the packages of plugins/module_utils by layer"
    assert len(LEVEL) == sum(map(len, layers())), "a package is listed twice"


def test_nothing_lies_beside_the_packages():
    assert [path.name for path in MODULE_UTILS.glob("*.py")] == []


@pytest.mark.parametrize("package", LEVEL)
def test_imports_lead_downwards(package):
    for file in (MODULE_UTILS / package).rglob("*.py"):
        for name in imported(file):
            allowed = name == package or LEVEL.get(name, len(LEVEL)) < LEVEL[package]
            assert allowed, (
                f"{file.relative_to(ROOT)} imports {name}, which is not below {package} (docs/architecture.md)"
            )


def test_the_rule_would_be_broken_by_a_climb(tmp_path):
    file = tmp_path / "climbs.py"
    file.write_text(f"def later():\n    from {NAME}.preflight import checks\nimport {NAME}.local.kind\n")
    assert list(imported(file)) == ["local", "preflight"]


PRIVATE = "# Private to this collection: not an interface for users, may change in any release."


def test_modules_say_that_they_are_private():
    files = [*MODULE_UTILS.rglob("*.py"), *(ROOT / "plugins/plugin_utils").rglob("*.py")]
    assert [file for file in files if (text := file.read_text()) and PRIVATE not in text.splitlines()[:3]] == []


def test_class_names_are_unique():
    """A name that two packages used would mean two things."""
    files: dict[str, list[str]] = {}
    for file in MODULE_UTILS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files.setdefault(node.name, []).append(str(file.relative_to(MODULE_UTILS)))
    assert {name: where for name, where in files.items() if len(where) > 1} == {}
