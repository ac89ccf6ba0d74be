# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drift: what counts as a difference, who made it, and how many requests it takes to know."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.helm import drift, fields, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.drift import Drifted
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import Item
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import discover
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

NS = "ns"
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def deployment(**pod: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"replicas": 1, "template": {"spec": pod}},
    }


def owner(manager: str, fields: dict[str, Any], time: str = EARLY, operation: str = "Update", subresource: str = ""):
    entry = {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields}
    return {**entry, **({"time": time} if time else {}), **({"subresource": subresource} if subresource else {})}


def helms(fields: dict[str, Any] | None = None, manager: str = "helm", operation: str = "Update") -> dict[str, Any]:
    """Helm's own entry: it owns the annotation that names the release."""
    metadata = {"f:annotations": {"f:meta.helm.sh/release-name": {}}}
    return owner(manager, {"f:metadata": metadata, **(fields or {})}, operation=operation)


def owned(document: dict[str, Any], *owners: dict[str, Any]) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "managedFields": list(owners)}}


def config(name: str = "c", **data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **parts}


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def differing(wanted: dict[str, Any], live: dict[str, Any]) -> list[str]:
    return [fields.show(difference.path) for difference in fields.subset_differences(wanted, live)]


CONTAINER = {"name": "a", "image": "i:1"}
DEFAULTS = {"imagePullPolicy": "Always", "terminationMessagePath": "/dev/log"}


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        pytest.param({"containers": [CONTAINER]}, {"containers": [{**CONTAINER, **DEFAULTS}], "x": 1}, id="defaults"),
        pytest.param(
            {"containers": [CONTAINER]}, {"containers": [{"name": "side"}, CONTAINER]}, id="a container of others"
        ),
        pytest.param({"a": None, "b": [], "c": "", "labels": {}}, {}, id="empty values are not stored"),
        pytest.param({"hostNetwork": False, "initialDelaySeconds": 0}, {}, id="zero values are not stored"),
        pytest.param({"securityContext": {"a": None}}, {"securityContext": {}}, id="nulls"),
        pytest.param({"a": {"labels": {}, "b": None}}, {}, id="nothing in it is stored"),
        pytest.param(
            {"limits": {"cpu": "1000m", "memory": "1024Mi"}}, {"limits": {"cpu": "1", "memory": "1Gi"}}, id="q"
        ),
        pytest.param(
            {"requests": {"cpu": 0.1, "storage": 1e9}}, {"requests": {"cpu": "100m", "storage": "1G"}}, id="n"
        ),
        pytest.param({"port": 80}, {"port": "80"}, id="number or string"),
        pytest.param({"flag": True, "number": 1.0}, {"flag": "true", "number": 1}, id="spelling"),
        pytest.param(
            {"containers": [{**CONTAINER, "ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}]}]},
            {
                "containers": [
                    {
                        **CONTAINER,
                        "ports": [
                            {"containerPort": 2, "protocol": "UDP"},
                            {"containerPort": 2, "protocol": "TCP"},
                            {"containerPort": 1, "protocol": "TCP"},
                        ],
                    }
                ]
            },
            id="ports by number and protocol",
        ),
        pytest.param(
            {"containers": [{**CONTAINER, "volumeMounts": [{"mountPath": "/a", "name": "v"}]}]},
            {"containers": [{**CONTAINER, "volumeMounts": [{"mountPath": "/b"}, {"mountPath": "/a", "name": "v"}]}]},
            id="mounts by path",
        ),
        pytest.param({"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, id="a set"),
        pytest.param({"egress": [{"port": 1}]}, {"egress": [{"port": 1, "protocol": "TCP"}]}, id="defaults in a whole"),
    ],
)
def test_no_difference(wanted: dict[str, Any], live: dict[str, Any]) -> None:
    assert differing(deployment(**wanted), deployment(**live)) == []


POD = "spec.template.spec."


@pytest.mark.parametrize(
    ("wanted", "live", "paths"),
    [
        ({"containers": [CONTAINER]}, {"containers": [{**CONTAINER, "image": "i:2"}]}, ["containers[name=a].image"]),
        ({"containers": [CONTAINER]}, {"containers": [{"name": "b"}]}, ["containers[name=a]"]),
        ({"automountServiceAccountToken": False}, {}, ["automountServiceAccountToken"]),
        ({"volumes": [{"name": "v", "emptyDir": {}}]}, {"volumes": [{"name": "v"}]}, ["volumes[name=v].emptyDir"]),
        ({"nodeSelector": {"example.com/a": ""}}, {"nodeSelector": {}}, ['nodeSelector["example.com/a"]']),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a"}, {"key": "b"}]}, ["tolerations"]),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, ["tolerations[0].key"]),
        ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1001m"}}, ["limits.cpu"]),
        ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "many"}}, ["limits.cpu"]),
        ({"text": "1000m"}, {"text": "1"}, ["text"]),  # a quantity only where one is meant
        ({"a": {"b": 1}}, {"a": "scalar"}, ["a"]),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, ["finalizers"]),
        ({"containers": ["no item"]}, {"containers": [CONTAINER]}, ["containers[0]"]),
        ({"env": [{"name": "a"}, {"name": "a"}]}, {"env": [{"name": "a"}]}, ["env"]),  # no keys where they repeat
    ],
)
def test_differences(wanted: dict[str, Any], live: dict[str, Any], paths: list[str]) -> None:
    assert differing(deployment(**wanted), deployment(**live)) == [POD + path for path in paths]


