# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recording in the repository is what its script makes, and has what tests look for in it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.tests.data import make_shop

from tools import recordings


def test_the_file_is_what_the_script_makes() -> None:
    assert gzip.decompress(recordings.OURS.read_bytes()) == make_shop.content()
    assert recordings.OURS.stat().st_size < 200_000


def test_it_has_what_tail_sampling_is_for() -> None:
    text = make_shop.content().decode()
    traces = [json.loads(line)["resourceSpans"] for line in text.splitlines()]
    spans = [[s for r in trace for s in r["scopeSpans"][0]["spans"]] for trace in traces]
    ids = [{s["traceId"] for s in trace} for trace in spans]
    assert len(traces) == 600 == len(set().union(*ids)) and all(len(one) == 1 for one in ids)
    errors = [trace for trace in spans if any(s["status"] for s in trace)]
    inside = [trace for trace in errors if not trace[0]["status"]]
    assert 20 < len(errors) < 50 and 5 < len(inside) < len(errors) - 5
    seconds = [(int(trace[0]["endTimeUnixNano"]) - int(trace[0]["startTimeUnixNano"])) / 1e9 for trace in spans]
    assert 10 < sum(one > 1 for one in seconds) < 30
    rare = [trace for trace in spans if any("paymentservice" in s["name"] for s in trace)]
    assert 20 < len(rare) < 60
    assert 0 < sum("/admin/report" in trace[0]["name"] for trace in spans) < 10
    for kind in ("stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "Göteborg", '"events"'):
        assert kind in text


def test_the_recording_beside_the_checkout_is_used_besides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "NEZHA", tmp_path / "traces.jsonl.gz")
    assert recordings.at_hand() == {"shop": recordings.OURS}
    assert recordings.note() == "../shared/data is not at hand: on the recording of the repository alone"
    recordings.NEZHA.write_bytes(recordings.OURS.read_bytes())
    assert recordings.at_hand() == {"shop": recordings.OURS, "nezha": recordings.NEZHA}
    assert recordings.note() == "also on 600 recorded traces of ../shared/data"
