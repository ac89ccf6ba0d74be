"""Where built artefacts live: <cache>/<name>/<digest of everything that decides the content>/."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .spec import Artifact

META = "artifact.json"
# Seconds for which an artefact of other inputs is kept after its last use: longer than a `make test` on a new machine
KEPT = 3 * 3600
# Raise a kind's number when its recipe changes what comes out of the same inputs, or which of them it refuses.
RECIPES = {
    "wheel": 1, "pypi": 1, "npm": 1, "bytecode": 1, "go": 1, "link": 1, "debian": 1, "maven": 1, "java": 1,
    "image": 2, "bundle": 2,
}  # fmt: skip


def default_root() -> Path:
    """The cache folder, as the environment asks for it."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("ORION_CACHE") or os.path.join(base, "orion-tracing")) / "airgap"


def digests(artifacts: dict[str, Artifact]) -> dict[str, str]:
    """The digest of every artefact's inputs: its entry, its files, its recipe, and the same of what it is made from."""
    known: dict[str, str] = {}
    for name in artifacts:
        _digest(artifacts, name, known)
    return known


def _digest(artifacts: dict[str, Artifact], name: str, known: dict[str, str]) -> str:
    if name not in known:
        artifact = artifacts[name]
        # these say how an artefact is handed out and under what terms, not what is in it
        about = ("tool", "default", "license")
        fields = {key: value for key, value in artifact.fields.items() if key not in about}
        inputs = {
            "kind": artifact.kind,
            "recipe": RECIPES[artifact.kind],
            "fields": fields,
            "files": [_file_inputs(path, artifact.folder) for path in artifact.local_files],
            "needs": {needed: _digest(artifacts, needed, known) for needed in artifact.needs},
        }
        known[name] = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    return known[name]


def _file_inputs(path: Path, folder: Path) -> tuple[str, bool, str]:
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.relative_to(folder).as_posix(), os.access(path, os.X_OK), content


class Store:
    """The cache folder. Only whole artefacts ever appear under their digest: they are renamed into place."""

    def __init__(self, root: Path, digests: dict[str, str]) -> None:
        self.root = root
        self.digests = digests

    def folder(self, name: str) -> Path:
        return self.root / name / self.digests[name]

    def cached(self, name: str) -> bool:
        """Whether it is there. It then counts as used now."""
        with contextlib.suppress(OSError):
            os.utime(self.folder(name) / META)
        return (self.folder(name) / META).is_file()

    def meta(self, name: str) -> dict[str, Any]:
        meta: dict[str, Any] = json.loads((self.folder(name) / META).read_text())
        return meta

    def source(self, source: str) -> Path:
        """'kube:kube' → where that file lies."""
        owner, path = source.split(":", 1)
        return self.folder(owner) / path

    @contextlib.contextmanager
    def locked(self, name: str, waiting: Callable[[], None]) -> Iterator[None]:
        """One builder per name, in this process and between processes; the kernel drops a dead builder's lock."""
        locks = self.root / "_locks"
        locks.mkdir(parents=True, exist_ok=True)
        with open(locks / name, "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """A folder to build in, which becomes the artefact when the block ends well. Call it with the name locked."""
        space = self.root / "_tmp" / name
        remove(space)  # left by a builder that was killed: the lock says that nobody works there
        space.mkdir(parents=True)
        # a new name each time: a killed builder's child may still be writing to the old one
        work = Path(tempfile.mkdtemp(dir=space))
        work.chmod(0o755)
        try:
            yield work
            self.folder(name).parent.mkdir(parents=True, exist_ok=True)
            remove(self.folder(name))
            work.rename(self.folder(name))
            self.prune(name)
        finally:
            remove(space)

    def prune(self, name: str) -> None:
        """Removes what other inputs produced, unless it was used lately: another checkout may be about to load it."""
        for old in (self.root / name).iterdir():
            if old != self.folder(name) and not _used_since(old / META, time.time() - KEPT):
                remove(old)


def _used_since(meta: Path, oldest: float) -> bool:
    try:
        return meta.stat().st_mtime >= oldest
    except OSError:
        return False


def remove(path: Path) -> None:
    """rm -rf, also where folders are read-only."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _folders, _files in os.walk(path):
        os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(path)
