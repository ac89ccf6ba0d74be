# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof and the replay where the store is not this platform's Tempo: Jaeger, a recording, or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, Message
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe, replay
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import PIPELINE_OPTIONS, connect
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.run import Probe, Proof
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger, begins
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import FakePipeline

pytestmark = pytest.mark.slow

RUN = "0123456789abcdef"
FIXTURE = Path(__file__).resolve().parents[4] / "fixtures/replay.jsonl"


class Recorded:
    """What the samplers of a FakePipeline have kept, as objects in a bucket that are written some seconds later."""

    def __init__(self, fake: FakePipeline, lag: float = 10.0) -> None:
        self.fake, self.lag = fake, lag
        self.lose = self.extra = ""
        self.begins: list[datetime] = []
        self.error: Exception | None = None

    def __call__(self, begin: datetime) -> Any:
        self.begins.append(begin)
        return SimpleNamespace(messages=self.messages)

    def messages(self) -> Iterator[Message]:
        if self.error:
            raise self.error
        self.fake.tick()
        ready = {one: spans for one, (at, spans) in self.fake.stored.items() if self.fake.clock.now >= at + self.lag}
        if self.extra and ready:
            dropped = next((one for one in self.fake.arrived if one not in self.fake.stored), "")
            ready[dropped] = self.fake.arrived[dropped][1]
        if not ready:
            raise NotFound("path s3://traces/recordings holds nothing")
        for number, spans in enumerate(ready.values(), 1):
            left = spans[1:] if self.lose and number == 1 else spans
            text = json.dumps(otlp.request({}, "x", left)).encode()
            yield Message(number, f"object {number}", text)


def settings(fake: FakePipeline, **more: Any) -> probe.ProbeSettings:
    return probe.ProbeSettings(fake.tail_sampling, fake.gateway, "/api/v1/orders", "/health", **more)


def prove(fake: FakePipeline, reader: Any, recording: Any = None, **more: Any) -> Proof:
    pipeline = Pipeline(fake, "tracing", Selectors(distributor="", ingester=""), fake.clock)  # type: ignore[arg-type]
    if recording:
        more["recordings"] = "s3://traces/recordings"
    return Probe(pipeline, reader, settings(fake, **more), RUN, 120.0, recording=recording).run()


def failed(proof: Proof) -> list[str]:
    return [check["name"] for check in proof.checks if not check["passed"]]


def jaeger(fake: FakePipeline) -> Jaeger:
    fake.jaeger_service = "jaeger"
    return Jaeger(fake, "local-backends")  # type: ignore[arg-type]


def test_the_proof_reads_back_from_jaeger() -> None:
    fake = FakePipeline()
    recording = Recorded(fake)
    proof = prove(fake, jaeger(fake), recording, search_name=Jaeger.search_name)
    assert failed(proof) == [] and proof.passed
    assert [check["name"] for check in proof.checks][-2:] == [
        "found by Jaeger search",
        "recorded objects in the bucket",
    ]
    assert proof.notes == ["TraceQL and blocks in the bucket are not proven: the store is Jaeger"]
    assert proof.first_trace_seconds is not None
    # From before the first span was sent on, by any clock.
    assert {begin.timestamp() for begin in recording.begins} == {fake.epoch - 120}


def test_a_broken_path_to_jaeger_is_named() -> None:
    fake = FakePipeline()
    fake.export_broken = True
    proof = prove(fake, jaeger(fake), search_name=Jaeger.search_name)
    assert "found by Jaeger search" in failed(proof)
    assert "their exporters sent 0 spans: the path sampler → store is broken" in proof.last_seen


