# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A topic of Kafka as it should be, and what to do for that. Pure: no I/O, no Ansible.

Names and meanings of the settings: https://kafka.apache.org/documentation/#topicconfigs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry

RETENTION, LARGEST, IN_SYNC = "retention.ms", "max.message.bytes", "min.insync.replicas"
OPTIONS = {RETENTION: "retention", LARGEST: "max_message_bytes", IN_SYNC: "min_insync_replicas"}


@dataclass(frozen=True)
class WantedTopic:
    """partitions: at least. retention: in seconds, at least. max_message_bytes: of a batch of records, at least.
    min_insync_replicas: on how many brokers a record is, at least, before it counts as written.
    """

    name: str
    partitions: int
    replication_factor: int
    retention: float
    max_message_bytes: int
    min_insync_replicas: int


@dataclass(frozen=True)
class Topic:
    """replicas: of the partition that has fewest. configs: those settings that are read here, as numbers."""

    partitions: int
    replicas: int
    configs: Mapping[str, int] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        return {"partitions": self.partitions, "replication_factor": self.replicas, "configs": dict(self.configs)}


@dataclass(frozen=True)
class Cluster:
    """brokers: how many answer. max_message_bytes: their message.max.bytes, of topics that do not set another one;
    the smallest one, 0 where it may not be read. topic: None where there is none.
    """

    brokers: int
    max_message_bytes: int
    topic: Topic | None


def configs(wanted: WantedTopic) -> dict[str, int]:
    return {
        RETENTION: round(wanted.retention * 1000),
        LARGEST: wanted.max_message_bytes,
        IN_SYNC: wanted.min_insync_replicas,
    }


def check_options(wanted: WantedTopic) -> None:
    """InvalidInput for what no cluster could fulfil."""
    if wanted.min_insync_replicas > wanted.replication_factor:
        raise InvalidInput(
            f"min_insync_replicas is {wanted.min_insync_replicas}, more than replication_factor "
            f"({wanted.replication_factor})",
            "nothing could ever be written",
            "Lower it: one less than replication_factor lets one broker fail.",
        )


def plan(wanted: WantedTopic, cluster: Cluster) -> Plan:
    """What makes the topic fit. More partitions, a longer retention and larger messages than wanted stay as they are.

    InvalidInput for what cannot be reached: more replicas than brokers, and another number of replicas of a topic that
    is there, which only Kafka's own tool moves between brokers.
    """
    check_options(wanted)
    check_replicas(wanted, cluster)
    found, settings = cluster.topic, configs(wanted)
    made = Plan(result={"brokers": cluster.brokers, "broker_max_message_bytes": cluster.max_message_bytes})
    if found is None:
        after = Topic(wanted.partitions, wanted.replication_factor, settings)
        made.steps.append(Step(f"create topic {wanted.name}", "create", settings))
    else:
        short = {name: value for name, value in settings.items() if _falls_short(name, found.configs.get(name), value)}
        after = Topic(max(found.partitions, wanted.partitions), found.replicas, {**found.configs, **short})
        if found.partitions < wanted.partitions:
            made.steps.append(Step(f"add partitions to {wanted.name}", "partitions", wanted.partitions))
        if short:
            made.steps.append(Step(f"set {', '.join(short)} of {wanted.name}", "configs", short))
    if made.steps:
        made.diff = [diff_entry(f"topic {wanted.name}", _text(found), _text(after))]
    made.result["topic"] = after.result()
    return made


def verdict(wanted: WantedTopic, cluster: Cluster) -> None:
    """Raises where the topic does not fit as it is: NotFound without one, InvalidInput with everything that differs."""
    check_options(wanted)
    found = cluster.topic
    if found is None:
        check_replicas(wanted, cluster)
        raise NotFound(
            f"topic: there is no topic {wanted.name}",
            remedy="Create it, or let state: present do it.",
        )
    if short := [text for _option, text in shortcomings(wanted, cluster, found)]:
        raise InvalidInput(
            f"topic {wanted.name} does not fit: {'; '.join(short)}",
            remedy="Change the topic, or let state: present do it (all but its replicas).",
        )


def shortcomings(wanted: WantedTopic, cluster: Cluster, found: Topic) -> Iterator[tuple[str, str]]:
    """What the topic has too little of: the option of WantedTopic, and a sentence. Settings that are not known pass."""
    if found.partitions < wanted.partitions:
        yield "partitions", f"it has {found.partitions} partitions, partitions is {wanted.partitions}"
    if found.replicas < wanted.replication_factor:
        text = f"a partition has {found.replicas} replicas, replication_factor is {wanted.replication_factor}"
        yield "replication_factor", text
    for name, value in configs(wanted).items():
        there = found.configs.get(name)
        if there is None and name == LARGEST:
            there = cluster.max_message_bytes or None
        if there is not None and _falls_short(name, there, value):
            yield OPTIONS[name], f"its {name} is {there}, wanted is {value}"


def _falls_short(name: str, there: int | None, wanted: int) -> bool:
    unlimited = name == RETENTION and there == -1
    return there is None or (there < wanted and not unlimited)


def check_replicas(wanted: WantedTopic, cluster: Cluster) -> None:
    """InvalidInput for more replicas than there are brokers, or than a topic has that is there."""
    if wanted.replication_factor > cluster.brokers:
        raise InvalidInput(
            f"replication_factor is {wanted.replication_factor}, but the cluster has {cluster.brokers} broker"
            f"{'' if cluster.brokers == 1 else 's'}",
            "each replica of a partition is on another broker",
            f"Add brokers, or set it to {cluster.brokers} where loss is acceptable.",
        )
    found = cluster.topic
    if found and found.replicas < wanted.replication_factor:
        raise InvalidInput(
            f"replication_factor is {wanted.replication_factor}, but a partition of topic {wanted.name} has only "
            f"{found.replicas} replica{'' if found.replicas == 1 else 's'}",
            "spans that are not in the bucket yet are lost with that many brokers",
            "Move the partitions to more brokers (kafka-reassign-partitions), or name a new topic.",
        )


def _text(topic: Topic | None) -> str:
    if topic is None:
        return ""
    lines = [f"partitions: {topic.partitions}", f"replication_factor: {topic.replicas}"]
    return "".join(
        f"{line}\n" for line in [*lines, *(f"{name}: {topic.configs[name]}" for name in sorted(topic.configs))]
    )
