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
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text
from ansible_collections.orion.tracing.plugins.module_utils.proof.tempo_upgrade import FAILED, UNSTORED
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.unit.charts.tempo_process import (
    BUCKET,
    LIMIT,
    Server,
    around,
    reader_of,
    reads_the_newest,
    remote_write,
    s3_store,
    trace,
)
from moto import mock_aws

pytestmark = pytest.mark.needs_tempo

PREFIX = "tempo/test"
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


@pytest.fixture(scope="module")
def running(tempo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Tempo, Any, list[str]]]:
    """Tempo, its reader, a client of its S3 store, and what its metrics-generator has sent."""
    folder = tmp_path_factory.mktemp("tempo")
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        host, client = stack.enter_context(s3_store(folder))
        url, written = stack.enter_context(remote_write())
        given = {"tempo_s3_endpoint": host, "tempo_metrics_generator_remote_write_url": url}
        server = Server(tempo, folder, VARIABLES | given)
        stack.callback(server.kill)
        server.start()
        yield server, stack.enter_context(reader_of(server)), client, written


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


def test_a_search_with_a_limit_gives_the_newest(running: tuple[Server, Tempo, Any, list[str]]) -> None:
    server, reader, _client, _written = running
    reads_the_newest(server, reader)


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


def test_after_a_flush_the_metrics_tell_when_everything_is_stored(
    running: tuple[Server, Tempo, Any, list[str]],
) -> None:
    """The upgrade to Tempo 3 relies on it (proof/tempo_upgrade.py)."""
    server, _reader, client, _written = running
    assert server.send(trace("/orders/waiting")[1])[0] == 200
    server.get("/flush")

    def stored() -> bool:
        samples = prometheus_text.parse(server.get("/metrics")[1].decode())
        assert all(prometheus_text.has(samples, name) for name in (*UNSTORED, FAILED))
        return sum(prometheus_text.total(samples, name) for name in UNSTORED) == 0

    server.until(stored, "everything is stored")
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    metas = [client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys if key.endswith("/meta.json")]
    assert sum(json.loads(meta)["totalObjects"] for meta in metas) >= server.accepted


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
