# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What users of amazon.aws.s3_bucket and community.aws.s3_lifecycle reported: each of it cannot happen here.

One test for each complaint, by its issue. Each runs the whole module, against moto as AWS or against a stand-in of the
store that the report is about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket
from ansible_collections.orion.tracing.plugins.modules import s3_bucket
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.s3.fake_store import (
    NOT_IMPLEMENTED,
    NOT_THERE,
    Answer,
    FakeStore,
    fake_store,
    xml,
)
from moto import mock_aws

ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
EXPIRE = {"Expiration": {"Days": 30}}
STATEMENT = {
    "Sid": "read",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Action": ["s3:GetObject"],
    "Resource": ["arn:aws:s3:::traces/*"],
}
METHOD_NOT_ALLOWED: Answer = (
    405,
    xml("MethodNotAllowed", "The specified method is not allowed against this resource."),
)
# What a Ceph Object Gateway has no answer to.
CEPH: dict[tuple[str, str], Answer] = {
    **NOT_THERE,
    ("GET", "publicAccessBlock"): (404, xml("NoSuchPublicAccessBlockConfiguration")),
    ("GET", "ownershipControls"): METHOD_NOT_ALLOWED,
    ("GET", "accelerate"): METHOD_NOT_ALLOWED,
    ("GET", "requestPayment"): NOT_IMPLEMENTED,
    ("GET", "inventory"): METHOD_NOT_ALLOWED,
    ("GET", "logging"): METHOD_NOT_ALLOWED,
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(bucket, "PATIENCE", (0.0,))


@pytest.fixture
def store() -> Iterator[FakeStore]:
    with fake_store() as fake:
        fake.answers.update(NOT_THERE)
        yield fake


class Task:
    """Runs the module; the second time a task with the same options is run, nothing may change."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, **arguments: Any) -> dict[str, Any]:
        given = patch_module_args({"name": "traces", **arguments})
        # Ansible collects warnings for a whole process, and elsewhere if that has loaded its controller.
        with given, patch.object(TracingModule, "warn") as warn, pytest.raises(SystemExit):
            s3_bucket.main()
        result: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return {**result, "warnings": [call.args[0] for call in warn.call_args_list]}

    def twice(self, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        first, second = self(**arguments), self(**arguments)
        assert not first.get("failed") and not second.get("failed"), (first, second)
        assert first["changed"] and not second["changed"] and second["steps"] == []
        return first, second


@pytest.fixture
def task(capsys: pytest.CaptureFixture[str]) -> Task:
    return Task(capsys)


def test_always_changed_on_ceph(task: Task, store: FakeStore) -> None:
    """amazon.aws#2139: s3_bucket always reports changed=true on Ceph, also if the bucket exists."""
    store.answers.update(CEPH)
    # Ceph lets the owner create a bucket again and again.
    store.answers["PUT", ""] = (200, b"")
    assert not task(endpoint_url=store.url)["changed"]
    assert store.asked() == [("HEAD", "")]
    task.twice(
        endpoint_url=store.url,
        versioning=True,
        tags={"a": "b"},
        policy=[STATEMENT],
        lifecycle_rules=[ABORT],
        public_access_block=True,
    )
    writes = store.asked("PUT")
    assert ("PUT", "") not in writes and len(writes) == 5


@pytest.mark.parametrize("answer", [NOT_IMPLEMENTED, METHOD_NOT_ALLOWED, (400, xml("UnsupportedArgument"))])
def test_transfer_acceleration_breaks_other_providers(task: Task, store: FakeStore, answer: Answer) -> None:
    """amazon.aws#2220, #2180: a feature that nobody asked for fails the module on stores that do not have it.

    amazon.aws#2266: likewise in AWS regions without it, where the answer is MethodNotAllowed.
    """
    store.answers["GET", "accelerate"] = answer
    task.twice(endpoint_url=store.url, tags={"a": "b"})
    assert ("GET", "accelerate") not in store.asked()


def test_request_payment_breaks_a_policy_on_ceph(task: Task, store: FakeStore) -> None:
    """amazon.aws#2447: a policy cannot be set, because GetBucketRequestPayment is not implemented."""
    store.answers.update(CEPH)
    task.twice(endpoint_url=store.url, policy=json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}))
    assert set(store.asked()) == {("HEAD", ""), ("GET", "policy"), ("PUT", "policy")}


