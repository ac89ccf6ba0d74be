# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What instrumentation_workloads refuses, changes, waits for and reports, on a cluster in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    PartialFailure,
    TimedOut,
    ToolError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.run import WantedWorkloads, instrument
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import (
    MANAGER,
    RESTARTED_AT,
    entries,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import answer_of, refused
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.instrumentation.made import (
    NEW,
    OLD,
    PREFIX,
    Cluster,
    StoppedClock,
    namespace,
    owned_by,
    pod_of,
    template,
    workload,
)

PYTHON, JAVA = f"{PREFIX}inject-python", f"{PREFIX}inject-java"
ORDERS = {"namespace": "shop", "name": "orders", "language": "python"}
# instrumentation_* as far as the environment of mode sdk needs them.
VARIABLES = {
    "tracing_namespace": "tracing",
    "instrumentation_sampler": "parentbased_traceidratio",
    "instrumentation_sampler_argument": 1.0,
    "instrumentation_log_correlation": True,
    "instrumentation_logs_enabled": False,
    "instrumentation_baggage_attributes": [],
    "instrumentation_endpoint": "http://otel-collector.tracing.svc:4318",
    "instrumentation_protocol": "http/protobuf",
    "instrumentation_propagators": ["tracecontext", "baggage"],
    "instrumentation_environment": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cr3t"},
}


def shop(document: dict[str, Any] | None = None, **more: Any) -> Cluster:
    """A cluster with one workload and a pod from before the policies."""
    document = document or workload()
    return Cluster(document, pod_of(document), **more)


def run(cluster: Cluster, *items: dict[str, Any], clock: StoppedClock | None = None, **wanted: Any) -> Plan:
    listed, findings = entries(list(items), "workloads")
    assert not findings
    said: list[str] = []
    plan = instrument(cluster.client(), WantedWorkloads(listed, **wanted), clock or StoppedClock(), said.append)
    plan.result["said"] = said
    return plan


def annotations_of(cluster: Cluster, name: str = "orders") -> dict[str, str]:
    found: dict[str, str] = cluster.deployed(name)["spec"]["template"]["metadata"]["annotations"]
    return found


def env_of(cluster: Cluster, name: str = "orders") -> dict[str, Any]:
    container = cluster.deployed(name)["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one.get("value") for one in container.get("env", [])}


def refusals(call: Callable[[], Any]) -> list[str]:
    with pytest.raises(InvalidVariables) as caught:
        call()
    return [str(finding) for finding in caught.value.findings]


# Bad input, before anything is read


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({**ORDERS, "language": "pyton"}, "workloads[0].language: unknown language 'pyton'; did you mean python?"),
        ({**ORDERS, "language": "cobol"}, "sdk is for services that bring their own SDK"),
        ({**ORDERS, "kind": "Service"}, "workloads[0].kind: Service does not own pods that can be instrumented."),
        ({**ORDERS, "kind": "deployment"}, "did you mean Deployment?"),
        ({**ORDERS, "state": "gone"}, "workloads[0].state: is 'gone'. Use present or absent."),
        ({**ORDERS, "sampler_argument": 1.5}, "workloads[0].sampler_argument: is '1.5', not a number from 0 to 1."),
        ({**ORDERS, "sampler_argument": "much"}, "is 'much', not a number"),
        ({**ORDERS, "namespace": "kube-system"}, "is in instrumentation_excluded_namespaces"),
        ({"namespace": "shop", "language": "java"}, "workloads[0].name: is missing"),
        ({"namespace": "shop", "name": "orders"}, "workloads[0].language: is missing"),
        ({**ORDERS, "langage": "java"}, "workloads[0].langage: is not a key of a workload; did you mean language?"),
        ({**ORDERS, "containers": "app"}, "workloads[0].containers: is not a list of names."),
        ("orders", "workloads[0]: is not a mapping"),
    ],
)
def test_entries_that_cannot_be_right(item: Any, expected: str) -> None:
    _found, findings = entries([item], "workloads", ["kube-system"])
    assert expected in " ".join(map(str, findings))


