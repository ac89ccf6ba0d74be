# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How preflight's facts are gathered: from a scripted API server, real processes, and a store that says 403."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    PermissionDenied,
    TimedOut,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Answer
from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import Facts, check
from ansible_collections.orion.tracing.plugins.module_utils.preflight.facts import (
    cluster_facts,
    gather,
    helm_facts,
    store_facts,
)
from ansible_collections.orion.tracing.plugins.module_utils.preflight.grafana import NOTHING
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import required
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.instrumentation.made import (
    POLICIES,
    Cluster,
    pod_of,
    policy,
    workload,
)

V = {"tracing_namespace": "tracing", "tempo_s3_credentials_secret": "tempo-s3", "tempo_s3_ca_secret": "tempo-s3"}


KNOWN = {"api_server": "https://k8s.test", "origin": ""}


NAMESPACE = {
    "metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    "status": {"phase": "Active"},
}
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
OBJECTS: list[dict[str, Any]] = [
    {"kind": "Namespace", **NAMESPACE, "metadata": {"name": "tracing", **NAMESPACE["metadata"]}},
    {"kind": "StorageClass", "metadata": {"name": "slow"}},
    {"kind": "StorageClass", "metadata": {"name": "gp3", "annotations": DEFAULT}},
    {
        "kind": "Secret",
        "metadata": {"name": "tempo-s3", "namespace": "tracing"},
        "data": {"secret_key": "c2VjcmV0", "access_key": "a2V5"},
    },
]


def cluster(allowed: bool = True, objects: list[dict[str, Any]] | None = None) -> FakeKube:
    kube = FakeKube(*(OBJECTS if objects is None else objects))
    kube.allowed = lambda _attributes: allowed
    return kube


def facts_of(kube: FakeKube, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    client = kube.client()
    facts = cluster_facts({"variables": V if variables is None else variables}, lambda _: client)
    assert client.closed
    return facts


def lacking(facts: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(verb, one.resource, one.namespace) for one in facts["denied"] for verb in one.verbs}


def test_the_installed_tempo_is_read_from_its_release() -> None:
    values = tempo_values(role_defaults("tempo", object_storage_bucket="traces"))
    document = {"name": "tempo", "namespace": "tracing", "version": 1, "info": {"status": "deployed"}, "config": values}
    secret = {
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": "sh.helm.release.v1.tempo.v1",
            "namespace": "tracing",
            "labels": {"owner": "helm", "name": "tempo", "version": "1", "status": "deployed"},
        },
        "data": {"release": release.encode(document)},
    }
    kube = cluster(objects=[*OBJECTS, secret])
    found = facts_of(kube, V | {"tempo_image_tag": "3.0.3"})["tempo"]
    assert (found.tag, found.line, found.bucket) == ("2.10.8", (2, 10), "traces")


def test_administrators_are_asked_about_once() -> None:
    kube = cluster()
    assert facts_of(kube) == {
        **KNOWN,
        "kubernetes_version": "v1.34.4",
        "namespace_phase": "Active",
        "pod_security": "restricted",
        "storage_classes": {"slow": False, "gp3": True},
        "absent": (),
        "denied": (),
        "secrets": {"tempo-s3": ["access_key", "secret_key"]},
        "tempo": None,
        "tempo_before": None,
        "unreadable": (),
        "kafka": None,
        "grafana": NOTHING,
    }
    assert len(kube.reviews) == 1


def test_kafka_is_asked_where_tempo_writes_to_it() -> None:
    address = f"127.0.0.1:{free_ports()[0]}"
    facts = facts_of(cluster(), {**V, "tempo_profile": "kafka", "tempo_kafka_address": address})
    assert isinstance(facts["kafka"].problem, Unreachable)


