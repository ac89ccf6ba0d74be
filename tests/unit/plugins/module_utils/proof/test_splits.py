# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traces in two parts, against a pipeline in memory whose samplers hand their traces over on demand.

Time is a number and requests are sent at once, so nothing here depends on how fast this machine is.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from concurrent.futures import Future
from random import Random
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import default_policies
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.proof import splits
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import keeps
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.probe import ProbeSettings
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import EPOCH, FakePipeline

ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
ROUTE = {"name": "route", "type": "string_attribute", "string_attribute": {"key": "http.route", "values": ["/pay"]}}
LIMIT = {
    "name": "some-errors",
    "type": "and",
    "and": {
        "and_sub_policy": [ERRORS, {"name": "few", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 1}}]
    },
}
ALL = {"name": "all", "type": "always_sample"}
SLOW = {"name": "slow", "type": "latency", "latency": {"threshold_ms": 1000}}
HEAD = Gateway.from_config({"probabilistic_sampler": {"mode": "proportional", "sampling_percentage": 10}})
RATE, WAIT = 100, 0.4


def settings(*policies: dict[str, Any], **more: Any) -> ProbeSettings:
    return ProbeSettings({"decision_wait": "400ms", "policies": list(policies)}, **more)


def maker(of: ProbeSettings) -> splits.TraceMaker:
    return splits.TraceMaker(of, "run-1", EPOCH * 10**9, Random(1))


@pytest.mark.parametrize(
    ("of", "case"),
    [
        (settings(*default_policies(10, 1000, ["/api/v1/orders"], ["/health"])), "error"),
        (settings(ROUTE, critical_route="/pay"), "critical"),
        (settings(SLOW), "slow"),
        # A tenth of the ids pass: only those are sent.
        (settings(ERRORS, gateway=HEAD), "error"),
    ],
)
def test_a_part_of_a_trace_is_not_kept(of: ProbeSettings, case: str) -> None:
    made = maker(of)
    assert (made.case, made.problem) == (case, "")
    kept = keeps(of.tail_sampling, of.gateway)
    for _number in range(20):
        one = made.make(EPOCH * 10**9)
        assert one is not None and of.gateway.passes(one.trace_id) and kept(one.trace_id, one.documents)
        assert [kept(one.trace_id, one.documents[:2]), kept(one.trace_id, one.documents[2:])].count(True) == 1


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        (settings(ALL, ERRORS), "the policies (all, errors) keep both parts of a trace, or none"),
        (settings(ROUTE), "the policies (route) keep both parts of a trace, or none"),
        (settings(LIMIT), "what the policies some-errors keep depends on other traces too"),
    ],
)
def test_some_policies_do_not_show_parts(of: ProbeSettings, problem: str) -> None:
    assert maker(of).problem == problem


