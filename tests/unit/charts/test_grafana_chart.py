# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The grafana-datasources chart: what Grafana's sidecar gets, and what the closed schema refuses."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.grafana.content import content_values
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import grafana_values
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import tracing_plan
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROLE = Path(__file__).resolve().parents[3] / "roles" / "grafana"
CHART = ROLE / "files" / "chart"


def values(**changes: Any) -> dict[str, Any]:
    """The values that the role would pass."""
    given = {
        "grafana_prometheus_url": "http://prometheus:9090",
        "grafana_logs_url": "http://loki-gateway",
        "grafana_trace_query_time_shift": "30m",
        **changes,
    }
    found, _warnings = grafana_values(role_defaults("grafana", **given))
    return found


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_document_arrives_as_it_was_built(
    kind: str,
    render: Callable[..., list[dict[str, Any]]],
    validate_kubernetes: Callable[[list[dict[str, Any]]], None],
) -> None:
    given = values(grafana_provisioning_kind=kind)
    objects = render(CHART, given, namespace="monitoring", release="grafana-datasources")
    validate_kubernetes(objects)
    (item,) = objects
    assert item["kind"] == kind
    assert item["metadata"]["namespace"] == "monitoring"
    assert item["metadata"]["labels"]["grafana_datasource"] == "1"
    text = item["data"]["orion-tracing.yaml"]
    text = base64.b64decode(text).decode() if kind == "Secret" else text
    assert yaml.safe_load(text) == given["document"]
    # Read by Grafana, which expands a single "$" as an environment variable.
    assert "$" not in text.replace("$$", "")


@pytest.mark.parametrize(
    ("path", "value", "texts"),
    [
        (["kinds"], "x", ["kinds"]),
        (["kind"], "Deployment", ["kind"]),
        (["labels"], {}, ["labels"]),
        (["document", "datasource"], [], ["document", "datasource"]),
        (["document", "datasources", 0, "isdefault"], True, ["datasources", "isdefault"]),
        (["document", "datasources", 0, "uid"], "a b", ["datasources", "uid"]),
        (["document", "datasources", 0, "url"], "tempo:3200", ["datasources", "url"]),
        (["document", "datasources", 0, "access"], "direct", ["datasources", "access"]),
        # The user story's fields that Grafana ignores.
        (["document", "datasources", 0, "jsonData", "httpMethod"], "GET", ["jsonData", "httpMethod"]),
        (["document", "datasources", 0, "jsonData", "lokiSearch"], {}, ["jsonData", "lokiSearch"]),
        (["document", "datasources", 0, "jsonData", "tracesToLogs"], {}, ["jsonData", "tracesToLogs"]),
        (["document", "datasources", 0, "jsonData", "tracesToLogsV2", "tags"], ["a"], ["tracesToLogsV2", "tags"]),
        (["document", "datasources", 0, "jsonData", "tracesToMetrics", "queries", 0, "query"], "up", ["query"]),
        (["document", "datasources", 0, "jsonData", "spanBar", "type"], "tag", ["spanBar", "type"]),
        (["document", "datasources", 1, "jsonData", "httpMethod"], "PUT", ["jsonData", "httpMethod"]),
        (["document", "datasources", 2, "jsonData", "derivedFields", 0, "uid"], "x", ["derivedFields", "uid"]),
    ],
)  # fmt: skip
def test_closed_schema_names_the_path(
    path: list[Any], value: Any, texts: list[str], assert_fails: Callable[..., None]
) -> None:
    changed: Any = copy.deepcopy(values())
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert_fails(CHART, changed, *texts)


@pytest.mark.parametrize("store", ["victorialogs", "opensearch"])
def test_every_kind_of_data_source_has_its_place(
    store: str,
    render: Callable[..., list[dict[str, Any]]],
    validate_kubernetes: Callable[[list[dict[str, Any]]], None],
) -> None:
    given = values(
        grafana_logs_type=store,
        grafana_jaeger_url="http://jaeger:16686",
        grafana_datasources=[{"type": "faro", "uid": "faro", "secureJsonData": {"a": "$__env{A}"}}],
    )
    objects = render(CHART, given, namespace="monitoring", release="grafana-datasources")
    validate_kubernetes(objects)
    document = yaml.safe_load(objects[0]["data"]["orion-tracing.yaml"])
    assert [item["uid"] for item in document["datasources"]] == ["tempo", "jaeger", "prometheus", store, "faro"]


