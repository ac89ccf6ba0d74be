# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The options of modules that read a recording from a file or a bucket; documented in the fragment
orion.tracing.recordings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import DURATION_REMEDY, duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, Recording
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import s3_options
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import SCHEME, Range, S3Recording

TIME_OPTIONS = ("start", "end", "last")
RECORDING_OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "path"},
    "s3": {"type": "dict", "options": {**s3_options(), **{option: {"type": "str"} for option in TIME_OPTIONS}}},
}


def recording(
    params: dict[str, Any],
    again: bool = False,
    progress: Callable[[str], None] = lambda line: None,
    now: datetime | None = None,
) -> Recording:
    """The recording that the options path and s3 name. Nothing is read yet.

    again, progress: as of S3Recording. InvalidInput for what cannot be.
    """
    path, s3 = params["path"], params["s3"] or {}
    if path.startswith(SCHEME):
        within = time_range(s3, now or datetime.now(UTC))
        return S3Recording(Store.connect(s3), path, within, again, progress)
    if given := times_given(params):
        raise InvalidInput(
            f"option {given[0]} is given, but path {path} is a file",
            "a range of time is chosen by the folders of a bucket",
            "Give s3://bucket/prefix, or leave it out.",
        )
    return FileRecording(path)


def times_given(params: dict[str, Any]) -> list[str]:
    """The options of a range of time that are set."""
    return [f"s3.{option}" for option in TIME_OPTIONS if (params["s3"] or {}).get(option)]


def time_range(options: dict[str, Any], now: datetime) -> Range:
    """What start, end and last say. InvalidInput for a time that is none, or a range with nothing in it."""
    start, end = (_time(option, options[option]) if options.get(option) else None for option in ("start", "end"))
    if last := options.get("last"):
        if start:
            raise InvalidInput("options s3.start and s3.last are both given", "", "Give one of them.")
        try:
            start = (end or now) - timedelta(seconds=duration_seconds(last.strip()))
        except (ValueError, OverflowError) as error:
            raise InvalidInput(f"option s3.last is {last!r}", str(error), DURATION_REMEDY) from error
    if start and start >= (end or now):
        option = f"s3.last is {last!r}, which" if last else f"s3.start ({rfc3339(start)})"
        bound = f"s3.end ({rfc3339(end)})" if end else "now"
        raise InvalidInput(f"option {option} is not before {bound}")
    return Range(start, end)


def _time(option: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"option s3.{option} is {text!r}", str(error), "Write it as 2026-01-31T10:00:00Z; without a zone it is UTC."
        ) from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