def test_an_entry_twice_and_all_errors_at_once() -> None:
    _found, findings = entries([ORDERS, {**ORDERS, "language": "ruby"}, ORDERS, {**ORDERS, "language": "java"}], "w")
    assert [str(one.place) for one in findings] == ["w[1].language", "w[2]", "w[3]"]
    assert "Deployment shop/orders is listed twice for python. Keep this or w[0]." in str(findings[1])


def test_what_is_no_list() -> None:
    assert "is not a list" in str(entries({"name": "orders"}, "workloads")[1][0])


# What the cluster shows to be wrong


def test_everything_that_is_wrong_is_reported_at_once_and_nothing_changes() -> None:
    job = {
        "kind": "Job",
        "metadata": {
            "name": "nightly-1",
            "namespace": "shop",
            "ownerReferences": [{"kind": "CronJob", "name": "nightly", "controller": True}],
        },
    }
    lonely = {"kind": "Pod", "metadata": {"name": "debug", "namespace": "shop"}, "spec": {"containers": []}}
    replicas = {
        "kind": "ReplicaSet",
        "metadata": {
            "name": "orders-abc",
            "namespace": "shop",
            "ownerReferences": [{"kind": "Deployment", "name": "orders", "controller": True}],
        },
    }
    off = workload("off", annotations={PYTHON: "false"})
    java = workload("java", annotations={JAVA: "true"})
    own = workload("own", pod_template=template(env=[{"name": "OTEL_TRACES_SAMPLER", "value": "always_on"}]))
    cluster = Cluster(workload(), pod_of(workload()), job, lonely, replicas, off, java, own, namespace("billing"))
    found = refusals(
        lambda: run(
            cluster,
            {**ORDERS, "name": "order"},
            {**ORDERS, "namespace": "shpo"},
            {**ORDERS, "namespace": "billing"},
            {**ORDERS, "kind": "StatefulSet"},
            {**ORDERS, "kind": "Job", "name": "nightly-1"},
            {**ORDERS, "kind": "Pod", "name": "orders-abc-1"},
            {**ORDERS, "kind": "Pod", "name": "debug"},
            {**ORDERS, "kind": "ReplicaSet", "name": "gone"},
            {**ORDERS, "containers": ["web"]},
            {**ORDERS, "name": "off"},
            {**ORDERS, "name": "own", "sampler_argument": 0.5},
            {**ORDERS, "name": "java"},
        )
    )
    assert [text.partition(": ")[2].partition(". ")[0] for text in found] == [
        "Deployment shop/order does not exist; did you mean Deployment shop/orders? Correct it, or install the "
        "workload first; state absent needs none.",
        "namespace shpo does not exist; did you mean shop? Correct it, or create the namespace and the workload first.",
        "Deployment billing/orders does not exist; did you mean Deployment shop/orders? Correct it, or install the "
        "workload first; state absent needs none.",
        "StatefulSet shop/orders does not exist; did you mean Deployment shop/orders? Correct it, or install the "
        "workload first; state absent needs none.",
        "Job shop/nightly-1 belongs to CronJob nightly: it may be replaced any time",
        "Pod shop/orders-abc-1 belongs to Deployment orders: it may be replaced any time",
        "Pod shop/debug cannot be instrumented where it is",
        "ReplicaSet shop/gone does not exist",
        "Deployment shop/orders has no container web",
        f'Deployment shop/off opts out: its pod template sets {PYTHON} to "false": someone else set it',
        "Deployment shop/own sets OTEL_TRACES_SAMPLER itself in container app: what a workload sets itself is not "
        "overridden",
        "Deployment shop/java: the annotations ask for java and python in the same container app",
    ]
    assert cluster.writes == [] and "PATCH" not in cluster.methods and "POST" not in cluster.methods


@pytest.mark.parametrize("where", ["pod template", "namespace"])
def test_annotations_that_contradict_the_list(where: str) -> None:
    on_template = where == "pod template"
    document = workload(annotations={JAVA: "true"} if on_template else {})
    cluster = Cluster(document, namespace(annotations={} if on_template else {JAVA: "true"}))
    (found,) = refusals(lambda: run(cluster, ORDERS))
    assert "Deployment shop/orders: the annotations ask for java and python in the same container app" in found


