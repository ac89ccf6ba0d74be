# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The instrumentation role's variables: every finding, and which mode follows from what a cluster serves."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.filter.instrumentation import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import (
    plain,
    sdk_environment,
    settings,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    AGENTS,
    JAVA,
    LANGUAGES,
    NODEJS,
    PYTHON,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.modes import resolved, served
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import (
    annotation_value,
    instrumentation_values,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.variables import (
    chart_values,
    findings,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

POLICY = {"policy": "v1", "operator": ""}
WORKLOAD = {"namespace": "shop", "name": "orders", "language": "python"}
OURS = {f"instrumentation_{name}_image_tag": "1-orion" for name in ("python", "java", "nodejs")}


def variables(**changes: Any) -> dict[str, Any]:
    return role_defaults("instrumentation", **changes)


def found(**changes: Any) -> list[str]:
    return [f"{one.severity} {one}" for one in findings(variables(**changes))]


def test_the_defaults_have_no_finding() -> None:
    assert found() == []
    values, warnings = chart_values(variables(), POLICY)
    assert warnings == [] and values["policyVersion"] == "v1" and values["instrumentations"] == []
    assert [policy["name"] for policy in values["policies"]] == [
        f"opentelemetry-auto-instrumentation-{language}" for language in LANGUAGES
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"instrumentation_languages": ["python", "golang", "python"]},
            [
                "error instrumentation_languages[1]: is 'golang', not a language. Choose from python, java, nodejs, "
                "dotnet, sdk.",
                "error instrumentation_languages[2]: is 'python' again. List it once.",
            ],
        ),
        (
            {"instrumentation_sampler": "jaeger_remote"},
            [
                "error instrumentation_sampler: is 'jaeger_remote', not a sampler that every SDK has. Choose from "
                "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, "
                "parentbased_traceidratio. For another one, set OTEL_TRACES_SAMPLER in the workload itself."
            ],
        ),
        (
            {"instrumentation_sampler_argument": 10},
            ["error instrumentation_sampler_argument: is 10, more than 1. Give a number from 0 to 1."],
        ),
        # What the linter has a rule for, head-sampling, is not repeated.
        ({"instrumentation_sampler_argument": 0.1}, []),
        ({"instrumentation_sampler": "always_off"}, []),
        ({"instrumentation_sampler": "always_on", "instrumentation_sampler_argument": 0.1}, []),
        (
            {"instrumentation_protocol": "grpc"},
            [
                "error instrumentation_endpoint: is 'http://otel-collector.tracing.svc:4318', but "
                "instrumentation_protocol is grpc: port 4318 is that of http/protobuf. Use port 4317, or set "
                "instrumentation_protocol: http/protobuf.",
                "error instrumentation_protocol: is grpc, which the agent image of python does not have. Set "
                "instrumentation_protocol: http/protobuf and port 4318, or take python out of "
                "instrumentation_languages.",
            ],
        ),
        (
            {
                "instrumentation_protocol": "grpc",
                "instrumentation_endpoint": "http://collector:4317",
                "instrumentation_languages": ["java"],
            },
            [],
        ),
        (
            {"instrumentation_endpoint": "http://collector:4317"},
            [
                "error instrumentation_endpoint: is 'http://collector:4317', but instrumentation_protocol is "
                "http/protobuf: port 4317 is that of grpc. Use port 4318, or set instrumentation_protocol: grpc."
            ],
        ),
        (
            {"instrumentation_endpoint": "collector:4318"},
            [
                "error instrumentation_endpoint: is 'collector:4318', not a URL: SDKs need a scheme. Begin it with "
                "http:// or https://, for gRPC too."
            ],
        ),
        (
            {"instrumentation_endpoint": "http://collector:4318/v1/traces"},
            [
                "error instrumentation_endpoint: is 'http://collector:4318/v1/traces', which has the path of traces: "
                "SDKs add /v1/traces. Write http://collector:4318."
            ],
        ),
        ({"instrumentation_endpoint": "https://otlp.example.com/otlp"}, []),
        (
            {"instrumentation_propagators": ["tracecontext", "zipkin"]},
            [
                "error instrumentation_propagators[1]: is 'zipkin', not a propagator. Choose from tracecontext, "
                "baggage, b3, b3multi, jaeger, xray, ottrace."
            ],
        ),
        (
            {"instrumentation_propagators": ["tracecontext", "xray"]},
            [
                "warning instrumentation_propagators: has xray, which the agents of nodejs and dotnet do not have: it "
                "is left out there. Use another propagator for services that call each other."
            ],
        ),
        (
            {"instrumentation_propagators": []},
            [
                "error instrumentation_propagators: is empty: every service would begin traces of its own. List "
                "tracecontext, at least."
            ],
        ),
        (
            {"instrumentation_languages": ["java"], "instrumentation_baggage_attributes": ["tenant id", "*", "a", "a"]},
            [
                "error instrumentation_baggage_attributes[0]: is 'tenant id', which cannot be the key of a baggage "
                "entry: W3C Baggage allows the characters of a token. Use letters, digits and !#$%&'*+-.^_`|~ only.",
                "error instrumentation_baggage_attributes[1]: is '*', which Java's agent reads as every key: whatever "
                "a client sends would become attributes of spans. List the keys.",
                "error instrumentation_baggage_attributes[3]: is 'a' again. List it once.",
            ],
        ),
        (
            {"instrumentation_languages": ["python", "java"], "instrumentation_baggage_attributes": ["tenant.id"]},
            [
                "warning instrumentation_baggage_attributes: does not reach spans of Python, since "
                "instrumentation_python_image_tag is 0.65b0: upstream's image passes baggage on, but does not copy it "
                "to spans. Use an agent image that this project builds (a tag with -orion), or add the attributes in "
                "the service's code."
            ],
        ),
        (
            {
                "instrumentation_languages": ["python", "java", "nodejs", "dotnet", "sdk"],
                "instrumentation_baggage_attributes": ["tenant.id"],
                **OURS,
            },
            [
                "warning instrumentation_baggage_attributes: does not reach spans of .NET: its agent does not copy "
                "baggage."
            ],
        ),
        (
            {
                "instrumentation_environment": {
                    "OTEL_SERVICE_NAME": "x",
                    "PYTHONPATH": "/x",
                    "a b": 1,
                    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=x",
                    "OTEL_BSP_MAX_QUEUE_SIZE": 4096,
                }
            },
            [
                "error instrumentation_environment.OTEL_SERVICE_NAME: cannot be the same for all containers. Set it in "
                "the workload: what a container sets itself is kept.",
                "error instrumentation_environment.PYTHONPATH: cannot be the same for all containers. Set it in the "
                "workload: what a container sets itself is kept.",
                "error instrumentation_environment.a b: is not the name of an environment variable. Use letters, "
                "digits and _.",
                "error instrumentation_environment.OTEL_EXPORTER_OTLP_HEADERS: holds credentials, which would be in "
                "plain text in policies and pods. Send to the collectors, and give them the credentials "
                "(collector_exporters).",
            ],
        ),
        (
            {"instrumentation_excluded_namespaces": ["Shop"]},
            ["error instrumentation_excluded_namespaces[0]: is 'Shop', not a name of a namespace. Give its name."],
        ),
        (
            {"instrumentation_volume_size_limit": "0"},
            ["error instrumentation_volume_size_limit: is 0. Give a size such as 200Mi."],
        ),
        (
            {"instrumentation_init_resources": {"limits": {"memory": "64 MB"}}},
            [
                "error instrumentation_init_resources.limits.memory: is '64 MB', not a Kubernetes quantity of bytes. "
                "Write a quantity such as 512Mi or 2Gi."
            ],
        ),
        (
            {"instrumentation_java_image_tag": "2.31@sha256:0"},
            [
                "error instrumentation_java_image_tag: is '2.31@sha256:0', which has a digest. Set "
                "instrumentation_java_image_tag: 2.31, and instrumentation_java_image_digest: sha256:0."
            ],
        ),
    ],
)
def test_findings(changes: dict[str, Any], expected: list[str]) -> None:
    assert found(**changes) == expected


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        ([WORKLOAD], []),
        ([{**WORKLOAD, "containers": ["a"]}, {**WORKLOAD, "language": "java", "containers": ["b"]}], []),
        ([WORKLOAD, {**WORKLOAD, "kind": "StatefulSet"}], []),
        (
            [{**WORKLOAD, "language": "golang"}],
            [
                "error instrumentation_workloads[0].language: unknown language 'golang'. Use one of python, java, "
                "nodejs, dotnet, sdk; sdk is for services that bring their own SDK, in any language."
            ],
        ),
        (
            [{**WORKLOAD, "language": "dotnet"}],
            [
                "error instrumentation_workloads[0].language: is dotnet, which is not in instrumentation_languages. "
                "Add dotnet there, or take the workload out."
            ],
        ),
        (
            [{**WORKLOAD, "namespace": "kube-system"}],
            [
                "error instrumentation_workloads[0].namespace: namespace kube-system is in "
                "instrumentation_excluded_namespaces. Remove it from one of the two lists."
            ],
        ),
        ([{**WORKLOAD, "namespace": "kube-system", "state": "absent"}], []),
        (
            [{"namespace": "shop", "name": ""}],
            [
                "error instrumentation_workloads[0].name: is missing or is not text. Set it.",
                "error instrumentation_workloads[0].language: is missing or is not text. Set it.",
            ],
        ),
        (
            [{**WORKLOAD, "kind": "Service"}],
            [
                "error instrumentation_workloads[0].kind: Service does not own pods that can be instrumented. Use one "
                "of Deployment, StatefulSet, DaemonSet, CronJob."
            ],
        ),
        # What it belongs to, and so what to list instead, only the cluster shows.
        ([{**WORKLOAD, "kind": "Pod"}], []),
        ([{"namespace": "shop", "name": "orders", "state": "absent"}], []),
        (
            [WORKLOAD, {**WORKLOAD, "kind": "Deployment"}],
            [
                "error instrumentation_workloads[1]: Deployment shop/orders is listed twice for python. Keep this or "
                "instrumentation_workloads[0]."
            ],
        ),
        (
            [WORKLOAD, {**WORKLOAD, "language": "java"}],
            [
                "error instrumentation_workloads[1]: contradicts instrumentation_workloads[0]: Deployment shop/orders "
                "has python and java in the same container: a container can have one agent. Keep one, or name the "
                "containers of each."
            ],
        ),
        (
            [WORKLOAD, {**WORKLOAD, "state": "absent"}],
            [
                "error instrumentation_workloads[1]: Deployment shop/orders is listed twice for python. Keep this or "
                "instrumentation_workloads[0]."
            ],
        ),
        ([WORKLOAD, {**WORKLOAD, "language": "java", "state": "absent"}], []),
        (
            [{**WORKLOAD, "sampler_argument": 2}],
            [
                "error instrumentation_workloads[0].sampler_argument: is '2', not a number from 0 to 1. Write a share "
                "of traces, such as 0.1."
            ],
        ),
        ([{**WORKLOAD, "sampler_argument": 0.5}], []),
    ],
)
def test_workloads(workloads: list[dict[str, Any]], expected: list[str]) -> None:
    assert found(instrumentation_languages=["python", "java", "sdk"], instrumentation_workloads=workloads) == expected