def test_a_replay_reads_back_from_jaeger(tmp_path: Path) -> None:
    fake = FakePipeline()
    file = tmp_path / "traces.jsonl"
    documents = [document for one in probe.build(settings(fake), RUN, 10**18) for document in one.documents]
    file.write_text("\n".join(json.dumps(document) for document in documents) + "\n")
    recording = FileRecording(file)
    pipeline = Pipeline(fake, "tracing", Selectors(), fake.clock)  # type: ignore[arg-type]
    report = replay.Replay(
        pipeline, jaeger(fake), recording, replay.scan(recording), RUN, 5000, 2, 120.0, 10.0
    ).run(verify=True)  # fmt: skip
    assert report.passed is True and report.problems == []
    assert report.traces_found == report.traces_kept and report.error_traces["complete"] == 3


def test_without_a_store_the_proof_ends_at_the_counters() -> None:
    fake = FakePipeline()
    proof = prove(fake, None, reads_back=False)
    assert [check["name"] for check in proof.checks] == [
        "spans accepted by the gateways", "traces decided on by the samplers", "traces kept by the samplers",
    ]  # fmt: skip
    assert proof.passed and "store_reader is none" in proof.notes[0]
    assert proof.first_trace_seconds is None


def test_counters_that_say_otherwise_fail() -> None:
    fake = FakePipeline()
    expected = settings(fake)
    fake.dropped = set()
    fake.configure([{"name": "everything", "type": "always_sample"}])
    pipeline = Pipeline(fake, "tracing", Selectors(distributor="", ingester=""), fake.clock)  # type: ignore[arg-type]
    told = probe.ProbeSettings(expected.tail_sampling, fake.gateway, "/api/v1/orders", "/health", reads_back=False)
    assert failed(Probe(pipeline, None, told, RUN, 120.0).run()) == ["traces kept by the samplers"]
    # Other traffic counts too, so that more are kept proves nothing.
    fake = FakePipeline()
    fake.other_traffic = 1000
    proof = prove(fake, None, reads_back=False)
    assert proof.passed and "other traffic included" in proof.checks[-1]["observed"]


@pytest.mark.parametrize(
    ("defect", "told"),
    [({"lose": "a span"}, "kept traces"), ({"extra": "a trace"}, "unexpected: "), ({"lag": 1e6}, "holds nothing")],
)
def test_a_recording_that_is_not_what_was_kept_fails(defect: dict[str, Any], told: str) -> None:
    fake = FakePipeline()
    recording = Recorded(fake)
    vars(recording).update(defect)
    proof = prove(fake, None, recording, reads_back=False)
    assert failed(proof) == ["recorded objects in the bucket"]
    assert told in proof.checks[-1]["observed"]


def test_a_recording_that_may_not_be_read() -> None:
    fake = FakePipeline()
    recording = Recorded(fake)
    recording.error = PermissionDenied("no permission for s3:ListBucket")
    proof = prove(fake, None, recording, reads_back=False)
    assert proof.checks[-1]["observed"].endswith("no permission for s3:ListBucket.")
    assert len(recording.begins) == 1, "asking again is of no use"


def test_options_choose_the_reader() -> None:
    params = {name: option.get("default") for name, option in PIPELINE_OPTIONS.items()}
    kube: Any = SimpleNamespace()
    made, reader = connect(kube, params | {"store_reader": "jaeger", "store_namespace": "observability"})
    assert isinstance(reader, Jaeger) and reader.endpoint.namespace == "observability"
    assert (reader.endpoint.service, reader.endpoint.port) == ("jaeger", 16686)
    assert (made.selectors.distributor, made.selectors.ingester) == ("", "")
    assert connect(kube, params | {"store_reader": "none"})[1] is None
    central = connect(kube, params | {"store_service": "tempo", "store_port": 8080})[1]
    assert central is not None and vars(central)["endpoint"].service == "tempo"


def test_when_traces_of_jaeger_began() -> None:
    """A span without a start time, which stores may have, is no obstacle."""
    spans = [
        {"traceId": "1" * 32, "startTimeUnixNano": "9"},
        {"traceId": "1" * 32, "startTimeUnixNano": "7"},
        {"traceId": "2" * 32},
    ]
    assert begins({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) == {"1" * 32: 7, "2" * 32: 0}
