# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said about buckets, and that it is what s3_bucket would set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket, info
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.s3.fake_store import (
    NOT_THERE,
    FakeStore,
    fake_store,
    xml,
)
from moto import mock_aws

OWN = {
    "Sid": "own",
    "Effect": "Allow",
    "Principal": {"AWS": "123456789012"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::traces/*",
}
LIST = (
    b"<ListAllMyBucketsResult><Buckets><Bucket><Name>%s</Name><CreationDate>2026-01-02T03:04:05Z</CreationDate>"
    b"</Bucket></Buckets></ListAllMyBucketsResult>"
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.fixture
def server() -> Iterator[FakeStore]:
    with fake_store() as store:
        yield store


def connect(**given: Any) -> Store:
    return Store.connect({"region": "us-east-1", "access_key": "a", "secret_key": "b", **given})


def converge(store: Store, **given: Any) -> bool:
    """Whether s3_bucket changes something with these options."""
    params = {"name": "traces", "state": "present", "on_unsupported": "fail", **given}
    bucket.check_options(params)
    state = bucket.read(store, params)
    plan = bucket.make_plan(state, params)
    bucket.apply(store, params, state, plan)
    return plan.changed


FULL: dict[str, Any] = {
    "public_access_block": {"block_public_acls": True},
    "object_ownership": "ObjectWriter",
    "encryption": "sse_kms",
    "kms_key_id": "alias/traces",
    "bucket_key_enabled": True,
    "versioning": True,
    "object_lock_enabled": True,
    "object_lock_default_retention": {"mode": "COMPLIANCE", "days": 2},
    "lifecycle_rules": [
        {"ID": "all", "Prefix": None, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        {"ID": "some", "Filter": {"And": {"Prefix": "a/", "ObjectSizeLessThan": 9}}, "Expiration": {"Days": 3}},
    ],
    "tags": {"a": "b", "empty": ""},
    "policy": [OWN],
    "tls_only": True,
    "minimum_tls_version": "1.3",
}


@mock_aws
@pytest.mark.parametrize(
    "given",
    [
        FULL,
        {},
        {"versioning": True, "encryption": "AES256", "tls_only": True},
        {"encryption": "aws:kms:dsse"},
        {"policy": {"Version": "2008-10-17", "Id": "old", "Statement": [OWN]}},
        {"minimum_tls_version": "1.2"},
    ],
)
def test_what_is_told_can_be_fed_back_and_changes_nothing(given: dict[str, Any]) -> None:
    store = connect()
    assert converge(store, **given)
    [found] = info.one(store, "traces", info.NAMES)
    assert found.unsupported == found.unreadable == []
    # Every option of every aspect is said, so that nothing is left to chance.
    assert {"public_access_block", "versioning", "tags", "policy", "tls_only", "object_ownership"} < set(found.options)
    assert not converge(store, **found.options)

    # On another bucket, the first time changes what is needed, and then both are told alike.
    def renamed(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("arn:aws:s3:::traces", "arn:aws:s3:::copy"))

    copy = renamed({**found.options, "name": "copy"})
    assert converge(store, **copy) and not converge(store, **copy)
    [other] = info.one(store, "copy", info.NAMES)
    assert other.options == copy


@mock_aws
def test_one_bucket() -> None:
    store = connect()
    converge(store, **FULL)
    before = store.api_calls
    [found] = info.one(store, "traces", info.NAMES)
    # HEAD, the list for the date, and eight documents.
    assert store.api_calls - before == 10
    assert (found.name, found.arn, found.region) == ("traces", "arn:aws:s3:::traces", "us-east-1")
    assert found.creation_date and found.creation_date.endswith("Z")
    assert found.options["encryption"] == "sse_kms" and found.options["kms_key_id"] == "alias/traces"
    assert found.options["policy"] == [OWN] and found.options["tls_only"] is True
    assert found.options["object_lock_default_retention"] == {"mode": "COMPLIANCE", "days": 2}
    assert info.one(store, "nowhere", info.NAMES) == []


@mock_aws
def test_some_aspects() -> None:
    store = connect()
    converge(store, tags={"a": "b"})
    before = store.api_calls
    [found] = info.one(store, "traces", ["tags"])
    assert found.options == {"name": "traces", "tags": {"a": "b"}} and store.api_calls - before == 3


@mock_aws
def test_all_buckets() -> None:
    store = connect()
    assert info.every(store, []) == []
    for name in ("three", "one", "two"):
        converge(store, name=name, tags={"n": name})
    before = store.api_calls
    found = info.every(store, [])
    assert [(one.name, one.options) for one in found] == [(n, {"name": n}) for n in ("one", "three", "two")]
    assert store.api_calls - before == 1
    assert [one.options["tags"] for one in info.every(store, ["tags"])] == [{"n": n} for n in ("one", "three", "two")]


def test_a_list_of_several_pages(server: FakeStore) -> None:
    token = b"</Buckets><ContinuationToken>more</ContinuationToken>"
    server.answers["GET", "/"] = (200, (LIST % b"one").replace(b"</Buckets>", token))
    server.answers["GET", "continuation-token"] = (200, LIST % b"two")
    say = server.say
    server.say = lambda m, key, body: (200, LIST % b"two") if len(server.seen) == 2 else say(m, key, body)  # type: ignore[method-assign]
    assert [one.name for one in info.every(connect(endpoint_url=server.url), [])] == ["one", "two"]


def test_what_a_store_lacks_and_what_may_not_be_read(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.answers["GET", "policy"] = (403, xml("AccessDenied", "no"))
    server.answers["GET", "/"] = (200, LIST % b"traces")
    store = connect(endpoint_url=server.url)
    [one], [listed] = info.one(store, "traces", info.NAMES), info.every(store, info.NAMES)
    assert (
        one.unsupported
        == listed.unsupported
        == [{"feature": "public_access_block", "answer": "NotImplemented: no such thing here"}]
    )
    assert [entry["feature"] for entry in one.unreadable] == ["policy"]
    assert "s3:GetBucketPolicy on bucket traces was refused" in one.unreadable[0]["answer"]
    assert one.options == listed.options and "policy" not in one.options
    assert one.creation_date == "2026-01-02T03:04:05Z"
    assert not converge(store, **one.options)


@pytest.mark.parametrize("answer", [(403, xml("AccessDenied")), (501, xml("NotImplemented")), (200, LIST % b"other")])
def test_a_bucket_that_is_not_in_the_list_has_no_date(server: FakeStore, answer: Any) -> None:
    server.answers["GET", "/"] = answer
    [one] = info.one(connect(endpoint_url=server.url), "traces", [])
    assert (one.creation_date, one.region) == (None, "us-east-1")


def test_other_failures_are_not_hidden(server: FakeStore) -> None:
    store = connect(endpoint_url=server.url)
    server.answers["GET", "/"] = (400, xml("Broken"))
    for read in (lambda: info.one(store, "traces", []), lambda: info.every(store, [])):
        with pytest.raises(TracingError, match="Broken"):
            read()
    server.answers["HEAD", ""] = (403, b"")
    server.answers["GET", "location"] = (403, xml("AccessDenied"))
    with pytest.raises(PermissionDenied):
        info.one(store, "traces", [])


def test_a_bucket_that_vanishes_after_it_was_listed(server: FakeStore) -> None:
    server.answers["GET", "/"] = (200, LIST % b"traces")
    server.answers["GET", "tagging"] = (404, xml("NoSuchBucket"))
    assert info.every(connect(endpoint_url=server.url), ["tags"]) == []
