# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""trace_report as Ansible runs it, against stores behind an API server on a socket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, answer_of, refused
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.report.made import BEGIN, document
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

PAGE = Path(__file__).parents[4] / "roles/verify/files/report.html"
DATA = re.compile(r'<script type="application/json" id="data">([^<]*)</script>')
A, B, C = "a" * 32, "b" * 32, "c" * 32
TRACES = {
    A: document((1, 0, "web", "GET /", 0, 100), (2, 1, "db", "query", 10, 30), trace_id=A),
    B: document((1, 0, "web", "GET /", 0, 160), (2, 1, "db", "query", 10, 90), trace_id=B),
    C: document((1, 0, "job", "sweep", 0, 5, {"error": "<b>"}), (2, 9, "job", "orphan", 1, 2), trace_id=C),
}
END = {"end": "2026-01-31T10:00:10Z", "last": "1m"}


class Stores:
    """Tempo and Jaeger with the same traces, and VictoriaLogs. asked: paths and queries."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.records = [
            {"_time": "2026-01-31T10:00:00.02Z", "_msg": f"in {one[0]}", "trace_id": one, "span_id": f"{1:016x}",
             "service.name": "web"} for one in (A, B)
        ]  # fmt: skip

    def __call__(self, request: Request) -> Any:
        path = request.path.partition("/proxy/")[2]
        self.asked.append((path, dict(request.query)))
        name = path.rpartition("/")[2]
        if path.startswith("api/v2/traces/"):
            return answer_of({"trace": TRACES[name]} if name in TRACES else {}, 200 if name in TRACES else 404)
        if path == "api/search":
            return answer_of({"traces": [{"traceID": one, "spanSets": [{"matched": 1}]} for one in (A, B)]})
        if path == "select/logsql/query":
            lines = [json.dumps(one) for one in self.records if one["trace_id"] in request.query["query"]]
            return Response(200, {}, "\n".join(lines).encode())
        if path == "api/v3/services":
            return answer_of({"services": ["web", "job"]})
        if path == "api/v3/traces":
            return answer_of({"result": TRACES[C] if request.query["query.service_name"] == "job" else TRACES[A]})
        if path.startswith("api/v3/traces/") and name in TRACES:
            return answer_of({"result": TRACES[name]})
        return answer_of({"error": {"httpCode": 404, "message": "trace not found"}}, 404)


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def url(stores: Stores) -> Iterator[str]:
    kube = FakeKube()
    kube.on("/proxy/", stores)
    kube.on("/namespaces/nowhere/", refused(404, 'services "victorialogs" not found'))
    with kube.serving() as address:
        yield address


def report(url: str, path: Path, **options: Any) -> dict[str, Any]:
    return run("trace_report", host=url, report_path=str(path), report_template=str(PAGE), **options)


def data(path: Path) -> dict[str, Any]:
    found = DATA.search(path.read_text(encoding="utf-8"))
    assert found is not None
    return dict(json.loads(found.group(1)))


@pytest.mark.parametrize("reader", ["tempo", "jaeger"])
def test_traces_by_id_and_a_second_run_without_a_change(url: str, tmp_path: Path, reader: str) -> None:
    path = tmp_path / "page.html"
    planned = report(url, path, store_reader=reader, trace_ids=[A, C.upper()], _ansible_check_mode=True)
    assert planned["changed"] is True and not path.exists()
    result = report(url, path, store_reader=reader, trace_ids=[A, C.upper()])
    assert result["changed"] is True and result["traces"] == [A, C] and result["spans"] == 4
    assert result["table"].splitlines()[1].split() == [A, "web:", "GET", "/", "2", "0", "100", "ms"]
    found = data(path)
    assert [one["trace_id"] for one in found["traces"]] == [A, C]
    assert "whose parent is not in the trace" in found["traces"][1]["findings"][0]
    assert report(url, path, store_reader=reader, trace_ids=[A, C])["changed"] is False


LOGS = {"logs_type": "victorialogs", "logs_url": "http://victorialogs.logging.svc:9428"}


def test_the_logs_of_each_trace_are_in_the_page(url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    result = report(url, path, trace_ids=[A, C], **LOGS)
    assert "warnings" not in result
    first, second = (one["logs"] for one in data(path)["traces"])
    assert first == {
        "records": [{"at": 20_000_000, "span_id": f"{1:016x}", "service": "web", "severity": "", "body": "in a"}]
    }
    assert second == {"none": "VictoriaLogs has no log record with the id of this trace."}
    assert report(url, path, trace_ids=[A, C], **LOGS)["changed"] is False
    report(url, path, trace_ids=[A], compare={"trace_ids": [B]}, **LOGS)
    assert [one["logs"]["records"][0]["body"] for one in data(path)["traces"]] == ["in a", "in b"]


@pytest.mark.parametrize("logs_url", ["http://127.0.0.1:1", "http://victorialogs.nowhere.svc:9428"])
def test_a_log_store_that_does_not_answer_is_a_warning_and_a_reason(url: str, tmp_path: Path, logs_url: str) -> None:
    path = tmp_path / "page.html"
    result = report(url, path, trace_ids=[A, B], **LOGS | {"logs_url": logs_url})
    assert result["changed"] is True and "failed" not in result
    first, second = (one["logs"]["none"] for one in data(path)["traces"])
    assert first == second and first.startswith("VictoriaLogs gave no log records: ")
    assert first in str(result["warnings"]) and len(result["warnings"]) == 1


def test_logs_of_a_store_that_is_not_read_have_a_link(url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    link = {"datasourceUid": "loki", "query": '{${__tags}} |= "${__span.traceId}"', "tags": [{"key": "service.name"}]}
    given = {"logs_type": "loki", "logs_url": "http://loki:3100", "grafana_traces_to_logs": link}
    report(url, path, trace_ids=[A], grafana_url="https://g.example.com", **given)
    logs = data(path)["traces"][0]["logs"]
    assert logs["none"] == "Logs are in Loki, which this report does not read."
    assert A in logs["link"] and logs["link"].startswith("https://g.example.com/explore?")


def test_a_search_in_words_and_in_traceql(url: str, stores: Stores, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    result = report(url, path, search="service=web min=50ms", limit=7, grafana_url="https://g.example.com", **END)
    assert result["traces"] == [A, B]
    asked = next(query for where, query in stores.asked if where == "api/search")
    assert asked["q"] == '{ (resource.service.name = "web") && duration >= 50000000ns } with (most_recent=true)'
    end = BEGIN // 10**9 + 10
    assert (asked["start"], asked["end"], asked["limit"]) == (str(end - 60), str(end), "7")
    assert data(path)["traces"][0]["link"].startswith("https://g.example.com/explore?")
    for text, sent in (
        ("{ status = error }", "{ status = error } with (most_recent=true)"),
        ("{ status = error } with(most_recent = false)", "{ status = error } with(most_recent = false)"),
    ):
        stores.asked.clear()
        report(url, path, search=text, **END)
        assert next(query for where, query in stores.asked if where == "api/search")["q"] == sent


def test_jaegers_search_over_all_services(url: str, tmp_path: Path) -> None:
    result = report(url, tmp_path / "page.html", store_reader="jaeger", search="error=true", **END)
    assert result["traces"] == [C]


def test_two_traces_compared(url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    result = report(url, path, trace_ids=[A], compare={"trace_ids": [B]})
    assert result["difference_ms"] == 60
    assert result["table"].splitlines()[1].split() == ["db", "query", "20.0", "ms", "80.0", "ms", "60.0", "ms"]
    found = data(path)
    assert [one["title"] for one in found["comparison"]["sides"]] == ["trace aaaaaaaa", "trace bbbbbbbb"]
    assert [one["trace_id"] for one in found["traces"]] == [A, B]


def test_two_time_ranges_of_one_operation(url: str, stores: Stores, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    result = report(url, path, search='name="GET /"', compare={"end": "2026-01-31T11:00:10Z"}, **END)
    assert result["difference_ms"] == 0 and result["traces"] == [A, B, A, B]
    ranges = [int(query["end"]) - int(query["start"]) for where, query in stores.asked if where == "api/search"]
    assert ranges == [60, 60]
    assert [one["title"] for one in data(path)["comparison"]["sides"]] == [
        "2026-01-31 09:59 to 10:00 UTC", "2026-01-31 10:59 to 11:00 UTC",
    ]  # fmt: skip


def test_two_searches_in_one_time_range(url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report(url, path, search="service=web", compare={"search": "service=web error=true", **END}, **END)
    found = data(path)
    assert [one["title"] for one in found["comparison"]["sides"]] == ["first", "second"]
    time = "2026-01-31 09:59 to 10:00 UTC"
    assert found["subtitle"] == f"{time} · first: service=web · second: service=web error=true"


def test_traces_that_are_not_there(url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    missing = report(url, path, trace_ids=[A, "d" * 32])
    assert missing["msg"].startswith(f"Tempo has no spans of {'d' * 32}: the trace was not kept")
    assert not path.exists()
    nothing = report(url, path, store_reader="jaeger", search="service=web error=true", **END)
    assert "option search: Jaeger has no trace for service=web error=true from 2026-01-31" in nothing["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "options trace_ids and search are both missing"),
        ({"trace_ids": [A], "search": "service=a"}, "options trace_ids and search are both given"),
        ({"trace_ids": ["xyz"]}, "option trace_ids has 'xyz': a trace id is 32 hexadecimal digits"),
        ({"trace_ids": ["0" * 32]}, "not all zeros"),
        ({"search": "{ }", "store_reader": "jaeger"}, "option search is TraceQL, but store_reader is jaeger"),
        ({"search": "orders"}, "option search has the word 'orders'"),
        ({"search": "a=b", "end": "yesterday"}, "options end and last are 'yesterday' and '1h'"),
        ({"search": "a=b", "last": "long"}, "Give a time such as"),
        ({"search": "a=b", "limit": 0}, "option limit is 0"),
        ({"trace_ids": [A], "compare": {}}, "options compare.trace_ids and compare.search are both missing"),
        ({"trace_ids": [A], "compare": {"search": "x"}}, "option compare.search has the word 'x'"),
        ({"trace_ids": [A], "grafana_url": "ftp://x"}, "option grafana_url is ftp://x"),
        ({"trace_ids": [A], "logs_url": "logs:9428"}, "option logs_url is 'logs:9428', not an HTTP URL"),
        ({"trace_ids": [A], "logs_url": "https://a:b@x"}, "option logs_url has credentials in it"),
        ({"trace_ids": [A], "grafana_traces_to_logs": {"tags": "x"}}, "option grafana_traces_to_logs is not Grafana's"),
        ({"trace_ids": [A], "report_path": "/nonexistent/x.html"}, "its folder does not exist"),
        ({"trace_ids": [A], "report_template": "/nonexistent/x.html"}, "option report_template is /nonexistent/x.html"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    given = {"report_path": str(tmp_path / "x.html"), "report_template": str(PAGE), **options}
    result = run("trace_report", host="http://127.0.0.1:9", **given)
    assert result["failed"] is True and message in result["msg"]
