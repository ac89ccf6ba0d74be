# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The periodic probe as its pod runs it, with the real Collector, Jaeger and Prometheus: what it finds arrives as the
metrics that dashboards and alert rules read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.proof.variables import chart_values
from ansible_collections.orion.tracing.plugins.plugin_utils.probe_program import program
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.queries.stack import Stack
from ansible_collections.orion.tracing.tests.queries.stores import Stores
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.conftest import render_chart
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import until
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.test_periodic import PROBE_VARIABLES

CHART = Path(__file__).resolve().parents[2] / "roles/verify/files/chart"
# The probe, its exit code and all that it wrote
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pod has at /opt/trace-probe, from the rendered objects."""
    variables = role_defaults(
        *PROBE_VARIABLES,
        "collector",
        tracing_store="otlp",
        tracing_store_reader="jaeger",
        tracing_store_service="jaeger",
        collector_exporters=[{"name": "jaeger", "protocol": "http", "endpoint": "https://jaeger.example.com"}],
        collector_metrics_enabled=True,
        collector_remote_write_url="http://prometheus.example.com/api/v1/write",
        collector_decision_wait="1s",
        collector_resource_detectors=["env"],
    )
    objects = {item["kind"]: item for item in render_chart(CHART, chart_values(variables, program()), "tracing")}
    pod = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    made = tmp_path_factory.mktemp("probe")
    for item in pod["volumes"][0]["configMap"]["items"]:
        path = made / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(objects["ConfigMap"]["data"][item["key"]])
    return made


@pytest.fixture(scope="module")
def run(stack: Stack, folder: Path) -> Run:
    """Run it with some settings changed, with the standard library alone."""

    def once(**changes: Any) -> tuple[int, str]:
        settings = json.loads((folder / "settings.json").read_text()) | {
            "gateway_url": f"http://127.0.0.1:{stack.otlp}",
            "store_url": f"http://127.0.0.1:{stack.jaeger}",
        }
        (folder / "changed.json").write_text(json.dumps(settings | changes))
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(folder), str(folder / "changed.json")],
            env={}, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return once


@pytest.fixture(scope="module")
def metric(stack: Stack) -> Callable[[str], float | None]:
    def value(name: str) -> float | None:
        """Of the last run."""
        found = stack.asker(stack.prometheus)("api/v1/query", {"query": f'{name}{{job="trace-probe"}}'})
        result = found["data"]["result"]
        assert len(result) < 2
        return float(result[0]["value"][1]) if result else None

    return value


def test_a_run_that_passes(stack: Stack, run: Run, metric: Callable[[str], float | None]) -> None:
    code, text = run()
    assert code == 0, text
    for check in ("error traces kept and complete", "health checks dropped", "W3C ids and parents intact"):
        assert check in text
    assert "FAILED" not in text and "Every trace that must be kept could be read after" in text
    until(lambda: metric("orion_probe_success") == 1, "the metric of success")
    until(lambda: metric("orion_probe_completeness_ratio") == 1, "the metric of completeness")
    until(lambda: metric("orion_probe_freshness_seconds"), "the metric of freshness")
    # The samplers wait for a second before they decide.
    assert 1 < (metric("orion_probe_freshness_seconds") or 0) < 30


def test_every_panel_of_the_dashboard_has_data(stack: Stack, run: Run, metric: Callable[[str], float | None]) -> None:
    stores = Stores({"prometheus": stack.asker(stack.prometheus)}, step=5)
    asked = [one for one in stores.queries() if one.dashboard.uid == "orion-probe"]
    assert len(asked) == 7
    assert [str(one) for one in asked if not stores.answer(one)] == []
    assert not any("periodic probe" in one.reason for one in asked)


def test_traces_that_are_missing_fail(run: Run, folder: Path, metric: Callable[[str], float | None]) -> None:
    """What is expected here is that all traces are kept, but the samplers keep a tenth of the ordinary ones."""
    sampling = json.loads((folder / "settings.json").read_text())["tail_sampling"]
    sampling["policies"] = [{"name": "all", "type": "always_sample"}]
    code, text = run(tail_sampling=sampling, timeout=6.0)
    assert code == 1
    [row] = [line for line in text.splitlines() if line.startswith("share of other traces kept")]
    assert "missing:" in row and row.rstrip().endswith("FAILED")
    assert "could be read after" not in text
    until(lambda: metric("orion_probe_success") == 0, "the metric of success")
    until(lambda: 0.1 < (metric("orion_probe_completeness_ratio") or 1) < 1, "the metric of completeness")


def test_a_store_that_does_not_answer_is_named(run: Run, metric: Callable[[str], float | None]) -> None:
    [port] = free_ports()
    code, text = run(store_url=f"http://127.0.0.1:{port}", timeout=3.0)
    assert code == 1 and f"FAILED: no answer from http://127.0.0.1:{port}" in text
    until(lambda: metric("orion_probe_completeness_ratio") == 0, "the metric of completeness")
    assert metric("orion_probe_success") == 0
