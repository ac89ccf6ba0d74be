# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documents of a bucket, as data: what counts as the same, and what is sent."""

from __future__ import annotations

import datetime
import itertools
import json
import time
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3 import (
    encryption,
    lifecycle,
    names,
    object_lock,
    object_ownership,
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
        ("-abc", "must begin and end"),
        ("abc-", "must begin and end"),
        ("a..b", "must begin and end"),
        ("a.-b", "must begin and end"),
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


def test_encryption_in_the_words_of_the_api() -> None:
    for ours, theirs in encryption.ALGORITHMS.items():
        given, same = ({"encryption": word} for word in (ours, theirs))
        assert encryption.wanted(given, None, OTHER) == encryption.wanted(same, None, OTHER)
        assert encryption.options(encryption.wanted(given, None, OTHER), OTHER)["encryption"] == ours
    assert encryption.options(None, AWS) == {"encryption": "none"}
    # No option could say it, so none does.
    assert encryption.options({"SSEAlgorithm": "aws:fsx", "BucketKeyEnabled": False}, AWS) == {}


KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_ARN = f"arn:aws:kms:us-east-1:123456789012:key/{KEY}"
ALIAS_ARN = "arn:aws:kms:us-east-1:123456789012:alias/traces"


@pytest.mark.parametrize(
    ("given", "present", "same"),
    [
        (KEY, KEY_ARN, True),
        (KEY_ARN, KEY, True),
        (KEY_ARN, KEY_ARN, True),
        ("alias/traces", ALIAS_ARN, True),
        (ALIAS_ARN, "alias/traces", True),
        (None, "arn:aws:kms:us-east-1:123456789012:alias/aws/s3", True),
        (KEY_ARN, KEY_ARN.replace("us-east-1", "eu-west-1"), False),
        (KEY, KEY_ARN.replace("1234abcd", "4321abcd"), False),
        ("alias/traces", "alias/other", False),
        ("alias/traces", KEY_ARN, False),
        (None, KEY_ARN, False),
    ],
)
def test_names_of_one_key(given: str | None, present: str, same: bool) -> None:
    current = encryption.parse(sse({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": present}))
    params = {"encryption": "sse_kms", "kms_key_id": given}
    assert (encryption.wanted(params, current, AWS) == current) is same
    assert bool(encryption.unresolved(params, current)) is (given == "alias/traces" and present == KEY_ARN)


def test_what_kms_says_of_an_alias() -> None:
    current = encryption.parse(sse({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN}))
    params = {"encryption": "sse_kms", "kms_key_id": "alias/traces"}
    assert encryption.wanted(params, current, Target(ARN, False, kms_key_arn=KEY_ARN)) == current
    other = Target(ARN, False, kms_key_arn=KEY_ARN.replace("1234abcd", "4321abcd"))
    assert encryption.wanted(params, current, other)["KMSMasterKeyID"] == "alias/traces"


# --- object ownership


def test_object_ownership() -> None:
    assert object_ownership.parse({}) is None
    assert object_ownership.parse({"OwnershipControls": {"Rules": []}}) is None
    for choice in object_ownership.CHOICES:
        document = object_ownership.wanted({"object_ownership": choice}, "ObjectWriter", AWS)
        assert object_ownership.options(document, AWS) == {"object_ownership": choice}
        if document:
            assert object_ownership.parse(object_ownership.write(document).arguments) == document
    assert object_ownership.write(None).operation == "delete_bucket_ownership_controls"


# --- object lock


def lock(**given: Any) -> dict[str, Any]:
    return {"object_lock_enabled": None, "object_lock_default_retention": None, **given}


LOCKED = {"ObjectLockEnabled": "Enabled", "DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}


@pytest.mark.parametrize(
    ("given", "current", "expected"),
    [
        (lock(object_lock_enabled=True), None, object_lock.CREATED),
        (lock(object_lock_enabled=True), LOCKED, LOCKED),
        (lock(object_lock_enabled=False), LOCKED, None),
        (lock(object_lock_default_retention={"mode": "GOVERNANCE", "days": 3, "years": None}), None, LOCKED),
        (lock(object_lock_default_retention={"mode": None, "days": None}), LOCKED, object_lock.CREATED),
        (lock(object_lock_default_retention={}), None, None),
    ],
)
def test_object_lock(given: dict[str, Any], current: Any, expected: Any) -> None:
    assert object_lock.wanted(given, current, AWS) == expected


def test_object_lock_is_parsed_and_sent() -> None:
    rule = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3, "Years": 0}}}
    assert object_lock.parse({"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", **rule}}) == LOCKED
    assert object_lock.parse({"ObjectLockConfiguration": {}}) is None
    assert object_lock.parse(object_lock.write(LOCKED).arguments) == LOCKED
    assert object_lock.write(object_lock.CREATED).arguments == {
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}
    }
    assert object_lock.options(None, AWS) == {"object_lock_enabled": False}
    told = object_lock.options(LOCKED, AWS)
    assert told["object_lock_default_retention"] == {"mode": "GOVERNANCE", "days": 3}
    assert object_lock.wanted(told, None, AWS) == LOCKED
    assert object_lock.options(object_lock.CREATED, AWS)["object_lock_default_retention"] == {}


