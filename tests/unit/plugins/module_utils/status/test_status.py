# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status page of a platform in memory: what is read with how many requests, and what is made of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import tracing_plan
from ansible_collections.orion.tracing.plugins.module_utils.status import certificates, output, page, rates
from ansible_collections.orion.tracing.plugins.module_utils.status.reading import StatusFacts, StatusQuery, gather
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import Request, answer_of
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import (
    NOW,
    FakePlatform,
    certificate,
    job,
    labels_of,
    pod,
    record,
    secret,
    workload,
)

PROMETHEUS = "http://prometheus.monitoring.svc:9090"


def variables(**given: Any) -> dict[str, Any]:
    given.setdefault("object_storage_bucket", "orion-traces")
    return {**role_defaults("tempo", "collector", "preflight.plan", **given), "verify_probe_enabled": True}


def facts(platform: FakePlatform, **query: Any) -> tuple[StatusFacts, int]:
    kube = platform.client()
    kube.host = "http://k8s.test"
    wanted = StatusQuery(**{"namespace": "tracing", "grafana": "monitoring", **query})
    found = gather(kube, wanted, {"host": "http://k8s.test"})
    return found, kube.calls


def made(platform: FakePlatform, given: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
    settings = page.StatusSettings(variables() if given is None else given, NOW)
    return page.page(facts(platform, **query)[0], settings)


def test_everything_is_read_with_one_request_each() -> None:
    """Version, two namespaces of releases, seven lists; then five pods, one node and the two Secrets mounted."""
    platform = FakePlatform()
    found, calls = facts(platform)
    assert calls == len(platform.asked) == 1 + 2 + 7 + 5 + 1 + 2
    assert set(platform.methods) == {"GET"} and found.unreadable == []
    assert len(set(platform.log)) == len(platform.log), "nothing is asked twice"


def test_a_platform_that_works() -> None:
    platform = FakePlatform()
    platform.metrics["sampler-0"] = platform.metrics["sampler-1"] = platform.metrics["sampler-0"].replace(
        "} 900", "} 9"
    )
    found = made(platform)
    assert (found["state"], found["down"], found["unreadable"]) == ("limit", [], [])
    assert found["limits"] == ["pod tempo-0 uses 89 % of its memory limit: 916 of 1,024 MiB"]
    assert [(one["component"], one["revision"], one["status"]) for one in found["releases"]] == [
        ("collectors", 3, "deployed"),
        ("Tempo", 3, "deployed"),
        ("periodic probe", 3, "deployed"),
        ("Grafana provisioning", 3, "deployed"),
    ]
    samplers = next(one for one in found["workloads"] if one["name"] == "otel-sampler")
    assert samplers == {
        "release": "otel-collector",
        "kind": "StatefulSet",
        "name": "otel-sampler",
        "wanted": 2,
        "ready": 2,
        "restarts": 2,
        "last_termination": "OOMKilled (exit code 137) at 2026-11-29T09:00:00Z",
        "images": ["registry.test/otel-collector:1.2.3"],
    }
    assert "orders" not in {one["name"] for one in found["workloads"]}, "another release's"
    assert found["probe"]["last_result"] == "passed" and found["probe"]["last_success_seconds_ago"] == 240
    assert found["bucket_bytes"] == 3_200_000_000
    assert found["volumes"] == [{"claim": "data-tempo-0", "used": 2 * 2**30, "capacity": 10 * 2**30}]
    assert found["autoscalers"] == [{"name": "otel-collector", "replicas": 2, "max": 10}]
    assert [(one["where"], one["days_left"]) for one in found["certificates"]] == [
        ("Secret tracing/tempo-tls, tls.crt", 90)
    ]


def test_memcached_is_a_workload_of_tempos_release() -> None:
    """It has no metrics, and is not Tempo: nothing of it is scraped, and its pods are not Tempo's."""
    labels = labels_of("tempo-memcached", "memcached")
    platform = FakePlatform()
    for item in (
        workload("Deployment", "tempo-memcached", "tempo", labels, 2, 1),
        pod("tempo-memcached-0", labels, restarts=1),
    ):
        platform.put(item)
    found = made(platform)
    assert next(one for one in found["workloads"] if one["name"] == "tempo-memcached") == {
        "release": "tempo",
        "kind": "Deployment",
        "name": "tempo-memcached",
        "wanted": 2,
        "ready": 1,
        "restarts": 1,
        "last_termination": "",
        "images": ["registry.test/tempo-memcached:1.2.3"],
    }
    assert next(one["restarts"] for one in found["workloads"] if one["name"] == "tempo") == 0
    assert "Deployment tempo-memcached has 1 of 2 pods ready" in found["limits"]
    assert not [line for line in platform.log if "memcached" in str(line)]


def test_load_is_what_the_pods_counted_since_they_began() -> None:
    load = made(FakePlatform())["load"]
    # Two of each, in 1,000 s each.
    assert load["accepted_spans_per_second"] == 40 and load["traces_per_second"] == 4
    assert load["spans_per_trace"] == 10, "without what a sampler sends to itself"
    assert load["kept_percentage"] == 25 and load["kept_traces_per_second"] == 1 and load["kept_spans_per_second"] == 10
    assert load["bytes_per_span"] == 400 and load["refused_spans"] == 14
    assert load["lost"]["sampler_dropped_too_early"] == 6 and load["over"].startswith("since the collectors began")


def test_the_cost_is_the_planners_for_the_measured_load() -> None:
    given = variables()
    cost = made(FakePlatform(), given)["cost_per_day"]
    measured = {
        "tracing_expected_traces_per_second": 4,
        "tracing_expected_spans_per_trace": 10,
        "tracing_expected_bytes_per_span": 400,
        "tracing_expected_kept_percentage": 25,
    }
    # The plan itself is for the load alone, that of the page also for num_traces of the inventory.
    month = tracing_plan({**given, **measured, "collector_num_traces": 0})["cost"]
    assert cost["assumed"] == [] and cost["storage"] == round(month["storage"] * 24 / 730.5, 2)
    assert cost["total"] >= round(month["total"] * 24 / 730.5, 2) > 0


def test_what_is_near_a_limit() -> None:
    platform = FakePlatform(days=12.5)
    platform.volume_used = 9 * 2**30
    platform.at("Deployment", "otel-collector")["status"]["readyReplicas"] = 1
    platform.at("HorizontalPodAutoscaler", "otel-collector")["status"]["currentReplicas"] = 10
    platform.at("CronJob", "trace-probe")["spec"]["suspend"] = True
    found = made(
        platform, variables(collector_max_total_spans_per_second=11, collector_max_total_bytes_per_second=9000)
    )
    assert found["state"] == "limit" and found["limits"] == [
        "Deployment otel-collector has 1 of 2 pods ready",
        "the queue of otlp_grpc/tempo (traces) in pod sampler-0 is 90 % full: 900 of 1,000",
        "the queue of otlp_grpc/tempo (traces) in pod sampler-1 is 90 % full: 900 of 1,000",
        "pod tempo-0 uses 89 % of its memory limit: 916 of 1,024 MiB",
        "the volume of claim data-tempo-0 is 90 % full",
        "HorizontalPodAutoscaler otel-collector is at its maximum of 10 replicas",
        "91 % of collector_max_total_spans_per_second (11) are kept: 10 per second",
        "the certificate of Secret tracing/tempo-tls, tls.crt ends in 12 days, on 2026-12-12T00:00:00Z",
        "the periodic probe is suspended",
    ]


def test_what_does_not_work() -> None:
    platform = FakePlatform(days=-3)
    platform.put(record("otel-collector", revision=4, status="failed"))
    del platform.objects[platform.path_of(record("tempo"))]
    platform.at("StatefulSet", "otel-sampler")["status"] = {}
    platform.put(job("trace-probe-3", "Failed", "2026-11-29T11:59:00Z"))
    assert made(platform)["down"] == [
        "release tempo is not installed",
        "release otel-collector, revision 4, is failed",
        "StatefulSet otel-sampler has none of 2 pods ready; last termination: OOMKilled (exit code 137) at "
        "2026-11-29T09:00:00Z",
        "the last run of the periodic probe failed, at 2026-11-29T11:59:00Z",
        "the certificate of Secret tracing/tempo-tls, tls.crt ended on 2026-11-26T12:00:00Z",
    ]


@pytest.mark.parametrize(
    ("pattern", "keys", "what"),
    [
        ("namespaces/tracing/pods$", ["volumes", "bucket_bytes", "cost_per_day"], "Pods"),
        ("/statefulsets", [], "StatefulSets"),
        ("/nodes/", ["volumes"], "how full the volumes are"),
        ("/cronjobs", ["probe"], "CronJobs"),
        ("/horizontalpodautoscalers", ["autoscalers"], "HorizontalPodAutoscalers"),
        ("/secrets", ["releases"], "releases in namespace"),
        ("/secrets/tempo-tls", [], "certificates in Secret tracing/tempo-tls"),
        ("/proxy/metrics", ["bucket_bytes", "cost_per_day"], "metrics of"),
    ],
)
def test_what_may_not_be_read_is_said_and_never_zero(pattern: str, keys: list[str], what: str) -> None:
    platform = FakePlatform()
    platform.refuse(pattern)
    found = made(platform)
    assert any(what in one["what"] and one["why"] for one in found["unreadable"]), found["unreadable"]
    assert all(found[key] is None for key in keys), found
    if keys == ["releases"]:
        assert found["down"] == [], "not known to be missing"
    shown = output.table(found)
    assert "Not read:" in shown and "0 spans/s" not in shown.replace("40.0 spans/s", "").replace("10.0 spans/s", "")


def test_without_metrics_nothing_is_known_about_the_load() -> None:
    platform = FakePlatform()
    platform.on("/proxy/metrics", Unreachable("no answer"))
    found = made(platform)
    load = found["load"]
    assert {load[name] for name in load if name != "over"} == {None} and found["queues"] == found["memory"] == []
    assert "0 " not in "".join(line for line in output.table(found).splitlines() if line.startswith(("load", "kept")))
    # One entry for the five pods, since the reason is one.
    assert [one["what"].count("metrics of") for one in found["unreadable"]] == [5, 0]


def test_a_pod_that_does_not_answer_makes_lower_bounds() -> None:
    platform = FakePlatform()
    platform.on("pods/http:sampler-1:", Unreachable("no answer"))
    found = made(platform)
    assert found["load"]["traces_per_second"] == 2
    assert found["load"]["over"].endswith("without pods that could not be read")


def answer(request: Request, value: float = 3600.0) -> dict[str, Any]:
    names = ["accepted", "arrived", "traces", "decided", "kept", "sampler_dropped_too_early", "probe_success"]
    values = {**dict.fromkeys(names, value), "arrived": 10 * value, "kept": value / 2, "probe_success": 0.0}
    series = [{"metric": {"figure": name}, "value": [0, str(one)]} for name, one in values.items()]
    return {"status": "success", "data": {"result": series}}


def test_prometheus_gives_a_time_range() -> None:
    platform = FakePlatform()
    platform.on("services/http:prometheus:9090/proxy/api/v1/query", lambda request: answer_of(answer(request)))
    found = made(platform, prometheus_url=PROMETHEUS, last="3600s")
    load = found["load"]
    assert (load["over"], load["traces_per_second"], load["spans_per_trace"], load["kept_percentage"]) == (
        "the last 1h, by Prometheus", 1.0, 10.0, 50.0,
    )  # fmt: skip
    assert load["bytes_per_span"] == 400, "what only the pods have"
    assert "3,600 lost in the last 1h, by Prometheus: sampler_dropped_too_early" in found["limits"]
    assert "the periodic probe failed, by its metric orion_probe_success of the last hour" in found["down"]
    asked = [one for one in platform.asked if "prometheus" in one.path]
    assert len(asked) == 1 and asked[0].query == {"query": rates.query("3600s")}


@pytest.mark.parametrize(
    "document", [{"status": "error", "error": "busy"}, {"status": "success", "data": {"result": []}}]
)
def test_a_prometheus_that_gives_nothing_leaves_it_to_the_pods(document: dict[str, Any]) -> None:
    platform = FakePlatform()
    platform.on("services/http:prometheus:9090/proxy/", document)
    found = made(platform, prometheus_url=PROMETHEUS)
    assert found["load"]["traces_per_second"] == 4
    assert bool(found["unreadable"]) is (document["status"] == "error")


def test_certificates_of_secrets_that_others_mount() -> None:
    platform = FakePlatform()
    first, _key = certificate(3)
    later, _key = certificate(300)
    platform.put(secret("s3", "local", ca_crt=later + first, text=b"no certificate", password=b"hunter2-hunter2"))
    volumes = [{"projected": {"sources": [{"secret": {"name": "s3"}}]}}]
    metadata = {"name": "store-0", "namespace": "local", "labels": {}}
    platform.put({"kind": "Pod", "metadata": metadata, "spec": {"volumes": volumes, "containers": []}})
    found = made(platform, others=("local",))
    assert found["certificates"][0]["where"] == "Secret local/s3, ca.crt", (
        "the earliest of a bundle, and the next to end"
    )
    assert found["certificates"][0]["days_left"] == 3 and len(found["certificates"]) == 2
    assert "hunter2" not in str(found)


def test_certificates_that_cannot_be_read() -> None:
    with pytest.raises(InvalidInput, match="the certificate cannot be read"):
        certificates.ends(certificates.BEGIN + b"\nnot one\n-----END CERTIFICATE-----\n")
    assert certificates.of_api_server("http://127.0.0.1:1") is None
    with pytest.raises(Unreachable, match="no certificate from https://127"):
        certificates.of_api_server("https://127.0.0.1:1")


def test_the_kubeconfigs_certificate(tmp_path: Any) -> None:
    pem, _key = certificate(7)
    (tmp_path / "c.pem").write_bytes(pem)
    user: dict[str, Any] = {"client-certificate": str(tmp_path / "c.pem")}
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
        "users": [{"name": "u", "user": user}],
    }
    found = certificates.of_client({"kubeconfig": config}, {})
    assert found is not None and found.result(NOW)["days_left"] == 7
    user.clear()
    user["token"] = "t"
    assert certificates.of_client({"kubeconfig": config}, {}) is None
    user["exec"] = {"command": "aws"}
    with pytest.raises(NotFound, match="exec plugin"):
        certificates.of_client({"kubeconfig": config}, {})


