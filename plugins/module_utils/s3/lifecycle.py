# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Lifecycle rules of a bucket: the whole document at once. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3 import model
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import (
    Aspect,
    Call,
    Document,
    Parts,
    Target,
    set_,
    text_of,
)

OPTION = "lifecycle_rules"
ABORT = "AbortIncompleteMultipartUpload"
MARKER = "ExpiredObjectDeleteMarker"
ACTIONS = ("Expiration", "NoncurrentVersionExpiration", ABORT, "Transitions", "NoncurrentVersionTransitions")
NEWER = "NewerNoncurrentVersions"
# The smallest size of an object that is moved to another storage class; a property of the whole document.
MINIMUM, DEFAULT_MINIMUM = "TransitionDefaultMinimumObjectSize", "all_storage_classes_128K"
NUMBERS = ("Days", "DaysAfterInitiation", NEWER, "NoncurrentDays", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
TEXTS = ("ID", "Prefix", "Key", "Value")
# Limits of AWS. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html and
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html
MAX_RULES, MAX_ID, MAX_NEWER = 1000, 255, 100
# Days that an object has to stay in STANDARD before it may be moved there.
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
MIN_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30}
# Smallest values of the numbers of days; a transition may happen at once.
POSITIVE = {"Expiration": "Days", "NoncurrentVersionExpiration": "NoncurrentDays", ABORT: "DaysAfterInitiation"}


def normalise(rule: Mapping[str, Any]) -> dict[str, Any]:
    """One form for all the ways to write a rule; Filter {} stands for every object in the bucket.

    The old Prefix beside Filter counts as a condition of it, Prefix: "" as none; an And of one condition is that
    condition; lists have no order; dates are midnight UTC; Status is Enabled unless given; numbers as ID, prefix or tag
    become text.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
    """
    cleaned: dict[str, Any] = _clean(dict(rule))
    where = {"Prefix": cleaned.pop("Prefix", ""), **cleaned.pop("Filter", {})}
    where.update(where.pop("And", {}))
    tags = [*where.pop("Tags", []), *([where.pop("Tag")] if where.get("Tag") else [])]
    tags = _ordered([{"Value": "", **tag} for tag in tags])
    conditions: dict[str, Any] = {k: v for k, v in where.items() if v not in ("", None)}
    if len(tags) + len(conditions) > 1:
        conditions = {"And": {**conditions, **({"Tags": tags} if tags else {})}}
    elif tags:
        conditions = {"Tag": tags[0]}
    return {"Status": "Enabled", **cleaned, "Filter": conditions}


def _clean(value: Any, key: str = "") -> Any:
    """Drop empty values, sort lists, and give numbers, dates and text their type, whatever a template made of them."""
    if isinstance(value, dict):
        cleaned = {k: _clean(v, k) for k, v in value.items()}
        # Some stores answer with a marker rule that is off where there is none.
        return {k: v for k, v in cleaned.items() if v not in (None, {}, []) and (k, v) != (MARKER, False)}
    if isinstance(value, list):
        return _ordered([_clean(v) for v in value])
    if key == "Date":
        moment = _moment(value)
        return value if moment is None else f"{moment:%Y-%m-%d}T00:00:00Z"
    if key in NUMBERS and isinstance(value, str) and value.strip().isdigit():
        return int(value)
    if key in TEXTS and isinstance(value, (int, float)):
        return text_of(value)
    if key == MARKER and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    return value


