# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reader of Jaeger's API v3 against the real Jaeger, with the configuration that local_backends installs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.store import jaeger as module
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria, NotNow, StoredTrace
from ansible_collections.orion.tracing.tests.ports import free_ports

CHART = Path(__file__).resolve().parents[3] / "roles/local_backends/files/chart"
LIMIT = 60.0
PORTS = {"otlp": 4318, "query": 16686, "health": 13133}
LISTENED = (4317, 4318, 8888, 13133, 16685, 16686)


class Loopback:
    """A Kube whose service proxy leads to a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port, self.paths = port, list[str]()

    def proxy(self, _kind: str, _namespace: str, _name: str, _port: int | str, path: str, **options: Any) -> Response:
        query = urlencode(options["query"])
        self.paths.append(f"{path}?{query}")
        url = f"http://127.0.0.1:{self.port}/{path}?{query}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=options["headers"]), timeout=30) as answer:
                return Response(answer.status, {}, answer.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, {}, error.read())


class Server:
    """The real Jaeger with the chart's configuration, its ports and folders exchanged."""

    def __init__(self, program: str, config: str, folder: Path) -> None:
        self.ports = dict(zip(LISTENED, free_ports(len(LISTENED)), strict=True))
        text = re.sub(r"0\.0\.0\.0:(\d+)", lambda match: f"127.0.0.1:{self.ports[int(match[1])]}", config)
        text = text.replace("host: 0.0.0.0", "host: 127.0.0.1").replace("port: 8888", f"port: {self.ports[8888]}")
        assert "0.0.0.0" not in text
        self.program, self.file = program, folder / "jaeger.yaml"
        self.file.write_text(text.replace("/var/lib/jaeger", str(folder)))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Traces of its own go to port 4317, where nothing is: it would try for ten seconds when it ends.
        env = {"OTEL_TRACES_SAMPLER": "always_off"}
        with (self.file.parent / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, f"--config={self.file}"], stdout=log, stderr=log, env=env)
        self.until(self.healthy, "Jaeger's start")

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[13133]}/status", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def until(self, done: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not done():
            assert self.process and self.process.poll() is None, (self.file.parent / "log").read_text()[-2000:]
            assert time.monotonic() < end, f"{what}: not within {LIMIT:g} s"
            time.sleep(0.1)

    def write(self, documents: list[otlp.Document]) -> None:
        for document in documents:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.ports[4318]}/v1/traces",
                json.dumps(document).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200

    @property
    def reader(self) -> Jaeger:
        return Jaeger(Loopback(self.ports[16686]), "local-backends")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def program() -> str:
    path = os.environ.get("ORION_JAEGER", "")
    if not os.access(path, os.X_OK):
        pytest.fail("Jaeger's binary is needed: set ORION_JAEGER (`python -m airgap path jaeger` prints it)")
    return path


@pytest.fixture(params=["memory", "badger"])
def server(
    request: pytest.FixtureRequest, program: str, render: Callable[..., Any], pick: Callable[..., Any], tmp_path: Path
) -> Iterator[Server]:
    objects = render(CHART, {"jaeger": {"enabled": True, "storage": {"type": request.param}}}, "local-backends")
    running = Server(program, pick(objects, "ConfigMap", "jaeger")["data"]["jaeger.yaml"], tmp_path)
    running.start()
    yield running
    running.stop()


def one_trace(number: int, now: int, error: bool = False, milliseconds: int = 20, **values: Any) -> list[otlp.Document]:
    """A shop's span that calls a till; the till's fails where error is said. One document for each."""
    trace_id, root, call = f"{number:032x}", f"{number:016x}", f"{number + 2**32:016x}"
    end = now + milliseconds * 10**6
    front = otlp.span(trace_id, root, "", "GET /pay", "SERVER", now, end, {"run": "one", **values})
    inner = otlp.span(trace_id, call, root, "charge", "CLIENT", now, now + 10**6, {}, "declined" if error else None)
    return [
        otlp.request({"service.name": "shop"}, "test", [front]),
        otlp.request({"service.name": "till"}, "test", [inner]),
    ]


def test_traces_are_read_back_as_they_were_sent(server: Server) -> None:
    now = time.time_ns()
    start, end = now // 10**9 - 60, now // 10**9 + 60
    for number in (0xA1, 0xA2):
        server.write(one_trace(number, now, error=number == 0xA2))
    reader, ids = server.reader, [f"{number:032x}" for number in (0xA1, 0xA2, 0xFF)]
    server.until(lambda: len(reader.traces(ids, start, end, Deadline(Clock(), 30.0))) == 2, "both traces")
    found = reader.traces(ids, start, end, Deadline(Clock(), 30.0))
    assert found == {
        one: StoredTrace({one[16:]: "", f"{int(one, 16) + 2**32:016x}": one[16:]}, frozenset({one})) for one in ids[:2]
    }
    assert reader.trace(ids[2], start, end) is None, "what is not there is no error"
    failed = [span["name"] for span in otlp.spans(reader.document(ids[1], start, end)) if otlp.is_error(span)]
    assert failed == ["charge"]
    spans = {span["name"]: span for span in otlp.spans(reader.document(ids[0], start, end))}
    assert otlp.attribute_values(spans["GET /pay"]["attributes"]) == {"run": "one"}


