# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the API server is asked before helm writes, and which of its refusals stop a run. The messages are those of
Kubernetes 1.34."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.helm import dry_run, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.dry_run import DryRun
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import release_of
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Key
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, answer_of, refused

WANTED = ReleaseOptions("r", "ns")
CLAIMS = (
    "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas',"
    " 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and"
    " 'minReadySeconds' are forbidden"
)
OWNED = 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas'
FIXED = [
    CLAIMS,
    'Deployment.apps "d" is invalid: spec.selector: Invalid value: {}: field is immutable',
    'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: ["10.0.0.1"]: may not change once set',
    'RoleBinding "b" is invalid: roleRef: Invalid value: {}: cannot change roleRef',
    'PersistentVolumeClaim "c" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests',
]


def document(kind: str = "ConfigMap", name: str = "c", **more: Any) -> dict[str, Any]:
    version = "apps/v1" if kind in ("StatefulSet", "Deployment") else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def objects(*documents: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    return {render.key_of(one): one for one in documents}


def check(
    kube: FakeKube, before: dict, after: dict, on_server: bool = True, force: bool = False, **options: Any
) -> DryRun:
    wanted = ReleaseOptions("r", "ns", **options)
    return dry_run.check(kube.client(), wanted, before, after, on_server, force)


def test_nothing_is_asked_where_nothing_differs() -> None:
    kube = FakeKube(namespace="ns")
    same, hook = document(data={"a": "1"}), document(name="h")
    hook["metadata"]["annotations"] = {"helm.sh/hook": "pre-install"}
    assert check(kube, objects(same), objects(same, hook)) == DryRun()
    assert kube.asked == []


def test_one_dry_run_for_each_object_that_differs() -> None:
    kube = FakeKube(document(data={"a": "1"}), namespace="ns")
    before = objects(document(data={"a": "1"}), document(name="same"))
    after = objects(document(data={"a": "2"}), document(name="same"), document("StatefulSet", "db"))
    assert check(kube, before, after) == DryRun()
    assert kube.log[:2] in ([("GET", "/api"), ("GET", "/apis")], [("GET", "/apis"), ("GET", "/api")])
    assert sorted(kube.log[2:]) == [
        ("PATCH", "/api/v1/namespaces/ns/configmaps/c"),
        ("PATCH", "/apis/apps/v1/namespaces/ns/statefulsets/db"),
    ]
    assert kube.writes == []
    assert kube.objects[kube.path_of(document())]["data"] == {"a": "1"}
    sent = next(one for one in kube.asked if one.path.endswith("/c"))
    assert sent.query == {"fieldManager": "helm", "force": "false", "dryRun": "All"}
    assert sent.headers["Content-Type"] == "application/apply-patch+yaml"
    assert sent.document["metadata"] == {
        "name": "c",
        "namespace": "ns",
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "ns"},
    }


@pytest.mark.parametrize(("on_server", "force", "sent"), [(True, True, "true"), (False, False, "true")])
def test_fields_of_others_are_taken_over_where_helm_would(on_server: bool, force: bool, sent: str) -> None:
    kube = FakeKube(namespace="ns")
    check(kube, {}, objects(document()), on_server, force)
    assert kube.asked[-1].query["force"] == sent


@pytest.mark.parametrize("on_server", [True, False])
@pytest.mark.parametrize("message", FIXED)
def test_a_field_that_cannot_change_is_refused_with_a_remedy(message: str, on_server: bool) -> None:
    kube = FakeKube(namespace="ns")
    kube.refuse("PATCH .*/db", 422, message)
    before, after = objects(document("StatefulSet", "db")), objects(document("StatefulSet", "db", spec={"a": 1}))
    with pytest.raises(InvalidInput) as caught:
        check(kube, before, after, on_server)
    text = str(caught.value)
    assert text.startswith("release ns/r cannot be applied, and nothing was changed: StatefulSet ns/db: ")
    assert message in text
    assert "set it back, or delete the object first" in text and "--cascade=orphan" in text


def test_a_conflict_names_the_options_that_take_over() -> None:
    kube = FakeKube(namespace="ns")
    kube.refuse("PATCH", 409, OWNED)
    with pytest.raises(Conflict, match='conflict with "kubectl".*Set force_conflicts, or drift to repair'):
        check(kube, {}, objects(document()))
    assert check(kube, {}, objects(document()), on_server=False) == DryRun()


SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web"},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
}
SCALED, FIXED_NUMBER = document("Deployment", "web", spec={}), document("Deployment", "web", spec={"replicas": 3})


def owned_number(force: str = "false") -> Callable[[Request], Response | None]:
    cause = {"message": 'conflict with "kube-controller-manager" with subresource "scale"', "field": ".spec.replicas"}
    status = {"message": "Apply failed with 1 conflict", "details": {"causes": [cause]}}

    def answer(request: Request) -> Response | None:
        return answer_of(status, 409) if request.query["force"] == force else None

    return answer


def test_a_number_that_is_taken_back_from_an_autoscaler_is_no_conflict() -> None:
    kube = FakeKube(SCALED, namespace="ns")
    kube.on("PATCH .*/web", owned_number())
    found = check(kube, objects(SCALED, SCALER), objects(FIXED_NUMBER))
    assert found == DryRun(force=True)
    assert [one.query["force"] for one in kube.asked if one.method == "PATCH"] == ["false", "true"]
    assert kube.writes == []
    # Nobody wrote the number since, and nothing is forced.
    assert check(FakeKube(SCALED, namespace="ns"), objects(SCALED, SCALER), objects(FIXED_NUMBER)) == DryRun()


