# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Collectors as the role configures them, with the real program on loopback, and servers that they send to."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import SECRET_DIRECTORY
from ansible_collections.orion.tracing.plugins.module_utils.collector.queues import QUEUE_DIRECTORY
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

LIMIT = 60.0
# The trace id of a span in protobuf: field 1 of 16 bytes. What only looks like one must not hide one that follows.
TRACE_ID = re.compile(rb"(?=\x0a\x10(.{16}))", re.DOTALL)
# Of a Secret, name → key → value.
Secrets = Mapping[str, Mapping[str, str]]


def until(done: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, f"{what}: not within {LIMIT:g} s"
        time.sleep(0.1)


def program(variable: str, name: str) -> str:
    path = os.environ.get(variable, "")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{name} is needed: set {variable} (`python -m airgap path {name}` prints its path)")
    return path


def failed_request(trace_id: str, **attributes: str) -> dict[str, Any]:
    """An OTLP document of one span with an error, which every sampler keeps."""
    now = time.time_ns()
    span = {
        "traceId": trace_id, "spanId": trace_id[16:], "name": "pay", "kind": 2, "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1000), "status": {"code": otlp.STATUS_ERROR},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


class Sampler:
    """A sampler with the role's configuration of the variables, its ports and folders exchanged.

    secrets: what kubelet would find in the namespace. Their keys become files and environment as the chart says.
    """

    tier = "sampler"

    def __init__(
        self, otelcol: str, folder: Path, variables: Mapping[str, Any], secrets: Secrets | None = None
    ) -> None:
        self.otelcol, self.folder, self.secrets = otelcol, folder, folder / "secrets"
        self.http, self.metrics = free_ports(2)
        self.processes: list[subprocess.Popen[bytes]] = []
        given = {
            **role_defaults("collector"),
            "tracing_namespace": "tracing",
            "collector_decision_wait": "1s",
            "collector_tempo_endpoint": "http://127.0.0.1:9",
            **variables,
        }
        values = collector_values(given)[0][self.tier]
        self.environment = {"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "sampler-0", "AWS_EC2_METADATA_DISABLED": "true"}
        for item in values["secretEnv"]:
            self.environment[item["name"]] = (secrets or {})[item["secret"]][item["key"]]
        self.files = {item["path"]: (secrets or {})[item["secret"]][item["key"]] for item in values["secretFiles"]}
        self.mount(self.files)
        self.config: dict[str, Any] = yaml.safe_load(
            yaml.safe_dump(values["config"])
            .replace(SECRET_DIRECTORY, str(self.secrets))
            .replace(QUEUE_DIRECTORY, str(folder / "queue"))
        )
        self.config["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{self.http}"}}
        for extension in ("health_check", "zpages", "pprof"):
            self.config["extensions"][extension]["endpoint"] = "127.0.0.1:0"
        for receiver, settings in self.config["receivers"].items():
            if f"otlp_grpc/{receiver.partition('/')[2]}" in self.config["exporters"]:
                [port] = free_ports()
                endpoint = settings["protocols"]["grpc"]["endpoint"] = f"127.0.0.1:{port}"
                self.config["exporters"][f"otlp_grpc/{receiver.partition('/')[2]}"]["endpoint"] = endpoint
        reader = self.config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        reader |= {"host": "127.0.0.1", "port": self.metrics}

    def mount(self, files: Mapping[str, str]) -> None:
        """Write the files as kubelet does: into a folder of their own, to which a link is exchanged at once.

        Source: AtomicWriter in pkg/volume/util/atomic_writer.go of Kubernetes
        """
        folder = self.secrets / f"..{time.time_ns()}"
        folder.mkdir(parents=True)
        for name, value in files.items():
            (folder / name).write_text(value)
        old = self.secrets / "..data"
        before = old.resolve() if old.is_symlink() else None
        (self.secrets / "..data_tmp").symlink_to(folder.name)
        (self.secrets / "..data_tmp").rename(old)
        for name in files:
            if not (self.secrets / name).is_symlink():
                (self.secrets / name).symlink_to(f"..data/{name}")
        if before:
            for file in before.iterdir():
                file.unlink()
            before.rmdir()

    def start(self) -> None:
        (self.folder / "sampler.yaml").write_text(yaml.safe_dump(self.config))
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [self.otelcol, f"--config={self.folder / 'sampler.yaml'}"], stdout=log, stderr=log,
                    env=self.environment,
                )
            )  # fmt: skip

        def ready() -> bool:
            assert self.processes[-1].poll() is None, self.log()
            # Its telemetry answers before its receivers do.
            return (self.folder / "log").read_text().count("Everything is ready") == len(self.processes)

        until(ready, "the sampler's start")

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def value(self, metric: str, **labels: str) -> float | None:
        """Sum over the metric's series for traces with these labels, None where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [
            line for line in lines
            if line.startswith(f"otelcol_{metric}") and 'data_type="metrics"' not in line
            and all(label in line for label in wanted)
        ]  # fmt: skip
        return sum(float(line.rsplit(" ", 1)[1]) for line in found) if found else None

    def send(self, document: dict[str, Any], signal: str = "traces") -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/v1/{signal}",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def kill(self) -> None:
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait(30)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(30)


class Gateway(Sampler):
    """A gateway, without what needs a cluster: attributes of pods, and samplers."""

    tier = "gateway"

    def __init__(
        self, otelcol: str, folder: Path, variables: Mapping[str, Any], secrets: Secrets | None = None
    ) -> None:
        own = {
            "collector_jaeger_enabled": False,
            "collector_zipkin_enabled": False,
            "collector_resource_detectors": ["env"],
        }
        super().__init__(otelcol, folder, own | dict(variables), secrets)
        del self.config["processors"]["k8s_attributes"]
        for pipeline in self.config["service"]["pipelines"].values():
            pipeline["processors"] = [name for name in pipeline["processors"] if name != "k8s_attributes"]
        self.config["exporters"]["load_balancing"]["resolver"] = {"static": {"hostnames": ["127.0.0.1:9"]}}


@dataclass
class Request:
    """One request as it arrived; body: decompressed where that is gzip."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: str = ""


@dataclass
class Receiver:
    """An HTTP server that keeps what it gets, on a port of its own. It listens after start() alone.

    answer: status and body for a request. tls: of the server; the common name of a client's certificate is the peer.
    """

    port: int = field(default_factory=lambda: free_ports()[0])
    answer: Callable[[Request], tuple[int, bytes]] = lambda _request: (200, b"")
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                peer = self.connection.getpeercert() if receiver.tls else None  # type: ignore[attr-defined]
                name = dict(part[0] for part in peer["subject"])["commonName"] if peer else ""
                request = Request("POST", self.path, dict(self.headers.items()), body, name)
                status, answer = receiver.answer(request)
                receiver.requests.append(request)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def end(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def arrived(self, traces: Iterable[str]) -> dict[str, int]:
        """How many spans of each trace are in what arrived, as OTLP protobuf."""
        found = Counter(match[1].hex() for request in list(self.requests) for match in TRACE_ID.finditer(request.body))
        return {trace: found[trace] for trace in traces}
