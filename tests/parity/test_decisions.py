# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where no clock enters: the simulator keeps exactly the traces that the collector keeps, with every policy list.

The simulator decides as the processor does, so it is the collector that says what is right. Of one suite, one collector
answers for all lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import lists
import pytest
import traffic
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.linter.lint import lint
from ansible_collections.orion.tracing.plugins.module_utils.linter.reach import matches
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import LintLoad
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.truth import examine
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import read_policy
from readers import read_plainly, read_protobuf
from real import DidNotStart, Spans, keep, refusal
from simulated import decide, read

TRACES = 220
REQUESTS = traffic.requests(seed=1, traces=TRACES)
TEXTS = [traffic.request(traffic.texts())]
ALL = TRACES + len(traffic.probes())

Case = tuple[list[lists.Policy], dict[str, Any]]

SUITES: dict[str, list[Case]] = {
    "simple": [([policy], {}) for policy in lists.simple()],
    "comparisons": [([policy], {}) for policy in lists.comparisons()],
    "conditions": [([policy], {}) for policy in lists.conditions()],
    "combined": lists.combined(),
    "patterns": [([policy], {}) for policy in lists.patterns()],
    "random": lists.random_lists(seed=7, count=120),
    "fixed": [([policy], {}) for policy in lists.fixed()],
    "surprising": [(policies, {}) for policies in lists.surprising()],
}
# Of `make test-all` alone
MORE: dict[str, list[Case]] = {f"random, seed {seed}": lists.random_lists(seed, count=120) for seed in range(8, 13)}


def settings(case: Case) -> dict[str, Any]:
    policies, more = case
    return {"decision_wait": "60s", "num_traces": 100_000, "policies": policies, **more}


@pytest.fixture(scope="session")
def collector(otelcol: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Spans]]:
    """What the collector keeps with each list of a suite."""

    @cache
    def run(suite: str) -> list[Spans] | Exception:
        try:
            folder = tmp_path_factory.mktemp(suite)
            return keep(otelcol, folder, [settings(case) for case in cases_of(suite)], requests(suite))
        except (AssertionError, DidNotStart, OSError) as error:
            return error

    def answers(suite: str) -> list[Spans]:
        found = run(suite)
        if isinstance(found, Exception):
            raise found
        return found

    return answers


def cases_of(suite: str) -> list[Case]:
    return SUITES[suite] if suite in SUITES else MORE[suite]


def requests(suite: str) -> list[bytes]:
    return TEXTS if suite == "patterns" else REQUESTS


@cache
def spans(suite: str) -> Sequence[Any]:
    return read(requests(suite))


@pytest.mark.parametrize(
    ("suite", "number"),
    [
        pytest.param(suite, number, marks=[pytest.mark.nightly] if suite in MORE else [])
        for suite, cases in {**SUITES, **MORE}.items()
        for number in range(len(cases))
    ],
)
def test_same_traces_are_kept(collector: Callable[[str], list[Spans]], suite: str, number: int) -> None:
    case = cases_of(suite)[number]
    kept = {trace_id: len(ids) for trace_id, ids in collector(suite)[number].items()}
    simulated = decide(settings(case), spans(suite))
    differing = sorted(kept.items() ^ simulated.items())
    assert not differing, (
        f"{case}: collector {sorted(kept.items() - simulated.items())[:5]}, "
        f"simulator {sorted(simulated.items() - kept.items())[:5]} (trace id, spans kept)"
    )


@pytest.mark.parametrize("reader", [read_protobuf, read_plainly])
@pytest.mark.parametrize("suite", ["comparisons", "combined", "random"])
def test_every_encoding_is_decided_on_alike(
    collector: Callable[[str], list[Spans]], reader: Callable[[list[bytes]], Sequence[Any]], suite: str
) -> None:
    records = reader(requests(suite))
    for case, kept in zip(SUITES[suite], collector(suite), strict=True):
        assert decide(settings(case), records) == {trace_id: len(ids) for trace_id, ids in kept.items()}, case


def test_the_lists_are_not_all_alike(collector: Callable[[str], list[Spans]]) -> None:
    """Equal sets say something only where lists keep different ones: neither all nor none, and many of them."""
    kept = [frozenset(one) for suite in SUITES for one in collector(suite)]
    assert sum(0 < len(one) < ALL for one in kept) > len(kept) * 0.7
    assert len(set(kept)) > len(kept) * 0.4


def _odd() -> set[str]:
    """Traces with a status code that the protocol does not have."""
    return {
        span.trace_id
        for record in spans("simple")
        for batch in record.resource_spans
        for scope in batch.scope_spans
        for span in scope.spans
        if span.code not in (0, 1, 2)
    }


def test_what_the_linter_says_of_every_trace_is_so(collector: Callable[[str], list[Spans]]) -> None:
    """A policy that matches every trace keeps all, one that matches none keeps nothing, and so on."""
    claims, odd = 0, _odd()
    for suite in ("simple", "conditions", "combined", "random", "fixed", "surprising"):
        for case, found in zip(SUITES[suite], collector(suite), strict=True):
            policies, more = case
            kept = found.keys() - odd
            codes = {one.code for one in lint(settings(case), LintLoad())}
            if "everything-dropped" in codes or "nothing-sampled" in codes:
                claims += 1
                assert not kept, case
            if more or len(policies) != 1 or policies[0]["type"] == "drop":
                continue
            always = matches(read_policy(policies[0]))
            claims += always is not None
            assert always is not True or len(kept) == ALL - len(odd), case
            assert always is not False or not kept, case
    assert claims > 50


def test_conditions_of_one_result_have_it(collector: Callable[[str], list[Spans]]) -> None:
    """Those whose operands have fixed types."""
    for case, kept in zip(SUITES["fixed"], collector("fixed"), strict=True):
        [policy] = case[0]
        [text] = policy["ottl_condition"].get("span") or policy["ottl_condition"]["spanevent"]
        always = examine(text, "span" if "span" in policy["ottl_condition"] else "spanevent").always
        assert always is not None and len(kept) == (ALL if always else 0), text


INVERTED = lists.policy("string_attribute", key="mixed", values=["acme"], invert_match=True)


def test_one_span_with_the_value_keeps_an_inverted_policy_from_matching(
    collector: Callable[[str], list[Spans]],
) -> None:
    """docs/sampling-linter.md, invert-match: whatever the other spans have."""
    [number] = [k for k, (policies, _more) in enumerate(SUITES["simple"]) if policies == [INVERTED]]
    kept = collector("simple")[number]
    spans_of: dict[str, list[bool]] = {}
    for record in spans("simple"):
        for batch in record.resource_spans:
            resource = batch.resource is not None and batch.resource.get("mixed") == "acme"
            for scope in batch.scope_spans:
                for span in scope.spans:
                    spans_of.setdefault(span.trace_id, []).append(resource or span.get("mixed") == "acme")
    some = {trace_id for trace_id, found in spans_of.items() if any(found) and not all(found)}
    assert some and not some & kept.keys()
    assert kept.keys() == {trace_id for trace_id, found in spans_of.items() if not any(found)}


@pytest.mark.parametrize(
    ("why", "policies"), lists.refused(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_both_refuse(otelcol: str, tmp_path: Path, why: str, policies: list[lists.Policy]) -> None:
    assert refusal(otelcol, tmp_path, policies) is not None, why
    with pytest.raises(InvalidInput):
        decide({"policies": policies}, ())
