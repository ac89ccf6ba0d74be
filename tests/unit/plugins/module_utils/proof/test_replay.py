# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import default_policies
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, InvalidInput, TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording
from ansible_collections.orion.tracing.plugins.module_utils.proof import replay
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import (
    EPOCH,
    FakePipeline,
    reply,
)

# Recorded from the probe: 12 traces, a line per service.
FIXTURE = Path(__file__).parents[3] / "fixtures" / "probe.jsonl"


def run(fake: FakePipeline, path: Path = FIXTURE, verify: bool = True, **options: Any) -> replay.Report:
    recording = FileRecording(path)
    return replay.Replay(
        Pipeline(fake, "tracing", Selectors(), fake.clock),  # type: ignore[arg-type]
        Tempo(fake, "tracing"),  # type: ignore[arg-type]
        recording, replay.scan(recording), "fedcba9876543210", options.pop("rate", 5000), options.pop("concurrency", 2),
        options.pop("timeout", 120.0), 10.0, options.pop("lines", []).append, options.pop("new_trace_ids", False),
    ).run(verify)  # fmt: skip


def test_scan_counts_what_is_there(tmp_path: Path) -> None:
    facts = replay.scan(FileRecording(FIXTURE))
    assert (facts.lines, facts.spans, len(facts.traces), len(facts.errors), facts.broken) == (32, 62, 12, 2, [])
    assert {trace.spans for trace in facts.traces.values()} == {1, 6}
    packed = tmp_path / "probe.jsonl.gz"
    packed.write_bytes(gzip.compress(FIXTURE.read_bytes()))
    assert replay.scan(FileRecording(packed)) == facts


def broken_file(tmp_path: Path) -> Path:
    lines = FIXTURE.read_bytes().splitlines()
    lines[3] = b'{"resourceSpans": [{'
    lines.insert(10, b'{"resourceMetrics": []}')
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def test_broken_lines_are_named_and_nothing_is_sent(tmp_path: Path) -> None:
    recording = FileRecording(broken_file(tmp_path))
    facts = replay.scan(recording)
    assert [place for place, _reason in facts.broken] == ["line 4", "line 11"]
    with pytest.raises(
        InvalidInput, match="2 of 33 lines are broken, nothing was sent: line 4: not an OTLP trace document"
    ) as caught:
        replay.refuse_broken(recording, facts, "fail")
    assert [entry["place"] for entry in caught.value.details["broken_lines"]] == ["line 4", "line 11"]
    replay.refuse_broken(recording, facts, "skip")


def test_many_broken_lines_do_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"{x\n" * 1000)
    recording = FileRecording(path)
    facts = replay.scan(recording)
    assert (facts.broken_lines, len(facts.broken)) == (1000, replay.BROKEN_SHOWN)
    with pytest.raises(InvalidInput, match="holds no span"):
        replay.refuse_broken(recording, facts, "skip")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        replay.scan(FileRecording(tmp_path / "missing"))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(FIXTURE.read_bytes())[:500])
    with pytest.raises(InvalidInput, match="cannot be read: damaged gzip data"):
        replay.scan(FileRecording(tmp_path / "cut.gz"))


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(b.first, b.last, b.spans) for b in replay.batches(FileRecording(FIXTURE))] == [(1, 32, 62)]
    monkeypatch.setattr(replay, "BATCH_SPANS", 7)
    batches = list(replay.batches(FileRecording(FIXTURE)))
    assert all(batch.spans <= 7 for batch in batches) and sum(batch.spans for batch in batches) == 62
    assert [batch.first for batch in batches][1:] == [batch.last + 1 for batch in batches][:-1]
    monkeypatch.setattr(replay, "BATCH_BYTES", 10)
    assert [(b.first, b.last) for b in replay.batches(FileRecording(FIXTURE))] == [(n, n) for n in range(1, 33)]


