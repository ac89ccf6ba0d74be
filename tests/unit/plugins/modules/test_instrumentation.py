# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules as Ansible runs them, against a cluster in memory behind a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.instrumentation.made import (
    PREFIX,
    Cluster,
    pod_of,
    workload,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

ORDERS = {"namespace": "shop", "name": "orders", "language": "python", "sampler_argument": 0.5}


@pytest.fixture
def api() -> Iterator[tuple[str, Cluster]]:
    cluster = Cluster(workload(), pod_of(workload()))
    with cluster.serving() as url:
        yield url, cluster


def test_check_mode_then_real_then_unchanged(api: tuple[str, Cluster]) -> None:
    url, cluster = api
    checked = run("instrumentation_workloads", host=url, workloads=[ORDERS], _ansible_check_mode=True)
    assert checked["changed"] and cluster.writes == []
    done = run("instrumentation_workloads", host=url, workloads=[ORDERS])
    assert set(done) == set(checked), "both modes return the same keys"
    assert done["steps"] == checked["steps"] == ["instrument Deployment shop/orders"]
    assert done["diff"] == checked["diff"] and done["mode"] == "policy"
    assert done["workloads"][0]["instrumented"] == "yes"
    again = run("instrumentation_workloads", host=url, workloads=[ORDERS])
    assert not again["changed"] and again["diff"] == [] and again["steps"] == [] and again["api_calls"] == 9


def test_progress_is_appended(api: tuple[str, Cluster], tmp_path) -> None:
    file = tmp_path / "progress"
    run("instrumentation_workloads", host=api[0], workloads=[ORDERS], progress_file=str(file))
    assert file.read_text() == "Deployment shop/orders: 1 of 1 pods updated, 1 available\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"workloads": [{**ORDERS, "language": "pyton"}]}, "workloads[0].language: unknown language 'pyton'"),
        ({"workloads": [ORDERS], "timeout": "soon"}, "option timeout: 'soon' is not a Go duration"),
        (
            {"workloads": [{**ORDERS, "kind": "Job"}], "variables": {"instrumentation_workloads": []}},
            "instrumentation_workloads[0]",
        ),
    ],
)
def test_wrong_options(api: tuple[str, Cluster], options: dict, expected: str) -> None:
    failed = run("instrumentation_workloads", host=api[0], **options)
    assert failed["failed"] and expected in failed["msg"] and api[1].writes == []


def test_the_report(api: tuple[str, Cluster]) -> None:
    url, cluster = api
    cluster.put(workload("web", annotations={f"{PREFIX}inject-ruby": "true"}))
    answer = {"status": "success", "data": {"result": [{"metric": {"service": "orders"}, "value": [0, "7"]}]}}
    cluster.on("/services/http:prometheus:9090/proxy/", answer)
    run("instrumentation_workloads", host=url, workloads=[ORDERS])
    asked = len(cluster.asked)
    found = run(
        "instrumentation_info", host=url, namespace="shop", prometheus_url="http://prometheus.monitoring.svc:9090"
    )
    assert not found["changed"] and found["msg"] == "1 of 2 workloads of namespace shop are instrumented."
    orders, web = found["workloads"]
    assert (orders["name"], orders["spans"], orders["sampler_argument"]) == ("orders", 7, "0.5")
    assert (web["code"], web["spans"]) == ("unknown_language", None)
    assert "Deployment orders" in found["table"] and found["spans_unknown"] == ""
    assert found["modes"]["resolved"] == "policy"
    assert found["api_calls"] == len(cluster.asked) - asked == 10 and set(cluster.methods[asked:]) == {"GET"}


def test_only_the_modes(api: tuple[str, Cluster]) -> None:
    found = run("instrumentation_info", host=api[0], workloads=False)
    assert found["modes"]["policy"]["version"] == "admissionregistration.k8s.io/v1beta1"
    assert found["api_calls"] == 3 and found["workloads"] == [] and found["table"] == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"prometheus_url": "prometheus:9090"}, "prometheus_url is 'prometheus:9090', not an HTTP URL"),
        ({"since": 0}, "option since is 0"),
        ({"namespace": "shpo"}, "namespace shpo does not exist"),
        ({"namespace": "shop", "name": "order"}, "Did you mean orders?"),
    ],
)
def test_wrong_options_of_the_report(api: tuple[str, Cluster], options: dict, expected: str) -> None:
    failed = run("instrumentation_info", host=api[0], **options)
    assert failed["failed"] and expected in failed["msg"]
