# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Addresses in Grafana. Pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows

# Before and after the trace, since a store may search by time.
MARGIN_MS = 60_000


def check_url(option: str, url: str) -> None:
    """InvalidInput unless it can be the address of a Grafana: it becomes a link in a page."""
    if url and not url.startswith(("https://", "http://")):
        raise InvalidInput(
            f"option {option} is {url}",
            "it is not an address that a browser opens",
            "Give one with http:// or https://.",
        )


def explore(url: str, kind: str, uid: str, trace: TraceRows) -> str:
    """A trace in Explore. url: of Grafana, '' for none. kind, uid: of the data source (tempo or jaeger).

    Source: https://grafana.com/docs/grafana/latest/explore/get-started-with-explore/ (generate Explore URLs)
    """
    if not url:
        return ""
    query: dict[str, Any] = {"refId": "A", "datasource": {"type": kind, "uid": uid}, "query": trace.trace_id}
    if kind == "tempo":
        query["queryType"] = "traceql"
    times = {"from": trace.start // 10**6 - MARGIN_MS, "to": trace.end // 10**6 + MARGIN_MS}
    pane = {"datasource": uid, "queries": [query], "range": {name: str(time) for name, time in times.items()}}
    return f"{url.rstrip('/')}/explore?" + urlencode({"schemaVersion": 1, "panes": json.dumps({"trace": pane})})
