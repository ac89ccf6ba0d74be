# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the policies make of pods, by dry runs on a real API server: every rule, every language, pods of every shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import settings
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    AGENTS,
    FIELDS,
    LANGUAGES,
    RESTRICTED,
    Language,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.admission.conftest import VARIABLES
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

I = "instrumentation.opentelemetry.io/"  # noqa: E741
ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
OWN = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
Pod = dict[str, Any]
Make = Callable[..., Pod]


def container(name: str = "app", image: str = "registry.example:5000/shop/app:1.2.3", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "securityContext": OWN, **fields}


def annotations(*languages: str, **others: str) -> dict[str, str]:
    """inject annotations that are "true", and others, by their name behind the prefix with _ for -."""
    rest = {I + name.replace("_", "-"): value for name, value in others.items()}
    return {**{f"{I}inject-{language}": "true" for language in languages}, **rest}


@pytest.fixture(scope="session")
def make(api_server: Kube, installed: dict[str, Any]) -> Make:
    """A pod as the API server would store it. annotations, labels, owner: (kind, name); metadata, spec: of the pod."""

    def create(
        asked: dict[str, str] | None = None,
        *containers: dict[str, Any],
        namespace: str = "shop",
        labels: dict[str, str] | None = None,
        owner: tuple[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        **spec: Any,
    ) -> Pod:
        references = [
            {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "7d4b", "controller": True}
            for kind, name in ([owner] if owner else [])
        ]
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **({"annotations": asked} if asked else {}),
                **({"labels": labels} if labels else {}),
                **({"ownerReferences": references} if references else {}),
                **(metadata or {"name": "pod"}),
            },
            "spec": {"containers": list(containers) or [container()], **spec},
        }
        pod: Pod = api_server.request("POST", f"/api/v1/namespaces/{namespace}/pods", {"dryRun": "All"}, body)
        return pod

    return create


def one(pod: Pod, name: str = "app") -> dict[str, Any]:
    spec = pod["spec"]
    return next(item for item in spec["containers"] + spec.get("initContainers", []) if item["name"] == name)


def environment(pod: Pod, name: str = "app") -> dict[str, Any]:
    """Name → value, or {fieldRef: …}."""
    found: dict[str, Any] = {}
    for variable in one(pod, name).get("env", []):
        assert variable["name"] not in found, f"{variable['name']} is there twice"
        found[variable["name"]] = variable.get("valueFrom") or variable.get("value", "")
    return found


def attributes(pod: Pod, name: str = "app") -> dict[str, str]:
    pairs = [pair.partition("=") for pair in environment(pod, name)[ATTRIBUTES].split(",")]
    found = {key: value for key, _sign, value in pairs}
    assert len(found) == len(pairs), "a key is there twice"
    return found


def injected(pod: Pod) -> list[str]:
    """Languages whose agent is there."""
    names = [item["name"] for item in pod["spec"].get("initContainers", [])]
    found = [language.name for language in AGENTS if language.injected in names]
    for language in AGENTS:
        volumes = [item["name"] for item in pod["spec"].get("volumes", [])]
        assert volumes.count(language.injected) == names.count(language.injected) == (language.name in found)
    return found


def untouched(pod: Pod, name: str = "app") -> bool:
    mounts = [mount["mountPath"] for mount in one(pod, name).get("volumeMounts", [])]
    return not any("OTEL_" in variable for variable in environment(pod, name)) and not any("otel" in m for m in mounts)


def expected_settings(language: Language) -> dict[str, str]:
    return settings(language, role_defaults("instrumentation", **VARIABLES))


# Each language


@pytest.mark.parametrize("language", AGENTS, ids=lambda language: language.name)
def test_an_annotated_pod_gets_the_agent(language: Language, make: Make) -> None:
    """In a namespace that enforces Pod Security restricted."""
    pod = make(annotations(language.name))
    assert injected(pod) == [language.name]
    (init,) = pod["spec"]["initContainers"]
    assert init["image"] == f"registry.example/{language.name}:1.0-orion"
    assert init["command"] == language.command(language.source)
    assert init["securityContext"] == RESTRICTED
    assert init["resources"] == role_defaults("instrumentation", **VARIABLES)["instrumentation_init_resources"]
    assert init["volumeMounts"] == [{"name": language.injected, "mountPath": language.mount_path}]
    assert pod["spec"]["volumes"] == [{"name": language.injected, "emptyDir": {"sizeLimit": "200Mi"}}]
    mounts = one(pod)["volumeMounts"]
    assert mounts == [{"name": language.injected, "mountPath": language.mount_path, "readOnly": True}]
    found = environment(pod)
    for extended in language.extended:
        assert found[extended.name] == extended.alone
    assert {name: found[name] for name in expected_settings(language)} == expected_settings(language)


