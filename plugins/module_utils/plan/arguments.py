# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The argument specs of the modules platform_plan and platform_record."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback
from ansible_collections.orion.tracing.plugins.module_utils.module.base import KUBE_OPTIONS

# The options of a connection, with their aliases.
CONNECTION = frozenset(name for option, spec in KUBE_OPTIONS.items() for name in (option, *spec.get("aliases", ())))
# Options that are passed on to the preflight as they are.
PREFLIGHT = CONNECTION | {"roles", "binary_path"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **KUBE_OPTIONS,
    "roles": {"type": "list", "elements": "str", "required": True},
    "components": {"type": "list", "elements": "str", "required": True},
    "binary_path": {"type": "str", "default": "helm", "fallback": (env_fallback, ["HELM_BINARY"])},
    "drift": {"type": "str", "choices": ["ignore", "report"], "default": "ignore"},
    "confirm": {"type": "bool", "default": False},
    "plan": {"type": "dict"},
    "plan_file": {"type": "path"},
    "plan_output": {"type": "path"},
}
RECORD: dict[str, dict[str, Any]] = {
    **KUBE_OPTIONS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "roles": {"type": "list", "elements": "str", "default": []},
    "components": {"type": "list", "elements": "str", "default": []},
    "advice": {"type": "list", "elements": "str", "default": []},
}
