# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents that the S3 API would refuse: found before anything is sent, in check mode too, by rule and by name."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket, model
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store

pytestmark = pytest.mark.slow

ARN = "arn:aws:s3:::traces"
DAYS = {"Expiration": {"Days": 9}}
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
OWN = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}
AWS, OTHER = "", "https://s3.example.org"


def said(endpoint_url: str = AWS, **options: Any) -> str:
    """What is wrong with these options, "" for nothing. The store has no answers: nothing may be sent."""
    params = {"name": "traces", "state": "present", "region": "us-east-1", "access_key": "a", "secret_key": "b"}
    store = Store.connect({**params, "endpoint_url": endpoint_url})
    try:
        bucket.check_documents(store, {**params, **options})
    except InvalidInput as error:
        return str(error)
    finally:
        assert store.api_calls == 0
    return ""


def rule(**given: Any) -> dict[str, Any]:
    return {"ID": "r", **given}


def move(name: str, **given: Any) -> dict[str, Any]:
    return {"Transitions": [{"StorageClass": name, **given}]}


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        # Enumerations, with the right spelling.
        (
            rule(Status="enabled", **DAYS),
            ["lifecycle_rules: rule 1 (ID r): Status cannot be 'enabled'", "Write Enabled."],
        ),
        (rule(Status="off", **DAYS), ["Write one of Enabled, Disabled."]),
        (rule(**move("glacier", Days=30)), ["Transitions[0].StorageClass cannot be 'glacier'", "Write GLACIER."]),
        (rule(**move("standard-ia", Days=30)), ["Write STANDARD_IA."]),
        (
            rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "deep archive"}]),
            ["Write DEEP_ARCHIVE."],
        ),
        # Names and types.
        (rule(expiration={"Days": 1}), ["expiration is not a member", "Write Expiration."]),
        (rule(Expiration={"days": 1}), ["Expiration.days is not a member", "Write Days."]),
        (rule(Filter={"prefix": "a/"}, **DAYS), ["Filter.prefix is not a member", "Write Prefix."]),
        (rule(Filter="a/", **DAYS), ["invalid type for parameter Filter, value: a/, type: str"]),
        (rule(Expiration={"Days": "9 days"}), ["invalid type for parameter Expiration.Days", "9 days"]),
        (rule(Expiration={"Days": True}), ["Expiration.Days is True"]),
        (rule(ID={"a": 1}, **DAYS), ["rule 1: invalid type for parameter ID"]),
        ("all", ["lifecycle_rules: rule 1 is not a dictionary"]),
        # Actions that are missing, exclude or contradict each other.
        (rule(), ["rule 1 (ID r): it has no action", "Add one of Expiration"]),
        (rule(Expiration={}), ["it has no action"]),
        (rule(Expiration={"ExpiredObjectDeleteMarker": False}), ["it has no action"]),
        (
            rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True}),
            [
                "Expiration has Days and ExpiredObjectDeleteMarker",
                "move ExpiredObjectDeleteMarker to a rule of its own",
            ],
        ),
        (rule(Expiration={"Days": 1, "Date": "2030-01-01"}), ["Expiration has Days and Date"]),
        (rule(Expiration={"Days": 0}), ["Expiration.Days is 0", "Set 1 or more."]),
        (rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0}), ["DaysAfterInitiation is 0"]),
        (rule(**move("GLACIER")), ["a transition has neither Days nor Date"]),
        (rule(**move("GLACIER", Days=1, Date="2030-01-01")), ["a transition has Days and Date"]),
        (rule(Transitions=[{"Days": 1}]), ["an entry has no StorageClass"]),
        (rule(**DAYS, **move("GLACIER", Date="2030-01-01")), ["it has both Days and Date"]),
        (rule(**DAYS, **move("GLACIER", Days=9)), ["Expiration.Days (9) is not larger", "Set Expiration.Days to 10"]),
        (rule(**move("STANDARD_IA", Days=29)), ["Days is 29 for STANDARD_IA", "Set 30 or more."]),
        (
            rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}, {"Days": 2, "StorageClass": "GLACIER"}]),
            ["Transitions has GLACIER twice"],
        ),
        (rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 3}), ["has no NoncurrentDays"]),
        (
            rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}),
            ["NewerNoncurrentVersions is 101", "Set 1 to 100."],
        ),
        # Filters.
        (
            rule(Prefix="a/", Filter={"Prefix": "b/"}, **DAYS),
            ["Prefix 'a/' and Filter.Prefix 'b/' contradict each other", "Keep Filter.Prefix alone."],
        ),
        (rule(Prefix="a/", Filter={"Prefix": ""}, **DAYS), ["contradict each other"]),
        (rule(Filter={"Prefix": "a/", "And": {"Prefix": "b/"}}, **DAYS), ["Filter.And.Prefix 'b/' contradict"]),
        (
            rule(Filter={"ObjectSizeGreaterThan": 9, "ObjectSizeLessThan": 9}, **DAYS),
            ["no object is larger than 9 and smaller than 9 bytes"],
        ),
        (
            rule(Filter={"And": {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}}, **DAYS),
            ["has the tag a twice"],
        ),
        (rule(Filter={"Tag": {"Key": "a", "Value": "1"}}, **ABORT), ["cannot have a filter by tag"]),
        # IDs and dates.
        (rule(ID="x" * 300, **DAYS), ["its ID has 300 characters: S3 takes 255 at most"]),
        (rule(Expiration={"Date": "soon"}), ["Date 'soon' is not a date", "Write it as 2027-01-31."]),
        (
            rule(Expiration={"Date": "2027-01-31T12:30:00Z"}),
            ["Date 2027-01-31T12:30:00Z has a time of day", "Write 2027-01-31."],
        ),
        (rule(Expiration={"Date": "2027-01-31T00:00:00+02:00"}), ["has a time of day", "Write 2027-01-30."]),
    ],
)
def test_a_rule_that_is_refused(given: Any, parts: list[str]) -> None:
    message = said(lifecycle_rules=[given])
    for part in parts:
        assert part in message, message
    # One thing is wrong, and it is reported once.
    assert message.count("rule 1") == 1, message


