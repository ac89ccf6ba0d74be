# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Policies of the tail_sampling processor: built from scalars, and brought from outdated spellings to today's.

Syntax: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/v0.158.0/processor/tailsamplingprocessor
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import (
    NESTED,
    ReadPolicy,
    below,
    read_policy,
    settings_of,
)

Policy = dict[str, Any]

# The variables of the user's policies: instead of those that the role builds, and beside them.
OWN, EXTRA = "collector_tail_sampling_policies", "collector_tail_sampling_extra_policies"

# Where the path of an HTTP request is written. The stable conventions split http.target into url.path and url.query;
# SDKs from before (Java agent 1.x) still set http.target.
PATH_KEYS = ("http.route", "url.path", "http.target")

# Attributes that were renamed when the semantic conventions became stable, and what to match instead.
RENAMED = {
    "http.target": PATH_KEYS,
    "http.method": ("http.request.method", "http.method"),
    "http.status_code": ("http.response.status_code", "http.status_code"),
    "http.url": ("url.full", "http.url"),
    "db.name": ("db.namespace", "db.name"),
    "db.system": ("db.system.name", "db.system"),
    "messaging.destination": ("messaging.destination.name", "messaging.destination"),
}


def placed(own: Sequence[Any], extra: Sequence[Any]) -> list[tuple[Place, Any]]:
    """The user's policies, of OWN and EXTRA, each with its place."""
    return [(Place(name).item(i), one) for name, some in ((OWN, own), (EXTRA, extra)) for i, one in enumerate(some)]


def literal(text: str) -> str:
    """A string that the collector's ${…} expansion leaves as it is."""
    return text.replace("$", "$$")


def ottl_string(text: str) -> str:
    """An OTTL string literal."""
    return literal(json.dumps(text, ensure_ascii=False))


def _equals_any(key: str, values: Iterable[str]) -> str:
    return " or ".join(f'span.attributes["{key}"] == {ottl_string(value)}' for value in values)


def _ottl_policy(name: str, conditions: list[str]) -> Policy:
    """A trace matches when one span fulfils one of the conditions."""
    return {"name": name, "type": "ottl_condition", "ottl_condition": {"error_mode": "ignore", "span": conditions}}


