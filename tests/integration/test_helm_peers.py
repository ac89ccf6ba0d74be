# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What users of kubernetes.core.helm complain about, one test per complaint: each fails with the behaviour complained
about. docs/from-kubernetes-core-helm.md has the whole table, with the complaints that other tests cover.

Issues are those of ansible-collections/kubernetes.core unless another repository is named.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from helm_lab import CHART, MAJORS, NAME, SERVER, SERVER_CHART, Lab, laboratory

SECRET = "hunter2-hunter2"
VALUES_OF = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: mini
data: {values: {{ toJson .Values | quote }}}
"""


@pytest.fixture(params=MAJORS)
def lab(request: pytest.FixtureRequest, kube: Kube, state: Path, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(kube, state, tmp_path, request.param, "peers") as lab:
        lab.chart()
        yield lab


def seen(lab: Lab) -> dict:
    """The values that the chart VALUES_OF was rendered with."""
    return json.loads((lab.config() or {})["values"])


def test_a_chart_that_never_renders_the_same(lab: Lab) -> None:
    """Changed on every run although helm-diff is installed: #565."""
    restless = "{stamp: {{ now | quote }}, random: {{ randAlphaNum 8 }}, revision: {{ .Release.Revision | quote }}}"
    lab.chart({"templates/config.yaml": CHART["templates/config.yaml"] + "---\n" + RESTLESS.replace("DATA", restless)})
    assert lab.run().changed
    assert lab.run(check=True).counts[:2] == (False, 0)
    assert lab.run().counts[:2] == (False, 0)
    assert lab.records() == {1: "deployed"}


RESTLESS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: restless}\ndata: DATA\n"


def test_what_is_shown_is_what_is_done(lab: Lab) -> None:
    """Diff and upgrade use different arguments (post_renderer, order of values): #608, #669, #680."""
    lab.chart({"templates/config.yaml": VALUES_OF})
    first, second = lab.folder / "1.yaml", lab.folder / "2.yaml"
    first.write_text("message: first\nboth: {a: 1, b: 1}\n")
    second.write_text("both: {b: 2, c: 2}\n")
    renderer, env = post_renderer(lab)
    options = {
        "values_files": [str(first), str(second)],
        "values": {"both": {"c": 3}},
        "post_renderer": renderer,
        "env": env,
    }
    planned = lab.run(check=True, **options)
    assert lab.run(**options).changed
    live = lab.kube.get(lab.path("configmaps", NAME))
    assert seen(lab) == {"message": "first", "both": {"a": 1, "b": 2, "c": 3}}
    assert live["metadata"]["labels"]["rendered"] == "twice"
    after = planned.after("ConfigMap")
    assert (after["data"], after["metadata"]["labels"]["rendered"]) == (live["data"], "twice")
    assert lab.run(check=True, **options).changed is False
    assert lab.run(**options).changed is False


def post_renderer(lab: Lab) -> tuple[str, dict[str, str]]:
    """A post-renderer that adds a label to the object: for Helm 3 a program, for Helm 4 the name of a plugin."""
    folder = lab.folder / "plugins" / "labels"
    folder.mkdir(parents=True)
    program = folder / "labels"
    edit = r"s/^  name: mini$/  name: mini\n  labels: {rendered: twice}/"
    program.write_text(f"#!/bin/sh\nexec sed '{edit}'\n")
    program.chmod(0o755)
    if lab.major == "helm3":
        return str(program), {}
    plugin = {
        "apiVersion": "v1",
        "type": "postrenderer/v1",
        "name": "labels",
        "version": "0.1.0",
        "runtime": "subprocess",
        "runtimeConfig": {"platformCommand": [{"command": "${HELM_PLUGIN_DIR}/labels"}]},
    }
    (folder / "plugin.yaml").write_text(yaml.safe_dump(plugin))
    return "labels", {"HELM_PLUGINS": str(folder.parent)}


