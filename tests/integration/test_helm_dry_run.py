# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What helm_release foresees on a real API server, before helm writes anything, with both majors of helm: in check mode
as in a real run, and with nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from helm_lab import MAJORS, NAME, SERVER_CHART, Lab, laboratory, wait_until

STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: docker.io/chrislusf/seaweedfs:4.48}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{ .Values.size }}}}}
"""
FIELD = "orion.example.com/test"


@pytest.fixture(params=MAJORS)
def lab(request: pytest.FixtureRequest, kube: Kube, state: Path, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(kube, state, tmp_path, request.param, "foresight") as lab:
        lab.chart()
        yield lab


def patch(lab: Lab, path: str, document: dict[str, Any]) -> None:
    """Change an object as somebody else."""
    kind = "application/merge-patch+json"
    lab.kube.request("PATCH", path, {"fieldManager": "kubectl-edit"}, document, content_type=kind)


@pytest.mark.parametrize("check", [True, False])
def test_a_volume_size_that_cannot_change_is_refused(lab: Lab, check: bool) -> None:
    lab.chart({"templates/db.yaml": STATEFUL, "values.yaml": "message: hello\nsize: 1Gi\n"})
    assert lab.run().changed
    refused = lab.run(check=check, values={"size": "2Gi", "message": "bye"})
    assert refused.failed
    assert f"StatefulSet {lab.namespace}/db: " in refused.message
    assert "updates to statefulset spec" in refused.message
    assert "--cascade=orphan" in refused.message
    assert lab.records() == {1: "deployed"}
    assert lab.config() == {"message": "hello"}
    assert lab.run().counts == (False, 0, 1)


def test_fields_of_others_are_foreseen_as_conflicts_where_helm_applies_on_the_server(lab: Lab) -> None:
    assert lab.run().changed
    patch(lab, lab.path("configmaps", NAME), {"data": {"message": "by hand"}})
    changed = {"values": {"message": "bye"}}
    foreseen = lab.run(check=True, **changed)
    if lab.major == "helm3":
        assert foreseen.changed
        assert lab.run(**changed).changed
        return
    assert foreseen.failed
    assert 'conflict with "kubectl-edit"' in foreseen.message
    assert "Set force_conflicts" in foreseen.message
    assert lab.run(**changed).message == foreseen.message
    assert lab.records() == {1: "deployed"}
    assert lab.run(check=True, force_conflicts=True, **changed).changed
    assert lab.run(force_conflicts=True, **changed).changed
    assert lab.config() == {"message": "bye"}
    assert lab.run(force_conflicts=True, **changed).counts == (False, 0, 1)


def test_an_object_that_is_being_deleted_is_refused(lab: Lab) -> None:
    assert lab.run().changed
    path = lab.path("configmaps", NAME)
    patch(lab, path, {"metadata": {"finalizers": [FIELD]}})
    try:
        assert lab.run(state="absent", wait=False).changed
        assert lab.config() is not None
        for check in (True, False):
            refused = lab.run(check=check)
            assert refused.failed
            assert f"ConfigMap {lab.namespace}/{NAME}: it is being deleted" in refused.message
        assert lab.records() == {}
    finally:
        patch(lab, path, {"metadata": {"finalizers": None}})
    wait_until(lambda: lab.config() is None, "the ConfigMap is gone")
    assert lab.run().changed


def test_an_object_of_a_deployed_release_that_is_being_deleted_is_a_warning(lab: Lab) -> None:
    assert lab.run().changed
    path = lab.path("configmaps", NAME)
    patch(lab, path, {"metadata": {"finalizers": [FIELD]}})
    try:
        lab.kube.request("DELETE", path)
        told = lab.run(drift="report")
        assert not told.changed
        assert f"ConfigMap {lab.namespace}/{NAME} is being deleted since" in told.text
    finally:
        patch(lab, path, {"metadata": {"finalizers": None}})


def test_whose_an_object_was_is_in_the_diff(lab: Lab) -> None:
    assert lab.run().changed
    refused = lab.run(name="second", check=True)
    assert refused.failed
    assert "exist already and do not belong to it" in refused.message
    assert "Set take_ownership to true" in refused.message
    options: dict[str, Any] = {"name": "second", "take_ownership": True, "values": {"message": "bye"}}
    planned = lab.run(check=True, **options)
    assert planned.actions == {"ConfigMap": "update"}
    (entry,) = planned.result["diff"]
    assert entry["after_header"] == f"ConfigMap {lab.namespace}/{NAME} (taken over from release {lab.namespace}/{NAME})"
    assert yaml.safe_load(entry["before"])["data"] == {"message": "hello"}
    assert yaml.safe_load(entry["after"])["data"] == {"message": "bye"}
    taken = lab.run(**options)
    assert taken.changed and taken.actions == planned.actions
    assert lab.config() == {"message": "bye"}
    assert lab.run(**options).counts == (False, 0, 1)


def test_what_others_added_is_reported_and_removed(lab: Lab) -> None:
    assert lab.run().changed
    path = lab.path("configmaps", NAME)
    patch(lab, path, {"data": {"more": "by hand"}, "metadata": {"labels": {"team": "x"}, "annotations": {FIELD: "y"}}})
    assert lab.run(drift="report").result["drift"] == []
    options: dict[str, Any] = {"drift_added": True}
    (found,) = lab.run(drift="report", **options).result["drift"]
    assert {entry["path"]: (entry["wanted"], entry["live"], entry["manager"]) for entry in found["fields"]} == {
        "data.more": (None, "by hand", "kubectl-edit"),
        "metadata.labels.team": (None, "x", "kubectl-edit"),
        f'metadata.annotations["{FIELD}"]': (None, "y", "kubectl-edit"),
    }
    planned = lab.run(check=True, drift="repair", **options)
    assert planned.result["steps"] == [f"remove what was added to ConfigMap {NAME}"]
    assert lab.config() == {"message": "hello", "more": "by hand"}
    repaired = lab.run(drift="repair", **options)
    assert repaired.counts[:2] == (True, 0)
    live = lab.kube.get(path)
    assert live["data"] == {"message": "hello"}
    assert "team" not in live["metadata"]["labels"] and FIELD not in live["metadata"]["annotations"]
    assert lab.run(drift="repair", **options).counts[:2] == (False, 0)


def test_the_last_lines_of_a_container_that_ends_are_in_the_failure(lab: Lab) -> None:
    broken = SERVER_CHART["templates/server.yaml"].replace("[weed, master,", "[weed, master, -no-such-flag,")
    lab.chart({**SERVER_CHART, "templates/server.yaml": broken})
    failed = lab.run(values={"server": True}, timeout="20s")
    assert failed.failed
    (line,) = [line for line in failed.result["not_ready"] if "its log ends: " in line]
    assert "container main" in line and "last exit code" in line
    assert line.partition("its log ends: ")[2].strip()


def test_numbers_and_characters_that_json_and_yaml_see_differently(lab: Lab) -> None:
    lab.chart({"templates/more.yaml": SHOWN, "values.yaml": "message: hello\nextra: {}\n"})
    values = {"message": "😀𠮷\u2028", "extra": {"number": 901234567890123457}}
    installed = lab.run(values=values)
    assert installed.changed
    assert "values: extra.number is an integer that Helm rounds" in installed.text
    assert lab.config() == {"message": "😀𠮷\u2028"}
    assert lab.run(values=values).counts == (False, 0, 1)
    file = lab.folder / "values.yml"
    file.write_text(json.dumps(values, ensure_ascii=False), "utf-8")
    assert lab.run(values_files=[str(file)]).counts == (False, 0, 1)


SHOWN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
data: {extra: {{ .Values.extra | toJson | quote }}}
"""


def test_a_change_that_no_object_shows_is_in_the_diff(lab: Lab) -> None:
    assert lab.run().changed
    lab.chart({"Chart.yaml": "apiVersion: v2\nname: mini\nversion: 0.1.1\nappVersion: '1'\n"})
    planned = lab.run(check=True, values={"unused": "value-that-is-not-shown"})
    (entry,) = planned.result["diff"]
    before, after = yaml.safe_load(entry["before"]), yaml.safe_load(entry["after"])
    assert (before["chart"], after["chart"]) == ("mini 0.1.0", "mini 0.1.1")
    assert list(after["values"]) == ["unused"]
    assert "value-that" not in planned.text
