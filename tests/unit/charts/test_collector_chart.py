# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collector chart as the role's variables make it: what is rendered, and that the collector accepts it."""

from __future__ import annotations

import copy
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROLE = Path(__file__).resolve().parents[3] / "roles" / "collector"
CHART = ROLE / "files" / "chart"


def values(**changes: Any) -> dict[str, Any]:
    """Chart values from the role's own defaults, with the detectors that can start outside of EKS."""
    given = {**role_defaults("collector"), "collector_resource_detectors": ["env", "ec2"], **changes}
    return collector_values(given)[0]


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def container(workload: dict[str, Any]) -> dict[str, Any]:
    return pod(workload)["containers"][0]


@pytest.fixture(scope="module")
def otelcol() -> str:
    path = os.environ.get("ORION_OTELCOL", "")
    if not os.access(path, os.X_OK):
        pytest.fail("the collector's binary is needed: set ORION_OTELCOL (`python -m airgap path otelcol` prints it)")
    return path


@pytest.fixture
def objects(render):
    return render(CHART, values())


def test_objects_fit_the_kubernetes_schemas(objects, validate_kubernetes):
    validate_kubernetes(objects)
    kinds = [item["kind"] for item in objects]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "NetworkPolicy": 2, "PodDisruptionBudget": 2, "ServiceAccount": 2, "ConfigMap": 2, "ClusterRole": 1,
        "ClusterRoleBinding": 1, "Role": 1, "RoleBinding": 1, "Service": 2, "Deployment": 1, "StatefulSet": 1,
    }  # fmt: skip
    assert all(item["metadata"].get("namespace", "tracing") == "tracing" for item in objects)


