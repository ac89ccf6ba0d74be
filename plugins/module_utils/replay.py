# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replays a recording through the gateways and says what became of it.

It is read twice, a message at a time: once to check it and to learn when each trace ends, once to send it. Memory
grows with the number of traces (about 300 bytes each), not with the number of spans. Objects of a bucket are fetched
twice, since a copy on disk would need room for the whole recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils import otlp
from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.pipeline import (
    Clock,
    Deadline,
    Decisions,
    Figures,
    Increase,
    Pipeline,
    Sender,
    increases,
)
from ansible_collections.orion.tracing.plugins.module_utils.recordings import Recording
from ansible_collections.orion.tracing.plugins.module_utils.store import (
    MARGIN_SECONDS,
    Criteria,
    NotNow,
    StoreReader,
)
from ansible_collections.orion.tracing.plugins.module_utils.text_table import align

RUN_ATTRIBUTE = "orion.replay.run"
# A request holds lines up to one of these sizes; a single one may be larger.
BATCH_SPANS, BATCH_BYTES = 2000, 1 << 20
BROKEN_SHOWN = 20
WHAT_TO_GIVE = "Give a file of OTLP/JSON lines or OTLP protobuf, plain or gzip, or s3://bucket/prefix."
READ_CHUNK = 64
PROGRESS_SECONDS = 5.0
# Spans become searchable in waves. This long without new ones, and no more come.
SEARCH_QUIET = 15.0
POLL = 1.0
# Reading what search leaves in doubt may take this long after everything else used up the time.
LAST_LOOK = 30.0


@dataclass(slots=True)
class TraceFacts:
    """start, end: Unix nanoseconds of all its spans. spans: their number. error: whether one has status ERROR."""

    start: int
    end: int = 0
    spans: int = 0
    error: bool = False


