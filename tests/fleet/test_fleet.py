# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two inventory hosts on one cluster: traces from the edge to the central store, and playbooks over both hosts.

In this order: the last tests change the platform.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS, StoreReader
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.fleet.conftest import setting
from ansible_collections.orion.tracing.tests.fleet.given import CENTRAL, CLIENT, EDGE, NAME, path

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "extensions/molecule/fleet/inventory"
CLUSTERS = {CENTRAL: "central", EDGE: "edge"}
PATIENCE = 90.0


def store(kube: Kube) -> StoreReader:
    return Jaeger(kube, "local-backends") if setting("ORION_TEST_STORE") == "jaeger" else Tempo(kube, CENTRAL)


def playbook(name: str, *argv: str, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Over both hosts."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [program, f"playbooks/{name}.yml", "-i", str(INVENTORY), "-e", json.dumps(extra), *argv],
        cwd=ROOT,
        env={
            **os.environ,
            "COLUMNS": "1000",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_DISPLAY_FAILED_STDERR": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def printed(done: subprocess.CompletedProcess[str]) -> str:
    """In one line: callbacks fold lines, and Molecule has failures on standard error."""
    return " ".join((done.stdout + done.stderr).split())


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """What the last lines say of each host."""
    found = re.findall(r"^(central|edge)\s+: (.*)$", done.stdout, re.MULTILINE)
    return {host: {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in found}


def send_error(kube: Kube, namespace: str) -> str:
    """A trace of two services with an error in the second one, through the gateways of a namespace; its id."""
    trace_id, root, child = otlp.new_id(32), otlp.new_id(16), otlp.new_id(16)
    now = time.time_ns()
    front = otlp.span(trace_id, root, "", "GET /", "SERVER", now - 5 * 10**7, now, {})
    back = otlp.span(trace_id, child, root, "work", "INTERNAL", now - 4 * 10**7, now, {}, "it failed")
    pipeline = Pipeline(kube, namespace, Selectors())
    sender, limit = Sender(pipeline, pipeline.gateways(Deadline(Clock(), PATIENCE))), Deadline(Clock(), PATIENCE)
    for number, (service, one) in enumerate((("front", front), ("back", back))):
        sender.send(otlp.request({"service.name": f"fleet-{service}"}, "orion.fleet", [one]), number, limit)
    return trace_id


@pytest.mark.parametrize("namespace", [EDGE, CENTRAL])
def test_a_trace_arrives_whole_with_the_name_of_its_cluster(kube: Kube, namespace: str) -> None:
    started = int(time.time()) - MARGIN_SECONDS
    trace_id = send_error(kube, namespace)
    limit, document = Deadline(Clock(), PATIENCE), dict[str, Any]()
    while otlp.count_spans(document) < 2 and limit.wait(0.5):
        document = store(kube).document(trace_id, started, int(time.time()) + MARGIN_SECONDS)
    assert otlp.count_spans(document) == 2
    parts = document["resourceSpans"] if "resourceSpans" in document else document["batches"]
    names = {otlp.attribute_values(part["resource"]["attributes"])["k8s.cluster.name"] for part in parts}
    assert names == {CLUSTERS[namespace]}


def test_the_edge_lost_nothing(kube: Kube) -> None:
    samples = Pipeline(kube, EDGE, Selectors()).figures(["sampler"])
    together = text.add(samples.sampler.values())
    assert samples.missing == [] and text.total(together, "otelcol_exporter_sent_spans", exporter="otlp_grpc/central")
    assert text.total(together, "otelcol_exporter_send_failed_spans") == 0


class Receiver:
    """The central receiver for edges, from outside of the cluster."""

    def __init__(self, kube: Kube) -> None:
        service = kube.get(f"/api/v1/namespaces/{CENTRAL}/services/otel-collector-edge")
        assert service is not None
        [self.port] = [one["nodePort"] for one in service["spec"]["ports"] if one["port"] == 4318]
        [node, *_others] = kube.list("/api/v1/nodes")
        self.host = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
        secret = kube.get(path(EDGE, CLIENT))
        assert secret is not None
        given = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        self.token = given["token"]
        self.context = ssl.create_default_context(cadata=given["ca.crt"])

    def status(self, headers: dict[str, str], tls: bool = True) -> int:
        """Of an empty request with these headers. OSError, or HTTPException, without an answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.sock = socket.create_connection((self.host, self.port), 30)
        if tls:
            # The certificate is for the name in the cluster.
            connection.sock = self.context.wrap_socket(connection.sock, server_hostname=NAME)
        try:
            connection.request("POST", "/v1/traces", b"{}", {"Content-Type": "application/json", **headers})
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def receiver(kube: Kube) -> Receiver:
    return Receiver(kube)


def test_the_token_of_an_edge_is_accepted(receiver: Receiver) -> None:
    assert receiver.status({"Authorization": f"Bearer {receiver.token}"}) == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer edge"}])
def test_others_are_refused(receiver: Receiver, headers: dict[str, str]) -> None:
    assert receiver.status(headers) == 401


def test_it_speaks_tls_alone(receiver: Receiver) -> None:
    try:
        assert receiver.status({"Authorization": f"Bearer {receiver.token}"}, tls=False) == 400
    except (OSError, http.client.HTTPException):
        # The connection was closed instead.
        return


def test_objects_of_the_whole_cluster_are_those_of_one_host_each(kube: Kube) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    for kind in ("clusterroles", "clusterrolebindings"):
        for namespace in CLUSTERS:
            found = kube.get(f"{rbac}/{kind}/{namespace}-otel-collector")
            assert found is not None
            assert found["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == namespace
    made = kube.get("/apis/scheduling.k8s.io/v1/priorityclasses/orion-fleet")
    assert made is not None and made["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == CENTRAL
    for namespace in CLUSTERS:
        pods = kube.list(f"/api/v1/namespaces/{namespace}/pods", "app.kubernetes.io/name=otel-collector")
        assert len(pods) == 4 and {pod["spec"]["priorityClassName"] for pod in pods} == {"orion-fleet"}


def test_the_status_has_both_hosts() -> None:
    done = playbook("status")
    assert done.returncode == 0, done.stdout + done.stderr
    together = done.stdout[done.stdout.index("Show all hosts together") :]
    for row in (r"central +(ok|limit|down) ", r"edge +(ok|limit|down) ", "sum of those known"):
        assert re.search(row, together), together
    assert recap(done).keys() == {"central", "edge"}


def only(host: str, value: str, other: str) -> str:
    """A value for one host and another one for the other, in extra variables, which all hosts have."""
    return "{{ '" + value + "' if inventory_hostname == '" + host + "' else '" + other + "' }}"


def test_two_hosts_with_one_namespace_are_both_refused() -> None:
    done = playbook("site", tracing_namespace=CENTRAL)
    assert done.returncode == 2, done.stdout + done.stderr
    counts = recap(done)
    assert {host: (one["failed"], one["changed"]) for host, one in counts.items()} == {
        "central": (1, 0),
        "edge": (1, 0),
    }
    assert "each host would replace what another has installed" in printed(done)


def test_a_host_that_fails_stops_only_itself() -> None:
    done = playbook("site", collector_sampling_percentage=only("edge", "many", "20"), tracing_prove="never")
    assert done.returncode == 2, done.stdout + done.stderr
    counts = recap(done)
    assert (counts["edge"]["failed"], counts["edge"]["changed"]) == (1, 0)
    assert counts["central"]["failed"] == 0 and counts["central"]["changed"] >= 1
    assert "collector_sampling_percentage: is 'many', not a number" in printed(done)


@pytest.mark.parametrize("samplers", [3, 2])
def test_samplers_are_added_and_removed_with_as_few_split_traces_as_stated(samplers: int) -> None:
    done = playbook("scale_samplers", "--limit=central", sampler_replicas=samplers, collector_sampling_percentage=20)
    assert done.returncode == 0, printed(done)
    output = printed(done)
    assert ("receive no more spans from the start" in output) == (samplers == 2)
    found = re.search(r"(\d+) of (\d+) traces that were sent over \d+ s lack spans.*?; at most (\d+) were", output)
    assert found, output
    split, sent, allowed = map(int, found.groups())
    assert split <= allowed and sent > 100
    # verify.yml shows it.
    sys.stdout.write(f"{found[0]}\n")
