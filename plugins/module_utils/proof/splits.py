# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How many traces are decided in parts while the samplers change, measured with traces of the proof's form.

Each trace is sent in two parts, half a decision wait apart, and is one that the policies keep as a whole, but of which
they drop one of the parts alone. A sampler that gets both parts keeps all spans; where the parts are decided apart, the
store has some of them. So what is read back shows how many were split. No counters are needed, which begin anew with
every restart. A trace of which a part was sent too late is not counted: the policies would have decided on what was
there in time, whatever the samplers did. One that gateways refused at first is counted, since that may come of the
change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import expect, keeps, limiters
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import (
    SAMPLING_TIERS,
    Counters,
    Decisions,
    Pipeline,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.probe import (
    IDS_NAMED,
    KEPT_CASES,
    MAX_ID_ATTEMPTS,
    RUN_ATTRIBUTE,
    SERVICES,
    SETTLE_SECONDS,
    ProbeSettings,
    ProbeTrace,
    is_complete,
    trace,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Settings as Sampling
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    MARGIN_SECONDS,
    Criteria,
    NotNow,
    StoredTrace,
    StoreReader,
)

# Documents of a trace that are sent first; the others follow.
FIRST_DOCUMENTS = 2
# Traces begin this many seconds apart at most, those of one moment in one request per service.
TICK_SECONDS = 0.5
SENDERS = 4
# Traces are sent for at least this many times as long as it takes to send as many as may be split. After a quicker
# change no number of split traces would be too many.
LEAST_TIMES = 1.5
# Gateways come and go: after this many seconds their pods are listed again.
GATEWAYS_SECONDS = 5.0
# How long gateways may take to know all samplers after the change, while sending goes on.
ROUTE_TIMEOUT_SECONDS = 30.0
READ_SECONDS = 180.0
READ_CHUNK = 64
POLL_SECONDS = 1.0

# States of the change, as the caller tells them.
CHANGING, ENDED, ABANDONED = "changing", "ended", "abandoned"


@dataclass
class SplitReport:
    """traces: sent. allowed: how many may be split. split: traces that were not read back whole; of these, missing are
    those of which nothing was there. examples: ids of some. per_second: traces that were sent in a second."""

    traces: int
    per_second: float
    seconds: float
    allowed: int
    split: int
    missing: int
    examples: list[str]
    retries: int
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.split <= self.allowed


@dataclass
class Begun:
    """Traces that begin at a tick. in_time: no sampler decides before it ends. documents: one per service."""

    tick: int
    in_time: Deadline
    ids: list[str]
    documents: list[otlp.Document]


class TraceMaker:
    """Makes traces whose parts are decided otherwise than the whole.

    problem: why there are none, '' if there are.
    """

    def __init__(self, settings: ProbeSettings, run: str, now: int, random: Random | None = None) -> None:
        self.settings, self.run, self.random = settings, run, random
        self._kept = keeps(settings.tail_sampling, settings.gateway)
        self.case = next((case for case in KEPT_CASES if case in settings.cases and self._certain(case, now)), "")

    @property
    def problem(self) -> str:
        if self.case:
            return ""
        policies = self.settings.tail_sampling.get("policies") or ()
        if limiting := limiters(policies):
            return f"what the policies {', '.join(limiting)} keep depends on other traces too"
        names = ", ".join(policy["name"] for policy in policies)
        return f"the policies ({names}) keep both parts of a trace, or none"

    def make(self, now: int, case: str = "") -> ProbeTrace | None:
        """A trace that ends at now (Unix nanoseconds); None if none is found."""
        for _number in range(MAX_ID_ATTEMPTS):
            one = trace(case or self.case, self.settings, self.run, now, self.random)
            parts = one.documents[:FIRST_DOCUMENTS], one.documents[FIRST_DOCUMENTS:]
            if (
                self.settings.gateway.passes(one.trace_id)
                and self._kept(one.trace_id, one.documents)
                and not all(self._kept(one.trace_id, part) for part in parts)
            ):
                return one
        return None

    def _certain(self, case: str, now: int) -> bool:
        """Whether a trace is kept whatever else the samplers have."""
        one = self.make(now, case)
        if one is None:
            return False
        documents = {one.trace_id: one.documents}
        return one.trace_id in expect(self.settings.tail_sampling, self.settings.gateway, documents).shared.kept


class SplitProbe:
    """One measurement. progress is called with a line of text for people now and then."""

    def __init__(
        self,
        pipeline: Pipeline,
        reader: StoreReader,
        maker: TraceMaker,
        share: float,
        traces_per_second: int,
        timeout: float,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        """share: of the traces in progress in a decision wait, those that may be split; may be above 1.
        timeout: seconds that the change may take."""
        self.pipeline, self.reader, self.maker, self.progress = pipeline, reader, maker, progress
        self.share, self.rate, self.timeout = share, traces_per_second, timeout
        self.clock: Clock = pipeline.clock
        self.decision_wait = Sampling.from_config(maker.settings.tail_sampling).decision_wait
        self.gap = self.decision_wait / 2
        self.tick = min(TICK_SECONDS, self.gap / 2)
        self.least = LEAST_TIMES * self.decision_wait * share
        self.sent: dict[str, ProbeTrace] = {}
        self.late: set[str] = set()
        self.notes: list[str] = []

    def run(self, began: Callable[[], None], state: Callable[[], str]) -> SplitReport | None:
        """Send until the change has ended, then read back. None where it was abandoned.

        began is called when the first traces were accepted. state: CHANGING, ENDED or ABANDONED. TimedOut for a change
        that takes longer than the timeout, parts that are all too late, or a store that does not answer.
        """
        start = self.clock.time_ns() // 10**9 - MARGIN_SECONDS
        sender = Sender(self.pipeline, self.pipeline.gateways(Deadline(self.clock, ROUTE_TIMEOUT_SECONDS)))
        counters = Counters(self.pipeline.figures(SAMPLING_TIERS))
        sending = Deadline(self.clock, self.timeout)
        if not self._send(sender, sending, began, state):
            return None
        seconds = max(sending.elapsed - self.gap, self.tick)
        spans = sum(len(one.spans) for one in self.sent.values())
        self.progress(f"{len(self.sent):,} traces sent in {seconds:.0f} s")
        decisions = Decisions(len(self.sent), spans, self.decision_wait)
        sent = Deadline(self.clock, READ_SECONDS + 2 * self.decision_wait)
        while not decisions.made(sent.elapsed, counters.add(self.pipeline.figures(SAMPLING_TIERS))):
            if not sent.wait(POLL_SECONDS):
                break
        self._leave_out_late()
        whole, there = self._read(start, self.clock.time_ns() // 10**9 + MARGIN_SECONDS)
        split = [one for one in self.sent if one not in whole]
        per_second = len(self.sent) / seconds
        return SplitReport(
            traces=len(self.sent),
            per_second=round(per_second, 2),
            seconds=round(seconds, 1),
            allowed=math.ceil(round(per_second * self.decision_wait * self.share, 6)),
            split=len(split),
            missing=sum(one not in there for one in split),
            examples=split[:IDS_NAMED],
            retries=sender.retries,
            notes=self.notes,
        )

    def _send(self, sender: Sender, limit: Deadline, began: Callable[[], None], state: Callable[[], str]) -> bool:
        """Whether the change came to its end."""
        later: deque[tuple[float, Begun]] = deque()
        running: list[Future[None]] = []
        listed, tick, more = 0.0, 0, True
        routes: Deadline | None = None
        with ThreadPoolExecutor(SENDERS) as pool:
            try:
                while True:
                    self.clock.sleep(max(0.0, tick * self.tick - limit.elapsed))
                    now = state()
                    if now == ABANDONED:
                        return False
                    if now == ENDED and routes is None:
                        routes = Deadline(self.clock, ROUTE_TIMEOUT_SECONDS)
                    if not limit.left and routes is None:
                        raise TimedOut(
                            f"the change of the samplers did not end in {limit.seconds:.0f} s",
                            "the traces that show how many are split were sent that long",
                            "Give it more time with collector_wait_timeout.",
                        )
                    if limit.elapsed >= listed + GATEWAYS_SECONDS:
                        listed = limit.elapsed
                        sender.use(self.pipeline.gateways(limit))
                    more = more and (routes is None or limit.elapsed < self.least or not self._routed(routes))
                    if more:
                        begun = self._begin(tick)
                        running += self._submit(pool, sender, begun, begun.documents[:FIRST_DOCUMENTS])
                        later.append((limit.elapsed + self.gap, begun))
                        if not tick:
                            _raise(running)
                            began()
                    while later and later[0][0] <= limit.elapsed:
                        _due, begun = later.popleft()
                        second = begun.documents[FIRST_DOCUMENTS:]
                        running += self._submit(pool, sender, begun, second, FIRST_DOCUMENTS)
                    running = _raise([future for future in running if future.done()], running)
                    if not more and not later:
                        _raise(running)
                        return True
                    tick += 1
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _begin(self, tick: int) -> Begun:
        now, found = self.clock.time_ns(), list[ProbeTrace]()
        due = round((tick + 1) * self.tick * self.rate) - round(tick * self.tick * self.rate)
        for _number in range(max(due, 1 if not tick else 0)):
            if (one := self.maker.make(now)) is not None:
                self.sent[one.trace_id] = one
                found.append(one)
        documents = [otlp.merge(same) for same in zip(*(one.documents for one in found), strict=True)]
        return Begun(tick, Deadline(self.clock, self.decision_wait), [one.trace_id for one in found], documents)

    def _submit(
        self,
        pool: ThreadPoolExecutor,
        sender: Sender,
        begun: Begun,
        documents: Sequence[otlp.Document],
        place: int = 0,
    ) -> list[Future[None]]:
        """To different gateways, as from applications."""
        limit = Deadline(self.clock, READ_SECONDS)

        def send(document: otlp.Document, gateway: int) -> None:
            sent_again = sender.send(document, gateway, limit)
            if not begun.in_time.left and not sent_again:
                self.late.update(begun.ids)

        return [pool.submit(send, document, begun.tick + number) for number, document in enumerate(documents, place)]

    def _leave_out_late(self) -> None:
        if len(self.late) == len(self.sent):
            raise TimedOut(
                f"no trace was sent whole within the decision wait of {self.decision_wait:g} s, so how many traces "
                "were decided in parts is not known",
                "this machine, or the way to the gateways, was too slow",
            )
        if self.late:
            self.notes.append(
                f"{len(self.late):,} more traces are not counted: this machine, or the way to the gateways, was so "
                "slow that a part was sent later than the decision wait after the first"
            )
        for one in self.late:
            del self.sent[one]

    def _routed(self, limit: Deadline) -> bool:
        """Whether every gateway knows the samplers that are ready now, or was given time for it."""
        ready = sum(self.pipeline.pods(self.pipeline.selectors.sampler).values())
        known = self.pipeline.figures(["gateway"]).backends
        if all(count == ready for count in known):
            return True
        if limit.left:
            return False
        counts = ", ".join(f"{count:.0f}" for count in known)
        self.notes.append(f"{ready} samplers are ready, but the gateways know {counts} of them")
        return True

    def _read(self, start: int, end: int) -> tuple[set[str], set[str]]:
        """Traces that are in the store with all their spans, and all of which something is there."""
        criteria = Criteria(attributes={RUN_ATTRIBUTE: self.maker.run})
        whole, there, answered, problem = set[str](), dict[str, int](), False, ""
        reading, quiet = Deadline(self.clock, READ_SECONDS), Deadline(self.clock, SETTLE_SECONDS)
        while True:
            before = sum(there.values())
            try:
                found = self.reader.search(criteria, start, end, 2 * len(self.sent), SERVICES)
                answered = True
            except NotNow as error:
                found, problem = {}, str(error)
            there |= {one: max(count, there.get(one, 0)) for one, count in found.items() if one in self.sent}
            whole |= {one for one, count in there.items() if count == len(self.sent[one].spans)}
            if lacking := sorted(self.sent.keys() - whole):
                ask = not quiet.left or not reading.left
                # Search may find a trace later, or with fewer spans.
                for one, stored in (self._by_id(lacking, start, end) if ask else {}).items():
                    there[one] = max(len(stored.spans), there.get(one, 0))
                    if is_complete(self.sent[one], stored):
                        whole.add(one)
                if sum(there.values()) != before:
                    quiet = Deadline(self.clock, SETTLE_SECONDS)
                elif ask and answered:
                    break
            if len(whole) == len(self.sent) or not reading.wait(POLL_SECONDS):
                break
        if not answered:
            raise TimedOut(
                f"{self.reader.name} gave no answer in {reading.seconds:.0f} s, so how many traces were decided in "
                "parts is not known",
                problem,
            )
        return whole, set(there)

    def _by_id(self, ids: Sequence[str], start: int, end: int) -> dict[str, StoredTrace]:
        found: dict[str, StoredTrace] = {}
        limit = Deadline(self.clock, READ_SECONDS)
        for first in range(0, len(ids), READ_CHUNK):
            found |= self.reader.traces(ids[first : first + READ_CHUNK], start, end, limit)
        return found


def line(report: SplitReport) -> str:
    """What was measured, as one sentence."""
    missing = f", {report.missing:,} of them missing completely" if report.missing else ""
    return (
        f"{report.split:,} of {report.traces:,} traces that were sent over {report.seconds:.0f} s lack spans{missing}; "
        f"at most {report.allowed:,} were expected to be decided in parts"
    )


def document(report: SplitReport) -> dict[str, Any]:
    return {**vars(report), "passed": report.passed}


def _raise(done: Sequence[Future[None]], running: Sequence[Future[None]] = ()) -> list[Future[None]]:
    """The first error of those that ended; the others of running."""
    for future in done:
        future.result()
    return [future for future in running if future not in done]
