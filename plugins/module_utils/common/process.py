# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Running a program within a time limit."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TimedOut

VERSION = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?\S*")
GRACE_SECONDS = 10.0
LOOK_SECONDS = 2.0  # between two looks at what a program does


@dataclass(frozen=True)
class Answer:
    """What a process left behind."""

    code: int
    out: str
    err: str


Interrupt = Callable[[], bool]


class Runner(Protocol):
    """run_process, or what stands in for it."""

    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Interrupt | None = None
    ) -> Answer: ...


def run_process(
    argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Interrupt | None = None
) -> Answer:
    """Run a program to its end. TimedOut after so many seconds: it is then asked to stop (SIGTERM), so that helm marks
    the release as failed, and killed 10 s later. OSError where it cannot be started.

    interrupt: asked every few seconds; when it says so the program is asked to stop, and has the time that is left.
    """
    # AnsibleModule.run_command knows no time limit.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv,
        env=dict(env),
        encoding="utf-8",  # whatever the locale
        errors="replace",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = _communicate(process, stdin, seconds, interrupt)
    except subprocess.TimeoutExpired as error:
        process.terminate()
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        raise TimedOut(f"{argv[0]} {argv[1]} did not end within {seconds:.0f} s", "", "Raise timeout.") from error
    return Answer(process.returncode, out, err)


def _communicate(
    process: subprocess.Popen[str], stdin: str, seconds: float, interrupt: Interrupt | None
) -> tuple[str, str]:
    """Popen.communicate, which may be called again after its time-out without a loss."""
    end = time.monotonic() + seconds
    given: str | None = stdin
    while interrupt and (left := end - time.monotonic()) > LOOK_SECONDS:
        try:
            return process.communicate(given, timeout=min(LOOK_SECONDS, left))
        except subprocess.TimeoutExpired:
            given = None
        if interrupt():
            process.terminate()
            interrupt = None
    return process.communicate(given, timeout=max(end - time.monotonic(), 0.0))
