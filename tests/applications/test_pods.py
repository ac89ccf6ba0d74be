# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pods that are left alone, one that cannot be instrumented, and services without a collector."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.tests.applications.shop import (
    NAMESPACE,
    PATIENCE,
    TENANT,
    Shop,
    is_ready,
    request,
    traceparent,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

LANGUAGES = {"storefront": "nodejs", "gateway": "python", "orders": "python", "fulfilment": "python", "pricing": "java"}
COLLECTOR = "/apis/apps/v1/namespaces/tracing/deployments/otel-collector"
INJECT = "instrumentation.opentelemetry.io/inject-python"


@pytest.mark.parametrize("service", LANGUAGES)
def test_annotated_pods_have_their_agent(shop: Shop, service: str) -> None:
    [pod] = shop.pods(f"app.kubernetes.io/name={service}")
    names = [container["name"] for container in pod["spec"]["initContainers"]]
    assert names == [f"opentelemetry-auto-instrumentation-{LANGUAGES[service]}"]


@pytest.mark.parametrize("name", ["postgresql", "kafka"])
def test_other_pods_are_left_alone(shop: Shop, name: str) -> None:
    [pod] = shop.pods(f"app.kubernetes.io/name={name}")
    found = json.dumps([pod["spec"]["volumes"], pod["spec"].get("initContainers"), pod["spec"]["containers"]])
    assert "opentelemetry" not in found and "OTEL_" not in found


def information(kubeconfig: str) -> list[dict[str, Any]]:
    """What the module instrumentation_info answers for the shop's namespace."""
    answer = run("instrumentation_info", namespace=NAMESPACE, kubeconfig=kubeconfig)
    assert not answer.get("failed"), answer
    workloads: list[dict[str, Any]] = answer["workloads"]
    return workloads


def test_every_service_is_reported_as_instrumented(shop: Shop, kubeconfig: str) -> None:
    found = {one["name"]: one for one in information(kubeconfig) if one["kind"] == "Deployment"}
    for service, language in LANGUAGES.items():
        assert (found[service]["instrumented"], found[service]["languages"]) == ("yes", [language]), found[service]
        assert found[service]["agent_versions"][language]
    assert found["kafka"]["instrumented"] == "no"


def test_a_pod_that_cannot_be_instrumented_starts_and_is_explained(shop: Shop, kubeconfig: str) -> None:
    """Its PYTHONPATH comes from elsewhere, so it cannot be extended."""
    field = {"fieldRef": {"fieldPath": "metadata.annotations['pythonpath']"}}
    spec, annotations = shop.template("gateway", {"PYTHONPATH": {"valueFrom": field}})
    name = f"gateway-{new_id(8)}"
    made = shop.beside(name, spec, {**annotations, "pythonpath": "/nowhere"})
    try:
        assert "opentelemetry" not in json.dumps(made["spec"])
        shop.pod(name, is_ready)
        [found] = [one for one in information(kubeconfig) if one["name"] == name]
        assert found["instrumented"] == "no"
        assert found["code"] == "value_from" and "PYTHONPATH" in found["why"]
        assert found["remedy"]
    finally:
        shop.remove(name)


def working_sets(shop: Shop, names: Collection[str]) -> dict[str, int]:
    """Bytes of memory of pods, measured by the kubelet from now on: it measures every ten seconds or so."""
    [node] = {pod["spec"]["nodeName"] for pod in shop.kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods")}
    limit, now, found = Deadline(Clock(), 120), datetime.now(UTC), dict[str, int]()
    while found.keys() != set(names):
        assert limit.wait(1), f"the kubelet has figures of {sorted(found)} alone, not of all {sorted(names)}"
        for pod in shop.kube.get(f"/api/v1/nodes/{node}/proxy/stats/summary")["pods"]:
            name, memory = pod["podRef"]["name"], pod.get("memory", {})
            if name in names and memory.get("workingSetBytes") and datetime.fromisoformat(memory["time"]) > now:
                found.setdefault(name, int(memory["workingSetBytes"]))
    return found


# A closed port, and a queue that is soon full.
AWAY = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_BSP_MAX_QUEUE_SIZE": "32",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
}
# The SDK of Python counts dropped spans in a metric, and only if it is asked to.
METRICS = {
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true",
    "OTEL_METRICS_EXPORTER": "console",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
}
ENVIRONMENTS = {"gateway": AWAY | METRICS, "storefront": AWAY, "pricing": AWAY}
# Where the logs have the numbers of dropped spans: docs/instrument-your-service.md. Python's is the sum so far.
DROPPED = {
    "gateway": r'"error\.type": "queue_full"[^}]*\}.*?"value": (\d+)',
    "storefront": r"Dropped (\d+) spans because maxQueueSize reached",
    "pricing": r"BatchSpanProcessor dropped (\d+) span",
}
REQUESTS = 400


