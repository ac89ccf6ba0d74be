# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A plan as text, in the form that Terraform has made known: + create, ~ change, - remove. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.plan.plan import (
    CHANGE,
    CREATE,
    DRIFTED,
    NONE,
    REMOVE,
    SECRET,
    UNKNOWN,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import canonical

SIGNS = {CREATE: "+", CHANGE: "~", REMOVE: "-", NONE: " ", UNKNOWN: "?"}
SHOWN = 12  # objects of a component


def render(plan: Mapping[str, Any]) -> str:
    """Lines without one for what stays as it is."""
    where = f"{plan['host']}: {plan['cluster']}, namespace {plan['namespace']} at {plan['api_server']}"
    lines = [f"Plan for {where}"]
    for component in plan["components"]:
        lines += _component(component)
    if plan["variables"]:
        lines += ["", "  Variables:"]
        lines += [f"    {one['name']}: {_value(one['before'])} → {_value(one['after'])}" for one in plan["variables"]]
    if plan["consequences"]:
        lines += ["", "  What it means:", *(f"    {line}" for line in plan["consequences"])]
    return "\n".join([*lines, "", f"  {summary(plan)}"])


def summary(plan: Mapping[str, Any]) -> str:
    """In one line what is going to change."""
    totals, unknown = plan["totals"], [one["name"] for one in plan["components"] if one["action"] == UNKNOWN]
    asks = f" {' and '.join(unknown)} will see when it runs." if unknown else ""
    drifted = totals[DRIFTED]
    if drifted:
        asks += f" {drifted} {'object has' if drifted == 1 else 'objects have'} drifted."
    if not plan["changed"]:
        return f"Nothing is going to change.{asks}"
    counted = ", ".join(f"{totals[action]} to {action}" for action in (CREATE, CHANGE, REMOVE) if totals[action])
    pods = totals["pods_replaced"]
    return f"Plan: {counted or 'no object differs'}; {pods} {'pod is' if pods == 1 else 'pods are'} replaced.{asks}"


def _component(component: Mapping[str, Any]) -> Iterator[str]:
    action = component["action"]
    drift = component.get("drift") or []
    if action == NONE and not drift:
        return
    release = component.get("release") or {}
    about = f" (release {release['namespace']}/{release['name']}, revision {release['revision']})" if release else ""
    if action == REMOVE and release:
        about = f" (release {release['namespace']}/{release['name']})"
    yield ""
    yield f"  {SIGNS[action]} {component['name']}{about}{': ' + component['note'] if component['note'] else ''}"
    objects = component["objects"]
    for item in objects[:SHOWN]:
        yield f"      {SIGNS[item['action']]} {item['kind']} {item['name']}"
        if restarts := item.get("restarts"):
            pods = restarts["pods"]
            many = "its pods" if pods is None else "1 pod" if pods == 1 else f"{pods} pods"
            yield f"          replaces {many}: {', '.join(restarts['because'])}"
    if len(objects) > SHOWN:
        yield f"      and {len(objects) - SHOWN} more objects"
    if not objects:
        yield from (f"      {step}" for step in component["steps"])
    for item in drift:
        fields = ", ".join(str(field["path"]) for field in item["fields"][:SHOWN])
        where = f"{item['namespace']}/{item['name']}" if item["namespace"] else item["name"]
        yield f"      drifted: {item['kind']} {where} ({item['action']}{': ' + fields if fields else ''})"


def _value(value: Any) -> str:
    return "not set" if value is None else value if value == SECRET else canonical(value)