@pytest.mark.parametrize("answer", [NOT_IMPLEMENTED, (403, xml("AccessDenied")), (400, xml("InvalidArgument"))])
def test_encryption_breaks_digitalocean(task: Task, store: FakeStore, answer: Answer) -> None:
    """amazon.aws#390: Spaces has no bucket encryption, and the module fails at reading what was not asked for."""
    store.answers["GET", "encryption"] = answer
    task.twice(endpoint_url=store.url, versioning=True)


def test_what_is_asked_for_and_lacking_is_told(task: Task, store: FakeStore) -> None:
    """amazon.aws#2775: the answer of a store without encryption is cryptic, and nothing says what to do."""
    store.answers["GET", "encryption"] = NOT_IMPLEMENTED
    failed = task(endpoint_url=store.url, encryption="AES256", tags={"a": "b"})
    assert "does not support encryption (NotImplemented: no such thing here)" in failed["msg"]
    assert "on_unsupported: warn" in failed["msg"] and store.asked("PUT") == []


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", None])
def test_location_constraint_is_sent_to_ceph(
    task: Task, store: FakeStore, region: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """amazon.aws#2420: the region that boto3 has by default is sent as LocationConstraint, which Ceph refuses."""
    monkeypatch.delenv("AWS_REGION")
    store.answers.update(CEPH)
    store.answers["HEAD", ""] = (404, b"")
    assert task(endpoint_url=store.url, **({"region": region} if region else {}))["changed"]
    [body] = [body for method, key, _headers, body in store.seen if (method, key) == ("PUT", "")]
    assert b"LocationConstraint" not in body


@mock_aws
@pytest.mark.parametrize("region", ["us-east-1", "eu-north-1", "ap-east-1"])
def test_some_regions_of_aws_fail(task: Task, region: str) -> None:
    """amazon.aws#2266: the module always fails in eu-north-1."""
    task.twice(region=region, versioning=True)
    location = boto3.client("s3", region).get_bucket_location(Bucket="traces")["LocationConstraint"]
    assert location == (None if region == "us-east-1" else region)


@mock_aws
@pytest.mark.parametrize("extra", [{}, {"bucket_key_enabled": False}])
def test_aes256_always_failed(task: Task, extra: dict[str, Any]) -> None:
    """amazon.aws#2734: AES256 is refused even with bucket_key_enabled: false, which is the only value that it has."""
    task.twice(encryption="AES256", **extra)
    assert not task(encryption="sse_s3", **extra)["changed"]


@mock_aws
def test_lifecycle_writes_without_a_change(task: Task) -> None:
    """community.aws#1624: s3_lifecycle writes the rules again, although none has changed."""
    rules = [
        {"ID": "a", "Prefix": "a/", "Status": "Enabled", **EXPIRE},
        {"ID": "b", "Filter": {"Prefix": "b/"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 21}},
    ]
    _first, second = task.twice(lifecycle_rules=rules)
    assert second["api_calls"] == 2


@pytest.mark.parametrize(
    "prefix", [{}, {"Prefix": None}, {"Prefix": ""}, {"Filter": {"Prefix": None}}, {"Filter": {}}, {"Filter": None}]
)
@pytest.mark.parametrize("answer", [b"<Prefix/>", b"<Filter/>", b"<Filter><Prefix/></Filter>", b"<Prefix></Prefix>"])
def test_null_prefix_adds_the_rule_again_at_each_run(
    task: Task, store: FakeStore, prefix: dict[str, Any], answer: bytes
) -> None:
    """community.aws#2372: a rule without a prefix is added at each run, under another random ID each time."""
    store.answers["GET", "lifecycle"] = (
        200,
        b"<LifecycleConfiguration><Rule><ID>5voiavj06zkjjrhwud</ID>%s<Status>Enabled</Status><Expiration><Days>30</Days>"
        b"</Expiration></Rule></LifecycleConfiguration>" % answer,
    )
    assert not task(endpoint_url=store.url, lifecycle_rules=[{**prefix, **EXPIRE}])["changed"]
    assert store.asked("PUT") == []


def test_rules_pile_up(task: Task, store: FakeStore) -> None:
    """community.aws#2374: a rule with rule_id is added beside those of the same content with IDs that S3 made up."""
    many = b"".join(
        b"<Rule><ID>made-up-%d</ID><Prefix/><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>" % n
        for n in range(4)
    )
    store.answers["GET", "lifecycle"] = (200, b"<LifecycleConfiguration>%s</LifecycleConfiguration>" % many)
    task.twice(endpoint_url=store.url, lifecycle_rules=[{"ID": "ID-1", "Prefix": "", **EXPIRE}])
    assert store.kept["lifecycle"].count(b"<Rule>") == 1 and b"ID-1" in store.kept["lifecycle"]


class Old:
    """A store from before botocore 1.36: Content-MD5 where S3 wants a checksum, and no other one."""

    def __init__(self, store: FakeStore) -> None:
        self.store, self.say = store, store.say

    def __call__(self, method: str, key: str, body: bytes) -> Answer:
        headers = self.store.seen[-1][2]
        newer = [name for name in headers if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"))]
        if newer:
            return 400, xml("InvalidArgument", f"{newer[0]} is not known")
        if (
            method in ("PUT", "POST")
            and key in ("lifecycle", "tagging", "policy", "delete")
            and ("content-md5" not in headers)
        ):
            return 400, xml("InvalidRequest", "Missing required header for this request: Content-MD5")
        return self.say(method, key, body)


def test_newer_checksums_break_other_stores(task: Task, store: FakeStore) -> None:
    """boto/botocore#3415: since botocore 1.36 lifecycle rules cannot be put, as CRC32 has taken Content-MD5's place."""
    store.say = Old(store)  # type: ignore[method-assign]
    task.twice(
        endpoint_url=store.url,
        lifecycle_rules=[EXPIRE],
        tags={"a": "b"},
        policy=[STATEMENT],
        versioning=True,
        encryption="AES256",
    )
    versions = b"<ListVersionsResult><Version><Key>k</Key><VersionId>v</VersionId></Version></ListVersionsResult>"
    store.answers["GET", "versions"] = (200, versions)
    assert task(endpoint_url=store.url, state="absent", force_empty=True)["emptied"]["versions"] == 1


def test_no_md5_under_fips(task: Task, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """community.aws#2057: without MD5, s3_lifecycle sends no checksum at all, and S3 refuses the rules."""

    def fips(*_: Any, **__: Any) -> Any:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hashlib, "md5", fips)
    assert task(endpoint_url=store.url, lifecycle_rules=[EXPIRE])["changed"]
    [headers] = [headers for method, _key, headers, _body in store.seen if method == "PUT"]
    assert "x-amz-checksum-crc32" in headers
    with mock_aws():
        task.twice(lifecycle_rules=[EXPIRE])


def minio(store: FakeStore) -> None:
    """MinIO: no AbortIncompleteMultipartUpload in lifecycle rules."""
    say = store.say

    def answer(method: str, key: str, body: bytes) -> Answer:
        if (method, key) == ("PUT", "lifecycle") and b"AbortIncomplete" in body:
            return 400, xml("MalformedXML", "The XML you provided was not well-formed")
        return say(method, key, body)

    store.say = answer  # type: ignore[method-assign]


def test_minio_rejects_abort_incomplete_multipart_upload(task: Task, store: FakeStore) -> None:
    """minio/minio#16120, #15681: rules with AbortIncompleteMultipartUpload are refused as malformed XML."""
    minio(store)
    rules = [{"ID": "abort", **ABORT}, {"ID": "both", **ABORT, **EXPIRE}]
    wish = {"endpoint_url": store.url, "lifecycle_rules": rules, "tags": {"a": "b"}}
    failed = task(**wish)
    assert "does not support lifecycle_rules[].AbortIncompleteMultipartUpload (MalformedXML" in failed["msg"]
    assert failed["unsupported"][0]["feature"] == "lifecycle_rules[].AbortIncompleteMultipartUpload"
    # Allowed to, it does without, says so each time, and changes nothing the second time.
    first, second = task.twice(**wish, on_unsupported="warn", _ansible_diff=True)
    for result in (first, second):
        assert [lacking["feature"] for lacking in result["unsupported"]] == [failed["unsupported"][0]["feature"]]
        assert "AbortIncompleteMultipartUpload" in str(result["warnings"])
    assert store.kept["lifecycle"].count(b"<Rule>") == 1 and b"<ID>both</ID>" in store.kept["lifecycle"]
    assert "Abort" not in first["diff"][0]["after"] and first["steps"] == ["put lifecycle_rules", "put tags"]


def test_minio_refuses_a_rule_that_only_aborts(task: Task, store: FakeStore) -> None:
    """minio/minio#16120: the same, where nothing else remains of the document."""
    minio(store)
    for _run in range(2):
        result = task(endpoint_url=store.url, lifecycle_rules=[ABORT], on_unsupported="warn")
        assert not result["changed"] and result["unsupported"] and "lifecycle" not in store.kept


def test_minio_forgets_abort_incomplete_multipart_upload(task: Task, store: FakeStore) -> None:
    """minio/minio#19115: beside another action it is accepted, and is not there afterwards."""
    abort = (
        b"<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    )
    store.change["lifecycle"] = lambda body: body.replace(abort, b"")
    wish = {"endpoint_url": store.url, "lifecycle_rules": [{"ID": "both", **ABORT, **EXPIRE}]}
    assert "it accepts the document, but afterwards it has" in task(**wish)["msg"]
    store.kept.clear()
    first, second = task.twice(**wish, on_unsupported="warn")
    assert first["unsupported"] and second["unsupported"]


def test_no_users_and_keys_of_minio() -> None:
    """community.aws#1587: they are no part of the S3 API; the documentation says so."""
    assert "community.aws#1587" in s3_bucket.DOCUMENTATION and "administration" in s3_bucket.DOCUMENTATION


@mock_aws
def test_check_mode_skips_the_task(task: Task) -> None:
    """ansible/ansible#27232: with --check, the module is skipped, so nobody learns what would change."""
    wish = {
        "versioning": True,
        "tags": {"a": "b"},
        "lifecycle_rules": [ABORT],
        "encryption": "AES256",
        "tls_only": True,
    }
    would = task(**wish, _ansible_check_mode=True, _ansible_diff=True)
    assert would["changed"] and "skipped" not in would and would["bucket"]["exists"]
    assert [entry["after_header"].split(": ")[1] for entry in would["diff"]] == [
        "bucket",
        "encryption",
        "versioning",
        "lifecycle_rules",
        "tags",
        "policy",
    ]
    assert boto3.client("s3", "us-east-1").list_buckets()["Buckets"] == []
    did, _again = task.twice(**wish, _ansible_diff=True)
    assert did["diff"] == would["diff"]


@mock_aws
def test_every_run_reads_everything(task: Task) -> None:
    """amazon.aws.s3_bucket reads about thirteen documents in each run, whatever was asked for."""
    task.twice(tags={"a": "b"})
    assert task(tags={"a": "b"})["api_calls"] == 2
    assert task()["api_calls"] == 1
