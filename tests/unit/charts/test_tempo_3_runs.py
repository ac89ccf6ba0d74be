# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tempo 3 runs with configurations that the role generates: one instance, and all components with a real Kafka.

As in test_tempo_runs.py, addresses and folders are exchanged, and some intervals are shortened.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.kafka_broker import Broker
from ansible_collections.orion.tracing.tests.unit.charts.tempo_process import (
    BUCKET,
    LIMIT,
    Server,
    around,
    ports_by_name,
    reader_of,
    reads_the_newest,
    remote_write,
    s3_store,
    trace,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run
from moto import mock_aws

from tools.dashboards.metrics import METRICS, Maker

pytestmark = pytest.mark.needs_tempo_3

VARIABLES: dict[str, Any] = {
    "tempo_image_tag": "3.0.3",
    "tempo_s3_credentials_secret": "tempo-s3",
    "tempo_s3_ca_secret": "tempo-s3",
    "tempo_live_store_trace_idle_period": "1s",
    "tempo_live_store_max_block_duration": "3s",
    "tempo_block_builder_consume_cycle_duration": "3s",
    "tempo_live_store_replicas": 1,
    "tempo_block_builder_replicas": 1,
    "tempo_metrics_generator_enabled": True,
    "tempo_extra_config": {
        # What is younger than this is not searched, so that a search does not see half a trace.
        "query_frontend": {"query_end_cutoff": "1s"},
        "live_store": {"flush_check_period": "1s"},
        "storage": {"trace": {"blocklist_poll": "2s"}},
    },
}
PASSWORD = 'not: "to be" #shown {}'


def formats(client: Any) -> list[str]:
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    metas = [key for key in keys if key.endswith("/meta.json")]
    try:
        return [json.loads(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())["format"] for key in metas]
    except client.exceptions.NoSuchKey:
        return []


def read_back(writer: Server, server: Server, reader: Tempo, route: str) -> str:
    """Send a trace and read it by id and by search. Its id."""
    trace_id, document = trace(route)
    server.until(lambda: writer.send(document)[0] == 200, "accepted")
    found = server.until(lambda: reader.traces([trace_id], *around(), Deadline(Clock(), LIMIT)), "the trace by id")
    assert len(found[trace_id].spans) == 2
    by_route = Criteria(attributes={"http.route": route})
    assert server.until(lambda: reader.search(by_route, *around(), 10), "search") == {trace_id: 2}
    return trace_id


def test_one_instance_writes_blocks_and_reads_them(tempo_3: str, tmp_path: Path) -> None:
    """The instance loses its volume: what it then answers comes from the bucket."""
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        host, client = stack.enter_context(s3_store(tmp_path))
        url, written = stack.enter_context(remote_write())
        given = {
            "tempo_profile": "monolithic",
            "tempo_s3_endpoint": host,
            "tempo_metrics_generator_remote_write_url": url,
        }
        server = Server(tempo_3, tmp_path, VARIABLES | given)
        stack.callback(server.kill)
        server.start()
        assert server.get("/status/version")[0] == 200
        reader = stack.enter_context(reader_of(server))
        trace_id = read_back(server, server, reader, "/orders/here")
        reads_the_newest(server, reader)
        assert server.until(lambda: written, "remote write")[0] == "/api/v1/write"
        assert set(server.until(lambda: formats(client), "blocks in the bucket")) == {"vParquet4"}
        server.kill()
        shutil.rmtree(server.folder / "data")
        server.start()
        found = server.until(lambda: reader.traces([trace_id], *around(), Deadline(Clock(), LIMIT)), "the trace by id")
        assert len(found[trace_id].spans) == 2


COMPONENTS = ("distributor", "live-store", "block-builder", "backend-scheduler", "backend-worker", "querier",
              "query-frontend", "metrics-generator")  # fmt: skip


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker.started(tmp_path / "kafka", users={"tempo": PASSWORD}) as one:
        made = run("kafka_topic", address=one.address, username="tempo", password=PASSWORD, name="tempo-traces",
                   partitions=1, replication_factor=1, min_insync_replicas=1)  # fmt: skip
        assert made["changed"], made
        yield one


def test_components_with_kafka(tempo_3: str, tmp_path: Path, broker: Broker) -> None:
    """One process for each component, with SASL/PLAIN. The live-store loses its volume and the topic: what is then
    answered comes from the bucket.
    """
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        host, client = stack.enter_context(s3_store(tmp_path))
        url, written = stack.enter_context(remote_write())
        ports = {name: ports_by_name() for name in COMPONENTS}
        given = {
            "tempo_profile": "kafka",
            "tempo_s3_endpoint": host,
            "tempo_metrics_generator_remote_write_url": url,
            "tempo_kafka_address": broker.address,
            "tempo_kafka_sasl_secret": "tempo-kafka",
        }

        def here(name: str) -> dict[str, Any]:
            return {"instance_addr": "127.0.0.1", "instance_id": f"{name}-0"}

        changes = {
            "memberlist": {"join_members": [f"127.0.0.1:{one['gossip']}" for one in ports.values()]},
            "distributor": {"ring": {"instance_addr": "127.0.0.1"}},
            "live_store": {"ring": here("live-store")},
            "block_builder": {"instance_id": "block-builder-0"},
            "metrics_generator": {"ring": here("metrics-generator"), "instance_id": "metrics-generator-0"},
            "backend_worker": {
                "backend_scheduler_addr": f"127.0.0.1:{ports['backend-scheduler']['grpc']}",
                "ring": here("backend-worker"),
            },
            "querier": {"frontend_worker": {"frontend_address": f"127.0.0.1:{ports['query-frontend']['grpc']}"}},
        }
        env = {"TEMPO_KAFKA_USERNAME": "tempo", "TEMPO_KAFKA_PASSWORD": PASSWORD}
        parts = {
            name: Server(tempo_3, tmp_path, VARIABLES | given, name, changes, ports[name], env) for name in COMPONENTS
        }
        for part in parts.values():
            file = tmp_path / f"{part.target}.yaml"
            # As the chart quotes them.
            file.write_text(file.read_text().replace("${TEMPO_KAFKA_PASSWORD}", "'${TEMPO_KAFKA_PASSWORD}'"))
            stack.callback(part.kill)
            part.begin("-config.expand-env=true")
        for part in parts.values():
            part.until_ready()
            assert part.get("/status/version")[0] == 200
        frontend, distributor = parts["query-frontend"], parts["distributor"]
        reader = stack.enter_context(reader_of(frontend))
        trace_id = read_back(distributor, frontend, reader, "/orders/here")
        assert frontend.until(lambda: written, "remote write")[0] == "/api/v1/write"
        assert set(frontend.until(lambda: formats(client), "blocks in the bucket")) == {"vParquet4"}
        # Only those that the chart's gossip Service selects are members of the ring.
        seen = parts["querier"].get("/memberlist")[1].decode()
        for name in COMPONENTS:
            listed = f"127.0.0.1:{ports[name]['gossip']}" in seen
            assert listed is (name not in ("query-frontend", "backend-scheduler")), (name, seen)
        names: set[str] = set()

        def sent() -> bool:
            for part in parts.values():
                names.update(re.findall(r"^tempo\w+", part.get("/metrics")[1].decode(), re.MULTILINE))
            return metrics <= names

        # What dashboards and alert rules read, but for what appears with the first failure, job or compaction.
        metrics = {
            name for name, metric in METRICS.items() if metric.maker in (Maker.TEMPO, Maker.TEMPO_3) and not metric.rare
        }
        try:
            frontend.until(sent, "every metric")
        except AssertionError:
            raise AssertionError(f"missing: {sorted(metrics - names)}") from None
        assert not {name for name in METRICS if METRICS[name].maker is Maker.TEMPO_2} & names
        parts["live-store"].kill()

        def stored() -> Callable[[], Any]:
            return lambda: reader.traces([trace_id], *around(), Deadline(Clock(), LIMIT))

        # The ring still has the live-store; Tempo answers with what the bucket has once it is known to be gone.
        shutil.rmtree(tmp_path / "data" / "live-store")
        parts["live-store"].start("-config.expand-env=true")
        found = frontend.until(stored(), "the trace by id, from the bucket")
        assert len(found[trace_id].spans) == 2
