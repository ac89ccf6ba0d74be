# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Time that tests can replace, and deadlines on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """RFC 3339 of a moment with a zone, in UTC and whole seconds: 2026-01-31T10:00:00Z. As exact as Kubernetes'
    creationTimestamp, so the two can be compared as text. The form of every time that this collection writes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """Real time; tests bring their own. monotonic and sleep in seconds, time_ns since the epoch."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time_ns(self) -> int:
        return time.time_ns()

    def timestamp(self) -> str:
        """As rfc3339 has it."""
        return rfc3339(datetime.fromtimestamp(self.time_ns() // 10**9, UTC))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class Deadline:
    """A moment on a clock. wait(interval) sleeps that long at most and says whether time is left."""

    clock: Clock
    seconds: float
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    @property
    def elapsed(self) -> float:
        return self.clock.monotonic() - self.started

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - self.elapsed)

    def wait(self, interval: float) -> bool:
        if not self.left:
            return False
        self.clock.sleep(min(interval, self.left))
        return True
