# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Data sources as users have them in provisioning files."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.grafana import datasources as gd
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

URLS = {"grafana_prometheus_url": "http://prometheus:9090", "grafana_logs_url": "http://loki-gateway"}
# The user story's, as written.
SEED = """
apiVersion: 1
datasources:
  - name: Tempo
    type: tempo
    access: proxy
    url: http://tempo-query-frontend:3100
    jsonData:
      httpMethod: GET
      tracesToLogs:
        datasourceUid: loki
        tags: ['service.name', 'http.method']
        mappedTags: [{ key: 'service.name', value: 'service' }]
        mapTagNamesEnabled: true
        spanStartTimeShift: '-1h'
        spanEndTimeShift: '1h'
        filterByTraceID: true
        filterBySpanID: false
      tracesToMetrics:
        datasourceUid: prometheus
        tags: [{ key: 'service.name', value: 'service' }]
        queries:
          - name: 'Request Rate'
            query: 'sum(rate(http_server_requests_seconds_count{$$__tags}[5m]))'
          - name: 'Error Rate'
            query: 'sum(rate(http_server_requests_seconds_count{$$__tags,status=~"5.."}[5m]))'
      serviceMap:
        datasourceUid: prometheus
      search:
        hide: false
      nodeGraph:
        enabled: true
      lokiSearch:
        datasourceUid: loki
"""


