# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ToolError
from ansible_collections.orion.tracing.plugins.module_utils.helm import render
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import HIDDEN, Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import CRD, HOOK, MANIFEST, Key

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: "%s"}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {plain: "%s"}
stringData: {text: "%s"}
"""


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_parse_keys_objects_as_helm_tells_them_apart() -> None:
    objects = render.parse(
        "---\n# only a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: other}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n"
        "---\napiVersion: v1\nkind: ConfigMapList\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {name: l}}, 7]\n"
        "---\njust text\n---\nno: kind\n"
    )
    assert list(objects) == [
        Key(MANIFEST, "apps", "Deployment", "other", "d"),
        Key(HOOK, "", "ConfigMap", "", "h"),
        Key(MANIFEST, "", "ConfigMap", "", "l"),
    ]
    assert render.key_of({"kind": "X", "metadata": None}, CRD) == Key(CRD, "", "X", "", "")


def test_a_manifest_that_is_no_yaml() -> None:
    with pytest.raises(ToolError, match="not YAML"):
        render.parse("a: [")


def test_hooks_of_a_release_record() -> None:
    objects = render.parse_release(CONFIG % 1, [{"manifest": CONFIG % 2}, {}])
    assert [key.part for key in objects] == [MANIFEST, HOOK]


def test_same_does_not_mind_the_order() -> None:
    before, after = (
        render.parse(CONFIG % 1 + "---" + SECRET % ("", "")),
        render.parse(SECRET % ("", "") + "---" + CONFIG % 1),
    )
    assert render.same(before, after)
    assert not render.same(before, render.parse(CONFIG % 1))


def test_changes_name_each_object_and_what_happens() -> None:
    before = render.parse(CONFIG % "old" + "---" + SECRET % ("", ""))
    after = render.parse(
        CONFIG % "new" + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: x}"
    )
    objects, diff = render.changes(before, after, "ns", Mask())
    assert [(o["kind"], o["namespace"], o["name"], o["api_version"], o["action"]) for o in objects] == [
        ("ConfigMap", "ns", "c", "v1", "update"),
        ("Deployment", "x", "d", "apps/v1", "create"),
        ("Secret", "ns", "s", "v1", "delete"),
    ]
    assert diff[0]["before_header"] == diff[0]["after_header"] == "ConfigMap ns/c"
    assert "a: old" in diff[0]["before"]
    assert "a: new" in diff[0]["after"]
    assert diff[1]["before"] == ""
    assert diff[2]["after"] == ""
    assert render.changes(after, after, "ns", Mask()) == ([], [])


def test_a_new_version_of_an_api_is_an_update() -> None:
    old, new = ({"apiVersion": f"autoscaling/{v}", "kind": "H", "metadata": {"name": "h"}} for v in ("v1", "v2"))
    objects = render.changes({render.key_of(old): old}, {render.key_of(new): new}, "ns", Mask())[0]
    assert [(o["action"], o["api_version"]) for o in objects] == [("update", "autoscaling/v2")]


def test_what_helm_leaves_behind_is_not_deleted() -> None:
    kept = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k, annotations: {helm.sh/resource-policy: keep}}\n---\n"
    hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h, annotations: {helm.sh/hook: test}}\n---\n"
    objects = render.changes(render.parse(kept + hook + CONFIG % 1), {}, "ns", Mask())[0]
    assert [o["name"] for o in objects] == ["c"]


def test_hooks_and_crds_are_shown_apart() -> None:
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "w"}}
    hook = {"kind": "Job", "metadata": {"name": "j", "annotations": {"helm.sh/hook": "post-install"}}}
    after = {render.key_of(crd, CRD): crd, render.key_of(hook): hook}
    objects, diff = render.changes({}, after, "ns", Mask())
    assert [o["part"] for o in objects] == ["crd", "hook"]
    assert "never updated" in diff[0]["after_header"]
    assert "hook post-install" in diff[1]["after_header"]


def test_secret_values_never_show_but_changes_do() -> None:
    before = render.parse(SECRET % (encoded("same-value"), "first-value"))
    after = render.parse(SECRET % (encoded("same-value"), "second-value"))
    diff = render.changes(before, after, "ns", Mask())[1]
    text = diff[0]["before"] + diff[0]["after"]
    for hidden in ("same-value", "first-value", "second-value", encoded("same-value")):
        assert hidden not in text
    old, new = diff[0]["before"].splitlines(), diff[0]["after"].splitlines()
    assert [i for i, line in enumerate(old) if line != new[i]] == [len(old) - 1]
    assert "text: digest:" in old[-1]


def test_secret_values_are_hidden_elsewhere_too() -> None:
    after = render.parse(SECRET % (encoded("topsecret"), "x") + "---" + CONFIG % "url?token=topsecret")
    diff = render.changes({}, after, "ns", Mask())[1]
    assert "url?token=********" in diff[1]["after"]


@pytest.mark.parametrize(
    "secret", ["a\"quote and 'another'", "back\\slash", "two\nlong lines of a private key", "ümlaut😀"]
)
def test_a_secret_is_hidden_however_a_chart_writes_it(secret: str) -> None:
    """toJson, quote, b64enc, urlquery and indentation, in a ConfigMap beside the Secret."""
    written = {
        "plain": secret,
        "json": json.dumps({"token": secret}),
        "ascii": json.dumps({"token": secret}).replace("<", "\\u003c"),
        "nested": json.dumps(json.dumps({"token": secret}, ensure_ascii=False), ensure_ascii=False),
        "login": base64.b64encode(f"user:{secret}@".encode()).decode(),
        "indented": "key: |\n" + "".join(f"    {line}\n" for line in secret.splitlines()),
        "url": f"https://example.com/?token={quote(secret)}",
        secret: "a key",
    }
    mask = Mask()
    mask.learn({"token": secret})
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": written}
    shown = render.show(config, mask)
    data = yaml.safe_load(shown)["data"]
    assert data["plain"] == HIDDEN
    assert data["json"] == data["ascii"] == f'{{"token": "{HIDDEN}"}}'
    assert data["nested"].count(HIDDEN) == 1
    assert data["url"] == f"https://example.com/?token={HIDDEN}"
    for line in [line for line in secret.splitlines() if len(line) >= 16] or [secret]:
        assert line not in shown
        assert base64.b64encode(line.encode()).decode()[4:-4] not in shown
