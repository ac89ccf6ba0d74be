# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which workloads an autoscaler takes over or gives back, and what is asked and written for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import render
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import CLAIM, additions
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import HOOK_ANNOTATION, Key
from ansible_collections.orion.tracing.plugins.module_utils.helm.replicas import (
    Handover,
    claim,
    handed_over,
    only_number,
    taken_back,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

APPS = "/apis/apps/v1/namespaces/ns"
AUTOSCALER = 'conflict with "kube-controller-manager" with subresource "scale" using apps/v1'
OURS = f'conflict with "{CLAIM}"'


def workload(replicas: Any = None, kind: str = "Deployment", name: str = "web", **metadata: Any) -> dict[str, Any]:
    spec = {"template": {}} if replicas is None else {"template": {}, "replicas": replicas}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def autoscaler(kind: str = "Deployment", name: str = "web", **metadata: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a", **metadata},
        "spec": spec,
    }


def objects(*documents: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    return {render.key_of(one): one for one in documents}


def names(before: dict, after: dict) -> list[str]:
    return [str(one) for one in handed_over([before], after, "ns")]


# Which


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
def test_a_number_that_an_autoscaler_takes_over(kind: str) -> None:
    stated, scaled = objects(workload(3, kind)), objects(workload(None, kind), autoscaler(kind))
    assert names(stated, scaled) == [f"{kind} ns/web"]
    assert taken_back(stated, scaled, "ns") == set()
    assert taken_back(scaled, stated, "ns") == stated.keys()
    assert names(scaled, stated) == []


def test_the_namespace_may_be_named_or_not() -> None:
    before = objects(workload(3))
    assert names(before, objects(workload(), autoscaler(namespace="ns"))) == ["Deployment ns/web"]
    assert names(before, objects(workload(), autoscaler(namespace="other"))) == []
    elsewhere = objects(workload(3, namespace="other"))
    after = objects(workload(namespace="other"), autoscaler(namespace="other"))
    assert names(elsewhere, after) == ["Deployment other/web"]
    assert taken_back(after, elsewhere, "ns") == elsewhere.keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([workload(3)], [workload()]),  # nobody scales it from now on
        ([workload(3)], [workload(3), autoscaler()]),  # helm still sets it
        ([workload(), autoscaler()], [workload(), autoscaler()]),  # handed over before
        ([], [workload(), autoscaler()]),  # new
        ([workload(3)], [autoscaler()]),  # gone
        ([workload(3)], [workload(), autoscaler(name="other")]),
        ([workload(3)], [workload(), autoscaler("StatefulSet")]),
        ([workload(3)], [workload(), autoscaler(annotations={HOOK_ANNOTATION: "post-install"})]),
        ([workload(3)], [workload(), {**autoscaler(), "apiVersion": "example.com/v1"}]),
        ([workload(3)], [workload(), {**autoscaler(), "spec": None}]),
    ],
)
def test_what_no_autoscaler_takes_over(before: list[dict], after: list[dict]) -> None:
    assert names(objects(*before), objects(*after)) == []


def test_a_null_states_no_number() -> None:
    empty = workload()
    empty["spec"]["replicas"] = None
    assert names(objects(workload(3)), objects(empty, autoscaler())) == ["Deployment ns/web"]


def test_any_of_the_manifests_before_may_have_stated_it() -> None:
    after = objects(workload(), autoscaler())
    assert [str(one) for one in handed_over([after, objects(workload(3))], after, "ns")] == ["Deployment ns/web"]


def test_an_autoscaler_that_stays_takes_precedence() -> None:
    before, after = objects(workload(), autoscaler()), objects(workload(3), autoscaler())
    assert taken_back(before, after, "ns") == set()


# Conflicts


def conflict(*causes: tuple[str, str]) -> Response:
    found = [{"reason": "FieldManagerConflict", "message": message, "field": field} for message, field in causes]
    return Response(409, {}, json.dumps({"message": "Apply failed", "details": {"causes": found}}).encode())


@pytest.mark.parametrize(
    ("answer", "taken_back", "expected"),
    [
        (conflict((AUTOSCALER, ".spec.replicas")), True, True),
        (conflict((AUTOSCALER, ".spec.replicas")), False, False),
        (conflict((OURS, ".spec.replicas")), False, True),
        (conflict((OURS, ".spec.replicas"), (AUTOSCALER, ".spec.replicas")), True, True),
        (conflict((AUTOSCALER, ".spec.replicas"), ('conflict with "kubectl"', ".spec.paused")), True, False),
        (conflict((OURS, ".spec.paused")), False, False),
        (conflict(), True, False),
        (Response(409, {}, b"conflict"), True, False),
        (Response(409, {}, b'{"message": "uid mismatch"}'), True, False),
    ],
)
def test_conflicts_that_are_only_about_the_number(answer: Response, taken_back: bool, expected: bool) -> None:
    assert only_number(answer, taken_back) is expected


# The claim


def handover(kind: str = "Deployment", name: str = "web") -> Handover:
    return Handover(Key("manifest", "apps", kind, "ns", name), "apps/v1")


def test_the_live_number_is_claimed() -> None:
    kube = FakeKube(workload(4, uid="u1"), workload(2, "StatefulSet", "db", uid="u2"), namespace="ns")
    claim(kube.client(), [handover(), handover("StatefulSet", "db")])
    assert kube.log == [
        ("GET", "/apis"),
        ("GET", f"{APPS}/deployments/web"),
        ("PATCH", f"{APPS}/deployments/web"),
        ("GET", f"{APPS}/statefulsets/db"),
        ("PATCH", f"{APPS}/statefulsets/db"),
    ]
    sent = kube.asked[2]
    assert sent.query == {"fieldManager": "orion.tracing/replicas", "force": "true"}
    assert sent.document == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "ns", "uid": "u1"},
        "spec": {"replicas": 4},
    }


@pytest.mark.parametrize("live", [[], [workload(0, uid="u")], [workload(1, uid="u")]])
def test_nothing_is_claimed_where_the_default_does(live: list[dict]) -> None:
    kube = FakeKube(*live, namespace="ns")
    claim(kube.client(), [handover()])
    assert kube.writes == []


def test_a_kind_that_is_not_served_is_left_out() -> None:
    kube = FakeKube(workload(3, uid="u"), namespace="ns")
    kube.resources = {"Widget": ApiResource("example.com", "v1", "widgets", True)}
    claim(kube.client(), [handover()])
    assert kube.log == [("GET", "/apis")]


def test_a_claim_is_not_drift() -> None:
    """Removing it would set the number back to the default."""
    live = workload(
        3, managedFields=[{"manager": CLAIM, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    )
    assert additions(workload(), live) == []
    live["metadata"]["managedFields"][0]["manager"] = "kubectl-edit"
    assert [one.path for one in additions(workload(), live)] == [("spec", "replicas")]
