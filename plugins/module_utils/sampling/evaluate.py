# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The decision of the tail_sampling processor on one trace, policy type by policy type.

Names and rules are those of processor/tailsamplingprocessor v0.158.0 of opentelemetry-collector-contrib; docstrings
name the file of each rule. Policies are compiled once to functions of a trace and the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import ResourceSpans, Span
from ansible_collections.orion.tracing.plugins.module_utils.otlp.sizes import traces_size
from ansible_collections.orion.tracing.plugins.module_utils.otlp.tracestate import parse_trace_state
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import conditions as ottl
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import (
    STATUS_CODES,
    ReadPolicy,
    read_policies,
    refers,
)

# Decisions of one policy, as in pkg/samplingpolicy/samplingpolicy.go. Built-in policies no longer return the inverted
# ones.
SAMPLED, NOT_SAMPLED, DROPPED = "sampled", "not_sampled", "dropped"

MAX_UINT64 = 2**64 - 1
DEFAULT_HASH_SALT = "default-hash-seed"
# What to do about an expression that the collector takes and this module cannot evaluate.
_NOT_HERE = "The collector accepts this, but it cannot be evaluated here: write it otherwise."


class PolicyError(Exception):
    """An evaluation that failed: the policy has no vote."""


@dataclass(slots=True)
class Trace:
    """What the processor has of a trace when it decides: batches in the order of arrival, one per resource and
    request."""

    id: str
    batches: list[ResourceSpans] = field(default_factory=list)
    span_count: int = 0

    def size(self) -> int:
        """Bytes of the trace as OTLP protobuf."""
        return traces_size(self.batches)


# A compiled policy: trace and Unix seconds of the decision → SAMPLED, NOT_SAMPLED or DROPPED, or PolicyError.
Evaluator = Callable[[Trace, float], str]
_SpanTest = Callable[[Span], bool]
_ValueTest = Callable[[Any], bool]


def _has_span(test: _SpanTest) -> Evaluator:
    """hasSpanWithCondition of internal/sampling/util.go."""

    def evaluate(trace: Trace, now: float) -> str:
        for batch in trace.batches:
            for scope in batch.scope_spans:
                for span in scope.spans:
                    if test(span):
                        return SAMPLED
        return NOT_SAMPLED

    return evaluate


_ABSENT = object()


def _attribute(key: str, resource_matches: _ValueTest, span_matches: _ValueTest, invert: bool) -> Evaluator:
    """hasResourceOrSpanWithCondition and its inversion, of internal/sampling/util.go: one match decides."""
    found, else_ = (NOT_SAMPLED, SAMPLED) if invert else (SAMPLED, NOT_SAMPLED)

    def evaluate(trace: Trace, now: float) -> str:
        for batch in trace.batches:
            if batch.resource is not None:
                value = batch.resource.get(key, _ABSENT)
                if value is not _ABSENT and resource_matches(value):
                    return found
            for scope in batch.scope_spans:
                for span in scope.spans:
                    value = span.get(key, _ABSENT)
                    if value is not _ABSENT and span_matches(value):
                        return found
        return else_

    return evaluate


class TokenBucket:
    """AllowN of golang.org/x/time/rate: full at first, tokens per second, and a request larger than burst never
    passes."""

    def __init__(self, rate: int, burst: int) -> None:
        self.rate, self.burst = float(rate), burst
        self.tokens = float(burst)
        self.last: float | None = None

    def allow(self, now: float, count: int) -> bool:
        tokens = self.tokens
        if self.last is not None and now > self.last:
            tokens = min(tokens + (now - self.last) * self.rate, float(self.burst))
        tokens -= count
        # A wait below a nanosecond counts as none.
        if count > self.burst or (tokens < 0 and (self.rate <= 0 or int(-tokens / self.rate * 1e9) > 0)):
            return False
        self.last, self.tokens = now, tokens
        return True


class Share:
    """Spans in one second of a policy inside composite (internal/sampling/composite.go): restarts each second, and
    what would exceed it is refused and not counted."""

    def __init__(self, spans: int) -> None:
        self.spans, self.taken = spans, 0
        self.second: int | None = None

    def allow(self, now: float, count: int) -> bool:
        current = math.floor(now)
        if self.second != current:
            self.second, self.taken = current, 0
        if self.taken + count > self.spans:
            return False
        self.taken += count
        return True