def built(given: Any, **changes: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Data sources by uid, and warnings."""
    document, warnings = gd.provisioning(role_defaults("grafana", **URLS, **changes, grafana_datasources=given))
    return {item["uid"]: item for item in document["datasources"]}, [str(warning) for warning in warnings]


def test_the_user_storys_document() -> None:
    found, warnings = built(yaml.safe_load(SEED))
    tempo = found["tempo"]
    assert set(found) == {"tempo", "prometheus", "loki"}
    assert tempo["url"] == "http://tempo-query-frontend.tracing.svc:3200"
    data = tempo["jsonData"]
    assert {"httpMethod", "tracesToLogs", "lokiSearch"}.isdisjoint(data)
    assert data["search"] == {"hide": False} and data["nodeGraph"] == {"enabled": True}
    link = data["tracesToLogsV2"]
    assert link["tags"] == [{"key": "service.name", "value": "service"}]
    assert (link["spanStartTimeShift"], link["spanEndTimeShift"], link["filterByTraceID"]) == ("-1h", "1h", True)
    assert link["customQuery"] is True and 'trace_id="$${__span.traceId}"' in link["query"]
    queries = [query["query"] for query in data["tracesToMetrics"]["queries"]]
    assert queries[0] == "sum(rate(http_server_requests_seconds_count{$$__tags}[5m]))"
    # What it does not mention is the role's.
    assert data["streamingEnabled"] == {"search": True, "metrics": True}
    places = [warning.partition(": ")[0].removeprefix("grafana_datasources.datasources[0]") for warning in warnings]
    assert places == [
        "",
        ".jsonData.tracesToLogs",
        ".jsonData.tracesToLogs.mapTagNamesEnabled",
        ".jsonData.tracesToLogs.mappedTags",
        ".jsonData.tracesToLogs.tags",
        ".jsonData.lokiSearch",
        ".jsonData.tracesToMetrics.queries[0].query",
        ".jsonData.tracesToMetrics.queries[1].query",
        ".jsonData.httpMethod",
        ".url",
    ]
    assert "3100 is the port of Loki" in warnings[-1]


def test_the_user_storys_document_without_prometheus_and_loki() -> None:
    document, warnings = gd.provisioning(role_defaults("grafana", grafana_datasources=[yaml.safe_load(SEED)]))
    assert [item["uid"] for item in document["datasources"]] == ["tempo"]
    dangling = [str(warning) for warning in warnings if "links Tempo to the data source" in str(warning)]
    assert len(dangling) == 2 and "data source loki" in dangling[0] and "data source prometheus" in dangling[1]


def test_what_is_given_wins_key_by_key() -> None:
    spans = {"type": "tempo", "uid": "tempo", "name": "Traces", "jsonData": {"spanBar": {"type": "Duration"}}}
    found, warnings = built([{**spans, "isDefault": True, "editable": True, "orgId": 2}])
    assert not warnings
    assert found["tempo"]["name"] == "Traces" and found["tempo"]["isDefault"] is True
    assert found["tempo"]["jsonData"]["spanBar"] == {"type": "Duration"}
    assert found["tempo"]["jsonData"]["serviceMap"] == {"datasourceUid": "prometheus"}
    assert "orgId" not in found["tempo"] and "editable" not in found["tempo"]


def test_a_url_makes_the_roles_data_source() -> None:
    given = [{"name": "Prometheus", "type": "prometheus", "uid": "prometheus", "url": "http://mimir/prometheus"}]
    document, _warnings = gd.provisioning(role_defaults("grafana", grafana_datasources=given))
    found = {item["uid"]: item for item in document["datasources"]}
    assert found["prometheus"]["url"] == "http://mimir/prometheus"
    assert found["tempo"]["jsonData"]["serviceMap"] == {"datasourceUid": "prometheus"}


def test_other_data_sources_are_added() -> None:
    second = {
        "name": "Old",
        "type": "tempo",
        "uid": "old",
        "url": "http://old:3200",
        "jsonData": {"tracesToLogsV2": {"datasourceUid": "loki", "tags": ["service.name"], "filterByTraceID": True}},
    }
    postgres = {"name": "DB", "type": "grafana-postgresql-datasource", "uid": "db", "user": "a", "database": "shop"}
    found, warnings = built([{**postgres, "secureJsonData": {"password": "$__file{/etc/db}"}}, second])
    assert not warnings
    assert found["db"]["secureJsonData"] == {"password": "$__file{/etc/db}"}
    assert found["old"]["jsonData"]["tracesToLogsV2"]["customQuery"] is True
    assert found["old"]["jsonData"]["tracesToLogsV2"]["tags"] == [{"key": "service.name"}]


def test_a_port_that_is_only_doubtful() -> None:
    _found, warnings = built([{"type": "tempo", "uid": "tempo", "url": "http://traces.example.com:3100"}])
    assert len(warnings) == 1 and "Use port 3200" in warnings[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["tempo"], r"grafana_datasources\[0\]: is 'tempo', not a data source"),
        ("tempo", "grafana_datasources: is 'tempo', not a data source"),
        ([{"name": "x"}], r"grafana_datasources\[0\]: is a mapping of name, not a data source"),
        ([{"type": "faro"}], "has no uid. Give it one"),
        ([{"type": "faro", "uid": "a b"}], "uid: is 'a b', which cannot be a uid"),
        ([{"type": "tempo", "uid": "tempo", "url": "tempo:3200"}], "url: is 'tempo:3200', not a URL"),
        (
            [{"type": "tempo", "uid": "tempo", "jsonData": []}, {"type": "tempo", "jsonData": 1}],
            "jsonData: is not a map",
        ),
        ([{"type": "x", "uid": "tempo", "name": "x"}], "has the uid 'tempo' for x, which another"),
        ([{"type": "x", "uid": "x", "name": "Tempo"}], "has the name 'Tempo' for x, which another"),
        ([{"type": "x", "uid": "x", "secureJsonData": {"a": 1}}], "secureJsonData: is not a mapping of strings"),
    ],
)
def test_bad_input_names_the_place(given: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        built(given)


def test_a_secret_is_neither_stored_nor_shown() -> None:
    given = [{"type": "x", "uid": "x", "secureJsonData": {"password": "hunter22"}}]
    with pytest.raises(InvalidInput, match=r"secureJsonData.password: is a value, not where") as caught:
        built(given)
    assert "hunter22" not in str(caught.value)
    with pytest.raises(InvalidInput, match=r"password: is \$__env\{A\}"):
        gd.api_sources(
            role_defaults(
                "grafana",
                grafana_provisioning="api",
                grafana_url="https://grafana",
                grafana_datasources=[{"type": "x", "uid": "x", "secureJsonData": {"password": "$__env{A}"}}],
            )
        )


def test_an_unknown_key_is_left_out() -> None:
    found, warnings = built([{"type": "tempo", "uid": "tempo", "isdefault": True}])
    assert "isdefault" not in found["tempo"]
    assert warnings == [
        "grafana_datasources[0].isdefault: is not a key of a data source: Grafana ignores it. Remove it."
    ]
