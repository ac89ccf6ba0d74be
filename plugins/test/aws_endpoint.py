# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A test for endpoints of AWS; documented in aws_endpoint.yml."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import is_aws


class TestModule:
    """Ansible's entry point."""

    def tests(self) -> dict[str, Callable[[str], bool]]:
        return {"aws_endpoint": is_aws}
