# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two clusters with real collectors on loopback: an edge's gateway and sampler send over TLS, with a token, to the
central gateway, whose sampler sends to a store. What arrives there has the edge's attributes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector.edges import RECEIVER
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import (
    Gateway,
    Receiver,
    Sampler,
    failed_request,
    program,
    until,
)
from ansible_collections.orion.tracing.tests.unit.charts.test_destinations import certificate
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

EDGE, CENTRAL = "1" * 32, "2" * 32
TOKEN = {"bearer": {"token": {"secret": "central", "key": "token"}}}


class Cluster:
    """A gateway in front of one sampler."""

    def __init__(self, folder: Path, variables: dict[str, Any], secrets: dict[str, dict[str, str]]) -> None:
        otelcol, (port,) = program("ORION_OTELCOL", "otelcol"), free_ports()
        alone = {"collector_jaeger_enabled": False, "collector_zipkin_enabled": False}
        variables = role_defaults("collector", **variables, **alone, collector_resource_detectors=["env"])
        self.sampler = Sampler(otelcol, folder / "sampler", variables, secrets)
        self.sampler.config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}"}
        self.gateway = Gateway(otelcol, folder / "gateway", variables, secrets)
        self.gateway.config["exporters"]["load_balancing"]["resolver"] = {
            "static": {"hostnames": [f"127.0.0.1:{port}"]}
        }
        self.ports = dict(zip(("grpc", "http"), free_ports(2), strict=True))
        for protocol, settings in (
            self.gateway.config["receivers"].get(RECEIVER, {"protocols": {}})["protocols"].items()
        ):
            settings["endpoint"] = f"127.0.0.1:{self.ports[protocol]}"

    def start(self) -> None:
        for one in (self.sampler, self.gateway):
            one.start()

    def end(self) -> None:
        for one in (self.gateway, self.sampler):
            one.end()


@pytest.fixture
def store() -> Iterator[Receiver]:
    server = Receiver().start()
    yield server
    server.end()


@pytest.fixture
def central(tmp_path: Path, store: Receiver) -> Iterator[Cluster]:
    authority, ca, _key = certificate(tmp_path, "authority")
    _server, cert, key = certificate(tmp_path, "server", authority)
    (tmp_path / "ca.crt").write_text(ca)
    variables = {
        "tracing_cluster_name": "central",
        "tracing_environment": "platform",
        "collector_tempo_endpoint": store.url,
        "collector_edge_receiver_enabled": True,
        "collector_edge_receiver_tls": {
            "cert": {"secret": "edge-tls", "key": "tls.crt"}, "key": {"secret": "edge-tls", "key": "tls.key"}
        },
        "collector_edge_receiver_auth": {"bearer": {"token": {"secret": "edge-tokens", "key": "tokens"}}},
        "collector_resource_attributes": {"deployment.environment.name": "platform", "owner": "central"},
    }  # fmt: skip
    secrets = {"edge-tls": {"tls.crt": cert, "tls.key": key}, "edge-tokens": {"tokens": "old-one\nedge-one # edge-1\n"}}
    cluster = Cluster(tmp_path / "central", variables, secrets)
    cluster.start()
    yield cluster
    cluster.end()


def edge(folder: Path, central: Cluster, protocol: str, token: str) -> Cluster:
    address = f"127.0.0.1:{central.ports[protocol]}"
    exporter = {
        "name": "central", "protocol": protocol, "endpoint": address if protocol == "grpc" else f"https://{address}",
        "auth": TOKEN, "tls": {"ca": {"secret": "central", "key": "ca.crt"}},
    }  # fmt: skip
    variables = {
        "tracing_cluster_name": "edge-1", "tracing_environment": "shop", "tracing_store": "otlp",
        "collector_exporters": [exporter],
    }  # fmt: skip
    cluster = Cluster(
        folder / "edge", variables, {"central": {"token": token, "ca.crt": (folder / "ca.crt").read_text()}}
    )
    cluster.start()
    return cluster


def found(store: Receiver) -> dict[str, list[tuple[dict[str, str], dict[str, str]]]]:
    """Trace id → resource and span attributes of its spans."""
    spans: dict[str, list[tuple[dict[str, str], dict[str, str]]]] = {}
    for request in store.requests:
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            shared = {one.key: one.value.string_value for one in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                own = {one.key: one.value.string_value for one in span.attributes}
                spans.setdefault(span.trace_id.hex(), []).append((shared, own))
    return spans


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_an_edge_s_attributes_reach_the_central_store(
    tmp_path: Path, central: Cluster, store: Receiver, protocol: str
) -> None:
    one = edge(tmp_path, central, protocol, "edge-one\n")
    try:
        one.gateway.send(failed_request(EDGE))
        central.gateway.send(failed_request(CENTRAL))
        until(lambda: {EDGE, CENTRAL} <= found(store).keys(), "both traces")
    finally:
        one.end()
    [(resource, span)] = found(store)[EDGE]
    assert resource == {
        "service.name": "shop", "deployment.environment.name": "shop", "k8s.cluster.name": "edge-1"
    }  # fmt: skip
    assert span == {"environment": "shop", "cluster": "edge-1"}
    [(resource, span)] = found(store)[CENTRAL]
    assert resource == {
        "service.name": "shop", "deployment.environment.name": "platform", "owner": "central",
        "k8s.cluster.name": "central",
    }  # fmt: skip
    assert span == {"environment": "platform", "cluster": "central"}


def test_a_wrong_token_is_refused(tmp_path: Path, central: Cluster, store: Receiver) -> None:
    one = edge(tmp_path, central, "grpc", "another")
    try:
        one.gateway.send(failed_request(EDGE))
        until(lambda: "Unauthenticated" in one.sampler.log(), "the refusal")
    finally:
        one.end()
    assert found(store) == {}


def test_plain_text_is_refused(central: Cluster) -> None:
    with socket.create_connection(("127.0.0.1", central.ports["http"]), timeout=10) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        assert b"HTTP request to an HTTPS server" in connection.recv(4096)
