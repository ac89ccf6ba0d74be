# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The persistent queue as the role configures it, with the real collector: nothing that was kept is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils import otlp
from ansible_collections.orion.tracing.plugins.module_utils.collector_config import collector_values

DEFAULTS = Path(__file__).resolve().parents[3] / "roles/collector/defaults/main.yml"
LIMIT = 60.0
TRACES = [f"{number:032x}" for number in range(1, 41)]


def until(done: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, f"{what}: not within {LIMIT:g} s"
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _number in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Tempo:
    """Counts how often each of TRACES arrives; listens only after start()."""

    def __init__(self, port: int) -> None:
        self.port, self.arrived = port, dict.fromkeys(TRACES, 0)
        self.server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        arrived = self.arrived

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = zlib.decompress(body, 31)
                for trace_id in TRACES:
                    arrived[trace_id] += body.count(bytes.fromhex(trace_id))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Sampler:
    """A sampler with the role's configuration, its ports and folders exchanged."""

    def __init__(self, otelcol: str, folder: Path, tempo: int) -> None:
        self.otelcol, self.folder = otelcol, folder
        self.http, self.metrics = free_ports(2)
        self.processes: list[subprocess.Popen[bytes]] = []
        variables = {
            **yaml.safe_load(DEFAULTS.read_text()),
            "tracing_namespace": "tracing",
            "collector_persistent_queue_enabled": True,
            "collector_tempo_endpoint": f"http://127.0.0.1:{tempo}",
            "collector_decision_wait": "1s",
        }
        config = collector_values(variables)[0]["sampler"]["config"]
        config["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{self.http}"}}
        for extension in ("health_check", "zpages", "pprof"):
            config["extensions"][extension]["endpoint"] = "127.0.0.1:0"
        storage = config["extensions"]["file_storage/tempo"]
        storage["directory"] = storage["compaction"]["directory"] = str(folder / "queue")
        reader = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        reader |= {"host": "127.0.0.1", "port": self.metrics}
        (folder / "sampler.yaml").write_text(yaml.safe_dump(config))

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [self.otelcol, f"--config={self.folder / 'sampler.yaml'}"], stdout=log, stderr=log,
                    env={"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "sampler-0"},
                )
            )  # fmt: skip
        until(lambda: self.value("process_uptime") is not None, "the sampler's start")

    def value(self, metric: str) -> float | None:
        """Sum over the metric's series for traces, None where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        found = [line for line in lines if line.startswith(f"otelcol_{metric}") and 'data_type="metrics"' not in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found) if found else None

    def send(self, document: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/v1/traces",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def kill(self) -> None:
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait(30)


def failed_request(trace_id: str) -> dict[str, Any]:
    now = time.time_ns()
    span = {
        "traceId": trace_id, "spanId": trace_id[16:], "name": "pay", "kind": 2, "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1000), "status": {"code": otlp.STATUS_ERROR},
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[tuple[Sampler, Tempo]]:
    otelcol = os.environ.get("ORION_OTELCOL", "")
    if not os.access(otelcol, os.X_OK):
        pytest.fail("the collector's binary is needed: set ORION_OTELCOL (`python -m airgap path otelcol` prints it)")
    [port] = free_ports(1)
    tempo = Tempo(port)
    sampler = Sampler(otelcol, tmp_path, port)
    yield sampler, tempo
    for process in sampler.processes:
        process.kill()
        process.wait(30)
    if tempo.server:
        tempo.server.shutdown()
        tempo.server.server_close()


def test_kept_spans_survive_tempo_and_the_sampler_both_gone(platform: tuple[Sampler, Tempo]) -> None:
    """Tempo away, sampler killed and started anew, Tempo back: each span arrives, and once."""
    sampler, tempo = platform
    sampler.start()
    for trace_id in TRACES:
        sampler.send(failed_request(trace_id))
    until(lambda: sampler.value("exporter_queue_size") == len(TRACES), "the queue")
    sampler.kill()
    sampler.start()
    assert sampler.value("exporter_queue_size") == len(TRACES)
    tempo.start()
    until(lambda: sampler.value("exporter_queue_size") == 0, "the end of the queue")
    assert tempo.arrived == dict.fromkeys(TRACES, 1)
