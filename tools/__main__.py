# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python -m tools up | down | test | lint | bench"""

from __future__ import annotations

import sys

from tools import gates, local
from tools.steps import ROOT, STATE, Failed, fail, run


def bench() -> None:
    """The modules that ours are compared with come with the PyPI package ansible, in an environment of their own."""
    uv, venv, requirements = ROOT / ".venv/bin/uv", STATE / "bench/venv", ROOT / "requirements/bench.txt"
    done, pins = venv / ".complete", requirements.read_text()
    if not done.exists() or done.read_text() != pins:
        print(
            "Environment of the comparison: .state/bench/venv, packages pinned in requirements/bench.txt …", flush=True
        )
        run(uv, "venv", "-q", "--clear", "-p", ROOT / ".venv/bin/python", venv)
        run(uv, "pip", "sync", "-q", "--python", venv / "bin/python", "--require-hashes", requirements)
        done.write_text(pins)
    run("python", "tests/bench/bench.py")


COMMANDS = {"up": local.up, "down": local.down, "test": gates.test, "lint": gates.lint, "bench": bench}

if __name__ == "__main__":
    try:
        COMMANDS[sys.argv[1]]()
    except Failed as error:
        fail(error)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on where it stopped.", file=sys.stderr)
        sys.exit(130)