def test_a_number_that_is_taken_back_hides_no_other_refusal() -> None:
    kube = FakeKube(SCALED, namespace="ns")
    kube.refuse("PATCH .*/web", 422, FIXED[1])
    kube.on("PATCH .*/web", owned_number())
    with pytest.raises(InvalidInput, match="field is immutable"):
        check(kube, objects(SCALED, SCALER), objects(FIXED_NUMBER))


def test_a_number_that_an_autoscaler_of_others_owns_is_a_conflict() -> None:
    kube = FakeKube(SCALED, namespace="ns")
    kube.on("PATCH .*/web", owned_number())
    with pytest.raises(Conflict, match="Apply failed with 1 conflict"):
        check(kube, objects(SCALED), objects(FIXED_NUMBER))


def test_an_object_that_is_being_deleted_is_refused() -> None:
    live = document()
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(Conflict, match=r"ConfigMap ns/c: it is being deleted.*Wait until it is gone"):
        check(FakeKube(live, namespace="ns"), {}, objects(document()))


def test_all_refusals_are_told_at_once() -> None:
    kube = FakeKube(namespace="ns")
    kube.refuse("PATCH .*/a$", 409, OWNED)
    kube.refuse("PATCH .*/b$", 422, 'ConfigMap "b" is invalid: data[x y]: Invalid value')
    with pytest.raises(InvalidInput) as caught:
        check(kube, {}, objects(document(name="a"), document(name="ok"), document(name="b")))
    assert "ConfigMap ns/a: " in caught.value.why and "\nConfigMap ns/b: " in caught.value.why
    assert "Set force_conflicts" in caught.value.remedy and "Correct the values or the chart." in caught.value.remedy


@pytest.mark.parametrize(
    ("answer", "on_server", "is_new"),
    [
        (refused(403, "configmaps is forbidden"), True, True),
        (refused(403, "exceeded quota"), True, True),
        (refused(404, 'namespaces "other" not found'), True, True),
        (refused(400, "admission webhook does not support dry run"), True, True),
        (refused(500, "failed calling webhook: connection refused"), True, True),
        (Unreachable("no answer"), True, True),
        (refused(422, "spec.strategy.rollingUpdate: Forbidden: may not be specified"), False, False),
        (refused(500, "failed to create typed patch object: duplicate entries for key"), False, True),
    ],
)
def test_what_a_dry_run_cannot_decide_is_left_to_helm(answer: Any, on_server: bool, is_new: bool) -> None:
    kube = FakeKube(namespace="ns")
    kube.on("PATCH", answer)
    before = {} if is_new else objects(document(data={}))
    assert check(kube, before, objects(document()), on_server) == DryRun()


def test_what_helm_4_cannot_apply_either_is_refused() -> None:
    kube = FakeKube(namespace="ns")
    kube.refuse("PATCH", 500, "failed to create typed patch object: .spec.foo: field not declared in schema")
    with pytest.raises(InvalidInput, match="not declared in schema"):
        check(kube, {}, objects(document()))


def test_kinds_that_come_with_the_release_and_discovery_that_is_refused() -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    kube = FakeKube(namespace="ns")
    assert check(kube, {}, objects(widget)) == DryRun()
    assert kube.log == [("GET", "/apis")]
    kube.refuse("GET /apis")
    assert check(kube, {}, objects(widget)) == DryRun()


def test_custom_resources_wait_for_a_schema_that_changes_with_them() -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"new": 1}}
    kube = FakeKube(namespace="ns", resources={"Widget": ApiResource("example.com", "v1", "widgets", True)})
    kube.refuse("PATCH .*/w$", 500, "failed to create typed patch object: .spec.new: field not declared in schema")
    names = {"group": "example.com", "names": {"kind": "Widget"}}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": names}
    definition["metadata"] = {"name": "widgets.example.com"}
    with pytest.raises(InvalidInput, match="field not declared"):
        check(kube, {}, objects(widget))
    assert check(kube, {}, objects(widget, definition)) == DryRun()
    assert dry_run.check(kube.client(), WANTED, {}, objects(widget), True, False, objects(definition)) == DryRun()


OWNER = {"meta.helm.sh/release-name": "a", "meta.helm.sh/release-namespace": "other"}


@pytest.mark.parametrize(("annotations", "owner"), [(OWNER, "other/a"), ({}, "")])
def test_objects_that_are_taken_over_are_known_with_their_owner(annotations: dict[str, str], owner: str) -> None:
    live = document(data={"a": "1", "more": "x"})
    live["metadata"]["annotations"] = annotations
    kube = FakeKube(live, namespace="ns")
    after = objects(document(data={"a": "2"}), document(name="new"))
    found = check(kube, {}, after, take_ownership=True)
    (key,) = found.taken
    assert (key.name, release_of(found.taken[key])) == ("c", owner)
    shown = dry_run.shown(found.taken, after, WANTED, Mask())[key]
    assert shown["data"] == {"a": "1"}
    assert shown["metadata"]["annotations"].get("meta.helm.sh/release-name") == annotations.get(
        "meta.helm.sh/release-name"
    )
    assert kube.methods.count("GET") == 2  # discovery, and the one that is there
    assert check(kube, {}, after) == DryRun()


def test_an_object_of_this_very_release_is_not_taken_over() -> None:
    live = document()
    live["metadata"]["annotations"] = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "ns"}
    assert check(FakeKube(live, namespace="ns"), {}, objects(document()), take_ownership=True) == DryRun()
