# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chart of roles/local_backends."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[3] / "roles/local_backends/files/chart"
VALUES: dict[str, Any] = {
    "seaweedfs": {
        "secretRevision": "0f4c1c8a27d6b3e9",
        "nodePort": 31333,
        "storage": {"size": "20Gi", "storageClassName": "fast"},
        "resources": {"limits": {"memory": "1Gi", "cpu": 2}},
    },
    "prometheus": {
        "image": {"repository": "registry.example.org/prometheus", "tag": "2.42.0-debian"},
        "scrapeNamespaces": ["tracing", "tracing-2"],
        "retention": "2h",
    },
}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        item["metadata"]["name"]: item["spec"]["template"] for item in objects if "template" in item.get("spec", {})
    }


def container(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (only,) = pods(objects)[name]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("values", [{}, VALUES])
def test_objects_fit_the_api_and_restricted(
    values: dict[str, Any],
    render: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    objects = render(CHART, values, "local-backends", "local-backends")
    validate_kubernetes(objects)
    assert set(pods(objects)) == {"seaweedfs", "prometheus"}
    for template in pods(objects).values():
        assert_restricted(template["spec"])
        assert template["spec"]["automountServiceAccountToken"] is False
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(template["spec"]["containers"][0])
    assert not [item["kind"] for item in objects if item["kind"] in ("Secret", "Role", "ClusterRole")]


def test_names_and_ports_that_other_roles_rely_on(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    objects = render(CHART, VALUES, "local-backends", "local-backends")
    services = {name: pick(objects, "Service", name)["spec"] for name in ("seaweedfs", "seaweedfs-host", "prometheus")}
    assert [services[name]["ports"][0]["port"] for name in services] == [8333, 8333, 9090]
    assert services["seaweedfs-host"]["type"] == "NodePort"
    assert services["seaweedfs-host"]["ports"][0]["nodePort"] == 31333
    for name, service in services.items():
        labels = pods(objects)[name.removesuffix("-host")]["metadata"]["labels"]
        assert service["selector"].items() <= labels.items(), f"{name} selects its pods"
        (port,) = container(objects, name.removesuffix("-host"))["ports"]
        assert service["ports"][0]["targetPort"] == port["name"]


def test_seaweedfs_keeps_its_data_and_takes_secrets_by_reference(
    render: Callable[..., Any], pick: Callable[..., Any]
) -> None:
    objects = render(CHART, VALUES, "local-backends", "local-backends")
    claim = pick(objects, "StatefulSet", "seaweedfs")["spec"]["volumeClaimTemplates"][0]["spec"]
    assert claim["resources"]["requests"]["storage"] == "20Gi" and claim["storageClassName"] == "fast"
    default = pick(render(CHART, {}, "local-backends"), "StatefulSet", "seaweedfs")["spec"]["volumeClaimTemplates"][0]
    assert "storageClassName" not in default["spec"], "an empty string would ask for a volume without a class"
    template, only = pods(objects)["seaweedfs"], container(objects, "seaweedfs")
    assert template["metadata"]["annotations"] == {"checksum/secret": "0f4c1c8a27d6b3e9"}
    env = {item["name"]: item for item in only["env"]}
    assert env["WEED_S3_SSE_KEK"]["valueFrom"]["secretKeyRef"] == {"name": "tempo-s3", "key": "sse_kek"}
    assert env["GOMEMLIMIT"]["value"] == "819MiB"
    volume = next(item for item in template["spec"]["volumes"] if item["name"] == "s3")["secret"]
    mounted = {item["path"] for item in volume["items"]}
    folder = next(item for item in only["volumeMounts"] if item["name"] == "s3")["mountPath"]
    used = {arg.split("=")[1].removeprefix(folder + "/") for arg in only["args"] if folder in arg}
    assert used == mounted == {"s3.json", "tls.crt", "tls.key"}


def test_seaweedfs_sends_nothing_home_and_trusts_nobody_outside_the_pod(render: Callable[..., Any]) -> None:
    args = container(render(CHART, {}, "local-backends"), "seaweedfs")["args"]
    assert {
        "-master.telemetry=false",
        "-ip.bind=127.0.0.1",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    } <= set(args)
    assert args.index("server") < args.index("-filer"), "logging options come before the command, the others after it"


KAFKA: dict[str, Any] = {"kafka": {"enabled": True, "nodePort": 31392, "hostPort": 40392}}


def test_kafka(
    render: Callable[..., Any],
    pick: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    objects = render(CHART, KAFKA, "local-backends", "local-backends")
    validate_kubernetes(objects)
    template, only = pods(objects)["kafka"], container(objects, "kafka")
    assert_restricted(template["spec"])
    overrides = dict(arg.split("=", 1) for arg in only["args"] if arg != "--override")
    # Each kind of client is told an address that it reaches.
    assert overrides["advertised.listeners"] == "PLAINTEXT://kafka.local-backends.svc:9092,HOST://127.0.0.1:40392"
    assert overrides["auto.create.topics.enable"] == "false"
    listeners = dict(one.split("://", 1) for one in overrides["listeners"].split(","))
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    assert (listeners["PLAINTEXT"], listeners["HOST"]) == (f":{ports['kafka']}", f":{ports['kafka-host']}")
    assert listeners["CONTROLLER"].startswith("localhost:"), "it takes no authentication"
    assert pick(objects, "Service", "kafka")["spec"]["ports"][0]["port"] == 9092
    assert pick(objects, "Service", "kafka-host")["spec"]["ports"][0]["nodePort"] == 31392
    assert "kafka" not in pods(render(CHART, {}, "local-backends", "local-backends"))


JAEGER: dict[str, Any] = {"jaeger": {"enabled": True, "storage": {"storageClassName": "fast", "size": "3Gi"}}}


@pytest.mark.parametrize("storage", ["badger", "memory"])
def test_jaeger(
    storage: str,
    render: Callable[..., Any],
    pick: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    values = {"jaeger": JAEGER["jaeger"] | {"storage": JAEGER["jaeger"]["storage"] | {"type": storage}}}
    objects = render(CHART, values, "local-backends", "local-backends")
    validate_kubernetes(objects)
    template, only = pods(objects)["jaeger"], container(objects, "jaeger")
    assert_restricted(template["spec"])
    assert template["spec"]["automountServiceAccountToken"] is False
    assert only["command"] == ["/cmd/jaeger/jaeger-linux"]
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    service = pick(objects, "Service", "jaeger")["spec"]
    assert {port["port"]: ports[port["targetPort"]] for port in service["ports"]} == {
        4317: 4317,
        4318: 4318,
        16686: 16686,
    }
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    opened = pick(objects, "NetworkPolicy", "jaeger")["spec"]
    assert [port["port"] for port in opened["ingress"][0]["ports"]] == ["otlp-grpc", "otlp-http", "query"]
    assert opened["egress"] == []
    config = yaml.safe_load(pick(objects, "ConfigMap", "jaeger")["data"]["jaeger.yaml"])
    health = config["extensions"]["healthcheckv2"]["http"]["endpoint"]
    assert health == f"0.0.0.0:{ports['health']}" and only["readinessProbe"]["httpGet"]["port"] == "health"
    claims = [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    mounts = {item["name"]: item["mountPath"] for item in only["volumeMounts"]}
    if storage == "memory":
        assert not claims and set(mounts) == {"config"}
    else:
        (claim,) = claims
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
        folders = config["extensions"]["jaeger_storage"]["backends"]["main"]["badger"]["directories"].values()
        assert all(folder.startswith(mounts["data"] + "/") for folder in folders)


def test_victorialogs(
    render: Callable[..., Any],
    pick: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    values = {"enabled": True, "retention": "3d", "storage": {"storageClassName": "fast", "size": "5Gi"}}
    objects = render(CHART, {"victorialogs": values}, "local-backends", "local-backends")
    validate_kubernetes(objects)
    template, only = pods(objects)["victorialogs"], container(objects, "victorialogs")
    assert_restricted(template["spec"])
    assert template["spec"]["automountServiceAccountToken"] is False
    service = pick(objects, "Service", "victorialogs")["spec"]
    (port,) = only["ports"]
    assert [(one["port"], one["targetPort"]) for one in service["ports"]] == [(port["containerPort"], port["name"])]
    assert port["containerPort"] == 9428 and "-httpListenAddr=:9428" in only["args"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert pick(objects, "NetworkPolicy", "victorialogs")["spec"]["ingress"] == [{"ports": [{"port": "http"}]}]
    claim = pick(objects, "PersistentVolumeClaim", "victorialogs")["spec"]
    assert claim["storageClassName"] == "fast" and claim["resources"]["requests"]["storage"] == "5Gi"
    # The store's own limit is below the volume's size.
    assert {"-retentionPeriod=3d", "-retention.maxDiskSpaceUsageBytes=4096MiB"} <= set(only["args"])
    (mount,) = only["volumeMounts"]
    assert f"-storageDataPath={mount['mountPath']}" in only["args"]
    assert {"name": "GOMEMLIMIT", "value": "204MiB"} in only["env"]


def test_grafana(
    render: Callable[..., Any],
    pick: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    assert "grafana" not in pods(render(CHART, {}, "local-backends", "local-backends"))
    values = {"enabled": True, "secretName": "login", "nodePort": 31300, "storage": {"size": "1Gi"}}
    objects = render(CHART, {"grafana": values}, "local-backends", "local-backends")
    validate_kubernetes(objects)
    template, only = pods(objects)["grafana"], container(objects, "grafana")
    assert_restricted(template["spec"])
    assert template["spec"]["automountServiceAccountToken"] is False
    assert only["securityContext"]["readOnlyRootFilesystem"]
    settings = configparser.ConfigParser()
    settings.read_string(pick(objects, "ConfigMap", "grafana")["data"]["grafana.ini"])
    assert settings["auth.anonymous"]["enabled"] == settings["users"]["allow_sign_up"] == "false"
    # With a read-only root, Grafana would remove the plugins that it cannot update.
    assert settings["plugins"]["preinstall_auto_update"] == "false"
    assert settings["plugins"]["preinstall"] == "victoriametrics-logs-datasource"
    env = {item["name"]: item for item in only["env"]}
    for name, key in (("ADMIN_PASSWORD", "admin_password"), ("SECRET_KEY", "secret_key")):
        assert env[f"GF_SECURITY_{name}"]["valueFrom"]["secretKeyRef"] == {"name": "login", "key": key}
    writable = [one["mountPath"] for one in only["volumeMounts"] if not one.get("readOnly")]
    for name in ("GF_PATHS_DATA", "GF_PATHS_LOGS", "GF_PATHS_PLUGINS"):
        assert env[name]["value"].startswith(tuple(writable)), name
    service = pick(objects, "Service", "grafana")["spec"]
    (port,) = only["ports"]
    assert service["type"] == "NodePort" and service["ports"][0]["nodePort"] == 31300
    assert service["ports"][0]["targetPort"] == port["name"] and port["containerPort"] == 3000
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    claim = pick(objects, "PersistentVolumeClaim", "grafana")["spec"]
    assert claim["resources"]["requests"]["storage"] == "1Gi" and "storageClassName" not in claim
    _outside, stores = pick(objects, "NetworkPolicy", "grafana")["spec"]["egress"]
    [namespaces] = stores["to"][0]["namespaceSelector"]["matchExpressions"]
    assert namespaces["values"] == ["local-backends", "tracing"]
    assert {one["port"] for one in stores["ports"]} == {9090, 9428, 16686, 3200}


def test_prometheus_finds_every_component(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    objects = render(CHART, VALUES, "local-backends", "local-backends")
    config = yaml.safe_load(pick(objects, "ConfigMap", "prometheus")["data"]["prometheus.yml"])
    services = {
        f"{item['metadata']['name']}.{item['metadata']['namespace']}.svc": item["spec"]
        for item in objects
        if item["kind"] == "Service" and item["metadata"]["namespace"] != "local-backends"
    }
    ports = {"otel-collector": 8888, "tempo": 3200}
    seen = set()
    for job in config["scrape_configs"]:
        (discovery,) = job["dns_sd_configs"]
        assert discovery["port"] == ports[job["job_name"]]
        for name in discovery["names"]:
            seen.add(name)
            service = services[name]
            labels = {
                rule["target_label"]: match[1]
                for rule in job["relabel_configs"]
                if (match := re.fullmatch(rule["regex"], name))
            }
            assert labels == {
                "component": service["selector"]["app.kubernetes.io/component"],
                "namespace": name.split(".")[1],
            }
            assert service["selector"]["app.kubernetes.io/name"] == job["job_name"]
            assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"]
            assert service["ports"][0]["port"] == discovery["port"]
    assert seen == set(services) and len(seen) == 26


ALERT = {"alert": "A", "expr": "up < 1", "annotations": {"summary": "{{ $labels.x }}"}}
RULES = {"groups": [{"name": "g", "rules": [ALERT]}]}


def test_prometheus_evaluates_rules(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    without = render(CHART, {}, "local-backends")
    assert set(pick(without, "ConfigMap", "prometheus")["data"]) == {"prometheus.yml"}
    assert "rule_files" not in yaml.safe_load(pick(without, "ConfigMap", "prometheus")["data"]["prometheus.yml"])
    objects = render(CHART, {"prometheus": {"rules": RULES}}, "local-backends")
    data = pick(objects, "ConfigMap", "prometheus")["data"]
    assert yaml.safe_load(data["rules.yml"]) == RULES, "Helm leaves Prometheus' templates as they are"
    [mount] = [one for one in container(objects, "prometheus")["volumeMounts"] if one["name"] == "config"]
    assert yaml.safe_load(data["prometheus.yml"])["rule_files"] == [f"{mount['mountPath']}/rules.yml"]
    before, after = (pods(one)["prometheus"]["metadata"]["annotations"] for one in (without, objects))
    assert before != after, "it restarts with other rules"


def test_prometheus_restarts_with_its_configuration(render: Callable[..., Any]) -> None:
    one, two = (pods(render(CHART, values, "local-backends"))["prometheus"] for values in ({}, VALUES))
    assert one["metadata"]["annotations"] != two["metadata"]["annotations"]
    (only,) = two["spec"]["containers"]
    assert only["image"] == "registry.example.org/prometheus:2.42.0-debian"
    assert {
        "--storage.tsdb.retention.time=2h",
        "--web.enable-remote-write-receiver",
        "--enable-feature=exemplar-storage",
    } <= set(only["args"])
    assert {"name": "GOMEMLIMIT", "value": "409MiB"} in only["env"]


def test_network_policies_open_the_named_ports_only(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    objects = render(CHART, VALUES, "local-backends", "local-backends")
    for name, port in (("seaweedfs", "s3"), ("prometheus", "http")):
        spec = pick(objects, "NetworkPolicy", name)["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert spec["ingress"] == [{"ports": [{"port": port}]}]
        assert spec["podSelector"]["matchLabels"].items() <= pods(objects)[name]["metadata"]["labels"].items()
    assert pick(objects, "NetworkPolicy", "seaweedfs")["spec"]["egress"] == []
    dns, targets = pick(objects, "NetworkPolicy", "prometheus")["spec"]["egress"]
    assert {(item["port"], item["protocol"]) for item in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert {item["port"] for item in targets["ports"]} == {8888, 3200}
    assert targets["to"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["tracing", "tracing-2"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"minio": {}}, "minio"),
        ({"seaweedfs": {"acessKey": "x"}}, "acessKey"),
        ({"seaweedfs": {"nodePort": "30333"}}, "nodePort"),
        ({"seaweedfs": {"secretRevision": "not a digest"}}, "secretRevision"),
        ({"seaweedfs": {"storage": {"size": "5 GB"}}}, "size"),
        ({"seaweedfs": {"resources": {"limits": None}}}, "limits"),
        ({"prometheus": {"resources": {"limits": {"memory": "512M"}}}}, "memory"),
        ({"jaeger": {"storage": {"type": "cassandra"}}}, "type"),
        ({"jaeger": {"storage": {"maxTraces": 10}}}, "maxTraces"),
        ({"jaeger": {"storage": {"retention": "1d"}}}, "retention"),
        ({"jaeger": {"storage": {"directory": "/tmp"}}}, "directory"),
        ({"victorialogs": {"retention": "12h"}}, "retention"),
        ({"victorialogs": {"storage": {"type": "memory"}}}, "type"),
        ({"grafana": {"plugins": ["a; rm"]}}, "plugins"),
        ({"grafana": {"adminPassword": "x"}}, "adminPassword"),
        ({"prometheus": {"retention": "7 days"}}, "retention"),
        ({"prometheus": {"rules": {"groups": [{"name": "without rules"}]}}}, "rules"),
        ({"prometheus": {"scrapeNamespaces": []}}, "scrapeNamespaces"),
        ({"prometheus": {"scrapeNamespaces": ["Tracing"]}}, "scrapeNamespaces"),
    ],
)
def test_wrong_values_are_refused_with_their_path(
    values: dict[str, Any], text: str, assert_fails: Callable[..., None]
) -> None:
    assert_fails(CHART, values, text)
