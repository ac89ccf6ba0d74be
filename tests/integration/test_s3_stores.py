# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every part of s3_bucket on the test cluster's SeaweedFS and on moto, against the tables of docs/s3_stores.md.

A cell of the first table says whether the store has the feature, and if not, the code of its answer. A test fails if
either is otherwise, so the document stays true.
"""

from __future__ import annotations

import json
import re
import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import botocore.httpsession
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.s3.bucket import ASPECTS
from ansible_collections.orion.tracing.plugins.modules import s3_bucket
from botocore.exceptions import ClientError
from moto import mock_aws

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/s3_stores.md"
Options = dict[str, Any]


def rule(**action: Any) -> Options:
    return {"lifecycle_rules": [{"ID": "x", "Filter": {"Prefix": "a/"}, **action}]}


def filtered(**condition: Any) -> Options:
    return {"lifecycle_rules": [{"ID": "x", "Filter": condition, "Expiration": {"Days": 30}}]}


def statement(effect: str = "Allow", action: str = "s3:GetObject") -> Options:
    # BUCKET is replaced by the bucket's name.
    return {
        "policy": [
            {"Sid": "s", "Effect": effect, "Principal": "*", "Action": action, "Resource": "arn:aws:s3:::BUCKET/*"}
        ]
    }


NO_RULES: Options = {"lifecycle_rules": []}
NOT_ENCRYPTED: Options = {"encryption": "none"}
LOCKED: Options = {"object_lock_enabled": True}
# By the first cell of a row: what is set, one after the other. The first decides whether the store has the feature.
FEATURES: dict[str, list[Options]] = {
    "versioning": [{"versioning": True}, {"versioning": False}],
    "encryption: sse_s3": [{"encryption": "sse_s3"}],
    "encryption: sse_kms": [{"encryption": "sse_kms", "kms_key_id": "k"}, NOT_ENCRYPTED],
    "bucket_key_enabled": [{"encryption": "sse_kms", "bucket_key_enabled": True}],
    "encryption: dsse_kms": [{"encryption": "dsse_kms"}],
    "public_access_block": [
        {"public_access_block": True},
        {"public_access_block": {"BlockPublicAcls": True}},
        {"public_access_block": False},
    ],
    "object_ownership": [{"object_ownership": "ObjectWriter"}, {"object_ownership": "BucketOwnerPreferred"}],
    "object_ownership: none": [{"object_ownership": "none"}],
    "object_lock_enabled": [LOCKED],
    "object_lock_default_retention": [
        {**LOCKED, "object_lock_default_retention": {"mode": "GOVERNANCE", "days": 1}},
        {"object_lock_default_retention": {"mode": "COMPLIANCE", "years": 1}},
        {"object_lock_default_retention": {}},
    ],
    "tags": [{"tags": {"a": "1", "b": "ü"}}, {"tags": {"a": "2"}}, {"tags": {}}],
    "policy": [statement(), statement("Deny"), {"policy": []}],
    "tls_only": [{"tls_only": True}, {"tls_only": False}],
    "minimum_tls_version": [
        {"minimum_tls_version": "1.2"},
        {"minimum_tls_version": "1.3"},
        {"minimum_tls_version": "none"},
    ],
    "Expiration.Days": [rule(Expiration={"Days": 30}), rule(Expiration={"Days": 31}), NO_RULES],
    "Expiration.Date": [rule(Expiration={"Date": "2040-01-31"}), NO_RULES],
    "Expiration.ExpiredObjectDeleteMarker": [rule(Expiration={"ExpiredObjectDeleteMarker": True}), NO_RULES],
    "NoncurrentVersionExpiration": [
        rule(NoncurrentVersionExpiration={"NoncurrentDays": 3, "NewerNoncurrentVersions": 2}),
        NO_RULES,
    ],
    "AbortIncompleteMultipartUpload": [
        rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}),
        NO_RULES,
    ],
    "Transitions": [rule(Transitions=[{"Days": 30, "StorageClass": "STANDARD_IA"}]), NO_RULES],
    "NoncurrentVersionTransitions": [
        rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 30, "StorageClass": "STANDARD_IA"}]),
        NO_RULES,
    ],
    "Filter.Tag": [filtered(Tag={"Key": "a", "Value": "b"}), NO_RULES],
    "Filter.ObjectSizeGreaterThan": [filtered(ObjectSizeGreaterThan=1024), NO_RULES],
    "Filter.And": [
        filtered(And={"Prefix": "a/", "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeLessThan": 99}),
        NO_RULES,
    ],
}
# What has to be there before, where that is not nothing.
BEFORE: dict[str, Options] = {"object_ownership: none": {"object_ownership": "ObjectWriter"}}


def table(heading: str) -> dict[str, dict[str, str]]:
    """A table of the document: {first cell: {column: cell}}, without code marks."""
    text = DOCUMENT.read_text().split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    rows = [[c.strip() for c in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("|")]
    head, _rule, *body = rows
    return {row[0].replace("`", ""): dict(zip(head[1:], row[1:], strict=True)) for row in body}


@dataclass
class Lab:
    """One store: how modules reach it, and the buckets that were made in it."""

    name: str
    connection: Options
    capsys: pytest.CaptureFixture[str]
    buckets: list[str] = field(default_factory=list)

    def bucket(self) -> str:
        self.buckets.append(f"stores-{uuid.uuid4().hex[:12]}")
        return self.buckets[-1]

    def run(self, bucket: str, check: bool = False, **options: Any) -> Options:
        """The module's result, as Ansible gets it; its warnings too, which Ansible collects for a whole process."""
        given = json.loads(json.dumps(options).replace("BUCKET", bucket))
        arguments = {**self.connection, "name": bucket, **given, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments), patch.object(TracingModule, "warn") as warn, pytest.raises(SystemExit):
            s3_bucket.main()
        result: Options = json.loads(self.capsys.readouterr().out)
        return {**result, "warnings": [call.args[0] for call in warn.call_args_list]}

    def client(self) -> Any:
        c = self.connection
        return boto3.client(
            "s3",
            endpoint_url=c.get("endpoint_url"),
            region_name=c["region"],
            aws_access_key_id=c["access_key"],
            aws_secret_access_key=c["secret_key"],
            verify=c.get("ca_bundle"),
        )


