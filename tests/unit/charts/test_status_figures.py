# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the status page makes of the metrics of a real collector with the role's configuration."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.status import page
from ansible_collections.orion.tracing.plugins.module_utils.status.reading import StatusQuery, gather
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import Sampler, failed_request, program, until
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import NOW, FakePlatform

TRACES = [f"{number:032x}" for number in range(1, 11)]


@pytest.fixture
def sampler(tmp_path: Path) -> Iterator[Sampler]:
    """Its Tempo does not exist."""
    one = Sampler(program("ORION_OTELCOL", "otelcol"), tmp_path, {})
    one.start()
    yield one
    one.end()


def test_the_figures_of_a_real_sampler(sampler: Sampler) -> None:
    for trace_id in TRACES:
        sampler.send(failed_request(trace_id))
    until(lambda: sampler.value("exporter_queue_size") == len(TRACES), "the queue")
    platform = FakePlatform()
    with urllib.request.urlopen(f"http://127.0.0.1:{sampler.metrics}/metrics", timeout=5) as answer:
        platform.on("pods/http:sampler-0:8888/proxy/metrics", Response(200, {}, answer.read()))
    for name in ("sampler-1", "gw-0", "gw-1", "tempo-0"):
        platform.refuse(f"pods/http:{name}:")
    kube = platform.client()
    kube.host = "http://k8s.test"
    facts = gather(kube, StatusQuery("tracing"), {"host": kube.host})
    found = page.page(facts, page.StatusSettings({}, NOW))
    load = found["load"]
    assert load["kept_percentage"] == 100 and load["spans_per_trace"] == 1 and load["bytes_per_span"] > 50
    uptime = len(TRACES) / load["traces_per_second"]
    assert 1 < uptime < 120, "by the collector's own uptime"
    assert load["refused_spans"] == 0 and set(load["lost"].values()) == {0}
    [queue] = [one for one in found["queues"] if one["signal"] == "traces"]
    assert queue["size"] == len(TRACES) < queue["capacity"] and queue["pod"] == "sampler-0"
    [memory] = found["memory"]
    assert 20 * 2**20 < memory["bytes"] < memory["limit"] == 2**30
