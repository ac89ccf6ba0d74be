# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Recordings of traces in a bucket, as the collector's S3 exporter writes them.

An object is one export request, PREFIX/year=YYYY/month=MM/day=DD/hour=HH/minute=MM/traces_ID.binpb[.gz] or .json[.gz].
The folder tells when it was written, in UTC (the exporter's s3_partition_timezone). Of a range of time, only the
folders in it are listed, each in as few requests as it takes; objects are fetched by several threads, some ahead of the
reader. What is in memory is bounded by AHEAD_OBJECTS and AHEAD_BYTES, or by one object if that is larger, whatever the
size of the recording.
Sources: exporter/awss3exporter/internal/upload/partition.go and s3_writer.go of opentelemetry-collector-contrib
v0.158.0, https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import io
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import (
    MAX_MESSAGE_BYTES,
    Message,
    framed,
    unpacked,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3 import names
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store

SCHEME = "s3://"
LEVELS = ("year", "month", "day", "hour", "minute")
WORKERS = 8
# Objects and bytes that are fetched before they are asked for.
AHEAD_OBJECTS, AHEAD_BYTES = 16, 64 * 2**20
# Seconds between two lines of progress.
INTERVAL = 5.0
_FOLDER = re.compile(rf"({'|'.join(LEVELS)})=(\d+)/")
_TRACES = re.compile(r"\.(json|jsonl|binpb)(\.gz)?$")
# The exporter's objects of other signals, after its file_prefix: [metrics|logs|profiles]_[random number or UUID].
_OTHER_SIGNALS = re.compile(r"(metrics|logs|profiles)_[0-9a-f-]+\.[a-z.]+$")
_UUID = re.compile(r"_([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})\.")


@dataclass(frozen=True, slots=True)
class Range:
    """From start, up to end but not end itself; None: no bound on that side. Aware times."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def bounded(self) -> bool:
        return self.start is not None or self.end is not None

    def meets(self, first: datetime, end: datetime) -> bool:
        return (self.start is None or end > self.start) and (self.end is None or first < self.end)

    def holds(self, first: datetime, end: datetime) -> bool:
        return (self.start is None or first >= self.start) and (self.end is None or end <= self.end)

    def __str__(self) -> str:
        start, end = (f"{one:%Y-%m-%dT%H:%M:%SZ}" if one else "" for one in (self.start, self.end))
        return " ".join([*([f"from {start}"] if start else []), *([f"to {end}"] if end else [])])


ALWAYS = Range()


@dataclass(frozen=True, slots=True)
class RecordedObject:
    """An object: its key, its size in bytes, and when it was written, in Unix seconds."""

    key: str
    size: int
    written: float


@dataclass(frozen=True, slots=True)
class _Folder:
    """year=…/month=…/…: its numbers from the year on, and when it begins and ends."""

    values: tuple[int, ...]
    first: datetime
    end: datetime


def location(url: str) -> tuple[str, str]:
    """Bucket and prefix of s3://bucket/prefix, without slashes around the prefix. InvalidInput for anything else."""
    parts = urlsplit(url)
    problem = names.problem(parts.netloc) if parts.netloc else "it names no bucket"
    if problem or parts.query or parts.fragment:
        raise InvalidInput(f"path {url} is not s3://bucket/prefix", problem or "a prefix with ? or # is not supported")
    return parts.netloc, parts.path.strip("/")


def folder_time(values: tuple[int, ...]) -> tuple[datetime, datetime]:
    """When the folder year=…/month=…/… begins and ends. values: its numbers, from the year on. ValueError if there is
    no such time."""
    year, month, day, hour, minute = (*values, *(1, 1, 1, 0, 0)[len(values) :])
    first = datetime(year, month, day, hour, minute, tzinfo=UTC)
    match LEVELS[len(values) - 1]:
        case "year":
            return first, first.replace(year=year + 1)
        case "month":
            return first, (first + timedelta(days=31)).replace(day=1)
        case level:
            return first, first + timedelta(**{f"{level}s": 1})


def entry(item: dict[str, Any]) -> RecordedObject:
    """From an answer's Contents. A UUID of version 7 in the name tells the time to the millisecond."""
    key = item["Key"]
    found = _UUID.search(key)
    written = (uuid.UUID(found[1]).int >> 80) / 1000 if found else item["LastModified"].timestamp()
    return RecordedObject(key, item["Size"], written)


class S3Recording:
    """Everything that was written below s3://bucket/prefix in a range of time; without a range, all that is there.

    again: whether messages() is called more than once. Then the list of objects is kept from the first time on, about
    200 bytes for each, so that the recording does not change between.
    progress: called with a line of text for people now and then.
    """

    unit = "objects"

    def __init__(
        self,
        store: Store,
        url: str,
        within: Range = ALWAYS,
        again: bool = False,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = url
        self.bucket, self.prefix = location(url)
        self._root = f"{self.prefix}/" if self.prefix else ""
        self._store, self._within, self._again, self._progress = store, within, again, progress
        self._known: list[RecordedObject] | None = None

    def messages(self) -> Iterator[Message]:
        """The messages of all objects, in the order in which these were written.

        An object that is damaged, or gone since it was listed, is a message with a problem. TracingError for a bucket,
        a prefix or a range with nothing in it, missing permissions, and objects that are no recording.
        """
        repeated = self._known is not None
        kept: list[RecordedObject] = []
        number, size, shown = 0, 0, time.monotonic()
        for one, content in self._fetched(iter(self._known) if self._known is not None else self._entries()):
            number, size = number + 1, size + one.size
            if self._again and not repeated:
                kept.append(one)
            if content is None and repeated:
                raise NotFound(
                    f"{self.name}: object {one.key} was deleted while it was being read",
                    "",
                    "Read recordings before their expiration_days have passed.",
                )
            yield from _in_object(number, one.key, content)
            if time.monotonic() - shown >= INTERVAL:
                shown = time.monotonic()
                self._tell(number, size, one)
        if not number:
            raise self._nothing()
        self._tell(number, size, one)
        if self._again:
            self._known = self._known or kept

    def _tell(self, number: int, size: int, one: RecordedObject) -> None:
        at = datetime.fromtimestamp(one.written, UTC)
        self._progress(f"{number:,} objects, {size / 2**20:,.1f} MiB read from {self.name}, up to {at:%Y-%m-%dT%H:%MZ}")

    # Reading ahead

    def _fetched(self, entries: Iterator[RecordedObject]) -> Iterator[tuple[RecordedObject, bytes | None]]:
        """Objects with their content, in order; None: it is gone."""
        waiting: deque[tuple[RecordedObject, Future[bytes | None]]] = deque()
        size = 0
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                for one in entries:
                    while waiting and (len(waiting) >= AHEAD_OBJECTS or size + one.size > AHEAD_BYTES):
                        first, future = waiting.popleft()
                        size -= first.size
                        yield first, future.result()
                    waiting.append((one, pool.submit(self._content, one)))
                    size += one.size
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                for _entry, future in waiting:
                    future.cancel()

    def _content(self, one: RecordedObject) -> bytes | None:
        try:
            return self._store.read(self.bucket, one.key)
        except NotFound:
            return None

    # Listing

    def _entries(self) -> Iterator[RecordedObject]:
        found = self._folder(self._root, ()) if self._within.bounded else self._all()
        for one in found:
            if one.key.endswith("/") or _OTHER_SIGNALS.search(one.key):
                continue
            if one.key != self.prefix:
                _check_name(self.name, one.key)
            if one.size > MAX_MESSAGE_BYTES:
                raise InvalidInput(
                    f"{self.name}: object {one.key} has {one.size} bytes",
                    f"objects of up to {MAX_MESSAGE_BYTES} bytes are read from a bucket",
                    "Download it and give the file.",
                )
            yield one

    def _pages(self, prefix: str, delimiter: str = "", **more: Any) -> Iterator[dict[str, Any]]:
        arguments = {"Prefix": prefix, **({"Delimiter": delimiter} if delimiter else {}), **more}
        while True:
            try:
                page = self._store.call(self.bucket, Call("list_objects_v2", "s3:ListBucket", arguments))
            except NotFound as error:
                raise NotFound(
                    f"path {self.name}: bucket {self.bucket} does not exist",
                    error.why,
                    "Check the name, and endpoint_url and region (object_storage_* for the playbooks).",
                ) from error
            yield page
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token or token == arguments.get("ContinuationToken"):
                return
            arguments = {**arguments, "ContinuationToken": token}

    def _all(self) -> Iterator[RecordedObject]:
        """All objects below the prefix, or the one object of that name."""
        nothing = True
        for one in self._everything(self._root):
            nothing = False
            yield one
        if nothing and self.prefix:
            first = self._beside(self.prefix).get("Contents") or []
            yield from (entry(item) for item in first[:1] if item["Key"] == self.prefix)

    def _everything(self, folder: str) -> Iterator[RecordedObject]:
        """All objects below a folder. Keys come in order, hence minute by minute; those of a minute are put into order
        by when they were written."""
        listed = (entry(item) for page in self._pages(folder) for item in page.get("Contents") or [])
        for _folder, together in groupby(listed, lambda one: one.key.rpartition("/")[0]):
            yield from _by_time(together)

    def _folder(self, folder: str, values: tuple[int, ...]) -> Iterator[RecordedObject]:
        """The objects in the range below a folder of which a part is in the range. values: as of folder_time."""
        others: list[str] = []
        found = False
        for page in self._pages(folder, "/"):
            if values:
                yield from _by_time(map(entry, page.get("Contents") or []))
            for below in (item["Prefix"] for item in page.get("CommonPrefixes") or []):
                one = _times(below.removeprefix(folder), values)
                if one is None:
                    others.append(below)
                    continue
                found = True
                if self._within.holds(one.first, one.end):
                    yield from self._everything(below)
                elif self._within.meets(one.first, one.end):
                    yield from self._folder(below, one.values)
        if not values and not found and others:
            raise NotFound(
                f"path {self.name} holds no folders year=…, by which a range of time is chosen",
                f"it holds {', '.join(others[:5])}",
                "Name the prefix that the S3 exporter writes to, or give no range.",
            )

    # Why nothing was found

    def _nothing(self) -> NotFound:
        if self._within.bounded and (there := self._extent()):
            return NotFound(
                f"path {self.name} holds no recording {self._within}",
                f"it holds what was written {there}",
                "Times are UTC, and of when the collector wrote, some seconds after the spans ended.",
            )
        above = f"{self.prefix.rpartition('/')[0]}/" if "/" in self.prefix else ""
        page = self._beside(above)
        beside = [item["Prefix"] for item in page.get("CommonPrefixes") or [] if item["Prefix"] != self._root]
        return NotFound(
            f"path {self.name} holds nothing",
            f"the bucket has {', '.join(beside[:10])}" if beside else "",
            "Check the prefix, and whether the exporter has sent anything yet (otelcol_exporter_sent_spans).",
        )

    def _beside(self, prefix: str) -> dict[str, Any]:
        """A page of what is outside the folder, which these credentials need not be allowed to see."""
        try:
            return next(self._pages(prefix, "/", MaxKeys=100))
        except PermissionDenied:
            return {}

    def _extent(self) -> Range | None:
        """From the first folder's beginning to the last one's end; None where there is no folder of a time."""
        earliest, latest = self._outermost(min), self._outermost(max)
        return Range(earliest.first, latest.end) if earliest and latest else None

    def _outermost(self, choose: Callable[..., str]) -> _Folder | None:
        """The first (min) or last (max) of the folders that hold no folder of a time."""
        path, inside = self._root, None
        while True:
            values = inside.values if inside else ()
            names_below = [
                item["Prefix"] for page in self._pages(path, "/") for item in page.get("CommonPrefixes") or []
            ]
            below = {name: one for name in names_below if (one := _times(name.removeprefix(path), values))}
            if not below:
                return inside
            path = choose(below, key=lambda name: below[name].first)
            inside = below[path]


def _by_time(entries: Iterable[RecordedObject]) -> list[RecordedObject]:
    return sorted(entries, key=lambda one: (one.written, one.key))


def _times(name: str, values: tuple[int, ...]) -> _Folder | None:
    """A folder by its name, in the folder of those values; None if it is of no time."""
    found = _FOLDER.fullmatch(name)
    if not found or len(values) >= len(LEVELS) or found[1] != LEVELS[len(values)]:
        return None
    inner = (*values, int(found[2]))
    try:
        return _Folder(inner, *folder_time(inner))
    except (ValueError, OverflowError):
        return None


def _check_name(name: str, key: str) -> None:
    if _TRACES.search(key):
        return
    zstd = key.endswith(".zst")
    raise InvalidInput(
        f"path {name}: object {key} is not a readable recording",
        "it is compressed with zstd"
        if zstd
        else "its name does not end with .json, .jsonl or .binpb, with or without .gz",
        "Record with compression gzip or none." if zstd else "Name the prefix that the S3 exporter writes to.",
    )


def _in_object(number: int, key: str, content: bytes | None) -> Iterator[Message]:
    place = f"object {key}"
    if content is None:
        yield Message(number, place, problem="it is gone: it expired or was deleted after it had been listed")
        return
    try:
        with unpacked(io.BytesIO(content)) as stream:
            for one in framed(key, stream):
                line = f"{place}, {one.place}" if one.number > 1 else place
                yield Message(number, line, one.text, one.protobuf, one.problem)
    except OSError as error:
        yield Message(number, place, problem=str(error))
