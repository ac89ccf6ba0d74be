# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dashboards and alert rules with an inventory's data sources, folder and plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.grafana import content
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import tracing_plan
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

FILES = Path(__file__).resolve().parents[5] / "roles/grafana/files"
FORMS = {path.stem: json.loads(path.read_text()) for path in (FILES / "dashboards").glob("*.json")}
DASHBOARDS = {name: one for name, one in FORMS.items() if not name.endswith("-3")}
RULES, PROVISIONING = (yaml.safe_load((FILES / f"alerts/{name}.yml").read_text()) for name in ("prometheus", "grafana"))
NEEDED = {"tracing_environment": "test", "tracing_cluster_name": "test", "object_storage_bucket": "orion-traces"}


def plan(**variables: Any) -> dict[str, Any]:
    return tracing_plan(role_defaults("tempo", "collector", "instrumentation", "preflight.plan", **NEEDED, **variables))


PLAN = plan()


def made(**variables: Any) -> dict[str, Any]:
    v = role_defaults("grafana", **{"grafana_tempo_url": "http://tempo:3200", "grafana_jaeger_url": "", **variables})
    return content.content_values(v, FORMS, RULES, PROVISIONING, PLAN)


def dashboards(**variables: Any) -> dict[str, Any]:
    return {uid: json.loads(text) for uid, text in made(**variables)["dashboards"]["items"].items()}


def variables_of(dashboard: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["current"]["value"] for one in dashboard["templating"]["list"] if "current" in one}


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, {"orion-traces-jaeger"}),
        ({"grafana_jaeger_url": "http://jaeger:16686"}, set()),
        ({"grafana_tempo_url": "", "grafana_jaeger_url": "http://jaeger:16686"}, {"orion-traces"}),
        ({"grafana_tempo_url": "", "grafana_existing_datasource_uids": ["tempo"]}, {"orion-traces-jaeger"}),
    ],
)
def test_dashboards_of_a_store_that_is_not_there_are_left_out(variables: dict[str, Any], missing: set[str]) -> None:
    assert DASHBOARDS.keys() - dashboards(**variables).keys() == missing


KAFKA = {"tempo_profile": "kafka", "tempo_image_tag": "3.0.3", "tempo_kafka_address": "kafka:9092"}


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({}, "orion-tempo"),
        ({"tempo_profile": "monolithic"}, "orion-tempo"),
        (KAFKA, "orion-tempo-3"),
        ({"tempo_profile": "monolithic", "tempo_image_tag": "3.0.3"}, "orion-tempo-3"),
    ],
)
def test_tempos_dashboard_is_the_one_for_its_version(given: dict[str, Any], form: str) -> None:
    v = role_defaults("grafana", grafana_tempo_url="http://tempo:3200")
    found = content.filled_dashboards(v, FORMS, plan(**given))
    assert found.keys() == DASHBOARDS.keys() - {"orion-traces-jaeger"}
    assert found["orion-tempo"]["uid"] == "orion-tempo"
    assert found["orion-tempo"]["panels"] == FORMS[form]["panels"]
    assert ("tempo_ingester_" in json.dumps(found)) is (form == "orion-tempo")


def test_the_uids_of_the_data_sources_are_the_defaults() -> None:
    found = dashboards(grafana_prometheus_uid="metrics", grafana_tempo_uid="traces")
    assert all(variables_of(one)["prometheus"] == "metrics" for one in found.values())
    assert variables_of(found["orion-traces"])["tempo"] == "traces"


def test_the_plan_is_in_the_overview() -> None:
    found = variables_of(dashboards()["orion-overview"])
    assert float(found["plan_kept_spans"]) == PLAN["load"]["kept_spans_per_second"]
    assert float(found["plan_received_spans"]) == PLAN["load"]["offered_spans_per_second"]
    assert float(found["price_storage"]) == PLAN["prices"]["storage"]
    assert float(found["plan_bucket_usd"]) == pytest.approx(content.bucket_usd_per_day(PLAN), rel=1e-5)


def test_the_bucket_of_a_day_is_the_plans_of_a_month() -> None:
    cost = PLAN["cost"]
    assert content.bucket_usd_per_day(PLAN) * 730.5 / 24 == pytest.approx(cost["storage"] + cost["requests"], abs=0.01)