# Whether so many spans or bytes more are within a limit, at this time.
Allow = Callable[[float, int], bool]


class Limits:
    """What a policy is given that looks at how much was kept before. These are the collector's; others say what could
    become of a trace whatever is kept besides (proof/expectation.py)."""

    def bucket(self, rate: int, burst: int) -> Allow:
        """For rate_limiting and bytes_limiting."""
        return TokenBucket(rate, burst).allow

    def share(self, spans: int) -> Allow:
        """For a policy inside composite."""
        return Share(spans).allow

    def inverted(self) -> Limits:
        """For policies whose vote to keep works against the trace: those inside not and drop."""
        return self


@dataclass(frozen=True, slots=True)
class _Settings:
    """The decoded options of one policy, where its name and type are (for complaints), and the policies in it."""

    policy: ReadPolicy
    where: str
    limits: Limits

    def __getitem__(self, option: str) -> Any:
        return self.policy.settings[option]

    def wrong(self, why: str, remedy: str) -> InvalidInput:
        return InvalidInput(f"tail sampling policy {self.where} (type {self.policy.kind})", why, remedy)

    def inside(self, limits: Limits) -> list[Evaluator]:
        return [_compile(sub, f"{self.where} > {sub.name!r}", limits) for sub in self.policy.inside]


def _always_sample(_settings: _Settings) -> Evaluator:
    """internal/sampling/always_sample.go"""
    return lambda trace, now: SAMPLED


def _milliseconds(nanoseconds: int) -> int:
    """time.Duration.Milliseconds after time.Time.Sub, which stays within 64 bits; rounds towards zero."""
    bounded = max(min(nanoseconds, 2**63 - 1), -(2**63))
    return bounded // 1_000_000 if bounded >= 0 else -(-bounded // 1_000_000)


def _latency(settings: _Settings) -> Evaluator:
    """internal/sampling/latency.go: the duration is that of the spans seen so far, and the first span at which it lies
    in the range decides; so the upper bound does not exclude a trace that is longer but has a prefix that is not."""
    lower, upper = settings["threshold_ms"], settings["upper_threshold_ms"]

    def evaluate(trace: Trace, now: float) -> str:
        first = last = 0
        for batch in trace.batches:
            for scope in batch.scope_spans:
                for span in scope.spans:
                    start, end = span.start, span.end
                    if start < first or not first:
                        first = start
                    if end > last or not last:
                        last = end
                    took = last - first
                    milliseconds = took // 1_000_000 if took >= 0 else _milliseconds(took)
                    if milliseconds > lower and (not upper or milliseconds <= upper):
                        return SAMPLED
        return NOT_SAMPLED

    return evaluate


def _integer(value: Any) -> int:
    """pcommon.Value.Int: 0 for other types."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _numeric_attribute(settings: _Settings) -> Evaluator:
    """internal/sampling/numeric_tag_filter.go, and getSharedPolicyEvaluator of processor.go: a bound of 0 is none."""
    low, high = settings["min_value"], settings["max_value"]
    bottom, top = low or -(2**63), high or 2**63 - 1

    def matches(value: Any) -> bool:
        return bottom <= _integer(value) <= top

    return _attribute(settings["key"], matches, matches, settings["invert_match"])


def _boolean_attribute(settings: _Settings) -> Evaluator:
    """internal/sampling/boolean_tag_filter.go: another type counts as false. Inverted, a trace is sampled unless a
    value equals the one given."""
    wanted = settings["value"]

    def matches(value: Any) -> bool:
        return (value is True) == wanted

    return _attribute(settings["key"], matches, matches, settings["invert_match"])


def _string_attribute(settings: _Settings) -> Evaluator:
    """internal/sampling/string_tag_filter.go: exact values or Go regular expressions, found anywhere in the value.

    A resource's value of another type counts as "", a span's is passed over. The cache has no part in decisions.
    """
    values = settings["values"]
    matcher: Callable[[str], bool]
    if settings["enabled_regex_matching"]:
        patterns = []
        for value in values:
            try:
                patterns.append(ottl.go_regex(value))
            except ottl.OttlError as error:
                raise settings.wrong(f"the pattern {value!r}: {error.why}", _NOT_HERE) from None
        known: dict[str, bool] = {}

        def matcher(text: str) -> bool:
            found = known.get(text)
            if found is None:
                if len(known) > 4096:
                    known.clear()
                found = known[text] = any(pattern.search(text) for pattern in patterns)
            return found
    else:
        exact = frozenset(value for value in values if value)
        matcher = exact.__contains__

    def resource_matches(value: Any) -> bool:
        return matcher(value if isinstance(value, str) else "")

    def span_matches(value: Any) -> bool:
        return isinstance(value, str) and value != "" and matcher(value)

    return _attribute(settings["key"], resource_matches, span_matches, settings["invert_match"])


def fnv1a(data: bytes, state: int = 0xCBF29CE484222325) -> int:
    """FNV-1a, 64 bits. Source: http://www.isthe.com/chongo/tech/comp/fnv/"""
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & MAX_UINT64
    return state


