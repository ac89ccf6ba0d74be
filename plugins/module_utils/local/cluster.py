# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The kind cluster itself: runs kind and docker, reads its state and carries out the steps of kind.make_plan."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, ToolError, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import discover
from ansible_collections.orion.tracing.plugins.module_utils.local.kind import (
    LOADED_DIR,
    POLICY_API,
    RECREATE,
    VERSION_FILE,
    Archive,
    ClusterState,
    default_node_version,
    kind_config,
    make_plan,
    ready,
    serves_policies_on_request,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import KIND

# Where ports of this machine are looked for: below those that it gives to connections, one of which can take a port
# that was free a moment ago, or is free while the container engine restarts (from 32768 in Linux, 49152 in macOS).
HOST_PORTS = range(20000, 30000)


class RunCommand(Protocol):
    """AnsibleModule.run_command."""

    def __call__(
        self, args: list[str], *, data: str | None, environ_update: dict[str, str], handle_exceptions: bool
    ) -> tuple[int, str, str]: ...


class Kind:
    """The programs kind and docker, and the one node of a cluster."""

    def __init__(
        self, params: Mapping[str, Any], run_command: RunCommand, warn: Callable[[str], None] = lambda text: None
    ) -> None:
        """params: the options of the module local_cluster."""
        self.params, self.run_command, self.warn = params, run_command, warn
        self.node = f"{self.params['name']}-control-plane"
        # The environment's own settings are about the engine that it names itself.
        host = self.params["docker_host"]
        self.env = (
            {name: "" for name in os.environ if name.startswith("DOCKER_")} | {"DOCKER_HOST": host} if host else {}
        )

    def run(self, *argv: str, data: str | None = None, check: bool = True) -> str:
        """Standard output of a program; "" when it fails and check is off."""
        code, out, err = self.run_command(list(argv), data=data, environ_update=self.env, handle_exceptions=False)
        if code and check:
            raise ToolError(f"'{' '.join(argv[:3])}' failed with exit code {code}", (err or out).strip()[-1500:])
        return out if not code else ""

    def kind(self, *argv: str, **kwargs: Any) -> str:
        try:
            return self.run(self.params["kind_binary"], *argv, **kwargs)
        except OSError as error:
            raise ToolError(
                f"kind_binary: {self.params['kind_binary']} cannot be run",
                str(error.strerror),
                "Install kind 0.31 or newer, or build it in the repository with 'python -m airgap build kind'.",
            ) from error

    def read(self) -> ClusterState:
        if self.params["name"] not in self.kind("get", "clusters", "-q").split():
            return ClusterState()
        inspected = json.loads(self.run("docker", "inspect", self.node, check=False) or "[]")
        if not inspected:
            return ClusterState(exists=True)
        node = inspected[0]
        bindings = node["HostConfig"]["PortBindings"] or {}
        ports = {int(inner.split("/")[0]): int(outer[0]["HostPort"]) for inner, outer in bindings.items() if outer}
        running = node["State"]["Running"]
        loaded = self.run("docker", "exec", self.node, "ls", LOADED_DIR, check=False).split() if running else []
        return ClusterState(
            exists=True,
            running=running,
            node_image=node["Image"].removeprefix("sha256:"),
            loaded=frozenset(loaded),
            ports={inner: outer for inner, outer in ports.items() if inner in self.params["node_ports"]},
        )

    def engine_has(self, node: Archive) -> bool:
        found = self.run("docker", "image", "inspect", "-f", "{{.Id}}", node.refs[0], check=False)
        return found.strip() == "sha256:" + node.digests[0]

    def node_version(self) -> str:
        """The version of Kubernetes in the node image, which is pulled if it is missing; see default_node_version."""
        image = self.params["node_image"]
        if not image:
            return default_node_version(self.kind("version", "-q").strip())
        return self.run("docker", "run", "--rm", "--entrypoint=cat", image, VERSION_FILE).strip()

    def create(self, node: Archive | None) -> dict[int, int]:
        api_port, *host_ports = free_ports(1 + len(self.params["node_ports"]))
        ports = dict(zip(self.params["node_ports"], host_ports, strict=True))
        plain_node = node is not None and not node.boots
        config = kind_config(self.params["node_image"] or "", plain_node, api_port, ports, self.node_version())
        with private_file() as kubeconfig:
            argv = ["--name", self.params["name"], "--config", "-", "--kubeconfig", kubeconfig, "--wait", "180s"]
            self.kind("create", "cluster", *argv, data=json.dumps(config))
        self.run("docker", "exec", self.node, "mkdir", "-p", LOADED_DIR)
        return ports

    def load(self, archive: Archive) -> None:
        """Load an archive, unless a node that was stopped while the plan was made turns out to have it."""
        if self.run("docker", "exec", self.node, "ls", f"{LOADED_DIR}/{archive.key}", check=False):
            return
        self.kind("load", "image-archive", archive.path, "--name", self.params["name"])
        self.run("docker", "exec", self.node, "touch", f"{LOADED_DIR}/{archive.key}")

    def write_kubeconfig(self) -> None:
        path, content = self.params["kubeconfig"], self.kind("get", "kubeconfig", "--name", self.params["name"])
        try:
            with open(path, encoding="utf-8") as file:
                if file.read() == content:
                    return
        except OSError:
            pass
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(content)
        os.replace(path + ".new", path)

    def usable(self) -> bool:
        """Whether the cluster is whole and its API server and node become ready in time, by its own account.

        A creation that was interrupted late leaves a ready node without network and storage; it also lacks the
        folder that is made last.
        Errors: ToolError where the node cannot be asked, or is ready but out of reach; Conflict where the cluster was
        created without an API that the platform needs.
        """
        whole = self.run("docker", "exec", self.node, "sh", "-c", f"test -d {LOADED_DIR} && echo yes || echo no")
        if whole.strip() != "yes":
            return False
        deadline = time.monotonic() + self.params["timeout"]
        while True:
            try:
                self.write_kubeconfig()
                kube = Kube.connect({"kubeconfig": self.params["kubeconfig"]})
                kube.patience = 0.0  # this loop is the patience
                if ready(kube.list("/api/v1/nodes")):
                    break
                unreachable = None
            except TracingError as error:
                unreachable = error
            if time.monotonic() > deadline:
                return self._out_of_reach(unreachable)
            time.sleep(0.5)
        self._require_policies(kube)
        return True

    def _out_of_reach(self, unreachable: TracingError | None) -> bool:
        """False for a node that is not ready. Errors: ToolError for one that is ready, but cannot be reached."""
        if unreachable and self.ready_inside():
            variables = [
                name for name in sorted(os.environ) if name.lower().endswith("_proxy") or name == "DOCKER_HOST"
            ]
            raise ToolError(
                f"cluster {self.params['name']} is ready, but it cannot be reached from here; it stays as it is",
                f"{unreachable.what}: {unreachable.why}",
                "Its API server is published on a loopback address of the machine that runs the container engine: check"
                f" that this is the one, and what lies between (of the environment: {', '.join(variables) or 'nothing'}"
                ").",
            )
        return False

    def _require_policies(self, kube: Kube) -> None:
        version, (group, number) = kube.version(), POLICY_API.split("/")
        if not serves_policies_on_request(version):
            return
        if not discover(kube, [POLICY_API]).resource(group, number, KIND):
            raise Conflict(
                f"cluster {self.params['name']} does not serve {KIND}, with which workloads are instrumented",
                f"Kubernetes {version} serves it only if the cluster was created with it, which this one was not",
                RECREATE,
            )

    def ready_inside(self) -> bool:
        """Whether the API server, asked within the node, says that the node is ready."""
        kubectl = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "nodes", "--output=json"]
        answer = self.run("docker", "exec", self.node, *kubectl, "--request-timeout=10s", check=False)
        return ready(json.loads(answer)["items"]) if answer else False


