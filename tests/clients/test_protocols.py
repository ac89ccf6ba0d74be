# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each receiver of the gateway takes a trace from a real client of its protocol, and the store has it afterwards.

Runs against the installed platform: ORION_TEST_KUBECONFIG, and ORION_CLIENTS, the environment of
requirements/clients.txt. gRPC cannot pass the API server's HTTP proxy, and the gateways listen on their pods' addresses
alone, so a Service of type NodePort stands in front of them while the tests run. Also: the request, error and duration
metrics count every request, and their exemplars open traces.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS, StoreReader
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo

NAMESPACE = "tracing"
# Protocol → port of the gateway.
PROTOCOLS = {
    "otlp-grpc": 4317,
    "otlp-http": 4318,
    "jaeger-grpc": 14250,
    "jaeger-thrift": 14268,
    "zipkin-json": 9411,
    "zipkin-proto": 9411,
}
# What the others carry otherwise than OTLP: Zipkin has texts only and puts a status' message into the tag "error", the
# Thrift client's scope becomes attributes.
MESSAGE = {"zipkin-json": "", "zipkin-proto": ""}
ROWS = {"zipkin-json": "3", "zipkin-proto": "3"}
SCOPE = {"jaeger-thrift": ""}
# Jaeger gives the scope back as one, and keeps the status, not the tag.
IN_JAEGER = os.environ.get("ORION_TEST_STORE") == "jaeger"
PATIENCE = 60.0


def setting(name: str) -> str:
    if not os.environ.get(name):
        pytest.fail(f"{name} is not set; extensions/molecule/site/verify.yml shows what it has to be")
    return os.environ[name]


@pytest.fixture(scope="module")
def kube() -> Iterator[Kube]:
    one = Kube.connect({"kubeconfig": setting("ORION_TEST_KUBECONFIG")})
    yield one
    one.close()


@pytest.fixture(scope="module")
def pipeline(kube: Kube) -> Pipeline:
    return Pipeline(kube, NAMESPACE, Selectors())


@pytest.fixture(scope="module")
def gateways(pipeline: Pipeline) -> list[str]:
    return pipeline.gateways(Deadline(Clock(), PATIENCE))


