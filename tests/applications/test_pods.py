# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pods that are left alone, one that cannot be instrumented, and services without a collector."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.tests.applications.shop import (
    NAMESPACE,
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


def gateway_spec(shop: Shop, *environment: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Spec and annotations of the gateway's pods, with more environment."""
    template = shop.kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/gateway")["spec"]["template"]
    [container] = template["spec"]["containers"]
    container["env"] = [*container.get("env", []), *environment]
    return template["spec"], template["metadata"]["annotations"]


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
    spec, annotations = gateway_spec(shop, {"name": "PYTHONPATH", "valueFrom": field})
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


def working_set(shop: Shop, name: str) -> int:
    """Bytes of memory of a pod, measured by the kubelet from now on: it measures every ten seconds or so."""
    [node] = {pod["spec"]["nodeName"] for pod in shop.kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods")}
    limit, now = Deadline(Clock(), 60), datetime.now(UTC)
    while True:
        summary = shop.kube.get(f"/api/v1/nodes/{node}/proxy/stats/summary")
        for pod in summary["pods"]:
            memory = pod.get("memory", {}) if pod["podRef"]["name"] == name else {}
            if memory.get("workingSetBytes") and datetime.fromisoformat(memory["time"]) > now:
                return int(memory["workingSetBytes"])
        assert limit.wait(1), f"the kubelet has no figure of pod {name}"


def test_an_endpoint_that_is_away_costs_spans_and_not_requests(shop: Shop) -> None:
    """A closed port. The queue of the SDK holds 2048 spans; what comes then is dropped, and logged."""
    spec, annotations = gateway_spec(shop, {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://127.0.0.1:9"})
    name = f"gateway-{new_id(8)}"
    shop.beside(name, spec, annotations)
    try:
        shop.pod(name, is_ready)
        missing = f"api/v1/orders/{new_id(8)}-0000-4000-8000-{new_id(12)}"

        def ask(times: int) -> None:
            for _one in range(times):
                assert shop.kube.proxy("pods", NAMESPACE, name, 8080, missing).status == 404

        ask(200)
        before = working_set(shop, name)
        ask(1500)
        after = working_set(shop, name)
        # 2048 spans of a kilobyte or two.
        assert after - before < 16 * 2**20, f"{before} → {after} bytes"
        log = shop.kube.send("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/log").text
        assert "Failed to export" in log or "Queue full" in log or "Transient error" in log, log[-2000:]
    finally:
        shop.remove(name)


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


def checkouts(shop: Shop, times: int) -> list[float]:
    """Seconds of so many checkouts, sorted; all of them succeed."""
    found = []
    for _one in range(times):
        began = time.monotonic()
        status, answer = shop.checkout()
        assert status == 201, answer
        found.append(time.monotonic() - began)
    return sorted(found)


@pytest.mark.usefixtures("collector_away")
def test_the_shop_serves_on_without_collectors(shop: Shop) -> None:
    # Exports are made beside the requests: none waits for one, whose timeout is 10 s.
    assert checkouts(shop, 60)[-1] < 5


def test_traces_arrive_again_afterwards(shop: Shop) -> None:
    """The agents need no restart."""
    limit = Deadline(Clock(), 90)
    while True:
        trace_id = new_id(32)
        status, _order = request(
            f"{shop.gateway}/api/v1/orders",
            {"sku": "book", "quantity": 1},
            [traceparent(trace_id), ("baggage", f"tenant.id={TENANT}")],
        )
        assert status == 201
        patience = Deadline(Clock(), 15)
        while not (found := shop.now(trace_id)).services >= {"gateway", "orders", "pricing", "fulfilment"}:
            if not patience.wait(0.5):
                break
        else:
            return
        assert limit.left, f"no whole trace since the collectors are back:\n{found}"
