# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    InvalidInput,
    NotFound,
    TimedOut,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import PIPELINE_OPTIONS, connect, seconds
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import (
    Counters,
    Decisions,
    Figures,
    Increase,
    Pipeline,
    Process,
    Selectors,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria, NotNow
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo, traceql
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import (
    FakeClock,
    FakePipeline,
    reply,
    status,
)

DOCUMENT = otlp.request({}, "s", [otlp.span("1" * 32, "2" * 16, "", "n", "SERVER", 1, 2, {})])


def pipe(fake: FakePipeline) -> Pipeline:
    return Pipeline(fake, "tracing", Selectors(), fake.clock)  # type: ignore[arg-type]


def test_real_time_passes() -> None:
    clock = Clock()
    first = clock.monotonic()
    clock.sleep(0.001)
    assert clock.monotonic() > first
    assert abs(clock.time_ns() - time.time_ns()) < 5e9


def test_a_deadline_bounds_every_wait() -> None:
    deadline = Deadline(FakeClock(), 1.0)
    assert [deadline.wait(0.4) for _turn in range(4)] == [True, True, True, False]
    assert deadline.elapsed == 1.0 and deadline.left == 0.0


def test_pods_that_are_deleted_do_not_count() -> None:
    items = [
        {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        {"metadata": {"name": "a"}, "status": {}},
        {"metadata": {"name": "c", "deletionTimestamp": "now"}},
    ]
    kube = SimpleNamespace(list=lambda path, selector: items)
    assert Pipeline(kube, "tracing", Selectors()).pods("x") == {"a": False, "b": True}  # type: ignore[arg-type]


def test_gateways_are_waited_for() -> None:
    fake = FakePipeline(gateways=1)
    fake.pods["gateway"]["gw-0"] = False
    with pytest.raises(TimedOut, match="none of the gateway pods gw-0 in namespace tracing became ready in 5 s"):
        pipe(fake).gateways(Deadline(fake.clock, 5.0))

    def ready(seconds: float) -> None:
        fake.clock.now += seconds
        fake.pods["gateway"]["gw-0"] = True

    fake.pods["gateway"]["gw-0"] = False
    fake.clock.sleep = ready  # type: ignore[method-assign]
    assert pipe(fake).gateways(Deadline(fake.clock, 5.0)) == ["gw-0"]


def test_figures_name_the_pods_that_do_not_answer() -> None:
    fake = FakePipeline()
    fake.metrics_down = {"sampler-1"}
    figures = pipe(fake).figures()
    assert figures.missing == ["sampler-1"]
    assert (len(figures.gateway), len(figures.sampler), len(figures.tempo)) == (2, 1, 4)


def test_one_pod_that_matches_both_of_tempos_selectors_counts_once() -> None:
    fake = FakePipeline()
    fake.pods["distributor"] = fake.pods["ingester"] = {"distributor-0": True}
    assert list(pipe(fake).figures(["tempo"]).tempo) == ["distributor-0"]


def test_flush_needs_an_ingester() -> None:
    fake = FakePipeline(ingesters=0)
    with pytest.raises(NotFound, match="ingester_selector"):
        pipe(fake).flush(Deadline(fake.clock, 10.0))


@pytest.mark.parametrize(("code", "remedy"), [(400, "were not accepted"), (500, "were not accepted")])
def test_refusals_for_good(code: int, remedy: str) -> None:
    fake = FakePipeline()
    fake.answers = [reply({"message": "bad"}, code)]
    with pytest.raises(ApiError, match=remedy):
        Sender(pipe(fake), ["gw-0"]).send(DOCUMENT, 0, Deadline(fake.clock, 10.0))


@pytest.mark.parametrize(
    "answer",
    [
        Response(429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""),
        Response(502, {}, b""),
        Response(504, {}, b"[]"),
        status(500, "error trying to reach service"),
        status(404, "pods not found"),
    ],
)
def test_refusals_for_the_moment_go_to_the_next_gateway(answer: Response) -> None:
    fake = FakePipeline()
    fake.answers = [answer]
    sender = Sender(pipe(fake), ["gw-0", "gw-1"])
    sender.send(DOCUMENT, 4, Deadline(fake.clock, 10.0))
    assert sender.by_gateway == {"gw-0": 0, "gw-1": 1}
    assert (sender.requests, sender.retries, sender.spans) == (2, 1, 1)


def test_counts_are_exact_from_many_threads() -> None:
    fake = FakePipeline()
    sender = Sender(pipe(fake), ["gw-0", "gw-1"])
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: sender.send(DOCUMENT, n, Deadline(fake.clock, 10.0)), range(400)))
    assert (sender.requests, sender.spans, sender.by_gateway) == (400, 400, {"gw-0": 200, "gw-1": 200})


