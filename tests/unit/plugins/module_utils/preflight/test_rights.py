# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which rights an inventory needs, how they are asked for, and what is said of those that are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Modes
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import ERROR, WARNING
from ansible_collections.orion.tracing.plugins.module_utils.preflight import account as accounts
from ansible_collections.orion.tracing.plugins.module_utils.preflight import reviews, rights
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right, required
from ansible_collections.orion.tracing.tests import rights_table
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import RULES, FakeKube

ROOT = Path(__file__).resolve().parents[5]
ROLES = ("collector", "grafana", "instrumentation", "tempo", "verify")
POLICIES = Modes(policy_version="admissionregistration.k8s.io/v1beta1")
OPERATOR = Modes(operator_version="opentelemetry.io/v1alpha1")
V: dict[str, Any] = {"tracing_namespace": "tracing", "tracing_store_reader": "tempo"}
SIDECAR = {**V, "grafana_provisioning": "sidecar", "grafana_namespace": "monitoring"}
AGENT = {**V, "collector_node_agent_enabled": True, "collector_node_agent_namespace": "otel-node-agent"}
INSTRUMENTED = {
    **V,
    "instrumentation_enabled": True,
    "instrumentation_languages": ["java", "python"],
    "instrumentation_workloads": [
        {"namespace": "shop", "name": "orders", "language": "java"},
        {"namespace": "shop", "name": "nightly", "kind": "CronJob", "language": "python"},
        {"namespace": "shop", "name": "old", "kind": "StatefulSet", "state": "absent"},
    ],
}


def triples(found: Iterable[Right]) -> set[tuple[str, str, str]]:
    return {(verb, one.full_resource, one.namespace) for one in found for verb in one.verbs}


def more(given: dict[str, Any], modes: Modes | None = None) -> set[tuple[str, str, str]]:
    """What is needed beside the rights of the smallest inventory."""
    return triples(required(given, modes)) - triples(required(V))


def test_kafkas_service_is_looked_at_where_the_address_names_one() -> None:
    def needed(address: str) -> list[tuple[str, str, tuple[str, ...], bool]]:
        v = {"tracing_namespace": "tracing", "tempo_profile": "kafka", "tempo_kafka_address": address}
        return [(one.resource, one.namespace, one.names, one.needed) for one in required(v) if one.namespace == "kafka"]

    expected = [("services", "kafka", ("bootstrap",), False), ("endpointslices", "kafka", (), False)]
    assert needed("bootstrap.kafka.svc:9092") == expected
    assert needed("broker-0.bootstrap.kafka.svc.cluster.local:9092") == expected
    assert needed("kafka.example.com:9092") == []


def test_no_right_is_there_twice() -> None:
    every = {**SIDECAR, **AGENT, **INSTRUMENTED, "verify_probe_enabled": True, "grafana_namespace": "tracing"}
    singles = [(one.verbs, one.full_resource, one.namespace, one.names)
               for right in required(every, POLICIES) for one in right.singles()]  # fmt: skip
    assert len(singles) == len(set(singles)) > 100
    assert all(one.reason and not one.reason.endswith(".") for one in required(every, POLICIES))


def test_without_variables_nothing_is_asked() -> None:
    assert required({}) == []


def test_what_the_whole_cluster_has_is_not_asked_in_a_namespace() -> None:
    assert ("list", "pods", "") in triples(required(V))
    assert ("list", "pods", "tracing") not in triples(required(V))


def test_only_the_platforms_own_cluster_roles_may_be_changed() -> None:
    found = [one for one in required(V) if one.resource == "clusterroles"]
    names = {verb: one.names for one in found for verb in one.verbs}
    own = ("tracing-otel-collector",)
    assert names == {"list": (), "watch": (), "create": (), "get": own, "patch": own, "delete": own}
    assert not {"escalate", "bind", "impersonate", "*"} & {verb for one in required(V) for verb in one.verbs}


