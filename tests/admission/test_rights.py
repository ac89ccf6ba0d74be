# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rights of docs/rbac.md on a real API server: they are enough, and preflight names each one that is missing."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Modes
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import ERROR
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.preflight import account as accounts
from ansible_collections.orion.tracing.plugins.module_utils.preflight import reviews, rights
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right
from ansible_collections.orion.tracing.tests.admission.conftest import DEADLINE, TOKEN, serving
from ansible_collections.orion.tracing.tests.admission.controllers import controllers
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws

ACCOUNT = accounts.Account("orion-tracing", "tracing", token=True)
USER = "system:serviceaccount:tracing:orion-tracing"
# Everything that needs rights of its own.
INVENTORY: dict[str, Any] = {
    "tracing_environment": "test",
    "tracing_cluster_name": "test",
    "object_storage_bucket": "traces",
    "object_storage_tls_only": False,
    "object_storage_access_key": "simulated",
    "object_storage_secret_key": "simulated-secret",
    "tempo_s3_credentials_secret": "tempo-s3",
    "tempo_s3_endpoint": "s3.store.svc:9000",
    "collector_metrics_enabled": True,
    "collector_remote_write_url": "http://prometheus.monitoring.svc:9090/api/v1/write",
    "collector_logs_enabled": True,
    "collector_node_agent_enabled": True,
    "collector_exporters": [
        {"name": "logs", "protocol": "http", "endpoint": "http://logs.logs.svc:4318", "traces": "none", "logs": True,
         "tls": {"insecure": True}}
    ],
    "instrumentation_workloads": [{"namespace": "shop", "name": "orders", "language": "java"}],
    "grafana_namespace": "monitoring",
    "grafana_provisioning_kind": "Secret",
    "grafana_alerts_enabled": True,
    "verify_probe_enabled": True,
    "grafana_prometheus_url": "http://prometheus.monitoring.svc:9090",
    "verify_prometheus_url": "http://prometheus.monitoring.svc:9090",
    "verify_applications": [{"namespace": "shop", "service": "gateway", "path": "/orders", "method": "POST"}],
}  # fmt: skip
ORDERS = {
    "metadata": {"name": "orders"},
    "spec": {
        "selector": {"matchLabels": {"app": "orders"}},
        "template": {
            "metadata": {"labels": {"app": "orders"}},
            "spec": {"containers": [{"name": "app", "image": "registry.example/shop:1"}]},
        },
    },
}
MODES = Modes(policy_version="admissionregistration.k8s.io/v1beta1")
# Tempo, collectors, policies, Grafana's objects and the probe; the bucket and the workload change with the first run.
CHANGED = 5
ROLES = ("collector", "instrumentation", "grafana")
# Of verify, whose other defaults only a play can look up.
VERIFY = ("verify_applications", "verify_logs_url", "verify_probe_enabled", "verify_prometheus_url")


def required() -> list[Right]:
    return rights.required(role_defaults(*ROLES, *VERIFY, **{"verify_logs_url": "", **INVENTORY}), MODES)


SINGLES = [single for right in required() for single in right.singles()]


def identifier(single: Right) -> str:
    name = f"/{single.names[0].removeprefix('opentelemetry-auto-instrumentation-')}" if single.names else ""
    return f"{single.verbs[0]}-{single.full_resource}{name}-{single.namespace or 'cluster'}".replace("/", ".")