def test_every_part_of_a_chart_counts(lab: Lab) -> None:
    """Without helm-diff only version and values are compared; a warning says so: #174, #772."""
    assert lab.run().changed
    lab.chart({"templates/config.yaml": CHART["templates/config.yaml"].replace("\ndata: {", "\ndata: {more: stuff, ")})
    planned = lab.run(check=True)
    assert planned.actions == {"ConfigMap": "update"}
    assert "more: stuff" in planned.text
    changed = lab.run()
    assert changed.changed
    assert not changed.result.get("warnings")
    assert lab.config() == {"message": "hello", "more": "stuff"}


LOOKED_UP = """
{{- $old := lookup "v1" "Secret" .Release.Namespace "mini" }}
apiVersion: v1
kind: Secret
metadata: {name: mini}
data: {password: {{ if $old }}{{ $old.data.password }}{{ else }}{{ randAlphaNum 16 | b64enc }}{{ end }}}
"""


def test_a_secret_that_is_generated_once(lab: Lab) -> None:
    """Charts with lookup always differ: #862."""
    lab.chart({"templates/secret.yaml": LOOKED_UP})
    assert lab.run().changed
    password = lab.kube.get(lab.path("secrets", NAME))["data"]["password"]
    assert lab.run().counts[:2] == (False, 0)
    planned = lab.run(check=True, values={"message": "bye"})
    assert planned.actions == {"ConfigMap": "update"}
    assert lab.run(values={"message": "bye"}).actions == {"ConfigMap": "update"}
    assert lab.kube.get(lab.path("secrets", NAME))["data"]["password"] == password


def test_a_pending_release_can_be_removed(lab: Lab) -> None:
    """Pending releases cannot be removed: #319, #377."""
    lab.chart(SERVER_CHART)
    assert lab.kill_helm("pending-install").failed
    planned = lab.run(check=True, state="absent")
    assert planned.changed
    assert planned.actions["Deployment"] == "delete"
    assert lab.run(state="absent").changed
    assert lab.records() == {}
    assert lab.names("deployments", "apps/v1") == set()
    assert lab.run(state="absent").counts[:2] == (False, 0)


def test_a_failed_release_is_tried_again(lab: Lab) -> None:
    """Failed releases are ignored or taken for absent: #401."""
    lab.chart(SERVER_CHART)
    assert lab.run(values={"server": True}).changed
    failed = lab.run(values={"server": True, "image": "registry.invalid/none:1"}, timeout="3s")
    assert failed.failed
    assert list(lab.records().values())[-1] == "failed"
    planned = lab.run(check=True, values={"server": True})  # an upgrade of what is there, not an installation
    assert planned.result["steps"] == ["upgrade"]  # of what is there, rather than an installation
    assert planned.result["release"]["revision"] == 3
    assert planned.actions == {"Deployment": "update"}
    recovered = lab.run(values={"server": True})
    assert recovered.result["steps"] == ["upgrade"]
    assert lab.records()[3] == "deployed"


def test_what_was_changed_by_hand(lab: Lab) -> None:
    """Drift of live objects is not detected: ansible-collections/community.kubernetes#207."""
    lab.chart(SERVER_CHART)
    options = {"values": {"server": True}}
    assert lab.run(**options).changed
    lab.kube.request("DELETE", lab.path("configmaps", NAME))
    patch = {"spec": {"replicas": 0, "template": {"metadata": {"annotations": {"message": "by hand"}}}}}
    lab.kube.request(
        "PATCH",
        lab.path("deployments", SERVER, "apps/v1"),
        body=patch,
        content_type="application/strategic-merge-patch+json",
    )
    assert lab.run(**options).counts[:2] == (False, 0)
    assert lab.config() is None

    reported = lab.run(drift="report", **options)
    assert reported.counts[:2] == (False, 0)
    found = {(item["kind"], item["name"], item["action"]) for item in reported.result["drift"]}
    assert found == {("ConfigMap", NAME, "missing"), ("Deployment", SERVER, "changed")}
    assert lab.config() is None

    planned = lab.run(check=True, drift="repair", **options)
    assert planned.changed
    assert "by hand" in planned.text
    assert lab.config() is None
    repaired = lab.run(drift="repair", **options)
    assert repaired.changed
    assert lab.config() == {"message": "hello"}
    template = lab.kube.get(lab.path("deployments", SERVER, "apps/v1"))["spec"]["template"]
    assert template["metadata"]["annotations"]["message"] == "hello"
    assert lab.run(drift="repair", **options).counts[:2] == (False, 0)


