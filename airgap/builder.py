"""Builds artefacts side by side, each one after what it is made from, and says what happens."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from .cache import META, Store
from .errors import AirgapError
from .process import stop_all
from .recipes import build as make
from .spec import Artifact

HEARTBEAT = 30.0
Running = dict[Future[None], str]


def default_jobs() -> int:
    """As many as there are cores, and memory: linking Kubernetes or the collector takes up to 4 GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return max(1, min(len(os.sched_getaffinity(0)), memory // 4))


def plan(artifacts: dict[str, Artifact], wanted: Iterable[str], cached: Callable[[str], bool]) -> list[str]:
    """Names to build or to report as cached, each after what it needs. What a cached artefact was made from is not
    looked at, so it may be gone from the cache."""
    order: list[str] = []

    def visit(name: str, asked: bool) -> None:
        if name in order or (cached(name) and not asked):
            return
        if not cached(name):
            for needed in artifacts[name].needs:
                visit(needed, asked=False)
        order.append(name)

    for name in wanted:
        visit(name, asked=True)
    return order


class Progress:
    """Lines on stdout: one when an artefact starts, one when it ends, and a sign of life in between."""

    def __init__(self, order: list[str], artifacts: dict[str, Artifact]) -> None:
        width = len(str(len(order)))
        self.labels = {
            name: f"airgap  [{number:>{width}}/{len(order)}] {artifacts[name].title}"
            for number, name in enumerate(order, 1)
        }
        self.started: dict[str, float] = {}
        self.lock = threading.Lock()

    def say(self, name: str, text: str) -> None:
        self.line(f"{self.labels[name]}: {text}")

    def line(self, text: str) -> None:
        with self.lock:
            print(text, flush=True)

    def heartbeat(self) -> None:
        now = time.monotonic()
        running = ", ".join(f"{name} ({now - since:.0f} s)" for name, since in list(self.started.items()))
        if running:
            self.line(f"airgap  still building {running}")


class Build:
    """One run of the builder."""

    def __init__(self, artifacts: dict[str, Artifact], store: Store, jobs: int) -> None:
        self.artifacts = artifacts
        self.store = store
        self.jobs = jobs

    def run(self, wanted: Iterable[str]) -> list[str]:
        """Builds; returns what failed. One failure stops only what needs the failed artefact: a build of minutes
        should not be lost to a mirror that was away for a second."""
        order = plan(self.artifacts, wanted, self.store.cached)
        self.progress = Progress(order, self.artifacts)
        waiting, failed = list(order), list[str]()
        running: Running = {}
        done = {name for name in self.artifacts if self.store.cached(name)}
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                while waiting or running:
                    self._skip(waiting, failed)
                    self._start(waiting, done, running, pool)
                    if running:
                        self._collect(running, done, failed)
            except BaseException:
                waiting.clear()
                stop_all()
                raise
        return failed

    def _skip(self, waiting: list[str], failed: list[str]) -> None:
        for name in list(waiting):
            lost = [needed for needed in self.artifacts[name].needs if needed in failed]
            if lost and not self.store.cached(name):
                waiting.remove(name)
                failed.append(name)
                self.progress.say(name, f"not built, since it needs {', '.join(lost)}")

    def _start(self, waiting: list[str], done: set[str], running: Running, pool: ThreadPoolExecutor) -> None:
        for name in list(waiting):
            ready = name in done or all(needed in done for needed in self.artifacts[name].needs)
            if ready and len(running) < self.jobs:
                waiting.remove(name)
                running[pool.submit(self._one, name)] = name

    def _collect(self, running: Running, done: set[str], failed: list[str]) -> None:
        ended, _still = wait(running, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
        if not ended:
            self.progress.heartbeat()
        for future in ended:
            name = running.pop(future)
            try:
                future.result()
                done.add(name)
            except (AirgapError, OSError) as error:
                failed.append(name)
                self.progress.say(name, "failed")
                print(f"airgap: {name}: {error}", file=sys.stderr, flush=True)

    def _one(self, name: str) -> None:
        if self.store.cached(name):
            self.progress.say(name, f"cached ({megabytes(self.store.meta(name)['size'])})")
            return
        with self.store.locked(name, lambda: self.progress.say(name, "waiting for another build of it")):
            if self.store.cached(name):
                self.progress.say(name, "built meanwhile")
                return
            self.progress.say(name, "building")
            self.progress.started[name] = begun = time.monotonic()
            try:
                with self.store.building(name) as work:
                    sources = make(self.artifacts[name], self.store, work)
                    meta = self._describe(name, work, sources, time.monotonic() - begun)
            finally:
                del self.progress.started[name]
            self.progress.say(name, f"done in {meta['seconds']:.0f} s ({megabytes(meta['size'])})")

    def _describe(self, name: str, work: Path, sources: list[str], seconds: float) -> dict[str, Any]:
        """Writes what the artefact is. Its presence is what makes an artefact complete."""
        artifact = self.artifacts[name]
        output = work / artifact.output
        for needed in artifact.needs:
            sources = sources + self.store.meta(needed)["sources"]
        meta = {
            "name": name,
            "version": artifact.version,
            "ref": artifact.ref,
            "sources": sorted(set(sources)),
            "seconds": round(seconds, 1),
            "size": size_of(output),
        }
        if output.is_file():
            meta["sha256"] = file_digest(output)
            # an exported folder may share this file with the cache, and must not be able to change it by accident
            output.chmod(output.stat().st_mode & 0o555)
        (work / META).write_text(json.dumps(meta, indent=2) + "\n")
        return meta


def size_of(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())


def file_digest(path: Path) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
