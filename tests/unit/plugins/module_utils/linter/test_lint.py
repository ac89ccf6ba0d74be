# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every code of the linter: what makes it appear, the nearest configuration that does not, and its documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.filter.sampling import sampling_findings
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import modern_policies
from ansible_collections.orion.tracing.plugins.module_utils.linter.lint import lint
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import CODES, LintLoad
from ansible_collections.orion.tracing.plugins.module_utils.linter.variables import lint_variables
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import sampler_memory
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[5]
MEBIBYTE = 2**20


def policy(kind: str, name: str = "", **settings: Any) -> dict[str, Any]:
    return {"name": name or kind, "type": kind, kind: settings}


def string(key: str, *values: str, name: str = "s", **more: Any) -> dict[str, Any]:
    return policy("string_attribute", name, key=key, values=list(values), **more)


def both(*policies: dict[str, Any], name: str = "both") -> dict[str, Any]:
    return policy("and", name, and_sub_policy=list(policies))


def drop(*policies: dict[str, Any], name: str = "drop") -> dict[str, Any]:
    return policy("drop", name, drop_sub_policy=list(policies))


def composite(*policies: dict[str, Any], ceiling: int = 100_000, **shares: int) -> dict[str, Any]:
    names = [one["name"] for one in policies]
    return policy(
        "composite",
        max_total_spans_per_second=ceiling,
        policy_order=names,
        composite_sub_policy=list(policies),
        rate_allocation=[{"policy": name, "percent": share} for name, share in shares.items()],
    )


ERRORS = policy("status_code", "errors", status_codes=["ERROR"])
TENTH = policy("probabilistic", "tenth", sampling_percentage=10)
ALL = policy("always_sample", "all")
SLOW = policy("latency", "slow", threshold_ms=1000)
LATE = policy("latency", "late", threshold_ms=5000)
LOAD = LintLoad(traces_per_second=300, samplers=1, memory_limit=2048 * MEBIBYTE, grace_period=40)
TWO = LintLoad(traces_per_second=300, samplers=2)


def config(*policies: Any, **changes: Any) -> dict[str, Any]:
    cache = {"sampled_cache_size": 100_000, "non_sampled_cache_size": 100_000}
    return {
        "decision_wait": "10s",
        "num_traces": 10_000,
        "decision_cache": cache,
        "policies": list(policies),
        **changes,
    }


def ottl(*conditions: str, name: str = "o") -> dict[str, Any]:
    return policy("ottl_condition", name, error_mode="ignore", span=list(conditions))


