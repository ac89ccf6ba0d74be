# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The local Prometheus evaluates the rules of the role grafana, and the stack gives no alert a reason to fire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.applications.conftest import through_the_api_server
from ansible_collections.orion.tracing.tests.queries.correlations import until

from tools.steps import ROOT

RULES = yaml.safe_load((ROOT / "roles/grafana/files/alerts/prometheus.yml").read_text())["groups"]
GATEWAYS = "/apis/apps/v1/namespaces/tracing/deployments/otel-collector"
# Rules are evaluated every 15 s.
PATIENCE = 60.0


def names(group: dict[str, Any]) -> list[str]:
    return [rule.get("name") or rule.get("alert") or rule["record"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def evaluated(kube: Kube) -> dict[str, dict[str, Any]]:
    """The groups by name, as soon as all rules were evaluated."""
    ask = through_the_api_server(kube, "prometheus")

    def groups() -> dict[str, dict[str, Any]]:
        found = {group["name"]: group for group in ask("api/v1/rules", {})["data"]["groups"]}
        waiting = [rule for group in found.values() for rule in group["rules"] if rule["health"] == "unknown"]
        return {} if waiting else found

    return until(groups, PATIENCE, "an evaluation of all rules")


def test_every_rule_is_evaluated(evaluated: dict[str, dict[str, Any]]) -> None:
    assert {name: names(group) for name, group in evaluated.items()} == {one["name"]: names(one) for one in RULES}
    unhealthy = {
        rule["name"]: rule.get("lastError")
        for group in evaluated.values()
        for rule in group["rules"]
        if rule["health"] != "ok"
    }
    assert not unhealthy


def test_figures_of_the_plan_are_there(kube: Kube, evaluated: dict[str, dict[str, Any]]) -> None:
    """Without them, no comparison with the plan would ever be true."""
    ask = through_the_api_server(kube, "prometheus")
    for rule in RULES[0]["rules"]:
        [series] = ask("api/v1/query", {"query": rule["record"]})["data"]["result"]
        assert float(series["value"][1]) > 0, rule["record"]


def test_no_alert_fires(kube: Kube, evaluated: dict[str, dict[str, Any]]) -> None:
    """None may: spans arrive all the time, no queue fills, and what needs a probe, Tempo's metrics, or an hour above
    the plan does not fire without. An alert that began before these collectors were installed is about others:
    Prometheus is not installed anew with them, and it looks back up to 15 minutes."""
    created = datetime.fromisoformat(kube.get(GATEWAYS)["metadata"]["creationTimestamp"])
    firing = [
        alert
        for alert in through_the_api_server(kube, "prometheus")("api/v1/alerts", {})["data"]["alerts"]
        if alert["state"] == "firing" and began(alert) >= created
    ]
    assert not firing, firing


def began(alert: dict[str, Any]) -> datetime:
    """activeAt has nanoseconds, which Python's datetime does not."""
    return datetime.fromisoformat(alert["activeAt"][:19]).replace(tzinfo=UTC)
