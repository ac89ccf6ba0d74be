# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Answers of HTTP servers, and errors for those that refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    NotFound,
    PermissionDenied,
    TracingError,
)

BY_STATUS: dict[int, type[TracingError]] = {401: PermissionDenied, 403: PermissionDenied, 404: NotFound, 409: Conflict}


@dataclass(frozen=True)
class Response:
    """status, lower-case headers and body of any answer, also of a refusal."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


def refusal(what: str, answer: Response) -> TracingError:
    """The error for an HTTP refusal, with the server's own message."""
    try:
        why = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        why = answer.text[:500]
    return BY_STATUS.get(answer.status, ApiError)(f"{what} answered {answer.status}", why, status=answer.status)
