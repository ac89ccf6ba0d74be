# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IAM documents of Tempo's role, and that IAM and S3 enforce them as meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import jinja2
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.filter.s3_policy import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.iam import (
    irsa,
    permissions,
    pod_identity,
    recordings,
    trust,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import Range, S3Recording
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

FILTERS = Path(__file__).resolve().parents[5] / "plugins/filter"
BUCKET = "orion-traces"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ISSUER = "oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/production"
TEMPO = {"namespace": "tracing", "service_account": "tempo"}


def by_resource(document: dict[str, Any]) -> dict[str, set[str]]:
    assert document["Version"] == "2012-10-17"
    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
    return {statement["Resource"]: set(statement["Action"]) for statement in document["Statement"]}


def test_the_six_actions_each_on_what_it_is_for() -> None:
    assert by_resource(permissions(BUCKET)) == {
        "arn:aws:s3:::orion-traces/*": {
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:GetObjectTagging",
            "s3:PutObjectTagging",
        },
        "arn:aws:s3:::orion-traces": {"s3:ListBucket"},
    }


def test_a_key_adds_what_uploads_and_reading_need() -> None:
    document = permissions(BUCKET, kms_key_arn=KEY)
    assert by_resource(document).pop(KEY) == {"kms:GenerateDataKey", "kms:Decrypt"}
    assert document["Statement"][:2] == permissions(BUCKET)["Statement"]


def test_recordings_are_written_and_read_below_one_prefix() -> None:
    assert by_resource(recordings(BUCKET, "/a/b/")) == {"arn:aws:s3:::orion-traces/a/b/*": {"s3:PutObject"}}
    reading = recordings(BUCKET, "a/b", "read", "aws-cn")
    assert by_resource(reading) == {
        "arn:aws-cn:s3:::orion-traces/a/b/*": {"s3:GetObject"},
        "arn:aws-cn:s3:::orion-traces": {"s3:ListBucket"},
    }
    assert reading["Statement"][1]["Condition"] == {"StringLike": {"s3:prefix": ["a/b/*"]}}
    assert by_resource(recordings(BUCKET, "a", kms_key_arn=KEY))[KEY] == {"kms:GenerateDataKey"}
    assert by_resource(recordings(BUCKET, "a", "read", kms_key_arn=KEY))[KEY] == {"kms:Decrypt"}
    found = FilterModule().filters()["recordings_s3_policy"](BUCKET, "a", access="read")
    assert found == recordings(BUCKET, "a", "read")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((BUCKET, "/"), "it is empty"),
        ((BUCKET, "a*"), "are wildcards and variables"),
        ((BUCKET, "a/${aws:username}"), "are wildcards and variables"),
        ((BUCKET, "a", "delete"), "neither write nor read"),
        (("*", "a"), "cannot be a bucket"),
        ((BUCKET, "a", "write", "cn"), "Write aws, aws-cn, aws-eusc"),
        ((BUCKET, "a", "write", "aws", "alias/traces"), "kms_key_arn"),
    ],
)
def test_recordings_that_cannot_be(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(AnsibleFilterError, match="recordings_s3_policy: ") as refused:
        FilterModule().filters()["recordings_s3_policy"](*arguments)
    assert says in str(refused.value)


def test_partitions() -> None:
    assert set(by_resource(permissions(BUCKET, "aws-us-gov"))) == {
        "arn:aws-us-gov:s3:::orion-traces",
        "arn:aws-us-gov:s3:::orion-traces/*",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"bucket": "arn:aws:s3:::x"}, "cannot be a bucket"),
        ({"bucket": "*"}, "cannot be a bucket"),
        ({"bucket": BUCKET, "partition": "cn"}, "Write aws, aws-cn, aws-eusc"),
        ({"bucket": BUCKET, "kms_key_arn": "alias/traces"}, "an alias or a key id in an IAM policy allows nothing"),
        ({"bucket": BUCKET, "kms_key_arn": KEY.replace(":key/", ":alias/")}, "kms_key_arn"),
        ({"bucket": BUCKET, "kms_key_arn": KEY.partition("/")[0] + "/*"}, "kms_key_arn"),
        (
            {"bucket": BUCKET, "kms_key_arn": KEY, "partition": "aws-cn"},
            "is in partition aws, but the bucket is in aws-cn",
        ),
    ],
)
def test_permissions_refuse_what_would_allow_too_much_or_nothing(arguments: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says.replace("*", "[*]")):
        permissions(**arguments)


def _user(name: str, policy: dict[str, Any]) -> dict[str, str]:
    """The keys of a new user with that policy alone."""
    iam = boto3.client("iam", region_name="us-east-1")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"], "region": "us-east-1"}


