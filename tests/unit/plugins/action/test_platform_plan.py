# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""platform_plan and platform_record in a playbook, against an API server in memory. Without a change, no helm runs and
few requests are made."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.plan import record as records
from ansible_collections.orion.tracing.plugins.module_utils.plan.run import METADATA
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

SECRET = "not-to-be-shown"
ROLES, COMPONENTS = ["object_storage", "collector"], ["collector"]
NAMED = {"object_storage_secret_key": SECRET, "object_storage_access_key": "key", "object_storage_bucket": "traces"}


def release(revision: int) -> dict[str, Any]:
    labels = {"owner": "helm", "name": "otel-collector", "version": str(revision), "status": "deployed"}
    name = f"sh.helm.release.v1.otel-collector.v{revision}"
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "tracing", "labels": labels}}


class Cluster:
    """Runs playbooks of one task against a FakeKube."""

    def __init__(self, folder: Path, kube: FakeKube, url: str) -> None:
        self.folder, self.kube, self.url = folder, kube, url
        self.result: dict[str, Any] = {}
        self.output = ""

    def run(self, module: str, variables: dict[str, Any] | None = None, *flags: str, **options: Any) -> int:
        self.kube.asked.clear()
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {f"orion.tracing.{module}": options, "register": "found"},
                {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(self.folder / "found.json")}},
            ],
        }
        (self.folder / "play.yml").write_text(json.dumps([play]))
        (self.folder / "found.json").unlink(missing_ok=True)
        given = {**NAMED, "ansible_python_interpreter": sys.executable, **(variables or {})}
        argv = ["-i", "localhost,", "-c", "local", "-e", json.dumps(given), *flags, "play.yml"]
        environment = {"K8S_AUTH_HOST": self.url, "K8S_AUTH_API_KEY": "token", "HELM_BINARY": "/nowhere/helm"}
        done = run_ansible(self.folder, "ansible-playbook", *argv, **environment)
        self.output = in_one_line(done)
        assert SECRET not in done.stdout + done.stderr
        file = self.folder / "found.json"
        self.result = json.loads(file.read_text()) if file.exists() else {}
        return done.returncode

    @property
    def record(self) -> records.AppliedRecord | None:
        return records.of_secret(self.kube.objects.get(f"/api/v1/namespaces/tracing/secrets/{records.NAME}"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    kube = FakeKube(release(3), namespace="tracing")
    with kube.serving() as url:
        yield Cluster(tmp_path, kube, url)


@pytest.fixture
def recorded(cluster: Cluster) -> Cluster:
    assert cluster.run("platform_record", roles=ROLES, components=COMPONENTS, advice=["retention is short"]) == 0
    return cluster


def test_a_record_is_written_once(recorded: Cluster) -> None:
    assert recorded.result["changed"] and recorded.result["releases"] == {"tracing/otel-collector": 3}
    assert recorded.record is not None and recorded.record.advice == ("retention is short",)
    assert recorded.run("platform_record", roles=ROLES, components=COMPONENTS, advice=["retention is short"]) == 0
    assert not recorded.result["changed"] and recorded.kube.writes == []


def test_check_mode_writes_nothing(cluster: Cluster) -> None:
    assert cluster.run("platform_record", None, "--check", roles=ROLES, components=COMPONENTS) == 0
    assert cluster.kube.writes == [] and cluster.record is None


def test_secrets_are_not_in_the_record(recorded: Cluster) -> None:
    assert SECRET not in json.dumps(recorded.kube.objects)
    record = recorded.record
    assert record is not None and "object_storage_secret_key" in record.hidden
    assert "object_storage_secret_key" not in record.variables


def test_a_record_is_removed(recorded: Cluster) -> None:
    assert recorded.run("platform_record", state="absent") == 0
    assert recorded.result["changed"] and recorded.record is None
    assert recorded.run("platform_record", state="absent") == 0
    assert not recorded.result["changed"]


def test_without_a_change_two_requests_and_no_helm(recorded: Cluster) -> None:
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS) == 0
    assert sorted(recorded.kube.log) == [
        ("GET", "/api/v1/namespaces/tracing/secrets"),
        ("GET", f"/api/v1/namespaces/tracing/secrets/{records.NAME}"),
    ]
    assert recorded.kube.asked[0].headers.get("accept") == METADATA or (
        recorded.kube.asked[1].headers.get("accept") == METADATA
    )
    plan = recorded.result["plan"]
    assert plan["apply"] == [] and not plan["changed"] and plan["recorded"]
    assert recorded.result["warnings"] == ["retention is short"]
    assert "Nothing is going to change." in recorded.output


@pytest.mark.parametrize(
    "variables",
    [
        {"collector_gateway_replicas": 7},
        {"object_storage_secret_key": "another-secret"},
        {"collector_gatewy_replicas": 7},
    ],
)
def test_with_a_change_everything_is_checked(recorded: Cluster, variables: dict[str, Any]) -> None:
    assert recorded.run("platform_plan", variables, roles=ROLES, components=COMPONENTS) != 0
    assert "helm is missing" in recorded.output  # a finding of the preflight, so nothing was planned


def test_a_release_that_somebody_changed_is_looked_at(recorded: Cluster) -> None:
    recorded.kube.put(release(4))
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS) != 0
    assert "helm is missing" in recorded.output


