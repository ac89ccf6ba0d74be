# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.filter.grafana import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.grafana import datasources as gd
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ALL = {"grafana_prometheus_url": "http://prometheus:9090", "grafana_loki_url": "http://loki-gateway"}


def variables(**changes: Any) -> dict[str, Any]:
    """As the role hands them over, with changes."""
    return role_defaults("grafana", **changes)


def sources(**changes: Any) -> dict[str, dict[str, Any]]:
    return {item["type"]: item for item in gd.provisioning(variables(**changes))["datasources"]}


def test_everything_is_linked_by_fixed_uids() -> None:
    found = sources(**ALL)
    assert {kind: item["uid"] for kind, item in found.items()} == {
        "tempo": "tempo",
        "prometheus": "prometheus",
        "loki": "loki",
    }
    tempo = found["tempo"]["jsonData"]
    assert found["tempo"]["url"] == "http://tempo-query-frontend.tracing.svc:3200"
    assert tempo["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert tempo["tracesToMetrics"]["datasourceUid"] == tempo["serviceMap"]["datasourceUid"] == "prometheus"
    exemplars = found["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars == [{"name": name, "datasourceUid": "tempo"} for name in ("traceID", "trace_id")]
    assert found["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"] == "tempo"
    assert "traceQuery" not in tempo


def test_without_a_tempo_of_its_own_nothing_leads_to_one() -> None:
    """tracing_store is otlp."""
    found = sources(**ALL, tracing_store="otlp")
    assert set(found) == {"prometheus", "loki"}
    assert found["prometheus"]["jsonData"] == {"httpMethod": "POST"} and found["loki"]["jsonData"] == {}
    linked = sources(**ALL, tracing_store="otlp", grafana_existing_datasource_uids=["tempo"])
    assert linked["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == "tempo"
    assert linked["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"] == "tempo"
    central = sources(**ALL, tracing_store="otlp", grafana_tempo_url="http://tempo.central.svc:3200")
    assert central["tempo"]["url"] == "http://tempo.central.svc:3200"


def test_links_follow_renamed_uids() -> None:
    found = sources(**ALL, grafana_tempo_uid="t", grafana_prometheus_uid="p", grafana_loki_uid="l")
    text = yaml.safe_dump(found)
    for old in ("datasourceUid: tempo", "datasourceUid: prometheus", "datasourceUid: loki"):
        assert old not in text


def test_without_urls_there_is_tempo_alone_and_no_dangling_link() -> None:
    found = sources()
    assert set(found) == {"tempo"}
    assert "datasourceUid" not in yaml.safe_dump(found)


def test_links_to_what_grafana_has_already() -> None:
    found = sources(grafana_existing_datasource_uids=["prometheus", "loki"])
    assert set(found) == {"tempo"}
    assert found["tempo"]["jsonData"]["serviceMap"] == {"datasourceUid": "prometheus"}
    assert found["tempo"]["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "loki"


def test_every_dollar_is_doubled_once() -> None:
    queries = [{"name": "a", "query": "x{$__tags}"}, {"name": "b", "query": "x{$$__tags}"}]
    found = sources(**ALL, grafana_traces_to_metrics_queries=queries)
    assert [query["query"] for query in found["tempo"]["jsonData"]["tracesToMetrics"]["queries"]] == ["x{$$__tags}"] * 2
    assert found["loki"]["jsonData"]["derivedFields"][0]["url"] == "$${__value.raw}"


def test_tags_of_the_older_form_are_taken() -> None:
    assert gd.tags(["service.name", "http.method"]) == [{"key": "service.name"}, {"key": "http.method"}]
    assert gd.tags([{"key": "service.name", "value": "service"}]) == [{"key": "service.name", "value": "service"}]


def test_time_shift_of_queries_by_id() -> None:
    found = sources(grafana_trace_query_time_shift="30m")
    assert found["tempo"]["jsonData"]["traceQuery"] == {
        "timeShiftEnabled": True,
        "spanStartTimeShift": "30m",
        "spanEndTimeShift": "30m",
    }


def test_values_of_the_chart() -> None:
    values = FilterModule().filters()["grafana_values"](variables(grafana_provisioning_kind="ConfigMap"))
    assert values["kind"] == "ConfigMap"
    assert values["labels"] == {"grafana_datasource": "1"}
    assert values["document"]["apiVersion"] == 1
    with pytest.raises(AnsibleFilterError, match="grafana_tempo_url"):
        FilterModule().filters()["grafana_values"](variables(grafana_tempo_url="tempo:3200"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grafana_traces_to_logs_tags": ["http.method"]}, "grafana_traces_to_logs_tags: does not map service.name"),
        ({"grafana_traces_to_metrics_tags": []}, "grafana_traces_to_metrics_tags: does not map service.name"),
        ({"grafana_traces_to_logs_tags": [{"name": "x"}]}, "grafana_traces_to_logs_tags.*: is .* not a tag"),
        ({"grafana_traces_to_logs_tags": [{"key": "x", "label": "y"}]}, "not a tag"),
        ({"grafana_traces_to_logs_tags": [7]}, "is 7, not a tag"),
        ({"grafana_traces_to_logs_start_time_shift": "5m"}, ", not before"),
        ({"grafana_traces_to_metrics_end_time_shift": "10 minutes"}, "grafana_traces_to_metrics_end_time_shift: "),
        ({"grafana_traces_to_metrics_queries": [{"name": "a", "query": "up"}]}, r"does not contain \$__tags"),
        ({"grafana_traces_to_metrics_queries": [{"name": "a"}]}, "grafana_traces_to_metrics_queries.*: .* not a query"),
        ({"grafana_traces_to_metrics_queries": ["up"]}, "is 'up', not a query"),
        ({"grafana_trace_query_time_shift": "-30m"}, "grafana_trace_query_time_shift"),
        ({"grafana_loki_uid": "tempo"}, "grafana_loki_uid: is 'tempo', as is grafana_tempo_uid"),
        ({"grafana_existing_datasource_uids": ["prometheus"]}, "leave grafana_prometheus_url empty"),
        ({"grafana_existing_datasource_uids": ["tempo"]}, "grafana_tempo_uid: is 'tempo', which is also in"),
        ({"grafana_loki_url": "loki:3100"}, "grafana_loki_url: is 'loki:3100', not a URL"),
    ],
)  # fmt: skip
def test_bad_input_names_the_variable(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        gd.grafana_values(variables(**{**ALL, **changes}))
