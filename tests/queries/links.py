# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The links that Grafana makes of data sources as they are provisioned: which query they send, and to which one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import interval_seconds
from ansible_collections.orion.tracing.plugins.module_utils.grafana import trace_to_logs
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import PROMETHEUS, SpanValues
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import SpanRow, TraceRows

Json = Mapping[str, Any]
STORES = {plugin: store for store, plugin in trace_to_logs.PLUGINS.items()}
SECOND = 10**9


@dataclass(frozen=True)
class Link:
    """uid: of the data source that it leads to. query: what is asked there. start, end: the range, Unix seconds."""

    uid: str
    query: str
    start: float = 0
    end: float = 0


class DataSources:
    """documents: as Grafana's API has them."""

    def __init__(self, documents: Iterable[Json]) -> None:
        self.by_uid: dict[str, Json] = {one["uid"]: one for one in documents}

    @classmethod
    def provisioned(cls, document: Json) -> DataSources:
        """document: of Grafana's folder provisioning/datasources, in which "$$" stands for "$"."""
        return cls(_single_dollars(document["datasources"]))

    def one(self, *types: str) -> Json:
        """The data source of one of these types: of a link's two ends, there is one each."""
        [found] = [source for source in self.by_uid.values() if source["type"] in types]
        return found

    @property
    def traces(self) -> Json:
        return self.one("tempo", "jaeger")

    def logs_of(self, trace: TraceRows, row: SpanRow) -> Link | None:
        """From a span to its logs; None where Grafana shows no link."""
        link = self.traces["jsonData"]["tracesToLogsV2"]
        store = STORES[self.by_uid[link["datasourceUid"]]["type"]]
        assert link["customQuery"], "Grafana's own query differs between versions"
        return _link(link, trace_to_logs.filled(link["query"], store, link["tags"], span_values(trace, row)), row)

    def metrics_of(self, trace: TraceRows, row: SpanRow) -> dict[str, Link | None]:
        """From a span to its service's metrics: each query by its name."""
        link = self.traces["jsonData"]["tracesToMetrics"]
        span = span_values(trace, row)
        return {
            one["name"]: _link(link, trace_to_logs.filled(one["query"], PROMETHEUS, link["tags"], span), row)
            for one in link["queries"]
        }

    def trace_of_point(self, labels: Mapping[str, str]) -> Link | None:
        """From an exemplar to its trace."""
        for one in self.one("prometheus")["jsonData"]["exemplarTraceIdDestinations"]:
            if one["name"] in labels:
                return Link(one["datasourceUid"], labels[one["name"]])
        return None

    def trace_of_line(self, labels: Mapping[str, str], line: str = "") -> Link | None:
        """From a log line to its trace.

        labels: what the store has beside the line. In Loki these are labels and structured metadata; in VictoriaLogs
        all fields. Source: getDerivedFields.ts of Grafana's Loki data source, which VictoriaLogs' has a copy of
        """
        for one in self.one(*STORES)["jsonData"]["derivedFields"]:
            if one.get("matcherType") == "label":
                value = next((value for name, value in labels.items() if re.search(one["matcherRegex"], name)), None)
            else:
                match = re.search(one["matcherRegex"], line)
                value = match[1] if match else None
            if value:
                return Link(one["datasourceUid"], one["url"].replace("${__value.raw}", value))
        return None


def span_values(trace: TraceRows, row: SpanRow) -> SpanValues:
    return SpanValues(
        trace.trace_id,
        row.span_id,
        row.name,
        row.duration // 1000,
        [*trace.resources[row.resource].items(), *row.attributes.items()],
        trace.name,
        trace.duration // 1000,
    )


def _link(link: Json, query: str | None, row: SpanRow) -> Link | None:
    """With the range: around the span, by the shifts."""
    if query is None:
        return None
    start = row.start / SECOND + interval_seconds(link["spanStartTimeShift"])
    return Link(link["datasourceUid"], query, start, row.end / SECOND + interval_seconds(link["spanEndTimeShift"]))


def _single_dollars(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _single_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_single_dollars(item) for item in value]
    return value.replace("$$", "$") if isinstance(value, str) else value
