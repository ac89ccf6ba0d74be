# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/site.yml over an inventory in which each host is a cluster, with API servers on loopback."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

ROOT = Path(__file__).parents[3]
DEAD = "http://127.0.0.1:1"
# All that the preflight asks of helm.
HELM = "#!/bin/sh\necho v4.3.1\n"


class Fleet:
    """Clusters by host: the API server's URL, and an inventory with a kubeconfig for each."""

    def __init__(self, folder: Path, servers: dict[str, str], **variables: Any) -> None:
        self.folder, helm = folder, folder / "helm"
        helm.write_text(HELM)
        helm.chmod(0o755)
        hosts = {}
        for host, url in servers.items():
            (folder / f"{host}.kubeconfig").write_text(yaml.safe_dump(kubeconfig(url)))
            hosts[host] = {"tracing_kubeconfig": str(folder / f"{host}.kubeconfig")}
        (folder / "hosts.yml").write_text(
            yaml.safe_dump(
                {
                    "all": {
                        "vars": {
                            "ansible_connection": "local",
                            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                            "tracing_store": "otlp",
                            # The stand-ins store no objects, so nothing is planned.
                            "preflight_components": [],
                            "tracing_helm_binary": str(helm),
                            "collector_exporters": [
                                {"name": "c", "protocol": "http", "endpoint": "https://otlp.example.com"}
                            ],
                            **variables,
                        },
                        "hosts": hosts,
                    }
                }
            )
        )

    def run(self, *argv: str, **extra: Any) -> subprocess.CompletedProcess[str]:
        return run_ansible(
            self.folder,
            "ansible-playbook",
            str(ROOT / "playbooks/site.yml"),
            "-i",
            str(self.folder / "hosts.yml"),
            "--tags",
            "preflight",
            "-e",
            json.dumps(extra),
            *argv,
        )


def kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }


@pytest.fixture(scope="module")
def alive() -> Iterator[dict[str, FakeKube]]:
    """Three API servers, by URL."""
    with ExitStack() as stack:
        fakes = [FakeKube() for _number in range(3)]
        yield {stack.enter_context(fake.serving()): fake for fake in fakes}


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Host → failed tasks, of the hosts that ran."""
    found = re.findall(r"^(\S+)\s+: ok=\d+ .*failed=(\d+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {host: int(failed) for host, failed in found}


def test_two_hosts_with_one_cluster_and_namespace_are_refused(tmp_path: Path, alive: dict[str, FakeKube]) -> None:
    one, two, _three = alive
    done = Fleet(tmp_path, {"edge-1": one, "edge-2": two, "edge-3": f"{one}/"}).run()
    text = in_one_line(done)
    for own, other in (("edge-1", "edge-3"), ("edge-3", "edge-1")):
        assert re.search(rf"leads {own} to the namespace tracing of {one}/?, as it does {other}[:.]", text), text
    assert "leads edge-2" not in text
    assert recap(done) == {"edge-1": 1, "edge-2": 0, "edge-3": 1}
    assert not any(fake.writes for fake in alive.values())


def test_two_namespaces_of_one_cluster_are_two_hosts(tmp_path: Path, alive: dict[str, FakeKube]) -> None:
    url = next(iter(alive))
    fleet = Fleet(tmp_path, {"edge-1": url, "edge-2": url}, tracing_namespace="{{ inventory_hostname }}")
    assert recap(fleet.run()) == {"edge-1": 0, "edge-2": 0}


def test_two_namespaces_do_not_make_the_same_objects_of_the_cluster(tmp_path: Path, alive: dict[str, FakeKube]) -> None:
    one, two, _three = alive
    fleet = Fleet(
        tmp_path,
        {"edge-1": one, "edge-2": one, "edge-3": two},
        tracing_namespace="{{ inventory_hostname }}",
        collector_priority_class_create=True,
        collector_priority_class_name="tracing",
    )
    done = fleet.run(instrumentation_mode="policy")
    text = in_one_line(done)
    for what in ("the PriorityClass tracing", "the admission policies of instrumentation"):
        for own, other in (("edge-1", "edge-2"), ("edge-2", "edge-1")):
            assert f"makes {what} for {own}, as it does for {other} in the same cluster" in text, text
    # No stand-in serves admission policies, which is an error of its own.
    assert recap(done) == {"edge-1": 1, "edge-2": 1, "edge-3": 1} and "for edge-3, as it does" not in text
    assert not any(fake.writes for fake in alive.values())


def test_a_cluster_that_is_away_stops_itself_alone(tmp_path: Path, alive: dict[str, FakeKube]) -> None:
    one, two, _three = alive
    fleet = Fleet(tmp_path, {"edge-1": one, "edge-2": DEAD, "edge-3": two})
    expected = {"edge-1": 0, "edge-2": 1, "edge-3": 0}
    assert recap(fleet.run()) == expected
    # Two at a time: the next ones follow although one of the first has failed.
    assert recap(fleet.run(tracing_serial=2)) == expected
    # They do not where half of a batch is too much.
    assert recap(fleet.run(tracing_serial=2, tracing_max_fail_percentage=49)) == {"edge-1": 0, "edge-2": 1}


def test_a_first_cluster_alone_can_stop_all_others(tmp_path: Path, alive: dict[str, FakeKube]) -> None:
    one, two, _three = alive
    fleet = Fleet(tmp_path, {"edge-1": DEAD, "edge-2": one, "edge-3": two})
    assert recap(fleet.run(tracing_serial=[1, "100%"])) == {"edge-1": 1}


def test_the_plan_adds_up_the_shipped_inventory(tmp_path: Path) -> None:
    inventory = str(ROOT / "inventories/fleet")
    done = run_ansible(tmp_path, "ansible-playbook", str(ROOT / "playbooks/plan.yml"), "-i", inventory)
    text = in_one_line(done)
    assert done.returncode == 0 and "WARNING" not in text, text
    assert recap(done) == {"central-1": 0, "edge-eu-1": 0, "edge-us-1": 0}
    # neither the inventory nor its policies fall short of the load
    assert text.count('"Nowhere."') == 3 and text.count('"Nothing."') == 3
    [together] = re.findall(r'"(together [^"]*)"', text)
    assert re.search(r'"edge-us-1\s+central-1\s', done.stdout)
    assert together.split()[1:3] == ["8,100", "4.05"]
