# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A test for optional dependencies; documented in a_module.yml."""

from __future__ import annotations

from collections.abc import Callable

from ansible.plugins.loader import module_loader


def a_module(name: str) -> bool:
    """Whether Ansible finds the module; name: its fully qualified name."""
    return bool(module_loader.find_plugin_with_context(name).resolved)


class TestModule:
    """Ansible's entry point."""

    def tests(self) -> dict[str, Callable[[str], bool]]:
        return {"a_module": a_module}
