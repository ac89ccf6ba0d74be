# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lifecycle rules and Tempo's retention, by the variables' names."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.filter.object_storage import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.tempo.retention import contradictions, least_days, rules

DAY = 86400
ABORT = {"ID": "abort", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
DEFAULTS = {
    "tracing_retention": "168h",
    "object_storage_expiry_margin": "48h",
    "object_storage_expiry_days": 0,
    "object_storage_lifecycle_rules": [ABORT],
    "object_storage_versioning": None,
}


def expire(**rule: Any) -> dict[str, Any]:
    return {"object_storage_lifecycle_rules": [{"ID": "x", "Expiration": {"Days": 9}, **rule}]}


@pytest.mark.parametrize(
    ("retention", "margin", "days"),
    [(7 * DAY, 2 * DAY, 10), (7 * DAY, 2 * DAY - 1, 9), (3600, 0, 1), (DAY, 0, 2), (84 * 3600, 2 * DAY, 6)],
)
def test_least_is_more_than_both_together(retention: float, margin: float, days: int) -> None:
    assert least_days(retention, margin) == days


@pytest.mark.parametrize("days", [0, None, "", "0"])
def test_without_an_expiry_the_rules_are_as_given(days: Any) -> None:
    assert rules({**DEFAULTS, "object_storage_expiry_days": days}) == [ABORT]
    assert rules({**DEFAULTS, "object_storage_lifecycle_rules": []}) == []
    assert rules({**DEFAULTS, "object_storage_lifecycle_rules": None}) is None


@pytest.mark.parametrize("days", [10, "10"])
def test_an_expiry_is_a_rule_of_its_own(days: Any) -> None:
    rule = {"ID": "expire-objects", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 10}}
    given = {**DEFAULTS, "object_storage_expiry_days": days}
    assert rules(given) == [ABORT, rule]
    assert rules({**given, "object_storage_lifecycle_rules": None}) == [rule]
    versioned = {**rule, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    for flag in (True, "yes"):
        assert rules({**given, "object_storage_versioning": flag}) == [ABORT, versioned]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"object_storage_expiry_days": 9},
            "object_storage_expiry_days: the store would delete blocks after 9 days, but may only later than "
            "tracing_retention (168h) and object_storage_expiry_margin (48h) together. Set 10 or more, or 0.",
        ),
        ({"object_storage_expiry_days": 9, "tempo_retention": "169h"}, "tempo_retention (169h)"),
        ({"object_storage_expiry_days": 10, "tempo_retention": "10h", "tracing_retention": "999h"}, ""),
        ({"object_storage_expiry_days": 9, "object_storage_expiry_margin": "47h"}, ""),
        ({"object_storage_expiry_days": -1}, "object_storage_expiry_days: is -1, not a number of days. 0 is never."),
        ({"object_storage_expiry_days": True}, "is True, not a number of days"),
        ({"object_storage_expiry_days": 30.5}, "is 30.5, not a number of days"),
        ({"tracing_retention": "7d"}, "tracing_retention: is '7d', not a Go duration"),
        ({"object_storage_expiry_margin": "2 days"}, "object_storage_expiry_margin: is '2 days', not a Go duration"),
        ({"object_storage_lifecycle_rules": "x"}, "object_storage_lifecycle_rules: is 'x', not a list"),
        ({"object_storage_lifecycle_rules": ["x"]}, "object_storage_lifecycle_rules: rule 1 is not a dictionary"),
        # Rules of the user's own, by what they are for.
        (
            expire(),
            "object_storage_lifecycle_rules: rule x deletes blocks after 9 days, but may only later than "
            "tracing_retention (168h) and object_storage_expiry_margin (48h) together. "
            "Set its Expiration to 10 days or more, or remove it.",
        ),
        (expire(Expiration={"Days": "9"}), "after 9 days"),
        (expire(Expiration={"Days": 10}), ""),
        (expire(Status="Disabled"), ""),
        (expire(Prefix="single-tenant/"), "rule x"),
        (expire(Filter={"Prefix": "single"}), "rule x"),
        (expire(Filter={"Prefix": "single-tenant/0/"}), "rule x"),
        (expire(Filter={"Prefix": "logs/"}), ""),
        (expire(Filter={"ObjectSizeGreaterThan": 1024}), "rule x"),
        (expire(Filter={"Tag": {"Key": "a", "Value": "b"}}), ""),
        (expire(Filter={"And": {"Prefix": "single-tenant/", "Tags": [{"Key": "a", "Value": "b"}]}}), ""),
        (expire(Filter={"And": {"Prefix": "logs/", "ObjectSizeLessThan": 9}}), ""),
        (expire(Filter={"And": {"Prefix": "single-tenant/", "ObjectSizeLessThan": 9}}), "rule x"),
        (
            {"object_storage_lifecycle_rules": [{"Expiration": {"Date": "2030-01-31"}}]},
            "rule without ID deletes all blocks from 2030-01-31 on, whatever their age. "
            "Give its Expiration Days, 10 or more.",
        ),
        (
            {"object_storage_lifecycle_rules": [{"Transitions": [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}]}]},
            "moves blocks to DEEP_ARCHIVE, from which Tempo cannot read",
        ),
        ({"object_storage_lifecycle_rules": [{"Transitions": [{"Days": 30, "StorageClass": "GLACIER_IR"}]}]}, ""),
        ({"object_storage_lifecycle_rules": [{"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}]}, ""),
        # Where Tempo's objects are.
        ({**expire(Prefix="a/"), "tempo_s3_prefix": "a/b/"}, "rule x"),
        # A slash at the beginning stays in Tempo's keys.
        ({**expire(Prefix="/a/"), "tempo_s3_prefix": "/a/b/"}, "rule x"),
        ({**expire(Prefix="a/"), "tempo_s3_prefix": "/a/b/"}, ""),
        ({**expire(Prefix="a/b"), "tempo_s3_prefix": "a//b/"}, "rule x"),
        ({**expire(Prefix="a/b/single-tenant/"), "tempo_s3_prefix": "a/b"}, "rule x"),
        ({**expire(Prefix="single-tenant/"), "tempo_s3_prefix": "a"}, ""),
        ({**expire(Prefix="logs/"), "tempo_extra_config": {"multitenancy_enabled": True}}, "rule x"),
        (
            {
                **expire(Prefix="logs/"),
                "tempo_s3_prefix": "a",
                "tempo_extra_config": {"multitenancy_enabled": True},
            },
            "",
        ),
        (
            {
                **expire(Filter={"Tag": {"Key": "a", "Value": "b"}}),
                "tempo_extra_config": {"storage": {"trace": {"s3": {"tags": {"a": "b"}}}}},
            },
            "rule x",
        ),
        ({**expire(Prefix="c/"), "tempo_extra_config": {"storage": {"trace": {"s3": {"prefix": "c"}}}}}, "rule x"),
    ],
)
def test_contradictions(changes: dict[str, Any], says: str) -> None:
    given = {**DEFAULTS, **changes}
    if not says:
        assert rules(given)
        return
    with pytest.raises(InvalidInput) as refused:
        rules(given)
    assert says in str(refused.value)


def test_all_are_told_at_once() -> None:
    given = {**DEFAULTS, **expire(), "object_storage_expiry_days": 1}
    with pytest.raises(AnsibleFilterError, match=r"(?s)object_storage_expiry_days: .*object_storage_lifecycle_rules: "):
        FilterModule().filters()["tempo_lifecycle_rules"](given)
    assert FilterModule().filters()["tempo_lifecycle_rules"](DEFAULTS) == [ABORT]


def test_nothing_is_said_about_variables_that_are_not_there() -> None:
    assert list(contradictions({})) == []
    assert list(contradictions({"object_storage_expiry_days": 1})) == []
    (date,) = contradictions({"object_storage_lifecycle_rules": [{"Expiration": {"Date": "2030-01-31"}}]})
    assert date.remedy == "Give its Expiration Days."


# Recordings in the bucket

TRACES = {**DEFAULTS, "object_storage_bucket": "traces"}


def recorded(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    made = [
        {"name": f"r{number}", "protocol": "s3", "prefix": "recordings", "expiration_days": 7, **entry}
        for number, entry in enumerate(entries)
    ]
    return {**TRACES, "collector_exporters": made, **changes}


def expiries(given: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {
        rule["ID"]: (rule["Filter"]["Prefix"], rule["Expiration"]["Days"])
        for rule in rules(given) or []
        if "Expiration" in rule
    }


@pytest.mark.parametrize("prefix", ["recordings", "/recordings/", "recordings/"])
def test_recordings_expire_by_their_prefix(prefix: str) -> None:
    rule = {"ID": "expire-recordings-r0", "Status": "Enabled", "Filter": {"Prefix": "recordings/"},
            "Expiration": {"Days": 7}}  # fmt: skip
    given = recorded({"prefix": prefix})
    assert rules(given) == [ABORT, rule]
    assert rules({**given, "object_storage_lifecycle_rules": None}) == [rule]
    versioned = {**rule, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    assert rules({**given, "object_storage_versioning": True}) == [ABORT, versioned]


@pytest.mark.parametrize(
    "entry",
    [{"expiration_days": 0}, {"expiration_days": None}, {"bucket": "another"}, {"protocol": "kafka"}, {"prefix": ""}],
)
def test_what_gets_no_rule(entry: dict[str, Any]) -> None:
    assert rules(recorded(entry)) == [ABORT]


def test_several_recordings_beside_the_safety_net() -> None:
    given = recorded({}, {"prefix": "all", "expiration_days": "2"}, {}, object_storage_expiry_days=30)
    assert expiries(given) == {
        "expire-recordings-r0": ("recordings/", 7),
        "expire-recordings-r1": ("all/", 2),
        "expire-objects": ("", 30),
    }


EMPTIED = {"tempo_extra_config": {"storage": {"trace": {"empty_tenant_deletion_enabled": True}}}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (recorded({"prefix": "single-tenant"}), "delete Tempo's blocks with everything else in single-tenant/"),
        (recorded({"prefix": "/single-tenant/x/"}), "Tempo's blocks"),
        (recorded({"prefix": "a"}, tempo_s3_prefix="a/b/"), "Tempo's blocks"),
        (recorded({"prefix": "a/"}, tempo_s3_prefix="a"), "Tempo's blocks"),
        (recorded({"prefix": "a/single-tenant/x"}, tempo_s3_prefix="a"), "Tempo's blocks"),
        (recorded({}, tempo_extra_config={"multitenancy_enabled": True}), "Tempo's blocks"),
        (recorded({"expiration_days": "soon"}), "[0].expiration_days: is not a whole number of days"),
        (recorded({}, {"prefix": "recordings/all", "expiration_days": 30}), "all/ of collector_exporters[1] with it"),
        (recorded({}, {"expiration_days": 0}), "with it. Give them prefixes beside each other"),
        (recorded({"expiration_days": 31}, object_storage_expiry_days=30), "deletes all objects of the bucket after"),
        (recorded({}, **EMPTIED), "would take recordings/ for an empty tenant and delete it"),
        (recorded({"bucket": "x", "expiration_days": 0}, tempo_s3_bucket="x", **EMPTIED), "empty tenant"),
    ],
)  # fmt: skip
def test_recordings_that_contradict(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules(given)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        recorded({"prefix": "single-tenants"}),
        recorded({"prefix": "ab"}, tempo_s3_prefix="a"),
        recorded({"prefix": "single-tenant"}, tempo_s3_prefix="a"),
        recorded({"prefix": "single-tenant"}, tempo_s3_bucket="another"),
        recorded({}, tempo_s3_prefix="a", tempo_extra_config={"multitenancy_enabled": True}),
        recorded({}, tempo_s3_prefix="a", **EMPTIED),
        recorded({}, tempo_s3_bucket="another", **EMPTIED),
        recorded({"prefix": "single-tenant"}, tracing_store="otlp"),
        recorded({"expiration_days": 1}, tracing_store="otlp", object_storage_expiry_days=1, **EMPTIED),
        recorded({}, {"prefix": "recordings/all"}),
        recorded({}, {"prefix": "recordings/all", "expiration_days": 1}),
        recorded({"expiration_days": 30}, object_storage_expiry_days=30),
    ],
)
def test_recordings_beside_tempo(given: dict[str, Any]) -> None:
    assert expiries(given)


@pytest.mark.parametrize("exporters", [None, "s3", ["s3"], [{}]])
def test_what_is_no_list_of_exporters_is_the_collectors_to_refuse(exporters: Any) -> None:
    assert rules({**TRACES, "collector_exporters": exporters}) == [ABORT]
