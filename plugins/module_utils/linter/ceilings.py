# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Ceilings: composite policies and limiters."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding
from ansible_collections.orion.tracing.plugins.module_utils.linter.reach import covers, matches, share_percent
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import LIMITERS, Node, Subject, finding


def composites(subject: Subject) -> Iterator[Finding]:
    """The first sub-policy that matches decides: within its share of max_total_spans_per_second in this second the
    trace is kept, beyond it the trace is lost, and no other sub-policy is asked. Shares are not handed on. The order is
    that of composite_sub_policy; policy_order is not read. Without an entry in rate_allocation a share is 0.

    Source: composite_helper.go and internal/sampling/composite.go.
    """
    for node in subject.everywhere():
        if node.kind == "composite" and node.policy.inside:
            yield from _shares(node)
            yield from _order(node)
            yield from _provision(subject, node)


def _shares(node: Node) -> Iterator[Finding]:
    place, inside = node.option("rate_allocation"), node.policy.inside
    allocated = [one["policy"] for one in node.settings["rate_allocation"]]
    names = [sub.name for sub in inside]
    total = sum(share_percent(node.policy, sub) for sub in inside)
    # Equal parts of a third each are 99.99… %.
    if total > 100.001:
        yield finding(
            "composite-shares",
            place,
            f"the shares add up to {total:g} %",
            "Let them add up to 100 at most.",
            "the policies can use each other's part, and only each one alone is held to max_total_spans_per_second",
        )
    for name in dict.fromkeys(names):
        if name not in allocated:
            yield finding(
                "composite-no-share",
                place,
                f"'{name}' has no share, which is 0 spans per second",
                f"Add {{policy: {name}, percent: …}}.",
                "what it matches is lost",
            )
    for index, one in enumerate(node.settings["rate_allocation"]):
        if one["percent"] <= 0 and one["policy"] in names:
            yield finding(
                "composite-zero-percent",
                node.at(f".composite.rate_allocation[{index}].percent"),
                f"a percent of {one['percent']} for '{one['policy']}' counts as an equal part, "
                f"{100 / len(inside):.3g} %, not as none",
                "Write the percentage, or remove the sub-policy.",
            )
    for what, listed, effect in (
        ("composite_sub_policy", names, "policies of the same name share one entry of rate_allocation, each in full"),
        ("rate_allocation", allocated, "of several entries the last one counts"),
        ("policy_order", node.settings["policy_order"], "the processor does not read it"),
    ):
        for name in dict.fromkeys(name for name in listed if listed.count(name) > 1):
            yield finding(
                "composite-repeated",
                node.option(what),
                f"the name '{name}' is used more than once",
                "Use each name once.",
                effect,
            )


def _order(node: Node) -> Iterator[Finding]:
    inside = node.policy.inside
    names = [sub.name for sub in inside]
    written = list(node.settings["policy_order"])
    for what, listed in (
        ("rate_allocation", [one["policy"] for one in node.settings["rate_allocation"]]),
        ("policy_order", written),
    ):
        for name in dict.fromkeys(listed):
            if name not in names:
                yield finding(
                    "composite-order",
                    node.option(what),
                    f"'{name}' is not the name of a sub-policy",
                    "Remove or correct the name.",
                )
    order = [name for name in written if name in names]
    if order and order != names:
        yield finding(
            "composite-order",
            node.option("policy_order"),
            f"the processor does not read it, and asks the sub-policies in the order {', '.join(names)}",
            "Write composite_sub_policy in the order that is meant.",
        )
    for sub, policy in zip(node.inside(), inside, strict=True):
        before = inside[: inside.index(policy)]
        first = next((one for one in before if matches(one) or covers(one, policy)), None)
        if first is not None:
            yield finding(
                "composite-unreachable",
                sub.at(),
                f"'{sub.name}' is never asked",
                f"Put it before '{first.name}'.",
                f"'{first.name}' stands before it and matches {'everything' if matches(first) else 'all that it does'}",
            )
    last = inside[-1]
    if last.kind != "probabilistic" and matches(last) is not True:
        yield finding(
            "composite-no-catch-all",
            node.option("composite_sub_policy"),
            f"the last sub-policy, '{last.name}', does not match everything",
            "Put a policy of type always_sample or probabilistic last.",
            "what no sub-policy matches is never sampled by it",
        )


