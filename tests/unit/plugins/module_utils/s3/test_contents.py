# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emptying a bucket: against moto for AWS, and against a small HTTP server for what other stores answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    Conflict,
    PartialFailure,
    PermissionDenied,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket, contents
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.contents import Contents
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.s3.fake_store import (
    NOT_IMPLEMENTED,
    FakeStore,
    fake_store,
    xml,
)
from moto import mock_aws

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(contents.time, "sleep", lambda seconds: None)


@pytest.fixture
def server() -> Iterator[FakeStore]:
    with fake_store() as store:
        yield store


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """boto3's client of a store with the bucket traces.

    moto is not safe to use from several threads, and deletions run while the next page is listed: so one call at a
    time.
    """
    call, lock = Store.call, threading.Lock()

    def alone(store: Store, name: str, request: Call) -> Any:
        with lock:
            return call(store, name, request)

    monkeypatch.setattr(Store, "call", alone)
    with mock_aws():
        client = connect()._client
        client.create_bucket(Bucket="traces")
        yield client


def options(**given: Any) -> dict[str, Any]:
    return {
        "name": "traces",
        "state": "absent",
        "force_empty": True,
        "on_unsupported": "fail",
        "region": "us-east-1",
        "access_key": "a",
        "secret_key": "b",
        **given,
    }


def connect(**given: Any) -> Store:
    return Store.connect(options(**given))


def run(check_mode: bool = False, progress: Any = lambda line: None, **given: Any) -> tuple[Plan, Store]:
    """What the module does."""
    params = options(**given)
    bucket.check_options(params)
    store = Store.connect(params)
    state = bucket.read(store, params)
    plan = bucket.make_plan(state, params)
    if not check_mode:
        bucket.apply(store, params, state, plan, progress)
    return plan, store


def emptied(plan: Plan) -> Contents:
    return Contents(**plan.result["emptied"])


def fill(client: Any, versions: int, markers: int = 0, uploads: int = 0, versioning: bool = True) -> None:
    if versioning:
        client.put_bucket_versioning(Bucket="traces", VersioningConfiguration={"Status": "Enabled"})
    for number in range(versions):
        # Keys with what XML or a URL cannot hold as it is.
        client.put_object(Bucket="traces", Key=f"a b/ü+&/{number % 7}", Body=b"x")
    for number in range(markers):
        client.delete_object(Bucket="traces", Key=f"a b/ü+&/{number % 7}")
    for number in range(uploads):
        client.create_multipart_upload(Bucket="traces", Key=f"upload {number}")


