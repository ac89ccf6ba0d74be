# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recordings in a bucket: against moto, with the requests counted."""

from __future__ import annotations

import gzip
import json
import re
import threading
import tracemalloc
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp import recordings as spans
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, Message
from ansible_collections.orion.tracing.plugins.module_utils.proof import replay
from ansible_collections.orion.tracing.plugins.module_utils.s3 import recording as module
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import (
    ALWAYS,
    Range,
    S3Recording,
    folder_time,
    location,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording_options import recording, time_range
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import (
    document,
    protobuf,
    span,
    trace_id,
)
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.s3.fake_store import xml
from moto import mock_aws

pytestmark = pytest.mark.slow

AT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
KEYS = {"access_key": "AKIAEXAMPLE", "secret_key": "not-to-be-shown", "region": "us-east-1"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


class Bucket:
    """The bucket traces. asked: the requests of the store, by operation."""

    def __init__(self) -> None:
        self.store = Store.connect(KEYS)
        self.client = Store.connect(KEYS)._client
        self.client.create_bucket(Bucket="traces")
        self.asked: list[tuple[str, dict[str, Any]]] = []
        events = self.store._client.meta.events
        events.register("provide-client-params.s3", lambda params, model, **_: self.asked.append((model.name, params)))

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket="traces", Key=key, Body=body)

    def record(self, number: int, at: datetime = AT, prefix: str = "recordings", name: str = "", **form: Any) -> str:
        """One object with the trace of that number, as the exporter writes it."""
        body, kind = (
            (json.dumps(one(number)).encode(), "json") if form.get("json") else (protobuf(one(number)), "binpb")
        )
        packed = form.get("gzip", True)
        name = name or f"traces_{100000000 + number}"
        key = f"{prefix}/{at:year=%Y/month=%m/day=%d/hour=%H/minute=%M}/{name}.{kind}{'.gz' if packed else ''}"
        self.put(key, gzip.compress(body) if packed else body)
        return key

    def read(self, prefix: str = "recordings", within: Range = ALWAYS, **options: Any) -> S3Recording:
        return S3Recording(self.store, f"s3://traces/{prefix}", within, **options)

    @property
    def requests(self) -> Counter[str]:
        return Counter(name for name, _params in self.asked)

    @property
    def listed(self) -> list[str]:
        return [params["Prefix"] for name, params in self.asked if name == "ListObjectsV2"]


def one(number: int) -> dict[str, Any]:
    """No trace id may be zero."""
    return document(({"service.name": "shop"}, [span(number + 1)]))


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws():
        yield Bucket()


def ids(source: S3Recording) -> list[int]:
    return [int(s["traceId"], 16) - 1 for m in source.messages() for s in otlp.spans(m.document())]


def hour(start: int, end: int, minute: int = 0) -> Range:
    return Range(AT.replace(hour=start, minute=minute), AT.replace(hour=end, minute=minute))


@pytest.mark.parametrize("form", [{"json": j, "gzip": g} for j in (True, False) for g in (True, False)])
def test_every_form_that_the_exporter_writes(bucket: Bucket, form: dict[str, bool]) -> None:
    for number in (1, 2, 3):
        bucket.record(number, AT + timedelta(minutes=number), **form)
    assert ids(bucket.read()) == [1, 2, 3]
    records = list(spans.read(bucket.read()))
    assert [r.resource_spans[0].scope_spans[0].spans[0].trace_id for r in records] == list(map(trace_id, (2, 3, 4)))


def test_only_folders_of_the_range_are_listed(bucket: Bucket) -> None:
    """An hour of months: the folders of year, month, day and hour above it, and each of its minutes."""
    for number in range(0, 24 * 365, 24 * 7):
        bucket.record(number, datetime(2025, 6, 1, tzinfo=UTC) + timedelta(hours=number))
    for minute in range(180):
        bucket.record(10_000 + minute, AT + timedelta(minutes=minute))
    found = ids(bucket.read(within=hour(10, 11, minute=30)))
    assert found == list(range(10_030, 10_090))
    assert bucket.requests == {"ListObjectsV2": 4 + 2 + 60, "GetObject": 60}
    assert all(
        prefix.startswith("recordings/year=2026/month=01/day=31/hour=1")
        for prefix in bucket.listed if prefix.count("/") > 4
    )  # fmt: skip


def test_a_folder_that_is_in_the_range_as_a_whole_is_listed_at_once(bucket: Bucket) -> None:
    for minute in range(180):
        bucket.record(minute, AT + timedelta(minutes=minute))
    assert ids(bucket.read(within=hour(11, 12))) == list(range(60, 120))
    hours = "recordings/year=2026/month=01/day=31/"
    assert bucket.listed[-2:] == [hours, f"{hours}hour=11/"] and len(bucket.listed) == 5


def test_without_a_range_one_list_is_enough(bucket: Bucket) -> None:
    for minute in range(30):
        bucket.record(minute, AT + timedelta(days=minute))
    bucket.record(99, prefix="recordings-of-others")
    assert ids(bucket.read()) == list(range(30))
    assert bucket.requests == {"ListObjectsV2": 1, "GetObject": 30}


@pytest.mark.parametrize(
    ("within", "found"),
    [
        (Range(AT), [2, 3]),
        (Range(None, AT), [1]),
        (Range(AT, AT + timedelta(seconds=1)), [2]),
        (Range(AT + timedelta(seconds=59), AT + timedelta(seconds=60)), [2]),
        (Range(AT + timedelta(minutes=1)), [3]),
        (Range(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)), [1, 2, 3]),
    ],
)
def test_bounds(bucket: Bucket, within: Range, found: list[int]) -> None:
    for number, at in ((1, AT - timedelta(minutes=1)), (2, AT), (3, AT + timedelta(days=40))):
        bucket.record(number, at)
    assert ids(bucket.read(within=within)) == found