def test_what_can_instrument_pods_is_asked_where_it_matters() -> None:
    """And only the permissions that the mode needs are demanded."""
    kube = cluster(allowed=False)
    kube.resources |= POLICIES
    facts = facts_of(kube, {**V, "instrumentation_enabled": True, "instrumentation_mode": "auto"})
    assert facts["modes"].serves == {"policy": "v1beta1", "operator": ""} and "workloads" not in facts
    denied = lacking(facts)
    assert ("create", "mutatingadmissionpolicies", "") in denied and ("list", "cronjobs", "") in denied
    assert "modes" not in facts_of(kube, {**V, "instrumentation_enabled": False})


INSTRUMENTED = {
    **V,
    "instrumentation_enabled": True,
    "instrumentation_mode": "auto",
    "instrumentation_languages": ["java", "sdk"],
}
OTHERS = "MutatingAdmissionPolicy opentelemetry-auto-instrumentation-sdk exists, but does not belong to"


def findings_about(kube: FakeKube, variable: str, **more: Any) -> list[str]:
    given = {**INSTRUMENTED, **more}
    facts = facts_of(kube, given)
    assert kube.writes == []
    return [str(one) for one in check(given, Facts(**facts)) if one.variable == variable]


def test_policies_of_another_owner() -> None:
    helm = "meta.helm.sh/release-"
    java, sdk, python = policy("java"), policy("sdk"), policy("python")
    java["metadata"]["annotations"] = {f"{helm}name": "instrumentation", f"{helm}namespace": "tracing"}
    kube = cluster(objects=[])
    kube.resources |= POLICIES
    for one in (java, sdk, python):
        kube.put(one)
    name = "opentelemetry-auto-instrumentation-sdk"
    assert findings_about(kube, "instrumentation_languages") == [
        f"instrumentation_languages: MutatingAdmissionPolicy {name} exists, but does not belong to the Helm release "
        "instrumentation in namespace tracing: Helm does not replace what somebody else made. Remove it (kubectl "
        f"delete mutatingadmissionpolicy {name}), or take sdk out."
    ]
    sdk["metadata"]["annotations"] = {f"{helm}name": "instrumentation", f"{helm}namespace": "elsewhere"}
    (found,) = findings_about(kube, "instrumentation_languages")
    assert OTHERS in found
    assert findings_about(kube, "instrumentation_languages", instrumentation_mode="sdk") == []


ORDERS = {"namespace": "shop", "name": "orders", "language": "java"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (ORDERS, ""),
        ({**ORDERS, "name": "order"}, "Deployment shop/order does not exist; did you mean Deployment shop/orders?"),
        ({**ORDERS, "namespace": "shpo"}, "namespace shpo does not exist; did you mean shop?"),
        ({**ORDERS, "kind": "Pod", "name": "orders-abc-1"}, "Pod shop/orders-abc-1 belongs to Deployment orders"),
        ({**ORDERS, "containers": ["web"]}, "Deployment shop/orders has no container web"),
        ({**ORDERS, "language": "sdk"}, "the annotations ask for nodejs and sdk in the same container app"),
        ({**ORDERS, "name": "order", "state": "absent"}, ""),
        # Of the list itself, and once.
        ({**ORDERS, "name": "order", "language": "jav"}, "unknown language 'jav'; did you mean java?"),
    ],
)
def test_listed_workloads_are_checked_against_the_cluster(item: dict[str, Any], expected: str) -> None:
    """By the role's own rules, before any role changes something."""
    asked_for = {"instrumentation.opentelemetry.io/inject-nodejs": "true"} if item.get("language") == "sdk" else {}
    document = workload(annotations=asked_for)
    reference = {"kind": "Deployment", "name": "orders", "controller": True}
    replicas = {"name": "orders-abc", "namespace": "shop", "ownerReferences": [reference]}
    found = findings_about(
        Cluster(document, pod_of(document), {"kind": "ReplicaSet", "metadata": replicas}),
        "instrumentation_workloads",
        instrumentation_workloads=[item],
        instrumentation_excluded_namespaces=[],
        instrumentation_sampler="always_on",
    )
    assert len(found) == bool(expected) and expected in " ".join(found)


