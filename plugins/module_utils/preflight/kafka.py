# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the Kafka that Tempo 3 would write to says: its brokers and the topic, asked as Tempo will ask, or, for an
address that only pods reach, the Service behind it.

What is read is in the first part, what it means in the second, which is pure.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
    ToolError,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import duration, integer, usable
from ansible_collections.orion.tracing.plugins.module_utils.kafka.client import CLIENT, Kafka
from ansible_collections.orion.tracing.plugins.module_utils.kafka.topic import (
    Cluster,
    WantedTopic,
    check_replicas,
    shortcomings,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import BROKER

TIMEOUT = 5.0
# NAME.NAMESPACE.svc, with or without the cluster's domain; what else there is before the name is of a single broker.
SERVICE = re.compile(r"(?:[\w-]+\.)*?(?P<name>[\w-]+)\.(?P<namespace>[\w-]+)\.svc(?:\.[\w.-]+)?")
# A topic that somebody else manages and nobody has asked to check: what Tempo cannot work without.
IGNORED = "ignored"
NEEDED = ("partitions", "max_message_bytes")


@dataclass(frozen=True)
class KafkaFacts:
    """cluster: None where the brokers did not answer; then problem has why, and unasked whether that may be so only
    from here. service: what is wrong with the Service that the address names, "" for nothing or where none is."""

    cluster: Cluster | None = None
    problem: TracingError | None = None
    unasked: str = ""
    service: str = ""


def asked_address(v: Mapping[str, Any]) -> str:
    """Where the brokers are asked: Tempo may be inside a cluster with them, and this machine outside."""
    return str(v.get("tempo_kafka_topic_address") or v.get("tempo_kafka_address") or "")


def ask(kube: Kube, v: Mapping[str, Any], namespace: str) -> KafkaFacts:
    """namespace: of the Secret with Tempo's credentials. Whatever fails becomes part of the facts."""
    inside_address, address = str(v.get("tempo_kafka_address") or ""), asked_address(v)
    secret = str(v.get("tempo_kafka_sasl_secret") or "")
    if not BROKER.fullmatch(inside_address) or not BROKER.fullmatch(address):
        return KafkaFacts()
    try:
        username, password = _credentials(kube, namespace, secret) if secret else ("", "")
    except (PermissionDenied, NotFound) as problem:
        return KafkaFacts(unasked=f"its credentials in the Secret {secret} cannot be read", problem=problem)
    try:
        with Kafka.connected(address, username, password, TIMEOUT) as kafka:
            return _asked(kafka, str(v.get("tempo_kafka_topic") or ""))
    except ToolError as problem:
        return KafkaFacts(unasked=f"{CLIENT} is missing here", problem=problem)
    except Unreachable as problem:
        # A host that refuses the connection was reached; a name that is not known here may be known to pods.
        if not isinstance(problem.__cause__, OSError) or isinstance(problem.__cause__, ConnectionRefusedError):
            return KafkaFacts(problem=problem)
        unasked = "it cannot be reached from where Ansible runs"
        return KafkaFacts(unasked=unasked, problem=problem, service=_service(kube, inside_address))
    except TracingError as problem:
        return KafkaFacts(problem=problem)


def _credentials(kube: Kube, namespace: str, secret: str) -> tuple[str, str]:
    data = (kube.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{secret}").get("data")) or {}
    username, password = (base64.b64decode(data.get(key, "")).decode() for key in ("username", "password"))
    if not username:
        raise NotFound(f"Secret {secret} has no username")
    return username, password


def _asked(kafka: Kafka, topic: str) -> KafkaFacts:
    try:
        return KafkaFacts(kafka.read(topic, partly=True))
    except Unreachable as problem:
        return KafkaFacts(unasked="the addresses that it advertises cannot be reached from here", problem=problem)


def _service(kube: Kube, address: str) -> str:
    """What is wrong with the Service that the address names."""
    host, _colon, port = address.rpartition(":")
    named = SERVICE.fullmatch(host)
    if not named:
        return ""
    name, namespace = named["name"], named["namespace"]
    try:
        service = kube.get(f"/api/v1/namespaces/{namespace}/services/{name}")
        if service is None:
            return f"there is no Service {name} in namespace {namespace}"
        if inside(service, "spec", "type") == "ExternalName":
            return ""
        ports = [one.get("port") for one in inside(service, "spec", "ports") or []]
        headless = inside(service, "spec", "clusterIP") == "None"
        if int(port) not in ports and not headless:
            return f"Service {name} in namespace {namespace} has no port {port}, but {', '.join(map(str, ports))}"
        slices = kube.list(
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            label_selector=f"kubernetes.io/service-name={name}",
        )
        ready = [one for item in slices for one in item.get("endpoints") or [] if inside(one, "conditions", "ready")]
        return "" if ready else f"Service {name} in namespace {namespace} has no pod that is ready"
    except PermissionDenied:
        return ""


def findings(v: Mapping[str, Any], facts: KafkaFacts | None) -> Iterator[Finding]:
    """v: variables of the inventory, those of the tempo role among them."""
    if facts is None or v.get("tempo_profile") != "kafka":
        return
    name, address = "tempo_kafka_address", v.get("tempo_kafka_address")
    if not facts.service and asked_address(v) != address:
        name, address = "tempo_kafka_topic_address", asked_address(v)
    state = str(v.get("tempo_kafka_topic_state") or IGNORED)
    if facts.service:
        yield error(name, f"is {address}, but {facts.service}", "Correct it, or start Kafka first.")
    elif facts.unasked:
        yield _unasked(name, facts, f"is {address}: Kafka was not asked, because {facts.unasked}", state)
    elif facts.problem:
        secret = isinstance(facts.problem, PermissionDenied) and v.get("tempo_kafka_sasl_secret")
        what = re.sub(r"^(address|username): ", "", facts.problem.what)
        yield error(
            "tempo_kafka_sasl_secret" if secret else name,
            f"is {v['tempo_kafka_sasl_secret'] if secret else address}, but {what}",
            facts.problem.remedy,
            facts.problem.why,
        )
    elif facts.cluster and (wanted := _wanted(v)):
        yield from _of_topic(wanted, facts.cluster, state)


def _unasked(name: str, facts: KafkaFacts, what: str, state: str) -> Finding:
    """A warning; an error where the role would ask in the same way and fail."""
    if state != IGNORED and facts.problem:
        return error(
            "tempo_kafka_topic_state",
            f"is {state}, but Kafka cannot be asked, because {facts.unasked}",
            facts.problem.remedy or "Set it to ignored, and check the topic from where Kafka can be reached.",
            facts.problem.why,
        )
    return warning(
        name,
        what,
        "Run the module kafka_topic with state: checked where Kafka can be reached (docs/tempo-3.md), once before the "
        "installation.",
        "a missing topic, or one that does not fit, shows only when Tempo starts",
    )


def _wanted(v: Mapping[str, Any]) -> WantedTopic | None:
    """None for variables that the tempo role refuses."""

    def figure(option: str) -> int | None:
        return usable(None, integer, v.get(f"tempo_kafka_topic_{option}"))

    names = ("partitions", "replication_factor", "max_message_bytes", "min_insync_replicas")
    figures = {name: figure(name) for name in names}
    retention = usable(None, duration, v.get("tempo_kafka_topic_retention"))
    stores = usable(None, integer, v.get("tempo_live_store_replicas"))
    if None in figures.values() or retention is None or stores is None:
        return None
    known = {name: value for name, value in figures.items() if value is not None}
    known["partitions"] = max(known["partitions"], stores)
    return WantedTopic(str(v.get("tempo_kafka_topic")), retention=retention, **known)


def _of_topic(wanted: WantedTopic, cluster: Cluster, state: str) -> Iterator[Finding]:
    found = cluster.topic
    if found is None and state != "present":
        yield error(
            "tempo_kafka_topic",
            f"is {wanted.name}, which Kafka does not have",
            "Create it, or set tempo_kafka_topic_state: present, which lets the role do it.",
        )
    if state != IGNORED:
        try:
            check_replicas(wanted, cluster)
        except InvalidInput as problem:
            _option, _is, what = problem.what.partition(" is ")
            yield error("tempo_kafka_topic_replication_factor", f"is {what}", problem.remedy, problem.why)
    if found is None or state == "present":
        return
    for option, text in shortcomings(wanted, cluster, found):
        if option == "replication_factor" and state != IGNORED:
            continue  # as above
        severity = error if state != IGNORED or option in NEEDED else warning
        variable = "tempo_kafka_topic" if state == IGNORED else f"tempo_kafka_topic_{option}"
        yield severity(
            variable,
            f"is {wanted.name}: {text}" if state == IGNORED else f"does not fit topic {wanted.name}: {text}",
            f"Change the topic, or tempo_kafka_topic_{option}; with tempo_kafka_topic_state: present the role does it.",
        )
