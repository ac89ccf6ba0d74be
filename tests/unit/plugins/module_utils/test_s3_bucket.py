# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole bucket: against moto for AWS, and against a small HTTP server for what other stores answer."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.loaders
import pytest
from ansible_collections.orion.tracing.plugins.module_utils.errors import (
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
from ansible_collections.orion.tracing.plugins.module_utils.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket, client
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported
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
    "tls_only": True,
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


def run(check_mode: bool = False, **given: Any) -> tuple[Plan, Store]:
    """What the module does."""
    params = options(**given)
    bucket.check_options(params)
    store = Store.connect(params)
    plan = bucket.make_plan(bucket.read(store, params), params)
    bucket.check_plan(store, params, plan)
    if not check_mode:
        bucket.apply(store, params, plan)
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
        "put encryption",
        "put versioning",
        "put lifecycle_rules",
        "put tags",
        "put policy",
    ]
    # HEAD and six reads, seven writes, and one HEAD to see the new bucket.
    assert store.api_calls == 1 + 6 + 7 + 1
    again, store = run(**EVERYTHING)
    assert again.steps == [] and again.diff == [] and not again.changed
    assert store.api_calls == 1 + 6
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
        "public_access_block": False,
        "encryption": "none",
        "versioning": False,
    }
    plan = run(**nothing)[0]
    assert [s.name for s in plan.steps] == [
        "delete public_access_block",
        "delete encryption",
        "put versioning",
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
    ],
)
def test_each_aspect(aspect: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    run()
    for given in (one, other):
        before = Store.connect(options())
        would = run(check_mode=True, **given)[0]
        assert [s.action for s in would.steps] == [aspect] == [d["after_header"].split(": ")[1] for d in would.diff]
        assert run(check_mode=True, **given)[0].changed, "check mode wrote"
        assert run(**given)[0].changed
        plan, store = run(**given)
        assert not plan.changed and store.api_calls == 2
        before.close()


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


# --- options


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"name": "Traces"}, "name 'Traces' cannot be a bucket"),
        ({"tls_only": True, "endpoint_url": "http://s3:9000"}, "tls_only cannot work with endpoint_url http://s3:9000"),
        ({"kms_key_id": "k"}, "kms_key_id needs encryption: sse_kms"),
        ({"bucket_key_enabled": True, "encryption": "sse_s3"}, "bucket_key_enabled needs"),
        ({"endpoint_url": "s3.example.org:8333"}, "is not a URL"),
        ({"endpoint_url": "https://"}, "is not a URL"),
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
        with pytest.raises(InvalidInput, match='Unknown parameter.*"AbortIncomplete"'):
            run(check_mode=check_mode, tags={"a": "b"}, lifecycle_rules=[{"AbortIncomplete": {"Days": 1}}])
    assert run(check_mode=True, tags={})[0].changed is False
    # The same by the way of the request itself.
    with pytest.raises(InvalidInput, match="put_bucket_tagging"):
        Store.connect(options()).call("traces", Call("put_bucket_tagging", "s3:PutBucketTagging", {"Tags": 1}))


def test_boto3_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(InvalidInput, match="boto3 cannot be imported"):
        Store.connect(options())


def test_endpoints_of_aws() -> None:
    for url in ("", "https://s3.eu-west-1.amazonaws.com", "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com"):
        assert client.is_aws(url)
    for url in ("https://s3.example.org", "https://amazonaws.com.example.org", "http://127.0.0.1:8333"):
        assert not client.is_aws(url)


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


