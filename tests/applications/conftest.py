# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shop that extensions/molecule/applications has installed, with instrumentation and the platform.

ORION_TEST_KUBECONFIG, ORION_TEST_STORE (the value of tracing_store_reader), and ORION_TEST_STOREFRONT and
ORION_TEST_GATEWAY: addresses on this machine where the services answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.applications.shop import Shop


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
