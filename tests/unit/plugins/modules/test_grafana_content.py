# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's dashboards and alert rules through Grafana's HTTP API, as roles/grafana/tasks/api.yml hands them on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import TOKEN, FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.grafana.test_content import made
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

FOLDER = "orion-tracing"


@pytest.mark.parametrize("migrates", [False, True])
def test_a_second_run_changes_nothing(migrates: bool) -> None:
    values = made(
        grafana_provisioning="api",
        grafana_url="https://grafana.example.org",
        grafana_jaeger_url="http://jaeger:16686",
        grafana_alerts_enabled=True,
    )
    texts, groups = list(values["dashboards"]["items"].values()), values["alerts"]["document"]["groups"]
    fake = FakeGrafana(migrates=migrates)
    with fake.serving() as url:

        def call(module: str, **arguments: Any) -> dict[str, Any]:
            found: dict[str, Any] = run(f"grafana_{module}", url=url, token=TOKEN, **arguments)
            assert not found.get("failed"), json.dumps(found)[:1000]
            return found

        def provision() -> list[dict[str, Any]]:
            return [
                call("folder", uid=FOLDER, title="Tracing"),
                call("dashboard", dashboards=texts, folder_uid=FOLDER),
                call("alert_rules", groups=groups, folder_uid=FOLDER),
            ]

        folder, dashboards, rules = provision()
        assert folder["changed"] and dashboards["changed"] and rules["changed"]
        assert {one["uid"] for one in dashboards["dashboards"]} == values["dashboards"]["items"].keys()
        assert rules["groups"] == ["orion-tracing"]
        assert [one["changed"] for one in provision()] == [False, False, False]
