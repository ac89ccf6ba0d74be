# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the proof expects of its traces is what the collector makes of them: head sampling, inserted attributes, tail
sampling, one process with the processors of gateway and sampler behind each other."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from lists import policy
from real import Collector, Processor, Spans
from shipped import chart_values

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/sampling/rare-paths.yml"
# What a gateway does to traces, of those of its processors that need no cluster.
GATEWAY = ("probabilistic_sampler", "resource", "attributes")
LISTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "the example": yaml.safe_load(EXAMPLE.read_text()),
    "half of the heads": {"collector_head_sampling_percentage": 50},
    "a seventh of the heads": {"collector_head_sampling_percentage": 100 / 7, "collector_sampling_percentage": 60},
    "inserted attributes": {
        "collector_tail_sampling_policies": [
            policy("string_attribute", "span", key="environment", values=["production"]),
        ],
        "collector_head_sampling_percentage": 90,
    },
    "inserted on resources": {
        "collector_tail_sampling_policies": [
            policy("string_attribute", "resource", key="k8s.cluster.name", values=["orion-prod"]),
            policy("trace_state", "head", key="ot", values=["th:8"]),
        ]
    },
    "tracestate of head sampling": {
        "collector_tail_sampling_policies": [policy("trace_state", "head", key="ot", values=["th:8"])],
        "collector_head_sampling_percentage": 50,
    },
    "everything": {"collector_tail_sampling_extra_policies": [policy("always_sample", "all")]},
    "ceilings": {"collector_max_total_spans_per_second": 9000, "collector_max_total_bytes_per_second": 30_000_000},
    "ceilings that are reached": {"collector_max_total_spans_per_second": 300},
    "a rate that is reached": {
        "collector_tail_sampling_policies": [policy("rate_limiting", "rate", spans_per_second=500)]
    },
}
RUN = "0123456789abcdef"


class Case:
    """A list of policies, the probe's traces for it, and what is expected of them."""

    def __init__(self, variables: dict[str, Any]) -> None:
        values = chart_values(**variables)
        processors = values["gateway"]["config"]["processors"]
        self.before = {name: processors[name] for name in GATEWAY if name in processors}
        # The collector decides at its end, after everything has arrived.
        self.sampling = {**values["sampler"]["config"]["processors"]["tail_sampling"], "decision_wait": "60s"}
        settings = probe.ProbeSettings(
            self.sampling, Gateway.from_config(self.before), critical_route="/api/v1/orders", dropped_route="/health"
        )
        self.traces = probe.build(settings, RUN, time.time_ns(), Random(1))
        self.expectation = probe.expected(settings, self.traces)


@pytest.fixture(scope="module")
def kept(otelcol: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Case, Spans]]:
    cases = {name: Case(variables) for name, variables in LISTS.items()}
    processors = [Processor(one.sampling, group, before=one.before) for group, one in enumerate(cases.values())]
    with Collector(otelcol, tmp_path_factory.mktemp("proof"), processors) as collector:
        for group, one in enumerate(cases.values()):
            for _gateway, document in probe.requests(one.traces):
                collector.send(json.dumps(document).encode(), group)
        found = collector.stop()
    return dict(zip(cases, zip(cases.values(), found, strict=True), strict=True))


@pytest.mark.parametrize("name", LISTS)
def test_the_collector_keeps_what_the_proof_expects(name: str, kept: dict[str, tuple[Case, Spans]]) -> None:
    case, found = kept[name]
    bounds = case.expectation.alone
    assert bounds.kept.keys() <= found.keys()
    assert found.keys() <= bounds.kept.keys() | bounds.possible.keys()
    assert bool(bounds.possible) == ("are reached" in name or "is reached" in name)
    spans = {one.trace_id: set(one.spans) for one in case.traces}
    assert all(ids == spans[trace_id] for trace_id, ids in found.items())