def xml(code: str, message: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


class Server(http.server.ThreadingHTTPServer):
    """answers: (method, first query key or "" for the bucket itself) → (status, body); seen: what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = [pair[0] for pair in parse_qsl(parts.query, keep_blank_values=True)]
        key = (self.command, query[0] if query else ("" if len(parts.path) > 1 else "/"))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((*key, {k.lower(): v for k, v in self.headers.items()}, body))
        status, text = self.server.answers.get(key, (200, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


NOT_THERE: dict[tuple[str, str], tuple[int, bytes]] = {
    ("GET", "lifecycle"): (404, xml("NoSuchLifecycleConfiguration")),
    ("GET", "policy"): (404, xml("NoSuchBucketPolicy")),
    ("GET", "tagging"): (404, xml("NoSuchTagSet")),
    ("GET", "encryption"): (404, xml("ServerSideEncryptionConfigurationNotFoundError")),
    ("GET", "publicAccessBlock"): (501, xml("NotImplemented", "no such thing here")),
}


def test_a_store_without_a_feature(server: Server) -> None:
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
    # 501 is not tried again.
    assert store.api_calls == 4
    # Off is what a store without the feature has.
    assert run(endpoint_url=server.url, public_access_block=False)[0].result["unsupported"] == []


def test_a_store_that_lacks_a_feature_only_when_it_is_written(server: Server) -> None:
    server.answers.update(NOT_THERE)
    server.answers["PUT", "tagging"] = (405, xml("MethodNotAllowed", "not allowed"))
    wish = {"endpoint_url": server.url, "tags": {"a": "b"}, "encryption": "sse_s3"}
    with pytest.raises(
        PartialFailure, match=r"step 'put tags' failed: the store at .* does not support tags"
    ) as failed:
        run(**wish)
    assert failed.value.details["done"] == ["put encryption"]
    assert failed.value.details["unsupported"][0]["answer"] == "MethodNotAllowed: not allowed"
    plan = run(on_unsupported="warn", **wish)[0]
    assert [s.name for s in plan.steps] == ["put encryption"] and len(plan.diff) == 1
    assert plan.result["unsupported"][0]["feature"] == "tags"


def test_requests_to_other_stores_carry_md5_and_no_newer_checksum_and_no_location(server: Server) -> None:
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


def test_a_store_that_does_not_know_a_missing_bucket_is_still_asked_what_it_lacks(server: Server) -> None:
    server.answers.update(dict.fromkeys(NOT_THERE, (404, xml("NoSuchBucket"))))
    server.answers["GET", "publicAccessBlock"] = NOT_THERE["GET", "publicAccessBlock"]
    server.answers["HEAD", ""] = (404, b"")
    with pytest.raises(Unsupported, match="public_access_block"):
        run(endpoint_url=server.url, public_access_block=True, tags={"a": "b"})
    assert ("PUT", "") not in [s[:2] for s in server.seen]


def test_a_bucket_that_vanishes_between_two_reads(server: Server) -> None:
    server.answers["GET", "tagging"] = (404, xml("NoSuchBucket", "gone"))
    with pytest.raises(NotFound, match="gone"):
        run(endpoint_url=server.url, tags={})


LIST = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>%s</Name></Bucket></Buckets></ListAllMyBucketsResult>"


@pytest.mark.parametrize(
    ("location", "listing", "part"),
    [
        ((403, xml("InvalidAccessKeyId", "no such key")), (200, b""), "store does not know access_key"),
        ((403, xml("SignatureDoesNotMatch")), (200, b""), "secret_key .* does not belong to access_key"),
        ((403, xml("RequestTimeTooSkewed")), (200, b""), "Set the clock"),
        ((403, xml("AccessDenied")), (200, LIST % b"traces"), "exists and is in reach, but these credentials lack"),
        ((200, b"<LocationConstraint/>"), (403, xml("AccessDenied")), "exists and is in reach"),
        ((403, xml("AccessDenied")), (200, LIST % b"other"), "not among the buckets of these credentials"),
        ((403, xml("AccessDenied")), (403, xml("AccessDenied")), "nor which buckets these credentials have"),
    ],
)
def test_403_on_a_bucket_is_told_apart(server: Server, location: Any, listing: Any, part: str) -> None:
    server.answers.update({("HEAD", ""): (403, b""), ("GET", "location"): location, ("GET", "/"): listing})
    with pytest.raises(PermissionDenied, match=part) as refused:
        run(check_mode=True, endpoint_url=server.url)
    assert refused.value.details["status"] == 403
    assert "secret" not in str(refused.value).replace("secret_key", "").replace("AWS_SECRET", "")
    if "credentials have" in part:
        assert "also refuses this http:// endpoint" in str(refused.value)


def test_a_refused_head_on_a_bucket_that_does_not_exist(server: Server) -> None:
    server.answers.update({("HEAD", ""): (403, b""), ("GET", "location"): (404, xml("NoSuchBucket"))})
    assert [s.name for s in run(check_mode=True, endpoint_url=server.url)[0].steps] == ["create bucket"]


def test_400_to_head_has_its_reason_in_the_next_answer(server: Server) -> None:
    server.answers.update({("HEAD", ""): (400, b""), ("GET", "location"): (400, xml("ExpiredToken", "too old"))})
    with pytest.raises(PermissionDenied, match="get new credentials"):
        run(check_mode=True, endpoint_url=server.url)


def test_an_error_of_the_store_itself(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_refused_write_names_the_permission(server: Server, query: str, given: dict[str, Any], action: str) -> None:
    server.answers.update({**NOT_THERE, ("PUT", query): (403, xml("AccessDenied", "Access Denied"))})
    with pytest.raises(PermissionDenied, match=f"^{action} on bucket traces was refused: AccessDenied"):
        run(endpoint_url=server.url, **given)


def test_a_refused_read_names_the_permission(server: Server) -> None:
    server.answers["GET", "policy"] = (403, xml("AccessDenied"))
    with pytest.raises(PermissionDenied, match="s3:GetBucketPolicy on bucket traces"):
        run(endpoint_url=server.url, policy=[])


@pytest.mark.parametrize(
    ("code", "kind", "part"),
    [
        ("BucketAlreadyExists", Conflict, "belongs to somebody else"),
        ("OperationAborted", Conflict, "Run again in a minute"),
    ],
)
def test_conflicts_at_creation(server: Server, code: str, kind: type[TracingError], part: str) -> None:
    server.answers.update({("HEAD", ""): (404, b""), ("PUT", ""): (409, xml(code))})
    with pytest.raises(kind, match=part):
        run(endpoint_url=server.url)


def test_a_bucket_that_somebody_else_made_for_us_meanwhile_is_fine(server: Server) -> None:
    server.answers.update({("HEAD", ""): (404, b""), ("PUT", ""): (409, xml("BucketAlreadyOwnedByYou"))})
    assert run(endpoint_url=server.url)[0].changed


def test_deletion_does_not_rely_on_the_store(server: Server) -> None:
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
    assert time.monotonic() - start < 10


def test_a_server_that_speaks_no_tls(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    with pytest.raises(Unreachable, match="no TLS connection to .*ca_bundle"):
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


def test_calls_are_counted_across_threads(server: Server) -> None:
    store = Store.connect(options(endpoint_url=server.url))
    threads = [threading.Thread(target=store.head, args=("traces",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.api_calls == 8 == len(server.seen)
