# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A misspelt variable stops a playbook before its first task does anything, and is named with the nearest name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

ROOT = Path(__file__).parents[3]
PROBE = str(ROOT / "tests/unit/fixtures/probe.jsonl")
MISSPELT = {"collector_sampling_percent": "collector_sampling_percentage", "tracing_prov": "tracing_prove"}
NEEDED = {"simulate": {"simulate_path": PROBE}, "replay": {"replay_path": PROBE}}
OWN = {
    "plan": {"plan_pricse": "plan_prices", "tempo_retnetion": "tempo_retention"},
    "simulate": {"simulate_pth": "simulate_path", "simulate_limits": "simulate_limit"},
    "replay": {"replay_timout": "replay_timeout"},
    "instrumentation": {"instrumentation_namspace": "instrumentation_namespace"},
    "verify": {"verify_bukket": "verify_bucket"},
    "site": {"verify_bukket": "verify_bucket", "plan_pricse": "plan_prices", "replay_timout": "replay_timeout"},
}


@pytest.mark.parametrize("playbook", OWN)
def test_every_misspelt_variable_is_named(playbook: str, tmp_path: Path) -> None:
    # All with one value: each is named nevertheless.
    names = {**MISSPELT, **OWN[playbook]}
    if playbook == "instrumentation":
        del names["collector_sampling_percent"]  # it reads no variable of the collectors
    given = {**dict.fromkeys(names, "x"), **NEEDED.get(playbook, {}), "tracing_kubeconfig": str(tmp_path / "none")}
    argv = [str(ROOT / f"playbooks/{playbook}.yml"), "-i", str(ROOT / "inventories/production")]
    done = run_ansible(tmp_path, "ansible-playbook", *argv, "-e", json.dumps(given))
    output = in_one_line(done)
    assert done.returncode != 0
    for name, meant in names.items():
        assert f"{name}: is not a variable of this collection; did you mean {meant}?" in output, output
    assert "changed=0" in output and "unreachable=0" in output
    assert not {path.name for path in tmp_path.iterdir()} - {"ansible.cfg", "home"}
