# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The argument spec of the module instrumentation_workloads, and its options in the form of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    DURATION_REMEDY,
    duration_seconds,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.run import WHAT, WantedWorkloads
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import entries
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse

# Kind, language and state have no choices here: the core reports wrong ones together with everything else.
WORKLOAD: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "required": True},
    "kind": {"type": "str", "default": "Deployment"},
    "name": {"type": "str", "required": True},
    "language": {"type": "str"},
    "containers": {"type": "list", "elements": "str", "default": []},
    "sampler_argument": {"type": "float"},
    "state": {"type": "str", "default": "present"},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "workloads": {"type": "list", "elements": "dict", "required": True, "options": WORKLOAD},
    "mode": {"type": "str", "choices": ["auto", "policy", "operator", "sdk"], "default": "auto"},
    "variables": {"type": "dict", "default": {}},
    "excluded_namespaces": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "str", "default": "5m"},
    "progress_file": {"type": "path"},
}


def wanted_of(params: Mapping[str, Any], check: bool) -> WantedWorkloads:
    """The options, read and checked as far as that needs no cluster. InvalidInput with all findings."""
    try:
        seconds = duration_seconds(params["timeout"])
    except ValueError as error:
        raise InvalidInput(f"option timeout: {error}", remedy=DURATION_REMEDY) from None
    # The variable that the user wrote.
    role = "instrumentation_workloads" in params["variables"]
    variable = "instrumentation_workloads" if role else "workloads"
    listed, findings = entries(params["workloads"], variable, params["excluded_namespaces"])
    refuse(WHAT, findings)
    return WantedWorkloads(listed, params["mode"], params["variables"], params["wait"], seconds, check)
