# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cluster is replaced when it says itself that it does not work, and for no other reason.

kind and docker are stand-ins that write down what they are asked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

NOWHERE = "http://127.0.0.1:9"
PROXIES = {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "DOCKER_TLS_VERIFY": "1"}


def nodes(status: str) -> dict[str, Any]:
    return {"items": [{"status": {"conditions": [{"type": "Ready", "status": status}]}}]}


class Machine:
    """A machine with a running node. inside: what kubectl gets in it, None for a refusal; whole: its last folder."""

    def __init__(self, folder: Path, server: str, inside: dict[str, Any] | None, whole: bool = True) -> None:
        self.folder = folder
        kubeconfig = {
            "current-context": "k",
            "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
            "clusters": [{"name": "k", "cluster": {"server": server}}],
            "users": [{"name": "k", "user": {}}],
        }
        node = {"HostConfig": {"PortBindings": {}}, "State": {"Running": True}, "Image": "sha256:aa"}
        (folder / "kubeconfig.kind").write_text(json.dumps(kubeconfig))
        (folder / "node").write_text(json.dumps([node]))
        if inside is not None:
            (folder / "inside").write_text(json.dumps(inside))
        self.program(
            "kind",
            f'case "$*" in "get clusters"*) echo c ;; "get kubeconfig"*) cat {folder}/kubeconfig.kind ;;\n'
            '"create cluster"*) cat > /dev/null ;; esac',
        )
        self.program(
            "docker",
            f'[ ! -e {folder}/dead ] || exit 1\ncase "$*" in inspect*) cat {folder}/node ;;\n'
            f"*kubectl*) cat {folder}/inside ;; *'test -d'*) echo {'yes' if whole else 'no'} ;; esac",
        )

    def program(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "$DOCKER_TLS_VERIFY$DOCKER_HOST {name} $*" >> {self.folder}/calls\n{body}\n')
        path.chmod(0o755)

    def run(self, **options: Any) -> dict[str, Any]:
        environ = {"PATH": f"{self.folder}:/usr/bin:/bin", **PROXIES}
        kubeconfig = str(self.folder / "kubeconfig")
        return run("local_cluster", environ, name="c", kubeconfig=kubeconfig, timeout=1, **options)

    @property
    def replaced(self) -> bool:
        return " kind delete cluster" in (self.folder / "calls").read_text()


def api_server(version: str = "v1.34.4", policies: bool = True) -> FakeKube:
    """One whose node is ready."""
    served = ApiResource("admissionregistration.k8s.io", "v1beta1", "mutatingadmissionpolicies", False)
    kube = FakeKube(resources={"MutatingAdmissionPolicy": served} if policies else {}, version=version)
    kube.on("GET /api/v1/nodes", nodes("True"))
    return kube


def test_proxies_are_no_reason(tmp_path: Path) -> None:
    kube = api_server()
    with kube.serving() as url:
        machine = Machine(tmp_path, url, nodes("True"))
        result = machine.run(docker_host="unix:///own.sock")
    assert result["changed"] is False and not machine.replaced
    assert {line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()} == {"unix:///own.sock"}


def test_a_cluster_without_the_policies_stays_and_the_message_gives_the_remedy(tmp_path: Path) -> None:
    with api_server(policies=False).serving() as url:
        machine = Machine(tmp_path, url, nodes("True"))
        result = machine.run()
    assert result["failed"] is True and not machine.replaced
    assert "cluster c does not serve MutatingAdmissionPolicy" in result["msg"]
    assert "Kubernetes v1.34.4 serves it only if" in result["msg"] and "create it again" in result["msg"]


@pytest.mark.parametrize("version", ["v1.33.7", "v1.36.1"])
def test_policies_are_only_required_of_versions_that_can_be_asked_for_them(tmp_path: Path, version: str) -> None:
    with api_server(version, policies=False).serving() as url:
        assert Machine(tmp_path, url, nodes("True")).run()["changed"] is False


def test_ports_cannot_be_added(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NOWHERE, nodes("True"))
    result = machine.run(node_ports=[30380])
    assert "node_ports: the existing cluster does not publish 30380" in result["msg"] and not machine.replaced


@pytest.mark.parametrize(
    ("options", "version", "gate"),
    [({"node_image": "n:1"}, "v1.35.2", True), ({"node_image": "n:1"}, "v1.36.0", False), ({}, "v1.35.2", False)],
)
def test_the_node_image_decides_on_the_gate(tmp_path: Path, options: dict[str, Any], version: str, gate: bool) -> None:
    """Without an image it is kind's own, of which this kind (0.33) is known to need none."""
    machine = Machine(tmp_path, NOWHERE, None)
    machine.program("docker", f'case "$*" in "run "*"n:1 /kind/version") echo {version} ;; esac')
    machine.program(
        "kind",
        f'case "$*" in version*) echo 0.33.0 ;; "create cluster"*) cat > {tmp_path}/config ;; *config*) echo ;; esac',
    )
    assert machine.run(**options)["changed"] is True
    assert ("featureGates" in json.loads((tmp_path / "config").read_text())) is gate


@pytest.mark.parametrize("server", [NOWHERE, "https://no-such-host.invalid"])
def test_a_cluster_out_of_reach_that_is_ready_stays(tmp_path: Path, server: str) -> None:
    machine = Machine(tmp_path, server, nodes("True"))
    result = machine.run()
    assert result["failed"] is True and not machine.replaced
    assert "cluster c is ready, but it cannot be reached from here; it stays as it is" in result["msg"]
    assert f"no answer from the API server {server}" in result["msg"]
    assert "(of the environment: http_proxy, https_proxy)" in result["msg"]


@pytest.mark.parametrize("inside", [nodes("False"), {"items": []}, None])
def test_a_cluster_that_says_itself_that_it_is_not_ready_is_replaced(tmp_path: Path, inside: Any) -> None:
    machine = Machine(tmp_path, NOWHERE, inside)
    result = machine.run()
    assert machine.replaced and result["changed"] is True
    assert "by its own account: it is replaced" in json.dumps(result["warnings"])


def test_an_unfinished_cluster_is_replaced(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NOWHERE, nodes("True"), whole=False)
    assert machine.run()["changed"] is True and machine.replaced


def test_an_engine_that_cannot_be_asked_is_no_reason(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NOWHERE, nodes("True"))
    (tmp_path / "docker").write_text(
        (tmp_path / "docker").read_text().replace('case "$*"', 'case "$*" in exec*) exit 126 ;; esac\ncase "$*"')
    )
    result = machine.run()
    assert result["failed"] is True and "failed with exit code 126" in result["msg"] and not machine.replaced
