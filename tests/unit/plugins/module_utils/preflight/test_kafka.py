# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight makes of what Kafka says; tests/unit/plugins/modules/test_kafka_topic.py asks a real broker."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PermissionDenied,
    ToolError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kafka.topic import Cluster, Topic
from ansible_collections.orion.tracing.plugins.module_utils.preflight.kafka import KafkaFacts, ask, findings
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

FINE = {"max.message.bytes": 16000000, "min.insync.replicas": 2, "retention.ms": 86400000}
INSIDE = "kafka-bootstrap.kafka.svc:9092"


def variables(**changes: Any) -> dict[str, Any]:
    given = {"tempo_profile": "kafka", "tempo_image_tag": "3.0.3", "tempo_kafka_address": "kafka.example.com:9092"}
    return role_defaults("tempo", object_storage_bucket="orion-traces") | given | changes


def found(facts: KafkaFacts | None, **changes: Any) -> list[tuple[str, str]]:
    """Severity and text of each finding."""
    return [(one.severity, str(one)) for one in findings(variables(**changes), facts)]


def topic(partitions: int = 3, replicas: int = 3, **configs: int) -> KafkaFacts:
    settings = FINE | {name.replace("_", "."): value for name, value in configs.items()}
    return KafkaFacts(Cluster(3, 16000000, Topic(partitions, replicas, settings)))


def test_a_topic_that_fits_is_nothing_to_talk_about() -> None:
    for state in ("ignored", "checked", "present"):
        assert found(topic(), tempo_kafka_topic_state=state) == []
    assert found(None) == []
    assert found(KafkaFacts(problem=Unreachable("x")), tempo_profile="distributed") == []


def test_another_listener_for_this_machine_is_asked_and_named() -> None:
    """Where the Service for pods is wrong, that is named."""
    gone = KafkaFacts(problem=Unreachable("address: no broker answers at 127.0.0.1:9094"))
    [(severity, text)] = found(gone, tempo_kafka_address=INSIDE, tempo_kafka_topic_address="127.0.0.1:9094")
    assert (severity, text[:50]) == ("error", "tempo_kafka_topic_address: is 127.0.0.1:9094, but ")
    [port] = free_ports()
    given = variables(tempo_kafka_address=INSIDE, tempo_kafka_topic_address=f"127.0.0.1:{port}")
    facts = ask(FakeKube(), given, "tracing")  # type: ignore[arg-type]
    assert facts.problem and f"no broker answers at 127.0.0.1:{port}" in str(facts.problem)


def test_a_missing_topic() -> None:
    missing = KafkaFacts(Cluster(3, 16000000, None))
    for state in ("ignored", "checked"):
        [(severity, text)] = found(missing, tempo_kafka_topic_state=state)
        assert severity == "error"
        assert text.startswith("tempo_kafka_topic: is tempo-traces, which Kafka does not have. Create it, or set")
    assert found(missing, tempo_kafka_topic_state="present") == []


def test_three_replicas_on_one_broker() -> None:
    for facts in (KafkaFacts(Cluster(1, 16000000, None)), KafkaFacts(Cluster(1, 16000000, Topic(3, 1, FINE)))):
        [(severity, text)] = found(facts, tempo_kafka_topic_state="present")
        assert severity == "error"
        assert text.startswith("tempo_kafka_topic_replication_factor: is 3, but the cluster has 1 broker: each replica")
        assert "set it to 1 where loss is acceptable" in text


@pytest.mark.parametrize(
    ("facts", "variable", "text", "ignored"),
    [
        (topic(partitions=2), "partitions", "it has 2 partitions", "error"),
        (topic(max_message_bytes=1048588), "max_message_bytes", "its max.message.bytes is 1048588", "error"),
        (topic(retention_ms=3600000), "retention", "its retention.ms is 3600000", "warning"),
        (topic(min_insync_replicas=1), "min_insync_replicas", "its min.insync.replicas is 1", "warning"),
        (topic(replicas=1), "replication_factor", "1 replica", "warning"),
    ],
)
def test_a_topic_that_does_not_fit(facts: KafkaFacts, variable: str, text: str, ignored: str) -> None:
    """Where nobody has asked to check the topic, only what Tempo cannot work without is an error."""
    [(severity, said)] = found(facts, tempo_kafka_topic_state="checked")
    assert severity == "error" and said.startswith(f"tempo_kafka_topic_{variable}: ") and text in said
    [(severity, said)] = found(facts)
    assert severity == ignored and said.startswith("tempo_kafka_topic: is tempo-traces: ") and text in said
    if variable != "replication_factor":
        assert found(facts, tempo_kafka_topic_state="present") == []


