# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chart of roles/local_demo."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHART = Path(__file__).resolve().parents[3] / "roles/local_demo/files/chart"
VALUES: dict[str, Any] = {
    "postgresql": {"secretName": "other", "storage": {"size": "2Gi", "storageClassName": "fast"}},
    "storefront": {"nodePort": 31380},
    "gateway": {"nodePort": 31381},
    "python": {"resources": {"limits": {"memory": "1Gi", "cpu": 2}}},
}
LANGUAGES = {
    "storefront": "nodejs",
    "gateway": "python",
    "orders": "python",
    "fulfilment": "python",
    "pricing": "java",
}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def rendered(render: Callable[..., Any], values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return list(render(CHART, values or {}, "shop", "local-demo"))


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        item["metadata"]["name"]: item["spec"]["template"] for item in objects if "template" in item.get("spec", {})
    }


def container(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (only,) = pods(objects)[name]["spec"]["containers"]
    return dict(only)


def environment(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container(objects, name)["env"]}


@pytest.mark.parametrize("values", [{}, VALUES])
def test_objects_fit_the_api_and_restricted(
    values: dict[str, Any],
    render: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    objects = rendered(render, values)
    validate_kubernetes(objects)
    assert set(pods(objects)) == {*LANGUAGES, "postgresql", "kafka"}
    for name, template in pods(objects).items():
        assert_restricted(template["spec"])
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["enableServiceLinks"] is False, "KAFKA_PORT=tcp://… would be read as a setting"
        only = container(objects, name)
        assert set(PROBES) <= set(only)
        (port,) = only["ports"]
        for probe in PROBES:
            (handler,) = (only[probe][kind] for kind in ("httpGet", "tcpSocket") if kind in only[probe])
            assert handler["port"] == port["name"]
    assert not [item["kind"] for item in objects if item["kind"] in ("Secret", "Role", "ClusterRole")]


def test_one_annotation_is_all_that_a_service_has_for_tracing(render: Callable[..., Any]) -> None:
    objects = rendered(render)
    for name, language in LANGUAGES.items():
        template = pods(objects)[name]
        assert template["metadata"]["annotations"] == {f"instrumentation.opentelemetry.io/inject-{language}": "true"}
        assert "initContainers" not in template["spec"]
        assert not [variable for variable in environment(objects, name) if variable.startswith("OTEL_")]
    for name in ("postgresql", "kafka"):
        assert "annotations" not in pods(objects)[name]["metadata"]


def test_labels_give_each_service_its_name_and_version(render: Callable[..., Any]) -> None:
    for name, template in pods(rendered(render, {"pricing": {"image": {"tag": "1.2.3"}}})).items():
        labels = template["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == name and labels["app.kubernetes.io/part-of"] == "shop"
        # The operator takes a service's name from it, and all services of a release would have the same one
        assert "app.kubernetes.io/instance" not in labels
    assert labels["app.kubernetes.io/version"]
    pricing = pods(rendered(render, {"pricing": {"image": {"tag": "1.2.3"}}}))["pricing"]
    assert pricing["metadata"]["labels"]["app.kubernetes.io/version"] == "1.2.3"


def test_pods_restart_with_another_content_of_the_images(render: Callable[..., Any]) -> None:
    for name, template in pods(rendered(render, {"imagesRevision": "0a1b"})).items():
        assert template["metadata"]["annotations"]["checksum/images"] == "0a1b", name


def test_services_select_their_pods_and_two_have_a_port_of_the_nodes(
    render: Callable[..., Any], pick: Callable[..., Any]
) -> None:
    objects = rendered(render, VALUES)
    node_ports = {}
    for name in pods(objects):
        service = pick(objects, "Service", name)["spec"]
        assert service["selector"].items() <= pods(objects)[name]["metadata"]["labels"].items()
        (port,) = service["ports"]
        assert port["targetPort"] == container(objects, name)["ports"][0]["name"]
        assert port["port"] == {"postgresql": 5432, "kafka": 9092}.get(name, 80)
        if "nodePort" in port:
            assert service["type"] == "NodePort"
            node_ports[name] = port["nodePort"]
    assert node_ports == {"storefront": 31380, "gateway": 31381}


def test_services_find_each_other(render: Callable[..., Any]) -> None:
    objects = rendered(render)
    names = set(pods(objects))
    for name in LANGUAGES:
        for variable, value in environment(objects, name).items():
            if variable.endswith("_URL") and str(value).startswith("http:"):
                assert str(value).removeprefix("http://") in names - {name}, f"{name}: {variable}"
    used = {name for name in LANGUAGES if environment(objects, name).get("KAFKA_BOOTSTRAP_SERVERS") == "kafka:9092"}
    assert used == {"orders", "fulfilment", "pricing"}
    args = container(objects, "kafka")["args"]
    assert args[args.index("--override") + 1] == "advertised.listeners=PLAINTEXT://kafka:9092"


def test_the_password_is_taken_by_reference(render: Callable[..., Any]) -> None:
    objects = rendered(render, VALUES)
    reference = {"secretKeyRef": {"name": "other", "key": "password"}}
    for name in ("orders", "fulfilment"):
        variables = environment(objects, name)
        assert variables["POSTGRES_PASSWORD"] == reference
        assert variables["DATABASE_URL"] == "postgresql://shop:$(POSTGRES_PASSWORD)@postgresql/shop"
        # Kubernetes expands only variables that come before
        assert list(variables).index("POSTGRES_PASSWORD") < list(variables).index("DATABASE_URL")
    pricing = environment(objects, "pricing")
    assert pricing["SPRING_DATASOURCE_PASSWORD"] == reference
    assert pricing["SPRING_DATASOURCE_URL"] == "jdbc:postgresql://postgresql/shop"
    server, variables = container(objects, "postgresql"), environment(objects, "postgresql")
    assert variables["POSTGRES_USER"] == variables["POSTGRES_DB"] == pricing["SPRING_DATASOURCE_USERNAME"] == "shop"
    mount = next(item for item in server["volumeMounts"] if item["name"] == "password")
    assert variables["POSTGRES_PASSWORD_FILE"] == f"{mount['mountPath']}/password"
    volumes = {item["name"]: item for item in pods(objects)["postgresql"]["spec"]["volumes"]}
    assert volumes["password"]["secret"]["secretName"] == "other"
    for name in ("storefront", "gateway", "kafka"):
        assert "other" not in json.dumps(pods(objects)[name])


def test_the_database_keeps_its_data_until_the_release_is_removed(
    render: Callable[..., Any], pick: Callable[..., Any]
) -> None:
    spec = pick(rendered(render, VALUES), "StatefulSet", "postgresql")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi" and claim["spec"]["storageClassName"] == "fast"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Retain"}
    default = pick(rendered(render), "StatefulSet", "postgresql")["spec"]["volumeClaimTemplates"][0]
    assert "storageClassName" not in default["spec"], "an empty string would ask for a volume without a class"


def test_only_writable_places_are_volumes(render: Callable[..., Any]) -> None:
    for name, template in pods(rendered(render)).items():
        (only,) = template["spec"]["containers"]
        assert only["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = {item["mountPath"] for item in only["volumeMounts"]}
        assert "/tmp" in mounts, name
        for volume in template["spec"]["volumes"]:
            assert "emptyDir" not in volume or re.fullmatch(r"\d+(Mi|Gi)", volume["emptyDir"]["sizeLimit"])


def test_network_policies(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    objects = rendered(render)
    policies = {name: pick(objects, "NetworkPolicy", name)["spec"] for name in pods(objects)}
    for name, policy in policies.items():
        assert policy["podSelector"]["matchLabels"].items() <= pods(objects)[name]["metadata"]["labels"].items()
        (rule,) = policy["ingress"]
        assert rule["ports"] == [{"port": container(objects, name)["ports"][0]["name"]}]
        if name in LANGUAGES:
            assert "from" not in rule and policy["policyTypes"] == ["Ingress"]
        else:
            assert policy["egress"] == [] and policy["policyTypes"] == ["Ingress", "Egress"]
    (database,) = policies["postgresql"]["ingress"][0]["from"]
    users = {name for name in LANGUAGES if "PASSWORD" in json.dumps(container(objects, name)["env"])}
    assert set(database["podSelector"]["matchExpressions"][0]["values"]) == users == {"orders", "fulfilment", "pricing"}
    assert policies["kafka"]["ingress"][0]["from"] == [{"podSelector": {}}]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"redis": {}}, "redis"),
        ({"imagesRevision": "latest"}, "imagesRevision"),
        ({"postgresql": {"password": "x"}}, "password"),
        ({"postgresql": {"storage": {"size": "1 GB"}}}, "size"),
        ({"kafka": {"resources": {"limits": {"memory": "512M"}}}}, "memory"),
        ({"python": {"resources": {"limits": None}}}, "limits"),
        ({"pricing": {"nodePort": 30382}}, "nodePort"),
        ({"storefront": {"nodePort": "30380"}}, "nodePort"),
        ({"gateway": {"image": {}}}, "image"),
    ],
)
def test_wrong_values_are_refused_with_their_path(
    values: dict[str, Any], text: str, assert_fails: Callable[..., None]
) -> None:
    assert_fails(CHART, values, text)
