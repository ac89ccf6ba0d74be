# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds the page of the reports: `python -m tools.report`, from report/ into roles/verify/files/report.html.

airgap fetches the pinned packages, TypeScript checks types, esbuild makes one script and one style sheet of the
sources, and both go into one HTML file with the licences of what they contain. `--check` compares instead of writing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from airgap import cache, spec
from tools.steps import ROOT, run

SOURCES = ROOT / "report"
PAGE = ROOT / "roles/verify/files/report.html"
ENTRY = "report-packages"
MODULES = SOURCES / "node_modules"
LIMIT = 1_000_000
PLATFORM = "linux-x64"


def packages() -> Path:
    """The folder of the pinned packages, fetched where it is missing, with a link to it beside the sources."""
    artifacts = spec.load()
    run(sys.executable, "-m", "airgap", "build", ENTRY)
    folder = cache.Store(cache.default_root(), cache.digests(artifacts)).folder(ENTRY) / "node_modules"
    if MODULES.is_symlink() or not MODULES.exists():
        MODULES.unlink(missing_ok=True)
        MODULES.symlink_to(folder, target_is_directory=True)
    return folder


def build(folder: Path) -> str:
    """The page, the same for the same sources and packages."""
    _run([folder / f"@typescript/typescript-{PLATFORM}/lib/tsc", "--project", SOURCES])
    with tempfile.TemporaryDirectory() as work:
        meta = Path(work) / "meta.json"
        _run(
            [
                folder / f"@esbuild/{PLATFORM}/bin/esbuild",
                SOURCES / "src/main.tsx",
                SOURCES / "src/style.css",
                f"--outdir={work}",
                f"--metafile={meta}",
                "--bundle",
                "--minify",
                "--format=iife",
                "--target=es2022",
                "--charset=utf8",
                "--legal-comments=none",
                "--jsx=automatic",
                "--jsx-import-source=preact",
                "--preserve-symlinks",
                "--log-level=warning",
            ]
        )
        script, style = ((Path(work) / name).read_text(encoding="utf-8").strip() for name in ("main.js", "style.css"))
        inputs = json.loads(meta.read_text())["inputs"]
    # Nothing in them may end the element that they stand in.
    if "</script" in script or "</style" in style:
        raise SystemExit("report: the built script or style contains its own end tag; write it with an escape")
    parts = {
        "style_hash": digest(style),
        "script_hash": digest(script),
        "licences": licences(folder, inputs),
        "style": style,
        "script": script,
    }
    page = (SOURCES / "src/index.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        before, place, after = page.partition("{{" + name + "}}")
        if not place:
            raise SystemExit(f"report: src/index.html has no place for {name}")
        page = before + content + after
    if len(page.encode()) > LIMIT:
        raise SystemExit(f"report: the page has {len(page.encode()):,} bytes, more than {LIMIT:,}")
    return page


def digest(text: str) -> str:
    """What a Content-Security-Policy calls an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def licences(folder: Path, inputs: dict[str, Any]) -> str:
    """Names, versions, licences and their texts, of the packages that the page is built from."""
    names = sorted(
        {
            "/".join(parts[: 2 if parts[0].startswith("@") else 1])
            for path in inputs
            if "node_modules/" in path
            for parts in [path.rpartition("node_modules/")[2].split("/")]
        }
    )
    texts = ["This page is part of orion.tracing, GPL-3.0-or-later, and contains:"]
    for name in names:
        about = json.loads((folder / name / "package.json").read_text(encoding="utf-8"))
        text = next((folder / name).glob("LICENSE*")).read_text(encoding="utf-8").strip()
        texts.append(f"{name} {about['version']} ({about['license']})\n\n{text}")
    joined = "\n\n\n".join(texts)
    return joined.replace("&", "&amp;").replace("<", "&lt;")


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    if done.returncode or done.stderr.strip():
        raise SystemExit(f"report: {Path(command[0]).name} failed\n{done.stdout}{done.stderr}")


def main() -> None:
    page = build(packages())
    size = f"{len(page.encode()):,} bytes"
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)}: {size}")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        raise SystemExit(
            f"report: {PAGE.relative_to(ROOT)} is not what report/ builds; run `python -m tools.report` and commit it"
        )
    else:
        print(f"{PAGE.relative_to(ROOT)} is what report/ builds, {size}")


if __name__ == "__main__":
    main()