@mock_aws
def test_recordings_can_be_written_and_read_with_it() -> None:
    """By a store that enforces IAM, though not conditions."""
    admin = boto3.client("s3", region_name="us-east-1")
    admin.create_bucket(Bucket=BUCKET)
    writer, reader = (Store.connect(_user(access, recordings(BUCKET, "a", access))) for access in ("write", "read"))
    key = "a/year=2026/month=01/day=31/hour=10/minute=00/traces_123456789.json"

    @set_initial_no_auth_action_count(0)
    def enforced_() -> None:
        writer.call(BUCKET, Call("put_object", "s3:PutObject", {"Key": key, "Body": b'{"resourceSpans":[]}'}))
        for within in (Range(), Range(datetime(2026, 1, 31, tzinfo=UTC))):
            (message,) = S3Recording(reader, f"s3://{BUCKET}/a", within).messages()
            assert message.text == b'{"resourceSpans":[]}'
        with pytest.raises(NotFound, match="holds no recording from 2027"):
            list(S3Recording(reader, f"s3://{BUCKET}/a", Range(datetime(2027, 1, 1, tzinfo=UTC))).messages())
        with pytest.raises(PermissionDenied, match="s3:ListBucket"):
            list(S3Recording(writer, f"s3://{BUCKET}/a").messages())
        for store, where in ((writer, "b/x"), (reader, "a/x")):
            with pytest.raises(PermissionDenied, match="s3:PutObject"):
                store.call(BUCKET, Call("put_object", "s3:PutObject", {"Key": where, "Body": b""}))

    enforced_()


@pytest.fixture
def enforced() -> Iterator[tuple[Any, Any]]:
    """Two S3 clients of a store that enforces IAM: the administrator's, and one with Tempo's policy alone."""
    with mock_aws():
        iam = boto3.client("iam", region_name="us-east-1")
        iam.create_user(UserName="tempo")
        iam.put_user_policy(UserName="tempo", PolicyName="tempo", PolicyDocument=json.dumps(permissions(BUCKET)))
        key = iam.create_access_key(UserName="tempo")["AccessKey"]
        admin = boto3.client("s3", region_name="us-east-1")
        for name in (BUCKET, "another"):
            admin.create_bucket(Bucket=name)
        tempo = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        yield admin, tempo


@set_initial_no_auth_action_count(0)
def tempo_works(tempo: Any, bucket: str) -> None:
    """What Tempo does with its bucket, multipart uploads included."""
    tempo.put_object(Bucket=bucket, Key="single-tenant/b/meta.json", Body=b"{}", Tagging="a=b")
    upload = tempo.create_multipart_upload(Bucket=bucket, Key="single-tenant/b/data.parquet")["UploadId"]
    where = {"Bucket": bucket, "Key": "single-tenant/b/data.parquet", "UploadId": upload}
    part = tempo.upload_part(**where, PartNumber=1, Body=b"x")["ETag"]
    tempo.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    tempo.list_objects_v2(Bucket=bucket, Prefix="single-tenant/")
    tempo.get_object(Bucket=bucket, Key="single-tenant/b/meta.json")
    tempo.put_object_tagging(
        Bucket=bucket, Key="single-tenant/b/meta.json", Tagging={"TagSet": [{"Key": "a", "Value": "c"}]}
    )
    tempo.get_object_tagging(Bucket=bucket, Key="single-tenant/b/meta.json")
    tempo.delete_object(Bucket=bucket, Key="single-tenant/b/meta.json")


def test_tempo_can_work_with_it(enforced: tuple[Any, Any]) -> None:
    tempo_works(enforced[1], BUCKET)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_object", {"Bucket": "another", "Key": "x"}),
        ("list_objects_v2", {"Bucket": "another"}),
        ("delete_bucket", {"Bucket": BUCKET}),
        ("get_bucket_versioning", {"Bucket": BUCKET}),
        ("put_bucket_versioning", {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Enabled"}}),
        ("list_object_versions", {"Bucket": BUCKET}),
        ("list_buckets", {}),
    ],
)
def test_and_can_do_nothing_else(enforced: tuple[Any, Any], operation: str, arguments: dict[str, Any]) -> None:
    getattr(enforced[0], operation)(**arguments)  # the request itself is right
    if operation == "delete_bucket":
        enforced[0].create_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError) as refused:
        set_initial_no_auth_action_count(0)(getattr(enforced[1], operation))(**arguments)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_irsa_names_one_service_account() -> None:
    document = irsa("tracing", "tempo", oidc_provider_arn=PROVIDER)
    assert document == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TempoServiceAccount",
                "Effect": "Allow",
                "Principal": {"Federated": PROVIDER},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": "system:serviceaccount:tracing:tempo",
                    }
                },
            }
        ],
    }


