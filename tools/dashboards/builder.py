# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Typed parts of a dashboard, and the classic JSON that they become.

Not grafana-foundation-sdk: what PyPI has of it ends with Grafana 11.6, and the epochs in its version numbers make pip
choose 10.1.0.

Fields: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

Json = dict[str, Any]

# Of Grafana 11; later versions migrate it when they load it.
SCHEMA_VERSION = 39
# All dashboards have it: links from one to the others are found by it.
TAG = "orion-tracing"
WIDTH, HEIGHT = 12, 8
TOTAL_WIDTH = 24


@dataclass(frozen=True)
class Source:
    """A data source, as a variable of the dashboard: users may choose another of the type, and the grafana role sets
    the uid of its own."""

    type: Literal["prometheus", "tempo", "jaeger"]

    @property
    def reference(self) -> Json:
        return {"type": self.type, "uid": f"${{{self.type}}}"}

    def variable(self) -> Json:
        return {
            "name": self.type,
            "label": self.type.title(),
            "type": "datasource",
            "query": self.type,
            "current": {"text": self.type.title(), "value": self.type},
            "hide": 0,
        }


PROMETHEUS, TEMPO, JAEGER = Source("prometheus"), Source("tempo"), Source("jaeger")


@dataclass(frozen=True)
class PromQL:
    """A query to Prometheus. ref: its name in the panel; "" for A, B, … in order. now: one value of each series instead
    of a curve, as in tables. exemplars: with points that lead to traces."""

    text: str
    legend: str = ""
    ref: str = ""
    now: bool = False
    exemplars: bool = False
    source: Source = PROMETHEUS

    def json(self, table: bool) -> Json:
        now = self.now or table
        return {
            "expr": self.text,
            "legendFormat": self.legend or "__auto",
            "instant": now,
            "range": not now,
            "format": "table" if table else "time_series",
            **({"exemplar": True} if self.exemplars else {}),
        }


@dataclass(frozen=True)
class TraceQL:
    """A query to Tempo that finds traces."""

    text: str
    limit: int = 20
    ref: str = ""
    source: Source = TEMPO

    def json(self, table: bool) -> Json:
        return {"queryType": "traceql", "query": self.text, "limit": self.limit, "tableType": "traces"}


@dataclass(frozen=True)
class JaegerSearch:
    """A search in Jaeger. tags: as its search form takes them, `name=value` with blanks between."""

    service: str
    tags: str = ""
    minimum: str = ""
    limit: int = 20
    ref: str = ""
    source: Source = JAEGER

    def json(self, table: bool) -> Json:
        found: Json = {"queryType": "search", "service": self.service, "limit": self.limit}
        return (
            found | ({"tags": self.tags} if self.tags else {}) | ({"minDuration": self.minimum} if self.minimum else {})
        )


Query = PromQL | TraceQL | JaegerSearch


