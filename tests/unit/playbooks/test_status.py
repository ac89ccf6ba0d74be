# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/status.yml with platforms in memory: one page for each host, a summary, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import FakePlatform

ROOT = Path(__file__).parents[3]


def kubeconfig(url: str) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
        "users": [{"name": "u", "user": {"token": "not-to-be-shown"}}],
    }


@pytest.fixture
def urls() -> Iterator[dict[str, str]]:
    good, bad = FakePlatform(days=3650), FakePlatform()
    bad.at("StatefulSet", "otel-sampler")["status"] = {}
    for one in (good, bad):
        one.metrics = {name: text.replace("} 900", "} 1") for name, text in one.metrics.items()}
        one.metrics["tempo-0"] = "process_resident_memory_bytes 1e+08\n"
    with ExitStack() as stack:
        servers = {name: stack.enter_context(one.serving()) for name, one in (("good", good), ("bad", bad))}
        yield {**servers, "away": "http://127.0.0.1:1"}


def play(folder: Path, urls: dict[str, str], hosts: list[str], **variables: Any) -> subprocess.CompletedProcess[str]:
    given = {
        "object_storage_bucket": "orion-traces",
        "ansible_python_interpreter": sys.executable,
        "ansible_connection": "local",
    }
    each = {host: {"tracing_kubeconfig": kubeconfig(urls[host])} for host in hosts}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": each, "vars": given}}))
    argv = [str(ROOT / "playbooks/status.yml"), "-i", "hosts.json", "-e", json.dumps(variables)]
    environ = {"ANSIBLE_SHOW_CUSTOM_STATS": "true"}
    return run_ansible(folder, "ansible-playbook", *argv, **environ)


def test_one_host(tmp_path: Path, urls: dict[str, str]) -> None:
    done = play(tmp_path, urls, ["good"], status_output="page.json", status_fail_on="limit")
    shown = in_one_line(done)
    assert done.returncode == 0, shown
    assert "otel-sampler 2/2 2 OOMKilled" in shown and "sum of those known" not in shown
    page = json.loads((tmp_path / "page.json").read_text())
    assert page["state"] == "ok" and page["cost_per_day"]["total"] > 0 and page["probe"]["installed"]
    assert '"tracing_status"' in shown and "not-to-be-shown" not in shown


@pytest.mark.parametrize(("fail_on", "failed"), [("never", {"away"}), ("down", {"away", "bad"})])
def test_three_hosts(tmp_path: Path, urls: dict[str, str], fail_on: str, failed: set[str]) -> None:
    output = "{{ inventory_hostname }}.json"
    done = play(tmp_path, urls, ["away", "bad", "good"], status_fail_on=fail_on, status_output=output)
    shown = in_one_line(done)
    assert done.returncode != 0 and "away NOT REACHED" in shown and "sum of those known 8.0" in shown, shown
    recap = shown[shown.index("PLAY RECAP") :]
    for host in ("away", "bad", "good"):
        line = recap[recap.index(f"{host} :") :].split("failed=")[1]
        assert line.startswith("1" if host in failed else "0"), recap
    assert {path.name for path in tmp_path.glob("*.json")} == {"hosts.json", "bad.json", "good.json"}
    assert "no answer from the API server" in shown
    if fail_on == "down":
        assert "Down: StatefulSet otel-sampler has none of 2 pods ready" in shown


def test_a_misspelt_variable_is_named(tmp_path: Path, urls: dict[str, str]) -> None:
    done = play(tmp_path, urls, ["good"], status_fial_on="down")
    assert done.returncode != 0
    assert "status_fial_on: is not a variable of this collection; did you mean status_fail_on?" in in_one_line(done)
