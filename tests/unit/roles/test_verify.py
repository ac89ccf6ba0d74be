# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verify role as plays run it, in check mode: it asks no cluster then, and shows what it expects."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/verify"
# As playbooks/verify.yml and playbooks/site.yml have it.
IMPORTED = {"ansible.builtin.import_role": {"name": "orion.tracing.verify"}}
INCLUDED = {
    "ansible.builtin.include_role": {"name": "orion.tracing.verify", "apply": {"tags": ["verify"]}},
    "tags": ["verify"],
}


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., str]:
    """Run the role in check mode; its output in one line."""

    def run(task: dict[str, Any], **variables: Any) -> str:
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        given = {"object_storage_bucket": "orion-traces", "ansible_python_interpreter": sys.executable, **variables}
        argv = ["play.yml", "-i", "localhost,", "-c", "local", "--check", "-e", json.dumps(given)]
        return in_one_line(run_ansible(tmp_path, "ansible-playbook", *argv))

    return run


@pytest.mark.parametrize("task", [IMPORTED, INCLUDED], ids=["imported", "included"])
def test_expectations_follow_from_the_defaults_of_the_collectors(verify: Callable[..., str], task: Any) -> None:
    shown = verify(task)
    for line in (
        "error traces kept and complete 3 of 3 traces",
        "slow traces kept and complete 3 of 3 traces",
        "critical route kept and complete 3 of 3 traces",
        "health checks dropped 0 of 20 traces",
        "share of other traces kept the same",
        "block objects in the bucket a new block in orion-traces",
    ):
        assert line in shown
    assert "failed=0" in shown


def test_expectations_of_rare_paths(verify: Callable[..., str]) -> None:
    shown = verify(IMPORTED, **yaml.safe_load((ROOT / "examples/sampling/rare-paths.yml").read_text()))
    assert "failed=0" in shown and "error traces kept and complete 3 of 3 traces" in shown
    assert "critical route" not in shown


def test_policies_that_show_nothing_fail_with_what_to_do(verify: Callable[..., str]) -> None:
    policies = [{"name": "one", "type": "string_attribute", "string_attribute": {"key": "a", "values": ["b"]}}]
    shown = verify(IMPORTED, collector_tail_sampling_policies=policies)
    assert "failed=1" in shown and "collector_tail_sampling_extra_policies" in shown


def test_no_variable_repeats_another_roles_default() -> None:
    """What the role shares with others has their name, and what it takes from them is a reference."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    own = {name: value for name, value in defaults.items() if name.startswith("verify_")}
    literal = {name for name, value in own.items() if "{{" not in str(value)}
    probe = {name for name in own if name.startswith("verify_probe_")}
    others = {"verify_applications", "verify_plain_traces", "verify_prometheus_last", "verify_timeout"}
    assert literal - probe == others


@pytest.fixture
def reports(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The variables of the role that its reports are made with."""
    names = (
        "verify_grafana_url", "verify_grafana_uid", "verify_logs_type", "verify_logs_url", "verify_prometheus_url",
        "__verify_traces_to_logs",
    )  # fmt: skip

    def run(**variables: Any) -> dict[str, Any]:
        shown = {name: "{{ " + name + " }}" for name in names}
        copy = {"dest": str(tmp_path / "seen.json"), "content": "{{ shown | to_json }}"}
        # The role's defaults and variables, without its tasks.
        role = {
            "import_role": {"name": "orion.tracing.verify", "tasks_from": "replay.yml", "public": True},
            "when": False,
        }
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [role, {"copy": copy, "vars": {"shown": shown}}]}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        given = {"ansible_python_interpreter": sys.executable, "replay_path": "none", **variables}
        argv = ["play.yml", "-i", "localhost,", "-c", "local", "-e", json.dumps(given)]
        done = run_ansible(tmp_path, "ansible-playbook", *argv)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads((tmp_path / "seen.json").read_text()))

    return run


def test_reports_open_the_data_sources_that_the_grafana_role_provisions(reports: Callable[..., Any]) -> None:
    found = reports(
        tracing_store="tempo", tracing_store_reader="tempo", grafana_tempo_uid="traces-1", grafana_jaeger_uid="j-1",
        grafana_url="https://grafana.example.com", grafana_logs_url="http://loki.logging.svc:3100",
        grafana_prometheus_url="http://prometheus.monitoring.svc:9090",
    )  # fmt: skip
    link = found.pop("__verify_traces_to_logs")
    assert found == {
        "verify_grafana_url": "https://grafana.example.com", "verify_grafana_uid": "traces-1",
        "verify_logs_type": "loki", "verify_logs_url": "http://loki.logging.svc:3100",
        "verify_prometheus_url": "http://prometheus.monitoring.svc:9090",
    }  # fmt: skip
    assert link["datasourceUid"] == "loki" and link["tags"][0] == {"key": "service.name", "value": "service_name"}
    # Loki's own braces are not Jinja's.
    assert '`{{ contains "${__span.traceId}" __line__ }}`' in link["query"]


def test_reports_of_jaeger_and_without_grafana(reports: Callable[..., Any]) -> None:
    store = {"tracing_store": "otlp", "tracing_store_reader": "jaeger", "grafana_jaeger_uid": "j-1"}
    found = reports(**store, grafana_logs_url="http://victorialogs.logging.svc:9428", grafana_logs_type="victorialogs")
    assert (found["verify_grafana_uid"], found["verify_grafana_url"]) == ("j-1", "")
    assert found["verify_logs_type"] == "victorialogs" and found["__verify_traces_to_logs"] == {}
    found = reports(**store, verify_grafana_url="https://grafana.example.com")
    assert found["__verify_traces_to_logs"] == {}, "no store of logs is linked"
