# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Groups of Grafana's own alert rules in a running Grafana: read, plan, apply.

Sources: https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/alerting_provisioning/, and
pkg/services/ngalert/api/tooling/definitions/provisioning_alert_rules.go of https://github.com/grafana/grafana.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds, interval_seconds
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

PATH = "api/v1/provisioning"
WHAT = "the alert rules"
RULE_KEYS = (
    "uid",
    "title",
    "condition",
    "data",
    "noDataState",
    "execErrState",
    "for",
    "keep_firing_for",
    "annotations",
    "labels",
    "isPaused",
    "notification_settings",
    "record",
)
# Grafana evaluates groups at multiples of this many seconds.
# Source: min_interval in https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/#unified_alerting
BASE_SECONDS = 10
DEFAULTS = {"noDataState": "NoData", "execErrState": "Error", "for": "0s"}


def groups_of(given: Any) -> Any:
    """The groups in a document of Grafana's alerting provisioning, or a list as it is."""
    return given["groups"] if isinstance(given, Mapping) and isinstance(given.get("groups"), list) else given


def check(groups: Sequence[Any], absent: bool = False) -> None:
    """InvalidVariables with everything that is wrong with the groups, before anything is sent."""
    refuse(WHAT, _problems(groups, absent))


def _problems(groups: Sequence[Any], absent: bool) -> Iterator[Finding]:
    names: set[str] = set()
    uids: dict[str, Place] = {}
    for index, group in enumerate(groups):
        place = Place("groups").item(index)
        if not isinstance(group, Mapping) or not str(group.get("name") or "").strip():
            yield error(place, "is not a group of rules", "Write it as {name: …, interval: 1m, rules: […]}.")
            continue
        if group["name"] in names:
            yield error(place.key("name"), f"is '{group['name']}' a second time", "Give it another name.")
        names.add(str(group["name"]))
        if absent:
            continue
        yield from _interval_problems(place.key("interval"), group.get("interval"))
        rules = group.get("rules")
        if not isinstance(rules, list) or not rules:
            yield error(place.key("rules"), "is not a list of rules", "Write it as [{uid: …, title: …}].")
            continue
        for number, rule in enumerate(rules):
            yield from _rule_problems(place.key("rules").item(number), rule, uids)


def _interval_problems(place: Place, interval: Any) -> Iterator[Finding]:
    seconds = _seconds(interval)
    if not seconds or seconds % BASE_SECONDS:
        remedy = f"Write a duration that is a multiple of {BASE_SECONDS} s, such as 1m."
        yield error(place, f"is {interval!r}, which Grafana does not take", remedy)


def _rule_problems(place: Place, rule: Any, uids: dict[str, Place]) -> Iterator[Finding]:
    if not isinstance(rule, Mapping):
        yield error(place, f"is {rule!r}, not a rule", "Write it as {uid: …, title: …, condition: …, data: […]}.")
        return
    uid = str(rule.get("uid") or "")
    if not UID.fullmatch(uid):
        yield error(
            place.key("uid"),
            f"is {rule.get('uid')!r}, which cannot be a uid",
            "Use 1 to 40 letters, digits, hyphens and underscores.",
            "without a fixed uid every run would make another rule",
        )
    elif uid in uids:
        yield error(place.key("uid"), f"is {uid}, as is that of {uids[uid]}", "Give each rule a uid of its own.")
    uids.setdefault(uid, place)
    for key in sorted(set(rule) - set(RULE_KEYS) - {"dashboardUid", "panelId"}):
        yield error(place.key(key), "is not a key of a rule", f"It has {', '.join(RULE_KEYS)}.")
    if not str(rule.get("title") or "").strip():
        yield error(place.key("title"), "is missing", "Give the rule a title.")
    data = rule.get("data")
    if not isinstance(data, list) or not all(isinstance(one, Mapping) and one.get("refId") for one in data) or not data:
        yield error(
            place.key("data"), "is not a list of queries", "Write it as [{refId: A, datasourceUid: …, model: {…}}]."
        )
        return
    references = [one["refId"] for one in data]
    if "record" not in rule and rule.get("condition") not in references:
        yield error(
            place.key("condition"),
            f"is {rule.get('condition')!r}, which is not the refId of a query",
            f"Name one of {', '.join(map(str, references))}.",
        )
    for key in ("for", "keep_firing_for"):
        if key in rule and _seconds(rule[key]) is None:
            yield error(place.key(key), f"is {rule[key]!r}, not a duration", "Write it as 5m, 30s or 0s.")