# Code, what makes it appear, its path, and what does not.
CASES: list[tuple[str, dict[str, Any], LintLoad, str, dict[str, Any], LintLoad]] = [
    ("malformed-policy", config({"name": "x"}), LOAD, "policies[0]", config(ERRORS), LOAD),
    ("malformed-policy", config(ERRORS, both({"name": "x"})), LOAD, "policies[1].and.and_sub_policy[0]",
     config(ERRORS, both({"type": "status_code", "status_code": {"status_codes": ["OK"]}})), LOAD),
    ("unknown-type", config(policy("numeric")), LOAD, "policies[0].type", config(ERRORS), LOAD),
    (
        "unknown-option",
        config(both(policy("latency", threshold=5), TENTH)),
        LOAD,
        "policies[0].and.and_sub_policy[0].latency.threshold",
        config(both(SLOW, TENTH)),
        LOAD,
    ),
    ("duplicate-name", config(ERRORS, {**SLOW, "name": ERRORS["name"]}), LOAD, "policies[1].name", config(ERRORS, SLOW),
     LOAD),
    (
        "invalid-ottl",
        config(ottl('span.attributes["a"] = "b"')),
        LOAD,
        "policies[0].ottl_condition.span[0]",
        config(ottl('span.attributes["a"] == "b"')),
        LOAD,
    ),
    (
        "invalid-ottl",
        config(ottl("NoSuchFunction()")),
        LOAD,
        "policies[0].ottl_condition.span[0]",
        config(ottl("IsRootSpan()")),
        LOAD,
    ),
    (
        "invalid-regex",
        config(string("a", "(?=x)", enabled_regex_matching=True)),
        LOAD,
        "policies[0].string_attribute.values[0]",
        config(string("a", "(?=x)"), string("a", "^x$$", name="t", enabled_regex_matching=True)),
        LOAD,
    ),
    ("invalid-setting", config(ERRORS, policy("probabilistic", sampling_percentage="10")), LOAD,
     "policies[1].probabilistic.sampling_percentage", config(ERRORS, TENTH), LOAD),
    ("nothing-sampled", config(), LOAD, "policies", config(ERRORS), LOAD),
    ("nothing-sampled", config(drop(ERRORS)), LOAD, "policies[0]", config(drop(ERRORS), SLOW), LOAD),
    ("everything-dropped", config(drop(ALL), ERRORS), LOAD, "policies[0]", config(drop(ALL, SLOW), ERRORS), LOAD),
    (
        "one-tier",
        config(ERRORS),
        LintLoad(samplers=3, two_tiers=False),
        "the number of collectors",
        config(ERRORS),
        LintLoad(samplers=1, two_tiers=False),
    ),
    (
        "sampler-memory",
        config(ERRORS),
        LintLoad(traces_per_second=300, memory_limit=100 * MEBIBYTE),
        "the sampler's memory limit",
        config(ERRORS),
        LintLoad(traces_per_second=300, memory_limit=sampler_memory(2 * 300 * 10 * 20, 500, 200_000).limit),
    ),
    ("composite-shares", config(composite(ERRORS, TENTH, errors=60, tenth=50)), LOAD,
     "policies[0].composite.rate_allocation", config(composite(ERRORS, TENTH, errors=50, tenth=50)), LOAD),
    ("composite-no-share", config(composite(ERRORS, TENTH, tenth=50)), LOAD,
     "policies[0].composite.rate_allocation", config(composite(ERRORS, TENTH, errors=50, tenth=50)), LOAD),
    ("num-traces", config(ERRORS, num_traces=5_999), LOAD, "num_traces", config(ERRORS, num_traces=6_000), LOAD),
    (
        "decision-cache",
        config(ERRORS, decision_cache={"sampled_cache_size": 100_000}),
        LOAD,
        "decision_cache.non_sampled_cache_size",
        config(ERRORS),
        LOAD,
    ),
    (
        "decision-cache",
        config(ERRORS, decision_cache={"sampled_cache_size": 99_999, "non_sampled_cache_size": 100_000}),
        LOAD,
        "decision_cache.sampled_cache_size",
        config(ERRORS),
        LOAD,
    ),
    (
        "grace-period",
        config(ERRORS),
        LintLoad(grace_period=10),
        "terminationGracePeriodSeconds",
        config(ERRORS),
        LintLoad(grace_period=11),
    ),
    (
        "trace-size",
        config(ERRORS, maximum_trace_size_bytes=1, decision_cache={"sampled_cache_size": 100_000}),
        LOAD,
        "maximum_trace_size_bytes",
        config(ERRORS, maximum_trace_size_bytes=1),
        LOAD,
    ),
    ("unreachable-policy", config(ERRORS, ALL), LOAD, "policies[0]", config(ERRORS, TENTH), LOAD),
    ("unreachable-policy", config(SLOW, policy("latency", "slower", threshold_ms=2000)), LOAD, "policies[1]",
     config(SLOW, policy("latency", "medium", threshold_ms=500, upper_threshold_ms=800)), LOAD),
    ("unreachable-policy", config(TENTH, policy("probabilistic", "fifth", sampling_percentage=20)), LOAD, "policies[0]",
     config(TENTH, policy("probabilistic", "fifth", sampling_percentage=20, hash_salt="other")), LOAD),
    ("unreachable-policy", config(ERRORS, both(ERRORS, SLOW)), LOAD, "policies[1]",
     config(SLOW, both(ERRORS, TENTH)), LOAD),
    ("unreachable-policy", config(string("a", "x"), string("a", "x", "y", name="t")), LOAD, "policies[0]",
     config(string("a", "x", "z"), string("a", "x", "y", name="t")), LOAD),
    ("unreachable-policy", config(ottl("IsRootSpan()"), ottl("IsRootSpan()", name="p")), LOAD, "policies[1]",
     config(ottl("IsRootSpan()"), ottl("not IsRootSpan()", name="p")), LOAD),
    (
        "contradiction",
        config(drop(string("url.path", "/a", "/b")), string("url.path", "/b", name="keep")),
        LOAD,
        "policies[0]",
        config(drop(string("url.path", "/a")), string("url.path", "/b", name="keep")),
        LOAD,
    ),
    ("contradiction", config(drop(ERRORS), {**ERRORS, "name": "keep"}), LOAD, "policies[0]", config(drop(ERRORS), SLOW),
     LOAD),
    (
        "outdated-key",
        config(policy("numeric_attribute", key="http.status_code", min_value=500)),
        LOAD,
        "policies[0].numeric_attribute.key",
        config(policy("numeric_attribute", key="http.response.status_code", min_value=500)),
        LOAD,
    ),
    (
        "outdated-key",
        config(ottl('span.attributes["http.method"] == "GET"')),
        LOAD,
        "policies[0].ottl_condition.span[0]",
        config(ottl('span.attributes["http.method"] == "GET"', 'span.attributes["http.request.method"] == "GET"')),
        LOAD,
    ),
    (
        "invert-match",
        config(ERRORS, string("a", "x", invert_match=True)),
        LOAD,
        "policies[1].string_attribute.invert_match",
        config(ERRORS, string("a", "x")),
        LOAD,
    ),
    (
        "zero-bound",
        config(policy("numeric_attribute", key="a", min_value=0, max_value=5)),
        LOAD,
        "policies[0].numeric_attribute.min_value",
        config(policy("numeric_attribute", key="a", max_value=5)),
        LOAD,
    ),
    ("zero-percentage", config(ERRORS, policy("probabilistic", sampling_percentage=0)), LOAD,
     "policies[1].probabilistic.sampling_percentage", config(ERRORS, TENTH), LOAD),
    ("zero-latency", config(policy("latency", threshold_ms=0)), LOAD, "policies[0].latency.threshold_ms", config(SLOW),
     LOAD),
    ("composite-no-catch-all", config(composite(TENTH, ERRORS, errors=50, tenth=50)), LOAD,
     "policies[0].composite.composite_sub_policy", config(composite(ERRORS, TENTH, errors=50, tenth=50)), LOAD),
    # 300 traces of 20 spans: a tenth are 600 spans per second.
    ("composite-underprovisioned", config(composite(ERRORS, TENTH, ceiling=1198, errors=50, tenth=50)), LOAD,
     "policies[0].composite.max_total_spans_per_second",
     config(composite(ERRORS, TENTH, ceiling=1200, errors=50, tenth=50)), LOAD),
    ("composite-order", config({**(c := composite(ERRORS, TENTH, errors=50, tenth=50)),
                                "composite": {**c["composite"], "policy_order": ["tenth", "errors"]}}), LOAD,
     "policies[0].composite.policy_order", config(c), LOAD),
    ("composite-order", config(composite(ERRORS, TENTH, errors=50, tenth=40, other=10)), LOAD,
     "policies[0].composite.rate_allocation",
     config(c), LOAD),
    ("limit-not-divided", config(both(ERRORS, policy("rate_limiting", spans_per_second=90))), TWO,
     "policies[0].and.and_sub_policy[1].rate_limiting.spans_per_second",
     config(both(ERRORS, policy("rate_limiting", spans_per_second=90))), LOAD),
    ("limit-alone", config(ERRORS, policy("bytes_limiting", bytes_per_second=90)), LOAD, "policies[1]",
     config(policy("bytes_limiting", bytes_per_second=90)), LOAD),
    ("head-sampling", config(ERRORS), LintLoad(head_percentage=50), "the head sampling percentage", config(ERRORS),
     LOAD),
    ("head-sampling", config(TENTH), LintLoad(head_percentage=50), "policies[0].probabilistic.sampling_percentage",
     config(TENTH), LOAD),
    ("everything-dropped", config(drop(), ERRORS), LOAD, "policies[0]", config(drop(LATE), ERRORS), LOAD),
    ("everything-dropped", config({"name": "d", "type": "drop"}, ERRORS), LOAD, "policies[0]", config(ERRORS), LOAD),
    ("everything-dropped", config(drop(policy("span_count", min_spans=1)), ERRORS), LOAD, "policies[0]",
     config(drop(policy("span_count", min_spans=2)), ERRORS), LOAD),
    ("everything-dropped", config(drop(string("http.route", ".*", enabled_regex_matching=True)), ERRORS), LOAD,
     "policies[0]", config(drop(string("load.test", ".*", enabled_regex_matching=True)), ERRORS), LOAD),
    ("everything-dropped", config(drop(string("service.name", "^.+$$", enabled_regex_matching=True)), ERRORS), LOAD,
     "policies[0]", config(drop(string("service.name", "^load", enabled_regex_matching=True)), ERRORS), LOAD),
    ("everything-dropped", config(drop(ottl("true")), ERRORS), LOAD, "policies[0]",
     config(drop(ottl("IsRootSpan()")), ERRORS), LOAD),
    ("everything-dropped", config(drop(policy("not", not_sub_policy=ottl("false"))), ERRORS), LOAD, "policies[0]",
     config(drop(policy("not", not_sub_policy=ERRORS)), ERRORS), LOAD),
    ("everything-dropped", config(drop(string("a", "", invert_match=True)), ERRORS), LOAD, "policies[0]",
     config(drop(string("a", "x", invert_match=True)), ERRORS), LOAD),
    ("everything-dropped", config(drop(policy("status_code", status_codes=["OK", "ERROR", "UNSET"])), ERRORS), LOAD,
     "policies[0]", config(drop(policy("status_code", status_codes=["OK"])), ERRORS), LOAD),
    ("everything-dropped", config(drop(policy("latency", threshold_ms=0), ALL), ERRORS), LOAD, "policies[0]",
     config(drop(policy("latency", threshold_ms=500)), ERRORS), LOAD),
    ("nothing-sampled", config(composite()), LOAD, "policies[0]", config(composite(TENTH, tenth=100)), LOAD),
    ("nothing-sampled", config(composite(TENTH)), LOAD, "policies[0]", config(composite(TENTH, tenth=100)), LOAD),
    ("nothing-sampled", config(string("a"), ottl("false")), LOAD, "policies[0]", config(string("a", "x")), LOAD),
    ("empty-composite", config(composite(), ERRORS), LOAD, "policies[0].composite.composite_sub_policy",
     config(composite(TENTH, tenth=100), ERRORS), LOAD),
    ("empty-and", config(both()), LOAD, "policies[0].and.and_sub_policy", config(both(ERRORS)), LOAD),
    ("ignored-settings", config({**SLOW, "latencey": {"threshold_ms": 5}}), LOAD, "policies[0].latencey",
     config({**SLOW, "latencey": None}), LOAD),
    ("ignored-settings", config(both({**SLOW, "status_code": {"status_codes": ["OK"]}})), LOAD,
     "policies[0].and.and_sub_policy[0].status_code", config(both(SLOW)), LOAD),
    ("unknown-option", config({**SLOW, "description": "team a"}), LOAD, "policies[0].description",
     config({**SLOW, "description": {}}), LOAD),
    ("unknown-option", config(both({**SLOW, "description": "team a"})), LOAD,
     "policies[0].and.and_sub_policy[0].description", config(both(SLOW)), LOAD),
    ("changed-number", config(policy("numeric_attribute", key="a", min_value=0.5, max_value=3)), LOAD,
     "policies[0].numeric_attribute.min_value", config(policy("numeric_attribute", key="a", max_value=3)), LOAD),
    ("changed-number", config(policy("span_count", min_spans=2**31)), LOAD, "policies[0].span_count.min_spans",
     config(policy("span_count", min_spans=2**31 - 1)), LOAD),
    ("invalid-setting", config(policy("numeric_attribute", key="a", min_value=0.5, max_value=0.9)), LOAD,
     "policies[0].numeric_attribute", config(policy("numeric_attribute", key="a", min_value=1.5)), LOAD),
    ("decision-wait", config(ERRORS, decision_wait="10us"), LOAD, "decision_wait", config(ERRORS, decision_wait="1s"),
     LOAD),
    ("matches-nothing", config(ERRORS, policy("numeric_attribute", key="a", min_value=5, max_value=3)), LOAD,
     "policies[1]", config(ERRORS, policy("numeric_attribute", key="a", min_value=3, max_value=5)), LOAD),
    ("matches-nothing", config(ERRORS, both(string("a", "x"), string("", "x", name="t"))), LOAD,
     "policies[1].and.and_sub_policy[1]", config(ERRORS, both(string("a", "x"), string("b", "x", name="t"))), LOAD),
    ("matches-nothing", config(ERRORS, policy("latency", threshold_ms=500, upper_threshold_ms=500)), LOAD,
     "policies[1]", config(ERRORS, policy("latency", threshold_ms=500, upper_threshold_ms=501)), LOAD),
    ("matches-nothing", config(ERRORS, policy("span_count", min_spans=5, max_spans=3)), LOAD, "policies[1]",
     config(ERRORS, policy("span_count", min_spans=5, max_spans=5)), LOAD),
    ("matches-nothing", config(ERRORS, both(SLOW, policy("rate_limiting"))), LOAD, "policies[1].and.and_sub_policy[1]",
     config(ERRORS, both(SLOW, policy("rate_limiting", spans_per_second=100))), LOAD),
    ("matches-nothing", config(ERRORS, policy("trace_state", key="a", values=[""])), LOAD, "policies[1]",
     config(ERRORS, policy("trace_state", key="a", values=["b"])), LOAD),
    ("matches-nothing", config(ERRORS, both(SLOW, policy("not", not_sub_policy=SLOW))), LOAD, "policies[1]",
     config(ERRORS, both(SLOW, policy("not", not_sub_policy=ERRORS))), LOAD),
    ("matches-nothing", config(ERRORS, policy("not", not_sub_policy=ALL)), LOAD, "policies[1]",
     config(ERRORS, policy("not", not_sub_policy=TENTH)), LOAD),
    ("drop-any-span", config(drop(string("url.path", "/health")), SLOW), LOAD, "policies[0]",
     config(drop(ottl('IsRootSpan() and span.attributes["url.path"] == "/health"')), SLOW), LOAD),
    ("drop-any-span", config(drop(ottl('span.name == "health-check"')), SLOW), LOAD, "policies[0]",
     config(drop(ottl('span.name == "health-check"'), policy("not", not_sub_policy=ERRORS)), SLOW), LOAD),
    ("span-field", config(string("name", "GET /")), LOAD, "policies[0].string_attribute.key",
     config(string("span.label", "GET /")), LOAD),
    ("span-field", config(string("exception.type", "Timeout")), LOAD, "policies[0].string_attribute.key",
     config(string("error.type", "Timeout")), LOAD),
    ("attribute-type", config(string("http.response.status_code", "500")), LOAD, "policies[0].string_attribute.key",
     config(policy("numeric_attribute", key="http.response.status_code", min_value=500)), LOAD),
    ("attribute-type", config(policy("numeric_attribute", key="http.route", min_value=5)), LOAD,
     "policies[0].numeric_attribute.key", config(string("http.route", "5")), LOAD),
    *(
        ("constant-condition", config(policy("ottl_condition", error_mode="ignore", **{context: [bad]})), LOAD,
         f"policies[0].ottl_condition.{context}[0]",
         config(policy("ottl_condition", error_mode="ignore", **{context: [good]})), LOAD)
        for context, bad, good in (
            ("spanevent", 'IsMatch("name", "timeout")', 'IsMatch(spanevent.name, "timeout")'),
            ("spanevent", '"name" == "timeout"', 'name == "timeout"'),
            ("span", 'span.kind == "SERVER"', "span.kind == SPAN_KIND_SERVER"),
            ("span", 'kind != "SPAN_KIND_SERVER"', "kind != SPAN_KIND_SERVER"),
            ("span", 'span.kind.string == "SERVER"', 'span.kind.string == "Server"'),
            ("span", 'IsMatch(span.kind, "SERVER")', 'IsMatch(span.kind.string, "Serv")'),
            ("span", 'span.status.code == "ERROR"', "span.status.code == STATUS_CODE_ERROR"),
            ("span", "span.status.code == 3", "span.status.code == 2"),
            ("span", 'IsRootSpan() and span.status.code == "ERROR"', "IsRootSpan() and span.status.code == 2"),
            ("span", "span.name == 5", 'span.name == "5"'),
            ("span", "span.name == nil", 'span.name == ""'),
            ("span", 'span.trace_id == "00"', 'span.trace_id.string == "00"'),
            ("span", 'span.attributes["http.response.status_code"] == "500"',
             'span.attributes["http.response.status_code"] == 500'),
            ("span", 'span.attributes["name"] == "a"', 'span.attributes["label"] == "a"'),
            ("span", "false", "true"),
        )
    ),
    ("zero-latency", config(policy("latency", threshold_ms=0)), LOAD, "policies[0].latency.threshold_ms",
     config(policy("latency", threshold_ms=0, upper_threshold_ms=50)), LOAD),
    ("latency-beyond-wait", config(policy("latency", threshold_ms=10_000)), LOAD, "policies[0].latency.threshold_ms",
     config(policy("latency", threshold_ms=9_999)), LOAD),
    ("latency-upper-bound", config(ERRORS, drop(policy("latency", upper_threshold_ms=50))), LOAD,
     "policies[1].drop.drop_sub_policy[0].latency.upper_threshold_ms", config(ERRORS, SLOW), LOAD),
    ("composite-unreachable", config(composite(ALL, ERRORS, all=50, errors=50)), LOAD,
     "policies[0].composite.composite_sub_policy[1]", config(composite(ERRORS, ALL, all=50, errors=50)), LOAD),
    ("composite-unreachable", config(composite(SLOW, policy("latency", "slower", threshold_ms=2000), TENTH, slow=50,
                                               slower=30, tenth=20)), LOAD,
     "policies[0].composite.composite_sub_policy[1]", config(composite(SLOW, TENTH, slow=50, tenth=50)), LOAD),
    ("composite-repeated", config(composite(ERRORS, ERRORS, TENTH, errors=40, tenth=20)), LOAD,
     "policies[0].composite.composite_sub_policy", config(composite(ERRORS, TENTH, errors=50, tenth=50)), LOAD),
    ("composite-zero-percent", config(composite(ERRORS, TENTH, errors=0, tenth=50)), LOAD,
     "policies[0].composite.rate_allocation[0].percent", config(composite(ERRORS, TENTH, errors=1, tenth=50)), LOAD),
    ("composite-shares", config(composite(ERRORS, TENTH, errors=0, tenth=60)), LOAD,
     "policies[0].composite.rate_allocation", config(composite(ERRORS, TENTH, errors=0, tenth=50)), LOAD),
    ("limit-order", config(both(policy("rate_limiting", spans_per_second=90), ERRORS)), LOAD,
     "policies[0].and.and_sub_policy[0]", config(both(ERRORS, policy("rate_limiting", spans_per_second=90))), LOAD),
    ("limit-in-drop", config(drop(policy("rate_limiting", spans_per_second=90)), ERRORS), LOAD,
     "policies[0].drop.drop_sub_policy[0]",
     config(drop(policy("not", not_sub_policy=policy("rate_limiting", spans_per_second=90))), ERRORS), LOAD),
    ("limit-below-trace", config(policy("rate_limiting", spans_per_second=9)), LOAD,
     "policies[0].rate_limiting.spans_per_second", config(policy("rate_limiting", spans_per_second=10)), LOAD),
    ("limit-below-trace", config(policy("bytes_limiting", bytes_per_second=10**6, burst_capacity=9_999)), LOAD,
     "policies[0].bytes_limiting.burst_capacity",
     config(policy("bytes_limiting", bytes_per_second=10**6, burst_capacity=10_000)), LOAD),
    ("limit-below-trace", config(composite(ERRORS, TENTH, ceiling=100, errors=19, tenth=50)), LOAD,
     "policies[0].composite.max_total_spans_per_second",
     config(composite(ERRORS, TENTH, ceiling=100, errors=20, tenth=50)), LOAD),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "bad", "load", "path", "good", "enough"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_appears_and_does_not(code, bad, load, path, good, enough):
    found = [one for one in lint(bad, load) if one.code == code]
    assert path in [str(one.place) for one in found], lint(bad, load)
    assert all(one.what and one.remedy.endswith(".") and one.severity == CODES[code] for one in found)
    assert code not in [one.code for one in lint(good, enough)]


# Each was given to the collector 0.158, which refuses it, or panics at the first trace (no bound).
REFUSED = [
    (policy("latency", threshold_ms="5"), ".latency.threshold_ms"),
    (policy("latency", threshold_ms=True), ".latency.threshold_ms"),
    (policy("rate_limiting", spans_per_second="90"), ".rate_limiting.spans_per_second"),
    (policy("boolean_attribute", key="a", value="true"), ".boolean_attribute.value"),
    (string("a", 5), ".string_attribute.values[0]"),  # type: ignore[arg-type]
    (policy("string_attribute", key="a", values=5), ".string_attribute.values"),
    (policy("status_code", status_codes=["NOPE"]), ".status_code.status_codes"),
    (policy("status_code", status_codes=[]), ".status_code.status_codes"),
    (policy("ottl_condition", error_mode="ignore"), ".ottl_condition"),
    (policy("ottl_condition", error_mode="nope", span=["IsRootSpan()"]), ".ottl_condition.error_mode"),
    (policy("numeric_attribute", key="a", min_value=0), ".numeric_attribute"),
    (policy("and", and_sub_policy=ERRORS), ".and.and_sub_policy"),
    (policy("not", not_sub_policy=[ERRORS]), ".not.not_sub_policy"),
    (both(drop(ERRORS)), ".and.and_sub_policy[0].type"),
    (composite(policy("not", not_sub_policy=ERRORS), TENTH, **{"not": 50, "tenth": 50}),
     ".composite.composite_sub_policy[0].type"),
    (policy("composite", composite_sub_policy=[ALL], rate_allocation=["all"]), ".composite.rate_allocation[0]"),
    (policy("composite", composite_sub_policy=[ALL], rate_allocation=[{"policy": "all", "percent": "50"}]),
     ".composite.rate_allocation[0].percent"),
]  # fmt: skip
# As above, and it starts.
TAKEN = [
    policy("latency", threshold_ms=5.5),
    policy("latency", threshold_ms=1000, upper_threshold_ms=None),
    policy("string_attribute", key="a", values="x"),
    policy("ottl_condition", error_mode="ignore", span="IsRootSpan()"),
    policy("status_code", status_codes="ERROR"),
]


@pytest.mark.parametrize(("one", "path"), REFUSED, ids=[path for _policy, path in REFUSED])
def test_a_value_that_the_collector_refuses_is_named_and_nothing_else_is_said_of_its_policy(one, path):
    for load in (LOAD, TWO):
        # not_sub_policy may be no list and and_sub_policy no mapping: neither says more than that.
        assert [(f.code, str(f.place)) for f in lint(config(SLOW, one), load)] == [
            ("invalid-setting", f"policies[1]{path}")
        ]


@pytest.mark.parametrize("one", TAKEN, ids=[str(one) for one in TAKEN])
def test_a_value_that_the_collector_takes_is_clean(one):
    assert lint(config(one, TENTH), LOAD) == []


@pytest.mark.parametrize(
    "one",
    [
        policy("probabilistic", sampling_percentage="${env:PERCENTAGE}"),
        policy("rate_limiting", spans_per_second="${env:RATE}"),
        policy("status_code", status_codes=["${env:CODE}"]),
        both(policy("latency", threshold_ms="${env:MS}"), string("http.target", "x")),
    ],
)
def test_what_only_the_collector_knows_is_left_to_it(one):
    assert lint(config(one, SLOW), TWO) == []


def test_an_escaped_reference_is_text():
    [finding] = lint(config(policy("latency", threshold_ms="$${MS}"), ERRORS), LOAD)
    assert finding.code == "invalid-setting"


def test_every_code_has_a_case_and_an_entry():
    of_variables = {"route-pattern", "head-sampling-uneven", "sampler-without-parent", "export-delay"}
    assert {case[0] for case in CASES} | of_variables == set(CODES)
    text = (ROOT / "docs/sampling-linter.md").read_text()
    parts = dict(zip(("error", "warning"), re.split(r"^## ", text, flags=re.MULTILINE)[1:3], strict=True))
    written = {code: severity for severity, part in parts.items() for code in re.findall(r"^### (\S+)$", part, re.M)}
    assert written == CODES


def test_a_clean_configuration_has_no_finding():
    assert (
        lint(
            config(drop(string("url.path", "/health"), policy("not", not_sub_policy=ERRORS)), ERRORS, SLOW, TENTH), LOAD
        )
        == []
    )
    assert lint(config(composite(ERRORS, TENTH, errors=50, tenth=50)), LOAD) == []


def variables(**changes: Any) -> dict[str, Any]:
    return {**role_defaults("collector"), **changes}


@pytest.mark.parametrize("inventory", ["local", "staging", "production"])
def test_what_is_shipped_is_clean(inventory):
    group = yaml.safe_load((ROOT / f"inventories/{inventory}/group_vars/all.yml").read_text())
    assert lint_variables(variables(**group)) == []
    assert lint_variables(variables()) == []
    example = yaml.safe_load((ROOT / "examples/sampling/rare-paths.yml").read_text())
    assert lint_variables(variables(**example)) == []


SEED = [
    {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
    {"name": "latency", "type": "latency", "latency": {"threshold_ms": 1000}},
    {"name": "probabilistic", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}},
    {
        "name": "critical-operations",
        "type": "string_attribute",
        "string_attribute": {"key": "http.target", "values": ["/api/v1/orders", "/api/v1/trades"]},
    },
]


def test_the_policies_of_the_user_story_work_with_a_warning_for_each_outdated_item():
    [finding] = sampling_findings(variables(collector_tail_sampling_policies=SEED))
    assert (finding["code"], finding["severity"]) == ("outdated-key", "warning")
    assert finding["variable"] + finding["path"] == "collector_tail_sampling_policies[3].string_attribute.key"
    assert "http.route" in finding["remedy"]
    # The story's own figures, on one sampler and on three.
    figures = {
        "collector_decision_wait": "10s",
        "collector_num_traces": 100000,
        "tracing_expected_traces_per_second": 1000,
    }
    for samplers in (1, 3):
        own = variables(collector_tail_sampling_policies=SEED, collector_sampler_replicas=samplers, **figures)
        assert sampling_findings(own) == [finding]
    policies, warnings = modern_policies(SEED)
    assert policies[:3] == SEED[:3] and policies[3]["type"] == "ottl_condition"
    assert len(warnings) == 1 and "Write the policy with http.route" in warnings[0].remedy


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"collector_num_traces": 6_000}, "collector_num_traces", "num-traces"),
        (
            {"collector_sampler_resources": {"limits": {"memory": "128Mi"}}},
            "collector_sampler_resources",
            "sampler-memory",
        ),
        ({"collector_head_sampling_percentage": 50}, "collector_head_sampling_percentage", "head-sampling"),
        (
            {"collector_tail_sampling_extra_policies": [drop(ERRORS)]},
            "collector_tail_sampling_extra_policies[0]",
            "contradiction",
        ),
        ({"collector_max_total_spans_per_second": 5000}, "collector_max_total_spans_per_second",
         "composite-underprovisioned"),
    ],
)  # fmt: skip
def test_findings_name_the_variable(changes, path, code):
    assert (path, code) in [(str(one.place), one.code) for one in lint_variables(variables(**changes))]