def test_workloads_that_may_not_be_read_are_a_matter_of_permissions() -> None:
    kube = Cluster(workload())
    kube.allowed = lambda asked: asked["resource"] not in ("*", "deployments")
    kube.refuse("GET /apis/apps/v1/deployments")
    given = {**INSTRUMENTED, "instrumentation_workloads": [ORDERS]}
    facts = facts_of(kube, given)
    assert "workloads" not in facts and facts["modes"].serves["policy"] == "v1beta1"
    assert ("list", "deployments", "") in lacking(facts)
    assert "list deployments.apps in the whole cluster" in " ".join(map(str, check(given, Facts(**facts))))


def test_nothing_is_there_and_nothing_is_set() -> None:
    facts = facts_of(cluster(objects=[]))
    assert (facts["namespace_phase"], facts["storage_classes"], facts["secrets"]) == ("", {}, {"tempo-s3": None})
    assert facts_of(cluster(allowed=False), {})["denied"] == ()


def test_credentials_without_any_right() -> None:
    kube = cluster(allowed=False)
    kube.refuse("GET /api")
    facts = facts_of(kube)
    assert facts["denied"] == tuple(required(V)) and facts["absent"] == ()
    assert ("create", "deployments", "tracing") in lacking(facts)
    assert (facts["storage_classes"], facts["secrets"], facts["unreadable"]) == (None, {}, ("tempo-s3",))


def test_namespaces_that_do_not_exist() -> None:
    """Of these, only the right to create them is told."""
    kube = cluster(objects=OBJECTS[1:])
    kube.allowed = lambda asked: asked["namespace"] == "" and asked["verb"] not in ("*", "create")
    given = {**V, "grafana_provisioning": "sidecar", "grafana_namespace": "monitoring"}
    facts = facts_of(kube, given)
    assert facts["absent"] == ("tracing", "monitoring")
    assert {("create", "namespaces", ""), ("create", "deployments", "tracing")} <= lacking(facts)
    found = [str(one) for one in check(given, Facts(**facts)) if one.variable == "tracing_kubeconfig"]
    (creating,) = [text for text in found if "namespaces" in text]
    assert "may not create namespaces in the whole cluster: namespace monitoring and tracing do not exist" in creating
    assert "playbooks/rbac.yml" in creating and not [text for text in found if "in namespace" in text]


def test_an_unreachable_cluster() -> None:
    silent = Unreachable("no answer")
    kube = cluster()
    kube.on("GET /version", silent)
    assert facts_of(kube) == {**KNOWN, "cluster_error": silent}

    def refuse(params: dict[str, Any]) -> Any:
        raise InvalidInput("kubeconfig x cannot be used")

    assert str(cluster_facts({"variables": V}, refuse)["cluster_error"]) == "kubeconfig x cannot be used."


# --- helm


def program(folder: Path, text: str, mode: int = 0o755) -> str:
    file = folder / "helm"
    file.write_text(text)
    file.chmod(mode)
    return str(file)


@pytest.mark.parametrize("version", ["v3.18.0+gabc", "v3.21.4", "v4.3.1", "v4.0"])
def test_good_helm(tmp_path: Path, version: str) -> None:
    assert helm_facts(program(tmp_path, f"#!/bin/sh\necho {version}\n")) == {"helm_version": version}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho v3.17.4+gabc\n", "is helm v3.17.4+gabc: helm 3.18 or newer is needed"),
        ("#!/bin/sh\necho v2.16.0\n", "is helm v2.16.0"),
        ("#!/bin/sh\necho hello\n", "does not behave like helm: hello"),
        ("#!/bin/sh\necho v3.18.0; exit 3\n", "does not behave like helm"),
        ("#!/bin/sh\nexit 3\n", "it ended with 3"),
        ("#!/nowhere/interpreter\n", "cannot be started"),
    ],
)
def test_wrong_helm(tmp_path: Path, script: str, words: str) -> None:
    error = str(helm_facts(program(tmp_path, script))["helm_error"])
    assert words in error and "tracing_helm_binary" in error