def test_two_languages_in_containers_of_their_own() -> None:
    body = template()
    body["spec"]["containers"].append({"name": "web", "image": "web:1"})
    cluster = shop(workload(pod_template=body))
    run(cluster, ORDERS, {**ORDERS, "language": "java", "containers": ["web"]})
    assert annotations_of(cluster) == {PYTHON: "true", JAVA: "true", f"{PREFIX}java-container-names": "web"}
    assert not run(cluster, ORDERS, {**ORDERS, "language": "java", "containers": ["web"]}).changed
    (found,) = refusals(lambda: run(cluster, ORDERS, {**ORDERS, "language": "nodejs", "containers": ["app"]}))
    assert "nodejs and python in the same container app" in found


@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [
        ("policy", {"served": False}, "mode: is policy, but the cluster does not serve MutatingAdmissionPolicy in v1"),
        ("operator", {}, "mode: is operator, but the cluster does not have the OpenTelemetry Operator's Instr"),
        ("operator", {"variables": {"instrumentation_mode": "operator"}}, "instrumentation_mode: is operator, but"),
    ],
)
def test_a_mode_that_the_cluster_does_not_have(mode: str, more: dict[str, Any], expected: str) -> None:
    cluster = shop(served=more.pop("served", True))
    (found,) = refusals(lambda: run(cluster, ORDERS, mode=mode, **more))
    assert expected in found and cluster.writes == [] and set(cluster.methods) == {"GET"}


def test_a_cluster_that_serves_neither_api() -> None:
    (found,) = refusals(lambda: run(shop(served=False), ORDERS, variables=VARIABLES))
    assert "python cannot be instrumented in mode sdk" in found and "If the service brings its own SDK" in found
    with pytest.raises(InvalidInput, match="mode sdk needs the option variables"):
        run(shop(served=False), ORDERS)


# Changes


def test_a_workload_is_annotated_rolled_out_and_unchanged_the_second_time() -> None:
    cluster = shop()
    plan = run(cluster, ORDERS)
    assert plan.changed and [step.name for step in plan.steps] == ["instrument Deployment shop/orders"]
    assert annotations_of(cluster) == {PYTHON: "true"}
    (row,) = plan.result["workloads"]
    assert (row["instrumented"], row["pods"], row["action"], row["languages"]) == ("yes", 1, "instrument", ["python"])
    assert plan.diff == [
        {
            "before_header": "Deployment shop/orders, pod template",
            "after_header": "Deployment shop/orders, pod template",
            "before": "",
            "after": f"annotation {PYTHON}: true\n",
        }
    ]
    before = len(cluster.asked)
    again = run(cluster, ORDERS)
    assert not again.changed and again.diff == [] and set(cluster.methods[before:]) == {"GET"}
    # Modes (discovery, policies, bindings), namespaces, four kinds of workloads, pods.
    assert again.result["api_calls"] == len(cluster.asked) - before == 9


def test_check_mode_shows_the_same_and_writes_nothing() -> None:
    cluster = shop()
    checked = run(cluster, ORDERS, check=True)
    assert checked.changed and cluster.writes == [] and annotations_of(cluster) == {}
    assert checked.result["api_calls"] == 11, "two dry runs more than the reads"
    done = run(cluster, ORDERS)
    assert done.diff == checked.diff and done.steps[0].name == checked.steps[0].name
    assert set(done.result) == set(checked.result)


def test_check_mode_before_the_policies_are_installed() -> None:
    other = workload("gateway", annotations={PYTHON: "true"})
    cluster = Cluster(workload(), other, pod_of(other), policies=())
    plan = run(cluster, ORDERS, check=True)
    assert plan.changed and plan.warnings == [], "the same run installs them"


