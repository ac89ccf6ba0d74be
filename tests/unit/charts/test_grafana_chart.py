# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The grafana-datasources chart: what Grafana's sidecar gets, and what the closed schema refuses."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import grafana_values
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