def test_object_lock_cannot_come_or_go() -> None:
    new = Target(ARN, custom=False, exists=False)
    object_lock.check(None, None, AWS)
    object_lock.check(LOCKED, object_lock.CREATED, AWS)
    with pytest.raises(Conflict, match="cannot be turned off"):
        object_lock.check(LOCKED, None, AWS)
    with pytest.raises(Conflict, match="exists without object lock"):
        object_lock.check(None, LOCKED, AWS)
    with pytest.raises(InvalidInput, match="for a new bucket"):
        object_lock.check(None, LOCKED, new)


# --- public access block


def test_public_access_block_takes_a_boolean_or_a_dictionary() -> None:
    everything = dict.fromkeys(public_access_block.SETTINGS, True)
    for yes in (True, "true", "yes"):
        assert public_access_block.wanted({"public_access_block": yes}, None, AWS) == everything
    assert public_access_block.wanted({"public_access_block": "no"}, None, AWS) is None
    some = public_access_block.wanted({"public_access_block": {"BlockPublicAcls": "on"}}, None, AWS)
    assert some == {**dict.fromkeys(public_access_block.SETTINGS, False), "BlockPublicAcls": True}
    snake = {"block_public_acls": True, "restrict_public_buckets": False}
    assert public_access_block.wanted({"public_access_block": snake}, None, AWS) == some
    assert public_access_block.SNAKE["ignore_public_acls"] == "IgnorePublicAcls"
    assert public_access_block.options(some, AWS) == {"public_access_block": some}
    assert public_access_block.options(None, AWS) == {"public_access_block": False}
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
    assert tags.parse({"TagSet": [{"Key": "empty"}]}) == {"empty": ""}
    assert tags.options(document, AWS) == {"tags": {"n": "1", "flag": "true", "none": ""}}


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
        ({"Filter": {"Tag": {"Key": "k"}}}, {"Filter": {"Tag": {"Key": "k", "Value": ""}}}),
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


def test_a_store_that_forgets_ids() -> None:
    rules = [{"ID": "a", **ABORT}, {"ID": "b", "Expiration": {"Days": 3}}]
    forgotten = lifecycle.parse({"Rules": [{k: v for k, v in rule.items() if k != "ID"} for rule in rules]})
    assert lifecycle.wanted({"lifecycle_rules": rules}, forgotten, AWS) == forgotten


def test_the_smallest_size_of_a_transition_is_kept() -> None:
    answer = {"Rules": [{"ID": "a", **ABORT}], lifecycle.MINIMUM: "varies_by_storage_class"}
    current = lifecycle.parse(answer)
    assert lifecycle.wanted({"lifecycle_rules": [{"ID": "a", **ABORT}]}, current, AWS) == current
    changed = lifecycle.wanted({"lifecycle_rules": [ABORT, {"Expiration": {"Days": 3}}]}, current, AWS)
    assert lifecycle.write(changed).arguments[lifecycle.MINIMUM] == "varies_by_storage_class"
    default = {**answer, lifecycle.MINIMUM: lifecycle.DEFAULT_MINIMUM}
    assert lifecycle.MINIMUM not in lifecycle.write(lifecycle.parse(default)).arguments


def test_parts_of_a_lifecycle_that_stores_lack() -> None:
    rules = [
        {"ID": "abort", **ABORT},
        {"ID": "both", **ABORT, "Expiration": {"Days": 3}},
        {"ID": "tagged", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 3}},
        {"ID": "newest", "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}},
    ]
    document = lifecycle.wanted({"lifecycle_rules": rules}, None, OTHER)
    parts = lifecycle.parts_of(document)
    assert parts == [
        "lifecycle_rules[].Expiration",
        "lifecycle_rules[].NoncurrentVersionExpiration",
        "lifecycle_rules[].NoncurrentVersionExpiration.NewerNoncurrentVersions",
        "lifecycle_rules[].AbortIncompleteMultipartUpload",
        "lifecycle_rules[].Filter.Tag",
    ]

    def without(part: str) -> list[tuple[str, list[str]]]:
        rest = lifecycle.only(document, frozenset(parts) - {f"lifecycle_rules[].{part}"})
        return [(rule["ID"], sorted(set(rule) - {"ID", "Status", "Filter"})) for rule in rest["Rules"]]

    expire, abort = ["Expiration"], "AbortIncompleteMultipartUpload"
    newest = ("newest", ["NoncurrentVersionExpiration"])
    # A rule without actions goes, and so does one whose filter or reserve of versions the store lacks.
    assert without(abort) == [("both", expire), newest, ("tagged", expire)]
    assert without("Filter.Tag") == [("abort", [abort]), ("both", [abort, *expire]), newest]
    without_newer = without("NoncurrentVersionExpiration.NewerNoncurrentVersions")
    assert without_newer == [("abort", [abort]), ("both", [abort, *expire]), ("tagged", expire)]
    assert lifecycle.only(document, frozenset()) is None
    assert lifecycle.only(document, frozenset(parts)) == document
    assert lifecycle.left_out(document, f"lifecycle_rules[].{abort}") == f"{abort} of rule abort, {abort} of rule both"