@pytest.mark.parametrize(
    ("given", "modes", "expected"),
    [
        ({**V, "verify_probe_enabled": True}, None, {("create", "cronjobs.batch", "tracing")}),
        (SIDECAR, None, {("update", "secrets", "monitoring"), ("patch", "configmaps", "monitoring")}),
        ({**SIDECAR, "grafana_provisioning_kind": "Secret"}, None, {("patch", "secrets", "monitoring")}),
        (AGENT, None, {("create", "daemonsets.apps", "otel-node-agent"), ("patch", "namespaces", "otel-node-agent")}),
        (INSTRUMENTED, POLICIES, {
            ("create", "mutatingadmissionpolicies.admissionregistration.k8s.io", ""),
            ("patch", "deployments.apps", "shop"), ("patch", "cronjobs.batch", "shop"),
            ("patch", "statefulsets.apps", "shop"), ("create", "pods", "shop"), ("list", "cronjobs.batch", ""),
        }),
        ({**INSTRUMENTED, "instrumentation_mode": "operator"}, OPERATOR,
         {("patch", "instrumentations.opentelemetry.io", "tracing")}),
        ({**V, "tracing_store_namespace": "jaeger"}, None, {("get", "services/proxy", "jaeger")}),
        ({**V, "verify_applications": [{"namespace": "shop", "method": "put"}]}, None,
         {("update", "services/proxy", "shop")}),
        ({**V, "verify_logs_url": "http://loki-gateway.monitoring.svc.cluster.local"}, None,
         {("get", "services/proxy", "monitoring")}),
        ({**V, "verify_logs_url": "https://logs.example"}, None, set()),
        ({**V, "verify_logs_url": "http://[::1"}, None, set()),
    ],
)  # fmt: skip
def test_what_a_variable_adds(given: dict[str, Any], modes: Modes | None, expected: set[tuple[str, str, str]]) -> None:
    found = more(given, modes)
    assert expected <= found and bool(expected) == bool(found)


def test_what_is_switched_off_needs_nothing() -> None:
    assert more({**INSTRUMENTED, "instrumentation_enabled": False}, POLICIES) == set()
    assert more({**SIDECAR, "grafana_provisioning": "api"}) == set()
    assert ("get", "services/proxy", "tracing") not in triples(required({**V, "tracing_store_reader": "none"}))
    operator = triples(required({**INSTRUMENTED, "instrumentation_mode": "operator"}, OPERATOR))
    assert not [resource for _verb, resource, _namespace in operator if "admissionpolic" in resource]


def test_a_prometheus_rule_is_no_config_map() -> None:
    given = {**SIDECAR, "grafana_provisioning_kind": "Secret", "grafana_alerts_enabled": True,
             "grafana_alerts_kind": "PrometheusRule"}  # fmt: skip
    found = more(given)
    assert ("create", "prometheusrules.monitoring.coreos.com", "monitoring") in found
    assert ("create", "configmaps", "monitoring") not in found


def test_the_module_gets_every_variable_that_is_read() -> None:
    """tasks/rbac.yml names them one by one, so that no secret is among them."""
    source = (ROOT / "plugins/module_utils/preflight/rights.py").read_text()
    read = set(re.findall(r'"((?:collector|grafana|instrumentation|tracing|verify)_\w+)"', source))
    read -= {"tracing_kubeconfig"}
    read |= {"instrumentation_mode", "collector_gateway_autoscaling"}  # by modes.of_variables and workloads.autoscaled
    written = yaml.safe_load((ROOT / "roles/preflight/vars/main.yml").read_text())["__preflight_rbac"]
    given = set(re.findall(r"'(\w+)'", written))
    shared = set(yaml.safe_load((ROOT / "roles/tracing/defaults/main.yml").read_text()))
    assert read - shared == given - {"role_variables"}


def kinds_of_charts() -> list[tuple[str, str]]:
    """(role, kind) of each template of the charts that the playbooks install."""
    found = set()
    for role in ROLES:
        for file in (ROOT / "roles" / role / "files/chart/templates").glob("*"):
            found |= {(role, kind) for kind in re.findall(r"^kind: (\w+)$", file.read_text(), re.MULTILINE)}
    return sorted(found)


