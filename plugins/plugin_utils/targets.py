# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Where each host of a play installs, by its variables: for the check that no two share a target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding
from ansible_collections.orion.tracing.plugins.module_utils.kube import connection, kubeconfig
from ansible_collections.orion.tracing.plugins.module_utils.preflight.targets import (
    CONTEXT,
    KUBECONFIG,
    NAMESPACE,
    InstallTarget,
    repeated,
)


def shared_targets(task_vars: Mapping[str, Any] | None, namespace: str) -> list[Finding]:
    """What is wrong about the host of a task where another host of the play has its target.

    namespace: the default of tracing_namespace. A host whose variables cannot be evaluated, or whose kubeconfig cannot
    be read, is left to the checks of that host.
    """
    task_vars = task_vars or {}
    own, hosts = task_vars.get("inventory_hostname"), task_vars.get("ansible_play_hosts_all") or []
    if len(hosts) < 2 or own not in hosts:
        return []
    read: dict[tuple[str, str], str] = {}
    targets = {host: _target(host, task_vars["hostvars"][host], namespace, read) for host in hosts}
    return repeated(targets[own], targets.values())


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
