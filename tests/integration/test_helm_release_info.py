# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""helm_release_info beside helm's own answers, for releases that both majors of Helm made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = str(Path(release.__file__).parents[6])  # the folder that holds ansible_collections
MODULE = "ansible_collections.orion.tracing.plugins.modules.helm_release_info"
PASSWORD = "user-password"
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: mini\nversion: 0.1.0\nappVersion: '7'\n",
    "values.yaml": "a: {x: 1, w: 2}\nb: [1, 2]\nc: text\nfails: false\npassword: ''\n",
    "templates/NOTES.txt": "Log in with {{ .Values.password }}.\n",
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {values: {{ toJson .Values.a | quote }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-test, annotations: {helm.sh/hook: test}}
{{- if .Values.fails }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: not_a_name}
{{- end }}
""",
}


@pytest.fixture(scope="module", params=["ORION_HELM", "ORION_HELM3"], ids=["helm4", "helm3"])
def helm(request: pytest.FixtureRequest, state: Path) -> Callable[..., Any]:
    """Run helm; what it answers as JSON."""
    path = os.environ.get(request.param, "")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{request.param} does not name a helm binary (`python -m airgap path` prints where it is)")

    def run(*arguments: str, fails: bool = False) -> Any:
        done = subprocess.run(
            [path, *arguments, "--kubeconfig", str(state / "kubeconfig")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return json.loads(done.stdout) if "json" in arguments and not fails else done.stdout

    return run


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("mini")
    for name, text in CHART.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


@pytest.fixture(scope="module")
def namespace(helm: Callable[..., Any], chart: str, kube: Kube) -> Iterator[str]:
    """A namespace with a release in each state."""
    name = f"drift-info-{time.time_ns() // 10**6}"
    values = {"password": PASSWORD, "a": {"x": None, "z": 3, "n": None}, "b": [3], "c": None, "new": {"d": 1}}
    place = ("--namespace", name)

    def upgrade(release_name: str, *flags: str, fails: bool = False) -> None:
        helm("upgrade", "--install", release_name, chart, *place, "--create-namespace", *flags, fails=fails)

    upgrade("web")
    upgrade("web", *(part for key, value in values.items() for part in ("--set-json", f"{key}={json.dumps(value)}")))
    upgrade("web", "--reuse-values", "--description", "third time", "--labels", "team=a")
    upgrade("bad")
    upgrade("bad", "--set", "fails=true", fails=True)
    upgrade("gone")
    helm("uninstall", "gone", "--keep-history", *place)
    upgrade("stuck")
    interrupt(kube, name)
    yield name
    kube.send("DELETE", f"/api/v1/namespaces/{name}")


def interrupt(kube: Kube, namespace: str) -> None:
    """Leave behind what a helm that was killed leaves: one more revision, in a pending state."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    (last,) = kube.list(path, "owner=helm,name=stuck")
    document = release.decode(last["data"]["release"])
    document["version"], document["info"]["status"] = 2, "pending-upgrade"
    labels = {**last["metadata"]["labels"], "version": "2", "status": "pending-upgrade"}
    metadata = {"name": "sh.helm.release.v1.stuck.v2", "labels": labels}
    body = {"type": last["type"], "metadata": metadata, "data": {"release": release.encode(document)}}
    kube.request("POST", path, body=body)


@pytest.fixture
def run(state: Path) -> Callable[..., dict[str, Any]]:
    """The module as Ansible starts it; no helm is on its PATH."""

    def call(**options: Any) -> dict[str, Any]:
        env = {"PATH": "/nonexistent", "PYTHONPATH": COLLECTIONS, "K8S_AUTH_KUBECONFIG": str(state / "kubeconfig")}
        done = subprocess.run(
            [sys.executable, "-m", MODULE, json.dumps({"ANSIBLE_MODULE_ARGS": options})],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return call


def test_what_helm_says(run, helm, namespace: str) -> None:
    result = run(namespace=namespace, release_state=["all"])
    assert (result["changed"], result["api_calls"]) == (False, 1)
    listed = {item["name"]: item for item in helm_list(helm, namespace)}
    assert {entry["name"]: entry["status"] for entry in result["releases"]} == {
        "bad": "failed",
        "gone": "uninstalled",
        "stuck": "pending-upgrade",
        "web": "deployed",
    }
    for entry in result["releases"]:
        item = listed[entry["name"]]
        assert item["chart"] == f"{entry['chart']}-{entry['chart_version']}" == "mini-0.1.0"
        assert (item["app_version"], int(item["revision"])) == (entry["app_version"], entry["revision"])
        assert item["status"] == entry["status"]
    assert PASSWORD not in json.dumps(result)


def helm_list(helm: Callable[..., Any], namespace: str) -> list[dict[str, Any]]:
    # Helm 4 lists every state by default, Helm 3 is asked for them.
    states = ("--deployed", "--failed", "--pending", "--uninstalled")
    return helm("list", "--namespace", namespace, *states, "--output", "json")


@pytest.mark.parametrize(
    ("states", "names"),
    [
        ([], {"bad", "stuck", "web"}),
        (["failed"], {"bad"}),
        (["pending"], {"stuck"}),
        (["uninstalled"], {"gone"}),
        (["deployed", "pending"], {"stuck", "web"}),
        (["superseded"], set()),
    ],
)
def test_states(run, namespace: str, states: list[str], names: set[str]) -> None:
    assert {entry["name"] for entry in run(namespace=namespace, release_state=states)["releases"]} == names


def test_history(run, helm, namespace: str) -> None:
    (entry,) = run(name="web", namespace=namespace, history=True)["releases"]
    told = helm("history", "web", "--namespace", namespace, "--output", "json")
    names = ("revision", "status", "app_version", "description")
    assert [{name: item[name] for name in names} for item in entry["history"]] == [
        {name: item[name] for name in names} for item in told
    ]
    assert [item["updated"][:19] for item in entry["history"]] == [item["updated"][:19] for item in told]
    assert entry["description"] == "third time"
    assert entry["labels"] == {"team": "a"}


def test_values_and_notes(run, helm, namespace: str) -> None:
    place = ("web", "--namespace", namespace)
    (entry,) = run(name="web", namespace=namespace, with_values="user", notes=True)["releases"]
    assert entry["release_values"] == helm("get", "values", *place, "--output", "json")
    assert entry["release_values"]["password"] == PASSWORD
    assert entry["notes"].strip() == f"Log in with {PASSWORD}."
    (entry,) = run(name="web", namespace=namespace, with_values="computed")["releases"]
    assert entry["release_values"] == helm("get", "values", *place, "--all", "--output", "json")
    assert entry["release_values"]["a"] == {"n": None, "w": 2, "x": None, "z": 3}


def test_objects(run, namespace: str) -> None:
    (entry,) = run(name="web", namespace=namespace, objects=True)["releases"]
    common = {"kind": "ConfigMap", "namespace": namespace, "api_version": "v1"}
    assert entry["objects"] == [
        {**common, "name": "web", "part": "manifest"},
        {**common, "name": "web-test", "part": "hook"},
    ]


def test_drift(run, kube: Kube, namespace: str) -> None:
    """Also of a release whose last upgrade failed: it is the deployed revision that counts."""
    assert [entry["drift"] for entry in run(namespace=namespace, drift=True)["releases"]] == [[], [], []]
    kube.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/configmaps/bad",
        {"fieldManager": "somebody"},
        {"data": {"values": "edited"}},
        content_type="application/merge-patch+json",
    )
    kube.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/stuck")
    result = run(namespace=namespace, drift=True)
    drifted = {entry["name"]: entry["drift"] for entry in result["releases"]}
    assert drifted["web"] == []
    assert drifted["stuck"][0]["action"] == "missing"
    (field,) = drifted["bad"][0]["fields"]
    assert field.pop("time")
    assert field == {"path": "data.values", "wanted": '{"w":2,"x":1}', "live": "edited", "manager": "somebody"}
    assert result["api_calls"] == 1 + 1 + 3 + 1  # records, discovery, one read per release, one dry run


def test_through_ansible_with_group_defaults(state: Path, namespace: str, tmp_path: Path) -> None:
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {"group/orion.tracing.all": {"kubeconfig": str(state / "kubeconfig")}},
            "tasks": [
                {
                    "orion.tracing.helm_release_info": {"release_name": "web", "release_namespace": namespace},
                    "register": "found",
                },
                {"ansible.builtin.assert": {"that": ["found.releases | length == 1", "not found.changed"]}},
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    done = subprocess.run(
        ["ansible-playbook", str(tmp_path / "play.yml"), "--check"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_namespaces(run, namespace: str) -> None:
    result = run(name="web")
    assert namespace in {entry["namespace"] for entry in result["releases"]}
    assert {entry["name"] for entry in result["releases"]} == {"web"}