def test_every_optional_value_renders(render, validate_kubernetes, pick):
    objects = render(
        CHART,
        values(
            collector_image_pull_secrets=["registry"],
            collector_service_account_annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/x"},
            collector_network_policy_clients=[{"namespaceSelector": {"matchLabels": {"team": "shop"}}}],
            collector_pod_labels={"team": "platform"},
            collector_pod_annotations={"example.com/note": "yes"},
            collector_node_selector={"kubernetes.io/os": "linux"},
            collector_tolerations=[{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
            collector_priority_class_name="system-cluster-critical",
        ),
    )
    validate_kubernetes(objects)
    for kind, name in (("Deployment", "otel-collector"), ("StatefulSet", "otel-sampler")):
        workload = pick(objects, kind, name)
        assert pod(workload)["imagePullSecrets"] == [{"name": "registry"}]
        assert pod(workload)["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert pod(workload)["tolerations"][0]["key"] == "dedicated"
        assert pod(workload)["priorityClassName"] == "system-cluster-critical"
        assert workload["spec"]["template"]["metadata"]["labels"]["team"] == "platform"
        assert workload["spec"]["template"]["metadata"]["annotations"]["example.com/note"] == "yes"
        assert "eks.amazonaws.com/role-arn" in pick(objects, "ServiceAccount", name)["metadata"]["annotations"]
    rule = pick(objects, "NetworkPolicy", "otel-collector")["spec"]["ingress"][0]
    probe = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "trace-probe"}}}
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}, probe]


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "otel-collector"), ("StatefulSet", "otel-sampler")])
def test_pods_are_restricted_and_limited(objects, pick, assert_restricted, kind, name):
    workload = pick(objects, kind, name)
    assert_restricted(pod(workload))
    assert pod(workload)["automountServiceAccountToken"] is (kind == "Deployment")
    environment = {item["name"]: item.get("value") for item in container(workload)["env"]}
    assert environment["GOMEMLIMIT"] == "1331MiB"  # 65 % of 2Gi
    assert environment.get("GOGC") == ("400" if kind == "Deployment" else "100")
    assert container(workload)["resources"]["limits"]["memory"] == "2Gi"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(workload)[probe]["httpGet"]["port"] == "health"
    assert {c["topologyKey"]: c["whenUnsatisfiable"] for c in pod(workload)["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname": "ScheduleAnyway",
        "topology.kubernetes.io/zone": "ScheduleAnyway",
    }


def test_entry_point_and_sampler_service(objects, pick):
    gateway = pick(objects, "Service", "otel-collector")["spec"]
    assert [port["port"] for port in gateway["ports"]] == [4317, 4318, 14250, 14268, 9411]
    sampler = pick(objects, "Service", "otel-sampler")["spec"]
    assert sampler["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in sampler
    assert pick(objects, "StatefulSet", "otel-sampler")["spec"]["serviceName"] == "otel-sampler"


def test_service_and_policy_ports_are_container_ports(objects, pick):
    for kind, name in (("Deployment", "otel-collector"), ("StatefulSet", "otel-sampler")):
        workload = pick(objects, kind, name)
        ports = {port["name"]: port["containerPort"] for port in container(workload)["ports"]}
        for port in pick(objects, "Service", name)["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
        policy = pick(objects, "NetworkPolicy", name)["spec"]
        assert {p["port"] for rule in policy["ingress"] for p in rule["ports"]} == set(ports)
        labels = workload["spec"]["template"]["metadata"]["labels"]
        for selector in (
            policy["podSelector"]["matchLabels"],
            workload["spec"]["selector"]["matchLabels"],
            pick(objects, "Service", name)["spec"]["selector"],
            pick(objects, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
        ):
            assert selector.items() <= labels.items()
            assert selector["app.kubernetes.io/component"] == ("gateway" if kind == "Deployment" else "sampler")
        assert pick(objects, "PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1


def test_only_gateways_send_to_samplers(objects, pick):
    rules = pick(objects, "NetworkPolicy", "otel-sampler")["spec"]["ingress"]
    by_port = {port["port"]: rule.get("from") for rule in rules for port in rule["ports"]}
    gateway = pick(objects, "Deployment", "otel-collector")["spec"]["selector"]["matchLabels"]
    assert by_port == {"otlp-grpc": [{"podSelector": {"matchLabels": gateway}}], "metrics": None, "health": None}


def test_rights_of_the_gateway(objects, pick):
    verbs = ["get", "list", "watch"]
    assert pick(objects, "ClusterRole", "tracing-otel-collector")["rules"] == [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": verbs},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": verbs},
    ]
    assert pick(objects, "Role", "otel-collector")["rules"] == [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs}
    ]
    for kind, name in (("ClusterRoleBinding", "tracing-otel-collector"), ("RoleBinding", "otel-collector")):
        assert pick(objects, kind, name)["subjects"] == [
            {"kind": "ServiceAccount", "name": "otel-collector", "namespace": "tracing"}
        ]


def test_receivers_and_ports_go_together(render, pick):
    objects = render(CHART, values(collector_jaeger_enabled=False, collector_zipkin_enabled=False))
    assert [port["port"] for port in pick(objects, "Service", "otel-collector")["spec"]["ports"]] == [4317, 4318]
    config = yaml.safe_load(pick(objects, "ConfigMap", "otel-collector")["data"]["collector.yaml"])
    assert list(config["receivers"]) == ["otlp"]


def test_without_a_persistent_queue_there_is_no_volume(objects, pick):
    workload = pick(objects, "StatefulSet", "otel-sampler")
    assert "volumeClaimTemplates" not in workload["spec"]
    assert {mount["name"] for mount in container(workload)["volumeMounts"]} == {"config", "tmp"}


def test_the_persistent_queue_has_a_volume_of_its_own(render, pick, validate_kubernetes, assert_restricted):
    changed = values(collector_persistent_queue_enabled=True, collector_persistent_queue_storage_class="gp3")
    objects = render(CHART, changed)
    validate_kubernetes(objects)
    workload = pick(objects, "StatefulSet", "otel-sampler")
    assert_restricted(pod(workload))
    [claim] = workload["spec"]["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "10Gi"}},
    }
    # what a sampler that is taken away has not sent waits for its return; an uninstalled release leaves nothing
    assert workload["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenScaled": "Retain", "whenDeleted": "Delete"}
    [mount] = [m for m in container(workload)["volumeMounts"] if m["name"] == claim["metadata"]["name"]]
    config = yaml.safe_load(pick(objects, "ConfigMap", "otel-sampler")["data"]["collector.yaml"])
    directory = config["extensions"]["file_storage/tempo"]["directory"]
    assert directory.startswith(f"{mount['mountPath']}/")
    assert config["extensions"]["file_storage/tempo"]["compaction"]["directory"] == directory  # renamed, not copied
    assert pod(workload)["securityContext"]["fsGroup"] == 10001
    assert "queue" not in str(pick(objects, "Deployment", "otel-collector")["spec"])
    default = render(CHART, values(collector_persistent_queue_enabled=True))
    [claim] = pick(default, "StatefulSet", "otel-sampler")["spec"]["volumeClaimTemplates"]
    assert "storageClassName" not in claim["spec"]


def test_secrets_reach_the_samplers_by_reference_alone(render, pick, validate_kubernetes, assert_restricted):
    token, key = {"secret": "vendor", "key": "token"}, {"secret": "vendor", "key": "api-key"}
    exporter = {"name": "vendor", "protocol": "http", "endpoint": "https://otlp.example.com",
                "headers": {"api-key": key}, "auth": {"bearer": {"token": token}}}  # fmt: skip
    objects = render(CHART, values(collector_exporters=[exporter]))
    validate_kubernetes(objects)
    workload = pick(objects, "StatefulSet", "otel-sampler")
    assert_restricted(pod(workload))
    [variable] = [item for item in container(workload)["env"] if "secretKeyRef" in item.get("valueFrom", {})]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "vendor", "key": "api-key"}
    [volume] = [item for item in pod(workload)["volumes"] if item["name"] == "secrets"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "vendor", "items": [{"key": "token", "path": "vendor.token"}]}}
    ]
    [mount] = [item for item in container(workload)["volumeMounts"] if item["name"] == "secrets"]
    config = pick(objects, "ConfigMap", "otel-sampler")["data"]["collector.yaml"]
    assert f"{mount['mountPath']}/vendor.token" in config
    assert f"${{env:{variable['name']}}}" in config
    assert "vendor" not in str(pick(objects, "Deployment", "otel-collector")["spec"])


