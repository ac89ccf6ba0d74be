# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What instrumentation_info says about workloads, and how many requests that takes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import report
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Snapshot, matches
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.report import Row
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import refused
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.instrumentation.made import (
    NEW,
    POLICIES,
    PREFIX,
    Cluster,
    binding,
    injected,
    namespace,
    pod_of,
    policy,
    template,
    workload,
)

PYTHON, JAVA = f"{PREFIX}inject-python", f"{PREFIX}inject-java"
ON = {PYTHON: "true"}
INIT = "opentelemetry-auto-instrumentation-python"


def row_of(snapshot: Snapshot, name: str = "orders") -> Row:
    (found,) = (row for row in report.rows(snapshot, "shop") if row.name == name)
    return found


def one(document: dict[str, Any], *pods: dict[str, Any], **cluster: Any) -> Row:
    """The row of a workload, by default with one pod from before the policies."""
    made = pods or (pod_of(document),)
    return row_of(Cluster(document, *made, **cluster).snapshot("shop"))


def test_an_instrumented_workload_is_described_by_its_newest_pod() -> None:
    document = workload(annotations=ON)
    row = one(document, pod_of(document, created=NEW, inject=True))
    assert (row.instrumented, row.pods, row.pods_instrumented, row.code) == ("yes", 1, 1, "")
    assert row.agents == {"python": "registry.example/agent-python:1.2.3"} and row.versions == {"python": "1.2.3"}
    assert (row.service_name, row.endpoint) == ("orders", "http://collector:4318")
    assert row.result()["agent_versions"] == {"python": "1.2.3"} and row.result()["languages"] == ["python"]


@pytest.mark.parametrize(
    ("annotations", "code", "why"),
    [
        ({}, "no_annotation", "neither the pod template nor the namespace has an annotation"),
        ({PYTHON: "false"}, "opted_out", f'the pod template sets {PYTHON} to "false"'),
        ({PYTHON: "False"}, "opted_out", "sets"),
        ({f"{PREFIX}inject-ruby": "true"}, "unknown_language", "inject-ruby of the pod names an unknown language"),
        ({**ON, JAVA: "true"}, "contradictory_annotations", "ask for java and python in the same container app"),
        ({**ON, f"{PREFIX}container-names": "web"}, "container_not_found", "name container web, and the pod has app"),
        ({**ON, f"{PREFIX}python-container-names": "a, b"}, "container_not_found", "name containers a, b"),
        ({**ON, f"{PREFIX}otel-python-platform": "uclibc"}, "unknown_platform", "otel-python-platform is 'uclibc'"),
        (ON, "restart_needed", "1 pod started before the policy"),
    ],
)
def test_why_a_workload_is_not_instrumented(annotations: dict[str, str], code: str, why: str) -> None:
    row = one(workload(annotations=annotations))
    assert (row.instrumented, row.code) == ("no", code) and why in row.why and row.remedy.endswith((".", "orders", "?"))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pyhton", f"Did you mean {PYTHON}?"),
        ("go", f"For a service that brings its own SDK, such as one in Go, use {PREFIX}inject-sdk."),
        ("ruby", "The languages are python, java, nodejs, dotnet, sdk."),
    ],
)
def test_unknown_languages_have_a_remedy_of_their_own(name: str, remedy: str) -> None:
    assert one(workload(annotations={f"{PREFIX}inject-{name}": "true"})).remedy == remedy


def test_an_unknown_language_that_is_switched_off_does_no_harm() -> None:
    document = workload(annotations={**ON, f"{PREFIX}inject-ruby": "false"})
    assert one(document, pod_of(document, inject=True)).code == ""


def test_the_restart_has_the_command() -> None:
    document = workload("ledger", "StatefulSet", annotations=ON)
    row = row_of(Cluster(document, pod_of(document)).snapshot("shop"), "ledger")
    assert row.remedy == "Restart it: kubectl -n shop rollout restart statefulset/ledger"


def test_some_pods_are_instrumented() -> None:
    document = workload(annotations=ON, replicas=3)
    pods = [pod_of(document, 1), pod_of(document, 2), pod_of(document, 3, NEW, inject=True)]
    row = one(document, *pods)
    assert (row.instrumented, row.pods_instrumented, row.pods, row.code) == ("partly", 1, 3, "restart_needed")
    assert row.why == "2 pods started before the policy"


