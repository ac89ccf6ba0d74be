# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recorded traces: collector and simulator keep the same, with the lists that people use.

Each test runs on the recording of the repository, and again on the one beside the checkout where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import modern_policies
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, read
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import facts
from lists import ERRORS, SLOW, and_, composite, drop, not_, ottl, policy
from real import Spans, keep
from shipped import tail_sampling
from simulated import decide_file

from tools import recordings

LINES_PER_REQUEST = 40

SEED = [
    policy("status_code", "errors", status_codes=["ERROR"]),
    policy("latency", "latency", threshold_ms=1000),
    policy("probabilistic", "probabilistic", sampling_percentage=10),
    policy("string_attribute", "orders", key="http.target", values=["/api/v1/orders", "/api/v1/trades"]),
]


LISTS = {
    "the seed": SEED,
    "the seed, modern": modern_policies(SEED)[0],
    "first match": [ERRORS, SLOW, policy("probabilistic", sampling_percentage=1)],
    "services": [
        policy(
            "string_attribute", key="service.name", values=["^ts-(order|travel)", "cart"], enabled_regex_matching=True
        ),
        ottl(
            "span.kind == SPAN_KIND_CLIENT and span.status.code != STATUS_CODE_OK "
            'and IsMatch(span.name, "(?i)^select ")'
        ),
    ],
    "excluding": [
        drop(policy("latency", threshold_ms=0, upper_threshold_ms=20), not_(ERRORS)),
        and_(SLOW, policy("span_count", min_spans=50, max_spans=100)),
        policy("probabilistic", sampling_percentage=3, hash_salt="x"),
    ],
    "a composite": [composite(ERRORS, and_(SLOW, not_(ERRORS)), policy("probabilistic", sampling_percentage=25))],
}
# Variables of the inventory; the ceiling is one that these traces cannot reach.
SHIPPED: dict[str, dict[str, Any]] = {
    "shipped": {},
    "shipped, other values": {
        "collector_sampling_percentage": 2.5,
        "collector_latency_threshold_ms": 500,
        "collector_critical_routes": [],
        "collector_dropped_routes": [],
    },
    "shipped, with a ceiling": {"collector_max_total_spans_per_second": 10**9},
}
EXAMPLE = Path(__file__).resolve().parents[2] / "examples/sampling/rare-paths.yml"
SHIPPED["the example"] = yaml.safe_load(EXAMPLE.read_text())
NAMES = [*LISTS, *SHIPPED]


def settings(name: str) -> dict[str, Any]:
    if name in SHIPPED:
        return {**tail_sampling(**SHIPPED[name]), "decision_wait": "60s", "num_traces": 100_000}
    found: dict[str, Any] = {"decision_wait": "60s", "num_traces": 100_000, "policies": LISTS[name]}
    return {**found, "sample_on_first_match": True} if name == "first match" else found


@dataclass(frozen=True)
class Figures:
    """Of a recording: what the seed's policies keep, and what the example promises to keep.

    slow: above the 99th percentile of duration (nearest rank), which is percentile ns. share: the most that the example
    keeps of the spans.
    """

    seed_traces: int
    seed_spans: int
    percentile: int
    slow: int
    errors: int
    edges: int
    share: float


FIGURES = {
    recordings.OURS: Figures(151, 634, 4_478_005_000, 6, 31, 6, 0.13),
    recordings.NEZHA: Figures(1020, 58_143, 3_794_093_046, 40, 503, 68, 0.13),
}


@pytest.fixture(scope="module")
def collector(otelcol: str, recorded_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Spans]:
    start, end = b'{"resourceSpans":[', b"]}"
    lines = [message.text.strip() for message in FileRecording(recorded_file).messages()]
    assert all(line.startswith(start) and line.endswith(end) for line in lines)
    parts = [line[len(start) : -len(end)] for line in lines]
    bodies = [
        start + b",".join(parts[at : at + LINES_PER_REQUEST]) + end for at in range(0, len(parts), LINES_PER_REQUEST)
    ]
    kept = keep(otelcol, tmp_path_factory.mktemp("recorded"), [settings(name) for name in NAMES], bodies)
    return dict(zip(NAMES, kept, strict=True))


@cache
def simulated(path: Path, name: str) -> dict[str, int]:
    return decide_file(settings(name), path)


@pytest.mark.parametrize("name", NAMES)
def test_same_traces_are_kept(collector: dict[str, Spans], recorded_file: Path, name: str) -> None:
    kept = {trace_id: len(ids) for trace_id, ids in collector[name].items()}
    found = simulated(recorded_file, name)
    differing = kept.items() ^ found.items()
    assert not differing, f"{len(differing)} differ, such as {sorted(differing)[:5]} (trace id, spans kept)"


def test_the_seed_keeps_what_was_measured(collector: dict[str, Spans], recorded_file: Path) -> None:
    kept, figures = collector["the seed"], FIGURES[recorded_file]
    assert (len(kept), sum(map(len, kept.values()))) == (figures.seed_traces, figures.seed_spans)


def test_the_example_keeps_what_it_promises(collector: dict[str, Spans], recorded_file: Path) -> None:
    """In the collector: every trace with an error or above the 99th percentile, and every edge of the service graph,
    within a share of the spans."""
    kept, figures = collector["the example"], FIGURES[recorded_file]
    # A line of either file is one trace.
    traces = [facts(_id(record), record.resource_spans, 0) for record in read(recorded_file)]
    slow = [one for one in traces if one.end - one.start > figures.percentile]
    errors = [one for one in traces if one.error]
    assert (len(slow), len(errors)) == (figures.slow, figures.errors)
    assert all(one.trace_id in kept for one in (*slow, *errors))
    edges = {edge for one in traces for edge in one.edges}
    kept_edges = {edge for one in traces if one.trace_id in kept for edge in one.edges}
    assert len(edges) == figures.edges and edges == kept_edges
    assert sum(map(len, kept.values())) <= figures.share * sum(one.spans for one in traces)


def _id(record: Record) -> str:
    return record.resource_spans[0].scope_spans[0].spans[0].trace_id
