# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The one error hierarchy of this collection.

Every error says what is wrong, why, and what to do about it; a module turns it into C(fail_json) in one place
(R(module.TracingModule)). Nothing here imports Ansible or a client.
"""

from __future__ import annotations

from typing import Any


class TracingError(Exception):
    """Something that stops a module.

    what: names the object and the problem; why: the other side's own words; remedy: what the user can do.
    details are returned beside the message as they are, so they must not hold a secret.
    """

    def __init__(self, what: str, why: str = "", remedy: str = "", **details: Any) -> None:
        self.what, self.why, self.remedy, self.details = (
            what.rstrip("."),
            why.strip().rstrip("."),
            remedy.strip(),
            details,
        )
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}." if self.why else f"{self.what}."
        return f"{text} {self.remedy}" if self.remedy else text


class InvalidInput(TracingError):
    """An option or variable has a value that cannot work; nothing was read or changed."""


class Unreachable(TracingError):
    """No answer from the API server, the S3 endpoint or a component."""


class PermissionDenied(TracingError):
    """The other side refused these credentials (401, 403)."""


class NotFound(TracingError):
    """The object, or the API that would serve it, does not exist (404)."""


class Conflict(TracingError):
    """Somebody else changed or owns the object (409)."""


class TimedOut(TracingError):
    """A condition did not come true within the time given."""


class ApiError(TracingError):
    """Any other refusal of an HTTP API; details hold its status."""


class ToolError(TracingError):
    """An external program is missing, too old or failed."""


class PartialFailure(TracingError):
    """A step failed after others were done; details name both (done, failed, not_done)."""
