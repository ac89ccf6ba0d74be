# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The environment that the mode sdk writes into a workload: by the rules of the policies (tests/admission)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import encoded, sdk_environment
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import FIELDS
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults


def made(kind: str = "Deployment", env: list[dict[str, Any]] | None = None, **metadata: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "registry.example:5000/shop/app:1.2@sha256:0", "env": env or []}
    template = {"metadata": metadata, "spec": {"containers": [{"name": "first"}, container]}}
    found = sdk_environment(role_defaults("instrumentation"), kind, "shop", "orders", template, "app")
    names = [variable["name"] for variable in found]
    assert len(set(names)) == len(names) and not set(names) & {variable["name"] for variable in env or []} - {
        "OTEL_RESOURCE_ATTRIBUTES"
    }
    assert "OTEL_RESOURCE_ATTRIBUTES" not in names or names[-1] == "OTEL_RESOURCE_ATTRIBUTES"
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in found}


def test_all_of_it() -> None:
    found = made()
    assert {name: found[name]["fieldRef"]["fieldPath"] for name in FIELDS} == FIELDS
    assert found["OTEL_SERVICE_NAME"] == "orders"
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector.tracing.svc:4318"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == (
        "service.namespace=shop,service.version=1.2@sha256:0,"
        "service.instance.id=shop.$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME).app,k8s.namespace.name=shop,"
        "k8s.deployment.name=orders,k8s.pod.name=$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME),"
        "k8s.pod.uid=$(OTEL_RESOURCE_ATTRIBUTES_POD_UID),k8s.node.name=$(OTEL_RESOURCE_ATTRIBUTES_NODE_NAME),"
        "k8s.container.name=app"
    )


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"labels": {"app.kubernetes.io/name": "n"}}, "n"),
        ({"labels": {"app.kubernetes.io/name": "n", "app.kubernetes.io/instance": "i"}}, "i"),
        (
            {
                "labels": {"app.kubernetes.io/instance": "i"},
                "annotations": {"resource.opentelemetry.io/service.name": "a"},
            },
            "a",
        ),
    ],
)
def test_service_name(metadata: dict[str, Any], name: str) -> None:
    assert made(**metadata)["OTEL_SERVICE_NAME"] == name


def test_what_the_container_sets_stays() -> None:
    own = [
        {"name": "OTEL_TRACES_SAMPLER", "value": "always_on"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "service.name=mine, team=a,"},
        {"name": "OTEL_PROPAGATORS", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
    ]
    found = made(
        env=own, annotations={"resource.opentelemetry.io/team": "b", "resource.opentelemetry.io/city": "Zürich"}
    )
    assert not {"OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_PROPAGATORS"} & set(found)
    assert found["OTEL_RESOURCE_ATTRIBUTES"].startswith("service.name=mine, team=a,service.namespace=shop,")
    assert "team=b" not in found["OTEL_RESOURCE_ATTRIBUTES"] and "city" not in found["OTEL_RESOURCE_ATTRIBUTES"]


def test_resource_attributes_from_elsewhere_stay() -> None:
    source = {"configMapKeyRef": {"name": "a", "key": "b"}}
    assert "OTEL_RESOURCE_ATTRIBUTES" not in made(env=[{"name": "OTEL_RESOURCE_ATTRIBUTES", "valueFrom": source}])


def test_kinds_and_versions() -> None:
    found = made("StatefulSet", labels={"app.kubernetes.io/version": "7"})["OTEL_RESOURCE_ATTRIBUTES"]
    assert "k8s.statefulset.name=orders" in found and "service.version=7," in found


def test_values_are_encoded() -> None:
    assert encoded('a, b=c;d"e\\f%$(G)') == "a%2C%20b%3Dc%3Bd%22e%5Cf%25$$(G)"