def test_a_workload_that_is_annotated_already_is_restarted_once() -> None:
    cluster = shop(workload(annotations={PYTHON: "true"}))
    plan = run(cluster, ORDERS)
    assert [step.name for step in plan.steps] == ["restart Deployment shop/orders"]
    assert annotations_of(cluster) == {PYTHON: "true", RESTARTED_AT: NEW}
    assert not run(cluster, ORDERS).changed


def test_a_restart_is_kept_when_something_else_changes_later() -> None:
    cluster = shop(workload(annotations={PYTHON: "true"}))
    run(cluster, ORDERS)
    clock = StoppedClock()
    clock.now = 3600.0
    run(cluster, {**ORDERS, "sampler_argument": 0.5}, clock=clock)
    assert annotations_of(cluster)[RESTARTED_AT] == NEW


def test_absent_removes_what_was_added_and_nothing_else() -> None:
    before = workload(annotations={"team": "blue"}, pod_template=None)
    before["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    cluster = shop(before)
    original = cluster.deployed()["spec"]
    run(cluster, {**ORDERS, "containers": ["app"], "sampler_argument": 0.1})
    assert env_of(cluster) == {
        "A": "1",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    assert annotations_of(cluster)[f"{PREFIX}python-container-names"] == "app"
    absent = {"namespace": "shop", "name": "orders", "state": "absent"}
    plan = run(cluster, absent)
    assert [step.name for step in plan.steps] == ["remove Deployment shop/orders"]
    assert "annotation" in plan.diff[0]["before"] and plan.diff[0]["after"] == ""
    assert cluster.deployed()["spec"] == original
    assert not run(cluster, absent).changed
    assert not run(cluster, {**absent, "name": "gone"}).changed, "what does not exist is absent"


def test_annotations_of_others_that_ask_for_the_same_are_left_to_them() -> None:
    document = owned_by(workload(), "helm", **{PYTHON: "tracing/default"})
    cluster = Cluster(document, pod_of(document, inject=True))
    assert not run(cluster, ORDERS).changed
    run(cluster, {**ORDERS, "sampler_argument": 1})
    assert annotations_of(cluster) == {PYTHON: "tracing/default"}
    assert env_of(cluster)["OTEL_TRACES_SAMPLER_ARG"] == "1"


def test_the_manager_of_an_opt_out_is_named() -> None:
    (found,) = refusals(lambda: run(Cluster(owned_by(workload(), "helm", **{PYTHON: "false"})), ORDERS))
    assert "field manager helm set it" in found


def test_another_language_replaces_the_first() -> None:
    cluster = shop()
    run(cluster, ORDERS)
    plan = run(cluster, {**ORDERS, "language": "java"})
    assert annotations_of(cluster) == {JAVA: "true"}
    assert plan.diff[0]["before"] == f"annotation {PYTHON}: true\n"


@pytest.mark.parametrize(
    ("kind", "plural", "group"), [("StatefulSet", "statefulsets", "apps"), ("DaemonSet", "daemonsets", "apps")]
)
def test_other_kinds_with_pods(kind: str, plural: str, group: str) -> None:
    document = workload("ledger", kind)
    cluster = Cluster(document, pod_of(document))
    plan = run(cluster, {"namespace": "shop", "kind": kind, "name": "ledger", "language": "java"})
    assert plan.result["workloads"][0]["instrumented"] == "yes"
    assert cluster.deployed("ledger", plural, group)["spec"]["template"]["metadata"]["annotations"] == {JAVA: "true"}


def test_a_cron_job_is_annotated_without_waiting() -> None:
    cluster = Cluster(workload("nightly", "CronJob"))
    item = {"namespace": "shop", "kind": "CronJob", "name": "nightly", "language": "java"}
    plan = run(cluster, item)
    assert plan.result["workloads"][0]["instrumented"] == "no pods"
    body = cluster.deployed("nightly", "cronjobs", "batch")["spec"]["jobTemplate"]["spec"]["template"]
    assert body["metadata"]["annotations"] == {JAVA: "true"}
    assert not run(cluster, item).changed


def test_claims_of_a_stateful_set_are_volumes_of_the_pod_that_is_tried() -> None:
    claim = {"metadata": {"name": "data"}}
    document = workload("ledger", "StatefulSet", volumeClaimTemplates=[claim])
    cluster = Cluster(document, pod_of(document))
    run(cluster, {"namespace": "shop", "kind": "StatefulSet", "name": "ledger", "language": "java"})
    (tried,) = [one.document for one in cluster.asked if one.method == "POST"]
    assert tried["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]


def test_operator_mode_names_the_instrumentation_of_the_tracing_namespace() -> None:
    cluster = shop(operator=True)
    cluster.put({"kind": "Instrumentation", "metadata": {"name": "default", "namespace": "tracing"}})
    plan = run(cluster, ORDERS, variables=VARIABLES)
    assert plan.result["mode"] == "operator" and annotations_of(cluster) == {PYTHON: "tracing/default"}


def test_sdk_mode_writes_the_environment_without_overriding_anything() -> None:
    body = template(env=[{"name": "OTEL_PROPAGATORS", "value": "b3"}, {"name": "PASSWORD", "value": "hunter22"}])
    cluster = shop(workload(pod_template=body), served=False)
    item = {**ORDERS, "language": "sdk", "sampler_argument": 0.25}
    plan = run(cluster, item, variables=VARIABLES)
    env = env_of(cluster)
    assert env["OTEL_PROPAGATORS"] == "b3" and env["OTEL_SERVICE_NAME"] == "orders"
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector.tracing.svc:4318"
    assert env["OTEL_TRACES_SAMPLER_ARG"] == "0.25"
    assert plan.result["workloads"][0]["instrumented"] == "yes"
    shown = str(plan.diff)
    assert "OTEL_EXPORTER_OTLP_HEADERS: not shown" in shown and "s3cr3t" not in shown and "hunter22" not in shown
    assert not run(cluster, item, variables=VARIABLES).changed
    run(cluster, {**item, "state": "absent"}, variables=VARIABLES)
    assert env_of(cluster) == {"OTEL_PROPAGATORS": "b3", "PASSWORD": "hunter22"}


# Refused before anything changes


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": seccompProfile',
            "pod-security.kubernetes.io",
        ),
        ('pods "x" is forbidden: exceeded quota: q, used: pods=8, limited: pods=8', "Raise the quota"),
        ("spec.containers[0].image: Required value", "Correct the pod template."),
    ],
)
def test_pods_that_would_be_refused(message: str, expected: str) -> None:
    cluster = shop()
    cluster.on("^POST .*/pods$", refused(403, message))
    (found,) = refusals(lambda: run(cluster, ORDERS))
    assert message in found and expected in found and cluster.writes == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (workload(), 'pods is forbidden: User "ci" cannot create resource "pods" in API group ""'),
        (workload(), 'admission webhook "w" does not support dry run'),
        (workload(strategy={"type": "Recreate"}), "exceeded quota: q, used: pods=8, limited: pods=8"),
        (workload(replicas=4), "exceeded quota: q, used: pods=8, limited: pods=8"),
    ],
)
def test_a_trial_that_proves_nothing_is_a_warning(document: dict[str, Any], message: str) -> None:
    cluster = shop(document)
    cluster.on("^POST .*/pods$", refused(403, message))
    plan = run(cluster, ORDERS)
    assert plan.changed and "was not tried" in plan.warnings[0] and message in plan.warnings[0]


