# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The role's dashboards and alert rules, with what an inventory decides: data sources, folder, figures of the plan.

Pure: no I/O, no Ansible. roles/grafana/files has dashboards and rules; tools/dashboards writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import plain
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import GIBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import API, linked_uids
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import DAYS_PER_MONTH

Json = dict[str, Any]

GRAFANA, PROMETHEUS_RULE = "grafana", "PrometheusRule"
# What the files have, before the inventory's is written in its place.
RUNBOOKS = "https://github.com/orion-tracing/orion.tracing/blob/main/docs/runbooks"
PROMETHEUS_UID = "prometheus"
PLAN_GROUP = "orion-tracing-plan"
# Ends the name of a dashboard that takes the place of the one before it, with the same uid, where Tempo 3 runs.
FORM_3 = "-3"


def content_values(
    variables: Mapping[str, Any], dashboards: Mapping[str, Json], rules: Json, provisioning: Json, plan: Json
) -> Json:
    """The keys "dashboards" and "alerts" of the values of roles/grafana/files/chart.

    variables: all grafana_* variables. dashboards: by uid, and those for Tempo 3 by uid and FORM_3. rules: a rules file
    of Prometheus; provisioning: the same rules as Grafana's provisioning file. plan: as the filter tracing_plan returns
    it.
    Raises InvalidVariables with every error.
    """
    refuse("the grafana role's variables", _problems(variables))
    v, read = variables, Reader(variables)
    made: Json = {"dashboards": {}, "alerts": {}}
    if v["grafana_dashboards_enabled"]:
        made["dashboards"] = {
            "labels": read.strings("grafana_dashboards_labels"),
            "annotations": {v["grafana_dashboards_folder_annotation"]: v["grafana_dashboards_folder"]},
            "items": {
                uid: json.dumps(one, ensure_ascii=False)
                for uid, one in filled_dashboards(variables, dashboards, plan).items()
            },
        }
    if v["grafana_alerts_enabled"]:
        kind = v["grafana_alerts_kind"]
        made["alerts"] = {
            "kind": kind,
            "labels": read.strings("grafana_alerts_labels"),
            "document": filled_rules(variables, rules, plan)
            if kind == PROMETHEUS_RULE
            else filled_provisioning(variables, provisioning, plan),
        }
    return made


def filled_dashboards(variables: Mapping[str, Any], dashboards: Mapping[str, Json], plan: Json) -> dict[str, Json]:
    """The dashboards that fit the plan's Tempo and whose data sources exist, by uid; with the sources' uids as
    defaults, and with the plan's figures."""
    uids = {**linked_uids(variables), "prometheus": str(variables["grafana_prometheus_uid"])}
    constants = {
        "plan_received_spans": plan["load"]["offered_spans_per_second"],
        "plan_kept_spans": plan["load"]["kept_spans_per_second"],
        "plan_bucket_usd": bucket_usd_per_day(plan),
        "price_storage": plan["prices"]["storage"],
        "price_put": plan["prices"]["put"],
        "price_get": plan["prices"]["get"],
    }
    found = {}
    third = {name: one for name, one in dashboards.items() if name.endswith(FORM_3)}
    fitting = {name: one for name, one in dashboards.items() if name not in third}
    if plan["tempo_version"].startswith("3."):
        fitting |= {one["uid"]: one for one in third.values()}
    for uid, dashboard in fitting.items():
        one = plain(dashboard)
        sources = [variable for variable in one["templating"]["list"] if variable["type"] == "datasource"]
        if any(variable["query"] not in uids for variable in sources):
            continue
        for variable in sources:
            variable["current"]["value"] = uids[variable["query"]]
        for variable in one["templating"]["list"]:
            if variable["type"] == "constant":
                text = f"{constants[variable['name']]:.6g}"
                variable |= {"query": text, "current": {"text": text, "value": text}}
        found[uid] = one
    return found


def filled_rules(variables: Mapping[str, Any], rules: Json, plan: Json) -> Json:
    """A rules file, or the spec of a PrometheusRule, with the plan's figures as recording rules."""
    made: Json = plain(rules)
    figures = _figures(plan)
    for group in made["groups"]:
        for rule in group["rules"]:
            if "record" in rule:
                rule["expr"] = f"vector({figures[rule['record']]:.6g})"
            else:
                _own_runbook(variables, rule)
    return made


def filled_provisioning(variables: Mapping[str, Any], provisioning: Json, plan: Json) -> Json:
    """A file for Grafana's folder provisioning/alerting, with the plan's figures as numbers."""
    made: Json = plain(provisioning)
    figures = _figures(plan)

    def figure(match: re.Match[str]) -> str:
        return f"{figures[match[1]]:.6g}"

    for group in made["groups"]:
        group["folder"] = variables["grafana_dashboards_folder"]
        for rule in group["rules"]:
            _own_runbook(variables, rule)
            for part in rule["data"]:
                if part["datasourceUid"] == PROMETHEUS_UID:
                    part["datasourceUid"] = variables["grafana_prometheus_uid"]
                    part["model"]["expr"] = re.sub(r"scalar\((orion_plan_\w+)\)", figure, part["model"]["expr"])
    return made


def bucket_usd_per_day(plan: Json) -> float:
    """What the plan has for the bucket: storage and requests, without compute and volumes."""
    storage, prices = plan["storage"], plan["prices"]
    held = storage["bytes_at_rest"] / GIBIBYTE * prices["storage"] / DAYS_PER_MONTH
    return float(held + (storage["puts_per_day"] * prices["put"] + storage["gets_per_day"] * prices["get"]) / 1000)


def _figures(plan: Json) -> dict[str, float]:
    prices = plan["prices"]
    return {
        "orion_plan_kept_spans_per_second": plan["load"]["kept_spans_per_second"],
        "orion_plan_bucket_usd_per_day": bucket_usd_per_day(plan),
        "orion_plan_usd_per_gib_and_month": prices["storage"],
        "orion_plan_usd_per_thousand_puts": prices["put"],
        "orion_plan_usd_per_thousand_gets": prices["get"],
    }


def _own_runbook(variables: Mapping[str, Any], rule: Json) -> None:
    page = rule["annotations"]["runbook_url"].removeprefix(RUNBOOKS)
    rule["annotations"]["runbook_url"] = f"{variables['grafana_alerts_runbook_url'].rstrip('/')}{page}"


def findings(variables: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the variables of dashboards and alerts. A variable that is not there has no finding."""
    return [finding for finding in _problems(variables) if finding.variable in variables]


def _problems(v: Mapping[str, Any]) -> list[Finding]:
    read = Reader(v)
    read.strings("grafana_dashboards_labels")
    read.strings("grafana_alerts_labels")
    for name in ("grafana_dashboards_folder", "grafana_dashboards_folder_annotation"):
        read.text(name)
    if not re.match(r"https?://[^/]+", url := read.text("grafana_alerts_runbook_url")) and url:
        read.wrong("grafana_alerts_runbook_url", f"is '{url}', not a URL", "Begin it with http:// or https://.")
    kind, enabled = "grafana_alerts_kind", read.boolean("grafana_alerts_enabled")
    if enabled and v.get(kind) == PROMETHEUS_RULE and v.get("grafana_provisioning") == API:
        read.wrong(
            kind,
            "is PrometheusRule, with grafana_provisioning: api",
            "Choose grafana; or set grafana_alerts_enabled: false, and load roles/grafana/files/alerts/prometheus.yml.",
            "Grafana's HTTP API takes Grafana's own rules alone",
        )
    return read.findings
