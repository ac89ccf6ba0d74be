# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""helm_release when things go wrong, on a real cluster, with both majors of helm: what it says, what is left behind,
and that the next run brings the release in order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from helm_lab import (
    MAJORS,
    NAME,
    PORT,
    READY,
    SERVER,
    SERVER_CHART,
    WAITING,
    ApiServer,
    Lab,
    Running,
    laboratory,
    remove_namespace,
    wait_until,
)

# Waits before a real upgrade until $GATE/go exists, at most 20 s; $GATE/<process id> says that it waits.
GATED_HELM = """#!/bin/sh
case " $* " in
  *" --dry-run"*) ;;
  *" upgrade "*)
    : > "$GATE/$$"
    for _ in $(seq 400); do [ -e "$GATE/go" ] && break; sleep 0.05; done ;;
esac
exec "$REAL_HELM" "$@"
"""


@pytest.fixture(params=MAJORS)
def lab(request: pytest.FixtureRequest, kube: Kube, state: Path, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(kube, state, tmp_path, request.param, "faults") as lab:
        lab.chart(SERVER_CHART)
        yield lab


@pytest.fixture
def gate(lab: Lab) -> Path:
    return make_gate(lab)


def make_gate(lab: Lab) -> Path:
    """A folder for GATED_HELM, which lies beside it."""
    folder = lab.folder / "gate"
    folder.mkdir()
    script = lab.folder / "helm"
    script.write_text(GATED_HELM)
    script.chmod(0o755)
    return folder


def gated(lab: Lab, gate: Path) -> dict[str, str]:
    return {"HELM_BINARY": str(lab.folder / "helm"), "REAL_HELM": lab.helm, "GATE": str(gate)}


@pytest.mark.parametrize("on_pending", ["rollback", "replace"])
def test_helm_killed_in_mid_upgrade(lab: Lab, on_pending: str) -> None:
    assert lab.run().changed
    killed = lab.kill_helm("pending-upgrade")
    assert killed.failed
    assert "signal 9" in killed.message
    assert lab.records() == {1: "deployed", 2: "pending-upgrade"}

    refused = lab.run(values={"message": "bye"})
    assert refused.failed
    assert "pending-upgrade (revision 2" in refused.message
    assert "on_pending" in refused.message
    assert lab.records() == {1: "deployed", 2: "pending-upgrade"}

    recovered = lab.run(values={"message": "bye"}, on_pending=on_pending)
    assert recovered.changed
    steps = {
        "rollback": ["roll back to revision 1", "upgrade"],
        "replace": ["uninstall the unfinished release", "install"],
    }
    assert recovered.result["steps"] == steps[on_pending]
    assert lab.config() == {"message": "bye"}
    assert not lab.names("deployments", "apps/v1") | lab.names("services")
    assert list(lab.records().values())[-1] == "deployed"
    assert lab.run(values={"message": "bye"}, on_pending=on_pending).counts[:2] == (False, 0)


def test_helm_killed_in_the_first_install(lab: Lab) -> None:
    assert lab.kill_helm("pending-install").failed
    assert "pending-install" in lab.run().message
    recovered = lab.run(on_pending="rollback")
    assert recovered.result["steps"] == ["uninstall the unfinished release", "install"]
    assert lab.records() == {1: "deployed"}
    assert not lab.names("deployments", "apps/v1") | lab.names("services")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"image": "registry.invalid/none:1"}, "registry.invalid/none:1"),
        ({"probe": "/never"}, "Readiness probe failed"),
        ({"message": "quota"}, "exceeded quota"),
    ],
    ids=["image", "probe", "quota"],
)
def test_a_pod_that_never_becomes_ready(lab: Lab, values: dict, reason: str) -> None:
    chart = {**SERVER_CHART, "templates/extra.yaml": "{{- if ne .Values.message `hello` }}\n" + CONFIG + "{{- end }}\n"}
    lab.chart(chart)
    good = {"server": True}
    assert lab.run(values=good).changed
    if reason == "exceeded quota":
        body = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "1"}}}
        lab.kube.request("POST", lab.path("resourcequotas"), body=body)
        quota = lab.path("resourcequotas", "pods")
        wait_until(lambda: lab.kube.get(quota).get("status", {}).get("used"), "the quota is counted")

    failed = lab.run(values={"message": "worse", **good, **values}, rollback_on_failure=True, timeout="6s")
    assert failed.failed
    assert reason in failed.message
    assert any(reason in line for line in failed.result["not_ready"])
    assert list(lab.records().items())[-2:] == [(2, "failed"), (3, "deployed")]
    assert lab.config() == {"message": "hello"}
    assert lab.config("extra") is None
    served = lab.kube.proxy("services", lab.namespace, SERVER, PORT, READY)
    assert served.ok
    assert wait_until(lambda: messages(lab) == ["hello"], "only the pod of the previous revision is left")
    assert lab.run(values=good, timeout="6s").counts[:2] == (False, 0)


CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {}\n"


def messages(lab: Lab) -> list[str]:
    """What the pods of the server were made with."""
    pods = lab.kube.list(lab.path("pods"), f"app={SERVER}")
    return [pod["metadata"]["annotations"]["message"] for pod in pods]


def test_a_failed_first_install_leaves_nothing(lab: Lab) -> None:
    failed = lab.run(values=WAITING, rollback_on_failure=True, timeout="6s")
    assert failed.failed
    assert "Readiness probe failed" in failed.message
    assert lab.records() == {}
    assert lab.config() is None
    assert not lab.names("deployments", "apps/v1") | lab.names("services")
    assert wait_until(lambda: not messages(lab), "the pods are gone")


def test_two_runs_at_once(lab: Lab, gate: Path) -> None:
    slow = {"server": True, "delay": 4}
    assert lab.run(values={"message": "before"}).changed
    race(lab, gate, {**slow, "message": "one"}, {**slow, "message": "two"})


def test_two_first_installs_at_once(lab: Lab, gate: Path) -> None:
    slow = {"server": True, "delay": 4}
    race(lab, gate, {**slow, "message": "one"}, {**slow, "message": "two"})


def race(lab: Lab, gate: Path, *values: dict) -> None:
    """Both have read and rendered before either writes. One wins; the other says so, and does no harm."""
    runs = [lab.start(env=gated(lab, gate), values=one, rollback_on_failure=True) for one in values]
    wait_until(lambda: len(list(gate.iterdir())) == len(runs), "both are about to upgrade")
    (gate / "go").touch()
    wait_until(lambda: any(status.startswith("pending") for status in lab.records().values()), "one is at it")
    late = lab.run(values={"message": "late"})  # reads that somebody is at it
    assert late.failed
    assert "another helm operation is running" in late.message
    outcomes = [run.outcome() for run in runs]
    (winner,) = [number for number, outcome in enumerate(outcomes) if not outcome.failed]
    loser = outcomes[1 - winner]
    assert outcomes[winner].changed
    assert "another" in loser.message, loser.text
    assert lab.config() == {"message": values[winner]["message"]}
    wait_until(lambda: messages(lab) == [values[winner]["message"]], "the winner's pod alone is left")
    assert list(lab.records().values())[-1] == "deployed"
    assert not [status for status in lab.records().values() if status.startswith("pending") or status == "failed"]
    assert lab.run(values=values[winner]).counts[:2] == (False, 0)


def test_a_namespace_that_is_being_deleted(lab: Lab) -> None:
    held = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    path = lab.path("configmaps", "held")
    namespace = f"/api/v1/namespaces/{lab.namespace}"
    lab.kube.request("POST", "/api/v1/namespaces", body={"metadata": {"name": lab.namespace}})
    lab.kube.request("POST", lab.path("configmaps"), body=held)
    try:
        lab.kube.request("DELETE", namespace)
        refused = lab.run()
        assert refused.failed
        assert f"namespace {lab.namespace} is being deleted" in refused.message
        assert lab.records() == {}
    finally:
        patch = {"metadata": {"finalizers": None}}
        lab.kube.request("PATCH", path, body=patch, content_type="application/merge-patch+json")
    remove_namespace(lab.kube, lab.namespace)
    assert lab.run().changed


def test_a_release_in_a_namespace_that_is_being_deleted(lab: Lab) -> None:
    """The record of the release outlives the deletion for a while; an unchanged release would be no truth."""
    assert lab.run().changed
    record = lab.path("secrets", f"sh.helm.release.v1.{NAME}.v1")

    def finalizers(value: list[str] | None) -> None:
        body = {"metadata": {"finalizers": value}}
        lab.kube.request("PATCH", record, body=body, content_type="application/merge-patch+json")

    finalizers(["example.com/held"])
    try:
        lab.kube.request("DELETE", f"/api/v1/namespaces/{lab.namespace}")
        wait_until(lambda: lab.kube.get(record)["metadata"].get("deletionTimestamp"), "the record is being deleted")
        for values in ({}, {"message": "bye"}):
            refused = lab.run(values=values)
            assert refused.failed
            assert "is being deleted" in refused.message
    finally:
        finalizers(None)


def test_values_that_the_schema_refuses(lab: Lab) -> None:
    schema = {"properties": {"message": {"type": "string"}, "password": {"type": "string", "maxLength": 4}}}
    lab.chart({**SERVER_CHART, "values.schema.json": json.dumps(schema)})
    for check in (True, False):
        refused = lab.run(check=check, values={"message": 5, "password": "longer-than-four"})
        assert refused.failed
        assert "/message" in refused.message
        assert "/password" in refused.message
        assert "longer-than-four" not in refused.text
        assert lab.kube.get(f"/api/v1/namespaces/{lab.namespace}") is None