def test_a_secret_in_an_error(lab: Lab) -> None:
    """Secrets are printed on errors: #20."""
    template = CHART["templates/config.yaml"] + "{{- if .Values.password }}{{ fail .Values.password }}{{ end }}"
    lab.chart({"templates/config.yaml": template})
    failed = lab.run(("-vvv", "--diff"), values={"password": SECRET})
    assert failed.failed
    assert "mini/templates/config.yaml" in failed.message
    assert SECRET not in failed.text


def test_a_kubeconfig_that_is_a_dictionary(lab: Lab) -> None:
    """A kubeconfig given as a dictionary shows in logs: #782, #1014."""
    kubeconfig = yaml.safe_load(Path(lab.kubeconfig).read_text())
    secrets = [value for name, value in kubeconfig["users"][0]["user"].items() if name.endswith("-data")]
    assert secrets
    nowhere = {"K8S_AUTH_KUBECONFIG": ""}
    done = lab.run(("-vvv", "--diff"), env=nowhere, kubeconfig=kubeconfig)
    assert done.changed
    failed = lab.run(("-vvv", "--diff"), env=nowhere, kubeconfig=kubeconfig, chart="/nowhere")
    assert failed.failed
    for outcome in (done, failed):
        assert not [secret for secret in secrets if secret in outcome.text]


def package(folder: Path, version: str) -> None:
    with tarfile.open(folder / f"mini-{version}.tgz", "w:gz") as archive:
        for name, content in CHART.items():
            data = content.replace("0.1.0", version).replace("hello", version).encode()
            member = tarfile.TarInfo(f"mini/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    entries = [
        {"apiVersion": "v2", "name": "mini", "version": file.name[5:-4], "urls": [file.name]}
        for file in folder.glob("*.tgz")
    ]
    (folder / "index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": {"mini": entries}}))


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A chart repository: its URL, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_only_the_repository_of_the_chart_is_asked(lab: Lab) -> None:
    """All repositories are refreshed, also those that are down; the index is stale; each command downloads again:
    #420, #637, #646."""
    folder = lab.folder / "repository"
    folder.mkdir()
    package(folder, "1.0.0")
    config = lab.folder / "repositories.yaml"
    down = [{"name": "down", "url": "http://127.0.0.1:1"}]
    config.write_text(yaml.safe_dump({"apiVersion": "", "generated": "2020-01-01T00:00:00Z", "repositories": down}))
    with served(folder) as (url, asked):
        options = {"chart": "mini", "chart_repo_url": url, "env": {"HELM_REPOSITORY_CONFIG": str(config)}}
        assert lab.run(chart_version="1.0.0", **options).changed
        assert sorted(asked) == ["/index.yaml", "/mini-1.0.0.tgz"]
        asked.clear()
        assert lab.run(chart_version="1.0.0", **options).counts[:2] == (False, 0)
        assert asked == []
        package(folder, "1.1.0")
        assert lab.run(chart_version="1.1.0", **options).changed
        assert sorted(asked) == ["/index.yaml", "/mini-1.1.0.tgz"]
    assert lab.config() == {"message": "1.1.0"}
    assert lab.run(chart_version="1.1.0", **options).counts[:2] == (False, 0)  # and the repository is gone


