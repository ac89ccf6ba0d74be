# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The options of the module kafka_topic, and its plan: for the module, and for the plan of the whole platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import DURATION_REMEDY, duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.kafka.client import Kafka
from ansible_collections.orion.tracing.plugins.module_utils.kafka.topic import WantedTopic, check_options, plan, verdict

ARGUMENTS: dict[str, dict[str, Any]] = {
    "address": {"type": "str", "required": True},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "name": {"type": "str", "required": True},
    "partitions": {"type": "int", "required": True},
    "replication_factor": {"type": "int", "default": 3},
    "min_insync_replicas": {"type": "int", "default": 2},
    "retention": {"type": "str", "default": "24h"},
    "max_message_bytes": {"type": "int", "default": 16000000},
    "timeout": {"type": "float", "default": 10},
    "state": {"type": "str", "choices": ["present", "checked"], "default": "present"},
}


def wanted_of(params: Mapping[str, Any]) -> WantedTopic:
    """InvalidInput for options that no cluster could fulfil, before one is asked."""
    for name in ("partitions", "replication_factor", "min_insync_replicas", "max_message_bytes"):
        if params[name] < 1:
            raise InvalidInput(f"{name} is {params[name]}", remedy="Give 1 or more.")
    try:
        retention = duration_seconds(params["retention"])
    except ValueError:
        raise InvalidInput(f"retention is '{params['retention']}', not a Go duration", remedy=DURATION_REMEDY) from None
    wanted = WantedTopic(
        params["name"],
        params["partitions"],
        params["replication_factor"],
        retention,
        params["max_message_bytes"],
        params["min_insync_replicas"],
    )
    check_options(wanted)
    return wanted


def connection_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of Kafka.connected."""
    return {name: params[name] for name in ("address", "username", "password", "timeout")}


def plan_of(params: Mapping[str, Any], wanted: WantedTopic, kafka: Kafka) -> Plan:
    """What would change. Where the topic is only to be checked, NotFound or InvalidInput for one that does not fit."""
    cluster = kafka.read(wanted.name)
    if params["state"] == "checked":
        verdict(wanted, cluster)
    return plan(wanted, cluster)