def test_a_sampler_without_an_argument_cannot_have_a_workloads() -> None:
    assert found(
        instrumentation_sampler="always_on", instrumentation_workloads=[{**WORKLOAD, "sampler_argument": 0.5}]
    ) == [
        "error instrumentation_workloads[0].sampler_argument: is 0.5, but instrumentation_sampler is always_on, which "
        "takes no argument. Leave it out, or set instrumentation_sampler: parentbased_traceidratio."
    ]


def test_a_role_that_is_off_has_no_findings() -> None:
    assert found(instrumentation_enabled=False, instrumentation_protocol="grpc") == []


@pytest.mark.parametrize(
    ("mode", "modes", "expected"),
    [
        ("auto", POLICY, "policy"),
        ("auto", {"policy": "v1beta1", "operator": "v1alpha1"}, "policy"),
        ("auto", {"policy": "v1alpha1", "operator": "v1alpha1"}, "operator"),
        ("auto", {"policy": "", "operator": ""}, "sdk"),
        ("operator", {"policy": "v1", "operator": "v1alpha1"}, "operator"),
        ("sdk", POLICY, "sdk"),
    ],
)
def test_modes(mode: str, modes: dict[str, str], expected: str) -> None:
    v = variables(instrumentation_mode=mode)
    assert resolved(mode, modes) == expected
    values, _warnings = chart_values(v, modes)
    assert bool(values["policies"]) == (expected == "policy")
    assert bool(values["instrumentations"]) == (expected == "operator")


