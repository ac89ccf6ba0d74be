# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Dashboards in a running Grafana, in the classic model: read, plan, apply.

Source: https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/dashboard/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana, segment
from ansible_collections.orion.tracing.plugins.module_utils.grafana.compare import as_text, within
from ansible_collections.orion.tracing.plugins.module_utils.grafana.given import UID
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    Place,
    error,
    refuse,
    warning,
)

PATH = "api/dashboards"
WHAT = "the dashboards"
# Grafana's own, in the model.
_OWN = ("id", "version", "iteration")


@dataclass(frozen=True)
class Dashboard:
    """place: the option, or the file, that it is from. model: the classic dashboard JSON."""

    place: Place
    model: dict[str, Any]

    @property
    def uid(self) -> str:
        return str(self.model["uid"])


def read(texts: Sequence[tuple[Place, Any]], inputs: Mapping[str, str]) -> list[Dashboard]:
    """The dashboards of documents: JSON texts, or models. InvalidVariables with everything that is wrong with them.

    inputs: values of the placeholders that a dashboard has that was exported for sharing.
    """
    found: list[Dashboard] = []
    findings: list[Finding] = []
    for place, text in texts:
        for one in _one(place, text, inputs):
            if isinstance(one, Finding):
                findings.append(one)
            else:
                found.append(one)
    for key in ("uid", "title"):
        seen: dict[str, Place] = {}
        for one in found:
            value = str(one.model[key])
            if value in seen:
                findings.append(
                    error(one.place, f"has the {key} '{value}', as has {seen[value]}", f"Give it another {key}.")
                )
            seen[value] = one.place
    refuse(WHAT, findings)
    return found


def _one(place: Place, text: Any, inputs: Mapping[str, str]) -> Iterator[Finding | Dashboard]:
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except ValueError as problem:
            yield error(place, "is not JSON", "Correct it, or export the dashboard again.", str(problem))
            return
    if isinstance(text, Mapping) and isinstance(text.get("dashboard"), Mapping):
        text = text["dashboard"]
    if not isinstance(text, Mapping):
        yield error(place, "is not a dashboard", "Give the JSON model of one, a mapping with title and panels.")
        return
    if "apiVersion" in text or "elements" in text:
        yield error(
            place,
            "is not in the classic model",
            "Export it as classic JSON model.",
            "this is a resource of the newer API, which Grafana 11 does not have",
        )
        return
    model = {key: value for key, value in text.items() if key not in _OWN}
    wanted = [str(one.get("name")) for one in model.pop("__inputs", None) or [] if isinstance(one, Mapping)]
    if missing := [name for name in wanted if name not in inputs]:
        yield error(
            place,
            f"was exported for sharing and needs values for {', '.join(missing)}",
            "Give them in the option inputs, {NAME: uid of the data source}.",
        )
        return
    for key in ("__requires", "__elements"):
        model.pop(key, None)
    if wanted:
        filled = re.sub(r"\$\{(\w+)\}", lambda m: json.dumps(inputs.get(m[1], m[0]))[1:-1], json.dumps(model))
        model = json.loads(filled)
    problems = list(_model_problems(place, model))
    yield from problems
    if not problems:
        yield Dashboard(place, model)


def _model_problems(place: Place, model: Mapping[str, Any]) -> Iterator[Finding]:
    if not UID.fullmatch(str(model.get("uid") or "")):
        yield error(
            place,
            f"has the uid {model.get('uid')!r}",
            "Give it a uid of 1 to 40 letters, digits, hyphens and underscores.",
            "without a fixed uid every run would make another dashboard",
        )
    if not str(model.get("title") or "").strip():
        yield error(place, "has no title", "Give it one.")
    if not isinstance(model.get("panels", []), list):
        yield error(place, "has panels that are not a list", "Correct it, or export the dashboard again.")


