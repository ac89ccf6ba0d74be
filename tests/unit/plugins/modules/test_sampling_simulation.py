# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""sampling_simulation as Ansible runs it: from files, and from Tempo behind an API server on a socket."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import document, span
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import (
    FakePipeline,
    api_server,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
ALL = {"name": "all", "type": "always_sample"}
CONFIG = {"decision_wait": "1s", "policies": [ERRORS]}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Ten traces, two of them with an error."""
    path = tmp_path / "recording.jsonl"
    lines = [document(({"service.name": "shop"}, [span(n, error=n < 3)])) for n in range(1, 11)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


PAGE = Path(__file__).parents[4] / "roles/verify/files/report.html"
DATA = re.compile(r'<script type="application/json" id="data">([^<]*)</script>')


def simulate(path: Path | None, **arguments: Any) -> dict[str, Any]:
    return run(
        "sampling_simulation",
        **({"path": str(path)} if path else {}),
        **{"config": CONFIG, "report_template": str(PAGE), **arguments},
    )


def test_figures_files_and_a_second_run_without_a_change(recording: Path, tmp_path: Path) -> None:
    files = {"report": "r.html", "output": "r.json", "decisions": "d.csv", "progress_file": "lines"}
    arguments = {option: str(tmp_path / name) for option, name in files.items()}
    compare = {"name": "everything", "config": {**CONFIG, "policies": [ALL]}, "samplers": 2}
    first = simulate(recording, compare=compare, expected_bytes_per_second=1e6, **arguments)
    assert first["changed"] is True and len(first["steps"]) == 3
    assert first["results"][0]["traces"] == {"seen": 10, "kept": 2, "lost": 8, "percentage": 20.0}
    shop = first["results"][0]["services"]["shop"]
    assert shop["error_traces"] == {"seen": 2, "kept": 2, "lost": 0, "percentage": 100.0}
    assert set(shop) == {"traces", "spans", "error_traces", "slow_traces"} < set(first["results"][0]["operations"][0])
    assert first["results"][0]["policies"]["errors"]["error_traces"] == 2
    assert first["comparison"]["only_second"]["traces"] == 8
    assert "2 of 10 (20.0 %)" in first["table"]
    assert json.loads((tmp_path / "r.json").read_text())["results"] == first["results"]
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert [row["kept"] for row in rows].count("1") == 2 and {row["kept_everything"] for row in rows} == {"1"}
    found = DATA.search((tmp_path / "r.html").read_text())
    assert found is not None
    page = json.loads(found.group(1))
    assert page["title"] == "Sampling simulation" and page["blocks"][0]["table"]["rows"][0] == [
        "Traces", {"figures": [{"text": "2 of 10", "strong": "20.0 %"}]},
        {"figures": [{"text": "10 of 10", "strong": "100.0 %"}]},
    ]  # fmt: skip
    assert simulate(recording, compare=compare, expected_bytes_per_second=1e6, **arguments)["changed"] is False


def test_check_mode_writes_nothing(recording: Path, tmp_path: Path) -> None:
    result = simulate(recording, report=str(tmp_path / "r.html"), _ansible_check_mode=True)
    assert result["changed"] is True and result["results"][0]["traces"]["kept"] == 2
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spans_per_second": 0}, "option spans_per_second is 0.0. Give a number above 0."),
        ({"storage_price": -1}, "option storage_price is -1"),
        ({"retention": "7 days"}, "option retention is wrong"),
        ({"report": "/nonexistent/r.html"}, "its folder does not exist"),
        ({"samplers": 0}, "samplers is 0"),
        ({"config": {"policies": [{"name": "x", "type": "span_magic"}]}}, "span_magic"),
        ({"config": {"policies": [ERRORS], "sampling_strategy": "span-ingest"}}, "only trace-complete can be"),
    ],
)  # fmt: skip
def test_bad_input_names_the_option(recording: Path, arguments: dict[str, Any], message: str) -> None:
    result = simulate(recording, **arguments)
    assert result["failed"] is True and message in result["msg"]


def test_broken_records(recording: Path) -> None:
    recording.write_text(recording.read_text() + "{broken\n")
    result = simulate(recording)
    assert result["failed"] is True and "line 11 is broken" in result["msg"] and "on_broken_line" in result["msg"]
    assert simulate(recording, on_broken_line="skip")["broken_lines"] == 1


def test_files_that_hold_nothing_or_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    assert "holds no trace" in simulate(tmp_path / "empty")["msg"]
    assert "cannot be read" in simulate(tmp_path / "missing")["msg"]


def test_one_source_is_needed(recording: Path) -> None:
    assert "path, store" in simulate(None)["msg"]
    assert "mutually exclusive" in simulate(recording, store={})["msg"]


@pytest.fixture
def pipeline() -> FakePipeline:
    fake = FakePipeline(real=True)
    fake.decision_wait, fake.search_lag = 0.0, 0.0
    return fake


@pytest.fixture
def url(pipeline: FakePipeline) -> Iterator[str]:
    with ExitStack() as stack:
        yield stack.enter_context(api_server(pipeline))


def test_from_the_store(pipeline: FakePipeline, url: str) -> None:
    probe = run("trace_probe", host=url, tail_sampling=pipeline.tail_sampling, timeout="20s")
    assert probe["passed"] is True
    mine = {"orion.probe.run": probe["run"]}
    result = simulate(None, host=url, store={"last": "10m", "attributes": mine, "limit": 500})
    assert result["changed"] is False
    kept = result["results"][0]
    assert kept["error_traces"]["seen"] == kept["error_traces"]["kept"] == 3
    assert kept["traces"]["seen"] > kept["traces"]["kept"] == 3
    assert "option store.limit is 0" in simulate(None, host=url, store={"limit": 0})["msg"]
