# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers of spans from a Prometheus inside or outside of the cluster."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import spans
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, refused
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

ANSWER = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"service": "orders"}, "value": [1.0, "11.6"]},
            {"metric": {}, "value": [1.0, "3"]},
        ],
    },
}
PROXY = "/api/v1/namespaces/monitoring/services/{}/proxy{}/api/v1/query"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://prometheus.monitoring.svc:9090", PROXY.format("http:prometheus:9090", "")),
        ("http://prometheus.monitoring.svc.cluster.local:9090/", PROXY.format("http:prometheus:9090", "")),
        ("https://prometheus.monitoring.svc/base", PROXY.format("https:prometheus:443", "/base")),
    ],
)
def test_a_service_of_the_cluster_is_asked_through_the_api_server(url: str, path: str) -> None:
    cluster = FakeKube()
    cluster.on("/proxy/", ANSWER)
    assert spans.read(cluster.client(), url, 15) == ({"orders": 12}, "")
    (request,) = cluster.asked
    assert request.path == path
    assert request.query["query"] == (
        "sum by (service) ((last_over_time(traces_spanmetrics_calls_total[15m]) unless traces_spanmetrics_calls_total "
        "offset 15m) or increase(traces_spanmetrics_calls_total[15m]))"
    )


def test_any_other_url_is_asked_directly() -> None:
    asked = []

    class Prometheus(Handler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.answer(200, json.dumps(ANSWER).encode())

    cluster = FakeKube()
    with serving(Prometheus) as url:
        assert spans.read(cluster.client(), f"{url}/prometheus", 5) == ({"orders": 12}, "")
    assert cluster.asked == [] and urlsplit(asked[0]).path == "/prometheus/api/v1/query"
    assert "[5m]" in parse_qs(urlsplit(asked[0]).query)["query"][0]


def test_without_a_url_nothing_is_asked() -> None:
    cluster = FakeKube()
    assert spans.read(cluster.client(), "", 15) == (None, "no prometheus_url is set") and cluster.asked == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(403, 'cannot get resource "services/proxy"'), "services/proxy"),
        (refused(503, "no endpoints available"), "no endpoints available"),
        ({"status": "error", "error": "query timed out"}, "query timed out"),
        (Unreachable("no answer"), "no answer"),
        ([], "the answer is not one of Prometheus"),
    ],
)
def test_what_goes_wrong_makes_the_numbers_unknown(answer: object, expected: str) -> None:
    cluster = FakeKube()
    cluster.on("/proxy/", answer)  # type: ignore[arg-type]
    found, why = spans.read(cluster.client(), "http://prometheus.monitoring.svc:9090", 15)
    assert found is None and expected in why


def test_a_server_that_is_not_there() -> None:
    found, why = spans.read(FakeKube().client(), "http://127.0.0.1:1", 15)
    assert found is None and why.startswith("http://127.0.0.1:1 gave none: ")
