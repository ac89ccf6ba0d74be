# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Spans per CPU-second of gateway and samplers, with the configuration that the role ships, on loopback.

One gateway and two samplers run as processes; Tempo and Prometheus are sinks that count and forget. What needs a
cluster is exchanged: the k8s resolver for a static one, k8s_attributes and the cloud's detectors for nothing. A
recording is encoded as OTLP protobuf in advance and sent over HTTP with one request for each trace, and again with one
for each resource of a trace, as the services themselves would send. The CPU time is that of the three processes, from
the first request until every trace is decided and every kept span has arrived, and each sampler has written metrics.
It is a figure to compare configurations by, on a quiet machine, and no test.
usage: ORION_OTELCOL=... python tests/bench/tiers.py RECORDING.jsonl[.gz] [--set collector_x=1] [--gateway YAML] ...
"""

from __future__ import annotations

import argparse
import copy
import gzip
import http.client
import json
import os
import resource
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/collector"
TICKS = os.sysconf("SC_CLK_TCK")
LIMIT = 180.0


# OTLP/JSON to protobuf: opentelemetry/proto/{trace/v1/trace,common/v1/common,resource/v1/resource}.proto


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value) if value else b""


def _fixed(tag: int, value: int) -> bytes:
    return _varint(tag << 3 | 1) + struct.pack("<Q", value) if value else b""


def _bytes(tag: int, value: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(value)) + value


def _text(tag: int, value: str) -> bytes:
    return _bytes(tag, value.encode()) if value else b""


def _value(value: dict[str, Any]) -> bytes:
    [(kind, content)] = value.items()
    if kind == "stringValue":
        return _bytes(1, content.encode())
    if kind == "boolValue":
        return _varint(2 << 3) + _varint(int(content))
    if kind == "intValue":
        return _varint(3 << 3) + _varint(int(content))
    if kind == "doubleValue":
        return _varint(4 << 3 | 1) + struct.pack("<d", float(content))
    if kind == "arrayValue":
        return _bytes(5, b"".join(_bytes(1, _value(item)) for item in content.get("values", [])))
    raise ValueError(f"no encoding for {kind}")


def _attributes(tag: int, listed: list[dict[str, Any]]) -> bytes:
    return b"".join(_bytes(tag, _text(1, item["key"]) + _bytes(2, _value(item["value"]))) for item in listed)


def _span(span: dict[str, Any]) -> bytes:
    status = span.get("status") or {}
    events = (
        _fixed(1, int(event.get("timeUnixNano", 0)))
        + _text(2, event.get("name", ""))
        + _attributes(3, event.get("attributes", []))
        for event in span.get("events", [])
    )
    return b"".join(
        (
            _bytes(1, bytes.fromhex(span["traceId"])),
            _bytes(2, bytes.fromhex(span["spanId"])),
            _text(3, span.get("traceState", "")),
            _bytes(4, bytes.fromhex(span["parentSpanId"])) if span.get("parentSpanId") else b"",
            _text(5, span.get("name", "")),
            _number(6, int(span.get("kind", 0))),
            _fixed(7, int(span["startTimeUnixNano"])),
            _fixed(8, int(span["endTimeUnixNano"])),
            _attributes(9, span.get("attributes", [])),
            *(_bytes(11, event) for event in events),
            _bytes(15, _text(2, status.get("message", "")) + _number(3, int(status.get("code", 0)))),
        )
    )


def encode(resource_spans: dict[str, Any]) -> bytes:
    """One ResourceSpans as the field of an ExportTraceServiceRequest; such fields may be joined to a request."""
    scopes = b""
    for scope in resource_spans["scopeSpans"]:
        name = _bytes(1, _text(1, scope.get("scope", {}).get("name", "")))
        scopes += _bytes(2, name + b"".join(_bytes(2, _span(span)) for span in scope["spans"]))
    return _bytes(1, _bytes(1, _attributes(1, resource_spans.get("resource", {}).get("attributes", []))) + scopes)


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the length-delimited fields of a message; the others are passed over."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 0:
            varint()
        else:
            at += 8 if tag & 7 == 1 else 4


@dataclass
class Recording:
    requests: dict[str, list[bytes]] = field(default_factory=lambda: {"trace": [], "service": []})
    spans: dict[bytes, int] = field(default_factory=dict)  # of each trace

    @classmethod
    def read(cls, path: Path, limit: int) -> Recording:
        recording = cls()
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for number, line in enumerate(lines):
                if number == limit:
                    break
                parts = [encode(one) for one in json.loads(line)["resourceSpans"]]
                recording.requests["trace"].append(b"".join(parts))
                recording.requests["service"] += parts
                for trace_id in trace_ids(b"".join(parts)):
                    recording.spans[trace_id] = recording.spans.get(trace_id, 0) + 1
        return recording


def trace_ids(request: bytes) -> Iterator[bytes]:
    for _number, resource_spans in fields(request):
        for tag, scope in fields(resource_spans):
            for inner, span in fields(scope) if tag == 2 else ():
                if inner == 2:
                    yield dict(fields(span))[1]


class Sink:
    """Takes OTLP and remote write; counts spans by trace, and writes by sender."""

    def __init__(self) -> None:
        self.spans: dict[bytes, int] = {}
        self.traffic: dict[str, int] = {}
        self.bodies: list[tuple[str, bytes]] = []  # encoding and content of OTLP requests
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.traffic[self.path] = sink.traffic.get(self.path, 0) + len(body)
                if self.path == "/v1/traces":
                    sink.bodies.append((self.headers.get("Content-Encoding", ""), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self) -> int:
        """Spans that have arrived."""
        bodies, self.bodies = self.bodies, []
        for encoding, body in bodies:
            if encoding == "gzip":
                body = zlib.decompress(body, 31)
            for trace_id in trace_ids(body):
                self.spans[trace_id] = self.spans.get(trace_id, 0) + 1
        return sum(self.spans.values())


# The processes


@dataclass
class Collector:
    process: subprocess.Popen[bytes]
    health: int
    metrics: int
    pprof: int
    log: Path

    def cpu(self) -> float:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def memory(self) -> int:
        """The highest so far, MiB."""
        return self._status("VmHWM") // 2**20

    def resident(self) -> int:
        """Resident memory, bytes."""
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    def value(self, prefix: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(prefix))

    def healthy(self) -> bool:
        if self.process.poll() is not None:
            raise SystemExit(f"a collector has ended: {self.log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def wait(what: str, done: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {LIMIT:g} s")
        time.sleep(0.2)


def start(otelcol: str, folder: Path, name: str, config: dict[str, Any], environment: dict[str, str]) -> Collector:
    health, metrics, zpages, pprof = free_ports(4)
    for extension, port in (("health_check", health), ("zpages", zpages), ("pprof", pprof)):
        config["extensions"][extension]["endpoint"] = f"127.0.0.1:{port}"
    reader = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    reader |= {"host": "127.0.0.1", "port": metrics}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    log = folder / f"{name}.log"
    process = subprocess.Popen(
        [otelcol, f"--config={path}"], stdout=log.open("wb"), stderr=subprocess.STDOUT,
        env={"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": name, "PATH": os.environ["PATH"], **environment},
    )  # fmt: skip
    return Collector(process, health, metrics, pprof, log)


def shipped(changes: dict[str, Any], sink: Sink) -> dict[str, Any]:
    variables = {
        **role_defaults("collector"),
        "collector_resource_detectors": ["env"],
        "collector_decision_wait": "2s",
        "collector_tempo_endpoint": f"http://127.0.0.1:{sink.port}",
        "collector_remote_write_url": f"http://127.0.0.1:{sink.port}/write",
        "collector_jaeger_enabled": False,
        "collector_zipkin_enabled": False,
        "collector_sampler_replicas": 2,
        **changes,
    }
    return collector_values(variables)[0]


def runtime(tier: dict[str, Any]) -> dict[str, str]:
    return {"GOMEMLIMIT": tier["goMemLimit"], "GOGC": str(tier.get("goGC", 100))}


def send(port: int, requests: list[bytes], connections: int) -> None:
    """All requests in order, over so many connections; a refused one is sent again."""
    remaining = iter(requests)
    lock = threading.Lock()

    def run() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            with lock:
                body = next(remaining, None)
            if body is None:
                return
            while True:
                connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    break
                if answer.status not in (429, 503):
                    raise SystemExit(f"the gateway answers {answer.status}")
                time.sleep(0.1)

    with ThreadPoolExecutor(connections) as pool:
        for done in [pool.submit(run) for _connection in range(connections)]:
            done.result()


def measure(otelcol: str, recording: Recording, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    sink = Sink()
    values = shipped(dict(options.set), sink)
    gateway_port, *sampler_ports = free_ports(3)
    collectors: dict[str, Collector] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(options.keep or name)
        folder.mkdir(exist_ok=True)
        try:
            for number, port in enumerate(sampler_ports):
                config = overlay(copy.deepcopy(values["sampler"]["config"]), copy.deepcopy(options.sampler))
                config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] = f"127.0.0.1:{port}"
                if storage := config["extensions"].get("file_storage/tempo"):
                    storage["directory"] = storage["compaction"]["directory"] = str(folder / f"queue-{number}")
                environment = {**runtime(values["sampler"]), **dict(options.env)}
                collectors[f"sampler-{number}"] = start(otelcol, folder, f"sampler-{number}", config, environment)
            config = overlay(values["gateway"]["config"], copy.deepcopy(options.gateway))
            protocols = config["receivers"]["otlp"]["protocols"]
            del protocols["grpc"]
            protocols["http"]["endpoint"] = f"127.0.0.1:{gateway_port}"
            config["exporters"]["load_balancing"]["resolver"] = {
                "static": {"hostnames": [f"127.0.0.1:{port}" for port in sampler_ports]}
            }
            del config["processors"]["k8s_attributes"]
            config["service"]["pipelines"]["traces"]["processors"].remove("k8s_attributes")
            environment = {**runtime(values["gateway"]), **dict(options.env)}
            collectors["gateway"] = start(otelcol, folder, "gateway", config, environment)
            wait("the collectors' health", lambda: all(c.healthy() for c in collectors.values()))
            samplers = [c for n, c in collectors.items() if n != "gateway"]
            before = {name: c.cpu() for name, c in collectors.items()}
            profiles = profile(collectors, options.profile, folder)
            began = time.monotonic()
            send(gateway_port, recording.requests[mode], options.connections)
            sent = time.monotonic() - began
            traces = len(recording.spans)

            def over(listed: list[Collector], metric: str) -> list[float]:
                return [collector.value(f"otelcol_{metric}") for collector in listed]

            decided = "processor_tail_sampling_global_count_traces_sampled"
            wait("the decisions", lambda: sum(over(samplers, decided)) >= traces)
            wait("the queues", lambda: not any(over(list(collectors.values()), "exporter_queue_size")))
            exported = 'exporter_sent_spans{exporter="otlp_http/tempo"'
            wait("the sink", lambda: sink.count() >= sum(over(samplers, exported)))
            if "connectors" in values["sampler"]["config"]:
                wait("remote writes", lambda: all(over(samplers, "exporter_sent_metric_points")))
            cpu = {name: c.cpu() - before[name] for name, c in collectors.items()}
            for one in profiles:
                one.join()
            memory = {name: c.memory() for name, c in collectors.items()}
        finally:
            for collector in collectors.values():
                collector.process.terminate()
            for collector in collectors.values():
                collector.process.wait(60)
    spans = sum(recording.spans.values())
    total = sum(cpu.values())
    return {
        "mode": mode, "spans": spans, "requests": len(recording.requests[mode]), "seconds": round(sent, 1),
        "kept": len(sink.spans), "complete": sum(recording.spans[t] == n for t, n in sink.spans.items()),
        "cpu": {name: round(value, 2) for name, value in cpu.items()},
        "memory_mib": memory, "bytes": sink.traffic, "spans_per_cpu_second": round(spans / total),
    }  # fmt: skip


def profile(collectors: dict[str, Collector], seconds: int, folder: Path) -> list[threading.Thread]:
    def fetch(name: str, collector: Collector) -> None:
        url = f"http://127.0.0.1:{collector.pprof}/debug/pprof/profile?seconds={seconds}"
        with urllib.request.urlopen(url, timeout=seconds + 30) as answer:
            (folder / f"{name}.pprof").write_bytes(answer.read())

    threads = [threading.Thread(target=fetch, args=item) for item in collectors.items()] if seconds else []
    for thread in threads:
        thread.start()
    return threads


def main() -> None:
    def setting(text: str) -> tuple[str, Any]:
        name, _equals, value = text.partition("=")
        return name, yaml.safe_load(value)

    def variable(text: str) -> tuple[str, str]:
        name, _equals, value = text.partition("=")
        return name, value

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--set", type=setting, action="append", default=[], help="variable=value of the role")
    parser.add_argument("--env", type=variable, action="append", default=[], help="NAME=value for the collectors")
    parser.add_argument("--gateway", type=yaml.safe_load, default={}, help="YAML laid over the gateway's configuration")
    parser.add_argument("--sampler", type=yaml.safe_load, default={}, help="YAML laid over the samplers'")
    parser.add_argument("--mode", choices=("trace", "service"), action="append")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=int, default=-1, help="traces of the recording")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--profile", type=int, default=0, help="seconds of CPU profile, written to --keep")
    parser.add_argument("--keep", help="folder for configurations, logs and profiles")
    options = parser.parse_args()
    otelcol = os.environ.get("ORION_OTELCOL", "")
    if not otelcol:
        raise SystemExit("set ORION_OTELCOL")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    recording = Recording.read(options.recording, options.limit)
    for mode in options.mode or ("trace", "service"):
        for _round in range(options.rounds):
            print(json.dumps(measure(otelcol, recording, mode, options)), flush=True)


if __name__ == "__main__":
    main()
