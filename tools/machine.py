# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can stop `make up` and `make test`, asked before anything is built: engine, disk space, proxies."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tools.steps import CACHE, ROOT, STATE, Failed, environment
from tools.surroundings import PROXIES

GIB = 1024**3
# The images in the cache, in the engine and in the node, and the volumes of a cluster
CLUSTER_GIB = 5
# Go's caches and the builds, where every image is built from packages
BUILD_GIB = 20
PROXY_SECONDS = 5.0
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def check() -> None:
    """Failed with everything that would stop a run. What need not stop it is printed."""
    built = is_built(STATE / "local.json")
    problems = [*engine(), *space(built), *proxies(os.environ, built)]
    if problems:
        raise Failed("\n".join(["This machine is not ready, and nothing was changed:", *(f"- {p}" for p in problems)]))


def is_built(found: Path) -> bool:
    """Whether all that an earlier run has found or built is still there."""
    try:
        known = json.loads(found.read_text())
    except (OSError, ValueError):
        return False
    paths = [known.get("kind"), known.get("helm"), known.get("node_archive"), *known.get("archives", [])]
    return all(Path(path).exists() for path in paths if path)


def engine() -> Iterator[str]:
    script = ROOT / "roles/local_cluster/files/engine.sh"
    argv: list[str | Path] = ["bash", script, "check", CACHE / "engine"]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        yield done.stderr.strip().removeprefix("engine: ")


def space(built: bool) -> Iterator[str]:
    """For the cache, where images, builds and the own engine lie."""
    folder = next((parent for parent in (CACHE, *CACHE.parents) if parent.exists()), CACHE)
    free = shutil.disk_usage(folder).free / GIB
    remedy = "make room, or name another folder in ORION_CACHE"
    if free < CLUSTER_GIB:
        yield f"{folder} has {free:.1f} GiB free, and a cluster with its images takes {CLUSTER_GIB}: {remedy}"
    elif free < BUILD_GIB and not built:
        print(
            f"{folder} has {free:.1f} GiB free. Where images have to be built, {BUILD_GIB} are needed: {remedy}.",
            flush=True,
        )


def proxies(environ: Mapping[str, str], built: bool) -> Iterator[str]:
    """Proxies that do not answer: nothing can be fetched through them. built: whether nothing has to be."""
    asked = set[str]()
    for name in (name for one in PROXIES for name in (one, one.upper())):
        value = environ.get(name, "")
        parts = urlsplit(value if "://" in value else f"http://{value}")
        if not value or parts.netloc in asked:
            continue
        asked.add(parts.netloc)
        try:
            if not parts.hostname:
                raise ValueError("it is not a URL")
            socket.create_connection((parts.hostname, parts.port or PORTS[parts.scheme]), PROXY_SECONDS).close()
        except (OSError, ValueError, KeyError) as error:
            problem = f"{name} names a proxy that does not answer ({parts.hostname or 'no host'}: {error})"
            if built:
                print(f"{problem}. All that it could be needed for is in the cache.", flush=True)
            else:
                yield f"{problem}, and packages and images have to be fetched: correct it, or unset it"