def test_the_committed_figures_are_those_of_the_role_defaults() -> None:
    """Whoever uses the files without the role has these."""
    records = {rule["record"]: rule["expr"] for rule in RULES["groups"][0]["rules"]}
    assert records.keys() == content._figures(PLAN).keys()
    rounded = {name: float(expr.removeprefix("vector(").removesuffix(")")) for name, expr in records.items()}
    assert rounded == pytest.approx(content._figures(PLAN), rel=0.01)
    committed = variables_of(DASHBOARDS["orion-overview"])
    filled = variables_of(dashboards()["orion-overview"])
    constants = [name for name in committed if name.startswith(("plan_", "price_"))]
    assert len(constants) == 6
    for name in constants:
        assert float(committed[name]) == pytest.approx(float(filled[name]), rel=0.01), name


def test_nothing_is_made_of_what_is_switched_off() -> None:
    assert made(grafana_dashboards_enabled=False) == {"dashboards": {}, "alerts": {}}


def test_grafana_rules_have_numbers_the_folder_and_the_data_source() -> None:
    alerts = made(
        grafana_alerts_enabled=True,
        grafana_dashboards_folder="Team A",
        grafana_prometheus_uid="metrics",
        grafana_alerts_runbook_url="https://wiki.example.org/tracing/",
    )["alerts"]
    assert (alerts["kind"], alerts["labels"]) == ("grafana", {"grafana_alert": "1"})
    [group] = alerts["document"]["groups"]
    assert group["folder"] == "Team A"
    text = json.dumps(alerts["document"])
    assert "orion_plan_" not in text
    assert f"/ {content.bucket_usd_per_day(PLAN):.6g}" in text
    for rule in group["rules"]:
        assert [part["datasourceUid"] for part in rule["data"]] == ["metrics", "__expr__"]
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.org/tracing/{rule['title']}.md"


def test_a_prometheus_rule_has_the_plan_as_records() -> None:
    alerts = made(grafana_alerts_enabled=True, grafana_alerts_kind="PrometheusRule")["alerts"]
    assert alerts["kind"] == "PrometheusRule"
    records = {rule["record"]: rule["expr"] for rule in alerts["document"]["groups"][0]["rules"]}
    assert records["orion_plan_kept_spans_per_second"] == f"vector({PLAN['load']['kept_spans_per_second']:g})"
    names = {rule["alert"] for rule in alerts["document"]["groups"][1]["rules"]}
    assert names == {rule["alert"] for rule in RULES["groups"][1]["rules"]}


def test_a_store_of_others_has_no_planned_bucket() -> None:
    other = plan(
        tracing_store="otlp",
        collector_exporters=[{"name": "a", "protocol": "http", "endpoint": "https://a.example.org"}],
    )
    assert content.bucket_usd_per_day(other) == 0


def test_what_is_given_is_not_changed() -> None:
    before = json.dumps([DASHBOARDS, RULES, PROVISIONING])
    made(grafana_alerts_enabled=True, grafana_prometheus_uid="metrics")
    made(grafana_alerts_enabled=True, grafana_alerts_kind="PrometheusRule")
    assert json.dumps([DASHBOARDS, RULES, PROVISIONING]) == before


def test_every_wrong_variable_is_named_at_once() -> None:
    wrong = {
        "grafana_dashboards_labels": {"a": []},
        "grafana_dashboards_folder": "",
        "grafana_dashboards_folder_annotation": "",
        "grafana_alerts_labels": {"a": None},
        "grafana_alerts_runbook_url": "docs/runbooks",
    }
    v = {**role_defaults("grafana", grafana_jaeger_url=""), **wrong}
    with pytest.raises(InvalidVariables) as error:
        content.content_values(v, DASHBOARDS, RULES, PROVISIONING, PLAN)
    assert {finding.variable for finding in error.value.findings} == wrong.keys()
    assert {finding.variable for finding in content.findings(v)} == wrong.keys()
    assert content.findings({}) == []


def test_grafanas_api_takes_no_prometheus_rule() -> None:
    given = {
        "grafana_provisioning": "api",
        "grafana_url": "https://grafana.example.org",
        "grafana_alerts_enabled": True,
    }
    assert made(**given)["alerts"]["kind"] == "grafana"
    with pytest.raises(InvalidVariables, match="is PrometheusRule, with grafana_provisioning: api"):
        made(**given, grafana_alerts_kind="PrometheusRule")