def test_everything_in_a_bucket_is_deleted_in_batches(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PAGE", 10)
    fill(aws, versions=25, markers=9, uploads=3)
    would, store = run(check_mode=True)
    # HEAD and the first page of three lists, whatever is in the bucket.
    assert store.api_calls == 4
    assert [s.name for s in would.steps] == ["empty bucket", "delete bucket"]
    assert would.result["emptied"]["more"] and would.result["emptied"]["versions"] < 25
    assert "or more" in would.diff[0]["before"] and would.diff[0]["after"] == ""
    lines: list[str] = []
    did, store = run(progress=lines.append)
    assert emptied(did) == Contents(25, 9, 3)
    assert [s.name for s in did.steps] == ["empty bucket", "delete bucket"]
    assert lines[-1].startswith("25 versions and 9 delete markers deleted, 3 uploads aborted (")
    # HEAD and the look; four pages of versions and four deletions; one page of uploads and three aborts; the bucket.
    assert store.api_calls == 4 + 4 + 4 + 1 + 3 + 1
    again, store = run()
    assert (again.changed, emptied(again), store.api_calls) == (False, contents.NOTHING, 4)


def test_a_bucket_that_never_had_versions(aws: Any) -> None:
    fill(aws, versions=7, versioning=False)
    assert emptied(run(check_mode=True)[0]) == emptied(run()[0]) == Contents(versions=7)
    assert not run()[0].changed


def test_without_force_the_look_is_small_and_sees_what_is_behind_delete_markers(aws: Any) -> None:
    run(state="present", force_empty=False)
    assert [s.name for s in run(check_mode=True, force_empty=False)[0].steps] == ["delete bucket"]
    fill(aws, versions=1)
    aws.delete_object(Bucket="traces", Key="a b/ü+&/0")
    for check_mode in (True, False):
        with pytest.raises(Conflict, match="is not empty.*or set force_empty: true"):
            run(check_mode=check_mode, force_empty=False)
    # With state present the option means nothing.
    assert not run(state="present")[0].changed
    assert emptied(run()[0]) == Contents(1, 1)


def test_an_empty_bucket_is_only_deleted(aws: Any) -> None:
    plan = run()[0]
    assert [s.name for s in plan.steps] == ["delete bucket"] and emptied(plan) == contents.NOTHING


def test_object_lock_is_respected_and_every_refusal_named() -> None:
    with mock_aws():
        client = connect()._client
        client.create_bucket(Bucket="traces", ObjectLockEnabledForBucket=True)
        fill(client, versions=2, markers=1)
        until = datetime.now(UTC) + timedelta(days=1)
        locked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        client.put_object(Bucket="traces", Key="locked", Body=b"x", **locked)
        with pytest.raises(PartialFailure, match="1 of its versions and delete markers cannot be deleted") as failed:
            run()
        details = failed.value.details
        assert (details["done"], details["not_done"]) == ([], ["delete bucket"])
        assert details["error_count"] == 1 and details["emptied"]["versions"] == 2
        assert details["errors"][0] == {
            "key": "locked",
            "version_id": details["errors"][0]["version_id"],
            "code": "AccessDenied",
            "message": "Access Denied because object protected by object lock.",
        }
        assert "retention and legal holds are respected" in str(failed.value)
        left = client.list_object_versions(Bucket="traces")
        assert [v["Key"] for v in left["Versions"]] == ["locked"] and "DeleteMarkers" not in left


def test_a_run_that_was_interrupted_is_continued(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PAGE", 5)
    monkeypatch.setattr(contents, "WORKERS", 1)
    fill(aws, versions=20)
    call, deletions = Store.call, iter(range(100))

    def interrupted(store: Store, name: str, request: Call) -> Any:
        if request.operation == "delete_objects" and next(deletions) == 2:
            raise KeyboardInterrupt
        return call(store, name, request)

    monkeypatch.setattr(Store, "call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run()
    # What was under way when it was interrupted is done all the same, or not.
    assert 0 < emptied(run()[0]).versions <= 10


def test_somebody_writes_while_the_bucket_is_deleted(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(aws, versions=3)
    call, lines = Store.call, list[str]()
    late = iter(["late"])

    def busy(store: Store, name: str, request: Call) -> Any:
        if request.operation == "delete_bucket":
            for key in late:
                aws.put_object(Bucket="traces", Key=key, Body=b"x")
        return call(store, name, request)

    monkeypatch.setattr(Store, "call", busy)
    plan = run(progress=lines.append)[0]
    assert emptied(plan) == Contents(versions=4) and "the bucket has got new objects meanwhile" in lines
    # Somebody who never stops is told about.
    aws.create_bucket(Bucket="traces")

    def busy_for_ever(store: Store, name: str, request: Call) -> Any:
        if request.operation == "delete_bucket":
            aws.put_object(Bucket="traces", Key="late", Body=b"x")
        return call(store, name, request)

    monkeypatch.setattr(Store, "call", busy_for_ever)
    with pytest.raises(Conflict, match="is not empty"):
        run()


def test_a_bucket_that_somebody_else_deletes_meanwhile(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Store.call

    def gone(store: Store, name: str, request: Call) -> Any:
        if request.operation == "delete_bucket":
            aws.delete_bucket(Bucket="traces")
        return call(store, name, request)

    monkeypatch.setattr(Store, "call", gone)
    assert run()[0].changed


def test_progress_is_told_now_and_then(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PAGE", 2)
    monkeypatch.setattr(contents, "INTERVAL", 0.0)
    monkeypatch.setattr(contents, "WORKERS", 1)
    fill(aws, versions=12)
    lines: list[str] = []
    run(progress=lines.append)
    assert len(lines) > 2 and lines[-1].startswith("12 versions and 0 delete markers deleted (")


def test_deletions_run_at_the_same_time(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PAGE", 1)
    fill(aws, versions=contents.WORKERS)
    everybody, call = threading.Barrier(contents.WORKERS, timeout=10), Store.call

    def wait(store: Store, name: str, request: Call) -> Any:
        if request.operation == "delete_objects":
            everybody.wait()
        return call(store, name, request)

    monkeypatch.setattr(Store, "call", wait)
    assert emptied(run()[0]).versions == contents.WORKERS


# --- other stores

VERSIONS = (
    b"<ListVersionsResult>"
    + b"".join(b"<Version><Key>k%d</Key><VersionId>v</VersionId></Version>" % number for number in range(3))
    + b"<DeleteMarker><Key>k0</Key><VersionId>m</VersionId></DeleteMarker></ListVersionsResult>"
)


def refuse(code: str, *keys: str, version: str = "") -> bytes:
    version = f"<VersionId>{version}</VersionId>" if version else ""
    errors = [f"<Error><Key>{key}</Key>{version}<Code>{code}</Code><Message>no</Message></Error>" for key in keys]
    return f"<DeleteResult>{''.join(errors)}</DeleteResult>".encode()


def test_deletions_carry_md5_on_other_stores(server: FakeStore) -> None:
    server.answers["GET", "versions"] = (200, VERSIONS)
    assert emptied(run(endpoint_url=server.url)[0]) == Contents(3, 1)
    headers, body = next((h, b) for m, key, h, b in server.seen if (m, key) == ("POST", "delete"))
    assert "content-md5" in headers and b"<Quiet>true</Quiet>" in body and body.count(b"<VersionId>") == 4
    assert not [name for name in headers if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]
    assert ("DELETE", "") in server.asked()


def test_refusals_that_are_for_the_moment_are_tried_again(server: FakeStore) -> None:
    answers = iter([refuse("SlowDown", "k0", "k2"), refuse("InternalError", "k2", version="v"), b"<DeleteResult/>"])
    server.answers["GET", "versions"] = (200, VERSIONS)
    say = server.say
    server.say = lambda m, key, body: (200, next(answers)) if key == "delete" else say(m, key, body)  # type: ignore[method-assign]
    assert emptied(run(endpoint_url=server.url)[0]) == Contents(3, 1)
    bodies = [body for _m, key, _h, body in server.seen if key == "delete"]
    # An error without a version is of every version of that key.
    assert [body.count(b"<Object>") for body in bodies] == [4, 3, 1]


def test_refusals_that_stay_are_told(server: FakeStore) -> None:
    server.answers["GET", "versions"] = (200, VERSIONS)
    server.answers["POST", "delete"] = (200, refuse("SlowDown", "k1", "not in the batch"))
    with pytest.raises(PartialFailure, match=r"k1 \(version v\): SlowDown: no.*what is gone stays gone") as failed:
        run(endpoint_url=server.url)
    assert failed.value.details["error_count"] == 1
    assert failed.value.details["emptied"] == {"versions": 2, "delete_markers": 1, "uploads": 0, "more": False}
    assert len([key for _m, key in server.asked() if key == "delete"]) == contents.ATTEMPTS
    assert ("DELETE", "") not in server.asked()


def test_too_many_refusals_end_the_run(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PAGE", 1)
    monkeypatch.setattr(contents, "WORKERS", 1)
    monkeypatch.setattr(contents, "ERRORS", 2)
    monkeypatch.setattr(contents, "SHOWN", 1)
    fill(aws, versions=50)
    call, deletions = Store.call, list[Call]()

    def refused(store: Store, name: str, request: Call) -> Any:
        if request.operation != "delete_objects":
            return call(store, name, request)
        deletions.append(request)
        entry = request.arguments["Delete"]["Objects"][0]
        return {"Errors": [{**entry, "Code": "AccessDenied", "Message": "no"}]}

    monkeypatch.setattr(Store, "call", refused)
    with pytest.raises(PartialFailure) as failed:
        run()
    assert len(deletions) < 10 and failed.value.details["error_count"] == len(deletions)
    assert len(failed.value.details["errors"]) == 1


def test_a_store_without_batches_versions_and_uploads(server: FakeStore) -> None:
    objects = b"<ListBucketResult><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></ListBucketResult>"
    server.answers.update(
        {
            ("GET", "versions"): NOT_IMPLEMENTED,
            ("GET", "uploads"): NOT_IMPLEMENTED,
            ("GET", "list-type"): (200, objects),
            ("POST", "delete"): NOT_IMPLEMENTED,
            ("DELETE", ""): (204, b""),
        }
    )
    assert emptied(run(check_mode=True, endpoint_url=server.url)[0]) == Contents(versions=2)
    assert emptied(run(endpoint_url=server.url)[0]) == Contents(versions=2)
    # Two objects, and the bucket.
    assert server.asked("DELETE") == [("DELETE", "")] * 3
    server.answers["DELETE", ""] = (404, xml("NoSuchKey"))
    assert run(endpoint_url=server.url)[0].changed
    server.answers["DELETE", ""] = (403, xml("AccessDenied", "locked"))
    with pytest.raises(PartialFailure, match=r"a \(version none\): AccessDenied: AccessDenied: locked"):
        run(endpoint_url=server.url)


def test_a_store_that_goes_away_is_not_taken_for_a_refusal(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(aws, versions=1)
    emptying = contents.Emptying(connect(), "traces", lambda line: None)
    emptying.batches = False

    def silent(store: Store, name: str, request: Call) -> Any:
        raise TracingError("no answer")

    monkeypatch.setattr(Store, "call", silent)
    with pytest.raises(TracingError, match="no answer"):
        emptying._send([contents.ListedVersion("k", "v")])


def test_a_list_that_says_more_without_saying_where_ends(server: FakeStore) -> None:
    truncated = b"<IsTruncated>true</IsTruncated></ListVersionsResult>"
    server.answers["GET", "versions"] = (200, VERSIONS.replace(b"</ListVersionsResult>", truncated))
    assert emptied(run(endpoint_url=server.url)[0]) == Contents(3, 1)
    # The look, and one pass.
    assert len([key for _m, key in server.asked("GET") if key == "versions"]) == 2
    marker = b"<NextKeyMarker>k2</NextKeyMarker>" + truncated
    server.answers["GET", "versions"] = (200, VERSIONS.replace(b"</ListVersionsResult>", marker))
    server.seen.clear()
    # A page that leads to itself is asked for once more.
    assert emptied(run(endpoint_url=server.url)[0]) == Contents(6, 2)


def test_what_is_behind_the_first_page_counts_as_something(server: FakeStore) -> None:
    marker = b"<ListVersionsResult><DeleteMarker><Key>k</Key></DeleteMarker>%s</ListVersionsResult>"
    server.answers["GET", "versions"] = (200, marker % b"")
    assert run(check_mode=True, endpoint_url=server.url, force_empty=False)[0].changed
    server.answers["GET", "versions"] = (200, marker % b"<IsTruncated>true</IsTruncated>")
    with pytest.raises(Conflict, match="is not empty"):
        run(check_mode=True, endpoint_url=server.url, force_empty=False)


def test_uploads_that_end_meanwhile_and_those_that_may_not_be_listed(server: FakeStore) -> None:
    upload = b"<Upload><Key>u</Key><UploadId>1</UploadId></Upload>"
    server.answers["GET", "uploads"] = (200, b"<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>" % upload)
    server.answers["DELETE", "uploadId"] = (404, xml("NoSuchUpload"))
    plan = run(endpoint_url=server.url)[0]
    assert [s.name for s in plan.steps] == ["empty bucket", "delete bucket"] and emptied(plan) == contents.NOTHING
    server.answers["GET", "uploads"] = (403, xml("AccessDenied"))
    with pytest.raises(PermissionDenied, match="s3:ListBucketMultipartUploads"):
        run(check_mode=True, endpoint_url=server.url)
