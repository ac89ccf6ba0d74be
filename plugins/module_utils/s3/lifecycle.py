# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Lifecycle rules of a bucket: the whole document at once. Pure."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_

ABORT = "AbortIncompleteMultipartUpload"
MARKER = "ExpiredObjectDeleteMarker"
# From which size on objects are moved to another storage class; a property of the whole document.
MINIMUM, DEFAULT_MINIMUM = "TransitionDefaultMinimumObjectSize", "all_storage_classes_128K"
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
    tags = _ordered([{"Value": "", **tag} for tag in tags])
    conditions: dict[str, Any] = {k: v for k, v in where.items() if v not in ("", None)}
    if len(tags) + len(conditions) > 1:
        conditions = {"And": {**conditions, **({"Tags": tags} if tags else {})}}
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
    """{Rules}, normalised, ordered by ID, with MINIMUM where it is not the default; None for no rules."""
    return _document([normalise(rule) for rule in answer.get("Rules") or []], answer.get(MINIMUM))


def _document(rules: list[dict[str, Any]], minimum: str | None) -> Document:
    if not rules:
        return None
    ordered = sorted(rules, key=lambda r: (r.get("ID", ""), json.dumps(r, sort_keys=True, default=str)))
    return {"Rules": ordered, **({MINIMUM: minimum} if minimum not in (None, DEFAULT_MINIMUM) else {})}


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """Exactly the given rules. One without ID is the present rule of the same content, whatever ID that has.

    Likewise a present rule without ID, which is how a store answers that forgets them. MINIMUM is in the same document
    but no option sets it, so it is kept; a write without it would put it back to its default.
    """
    current = current or {"Rules": []}
    left = list(current["Rules"])
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
        same = next((r for r in left if _content(r) == _content(rule) and not ("ID" in r and "ID" in rule)), None)
        if same:
            left.remove(same)
            rule = same
        rules.append(rule)
    names = [rule["ID"] for rule in rules if "ID" in rule]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InvalidInput(f"lifecycle_rules: two rules have the ID {double[0]}", "", "IDs must be unique.")
    return _document(rules, current.get(MINIMUM))


def _content(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key != "ID"}


def write(document: Document) -> Call:
    """Filter for every object is sent as an empty prefix, which all stores understand; not all do an empty Filter."""
    if document is None:
        return Call("delete_bucket_lifecycle", "s3:PutLifecycleConfiguration")
    rules = [{**rule, "Filter": rule["Filter"] or {"Prefix": ""}} for rule in document["Rules"]]
    minimum = {MINIMUM: document[MINIMUM]} if MINIMUM in document else {}
    return Call(
        "put_bucket_lifecycle_configuration",
        "s3:PutLifecycleConfiguration",
        {"LifecycleConfiguration": {"Rules": rules}, **minimum},
    )


def options(document: Document, target: Target) -> dict[str, Any]:
    return {"lifecycle_rules": (document or {"Rules": []})["Rules"]}


def without_abort(document: Document) -> tuple[str, Document] | None:
    """The document without the action that MinIO has not and refuses or forgets; None if it is not in it.

    Source: minio/minio#16120, #15681, #19115.
    """
    rules = [{key: value for key, value in rule.items() if key != ABORT} for rule in document["Rules"]]
    if rules == document["Rules"]:
        return None
    # A rule has to do something.
    rules = [rule for rule in rules if set(rule) - {"ID", "Status", "Filter"}]
    return f"lifecycle_rules[].{ABORT}", _document(rules, document.get(MINIMUM))


ASPECT = Aspect(
    option="lifecycle_rules",
    asked=set_("lifecycle_rules"),
    read=Call("get_bucket_lifecycle_configuration", "s3:GetLifecycleConfiguration"),
    absent=frozenset({"NoSuchLifecycleConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    fallback=without_abort,
)
