# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""trace_probe and otlp_replay as Ansible runs them, against a pipeline in memory behind an API server on a socket."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import (
    FakePipeline,
    api_server,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

FIXTURE = Path(__file__).parents[2] / "fixtures" / "probe.jsonl"
COLLECTIONS = next(path for path in sys.path if Path(path, "ansible_collections/orion/tracing").is_dir())
REPLAY = {"decision_wait": "300ms", "timeout": "20s"}


@pytest.fixture
def fake() -> FakePipeline:
    pipeline = FakePipeline(real=True)
    pipeline.search_lag = 0.3
    pipeline.configure(pipeline.tail_sampling["policies"], decision_wait=0.3)
    return pipeline


@pytest.fixture
def url(fake: FakePipeline) -> Iterator[str]:
    with ExitStack() as stack:
        yield stack.enter_context(api_server(fake))


def test_the_probe_proves_writes_and_shows(fake: FakePipeline, url: str, tmp_path: Path) -> None:
    proof, lines = tmp_path / "proof.json", tmp_path / "lines"
    result = run(
        "trace_probe", host=url, tail_sampling=fake.tail_sampling, critical_route="/api/v1/orders",
        dropped_route="/health", proof_path=str(proof), progress_file=str(lines), timeout="20s",
    )  # fmt: skip
    assert result["passed"] is True and result["changed"] is False
    assert result["table"].count("passed") == 7
    written = json.loads(proof.read_text())
    assert written == {key: result[key] for key in written}
    assert lines.read_text().startswith("sending 329 traces to 2 gateway pods\n")


PAGE = Path(__file__).parents[4] / "roles/verify/files/report.html"
DATA = re.compile(r'<script type="application/json" id="data">([^<]*)</script>')


