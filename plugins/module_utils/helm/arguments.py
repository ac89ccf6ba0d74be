# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The argument spec of the module helm_release, and its options in the form of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ansible.module_utils.basic import env_fallback
from ansible_collections.orion.tracing.plugins.module_utils.helm import reference, values_files
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import seconds_of
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions, check_options

ARGUMENTS: dict[str, dict[str, Any]] = {
    "release_name": {"type": "str", "required": True, "aliases": ["name"]},
    "release_namespace": {"type": "str", "required": True, "aliases": ["namespace"]},
    "release_state": {
        "type": "str",
        "choices": ["present", "absent"],
        "default": "present",
        "aliases": ["state"],
    },
    "chart_ref": {"type": "str", "aliases": ["chart"]},
    "chart_repo_url": {"type": "str"},
    "chart_version": {"type": "str"},
    "chart_digest": {"type": "str"},
    "repo_username": {"type": "str"},
    "repo_password": {"type": "str", "no_log": True},
    "repo_ca_file": {"type": "path"},
    "insecure_skip_tls_verify": {"type": "bool", "default": False},
    "plain_http": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "keyring": {"type": "path", "no_log": False},
    "values": {"type": "dict", "default": {}, "aliases": ["release_values"]},
    "values_files": {"type": "list", "elements": "path"},
    "create_namespace": {"type": "bool", "default": False},
    "namespace_labels": {"type": "dict"},
    "wait": {"type": "bool", "default": True},
    "wait_for_jobs": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "5m", "aliases": ["wait_timeout"]},
    "history_max": {"type": "int"},
    "rollback_on_failure": {"type": "bool", "default": False, "aliases": ["atomic"]},
    "on_pending": {"type": "str", "choices": ["fail", "rollback", "replace"], "default": "fail"},
    "on_failed": {"type": "str", "choices": ["upgrade", "replace", "fail"], "default": "upgrade"},
    "skip_crds": {"type": "bool", "default": False},
    "upgrade_crds": {"type": "bool", "default": False},
    "take_ownership": {"type": "bool", "default": False},
    "force_conflicts": {"type": "bool", "default": False},
    "labels": {"type": "dict"},
    "description": {"type": "str"},
    "post_renderer": {"type": "str"},
    "post_renderer_args": {"type": "list", "elements": "str"},
    "rollback_to": {"type": "int"},
    "test": {"type": "bool", "default": False},
    "drift": {"type": "str", "choices": ["ignore", "report", "repair"], "default": "ignore"},
    "drift_added": {"type": "bool", "default": False},
    "binary_path": {"type": "str", "default": "helm", "fallback": (env_fallback, ["HELM_BINARY"])},
}
# What a rollback brings back cannot be given beside it.
INSTALLED = (
    "chart_ref",
    "chart_repo_url",
    "chart_version",
    "chart_digest",
    "repo_username",
    "values_files",
    "labels",
    "description",
    "post_renderer",
)


def wanted_of(params: Mapping[str, Any], values: dict[str, Any]) -> ReleaseOptions:
    """The options in the form of the plan, read and checked as far as that needs no cluster. InvalidInput."""
    seconds_of(params["timeout"])
    source = reference.of_params(params)
    if params["release_state"] == "present" and params["rollback_to"] is None:
        reference.check(source)
        values = values_files.merge(params["values_files"] or [], values)
    own = {"name", "namespace", "state", "source", "values", "labels", "post_renderer_args"}
    wanted = ReleaseOptions(
        name=params["release_name"],
        namespace=params["release_namespace"],
        state=params["release_state"],
        source=source,
        values=values,
        labels=None if params["labels"] is None else {key: str(text) for key, text in params["labels"].items()},
        post_renderer_args=tuple(params["post_renderer_args"] or ()),
        **{field.name: params[field.name] for field in fields(ReleaseOptions) if field.name not in own},
    )
    check_options(wanted)
    return wanted
