# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import base64
import json
from pathlib import Path

from ansible_collections.orion.tracing.plugins.module_utils.local.secret import Copy, apply, make_plan, read
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, refused

KEPT = base64.b64encode(b"kept").decode()


def test_only_what_is_missing_is_generated() -> None:
    plan = make_plan({"a": KEPT, "b": ""}, "shop", "s", ["c", "a", "b"], None)
    assert [(step.action, step.data) for step in plan.steps] == [("secret", ["b", "c"])]
    assert plan.diff[0]["before"] == "a\nb\n" and plan.diff[0]["after"] == "a\nb\nc\n"
    assert not make_plan({"a": KEPT}, "shop", "s", ["a"], None).changed


def test_a_namespace_is_created_with_its_labels() -> None:
    kube = FakeKube()
    present, exists = read(kube.client(), "shop", "s")
    assert (present, exists) == (None, False)
    plan = make_plan(present, "shop", "s", ["a"], {"x": "y"})
    assert plan.diff[0]["after"] == "labels:\n  x: y\n"
    (made,) = apply(kube.client(), plan, present, "shop", "s")
    assert kube.objects["/api/v1/namespaces/shop"]["metadata"]["labels"] == {"x": "y"}
    secret = kube.objects["/api/v1/namespaces/shop/secrets/s"]
    assert base64.b64decode(secret["data"]["a"]).decode() == made
    assert len(made) == 32 and made.isalnum() and made.isascii()
    assert read(kube.client(), "shop", "s") == (secret["data"], True)


def test_a_namespace_that_somebody_else_creates_meanwhile() -> None:
    kube = FakeKube()
    kube.on("POST /api/v1/namespaces", refused(409, "already exists"))
    apply(kube.client(), make_plan(None, "shop", "s", ["a"], {}), None, "shop", "s")
    assert "/api/v1/namespaces/shop/secrets/s" in kube.objects


def test_what_others_put_into_the_secret_stays() -> None:
    kube = FakeKube()
    present = {"a": KEPT}
    first, second = (
        apply(kube.client(), make_plan(present, "shop", "s", ["a", key], None), present, "shop", "s") for key in "bc"
    )
    assert first != second
    data = kube.objects["/api/v1/namespaces/shop/secrets/s"]["data"]
    assert data["a"] == KEPT


def test_a_file_gets_the_values_for_its_owner_alone(tmp_path: Path) -> None:
    kube, path = FakeKube(), tmp_path / "state/credentials.json"
    plan = make_plan({"a": KEPT}, "shop", "s", ["a", "b"], None, Copy.of(str(path)))
    assert [step.action for step in plan.steps] == ["secret", "file"] and plan.result["path"] == str(path)
    assert plan.diff[1] == {"before_header": f"{path}, keys", "after_header": f"{path}, keys", "before": "",
                            "after": "a\nb\n"}  # fmt: skip
    (made,) = apply(kube.client(), plan, {"a": KEPT}, "shop", "s")
    assert json.loads(path.read_text()) == {"a": "kept", "b": made}
    assert path.stat().st_mode & 0o777 == 0o600
    data = kube.objects["/api/v1/namespaces/shop/secrets/s"]["data"]
    assert not make_plan(data, "shop", "s", ["a", "b"], None, Copy.of(str(path))).changed
    path.chmod(0o644)
    again = make_plan(data, "shop", "s", ["a", "b"], None, Copy.of(str(path)))
    assert [step.action for step in again.steps] == ["file"]
    apply(kube.client(), again, data, "shop", "s")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")
    assert make_plan(data, "shop", "s", ["a", "b"], None, Copy.of(str(path))).changed
