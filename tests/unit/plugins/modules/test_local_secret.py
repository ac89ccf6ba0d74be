# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as Ansible runs it, against an API server of a few lines."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

SECRET = "/api/v1/namespaces/shop/secrets/postgresql"


def options(url: str, **more: Any) -> dict[str, Any]:
    return {"host": url, "namespace": "shop", "name": "postgresql", "keys": ["password"], **more}


def test_check_mode_then_real_then_unchanged() -> None:
    kube = FakeKube()
    with kube.serving() as url:
        checked = run("local_secret", **options(url, _ansible_check_mode=True))
        assert checked["changed"] and not kube.writes
        done = run("local_secret", **options(url))
        assert set(done) == set(checked), "both modes return the same keys"
        assert done["steps"] == checked["steps"] and done["diff"] == checked["diff"]
        data = kube.objects[SECRET]["data"]
        password = base64.b64decode(data["password"]).decode()
        for text in (password, data["password"]):
            assert text not in json.dumps(done)
        again = run("local_secret", **options(url))
    assert not again["changed"] and again["api_calls"] == 1 and kube.objects[SECRET]["data"] == data


def test_a_file_with_the_passwords(tmp_path: Path) -> None:
    kube, path = FakeKube(), tmp_path / "credentials.json"
    with kube.serving() as url:
        checked = run("local_secret", **options(url, path=str(path), _ansible_check_mode=True))
        assert checked["changed"] and not path.exists()
        done = run("local_secret", **options(url, path=str(path)))
        assert done["steps"] == checked["steps"] and done["diff"] == checked["diff"]
        password = json.loads(path.read_text())["password"]
        assert base64.b64decode(kube.objects[SECRET]["data"]["password"]).decode() == password
        assert password not in json.dumps(done)
        again = run("local_secret", **options(url, path=str(path)))
    assert not again["changed"] and again["path"] == str(path)


def test_an_unreachable_cluster_is_named() -> None:
    failed = run("local_secret", **options("http://127.0.0.1:1"))
    assert "no answer from the API server http://127.0.0.1:1" in failed["msg"]
