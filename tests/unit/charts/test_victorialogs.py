# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reader of logs against the real VictoriaLogs, with the arguments that local_backends gives it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs, moment, quoted
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import NotNow
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import until
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import Server, started

CHART = Path(__file__).resolve().parents[3] / "roles/local_backends/files/chart"
TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "1" * 32
SPAN, SECOND = "b7ad6b7169203331", "2" * 16
# A value with all that means something in a query.
ODD = 'a "b" \\ {c} | d := (e) $1 ü\n\u2028*'


@pytest.fixture
def server(render: Callable[..., Any], pick: Callable[..., Any], tmp_path: Path) -> Iterator[Server]:
    objects = render(CHART, {"victorialogs": {"enabled": True}}, "local-backends")
    (one,) = pick(objects, "Deployment", "victorialogs")["spec"]["template"]["spec"]["containers"]
    with started(tmp_path, one["args"]) as running:
        yield running


def insert(server: Server, *records: dict[str, Any]) -> None:
    lines = "\n".join(json.dumps(record) for record in records).encode()
    url = f"{server.url}/insert/jsonline?_stream_fields=service.name"
    request = urllib.request.Request(url, lines, {"Content-Type": "application/stream+json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def record(message: str, seconds: float, trace_id: str = TRACE, span_id: str = SPAN, **fields: str) -> dict[str, Any]:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat()
    return {
        "_time": moment,
        "_msg": message,
        "trace_id": trace_id,
        "span_id": span_id,
        "service.name": "shop",
        **fields,
    }


def test_records_of_a_trace_and_of_a_span(server: Server) -> None:
    now = time.time()
    insert(
        server,
        record("third", now - 1, span_id=SECOND),
        record("first", now - 3, odd=ODD),
        record("of another trace", now - 2, trace_id=OTHER),
        record("second", now - 2),
    )
    reader = server.reader
    until(lambda: len(reader.query("*")) == 4, "all records")

    def messages(*ids: str, **options: Any) -> list[str]:
        return [one["_msg"] for one in reader.records(*ids, **options)]

    assert messages(TRACE) == ["first", "second", "third"]
    assert messages(TRACE, SPAN) == ["first", "second"]
    assert messages(TRACE, SECOND) == ["third"]
    assert messages(OTHER, SECOND) == messages("f" * 32) == []
    assert messages(TRACE, fields={"service.name": "shop", "odd": ODD}) == ["first"]
    assert messages(TRACE, fields={"service.name": "sho"}) == []
    assert messages(TRACE, start=now - 2.5, end=now - 1.5) == ["second"]
    assert messages(TRACE, limit=1) == ["third"], "the newest"
    [found] = reader.records(TRACE, fields={"odd": ODD})
    assert (found["odd"], found["span_id"], found["service.name"]) == (ODD, SPAN, "shop")


@pytest.mark.parametrize(("trace_id", "span_id"), [("", ""), (TRACE.upper(), ""), ('x" or *', ""), (TRACE, TRACE)])
def test_what_is_not_an_id_is_not_asked_for(server: Server, trace_id: str, span_id: str) -> None:
    with pytest.raises(ApiError, match="is not the id of a"):
        server.reader.records(trace_id, span_id)


def test_a_query_with_an_error_has_the_stores_words(server: Server) -> None:
    with pytest.raises(ApiError, match="answered 400") as caught:
        server.reader.query("{")
    assert not isinstance(caught.value, NotNow)
    assert "cannot parse `query` arg" in str(caught.value)


def test_records_are_in_the_order_of_their_times() -> None:
    written = ["2026-01-31T10:00:01Z", "2026-01-31T10:00:01.05Z", "2026-01-31T10:00:01.1Z", "2026-01-31T10:00:02Z"]
    assert sorted([{"_time": one} for one in reversed(written)], key=moment) == [{"_time": one} for one in written]


def test_quotes_and_controls_are_escaped() -> None:
    assert quoted('a"\n') == '"a\\"\\n"'


def test_what_is_not_an_answer_of_victorialogs() -> None:
    class Answers:
        def __init__(self, answer: Response) -> None:
            self.answer = answer

        def proxy(self, *_arguments: Any, **_options: Any) -> Response:
            return self.answer

    def asked(status: int, body: bytes) -> Any:
        return VictoriaLogs(Answers(Response(status, {}, body)), "http://victorialogs.logs.svc:9428").query("*")  # type: ignore[arg-type]

    assert asked(200, b"") == []
    with pytest.raises(ApiError, match="not JSON"):
        asked(200, b"<!DOCTYPE html>")
    with pytest.raises(NotNow, match="answered 503"):
        asked(503, b"no endpoints")
    status = json.dumps({"kind": "Status", "status": "Failure", "message": 'services "victorialogs" not found'})
    with pytest.raises(NotFound, match="no Service victorialogs"):
        asked(404, status.encode())


def test_the_server_names_its_version(server: Server) -> None:
    done = subprocess.run([server.program, "-version"], capture_output=True, text=True, check=True)
    assert (done.stdout + done.stderr).strip() == "victoria-logs-v1.52.1"