REMEDY = (
    "Use a cluster of Kubernetes 1.36 or newer, or 1.34 with the feature gate MutatingAdmissionPolicy and the API "
    "admissionregistration.k8s.io/v1beta1 switched on; or install the OpenTelemetry Operator; or set "
    "instrumentation_mode: sdk, which gives the listed workloads the environment variables alone."
)


@pytest.mark.parametrize(
    ("mode", "policy", "expected"),
    [
        ("policy", "", "is policy, but the cluster does not serve MutatingAdmissionPolicy in v1 or v1beta1. "),
        (
            "policy",
            "v1alpha1",
            "is policy, but the cluster does not serve MutatingAdmissionPolicy in v1 or v1beta1, only v1alpha1. ",
        ),
        ("operator", "", "is operator, but the cluster does not have the OpenTelemetry Operator's Instrumentation. "),
    ],
)
def test_a_cluster_that_serves_neither(mode: str, policy: str, expected: str) -> None:
    with pytest.raises(InvalidVariables) as problem:
        chart_values(variables(instrumentation_mode=mode), {"policy": policy, "operator": ""})
    assert str(problem.value) == f"instrumentation_mode: {expected}{REMEDY}"


@pytest.mark.parametrize(
    ("mode", "serves", "remedy"),
    [
        (
            "operator",
            {"policy": "v1", "operator": ""},
            "Install the OpenTelemetry Operator; or set instrumentation_mode: policy.",
        ),
        (
            "policy",
            {"policy": "v1alpha1", "operator": "v1alpha1"},
            f"{REMEDY.partition(';')[0]}; or set instrumentation_mode: operator.",
        ),
    ],
)
def test_a_cluster_that_serves_the_other(mode: str, serves: dict[str, str], remedy: str) -> None:
    with pytest.raises(InvalidVariables) as problem:
        chart_values(variables(instrumentation_mode=mode), serves)
    assert str(problem.value).endswith(f". {remedy}")