def test_pages_are_followed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "7")
    for number in range(30):
        bucket.record(number, AT + timedelta(minutes=number))
    assert ids(bucket.read(within=hour(10, 11))) == list(range(30))
    assert bucket.requests["ListObjectsV2"] == 4 + 5


def test_objects_of_a_minute_are_read_as_they_were_written(bucket: Bucket) -> None:
    """Random numbers in names say nothing, LastModified counts; UUIDs of version 7 tell the millisecond."""
    start = int(AT.timestamp() * 1000)
    for number in (5, 2, 9, 1):
        stamp = uuid.UUID(int=((start + number) << 80) | (7 << 76) | (2 << 62) | (12345 - number))
        bucket.record(number, name=f"traces_{stamp}")
    assert ids(bucket.read()) == [1, 2, 5, 9]


def test_names_with_random_numbers_go_by_last_modified() -> None:
    written = [{"Key": f"a/traces_{n}.json", "Size": 1, "LastModified": AT - timedelta(seconds=n)} for n in (1, 2, 3)]
    entries = sorted(map(module.entry, written), key=lambda e: (e.written, e.key))
    assert [e.key[-6] for e in entries] == ["3", "2", "1"]


def test_other_signals_and_folder_markers_are_passed_over(bucket: Bucket) -> None:
    bucket.record(1)
    for kind in ("metrics", "logs"):
        bucket.put(f"recordings/{AT:year=%Y/month=%m/day=%d/hour=%H/minute=%M}/{kind}_123456789.binpb.gz", b"?")
    bucket.put("recordings/", b"")
    assert ids(bucket.read()) == [1] and bucket.requests["GetObject"] == 1


def test_a_path_may_name_one_object(bucket: Bucket) -> None:
    lines = "".join(json.dumps(one(number)) + "\n" for number in (1, 2))
    bucket.put("kept/an-hour", gzip.compress(lines.encode()))
    source = bucket.read("kept/an-hour")
    assert ids(source) == [1, 2]
    assert [m.place for m in source.messages()] == ["object kept/an-hour", "object kept/an-hour, line 2"]


# What cannot be read


def refused(source: S3Recording) -> str:
    with pytest.raises(TracingError) as caught:
        list(source.messages())
    return str(caught.value)


def test_nothing_there(bucket: Bucket) -> None:
    bucket.record(1, prefix="other/recordings")
    assert "path s3://traces/recordings holds nothing: the bucket has other/. Check the prefix" in refused(
        bucket.read()
    )
    assert "the bucket has other/recordings/" in refused(bucket.read("other/recording"))
    lacking = S3Recording(bucket.store, "s3://no-such-bucket/x")
    assert "path s3://no-such-bucket/x: bucket no-such-bucket does not exist" in refused(lacking)


