# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The grafana role with Grafana's HTTP API, as plays run it, against the stub of that API."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import TOKEN, FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

ROLE = {"ansible.builtin.import_role": {"name": "orion.tracing.grafana"}}
TENANT = "team-of-the-shop"


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., str]:
    """Run the role, or uninstall.yml with the cluster to remove from; the output in one line."""

    def run(url: str, *argv: str, remove_from: str | None = None, **variables: Any) -> str:
        plays = [{"hosts": "localhost", "gather_facts": False, "tasks": [ROLE]}]
        if remove_from is not None:
            plays = [{"ansible.builtin.import_playbook": "orion.tracing.uninstall"}]
            variables["tracing_kubeconfig"] = {
                "clusters": [{"name": "it", "cluster": {"server": remove_from}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": ""}}],
                "current-context": "it",
            }
        (tmp_path / "play.yml").write_text(json.dumps(plays))
        given = {
            "object_storage_bucket": "orion-traces",
            "ansible_python_interpreter": sys.executable,
            "grafana_provisioning": "api",
            "grafana_url": url,
            "grafana_token": TOKEN,
            "grafana_prometheus_url": "http://prometheus:9090",
            "grafana_logs_type": "victorialogs",
            "grafana_logs_url": "http://victorialogs:9428",
            "grafana_tenants": {"tempo": TENANT},
            "grafana_alerts_enabled": True,
            **variables,
        }
        (tmp_path / "variables.json").write_text(json.dumps(given))
        argv = ("play.yml", "-i", "localhost,", "-c", "local", "-e", "@variables.json", *argv)
        shown = in_one_line(run_ansible(tmp_path, "ansible-playbook", *argv))
        assert TOKEN not in shown and TENANT not in shown
        return shown

    return run


def test_check_mode_then_real_then_unchanged(play: Callable[..., str]) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url:
        checked = play(url, "--check", "--diff", "-vvv")
        assert "changed=4" in checked and "failed=0" in checked and not grafana.writes
        assert '+ "uid": "tempo"' in checked and "set, not shown" in checked
        done = play(url, "-vvv")
        assert "changed=4" in done and "failed=0" in done
        assert set(grafana.sources) == {"tempo", "prometheus", "victorialogs"}
        assert grafana.secrets["tempo"] == {"httpHeaderValue1": TENANT}
        assert grafana.folders["orion-tracing"]["title"] == "Tracing"
        assert "orion-overview" in grafana.dashboards
        assert {one["meta"]["folderUid"] for one in grafana.dashboards.values()} == {"orion-tracing"}
        assert ("orion-tracing", "orion-tracing") in grafana.groups
        grafana.asked.clear()
        again = play(url)
        assert "changed=0" in again and "failed=0" in again
    objects = len(grafana.sources) + len(grafana.folders) + len(grafana.dashboards) + len(grafana.groups)
    assert len(grafana.asked) == objects, "one request for each"


def test_a_user_and_a_password_instead_of_a_token(play: Callable[..., str]) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url:
        done = play(url, "-vvv", grafana_token="", grafana_username="admin", grafana_password="a-password")
    assert "failed=0" in done and set(grafana.sources) == {"tempo", "prometheus", "victorialogs"}
    assert "a-password" not in done


def test_uninstalling_leaves_what_others_made(play: Callable[..., str]) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url, FakeKube().serving() as cluster:
        play(url)
        grafana.sources["theirs"] = {**grafana.sources["tempo"], "uid": "theirs", "name": "Theirs"}
        grafana.asked.clear()
        planned = play(url, "--check", remove_from=cluster)
        assert "changed=2" in planned and "failed=0" in planned and not grafana.writes
        done = play(url, remove_from=cluster)
        assert "changed=2" in done and "failed=0" in done
        assert set(grafana.sources) == {"theirs"}
        assert not grafana.folders and not grafana.dashboards and not grafana.groups
        again = play(url, remove_from=cluster)
        assert "changed=0" in again and "failed=0" in again


def test_bad_variables_fail_before_anything_is_sent(play: Callable[..., str]) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url:
        shown = play(url, grafana_traces_to_logs_tags=["http.route"], grafana_tenant_variables={"tempo": "A"})
    assert "grafana_traces_to_logs_tags: does not map service.name" in shown
    assert "grafana_tenant_variables: is set, but grafana_provisioning is api" in shown
    assert not grafana.asked
