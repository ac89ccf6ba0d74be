# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks with the extra variables of a job of AWX: answers to all questions of a survey, in the shapes of a form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

from tools import surveys

ROOT = Path(__file__).parents[3]
RECORDING = {"simulate_path": str(ROOT / "tests/data/shop.jsonl.gz")}
PLATFORM: dict[str, Any] = {
    "tracing_retention": "240h",
    "tracing_expected_traces_per_second": 1000,
    "collector_sampling_percentage": "12.5",
    "collector_latency_threshold_ms": "750",
    "collector_critical_routes": "/api/v1/orders\r\n/api/v1/trades\r\n",
    "collector_dropped_routes": "/health\n/ready",
    "collector_decision_wait": "10s",
    "collector_gateway_replicas": "3",
    "collector_sampler_replicas": 3.0,
    "instrumentation_enabled": "false",
    "instrumentation_languages": "python\njava",
    "grafana_token": "glsa_not-to-be-shown",
    "tracing_prove": "never",
}


def play(folder: Path, playbook: str, **answers: Any) -> Any:
    """A run as ansible-runner starts it, with the answers in a file."""
    (folder / "extravars").write_text(json.dumps(answers))
    argv = [str(ROOT / f"playbooks/{playbook}.yml"), "-i", str(ROOT / "inventories/production"), "-e", "@extravars"]
    done = run_ansible(folder, "ansible-playbook", *argv)
    assert "not-to-be-shown" not in done.stdout + done.stderr
    return done


def test_every_question_about_the_platform_is_answered() -> None:
    assert set(PLATFORM) == {one["variable"] for one in surveys.generate()["platform"]["spec"]}


@pytest.mark.parametrize(("playbook", "more"), [("plan", {}), ("simulate", RECORDING)])
def test_answers_as_text_work(playbook: str, more: dict[str, str], tmp_path: Path) -> None:
    output = {"plan": "plan_output", "simulate": "simulate_output"}[playbook]
    done = play(tmp_path, playbook, **PLATFORM, **more, **{output: str(tmp_path / "out.json")})
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "out.json").read_text())


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"collector_sampling_percentage": ""}, "collector_sampling_percentage: is empty, not a number. Give a number"),
        ({"collector_sampling_percentage": "120"}, "collector_sampling_percentage: is 120, more than 100."),
        ({"collector_gateway_replicas": "many"}, "collector_gateway_replicas: is 'many', which is not a whole number."),
        ({"collector_critical_routes": " \n"}, "collector_critical_routes: is empty, not a list. Write it as [a, b]"),
        ({"collector_critical_routes": "/a\norders"}, "collector_critical_routes[1]: is 'orders'"),
    ],
)
def test_wrong_answers_are_refused_by_name(answers: dict[str, Any], message: str, tmp_path: Path) -> None:
    done = play(tmp_path, "simulate", **RECORDING, **answers)
    assert done.returncode == 2 and message in in_one_line(done), done.stdout + done.stderr
