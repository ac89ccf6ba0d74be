# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Grafana that local_backends runs where its image is at hand, provisioned by the role grafana."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana
from ansible_collections.orion.tracing.tests.applications.conftest import setting
from ansible_collections.orion.tracing.tests.queries.links import DataSources

from tools.steps import ROOT

DASHBOARDS = [json.loads(path.read_text()) for path in sorted((ROOT / "roles/grafana/files/dashboards").glob("*.json"))]


def stores(dashboard: dict[str, object]) -> set[str]:
    variables = dashboard["templating"]["list"]  # type: ignore[index]
    return {one["query"] for one in variables if one["type"] == "datasource"}


def test_nobody_gets_in_without_a_password() -> None:
    stranger = Grafana.connect({"url": setting("ORION_TEST_GRAFANA"), "username": "admin", "password": "admin"})
    assert stranger.exchange("GET", "api/datasources")[0] == 401
    stranger.close()


@pytest.mark.parametrize("kind", ["traces", "prometheus"])
def test_data_sources_work(kind: str, grafana: Grafana, sources: DataSources) -> None:
    """As their own test says. VictoriaLogs' needs a plugin that is fetched from grafana.com."""
    source = sources.traces if kind == "traces" else sources.one(kind)
    answer = grafana.request("GET", f"api/datasources/uid/{source['uid']}/health")
    assert answer["status"] == "OK", answer


def test_dashboards_are_there(grafana: Grafana) -> None:
    wanted = {one["uid"] for one in DASHBOARDS if stores(one) <= {"prometheus", setting("ORION_TEST_STORE")}}
    found = {one["uid"] for one in grafana.request("GET", "api/search", query={"type": "dash-db"})}
    assert found >= wanted, wanted - found
