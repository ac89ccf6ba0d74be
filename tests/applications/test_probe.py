# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The periodic probe in the cluster: a Job of its CronJob, and what Prometheus has of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id

NAMESPACE = "tracing"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PATIENCE = 180.0
# A scheduled run whose collectors another test had taken away may report its failure after ours: until the next one.
SCHEDULED = 400.0


def state(kube: Kube, name: str) -> str:
    """Complete, Failed, or nothing yet."""
    conditions = kube.request("GET", f"{JOBS}/{name}").get("status", {}).get("conditions") or ()
    ended = [one["type"] for one in conditions if one["status"] == "True" and one["type"] in ("Complete", "Failed")]
    return ended[0] if ended else ""


def log(kube: Kube, name: str) -> str:
    """What the Job's pod wrote, or its state where it has not started."""
    pods = kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods", f"job-name={name}")
    texts = []
    for pod in pods:
        answer = kube.send("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/log")
        texts.append(answer.text if answer.ok else f"{answer.text}\n{pod['status']}")
    return "\n".join(texts)


@pytest.fixture(scope="module")
def report(kube: Kube) -> str:
    """Of a run that passed, as `kubectl create job --from=cronjob/trace-probe` starts it."""
    cron_job = kube.request("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/trace-probe")
    name = f"trace-probe-{new_id(8)}"
    template = cron_job["spec"]["jobTemplate"]
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
    kube.request("POST", JOBS, body=body)
    try:
        limit = Deadline(Clock(), PATIENCE)
        while not state(kube, name):
            assert limit.wait(1.0), f"{name} has not ended: {log(kube, name)}"
        text = log(kube, name)
        assert state(kube, name) == "Complete", text
        return text
    finally:
        kube.request("DELETE", f"{JOBS}/{name}", {"propagationPolicy": "Background"})


def metric(kube: Kube, name: str) -> float | None:
    """The last value within five minutes."""
    query = {"query": f'{name}{{job="trace-probe"}}'}
    answer = kube.proxy("services", "local-backends", "prometheus", 9090, "api/v1/query", query=query)
    assert answer.ok, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    assert len(found) < 2, found
    return float(found[0]["value"][1]) if found else None


def test_its_pod_reports_every_check(report: str) -> None:
    for check in ("error traces kept and complete", "share of other traces kept", "W3C ids and parents intact"):
        assert check in report
    assert "FAILED" not in report and "Every trace that must be kept could be read after" in report


def test_prometheus_has_its_result(kube: Kube, report: str) -> None:
    wanted = {"orion_probe_success": 1.0, "orion_probe_completeness_ratio": 1.0}
    limit = Deadline(Clock(), SCHEDULED)
    while {name: metric(kube, name) for name in wanted} != wanted or not metric(kube, "orion_probe_freshness_seconds"):
        assert limit.wait(1.0), {name: metric(kube, name) for name in wanted}
    assert 0 < (metric(kube, "orion_probe_freshness_seconds") or 0) < 60
