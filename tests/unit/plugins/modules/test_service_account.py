# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as Ansible runs it, against an API server of a few lines."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.preflight.account import RESOURCES
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

V = {"tracing_namespace": "tracing", "grafana_provisioning": "sidecar", "grafana_namespace": "monitoring"}
TOKEN = "a-token-that-nobody-may-see"
SECRET = "/api/v1/namespaces/tracing/secrets/robot-token"


def server() -> FakeKube:
    kube = FakeKube(resources=RESOURCES)
    # Lists of all namespaces by label.
    for kind in ("ServiceAccount", "Secret", "Role", "RoleBinding"):
        resource = RESOURCES[kind]
        base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        kube.on(f"GET {base}/{resource.plural}$", lambda request: listed(kube, request))
    return kube


def listed(kube: FakeKube, request: Request) -> Any:
    plural = request.path.rpartition("/")[2]
    labels = dict(term.split("=") for term in request.query["labelSelector"].split(","))
    found = [
        document
        for path, document in kube.objects.items()
        if path.split("/")[-2] == plural and labels.items() <= (document["metadata"].get("labels") or {}).items()
    ]
    return {"items": found}


def options(url: str, **more: Any) -> dict[str, Any]:
    return {"host": url, "name": "robot", "namespace": "tracing", "variables": V, **more}


def test_check_mode_then_real_then_unchanged_then_absent() -> None:
    kube = server()
    with kube.serving() as url:
        checked = run("service_account", **options(url, _ansible_check_mode=True, _ansible_diff=True))
        assert checked["changed"] and not kube.writes
        done = run("service_account", **options(url, _ansible_diff=True))
        assert set(done) == set(checked), "both modes return the same keys"
        assert done["steps"] == checked["steps"] and done["diff"] == checked["diff"]
        assert done["steps"][:3] == [
            "create Namespace tracing", "create Namespace monitoring", "create ServiceAccount tracing/robot"
        ]  # fmt: skip
        assert not run("service_account", **options(url))["changed"]
        # A namespace that the inventory does not name any more.
        fewer = run("service_account", **options(url, variables={**V, "grafana_namespace": "tracing"}))
        assert "delete RoleBinding monitoring/robot" in fewer["steps"]
        assert "/apis/rbac.authorization.k8s.io/v1/namespaces/monitoring/roles/robot" not in kube.objects
        # A rule that somebody has taken away.
        role = kube.objects["/apis/rbac.authorization.k8s.io/v1/namespaces/tracing/roles/robot"]
        role["rules"].pop()
        again = run("service_account", **options(url, variables={**V, "grafana_namespace": "tracing"}))
        assert again["steps"] == ["update Role tracing/robot"]
        removed = run("service_account", **options(url, state="absent", variables=None))
        assert removed["changed"] and not removed["rights"]
        assert {document["kind"] for document in kube.objects.values()} == {"Namespace"}
        assert not run("service_account", **options(url, state="absent", variables=None))["changed"]


def test_the_kubeconfig(tmp_path: Path) -> None:
    kube, path = server(), tmp_path / "kubeconfig"

    def fill(request: Request) -> None:
        """As Kubernetes' token controller."""
        if request.path == SECRET and SECRET in kube.objects:
            token = base64.b64encode(TOKEN.encode()).decode()
            kube.objects[SECRET]["data"] = {"token": token, "ca.crt": "Y2E="}

    kube.on("GET", fill)
    with kube.serving() as url:
        given = options(url, long_lived_token=True, path=str(path))
        checked = run("service_account", **given, _ansible_check_mode=True)
        assert checked["changed"] and not path.exists()
        done = run("service_account", **given)
        assert done["steps"] == checked["steps"] and done["steps"][-1] == f"write {path}"
        content = json.loads(path.read_text())
        assert content["users"][0]["user"]["token"] == TOKEN and path.stat().st_mode & 0o777 == 0o600
        assert content["clusters"][0]["cluster"] == {"server": url, "certificate-authority-data": "Y2E="}
        again = run("service_account", **given)
    assert not again["changed"]
    assert TOKEN not in json.dumps([checked, done, again])


def test_a_file_without_a_token_is_refused(tmp_path: Path) -> None:
    kube = server()
    with kube.serving() as url:
        failed = run("service_account", **options(url, path=str(tmp_path / "kubeconfig")))
    assert "path is set, but long_lived_token is false" in failed["msg"] and not kube.writes


def test_a_name_that_is_too_long() -> None:
    kube = server()
    with kube.serving() as url:
        failed = run("service_account", **options(url, name="a" * 64))
    assert "is too long" in failed["msg"] and not kube.writes


def test_what_a_namespace_owner_may_not() -> None:
    kube = server()
    kube.refuse("GET /apis/rbac.authorization.k8s.io/v1/clusterroles", message="clusterroles is forbidden")
    with kube.serving() as url:
        failed = run("service_account", **options(url))
    assert "clusterroles is forbidden" in failed["msg"] and not kube.writes