def _errors(name: str) -> Policy:
    return {"name": name, "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}


def health_check_policy(routes: list[str]) -> Policy:
    """Drops the traces that begin with a request to one of the routes, unless they hold an error.

    A drop policy beats every other one, and a plain attribute policy matches when any span of the trace does: an order
    that asks a downstream /health would be lost, error or not. So only the root span counts, and a failing health
    check is left to the other policies.
    """
    root = _ottl_policy(
        "begins-with-a-dropped-route", [f"IsRootSpan() and ({_equals_any(k, routes)})" for k in PATH_KEYS]
    )
    no_error = {"name": "no-error", "type": "not", "not": {"not_sub_policy": _errors("error")}}
    return {"name": "health-checks", "type": "drop", "drop": {"drop_sub_policy": [root, no_error]}}


def default_policies(
    percentage: float, latency_threshold_ms: int, critical_routes: list[str], dropped_routes: list[str]
) -> list[Policy]:
    """The policies of tail_sampling built from scalars. A trace is kept when one matches; drop comes before all.

    percentage: of the traces that no other policy keeps, 0 to 100. latency_threshold_ms: exclusive lower bound, 0 for
    none. Routes are compared exactly with http.route, url.path and http.target of every span (dropped: the root span).
    """
    policies = [health_check_policy(dropped_routes)] if dropped_routes else []
    policies.append(_errors("errors"))
    if latency_threshold_ms:
        policies.append({"name": "slow", "type": "latency", "latency": {"threshold_ms": latency_threshold_ms}})
    if critical_routes:
        policies.append(_ottl_policy("critical-operations", [_equals_any(key, critical_routes) for key in PATH_KEYS]))
    policies.append(
        {"name": "baseline", "type": "probabilistic", "probabilistic": {"sampling_percentage": percentage}},
    )
    return policies


# Those that default_policies builds and that keep traces, by name.
BUILT = ("errors", "slow", "critical-operations", "baseline")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What all samplers together may keep: spans and bytes (OTLP protobuf) per second, 0 for no limit, and each
    policy's share of both in percent.

    A limiter counts what its own sampler keeps, so each gets total / samplers; trace ids spread evenly over samplers.
    """

    spans: int
    size: int
    shares: Mapping[str, int]
    samplers: int

    def findings(self, policies: list[Policy], all_read: bool = True) -> list[Finding]:
        """What is wrong with the shares for these policies. all_read: whether these are all that the user wrote."""
        variable = Place("collector_rate_allocation")
        kept = [policy for policy in policies if policy["type"] != "drop"]
        names = {policy["name"] for policy in kept}
        found = [
            error(variable.key(name), f"is {share!r}, not a percentage", "Give a whole number of at least 1.")
            for name, share in self.shares.items()
            if not _is_share(share)
        ]
        if (total := sum(share for share in self.shares.values() if _is_share(share))) > 100:
            found.append(error(variable, f"adds up to {total} %", "Give at most 100."))
        if all_read:
            found += [
                error(variable.key(name), "is not a policy", "Remove it, or correct the name.")
                for name in sorted(self.shares)
                if name not in names and name not in BUILT
            ]
        found += [
            error(
                variable,
                f"has no share for the policy '{name}'",
                f"Add {name}: <percentage>.",
                "the collector would give it 0 spans per second, so it would keep nothing",
            )
            for name in sorted(names)
            if name not in self.shares
        ]
        found += [
            error(
                variable,
                f"cannot divide the policy '{policy['name']}'",
                "Set the ceilings to 0, or replace the policy by its sub-policies.",
                "a composite policy cannot hold another",
            )
            for policy in kept
            if policy["type"] == "composite"
        ]
        return found

    def percentages(self, policies: list[Policy]) -> dict[str, int]:
        """Shares of the policies that keep something; what absent ones would have had goes to the others."""
        names = [policy["name"] for policy in policies if policy["type"] != "drop"]
        present = sum(self.shares[name] for name in names)
        total = sum(self.shares.values())
        return {name: self.shares[name] * total // present for name in names}

    def apply(self, policies: list[Policy]) -> list[Policy]:
        """The policies under the ceilings, or as they are where there is none. findings() must be empty.

        Spans: one composite policy, whose sub-policies are asked in order; the first that matches keeps the trace, or
        loses it when its share of the second is used up. So baseline, which matches anything, comes last. Drop policies
        stay outside. Bytes: each policy becomes `and` with a bytes_limiting of its share, asked last, so that only what
        matched takes from the bucket, which holds two seconds' worth.

        Source: internal/sampling/{composite,and,bytes_limiting}.go and composite_helper.go of the processor. Upstream
        ignores policy_order and takes the order of composite_sub_policy; both are the same here.
        """
        kept = [policy for policy in policies if policy["type"] != "drop"]
        if not kept or not (self.spans or self.size):
            return policies
        dropped = [policy for policy in policies if policy["type"] == "drop"]
        kept.sort(key=lambda policy: policy["name"] == "baseline")
        percentages = self.percentages(kept)
        if self.size:
            kept = [self._limited(policy, percentages[policy["name"]]) for policy in kept]
        if not self.spans:
            return dropped + kept
        return [
            *dropped,
            {
                "name": "ceiling",
                "type": "composite",
                "composite": {
                    "max_total_spans_per_second": self.spans_per_sampler,
                    "policy_order": list(percentages),
                    "composite_sub_policy": [
                        _all_of(policy["name"], [policy]) if policy["type"] == "not" else policy for policy in kept
                    ],
                    "rate_allocation": [{"policy": name, "percent": percent} for name, percent in percentages.items()],
                },
            },
        ]

    @property
    def spans_per_sampler(self) -> int:
        return max(self.spans // self.samplers, 1)

    def _limited(self, policy: Policy, percent: int) -> Policy:
        rate = max(self.size // self.samplers * percent // 100, 1)
        limiter = {"name": "bytes", "type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": rate}}
        conditions = below(policy) if policy["type"] == "and" else [policy]
        return _all_of(policy["name"], [*conditions, limiter])


def _is_share(share: Any) -> bool:
    return isinstance(share, int) and not isinstance(share, bool) and share >= 1


def _all_of(name: str, policies: list[Policy]) -> Policy:
    return {"name": name, "type": "and", "and": {"and_sub_policy": policies}}


def _matches_renamed(policy: Policy) -> list[str]:
    """OTTL conditions for a policy on a renamed attribute; empty when the policy is not about one."""
    if policy["type"] not in ("string_attribute", "numeric_attribute"):
        return []
    read = read_policy(policy)
    if read.refers:
        return []
    settings, keys = read.settings, RENAMED.get(read.settings["key"], ())
    if read.kind == "string_attribute":
        values = settings["values"]
        if settings["enabled_regex_matching"]:
            return [f'IsMatch(span.attributes["{key}"], {ottl_string(value)})' for key in keys for value in values]
        values = [value for value in values if value]
        return [_equals_any(key, values) for key in keys] if values else []
    bounds = [(">=", settings["min_value"]), ("<=", settings["max_value"])]
    tests = [(operator, value) for operator, value in bounds if value]
    return [" and ".join(f'span.attributes["{key}"] {o} {v}' for o, v in tests) for key in keys] if tests else []


def refused(policy: ReadPolicy, place: Place) -> list[Finding]:
    """Everything in a policy for which the collector refuses to start, or panics. place: where paths in it begin."""
    return [
        error(
            Place(place.variable, f"{place.path}{one.path}{problem.path}"),
            problem.what,
            problem.remedy,
            problem.why,
            problem.code,
        )
        for one in policy.everything()
        for problem in one.problems
    ]


def modern_policies(
    policies: list[Policy], places: Sequence[Place] = (), alone: bool = True
) -> tuple[list[Policy], list[Finding]]:
    """Policies that the collector takes in today's spelling, and warnings about the outdated ones.

    places: of the policies, by default positions under "policies". alone: whether the processor gets no other policies.

    - Attributes renamed by the stable semantic conventions are matched under both names.
    - A top-level invert_match was a veto, and sampled the rest only if no other policy decided against. Since
      collector 0.144 it samples all that does not match. It becomes a drop policy, plus always_sample when there is
      nothing but vetoes. Inside another policy it still means what it meant and stays.

    Source: tail_sampling's README and the changes contrib #39833, #44132 and #48976.
    """
    found: list[Finding] = []

    def rename(policy: Policy, place: Place) -> Policy:
        conditions = _matches_renamed(policy)
        if not conditions:
            return policy
        key = policy[policy["type"]]["key"]
        found.append(
            warning(
                place,
                f"policy '{policy.get('name', '')}' matches {key}, which current SDKs do not set; it is matched as "
                f"{', '.join(RENAMED[key])}",
                f"Write the policy with {RENAMED[key][0]}.",
                code="outdated-key",
            )
        )
        return _ottl_policy(policy.get("name", ""), conditions)

    def nested(policy: Policy, place: Place) -> Policy:
        if not isinstance(policy, dict):
            return policy
        kind, settings = policy["type"], dict(settings_of(policy))
        if below(policy):
            items = [nested(item, place) for item in below(policy)]
            settings[NESTED[kind]] = items if isinstance(settings[NESTED[kind]], list) else items[0]
            return {**policy, kind: settings}
        if settings.get("invert_match"):  # a matcher that cannot be an ottl_condition, which has no inversion
            return policy
        return rename(policy, place)

    result, vetoes = [], 0
    for index, policy in enumerate(policies):
        place = places[index] if index < len(places) else Place("policies").item(index)
        kind = policy["type"]
        if settings_of(policy).get("invert_match") is True:
            vetoes += 1
            settings = {key: value for key, value in policy[kind].items() if key != "invert_match"}
            found.append(
                warning(
                    place,
                    f"policy '{policy['name']}' uses invert_match, which no longer keeps other policies from sampling "
                    "a trace; it is converted to a policy of type drop",
                    "Write a policy of type drop.",
                    code="invert-match",
                )
            )
            match = rename({**policy, kind: settings}, place)
            result.append({"name": policy["name"], "type": "drop", "drop": {"drop_sub_policy": [match]}})
        else:
            result.append(nested(policy, place))
    if alone and vetoes and vetoes == len(policies):
        result.append({"name": "not-excluded", "type": "always_sample"})
    return result, found
