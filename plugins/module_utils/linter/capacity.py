# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Whether the samplers can hold the expected load, and whether what they decide on is whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.linter.sdk_sampling import REMEDY, WHY, cost
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import Subject, finding
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    DECISION_CACHE_FACTOR,
    decision_cache_size,
    sampler_grace_period,
    sampler_memory,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import num_traces as num_traces_needed


def capacity(subject: Subject) -> Iterator[Finding]:
    """num_traces as platform.load.num_traces computes it. Memory for half as many traces: the limit that
    platform.collector.sampler_memory gives leaves room for the other half.

    Source: sampling_trace_dropped_too_early in the processor's documentation.md.
    """
    load, names, rate = subject.load, subject.names, subject.load.traces_per_sampler
    if rate is None:
        return
    wanted = num_traces_needed(rate, 1, subject.wait)
    if subject.num_traces < wanted:
        yield finding(
            "num-traces",
            names.num_traces,
            f"{subject.num_traces} is less than twice what arrives at a sampler in {names.decision_wait} ({rate:g}/s × "
            f"{subject.wait:g} s)",
            f"Set it to {wanted} or more.",
            "the oldest traces are given up undecided",
        )
    if load.memory_limit is not None:
        held = min(float(subject.num_traces), rate * subject.wait)
        cache = subject.config.get("decision_cache") or {}
        decisions = sum(int(cache.get(key) or 0) for key in ("sampled_cache_size", "non_sampled_cache_size"))
        needed = sampler_memory(held * load.spans_per_trace, load.bytes_per_span, decisions)
        if needed.limit > load.memory_limit:
            yield finding(
                "sampler-memory",
                names.memory,
                f"{load.memory_limit // 2**20}Mi is too small for {held:,.0f} traces of {load.spans_per_trace:g} spans "
                f"of {load.bytes_per_span:g} bytes, what arrives in {names.decision_wait}, and full decision "
                f"caches ({decisions:,})",
                f"Set it to {math.ceil(needed.limit / 2**20)}Mi or more, add samplers, or lower {names.num_traces}.",
                "the memory limiter would refuse spans",
            )


def caches(subject: Subject) -> Iterator[Finding]:
    """A decided trace leaves memory only with a cache, and late spans follow its decision only with one."""
    cache = subject.config.get("decision_cache") or {}
    wanted = decision_cache_size(subject.num_traces)
    for key in ("sampled_cache_size", "non_sampled_cache_size"):
        size = int(cache.get(key) or 0)
        if size < wanted:
            yield finding(
                "decision-cache",
                Place(subject.names.decision_cache).key(key),
                f"is {size}, less than {DECISION_CACHE_FACTOR} × {subject.names.num_traces}" if size else "is off",
                f"Set it to {wanted}.",
                "late spans get a decision of their own"
                if size
                else "once a trace is evicted, its late spans get a decision of their own",
            )


def topology(subject: Subject) -> Iterator[Finding]:
    load, names = subject.load, subject.names
    if load.samplers > 1 and not load.two_tiers:
        yield finding(
            "one-tier",
            names.samplers,
            f"{load.samplers} collectors behind one Service each see a part of a trace and decide on that part",
            "Put a gateway with load_balancing (routing_key: traceID) in front, or run one collector.",
        )
    if load.grace_period is not None and load.grace_period <= subject.wait:
        yield finding(
            "grace-period",
            names.grace_period,
            f"{load.grace_period:g} s is not longer than {names.decision_wait} ({subject.wait:g} s)",
            f"Set it to {sampler_grace_period(subject.wait)} or more.",
            "what a stopping sampler decides at its end may be lost before it is sent",
        )
    cache = subject.config.get("decision_cache") or {}
    if subject.config.get("maximum_trace_size_bytes") and not cache.get("non_sampled_cache_size"):
        yield finding(
            "trace-size",
            names.trace_size,
            "without a cache for decisions not to sample, what is too large stays in memory",
            f"Set decision_cache.non_sampled_cache_size to {decision_cache_size(subject.num_traces)}.",
        )


def wait(subject: Subject) -> Iterator[Finding]:
    """The processor decides once a second, on what arrived decision_wait ago, in whole seconds and at least one (Start
    of processor.go)."""
    if subject.wait < 1:
        yield finding(
            "decision-wait",
            subject.names.decision_wait,
            f"{subject.wait:g} s counts as one second",
            "Set it to longer than most traces take, such as 10s.",
            "the processor decides once a second, so most traces are decided before all their spans have arrived",
        )


def head(subject: Subject) -> Iterator[Finding]:
    load, names = subject.load, subject.names
    if load.sdk_percentage < 100:
        yield finding("head-sampling", names.sdk, cost(load.sdk_percentage / 100), REMEDY, WHY)
    if load.head_percentage < 100 and any(node.kind != "probabilistic" for node in subject.keepers):
        yield finding(
            "head-sampling",
            names.head,
            f"{100 - load.head_percentage:g} % of all traces are gone before the samplers see them, errors and slow "
            "ones too",
            "Set it to 100 and let tail sampling decide.",
            "no policy sees them, and rates of the service graph count only the rest",
        )
    through = load.sdk_percentage * load.head_percentage / 100
    for node in subject.everywhere() if through < 100 else ():
        if node.kind == "probabilistic":
            percentage = node.settings["sampling_percentage"]
            yield finding(
                "head-sampling",
                node.option("sampling_percentage"),
                f"{percentage:g} % of the {through:g} % that head sampling lets through are "
                f"{percentage * through / 100:g} % of all traces",
                "Sample in one place.",
            )
