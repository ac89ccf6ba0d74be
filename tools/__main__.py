# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python -m tools COMMAND [--gate NAME]... [-- ARGUMENT...]

Commands: those of the Makefile, and gates, which lists the gates.
"""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from airgap.errors import AirgapError
from tools import gates, local, peers, runner
from tools.steps import Failed, fail, run


def bench() -> None:
    peers.prepare()
    run("python", "tests/bench/bench.py")
    run("python", "tests/bench/sampling.py", **local.tool_environment(local.prepare(everything=True)))


def tempo_configs() -> None:
    """Writes the approved configurations of Tempo again, as its own program accepts them."""
    tools = local.tool_environment(local.test_tools())
    if not {"ORION_TEMPO", "ORION_TEMPO_3"} & tools.keys():
        raise Failed("Tempo's program is not at hand: bring its image (docs/airgap.md), then run this again.")
    run("python", "tests/unit/charts/tempo_configs.py", **tools)


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


COMMANDS = {
    "up": local.up,
    "down": local.down,
    "bench": bench,
    "tempo-configs": tempo_configs,
    "gates": lambda: print(runner.listing()),
}


def main(argv: list[str]) -> None:
    arguments = argv[argv.index("--") + 1 :] if "--" in argv else []
    parser = argparse.ArgumentParser(prog="python -m tools")
    parser.add_argument("command", choices=[*COMMANDS, *gates.EVERYWHERE])
    parser.add_argument("--gate", action="append", default=[], help="with test: this gate alone; more than once")
    given = parser.parse_args(argv[: argv.index("--")] if "--" in argv else argv)
    if given.command in COMMANDS:
        COMMANDS[given.command]()
    else:
        runner.main(given.command, given.gate, arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        main(sys.argv[1:])
    except (Failed, AirgapError) as error:
        fail(error)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on where it stopped.", file=sys.stderr)
        sys.exit(130)
