# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The connection options of modules that talk to an S3 store, with the environment variables of the AWS tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import env_fallback


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


def connection(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The connection options that variables of the object_storage role give; those that are empty are left out, so that
    a module falls back to the environment. variables: at least object_storage_<option> for each of s3_options().
    """
    given = {option: variables[f"object_storage_{option}"] for option in s3_options()}
    return {option: value for option, value in given.items() if value not in (None, "")}