def test_sdk_gets_the_environment_alone(make: Make) -> None:
    pod = make(annotations("sdk"))
    assert injected(pod) == [] and "volumeMounts" not in one(pod)
    found = environment(pod)
    assert found["OTEL_SERVICE_NAME"] == "pod"
    assert {name: found[name] for name in expected_settings(LANGUAGES["sdk"])} == expected_settings(LANGUAGES["sdk"])


def test_environment_of_python(make: Make) -> None:
    """Word by word, so that a change of any default is seen here."""
    found = environment(make(annotations("python")))
    references = {name: found.pop(name)["fieldRef"]["fieldPath"] for name in FIELDS}
    assert references == FIELDS
    assert found == {
        "PYTHONPATH": "/otel-auto-instrumentation-python/opentelemetry/instrumentation/auto_instrumentation"
        ":/otel-auto-instrumentation-python",
        "OTEL_SERVICE_NAME": "pod",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector.tracing.svc:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PROPAGATORS": "tracecontext,baggage",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlalchemy",
        "OTEL_PYTHON_EXCLUDED_URLS": "/healthz$,/livez$,/readyz$",
        "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false",
        "OTEL_PYTHON_LOG_CORRELATION": "true",
        "OTEL_BAGGAGE_SPAN_ATTRIBUTES": "tenant.id",
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
        ATTRIBUTES: "service.namespace=shop,k8s.namespace.name=shop,"
        "k8s.pod.name=$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME),k8s.pod.uid=$(OTEL_RESOURCE_ATTRIBUTES_POD_UID),"
        "k8s.node.name=$(OTEL_RESOURCE_ATTRIBUTES_NODE_NAME),"
        "service.instance.id=shop.$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME).app,k8s.container.name=app,service.version=1.2.3",
    }


@pytest.mark.parametrize(
    ("language", "variable", "written", "value"),
    [
        ("python", "PYTHONPATH", "/app", "/otel-auto-instrumentation-python/opentelemetry/instrumentation/"
         "auto_instrumentation:/app:/otel-auto-instrumentation-python"),
        ("java", "JAVA_TOOL_OPTIONS", "-Xmx1g", "-Xmx1g -javaagent:/otel-auto-instrumentation-java/javaagent.jar"),
        ("nodejs", "NODE_OPTIONS", "--inspect",
         "--inspect --require /otel-auto-instrumentation-nodejs/autoinstrumentation.js"),
        ("dotnet", "DOTNET_SHARED_STORE", "/store", "/store:/otel-auto-instrumentation-dotnet/store"),
    ],
)  # fmt: skip
def test_what_loads_the_agent_is_extended(language: str, variable: str, written: str, value: str, make: Make) -> None:
    """In its place, because a variable behind it may refer to it."""
    env = [{"name": "A", "value": "1"}, {"name": variable, "value": written}, {"name": "B", "value": f"$({variable})"}]
    pod = make(annotations(language), container(env=env))
    assert environment(pod)[variable] == value
    assert list(environment(pod))[:3] == ["A", variable, "B"]


@pytest.mark.parametrize("language", AGENTS, ids=lambda language: language.name)
def test_an_empty_value_is_like_none(language: Language, make: Make) -> None:
    extended = language.extended[0]
    pod = make(annotations(language.name), container(env=[{"name": extended.name, "value": ""}]))
    assert environment(pod)[extended.name] == extended.alone