def test_nothing_in_the_range_names_the_range_that_has_something(bucket: Bucket) -> None:
    bucket.record(1, AT)
    bucket.record(2, AT + timedelta(hours=26))
    said = refused(bucket.read(within=hour(5, 6)))
    assert "holds no recording from 2026-01-31T05:00:00Z to 2026-01-31T06:00:00Z" in said
    assert "it holds what was written from 2026-01-31T10:00:00Z to 2026-02-01T12:01:00Z" in said
    assert "holds nothing" in refused(bucket.read("empty", within=hour(5, 6)))


def test_a_range_needs_folders_of_time(bucket: Bucket) -> None:
    bucket.record(1, prefix="recordings/gateways")
    said = refused(bucket.read(within=hour(5, 6)))
    assert "holds no folders year=…" in said and "it holds recordings/gateways/" in said


@pytest.mark.parametrize("folder", ["year=26x", "year=0", "month=01", "year=2026/month=13", "year=99999"])
def test_folders_that_are_of_no_time(bucket: Bucket, folder: str) -> None:
    bucket.record(1)
    bucket.put(f"recordings/{folder}/x.json", b"{}")
    assert ids(bucket.read(within=hour(10, 11))) == [1]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("single-tenant/0a1b/data.parquet", "its name does not end with .json, .jsonl or .binpb"),
        ("traces_1.binpb.zst", "it is compressed with zstd. Record with compression gzip"),
    ],
)
def test_objects_that_are_no_recording(bucket: Bucket, name: str, why: str) -> None:
    bucket.put(f"recordings/{name}", b"?")
    said = refused(bucket.read())
    assert f"object recordings/{name} is not a readable recording" in said and why in said
    assert bucket.requests["GetObject"] == 0