def plan_present(
    grafana: Grafana, wanted: Sequence[Dashboard], folder: str, overwrite: bool, message: str, check_mode: bool
) -> Plan:
    """folder: uid of the folder, "" for the top level. overwrite: also what is somebody else's, or was changed since.

    In check mode the folder need not exist yet.
    """
    current = in_threads(lambda one: grafana.get(f"{PATH}/uid/{segment(one.uid)}"), list(wanted))
    plan = Plan(result={"dashboards": []})
    findings = list(_obstacles(wanted, current, folder, overwrite))
    if folder and any(found is None for found in current) and grafana.get(f"api/folders/{segment(folder)}") is None:
        make = error if not check_mode else warning
        findings.append(
            make(Place("folder_uid"), f"is {folder}, which is not a folder", "Make it with grafana_folder before.")
        )
    plan.warnings += [str(one) for one in refuse(WHAT, findings)]
    for one, found in zip(wanted, current, strict=True):
        if found and _same(one, found, folder):
            continue
        model = {**one.model, "id": None}
        if found:
            model["version"] = found["dashboard"].get("version")
        body = {"dashboard": model, "overwrite": overwrite, "message": message}
        step = Step(f"{'update' if found else 'create'} dashboard {one.uid}", "POST", {**body, "folderUid": folder})
        plan.steps.append(step)
        before = found and {"folderUid": found["meta"].get("folderUid") or "", **_without_own(found["dashboard"])}
        after = {"folderUid": folder, **one.model}
        plan.diff.append(diff_entry(f"dashboard {one.uid}", as_text(before), as_text(after)))
    return plan


def plan_absent(grafana: Grafana, uids: Sequence[str]) -> Plan:
    current = in_threads(lambda uid: grafana.get(f"{PATH}/uid/{segment(uid)}"), list(uids))
    findings = [_provisioned(Place("uids"), uid) for uid, one in zip(uids, current, strict=True) if _from_file(one)]
    refuse(WHAT, findings)
    plan = Plan(result={"dashboards": []})
    for uid, found in zip(uids, current, strict=True):
        if found:
            plan.steps.append(Step(f"delete dashboard {uid}", "DELETE", uid))
            plan.diff.append(diff_entry(f"dashboard {uid}", as_text(_without_own(found["dashboard"])), ""))
    return plan


def apply(grafana: Grafana, plan: Plan) -> None:
    def execute(step: Step) -> None:
        if step.action == "DELETE":
            grafana.request("DELETE", f"{PATH}/uid/{segment(step.data)}")
            return
        answer = grafana.request("POST", f"{PATH}/db", step.data)
        shown = {key: answer.get(key) for key in ("uid", "url", "version")}
        plan.result["dashboards"].append({**shown, "title": step.data["dashboard"]["title"]})

    run_steps(plan.steps, execute)


def _obstacles(wanted: Sequence[Dashboard], current: Sequence[Any], folder: str, overwrite: bool) -> Iterator[Finding]:
    for one, found in zip(wanted, current, strict=True):
        if not found:
            continue
        if _from_file(found):
            yield _provisioned(one.place, one.uid)
            continue
        title, there = found["dashboard"].get("title"), found["meta"].get("folderUid") or ""
        if not overwrite and title != one.model["title"] and there != folder:
            yield error(
                one.place,
                f"has the uid {one.uid}, which the dashboard '{title}' in the folder "
                f"'{found['meta'].get('folderTitle') or there or 'Dashboards'}' has",
                "Give it another uid, or set overwrite: true to replace the other.",
            )


def _from_file(found: Mapping[str, Any] | None) -> bool:
    return bool(found and found["meta"].get("provisioned"))


def _provisioned(place: Place, uid: str) -> Finding:
    return error(
        place,
        f"dashboard {uid} is read-only",
        "Remove it from the files or ConfigMaps of Grafana first.",
        "it was provisioned from a file",
    )


def _same(one: Dashboard, found: Mapping[str, Any], folder: str) -> bool:
    """Whether Grafana has this dashboard, as it is: with defaults, and in a newer schema if it has migrated it."""
    if (found["meta"].get("folderUid") or "") != folder:
        return False
    there = _without_own(found["dashboard"])
    versions = [model.get("schemaVersion") or 0 for model in (one.model, there)]
    wanted = {key: value for key, value in one.model.items() if key != "schemaVersion"}
    there.pop("schemaVersion", None)
    return within(wanted, there, additions=versions[1] > versions[0])


def _without_own(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key not in _OWN}