def test_fields_at_the_top_count_and_names_and_status_do_not() -> None:
    wanted = {**config(a="1"), "immutable": True, "status": {"x": 1}, "apiVersion": "v1"}
    live = {**config(a="1"), "immutable": False, "status": {"x": 2}, "apiVersion": "v2"}
    live["metadata"] = {"name": "other", "namespace": "n", "creationTimestamp": EARLY}
    assert differing(wanted, live) == ["immutable"]


def test_secrets_are_compared_as_they_are_stored() -> None:
    wanted = secret(data={"a": "b25l\n", "b": base64_of("old"), "c": None, "d": "?"}, stringData={"b": "new"})
    live = secret(data={"a": "b25l", "b": base64_of("new"), "d": "?", "own": "x"})
    assert differing(wanted, live) == []
    assert differing(wanted, secret(data={**live["data"], "b": base64_of("old")})) == ["data.b"]
    assert differing(secret(stringData={}), secret()) == []


def test_lists_that_merge_depend_on_the_kind() -> None:
    ports = [{"port": 80, "name": "a"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}}
    live = copy.deepcopy(service)
    live["spec"]["ports"] = [{"port": 81, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": "b"}]
    assert differing(service, live) == ["spec.ports[port=80,protocol=TCP].name"]
    policy = {**service, "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    assert differing(policy, {**live, "kind": "NetworkPolicy"}) == ["spec.ports"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}, "imagePullSecrets": [{"name": "a"}]}
    assert differing(account, {**account, "imagePullSecrets": [{"name": "a"}, {"name": "b"}]}) == ["imagePullSecrets"]
    custom = {"apiVersion": "example.com/v1", "kind": "X", "metadata": {}, "containers": [{"name": "a"}]}
    assert differing(custom, {**custom, "containers": [{"name": "b"}, {"name": "a"}]}) == ["containers"]


def test_managed_fields_say_how_a_list_merges() -> None:
    wanted = {"apiVersion": "example.com/v1", "kind": "X", "metadata": {}, "parts": [{"id": 1, "v": 1}], "tags": ["a"]}
    live = {**wanted, "parts": [{"id": 2}, {"id": 1, "v": 1, "default": 2}], "tags": ["b", "a"]}
    fields = {"f:parts": {'k:{"id":1}': {".": {}}, 'k:{"id":2}': {".": {}}}, "f:tags": {'v:"a"': {}, 'v:"b"': {}}}
    assert differing(wanted, live) == ["parts", "tags"]
    assert differing(wanted, owned(live, helms(fields))) == []
    live["parts"] = [{"id": 1, "v": 2}]
    assert differing(wanted, owned(live, helms(fields))) == ["parts[id=1].v"]


def test_members_that_others_added_inside_a_whole_count_and_defaults_do_not() -> None:
    wanted, live = deployment(tolerations=[{"key": "a"}]), deployment(tolerations=[{"key": "a", "seconds": 5, "e": ""}])
    fields = {"f:spec": {"f:template": {"f:spec": {"f:tolerations": {}}}}}
    assert differing(wanted, owned(live, helms(fields))) == []
    assert differing(wanted, owned(live, helms(), owner("kubectl", fields))) == [f"{POD}tolerations[0].seconds"]
    null = deployment(tolerations=[{"key": "a", "seconds": None}])
    assert differing(null, owned(live, owner("kubectl", fields))) == [f"{POD}tolerations[0].seconds"]


def test_definitions_are_compared_whole() -> None:
    def definition(**schema: Any) -> dict[str, Any]:
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "x"},
            "spec": {"versions": [{"name": "v1", "schema": schema}]},
        }

    live = definition(type="object", properties={"a": {}})
    live["spec"]["conversion"] = {"strategy": "None"}
    live["status"] = {"storedVersions": ["v1"]}
    assert differing(definition(type="object", properties={"a": {}}, nullable=False), live) == []
    assert differing(definition(type="object"), live) == ["spec.versions[0].schema.properties"]
    assert differing(definition(type="object", properties={"b": {"x": 1}}), live) == [
        "spec.versions[0].schema.properties.b"
    ]


def test_zero_that_helm_applied_and_nobody_removed_is_not_stored() -> None:
    wanted, live = deployment(strange=False), deployment()
    fields = {"f:spec": {"f:template": {"f:spec": {"f:strange": {}}}}}
    assert differing(wanted, live) == [f"{POD}strange"]
    assert differing(wanted, owned(live, helms(fields))) == [f"{POD}strange"]
    assert differing(wanted, owned(live, helms(fields, operation="Apply"))) == []
    assert differing(wanted, owned(live, helms(operation="Apply"))) == [f"{POD}strange"]


def test_paths_for_people() -> None:
    path = ("metadata", "annotations", "a.b/c", 0, Item((("port", 1), ("protocol", "UDP"))), "x", "")
    assert fields.show(path) == 'metadata.annotations["a.b/c"][0][port=1,protocol=UDP].x[""]'


# The way to the API server

DISCOVERY: dict[str, list[tuple[str, str, str, bool]]] = {
    "/api": [("", "v1", "ConfigMap", True), ("", "v1", "Secret", True), ("", "v1", "Namespace", False)],
    "/apis": [
        ("apps", "v1", "Deployment", True),
        ("batch", "v1", "Job", True),
        ("rbac.authorization.k8s.io", "v1", "ClusterRole", False),
        ("policy", "v1", "PodDisruptionBudget", True),
    ],
}


class Cluster(Kube):
    """An API server of plain data: objects by path. aggregated: it knows aggregated discovery. refused: status of the
    answers by method and collection. applied: what a dry run gives, if not the object that is there."""

    def __init__(self, *objects: tuple[str, dict[str, Any]], aggregated: bool = True, stale: str = "") -> None:
        self.calls = 0
        self.objects = dict(objects)
        self.aggregated, self.stale = aggregated, stale
        self.refused: dict[tuple[str, str], int] = {}
        self.applied: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[str, str]] = []
        self.queries: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []

    def methods(self, method: str) -> list[str]:
        return sorted(path for verb, path in self.log if verb == method)

    def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
        self.calls += 1
        self.log.append((method, path))
        self.queries.append(query or {})
        collection = next((part for part in ("configmaps", "secrets", "deployments") if part in path), "")
        if (method, collection) in self.refused:
            return self.answer({"message": "no"}, self.refused[method, collection])
        if method == "PATCH":
            self.bodies.append(json.loads(body))
            return self.answer(self.applied.get(path, self.objects[path]))
        if path in DISCOVERY:
            return self.answer(self.groups(path))
        if path.count("/") <= 3 and not path.startswith("/api/v1/"):
            return self.plain(path)
        if path in self.objects:
            return self.answer(self.objects[path])
        items = [item for place, item in self.objects.items() if place.rpartition("/")[0] == path]
        return self.answer({"items": items}) if items else self.answer({"message": "none"}, 404)

    @staticmethod
    def answer(document: Any, status: int = 200) -> Response:
        return Response(status, {}, json.dumps(document).encode())

    def groups(self, path: str) -> dict[str, Any]:
        if not self.aggregated:
            return {"kind": "APIVersions" if path == "/api" else "APIGroupList"}
        items = [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [
                            {
                                "resource": kind.lower() + "s",
                                "responseKind": {"kind": kind},
                                "scope": "Namespaced" if namespaced else "Cluster",
                            }
                        ],
                    }
                ],
            }
            for group, version, kind, namespaced in DISCOVERY[path]
        ]
        items.append({"metadata": {"name": self.stale}, "versions": [{"version": "v1", "freshness": "Stale"}]})
        return {"kind": "APIGroupDiscoveryList", "items": items}

    def plain(self, path: str) -> Response:
        resources = [
            {"name": kind.lower() + "s", "kind": kind, "namespaced": namespaced}
            for group, version, kind, namespaced in [*DISCOVERY["/api"], *DISCOVERY["/apis"]]
            if path == (f"/apis/{group}/{version}" if group else f"/api/{version}")
        ]
        if not resources:
            return self.answer({}, 404)
        return self.answer({"resources": [*resources, {"name": "deployments/scale", "kind": "Scale"}]})


