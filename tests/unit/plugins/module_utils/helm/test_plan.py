# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.errors import Conflict, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import render
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import (
    UNKNOWN,
    Current,
    Decision,
    Wanted,
    crd_versions,
    decide,
    make_plan,
    namespace_document,
    namespace_manager,
    plan_absent,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import History, Release
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Mask

CHART = charts.of_files({"Chart.yaml": b"name: c\nversion: 1.0.0\nappVersion: '2'", "templates/a.yaml": b"x"})
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '%s'}\n"
DEPLOYED = Release(
    name="r",
    namespace="ns",
    revision=4,
    status="deployed",
    manifest=CONFIG % "old",
    hooks=[],
    config={"a": 1},
    chart={
        "metadata": {"name": "c", "version": "1.0.0", "appVersion": "2", "apiVersion": "v1"},
        "templates": [{"name": "templates/a.yaml", "data": "eA=="}],
    },
    updated="2026-01-01T00:00:00Z",
)
WANTED = Wanted("r", "ns", values={"a": 1})
NEW = render.parse(CONFIG % "new")


def at(status: str, fallback: Release | None = None, **fields: object) -> Current:
    return Current(History(replace(DEPLOYED, status=status, **fields), fallback))


def plan_of(current: Current, wanted: Wanted, rendered: dict | None = NEW, chart: charts.Chart = CHART):
    decision = decide(current, wanted, chart)
    return make_plan(current, wanted, chart, decision, rendered if decision.render else None, Mask())


# What has to be rendered


def test_unchanged_needs_no_rendering() -> None:
    assert decide(at("deployed"), WANTED, CHART) == Decision()
    plan = plan_of(at("deployed"), WANTED)
    assert not plan.changed
    assert plan.result == {"objects": [], "release": DEPLOYED.summary()}
    assert plan.diff == []


@pytest.mark.parametrize("values", [{"a": "1"}, {"a": True}, {}, {"a": 1, "b": None}])
def test_other_values_are_a_change(values: dict) -> None:
    assert decide(at("deployed"), replace(WANTED, values=values), CHART) == Decision(render="upgrade", sure=True)


def test_values_equal_as_helm_stores_them() -> None:
    assert decide(at("deployed"), replace(WANTED, values={"a": 1.0}), CHART) == Decision()


def test_another_chart_is_a_change() -> None:
    chart = charts.of_files({**CHART.raw, "templates/a.yaml": b"y"})
    assert decide(at("deployed"), WANTED, chart) == Decision(render="upgrade", sure=True)


def test_subcharts_and_defaults_are_decided_by_rendering() -> None:
    for extra in ({"charts/s/Chart.yaml": b"name: s"}, {"values.yaml": b"b: 1"}):
        chart = charts.of_files({**CHART.raw, **extra})
        assert decide(at("deployed"), WANTED, chart) == Decision(render="upgrade", sure=False)
        assert not plan_of(at("deployed"), WANTED, render.parse(CONFIG % "old"), chart).changed
        assert plan_of(at("deployed"), WANTED, NEW, chart).changed


def test_first_install_is_rendered_by_helm_itself() -> None:
    assert decide(Current(History(), {"metadata": {}}), WANTED, CHART) == Decision(render="upgrade", sure=True)


def test_first_install_with_crds_is_rendered_without_the_server() -> None:
    chart = charts.of_files({**CHART.raw, "crds/w.yaml": b"kind: CustomResourceDefinition\nmetadata: {name: w}"})
    decision = decide(Current(History()), WANTED, chart)
    assert decision.render == "template"
    plan = plan_of(Current(History()), WANTED, NEW, chart)
    assert [(o["name"], o["part"]) for o in plan.result["objects"]] == [("w", "crd"), ("c", "manifest")]


def test_crd_versions() -> None:
    crd = b"kind: CustomResourceDefinition\nspec: {group: e.com, names: {kind: W}, versions: [{name: v1}, {name: v2}]}"
    chart = charts.of_files({**CHART.raw, "crds/w.yaml": crd})
    assert crd_versions(chart) == ["e.com/v1", "e.com/v1/W", "e.com/v2", "e.com/v2/W"]
    assert crd_versions(CHART) == []


# Releases that are not in order


def test_failed_releases_are_upgraded_replaced_or_refused() -> None:
    failed = at("failed", description="it broke")
    assert decide(failed, WANTED, CHART) == Decision(render="upgrade", sure=True)
    replacing = replace(WANTED, on_failed="replace")
    assert decide(failed, replacing, CHART) == Decision(uninstall=True, render="template", sure=True)
    assert [step.name for step in plan_of(failed, replacing).steps] == ["uninstall the unfinished release", "install"]
    assert plan_of(failed, replacing).result["release"]["revision"] == 1
    with pytest.raises(Conflict, match="revision 4 since 2026-01-01T00:00:00Z.*it broke.*on_failed"):
        decide(failed, replace(WANTED, on_failed="fail"), CHART)


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])
def test_pending_releases_are_refused_unless_told_otherwise(status: str) -> None:
    with pytest.raises(Conflict, match=f"{status}.*on_pending"):
        decide(at(status), WANTED, CHART)
    assert decide(at(status), replace(WANTED, on_pending="replace"), CHART).uninstall


