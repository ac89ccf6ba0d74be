# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""sampling/policy_types.py accepts what the collector accepts, for generated values of every field.

`otelcol validate` reports every value that cannot be decoded with its path, so one process judges thousands of
policies. What it finds only when it builds a policy ends the start, so each of those needs a process; what it accepts
is started in one process, which is then given a trace.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import traffic
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.sampling.evaluate import PolicyList
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import (
    DECODING,
    RUNNING,
    STARTING,
    TYPES,
    Problem,
    ReadPolicy,
    read_policies,
    read_policy,
)
from real import Collector, Processor, keep, refusal, validate

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 1.5, -0.5, 0.9, 1e30, 2**31, 2**40, 2**63, 2**64, float("inf"), -float("inf"),
    "", " ", "5", "1.5", "true", "null", "a", "a,b", "ERROR", "ERROR,OK", "error", "ignore", "IGNORE", "loud", "$$a",
    "true == true", "(", [], [None], ["a"], ["ERROR"], [5], [True], [[]], ["a", 5], [{}], [{"a": 1}], {}, {"a": 1},
    {"policy": "a", "percent": 5}, [{"policy": "a", "percent": 5}], [{"policy": 5}], [{"policy": None}],
    [{"percent": 1.5}], [{"percent": "5"}], [{"policy": "a", "share": 5}], [{"name": "a", "type": "always_sample"}],
    {"name": "a", "type": "always_sample"}, {"type": "always_sample"}, [{"type": "always_sample"}],
]  # fmt: skip
# A policy of each type that the collector takes.
GOOD: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in TYPES},
    "numeric_attribute": {"min_value": 5},
    "status_code": {"status_codes": ["ERROR"]},
    "ottl_condition": {"span": ["true"]},
    "not": {"not_sub_policy": {"type": "always_sample"}},
}
BESIDE = ("description", "always_sample", "trace_flags", "latency", "and", "not", "drop", "composite", "Name")


def _around(kind: str, one: Any) -> dict[str, Any]:
    option = TYPES[kind].nested
    return {"type": kind, kind: {option: one if kind == "not" else [one]}}


def _policies() -> Iterator[Any]:
    """Every value for every field, at the top and in each type that holds policies."""
    single: list[dict[str, Any]] = []
    for kind in TYPES:
        single += [{"type": kind, kind: value} for value in VALUES]
        for option in [*TYPES[kind].fields, "no_such_option"]:
            single += [{"type": kind, kind: {**GOOD[kind], option: value}} for value in VALUES]
    single += [{"type": value} for value in VALUES]
    single += [{"type": "always_sample", key: value} for key in BESIDE for value in VALUES]
    single += [{"type": "latency", other: {"no_such_option": 1}} for other in TYPES]
    pattern = {"key": "a", "enabled_regex_matching": True}
    single += [{"type": "string_attribute", "string_attribute": {**pattern, "values": value}} for value in VALUES]
    single.append({"type": "probabilistic", "probabilistic": {"sampling_percentage": math.nan}})
    for number, one in enumerate(single):
        yield {"name": f"top-{number}", **one}
        for kind in TYPES:
            if TYPES[kind].nested:
                yield {"name": f"{kind}-{number}", **_around(kind, one)}
    for value in VALUES:
        yield value
        yield {"name": value, "type": "always_sample"}
        for kind in TYPES:
            if TYPES[kind].nested:
                yield {"name": f"in-{kind}-{value!r}", **_around(kind, {"name": value, "type": "always_sample"})}


POLICIES = list(_policies())
READ = read_policies(POLICIES)


def _problems(one: ReadPolicy, stage: str) -> list[Problem]:
    """With paths from the top policy."""
    return [
        Problem(inner.path.removeprefix(one.path) + problem.path, problem.code, problem.what, problem.remedy, stage)
        for inner in one.everything()
        for problem in inner.problems
        if problem.stage == stage
    ]


def _place(problem: Problem) -> str:
    """The path as the collector's message has it, which names no key that a policy does not have."""
    return re.sub(r"\.\w+$", ".?", problem.path) if problem.code == "unknown-option" else problem.path


def test_the_table_decodes_as_the_collector_does(otelcol: str, tmp_path: Path) -> None:
    output = validate(otelcol, tmp_path, {"policies": POLICIES})
    refused: dict[int, set[str]] = defaultdict(set)
    for number, path, why in re.findall(r"^'policies\[(\d+)\](.*?)' (.*)$", output, re.MULTILINE):
        key = path.replace("[<interface {} Value>]", ".?") + (".?" if "has invalid keys" in why else "")
        refused[int(number)].add(key)
    assert len(refused) > 1000
    expected = {number: {_place(one) for one in _problems(read, DECODING)} for number, read in enumerate(READ)}
    differing = [
        f"{POLICIES[number]}: collector {sorted(refused[number])}, table {sorted(paths)}"
        for number, paths in expected.items()
        if paths != refused[number]
    ]
    assert not differing, f"{len(differing)} of {len(POLICIES)}:\n" + "\n".join(differing[:40])


def test_what_the_table_accepts_starts_and_takes_a_trace(otelcol: str, tmp_path: Path) -> None:
    accepted = [written for written, read in zip(POLICIES, READ, strict=True) if not read.all_problems]
    assert len(accepted) > 1000
    keep(otelcol, tmp_path, [{"decision_wait": "60s", "policies": accepted}], traffic.requests(seed=3, traces=20))


def _first_of_each(stage: str) -> list[tuple[str, Any]]:
    """A policy for each rule that the collector applies at this stage."""
    found: dict[str, Any] = {}
    for written in POLICIES:
        read = read_policy(written)
        if not _problems(read, DECODING):
            for problem in _problems(read, stage):
                found.setdefault(f"{re.sub(r'\[.*?]', '', problem.path)} {problem.code}", written)
    return list(found.items())


REFUSED_AT_START = _first_of_each(STARTING)
# A tenth of them in the short run.
STARTS = [
    pytest.param(written, id=why, marks=[] if number % 10 == 0 else [pytest.mark.nightly])
    for number, (why, written) in enumerate(REFUSED_AT_START)
]


@pytest.mark.parametrize("written", STARTS)
def test_what_the_table_refuses_at_the_start_does_not_start(otelcol: str, tmp_path: Path, written: Any) -> None:
    assert refusal(otelcol, tmp_path, [written]) is not None


BOUNDS = [{"min_value": 0.5, "max_value": 0.9}, {}, {"min_value": 0}, {"min_value": -0.5, "max_value": 2**64}]


@pytest.mark.parametrize("bounds", BOUNDS[:3], ids=str)
def test_bounds_that_no_integer_lies_between_panic_at_the_first_trace(
    otelcol: str, tmp_path: Path, bounds: dict[str, Any]
) -> None:
    policy = {"name": "n", "type": "numeric_attribute", "numeric_attribute": {"key": "a", **bounds}}
    [problem] = read_policy(policy).problems
    assert problem.stage == RUNNING
    with Collector(otelcol, tmp_path, [Processor({"decision_wait": "60s", "policies": [policy]})]) as collector:
        collector.send(traffic.requests(seed=3, traces=1)[0])
        with pytest.raises(AssertionError, match="panic"):
            collector.stop()


def test_the_simulator_refuses_what_the_table_refuses() -> None:
    for written in POLICIES:
        if not read_policy(written).all_problems:
            PolicyList([written])
            continue
        with pytest.raises(InvalidInput):
            PolicyList([written])