def test_a_replay_is_sent_found_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH_SPANS", 7)
    fake = FakePipeline()
    fake.configure(default_policies(0, 1000, ["/api/v1/orders"], ["/health"]))
    report = run(fake)
    assert report.passed and report.problems == [] and report.notes == []
    assert (report.traces_sent, report.spans_sent, report.retries) == (12, 62, 0)
    assert report.kept_by_policy == {"critical-operations": 1, "errors": 2, "slow": 1}
    assert (report.traces_kept, report.traces_found, report.traces_incomplete) == (4, 4, 0)
    assert report.error_traces == {"sent": 2, "found": 2, "complete": 2, "unchecked": 0, "missing": []}
    assert set(report.lost.values()) == {0}
    assert {gateway for gateway, _document in fake.requests} == {"gw-0", "gw-1"}
    assert "4 traces, 0 of them incomplete" in report.table()


def test_traces_move_as_a_whole_and_end_when_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH_SPANS", 7)  # so that traces are spread over requests
    fake = FakePipeline()
    run(fake, verify=False, rate=10)

    def times(documents: list[otlp.Document]) -> dict[str, dict[str, tuple[int, int]]]:
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for document in documents:
            for span in otlp.spans(document):
                pair = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
                found.setdefault(span["traceId"], {})[span["spanId"]] = pair
        return found

    before = times([json.loads(line) for line in FIXTURE.read_text().splitlines()])
    after = times([document for _gateway, document in fake.requests])
    assert before.keys() == after.keys()
    for trace_id, spans in before.items():
        shifts = {after[trace_id][one][part] - spans[one][part] for one in spans for part in (0, 1)}
        assert len(shifts) == 1
        end = max(end for _start, end in after[trace_id].values())
        assert EPOCH * 10**9 <= end <= fake.clock.time_ns()


def test_the_rate_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH_SPANS", 7)
    lines: list[str] = []
    fake = FakePipeline()
    report = run(fake, verify=False, rate=5, concurrency=1, lines=lines)
    assert 55 / 5 <= fake.clock.now <= 62 / 5
    assert report.spans_per_second <= 62 / 11
    assert report.passed is None and report.traces_kept is None
    assert any("62 spans sent (" in line for line in lines)
    assert "result" not in report.table()


def test_refusals_for_the_moment_are_overcome() -> None:
    fake = FakePipeline()
    fake.answers = [Response(429, {"retry-after": "1"}, b""), reply({"message": "memory"}, 503)]
    report = run(fake)
    assert report.passed and report.retries == 2 and report.requests == 1
    assert (
        "2 requests were sent again; the last refusal: POST /v1/traces of gateway gw-1 answered 503" in report.notes[0]
    )


def test_refusals_that_do_not_end_name_the_lines() -> None:
    fake = FakePipeline()
    fake.answers = [Response(503, {}, b"memory")] * 1000
    with pytest.raises(TimedOut, match="lines 1 to 32 of .* were not accepted") as caught:
        run(fake, timeout=30.0)
    assert caught.value.details["spans_sent"] == 0
    assert fake.clock.now <= 31


def test_a_refusal_for_good_ends_the_replay() -> None:
    fake = FakePipeline()
    fake.answers = [reply({"message": "cannot unmarshal"}, 400)]
    with pytest.raises(ApiError, match="lines 1 to 32 .* answered 400: cannot unmarshal"):
        run(fake)


def test_rejected_spans_fail() -> None:
    fake = FakePipeline()
    fake.answers = [reply({"partialSuccess": {"rejectedSpans": "62", "errorMessage": "no"}})]
    report = run(fake, timeout=30.0)
    assert not report.passed
    assert report.lost["gateway_rejected_spans"] == 62
    assert "the gateways did not accept all spans" in report.problems
    assert "FAILED: error traces not found or not complete" in report.table()


def test_lost_parts_of_traces_fail() -> None:
    fake = FakePipeline()
    fake.lose_service = "probe-orders-api"
    report = run(fake, timeout=60.0)
    assert report.error_traces["complete"] == 0 and len(report.error_traces["missing"]) == 2
    assert report.traces_incomplete == report.traces_found > 0
    assert not report.passed


def test_a_broken_export_fails() -> None:
    fake = FakePipeline()
    fake.export_broken = True
    report = run(fake, timeout=60.0)
    assert report.error_traces["found"] == 0
    assert any("TraceQL search finds 0" in problem for problem in report.problems)


