# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Workloads whose number of replicas a chart hands over to an autoscaler, or takes back from one.

Handed over: the manifest had spec.replicas, and has a HorizontalPodAutoscaler instead. Helm was the only owner of the
field, so its server-side apply removes it, Kubernetes sets the default, 1, and the pods are gone until the autoscaler's
first look. Where somebody else owns the field too, it stays: claim() is that owner. As soon as the autoscaler writes
another number, the field is its own.

Taken back: the autoscaler, or the claim, still owns the field that the manifest states again, and an apply that is not
forced ends in a conflict.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import CLAIM
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import MANIFEST, Key, Objects
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import discover

FIELD = ".spec.replicas"  # as the API server names it in a conflict


@dataclass(frozen=True)
class Handover:
    """A workload whose number an autoscaler is to set. key: with its namespace."""

    key: Key
    api_version: str

    def __str__(self) -> str:
        return f"{self.key.kind} {self.key.namespace}/{self.key.name}"


def handed_over(before: Sequence[Objects], after: Objects, namespace: str) -> list[Handover]:
    """The workloads of after that an autoscaler of after scales, and that stated their number in one of before. Pure.

    namespace: the release's, for objects that name none.
    """
    scaled = _autoscaled(after, namespace)
    return [
        Handover(key._replace(namespace=key.namespace or namespace), str(document.get("apiVersion", "")))
        for key, document in after.items()
        if key.part == MANIFEST
        and _place(key, namespace) in scaled
        and not _stated(document)
        and any(_stated(objects.get(key)) for objects in before)
    ]


def taken_back(before: Objects, after: Objects, namespace: str) -> set[Key]:
    """The workloads of after that state their number, and that an autoscaler scaled, but no longer does. Pure."""
    left = _autoscaled(before, namespace) - _autoscaled(after, namespace)
    return {
        key
        for key, document in after.items()
        if key.part == MANIFEST and _stated(document) and _place(key, namespace) in left
    }


def only_number(answer: Response, is_taken_back: bool) -> bool:
    """Whether a conflict is about nothing but the number of replicas, which the release may set: it takes the number
    back, or the owner is the claim that an earlier run left."""
    try:
        causes = answer.json()["details"]["causes"]
        return bool(causes) and all(
            cause["field"] == FIELD and (is_taken_back or f'"{CLAIM}"' in cause["message"]) for cause in causes
        )
    except (ValueError, KeyError, TypeError):
        return False


def claim(kube: Kube, found: Iterable[Handover]) -> None:
    """Own the live number of each workload. Requests: one of discovery, two per workload.

    The number is not changed, also where the autoscaler does not allow it: helm, which owns it too, could not roll back
    to its own without a conflict. One pod or none is left to the default, 1: at 0 an autoscaler does nothing.
    """
    found = list(found)
    served = discover(kube, {one.api_version for one in found})
    for one in found:
        resource = served.resource(one.key.group, one.api_version.rpartition("/")[2], one.key.kind)
        if resource is None:
            continue
        url = resource.url(one.key.namespace, one.key.name)
        live = kube.get(url)
        number = inside(live, "spec", "replicas")
        if not isinstance(number, int) or number <= 1:
            continue
        # With the uid, an object that is deleted meanwhile is a conflict, and not created again.
        metadata = {"name": one.key.name, "namespace": one.key.namespace, "uid": live["metadata"]["uid"]}
        document = {"apiVersion": resource.api_version, "kind": one.key.kind, "metadata": metadata}
        kube.apply(url, {**document, "spec": {"replicas": number}}, manager=CLAIM)


def _autoscaled(objects: Objects, namespace: str) -> set[tuple[str, str, str]]:
    """The places that autoscalers scale."""
    found = set()
    for key, document in objects.items():
        if key.part == MANIFEST and (key.group, key.kind) == ("autoscaling", "HorizontalPodAutoscaler"):
            kind, name = (str(inside(document, "spec", "scaleTargetRef", part) or "") for part in ("kind", "name"))
            if kind and name:
                found.add((kind, key.namespace or namespace, name))
    return found


def _place(key: Key, namespace: str) -> tuple[str, str, str]:
    return key.kind, key.namespace or namespace, key.name


def _stated(document: Mapping[str, Any] | None) -> bool:
    return inside(document, "spec", "replicas") is not None
