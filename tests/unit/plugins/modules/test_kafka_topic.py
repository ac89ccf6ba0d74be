# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as Ansible runs it, against a real broker with SASL/PLAIN."""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kafka.options import ARGUMENTS
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import plan_topic
from ansible_collections.orion.tracing.plugins.module_utils.preflight.kafka import ask, findings
from ansible_collections.orion.tracing.tests.kafka_broker import Broker
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

PASSWORD = 'no "simple" pass\\word'


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker.started(tmp_path_factory.mktemp("kafka") / "broker", users={"tempo": PASSWORD}) as one:
        yield one


def options(broker: Broker, **more: Any) -> dict[str, Any]:
    found = {
        "address": broker.address,
        "username": "tempo",
        "password": PASSWORD,
        "name": "spans",
        "partitions": 2,
        "replication_factor": 1,
        "min_insync_replicas": 1,
    }
    return found | more


def test_made_changed_and_left_alone(broker: Broker) -> None:
    missing = run("kafka_topic", **options(broker, state="checked"))
    assert missing["failed"] and "there is no topic spans" in missing["msg"]
    checked = run("kafka_topic", **options(broker, _ansible_check_mode=True))
    assert checked["changed"] and checked["steps"] == ["create topic spans"]
    assert run("kafka_topic", **options(broker, state="checked"))["failed"], "check mode made it"
    planned = plan_topic({**{name: spec.get("default") for name, spec in ARGUMENTS.items()}, **options(broker)})
    assert [step.name for step in planned.steps] == checked["steps"] and planned.diff == checked["diff"]
    made = run("kafka_topic", **options(broker))
    assert {name: made[name] for name in ("steps", "diff", "topic")} == {
        name: checked[name] for name in ("steps", "diff", "topic")
    }
    assert made["topic"] == {
        "partitions": 2,
        "replication_factor": 1,
        "configs": {"max.message.bytes": 16000000, "min.insync.replicas": 1, "retention.ms": 86400000},
    }
    assert (made["brokers"], made["broker_max_message_bytes"]) == (1, 1048588)
    assert PASSWORD not in json.dumps(made)
    again = run("kafka_topic", **options(broker))
    assert not again["changed"] and again["topic"] == made["topic"]
    more = options(broker, partitions=4, max_message_bytes=20000000)
    assert run("kafka_topic", **options(broker, **more, state="checked"))["failed"]
    changed = run("kafka_topic", **more)
    assert changed["steps"] == ["add partitions to spans", "set max.message.bytes of spans"]
    found = run("kafka_topic", **more, state="checked")
    assert not found["changed"] and found["topic"]["partitions"] == 4
    # Every figure is a minimum.
    assert not run("kafka_topic", **options(broker))["changed"]


def test_a_topic_of_three_on_one_broker(broker: Broker) -> None:
    refused = run("kafka_topic", **options(broker, name="other", replication_factor=3))
    assert "replication_factor is 3, but the cluster has 1 broker:" in refused["msg"]
    assert run("kafka_topic", **options(broker, name="other", state="checked"))["failed"]


def test_wrong_credentials(broker: Broker) -> None:
    refused = run("kafka_topic", **options(broker, password="wrong-password", timeout=30))
    assert "refused the credentials" in refused["msg"]
    assert "wrong-password" not in json.dumps(refused)


def test_preflight_asks_with_tempos_credentials(broker: Broker) -> None:
    """As preflight does, before anything changes."""

    def said(**changes: Any) -> list[str]:
        given = {
            "tempo_profile": "kafka",
            "tempo_image_tag": "3.0.3",
            "tempo_kafka_address": broker.address,
            "tempo_kafka_sasl_secret": "tempo-kafka",
            "tempo_kafka_topic_replication_factor": 1,
            "tempo_kafka_topic_min_insync_replicas": 1,
        }
        v = role_defaults("tempo", object_storage_bucket="orion-traces") | given | changes
        facts = ask(kube.client(), v, "tracing")
        return [f"{one.severity} {one}" for one in findings(v, facts)]

    def secret(password: str) -> dict[str, Any]:
        data = {"username": "tempo", "password": password}
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
        return {"kind": "Secret", "metadata": {"name": "tempo-kafka", "namespace": "tracing"}, "data": encoded}

    kube = FakeKube(secret(PASSWORD))
    [missing] = said()
    assert missing.startswith("error tempo_kafka_topic: is tempo-traces, which Kafka does not have")
    assert said(tempo_kafka_topic_state="present") == []
    [replicas] = said(tempo_kafka_topic_state="present", tempo_kafka_topic_replication_factor=3)
    assert replicas.startswith("error tempo_kafka_topic_replication_factor: is 3, but the cluster has 1 broker")
    small = options(broker, name="small", partitions=3, max_message_bytes=1048588)
    assert run("kafka_topic", **small)["changed"]
    [too_small] = said(tempo_kafka_topic="small")
    assert "error tempo_kafka_topic: is small: its max.message.bytes is 1048588, wanted is 16000000" in too_small
    assert run("kafka_topic", **(small | {"max_message_bytes": 16000000}))["changed"]
    assert said(tempo_kafka_topic="small") == []
    kube = FakeKube(secret("wrong-password"))
    [refused] = said()
    assert refused.startswith("error tempo_kafka_sasl_secret: is tempo-kafka, but the broker at")
    assert "refused the credentials" in refused and "wrong-password" not in refused
    [anonymous] = said(tempo_kafka_sasl_secret="")
    assert anonymous.startswith(f"error tempo_kafka_address: is {broker.address}, but the broker at")


def test_no_broker() -> None:
    [port] = free_ports()
    gone = run("kafka_topic", address=f"127.0.0.1:{port}", name="spans", partitions=1)
    assert f"no broker answers at 127.0.0.1:{port}" in gone["msg"]
    inside = run("kafka_topic", address="kafka.nowhere.svc:9092", name="spans", partitions=1)
    assert "Run this where the cluster's Services can be reached" in inside["msg"]
    assert "not host:port" in run("kafka_topic", address="kafka", name="spans", partitions=1)["msg"]


def test_something_else_listens() -> None:
    """A TLS listener too: it closes the connection, for what it gets is not TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_all() -> None:
            while True:
                try:
                    connection, _peer = server.accept()
                except OSError:
                    return
                connection.close()

        threading.Thread(target=close_all, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        found = run("kafka_topic", address=address, name="spans", partitions=1, timeout=2)
        assert "does not answer as Kafka does" in found["msg"]
        server.shutdown(socket.SHUT_RDWR)


def test_without_the_client(tmp_path: Path, broker: Broker) -> None:
    (tmp_path / "kafka.py").write_text("raise ImportError('No module named kafka')\n")
    path = ":".join([str(tmp_path), *(one for one in sys.path if one)])
    missing = run("kafka_topic", {"PYTHONPATH": path}, **options(broker))
    assert "kafka-python is missing" in missing["msg"] and "pip install" in missing["msg"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partitions": 0}, "partitions is 0"),
        ({"retention": "1 day"}, "retention is '1 day', not a Go duration"),
        ({"min_insync_replicas": 2}, "min_insync_replicas is 2, more than replication_factor"),
    ],
)
def test_bad_options(changes: dict[str, Any], message: str) -> None:
    found = run("kafka_topic", **(options(Broker("127.0.0.1:1", Path(), "", "", {})) | changes))
    assert found["failed"] and message in found["msg"]
