# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof under load: sends a bounded stream through the installed platform while things happen to it.

usage: load.py KUBECONFIG --namespace tracing --store tempo --outage SECONDS --output FILE.json

Every step sends known traces, asks the simulator which of them the deployed policies keep, and compares with what is in
the store, trace by trace. Ends with a table; exits with 1 and the names of the bounds that did not hold. docs/load.md
says what each step shows.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import run_steps
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import from_document
from ansible_collections.orion.tracing.plugins.module_utils.otlp.sizes import traces_size
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import IDLE_MEMORY, sampler_memory
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.drain import Drain, label_steps
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import (
    Counters,
    Increase,
    Pipeline,
    Selectors,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Engine, Settings
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    MARGIN_SECONDS,
    Criteria,
    NotNow,
    StoreReader,
)
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo

sys.path.insert(0, str(Path(__file__).resolve().parent))
import traffic

TICK = 0.5
# A trace's four services send one tick after the other, so a trace is under way for this long.
SPREAD = TICK * (len(traffic.SERVICES) - 1)
STEADY_RATE, STEADY_SECONDS = 2000, 60
MOVING_RATE, MOVING_SECONDS = 1000, 40
OUTAGE_RATE = 400
PROBES, PROBE_SECONDS = 200, 40
HELD_RATE, HELD_ATTRIBUTES = 1500, 15
# Of the deployed policies, those that keep a trace for a single span of it.
SINGLE_SPAN_POLICIES = {"errors", "critical-operations"}
PATIENCE = 240.0
READ_CHUNK = 64
# Kept spans are searchable after some seconds; what is not there by then is counted as missing.
READ_SECONDS = 40.0
SLOW_MS = 1000
# Where local_backends installs Jaeger.
BACKENDS = "local-backends"


def say(line: str) -> None:
    print(line, flush=True)


@dataclass
class Sent:
    """What a step sent. ends: trace id → when its first service was sent, seconds. kept: those that are to be kept,
    and by which policies."""

    spans: int = 0
    requests: int = 0
    retries: int = 0
    ends: dict[str, float] = field(default_factory=dict)
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    policies: dict[str, int] = field(default_factory=dict)


@dataclass
class Row:
    """One bound: what was to hold, what was seen."""

    name: str
    wanted: str
    seen: str
    passed: bool


