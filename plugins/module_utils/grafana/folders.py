# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A folder in a running Grafana: read, plan, apply.

Source: https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/folder/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana, segment
from ansible_collections.orion.tracing.plugins.module_utils.grafana.compare import as_text
from ansible_collections.orion.tracing.plugins.module_utils.grafana.given import UID

PATH = "api/folders"


def check(uid: str, title: str | None) -> None:
    """InvalidInput before anything is sent. title: None where it is to be removed."""
    if not UID.fullmatch(uid):
        raise InvalidInput(
            f"option uid is '{uid}', which cannot be a uid", remedy="Use 1 to 40 letters, digits, hyphens, underscores."
        )
    if title is not None and not title.strip():
        raise InvalidInput("option title is empty", remedy="Give the folder a title.")


def plan_present(grafana: Grafana, uid: str, title: str, parent: str | None) -> Plan:
    """parent: uid of the folder in which it is to be, "" for the top level, None to leave it where it is."""
    found = grafana.get(f"{PATH}/{segment(uid)}")
    plan = Plan(result={"folder": _shown(found)})
    if found is None:
        body = {"uid": uid, "title": title, **({"parentUid": parent} if parent else {})}
        plan.steps.append(Step(f"create folder {uid}", "POST", (PATH, body)))
    else:
        if found.get("title") != title:
            # With the version that was read, Grafana refuses to overwrite what somebody else changed since.
            body = {"title": title, "version": found.get("version")}
            plan.steps.append(Step(f"rename folder {uid}", "PUT", (f"{PATH}/{segment(uid)}", body)))
        if parent is not None and (found.get("parentUid") or "") != parent:
            path = f"{PATH}/{segment(uid)}/move"
            plan.steps.append(Step(f"move folder {uid}", "POST", (path, {"parentUid": parent})))
    if plan.steps:
        inside = (found or {}).get("parentUid", "") if parent is None else parent
        after = {"uid": uid, "title": title, **({"parentUid": inside} if inside else {})}
        plan.diff.append(diff_entry(f"folder {uid}", as_text(_shown(found)), as_text(after)))
        plan.result["folder"] = after
    return plan


def plan_absent(grafana: Grafana, uid: str, force: bool) -> Plan:
    """force: also with the alert rules in it."""
    found = grafana.get(f"{PATH}/{segment(uid)}")
    plan = Plan(result={"folder": None})
    if found:
        plan.steps.append(Step(f"delete folder {uid}", "DELETE", (f"{PATH}/{segment(uid)}", force)))
        plan.diff.append(diff_entry(f"folder {uid}", as_text(_shown(found)), ""))
    return plan


def apply(grafana: Grafana, plan: Plan) -> None:
    def execute(step: Step) -> None:
        path, what = step.data
        if step.action == "DELETE":
            grafana.request("DELETE", path, query={"forceDeleteRules": "true"} if what else None)
        else:
            grafana.request(step.action, path, what)

    run_steps(plan.steps, execute)


def _shown(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found:
        return None
    return {key: found[key] for key in ("uid", "title", "parentUid") if found.get(key)}