def manifest(*documents: dict[str, Any]) -> dict[render.Key, dict[str, Any]]:
    return {render.key_of(document): document for document in documents}


def place(document: dict[str, Any], namespace: str = NS) -> tuple[str, dict[str, Any]]:
    group = "/api/v1" if document["apiVersion"] == "v1" else f"/apis/{document['apiVersion']}"
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{inside}/{document['kind'].lower()}s/{document['metadata']['name']}", document


def summaries(found: list[Drifted]) -> list[tuple[str, str, str, list[str]]]:
    return [(d.key.kind, d.key.name, d.action, [entry["path"] for entry in d.fields]) for d in found]


def test_each_kind_is_read_once_and_only_suspects_cost_more() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    wanted = [config("a", x="1"), config("b", x="1"), deployment(), role, secret(stringData={"p": "1"})]
    kube = Cluster(place(config("a", x="1")), place(config("b", x="2")), place(deployment()), place(role, ""))
    kube.objects |= dict([place(secret(data={"p": base64_of("2")}))])
    kube.applied[place(config("b"))[0]] = config("b", x="1")
    kube.applied[place(secret())[0]] = secret(data={"p": base64_of("1")})
    found = drift.find(kube, NS, manifest(*wanted), Mask())
    assert summaries(found) == [("ConfigMap", "b", "changed", ["data.x"]), ("Secret", "s", "changed", ["data.p"])]
    configmaps, deployments = f"/api/v1/namespaces/{NS}/configmaps", f"/apis/apps/v1/namespaces/{NS}/deployments"
    assert kube.methods("GET") == sorted(
        [
            "/api",
            "/apis",
            configmaps,
            f"{deployments}/d",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/r",
            f"/api/v1/namespaces/{NS}/secrets/s",
        ]
    )
    assert kube.methods("PATCH") == [f"{configmaps}/b", f"/api/v1/namespaces/{NS}/secrets/s"]
    assert kube.calls == 2 + 4 + 2
    dry = {"fieldManager": "helm", "force": "true", "dryRun": "All"}
    assert [query for query in kube.queries if "dryRun" in query] == [dry, dry]


