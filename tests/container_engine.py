# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The container engine that holds the test cluster, and the container that is its node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def engine_environment() -> dict[str, str]:
    """PATH with the engine's client, and DOCKER_HOST where the engine is the collection's own."""
    cache = Path(os.environ.get("ORION_CACHE") or "~/.cache/orion-tracing").expanduser()
    engine = ["bash", str(ROOT / "roles/local_cluster/files/engine.sh"), "start", str(cache / "engine")]
    found = subprocess.run(engine, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    path = os.pathsep.join([os.environ["PATH"], str(cache / "engine/deb/usr/bin")])
    return {"PATH": path, **({"DOCKER_HOST": found[1]} if found[1:] and found[1] else {})}


def node_container(state: Path) -> str:
    """Name of the node's container. state: folder with the cluster's kubeconfig."""
    cluster = yaml.safe_load((state / "kubeconfig").read_text())["current-context"].removeprefix("kind-")
    return f"{cluster}-control-plane"
