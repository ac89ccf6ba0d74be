# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Reads what is applied, and plans every component at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.plan import components
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import (
    Component,
    ComponentPlan,
    PlannedCall,
    RoleCall,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import (
    AppliedInputs,
    AppliedRecord,
    of_secret,
    path,
    same_inputs,
)

# Only names and labels of release records: each record holds a whole chart.
# Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def read_record(kube: Kube, namespace: str) -> AppliedRecord | None:
    """One request. None where it may not be read, too: then everything is read."""
    try:
        return of_secret(kube.get(path(namespace)))
    except PermissionDenied:
        return None


def read_revisions(kube: Kube, namespaces: Iterable[str]) -> dict[str, int]:
    """namespace/name of every release → its revision where that is deployed, else the negative number. One request for
    each namespace."""
    found: dict[str, int] = {}
    names = sorted(set(namespaces))
    for namespace, items in zip(names, in_threads(lambda one: _records(kube, one), names), strict=True):
        for labels in items:
            revision = int(labels.get("version") or 0)
            key = f"{namespace}/{labels.get('name')}"
            if revision > abs(found.get(key, 0)):
                found[key] = revision if labels.get("status") == "deployed" else -revision
    return found


def _records(kube: Kube, namespace: str) -> list[dict[str, str]]:
    path = f"/api/v1/namespaces/{quote(namespace)}/secrets"
    answer = kube.send("GET", path, {"labelSelector": "owner=helm,status!=superseded"}, headers={"Accept": METADATA})
    if not answer.ok:
        raise refusal(f"GET {path}", answer)
    # An empty list of metadata has null for its items.
    return [item["metadata"].get("labels") or {} for item in answer.json()["items"] or []]


def is_applied(record: AppliedRecord | None, inputs: AppliedInputs, revisions: Mapping[str, int]) -> bool:
    """Whether the record has these inputs, and the releases are those that it has."""
    return (
        record is not None
        and same_inputs(record, inputs)
        and all(revisions.get(release, 0) == revision for release, revision in record.releases.items())
    )


def namespaces_of(record: AppliedRecord | None) -> list[str]:
    return [release.partition("/")[0] for release in record.releases] if record else []


class Planner:
    """Plans components. connection: the options of the connection to the cluster. drift: as the option of helm_release.
    bucket: plans the bucket, from the options of its module."""

    def __init__(
        self,
        kube: Kube,
        connection: Mapping[str, Any],
        say: Callable[[str], None],
        drift: str,
        bucket: Callable[[Mapping[str, Any]], Plan],
    ) -> None:
        self.kube, self.connection, self.say, self.drift, self.bucket = kube, connection, say, drift, bucket

    def plan(self, every: Sequence[Component]) -> list[ComponentPlan]:
        """All at the same time. TracingError with the component's name where one cannot be planned."""
        calls = [(component, call) for component in every for call in component.calls]
        plans = in_threads(lambda pair: self._call(*pair), calls)
        planned = list(zip(calls, plans, strict=True))
        return [
            ComponentPlan(
                component, tuple(PlannedCall(call, plan) for (owner, call), plan in planned if owner is component)
            )
            for component in every
        ]

    def _call(self, component: Component, call: RoleCall) -> Plan:
        try:
            if call.module == components.RELEASE:
                return components.plan_release(self.kube, self.connection, call.options, self.drift)
            if call.module == components.BUCKET:
                return self.bucket(call.options)
            if call.module == components.TOPIC:
                return components.plan_topic(call.options)
            if call.module in components.GRAFANA:
                return components.plan_grafana(call.module, call.options)
            return components.plan_workloads(self.kube, call.options, self.say)
        except TracingError as error:
            error.details.setdefault("component", component.name)
            raise
