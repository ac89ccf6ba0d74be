# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import Expectation, expect, keeps
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway

Policy = dict[str, Any]
ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
ALL = {"name": "all", "type": "always_sample"}


def limited(spans: int, **more: int) -> Policy:
    return {"name": "rate", "type": "rate_limiting", "rate_limiting": {"spans_per_second": spans, **more}}


def both(name: str, *policies: Policy) -> Policy:
    return {"name": name, "type": "and", "and": {"and_sub_policy": list(policies)}}


def trace_id(number: int) -> str:
    """With what differs first: the processor's hash mixes the last bytes little."""
    return f"{number:032x}"[::-1]


def traces(count: int, spans: int = 2, errors: int = 0) -> dict[str, list[otlp.Document]]:
    """Of two services; the first few have an error."""
    found = {}
    for number in range(1, count + 1):
        one = trace_id(number)
        made = [
            otlp.span(one, f"{number:014x}{part:02x}", "", "n", "SERVER", 10**18 + part * 10**9,
                      10**18 + (part + 1) * 10**9, {}, "no" if number <= errors and not part else None)
            for part in range(spans)
        ]  # fmt: skip
        found[one] = [otlp.request({"service.name": f"s{place}"}, "s", [span]) for place, span in enumerate(made)]
    return found


def of(policies: list[Policy], sent: dict[str, list[otlp.Document]], **settings: Any) -> Expectation:
    return expect({"decision_wait": "3s", "policies": policies, **settings}, Gateway(), sent)


def numbers(ids: Any) -> set[int]:
    return {int(one[::-1], 16) for one in ids}


def test_what_looks_at_the_trace_alone_is_exact() -> None:
    found = of([ERRORS, {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}],
               traces(200, errors=3))  # fmt: skip
    assert found.alone == found.shared and not found.alone.possible and found.limiters == ()
    assert numbers(found.alone.kept) >= {1, 2, 3} and 60 < len(found.alone.kept) < 140
    assert "errors" in found.alone.kept[trace_id(1)]


def test_a_drop_policy_is_named() -> None:
    drop = {"name": "no-errors", "type": "drop", "drop": {"drop_sub_policy": [ERRORS]}}
    found = of([ALL, drop], traces(4, errors=1))
    assert numbers(found.alone.kept) == {2, 3, 4}
    assert found.alone.dropped == {trace_id(1): ("no-errors",)}


def test_a_limit_with_room_for_all_of_them_is_exact_as_long_as_nothing_else_uses_it() -> None:
    found = of([limited(20)], traces(10))
    assert len(found.alone.kept) == 10 and not found.alone.possible
    assert not found.shared.kept and len(found.shared.possible) == 10
    assert found.limiters == ("rate",)


def test_a_limit_that_they_may_reach_gives_bounds() -> None:
    """Twice as much may have been saved up, or nothing."""
    found = of([limited(19)], traces(10))
    assert not found.alone.kept and len(found.alone.possible) == 10
    found = of([both("limited", ERRORS, limited(5)), limited(1)], traces(10, errors=2))
    assert numbers(found.alone.kept) == {1, 2}
    assert numbers(found.alone.possible) == set(range(3, 11))


def test_a_trace_larger_than_a_bucket_is_never_kept() -> None:
    found = of([limited(2, burst_capacity=3)], traces(3, spans=4))
    assert not found.alone.kept and not found.alone.possible and not found.shared.possible


def composite(total: int, *shares: tuple[Policy, int]) -> Policy:
    return {
        "name": "ceiling",
        "type": "composite",
        "composite": {
            "max_total_spans_per_second": total,
            "composite_sub_policy": [policy for policy, _percent in shares],
            "rate_allocation": [{"policy": policy["name"], "percent": percent} for policy, percent in shares],
        },
    }


def test_each_share_of_a_composite_policy_counts_for_itself() -> None:
    found = of([composite(100, (ERRORS, 50), (ALL, 10))], traces(20, errors=3))
    assert numbers(found.alone.kept) == {1, 2, 3} and numbers(found.alone.possible) == set(range(4, 21))
    assert not found.shared.kept and len(found.shared.possible) == 20
    found = of([ERRORS, composite(100, (ALL, 100))], traces(20, errors=3))
    assert len(found.alone.kept) == 20 and numbers(found.shared.kept) == {1, 2, 3}


def test_a_limit_that_works_against_a_trace() -> None:
    """Inside not and drop, a limit that passes is what loses it."""
    rest = {"name": "rest", "type": "not", "not": {"not_sub_policy": limited(3)}}
    found = of([rest], traces(4))
    assert not found.shared.kept and len(found.shared.possible) == 4
    drop = {"name": "some", "type": "drop", "drop": {"drop_sub_policy": [ERRORS, limited(3)]}}
    found = of([drop, ALL], traces(4, errors=2))
    assert numbers(found.shared.kept) == {3, 4} and numbers(found.shared.possible) == {1, 2}
    # Room for both errors: both are dropped.
    drop["drop"]["drop_sub_policy"][1] = limited(4)
    found = of([drop, ALL], traces(4, errors=2))
    assert numbers(found.alone.kept) == {3, 4} and not found.alone.possible


def test_what_depends_on_the_order_of_arrival() -> None:
    """Spans of 0–1 s and 1–2 s: the trace is above one second, and the first span of it alone is not."""
    one = {"name": "short", "type": "latency", "latency": {"threshold_ms": 500, "upper_threshold_ms": 1500}}
    assert len(of([one], traces(2)).alone.kept) == 2
    uneven = traces(2)
    for documents in uneven.values():
        documents[1]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"] = str(10**18)
    found = of([one], uneven)
    assert not found.alone.kept and len(found.alone.possible) == 2


def test_more_traces_than_a_sampler_holds() -> None:
    found = of([ALL], traces(10), num_traces=4)
    assert len(found.alone.possible) == 6


def test_head_sampling_comes_first() -> None:
    high, sent = "f" * 32, traces(4)
    sent[high] = traces(1)[trace_id(1)]
    for document in sent[high]:
        otlp.rename_traces(document, lambda old: high)
    processors = {"probabilistic_sampler": {"mode": "proportional", "sampling_percentage": 50}}
    found = expect({"policies": [ALL]}, Gateway.from_config(processors), sent)
    assert found.arriving == {high} == set(found.alone.kept)


def test_a_single_trace_is_asked_for_without_limits() -> None:
    kept = keeps({"policies": [limited(3)]}, Gateway())
    sent = traces(50)
    assert all(kept(one, documents) for one, documents in sent.items())


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is not a policy type"):
        of([{"name": "x", "type": "extension"}], traces(1))
