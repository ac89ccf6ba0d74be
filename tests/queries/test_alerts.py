# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every alert rule fires and ends, has a runbook, and is the same in both forms."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.queries.stack import config_map

from tools.dashboards.alerts import ALERTS, GROUP, PLAN, RUNBOOKS, Alert
from tools.dashboards.catalog import DASHBOARDS
from tools.steps import ROOT

FILES = ROOT / "roles/grafana/files/alerts"
TESTS = sorted((ROOT / "tests/queries/alerts").glob("*.yml"))
Promtool = Callable[..., subprocess.CompletedProcess[str]]
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def group(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / name).read_text())["groups"]
    rules: list[dict[str, Any]] = next(one["rules"] for one in groups if one["name"] == GROUP)
    return rules


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_and_end(promtool: Promtool, file: Any) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_a_wrong_expectation_is_found(promtool: Promtool, tmp_path: Any) -> None:
    """promtool reads the rules: with another threshold, the same test fails."""
    rules = (FILES / "prometheus.yml").read_text()
    (tmp_path / "rules.yml").write_text(rules.replace("> 0.5", "> 0.9"))
    text = (ROOT / "tests/queries/alerts/collector.yml").read_text()
    (tmp_path / "test.yml").write_text(re.sub(r"rule_files: .*", "rule_files: [rules.yml]", text))
    done = promtool("test", "rules", tmp_path / "test.yml")
    assert done.returncode != 0
    assert "TracingQueueFilling" in done.stdout + done.stderr


def test_the_local_prometheus_takes_the_rules(promtool: Promtool, tmp_path: Any) -> None:
    """As the chart of local_backends mounts them."""
    for name in ("prometheus.yml", "rules.yml"):
        text = config_map("prometheus", name)
        (tmp_path / name).write_text(text.replace("/etc/prometheus", str(tmp_path)))
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert f"{len(ALERTS) + len(PLAN)} rules found" in done.stdout


@each_alert
def test_each_alert_has_a_test_that_makes_it_fire_and_end(alert: Alert) -> None:
    found = []
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            steps = [one for one in test["alert_rule_test"] if one["alertname"] == alert.name]
            found.append("".join("F" if one.get("exp_alerts") else "-" for one in steps))
    assert any(re.search("F-", steps) for steps in found), f"{alert.name}: no test lets it fire and then end: {found}"


@each_alert
def test_each_alert_has_a_runbook(alert: Alert) -> None:
    page = (ROOT / "docs/runbooks" / f"{alert.name}.md").read_text()
    assert page.startswith(f"# {alert.name}\n")
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == ["What it means", "What to look at", "What to do"], headings
    assert alert.runbook == f"{RUNBOOKS}/{alert.name}.md"


def test_no_runbook_is_left_over() -> None:
    pages = {path.stem for path in (ROOT / "docs/runbooks").glob("Tracing*.md")}
    assert pages == {alert.name for alert in ALERTS}


def test_both_forms_have_the_same_alerts() -> None:
    prometheus, grafana = group("prometheus.yml"), group("grafana.yml")
    assert [rule["alert"] for rule in prometheus] == [rule["title"] for rule in grafana]
    for rule, other in zip(prometheus, grafana, strict=True):
        queried, compared = (part["model"] for part in other["data"])
        [condition] = compared["conditions"]
        sign = {"gt": ">", "lt": "<"}[condition["evaluator"]["type"]]
        [threshold] = condition["evaluator"]["params"]
        assert rule["expr"] == f"({queried['expr']}) {sign} {threshold:g}"
        assert all(rule[key] == other[key] for key in ("for", "labels", "annotations"))


def test_grafana_takes_the_uids() -> None:
    """Letters, digits, - and _, at most 40: pkg/util/shortid_generator.go of Grafana"""
    uids = [rule["uid"] for rule in group("grafana.yml")]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", uid) for uid in uids), uids


def test_no_alert_repeats_a_name_or_lacks_a_text() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        assert alert.summary.endswith(".") and alert.description.endswith("."), alert.name


def test_the_docs_list_every_alert_and_every_dashboard() -> None:
    text = (ROOT / "docs/dashboards.md").read_text()
    alerts = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", text, re.MULTILINE)
    assert alerts == [(alert.name, alert.severity) for alert in ALERTS]
    dashboards = re.findall(r"^\| `(orion-[a-z-]+)` \|", text, re.MULTILINE)
    assert sorted(dashboards) == sorted({one.uid for one in DASHBOARDS})
