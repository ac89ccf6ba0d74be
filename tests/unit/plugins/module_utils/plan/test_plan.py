# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of all components: as data, as text, and as a file that must still fit."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.plan import plan as plans
from ansible_collections.orion.tracing.plugins.module_utils.plan import text
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import (
    BUCKET,
    RELEASE,
    WORKLOADS,
    Component,
    ComponentPlan,
    PlannedCall,
    RoleCall,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import AppliedInputs

WHERE = {"host": "edge1", "cluster": "shop", "namespace": "tracing", "api_server": "https://k8s.example"}
INPUTS = AppliedInputs("content", {"tracing_retention": "24h", "object_storage_secret_key": "s"}, frozenset({"x_key"}))


def release(name: str, *objects: dict[str, Any], step: str = "upgrade", state: str = "present") -> ComponentPlan:
    call = RoleCall(RELEASE, {"release_name": name, "release_namespace": "tracing", "release_state": state})
    summary = {"name": name, "namespace": "tracing", "revision": 4, "status": "deployed"}
    steps = [Step(step, step)] if objects else []
    plan = Plan(steps, result={"release": summary, "objects": list(objects)})
    return ComponentPlan(Component(name, (call,)), (PlannedCall(call, plan),))


def item(action: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "kind": kind, "name": name, "namespace": "tracing", **more}


RESTARTS = {"pods": 3, "because": ["annotations.checksum/config"]}
TEMPO = release(
    "tempo", item("update", "ConfigMap", "config"), item("update", "StatefulSet", "ingester", restarts=RESTARTS)
)


def made(*components: ComponentPlan, **changed: Any) -> dict[str, Any]:
    return plans.of_components(components or (TEMPO,), INPUTS, changed, WHERE, recorded=True)


def test_only_what_changes_is_applied() -> None:
    plan = made(TEMPO, release("collector"))
    assert plan["apply"] == ["tempo"] and plan["changed"]
    assert [one["action"] for one in plan["components"]] == ["change", "none"]
    assert plan["totals"] == {"create": 0, "change": 2, "remove": 0, "pods_replaced": 3, "drifted": 0}


def test_a_component_that_finds_out_itself_is_applied_and_named() -> None:
    plan = made(ComponentPlan(Component("object_storage", (), "not planned: make tempo's iam role")))
    assert plan["apply"] == ["object_storage"] and not plan["changed"]
    assert text.summary(plan) == "Nothing is going to change. object_storage will see when it runs."


def test_text_names_objects_pods_and_variables() -> None:
    plan = made(TEMPO, tracing_retention=("24h", "48h"))
    plan["consequences"] = ["cost of the expected load: 1.00 → 2.00 USD a day"]
    assert text.render(plan).splitlines() == [
        "Plan for edge1: shop, namespace tracing at https://k8s.example",
        "",
        "  ~ tempo (release tracing/tempo, revision 4)",
        "      ~ ConfigMap tracing/config",
        "      ~ StatefulSet tracing/ingester",
        "          replaces 3 pods: annotations.checksum/config",
        "",
        "  Variables:",
        '    tracing_retention: "24h" → "48h"',
        "",
        "  What it means:",
        "    cost of the expected load: 1.00 → 2.00 USD a day",
        "",
        "  Plan: 2 to change; 3 pods are replaced.",
    ]


def test_first_installation_and_removal() -> None:
    first = release("tempo", item("create", "ConfigMap", "config"), step="install")
    gone = release("trace-probe", item("delete", "CronJob", "probe"), step="uninstall", state="absent")
    plan = made(first, gone)
    assert [one["action"] for one in plan["components"]] == ["create", "remove"]
    lines = text.render(plan)
    assert "  + tempo" in lines and "  - trace-probe" in lines and "      - CronJob tracing/probe" in lines
    assert lines.endswith("Plan: 1 to create, 1 to remove; 0 pods are replaced.")


def test_the_bucket_and_workloads() -> None:
    bucket = RoleCall(BUCKET, {"name": "traces"})
    steps = [Step("create bucket", "bucket"), Step("put lifecycle", "lifecycle_rules")]
    diff = [diff_entry("traces: bucket", "", "name: traces\n"), diff_entry("traces: lifecycle_rules", "a", "b")]
    workloads = RoleCall(WORKLOADS, {})
    rows = [
        {"kind": "Deployment", "namespace": "shop", "name": "orders", "pods": 2, "action": "instrument"},
        {"kind": "Deployment", "namespace": "shop", "name": "prices", "pods": 1, "action": "none"},
    ]
    plan = made(
        ComponentPlan(Component("object_storage", (bucket,)), (PlannedCall(bucket, Plan(steps, diff)),)),
        ComponentPlan(
            Component("instrumentation", (workloads,)),
            (PlannedCall(workloads, Plan([Step("instrument", "x")], result={"workloads": rows})),),
        ),
    )
    first, second = plan["components"]
    assert [(one["action"], one["name"]) for one in first["objects"]] == [
        ("create", "traces"),
        ("change", "traces: lifecycle_rules"),
    ]
    assert [one["name"] for one in second["objects"]] == ["shop/orders"]
    assert plan["totals"]["pods_replaced"] == 2


def test_drift_is_shown_where_nothing_changes() -> None:
    component = release("tempo")
    drift = {
        "kind": "Deployment",
        "namespace": "tracing",
        "name": "d",
        "action": "changed",
        "fields": [{"path": "spec.x"}],
    }
    component.planned[0].plan.result["drift"] = [drift]
    plan = made(component)
    assert not plan["changed"] and plan["totals"]["drifted"] == 1
    assert "      drifted: Deployment tracing/d (changed: spec.x)" in text.render(plan)
    assert text.summary(plan) == "Nothing is going to change. 1 object has drifted."


def test_secret_variables_have_no_value() -> None:
    plan = plans.of_components(
        [TEMPO], AppliedInputs("c", {"k": "s"}, frozenset({"k"})), {"k": ("d1", "d2")}, WHERE, True
    )
    assert plan["variables"] == [{"name": "k", "before": "(secret)", "after": "(secret)"}]
    assert "k" not in plan["inputs"]["variables"]


def test_long_values_are_shortened() -> None:
    plan = made(TEMPO, policies=([], ["x" * 500]))
    assert len(plan["variables"][0]["after"]) == plans.LONGEST


# A saved plan


def test_the_same_plan_fits() -> None:
    plans.check_saved(made(), made(), "tracing_plan_file plan.json")


def test_what_the_mask_hides_differs_from_run_to_run() -> None:
    other = release(
        "tempo",
        item("update", "ConfigMap", "config"),
        item("update", "StatefulSet", "ingester", restarts={"pods": 3, "because": ["digest:2"]}),
    )
    plans.check_saved(made(), made(other), "tracing_plan_file plan.json")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("host", "another inventory host: it is for edge1, and this run is for other"),
        ("cluster", "another cluster (tracing_cluster_name)"),
        ("api_server", "another API server"),
        ("namespace", "another namespace (tracing_namespace)"),
    ],
)
def test_the_plan_of_another_target_is_refused(key: str, said: str) -> None:
    with pytest.raises(Conflict) as refused:
        plans.check_saved(made(), {**made(), key: "other"}, "tracing_plan_file plan.json")
    assert said in str(refused.value) and "tracing_plan_file plan.json" in str(refused.value)


