# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The local Prometheus evaluates the rules of the role grafana, and the stack gives no alert a reason to fire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.applications.conftest import setting, through_the_api_server
from ansible_collections.orion.tracing.tests.queries.correlations import check_rules, evaluated
from ansible_collections.orion.tracing.tests.queries.stack import RULES
from ansible_collections.orion.tracing.tests.queries.stores import Ask

GATEWAYS = "/apis/apps/v1/namespaces/tracing/deployments/otel-collector"
# Rules are evaluated every 15 s.
PATIENCE = 60.0


@pytest.fixture(scope="module")
def prometheus(kube: Kube) -> Ask:
    return through_the_api_server(kube, "prometheus")


@pytest.fixture(scope="module")
def groups(prometheus: Ask) -> dict[str, dict[str, Any]]:
    return evaluated(prometheus, PATIENCE)


def test_every_rule_is_evaluated(groups: dict[str, dict[str, Any]]) -> None:
    check_rules(groups, RULES)


def test_figures_of_the_plan_are_there(prometheus: Ask, groups: dict[str, dict[str, Any]]) -> None:
    """Without them, no comparison with the plan would ever be true. Only Tempo has a bucket that costs something."""
    for rule in RULES["groups"][0]["rules"]:
        [series] = prometheus("api/v1/query", {"query": rule["record"]})["data"]["result"]
        costs = rule["record"] != "orion_plan_bucket_usd_per_day" or setting("ORION_TEST_STORE") == "tempo"
        assert (float(series["value"][1]) > 0) == costs, rule["record"]


def test_no_alert_fires(kube: Kube, prometheus: Ask, groups: dict[str, dict[str, Any]]) -> None:
    """None may: spans arrive all the time, no queue fills, and what needs a probe, Tempo's metrics, or an hour above
    the plan does not fire without. An alert that began before these collectors were installed is about others:
    Prometheus is not installed anew with them, and it looks back up to 15 minutes."""
    created = datetime.fromisoformat(kube.get(GATEWAYS)["metadata"]["creationTimestamp"])
    firing = [
        alert
        for alert in prometheus("api/v1/alerts", {})["data"]["alerts"]
        if alert["state"] == "firing" and began(alert) >= created
    ]
    assert not firing, firing


def began(alert: dict[str, Any]) -> datetime:
    """activeAt has nanoseconds, which Python's datetime does not."""
    return datetime.fromisoformat(alert["activeAt"][:19]).replace(tzinfo=UTC)
