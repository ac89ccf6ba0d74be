# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks trace_report and compare against the real Jaeger and the real VictoriaLogs, behind an API server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.charts.conftest import render_chart
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import program, until
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import Server as LogServer
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import started
from ansible_collections.orion.tracing.tests.unit.charts.test_jaeger import CHART, Server, one_trace
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request

ROOT = Path(__file__).resolve().parents[3]
DATA = re.compile(r'<script type="application/json" id="data">([^<]*)</script>')
FAST, SLOW, FAILED = (f"{number:032x}" for number in (0xB1, 0xB2, 0xB3))


def behind(kube: FakeKube, service: str, port: int) -> None:
    """A Service of the cluster that is a server of this machine."""

    def forward(request: Request) -> Response:
        path = request.path.partition("/proxy/")[2]
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/{path}?{urlencode(request.query)}", timeout=30
            ) as got:
                return Response(got.status, {}, got.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, {}, error.read())

    kube.on(f"/namespaces/local-backends/services/http:{service}/proxy/", forward)


def write_log(server: LogServer, trace_id: str, message: str) -> None:
    record = {
        "_time": datetime.now(UTC).isoformat(), "_msg": message, "trace_id": trace_id, "span_id": trace_id[16:],
        "service.name": "shop", "severity_text": "ERROR",
    }  # fmt: skip
    request = urllib.request.Request(
        f"{server.url}/insert/jsonline", json.dumps(record).encode(), {"Content-Type": "application/stream+json"}
    )
    urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of an API server with both stores: a fast trace, a slow one of the same operation, and one that failed."""
    folder = tmp_path_factory.mktemp("stores")
    objects = render_chart(CHART, {"jaeger": {"enabled": True}}, "local-backends")
    [config] = [
        one["data"]["jaeger.yaml"] for one in objects if one["kind"] == "ConfigMap" and "jaeger.yaml" in one["data"]
    ]
    jaeger = Server(program("ORION_JAEGER", "jaeger"), config, folder)
    kube = FakeKube()
    with ExitStack() as stack:
        logs = stack.enter_context(started(folder))
        stack.callback(jaeger.stop)
        jaeger.start()
        now = time.time_ns() - 5 * 10**9
        jaeger.write(one_trace(0xB1, now))
        jaeger.write(one_trace(0xB2, now, milliseconds=1500))
        jaeger.write(one_trace(0xB3, now, error=True))
        write_log(logs, FAILED, "the till declined <b>it</b>")
        write_log(logs, SLOW, "of another trace")
        start, end = now // 10**9 - 60, now // 10**9 + 60
        jaeger.until(lambda: all(jaeger.reader.trace(one, start, end) for one in (FAST, SLOW, FAILED)), "the traces")
        until(lambda: len(logs.reader.query("*")) == 2, "the records")
        behind(kube, "jaeger:16686", jaeger.ports[16686])
        behind(kube, "victorialogs:9428", logs.port)
        url = stack.enter_context(kube.serving())
        named = [{"name": "it"}]
        contents = {
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{**named[0], "cluster": {"server": url}}], "users": [{**named[0], "user": {}}],
            "contexts": [{**named[0], "context": {"cluster": "it", "user": "it"}}],
        }  # fmt: skip
        file = folder / "kubeconfig"
        file.write_text(json.dumps(contents))
        yield file


@pytest.fixture
def play(kubeconfig: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a playbook as a user does, in a folder of the test."""

    def run(playbook: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        given = {
            "ansible_python_interpreter": sys.executable, "tracing_kubeconfig": str(kubeconfig),
            "tracing_store": "otlp", "tracing_store_reader": "jaeger", "tracing_store_namespace": "local-backends",
            "grafana_url": "https://grafana.example.com", "grafana_logs_type": "victorialogs",
            "grafana_logs_url": "http://victorialogs.local-backends.svc:9428", **variables,
        }  # fmt: skip
        argv = [str(ROOT / f"playbooks/{playbook}.yml"), "-i", "localhost,", "-c", "local", "-e", json.dumps(given)]
        return run_ansible(tmp_path, "ansible-playbook", *argv)

    return run


def page_of(folder: Path, name: str = "trace-report.html") -> dict[str, Any]:
    found = DATA.search((folder / name).read_text(encoding="utf-8"))
    assert found is not None
    return dict(json.loads(found.group(1)))


def test_a_trace_with_its_logs_and_links(play: Callable[..., Any], tmp_path: Path) -> None:
    done = play("trace_report", trace_id=FAILED)
    assert done.returncode == 0, done.stdout + done.stderr
    [trace] = page_of(tmp_path)["traces"]
    assert (trace["trace_id"], trace["errors"], len(trace["spans"])) == (FAILED, 1, 2)
    [record] = trace["logs"]["records"]
    assert (record["body"], record["severity"], record["service"]) == ("the till declined <b>it</b>", "ERROR", "shop")
    assert record["span_id"] == trace["spans"][0]["id"]
    assert trace["link"].startswith("https://grafana.example.com/explore?")
    assert "%22uid%22%3A+%22jaeger%22" in trace["link"] and "%22uid%22%3A+%22victorialogs%22" in trace["logs"]["link"]
    again = play("trace_report", trace_id=FAILED)
    assert "changed=0" in in_one_line(again)


def test_a_search_and_a_store_of_logs_that_is_away(play: Callable[..., Any], tmp_path: Path) -> None:
    done = play(
        "trace_report", search="service=shop min=1s", report_file="slow.html", verify_logs_url="http://127.0.0.1:1"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [trace] = page_of(tmp_path, "slow.html")["traces"]
    assert trace["trace_id"] == SLOW
    assert trace["logs"]["none"].startswith("VictoriaLogs gave no log records: no answer from http://127.0.0.1:1")
    assert "[WARNING]" in done.stderr and "VictoriaLogs gave no log records" in in_one_line(done)


def test_two_traces_compared(play: Callable[..., Any], tmp_path: Path) -> None:
    done = play("compare", trace_id=FAST, other_trace_id=SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    data = page_of(tmp_path)
    assert [one["trace_id"] for one in data["traces"]] == [FAST, SLOW]
    worst = data["comparison"]["operations"][0]
    assert (worst["service"], worst["name"], worst["difference"]) == ("shop", "GET /pay", 1480 * 10**6)


@pytest.mark.parametrize(
    ("playbook", "variables", "words"),
    [
        ("trace_report", {"trace_id": "f" * 32}, [f"Jaeger has no spans of {'f' * 32}", "Check the id"]),
        ("trace_report", {"trace_id": "4bf9"}, ["trace_id has '4bf9'", "32 hexadecimal digits"]),
        ("trace_report", {"search": "service=bank"}, ["search: Jaeger has no trace for service=bank"]),
        ("trace_report", {"search": "{ }"}, ["search is TraceQL, but store_reader is jaeger"]),
        ("trace_report", {}, ["trace_id and search are both missing"]),
        ("compare", {"trace_id": FAST, "other_trace_id": "0" * 32}, ["other_trace_id has", "not all zeros"]),
        ("compare", {"trace_id": FAST, "other_trace_id": "e" * 32}, [f"Jaeger has no spans of {'e' * 32}"]),
        ("compare", {"trace_id": FAST}, ["other_trace_id and other_search are both missing"]),
    ],
)
def test_what_cannot_be_drawn(
    play: Callable[..., Any], tmp_path: Path, playbook: str, variables: dict[str, Any], words: list[str]
) -> None:
    done = play(playbook, **variables)
    output = in_one_line(done)
    assert done.returncode != 0 and "Traceback" not in output
    assert [word for word in words if word not in output] == [], output
    assert list(tmp_path.glob("*.html")) == []