def test_a_cluster_that_can_do_nothing() -> None:
    """A warning only: the cluster's version is one that this collection supports."""
    values, (warning,) = chart_values(variables(), {"policy": "", "operator": ""})
    assert values["policies"] == values["instrumentations"] == []
    assert str(warning) == (
        "instrumentation_mode: is auto, and the cluster does not serve MutatingAdmissionPolicy in v1 or v1beta1, and "
        "it does not have the OpenTelemetry Operator's Instrumentation: annotated pods are not instrumented; only "
        f"listed workloads are, as with sdk. {REMEDY}"
    )


def test_the_filter_takes_what_the_module_returns() -> None:
    values = FilterModule().filters()["instrumentation_values"]
    modes = {"policy": {"version": "admissionregistration.k8s.io/v1beta1"}, "operator": {"version": ""}}
    assert served(modes) == {"policy": "v1beta1", "operator": ""}
    assert values(variables(), modes)["policyVersion"] == "v1beta1"
    with pytest.raises(AnsibleFilterError, match="instrumentation_sampler: is 'x'"):
        values(variables(instrumentation_sampler="x"), modes)


def test_image_references_have_mirror_and_digest() -> None:
    digest = "sha256:" + "0" * 64
    v = variables(tracing_image_registry="mirror.example", instrumentation_java_image_digest=digest)
    policies = {policy["name"]: str(policy["spec"]) for policy in chart_values(v, POLICY)[0]["policies"]}
    wanted = f"mirror.example/open-telemetry/opentelemetry-operator/autoinstrumentation-java:2.31.0@{digest}"
    assert wanted in policies["opentelemetry-auto-instrumentation-java"]