def test_counts_of_search_are_checked_by_id() -> None:
    fake = FakePipeline()
    query = fake.query

    def halves(path: str, options: dict[str, Any]) -> Response:
        answer = query(path, options)
        if path != "api/search":
            return answer
        document = answer.json()
        for trace in document["traces"]:
            trace["spanSets"] = [{"matched": 3}, {"matched": 3}]
        return reply(document)

    fake.query = halves  # type: ignore[method-assign]
    report = run(fake)
    assert report.passed and report.traces_incomplete == 0


def test_other_traffic_and_repeated_decisions_are_told() -> None:
    fake = FakePipeline()
    fake.other_traffic = 100
    report = run(fake)
    assert report.passed
    assert "include other traffic" in report.notes[0]

    fake = FakePipeline()
    metrics = fake.metrics
    prefix = "otelcol_processor_tail_sampling_early_releases_from_cache_decision"

    def repeated(pod: str) -> str:
        spans = len(fake.requests) * 62
        page = f'{prefix}{{sampled="true"}} {spans}\notelcol_receiver_accepted_spans {spans}\n'
        return page if pod == "sampler-0" else metrics(pod)

    fake.metrics = repeated  # type: ignore[method-assign]
    report = run(fake)
    assert report.passed and report.traces_kept == 0
    assert "had decided before on the traces of 62 spans" in report.notes[0]
    assert fake.clock.now < 70


def test_samplers_that_do_not_decide_in_time() -> None:
    fake = FakePipeline()
    fake.decision_wait = 500.0
    report = run(fake, timeout=15.0)
    assert report.notes[0] == "the samplers decided on 0 of 12 traces in 15 s"
    assert not report.passed


def test_search_that_cannot_answer_is_asked_again() -> None:
    fake = FakePipeline()
    fake.search_answers = [Response(500, {}, b"")] * 3
    assert run(fake).passed


def test_a_file_with_broken_lines_sends_the_others(tmp_path: Path) -> None:
    fake = FakePipeline()
    report = run(fake, broken_file(tmp_path))
    assert report.broken_lines == 2 and report.spans_sent == report.spans_in_file < 62
    assert "2 passed over" in report.table()


# ---- pods that end or begin anew meanwhile


def many(tmp_path: Path, count: int = 471) -> Path:
    """A recording of error traces, each of three spans in a line."""
    lines = []
    for number in range(1, count + 1):
        trace_id = f"{number:032x}"
        spans = [
            otlp.span(trace_id, f"{number:013x}{one:03x}", "", "work", "SERVER", 10**18, 10**18 + 10**6, {}, error)
            for one, error in ((1, "no"), (2, None), (3, None))
        ]
        lines.append(json.dumps(otlp.request({"service.name": "shop"}, "s", spans)))
    path = tmp_path / "errors.jsonl"
    path.write_text("\n".join(lines))
    return path


def during_sending(fake: FakePipeline, event: Callable[[], None], after: int) -> None:
    """event happens after so many requests."""
    ingest = fake.ingest

    def wrapped(*args: Any) -> Response:
        answer = ingest(*args)
        if len(fake.requests) == after:
            event()
        return answer

    fake.ingest = wrapped  # type: ignore[method-assign]


def test_pods_that_are_deleted_meanwhile_do_not_fail_a_replay_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "BATCH_SPANS", 30)
    fake = FakePipeline(gateways=3)

    def event() -> None:
        # What it decides now is in no answer of its own.
        fake.clock.sleep(3.0)
        fake.tick()
        fake.replace("gateway", "gw-1", "gw-9")
        fake.replace("sampler", "sampler-0", "sampler-9")

    during_sending(fake, event, 40)
    report = run(fake, many(tmp_path), timeout=60.0, rate=60)
    assert report.problems == [] and report.unchecked == [] and report.passed is True
    assert report.error_traces == {"sent": 471, "found": 471, "complete": 471, "unchecked": 0, "missing": []}
    assert report.interrupted == ["gw-1", "sampler-0"]
    assert report.traces_kept is not None and report.traces_kept < 471
    assert "gw-1, sampler-0 ended, began anew or did not answer meanwhile" in report.notes[-1]
    assert f"at least {report.traces_kept:,} traces" in report.table()


