# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""helm_release against a real API server, with the helm binaries of both majors (ORION_HELM, ORION_HELM3)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube import Kube

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = str(Path(release.__file__).parents[6])  # the folder that holds ansible_collections
MODULE = "ansible_collections.orion.tracing.plugins.modules.helm_release"
NAME, LABEL = "mini", "pod-security.kubernetes.io/enforce"
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: mini\nversion: 0.1.0\nappVersion: '1'\n",
    "values.yaml": "message: hello\npassword: default-password\nimage: ''\n",
    "values.schema.json": json.dumps(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "additionalProperties": False,
            "properties": {
                "message": {"type": "string"},
                "password": {"type": "string", "maxLength": 20},
                "image": {"type": "string"},
            },
        }
    ),
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: mini}
data: {message: {{ .Values.message | quote }}, kubernetes: {{ .Capabilities.KubeVersion.Version }}}
---
apiVersion: v1
kind: Secret
metadata: {name: mini}
stringData: {password: {{ .Values.password | quote }}}
{{- with .Values.image }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mini}
spec:
  selector: {matchLabels: {app: mini}}
  template:
    metadata: {labels: {app: mini}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: main
          image: {{ . }}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
{{- end }}
""",
}


@dataclass
class Outcome:
    """text: all that was printed, with --diff also the diff; result: the keys of the module."""

    text: str
    result: dict[str, Any]

    @property
    def counts(self) -> tuple[bool, int, int]:
        return self.result["changed"], self.result["helm_processes"], self.result["api_calls"]

    def after(self, kind: str) -> dict[str, Any]:
        """What the diff says will be there."""
        return next(yaml.safe_load(d["after"]) for d in self.result["diff"] if d["after_header"].startswith(kind))

    @property
    def actions(self) -> dict[str, str]:
        return {item["kind"]: item["action"] for item in self.result["objects"]}


@pytest.fixture(scope="module", params=["ORION_HELM", "ORION_HELM3"], ids=["helm4", "helm3"])
def helm(request: pytest.FixtureRequest) -> str:
    path = os.environ.get(request.param, "")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{request.param} does not name a helm binary (`python -m airgap path` prints where it is)")
    return path


@pytest.fixture
def namespace(helm: str, kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"helm-dev-{request.node.callspec.id}-{request.node.originalname.rpartition('_')[2]}"
    path = f"/api/v1/namespaces/{name}"
    for _attempt in range(60):  # a run before this one may have been interrupted
        if kube.get(path) is None:
            break
        kube.send("DELETE", path)
        time.sleep(0.5)
    yield name
    kube.send("DELETE", path)


@pytest.fixture
def run(helm: str, namespace: str, state: Path, tmp_path: Path) -> Callable[..., Outcome]:
    chart = tmp_path / "chart"
    for name, text in CHART.items():
        (chart / name).parent.mkdir(parents=True, exist_ok=True)
        (chart / name).write_text(text)

    def call(values: dict | None = None, flags: tuple[str, ...] = (), **options: Any) -> Outcome:
        arguments = {
            "name": NAME,
            "namespace": namespace,
            "chart": str(chart),
            "values": values or {},
            "create_namespace": True,
            "namespace_labels": {LABEL: "restricted"},
            "timeout": "60s",
            **options,
        }
        env = {
            **os.environ,
            "K8S_AUTH_KUBECONFIG": str(state / "kubeconfig"),
            "HELM_BINARY": helm,
            "PYTHONPATH": COLLECTIONS,
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        if flags:  # through Ansible, as users do
            argv = ["ansible", "localhost", "-c", "local", "-m", "orion.tracing.helm_release", "-a"]
            argv += [json.dumps(arguments), *flags]
        else:  # the module alone: a third of the time
            argv = [sys.executable, "-m", MODULE, json.dumps({"ANSIBLE_MODULE_ARGS": arguments})]
        done = subprocess.run(
            argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        start = done.stdout.find("\nlocalhost | ") if flags else 0
        start = done.stdout.find("{", max(start, 0))
        assert start >= 0, done.stdout + done.stderr
        return Outcome(done.stdout + done.stderr, json.loads(done.stdout[start:]))

    return call


def labels(kube: Kube, namespace: str) -> dict[str, str]:
    return kube.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]


def interrupt(kube: Kube, namespace: str, status: str) -> None:
    """Leave behind what a helm that was killed leaves: one more revision, in a pending state."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    last = max(kube.list(path, f"owner=helm,name={NAME}"), key=lambda item: int(item["metadata"]["labels"]["version"]))
    document = release.decode(last["data"]["release"])
    document["version"] += 1
    document["info"]["status"] = status
    revision = str(document["version"])
    metadata = {
        "name": f"sh.helm.release.v1.{NAME}.v{revision}",
        "labels": {**last["metadata"]["labels"], "version": revision, "status": status},
    }
    body = {"type": last["type"], "metadata": metadata, "data": {"release": release.encode(document)}}
    kube.request("POST", path, body=body)


def test_the_life_of_a_release(run: Callable[..., Outcome], kube: Kube, namespace: str) -> None:
    config = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"

    planned = run({"password": "first-password"}, ("--check", "--diff"))
    assert planned.counts == (True, 1, 2)
    assert planned.actions == {"Secret": "create", "ConfigMap": "create"}
    assert f"+    {LABEL}: restricted" in planned.text
    assert f"kubernetes: {kube.version()}" in planned.text
    assert kube.get(f"/api/v1/namespaces/{namespace}") is None

    installed = run({"password": "first-password"})
    assert installed.counts == (True, 2, 3)
    assert planned.result.items() <= {**installed.result, "helm_processes": 1, "api_calls": 2}.items()
    assert labels(kube, namespace)[LABEL] == "restricted"
    assert kube.get(config)["data"]["message"] == "hello"

    assert run({"password": "first-password"}).counts == (False, 0, 2)
    assert run({"password": "first-password"}, namespace_labels=None).counts == (False, 0, 1)

    refused = run({"password": "much-too-long-a-password"})
    assert "/password" in refused.result["msg"]
    wrong = run({"message": 5})
    assert "at '/message': got number, want string" in wrong.result["msg"]

    changed = run({"password": "other-password", "message": "bye"})
    assert changed.counts == (True, 2, 2)
    assert changed.actions == {"Secret": "update", "ConfigMap": "update"}
    assert changed.result["release"]["revision"] == 2
    assert changed.after("ConfigMap")["data"]["message"] == "bye"
    assert kube.get(config)["data"]["message"] == "bye"
    for outcome in (planned, installed, refused, changed):
        for hidden in ("first-password", "much-too-long", "other-password"):
            assert hidden not in outcome.text

    kube.apply(
        f"/api/v1/namespaces/{namespace}",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {LABEL: "privileged", "x": "y"}},
        },
    )
    repaired = run({"password": "other-password", "message": "bye"})
    assert repaired.counts == (True, 0, 3)
    assert repaired.result["steps"] == [f"label namespace {namespace}"]
    assert f"{LABEL}: privileged" in repaired.result["diff"][0]["before"]
    assert labels(kube, namespace).items() >= {LABEL: "restricted", "x": "y"}.items()

    gone = run(state="absent")
    assert gone.counts == (True, 1, 1)
    assert gone.result["release"]["status"] == "absent"
    assert kube.get(config) is None
    assert run(state="absent").counts == (False, 0, 1)


def test_trouble_and_recovery(run: Callable[..., Outcome], kube: Kube, namespace: str) -> None:
    broken = run({"image": "registry.invalid/none:1"}, timeout="5s")
    assert any("registry.invalid/none:1" in line for line in broken.result["not_ready"]), broken.text

    assert "on_failed" in run(on_failed="fail").result["msg"]
    recovered = run()
    assert (recovered.counts, recovered.actions) == ((True, 2, 2), {"Deployment": "delete"})

    interrupt(kube, namespace, "pending-upgrade")
    assert "pending-upgrade (revision 3" in run().result["msg"]
    rolled_back = run(on_pending="rollback")
    assert rolled_back.counts == (True, 1, 2)
    assert rolled_back.result["steps"] == ["roll back to revision 2"]
    assert run().counts == (False, 0, 2)

    interrupt(kube, namespace, "pending-upgrade")
    replaced = run({"message": "anew"}, on_pending="replace")
    assert replaced.result["steps"] == ["uninstall the unfinished release", "install"]
    assert replaced.result["release"]["revision"] == 1
    assert run({"message": "anew"}).counts == (False, 0, 2)
