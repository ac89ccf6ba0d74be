# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A misspelt variable stops a playbook before its first task does anything, and is named with the nearest name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ansible_collections
import pytest

ROOT = Path(__file__).parents[3]
PROBE = str(ROOT / "tests/unit/fixtures/probe.jsonl")
MISSPELT = {"collector_sampling_percent": "collector_sampling_percentage", "tracing_prov": "tracing_prove"}
NEEDED = {"simulate": {"simulate_path": PROBE}, "replay": {"replay_path": PROBE}}
OWN = {
    "plan": {"plan_pricse": "plan_prices", "tempo_retnetion": "tempo_retention"},
    "simulate": {"simulate_pth": "simulate_path", "simulate_limits": "simulate_limit"},
    "replay": {"replay_timout": "replay_timeout"},
    "verify": {"verify_bukket": "verify_bucket"},
    "site": {"verify_bukket": "verify_bucket", "plan_pricse": "plan_prices", "replay_timout": "replay_timeout"},
}


@pytest.mark.parametrize("playbook", OWN)
def test_every_misspelt_variable_is_named(playbook: str, tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("")
    # All with one value: each is named nevertheless.
    names = {**MISSPELT, **OWN[playbook]}
    given = {**dict.fromkeys(names, "x"), **NEEDED.get(playbook, {}), "tracing_kubeconfig": str(tmp_path / "none")}
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / f"playbooks/{playbook}.yml")]
    done = subprocess.run(
        [*argv, "-i", str(ROOT / "inventories/production"), "-e", json.dumps(given)],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(Path(next(iter(ansible_collections.__path__))).parent),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "COLUMNS": "1000",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    for name, meant in names.items():
        assert f"{name}: is not a variable of this collection; did you mean {meant}?" in output, output
    assert "changed=0" in output and "unreachable=0" in output
    assert not {path.name for path in tmp_path.iterdir()} - {"ansible.cfg", "home"}
