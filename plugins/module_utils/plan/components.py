# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A component of the platform: what its role is going to do, planned with the role's own options. Read-only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import ReleaseAt

RELEASE, BUCKET, WORKLOADS, TOPIC = "helm_release", "s3_bucket", "instrumentation_workloads", "kafka_topic"
GRAFANA = ("grafana_datasource", "grafana_folder", "grafana_dashboard", "grafana_alert_rules")


@dataclass(frozen=True)
class RoleCall:
    """A module that the role calls, by its name in this collection, with its options."""

    module: str
    options: Mapping[str, Any]

    @property
    def release(self) -> ReleaseAt | None:
        """The Helm release that it is about."""
        if self.module != RELEASE:
            return None
        return ReleaseAt(str(self.options["release_name"]), str(self.options["release_namespace"]))

    @property
    def installs(self) -> bool:
        return self.options.get("release_state") != "absent"


@dataclass(frozen=True)
class Component:
    """calls: what its role is going to call. unplanned: why its role has to run to know what it changes, "" where the
    calls are all of it."""

    name: str
    calls: tuple[RoleCall, ...]
    unplanned: str = ""


@dataclass(frozen=True)
class PlannedCall:
    call: RoleCall
    plan: Plan


@dataclass(frozen=True)
class ComponentPlan:
    component: Component
    planned: tuple[PlannedCall, ...] = ()

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def changed(self) -> bool:
        return any(one.plan.changed for one in self.planned)

    @property
    def warnings(self) -> list[str]:
        return [line for one in self.planned for line in one.plan.warnings]


def plan_release(kube: Kube, connection: Mapping[str, Any], options: Mapping[str, Any], drift: str) -> Plan:
    """As the module helm_release in check mode. connection: its options. drift: as its option of that name."""
    from ansible_collections.orion.tracing.plugins.module_utils.helm.arguments import wanted_of
    from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Helm, environment
    from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
    from ansible_collections.orion.tracing.plugins.module_utils.helm.run import ensure

    params = {**options, "drift": drift}
    with environment(connection, os.environ) as env:
        return ensure(kube, Helm(params["binary_path"], env), wanted_of(params, params["values"] or {}), True, Mask())


def plan_bucket(options: Mapping[str, Any]) -> Plan:
    """As the module s3_bucket in check mode."""
    from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket
    from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store

    params = dict(options)
    bucket.check_options(params)
    store = Store.connect(params)
    try:
        plan = bucket.make_plan(bucket.read(store, params), params)
    finally:
        store.close()
    plan.result["api_calls"] = store.api_calls
    return plan


def plan_workloads(kube: Kube, options: Mapping[str, Any], say: Callable[[str], None]) -> Plan:
    """As the module instrumentation_workloads in check mode."""
    from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock
    from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.options import wanted_of
    from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.run import instrument

    return instrument(kube, wanted_of(options, check=True), Clock(), say)


def plan_topic(options: Mapping[str, Any]) -> Plan:
    """As the module kafka_topic in check mode."""
    from ansible_collections.orion.tracing.plugins.module_utils.kafka.client import Kafka
    from ansible_collections.orion.tracing.plugins.module_utils.kafka.options import connection_of, plan_of, wanted_of

    wanted = wanted_of(options)
    with Kafka.connected(**connection_of(options)) as kafka:
        return plan_of(options, wanted, kafka)


def plan_grafana(module: str, options: Mapping[str, Any]) -> Plan:
    """As that module in check mode."""
    from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import CALLS
    from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana

    planned = CALLS[module].prepare(options)
    grafana = Grafana.connect(options)
    try:
        plan = planned(grafana, True)
    finally:
        grafana.close()
    # They are about a folder that is not there yet, and the same plan makes it.
    plan.warnings.clear()
    return plan
