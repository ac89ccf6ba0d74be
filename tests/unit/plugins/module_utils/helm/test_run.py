# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole way from options to requests and processes, with both of them counted."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.errors import (
    Conflict,
    NotFound,
    PartialFailure,
    PermissionDenied,
    ToolError,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Answer, Helm
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import Wanted
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.run import ensure
from ansible_collections.orion.tracing.plugins.module_utils.kube import Kube, Response

MANIFEST = """# rendered by helm v4.3.1
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: user-password}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}}
"""
GROUPS = {
    "items": [
        {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": []}]},
        {"metadata": {"name": "networking.k8s.io"}, "versions": [{"version": "v1", "resources": []}]},
        {
            "metadata": {"name": "example.com"},
            "versions": [{"version": "v1", "resources": [{"responseKind": {"kind": "Widget"}}]}, {"version": "v2"}],
        },
    ]
}


class Cluster(Kube):
    """An API server of plain data. calls are counted as the real client counts them."""

    def __init__(self, secrets: list[dict] | None = None, namespace: dict | None = None, **answers: Response) -> None:
        self.calls = 0
        self.log: list[tuple[str, str]] = []
        self.bodies: list[dict] = []
        self.queries: list[dict] = []
        self.documents = {
            "hfix": namespace,
            "secrets": {"items": secrets or []},
            "version": {"gitVersion": "v1.34.4"},
            "apis": GROUPS,
            "pods": {"items": []},
            "events": {"items": []},
        }
        self.answers = answers

    @property
    def methods(self) -> list[str]:
        return [method for method, path in self.log]

    def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
        self.calls += 1
        self.log.append((method, path))
        self.queries.append(query or {})
        if body:
            self.bodies.append(json.loads(body))
        last = path.rpartition("/")[2]
        if last in self.answers:
            return self.answers[last]
        document = {} if method == "PATCH" else self.documents[last]
        return Response(404 if document is None else 200, {}, json.dumps(document or {}).encode())


class Program:
    """Plays helm and counts."""

    def __init__(self, failing: Mapping[str, str] | None = None, version: str = "v4.3.1") -> None:
        self.failing, self.version = failing or {}, version
        self.calls: list[list[str]] = []

    def __call__(self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float) -> Answer:
        self.calls.append(argv[1:])
        dry = "dry" if "--dry-run=server" in argv else argv[1]
        if dry in self.failing:
            return Answer(1, "", "Error: " + self.failing[dry])
        if argv[1] == "template":
            return Answer(0, MANIFEST.replace("v4.3.1", self.version), "")
        if argv[1] == "upgrade":
            document = {
                "name": "mini",
                "namespace": "hfix",
                "version": 7,
                "info": {"status": "deployed"},
                "manifest": MANIFEST.replace("v4.3.1", self.version),
            }
            return Answer(0, json.dumps(document), "")
        return Answer(0, f"release {argv[1]}ed", "")


@pytest.fixture
def wanted(chart_folder: Path, values: dict) -> Wanted:
    return Wanted("mini", "hfix", chart_ref=str(chart_folder), values=values)


def run(kube: Cluster, program: Program, wanted: Wanted, check_mode: bool = False):
    return ensure(kube, Helm(sys.executable, {}, program), wanted, check_mode, Mask())


def relabelled(record: dict, status: str) -> dict:
    document = release.decode(record["data"]["release"])
    document["info"]["status"] = status
    labels = {**record["metadata"]["labels"], "status": status}
    return {
        **record,
        "metadata": {**record["metadata"], "labels": labels},
        "data": {"release": release.encode(document)},
    }


# Counts


@pytest.mark.parametrize("check_mode", [True, False])
def test_unchanged_costs_no_process_and_one_request(record: dict, wanted: Wanted, check_mode: bool) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, wanted, check_mode)
    assert not plan.changed
    assert program.calls == []
    assert kube.log == [("GET", "/api/v1/namespaces/hfix/secrets")]
    assert kube.queries[0]["labelSelector"] == "owner=helm,name=mini,status!=superseded"
    assert (plan.result["helm_processes"], plan.result["api_calls"]) == (0, 1)


def test_unchanged_with_namespace_labels_costs_two_requests(record: dict, wanted: Wanted) -> None:
    kube, program = Cluster([record], {"metadata": {"labels": {"a": "b"}}}), Program()
    plan = run(kube, program, replace(wanted, namespace_labels={"a": "b"}))
    assert (plan.changed, program.calls, kube.calls) == (False, [], 2)


def test_a_change_costs_two_processes(record: dict, wanted: Wanted) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, replace(wanted, values={}))
    assert [call[0] for call in program.calls] == ["upgrade", "upgrade"]
    assert (plan.result["helm_processes"], plan.result["api_calls"]) == (2, 1)
    assert plan.result["release"]["revision"] == 7


def test_a_first_install_costs_two_processes(wanted: Wanted) -> None:
    kube, program = Cluster(), Program()
    plan = run(kube, program, replace(wanted, create_namespace=True, namespace_labels={"a": "b"}))
    assert [step.name for step in plan.steps] == ["create namespace hfix", "install"]
    assert len(program.calls) == 2
    assert kube.methods == ["GET", "GET", "PATCH"]
    assert kube.queries[2] == {"fieldManager": "orion.tracing/mini", "force": "true"}
    assert kube.bodies == [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hfix", "labels": {"a": "b"}}}
    ]


