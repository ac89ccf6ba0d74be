# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Log records of traces as the page has them."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import query
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.report import links, logs, options
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, answer_of, refused
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.report.made import BEGIN, MS, TRACE_ID, rows

URL = "http://victorialogs.logging.svc:9428"
TRACE = rows((1, 0, "web", "GET /", 0, 100), (2, 1, "db", "query", 10, 30))
RECORD = {"_time": "2026-01-31T10:00:00.0125Z", "_msg": "hello", "span_id": f"{1:016x}", "service.name": "web",
          "severity_text": "INFO", "trace_id": TRACE_ID}  # fmt: skip


def store(*records: dict[str, str]) -> tuple[FakeKube, VictoriaLogs]:
    def answer(request: Request) -> Any:
        lines = "\n".join(json.dumps(one) for one in records[-int(request.query["limit"]) :])
        return Response(200, {}, lines.encode())

    cluster = FakeKube()
    cluster.on("victorialogs", answer)
    return cluster, VictoriaLogs(cluster.client(), URL)


def test_a_record_has_its_place_in_the_trace() -> None:
    bare = {"_time": "2026-01-31T09:59:59Z", "level": "warn", "_msg": "x" * 2001}
    found = logs.log_data(TRACE, [RECORD, bare], "VictoriaLogs")
    assert found == {
        "records": [
            {"at": 12_500_000, "span_id": f"{1:016x}", "service": "web", "severity": "INFO", "body": "hello"},
            {"at": -1_000_000_000, "span_id": "", "service": "", "severity": "warn",
             "body": "x" * 2000 + "… (1 more characters)"},
        ]
    }  # fmt: skip


def test_the_trace_is_asked_for_by_its_id_and_around_its_time() -> None:
    cluster, reader = store(RECORD)
    found = logs.LogsOfTraces(reader)(TRACE)
    assert [one["body"] for one in found["records"]] == ["hello"] and "note" not in found
    [asked] = cluster.asked
    assert asked.path == "/api/v1/namespaces/logging/services/http:victorialogs:9428/proxy/select/logsql/query"
    assert asked.query["query"] == f'"trace_id":="{TRACE_ID}"'
    seconds = BEGIN / 1e9
    assert (float(asked.query["start"]), float(asked.query["end"])) == (seconds - 300, seconds + 300.1)
    assert asked.query["limit"] == "501"


def test_more_records_than_a_page_has_are_cut_and_it_says_so() -> None:
    _cluster, reader = store(*({**RECORD, "_msg": str(number)} for number in range(600)))
    found = logs.LogsOfTraces(reader)(TRACE)
    assert [found["records"][place]["body"] for place in (0, -1)] == ["100", "599"] and len(found["records"]) == 500
    assert found["note"] == "These are the newest 500 records of the trace; VictoriaLogs has more."


def test_records_of_one_time_are_in_the_same_order_each_time() -> None:
    of_streams = [{**RECORD, "_msg": one, "_stream": f'{{service.name="{one}"}}'} for one in ("a", "b", "c")]
    for order in itertools.permutations(of_streams):
        _cluster, reader = store(*order)
        assert [one["body"] for one in logs.LogsOfTraces(reader)(TRACE)["records"]] == ["a", "b", "c"]


def test_a_trace_without_records() -> None:
    _cluster, reader = store()
    assert logs.LogsOfTraces(reader)(TRACE) == {"none": "VictoriaLogs has no log record with the id of this trace."}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refused(503, "no endpoints available"), "answered 503: no endpoints available"),
        (refused(403, "no"), "no permission for services/proxy in namespace logging"),
        (refused(404, "no"), "namespace logging has no Service victorialogs"),
        ([{"no": "lines"}], "a log record has the time ''"),
    ],
)
def test_a_store_that_does_not_answer_is_asked_once(answer: Any, why: str) -> None:
    cluster = FakeKube()
    cluster.on("victorialogs", answer if not isinstance(answer, list) else answer_of(answer[0]))
    read = logs.LogsOfTraces(VictoriaLogs(cluster.client(), URL))
    assert read.problem == ""
    first, second = read(TRACE), read(TRACE)
    assert first == second == {"none": read.problem}
    assert why in read.problem and len(cluster.asked) == 1


