# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the preflight finds about the Grafana that is to be provisioned."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import Facts, check
from ansible_collections.orion.tracing.plugins.module_utils.preflight.grafana import (
    Deployed,
    GrafanaFacts,
    by_api,
    findings,
    in_cluster,
)
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import TOKEN, FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

API = {"grafana_provisioning": "api", "grafana_url": "https://grafana.example.com"}


def found(facts: GrafanaFacts, **variables: Any) -> list[str]:
    return [f"{one.severity} {one}" for one in findings(role_defaults("grafana", **variables), facts)]


def deployment(**container: Any) -> dict[str, Any]:
    containers = [{"name": "grafana", **container}, {"name": "grafana-sc-datasources"}]
    pod = {"containers": containers, "volumes": [{"configMap": {"name": "grafana"}}, {"emptyDir": {}}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "grafana", "namespace": "monitoring", "labels": {"app.kubernetes.io/name": "grafana"}},
        "spec": {"template": {"spec": pod}},
    }


def settings(text: str) -> dict[str, Any]:
    metadata = {"name": "grafana", "namespace": "monitoring"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"grafana.ini": text}}


def test_the_deployment_of_grafana_is_read() -> None:
    env = [{"name": "TEMPO_TENANT", "valueFrom": {}}, {"name": "A", "value": "b"}]
    one = deployment(securityContext={"readOnlyRootFilesystem": True}, env=env)
    kube = FakeKube(one, settings("[plugins]\npreinstall_auto_update = false\n"))
    (read,) = in_cluster(kube.client(), "monitoring")
    assert (read.name, read.read_only_root, read.sidecar) == ("grafana", True, True)
    assert read.environment == {"TEMPO_TENANT": None, "A": "b"} and "preinstall_auto_update" in read.settings
    assert len(kube.asked) == 2
    assert in_cluster(kube.client(), "other") == ()
    kube.refuse("GET /apis/apps")
    assert in_cluster(kube.client(), "monitoring") == ()


def test_plugins_that_vanish_on_a_read_only_root() -> None:
    vanish = Deployed("grafana", True, {}, True)
    (warned,) = found(GrafanaFacts((vanish,)), grafana_namespace="monitoring")
    assert warned.startswith(
        "warning grafana_namespace: Deployment grafana in namespace monitoring has a read-only root"
    )
    for fine in (
        Deployed("grafana", False, {}, True),
        Deployed("grafana", True, {"GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false"}, True),
        Deployed("grafana", True, {}, True, "[plugins]\npreinstall_auto_update = false\n"),
    ):
        assert not found(GrafanaFacts((fine,)))


def test_a_sidecar_and_a_tenant_that_are_not_there() -> None:
    facts = GrafanaFacts((Deployed("grafana", False, {}, False),))
    sidecar, tenant = found(facts, grafana_tenant_variables={"tempo": "TEMPO_TENANT"})
    assert "has no sidecar for data sources" in sidecar and "sidecar.datasources.enabled" in sidecar
    assert tenant.startswith("warning grafana_tenant_variables.tempo: is TEMPO_TENANT, which Deployment grafana")
    assert not found(facts, **API), "with the HTTP API nothing of it matters"


def test_names_and_files_that_stand_in_the_way() -> None:
    sources = (
        {"uid": "P1809F7CD0C75ACF3", "name": "Tempo", "type": "tempo"},
        {"uid": "prometheus", "name": "Metrics", "type": "prometheus", "readOnly": True},
    )
    name, read_only = found(GrafanaFacts(version="13.2.0", sources=sources), **API, grafana_prometheus_url="http://p")
    assert name.startswith(
        "error grafana_tempo_uid: is tempo, but Grafana has a data source Tempo with the uid P1809F7"
    )
    assert "Set it to P1809F7CD0C75ACF3 to take that over" in name
    assert read_only.startswith("error grafana_prometheus_uid: is prometheus, a data source that is read-only")
    assert not found(GrafanaFacts(version="13.2.0", sources=({"uid": "tempo", "name": "Tempo"},)), **API)


def test_versions() -> None:
    (old,) = found(GrafanaFacts(version="10.4.1"), **API)
    assert old.startswith("warning grafana_url: is Grafana 10.4.1")
    (links,) = found(GrafanaFacts(version="12.1.0"), **API, grafana_logs_type="victorialogs")
    assert "12.2" in links
    assert not found(GrafanaFacts(version="12.2.0"), **API, grafana_logs_type="victorialogs")
    assert not found(GrafanaFacts(), **API)


def test_grafana_is_asked() -> None:
    fake = FakeGrafana()
    fake.add_source(uid="old", name="Tempo", type="tempo")
    with fake.serving() as url:
        facts = by_api({"url": url, "token": TOKEN})
        refused = by_api({"url": url, "token": "another-token"})
    assert facts.version == "13.2.0" and [one["uid"] for one in facts.sources] == ["old"] and len(fake.asked) == 4
    (message,) = found(refused, **API)
    assert (
        message.startswith("error grafana_token: GET api/datasources of http") and "Check the grafana_token" in message
    )
    assert "another-token" not in message
    (silent,) = found(by_api({"url": "http://127.0.0.1:1", "token": TOKEN}), **API)
    assert silent.startswith("error grafana_url: no answer from Grafana") and "Check the grafana_url" in silent


def test_a_tempo_with_tenants_needs_one_from_grafana() -> None:
    v = role_defaults("tempo", "grafana", tempo_extra_config={"multitenancy_enabled": True}, object_storage_bucket="b")
    variables = {one.variable for one in check(v, Facts()) if one.severity == "error"}
    assert "grafana_tenant_variables" in variables
    v["grafana_tenant_variables"] = {"tempo": "TEMPO_TENANT"}
    assert "grafana_tenant_variables" not in {one.variable for one in check(v, Facts())}