@pytest.mark.parametrize(("role", "kind"), kinds_of_charts())
def test_every_kind_of_a_chart_may_be_made(role: str, kind: str) -> None:
    given = {**SIDECAR, **AGENT, **INSTRUMENTED, "verify_probe_enabled": True, "grafana_alerts_enabled": True,
             "grafana_alerts_kind": "PrometheusRule", "collector_gateway_autoscaling": {"enabled": True},
             "collector_priority_class_create": True}  # fmt: skip
    operator = {**given, "instrumentation_mode": "operator"}
    found = [*required(given, POLICIES), *required(operator, OPERATOR)]
    plural = kind.lower() + ("ies" if kind.endswith("y") else "es" if kind.endswith("s") else "s")
    plural = plural.replace("yies", "ies")
    changeable = {one.resource for one in found if {"patch"} <= set(one.verbs)}
    assert plural in changeable, f"add {kind} of the chart of role {role} to rights.py, and docs/rbac.md"


# Asking


def test_rules_are_read_once_for_each_namespace() -> None:
    wanted = required(SIDECAR)
    kube = FakeKube()
    for place in {one.namespace for one in wanted}:
        role = [one for one in wanted if one.namespace in (place, "")]
        kube.rules[place or reviews.NOWHERE] = [rights.rule([one]) for one in role]
    assert reviews.missing(kube.client(), wanted) == ()
    assert [path for _method, path in kube.log] == [RULES] * 3


def test_what_the_rules_do_not_show_is_asked_one_by_one() -> None:
    """As with the authorizers of clouds, which list no rules."""
    kube = FakeKube()
    kube.allowed = lambda asked: asked["verb"] != "patch" or asked["resource"] != "clusterroles"
    (lacking,) = reviews.missing(kube.client(), required(V))
    assert (lacking.verbs, lacking.resource, lacking.names) == (("patch",), "clusterroles", ("tracing-otel-collector",))
    assert {"verb": "get", "group": "", "resource": "services", "subresource": "proxy", "namespace": "tracing"} in (
        kube.reviews
    )
    assert {**kube.reviews[0], "name": "tracing-otel-collector", "verb": "patch", "resource": "clusterroles",
            "group": "rbac.authorization.k8s.io", "namespace": ""} in kube.reviews  # fmt: skip


@pytest.mark.parametrize("answer", [PermissionDenied("x"), NotFound("x")])
def test_no_answer_about_a_right_is_no(answer: Exception) -> None:
    kube = FakeKube()
    kube.on("POST", answer)
    right = Right(("get",), "", "pods", "", "reason")
    assert reviews.missing(kube.client(), [right]) == (right,)
    assert reviews.everything(kube.client()) is False


GET = Right(("get",), "apps", "deployments", "tracing", "reason")
PROXY = Right(("get",), "", "pods/proxy", "tracing", "reason")
NAMED = Right(("get",), "apps", "deployments", "tracing", "reason", ("orders",))


@pytest.mark.parametrize(
    ("rule", "single", "expected"),
    [
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, GET, True),
        ({"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["deployments"]}, GET, True),
        ({"verbs": ["list"], "apiGroups": ["apps"], "resources": ["deployments"]}, GET, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["deployments"]}, GET, False),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}, GET, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, PROXY, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["*/proxy"]}, PROXY, True),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["orders"]}, GET,
         False),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["orders"]}, NAMED,
         True),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["other"]}, NAMED,
         False),
        ({}, GET, False),
    ],
)  # fmt: skip
def test_what_a_rule_grants(rule: dict[str, Any], single: Right, expected: bool) -> None:
    assert reviews.grants(rule, single) is expected


# Telling