def test_text_for_a_number_is_no_change(recorded: Cluster) -> None:
    record = recorded.record
    assert record is not None
    replicas = record.variables["collector_gateway_replicas"]
    assert (
        recorded.run("platform_plan", {"collector_gateway_replicas": str(replicas)}, roles=ROLES, components=COMPONENTS)
        == 0
    )
    assert not recorded.result["plan"]["changed"]


def test_a_saved_plan_fits_until_something_changes(recorded: Cluster) -> None:
    saved = str(recorded.folder / "plan.json")
    assert recorded.run("platform_plan", None, "--check", roles=ROLES, components=COMPONENTS, plan_output=saved) == 0
    assert SECRET not in Path(saved).read_text()
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS, plan_file=saved) == 0
    content = json.loads(Path(saved).read_text())
    Path(saved).write_text(json.dumps({**content, "host": "edge1"}))
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS, plan_file=saved) != 0
    assert "is the plan of another inventory host: it is for edge1, and this run is for localhost" in recorded.output


@pytest.mark.parametrize("content", [None, "no JSON", "[]"])
def test_a_saved_plan_that_cannot_be_read(recorded: Cluster, content: str | None) -> None:
    file = recorded.folder / "plan.json"
    if content is not None:
        file.write_text(content)
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS, plan_file=str(file)) != 0
    assert re.search(r"tracing_plan_file \S+plan\.json (cannot be read|is not a plan)", recorded.output)
    assert recorded.kube.writes == []


def test_another_python_has_no_plan(cluster: Cluster) -> None:
    other = {"ansible_python_interpreter": "/usr/bin/python3"}
    assert cluster.run("platform_plan", other, roles=ROLES, components=COMPONENTS, plan_file="plan.json") != 0
    assert "tracing_plan_file needs a plan, and for this host none is made" in cluster.output


def test_the_plan_is_among_the_statistics(recorded: Cluster) -> None:
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS) == 0
    stats = recorded.result["ansible_stats"]
    assert not stats["per_host"] and stats["aggregate"]
    plan = stats["data"]["tracing_plan"]["localhost"]
    assert recorded.result["plan"].items() <= plan.items()
    # The next job of a workflow gets it as a variable.
    named = {"tracing_plan": {"localhost": plan}}
    assert recorded.run("platform_plan", named, roles=ROLES, components=COMPONENTS, plan=plan) == 0
    other = {**plan, "namespace": "other"}
    assert recorded.run("platform_plan", roles=ROLES, components=COMPONENTS, plan=other) != 0
    assert "tracing_plan, which an earlier job of the workflow has made, is the plan of another" in recorded.output
