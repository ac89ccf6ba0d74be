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

API = {"grafana_provisioning": "api", "grafana_url": "https://grafana"}
ALL = {"grafana_prometheus_url": "http://prometheus:9090", "grafana_logs_url": "http://loki-gateway"}


def variables(**changes: Any) -> dict[str, Any]:
    """As the role hands them over, with changes."""
    return role_defaults("grafana", **changes)


def sources(**changes: Any) -> dict[str, dict[str, Any]]:
    document, _warnings = gd.provisioning(variables(**changes))
    return {item["type"]: item for item in document["datasources"]}


def warnings(**changes: Any) -> list[str]:
    return [str(warning) for warning in gd.provisioning(variables(**changes))[1]]


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
    found = sources(**ALL, grafana_tempo_uid="t", grafana_prometheus_uid="p", grafana_logs_uid="l")
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
        ({"grafana_logs_uid": "tempo"}, "grafana_logs_uid: is 'tempo', as is grafana_tempo_uid"),
        ({"grafana_existing_datasource_uids": ["prometheus"]}, "leave grafana_prometheus_url empty"),
        ({"grafana_existing_datasource_uids": ["tempo"]}, "grafana_tempo_uid: is 'tempo', which is also in"),
        ({"grafana_logs_url": "loki:3100"}, "grafana_logs_url: is 'loki:3100', not a URL"),
        ({"grafana_logs_type": "splunk"}, "grafana_logs_type: is 'splunk', not one of the choices"),
        ({"grafana_provisioning": "file"}, "grafana_provisioning: is 'file', not one of the choices"),
        ({"grafana_provisioning": "api"}, "grafana_url: is empty, but grafana_provisioning is api"),
        ({"grafana_provisioning": "api", "grafana_url": "grafana:3000"}, "grafana_url: is 'grafana:3000', not a URL"),
        ({**API, "grafana_tenant_variables": {"tempo": "A"}}, r"is set, but .* Use grafana_tenants\."),
        ({**API, "grafana_alerts_enabled": True, "grafana_alerts_kind": "PrometheusRule"}, "kind: is Prometh"),
        ({"grafana_tenants": {"tempo": "team-a"}}, "grafana_tenants: is set, but .* Use grafana_tenant_variables"),
        ({"grafana_tenant_variables": {"jaeger": "A"}}, "grafana_tenant_variables.jaeger: is not a data source with"),
        ({"grafana_tenant_variables": {"tempo": "a-b"}}, "tempo: is 'a-b', which is not the name of an environment"),
        ({"grafana_logs_type": "victorialogs", "grafana_tenant_variables": {"logs": "A"}}, "multitenancyHeaders"),
    ],
)  # fmt: skip
def test_bad_input_names_the_variable(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        gd.api_sources(variables(**{**ALL, **changes}))


def test_jaeger_in_tempos_place() -> None:
    store = {"tracing_store": "otlp", "tracing_store_reader": "jaeger", "tracing_store_namespace": "local-backends"}
    found = sources(**ALL, **store, grafana_trace_query_time_shift="30m")
    assert set(found) == {"jaeger", "prometheus", "loki"}
    assert found["jaeger"]["url"] == "http://jaeger.local-backends.svc:16686"
    data = found["jaeger"]["jsonData"]
    assert {"serviceMap", "streamingEnabled", "traceQuery"}.isdisjoint(data), "Jaeger's data source has none of these"
    assert data["tracesToLogsV2"]["datasourceUid"] == "loki" and data["traceIdTimeParams"] == {"enabled": True}
    assert found["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"] == "jaeger"
    assert found["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == "jaeger"


def test_tempo_before_jaeger() -> None:
    found = sources(**ALL, grafana_jaeger_url="http://jaeger:16686")
    assert found["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"] == "tempo"


def test_logs_in_victorialogs() -> None:
    found = sources(**ALL, grafana_logs_type="victorialogs", grafana_logs_json_data={"maxLines": 500})
    logs = found["victoriametrics-logs-datasource"]
    assert (logs["name"], logs["uid"]) == ("VictoriaLogs", "victorialogs")
    assert logs["jsonData"]["derivedFields"][0]["datasourceUid"] == "tempo" and logs["jsonData"]["maxLines"] == 500
    link = found["tempo"]["jsonData"]["tracesToLogsV2"]
    assert link["datasourceUid"] == "victorialogs"
    assert link["tags"][0] == {"key": "service.name", "value": '"service.name"'}
    assert link["query"] == '(trace_id:="$${__span.traceId}" OR "$${__span.traceId}") AND $${__tags}'


def test_logs_in_opensearch() -> None:
    found = sources(**ALL, grafana_logs_type="opensearch", grafana_logs_json_data={"database": "shop-*"})
    logs = found["grafana-opensearch-datasource"]["jsonData"]
    assert logs["database"] == "shop-*" and logs["timeField"] == "time"
    assert logs["dataLinks"] == [{"field": "^trace_?[iI]d$$", "url": "$${__value.raw}", "datasourceUid": "tempo"}]
    assert found["tempo"]["jsonData"]["tracesToLogsV2"]["tags"] == [{"key": "service.name", "value": "serviceName"}]


def test_the_query_is_always_ours_or_the_users() -> None:
    link = sources(**ALL)["tempo"]["jsonData"]["tracesToLogsV2"]
    assert link["customQuery"] is True and link["query"].startswith("{$${__tags}} | label_format ")
    own = sources(**ALL, grafana_traces_to_logs_query='{$__tags} |= "${__trace.traceId}"')
    assert own["tempo"]["jsonData"]["tracesToLogsV2"]["query"] == '{$$__tags} |= "$${__trace.traceId}"'


def test_a_tenant_is_read_by_grafana_or_sent_as_a_secret() -> None:
    tempo = sources(**ALL, grafana_tenant_variables={"tempo": "TEMPO_TENANT", "logs": "LOKI_TENANT"})
    assert tempo["loki"]["secureJsonData"] == {"httpHeaderValue1": "$__env{LOKI_TENANT}"}
    found, _warnings = gd.api_sources(variables(**ALL, **API, grafana_tenants={"tempo": "team-a"}))
    assert found[0]["jsonData"]["httpHeaderName1"] == "X-Scope-OrgID"
    assert found[0]["secureJsonData"] == {"httpHeaderValue1": "team-a"}
    assert all("secureJsonData" not in source for source in found[1:])
    assert "$$" not in yaml.safe_dump(found), "dollars are single in the HTTP API"


def test_doubts_about_tempos_address() -> None:
    (port,) = warnings(grafana_tempo_url="http://tempo:3100")
    assert port.startswith("grafana_tempo_url: is http://tempo:3100: 3100 is the port of Loki") and "3200" in port
    (proxy,) = warnings(grafana_tempo_url="https://tempo.example.com")
    assert proxy.startswith("grafana_streaming_enabled: ") and "stream_over_http_enabled" in proxy
    assert not warnings(grafana_tempo_url="https://tempo.example.com", grafana_streaming_enabled=False)
    off = {**variables(), "tempo_extra_config": {"stream_over_http_enabled": False}}
    assert "tempo_extra_config switches stream_over_http_enabled off" in str(gd.findings(off))
    assert not warnings(**ALL)


def test_an_object_that_is_too_large() -> None:
    large = {"name": "x", "type": "testdata", "uid": "x", "jsonData": {"text": "a" * 2**20}}
    with pytest.raises(InvalidInput, match=r"has \d+ bytes, more than the 1048576 .* Shorten grafana_datasources"):
        gd.provisioning(variables(grafana_datasources=[large]))