def _provision(subject: Subject, node: Node) -> Iterator[Finding]:
    """Shares below one trace, and below the need of a sub-policy where that is known: a percentage of everything."""
    offered, ceiling = subject.load.spans_per_sampler, node.settings["max_total_spans_per_second"]
    place = node.option("max_total_spans_per_second")
    for sub in node.policy.inside:
        percent = share_percent(node.policy, sub)
        share = ceiling * percent / 100
        if 0 < share < subject.load.spans_per_trace:
            yield finding(
                "limit-below-trace",
                place,
                f"the share of '{sub.name}' is {share:g} spans per second, less than one trace of "
                f"{subject.load.spans_per_trace:g} spans",
                "Raise the ceiling or the share.",
                "a trace is kept whole or not at all, so it keeps next to nothing",
            )
            continue
        if offered is None or not share or (sub.kind != "probabilistic" and not matches(sub)):
            continue
        percentage = min(sub.settings["sampling_percentage"], 100.0) if sub.kind == "probabilistic" else 100.0
        needed = offered * percentage / 100
        if share < needed:
            yield finding(
                "composite-underprovisioned",
                place,
                f"'{sub.name}' matches {needed:,.0f} spans/s on each sampler and may keep {share:,.0f}",
                f"Raise the ceiling to {math.ceil(needed * 100 / percent)}, raise the share, or lower the percentage.",
                "unused shares of other sub-policies are not handed on",
            )


def limits(subject: Subject) -> Iterator[Finding]:
    """A limiter matches while its bucket, of burst_capacity or two seconds' worth, has room for the whole trace, and
    takes from it when it is asked. Source: internal/sampling/{rate,bytes}_limiting.go and {and,drop}.go."""
    for node in subject.everywhere():
        if node.kind in LIMITERS:
            yield from _limiter(subject, node)
        if node.kind in ("and", "drop"):
            kinds = [one.kind for one in node.policy.inside]
            for number, one in enumerate(node.inside()):
                later = [other for other in kinds[number + 1 :] if other not in LIMITERS]
                if one.kind in LIMITERS and later and matches(one.policy) is not False:
                    yield finding(
                        "limit-order",
                        one.at(),
                        f"'{one.name}' is asked before the conditions behind it",
                        "Put it last.",
                        "traces that do not match those use up the limit",
                    )


def _limiter(subject: Subject, node: Node) -> Iterator[Finding]:
    load, option = subject.load, LIMITERS[node.kind]
    rate, burst = node.settings[option], node.settings["burst_capacity"]
    if rate <= 0:
        return
    bucket = burst if burst > 0 else 2 * rate
    counted_in_bytes = node.kind == "bytes_limiting"
    trace = load.spans_per_trace * (load.bytes_per_span if counted_in_bytes else 1)
    unit = "bytes" if counted_in_bytes else "spans"
    if bucket < trace:
        yield finding(
            "limit-below-trace",
            node.option("burst_capacity" if burst > 0 else option),
            f"'{node.name}' lets {bucket:,} {unit} pass at once, less than one trace of {trace:,.0f} {unit}",
            f"Raise it, or set burst_capacity to {math.ceil(trace)} or more.",
            "a trace larger than that never passes",
        )
    if load.samplers > 1:
        yield finding(
            "limit-not-divided",
            node.option(option),
            f"each of {load.samplers} samplers allows {rate:,}, so all together {rate * load.samplers:,}",
            f"Write {max(rate // load.samplers, 1)} if {rate} is meant for the platform, or set "
            "collector_max_total_spans_per_second or collector_max_total_bytes_per_second, which are divided.",
        )
    if not node.around and len([one for one in subject.effective if one.kind != "drop"]) > 1:
        yield finding(
            "limit-alone",
            node.at(),
            f"'{node.name}' limits nothing",
            "Put it into an and policy together with what it is to limit.",
            "it samples up to its rate in addition to what other policies sample",
        )
    if node.around == ("drop",):
        yield finding(
            "limit-in-drop",
            node.at(),
            f"'{node.name}' drops traces up to its rate and leaves those beyond it",
            "Put it into a policy of type not to drop what exceeds the rate.",
        )
