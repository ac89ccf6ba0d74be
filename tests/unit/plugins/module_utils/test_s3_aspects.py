# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documents of a bucket, as data: what counts as the same, and what is sent."""

from __future__ import annotations

import datetime
import itertools
import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3 import (
    encryption,
    lifecycle,
    names,
    policy,
    public_access_block,
    tags,
    versioning,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Target

ARN = "arn:aws:s3:::traces"
AWS, OTHER = Target(ARN, custom=False), Target(ARN, custom=True)
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}


# --- names


@pytest.mark.parametrize("name", ["abc", "orion-traces-123456789012", "a.b.c", "1.2.3", "a" * 63])
def test_good_names(name: str) -> None:
    assert names.problem(name) == ""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ab", "2 characters"),
        ("a" * 64, "64 characters"),
        ("Traces", "lower-case"),
        ("a_b", "lower-case"),
        ("-abc", "begins and ends"),
        ("abc-", "begins and ends"),
        ("a..b", "begins and ends"),
        ("a.-b", "begins and ends"),
        ("192.168.5.4", "IP address"),
        ("xn--abc", "xn-- is reserved"),
        ("traces-s3alias", "-s3alias is reserved"),
        ("traces--x-s3", "--x-s3 is reserved"),
    ],
)
def test_bad_names(name: str, part: str) -> None:
    assert part in names.problem(name)


# --- versioning


@pytest.mark.parametrize(
    ("option", "current", "expected"),
    [
        (True, None, "Enabled"),
        (True, "Suspended", "Enabled"),
        (False, "Enabled", "Suspended"),
        (False, "Suspended", "Suspended"),
        (False, None, None),
    ],
)
def test_versioning(option: bool, current: str | None, expected: str | None) -> None:
    assert versioning.wanted({"versioning": option}, current, AWS) == expected


def test_versioning_is_parsed_and_sent() -> None:
    assert versioning.parse({}) is None
    assert versioning.parse({"Status": "Enabled"}) == "Enabled"
    assert versioning.write("Suspended").arguments == {"VersioningConfiguration": {"Status": "Suspended"}}


# --- encryption


def sse(default: dict[str, str], **rule: Any) -> dict[str, Any]:
    return {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": default, **rule}]}}


def test_encryption_is_parsed() -> None:
    assert encryption.parse({}) is None
    assert encryption.parse({"ServerSideEncryptionConfiguration": {"Rules": [{"BucketKeyEnabled": True}]}}) is None
    # A bucket key means nothing for AES256, whatever the store says about it.
    assert encryption.parse(sse({"SSEAlgorithm": "AES256"}, BucketKeyEnabled=True)) == {"SSEAlgorithm": "AES256"}
    blocked = {"EncryptionType": ["SSE-C"]}
    assert encryption.parse(
        sse({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}, BucketKeyEnabled=True, BlockedEncryptionTypes=blocked)
    ) == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": "k",
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": blocked,
    }