def test_pods_from_after_the_policy_started_for_another_reason() -> None:
    document = workload(annotations=ON)
    row = one(document, pod_of(document, created=NEW))
    assert row.code == "restart_needed" and "while nothing injected it" in row.why


def test_pods_that_end_do_not_count() -> None:
    document = workload(annotations=ON)
    old, done, good = pod_of(document, 1), pod_of(document, 2), pod_of(document, 3, inject=True)
    old["metadata"]["deletionTimestamp"], done["status"] = NEW, {"phase": "Succeeded"}
    assert one(document, old, done, good).instrumented == "yes"


def test_no_pods() -> None:
    assert row_of(Cluster(workload(annotations=ON, replicas=0)).snapshot("shop")).instrumented == "no pods"


def test_the_namespaces_annotation_counts_unless_the_pod_has_its_own() -> None:
    inherits, opted_out = workload(), workload("off", annotations={JAVA: "false"})
    cluster = Cluster(inherits, opted_out, pod_of(opted_out), namespace(annotations={JAVA: "true"}))
    cluster.put(injected(pod_of(inherits), {JAVA: "true"}))
    snapshot = cluster.snapshot("shop")
    assert (row_of(snapshot).instrumented, row_of(snapshot).languages) == ("yes", ("java",))
    assert row_of(snapshot, "off").code == "opted_out"


def test_a_namespace_that_opts_out_is_named() -> None:
    cluster = Cluster(workload(), pod_of(workload()), namespace(annotations={PYTHON: "false"}))
    assert row_of(cluster.snapshot("shop")).why == f'the namespace shop sets {PYTHON} to "false"'


def test_an_annotation_on_the_workload_itself_has_no_effect() -> None:
    document = workload()
    document["metadata"]["annotations"] = ON
    row = one(document)
    assert row.code == "misplaced_annotation" and f"{PYTHON} is on the Deployment itself" in row.why
    assert "spec.template.metadata.annotations" in row.remedy
    nightly = workload("orders", "CronJob")
    nightly["metadata"]["annotations"] = ON
    assert "spec.jobTemplate.spec.template.metadata.annotations" in one(nightly).remedy


