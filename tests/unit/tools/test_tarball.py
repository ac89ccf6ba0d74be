# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the published tarball holds: every file has a pattern in HELD, and every pattern has a file."""

from __future__ import annotations

import re
import subprocess
import tarfile

import pytest

from tools.steps import ROOT, environment

HELD = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "LICENSES/*.txt",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "awx/*.yml",
    "awx/surveys/*.json",
    "changelogs/*.yaml",
    "changelogs/fragments/*.yml",
    "docs/**/*.md",
    "examples/**/*.yml",
    "execution-environment.yml",
    "inventories/*/group_vars/*.yml",
    "inventories/*/hosts.yml",
    "meta/execution-environment.yml",
    "meta/runtime.yml",
    "playbooks/*.yml",
    "playbooks/vars/*.yml",
    "plugins/**/*.py",
    "plugins/**/*.yml",
    "requirements.txt",
    "roles/*/README.md",
    "roles/*/defaults/main.yml",
    "roles/*/files/*.html",
    "roles/*/files/*.json",
    "roles/grafana/files/alerts/*.yml",
    "roles/grafana/files/dashboards/*.json",
    "roles/*/files/*.sh",
    "roles/*/files/*.yml",
    "roles/*/files/chart/.helmignore",
    "roles/*/files/chart/*.json",
    "roles/*/files/chart/*.yaml",
    "roles/*/files/chart/templates/*",
    "roles/*/meta/*.yml",
    "roles/*/tasks/*.yml",
    "roles/*/vars/main.yml",
)
# Folders of the repository that users do not need: how the programs are built, how all of it is tested.
LEFT_OUT = (
    "airgap",
    "docs/site",
    "examples/shop",
    "extensions",
    "report",
    "requirements",
    "tests",
    "tools",
    ".github",
    ".ci",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of the tarball as ansible-galaxy builds it."""
    folder = tmp_path_factory.mktemp("build")
    argv = ["ansible-galaxy", "collection", "build", "--output-path", folder, ROOT]
    subprocess.run(argv, env=environment(), check=True, capture_output=True)
    [tarball] = folder.glob("*.tar.gz")
    with tarfile.open(tarball) as archive:
        return {member.name for member in archive if member.isfile()}


def expression(pattern: str) -> re.Pattern[str]:
    """** for any folders, * for a part of one name."""
    words = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", pattern)))


def test_every_file_is_expected(files: set[str]) -> None:
    expected = [expression(pattern) for pattern in HELD]
    assert {name for name in files if not any(one.fullmatch(name) for one in expected)} == set(), (
        "Add what users need to HELD, and what they do not need to build_ignore in galaxy.yml."
    )


@pytest.mark.parametrize("pattern", HELD)
def test_every_pattern_has_a_file(files: set[str], pattern: str) -> None:
    assert any(expression(pattern).fullmatch(name) for name in files)


def test_folders_of_the_repository_alone_are_left_out(files: set[str]) -> None:
    for folder in LEFT_OUT:
        assert (ROOT / folder).is_dir()
        assert not any(name.startswith(f"{folder}/") for name in files), folder


def test_no_file_that_users_need_is_left_out(files: set[str]) -> None:
    """build_ignore has patterns for whole paths, of which one could match more than it is meant to."""
    names = ("awx", "plugins", "roles", "playbooks", "meta", "inventories", "examples/sampling")
    needed = [ROOT / name for name in names]
    there = {path for folder in needed for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {path.relative_to(ROOT).as_posix() for path in there} - files == set()
