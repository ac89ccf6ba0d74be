# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Facts are gathered, checks judge them, and findings become the module's result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import env_fallback
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import GRAFANA_OPTIONS
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import ERROR, WARNING, Finding
from ansible_collections.orion.tracing.plugins.module_utils.inventory.repeats import without_repeats
from ansible_collections.orion.tracing.plugins.module_utils.preflight import checks, facts
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import s3_options

ARGUMENTS: dict[str, dict[str, Any]] = {
    "roles": {"type": "list", "elements": "str", "default": []},
    "variables": {"type": "dict", "default": {}},
    "findings": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "variable": {"type": "str", "required": True},
            "what": {"type": "str", "required": True},
            "why": {"type": "str", "default": ""},
            "remedy": {"type": "str", "default": ""},
            "severity": {"type": "str", "choices": [ERROR, WARNING], "default": ERROR},
            "path": {"type": "str", "default": ""},
            "code": {"type": "str", "default": ""},
        },
    },
    "repeats": {"type": "dict", "default": {}},
    "binary_path": {"type": "str", "default": "helm", "fallback": (env_fallback, ["HELM_BINARY"])},
    "s3": {"type": "dict", "options": s3_options()},
    "grafana": {"type": "dict", "options": GRAFANA_OPTIONS},
}


@dataclass(frozen=True)
class PreflightResult:
    """errors: the message with all of them, "" for none. advice: warnings. result: what the module returns."""

    errors: str
    advice: list[str]
    result: dict[str, Any]


def examine(params: Mapping[str, Any]) -> PreflightResult:
    """params: the module's options."""
    options = dict(params)
    gathered = facts.gather(options)
    given = [Finding(**finding) for finding in options["findings"]]
    findings = without_repeats(checks.check(options["variables"], gathered, given), options["repeats"])
    errors = [finding for finding in findings if finding.severity == ERROR]
    advice = [finding for finding in findings if finding.severity == WARNING]
    result = {
        "findings": [finding.result() for finding in errors],
        "advice": [finding.result() for finding in advice],
        "api_server": gathered.api_server,
        "chosen_by_environment": checks.chosen(gathered),
        "kubernetes_version": gathered.kubernetes_version,
        "helm_version": gathered.helm_version,
        "default_storage_class": gathered.default_storage_class,
        "pod_security": gathered.pod_security,
        "bucket_exists": gathered.bucket_exists,
    }
    return PreflightResult(checks.report(errors, gathered), [str(finding) for finding in advice], result)
