# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""From inventory variables to the collector chart's values, as data: no I/O, no Ansible.

The component and option names are those of OpenTelemetry Collector contrib 0.158.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import (
    Config,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.edges import SERVICE_TYPES, edge_receiver
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    destinations,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.gateway import gateway_config
from ansible_collections.orion.tracing.plugins.module_utils.collector.node_agent import node_agent_values
from ansible_collections.orion.tracing.plugins.module_utils.collector.queues import (
    Queues,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.sampler import (
    sampler_config,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.variables import (
    CollectorVariables,
    SamplerLoad,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.workloads import (
    autoscaling,
    priority_class,
    rolling_update,
    spread,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import plain
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    errors,
    refuse,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    GATEWAY_GOGC,
    GATEWAY_GRACE_SECONDS,
    sampler_grace_period,
)


def collector_values(variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Values of the collector chart, and warnings: outdated spellings, and limits that the load exceeds.

    variables: all collector_* and tracing_* variables, as the role's defaults name them.
    Raises InvalidVariables with every error.
    """
    values, found = _build(variables)
    warnings = refuse("the collector's variables", found)
    # No part is shared with this module's constants, so a caller may change the result.
    return plain(values), warnings


def findings(variables: Mapping[str, Any]) -> list[Finding]:
    """What is wrong, or, if nothing is, doubtful about the collector's variables. A variable that is not there has no
    finding.
    """
    found = list(dict.fromkeys(_build(variables)[1]))
    # Warnings compare several variables, and one that is wrong or missing would make them meaningless.
    return [finding for finding in errors(found) or found if finding.variable in variables]


def _build(variables: Mapping[str, Any]) -> tuple[Config, list[Finding]]:
    """The chart's values, not to be used if there are errors among the findings."""
    read = CollectorVariables(variables)
    gateway, gateway_queue = read.tier("gateway")
    sampler, sampler_queue = read.tier("sampler")
    load = SamplerLoad.of(read, sampler["replicas"])
    made = destinations(variables)
    edges = edge_receiver(variables)
    queues = Queues.of(read, load, sampler_queue, made.exporters)
    decision_wait = read.duration("collector_decision_wait", positive=True)
    gateway["config"] = gateway_config(read, made, edges, gateway_queue, decision_wait)
    sampler["config"] = sampler_config(read, load, made, queues, edges.enabled)
    sampler["persistence"] = queues.volume
    gateway["secretEnv"] = made.gateway_wiring.env
    gateway["secretFiles"] = made.gateway_wiring.files + edges.wiring.files
    sampler["secretEnv"], sampler["secretFiles"] = made.wiring.env, made.wiring.files
    gateway["autoscaling"] = autoscaling(read, gateway["resources"])
    gateway["rollingUpdate"] = rolling_update(read)
    sampler["rollingUpdate"] = {"partition": read.integer("collector_sampler_update_partition")}
    gateway["goGC"] = GATEWAY_GOGC
    gateway["terminationGracePeriodSeconds"] = GATEWAY_GRACE_SECONDS
    sampler["terminationGracePeriodSeconds"] = sampler_grace_period(decision_wait)
    values = {
        "image": read.image(),
        "gateway": gateway,
        "sampler": sampler,
        "nodeAgent": node_agent_values(read),
        "ports": {
            "jaeger": read.boolean("collector_jaeger_enabled"),
            "zipkin": read.boolean("collector_zipkin_enabled"),
        },
        "edgeReceiver": {
            "enabled": read.boolean("collector_edge_receiver_enabled"),
            "serviceType": read.choice("collector_edge_receiver_service_type", SERVICE_TYPES),
            "serviceAnnotations": read.strings("collector_edge_receiver_service_annotations"),
        },
        "serviceAccount": {"annotations": read.strings("collector_service_account_annotations")},
        "networkPolicy": {
            "enabled": read.boolean("collector_network_policy_enabled"),
            "clients": read.listing("collector_network_policy_clients", dict),
        },
        "podLabels": read.strings("collector_pod_labels"),
        "podAnnotations": read.strings("collector_pod_annotations"),
        "nodeSelector": read.strings("collector_node_selector"),
        "tolerations": read.listing("collector_tolerations", dict),
        "topologySpreadConstraints": spread(read),
        "priorityClass": priority_class(read),
        "priorityClassName": read.text("collector_priority_class_name", empty=True),
    }
    return values, [*read.findings, *made.findings, *edges.wiring.findings]