class Run:
    """The platform, the stream and the bounds."""

    def __init__(self, kube: Kube, namespace: str, store: str) -> None:
        self.kube, self.namespace, self.clock = kube, namespace, Clock()
        self.pipeline = Pipeline(kube, namespace, Selectors())
        # What is read from, and the Deployment that the outage takes away: (namespace, name, label selector).
        self.reader: StoreReader
        if store == "jaeger":
            self.reader = Jaeger(kube, BACKENDS)
            self.entrance = (BACKENDS, "jaeger", "app.kubernetes.io/name=jaeger")
        else:
            self.reader = Tempo(kube, namespace)
            self.entrance = (namespace, "tempo-distributor", self.pipeline.selectors.distributor)
        self.run = otlp.new_id(16)
        self.rows: list[Row] = []
        self.figures: dict[str, Any] = {"run": self.run}
        self.sampling = self._sampling()
        self.wait = duration_seconds(self.sampling["decision_wait"])

    def _sampling(self) -> dict[str, Any]:
        """The tail_sampling configuration that is deployed."""
        found = self.kube.get(f"/api/v1/namespaces/{self.namespace}/configmaps/otel-sampler")
        [document] = found["data"].values()
        return dict(yaml.safe_load(document)["processors"]["tail_sampling"])

    def bound(self, name: str, wanted: str, seen: str, passed: bool) -> None:
        self.rows.append(Row(name, wanted, seen, passed))
        say(f"  {'ok     ' if passed else 'FAILED '} {name}: {seen} (bound: {wanted})")

    def bound_lost(self, since: Increase) -> None:
        """Nothing was given up."""
        lost = {place: count for place, count in since.lost.items() if count}
        self.bound("lost", "nothing", str(lost or "nothing"), not lost)

    def bound_memory(self, name: str, planned: float, detail: str, measured: float) -> None:
        """As planned within 30 %; in bytes. detail: what it is planned for."""
        ratio = measured / planned
        self.bound(
            name,
            f"{planned / 2**20:.0f} MiB{detail} ± 30 %",
            f"{measured / 2**20:.0f} MiB ({ratio:.2f})",
            0.7 <= ratio <= 1.3,
        )

    # Sending

    def send(
        self,
        step: str,
        rate: int,
        seconds: float,
        when: Callable[[float], None] = lambda elapsed: None,
        attributes: int = 0,
    ) -> Sent:
        """rate spans per second for so many seconds; when: called at each tick with the seconds since the start."""
        load = traffic.Load(self.run, step, SLOW_MS, attributes)
        traces = max(1, round(rate * TICK / traffic.SPANS))
        engine = Engine(Settings.from_config(self.sampling))
        sent = Sent()
        sender = Sender(self.pipeline, self.pipeline.gateways(Deadline(self.clock, 60.0)))
        limit = Deadline(self.clock, PATIENCE + seconds)
        waiting: list[list[otlp.Document]] = []
        started, ticks = self.clock.monotonic(), math.ceil(seconds / TICK)
        with ThreadPoolExecutor(4) as pool:
            running = []
            for tick in range(ticks + len(traffic.SERVICES) - 1):
                ahead = started + tick * TICK - self.clock.monotonic()
                if ahead > 0:
                    self.clock.sleep(ahead)
                when(self.clock.monotonic() - started)
                if tick < ticks:
                    waiting.append(load.batch(tick, traces, self.clock.time_ns()))
                    self._predict(engine, waiting[-1], tick * TICK, sent)
                for service in range(len(traffic.SERVICES)):
                    if 0 <= tick - service < ticks:
                        document = waiting[tick - service][service]
                        running.append(pool.submit(sender.send, document, tick + service, limit))
                if tick >= len(traffic.SERVICES):
                    waiting[tick - len(traffic.SERVICES)] = []
            for future in running:
                future.result()
        self._decided(sent, engine.finish())
        sent.spans, sent.requests, sent.retries = sender.spans, sender.requests, sender.retries
        say(
            f"  sent {sent.spans:,} spans of {len(sent.ends):,} traces in {self.clock.monotonic() - started:.0f} s, "
            f"{sent.requests:,} requests, {sent.retries:,} of them again"
        )
        return sent

    def _predict(self, engine: Engine, documents: list[otlp.Document], arrival: float, sent: Sent) -> None:
        record = from_document(traffic.merged(documents))
        now = self.clock.monotonic()
        for one in otlp.spans(documents[0]):
            sent.ends.setdefault(one["traceId"], now)
        self._decided(sent, engine.feed(record, arrival))

    @staticmethod
    def _decided(sent: Sent, outcomes: Iterator[Any]) -> None:
        for outcome in outcomes:
            if outcome.kept:
                sent.kept[outcome.facts.trace_id] = tuple(outcome.policies)
                for policy in outcome.policies:
                    sent.policies[policy] = sent.policies.get(policy, 0) + 1

    def size(self, attributes: int = 0) -> float:
        """OTLP bytes of a span, resources included, as a sampler holds them: by trace."""
        [*documents] = traffic.Load(self.run, "size", SLOW_MS, attributes).batch(0, 1, self.clock.time_ns())
        return traces_size(from_document(traffic.merged(documents)).resource_spans) / traffic.SPANS

    # Looking

    def until(self, what: str, condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Whether the condition came true in time."""
        limit = Deadline(self.clock, seconds)
        while not condition():
            if not limit.wait(1.0):
                say(f"  {what}: not within {seconds:.0f} s")
                return False
        say(f"  {what}: after {limit.elapsed:.0f} s")
        return True

    def metrics(self, component: str) -> text.Samples:
        """The samples of all pods of a component, added up."""
        found: dict[str, text.Samples] = getattr(self.pipeline.figures([component]), component)
        return text.add(found.values())

    def drained(self) -> bool:
        """Whether nothing is undecided and no queue holds anything."""
        figures = self.pipeline.figures(["gateway", "sampler"])
        if figures.missing:
            return False
        samplers, gateways = text.add(figures.sampler.values()), text.add(figures.gateway.values())
        return not (
            text.total(samplers, "otelcol_processor_tail_sampling_sampling_traces_on_memory")
            or text.total(samplers, "otelcol_exporter_queue_size", data_type="traces")
            or text.total(gateways, "otelcol_exporter_queue_size")
        )

    def counters(self) -> Counters:
        """Of all pods, from now on."""
        return Counters(self.pipeline.figures())

    def settle(self, before: Counters, traces: int) -> Increase:
        """Wait until everything that was sent is decided and exported."""

        def decided() -> bool:
            return self.since(before).decided_traces >= traces and self.drained()

        self.until("everything is decided and exported", decided)
        return self.since(before)

    def since(self, before: Counters) -> Increase:
        """How far the counters went up by now."""
        return before.add(self.pipeline.figures())

    def read(self, sent: Sent, step: str, started: int) -> tuple[set[str], set[str]]:
        """Of the traces that are kept: those that are in the store with all spans, and those that lack some or all.

        Search finds the complete ones; those that it leaves in doubt are read by id.
        """
        criteria = Criteria(attributes={traffic.RUN: self.run, traffic.STEP: step})
        limit, found, complete = Deadline(self.clock, PATIENCE), dict[str, int](), set[str]()
        while True:
            end = int(time.time()) + MARGIN_SECONDS
            try:
                found |= self.reader.search(criteria, started, end, 2 * len(sent.ends), traffic.SERVICES[:1])
            except NotNow as error:
                say(f"  {self.reader.name} cannot answer yet: {error}")
            complete |= {one for one, count in found.items() if count == traffic.SPANS}
            doubtful = sorted((set(sent.kept) | set(found)) - complete)
            if len(found) >= len(sent.kept) or limit.elapsed > 15:
                for first in range(0, len(doubtful), READ_CHUNK):
                    chunk = doubtful[first : first + READ_CHUNK]
                    for one, trace in self.reader.traces(chunk, started, end, Deadline(self.clock, 60.0)).items():
                        found[one] = len(trace.spans)
                        if len(trace.spans) == traffic.SPANS:
                            complete.add(one)
            lacking = (set(sent.kept) | set(found)) - complete
            if not lacking or limit.elapsed > READ_SECONDS or not limit.wait(2.0):
                have = f"{len(found):,} traces, {len(complete):,} of them complete, {limit.elapsed:.0f} s"
                say(f"  {self.reader.name} has {have}")
                self.extra, self.found = set(found) - set(sent.kept), set(found)
                return complete, lacking

    # Acting

    def scale(self, kind: str, name: str, replicas: int, namespace: str = "") -> None:
        path = f"/apis/apps/v1/namespaces/{namespace or self.namespace}/{kind}/{name}/scale"
        self.kube.request(
            "PATCH", path, body={"spec": {"replicas": replicas}}, content_type="application/merge-patch+json"
        )

    def replicas(self, kind: str, name: str, namespace: str = "") -> tuple[int, int]:
        found = self.kube.get(f"/apis/apps/v1/namespaces/{namespace or self.namespace}/{kind}/{name}")
        return int(found["spec"]["replicas"]), int(found.get("status", {}).get("readyReplicas") or 0)

    def pod(self, name: str) -> tuple[str, bool]:
        """UID of a pod and whether it is ready."""
        found = self.kube.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}")
        uid = found["metadata"]["uid"] if found else ""
        return uid, self.pipeline.pods(self.pipeline.selectors.sampler).get(name, False)

    def delete_pod(self, name: str, before: Counters) -> Callable[[], bool]:
        """Gracefully. Gives a condition: whether another one of its name is ready and all gateways know it.

        before: gets what the pod has counted up to here.
        """
        uid, _ready = self.pod(name)
        before.add(self.pipeline.figures(["sampler"]))
        self.kube.request("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{name}")

        def replaced() -> bool:
            now, ready = self.pod(name)
            return ready and now != uid and self.known()

        return replaced

    def known(self) -> bool:
        """Whether every gateway lists all samplers that are wanted, and they are ready."""
        samplers, ready = self.replicas("statefulsets", "otel-sampler")
        backends = [
            text.total(one, "otelcol_loadbalancer_num_backends")
            for one in self.pipeline.figures(["gateway"]).gateway.values()
        ]
        return ready == samplers and backends == [samplers] * len(backends)

    def pods(self, namespace: str, selector: str) -> list[Any]:
        return self.kube.list(f"/api/v1/namespaces/{namespace}/pods", selector)

    def all_ready(self, kind: str, name: str, namespace: str = "") -> bool:
        wanted, ready = self.replicas(kind, name, namespace)
        return wanted == ready

    def bound_around(self, change: Change, sent: Sent, lacking: set[str], moved: float) -> None:
        """What a change of samplers may cost. moved: share of the traces that it gives another sampler, at most.

        A trace that is under way meanwhile is decided in parts. Every part of a trace that a policy keeps for its id or
        its duration is kept; a part without the one span that a policy looks for is not. docs/load.md
        """
        first, last = change.began - SPREAD - TICK, change.ended + SPREAD
        during = [one for one, began in sent.ends.items() if first <= began <= last]
        at_risk = [one for one in during if set(sent.kept.get(one, ())) & SINGLE_SPAN_POLICIES]
        allowed = math.ceil(moved * len(at_risk))
        elsewhere = lacking - set(at_risk)
        self.bound(
            "kept traces that lack spans",
            f"at most {allowed}: {moved:.0%} of those under way in {change.ended - change.began:.1f} s of change whose "
            "policy looks for one span",
            f"{len(lacking)} of {len(sent.kept):,}",
            len(lacking) <= allowed,
        )
        self.bound("those of other times or other policies", "0", str(len(elsewhere)), not elsewhere)

    @contextmanager
    def step(self, title: str) -> Iterator[int]:
        """Prints a title; gives the Unix second before it, from which the store is searched."""
        say(f"\n{title}")
        began = self.clock.monotonic()
        yield int(time.time()) - MARGIN_SECONDS
        say(f"  step took {self.clock.monotonic() - began:.0f} s")


class Watch:
    """Reads the samplers' memory while a step runs, as often as it can. By pod: highest resident memory, in bytes, and
    most undecided traces."""

    def __init__(self, run: Run) -> None:
        self.run, self.highest, self.traces = run, dict[str, float](), dict[str, float]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(1.0):
            for pod, samples in self.run.pipeline.figures(["sampler"]).sampler.items():
                for kept, name in (
                    (self.highest, "otelcol_process_memory_rss"),
                    (self.traces, "otelcol_processor_tail_sampling_sampling_traces_on_memory"),
                ):
                    kept[pod] = max(kept.get(pod, 0.0), text.total(samples, name))


class Change:
    """A change of samplers while spans are sent: begins when act is called, ends when its condition is true.

    act: does it and gives the condition. began, ended: seconds of the clock; ended is looked for in a thread.
    """

    def __init__(self, run: Run, after: float, act: Callable[[], Callable[[], bool]]) -> None:
        self.run, self.after, self.act = run, after, act
        self.began = self.ended = math.inf
        self._thread: threading.Thread | None = None

    def __call__(self, elapsed: float) -> None:
        """To be called at every tick, with the seconds since the first."""
        if elapsed >= self.after and not self._thread:
            self.began = self.run.clock.monotonic()
            self._thread = threading.Thread(target=self._look, args=(self.act(),))
            self._thread.start()

    def _look(self, condition: Callable[[], bool]) -> None:
        limit = Deadline(self.run.clock, PATIENCE)
        while limit.wait(0.2):
            if condition():
                self.ended = self.run.clock.monotonic()
                return

    def done(self) -> bool:
        """Waits for the end; whether it came."""
        if self._thread:
            self._thread.join()
        if self.ended < math.inf:
            say(f"  the change took {self.ended - self.began:.1f} s")
        return self.ended < math.inf


def steady(run: Run) -> None:
    """Nothing happens: no trace is split, what is kept is what the simulator says, nothing is lost."""
    with run.step(f"1. Steady load: {STEADY_RATE:,} spans/s for {STEADY_SECONDS} s") as started:
        before = run.counters()
        with Watch(run) as watch:
            sent = run.send("steady", STEADY_RATE, STEADY_SECONDS)
        since = run.settle(before, len(sent.ends))
        seconds = text.total(since.gateway, "otelcol_process_cpu_seconds") + text.total(
            since.sampler, "otelcol_process_cpu_seconds"
        )
        complete, lacking = run.read(sent, "steady", started)
        kept = set(sent.kept)
        run.bound(
            "the gateways accepted what was sent",
            f"{sent.spans:,} spans",
            f"{since.accepted_spans:,}",
            since.accepted_spans == sent.spans,
        )
        split = since.new_traces - len(sent.ends)
        run.bound("split traces", "0", str(split), split == 0)
        run.bound(
            f"kept in {run.reader.name}, complete, as simulated",
            f"the same {len(sent.kept):,} traces",
            f"{len(complete & kept):,} of them, {len(run.extra):,} others",
            complete == kept and not lacking and not run.extra,
        )
        run.bound(
            "kept by policy as simulated",
            str(dict(sorted(sent.policies.items()))),
            str(dict(sorted((k, v) for k, v in since.kept_by_policy.items() if v))),
            {k: v for k, v in since.kept_by_policy.items() if v} == sent.policies,
        )
        run.bound_lost(since)
        run.figures["steady"] = {
            "spans": sent.spans,
            "traces": len(sent.ends),
            "kept": len(sent.kept),
            "kept_by_policy": sent.policies,
            "cpu_seconds": round(seconds, 2),
            "spans_per_cpu_second": round(sent.spans / seconds),
            "bytes_per_span": round(run.size()),
            "sampler_rss": round(max(watch.highest.values())),
        }
        say(f"  gateways and samplers: {sent.spans / seconds:,.0f} spans per CPU-second")


def latency(run: Run) -> None:
    """From the moment a trace can be decided until it can be read, while others are sent."""
    with run.step(f"2. Export latency: {PROBES} error traces one by one under {MOVING_RATE:,} spans/s") as started:
        seconds: list[float] = []
        sender = Sender(run.pipeline, run.pipeline.gateways(Deadline(run.clock, 60.0)))
        load = traffic.Load(run.run, "latency", SLOW_MS)
        due: dict[str, float] = {}  # trace id → when it can be decided
        before = run.counters()
        sent, ended = 0, threading.Event()

        def look() -> None:
            while due or not ended.is_set():
                end, now = int(time.time()) + MARGIN_SECONDS, run.clock.monotonic()
                ready = sorted(one for one, moment in list(due.items()) if moment <= now)
                for one, trace in run.reader.traces(ready, started, end, Deadline(run.clock, 30.0)).items():
                    if len(trace.spans) == traffic.SPANS:
                        seconds.append(run.clock.monotonic() - due.pop(one))
                if ended.is_set() and run.clock.monotonic() - began > PATIENCE:
                    return
                time.sleep(0.05)

        def probe(elapsed: float) -> None:
            nonlocal sent
            while sent < min(PROBES, math.ceil(PROBES * elapsed / PROBE_SECONDS)):
                documents = load.batch(100 * sent, 1, run.clock.time_ns())  # the first of a hundred has an error
                sender.send(traffic.merged(documents), sent, Deadline(run.clock, 30.0))
                due[next(otlp.spans(documents[0]))["traceId"]] = run.clock.monotonic() + run.wait
                sent += 1

        began = run.clock.monotonic()
        looking = threading.Thread(target=look)
        looking.start()
        others = run.send("latency-others", MOVING_RATE, PROBE_SECONDS, probe)
        ended.set()
        looking.join()
        since = run.settle(before, len(others.ends) + sent)
        run.bound("error traces readable", f"{PROBES} of {PROBES}", f"{len(seconds)} of {sent}", len(seconds) == PROBES)
        run.bound_lost(since)
        if len(seconds) > 1:
            p99 = statistics.quantiles(seconds, n=100, method="inclusive")[98]
            run.figures["latency"] = {"p50": round(statistics.median(seconds), 2), "p99": round(p99, 2)}
            say(f"  readable after decision_wait: median {statistics.median(seconds):.2f} s, p99 {p99:.2f} s")


def scaled(run: Run) -> None:
    """One more sampler: a quarter of the traces under way moves, and nothing after that."""

    def grow(_before: Counters) -> Callable[[], bool]:
        run.scale("statefulsets", "otel-sampler", 4)
        return run.known

    other_number(run, "scaled", f"3. Samplers 3 → 4 under {MOVING_RATE:,} spans/s", grow)


def scaled_down(run: Run) -> None:
    """One sampler fewer, emptied first: a quarter of the traces under way moves, and nothing after that."""
    drain = Drain(run.pipeline, PATIENCE, lambda line: say(f"  {line}"))

    def shrink(before: Counters) -> Callable[[], bool]:
        run_steps(label_steps(drain.pods(), 3), drain.label)
        removed = False

        def gone() -> bool:
            nonlocal removed
            if not removed:
                drain.wait(3)
                before.add(run.pipeline.figures(["sampler"]))
                run.scale("statefulsets", "otel-sampler", 3)
                removed = True
            return run.known() and not run.pod("otel-sampler-3")[0]

        return gone

    other_number(run, "scaled_down", f"4. Samplers 4 → 3 under {MOVING_RATE:,} spans/s", shrink)


def other_number(run: Run, name: str, title: str, act: Callable[[Counters], Callable[[], bool]]) -> None:
    """act: changes the number of samplers between three and four, and gives a condition: whether it is changed."""
    with run.step(title) as started:
        before = run.counters()
        change = Change(run, MOVING_SECONDS / 3, lambda: act(before))
        sent = run.send(name, MOVING_RATE, MOVING_SECONDS, change)
        changed = change.done()
        since = run.settle(before, len(sent.ends))
        _complete, lacking = run.read(sent, name, started)
        under_way = MOVING_RATE / traffic.SPANS * run.wait
        split = since.new_traces - len(sent.ends)
        run.bound("the number of samplers is changed", "yes", str(changed), changed)
        run.bound("split traces", f"at most a quarter of {under_way:.0f}", str(split), 0 <= split <= under_way / 4)
        times = [sent.ends[one] for one in lacking]
        window = max(times) - min(times) if times else 0.0
        run.bound(
            "kept traces that lack spans were under way together",
            f"within one decision_wait, {run.wait:.0f} s",
            f"{len(lacking)} traces within {window:.1f} s",
            window <= run.wait,
        )
        run.bound_around(change, sent, lacking, 1 / 4)
        run.bound_lost(since)
        run.figures[name] = {
            "traces": len(sent.ends),
            "under_way": round(under_way),
            "split": split,
            "kept": len(sent.kept),
            "incomplete": len(lacking),
            "window_seconds": round(window, 1),
            "change_seconds": round(change.ended - change.began, 1),
        }


def restarted(run: Run) -> None:
    """A sampler goes and comes back: it decides at its end on what it has, the gateways give the rest to others."""
    with run.step(f"5. A sampler restarts under {MOVING_RATE:,} spans/s") as started:
        samplers, _ready = run.replicas("statefulsets", "otel-sampler")
        before = run.counters()
        change = Change(run, MOVING_SECONDS / 3, lambda: run.delete_pod("otel-sampler-1", before))
        sent = run.send("restarted", MOVING_RATE, MOVING_SECONDS, change)
        back = change.done()
        run.until("everything is decided and exported", run.drained)
        since = run.since(before)
        complete, lacking = run.read(sent, "restarted", started)
        run.bound("the sampler is back", "yes", str(back), back)
        # Its own share moves when it goes, and as much when it comes back: under another address, so of all.
        run.bound_around(change, sent, lacking, 2 / samplers)
        run.bound_lost(since)
        run.figures["restarted"] = {
            "traces": len(sent.ends),
            "kept": len(sent.kept),
            "incomplete": len(lacking),
            "missing": len(lacking - run.found),
            "complete": len(complete),
            "change_seconds": round(change.ended - change.began, 1),
        }


def outage(run: Run, seconds: float) -> None:
    """The store is away and a sampler restarts meanwhile: every kept trace is there afterwards, whole."""
    with run.step(f"6. {run.reader.name} away for {seconds:.0f} s under {OUTAGE_RATE:,} spans/s") as started:
        namespace, entrance, selector = run.entrance
        replicas, _ready = run.replicas("deployments", entrance, namespace)
        before = run.counters()
        run.scale("deployments", entrance, 0, namespace)
        run.until("none of it is left", lambda: not run.pods(namespace, selector))
        away = run.clock.monotonic()
        sent = run.send("outage", OUTAGE_RATE, seconds / 2)
        # Between the halves nothing is undecided, so what the restart shows is the queue on disk alone.
        run.until(
            "nothing is undecided",
            lambda: not text.total(run.metrics("sampler"), "otelcol_processor_tail_sampling_sampling_traces_on_memory"),
        )
        queued = text.total(run.metrics("sampler"), "otelcol_exporter_queue_size", data_type="traces")
        run.until("the restarted sampler is ready", run.delete_pod("otel-sampler-0", before))
        more = run.send("outage2", OUTAGE_RATE, max(1.0, seconds - (run.clock.monotonic() - away)))
        was_away = run.clock.monotonic() - away
        run.scale("deployments", entrance, replicas, namespace)
        run.until("it is back", lambda: run.all_ready("deployments", entrance, namespace))
        back = run.clock.monotonic()
        run.until("everything is exported", run.drained)
        caught_up = run.clock.monotonic() - back
        since = run.since(before)
        both = 0
        for part, name in ((sent, "outage"), (more, "outage2")):
            complete, lacking = run.read(part, name, started)
            both += len(lacking)
            run.bound(
                f"kept traces complete in {run.reader.name} ({'before' if name == 'outage' else 'after'} the restart)",
                f"{len(part.kept):,}",
                f"{len(complete & set(part.kept)):,}, {len(run.extra)} others",
                complete == set(part.kept) and not run.extra,
            )
        run.bound_lost(since)
        run.figures["outage"] = {
            "seconds": round(was_away),
            "kept": len(sent.kept) + len(more.kept),
            "queued_at_restart": queued,
            "incomplete": both,
            "caught_up_seconds": round(caught_up, 1),
        }


def exemplars(run: Run) -> None:
    """Exemplars of the RED metrics open traces."""
    with run.step("7. Exemplars"):
        found: dict[str, None] = {}

        def some() -> bool:
            now = int(time.time())
            for metric in ("traces_spanmetrics_sampled_latency_bucket", "traces_spanmetrics_latency_bucket"):
                answer = run.kube.proxy(
                    "services", "local-backends", "prometheus", 9090, "api/v1/query_exemplars",
                    query={"query": f'{metric}{{service=~"load-.*"}}', "start": now - 1800, "end": now + 60},
                )  # fmt: skip
                for series in answer.json()["data"]:
                    for one in series["exemplars"]:
                        labels = one["labels"]
                        found[labels.get("trace_id") or labels.get("traceID") or ""] = None
            return len(found) >= 50

        run.until("Prometheus returns 50 exemplars", some)
        ids = list(found)[:400]
        now = int(time.time())
        opened = run.reader.traces(ids, now - 3600, now + MARGIN_SECONDS, Deadline(run.clock, PATIENCE))
        share = len(opened) / len(ids) if ids else 0.0
        run.bound(
            "exemplars that open a trace",
            "at least 95 % of 50 or more",
            f"{len(opened)} of {len(ids)} ({100 * share:.1f} %)",
            len(ids) >= 50 and share >= 0.95,
        )
        run.figures["exemplars"] = {"returned": len(found), "asked": len(ids), "opened": len(opened)}


def memory(run: Run) -> None:
    """Spans that wait for their decision are most of what a sampler takes, and as much as planned."""
    seconds = run.wait + 15
    with run.step(f"8. Memory: {HELD_RATE:,} spans/s of {HELD_ATTRIBUTES} attributes held for {run.wait:.0f} s"):
        idle = {
            pod: text.total(samples, "otelcol_process_memory_rss")
            for pod, samples in run.pipeline.figures(["sampler"]).sampler.items()
        }
        size = run.size(HELD_ATTRIBUTES)
        with Watch(run) as watch:
            run.send("memory", HELD_RATE, seconds, attributes=HELD_ATTRIBUTES)
        run.figures["memory"] = {"bytes_per_span": round(size)}
        for pod, highest in sorted(watch.highest.items()):
            held = watch.traces[pod] * traffic.SPANS
            planned = sampler_memory(held, size).expected
            what = f" for {held:,.0f} spans of {size:.0f} bytes"
            run.bound_memory(f"memory of {pod} as planned", planned, what, highest)
            run.bound_memory("what the spans alone take of it", planned - IDLE_MEMORY, "", highest - idle[pod])
            run.figures["memory"][pod] = {
                "spans": round(held),
                "idle": round(idle[pod]),
                "highest": round(highest),
                "planned": planned,
            }


def main() -> int:
    parser = argparse.ArgumentParser(description="The proof under load.")
    parser.add_argument("kubeconfig")
    parser.add_argument("--namespace", default="tracing")
    parser.add_argument("--outage", type=float, default=300.0, help="seconds that the store is away")
    parser.add_argument("--store", choices=("tempo", "jaeger"), default="tempo", help="what traces are read from")
    parser.add_argument("--output", type=Path, help="figures as JSON")
    parser.add_argument("--steps", default="steady,latency,scaled,scaled_down,restarted,outage,exemplars")
    options = parser.parse_args()
    kube = Kube.connect({"kubeconfig": options.kubeconfig})
    run = Run(kube, options.namespace, options.store)
    steps: dict[str, Callable[[], None]] = {
        "steady": lambda: steady(run),
        "latency": lambda: latency(run),
        "scaled": lambda: scaled(run),
        "scaled_down": lambda: scaled_down(run),
        "restarted": lambda: restarted(run),
        "outage": lambda: outage(run, options.outage),
        "exemplars": lambda: exemplars(run),
        "memory": lambda: memory(run),
    }
    for name in options.steps.split(","):
        steps[name]()
    failed = [row for row in run.rows if not row.passed]
    say("")
    for row in run.rows:
        say(f"{'ok    ' if row.passed else 'FAILED'}  {row.name}: {row.seen}; bound: {row.wanted}")
    run.figures["failed"] = [row.name for row in failed]
    say("\n" + json.dumps(run.figures, indent=2))
    if options.output:
        options.output.write_text(json.dumps(run.figures, indent=2) + "\n")
    kube.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
