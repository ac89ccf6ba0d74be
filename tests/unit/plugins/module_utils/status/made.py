# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A platform in memory: releases, workloads, pods with metrics, a probe, certificates, a node with volumes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, answer_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
RESOURCES = {
    "DaemonSet": ApiResource("apps", "v1", "daemonsets", True),
    "CronJob": ApiResource("batch", "v1", "cronjobs", True),
    "Job": ApiResource("batch", "v1", "jobs", True),
    "PersistentVolumeClaim": ApiResource("", "v1", "persistentvolumeclaims", True),
    "PodDisruptionBudget": ApiResource("policy", "v1", "poddisruptionbudgets", True),
    "NetworkPolicy": ApiResource("networking.k8s.io", "v1", "networkpolicies", True),
    "HorizontalPodAutoscaler": ApiResource("autoscaling", "v2", "horizontalpodautoscalers", True),
}
GATEWAY = """\
otelcol_process_uptime 1000
otelcol_process_memory_rss 1.048576e+08
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 20000
otelcol_receiver_refused_spans{receiver="otlp",transport="grpc"} 7
otelcol_exporter_enqueue_size_sum{exporter="load_balancing"} 20000
otelcol_exporter_enqueue_size_bytes_sum{exporter="load_balancing"} 8e+06
otelcol_exporter_queue_capacity{data_type="traces",exporter="load_balancing"} 1000
otelcol_exporter_queue_size{data_type="traces",exporter="load_balancing"} 10
"""
SAMPLER = """\
otelcol_process_uptime 1000
otelcol_process_memory_rss 1.048576e+08
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 20000
otelcol_receiver_accepted_spans{receiver="otlp/xray",transport="grpc"} 500
otelcol_processor_tail_sampling_new_trace_id_received 2000
otelcol_processor_tail_sampling_global_count_traces_sampled{decision="sampled",sampled="true"} 500
otelcol_processor_tail_sampling_global_count_traces_sampled{decision="not_sampled",sampled="false"} 1500
otelcol_processor_tail_sampling_sampling_trace_dropped_too_early 3
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_grpc/tempo"} 1000
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/tempo"} 900
"""
TEMPO = """\
process_resident_memory_bytes 9.6e+08
tempodb_backend_bytes_total{status="live",tenant="single-tenant"} 3.2e+09
"""