@pytest.mark.parametrize(
    "given",
    [
        rule(**DAYS),
        rule(Status="Disabled", **DAYS),
        {"Expiration": {"Days": "9"}},
        rule(ID=7, Filter={"Tag": {"Key": 1, "Value": True}}, **DAYS),
        rule(Prefix="a/", Filter={"Prefix": "a/"}, **DAYS),
        rule(Expiration={"Date": "2027-01-31"}),
        rule(Expiration={"Date": "2027-01-31T00:00:00Z"}),
        rule(Expiration={"Date": "2027-01-31T02:00:00+02:00"}),
        rule(Expiration={"Date": datetime.date(2027, 1, 31)}),
        rule(Expiration={"ExpiredObjectDeleteMarker": True}),
        rule(Expiration={"Days": 31, "ExpiredObjectDeleteMarker": False}, **move("STANDARD_IA", Days=30)),
        rule(**move("GLACIER", Days=0)),
        rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 3}),
        rule(**ABORT, Filter={"Prefix": "a/", "ObjectSizeGreaterThan": 5}),
    ],
)
def test_a_rule_that_is_not(given: dict[str, Any]) -> None:
    assert said(lifecycle_rules=[given]) == ""


def test_numbers_become_text() -> None:
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import lifecycle

    found = lifecycle.normalise(rule(ID=7, Filter={"Tag": {"Key": 1, "Value": True}}, **DAYS))
    assert (found["ID"], found["Filter"]) == ("7", {"Tag": {"Key": "1", "Value": "true"}})


def test_stores_have_storage_classes_of_their_own() -> None:
    cold = [rule(**move("COLDTIER", Days=1))]
    assert said(OTHER, lifecycle_rules=cold) == ""
    assert "Write one of GLACIER" in said(lifecycle_rules=cold)
    assert "Write GLACIER." in said(OTHER, lifecycle_rules=[rule(**move("Glacier", Days=1))])
    # Limits of AWS are not theirs.
    newest = [rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 3}), *([{**DAYS}] * 1000)]
    assert said(OTHER, lifecycle_rules=newest) == ""


def test_rules_together() -> None:
    assert "2 rules have the ID r" in said(lifecycle_rules=[rule(**DAYS), rule(**ABORT)])
    many = [{"Filter": {"Prefix": f"{n}/"}, **DAYS} for n in range(1001)]
    assert "there are 1001 rules: AWS takes 1000 at most" in said(lifecycle_rules=many)


