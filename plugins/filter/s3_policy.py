# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters that make the IAM documents of Tempo's role and of who writes or reads recordings; documented in the sidecar
files of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError


def tempo_s3_policy(bucket: str, partition: str = "aws", kms_key_arn: str = "") -> dict[str, Any]:
    """See tempo_s3_policy.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import iam as policy

    try:
        return policy.permissions(str(bucket), partition, kms_key_arn)
    except TracingError as error:
        raise AnsibleFilterError(f"tempo_s3_policy: {error}") from error


def tempo_s3_trust_policy(trust: str, **options: Any) -> dict[str, Any]:
    """See tempo_s3_trust_policy.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import iam as policy

    try:
        return policy.trust(trust, {name: str(value) for name, value in options.items() if value is not None})
    except TracingError as error:
        raise AnsibleFilterError(f"tempo_s3_trust_policy: {error}") from error


def recordings_s3_policy(
    bucket: str, prefix: str, access: str = "write", partition: str = "aws", kms_key_arn: str = ""
) -> dict[str, Any]:
    """See recordings_s3_policy.yml."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import iam as policy

    try:
        return policy.recordings(str(bucket), str(prefix), access, partition, kms_key_arn)
    except TracingError as error:
        raise AnsibleFilterError(f"recordings_s3_policy: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "recordings_s3_policy": recordings_s3_policy,
            "tempo_s3_policy": tempo_s3_policy,
            "tempo_s3_trust_policy": tempo_s3_trust_policy,
        }
