# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run warns about what the user can do something about, and about nothing else: neither ansible-core nor a filter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COLLECTIONS = next(path for path in sys.path if Path(path, "ansible_collections/orion/tracing").is_dir())
MODES = {"policy": {"version": "admissionregistration.k8s.io/v1"}, "operator": {"version": ""}}
FILTERS = {
    "object_storage": ("tempo_lifecycle_rules", ["tempo", "collector_exporters"]),
    "tempo": ("tempo_values", ["collector_max_total_spans_per_second", "collector_max_total_bytes_per_second"]),
    "collector": ("collector_values", ["object_storage_bucket", "tempo_s3_bucket", "tempo_s3_prefix"]),
    "grafana": ("grafana_values", []),
    "instrumentation": (f"instrumentation_values({MODES})", []),
}


def run(playbook: Path, *argv: str, home: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
        "ANSIBLE_DISPLAY_TRACEBACK": "deprecated",
        "COLUMNS": "10000",
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, playbook, "-i", ROOT / "inventories/production", *argv],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "argv"),
    [("plan", ()), ("simulate", ("-e", f"simulate_path={ROOT / 'tests/unit/fixtures/probe.jsonl'}"))],
)
def test_playbooks_without_a_cluster(name: str, argv: tuple[str, ...], tmp_path: Path) -> None:
    output = run(ROOT / f"playbooks/{name}.yml", *argv, home=tmp_path)
    assert "failed=0" in output and "WARNING]" not in output


def test_the_values_of_every_role(tmp_path: Path) -> None:
    """None of the roles is in the play."""
    tasks = []
    for role, (name, others) in FILTERS.items():
        terms = ", ".join(repr(term) for term in [role, *others])
        values = f"lookup('orion.tracing.role_variables', {terms}) | orion.tracing.{name}"
        tasks.append({"ansible.builtin.set_fact": {f"values_of_{role}": f"{{{{ {values} }}}}"}})
    (tmp_path / "values.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    output = run(tmp_path / "values.yml", home=tmp_path)
    assert f"ok={len(FILTERS)} " in output and "WARNING]" not in output
