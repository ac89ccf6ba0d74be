# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway, a sampler, Prometheus and Jaeger as the roles configure them, on loopback, with traces of a small shop."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.queries.stores import Ask
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.conftest import render_chart
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import Sampler, until

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "roles/local_backends/files/chart"
CLIENT, SERVER, INTERNAL, PRODUCER, CONSUMER = 3, 2, 1, 4, 5
SECOND = 10**9


RULES: dict[str, Any] = yaml.safe_load((ROOT / "roles/grafana/files/alerts/prometheus.yml").read_text())
VALUES: dict[str, Any] = {
    "jaeger": {"enabled": True},
    "prometheus": {"scrapeNamespaces": ["tracing"], "rules": RULES},
}


def config_map(name: str, key: str) -> str:
    """A configuration of the local_backends chart."""
    for item in render_chart(CHART, VALUES, "local-backends"):
        if (item["kind"], item["metadata"]["name"]) == ("ConfigMap", name):
            return str(item["data"][key])
    raise AssertionError(f"the chart has no ConfigMap {name}")


class Stack:
    """Programs: of otelcol, prometheus and jaeger, paths by name. end() ends all."""

    def __init__(self, folder: Path, programs: Mapping[str, Path]) -> None:
        self.folder, self.programs = folder, programs
        self.processes: list[subprocess.Popen[bytes]] = []
        self.prometheus, self.jaeger, self.otlp, self._metrics, self._sampler = free_ports(5)
        jaeger_otlp = self._start_jaeger()
        self.sampler = Sampler(
            str(programs["otelcol"]),
            folder,
            {
                "collector_tempo_endpoint": f"http://127.0.0.1:{jaeger_otlp}",
                "collector_remote_write_url": f"http://127.0.0.1:{self.prometheus}/api/v1/write",
            },
        )
        config = self.sampler.config
        config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{self._sampler}"}
        # Metrics at once: the role's 15 seconds, several times over, would be most of the test.
        for connector in config["connectors"].values():
            if connector:
                connector["metrics_flush_interval"] = "1s"
        config["connectors"]["service_graph"]["store"]["ttl"] = "2s"
        self._start_prometheus()
        self.sampler.start()
        self._start_gateway()

    def _run(self, name: str, url: str, *argv: str, **environment: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [self.programs[name], *argv], stdout=stream, stderr=stream, env=environment, cwd=self.folder
            )
        self.processes.append(process)

        def up() -> bool:
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return True
            except urllib.error.HTTPError:
                # Whatever it answers, it does.
                return True
            except OSError:
                return False

        until(up, f"the start of {name}")

    def _start_jaeger(self) -> int:
        """The port on which it takes OTLP."""
        text, ports = config_map("jaeger", "jaeger.yaml"), {16686: self.jaeger}
        ports |= dict(zip((4317, 4318, 8888, 13133, 16685), free_ports(5), strict=True))
        text = text.replace("host: 0.0.0.0", "host: 127.0.0.1").replace("port: 8888", f"port: {ports[8888]}")
        for port, here in ports.items():
            text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{here}")
        (self.folder / "jaeger.yaml").write_text(text.replace("/var/lib/jaeger", str(self.folder / "jaeger")))
        url = f"http://127.0.0.1:{ports[13133]}/status"
        self._run("jaeger", url, "--config=jaeger.yaml", OTEL_TRACES_SAMPLER="always_off")
        return ports[4318]

    def _start_prometheus(self) -> None:
        config = yaml.safe_load(config_map("prometheus", "prometheus.yml"))
        targets = [f"127.0.0.1:{self._metrics}", f"127.0.0.1:{self.sampler.metrics}"]
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = ["rules.yml"]
        (self.folder / "rules.yml").write_text(config_map("prometheus", "rules.yml"))
        config["scrape_configs"] = [{"job_name": "otel-collector", "static_configs": [{"targets": targets}]}]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._run(
            "prometheus",
            f"http://127.0.0.1:{self.prometheus}/-/ready",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=prometheus",
            f"--web.listen-address=127.0.0.1:{self.prometheus}",
            "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage",
        )

    def _start_gateway(self) -> None:
        variables = {
            **role_defaults("collector"),
            "tracing_namespace": "tracing",
            "collector_resource_detectors": ["env"],
            "collector_metrics_enabled": True,
            "collector_remote_write_url": f"http://127.0.0.1:{self.prometheus}/api/v1/write",
        }
        config = yaml.safe_load(yaml.safe_dump(collector_values(variables)[0]["gateway"]["config"]))
        config["receivers"] = {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.otlp}"}}}}
        traces = config["service"]["pipelines"]["traces"]
        traces["receivers"] = ["otlp"]
        # There is no cluster to ask.
        del config["processors"]["k8s_attributes"]
        traces["processors"].remove("k8s_attributes")
        config["exporters"]["load_balancing"]["resolver"] = {"static": {"hostnames": [f"127.0.0.1:{self._sampler}"]}}
        for extension in ("health_check", "zpages", "pprof"):
            config["extensions"][extension]["endpoint"] = "127.0.0.1:0"
        reader = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        reader |= {"host": "127.0.0.1", "port": self._metrics}
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(config))
        environment = {"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "gateway-0"}
        # Its telemetry answers before its receivers do.
        self._run("otelcol", f"http://127.0.0.1:{self.otlp}/v1/traces", "--config=gateway.yaml", **environment)

    def asker(self, port: int) -> Ask:
        def ask(path: str, query: Mapping[str, Any]) -> Any:
            url = f"http://127.0.0.1:{port}/{path}?{urlencode(query)}"
            try:
                with urllib.request.urlopen(url, timeout=20) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{error.code} for {path} {query}: {error.read()[:500]!r}") from error

        return ask

    def load(self) -> None:
        """A good request, one that fails, and one that takes 1.5 seconds."""
        for failed, seconds in ((False, 0.02), (True, 0.02), (False, 1.5)):
            self.send(order(failed, seconds))

    def send(self, document: Mapping[str, Any]) -> None:
        url, headers = f"http://127.0.0.1:{self.otlp}/v1/traces", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(document).encode(), headers), timeout=10):
            pass

    def end(self) -> None:
        self.sampler.end()
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(30)