@dataclass(frozen=True)
class Lab:
    """An API server with the shop and the account. kube: of an administrator. kubeconfig: of the account. made: what
    the playbook printed. store: URL of an S3 store."""

    kube: Kube
    folder: Path
    kubeconfig: Path
    made: str
    store: str

    def play(self, playbook: str, *argv: str, **variables: Any) -> str:
        """As the account, unless tracing_kubeconfig is given."""
        given = {"tracing_kubeconfig": str(self.kubeconfig), "object_storage_endpoint_url": self.store, **variables}
        return play(self.folder, playbook, *argv, **given)

    def audited(self) -> list[dict[str, Any]]:
        """The account's requests about objects so far."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [one for one in found if one["user"]["username"] == USER and one.get("objectRef")]


def play(folder: Path, playbook: str, *argv: str, **variables: Any) -> str:
    given = {
        **INVENTORY,
        "tracing_helm_binary": os.environ["ORION_HELM"],
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    arguments = [f"orion.tracing.{playbook}", "-i", "localhost,", "-c", "local", "-e", json.dumps(given), *argv]
    return in_one_line(run_ansible(folder, "ansible-playbook", *arguments))


def changed(output: str) -> int:
    match = re.search(r"changed=(\d+) unreachable=0 failed=0", output)
    assert match, output
    return int(match[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("rights")
    program = os.environ["ORION_KUBE"]
    with serving(folder, audit=True) as kube, controllers(kube, TOKEN, folder, program), simulated_aws() as store:
        kube.request("POST", "/api/v1/namespaces", body={"metadata": {"name": "shop"}})
        kube.request("POST", "/apis/apps/v1/namespaces/shop/deployments", body=ORDERS)
        storage = {"metadata": {"name": "gp3"}, "provisioner": "example.com/none"}
        kube.request("POST", "/apis/storage.k8s.io/v1/storageclasses", body=storage)
        admin, account = folder / "kubeconfig", folder / "account"
        arguments = {"tracing_kubeconfig": str(admin), "rbac_token_enabled": True, "rbac_kubeconfig": str(account)}
        before = state(kube)
        assert changed(play(folder, "rbac", "--check", "--diff", **arguments)) == 1
        assert state(kube) == before and not account.exists()
        made = play(folder, "rbac", "--diff", "-v", **arguments)
        assert changed(made) == 1
        assert changed(play(folder, "rbac", "--diff", **arguments)) == 0
        keys = {"stringData": {"access_key": "simulated", "secret_key": "simulated-secret"}}
        kube.request("POST", "/api/v1/namespaces/tracing/secrets", body={"metadata": {"name": "tempo-s3"}, **keys})
        yield Lab(kube, folder, account, made, store)


def state(kube: Kube) -> list[str]:
    paths = ("/api/v1/namespaces", "/apis/rbac.authorization.k8s.io/v1/clusterroles",
             "/apis/rbac.authorization.k8s.io/v1/roles", "/api/v1/serviceaccounts")  # fmt: skip
    return [one["metadata"]["name"] for path in paths for one in kube.list(path)]


@pytest.fixture(scope="module")
def account(lab: Lab) -> Iterator[Kube]:
    with closing(Kube.connect(connection(lab.kubeconfig))) as kube:
        yield kube


def connection(kubeconfig: Path) -> dict[str, Any]:
    others = dict.fromkeys(("context", "host", "api_key", "ca_cert", "validate_certs"))
    return {"kubeconfig": str(kubeconfig), **others}


def test_the_playbook_shows_no_token(lab: Lab) -> None:
    content = json.loads(lab.kubeconfig.read_text())
    token = content["users"][0]["user"]["token"]
    assert len(token) > 100 and token not in lab.made
    assert stat.S_IMODE(lab.kubeconfig.stat().st_mode) == 0o600
    assert "ServiceAccount tracing/orion-tracing" in lab.made and "bearer_token" in lab.made
    log = (lab.folder / "home").rglob("*")
    assert not any(token in file.read_text(errors="replace") for file in log if file.is_file())


def test_the_account_has_every_right(account: Kube) -> None:
    """One request for each namespace and one for the cluster; no more."""
    before, wanted = account.calls, required()
    assert reviews.everything(account) is False
    assert reviews.missing(account, wanted) == ()
    assert account.calls - before == 1 + len({one.namespace for one in wanted})


@pytest.mark.parametrize("single", SINGLES, ids=identifier)
def test_each_missing_right_is_named(single: Right, lab: Lab, account: Kube) -> None:
    wanted = required()
    left = rights.together(one for right in wanted for one in right.singles() if one != single)
    names = {key: [one for one in accounts.objects(ACCOUNT, given) if one["kind"].endswith("Role")]
             for key, given in (("without", left), ("with", wanted))}  # fmt: skip
    place = single.namespace
    (all_of_it,) = [one for one in names["with"] if one["metadata"].get("namespace", "") == place]
    # Of a place with this right alone, nothing would be left.
    less = [one for one in names["without"] if one["metadata"].get("namespace", "") == place]
    kind = "Role" if place else "ClusterRole"
    path = accounts.RESOURCES[kind].url(place, all_of_it["metadata"]["name"])
    lab.kube.apply(path, less[0] if less else {**all_of_it, "rules": []})
    try:
        found = until(lambda: reviews.missing(account, wanted), (single,))
    finally:
        lab.kube.apply(path, all_of_it)
        until(lambda: reviews.missing(account, wanted), ())
    (finding,) = rights.findings(found)
    text = str(finding)
    where = f"in namespace {place}" if place else "in the whole cluster"
    called = f" named {single.names[0]}" if single.names else ""
    assert f"may not {single.verbs[0]} {single.full_resource}{called} {where}: {single.reason}" in text
    assert "playbooks/rbac.yml" in text and f"verbs: [{single.verbs[0]}]" in text
    assert (finding.severity == ERROR) is single.needed


def until(ask: Any, expected: Any) -> Any:
    """The API server's authorizer learns of a change within a moment."""
    deadline = time.monotonic() + DEADLINE
    while (found := ask()) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("helm", ["ORION_HELM", pytest.param("ORION_HELM3", marks=pytest.mark.nightly)])
def test_the_rights_are_enough(helm: str, lab: Lab) -> None:
    """To check, install, wait, change nothing in a second run, and uninstall; no request of the account is refused."""
    before = len(lab.audited())
    # What the proof sends would arrive nowhere.
    arguments = {"tracing_helm_binary": os.environ[helm], "tracing_prove": "never"}
    assert changed(lab.play("site", "--check", "--diff", **arguments)) >= CHANGED
    assert changed(lab.play("site", **arguments)) >= CHANGED
    assert changed(lab.play("site", **arguments)) == 0
    # The releases, and the record of what was applied.
    assert changed(lab.play("uninstall", **arguments)) == 2
    # The namespace of the node agents was part of a release, and stays all the same, with its Role.
    admin = lab.folder / "kubeconfig"
    assert changed(lab.play("rbac", tracing_kubeconfig=str(admin), rbac_token_enabled=True)) == 0
    refused = [one for one in lab.audited()[before:] if one["responseStatus"].get("code") == 403]
    assert [(one["verb"], one["objectRef"]) for one in refused] == []
