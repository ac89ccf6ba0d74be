# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dashboards: what is committed is what their source makes, and what Grafana needs of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana.config_maps import LIMIT

from tools.dashboards.__main__ import FILES, files, main, outdated
from tools.dashboards.alerts import ALERTS
from tools.dashboards.builder import TAG, TOTAL_WIDTH, Column, Panel, PromQL
from tools.dashboards.catalog import DASHBOARDS
from tools.dashboards.interpolate import chosen, interpolated
from tools.dashboards.metrics import METRICS, Maker, absence, names
from tools.steps import ROOT, Failed

MADE = {one.name: one.json() for one in DASHBOARDS}
each_dashboard = pytest.mark.parametrize("name", MADE)


def test_what_is_committed_is_what_the_source_makes() -> None:
    assert outdated(files()) == [], "run `python -m tools.dashboards`"


def test_a_difference_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = files()
    del wanted["dashboards/orion-red.json"]
    wanted["alerts/grafana.yml"] += "x"
    assert outdated(wanted) == ["alerts/grafana.yml", "dashboards/orion-red.json"]
    monkeypatch.setattr("tools.dashboards.__main__.files", lambda: wanted)
    with pytest.raises(
        Failed, match=r"^alerts/grafana\.yml, dashboards/orion-red\.json below roles/grafana/files differ"
    ):
        main(["--check"])


def test_uids_are_unique_and_fit() -> None:
    assert len(MADE) == len(DASHBOARDS)
    assert len({one.uid for one in DASHBOARDS}) == len([one for one in DASHBOARDS if not one.form])
    assert all(re.fullmatch(r"orion-[a-z-]{1,34}", one.uid) for one in DASHBOARDS)


@each_dashboard
def test_a_dashboard_fits_into_a_config_map(name: str) -> None:
    assert len((FILES / f"dashboards/{name}.json").read_bytes()) < LIMIT / 10


@each_dashboard
def test_panels_have_ids_a_place_and_a_description(name: str) -> None:
    panels = MADE[name]["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= TOTAL_WIDTH, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} covers another panel"
        taken |= cells
        assert (
            panel["type"] == "row" or panel["description"].endswith((".", ".md", ".md.")) or "/" in panel["description"]
        )
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(refs)) == len(refs)


@each_dashboard
def test_every_variable_is_defined_and_used(name: str) -> None:
    dashboard = MADE[name]
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = json.dumps(dashboard["panels"]) + json.dumps(dashboard["templating"])
    used = {a or b for a, b in re.findall(r"\$(?:\{([a-z_]+)\}|([a-z][a-z_]*))", text)}
    assert used - {"__rate_interval", "__range", "__url_time_range"} <= defined
    assert defined <= used


@each_dashboard
def test_links_lead_to_dashboards_and_their_variables(name: str) -> None:
    links = re.findall(r'"/d/([a-z-]+)\?([^"]*)"', json.dumps(MADE[name]))
    for target, query in links:
        variables = {variable["name"] for variable in MADE[target]["templating"]["list"]}
        assert set(re.findall(r"var-([a-z]+)=", query)) <= variables, (target, query)
        assert query.endswith("${__url_time_range}")
    assert MADE[name]["links"][0]["tags"] == MADE[name]["tags"] == [TAG]


def test_runbooks_that_panels_name_exist() -> None:
    named = set(re.findall(r"docs/runbooks/(\w+)\.md", json.dumps(MADE)))
    assert len(named) > 5
    assert named <= {alert.name for alert in ALERTS}
    assert all((ROOT / "docs/runbooks" / f"{name}.md").exists() for name in named)


def test_files_that_panels_name_exist() -> None:
    assert not [
        path for path in re.findall(r"(?:docs|playbooks)/[\w/-]+\.\w+", json.dumps(MADE)) if not (ROOT / path).exists()
    ]


def test_a_query_is_sent_as_grafana_sends_it() -> None:
    overview = next(one for one in DASHBOARDS if one.uid == "orion-overview")
    values = chosen(overview, seconds=3600, step=15)
    assert interpolated("rate(a[$__rate_interval]) + ${plan_kept_spans}", values) == "rate(a[60s]) + 5000"
    assert (
        interpolated('label_replace(a, "b", "$1", "c", "(.*)")', values) == 'label_replace(a, "b", "$1", "c", "(.*)")'
    )
    with pytest.raises(KeyError, match="unknown"):
        interpolated("$unknown", values)


@pytest.mark.parametrize(
    ("query", "makers", "expected"),
    [
        ("rate(otelcol_exporter_sent_spans[1m])", {Maker.COLLECTOR}, ""),
        ("tempo_ingester_live_traces", {Maker.TEMPO, Maker.TEMPO_3}, "needs the telemetry of Tempo 2.10, port 3200"),
        (
            "otelcol_exporter_send_failed_spans / otelcol_exporter_sent_spans",
            {Maker.COLLECTOR},
            "otelcol_exporter_send_failed_spans a counter that appears with the first failure",
        ),
    ],
)
def test_why_a_query_may_have_no_data(query: str, makers: set[Maker], expected: str) -> None:
    assert absence(query, makers) == expected


def test_a_misspelt_metric_is_found() -> None:
    with pytest.raises(KeyError, match="otelcol_exporter_sent_span'"):
        names("rate(otelcol_exporter_sent_span[1m])")
    assert all(METRICS[name].rare == METRICS[name].rare.strip() for name in METRICS)


def test_tables_have_their_columns_in_order() -> None:
    panel = Panel(
        "t", "d.", [PromQL("a", ref="rate"), PromQL("b", ref="errors")], "table",
        columns=[Column("service", "Service"), Column("errors", "Errors", "percentunit"), Column("rate", "Rate")],
    )  # fmt: skip
    merge, organize = panel.json(1, 0, 0)["transformations"]
    assert merge["id"] == "merge"
    wanted: dict[str, Any] = {"service": "Service", "Value #errors": "Errors", "Value #rate": "Rate"}
    assert organize["options"]["renameByName"] == wanted
    assert organize["options"]["indexByName"] == {name: index for index, name in enumerate(wanted)}
    alone = Panel("t", "d.", [PromQL("a")], "table", columns=[Column("A", "Pods")])
    assert alone.json(1, 0, 0)["transformations"][1]["options"]["renameByName"] == {"Value": "Pods"}