def test_a_change_that_the_api_server_refuses() -> None:
    cluster = shop()
    cluster.on("^PATCH ", refused(422, "spec.template: Invalid value"))
    (found,) = refusals(lambda: run(cluster, ORDERS))
    assert "the API server refuses to change Deployment shop/orders" in found and "Invalid value" in found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"policies": ()}, "no policy for python is installed"),
        ({"policies": ("java",)}, "Add python to instrumentation_languages"),
        ({"operator": True}, "the OpenTelemetry Operator is there, but no Instrumentation resource"),
    ],
)
def test_nothing_that_would_instrument_the_new_pods(more: dict[str, Any], expected: str) -> None:
    cluster = shop(**more)
    cluster.active = False
    clock = StoppedClock()
    (found,) = refusals(lambda: run(cluster, ORDERS, clock=clock, mode="operator" if "operator" in more else "policy"))
    assert expected in found and cluster.writes == [] and clock.now == 0.0


def test_a_container_that_a_policy_cannot_extend() -> None:
    body = template(env=[{"name": "PYTHONPATH", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])
    cluster = shop(workload(pod_template=body))
    cluster.active = False
    (found,) = refusals(lambda: run(cluster, ORDERS))
    assert "container app takes PYTHONPATH from a Secret, so it cannot be extended" in found


def test_a_policy_that_is_not_in_effect_yet_is_waited_for() -> None:
    cluster = shop()
    cluster.active = False
    clock = StoppedClock()

    def later() -> None:
        cluster.active = clock.now >= 3

    clock.on_sleep = later
    plan = run(cluster, ORDERS, clock=clock)
    assert plan.result["workloads"][0]["instrumented"] == "yes" and clock.now == 3.0
    assert "waiting until the policy instruments new pods" in plan.result["said"]


def test_a_policy_that_never_takes_effect() -> None:
    cluster = shop()
    cluster.active = False
    clock = StoppedClock()
    (found,) = refusals(lambda: run(cluster, ORDERS, clock=clock))
    assert "the API server accepts its pods without the agent" in found and cluster.writes == []
    assert clock.now == 60.0


def webhook(ready: bool | None) -> list[dict[str, Any]]:
    service = {"namespace": "operators", "name": "opentelemetry-operator-webhook", "path": "/mutate-v1-pod"}
    return [
        {"kind": "Instrumentation", "metadata": {"name": "default", "namespace": "tracing"}},
        {
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "opentelemetry-operator-mutation"},
            "webhooks": [{"name": "other", "clientConfig": {}}, {"name": "mpod", "clientConfig": {"service": service}}],
        },
        {
            "kind": "EndpointSlice",
            "metadata": {
                "name": "s",
                "namespace": "operators",
                "labels": {"kubernetes.io/service-name": "opentelemetry-operator-webhook"},
            },
            "endpoints": [{"conditions": {} if ready is None else {"ready": ready}}],
        },
    ]