def test_an_unchanged_release_costs_discovery_and_one_list_per_kind() -> None:
    kube = Cluster(place(config("a", x="1")), place(config("b", x="1")))
    assert drift.survey(kube, NS, manifest(config("a", x="1"), config("b", x="1")), Mask()) == drift.DriftReport()
    assert kube.log == [("GET", "/api"), ("GET", f"/api/v1/namespaces/{NS}/configmaps")]


def test_discovery_can_be_shared() -> None:
    objects = manifest(config("a", x="1"), deployment())
    kube = Cluster(place(config("a", x="1")), place(deployment()))
    served = discover(kube, drift.api_versions(objects, objects))
    assert kube.calls == 2
    assert drift.survey(kube, NS, objects, Mask(), served) == drift.DriftReport()
    assert kube.calls == 4


def test_a_server_without_aggregated_discovery() -> None:
    kube = Cluster(place(config("a", x="2")), place(deployment()), aggregated=False)
    lost = {"apiVersion": "example.com/v1", "kind": "X", "metadata": {"name": "x"}}
    kube.applied[place(config("a"))[0]] = config("a", x="1")
    found = drift.find(kube, NS, manifest(config("a", x="1"), deployment(), lost), Mask())
    assert summaries(found) == [("ConfigMap", "a", "changed", ["data.x"]), ("X", "x", "missing", [])]
    # /api, /apis, /api/v1, /apis/apps/v1, /apis/example.com/v1, two reads, one dry run
    assert kube.calls == 8


def test_nothing_to_compare_costs_nothing() -> None:
    kube = Cluster()
    hook = {**config("h"), "metadata": {"name": "h", "annotations": {"helm.sh/hook": "pre-install"}}}
    unnamed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x"}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
    }
    objects = {**manifest(hook, unnamed), render.key_of(definition, render.CRD): definition}
    assert drift.survey(kube, NS, objects, Mask()) == drift.DriftReport()
    assert kube.calls == 0


def test_missing_objects() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {}}
    expiring = {**job, "metadata": {"name": "e"}, "spec": {"ttlSecondsAfterFinished": 5}}
    kept = config("k", x="1")
    kept["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    kube = Cluster()
    found = drift.find(kube, NS, manifest(job, expiring, kept), Mask())
    assert summaries(found) == [("Job", "j", "missing", []), ("ConfigMap", "k", "missing", [])]
    assert found[0].url == f"/apis/batch/v1/namespaces/{NS}/jobs/j"
    assert found[1].document["metadata"]["namespace"] == NS
    assert found[0].summary() == {
        "kind": "Job",
        "name": "j",
        "namespace": NS,
        "api_version": "batch/v1",
        "action": "missing",
        "confirmed": True,
        "fields": [],
    }


def test_objects_of_other_namespaces_and_of_none() -> None:
    elsewhere = config("a", x="1")
    elsewhere["metadata"]["namespace"] = "other"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "namespace": "ignored", "labels": {}}}
    kube = Cluster(place(elsewhere, "other"), place(space, ""))
    assert drift.find(kube, NS, manifest(elsewhere, space), Mask()) == []
    assert kube.methods("GET") == ["/api", "/api/v1/namespaces/n", "/api/v1/namespaces/other/configmaps/a"]


