# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Data sources in a running Grafana: read, plan, apply.

Source: https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/api-legacy/data_source/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana, segment
from ansible_collections.orion.tracing.plugins.module_utils.grafana.compare import as_text, within
from ansible_collections.orion.tracing.plugins.module_utils.grafana.given import UID
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error, refuse

PATH = "api/datasources"
# What a PUT replaces: all of it, so what is not asked for is sent as it is.
WRITABLE = (
    "name",
    "type",
    "uid",
    "access",
    "url",
    "user",
    "database",
    "basicAuth",
    "basicAuthUser",
    "withCredentials",
    "isDefault",
    "jsonData",
)
SECRETS = "secureJsonData"
HIDDEN = "set, not shown"
MISSING, ALWAYS = "missing", "always"
WHAT = "the data sources"


def check(wanted: Sequence[Any], option: str = "datasources", absent: bool = False) -> None:
    """InvalidVariables with everything that is wrong with the documents, before anything is sent."""
    refuse(WHAT, _problems(wanted, option, absent))


def _problems(wanted: Sequence[Any], option: str, absent: bool) -> Iterator[Finding]:
    for key in ("uid", "name"):
        seen: set[str] = set()
        for index, source in enumerate(wanted):
            value = source.get(key) if isinstance(source, Mapping) else None
            if isinstance(value, str) and value in seen:
                yield error(
                    Place(option).item(index).key(key), f"is '{value}' a second time", f"Give it another {key}."
                )
            seen.add(str(value))
    for index, source in enumerate(wanted):
        place = Place(option).item(index)
        if not isinstance(source, Mapping):
            yield error(place, f"is {source!r}, not a data source", "Write it as {name: …, type: …, uid: …, url: …}.")
            continue
        if not UID.fullmatch(str(source.get("uid") or "")):
            yield error(
                place.key("uid"),
                f"is {source.get('uid')!r}, which cannot be a uid",
                "Use 1 to 40 letters, digits, hyphens and underscores.",
            )
        if absent:
            continue
        for key in ("name", "type"):
            if not isinstance(source.get(key), str) or not source[key]:
                yield error(place.key(key), "is missing", f"Give the data source a {key}.")
        for key in sorted(set(source) - {*WRITABLE, SECRETS}):
            yield error(place.key(key), "is not a key of a data source", f"It has {', '.join((*WRITABLE, SECRETS))}.")
        for key in ("jsonData", SECRETS):
            if not isinstance(source.get(key) or {}, Mapping):
                yield error(place.key(key), "is not a mapping", "Write it as {key: value}.")


def plan_present(grafana: Grafana, wanted: Sequence[Mapping[str, Any]], secrets: str) -> Plan:
    """What has to change for these data sources to be there. secrets: when they are sent, MISSING or ALWAYS.

    Grafana never returns a secret: whether one is set is all that can be compared.
    """
    current = in_threads(lambda source: grafana.get(f"{PATH}/uid/{segment(source['uid'])}"), list(wanted))
    taken: dict[str, Mapping[str, Any]] = {}
    if any(one is None or one.get("name") != source["name"] for one, source in zip(current, wanted, strict=True)):
        taken = {str(one["name"]): one for one in grafana.request("GET", PATH)}
    refuse(WHAT, _obstacles(wanted, current, taken))
    plan = Plan(result={"datasources": []})
    for source, found in zip(wanted, current, strict=True):
        step = _step(source, found, secrets)
        if step:
            plan.steps.append(step)
            uid = source["uid"]
            plan.diff.append(diff_entry(f"data source {uid}", as_text(_shown(found)), as_text(_after(source, found))))
    return plan


def plan_absent(grafana: Grafana, wanted: Sequence[Mapping[str, Any]]) -> Plan:
    current = in_threads(lambda source: grafana.get(f"{PATH}/uid/{segment(source['uid'])}"), list(wanted))
    there = [one for one in current if one]
    refuse(WHAT, [_read_only(one) for one in there if one.get("readOnly")])
    plan = Plan(result={"datasources": []})
    for one in there:
        plan.steps.append(Step(f"delete data source {one['uid']}", "DELETE", one["uid"]))
        plan.diff.append(diff_entry(f"data source {one['uid']}", as_text(_shown(one)), ""))
    return plan


