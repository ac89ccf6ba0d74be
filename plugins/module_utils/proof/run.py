# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Runs a probe: sends its traces to the gateways, waits for the samplers' decisions, reads back what is there.

Nothing here waits for a fixed time: every wait is for a condition, with one deadline for the whole run.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline, rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import THREADS
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import Recording
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.applications import (
    CASE,
    ApplicationRequest,
    Applications,
    Sent,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import (
    COMPONENTS,
    SAMPLING_TIERS,
    Counters,
    Decisions,
    Increase,
    Pipeline,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.readback import ReadBack
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Settings as Sampling
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    MARGIN_SECONDS,
    NotNow,
    StoredTrace,
    StoreReader,
)

POLL_SECONDS = 0.5
# Gateways discover a new sampler within this time unless their resolver does not work.
ROUTE_TIMEOUT_SECONDS = 30.0
# Time for a flush even where the time limit has been used up.
FLUSH_SECONDS = 30.0
# The same where nothing can be flushed: twice upstream's consume_cycle_duration of a block-builder.
STORE_SECONDS = 600.0
# A block's times are those of its spans, rounded.
BLOCK_ROUNDING_SECONDS = 5.0
META = "meta.json"


class Bucket(Protocol):
    """What is needed of s3.client.Store."""

    def call(self, bucket: str, call: Call) -> dict[str, Any]: ...


@dataclass
class Proof:
    """The outcome of a run, with the keys of proof.json (docs/proof.md)."""

    run: str
    started: str
    seconds: float
    passed: bool
    first_trace_seconds: float | None
    checks: list[probe.Check]
    traces: dict[str, list[str]]
    gateways: list[str]
    sent: dict[str, int]
    kept_by_policy: dict[str, int]
    last_seen: str
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return {"schema_version": 1, **vars(self)}


@dataclass
class Evidence:
    """What a report shows beside a proof. traces: why it is shown, id, and the trace as the store has it. outcomes: as
    probe.outcomes. images: by component. store: its name, '' where none was read back from."""

    traces: list[tuple[str, str, otlp.Document]]
    outcomes: list[dict[str, Any]]
    images: dict[str, list[str]]
    store: str


class Probe:
    """One run. progress is called with a line of text for people now and then."""

    def __init__(
        self,
        pipeline: Pipeline,
        reader: StoreReader | None,
        settings: probe.ProbeSettings,
        run: str,
        timeout: float,
        bucket: Bucket | None = None,
        progress: Callable[[str], None] = lambda line: None,
        recording: Callable[[datetime], Recording] | None = None,
        applications: Sequence[ApplicationRequest] = (),
    ) -> None:
        """bucket: that of settings.bucket. recording: gives that of settings.recordings, from a time on. applications:
        those that requests are sent to, for which there has to be a reader."""
        self.pipeline, self.reader, self.settings, self.run_id = pipeline, reader, settings, run
        self.decision_wait = Sampling.from_config(settings.tail_sampling).decision_wait
        self.bucket, self.progress, self.recording = bucket, progress, recording
        self.clock: Clock = pipeline.clock
        self.deadline = Deadline(self.clock, timeout)
        self.seen = probe.Observation()
        self.applications: Applications | None = None
        if applications and reader is not None:
            self.applications = Applications(applications, reader, settings, self.decision_wait)
        self.notes: list[str] = []

    def run(self) -> Proof:
        """The proof. Raises TracingError only where nothing can be said (no gateway, no permission, no bucket), and
        where the policies keep no trace that could be read back."""
        started = self.clock.time_ns()
        gateways = self.pipeline.gateways(self.deadline)
        if len(gateways) == 1:
            self.notes.append("only one gateway replica: that spans of one trace meet again was not put to the test")
        if self.bucket is not None:
            self.store_time = self._store_time(self.bucket)
        self.counters = self._routes_are_known()
        sender = Sender(self.pipeline, gateways)
        self._build()
        self.progress(f"sending {len(self.traces)} traces to {len(gateways)} gateway pods")
        self._send(sender)
        # What went before must not use up the time for reading.
        self._until_decided()
        self.deadline = Deadline(self.clock, self.deadline.seconds)
        if self.back is not None:
            self._until_settled(self.back)
        if self.bucket is not None:
            self._until_flushed(self.bucket)
        if self.recording is not None:
            self._until_recorded(self.recording)
        since = self._since()
        if self.applications is not None:
            # Last, so that their traces are not among those that are counted.
            limit = Deadline(self.clock, self.deadline.seconds)
            self.applications.run(self.pipeline.kube, sender, self.run_id, limit, self.progress)
        return self._proof(started, since, sender)

    def evidence(self) -> Evidence:
        """After a run. Reads one trace of each case once more; one that the store cannot give now is left out."""
        found = [(one.application.name, one.trace_id, one.document) for one in self._sent_to_applications()]
        for case in self.settings.cases:
            # A kept trace that was read whole, or what there is of one.
            kept = sorted(
                self._kept(case), key=lambda one: (one not in self.seen.complete_at, one not in self.seen.read)
            )
            there = kept[0] if kept else next((one.trace_id for one in self.traces if self._there(one, case)), None)
            if self.reader is not None and there is not None:
                with contextlib.suppress(NotNow):
                    document = self.reader.document(there, self.start, self.end)
                    found.append((probe.SINGLE[case], there, document))
        return Evidence(
            traces=[one for one in found if one[2]],
            outcomes=probe.outcomes(self.settings, self.traces, self.expectation, self.seen),
            images=self.pipeline.images(),
            store=self.reader.name if self.reader is not None else "",
        )

    def _there(self, one: probe.ProbeTrace, case: str) -> bool:
        return one.case == case and one.trace_id in self.seen.read

    def _sent_to_applications(self) -> list[Sent]:
        return self.applications.sent if self.applications is not None else []

    def _since(self, components: Sequence[str] = COMPONENTS) -> Increase:
        """How far the counters went up since before the first span was sent."""
        since = self.counters.add(self.pipeline.figures(components))
        self.seen.alone = probe.is_alone(self.expectation, since)
        return since

    @property
    def _must(self) -> Mapping[str, tuple[str, ...]]:
        """Traces that must be kept, as far as is known now."""
        return (self.expectation.alone if self.seen.alone else self.expectation.shared).kept

    def _build(self) -> None:
        now = self.clock.time_ns()
        self.now = now / 1e9
        longest = int(1.5 * max(self.settings.thresholds, default=0) / 1000)
        self.start, self.end = int(self.now) - longest - MARGIN_SECONDS, int(self.now) + MARGIN_SECONDS
        self.traces = probe.build(self.settings, self.run_id, now)
        self.expectation = probe.expected(self.settings, self.traces)
        self.by_id = {one.trace_id: one for one in self.traces}
        self.spans = sum(len(one.spans) for one in self.traces)
        self.sent_at = Deadline(self.clock, 0.0)
        self.back: ReadBack | None = None
        if self.reader is not None:
            times = (self.start, self.end)
            self.back = ReadBack(self.reader, self.by_id, self.run_id, times, self.seen, self.sent_at, self.progress)

    def _routes_are_known(self) -> Counters:
        """Counters before anything is sent, as soon as every gateway knows of every ready sampler.

        A gateway that does not yet would route spans elsewhere than the others do.
        """
        ready = sum(self.pipeline.pods(self.pipeline.selectors.sampler).values())
        limit = Deadline(self.clock, min(ROUTE_TIMEOUT_SECONDS, self.deadline.left))
        while True:
            figures = self.pipeline.figures()
            if all(count == ready for count in figures.backends):
                return Counters(figures)
            if not limit.wait(POLL_SECONDS):
                counts = ", ".join(f"{count:.0f}" for count in figures.backends)
                self.notes.append(f"{ready} samplers are ready, but the gateways know {counts} of them")
                return Counters(figures)

    def _send(self, sender: Sender) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            running: list[Future[int]] = [
                pool.submit(sender.send, document, gateway, self.deadline)
                for gateway, document in probe.requests(self.traces)
            ]
            try:
                for future in running:
                    future.result()
            except TracingError:
                pool.shutdown(cancel_futures=True)
                raise

    def _read(self, trace_ids: Sequence[str]) -> None:
        if self.back is not None:
            self.back.read(trace_ids, self.deadline.left)

    def _lacking(self, kept: bool) -> list[str]:
        """Traces that are not complete yet: those that must be kept, or all others."""
        return [
            one.trace_id
            for one in self.traces
            if (one.trace_id in self._must) == kept and one.trace_id not in self.seen.complete_at
        ]

    def _until_decided(self) -> None:
        """Until there is a decision on every trace. The first trace that must be kept is read meanwhile."""
        last_sent = self.sent_at.elapsed
        arriving = self.expectation.arriving
        spans = sum(len(self.by_id[one].spans) for one in arriving)
        decisions = Decisions(len(arriving), spans, self.decision_wait)
        while True:
            if not self.seen.complete_at:
                self._read(self._lacking(kept=True)[:1])
            since = self._since(SAMPLING_TIERS)
            self.seen.decided = decisions.made(self.sent_at.elapsed - last_sent, since)
            if self.seen.decided:
                self.progress(f"all decisions made after {self.sent_at.elapsed:.1f} s")
                return
            if not self.deadline.wait(POLL_SECONDS):
                return

    def _until_settled(self, back: ReadBack) -> None:
        """Until what was kept is known for certain.

        That is when search finds as many traces as the samplers kept. Their count includes other traffic, so it can be
        too high, and a pod that ends takes its count with it; then it is when search finds all that must be there and
        nothing new comes, and each of the other traces is asked for by id. That costs the store a lot, so it is not
        done without need.
        """
        state, changed, next_full = (-1, -1, -1), 0.0, 0.0
        while True:
            since = self._since(SAMPLING_TIERS)
            self._read(self._lacking(kept=True))
            problem = back.search(self._must)
            whole, now = not self._lacking(kept=True), self.sent_at.elapsed
            searchable = self.seen.searched_at is not None
            kept = since.kept_traces
            counted = not since.interrupted.get("sampler") and bool(since.sampler)
            if whole and searchable and counted and len(self.seen.searched) == kept:
                self._read([one for one in self.seen.searched if one not in self.seen.complete_at])
                break
            if state != (seen := (len(self.seen.read), len(self.seen.complete_at), len(self.seen.searched))):
                state, changed = seen, now
            quiet = now - changed >= probe.SETTLE_SECONDS and (searchable or not whole)
            if (quiet and now >= next_full) or not self.deadline.left:
                next_full = now + 2 * probe.SETTLE_SECONDS
                self._read(self._lacking(kept=False))
                if quiet and (whole or (counted and len(self.seen.read) >= kept)):
                    break
            if not self.deadline.wait(POLL_SECONDS):
                if problem:
                    self.notes.append(problem)
                break
        self.seen.settled_at = self.sent_at.elapsed
        there = len(self.seen.read.keys() | self.seen.searched.keys())
        self.progress(f"{there} traces are in {back.reader.name}, {len(self.traces) - there} are not")

    def _until_flushed(self, bucket: Bucket) -> None:
        """Force a flush and look for a block that is newer than the run and reaches into its time."""
        counters = Counters(self.pipeline.figures(["tempo"]))
        limit = Deadline(self.clock, max(FLUSH_SECONDS, self.deadline.left))
        try:
            if pods := self.pipeline.flush(limit):
                self.progress(f"flushed {len(pods)} ingesters")
            else:
                limit = Deadline(self.clock, max(STORE_SECONDS, self.deadline.left))
                self.progress("Tempo stores blocks at intervals: waiting for the next one")
            while True:
                flushed = counters.add(self.pipeline.figures(["tempo"])).tempo
                # Listing a large bucket is costly, so only once a block was written (as far as ingesters count them).
                counted = text.has(flushed, "tempo_ingester_blocks_flushed")
                if not counted or text.total(flushed, "tempo_ingester_blocks_flushed"):
                    self.seen.block = self._new_block(bucket)
                if self.seen.block:
                    self.seen.block_at = self.sent_at.elapsed
                    return
                if not limit.wait(2 * POLL_SECONDS):
                    self.seen.block_problem = f"no block newer than the run after {limit.seconds:.0f} s"
                    return
        except TracingError as error:
            self.seen.block_problem = str(error)

    def _until_recorded(self, recording: Callable[[datetime], Recording]) -> None:
        """Until the recording has all that must be kept. The exporter writes it some seconds later, in batches."""
        limit = Deadline(self.clock, max(FLUSH_SECONDS, self.deadline.left))
        # Folders are named by the collector's clock.
        begin = datetime.fromtimestamp(self.now - MARGIN_SECONDS, UTC)
        while True:
            spans: dict[str, list[otlp.Span]] = {}
            try:
                for message in recording(begin).messages():
                    for span in otlp.spans(message.document()):
                        if span["traceId"] in self.by_id:
                            spans.setdefault(span["traceId"], []).append(span)
                self.seen.recorded_problem = ""
            except (NotFound, otlp.BrokenDocument) as error:
                self.seen.recorded_problem = str(error)
            except TracingError as error:
                self.seen.recorded_problem = str(error)
                return
            self.seen.recorded = {trace_id: StoredTrace.of(some) for trace_id, some in spans.items()}
            if self._whole_in_recording():
                self.seen.recorded_at = self.sent_at.elapsed
                self.progress(f"the recording has the kept traces after {self.sent_at.elapsed:.1f} s")
                return
            if not limit.wait(4 * POLL_SECONDS):
                return

    def _whole_in_recording(self) -> bool:
        bounds = self.expectation.alone if self.seen.alone else self.expectation.shared
        return len(probe.recorded_whole(self.traces, bounds, self.seen)) == len(bounds.kept)

    def _new_block(self, bucket: Bucket) -> probe.Block | None:
        prefix = {"Prefix": self.settings.prefix.strip("/") + "/"} if self.settings.prefix else {}
        token: dict[str, str] = {}
        while True:
            page = bucket.call(self.settings.bucket, Call("list_objects_v2", "s3:ListBucket", prefix | token))
            for item in page.get("Contents", ()):
                if item["Key"].endswith("/" + META) and item["LastModified"] >= self.store_time:
                    found = bucket.call(self.settings.bucket, Call("get_object", "s3:GetObject", {"Key": item["Key"]}))
                    meta = json.loads(found["Body"].read())
                    if datetime.fromisoformat(meta["endTime"]).timestamp() >= self.now - BLOCK_ROUNDING_SECONDS:
                        return probe.Block(meta["blockID"], int(meta.get("totalObjects", 0)), int(meta.get("size", 0)))
            if not page.get("IsTruncated"):
                return None
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _store_time(self, bucket: Bucket) -> datetime:
        """The store's own clock (whole seconds), which stamps its objects. Proves too that the bucket can be listed."""
        answer = bucket.call(self.settings.bucket, Call("list_objects_v2", "s3:ListBucket", {"MaxKeys": 1}))
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def _proof(self, started: int, increase: Increase, sender: Sender) -> Proof:
        self.seen.seconds = self.sent_at.elapsed
        arriving, bounds = len(self.expectation.arriving), self.expectation.alone
        self.seen.accepted_spans, self.seen.decided_traces, self.seen.kept_traces = (
            increase.accepted_spans, increase.decided_traces, increase.kept_traces,
        )  # fmt: skip
        checks = probe.evaluate(self.settings, self.traces, self.expectation, self.seen)
        whole = all(check["passed"] for check in checks)
        found = {case: self._kept(case) for case in self.settings.cases}
        if self.applications is not None:
            checks += self.applications.checks()
            found[CASE] = self.applications.traces
        if not self.seen.alone and bounds != self.expectation.shared:
            self.notes.append(
                f"the policies {', '.join(self.expectation.limiters)} limit what is kept in a second, and the samplers "
                f"had other traces too, so {len(bounds.kept) - len(self.expectation.shared.kept)} traces may be there "
                "or not"
            )
        if increase.interrupted:
            pods = ", ".join(pod for some in increase.interrupted.values() for pod in some)
            self.notes.append(f"{pods} ended, began anew or did not answer during the run, so counts are lower bounds")
        received, in_part = bool(self.seen.read), bool(self.seen.read.keys() - self.seen.complete_at.keys())
        if self.reader is None:
            self.notes.append(
                "no store was read back from (store_reader is none), so nothing is proven beyond the samplers' counters"
                + (" and the recording" if self.settings.recordings else "")
            )
        elif self.reader.unproven:
            self.notes.append(f"{self.reader.unproven} are not proven: the store is {self.reader.name}")
        elif not self.settings.bucket:
            self.notes.append("no bucket given, so whether blocks reach object storage was not checked")
        if sender.retries:
            self.notes.append(f"{sender.retries} requests were sent again; the last refusal: {sender.last_refusal}")
        return Proof(
            run=self.run_id,
            started=rfc3339(datetime.fromtimestamp(started // 10**9, UTC)),
            seconds=round((self.clock.time_ns() - started) / 1e9, 1),
            passed=all(check["passed"] for check in checks),
            first_trace_seconds=min((round(at, 2) for at in self.seen.complete_at.values()), default=None),
            checks=checks,
            traces={case: ids for case, ids in found.items() if ids},
            gateways=sender.gateways,
            sent={
                "traces": len(self.traces),
                "spans": self.spans,
                "requests": sender.requests,
                "retries": sender.retries,
            },
            kept_by_policy=increase.kept_by_policy,
            last_seen="" if whole else probe.last_seen(increase, self.spans, arriving, received, in_part),
            notes=self.notes,
        )

    def _kept(self, case: str) -> list[str]:
        return [one.trace_id for one in self.traces if one.case == case and one.trace_id in self._must]


def write_proof(path: str, text: str) -> None:
    """Write a file in one step, readable by all (it holds no secret)."""
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written", str(error), "Make its folder first.") from error
