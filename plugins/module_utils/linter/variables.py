# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The linter for the variables of the collector role: each finding is at the variable that the user writes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    EXTRA,
    OWN,
    Policy,
    default_policies,
    modern_policies,
    placed,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader, container_memory, usable
from ansible_collections.orion.tracing.plugins.module_utils.linter.export_delay import lint_export_delay
from ansible_collections.orion.tracing.plugins.module_utils.linter.lint import check, nodes
from ansible_collections.orion.tracing.plugins.module_utils.linter.sdk_sampling import lint_sdk_sampling
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import (
    LintLoad,
    Names,
    Node,
    Subject,
    finding,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    decision_cache_size,
    sampler_grace_period,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.sdk import ARGUMENT, sdk_percentage

CRITICAL, DROPPED = "collector_critical_routes", "collector_dropped_routes"
# Where the policies come from that the role builds, by name. Errors are kept in any case.
_BUILT = {
    "health-checks": DROPPED,
    "slow": "collector_latency_threshold_ms",
    "critical-operations": CRITICAL,
    "baseline": "collector_sampling_percentage",
}
_NAMES = Names(
    decision_wait="collector_decision_wait",
    num_traces="collector_num_traces",
    memory="collector_sampler_resources",
    sdk=ARGUMENT,
    head="collector_head_sampling_percentage",
    samplers="collector_sampler_replicas",
    policies=OWN,
)
# Who sets a percentage to 100 or 0, or drops what is critical, makes policies of the role pointless: those are not the
# user's. A route that is critical and dropped has a finding of its own.
_NOT_OF_BUILT = frozenset({"unreachable-policy", "zero-percentage", "matches-nothing"})


def lint_variables(variables: Mapping[str, Any], two_tiers: bool = True) -> list[Finding]:
    """Findings about the collector role's variables, and about the instrumentation role's sampler and export
    delay if these are there.

    two_tiers: as the role installs them; False for one tier of collectors that receive and sample.

    A variable that is missing or has no usable value is left to the role, which reports it. Settings are looked at as
    they are written; what policies mean for each other, as the role passes them on (a top-level invert_match as a
    policy of type drop).
    """
    # Its findings are not looked at: the role reports them.
    read = Reader(variables)
    own, extra = read.listing(OWN, default=[]), read.listing(EXTRA, default=[])
    wait, num_traces = read.duration("collector_decision_wait", 30), read.number("collector_num_traces", 50000)
    if num_traces < 1 or wait <= 0:
        return []
    built = [] if own else _built(read)
    every = [(Place(_BUILT.get(policy["name"], "")), policy) for policy in built] + placed(own, extra)
    places, policies = [place for place, _policy in every], [policy for _place, policy in every]
    as_written = nodes(policies, places, len(built))
    load = LintLoad(
        traces_per_second=read.number("tracing_expected_traces_per_second", 0) or None,
        spans_per_trace=read.number("tracing_expected_spans_per_trace", 20),
        bytes_per_span=read.number("tracing_expected_bytes_per_span", 500),
        samplers=max(int(read.number("collector_sampler_replicas", 1)), 1),
        memory_limit=usable(None, container_memory, variables.get("collector_sampler_resources"), "limits"),
        grace_period=sampler_grace_period(wait),
        sdk_percentage=sdk_percentage(variables),
        head_percentage=read.number("collector_head_sampling_percentage", 100),
        two_tiers=two_tiers,
    )
    cache = decision_cache_size(num_traces)
    config = {
        "num_traces": int(num_traces),
        "decision_cache": {"sampled_cache_size": cache, "non_sampled_cache_size": cache},
    }
    subject = Subject(
        config, load, _NAMES, wait, as_written, _effective(built, policies[len(built) :], places, as_written)
    )
    found = [
        one
        for one in check(subject)
        if one.variable in (OWN, EXTRA) or (one.variable and one.code not in _NOT_OF_BUILT)
    ]
    return [
        *found,
        *lint_sdk_sampling(variables),
        *lint_export_delay(variables),
        *_routes(read, built=not own),
        *_ceiling(read, load),
    ]


def _effective(built: list[Policy], written: list[Any], places: list[Place], as_written: list[Node]) -> list[Node]:
    """The policies as the samplers get them; as written while one of them is refused, by the role too."""
    if any(node.policy.all_problems for node in as_written) or any(isinstance(policy, str) for policy in written):
        return as_written
    rewritten, _warnings = modern_policies(written, alone=not built)
    if rewritten == written:
        return as_written
    policies = [*built, *rewritten]
    # The role may add one, which is nobody's.
    return nodes(policies, [*places, Place(OWN)][: len(policies)], len(built))


# What is not part of a route as http.route, url.path and http.target have it, and is in patterns.
_PATTERN = re.compile(r"[*?^$|\\]|\.[*+]")


def _routes(read: Reader, built: bool) -> Iterator[Finding]:
    """built: whether the routes are used, as no policies replace those that the role builds of them."""
    if not built:
        return
    routes = {name: [str(route) for route in read.listing(name, default=[])] for name in (CRITICAL, DROPPED)}
    for name, listed in routes.items():
        for index, route in enumerate(listed):
            if _PATTERN.search(route):
                yield finding(
                    "route-pattern",
                    Place(name).item(index),
                    f"'{route}' looks like a pattern",
                    "List the routes as the framework reports them, or write a policy of type string_attribute with "
                    f"enabled_regex_matching: true in {EXTRA}.",
                    "routes are compared exactly with http.route, url.path and http.target",
                )
    for index, route in enumerate(routes[CRITICAL]):
        if route in routes[DROPPED]:
            yield finding(
                "contradiction",
                Place(CRITICAL).item(index),
                f"'{route}' is in {DROPPED} too",
                "Remove it from one of the two.",
                "traces that begin with it and hold no error are dropped, and a drop policy beats all others",
            )


def _ceiling(read: Reader, load: LintLoad) -> Iterator[Finding]:
    """The ceiling that the role makes of flat variables, where it gives baseline less than its percentage needs."""
    ceiling = read.number("collector_max_total_spans_per_second", 0)
    shares = read.mapping("collector_rate_allocation", default={})
    percentage, share = read.number("collector_sampling_percentage", 10), shares.get("baseline")
    if not ceiling or load.spans_per_sampler is None or not isinstance(share, int) or share < 1:
        return
    needed = load.spans_per_sampler * load.samplers * percentage / 100
    if ceiling * share / 100 < needed:
        yield finding(
            "composite-underprovisioned",
            Place("collector_max_total_spans_per_second"),
            f"baseline matches {needed:,.0f} spans/s and may keep {ceiling * share / 100:,.0f}",
            f"Raise it to {math.ceil(needed * 100 / share)}, raise baseline in collector_rate_allocation, or lower "
            "collector_sampling_percentage.",
            "unused shares of other policies are not handed on",
        )


def _built(read: Reader) -> list[Policy]:
    """The policies of the flat variables."""
    return default_policies(
        read.number("collector_sampling_percentage", 10),
        int(read.number("collector_latency_threshold_ms", 0)),
        [str(route) for route in read.listing(CRITICAL, default=[])],
        [str(route) for route in read.listing(DROPPED, default=[])],
    )
