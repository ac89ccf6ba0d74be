# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The connection options of modules that talk to an S3 store, with the environment variables of the AWS tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import env_fallback

ENCRYPTION = ["none", "sse_s3", "sse_kms", "dsse_kms", "AES256", "aws:kms", "aws:kms:dsse"]
OWNERSHIP = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter", "none"]


def s3_options() -> dict[str, dict[str, Any]]:
    """The argument spec; documented in the fragment orion.tracing.s3.

    Credentials have no fallback here: botocore takes those of the environment itself, as a whole, where none are given,
    so that a session token of the environment is not put beside keys of the task.
    """
    return {
        "endpoint_url": {"type": "str", "fallback": (env_fallback, ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])},
        "region": {"type": "str", "fallback": (env_fallback, ["AWS_REGION", "AWS_DEFAULT_REGION"])},
        "access_key": {"type": "str", "no_log": False},
        "secret_key": {"type": "str", "no_log": True},
        "session_token": {"type": "str", "no_log": True},
        "ca_bundle": {"type": "path", "fallback": (env_fallback, ["AWS_CA_BUNDLE"])},
        "validate_certs": {"type": "bool", "default": True},
        "addressing_style": {"type": "str", "choices": ["auto", "path", "virtual"]},
    }


def bucket_options() -> dict[str, dict[str, Any]]:
    """The argument spec of the module s3_bucket."""
    return {
        **s3_options(),
        "name": {"type": "str", "required": True, "aliases": ["bucket"]},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "force_empty": {"type": "bool", "default": False, "aliases": ["force"]},
        "versioning": {"type": "bool"},
        "encryption": {"type": "str", "choices": ENCRYPTION},
        "kms_key_id": {"type": "str", "no_log": False, "aliases": ["encryption_key_id"]},
        "bucket_key_enabled": {"type": "bool", "no_log": False},
        "public_access_block": {"type": "raw", "aliases": ["public_access"]},
        "object_ownership": {"type": "str", "choices": OWNERSHIP},
        "object_lock_enabled": {"type": "bool"},
        "object_lock_default_retention": {
            "type": "dict",
            "options": {
                "mode": {"type": "str", "choices": ["GOVERNANCE", "COMPLIANCE"]},
                "days": {"type": "int"},
                "years": {"type": "int"},
            },
        },
        "lifecycle_rules": {"type": "list", "elements": "dict"},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "tls_only": {"type": "bool"},
        "minimum_tls_version": {"type": "str", "choices": ["none", "1.2", "1.3"]},
        "policy": {"type": "raw"},
        "on_unsupported": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        "progress_file": {"type": "path"},
    }


def connection(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The connection options that variables of the object_storage role give; those that are empty are left out, so that
    a module falls back to the environment. variables: at least object_storage_<option> for each of s3_options().
    """
    given = {option: variables[f"object_storage_{option}"] for option in s3_options()}
    return {option: value for option, value in given.items() if value not in (None, "")}
