# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named steps with their time, and the environment that every step runs in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airgap.cache import default_root
from tools import surroundings

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".state"
CACHE = default_root().parent
INVENTORY = ROOT / "inventories" / "local"


class Failed(Exception):
    """A step that cannot go on; its text is one line: what, why, what to do."""


class Steps:
    """Prints "[2/5] Cluster" before a step and its seconds after it, and keeps the seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.seconds = total, dict[str, float]()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        print(f"\n[{len(self.seconds) + 1}/{self.total}] {name}", flush=True)
        yield
        self.seconds[name] = time.monotonic() - start
        print(f"      {name}: {self.seconds[name]:.1f} s", flush=True)


def environment(**extra: str) -> dict[str, str]:
    """The environment of programs started here: the user's without what disturbs, our virtual environment first, our
    collection path and settings."""
    kept = surroundings.clean(os.environ)
    return {
        **kept,
        "PATH": os.pathsep.join([str(ROOT / ".venv/bin"), kept["PATH"]]),
        "ORION_CACHE": str(CACHE),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(STATE / "collections"),
        "PYTHONPATH": str(STATE / "collections"),
        "ANSIBLE_HOME": str(STATE / "ansible"),
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def run(*argv: str | Path, **extra: str) -> None:
    """Run a program with its output on ours; a failure ends the step."""
    code = subprocess.run([str(a) for a in argv], cwd=ROOT, env=environment(**extra), check=False).returncode
    if code:
        raise Failed(f"'{' '.join(map(str, argv[:4]))}' failed with exit code {code}; its last lines above say why.")


def playbook(name: str, *argv: str) -> None:
    run("ansible-playbook", f"playbooks/{name}.yml", "-i", INVENTORY, *argv)


def fail(error: Exception) -> None:
    print(f"\n{error}", file=sys.stderr)
    sys.exit(1)