def test_restarts_wait_for_the_operators_webhook() -> None:
    cluster = shop(operator=True)
    for one in webhook(False):
        cluster.put(one)
    cluster.active = False
    clock = StoppedClock()

    def later() -> None:
        if clock.now >= 5:
            cluster.active = True
            for one in webhook(True):
                cluster.put(one)

    clock.on_sleep = later
    run(cluster, ORDERS, clock=clock, variables=VARIABLES)
    assert clock.now == 5.0
    tries = [index for index, one in enumerate(cluster.asked) if one.method == "POST"]
    slices = [index for index, one in enumerate(cluster.asked) if "endpointslices" in one.path]
    assert len(tries) == 2 and slices[-2] < tries[1], "pods are tried again only once the webhook answers"


def test_a_webhook_that_never_answers() -> None:
    cluster = shop(operator=True)
    for one in webhook(False):
        cluster.put(one)
    cluster.active = False
    (found,) = refusals(lambda: run(cluster, ORDERS, variables=VARIABLES))
    assert "no pod answers for the webhook of the OpenTelemetry Operator" in found


def test_an_endpoint_without_a_condition_is_ready() -> None:
    cluster = Cluster(*webhook(None), operator=True)
    assert cluster.snapshot().modes.webhook == "ready"


# Waiting


class Failing:
    """Pods of a rollout that does not end, with a status of their own."""

    def __init__(self, document: dict[str, Any], **status: Any) -> None:
        self.cluster, self.clock = shop(document), StoppedClock()
        self.cluster.stuck = True
        self.document, self.status = document, status
        self.clock.on_sleep = self.begin

    def begin(self) -> None:
        current = self.cluster.objects[self.cluster.path_of(self.document)]
        current["status"].update(observedGeneration=current["metadata"]["generation"], updatedReplicas=0)
        current["status"].update(self.status.get("controller", {}))
        if "pod" in self.status:
            pod = self.cluster.admitted(pod_of(current, 7, NEW))
            self.cluster.put({**pod, "status": self.status["pod"]})

    def run(self, kind: str = "Deployment") -> ToolError:
        with pytest.raises(ToolError) as caught:
            run(self.cluster, {**ORDERS, "kind": kind}, clock=self.clock)
        assert caught.value.details["not_ready"] == [f"{kind} shop/orders"]
        return caught.value


