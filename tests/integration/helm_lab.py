# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running helm_release against a real API server: charts, namespaces of a test's own, the module as a process."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.container_engine import engine_environment, node_container

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = str(Path(release.__file__).parents[6])  # the folder that holds ansible_collections
MAJORS = {"helm4": "ORION_HELM", "helm3": "ORION_HELM3"}  # environment variables that name the binaries
NAME, SERVER, PORT = "mini", "server", 9333
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: mini\nversion: 0.1.0\nappVersion: '1'\n",
    "values.yaml": "message: hello\n",
    "templates/config.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: mini}
data: {message: {{ .Values.message | quote }}}
""",
}
LABS, RUNS = itertools.count(1), itertools.count(1)
# An HTTP server that answers within two seconds, with an image that every local cluster has. Values: probe (path that
# the readiness probe asks for; READY answers 200, any other 404), delay (seconds before the first probe), image.
READY = "/cluster/status"
SERVER_CHART = {
    "values.yaml": f"""
message: hello
server: false
probe: {READY}
delay: 0
image: docker.io/chrislusf/seaweedfs:4.48
""",
    "templates/server.yaml": f"""
{{{{- if .Values.server }}}}
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {SERVER}}}
spec:
  selector: {{matchLabels: {{app: {SERVER}}}}}
  template:
    metadata:
      labels: {{app: {SERVER}}}
      annotations: {{message: {{{{ .Values.message | quote }}}}}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: {{{{ .Values.image }}}}
          command: [weed, master, -mdir=/tmp, -ip.bind=0.0.0.0, -volumeSizeLimitMB=10]
          resources: {{requests: {{cpu: 1m, memory: 1Mi}}}}
          readinessProbe:
            httpGet: {{path: {{{{ .Values.probe }}}}, port: {PORT}}}
            initialDelaySeconds: {{{{ .Values.delay }}}}
            periodSeconds: 1
---
apiVersion: v1
kind: Service
metadata: {{name: {SERVER}}}
spec:
  selector: {{app: {SERVER}}}
  ports: [{{port: {PORT}}}]
{{{{- end }}}}
""",
}
WAITING = {"server": True, "probe": "/never"}


@dataclass
class Outcome:
    """text: all that was printed, with --diff also the diff; result: the keys of the module; code: exit code."""

    text: str
    result: dict[str, Any]
    code: int

    @property
    def failed(self) -> bool:
        return self.code != 0

    @property
    def changed(self) -> bool:
        assert not self.failed, self.text
        return self.result["changed"]

    @property
    def message(self) -> str:
        return self.result.get("msg", "")

    @property
    def counts(self) -> tuple[bool, int, int]:
        return self.changed, self.result["helm_processes"], self.result["api_calls"]

    @property
    def actions(self) -> dict[str, str]:
        return {item["kind"]: item["action"] for item in self.result["objects"]}

    def after(self, kind: str) -> dict[str, Any]:
        """What the diff says will be there."""
        return next(yaml.safe_load(d["after"]) for d in self.result["diff"] if d["after_header"].startswith(kind))


class Running:
    """The module at work: a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def outcome(self, seconds: float = 120) -> Outcome:
        """What it ends with; it is killed after so many seconds, and the test fails."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        start = out.find("{", max(out.find("\nlocalhost | "), 0))  # the ad-hoc command names the host first
        assert start >= 0, out + err
        return Outcome(out + err, json.loads(out[start:]), self.process.returncode)


@dataclass
class Lab:
    """A namespace of a test's own, a helm binary (major: helm4 or helm3), a folder for charts."""

    major: str
    helm: str
    namespace: str
    kube: Kube
    kubeconfig: str
    folder: Path

    def chart(self, files: dict[str, str | bytes] | None = None, name: str = "chart") -> str:
        """Write a chart (CHART with these files over it) to a folder of that name; its path."""
        return write_chart(self.folder / name, {**CHART, **(files or {})})

    def start(
        self,
        flags: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        check: bool = False,
        **options: Any,
    ) -> Running:
        """Start the module, with flags through the ansible command as users do, else alone: a third of the time.

        check: in check mode. The result then has the diff, which the command takes out and prints.
        """
        arguments = {
            **({"_ansible_check_mode": True, "_ansible_diff": True} if check else {}),
            "name": NAME,
            "namespace": self.namespace,
            "create_namespace": True,
            "timeout": "60s",
            **({} if options.get("state") == "absent" else {"chart": str(self.folder / "chart")}),
            **options,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        environment = {
            **os.environ,
            "K8S_AUTH_KUBECONFIG": self.kubeconfig,
            "HELM_BINARY": self.helm,
            "PYTHONPATH": COLLECTIONS,
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            **(env or {}),
        }
        return Running(
            subprocess.Popen(
                command(arguments, flags, self.folder),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def run(self, *args: Any, **options: Any) -> Outcome:
        """start(), to its end."""
        return self.start(*args, **options).outcome()

    def path(self, plural: str, name: str = "", group: str = "") -> str:
        base = f"/apis/{group}" if group else "/api/v1"
        return f"{base}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def config(self, name: str = NAME) -> dict[str, str] | None:
        """The data of a ConfigMap; None where it does not exist."""
        found = self.kube.get(self.path("configmaps", name))
        return found["data"] if found else None

    def records(self, name: str = NAME) -> dict[int, str]:
        """Revision → status, of the release's records in the cluster."""
        found = self.kube.list(self.path("secrets"), f"owner=helm,name={name}")
        labels = [secret["metadata"]["labels"] for secret in found]
        return {int(label["version"]): label["status"] for label in sorted(labels, key=lambda one: int(one["version"]))}

    def names(self, plural: str, group: str = "", selector: str = "") -> set[str]:
        return {item["metadata"]["name"] for item in self.kube.list(self.path(plural, group=group), selector)}

    def helm_processes(self) -> list[int]:
        """Process ids of the helms at work on this lab's release, dry runs aside."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                argv = (folder / "cmdline").read_text().split("\0")
            except OSError:
                continue  # it has ended meanwhile
            if argv[0] == self.helm and {NAME, self.namespace} <= set(argv) and "--dry-run=server" not in argv:
                found.append(int(folder.name))
        return found

    def kill_helm(self, status: str, **options: Any) -> Outcome:
        """Run the module on values under which the server's pod never becomes ready, and kill helm (-9) while it waits
        for the pod: the release record then stays in the pending state given."""
        running = self.start(values=WAITING, **options)
        wait_until(
            lambda: status in self.records().values() and SERVER in self.names("deployments", "apps/v1"),
            f"a release record in state {status}, and the server's Deployment",
        )
        (helm,) = self.helm_processes()
        os.kill(helm, signal.SIGKILL)
        return running.outcome()


def command(arguments: dict[str, Any], flags: tuple[str, ...], folder: Path) -> list[str]:
    if flags:
        argv = ["ansible", "localhost", "-c", "local", "-m", "orion.tracing.helm_release", "-a"]
        return [*argv, json.dumps(arguments), *flags]
    module = "ansible_collections.orion.tracing.plugins.modules.helm_release"
    file = folder / f"arguments-{next(RUNS)}.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    return [sys.executable, "-m", module, str(file)]


def binary(major: str) -> str:
    """Path of the helm binary of a major version: helm4 or helm3."""
    path = os.environ.get(MAJORS[major], "")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{MAJORS[major]} does not name a helm binary (`python -m airgap path` prints where it is)")
    return path


def write_chart(folder: Path, files: dict[str, str | bytes]) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


@contextmanager
def laboratory(kube: Kube, state: Path, folder: Path, major: str, purpose: str) -> Iterator[Lab]:
    """A lab whose namespace is not there yet, and is deleted afterwards. purpose: part of the namespace's name."""
    namespace = f"helm-{purpose}-{major}-{next(LABS)}"  # another for every test: a deletion takes seconds
    lab = Lab(major, binary(major), namespace, kube, str(state / "kubeconfig"), folder)
    remove_namespace(kube, namespace)  # a run before this one may have been interrupted
    try:
        yield lab
    finally:
        kube.send("DELETE", f"/api/v1/namespaces/{namespace}")


def remove_namespace(kube: Kube, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    if kube.get(path) is not None:
        kube.send("DELETE", path)
        wait_until(lambda: kube.get(path) is None, f"namespace {namespace} is gone")


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60, pause: float = 0.1) -> Any:
    """Wait until a condition holds, and return what it returned; the test fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return value


class Node:
    """The cluster's node, a container."""

    def __init__(self, state: Path) -> None:
        self._node = node_container(state)
        self._env = {**os.environ, **engine_environment()}

    def run(self, *argv: str, stdin: str = "") -> str:
        """Run a program in it; its standard output. The test fails where there is anything on standard error."""
        command = ["docker", "exec", "-i", self._node, *argv]
        done = subprocess.run(
            command, env=self._env, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert not done.stderr, done.stderr
        return done.stdout


class ApiServer:
    """The API server as a process in the cluster's node."""

    def __init__(self, kube: Kube, state: Path) -> None:
        self._kube, self._node = kube, Node(state)

    def kill(self) -> None:
        """kill -9, and return when it does not answer any more."""
        self._node.run("kill", "-9", str(self._pid()))
        wait_until(lambda: not self._answers(), "the API server is gone", pause=0.02)

    def await_start(self) -> None:
        """Return when the kubelet has started it anew: at once the first time, later and later after that."""
        wait_until(self._pid, "the API server is started", seconds=200)

    def _pid(self) -> int:
        out = self._node.run("ps", "-C", "kube-apiserver", "-o", "pid=").strip()
        return int(out or 0)

    def _answers(self) -> bool:
        patience, self._kube.patience = self._kube.patience, 0.0
        try:
            return self._kube.send("GET", "/readyz", timeout=5.0).ok
        except Unreachable:
            return False
        finally:
            self._kube.patience = patience