@pytest.mark.parametrize("told", [True, False])
def test_a_container_that_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    monkeypatch.setattr(replay, "BATCH_SPANS", 30)
    fake = FakePipeline()
    during_sending(fake, lambda: fake.restart("sampler-0", told), 40)
    report = run(fake, many(tmp_path), timeout=60.0, rate=60)
    # Where the pod's status does not tell yet, counters that fell do.
    assert report.passed is True and report.interrupted == ["sampler-0"]
    assert report.error_traces["complete"] == 471


def test_what_was_lost_with_a_pod_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH_SPANS", 30)
    fake = FakePipeline()

    def event() -> None:
        for trace_id in list(fake.arrived)[:5]:
            fake.overruled[trace_id] = False
        fake.replace("sampler", "sampler-0", "sampler-9")

    during_sending(fake, event, 40)
    report = run(fake, many(tmp_path), timeout=60.0)
    assert report.passed is False
    assert (report.error_traces["complete"], len(report.error_traces["missing"])) == (466, 5)
    assert report.problems == [f"error traces not found or not complete: {', '.join(report.error_traces['missing'])}"]


def test_reading_has_time_of_its_own() -> None:
    """The samplers' counters never show what was sent, so waiting for them takes all its time."""
    fake = FakePipeline()
    metrics = fake.metrics
    fake.metrics = lambda pod: "up 1\n" if pod == "sampler-0" else metrics(pod)  # type: ignore[method-assign]
    report = run(fake, timeout=50.0)
    assert "the samplers decided on 0 of 12 traces in 50 s" in report.notes
    assert report.error_traces["complete"] == 2 and report.passed is True


def test_what_was_not_checked_is_called_so() -> None:
    fake = FakePipeline()
    fake.query_answers = [Response(503, {}, b"no queriers")] * 10_000
    report = run(fake, timeout=40.0)
    assert report.problems == [] and report.passed is None
    assert report.error_traces == {"sent": 2, "found": 2, "complete": 0, "unchecked": 2, "missing": []}
    assert report.unchecked == ["whether 2 error traces are complete"]
    assert "2 sent, 2 found, 2 not checked for completeness" in report.table()
    assert "0 complete" not in report.table() and "FAILED" not in report.table()

    fake = FakePipeline()
    fake.search_answers = [Response(503, {}, b"no queriers")] * 10_000
    report = run(fake, timeout=40.0)
    assert report.problems == [] and report.passed is None and report.traces_found is None
    assert report.unchecked == ["which traces are there, since TraceQL search did not answer"]
    assert "2 sent, search not checked, 2 complete" in report.table()


# ---- the same file again


def test_the_same_file_again_is_refused_before_anything_is_sent() -> None:
    fake = FakePipeline()
    assert run(fake).passed
    sent = len(fake.requests)
    with pytest.raises(InvalidInput, match=r"Tempo has \d+ of the 12 traces of .* Set trace_ids to new") as caught:
        run(fake)
    assert "from an earlier replay" in str(caught.value)
    assert len(fake.requests) == sent
    # Without verification it is sent, and the samplers repeat their decisions.
    assert run(fake, verify=False).spans_sent == 62
    assert fake.repeated == 62


def test_the_same_file_again_with_new_trace_ids() -> None:
    fake = FakePipeline()
    for _turn in range(3):
        report = run(fake, new_trace_ids=True)
        assert report.passed and report.notes == []
        assert report.error_traces["complete"] == 2
        # The ids follow from the run, so another one is needed each time.
        fake.decided.clear(), fake.arrived.clear(), fake.parts.clear(), fake.stored.clear()
    first = run(FakePipeline(), new_trace_ids=True)
    assert first.traces_sent == 12


def test_new_trace_ids_keep_traces_and_links_together() -> None:
    link = {"traceId": "AB" * 16, "spanId": "1" * 16}
    documents = [
        otlp.request({}, "s", [otlp.span("ab" * 16, "1" * 16, "", "a", "SERVER", 1, 2, {})]),
        otlp.request({}, "s", [{**otlp.span("cd" * 16, "2" * 16, "", "b", "SERVER", 1, 2, {}), "links": [link]}]),
    ]
    for document in documents:
        otlp.rename_traces(document, lambda old: old[::-1])
    spans = [span for document in documents for span in otlp.spans(document)]
    assert [span["traceId"] for span in spans] == ["ba" * 16, "dc" * 16]
    assert spans[1]["links"][0]["traceId"] == "ba" * 16
