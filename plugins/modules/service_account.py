#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: a ServiceAccount with the rights that the playbooks need."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_account
short_description: Make a ServiceAccount with just the rights that the playbooks need
version_added: 0.1.0
description:
  - Makes a ServiceAccount, a Role and its binding in each namespace that the variables name, and a ClusterRole and its
    binding for the few rights in the whole cluster. Each role has an annotation C(orion.tracing/reasons) that gives the
    reason for each right.
  - Creates the namespaces that the playbooks would create, since Roles need them.
  - Roles that the variables do not lead to any more are removed. Whatever the account had been given otherwise stays.
  - The user needs the rights that are granted, and those to change roles and bindings in all namespaces, as the
    ClusterRole C(cluster-admin) has them.
  - The token is never returned, shown in a diff or logged.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the objects, and that the file of O(path) changes, but not its content.
options:
  name:
    description: Name of the ServiceAccount, 63 characters at most.
    type: str
    required: true
  namespace:
    description: Its namespace, which is created if it does not exist.
    type: str
    required: true
  state:
    description:
      - Whether the account and its roles exist. Namespaces are never removed.
    type: str
    choices: [present, absent]
    default: present
  variables:
    description:
      - Variables of this collection's roles, from which the rights follow. Results and logs do not show them.
      - Required if O(state=present).
    type: dict
  long_lived_token:
    description:
      - Whether a Secret C(NAME-token) is made, for which Kubernetes creates a token that does not expire, as AWX needs.
      - Without it, tokens can be had for some time with C(kubectl create token).
    type: bool
    default: false
  path:
    description:
      - File for a kubeconfig with the account's token (mode 0600), on the machine that runs the module. Requires
        O(long_lived_token). Its folder is created when it is missing.
      - The certificate authority in it is the cluster's own.
    type: path
"""

EXAMPLES = r"""
- name: Make the account
  orion.tracing.service_account:
    name: orion-tracing
    namespace: tracing
    variables: "{{ lookup('orion.tracing.role_variables', 'tracing', 'collector', 'grafana', 'instrumentation') }}"

- name: Make it with a token for AWX
  orion.tracing.service_account:
    name: orion-tracing
    namespace: tracing
    variables: "{{ lookup('orion.tracing.role_variables', 'tracing', 'collector', 'grafana', 'instrumentation') }}"
    long_lived_token: true
    path: ~/.kube/orion-tracing
"""

RETURN = r"""
service_account:
  description: The ServiceAccount as namespace/name.
  returned: success
  type: str
  sample: tracing/orion-tracing
api_server:
  description: URL of the API server.
  returned: success
  type: str
  sample: https://k8s.example:6443
rights:
  description: What the account may do.
  returned: success
  type: list
  elements: dict
  contains:
    verbs:
      description: The verbs.
      type: list
      elements: str
      sample: [get, list]
    group:
      description: API group, empty for the core.
      type: str
      sample: apps
    resource:
      description: The resource, with a subresource where one is meant.
      type: str
      sample: deployments
    names:
      description: The only objects that it is about; empty for all.
      type: list
      elements: str
      sample: []
    namespace:
      description: The namespace, empty for the whole cluster.
      type: str
      sample: tracing
    reason:
      description: What it is for.
      type: str
      sample: the objects of the platform's releases
    needed:
      description: Whether the playbooks fail without it, or only tell less.
      type: bool
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: ["create namespace tracing", "create ServiceAccount tracing/orion-tracing"]
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 9
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import read_modes
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.preflight import account as accounts
from ansible_collections.orion.tracing.plugins.module_utils.preflight import rights


class ServiceAccountModule(TracingModule):
    """The variables may hold headers of requests."""

    HIDDEN_OPTIONS = ("variables",)


def main() -> None:
    module = ServiceAccountModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "variables": {"type": "dict"},
            # Whether there is one, not a token.
            "long_lived_token": {"type": "bool", "default": False, "no_log": False},
            "path": {"type": "path"},
        },
        required_if=[("state", "present", ["variables"])],
        supports_check_mode=True,
    )
    with module.client() as kube:
        plan = _ensure(kube, module.params, module.check_mode)
    module.exit(plan)


def _ensure(kube: Kube, params: dict[str, Any], check_mode: bool) -> Plan:
    account = accounts.Account(params["name"], params["namespace"], params["long_lived_token"])
    path = params["path"]
    if path and not account.token:
        raise InvalidInput(
            "path is set, but long_lived_token is false",
            "the file would have no token",
            "Set long_lived_token to true, or drop path.",
        )
    present = params["state"] == "present"
    wanted: list[rights.Right] = []
    spaces: list[dict[str, Any]] = []
    if present:
        v = params["variables"]
        wanted = rights.required(v, read_modes(kube))
        names = {account.namespace: "", **rights.namespaces(v)}
        spaces = [accounts.namespace_document(n, owner, str(v["tracing_namespace"])) for n, owner in names.items()]
    current = accounts.read(kube, account, [one["metadata"]["name"] for one in spaces], path if present else None)
    content = None
    secret = current.objects.get(("Secret", account.namespace, account.secret), {}).get("data") or {}
    if path and secret.get("token"):
        content = accounts.kubeconfig(kube, account, secret)
    objects = accounts.objects(account, wanted) if present else []
    plan = accounts.make_plan(account, objects, spaces, current, path if present else None, content)
    if not check_mode:
        accounts.apply(kube, account, plan)
    plan.result.update(api_server=kube.host, rights=[asdict(one) for one in wanted], api_calls=kube.calls)
    return plan


if __name__ == "__main__":
    main()