def test_secrets_of_a_store_of_logs_reach_the_gateways(render, pick, validate_kubernetes, assert_restricted):
    exporter = {"name": "logs", "protocol": "http", "endpoint": "https://otlp.example.com", "traces": "none",
                "logs": True, "auth": {"bearer": {"token": {"secret": "logs", "key": "token"}}}}  # fmt: skip
    objects = render(CHART, values(collector_exporters=[exporter], collector_logs_enabled=True))
    validate_kubernetes(objects)
    workload = pick(objects, "Deployment", "otel-collector")
    assert_restricted(pod(workload))
    [volume] = [item for item in pod(workload)["volumes"] if item["name"] == "secrets"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "logs", "items": [{"key": "token", "path": "logs.token"}]}}
    ]
    assert "secrets" not in [item["name"] for item in pod(pick(objects, "StatefulSet", "otel-sampler"))["volumes"]]


def test_a_change_of_the_configuration_replaces_that_tier_alone(render, pick):
    def checksum(objects, kind, name):
        return pick(objects, kind, name)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    before, after = render(CHART, values()), render(CHART, values(collector_sampling_percentage=20))
    sampler, gateway = ("StatefulSet", "otel-sampler"), ("Deployment", "otel-collector")
    assert checksum(before, *sampler) != checksum(after, *sampler)
    assert checksum(before, *gateway) == checksum(after, *gateway)


def test_policies_can_be_left_out(render):
    changed = values(collector_network_policy_enabled=False)
    assert "NetworkPolicy" not in [item["kind"] for item in render(CHART, changed)]


