# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""helm_release against a real API server, with the helm binaries of both majors (ORION_HELM, ORION_HELM3)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from helm_lab import MAJORS, NAME, Lab, Outcome, laboratory, write_chart

LABEL = "pod-security.kubernetes.io/enforce"
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: mini\nversion: 0.1.0\nappVersion: '1'\n",
    "values.yaml": "message: hello\npassword: default-password\nimage: ''\n",
    "values.schema.json": json.dumps(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "additionalProperties": False,
            "properties": {
                "message": {"type": "string"},
                "password": {"type": "string", "maxLength": 20},
                "image": {"type": "string"},
                "sub": {"type": "object"},
                "global": {"type": "object"},
            },
        }
    ),
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: mini}
data: {message: {{ .Values.message | quote }}, kubernetes: {{ .Capabilities.KubeVersion.Version }}}
---
apiVersion: v1
kind: Secret
metadata: {name: mini}
stringData: {password: {{ .Values.password | quote }}}
{{- with .Values.image }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mini}
spec:
  selector: {matchLabels: {app: mini}}
  template:
    metadata: {labels: {app: mini}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: main
          image: {{ . }}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
{{- end }}
""",
}


IMAGE = "docker.io/chrislusf/seaweedfs:4.48"  # every local cluster has it; there is no shell in it
WIDGET = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.%s.example.com, creationTimestamp: null}
spec:
  group: %s.example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {%s: {type: string}}}}
status: {conditions: [], storedVersions: []}
"""
# A subchart with a definition of its own, values that differ at each rendering, and a test.
RICH = {
    "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
    "charts/sub/templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub}\n",
    "templates/random.yaml": """
apiVersion: v1
kind: Secret
metadata: {name: random}
stringData:
  random: {{ randAlphaNum 16 }}
  found: {{ (lookup "v1" "Namespace" "" "kube-system").metadata.uid }}
""",
    "templates/test.yaml": f"""
apiVersion: v1
kind: Pod
metadata: {{name: mini-test, annotations: {{helm.sh/hook: test}}}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: main
      image: {IMAGE}
      command: [weed, {{{{ .Values.message | quote }}}}]
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
""",
}


@pytest.fixture(params=MAJORS)
def lab(request: pytest.FixtureRequest, kube: Kube, state: Path, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(kube, state, tmp_path, request.param, "release") as lab:
        yield lab


@pytest.fixture
def helm(lab: Lab) -> str:
    return lab.helm


@pytest.fixture
def namespace(lab: Lab) -> str:
    return lab.namespace


@pytest.fixture
def chart(lab: Lab) -> Path:
    return Path(write_chart(lab.folder / "chart", CHART))


@pytest.fixture
def run(lab: Lab, chart: Path) -> Callable[..., Outcome]:
    def call(values: dict | None = None, flags: tuple[str, ...] = (), **options: Any) -> Outcome:
        given = {"chart": None} if "rollback_to" in options else {"chart": str(chart), "values": values or {}}
        return lab.run(flags, **{**given, "namespace_labels": {LABEL: "restricted"}, **options})

    return call


def labels(kube: Kube, namespace: str) -> dict[str, str]:
    return kube.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]


def interrupt(kube: Kube, namespace: str, status: str) -> None:
    """Leave behind what a helm that was killed leaves: one more revision, in a pending state."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    last = max(kube.list(path, f"owner=helm,name={NAME}"), key=lambda item: int(item["metadata"]["labels"]["version"]))
    document = release.decode(last["data"]["release"])
    document["version"] += 1
    document["info"]["status"] = status
    revision = str(document["version"])
    metadata = {
        "name": f"sh.helm.release.v1.{NAME}.v{revision}",
        "labels": {**last["metadata"]["labels"], "version": revision, "status": status},
    }
    body = {"type": last["type"], "metadata": metadata, "data": {"release": release.encode(document)}}
    kube.request("POST", path, body=body)


def test_the_life_of_a_release(run: Callable[..., Outcome], kube: Kube, namespace: str) -> None:
    config = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"

    planned = run({"password": "first-password"}, ("--check", "--diff"))
    assert planned.counts == (True, 1, 3)
    assert planned.actions == {"Secret": "create", "ConfigMap": "create"}
    assert f"+    {LABEL}: restricted" in planned.text
    assert f"kubernetes: {kube.version()}" in planned.text
    assert kube.get(f"/api/v1/namespaces/{namespace}") is None

    installed = run({"password": "first-password"})
    assert installed.counts == (True, 2, 4)
    foreseen = {**installed.result["release"], "updated": "", "description": ""}
    assert installed.result["release"]["description"] == "Install complete"
    assert (
        planned.result.items() <= {**installed.result, "helm_processes": 1, "api_calls": 3, "release": foreseen}.items()
    )
    assert labels(kube, namespace)[LABEL] == "restricted"
    assert kube.get(config)["data"]["message"] == "hello"

    assert run({"password": "first-password"}).counts == (False, 0, 2)
    assert run({"password": "first-password"}, namespace_labels=None).counts == (False, 0, 1)

    refused = run({"password": "much-too-long-a-password"})
    assert "/password" in refused.result["msg"]
    wrong = run({"message": 5})
    assert "at '/message': got number, want string" in wrong.result["msg"]

    changed = run({"password": "other-password", "message": "bye"})
    assert changed.counts == (True, 2, 2 + dry_runs(changed))
    assert changed.actions == {"Secret": "update", "ConfigMap": "update"}
    assert changed.result["release"]["revision"] == 2
    assert changed.after("ConfigMap")["data"]["message"] == "bye"
    assert kube.get(config)["data"]["message"] == "bye"
    for outcome in (planned, installed, refused, changed):
        for hidden in ("first-password", "much-too-long", "other-password"):
            assert hidden not in outcome.text

    kube.apply(
        f"/api/v1/namespaces/{namespace}",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {LABEL: "privileged", "x": "y"}},
        },
    )
    repaired = run({"password": "other-password", "message": "bye"})
    assert repaired.counts == (True, 0, 3)
    assert repaired.result["steps"] == [f"label namespace {namespace}"]
    assert f"{LABEL}: privileged" in repaired.result["diff"][0]["before"]
    assert labels(kube, namespace).items() >= {LABEL: "restricted", "x": "y"}.items()

    gone = run(state="absent")
    assert gone.counts == (True, 1, 1)
    assert gone.result["release"]["status"] == "absent"
    assert kube.get(config) is None
    assert run(state="absent").counts == (False, 0, 2)


def test_trouble_and_recovery(run: Callable[..., Outcome], kube: Kube, namespace: str) -> None:
    broken = run({"image": "registry.invalid/none:1"}, timeout="5s")
    assert any("registry.invalid/none:1" in line for line in broken.result["not_ready"]), broken.text
    assert broken.result["release"]["status"] == "failed"

    assert "on_failed" in run(on_failed="fail").result["msg"]
    recovered = run()
    assert (recovered.counts, recovered.actions) == ((True, 2, 2), {"Deployment": "delete"})

    interrupt(kube, namespace, "pending-upgrade")
    assert "pending-upgrade (revision 3" in run().result["msg"]
    rolled_back = run(on_pending="rollback")
    assert rolled_back.counts == (True, 1, 2)
    assert rolled_back.result["steps"] == ["roll back to revision 2"]
    assert run().counts == (False, 0, 2)

    interrupt(kube, namespace, "pending-upgrade")
    replaced = run({"message": "anew"}, on_pending="replace")
    assert replaced.result["steps"] == ["uninstall the unfinished release", "install"]
    assert replaced.result["release"]["revision"] == 1
    assert run({"message": "anew"}).counts == (False, 0, 2)


def test_content_that_only_the_label_knows(
    run: Callable[..., Outcome], chart: Path, kube: Kube, namespace: str
) -> None:
    """Subcharts are in no release record, and random values differ at each rendering: neither costs a process, or a
    change, where nothing changed."""
    write_chart(chart, {name: text for name, text in RICH.items() if "test" not in name})
    labels = {"namespace_labels": None, "labels": {"team": "tracing", "old": "1"}}
    assert run(**labels).counts[:2] == (True, 2)
    secret = f"/api/v1/namespaces/{namespace}/secrets/random"
    before = kube.get(secret)["data"]
    assert run(**labels).counts == (False, 0, 1)
    assert run(**labels, flags=("--check",)).counts == (False, 0, 1)
    assert kube.get(secret)["data"] == before

    relabelled = run(namespace_labels=None, labels={"team": "other"})
    assert relabelled.counts == (True, 2, 1 + dry_runs(relabelled))
    assert [entry["after"] for entry in relabelled.result["diff"] if "labels" in entry["after_header"]] == [
        "team: other\n"
    ]
    record = kube.get(f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{NAME}.v2")["metadata"]["labels"]
    assert {name: record.get(name) for name in ("team", "old", "status")} == {
        "team": "other",
        "old": None,
        "status": "deployed",
    }
    assert run(namespace_labels=None, labels={"team": "other"}).counts == (False, 0, 1)
    assert run(namespace_labels=None).counts == (False, 0, 1)  # labels that are not given are left alone

    write_chart(
        chart, {"charts/sub/templates/config.yaml": RICH["charts/sub/templates/config.yaml"] + "data: {a: b}\n"}
    )
    changed = run(namespace_labels=None)
    assert changed.counts == (True, 2, 1 + dry_runs(changed))
    assert "sub" in [item["name"] for item in changed.result["objects"]]
    assert run(namespace_labels=None).counts == (False, 0, 1)


def test_values_from_files(run: Callable[..., Outcome], tmp_path: Path, kube: Kube, namespace: str) -> None:
    write_chart(
        tmp_path,
        {"a.yml": "message: low\npassword: from-a-file\n", "b.yml": "message: high\n", "broken.yml": "a: 1\nb: [\n"},
    )
    files = [str(tmp_path / "a.yml"), str(tmp_path / "b.yml")]
    installed = run(values_files=files, namespace_labels=None, description="from files")
    assert installed.counts[:2] == (True, 2)
    assert installed.result["release"]["description"] == "from files"
    assert "from-a-file" not in installed.text
    config = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"
    assert kube.get(config)["data"]["message"] == "high"
    assert run(values_files=files, namespace_labels=None).counts == (False, 0, 1)
    higher = run({"message": "highest"}, values_files=files, namespace_labels=None)
    assert higher.counts == (True, 2, 1 + dry_runs(higher))
    assert kube.get(config)["data"]["message"] == "highest"
    broken = run(values_files=[str(tmp_path / "broken.yml")], namespace_labels=None)
    assert "broken.yml, line 3" in broken.result["msg"]


def test_definitions_of_custom_resources(
    run: Callable[..., Outcome], chart: Path, kube: Kube, namespace: str, request: pytest.FixtureRequest
) -> None:
    group = f"{request.node.callspec.id}-core"
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}.example.com"
    request.addfinalizer(lambda: kube.send("DELETE", path))
    kube.send("DELETE", path)
    file = "charts/sub/crds/widget.yaml"
    sub = {name: text for name, text in RICH.items() if name.startswith("charts")}
    custom = f"apiVersion: {group}.example.com/v1\nkind: Widget\nmetadata: {{name: w}}\n"
    write_chart(chart, {**sub, file: WIDGET % (group, group, "old"), "templates/custom.yaml": custom})

    installed = run(namespace_labels=None, upgrade_crds=True)
    assert installed.counts[:2] == (True, 2), installed.text
    assert [item["part"] for item in installed.result["objects"]].count("crd") == 1
    assert run(namespace_labels=None, upgrade_crds=True).counts == (False, 0, 2)

    write_chart(chart, {file: WIDGET % (group, group, "new")})
    left = run(namespace_labels=None)
    assert (left.counts, left.result["objects"]) == ((False, 1, 1), [])  # as helm does
    planned = run(namespace_labels=None, upgrade_crds=True, flags=("--check", "--diff"))
    assert re.search(r"^- +old:$", planned.text, re.MULTILINE)
    assert re.search(r"^\+ +new:$", planned.text, re.MULTILINE)
    upgraded = run(namespace_labels=None, upgrade_crds=True)
    assert upgraded.result["steps"] == planned.result["steps"] == [f"apply CRD widgets.{group}.example.com"]
    assert [(item["part"], item["action"]) for item in upgraded.result["objects"]] == [("crd", "update")]
    live = kube.get(path)
    assert list(live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]) == ["new"]
    assert not run(namespace_labels=None, upgrade_crds=True).result["changed"]

    run(state="absent")
    assert kube.get(path) is not None
    kube.send("DELETE", path)
    (chart / file).unlink()
    write_chart(chart, {"templates/custom.yaml": ""})
    without = run(namespace_labels=None)
    assert without.result.get("changed"), without.text
    write_chart(chart, {file: WIDGET % (group, group, "new"), "templates/custom.yaml": custom})
    late = run(namespace_labels=None, upgrade_crds=True)  # helm alone would not install it in an upgrade
    assert late.result["steps"] == [f"apply CRD widgets.{group}.example.com", "upgrade"], late.text


def test_back_to_a_revision(run: Callable[..., Outcome], kube: Kube, namespace: str) -> None:
    config = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"
    plain: dict[str, Any] = {"namespace_labels": None}
    run({"message": "first"}, **plain)
    run({"message": "second"}, **plain)
    assert "helm keeps 1, 2" in run(rollback_to=7, **plain).result["msg"]
    planned = run(rollback_to=1, flags=("--check", "--diff"), **plain)
    assert planned.counts == (True, 0, 1 + dry_runs(planned))
    assert "message: first" in planned.text
    back = run(rollback_to=1, **plain)
    assert back.counts == (True, 1, 1 + dry_runs(back))
    assert (back.result["release"]["revision"], back.result["release"]["description"]) == (3, "Rollback to 1")
    assert kube.get(config)["data"]["message"] == "first"
    assert run(rollback_to=1, **plain).counts == (False, 0, 1)
    assert run({"message": "first"}, **plain).counts == (False, 0, 1)


def test_tests_of_the_chart(run: Callable[..., Outcome], chart: Path) -> None:
    write_chart(chart, {"templates/test.yaml": RICH["templates/test.yaml"]})
    passed = run({"message": "version"}, test=True, namespace_labels=None)
    assert passed.counts[1] == 3, passed.text
    assert passed.result["steps"][-1] == "test"
    assert [(test["name"], test["phase"]) for test in passed.result["test"]] == [("mini-test", "Succeeded")]
    assert "version" in passed.result["test"][0]["log"]
    assert run({"message": "version"}, test=True, namespace_labels=None).counts == (False, 0, 1)

    failed = run({"message": "no-such-command"}, test=True, namespace_labels=None)
    assert failed.result["failed"]
    assert (failed.result["done"], failed.result["test"][0]["phase"]) == (["upgrade"], "Failed")
    assert "last exit code 2" in failed.result["msg"]
    assert "unknown subcommand" in failed.result["msg"]
    again = run({"message": "no-such-command"}, test=True, namespace_labels=None)
    assert again.result["failed"], "an unchanged release whose test failed must not pass"
    assert again.result["test"][0]["phase"] == "Failed"


def test_fields_that_others_changed(run: Callable[..., Outcome], helm: str, kube: Kube, namespace: str) -> None:
    config = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"
    run({"message": "first"}, namespace_labels=None)
    body = {"data": {"message": "by hand"}}
    kube.request("PATCH", config, {"fieldManager": "somebody"}, body, content_type="application/merge-patch+json")
    taken = run({"message": "second"}, namespace_labels=None)
    if "v4" in version(helm):
        assert 'conflict with "somebody"' in taken.result["msg"]
        assert "force_conflicts" in taken.result["msg"]
        assert run({"message": "second"}, namespace_labels=None, force_conflicts=True).result["changed"]
    else:
        refused = run({"message": "third"}, namespace_labels=None, force_conflicts=True)
        assert "force_conflicts is set" in refused.result["msg"]
        assert "helm 4 is needed" in refused.result["msg"]
    assert kube.get(config)["data"]["message"] == "second"

    kube.request("PATCH", config, {"fieldManager": "somebody"}, body, content_type="application/merge-patch+json")
    kube.send("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{NAME}")
    values = {"message": "second"}
    reported = run(values, namespace_labels=None, drift="report")
    assert (reported.counts[:2], [entry["action"] for entry in reported.result["drift"]]) == (
        (False, 0),
        ["missing", "changed"] if reported.result["drift"][0]["kind"] == "Secret" else ["changed", "missing"],
    )
    repaired = run(values, namespace_labels=None, drift="repair")
    assert (repaired.result["steps"], repaired.result["changed"]) == (["repair drift"], True), repaired.text
    assert kube.get(config)["data"]["message"] == "second"
    assert kube.get(f"/api/v1/namespaces/{namespace}/secrets/{NAME}") is not None
    assert run(values, namespace_labels=None, drift="repair").counts[:2] == (False, 0)
    assert run(values, namespace_labels=None).counts == (False, 0, 1)


def dry_runs(outcome: Outcome) -> int:
    """Requests for the objects that differ: discovery, of Kubernetes' core and of all else, and one for each object."""
    asked = [item for item in outcome.result["objects"] if item["part"] == "manifest" and item["action"] != "delete"]
    return len({"/" in item["api_version"] for item in asked}) + len(asked)


def version(helm: str) -> str:
    return subprocess.run([helm, "version"], capture_output=True, text=True, check=True).stdout