@pytest.mark.parametrize(
    ("changes", "place", "code"),
    [
        ({"collector_critical_routes": ["/orders", "/api/*"]}, "collector_critical_routes[1]", "route-pattern"),
        ({"collector_dropped_routes": ["^/health$"]}, "collector_dropped_routes[0]", "route-pattern"),
        (
            {"collector_critical_routes": ["/a", "/b"], "collector_dropped_routes": ["/b"]},
            "collector_critical_routes[1]",
            "contradiction",
        ),
        (
            {"collector_decision_wait": "10us", "collector_latency_threshold_ms": 0},
            "collector_decision_wait",
            "decision-wait",
        ),
        (
            {"collector_decision_wait": "1ns", "collector_latency_threshold_ms": 0},
            "collector_decision_wait",
            "decision-wait",
        ),
        ({"collector_latency_threshold_ms": 60000}, "collector_latency_threshold_ms", "latency-beyond-wait"),
    ],
)
def test_flat_variables(changes, place, code):
    assert [(str(one.place), one.code) for one in lint_variables(variables(**changes))] == [(place, code)]


def test_routes_as_frameworks_report_them_are_clean():
    routes = ["/orders/{id}", "/users/:id", "/v1.2/items", "/a+b", "/", "/files/(name)"]
    assert lint_variables(variables(collector_critical_routes=routes, collector_dropped_routes=["/health"])) == []


