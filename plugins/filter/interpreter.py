# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants, context


def python_interpreter(host: Mapping[str, Any], playbook_python: str) -> str:
    """See python_interpreter.yml."""
    if host.get("ansible_python_interpreter"):
        return str(host["ansible_python_interpreter"])
    # Not by the lookup of that name, which would find the variable that is being made.
    setting = str(constants.config.get_config_value("INTERPRETER_PYTHON"))
    connection = host.get("ansible_connection") or context.CLIARGS.get("connection") or constants.DEFAULT_TRANSPORT
    local = str(connection).removeprefix("ansible.builtin.") == "local"
    return playbook_python if local and setting.startswith("auto") else setting


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"python_interpreter": python_interpreter}
