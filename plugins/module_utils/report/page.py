# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The data of the page, and the page with them: one HTML file that needs nothing else. Pure.

The page itself (roles/verify/files/report.html) is built from report/, where data.ts describes the same data.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.report.service_graph import service_graph
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import SpanRow, TraceRows, where_time_went

SCHEMA_VERSION = 1
DATA_PLACE = '<script type="application/json" id="data">null</script>'
TITLE_PLACE = "<title>Traces</title>"
# For a browser that runs no script.
PLAIN_PLACE = "<noscript></noscript>"
# Longer values are cut, and their length is given.
TEXT_LIMIT = 8192
# Larger whole numbers lose digits in a browser.
EXACT = 2**53
# Data longer than this are compressed.
PLAIN_BYTES = 512 * 1024
OPERATIONS_SHOWN = 40

Data = dict[str, Any]


def trace_data(trace: TraceRows, label: str = "", link: str = "", logs: Data | None = None) -> Data:
    """A trace as the page has it. Times are nanoseconds after `start`, a Unix time in nanoseconds as text.

    label: why the trace is shown. link: its address in Grafana, '' for none. logs: as logs.LogsOfTraces gives
    them, {"records": […]} or {"none": why there are none}; None where no store of logs was asked.
    """
    services = trace.services()
    numbers = {name: number for number, name in enumerate(services)}
    places = {row.span_id: number for number, row in reversed(list(enumerate(trace.rows)))}
    went = list(where_time_went(trace))
    return {
        "trace_id": trace.trace_id,
        "label": label,
        "service": trace.service,
        "name": trace.name,
        "start": str(trace.start),
        "duration": trace.duration,
        "length": trace.end - trace.start,
        "view": [time - trace.start for time in trace.view],
        "root": trace.root,
        "errors": trace.errors,
        "findings": trace.findings,
        "services": [{"name": name, "spans": spans} for name, spans in services.items()],
        "resources": [_values(one) for one in trace.resources],
        "spans": [_span(row, trace, numbers[row.service], places) for row in trace.rows],
        "critical": [
            {"service": service, "name": name, "kind": kind, "spans": spans, "time": time}
            for service, name, kind, spans, time in went[:OPERATIONS_SHOWN]
        ],
        "critical_more": max(0, len(went) - OPERATIONS_SHOWN),
        "link": link,
        "logs": logs,
    }


def _span(row: SpanRow, trace: TraceRows, service: int, places: Mapping[str, int]) -> Data:
    """Without what is empty: there may be 50,000 of them."""
    found: Data = {
        "id": row.span_id,
        "parent": row.parent,
        "depth": row.depth,
        "below": row.descendants,
        "service": service,
        "name": row.name,
        "kind": row.kind,
        "start": row.start - trace.start,
        "duration": row.duration,
        "resource": row.resource,
    }
    optional: Data = {
        "status": row.status if row.status != "UNSET" else "",
        "message": row.message,
        "scope": row.scope,
        "attributes": _values(row.attributes),
        "critical": [[start - trace.start, end - trace.start] for start, end in row.critical],
        "notes": row.notes,
        "dropped": row.dropped,
        "events": [
            {"name": name, "at": (at or row.start) - trace.start, "attributes": _values(values)}
            for name, at, values in row.events
        ],
        "links": [
            {
                "trace_id": trace_id,
                "span_id": span_id,
                # The row that it leads to, if it is in this trace.
                "row": places.get(span_id, -1) if trace_id == trace.trace_id else -1,
                "attributes": _values(values),
            }
            for trace_id, span_id, values in row.links
        ],
    }
    return found | {key: value for key, value in optional.items() if value}


def _values(attributes: Mapping[str, Any]) -> Data:
    return {key: readable(value) for key, value in attributes.items()}


def readable(value: Any) -> Any:
    """A value of an attribute as JSON that a browser reads without loss: bytes, large and special numbers as text."""
    if isinstance(value, bytes):
        return cut(f"0x{value.hex()}")
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): readable(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [readable(one) for one in value]
    return str(value)


def cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text that fits into the page."""
    # A lone surrogate is not Unicode text, and no encoder takes it.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def graph_data(traces: Sequence[TraceRows]) -> Data:
    """The service graph of these traces."""
    graph = service_graph(traces)
    return {
        "source": "traces",
        "traces": len(traces),
        "nodes": [vars(node) for node in graph.nodes.values()],
        "edges": [edge.figures() for edge in graph.edges.values()],
    }


def read_template(path: str | None) -> str:
    """The page without data. InvalidInput where it cannot be read."""
    remedy = "Leave the option out: the action plugin of the same name gives the collection's own page."
    if not path:
        raise InvalidInput("option report_template is missing", "the page is made from it", remedy)
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"option report_template is {path}", f"it cannot be read: {error}", remedy) from error


def render(template: str, data: Data) -> str:
    """The page. template: roles/verify/files/report.html. data: title, and what data.ts describes.

    InvalidInput for a template that is not that page.
    """
    if any(template.count(place) != 1 for place in (DATA_PLACE, TITLE_PLACE, PLAIN_PLACE)):
        raise InvalidInput(
            "report_template is not the page of this version of the collection",
            "it does not have the places for data",
            "Leave the option out; the page is roles/verify/files/report.html of the collection.",
        )
    document = {"schema_version": SCHEMA_VERSION, **data}
    # "<" only in strings, where its escape means the same: so no text ends the element.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    kind = "application/json"
    if len(text) > PLAIN_BYTES:
        kind = "application/gzip;base64"
        text = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    replaced = {
        DATA_PLACE: f'<script type="{kind}" id="data">{text}</script>',
        TITLE_PLACE: f"<title>{escape(data['title'])}</title>",
        PLAIN_PLACE: f"<noscript>{_plain(data)}</noscript>",
    }
    for place, content in replaced.items():
        before, _place, after = template.partition(place)
        template = before + content + after
    return template


def _plain(data: Data) -> str:
    """The checks, the traces and what tables there are, as one table."""
    rows: list[tuple[Any, ...]] = [
        ("passed" if check["passed"] else "FAILED", check["name"], check["expected"], check["observed"])
        for check in data.get("checks") or ()
    ]
    rows += [(one["trace_id"], one["service"], one["name"], f"{len(one['spans']):,} spans") for one in data["traces"]]
    rows += [
        tuple(map(_cell, row)) for block in data.get("blocks") or () for row in block.get("table", {}).get("rows", ())
    ]
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    return (
        f"<h1>{escape(data['title'])}</h1><p>Timeline and service graph need JavaScript; without it there is only this "
        f"table.</p><table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
    )


def _cell(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    figures = cell.get("figures") or [{"text": cell.get("code", "")}]
    return " / ".join(f"{one['text']} {one.get('strong', '')}".strip() for one in figures)
