# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tempo chart, rendered by helm. test_tempo_configs.py is about the tempo.yaml in it."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import tagged_version
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import VERSION
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.tempo_configs import CASES, KAFKA, ROLE, values_of, verify

CHART = ROLE / "files" / "chart"


@pytest.fixture
def rendered(render: Callable[..., list[dict[str, Any]]]) -> Callable[[str], list[dict[str, Any]]]:
    return lambda case: render(CHART, values_of(case), release="tempo")


def workloads(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects if item["kind"] in ("Deployment", "StatefulSet")}


def by_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def container(workload: dict[str, Any]) -> dict[str, Any]:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def selects(selector: dict[str, str], workload: dict[str, Any]) -> bool:
    return selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("case", CASES)
def test_objects_fit_the_api_and_run_under_restricted(
    case: str,
    rendered: Callable[[str], list[dict[str, Any]]],
    validate_kubernetes: Callable[[list[dict[str, Any]]], None],
    assert_restricted: Callable[[dict[str, Any]], None],
) -> None:
    objects = rendered(case)
    validate_kubernetes(objects)
    assert workloads(objects)
    for workload in workloads(objects).values():
        assert_restricted(workload["spec"]["template"]["spec"])
        assert selects(workload["spec"]["selector"]["matchLabels"], workload)