@pytest.fixture(scope="module")
def address(kube: Kube) -> Iterator[dict[int, str]]:
    """Port of the gateway → host:port on the cluster's node."""
    path, name = f"/api/v1/namespaces/{NAMESPACE}/services", f"clients-{otlp.new_id(8)}"
    [node, *_others] = kube.list("/api/v1/nodes")
    [host, *_more] = [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
    labels = dict(pair.split("=") for pair in Selectors().gateway.split(","))
    ports = [{"name": f"p{port}", "port": port} for port in sorted(set(PROTOCOLS.values()))]
    spec = {"type": "NodePort", "selector": labels, "ports": ports}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    made = kube.request("POST", path, body=body)
    yield {port["port"]: f"{host}:{port['nodePort']}" for port in made["spec"]["ports"]}
    kube.request("DELETE", f"{path}/{name}")


def store(kube: Kube) -> StoreReader:
    """What the installed platform writes to; ORION_TEST_STORE has the value of tracing_store_reader."""
    if IN_JAEGER:
        return Jaeger(kube, "local-backends")
    return Tempo(kube, NAMESPACE)


def attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return otlp.attribute_values(pairs)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_trace_of_a_real_client_arrives(kube: Kube, address: dict[int, str], protocol: str) -> None:
    run, reader = otlp.new_id(16), store(kube)
    started = int(time.time()) - MARGIN_SECONDS
    script, python = Path(__file__).with_name("send.py"), Path(setting("ORION_CLIENTS")) / "bin/python"
    sent = subprocess.run(
        [python, script, protocol, address[PROTOCOLS[protocol]], run],
        # Jaeger's exporter brings code that protoc made for the pure Python implementation.
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sent.returncode == 0, sent.stderr
    ids = json.loads(sent.stdout)
    limit = Deadline(Clock(), PATIENCE)
    document: dict[str, Any] = {}
    while otlp.count_spans(document) < 2 and limit.wait(0.5):
        document = reader.document(ids["trace_id"], started, int(time.time()) + MARGIN_SECONDS)
    spans = {otlp.hex_id(one["spanId"], 16): one for one in otlp.spans(document)}
    assert spans.keys() == {ids["root"], ids["child"]}
    root, child = spans[ids["root"]], spans[ids["child"]]
    assert otlp.hex_id(child["parentSpanId"], 16) == ids["root"] and not root.get("parentSpanId")
    assert (root["name"], child["name"]) == ("GET /orders", "SELECT orders")
    assert otlp.is_error(child) and not otlp.is_error(root)
    assert child["status"].get("message", "") == MESSAGE.get(protocol, "deadlock")
    for part in document["resourceSpans"] if "resourceSpans" in document else document["batches"]:
        resource = attributes(part["resource"]["attributes"])
        assert resource["service.name"] == f"client-{protocol}"
        assert resource["deployment.environment.name"] == "local"
        assert resource["k8s.cluster.name"]
        for group in part["scopeSpans"]:
            wanted = "orion.clients" if IN_JAEGER else SCOPE.get(protocol, "orion.clients")
            assert group.get("scope", {}).get("name", "") == wanted
    for one in (root, child):
        found = attributes(one["attributes"])
        assert found["orion.client.run"] == run
        assert found["environment"] == "local" and found["cluster"]
    found = attributes(child["attributes"])
    assert found["db.rows"] == ROWS.get(protocol, 3)
    if protocol in MESSAGE and not IN_JAEGER:
        assert found["error"] == "deadlock"
    if protocol in SCOPE and not IN_JAEGER:
        assert found["otel.scope.name"] == "orion.clients"


def prometheus(kube: Kube, path: str, **query: Any) -> Any:
    answer = kube.proxy("services", "local-backends", "prometheus", 9090, f"api/v1/{path}", query=query)
    assert answer.ok, answer.text
    return answer.json()["data"]


def value(kube: Kube, query: str) -> float:
    return sum(float(one["value"][1]) for one in prometheus(kube, "query", query=query)["result"])


REQUESTS = 300


@pytest.fixture(scope="module")
def traffic(pipeline: Pipeline, gateways: list[str]) -> str:
    """300 requests from a service of their own to another, a fifth of them failed; gives the caller's name."""
    service = f"client-{otlp.new_id(8)}"
    now = time.time_ns()
    parts: tuple[list[otlp.Span], list[otlp.Span]] = ([], [])
    for number in range(REQUESTS):
        trace, first, second = otlp.new_id(32), otlp.new_id(16), otlp.new_id(16)
        failed = "refused" if number % 5 == 0 else None
        start = now - 200_000_000
        parts[0].append(otlp.span(trace, first, "", "call", "CLIENT", start, now, {}, failed))
        parts[1].append(otlp.span(trace, second, first, "answer", "SERVER", start + 1000, now - 1000, {}, failed))
    sender = Sender(pipeline, gateways)
    for number, (name, spans) in enumerate(((service, parts[0]), (f"{service}-backend", parts[1]))):
        document = otlp.request({"service.name": name}, "orion.clients", spans)
        sender.send(document, number, Deadline(Clock(), PATIENCE))
    assert sender.spans == 2 * REQUESTS
    return service


def test_metrics_count_every_request_under_the_names_that_grafana_reads(kube: Kube, traffic: str) -> None:
    """Ten per cent of the plain requests are kept; all are counted."""
    queries = {
        f'traces_spanmetrics_calls_total{{service="{traffic}"}}': REQUESTS,
        f'traces_spanmetrics_calls_total{{service="{traffic}",status_code="STATUS_CODE_ERROR"}}': REQUESTS / 5,
        f'traces_spanmetrics_latency_bucket{{service="{traffic}",le="+Inf"}}': REQUESTS,
        f'traces_service_graph_request_total{{client="{traffic}",server="{traffic}-backend"}}': REQUESTS,
        f'traces_service_graph_request_failed_total{{client="{traffic}"}}': REQUESTS / 5,
    }
    limit = Deadline(Clock(), 2 * PATIENCE)
    found: dict[str, float] = {}
    while found != queries and limit.wait(1.0):
        found = {query: value(kube, query) for query in queries}
    assert found == queries


def test_exemplars_open_traces(kube: Kube, traffic: str) -> None:
    reader, limit = store(kube), Deadline(Clock(), 2 * PATIENCE)
    found: set[str] = set()
    # 60 failed requests are kept for certain; the connector keeps some exemplars of each series and interval.
    while len(found) < 2 and limit.wait(1.0):
        now = int(time.time())
        for metric in ("traces_spanmetrics_sampled_latency_bucket", "traces_spanmetrics_latency_bucket"):
            query = f'{metric}{{service=~"{traffic}.*"}}'
            for series in prometheus(kube, "query_exemplars", query=query, start=now - 600, end=now + 60):
                found |= {one["labels"]["trace_id"] for one in series["exemplars"]}
    assert len(found) >= 2
    start, end = int(time.time()) - 900, int(time.time()) + MARGIN_SECONDS
    opened = reader.traces(sorted(found), start, end, Deadline(Clock(), PATIENCE))
    assert len(opened) >= 0.95 * len(found), (len(opened), len(found))
