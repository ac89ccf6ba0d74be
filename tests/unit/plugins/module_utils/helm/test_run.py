# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole way from options to requests and processes, with both of them counted."""

from __future__ import annotations

import base64
import json
import random
import string
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PartialFailure,
    PermissionDenied,
    ToolError,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import drift, release
from ansible_collections.orion.tracing.plugins.module_utils.helm import run as runs
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Answer, Helm, ServerLost
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import Difference
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import Source
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Key
from ansible_collections.orion.tracing.plugins.module_utils.helm.run import ensure
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

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
WIDGETS = {"resource": "widgets", "responseKind": {"kind": "Widget"}, "scope": "Namespaced"}
GROUPS = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "apps"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced"}
                    ],
                }
            ],
        },
        {"metadata": {"name": "networking.k8s.io"}, "versions": [{"version": "v1", "resources": []}]},
        {
            "metadata": {"name": "example.com"},
            "versions": [{"version": "v1", "resources": [WIDGETS]}, {"version": "v2"}],
        },
    ],
}


CORE_KINDS = [
    {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced"}
    for kind, plural in (("Secret", "secrets"), ("ConfigMap", "configmaps"))
]
CORE = {
    "kind": "APIGroupDiscoveryList",
    "items": [{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": CORE_KINDS}]}],
}


DISCOVERY = ("/api", "/apis")
DRY_RUNS = 4  # of MANIFEST: both groups are discovered, and each of two objects is asked about


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
            "api": CORE,
            "apis": GROUPS,
            "readyz": {},
            "customresourcedefinitions": {"items": []},
            "pods": {"items": []},
            "events": {"items": []},
        }
        self.answers = answers

    def listed(self, selector: str) -> dict:
        """The secrets of a label selector, as the API server picks them by status."""
        items = [(item, item["metadata"]["labels"]["status"]) for item in self.documents["secrets"]["items"]]
        if "status!=superseded" in selector:
            return {"items": [item for item, status in items if status != "superseded"]}
        return {"items": [item for item, status in items if "status=" not in selector or status == "superseded"]}

    @property
    def methods(self) -> list[str]:
        return [method for method, path in self.log]

    @property
    def apart(self) -> list[tuple[str, str]]:
        """The log without the dry runs of the objects that differ, and the discovery that they need."""
        dry = [one.get("dryRun") for one in self.queries]
        return [entry for entry, is_dry in zip(self.log, dry, strict=True) if not is_dry and entry[1] not in DISCOVERY]

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
        if last == "secrets":
            document = self.listed((query or {}).get("labelSelector", ""))
        return Response(404 if document is None else 200, {}, json.dumps(document or {}).encode())


class Program:
    """Plays helm and counts."""

    def __init__(self, failing: Mapping[str, str] | None = None, version: str = "v4.3.1") -> None:
        self.failing, self.version = failing or {}, version
        self.calls: list[list[str]] = []

    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
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
        if argv[1] == "version":
            return Answer(0, self.version, "")
        return Answer(0, f"release {argv[1]}ed", "")


@pytest.fixture
def wanted(chart_folder: Path, values: dict) -> ReleaseOptions:
    return ReleaseOptions("mini", "hfix", source=Source(str(chart_folder)), values=values)


def run(kube: Cluster, program: Program, wanted: ReleaseOptions, check_mode: bool = False):
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
def test_unchanged_costs_no_process_and_one_request(record: dict, wanted: ReleaseOptions, check_mode: bool) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, wanted, check_mode)
    assert not plan.changed
    assert program.calls == []
    assert kube.log == [("GET", "/api/v1/namespaces/hfix/secrets")]
    assert kube.queries[0]["labelSelector"] == "owner=helm,name=mini,status!=superseded"
    assert (plan.result["helm_processes"], plan.result["api_calls"]) == (0, 1)


def test_unchanged_with_namespace_labels_costs_two_requests(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([record], {"metadata": {"labels": {"a": "b"}}}), Program()
    plan = run(kube, program, replace(wanted, namespace_labels={"a": "b"}))
    assert (plan.changed, program.calls, kube.calls) == (False, [], 2)


def test_a_change_costs_two_processes(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, replace(wanted, values={}))
    assert [call[0] for call in program.calls] == ["upgrade", "upgrade"]
    assert (plan.result["helm_processes"], plan.result["api_calls"]) == (2, 1 + DRY_RUNS)
    assert kube.apart == [("GET", "/api/v1/namespaces/hfix/secrets")]
    assert plan.result["release"]["revision"] == 7


def test_a_first_install_costs_two_processes(wanted: ReleaseOptions) -> None:
    kube, program = Cluster(), Program()
    plan = run(kube, program, replace(wanted, create_namespace=True, namespace_labels={"a": "b"}))
    assert [step.name for step in plan.steps] == ["create namespace hfix", "install"]
    assert len(program.calls) == 2
    assert kube.methods == ["GET", "GET", "GET", "PATCH"]
    assert kube.queries[1]["labelSelector"] == "owner=helm,name=mini,status=superseded"
    assert kube.queries[3] == {"fieldManager": "orion.tracing/mini", "force": "true"}
    assert kube.bodies == [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hfix", "labels": {"a": "b"}}}
    ]


def test_check_mode_writes_nothing_and_returns_the_same_keys(wanted: ReleaseOptions) -> None:
    wanted = replace(wanted, create_namespace=True)
    kube, program = Cluster(), Program()
    checked = run(kube, program, wanted, check_mode=True)
    assert kube.methods == ["GET", "GET", "GET"]
    assert [call[-1] for call in program.calls] == ["--dry-run=server"]
    real = run(Cluster(), Program(), wanted)
    assert checked.result.keys() == real.result.keys()
    assert checked.result["release"].keys() == real.result["release"].keys()
    assert checked.diff[0] == real.diff[0]
    assert [s.name for s in checked.steps] == [s.name for s in real.steps]


def test_uninstall_costs_one_process(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, replace(wanted, state="absent", source=Source()))
    assert [call[0] for call in program.calls] == ["uninstall"]
    assert kube.calls == 1
    assert plan.result["release"]["status"] == "absent"
    assert [o["action"] for o in plan.result["objects"]] == ["delete", "delete"]


def test_absent_already(wanted: ReleaseOptions) -> None:
    kube, program = Cluster(), Program()
    assert not run(kube, program, replace(wanted, state="absent")).changed
    assert (program.calls, kube.calls) == ([], 2)


# Secrets


def with_token(record: dict, token: str | None) -> dict:
    """The record of a chart that puts its value token into a ConfigMap."""
    document = release.decode(record["data"]["release"])
    document["config"] = {"token": token} if token else {}
    document["manifest"] = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{url: '?t={token}'}}\n"
    return {**record, "data": {"release": release.encode(document)}}


@pytest.mark.parametrize("values", [{"token": "tok-654321"}, {}])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_old_secret_is_hidden_like_the_new_one(
    record: dict, wanted: ReleaseOptions, values: dict, state: str
) -> None:
    plan = run(Cluster([with_token(record, "tok-123456")]), Program(), replace(wanted, values=values, state=state))
    assert plan.changed
    shown = json.dumps([plan.diff, plan.result])
    assert "url: ?t=********" in shown
    assert "tok-" not in shown


# Recovery


def test_replacing_an_interrupted_install(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([relabelled(record, "pending-install")]), Program()
    run(kube, program, replace(wanted, on_pending="rollback"))
    assert [call[0] for call in program.calls] == ["template", "uninstall", "upgrade"]
    argv = program.calls[0]
    assert argv[argv.index("--kube-version") + 1] == "v1.34.4"
    assert argv[-6::2] == ["--api-versions"] * 3
    assert argv[-5::2] == ["example.com/v1", "example.com/v1/Widget", "example.com/v2"]


def test_discovery_that_is_refused_is_done_without(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([relabelled(record, "failed")], apis=Response(403, {}, b"")), Program()
    run(kube, program, replace(wanted, on_failed="replace"))
    assert "--api-versions" not in program.calls[0]


def test_rolling_back_an_interrupted_upgrade(record: dict, wanted: ReleaseOptions) -> None:
    second = relabelled(record, "pending-upgrade")
    second["metadata"]["labels"]["version"] = "2"
    kube, program = Cluster([record, second]), Program()
    plan = run(kube, program, replace(wanted, on_pending="rollback"))
    assert [call[:3] for call in program.calls] == [["rollback", "mini", "1"]]
    assert plan.result["helm_processes"] == 1


def test_pending_is_refused_before_any_process(record: dict, wanted: ReleaseOptions) -> None:
    program = Program()
    with pytest.raises(Conflict, match="pending-upgrade"):
        run(Cluster([relabelled(record, "pending-upgrade")]), program, wanted)
    assert program.calls == []


# Failures


def test_nothing_is_written_when_rendering_fails(wanted: ReleaseOptions) -> None:
    kube = Cluster()
    program = Program(
        {"dry": "values don't meet the specifications of the schema(s)\nmini:\n- at '/replicas': got string"}
    )
    with pytest.raises(ToolError, match="'/replicas'"):
        run(kube, program, replace(wanted, create_namespace=True))
    assert set(kube.methods) == {"GET"}
    assert len(program.calls) == 1


def test_an_old_helm_writes_nothing(wanted: ReleaseOptions) -> None:
    kube, program = Cluster(), Program(version="v3.17.0")
    with pytest.raises(ToolError, match=r"is helm v3\.17\.0"):
        run(kube, program, replace(wanted, create_namespace=True))
    assert set(kube.methods) == {"GET"}
    assert len(program.calls) == 1


def test_a_missing_namespace_is_refused_before_any_process(wanted: ReleaseOptions) -> None:
    program = Program()
    with pytest.raises(NotFound, match="create_namespace"):
        run(Cluster(), program, wanted)
    assert program.calls == []


def test_secret_values_are_hidden_in_errors(record: dict, wanted: ReleaseOptions) -> None:
    program = Program({"upgrade": "'user-password' does not match; 'other-password' neither", "dry": "no"})
    program.failing.pop("dry")
    wanted = replace(wanted, values={"password": "other-password"})
    with pytest.raises(ToolError) as caught:
        run(Cluster([record]), program, wanted)
    assert "'********' does not match; '********' neither" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_failed_upgrade_says_what_is_not_ready(record: dict, wanted: ReleaseOptions) -> None:
    kube = Cluster([record])
    kube.documents["pods"] = {"items": [{"metadata": {"name": "web-1", "labels": {"app": "web"}}, "status": {}}]}
    with pytest.raises(ToolError, match="UPGRADE FAILED: timed out\nPod web-1: not ready") as caught:
        run(kube, Program({"upgrade": "UPGRADE FAILED: timed out"}), replace(wanted, values={}))
    details = caught.value.details
    assert (details["helm_exit_code"], details["not_ready"]) == (1, ["Pod web-1: not ready"])
    assert (details["release"]["revision"], details["release"]["status"]) == (1, "deployed")
    assert "release hfix/mini is now at revision 1, deployed (Install complete)" in str(caught.value)
    assert [path.rpartition("/")[2] for method, path in kube.apart] == ["secrets", "pods", "events", "secrets"]


def test_a_failed_install_names_the_steps_done(wanted: ReleaseOptions) -> None:
    with pytest.raises(PartialFailure) as caught:
        run(Cluster(), Program({"upgrade": "broken"}), replace(wanted, create_namespace=True))
    assert caught.value.details["done"] == ["create namespace hfix"]
    assert caught.value.details["failed"] == "install"


def test_a_user_who_may_not_read_namespaces(wanted: ReleaseOptions) -> None:
    refused = Response(403, {}, b'{"message": "namespaces is forbidden"}')
    program = Program()
    assert run(Cluster(hfix=refused), program, wanted).changed
    with pytest.raises(PermissionDenied):
        run(Cluster(hfix=refused), program, replace(wanted, create_namespace=True))
    with pytest.raises(PermissionDenied):
        run(Cluster(hfix=refused), program, replace(wanted, namespace_labels={}))


# What this release was before


def revision(record: dict, number: int, status: str, labels: dict | None = None, **document: object) -> dict:
    found = relabelled(record, status)
    decoded = {**release.decode(found["data"]["release"]), "version": number, **document}
    labels = {**found["metadata"]["labels"], "version": str(number), **(labels or {})}
    metadata = {**found["metadata"], "labels": labels}
    return {**found, "metadata": metadata, "data": {"release": release.encode(decoded)}}


def test_a_superseded_revision_is_seen_where_nothing_else_is_left(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([revision(record, 3, "superseded")]), Program()
    plan = run(kube, program, wanted, check_mode=True)
    assert [step.name for step in plan.steps] == ["upgrade"]
    assert plan.result["release"]["revision"] == 4
    assert kube.calls == 2 + DRY_RUNS
    gone = run(Cluster([revision(record, 3, "superseded")]), program, replace(wanted, state="absent"), check_mode=True)
    assert [step.name for step in gone.steps] == ["uninstall"]


def test_a_superseded_revision_is_what_a_pending_one_goes_back_to(record: dict, wanted: ReleaseOptions) -> None:
    """Helm marks the old revision superseded before it marks the new one deployed, and may be killed in between."""
    secrets = [revision(record, 1, "superseded"), revision(record, 2, "pending-upgrade")]
    program = Program()
    plan = run(Cluster(secrets), program, replace(wanted, on_pending="rollback"))
    assert [call[:3] for call in program.calls] == [["rollback", "mini", "1"]]
    assert plan.result["release"]["revision"] == 3


# Subcharts, random values, a post-renderer

SUBCHART = "charts/sub/Chart.yaml"


def test_an_unchanged_chart_with_subcharts_costs_no_process(
    record: dict, chart_folder: Path, wanted: ReleaseOptions
) -> None:
    (chart_folder / SUBCHART).parent.mkdir(parents=True)
    (chart_folder / SUBCHART).write_text("apiVersion: v2\nname: sub\nversion: 1.0.0\n")
    digest = charts.content_digest(charts.load(str(chart_folder)))
    noted = revision(record, 1, "deployed", {release.CHART_LABEL: f"1.{digest}"})
    kube, program = Cluster([noted]), Program()
    plan = run(kube, program, wanted)
    assert (plan.changed, program.calls, kube.calls) == (False, [], 1)
    carried = revision(record, 2, "deployed", {release.CHART_LABEL: f"1.{digest}"})
    assert run(Cluster([carried]), program, wanted, check_mode=True).result["helm_processes"] == 1


def test_what_is_installed_is_noted(chart_folder: Path, wanted: ReleaseOptions) -> None:
    program = Program()
    run(Cluster(), program, replace(wanted, create_namespace=True, labels={"team": "a"}))
    digest = charts.content_digest(charts.load(str(chart_folder)))
    for call in program.calls:
        assert [word for word in call if word.startswith("--labels")] == [
            "--labels=team=a",
            f"--labels=orion.tracing/chart=1.{digest}",
        ]


def test_a_chart_with_random_values_is_not_rendered_when_unchanged(record: dict, wanted: ReleaseOptions) -> None:
    """What helm makes of randAlphaNum, or of lookup, differs at each rendering: only the record says what is there."""
    template = b'stringData: {a: {{ randAlphaNum 9 }}, b: {{ lookup "v1" "Secret" "x" "y" }}}'
    (Path(wanted.source.chart_ref) / "templates" / "random.yaml").write_bytes(template)
    document = release.decode(record["data"]["release"])["chart"]
    stored = {"name": "templates/random.yaml", "data": base64.b64encode(template).decode()}
    known = revision(record, 1, "deployed", chart={**document, "templates": [*document["templates"], stored]})
    program = Program()
    assert not run(Cluster([known]), program, wanted).changed
    assert program.calls == []


def test_a_post_renderer_costs_one_process_each_time(record: dict, wanted: ReleaseOptions) -> None:
    rendered = revision(record, 1, "deployed", manifest=MANIFEST, hooks=[])
    plan = run(Cluster([rendered]), Program(), replace(wanted, post_renderer="p"))
    assert (plan.changed, plan.result["helm_processes"], plan.result["api_calls"]) == (False, 1, 1)


# Charts from elsewhere

SOURCE = Source("mini", "https://charts.example.com", "0.1.0")


@pytest.fixture
def remote(wanted: ReleaseOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseOptions:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return replace(wanted, source=SOURCE)


class Repository(Program):
    """Plays helm, and a repository that holds the chart."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.package = charts.archive(charts.load(str(folder)), {})

    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
        if argv[1] == "pull":
            self.calls.append(argv[1:])
            (Path(argv[argv.index("--destination") + 1]) / "mini-0.1.0.tgz").write_bytes(self.package)
            return Answer(0, "", "")
        return super().__call__(argv, env, stdin, seconds)


def test_a_pinned_chart_that_is_unchanged_downloads_nothing(record: dict, remote: ReleaseOptions) -> None:
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, remote)
    assert (plan.changed, program.calls, kube.calls) == (False, [], 1)


def test_a_chart_from_elsewhere_is_downloaded_once(record: dict, remote: ReleaseOptions, chart_folder: Path) -> None:
    helm = Repository(chart_folder)
    plan = run(Cluster([record]), helm, replace(remote, values={}))
    assert [call[0] for call in helm.calls] == ["pull", "upgrade", "upgrade"]
    assert plan.result["helm_processes"] == 3
    assert helm.calls[2][2].endswith(".tgz")
    again = Repository(chart_folder)
    run(Cluster([record]), again, replace(remote, values={}))
    assert [call[0] for call in again.calls] == ["upgrade", "upgrade"]


def test_nothing_is_downloaded_for_a_release_that_may_not_be_touched(record: dict, remote: ReleaseOptions) -> None:
    program = Program()
    with pytest.raises(Conflict):
        run(Cluster([relabelled(record, "pending-upgrade")]), program, remote)
    with pytest.raises(NotFound):
        run(Cluster(), program, remote)
    assert program.calls == []


def test_a_packaged_chart_is_verified_before_it_is_rendered(
    record: dict, wanted: ReleaseOptions, chart_folder: Path
) -> None:
    package = chart_folder.parent / "mini.tgz"
    package.write_bytes(charts.archive(charts.load(str(chart_folder)), {}))
    wanted = replace(wanted, source=Source(str(package), verify=True, keyring="/ring"))
    program = Program()
    assert not run(Cluster([record]), program, wanted).changed
    assert program.calls == []
    program = Program({"verify": "no signature"})
    with pytest.raises(ToolError, match=r"the signature of mini\.tgz is not valid: no signature"):
        run(Cluster([record]), program, replace(wanted, values={}))
    assert program.calls == [["verify", str(package), "--keyring", "/ring"]]


# Definitions of custom resources

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ws.e.com"},
    "spec": {"group": "e.com", "names": {"kind": "W"}, "versions": [{"name": "v1"}]},
}


@pytest.fixture
def crd_chart(chart_folder: Path, record: dict) -> dict:
    """The chart with a definition, and the record of it."""
    (chart_folder / "crds").mkdir()
    (chart_folder / "crds" / "w.json").write_text(json.dumps(CRD))
    document = release.decode(record["data"]["release"])["chart"]
    stored = {"name": "crds/w.json", "data": base64.b64encode(json.dumps(CRD).encode()).decode()}
    return revision(record, 1, "deployed", chart={**document, "files": [*(document["files"] or []), stored]})


def test_definitions_that_are_unchanged_cost_one_list(crd_chart: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([crd_chart]), Program()
    kube.documents["customresourcedefinitions"] = {"items": [CRD]}
    plan = run(kube, program, replace(wanted, upgrade_crds=True))
    assert (plan.changed, program.calls, kube.calls) == (False, [], 2)
    assert run(Cluster([crd_chart]), program, wanted).result["api_calls"] == 1


def test_definitions_that_differ_are_applied_without_helm(crd_chart: dict, wanted: ReleaseOptions) -> None:
    old = {**CRD, "spec": {**CRD["spec"], "versions": [{"name": "v0"}]}}
    established = {**CRD, "status": {"conditions": [{"type": "Established", "status": "True"}]}}
    kube, program = Cluster([crd_chart], **{"ws.e.com": Response(200, {}, json.dumps(established).encode())}), Program()
    kube.documents["customresourcedefinitions"] = {"items": [old]}
    checked = run(kube, program, replace(wanted, upgrade_crds=True), check_mode=True)
    assert set(kube.methods) == {"GET"}
    plan = run(kube, program, replace(wanted, upgrade_crds=True))
    assert [step.name for step in plan.steps] == [step.name for step in checked.steps] == ["apply CRD ws.e.com"]
    assert kube.log[-1] == ("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ws.e.com")
    assert kube.queries[-1] == {"fieldManager": "orion.tracing", "force": "true"}
    assert kube.bodies == [CRD]
    assert program.calls == []


def test_a_first_install_with_definitions(crd_chart: dict, wanted: ReleaseOptions) -> None:
    program = Program()
    run(Cluster(namespace={"metadata": {}}), program, wanted, check_mode=True)
    assert program.calls[0][0] == "template"
    assert "e.com/v1/W" in program.calls[0]
    forbidden = {"customresourcedefinitions": Response(403, {}, b"")}
    run(Cluster(namespace={"metadata": {}}, **forbidden), program, wanted, check_mode=True)
    with pytest.raises(PermissionDenied):
        run(Cluster(namespace={"metadata": {}}, **forbidden), program, replace(wanted, upgrade_crds=True))
    kube = Cluster(namespace={"metadata": {}})
    program = Program()
    run(kube, program, replace(wanted, skip_crds=True), check_mode=True)
    assert program.calls[0][0] == "upgrade"
    assert "customresourcedefinitions" not in str(kube.log)


# Back to a revision, drift, tests


def test_rollback_to_costs_one_list_and_one_process(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Cluster([revision(record, 1, "superseded"), revision(record, 2, "deployed", config={})]), Program()
    back = ReleaseOptions("mini", "hfix", rollback_to=1)
    checked = run(kube, program, back, check_mode=True)
    assert (program.calls, checked.changed) == ([], True)
    plan = run(kube, program, back)
    assert [call[:3] for call in program.calls] == [["rollback", "mini", "1"]]
    assert (plan.result["helm_processes"], kube.calls) == (1, 2)
    assert plan.result.keys() == checked.result.keys()
    unchanged = run(Cluster([revision(record, 1, "superseded"), revision(record, 2, "deployed")]), program, back)
    assert (unchanged.changed, unchanged.result["helm_processes"], unchanged.result["api_calls"]) == (False, 0, 1)


def test_a_rollback_that_helm_3_cannot_force(record: dict) -> None:
    program = Program(version="v3.22.0")
    newer = revision(record, 2, "deployed", config={})
    with pytest.raises(InvalidInput, match="force_conflicts"):
        run(
            Cluster([record, newer]),
            program,
            ReleaseOptions("mini", "hfix", rollback_to=1, force_conflicts=True),
            check_mode=True,
        )
    assert [call[0] for call in program.calls] == ["version"]


def test_options_that_only_matter_for_a_change_cost_nothing_without_one(record: dict, wanted: ReleaseOptions) -> None:
    wanted = replace(wanted, force_conflicts=True, rollback_on_failure=True, take_ownership=True, description="d")
    kube, program = Cluster([record]), Program()
    plan = run(kube, program, replace(wanted, wait_for_jobs=True, test=True, skip_crds=True))
    assert (plan.changed, program.calls, kube.calls) == (False, [], 1)


def drifting(monkeypatch: pytest.MonkeyPatch, *found: drift.Drifted) -> None:
    monkeypatch.setattr(drift, "survey", lambda *_, **__: drift.DriftReport(list(found)))


MISSING = drift.Drifted(
    Key("manifest", "", "ConfigMap", "hfix", "c"), "missing", {"kind": "ConfigMap", "metadata": {"name": "c"}}
)


@pytest.mark.parametrize(("method", "processes"), [("ssa", ["version", "rollback"]), ("", ["rollback"])])
def test_drift_costs_at_most_two_processes(
    record: dict, wanted: ReleaseOptions, monkeypatch: pytest.MonkeyPatch, method: str, processes: list[str]
) -> None:
    drifting(monkeypatch, MISSING)
    known, program = revision(record, 1, "deployed", apply_method=method), Program()
    checked = run(Cluster([known]), program, replace(wanted, drift="repair"), check_mode=True)
    reported = run(Cluster([known]), program, replace(wanted, drift="report"))
    assert ([step.name for step in checked.steps], reported.changed, program.calls) == (["repair drift"], False, [])
    plan = run(Cluster([known]), program, replace(wanted, drift="repair"))
    assert [call[0] for call in program.calls] == processes
    assert "--no-hooks" in program.calls[-1]
    assert ("--force-conflicts" in program.calls[-1]) == bool(method)
    assert plan.result["drift"] == reported.result["drift"] == checked.result["drift"]
    assert plan.result["drift"][0]["action"] == "missing"


def test_custom_resources_are_put_back_without_a_process(
    record: dict, wanted: ReleaseOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"apiVersion": "e.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": 1}}
    key, url = Key("manifest", "e.com", "Widget", "hfix", "w"), "/apis/e.com/v1/namespaces/hfix/widgets/w"
    drifting(monkeypatch, drift.Drifted(key, "changed", document, url))
    kube, program = Cluster([revision(record, 1, "deployed", apply_method="")]), Program()
    plan = run(kube, program, replace(wanted, drift="repair"))
    assert (plan.changed, program.calls, kube.log[-1], kube.bodies) == (True, [], ("PATCH", url), [document])
    assert kube.queries[-1] == {"fieldManager": "helm", "force": "true"}


def test_a_custom_resource_is_put_back_without_helm_3(
    record: dict, wanted: ReleaseOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    custom = {"apiVersion": "e.com/v1", "kind": "W", "metadata": {"name": "w"}, "spec": {"a": 1}}
    path = "/apis/e.com/v1/namespaces/hfix/ws/w"
    found = drift.Drifted(
        Key("manifest", "e.com", "W", "hfix", "w"), "changed", custom, path, (Difference(("spec", "a"), 1, 2),)
    )
    drifting(monkeypatch, found)
    kube, program = Cluster([revision(record, 1, "deployed", apply_method="")]), Program()
    plan = run(kube, program, replace(wanted, drift="repair"))
    assert (plan.changed, program.calls, kube.log[-1]) == (True, [], ("PATCH", path))


def test_no_drift_costs_no_process(record: dict, wanted: ReleaseOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    drifting(monkeypatch)
    program = Program()
    plan = run(Cluster([record]), program, replace(wanted, drift="repair"))
    assert (plan.changed, plan.result["drift"], program.calls) == (False, [], [])
    first = run(Cluster(), program, replace(wanted, drift="repair", create_namespace=True), check_mode=True)
    assert first.result["drift"] == []
    assert "drift" not in run(Cluster([record]), program, wanted).result


TEST_HOOK = """
---
apiVersion: v1
kind: Pod
metadata: {name: web-test, annotations: {helm.sh/hook: test}}
"""


class WithTests(Program):
    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
        answer = super().__call__(argv, env, stdin, seconds)
        if argv[1] == "test":
            phase = "Failed" if answer.code else "Succeeded"
            out = f"TEST SUITE: web-test\nPhase: {phase}\nPOD LOGS: web-test\nuser-password no\n"
            return Answer(answer.code, out, answer.err)
        document = json.loads(answer.out)
        return Answer(0, json.dumps({**document, "hooks": [{"manifest": TEST_HOOK}]}), "")


def test_a_test_after_the_upgrade_is_one_more_process(record: dict, wanted: ReleaseOptions) -> None:
    wanted = replace(wanted, test=True)
    program = WithTests()
    plan = run(Cluster([record]), program, replace(wanted, values={"password": "user-password"}))
    assert [call[0] for call in program.calls] == ["upgrade", "upgrade", "test"]
    assert plan.result["test"] == [{"name": "web-test", "phase": "Succeeded", "log": "******** no"}]
    assert run(Cluster([record]), WithTests(), wanted).result["test"] == []
    checked = run(Cluster([record]), WithTests(), replace(wanted, values={}), check_mode=True)
    assert ([step.name for step in checked.steps], checked.result["test"]) == (["upgrade", "test"], [])


def test_a_test_that_fails_says_why(record: dict, wanted: ReleaseOptions) -> None:
    kube = Cluster([record])
    ended = {"name": "main", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    pod = {"metadata": {"name": "web-test"}, "status": {"phase": "Failed", "containerStatuses": [ended]}}
    kube.documents["pods"] = {"items": [pod]}
    with pytest.raises(PartialFailure) as caught:
        run(
            kube, WithTests({"test": "pod web-test failed"}), replace(wanted, test=True, values={"password": "new-one"})
        )
    error = caught.value
    assert (error.details["done"], error.details["failed"]) == (["upgrade"], "test")
    assert error.details["test"][0]["phase"] == "Failed"
    assert "pod web-test failed\nPod web-test: container main: (last exit code 3, Error)" in str(error)
    assert "web-test: ******** no" in str(error)


# The API server goes away, or somebody else comes


class Restarting(Cluster):
    """Does not answer /readyz at first."""

    silent = 2

    def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
        if path == "/readyz" and self.silent:
            self.silent -= 1
            self.calls += 1
            if self.silent:
                raise Unreachable("no answer")
            return Response(503, {}, b"")
        return super().send(method, path, query, body, headers, timeout)


class Losing(Program):
    """Loses the API server once, in the step that is said, and leaves what a killed helm leaves."""

    def __init__(self, kube: Cluster, when: str, left: list[dict]) -> None:
        super().__init__()
        self.kube, self.when, self.left = kube, when, left

    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
        answer = super().__call__(argv, env, stdin, seconds)
        dry = "dry" if "--dry-run=server" in argv else argv[1]
        if dry == self.when:
            self.when = ""
            self.kube.documents["secrets"] = {"items": self.left}
            return Answer(1, "", "Error: UPGRADE FAILED: http2: client connection lost")
        return answer


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PAUSE_SECONDS", 0)


@pytest.mark.usefixtures("patient")
def test_what_a_lost_server_left_behind_is_recovered_once(record: dict, wanted: ReleaseOptions) -> None:
    kube = Restarting([record])
    program = Losing(kube, "upgrade", [record, revision(record, 2, "pending-upgrade", config={"a": 1})])
    plan = run(kube, program, replace(wanted, values={"a": 1}, on_failed="fail"))
    assert [call[0] for call in program.calls] == ["upgrade", "upgrade", "template", "rollback", "upgrade"]
    assert [step.name for step in plan.steps] == ["upgrade", "roll back to revision 1", "upgrade"]
    assert "went away" in plan.warnings[0]
    assert plan.result["objects"]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("when", ["upgrade", "dry"])
def test_what_another_run_is_making_is_left_to_it(record: dict, wanted: ReleaseOptions, when: str) -> None:
    kube = Restarting([record])
    program = Losing(kube, when, [record, revision(record, 2, "pending-upgrade", config={"a": 2})])
    with pytest.raises(Conflict, match="another helm operation is running"):
        run(kube, program, replace(wanted, values={"a": 1}))
    assert "rollback" not in [call[0] for call in program.calls]


@pytest.mark.usefixtures("patient")
def test_a_rollback_in_which_the_server_was_lost_is_ours(record: dict, wanted: ReleaseOptions) -> None:
    pending = revision(record, 2, "pending-upgrade")
    kube = Restarting([record, pending])
    lost = revision(record, 3, "pending-rollback", info={"status": "pending-rollback", "description": "Rollback to 1"})
    program = Losing(kube, "rollback", [record, pending, lost])
    plan = run(kube, program, replace(wanted, on_pending="rollback", values={"a": 1}))
    assert [call[0] for call in program.calls] == ["template", "rollback", "template", "rollback", "upgrade"]
    assert "went away" in plan.warnings[0]


REFUSED = (
    'UPGRADE FAILED: services "web" is forbidden: User "u" cannot get resource "services/status" in API group ""'
    ' in the namespace "hfix"'
)


class Deciding(Cluster):
    """Answers access reviews: a status to answer, or whether the access is allowed."""

    def __init__(self, secrets: list[dict], *reviews: int | bool) -> None:
        super().__init__(secrets)
        self.reviews = list(reviews)

    def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
        if path != runs.ACCESS_REVIEWS:
            return super().send(method, path, query, body, headers, timeout)
        self.bodies.append(json.loads(body))
        review = self.reviews.pop(0)
        if review in (403, 500):
            return Response(review, {}, b'{"message": "no"}')
        return Response(201, {}, json.dumps({"status": {"allowed": review}}).encode())


class RefusedOnce(Program):
    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
        answer = super().__call__(argv, env, stdin, seconds)
        if "--dry-run=server" not in argv and len(self.calls) == 2:
            return Answer(1, "", f"Error: {REFUSED}")
        return answer


@pytest.mark.usefixtures("patient")
def test_a_server_that_had_not_read_its_roles(record: dict, wanted: ReleaseOptions) -> None:
    kube = Deciding([record], 403, True)
    program = RefusedOnce()
    plan = run(kube, program, replace(wanted, values={"a": 1}))
    assert [call[0] for call in program.calls] == ["upgrade"] * 4
    assert plan.result["release"]["revision"] == 7
    reviews = [body for body in kube.bodies if body["kind"] == "SelfSubjectAccessReview"]
    assert reviews[0]["spec"]["resourceAttributes"] == {
        "verb": "get",
        "resource": "services",
        "subresource": "status",
        "group": "",
        "namespace": "hfix",
    }


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("review", [False, 403, 500])
def test_a_right_that_is_missing(
    record: dict, wanted: ReleaseOptions, monkeypatch: pytest.MonkeyPatch, review: int | bool
) -> None:
    monkeypatch.setattr(runs, "ROLES_SECONDS", -1)
    program = Program({"upgrade": REFUSED})
    with pytest.raises(ToolError, match='User "u" cannot get resource'):
        run(Deciding([record], review), program, replace(wanted, values={"a": 1}))
    assert len(program.calls) == 2


@pytest.mark.usefixtures("patient")
def test_a_server_that_is_lost_while_rendering(record: dict, wanted: ReleaseOptions) -> None:
    kube = Restarting([record])
    program = Losing(kube, "dry", [record])
    plan = run(kube, program, replace(wanted, values={"a": 1}))
    assert [call[0] for call in program.calls] == ["upgrade"] * 3
    assert plan.warnings == []


@pytest.mark.usefixtures("patient")
def test_what_was_done_all_the_same_is_not_done_again(record: dict, wanted: ReleaseOptions) -> None:
    kube = Restarting([record])
    program = Losing(kube, "upgrade", [revision(record, 2, "deployed", config={"a": 1})])
    plan = run(kube, program, replace(wanted, values={"a": 1}))
    assert [call[0] for call in program.calls] == ["upgrade", "upgrade"]
    assert plan.changed
    assert plan.result["release"]["revision"] == 2


def test_a_server_that_does_not_come_back(
    record: dict, wanted: ReleaseOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(runs, "BACK_SECONDS", 0)
    kube = Restarting([record])
    kube.silent = 10**6
    with pytest.raises(ServerLost, match="client connection lost"):
        run(kube, Losing(kube, "upgrade", [record]), replace(wanted, values={"a": 1}))


@pytest.mark.usefixtures("patient")
def test_a_server_that_goes_away_again(record: dict, wanted: ReleaseOptions) -> None:
    kube, program = Restarting([record]), Program({"upgrade": "Get https://x: connection refused"})
    with pytest.raises(ServerLost):
        run(kube, program, replace(wanted, values={"a": 1}))
    assert len(program.calls) == 4


@pytest.mark.parametrize(
    "message",
    [
        'create: failed to create: secrets "sh.helm.release.v1.mini.v2" already exists',
        "UPGRADE FAILED: release: already exists",
    ],
)
def test_another_run_that_won(record: dict, wanted: ReleaseOptions, message: str) -> None:
    kube, program = Cluster([record]), Program({"upgrade": message})
    with pytest.raises(Conflict, match="another run is working on this release, or has just changed it"):
        run(kube, program, replace(wanted, values={"a": 1}))
    assert len(program.calls) == 2
    assert len(kube.apart) == 1  # the pods are the other run's


@pytest.mark.parametrize("values", [None, {"a": 1}])
def test_a_record_that_is_being_deleted(record: dict, wanted: ReleaseOptions, values: dict | None) -> None:
    record["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    program = Program()
    with pytest.raises(Conflict, match="the record of release hfix/mini is being deleted"):
        run(Cluster([record]), program, wanted if values is None else replace(wanted, values=values))
    assert not program.calls


def test_a_rolled_back_upgrade_says_what_serves(record: dict, wanted: ReleaseOptions) -> None:
    kube = Cluster([record])

    class Failing(Program):
        def __call__(self, argv, env, stdin, seconds, interrupt=None) -> Answer:
            if "--rollback-on-failure" in argv:
                info = {"status": "deployed", "description": "Rollback to 1"}
                kube.documents["secrets"] = {"items": [revision(record, 3, "deployed", info=info)]}
                return Answer(1, "", "Error: UPGRADE FAILED: release mini failed, and has been rolled back")
            return super().__call__(argv, env, stdin, seconds)

    with pytest.raises(ToolError, match=r"is now at revision 3, deployed \(Rollback to 1\)") as caught:
        run(kube, Failing(), replace(wanted, values={}, rollback_on_failure=True))
    assert caught.value.details["release"]["description"] == "Rollback to 1"


def test_a_record_that_is_too_large_is_refused_before_anything_is_written(wanted: ReleaseOptions) -> None:
    noise = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=1_500_000))
    kube, program = Cluster(), Program()
    with pytest.raises(InvalidInput, match=r"is too large: its record takes .*the values \("):
        run(kube, Large(program, noise), replace(wanted, create_namespace=True))
    assert set(kube.methods) == {"GET"}
    assert len(program.calls) == 1


class Large:
    def __init__(self, program: Program, noise: str) -> None:
        self.program, self.noise = program, noise

    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
        document = json.loads(self.program(argv, env, stdin, seconds).out)
        return Answer(0, json.dumps({**document, "config": {"noise": self.noise}}), "")


def test_the_password_of_a_repository_is_hidden_in_errors(record: dict, remote: ReleaseOptions) -> None:
    remote = replace(remote, source=replace(SOURCE, repo_username="u", repo_password="hunter22"), values={})
    program = Program({"repo": "401: hunter22 is wrong"})
    with pytest.raises(TracingError) as caught:
        run(Cluster([record]), program, remote)
    assert "hunter22" not in str(caught.value) + str(caught.value.details) + str(program.calls)


# Images that cannot be pulled

UNPULLED = {
    "metadata": {"name": "web-1", "labels": {"app": "web"}, "creationTimestamp": "9999-01-01T00:00:00Z"},
    "spec": {"containers": [{"name": "c", "image": "h/x:9"}], "imagePullSecrets": [{"name": "gone"}]},
    "status": {
        "containerStatuses": [
            {"name": "c", "state": {"waiting": {"reason": "ErrImagePull", "message": "401 Unauthorized"}}}
        ]
    },
}


class Waiting(Program):
    """Plays a helm that waits, and is asked to stop where the pods say that it waits in vain."""

    def __call__(self, argv, env, stdin, seconds, interrupt=None) -> Answer:
        answer = super().__call__(argv, env, stdin, seconds)
        if interrupt is None or not interrupt():
            return answer
        return Answer(1, "Release mini has been cancelled.", "Error: UPGRADE FAILED: context canceled")


def test_helm_is_stopped_where_an_image_will_never_be_pulled(record: dict, wanted: ReleaseOptions) -> None:
    kube = Cluster([record])
    kube.documents |= {"pods": {"items": [UNPULLED]}, "gone": None}
    with pytest.raises(ToolError) as caught:
        run(kube, Waiting(), replace(wanted, values={}))
    message = str(caught.value)
    assert message.startswith(
        "image h/x:9 cannot be pulled, since the registry rejects the credentials: 401 Unauthorized"
    )
    assert "There is no Secret gone in namespace hfix" in message
    assert "canceled" not in message
    assert caught.value.details["helm_exit_code"] == 1
    assert caught.value.details["release"]["revision"] == 1
    assert len(caught.value.details["not_ready"]) == 1
    assert [path.rpartition("/")[2] for _method, path in kube.apart] == ["secrets", "pods", "events", "secrets", "gone"]


def test_a_look_costs_one_request_where_all_is_well(record: dict, wanted: ReleaseOptions) -> None:
    kube = Cluster([record])
    plan = run(kube, Waiting(), replace(wanted, values={}))
    assert (plan.result["helm_processes"], plan.result["api_calls"]) == (2, 2 + DRY_RUNS)
    assert kube.queries[-1] == {"fieldSelector": "status.phase=Pending"}


def test_nobody_looks_where_nobody_waits(record: dict, wanted: ReleaseOptions) -> None:
    kube = Cluster([record])
    kube.documents["pods"] = {"items": [UNPULLED]}
    assert run(kube, Waiting(), replace(wanted, values={}, wait=False)).result["api_calls"] == 1 + DRY_RUNS


# A number of replicas that goes to an autoscaler, and comes back

FIXED = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 3}
"""
SCALED = """# rendered by helm v4.3.1
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 5}
"""
KEPT = "keep the number of replicas of Deployment hfix/web"


class Rendering(Program):
    """Renders a manifest of the test's."""

    def __init__(self, manifest: str, version: str = "v4.3.1") -> None:
        super().__init__(version=version)
        self.manifest = manifest

    def __call__(self, argv: list[str], *args: Any, **more: Any) -> Answer:
        answer = super().__call__(argv, *args, **more)
        if argv[1] != "upgrade":
            return answer
        document = {**json.loads(answer.out), "manifest": self.manifest.replace("v4.3.1", self.version)}
        return Answer(0, json.dumps(document), "")


def scaling(record: dict, manifest: str, method: str, **more: Any) -> Cluster:
    kube = Cluster([revision(record, 1, "deployed", manifest=manifest, hooks=[], apply_method=method)], **more)
    kube.documents["web"] = {"metadata": {"name": "web", "uid": "u"}, "spec": {"replicas": 4}}
    return kube


def test_the_number_that_an_autoscaler_takes_over_is_kept(record: dict, wanted: ReleaseOptions) -> None:
    wanted = replace(wanted, values={})
    kube, program = scaling(record, FIXED, "ssa"), Rendering(SCALED)
    checked = run(kube, program, wanted, check_mode=True)
    assert [step.name for step in checked.steps] == [KEPT, "upgrade"]
    assert all(query.get("dryRun") for query, method in zip(kube.queries, kube.methods, strict=True) if method != "GET")
    asked = kube.calls

    kube, program = scaling(record, FIXED, "ssa"), Rendering(SCALED)
    plan = run(kube, program, wanted)
    assert ([step.name for step in plan.steps], plan.warnings) == ([KEPT, "upgrade"], [])
    path = "/apis/apps/v1/namespaces/hfix/deployments/web"
    assert kube.log[asked:] == [("GET", "/apis"), ("GET", path), ("PATCH", path)]
    assert kube.queries[-1] == {"fieldManager": "orion.tracing/replicas", "force": "true"}
    assert kube.bodies[-1]["spec"] == {"replicas": 4}
    assert "--force-conflicts" not in program.calls[-1]


@pytest.mark.parametrize(("method", "version"), [("", "v3.22.0"), ("csa", "v4.3.1"), ("ssa", "v3.22.0")])
def test_where_the_client_applies_the_loss_of_pods_is_a_warning(
    record: dict, wanted: ReleaseOptions, method: str, version: str
) -> None:
    kube = scaling(record, FIXED, method)
    plan = run(kube, Rendering(SCALED, version), replace(wanted, values={}))
    assert [step.name for step in plan.steps] == ["upgrade"]
    assert len(plan.warnings) == 1
    assert plan.warnings[0].startswith("Deployment hfix/web will have one pod until its autoscaler's first look")
    assert all(query.get("dryRun") for query, method in zip(kube.queries, kube.methods, strict=True) if method != "GET")


def test_a_rollback_to_an_autoscaler_keeps_the_number(record: dict) -> None:
    revisions = [
        revision(record, 1, "superseded", manifest=SCALED, hooks=[], apply_method="ssa"),
        revision(record, 2, "deployed", manifest=FIXED, hooks=[], apply_method="ssa"),
    ]
    kube, program = Cluster(revisions), Program()
    kube.documents["web"] = {"metadata": {"name": "web", "uid": "u"}, "spec": {"replicas": 4}}
    plan = run(kube, program, ReleaseOptions("mini", "hfix", rollback_to=1))
    assert [step.name for step in plan.steps] == [KEPT, "roll back to revision 1"]
    assert kube.bodies[-1]["spec"] == {"replicas": 4}


def test_a_number_that_is_taken_back_is_forced(record: dict, wanted: ReleaseOptions) -> None:
    class Owned(Cluster):
        """The autoscaler owns the number."""

        def send(self, method, path, query=None, body=None, headers=None, timeout=30.0) -> Response:
            answer = super().send(method, path, query, body, headers, timeout)
            if method != "PATCH" or (query or {}).get("force") == "true":
                return answer
            cause = {"message": 'conflict with "kube-controller-manager"', "field": ".spec.replicas"}
            status = {"message": "Apply failed with 1 conflict", "details": {"causes": [cause]}}
            return Response(409, {}, json.dumps(status).encode())

    secret = revision(record, 1, "deployed", manifest=SCALED, hooks=[], apply_method="ssa")
    kube, program = Owned([secret]), Rendering("# rendered by helm v4.3.1\n---\n" + FIXED)
    plan = run(kube, program, replace(wanted, values={}))
    assert [step.name for step in plan.steps] == ["upgrade"]
    assert program.calls[-1][-1] == "--force-conflicts"
    assert [one["action"] for one in plan.result["objects"]] == ["update", "delete"]
    assert kube.calls == 1 + 1 + 2  # the record, discovery, two dry runs
    # Back to that revision by a rollback.
    older = revision(record, 1, "superseded", manifest=FIXED, hooks=[], apply_method="ssa")
    newer = revision(record, 2, "deployed", manifest=SCALED, hooks=[], apply_method="ssa")
    program = Program()
    run(Owned([older, newer]), program, ReleaseOptions("mini", "hfix", rollback_to=1))
    assert program.calls[-1][0] == "rollback"
    assert program.calls[-1][-1] == "--force-conflicts"