def test_a_version_that_is_no_longer_served_is_read_in_another() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "p"}, "spec": {"a": 1}}
    live = {**old, "apiVersion": "policy/v1", "spec": {"a": 2}}
    kube = Cluster(place(live))
    kube.applied[place(live)[0]] = {**live, "spec": {"a": 1}}
    found = drift.find(kube, NS, manifest(old), Mask())
    assert summaries(found) == [("PodDisruptionBudget", "p", "changed", ["spec.a"])]
    assert kube.bodies[0]["apiVersion"] == "policy/v1"


def test_an_extension_server_that_is_silent_is_no_drift() -> None:
    kube = Cluster(stale="metrics.example.com")
    document = {"apiVersion": "metrics.example.com/v1", "kind": "M", "metadata": {"name": "m"}}
    report = drift.survey(kube, NS, manifest(document), Mask())
    assert report.drifted == []
    assert "M (metrics.example.com/v1) is unknown" in str(report.unreadable[0])


def test_a_kind_that_may_not_be_read_is_told_apart() -> None:
    kube = Cluster(place(config("a", x="2")))
    kube.refused["GET", "secrets"] = 403
    report = drift.survey(
        kube, NS, manifest(secret(), {**secret(), "metadata": {"name": "t"}}, config("a", x="1")), Mask()
    )
    assert summaries(report.drifted) == []  # the dry run says that it is the same
    assert [str(item) for item in report.unreadable] == [
        f"drift of Secret (v1) in namespace {NS} is unknown: GET /api/v1/namespaces/{NS}/secrets answered 403: no."
    ]
    assert {"fieldSelector": "type!=helm.sh/release.v1", "limit": 500} in kube.queries


def test_the_dry_run_decides() -> None:
    kube = Cluster(place(deployment(duration="1h0m0s", other="x")))
    # The server, or a webhook, makes of the manifest just what is there.
    assert drift.find(kube, NS, manifest(deployment(duration="60m", other="y")), Mask()) == []
    assert len(kube.methods("PATCH")) == 1


@pytest.mark.parametrize("status", [400, 403, 409, 422, 500])
def test_without_a_dry_run_differences_are_unconfirmed(status: int) -> None:
    kube = Cluster(place(deployment(a="x")))
    kube.refused["PATCH", "deployments"] = status
    found = drift.find(kube, NS, manifest(deployment(a="y")), Mask())
    assert [(d.confirmed, [entry["path"] for entry in d.fields]) for d in found] == [(False, [f"{POD}a"])]


def test_an_object_deleted_meanwhile_is_missing() -> None:
    kube = Cluster(place(deployment(a="x")))
    kube.refused["PATCH", "deployments"] = 404
    assert summaries(drift.find(kube, NS, manifest(deployment(a="y")), Mask())) == [("Deployment", "d", "missing", [])]


def test_silence_is_an_error() -> None:
    class Silent(Cluster):
        def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
            if "configmaps" in path:
                raise Unreachable("no answer")
            return super().send(method, path, query, body, headers, timeout)

    with pytest.raises(Unreachable):
        drift.find(Silent(), NS, manifest(config("a")), Mask())


def test_the_dry_run_keeps_what_helm_adds() -> None:
    live = deployment(a="x")
    marks = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": NS}
    live["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "Helm", "own": "1"},
        "annotations": {**marks, "own": "1"},
    }
    wanted = deployment(a="y")
    wanted["metadata"] |= {"labels": {"l": "1"}, "creationTimestamp": None, "managedFields": []}
    wanted["status"] = {}
    kube = Cluster(place(live))
    drift.find(kube, NS, manifest(wanted), Mask())
    assert kube.bodies[0]["metadata"] == {
        "name": "d",
        "namespace": NS,
        "labels": {"app.kubernetes.io/managed-by": "Helm", "l": "1"},
        "annotations": marks,
    }
    assert "status" not in kube.bodies[0]


