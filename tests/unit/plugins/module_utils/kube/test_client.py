# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kube.py against an HTTP server in this process: real sockets, real client, no cluster."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import APPLY_PATCH, Kube
from ansible_collections.orion.tracing.tests.ports import free_ports


class Server(ThreadingHTTPServer):
    """Answers what answers[path] says: (status, document); keeps what it was asked."""

    def __init__(self, port: int = 0) -> None:
        self.answers, self.asked, self.retry_after = {}, [], ""
        super().__init__(("127.0.0.1", port), Handler)

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
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
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
    kube.patience = 0.0
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


def test_default_kubeconfig_is_the_one_of_the_environment(server, tmp_path, monkeypatch) -> None:
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig(server.url)))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert Kube.connect({"ca_cert": None, "validate_certs": False}).host == server.url


def test_what_is_not_plain_is_left_to_the_client(server, tmp_path) -> None:
    server.answers["/version"] = (200, {"gitVersion": "v1.31.0"})
    document = kubeconfig(server.url)
    program = tmp_path / "credentials"
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "by-exec"}}
    program.write_text(f"#!/bin/sh\necho '{json.dumps(status)}'\n")
    program.chmod(0o755)
    plugin = {"apiVersion": status["apiVersion"], "command": str(program), "interactiveMode": "Never"}
    document["users"][0]["user"] = {"exec": plugin}
    path = tmp_path / "config"
    path.write_text(json.dumps(document))
    authority = tmp_path / "ca.crt"
    authority.write_text("")
    kube = Kube.connect({"kubeconfig": str(path), "ca_cert": str(authority), "validate_certs": False})
    assert kube.version() == "v1.31.0" and kube.host == server.url
    assert server.asked[0][2]["authorization"] == "Bearer by-exec"
    document["users"][0]["user"] = {"username": "u", "password": "p"}
    Kube.connect({"kubeconfig": document}).version()
    assert server.asked[1][2]["authorization"] == "Basic dTpw"


def test_host_and_token_may_go_through_a_proxy(server, monkeypatch) -> None:
    server.answers["http://k8s.example/version"] = (200, {"gitVersion": "v1.31.0"})
    monkeypatch.setenv("http_proxy", server.url)
    assert Kube.connect({"host": "http://k8s.example", "api_key": "sesame"}).version() == "v1.31.0"
    assert server.asked[0][2]["authorization"] == "Bearer sesame"


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
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidInput, match="cannot be used"):
        Kube.connect({})


def test_missing_client_says_where_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(InvalidInput, match="ansible_python_interpreter"):
        Kube.connect({"kubeconfig": "/nowhere/config"})


def test_plain_connections_do_without_the_client(server, monkeypatch) -> None:
    server.answers["/version"] = (200, {"gitVersion": "v1.31.0"})
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert Kube.connect({"kubeconfig": kubeconfig(server.url)}).version() == "v1.31.0"


class Restarting:
    """An API server that breaks or refuses the first connections, then answers on the same port."""

    def __init__(self, breaks: int, answers: list[bytes]) -> None:
        self.breaks, self.answers = breaks, answers
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        for _number in range(self.breaks):
            connection, _peer = self.socket.accept()
            # A reset instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        for answer in self.answers:
            connection, _peer = self.socket.accept()
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

    def stop(self) -> None:
        self.socket.close()
        self.thread.join(5)


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\nConnection: close\r\n\r\n{"gitVersion": "v1.34.4"}'
LATER = b"HTTP/1.1 %d Later\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(f"{Kube.__module__}.time.sleep", pauses.append)
    return pauses


@pytest.mark.parametrize(
    ("breaks", "answers"), [(2, [OK]), (0, [LATER % 429, LATER % 503, OK]), (0, [b"", LATER % 503, OK])]
)
def test_reads_outlast_a_restarting_server(slept, breaks, answers) -> None:
    server = Restarting(breaks, answers)
    kube = Kube.connect({"host": server.url})
    assert kube.version() == "v1.34.4"
    assert kube.calls == 3 and slept == [0.25, 0.5]
    server.stop()


