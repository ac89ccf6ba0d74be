# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An environment with the PyPI package ansible, which carries kubernetes.core, amazon.aws and community.aws: for what
works with these collections, and for what is compared with them."""

from __future__ import annotations

from pathlib import Path

from tools.steps import ROOT, STATE, run

VENV = STATE / "bench/venv"


def prepare() -> Path:
    """The environment, made or brought up to date where its pins have changed."""
    uv, requirements = ROOT / ".venv/bin/uv", ROOT / "requirements/bench.txt"
    done, pins = VENV / ".complete", requirements.read_text()
    if not done.exists() or done.read_text() != pins:
        print(
            "Environment of the comparison: .state/bench/venv, packages pinned in requirements/bench.txt …", flush=True
        )
        run(uv, "venv", "-q", "--clear", "-p", ROOT / ".venv/bin/python", VENV)
        run(uv, "pip", "sync", "-q", "--python", VENV / "bin/python", "--require-hashes", requirements)
        done.write_text(pins)
    return VENV
