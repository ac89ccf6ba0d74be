# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images that the node really pulls: from distribution's registry (ORION_REGISTRY) on the gateway of its network, open
and with a password, under upstream's names and a mirror's, and what is told where that fails.

containerd is pointed at the registry by hosts.toml:
https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import secrets
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oci
import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from chart_servers import PASSWORD, USER, serve_registry
from helm_lab import COLLECTIONS, MAJORS, ROOT, Lab, Node, Outcome, laboratory, remove_namespace, wait_until

UPSTREAM = "upstream.example.com"  # no such registry: what is pulled under this name comes from here
# Another content and tag in each run: the node keeps what it has pulled, and asks no registry for it again.
RUN = secrets.token_hex(4)
REPOSITORY, TAG = "orion/probe", f"1.0-{RUN}"
LOGIN = (USER, PASSWORD)
# helm would wait for so long; what cannot be pulled is to be told in a fraction of it.
TIMEOUT, SOON = 90, 40.0
PATIENCE = 500.0  # with the module itself, whatever it waits for
WRONG = "sha256:" + "0" * 64
# Nobody else is asked where this one has no such image. containerd 1.6 takes no file without a section host.
HOSTS = """server = "http://{0}"
[host."http://{0}"]
  capabilities = ["pull", "resolve"]
"""
CHART: dict[str, str | bytes] = {
    "Chart.yaml": "apiVersion: v2\nname: mini\nversion: 0.1.0\nannotations:\n"
    "  orion.tracing/image-variables: main=tempo\n",
    "values.yaml": "image: ''\npullSecrets: []\nkind: Deployment\n",
    "templates/config.yaml": """
apiVersion: apps/v1
kind: {{ .Values.kind }}
metadata: {name: probe}
spec:
  selector: {matchLabels: {app: probe}}
  {{- if eq .Values.kind "StatefulSet" }}
  podManagementPolicy: Parallel
  serviceName: probe
  {{- end }}
  template:
    metadata: {labels: {app: probe}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      {{- with .Values.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      containers:
        - name: main
          image: {{ .Values.image | quote }}
          command: [/probe, serve, /config.yml]
          resources: {requests: {cpu: 1m, memory: 1Mi}}
""",
}
# What runs in the pods: the registry itself, which is one static file, and idle.
CONFIG = b"version: 0.1\nstorage: {filesystem: {rootdirectory: /data}}\nhttp: {addr: 127.0.0.1:5000}\n"
PLAY = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/orion.tracing.all: {kubeconfig: "{{ tracing_kubeconfig }}"}
  tasks:
    - ansible.builtin.import_role: {name: orion.tracing.collector}
"""


@dataclass(frozen=True)
class Registries:
    """host:port of a registry that is open, and of one that asks for a password; both hold the image."""

    open: str
    private: str
    image: oci.Image


@pytest.fixture(scope="module")
def node(state: Path) -> Node:
    return Node(state)


@pytest.fixture(scope="module")
def registries(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registries]:
    program = Path(os.environ["ORION_REGISTRY"]).read_bytes()
    image = oci.make_image(
        {"/probe": program, "/config.yml": CONFIG, "/run": RUN.encode()},
        {"User": "10001:10001", "Env": ["OTEL_TRACES_EXPORTER=none"]},
    )
    gateway = node.run("ip", "-4", "route", "show", "default").split()[2]
    folders = [tmp_path_factory.mktemp(name) for name in ("open", "private")]
    with (
        serve_registry(folders[0], address=gateway) as free,
        serve_registry(folders[1], login=True, address=gateway) as private,
    ):
        oci.push(free.host, REPOSITORY, TAG, image)
        oci.push(private.host, REPOSITORY, TAG, image, LOGIN)
        names = {free.host: free.host, private.host: private.host, UPSTREAM: free.host}
        for name, host in names.items():
            folder = f"/etc/containerd/certs.d/{name}"
            node.run("mkdir", "-p", folder)
            node.run("dd", "status=none", f"of={folder}/hosts.toml", stdin=HOSTS.format(host))
        try:
            yield Registries(free.host, private.host, image)
        finally:
            node.run("rm", "-r", *(f"/etc/containerd/certs.d/{name}" for name in names))
            listed = node.run("ctr", "-n", "k8s.io", "images", "ls", "-q").split()
            node.run("ctr", "-n", "k8s.io", "images", "rm", *(one for one in listed if one.startswith(tuple(names))))


@pytest.fixture(params=MAJORS)
def lab(request: pytest.FixtureRequest, kube: Kube, state: Path, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(kube, state, tmp_path, request.param, "pull") as lab:
        lab.chart(CHART)
        kube.apply(f"/api/v1/namespaces/{lab.namespace}", namespace_document(lab.namespace))
        yield lab


def namespace_document(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pull_secret(kube: Kube, namespace: str, host: str, password: str = PASSWORD, name: str = "regcred") -> None:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    document = json.dumps({"auths": {host: {"auth": auth}}}).encode()
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(document).decode()},
    }
    kube.apply(f"/api/v1/namespaces/{namespace}/secrets/{name}", body)


def unpulled(lab: Lab, registries: Registries) -> str:
    """The image in the private registry, by a tag of the test's own: what a node has pulled once, pods get without
    credentials."""
    tag = f"{TAG}-{lab.namespace}"
    oci.push(registries.private, REPOSITORY, tag, registries.image, LOGIN)
    return f"{registries.private}/{REPOSITORY}:{tag}"


def pulled(lab: Lab) -> set[str]:
    """Digests of the images that the lab's ready pods run."""
    pods = lab.kube.list(lab.path("pods"), "app=probe")
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
    return {status["imageID"].partition("@")[2] for status in statuses if status["ready"]}