class AtOnce:
    """A ThreadPoolExecutor that calls in the caller's thread."""

    def __init__(self, _threads: int) -> None:
        pass

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., None], *arguments: Any) -> Future[None]:
        future: Future[None] = Future()
        try:
            future.set_result(call(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(splits, "ROUTE_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(splits, "GATEWAYS_SECONDS", 0.3)


class Change:
    """Does something at some of the moments at which it is asked, and ends at one."""

    def __init__(self, end: int = 12, ends_as: str = splits.ENDED, **acts: Callable[[], object]) -> None:
        self.end, self.ends_as, self.asked, self.began = end, ends_as, 0, 0
        self.acts = {int(moment.removeprefix("at_")): act for moment, act in acts.items()}
        self.done: list[Any] = []

    def state(self) -> str:
        self.asked += 1
        if act := self.acts.get(self.asked):
            self.done.append(act())
        return self.ends_as if self.asked >= self.end else splits.CHANGING


def measure(
    fake: FakePipeline, change: Change, share: float = 1.0, timeout: float = 30.0, reader: type[Any] = Tempo
) -> splits.SplitReport | None:
    fake.search_lag = 0.2
    fake.configure([ERRORS, SLOW], decision_wait=WAIT)
    pipeline = Pipeline(fake, "tracing", Selectors(), fake.clock)  # type: ignore[arg-type]
    made = splits.TraceMaker(ProbeSettings(fake.tail_sampling), "run-1", fake.clock.time_ns())
    probe = splits.SplitProbe(pipeline, reader(fake, "tracing"), made, share, RATE, timeout)

    def began() -> None:
        assert fake.requests
        change.began += 1

    return probe.run(began, change.state)


@pytest.mark.parametrize("reader", [Tempo, Jaeger])
def test_without_a_change_every_trace_is_whole(reader: type[Any]) -> None:
    fake, change = FakePipeline(), Change()
    if reader is Jaeger:
        fake.query_service, fake.jaeger_service = "", "jaeger"
    report = measure(fake, change, reader=reader)
    assert report is not None and report.passed
    assert (report.split, report.missing, report.notes, change.began) == (0, 0, [], 1)
    # 11 moments, a tenth of a second apart.
    assert 100 <= report.traces <= 140 and report.traces == len(fake.stored)
    assert report.allowed == pytest.approx(report.per_second * WAIT, abs=1)
    assert {gateway for gateway, _document in fake.requests} == {"gw-0", "gw-1"}


def test_traces_in_progress_during_a_handover_are_counted_as_split() -> None:
    fake = FakePipeline()
    change = Change(at_5=fake.hand_over)
    report = measure(fake, change)
    assert report is not None and report.passed and report.missing == 0
    [moved] = change.done
    # Those whose second part was there already are whole.
    assert 5 <= report.split <= min(len(moved), report.allowed)
    assert set(report.examples) <= moved and len(report.examples) == 3
    assert f"{report.split} of {report.traces} traces" in splits.line(report)


def test_parts_that_are_sent_too_late_are_not_counted() -> None:
    fake = FakePipeline()

    def stall() -> None:
        """Nothing is sent until the samplers have decided on all that they have."""
        fake.clock.sleep(0.5)
        fake.tick()

    report = measure(fake, Change(at_5=stall))
    assert report is not None and (report.split, report.passed) == (0, True)
    assert report.traces == len(fake.stored)
    [note] = report.notes
    assert note.startswith("20 more traces are not counted: this machine, or the way to the gateways, was so slow that")


def test_parts_that_a_gateway_refused_at_first_count() -> None:
    fake = FakePipeline()
    ingest = fake.ingest

    def refuse(gateway: str, body: bytes, headers: dict[str, str]) -> Response:
        """The second part of a tick's traces, once. It is sent again half a second later, when all is decided."""
        if b"probe-fulfilment" not in gzip.decompress(body):
            return ingest(gateway, body, headers)
        fake.ingest = ingest  # type: ignore[method-assign]
        fake.clock.sleep(0.2)
        fake.tick()
        return Response(503, {}, b"full")

    def begin() -> None:
        fake.ingest = refuse  # type: ignore[method-assign]

    report = measure(fake, Change(at_5=begin))
    assert report is not None and (report.split, report.missing, report.retries) == (10, 10, 1)
    # Nothing else is sent meanwhile, which is not the gateways' doing.
    assert report.notes[0].startswith("20 more traces are not counted")


def test_parts_that_are_all_too_late() -> None:
    fake = FakePipeline()

    def slow() -> None:
        fake.clock.sleep(0.5)

    with pytest.raises(TimedOut, match=r"no trace was sent whole within the decision wait of 0.4 s, so how many"):
        measure(fake, Change(**{f"at_{number}": slow for number in range(1, 20)}))


def test_more_than_expected_does_not_pass() -> None:
    fake = FakePipeline()
    report = measure(fake, Change(at_5=fake.hand_over), share=0.01)
    assert report is not None and report.allowed == 1 < report.split and not report.passed
    assert splits.document(report)["passed"] is False


def test_traces_that_are_lost_count_too() -> None:
    fake = FakePipeline()
    fake.lose_service = "probe-fulfilment"  # where the error is
    report = measure(fake, Change())
    assert report is not None and report.split == report.missing == report.traces and not report.passed
    assert f"lack spans, {report.traces} of them missing completely" in splits.line(report)


def test_gateways_may_be_replaced_meanwhile() -> None:
    fake = FakePipeline()

    def replace() -> None:
        for number in range(2):
            fake.replace("gateway", f"gw-{number}", f"gw-{number}-new")

    report = measure(fake, Change(at_4=replace, end=16))
    assert report is not None and (report.split, report.passed) == (0, True)
    assert {"gw-0-new", "gw-1-new"} <= {gateway for gateway, _document in fake.requests}


def test_sending_goes_on_until_the_gateways_know_the_samplers() -> None:
    fake = FakePipeline()
    fake.backends = 1
    report = measure(fake, Change())
    assert report is not None and report.notes == ["2 samplers are ready, but the gateways know 1, 1 of them"]
    # 11 moments with 10 traces each until the end of the change.
    assert report.traces > 110


def test_a_quick_change_can_fail_too() -> None:
    fake = FakePipeline()
    fake.lose_service = "probe-fulfilment"
    report = measure(fake, Change(end=2), share=2.0)
    assert report is not None and report.traces == report.split > report.allowed
    assert report.allowed == pytest.approx(report.per_second * WAIT * 2, abs=1)


def test_a_change_that_failed_is_not_measured() -> None:
    fake = FakePipeline()
    assert measure(fake, Change(ends_as=splits.ABANDONED)) is None


def test_a_change_that_does_not_end() -> None:
    with pytest.raises(TimedOut, match="the change of the samplers did not end in 1 s"):
        measure(FakePipeline(), Change(end=10**6), timeout=1.0)


def test_a_store_that_does_not_answer() -> None:
    fake = FakePipeline()
    fake.search_answers = [Response(503, {}, b"no queriers")] * 1000
    with pytest.raises(TimedOut, match="Tempo gave no answer in 180 s, so how many .* is not known: .*no queriers"):
        measure(fake, Change())


def test_no_gateway() -> None:
    with pytest.raises(NotFound, match="no gateway pod"):
        measure(FakePipeline(gateways=0), Change())


def test_gateways_that_refuse_end_the_measurement() -> None:
    fake = FakePipeline()
    fake.answers = [Response(503, {}, b"full")] * 10**4
    with pytest.raises(TimedOut, match="the gateways did not accept spans within 180 s"):
        measure(fake, Change())
