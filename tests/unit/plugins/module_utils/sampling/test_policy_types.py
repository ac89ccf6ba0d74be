# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of policy types: what values become, and its copy in the documentation.

tests/parity/test_policy_types.py compares it with the collector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import NESTED, TYPES, read_policy

DOCUMENT = Path(__file__).resolve().parents[5] / "docs/sampling-linter.md"


def policy(kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": kind, "type": kind, kind: settings}


def table() -> str:
    """In Markdown."""
    lines = ["| Type | Matches | Options (without a value) | Accepted in |", "|---|---|---|---|"]
    for kind, one in TYPES.items():
        options = "; ".join(f"`{option}`: {each.kind} ({each.absent})" for option, each in one.fields.items())
        around = [other for other in NESTED if kind in TYPES[other].inside]
        accepted = "all" if len(around) == len(NESTED) else ", ".join(f"`{other}`" for other in around) or "none"
        lines.append(f"| `{kind}` | {one.matches} | {options or 'none'} | {accepted} |")
    return "\n".join(lines)


def test_the_documentation_has_the_table() -> None:
    assert table() in DOCUMENT.read_text(), f"write it into {DOCUMENT.name}:\n{table()}"


@pytest.mark.parametrize(
    ("written", "decoded"),
    [
        (policy("latency", threshold_ms=1.9), {"threshold_ms": 1}),
        (policy("latency", threshold_ms=-1.9), {"threshold_ms": -1}),
        (policy("latency", threshold_ms=2**63), {"threshold_ms": -(2**63)}),
        (policy("latency", threshold_ms=1e30), {"threshold_ms": -(2**63)}),
        (policy("span_count", min_spans=2**31), {"min_spans": -(2**31)}),
        (policy("span_count", max_spans=2**32 + 5), {"max_spans": 5}),
        (policy("status_code", status_codes="ERROR,OK"), {"status_codes": ["ERROR", "OK"]}),
        (policy("string_attribute", key="k", values="a$$,b"), {"values": ["a$", "b"]}),
        (policy("string_attribute", key=None, values=[None]), {"key": "", "values": [""]}),
        (policy("ottl_condition", error_mode="Silent", span="true"), {"error_mode": "silent", "span": ["true"]}),
    ],
)
def test_decoded_as_by_the_collector(written: Any, decoded: dict[str, Any]) -> None:
    """tests/parity/test_policy_types.py compares what is accepted; these are the values."""
    one = read_policy(written)
    assert not one.all_problems
    assert {**one.settings, **decoded} == one.settings


def test_a_reference_to_the_environment_is_not_looked_at() -> None:
    for written in (
        policy("probabilistic", sampling_percentage="${env:P}"),
        policy("status_code", status_codes="${env:CODES}"),
        policy("latency") | {"latency": "${env:LATENCY}"},
        policy("and", and_sub_policy=["${env:POLICY}"]) | {"and": {"and_sub_policy": "${env:POLICIES}"}},
    ):
        one = read_policy(written)
        assert one.refers and not one.all_problems, written


def test_settings_that_nothing_reads_are_named() -> None:
    one = read_policy({"name": "x", "type": "latency", "latencey": {"threshold_ms": 5}, "status_code": {"x": 1}})
    assert one.ignored == ("latencey", "status_code")
    assert [problem.path for problem in one.problems] == [".status_code.x"]
