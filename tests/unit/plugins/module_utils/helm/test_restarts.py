# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm.restarts import of_update


def workload(template: dict[str, Any], kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "spec": {"replicas": 3, "template": template, **spec}}


def container(image: str, **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "tempo", "image": image, **more}]}}


def test_an_image_is_named_with_its_values() -> None:
    found = of_update(workload(container("tempo:1")), workload(container("tempo:2")))
    assert found == {"pods": 3, "because": ["containers.tempo.image: tempo:1 → tempo:2"]}


def test_other_fields_are_named_without_values() -> None:
    before = workload({"metadata": {"annotations": {"checksum/config": "a"}}, **container("t", args=["-x"])})
    after = workload({"metadata": {"annotations": {"checksum/config": "b"}}, **container("t", args=["-y"])})
    found = of_update(before, after)
    assert found is not None
    assert found["because"] == ["annotations.checksum/config", "containers.tempo.args"]


def test_more_pods_are_no_restart() -> None:
    template = container("t")
    assert of_update(workload(template), workload(template, replicas=5)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"kind": "ConfigMap", "data": {"a": "1"}}, {"kind": "ConfigMap", "data": {"a": "2"}}),
        (
            workload(container("1"), "StatefulSet", updateStrategy={"type": "OnDelete"}),
            workload(container("2"), "StatefulSet", updateStrategy={"type": "OnDelete"}),
        ),
    ],
)
def test_no_pod_is_replaced(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert of_update(before, after) is None


def test_the_number_of_pods_may_be_unknown() -> None:
    found = of_update(workload(container("1"), replicas=None), workload(container("2"), replicas=None))
    assert found is not None and found["pods"] is None


def test_many_reasons_are_counted() -> None:
    before = workload(container("t", **{f"field{number}": 1 for number in range(7)}))
    after = workload(container("t", **{f"field{number}": 2 for number in range(7)}))
    found = of_update(before, after)
    assert found is not None
    assert found["because"][-1] == "3 more fields" and len(found["because"]) == 5


def test_an_added_and_a_removed_container() -> None:
    one, two = {"name": "one", "image": "1"}, {"name": "two", "image": "2"}
    found = of_update(workload({"spec": {"containers": [one]}}), workload({"spec": {"containers": [two]}}))
    assert found is not None
    assert found["because"] == ["containers.two", "containers.one"]