@pytest.mark.parametrize("url", [f"https://{ISSUER}", f"https://{ISSUER}/", ISSUER])
def test_irsa_from_the_issuer(url: str) -> None:
    document = irsa("tracing", "tempo", oidc_issuer=url, account_id="123456789012")
    assert document == irsa("tracing", "tempo", oidc_provider_arn=PROVIDER)
    china = irsa("tracing", "tempo", oidc_issuer=url, account_id="123456789012", partition="aws-cn")
    assert china["Statement"][0]["Principal"]["Federated"].startswith("arn:aws-cn:iam::123456789012:oidc-provider/oidc")


def test_pod_identity_with_and_without_conditions() -> None:
    (bare,) = pod_identity()["Statement"]
    assert bare == {
        "Sid": "TempoPodIdentity",
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    (statement,) = pod_identity("tracing", "tempo", CLUSTER)["Statement"]
    assert statement == bare | {
        "Condition": {
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": CLUSTER,
                "aws:RequestTag/kubernetes-namespace": "tracing",
                "aws:RequestTag/kubernetes-service-account": "tempo",
            }
        }
    }


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("irsa", TEMPO, "either oidc_provider_arn or oidc_issuer: neither is given"),
        ("irsa", {**TEMPO, "oidc_provider_arn": PROVIDER, "oidc_issuer": ISSUER}, "both are given"),
        ("irsa", {**TEMPO, "oidc_provider_arn": f"https://{ISSUER}"}, "oidc_provider_arn"),
        ("irsa", {**TEMPO, "oidc_issuer": ISSUER}, "account_id '' is not 12 digits"),
        ("irsa", {**TEMPO, "oidc_issuer": ISSUER, "account_id": "1234"}, "account_id"),
        ("irsa", {**TEMPO, "oidc_issuer": f"http://{ISSUER}", "account_id": "123456789012"}, "oidc_issuer"),
        ("irsa", {**TEMPO, "oidc_provider_arn": PROVIDER, "service_account": "*"}, "compares names literally"),
        ("irsa", {"service_account": "tempo", "oidc_provider_arn": PROVIDER}, "namespace ''"),
        (
            "irsa",
            {**TEMPO, "oidc_provider_arn": PROVIDER, "cluster_arn": CLUSTER},
            "cluster_arn: it belongs to pod_identity",
        ),
        ("pod_identity", {**TEMPO, "oidc_provider_arn": PROVIDER}, "it belongs to irsa"),
        (
            "pod_identity",
            {**TEMPO, "role": "x"},
            "no option role. Its options: namespace, service_account, cluster_arn",
        ),
        ("pod_identity", {"namespace": "Tracing"}, "namespace 'Tracing'"),
        ("pod_identity", {"cluster_arn": "production"}, "cluster_arn"),
        ("ec2", {}, "Write irsa or pod_identity"),
    ],
)
def test_trust_refuses(kind: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput) as error:
        trust(kind, options)
    assert says in str(error.value)


def test_filters_are_the_functions_and_document_all_their_options() -> None:
    filters = FilterModule().filters()
    assert filters["tempo_s3_policy"](BUCKET, "aws", KEY) == permissions(BUCKET, "aws", KEY)
    given = {**TEMPO, "oidc_issuer": ISSUER, "account_id": 123456789012, "oidc_provider_arn": None, "cluster_arn": ""}
    assert filters["tempo_s3_trust_policy"]("irsa", **given) == irsa("tracing", "tempo", PROVIDER)
    documented = {name: yaml.safe_load((FILTERS / f"{name}.yml").read_text()) for name in filters}
    options = set(documented["tempo_s3_trust_policy"]["DOCUMENTATION"]["options"]) - {"_input"}
    for option in options:
        for kind in ("irsa", "pod_identity"):
            try:
                trust(kind, {option: "x"})
            except InvalidInput as error:
                assert "has no option" not in str(error) or "belongs to" in str(error)
    assert documented["tempo_s3_policy"]["RETURN"]["_value"]["sample"] == permissions("orion-traces-123456789012")
    assert documented["tempo_s3_trust_policy"]["RETURN"]["_value"]["sample"] == pod_identity(
        "tracing", "tempo", CLUSTER
    )


@pytest.mark.parametrize("template", ["{{ 'x' | policy }}", "{{ 'irsa' | trust }}"])
def test_filters_refuse_in_ansibles_words(template: str) -> None:
    filters = FilterModule().filters()
    environment = jinja2.Environment()
    environment.filters.update(policy=filters["tempo_s3_policy"], trust=filters["tempo_s3_trust_policy"])
    with pytest.raises(AnsibleFilterError, match="^tempo_s3_"):
        environment.from_string(template).render()
