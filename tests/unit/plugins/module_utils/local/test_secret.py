# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import base64

from ansible_collections.orion.tracing.plugins.module_utils.local.secret import apply, make_plan, read
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