def _seconds(value: Any) -> float | None:
    """Of a duration, or of a number of seconds; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value)
    for read in (duration_seconds, interval_seconds):
        try:
            found = read(value)
        except ValueError:
            continue
        return found if found >= 0 else None
    return 0.0 if value in ("0", "") else None


def plan_present(
    grafana: Grafana, folder: str, groups: Sequence[Mapping[str, Any]], editable: bool, check_mode: bool
) -> Plan:
    """folder: uid of the folder of the groups. editable: whether the rules can be changed in Grafana's pages.

    In check mode the folder need not exist yet.
    """
    wanted = [_wanted(group, folder) for group in groups]
    current = in_threads(lambda group: grafana.get(_path(folder, group["title"])), wanted)
    found = [one if one and one.get("rules") else None for one in current]
    findings = [
        error(
            Place("groups").item(index).key("rules"),
            f"rule {rule.get('uid')} is read-only",
            "Remove it from Grafana's files first (deleteRules).",
            "it was provisioned from a file",
        )
        for index, one in enumerate(found)
        for rule in (one or {}).get("rules", [])
        if rule.get("provenance") == "file"
    ]
    if None in found and grafana.get(f"api/folders/{segment(folder)}") is None:
        make = warning if check_mode else error
        findings.append(
            make(Place("folder_uid"), f"is {folder}, which is not a folder", "Make it with grafana_folder.")
        )
    plan = Plan(result={"groups": [group["title"] for group in wanted]})
    plan.warnings += [str(one) for one in refuse(WHAT, findings)]
    for group, there in zip(wanted, found, strict=True):
        if there and _same(group, there, editable):
            continue
        name = f"{'update' if there else 'create'} rules {group['title']}"
        plan.steps.append(Step(name, "PUT", (_path(folder, group["title"]), group, editable)))
        plan.diff.append(diff_entry(f"rules {group['title']}", as_text(_shown(there)), as_text(_shown(group))))
    return plan


def plan_absent(grafana: Grafana, folder: str, names: Sequence[str]) -> Plan:
    current = in_threads(lambda name: grafana.get(_path(folder, name)), list(names))
    plan = Plan(result={"groups": []})
    for name, found in zip(names, current, strict=True):
        if found and found.get("rules"):
            plan.steps.append(Step(f"delete rules {name}", "DELETE", (_path(folder, name), None, False)))
            plan.diff.append(diff_entry(f"rules {name}", as_text(_shown(found)), ""))
    return plan


def apply(grafana: Grafana, plan: Plan) -> None:
    def execute(step: Step) -> None:
        path, body, editable = step.data
        headers = {"X-Disable-Provenance": "true"} if editable else {}
        grafana.request(step.action, path, body, headers=headers)

    run_steps(plan.steps, execute)


def _path(folder: str, group: str) -> str:
    return f"{PATH}/folder/{segment(folder)}/rule-groups/{segment(group)}"


def _wanted(group: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """A group as the API takes it: its interval in seconds, and each rule with its group and folder."""
    title = str(group["name"])
    rules = [
        {
            **DEFAULTS,
            **{key: value for key, value in rule.items() if key in RULE_KEYS},
            **({"annotations": annotations} if (annotations := _annotations(rule)) else {}),
            "folderUID": folder,
            "ruleGroup": title,
        }
        for rule in group["rules"]
    ]
    return {"title": title, "folderUid": folder, "interval": int(_seconds(group["interval"]) or 0), "rules": rules}


def _annotations(rule: Mapping[str, Any]) -> dict[str, str]:
    """With the panel, which files have as keys of the rule and the API has as annotations."""
    found = dict(rule.get("annotations") or {})
    for key, annotation in (("dashboardUid", "__dashboardUid__"), ("panelId", "__panelId__")):
        if rule.get(key):
            found[annotation] = str(rule[key])
    return found


def _same(wanted: Mapping[str, Any], found: Mapping[str, Any], editable: bool) -> bool:
    if wanted["interval"] != found.get("interval") or len(wanted["rules"]) != len(found["rules"]):
        return False
    return all(_same_rule(*both, editable) for both in zip(wanted["rules"], found["rules"], strict=True))


def _same_rule(wanted: Mapping[str, Any], found: Mapping[str, Any], editable: bool) -> bool:
    if bool(found.get("provenance")) == editable:
        return False
    for key in ("for", "keep_firing_for"):
        if _seconds(wanted.get(key) or "0s") != _seconds(found.get(key) or "0s"):
            return False
    for key in ("labels", "annotations"):
        if (wanted.get(key) or {}) != (found.get(key) or {}):
            return False
    rest = {
        key: value for key, value in wanted.items() if key not in ("for", "keep_firing_for", "labels", "annotations")
    }
    # Grafana adds intervalMs, maxDataPoints and the like to queries.
    return within(rest, found, additions=True)


def _shown(group: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A group without what is Grafana's own."""
    if not group:
        return None
    rules = [
        {key: rule[key] for key in RULE_KEYS if rule.get(key) not in (None, "", {}, [])} for rule in group["rules"]
    ]
    return {"name": group.get("title"), "interval": group.get("interval"), "rules": rules}