def test_a_values_file_that_is_not_yaml(lab: Lab) -> None:
    """Said before the API server or helm is asked: neither exists here."""
    file = lab.folder / "values.yaml"
    file.write_text("message: hello\npassword: hidden-value\nlist: [1, 2\nother: }\n")
    nowhere = {"K8S_AUTH_KUBECONFIG": str(lab.folder / "none"), "HELM_BINARY": str(lab.folder / "none")}
    refused = lab.run(env=nowhere, values_files=[str(file)])
    assert refused.failed
    assert f"values_files: {file}, line 4" in refused.message
    assert "not YAML" in refused.message
    assert "hidden-value" not in refused.text


def test_a_release_too_large_for_its_secret(lab: Lab) -> None:
    """A Secret holds 1 MiB, and a release record (chart, values, manifest) is one Secret."""
    bytes_of = random.Random(4).randbytes
    lab.chart({**SERVER_CHART, "files/picture": bytes_of(900_000)})
    for check in (True, False):
        refused = lab.run(check=check)
        assert refused.failed
        assert "1024 KiB" in refused.message
        assert "files/picture" in refused.message
        assert lab.kube.get(f"/api/v1/namespaces/{lab.namespace}") is None

    lab.chart({**SERVER_CHART, "files/picture": bytes_of(700_000)})
    assert lab.run().changed
    lab.chart({**SERVER_CHART, "files/picture": bytes_of(900_000)})
    assert "1024 KiB" in lab.run().message
    assert lab.records() == {1: "deployed"}


NAMED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {message: {{ .Values.message | quote }}}
"""


def test_the_api_server_restarts(kube: Kube, state: Path, tmp_path: Path) -> None:
    """One restart, because the kubelet takes its time with the next, and three runs with each helm: one whose helm
    waits for a pod, one between rendering and helm's upgrade, one that begins while the server starts. All end well."""
    with ExitStack() as stack:
        labs = []
        for major in MAJORS:
            (tmp_path / major).mkdir()
            lab = stack.enter_context(laboratory(kube, state, tmp_path / major, major, "faults"))
            lab.chart({**SERVER_CHART, "templates/config.yaml": NAMED})
            lab.chart({"templates/config.yaml": NAMED}, "small")
            labs.append(Restarted(lab, make_gate(lab)))
        for lab in labs:
            lab.start()
        server = ApiServer(kube, state)
        server.kill()
        for lab in labs:
            lab.go_on()
        server.await_start()
        for lab in labs:
            lab.start_late()
        for lab in labs:
            lab.end()


@dataclass
class Restarted:
    """The three runs of one helm."""

    lab: Lab
    gate: Path
    runs: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        small = {"chart": str(self.lab.folder / "small")}
        self.waiting = {"values": {"server": True, "delay": 8, "message": "waiting"}, "timeout": "4m"}
        self.gated = {"name": "gated", "values": {"message": "gated"}, **small}
        self.late = {"name": "late", **small}

    def start(self) -> None:
        for name in (NAME, "gated", "late"):
            assert self.lab.run(**{**self.late, "name": name}).changed
        self.runs = [self.lab.start(**self.waiting), self.lab.start(env=gated(self.lab, self.gate), **self.gated)]
        wait_until(lambda: "pending-upgrade" in self.lab.records().values(), "one is in mid-upgrade")
        wait_until(lambda: list(self.gate.iterdir()), "one is about to upgrade")

    def go_on(self) -> None:
        (self.gate / "go").touch()

    def start_late(self) -> None:
        self.runs.append(self.lab.start(**self.late))

    def end(self) -> None:
        outcomes = [run.outcome(240) for run in self.runs]
        assert [outcome.changed for outcome in outcomes] == [True, True, False]
        assert self.lab.config() == {"message": "waiting"}
        assert self.lab.config("gated") == {"message": "gated"}
        # Where helm lost the server the release was rolled back and upgraded again. Kubernetes' garbage collector lost
        # the server too, and may leave the pod of the Deployment that the rollback deleted for minutes.
        assert set(messages(self.lab)) == {"waiting"}
        status = self.lab.kube.get(self.lab.path("deployments", SERVER, "apps/v1"))["status"]
        assert (status["replicas"], status["readyReplicas"]) == (1, 1)
        for options in (self.waiting, self.gated, self.late):
            assert list(self.lab.records(options.get("name", NAME)).values())[-1] == "deployed"
            assert self.lab.run(**options).counts[:2] == (False, 0)