def waiting(name: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}, **more}


INIT = "opentelemetry-auto-instrumentation-python"


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("manifest unknown", 2.0),
        # May pass, so it has to last.
        ("dial tcp: lookup registry.example: no such host", 22.0),
    ],
)
def test_an_agent_image_that_cannot_be_pulled(message: str, seconds: float) -> None:
    failing = Failing(
        workload(),
        pod={"phase": "Pending", "initContainerStatuses": [waiting(INIT, "ImagePullBackOff", message)]},
    )
    text = str(failing.run())
    assert (
        f"init container {INIT} of pod orders-abc-7 cannot pull registry.example/agent-python:1.2.3 (ImagePullBackOff: "
        f"{message}); the pod waits for it. Set instrumentation_python_image_repository and "
        f"instrumentation_python_image_tag to an image that the nodes can pull, or set the annotation {PYTHON} to "
        '"false".' in text
    )
    assert failing.clock.now == seconds


def test_an_image_of_the_workload_itself_that_cannot_be_pulled() -> None:
    status = {"phase": "Pending", "containerStatuses": [waiting("app", "InvalidImageName", "bad")]}
    text = str(Failing(workload(), pod=status).run())
    assert "container app of pod orders-abc-7 cannot pull shop:1 (InvalidImageName: bad)" in text


def test_a_container_that_crashes_is_shown_with_the_end_of_its_log() -> None:
    ended = {"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    status = {
        "phase": "Running",
        "containerStatuses": [waiting("app", "CrashLoopBackOff", "back-off", restartCount=3, ready=False, **ended)],
    }
    failing = Failing(workload(), pod=status)
    failing.cluster.on("^GET .*/pods/orders-abc-7/log$", answer_of("ImportError: no module named x"))
    error = failing.run()
    assert "container app: CrashLoopBackOff" in error.why and "ImportError: no module named x" in error.why
    assert "kubectl -n shop rollout undo deployment/orders" in error.remedy


def test_a_container_that_crashed_twice_may_still_start() -> None:
    status = {"phase": "Running", "containerStatuses": [waiting("app", "CrashLoopBackOff", restartCount=2)]}
    failing = Failing(workload(), pod=status)
    with pytest.raises(TimedOut, match="1 rollout did not end within 300 seconds"):
        run(failing.cluster, ORDERS, clock=failing.clock)


def test_an_init_container_that_fails() -> None:
    status = {"phase": "Pending", "initContainerStatuses": [waiting(INIT, "CrashLoopBackOff", "back-off 10s")]}
    text = str(Failing(workload(), pod=status).run())
    assert f"init container {INIT} (registry.example/agent-python:1.2.3) of pod orders-abc-7 fails" in text


def test_pods_that_the_controller_may_not_create() -> None:
    quota = 'pods "orders-1" is forbidden: exceeded quota: q'
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": quota}]
    failing = Failing(workload(), controller={"conditions": conditions})
    assert quota in str(failing.run()) and failing.clock.now == 22.0, "it has to last"
    security = 'pods "orders-1" is forbidden: violates PodSecurity "restricted:latest"'
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": security}]
    failing = Failing(workload(), controller={"conditions": conditions})
    assert security in str(failing.run()) and failing.clock.now == 2.0