@pytest.mark.parametrize("language", AGENTS, ids=lambda language: language.name)
def test_a_value_from_elsewhere_cannot_be_extended(language: Language, make: Make) -> None:
    """The container is left alone, another one is not."""
    source = {"configMapKeyRef": {"name": "options", "key": "value"}}
    env = [{"name": language.extended[0].name, "valueFrom": source}]
    pod = make(annotations(language.name), container(env=env))
    assert injected(pod) == [] and environment(pod) == {language.extended[0].name: source}
    asked = annotations(language.name, container_names="app,other")
    pod = make(asked, container(env=env), container("other"))
    assert injected(pod) == [language.name] and untouched(pod) and not untouched(pod, "other")


def test_refused_variables_of_dotnet(make: Make) -> None:
    env = [{"name": "OTEL_DOTNET_AUTO_HOME", "value": "/opt/agent"}]
    assert injected(make(annotations("dotnet"), container(env=env))) == []


@pytest.mark.parametrize(
    ("language", "annotation", "value", "source", "path"),
    [
        ("python", "otel-python-platform", "glibc", "/autoinstrumentation/.", ""),
        ("python", "otel-python-platform", "musl", "/autoinstrumentation-musl/.", ""),
        ("dotnet", "otel-dotnet-auto-runtime", "linux-x64", "/autoinstrumentation/.", "linux-x64"),
        ("dotnet", "otel-dotnet-auto-runtime", "linux-musl-x64", "/autoinstrumentation/.", "linux-musl-x64"),
    ],
)
def test_platforms(language: str, annotation: str, value: str, source: str, path: str, make: Make) -> None:
    pod = make({**annotations(language), I + annotation: value})
    assert pod["spec"]["initContainers"][0]["command"][2] == source
    if path:
        assert f"/{path}/" in environment(pod)["CORECLR_PROFILER_PATH"]


@pytest.mark.parametrize(
    ("language", "annotation"), [("python", "otel-python-platform"), ("dotnet", "otel-dotnet-auto-runtime")]
)
def test_an_unknown_platform_is_left_alone(language: str, annotation: str, make: Make) -> None:
    pod = make({**annotations(language), I + annotation: "alpine"})
    assert injected(pod) == [] and untouched(pod)


# What is asked for


@pytest.mark.parametrize(
    ("asked", "namespace", "languages"),
    [
        ({}, "shop", []),
        ({"other/annotation": "true"}, "shop", []),
        ({f"{I}inject-python": "false"}, "shop", []),
        ({f"{I}inject-python": "False"}, "shop", []),
        ({f"{I}inject-python": ""}, "shop", []),
        ({f"{I}inject-python": "True"}, "shop", ["python"]),
        ({f"{I}inject-python": "my-instrumentation"}, "shop", ["python"]),
        ({f"{I}inject-python": "tracing/default"}, "shop", ["python"]),
        ({f"{I}inject-rust": "true"}, "shop", []),
        ({}, "annotated", ["python"]),
        ({f"{I}inject-python": "false"}, "annotated", []),
        ({f"{I}inject-python": "false", f"{I}inject-java": "true"}, "annotated", ["java"]),
        ({f"{I}inject-java": "true"}, "annotated", []),
        ({}, "opted-out", []),
        ({f"{I}inject-python": "true"}, "opted-out", ["python"]),
        ({f"{I}inject-python": "true"}, "excluded", []),
    ],
)
def test_annotations(asked: dict[str, str], namespace: str, languages: list[str], make: Make) -> None:
    pod = make(asked, namespace=namespace)
    assert injected(pod) == languages
    assert untouched(pod) == (not languages)


def test_other_pods_are_as_they_were(make: Make) -> None:
    """Neither annotation nor labels nor environment: nothing is added, not even an empty list."""
    spec = make(None)["spec"]
    assert not {"initContainers", "volumes"} & set(spec)
    assert not {"env", "volumeMounts"} & set(spec["containers"][0])


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ({}, ["a"]),
        ({"container_names": "b"}, ["b"]),
        ({"container_names": "b, c"}, ["b", "c"]),
        ({"container_names": ","}, ["a"]),
        ({"container_names": "b,missing"}, ["b"]),
        ({"container_names": "missing"}, []),
        ({"python_container_names": "c"}, ["c"]),
        ({"python_container_names": "c", "container_names": "a"}, ["c"]),
        ({"java_container_names": "c", "container_names": "a"}, ["a"]),
    ],
)
def test_containers(others: dict[str, str], names: list[str], make: Make) -> None:
    pod = make(annotations("python", **others), container("a"), container("b"), container("c"))
    assert [name for name in "abc" if not untouched(pod, name)] == names
    assert injected(pod) == (["python"] if names else [])


