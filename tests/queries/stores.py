# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks stores what Grafana would ask them for a dashboard that was just opened."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline

from tools.dashboards.builder import Dashboard, JaegerSearch, Panel, PromQL, Query, TraceQL
from tools.dashboards.catalog import DASHBOARDS
from tools.dashboards.interpolate import chosen, interpolated
from tools.dashboards.metrics import METRICS, Maker, absence

# Of the shop's services, where a dashboard has no "All": requests to it fail and are slow, too.
SERVICE = "gateway"
# A path and its query → the answer's JSON
Ask = Callable[[str, Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Asked:
    """One query of a panel. reason: why it may have no data here, "" if it must have some."""

    dashboard: Dashboard
    panel: Panel
    ref: str
    query: Query
    reason: str

    def __str__(self) -> str:
        return f"{self.dashboard.uid}: {self.panel.title}, {self.ref}"


@dataclass(frozen=True)
class Stores:
    """ask: by the type of data source. Prometheus has to be there; of traces, the stores that are.

    seconds: the range of a dashboard. step: of its curves; Grafana's $__rate_interval is four steps.
    """

    ask: Mapping[str, Ask]
    seconds: int = 900
    step: int = 30
    makers: set[Maker] = field(default_factory=lambda: {Maker.COLLECTOR, Maker.CONNECTORS})

    def values(self, dashboard: Dashboard) -> dict[str, str]:
        return {"service": SERVICE, **chosen(dashboard, self.seconds, self.step)}

    def names(self) -> set[str]:
        """The metrics that Prometheus has."""
        return set(self.prometheus("label/__name__/values"))

    def prometheus(self, path: str, **query: Any) -> Any:
        return self.ask["prometheus"](f"api/v1/{path}", query)["data"]

    def queries(self) -> Iterator[Asked]:
        """Every query. What the probe, rules and kube-state-metrics make is expected once there is any of it."""
        made = {METRICS[name].maker for name in self.names() & set(METRICS)}
        makers = self.makers | (made & {Maker.PROBE, Maker.KUBE_STATE_METRICS, Maker.RULES})
        for dashboard in DASHBOARDS:
            for panel in dashboard.panels:
                for ref, query in panel.named_queries():
                    yield Asked(dashboard, panel, ref, query, self._reason(panel, query, makers))

    def _reason(self, panel: Panel, query: Query, makers: set[Maker]) -> str:
        if isinstance(query, PromQL):
            return "; ".join(filter(None, (absence(query.text, makers), panel.empty)))
        return panel.empty if query.source.type in self.ask else f"needs {query.source.type} as the store of traces"

    def answer(self, one: Asked) -> list[Any]:
        """What the query shows: series that have a value now, or traces."""
        query, values, end = one.query, self.values(one.dashboard), int(time.time())
        times, kind = {"start": end - self.seconds, "end": end}, query.source.type
        if kind not in self.ask:
            return []
        if isinstance(query, PromQL):
            found = self.prometheus("query", query=interpolated(query.text, values))["result"]
            return [series for series in found if not math.isnan(float(series["value"][1]))]
        if isinstance(query, TraceQL):
            asked = {"q": interpolated(query.text, values), **times}
            return self.ask[kind]("api/search", {**asked, "limit": query.limit}).get("traces") or []
        assert isinstance(query, JaegerSearch)
        asked = {"service": interpolated(query.service, values), "limit": query.limit}
        asked |= {name: 10**6 * value for name, value in times.items()}
        if query.tags:
            asked["tags"] = json.dumps(dict(tag.split("=") for tag in query.tags.split()))
        if query.minimum:
            asked["minDuration"] = interpolated(query.minimum, values)
        return self.ask[kind]("api/traces", asked)["data"] or []

    def empty(self, load: Callable[[], None], patience: float) -> list[Asked]:
        """The queries without data, while there is load, for as long as one of them has no reason."""
        limit = Deadline(Clock(), patience)
        while True:
            load()
            missing = [one for one in self.queries() if not self.answer(one)]
            if all(one.reason for one in missing) or not limit.wait(2):
                return missing

    def check(self, missing: list[Asked]) -> None:
        """Prints the queries without data and their reasons; fails for those without one."""
        print(f"{len(list(self.queries())) - len(missing)} queries have data. Those without:")
        for one in missing:
            print(f"  {one}: {one.reason or 'NO REASON'}")
        wrong = [f"{one}\n    {one.query}" for one in missing if not one.reason]
        assert not wrong, f"{len(wrong)} queries without data and without a reason:\n" + "\n".join(wrong)

    def check_metrics(self) -> None:
        """Also those behind `or vector(0)` are there, where a wrong name would show zero for ever."""
        names = self.names()
        for maker in self.makers:
            wanted = {name for name, metric in METRICS.items() if metric.maker is maker and not metric.rare}
            assert wanted <= names, f"{maker}: {sorted(wanted - names)} are not there"

    def exemplars(self) -> list[str]:
        """Ids of the traces that the points of the dashboards lead to, the newest first."""
        end, found = int(time.time()), []
        for one in self.queries():
            if isinstance(one.query, PromQL) and one.query.exemplars:
                query = interpolated(one.query.text, self.values(one.dashboard))
                for series in self.prometheus("query_exemplars", query=query, start=end - self.seconds, end=end):
                    found += series["exemplars"]
        found.sort(key=lambda point: -float(point["timestamp"]))
        return [point["labels"].get("trace_id") or point["labels"]["traceID"] for point in found]

    def choices(self) -> dict[str, list[str]]:
        """What each variable offers, by dashboard and name."""
        found = {}
        for dashboard in DASHBOARDS:
            for variable in dashboard.variables:
                if variable.query:
                    inner = variable.query.removeprefix("label_values(").removesuffix(")")
                    series, _comma, label = inner.rpartition(", ")
                    match = {"match[]": interpolated(series, self.values(dashboard))}
                    found[f"{dashboard.uid}, {variable.name}"] = self.prometheus(f"label/{label}/values", **match)
        return found

    def edges(self) -> set[str]:
        """The ids of the service map's edges."""
        [edges] = [one for one in self.queries() if one.dashboard.uid == "orion-service-map" and one.ref == "edges"]
        return {series["metric"]["id"] for series in self.answer(edges)}
