# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the object_storage role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.plugin_utils.filters import role_variables


def tempo_lifecycle_rules(variables: dict[str, Any]) -> list[dict[str, Any]] | None:
    """See tempo_lifecycle_rules.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.tempo import retention as tempo_retention

    with role_variables("tempo_lifecycle_rules", variables):
        return tempo_retention.rules(variables)


def s3_connection(variables: dict[str, Any]) -> dict[str, Any]:
    """See s3_connection.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3.options import connection

    with role_variables("s3_connection", variables):
        return connection(variables)


def s3_host(endpoint_url: str, region: str) -> str:
    """See s3_host.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import aws

    return aws.host_of(endpoint_url, region)


def s3_partition(region: str) -> str:
    """See s3_partition.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import aws

    return aws.partition_of(region).name


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "s3_connection": s3_connection,
            "s3_host": s3_host,
            "s3_partition": s3_partition,
            "tempo_lifecycle_rules": tempo_lifecycle_rules,
        }
