# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as Ansible runs it, against an API server of a few lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

SECRET = "/api/v1/namespaces/local-backends/secrets/tempo-s3"


@pytest.fixture
def api() -> Iterator[tuple[str, dict[str, Any]]]:
    """URL and documents (by path) of an API server."""
    kube = FakeKube()
    with kube.serving() as url:
        yield url, kube.objects


def options(url: str, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "host": url,
        "namespace": "local-backends",
        "copy_to": ["tracing"],
        "subject_alt_names": ["localhost"],
        "files_dir": str(folder),
        **more,
    }


def test_check_mode_then_real_then_unchanged(api: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    url, documents = api
    checked = run("local_credentials", **options(url, tmp_path, _ansible_check_mode=True))
    assert checked["changed"] and not documents and not list(tmp_path.iterdir())
    done = run("local_credentials", **options(url, tmp_path))
    assert set(done) == set(checked), "both modes return the same keys"
    assert done["steps"] == checked["steps"] and done["diff"] == checked["diff"]
    pair = json.loads((tmp_path / "s3-credentials.json").read_text())
    assert pair["secret_key"] not in json.dumps(done) and pair["access_key"] not in json.dumps(done["diff"])
    again = run("local_credentials", **options(url, tmp_path))
    assert not again["changed"] and again["diff"] == [] and again["api_calls"] == 2
    assert again["ca_fingerprint"] == done["ca_fingerprint"] and again["revision"] == done["revision"]


def test_a_wrong_option_fails_before_anything_is_read(tmp_path: Path) -> None:
    failed = run("local_credentials", **options("http://127.0.0.1:1", tmp_path, subject_alt_names=["http://x"]))
    assert failed["failed"] and "subject_alt_names: 'http://x'" in failed["msg"]


def test_an_unreachable_cluster_is_named(tmp_path: Path) -> None:
    failed = run("local_credentials", **options("http://127.0.0.1:1", tmp_path))
    assert "no answer from the API server http://127.0.0.1:1" in failed["msg"]
    assert not list(tmp_path.iterdir())