def probability_threshold(percentage: float) -> int:
    """calculateThreshold of internal/sampling/probabilistic.go: (2^64 - 1) x percentage/100 in a big.Float of 64 bits,
    cut to a whole number within 64 bits."""
    if math.isinf(percentage):
        return MAX_UINT64 if percentage > 0 else 0
    exact = Fraction(percentage / 100) * MAX_UINT64
    if exact <= 0:
        return 0
    # Rounding to 64 bits of mantissa, half to even, changes nothing below the binary point unless the product is small.
    shift = 64 - (exact.numerator.bit_length() - exact.denominator.bit_length())
    scaled = exact * Fraction(2) ** shift
    while scaled >= 2**64:
        scaled, shift = scaled / 2, shift - 1
    while scaled < 2**63:
        scaled, shift = scaled * 2, shift + 1
    return min(math.floor(round(scaled) / Fraction(2) ** shift), MAX_UINT64)


def _probabilistic(settings: _Settings) -> Evaluator:
    """internal/sampling/probabilistic.go with the feature gate usetracestate off, as it is by default: a hash of salt
    and trace id is at most the threshold."""
    threshold = probability_threshold(settings["sampling_percentage"])
    salted = fnv1a((settings["hash_salt"] or DEFAULT_HASH_SALT).encode())

    def evaluate(trace: Trace, now: float) -> str:
        return SAMPLED if fnv1a(bytes.fromhex(trace.id), salted) <= threshold else NOT_SAMPLED

    return evaluate


def _status_code(settings: _Settings) -> Evaluator:
    """internal/sampling/status_code.go"""
    codes = frozenset(STATUS_CODES[name] for name in settings["status_codes"])
    unset = 0 in codes

    def matches(span: Span) -> bool:
        status = span.status
        return unset if status is None else status.number in codes

    return _has_span(matches)


def _rate_limiting(settings: _Settings) -> Evaluator:
    """internal/sampling/rate_limiting.go: spans per second; burst_capacity defaults to two seconds' worth."""
    rate, burst = settings["spans_per_second"], settings["burst_capacity"]
    allow = settings.limits.bucket(rate, burst if burst > 0 else 2 * rate)
    return lambda trace, now: SAMPLED if allow(now, trace.span_count) else NOT_SAMPLED


def _bytes_limiting(settings: _Settings) -> Evaluator:
    """internal/sampling/bytes_limiting.go: as rate_limiting, by the protobuf size of the trace."""
    rate, burst = settings["bytes_per_second"], settings["burst_capacity"]
    allow = settings.limits.bucket(rate, burst if burst > 0 else 2 * rate)
    return lambda trace, now: SAMPLED if allow(now, trace.size()) else NOT_SAMPLED


def _span_count(settings: _Settings) -> Evaluator:
    """internal/sampling/span_count_sampler.go: max_spans 0 means no upper bound."""
    low, high = settings["min_spans"], settings["max_spans"]
    return lambda trace, now: (
        SAMPLED if trace.span_count >= low and (not high or trace.span_count <= high) else NOT_SAMPLED
    )


