# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How the pods of both tiers are scaled, replaced, spread and prioritized. Pure: no I/O, no Ansible.

Option names and rules are those of Kubernetes:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import Config
from ansible_collections.orion.tracing.plugins.module_utils.collector.variables import CollectorVariables
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    boolean,
    integer,
    text,
    usable,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    GATEWAY_SCALE_DOWN_SECONDS,
    GATEWAY_TARGET_CPU_UTILIZATION,
)

AUTOSCALING, REPLICAS = "collector_gateway_autoscaling", "collector_gateway_replicas"
AUTOSCALING_KEYS = (
    "enabled", "min_replicas", "max_replicas", "target_cpu_utilization", "scale_down_stabilization_seconds"
)  # fmt: skip
SPREAD = "collector_topology_spread_constraints"
UNSATISFIABLE = ("ScheduleAnyway", "DoNotSchedule")
# A user's class may not be higher, nor have such a name.
MAX_PRIORITY, SYSTEM = 1_000_000_000, "system-"


def autoscaled(v: Mapping[str, Any]) -> bool:
    """Whether the number of gateways is decided in the cluster."""
    given = v.get(AUTOSCALING)
    return isinstance(given, Mapping) and usable(False, boolean, given.get("enabled", False))


def gateway_range(v: Mapping[str, Any]) -> tuple[int, int]:
    """How many gateways there are at least and at most, as far as that can be read. Nothing raises."""
    replicas = usable(1, integer, v.get(REPLICAS), 1)
    if not autoscaled(v):
        return replicas, replicas
    given = v[AUTOSCALING]
    least = usable(replicas, integer, given.get("min_replicas", replicas), 1)
    return least, usable(least, integer, given.get("max_replicas"), least)


def autoscaling(read: CollectorVariables, resources: Mapping[str, Any]) -> Config:
    """The gateways' HorizontalPodAutoscaler. resources: theirs; utilization is a percentage of the request."""
    place, given = Place(AUTOSCALING), read.mapping(AUTOSCALING)
    inside = Reader({f"{AUTOSCALING}.{key}": value for key, value in given.items()})
    for key in given:
        if key not in AUTOSCALING_KEYS:
            read.wrong(place.key(str(key)), "is not known here", f"Known are {', '.join(AUTOSCALING_KEYS)}.")

    def whole(key: str, default: int, minimum: int) -> int:
        return inside.integer(f"{AUTOSCALING}.{key}", default, minimum)

    enabled = inside.boolean(f"{AUTOSCALING}.enabled", False)
    least = whole("min_replicas", read.integer(REPLICAS, minimum=1), 1)
    made = {
        "enabled": enabled,
        "minReplicas": least,
        "maxReplicas": whole("max_replicas", least, 1),
        "targetCPUUtilization": whole("target_cpu_utilization", GATEWAY_TARGET_CPU_UTILIZATION, 1),
        "scaleDownStabilizationSeconds": whole("scale_down_stabilization_seconds", GATEWAY_SCALE_DOWN_SECONDS, 0),
    }
    for found in inside.findings:
        read.wrong(place.key(found.variable.rpartition(".")[2]), found.what, found.remedy, found.why)
    if not enabled:
        return made
    if "max_replicas" not in given:
        read.wrong(place.key("max_replicas"), "is missing", "Give the most gateways that there may be.")
    elif made["maxReplicas"] < least:
        read.wrong(
            place.key("max_replicas"),
            f"is {made['maxReplicas']}, less than the {least} that there are at least",
            f"Give {least} or more, or lower min_replicas.",
        )
    if not (resources.get("requests") or {}).get("cpu"):
        read.wrong(
            Place("collector_gateway_resources").key("requests").key("cpu"),
            f"is missing, but {AUTOSCALING} is enabled",
            "Write it as 500m or 2.",
            "utilization is a percentage of the request",
        )
    if made["scaleDownStabilizationSeconds"] > 3600:
        read.wrong(place.key("scale_down_stabilization_seconds"), "is more than 3600", "Give 0 to 3600.")
    return made


def rolling_update(read: CollectorVariables) -> Config:
    """Of the gateways' Deployment."""
    made = {
        "maxSurge": _count_or_percentage(read, "collector_gateway_max_surge"),
        "maxUnavailable": _count_or_percentage(read, "collector_gateway_max_unavailable"),
    }
    if all(value in (0, "0%") for value in made.values()):
        read.wrong(
            "collector_gateway_max_surge",
            "is 0, and so is collector_gateway_max_unavailable",
            "Raise one of them.",
            "no gateway could be replaced",
        )
    return made


def _count_or_percentage(read: CollectorVariables, name: str) -> int | str:
    written = read.text(name)
    if re.fullmatch(r"[0-9]+", written):
        return int(written)
    if not re.fullmatch(r"[0-9]+%", written) and read.sound(name):
        read.wrong(name, f"is '{written}', neither a number of pods nor a percentage", "Write 1 or 25%.")
    return written


def spread(read: CollectorVariables) -> list[Config]:
    """Topology spread constraints of both tiers, each without the selector of its tier's pods, which the chart adds."""
    made = []
    known = ("topologyKey", "maxSkew", "whenUnsatisfiable", "minDomains")
    for index, given in enumerate(read.listing(SPREAD, dict)):
        place = Place(SPREAD).item(index)
        for key in given:
            if key not in known:
                read.wrong(place.key(str(key)), "is not known here", f"Known are {', '.join(known)}.")
        one: Config = {
            "topologyKey": usable("", text, given.get("topologyKey")),
            "maxSkew": usable(0, integer, given.get("maxSkew", 1), 1),
            "whenUnsatisfiable": given.get("whenUnsatisfiable", UNSATISFIABLE[0]),
        }
        if not one["topologyKey"]:
            read.wrong(place.key("topologyKey"), "is missing", "Name a label of nodes: topology.kubernetes.io/zone.")
        if not one["maxSkew"]:
            read.wrong(place.key("maxSkew"), f"is {given['maxSkew']!r}, not a whole number of at least 1", "Give 1.")
        if one["whenUnsatisfiable"] not in UNSATISFIABLE:
            read.wrong(
                place.key("whenUnsatisfiable"),
                f"is {one['whenUnsatisfiable']!r}, not one of the choices",
                f"Choose {' or '.join(UNSATISFIABLE)}.",
            )
        if "minDomains" in given:
            one["minDomains"] = usable(0, integer, given["minDomains"], 1)
            if not one["minDomains"] or one["whenUnsatisfiable"] != UNSATISFIABLE[1]:
                what = "is not a whole number of at least 1, or whenUnsatisfiable is not DoNotSchedule"
                read.wrong(place.key("minDomains"), what, "Leave it out, or correct it.")
        made.append(one)
    return made


def priority_class(read: CollectorVariables) -> Config:
    """The PriorityClass that the release makes."""
    name, value = "collector_priority_class_create", "collector_priority_class_value"
    made = {"create": read.boolean(name), "value": read.integer(value, minimum=-MAX_PRIORITY)}
    own = read.text("collector_priority_class_name", empty=True)
    if made["value"] > MAX_PRIORITY:
        read.wrong(value, f"is {made['value']}, more than {MAX_PRIORITY}", f"Give at most {MAX_PRIORITY}.")
    if made["create"] and (not own or own.startswith(SYSTEM)):
        read.wrong(
            "collector_priority_class_name",
            f"is '{own}', but {name} is true" if own else f"is empty, but {name} is true",
            f"Give a name that does not begin with {SYSTEM}.",
        )
    return made
