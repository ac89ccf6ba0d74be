# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole bucket: against moto for AWS, and against a small HTTP server for what other stores answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    PartialFailure,
    PermissionDenied,
    TimedOut,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket, client
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.s3.fake_store import (
    NOT_IMPLEMENTED,
    NOT_THERE,
    FakeStore,
    fake_store,
    xml,
)
from moto import mock_aws

KEYS = {"access_key": "AKIAEXAMPLE", "secret_key": "secret"}
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
EVERYTHING: dict[str, Any] = {
    "versioning": True,
    "encryption": "sse_kms",
    "kms_key_id": "alias/traces",
    "bucket_key_enabled": True,
    "public_access_block": True,
    "lifecycle_rules": [
        {**ABORT, "Prefix": None},
        {"ID": "expire", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 9}},
    ],
    "tags": {"environment": "production"},
    "object_ownership": "BucketOwnerEnforced",
    "object_lock_enabled": True,
    "object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1, "years": None},
    "tls_only": True,
    "minimum_tls_version": "1.2",
    "policy": [
        {
            "Sid": "read",
            "Effect": "Allow",
            "Principal": {"AWS": "123456789012"},
            "Action": ["s3:GetObject"],
            "Resource": "arn:aws:s3:::traces/*",
        }
    ],
}


LOADER = botocore.loaders.create_loader()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Parsing botocore's description of S3 takes most of the time of connecting; once is enough here.
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: LOADER)


def options(**given: Any) -> dict[str, Any]:
    return {"name": "traces", "state": "present", "on_unsupported": "fail", "region": "us-east-1", **KEYS, **given}