def test_pods_of_a_stateful_set_that_are_refused_are_read_from_events() -> None:
    document = workload("orders", "StatefulSet")
    event = {
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "shop"},
        "reason": "FailedCreate",
        "lastTimestamp": NEW,
        "involvedObject": {"kind": "StatefulSet", "namespace": "shop", "name": "orders"},
        "message": 'create Pod orders-0 failed: violates PodSecurity "restricted:latest"',
    }
    status = {"updateRevision": "b", "currentRevision": "a", "readyReplicas": 0}
    failing = Failing(document, controller=status)
    failing.cluster.put(event)
    assert "violates PodSecurity" in str(failing.run("StatefulSet"))
    earlier = {**event, "lastTimestamp": OLD}
    failing = Failing(document, controller=status)
    failing.cluster.put(earlier)
    with pytest.raises(TimedOut):
        run(failing.cluster, {**ORDERS, "kind": "StatefulSet"}, clock=failing.clock)


def test_a_deadline_of_the_deployment_ends_the_wait() -> None:
    conditions = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "has timed out: deadline"}]
    assert "has timed out" in str(Failing(workload(), controller={"conditions": conditions}).run())


def test_a_rollout_of_somebody_else_is_a_warning() -> None:
    document = workload(annotations={PYTHON: "true"}, replicas=2)
    document["status"]["updatedReplicas"] = 1
    cluster = Cluster(document, pod_of(document, 1, NEW, inject=True), pod_of(document, 2, NEW, inject=True))
    plan = run(cluster, ORDERS)
    assert not plan.changed
    assert plan.warnings == ["the rollout of Deployment shop/orders has not ended: 1 of 2 pods updated, 2 available"]


def test_without_wait_nothing_is_waited_for() -> None:
    cluster = shop()
    cluster.stuck = True
    clock = StoppedClock()
    plan = run(cluster, ORDERS, clock=clock, wait=False)
    assert plan.changed and clock.now == 0.0


def test_pods_without_an_agent_after_their_rollout_fail() -> None:
    cluster = shop()
    tries = cluster.admitted

    def only_tries(pod: dict[str, Any]) -> dict[str, Any]:
        return tries(pod) if "generateName" in pod["metadata"] else pod

    cluster.admitted = only_tries  # type: ignore[method-assign]
    with pytest.raises(ToolError, match="pods of Deployment shop/orders are not instrumented after their rollout"):
        run(cluster, ORDERS)


def test_one_of_several_changes_that_fails_names_the_others() -> None:
    other = workload("gateway")
    cluster = Cluster(workload(), other)
    cluster.on("^PATCH .*/gateway$", lambda request: None if "dryRun" in request.query else refused(409, "busy"))
    with pytest.raises(PartialFailure) as caught:
        run(cluster, ORDERS, {**ORDERS, "name": "gateway"})
    assert caught.value.details == {
        "done": ["instrument Deployment shop/orders"],
        "failed": ["instrument Deployment shop/gateway"],
    }


# The others


def test_workloads_that_are_not_listed_are_reported() -> None:
    gateway = workload("gateway", annotations={PYTHON: "true"}, replicas=2)
    inherits = workload("pricing", namespace="billing")
    ruby = workload("web", annotations={f"{PREFIX}inject-ruby": "true"})
    off = workload("off", annotations={PYTHON: "false"})
    cluster = Cluster(
        *(gateway, inherits, ruby, off),
        *(pod_of(gateway, 1), pod_of(gateway, 2), pod_of(inherits), pod_of(ruby), pod_of(off)),
        namespace("billing", {JAVA: "true"}),
    )
    plan = run(cluster)
    assert not plan.changed
    assert plan.warnings == [
        "3 pods started before the policy and are not instrumented: Deployment billing/pricing (1), Deployment "
        "shop/gateway (2). To restart them: kubectl -n billing rollout restart deployment/pricing; kubectl -n shop "
        "rollout restart deployment/gateway",
        "Deployment shop/web is not instrumented: the annotation instrumentation.opentelemetry.io/inject-ruby of the "
        "pod names an unknown language. The languages are python, java, nodejs, dotnet, sdk.",
    ]
    assert [row["name"] for row in plan.result["not_instrumented"]] == ["pricing", "gateway", "web"]


def test_every_write_has_the_manager_of_its_own() -> None:
    cluster = shop()
    run(cluster, ORDERS)
    assert [one.query["fieldManager"] for one in cluster.writes] == [MANAGER]
