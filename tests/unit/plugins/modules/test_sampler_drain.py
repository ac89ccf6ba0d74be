# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Samplers that are emptied before they go: the module as Ansible runs it, with samplers and gateways in memory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.proof.drain import LABEL, Drain
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, refused
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import FakeClock
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

READY = {"conditions": [{"type": "Ready", "status": "True"}]}


class Tiers(FakeKube):
    """Four samplers and two gateways, which know at once which samplers receive. Every look at a sampler that receives
    nothing takes half of what it holds off it. held: by sampler, undecided traces and spans in the queue."""

    def __init__(self, **held: tuple[int, int]) -> None:
        super().__init__(namespace="tracing")
        self.held = {f"otel-sampler-{number}": (0, 0) for number in range(4)}
        self.held |= {name.replace("_", "-"): amounts for name, amounts in held.items()}
        self.stuck = False  # whether no destination answers
        for name in self.held:
            self.put(pod(name, "sampler", **{LABEL: "true"}))
        for number in range(2):
            self.put(pod(f"otel-collector-{number}", "gateway"))
        self.on("GET .*/pods/.*8888/proxy/metrics", self.metrics)

    def label(self, name: str) -> str | None:
        found: str | None = self.objects[f"/api/v1/namespaces/tracing/pods/{name}"]["metadata"]["labels"].get(LABEL)
        return found

    @property
    def labels(self) -> list[str | None]:
        return [self.label(name) for name in self.held]

    def metrics(self, request: Request) -> Response:
        name = request.path.partition("/pods/")[2].partition(":8888")[0].removeprefix("http:")
        if name.startswith("otel-collector"):
            text = f"otelcol_loadbalancer_num_backends {self.labels.count('true')}"
        else:
            traces, spans = self.held[name]
            text = (
                f"otelcol_processor_tail_sampling_sampling_traces_on_memory {traces}\n"
                f'otelcol_exporter_queue_size{{data_type="traces",exporter="otlp_http/tempo"}} {spans}\n'
                'otelcol_exporter_queue_size{data_type="metrics",exporter="prometheusremotewrite"} 7\n'
            )
            if self.label(name) == "false":
                self.held[name] = traces // 2, spans if self.stuck else spans // 2
        return Response(200, {}, text.encode())


def pod(name: str, component: str, **labels: str) -> dict[str, Any]:
    names = {"app.kubernetes.io/name": "otel-collector", "app.kubernetes.io/component": component}
    return {
        "kind": "Pod", "metadata": {"name": name, "namespace": "tracing", "labels": names | labels}, "status": READY,
    }  # fmt: skip


def drain(tiers: Tiers, replicas: int = 3, /, **options: Any) -> dict[str, Any]:
    if "replicas" in options:
        replicas = options.pop("replicas")
    with tiers.serving() as url:
        found: dict[str, Any] = run("sampler_drain", host=url, replicas=replicas, **options)
    return found


def test_a_sampler_that_goes_is_emptied() -> None:
    tiers = Tiers(otel_sampler_3=(5, 1))
    done = drain(tiers)
    assert (done["changed"], done["drained"]) == (True, ["otel-sampler-3"])
    assert done["steps"] == ["take otel-sampler-3 out of the Service"]
    assert tiers.labels == ["true", "true", "true", "false"] and tiers.held["otel-sampler-3"] == (0, 0)
    # What stays is not asked, and each look is two lists and one request for each gateway and each sampler that goes.
    looks = [path for method, path in tiers.log if method == "GET" and path.endswith("/metrics")]
    assert {path.partition("/pods/")[2].partition(":8888")[0].removeprefix("http:") for path in looks} == {
        "otel-collector-0", "otel-collector-1", "otel-sampler-3",
    }  # fmt: skip
    rounds = len(looks) // 3
    assert len(tiers.log) == 1 + 1 + rounds * 5 and 4 <= rounds <= 7
    again = drain(tiers)
    assert (again["changed"], again["drained"]) == (False, ["otel-sampler-3"])


def test_several_at_once() -> None:
    tiers = Tiers(otel_sampler_1=(0, 9), otel_sampler_3=(9, 0))
    assert drain(tiers, 1)["drained"] == ["otel-sampler-1", "otel-sampler-2", "otel-sampler-3"]
    assert tiers.labels == ["true", "false", "false", "false"]


def test_what_an_interrupted_run_left_is_put_back() -> None:
    tiers = Tiers()
    tiers.put(pod("otel-sampler-2", "sampler", **{LABEL: "false"}))
    done = drain(tiers, 4)
    assert (done["changed"], done["drained"]) == (True, [])
    assert done["steps"] == ["put otel-sampler-2 back into the Service"] and tiers.labels == ["true"] * 4
    assert tiers.methods == ["GET", "PATCH"]