REPLICAS = {"f:spec": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("manager", "fields", "spec", "own"),
    [
        ("kube-controller-manager", REPLICAS, {"replicas": 3}, True),
        ("keda", REPLICAS, {"replicas": 3}, True),
        ("keda", {"f:spec": {"f:paused": {}}}, {"replicas": 1, "paused": True}, False),
        ("kubectl", REPLICAS, {"replicas": 3}, False),
    ],
)
def test_what_controllers_own_by_design(manager: str, fields: dict, spec: dict, own: bool) -> None:
    wanted = {**deployment(), "spec": {"replicas": 1, "paused": False}}
    live = owned({**wanted, "spec": {"paused": False, **spec}}, helms(), owner(manager, fields, subresource="scale"))
    kube = Cluster(place(live))
    kube.applied[place(live)[0]] = wanted
    assert (drift.find(kube, NS, manifest(wanted), Mask()) == []) is own
    assert len(kube.methods("PATCH")) == (0 if own else 1)


def test_owned_by_design_among_others() -> None:
    wanted = {**deployment(), "spec": {"replicas": 1, "paused": False}}
    live = owned({**wanted, "spec": {"replicas": 3, "paused": True}}, owner("kube-controller-manager", REPLICAS))
    kube = Cluster(place(live))
    kube.applied[place(live)[0]] = wanted
    assert summaries(drift.find(kube, NS, manifest(wanted), Mask())) == [
        ("Deployment", "d", "changed", ["spec.paused"])
    ]


def test_who_and_when() -> None:
    wanted = deployment(containers=[CONTAINER], tolerations=[{"key": "a"}])
    wanted["metadata"]["labels"] = {"gone": "1", "same": "1"}
    live = copy.deepcopy(wanted)
    live["metadata"]["labels"] = {"same": "2"}
    pod = live["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = "i:2"
    pod["tolerations"] = [{"key": "b"}, {"key": "c"}]
    image = {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}
    live = owned(
        live,
        helms(
            {"f:metadata": {"f:annotations": {"f:meta.helm.sh/release-name": {}}, "f:labels": {"f:same": {}}}}, "helm3"
        ),
        owner("early", {"f:spec": {"f:template": {"f:spec": image}}}),
        owner("late", {"f:spec": {"f:template": {"f:spec": {**image, "f:tolerations": {}}}}}, LATE),
    )
    kube = Cluster(place(live))
    kube.applied[place(live)[0]] = wanted
    (found,) = drift.find(kube, NS, manifest(wanted), Mask())
    assert {entry["path"]: (entry["manager"], entry["time"]) for entry in found.fields} == {
        "metadata.labels.gone": ("", ""),
        "metadata.labels.same": ("helm3", EARLY),  # nobody else owns it
        f"{POD}containers[name=a].image": ("late", LATE),
        f"{POD}tolerations": ("late", LATE),
    }
    assert found.fields[-1]["wanted"] == [{"key": "a"}]
    assert found.fields[-1]["live"] == [{"key": "b"}, {"key": "c"}]


def test_secrets_are_never_shown() -> None:
    wanted = secret(stringData={"password": "wanted-password", "same": "same-password"})
    live = secret(data={"password": base64_of("edited-password"), "same": base64_of("same-password")})
    leak = config("c", a="uses edited-password", b=["wanted-password"])
    leaked = config("c", a="uses wanted-password", b=[{"x": "edited-password"}])
    kube = Cluster(place(live), place(leaked))
    kube.applied[place(live)[0]] = secret(
        data={"password": base64_of("wanted-password"), "same": base64_of("same-password")}
    )
    kube.applied[place(leaked)[0]] = leak
    mask = Mask()
    found = drift.find(kube, NS, manifest(wanted, leak), mask)
    entry = found[0].fields[0]
    assert entry["path"] == "data.password"
    assert entry["wanted"].startswith("digest:") and entry["wanted"] != entry["live"]
    shown = json.dumps([d.summary() for d in found]) + json.dumps(drift.diff_entries(found, mask)) + repr(found)
    for password in ("wanted-password", "edited-password", "same-password"):
        assert password not in shown
        assert base64_of(password) not in shown


def test_all_data_of_a_secret_gone_is_masked_too() -> None:
    wanted, live = secret(stringData={"p": "wanted-password"}), secret()
    kube = Cluster(place(live))
    kube.applied[place(live)[0]] = secret(data={"p": base64_of("wanted-password")})
    (found,) = drift.find(kube, NS, manifest(wanted), Mask())
    assert found.fields[0]["path"] == "data"
    assert found.fields[0]["wanted"]["p"].startswith("digest:")
    assert found.fields[0]["live"] is None


def test_diff_shows_only_what_differs() -> None:
    wanted = deployment(containers=[{**CONTAINER, "limits": {"cpu": "1000m"}}], volumes=[{"name": "v", "emptyDir": {}}])
    live = deployment(
        containers=[{**CONTAINER, **DEFAULTS, "image": "i:2", "limits": {"cpu": "1"}}, {"name": "own"}],
        volumes=[{"name": "v"}],
        tolerations=[{"key": "own"}],
    )
    applied = copy.deepcopy(live)
    applied["spec"]["template"]["spec"]["containers"][0]["image"] = "i:1"
    applied["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    gone = config("gone", x="1")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}
    kube = Cluster(place(live))
    kube.applied[place(live)[0]] = applied
    mask = Mask()
    found = drift.find(kube, NS, manifest(wanted, gone, role), mask)
    first, second, third = drift.diff_entries(found, mask)
    assert first["before_header"] == f"Deployment {NS}/d (changed in the cluster)"
    before, after = first["before"].splitlines(), first["after"].splitlines()
    assert [line.strip() for line in before if line not in after] == ["- image: i:2", "- name: v"]
    assert [line.strip() for line in after if line not in before] == ["- image: i:1", "- emptyDir: {}", "name: v"]
    assert (second["before"], second["after_header"]) == ("", f"ConfigMap {NS}/gone (missing in the cluster)")
    assert "x: '1'" in second["after"]
    assert third["before_header"] == "ClusterRole r (missing in the cluster)"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("a", "b"), 2, {"a": {"b": 2}, "l": [{"n": 1, "v": 1}]}),
        (("a", "b"), None, {"a": {}, "l": [{"n": 1, "v": 1}]}),
        (("new", "deep"), 1, {"a": {"b": 1}, "l": [{"n": 1, "v": 1}], "new": {"deep": 1}}),
        (("l", Item((("n", 1),)), "v"), 2, {"a": {"b": 1}, "l": [{"n": 1, "v": 2}]}),
        (("l", Item((("n", 1),))), None, {"a": {"b": 1}, "l": []}),
        (("l", Item((("n", 2),))), {"n": 2}, {"a": {"b": 1}, "l": [{"n": 1, "v": 1}, {"n": 2}]}),
        (("l", 0, "v"), 3, {"a": {"b": 1}, "l": [{"n": 1, "v": 3}]}),
        (("a", 0), 3, {"a": [3], "l": [{"n": 1, "v": 1}]}),
    ],
)
def test_a_field_is_put_into_a_copy(path: fields.Path, value: Any, expected: dict[str, Any]) -> None:
    document = {"a": {"b": 1}, "l": [{"n": 1, "v": 1}]}
    assert fields.with_value(document, path, value) == expected
    assert document == {"a": {"b": 1}, "l": [{"n": 1, "v": 1}]}


