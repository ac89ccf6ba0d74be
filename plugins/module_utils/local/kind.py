# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A kind cluster as data: what it should look like, what there is, and the steps between.

Nothing here runs a program; cluster.py reads the state and carries out the steps.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import GROUP, KIND

LOADED_DIR = "/kind/loaded"  # in the node: one empty file per archive that was loaded, named by its digest
VERSION_FILE = "/kind/version"  # in every node image: the version of Kubernetes, "v1.34.4"
POLICY_API = f"{GROUP}/v1beta1"
RECREATE = "Remove the cluster ('make down', or local_cluster_state=absent) and create it again; its content is lost."


@dataclass(frozen=True)
class Archive:
    """An image archive in docker's format: path, and the config digests of its images in the archive's order.

    entrypoint: of the first image.
    """

    path: str
    refs: tuple[str, ...]
    digests: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Of content and names: pods do not find an image that was loaded under another name."""
        return hashlib.sha256(" ".join(self.refs + self.digests).encode()).hexdigest()[:24]

    @property
    def boots(self) -> bool:
        """Whether a node of the first image runs an init system, as kind's own images do and airgap's does not."""
        return "/sbin/init" in self.entrypoint


@dataclass(frozen=True)
class ClusterState:
    """What is there: the cluster by kind's account, its node container, and what was loaded into it.

    node_image: digest of the image that the node runs ("" without a node). ports: node port → host port on loopback.
    """

    exists: bool = False
    running: bool = False
    node_image: str = ""
    loaded: frozenset[str] = frozenset()
    ports: dict[int, int] = field(default_factory=dict)


def read_archive(path: str) -> Archive:
    """Read the names and digests of an archive made by C(docker save) or by airgap.

    Errors: InvalidInput when the file is missing or is no such archive.
    Source: https://github.com/moby/moby/blob/master/image/spec/v1.2.md (manifest.json).
    """
    try:
        with tarfile.open(path) as tar:
            manifest = _document(tar, "manifest.json")
            config = _document(tar, manifest[0]["Config"])["config"] if manifest else {}
        refs = tuple(tag for image in manifest for tag in image["RepoTags"])
        entrypoint = tuple(config.get("Entrypoint") or ())
        digests = tuple(image["Config"].removesuffix(".json").rpartition("/")[2] for image in manifest)
    except (OSError, EOFError, tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"archives: {path} is not an image archive in docker's format",
            str(error),
            "Save it again with 'docker save', or build it again with 'python -m airgap build'.",
        ) from error
    if not digests:
        raise InvalidInput(f"archives: {path} holds no image")
    return Archive(path, refs, digests, entrypoint)


def _document(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(f"{name} is not a file")
    return json.load(member)


def serves_policies_on_request(version: str) -> bool:
    """Whether this version of Kubernetes ("v1.34.4") has MutatingAdmissionPolicy and does not serve it by default.

    It is beta, and off, in 1.34 and 1.35; 1.36 serves it as v1; before, it is alpha or missing.
    Source: https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/
    """
    return version.removeprefix("v").split(".")[:2] in (["1", "34"], ["1", "35"])


def default_node_version(kind_version: str) -> str:
    """The version of Kubernetes of kind's default node, as far as it matters here: 1.35 of kind 0.31 ("0.31.0").

    "" for a later kind, whose node serves MutatingAdmissionPolicy by default.
    Source: https://github.com/kubernetes-sigs/kind/releases
    """
    return "v1.35" if kind_version.split(".")[:2] == ["0", "31"] else ""


def kind_config(
    node_image: str, plain_node: bool, api_port: int, ports: dict[int, int], version: str
) -> dict[str, Any]:
    """kind's own configuration for a cluster of one node.

    node_image: reference, or "" for kind's default. plain_node: the node has no init system (the image that airgap
    builds) and starts kube-proxy itself, with those subnets; false for an image of kind's own.
    api_port: of the API server, on the host's loopback address. ports: node port → port there.
    version: of Kubernetes in the node.
    Source: https://kind.sigs.k8s.io/docs/user/configuration/
    """
    node: dict[str, Any] = {
        "role": "control-plane",
        "extraPortMappings": [
            {"containerPort": inner, "hostPort": outer, "listenAddress": "127.0.0.1", "protocol": "TCP"}
            for inner, outer in sorted(ports.items())
        ],
    }
    if node_image:
        node["image"] = node_image
    networking: dict[str, Any] = {"apiServerPort": api_port}
    if plain_node:
        networking |= {"kubeProxyMode": "none", "podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"}
    config: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": networking,
        "nodes": [node],
    }
    if serves_policies_on_request(version):
        config |= {"featureGates": {KIND: True}, "runtimeConfig": {POLICY_API: "true"}}
    return config


def ready(nodes: list[dict[str, Any]]) -> bool:
    """Whether there are nodes, as the API has them, and all of them say that they are ready."""
    conditions = [c for node in nodes for c in node["status"].get("conditions", []) if c["type"] == "Ready"]
    return bool(conditions) and all(c["status"] == "True" for c in conditions)


def make_plan(
    state: ClusterState,
    wanted: bool,
    node: Archive | None,
    engine_has_node: bool,
    archives: list[Archive],
    node_ports: Collection[int] = (),
) -> Plan:
    """Steps from what is there to what is wanted.

    A stopped node is started; a node of another image is replaced, which loses what is in the cluster. Archives that
    the node has not seen are loaded.
    Errors: Conflict for an existing cluster that does not publish one of node_ports.
    """
    plan = Plan(result={"ports": {str(k): v for k, v in state.ports.items()}})
    if not wanted:
        if state.exists:
            plan.steps.append(Step("delete cluster", "delete"))
        return plan
    replace = state.exists and node is not None and state.node_image != node.digests[0]
    if replace:
        plan.warnings.append("The node image has changed: the cluster is made anew and loses its content.")
        plan.steps.append(Step("delete cluster of another node image", "delete"))
    if not state.exists or replace:
        if node and not engine_has_node:
            plan.steps.append(Step("load node image into the engine", "load_node", node))
        plan.steps.append(Step("create cluster", "create"))
        loaded: frozenset[str] = frozenset()
    else:
        if missing := sorted(set(node_ports) - state.ports.keys()):
            raise Conflict(
                f"node_ports: the existing cluster does not publish {', '.join(map(str, missing))}",
                "ports are published when a cluster is created",
                RECREATE,
            )
        loaded = state.loaded
        if not state.running:
            plan.steps.append(Step("start node", "start"))
    plan.steps += [Step(f"load {', '.join(a.refs)}", "load", a) for a in archives if a.key not in loaded]
    before = f"cluster: {state.exists}\nrunning: {state.running}\n"
    if plan.steps:
        after = "cluster: True\nrunning: True\n" + "".join(f"{step.name}\n" for step in plan.steps)
        plan.diff.append(diff_entry("kind", before, after))
    return plan
