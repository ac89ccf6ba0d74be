# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers by their URLs, and Prometheus among them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus, increase
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import NotNow
from ansible_collections.orion.tracing.plugins.module_utils.store.url import UrlEndpoint, check_url
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, answer_of, refused
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

IN_CLUSTER = "http://prometheus.monitoring.svc:9090"


def vector(*series: tuple[dict[str, str], str]) -> dict[str, object]:
    result = [{"metric": labels, "value": [1.0, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.mark.parametrize(
    "url", ["prometheus:9090", "ftp://x", "http://", "prometheus.monitoring.svc", "http://x:port", "http://[x"]
)
def test_what_is_not_an_http_url(url: str) -> None:
    with pytest.raises(InvalidInput, match="option logs_url is .* such as http://logs:9428"):
        check_url("logs_url", url, "http://logs:9428")


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="credentials") as caught:
        check_url("logs_url", "https://me:hidden@logs.example.com", "http://logs:9428")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["", IN_CLUSTER, "https://logs.example.com/base"])
def test_urls_that_can_be(url: str) -> None:
    check_url("logs_url", url, "http://logs:9428")


def test_answers_of_any_status_are_the_servers_own() -> None:
    class Server(Handler):
        def do_GET(self) -> None:
            path = urlsplit(self.path)
            self.answer(200 if path.path == "/base/there" else 418, f"{path.path} {path.query}".encode())

    with serving(Server) as url:
        endpoint = UrlEndpoint(FakeKube().client(), f"{url}/base/")
        there, other = endpoint.get("there", {"a": "b c"}), endpoint.get("other", {})
    assert (there.status, there.text) == (200, "/base/there a=b+c")
    assert (other.status, other.text) == (418, "/base/other ")


def test_what_does_not_speak_http_gives_no_answer_now() -> None:
    class Closes(Handler):
        def do_GET(self) -> None:
            self.wfile.write(b"220 smtp\r\n")

    with serving(Closes) as url, pytest.raises(NotNow, match="no answer from http://127"):
        UrlEndpoint(FakeKube().client(), url).get("x", {})
    with pytest.raises(NotNow, match="no answer from http://127.0.0.1:1"):
        UrlEndpoint(FakeKube().client(), "http://127.0.0.1:1").get("x", {})


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refused(403, "forbidden"), PermissionDenied, "services/proxy in namespace monitoring"),
        (refused(404, "services not found"), NotFound, f"no Service prometheus ({IN_CLUSTER})"),
        (Unreachable("no answer"), NotNow, "no answer"),
        (refused(503, "no endpoints available"), ApiError, "answered 503 to api/v1/query: no endpoints available"),
        (answer_of({"status": "error", "error": "bad PromQL"}, 400), ApiError, "answered 400 to api/v1/query: bad"),
        ({"status": "success", "data": {"result": [{"value": []}]}}, ApiError, "not one of Prometheus"),
        ({"status": "success"}, ApiError, "not one of Prometheus"),
        ([], ApiError, "not one of Prometheus"),
    ],
)
def test_what_is_not_an_answer(answer: object, kind: type[Exception], words: str) -> None:
    cluster = FakeKube()
    cluster.on("/proxy/", answer)  # type: ignore[arg-type]
    with pytest.raises(kind) as caught:
        Prometheus(cluster.client(), IN_CLUSTER).query("up")
    assert words in str(caught.value)


def test_html_is_not_an_answer_of_prometheus() -> None:
    class Login(Handler):
        def do_GET(self) -> None:
            self.answer(200, b"<!DOCTYPE html>")

    with serving(Login) as url, pytest.raises(ApiError, match="answered 200 .* not one of Prometheus"):
        Prometheus(FakeKube().client(), url).query("up")


def test_series_without_a_number_are_left_out() -> None:
    cluster = FakeKube()
    cluster.on("/proxy/", vector(({"a": "1"}, "2.5"), ({"a": "2"}, "NaN"), ({"a": "3"}, "+Inf")))
    assert Prometheus(cluster.client(), f"{IN_CLUSTER}/prom").query("x") == [({"a": "1"}, 2.5)]
    [asked] = cluster.asked
    assert asked.path == "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/prom/api/v1/query"
    assert asked.query == {"query": "x"}


def test_the_increase_of_counters_that_are_new() -> None:
    assert increase("m", "5m") == "(last_over_time(m[5m]) unless m offset 5m) or increase(m[5m])"