@pytest.mark.parametrize(
    ("container", "code", "why"),
    [
        (
            {"env": [{"name": "PYTHONPATH", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]},
            "value_from",
            "container app takes PYTHONPATH from a ConfigMap, so it cannot be extended",
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/otel-auto-instrumentation-python"}]},
            "mount_path",
            "container app mounts something else at /otel-auto-instrumentation-python",
        ),
    ],
)
def test_containers_that_a_policy_leaves_alone(container: dict[str, Any], code: str, why: str) -> None:
    row = one(workload(pod_template=template(ON, **container)))
    assert (row.code, row.why) == (code, why)


def test_a_container_that_brings_its_own_agent() -> None:
    body = template({f"{PREFIX}inject-dotnet": "true"}, env=[{"name": "OTEL_DOTNET_AUTO_HOME", "value": "/otel"}])
    assert one(workload(pod_template=body)).code == "own_agent"


# The cluster


def test_policies_that_are_not_installed() -> None:
    document = workload(annotations=ON)
    assert "instrumentation_enabled" in one(document, policies=()).remedy
    assert "Add python to instrumentation_languages" in one(document, policies=("java",)).remedy
    row = one(document, served=False)
    assert row.code == "policy_not_installed" and "Kubernetes 1.36" in row.remedy


def test_a_policy_without_a_binding() -> None:
    cluster = Cluster(workload(annotations=ON), pod_of(workload(annotations=ON)), policies=())
    cluster.put(policy("python"))
    assert row_of(cluster.snapshot("shop")).why == f"policy {INIT} has no binding"


def test_a_namespace_that_the_policy_leaves_out() -> None:
    document = workload(annotations=ON)
    cluster = Cluster(document, pod_of(document), policies=())
    cluster.put(policy("python", excluded=("shop",)))
    cluster.put(binding("python"))
    row = row_of(cluster.snapshot("shop"))
    assert row.code == "namespace_excluded" and f"policy {INIT} leaves out namespace shop" in row.why


def test_policies_that_may_not_be_read_are_not_missing() -> None:
    document = workload(annotations=ON)
    cluster = Cluster(document, pod_of(document))
    cluster.refuse("^GET .*/mutatingadmission")
    snapshot = cluster.snapshot("shop")
    assert row_of(snapshot).code == "restart_needed"
    assert snapshot.modes.unreadable == ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")


@pytest.mark.parametrize(
    ("value", "instrumentations", "code"),
    [
        ("true", (), "policy_not_installed"),
        ("true", ("tracing/default",), "instrumentation_not_found"),
        ("true", ("shop/a",), "restart_needed"),
        ("true", ("shop/a", "shop/b"), "instrumentation_not_found"),
        ("tracing/default", ("tracing/default",), "restart_needed"),
        ("a", ("shop/a", "shop/b"), "restart_needed"),
        ("c", ("shop/a",), "instrumentation_not_found"),
    ],
)
def test_the_operator_finds_an_instrumentation_by_the_annotations_value(
    value: str, instrumentations: tuple[str, ...], code: str
) -> None:
    document = workload(annotations={PYTHON: value})
    cluster = Cluster(document, pod_of(document), operator=True)
    for text in instrumentations:
        space, _slash, name = text.partition("/")
        cluster.put({"kind": "Instrumentation", "metadata": {"name": name, "namespace": space}})
    assert row_of(cluster.snapshot("shop")).code == code


def test_label_selectors() -> None:
    def selected(key: str, operator: str, *values: str) -> bool:
        term = {"key": key, "operator": operator, "values": list(values)}
        return matches({"matchLabels": {"a": "1"}, "matchExpressions": [term]}, {"a": "1", "b": "2"})

    assert selected("b", "In", "2") and not selected("b", "In", "3") and not selected("c", "In", "3")
    assert selected("b", "NotIn", "3") and not selected("b", "NotIn", "2") and selected("c", "NotIn", "2")
    assert selected("b", "Exists") and not selected("c", "Exists")
    assert selected("c", "DoesNotExist") and not selected("b", "DoesNotExist")
    assert not matches({"matchLabels": {"a": "2"}}, {"a": "1"})


# The agent


def test_an_init_container_that_cannot_pull_its_image_is_named() -> None:
    document = workload(annotations=ON)
    pod = pod_of(document, created=NEW, inject=True)
    message = 'Back-off pulling image "x": ErrImagePull: rpc error: code = NotFound desc = manifest unknown'
    state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
    pod["status"] = {"phase": "Pending", "initContainerStatuses": [{"name": INIT, "state": state}]}
    row = one(document, pod)
    assert row.code == "agent_image" and "(ImagePullBackOff: manifest unknown); the pod waits for it" in row.why
    assert "blocked" in report.table([row], True)


def test_an_init_container_that_only_starts_is_no_problem() -> None:
    document = workload(annotations=ON)
    pod = pod_of(document, created=NEW, inject=True)
    state = {"waiting": {"reason": "PodInitializing"}}
    pod["status"] = {"phase": "Pending", "initContainerStatuses": [{"name": INIT, "state": state}]}
    assert one(document, pod).code == ""


def test_a_container_that_crashes_with_the_agent() -> None:
    document = workload(annotations=ON)
    pod = pod_of(document, created=NEW, inject=True)
    status = {"name": "app", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pod["status"] = {"phase": "Running", "containerStatuses": [status]}
    row = one(document, pod)
    assert row.code == "crash" and row.why == "container app of pod orders-abc-1 ended 4 times"
    assert "kubectl -n shop logs orders-abc-1 -c app --previous" in row.remedy


def test_a_rollout_that_goes_on() -> None:
    document = workload(annotations=ON, replicas=2)
    document["status"]["updatedReplicas"] = 1
    row = one(document, pod_of(document, 1), pod_of(document, 2, NEW, inject=True))
    assert row.code == "rollout" and row.why == "its rollout has not ended (1 of 2 pods updated, 2 available)"


def test_an_image_of_alpine_needs_the_agent_for_musl() -> None:
    body = template(ON)
    body["spec"]["containers"][0]["image"] = "python:3.13-alpine"
    document = workload(pod_template=body)
    row = one(document, pod_of(document, created=NEW, inject=True))
    assert row.code == "musl" and f"Set the annotation {PREFIX}otel-python-platform to musl" in row.remedy
    right = copy.deepcopy(document)
    right["spec"]["template"]["metadata"]["annotations"][f"{PREFIX}otel-python-platform"] = "musl"
    assert one(right, pod_of(right, created=NEW, inject=True)).code == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_JAVAAGENT_ENABLED", "false"),
    ],
)
def test_settings_that_switch_tracing_off(name: str, value: str) -> None:
    document = workload(pod_template=template(ON, env=[{"name": name, "value": value}]))
    row = one(document, pod_of(document, created=NEW, inject=True))
    assert row.code == "switched_off" and row.why == f"{name} is {value}, so no spans are sent"


