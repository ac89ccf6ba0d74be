# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/trace_report.yml and compare.yml name what their users write: variables, not the module's options."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

ROOT = Path(__file__).parents[3]
ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("playbook", "given", "expected"),
    [
        ("trace_report", {}, "trace_id and search are both missing"),
        ("trace_report", {"search": "a=b", "report_last": "long"}, "report_end and report_last are None and 'long'"),
        ("trace_report", {"search": "a=b", "report_limit": 5000}, "report_limit is 5000"),
        ("trace_report", {"trace_id": "xyz"}, "trace_id has 'xyz'"),
        ("trace_report", {"trace_id": ID, "report_file": "nowhere/page.html"}, "report_file is "),
        ("compare", {"trace_id": ID}, "other_trace_id and other_search are both missing"),
        ("compare", {"trace_id": ID, "other_search": "orders"}, "other_search has the word 'orders'"),
        ("compare", {"search": "a=b", "other_last": "long"}, "other_end and other_last are None and 'long'"),
    ],
)
def test_messages_name_variables(tmp_path: Path, playbook: str, given: dict[str, Any], expected: str) -> None:
    variables = {"object_storage_bucket": "b", "ansible_python_interpreter": sys.executable, **given}
    argv = [str(ROOT / f"playbooks/{playbook}.yml"), "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]
    done = run_ansible(tmp_path, "ansible-playbook", *argv, K8S_AUTH_HOST="http://127.0.0.1:1")
    shown = in_one_line(done)
    assert done.returncode != 0 and expected in shown, shown
    assert "option" not in shown[shown.index(expected) :].partition(". ")[0]
