# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs of Ansible as a user runs them, with this collection and no configuration of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ansible_collections


def run_ansible(folder: Path, program: str, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder, which gets an empty ansible.cfg and a home for Ansible. environ: more of the environment."""
    config = folder / "ansible.cfg"
    config.write_text("")
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *argv],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_COLLECTIONS_PATH": str(Path(next(iter(ansible_collections.__path__))).parent),
            "ANSIBLE_HOME": str(folder / "home"),
            "COLUMNS": "1000",
            **environ,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def in_one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What it printed, since callbacks fold lines."""
    return " ".join((done.stdout + done.stderr).split())
