# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision on one trace. That the collector decides so is tests/parity's matter; here are the rules and edges."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import from_document
from ansible_collections.orion.tracing.plugins.module_utils.sampling import evaluate
from ansible_collections.orion.tracing.plugins.module_utils.sampling.evaluate import PolicyList, TokenBucket, Trace
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import document, span, trace_id

Policy = dict[str, Any]


def policy(kind: str, name: str = "", **settings: Any) -> Policy:
    return {"name": name or kind, "type": kind, **({kind: settings} if settings else {})}


def trace(*spans: dict[str, Any], resource: dict[str, Any] | None = None, number: int = 1) -> Trace:
    batches = from_document(document((resource or {"service.name": "shop"}, list(spans)))).resource_spans
    return Trace(trace_id(number), batches, len(spans))


def decide(policies: list[Policy], one: Trace, now: float = 100.0) -> tuple[str, tuple[str, ...]]:
    return PolicyList(policies).decide(one, now)


def sampled(one: Policy, *spans: dict[str, Any], **more: Any) -> bool:
    return decide([one], trace(*spans, **more))[0] == "sampled"


ALWAYS, ERRORS = policy("always_sample"), policy("status_code", status_codes=["ERROR"])
SLOW = policy("latency", threshold_ms=100)


def test_latency_excludes_the_lower_bound_and_includes_the_upper() -> None:
    one = policy("latency", threshold_ms=100, upper_threshold_ms=200)
    found = [sampled(one, span(1, took_ms=took)) for took in (100, 100.999, 101, 200.999, 201)]
    assert found == [False, False, True, True, False]


def test_latency_is_that_of_the_spans_so_far() -> None:
    """A trace of 300 ms is sampled when a prefix of its spans lies in the range, and not when none does."""
    one = policy("latency", threshold_ms=100, upper_threshold_ms=200)
    short, long = span(1, 1, took_ms=150), span(1, 2, took_ms=300)
    assert sampled(one, short, long)
    assert not sampled(one, long, short)


def test_numeric_bounds_are_inclusive_and_another_type_is_zero() -> None:
    one = policy("numeric_attribute", key="n", min_value=-1, max_value=5)
    assert [sampled(one, span(1, values={"n": value})) for value in (-2, -1, 5, 6, "x", 3.5, True)] == [
        False, True, True, False, True, True, True,
    ]  # fmt: skip
    assert not sampled(one, span(1))
    assert sampled(policy("numeric_attribute", key="n", min_value=500), span(1), resource={"n": 503})


def test_numeric_attribute_without_bounds_is_refused() -> None:
    with pytest.raises(InvalidInput, match="panics at the first trace"):
        PolicyList([policy("numeric_attribute", key="n", min_value=0)])


def test_string_attribute_passes_over_empty_and_other_types_of_a_span_alone() -> None:
    everything = policy("string_attribute", key="k", values=[".*"], enabled_regex_matching=True)
    assert sampled(everything, span(1, values={"k": "x"}))
    assert not sampled(everything, span(1, values={"k": ""}))
    assert not sampled(everything, span(1, values={"k": 5}))
    assert sampled(everything, span(1), resource={"k": 5})  # a resource's counts as the empty string
    exact = policy("string_attribute", key="k", values=["x", ""])
    assert sampled(exact, span(1, values={"k": "x"}))
    assert not sampled(exact, span(1, values={"k": "xx"}))
    assert not sampled(exact, span(1), resource={"k": ""})


def test_dollars_are_doubled_in_a_collectors_file() -> None:
    one = policy("string_attribute", key="k", values=["a$$"], enabled_regex_matching=True)
    assert sampled(one, span(1, values={"k": "ba"}))
    assert not sampled(one, span(1, values={"k": "ab"}))
    with pytest.raises(InvalidInput, match="environment"):
        PolicyList([policy("string_attribute", key="k", values=["${env:X}"])])


