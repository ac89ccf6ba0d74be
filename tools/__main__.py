# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python -m tools up | down | test | lint | bench"""

from __future__ import annotations

import sys

from airgap.errors import AirgapError
from tools import gates, local, peers
from tools.steps import Failed, fail, run


def bench() -> None:
    peers.prepare()
    run("python", "tests/bench/bench.py")
    run("python", "tests/bench/sampling.py", **local.tool_environment(local.prepare(everything=True)))


COMMANDS = {"up": local.up, "down": local.down, "test": gates.test, "lint": gates.lint, "bench": bench}

if __name__ == "__main__":
    try:
        COMMANDS[sys.argv[1]]()
    except (Failed, AirgapError) as error:
        fail(error)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on where it stopped.", file=sys.stderr)
        sys.exit(130)