def test_the_report_of_the_probe_has_the_proof_and_traces(fake: FakePipeline, url: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    result = run(
        "trace_probe", host=url, tail_sampling=fake.tail_sampling, dropped_route="/health", timeout="20s",
        report_path=str(report), report_template=str(PAGE), grafana_url="https://grafana.example.com/",
    )  # fmt: skip
    assert "report" not in result
    data = json.loads(DATA.search(report.read_text()).group(1))  # type: ignore[union-attr]
    assert data["checks"] == result["checks"] and data["passed"] is True
    assert [one["label"] for one in data["traces"]] == ["error trace", "slow trace", "ordinary trace"]
    error = data["traces"][0]
    assert len(error["spans"]) == 6 and error["errors"] == 1 and error["findings"] == []
    assert error["trace_id"] in result["traces"]["error"]
    assert error["link"].startswith("https://grafana.example.com/explore?schemaVersion=1&panes=%7B%22trace%22")
    assert {node["kind"] for node in data["graphs"][0]["nodes"]} >= {"service", "database", "queue"}
    cases = {one["name"]: (one["sent"], one["kept"], one["wanted"]) for one in data["sampling"]["cases"]}
    assert cases["error traces"] == (3, 3, [3, 3]) and cases["health checks"] == (20, 0, [0, 0])
    assert sum(why["traces"] for one in data["sampling"]["cases"] for why in one["why"]) == result["sent"]["traces"]


def test_logs_and_the_graph_of_all_requests_are_in_the_report_or_the_reason_is(
    fake: FakePipeline, url: str, tmp_path: Path
) -> None:
    class Servers(Handler):
        """Prometheus, and below /logs a store of logs that is not one."""

        def do_GET(self) -> None:
            if self.path.startswith("/logs/"):
                self.answer(500, b"disk full")
                return
            ends = {"client": "web", "server": "shop", "connection_type": "database"}
            result = [{"metric": ends, "value": [1, "7"]}]
            self.answer(200, json.dumps({"status": "success", "data": {"result": result}}).encode())

    def report(name: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        path = tmp_path / name
        result = run(
            "trace_probe", host=url, tail_sampling=fake.tail_sampling, timeout="20s", report_path=str(path),
            report_template=str(PAGE), **options,
        )  # fmt: skip
        assert result["passed"] is True
        return result, json.loads(DATA.search(path.read_text()).group(1))  # type: ignore[union-attr]

    with serving(Servers) as servers:
        result, data = report("one.html", prometheus_url=servers, prometheus_last="10m", logs_url=f"{servers}/logs")
        assert [(one["source"], one.get("seconds")) for one in data["graphs"]] == [("metrics", 600), ("traces", None)]
        [edge] = data["graphs"][0]["edges"]
        assert (edge["client"], edge["server"], edge["calls"], edge["p95"]) == ("web", "shop", 7, 7 * 10**9)
        [why] = {one["logs"]["none"] for one in data["traces"]}
        assert why.startswith("VictoriaLogs gave no log records: ") and why.endswith("URL.") and "disk full" in why
        assert why in str(result["warnings"]) and len(result["warnings"]) == 1
    result, data = report("other.html", prometheus_url="http://127.0.0.1:1")
    assert [one["source"] for one in data["graphs"]] == ["traces"]
    assert data["graph_note"].startswith("Prometheus gave no service graph: no answer from http://127.0.0.1:1")
    assert data["graph_note"] in str(result["warnings"])
    assert {one["logs"]["none"] for one in data["traces"]} == {"No log store is configured (grafana_logs_url)."}


def test_a_failed_check_fails_with_everything_returned(fake: FakePipeline, url: str, tmp_path: Path) -> None:
    expected = fake.tail_sampling
    fake.configure([policy for policy in expected["policies"] if policy["type"] != "drop"], decision_wait=0.3)
    proof = tmp_path / "proof.json"
    result = run(
        "trace_probe", host=url, tail_sampling=expected, dropped_route="/health", proof_path=str(proof), timeout="20s"
    )
    assert result["failed"] is True and result["passed"] is False
    assert result["msg"].startswith("1 of 6 checks failed. health checks dropped: expected 0 of 20 traces, observed ")
    assert "(dropped by health-checks)" in result["msg"] and "Last seen: gateways accepted" in result["msg"]
    assert json.loads(proof.read_text())["passed"] is False


def test_check_mode_of_the_probe_sends_nothing(fake: FakePipeline, url: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    options = {"tail_sampling": fake.tail_sampling, "bucket": "b", "proof_path": str(proof)}
    result = run("trace_probe", host=url, _ansible_check_mode=True, **options)
    assert [check["name"] for check in result["checks"]][-1] == "block objects in the bucket"
    assert result["passed"] is None and result["changed"] is False
    assert fake.requests == [] and not proof.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"plain_traces": 50}, "option plain_traces is 50: so few traces say little about a share. Give at least 300."),
        (
            {"tail_sampling": {"policies": [{"name": "a", "type": "b"}]}},
            "policies[0].type ('a'): 'b' is not a policy type",
        ),
        (
            {"gateway_processors": {"probabilistic_sampler": {"sampling_percentage": 1}}},
            "the gateways' processor probabilistic_sampler has the mode None: what it keeps cannot be predicted. Use "
            "one of proportional, equalizing.",
        ),
        ({"timeout": "3 minutes"}, "option timeout is wrong"),
        ({"proof_path": "/nonexistent/proof.json"}, "there is no such folder"),
        ({"report_path": "/nonexistent/report.html"}, "there is no such folder"),
        ({"logs_url": "ftp://x"}, "option logs_url is 'ftp://x', not an HTTP URL"),
        ({"prometheus_url": "prometheus:9090"}, "option prometheus_url is 'prometheus:9090', not an HTTP URL"),
        ({"prometheus_last": "long"}, "option prometheus_last is wrong"),
        ({"report_path": "report.html"}, "option report_template is missing"),
        ({"report_path": "report.html", "report_template": "/nonexistent"}, "it cannot be read"),
        ({"grafana_url": "javascript:alert(1)"}, "it is not an address that a browser opens"),
    ],
)
def test_wrong_options_of_the_probe(arguments: dict[str, Any], message: str) -> None:
    result = run("trace_probe", host="http://127.0.0.1:9", **{"tail_sampling": {"policies": []}, **arguments})
    assert result["failed"] is True and message in result["msg"]


@pytest.mark.parametrize(
    ("module", "options"),
    [("trace_probe", {"tail_sampling": {"policies": []}}), ("otlp_replay", {"path": str(FIXTURE)})],
)
def test_a_cluster_that_does_not_answer(module: str, options: dict[str, Any]) -> None:
    result = run(module, host="http://127.0.0.1:9", **options)
    assert "no answer from the API server http://127.0.0.1:9" in result["msg"]