def apply(grafana: Grafana, plan: Plan) -> None:
    """Carry the steps out. Their answers become the plan's result."""

    def execute(step: Step) -> None:
        if step.action == "DELETE":
            grafana.request("DELETE", f"{PATH}/uid/{segment(step.data)}")
            return
        path = PATH if step.action == "POST" else f"{PATH}/uid/{segment(step.data['uid'])}"
        answer = grafana.request(step.action, path, step.data)
        plan.result["datasources"].append(_shown(answer["datasource"]))

    run_steps(plan.steps, execute)


def _obstacles(
    wanted: Sequence[Mapping[str, Any]], current: Sequence[Any], taken: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    for index, (source, found) in enumerate(zip(wanted, current, strict=True)):
        place = Place("datasources").item(index)
        if found and found.get("readOnly"):
            yield _read_only(found)
        other = taken.get(source["name"])
        if other and other.get("uid") != source["uid"]:
            yield error(
                place.key("name"),
                f"is '{source['name']}', which the data source with the uid {other['uid']} ({other['type']}) has",
                f"Use the uid {other['uid']} to take it over, give yours another name, or remove the other.",
                "Grafana takes a name once",
            )


def _read_only(found: Mapping[str, Any]) -> Finding:
    return error(
        Place("datasources"),
        f"data source {found['uid']} ({found['name']}) is read-only",
        "Remove it from the files, ConfigMaps or Secrets of Grafana first (with prune, or deleteDatasources).",
        "it was provisioned from a file",
    )


def _step(source: Mapping[str, Any], found: Mapping[str, Any] | None, secrets: str) -> Step | None:
    if found is None:
        return Step(f"create data source {source['uid']}", "POST", {"access": "proxy", **source})
    body = {key: found[key] for key in WRITABLE if key in found} | dict(source)
    wanted, there = source.get(SECRETS), set(found.get("secureJsonFields") or {})
    if wanted is not None:
        # Grafana keeps a secret that is not sent; an empty one removes it.
        body[SECRETS] = {**dict.fromkeys(sorted(there - set(wanted)), ""), **wanted}
    differs = any(not within(source[key], found.get(key)) for key in WRITABLE if key in source)
    differs |= wanted is not None and (set(wanted) != there or (secrets == ALWAYS and bool(wanted)))
    if not differs:
        return None
    # With the version that was read, Grafana refuses to overwrite what somebody else changed since.
    return Step(f"update data source {source['uid']}", "PUT", {**body, "version": found.get("version")})


def _shown(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A data source without secrets and without what is Grafana's own."""
    if found is None:
        return None
    shown = {key: found[key] for key in WRITABLE if not within(None, found.get(key))}
    fields = sorted(found.get("secureJsonFields") or {})
    return {**shown, **({SECRETS: dict.fromkeys(fields, HIDDEN)} if fields else {})}


def _after(source: Mapping[str, Any], found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    secrets = source.get(SECRETS)
    fields = (found or {}).get("secureJsonFields") or {} if secrets is None else dict.fromkeys(secrets, True)
    merged = {**(found or {"access": "proxy"}), **{k: v for k, v in source.items() if k != SECRETS}}
    return _shown({**merged, "secureJsonFields": fields})


def in_health(document: Any, status: int) -> dict[str, str]:
    """{status, message} of an answer of a data source's health endpoint, status OK or ERROR.

    A plugin that does not implement health checks answers 404 or 501: UNKNOWN.
    """
    found = document if isinstance(document, Mapping) else {}
    message = str(found.get("message") or "").strip()
    stated = found.get("status")
    if status in (404, 501) and stated not in ("OK", "ERROR"):
        return {"status": "UNKNOWN", "message": message or f"answered {status}"}
    good = status < 300 and stated in (None, "OK")
    return {"status": "OK" if good else "ERROR", "message": message or ("" if good else f"answered {status}")}


def healths(grafana: Grafana, uids: Sequence[str]) -> list[dict[str, str]]:
    """The health of each data source, asked at the same time."""

    def one(uid: str) -> dict[str, str]:
        status, document = grafana.exchange("GET", f"{PATH}/uid/{segment(uid)}/health")
        if status in (401, 403):
            raise grafana.refusal(f"GET {PATH}/uid/{uid}/health", status, document)
        return in_health(document, status)

    return in_threads(one, list(uids))


def every(grafana: Grafana) -> list[dict[str, Any]]:
    """All data sources of the organization, by name."""
    found: list[dict[str, Any]] = grafana.request("GET", PATH)
    return sorted(found, key=lambda one: str(one.get("name")))
