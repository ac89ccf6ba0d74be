# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What is in a bucket, and how it is all deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported

# The most that S3 lists, or deletes, in one request:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
PAGE = 1000
# Enough to see that a bucket is not empty, also if its first entries are delete markers.
PEEK = 100
WORKERS = 8
# After so many refusals the rest is not tried: the bucket cannot be deleted anyway.
ERRORS = 1000
SHOWN = 100
# Refusals of one object that say nothing about it; so many times its deletion is tried.
TRANSIENT = frozenset({"InternalError", "OperationAborted", "ServiceUnavailable", "SlowDown"})
ATTEMPTS = 4
# Seconds in which a store deletes a page; SeaweedFS under load needs more than the usual ten.
PATIENCE = 120.0
# Seconds between two lines of progress.
INTERVAL = 2.0


@dataclass(frozen=True)
class Contents:
    """How much of each is in a bucket, or was deleted. more: there is more than that.

    An object of a bucket without versioning counts as one version; uploads are unfinished multipart uploads.
    """

    versions: int = 0
    delete_markers: int = 0
    uploads: int = 0
    more: bool = False

    def __add__(self, other: Contents) -> Contents:
        return Contents(
            self.versions + other.versions,
            self.delete_markers + other.delete_markers,
            self.uploads + other.uploads,
            self.more or other.more,
        )

    def loses(self, custom: bool) -> bool:
        """Whether the deletion of the bucket loses something, or is refused.

        Delete markers hold no data. AWS refuses to delete a bucket with markers; other stores may decide for
        themselves, since some cannot even be made to forget a marker. What lies behind the first page is not known.
        """
        return bool(self.versions or self.more or (self.delete_markers and not custom))

    def text(self) -> dict[str, str]:
        """For people."""
        counts = {"versions": self.versions, "delete_markers": self.delete_markers, "uploads": self.uploads}
        return {name: f"{count} or more" if self.more and count else str(count) for name, count in counts.items()}


NOTHING = Contents()


def look(store: Store, bucket: str, everything: bool) -> Contents:
    """What the first page of each list shows. Nothing is written.

    everything: unfinished uploads too, and as much as fits into a page. Versions and current objects are both listed,
    because some stores list only one of them, and some delete buckets with all that is in them (SeaweedFS).
    """
    page = PAGE if everything else PEEK
    calls = [
        Call("list_object_versions", "s3:ListBucketVersions", {"MaxKeys": page}),
        Call("list_objects_v2", "s3:ListBucket", {"MaxKeys": page}),
    ]
    if everything:
        calls.append(Call("list_multipart_uploads", "s3:ListBucketMultipartUploads", {"MaxUploads": page}))
    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        versions, objects, *uploads = pool.map(lambda call: _count(_ask(store, bucket, call)), calls)
    return sum(uploads, versions if versions.versions else versions + objects)


def _ask(store: Store, bucket: str, call: Call) -> dict[str, Any]:
    try:
        return store.call(bucket, call)
    except (NotFound, Unsupported):
        return {}


def _count(answer: dict[str, Any]) -> Contents:
    return Contents(
        len(answer.get("Versions") or answer.get("Contents") or []),
        len(answer.get("DeleteMarkers") or []),
        len(answer.get("Uploads") or []),
        bool(answer.get("IsTruncated")),
    )


@dataclass(frozen=True)
class ListedVersion:
    """One version, or one delete marker. version_id: "" on a store that knows no versions."""

    key: str
    version_id: str
    marker: bool = False

    def request(self) -> dict[str, str]:
        return {"Key": self.key, **({"VersionId": self.version_id} if self.version_id else {})}


class NotEmptied(TracingError):
    """Some of what is in a bucket cannot be deleted."""