@pytest.mark.parametrize(("argument", "code"), [("0", "switched_off"), ("0.0", "switched_off"), ("0.1", ""), ("x", "")])
def test_a_sampler_that_keeps_nothing(argument: str, code: str) -> None:
    env = [
        {"name": "OTEL_TRACES_SAMPLER", "value": "parentbased_traceidratio"},
        {"name": "OTEL_TRACES_SAMPLER_ARG", "value": argument},
    ]
    document = workload(pod_template=template(ON, env=env))
    row = one(document, pod_of(document, created=NEW, inject=True))
    assert (row.code, row.sampler, row.sampler_argument) == (code, "parentbased_traceidratio", argument)


def test_a_service_that_brings_its_own_sdk() -> None:
    env = [
        {"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "value": "http://elsewhere/v1/traces"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=blue,service.name=mine"},
    ]
    document = workload(pod_template=template(env=env))
    row = one(document)
    assert (row.instrumented, row.languages, row.code) == ("yes", ("sdk",), "")
    assert (row.service_name, row.endpoint) == ("mine", "http://elsewhere/v1/traces")


def test_variables_are_read_as_the_kubelet_expands_them() -> None:
    env = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://$(POD).$(LATER):4318"},
        {"name": "LATER", "value": "x"},
    ]
    variables = report.variables_of(pod_of(workload(pod_template=template(env=env))), ["app"])
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://orders-abc-1.$(LATER):4318"
    assert "SECRET" not in variables


# Spans


def test_spans_are_those_of_the_service_name() -> None:
    document = workload(annotations=ON)
    row = one(document, pod_of(document, created=NEW, inject=True))
    (known,) = report.with_spans([row], {"orders": 12}, 15)
    assert (known.spans, known.code) == (12, "")
    (unknown,) = report.with_spans([row], None, 15)
    assert (unknown.spans, unknown.code) == (None, "")
    (none,) = report.with_spans([row], {"other": 12}, 15)
    assert (none.spans, none.code) == (0, "no_spans")
    assert "no span of service orders was counted in the last 15 minutes" in none.why
    for part in ("http://collector:4318", "collector_network_policy_clients", "kubectl -n shop logs deployment/orders"):
        assert part in none.remedy


def test_no_spans_is_not_said_where_the_cause_is_known() -> None:
    (row,) = report.with_spans([one(workload(annotations=ON))], {}, 15)
    assert (row.spans, row.code) == (None, "restart_needed")


# Who owns pods


