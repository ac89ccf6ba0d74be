# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.kafka.topic import (
    Cluster,
    Topic,
    WantedTopic,
    plan,
    verdict,
)

WANTED = WantedTopic("spans", 3, 3, 86400, 16_000_000, 2)
SETTINGS = {"retention.ms": 86_400_000, "max.message.bytes": 16_000_000, "min.insync.replicas": 2}
FITS = Topic(3, 3, SETTINGS)


def cluster(topic: Topic | None = None, brokers: int = 3) -> Cluster:
    return Cluster(brokers, 1_048_588, topic)


def test_a_topic_is_made() -> None:
    made = plan(WANTED, cluster())
    assert [(step.action, step.data) for step in made.steps] == [("create", SETTINGS)]
    assert made.result["topic"] == {"partitions": 3, "replication_factor": 3, "configs": SETTINGS}
    [entry] = made.diff
    assert entry["before"] == "" and "partitions: 3\n" in entry["after"]


@pytest.mark.parametrize(
    "topic",
    [
        FITS,
        Topic(12, 4, {"retention.ms": 604_800_000, "max.message.bytes": 20_000_000, "min.insync.replicas": 3}),
        Topic(3, 3, {**SETTINGS, "retention.ms": -1}),
    ],
)
def test_what_fits_or_is_more_stays(topic: Topic) -> None:
    made = plan(WANTED, cluster(topic))
    assert (made.steps, made.diff) == ([], [])
    verdict(WANTED, cluster(topic))


def test_what_falls_short_is_changed() -> None:
    topic = Topic(1, 3, {**SETTINGS, "max.message.bytes": 1_048_588, "retention.ms": 60_000})
    made = plan(WANTED, cluster(topic))
    assert [(step.action, step.data) for step in made.steps] == [
        ("partitions", 3),
        ("configs", {"retention.ms": 86_400_000, "max.message.bytes": 16_000_000}),
    ]
    assert made.result["topic"]["configs"] == SETTINGS
    with pytest.raises(InvalidInput) as caught:
        verdict(WANTED, cluster(topic))
    for part in ("1 partitions", "its max.message.bytes is 1048588, wanted is 16000000", "its retention.ms is 60000"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "there", "message"),
    [
        (WANTED, cluster(brokers=1), "replication_factor is 3, but the cluster has 1 broker: .* set it to 1"),
        (WANTED, cluster(replace(FITS, replicas=1)), "a partition of topic spans has only 1 replica: .*reassign"),
        (replace(WANTED, min_insync_replicas=4), cluster(), "min_insync_replicas is 4, more than replication_factor"),
    ],
)
def test_what_cannot_be_reached_is_refused(wanted: WantedTopic, there: Cluster, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan(wanted, there)


def test_checking_does_not_accept_what_is_missing() -> None:
    with pytest.raises(NotFound, match="there is no topic spans"):
        verdict(WANTED, cluster())
    # Without a figure of its own, the topic has the brokers'.
    bare = Topic(3, 3, {"retention.ms": 86_400_000})
    with pytest.raises(InvalidInput, match="its max.message.bytes is 1048588"):
        verdict(WANTED, cluster(bare))
    with pytest.raises(InvalidInput, match="1 replicas, replication_factor is 3"):
        verdict(WANTED, cluster(replace(FITS, replicas=1)))