def test_missing_helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no helm on PATH" in str(helm_facts("helm")["helm_error"])
    assert "/nowhere/helm is not an executable file" in str(helm_facts("/nowhere/helm")["helm_error"])
    program(tmp_path, "#!/bin/sh\n", mode=0o644)
    assert "helm is missing" in str(helm_facts("helm")["helm_error"])


def test_one_process_and_an_end(tmp_path: Path) -> None:
    calls = []

    def slow(argv: list[str], env: Any, stdin: str, seconds: float) -> Answer:
        calls.append((argv[1:], seconds))
        raise TimedOut("helm did not end")

    assert "did not end" in str(helm_facts(program(tmp_path, "#!/bin/sh\n"), slow)["helm_error"])
    assert calls == [(["version", "--short"], 20.0)]


# --- the store


class Store(Handler):
    status = 200

    def do_HEAD(self) -> None:
        self.send_response(self.status)
        self.send_header("x-amz-bucket-region", "eu-west-1")
        self.end_headers()

    def do_GET(self) -> None:
        self.answer(self.status, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")


def store_answer(status: int, name: str = "traces") -> dict[str, Any]:
    with serving(type("Answering", (Store,), {"status": status})) as url:
        keys = {"endpoint_url": url, "access_key": "a", "secret_key": "b", "region": "us-east-1"}
        return store_facts({"variables": {"object_storage_bucket": name}, "s3": keys})


def test_bucket() -> None:
    assert store_answer(200) == {"bucket_exists": True, "bucket_region": "eu-west-1"}
    assert store_answer(404) == {"bucket_exists": False, "bucket_region": ""}
    denied = store_answer(403)["s3_error"]
    assert isinstance(denied, PermissionDenied) and denied.details["status"] == 403
    assert "s3:ListBucket on bucket traces was refused" in str(denied)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"tracing_store": "tempo"}, True),
        ({"tracing_store": "otlp"}, False),
        ({"tracing_store": "otlp", "object_storage_manage": True}, True),
        ({"tracing_store": "otlp", "collector_exporters": [{"name": "a", "protocol": "grpc"}]}, False),
        ({"tracing_store": "otlp", "collector_exporters": [{"name": "a", "protocol": "s3"}]}, True),
        ({"tracing_store": "otlp", "collector_exporters": [{"name": "a", "protocol": "s3", "bucket": "traces"}]}, True),
        ({"tracing_store": "otlp", "collector_exporters": [{"name": "a", "protocol": "s3", "bucket": "b"}]}, False),
        ({"tracing_store": "otlp", "collector_exporters": "none"}, False),
    ],
)
def test_a_bucket_that_this_host_does_not_use_is_not_asked_for(changes: dict[str, Any], asked: bool) -> None:
    keys = {"endpoint_url": "http://127.0.0.1:1", "access_key": "a", "secret_key": "b", "region": "us-east-1"}
    variables = {"object_storage_bucket": "traces", "object_storage_manage": False, **changes}
    assert ("s3_error" in store_facts({"variables": variables, "s3": keys})) is asked


def test_no_bucket_to_ask_for() -> None:
    assert store_answer(403, "Not_A_Bucket") == {}
    assert store_facts({"variables": {}}) == {}


def test_unreachable_store() -> None:
    keys = {"endpoint_url": "http://127.0.0.1:1", "access_key": "a", "secret_key": "b", "region": "us-east-1"}
    answer = store_facts({"variables": {"object_storage_bucket": "traces"}, "s3": keys})
    assert isinstance(answer["s3_error"], Unreachable) and "http://127.0.0.1:1" in str(answer["s3_error"])


def test_gather_puts_it_all_together(tmp_path: Path) -> None:
    binary = program(tmp_path, "#!/bin/sh\necho v4.3.1\n")
    facts = gather({"variables": V, "binary_path": binary}, lambda _: cluster().client())
    assert (facts.kubernetes_version, facts.helm_version, facts.default_storage_class) == ("v1.34.4", "v4.3.1", "gp3")
    assert facts.bucket_exists is None and facts.s3_error is None