def samplers(arrived: int, new: int, decided: int) -> Increase:
    page = (
        f"otelcol_receiver_accepted_spans {arrived}\n"
        f"otelcol_processor_tail_sampling_new_trace_id_received {new}\n"
        f'otelcol_processor_tail_sampling_global_count_traces_sampled{{sampled="false"}} {decided}\n'
    )
    return Increase({}, text.parse(page), {})


def moment(part: str, **pods: tuple[Process, str] | Process) -> Figures:
    """Figures of one component: of each pod its process, and its metrics page if it answers."""
    found = Figures(processes={part: {}})
    for name, what in pods.items():
        process, page = what if isinstance(what[1], str) else (what, "")
        found.processes[part][name] = process
        if page:
            getattr(found, part)[name] = text.parse(page)
    return found


def page(spans: int, queue: int = 0) -> str:
    return f"otelcol_receiver_accepted_spans_total {spans}\notelcol_exporter_queue_size {queue}\n"


def counts(*moments: Figures) -> tuple[int, dict[str, tuple[str, ...]]]:
    counters = Counters(moments[0])
    increase = Counters(moments[0]).add(moments[0])
    for one in moments[1:]:
        increase = counters.add(one)
    return increase.arrived_spans, dict(increase.interrupted)


A, B = ("uid-a", 0), ("uid-b", 0)


def test_counters_add_up_over_pods() -> None:
    first = moment("sampler", a=(A, page(100)), b=(B, page(50)))
    assert counts(first) == (0, {})
    assert counts(first, moment("sampler", a=(A, page(110)), b=(B, page(70)))) == (30, {})
    # A pod that is new counts from 0, and gauges that fall say nothing.
    later = moment("sampler", a=(A, page(110, 0)), b=(B, page(50)), c=(("uid-c", 0), page(7)))
    assert counts(moment("sampler", a=(A, page(100, 9)), b=(B, page(50))), later) == (17, {})


def test_a_pod_that_is_gone_keeps_what_it_was_seen_to_count() -> None:
    first = moment("sampler", a=(A, page(100)), b=(B, page(50)))
    seen = moment("sampler", a=(A, page(130)), b=(B, page(50)))
    gone = moment("sampler", b=(B, page(60)))
    assert counts(first, gone) == (10, {"sampler": ("a",)})
    assert counts(first, seen, gone) == (40, {"sampler": ("a",)})
    # A StatefulSet's next pod has the name of the one before.
    assert counts(first, seen, moment("sampler", a=(("uid-next", 0), page(4)), b=(B, page(60)))) == (
        44, {"sampler": ("a",)},
    )  # fmt: skip


def test_a_container_that_begins_anew_is_noticed() -> None:
    first, seen = moment("sampler", a=(A, page(100))), moment("sampler", a=(A, page(130)))
    # By the pod's status, though the counter has not fallen.
    assert counts(first, seen, moment("sampler", a=(("uid-a", 1), page(140)))) == (170, {"sampler": ("a",)})
    # By a counter that fell, where the status does not tell yet; and once more when it does.
    assert counts(first, seen, moment("sampler", a=(A, page(5)))) == (35, {"sampler": ("a",)})


def test_a_pod_that_does_not_answer_is_told_until_it_does() -> None:
    first = moment("sampler", a=(A, page(100)), b=(B, page(50)))
    silent = moment("sampler", a=(A, page(110)), b=B)
    assert counts(first, silent) == (10, {"sampler": ("b",)})
    assert counts(first, silent, moment("sampler", a=(A, page(110)), b=(B, page(55)))) == (15, {})
    # One that was there at first, but did not answer, had counted already.
    assert counts(silent, moment("sampler", a=(A, page(110)), b=(B, page(55)))) == (0, {"sampler": ("b",)})


def test_components_that_are_not_read_keep_their_counts() -> None:
    counters = Counters(moment("sampler", a=(A, page(1))))
    counters.add(moment("sampler", a=(A, page(3))))
    assert counters.add(moment("gateway", g=(B, page(9)))).arrived_spans == 2
    assert not counters.add(moment("gateway", g=(B, page(9)))).flow_interrupted
    assert counters.add(moment("gateway")).flow_interrupted


