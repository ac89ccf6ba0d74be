# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""bootstrap.sh with stand-ins for Python, in a checkout of its own whose path has a space."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Answers as a Python that can make virtual environments does, and writes down what it is asked in which environment.
PYTHON = """#!/bin/bash
[ -z "${{PYTHONHOME:-}}" ] || [ "$1" = -E ] || [ "$1" = -V ] || exit 9
case "$*" in
  "-E -c "*) exit {usable} ;;
  -V) echo "Python {version}" ;;
  "-E -m tools.surroundings "*) shift 3; exec {real} -E -m tools.surroundings "$@" ;;
  "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/uv; env > .venv/env ;;
  *) echo "$(basename "$0") $*" >> .venv/asked ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    return folder


def python(path: Path, usable: bool, version: str = "3.12.9") -> Path:
    path.parent.mkdir(exist_ok=True)
    real = ROOT / ".venv/bin/python"
    path.write_text(PYTHON.format(usable=0 if usable else 1, version=version, real=real))
    path.chmod(0o755)
    return path


def run(checkout: Path, path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    path.mkdir(exist_ok=True)
    for name in ("bash", "basename", "cat", "cp", "cut", "dirname", "env", "ln", "mkdir", "rm", "sha256sum"):
        if not (path / name).exists():
            (path / name).symlink_to(str(shutil.which(name)))
    return subprocess.run(
        [path / "bash", "tools/bootstrap.sh"],
        cwd=checkout,
        env={"PATH": str(path), "PYENV_ROOT": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_home_and_with_pythons_variables(checkout: Path, tmp_path: Path) -> None:
    python(tmp_path / "bin/python3.14", usable=True)
    hostile = {"PYTHONHOME": "/nonexistent", "PIP_TARGET": "/nonexistent", "CDPATH": "/", "TMPDIR": "/nonexistent"}
    done = run(checkout, tmp_path / "bin", **hostile)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Python environment: .venv with Python 3.12.9, packages pinned")
    seen = dict(line.split("=", 1) for line in (checkout / ".venv/env").read_text().splitlines() if "=" in line)
    assert not hostile.keys() & seen.keys() and seen["LC_ALL"] == "C.UTF-8" and Path(seen["HOME"]).is_dir()
    assert [line.split()[:4] for line in (checkout / ".venv/asked").read_text().splitlines()] == [
        ["python", "-m", "pip", "install"],
        ["uv", "pip", "sync", "-q"],
    ]
    again = run(checkout, tmp_path / "bin")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_python_that_is_named_is_taken_or_refused(checkout: Path, tmp_path: Path) -> None:
    python(tmp_path / "bin/python3.14", usable=True)
    named = python(tmp_path / "old/my python", usable=False, version="3.11.2")
    done = run(checkout, tmp_path / "bin", ORION_PYTHON=str(named))
    assert done.returncode == 1 and not (checkout / ".venv").exists()
    assert done.stderr == (
        f"ORION_PYTHON is {named}, which is not Python 3.12 or newer with the venv module (Python 3.11.2): "
        "name another one, or unset it.\n"
    )
    python(named, usable=True, version="3.13.1")
    assert ".venv with Python 3.13.1" in run(checkout, tmp_path / "bin", ORION_PYTHON=str(named)).stdout