def install(lab: Lab, image: str, timeout: str = f"{TIMEOUT}s", **values: Any) -> Outcome:
    return lab.start(values={"image": image, **values}, timeout=timeout).outcome(PATIENCE)


def refused(lab: Lab, image: str, *words: str, **values: Any) -> None:
    """The module gives up soon, with one message that names the image and has these words; helm has marked the release
    as failed, so that the next run simply upgrades."""
    started = time.monotonic()
    outcome = install(lab, image, **values)
    assert outcome.failed
    assert time.monotonic() - started < SOON, outcome.text
    assert outcome.message.startswith(f"image {image} cannot be pulled, since ")
    missing = [word for word in words if word not in outcome.message]
    assert not missing, f"{missing} not in: {outcome.message}"
    assert len(outcome.result["not_ready"]) == 1
    assert outcome.result["release"]["status"] == "failed"
    assert set(lab.records().values()) <= {"failed", "superseded", "deployed"}


def test_the_registry_gives_what_was_pushed(registries: Registries) -> None:
    assert oci.pull(registries.open, REPOSITORY, TAG) == registries.image
    assert oci.pull(registries.private, REPOSITORY, registries.image.digest, LOGIN) == registries.image
    for host, tag, status in ((registries.open, "none", 404), (registries.private, TAG, 401)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            oci.pull(host, REPOSITORY, tag)
        assert caught.value.code == status


def test_pulls_under_upstreams_name_and_the_mirrors(lab: Lab, registries: Registries) -> None:
    for image in (
        f"{UPSTREAM}/{REPOSITORY}:{TAG}",
        f"{registries.open}/{REPOSITORY}:{TAG}",
        f"{registries.open}/{REPOSITORY}:another-name@{registries.image.digest}",
    ):
        assert install(lab, image).changed
        wait_until(lambda: pulled(lab) == {registries.image.digest}, f"pods run {image}")


def test_with_credentials(lab: Lab, registries: Registries) -> None:
    image = f"{registries.private}/{REPOSITORY}:{TAG}@{registries.image.digest}"
    pull_secret(lab.kube, lab.namespace, registries.private)
    assert install(lab, image, pullSecrets=["regcred"]).changed
    assert pulled(lab) == {registries.image.digest}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_missing_tag_and_the_run_after_it(lab: Lab, registries: Registries, kind: str) -> None:
    refused(
        lab, f"{UPSTREAM}/{REPOSITORY}:9.9", "not found", "Change tempo_image_tag", "tracing_image_registry", kind=kind
    )
    assert install(lab, f"{UPSTREAM}/{REPOSITORY}:{TAG}", kind=kind).changed
    assert pulled(lab) == {registries.image.digest}
    # An upgrade that is refused leaves the pods of the revision before.
    if kind == "Deployment":
        refused(lab, f"{UPSTREAM}/{REPOSITORY}:9.8", "revision 2 was the last to be deployed", kind=kind)
        assert pulled(lab) == {registries.image.digest}


def test_a_wrong_digest(lab: Lab, registries: Registries) -> None:
    image = f"{registries.open}/{REPOSITORY}:{TAG}@{WRONG}"
    refused(lab, image, "not found", "Correct tempo_image_digest (the tag counts for nothing beside it)")


def test_a_repository_that_is_not_there(lab: Lab, registries: Registries) -> None:
    refused(lab, f"{registries.open}/orion/none:{TAG}", "not found", "tempo_image_repository")


def test_a_wrong_name(lab: Lab) -> None:
    refused(lab, f"{UPSTREAM}/Orion/Probe:{TAG}", "its name is wrong", "Correct tempo_image_repository")


def test_no_credentials(lab: Lab, registries: Registries) -> None:
    image = unpulled(lab, registries)
    words = ("401 Unauthorized", "Name a Secret with credentials in tracing_image_pull_secrets")
    refused(lab, image, *words, f"--docker-server={registries.private}")


def test_a_pull_secret_that_does_not_exist_and_the_run_after_it(lab: Lab, registries: Registries) -> None:
    image = unpulled(lab, registries)
    refused(lab, image, f"There is no Secret regcred in namespace {lab.namespace}: create it", pullSecrets=["regcred"])
    pull_secret(lab.kube, lab.namespace, registries.private)
    # The pod of the run before still says what it said then: this must not stop the one that brings the Secret.
    assert install(lab, image, pullSecrets=["regcred"], timeout="400s").changed
    assert pulled(lab) == {registries.image.digest}


def test_a_pull_secret_with_a_wrong_password(lab: Lab, registries: Registries) -> None:
    pull_secret(lab.kube, lab.namespace, registries.private, "wrong horse")
    image = unpulled(lab, registries)
    refused(
        lab, image, "401 Unauthorized", f"Secret regcred in namespace {lab.namespace} holds", pullSecrets=["regcred"]
    )


def test_rollback_on_failure_brings_back_what_ran(lab: Lab, registries: Registries) -> None:
    assert install(lab, f"{registries.open}/{REPOSITORY}:{TAG}").changed
    started = time.monotonic()
    values = {"image": f"{registries.open}/{REPOSITORY}:9.9"}
    outcome = lab.run(values=values, timeout=f"{TIMEOUT}s", rollback_on_failure=True)
    assert time.monotonic() - started < SOON
    assert "Change tempo_image_tag" in outcome.message
    assert (outcome.result["release"]["revision"], outcome.result["release"]["status"]) == (3, "deployed")
    assert "Rollback to 1" in outcome.message


def test_a_registry_that_does_not_answer_is_waited_for(lab: Lab) -> None:
    started = time.monotonic()
    outcome = install(lab, "registry.invalid/none:1", timeout="12s")
    assert outcome.failed
    assert time.monotonic() - started > 12
    assert "cannot be pulled, since" not in outcome.message
    assert any("registry.invalid/none:1" in line for line in outcome.result["not_ready"])


# A role, with an image in the shape of upstream's: one file, no shell, and defaults that must not count


NUMBERS = itertools.count(1)


@pytest.fixture
def collector(kube: Kube, registries: Registries, tmp_path: Path, state: Path) -> Iterator[Any]:
    """Runs the role with changed variables, in a namespace of its own: exit code and output."""
    namespace = f"pull-role-{next(NUMBERS)}"
    remove_namespace(kube, namespace)
    kube.apply(f"/api/v1/namespaces/{namespace}", namespace_document(namespace))
    (tmp_path / "play.yml").write_text(PLAY)
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    variables = {
        "tracing_namespace": namespace,
        "tracing_kubeconfig": str(state / "kubeconfig"),
        "tracing_helm_binary": os.environ["ORION_HELM"],
        # Whichever store the local inventory has; the destinations of another one need a Secret.
        "tracing_store": "tempo",
        "collector_exporters": [],
        "collector_logs_enabled": False,
        "collector_metrics_enabled": False,
        "tracing_image_registry": registries.private,
        "collector_image_tag": "0.158.0",
        "collector_gateway_replicas": 1,
        "collector_sampler_replicas": 1,
        "collector_gateway_resources": resources,
        "collector_sampler_resources": resources,
        "collector_remote_write_url": "",
        "collector_wait_timeout": f"{TIMEOUT}s",
    }

    def run(**changes: Any) -> tuple[int, str]:
        argv = ["ansible-playbook", str(tmp_path / "play.yml"), "-i", str(ROOT / "inventories/local")]
        argv += ["-e", json.dumps({**variables, **changes})]
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS, "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr

    run.namespace = namespace  # type: ignore[attr-defined]
    try:
        yield run
    finally:
        kube.send("DELETE", f"/api/v1/namespaces/{namespace}")
        for kind in ("clusterroles", "clusterrolebindings"):
            kube.send("DELETE", f"/apis/rbac.authorization.k8s.io/v1/{kind}/{namespace}-otel-collector")


def test_the_collector_from_a_private_mirror(collector: Any, kube: Kube, registries: Registries) -> None:
    # distributions/otelcol-contrib/Dockerfile of open-telemetry/opentelemetry-collector-releases
    upstream = {
        "User": "10001:10001",
        "Entrypoint": ["/otelcol-contrib"],
        "Cmd": ["--config", "/etc/otelcol-contrib/config.yaml"],
    }
    files = {
        "/run": RUN.encode(),
        "/otelcol-contrib": Path(os.environ["ORION_OTELCOL"]).read_bytes(),
        "/etc/otelcol-contrib/config.yaml": b"this: is no configuration\n",
    }
    image = oci.make_image(files, upstream)
    oci.push(registries.private, "otel/opentelemetry-collector-contrib", "0.158.0", image, LOGIN)
    given = {"tracing_image_pull_secrets": ["regcred"]}

    code, text = collector(**given, collector_image_digest=WRONG)
    assert code
    assert "There is no Secret regcred" in text
    assert f"{registries.private}/otel/opentelemetry-collector-contrib:0.158.0@{WRONG}" in text

    pull_secret(kube, collector.namespace, registries.private)
    code, text = collector(**given, collector_image_digest=WRONG.replace("0", "1"))
    assert code
    assert "Correct collector_image_digest" in text

    code, text = collector(**given, collector_image_digest=image.digest)
    assert code == 0, text
    pods = kube.list(f"/api/v1/namespaces/{collector.namespace}/pods")
    ready = [status for pod in pods for status in pod["status"]["containerStatuses"] if status["ready"]]
    assert {status["imageID"].partition("@")[2] for status in ready} == {image.digest}
    assert len(ready) == 2
    code, text = collector(**given, collector_image_digest=image.digest)
    assert code == 0
    assert "changed=0" in text