def test_encryption_keeps_what_no_option_sets() -> None:
    current = {"SSEAlgorithm": "AES256", "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    kms = {"encryption": "sse_kms", "kms_key_id": "alias/x", "bucket_key_enabled": True}
    document = encryption.wanted(kms, current, AWS)
    assert document == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": "alias/x",
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    assert encryption.parse(encryption.write(document).arguments) == document


def test_no_encryption_on_aws_is_its_own_default() -> None:
    plain = {"SSEAlgorithm": "AES256"}
    assert encryption.wanted({"encryption": "none"}, plain, AWS) == plain
    assert encryption.wanted({"encryption": "none"}, plain, OTHER) is None
    assert encryption.wanted({"encryption": "none"}, {"SSEAlgorithm": "aws:kms"}, AWS) is None
    assert encryption.write(None).operation == "delete_bucket_encryption"


def test_plain_encryption_is_sent_without_a_bucket_key() -> None:
    document = encryption.wanted({"encryption": "sse_s3"}, None, AWS)
    assert encryption.write(document).arguments == sse({"SSEAlgorithm": "AES256"})
    kms = encryption.wanted({"encryption": "sse_kms"}, None, AWS)
    assert kms == {"SSEAlgorithm": "aws:kms", "BucketKeyEnabled": False}


# --- public access block


def test_public_access_block_takes_a_boolean_or_a_dictionary() -> None:
    everything = dict.fromkeys(public_access_block.SETTINGS, True)
    for yes in (True, "true", "yes"):
        assert public_access_block.wanted({"public_access_block": yes}, None, AWS) == everything
    assert public_access_block.wanted({"public_access_block": "no"}, None, AWS) is None
    some = public_access_block.wanted({"public_access_block": {"BlockPublicAcls": "on"}}, None, AWS)
    assert some == {**dict.fromkeys(public_access_block.SETTINGS, False), "BlockPublicAcls": True}
    assert public_access_block.write(some).arguments == {"PublicAccessBlockConfiguration": some}
    assert public_access_block.write(None).operation == "delete_public_access_block"


def test_public_access_block_all_false_is_none() -> None:
    given = dict.fromkeys(public_access_block.SETTINGS, False)
    assert public_access_block.parse({"PublicAccessBlockConfiguration": given}) is None
    assert public_access_block.parse({}) is None


@pytest.mark.parametrize(
    ("value", "part"), [({"BlockAll": True}, "unknown key BlockAll"), ("perhaps", "not a boolean")]
)
def test_public_access_block_refuses_the_rest(value: Any, part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        public_access_block.wanted({"public_access_block": value}, None, AWS)


# --- tags


def test_tags() -> None:
    current = {"old": "1", "aws:cloudformation:stack-name": "s"}
    document = tags.wanted({"tags": {"n": 1, "flag": True, "none": None}}, current, AWS)
    assert document == {"n": "1", "flag": "true", "none": "", "aws:cloudformation:stack-name": "s"}
    assert tags.parse(tags.write(document).arguments["Tagging"]) == document
    assert tags.wanted({"tags": {}}, {"old": "1"}, AWS) is None
    assert tags.write(None).operation == "delete_bucket_tagging"
    assert tags.parse({"TagSet": []}) is None


# --- lifecycle

EVERYTHING = [{}, {"Prefix": ""}, {"Filter": {}}, {"Filter": {"Prefix": ""}}, {"Prefix": None}, {"Filter": None}]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(EVERYTHING, 2)))
def test_every_way_to_say_every_object_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert lifecycle.normalise({**ABORT, **one}) == lifecycle.normalise({**ABORT, **other, "Status": "Enabled"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Prefix": "a/"}, {"Filter": {"Prefix": "a/"}}),
        ({"Filter": {"And": {"Prefix": "a/"}}}, {"Filter": {"Prefix": "a/"}}),
        ({"Filter": {"And": {"Tags": [{"Key": "k", "Value": "v"}]}}}, {"Filter": {"Tag": {"Key": "k", "Value": "v"}}}),
        (
            {"Filter": {"And": {"Tags": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "1"}]}}},
            {"Filter": {"And": {"Tags": [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}], "Prefix": ""}}},
        ),
        ({"Expiration": {"Days": "30"}}, {"Expiration": {"Days": 30, "ExpiredObjectDeleteMarker": False}}),
        ({"Expiration": {"ExpiredObjectDeleteMarker": "false"}}, {}),
        ({"Expiration": {"ExpiredObjectDeleteMarker": "true"}}, {"Expiration": {"ExpiredObjectDeleteMarker": True}}),
        (
            {"Expiration": {"Date": "2027-01-31"}},
            {"Expiration": {"Date": datetime.datetime(2027, 1, 31, tzinfo=datetime.UTC)}},
        ),
        ({"Expiration": {"Date": datetime.date(2027, 1, 31)}}, {"Expiration": {"Date": "2027-01-31T00:00:00Z"}}),
        (
            {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}]},
            {"Transitions": [{"Days": 90, "StorageClass": "GLACIER"}, {"Days": 30, "StorageClass": "STANDARD_IA"}]},
        ),
    ],
)
def test_lifecycle_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert lifecycle.normalise({**ABORT, **one}) == lifecycle.normalise({**ABORT, **other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Filter": {"Prefix": "a/"}}, {}),
        ({"Status": "Disabled"}, {}),
        ({"Filter": {"Tag": {"Key": "k", "Value": ""}}}, {}),
        ({"Expiration": {"Days": 30}}, {"Expiration": {"Days": 31}}),
        ({"Filter": {"ObjectSizeGreaterThan": 0}}, {}),
    ],
)
def test_lifecycle_different(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert lifecycle.normalise({**ABORT, **one}) != lifecycle.normalise({**ABORT, **other})


def test_a_rule_without_an_id_is_the_present_one_of_the_same_content() -> None:
    current = lifecycle.parse({"Rules": [{"ID": "made-by-the-store", "Status": "Enabled", "Prefix": "", **ABORT}]})
    assert lifecycle.wanted({"lifecycle_rules": [ABORT]}, current, AWS) == current
    # One present rule can stand for one given rule only.
    twice = lifecycle.wanted({"lifecycle_rules": [ABORT, ABORT]}, current, AWS)["Rules"]
    assert len(twice) == 2 and sum("ID" in rule for rule in twice) == 1


def test_lifecycle_is_exact_and_its_order_means_nothing() -> None:
    a, b = {"ID": "a", **ABORT}, {"ID": "b", "Expiration": {"Days": 3}}
    current = lifecycle.wanted({"lifecycle_rules": [a, b]}, None, AWS)
    assert lifecycle.wanted({"lifecycle_rules": [b, a]}, current, AWS) == current
    assert [rule["ID"] for rule in lifecycle.wanted({"lifecycle_rules": [b]}, current, AWS)["Rules"]] == ["b"]
    assert lifecycle.wanted({"lifecycle_rules": []}, current, AWS) is None
    assert lifecycle.write(None).operation == "delete_bucket_lifecycle"
    assert lifecycle.parse({"Rules": []}) is None


def test_lifecycle_for_every_object_is_sent_as_an_empty_prefix() -> None:
    sent = lifecycle.write(lifecycle.wanted({"lifecycle_rules": [ABORT]}, None, AWS)).arguments
    assert sent == {"LifecycleConfiguration": {"Rules": [{"Status": "Enabled", **ABORT, "Filter": {"Prefix": ""}}]}}


@pytest.mark.parametrize(
    ("rules", "part"),
    [
        ([{"ID": "a", **ABORT}, {"ID": "a", "Expiration": {"Days": 1}}], "two rules have the ID a"),
        ([{"Filter": "a/"}], "rule 1 is malformed"),
        ([{"Expiration": {"Date": "soon"}}], "'soon' is not a date"),
    ],
)
def test_lifecycle_refuses(rules: list[dict[str, Any]], part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        lifecycle.wanted({"lifecycle_rules": rules}, None, AWS)


# --- policy

OWN = {"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Principal": "*"}, {"Principal": {"AWS": "*"}}),
        ({"Principal": {"AWS": ["*"]}}, {"Principal": {"AWS": "*"}}),
        ({"Principal": {"AWS": "123456789012"}}, {"Principal": {"AWS": ["arn:aws:iam::123456789012:root"]}}),
        ({"Principal": {"AWS": 123456789012}}, {"Principal": {"AWS": "arn:aws-cn:iam::123456789012:root"}}),
        ({"Action": ["s3:GetObject"]}, {"Action": "s3:GetObject"}),
        ({"Action": ["b", "a"]}, {"Action": ["a", "b", "a"]}),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": False}}},
            {"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}},
        ),
        (
            {"Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}},
            {"Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
        ),
    ],
)
def test_policy_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first = policy.normalise({"Statement": [{**OWN, **one}]})
    assert first == policy.normalise({"Version": policy.VERSION, "Statement": {**OWN, **other}})


def test_policy_none() -> None:
    assert policy.parse({}) is None
    assert policy.normalise({"Statement": []}) is None
    assert policy.write(None).operation == "delete_bucket_policy"


def test_tls_only_leaves_other_statements_alone() -> None:
    current = policy.parse({"Policy": json.dumps({"Version": "2008-10-17", "Id": "p", "Statement": [OWN]})})
    document = policy.wanted({"tls_only": True}, current, AWS)
    assert document["Version"] == "2008-10-17" and document["Id"] == "p"
    assert [s["Sid"] for s in document["Statement"]] == [policy.TLS_SID, "own"]
    assert policy.wanted({"tls_only": True}, document, AWS) == document
    assert policy.wanted({"tls_only": False}, document, AWS) == current
    assert json.loads(policy.write(document).arguments["Policy"]) == document


def test_policy_leaves_the_tls_statement_alone_and_owns_the_rest() -> None:
    tls = policy.wanted({"tls_only": True}, None, AWS)
    both = policy.wanted({"policy": [OWN]}, tls, AWS)
    assert [s["Sid"] for s in both["Statement"]] == [policy.TLS_SID, "own"]
    other = {**OWN, "Sid": "other"}
    assert [s["Sid"] for s in policy.wanted({"policy": [other]}, both, AWS)["Statement"]] == [policy.TLS_SID, "other"]
    assert policy.wanted({"policy": []}, both, AWS) == tls
    assert policy.wanted({"policy": [], "tls_only": False}, both, AWS) is None


def test_tls_statement_names_the_bucket_in_its_partition() -> None:
    statement = policy.tls_statement("arn:aws-cn:s3:::traces")
    assert statement["Resource"] == ["arn:aws-cn:s3:::traces", "arn:aws-cn:s3:::traces/*"]
    assert statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ({k: v for k, v in OWN.items() if k != "Effect"}, "statement 1 has no Effect"),
        ({k: v for k, v in OWN.items() if k != "Principal"}, "statement 1 has no Principal"),
        ({**OWN, "Sid": policy.TLS_SID}, "belongs to the option tls_only"),
    ],
)
def test_policy_refuses(statement: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        policy.wanted({"policy": [statement]}, None, AWS)


def test_policy_accepts_the_negative_forms() -> None:
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": "123456789012"}, "NotAction": "s3:Get*", "NotResource": ARN}
    document = policy.wanted({"policy": [statement]}, None, AWS)
    assert document["Statement"][0]["NotPrincipal"] == {"AWS": "123456789012"}