def test_pods_belong_to_what_can_be_annotated() -> None:
    nightly = workload("nightly", "CronJob", annotations=ON)
    manual = pod_of(nightly)
    manual["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "by-hand", "controller": True}]
    lonely, mirror = pod_of(workload("lonely", annotations=ON)), pod_of(workload("etcd", annotations=ON))
    lonely["metadata"]["ownerReferences"] = []
    mirror["metadata"]["ownerReferences"] = [{"kind": "Node", "name": "n", "controller": True}]
    rollout = pod_of(workload("canary", annotations=ON))
    rollout["metadata"]["labels"] = {"rollouts-pod-template-hash": "abc"}
    manual["metadata"]["name"] = "by-hand-1"
    rows = report.rows(Cluster(nightly, pod_of(nightly), manual, lonely, mirror, rollout).snapshot("shop"), "shop")
    assert [(row.kind, row.name) for row in rows] == [
        ("CronJob", "nightly"),
        ("Job", "by-hand"),
        ("Pod", "lonely-abc-1"),
        ("ReplicaSet", "canary-abc"),
    ]
    remedies = [row.remedy for row in rows]
    assert remedies[0] == remedies[1] == "Its next run is instrumented."
    assert remedies[2].startswith("Delete and create Pod shop/lonely-abc-1 again")


# The table and what it costs


def test_all_namespaces_leave_out_what_asks_for_nothing() -> None:
    asks, silent = workload(annotations=ON), workload("silent")
    snapshot = Cluster(asks, silent, pod_of(asks), pod_of(silent)).snapshot()
    assert [row.name for row in report.rows(snapshot)] == ["orders"]
    assert [row.name for row in report.rows(snapshot, "shop")] == ["orders", "silent"]


def test_the_table() -> None:
    good, old, silent, quiet = workload(annotations=ON), workload("old", annotations=ON), workload("a"), workload("b")
    cluster = Cluster(good, old, silent, quiet, pod_of(good, inject=True), pod_of(old), pod_of(silent), pod_of(quiet))
    rows = report.with_spans(report.rows(cluster.snapshot("shop"), "shop"), {"orders": 1204}, 15)
    assert report.table(rows, True).splitlines()[:6] == [
        "WORKLOAD           INSTRUMENTED  LANGUAGE  AGENT  SERVICE  SAMPLER  SPANS",
        "Deployment a       no            -         -      -        -            -",
        "Deployment b       no            -         -      -        -            -",
        "Deployment old     no            python    -      -        -            -",
        "Deployment orders  yes           python    1.2.3  orders   -         1204",
        "",
    ]
    notes = report.table(rows, True).splitlines()[6:]
    assert notes[0].startswith("Deployment shop/a, Deployment shop/b: neither the pod template")
    assert notes[2:] == [
        "Deployment shop/old: 1 pod started before the policy.",
        "    Restart it: kubectl -n shop rollout restart deployment/old",
    ]
    assert report.summary(rows, "shop") == "1 of 4 workloads of namespace shop are instrumented; 1 must be restarted."
    unknown = report.table(report.rows(cluster.snapshot(), "", "orders"), False, "no prometheus_url is set")
    assert unknown.splitlines() == [
        "WORKLOAD                INSTRUMENTED  LANGUAGE  AGENT  SERVICE  SAMPLER",
        "Deployment shop/orders  yes           python    1.2.3  orders   -",
        "",
        "The numbers of spans are unknown: no prometheus_url is set.",
    ]
    assert report.table([], True) == "No workloads."


def test_requests() -> None:
    cluster = Cluster(workload(annotations=ON), pod_of(workload(annotations=ON)))
    kube = cluster.client()
    report.rows(cluster.snapshot("shop"), "shop")
    assert kube.calls == 0 and len(cluster.asked) == 9 and set(cluster.methods) == {"GET"}
    bare = Cluster(workload(annotations=ON), served=False)
    bare.snapshot("shop")
    assert len(bare.asked) == 7, "no policies are served, so none are listed"


def test_a_namespace_that_does_not_exist() -> None:
    with pytest.raises(NotFound, match="namespace shpo does not exist"):
        Cluster(workload()).snapshot("shpo")


def test_a_namespace_that_may_not_be_read_has_no_annotations() -> None:
    cluster = Cluster(workload(annotations=ON), pod_of(workload(annotations=ON)))
    cluster.on("^GET /api/v1/namespaces/shop$", refused(403, "no"))
    assert row_of(cluster.snapshot("shop")).code == "restart_needed"


def test_a_name_that_no_workload_has() -> None:
    snapshot = Cluster(workload()).snapshot("shop")
    with pytest.raises(NotFound, match=r"namespace shop has no workload order. Did you mean orders\?"):
        report.check_name([], snapshot, "shop", "order")
    report.check_name([], snapshot, "shop", "")


def test_modes() -> None:
    cluster = Cluster(policies=("python",))
    assert report.modes_result(cluster.snapshot().modes) == {
        "resolved": "policy",
        "policy": {
            "version": "admissionregistration.k8s.io/v1beta1",
            "policies": [{"name": INIT, "language": "python", "bound": True}],
        },
        "operator": {"version": "", "webhook": "absent", "instrumentations": []},
        "unreadable": [],
    }
    assert report.modes_result(Cluster(operator=True).snapshot().modes)["resolved"] == "operator"
    assert report.modes_result(Cluster(served=False).snapshot().modes)["resolved"] == "sdk"
    newer = {kind: type(one)(one.group, "v1", one.plural, False) for kind, one in POLICIES.items()}
    both = Cluster(policies=())
    both.resources |= {f"{kind}/v1": one for kind, one in newer.items()}
    both.on("^GET /apis$", _both)
    assert both.snapshot().modes.policy_version == "admissionregistration.k8s.io/v1"


def _both(_request: Any) -> Any:
    """v1alpha1, which cannot be written, v1beta1 and v1."""
    kinds = [
        {"resource": one.plural, "responseKind": {"kind": kind}, "scope": "Cluster"} for kind, one in POLICIES.items()
    ]
    versions = [{"version": version, "resources": kinds} for version in ("v1alpha1", "v1beta1", "v1")]
    items = [{"metadata": {"name": "admissionregistration.k8s.io"}, "versions": versions}]
    from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import answer_of

    return answer_of({"kind": "APIGroupDiscoveryList", "items": items})
