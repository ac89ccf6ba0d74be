# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The test cluster (see docs/testing.md) and ways to run playbooks on it. Without a cluster these tests fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

sys.path.insert(0, str(Path(__file__).parent))

from snapshot import buckets, objects

ROOT = Path(__file__).resolve().parents[2]
# What a pull request needs. All other tests here are in `make test-all` alone, and so are those with Helm 3 and those
# with moto, whose S3 the unit tests have too.
PULL_REQUEST = ("test_bad_input.py", "test_helm_release.py", "test_helm_release_info.py", "test_s3_stores.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # The hook of a folder is given the items of all folders.
        if item.path.parent != Path(__file__).parent:
            continue
        case = item.name.partition("[")[2]
        if item.path.name not in PULL_REQUEST or "helm3" in case or "moto" in case:
            item.add_marker(pytest.mark.nightly)


@pytest.fixture(scope="session")
def state() -> Path:
    """State folder of the test cluster."""
    state = Path(os.environ.get("ORION_TEST_STATE", "unset"))
    if not (state / "kubeconfig").is_file():
        pytest.fail("no test cluster: run `make test GATE=integration`")
    return state


@pytest.fixture(scope="session")
def kube(state: Path) -> Kube:
    return Kube.connect({"kubeconfig": str(state / "kubeconfig")})


@pytest.fixture
def playbook() -> Callable[..., subprocess.CompletedProcess]:
    """Run a playbook of the collection on the test cluster, with extra variables."""

    def run(name: str, variables: dict | None = None, env: dict | None = None) -> subprocess.CompletedProcess:
        argv = ["ansible-playbook", f"playbooks/{name}.yml", "-i", "inventories/local"]
        argv += ["-e", json.dumps(variables or {})]
        return subprocess.run(
            argv,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def unchanged(kube: Kube, state: Path):
    """Fails a test that changes any object of the cluster or any bucket of the store."""
    before = objects(kube) | buckets(state)
    yield
    after = objects(kube) | buckets(state)
    assert after == before