def _moment(value: Any) -> datetime | None:
    """A date or time in UTC, None for a text that is neither. A date is its midnight, a time without a zone is UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _ordered(items: list[Any]) -> list[Any]:
    return sorted(items, key=_key)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def parse(answer: dict[str, Any]) -> Document:
    """{Rules}, normalised, ordered by ID, with MINIMUM where it is not the default; None for no rules."""
    return _document([normalise(rule) for rule in answer.get("Rules") or []], answer.get(MINIMUM))


def _document(rules: list[dict[str, Any]], minimum: str | None) -> Document:
    if not rules:
        return None
    ordered = sorted(rules, key=lambda r: (r.get("ID", ""), _key(r)))
    return {"Rules": ordered, **({MINIMUM: minimum} if minimum not in (None, DEFAULT_MINIMUM) else {})}


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """Exactly the given rules. One without ID is the present rule of the same content, whatever ID that has.

    Likewise a present rule without ID, which is how a store answers that forgets them. MINIMUM is in the same document
    but no option sets it, so it is kept; a write without it would reset it to its default.
    """
    current = current or {"Rules": []}
    given = [normalise(rule) for rule in params[OPTION]]
    named = {rule["ID"] for rule in given if "ID" in rule}
    # Present rules by content: those without ID stand for any rule, the others for rules without ID.
    nameless: dict[str, list[dict[str, Any]]] = defaultdict(list)
    free: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for present in reversed(current["Rules"]):
        if "ID" not in present:
            nameless[_content(present)].append(present)
        elif present["ID"] not in named:
            free[_content(present)].append(present)
    rules: list[dict[str, Any]] = []
    for rule in given:
        content = _content(rule)
        left = nameless[content] or ([] if "ID" in rule else free[content])
        rules.append(left.pop() if left else rule)
    return _document(rules, current.get(MINIMUM))


def _content(rule: dict[str, Any]) -> str:
    return _key({key: value for key, value in rule.items() if key != "ID"})


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
    return {OPTION: (document or {"Rules": []})["Rules"]}


# --- what the API would refuse


def flaws(params: dict[str, Any], target: Target, shape: model.Shape) -> Iterator[InvalidInput]:
    """Everything in the rules that S3 would answer with a bare MalformedXML, each with its rule."""
    rules = params[OPTION]
    rule_shape = shape.members["LifecycleConfiguration"].members["Rules"].member
    for number, rule in enumerate(rules, 1):
        yield from rule_flaws(rule, number, target.custom, rule_shape)
    ids = Counter(str(rule["ID"]) for rule in rules if isinstance(rule, dict) and rule.get("ID") is not None)
    for name, count in ids.items():
        if count > 1:
            yield InvalidInput(f"{OPTION}: {count} rules have the ID {name}", "", "IDs must be unique.")
    if len(rules) > MAX_RULES and not target.custom:
        yield InvalidInput(
            f"{OPTION}: there are {len(rules)} rules", f"AWS takes {MAX_RULES} at most", "Join rules of one kind."
        )


def rule_flaws(rule: Any, number: int, custom: bool, shape: model.Shape | None = None) -> Iterator[InvalidInput]:
    """What is wrong with one rule as given. number: its place, from 1; custom: for a store other than AWS.

    shape: the API's model of a rule; without it, names, types and enumerations are not checked.
    """
    label = f"{OPTION}: rule {number}"
    if not isinstance(rule, Mapping):
        yield InvalidInput(f"{label} is not a dictionary", "", "Write rules as boto3 takes them.")
        return
    if rule.get("ID") is not None and not isinstance(rule["ID"], (dict, list)):
        label += f" (ID {str(rule['ID'])[:60]})"
    cleaned = {"Status": "Enabled", **_clean(dict(rule))}
    found = list(model.flaws(cleaned, shape, label, custom)) if shape else []
    yield from found
    yield from _date_flaws(rule, label)
    if not found:
        try:
            normalised = normalise(rule)
        except (AttributeError, TypeError, ValueError) as error:
            yield InvalidInput(f"{label} is malformed", str(error), "Write rules as boto3 takes them.")
            return
        for what, why, remedy in (*_filter_flaws(cleaned), *_action_flaws(normalised, custom)):
            yield InvalidInput(f"{label}: {what}", why, remedy)


Flaw = tuple[str, str, str]


def _date_flaws(value: Any, label: str) -> Iterator[InvalidInput]:
    if isinstance(value, list):
        for inner in value:
            yield from _date_flaws(inner, label)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key != "Date":
            yield from _date_flaws(inner, label)
            continue
        moment = _moment(inner)
        if inner is None:
            continue
        if moment is None:
            yield InvalidInput(f"{label}: Date {str(inner)!r} is not a date", "", "Write it as 2027-01-31.")
        elif (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
            yield InvalidInput(
                f"{label}: Date {inner} has a time of day", "S3 takes midnight UTC only", f"Write {moment:%Y-%m-%d}."
            )


def _filter_flaws(rule: dict[str, Any]) -> Iterator[Flaw]:
    """Conditions that are given twice, with two values, and those that no object meets."""
    condition = rule.get("Filter") or {}
    both = condition.get("And") or {}
    # "" is a prefix, too: one of the two places would mean every object.
    sources = (("Prefix", rule), ("Filter.Prefix", condition), ("Filter.And.Prefix", both))
    prefixes = {name: place["Prefix"] for name, place in sources if "Prefix" in place}
    if len(set(prefixes.values())) > 1:
        given = " and ".join(f"{name} {value!r}" for name, value in prefixes.items())
        yield (
            f"{given} contradict each other",
            "one of them would be ignored, in a rule that may delete objects",
            "Keep Filter.Prefix alone.",
        )
    for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"):
        if name in condition and name in both and condition[name] != both[name]:
            yield f"Filter.{name} and Filter.And.{name} contradict each other", "", "Keep one of them."
    merged = {**condition, **both}
    over, under = merged.get("ObjectSizeGreaterThan"), merged.get("ObjectSizeLessThan")
    if isinstance(over, int) and isinstance(under, int) and under <= over + 1:
        yield (
            f"no object is larger than {over} and smaller than {under} bytes",
            "",
            "Raise ObjectSizeLessThan or lower ObjectSizeGreaterThan.",
        )
    tags = [*(both.get("Tags") or []), *([condition["Tag"]] if condition.get("Tag") else [])]
    double = [key for key, count in Counter(tag.get("Key") for tag in tags).items() if count > 1]
    if double:
        yield f"the filter has the tag {double[0]} twice", "an object has one value for a key", "Keep one of them."


def _action_flaws(rule: dict[str, Any], custom: bool) -> Iterator[Flaw]:
    """Missing, contradictory and impossible actions of a normalised rule.

    Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html, API_LifecycleExpiration.html,
    API_Transition.html, API_NoncurrentVersionExpiration.html and
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    if len(str(rule.get("ID", ""))) > MAX_ID:
        yield f"its ID has {len(str(rule['ID']))} characters", f"S3 takes {MAX_ID} at most", "Shorten it."
    if not any(action in rule for action in ACTIONS):
        yield "it has no action", "S3 refuses a rule that does nothing", f"Add one of {', '.join(ACTIONS)}."
    expiration, transitions = rule.get("Expiration") or {}, rule.get("Transitions") or []
    ways = [key for key in ("Days", "Date", MARKER) if key in expiration]
    if len(ways) > 1:
        yield (
            f"Expiration has {' and '.join(ways)}",
            "they exclude each other",
            f"Keep one of them{', and move ' + MARKER + ' to a rule of its own' if MARKER in ways else ''}.",
        )
    for transition in transitions:
        ways = [key for key in ("Days", "Date") if key in transition]
        if len(ways) != 1:
            yield (
                f"a transition has {' and '.join(ways) or 'neither Days nor Date'}",
                "it needs exactly one of them",
                "Write Days or Date.",
            )
    kinds = [[key for key in ("Days", "Date") if key in one] for one in (expiration, *transitions)]
    if ["Days"] in kinds and ["Date"] in kinds:
        yield "it has both Days and Date", "S3 takes one kind in a rule", "Use one kind, or divide the rule."
    yield from _number_flaws(rule, custom)
    yield from _class_flaws(rule, custom)
    condition = rule["Filter"].get("And", rule["Filter"])
    for action, given in ((ABORT, ABORT in rule), (MARKER, MARKER in expiration)):
        if given and ("Tag" in condition or "Tags" in condition):
            yield (
                f"{action} cannot have a filter by tag",
                "uploads and delete markers have no tags",
                "Move it to a rule without tags.",
            )


