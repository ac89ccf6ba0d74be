# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives the module of the same name the variables of all roles, apart from those that are secret, and the versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import EncryptedString
from ansible.release import __version__ as ansible_core
from ansible_collections.orion.tracing.plugins.plugin_utils.progress import ProgressAction
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables, roles

COLLECTION = Path(__file__).resolve().parents[2]


class ActionModule(ProgressAction):
    """See the module's documentation."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        arguments = self._task.args
        read = RoleVariables(self._templar, self._loader, task_vars or {})
        found = {role: read.read(role) for role in roles()}
        arguments.setdefault(
            "variables",
            {
                role: {
                    name: value for name, value in one.values.items() if name not in one.secret and value is not None
                }
                for role, one in found.items()
            },
        )
        secret = [one.values[name] for one in found.values() for name in one.secret]
        secret += list(encrypted(task_vars or {}))
        given = list(arguments.get("secret_values") or [])
        arguments["secret_values"] = [*given, *sorted({str(value) for value in secret if value})]
        versions = {
            "ansible-core": ansible_core,
            "orion.tracing": version(),
            "controller's Python": platform.python_version(),
        }
        arguments.setdefault("versions", versions)
        return super().run(tmp, task_vars)


def encrypted(value: Any) -> Iterator[str]:
    """The strings of variables that are encrypted one by one with ansible-vault, decrypted."""
    if isinstance(value, EncryptedString):
        yield str(value)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            # All variables of all hosts: those of this one are there by themselves.
            if name not in ("hostvars", "vars"):
                yield from encrypted(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from encrypted(one)


def version() -> str:
    """Of this collection: installed ones have a manifest, a checkout has what it is made of."""
    manifest = COLLECTION / "MANIFEST.json"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((COLLECTION / "galaxy.yml").read_text(encoding="utf-8"))["version"])