def order(failed: bool, seconds: float, suffix: str = "") -> dict[str, Any]:
    """An order as OTLP: HTTP, a database, a broker, and a service that sends no spans. suffix: of all their names."""
    trace_id, end = secrets.token_hex(16), time.time_ns()
    spans: dict[str, list[dict[str, Any]]] = {}

    def span(service: str, name: str, kind: int, parent: str, error: bool = False, **attributes: str) -> str:
        span_id = secrets.token_hex(8)
        spans.setdefault(f"{service}{suffix}", []).append(
            {
                "traceId": trace_id,
                "spanId": span_id,
                "parentSpanId": parent,
                "name": name,
                "kind": kind,
                "startTimeUnixNano": str(end - round(seconds * SECOND)),
                "endTimeUnixNano": str(end),
                "status": {"code": 2} if error else {},
                "attributes": values({key.replace("__", "."): value for key, value in attributes.items()}),
            }
        )
        return span_id

    def values(attributes: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]

    def call(caller: str, parent: str, service: str, name: str, error: bool = False) -> str:
        client = span(caller, name.split()[0], CLIENT, parent, error, http__request__method=name.split()[0])
        return span(service, name, SERVER, client, error, http__request__method=name.split()[0])

    storefront = span("storefront", "POST /checkout", SERVER, "", failed)
    gateway = call("storefront", storefront, "gateway", "POST /api/v1/orders", failed)
    orders = call("gateway", gateway, "orders", "POST /orders", failed)
    stock = span("orders", "reserve stock", INTERNAL, orders)
    span("orders", "UPDATE stock", CLIENT, stock, db__system__name="postgresql", db__namespace=f"shop{suffix}")
    pricing = call("orders", orders, "pricing", "POST /price", failed)
    call("pricing", pricing, "fulfilment", "GET /shipping-cost")
    sent = span("orders", "send orders", PRODUCER, orders, messaging__system="kafka")
    consumed = span("fulfilment", "process orders", CONSUMER, sent, messaging__system="kafka")
    span("fulfilment", "GET", CLIENT, consumed, peer__service=f"carrier{suffix}")
    return {
        "resourceSpans": [
            {"resource": {"attributes": values({"service.name": name})}, "scopeSpans": [{"spans": own}]}
            for name, own in spans.items()
        ]
    }