def test_whole_lists_are_told_apart_as_far_as_they_align() -> None:
    wanted = deployment(rules=[{"verbs": ["get"], "x": 1}, {"verbs": ["list"]}], empty={}, kept={})
    live = deployment(rules=[{"verbs": ["get"], "y": 2}, {"verbs": ["list", "watch"]}], kept={"added": 1})
    kube = Cluster(place(live))
    applied = copy.deepcopy(wanted)
    applied["spec"]["template"]["spec"]["kept"] = {}
    kube.applied[place(live)[0]] = applied
    (found,) = drift.find(kube, NS, manifest(wanted), Mask())
    assert {entry["path"]: (entry["wanted"], entry["live"]) for entry in found.fields} == {
        f"{POD}rules[0].x": (1, None),
        f"{POD}rules[0].y": (None, 2),
        f"{POD}rules[1].verbs": (["list"], ["list", "watch"]),
        f"{POD}empty": ({}, None),
    }


# What others added


EDITED: dict[str, Any] = {
    "f:metadata": {
        "f:labels": {"f:team": {}},
        "f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}, "f:a/b": {}},
        "f:finalizers": {'v:"f"': {}},
    },
    "f:spec": {
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"a"}': {
                        "f:env": {".": {}, 'k:{"name":"DEBUG"}': {".": {}, "f:name": {}, "f:value": {}}},
                        "f:image": {},
                    },
                    'k:{"name":"side"}': {".": {}, "f:name": {}},
                },
                "f:nodeSelector": {},
            }
        }
    },
    "f:status": {"f:replicas": {}},
}


def edited() -> tuple[dict[str, Any], dict[str, Any]]:
    """A manifest, and the live object with what somebody added by hand and what controllers added."""
    wanted = deployment(containers=[CONTAINER])
    env = [{"name": "DEBUG", "value": "1"}]
    live = deployment(containers=[{**CONTAINER, **DEFAULTS, "env": env}, {"name": "side"}], nodeSelector={"a": "b"})
    live["metadata"] |= {
        "resourceVersion": "7",
        "namespace": NS,
        "labels": {"team": "x"},
        "annotations": {"a/b": "c", "deployment.kubernetes.io/revision": "3"},
        "finalizers": ["f"],
    }
    controller = {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}
    owners = [
        helms({"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:imagePullPolicy": {}}}}}}}),
        owner("kubectl-edit", EDITED, LATE),
        owner("kube-controller-manager", controller),
        owner("kubectl", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
    ]
    return wanted, owned(live, *owners)