def test_check_mode_writes_nothing_and_returns_the_same_keys(wanted: Wanted) -> None:
    wanted = replace(wanted, create_namespace=True)
    kube, program = Cluster(), Program()
    checked = run(kube, program, wanted, check_mode=True)
    assert kube.methods == ["GET", "GET"]
    assert [call[-1] for call in program.calls] == ["--dry-run=server"]
    real = run(Cluster(), Program(), wanted)
    assert checked.result.keys() == real.result.keys()
    assert checked.result["release"].keys() == real.result["release"].keys()
    assert checked.diff[0] == real.diff[0]
    assert [s.name for s in checked.steps] == [s.name for s in real.steps]


def test_uninstall_costs_one_process(record: dict, wanted: Wanted) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, replace(wanted, state="absent", chart_ref=""))
    assert [call[0] for call in program.calls] == ["uninstall"]
    assert kube.calls == 1
    assert plan.result["release"]["status"] == "absent"
    assert [o["action"] for o in plan.result["objects"]] == ["delete", "delete"]


def test_absent_already(wanted: Wanted) -> None:
    kube, program = Cluster(), Program()
    assert not run(kube, program, replace(wanted, state="absent")).changed
    assert (program.calls, kube.calls) == ([], 1)


# Recovery


def test_replacing_an_interrupted_install(record: dict, wanted: Wanted) -> None:
    kube, program = Cluster([relabelled(record, "pending-install")]), Program()
    run(kube, program, replace(wanted, on_pending="rollback"))
    assert [call[0] for call in program.calls] == ["template", "uninstall", "upgrade"]
    argv = program.calls[0]
    assert argv[argv.index("--kube-version") + 1] == "v1.34.4"
    assert argv[-6::2] == ["--api-versions"] * 3
    assert argv[-5::2] == ["example.com/v1", "example.com/v1/Widget", "example.com/v2"]


def test_discovery_that_is_refused_is_done_without(record: dict, wanted: Wanted) -> None:
    kube, program = Cluster([relabelled(record, "failed")], apis=Response(403, {}, b"")), Program()
    run(kube, program, replace(wanted, on_failed="replace"))
    assert "--api-versions" not in program.calls[0]


def test_rolling_back_an_interrupted_upgrade(record: dict, wanted: Wanted) -> None:
    second = relabelled(record, "pending-upgrade")
    second["metadata"]["labels"]["version"] = "2"
    kube, program = Cluster([record, second]), Program()
    plan = run(kube, program, replace(wanted, on_pending="rollback"))
    assert [call[:3] for call in program.calls] == [["rollback", "mini", "1"]]
    assert plan.result["helm_processes"] == 1


def test_pending_is_refused_before_any_process(record: dict, wanted: Wanted) -> None:
    program = Program()
    with pytest.raises(Conflict, match="pending-upgrade"):
        run(Cluster([relabelled(record, "pending-upgrade")]), program, wanted)
    assert program.calls == []


# Failures


def test_nothing_is_written_when_rendering_fails(wanted: Wanted) -> None:
    kube = Cluster()
    program = Program(
        {"dry": "values don't meet the specifications of the schema(s)\nmini:\n- at '/replicas': got string"}
    )
    with pytest.raises(ToolError, match="'/replicas'"):
        run(kube, program, replace(wanted, create_namespace=True))
    assert set(kube.methods) == {"GET"}
    assert len(program.calls) == 1


def test_an_old_helm_writes_nothing(wanted: Wanted) -> None:
    kube, program = Cluster(), Program(version="v3.17.0")
    with pytest.raises(ToolError, match=r"is helm v3\.17\.0"):
        run(kube, program, replace(wanted, create_namespace=True))
    assert set(kube.methods) == {"GET"}
    assert len(program.calls) == 1


def test_a_missing_namespace_is_refused_before_any_process(wanted: Wanted) -> None:
    program = Program()
    with pytest.raises(NotFound, match="create_namespace"):
        run(Cluster(), program, wanted)
    assert program.calls == []


def test_secret_values_are_hidden_in_errors(record: dict, wanted: Wanted) -> None:
    program = Program({"upgrade": "'user-password' does not match; 'other-password' neither", "dry": "no"})
    program.failing.pop("dry")
    wanted = replace(wanted, values={"password": "other-password"})
    with pytest.raises(ToolError) as caught:
        run(Cluster([record]), program, wanted)
    assert "'********' does not match; '********' neither" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_failed_upgrade_says_what_is_not_ready(record: dict, wanted: Wanted) -> None:
    kube = Cluster([record])
    kube.documents["pods"] = {"items": [{"metadata": {"name": "web-1", "labels": {"app": "web"}}, "status": {}}]}
    with pytest.raises(ToolError, match="UPGRADE FAILED: timed out\nPod web-1: not ready") as caught:
        run(kube, Program({"upgrade": "UPGRADE FAILED: timed out"}), replace(wanted, values={}))
    assert caught.value.details == {"helm_exit_code": 1, "not_ready": ["Pod web-1: not ready"]}
    assert [path.rpartition("/")[2] for method, path in kube.log] == ["secrets", "pods", "events"]


def test_a_failed_install_names_the_steps_done(wanted: Wanted) -> None:
    with pytest.raises(PartialFailure) as caught:
        run(Cluster(), Program({"upgrade": "broken"}), replace(wanted, create_namespace=True))
    assert caught.value.details["done"] == ["create namespace hfix"]
    assert caught.value.details["failed"] == "install"


def test_a_user_who_may_not_read_namespaces(wanted: Wanted) -> None:
    refused = Response(403, {}, b'{"message": "namespaces is forbidden"}')
    program = Program()
    assert run(Cluster(hfix=refused), program, wanted).changed
    with pytest.raises(PermissionDenied):
        run(Cluster(hfix=refused), program, replace(wanted, create_namespace=True))
    with pytest.raises(PermissionDenied):
        run(Cluster(hfix=refused), program, replace(wanted, namespace_labels={}))
