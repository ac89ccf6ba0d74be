# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import random
from dataclasses import replace

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import crds, documents, drift, release, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.decide import (
    UNKNOWN,
    CurrentRelease,
    ReleaseDecision,
    check,
    decide,
    is_pinned,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.dry_run import DryRun
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import Difference
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions, check_options
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import (
    make_plan,
    namespace_document,
    namespace_manager,
    plan_absent,
    rendered_of,
    serving,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import Source
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import History, Release

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
WANTED = ReleaseOptions("r", "ns", values={"a": 1})
NEW = render.parse(CONFIG % "new")


def at(status: str, fallback: Release | None = None, **fields: object) -> CurrentRelease:
    latest = replace(DEPLOYED, status=status, **fields)
    return CurrentRelease(History(latest, fallback, newest=latest.revision, deployed=4 if status == "deployed" else 0))


def plan_of(current: CurrentRelease, wanted: ReleaseOptions, rendered: dict | None = NEW, chart: charts.Chart = CHART):
    check(current, wanted)
    decision = decide(current, wanted, chart)
    objects = rendered if decision.render else None
    return make_plan(rendered_of(wanted, current, decision, chart, objects), Mask())


def how(current: CurrentRelease, wanted: ReleaseOptions, chart: charts.Chart | None) -> ReleaseDecision:
    """The decision without the number and labels of the revision."""
    return replace(decide(current, wanted, chart), revision=0, labels={})


# What has to be rendered


def test_unchanged_needs_no_rendering() -> None:
    assert how(at("deployed"), WANTED, CHART) == ReleaseDecision()
    plan = plan_of(at("deployed"), WANTED)
    assert not plan.changed
    assert plan.result == {"objects": [], "release": DEPLOYED.summary()}
    assert plan.diff == []


@pytest.mark.parametrize("values", [{"a": "1"}, {"a": True}, {}, {"a": 1, "b": None}])
def test_other_values_are_a_change(values: dict) -> None:
    assert how(at("deployed"), replace(WANTED, values=values), CHART) == ReleaseDecision(render="upgrade", sure=True)


def test_values_equal_as_helm_stores_them() -> None:
    assert how(at("deployed"), replace(WANTED, values={"a": 1.0}), CHART) == ReleaseDecision()


def test_another_chart_is_a_change() -> None:
    chart = charts.of_files({**CHART.raw, "templates/a.yaml": b"y"})
    assert how(at("deployed"), WANTED, chart) == ReleaseDecision(render="upgrade", sure=True)


def test_subcharts_and_defaults_are_decided_by_rendering() -> None:
    for extra in ({"charts/s/Chart.yaml": b"name: s"}, {"values.yaml": b"b: 1"}):
        chart = charts.of_files({**CHART.raw, **extra})
        assert how(at("deployed"), WANTED, chart) == ReleaseDecision(render="upgrade", sure=False)
        assert not plan_of(at("deployed"), WANTED, render.parse(CONFIG % "old"), chart).changed
        assert plan_of(at("deployed"), WANTED, NEW, chart).changed


def test_first_install_is_rendered_by_helm_itself() -> None:
    assert how(CurrentRelease(History(), {"metadata": {}}), WANTED, CHART) == ReleaseDecision(
        render="upgrade", sure=True
    )


CRD = b"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ws.e.com, creationTimestamp: null}
spec: {group: e.com, names: {kind: W, plural: ws}, versions: [{name: v1, served: true}]}
status: {}
"""
WITH_CRD = charts.of_files({**CHART.raw, "crds/w.yaml": CRD})
CHARTS_CRDS = crds.of_chart(WITH_CRD, {})


def with_crds(current: CurrentRelease, live: list[dict]) -> CurrentRelease:
    return replace(current, crds=crds.Crds(CHARTS_CRDS, {item["metadata"]["name"]: item for item in live}))


def live_crd(name: str = "v1") -> dict:
    spec = {"group": "e.com", "names": {"kind": "W", "plural": "ws"}, "versions": [{"name": name, "served": True}]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ws.e.com"},
        "spec": spec,
    }


def test_first_install_with_crds_is_rendered_without_the_server() -> None:
    current = with_crds(CurrentRelease(History()), [])
    assert decide(current, WANTED, WITH_CRD).render == "template"
    plan = plan_of(current, WANTED, NEW, WITH_CRD)
    assert [(o["name"], o["part"], o["action"]) for o in plan.result["objects"]] == [
        ("ws.e.com", "crd", "create"),
        ("c", "manifest", "create"),
    ]
    assert [step.name for step in plan.steps] == ["install"]


def test_first_install_with_crds_that_exist_is_a_dry_run() -> None:
    current = with_crds(CurrentRelease(History()), [live_crd("v0")])
    assert decide(current, WANTED, WITH_CRD).render == "upgrade"
    assert [o["part"] for o in plan_of(current, WANTED, NEW, WITH_CRD).result["objects"]] == ["manifest"]


STORED_CRD = {"name": "crds/w.yaml", "data": base64.b64encode(CRD).decode()}
UPGRADING = replace(WANTED, upgrade_crds=True)


def crd_release() -> CurrentRelease:
    return at("deployed", chart={**DEPLOYED.chart, "files": [STORED_CRD]})


def test_crds_that_differ_are_applied() -> None:
    current = with_crds(crd_release(), [live_crd("v0")])
    assert not plan_of(current, WANTED, chart=WITH_CRD).changed
    plan = plan_of(current, UPGRADING, chart=WITH_CRD)
    assert [step.name for step in plan.steps] == ["apply CRD ws.e.com"]
    assert plan.steps[0].data.objects == list(CHARTS_CRDS.values())
    assert [(o["part"], o["action"], o["namespace"]) for o in plan.result["objects"]] == [("crd", "update", "")]
    assert "v0" in plan.diff[0]["before"]
    assert "name: v1" in plan.diff[0]["after"]
    assert plan.diff[0]["after_header"] == "CustomResourceDefinition ws.e.com (CRD, server-side apply)"
    assert not plan_of(with_crds(crd_release(), [live_crd()]), UPGRADING, chart=WITH_CRD).changed


def test_crds_that_are_missing_are_applied_after_the_first_install() -> None:
    current = with_crds(crd_release(), [])
    plan = plan_of(current, UPGRADING, chart=WITH_CRD)
    assert [(o["part"], o["action"]) for o in plan.result["objects"]] == [("crd", "create")]
    changed = replace(UPGRADING, values={})
    assert decide(current, changed, WITH_CRD).render == "template"  # its templates may need what is yet to come
    first = plan_of(with_crds(CurrentRelease(History()), []), UPGRADING, NEW, WITH_CRD)
    assert [step.name for step in first.steps] == ["install"]


# Releases that are not in order


def test_failed_releases_are_upgraded_replaced_or_refused() -> None:
    failed = at("failed", description="it broke")
    assert how(failed, WANTED, CHART) == ReleaseDecision(render="upgrade", sure=True)
    replacing = replace(WANTED, on_failed="replace")
    assert how(failed, replacing, CHART) == ReleaseDecision(uninstall=True, render="template", sure=True)
    assert [step.name for step in plan_of(failed, replacing).steps] == ["uninstall the unfinished release", "install"]
    assert plan_of(failed, replacing).result["release"]["revision"] == 1
    with pytest.raises(Conflict, match="revision 4 since 2026-01-01T00:00:00Z.*it broke.*on_failed"):
        check(failed, replace(WANTED, on_failed="fail"))


def test_a_superseded_revision_whose_successor_is_gone_is_upgraded() -> None:
    superseded = at("superseded")
    check(superseded, replace(WANTED, on_failed="fail"))
    assert how(superseded, WANTED, CHART) == ReleaseDecision(render="upgrade", sure=True)


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])
def test_pending_releases_are_refused_unless_told_otherwise(status: str) -> None:
    with pytest.raises(Conflict, match=f"{status}.*on_pending"):
        check(at(status), WANTED)
    assert decide(at(status), replace(WANTED, on_pending="replace"), CHART).uninstall


def test_rollback_to_what_is_wanted_is_all() -> None:
    wanted = replace(WANTED, on_pending="rollback")
    current = at("pending-upgrade", replace(DEPLOYED, revision=3))
    assert how(current, wanted, CHART) == ReleaseDecision(rollback_to=3, sure=False)
    plan = plan_of(current, wanted)
    assert [step.name for step in plan.steps] == ["roll back to revision 3"]
    assert plan.steps[0].data.wait
    assert (plan.result["release"]["revision"], plan.result["release"]["status"]) == (5, "deployed")


def test_rollback_then_upgrade_waits_once() -> None:
    wanted = replace(WANTED, on_pending="rollback", values={"a": 2})
    current = at("pending-upgrade", replace(DEPLOYED, revision=3))
    assert how(current, wanted, CHART) == ReleaseDecision(rollback_to=3, render="template", sure=True)
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
    current = CurrentRelease(History(), None)
    with pytest.raises(NotFound, match="create_namespace"):
        check(current, WANTED)
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
    current = CurrentRelease(History(), namespace(status={"phase": "Terminating"}))
    with pytest.raises(Conflict, match="being deleted"):
        check(current, WANTED)


def test_a_namespace_that_may_not_be_read_is_left_to_helm() -> None:
    assert [step.name for step in plan_of(CurrentRelease(History(), UNKNOWN), WANTED).steps] == ["install"]


def test_namespace_document() -> None:
    assert namespace_document(WANTED)["metadata"] == {"name": "ns"}
    assert namespace_document(replace(WANTED, namespace_labels={"a": "b"}))["metadata"]["labels"] == {"a": "b"}


# Absent


def test_absent() -> None:
    wanted = replace(WANTED, state="absent", wait=False)
    plan = plan_absent(at("pending-install"), wanted, Mask())
    assert [(step.name, step.data.wait) for step in plan.steps] == [("uninstall", False)]
    assert [o["action"] for o in plan.result["objects"]] == ["delete"]
    gone = plan_absent(CurrentRelease(History()), wanted, Mask())
    assert not gone.changed
    assert gone.result == {"objects": [], "release": plan.result["release"]}


# The note about the chart's content, and the release's labels


def noted(chart: charts.Chart, **fields: object) -> CurrentRelease:
    return at("deployed", chart_digest=charts.content_digest(chart), **fields)


def test_a_chart_with_subcharts_that_is_noted_needs_no_rendering() -> None:
    chart = charts.of_files({**CHART.raw, "charts/s/Chart.yaml": b"name: s", "values.yaml": b"b: 1"})
    assert how(noted(chart), WANTED, chart) == ReleaseDecision()
    assert how(noted(chart), replace(WANTED, values={}), chart) == ReleaseDecision(render="upgrade", sure=True)
    other = charts.of_files({**chart.raw, "charts/s/Chart.yaml": b"name: s # changed"})
    assert how(noted(chart), WANTED, other) == ReleaseDecision(render="upgrade", sure=False)


def test_the_note_says_which_revision_it_is_about() -> None:
    digest = charts.content_digest(CHART)
    changed = replace(WANTED, values={"a": 2}, on_pending="rollback", on_failed="replace")
    deployed = replace(DEPLOYED, revision=3)
    for current, revision in (
        (at("deployed"), 5),
        (at("pending-upgrade", deployed), 6),
        (at("failed"), 1),
        (CurrentRelease(History()), 1),
        (CurrentRelease(History(newest=7)), 8),  # uninstalled with --keep-history
    ):
        decision = decide(current, changed, CHART)
        assert decision.revision == revision
        assert decision.labels == {release.CHART_LABEL: f"{revision}.{digest}"}


def test_labels_are_exact_when_given_and_left_alone_otherwise() -> None:
    current = at("deployed", labels={"team": "a", "old": "1"})
    assert not plan_of(current, WANTED).changed
    assert not plan_of(current, replace(WANTED, labels={"old": "1", "team": "a"})).changed
    wanted = replace(WANTED, labels={"team": "b"})
    plan = plan_of(current, wanted, render.parse(CONFIG % "old"))
    assert [step.name for step in plan.steps] == ["upgrade"]
    given = plan.steps[0].data.labels
    assert {name: text for name, text in given.items() if name != release.CHART_LABEL} == {"old": None, "team": "b"}
    assert plan.diff == [
        {
            "before_header": "Release ns/r (labels)",
            "after_header": "Release ns/r (labels)",
            "before": "old: '1'\nteam: a\n",
            "after": "team: b\n",
        }
    ]


# Charts from elsewhere


def test_a_pinned_chart_that_is_deployed_need_not_be_looked_at() -> None:
    wanted = replace(WANTED, source=Source("c", "https://charts.example.com", "1.0.0"))
    assert is_pinned(at("deployed"), wanted)
    assert how(at("deployed"), wanted, None) == ReleaseDecision()
    assert not plan_of(at("deployed"), wanted, None, None).changed
    for other in (
        replace(wanted, values={}),
        replace(wanted, labels={"a": "b"}),
        replace(wanted, post_renderer="p"),
        replace(wanted, source=Source("c", "https://charts.example.com", "1.0.1")),
        replace(wanted, source=Source("d", "https://charts.example.com", "1.0.0")),
        replace(wanted, source=Source("https://charts.example.com/c-1.0.0.tgz", chart_version="1.0.0")),
    ):
        assert not is_pinned(at("deployed"), other)
    assert not is_pinned(at("failed"), wanted)
    assert not is_pinned(CurrentRelease(History()), wanted)


def test_crds_of_subcharts_need_the_chart() -> None:
    wanted = replace(UPGRADING, source=Source("oci://r.example.com/c", chart_version="v1.0.0"))
    assert is_pinned(at("deployed"), wanted)
    metadata = {**DEPLOYED.chart["metadata"], "dependencies": [{"name": "s"}]}
    assert not is_pinned(at("deployed", chart={**DEPLOYED.chart, "metadata": metadata}), wanted)


def test_a_post_renderer_is_run_every_time_and_decides() -> None:
    wanted = replace(WANTED, post_renderer="p")
    assert how(at("deployed"), wanted, CHART) == ReleaseDecision(render="upgrade", sure=False)
    assert not plan_of(at("deployed"), wanted, render.parse(CONFIG % "old")).changed
    assert plan_of(at("deployed"), wanted).changed


# Back to a revision

BACK = ReleaseOptions("r", "ns", rollback_to=2)


def back(target: Release | None, status: str = "deployed") -> CurrentRelease:
    latest = replace(DEPLOYED, status=status)
    return CurrentRelease(History(latest, target=target, newest=4, revisions=(2, 4)))


def test_rollback_to() -> None:
    target = replace(DEPLOYED, revision=2, manifest=CONFIG % "older")
    plan = plan_of(back(target), BACK, None, None)
    assert [(step.name, step.data.revision, step.data.repair) for step in plan.steps] == [
        ("roll back to revision 2", 2, False)
    ]
    assert "a: old" in plan.diff[0]["before"]
    assert "a: older" in plan.diff[0]["after"]
    summary = plan.result["release"]
    assert (summary["revision"], summary["status"], summary["description"]) == (5, "deployed", "Rollback to 2")


def test_rollback_to_what_serves_already_changes_nothing() -> None:
    assert not plan_of(back(replace(DEPLOYED, revision=2, status="superseded")), BACK, None, None).changed
    for other in ({"config": {"a": 2}}, {"chart": {}}):
        assert plan_of(back(replace(DEPLOYED, revision=2, **other)), BACK, None, None).changed
    assert plan_of(back(replace(DEPLOYED, revision=2), "failed"), BACK, None, None).changed


def test_rollback_to_what_is_not_there() -> None:
    with pytest.raises(NotFound, match="no revision 2.*helm keeps 2, 4"):
        check(back(None), BACK)
    with pytest.raises(NotFound, match="does not exist"):
        check(CurrentRelease(History()), BACK)
    pending = back(DEPLOYED, "pending-upgrade")
    with pytest.raises(Conflict, match="on_pending"):
        check(pending, BACK)
    assert decide(pending, replace(BACK, on_pending="rollback"), None).rollback_to


# Drift


def drifted(action: str = "changed", confirmed: bool = True) -> drift.DriftReport:
    key, document = next(iter(render.parse(CONFIG % "old").items()))
    differences = (Difference(("data", "a"), "old", "by hand"),) if action == "changed" else ()
    found = drift.Drifted(key._replace(namespace="ns"), action, document, "", differences, (), confirmed)
    return drift.DriftReport([found], [drift.Unreadable("Widget", "e.com/v1", "ns", "forbidden")])


def drift_plan(wanted: ReleaseOptions, report: drift.DriftReport, current: CurrentRelease | None = None):
    current = current or at("deployed", apply_method="ssa")
    decision = decide(current, wanted, CHART)
    rendered = rendered_of(wanted, current, decision, CHART, NEW if decision.render else None)
    return make_plan(rendered, Mask(), report=report)


def test_drift_is_reported_without_a_change() -> None:
    plan = drift_plan(replace(WANTED, drift="report"), drifted())
    assert not plan.changed
    assert [(entry["name"], entry["action"]) for entry in plan.result["drift"]] == [("c", "changed")]
    assert plan.result["objects"] == []
    assert "by hand" in plan.diff[0]["before"]
    assert "forbidden" in plan.warnings[0]


@pytest.mark.parametrize(("method", "force"), [("ssa", True), ("csa", False), ("", False)])
def test_drift_is_repaired_with_the_same_content(method: str, force: bool) -> None:
    plan = drift_plan(replace(WANTED, drift="repair"), drifted(), at("deployed", apply_method=method))
    assert [(step.name, step.action) for step in plan.steps] == [("repair drift", "rollback")]
    operation = plan.steps[0].data
    assert (operation.revision, operation.repair, operation.force, operation.wait) == (4, True, force, True)
    assert [(o["name"], o["action"]) for o in plan.result["objects"]] == [("c", "update")]
    assert (plan.result["release"]["revision"], plan.result["release"]["description"]) == (5, "Rollback to 4")


def test_custom_resources_that_helm_would_leave_are_put_back_apart() -> None:
    wanted = replace(WANTED, drift="repair")
    report = drifted()
    custom = replace(
        report.drifted[0],
        key=report.drifted[0].key._replace(group="e.com", kind="Widget"),
        document={"apiVersion": "e.com/v1", "kind": "Widget", "metadata": {"name": "c"}},
    )

    def steps(found: list[drift.Drifted], method: str) -> list[str]:
        plan = drift_plan(wanted, drift.DriftReport(found), at("deployed", apply_method=method))
        assert len(plan.result["objects"]) == len(found)
        return [step.name for step in plan.steps]

    assert steps([custom], "ssa") == ["repair drift"]
    assert steps([custom], "") == ["put back Widget c"]
    assert steps([*report.drifted, custom], "csa") == ["repair drift", "put back Widget c"]
    assert steps([replace(custom, action="missing")], "") == ["repair drift"]


def test_custom_resources_that_helm_3_leaves_are_put_back_apart() -> None:
    custom = {"apiVersion": "e.com/v1", "kind": "W", "metadata": {"name": "w"}, "spec": {"a": 1}}
    found = drift.Drifted(render.key_of(custom), "changed", custom, "/w", (Difference(("spec", "a"), 1, 2),))
    wanted, report = replace(WANTED, drift="repair"), drift.DriftReport([found])
    alone = drift_plan(wanted, report, at("deployed"))
    assert [(step.name, step.action, step.data) for step in alone.steps] == [("put back W w", "put back", found)]
    assert alone.result["release"]["revision"] == 4
    both = drift_plan(wanted, drift.DriftReport([*drifted().drifted, found]), at("deployed"))
    assert [step.name for step in both.steps] == ["repair drift", "put back W w"]
    assert [step.name for step in drift_plan(wanted, report).steps] == ["repair drift"]  # Helm 4 does it all


def test_what_is_missing_is_created() -> None:
    plan = drift_plan(replace(WANTED, drift="repair"), drifted("missing"))
    assert [o["action"] for o in plan.result["objects"]] == ["create"]


def test_an_upgrade_repairs_on_the_way() -> None:
    plan = drift_plan(replace(WANTED, drift="repair", values={}), drifted())
    assert [(step.name, step.data.force) for step in plan.steps] == [("upgrade", True)]
    assert len(plan.result["objects"]) == 1
    report = drift_plan(replace(WANTED, drift="report", values={}), drifted())
    assert not report.steps[0].data.force


def test_no_drift_and_what_is_not_confirmed_are_left_alone() -> None:
    wanted = replace(WANTED, drift="repair")
    assert not drift_plan(wanted, drift.DriftReport()).changed
    plan = drift_plan(wanted, drifted(confirmed=False))
    assert (plan.changed, len(plan.result["drift"])) == (False, 1)


# Tests

TEST_HOOK = "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n"


def with_test(phase: str) -> CurrentRelease:
    hook = {"manifest": TEST_HOOK, "events": ["test"], "last_run": {"phase": phase}}
    return at("deployed", hooks=[hook])


def test_tests_follow_a_change() -> None:
    wanted = replace(WANTED, test=True)
    plan = plan_of(at("deployed"), replace(wanted, values={}), render.parse(CONFIG % "new" + "---\n" + TEST_HOOK))
    assert [step.name for step in plan.steps] == ["upgrade", "test"]
    assert [item["metadata"]["name"] for item in plan.steps[1].data.objects] == ["t"]
    assert plan.result["test"] == []
    assert not plan_of(with_test("Succeeded"), wanted).changed
    assert not plan_of(with_test(""), wanted).changed
    assert [step.name for step in plan_of(with_test("Failed"), wanted).steps] == ["test"]
    assert not plan_of(with_test("Failed"), WANTED).changed


def test_a_chart_without_tests_says_so() -> None:
    plan = plan_of(at("deployed"), replace(WANTED, test=True, values={}))
    assert [step.name for step in plan.steps] == ["upgrade"]
    assert "no test hooks" in plan.warnings[0]
    assert plan_of(at("deployed"), replace(WANTED, test=True)).warnings == []


# Size


def test_a_record_that_no_secret_can_hold() -> None:
    noise = random.Random(1).randbytes(900_000)
    chart = charts.of_files({**CHART.raw, "files/big.bin": noise, "files/small.txt": b"x"})
    with pytest.raises(
        InvalidInput, match=r"takes about 1\d{3} KiB.*holds 1024 KiB.*: files/big\.bin \(879 KiB\)\. Keep"
    ):
        release.check_size(charts.record_of(chart, WANTED.values, CONFIG), str(WANTED))
    release.check_size(charts.record_of(CHART, WANTED.values, CONFIG), str(WANTED))


# Options that contradict each other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upgrade_crds": True, "skip_crds": True}, "upgrade_crds and skip_crds"),
        ({"wait_for_jobs": True, "wait": False}, "wait_for_jobs"),
        ({"post_renderer_args": ("a",)}, "post_renderer_args"),
        ({"labels": {"owner": "me"}}, "labels: owner is reserved"),
        ({"labels": {"orion.tracing/chart": "x"}}, "reserved"),
        ({"labels": {"a": "null"}}, "labels: a is null"),
        ({"rollback_to": 0}, "not a revision"),
        ({"rollback_to": 1}, "rollback_to and values"),
        ({"rollback_to": 1, "values": {}, "upgrade_crds": True}, "rollback_to and upgrade_crds"),
    ],
)
def test_options_that_contradict_each_other(options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_options(replace(WANTED, **options))


def test_options_that_do_not() -> None:
    check_options(replace(WANTED, labels={"a": "b"}, wait_for_jobs=True, post_renderer="p", post_renderer_args=("a",)))
    check_options(BACK)


def test_which_revision_serves() -> None:
    assert serving(History(), WANTED, "") == "release ns/r is not installed now"
    now = History(replace(DEPLOYED, description="Rollback to 2"), newest=4, deployed=4)
    assert serving(now, WANTED, "it broke") == "release ns/r is now at revision 4, deployed (Rollback to 2)"
    failed = History(
        replace(DEPLOYED, status="failed", description='Upgrade "r" failed: it broke'), newest=4, deployed=3
    )
    noted = 'failed (Upgrade "r" failed: it broke)'
    assert serving(failed, WANTED, "").endswith(f"{noted}; revision 3 was the last to be deployed")
    assert serving(replace(failed, deployed=0), WANTED, "").endswith(noted)
    assert serving(failed, WANTED, "UPGRADE FAILED: it broke").endswith(
        "4, failed; revision 3 was the last to be deployed"
    )


# A change that no object shows


def record_of(plan) -> tuple[dict, dict]:
    (entry,) = plan.diff
    assert entry["before_header"] == "Release ns/r (record)"
    return documents.load(entry["before"]), documents.load(entry["after"])


def test_a_chart_version_that_no_object_shows_is_in_the_diff() -> None:
    chart = charts.of_files({**CHART.raw, "Chart.yaml": b"name: c\nversion: 1.0.1\nappVersion: '3'"})
    before, after = record_of(plan_of(at("deployed"), WANTED, render.parse(CONFIG % "old"), chart))
    assert before == {"chart": "c 1.0.0", "app version": "2", "status": "deployed"}
    assert after == {
        "chart": "c 1.0.1",
        "app version": "3",
        "status": "deployed",
        "changed files of the chart": ["Chart.yaml"],
    }


def test_values_that_no_object_shows_are_named_and_not_shown() -> None:
    current = at("deployed", config={"a": 1, "deep": {"same": 1, "gone": "value-of-before"}})
    wanted = replace(WANTED, values={"a": 1, "deep": {"same": 1.0, "new": "value-of-now"}})
    plan = plan_of(current, wanted, render.parse(CONFIG % "old"))
    before, after = record_of(plan)
    assert sorted(before["values"]) == ["deep.gone"] and sorted(after["values"]) == ["deep.new"]
    assert before["values"]["deep.gone"].startswith("digest:")
    assert "value-of" not in str(plan.diff)


def test_a_failed_release_that_is_upgraded_to_the_same_shows_its_state() -> None:
    before, after = record_of(plan_of(at("failed"), WANTED, render.parse(CONFIG % "old")))
    assert (before["status"], after["status"]) == ("failed", "deployed")


def test_a_rollback_to_the_same_content_shows_the_revision() -> None:
    current = at("deployed", replace(DEPLOYED, revision=3), labels={"a": "b"})
    history = replace(current.history, target=replace(DEPLOYED, revision=3, config={"a": 1, "b": 2}))
    plan = plan_of(CurrentRelease(history), replace(WANTED, values={}, rollback_to=3))
    _before, after = record_of(plan)
    assert after["values"].keys() == {"b"}


def test_the_record_is_shown_only_where_nothing_else_is() -> None:
    assert [entry["after_header"] for entry in plan_of(at("deployed"), replace(WANTED, values={})).diff] == [
        "ConfigMap ns/c"
    ]
    gone = plan_absent(at("failed", manifest=""), WANTED, Mask())
    assert record_of(gone) == ({"chart": "c 1.0.0", "app version": "2", "status": "failed"}, None)


# A release whose objects were never applied


FAILED_HOOK = 'Release "r" failed: failed pre-install: 1 error occurred:\n\t* job h failed'


def test_after_a_hook_that_failed_before_the_install_everything_is_yet_to_be_created() -> None:
    plan = plan_of(at("failed", description=FAILED_HOOK), WANTED, render.parse(CONFIG % "old"))
    assert [entry["action"] for entry in plan.result["objects"]] == ["create"]
    assert plan.diff[0]["before"] == ""


def test_after_a_hook_that_failed_before_an_upgrade_the_deployed_revision_counts() -> None:
    failed = 'Upgrade "r" failed: pre-upgrade hooks failed: job h failed'
    current = at("failed", replace(DEPLOYED, revision=3), description=failed, manifest=CONFIG % "never there")
    plan = plan_of(current, WANTED)
    assert [entry["action"] for entry in plan.result["objects"]] == ["update"]
    assert "a: old" in plan.diff[0]["before"] and "a: new" in plan.diff[0]["after"]
    applied = at("failed", description='Upgrade "r" failed: timed out', manifest=CONFIG % "half there")
    assert "a: half there" in plan_of(applied, WANTED).diff[0]["before"]


# Objects that are taken over


def test_the_diff_says_whose_an_object_was() -> None:
    wanted = replace(WANTED, take_ownership=True)
    current = CurrentRelease(History(), {"metadata": {}})
    live = next(iter(render.parse(CONFIG % "theirs").values()))
    annotations = {"meta.helm.sh/release-name": "a", "meta.helm.sh/release-namespace": "other"}
    live = {**live, "metadata": {**live["metadata"], "uid": "1", "annotations": annotations}}
    (key,) = NEW
    rendered = rendered_of(wanted, current, decide(current, wanted, CHART), CHART, NEW)
    plan = make_plan(rendered, Mask(), DryRun({key: live}))
    (entry,) = plan.diff
    assert entry["after_header"] == "ConfigMap ns/c (taken over from release other/a)"
    assert "a: theirs" in entry["before"] and "release-name: a" in entry["before"]
    assert "a: new" in entry["after"] and "release-name: r" in entry["after"]
    assert [item["action"] for item in plan.result["objects"]] == ["update"]
    plan = make_plan(rendered, Mask(), DryRun({key: {**live, "metadata": {"name": "c"}}}))
    assert plan.diff[0]["after_header"] == "ConfigMap ns/c (taken over, belongs to no release)"


# What others added


def added_to(report: drift.DriftReport) -> drift.DriftReport:
    extra = (Difference(("data", "extra"), None, "x"),)
    return replace(report, drifted=[replace(item, added=extra) for item in report.drifted])


def test_what_was_added_is_removed_before_helm_runs() -> None:
    repair = replace(WANTED, drift="repair", drift_added=True)
    report = added_to(drifted())
    assert [step.action for step in drift_plan(repair, report).steps] == ["remove added", "rollback"]
    changed = replace(repair, values={"a": 2})
    assert [step.action for step in drift_plan(changed, report).steps] == ["remove added", "upgrade"]
    only = replace(report, drifted=[replace(item, differences=()) for item in report.drifted])
    plan = drift_plan(repair, only)
    assert [step.name for step in plan.steps] == ["remove what was added to ConfigMap c"]
    assert plan.result["release"]["revision"] == 4
    assert "extra: x" in plan.diff[0]["before"] and "extra" not in plan.diff[0]["after"]
    assert drift_plan(replace(repair, drift="report"), only).steps == []


def test_objects_that_are_being_deleted_are_a_warning() -> None:
    report = drift.DriftReport(deleting=["ConfigMap ns/c is being deleted since 2026"])
    assert (
        "ConfigMap ns/c is being deleted since 2026" in drift_plan(replace(WANTED, drift="report"), report).warnings[0]
    )


# Numbers


def test_integers_that_helm_rounds_are_unchanged_and_a_warning() -> None:
    number = 901234567890123457
    plan = plan_of(at("deployed", config={"a": float(number)}), replace(WANTED, values={"a": number}))
    assert not plan.changed
    assert "values: a is an integer that Helm rounds" in plan.warnings[0]
    assert plan_of(at("deployed"), replace(WANTED, values={"a": 1})).warnings == []
