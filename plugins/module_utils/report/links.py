# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Addresses in Grafana. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import interval_seconds
from ansible_collections.orion.tracing.plugins.module_utils.grafana import trace_to_logs
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows

# Before and after the trace, since a store may search by time.
MARGIN_MS = 60_000


def check_grafana_url(option: str, url: str) -> None:
    """InvalidInput unless it can be the address of a Grafana: it becomes a link in a page."""
    if url and not url.startswith(("https://", "http://")):
        raise InvalidInput(
            f"option {option} is {url}",
            "it is not an address that a browser opens",
            "Give one with http:// or https://.",
        )


def check_traces_to_logs(option: str, given: Mapping[str, Any]) -> None:
    """InvalidInput unless it is tracesToLogsV2 as a data source of traces has it, or empty."""
    try:
        for shift in _SHIFTS:
            interval_seconds(given.get(shift) or "0s")
    except ValueError as error:
        raise InvalidInput(
            f"option {option} is wrong", str(error), "Give it as Grafana's data source has it."
        ) from error
    tags = given.get("tags") or []
    sound = isinstance(tags, list) and all(isinstance(tag, Mapping) and "key" in tag for tag in tags)
    if not sound or not all(isinstance(given.get(name) or "", str) for name in ("datasourceUid", "query")):
        raise InvalidInput(
            f"option {option} is not Grafana's tracesToLogsV2",
            "datasourceUid and query are texts, tags is a list of {key, value}",
            "Give it as Grafana's data source has it.",
        )


_SHIFTS = ("spanStartTimeShift", "spanEndTimeShift")


def explore(url: str, kind: str, uid: str, trace: TraceRows) -> str:
    """A trace in Explore. url: of Grafana, '' for none. kind, uid: of the data source (tempo or jaeger)."""
    if not url:
        return ""
    query: dict[str, Any] = {"refId": "A", "datasource": {"type": kind, "uid": uid}, "query": trace.trace_id}
    if kind == "tempo":
        query["queryType"] = "traceql"
    return _address(url, query, (trace.start // 10**6 - MARGIN_MS, trace.end // 10**6 + MARGIN_MS))


def logs(url: str, store: str, given: Mapping[str, Any], trace: TraceRows) -> str:
    """The logs of a trace's root in Explore, by the query that Grafana's data source of traces runs for a span.

    url: of Grafana. store: loki, victorialogs or opensearch. given: tracesToLogsV2 of the data source. '' without url
    or query, and where the root lacks what the query asks for: Grafana shows no link then.
    """
    if not url or not given.get("query") or trace.root < 0:
        return ""
    root = trace.rows[trace.root]
    span = trace_to_logs.SpanValues(
        trace.trace_id,
        root.span_id,
        root.name,
        root.duration // 1000,
        [*trace.resources[root.resource].items(), *root.attributes.items()],
        trace.name,
        trace.duration // 1000,
    )
    text = trace_to_logs.filled(given["query"], store, given.get("tags") or [], span)
    if text is None:
        return ""
    source = {"type": trace_to_logs.PLUGINS[store], "uid": given.get("datasourceUid") or store}
    query: dict[str, Any] = {"refId": "A", "datasource": source}
    if store == trace_to_logs.OPENSEARCH:
        query |= {"query": text, "metrics": [{"id": "1", "type": "logs"}]}
    else:
        query["expr"] = text
    before, after = (round(interval_seconds(given.get(shift) or "0s") * 1000) for shift in _SHIFTS)
    return _address(url, query, (trace.start // 10**6 + before, trace.end // 10**6 + after))


def _address(url: str, query: Mapping[str, Any], times: tuple[int, int]) -> str:
    """A query in Explore. times: of the range, Unix milliseconds.

    Source: https://grafana.com/docs/grafana/latest/explore/get-started-with-explore/ (generate Explore URLs)
    """
    shown = {"from": str(times[0]), "to": str(times[1])}
    pane = {"datasource": query["datasource"]["uid"], "queries": [query], "range": shown}
    return f"{url.rstrip('/')}/explore?" + urlencode({"schemaVersion": 1, "panes": json.dumps({"trace": pane})})
