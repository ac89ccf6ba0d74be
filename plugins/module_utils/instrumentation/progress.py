# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How far the rollout of a workload is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a rollout is. counts: numbers that only grow as it goes on. failure: of the controller itself."""

    done: bool
    text: str
    counts: tuple[int, ...] = ()
    failure: str = ""


def progress_of(document: Document) -> Progress:
    """The rollout of a workload, by the rules of kubectl rollout status.
    Source: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
    """
    kind, spec, status = document["kind"], document.get("spec") or {}, document.get("status") or {}
    if kind == "CronJob":
        return Progress(True, "its next run has the new template")
    if int(status.get("observedGeneration") or 0) < int(document["metadata"].get("generation") or 0):
        return Progress(False, "the controller has not seen the change yet")
    strategy = inside(spec, "updateStrategy", "type")
    if strategy == "OnDelete":
        return Progress(True, "its pods are replaced when they are deleted (updateStrategy OnDelete)")
    get: Callable[[str], int] = lambda name: int(status.get(name) or 0)  # noqa: E731
    if kind == "DaemonSet":
        wanted, updated = get("desiredNumberScheduled"), get("updatedNumberScheduled")
        available, total = get("numberAvailable"), updated
    else:
        replicas = spec.get("replicas")
        wanted, updated = 1 if replicas is None else int(replicas), get("updatedReplicas")
        available, total = get("availableReplicas"), get("replicas")
    if kind == "StatefulSet":
        partition = int(inside(spec, "updateStrategy", "rollingUpdate", "partition") or 0)
        wanted_new, total = max(0, wanted - partition), wanted
        updated = wanted_new if status.get("updateRevision") == status.get("currentRevision") else updated
        done = updated >= wanted_new and get("readyReplicas") >= wanted
        available = get("readyReplicas")
    else:
        done = updated >= wanted and total <= updated and available >= wanted
    return Progress(
        done,
        f"{updated} of {wanted} pods updated, {available} available",
        (updated, available, -total),
        _failure(status),
    )


def _failure(status: Document) -> str:
    """Of a Deployment's conditions: that its pods are refused, or that its deadline has passed."""
    conditions = {str(one["type"]): one for one in status.get("conditions") or []}
    refused = conditions.get("ReplicaFailure") or {}
    if refused.get("status") == "True":
        return str(refused.get("message") or refused.get("reason"))
    progressing = conditions.get("Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return str(progressing.get("message") or progressing["reason"])
    return ""


def may_remove_first(document: Document) -> bool:
    """Whether the controller may delete old pods before it has new ones, so that a full quota does not stop it."""
    if document["kind"] != "Deployment":
        return True
    strategy = inside(document, "spec", "strategy") or {}
    if strategy.get("type") == "Recreate":
        return True
    unavailable = inside(strategy, "rollingUpdate", "maxUnavailable")
    text = "25%" if unavailable is None else str(unavailable)
    replicas = inside(document, "spec", "replicas")
    count = 1 if replicas is None else int(replicas)
    return (int(text.removesuffix("%")) * count // 100 if text.endswith("%") else int(text)) > 0