def test_settings_follow_the_variables() -> None:
    v = variables(
        instrumentation_baggage_attributes=["tenant.id", "user.tier"],
        instrumentation_log_correlation=False,
        instrumentation_propagators=["tracecontext", "xray"],
        instrumentation_environment={"OTEL_LOGS_EXPORTER": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": 4096},
    )
    python, java, nodejs = (settings(language, v) for language in (PYTHON, JAVA, NODEJS))
    assert python["OTEL_BAGGAGE_SPAN_ATTRIBUTES"] == "tenant.id,user.tier"
    assert java["OTEL_JAVA_EXPERIMENTAL_SPAN_ATTRIBUTES_COPY_FROM_BAGGAGE_INCLUDE"] == "tenant.id,user.tier"
    assert python["OTEL_PYTHON_LOG_CORRELATION"] == java["OTEL_INSTRUMENTATION_LOGBACK_MDC_ENABLED"] == "false"
    assert nodejs["OTEL_NODE_DISABLED_INSTRUMENTATIONS"] == "dns,fs,net,router,bunyan,pino,winston"
    assert (python["OTEL_PROPAGATORS"], nodejs["OTEL_PROPAGATORS"]) == ("tracecontext,xray", "tracecontext")
    assert (java["OTEL_LOGS_EXPORTER"], java["OTEL_BSP_MAX_QUEUE_SIZE"]) == ("otlp", "4096")


def test_logs_are_sent_where_they_are_wanted() -> None:
    without, wanted = variables(), variables(instrumentation_logs_enabled=True)
    assert {settings(language, without)["OTEL_LOGS_EXPORTER"] for language in LANGUAGES.values()} == {"none"}
    assert {settings(language, wanted)["OTEL_LOGS_EXPORTER"] for language in LANGUAGES.values()} == {"otlp"}
    handler = "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION"
    assert (settings(PYTHON, without)[handler], settings(PYTHON, wanted)[handler]) == ("false", "true")
    java = settings(JAVA, wanted).keys() - settings(JAVA, without).keys()
    assert java == {"OTEL_INSTRUMENTATION_LOGBACK_APPENDER_EXPERIMENTAL_CAPTURE_KEY_VALUE_PAIR_ATTRIBUTES"}
    spec = instrumentation_values(wanted, dict.fromkeys(LANGUAGES, "image:1"))["spec"]
    assert {"name": "OTEL_LOGS_EXPORTER", "value": "otlp"} in spec["env"]
    assert {"name": handler, "value": "true"} in spec["python"]["env"]
    template = {"spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    found = {one["name"]: one.get("value") for one in sdk_environment(wanted, "Deployment", "a", "b", template, "app")}
    assert found["OTEL_LOGS_EXPORTER"] == "otlp"


def test_nodejs_sends_no_logs_without_log_correlation() -> None:
    given = {"instrumentation_logs_enabled": True, "instrumentation_log_correlation": False}
    [found] = [one for one in findings(variables(**given)) if one.variable == "instrumentation_logs_enabled"]
    assert found.severity == "warning" and "does not reach Node.js" in found.what
    assert not [
        one for one in findings(variables(**given, instrumentation_languages=["python"])) if "logs" in one.variable
    ]


def test_numbers_are_written_plainly() -> None:
    assert [plain(value) for value in (1.0, 1, 0.25, 0, 0.00001)] == ["1", "1", "0.25", "0", "0.00001"]


def test_annotations_of_workloads() -> None:
    assert annotation_value("operator", "tracing") == "tracing/default"
    assert annotation_value("policy", "tracing") == annotation_value("sdk", "tracing") == "true"


def test_commands_are_those_of_the_operator() -> None:
    assert {language.name: " ".join(language.command(language.source)) for language in AGENTS} == {
        "python": "cp -r /autoinstrumentation/. /otel-auto-instrumentation-python",
        "java": "cp /javaagent.jar /otel-auto-instrumentation-java/javaagent.jar",
        "nodejs": "cp -r /autoinstrumentation/. /otel-auto-instrumentation-nodejs",
        "dotnet": "cp -r /autoinstrumentation/. /otel-auto-instrumentation-dotnet",
    }
    assert PYTHON.sources["musl"] == "/autoinstrumentation-musl/."
