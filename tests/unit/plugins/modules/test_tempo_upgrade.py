# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as Ansible runs it, against an API server of a few lines."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

KAFKA = {
    "object_storage_bucket": "traces",
    "tempo_profile": "kafka",
    "tempo_image_tag": "3.0.3",
    "tempo_kafka_address": "kafka:9092",
    "tempo_release_name": "tempo-3",
}


def tempo_pod(name: str, instance: str, component: str) -> dict[str, Any]:
    found = {"name": "tempo", "instance": instance, "component": component}
    labels = {f"app.kubernetes.io/{label}": value for label, value in found.items()}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "tracing", "labels": labels}}


POD = tempo_pod("tempo-ingester-0", "tempo", "ingester")
QUERIER = tempo_pod("tempo-3-querier-0", "tempo-3", "querier")


def record(name: str, values: dict[str, Any]) -> dict[str, Any]:
    document = {"name": name, "namespace": "tracing", "version": 1, "info": {"status": "deployed"}, "config": values}
    return {
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v1",
            "namespace": "tracing",
            "labels": {"owner": "helm", "name": name, "version": "1", "status": "deployed"},
        },
        "data": {"release": release.encode(document)},
    }


def tempo(**variables: Any) -> dict[str, Any]:
    return tempo_values(role_defaults("tempo", **{"object_storage_bucket": "traces", **variables}))


def collectors(release_name: str) -> dict[str, Any]:
    return record("otel-collector", {"sampler": {"endpoint": f"http://{release_name}-distributor.tracing.svc:4318"}})


OLD = record("tempo", tempo())
NEW = record("tempo-3", tempo(**KAFKA, tempo_compaction_enabled=False, tempo_front_services_enabled=False))


def upgrade(
    *objects: dict[str, Any],
    waiting: list[int] | None = None,
    polls: list[tuple[int, float]] | None = None,
    **options: Any,
) -> tuple[dict[str, Any], list[str]]:
    """The result, and the paths of pods that were asked. waiting: live traces of the ingester, one answer each. polls:
    how often the new querier has read the index of blocks, and the index's age then, one answer each."""
    kube, left, asked = FakeKube(*objects), list(waiting or [0]), []
    read = list(polls or [(0, 0.0), (1, 0.0)])

    def metrics(request: Any) -> Response:
        asked.append("metrics")
        value = left.pop(0) if len(left) > 1 else left[0]
        text = f'tempo_ingester_live_traces{{tenant="single-tenant"}} {value}\ntempo_ingester_flush_queue_length 0\n'
        return Response(200, {}, text.encode())

    def flush(request: Any) -> Response:
        asked.append("flush")
        return Response(204, {}, b"")

    def blocks(request: Any) -> Response:
        asked.append("blocks")
        count, age = read.pop(0) if len(read) > 1 else read[0]
        name = 'tempodb_blocklist_tenant_index_age_seconds{tenant="single-tenant"}'
        return Response(200, {}, f"tempodb_blocklist_poll_duration_seconds_count {count}\n{name} {age}\n".encode())

    kube.on(r"GET .*tempo-3-querier-0:3200/proxy/metrics", blocks)
    kube.on(r"GET .*tempo-ingester-0:3200/proxy/metrics", metrics)
    kube.on(r"GET .*tempo-ingester-0:3200/proxy/flush", flush)
    given = role_defaults("tempo", **{**KAFKA, **options.pop("variables", {})})
    with kube.serving() as url:
        return run("tempo_upgrade", host=url, namespace="tracing", variables=given, **options), asked


@pytest.mark.parametrize(
    ("objects", "step"),
    [
        ([OLD, POD, collectors("tempo")], "install"),
        ([OLD, NEW, POD, collectors("tempo")], "move_writes"),
        ([OLD, NEW, POD, collectors("tempo-3")], "drain"),
        ([NEW, collectors("tempo-3")], "finish"),
        ([record("tempo-3", tempo(**KAFKA)), collectors("tempo-3")], "done"),
    ],
)
def test_the_step_is_read_from_the_cluster(objects: list[dict[str, Any]], step: str) -> None:
    found, _asked = upgrade(*objects)
    assert (found["step"], found["changed"]) == (step, False)


def test_ingesters_are_drained_only_when_that_is_next() -> None:
    objects = [OLD, NEW, POD, collectors("tempo-3")]
    found, asked = upgrade(*objects, waiting=[7], drain=True, _ansible_check_mode=True)
    assert (found["step"], asked) == ("drain", [])
    found, asked = upgrade(*objects, waiting=[7, 3, 0], drain=True)
    assert (found["step"], found["changed"], found["drained"]) == ("hand_over", True, ["tempo-ingester-0"])
    assert asked == ["metrics", "flush", "metrics", "metrics"]
    # Even where nothing seems to wait: an open block is in no metric.
    _found, asked = upgrade(*objects, waiting=[0], drain=True)
    assert "flush" in asked
    failed, _asked = upgrade(*objects, waiting=[7], drain=True, timeout=0.1)
    assert "have not stored everything" in failed["msg"] and "7 traces or flushes are left" in failed["msg"]
    _found, asked = upgrade(OLD, NEW, POD, collectors("tempo"), drain=True)
    assert "flush" not in asked


def test_the_new_one_has_to_find_what_was_drained() -> None:
    objects = [OLD, NEW, POD, QUERIER, collectors("tempo-3")]
    # It reads again, but an index from before the drain; then one that was written after it.
    found, asked = upgrade(*objects, drain=True, polls=[(4, 200.0), (5, 200.0), (5, 200.0), (6, 0.0)])
    assert found["step"] == "hand_over"
    assert asked.count("blocks") == 4
    # Each time it is an old one, however often it is read.
    failed, _asked = upgrade(*objects, drain=True, polls=[(4, 90.0), (5, 90.0), (6, 90.0)], timeout=1)
    assert "tempo-3-querier-0 of release tempo-3 had not listed the new blocks within 1 s" in failed["msg"]
    assert "tempo_blocklist_poll" in failed["msg"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"tempo_retention": "24h"}, "tempo_retention is 24h, release tempo has 168h"),
        ({"tempo_s3_prefix": "other"}, "tempo_s3_prefix is 'other', release tempo has ''"),
        ({"tempo_release_name": "tempo"}, "tempo_release_name is tempo"),
    ],
)
def test_bad_input(variables: dict[str, Any], message: str) -> None:
    failed, asked = upgrade(OLD, POD, collectors("tempo"), variables=variables)
    assert failed["failed"] and message in failed["msg"]
    assert "flush" not in asked