def _trace_state(settings: _Settings) -> Evaluator:
    """internal/sampling/trace_state_filter.go"""
    key = settings["key"]
    values = frozenset(value for value in settings["values"] if value and len(key.encode()) + len(value.encode()) < 256)

    def matches(span: Span) -> bool:
        if not span.trace_state:
            return False
        members = parse_trace_state(span.trace_state)
        return members is not None and members.get(key, "") in values

    return _has_span(matches)


def _trace_flags(_settings: _Settings) -> Evaluator:
    """internal/sampling/trace_flags.go: the sampled bit."""
    return _has_span(lambda span: bool(span.flags & 1))


def _ottl_condition(settings: _Settings) -> Evaluator:
    """internal/sampling/ottl.go: any condition on any span, or on any event of it.

    Without error_mode an error is passed over, as with silent: the configuration's default is not pkg/ottl's.
    """
    compiled: dict[str, list[ottl.Condition]] = {"span": [], "spanevent": []}
    for context, conditions in compiled.items():
        for text in settings[context]:
            try:
                conditions.append(ottl.parse(text, context))
            except ottl.OttlError as error:
                raise settings.wrong(
                    f"{context} condition {text!r}, at character {error.position + 1}: {error.why}", _NOT_HERE
                ) from None
    spans, events = compiled["span"], compiled["spanevent"]
    raising = settings["error_mode"] == "propagate"

    def holds(conditions: list[ottl.Condition], place: ottl.SpanPlace) -> bool:
        """ConditionSequence.Eval of pkg/ottl/parser.go with logic operation or."""
        for condition in conditions:
            try:
                if condition(place):
                    return True
            except ottl.EvaluationError as error:
                if raising:
                    raise PolicyError(str(error)) from None
        return False

    def evaluate(trace: Trace, now: float) -> str:
        place = ottl.SpanPlace()
        for batch in trace.batches:
            place.resource_spans = batch
            for scope in batch.scope_spans:
                place.scope_spans = scope
                for span in scope.spans:
                    place.span = span
                    if spans and holds(spans, place):
                        return SAMPLED
                    if events:
                        for event in place.events():
                            place.event = event
                            if holds(events, place):
                                return SAMPLED
        return NOT_SAMPLED

    return evaluate


def _all_of(evaluators: list[Evaluator], matched: str) -> Evaluator:
    """internal/sampling/{and,drop}.go: the first that does not sample ends it."""

    def evaluate(trace: Trace, now: float) -> str:
        for one in evaluators:
            if one(trace, now) == NOT_SAMPLED:
                return NOT_SAMPLED
        return matched

    return evaluate


def _composite(settings: _Settings) -> Evaluator:
    """internal/sampling/composite.go and composite_helper.go: sub-policies in the order of composite_sub_policy
    (policy_order is not read); the first that samples decides, within its share of the second.

    A share is percent/100 of the total, an equal part where percent is 0, and 0 for a sub-policy without one.
    """
    total = settings["max_total_spans_per_second"]
    subs = settings.policy.inside
    shares: dict[str, int] = {}
    for item in settings["rate_allocation"]:
        percent = item["percent"]
        shares[item["policy"]] = int(percent / 100 * total if percent > 0 else total / max(len(subs), 1))
    evaluators = settings.inside(settings.limits)
    parts = [
        (one, settings.limits.share(min(shares.get(sub.name, 0), total)))
        for sub, one in zip(subs, evaluators, strict=True)
    ]

    def evaluate(trace: Trace, now: float) -> str:
        for one, allow in parts:
            if one(trace, now) == SAMPLED:
                return SAMPLED if allow(now, trace.span_count) else NOT_SAMPLED
        return NOT_SAMPLED

    return evaluate


def _and(settings: _Settings) -> Evaluator:
    return _all_of(settings.inside(settings.limits), SAMPLED)


def _drop(settings: _Settings) -> Evaluator:
    return _all_of(settings.inside(settings.limits.inverted()), DROPPED)


def _not(settings: _Settings) -> Evaluator:
    """internal/sampling/not.go"""
    [one] = settings.inside(settings.limits.inverted())
    return lambda trace, now: NOT_SAMPLED if one(trace, now) == SAMPLED else SAMPLED


