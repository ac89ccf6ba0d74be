# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Replays a recording through the gateways and says what became of it.

It is read twice, a message at a time: once to check it and to learn when each trace ends, once to send it. Memory
grows with the number of traces (about 300 bytes each), not with the number of spans. Objects of a bucket are fetched
twice, since a copy on disk would need room for the whole recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import PATH_REMEDY, Recording
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import (
    COMPONENTS,
    SAMPLING_TIERS,
    Counters,
    Decisions,
    Increase,
    Pipeline,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    MARGIN_SECONDS,
    Criteria,
    NotNow,
    StoredTrace,
    StoreReader,
)

RUN_ATTRIBUTE = "orion.replay.run"
# A request holds lines up to one of these sizes; a single one may be larger.
BATCH_SPANS, BATCH_BYTES = 2000, 1 << 20
BROKEN_SHOWN = 20
READ_CHUNK = 64
PROGRESS_SECONDS = 5.0
# Spans become searchable in waves; after this long without new ones no more will come.
SEARCH_SETTLE_SECONDS = 15.0
POLL_SECONDS = 1.0
# Time for each kind of reading back even where the time limit has been used up.
LAST_READ_SECONDS = 30.0
# Traces that the store is asked for before a replay, to see whether it has them already.
CHECKED_BEFORE_SENDING = 20


@dataclass(slots=True)
class RecordedTrace:
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
    traces: dict[str, RecordedTrace] = field(default_factory=dict)
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
                trace = facts.traces.setdefault(span["traceId"].lower(), RecordedTrace(start))
                trace.start = min(trace.start, start)
                trace.end = max(trace.end, int(span["endTimeUnixNano"]))
                trace.spans += 1
                trace.error = trace.error or otlp.is_error(span)
                facts.spans += 1
    except OSError as error:
        raise InvalidInput(f"path {recording.name} cannot be read", str(error), PATH_REMEDY) from error
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
        raise InvalidInput(f"path {recording.name} holds no span", remedy=PATH_REMEDY)


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
    interrupted: gateways, samplers and parts of the store that ended or began anew meanwhile, so that what is counted
    may be too little. unchecked: what there was no time or no answer for; passed is None where there is such, and no
    problem.
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
    unchecked: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        rows = [
            ["sent", f"{self.traces_sent:,} traces, {self.spans_sent:,} spans in {self.requests:,} requests"],
            ["rate", f"{self.spans_per_second:,.0f} spans/s over {self.seconds:.0f} s, {self.retries} sent again"],
        ]
        if self.broken_lines:
            rows.append(["broken lines", f"{self.broken_lines:,} passed over"])
        if self.error_traces:
            errors, least = self.error_traces, "at least " if self.interrupted else ""
            found = "not checked" if self.traces_found is None else f"{self.traces_found:,} traces"
            if self.traces_incomplete is not None:
                found += f", {self.traces_incomplete:,} of them incomplete"
            unchecked = errors["unchecked"]
            complete = [] if unchecked and not errors["complete"] else [f"{errors['complete']:,} complete"]
            rows += [
                ["refused at first", f"{least}{self.refused_spans:,} spans"],
                ["lost", ", ".join(f"{place} {n:,}" for place, n in self.lost.items() if n) or "none"],
                *([f"kept by {policy}", f"{least}{count:,} traces"] for policy, count in self.kept_by_policy.items()),
                ["kept in all", f"{least}{self.traces_kept:,} traces"],
                ["found in the store", found],
                [
                    "error traces",
                    ", ".join(
                        [
                            f"{errors['sent']:,} sent",
                            "search not checked" if errors["found"] is None else f"{errors['found']:,} found",
                            *complete,
                            *([f"{unchecked:,} not checked for completeness"] if unchecked else []),
                        ]
                    ),
                ],
                ["result", self._result()],
            ]
        return align(rows, right=set())

    def _result(self) -> str:
        if self.problems:
            return "FAILED: " + "; ".join(self.problems)
        return "not checked: " + "; ".join(self.unchecked) if self.unchecked else "passed"


