# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The persistent queue as the role configures it, with the real collector: nothing that was kept is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import (
    Receiver,
    Sampler,
    failed_request,
    program,
    until,
)

TRACES = [f"{number:032x}" for number in range(1, 41)]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[tuple[Sampler, Receiver]]:
    tempo = Receiver()
    variables = {"collector_persistent_queue_enabled": True, "collector_tempo_endpoint": tempo.url}
    sampler = Sampler(program("ORION_OTELCOL", "otelcol"), tmp_path, variables)
    yield sampler, tempo
    sampler.end()
    tempo.end()


def test_kept_spans_survive_tempo_and_the_sampler_both_gone(platform: tuple[Sampler, Receiver]) -> None:
    """Tempo away, sampler killed and started anew, Tempo back: each span arrives, and once."""
    sampler, tempo = platform
    sampler.start()
    for trace_id in TRACES:
        sampler.send(failed_request(trace_id))
    until(lambda: sampler.value("exporter_queue_size") == len(TRACES), "the queue")
    sampler.kill()
    sampler.start()
    assert sampler.value("exporter_queue_size") == len(TRACES)
    tempo.start()
    until(lambda: sampler.value("exporter_queue_size") == 0, "the end of the queue")
    assert tempo.arrived(TRACES) == dict.fromkeys(TRACES, 1)
