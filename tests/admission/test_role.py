# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role as a play runs it, with the real helm: check mode, a second run, a change of the mode, removal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.admission.conftest import TOKEN, serving
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.import_role": {"name": "orion.tracing.instrumentation"}}],
    }
]


POLICIES = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """An API server without policies."""
    with serving(tmp_path_factory.mktemp("role")) as kube:
        yield kube


@pytest.fixture
def run(empty: Kube, tmp_path: Path) -> Callable[..., str]:
    """Run the role; its output in one line."""

    def role(*argv: str, **variables: Any) -> str:
        (tmp_path / "play.yml").write_text(json.dumps(PLAY))
        given = {
            "tracing_environment": "test",
            "tracing_cluster_name": "test",
            "tracing_helm_binary": os.environ["ORION_HELM"],
            "ansible_python_interpreter": sys.executable,
            **variables,
        }
        arguments = ["play.yml", "-i", "localhost,", "-c", "local", "-e", json.dumps(given), *argv]
        cluster = {"K8S_AUTH_HOST": empty.host, "K8S_AUTH_API_KEY": TOKEN, "K8S_AUTH_VERIFY_SSL": "false"}
        return in_one_line(run_ansible(tmp_path, "ansible-playbook", *arguments, **cluster))

    return role


def changed(output: str) -> int:
    """The number of tasks that changed something, of a run without an error."""
    match = re.search(r"changed=(\d+) unreachable=0 failed=0", output)
    assert match, output
    return int(match[1])


def policies(kube: Kube) -> list[str]:
    return [item["metadata"]["name"].rpartition("-")[2] for item in kube.list(POLICIES)]


def test_install_again_change_remove(run: Callable[..., str], empty: Kube) -> None:
    assert changed(run("--check", "--diff")) == 1 and policies(empty) == []
    assert changed(run()) == 1
    assert sorted(policies(empty)) == ["dotnet", "java", "nodejs", "python", "sdk"]
    assert changed(run()) == 0
    assert changed(run(instrumentation_languages=["java"])) == 1 and policies(empty) == ["java"]
    assert changed(run(instrumentation_mode="sdk")) == 1 and policies(empty) == []
    assert changed(run(instrumentation_mode="sdk")) == 0
    assert changed(run(instrumentation_enabled=False)) == 1
    assert changed(run(instrumentation_enabled=False)) == 0


def test_a_policy_of_another_owner_is_named(run: Callable[..., str], empty: Kube) -> None:
    """And stays as it is."""
    name = "opentelemetry-auto-instrumentation-java"
    expression = '[JSONPatch{op: "test", path: "/kind", value: "Pod"}]'
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    body = {"apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": name}, "spec": spec}  # fmt: skip
    made = empty.request("POST", POLICIES, body=body)
    try:
        output = run()
        assert "failed=1" in output and f'MutatingAdmissionPolicy "{name}"' in output
        assert "exist already and do not belong to it" in output
        assert empty.get(f"{POLICIES}/{name}") == made and policies(empty) == ["java"]
    finally:
        empty.request("DELETE", f"{POLICIES}/{name}")


def test_a_mode_that_the_cluster_does_not_serve(run: Callable[..., str], empty: Kube) -> None:
    output = run(instrumentation_mode="operator")
    assert "instrumentation_mode: is operator, but the cluster does not have the OpenTelemetry Operator's" in output
    assert policies(empty) == []


def test_an_annotated_workload_in_a_namespace_that_does_not_exist(run: Callable[..., str], empty: Kube) -> None:
    """One message with the name; nothing is changed but the policies."""
    listed = [{"namespace": "nowhere", "name": "orders", "language": "java"}]
    output = run(instrumentation_workloads=listed)
    assert "failed=1" in output and "nowhere" in output
    assert changed(run(instrumentation_enabled=False)) == 1