@pytest.mark.parametrize(
    ("path", "value", "texts"),
    [
        (("gateway", "replicas"), "two", ("/gateway/replicas", "integer")),
        (("gateway", "replica"), 2, ("/gateway", "replica")),
        (("sampler", "autoscaling"), {"enabled": False}, ("/sampler/autoscaling",)),
        (("sampler", "rollingUpdate", "maxSurge"), 1, ("/sampler/rollingUpdate", "maxSurge")),
        (("gateway", "rollingUpdate", "maxSurge"), "half", ("/gateway/rollingUpdate/maxSurge",)),
        (("gateway", "autoscaling", "maxReplica"), 2, ("/gateway/autoscaling", "maxReplica")),
        (("topologySpreadConstraints",), [{"topologyKey": "x"}], ("/topologySpreadConstraints/0", "maxSkew")),
        (("priorityClass", "value"), 2000000000, ("/priorityClass/value",)),
        (("sampler", "goMemLimit"), "80%", ("/sampler/goMemLimit",)),
        (("sampler", "resources", "limits", "memory"), "2 GB", ("/sampler/resources/limits/memory",)),
        (("sampler", "persistence", "size"), "10 GB", ("/sampler/persistence/size",)),
        (("sampler", "persistence", "class"), "gp3", ("/sampler/persistence", "class")),
        (("gateway", "persistence"), {"enabled": True, "size": "1Gi", "storageClass": ""}, ("/gateway/persistence",)),
        (("sampler", "secretEnv"), [{"name": "TOKEN", "value": "x"}], ("/sampler/secretEnv/0", "value")),
        (("sampler", "secretFiles"), [{"path": "a/b", "secret": "s", "key": "k"}], ("/sampler/secretFiles/0/path",)),
        (("gateway", "secretEnv"), [{"name": "TOKEN", "value": "x"}], ("/gateway/secretEnv/0", "value")),
        (("gateway", "goGC"), "off", ("/gateway/goGC",)),
        (("edgeReceiver", "serviceType"), "Ingress", ("/edgeReceiver/serviceType",)),
        (("edgeReceiver", "token"), "s3cr3t", ("/edgeReceiver", "token")),
        (("ports", "opencensus"), True, ("/ports", "opencensus")),
        (("image", "pullPolicy"), "Sometimes", ("/image/pullPolicy",)),
        (("unknown",), 1, ("unknown",)),
    ],
)
def test_wrong_values_fail_with_their_path(assert_fails, path, value, texts):
    wrong = copy.deepcopy(values())
    place = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert_fails(CHART, wrong, *texts)


SEED_POLICIES = [
    {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
    {"name": "latency", "type": "latency", "latency": {"threshold_ms": 1000}},
    {"name": "probabilistic", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}},
    {
        "name": "critical-operations",
        "type": "string_attribute",
        "string_attribute": {"key": "http.target", "values": ["/api/v1/orders", "/api/v1/trades"]},
    },
    {
        "name": "no-health-checks",
        "type": "string_attribute",
        "string_attribute": {"key": "http.target", "values": ["/health.*"], "enabled_regex_matching": True,
                             "invert_match": True},
    },
    {
        "name": "server-errors",
        "type": "and",
        "and": {"and_sub_policy": [
            {"name": "status", "type": "numeric_attribute",
             "numeric_attribute": {"key": "http.status_code", "min_value": 500, "max_value": 599}},
            {"name": "not-test", "type": "string_attribute",
             "string_attribute": {"key": "tenant", "values": ["test"], "invert_match": True}},
        ]},
    },
]  # fmt: skip


EDGES = {
    "collector_edge_receiver_enabled": True,
    "collector_edge_receiver_tls": {
        key: {"secret": "edge-tls", "key": name}
        for key, name in (("cert", "tls.crt"), ("key", "tls.key"), ("client_ca", "ca.crt"))
    },
    "collector_edge_receiver_auth": {"bearer": {"token": {"secret": "edge-tokens", "key": "tokens"}}},
}


