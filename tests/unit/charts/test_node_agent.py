# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node agent: its objects, its configuration and its findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.collector.node_agent import LOGS, STATE_DIRECTORY
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.conftest import restricted_findings

CHART = Path(__file__).resolve().parents[3] / "roles/collector/files/chart"
STORE = {"name": "logs", "protocol": "http", "traces": "none", "logs": True, "endpoint": "https://logs.example.com"}
ENABLED = {"collector_node_agent_enabled": True, "collector_logs_enabled": True, "collector_exporters": [STORE]}


def values(**changes: Any) -> dict[str, Any]:
    return collector_values({**role_defaults("collector"), **ENABLED, **changes})[0]


def test_objects(
    render: Callable[..., Any], pick: Callable[..., Any], validate_kubernetes: Callable[..., None]
) -> None:
    peer = {"ipBlock": {"cidr": "10.0.0.0/8"}}
    objects = render(CHART, values(collector_network_policy_clients=[peer], collector_pod_labels={"team": "a"}))
    validate_kubernetes(objects)
    namespace = pick(objects, "Namespace", "otel-node-agent")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    agent = pick(objects, "DaemonSet", "otel-node-agent")
    assert agent["metadata"]["namespace"] == "otel-node-agent"
    template = agent["spec"]["template"]
    # Of what "restricted" asks for, only what reading the node's files takes is missing.
    assert sorted(restricted_findings(template["spec"])) == [
        "container otel-collector: runAsNonRoot",
        "container otel-collector: runAsUser",
        "volume logs is of type hostPath",
        "volume state is of type hostPath",
    ]
    [container] = template["spec"]["containers"]
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert mounts["logs"]["mountPath"] == LOGS and mounts["logs"]["readOnly"] is True
    assert mounts["state"]["mountPath"] == STATE_DIRECTORY
    assert agent["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"metrics": 8888, "health": 13133}
    # Gateways that only some clients may reach take what the agents send too.
    [_clients, _probe, peer_of_agents] = pick(objects, "NetworkPolicy", "otel-collector")["spec"]["ingress"][0]["from"]
    assert peer_of_agents["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "otel-node-agent"}}
    assert peer_of_agents["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    gateway = yaml.safe_load(pick(objects, "ConfigMap", "otel-collector")["data"]["collector.yaml"])
    [label] = gateway["processors"]["k8s_attributes"]["extract"]["labels"]
    assert (label["tag_name"], label["key"]) == ("service.name", "app.kubernetes.io/name")


def test_without_it_nothing_is_installed(render: Callable[..., Any]) -> None:
    objects = render(CHART, values(collector_node_agent_enabled=False))
    assert not {"Namespace", "DaemonSet"} & {one["kind"] for one in objects}
    assert "otel-node-agent" not in str(objects)


@pytest.mark.parametrize(
    ("changes", "place", "text"),
    [
        ({"collector_logs_enabled": False}, "collector_node_agent_enabled", "collector_logs_enabled is false"),
        (
            {"collector_node_agent_namespace": "tracing"},
            "collector_node_agent_namespace",
            "the namespace of the platform",
        ),
        ({"collector_node_agent_namespace": "Logs"}, "collector_node_agent_namespace", "not a name of a namespace"),
        (
            {"collector_node_agent_excluded_namespaces": ["a", "b/*"]},
            "collector_node_agent_excluded_namespaces[1]",
            "b/*",
        ),
        ({"collector_image_tag": "0.158.0-orion"}, "collector_node_agent_enabled", "an image that this project builds"),
        ({"collector_node_agent_resources": {}}, "collector_node_agent_resources.limits.memory", "is missing"),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], place: str, text: str) -> None:
    with pytest.raises(InvalidVariables) as caught:
        values(**changes)
    assert {str(one.place): text in one.what for one in caught.value.findings} == {place: True}


def test_files_that_are_read() -> None:
    config = values(collector_node_agent_excluded_namespaces=["kube-system", "tracing"])["nodeAgent"]["config"]
    receiver = config["receivers"]["file_log"]
    assert receiver["include"] == [f"{LOGS}/*/*/*.log"]
    # What collectors log about logs would be logs again.
    namespaces = ("tracing", "otel-node-agent", "kube-system")
    assert receiver["exclude"] == [f"{LOGS}/{namespace}_*/*/*.log" for namespace in namespaces]
    assert receiver["storage"] in config["extensions"]
    assert config["extensions"]["file_storage"]["directory"].startswith(f"{STATE_DIRECTORY}/")
    # The files are the queue: nothing is given up, and reading waits.
    assert receiver["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}
    [exporter] = config["exporters"].values()
    assert exporter["sending_queue"]["block_on_overflow"] is True
    assert exporter["endpoint"] == "otel-collector.tracing.svc:4317"