def test_the_table_has_what_is_wrong_first() -> None:
    platform = FakePlatform()
    platform.at("StatefulSet", "otel-sampler")["status"] = {}
    found = made(platform)
    shown = output.table(found)
    assert shown.startswith("Kubernetes v1.34.4, 2026-11-29T12:00:00Z: DOWN\n\nDown:\n  StatefulSet otel-sampler")
    for line in (
        "otel-sampler 0/2 2 OOMKilled (exit code 137) at 2026-11-29T09:00:00Z otel-collector:1.2.3",
        "load 4.0 traces/s, 40.0 spans/s",
        "kept 25.0 % of the traces, 10.0 spans/s",
        "lost sampler_dropped_too_early 6",
        "bucket 3.0 GiB in blocks",
        "probe last run: passed at 2026-11-29T11:56:00Z, last success: 4 min ago",
        "data-tempo-0 2.0 10.0",
    ):
        assert line in re.sub(" +", " ", shown), shown
    assert output.sentence(found).startswith("Down: StatefulSet otel-sampler has none of 2 pods ready")


def test_the_sum_over_hosts() -> None:
    first, second = made(FakePlatform()), made(FakePlatform(), {})
    found = output.summary({"a": first, "b": second, "c": None, "d": {}})
    assert found["hosts"] == 4 and found["not_reached"] == ["c", "d"] and found["traces_per_second"] == 8
    assert found["cost_per_day"] == first["cost_per_day"]["total"] and found["unknown_cost_per_day"] == 1
    assert found["states"] == {"ok": [], "limit": ["a", "b"], "down": []}
    assert "NOT REACHED" in found["table"] and "sum of those known" in found["table"]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_ages(seconds: float, expected: str) -> None:
    assert rates.age(seconds) == expected
