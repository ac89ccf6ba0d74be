# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of docs/rbac.md, made of the rights themselves; run as a program, it writes the table into the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Modes
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right, required, together

FILE = Path(__file__).resolve().parents[1] / "docs/rbac.md"
BEGIN, END = "<!-- rights: begin -->\n", "<!-- rights: end -->\n"
# Variables stand for their values.
V: dict[str, Any] = {
    "tracing_namespace": "tracing_namespace",
    "tracing_store_reader": "tempo",
    "tracing_store_namespace": "tracing_store_namespace",
}
GRAFANA = {"grafana_provisioning": "sidecar", "grafana_namespace": "grafana_namespace"}
INSTRUMENTED = {
    "instrumentation_enabled": True,
    "instrumentation_languages": ["LANGUAGE"],
    "instrumentation_mode": "policy",
}
POLICIES = Modes(policy_version="admissionregistration.k8s.io/v1")
OPERATOR = Modes(operator_version="opentelemetry.io/v1alpha1")
LISTED = [{"namespace": "its namespace", "name": "NAME", "language": "sdk"}]
# When rights are needed, and what makes them so.
CASES: list[tuple[str, dict[str, Any], Modes | None]] = [
    ("always", {}, None),
    ("`verify_probe_enabled`", {"verify_probe_enabled": True}, None),
    ("`collector_gateway_autoscaling`", {"collector_gateway_autoscaling": {"enabled": True}}, None),
    ("`collector_priority_class_create`", {"collector_priority_class_create": True}, None),
    ("`grafana_provisioning: sidecar`", GRAFANA, None),
    ("`grafana_provisioning_kind: Secret`", {**GRAFANA, "grafana_provisioning_kind": "Secret"}, None),
    ("`grafana_alerts_kind: PrometheusRule`",
     {**GRAFANA, "grafana_alerts_enabled": True, "grafana_alerts_kind": "PrometheusRule"}, None),
    ("`collector_node_agent_enabled`",
     {"collector_node_agent_enabled": True, "collector_node_agent_namespace": "collector_node_agent_namespace"}, None),
    ("`instrumentation_enabled`, with policies", INSTRUMENTED, POLICIES),
    ("`instrumentation_enabled`, with the operator", {**INSTRUMENTED, "instrumentation_mode": "operator"}, OPERATOR),
    ("`instrumentation_workloads`", {**INSTRUMENTED, "instrumentation_workloads": LISTED}, POLICIES),
    ("`verify_applications`", {"verify_applications": [{"namespace": "its namespace", "method": "GET"}]}, None),
    ("`verify_prometheus_url`, `verify_logs_url` of a Service",
     {"verify_prometheus_url": "http://service.its-namespace.svc"}, None),
    ("`tempo_profile: kafka`, `tempo_kafka_address` of a Service",
     {"tempo_profile": "kafka", "tempo_kafka_address": "NAME.its-namespace.svc:9092"}, None),
]  # fmt: skip


def rows() -> Iterator[str]:
    seen: set[Right] = set()
    for when, variables, modes in CASES:
        singles = [single for right in required({**V, **variables}, modes) for single in right.singles()]
        new = [single for single in singles if single not in seen]
        seen |= set(new)
        groups: dict[tuple[Any, ...], list[Right]] = {}
        for one in together(new):
            key = (one.namespace, one.verbs, one.names, one.reason, one.needed)
            groups.setdefault(key, []).append(one)
        for (namespace, verbs, names, reason, needed), rights in groups.items():
            resources = ", ".join(f"`{one.full_resource}`" for one in rights)
            called = f" named {', '.join(f'`{name}`' for name in names)}" if names else ""
            where = f"namespace `{namespace}`" if "_" in namespace else namespace.replace("-", " ") or "**cluster**"
            less = "" if needed else " (optional)"
            yield f"| {when} | {where} | {resources}{called} | {', '.join(verbs)} | {reason}{less} |\n"


def table() -> str:
    head = "| When | Where | Resources | Verbs | What for |\n|---|---|---|---|---|\n"
    return f"{BEGIN}{head}{''.join(rows())}{END}"


def written(text: str) -> str:
    """The document with the table of today."""
    before, _begin, rest = text.partition(BEGIN)
    return before + table() + rest.partition(END)[2]


if __name__ == "__main__":
    FILE.write_text(written(FILE.read_text()))