def test_reads_outlast_refused_connections(monkeypatch) -> None:
    [port] = free_ports()
    started: list[Server] = []

    def sleep(seconds: float) -> None:
        if not started:
            server = Server(port)
            server.answers["/version"] = (200, {"gitVersion": "v1.34.4"})
            threading.Thread(target=server.serve_forever, daemon=True).start()
            started.append(server)

    monkeypatch.setattr(f"{Kube.__module__}.time.sleep", sleep)
    kube = Kube.connect({"host": f"http://127.0.0.1:{port}"})
    assert kube.version() == "v1.34.4" and kube.calls == 2
    started[0].shutdown()
    started[0].server_close()


def test_writes_are_sent_once(slept) -> None:
    kube = Kube.connect({"host": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable):
        kube.request("PATCH", "/api/v1/namespaces/x", body={})
    assert kube.calls == 1 and not slept


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_has_not_read_the_roles_refuses_everybody(server, kube, monkeypatch, status) -> None:
    server.answers |= {"/version": (status, {"message": "no"}), "/readyz": (500, b"[-]poststarthook/rbac failed")}
    later = [
        {"/readyz": (403, {"message": "no"})},
        {"/readyz": (200, b"ok"), "/version": (200, {"gitVersion": "v1.34.4"})},
    ]
    monkeypatch.setattr(f"{Kube.__module__}.time.sleep", lambda seconds: server.answers.update(later.pop(0)))
    assert kube.version() == "v1.34.4"
    assert kube.calls == 5 and not later


def test_a_refusal_of_a_server_that_is_ready_counts(server, kube, slept) -> None:
    server.answers |= {"/version": (403, {"message": "no"}), "/readyz": (200, b"ok")}
    for calls in (2, 3):  # it is asked once
        with pytest.raises(PermissionDenied):
            kube.version()
        assert kube.calls == calls and not slept


def test_a_server_that_hides_whether_it_is_ready_is_waited_for_once(server, kube, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(f"{Kube.__module__}.time.monotonic", lambda: now[0])
    monkeypatch.setattr(f"{Kube.__module__}.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    server.answers |= {"/version": (403, {"message": "no"}), "/readyz": (403, {"message": "no"})}
    for _attempt in range(2):
        with pytest.raises(PermissionDenied):
            kube.version()
        assert 5 < now[0] <= 10


def test_waiting_ends_after_the_patience(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(f"{Kube.__module__}.time.monotonic", lambda: now[0])
    monkeypatch.setattr(f"{Kube.__module__}.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    kube = Kube.connect({"host": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match="refused"):
        kube.version()
    assert 25 < now[0] <= 30 and kube.calls == 18


def test_an_answer_that_asks_for_more_time_than_there_is_is_returned(server, kube, slept) -> None:
    server.answers["/version"] = (503, {"message": "in an hour"})
    server.retry_after = "3600"
    assert kube.send("GET", "/version").status == 503
    server.retry_after = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert kube.send("GET", "/version").status == 503
    assert not slept and kube.calls == 2


def test_a_name_that_is_not_known_is_not_waited_for(slept, monkeypatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable):
        Kube.connect({"host": "http://no-such-host.invalid"}).version()
    assert not slept


def test_the_client_too_goes_to_loopback_without_a_proxy(server, tmp_path, monkeypatch) -> None:
    server.answers["/version"] = (200, {"gitVersion": "v1.31.0"})
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    document = kubeconfig(server.url)
    document["users"][0]["user"] = {"username": "u", "password": "p"}
    assert Kube.connect({"kubeconfig": document}).version() == "v1.31.0"
    assert server.asked[0][2]["authorization"] == "Basic dTpw"


def test_a_proxy_of_a_kubeconfig_is_used_for_loopback_too(server, monkeypatch) -> None:
    document = kubeconfig("http://127.0.0.1:9")
    document["clusters"][0]["cluster"]["proxy-url"] = server.url
    server.answers["http://127.0.0.1:9/version"] = (200, {"gitVersion": "v1.31.0"})
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Kube.connect({"kubeconfig": document}).version() == "v1.31.0"


def test_a_proxy_that_does_not_answer_is_named(monkeypatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hidden@127.0.0.1:9")
    kube = Kube.connect({"host": "https://k8s.example"})
    kube.patience = 0.0
    with pytest.raises(Unreachable, match="The environment chose it: HTTPS_PROXY[.]") as caught:
        kube.version()
    assert "hidden" not in str(caught.value)
