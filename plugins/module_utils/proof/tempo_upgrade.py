# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How far an upgrade of Tempo is, read from the cluster: releases, where samplers export to, old ingesters' metrics."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.helm import info
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import installed
from ansible_collections.orion.tracing.plugins.module_utils.tempo.upgrade import UpgradeState

COLLECTOR = "otel-collector"
PORT = 3200
# What an ingester has not stored yet. Source: modules/ingester/{instance,flush}.go of v2.10.8
UNSTORED = ("tempo_ingester_live_traces", "tempo_ingester_flush_queue_length")


def read(kube: Kube, namespace: str, old: str, new: str) -> UpgradeState:
    before, after = (_values(kube, namespace, name) for name in (old, new))
    there = installed(before) if before else None
    return UpgradeState(
        old=there,
        new=installed(after) if after else None,
        new_serves=bool(after and after.get("serviceAliases")),
        writes_to_new=_writes_to(kube, namespace, old, new),
        unstored=unstored(kube, namespace, old) if there else None,
    )


def _values(kube: Kube, namespace: str, name: str) -> dict[str, Any]:
    found = info.gather(kube, info.Query(name=name, namespace=namespace, values=info.USER)).releases
    return dict(found[0]["release_values"]) if found else {}


def _writes_to(kube: Kube, namespace: str, old: str, new: str) -> bool:
    values = json.dumps(_values(kube, namespace, COLLECTOR))
    return f"//{new}-distributor." in values and f"//{old}-distributor." not in values


def ingesters(kube: Kube, namespace: str, release: str) -> list[str]:
    labels = f"app.kubernetes.io/name=tempo,app.kubernetes.io/instance={release}"
    selector = f"{labels},app.kubernetes.io/component in (ingester,all)"
    return [pod["metadata"]["name"] for pod in pages(kube, f"/api/v1/namespaces/{namespace}/pods", selector, limit=100)]


def unstored(kube: Kube, namespace: str, release: str) -> float | None:
    """Live traces and waiting flushes of all ingesters; None where one does not answer."""
    count = 0.0
    for pod in ingesters(kube, namespace, release):
        answer = kube.proxy("pods", namespace, pod, PORT, "metrics", timeout=10.0)
        if not answer.ok:
            return None
        samples = text.parse(answer.text)
        count += sum(text.total(samples, name) for name in UNSTORED)
    return count


def drain(kube: Kube, namespace: str, release: str, deadline: Deadline) -> list[str]:
    """Let every ingester store what it has, and wait until nothing is left. Returns the pods.

    TimedOut where something is still there at the end: most likely, something still sends spans to it.
    """
    pods = ingesters(kube, namespace, release)
    while True:
        for pod in pods:
            kube.proxy("pods", namespace, pod, PORT, "flush", timeout=max(5.0, min(60.0, deadline.left)))
        left = unstored(kube, namespace, release)
        if left == 0:
            return pods
        if not deadline.wait(2.0):
            raise TimedOut(
                f"the ingesters of release {release} have not stored everything within {deadline.seconds:.0f} s",
                "their metrics cannot be read" if left is None else f"{left:g} traces or flushes are left",
                "See what still sends spans to it (tempo_distributor_spans_received_total), then run this again.",
            )
