#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: local_cluster
short_description: Create or remove a kind cluster with one node
version_added: 0.1.0
description:
  - Creates a kind cluster, loads image archives into it and writes its kubeconfig to a separate file. The user's
    default kubeconfig is never changed.
  - An existing cluster is reused if its API server and node become ready within O(timeout). It is replaced only if a
    check inside its node shows that it is incomplete or not ready. If that check finds it ready, but this machine
    cannot reach it, it stays as it is and the module fails.
  - A node of Kubernetes 1.34 or 1.35 serves C(MutatingAdmissionPolicy) (C(v1beta1)), which these versions leave off by
    default. The module fails for an existing cluster that was created without it, or that does not publish one of
    O(node_ports), because neither can be added later.
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
    description: Whether the cluster should exist.
    type: str
    choices: [present, absent]
    default: present
  kubeconfig:
    description: File to which the kubeconfig is written, with mode 0600. It is removed with the cluster.
    type: path
    required: true
  node_image:
    description: Node image. Defaults to kind's own default.
    type: str
  node_archive:
    description:
      - Archive with O(node_image), for machines that cannot reach a container registry. Either kind's own image, or the
        one without an init system that C(python -m airgap) builds.
    type: path
  archives:
    description: Image archives (in the format of C(docker save)) to load into the node.
    type: list
    elements: path
    default: []
  node_ports:
    description: Node ports to publish on the host's loopback address, each at a free port from 20000 to 29999 that is
      chosen at creation.
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

from ansible_collections.orion.tracing.plugins.module_utils.local.cluster import Kind, apply, replacement
from ansible_collections.orion.tracing.plugins.module_utils.local.kind import make_plan, read_archive
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule


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
        params = module.params
        kind = Kind(params, module.run_command, module.warn)
        wanted = params["state"] == "present"
        node = read_archive(params["node_archive"]) if params["node_archive"] and wanted else None
        archives = [read_archive(path) for path in params["archives"]] if wanted else []
        state = kind.read()
        engine_has_node = node is not None and kind.engine_has(node)
        plan = make_plan(state, wanted, node, engine_has_node, archives, params["node_ports"])
        if wanted and state.exists and state.running and not module.check_mode and not kind.usable():
            module.warn("The node runs but is incomplete or not ready, by its own account: it is replaced.")
            plan = replacement(kind, node, archives)
        seconds: dict[str, float] = {}
        plan.result["seconds"] = seconds
        if not module.check_mode:
            apply(kind, plan, node, archives, seconds)
        module.exit(plan)


if __name__ == "__main__":
    main()
