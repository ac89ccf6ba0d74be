#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: local_cluster
short_description: Make or remove a kind cluster of one node
version_added: 0.1.0
description:
  - Makes a kind cluster, loads image archives into it and writes its kubeconfig to a file of its own. The user's
    default kubeconfig is never touched.
  - A cluster that is there is reused when its API server and node become ready within O(timeout). It is replaced only
    where it says itself that it is incomplete or not ready. One that is ready, asked within its node, and that this
    machine cannot reach stays as it is, and the module fails.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  action_group:
    support: none
    description: Takes none of the connection options of the group.
    membership: []
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  state:
    description: Whether the cluster should be there.
    type: str
    choices: [present, absent]
    default: present
  kubeconfig:
    description: File that the kubeconfig is written to, with mode 0600. Removed with the cluster.
    type: path
    required: true
  node_image:
    description: Node image. kind's own default when it is not set.
    type: str
  node_archive:
    description:
      - Archive that holds O(node_image), for machines that reach no container registry. kind's own image, or the one
        without an init system that C(python -m airgap) builds.
    type: path
  archives:
    description: Image archives (in the format of C(docker save)) to be loaded into the node.
    type: list
    elements: path
    default: []
  node_ports:
    description: Node ports to be published on the host's loopback address, each at a free port chosen at creation.
    type: list
    elements: int
    default: []
  kind_binary:
    description: The kind program, 0.31 or newer.
    type: path
    default: kind
  docker_host:
    description:
      - Address of the container engine. With it, no C(DOCKER_*) variable of the environment counts.
      - That of the environment or Docker's default when it is not set.
    type: str
  timeout:
    description: Seconds that a reused node may take to become ready.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Make a cluster whose node port 30333 is published on loopback
  orion.tracing.local_cluster:
    name: orion
    kubeconfig: /tmp/orion/kubeconfig
    node_ports: [30333]
"""

RETURN = r"""
ports:
  description: Node port, as a string, to port on the host's loopback address.
  type: dict
  returned: success, unless the cluster does not exist yet in check mode
  sample: {"30333": 41233}
steps:
  description: What was done, or would be done in check mode.
  type: list
  elements: str
  returned: success
  sample: ["create cluster", "load docker.io/grafana/tempo:2.10.8"]
seconds:
  description: Time that each step took.
  type: dict
  returned: success
  sample: {"create cluster": 21.4}
"""

import contextlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ToolError, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.local.kind import (
    LOADED_DIR,
    Archive,
    ClusterState,
    kind_config,
    make_plan,
    read_archive,
    ready,
)
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule


class Kind:
    """The programs kind and docker, and the one node of a cluster."""

    def __init__(self, module: TracingModule) -> None:
        self.module, self.params = module, module.params
        self.node = f"{self.params['name']}-control-plane"
        # The environment's own settings are about the engine that it names itself.
        host = self.params["docker_host"]
        self.env = (
            {name: "" for name in os.environ if name.startswith("DOCKER_")} | {"DOCKER_HOST": host} if host else {}
        )

    def run(self, *argv: str, data: str | None = None, check: bool = True) -> str:
        """Standard output of a program; "" when it fails and check is off."""
        code, out, err = self.module.run_command(
            list(argv), data=data, environ_update=self.env, handle_exceptions=False
        )
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

    def create(self, node: Archive | None) -> dict[int, int]:
        ports = free_ports(self.params["node_ports"])
        config = kind_config(self.params["node_image"] or "", node is not None and not node.boots, ports)
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
        folder that is made last. Errors: ToolError where the node cannot be asked, or is ready but out of reach.
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
                    return True
                unreachable = None
            except TracingError as error:
                unreachable = error
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
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


def free_ports(node_ports: list[int]) -> dict[int, int]:
    """A free port on loopback for every node port; all are held until all are chosen."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for inner in node_ports:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports[inner] = listener.getsockname()[1]
    return ports


def main() -> None:
    module = TracingModule(
        kube=False,
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "kubeconfig": {"type": "path", "required": True},
            "node_image": {"type": "str"},
            "node_archive": {"type": "path"},
            "archives": {"type": "list", "elements": "path", "default": []},
            "node_ports": {"type": "list", "elements": "int", "default": []},
            "kind_binary": {"type": "path", "default": "kind"},
            "docker_host": {"type": "str"},
            "timeout": {"type": "int", "default": 60},
        },
        required_by={"node_archive": ["node_image"]},
        supports_check_mode=True,
    )
    with module.guard():
        kind, params = Kind(module), module.params
        wanted = params["state"] == "present"
        node = read_archive(params["node_archive"]) if params["node_archive"] and wanted else None
        archives = [read_archive(path) for path in params["archives"]] if wanted else []
        state = kind.read()
        plan = make_plan(state, wanted, node, node is not None and kind.engine_has(node), archives)
        if wanted and state.exists and state.running and not module.check_mode and not kind.usable():
            module.warn("The node runs but is incomplete or not ready, by its own account: it is replaced.")
            plan = replacement(kind, node, archives)
        seconds: dict[str, float] = {}
        plan.result["seconds"] = seconds
        if not module.check_mode:
            apply(kind, plan, node, archives, seconds)
        module.exit(plan)


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
                kind.module.warn(
                    "The node was started but is incomplete or not ready, by its own account: it is replaced."
                )
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


if __name__ == "__main__":
    main()
