# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known about releases, and how many requests it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.helm import info, release
from ansible_collections.orion.tracing.plugins.module_utils.helm.info import Query, computed, gather
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

MANIFEST = """---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: uses user-password}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: r, namespace: ignored}
"""
HOOKS = [{"manifest": "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}"}]


def record(name: str, revision: int, status: str = "deployed", namespace: str = "ns", **parts: Any) -> dict[str, Any]:
    document = {
        "name": name,
        "namespace": namespace,
        "version": revision,
        "info": {
            "status": status,
            "last_deployed": f"2026-01-0{revision}T00:00:00Z",
            "description": f"Upgrade {revision}",
            "notes": "the password is user-password",
        },
        "chart": {"metadata": {"name": "web", "version": f"1.{revision}.0", "appVersion": "7"}, "values": {"x": 1}},
        "config": {"password": "user-password"},
        "manifest": MANIFEST,
        "hooks": HOOKS,
        **parts,
    }
    labels = {"owner": "helm", "name": name, "version": str(revision), "status": status, "team": "a"}
    return {
        "metadata": {"name": f"sh.helm.release.v1.{name}.v{revision}", "namespace": namespace, "labels": labels},
        "data": {"release": release.encode(document)},
    }


class Cluster(Kube):
    """An API server with release records. Selectors are obeyed as far as they are used."""

    def __init__(self, *secrets: dict[str, Any], live: dict[str, Any] | None = None, status: int = 200) -> None:
        self.calls = 0
        self.secrets, self.live, self.status = secrets, live, status
        self.log: list[tuple[str, dict[str, Any]]] = []

    def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
        self.calls += 1
        self.log.append((path, query or {}))
        if path.endswith("/secrets"):
            if self.status != 200:
                return Response(self.status, {}, b'{"message": "secrets is forbidden"}')
            return self.answer({"items": [secret for secret in self.secrets if self.fits(secret, path, query)]})
        if path in ("/api", "/apis"):
            kinds = {
                "/api": ("ConfigMap", "", "Namespaced"),
                "/apis": ("ClusterRole", "rbac.authorization.k8s.io", "Cluster"),
            }
            kind, group, scope = kinds[path]
            resource = {"resource": f"{kind.lower()}s", "responseKind": {"kind": kind}, "scope": scope}
            versions = [{"version": "v1", "resources": [resource]}]
            return self.answer(
                {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": group}, "versions": versions}]}
            )
        if method == "PATCH":
            return Response(403, {}, b"{}")
        found = (self.live or {}).get(path)
        return Response(found, {}, b"{}") if isinstance(found, int) else self.answer(found, 200 if found else 404)

    @staticmethod
    def answer(document: Any, status: int = 200) -> Response:
        return Response(status, {}, json.dumps(document or {}).encode())

    @staticmethod
    def fits(secret: dict[str, Any], path: str, query: dict[str, Any]) -> bool:
        metadata = secret["metadata"]
        if "/namespaces/" in path and path.split("/")[4] != metadata["namespace"]:
            return False
        for condition in query["labelSelector"].split(","):
            name, _equals, value = condition.replace("!=", "=!").partition("=")
            if (metadata["labels"].get(name) == value.removeprefix("!")) is value.startswith("!"):
                return False
        return True


SECRETS = [
    record("web", 2),
    record("web", 1, "superseded"),
    record("api", 1, "failed"),
    record("db", 1, "pending-install", "other"),
    record("old", 1, "uninstalled", "other"),
]


def found(**query: Any) -> list[str]:
    return [f"{entry['namespace']}/{entry['name']}" for entry in gather(Cluster(*SECRETS), Query(**query)).releases]


def test_all_releases_are_one_request() -> None:
    kube = Cluster(*SECRETS)
    answer = gather(kube, Query())
    assert [entry["name"] for entry in answer.releases] == ["api", "web", "db"]
    assert answer.warnings == []
    assert kube.log == [("/api/v1/secrets", {"labelSelector": "owner=helm,status!=superseded", "limit": 50})]


def test_one_release_shows_no_values_and_no_notes() -> None:
    kube = Cluster(*SECRETS)
    answer = gather(kube, Query(name="web", namespace="ns"))
    assert answer.releases == [
        {
            "name": "web",
            "namespace": "ns",
            "revision": 2,
            "status": "deployed",
            "chart": "web",
            "chart_version": "1.2.0",
            "app_version": "7",
            "updated": "2026-01-02T00:00:00Z",
            "description": "Upgrade 2",
            "labels": {"team": "a"},
        }
    ]
    assert kube.log[0][0] == "/api/v1/namespaces/ns/secrets"
    assert kube.log[0][1]["labelSelector"] == "owner=helm,name=web,status!=superseded"
    assert gather(kube, Query(name="none", namespace="ns")).releases == []


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((), ["ns/api", "ns/web", "other/db"]),
        (("all",), ["ns/api", "ns/web", "other/db", "other/old"]),
        (("deployed",), ["ns/web"]),
        (("failed", "pending"), ["ns/api", "other/db"]),
        (("uninstalled",), ["other/old"]),
        (("superseded",), []),
        (("uninstalling",), []),
    ],
)
def test_states_are_those_of_the_newest_revision(states: tuple[str, ...], expected: list[str]) -> None:
    assert found(states=states) == expected


def test_a_newest_revision_that_is_superseded_can_be_found() -> None:
    kube = Cluster(record("web", 1, "superseded"))
    assert gather(kube, Query()).releases == []
    (entry,) = gather(kube, Query(states=("superseded",))).releases
    assert (entry["revision"], entry["status"]) == (1, "superseded")