def test_two_languages_in_two_containers(make: Make) -> None:
    asked = annotations("python", "java", python_container_names="a", java_container_names="b")
    pod = make(asked, container("a"), container("b"))
    assert injected(pod) == ["python", "java"]
    assert "PYTHONPATH" in environment(pod, "a") and "JAVA_TOOL_OPTIONS" not in environment(pod, "a")
    assert "JAVA_TOOL_OPTIONS" in environment(pod, "b") and "PYTHONPATH" not in environment(pod, "b")


@pytest.mark.parametrize("pair", [("python", "java"), ("nodejs", "sdk"), ("dotnet", "python")])
def test_two_languages_for_one_container_give_neither(pair: tuple[str, str], make: Make) -> None:
    pod = make(annotations(*pair))
    assert injected(pod) == [] and untouched(pod)


def test_a_contradiction_is_one_of_a_container(make: Make) -> None:
    asked = annotations("python", "java", python_container_names="a,b", java_container_names="b")
    pod = make(asked, container("a"), container("b"))
    assert injected(pod) == ["python"] and untouched(pod, "b") and not untouched(pod, "a")


# What the container sets


def test_what_the_container_sets_stays(make: Make) -> None:
    """In its order, in front, whatever it is."""
    own = {"A": "1", "OTEL_SERVICE_NAME": "mine", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318", "Z": ""}
    env = [{"name": name, "value": value} for name, value in own.items()]
    secret = {"secretKeyRef": {"name": "database", "key": "password"}}
    env.append({"name": "PASSWORD", "valueFrom": secret})  # type: ignore[dict-item]
    pod = make(annotations("java"), container(env=env))
    found = environment(pod)
    assert {name: found[name] for name in own} == own and found["PASSWORD"] == secret
    assert list(found)[: len(env)] == [variable["name"] for variable in env]
    assert list(found)[-1] == ATTRIBUTES


def test_the_containers_own_sampler(make: Make) -> None:
    """The argument is that of the platform's sampler, so it does not go to another one."""
    pod = make(annotations("java"), container(env=[{"name": "OTEL_TRACES_SAMPLER", "value": "always_on"}]))
    assert environment(pod)["OTEL_TRACES_SAMPLER"] == "always_on"
    assert "OTEL_TRACES_SAMPLER_ARG" not in environment(pod)
    pod = make(annotations("java"), container(env=[{"name": "OTEL_TRACES_SAMPLER_ARG", "value": "0.1"}]))
    assert environment(pod)["OTEL_TRACES_SAMPLER_ARG"] == "0.1"
    assert environment(pod)["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"


def test_the_containers_own_resource_attributes(make: Make) -> None:
    own = "team=checkout, service.version = 7,k8s.node.name=mine"
    env = [{"name": ATTRIBUTES, "value": own}, {"name": "A", "value": "1"}]
    pod = make(annotations("java"), container(env=env))
    value = environment(pod)[ATTRIBUTES]
    assert value.startswith(own + ",")
    rest = value.removeprefix(own + ",").split(",")
    assert not any(pair.startswith(("service.version=", "k8s.node.name=", "team=")) for pair in rest)
    assert "service.namespace=shop" in rest and list(environment(pod))[-1] == ATTRIBUTES


def test_a_service_name_among_them_is_kept(make: Make) -> None:
    """OTEL_SERVICE_NAME would win over it."""
    pod = make(annotations("java"), container(env=[{"name": ATTRIBUTES, "value": "service.name=mine"}]))
    assert "OTEL_SERVICE_NAME" not in environment(pod)
    assert attributes(pod)["service.name"] == "mine"


def test_resource_attributes_from_elsewhere_are_kept(make: Make) -> None:
    source = {"configMapKeyRef": {"name": "attributes", "key": "value"}}
    pod = make(annotations("java"), container(env=[{"name": ATTRIBUTES, "valueFrom": source}]))
    assert environment(pod)[ATTRIBUTES] == source and injected(pod) == ["java"]


def test_mounts_and_volumes_stay(make: Make) -> None:
    mount = {"name": "data", "mountPath": "/data"}
    volumes = [{"name": "data", "emptyDir": {}}]
    init = container("migrate")
    pod = make(annotations("nodejs"), container(volumeMounts=[mount]), volumes=volumes, initContainers=[init])
    assert [item["mountPath"] for item in one(pod)["volumeMounts"]] == ["/data", "/otel-auto-instrumentation-nodejs"]
    assert [item["name"] for item in pod["spec"]["volumes"]] == ["data", "opentelemetry-auto-instrumentation-nodejs"]
    assert [item["name"] for item in pod["spec"]["initContainers"]] == [
        "opentelemetry-auto-instrumentation-nodejs",
        "migrate",
    ]
    assert untouched(pod, "migrate")


# The service


@pytest.mark.parametrize(
    ("asked", "labels", "owner", "name"),
    [
        ({}, {}, None, "pod"),
        ({}, {"pod-template-hash": "5f7d"}, ("ReplicaSet", "orders-5f7d"), "orders"),
        ({}, {"pod-template-hash": "5f7d"}, ("ReplicaSet", "orders-other"), "orders-other"),
        ({}, {}, ("ReplicaSet", "orders-5f7d"), "orders-5f7d"),
        ({}, {}, ("StatefulSet", "kafka"), "kafka"),
        ({}, {}, ("DaemonSet", "agent"), "agent"),
        ({}, {}, ("Job", "report-29000000"), "report"),
        ({}, {}, ("Job", "migrate-7"), "migrate-7"),
        ({}, {}, ("Rollout", "unknown"), "pod"),
        ({}, {"app.kubernetes.io/name": "named"}, ("StatefulSet", "kafka"), "named"),
        ({}, {"app.kubernetes.io/name": "named", "app.kubernetes.io/instance": "first"}, None, "first"),
        ({"resource.opentelemetry.io/service.name": "annotated"}, {"app.kubernetes.io/name": "n"}, None, "annotated"),
        ({"resource.opentelemetry.io/service.name": "a,$(B)"}, {}, None, "a,$$(B)"),
    ],
)
def test_service_name(
    asked: dict[str, str], labels: dict[str, str], owner: tuple[str, str] | None, name: str, make: Make
) -> None:
    """The order of semantic conventions, non-normative/k8s-attributes."""
    pod = make({**annotations("python"), **asked}, labels=labels, owner=owner)
    assert environment(pod)["OTEL_SERVICE_NAME"] == name
    assert "service.name" not in attributes(pod)


def test_a_generated_name_is_not_known_yet(make: Make) -> None:
    pod = make(annotations("python"), metadata={"generateName": "x" * 200})
    assert environment(pod)["OTEL_SERVICE_NAME"] == "app"


@pytest.mark.parametrize(
    ("labels", "owner", "expected"),
    [
        ({"pod-template-hash": "5f7d"}, ("ReplicaSet", "orders-5f7d"),
         {"k8s.deployment.name": "orders", "k8s.replicaset.name": "orders-5f7d"}),
        ({}, ("StatefulSet", "kafka"), {"k8s.statefulset.name": "kafka"}),
        ({}, ("DaemonSet", "agent"), {"k8s.daemonset.name": "agent"}),
        ({}, ("Job", "report-29000000"), {"k8s.cronjob.name": "report", "k8s.job.name": "report-29000000"}),
        ({}, ("Rollout", "unknown"), {}),
    ],
)  # fmt: skip
def test_attributes_of_the_owner(
    labels: dict[str, str], owner: tuple[str, str], expected: dict[str, str], make: Make
) -> None:
    found = attributes(make(annotations("python"), labels=labels, owner=owner))
    known = ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob")
    assert {key: value for key, value in found.items() if key.split(".")[1] in known} == expected


@pytest.mark.parametrize(
    ("image", "labels", "version"),
    [
        ("app", {}, None),
        ("registry.example:5000/app", {}, None),
        ("app:1.2", {}, "1.2"),
        ("registry.example:5000/shop/app:1.2-b_3", {}, "1.2-b_3"),
        ("app@sha256:" + "0" * 64, {}, "sha256:" + "0" * 64),
        ("app:1.2@sha256:" + "0" * 64, {}, "1.2@sha256:" + "0" * 64),
        ("app:1.2", {"app.kubernetes.io/version": "2.0"}, "2.0"),
    ],
)
def test_service_version(image: str, labels: dict[str, str], version: str | None, make: Make) -> None:
    assert (
        attributes(make(annotations("python"), container(image=image), labels=labels)).get("service.version") == version
    )


def test_attributes_by_annotation(make: Make) -> None:
    """They take precedence over derived ones, are sorted, and encoded as the specification says."""
    asked = {
        "resource.opentelemetry.io/team": 'a, b=c;d"e\\f%',
        "resource.opentelemetry.io/area": "$(HOME)",
        "resource.opentelemetry.io/service.namespace": "checkout",
        "resource.opentelemetry.io/service.version": "9",
        "resource.opentelemetry.io/service.instance.id": "one",
        "resource.opentelemetry.io/city": "Zürich",
    }
    pod = make({**annotations("python"), **asked}, labels={"app.kubernetes.io/version": "2.0"})
    found = attributes(pod)
    assert found["team"] == "a%2C%20b%3Dc%3Bd%22e%5Cf%25"
    assert found["area"] == "$$(HOME)"
    assert (found["service.namespace"], found["service.version"]) == ("checkout", "9")
    assert found["service.instance.id"] == "one"
    # Not every SDK reads what is not ASCII.
    assert "city" not in found
    assert list(found)[:2] == ["area", "service.instance.id"]


def test_the_same_pod_gives_the_same_text(make: Make) -> None:
    """Maps of CEL have no order."""
    asked = {f"resource.opentelemetry.io/{name}": name for name in "zyxabcdefg"}
    texts = {environment(make({**annotations("python"), **asked}))[ATTRIBUTES] for _one in range(10)}
    assert len(texts) == 1


def test_references_stand_behind_what_they_refer_to(make: Make) -> None:
    names = list(environment(make(annotations("nodejs"))))
    assert max(map(names.index, FIELDS)) < names.index(ATTRIBUTES)


# Pods of other shapes


def test_init_containers_and_sidecars_can_be_instrumented(make: Make) -> None:
    inits = [container("migrate"), container("proxy", restartPolicy="Always")]
    pod = make(annotations("python", container_names="migrate,proxy,app"), initContainers=inits)
    assert [item["name"] for item in pod["spec"]["initContainers"]] == [
        "opentelemetry-auto-instrumentation-python",
        "migrate",
        "proxy",
    ]
    assert not any(untouched(pod, name) for name in ("migrate", "proxy", "app"))
    assert "PYTHONPATH" not in environment(pod, "opentelemetry-auto-instrumentation-python")
    assert attributes(pod, "proxy")["k8s.container.name"] == "proxy"


def test_a_pod_of_the_hosts_network(make: Make) -> None:
    pod = make(annotations("java"), namespace="opted-out", hostNetwork=True)
    assert injected(pod) == ["java"]


def test_many_containers_and_variables(make: Make) -> None:
    """Within the API server's budget for CEL."""
    env = [{"name": f"VARIABLE_{index}", "value": "x" * 100} for index in range(200)]
    containers = [container(f"c{index}", env=env) for index in range(20)]
    asked = annotations("python", container_names=",".join(item["name"] for item in containers))
    asked |= {f"resource.opentelemetry.io/attribute.{index:02}": "x" * 100 for index in range(40)}
    pod = make(asked, *containers)
    assert injected(pod) == ["python"]
    assert not any(untouched(pod, item["name"]) for item in containers)


def test_long_names(make: Make) -> None:
    name = "a" * 63
    pod = make(annotations("python"), container(name), metadata={"name": "p" * 253})
    assert attributes(pod, name)["service.instance.id"].endswith(f".{name}")


def test_a_namespace_with_a_quota(make: Make) -> None:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert injected(make(annotations("java"), container(resources=resources), namespace="quota")) == ["java"]


def test_windows_pods_are_left_alone(make: Make) -> None:
    pod = make(annotations("dotnet"), container(securityContext={}), namespace="opted-out", os={"name": "windows"})
    assert injected(pod) == [] and untouched(pod)


def test_static_pods_are_left_alone(make: Make) -> None:
    pod = make({**annotations("python"), "kubernetes.io/config.mirror": "1"}, namespace="opted-out", nodeName="node")
    assert injected(pod) == [] and untouched(pod)


# Once


def again(pod: Pod) -> tuple[dict[str, str], dict[str, Any]]:
    """Annotations and spec of a pod, to make it once more."""
    spec = {key: pod["spec"][key] for key in ("containers", "initContainers", "volumes") if key in pod["spec"]}
    return pod["metadata"]["annotations"], spec


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pod_is_instrumented_once(language: str, make: Make) -> None:
    asked, spec = again(make(annotations(language)))
    containers = spec.pop("containers")
    pod = make(asked, *containers, **spec)
    assert pod["spec"]["containers"] == containers
    assert pod["spec"].get("initContainers") == spec.get("initContainers")


def test_what_the_operator_has_instrumented_stays(make: Make) -> None:
    """Its webhook runs behind policies, but a copied pod may be there already."""
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
    env = [{"name": "OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "valueFrom": field}]
    pod = make(annotations("sdk"), container(env=env))
    assert environment(pod) == {"OTEL_RESOURCE_ATTRIBUTES_POD_NAME": field}


@pytest.mark.parametrize("taken", ["init", "volume", "mount"])
def test_names_that_are_taken_leave_the_pod_alone(taken: str, make: Make) -> None:
    """Two of the same name would make the API server refuse the pod."""
    name, path = "opentelemetry-auto-instrumentation-java", "/otel-auto-instrumentation-java"
    spec: dict[str, Any] = {}
    own = container()
    if taken == "init":
        spec["initContainers"] = [container(name)]
    elif taken == "volume":
        spec["volumes"] = [{"name": name, "emptyDir": {}}]
    else:
        spec["volumes"] = [{"name": "agent", "emptyDir": {}}]
        own["volumeMounts"] = [{"name": "agent", "mountPath": path}]
    pod = make(annotations("java"), own, **spec)
    assert "JAVA_TOOL_OPTIONS" not in environment(pod)


def test_a_pod_is_not_changed_later(api_server: Kube, make: Make) -> None:
    """Policies see pods when they are made: an annotation that comes later changes nothing."""
    path = "/api/v1/namespaces/shop/pods"
    body = {"metadata": {"name": "later"}, "spec": {"containers": [container()]}}
    api_server.request("POST", path, body=body)
    try:
        patch = {"metadata": {"annotations": annotations("python")}}
        content = "application/merge-patch+json"
        pod = api_server.request("PATCH", f"{path}/later", body=patch, content_type=content)
        assert pod["metadata"]["annotations"] == annotations("python") and untouched(pod)
    finally:
        api_server.request("DELETE", f"{path}/later", {"gracePeriodSeconds": 0})


# The policies as objects


def test_the_api_server_adds_nothing(api_server: Kube, installed: dict[str, Any]) -> None:
    """Defaults are written out, so a comparison with what is there finds only real differences."""
    for name, spec in installed.items():
        there = api_server.get(f"/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies/{name}")
        assert there["spec"] == spec


def test_a_pod_that_the_policy_cannot_handle_starts(api_server: Kube, make: Make) -> None:
    """failurePolicy Ignore: an expression that fails leaves the pod as it is. This one, whose container has no name,
    is refused by the API server itself, which says why."""
    with pytest.raises(TracingError, match="spec.containers\\[0\\].name: Required value"):
        make(annotations("python"), {"image": "app", "securityContext": OWN})


def test_no_expression_has_failed(api_server: Kube, make: Make) -> None:
    """After all of the above: nothing failed that the API server ignored."""
    lines = api_server.send("GET", "/metrics").text.splitlines()
    checked = [line for line in lines if line.startswith("apiserver_mutating_admission_policy_check_total{")]
    assert checked and not [line for line in checked if 'error_type="no_error"' not in line]
    assert not [
        line for line in lines if line.startswith("apiserver_admission_match_condition_evaluation_errors_total{")
    ]


def test_bad_pods_are_refused_by_the_api_server_itself(make: Make) -> None:
    with pytest.raises(TracingError, match="violates PodSecurity"):
        make(annotations("python"), container(securityContext={}))