def test_rules_that_share_their_content() -> None:
    current = lifecycle.parse({"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {}, **ABORT}]})
    # The present rule belongs to the one that names its ID.
    both = lifecycle.wanted({"lifecycle_rules": [ABORT, {"ID": "a", **ABORT}]}, current, AWS)["Rules"]
    assert [rule.get("ID") for rule in both] == [None, "a"]


def test_many_rules_are_compared_in_no_time() -> None:
    rules = [{"Filter": {"Prefix": f"{number}/"}, "Expiration": {"Days": 9}} for number in range(1200)]
    current = lifecycle.parse({"Rules": [{"ID": f"r{n}", "Status": "Enabled", **rule} for n, rule in enumerate(rules)]})
    begin = time.process_time()
    assert lifecycle.wanted({"lifecycle_rules": rules}, current, OTHER) == current
    # 9 s when each rule was compared with all others; 0.1 s now.
    assert time.process_time() - begin < 2


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


def test_minimum_tls_version_has_a_statement_of_its_own() -> None:
    both = policy.wanted({"tls_only": True, "minimum_tls_version": "1.2", "policy": [OWN]}, None, AWS)
    assert [s["Sid"] for s in both["Statement"]] == [policy.TLS_SID, policy.VERSION_SID, "own"]
    assert both["Statement"][1]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    newer = policy.wanted({"minimum_tls_version": "1.3"}, both, AWS)
    assert newer["Statement"][1]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.3"}}
    assert [newer["Statement"][n] for n in (0, 2)] == [both["Statement"][n] for n in (0, 2)]
    none = policy.wanted({"minimum_tls_version": "none"}, both, AWS)
    assert [s["Sid"] for s in none["Statement"]] == [policy.TLS_SID, "own"]


@pytest.mark.parametrize("empty", [[], {}, "", "null", "[]", {"Statement": []}])
def test_no_policy_in_all_its_forms(empty: Any) -> None:
    current = policy.normalise({"Statement": [OWN]})
    assert policy.wanted({"policy": empty}, current, AWS) is None


@pytest.mark.parametrize(
    "form",
    [
        {"Statement": OWN},
        {"Version": "2012-10-17", "Statement": [OWN]},
        json.dumps([OWN]),
        json.dumps({"Version": "2012-10-17", "Statement": [OWN]}),
    ],
)
def test_a_policy_in_all_its_forms(form: Any) -> None:
    assert policy.wanted({"policy": form}, None, AWS) == policy.wanted({"policy": [OWN]}, None, AWS)


def test_what_is_told_of_a_policy() -> None:
    assert policy.options(None, AWS) == {"policy": [], "tls_only": False, "minimum_tls_version": "none"}
    both = policy.wanted({"tls_only": True, "minimum_tls_version": "1.3"}, None, AWS)
    assert policy.options(both, AWS) == {"policy": [], "tls_only": True, "minimum_tls_version": "1.3"}
    old = policy.wanted({"policy": {"Version": "2008-10-17", "Id": "p", "Statement": [OWN]}}, None, AWS)
    assert policy.options(old, AWS)["policy"] == {
        **old,
        "Statement": [policy.normalise({"Statement": OWN})["Statement"][0]],
    }
    # Somebody's own statement under a ready Sid is not what the option would make, so nothing is said about it.
    edited = policy.normalise({"Statement": [{**policy.tls_statement(ARN), "Principal": {"AWS": "123456789012"}}]})
    told = policy.options(edited, AWS)
    assert "tls_only" not in told and policy.wanted(told, edited, AWS) == edited


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("{", "policy is not JSON"),
        ("7", "neither a list"),
        (["x"], "a statement is not a dictionary"),
        ({"Statements": [OWN]}, "unknown key Statements"),
    ],
)
def test_policy_in_no_form(value: Any, part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        policy.wanted({"policy": value}, None, AWS)


def test_policy_accepts_the_negative_forms() -> None:
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": "123456789012"}, "NotAction": "s3:Get*", "NotResource": ARN}
    document = policy.wanted({"policy": [statement]}, None, AWS)
    assert document["Statement"][0]["NotPrincipal"] == {"AWS": "123456789012"}
