# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds the documentation site into .state/docs/html: python -m tools.docs_site

The pages are the repository's Markdown files, at their own paths so that their links hold, and a page for each plugin,
role and playbook by antsibull-docs. Every warning of Sphinx is an error, so a link to a page or a heading that does not
exist fails the build. Links to files that are not pages are checked here, and lead to the repository in the site.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from tools import peers
from tools.steps import ROOT, STATE, Failed, environment, fail, run

WORK = STATE / "docs"
SETTINGS = ROOT / "docs/site"
PAGES = ("*.md", "docs/*.md", "docs/instrument-your-service/*.md", "docs/runbooks/*.md", "roles/*/README.md")
# The target of an inline link, ](target), or of a definition, [name]: target
LINK = re.compile(r"(?P<before>\]\(|^\[[^\]]+\]:\s+)(?P<target>[^)\s]+)", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """The Markdown files that become pages, relative to root."""
    return sorted({path.relative_to(root) for pattern in PAGES for path in root.glob(pattern)})


def published(text: str, page: Path, root: Path, known: Iterable[Path], repository: str) -> str:
    """The text of a page, with links to files that are not pages leading to the repository.

    page, known: paths relative to root, of this page and of all pages. repository: its address in the web.
    Raises Failed for a link to a file that does not exist.
    """
    code = [match.span() for match in CODE.finditer(text)]
    names = set(known)

    def replaced(match: re.Match[str]) -> str:
        link = match["target"]
        if any(start <= match.start() < end for start, end in code) or re.match(r"[a-z]+:|#", link):
            return match.group()
        path = Path(posixpath.normpath(posixpath.join(page.parent.as_posix(), link.partition("#")[0])))
        if path in names:
            return match.group()
        if not (root / path).exists():
            raise Failed(f"{page}: there is no {path}, to which '{link}' leads. Correct the link, or remove it.")
        return f"{match['before']}{repository}/{'tree' if (root / path).is_dir() else 'blob'}/main/{path}"

    return LINK.sub(replaced, text)


def stage(root: Path, source: Path) -> None:
    """Copies the pages and the site's index into an empty folder."""
    repository = yaml.safe_load((root / "galaxy.yml").read_text())["repository"]
    known = pages(root)
    for page in known:
        text = published((root / page).read_text(), page, root, known, repository)
        (source / page).parent.mkdir(parents=True, exist_ok=True)
        (source / page).write_text(text)
    shutil.copy(root / "docs/site/index.md", source / "index.md")


def build() -> Path:
    """Builds the site; returns its folder. Raises Failed with what Sphinx or antsibull-docs reported."""
    venv = peers.prepare_docs()
    source, html = WORK / "source", WORK / "html"
    for folder in (source, html):
        shutil.rmtree(folder, ignore_errors=True)
    # antsibull-docs refuses a folder that others may write to.
    (source / "reference").mkdir(parents=True, mode=0o755)
    stage(ROOT, source)
    run(
        venv / "bin/antsibull-docs",
        f"--config-file={SETTINGS / 'antsibull-docs.cfg'}",
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--fail-on-error",
        f"--dest-dir={source / 'reference'}",
        "orion.tracing",
        PATH=f"{venv / 'bin'}:{environment()['PATH']}",
    )
    options: list[str | Path] = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs=auto", "-c", SETTINGS]
    run(venv / "bin/sphinx-build", *options, "-d", WORK / "doctrees", source, html)
    return html


if __name__ == "__main__":
    try:
        print(build() / "index.html")
    except (Failed, subprocess.CalledProcessError) as error:
        fail(error)
    sys.exit(0)