def test_a_replay(fake: FakePipeline, url: str) -> None:
    result = run("otlp_replay", host=url, path=str(FIXTURE), **REPLAY)
    assert result["passed"] is True and result["changed"] is True
    assert result["error_traces"] == {"sent": 2, "found": 2, "complete": 2, "unchecked": 0, "missing": []}
    assert result["traces_found"] == result["traces_kept"] >= 4
    assert result["steps"] == ["send 62 spans of 12 traces"]


def test_a_replay_that_is_not_found_fails(fake: FakePipeline, url: str) -> None:
    fake.lose_service = "probe-orders-api"
    result = run("otlp_replay", host=url, path=str(FIXTURE), decision_wait="300ms", timeout="4s")
    assert result["failed"] is True and result["passed"] is False
    assert result["msg"].startswith("the replay was not found as sent: error traces not found or not complete")
    # The spans of the other services are in the store.
    again = run("otlp_replay", host=url, path=str(FIXTURE), decision_wait="300ms", timeout="4s")
    assert again["failed"] is True and "Set trace_ids to new" in again["msg"]
    unverified = run("otlp_replay", host=url, path=str(FIXTURE), verify=False, **REPLAY)
    assert unverified["passed"] is None and unverified["spans_sent"] == 62


def test_a_replay_that_could_not_be_checked_says_so(fake: FakePipeline, url: str) -> None:
    fake.search_answers = [Response(503, {}, b"no queriers")] * 1000
    result = run("otlp_replay", host=url, path=str(FIXTURE), decision_wait="300ms", timeout="3s")
    assert result["failed"] is True and result["passed"] is None and result["problems"] == []
    assert result["msg"] == (
        "the replay was sent, but not all of it could be checked: which traces are there, since TraceQL search did not "
        "answer. Give it more time with the option timeout."
    )


def test_the_same_file_again_with_new_trace_ids(fake: FakePipeline, url: str) -> None:
    for _turn in range(2):
        assert run("otlp_replay", host=url, path=str(FIXTURE), trace_ids="new", **REPLAY)["passed"] is True


def test_check_mode_of_a_replay_reads_the_file_only(fake: FakePipeline, url: str) -> None:
    result = run("otlp_replay", host=url, path=str(FIXTURE), _ansible_check_mode=True)
    assert (result["changed"], result["traces_in_file"], result["spans_sent"]) == (True, 12, 0)
    assert fake.requests == []


def test_a_broken_line_sends_nothing_unless_asked(fake: FakePipeline, url: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(FIXTURE.read_text() + '{"resourceSpans":\n')
    result = run("otlp_replay", host=url, path=str(path), **REPLAY)
    assert "1 of 33 lines are broken, nothing was sent: line 33: not an OTLP trace document" in result["msg"]
    assert result["broken_lines"] == [{"place": "line 33", "reason": result["broken_lines"][0]["reason"]}]
    assert fake.requests == []
    assert run("otlp_replay", host=url, path=str(path), on_broken_line="skip", **REPLAY)["spans_sent"] == 62


@pytest.mark.parametrize("option", ["spans_per_second", "concurrency"])
def test_wrong_options_of_a_replay(option: str) -> None:
    result = run("otlp_replay", host="http://127.0.0.1:9", path=str(FIXTURE), **{option: 0})
    assert result["msg"] == f"option {option} is 0. Give a number from 1 up."


def test_progress_is_shown_while_the_module_runs(fake: FakePipeline, url: str, tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    task = {
        "orion.tracing.otlp_replay": {"path": str(FIXTURE), "host": url, **REPLAY},
        "name": "Replay",
        "register": "r",
    }
    show = {"ansible.builtin.assert": {"that": "r.spans_sent == 62"}}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task, show]}]))
    done = subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook",
            playbook,
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_HOME": str(tmp_path),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "TMPDIR": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    shown = [number for number, line in enumerate(lines) if line.startswith("otlp_replay: ")]
    assert len(shown) >= 5
    assert "62 spans of 12 traces recorded, 2 with an ERROR span" in lines[shown[0]]
    # Before the task's own result, and its file is gone.
    assert max(shown) < next(number for number, line in enumerate(lines) if line.startswith("changed: [localhost]"))
    assert list(tmp_path.glob("orion-tracing-progress-*")) == []