def test_the_receiver_for_other_clusters_has_a_service_of_its_own(render, pick, validate_kubernetes, assert_restricted):
    annotations = {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}
    given = values(
        **EDGES, collector_edge_receiver_service_type="LoadBalancer",
        collector_network_policy_clients=[{"podSelector": {}}],
        collector_edge_receiver_service_annotations=annotations,
    )  # fmt: skip
    objects = render(CHART, given)
    validate_kubernetes(objects)
    service = pick(objects, "Service", "otel-collector-edge")
    assert service["spec"]["type"] == "LoadBalancer" and service["metadata"]["annotations"] == annotations
    workload = pick(objects, "Deployment", "otel-collector")
    assert_restricted(pod(workload))
    assert service["spec"]["selector"].items() <= workload["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in container(workload)["ports"]}
    assert {port["port"]: ports[port["targetPort"]] for port in service["spec"]["ports"]} == {4317: 4327, 4318: 4328}
    # what has neither TLS nor a token is not exposed
    assert pick(objects, "Service", "otel-collector")["spec"]["type"] == "ClusterIP"
    rules = pick(objects, "NetworkPolicy", "otel-collector")["spec"]["ingress"]
    anyone = {port["port"] for rule in rules for port in rule["ports"] if "from" not in rule}
    assert anyone == {"edge-grpc", "edge-http", "metrics", "health"}
    [volume] = [item for item in pod(workload)["volumes"] if item["name"] == "secrets"]
    files = [
        (one["secret"]["name"], *one["secret"]["items"][0].values()) for one in volume["projected"]["sources"]
    ]  # fmt: skip
    assert files == [
        ("edge-tls", "tls.crt", "edge.receiver.cert"), ("edge-tls", "tls.key", "edge.receiver.key"),
        ("edge-tls", "ca.crt", "edge.receiver.client-ca"), ("edge-tokens", "tokens", "edge.receiver.token"),
    ]  # fmt: skip


def test_an_autoscaler_decides_instead_of_the_release(render, pick, validate_kubernetes):
    on = {"enabled": True, "min_replicas": 2, "max_replicas": 8}
    objects = render(CHART, values(collector_gateway_autoscaling=on))
    validate_kubernetes(objects)
    # A number in the Deployment would be put back by every upgrade.
    assert "replicas" not in pick(objects, "Deployment", "otel-collector")["spec"]
    assert pick(objects, "StatefulSet", "otel-sampler")["spec"]["replicas"] == 3
    [scaler] = [item for item in objects if item["kind"] == "HorizontalPodAutoscaler"]
    spec = scaler["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "otel-collector"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 8)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    down = spec["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 600
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]
    without = render(CHART, values())
    assert "HorizontalPodAutoscaler" not in [item["kind"] for item in without]
    assert pick(without, "Deployment", "otel-collector")["spec"]["replicas"] == 3


def test_how_pods_are_replaced_spread_and_prioritized(render, pick, validate_kubernetes, assert_restricted):
    zone = {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}
    given = values(
        collector_gateway_max_surge="1", collector_gateway_max_unavailable="25%", collector_sampler_update_partition=2,
        collector_topology_spread_constraints=[{**zone, "minDomains": 3}], collector_priority_class_name="tracing",
        collector_priority_class_create=True, collector_priority_class_value=1000,
    )  # fmt: skip
    objects = render(CHART, given)
    validate_kubernetes(objects)
    gateway, sampler = pick(objects, "Deployment", "otel-collector"), pick(objects, "StatefulSet", "otel-sampler")
    assert gateway["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": "25%"}
    assert sampler["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 2}
    for workload in (gateway, sampler):
        assert_restricted(pod(workload))
        [constraint] = pod(workload)["topologySpreadConstraints"]
        selector = constraint.pop("labelSelector")["matchLabels"]
        assert constraint == {**zone, "minDomains": 3}
        assert selector == workload["spec"]["selector"]["matchLabels"]
        assert pod(workload)["priorityClassName"] == "tracing"
    [made] = [item for item in objects if item["kind"] == "PriorityClass"]
    assert (made["metadata"]["name"], made["value"], made["globalDefault"]) == ("tracing", 1000, False)
    without = render(CHART, values(collector_topology_spread_constraints=[]))
    assert "topologySpreadConstraints" not in pod(pick(without, "Deployment", "otel-collector"))
    assert "PriorityClass" not in [item["kind"] for item in without]


CHANGES = {
    "defaults": {},
    "edges": {**EDGES, "collector_remote_write_url": "https://mimir.example.com/api/v1/push"},
    "remote-write": {"collector_remote_write_url": "http://prometheus.monitoring.svc:9090/api/v1/write"},
    "xray-debug-grpc": {
        "collector_xray_enabled": True,
        "collector_debug_enabled": True,
        "collector_resource_detectors": [],
        "collector_tempo_endpoint": "tempo.example.com:4317",
    },
    "seed-policies": {"collector_tail_sampling_policies": SEED_POLICIES},
    "persistent-queue": {
        "collector_persistent_queue_enabled": True,
        "collector_remote_write_url": "http://prometheus.monitoring.svc:9090/api/v1/write",
        "collector_tempo_endpoint": "tempo.example.com:4317",
    },
    "limits": {
        "collector_max_total_spans_per_second": 3000,
        "collector_max_total_bytes_per_second": 1500000,
        "collector_max_recv_msg_size_mib": 4,
        "collector_max_concurrent_streams": 100,
        "collector_head_sampling_percentage": 25,
        "collector_tail_sampling_extra_policies": [
            {
                "name": "not-test",
                "type": "not",
                "not": {
                    "not_sub_policy": {
                        "name": "test",
                        "type": "string_attribute",
                        "string_attribute": {"key": "tenant", "values": ["test"]},
                    }
                },
            },
            {
                "name": "long",
                "type": "and",
                "and": {
                    "and_sub_policy": [
                        {"name": "many", "type": "span_count", "span_count": {"min_spans": 50}},
                        {"name": "some", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}},
                    ]
                },
            },
        ],
        "collector_rate_allocation": {
            "errors": 40,
            "slow": 20,
            "critical-operations": 10,
            "not-test": 10,
            "long": 10,
            "baseline": 10,
        },
    },
    "bytes-limit": {"collector_max_total_bytes_per_second": "1500000"},
    "spans-limit": {"collector_max_total_spans_per_second": "3000", "collector_critical_routes": []},
    "odd-routes": {"collector_critical_routes": ['/a"b\\$1/${x}/ü'], "collector_dropped_routes": []},
    "otlp-only": {
        "collector_jaeger_enabled": False,
        "collector_zipkin_enabled": False,
        "collector_span_attributes": {"price": "$x"},
    },
    "logs": {
        "collector_logs_enabled": True,
        "collector_exporters": [
            {"name": "victorialogs", "protocol": "http", "traces": "none", "logs": True,
             "logs_endpoint": "https://logs.example.com/insert/opentelemetry/v1/logs"},
            {"name": "both", "protocol": "grpc", "endpoint": "otlp.example.com:4317", "logs": True},
        ],
    },
    "metrics": {
        "collector_metrics_enabled": True,
        "collector_remote_write_url": "https://mimir.example.com/api/v1/push",
        "collector_remote_write_tenant": "team",
    },
    "small": {
        "collector_gateway_resources": {"limits": {"memory": "32Mi"}},
        "collector_sampler_resources": {"limits": {"memory": "32Mi"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("tier", ["otel-collector", "otel-sampler"])
def test_the_collector_accepts_its_configuration(render, pick, otelcol, tmp_path, tier, changes):
    text = pick(render(CHART, values(**changes)), "ConfigMap", tier)["data"]["collector.yaml"]
    (tmp_path / "collector.yaml").write_text(text)
    done = subprocess.run(
        [otelcol, "validate", f"--config={tmp_path / 'collector.yaml'}"],
        env={"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "pod-0", "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in (done.stderr + done.stdout).lower()


ENDPOINTS_ANYWHERE = {
    "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:0"}}}},
    "extensions": {
        **{name: {"endpoint": "127.0.0.1:0"} for name in ("health_check", "zpages", "pprof")},
        "file_storage/tempo": {"directory": "FOLDER", "compaction": {"directory": "FOLDER"}},
    },
    "service": {"telemetry": {"metrics": {"level": "none", "readers": []}}},
}


def log_of_start(otelcol: str, folder: Path, config: str) -> str:
    """What a collector writes until it is ready, or gives up."""
    (folder / "collector.yaml").write_text(config)
    (folder / "anywhere.yaml").write_text(yaml.safe_dump(ENDPOINTS_ANYWHERE).replace("FOLDER", str(folder)))
    process = subprocess.Popen(
        [otelcol, f"--config={folder / 'collector.yaml'}", f"--config={folder / 'anywhere.yaml'}"],
        env={"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "pod-0", "AWS_EC2_METADATA_DISABLED": "true"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if "Everything is ready" in line:
                break
    finally:
        process.terminate()
        process.communicate(timeout=30)
    return "".join(lines)


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_the_sampler_starts(render, pick, otelcol, tmp_path, changes):
    """`validate` does not look into the policies; they are compiled at the start."""
    config = pick(render(CHART, values(**changes)), "ConfigMap", "otel-sampler")["data"]["collector.yaml"]
    assert "Everything is ready" in log_of_start(otelcol, tmp_path, config)


def test_a_wrong_policy_would_be_noticed(otelcol, tmp_path):
    config = values(collector_critical_routes=["/api"])["sampler"]["config"]
    assert "span.attributes" in str(config)
    broken = yaml.safe_dump(config).replace("span.attributes", "span.attribute")
    assert "Everything is ready" not in log_of_start(otelcol, tmp_path, broken)


def test_a_wrong_configuration_would_be_noticed(otelcol, tmp_path):
    (tmp_path / "collector.yaml").write_text("receivers: {otlp: {protocol: {}}}\n")
    argv = [otelcol, "validate", f"--config={tmp_path / 'collector.yaml'}"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode != 0
