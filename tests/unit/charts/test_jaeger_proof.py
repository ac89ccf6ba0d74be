# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof where kept traces go to Jaeger and, recorded, into a bucket: real sampler, real Jaeger, S3 by moto."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.run import Probe, Proof
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import Range, S3Recording
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "roles/local_backends/files/chart"
LIMIT = 60.0
BUCKET, KEY = "orion-traces", "testing"


def program(variable: str, name: str) -> str:
    path = os.environ.get(variable, "")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{name}'s binary is needed: set {variable} (`python -m airgap path {name}` prints it)")
    return path


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Starts a server, its arguments and what it answers to once it is up. All end with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def run(argv: list[str], url: str, **environment: str) -> None:
        log = tmp_path / f"{len(running)}.log"
        with log.open("wb") as stream:
            running.append(subprocess.Popen(argv, stdout=stream, stderr=stream, env=environment))
        end = time.monotonic() + LIMIT
        while not answers(url):
            assert running[-1].poll() is None and time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.1)

    yield run
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        process.wait(30)


class Cluster:
    """A Kube for one sampler, which is its own gateway too, and for Jaeger, on ports of this machine."""

    def __init__(self, otlp: int, metrics: int, query: int) -> None:
        self.ports = {"otlp": otlp, "metrics": metrics, "query": query}

    def list(self, _path: str, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        name = label_selector.rpartition("=")[2]
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"name": name, "uid": name}, "status": ready}]

    def proxy(self, kind: str, _namespace: str, _name: str, _port: int | str, path: str, method: str = "GET",
              query: Any = None, body: Any = None, headers: Any = None, **_options: Any) -> Response:  # fmt: skip
        port = self.ports["query" if kind == "services" else "otlp" if path == "v1/traces" else "metrics"]
        url = f"http://127.0.0.1:{port}/{path}?{urlencode(query or {})}"
        request = urllib.request.Request(url, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Response(answer.status, {}, answer.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, {}, error.read())
        except OSError as error:
            raise Unreachable("no answer", str(error)) from error


@pytest.fixture
def store() -> Iterator[tuple[str, Store]]:
    with simulated_aws() as url:
        made = Store.connect({"endpoint_url": url, "region": "us-east-1", "access_key": KEY, "secret_key": KEY})
        with urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT"), timeout=10) as answer:
            assert answer.status == 200
        yield url, made
        made.close()


@pytest.fixture
def lab(
    render: Callable[..., Any], pick: Callable[..., Any], start: Callable[..., None], store: tuple[str, Store],
    tmp_path: Path,
) -> Callable[..., Proof]:  # fmt: skip
    """Runs the proof on servers with the configurations that the roles make."""
    jaeger, otelcol = program("ORION_JAEGER", "jaeger"), program("ORION_OTELCOL", "otelcol")
    ports = dict(zip((4317, 4318, 8888, 13133, 16685, 16686), free_ports(6), strict=True))
    values = {"jaeger": {"enabled": True}}
    text = pick(render(CHART, values, "local-backends"), "ConfigMap", "jaeger")["data"]["jaeger.yaml"]
    text = text.replace("host: 0.0.0.0", "host: 127.0.0.1").replace("port: 8888", f"port: {ports[8888]}")
    for port, here in ports.items():
        text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{here}")
    (tmp_path / "jaeger.yaml").write_text(text.replace("/var/lib/jaeger", str(tmp_path)))
    # Traces of its own go to port 4317, where nothing is: it would try for ten seconds when it ends.
    start(
        [jaeger, f"--config={tmp_path / 'jaeger.yaml'}"], f"http://127.0.0.1:{ports[13133]}/status",
        OTEL_TRACES_SAMPLER="always_off",
    )  # fmt: skip

    url, bucket = store
    plain = {"insecure": True}
    variables = {
        **role_defaults("collector"),
        "tracing_namespace": "tracing",
        "tracing_store": "otlp",
        "tracing_region": "us-east-1",
        "collector_decision_wait": "1s",
        "collector_exporters": [
            {"name": "jaeger", "protocol": "http", "endpoint": f"http://127.0.0.1:{ports[4318]}", "tls": plain},
            {"name": "recordings", "protocol": "s3", "bucket": BUCKET, "prefix": "recordings", "endpoint": url,
             "tls": plain, "credentials_secret": "s3"},
        ],
    }  # fmt: skip
    config = collector_values(variables)[0]["sampler"]["config"]
    otlp, metrics = free_ports(2)
    config["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{otlp}"}}
    for extension in {"health_check", "zpages", "pprof"} & set(config["extensions"]):
        config["extensions"][extension]["endpoint"] = "127.0.0.1:0"
    reader = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    reader |= {"host": "127.0.0.1", "port": metrics}
    (tmp_path / "sampler.yaml").write_text(yaml.safe_dump(config))
    start(
        [otelcol, f"--config={tmp_path / 'sampler.yaml'}"], f"http://127.0.0.1:{metrics}/metrics",
        MY_POD_IP="127.0.0.1", MY_POD_NAME="sampler-0", AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=KEY,
    )  # fmt: skip

    def prove(read: bool = True, recordings: str = "recordings", limit: float = LIMIT) -> Proof:
        kube: Any = Cluster(otlp, metrics, ports[16686])
        settings = probe.ProbeSettings(
            config["processors"]["tail_sampling"],
            critical_route="/api/v1/orders",
            dropped_route="/health",
            search_name=Jaeger.search_name if read else "",
            reads_back=read,
            recordings=f"s3://{BUCKET}/{recordings}",
        )

        def recording(begin: datetime) -> S3Recording:
            return S3Recording(bucket, settings.recordings, Range(begin))

        jaeger_reader = Jaeger(kube, "local-backends") if read else None
        pipeline = Pipeline(kube, "tracing", Selectors(distributor="", ingester=""))
        return Probe(pipeline, jaeger_reader, settings, os.urandom(8).hex(), limit, recording=recording).run()

    return prove


def test_the_proof_on_jaeger_and_a_recording(lab: Callable[..., Proof]) -> None:
    proof = lab()
    assert proof.passed, [check for check in proof.checks if not check["passed"]]
    assert [check["name"] for check in proof.checks][-2:] == [
        "found by Jaeger search",
        "recorded objects in the bucket",
    ]
    assert "TraceQL and blocks in the bucket are not proven: the store is Jaeger" in proof.notes
    alone = lab(read=False)
    assert alone.passed, alone.checks
    assert alone.checks[-1]["name"] == "recorded objects in the bucket"


def test_a_recording_that_is_not_there_fails(lab: Callable[..., Proof]) -> None:
    proof = lab(read=False, recordings="elsewhere", limit=LIMIT / 2)
    assert [check["name"] for check in proof.checks if not check["passed"]] == ["recorded objects in the bucket"]
    assert "holds nothing" in proof.checks[-1]["observed"]