def test_other_variables_are_named() -> None:
    now = plans.of_components([TEMPO], AppliedInputs("content", {"tracing_retention": "48h"}), {}, WHERE, True)
    with pytest.raises(Conflict, match="other values: object_storage_secret_key, tracing_retention"):
        plans.check_saved(made(), now, "tracing_plan_file plan.json")


def test_another_state_of_the_cluster_is_named() -> None:
    with pytest.raises(Conflict, match="tempo is no longer what it was when the plan was made"):
        plans.check_saved(
            made(), made(release("tempo", item("update", "ConfigMap", "c"))), "tracing_plan_file plan.json"
        )


def test_another_collection_and_other_components() -> None:
    now = plans.of_components([release("grafana")], AppliedInputs("newer", INPUTS.variables), {}, WHERE, True)
    with pytest.raises(Conflict) as refused:
        plans.check_saved(made(), now, "tracing_plan_file plan.json")
    for said in ("the collection is another one", "grafana was not in it", "tempo is not in this run"):
        assert said in str(refused.value)


@pytest.mark.parametrize("saved", [None, [], {}, {"format": 0}])
def test_a_file_that_is_no_plan(saved: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a plan of this version"):
        plans.check_saved(saved, made(), "tracing_plan_file plan.json")


def test_unchanged_has_the_same_keys() -> None:
    assert plans.unchanged(WHERE, ["tempo"], INPUTS).keys() == made().keys()
