# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The query by which Grafana finds the logs of a span, run by the real VictoriaLogs."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import SpanValues, labels, query
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import until
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import Server, started

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ORDERS = {"service.name": "orders", "k8s.namespace.name": "shop"}
RECORDS = [
    {"_msg": "in fields", "trace_id": TRACE, "span_id": SPAN, **ORDERS},
    {"_msg": json.dumps({"message": "in the text", "trace_id": TRACE, "span_id": SPAN}), **ORDERS},
    {"_msg": "of another span", "trace_id": TRACE, "span_id": "1" * 16, **ORDERS},
    {"_msg": "of another service", "trace_id": TRACE, "span_id": SPAN, **ORDERS, "service.name": "pricing"},
    {"_msg": "of another trace", "trace_id": "a" * 32, "span_id": SPAN, **ORDERS},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> object:
    with started(tmp_path_factory.mktemp("victorialogs")) as server:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lines = "\n".join(json.dumps({**record, "_time": now}) for record in RECORDS)
        url = f"{server.url}/insert/jsonline?_stream_fields=service.name"
        # As a form, its body would not be read.
        request = urllib.request.Request(url, lines.encode(), {"Content-Type": "application/stream+json"})
        urllib.request.urlopen(request, timeout=30).close()
        until(lambda: len(server.reader.query("*")) == len(RECORDS), "the records")
        yield server


@pytest.mark.parametrize(
    ("by_trace_id", "by_span_id", "expected"),
    [
        (True, False, {"in fields", "in the text", "of another span"}),
        (True, True, {"in fields", "in the text"}),
        (False, True, {"in fields", "in the text", "of another trace"}),
        (False, False, {"in fields", "in the text", "of another span", "of another trace"}),
    ],
)
def test_the_logs_of_a_span(store: Server, by_trace_id: bool, by_span_id: bool, expected: set[str]) -> None:
    tags = labels("victorialogs", [{"key": "service.name"}, {"key": "k8s.namespace.name"}])
    span = SpanValues(TRACE, SPAN, "charge", 1500, list(ORDERS.items()))
    found = store.reader.query(query("victorialogs", by_trace_id, by_span_id, span, tags) or "")
    texts = {record["_msg"] for record in found}
    assert {json.loads(text)["message"] if text.startswith("{") else text for text in texts} == expected
