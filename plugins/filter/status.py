# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around the status page; documented in the sidecar files of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.module_utils.status import output


def status_summary(pages: Any) -> dict[str, Any]:
    """The status pages of several hosts as one table, and their sums."""
    if not isinstance(pages, Mapping) or not all(isinstance(one, Mapping) or one is None for one in pages.values()):
        raise AnsibleFilterError("status_summary takes a mapping of hosts to pages, as platform_info returns them.")
    return output.summary(pages)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_summary": status_summary}
