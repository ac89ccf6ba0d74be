# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders charts with the real helm and checks what comes out.

helm is taken from the environment variable ORION_HELM, else from PATH. A test that lacks a program fails and says so:
a skipped check would look like a passed one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = "1.34"
# What runAsNonRoot etc. allow under Pod Security "restricted":
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
ALLOWED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def program(variable: str, name: str) -> str:
    """Path of an external program, from an environment variable or PATH."""
    path = os.environ.get(variable) or shutil.which(name)
    if not path or not os.access(path, os.X_OK):
        pytest.fail(f"{name} was not found: set {variable} to its path (`python -m airgap path {name}` prints one)")
    return path


def helm_template(
    chart: Path, values: dict[str, Any], namespace: str, release: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("ORION_HELM", "helm"), "template", release, str(chart), "--namespace", namespace,
         "--kube-version", f"v{KUBERNETES}.0", "--values", "-"],
        input=yaml.safe_dump(values), capture_output=True, text=True, check=False,
    )  # fmt: skip


def render_chart(
    chart: Path, values: dict[str, Any], namespace: str = "tracing", release: str = "test-release"
) -> list[dict[str, Any]]:
    """The Kubernetes objects of a chart, as `helm template` orders them."""
    done = helm_template(chart, values, namespace, release)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def check_kubernetes(objects: list[dict[str, Any]]) -> None:
    """Every object fits the API's schema; unknown fields fail. Names within a kind are unique."""
    seen = set()
    for item in objects:
        name = (item["apiVersion"], item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        assert name not in seen, f"rendered twice: {name}"
        seen.add(name)
        try:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{item['kind']} {item['metadata']['name']}: {error.path}: {error.message}")


def restricted_findings(spec: dict[str, Any]) -> list[str]:
    """What Pod Security "restricted" (Kubernetes 1.34) would refuse in a pod spec, and this collection's own rule."""
    found = []
    pod = spec.get("securityContext", {})
    found += [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for volume in spec.get("volumes", []):
        found += [f"volume {volume['name']} is of type {kind}" for kind in set(volume) - {"name"} - ALLOWED_VOLUMES]
    for container in spec.get("initContainers", []) + spec.get("containers", []):
        own = container.get("securityContext", {})
        both = {**pod, **own}
        wrong = {
            "privileged": own.get("privileged") in (None, False),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "capabilities.drop": "ALL" in own.get("capabilities", {}).get("drop", []),
            "capabilities.add": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
            "readOnlyRootFilesystem (this collection's own rule)": own.get("readOnlyRootFilesystem") is True,
        }
        found += [f"container {container['name']}: {rule}" for rule, kept in wrong.items() if not kept]
    return found


@pytest.fixture
def render() -> Callable[..., list[dict[str, Any]]]:
    return render_chart


@pytest.fixture
def validate_kubernetes() -> Callable[[list[dict[str, Any]]], None]:
    return check_kubernetes


@pytest.fixture
def assert_restricted() -> Callable[[dict[str, Any]], None]:
    def check(spec: dict[str, Any]) -> None:
        assert restricted_findings(spec) == []

    return check


@pytest.fixture
def assert_fails() -> Callable[..., None]:
    """helm refuses these values, and its message holds every given text."""

    def check(chart: Path, values: dict[str, Any], *texts: str) -> None:
        done = helm_template(chart, values, "tracing", "test-release")
        assert done.returncode != 0, f"rendered, although refused was expected: {values}"
        missing = [text for text in texts if text not in done.stderr]
        assert not missing, f"{missing} not in: {done.stderr}"

    return check


@pytest.fixture
def pick() -> Callable[..., dict[str, Any]]:
    """One object of a rendered list by kind and name."""

    def find(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
        found = [item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
        assert len(found) == 1, f"{kind} {name}: {[(item['kind'], item['metadata']['name']) for item in objects]}"
        return found[0]

    return find
