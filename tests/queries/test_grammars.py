# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries of dashboards, alert rules and data sources, parsed by the grammars of Grafana's editors and by promtool."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from ansible_collections.orion.tracing.tests.queries.conftest import Errors, setting
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

from tools.dashboards import metrics
from tools.dashboards.alerts import ALERTS
from tools.dashboards.builder import JaegerSearch, PromQL, TraceQL
from tools.dashboards.catalog import DASHBOARDS
from tools.dashboards.interpolate import chosen, interpolated

Parse = Callable[[Sequence[tuple[str, str]]], Errors]
Promtool = Callable[..., subprocess.CompletedProcess[str]]

# What the grammars refuse although the programs take it.
FALSE_ALARMS = {
    "traceql": (
        # Numbers without a digit before the point, and hints
        "{ true } | quantile_over_time(duration, .99)",
        "{ true } | rate() with (exemplars=true)",
    ),
}
WRONG = (
    ("promql", "sum(rate(up[5m])", "missing bracket"),
    ("promql", "sum by service (up)", "missing brackets"),
    ("traceql", "{ status = error", "missing brace"),
    ("traceql", "{ status == error }", "no such operator"),
    ("logql", '{app="x"', "missing brace"),
)


def queries() -> Iterator[tuple[str, str, str]]:
    """(where, language, query) of every query, as Grafana would send it."""
    for dashboard in DASHBOARDS:
        values = {"service": "gateway", **chosen(dashboard)}
        for panel in dashboard.panels:
            for ref, query in panel.named_queries():
                where = f"{dashboard.uid}, {panel.title}, {ref}"
                if isinstance(query, PromQL):
                    yield where, "promql", interpolated(query.text, values)
                elif isinstance(query, TraceQL):
                    yield where, "traceql", interpolated(query.text, values)
                else:
                    assert isinstance(query, JaegerSearch)
    for alert in ALERTS:
        yield alert.name, "promql", alert.query
    for query in role_defaults("grafana")["grafana_traces_to_metrics_queries"]:
        yield query["name"], "promql", query["query"].replace("$__tags", 'service="gateway"')


def test_every_query_parses(parse: Parse) -> None:
    every = list(queries())
    found = parse([(language, text) for _where, language, text in every])
    wrong = [
        f"{where}: at {error['from']}: {text[: error['from']]}⟦here⟧{text[error['from'] :]}"
        for (where, _language, text), error in zip(every, found, strict=True)
        if error
    ]
    assert len(every) > 100
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("language", "text", "why"), WRONG, ids=[why for *_rest, why in WRONG])
def test_a_wrong_query_is_found(parse: Parse, language: str, text: str, why: str) -> None:
    assert parse([(language, text)]) != [None]


@pytest.mark.parametrize("language", FALSE_ALARMS)
def test_the_false_alarms_are_still_false(parse: Parse, language: str) -> None:
    """An entry that the grammar takes by now is to be removed."""
    assert None not in parse([(language, text) for text in FALSE_ALARMS[language]])


def test_promtool_takes_every_promql_query(promtool: Promtool, tmp_path: Path) -> None:
    """Types too, which the grammar does not look at: rate() of a number, a range where a vector belongs."""
    every = [(where, text) for where, language, text in queries() if language == "promql"]
    rules = [{"record": f"query:{number}", "expr": text} for number, (_where, text) in enumerate(every)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = promtool("check", "rules", file)
    number = re.search(r"query:(\d+)", done.stderr)
    assert done.returncode == 0, f"{every[int(number[1])][0] if number else ''}: {done.stderr}"
    assert f"{len(every)} rules found" in done.stdout


def test_promtool_finds_a_wrong_query(promtool: Promtool, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": [{"record": "x", "expr": "rate(up)"}]}]}))
    assert promtool("check", "rules", file).returncode != 0


def test_every_metric_is_known() -> None:
    read = {name for _where, language, text in queries() if language == "promql" for name in metrics.names(text)}
    assert set(metrics.METRICS) == read, "a metric in METRICS is read by no query"


def test_the_collector_has_the_names() -> None:
    """Each is a string in its binary, except for what the exporter of metrics adds to a histogram."""
    program = setting("ORION_OTELCOL", "otelcol").read_bytes()
    wanted = [name for name, metric in metrics.METRICS.items() if metric.maker is metrics.Maker.COLLECTOR]
    assert len(wanted) > 20
    assert not [name for name in wanted if re.sub("_(bucket|count|sum)$", "", name).encode() not in program]
    assert b"otelcol_exporter_sent_span_" not in program


# What is put before the name of a metric when the program runs, and is a string of its own.
NAMESPACE = "^tempo(?:db|_live_store|_block_builder|_ingest|_partition_ring|_distributor(?=_produce|_kafka))?_"


def absent(program: bytes, *makers: metrics.Maker) -> list[str]:
    wanted = [name for name, metric in metrics.METRICS.items() if metric.maker in makers]
    assert len(wanted) > 20
    bare = {name: re.sub(f"{NAMESPACE}|_(bucket|count|sum)$", "", name) for name in wanted}
    return [name for name, text in bare.items() if text.encode() not in program]


@pytest.mark.needs_tempo
def test_tempo_has_the_names() -> None:
    """Each is a string in its binary without the namespace."""
    program = setting("ORION_TEMPO", "tempo").read_bytes()
    assert not absent(program, metrics.Maker.TEMPO, metrics.Maker.TEMPO_2)


@pytest.mark.needs_tempo_3
def test_tempo_3_has_the_names() -> None:
    """The same; that it sends them is in tests/unit/charts/test_tempo_3_runs.py."""
    program = setting("ORION_TEMPO_3", "tempo").read_bytes()
    assert not absent(program, metrics.Maker.TEMPO, metrics.Maker.TEMPO_3)
    assert b"ingester_failed_flushes_total" not in program