class Replay:
    """One replay of a recording that was scanned. progress is called with a line of text for people now and then."""

    def __init__(
        self,
        pipeline: Pipeline,
        reader: StoreReader | None,
        recording: Recording,
        facts: FileFacts,
        run: str,
        spans_per_second: int,
        concurrency: int,
        timeout: float,
        decision_wait: float,
        progress: Callable[[str], None] = lambda line: None,
        new_trace_ids: bool = False,
    ) -> None:
        """new_trace_ids: whether the traces get ids of their own, which follow from run and the ids in the file."""
        self.pipeline, self.reader, self.recording, self.facts = pipeline, reader, recording, facts
        self.rate, self.concurrency, self.timeout, self.decision_wait = (
            spans_per_second, concurrency, timeout, decision_wait,
        )  # fmt: skip
        self.progress = progress
        self.clock: Clock = pipeline.clock
        self.report = Report(run, len(facts.traces), facts.spans, facts.broken_lines)
        self.new_trace_ids = new_trace_ids
        # From the ids that are sent to those in the file, where they differ.
        self.originals = {self._sent_id(trace_id): trace_id for trace_id in facts.traces} if new_trace_ids else {}
        self.expected: dict[str, set[str]] = {self._sent_id(trace_id): set() for trace_id in facts.errors}
        self.shifts: dict[str, int] = {}
        self.counters: Counters | None = None

    def run(self, verify: bool) -> Report:
        """Send everything, then read back. A refusal that cannot be overcome raises TracingError."""
        gateways = self.pipeline.gateways(Deadline(self.clock, self.timeout))
        if verify:
            if not self.new_trace_ids and self.reader is not None:
                self._refuse_again(self.reader)
            self.counters = Counters(self.pipeline.figures())
        sender = Sender(self.pipeline, gateways)
        started = self.clock.time_ns() // 10**9
        self._send(sender)
        if verify:
            sent = Deadline(self.clock, self.timeout)
            self._verify(self.counters or Counters(self.pipeline.figures()), sent, started)
            self.report.verify_seconds = round(sent.elapsed, 1)
        return self.report

    def _refuse_again(self, reader: StoreReader) -> None:
        """InvalidInput where the store has traces of these ids: from an earlier replay, or those that were recorded.

        A store takes a span of the same trace and id once. So whose spans it has could not be told, and of two copies
        it may drop the one that search looks for.
        """
        errors = self.facts.errors[:CHECKED_BEFORE_SENDING]
        others = [trace_id for trace_id in self.facts.traces if trace_id not in set(errors)]
        asked = [*errors, *others[: CHECKED_BEFORE_SENDING - len(errors)]]
        now = self.clock.time_ns() // 10**9
        there, _unknown = self._look(reader, asked, 1, now + MARGIN_SECONDS, Deadline(self.clock, LAST_READ_SECONDS))
        if there:
            raise InvalidInput(
                f"{reader.name} has {len(there)} of the {len(asked)} traces of {self.recording.name} that it was "
                f"asked for, {next(iter(there))} for one",
                "from an earlier replay, or from when they were recorded: whether this replay arrives whole could not "
                "be told from the spans that are there",
                "Set trace_ids to new (replay_trace_ids of the playbook), which gives the traces other ids, or verify "
                "to false.",
            )

    def _sent_id(self, trace_id: str) -> str:
        if not self.new_trace_ids:
            return trace_id
        return sha256(f"{self.report.run}{trace_id}".encode()).hexdigest()[: otlp.TRACE_ID_DIGITS]

    def _since(self, components: Sequence[str], counters: Counters) -> Increase:
        return counters.add(self.pipeline.figures(components))

    def _look(
        self, reader: StoreReader, ids: Sequence[str], start: int, end: int, limit: Deadline
    ) -> tuple[dict[str, StoredTrace], set[str]]:
        """Those of these traces that are there now, and ids that the store could not answer for within the limit."""

        def one(trace_id: str) -> StoredTrace | bool | None:
            if not limit.left:
                return False
            try:
                return reader.trace(trace_id, start, end)
            except NotNow:
                return False

        there: dict[str, StoredTrace] = {}
        unknown: set[str] = set()
        for trace_id, answer in zip(ids, in_threads(one, ids), strict=True):
            if isinstance(answer, StoredTrace):
                there[trace_id] = answer
            elif answer is False:
                unknown.add(trace_id)
        return there, unknown

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
                    if self.counters:
                        # What a pod has counted is known only as long as it is there.
                        self._since(COMPONENTS, self.counters)
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
        otlp.shift(document, self._offset, {RUN_ATTRIBUTE: self.report.run})
        if self.new_trace_ids:
            otlp.rename_traces(document, lambda old: self._sent_id(old) if old in self.facts.traces else old)
        for span in otlp.spans(document):
            if (wanted := self.expected.get(span["traceId"].lower())) is not None:
                wanted.add(span["spanId"].lower())
        return document

    def _send_one(self, sender: Sender, document: otlp.Document, batch: Batch, number: int) -> None:
        try:
            sender.send(document, number, Deadline(self.clock, self.timeout))
        except TracingError as error:
            # Which of them, since what went before is in the pipeline already.
            source = self.recording
            what = f"{source.unit} {batch.first} to {batch.last} of {source.name} were not accepted: {error.what}"
            raise type(error)(what, error.why, error.remedy, **error.details, spans_sent=sender.spans) from error

    def _verify(self, counters: Counters, sent: Deadline, started: int) -> None:
        self._until_decided(counters, sent)
        start = started - self.facts.longest - MARGIN_SECONDS
        end = self.clock.time_ns() // 10**9 + MARGIN_SECONDS
        # What went before must not use up the time for reading.
        reading = Deadline(self.clock, self.timeout)
        report, complete, unknown, found = self.report, set[str](), set[str](), None
        if self.reader is not None:
            complete, unknown = self._read_errors(self.reader, reading, start, end)
            found = self._search(self.reader, counters, sent, reading, start, end)
        since = self._since(COMPONENTS, counters)
        report.interrupted = [pod for pods in since.interrupted.values() for pod in pods]
        # Only search tells this replay's spans from those of an earlier one of the same file.
        missing = [
            one
            for one in self.expected
            if self.reader is not None
            and ((found is not None and one not in found) or (one not in complete and one not in unknown))
        ]
        report.error_traces = {
            "sent": len(self.expected),
            "found": None if found is None else sum(one in found for one in self.expected),
            "complete": len(complete.difference(missing)),
            "unchecked": len(unknown),
            "missing": missing[:BROKEN_SHOWN],
        }
        report.refused_spans, report.kept_by_policy, report.traces_kept = (
            since.refused_spans, since.kept_by_policy, since.kept_traces,
        )  # fmt: skip
        report.lost |= since.lost
        self._problem(bool(missing), f"error traces not found or not complete: {', '.join(missing[:BROKEN_SHOWN])}")
        if unknown:
            report.unchecked.append(f"whether {len(unknown):,} error traces are complete")
        if self.reader is None:
            report.notes.append("no store was read back from (store_reader is none): these are the components' counts")
        elif found is None:
            report.unchecked.append(f"which traces are there, since {self.reader.search_name} did not answer")
        else:
            incomplete, doubtful = self._incomplete(self.reader, found, reading, start, end)
            report.traces_found, report.traces_incomplete = len(found), None if doubtful else len(incomplete)
            if doubtful := doubtful - unknown:
                report.unchecked.append(f"whether {len(doubtful):,} other traces are complete")
            self._problem(bool(incomplete), f"traces not complete: {', '.join(sorted(incomplete)[:BROKEN_SHOWN])}")
            self._problem(
                self._alone(since) and len(found) != since.kept_traces,
                f"the samplers kept {since.kept_traces:,} traces, {self.reader.search_name} finds {len(found):,}",
            )
        self._tell_counts(since)
        self._problem(any(report.lost.values()), "spans were lost")
        self._problem(report.spans_sent < report.spans_in_file, "the gateways did not accept all spans")
        report.passed = False if report.problems else None if report.unchecked else True

    def _tell_counts(self, since: Increase) -> None:
        """What the counts are worth."""
        report = self.report
        if report.interrupted:
            report.notes.append(
                f"{', '.join(report.interrupted)} ended, began anew or did not answer meanwhile, so the counts are "
                "lower bounds"
            )
        if since.repeated_spans:
            report.notes.append(
                f"the samplers had decided before on the traces of {since.repeated_spans:,} spans and repeated their "
                "decisions, which the counts do not include"
            )
        elif not self._alone(since) and not since.interrupted.get("sampler"):
            report.notes.append(
                f"the samplers saw {since.new_traces:,} new traces while {report.traces_sent:,} were replayed, so the "
                "counts include other traffic"
            )

    def _alone(self, since: Increase) -> bool:
        """Whether the samplers' counters are about this replay, about all of it and about nothing else."""
        whole = not since.interrupted.get("sampler")
        return whole and since.new_traces == self.report.traces_sent and not since.repeated_spans

    def _problem(self, there: bool, text: str) -> None:
        if there:
            self.report.problems.append(text)

    def _until_decided(self, counters: Counters, sent: Deadline) -> None:
        self.progress("waiting for the samplers' decisions")
        decisions = Decisions(self.report.traces_sent, self.report.spans_sent, self.decision_wait)
        while not decisions.made(sent.elapsed, since := self._since(SAMPLING_TIERS, counters)):
            if not sent.wait(POLL_SECONDS):
                self.report.notes.append(
                    f"the samplers decided on {since.decided_traces:,} of {self.report.traces_sent:,} traces in "
                    f"{sent.seconds:.0f} s"
                )
                return
        self.progress(f"decisions made after {sent.elapsed:.0f} s")

    def _read_errors(self, reader: StoreReader, reading: Deadline, start: int, end: int) -> tuple[set[str], set[str]]:
        """Read every error trace by id until all are complete. Returns those that are, and those that the store did not
        answer for."""
        complete: set[str] = set()
        answered: set[str] = set()
        unknown: set[str] = set()
        shown = reading.elapsed
        while True:
            lacking = [trace_id for trace_id in self.expected if trace_id not in complete]
            for first in range(0, len(lacking), READ_CHUNK):
                chunk = lacking[first : first + READ_CHUNK]
                there, silent = self._look(reader, chunk, start, end, reading)
                complete.update(one for one, trace in there.items() if trace.spans.keys() == self.expected[one])
                answered |= set(chunk) - silent
                # An answer from before stands where there was no time to ask again.
                unknown = (unknown - answered) | (silent if reading.left else silent - answered)
                if reading.elapsed - shown >= PROGRESS_SECONDS or len(complete) == len(self.expected):
                    shown = reading.elapsed
                    self.progress(
                        f"{len(complete):,} of {len(self.expected):,} error traces are in {reader.name}, complete"
                    )
            if len(complete) == len(self.expected) or not reading.wait(POLL_SECONDS):
                return complete, unknown

    def _search(
        self, reader: StoreReader, counters: Counters, sent: Deadline, reading: Deadline, start: int, end: int
    ) -> dict[str, int] | None:
        """All traces of this replay that search finds, with their numbers of spans; None where it never answered.

        Ends as soon as they are as many as the samplers kept, if these counted nothing else; or when no more come.
        """
        criteria = Criteria(attributes={RUN_ATTRIBUTE: self.report.run})
        found: dict[str, int] | None = None
        quiet = Deadline(self.clock, SEARCH_SETTLE_SECONDS)
        limit = Deadline(self.clock, max(LAST_READ_SECONDS, reading.left))
        while True:
            since = self._since(SAMPLING_TIERS, counters)
            try:
                now = reader.search(criteria, start, end, 2 * len(self.facts.traces), self.facts.services)
            except NotNow:
                now = None
            if now is not None:
                # Numbers of spans go up and down while ingesters move traces between blocks.
                before = found or {}
                best = before | {one: max(count, before.get(one, 0)) for one, count in now.items()}
                if len(best) != len(before):
                    self.progress(f"{reader.search_name} finds {len(best):,} traces")
                if best != found:
                    found, quiet = best, Deadline(self.clock, SEARCH_SETTLE_SECONDS)
            if found is not None and self._alone(since) and len(found) == since.kept_traces:
                return found
            settled = found is not None and sent.elapsed > reader.search_lag and not quiet.left
            if settled or not limit.wait(2 * POLL_SECONDS):
                return found

    def _incomplete(
        self, reader: StoreReader, found: dict[str, int], reading: Deadline, start: int, end: int
    ) -> tuple[list[str], set[str]]:
        """Traces that lack a span, and those for which that could not be told. Search may count too few (a trace in two
        blocks), so doubts are settled by id."""
        originals = {one: self.originals.get(one, one) for one in found}
        doubtful = {
            one: original
            for one, original in originals.items()
            if original in self.facts.traces and found[one] != self.facts.traces[original].spans
        }
        if not doubtful:
            return [], set()
        wanted = span_ids(self.recording, set(doubtful.values()))
        limit = Deadline(self.clock, max(LAST_READ_SECONDS, reading.left))
        there, unknown = self._look(reader, sorted(doubtful), start, end, limit)
        incomplete = [
            one
            for one, original in doubtful.items()
            if one not in unknown and (one not in there or there[one].spans.keys() != wanted[original])
        ]
        return incomplete, unknown


def _raise(done: set[Future[None]]) -> None:
    for future in done:
        future.result()
