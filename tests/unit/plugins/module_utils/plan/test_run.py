# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is applied is read with few requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.plan import plan as plans
from ansible_collections.orion.tracing.plugins.module_utils.plan import record as records
from ansible_collections.orion.tracing.plugins.module_utils.plan import run
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import Component, ComponentPlan, RoleCall
from ansible_collections.orion.tracing.plugins.module_utils.plan.consequences import (
    kept,
    of_cost,
    of_samplers,
    of_sampling,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import AppliedInputs
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import tracing_plan
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import DAYS_PER_MONTH
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import TOKEN, FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

RECORDING = Path(__file__).resolve().parents[5] / "tests/data/shop.jsonl.gz"
INPUTS = AppliedInputs("content", {"tempo_retention": "24h"})
WHERE = {"host": "edge1", "cluster": "shop", "namespace": "tracing", "api_server": "https://k8s.example"}


def record_of_release(name: str, revision: int, status: str = "deployed") -> dict[str, Any]:
    labels = {"owner": "helm", "name": name, "version": str(revision), "status": status}
    metadata = {"name": f"sh.helm.release.v1.{name}.v{revision}", "namespace": "tracing", "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"release": "never read"}}


def test_revisions_are_read_without_their_records() -> None:
    fake = FakeKube(
        record_of_release("tempo", 3), record_of_release("tempo", 2, "superseded"), record_of_release("c", 12)
    )
    assert run.read_revisions(fake.client(), ["tracing", "tracing"]) == {"tracing/tempo": 3, "tracing/c": 12}
    [asked] = fake.asked
    assert asked.headers["Accept"] == run.METADATA


@pytest.mark.parametrize("status", ["failed", "pending-upgrade", "uninstalling"])
def test_a_release_that_is_not_deployed_is_not_what_was_applied(status: str) -> None:
    fake = FakeKube(record_of_release("tempo", 3), record_of_release("tempo", 4, status))
    assert run.read_revisions(fake.client(), ["tracing"]) == {"tracing/tempo": -4}


def test_a_namespace_without_releases() -> None:
    fake = FakeKube()
    fake.on("GET .*/secrets$", {"kind": "PartialObjectMetadataList", "items": None})
    assert run.read_revisions(fake.client(), ["tracing"]) == {}


def test_a_refusal_is_an_error() -> None:
    fake = FakeKube()
    fake.refuse("GET .*/secrets$")
    with pytest.raises(PermissionDenied):
        run.read_revisions(fake.client(), ["tracing"])


def test_the_record_that_may_not_be_read_is_none() -> None:
    fake = FakeKube()
    fake.refuse("GET .*/secrets/")
    assert run.read_record(fake.client(), "tracing") is None


def test_the_record() -> None:
    record = records.of_inputs(INPUTS, "salt", {"tracing/tempo": 3, "monitoring/grafana": 1})
    fake = FakeKube(records.document("tracing", record))
    assert run.read_record(fake.client(), "tracing") == record
    assert len(fake.asked) == 1
    assert sorted(run.namespaces_of(record)) == ["monitoring", "tracing"] and run.namespaces_of(None) == []


@pytest.mark.parametrize(
    ("revisions", "applied"),
    [
        ({"tracing/tempo": 3}, True),
        ({"tracing/tempo": 3, "tracing/other": 1}, True),
        ({"tracing/tempo": 4}, False),
        ({"tracing/tempo": -3}, False),
        ({}, False),
        ({"tracing/tempo": 3, "tracing/trace-probe": 1}, False),  # which is to be absent
    ],
)
def test_releases_must_have_the_revisions_of_the_record(revisions: dict[str, int], applied: bool) -> None:
    record = records.of_inputs(INPUTS, "salt", {"tracing/tempo": 3, "tracing/trace-probe": 0})
    assert run.is_applied(record, INPUTS, revisions) is applied


def test_without_a_record_nothing_is_known() -> None:
    assert not run.is_applied(None, INPUTS, {})


# Systems beside the cluster


def planned(*calls: RoleCall) -> list[ComponentPlan]:
    planner = run.Planner(FakeKube().client(), {}, print, "ignore", lambda _options: Plan())
    return planner.plan([Component("grafana", calls)])


def test_grafana_is_planned_as_its_modules_do_and_never_written() -> None:
    fake = FakeGrafana()
    with fake.serving() as url:
        options = {"url": url, "token": TOKEN, "validate_certs": True, "timeout": 5, "state": "present"}
        sources = [{"name": "Tempo", "type": "tempo", "uid": "tempo", "url": "http://tempo:3200"}]
        model = {"uid": "overview", "title": "Overview", "panels": []}
        calls = (
            RoleCall("grafana_datasource", {**options, "datasources": sources, "secrets": "missing"}),
            RoleCall("grafana_folder", {**options, "uid": "tracing", "title": "Tracing", "parent_uid": None}),
            RoleCall(
                "grafana_dashboard",
                {
                    **options, "dashboards": [model], "paths": [], "inputs": {}, "folder_uid": "tracing",
                    "overwrite": False, "commit_message": "m",
                },
            ),
        )  # fmt: skip
        one = plans.of_components(planned(*calls), INPUTS, {}, WHERE, recorded=False)
        [component] = one["components"]
        assert component["action"] == "create" and one["apply"] == ["grafana"] and fake.writes == []
        assert [(item["action"], item["kind"], item["name"]) for item in component["objects"]] == [
            ("create", "Grafana", "data source tempo"),
            ("create", "Grafana", "folder tracing"),
            ("create", "Grafana", "dashboard overview"),
        ]
        # That the folder is not there yet is no news in a plan that makes it.
        assert [line for one in planned(*calls) for line in one.warnings] == []
        fake.add_source(**sources[0])
        fake.add_folder("tracing", "Another title")
        fake.add_dashboard(model, "tracing")
        changed = plans.of_components(planned(*calls), INPUTS, {}, WHERE, recorded=False)
        assert [item["name"] for item in changed["components"][0]["objects"]] == ["folder tracing"]
        assert changed["components"][0]["action"] == "change" and fake.writes == []
        fake.add_folder("tracing", "Tracing")
        assert plans.of_components(planned(*calls), INPUTS, {}, WHERE, recorded=False)["apply"] == []


def test_a_grafana_that_refuses_names_the_component() -> None:
    fake = FakeGrafana()
    with fake.serving() as url:
        options = {"url": url, "token": "wrong", "uid": "tracing", "title": "T", "parent_uid": None, "state": "present"}
        with pytest.raises(PermissionDenied) as caught:
            planned(RoleCall("grafana_folder", options))
    assert caught.value.details["component"] == "grafana" and "wrong" not in str(caught.value)


# What a change means


def variables(**changed: Any) -> dict[str, Any]:
    return {**role_defaults("tempo", "collector", "preflight.plan"), **changed}


def test_cost_and_bytes_of_a_longer_retention() -> None:
    lines = of_cost(variables(tracing_retention="24h", tempo_retention="24h"), variables(tempo_retention="720h"))
    assert [line.split(":")[0] for line in lines] == ["cost of the expected load", "traces in the bucket"]


def test_the_cost_is_the_planners_total() -> None:
    before, after = variables(tempo_retention="24h"), variables(tempo_retention="720h")
    [line, _stored] = of_cost(before, after)
    was, now = (tracing_plan(one)["cost"]["total"] / DAYS_PER_MONTH for one in (before, after))
    assert line == f"cost of the expected load: {was:,.2f} → {now:,.2f} USD a day (docs/capacity.md)"


def test_nothing_is_said_where_nothing_differs_or_before_is_not_known() -> None:
    assert of_cost(variables(), variables()) == []
    assert of_cost({}, variables()) == []
    assert of_sampling({}, variables(), "", print) == []
    assert of_sampling(variables(), variables(), "", print) == []


def test_fewer_samplers_are_emptied_first_or_lose_something() -> None:
    [line] = of_samplers({"collector_sampler_replicas": "4"}, {"collector_sampler_replicas": 3})
    assert line == (
        "samplers: 4 → 3; those that go end with what is in their queues, unless they are emptied first "
        "(playbooks/scale_samplers.yml -e sampler_replicas=3)"
    )
    for was, now in ((3, 3), (3, 4), (None, 2), (3, None), ("many", 2)):
        assert of_samplers({"collector_sampler_replicas": was}, {"collector_sampler_replicas": now}) == []


def test_policies_before_and_after_are_tried_on_a_recording() -> None:
    before, after = variables(collector_sampling_percentage=10), variables(collector_sampling_percentage=50)
    lines = of_sampling(before, after, str(RECORDING), lambda line: None)
    assert f"of {RECORDING}: traces kept: 23 % → 46 %" in lines
    assert of_sampling(before, after, "", print)[0].startswith("sampling changes; with simulate_path")


def test_lines_about_two_results() -> None:
    part = {"percentage": 10.0}
    results = [dict.fromkeys(("traces", "spans", "error_traces", "slow_traces"), part)] * 2
    assert kept(results)[0] == "traces kept: 10 % → 10 %"