@dataclass(frozen=True)
class Column:
    """A column of a table. of: the label, or the ref of the query whose value it is. link: an address for its cells."""

    of: str
    title: str
    unit: str = ""
    link: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel.

    description: what it shows and what a reader does about it; Grafana shows it on demand.
    unit: one of Grafana's. base: the colour of the lowest values; steps: lower bounds of others. columns: of a table,
    in order. link: title and address, for every point or row. empty: why it may have no data although there is load and
    the metrics of its queries are there; metrics.py has the reasons for those that are not.
    """

    title: str
    description: str
    queries: Sequence[Query]
    kind: Literal["timeseries", "stat", "table", "bargauge", "nodeGraph"] = "timeseries"
    unit: str = "short"
    width: int = WIDTH
    height: int = HEIGHT
    base: str = "green"
    steps: Sequence[tuple[float, str]] = ()
    minimum: float | None = 0
    maximum: float | None = None
    stacked: bool = False
    columns: Sequence[Column] = ()
    sort_by: str = ""
    link: tuple[str, str] = ("", "")
    empty: str = ""

    @property
    def source(self) -> Source:
        return self.queries[0].source

    def named_queries(self) -> list[tuple[str, Query]]:
        """Each query with its ref."""
        return [(query.ref or chr(ord("A") + index), query) for index, query in enumerate(self.queries)]

    def json(self, number: int, x: int, y: int) -> Json:
        table = self.kind in ("table", "nodeGraph")
        targets = [
            {"refId": ref, "datasource": query.source.reference, **query.json(table)}
            for ref, query in self.named_queries()
        ]
        made: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": self.source.reference,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": targets,
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
        }
        if transformations := self._transformations():
            made["transformations"] = transformations
        return made

    def _defaults(self) -> Json:
        steps = [{"value": None, "color": self.base}, *({"value": at, "color": color} for at, color in self.steps)]
        found: Json = {"unit": self.unit, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.kind in ("stat", "bargauge", "table"):
            found["color"] = {"mode": "thresholds"}
        if self.kind == "timeseries":
            found["custom"] = {
                "fillOpacity": 20 if self.stacked else 0,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none"},
                **({"thresholdsStyle": {"mode": "dashed"}} if self.steps else {}),
            }
        if self.minimum is not None and self.kind in ("timeseries", "bargauge"):
            found["min"] = self.minimum
        if self.maximum is not None:
            found["max"] = self.maximum
        if self.link[0]:
            found["links"] = [{"title": self.link[0], "url": self.link[1]}]
        return found

    def _overrides(self) -> list[Json]:
        found = []
        for column in self.columns:
            properties: list[Json] = [{"id": "unit", "value": column.unit}] if column.unit else []
            if column.link:
                properties.append({"id": "links", "value": [{"title": column.title, "url": column.link}]})
            if properties:
                found.append({"matcher": {"id": "byName", "options": column.title}, "properties": properties})
        return found

    def _options(self) -> Json:
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        if self.kind in ("stat", "bargauge"):
            reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            return {"reduceOptions": reduce, **({"graphMode": "area"} if self.kind == "stat" else {})}
        if self.kind == "table" and self.sort_by:
            return {"showHeader": True, "sortBy": [{"displayName": self.sort_by, "desc": True}]}
        return {}

    def _transformations(self) -> list[Json]:
        """One table of all queries, with the wanted columns alone; for a graph, the fields that its panel reads."""
        if not self.columns:
            return []
        refs = {ref for ref, _query in self.named_queries()}
        # A value is in a column of its query's name, which Grafana leaves out where there is one query.
        name = {c.of: ("Value" if len(refs) == 1 else f"Value #{c.of}") if c.of in refs else c.of for c in self.columns}
        organized = {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name[column.of]: index for index, column in enumerate(self.columns)},
                "renameByName": {name[column.of]: column.title for column in self.columns},
            },
        }
        return [organized] if self.kind == "nodeGraph" else [{"id": "merge", "options": {}}, organized]


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Variable:
    """A choice of the reader. query: label_values(…) of Prometheus, or None for the given values, of which the first is
    the default. all: ".*" is offered, and the default."""

    name: str
    label: str
    query: str | None = None
    values: Sequence[str] = ()
    all: bool = True
    refresh_source: Source = PROMETHEUS

    @property
    def default(self) -> str:
        return ".*" if self.query and self.all else (self.values[0] if self.values else "")

    def json(self) -> Json:
        if self.query is None:
            options = [{"text": value, "value": value, "selected": value == self.default} for value in self.values]
            current = {"text": self.default, "value": self.default}
            query = ",".join(self.values)
            return {
                "name": self.name, "label": self.label, "type": "custom", "query": query, "options": options,
                "current": current, "includeAll": False, "multi": False, "hide": 0,
            }  # fmt: skip
        found: Json = {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": self.refresh_source.reference,
            "query": {"query": self.query, "refId": self.name},
            "refresh": 2,
            "sort": 1,
            "includeAll": self.all,
            "multi": False,
            "hide": 0,
        }
        everything = {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
        return found | (everything if self.all else {})


@dataclass(frozen=True)
class Constant:
    """A figure that the grafana role fills in, from the plan of the inventory. sample: stands for it without a role."""

    name: str
    sample: float

    def json(self) -> Json:
        text = f"{self.sample:g}"
        current = {"text": text, "value": text}
        return {
            "name": self.name, "type": "constant", "query": text, "current": current, "hide": 2, "skipUrlSync": True,
        }  # fmt: skip


@dataclass(frozen=True)
class Dashboard:
    """uid: fixed, for links and updates. form: where several dashboards have one uid, of which the grafana role
    provisions the one that fits, the end of the name of its file."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    constants: Sequence[Constant] = ()
    hours: int = 1
    refresh: str = "30s"
    sources: Sequence[Source] = field(default=(PROMETHEUS,))
    form: str = ""

    @property
    def name(self) -> str:
        """Of its file."""
        return self.uid + self.form

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]

    def json(self) -> Json:
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "",
            "time": {"from": f"now-{self.hours}h", "to": "now"},
            "refresh": self.refresh,
            "links": [
                {
                    "type": "dashboards", "title": "Tracing", "tags": [TAG], "asDropdown": True, "keepTime": True,
                    "includeVars": False,
                }
            ],
            "templating": {
                "list": [
                    *(source.variable() for source in self.sources),
                    *(variable.json() for variable in self.variables),
                    *(constant.json() for constant in self.constants),
                ]
            },
            "panels": list(self._placed()),
        }  # fmt: skip

    def _placed(self) -> Iterable[Json]:
        """Panels from left to right, in a new line where one does not fit."""
        number, y = 0, 0
        for row in self.rows:
            number += 1
            yield {
                "id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": TOTAL_WIDTH, "h": 1},
            }  # fmt: skip
            x, y, tallest = 0, y + 1, 0
            for panel in row.panels:
                if x + panel.width > TOTAL_WIDTH:
                    x, y, tallest = 0, y + tallest, 0
                number += 1
                yield panel.json(number, x, y)
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest


def to_dashboard(uid: str, **variables: str) -> str:
    """The address of another dashboard, for the same time. Values may have Grafana's variables in them."""
    chosen = "".join(f"var-{name}={quote(value, safe='${}_.:')}&" for name, value in variables.items())
    return f"/d/{uid}?{chosen}${{__url_time_range}}"