@pytest.mark.parametrize(
    ("one", "matching", "other"),
    [
        (policy("string_attribute", key="k", values=["x"], invert_match=True), "x", "y"),
        (policy("numeric_attribute", key="k", min_value=5, invert_match=True), 5, 4),
        (policy("boolean_attribute", key="k", value=True, invert_match=True), True, False),
    ],
)
def test_inverted_a_trace_is_sampled_unless_one_value_matches(one: Policy, matching: Any, other: Any) -> None:
    assert not sampled(one, span(1, values={"k": other}), span(1, 2, values={"k": matching}))
    assert sampled(one, span(1, values={"k": other}))
    assert sampled(one, span(1))


def test_boolean_of_another_type_is_false() -> None:
    one = policy("boolean_attribute", key="k", value=False)
    assert [sampled(one, span(1, values={"k": value})) for value in (False, True, "true", 1)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert not sampled(one, span(1))


def test_probability_thresholds() -> None:
    assert evaluate.probability_threshold(0) == evaluate.probability_threshold(-5) == 0
    assert evaluate.probability_threshold(100) == evaluate.probability_threshold(250) == 2**64 - 1
    # (2^64 - 1) / 2 lies between two numbers of 64 bits of mantissa that are whole or half: 2^63 - 1/2, cut to 2^63 - 1
    assert evaluate.probability_threshold(50) == 2**63 - 1
    assert evaluate.fnv1a(b"a") == 0xAF63DC4C8601EC8C  # a published test vector


def test_probabilistic_keeps_a_share_and_salts_differ() -> None:
    def kept(**settings: Any) -> set[int]:
        one = PolicyList([policy("probabilistic", **settings)])
        return {n for n in range(2000) if one.decide(Trace(trace_id(n * 7919)), 0.0)[0] == "sampled"}

    tenth, fifth, salted = (
        kept(sampling_percentage=10),
        kept(sampling_percentage=20),
        kept(sampling_percentage=10, hash_salt="x"),
    )
    assert 150 < len(tenth) < 250
    assert tenth < fifth
    assert tenth == kept(sampling_percentage=10, hash_salt="default-hash-seed")
    assert len(tenth & salted) < len(tenth) / 2
    assert kept(sampling_percentage=0) == set()
    assert len(kept(sampling_percentage=100)) == 2000


def test_span_count() -> None:
    spans = [span(1, number) for number in (1, 2, 3)]
    found = {
        (low, high): sampled(policy("span_count", min_spans=low, max_spans=high), *spans)
        for low, high in ((3, 0), (4, 0), (3, 3), (1, 2), (0, 3))
    }
    assert found == {(3, 0): True, (4, 0): False, (3, 3): True, (1, 2): False, (0, 3): True}


def test_trace_state_and_flags() -> None:
    one = policy("trace_state", key="vendor", values=["1", "2"])
    assert sampled(one, span(1, traceState="ot=th:8, vendor=2"))
    assert not sampled(one, span(1, traceState="vendor=3"))
    assert not sampled(one, span(1, traceState="vendor=1,vendor=1"))  # twice the same key is no tracestate
    assert not sampled(one, span(1, traceState="Vendor=1,vendor=1"))
    assert sampled(policy("trace_flags"), span(1, flags=257))
    assert not sampled(policy("trace_flags"), span(1, flags=256))


def test_ottl_conditions_are_alternatives_on_spans_and_events() -> None:
    event = {"name": "exception", "attributes": []}
    one = policy("ottl_condition", span=['name == "x"', "kind == SPAN_KIND_SERVER"], spanevent=['name == "exception"'])
    assert [sampled(one, span(1, **more)) for more in ({}, {"name": "x"}, {"kind": 2}, {"events": [event]})] == [
        False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(("mode", "expected"), [("ignore", True), ("silent", True), (None, True), ("propagate", False)])
def test_an_error_takes_the_vote_only_with_propagate(mode: str | None, expected: bool) -> None:
    conditions = ['HasPrefix(attributes["absent"], "a")', 'name == "operation 1"']
    one = policy("ottl_condition", span=conditions, **({"error_mode": mode} if mode else {}))
    policies = PolicyList([one])
    assert (policies.decide(trace(span(1)), 0.0)[0] == "sampled") is expected
    assert policies.errors == (0 if expected else 1)
    # an error is no vote against: another policy still samples
    assert PolicyList([one, ALWAYS]).decide(trace(span(1)), 0.0)[0] == "sampled"
    # but inside another policy that one has no vote either
    whole = PolicyList([policy("and", and_sub_policy=[ALWAYS, one])]).decide(trace(span(1)), 0.0)[0] == "sampled"
    assert whole is expected


def test_token_bucket() -> None:
    bucket = TokenBucket(10, 20)
    assert not bucket.allow(0.0, 21)  # more than the bucket holds never passes
    assert bucket.allow(0.0, 20)
    assert not bucket.allow(0.5, 6)
    assert bucket.allow(0.5, 5)
    assert not bucket.allow(1.4, 10)
    assert bucket.allow(1.5, 10)
    assert bucket.allow(1000.0, 20) and not bucket.allow(1000.0, 1)


def test_a_rate_of_zero_lets_nothing_through() -> None:
    one = PolicyList([policy("rate_limiting", spans_per_second=0)])
    assert one.decide(trace(span(1)), 0.0)[0] == "not_sampled"
    burst = PolicyList([policy("rate_limiting", spans_per_second=0, burst_capacity=1)])
    assert [burst.decide(trace(span(1)), now)[0] for now in (0.0, 100.0)] == ["sampled", "not_sampled"]


def test_rate_and_bytes_limits_default_to_two_seconds() -> None:
    pair = trace(span(1), span(1, 2))
    one = PolicyList([policy("rate_limiting", spans_per_second=3)])
    assert [one.decide(pair, 0.0)[0] for _number in range(4)] == ["sampled"] * 3 + ["not_sampled"]
    size = pair.size()
    two = PolicyList([policy("bytes_limiting", bytes_per_second=size)])
    assert [two.decide(pair, 0.0)[0] for _number in range(3)] == ["sampled"] * 2 + ["not_sampled"]
    three = PolicyList([policy("bytes_limiting", bytes_per_second=1, burst_capacity=size - 1)])
    assert three.decide(pair, 0.0)[0] == "not_sampled"


def composite(subs: list[Policy], total: int, *shares: tuple[str, int], order: tuple[str, ...] = ()) -> Policy:
    return policy(
        "composite", max_total_spans_per_second=total, policy_order=list(order), composite_sub_policy=subs,
        rate_allocation=[{"policy": name, "percent": percent} for name, percent in shares],
    )  # fmt: skip


def test_composite_gives_each_its_share_of_a_second() -> None:
    failed, fine = trace(span(1, error=True)), trace(span(2))
    one = PolicyList([composite([ERRORS, ALWAYS], 4, ("status_code", 50), ("always_sample", 25))])
    found = [one.decide(failed, 10.0)[0] for _number in range(3)]
    assert found == ["sampled", "sampled", "not_sampled"]  # what errors may not have, always_sample does not take over
    assert [one.decide(fine, 10.9)[0] for _number in range(2)] == ["sampled", "not_sampled"]
    assert one.decide(fine, 11.0)[0] == "sampled"


def test_composite_without_a_share_keeps_nothing_and_the_order_is_that_of_the_list() -> None:
    failed = trace(span(1, error=True))
    one = PolicyList([composite([ERRORS, ALWAYS], 4, ("always_sample", 100), order=("always_sample", "status_code"))])
    assert one.decide(failed, 0.0)[0] == "not_sampled"
    equal = PolicyList([composite([ERRORS, ALWAYS], 4, ("status_code", 0), ("always_sample", 0))])
    assert [equal.decide(failed, 0.0)[0] for _number in range(3)] == ["sampled", "sampled", "not_sampled"]


def test_and_drop_not() -> None:
    both = policy("and", and_sub_policy=[ERRORS, SLOW])
    neither = policy("and", "neither", and_sub_policy=[policy("not", not_sub_policy=ERRORS), ALWAYS])
    failed, slow_failed = trace(span(1, error=True)), trace(span(1, error=True, took_ms=101))
    assert [decide([both], one)[0] for one in (failed, slow_failed)] == ["not_sampled", "sampled"]
    assert decide([neither, ALWAYS], failed) == ("sampled", ("always_sample",))
    # a drop policy comes first wherever it stands, and beats the others
    dropping = policy("drop", drop_sub_policy=[ERRORS, policy("not", not_sub_policy=SLOW)])
    assert decide([ALWAYS, dropping], failed) == ("dropped", ("drop",))
    assert decide([ALWAYS, dropping], slow_failed) == ("sampled", ("always_sample",))


def test_all_that_match_are_named_or_the_first() -> None:
    slow_failed = trace(span(1, error=True, took_ms=101))
    assert decide([ERRORS, SLOW], slow_failed) == ("sampled", ("status_code", "latency"))
    assert PolicyList([ERRORS, SLOW], True).decide(slow_failed, 0.0) == ("sampled", ("status_code",))
    assert decide([ERRORS, SLOW], trace(span(1))) == ("not_sampled", ())


def test_with_first_match_later_limits_keep_their_tokens() -> None:
    limit = policy("rate_limiting", spans_per_second=1, burst_capacity=1)
    failed, fine = trace(span(1, error=True)), trace(span(2))
    first, every = PolicyList([ERRORS, limit], True), PolicyList([ERRORS, limit])
    assert [one.decide(failed, 0.0)[0] for one in (first, every)] == ["sampled", "sampled"]
    assert [one.decide(fine, 0.0)[0] for one in (first, every)] == ["sampled", "not_sampled"]


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ([policy("my_extension")], ["my_extension", "not a policy type"]),
        ([policy("latency", threshold=5)], ["latency", "threshold", "threshold_ms"]),
        ([policy("latency", threshold_ms="5")], ["threshold_ms", "whole number"]),
        ([policy("latency", threshold_ms=True)], ["threshold_ms", "whole number"]),
        ([policy("status_code")], ["policies[0].status_code.status_codes", "no status code is given"]),
        ([policy("status_code", status_codes=["error"])], ["'error'", "ERROR"]),
        ([policy("string_attribute", key="k", values=["("], enabled_regex_matching=True)], ["regular expression"]),
        ([policy("string_attribute", key="k", values=[5])], ["string_attribute.values[0]", "5 is not a string"]),
        ([policy("ottl_condition", error_mode="ignore")], ["no condition"]),
        ([policy("ottl_condition", span=["nme == 5"])], ["character 1", "refuses to start"]),
        ([policy("ottl_condition", span=["Now() == nil"])], ["Now", "write it otherwise"]),
        ([policy("ottl_condition", span=["true"], error_mode="never")], ["error_mode", "propagate"]),
        (
            [policy("and", and_sub_policy=[composite([ALWAYS], 1)])],
            ["a policy of type and cannot hold one of type composite"],
        ),
        (
            [policy("not", not_sub_policy=policy("and", and_sub_policy=[]))],
            ["a policy of type not cannot hold one of type and"],
        ),
        (
            [policy("composite", composite_sub_policy=[policy("not")])],
            ["a policy of type composite cannot hold one of type not"],
        ),
        ([policy("not")], ["not_sub_policy"]),
        ([ALWAYS, ALWAYS], ["[1].name", "'always_sample' is the name of another policy too"]),
        ([{"type": "always_sample"}], ["no name"]),
        (["always_sample"], ["not a mapping"]),
        (["always_sample", policy("latency", threshold_ms="5")], ["policies[0]", "policies[1].latency.threshold_ms"]),
    ],
)
def test_refused_by_name(policies: list[Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        PolicyList(policies)
    for word in words:
        assert word in str(caught.value)


def test_bytes_are_needed_at_any_depth() -> None:
    limit = policy("bytes_limiting", bytes_per_second=1)
    assert evaluate.needs_sizes([policy("and", and_sub_policy=[ERRORS, limit])])
    assert not evaluate.needs_sizes([ERRORS, SLOW])
