# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real collector with many tail_sampling processors beside each other, fed by one OTLP receiver for each group.

    otlp/0 -> traces/0: tail_sampling/0 -> otlp_http/0 -> sink, path /0
           -> traces/1: tail_sampling/1 -> otlp_http/1 -> sink, path /1
    otlp/1 -> traces/2: ...

Every processor of a group is given every request of the group, in the order sent, so one process answers for hundreds
of policy lists. All ports are on loopback. Nothing is waited for by time: when the collector ends, its
processors decide on all they have, and its exporters send all they hold.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml
from ansible_collections.orion.tracing.tests.ports import free_ports

LIMIT = 120.0
METRIC = "otelcol_processor_tail_sampling_"
# What can become of a trace: a decision, eviction before it, or the end at maximum_trace_size_bytes.
FATES = tuple(METRIC + name for name in ("global_count_traces_sampled", "sampling_trace_dropped_too_early",
                                         "traces_dropped_too_large"))  # fmt: skip
Spans = dict[str, set[str]]  # trace id -> ids of the spans that were kept


class DidNotStart(Exception):
    """The collector ended by itself; the message is the end of its log."""


class Running:
    """A collector with any configuration, in a folder of its own. As a context manager; stop() ends it.

    It ends by SIGINT, which it is started without: a collector that is told to end before it heeds signals dies with
    what it holds. From when on it does is seen in /proc, since Go leaves a signal ignored until somebody asks for it.
    """

    def __init__(self, binary: str, folder: Path, config: Mapping[str, Any], **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "collector.yaml").write_text(yaml.safe_dump(dict(config), allow_unicode=True))
        self._log = folder / "collector.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, f"--config={folder / 'collector.yaml'}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", **environment},
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
            )
        end, pause = time.monotonic() + LIMIT, threading.Event()
        while not self._heeds_signals():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise DidNotStart(self._log.read_text()[-3000:])
            pause.wait(0.03)

    def _heeds_signals(self) -> bool:
        caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        return bool(caught and int(caught[1], 16) & 1 << signal.SIGINT - 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Ends the collector, which sends all it holds."""
        self.process.send_signal(signal.SIGINT)
        code, log = self.process.wait(LIMIT), self._log.read_text()
        assert code == 0 and "Dropping data" not in log, (code, log[-3000:])


class Sink:
    """An OTLP/HTTP server that notes the spans it is given, by the first part of the path, and when each came."""

    def __init__(self, paths: int) -> None:
        self.kept: list[Spans] = [{} for _number in range(paths)]
        self.first: list[dict[str, float]] = [{} for _number in range(paths)]  # trace id -> Unix seconds
        lock = threading.Lock()
        kept, first = self.kept, self.first

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                now = time.time()
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                place = int(self.path.split("/")[1])
                with lock:
                    for resource in document["resourceSpans"]:
                        for scope in resource["scopeSpans"]:
                            for span in scope["spans"]:
                                kept[place].setdefault(span["traceId"], set()).add(span["spanId"])
                                first[place].setdefault(span["traceId"], now)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Processor:
    """Settings of one tail_sampling processor as they stand in a configuration file, and the group that feeds it.

    at_once: an export is over before the next decision is made; else exporters collect what they send, as whole
    batches cost less. before: processors by name that spans go through first, in this order.
    """

    settings: Mapping[str, Any]
    group: int = 0
    at_once: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)

    def names(self, number: int) -> list[str]:
        """Of all its processors, in a configuration where it has this number."""
        return [
            *(f"{name}-{number}" if "/" in name else f"{name}/{number}" for name in self.before),
            f"tail_sampling/{number}",
        ]


QUEUE = {
    "enabled": True,
    "num_consumers": 1,
    "sizer": "items",
    "queue_size": 10_000_000,
    "batch": {"flush_timeout": "60s", "min_size": 5_000, "max_size": 20_000},
}


def configuration(processors: Sequence[Processor], ports: Sequence[int], sink: int) -> dict[str, Any]:
    """ports: that of the metrics, then those of the groups."""
    exporter = {
        "encoding": "json",
        "compression": "none",
        "timeout": "30s",
        "retry_on_failure": {"enabled": True, "initial_interval": "100ms", "max_elapsed_time": "0s"},
    }
    numbered = list(enumerate(processors))
    return {
        "receivers": {
            f"otlp/{group}": {
                "protocols": {"http": {"endpoint": f"127.0.0.1:{port}", "max_request_body_size": 1 << 28}}
            }
            for group, port in enumerate(ports[1:])
        },
        "processors": {
            name: dict(settings)
            for k, one in numbered
            for name, settings in zip(one.names(k), [*one.before.values(), one.settings], strict=True)
        },
        "exporters": {
            f"otlp_http/{k}": {
                **exporter,
                "endpoint": f"http://127.0.0.1:{sink}/{k}",
                "sending_queue": {"enabled": False} if one.at_once else QUEUE,
            }
            for k, one in numbered
        },
        "service": {
            "telemetry": {
                "logs": {"level": "warn", "sampling": {"enabled": False}},
                "metrics": {
                    "level": "normal",
                    "readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": ports[0]}}}}],
                },
            },
            "pipelines": {
                f"traces/{k}": {
                    "receivers": [f"otlp/{one.group}"],
                    "processors": one.names(k),
                    "exporters": [f"otlp_http/{k}"],
                }
                for k, one in numbered
            },
        },
    }


def _dumped(config: Mapping[str, Any]) -> str:
    """As YAML, by libyaml where it is there: a tenth of the time."""
    return yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True)


class Collector:
    """One run. As a context manager; stop() ends it and gives the spans that each processor kept."""

    def __init__(self, binary: str, folder: Path, processors: Sequence[Processor]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        groups = 1 + max(one.group for one in processors)
        self._sink = Sink(len(processors))
        self._log = folder / "collector.log"
        self._config = folder / "collector.yaml"
        try:
            self._ports = free_ports(1 + groups)
            config = configuration(processors, self._ports, self._sink.port)
            self._config.write_text(_dumped(config))
            with self._log.open("wb") as log:
                argv = [binary, f"--config={self._config}"]
                self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
            self.until("the receivers' ports", self._listens)
            self._connections = [self._connect(port) for port in self._ports[1:]]
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _connect(port: int) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _listens(self) -> bool:
        for port in self._ports:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)):
                    return False
        return True

    def until(self, what: str, true: Callable[[], bool]) -> None:
        end, pause = time.monotonic() + LIMIT, threading.Event()
        while not true():
            if self.process.poll() is not None:
                raise DidNotStart(self._log.read_text()[-3000:])
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {LIMIT:.0f} s; log: {self._log.read_text()[-3000:]}")
            pause.wait(0.03)

    def send(self, body: bytes, group: int = 0) -> float:
        """Gives one OTLP/JSON request to all processors of a group; Unix seconds when that was done."""
        connection = self._connections[group]
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200 and b"rejectedSpans" not in text, (response.status, text[:500])
        return time.time()

    def metric(self, name: str) -> float:
        """The sum of a counter over all processors and attributes; 0 before its first increment."""
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[0], timeout=LIMIT)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.findall(rf"^{name}(?:_ratio)?(?:_total)?(?:{{[^\n]*}})? ([0-9.e+]+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def wait(self, traces: int) -> None:
        """Until something became of so many traces, counted over all processors."""
        self.until("decisions", lambda: sum(map(self.metric, FATES)) >= traces)

    def stop(self) -> list[Spans]:
        """Ends the collector, which flushes its queues; what every processor kept."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        log = self._log.read_text()
        assert code == 0 and "Dropping data" not in log, (code, log[-3000:])
        return self._sink.kept

    @property
    def exported(self) -> list[dict[str, float]]:
        """For every processor, trace id -> when its first span came to the sink, Unix seconds."""
        return self._sink.first

    def close(self) -> None:
        if hasattr(self, "process") and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._sink.close()


def keep(binary: str, folder: Path, settings: Sequence[Mapping[str, Any]], requests: Sequence[bytes]) -> list[Spans]:
    """What processors with these settings keep of the requests.

    They decide when the collector ends, which is as at the ticks of their timer: all at once, and after everything has
    arrived, however long that takes. So decision_wait has to be longer than the sending.
    """
    with Collector(binary, folder, [Processor(one) for one in settings]) as collector:
        for body in requests:
            collector.send(body)
        return collector.stop()


def refusal(binary: str, folder: Path, policies: list[dict[str, Any]]) -> str | None:
    """Why the collector does not start with these policies; None if it does."""
    try:
        with Collector(binary, folder, [Processor({"policies": policies})]):
            return None
    except DidNotStart as error:
        return str(error)


def validate_file(binary: str, folder: Path, config: Mapping[str, Any]) -> str:
    """What `otelcol validate` says of a configuration, '' if it finds nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "collector.yaml"
    path.write_text(_dumped(config))
    done = subprocess.run(
        [binary, "validate", f"--config={path}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip
    assert bool(done.returncode) == bool(done.stderr), (done.returncode, done.stderr[-3000:])
    return done.stderr


def validate(binary: str, folder: Path, settings: Mapping[str, Any]) -> str:
    """The same, of a processor with these settings: one line for each value that cannot be decoded."""
    return validate_file(binary, folder, configuration([Processor(settings)], free_ports(2), 1))