@contextlib.contextmanager
def private_file() -> Iterator[str]:
    """kind insists on writing a kubeconfig somewhere; ours is written when the cluster is ready."""
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "kubeconfig")


def free_ports(count: int) -> list[int]:
    """Different free ports on loopback."""
    ports: list[int] = []
    for port in random.sample(HOST_PORTS, len(HOST_PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise Conflict(
        f"fewer than {count} of the ports {HOST_PORTS[0]} to {HOST_PORTS[-1]} of this machine are free",
        "the API server and every node port are published at one of them",
        "End what listens there.",
    )


def replacement(kind: Kind, node: Archive | None, archives: list[Archive]) -> Plan:
    """The plan that makes the cluster anew."""
    plan = make_plan(ClusterState(), True, node, node is not None and kind.engine_has(node), archives)
    plan.steps.insert(0, Step("delete cluster that does not become ready", "delete"))
    return plan


def apply(kind: Kind, plan: Plan, node: Archive | None, archives: list[Archive], seconds: dict[str, float]) -> None:
    def execute(step: Step) -> None:
        start = time.monotonic()
        if step.action == "delete":
            kind.kind("delete", "cluster", "--name", kind.params["name"])
            with contextlib.suppress(FileNotFoundError):
                os.remove(kind.params["kubeconfig"])
        elif step.action == "load_node":
            kind.run("docker", "load", "-q", "-i", step.data.path)
        elif step.action == "create":
            plan.result["ports"] = {str(k): v for k, v in kind.create(node).items()}
            kind.write_kubeconfig()
        elif step.action == "start":
            kind.run("docker", "start", kind.node)
            if not kind.usable():
                kind.warn("The node was started but is incomplete or not ready, by its own account: it is replaced.")
                again = replacement(kind, node, archives)
                run_steps([s for s in again.steps if s.action != "load"], execute)
        seconds[step.name] = round(time.monotonic() - start, 1)

    def load(step: Step) -> None:
        start = time.monotonic()
        kind.load(step.data)
        seconds[step.name] = round(time.monotonic() - start, 1)

    run_steps([s for s in plan.steps if s.action != "load"], execute)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(load, [s for s in plan.steps if s.action == "load"]))
