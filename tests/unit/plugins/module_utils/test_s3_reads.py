# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""s3/reads.py beside botocore's own client: the same signature, the same answers, the same refusals."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput, NotFound, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.s3 import client, reads
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

PARAMS = {"region": "eu-west-1", "access_key": "AKID", "secret_key": "se/cret+", "addressing_style": None}
TAGGING = Call("get_bucket_tagging", "s3:GetBucketTagging")
RULES = [
    {
        "ID": "one",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": ""}], "ObjectSizeGreaterThan": 5000000000}},
        "Expiration": {"Days": 3},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}, {"Days": 2, "StorageClass": "DEEP_ARCHIVE"}],
    },
    {
        "ID": "two",
        "Status": "Disabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    },
]
SETTINGS: dict[str, dict[str, Any]] = {
    "put_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
                    "BucketKeyEnabled": True,
                }
            ]
        }
    },
    "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": RULES}},
    "put_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
    "put_bucket_policy": {
        "Policy": json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "é",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": "arn:aws:s3:::full/*",
                    }
                ],
            }
        )
    },
    "put_bucket_tagging": {"Tagging": {"TagSet": [{"Key": "a b", "Value": "c&d"}, {"Key": "empty", "Value": ""}]}},
    "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Enabled"}},
    "put_object_lock_configuration": {
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        }
    },
    "put_public_access_block": {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": False,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": False,
        }
    },
}


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """A client of moto's server with two buckets: one where everything is set, and one where nothing is."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    theirs = client._connect({**PARAMS, "endpoint_url": f"http://{host}:{port}"}, 10.0)[0]
    region = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    theirs.create_bucket(Bucket="empty", **region)
    theirs.create_bucket(Bucket="full", ObjectLockEnabledForBucket=True, **region)
    for operation, arguments in SETTINGS.items():
        getattr(theirs, operation)(Bucket="full", **arguments)
    yield theirs
    theirs.close()
    server.stop()


@pytest.fixture
def store(moto: Any, monkeypatch: Any) -> Store:
    monkeypatch.setattr(client, "_connect", lambda *_: pytest.fail("the client of botocore was made"))
    return Store.connect({**PARAMS, "endpoint_url": moto.meta.endpoint_url})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8333/b?lifecycle",
        "http://s3.example.org:80/b?object-lock",
        "https://h:443/a~b/x.y-z_1?publicAccessBlock",
        "http://[::1]:9000/b",
    ],
)
@pytest.mark.parametrize("token", [None, "to/ken=="])
def test_signature_is_botocores(url: str, method: str, token: str | None, monkeypatch: Any) -> None:
    now = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
    base, _, query = url.partition("?")
    request = AWSRequest(method, base, params={query: ""} if query else None)
    request.context["payload_signing_enabled"] = True
    S3SigV4Auth(Credentials("AKID", "se/cret+", token), "s3", "eu-west-1").add_auth(request)
    ours = reads.signed(method, url, {**PARAMS, "session_token": token}, now)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-content-sha256"] == request.headers["X-Amz-Content-SHA256"]


@pytest.mark.parametrize("operation", [name for name in reads.OPERATIONS if name != "head_bucket"])
def test_answers_are_those_of_botocore(moto: Any, store: Store, operation: str) -> None:
    theirs = getattr(moto, operation)(Bucket="full")
    ours = store.call("full", Call(operation, "s3:Something"))
    assert ours.pop("ResponseMetadata")["HTTPStatusCode"] == theirs.pop("ResponseMetadata")["HTTPStatusCode"]
    assert ours == theirs and ours


@pytest.mark.parametrize("operation", [*reads.OPERATIONS])
@pytest.mark.parametrize("bucket", ["empty", "none"])
def test_refusals_are_those_of_botocore(moto: Any, store: Store, operation: str, bucket: str) -> None:
    try:
        theirs = getattr(moto, operation)(Bucket=bucket)
    except ClientError as error:
        with pytest.raises(ClientError) as caught:
            getattr(store._client, operation)(Bucket=bucket)
        ours = caught.value
        assert ours.response["Error"]["Code"] == error.response["Error"]["Code"]
        assert ours.response["Error"]["Message"] == error.response["Error"]["Message"]
        assert str(ours) == str(error)
    else:
        ours = getattr(store._client, operation)(Bucket=bucket)
        assert {key for key in ours if key != "ResponseMetadata"} == {k for k in theirs if k != "ResponseMetadata"}


def test_requests_are_counted_and_may_be_parallel(store: Store) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: store.call("full", TAGGING), range(8)))
    head = store.head("full")
    assert head and head["BucketRegion"] == "eu-west-1"
    assert store.head("none") is None
    assert store.api_calls == 10
    store.close()


def test_writes_go_through_botocore_and_count_together(moto: Any) -> None:
    store = Store.connect({**PARAMS, "endpoint_url": moto.meta.endpoint_url})
    store.call("full", TAGGING)
    store.call("full", Call("put_bucket_tagging", "s3:PutBucketTagging", SETTINGS["put_bucket_tagging"]))
    store.check("full", Call("put_bucket_tagging", "s3:PutBucketTagging", SETTINGS["put_bucket_tagging"]))
    with pytest.raises(InvalidInput):
        store.check("full", Call("put_bucket_tagging", "s3:PutBucketTagging", {"Tags": 1}))
    assert store.api_calls == 2
    store.close()


def test_what_botocore_has_to_decide(moto: Any) -> None:
    made = []
    for change in (
        {"endpoint_url": ""},
        {"endpoint_url": "https://127.0.0.1:9"},
        {"endpoint_url": "https://s3.eu-west-1.amazonaws.com", "validate_certs": False},
        {"region": ""},
        {"region": None},
        {"addressing_style": "virtual"},
        {"access_key": None, "secret_key": None},
    ):
        store = Store.connect({**PARAMS, "endpoint_url": moto.meta.endpoint_url, **change})
        made.append(not isinstance(store._client, reads.Reads))
        store.close()
    assert all(made)


def test_proxies_and_a_missing_botocore(moto: Any, monkeypatch: Any) -> None:
    params = {**PARAMS, "endpoint_url": moto.meta.endpoint_url}
    assert reads.usable(params)
    monkeypatch.setattr(reads, "find_spec", lambda _: None)
    assert not reads.usable(params)
    monkeypatch.undo()
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not reads.usable(params)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        status, body = self.server.answers.pop(0)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[SimpleNamespace]:
    """A store that gives the answers it was given, one after the other."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answers: list[tuple[int, bytes]] = []
    asked: list[str] = []
    server.answers, server.asked = answers, asked  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    params = {**PARAMS, "endpoint_url": f"http://127.0.0.1:{server.server_port}"}
    yield SimpleNamespace(answers=answers, asked=asked, params=params)
    server.shutdown()
    server.server_close()


TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>because</Message></Error>".encode()


@pytest.mark.parametrize("first", [(503, error("SlowDown")), (500, b""), (200, b"<Tagging"), (404, b"<html/>")])
def test_doubtful_answers_are_asked_again_through_botocore(scripted: SimpleNamespace, first: tuple[int, bytes]) -> None:
    scripted.answers += [first, (200, TAGS)]
    store = Store.connect(scripted.params)
    assert store.call("b", TAGGING)["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert store.api_calls == 2
    store.close()


def test_a_refusal_of_the_keys_is_botocores_to_explain(scripted: SimpleNamespace) -> None:
    scripted.answers += [(403, error("AccessDenied")), (403, error("AccessDenied"))]
    with pytest.raises(Exception, match="s3:GetBucketTagging on bucket b was refused: AccessDenied: because"):
        Store.connect(scripted.params).call("b", TAGGING)


def test_what_a_store_lacks_is_told_at_once(scripted: SimpleNamespace) -> None:
    scripted.answers += [(501, error("NotImplemented")), (405, error("MethodNotAllowed")), (404, error("NoSuchBucket"))]
    store = Store.connect(scripted.params)
    for _ in range(2):
        with pytest.raises(Unsupported, match="get_bucket_tagging"):
            store.call("b", TAGGING)
    with pytest.raises(NotFound, match="NoSuchBucket: because"):
        store.call("b", TAGGING)
    assert store.api_calls == 3 and scripted.asked == ["/b?tagging"] * 3


def test_silence_is_explained_as_before() -> None:
    store = Store.connect({**PARAMS, "endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match="no answer from the S3 endpoint http://127.0.0.1:9"):
        store.call("b", TAGGING)


def test_arguments_and_names_that_are_not_plain_go_through_botocore(moto: Any) -> None:
    store = Store.connect({**PARAMS, "endpoint_url": moto.meta.endpoint_url})
    owner = Call("get_bucket_tagging", "s3:GetBucketTagging", {"ExpectedBucketOwner": "123456789012"})
    assert store.call("full", owner)["TagSet"]
    with pytest.raises(InvalidInput, match="Invalid bucket name"):
        store.call("a b", TAGGING)
    store.close()


def test_reads_do_not_import_botocore(moto: Any) -> None:
    import subprocess

    program = (
        "import sys, json\n"
        "from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Call\n"
        "store = Store.connect(json.loads(sys.argv[1]))\n"
        "assert store._client._read('get_bucket_tagging', Bucket='full')['TagSet']\n"
        "print(sorted(name for name in sys.modules if name.startswith(('botocore', 'boto3'))))\n"
    )
    argv = [sys.executable, "-c", program, json.dumps({**PARAMS, "endpoint_url": moto.meta.endpoint_url})]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("broken", ["missing", "not JSON"])
def test_without_the_description_of_the_api(moto: Any, tmp_path: Path, monkeypatch: Any, broken: str) -> None:
    folder = tmp_path / "data/s3/2006-03-01"
    folder.mkdir(parents=True)
    if broken == "not JSON":
        (folder / "service-2.json").write_text("{")
    monkeypatch.setattr(reads, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    store = Store.connect({**PARAMS, "endpoint_url": moto.meta.endpoint_url})
    assert store.call("full", TAGGING)["TagSet"]
    store.close()
    (folder / "service-2.json").write_text('{"a": 1}')
    assert reads.model() == {"a": 1}
    monkeypatch.setattr(reads, "find_spec", lambda _: None)
    with pytest.raises(reads.NotPlain):
        reads.model()


@pytest.mark.parametrize("text", ["<R><N>x</N></R>", "<R><T>yesterday</T></R>", "<R><B>1</B></R>"])
def test_values_that_are_not_understood(text: str) -> None:
    kinds = {"N": "integer", "T": "timestamp", "B": "blob"}
    shapes: dict[str, Any] = {name: {"type": kind} for name, kind in kinds.items()}
    shapes["R"] = {"type": "structure", "members": {name: {"shape": name} for name in kinds}}
    document = {"shapes": shapes, "operations": {"O": {"output": {"shape": "R"}}}}
    with pytest.raises(reads.NotPlain):
        reads.shaped(document, "O", {}, text.encode())


def test_unusable_authorities_are_told_by_botocore(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no PEM")
    store = Store.connect({**PARAMS, "endpoint_url": "https://127.0.0.1:9", "ca_bundle": str(tmp_path / "ca")})
    assert not isinstance(store._client, reads.Reads)
    store.close()
    unchecked = Store.connect({**PARAMS, "endpoint_url": "https://127.0.0.1:9", "validate_certs": False})
    assert isinstance(unchecked._client, reads.Reads)
    unchecked.close()
