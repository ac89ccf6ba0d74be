# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Instrumentation resource against the schema of the OpenTelemetry Operator, held by a real API server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import settings
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import AGENTS, SDK
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.variables import chart_values
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.admission.conftest import DEADLINE, VARIABLES
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

PATH = "/apis/opentelemetry.io/v1alpha1/namespaces/default/instrumentations"
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}
ONLY_OPERATOR = {"policy": "", "operator": "v1alpha1"}


@pytest.fixture(scope="module")
def with_crd(api_server: Kube) -> Kube:
    definition = yaml.safe_load((Path(__file__).parent / "instrumentations.yaml").read_text())
    base = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api_server.request("POST", base, body=definition)
    deadline = time.monotonic() + DEADLINE
    while api_server.get(PATH) is None:
        assert time.monotonic() < deadline, "the API server never served the resource"
        time.sleep(0.1)
    return api_server


def resource(**variables: Any) -> dict[str, Any]:
    given = role_defaults("instrumentation", **{**VARIABLES, **variables})
    values, _warnings = chart_values(given, ONLY_OPERATOR)
    (one,) = values["instrumentations"]
    assert values["policies"] == []
    return {
        "apiVersion": "opentelemetry.io/v1alpha1",
        "kind": "Instrumentation",
        "metadata": {"name": one["name"]},
        "spec": one["spec"],
    }


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"instrumentation_mode": "operator", "instrumentation_languages": ["sdk"]},
        {"instrumentation_propagators": ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace"]},
        *({"instrumentation_sampler": name} for name in ("always_on", "traceidratio", "parentbased_always_off")),
        {"instrumentation_log_correlation": False, "instrumentation_baggage_attributes": []},
    ],
)
def test_the_schema_takes_it(with_crd: Kube, variables: dict[str, Any]) -> None:
    """Unknown fields and values that are no choice are refused, and nothing is left out."""
    body = resource(**variables)
    assert with_crd.request("POST", PATH, STRICT, body)["spec"] == body["spec"]


def test_the_schema_refuses_what_it_does_not_know(with_crd: Kube) -> None:
    body = resource()
    body["spec"]["sampler"]["type"] = "parentbased_jaeger_remote"
    with pytest.raises(TracingError, match="Unsupported value"):
        with_crd.request("POST", PATH, STRICT, body)
    body = resource()
    body["spec"]["python"]["resources"] = {}
    with pytest.raises(TracingError, match='unknown field "spec.python.resources"'):
        with_crd.request("POST", PATH, STRICT, body)


def test_settings_are_those_of_the_policies() -> None:
    """Of common and of own variables, with the operator's precedence: the language's win."""
    variables = role_defaults("instrumentation", **VARIABLES)
    spec = resource()["spec"]
    fields = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spec["exporter"]["endpoint"],
        "OTEL_PROPAGATORS": ",".join(spec["propagators"]),
        "OTEL_TRACES_SAMPLER": spec["sampler"]["type"],
        "OTEL_TRACES_SAMPLER_ARG": spec["sampler"]["argument"],
    }
    common = {**fields, **{one["name"]: one["value"] for one in spec["env"]}}
    assert common == settings(SDK, variables)
    for language in AGENTS:
        own = {one["name"]: one["value"] for one in spec[language.name]["env"]}
        missing = dict.fromkeys(language.operator_sets)
        assert {**common, **own, **missing} == {**settings(language, variables), **missing}
        assert spec[language.name]["image"] == f"registry.example/{language.name}:1.0-orion"