@dataclass
class FileFacts:
    """What is in a recording. lines: messages; broken: (their place, what is wrong), the first BROKEN_SHOWN of
    broken_lines."""

    lines: int = 0
    spans: int = 0
    broken_lines: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    traces: dict[str, TraceFacts] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)

    @property
    def longest(self) -> int:
        """Length of the longest trace in seconds, rounded up."""
        return max((facts.end - facts.start) // 10**9 + 1 for facts in self.traces.values())

    @property
    def errors(self) -> list[str]:
        """Ids of the traces with an ERROR span."""
        return [trace_id for trace_id, facts in self.traces.items() if facts.error]


def scan(recording: Recording) -> FileFacts:
    """Read a whole recording and check every message. TracingError if it cannot be read."""
    facts = FileFacts()
    try:
        for message in recording.messages():
            facts.lines += 1
            try:
                document = message.document()
            except otlp.BrokenDocument as error:
                facts.broken_lines += 1
                if len(facts.broken) < BROKEN_SHOWN:
                    facts.broken.append((message.place, str(error)))
                continue
            facts.services |= otlp.services(document)
            for span in otlp.spans(document):
                start = int(span["startTimeUnixNano"])
                trace = facts.traces.setdefault(span["traceId"].lower(), TraceFacts(start))
                trace.start = min(trace.start, start)
                trace.end = max(trace.end, int(span["endTimeUnixNano"]))
                trace.spans += 1
                trace.error = trace.error or otlp.is_error(span)
                facts.spans += 1
    except OSError as error:
        raise InvalidInput(f"path {recording.name} cannot be read", str(error), WHAT_TO_GIVE) from error
    return facts


def refuse_broken(recording: Recording, facts: FileFacts, on_broken_line: str) -> None:
    """InvalidInput for broken messages, naming them, or where there is no span at all; on_broken_line: fail or skip."""
    if facts.broken and on_broken_line == "fail":
        shown = "; ".join(f"{place}: {reason}" for place, reason in facts.broken[:3])
        unit = recording.unit
        raise InvalidInput(
            f"path {recording.name}: {facts.broken_lines} of {facts.lines} {unit} are broken, nothing was sent",
            shown,
            f"Repair them, or set on_broken_line to skip to send the other {unit}.",
            broken_lines=[{"place": place, "reason": reason} for place, reason in facts.broken],
        )
    if not facts.spans:
        raise InvalidInput(f"path {recording.name} holds no span", remedy=WHAT_TO_GIVE)


@dataclass
class Batch:
    """Messages first to last, by their numbers, as one document."""

    first: int
    last: int = 0
    spans: int = 0
    size: int = 0
    documents: list[otlp.Document] = field(default_factory=list)


def batches(recording: Recording) -> Iterator[Batch]:
    """The good messages in groups of at most BATCH_SPANS and BATCH_BYTES, larger only for a single message."""
    batch: Batch | None = None
    for message in recording.messages():
        try:
            document = message.document()
        except otlp.BrokenDocument:
            continue
        count = otlp.count_spans(document)
        size = len(message.text)
        if batch and (batch.spans + count > BATCH_SPANS or batch.size + size > BATCH_BYTES):
            yield batch
            batch = None
        batch = batch or Batch(message.number)
        batch.last, batch.spans, batch.size = message.number, batch.spans + count, batch.size + size
        batch.documents.append(document)
    if batch:
        yield batch


def span_ids(recording: Recording, wanted: set[str]) -> dict[str, set[str]]:
    """Ids of all spans of some traces in a recording."""
    found: dict[str, set[str]] = {trace_id: set() for trace_id in wanted}
    for batch in batches(recording):
        for document in batch.documents:
            for span in otlp.spans(document):
                if (trace_id := span["traceId"].lower()) in wanted:
                    found[trace_id].add(span["spanId"].lower())
    return found


@dataclass
class Report:
    """Figures of a replay. What only reading back can tell is None without it.

    refused_spans: refused by a gateway or sampler at first, which are sent again; lost: gone for good, by place.
    """

    run: str
    traces_in_file: int
    spans_in_file: int
    broken_lines: int
    traces_sent: int = 0
    spans_sent: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    spans_per_second: float = 0.0
    refused_spans: int | None = None
    lost: dict[str, int] = field(default_factory=dict)
    kept_by_policy: dict[str, int] = field(default_factory=dict)
    traces_kept: int | None = None
    traces_found: int | None = None
    traces_incomplete: int | None = None
    error_traces: dict[str, Any] = field(default_factory=dict)
    verify_seconds: float | None = None
    passed: bool | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        rows = [
            ["sent", f"{self.traces_sent:,} traces, {self.spans_sent:,} spans in {self.requests:,} requests"],
            ["rate", f"{self.spans_per_second:,.0f} spans/s over {self.seconds:.0f} s, {self.retries} sent again"],
        ]
        if self.broken_lines:
            rows.append(["broken lines", f"{self.broken_lines:,} passed over"])
        if self.passed is not None:
            errors = self.error_traces
            rows += [
                ["refused at first", f"{self.refused_spans:,} spans"],
                ["lost", ", ".join(f"{place} {n:,}" for place, n in self.lost.items() if n) or "none"],
                *([f"kept by {policy}", f"{count:,} traces"] for policy, count in self.kept_by_policy.items()),
                ["kept in all", f"{self.traces_kept:,} traces"],
                ["found in the store", f"{self.traces_found:,} traces, {self.traces_incomplete:,} of them incomplete"],
                [
                    "error traces",
                    f"{errors['sent']:,} sent, {errors['found']:,} found, {errors['complete']:,} complete",
                ],
                ["result", "passed" if self.passed else "FAILED: " + "; ".join(self.problems)],
            ]
        return align(rows, right=set())


class Replay:
    """One replay of a recording that was scanned. progress is called with a line of text for people now and then."""

    def __init__(
        self,
        pipeline: Pipeline,
        reader: StoreReader,
        recording: Recording,
        facts: FileFacts,
        run: str,
        spans_per_second: int,
        concurrency: int,
        timeout: float,
        decision_wait: float,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.pipeline, self.reader, self.recording, self.facts = pipeline, reader, recording, facts
        self.rate, self.concurrency, self.timeout, self.decision_wait = (
            spans_per_second, concurrency, timeout, decision_wait,
        )  # fmt: skip
        self.progress = progress
        self.clock: Clock = pipeline.clock
        self.report = Report(run, len(facts.traces), facts.spans, facts.broken_lines)
        self.expected: dict[str, set[str]] = {trace_id: set() for trace_id in facts.errors}
        self.shifts: dict[str, int] = {}

    def run(self, verify: bool) -> Report:
        """Send everything, then read back. A refusal that cannot be overcome raises TracingError."""
        gateways = self.pipeline.gateways(Deadline(self.clock, self.timeout))
        before = self.pipeline.figures() if verify else Figures()
        sender = Sender(self.pipeline, gateways)
        started = self.clock.time_ns() // 10**9
        self._send(sender)
        if verify:
            sent = Deadline(self.clock, self.timeout)
            self._verify(before, sent, started - self.facts.longest - MARGIN_SECONDS)
            self.report.verify_seconds = round(sent.elapsed, 1)
        return self.report

    def _offset(self, trace_id: str) -> int:
        """Nanoseconds that make a trace end when its first line is sent."""
        key = trace_id.lower()
        if key not in self.shifts:
            self.shifts[key] = self.clock.time_ns() - self.facts.traces[key].end
        return self.shifts[key]

    def _send(self, sender: Sender) -> None:
        report, total = self.report, self.facts.spans
        started = Deadline(self.clock, 0.0)
        read, shown = 0, 0.0
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(self.concurrency) as pool:
            for number, batch in enumerate(batches(self.recording)):
                # The bounds: spans per second since the start, and requests under way.
                if (ahead := read / self.rate - started.elapsed) > 0:
                    self.clock.sleep(ahead)
                while len(running) >= self.concurrency:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    _raise(done)
                document = self._prepare(batch)
                read += batch.spans
                running.add(pool.submit(self._send_one, sender, document, batch, number))
                if started.elapsed - shown >= PROGRESS_SECONDS:
                    shown = started.elapsed
                    self.progress(
                        f"{sender.spans:,} of {total:,} spans sent ({100 * sender.spans / total:.0f} %), "
                        f"{sender.spans / shown:,.0f} spans/s, {shown:.0f} s"
                    )
            _raise(wait(running).done)
        report.traces_sent, report.spans_sent = len(self.shifts), sender.spans
        report.requests, report.retries = sender.requests - sender.retries, sender.retries
        report.seconds = round(started.elapsed, 1)
        report.spans_per_second = round(sender.spans / max(started.elapsed, 1e-3), 1)
        if sender.rejected:
            report.lost["gateway_rejected_spans"] = sender.rejected
        if sender.retries:
            report.notes.append(f"{sender.retries} requests were sent again; the last refusal: {sender.last_refusal}")
        self.progress(f"{report.spans_sent:,} spans of {report.traces_sent:,} traces sent in {report.seconds:.0f} s")

    def _prepare(self, batch: Batch) -> otlp.Document:
        document = otlp.merge(batch.documents)
        for span in otlp.spans(document):
            if (wanted := self.expected.get(span["traceId"].lower())) is not None:
                wanted.add(span["spanId"].lower())
        otlp.shift(document, self._offset, {RUN_ATTRIBUTE: self.report.run})
        return document

    def _send_one(self, sender: Sender, document: otlp.Document, batch: Batch, number: int) -> None:
        try:
            sender.send(document, number, Deadline(self.clock, self.timeout))
        except TracingError as error:
            # Which of them, since what went before is in the pipeline already.
            source = self.recording
            what = f"{source.unit} {batch.first} to {batch.last} of {source.name} were not accepted: {error.what}"
            raise type(error)(what, error.why, error.remedy, **error.details, spans_sent=sender.spans) from error

    def _verify(self, before: Figures, sent: Deadline, start: int) -> None:
        self._until_decided(before, sent)
        end = self.clock.time_ns() // 10**9 + MARGIN_SECONDS
        complete = self._read_errors(sent, start, end)
        found = self._search(before, sent, start, end)
        incomplete = self._incomplete(found, sent, start, end)
        since = increases(before, self.pipeline.figures())
        report = self.report
        # Only search tells this replay's spans from those of an earlier one of the same file.
        missing = [trace_id for trace_id in self.expected if trace_id not in complete or trace_id not in found]
        report.error_traces = {
            "sent": len(self.expected),
            "found": sum(trace_id in found for trace_id in self.expected),
            "complete": len(self.expected) - len(missing),
            "missing": missing[:BROKEN_SHOWN],
        }
        report.refused_spans, report.kept_by_policy, report.traces_kept = (
            since.refused_spans, since.kept_by_policy, since.kept_traces,
        )  # fmt: skip
        report.traces_found, report.traces_incomplete = len(found), len(incomplete)
        report.lost |= since.lost
        alone = self._alone(since)
        if since.repeated_spans:
            report.notes.append(
                f"the samplers had decided before on the traces of {since.repeated_spans:,} spans and repeated their "
                "decisions, which the counts do not include"
            )
        elif not alone:
            report.notes.append(
                f"the samplers saw {since.new_traces:,} new traces while {report.traces_sent:,} were replayed, so the "
                "counts include other traffic"
            )
        self._problem(bool(missing), f"error traces not found or not complete: {', '.join(missing[:BROKEN_SHOWN])}")
        self._problem(bool(incomplete), f"traces not complete: {', '.join(sorted(incomplete)[:BROKEN_SHOWN])}")
        self._problem(any(report.lost.values()), "spans were lost")
        self._problem(report.spans_sent < report.spans_in_file, "the gateways did not accept all spans")
        self._problem(
            alone and len(found) != since.kept_traces,
            f"the samplers kept {since.kept_traces:,} traces, {self.reader.search_name} finds {len(found):,}",
        )
        report.passed = not report.problems

    def _alone(self, since: Increase) -> bool:
        """Whether the samplers' counters are about this replay and nothing else."""
        return since.new_traces == self.report.traces_sent and not since.repeated_spans

    def _problem(self, there: bool, text: str) -> None:
        if there:
            self.report.problems.append(text)

    def _until_decided(self, before: Figures, sent: Deadline) -> None:
        self.progress("waiting for the samplers' decisions")
        decisions = Decisions(self.report.traces_sent, self.report.spans_sent, self.decision_wait)
        while not decisions.made(sent.elapsed, since := increases(before, self.pipeline.figures(["sampler"]))):
            if not sent.wait(POLL):
                self.report.notes.append(
                    f"the samplers decided on {since.decided_traces:,} of {self.report.traces_sent:,} traces in "
                    f"{sent.seconds:.0f} s"
                )
                return
        self.progress(f"decisions made after {sent.elapsed:.0f} s")

    def _read_errors(self, sent: Deadline, start: int, end: int) -> set[str]:
        """Read every error trace by id until all are complete. Returns those that are."""
        complete: set[str] = set()
        shown = sent.elapsed
        while True:
            lacking = [trace_id for trace_id in self.expected if trace_id not in complete]
            for first in range(0, len(lacking), READ_CHUNK):
                chunk = lacking[first : first + READ_CHUNK]
                for trace_id, trace in self.reader.traces(chunk, start, end, sent).items():
                    if trace.spans.keys() == self.expected[trace_id]:
                        complete.add(trace_id)
                if sent.elapsed - shown >= PROGRESS_SECONDS or len(complete) == len(self.expected):
                    shown = sent.elapsed
                    self.progress(
                        f"{len(complete):,} of {len(self.expected):,} error traces are in {self.reader.name}, complete"
                    )
            if len(complete) == len(self.expected) or not sent.wait(POLL):
                return complete

    def _search(self, before: Figures, sent: Deadline, start: int, end: int) -> dict[str, int]:
        """All traces of this replay that search finds, with their numbers of spans.

        Ends as soon as they are as many as the samplers kept, if these counted nothing else; or when no more come.
        """
        criteria = Criteria(attributes={RUN_ATTRIBUTE: self.report.run})
        found: dict[str, int] = {}
        quiet = Deadline(self.clock, SEARCH_QUIET)
        while True:
            since = increases(before, self.pipeline.figures(["sampler"]))
            try:
                now = self.reader.search(criteria, start, end, 2 * len(self.facts.traces), self.facts.services)
            except NotNow:
                now = {}
            # Numbers of spans go up and down while ingesters move traces between blocks.
            best = found | {one: max(count, found.get(one, 0)) for one, count in now.items()}
            if len(best) != len(found):
                self.progress(f"{self.reader.search_name} finds {len(best):,} traces")
            if best != found:
                found, quiet = best, Deadline(self.clock, SEARCH_QUIET)
            counted = self._alone(since) and len(found) == since.kept_traces
            if counted or (sent.elapsed > self.reader.search_lag and not quiet.left) or not sent.wait(2 * POLL):
                return found

    def _incomplete(self, found: dict[str, int], sent: Deadline, start: int, end: int) -> list[str]:
        """Traces that lack a span. Search may count too few (a trace in two blocks), so doubts are settled by id."""
        doubtful = {
            trace_id
            for trace_id, count in found.items()
            if trace_id in self.facts.traces and count != self.facts.traces[trace_id].spans
        }
        if not doubtful:
            return []
        wanted = span_ids(self.recording, doubtful)
        limit = Deadline(self.clock, max(LAST_LOOK, sent.left))
        read = self.reader.traces(sorted(doubtful), start, end, limit)
        return [one for one in doubtful if one not in read or read[one].spans.keys() != wanted[one]]


def _raise(done: set[Future[None]]) -> None:
    for future in done:
        future.result()
