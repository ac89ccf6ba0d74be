# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How far an upgrade of Tempo is, read from the cluster: releases, where samplers export to, old ingesters' metrics."""

from __future__ import annotations

import json
from collections.abc import Collection

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.helm import info
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import TEMPO_PORT
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import installed
from ansible_collections.orion.tracing.plugins.module_utils.tempo.upgrade import UpgradeState

COLLECTOR = "otel-collector"
INGESTERS, READERS = ("ingester",), ("querier", "query-frontend")
# Gauges of what an ingester has been told to store and has not stored yet, and the counter of what went wrong: a flush
# that failed leaves the queue for a while. Source: modules/ingester/{instance,ingester,flush}.go of v2.10.8
UNSTORED = ("tempo_ingester_live_traces", "tempo_ingester_flush_queue_length")
FAILED = "tempo_ingester_failed_flushes"
# How often a pod has read which blocks there are, and how old the index was that it read them from; 0 where it listed
# the bucket itself. Source: tempodb/blocklist/poller.go of v3.0.3
POLLS, INDEX_AGE = "tempodb_blocklist_poll_duration_seconds_count", "tempodb_blocklist_tenant_index_age_seconds"


def read(kube: Kube, namespace: str, old: str, new: str) -> UpgradeState:
    before, after = (info.user_values(kube, namespace, name) for name in (old, new))
    there = installed(before) if before else None
    return UpgradeState(
        old=there,
        new=installed(after) if after else None,
        new_serves=bool(after and after.get("serviceAliases")),
        writes_to_new=_writes_to(kube, namespace, old, new),
    )


def _writes_to(kube: Kube, namespace: str, old: str, new: str) -> bool:
    values = json.dumps(info.user_values(kube, namespace, COLLECTOR) or {})
    return f"//{new}-distributor." in values and f"//{old}-distributor." not in values


def pods_of(kube: Kube, namespace: str, release: str, components: Collection[str]) -> list[str]:
    selector = f"app.kubernetes.io/name=tempo,app.kubernetes.io/instance={release}"
    return [
        pod["metadata"]["name"]
        for pod in pages(kube, f"/api/v1/namespaces/{namespace}/pods", selector, limit=100)
        if pod["metadata"]["labels"].get("app.kubernetes.io/component") in components
    ]


def _metrics(kube: Kube, namespace: str, pod: str) -> text.Samples | None:
    """None where the pod does not answer."""
    answer = kube.proxy("pods", namespace, pod, TEMPO_PORT, "metrics", timeout=10.0)
    return text.parse(answer.text) if answer.ok else None


def _left(kube: Kube, namespace: str, pods: list[str]) -> tuple[float | None, float]:
    """What is not stored yet, None where an ingester does not answer, and how many flushes have failed so far."""
    count = failed = 0.0
    for pod in pods:
        samples = _metrics(kube, namespace, pod)
        if samples is None:
            return None, 0.0
        count += sum(text.total(samples, name) for name in UNSTORED)
        failed += text.total(samples, FAILED)
    return count, failed


def drain(kube: Kube, namespace: str, release: str, deadline: Deadline) -> list[str]:
    """Let every ingester store what it has, open blocks too, and wait until nothing is left. Returns the pods.

    TimedOut where something is still there at the end: something still sends spans, or the bucket refuses blocks.
    """
    pods = pods_of(kube, namespace, release, INGESTERS)
    while True:
        _before, failed = _left(kube, namespace, pods)
        asked = [
            kube.proxy("pods", namespace, pod, TEMPO_PORT, "flush", timeout=max(5.0, min(60.0, deadline.left))).ok
            for pod in pods
        ]
        # What the request has cut is in the queue when it is answered.
        while True:
            left, now_failed = _left(kube, namespace, pods)
            if left == 0 or not deadline.wait(2.0):
                break
        if all(asked) and left == 0 and now_failed == failed:
            return pods
        if not deadline.wait(2.0):
            why = "their metrics cannot be read" if left is None else f"{left:g} traces or flushes are left"
            if not all(asked):
                why = "one did not answer GET /flush"
            elif now_failed > failed:
                why = "writing to the bucket fails"
            raise TimedOut(
                f"the ingesters of release {release} have not stored everything within {deadline.seconds:.0f} s",
                why,
                "See their logs, and what still sends spans to them (tempo_distributor_spans_received_total), then run "
                "this again.",
            )


def await_blocks(kube: Kube, namespace: str, release: str, deadline: Deadline) -> None:
    """Wait until each pod of a release that answers queries has listed the blocks that are in the bucket now.

    They read an index of the blocks at intervals (blocklist_poll), which a pod of either release writes at the same
    intervals, so it takes two of them at most. TimedOut where one has not at the end.
    """
    since = deadline.elapsed
    # Pod → how often it had read, and when that was looked at.
    seen: dict[str, tuple[float, float]] = {}
    current: set[str] = set()
    while True:
        pods = set(pods_of(kube, namespace, release, READERS))
        for pod in sorted(pods - current):
            at, samples = deadline.elapsed, _metrics(kube, namespace, pod)
            if samples is None:
                continue
            polls, age = (
                text.total(samples, POLLS),
                max(text.by_label(samples, INDEX_AGE, "tenant").values(), default=0),
            )
            before, looked = seen.get(pod, (polls, at))
            # It has read since it was looked at, so the index was written after that moment less its age.
            if polls != before and looked - age >= since:
                current.add(pod)
            seen[pod] = (polls, at)
        if not (waiting := sorted(pods - current)):
            return
        if not deadline.wait(2.0):
            raise TimedOut(
                f"{', '.join(waiting)} of release {release} had not listed the new blocks within "
                f"{deadline.seconds:.0f} s",
                "until then, queries do not find what the old ingesters have just stored",
                "Run this again with a longer time (upgrade_tempo_drain_timeout), at least twice tempo_blocklist_poll.",
            )
