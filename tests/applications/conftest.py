# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shop that extensions/molecule/applications has installed, with instrumentation and the platform.

ORION_TEST_KUBECONFIG, ORION_TEST_STORE (the value of tracing_store_reader), and ORION_TEST_STOREFRONT and
ORION_TEST_GATEWAY: addresses on this machine where the services answer. Where the cluster runs Grafana:
ORION_TEST_GRAFANA, its address, and ORION_TEST_GRAFANA_PASSWORD of admin; without it, test_grafana.py has nothing to
test and is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.applications.shop import Shop
from ansible_collections.orion.tracing.tests.queries.links import DataSources
from ansible_collections.orion.tracing.tests.queries.stores import Ask

GRAFANA = os.environ.get("ORION_TEST_GRAFANA", "")
collect_ignore = [] if GRAFANA else ["test_grafana.py"]
# Namespace, Service and port of what answers queries
SERVICES = {
    "prometheus": ("local-backends", "prometheus", 9090),
    "jaeger": ("local-backends", "jaeger", 16686),
    "tempo": ("tracing", "tempo-query-frontend", 3200),
}


def setting(name: str) -> str:
    if not os.environ.get(name):
        pytest.fail(f"{name} is not set; extensions/molecule/applications/verify.yml shows what it has to be")
    return os.environ[name]


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    return setting("ORION_TEST_KUBECONFIG")


@pytest.fixture(scope="session")
def kube(kubeconfig: str) -> Iterator[Kube]:
    one = Kube.connect({"kubeconfig": kubeconfig})
    yield one
    one.close()


@pytest.fixture(scope="session")
def shop(kube: Kube) -> Shop:
    store = Jaeger(kube, "local-backends") if setting("ORION_TEST_STORE") == "jaeger" else Tempo(kube, "tracing")
    return Shop(kube, store, setting("ORION_TEST_STOREFRONT"), setting("ORION_TEST_GATEWAY"))


@pytest.fixture(scope="session")
def logs(kube: Kube) -> VictoriaLogs:
    return VictoriaLogs(kube, "http://victorialogs.local-backends.svc:9428")


@pytest.fixture(scope="session")
def grafana() -> Iterator[Grafana]:
    password = setting("ORION_TEST_GRAFANA_PASSWORD")
    one = Grafana.connect({"url": setting("ORION_TEST_GRAFANA"), "username": "admin", "password": password})
    yield one
    one.close()


@pytest.fixture(scope="session")
def sources(request: pytest.FixtureRequest, kube: Kube) -> DataSources:
    """Those that Grafana has, or what its sidecar would find."""
    if GRAFANA:
        return DataSources(request.getfixturevalue("grafana").request("GET", "api/datasources"))
    [found] = kube.list("/api/v1/namespaces/tracing/configmaps", "grafana_datasource=1")
    return DataSources.provisioned(yaml.safe_load(found["data"]["orion-tracing.yaml"]))


def through_the_api_server(kube: Kube, name: str) -> Ask:
    namespace, service, port = SERVICES[name]

    def ask(path: str, query: Mapping[str, Any]) -> Any:
        answer = kube.proxy("services", namespace, service, port, path, query=dict(query))
        assert answer.ok, f"{service} answered {answer.status} to {query}: {answer.text[:500]}"
        return answer.json()

    return ask
