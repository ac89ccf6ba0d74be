# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node agent: its objects, and what the real collector makes of log files, read back from the real VictoriaLogs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.collector.node_agent import LOGS, STATE_DIRECTORY
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.charts.conftest import restricted_findings
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import program, until
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import Server, started

CHART = Path(__file__).resolve().parents[3] / "roles/collector/files/chart"
STORE = {"name": "logs", "protocol": "http", "traces": "none", "logs": True, "endpoint": "https://logs.example.com"}
ENABLED = {"collector_node_agent_enabled": True, "collector_logs_enabled": True, "collector_exporters": [STORE]}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


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
        ({"collector_node_agent_resources": {}}, "collector_node_agent_resources.limits.memory", "is missing"),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], place: str, text: str) -> None:
    with pytest.raises(InvalidVariables) as caught:
        values(**changes)
    assert {str(one.place): text in one.what for one in caught.value.findings} == {place: True}


class Agent:
    """The agent with the chart's configuration, its folders exchanged and VictoriaLogs in the place of the gateways."""

    def __init__(self, folder: Path, store: Server, **changes: Any) -> None:
        self.pods = folder / "pods"
        self.folder, [metrics] = folder, free_ports()
        config = yaml.safe_load(
            yaml.safe_dump(values(**changes)["nodeAgent"]["config"])
            .replace(LOGS, str(self.pods))
            .replace(STATE_DIRECTORY, str(folder / "state"))
        )
        config["exporters"] = {
            "otlp_http/gateway": {
                "logs_endpoint": f"{store.url}/insert/opentelemetry/v1/logs",
                "tls": {"insecure": True},
            }
        }
        config["service"]["pipelines"]["logs"]["exporters"] = ["otlp_http/gateway"]
        config["extensions"]["health_check"]["endpoint"] = "127.0.0.1:0"
        reader = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        reader |= {"host": "127.0.0.1", "port": metrics}
        (folder / "agent.yaml").write_text(yaml.safe_dump(config))
        (folder / "state").mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program("ORION_OTELCOL", "otelcol"), f"--config={self.folder / 'agent.yaml'}"], stdout=log, stderr=log,
                env={"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "agent"},
            )  # fmt: skip
        self.starts += 1

        def ready() -> bool:
            text = (self.folder / "agent.log").read_text()
            assert self.process and self.process.poll() is None, text[-3000:]
            return text.count("Everything is ready") == self.starts

        until(ready, "the agent's start")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def write(self, *lines: str, namespace: str = "shop") -> None:
        """Lines as containerd writes them."""
        folder = self.pods / f"{namespace}_orders-0_2c5e9f5c-1111-4222-8333-444455556666" / "app"
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        with (folder / "0.log").open("a") as file:
            file.writelines(f"{now} stdout F {line}\n" for line in lines)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    with started(tmp_path) as server:
        yield server


@pytest.fixture
def agent(tmp_path: Path, store: Server) -> Iterator[Agent]:
    one = Agent(tmp_path, store, collector_node_agent_excluded_namespaces=["kube-system"])
    one.write("from before")
    one.start()
    # Where reading begins is decided when a file is seen first.
    until(lambda: "Started watching file" in (tmp_path / "agent.log").read_text(), "the first look at the file")
    yield one
    one.stop()


def test_lines_of_json_become_records_of_their_spans(agent: Agent, store: Server) -> None:
    order = {"message": "order placed", "level": "WARNING", "trace_id": TRACE, "span_id": SPAN, "order_id": "7"}
    agent.write(json.dumps(order), json.dumps({"message": "by number", "level": 50, "trace_id": TRACE}))
    agent.write("plain {text}", json.dumps({"message": "odd ids", "trace_id": "x", "span_id": 7}), "{ broken")
    agent.write(json.dumps(order), namespace="kube-system")
    agent.write(json.dumps(order), namespace="tracing")
    reader = store.reader
    until(lambda: len(reader.query("*")) >= 5, "five records")
    found = {one["_msg"]: one for one in reader.query("*")}
    assert set(found) == {"order placed", "by number", "plain {text}", "odd ids", "{ broken"}
    [record] = reader.records(TRACE, SPAN)
    assert record["_msg"] == "order placed"
    assert (record["severity_number"], record["order_id"]) == ("13", "7")
    assert (record["k8s.namespace.name"], record["k8s.pod.name"]) == ("shop", "orders-0")
    assert record["k8s.pod.uid"] == "2c5e9f5c-1111-4222-8333-444455556666"
    assert record["k8s.container.name"] == "app"
    assert found["by number"]["severity_number"] == "17"
    assert {one["_msg"] for one in reader.records(TRACE)} == {"order placed", "by number"}
    assert "ERROR" not in (agent.folder / "agent.log").read_text().upper().replace("ON_ERROR", "")


def test_nothing_is_missed_or_sent_twice_over_a_restart(agent: Agent, store: Server) -> None:
    agent.write("first")
    reader = store.reader
    until(lambda: len(reader.query("*")) == 1, "the first line")
    agent.stop()
    agent.write("second", "third")
    agent.start()
    agent.write("fourth")
    until(lambda: len(reader.query("fourth")) == 1, "the last line")
    assert sorted(one["_msg"] for one in reader.query("*")) == ["first", "fourth", "second", "third"]


def test_the_collector_accepts_the_configuration(
    render: Callable[..., Any], pick: Callable[..., Any], tmp_path: Path
) -> None:
    text = pick(render(CHART, values()), "ConfigMap", "otel-node-agent")["data"]["collector.yaml"]
    (tmp_path / "collector.yaml").write_text(text.replace(STATE_DIRECTORY, str(tmp_path)))
    done = subprocess.run(
        [program("ORION_OTELCOL", "otelcol"), "validate", f"--config={tmp_path / 'collector.yaml'}"],
        env={"MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "agent"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in (done.stderr + done.stdout).lower()


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