def test_everything_is_said_at_once() -> None:
    message = said(
        lifecycle_rules=[
            rule(Status="enabled", **DAYS),
            {"ID": "s"},
            {"Status": "disabled", **move("glacier", Days=1)},
        ],
        tags={"a": [1], "b": {"c": 1}},
        policy=[{**OWN, "Effect": "allow"}],
    )
    for part in (
        "rule 1 (ID r)", "rule 2 (ID s)", "rule 3: Status", "Transitions[0].StorageClass", "value of a", "value of b",
        "Effect cannot be 'allow'",
    ):  # fmt: skip
        assert part in message, (part, message)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"a": ["x"]}, "tags: the value of a is a list: a tag is text."),
        ({"a": {"x": 1}}, "tags: the value of a is a dictionary"),
        ({"a": "x" * 257}, "tags: the value of a has 257 characters"),
        ({"x" * 129: "a"}, "has 129 characters: S3 takes 1 to 128"),
        ({"": "a"}, "has 0 characters"),
        ({"aws:x": "a"}, "tags: the key aws:x begins with aws:"),
        ({1: "a", "1": "b"}, "tags: the key 1 is there 2 times"),
        ({str(n): "" for n in range(51)}, "tags: there are 51: AWS takes 50"),
    ],
)
def test_tags_that_are_refused(given: dict[Any, Any], part: str) -> None:
    assert part in said(tags=given)


def test_tags_that_are_not() -> None:
    assert said(tags={"a": 1, "b": True, "c": None, "grün": "Ünïcode"}) == ""


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"Effect": "allow"}, ["statement 1: Effect cannot be 'allow'", "Write Allow."]),
        ({"Effect": None}, ["statement 1 has no Effect"]),
        ({"Principal": None}, ["statement 1 has no Principal"]),
        ({"Principal": "123456789012"}, ["Principal '123456789012' is malformed"]),
        ({"Principal": {"aws": "1"}}, ["Principal has no aws", "Write AWS."]),
        ({"action": "s3:GetObject"}, ["action is not an element", "Write Action."]),
        ({"Actions": "s3:GetObject"}, ["Actions is not an element", "Write Action."]),
        ({"NotAction": "s3:GetObject"}, ["has Action and NotAction: they exclude each other"]),
        ({"Action": ["s3:GetObject", "GetObject"]}, ["Action 'GetObject' is not an action of S3"]),
        ({"Resource": "arn:aws:s3:::other/*"}, ["is not of this bucket", f"Write {ARN} or {ARN}/*."]),
        ({"Resource": "arn:aws-cn:s3:::traces/*"}, ["is not of this bucket"]),
        ({"Resource": "traces/"}, ["'traces/' is not the ARN of a bucket"]),
        ({"Condition": ["x"]}, ["Condition is malformed"]),
        ({"Sid": "DenyInsecureTransport"}, ["belongs to the option tls_only"]),
        ({"Sid": "DenyOutdatedTls"}, ["belongs to the option minimum_tls_version"]),
    ],
)
def test_a_policy_that_is_refused(change: dict[str, Any], parts: list[str]) -> None:
    message = said(policy=[{**OWN, **change}])
    for part in parts:
        assert part in message, message


def test_a_policy_as_a_whole() -> None:
    assert said(policy=[OWN, {**OWN, "Resource": "arn:aws:s3:::tr*"}, {**OWN, "Action": "*"}]) == ""
    assert said(OTHER, policy=[{**OWN, "Resource": "arn:aws-cn:s3:::traces/*"}]) == ""
    assert "Version '2012-10-18' does not exist" in said(policy={"Version": "2012-10-18", "Statement": [OWN]})
    large = [{**OWN, "Sid": f"{n:0400}"} for n in range(60)]
    assert "S3 takes 20480 at most" in said(policy=large)
    assert said(OTHER, policy=large) == ""


def test_other_documents_are_checked_against_the_model() -> None:
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import versioning

    store = Store.connect({"region": "us-east-1", "access_key": "a", "secret_key": "b"})
    shape = store.input_shape("put_bucket_versioning")
    found = list(model.flaws({"Bucket": "b", **versioning.write("enabled").arguments}, shape, "versioning"))
    assert [str(one) for one in found] == [
        "versioning: VersioningConfiguration.Status cannot be 'enabled': the API compares letter by letter. "
        "Write Enabled."
    ]
    wrong = list(model.flaws({"VersioningConfiguration": 7}, shape, "versioning"))
    assert [one.what for one in wrong] == [
        'versioning: missing required parameter: "Bucket"',
        "versioning: invalid type for parameter VersioningConfiguration, value: 7, type: int, valid types: dict",
    ]


def test_every_aspect_that_writes_has_a_model() -> None:
    store = Store.connect({"region": "us-east-1", "access_key": "a", "secret_key": "b"})
    for aspect in bucket.ASPECTS:
        assert store.input_shape(aspect.read.operation.replace("get_", "put_", 1)).members["Bucket"]
