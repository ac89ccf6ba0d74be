# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CHANGELOG.md from changelogs/: python -m tools.changelog [--check]

antsibull-changelog writes the released versions, and what the fragments say of the next one under galaxy.yml's version
with the word "unreleased". With --check the file is compared and not written.
"""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tools.steps import ROOT, Failed, environment, fail

NAME = "CHANGELOG.md"
# What antsibull-changelog reads: the version, fragments and releases, and the plugins, of which it lists the new ones.
SOURCES = ("galaxy.yml", "changelogs", "plugins")


def generate(root: Path) -> str:
    """The text of CHANGELOG.md for the checkout in root, which is not changed."""
    version = yaml.safe_load((root / "galaxy.yml").read_text())["version"]
    released = version in yaml.safe_load((root / "changelogs/changelog.yaml").read_text())["releases"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ansible_collections/orion/tracing"
        copy.mkdir(parents=True)
        for name in SOURCES:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        _antsibull(copy, "lint")
        _check_markup(copy / "changelogs/fragments")
        if released:
            _antsibull(copy, "generate")
        else:  # the date goes into changelog.yaml alone, of which this is a copy
            _antsibull(copy, "release", "--version", version, "--date", "1970-01-01")
        text = (copy / NAME).read_text().rstrip() + "\n"
    if not released:
        heading = f"## v{version}".replace(".", r"\.") + "\n"
        if heading not in text:
            raise Failed(
                f"{NAME} has no heading {heading.strip()!r}: antsibull-changelog writes it in another way now."
            )
        text = text.replace(heading, heading.rstrip() + " (unreleased)\n")
    return text


def _check_markup(fragments: Path) -> None:
    """Fragments are reStructuredText, not Ansible's markup, which would be shown as it is."""
    found = [path.name for path in sorted(fragments.glob("*.yml")) if re.search(r"\b[CVO]\([^)]", path.read_text())]
    if found:
        raise Failed(f"{', '.join(found)}: C(name) is not markup in a changelog fragment. Write ``name``.")


def _antsibull(collection: Path, *argv: str) -> None:
    done = subprocess.run(
        ["antsibull-changelog", *argv],
        cwd=collection,
        env=environment(ANSIBLE_COLLECTIONS_PATH=str(collection.parents[2])),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"antsibull-changelog {argv[0]} failed:\n{done.stdout}{done.stderr}".strip())


def main(argv: list[str]) -> None:
    path, text = ROOT / NAME, generate(ROOT)
    if argv != ["--check"]:
        path.write_text(text)
        return
    present = path.read_text() if path.exists() else ""
    if present != text:
        print("\n".join(difflib.unified_diff(present.splitlines(), text.splitlines(), NAME, "generated", lineterm="")))
        raise Failed(f"{NAME} is not what changelogs/ says: run 'python -m tools.changelog' and commit it.")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as error:
        fail(error)