def _number_flaws(rule: dict[str, Any], custom: bool) -> Iterator[Flaw]:
    for action, key in POSITIVE.items():
        value = (rule.get(action) or {}).get(key)
        if isinstance(value, bool) or (isinstance(value, int) and value < 1):
            yield f"{action}.{key} is {value}", "S3 takes numbers from 1 up", "Set 1 or more."
    for action, key in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        for one in rule.get(action) or []:
            value = one.get(key)
            if isinstance(value, bool) or (isinstance(value, int) and value < 0):
                yield f"{action}: {key} is {value}", "S3 takes numbers from 0 up", "Set 0 or more."
    if rule.get(ABORT) is not None and "DaysAfterInitiation" not in rule[ABORT]:
        yield f"{ABORT} has no DaysAfterInitiation", "", "Add it."
    versioned = [("NoncurrentVersionExpiration", rule.get("NoncurrentVersionExpiration") or {})]
    versioned += [("NoncurrentVersionTransitions", one) for one in rule.get("NoncurrentVersionTransitions") or []]
    for action, one in versioned:
        newer = one.get(NEWER)
        if isinstance(newer, int) and not 1 <= newer <= MAX_NEWER:
            yield f"{action}: {NEWER} is {newer}", f"S3 takes 1 to {MAX_NEWER}", f"Set 1 to {MAX_NEWER}."
        # MinIO takes the number of versions alone.
        if one and "NoncurrentDays" not in one and (not custom or newer is None):
            yield f"{action} has no NoncurrentDays", "S3 needs it", "Add NoncurrentDays."


