# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A number of replicas that a chart leaves to an autoscaler and takes back, on a real API server, with both majors of
helm. No pod ever starts, and so the autoscaler has no metrics: it writes only where its limits force it to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import CLAIM, owners_of, owning
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from helm_lab import MAJORS, Lab, Outcome, laboratory, wait_until

CHART = {
    "values.yaml": "message: hello\nreplicas: 3\nmin: 2\nmax: 0\n",
    "templates/web.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  {{- if not .Values.max }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "registry.invalid/none:1", resources: {requests: {cpu: 1m}}}]}
{{- if .Values.max }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: {{ .Values.min }}
  maxReplicas: {{ .Values.max }}
{{- end }}
""",
}
SCALED = {"max": 5}


@pytest.fixture(params=MAJORS)
def lab(request: pytest.FixtureRequest, kube: Kube, state: Path, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(kube, state, tmp_path, request.param, "replicas") as lab:
        lab.chart(CHART)
        yield lab


def run(lab: Lab, check: bool = False, drift: str | None = None, **values: int) -> Outcome:
    return lab.run(check=check, values=values, wait=False, drift=drift, drift_added=drift and True)


def deployment(lab: Lab) -> dict[str, Any]:
    return lab.kube.get(lab.path("deployments", "web", group="apps/v1"))


def number(lab: Lab) -> int:
    return deployment(lab)["spec"]["replicas"]


def owners(lab: Lab) -> set[str]:
    return {owner.manager for owner in owning(owners_of(deployment(lab)), ("spec", "replicas"))}


def numbers_since(lab: Lab, before: dict[str, Any]) -> set[int]:
    """Every number that the Deployment has had since, also for a moment."""
    query = {
        "watch": "true",
        "resourceVersion": before["metadata"]["resourceVersion"],
        "fieldSelector": "metadata.name=web",
        "timeoutSeconds": 1,
    }
    answer = lab.kube.send("GET", lab.path("deployments", group="apps/v1"), query)
    assert answer.ok, answer.text
    return {json.loads(line)["object"]["spec"]["replicas"] for line in answer.text.splitlines() if line.strip()}


def autoscalers(lab: Lab) -> set[str]:
    return lab.names("horizontalpodautoscalers", "autoscaling/v2")


def test_the_number_stays_where_an_autoscaler_takes_over_and_comes_back(lab: Lab) -> None:
    assert run(lab).changed
    before = deployment(lab)
    assert before["spec"]["replicas"] == 3
    if lab.major == "helm3":
        turned_on = run(lab, **SCALED)
        assert turned_on.result["steps"] == ["upgrade"]
        warning = f"Deployment {lab.namespace}/web will have one pod until its autoscaler's first look"
        assert warning in turned_on.text
        assert 1 in numbers_since(lab, before)
    else:
        steps = [f"keep the number of replicas of Deployment {lab.namespace}/web", "upgrade"]
        assert run(lab, check=True, **SCALED).result["steps"] == steps
        assert owners(lab) == {"helm"}
        turned_on = run(lab, **SCALED)
        assert turned_on.changed
        assert turned_on.result["steps"] == steps
        assert numbers_since(lab, before) == {3}
        assert owners(lab) == {CLAIM}
        assert run(lab, drift="repair", **SCALED).counts[:2] == (False, 0)
    assert run(lab, **SCALED).counts == (False, 0, 1)
    assert autoscalers(lab) == {"web"}

    # The autoscaler writes another number, which is its own then.
    assert run(lab, min=4, max=5).result["steps"] == ["upgrade"]
    wait_until(lambda: number(lab) == 4, "the autoscaler has scaled")
    assert "kube-controller-manager" in owners(lab)

    assert run(lab, check=True).actions == {"Deployment": "update", "HorizontalPodAutoscaler": "delete"}
    turned_off = run(lab)
    assert turned_off.result["steps"] == ["upgrade"]
    assert (number(lab), autoscalers(lab)) == (3, set())
    if lab.major == "helm4":
        assert owners(lab) == {"helm"}
    assert run(lab).counts == (False, 0, 1)


def test_a_number_that_no_autoscaler_has_changed_comes_back(lab: Lab) -> None:
    """What the module claimed is in nobody's way."""
    assert run(lab).changed
    assert run(lab, **SCALED).changed
    assert run(lab, replicas=5).changed
    assert (number(lab), autoscalers(lab)) == (5, set())
    if lab.major == "helm4":
        assert owners(lab) == {"helm"}
    assert run(lab, replicas=5).counts == (False, 0, 1)


def test_a_number_that_an_autoscaler_of_somebody_else_owns_is_a_conflict(lab: Lab) -> None:
    if lab.major == "helm3":
        return  # the client applies, and knows no owners
    assert run(lab).changed
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 4, "maxReplicas": 5}
    path = lab.path("horizontalpodautoscalers", group="autoscaling/v2")
    lab.kube.request("POST", path, body={"metadata": {"name": "other"}, "spec": spec})
    wait_until(lambda: number(lab) == 4, "the autoscaler has scaled")
    refused = run(lab, replicas=2)
    assert refused.failed
    assert 'conflict with "kube-controller-manager" with subresource "scale"' in refused.message
    assert number(lab) == 4
