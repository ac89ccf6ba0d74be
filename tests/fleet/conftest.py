# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge and the central platform that extensions/molecule/fleet has installed in two namespaces of one cluster.

ORION_TEST_KUBECONFIG; ORION_TEST_STORE, the value of the central platform's tracing_store_reader; for test_removal.py
ORION_TEST_SNAPSHOT, what tests/integration/snapshot.py has written before. Playbooks run with Molecule's environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube


def setting(name: str) -> str:
    if not os.environ.get(name):
        pytest.fail(f"{name} is not set; extensions/molecule/fleet/verify.yml shows what it has to be")
    return os.environ[name]


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    one = Kube.connect({"kubeconfig": setting("ORION_TEST_KUBECONFIG")})
    yield one
    one.close()
