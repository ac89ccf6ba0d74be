# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The examples in the documentation of helm_release and helm_release_info, run as they stand on the test cluster.

What an example names and nobody has (hosts, a digest, a path) is replaced by what the test has made. Those of s3_bucket
run with its unit tests.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.modules import helm_release, helm_release_info
from chart_servers import PASSWORD, run, serve_registry, serve_repository

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {replicas: {{ .Values.replicas | quote }}}
"""


def play(folder: Path, examples: str, replaced: dict[str, str], env: dict[str, str], variables: dict) -> str:
    """Runs the examples as the tasks of one play; every one of them has to run."""
    for there, here in replaced.items():
        assert there in examples, f"the examples no longer hold {there}"
        examples = examples.replace(there, here)
    tasks = yaml.safe_load(examples)
    book = folder / "examples.yml"
    head = {"name": "Examples", "hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables}
    book.write_text(yaml.safe_dump([{**head, "tasks": tasks}], sort_keys=False))
    done = subprocess.run(
        ["ansible-playbook", str(book)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    out = done.stdout + done.stderr
    assert done.returncode == 0, out
    assert f"ok={len(tasks)} " in out and "skipped=0" in out and "ignored=0" in out, out
    return out


def chart(folder: Path, name: str, version: str) -> Path:
    (folder / name / "templates").mkdir(parents=True)
    (folder / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\n")
    (folder / name / "values.yaml").write_text("replicas: 1\n")
    (folder / name / "templates" / "config.yaml").write_text(TEMPLATE)
    return folder / name


@pytest.fixture
def namespaces(kube: Kube) -> Iterator[None]:
    for name in ("examples-tracing", "examples-ingress"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kube.request("POST", "/api/v1/namespaces", body=body)
    yield
    for name in ("examples-tracing", "examples-ingress"):
        kube.send("DELETE", f"/api/v1/namespaces/{name}")


def test_releases(kube: Kube, namespaces: None, state: Path, tmp_path: Path) -> None:
    helm = os.environ["ORION_HELM"]
    env = {
        "K8S_AUTH_KUBECONFIG": str(state / "kubeconfig"),
        "HELM_BINARY": helm,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    tempo = chart(tmp_path / "charts", "tempo", "1.0.0")
    packages = tmp_path / "packages"
    for path in (chart(tmp_path, "otel-collector", "1.0.0"), chart(tmp_path, "ingress-nginx", "4.13.2")):
        run(helm, "package", path, "--destination", packages)
    run(helm, "repo", "index", packages)
    values = tmp_path / "values"
    values.mkdir()
    (values / "common.yml").write_text("replicas: 2\n")
    (values / "production.yml").write_text("replicas: 4\n")
    kubectl = {**os.environ, "KUBECONFIG": str(state / "kubeconfig")}
    for replicas in range(3):  # something to roll back to
        argv = ["upgrade", "--install", "tempo", tempo, "-n", "examples-tracing", "--set", f"replicas={replicas}"]
        run(helm, *argv, env=kubectl)
    examples = helm_release.EXAMPLES
    digest = yaml.safe_load(examples)[3]["orion.tracing.helm_release"]["chart_digest"]
    package = packages / "ingress-nginx-4.13.2.tgz"
    registry_folder = tmp_path / "registry"
    registry_folder.mkdir()
    with serve_repository(packages) as shop, serve_registry(registry_folder, login=True) as registry:
        login = ["--plain-http", "--username", "reader", "--password", PASSWORD]
        config = {**os.environ, "HELM_REGISTRY_CONFIG": str(tmp_path / "registry.json")}
        run(helm, "push", package, f"oci://{registry.host}/charts", *login, env=config)
        out = play(
            tmp_path,
            examples,
            {
                "https://charts.example.com": shop.url,
                "oci://registry.example.com": f"oci://{registry.host}",
                "chart_digest: ": "plain_http: true\n    chart_digest: ",
                digest: "sha256:" + hashlib.sha256(package.read_bytes()).hexdigest(),
                "/srv/charts": str(packages),
                "namespace: tracing": "namespace: examples-tracing",
                "namespace: ingress": "namespace: examples-ingress",
            },
            env,
            {"registry_password": PASSWORD},
        )
    assert PASSWORD not in out
    assert kube.get("/api/v1/namespaces/examples-ingress/configmaps/ingress")["data"]["replicas"] == "1"
    assert kube.get("/api/v1/namespaces/examples-tracing/configmaps/tempo") is None

    run(helm, "install", "tempo", tempo, "-n", "examples-tracing", env=kubectl)
    play(tmp_path, helm_release_info.EXAMPLES, {"namespace: tracing": "namespace: examples-tracing"}, env, {})
