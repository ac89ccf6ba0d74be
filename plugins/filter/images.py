# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around container images; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def image_values(variables: dict[str, Any], prefix: str) -> dict[str, str]:
    """See image_values.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.inventory import images

    with role_variables("image_values", variables):
        return images.image_values(variables, prefix)


def image_pull_secrets(variables: dict[str, Any], role: str) -> list[str]:
    """See image_pull_secrets.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.inventory import images

    with role_variables("image_pull_secrets", variables):
        return images.pull_secrets(variables, role)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"image_values": image_values, "image_pull_secrets": image_pull_secrets}