def codes(**changes: Any) -> list[tuple[str, str]]:
    return [(str(one.place), one.code) for one in lint_variables(variables(**changes))]


VETO = string("url.path", "/health", name="veto", invert_match=True)


def test_an_inverted_policy_is_judged_as_the_drop_policy_that_the_role_makes_of_it():
    """Beside always_sample it is not pointless, and what it excludes contradicts a policy that keeps it."""
    own, place = "collector_tail_sampling_policies", "collector_tail_sampling_policies[1].string_attribute.invert_match"
    assert codes(**{own: [ALL, VETO]}) == [(place, "invert-match")]
    found = codes(**{own: [string("url.path", "/health", name="keep"), VETO]})
    assert (f"{own}[1]", "contradiction") in found
    # Alone it keeps everything else, so something is sampled.
    assert codes(**{own: [VETO]}) == [(place.replace("[1]", "[0]"), "invert-match")]
    # Beside the role's own policies it only excludes.
    extra = "collector_tail_sampling_extra_policies"
    assert codes(**{extra: [VETO]}) == [(place.replace(f"{own}[1]", f"{extra}[0]"), "invert-match")]


def test_a_drop_policy_that_cannot_be_read_is_not_judged_as_one_that_keeps():
    nested = drop(both(ERRORS))
    assert codes(collector_tail_sampling_policies=[ALL, nested]) == [
        ("collector_tail_sampling_policies[1].drop.drop_sub_policy[0].type", "invalid-setting")
    ]


