# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What policies match, and what that means for each other: all are asked, drop policies first, and one match is enough.

Sources: loadSamplingPolicies and makeDecision of processor.go, internal/sampling/*.go.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import LIMITERS, Node, Subject, finding
from ansible_collections.orion.tracing.plugins.module_utils.sampling import attributes
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import goregex
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.truth import about_root, examine
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import STATUS_CODES, TYPES, ReadPolicy


def matches(policy: ReadPolicy, nearly: bool = False) -> bool | None:
    """True if the policy matches every trace, False if none, None if that depends on the trace.

    nearly: every trace with an HTTP request and a duration of at least a millisecond will do.
    """
    settings, kind = policy.settings, policy.kind
    if policy.refers or policy.problems:
        return None
    if kind in ("and", "drop"):
        return _all(policy, nearly)
    if kind == "not":
        return _opposite(matches(policy.inside[0], nearly)) if policy.inside else None
    if kind == "composite":
        return None if any(_may_keep(policy, one, nearly) for one in policy.inside) else False
    if kind == "always_sample":
        return True
    if kind == "latency":
        lower, upper = settings["threshold_ms"], settings["upper_threshold_ms"]
        if upper and upper <= max(lower, -1):
            return False
        # A trace whose clocks differ may take less than no time.
        return True if nearly and not upper and lower < 1 else None
    if kind == "probabilistic":
        percentage = settings["sampling_percentage"]
        return True if percentage >= 100 else False if percentage <= 0 else None
    if kind == "status_code":
        return True if STATUS_CODES.keys() <= set(settings["status_codes"]) else None
    if kind in LIMITERS:
        return False if settings[LIMITERS[kind]] <= 0 else None
    if kind == "span_count":
        low, high = settings["min_spans"], settings["max_spans"]
        if high and high < max(low, 1):
            return False
        return True if low <= 1 and not high else None
    if kind == "trace_state":
        usable = [one for one in settings["values"] if one and len(f"{settings['key']}{one}".encode()) < 256]
        return None if usable and settings["key"] else False
    if kind == "ottl_condition":
        return _conditions(settings, nearly)
    if kind.endswith("_attribute"):
        found = _attribute(policy, nearly)
        return _opposite(found) if settings["invert_match"] else found
    return None


def _opposite(found: bool | None) -> bool | None:
    return None if found is None else not found


def _all(policy: ReadPolicy, nearly: bool) -> bool | None:
    results = [matches(one, nearly) for one in policy.inside]
    if False in results:
        return False
    texts = {_text(one) for one in policy.inside}
    if any(one.kind == "not" and _text(one.inside[0]) in texts for one in policy.inside if one.inside):
        return False
    return None if None in results else True


def share_percent(policy: ReadPolicy, sub: ReadPolicy) -> float:
    """The share of a sub-policy of composite: an equal part where percent is 0 or less, none without an entry; of two
    entries the last one counts (getRateAllocationMap of composite_helper.go)."""
    found = [one["percent"] for one in policy.settings["rate_allocation"] if one["policy"] == sub.name]
    if not found:
        return 0.0
    return float(found[-1]) if found[-1] > 0 else 100 / len(policy.inside)


def _may_keep(policy: ReadPolicy, sub: ReadPolicy, nearly: bool) -> bool:
    spans = policy.settings["max_total_spans_per_second"] * share_percent(policy, sub) / 100
    return matches(sub, nearly) is not False and int(spans) > 0


def _attribute(policy: ReadPolicy, nearly: bool) -> bool | None:
    """Without invert_match."""
    settings, kind = policy.settings, policy.kind
    if not settings["key"]:
        return False
    if kind == "numeric_attribute":
        low, high = settings["min_value"], settings["max_value"]
        return False if low and high and low > high else None
    if kind != "string_attribute":
        return None
    values = settings["values"]
    if not settings["enabled_regex_matching"]:
        return None if any(values) else False
    if not values:
        return False
    present = attributes.EVERYWHERE | (attributes.HTTP if nearly else frozenset())
    if settings["key"] not in present:
        return None
    try:
        patterns = [goregex.compile_go(value) for value in values]
    except goregex.GoRegexError:
        return None
    return True if attributes.any_value(settings["key"], patterns) else None


def _conditions(settings: Any, nearly: bool) -> bool | None:
    spans = [examine(text, "span").always for text in settings["span"]]
    events = [examine(text, "spanevent").always for text in settings["spanevent"]]
    if True in spans:
        return True
    return False if set(spans + events) == {False} else None


def reach(subject: Subject) -> Iterator[Finding]:
    """A policy is pointless beside one that samples at least the same, wherever it stands, not only behind it."""
    keepers = subject.keepers
    unread = any(node.kind != "drop" and not node.readable for node in subject.effective)
    if not unread and all(matches(node.policy) is False for node in keepers):
        yield finding(
            "nothing-sampled",
            subject.effective[0].at() if subject.effective else Place(subject.names.policies),
            "no policy samples anything",
            "Add one, for example always_sample.",
            "what no policy samples is dropped, so the store stays empty",
        )
    for node in subject.drops:
        yield from _dropped(node)
    everything = next((node for node in keepers if matches(node.policy)), None)
    for number, node in enumerate(keepers):
        other = everything if everything is not node else None
        for candidate in keepers if other is None else ():
            if (
                candidate is not node
                and covers(candidate.policy, node.policy)
                and not (covers(node.policy, candidate.policy) and keepers.index(candidate) > number)
            ):
                other = candidate
                break
        if other is not None and node.kind != "composite":
            yield finding(
                "unreachable-policy",
                node.at(),
                f"'{node.name}' makes no difference",
                "Remove one of the two. To keep fewer of some traces, exclude those from the wider policy: replace it "
                "by one of type `and` with a sub-policy of type `not`.",
                f"{other.shown} samples all that it does",
            )


def _dropped(node: Node) -> Iterator[Finding]:
    for nearly in (False, True):
        if matches(node.policy, nearly):
            empty = not node.policy.inside
            yield finding(
                "everything-dropped",
                node.at(),
                f"'{node.name}' has no condition and drops every trace"
                if empty
                else f"'{node.name}' drops {'nearly ' if nearly else ''}every trace",
                "Add the conditions for what is to be dropped to drop_sub_policy."
                if empty
                else "Narrow the conditions in drop_sub_policy, all of which have to hold, to what is to be dropped.",
                ("every HTTP request that takes a millisecond matches it, and " if nearly else "")
                + "a drop policy beats all others",
            )
            return


def nothing(subject: Subject) -> Iterator[Finding]:
    """Policies that no trace matches. Those of a percentage of 0, of conditions that never hold and of empty composites
    have findings of their own."""
    for node in subject.everywhere():
        inside = [matches(one) for one in node.policy.inside]
        if node.kind in ("probabilistic", "ottl_condition") or matches(node.policy) is not False:
            if node.kind == "and" and not node.policy.inside:
                yield finding(
                    "empty-and",
                    node.option("and_sub_policy"),
                    f"'{node.name}' has no sub-policies, so it matches every trace",
                    "Add sub-policies, or use the type always_sample.",
                )
            continue
        if node.kind == "composite" and not inside:
            yield finding(
                "empty-composite",
                node.option("composite_sub_policy"),
                f"'{node.name}' has no sub-policies, so it keeps nothing",
                "Add sub-policies with an entry in rate_allocation each.",
            )
        elif False not in inside:
            yield finding(
                "matches-nothing",
                node.at(),
                f"no trace matches '{node.name}'",
                _remedy(node.policy),
                _reason(node.policy),
            )


def _reason(policy: ReadPolicy) -> str:
    settings, kind = policy.settings, policy.kind
    if kind.endswith("_attribute") or kind == "trace_state":
        if settings.get("invert_match"):
            return "what it inverts matches every trace"
        if not settings["key"]:
            return "its key is empty"
        if kind == "numeric_attribute":
            return f"min_value {settings['min_value']} is above max_value {settings['max_value']}"
        return "it has no value, or only empty ones"
    if kind == "latency":
        return "upper_threshold_ms is not above threshold_ms"
    if kind == "span_count":
        return "max_spans is below min_spans, or below 1"
    if kind in LIMITERS:
        return f"its {LIMITERS[kind]} are {settings[LIMITERS[kind]]}"
    if kind == "not":
        return "its sub-policy matches every trace"
    if kind == "composite":
        return "max_total_spans_per_second or every share of it is 0"
    return "a sub-policy excludes what another one demands"


_RARE = ("cache_max_size", "burst_capacity", "invert_match", "enabled_regex_matching", "policy_order")


def _remedy(policy: ReadPolicy) -> str:
    options = [option for option in TYPES[policy.kind].fields if option not in _RARE]
    return f"Correct {', '.join(options)}, or remove the policy."


def covers(wide: ReadPolicy, narrow: ReadPolicy) -> bool:
    """Whether everything that narrow samples is sampled by wide as well."""
    if narrow.kind == "and" and wide.kind != "and":
        return any(covers(wide, inside) for inside in narrow.inside)
    if wide.kind != narrow.kind or wide.kind not in TYPES or wide.kind in LIMITERS or wide.kind == "composite":
        return False
    a, b = wide.settings, narrow.settings
    if wide.kind == "latency":
        top, other_top = (one["upper_threshold_ms"] or math.inf for one in (a, b))
        return bool(a["threshold_ms"] <= b["threshold_ms"] and top >= other_top)
    if wide.kind == "probabilistic":
        return bool(a["hash_salt"] == b["hash_salt"] and a["sampling_percentage"] >= b["sampling_percentage"])
    if wide.kind == "status_code":
        return set(b["status_codes"]) <= set(a["status_codes"])
    if wide.kind in ("string_attribute", "trace_state"):
        rest, other = (
            {key: value for key, value in one.items() if key not in ("values", "cache_max_size")} for one in (a, b)
        )
        return not a.get("invert_match") and rest == other and set(b["values"]) <= set(a["values"])
    return _text(wide) == _text(narrow)


def _text(policy: ReadPolicy) -> str:
    """The same for policies that differ only in their names."""
    return json.dumps([policy.kind, policy.settings, [_text(one) for one in policy.inside]], sort_keys=True)


def contradictions(subject: Subject) -> Iterator[Finding]:
    """A drop policy takes what a policy is there to keep: everything of it, or some of its values."""
    for drop in subject.drops:
        if len(drop.policy.inside) != 1 or matches(drop.policy, nearly=True):
            continue
        [condition] = drop.policy.inside
        for node in subject.keepers:
            matchers = node.policy.inside if node.kind == "and" else [node.policy]
            values = sorted(set().union(*(_shared(condition, matcher) for matcher in matchers)))
            if values or any(covers(condition, matcher) for matcher in matchers):
                what = f"the values {', '.join(values)} of " if values else "everything that is sampled by "
                yield finding(
                    "contradiction",
                    drop.at(),
                    f"'{drop.name}' drops {what}{node.shown}",
                    "Remove the values from one of the two, or add a condition to the drop policy.",
                    "a drop policy beats all others",
                )


def _shared(one: ReadPolicy, other: ReadPolicy) -> set[str]:
    """Values that both match, exactly."""
    if {one.kind, other.kind} != {"string_attribute"} or one.settings["key"] != other.settings["key"]:
        return set()
    if any(p.settings["enabled_regex_matching"] or p.settings["invert_match"] for p in (one, other)):
        return set()
    return (set(one.settings["values"]) & set(other.settings["values"])) - {""}


def any_span(subject: Subject) -> Iterator[Finding]:
    """Drop policies that one span of a trace is enough for: an order that calls /health further down is lost too, and
    failing traces as well."""
    for node in subject.written:
        if node.kind != "drop" or not node.readable or matches(node.policy, nearly=True) is not None:
            continue
        inside = node.policy.inside
        spans = [one for one in inside if _about_a_span(one)]
        guarded = any(_about_status(one.inside[0] if one.kind == "not" else one) for one in inside)
        rooted = any(one.kind == "ottl_condition" and all(map(about_root, one.settings["span"])) for one in inside)
        if spans and not guarded and not rooted:
            yield finding(
                "drop-any-span",
                node.at(),
                f"'{node.name}' drops a whole trace when any span of it matches, errors included",
                "Look at the root span alone (IsRootSpan() and … in an ottl_condition), and add a policy of type not "
                "with status_code ERROR, as collector_dropped_routes does.",
            )


def _about_a_span(policy: ReadPolicy) -> bool:
    if policy.kind == "ottl_condition":
        return not all(map(about_root, policy.settings["span"]))
    if policy.kind.endswith("_attribute"):
        return not attributes.of_resource(policy.settings["key"]) and not policy.settings["invert_match"]
    return False


def _about_status(policy: ReadPolicy) -> bool:
    if policy.kind == "ottl_condition":
        return any("status.code" in text for text in policy.settings["span"])
    return policy.kind == "status_code" and "ERROR" in policy.settings["status_codes"]