class NoWait(Clock):
    """A clock on which time passes only by waiting. slept: the waits, in seconds."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def run(check_mode: bool = False, clock: Clock | None = None, **given: Any) -> tuple[Plan, Store]:
    """What the module does."""
    params = options(**given)
    bucket.check_options(params)
    store = Store.connect(params)
    state = bucket.read(store, params)
    plan = bucket.make_plan(state, params)
    if not check_mode:
        bucket.apply(store, params, state, plan, clock=clock or NoWait())
    store.close()
    return plan, store


# --- AWS, as moto plays it


@mock_aws
def test_everything_once_then_nothing() -> None:
    would = run(check_mode=True, **EVERYTHING)[0]
    did, store = run(**EVERYTHING)
    # Check mode says what the run does, and leaves nothing behind.
    assert [s.name for s in would.steps] == [s.name for s in did.steps]
    assert would.diff == did.diff
    assert [s.name for s in did.steps] == [
        "create bucket",
        "put public_access_block",
        "put object_ownership",
        "put encryption",
        "put versioning",
        "put object_lock",
        "put lifecycle_rules",
        "put tags",
        "put policy",
    ]
    # HEAD and eight reads, nine writes, and one HEAD to see the new bucket.
    assert store.api_calls == 1 + 8 + 9 + 1
    again, store = run(**EVERYTHING)
    assert again.steps == [] and again.diff == [] and not again.changed
    assert store.api_calls == 1 + 8
    assert again.result == {
        "unsupported": [],
        "bucket": {
            "name": "traces",
            "arn": "arn:aws:s3:::traces",
            "region": "us-east-1",
            "endpoint_url": "https://s3.amazonaws.com",
            "exists": True,
        },
    }


@mock_aws
def test_only_what_is_asked_for_is_read() -> None:
    run()
    plan, store = run()
    assert (plan.changed, store.api_calls) == (False, 1)
    plan, store = run(versioning=False)
    assert (plan.changed, store.api_calls) == (False, 2)


UNCHANGED: dict[str, dict[str, Any]] = {
    "public_access_block": {"public_access_block": True},
    "object_ownership": {"object_ownership": "ObjectWriter"},
    "encryption": {"encryption": "sse_kms", "kms_key_id": "k"},
    "versioning": {"versioning": True},
    "object_lock": {"object_lock_enabled": True, "object_lock_default_retention": {"mode": "COMPLIANCE", "years": 1}},
    "lifecycle_rules": {"lifecycle_rules": [ABORT]},
    "tags": {"tags": {"a": "1"}},
    "policy": {"tls_only": True, "minimum_tls_version": "1.3", "policy": EVERYTHING["policy"]},
}


@mock_aws
@pytest.mark.parametrize(
    ("aspects", "calls"),
    [
        *(([aspect], 2) for aspect in UNCHANGED),
        (["public_access_block", "encryption", "versioning", "lifecycle_rules", "tags", "policy"], 7),
        (list(UNCHANGED), 9),
    ],
)
def test_an_unchanged_bucket_costs_one_read_for_each_aspect(aspects: list[str], calls: int) -> None:
    assert set(UNCHANGED) == {aspect.option for aspect in bucket.ASPECTS}
    given = {key: value for aspect in aspects for key, value in UNCHANGED[aspect].items()}
    run(**given)
    plan, store = run(**given)
    assert (plan.changed, store.api_calls) == (False, calls)


@mock_aws
def test_reads_are_made_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    run(**EVERYTHING)
    everybody = threading.Barrier(bucket.WORKERS, timeout=10)
    read = bucket.read_aspect

    def wait(*arguments: Any) -> Any:
        # One of the nine threads' worth of work is HEAD; the last aspect has to wait for a free worker.
        if arguments[2].option != "policy":
            everybody.wait()
        return read(*arguments)

    def head(store: Store, name: str) -> Any:
        everybody.wait()
        return {"BucketRegion": "us-east-1"}

    monkeypatch.setattr(bucket, "read_aspect", wait)
    monkeypatch.setattr(Store, "head", head)
    assert not run(**EVERYTHING)[0].changed


@mock_aws
def test_unset_is_untouched_and_empty_is_removed() -> None:
    run(**EVERYTHING)
    plan, store = run(tags={"environment": "staging"})
    assert [s.name for s in plan.steps] == ["put tags"] and store.api_calls == 3
    assert "production" in plan.diff[0]["before"] and "staging" in plan.diff[0]["after"]
    nothing: dict[str, Any] = {
        "tags": {},
        "lifecycle_rules": [],
        "policy": [],
        "tls_only": False,
        "minimum_tls_version": "none",
        "public_access_block": False,
        "object_ownership": "none",
        "object_lock_default_retention": {},
        "encryption": "none",
    }
    plan = run(**nothing)[0]
    assert [s.name for s in plan.steps] == [
        "delete public_access_block",
        "delete object_ownership",
        "delete encryption",
        "put object_lock",
        "delete lifecycle_rules",
        "delete tags",
        "delete policy",
    ]
    assert not run(**nothing)[0].changed


@mock_aws
@pytest.mark.parametrize(
    ("aspect", "one", "other"),
    [
        ("public_access_block", {"public_access_block": True}, {"public_access_block": {"BlockPublicAcls": True}}),
        ("encryption", {"encryption": "sse_s3"}, {"encryption": "sse_kms", "kms_key_id": "k"}),
        ("versioning", {"versioning": True}, {"versioning": False}),
        ("lifecycle_rules", {"lifecycle_rules": [ABORT]}, {"lifecycle_rules": [{"Expiration": {"Days": 30}}]}),
        ("tags", {"tags": {"a": "1"}}, {"tags": {"a": "2"}}),
        ("policy", {"tls_only": True}, {"tls_only": False}),
        ("policy", {"minimum_tls_version": "1.2"}, {"minimum_tls_version": "1.3"}),
        ("object_ownership", {"object_ownership": "ObjectWriter"}, {"object_ownership": "none"}),
    ],
)
def test_each_aspect(aspect: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    run()
    for given in (one, other):
        would = run(check_mode=True, **given)[0]
        assert [s.action for s in would.steps] == [aspect] == [d["after_header"].split(": ")[1] for d in would.diff]
        assert run(check_mode=True, **given)[0].changed, "check mode wrote"
        assert run(**given)[0].changed
        plan, store = run(**given)
        assert not plan.changed and store.api_calls == 2


@mock_aws
def test_region_of_a_new_bucket() -> None:
    plan = run(check_mode=True, region="eu-central-1")[0]
    assert plan.steps[0].data.arguments == {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    plan = run(region="eu-central-1")[0]
    assert plan.result["bucket"]["region"] == "eu-central-1"
    assert run(check_mode=True, name="another")[0].steps[0].data.arguments == {}


def test_partition() -> None:
    plan = offline(bucket.State(False, "cn-north-1", False, "", "aws-cn"), tls_only=True)
    assert plan.result["bucket"]["arn"] == "arn:aws-cn:s3:::traces"
    assert Store.connect(options(region="cn-north-1")).partition == "aws-cn"
    assert Store.connect(options(region="us-gov-west-1")).partition == "aws-us-gov"


@mock_aws
def test_absent() -> None:
    assert not run(state="absent")[0].changed
    run(versioning=True)
    store = Store.connect(options())
    store._client.put_object(Bucket="traces", Key="k", Body=b"x")
    with pytest.raises(Conflict, match="bucket traces is not empty") as refused:
        run(check_mode=True, state="absent")
    assert refused.value.details["code"] == "BucketNotEmpty"
    store._client.delete_object(Bucket="traces", Key="k")
    with pytest.raises(Conflict, match="versions and delete markers"):
        run(state="absent")
    run(name="empty")
    would = run(check_mode=True, state="absent", name="empty")[0]
    assert would.changed and would.result["bucket"]["exists"] is False
    did = run(state="absent", name="empty")[0]
    assert [s.name for s in did.steps] == ["delete bucket"] and did.diff[0]["after"] == ""
    assert not run(state="absent", name="empty")[0].changed


def offline(state: bucket.State, **given: Any) -> Plan:
    return bucket.make_plan(state, options(**given))


def test_a_new_bucket_of_aws_is_told_explicitly_what_differs_from_its_own_start() -> None:
    new = bucket.State(False, "us-east-1", False, "https://s3.amazonaws.com")

    def steps(**given: Any) -> list[str]:
        return [s.name for s in offline(new, **given).steps][1:]

    # AWS blocks public access and encrypts from the start; the wish for it is written all the same.
    assert steps(public_access_block=True) == ["put public_access_block"]
    assert steps(public_access_block=False) == ["delete public_access_block"]
    assert steps(encryption="none") == []
    assert steps(encryption="sse_s3") == ["put encryption"]
    elsewhere = bucket.State(False, "us-east-1", True, "https://s3.example.org")
    assert [s.name for s in offline(elsewhere, public_access_block=False).steps] == ["create bucket"]


# --- object lock


@mock_aws
def test_object_lock_is_set_at_creation_only() -> None:
    retention = {"object_lock_default_retention": {"mode": "GOVERNANCE", "days": 3}}
    with pytest.raises(InvalidInput, match="needs object_lock_enabled: true for a new bucket"):
        run(**retention)
    plan = run(object_lock_enabled=True)[0]
    assert [s.name for s in plan.steps] == ["create bucket"]
    assert '"object_lock_enabled": true' in plan.diff[0]["after"]
    # On a bucket that has it, the retention alone may be said.
    plan = run(**retention)[0]
    assert [s.name for s in plan.steps] == ["put object_lock"] and '"Days": 3' in plan.diff[0]["after"]
    assert not run(object_lock_enabled=True)[0].changed
    with pytest.raises(Conflict, match="cannot be turned off"):
        run(object_lock_enabled=False)
    assert run(object_lock_default_retention={"mode": None})[0].changed
    assert not run(object_lock_default_retention={})[0].changed


@mock_aws
def test_object_lock_on_a_bucket_without_it_is_refused_before_any_change() -> None:
    run()
    for given in (
        {"object_lock_enabled": True},
        {"object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1}},
    ):
        for check_mode in (True, False):
            with pytest.raises(Conflict, match="exists without object lock"):
                run(check_mode=check_mode, public_access_block=True, tags={"a": "b"}, **given)
    assert run(check_mode=True, public_access_block=True, tags={"a": "b"})[0].changed, "something was written"
    assert not run(object_lock_enabled=False, object_lock_default_retention={})[0].changed


# --- the key of KMS


@pytest.fixture
def kms() -> Iterator[tuple[str, str]]:
    """Id and ARN of a key with the alias alias/traces."""
    import boto3

    with mock_aws():
        client = boto3.client("kms", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        key = client.create_key()["KeyMetadata"]
        client.create_alias(AliasName="alias/traces", TargetKeyId=key["KeyId"])
        yield key["KeyId"], key["Arn"]


def test_all_names_of_a_key_are_the_same_key(kms: tuple[str, str]) -> None:
    key_id, arn = kms
    run(encryption="sse_kms", kms_key_id=arn)
    # What the names show needs no question; that an alias stands for a key, only KMS knows.
    for name, calls in ((arn, 2), (key_id, 2), ("alias/traces", 3), (f"{arn.split(':key')[0]}:alias/traces", 3)):
        plan, store = run(encryption="sse_kms", kms_key_id=name)
        assert (plan.changed, plan.warnings, store.api_calls) == (False, [], calls)
    with pytest.raises(NotFound, match="kms_key_id alias/none does not exist in us-east-1"):
        run(encryption="sse_kms", kms_key_id="alias/none")
    assert run(check_mode=True, encryption="sse_kms", kms_key_id="another")[0].changed
    assert run(check_mode=True, encryption="sse_kms", kms_key_id=arn.replace("us-east-1", "eu-west-1"))[0].changed


def test_an_alias_that_kms_does_not_tell_is_compared_after_the_write(
    kms: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(encryption="sse_kms", kms_key_id=kms[1])
    monkeypatch.setattr(Store, "kms_key_arn", lambda *_: "")
    would = run(check_mode=True, encryption="sse_kms", kms_key_id="alias/traces")[0]
    assert would.changed and "kms:DescribeKey" in would.warnings[0]
    # moto keeps the alias as it is given, so this is a change, and the last one.
    assert run(encryption="sse_kms", kms_key_id="alias/traces")[0].changed
    plan = run(encryption="sse_kms", kms_key_id="alias/traces")[0]
    assert (plan.changed, plan.warnings) == (False, [])


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_kms_that_does_not_answer_the_question_tells_nothing(
    kms: tuple[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError

    store = Store.connect(options())
    assert store.kms_key_arn(options(), "us-east-1", "alias/traces") == kms[1]

    def fail(error: Exception) -> Any:
        def call(*_: Any) -> None:
            raise error

        return call

    refused = ClientError({"Error": {"Code": code}}, "DescribeKey")
    for error in (refused, EndpointConnectionError(endpoint_url="https://kms")):
        monkeypatch.setattr("botocore.client.BaseClient._make_api_call", fail(error))
        assert store.kms_key_arn(options(), "us-east-1", "alias/traces") == ""


# --- options


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"name": "Traces"}, "name 'Traces' cannot be a bucket"),
        ({"tls_only": True, "endpoint_url": "http://s3:9000"}, "tls_only cannot work with endpoint_url http://s3:9000"),
        ({"minimum_tls_version": "1.2", "endpoint_url": "http://s3:9000"}, "minimum_tls_version cannot work"),
        ({"kms_key_id": "k"}, "kms_key_id needs encryption: sse_kms"),
        ({"kms_key_id": "k", "encryption": "AES256"}, "kms_key_id needs encryption: sse_kms"),
        ({"object_lock_enabled": True, "versioning": False}, "versioning cannot be false"),
        ({"object_lock_default_retention": {"mode": "GOVERNANCE"}}, "either days or years"),
        ({"object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1, "years": 1}}, "either days or years"),
        ({"object_lock_default_retention": {"days": 1}}, "Give mode"),
        (
            {"object_lock_enabled": False, "object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1}},
            "needs object_lock_enabled: true",
        ),
        ({"lifecycle_rules": [{"Filter": "a/"}]}, "rule 1: invalid type for parameter Filter"),
        ({"policy": [{"Effect": "Allow"}]}, "statement 1 has no Principal"),
        ({"bucket_key_enabled": True, "encryption": "sse_s3"}, "bucket_key_enabled needs"),
        ({"endpoint_url": "s3.example.org:8333"}, "is not a URL"),
        ({"endpoint_url": "https://"}, "is not a URL"),
        ({"endpoint_url": "https://host:port"}, "is not a URL"),
        ({"endpoint_url": "http://127.0.0.1:1/traces"}, "names the bucket in its path.*Leave traces out"),
        ({"endpoint_url": "https://traces.s3.eu-west-1.amazonaws.com"}, "names the bucket in its host"),
        ({"endpoint_url": "http://127.0.0.1:1/?a=b"}, "has a query or a fragment"),
        ({"tls_only": True, "endpoint_url": "HTTP://s3:9000"}, "tls_only cannot work with endpoint_url HTTP://s3:9000"),
        (
            {"endpoint_url": "https://127.0.0.1:1", "ca_bundle": "/nowhere/ca.pem"},
            "ca_bundle /nowhere/ca.pem cannot be used: No such file",
        ),
        (
            {"endpoint_url": "https://127.0.0.1:1", "ca_bundle": __file__},
            "ca_bundle .*test_bucket.py cannot be used.*PEM",
        ),
        ({"secret_key": None}, "secret_key is missing"),
        ({"access_key": None}, "access_key is missing"),
        ({"region": "not a region"}, "cannot be used"),
    ],
)
def test_bad_options(given: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        run(check_mode=True, **given)


@mock_aws
def test_unknown_arguments_are_refused_in_check_mode_and_before_anything_is_sent() -> None:
    run()
    for check_mode in (True, False):
        with pytest.raises(InvalidInput, match="rule 1: AbortIncomplete is not a member"):
            run(check_mode=check_mode, tags={"a": "b"}, lifecycle_rules=[{"AbortIncomplete": {"Days": 1}}])
    assert run(check_mode=True, tags={})[0].changed is False
    # The same by the way of the request itself.
    with pytest.raises(InvalidInput, match="put_bucket_tagging"):
        Store.connect(options()).call("traces", Call("put_bucket_tagging", "s3:PutBucketTagging", {"Tags": 1}))


def test_boto3_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "botocore.session", None)
    with pytest.raises(InvalidInput, match="botocore cannot be imported.*Install boto3"):
        Store.connect(options())


@pytest.mark.parametrize("found", ["1.26.27", "1.34.46", "1.39.17"])
def test_boto3_that_is_too_old(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr("botocore.__version__", found)
    message = (
        rf"botocore {found} is too old: .* need boto3 and botocore 1\.40 or newer. Run `pip install 'boto3>=1.40'`"
    )
    with pytest.raises(InvalidInput, match=message):
        Store.connect(options(endpoint_url="http://127.0.0.1:1"))


@pytest.mark.parametrize("found", ["1.40.0", "1.100.1", "2.0.dev1"])
def test_boto3_that_is_new_enough(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr("botocore.__version__", found)
    Store.connect(options()).close()


def test_the_oldest_boto3_is_the_same_everywhere() -> None:
    root = Path(__file__).parents[5]
    oldest = ".".join(map(str, client.BOTO3))
    assert f"boto3>={oldest}\n" in (root / "requirements.txt").read_text()
    assert f"boto3 >= {oldest}" in (root / "plugins/doc_fragments/s3.py").read_text()


def test_credentials_in_an_endpoint_are_not_shown() -> None:
    with pytest.raises(InvalidInput, match="endpoint_url holds credentials") as refused:
        run(endpoint_url="https://key:hush@s3.example.org")
    assert "hush" not in str(refused.value)


@mock_aws
def test_a_bucket_in_another_region_than_the_option() -> None:
    run(region="eu-west-1")
    for state in ("present", "absent"):
        plan = run(check_mode=True, region="us-east-1", state=state)[0]
        assert plan.warnings == [
            "bucket traces is in region eu-west-1, not in us-east-1 (option region), and stays there: a bucket cannot "
            "be moved. Set region: eu-west-1, or choose another name"
        ]
        assert plan.result["bucket"]["region"] == "eu-west-1"
    assert run(check_mode=True, region="eu-west-1")[0].warnings == []


@mock_aws
def test_tags_are_readable_in_a_diff() -> None:
    assert '"Größe": "Ü"' in run(tags={"Größe": "Ü"})[0].diff[1]["after"]


def test_addressing_and_certificates() -> None:
    def config(**given: Any) -> Any:
        return Store.connect(options(**given))._client.meta.config

    assert config(endpoint_url="https://s3.example.org").s3["addressing_style"] == "path"
    assert config(endpoint_url="https://s3.example.org", addressing_style="virtual").s3["addressing_style"] == "virtual"
    assert config().s3["addressing_style"] == "auto"
    assert config(endpoint_url="https://s3.example.org").request_checksum_calculation == "when_required"
    unchecked = Store.connect(options(endpoint_url="https://s3.example.org", validate_certs=False))
    assert unchecked._client._endpoint.http_session._verify is False


# --- other stores: a server that says what it is told to


@pytest.fixture
def server() -> Iterator[FakeStore]:
    with fake_store() as store:
        yield store


def test_a_store_without_a_feature(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    wish = {"endpoint_url": server.url, "public_access_block": True, "tags": {"a": "b"}}
    for check_mode in (True, False):
        with pytest.raises(
            Unsupported, match=r"does not support public_access_block \(NotImplemented: no such thing here\)"
        ) as no:
            run(check_mode=check_mode, **wish)
        assert no.value.details["unsupported"][0]["feature"] == "public_access_block"
    assert not [s for s in server.seen if s[0] == "PUT"], "something was written before the refusal"
    would = run(check_mode=True, on_unsupported="warn", **wish)[0]
    did, store = run(on_unsupported="warn", **wish)
    for plan in (would, did):
        assert [s.name for s in plan.steps] == ["put tags"]
        assert plan.result["unsupported"] == [
            {"feature": "public_access_block", "answer": "NotImplemented: no such thing here"}
        ]
        assert len(plan.warnings) == 1 and server.url in plan.warnings[0]
    # HEAD, two reads, a write and the look at what became of it; 501 is not tried again.
    assert store.api_calls == 5
    # Off is what a store without the feature has.
    assert run(endpoint_url=server.url, public_access_block=False)[0].result["unsupported"] == []


def test_a_store_that_lacks_a_feature_only_when_it_is_written(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.answers["PUT", "tagging"] = (405, xml("MethodNotAllowed", "not allowed"))
    wish = {"endpoint_url": server.url, "tags": {"a": "b"}, "encryption": "sse_s3"}
    with pytest.raises(
        PartialFailure, match=r"step 'put tags' failed: the store at .* does not support tags"
    ) as failed:
        run(**wish)
    assert failed.value.details["done"] == ["put encryption"]
    assert failed.value.details["unsupported"][0]["answer"] == "MethodNotAllowed: not allowed"
    server.kept.clear()
    plan = run(on_unsupported="warn", **wish)[0]
    assert [s.name for s in plan.steps] == ["put encryption"] and len(plan.diff) == 1
    assert plan.result["unsupported"][0]["feature"] == "tags"


def test_requests_to_other_stores_carry_md5_and_no_newer_checksum_and_no_location(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.answers["HEAD", ""] = (404, b"")
    run(endpoint_url=server.url, region="eu-central-1", lifecycle_rules=[ABORT], tags={"a": "b"})
    writes = {(method, key): (headers, body) for method, key, headers, body in server.seen if method == "PUT"}
    assert set(writes) == {("PUT", ""), ("PUT", "lifecycle"), ("PUT", "tagging")}
    headers, body = writes["PUT", "lifecycle"]
    assert "content-md5" in headers
    assert not [name for name in headers if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]
    assert b"<Filter><Prefix></Prefix></Filter>" in body or b"<Filter><Prefix /></Filter>" in body
    assert writes["PUT", ""][1] == b""


def test_a_store_that_does_not_know_a_missing_bucket_is_still_asked_what_it_lacks(server: FakeStore) -> None:
    server.answers.update(dict.fromkeys(NOT_THERE, (404, xml("NoSuchBucket"))))
    server.answers["GET", "publicAccessBlock"] = NOT_THERE["GET", "publicAccessBlock"]
    server.answers["HEAD", ""] = (404, b"")
    with pytest.raises(Unsupported, match="public_access_block"):
        run(endpoint_url=server.url, public_access_block=True, tags={"a": "b"})
    assert ("PUT", "") not in [s[:2] for s in server.seen]


def test_a_bucket_that_vanishes_between_two_reads(server: FakeStore) -> None:
    server.answers["GET", "tagging"] = (404, xml("NoSuchBucket", "gone"))
    with pytest.raises(NotFound, match="gone"):
        run(endpoint_url=server.url, tags={})


LIST = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>%s</Name></Bucket></Buckets></ListAllMyBucketsResult>"


@pytest.mark.parametrize(
    ("location", "listing", "part"),
    [
        ((403, xml("InvalidAccessKeyId", "no such key")), (200, b""), "the store has no such key"),
        ((403, xml("SignatureDoesNotMatch")), (200, b""), "secret_key .* does not belong to access_key"),
        ((403, xml("RequestTimeTooSkewed")), (200, b""), "Set the clock"),
        ((403, xml("AccessDenied")), (200, LIST % b"traces"), "exists and is in reach, but these credentials lack"),
        ((200, b"<LocationConstraint/>"), (403, xml("AccessDenied")), "exists and is in reach"),
        ((403, xml("AccessDenied")), (200, LIST % b"other"), "not among the buckets of these credentials"),
        ((403, xml("AccessDenied")), (403, xml("AccessDenied")), "nor which buckets these credentials have"),
    ],
)
def test_403_on_a_bucket_is_told_apart(server: FakeStore, location: Any, listing: Any, part: str) -> None:
    server.answers.update({("HEAD", ""): (403, b""), ("GET", "location"): location, ("GET", "/"): listing})
    with pytest.raises(PermissionDenied, match=part) as refused:
        run(check_mode=True, endpoint_url=server.url)
    assert refused.value.details["status"] == 403
    assert "secret" not in str(refused.value).replace("secret_key", "").replace("AWS_SECRET", "")
    if "credentials have" in part:
        assert "also refuses this http:// endpoint" in str(refused.value)


def test_a_refused_head_on_a_bucket_that_does_not_exist(server: FakeStore) -> None:
    server.answers.update({("HEAD", ""): (403, b""), ("GET", "location"): (404, xml("NoSuchBucket"))})
    assert [s.name for s in run(check_mode=True, endpoint_url=server.url)[0].steps] == ["create bucket"]


def test_400_to_head_has_its_reason_in_the_next_answer(server: FakeStore) -> None:
    server.answers.update({("HEAD", ""): (400, b""), ("GET", "location"): (400, xml("ExpiredToken", "too old"))})
    with pytest.raises(PermissionDenied, match="get new credentials"):
        run(check_mode=True, endpoint_url=server.url)


def test_an_error_of_the_store_itself(server: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    server.answers["HEAD", ""] = (500, b"")
    with pytest.raises(ApiError, match="head_bucket on bucket traces answered 500"):
        run(check_mode=True, endpoint_url=server.url)


@pytest.mark.parametrize(
    ("query", "given", "action"),
    [
        ("lifecycle", {"lifecycle_rules": [ABORT]}, "s3:PutLifecycleConfiguration"),
        ("policy", {"tls_only": None, "policy": EVERYTHING["policy"]}, "s3:PutBucketPolicy"),
        ("tagging", {"tags": {"a": "b"}}, "s3:PutBucketTagging"),
        ("encryption", {"encryption": "sse_s3"}, "s3:PutEncryptionConfiguration"),
        ("versioning", {"versioning": True}, "s3:PutBucketVersioning"),
    ],
)
def test_a_refused_write_names_the_permission(
    server: FakeStore, query: str, given: dict[str, Any], action: str
) -> None:
    server.answers.update({**NOT_THERE, ("PUT", query): (403, xml("AccessDenied", "Access Denied"))})
    with pytest.raises(PermissionDenied, match=f"^{action} on bucket traces was refused: AccessDenied"):
        run(endpoint_url=server.url, **given)


def test_a_refused_read_names_the_permission(server: FakeStore) -> None:
    server.answers["GET", "policy"] = (403, xml("AccessDenied"))
    with pytest.raises(PermissionDenied, match="s3:GetBucketPolicy on bucket traces"):
        run(endpoint_url=server.url, policy=[])


@pytest.mark.parametrize(
    ("code", "kind", "part"),
    [
        ("BucketAlreadyExists", Conflict, "belongs to another account"),
        ("OperationAborted", Conflict, "for 60 s: OperationAborted. Run again in some minutes"),
    ],
)
def test_conflicts_at_creation(server: FakeStore, code: str, kind: type[TracingError], part: str) -> None:
    server.answers.update({("HEAD", ""): (404, b""), ("PUT", ""): (409, xml(code))})
    with pytest.raises(kind, match=part):
        run(endpoint_url=server.url)


def test_a_bucket_that_somebody_else_made_for_us_meanwhile_is_fine(server: FakeStore) -> None:
    server.answers.update({("HEAD", ""): (404, b""), ("PUT", ""): (409, xml("BucketAlreadyOwnedByYou"))})
    assert run(endpoint_url=server.url)[0].changed


FORGOTTEN = b"<LifecycleConfiguration><Rule><ID>e</ID><Status>Enabled</Status><Filter><Prefix/></Filter>" + (
    b"<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
)


def test_a_store_that_forgets_what_it_accepted(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.change["lifecycle"] = lambda document: FORGOTTEN
    rules = [{"ID": "e", "Expiration": {"Days": 9}, **ABORT}]
    wish = {"endpoint_url": server.url, "lifecycle_rules": rules, "tags": {"a": "b"}}
    with pytest.raises(Unsupported, match="it accepts the document, but afterwards it has .*Expiration") as failed:
        run(**wish)
    abort = "lifecycle_rules[].AbortIncompleteMultipartUpload"
    assert failed.value.details["unsupported"][0]["feature"] == abort
    server.kept.clear()
    did = run(on_unsupported="warn", **wish)[0]
    # The difference is the one that was made.
    assert [s.name for s in did.steps] == ["put lifecycle_rules", "put tags"]
    assert "Abort" not in did.diff[0]["after"] and "Expiration" in did.diff[0]["after"]
    # The next run sends it again, and sees that nothing became of it.
    again = run(on_unsupported="warn", **wish)[0]
    assert (again.changed, again.diff) == (False, [])
    [lacking] = again.result["unsupported"]
    assert lacking["feature"] == abort and lacking["left_out"] == "AbortIncompleteMultipartUpload of rule e"
    assert "so this is left out: AbortIncompleteMultipartUpload of rule e." in again.warnings[0]
    server.change["tagging"] = lambda document: None
    assert not run(endpoint_url=server.url, tags={"a": "b"})[0].changed
    server.change["ownershipControls"] = lambda document: None
    with pytest.raises(Unsupported, match=r"object_ownership \(it accepts .* it has nothing\)"):
        run(endpoint_url=server.url, object_ownership="ObjectWriter")


def test_a_store_that_does_not_let_itself_be_asked_afterwards(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    say = server.say

    def mute(method: str, key: str, body: bytes) -> Any:
        written = ("PUT", "tagging") in server.asked()
        return NOT_IMPLEMENTED if (method, key) == ("GET", "tagging") and written else say(method, key, body)

    server.say = mute  # type: ignore[method-assign]
    plan = run(endpoint_url=server.url, tags={"a": "b"})[0]
    assert plan.changed and plan.result["unsupported"] == []


def test_a_store_that_is_slow_to_have_what_it_accepted(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.change["tagging"] = lambda document: None
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"

    class Slow(NoWait):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if seconds:
                server.kept["tagging"] = body

    clock = Slow()
    assert run(endpoint_url=server.url, tags={"a": "b"}, clock=clock)[0].changed
    assert clock.slept == [0.0, 0.3]


ARN = b"arn:aws:kms:us-east-1:123456789012:key/1234"


def test_a_store_that_resolves_an_alias_by_itself(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.change["encryption"] = lambda document: document.replace(b"alias/traces", ARN)
    wish = {"endpoint_url": server.url, "encryption": "sse_kms", "kms_key_id": "alias/traces"}
    assert run(**wish)[0].changed
    again = run(**wish)[0]
    assert (again.changed, again.diff, again.warnings) == (False, [], [])


def test_object_lock_on_a_store_without_it(server: FakeStore) -> None:
    wish = {
        "endpoint_url": server.url,
        "object_lock_enabled": True,
        "object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1},
        "tags": {"a": "b"},
    }
    server.answers.update({**NOT_THERE, ("HEAD", ""): (404, b""), ("GET", "object-lock"): (501, xml("NotImplemented"))})
    with pytest.raises(Unsupported, match="object_lock"):
        run(**wish)
    assert server.asked("PUT") == []
    plan = run(on_unsupported="warn", **wish)[0]
    assert [s.name for s in plan.steps] == ["create bucket", "put tags"]
    assert not [h for _m, _k, headers, _b in server.seen for h in headers if "object-lock" in h]


def test_object_lock_that_shows_to_be_lacking_at_creation(server: FakeStore) -> None:
    wish = {
        "endpoint_url": server.url,
        "object_lock_enabled": True,
        "object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1},
    }
    server.answers.update({**NOT_THERE, ("HEAD", ""): (404, b"")})
    put = server.say

    def refuse(method: str, key: str, body: bytes) -> Any:
        locked = "x-amz-bucket-object-lock-enabled" in server.seen[-1][2]
        return (
            (501, xml("NotImplemented", "no lock"))
            if (method, key) == ("PUT", "") and locked
            else put(method, key, body)
        )

    server.say = refuse  # type: ignore[method-assign]
    with pytest.raises(PartialFailure, match=r"object_lock \(NotImplemented: no lock\)"):
        run(**wish)
    plan = run(on_unsupported="warn", **wish)[0]
    assert [s.name for s in plan.steps] == ["create bucket"] and ("PUT", "object-lock") not in server.asked()
    assert plan.result["unsupported"] == [{"feature": "object_lock", "answer": "NotImplemented: no lock"}]
    # Another one says nothing and makes a bucket without it.
    server.say = put  # type: ignore[method-assign]
    with pytest.raises(Unsupported, match=r"object_lock \(it accepts the document, but afterwards it has nothing\)"):
        run(endpoint_url=server.url, object_lock_enabled=True)


def test_a_store_that_wants_the_region_in_the_request(server: FakeStore) -> None:
    """moto and LocalStack, for one."""
    server.answers.update({**NOT_THERE, ("HEAD", ""): (404, b"")})
    say = server.say

    def strict(method: str, key: str, body: bytes) -> Any:
        if (method, key) == ("PUT", "") and b"<LocationConstraint>eu-west-1<" not in body:
            return 400, xml("IllegalLocationConstraintException", "unspecified")
        return say(method, key, body)

    server.say = strict  # type: ignore[method-assign]
    assert run(endpoint_url=server.url, region="eu-west-1")[0].changed
    with pytest.raises(ApiError, match="unspecified"):
        run(endpoint_url=server.url, region="eu-central-1")


def test_a_store_that_cannot_create_buckets(server: FakeStore) -> None:
    server.answers.update({("HEAD", ""): (404, b""), ("PUT", ""): (501, xml("NotImplemented"))})
    with pytest.raises(Unsupported, match="the store has no create_bucket"):
        run(endpoint_url=server.url)


@pytest.mark.parametrize(
    ("answer", "error", "part"),
    [
        ((409, xml("InvalidBucketState", "lock")), Conflict, "conflicts with the bucket's configuration"),
        ((400, xml("MalformedXML", "bad")), ApiError, "answered 400: MalformedXML: bad"),
        ((400, xml("InvalidTag", "bad")), ApiError, "answered 400: InvalidTag: bad"),
    ],
)
def test_a_document_that_the_store_refuses(server: FakeStore, answer: Any, error: Any, part: str) -> None:
    server.answers.update({**NOT_THERE, ("PUT", "tagging"): answer})
    for on_unsupported in ("fail", "warn"):
        with pytest.raises(error, match=part):
            run(endpoint_url=server.url, tags={"a": "b"}, on_unsupported=on_unsupported)


# A store of which some parts of the lifecycle are lacking: what it answers, by what is in the document.
LIFECYCLE: list[dict[str, Any]] = [
    {"ID": "move", "Expiration": {"Days": 60}, "Transitions": [{"Days": 30, "StorageClass": "COLD"}]},
    {"ID": "tagged", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 5}},
    {"ID": "abort", **ABORT},
]


def lack(server: FakeStore, *words: bytes, answer: Any = NOT_IMPLEMENTED) -> None:
    """Refuse lifecycle documents that have one of these elements."""
    server.answers.update(NOT_THERE)
    say = server.say

    def refuse(method: str, key: str, body: bytes) -> Any:
        return (
            answer
            if (method, key) == ("PUT", "lifecycle") and any(w in body for w in words)
            else say(method, key, body)
        )

    server.say = refuse  # type: ignore[method-assign]


@pytest.mark.parametrize("answer", [(501, xml("NotImplemented", "not here")), (400, xml("MalformedXML", "not here"))])
@pytest.mark.parametrize(
    ("words", "gone", "left"),
    [
        ([b"<Transition>"], {"Transitions": "Transitions of rule move"}, ["abort", "move", "tagged"]),
        ([b"<Tag>"], {"Filter.Tag": "Expiration of rule tagged"}, ["abort", "move"]),
        (
            [b"<Transition>", b"<AbortIncomplete"],
            {
                "AbortIncompleteMultipartUpload": "AbortIncompleteMultipartUpload of rule abort",
                "Transitions": "Transitions of rule move",
            },
            ["move", "tagged"],
        ),
    ],
)
def test_a_store_that_lacks_a_part_of_a_document(
    server: FakeStore, answer: Any, words: list[bytes], gone: dict[str, str], left: list[str]
) -> None:
    lack(server, *words, answer=answer)
    wish = {"endpoint_url": server.url, "lifecycle_rules": LIFECYCLE}
    with pytest.raises(Unsupported, match=r"does not support lifecycle_rules\[\]\.Abort.* or .*Transitions"):
        run(**wish)
    assert "lifecycle" not in server.kept, "a part was written although on_unsupported is fail"
    did = run(on_unsupported="warn", **wish)[0]
    assert did.changed and [s.name for s in did.steps] == ["put lifecycle_rules"]
    found = {one["feature"]: one["left_out"] for one in did.result["unsupported"]}
    assert found == {f"lifecycle_rules[].{part}": what for part, what in gone.items()}
    for what in gone.values():
        assert any(f"so this is left out: {what}." in warning for warning in did.warnings)
    # The diff is what was written, and that is what the store has.
    assert [name for name in ("abort", "move", "tagged") if f'"{name}"' in did.diff[0]["after"]] == left
    assert [name for name in left if name.encode() not in server.kept["lifecycle"]] == []
    # The second run changes nothing, not even for a moment: no document is sent that the store takes.
    before = server.kept["lifecycle"]
    again = run(on_unsupported="warn", **wish)[0]
    assert (again.changed, again.diff, again.steps) == (False, [], [])
    assert again.result["unsupported"] == did.result["unsupported"]
    assert server.kept["lifecycle"] == before


def test_a_document_that_is_wrong_is_not_taken_for_a_lack(server: FakeStore) -> None:
    lack(server, b"<Expiration>", answer=(400, xml("MalformedXML", "bad days")))
    with pytest.raises(ApiError, match="bad days"):
        run(on_unsupported="warn", endpoint_url=server.url, lifecycle_rules=LIFECYCLE[:1])
    assert "lifecycle" not in server.kept


def test_a_store_that_lacks_the_whole_document(server: FakeStore) -> None:
    lack(server, b"<Rule>")
    plan = run(on_unsupported="warn", endpoint_url=server.url, lifecycle_rules=LIFECYCLE)[0]
    assert [one["feature"] for one in plan.result["unsupported"]] == ["lifecycle_rules"] and not plan.changed


def test_a_document_that_is_nothing_but_the_part_that_is_lacking(server: FakeStore) -> None:
    lack(server, b"<Transition>")
    wish = {"endpoint_url": server.url, "lifecycle_rules": [{"ID": "t", "Transitions": LIFECYCLE[0]["Transitions"]}]}
    with pytest.raises(Unsupported) as refused:
        run(**wish)
    for _run in range(2):
        plan = run(on_unsupported="warn", **wish)[0]
        assert not plan.changed and plan.result["unsupported"] == refused.value.details["unsupported"]
    assert plan.result["unsupported"][0]["left_out"] == "Transitions of rule t"


def test_other_documents_in_parts(server: FakeStore) -> None:
    server.answers.update(NOT_THERE)
    server.answers["GET", "publicAccessBlock"] = (404, xml("NoSuchPublicAccessBlockConfiguration"))
    say = server.say

    def refuse(method: str, key: str, body: bytes) -> Any:
        lacks = {"encryption": b"<BucketKeyEnabled>true", "publicAccessBlock": b"<RestrictPublicBuckets>true"}
        return NOT_IMPLEMENTED if method == "PUT" and lacks.get(key, b"-") in body else say(method, key, body)

    server.say = refuse  # type: ignore[method-assign]
    wish = {
        "endpoint_url": server.url,
        "on_unsupported": "warn",
        "encryption": "sse_kms",
        "bucket_key_enabled": True,
        "public_access_block": True,
    }
    did = run(**wish)[0]
    assert sorted(one["feature"] for one in did.result["unsupported"]) == [
        "bucket_key_enabled",
        "public_access_block.RestrictPublicBuckets",
    ]
    assert b"aws:kms" in server.kept["encryption"] and b"<BlockPublicAcls>true" in server.kept["publicAccessBlock"]
    assert run(**wish)[0].changed is False


# --- what is refused for a moment


def refuse_first(server: FakeStore, key: Any, times: int, answer: Any) -> None:
    say, left = server.say, [times]

    def refuse(method: str, name: str, body: bytes) -> Any:
        if (method, name) == key and left[0]:
            left[0] -= 1
            return answer
        return say(method, name, body)

    server.say = refuse  # type: ignore[method-assign]


@pytest.mark.parametrize("key", [("PUT", ""), ("PUT", "tagging"), ("PUT", "policy"), ("DELETE", "")])
def test_a_conflict_with_another_change_is_waited_for(server: FakeStore, key: Any) -> None:
    server.answers.update(NOT_THERE)
    wish: dict[str, Any] = {"tags": {"a": "b"}, "policy": []}
    if key == ("PUT", ""):
        server.answers["HEAD", ""] = (404, b"")
    if key == ("PUT", "policy"):
        wish = {"policy": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::traces"}]}
    if key[0] == "DELETE":
        wish = {"state": "absent"}
        server.answers["GET", "versions"] = server.answers["GET", "list-type"] = (200, b"<ListBucketResult/>")
    refuse_first(server, key, 3, (409, xml("OperationAborted", "A conflicting conditional operation is in progress")))
    clock = NoWait()
    assert run(endpoint_url=server.url, clock=clock, **wish)[0].changed
    assert [seconds for seconds in clock.slept if seconds] == [1.0, 2.0, 4.0]
    assert server.asked().count(key) == 4


def test_a_conflict_that_stays_is_given_up_after_a_bounded_time(server: FakeStore) -> None:
    server.answers.update({**NOT_THERE, ("PUT", "tagging"): (409, xml("OperationAborted", "busy"))})
    clock = NoWait()
    with pytest.raises(Conflict, match="for 60 s: OperationAborted: busy. Run again in some minutes."):
        run(endpoint_url=server.url, tags={"a": "b"}, clock=clock)
    assert sum(clock.slept) == bucket.RETRY_SECONDS and server.asked().count(("PUT", "tagging")) == 11


def test_a_new_bucket_that_a_part_of_the_store_does_not_see_yet(server: FakeStore) -> None:
    gone = (404, xml("NoSuchBucket", "The specified bucket does not exist"))
    server.answers.update({**NOT_THERE, ("HEAD", ""): (404, b"")})
    refuse_first(server, ("PUT", "tagging"), 2, gone)
    clock = NoWait()
    assert run(endpoint_url=server.url, tags={"a": "b"}, clock=clock)[0].changed
    assert [seconds for seconds in clock.slept if seconds] == [1.0, 2.0]
    # A bucket that was there and vanishes is not waited for.
    server.answers["HEAD", ""] = (200, b"")
    server.kept.clear()
    refuse_first(server, ("PUT", "tagging"), 1, gone)
    with pytest.raises(NotFound, match="NoSuchBucket"):
        run(endpoint_url=server.url, tags={"a": "b"}, clock=clock)
    assert [seconds for seconds in clock.slept if seconds] == [1.0, 2.0]


def test_deletion_does_not_rely_on_the_store(server: FakeStore) -> None:
    full = b"<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>"
    server.answers["GET", "max-keys"] = server.answers["GET", "list-type"] = (200, full)
    with pytest.raises(Conflict, match="not empty"):
        run(endpoint_url=server.url, state="absent")
    assert "DELETE" not in [s[0] for s in server.seen]
    server.answers["GET", "list-type"] = (200, b"<ListBucketResult/>")
    marker = b"<ListVersionsResult><%s><Key>k</Key></%s></ListVersionsResult>"
    server.answers["GET", "versions"] = (200, marker % (b"Version", b"Version"))
    with pytest.raises(Conflict, match="not empty"):
        run(endpoint_url=server.url, state="absent")
    assert "DELETE" not in [s[0] for s in server.seen]
    server.answers["GET", "versions"] = (200, marker % (b"DeleteMarker", b"DeleteMarker"))
    assert run(check_mode=True, endpoint_url=server.url, state="absent")[0].changed
    server.answers["GET", "versions"] = (501, xml("NotImplemented"))
    server.answers["DELETE", ""] = (409, xml("BucketNotEmpty", "still uploads"))
    with pytest.raises(Conflict, match="not empty.*still uploads"):
        run(endpoint_url=server.url, state="absent")


def test_refusals_without_a_code() -> None:
    call = Call("get_bucket_tagging", "s3:GetBucketTagging")
    assert isinstance(client.refusal({"Error": {"Code": "404"}}, call, "b"), NotFound)
    assert isinstance(client.refusal({}, call, ""), ApiError)
    assert "answered 418" in str(client.refusal({"ResponseMetadata": {"HTTPStatusCode": 418}}, call, "b"))


# --- silence


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer from the S3 endpoint http://127.0.0.1:1 \(option endpoint_url\)"):
        run(endpoint_url="http://127.0.0.1:1", tags={}, versioning=True)
    assert time.monotonic() - start < 5


def test_a_server_that_speaks_no_tls(server: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    with pytest.raises(Unreachable, match="does not answer with TLS on this port .*or http:// if it has none"):
        run(endpoint_url=server.url.replace("http:", "https:"))


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(client, "ATTEMPTS", 1)
    monkeypatch.setattr(client, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Unreachable, match="no answer"):
        run(endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}")


def test_no_credentials() -> None:
    with pytest.raises(PermissionDenied, match="no usable credentials"):
        run(access_key=None, secret_key=None)


@mock_aws
def test_a_bucket_that_is_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.connect(options())
    slept: list[float] = []
    monkeypatch.setattr("botocore.waiter.time.sleep", slept.append)
    with pytest.raises(TimedOut, match="bucket nowhere was created but is not there"):
        store.wait("nowhere")
    assert len(slept) == 19


def test_other_failures_of_the_client() -> None:
    from botocore.exceptions import DataNotFoundError

    store = Store.connect(options())

    def fail(**_: Any) -> None:
        raise DataNotFoundError(data_path="x")

    store._client.head_bucket = fail
    with pytest.raises(ApiError, match="head_bucket on bucket traces failed"):
        store.call("traces", client.HEAD)


def test_calls_are_counted_across_threads(server: FakeStore) -> None:
    store = Store.connect(options(endpoint_url=server.url))
    threads = [threading.Thread(target=store.head, args=("traces",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.api_calls == 8 == len(server.seen)
