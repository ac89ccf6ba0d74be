# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kube.py against an HTTP server in this process: real sockets, real client, no cluster."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube import APPLY_PATCH, Kube


class Server(ThreadingHTTPServer):
    """Answers what answers[path] says: (status, document); keeps what it was asked."""

    def __init__(self) -> None:
        self.answers, self.asked = {}, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        status, document = self.server.answers.get(self.path.split("?")[0], (404, {"message": "not found"}))
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def kube(server):
    kube = Kube.connect({"host": server.url, "api_key": "sesame"})
    yield kube
    kube.close()


def test_token_is_sent_and_calls_are_counted(server, kube) -> None:
    server.answers["/version"] = (200, {"gitVersion": "v1.34.4"})
    assert kube.version() == "v1.34.4"
    assert server.asked[0][2]["authorization"] == "Bearer sesame"
    assert kube.calls == 1


def test_get_returns_none_for_what_is_not_there(kube) -> None:
    assert kube.get("/api/v1/namespaces/none") is None


def test_list_passes_selectors(server, kube) -> None:
    server.answers["/api/v1/pods"] = (200, {"items": [{"a": 1}]})
    assert kube.list("/api/v1/pods", "app=x,tier in (a,b)", "status.phase=Running") == [{"a": 1}]
    assert "labelSelector=app%3Dx%2Ctier+in+%28a%2Cb%29&fieldSelector=status.phase%3DRunning" in server.asked[0][1]


def test_apply_is_server_side_and_can_be_a_dry_run(server, kube) -> None:
    server.answers["/api/v1/namespaces/x"] = (200, {"kind": "Namespace"})
    kube.apply("/api/v1/namespaces/x", {"kind": "Namespace"}, dry_run=True)
    method, path, headers, body = server.asked[0]
    assert (method, headers["Content-Type"], json.loads(body)) == ("PATCH", APPLY_PATCH, {"kind": "Namespace"})
    assert path.endswith("?fieldManager=orion.tracing&force=true&dryRun=All")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, PermissionDenied), (403, PermissionDenied), (404, NotFound), (409, Conflict), (500, ApiError)],
)
def test_refusals_carry_the_servers_message(server, kube, status, error) -> None:
    server.answers["/api/v1/secrets"] = (status, {"message": "because so"})
    with pytest.raises(error, match=f"GET /api/v1/secrets answered {status}: because so"):
        kube.request("GET", "/api/v1/secrets")


def test_refusal_without_a_document(server, kube) -> None:
    server.answers["/x"] = (502, b"bad gateway")
    with pytest.raises(ApiError, match="bad gateway") as caught:
        kube.request("GET", "/x")
    assert caught.value.details["status"] == 502


def test_empty_answer_is_none(server, kube) -> None:
    server.answers["/x"] = (200, b"")
    assert kube.request("DELETE", "/x") is None


def test_proxy_to_a_pod(server, kube) -> None:
    server.answers["/api/v1/namespaces/tracing/pods/http:gw-0:4318/proxy/v1/traces"] = (429, b"slow down")
    answer = kube.proxy("pods", "tracing", "gw-0", 4318, "/v1/traces", "POST", {"a": "b"}, b"{}", {"X-A": "1"})
    assert (answer.status, answer.ok, answer.text) == (429, False, "slow down")
    assert server.asked[0][1].endswith("?a=b") and server.asked[0][2]["X-A"] == "1"


def test_silence_is_unreachable_and_names_the_option() -> None:
    kube = Kube.connect({"host": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match="no answer from the API server http://127.0.0.1:9.*kubeconfig"):
        kube.version()


def kubeconfig(url: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "from-file"}}],
    }


def test_kubeconfig_as_dictionary_and_as_file(server, tmp_path) -> None:
    server.answers["/version"] = (200, {"gitVersion": "v1.31.0"})
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig(server.url)))
    for source in (kubeconfig(server.url), str(path)):
        assert Kube.connect({"kubeconfig": source}).version() == "v1.31.0"
    assert all(asked[2]["authorization"] == "Bearer from-file" for asked in server.asked)


def test_default_kubeconfig_and_certificate_options(server, tmp_path, monkeypatch) -> None:
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig(server.url)))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    kube = Kube.connect({"ca_cert": None, "validate_certs": False})
    assert kube.host == server.url and kube._configuration.verify_ssl is False
    authority = tmp_path / "ca.crt"
    authority.write_text("")
    configuration = Kube.connect({"host": server.url, "ca_cert": str(authority)})._configuration
    assert configuration.ssl_ca_cert == str(authority)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/nowhere/config", "kubeconfig /nowhere/config cannot be used"),
        ({"users": []}, "the kubeconfig cannot be used"),
    ],
)
def test_unusable_kubeconfig_is_named(source, words) -> None:
    with pytest.raises(InvalidInput, match=words):
        Kube.connect({"kubeconfig": source})


def test_without_any_option_outside_a_cluster(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidInput, match="cannot be used"):
        Kube.connect({})


def test_missing_client_says_where_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    with pytest.raises(InvalidInput, match="ansible_python_interpreter"):
        Kube.connect({})
