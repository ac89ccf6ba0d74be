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
APPS = "/apis/apps/v1/namespaces/shop/{}"
# Name → languages that its annotations ask for.
DEPLOYMENTS = {"orders": [], "pricing": ["java"], "ledger": ["ruby"], "both": ["python", "java"]}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """An API server without policies."""
    with serving(tmp_path_factory.mktemp("role")) as kube:
        yield kube


@pytest.fixture(scope="module")
def without_policies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """An API server that serves neither the policies' API nor the operator's, with the same workloads as shop."""
    with serving(tmp_path_factory.mktemp("plain"), policies=False) as kube:
        fill(kube)
        yield kube


def fill(kube: Kube) -> None:
    """A namespace with Deployments, each with a ReplicaSet and a pod. Nothing runs: pods stay pending."""
    kube.request("POST", "/api/v1/namespaces", body={"metadata": {"name": "shop"}})
    for name, languages in DEPLOYMENTS.items():
        annotations = {f"instrumentation.opentelemetry.io/inject-{language}": "true" for language in languages}
        labels = {"app": name, "pod-template-hash": "abc"}
        template = {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {"containers": [{"name": "app", "image": "registry.example/shop:1"}]},
        }
        spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
        made = kube.request("POST", APPS.format("deployments"), body={"metadata": {"name": name}, "spec": spec})
        replicas = {"name": f"{name}-abc", "ownerReferences": owner("Deployment", made)}
        made = kube.request("POST", APPS.format("replicasets"), body={"metadata": replicas, "spec": spec})
        metadata = {**template["metadata"], "name": f"{name}-abc-1", "ownerReferences": owner("ReplicaSet", made)}
        kube.request("POST", "/api/v1/namespaces/shop/pods", body={**template, "metadata": metadata})


def owner(kind: str, made: dict[str, Any]) -> list[dict[str, Any]]:
    metadata = made["metadata"]
    return [
        {"apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    ]


def everything(kube: Kube) -> list[Any]:
    """Deployments, Secrets (Helm's among them) and namespaces with their versions, to compare."""
    paths = [APPS.format("deployments"), "/api/v1/secrets", "/api/v1/namespaces"]
    lists = [kube.list(path) for path in paths]
    return [[(one["metadata"]["name"], one["metadata"]["resourceVersion"]) for one in listed] for listed in lists]


@pytest.fixture
def run(empty: Kube, tmp_path: Path) -> Callable[..., str]:
    """Run the role; its output in one line."""

    def role(*argv: str, kube: Kube = empty, **variables: Any) -> str:
        (tmp_path / "play.yml").write_text(json.dumps(PLAY))
        given = {
            "tracing_environment": "test",
            "tracing_cluster_name": "test",
            "tracing_helm_binary": os.environ["ORION_HELM"],
            "ansible_python_interpreter": sys.executable,
            **variables,
        }
        arguments = ["play.yml", "-i", "localhost,", "-c", "local", "-e", json.dumps(given), *argv]
        cluster = {"K8S_AUTH_HOST": kube.host, "K8S_AUTH_API_KEY": TOKEN, "K8S_AUTH_VERIFY_SSL": "false"}
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


@pytest.fixture(scope="module")
def shop(empty: Kube) -> Kube:
    """The server of the role, with workloads and without policies."""
    fill(empty)
    return empty


ORDERS = {"namespace": "shop", "name": "orders", "language": "python"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {**ORDERS, "namespace": "nowhere"},
            "instrumentation_workloads[0]: namespace nowhere does not exist. Correct it, or create the namespace and "
            "the workload first.",
        ),
        (
            {**ORDERS, "name": "order"},
            "instrumentation_workloads[0]: Deployment shop/order does not exist; did you mean Deployment shop/orders? "
            "Correct it, or install the workload first",
        ),
        (
            {**ORDERS, "kind": "Pod", "name": "orders-abc-1"},
            "instrumentation_workloads[0]: Pod shop/orders-abc-1 belongs to Deployment orders: it may be replaced any "
            "time. List Deployment orders instead.",
        ),
        (
            {**ORDERS, "kind": "Service"},
            "instrumentation_workloads[0].kind: Service does not own pods that can be instrumented. Use one of",
        ),
        (
            {**ORDERS, "language": "pyton"},
            "instrumentation_workloads[0].language: unknown language 'pyton'; did you mean python? Use one of python,",
        ),
        (
            {**ORDERS, "name": "pricing"},
            "instrumentation_workloads[0]: Deployment shop/pricing: the annotations ask for java and python in the "
            "same container app",
        ),
        (
            {**ORDERS, "containers": ["web"]},
            "instrumentation_workloads[0].containers: Deployment shop/orders has no container web. It has app.",
        ),
        (
            [ORDERS, {**ORDERS, "language": "java"}],
            "instrumentation_workloads[1]: contradicts instrumentation_workloads[0]: Deployment shop/orders has python "
            "and java in the same container: a container can have one agent. Keep one, or name the containers of "
            "each.",
        ),
    ],
)
def test_a_listed_workload_that_is_wrong_changes_nothing(
    run: Callable[..., str], shop: Kube, item: Any, expected: str
) -> None:
    """Neither are policies installed, nor is a namespace made for them."""
    before = everything(shop)
    output = run(instrumentation_workloads=item if isinstance(item, list) else [item])
    assert "failed=1" in output and "changed=0" in output and expected in output
    assert everything(shop) == before and policies(shop) == []


def test_all_that_is_wrong_is_in_one_message(run: Callable[..., str], shop: Kube) -> None:
    output = run(instrumentation_workloads=[{**ORDERS, "name": "order"}, {**ORDERS, "name": "pricing"}])
    assert "Deployment shop/order does not exist" in output and "ask for java and python" in output


def test_annotations_of_others_that_cannot_work_are_reported(run: Callable[..., str], shop: Kube) -> None:
    """An unknown language, and two in one container: a warning each, and their pods are as they were."""
    assert changed(run()) == 1
    before = everything(shop)
    output = run()
    assert changed(output) == 0 and everything(shop) == before
    assert "Deployment shop/ledger is not instrumented" in output and "inject-ruby" in output
    assert "Deployment shop/both is not instrumented: the annotations ask for java and python" in output
    assert changed(run(instrumentation_enabled=False)) == 1


def test_a_cluster_that_serves_neither_api(run: Callable[..., str], without_policies: Kube) -> None:
    remedy = (
        "Use a cluster of Kubernetes 1.36 or newer, or 1.34 with the feature gate MutatingAdmissionPolicy and the API "
        "admissionregistration.k8s.io/v1beta1 switched on; or install the OpenTelemetry Operator; or set "
        "instrumentation_mode: sdk, which gives the listed workloads the environment variables alone."
    )
    before = everything(without_policies)
    for mode, what in (("policy", "serve MutatingAdmissionPolicy in v1 or v1beta1"), ("operator", "have the")):
        output = run(kube=without_policies, instrumentation_mode=mode)
        assert f"instrumentation_mode: is {mode}, but the cluster does not {what}" in output and remedy in output
    output = run(kube=without_policies, instrumentation_workloads=[ORDERS])
    assert "instrumentation_workloads[0].language: python cannot be instrumented in mode sdk" in output
    assert "failed=1" in output and everything(without_policies) == before
    output = run("--check", kube=without_policies)
    assert "failed=0" in output and "annotated pods are not instrumented" in output and remedy in output
