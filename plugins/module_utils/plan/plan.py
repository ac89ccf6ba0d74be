# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Plans of all components as one: data for tools, and what a saved plan must still agree with. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import (
    BUCKET,
    GRAFANA,
    TOPIC,
    WORKLOADS,
    Component,
    ComponentPlan,
    PlannedCall,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import AppliedInputs, canonical

FORMAT = 1
CREATE, CHANGE, REMOVE, NONE, UNKNOWN = "create", "change", "remove", "none", "unknown"
DRIFTED = "drifted"
SECRET = "(secret)"
# Modules whose objects are the entries of their diff.
KINDS = {BUCKET: "S3", TOPIC: "Kafka", **dict.fromkeys(GRAFANA, "Grafana")}
# Longer values are shortened in the plan; JSON of whole lists says little.
LONGEST = 120


def of_components(
    planned: Sequence[ComponentPlan],
    inputs: AppliedInputs,
    changed_variables: Mapping[str, tuple[Any, Any]],
    where: Mapping[str, str],
    recorded: bool,
) -> dict[str, Any]:
    """The plan as plain data.

    where: host, cluster, namespace and api_server of the run. changed_variables: as record.changed_variables has them.
    recorded: whether the record of what is applied is that of these inputs.
    """
    components = [_component(one) for one in planned]
    objects = [item for one in components for item in one["objects"]]
    pods = [item["restarts"]["pods"] for item in objects if item.get("restarts")]
    return {
        "format": FORMAT,
        **where,
        "changed": any(one.changed for one in planned),
        "recorded": recorded,
        "apply": [one.name for one in planned if one.changed or one.component.unplanned],
        "components": components,
        "variables": [
            _variable(name, *values, secret=name in inputs.secret) for name, values in changed_variables.items()
        ],
        "consequences": [],
        "totals": {
            **{action: sum(item["action"] == action for item in objects) for action in (CREATE, CHANGE, REMOVE)},
            "pods_replaced": sum(number or 1 for number in pods),
            DRIFTED: sum(len(one.get("drift", ())) for one in components),
        },
        "inputs": inputs_of(inputs),
    }


def unchanged(where: Mapping[str, str], names: Iterable[str], inputs: AppliedInputs) -> dict[str, Any]:
    """The plan of a run whose inputs are those of the record, and whose cluster is as the record has it."""
    return of_components([ComponentPlan(Component(name, ())) for name in names], inputs, {}, where, recorded=True)


def inputs_of(inputs: AppliedInputs) -> dict[str, Any]:
    """By which a saved plan is recognised: the collection, and digests of the variables that are not secret."""
    return {
        "content": inputs.content,
        "variables": {
            name: hashlib.sha256(canonical(value).encode()).hexdigest()[:16]
            for name, value in sorted(inputs.shown.items())
        },
    }


def check_saved(saved: Any, now: Mapping[str, Any], named: str) -> None:
    """Conflict where a saved plan is not the plan of this run. named: what messages call it, with its variable."""
    remedy = "Make the plan anew (site.yml --check with tracing_plan_output), look at it, and apply that one."
    if not isinstance(saved, Mapping) or saved.get("format") != FORMAT:
        raise InvalidInput(
            f"{named} is not a plan of this version of the collection",
            "it has another format",
            remedy,
        )
    for key, what in (
        ("host", "inventory host"),
        ("cluster", "cluster (tracing_cluster_name)"),
        ("api_server", "API server"),
        ("namespace", "namespace (tracing_namespace)"),
    ):
        if saved.get(key) != now[key]:
            raise Conflict(
                f"{named} is the plan of another {what}",
                f"it is for {saved.get(key)}, and this run is for {now[key]}",
                remedy,
            )
    if differences := list(_differences(saved, now)):
        raise Conflict(f"{named} no longer fits, and nothing was changed", "; ".join(differences), remedy)


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    before, after = saved["inputs"], now["inputs"]
    if before["content"] != after["content"]:
        yield "the collection is another one"
    names = sorted(
        name
        for name in {*before["variables"], *after["variables"]}
        if before["variables"].get(name) != after["variables"].get(name)
    )
    if names:
        yield f"other values: {', '.join(names[:8])}{f' and {len(names) - 8} more' if len(names) > 8 else ''}"
    there = {one["name"]: one for one in saved["components"]}
    for one in now["components"]:
        name = one["name"]
        if name not in there:
            yield f"{name} was not in it"
        elif _state(there[name]) != _state(one):
            yield f"{name} is no longer what it was when the plan was made"
    for name in there.keys() - {one["name"] for one in now["components"]}:
        yield f"{name} is not in this run"


