# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import crds
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask


def crd(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}.e.com"},
        "spec": {"group": "e.com", "names": {"kind": name.title()}, "versions": [{"name": "v1"}, {"name": "v2"}]},
        **fields,
    }


def file(*names: str) -> bytes:
    return "\n---\n".join(json.dumps(crd(name)) for name in names).encode()


def chart(files: dict[str, bytes], **metadata: Any) -> Chart:
    head = json.dumps({"apiVersion": "v2", "name": "top", "version": "1.0.0", **metadata}).encode()
    return charts.of_files({"Chart.yaml": head, **files})


def below(name: str, folder: str = "", **metadata: Any) -> dict[str, bytes]:
    """A subchart as a folder, with one definition of its name."""
    head = json.dumps({"apiVersion": "v2", "name": name, "version": "1.0.0", **metadata}).encode()
    folder = f"charts/{folder or name}"
    return {f"{folder}/Chart.yaml": head, f"{folder}/crds/x.yaml": file(name)}


def names(chart: Chart, values: dict | None = None) -> list[str]:
    return [key.name.partition(".")[0] for key in crds.of_chart(chart, values or {})]


def test_those_of_the_chart_itself() -> None:
    found = chart({"crds/a.yaml": file("a", "b"), "crds/README.md": b"no", "templates/c.yaml": file("c")})
    assert names(found) == ["a", "b"]
    assert crds.versions(crds.of_chart(chart({"crds/a.yaml": file("a")}), {})) == [
        "e.com/v1",
        "e.com/v1/A",
        "e.com/v2",
        "e.com/v2/A",
    ]


def test_what_the_api_server_writes_is_left_out() -> None:
    document = crd("a", metadata={"name": "a.e.com", "creationTimestamp": None}, status={"conditions": []})
    found = crds.of_chart(chart({"crds/a.json": json.dumps(document).encode()}), {})
    assert list(found.values()) == [crd("a")]


def test_subcharts_as_folders_and_packages_and_below_each_other() -> None:
    inner = chart({"crds/x.yaml": file("packed"), **below("deep")})
    package = charts.archive(inner, {})
    files = {
        **below("sub"),
        "charts/packed-1.0.0.tgz": package,
        "charts/README.md": b"no chart",
        "charts/_off/Chart.yaml": b"name: off",
        "charts/_off/crds/x.yaml": file("off"),
        "charts/empty/values.yaml": b"",
    }
    assert sorted(names(chart(files))) == ["deep", "packed", "sub"]


@pytest.mark.parametrize(
    ("dependency", "values", "enabled"),
    [
        ({}, {}, True),
        ({"condition": "sub.enabled"}, {}, False),  # off by the chart's own values
        ({"condition": "sub.enabled"}, {"sub": {"enabled": True}}, True),
        ({"condition": "sub.none"}, {}, True),
        ({"condition": "sub.none, sub.enabled"}, {}, False),
        ({"condition": "sub.enabled.deeper"}, {}, True),
        ({"condition": "sub.text"}, {}, True),
        ({"tags": ["a"]}, {}, True),
        ({"tags": ["a"]}, {"tags": {"a": False}}, False),
        ({"tags": ["a", "b"]}, {"tags": {"a": False, "b": True}}, True),
        ({"tags": ["a"], "condition": "sub.enabled"}, {"tags": {"a": True}}, False),
    ],
)
def test_conditions_and_tags_decide_about_subcharts(dependency: dict, values: dict, enabled: bool) -> None:
    files = {**below("sub"), "values.yaml": b"sub: {enabled: false, text: x}"}
    top = chart(files, dependencies=[{"name": "sub", "version": "1.0.0", **dependency}])
    assert names(top, values) == (["sub"] if enabled else [])


def test_an_alias_has_its_own_values() -> None:
    files = {**below("sub"), "values.yaml": b"one: {}\ntwo: {}"}
    dependencies = [
        {"name": "sub", "alias": "one", "condition": "one.on"},
        {"name": "sub", "alias": "two", "condition": "two.on"},
    ]
    top = chart(files, dependencies=dependencies)
    assert names(top, {"one": {"on": False}, "two": {"on": False}}) == []
    assert names(top, {"one": {"on": False}, "two": {"on": True}}) == ["sub"]


class Server:
    """Answers an apply, then the reads that follow, one after the other."""

    def __init__(self, *answers: dict, refuse: bool = False) -> None:
        self.answers, self.refuse = list(answers), refuse
        self.calls: list[str] = []

    def list(self, path: str) -> list[dict]:
        self.calls.append(path)
        if self.refuse:
            raise PermissionDenied("no")
        return self.answers

    def apply(self, path: str, document: dict) -> dict:
        self.calls.append(path)
        return self.answers.pop(0)

    def get(self, path: str) -> dict:
        return self.apply(path, {})


READY = {"status": {"conditions": [{"type": "Established", "status": "True"}]}}
WAITS = {"status": {"conditions": [{"type": "NamesAccepted", "status": "False", "message": "the name is taken"}]}}


def test_reading_costs_one_list_or_none() -> None:
    wanted = crds.of_chart(chart({"crds/a.yaml": file("a", "b")}), {})
    server = Server(crd("a"))
    found = crds.read(server, wanted, required=True)
    assert ([key.name for key in found.missing], found.outdated) == (["b.e.com"], {})
    assert server.calls == [crds.PATH]
    assert crds.read(server, {}, required=True) == crds.Crds()
    assert len(server.calls) == 1
    assert len(crds.read(Server(refuse=True), wanted, required=False).missing) == 2
    with pytest.raises(PermissionDenied):
        crds.read(Server(refuse=True), wanted, required=True)


def test_what_the_api_server_adds_is_no_difference() -> None:
    wanted = crds.of_chart(chart({"crds/a.yaml": file("a")}), {})
    live = crd("a", status={"conditions": []})
    live["metadata"] = {**live["metadata"], "uid": "1", "annotations": {"mine": "1"}}
    live["spec"] = {**live["spec"], "conversion": {"strategy": "None"}}
    assert crds.Crds(wanted, {"a.e.com": live}).outdated == {}
    live["spec"] = {**live["spec"], "versions": [{"name": "v1"}]}
    found = crds.Crds(wanted, {"a.e.com": live})
    objects, diff = crds.changes(found, wanted, Mask())
    assert [(entry["name"], entry["part"], entry["action"]) for entry in objects] == [("a.e.com", "crd", "update")]
    assert "v2" not in diff[0]["before"]
    assert "v2" in diff[0]["after"]
    assert "conversion" not in diff[0]["before"]


def test_a_new_definition_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crds, "PAUSE_SECONDS", 0)
    server = Server({}, WAITS, READY)
    crds.apply(server, crd("a"), 60)
    assert server.calls == [f"{crds.PATH}/a.e.com"] * 3
    with pytest.raises(TimedOut, match="a.e.com is not established: the name is taken"):
        crds.apply(Server(WAITS), crd("a"), -1)