_BUILD: dict[str, Callable[[_Settings], Evaluator]] = {
    "always_sample": _always_sample,
    "latency": _latency,
    "numeric_attribute": _numeric_attribute,
    "probabilistic": _probabilistic,
    "status_code": _status_code,
    "string_attribute": _string_attribute,
    "rate_limiting": _rate_limiting,
    "bytes_limiting": _bytes_limiting,
    "span_count": _span_count,
    "trace_state": _trace_state,
    "boolean_attribute": _boolean_attribute,
    "ottl_condition": _ottl_condition,
    "trace_flags": _trace_flags,
    "and": _and,
    "not": _not,
    "drop": _drop,
    "composite": _composite,
}


def _compile(policy: ReadPolicy, where: str, limits: Limits) -> Evaluator:
    return _BUILD[policy.kind](_Settings(policy, where, limits))


def expand(value: Any, where: str = "") -> Any:
    """A setting as the collector has it after its expansion of ${…}: $$ is $. InvalidInput for a reference, whose
    value only the collector's own machine knows.

    Source: https://opentelemetry.io/docs/collector/configuration/#environment-variables
    """
    if isinstance(value, str) and "$" in value:
        if refers(value):
            raise InvalidInput(f"{where} is {value!r}", "it refers to a value of the collector's environment",
                               "Write the value itself.")  # fmt: skip
        return value.replace("$$", "$")
    if isinstance(value, Mapping):
        return {key: expand(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [expand(item, f"{where}[{number}]") for number, item in enumerate(value)]
    return value


def readable(policies: Sequence[Any]) -> list[ReadPolicy]:
    """The policies, decoded.

    Raises InvalidInput, with everything that the collector refuses, or for a ${…}, which only the collector resolves.
    """
    found = read_policies(policies)
    wrong = [
        (f"{inner.path}{problem.path}" + (f" ('{one.name}')" if one.name else ""), problem)
        for one in found
        for inner in one.everything()
        for problem in inner.problems
    ]
    if wrong:
        raise InvalidInput(
            "; ".join(f"policies{where}: {problem.what}" for where, problem in wrong),
            wrong[0][1].why,
            " ".join(dict.fromkeys(problem.remedy for _where, problem in wrong)),
        )
    for one in found:
        for inner in one.everything():
            if inner.refers:
                raise InvalidInput(
                    f"policies{inner.path} ('{one.name}') refers to a value of the collector's environment",
                    "only the collector has that value",
                    "Write the value itself.",
                )
    return found


class PolicyList:
    """loadSamplingPolicies and makeDecision of processor.go: policies of type drop come first, and each name is there
    once. The policies of a list keep their own state (token buckets, seconds), so a sampler needs a list of its own.
    """

    def __init__(
        self, policies: Sequence[Any], sample_on_first_match: bool = False, limits: Limits | None = None
    ) -> None:
        first: list[tuple[str, Evaluator]] = []
        then: list[tuple[str, Evaluator]] = []
        limits = limits or Limits()
        for policy in readable(policies):
            evaluator = _compile(policy, repr(policy.name), limits)
            (first if policy.kind == "drop" else then).append((policy.name, evaluator))
        self.evaluators = (*first, *then)
        self.first_match = sample_on_first_match
        self.errors = 0

    def decide(self, trace: Trace, now: float) -> tuple[str, tuple[str, ...]]:
        """The decision, and the names of the policies that voted for it (none for not_sampled)."""
        matched: list[str] = []
        for name, evaluator in self.evaluators:
            try:
                decision = evaluator(trace, now)
            except PolicyError:
                self.errors += 1
                continue
            if decision is SAMPLED:
                matched.append(name)
                if self.first_match:
                    break
            elif decision is DROPPED:
                return DROPPED, (name,)
        return (SAMPLED, tuple(matched)) if matched else (NOT_SAMPLED, ())


def needs_sizes(policies: Any) -> bool:
    """Whether a policy, at any depth, is about bytes."""
    if isinstance(policies, Mapping):
        return policies.get("type") == "bytes_limiting" or any(needs_sizes(item) for item in policies.values())
    return isinstance(policies, (list, tuple)) and any(needs_sizes(item) for item in policies)