ADDED = [
    "metadata.labels.team",
    'metadata.annotations["a/b"]',
    f"{POD}containers[name=a].env",
    f"{POD}containers[name=side]",
    f"{POD}nodeSelector",
]


def test_what_others_added_counts_where_it_is_asked_for() -> None:
    wanted, live = edited()
    kube = FakeKube({**live, "apiVersion": "apps/v1"}, namespace=NS)
    assert drift.survey(kube.client(), NS, manifest(wanted), Mask()) == drift.DriftReport()
    (found,) = drift.survey(kube.client(), NS, manifest(wanted), Mask(), added=True).drifted
    assert (found.action, found.confirmed, found.differences) == ("changed", True, ())
    assert [entry["path"] for entry in found.fields] == ADDED
    assert {(entry["wanted"], entry["manager"], entry["time"]) for entry in found.fields} == {
        (None, "kubectl-edit", LATE)
    }
    assert found.fields[3]["live"] == {"name": "side"}
    assert not kube.writes and "PATCH" not in kube.methods
    (entry,) = drift.diff_entries([found], Mask())
    gone = [line.strip() for line in entry["before"].splitlines() if line not in entry["after"].splitlines()]
    assert {"team: x", "a/b: c", "- name: DEBUG", "- name: side", "a: b"} <= set(gone)


def test_additions_are_removed_by_one_patch_of_the_object_as_it_is() -> None:
    wanted, live = edited()
    kube = FakeKube(live, namespace=NS)
    (found,) = drift.survey(kube.client(), NS, manifest(wanted), Mask(), added=True).drifted
    live["spec"]["template"]["spec"]["containers"].insert(0, {"name": "first"})  # moved meanwhile
    live["metadata"]["labels"].pop("team")  # gone meanwhile
    kube.on("PATCH", {})
    drift.remove_added(kube.client(), found)
    assert kube.asked[-1].headers["Content-Type"] == "application/json-patch+json"
    test, *removals = kube.asked[-1].document
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    pod = "/spec/template/spec"
    assert sorted(one["path"] for one in removals) == [
        "/metadata/annotations/a~1b",
        f"{pod}/containers/1/env",
        f"{pod}/containers/2",
        f"{pod}/nodeSelector",
    ]
    assert {one["op"] for one in removals} == {"remove"}
    before = len(kube.asked)
    kube.objects.clear()
    drift.remove_added(kube.client(), found)
    assert kube.methods[before:] == ["GET"]


def test_items_of_one_list_are_removed_from_its_end() -> None:
    live = deployment(containers=[CONTAINER, *({"name": f"x{n}"} for n in range(11))])
    live["metadata"]["resourceVersion"] = "1"
    path = ("spec", "template", "spec", "containers")
    added = tuple(fields.Difference((*path, Item((("name", f"x{n}"),))), None, {}) for n in range(11))
    kube = FakeKube(live, namespace=NS)
    kube.on("PATCH", {})
    url = kube.path_of(live)
    drift.remove_added(kube.client(), Drifted(render.key_of(live), "changed", live, url, added=added))
    numbers = [int(one["path"].rpartition("/")[2]) for one in kube.asked[-1].document[1:]]
    assert numbers == list(range(11, 0, -1))


def test_a_key_added_to_a_secret_is_not_shown() -> None:
    live = secret(data={"p": base64_of("1"), "own": base64_of("added-by-hand")})
    live = owned(live, helms(), owner("kubectl-edit", {"f:data": {"f:own": {}}}))
    kube = FakeKube(live, namespace=NS)
    (found,) = drift.survey(kube.client(), NS, manifest(secret(stringData={"p": "1"})), Mask(), added=True).drifted
    assert [entry["path"] for entry in found.fields] == ["data.own"]
    assert "added-by-hand" not in json.dumps(found.summary())
    assert base64_of("added-by-hand") not in json.dumps(found.summary())


def test_an_object_that_is_being_deleted_is_told() -> None:
    live = config(x="1")
    live["metadata"]["deletionTimestamp"] = LATE
    report = drift.survey(FakeKube(live, namespace=NS).client(), NS, manifest(config(x="1")), Mask())
    assert report.deleting == [f"ConfigMap {NS}/c is being deleted since {LATE}"]
    assert report.drifted == []
