# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running a program within a time limit, and which helm is new enough."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.orion.tracing.plugins.module_utils.errors import TimedOut

OLDEST = (3, 18)
VERSION = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?\S*")
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What a process left behind."""

    code: int
    out: str
    err: str


# argv, environment, standard input, seconds
Runner = Callable[[list[str], Mapping[str, str], str, float], Answer]


def run_process(argv: list[str], env: Mapping[str, str], stdin: str, seconds: float) -> Answer:
    """Run a program to its end. TimedOut after so many seconds: it is then asked to stop (SIGTERM), so that helm marks
    the release as failed, and killed 10 s later. OSError where it cannot be started."""
    # AnsibleModule.run_command knows no time limit.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv, env=dict(env), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        process.terminate()
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        raise TimedOut(f"{argv[0]} {argv[1]} did not end within {seconds:.0f} s", "", "Raise timeout.") from error
    return Answer(process.returncode, out, err)