def test_history() -> None:
    kube = Cluster(*SECRETS)
    (entry,) = gather(kube, Query(name="web", history=True)).releases
    assert [(item["revision"], item["status"], item["chart_version"]) for item in entry["history"]] == [
        (1, "superseded", "1.1.0"),
        (2, "deployed", "1.2.0"),
    ]
    assert entry["history"][0] == {
        "revision": 1,
        "updated": "2026-01-01T00:00:00Z",
        "status": "superseded",
        "chart": "web",
        "chart_version": "1.1.0",
        "app_version": "7",
        "description": "Upgrade 1",
    }
    assert kube.calls == 1


def test_values_notes_and_objects_on_request() -> None:
    query = Query(name="web", values="user", notes=True, objects=True)
    (entry,) = gather(Cluster(*SECRETS), query).releases
    assert entry["release_values"] == {"password": "user-password"}
    assert entry["notes"] == "the password is user-password"
    assert [(item["kind"], item["name"], item["namespace"], item["part"]) for item in entry["objects"]] == [
        ("ConfigMap", "c", "ns", "manifest"),
        ("ClusterRole", "r", "ignored", "manifest"),
        ("Pod", "t", "ns", "hook"),
    ]
    assert entry["objects"][1]["api_version"] == "rbac.authorization.k8s.io/v1"
    (entry,) = gather(Cluster(*SECRETS), Query(name="web", values="computed")).releases
    assert entry["release_values"] == {"password": "user-password", "x": 1}
    (entry,) = gather(Cluster(record("web", 1, info={"status": "deployed"})), Query(notes=True)).releases
    assert entry["notes"] == ""


def test_values_over_defaults() -> None:
    # As helm 4.3.1 prints them with `get values --all`.
    defaults = {
        "a": {"x": 1, "y": 2, "z": {"p": 1, "q": 2}},
        "b": [1, 2],
        "c": "text",
        "d": None,
        "e": {"k": "v"},
        "f": {"g": None},
        "h": 1.5,
    }
    config = {
        "a": {"x": None, "z": {"q": None, "r": None, "s": 5}, "n": None},
        "b": [3],
        "c": None,
        "d": {"k": 1},
        "e": "scalar",
        "f": {"l": 2},
        "new": None,
        "newer": {"u": None, "w": 1},
    }
    assert computed(defaults, config) == {
        "a": {"y": 2, "z": {"p": 1, "r": None, "s": 5}, "n": None},
        "b": [3],
        "d": {"k": 1},
        "e": "scalar",
        "f": {"l": 2},
        "h": 1.5,
        "new": None,
        "newer": {"u": None, "w": 1},
    }
    assert computed(defaults, {}) == {**{k: v for k, v in defaults.items() if k != "d"}, "f": {}}
    assert computed(None, {"a": 1}) == {"a": 1}
    assert computed({"a": None}, {"a": None}) == {"a": None}


def test_a_damaged_record_is_told() -> None:
    damaged = record("web", 3)
    damaged["data"]["release"] = "AAAA"
    answer = gather(Cluster(*SECRETS, damaged), Query())
    assert [entry["name"] for entry in answer.releases] == ["api", "db"]  # not an older revision of web
    assert "ns/sh.helm.release.v1.web.v3 cannot be read" in answer.warnings[0]
    damaged["metadata"]["labels"]["version"] = "0"
    (entry,) = gather(Cluster(*SECRETS, damaged), Query(name="web", history=True)).releases
    assert [item["revision"] for item in entry["history"]] == [1, 2]


def test_secrets_that_may_not_be_listed() -> None:
    with pytest.raises(PermissionDenied, match="in all namespaces, or set release_namespace to one") as error:
        gather(Cluster(status=403), Query())
    assert "secrets is forbidden" in str(error.value)
    with pytest.raises(PermissionDenied, match="Grant the verb list on secrets in namespace ns.$"):
        gather(Cluster(status=403), Query(namespace="ns"))


def test_drift_of_several_releases_costs_discovery_once() -> None:
    config = {"metadata": {"name": "c"}, "data": {"a": "changed"}}
    live: dict[str, Any] = {
        "/api/v1/namespaces/ns/configmaps/c": config,
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/r": {"metadata": {"name": "r"}},
    }
    kube = Cluster(record("web", 2), record("web", 3, "failed"), record("api", 1), record("db", 1, "failed"), live=live)
    answer = gather(kube, Query(drift=True))
    drifted = {entry["name"]: entry.get("drift") for entry in answer.releases}
    assert drifted["db"] is None
    assert [entry["revision"] for entry in answer.releases] == [1, 1, 3]
    for name in ("web", "api"):
        assert [(item["kind"], item["confirmed"]) for item in drifted[name]] == [("ConfigMap", False)]
        assert drifted[name][0]["fields"][0]["wanted"] == "uses ********"
    # records, discovery twice, and for two releases two reads and a dry run each
    assert kube.calls == 1 + 2 + 2 * 3
    assert "user-password" not in json.dumps(answer.releases)


def test_kinds_that_may_not_be_read_are_warnings() -> None:
    live: dict[str, Any] = {"/api/v1/namespaces/ns/configmaps/c": 403}
    kube = Cluster(record("web", 1), live=live)
    answer = gather(kube, Query(drift=True))
    assert [item["kind"] for item in answer.releases[0]["drift"]] == ["ClusterRole"]
    assert answer.warnings[0].startswith("release ns/web: drift of ConfigMap (v1) in namespace ns is unknown: ")


def test_no_release_no_drift() -> None:
    kube = Cluster()
    assert gather(kube, Query(drift=True)) == info.Gathered([], [])
    assert kube.calls == 1