def test_the_brokers_limit_counts_where_the_topic_has_none() -> None:
    configs = {name: value for name, value in FINE.items() if name != "max.message.bytes"}
    [(severity, text)] = found(KafkaFacts(Cluster(3, 1048588, Topic(3, 3, configs))))
    assert severity == "error" and "its max.message.bytes is 1048588" in text
    assert found(KafkaFacts(Cluster(3, 0, Topic(3, 3, {})))) == [], "what may not be read is not known"


def test_refused_credentials() -> None:
    refused = KafkaFacts(
        problem=PermissionDenied("username: the broker at k:1 refused the credentials", "no", "Check.")
    )
    assert found(refused, tempo_kafka_sasl_secret="tempo-kafka") == [
        ("error", "tempo_kafka_sasl_secret: is tempo-kafka, but the broker at k:1 refused the credentials: no. Check.")
    ]
    assert found(refused)[0][1].startswith("tempo_kafka_address: is kafka.example.com:9092, but the broker at k:1")


def test_what_could_not_be_asked_is_a_warning_unless_the_role_asks_too() -> None:
    facts = KafkaFacts(
        unasked="kafka-python is missing here", problem=ToolError("kafka-python is missing", "", "Install.")
    )
    [(severity, text)] = found(facts)
    assert severity == "warning"
    assert (
        "tempo_kafka_address: is kafka.example.com:9092: Kafka was not asked, because kafka-python is missing" in text
    )
    assert "Run the module kafka_topic with state: checked" in text
    [(severity, text)] = found(facts, tempo_kafka_topic_state="present")
    assert severity == "error"
    assert text.startswith("tempo_kafka_topic_state: is present, but Kafka cannot be asked, because kafka-python is")


SERVICE = {
    "kind": "Service",
    "metadata": {"name": "kafka-bootstrap", "namespace": "kafka"},
    "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 9092}]},
}
READY = {"items": [{"endpoints": [{"conditions": {"ready": True}}]}]}
SLICES = r"GET .*/kafka/endpointslices"


def asked(kube: FakeKube, address: str = INSIDE, **changes: Any) -> KafkaFacts:
    return ask(kube.client(), variables(tempo_kafka_address=address, **changes), "tracing")


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does not know the names of the cluster's Services."""

    def unknown(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("objects", "slices", "address", "wrong"),
    [
        ([SERVICE], READY, INSIDE, ""),
        ([SERVICE], READY, "kafka-bootstrap.kafka.svc.cluster.local:9092", ""),
        ([], READY, INSIDE, "there is no Service kafka-bootstrap in namespace kafka"),
        (
            [SERVICE],
            READY,
            "kafka-bootstrap.kafka.svc:9093",
            "Service kafka-bootstrap in namespace kafka has no port 9093, but 9092",
        ),
        ([SERVICE], {"items": []}, INSIDE, "Service kafka-bootstrap in namespace kafka has no pod that is ready"),
        ([SERVICE | {"spec": {"type": "ExternalName"}}], {"items": []}, INSIDE, ""),
        ([], READY, "kafka.example.com:9092", ""),
    ],
)
def test_the_service_of_an_address_inside_the_cluster(
    objects: list[dict[str, Any]], slices: dict[str, Any], address: str, wrong: str
) -> None:
    kube = FakeKube(*objects)
    kube.on(SLICES, slices)
    facts = asked(kube, address)
    assert facts.service == wrong
    [(severity, text)] = found(facts, tempo_kafka_address=address)
    if wrong:
        assert (severity, text.startswith(f"tempo_kafka_address: is {address}, but {wrong}")) == ("error", True)
    else:
        assert severity == "warning" and "because it cannot be reached from where Ansible runs" in text


@pytest.mark.usefixtures("outside")
def test_a_service_that_may_not_be_read_is_not_known() -> None:
    kube = FakeKube()
    kube.refuse("GET .*/services/")
    assert asked(kube).service == ""


def test_a_port_that_refuses_is_an_error() -> None:
    address = f"127.0.0.1:{free_ports()[0]}"
    facts = asked(FakeKube(), address)
    [(severity, text)] = found(facts, tempo_kafka_address=address)
    assert severity == "error"
    assert text.startswith(f"tempo_kafka_address: is {address}, but no broker answers at {address}: ")


@pytest.mark.parametrize("data", [None, {}, {"password": base64.b64encode(b"x").decode()}])
def test_without_credentials_nothing_is_asked(data: dict[str, str] | None) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "tempo-kafka", "namespace": "tracing"}, "data": data}
    kube = FakeKube(*([] if data is None else [secret]))
    facts = asked(kube, tempo_kafka_sasl_secret="tempo-kafka")
    assert facts.unasked == "its credentials in the Secret tempo-kafka cannot be read"


def test_an_address_that_is_none_is_the_tempo_roles_to_refuse() -> None:
    assert asked(FakeKube(), "kafka") == KafkaFacts()
    assert found(asked(FakeKube(), "")) == []
