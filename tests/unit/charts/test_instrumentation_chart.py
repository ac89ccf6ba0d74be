# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The instrumentation chart: objects of the API's schema, expressions as they were written, a closed schema."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.variables import chart_values
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

CHART = Path(__file__).resolve().parents[3] / "roles/instrumentation/files/chart"
POLICY = {"policy": "v1beta1", "operator": ""}
OPERATOR = {"policy": "", "operator": "v1alpha1"}


def values(modes: dict[str, str], **variables: Any) -> dict[str, Any]:
    found, _warnings = chart_values(role_defaults("instrumentation", **variables), modes)
    return found


def test_policies_arrive_as_they_were_built(
    render: Callable[..., list[dict[str, Any]]],
    validate_kubernetes: Callable[[list[dict[str, Any]]], None],
) -> None:
    given = values(POLICY)
    objects = render(CHART, given, release="instrumentation")
    validate_kubernetes(objects)
    policies = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "MutatingAdmissionPolicy"}
    assert policies == {policy["name"]: policy["spec"] for policy in given["policies"]}
    bindings = [item for item in objects if item["kind"] == "MutatingAdmissionPolicyBinding"]
    assert {item["metadata"]["name"]: item["spec"] for item in bindings} == {
        name: {"policyName": name} for name in policies
    }
    assert len(objects) == 2 * len(policies) == 10


def test_the_version_is_that_of_the_cluster(render: Callable[..., list[dict[str, Any]]]) -> None:
    objects = render(CHART, values({"policy": "v1", "operator": ""}))
    assert {item["apiVersion"] for item in objects} == {"admissionregistration.k8s.io/v1"}


def test_the_operators_resource(render: Callable[..., list[dict[str, Any]]]) -> None:
    given = values(OPERATOR)
    (item,) = render(CHART, given, namespace="tracing")
    assert (item["apiVersion"], item["kind"]) == ("opentelemetry.io/v1alpha1", "Instrumentation")
    assert (item["metadata"]["namespace"], item["metadata"]["name"]) == ("tracing", "default")
    assert item["spec"] == given["instrumentations"][0]["spec"]


def test_sdk_makes_no_object(render: Callable[..., list[dict[str, Any]]]) -> None:
    assert render(CHART, values(POLICY, instrumentation_mode="sdk")) == []


@pytest.mark.parametrize(
    ("modes", "path", "value", "texts"),
    [
        (POLICY, ["policy"], [], ["policy"]),
        (POLICY, ["policyVersion"], "v1alpha1", ["policyVersion"]),
        (POLICY, ["policies", 0, "name"], "A b", ["policies", "name"]),
        (POLICY, ["policies", 0, "spec", "failurePolicy"], "Fail", ["failurePolicy"]),
        (POLICY, ["policies", 0, "spec", "reinvocationPolicy"], "Always", ["reinvocationPolicy"]),
        (POLICY, ["policies", 0, "spec", "paramKind"], {}, ["paramKind"]),
        (POLICY, ["policies", 0, "spec", "mutations"], [], ["mutations"]),
        (POLICY, ["policies", 0, "spec", "mutations", 0, "patchType"], "ApplyConfiguration", ["patchType"]),
        (POLICY, ["policies", 0, "spec", "variables", 0, "expression"], "", ["expression"]),
        (OPERATOR, ["instrumentations", 0, "spec", "exporter", "endpoint"], "collector:4317", ["endpoint"]),
        (OPERATOR, ["instrumentations", 0, "spec", "propagators"], ["zipkin"], ["propagators"]),
        (OPERATOR, ["instrumentations", 0, "spec", "go"], {}, ["go"]),
        (OPERATOR, ["instrumentations", 0, "spec", "java", "img"], "x", ["java", "img"]),
    ],
)  # fmt: skip
def test_closed_schema_names_the_path(
    modes: dict[str, str], path: list[Any], value: Any, texts: list[str], assert_fails: Callable[..., None]
) -> None:
    changed: Any = copy.deepcopy(values(modes))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert_fails(CHART, changed, *texts)