def test_check_mode_changes_nothing() -> None:
    tiers = Tiers(otel_sampler_3=(5, 1))
    done = drain(tiers, _ansible_check_mode=True)
    assert done["changed"] and done["steps"] == ["take otel-sampler-3 out of the Service"]
    assert tiers.methods == ["GET"]


def test_a_destination_that_does_not_answer_is_a_failure_and_all_is_as_before() -> None:
    tiers = Tiers(otel_sampler_3=(0, 1234))
    tiers.stuck = True
    done = drain(tiers, timeout="2s")
    assert done["failed"], done
    assert done["msg"] == (
        "the samplers that are to go are not empty after 2 s: otel-sampler-3 has 1,234 spans for otlp_http/tempo in "
        "its queue. See whether the samplers' destinations answer, and try again; all samplers receive spans again."
    )
    assert tiers.labels == ["true"] * 4


def test_one_that_an_earlier_run_took_out_is_put_back_too() -> None:
    tiers = Tiers(otel_sampler_2=(0, 3))
    tiers.stuck = True
    tiers.put(pod("otel-sampler-3", "sampler", **{LABEL: "false"}))
    assert drain(tiers, 2, timeout="1s")["failed"] and tiers.labels == ["true"] * 4


def test_the_last_one_is_put_back_while_another_is_missing() -> None:
    tiers = Tiers(otel_sampler_3=(0, 3))
    tiers.stuck = True
    del tiers.objects["/api/v1/namespaces/tracing/pods/otel-sampler-1"]
    del tiers.held["otel-sampler-1"]
    assert drain(tiers, timeout="1s")["failed"] and tiers.labels == ["true"] * 3


def test_without_the_right_to_change_pods_nothing_is_waited_for() -> None:
    tiers = Tiers()
    tiers.on("^PATCH ", refused(403, "no"))
    done = drain(tiers)
    assert done["failed"] and done["msg"].endswith(
        "answered 403: no. Grant the verb patch on pods in namespace tracing to the user of the kubeconfig, or leave "
        "the samplers as they are (sampler_drain: false of the playbook scale_samplers)."
    )
    assert not [path for path in tiers.log if path[1].endswith("/metrics")]


def test_samplers_of_an_earlier_chart_are_named() -> None:
    tiers = Tiers()
    tiers.put(pod("otel-sampler-3", "sampler"))
    done = drain(tiers)
    assert done["msg"] == (
        f"otel-sampler-3 has no label {LABEL}: an earlier version of the collector role has installed them. Run "
        "playbooks/site.yml first."
    )
    assert tiers.writes == []


@pytest.mark.parametrize(
    ("options", "words"),
    [({"replicas": 0}, "option replicas is 0"), ({"timeout": "long"}, "option timeout is wrong")],
)
def test_bad_input(options: dict[str, Any], words: str) -> None:
    tiers = Tiers()
    done = drain(tiers, **options)
    assert done["failed"] and words in done["msg"] and tiers.log == []


class Waiting:
    """A drain in memory, with time that passes by sleeping."""

    def __init__(self, tiers: Tiers, timeout: float = 60.0) -> None:
        self.said: list[str] = []
        self.clock = FakeClock()
        self.drain = Drain(Pipeline(tiers.client(), "tracing", Selectors(), self.clock), timeout, self.said.append)


def test_a_sampler_that_is_replaced_meanwhile_is_taken_out_again() -> None:
    tiers = Tiers(otel_sampler_3=(40, 0))
    waiting = Waiting(tiers)
    replaced = False

    def replace(_request: Request) -> None:
        nonlocal replaced
        if not replaced and tiers.held["otel-sampler-3"][0] < 20:
            replaced = True
            tiers.put(pod("otel-sampler-3", "sampler", **{LABEL: "true"}))
            tiers.held["otel-sampler-3"] = (8, 0)

    tiers.on("^GET /api/v1/namespaces/tracing/pods$", replace)
    waiting.drain.wait(3)
    assert replaced and tiers.label("otel-sampler-3") == "false" and tiers.held["otel-sampler-3"] == (0, 0)


def test_gateways_that_still_send_and_samplers_that_do_not_answer_are_waited_for() -> None:
    tiers = Tiers()
    tiers.put(pod("otel-sampler-3", "sampler", **{LABEL: "false"}))
    late = pod("otel-collector-2", "gateway")
    tiers.put({**late, "status": {}})
    answers = iter([Response(503, {}, b"")] * 12)
    tiers.on("otel-sampler-3:8888", lambda _request: next(answers, None))
    tiers.on("otel-collector-0:8888", Response(200, {}, b"otelcol_loadbalancer_num_backends 4"))
    waiting = Waiting(tiers, 30.0)
    with pytest.raises(TimedOut, match="otel-collector-0 sends to 4 samplers instead of 3"):
        waiting.drain.wait(3)
    assert waiting.said[0] == (
        "10 s: otel-collector-0 sends to 4 samplers instead of 3, otel-sampler-3 does not answer"
    )
    assert len(waiting.said) == 3 and waiting.clock.now == 30.0