def test_only_the_place_of_a_tenant_is_stored(render: Callable[..., list[dict[str, Any]]]) -> None:
    given = values(grafana_tenant_variables={"tempo": "TEMPO_TENANT"})
    (item,) = render(CHART, given, namespace="monitoring", release="grafana-datasources")
    tempo = yaml.safe_load(item["data"]["orion-tracing.yaml"])["datasources"][0]
    assert tempo["jsonData"]["httpHeaderName1"] == "X-Scope-OrgID"
    assert tempo["secureJsonData"] == {"httpHeaderValue1": "$__env{TEMPO_TENANT}"}


def test_a_secret_itself_is_refused(assert_fails: Callable[..., None]) -> None:
    changed: Any = copy.deepcopy(values())
    changed["document"]["datasources"][0]["secureJsonData"] = {"httpHeaderValue1": "team-a"}
    assert_fails(CHART, changed, "secureJsonData", "httpHeaderValue1")


def test_document_is_required(assert_fails: Callable[..., None]) -> None:
    assert_fails(CHART, {}, "document", "datasources")


def with_content(**changes: Any) -> dict[str, Any]:
    """The values that the role would pass, with dashboards and alert rules."""
    files = ROLE / "files"
    dashboards = {path.stem: json.loads(path.read_text()) for path in (files / "dashboards").glob("*.json")}
    rules, provisioning = (yaml.safe_load((files / f"alerts/{n}.yml").read_text()) for n in ("prometheus", "grafana"))
    needed = {"tracing_environment": "test", "tracing_cluster_name": "test", "object_storage_bucket": "orion-traces"}
    plan = tracing_plan(role_defaults("tempo", "collector", "instrumentation", "preflight.plan", **needed))
    variables = role_defaults("grafana", grafana_jaeger_url="http://jaeger:16686", **changes)
    return values() | content_values(variables, dashboards, rules, provisioning, plan)


def test_every_dashboard_is_a_config_map_of_its_own(
    render: Callable[..., list[dict[str, Any]]],
    validate_kubernetes: Callable[[list[dict[str, Any]]], None],
) -> None:
    given = with_content()
    objects = render(CHART, given, namespace="monitoring", release="grafana-datasources")
    validate_kubernetes(objects)
    maps = {item["metadata"]["name"]: item for item in objects if "grafana_dashboard" in item["metadata"]["labels"]}
    assert maps.keys() == {f"grafana-{uid}" for uid in given["dashboards"]["items"]}
    for name, item in maps.items():
        uid = name.removeprefix("grafana-")
        assert item["kind"] == "ConfigMap"
        assert item["metadata"]["namespace"] == "monitoring"
        assert item["metadata"]["annotations"] == {"grafana_folder": "Tracing"}
        [(file, text)] = item["data"].items()
        assert file == f"{uid}.json"
        assert text == given["dashboards"]["items"][uid]
    assert len(objects) == len(maps) + 1, "alert rules are off by default"


@pytest.mark.parametrize("kind", ["grafana", "PrometheusRule"])
def test_alert_rules_arrive_as_they_were_built(kind: str, render: Callable[..., list[dict[str, Any]]]) -> None:
    """With the {{ $labels }} of their texts, which neither Ansible nor Helm may take for its own."""
    labels = {"release": "kube-prometheus-stack"}
    given = with_content(grafana_alerts_enabled=True, grafana_alerts_kind=kind, grafana_alerts_labels=labels)
    objects = render(CHART, given, namespace="monitoring", release="grafana-datasources")
    item = next(one for one in objects if one["metadata"]["name"] == "orion-tracing-alerts")
    assert item["metadata"]["labels"].items() >= labels.items()
    if kind == "grafana":
        assert item["kind"] == "ConfigMap"
        document = yaml.safe_load(item["data"]["orion-tracing-alerts.yaml"])
    else:
        assert (item["apiVersion"], item["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
        document = item["spec"]
    assert document == given["alerts"]["document"]
    assert "{{ $labels.exporter }}" in json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "texts"),
    [
        (["dashboards", "items", "orion-red"], {}, ["dashboards", "items"]),
        (["dashboards", "items", "Orion"], "{}", ["Orion", "propertyName"]),
        (["dashboards", "items", "orion-large"], '{"a": "' + 1024 * 1024 * "x" + '"}', ["orion-large", "ConfigMap"]),
        (["dashboards", "labels", "a"], "b c", ["dashboards", "labels"]),
        (["alerts", "kind"], "Alertmanager", ["alerts", "kind"]),
        (["alerts", "groups"], [], ["alerts", "groups"]),
    ],
)
def test_wrong_content_is_refused(
    path: list[str], value: Any, texts: list[str], assert_fails: Callable[..., None]
) -> None:
    changed: Any = copy.deepcopy(with_content(grafana_alerts_enabled=True))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert_fails(CHART, changed, *texts)