def test_keys_and_types_of_values_survive(lab: Lab) -> None:
    """Strings become booleans, a key y becomes "true", dots are misread: #210, #368, #574, #787."""
    lab.chart({"templates/config.yaml": VALUES_OF, "values.yaml": "default: 1\n"})
    values = {
        "text": {"true": "true", "no": "no", "number": "1.10", "octal": "0644", "date": "2026-01-01", "null": "null"},
        "y": "why",
        "flag": False,
        "number": 12345678,
        "a.b/c": {"d.e": [1, "1", True]},
        "lines": "one\ntwo\n",
    }
    assert lab.run(values=values).changed
    assert seen(lab) == {"default": 1, **values}
    assert lab.run(values=values).counts[:2] == (False, 0)
    file = lab.folder / "values.yaml"
    file.write_text(json.dumps(values))
    assert lab.run(values_files=[str(file)]).counts[:2] == (False, 0)


def test_all_sources_of_values_count(lab: Lab) -> None:
    """With values_files, values are ignored when changes are looked for, and maps are merged at the top only: #732,
    #766."""
    lab.chart({"templates/config.yaml": VALUES_OF, "values.yaml": ""})
    file = lab.folder / "values.yaml"
    file.write_text("image: {repository: a, tag: '1'}\nlist: [1, 2]\n")
    options = {"values_files": [str(file)]}
    assert lab.run(values={"image": {"tag": "2"}}, **options).changed
    assert seen(lab) == {"image": {"repository": "a", "tag": "2"}, "list": [1, 2]}
    assert lab.run(values={"image": {"tag": "2"}}, **options).counts[:2] == (False, 0)
    assert lab.run(values={"image": {"tag": "3"}}, **options).changed
    assert seen(lab)["image"] == {"repository": "a", "tag": "3"}
    file.write_text("image: {repository: b, tag: '1'}\nlist: [3]\n")
    assert lab.run(values={"image": {"tag": "3"}}, **options).changed
    assert seen(lab) == {"image": {"repository": "b", "tag": "3"}, "list": [3]}


def definition(group: str, *fields: str) -> str:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Thing", "plural": "things", "singular": "thing"}
    document = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }
    return yaml.safe_dump(document)


def test_crds_are_upgraded_where_asked_for(lab: Lab) -> None:
    """CRDs of a chart are never upgraded: #713."""
    group = f"{lab.namespace}.example.com"
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}"

    def fields() -> set[str]:
        return set(lab.kube.get(path)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"])

    try:
        lab.chart({"crds/thing.yaml": definition(group, "one")})
        assert lab.run(skip_crds=True).changed
        assert lab.kube.get(path) is None
        assert lab.run(upgrade_crds=True).changed
        assert fields() == {"one"}
        lab.chart({"crds/thing.yaml": definition(group, "one", "two")})
        planned = lab.run(check=True, upgrade_crds=True)
        assert planned.actions == {"CustomResourceDefinition": "update"}
        assert "two" in planned.text
        assert fields() == {"one"}
        assert lab.run(upgrade_crds=True).changed
        assert fields() == {"one", "two"}
        assert lab.run(upgrade_crds=True).counts[:2] == (False, 0)
    finally:
        lab.kube.send("DELETE", path)


def test_a_rollback(lab: Lab) -> None:
    """There is no rollback: helm/helm#31521. A second run does not roll back again."""
    for message in ("one", "two"):
        assert lab.run(values={"message": message}).changed
    back = {"chart": None, "rollback_to": 1}
    planned = lab.run(check=True, **back)
    assert planned.actions == {"ConfigMap": "update"}
    assert planned.after("ConfigMap")["data"] == {"message": "one"}
    assert lab.run(**back).result["steps"] == ["roll back to revision 1"]
    assert lab.config() == {"message": "one"}
    assert lab.run(**back).counts[:2] == (False, 0)
    assert lab.records()[3] == "deployed"
