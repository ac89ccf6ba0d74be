# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Values: what the collector refuses, changes or ignores. Source of the rules: sampling/policy_types.py."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.orion.tracing.plugins.module_utils.collector import policies
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import Subject, finding


def refused(subject: Subject) -> Iterator[Finding]:
    """What makes the collector refuse to start, or panic at the first trace."""
    for node in subject.written:
        yield from policies.refused(node.policy, node.top)


def ignored(subject: Subject) -> Iterator[Finding]:
    for node in subject.everywhere():
        for key in node.policy.ignored:
            yield finding(
                "ignored-settings",
                node.at(f".{key}"),
                f"'{node.name}' has the type {node.kind}, so nothing reads the settings under '{key}'",
                f"Write them under '{node.kind}', correct the type, or remove them.",
            )


def changed(subject: Subject) -> Iterator[Finding]:
    for node in subject.everywhere():
        for change in node.policy.changes:
            # Less than a millisecond of a duration.
            if node.kind == "latency" and change.read and abs(change.written - change.read) < 1:
                continue
            yield finding(
                "changed-number",
                node.at(change.path),
                f"{change.written!r} is read as {change.read}",
                "Write a whole number that fits."
                if abs(change.written) >= 2**31
                else "Write a whole number, or compare in an ottl_condition.",
                "the option takes integers: fractions are cut off, and what is too large overflows",
            )


def zeros(subject: Subject) -> Iterator[Finding]:
    for node in subject.everywhere():
        settings = node.settings
        if node.kind == "numeric_attribute":
            for bound in ("min_value", "max_value"):
                if bound in node.policy.given and not settings[bound]:
                    yield finding(
                        "zero-bound",
                        node.option(bound),
                        f"{bound} is 0, which the processor takes for no bound",
                        "Use an ottl_condition, where 0 is a number.",
                    )
        elif node.kind == "latency":
            lower, upper = settings["threshold_ms"], settings["upper_threshold_ms"]
            if lower == 0 and not upper and "drop" not in node.around and "not" not in node.around:
                yield finding(
                    "zero-latency",
                    node.option("threshold_ms"),
                    f"'{node.name}' matches every trace that takes a millisecond or longer",
                    "Set the duration in milliseconds above which a trace counts as slow.",
                )
        elif node.kind == "probabilistic" and settings["sampling_percentage"] <= 0:
            yield finding(
                "zero-percentage",
                node.option("sampling_percentage"),
                f"'{node.name}' samples nothing",
                "Set a percentage above 0, or remove the policy.",
            )


def latencies(subject: Subject) -> Iterator[Finding]:
    """A span arrives when it ends, and a trace is decided one decision_wait after its first span arrived. An upper
    bound is compared with the duration of the spans seen so far, in the order in which they arrived, and one such
    prefix within the bounds is enough (latency.go)."""
    for node in subject.everywhere():
        if node.kind != "latency":
            continue
        lower, upper = node.settings["threshold_ms"], node.settings["upper_threshold_ms"]
        wait = subject.wait * 1000
        if lower and lower >= wait:
            yield finding(
                "latency-beyond-wait",
                node.option("threshold_ms"),
                f"the threshold is {lower} ms, and a trace is decided {subject.wait:g} s after its first span arrived",
                f"Lower the threshold, or set {subject.names.decision_wait} to more than {lower / 1000:g}s.",
                "slower traces are decided before their last spans arrive, so most of them do not match",
            )
        if upper > 0 and upper > lower:
            dropped = "drop" in node.around
            yield finding(
                "latency-upper-bound",
                node.option("upper_threshold_ms"),
                f"'{node.name}' matches slower traces too if their first spans lie within the bounds",
                "Compare the root span's duration instead: IsRootSpan() and "
                f'span.end_time - span.start_time <= Duration("{upper}ms") in an ottl_condition.',
                "the bound is compared with the spans seen so far, not with the whole trace"
                + (", and what matches is dropped" if dropped else ""),
            )