def ask(shop: Shop, name: str, times: int) -> float:
    """Requests of a page that the service does not have, each at least one span: seconds of one, as the median."""

    def one() -> None:
        assert shop.kube.proxy("pods", NAMESPACE, name, 8080, "nothing").status == 404

    return median_seconds(one, times)


def median_seconds(one: Callable[[], None], times: int) -> float:
    """Seconds of a call, as the median of so many."""
    found = []
    for _one in range(times):
        began = time.monotonic()
        one()
        found.append(time.monotonic() - began)
    return median(found)


@dataclass(frozen=True)
class Unheard:
    """A pod that cannot send its spans, after many requests. grown: bytes of memory. seconds: median of a request."""

    name: str
    grown: int
    seconds: float


@pytest.fixture(scope="module")
def unheard(shop: Shop) -> Iterator[dict[str, Unheard]]:
    """One for each language."""
    with shop.copies(ENVIRONMENTS) as names, ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: ask(shop, name, 100), names.values()))
        before = working_sets(shop, names.values())
        seconds = list(pool.map(lambda name: ask(shop, name, REQUESTS), names.values()))
        after = working_sets(shop, names.values())
        yield {
            service: Unheard(name, after[name] - before[name], median_seconds)
            for (service, name), median_seconds in zip(names.items(), seconds, strict=True)
        }


@pytest.mark.parametrize("service", ENVIRONMENTS)
def test_an_endpoint_that_is_away_costs_counted_spans_and_no_requests(
    shop: Shop, unheard: dict[str, Unheard], service: str
) -> None:
    pod, limit = unheard[service], Deadline(Clock(), PATIENCE)
    # None waits for an export, which takes ten seconds.
    assert pod.seconds < 5
    assert pod.grown < 32 * 2**20
    [status] = shop.pod(pod.name, is_ready)["status"]["containerStatuses"]
    assert status["restartCount"] == 0
    # The queue holds 32 spans, and a batch of 16 is given up after about ten seconds: most spans are not kept.
    dropped = 0
    while dropped < REQUESTS / 2:
        # Java and Node.js write the number when the queue has room again.
        ask(shop, pod.name, 1)
        log = shop.kube.send("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}/log").text
        numbers = [int(number) for number in re.findall(DROPPED[service], log, re.DOTALL)]
        dropped = sum(numbers[-1:] if service == "gateway" else numbers)
        assert limit.wait(0.5), f"{dropped} spans are counted as dropped:\n{log[-2000:]}"


def scale(kube: Kube, replicas: int) -> None:
    """Scales the gateways of the platform, and waits until so many are ready."""
    body = {"spec": {"replicas": replicas}}
    kube.request("PATCH", f"{COLLECTOR}/scale", body=body, content_type="application/merge-patch+json")
    limit = Deadline(Clock(), 120)
    while kube.get(COLLECTOR)["status"].get("readyReplicas", 0) != replicas:
        assert limit.wait(0.5), f"the collector does not come to {replicas} replicas"


@pytest.fixture
def collector_away(kube: Kube) -> Iterator[None]:
    replicas = kube.get(COLLECTOR)["spec"]["replicas"]
    scale(kube, 0)
    try:
        yield
    finally:
        scale(kube, replicas)


def checkout_seconds(shop: Shop, times: int) -> float:
    """Seconds of a checkout, as the median of so many; all of them succeed."""

    def one() -> None:
        status, answer = shop.checkout()
        assert status == 201, answer

    return median_seconds(one, times)


@pytest.mark.usefixtures("collector_away")
def test_the_shop_serves_on_without_collectors(shop: Shop) -> None:
    # Exports are made beside the requests: none waits for one, whose timeout is 10 s.
    assert checkout_seconds(shop, 60) < 5


def test_traces_arrive_again_afterwards(shop: Shop) -> None:
    """The agents need no restart."""
    limit = Deadline(Clock(), 120)
    while True:
        trace_id = new_id(32)
        status, answer = request(
            f"{shop.gateway}/api/v1/orders",
            {"sku": "book", "quantity": 1},
            [traceparent(trace_id), ("baggage", f"tenant.id={TENANT}")],
        )
        # An order may fail on a busy machine, whose services have time limits for each other.
        seen = f"{status}: {answer}"
        patience = Deadline(Clock(), 25 if status == 201 else 0)
        while patience.wait(0.5):
            found = shop.now(trace_id)
            if found.services >= {"gateway", "orders", "pricing", "fulfilment"}:
                return
            seen = str(found)
        assert limit.left, f"no whole trace since the collectors are back:\n{seen}"
