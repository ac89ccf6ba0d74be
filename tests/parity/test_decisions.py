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


@pytest.mark.parametrize(
    ("why", "policies"), lists.refused(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_both_refuse(otelcol: str, tmp_path: Path, why: str, policies: list[lists.Policy]) -> None:
    assert refusal(otelcol, tmp_path, policies) is not None, why
    with pytest.raises(InvalidInput):
        decide({"policies": policies}, ())