def test_rollback_to_what_is_wanted_is_all() -> None:
    wanted = replace(WANTED, on_pending="rollback")
    current = at("pending-upgrade", replace(DEPLOYED, revision=3))
    assert decide(current, wanted, CHART) == Decision(rollback_to=3, sure=False)
    plan = plan_of(current, wanted)
    assert [step.name for step in plan.steps] == ["roll back to revision 3"]
    assert plan.steps[0].data.wait
    assert (plan.result["release"]["revision"], plan.result["release"]["status"]) == (5, "deployed")


def test_rollback_then_upgrade_waits_once() -> None:
    wanted = replace(WANTED, on_pending="rollback", values={"a": 2})
    current = at("pending-upgrade", replace(DEPLOYED, revision=3))
    assert decide(current, wanted, CHART) == Decision(rollback_to=3, render="template", sure=True)
    plan = plan_of(current, wanted)
    assert [(step.name, step.data.wait) for step in plan.steps] == [
        ("roll back to revision 3", False),
        ("upgrade", True),
    ]
    assert plan.result["release"]["revision"] == 6
    assert [o["action"] for o in plan.result["objects"]] == ["update"]


@pytest.mark.parametrize("status", ["pending-install", "uninstalling"])
def test_rollback_with_nothing_to_go_back_to_starts_afresh(status: str) -> None:
    plan = plan_of(at(status), replace(WANTED, on_pending="rollback"))
    assert [step.action for step in plan.steps] == ["uninstall", "upgrade"]


# The namespace


def namespace(labels: dict | None = None, owned: list[str] | None = None, **extra: object) -> dict:
    fields = [
        {
            "manager": namespace_manager(WANTED),
            "operation": "Apply",
            "fieldsV1": {"f:metadata": {"f:labels": {".": {}, **{f"f:{name}": {} for name in owned or []}}}},
        },
        {"manager": "kubectl", "operation": "Update"},
    ]
    return {"metadata": {"name": "ns", "labels": labels, "managedFields": fields if owned else None}, **extra}


def test_a_missing_namespace_is_refused_or_created() -> None:
    current = Current(History(), None)
    with pytest.raises(NotFound, match="create_namespace"):
        decide(current, WANTED, CHART)
    plan = plan_of(current, replace(WANTED, create_namespace=True, namespace_labels={"x": "y"}))
    assert [step.name for step in plan.steps] == ["create namespace ns", "install"]
    assert plan.diff[0]["before"] == ""
    assert "x: y" in plan.diff[0]["after"]
    assert [o["action"] for o in plan.result["objects"]] == ["create"]


def test_label_drift_is_repaired_without_helm() -> None:
    wanted = replace(WANTED, namespace_labels={"enforce": "restricted"})
    drifted = replace(at("deployed"), namespace=namespace({"enforce": "baseline", "other": "1"}))
    plan = plan_of(drifted, wanted)
    assert [step.name for step in plan.steps] == ["label namespace ns"]
    assert "baseline" in plan.diff[0]["before"]
    assert "other" not in plan.diff[0]["before"] + plan.diff[0]["after"]
    right = replace(at("deployed"), namespace=namespace({"enforce": "restricted", "other": "1"}))
    assert not plan_of(right, wanted).changed


def test_labels_that_are_no_longer_wanted_are_removed() -> None:
    current = replace(at("deployed"), namespace=namespace({"a": "1", "b": "2"}, owned=["a", "b"]))
    plan = plan_of(current, replace(WANTED, namespace_labels={"a": "1"}))
    assert "b: '2'" in plan.diff[0]["before"]
    assert "b:" not in plan.diff[0]["after"]
    assert not plan_of(current, WANTED).changed
    assert "labels" not in plan_of(current, replace(WANTED, namespace_labels={})).diff[0]["after"]


def test_a_namespace_that_is_going_away() -> None:
    current = Current(History(), namespace(status={"phase": "Terminating"}))
    with pytest.raises(Conflict, match="being deleted"):
        decide(current, WANTED, CHART)


def test_a_namespace_that_may_not_be_read_is_left_to_helm() -> None:
    assert [step.name for step in plan_of(Current(History(), UNKNOWN), WANTED).steps] == ["install"]


def test_namespace_document() -> None:
    assert namespace_document(WANTED)["metadata"] == {"name": "ns"}
    assert namespace_document(replace(WANTED, namespace_labels={"a": "b"}))["metadata"]["labels"] == {"a": "b"}


# Absent


def test_absent() -> None:
    wanted = replace(WANTED, state="absent", wait=False)
    plan = plan_absent(at("pending-install"), wanted, Mask())
    assert [(step.name, step.data.wait) for step in plan.steps] == [("uninstall", False)]
    assert [o["action"] for o in plan.result["objects"]] == ["delete"]
    gone = plan_absent(Current(History()), wanted, Mask())
    assert not gone.changed
    assert gone.result == {"objects": [], "release": plan.result["release"]}
