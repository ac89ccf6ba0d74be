# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tempo's program on loopback with generated configurations, and what it needs around it: an S3 store and a receiver of
remote write.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.local.credentials import new_certificate
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo, traceql
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.unit.charts import tempo_configs as configs
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

LIMIT = 120.0
BUCKET = "orion-traces"
KEYS = {"AWS_ACCESS_KEY_ID": "orion", "AWS_SECRET_ACCESS_KEY": "not-to-be-shown"}
PROXY = "/api/v1/namespaces/tracing/services/http:tempo-query-frontend:3200/proxy"
PORTS = ("http", "grpc", "otlp-grpc", "otlp-http", "gossip")


def ports_by_name() -> dict[str, int]:
    return dict(zip(PORTS, free_ports(len(PORTS)), strict=True))


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@contextmanager
def s3_store(folder: Path) -> Iterator[tuple[str, Any]]:
    """host:port of a simulated S3 behind TLS, whose CA is in ca.crt of the folder, and a client for it."""
    for name, content in new_certificate(["127.0.0.1"], datetime.now(UTC)).items():
        (folder / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    app = DomainDispatcherApplication(create_backend_app)
    with make_server("127.0.0.1", 0, app, True, request_handler=Quiet, ssl_context=context) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        client = boto3.client(
            "s3",
            endpoint_url=f"https://{host}",
            verify=str(folder / "ca.crt"),
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=BUCKET)
        yield host, client
        server.shutdown()


@contextmanager
def remote_write() -> Iterator[tuple[str, list[str]]]:
    """URL of a receiver of remote write, and the paths of what it was given."""
    given: list[str] = []

    class Receiver(Handler):
        def do_POST(self) -> None:
            self.body()
            given.append(self.path)
            self.answer(204, b"")

    with serving(Receiver) as url:
        yield f"{url}/api/v1/write", given


class Server:
    """Tempo, or one of its components, on free ports of loopback.

    changes: of the generated configuration, what only this process has, such as its place in a ring.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        variables: Mapping[str, Any],
        target: str = "all",
        changes: Mapping[str, Any] | None = None,
        ports: Mapping[str, int] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.ports = dict(ports or ports_by_name())
        self.program, self.folder, self.target = program, folder, target
        self.process: subprocess.Popen[bytes] | None = None
        self.env = {**KEYS, **(env or {})}
        self.accepted = 0
        generated = overlay(configs.config_of(dict(variables)), self._places())
        text = configs.text_of(overlay(generated, changes or {}))
        text = text.replace("/var/tempo", str(folder / "data" / target))
        assert "0.0.0.0" not in text
        assert not set(self.env.values()) & set(text.split())
        (folder / f"{target}.yaml").write_text(text)

    def _places(self) -> dict[str, Any]:
        def local(name: str) -> dict[str, str]:
            return {"endpoint": f"127.0.0.1:{self.ports[name]}"}

        return {
            "server": {
                "http_listen_address": "127.0.0.1",
                "http_listen_port": self.ports["http"],
                "grpc_listen_address": "127.0.0.1",
                "grpc_listen_port": self.ports["grpc"],
            },
            "distributor": {
                "receivers": {"otlp": {"protocols": {"grpc": local("otlp-grpc"), "http": local("otlp-http")}}}
            },
            "memberlist": {"bind_addr": ["127.0.0.1"], "bind_port": self.ports["gossip"]},
            "storage": {"trace": {"s3": {"tls_ca_path": str(self.folder / "ca.crt")}}},
            # Upstream's 15 s between two pushes of metrics.
            "metrics_generator": {"registry": {"collection_interval": "1s"}},
        }

    def begin(self, *flags: str) -> None:
        argv = [self.program, f"-config.file={self.folder / self.target}.yaml", f"-target={self.target}", *flags]
        with (self.folder / f"{self.target}.log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=self.env)

    def start(self, *flags: str) -> None:
        self.begin(*flags)
        self.until_ready()

    def until_ready(self) -> None:
        self.until(lambda: self.get("/ready")[0] == 200, "ready")

    def kill(self) -> None:
        """A single instance does not always end when asked to (roles/tempo/README.md)."""
        if self.process:
            self.process.kill()
            self.process.wait(LIMIT)

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=LIMIT) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def until(self, done: Callable[[], Any], what: str) -> Any:
        """The first answer of done that says something."""
        end = time.monotonic() + LIMIT
        while not (answer := done()):
            log = (self.folder / f"{self.target}.log").read_text()[-3000:]
            assert self.process and self.process.poll() is None, f"{self.target} has ended: {log}"
            assert time.monotonic() < end, f"{self.target}, {what}: not within {LIMIT:g} s: {log}"
            time.sleep(0.1)
        return answer

    def send(self, document: otlp.Document) -> tuple[int, str]:
        """Status and Retry-After of the answer to OTLP/HTTP."""
        url = f"http://127.0.0.1:{self.ports['otlp-http']}/v1/traces"
        request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                self.accepted += 1
                return answer.status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Retry-After", "")


@contextmanager
def reader_of(server: Server) -> Iterator[Tempo]:
    """The collection's reader, behind an API server that forwards as the real one does."""

    class ApiServer(Handler):
        def do_GET(self) -> None:
            assert self.path.startswith(PROXY), self.path
            self.answer(*server.get(self.path.removeprefix(PROXY)))

    with serving(ApiServer) as url:
        kube = Kube.connect({"host": url})
        try:
            yield Tempo(kube, "tracing")
        finally:
            kube.close()


def trace(route: str, padding: int = 0, age: int = 0) -> tuple[str, otlp.Document]:
    """A trace of a client and a server whose spans are of this route; the second one failed and took 1.2 s.

    age: seconds since its end."""
    trace_id, parent, now = otlp.new_id(32), otlp.new_id(16), time.time_ns() - age * 10**9
    values = {"http.route": route, "padding": "x" * padding}
    spans = [
        otlp.span(trace_id, parent, "", "GET", "CLIENT", now - 1_300_000_000, now, values),
        otlp.span(
            trace_id, otlp.new_id(16), parent, f"GET {route}", "SERVER", now - 1_250_000_000, now - 50_000_000, values,
            error="no such order",
        ),
    ]  # fmt: skip
    documents = [
        otlp.request({"service.name": service}, "test", [span])
        for service, span in zip(("shop", "orders"), spans, strict=True)
    ]
    return trace_id, otlp.merge(documents)


def reads_the_newest(server: Server, reader: Tempo) -> None:
    """A search that finds more than it may give. The first one sent is the newest."""
    sent = [trace("/orders/many", age=age) for age in (5, 10, 15, 20)]
    for _trace_id, document in sent:
        server.until(lambda document=document: server.send(document)[0] == 200, "accepted")  # type: ignore[misc]
    criteria = Criteria(attributes={"http.route": "/orders/many"})
    server.until(lambda: len(reader.search(criteria, *around(), 10)) == 4, "all traces")
    for limit in (1, 2):
        assert set(reader.search(criteria, *around(), limit)) == {trace_id for trace_id, _document in sent[:limit]}
    # A search that has hints is asked as it is.
    text = traceql(criteria) + " with (most_recent=false)"
    assert len(reader.search_traceql(text, *around(), 10)) == 4


def around() -> tuple[int, int]:
    return int(time.time()) - 600, int(time.time()) + 60