class Emptying:
    """Deletes all versions, delete markers and multipart uploads of one bucket, in batches and in parallel.

    progress is called with a line for people now and then. What is gone stays gone, so an interrupted run is continued
    by another one. Retention and legal holds are respected: nothing here bypasses them.
    """

    def __init__(self, store: Store, bucket: str, progress: Callable[[str], None]) -> None:
        self.store, self.bucket, self.progress = store, bucket, progress
        self.done = NOTHING
        self.errors: list[dict[str, str]] = []
        self.batches = True
        self._lock = threading.Lock()
        self._started = self._told = time.monotonic()

    def run(self) -> Contents:
        """Raises NotEmptied (details: errors by object, error_count, emptied) if something remains."""
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            running: set[Future[None]] = set()
            for batch in self._batches():
                running.add(pool.submit(self._delete, batch))
                # Listing is faster than deleting, and what is listed is kept in memory.
                while len(running) > 2 * WORKERS:
                    running = self._wait(running)
                if len(self.errors) >= ERRORS:
                    break
            for key, upload in self._uploads():
                running.add(pool.submit(self._abort, key, upload))
                while len(running) > 2 * WORKERS:
                    running = self._wait(running)
            while running:
                running = self._wait(running)
        if self.errors:
            raise self._failed()
        self._tell()
        return self.done

    def _wait(self, running: set[Future[None]]) -> set[Future[None]]:
        finished, rest = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            future.result()
        if time.monotonic() - self._told >= INTERVAL:
            self._told = time.monotonic()
            self._tell()
        return rest

    def _tell(self) -> None:
        count, seconds = self.done.versions + self.done.delete_markers, time.monotonic() - self._started
        line = f"{self.done.versions:,} versions and {self.done.delete_markers:,} delete markers deleted"
        if self.done.uploads:
            line += f", {self.done.uploads:,} uploads aborted"
        self.progress(f"{line} ({seconds:.0f} s, {count / max(seconds, 0.001):,.0f}/s)")

    def _pages(self, call: Call, markers: dict[str, str]) -> Iterator[dict[str, Any]]:
        """All pages of a list; markers: the argument that continues it by the key of the answer that it comes from.

        A page is given out only after the next one was read: some stores lose the thread if what a marker names has
        been deleted.
        """
        arguments: dict[str, Any] = {}
        before: dict[str, Any] | None = None
        while True:
            page = self.store.call(self.bucket, Call(call.operation, call.action, {**call.arguments, **arguments}))
            if before is not None:
                yield before
            before = page
            following = {name: page[key] for key, name in markers.items() if page.get(key)}
            # A store that says "more" without saying where would be asked the same for ever.
            if not page.get("IsTruncated") or not following or following == arguments:
                yield page
                return
            arguments = following

    def _entries(self) -> Iterator[ListedVersion]:
        versions = Call("list_object_versions", "s3:ListBucketVersions", {"MaxKeys": PAGE})
        markers = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
        try:
            for page in self._pages(versions, markers):
                for kind in ("Versions", "DeleteMarkers"):
                    for item in page.get(kind) or []:
                        yield ListedVersion(item["Key"], item.get("VersionId") or "", kind == "DeleteMarkers")
        except Unsupported:
            objects = Call("list_objects_v2", "s3:ListBucket", {"MaxKeys": PAGE})
            for page in self._pages(objects, {"NextContinuationToken": "ContinuationToken"}):
                for item in page.get("Contents") or []:
                    yield ListedVersion(item["Key"], "")

    def _batches(self) -> Iterator[list[ListedVersion]]:
        batch: list[ListedVersion] = []
        for entry in self._entries():
            batch.append(entry)
            if len(batch) == PAGE:
                yield batch
                batch = []
        if batch:
            yield batch

    def _uploads(self) -> Iterator[tuple[str, str]]:
        call = Call("list_multipart_uploads", "s3:ListBucketMultipartUploads", {"MaxUploads": PAGE})
        markers = {"NextKeyMarker": "KeyMarker", "NextUploadIdMarker": "UploadIdMarker"}
        try:
            for page in self._pages(call, markers):
                for item in page.get("Uploads") or []:
                    yield item["Key"], item["UploadId"]
        except Unsupported:
            return

    def _delete(self, batch: list[ListedVersion]) -> None:
        left = batch
        for attempt in range(ATTEMPTS):
            refused = self._send(left)
            again = {key for key, error in refused.items() if error["Code"] in TRANSIENT}
            if attempt == ATTEMPTS - 1:
                again = set()
            final = [error for key, error in refused.items() if key not in again]
            gone = [entry for entry in left if (entry.key, entry.version_id) not in refused]
            markers = sum(entry.marker for entry in gone)
            with self._lock:
                self.done += Contents(len(gone) - markers, markers)
                self.errors += [_error(error) for error in final]
            left = [entry for entry in left if (entry.key, entry.version_id) in again]
            if not left:
                return
            time.sleep(0.5 * 2**attempt)

    def _send(self, batch: list[ListedVersion]) -> dict[tuple[str, str], dict[str, Any]]:
        """The refusals, by key and version."""
        if self.batches:
            objects = [entry.request() for entry in batch]
            call = Call("delete_objects", "s3:DeleteObject", {"Delete": {"Objects": objects, "Quiet": True}})
            try:
                answer = self.store.call(self.bucket, call)
            except Unsupported:
                self.batches = False
            else:
                return _refusals(batch, answer.get("Errors") or [])
        refused: dict[tuple[str, str], dict[str, Any]] = {}
        for entry in batch:
            try:
                self.store.call(self.bucket, Call("delete_object", "s3:DeleteObject", dict(entry.request())))
            except NotFound:
                continue
            except TracingError as error:
                if not error.details.get("code"):
                    raise
                refused[entry.key, entry.version_id] = {
                    **entry.request(),
                    "Code": error.details["code"],
                    "Message": error.why,
                }
        return refused

    def _abort(self, key: str, upload: str) -> None:
        call = Call("abort_multipart_upload", "s3:AbortMultipartUpload", {"Key": key, "UploadId": upload})
        try:
            self.store.call(self.bucket, call)
        except NotFound:
            return
        with self._lock:
            self.done += Contents(uploads=1)

    def _failed(self) -> NotEmptied:
        first = self.errors[0]
        count = len(self.errors)
        remedy = "Remove the reason and run again: what is gone stays gone."
        if any(error["code"] == "AccessDenied" for error in self.errors):
            remedy = (
                "Either these credentials lack s3:DeleteObjectVersion, or the objects are under object lock: retention "
                "and legal holds are respected, so wait for their end or lift them. Then run again: what is gone stays "
                "gone."
            )
        return NotEmptied(
            f"bucket {self.bucket} cannot be emptied: {count} of its versions and delete markers cannot be deleted",
            f"{first['key']} (version {first['version_id'] or 'none'}): {first['code']}: {first['message']}",
            remedy,
            errors=self.errors[:SHOWN],
            error_count=count,
            emptied=vars(self.done),
        )


def _refusals(batch: list[ListedVersion], errors: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Some stores leave VersionId out of an error; then it is of all versions of that key in the batch."""
    by_key: dict[str, list[ListedVersion]] = {}
    for entry in batch:
        by_key.setdefault(entry.key, []).append(entry)
    refused: dict[tuple[str, str], dict[str, Any]] = {}
    for error in errors:
        for entry in by_key.get(str(error.get("Key")), []):
            if error.get("VersionId") in (None, "", entry.version_id):
                code = str(error.get("Code") or "")
                refused[entry.key, entry.version_id] = {**error, "VersionId": entry.version_id, "Code": code}
    return refused


def _error(error: dict[str, Any]) -> dict[str, str]:
    return {
        "key": error["Key"],
        "version_id": error.get("VersionId", ""),
        "code": error["Code"],
        "message": str(error.get("Message") or ""),
    }