def test_decisions_after_an_interruption() -> None:
    def interrupted(arrived: int, new: int, decided: int) -> Increase:
        return replace(samplers(arrived, new, decided), interrupted={"gateway": ("gw-0",)})

    decisions = Decisions(traces=10, spans=50, decision_wait=3.0)
    # Nothing moves for decision_wait and QUIET_SECONDS.
    assert not decisions.made(3.0, interrupted(30, 6, 4))
    assert not decisions.made(6.0, interrupted(31, 6, 6))
    assert not decisions.made(13.9, interrupted(31, 6, 6))
    assert decisions.made(14.0, interrupted(31, 6, 6))
    # Other traffic keeps it moving.
    decisions = Decisions(traces=1000, spans=5000, decision_wait=3.0)
    assert [decisions.made(float(at), interrupted(at, at, at)) for at in range(28)] == [False] * 26 + [True] * 2
    # An ingester is not part of the flow.
    decisions = Decisions(traces=10, spans=50, decision_wait=3.0)
    away = replace(samplers(49, 2, 2), interrupted={"tempo": ("ingester-0",)})
    assert not decisions.made(100.0, away)


def test_decisions() -> None:
    def made(*turns: tuple[float, Increase]) -> list[bool]:
        decisions = Decisions(traces=10, spans=50, decision_wait=3.0)
        return [decisions.made(elapsed, since) for elapsed, since in turns]

    # The usual way: all counted, and the time is over.
    assert made((2.9, samplers(50, 10, 10)), (3.0, samplers(50, 10, 10))) == [False, True]
    assert made(
        (9.0, samplers(50, 10, 9)),
    ) == [False]
    # Other traffic makes the count meaningless, never the clock.
    assert made(
        (1.0, samplers(500, 100, 90)),
    ) == [False]
    # Cached decisions: fewer new traces than were sent, all of them decided.
    assert made((3.0, samplers(50, 2, 1)), (3.5, samplers(50, 2, 2))) == [False, True]
    # Cached decisions and other traffic, which always has undecided traces: twice the wait since everything arrived.
    assert made((4.0, samplers(50, 9, 3)), (9.9, samplers(60, 9, 5)), (10.0, samplers(60, 9, 5))) == [
        False,
        False,
        True,
    ]
    # Spans that wait in a gateway's queue.
    assert made(
        (100.0, samplers(49, 2, 2)),
    ) == [False]
    # No metrics.
    assert made((5.9, Increase({}, {}, {})), (6.0, Increase({}, {}, {}))) == [False, True]


def test_tempo_answers() -> None:
    fake = FakePipeline()
    tempo = Tempo(fake, "tracing")  # type: ignore[arg-type]
    start, end = 1, 2_000_000_000
    assert tempo.trace("1" * 32, start, end) is None
    fake.query_answers = [reply({"trace": {}}), Response(503, {}, b"no queriers"), Response(400, {}, b"bad id")]
    assert tempo.trace("1" * 32, start, end) is None
    with pytest.raises(NotNow, match="answered 503: no queriers"):
        tempo.trace("1" * 32, start, end)
    with pytest.raises(ApiError, match="answered 400"):
        tempo.trace("1" * 32, start, end)
    fake.query_answers = [Response(503, {}, b"")]
    limit = Deadline(fake.clock, 10.0)
    assert tempo.traces(["1" * 32], start, end, limit) == {}
    # Nothing is asked when the time is over.
    fake.clock.now += 10.0
    fake.query_answers = [Response(500, {}, b"")] * 3
    assert tempo.traces(["1" * 32, "2" * 32, "3" * 32], start, end, limit) == {}
    assert len(fake.query_answers) == 3
    # The API server's own refusals that are neither 403 nor 404.
    fake.query_answers = [status(503, "no endpoints available")]
    with pytest.raises(NotNow, match="no endpoints available"):
        tempo.trace("1" * 32, start, end)
    fake.search_answers = [
        reply({"traces": [{"traceID": "abc", "spanSet": {"matched": 2}}, {"traceID": "d"}]}),
        reply({}),
    ]
    assert tempo.search(Criteria(), start, end, 10) == {"abc".rjust(32, "0"): 2, "d".rjust(32, "0"): 0}
    assert tempo.search(Criteria(), start, end, 10) == {}


