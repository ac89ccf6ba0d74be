# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real Tempo with the configuration that the role generates and blocks in S3, read by the collection's reader.

-config.verify=true starts nothing: what it cannot tell (receivers, processors, the S3 client, TLS) shows itself here.
One instance runs the monolithic profile with metrics-generator, prefix, private CA and keys. Of the generated
configuration, addresses and folders are exchanged, for loopback and a temporary folder, and one interval is shortened.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.local.credentials import new_certificate
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.unit.charts import tempo_configs as configs
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

pytestmark = pytest.mark.needs_tempo

LIMIT = 60.0
BUCKET, PREFIX = "orion-traces", "tempo/test"
KEYS = {"AWS_ACCESS_KEY_ID": "orion", "AWS_SECRET_ACCESS_KEY": "not-to-be-shown"}
PROXY = "/api/v1/namespaces/tracing/services/http:tempo-query-frontend:3200/proxy"
# One request larger than the burst is refused, with the time to wait.
BURST = 4_000_000
VARIABLES = {
    "tempo_profile": "monolithic",
    "tempo_s3_prefix": PREFIX,
    "tempo_s3_credentials_secret": "tempo-s3",
    "tempo_s3_ca_secret": "tempo-s3",
    "tempo_ingester_min_ready_duration": "1s",
    "tempo_ingester_trace_idle_period": "1s",
    "tempo_ingestion_burst_size_bytes": BURST,
    "tempo_metrics_generator_enabled": True,
    # Upstream searches the bucket only for what is older than 15 minutes: the ingesters have the rest.
    "tempo_extra_config": {"query_frontend": {"search": {"query_backend_after": "1s"}}},
}


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
    """Tempo on free ports of loopback."""

    def __init__(self, program: str, folder: Path, s3: str, remote_write_url: str) -> None:
        listened = ("http", "grpc", "otlp-grpc", "otlp-http", "gossip")
        sockets = [socket.create_server(("127.0.0.1", 0)) for _name in listened]
        self.ports = dict(zip(listened, (one.getsockname()[1] for one in sockets), strict=True))
        for one in sockets:
            one.close()
        self.program, self.folder = program, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.accepted = 0
        generated = configs.config_of(
            VARIABLES | {"tempo_s3_endpoint": s3, "tempo_metrics_generator_remote_write_url": remote_write_url}
        )
        text = configs.text_of(overlay(generated, self._places())).replace("/var/tempo", str(folder / "data"))
        assert "0.0.0.0" not in text
        assert not set(KEYS.values()) & set(text.split())
        (folder / "tempo.yaml").write_text(text)

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

    def start(self) -> None:
        argv = [self.program, f"-config.file={self.folder / 'tempo.yaml'}", "-target=all"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=KEYS)
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
            log = (self.folder / "log").read_text()[-3000:]
            assert self.process and self.process.poll() is None, f"Tempo has ended: {log}"
            assert time.monotonic() < end, f"{what}: not within {LIMIT:g} s: {log}"
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


@pytest.fixture(scope="module")
def running(tempo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Tempo, Any, list[str]]]:
    """Tempo, its reader, a client of its S3 store, and what its metrics-generator has sent."""
    folder = tmp_path_factory.mktemp("tempo")
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        host, client = stack.enter_context(s3_store(folder))
        url, written = stack.enter_context(remote_write())
        server = Server(tempo, folder, host, url)
        stack.callback(server.kill)
        server.start()
        yield server, stack.enter_context(reader_of(server)), client, written


def trace(route: str, padding: int = 0) -> tuple[str, otlp.Document]:
    """A trace of a client and a server whose spans are of this route; the second one failed and took 1.2 s."""
    trace_id, parent, now = otlp.new_id(32), otlp.new_id(16), time.time_ns()
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


def around() -> tuple[int, int]:
    return int(time.time()) - 600, int(time.time()) + 60