def test_objects_that_are_too_large(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE_BYTES", 5)
    bucket.record(1)
    assert "bytes: objects of up to 5 bytes are read from a bucket. Download it" in refused(bucket.read())


def test_broken_objects_are_told_and_passed_over(bucket: Bucket) -> None:
    keys = [bucket.record(number, AT + timedelta(minutes=number)) for number in range(4)]
    bucket.put(keys[1], gzip.compress(protobuf(one(1)))[:-12])
    bucket.put(keys[2], gzip.compress(b"\x0a\xff"))
    told: list[tuple[str, str]] = []
    records = list(spans.read(bucket.read(), lambda place, why: told.append((place, why))))
    assert len(records) == 2
    assert [place for place, _why in told] == [f"object {keys[1]}", f"object {keys[2]}"]
    assert "damaged gzip data" in told[0][1] and "not an OTLP protobuf" in told[1][1]
    source = bucket.read(again=True)
    facts = replay.scan(source)
    assert (facts.spans, facts.broken_lines) == (2, 2)
    with pytest.raises(InvalidInput, match="2 of 4 objects are broken, nothing was sent: object recordings/year=2026"):
        replay.refuse_broken(source, facts, "fail")
    replay.refuse_broken(source, facts, "skip")
    assert sum(batch.spans for batch in replay.batches(source)) == 2


def test_an_object_that_expires_after_it_was_listed(bucket: Bucket) -> None:
    keys = [bucket.record(number, AT + timedelta(minutes=number)) for number in range(3)]
    source = bucket.read()
    listed = list(source._entries())
    source._entries = lambda: _deleting(bucket, keys[1], listed)  # type: ignore[method-assign]
    found = list(source.messages())
    assert [bool(m.problem) for m in found] == [False, True, False] and "it expired or was deleted" in found[1].problem


def _deleting(bucket: Bucket, key: str, listed: Any) -> Iterator[Any]:
    for entry in listed:
        bucket.client.delete_object(Bucket="traces", Key=key)
        yield entry


# Twice


def test_a_second_reading_lists_nothing_and_reads_the_same(bucket: Bucket) -> None:
    for number in range(5):
        bucket.record(number, AT + timedelta(minutes=number))
    source = bucket.read(again=True)
    first = list(source.messages())
    bucket.record(77)
    assert list(source.messages()) == first
    assert bucket.requests == {"ListObjectsV2": 1, "GetObject": 10}


def test_what_vanishes_between_is_an_error(bucket: Bucket) -> None:
    key = bucket.record(1)
    source = bucket.read(again=True)
    list(source.messages())
    bucket.client.delete_object(Bucket="traces", Key=key)
    assert f"object {key} was deleted while it was being read" in refused(source)


# Reading ahead


class Slow:
    """A store whose objects come when the test lets them; how many are asked for, or held, at a time."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.fetched = self.most = self.under_way = 0
        self.lock = threading.Lock()

    def call(self, _bucket: str, call: Any) -> dict[str, Any]:
        made = [
            {"Key": f"r/{number:06}.json", "Size": size, "LastModified": AT} for number, size in enumerate(self.sizes)
        ]
        return {"Contents": made}

    def read(self, _bucket: str, key: str) -> bytes:
        with self.lock:
            self.fetched += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        text = b'{"resourceSpans":[]}'.ljust(self.sizes[int(key[2:8])])
        with self.lock:
            self.under_way -= 1
        return text


def test_a_bounded_number_of_objects_is_fetched_ahead() -> None:
    store = Slow([20] * 200)
    taken = 0
    for _message in S3Recording(store, "s3://traces/r").messages():  # type: ignore[arg-type]
        taken += 1
        assert store.fetched <= taken + module.AHEAD_OBJECTS
    assert (taken, store.fetched) == (200, 200)
    assert store.most <= module.WORKERS


def test_large_objects_are_not_fetched_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 100)
    store = Slow([20, 20, 90, 20, 200, 20])
    ahead = [store.fetched - number for number, _m in enumerate(S3Recording(store, "s3://traces/r").messages(), 1)]  # type: ignore[arg-type]
    # The 200 bytes alone are more than the bound; nothing is fetched beside them.
    assert max(ahead) <= 2 and store.fetched == 6


def test_memory_does_not_grow_with_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 4 * 2**20)
    size = 2**18

    def peak(objects: int) -> int:
        tracemalloc.start()
        for _message in S3Recording(Slow([size] * objects), "s3://traces/r").messages():  # type: ignore[arg-type]
            pass
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(40), peak(400)  # 10 and 100 MiB
    assert many < 1.2 * few and many < 4 * 2**20 + 6 * size


def test_reading_may_end_early(bucket: Bucket) -> None:
    for number in range(50):
        bucket.record(number, AT + timedelta(minutes=number))
    messages = bucket.read().messages()
    next(messages)
    messages.close()  # type: ignore[attr-defined]
    assert bucket.requests["GetObject"] <= module.AHEAD_OBJECTS + 1


def test_progress(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    for number in range(3):
        bucket.record(number, AT + timedelta(minutes=number), name=f"traces_{uuid.UUID(int=7 << 76)}")
    lines: list[str] = []
    list(bucket.read(progress=lines.append).messages())
    assert len(lines) == 4 and lines[-1].startswith("3 objects, 0.0 MiB read from s3://traces/recordings, up to 1970-")


# Refusals and answers that break off


class Front(Handler):
    """Refuses an action, or breaks answers off."""

    refuse = ""
    breaks = 0
    asked: ClassVar[Counter[str]]

    def do_GET(self) -> None:
        action = "list" if "list-type=2" in self.path else "get"
        type(self).asked[action] += 1
        if action == type(self).refuse:
            self.answer(403, xml("AccessDenied", "not for you"))
        elif action == "list":
            item = "<Key>r/a.json</Key><Size>20</Size><LastModified>2026-01-31T10:00:00Z</LastModified>"
            self.answer(200, f"<ListBucketResult><Contents>{item}</Contents></ListBucketResult>".encode())
        elif type(self).breaks:
            type(self).breaks -= 1
            self.send_response(200)
            self.send_header("Content-Length", "20")
            self.end_headers()
            self.wfile.write(b'{"reso')
            self.close_connection = True
        else:
            self.answer(200, b'{"resourceSpans":[]}')


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Front], S3Recording]]:
    class Mine(Front):
        asked: ClassVar[Counter[str]] = Counter()

    with serving(Mine) as url:
        yield Mine, S3Recording(Store.connect({**KEYS, "endpoint_url": url}), "s3://traces/r")


@pytest.mark.parametrize(("refuse", "action"), [("list", "s3:ListBucket"), ("get", "s3:GetObject")])
def test_a_refusal_names_the_action(front: tuple[type[Front], S3Recording], refuse: str, action: str) -> None:
    server, source = front
    server.refuse = refuse
    with pytest.raises(PermissionDenied, match=f"{action} on bucket traces was refused: AccessDenied: not for you"):
        list(source.messages())


def test_an_answer_that_breaks_off_is_asked_for_again(front: tuple[type[Front], S3Recording]) -> None:
    server, source = front
    server.breaks = 2
    assert [m.text for m in source.messages()] == [b'{"resourceSpans":[]}']
    assert server.asked["get"] == 3
    server.breaks = 100
    assert re.search("get_object on bucket traces failed|no answer from the S3 endpoint", refused(source))
    assert server.asked["get"] == 6


# Options


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://traces", "traces", ""),
        ("s3://traces/", "traces", ""),
        ("s3://traces/a/b", "traces", "a/b"),
        ("s3://traces//a/b/", "traces", "a/b"),
    ],
)
def test_locations(url: str, bucket: str, prefix: str) -> None:
    assert location(url) == (bucket, prefix)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://", "names no bucket"),
        ("s3:///a", "names no bucket"),
        ("s3://A_b/c", "lower-case"),
        ("s3://abc/d?e", r"\?"),
    ],
)
def test_locations_that_are_none(url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        location(url)


@pytest.mark.parametrize(
    ("values", "first", "end"),
    [
        ((2024,), "2024-01-01T00:00", "2025-01-01T00:00"),
        ((2024, 2), "2024-02-01T00:00", "2024-03-01T00:00"),
        ((2024, 12), "2024-12-01T00:00", "2025-01-01T00:00"),
        ((2024, 12, 31), "2024-12-31T00:00", "2025-01-01T00:00"),
        ((2024, 2, 29, 23), "2024-02-29T23:00", "2024-03-01T00:00"),
        ((2024, 2, 29, 23, 59), "2024-02-29T23:59", "2024-03-01T00:00"),
    ],
)
def test_times_of_folders(values: tuple[int, ...], first: str, end: str) -> None:
    assert [f"{time:%Y-%m-%dT%H:%M}" for time in folder_time(values)] == [first, end]


@pytest.mark.parametrize(
    ("options", "within"),
    [
        ({}, ALWAYS),
        ({"last": "1h"}, Range(AT - timedelta(hours=1))),
        ({"last": "90s", "end": "2026-01-31T10:00:00Z"}, Range(AT - timedelta(seconds=90), AT)),
        ({"start": "2026-01-31T10:00:00+02:00"}, Range(AT.replace(hour=8))),
        ({"start": "2026-01-31", "end": "2026-01-31 10:00"}, Range(AT.replace(hour=0), AT)),
    ],
)  # fmt: skip
def test_ranges(options: dict[str, str], within: Range) -> None:
    assert time_range(options, AT) == within


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last": "1 hour"}, "option s3.last is '1 hour'"),
        ({"last": "99999999999h"}, "option s3.last is"),
        ({"last": "0s"}, "option s3.last is '0s', which is not before now"),
        ({"last": "1h", "start": "2026-01-31"}, "options s3.start and s3.last are both given"),
        ({"start": "yesterday"}, "option s3.start is 'yesterday'.*Write it as 2026-01-31T10:00:00Z"),
        ({"start": "2026-02-01"}, "option s3.start .* is not before now"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "is not before s3.end"),
    ],
)
def test_ranges_that_are_none(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        time_range(options, AT)


def test_a_file_has_no_range(tmp_path: Any) -> None:
    assert isinstance(recording({"path": str(tmp_path / "a"), "s3": None}), FileRecording)
    with pytest.raises(InvalidInput, match=r"option s3.last is given, but path .* is a file"):
        recording({"path": str(tmp_path / "a"), "s3": {"last": "1h"}})


def test_a_message_with_a_problem_is_no_document() -> None:
    with pytest.raises(otlp.BrokenDocument, match="gone"):
        Message(1, "object x", problem="gone").document()


def test_not_found_of_another_kind_is_told_as_it_is(bucket: Bucket) -> None:
    with pytest.raises(NotFound):
        bucket.store.read("traces", "nothing")


def test_what_is_beside_may_be_forbidden(
    front: tuple[type[Front], S3Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that may list the prefix alone still learn that there is nothing."""
    server, source = front

    def folder_alone(self: Front) -> None:
        allowed = "prefix=r%2F" in self.path
        self.answer(200 if allowed else 403, b"<ListBucketResult/>" if allowed else xml("AccessDenied"))

    monkeypatch.setattr(server, "do_GET", folder_alone)
    assert "path s3://traces/r holds nothing. Check the prefix" in refused(source)