def test_no_more_traces_are_asked_for_than_a_page_has() -> None:
    cluster, reader = store(RECORD)
    read = logs.LogsOfTraces(reader)
    found = [read(TRACE) for _number in range(logs.TRACES + 2)]
    assert len(cluster.asked) == logs.TRACES and "records" in found[-3]
    assert found[-1]["none"].startswith("Logs are read of the first 50 traces of a page")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31T10:00:00.xZ", "2026-13-31T10:00:00Z"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(ApiError, match="a log record has the time"):
        logs.nanoseconds(text)


def test_times_to_the_nanosecond() -> None:
    assert logs.nanoseconds("2026-01-31T10:00:00Z") == BEGIN
    assert logs.nanoseconds("2026-01-31T10:00:00.123456789Z") == BEGIN + 123_456_789


# How Grafana is asked, and what is not read.


def given(store_name: str) -> dict[str, Any]:
    tags = [{"key": "service.name", "value": "service_name"}]
    return {
        "datasourceUid": "own", "query": query(store_name), "tags": tags, "customQuery": True,
        "spanStartTimeShift": "-5m", "spanEndTimeShift": "1h",
    }  # fmt: skip


def pane(link: str) -> dict[str, Any]:
    return dict(json.loads(parse_qs(urlsplit(link).query)["panes"][0])["trace"])


@pytest.mark.parametrize(
    ("kind", "plugin", "expected"),
    [
        ("loki", "loki", '{service_name="web"} | label_format'),
        ("victorialogs", "victoriametrics-logs-datasource", f'(trace_id:="{TRACE_ID}" OR "{TRACE_ID}") AND service'),
        ("opensearch", "grafana-opensearch-datasource", f'"{TRACE_ID}" AND service_name:"web"'),
    ],
)
def test_logs_in_grafana_by_the_query_of_its_data_source(kind: str, plugin: str, expected: str) -> None:
    link = links.logs("https://grafana.example.com/", kind, given(kind), TRACE)
    assert link.startswith("https://grafana.example.com/explore?schemaVersion=1&")
    shown = pane(link)
    [asked] = shown["queries"]
    assert (shown["datasource"], asked["datasource"]) == ("own", {"type": plugin, "uid": "own"})
    assert asked["query" if kind == "opensearch" else "expr"].startswith(expected)
    begin = BEGIN // MS
    assert shown["range"] == {"from": str(begin - 300_000), "to": str(begin + 100 + 3_600_000)}


def test_no_link_where_grafana_has_none() -> None:
    assert links.logs("", "loki", given("loki"), TRACE) == ""
    assert links.logs("https://g", "loki", {}, TRACE) == ""
    assert links.logs("https://g", "loki", given("loki") | {"tags": [{"key": "absent"}]}, TRACE) == ""
    assert links.logs("https://g", "loki", given("loki"), trace_rows(TRACE_ID, {})) == ""


@pytest.mark.parametrize("wrong", [{"tags": "a"}, {"tags": ["a"]}, {"query": 1}, {"spanStartTimeShift": "soon"}])
def test_what_is_not_traces_to_logs(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="option grafana_traces_to_logs is"):
        links.check_traces_to_logs("grafana_traces_to_logs", given("loki") | wrong)
    links.check_traces_to_logs("grafana_traces_to_logs", given("loki"))
    links.check_traces_to_logs("grafana_traces_to_logs", {})


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("loki", "", "No log store is configured (grafana_logs_url)."),
        ("loki", "http://loki:3100", "Logs are in Loki, which this report does not read."),
        ("opensearch", "https://search.example.com", "Logs are in OpenSearch, which this report does not read."),
    ],
)
def test_stores_that_are_not_read_are_not_asked(kind: str, url: str, expected: str) -> None:
    cluster = FakeKube()
    params = {"logs_type": kind, "logs_url": url, "grafana_url": "https://g", "grafana_traces_to_logs": given(kind)}
    found = options.logs_of(cluster.client(), params)(TRACE)
    assert found["none"] == expected and found["link"].startswith("https://g/explore?") and cluster.asked == []