@pytest.mark.parametrize("case", CASES)
def test_selectors_find_their_ports(case: str, rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    """Every Service, PDB and NetworkPolicy selects workloads, which have all the ports."""
    objects = rendered(case)
    pods = workloads(objects).values()
    for name, service in by_kind(objects, "Service").items():
        chosen = [pod for pod in pods if selects(service["spec"]["selector"], pod)]
        assert chosen, name
        for pod in chosen:
            ports = {port["name"] for port in container(pod)["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, name
    for name, budget in by_kind(objects, "PodDisruptionBudget").items():
        chosen = [pod for pod in pods if selects(budget["spec"]["selector"]["matchLabels"], pod)]
        assert chosen and all(f"{pod['metadata']['name']}-".startswith(f"{name}-") for pod in chosen)
        assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in chosen} == {
            budget["metadata"]["labels"]["app.kubernetes.io/component"]
        }
        assert budget["spec"]["maxUnavailable"] == 1
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}
    assert len(by_kind(objects, "PodDisruptionBudget")) == len(components)
    for name, policy in by_kind(objects, "NetworkPolicy").items():
        chosen = [pod for pod in pods if selects(policy["spec"]["podSelector"].get("matchLabels", {}), pod)]
        assert chosen, name
        known = {port["name"] for pod in chosen for port in container(pod)["ports"]}
        for rule in policy["spec"]["ingress"]:
            assert {port["port"] for port in rule["ports"]} <= known, name


def test_distributed_names_and_ports(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("generator")
    kinds = {name: item["kind"] for name, item in workloads(objects).items()}
    assert kinds == {
        "tempo-distributor": "Deployment",
        "tempo-querier": "Deployment",
        "tempo-query-frontend": "Deployment",
        "tempo-compactor": "Deployment",
        "tempo-ingester": "StatefulSet",
        "tempo-metrics-generator": "StatefulSet",
    }
    services = by_kind(objects, "Service")
    ports = {name: {p["port"] for p in item["spec"]["ports"]} for name, item in services.items()}
    assert ports == {
        "tempo-distributor": {4317, 4318, 3200},
        "tempo-query-frontend": {3200, 9095},
        "tempo-query-frontend-discovery": {9095},
        "tempo-gossip-ring": {7946},
        "tempo-ingester": {3200, 9095},
        "tempo-querier": {3200, 9095},
        "tempo-compactor": {3200, 9095},
        "tempo-metrics-generator": {3200, 9095},
    }
    for name in ("tempo-gossip-ring", "tempo-query-frontend-discovery"):
        assert services[name]["spec"]["publishNotReadyAddresses"] is True
        assert services[name]["spec"]["clusterIP"] == "None"
    # A member that does not listen for gossip would be a dead address in the ring's DNS name.
    members = {
        name
        for name, pod in workloads(objects).items()
        if selects(services["tempo-gossip-ring"]["spec"]["selector"], pod)
    }
    assert members == set(kinds) - {"tempo-query-frontend"}
    for item in workloads(objects).values():
        if item["kind"] == "StatefulSet":
            assert services[item["spec"]["serviceName"]]["spec"]["clusterIP"] == "None"


def test_monolithic_serves_under_the_same_names(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("monolithic")
    assert {name: item["kind"] for name, item in workloads(objects).items()} == {"tempo": "StatefulSet"}
    assert set(by_kind(objects, "Service")) == {"tempo", "tempo-distributor", "tempo-query-frontend"}
    tempo = workloads(objects)["tempo"]
    assert "-target=all" in container(tempo)["args"]
    assert [claim["metadata"]["name"] for claim in tempo["spec"]["volumeClaimTemplates"]] == ["data"]


def test_kafka_serves_under_the_same_names(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("kafka-sasl")
    assert {name: item["kind"] for name, item in workloads(objects).items()} == {
        "tempo-distributor": "Deployment",
        "tempo-querier": "Deployment",
        "tempo-query-frontend": "Deployment",
        "tempo-live-store": "StatefulSet",
        "tempo-block-builder": "StatefulSet",
        "tempo-backend-scheduler": "StatefulSet",
        "tempo-backend-worker": "StatefulSet",
        "tempo-metrics-generator": "StatefulSet",
    }
    services = by_kind(objects, "Service")
    ports = {name: {p["port"] for p in item["spec"]["ports"]} for name, item in services.items()}
    assert ports["tempo-distributor"] == {4317, 4318, 3200}
    assert ports["tempo-query-frontend"] == {3200, 9095}
    # Workers call the scheduler.
    assert ports["tempo-backend-scheduler"] == {3200, 9095}
    for item in workloads(objects).values():
        if item["kind"] == "StatefulSet":
            assert services[item["spec"]["serviceName"]]["spec"]["clusterIP"] == "None"
    ring = services["tempo-gossip-ring"]["spec"]["selector"]
    outside = {name for name, pod in workloads(objects).items() if not selects(ring, pod)}
    assert outside == {"tempo-query-frontend", "tempo-backend-scheduler"}
    volumes = {name for name, pod in workloads(objects).items() if "volumeClaimTemplates" in pod["spec"]}
    assert volumes == {"tempo-live-store"}
    assert workloads(objects)["tempo-backend-scheduler"]["spec"]["replicas"] == 1


def test_kafkas_credentials_are_references(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("kafka-sasl")
    given = {}
    for name, workload in workloads(objects).items():
        assert "-config.expand-env=true" in container(workload)["args"]
        env = {item["name"]: item.get("valueFrom", {}).get("secretKeyRef") for item in container(workload)["env"]}
        given[name] = {key: value for key, value in env.items() if key.startswith("TEMPO_KAFKA_")}
    wanted = {
        "TEMPO_KAFKA_USERNAME": {"name": "tempo-kafka", "key": "username"},
        "TEMPO_KAFKA_PASSWORD": {"name": "tempo-kafka", "key": "password"},
    }
    # What never connects to Kafka does not get them.
    users = {"tempo-distributor", "tempo-live-store", "tempo-block-builder", "tempo-metrics-generator"}
    assert given == {name: wanted if name in users else {} for name in given}
    (config,) = by_kind(objects, "ConfigMap").values()
    # In quotes, whatever the password consists of.
    assert "sasl_password: '${TEMPO_KAFKA_PASSWORD}'" in config["data"]["tempo.yaml"]
    for workload in workloads(rendered("kafka")).values():
        assert "-config.expand-env=true" not in container(workload)["args"]


def test_a_release_of_another_name_serves_under_the_usual_one(render: Callable[..., list[dict[str, Any]]]) -> None:
    def services(**more: Any) -> dict[str, dict[str, Any]]:
        given = role_defaults(
            "tempo", **{**KAFKA, "object_storage_bucket": "traces", "tempo_release_name": "tempo-3", **more}
        )
        return by_kind(render(CHART, tempo_values(given), release="tempo-3"), "Service")

    both = services()
    for name in ("distributor", "query-frontend"):
        own, usual = both[f"tempo-3-{name}"]["spec"], both[f"tempo-{name}"]["spec"]
        assert own == usual
        assert own["selector"]["app.kubernetes.io/instance"] == "tempo-3"
    assert {name for name in services(tempo_front_services_enabled=False) if not name.startswith("tempo-3-")} == set()


@pytest.mark.parametrize(
    ("case", "component", "flag", "replicas", "zones"),
    [
        ("zones", "ingester", "-ingester.availability-zone=", 2, ["eu-1a", "eu-1b", "eu-1c"]),
        ("kafka-zones", "live-store", "-live-store.instance-availability-zone=", 3, ["eu-1a", "eu-1b"]),
    ],
)
def test_each_zone_has_its_pods(
    case: str,
    component: str,
    flag: str,
    replicas: int,
    zones: list[str],
    rendered: Callable[[str], list[dict[str, Any]]],
) -> None:
    objects = rendered(case)
    found = {name: pod for name, pod in workloads(objects).items() if name.startswith(f"tempo-{component}")}
    assert set(found) == {f"tempo-{component}-{zone}" for zone in zones}
    for zone in zones:
        spec = found[f"tempo-{component}-{zone}"]["spec"]
        assert spec["replicas"] == replicas
        assert f"{flag}{zone}" in container(found[f"tempo-{component}-{zone}"])["args"]
        assert spec["serviceName"] == f"tempo-{component}"
        # Immutable, and apart from the other zones'.
        assert spec["selector"]["matchLabels"]["orion.tracing/zone"] == zone
        [term] = spec["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term["matchExpressions"] == [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]
    for name, pod in workloads(objects).items():
        assert ("affinity" in pod["spec"]["template"]["spec"]) is (name in found)


def test_ids_can_be_left_to_the_cluster(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    ids = {"runAsUser", "runAsGroup", "fsGroup"}
    for case, there in (("production", ids), ("openshift", set())):
        for workload in workloads(rendered(case)).values():
            context = workload["spec"]["template"]["spec"]["securityContext"]
            assert ids & set(context) == there
            assert context["runAsNonRoot"] is True


def test_environment_and_files(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    for workload in workloads(rendered("kafka-files-ipv6")).values():
        env = {item["name"]: item for item in container(workload)["env"]}
        assert env["AWS_REGION"]["value"] == "eu-central-1"
        assert env["REMOTE_WRITE_USER"]["valueFrom"] == {"secretKeyRef": {"name": "prometheus", "key": "user"}}
        assert env["TEMPO_POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
        assert "-config.expand-env=true" in container(workload)["args"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container(workload)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
        assert volumes[mounts["/etc/tempo/secrets/prometheus"]]["secret"] == {"secretName": "prometheus"}
        assert volumes[mounts["/etc/tempo/config-maps/tempo-tenants"]]["configMap"] == {"name": "tempo-tenants"}


def test_nothing_that_hangs_at_its_end_gets_long_to_end(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    """Tempo's querier and query-frontend, and at times a single instance, end only when they are killed."""
    grace = {
        name: workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for case in ("generator", "monolithic", "kafka")
        for name, workload in workloads(rendered(case)).items()
    }
    assert grace.pop("tempo-ingester") == 300
    assert grace.pop("tempo-metrics-generator") == 90
    for name in ("live-store", "block-builder", "backend-scheduler", "backend-worker"):
        assert grace.pop(f"tempo-{name}") == 60
    assert set(grace.values()) == {20}


def test_ingesters_keep_their_volume(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    ingester = workloads(rendered("production"))["tempo-ingester"]["spec"]
    assert ingester["replicas"] == 3
    assert ingester["podManagementPolicy"] == "Parallel"
    (claim,) = ingester["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "gp3"
    assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"
    # Immutable: nothing in it may change with the chart's or the image's version.
    assert set(claim["metadata"]["labels"]) == {
        "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component",
    }  # fmt: skip
    default_class = workloads(rendered("open"))["tempo-ingester"]["spec"]["volumeClaimTemplates"][0]
    assert "storageClassName" not in default_class["spec"]


def test_credentials_are_references(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    for name, workload in workloads(rendered("local")).items():
        env = {item["name"]: item for item in container(workload).get("env", [])}
        assert env["GOMEMLIMIT"]["value"] == "409MiB"
        if name == "tempo-distributor":  # it never talks to the bucket
            assert set(env) == {"GOMEMLIMIT"}
            continue
        for variable, key in (("AWS_ACCESS_KEY_ID", "access_key"), ("AWS_SECRET_ACCESS_KEY", "secret_key")):
            assert env[variable]["valueFrom"] == {"secretKeyRef": {"name": "tempo-s3", "key": key}}
        mounts = {mount["name"]: mount["mountPath"] for mount in container(workload)["volumeMounts"]}
        assert mounts["s3-ca"] == "/etc/tempo/s3-ca"
    for case in CASES:
        (config,) = by_kind(rendered(case), "ConfigMap").values()
        assert "access_key" not in str(config)
        assert "secret_key" not in str(config)


def test_irsa_annotates_the_service_account_only(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("irsa")
    (account,) = by_kind(objects, "ServiceAccount").values()
    assert account["metadata"]["annotations"] == CASES["irsa"]["tempo_service_account_annotations"]
    for workload in workloads(objects).values():
        pod = workload["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == account["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is False
        assert {item["name"] for item in container(workload)["env"]} == {"GOMEMLIMIT"}
        assert pod["nodeSelector"] == {"pool": "tracing"}
        assert pod["priorityClassName"] == "high"
        assert pod["imagePullSecrets"] == [{"name": "registry"}]


def peers(objects: list[dict[str, Any]], policy: str) -> Any:
    (rule,) = by_kind(objects, "NetworkPolicy")[policy]["spec"]["ingress"]
    return rule.get("from")


def test_network_policies(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("production")
    assert set(by_kind(objects, "NetworkPolicy")) == {"tempo", "tempo-otlp", "tempo-query", "tempo-admin"}
    sampler = {"app.kubernetes.io/name": "otel-collector", "app.kubernetes.io/component": "sampler"}
    assert peers(objects, "tempo-otlp") == [{"podSelector": {"matchLabels": sampler}}]
    # No "from" at all, since an empty selector would leave out the API server.
    assert peers(objects, "tempo-query") is None
    assert peers(objects, "tempo-admin") is None
    assert peers(rendered("open"), "tempo-otlp") is None
    narrowed = rendered("irsa")
    probe = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "trace-probe"}}}
    assert peers(narrowed, "tempo-query") == [*CASES["irsa"]["tempo_network_policy_query_from"], probe]
    assert peers(narrowed, "tempo-admin") == CASES["irsa"]["tempo_network_policy_admin_from"]
    assert set(by_kind(rendered("monolithic"), "NetworkPolicy")) == {"tempo", "tempo-otlp", "tempo-query"}
    assert by_kind(rendered("no-policies"), "NetworkPolicy") == {}


def test_memcached_is_for_tempo_alone(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = rendered("memcached")
    deployment = workloads(objects)["tempo-memcached"]
    assert deployment["spec"]["replicas"] == 2
    assert "--memory-limit=512" in container(deployment)["args"]
    assert container(deployment)["resources"]["limits"] == {"memory": "704Mi"}
    assert container(deployment)["image"] == "docker.io/library/memcached:1.6.39-alpine"
    policies = by_kind(objects, "NetworkPolicy")
    for name, policy in policies.items():
        chosen = selects(policy["spec"]["podSelector"]["matchLabels"], deployment)
        assert chosen is (name == "tempo-memcached"), name
    tempo = {"app.kubernetes.io/name": "tempo", "app.kubernetes.io/instance": "tempo"}
    assert peers(objects, "tempo-memcached") == [{"podSelector": {"matchLabels": tempo}}]
    (service,) = [one for one in by_kind(objects, "Service").values() if selects(one["spec"]["selector"], deployment)]
    assert (service["metadata"]["name"], service["spec"]["clusterIP"]) == ("tempo-memcached", "None")
    [cache] = values_of("memcached")["config"]["cache"]["caches"]
    assert cache["memcached"]["addresses"] == "dns+tempo-memcached.tracing.svc:11211,cache.example.com:11211"
    assert "tempo-memcached" not in workloads(rendered("production"))


def test_a_config_change_rolls_the_pods(render: Callable[..., list[dict[str, Any]]]) -> None:
    def checksums(values: dict[str, Any]) -> set[str]:
        pods = workloads(render(CHART, values, release="tempo")).values()
        return {pod["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for pod in pods}

    before = values_of("production")
    after = copy.deepcopy(before)
    after["config"]["compactor"]["compaction"]["block_retention"] = "24h"
    assert len(checksums(before)) == 1
    assert checksums(before) != checksums(after)


def test_config_arrives_as_it_was_given(rendered: Callable[[str], list[dict[str, Any]]]) -> None:
    """Helm turns numbers into floats on the way: 107374182400 must not become 1.073741824e+11, which Tempo refuses."""
    for case in CASES:
        (config,) = by_kind(rendered(case), "ConfigMap").values()
        assert "e+" not in config["data"]["tempo.yaml"]
        assert yaml.safe_load(config["data"]["tempo.yaml"]) == values_of(case)["config"]


@pytest.mark.needs_tempo
@pytest.mark.parametrize("case", ["generator", "monolithic"])
def test_tempo_accepts_what_the_containers_are_given(
    case: str, rendered: Callable[[str], list[dict[str, Any]]], tempo: str
) -> None:
    accepted_in_containers(rendered(case), tempo)


@pytest.mark.needs_tempo_3
@pytest.mark.parametrize("case", ["kafka-sasl", "monolithic-3"])
def test_tempo_3_accepts_what_the_containers_are_given(
    case: str, rendered: Callable[[str], list[dict[str, Any]]], tempo_3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPO_KAFKA_USERNAME", "tempo")
    monkeypatch.setenv("TEMPO_KAFKA_PASSWORD", 'not: "to be" #shown {}')
    accepted_in_containers(rendered(case), tempo_3)


def accepted_in_containers(objects: list[dict[str, Any]], tempo: str) -> None:
    """The file as it is in the ConfigMap, and every component's flags."""
    (config,) = by_kind(objects, "ConfigMap").values()
    for name, workload in workloads(objects).items():
        file, *flags = container(workload)["args"]
        assert file == "-config.file=/etc/tempo/config/tempo.yaml"
        verdict = verify(tempo, config["data"]["tempo.yaml"], *flags)
        assert verdict.accepted, f"{name}: {verdict.output}"
    assert not verify(tempo, config["data"]["tempo.yaml"], "-no-such-flag").accepted


def test_the_default_version_is_the_same_everywhere() -> None:
    tag = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())["tempo_image_tag"]
    assert yaml.safe_load((CHART / "values.yaml").read_text())["image"]["tag"] == tag
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == tag
    assert tagged_version(tag) == VERSION


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"profil": "x"}, ["profil"]),
        ({"profile": "scalable"}, ["profile"]),
        ({"components": {"ingestor": {"replicas": 3}}}, ["components", "ingestor"]),
        ({"components": {"ingester": {"replica": 3}}}, ["components", "ingester", "replica"]),
        ({"components": {"ingester": {"replicas": "3"}}}, ["components", "ingester", "replicas"]),
        ({"components": {"distributor": {"replicas": 0}}}, ["components", "distributor", "replicas"]),
        ({"components": {"all": {"replicas": 2}}}, ["components", "all", "replicas"]),
        ({"components": {"querier": {"resources": {"limits": {"memory": "1GB"}}}}}, ["limits", "memory"]),
        ({"components": {"querier": {"resources": {"limit": {}}}}}, ["querier", "resources", "limit"]),
        ({"components": {"querier": {"goMemLimit": "80%"}}}, ["querier", "goMemLimit"]),
        ({"line": "3.0"}, ["line"]),
        ({"profile": "kafka"}, ["line"]),
        ({"profile": "kafka", "line": "3.0"}, ["ingest"]),
        ({"components": {"backend-scheduler": {"replicas": 2}}}, ["components", "backend-scheduler", "replicas"]),
        ({"secretEnvironment": {"A": {"secret": "x"}}}, ["secretEnvironment", "A", "key"]),
        ({"secretFiles": ["Not A Name"]}, ["secretFiles"]),
        ({"securityContext": {"runAsUser": 0}}, ["securityContext", "runAsUser"]),
        ({"kafka": {"password": "x"}}, ["kafka", "password"]),
        ({"s3": {"credentials": "x"}}, ["s3", "credentials"]),
        ({"s3": {"caSecret": "Not A Name"}}, ["s3", "caSecret"]),
        ({"networkPolicy": {"queryFrom": [{"podSelectors": {}}]}}, ["networkPolicy", "queryFrom", "podSelectors"]),
        ({"memcached": {"memory": 512}}, ["memcached", "memory"]),
        ({"memcached": {"memoryMib": 1}}, ["memcached", "memoryMib"]),
        ({"image": {"pullPolicy": "Sometimes"}}, ["image", "pullPolicy"]),
    ],
)
def test_closed_schema_names_the_path(
    change: dict[str, Any], texts: list[str], assert_fails: Callable[..., None]
) -> None:
    assert_fails(CHART, overlay(values_of("production"), change), *texts)


def test_config_is_required(assert_fails: Callable[..., None]) -> None:
    assert_fails(CHART, {}, "config", "storage")


def test_a_limit_that_was_left_out_stays_out(render: Callable[..., list[dict[str, Any]]]) -> None:
    values = values_of("production")
    values["components"]["querier"] |= {"resources": {"requests": {"cpu": "1"}}, "goMemLimit": ""}
    querier = container(workloads(render(CHART, values, release="tempo"))["tempo-querier"])
    assert querier["resources"] == {"requests": {"cpu": "1"}}
    assert "env" not in querier


@pytest.mark.parametrize("case", CASES)
def test_helm_lint(case: str, tmp_path: Path) -> None:
    helm = os.environ.get("ORION_HELM") or shutil.which("helm")
    if not helm:
        pytest.fail("helm was not found: set ORION_HELM to its path (`python -m airgap path helm` prints one)")
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values_of(case)))
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART), "--values", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