def test_a_trace_is_read_back_by_id_and_by_search(running: tuple[Server, Tempo, Any, list[str]]) -> None:
    server, reader, _client, _written = running
    (trace_id, document), (other, another) = trace("/orders/here"), trace("/orders/there")
    assert server.send(document) == (200, "")
    assert server.send(another) == (200, "")

    def both() -> dict[str, Any]:
        found = reader.traces([trace_id, other, "0" * 31 + "1"], *around(), Deadline(Clock(), LIMIT))
        return found if len(found) == 2 else {}

    found = server.until(both, "both traces by id")
    assert set(found) == {trace_id, other}
    sent = {span["spanId"]: span.get("parentSpanId", "") for span in otlp.spans(document)}
    assert found[trace_id].spans == sent
    assert found[trace_id].trace_ids == {trace_id}
    read = reader.document(trace_id, *around())
    assert [span["status"]["code"] for span in otlp.spans(read) if otlp.is_error(span)] == ["STATUS_CODE_ERROR"]
    assert reader.document("0" * 31 + "1", *around()) == {}

    def search(**criteria: Any) -> Callable[[], dict[str, int]]:
        return lambda: reader.search(Criteria(**criteria), *around(), 10)

    by_route = search(attributes={"http.route": "/orders/here"})
    assert server.until(by_route, "search by attribute") == {trace_id: 2}
    failed = search(attributes={"http.route": "/orders/there"}, error=True, minimum_duration=1.2)
    assert server.until(failed, "search by error and duration") == {other: 1}
    assert server.until(search(operation="GET /orders/here"), "search by operation") == {trace_id: 1}
    assert search(attributes={"http.route": "/orders/here"}, minimum_duration=2)() == {}
    assert search(operation='GET "quoted\\')() == {}


def test_grpc_is_received_too(running: tuple[Server, Tempo, Any, list[str]]) -> None:
    """gRPC begins with HTTP/2, whose first frame from either side is SETTINGS (type 4, RFC 9113, 3.4)."""
    server = running[0]
    with socket.create_connection(("127.0.0.1", server.ports["otlp-grpc"]), timeout=LIMIT) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        head = connection.recv(9, socket.MSG_WAITALL)
    assert head[3] == 4


def test_a_limit_tells_when_to_come_again(running: tuple[Server, Tempo, Any, list[str]]) -> None:
    """tempo_retry_after_on_resource_exhausted: without it, a collector would drop the spans."""
    assert running[0].send(trace("/large", BURST)[1]) == (429, "5")


def test_the_metrics_generator_runs_its_processors(running: tuple[Server, Tempo, Any, list[str]]) -> None:
    server, _reader, _client, written = running
    assert server.send(trace("/orders/counted")[1])[0] == 200
    name = 'tempo_metrics_generator_active_processors{processor="%s",tenant="single-tenant"} 1'

    def active() -> bool:
        metrics = server.get("/metrics")[1].decode()
        return all(name % processor in metrics for processor in ("service-graphs", "span-metrics"))

    server.until(active, "active processors")
    assert server.until(lambda: written, "remote write")[0] == "/api/v1/write"


def test_blocks_are_in_the_bucket_and_are_read_there(running: tuple[Server, Tempo, Any, list[str]]) -> None:
    """The instance loses its volume: what it then answers comes from the bucket."""
    server, reader, client, _written = running
    trace_id, document = trace("/orders/stored")
    assert server.send(document) == (200, "")

    def stored() -> list[str]:
        """Formats of the blocks, as soon as every trace is in one. A block may be compacted away between two calls."""
        server.get("/flush")
        keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        assert all(key.startswith(f"{PREFIX}/") for key in keys)
        try:
            found = [client.get_object(Bucket=BUCKET, Key=key) for key in keys if key.endswith("/meta.json")]
        except client.exceptions.NoSuchKey:
            return []
        metas = [json.loads(one["Body"].read()) for one in found]
        return (
            [meta["format"] for meta in metas] if sum(meta["totalObjects"] for meta in metas) >= server.accepted else []
        )

    assert set(server.until(stored, "blocks in the bucket")) == {"vParquet4"}
    server.kill()
    shutil.rmtree(server.folder / "data")
    server.start()
    found = server.until(lambda: reader.traces([trace_id], *around(), Deadline(Clock(), LIMIT)), "the trace by id")
    assert len(found[trace_id].spans) == 2
    by_route = Criteria(attributes={"http.route": "/orders/stored"})
    assert server.until(lambda: reader.search(by_route, *around(), 10), "search in the bucket") == {trace_id: 2}