def test_findings_about_policies_of_the_role_name_their_variable_alone():
    found = lint_variables(variables(collector_head_sampling_percentage=50))
    assert {str(one.place) for one in found} == {"collector_head_sampling_percentage", "collector_sampling_percentage"}
    [contradiction] = lint_variables(variables(collector_tail_sampling_extra_policies=[drop(ERRORS)]))
    assert "'errors', which the role adds" in contradiction.what


def test_the_text_about_invert_match_is_right_for_traces_in_which_some_spans_match():
    """tests/parity/test_decisions.py has the decisions: one span with the value is enough to prevent a match."""
    for load in (lint(config(VETO, ERRORS), LOAD), lint(config(both(VETO)), LOAD)):
        [why] = [one.why for one in load if one.code == "invert-match"]
        assert "no span and no resource has the value" in why


@pytest.mark.parametrize(
    "changes",
    [
        {"collector_num_traces": 0},
        {"collector_decision_wait": "soon", "collector_sampler_resources": "none"},
        {"collector_sampler_resources": {"limits": {"memory": "much"}}},
        {"collector_rate_allocation": None, "collector_max_total_spans_per_second": "x"},
        {"collector_tail_sampling_policies": "all"},
    ],
)
def test_values_that_the_role_refuses_are_left_to_it(changes):
    assert lint_variables(variables(**changes)) == []


def test_one_tier_of_the_user_s_own():
    [finding] = sampling_findings(variables(), two_tiers=False)
    assert (finding["code"], finding["variable"]) == ("one-tier", "collector_sampler_replicas")


def test_the_filter_names_what_it_takes():
    with pytest.raises(Exception, match="takes a mapping of variables, not list"):
        sampling_findings([])  # type: ignore[arg-type]