def seaweedfs_connection(state: Path) -> Options:
    keys = json.loads((state / "s3-credentials.json").read_text())
    port = json.loads((state / "cluster.json").read_text())["ports"]["30333"]
    return {
        "endpoint_url": f"https://127.0.0.1:{port}",
        "access_key": keys["access_key"],
        "secret_key": keys["secret_key"],
        "ca_bundle": str(state / "s3-ca.crt"),
        "region": "us-east-1",
    }


@pytest.fixture(params=["SeaweedFS", "moto"])
def lab(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    if request.param == "moto":
        connection: Options = {"access_key": "AKIAEXAMPLE", "secret_key": "not-to-be-shown", "region": "eu-west-1"}
        with mock_aws():
            yield Lab(request.param, connection, capsys)
        return
    lab = Lab(request.param, seaweedfs_connection(request.getfixturevalue("state")), capsys)
    yield lab
    left = [lab.run(bucket, state="absent", force_empty=True) for bucket in lab.buckets]
    assert [result["msg"] for result in left if result.get("failed")] == []


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_the_table_has_every_feature_and_every_feature_a_row() -> None:
    assert list(table("Tested")) == list(FEATURES)
    asked = {aspect.option for stages in FEATURES.values() for one in stages for aspect in ASPECTS if aspect.asked(one)}
    assert asked == {aspect.option for aspect in ASPECTS}


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature(lab: Lab, feature: str) -> None:
    bucket = lab.bucket()
    if feature in BEFORE:
        lab.run(bucket, **BEFORE[feature])
    first, *more = FEATURES[feature]
    would, did, again = thrice(lab, bucket, {**first, "on_unsupported": "warn"})
    if did["unsupported"]:
        (entry,) = did["unsupported"]
        cell = f"no: {re.split('[:,]', entry['answer'])[0]}"
    else:
        # Where a store is taken for AWS, nothing but another run shows what it has forgotten.
        cell = "no: not kept" if again["changed"] else "yes"
    assert cell == table("Tested")[feature][lab.name].replace("`", "")
    if did["unsupported"]:
        lacking(lab, bucket, first, did)
    elif cell == "yes":
        there(would, did, again, first)
        for options in more:
            there(*thrice(lab, bucket, options), options)


def thrice(lab: Lab, bucket: str, options: Options) -> tuple[Options, Options, Options]:
    """What check mode says, the result, and that of another run."""
    results = [lab.run(bucket, check=number == 0, **options) for number in range(3)]
    assert not any(result.get("failed") for result in results), results
    return results[0], results[1], results[2]


def there(would: Options, did: Options, again: Options, options: Options) -> None:
    """Check mode says what is then done, with the same difference; and then there is nothing to do."""
    assert would["changed"] and would["steps"] and would["diff"]
    # If check mode had written anything, there would have been less to do.
    told = ("changed", "steps", "diff", "unsupported", "bucket")
    assert {key: did[key] for key in told} == {key: would[key] for key in told}
    assert (again["changed"], again["steps"], again["diff"], again["unsupported"]) == (False, [], [], [])
    # One request for the bucket and one for each document: nothing but reads.
    assert again["api_calls"] == 1 + sum(aspect.asked({"state": "present", **options}) for aspect in ASPECTS)


def lacking(lab: Lab, bucket: str, options: Options, told: Options) -> None:
    """Told with the store's answer, in either way; the rest is done; what was not asked for does not matter."""
    (entry,) = told["unsupported"]
    (warning,) = told["warnings"]
    assert entry["feature"] in warning and entry["answer"] in warning
    refused = lab.run(bucket, **options)
    assert refused["failed"] and refused["unsupported"] == [entry]
    assert entry["feature"] in refused["msg"] and entry["answer"] in refused["msg"]
    assert "on_unsupported: warn" in refused["msg"]
    beside = lab.run(bucket, **options, tags={"a": "1"}, on_unsupported="warn")
    assert beside["steps"] == ["put tags"] and beside["unsupported"] == [entry]
    silent = lab.run(bucket, tags={"a": "1"})
    assert (silent["changed"], silent["unsupported"], silent["warnings"]) == (False, [], [])


def test_everything_that_the_store_has_at_once(lab: Lab) -> None:
    rows = table("Tested")
    wish: Options = {}
    rules: list[Options] = []
    for feature, stages in FEATURES.items():
        if not rows[feature][lab.name].startswith("yes") or feature.startswith("object_ownership: none"):
            continue
        for number, one in enumerate(stages[0].get("lifecycle_rules", [])):
            rules.append({**one, "ID": f"{feature}-{number}"})
        wish |= {key: value for key, value in stages[0].items() if key != "lifecycle_rules"}
    wish |= {"lifecycle_rules": rules, "encryption": "sse_kms", "object_lock_default_retention": None}
    bucket = lab.bucket()
    did = lab.run(bucket, **wish)
    assert not did.get("failed"), did
    assert {step.split()[-1] for step in did["steps"]} >= {"encryption", "versioning", "lifecycle_rules", "policy"}
    again = lab.run(bucket, **wish)
    assert (again["changed"], again["diff"]) == (False, [])


def test_a_bucket_is_deleted_only_when_empty_or_when_asked_for(lab: Lab) -> None:
    bucket = lab.bucket()
    lab.run(bucket, versioning=True)
    client = lab.client()
    for body in (b"1", b"2"):
        client.put_object(Bucket=bucket, Key="k", Body=body)
    client.delete_object(Bucket=bucket, Key="k")
    refused = lab.run(bucket, state="absent")
    assert refused["failed"] and "is not empty, so it is not deleted" in refused["msg"]
    would = lab.run(bucket, check=True, state="absent", force_empty=True)
    assert would["changed"] and would["emptied"]["versions"] == 2
    assert client.list_object_versions(Bucket=bucket)["Versions"]
    did = lab.run(bucket, state="absent", force_empty=True)
    assert did["steps"] == would["steps"] and did["emptied"]["versions"] == 2
    gone = lab.run(bucket, state="absent", force_empty=True)
    assert (gone["changed"], gone["steps"]) == (False, [])


@pytest.fixture
def seaweedfs(state: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    lab = Lab("SeaweedFS", seaweedfs_connection(state), capsys)
    yield lab
    for bucket in lab.buckets:
        # What a test has forbidden would also forbid to clean up.
        lab.run(bucket, policy=[], minimum_tls_version="none")
        assert not lab.run(bucket, state="absent", force_empty=True).get("failed")


def allowed(operation: Callable[..., Any], **arguments: Any) -> bool:
    try:
        operation(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return False
    return True


def enforced_policy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> bool:
    bucket = lab.bucket()
    lab.run(bucket, **statement("Deny", "s3:PutObject"))
    return not allowed(lab.client().put_object, Bucket=bucket, Key="k", Body=b"")


def enforced_retention(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> bool:
    bucket = lab.bucket()
    lab.run(bucket, **LOCKED, object_lock_default_retention={"mode": "GOVERNANCE", "days": 1})
    client = lab.client()
    version = {"Key": "k", "VersionId": client.put_object(Bucket=bucket, Key="k", Body=b"")["VersionId"]}
    kept = not allowed(client.delete_object, Bucket=bucket, **version)
    client.delete_object(Bucket=bucket, **version, BypassGovernanceRetention=True)
    return kept


def enforced_tls_version(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> bool:
    bucket = lab.bucket()
    lab.run(bucket, minimum_tls_version="1.3")
    make = botocore.httpsession.create_urllib3_context

    def outdated(*arguments: Any, **options: Any) -> Any:
        context = make(*arguments, **options)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    with monkeypatch.context() as patched:
        patched.setattr(botocore.httpsession, "create_urllib3_context", outdated)
        client = lab.client()
    return not allowed(client.put_object, Bucket=bucket, Key="k", Body=b"")


ENFORCED: dict[str, Callable[[Lab, pytest.MonkeyPatch], bool]] = {
    "policy": enforced_policy,
    "object_lock_default_retention": enforced_retention,
    "minimum_tls_version": enforced_tls_version,
}


def test_the_second_table_has_every_row() -> None:
    assert list(table("Enforced")) == list(ENFORCED)


@pytest.mark.parametrize("feature", ENFORCED)
def test_what_the_store_does_with_it(seaweedfs: Lab, feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_enforced = ENFORCED[feature](seaweedfs, monkeypatch)
    assert table("Enforced")[feature]["SeaweedFS"] == ("yes" if is_enforced else "no")
