# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Where each host of a play installs, by its variables: for the checks that no two share a target, or objects of a
cluster."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding
from ansible_collections.orion.tracing.plugins.module_utils.kube import connection, kubeconfig
from ansible_collections.orion.tracing.plugins.module_utils.preflight.targets import (
    CONTEXT,
    DECIDING,
    KUBECONFIG,
    NAMESPACE,
    InstallTarget,
    cluster_objects,
    repeated,
    repeated_objects,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables


def shared_targets(task_vars: Mapping[str, Any] | None, read: RoleVariables, roles: Collection[str]) -> list[Finding]:
    """What is wrong about the host of a task where another host of the play has its target, or where both make the same
    objects of the whole cluster with these roles.

    A host whose variables cannot be evaluated, or whose kubeconfig cannot be read, is left to the checks of that host.
    """
    task_vars = task_vars or {}
    own, hosts = str(task_vars.get("inventory_hostname")), task_vars.get("ansible_play_hosts_all") or []
    if len(hosts) < 2 or own not in hosts:
        return []
    servers: dict[tuple[str, str], str] = {}
    namespace, hostvars = read.shared()[NAMESPACE]["default"], task_vars["hostvars"]
    targets = {host: _target(host, hostvars[host], namespace, servers) for host in hosts}
    found = repeated(targets[own], targets.values())
    if beside := targets[own].beside(targets.values()):
        deciding = {name: read.options(role)[name] for role in roles for name in DECIDING.get(role, ())}
        made = {host: cluster_objects(_values(hostvars[host], deciding)) for host in [own, *beside]}
        found += repeated_objects(own, made)
    return found


def _values(variables: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Of a host, none where they cannot be evaluated."""
    try:
        return {name: variables.get(name, option.get("default")) for name, option in options.items()}
    except AnsibleError:
        return {}


def _target(host: str, variables: Mapping[str, Any], namespace: str, read: dict[tuple[str, str], str]) -> InstallTarget:
    """read: servers of kubeconfigs and contexts that were looked up before."""
    try:
        source, context = variables.get(KUBECONFIG), variables.get(CONTEXT)
        key = (str(source or ""), str(context or ""))
        if key not in read:
            options = connection.resolve({"kubeconfig": source, "context": context}, os.environ).options
            read[key] = kubeconfig.server(options, os.environ)
        return InstallTarget(host, read[key], str(variables.get(NAMESPACE, namespace)), bool(context))
    except (AnsibleError, TracingError):
        return InstallTarget(host, "", "")