def test_resources_with_the_same_verbs_are_told_together() -> None:
    reason = "the objects of the platform's releases"
    lacking = [Right(("create", "patch"), "apps", name, "tracing", reason) for name in ("deployments", "statefulsets")]
    (finding,) = rights.findings([*lacking])
    assert str(finding) == (
        "tracing_kubeconfig: these credentials may not create, patch deployments.apps, statefulsets.apps in namespace "
        "tracing: the objects of the platform's releases. Run playbooks/rbac.yml as an administrator, or add to a Role "
        "in namespace tracing: {apiGroups: [apps], resources: [deployments, statefulsets], verbs: [create, patch]}"
    )
    assert finding.severity == ERROR


def test_what_only_tells_less_is_a_warning() -> None:
    lacking = Right(("get",), "", "pods/log", "", "why pods do not become ready", needed=False)
    (finding,) = rights.findings([lacking])
    assert finding.severity == WARNING
    assert 'add to a ClusterRole: {apiGroups: [""], resources: [pods/log], verbs: [get]}' in finding.remedy


def test_one_name_that_is_missing() -> None:
    whole = Right(("get", "patch"), "rbac.authorization.k8s.io", "clusterroles", "", "reason", ("a", "b"))
    lacking = [one for one in whole.singles() if one.names == ("b",)]
    (found,) = rights.together(lacking)
    assert (found.verbs, found.names) == (("get", "patch"), ("b",))
    (finding,) = rights.findings([found])
    assert "clusterroles.rbac.authorization.k8s.io named b in the whole cluster" in finding.what
    assert "resourceNames: [b]" in finding.remedy


# The account


def test_roles_have_the_rules_and_their_reasons() -> None:
    account = accounts.Account("robot", "automation", token=True)
    made = {accounts.key_of(one): one for one in accounts.objects(account, required(SIDECAR))}
    assert list(made) == [
        ("ServiceAccount", "automation", "robot"),
        ("Secret", "automation", "robot-token"),
        ("ClusterRole", "", "automation-robot"),
        ("ClusterRoleBinding", "", "automation-robot"),
        ("Role", "monitoring", "robot"),
        ("Role", "tracing", "robot"),
        ("RoleBinding", "monitoring", "robot"),
        ("RoleBinding", "tracing", "robot"),
    ]
    role = made["Role", "tracing", "robot"]
    reasons = role["metadata"]["annotations"]["orion.tracing/reasons"]
    for right in required(SIDECAR):
        if right.namespace == "tracing":
            assert right.full_resource in reasons and right.reason in reasons
    kube = FakeKube()
    kube.rules = {"tracing": role["rules"], "monitoring": made["Role", "monitoring", "robot"]["rules"],
                  reviews.NOWHERE: made["ClusterRole", "", "automation-robot"]["rules"]}  # fmt: skip
    kube.allowed = lambda _asked: False
    assert reviews.missing(kube.client(), required(SIDECAR)) == ()
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        (subject,) = next(one for key, one in made.items() if key[0] == kind)["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": "robot", "namespace": "automation"}


def test_a_namespace_that_a_release_brings_along_has_helms_marks() -> None:
    assert rights.namespaces(AGENT) == {"tracing": "", "otel-node-agent": "otel-collector"}
    metadata = accounts.namespace_document("otel-node-agent", "otel-collector", "tracing")["metadata"]
    assert metadata["annotations"] == {
        "meta.helm.sh/release-name": "otel-collector",
        "meta.helm.sh/release-namespace": "tracing",
    }


def test_the_documentation_has_every_right() -> None:
    text = rights_table.FILE.read_text()
    assert rights_table.written(text) == text, (
        "write the table: python -m ansible_collections.orion.tracing.tests.rights_table"
    )


def test_autoscaling_and_a_priority_class_need_rights_of_their_own() -> None:
    given = {"tracing_namespace": "tracing"}
    on = {**given, "collector_gateway_autoscaling": {"enabled": True}, "collector_priority_class_create": True}
    more = [one for one in required(on) if one not in required(given)]
    assert {(one.full_resource, one.namespace) for one in more} == {
        ("horizontalpodautoscalers.autoscaling", "tracing"),
        ("priorityclasses.scheduling.k8s.io", ""),
    }