def _class_flaws(rule: dict[str, Any], custom: bool) -> Iterator[Flaw]:
    days = (rule.get("Expiration") or {}).get("Days")
    for action, key in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        moves = rule.get(action) or []
        for one in moves:
            name, after = one.get("StorageClass"), one.get(key)
            if not name:
                yield f"{action}: an entry has no StorageClass", "", "Add it."
            least = 0 if custom else MIN_DAYS.get(str(name), 0)
            if isinstance(after, int) and after < least:
                yield (
                    f"{action}: {key} is {after} for {name}",
                    f"AWS moves objects there after {least} days at the earliest",
                    f"Set {least} or more.",
                )
            if action == "Transitions" and isinstance(days, int) and isinstance(after, int) and days <= after:
                yield (
                    f"Expiration.Days ({days}) is not larger than Days of the transition to {name} ({after})",
                    "objects would be deleted before they are moved",
                    f"Set Expiration.Days to {after + 1} or more, or remove the transition.",
                )
        classes = Counter(str(one["StorageClass"]) for one in moves if one.get("StorageClass"))
        double = [name for name, count in classes.items() if count > 1]
        if double:
            yield f"{action} has {double[0]} twice", "S3 takes a storage class once in a rule", "Keep one of them."


# --- what some stores lack


def _needs(rule: dict[str, Any]) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """The parts that a rule needs as a whole, for its filter, and those of each of its actions.

    A filter is never dropped alone, nor the number of versions that stay, since more would be deleted without it.
    """
    condition = rule["Filter"].get("And", rule["Filter"])
    whole = {"Filter.Tag" for key in ("Tag", "Tags") if key in condition}
    whole |= {"Filter.ObjectSize" for key in condition if key.startswith("ObjectSize")}
    actions: dict[str, frozenset[str]] = {}
    for action in ACTIONS:
        if action not in rule:
            continue
        given = rule[action] if isinstance(rule[action], list) else [rule[action]]
        parts = {f"{action}.{key}" for one in given for key in (MARKER, "Date", NEWER) if key in one}
        actions[action] = frozenset(parts | {action})
    return frozenset(whole), actions


# In the order in which a store is tried: what most stores have comes first.
PARTS = (
    "Expiration",
    f"Expiration.{MARKER}",
    "Expiration.Date",
    "NoncurrentVersionExpiration",
    f"NoncurrentVersionExpiration.{NEWER}",
    ABORT,
    "Transitions",
    "Transitions.Date",
    "NoncurrentVersionTransitions",
    f"NoncurrentVersionTransitions.{NEWER}",
    "Filter.Tag",
    "Filter.ObjectSize",
)


def parts_of(document: Document) -> list[str]:
    """The parts of PARTS that are in a document, as they are named in messages."""
    found: set[str] = set()
    for rule in (document or {"Rules": []})["Rules"]:
        whole, actions = _needs(rule)
        found |= whole.union(*actions.values())
    return [_part(name) for name in PARTS if name in found]


def only(document: Document, kept: frozenset[str]) -> Document:
    """The document without the actions and rules that need a part which is not kept."""
    rules = []
    for rule in document["Rules"]:
        whole, actions = _needs(rule)
        gone = {name for name, needs in actions.items() if not {_part(n) for n in needs | whole} <= kept}
        # A rule has to do something.
        if set(actions) - gone:
            rules.append({key: value for key, value in rule.items() if key not in gone})
    return _document(rules, document.get(MINIMUM))


def left_out(document: Document, part: str) -> str:
    """The rules that lose an action, or go as a whole, without a part."""
    named = []
    for rule in document["Rules"]:
        whole, actions = _needs(rule)
        gone = [name for name, needs in actions.items() if part in {_part(n) for n in needs | whole}]
        if gone:
            named.append(f"{' and '.join(gone)} of rule {rule.get('ID') or 'without ID'}")
    return ", ".join(named)


def _part(name: str) -> str:
    return f"{OPTION}[].{name}"


ASPECT = Aspect(
    option=OPTION,
    asked=set_(OPTION),
    read=Call("get_bucket_lifecycle_configuration", "s3:GetLifecycleConfiguration"),
    absent=frozenset({"NoSuchLifecycleConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    flaws=flaws,
    parts=Parts(parts_of, only, left_out, common=frozenset({_part("Expiration")})),
)
