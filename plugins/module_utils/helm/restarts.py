# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which pods an update of a workload replaces, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside

# Controllers that replace their pods when the pod template changes.
# Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#updating-a-deployment
KINDS = ("Deployment", "StatefulSet", "DaemonSet")
LISTED = 4  # reasons that are named


def of_update(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where no pod is replaced. pods: their number, None where the object does not say it (DaemonSets, and
    workloads that something else scales). because: the fields of the pod template that differ; of images and of other
    fields without secrets, also the values."""
    if after.get("kind") not in KINDS:
        return None
    old, new = inside(before, "spec", "template") or {}, inside(after, "spec", "template") or {}
    reasons = list(_differences("", old, new))
    if not reasons or (inside(after, "spec", "updateStrategy", "type") == "OnDelete"):
        return None
    replicas = inside(after, "spec", "replicas")
    more = [f"{len(reasons) - LISTED} more fields"] if len(reasons) > LISTED else []
    return {"pods": replicas if isinstance(replicas, int) else None, "because": [*reasons[:LISTED], *more]}


def _differences(path: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _differences(_below(path, str(key)), old.get(key), new.get(key))
    elif _named(old) and _named(new):
        yield from _differences(path, {one["name"]: one for one in old}, {one["name"]: one for one in new})
    elif path.endswith(".image") and isinstance(old, str) and isinstance(new, str):
        yield f"{path}: {old} → {new}"
    else:
        yield path


def _below(path: str, key: str) -> str:
    for part in ("metadata.", "spec."):  # of a pod template: obvious
        path = path.removeprefix(part)
    return f"{path}.{key}" if path else key


def _named(value: Any) -> bool:
    """Whether it is a list of objects that are told apart by their names, as containers and volumes are."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and "name" in one for one in value)