@pytest.mark.parametrize(
    ("criteria", "query"),
    [
        (Criteria(), "{}"),
        (Criteria(("shop",), error=True), '{ (resource.service.name = "shop") && status = error }'),
        (Criteria(("a", "b")), '{ (resource.service.name = "a" || resource.service.name = "b") }'),
        (Criteria(operation='say "hi"', minimum_duration=1.5), '{ name = "say \\"hi\\"" && duration >= 1500000000ns }'),
        (
            Criteria(attributes={"http.route": "/pay", "retries": 2, "cold": True, "a key": "x"}),
            '{ span.http.route = "/pay" && span.retries = 2 && span.cold = true && span."a key" = "x" }',
        ),
    ],
)
def test_criteria_as_traceql(criteria: Criteria, query: str) -> None:
    assert traceql(criteria) == query


# ---- over real sockets: an API server that forwards to nothing


@pytest.fixture
def api_server() -> Iterator[tuple[Kube, FakeKube]]:
    fake = FakeKube()

    def slowly(_request: Request) -> None:
        time.sleep(0.3)

    fake.on("GET", {"items": [{"metadata": {"name": "p"}}]})
    fake.on("/pods/", Response(200, {}, b"a_total 1\n"))
    fake.on("/services/", slowly)
    with fake.serving() as url:
        kube = Kube.connect({"host": url})
        yield kube, fake
        kube.close()


def test_metrics_come_through_the_pod_proxy(api_server: tuple[Kube, FakeKube]) -> None:
    kube, fake = api_server
    figures = Pipeline(kube, "tracing", Selectors()).figures(["sampler"])
    assert text.total(figures.sampler["p"], "a") == 1
    assert fake.log[1][1] == "/api/v1/namespaces/tracing/pods/http:p:8888/proxy/metrics"


def test_a_query_without_answer_is_worth_another_try(
    api_server: tuple[Kube, FakeKube], monkeypatch: pytest.MonkeyPatch
) -> None:
    kube, _fake = api_server
    send = kube.proxy
    monkeypatch.setattr(kube, "proxy", lambda *args, **options: send(*args, **(options | {"timeout": 0.05})))
    with pytest.raises(NotNow, match="no answer from the API server"):
        Tempo(kube, "tracing").trace("1" * 32, 1, 2)


# ---- options


def test_options_make_the_pipeline() -> None:
    params = {name: option.get("default") for name, option in PIPELINE_OPTIONS.items()}
    made, tempo = connect(SimpleNamespace(), params | {"namespace": "n", "sampler_selector": "a=b"})  # type: ignore[arg-type]
    assert (made.namespace, made.selectors.sampler, tempo.endpoint.namespace) == ("n", "a=b", "n")
    assert (tempo.endpoint.service, tempo.endpoint.port) == ("tempo-query-frontend", 3200)
    assert seconds({"decision_wait": " 10s"}, "decision_wait") == 10.0
    with pytest.raises(InvalidInput, match="option decision_wait is wrong: 'ten' is not a Go duration"):
        seconds({"decision_wait": "ten"}, "decision_wait")


def test_progress_never_stops_the_work(tmp_path: Path) -> None:
    params: dict[str, Any] = {"progress_file": str(tmp_path / "lines")}
    show = progress(params)
    show("one")
    show("two")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"
    progress({"progress_file": None})("nothing")
    params = {"progress_file": str(tmp_path / "missing" / "lines")}
    show = progress(params)
    show("one")
    assert params["progress_file"] is None


def test_threads_keep_order_and_errors() -> None:
    assert in_threads(str, [3, 1, 2]) == ["3", "1", "2"]
    with pytest.raises(ValueError, match="invalid literal"):
        in_threads(int, ["1", "x"])


def test_what_a_sampler_sends_to_itself_for_xray_counts_once() -> None:
    page = (
        'otelcol_receiver_accepted_spans{receiver="otlp"} 50\n'
        'otelcol_receiver_accepted_spans{receiver="otlp/xray"} 20\n'
        # tried again from the queue of otlp_grpc/xray
        'otelcol_exporter_send_failed_spans{exporter="awsxray/xray"} 7\n'
        'otelcol_exporter_send_failed_spans{exporter="otlp_http/vendor"} 3\n'
    )
    increase = Increase({}, text.parse(page), {})
    assert increase.arrived_spans == 50
    assert increase.lost["sampler_send_failed_spans"] == 3