def test_search_by_each_criterion(server: Server) -> None:
    now = time.time_ns()
    start, end = now // 10**9 - 60, now // 10**9 + 60
    server.write(one_trace(1, now, milliseconds=1500, amount=12, gift=True))
    server.write(one_trace(2, now, error=True, amount=13))
    server.write(one_trace(3, now - 300 * 10**9, amount=12))
    reader = server.reader
    server.until(lambda: len(reader.search(Criteria(("till",)), start - 600, end, 10)) == 3, "all traces")

    def search(*services: str, **criteria: Any) -> set[int]:
        return {int(one, 16) for one in reader.search(Criteria(services, **criteria), start, end, 10)}

    assert search() == search("shop") == search("till", "shop") == {1, 2}, "in the time range"
    assert search("bank") == set()
    assert search(operation="GET /pay") == {1, 2}
    assert search("till", operation="GET /pay") == set(), "of the same span"
    assert search(attributes={"amount": 12}) == search(attributes={"gift": True}) == {1}
    assert search(attributes={"amount": 12, "run": "two"}) == set()
    assert search(minimum_duration=1.2) == {1}
    assert search(error=True) == {2}
    assert search("shop", error=True) == set()
    # The numbers of matching spans.
    assert reader.search(Criteria(), start, end, 10) == {f"{1:032x}": 2, f"{2:032x}": 2}
    assert reader.search(Criteria(attributes={"run": "one"}), start, end, 10) == {f"{1:032x}": 1, f"{2:032x}": 1}
    assert len(reader.search(Criteria(), start, end, 1)) == 1


def test_search_finds_all_where_an_answer_holds_only_some(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 5)
    now = time.time_ns()
    for number in range(1, 33):
        server.write(one_trace(number, now + number * 10**8, mine=number % 2 == 0))
    start, end = now // 10**9 - 60, now // 10**9 + 60
    reader = server.reader
    server.until(lambda: len(reader.search(Criteria(("till",)), start, end, 100)) == 32, "all traces")
    found = reader.search(Criteria(("shop",), attributes={"mine": True}), start, end, 100)
    assert sorted(int(one, 16) for one in found) == list(range(2, 33, 2))
    for some in (("shop",), ("till",), ()):
        assert [int(one, 16) for one in reader.search(Criteria(some), start, end, 7)] == list(range(32, 25, -1))


def test_only_badger_keeps_traces_over_a_restart(server: Server) -> None:
    now = time.time_ns()
    start, end = now // 10**9 - 60, now // 10**9 + 60
    server.write(one_trace(7, now))
    server.until(lambda: server.reader.trace(f"{7:032x}", start, end), "the trace")
    server.stop()
    server.start()
    kept = server.reader.trace(f"{7:032x}", start, end) is not None
    assert kept == ("badger" in server.file.read_text())


def test_what_is_no_answer_of_jaeger() -> None:
    class Answers:
        def __init__(self, *answers: Response) -> None:
            self.answers = list(answers)

        def proxy(self, *_arguments: Any, **_options: Any) -> Response:
            return self.answers.pop(0)

    def asked(*answers: Response) -> Any:
        return Jaeger(Answers(*answers), "tracing").search(Criteria(("shop",)), 1, 2, 10)  # type: ignore[arg-type]

    assert asked(Response(404, {}, b'{"error":{"httpCode":404,"message":"No traces found"}}')) == {}
    with pytest.raises(ApiError, match="answered 404: page not found"):
        asked(Response(404, {}, b"page not found"))
    with pytest.raises(ApiError, match="no JSON") as caught:
        asked(Response(200, {}, b"<!DOCTYPE html>"))
    assert not isinstance(caught.value, NotNow) and "store_port" in caught.value.remedy
    with pytest.raises(NotNow, match="answered 503"):
        asked(Response(503, {}, b"no storage"))
    error = {"error": {"httpCode": 500, "message": "storage is away"}}
    with pytest.raises(NotNow, match="storage is away"):
        asked(Response(500, {}, json.dumps(error).encode()))


@pytest.mark.parametrize("storage", ["memory", "badger"])
def test_jaeger_accepts_the_configuration(
    storage: str, program: str, render: Callable[..., Any], pick: Callable[..., Any], tmp_path: Path
) -> None:
    values = {"enabled": True, "storage": {"type": storage, "maxTraces": 777, "retention": "36h"}}
    text = pick(render(CHART, {"jaeger": values}, "local-backends"), "ConfigMap", "jaeger")["data"]["jaeger.yaml"]
    (tmp_path / "jaeger.yaml").write_text(text)
    done = subprocess.run(
        [program, "validate", f"--config={tmp_path / 'jaeger.yaml'}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    store = yaml.safe_load(text)["extensions"]["jaeger_storage"]["backends"]["main"]
    assert store.get("memory") == ({"max_traces": 777} if storage == "memory" else None)
    assert store.get("badger", {}).get("ttl") == ({"spans": "36h"} if storage == "badger" else None)