def certificate(days: float, now: datetime = NOW) -> tuple[bytes, bytes]:
    """A self-signed certificate that ends so many days from now, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tracing.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.PEM), pem


def secret(name: str, namespace: str = "tracing", **data: bytes) -> dict[str, Any]:
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": encoded}


def record(name: str, namespace: str = "tracing", revision: int = 3, status: str = "deployed", **document: Any) -> Any:
    """A release record as Helm writes it."""
    body = {
        "name": name,
        "namespace": namespace,
        "version": revision,
        "info": {"status": status, "last_deployed": "2026-11-28T10:00:00Z"},
        "chart": {"metadata": {"name": name, "version": "0.1.0", "appVersion": "1.2.3"}},
        "config": {},
        "manifest": "",
        **document,
    }
    labels = {"owner": "helm", "name": name, "status": status, "version": str(revision)}
    metadata = {"name": f"sh.helm.release.v1.{name}.v{revision}", "namespace": namespace, "labels": labels}
    data = {"release": release.encode(body)}
    return {"kind": "Secret", "type": "helm.sh/release.v1", "metadata": metadata, "data": data}


def workload(kind: str, name: str, owner: str, labels: dict[str, str], wanted: int, ready: int) -> dict[str, Any]:
    annotations = {"meta.helm.sh/release-name": owner}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "tracing", "annotations": annotations},
        "spec": {"replicas": wanted, "selector": {"matchLabels": labels}},
        "status": {"readyReplicas": ready},
    }


def pod(name: str, labels: dict[str, str], **parts: Any) -> dict[str, Any]:
    status = {"name": "main", "restartCount": parts.pop("restarts", 0), "lastState": parts.pop("last", {})}
    container = {
        "name": "main",
        "image": f"registry.test/{labels['app.kubernetes.io/name']}:1.2.3",
        "resources": {"limits": {"memory": "1Gi"}},
        "env": parts.pop("env", []),
    }
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "tracing", "labels": labels, **parts.pop("metadata", {})},
        "spec": {"nodeName": "node-1", "containers": [container], "volumes": parts.pop("volumes", [])},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def labels_of(name: str, component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": component}


class FakePlatform(FakeKube):
    """A healthy platform but for what a test changes: two gateways, two samplers, one Tempo, a probe that passed."""

    def __init__(self, days: float = 90.0, now: datetime = NOW) -> None:
        gateway, sampler = labels_of("otel-collector", "gateway"), labels_of("otel-collector", "sampler")
        tempo = labels_of("tempo", "all")
        tls, key = certificate(days, now)
        self.metrics = {"gw-0": GATEWAY, "gw-1": GATEWAY, "sampler-0": SAMPLER, "sampler-1": SAMPLER, "tempo-0": TEMPO}
        killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-29T09:00:00Z"}}
        volumes = [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-tempo-0"}},
            {"name": "tls", "secret": {"secretName": "tempo-tls"}},
            {"name": "none", "secret": {"secretName": "not-there", "optional": True}},
        ]
        super().__init__(
            *(record(name) for name in ("tempo", "otel-collector", "trace-probe")),
            record("grafana-datasources", "monitoring"),
            record("other", "monitoring"),
            workload("Deployment", "otel-collector", "otel-collector", gateway, 2, 2),
            workload("StatefulSet", "otel-sampler", "otel-collector", sampler, 2, 2),
            workload("StatefulSet", "tempo", "tempo", tempo, 1, 1),
            workload("Deployment", "orders", "", {"app": "orders"}, 1, 0),
            pod("gw-0", gateway),
            pod("gw-1", gateway),
            pod("sampler-0", sampler, restarts=2, last=killed),
            pod("sampler-1", sampler),
            pod("tempo-0", tempo, volumes=volumes),
            secret("tempo-tls", tls_crt=tls, tls_key=key),
            {
                "kind": "CronJob",
                "metadata": {"name": "trace-probe", "namespace": "tracing"},
                "spec": {"schedule": "*/5 * * * *"},
                "status": {"lastScheduleTime": "2026-11-29T11:55:00Z", "lastSuccessfulTime": "2026-11-29T11:56:00Z"},
            },
            job("trace-probe-1", "Failed", "2026-11-29T11:00:00Z"),
            job("trace-probe-2", "Complete", "2026-11-29T11:56:00Z"),
            {
                "kind": "HorizontalPodAutoscaler",
                "metadata": {
                    "name": "otel-collector",
                    "namespace": "tracing",
                    "annotations": {"meta.helm.sh/release-name": "otel-collector"},
                },
                "spec": {"maxReplicas": 10},
                "status": {"currentReplicas": 2},
            },
            resources=RESOURCES,
        )
        self.volume_used = 2 * 2**30
        self.on(r"GET /api/v1/namespaces/tracing/pods/http:[^/]+/proxy/metrics", self._metrics)
        self.on(r"GET /api/v1/nodes/node-1/proxy/stats/summary", self._stats)

    def at(self, kind: str, name: str, namespace: str = "tracing") -> dict[str, Any]:
        return self.objects[self.resources[kind].url(namespace, name)]

    def _metrics(self, request: Request) -> Response:
        name = request.path.split("/pods/http:")[1].split(":")[0]
        return Response(200, {}, self.metrics[name].encode())

    def _stats(self, _request: Request) -> Response | None:
        claim = {"pvcRef": {"name": "data-tempo-0", "namespace": "tracing"}}
        volume = {**claim, "usedBytes": self.volume_used, "capacityBytes": 10 * 2**30}
        return answer_of({"pods": [{"volume": [{"name": "no-claim", "usedBytes": 1}, volume]}]})


def job(name: str, condition: str, at: str) -> dict[str, Any]:
    owner = {"kind": "CronJob", "name": "trace-probe"}
    return {
        "kind": "Job",
        "metadata": {"name": name, "namespace": "tracing", "ownerReferences": [owner]},
        "status": {"conditions": [{"type": condition, "status": "True", "lastTransitionTime": at}]},
    }
