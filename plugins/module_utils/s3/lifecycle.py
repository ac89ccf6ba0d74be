# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lifecycle rules of a bucket: the whole document at once. Pure."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_

MARKER = "ExpiredObjectDeleteMarker"
NUMBERS = (
    "Days",
    "DaysAfterInitiation",
    "NewerNoncurrentVersions",
    "NoncurrentDays",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
)


def normalise(rule: dict[str, Any]) -> dict[str, Any]:
    """One form for all the ways to write a rule; Filter {} stands for every object in the bucket.

    The old Prefix beside Filter counts as a condition of it, Prefix: "" as none; an And of one condition is that
    condition; lists have no order; dates are midnight UTC; Status is Enabled unless given.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
    """
    rule = _clean(rule)
    where = {"Prefix": rule.pop("Prefix", ""), **rule.pop("Filter", {})}
    where.update(where.pop("And", {}))
    tags = [*where.pop("Tags", []), *([where.pop("Tag")] if where.get("Tag") else [])]
    conditions: dict[str, Any] = {k: v for k, v in where.items() if v not in ("", None)}
    if len(tags) + len(conditions) > 1:
        conditions = {"And": {**conditions, **({"Tags": _ordered(tags)} if tags else {})}}
    elif tags:
        conditions = {"Tag": tags[0]}
    return {"Status": "Enabled", **rule, "Filter": conditions}


def _clean(value: Any, key: str = "") -> Any:
    """Drop what says nothing, sort lists, and give numbers and dates their type, whatever a template made of them."""
    if isinstance(value, dict):
        cleaned = {k: _clean(v, k) for k, v in value.items()}
        # An expired-marker rule that is off is how some stores answer when there is none.
        return {k: v for k, v in cleaned.items() if v not in (None, {}, []) and (k, v) != (MARKER, False)}
    if isinstance(value, list):
        return _ordered([_clean(v) for v in value])
    if key == "Date":
        return _midnight(value)
    if key in NUMBERS and isinstance(value, str) and value.strip().isdigit():
        return int(value)
    if key == MARKER and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    return value


def _midnight(value: Any) -> str:
    try:
        moment = value if isinstance(value, date) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidInput(f"lifecycle_rules: Date {value!r} is not a date", "", "Write it as 2027-01-31.") from error
    if isinstance(moment, datetime) and moment.tzinfo:
        moment = moment.astimezone(UTC)
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}T00:00:00Z"


def _ordered(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=str))


def parse(answer: dict[str, Any]) -> Document:
    """The rules, normalised, ordered by ID; None for no rules."""
    return _sorted([normalise(rule) for rule in answer.get("Rules") or []])


def _sorted(rules: list[dict[str, Any]]) -> Document:
    return sorted(rules, key=lambda r: (r.get("ID", ""), json.dumps(r, sort_keys=True, default=str))) or None


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """Exactly the given rules. One without ID is the present rule of the same content, whatever ID that has."""
    nameless = list(current or [])
    rules: list[dict[str, Any]] = []
    for number, given in enumerate(params["lifecycle_rules"], 1):
        try:
            rule = normalise(given)
        except (AttributeError, TypeError) as error:
            raise InvalidInput(
                f"lifecycle_rules: rule {number} is malformed",
                str(error),
                "Write it in the form of boto3's put_bucket_lifecycle_configuration.",
            ) from error
        if "ID" not in rule:
            same = next((r for r in nameless if {k: v for k, v in r.items() if k != "ID"} == rule), None)
            if same:
                nameless.remove(same)
                rule = same
        rules.append(rule)
    names = [rule["ID"] for rule in rules if "ID" in rule]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InvalidInput(f"lifecycle_rules: two rules have the ID {double[0]}", "", "IDs must be unique.")
    return _sorted(rules)


def write(document: Document) -> Call:
    """Filter for every object is sent as an empty prefix, which all stores understand; not all do an empty Filter."""
    if document is None:
        return Call("delete_bucket_lifecycle", "s3:PutLifecycleConfiguration")
    rules = [{**rule, "Filter": rule["Filter"] or {"Prefix": ""}} for rule in document]
    return Call(
        "put_bucket_lifecycle_configuration",
        "s3:PutLifecycleConfiguration",
        {"LifecycleConfiguration": {"Rules": rules}},
    )


ASPECT = Aspect(
    option="lifecycle_rules",
    asked=set_("lifecycle_rules"),
    read=Call("get_bucket_lifecycle_configuration", "s3:GetLifecycleConfiguration"),
    absent=frozenset({"NoSuchLifecycleConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
)