def _state(component: Mapping[str, Any]) -> str:
    """Revisions, objects and steps; not the fields of a pod template that differ, in which secrets are masked anew."""
    objects = [{key: value for key, value in item.items() if key != "restarts"} for item in component["objects"]]
    return canonical({"release": component.get("release"), "steps": component["steps"], "objects": objects})


def _component(one: ComponentPlan) -> dict[str, Any]:
    objects = [item for planned in one.planned for item in _objects(planned)]
    releases = [planned for planned in one.planned if planned.call.release]
    found: dict[str, Any] = {
        "name": one.name,
        "action": _action(one, objects),
        "steps": [step.name for planned in one.planned for step in planned.plan.steps],
        "objects": objects,
        "note": one.component.unplanned,
    }
    for planned in releases:
        found["release"] = planned.plan.result["release"]
        if drift := planned.plan.result.get("drift"):
            found["drift"] = drift
    return found


def _action(one: ComponentPlan, objects: Sequence[Mapping[str, Any]]) -> str:
    if not one.changed:
        return UNKNOWN if one.component.unplanned else NONE
    changing = [planned for planned in one.planned if planned.plan.changed]
    if all(planned.call.release and not planned.call.installs for planned in changing):
        return REMOVE
    if all(planned.call.module in GRAFANA for planned in changing):
        return CREATE if all(item["action"] == CREATE for item in objects) else CHANGE
    steps = {step.name for planned in changing for step in planned.plan.steps}
    return CREATE if steps & {"install", "create bucket"} else CHANGE


def _objects(planned: PlannedCall) -> list[dict[str, Any]]:
    """Of releases the Kubernetes objects; of the bucket its aspects; of Kafka the topic; of Grafana what its modules
    write; of workloads those that get other annotations."""
    plan, options = planned.plan, planned.call.options
    if planned.call.release:
        actions = {"create": CREATE, "update": CHANGE, "delete": REMOVE}
        return [
            {
                "action": actions[item["action"]],
                "kind": item["kind"],
                "name": f"{item['namespace']}/{item['name']}" if item["namespace"] else item["name"],
                **({"restarts": item["restarts"]} if item.get("restarts") else {}),
            }
            for item in plan.result["objects"]
        ]
    if kind := KINDS.get(planned.call.module):
        return [
            {
                "action": CREATE if entry["before"] == "" else REMOVE if entry["after"] == "" else CHANGE,
                "kind": kind,
                "name": entry["after_header"].replace(": bucket", "") or str(options["name"]),
            }
            for entry in plan.diff
        ]
    if planned.call.module == WORKLOADS:
        return [
            {
                "action": CHANGE,
                "kind": row["kind"],
                "name": f"{row['namespace']}/{row['name']}",
                "restarts": {"pods": row["pods"], "because": [row["action"]]},
            }
            for row in plan.result["workloads"]
            if row["action"] not in ("none", "unchanged", "")
        ]
    return []


def _variable(name: str, before: Any, after: Any, secret: bool) -> dict[str, Any]:
    if secret:
        return {"name": name, "before": SECRET, "after": SECRET}
    return {"name": name, "before": _short(before), "after": _short(after)}


def _short(value: Any) -> Any:
    text = canonical(value)
    return value if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
