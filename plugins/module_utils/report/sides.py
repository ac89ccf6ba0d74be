# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Traces of the store by their ids or by a search, for a page; and that page's data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.plugins.module_utils.report.comparison import compare
from ansible_collections.orion.tracing.plugins.module_utils.report.search import criteria, is_traceql
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows, trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS, StoreReader
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo

TRACE_ID = re.compile(r"[0-9a-f]{32}")
# Sides whose titles are the same
ORDER = ("first", "second")


@dataclass(frozen=True)
class SideNames:
    """What messages call the options of a side. prefix: "" or "compare.", as the module has them. given: other names,
    by those of the module, such as the variables of a playbook."""

    prefix: str = ""
    given: Mapping[str, str] = field(default_factory=dict)

    def one(self, option: str) -> str:
        return self.given.get(self.prefix + option) or f"option {self.prefix}{option}"

    def both(self, first: str, second: str) -> str:
        if self.prefix + first in self.given:
            return f"{self.one(first)} and {self.one(second)}"
        return f"options {self.prefix}{first} and {self.prefix}{second}"


@dataclass(frozen=True)
class Side:
    """Which traces: ids, or a search between two Unix seconds."""

    names: SideNames
    trace_ids: tuple[str, ...]
    search: str
    start: int
    end: int
    limit: int

    @property
    def what(self) -> str:
        return self.search or ", ".join(one[:8] for one in self.trace_ids)

    @property
    def title(self) -> str:
        if self.trace_ids:
            return f"trace {self.trace_ids[0][:8]}" if len(self.trace_ids) == 1 else f"{len(self.trace_ids)} traces"
        begin, end = (datetime.fromtimestamp(time, UTC) for time in (self.start, self.end))
        return f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"


def side(names: SideNames, given: Mapping[str, Any], limit: int, now: datetime, reader: str) -> Side:
    """The options trace_ids, search, end and last; InvalidInput for what is wrong with them."""
    ids = tuple(one.strip().lower() for one in given.get("trace_ids") or ())
    search = (given.get("search") or "").strip()
    if bool(ids) == bool(search):
        what = "both given" if ids else "both missing"
        raise InvalidInput(f"{names.both('trace_ids', 'search')} are {what}", "", "Give one of them.")
    for one in ids:
        if not TRACE_ID.fullmatch(one) or not one.strip("0"):
            raise InvalidInput(
                f"{names.one('trace_ids')} has {one!r}",
                "a trace id is 32 hexadecimal digits, not all zeros",
                "Correct it.",
            )
    if search and is_traceql(search):
        if reader != "tempo":
            raise InvalidInput(
                f"{names.one('search')} is TraceQL, but store_reader is {reader}",
                "only Tempo understands it",
                "Write words such as service=orders error=true, which every store understands.",
            )
    elif search:
        criteria(search, names.one("search"))
    try:
        end = datetime.fromisoformat(given["end"]) if given.get("end") else now
        last = duration_seconds((given.get("last") or "1h").strip())
    except ValueError as error:
        raise InvalidInput(
            f"{names.both('end', 'last')} are {given.get('end')!r} and {given.get('last')!r}",
            str(error),
            "Give a time such as 2026-01-31T10:00:00Z and a Go duration such as 30m.",
        ) from error
    until = int((end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp())
    return Side(names, ids, search, until - int(last), until, limit)


def read(reader: StoreReader, one: Side, now: datetime) -> list[TraceRows]:
    """The traces of a side, in the order of their ids, or by start.

    NotFound for an id without spans, and where a search finds nothing.
    """
    if one.trace_ids:
        start, end, ids = 0, int(now.timestamp()) + MARGIN_SECONDS, list(one.trace_ids)
    else:
        start, end = one.start - MARGIN_SECONDS, one.end + MARGIN_SECONDS
        ids = list(_search(reader, one))[: one.limit]
        if not ids:
            raise NotFound(
                f"{one.names.one('search')}: {reader.name} has no trace for {one.search} from {one.title}",
                remedy=f"Look further back ({one.names.one('last')}), or loosen the search.",
            )
    found = [trace_rows(trace_id, reader.document(trace_id, start, end)) for trace_id in ids]
    if missing := [trace.trace_id for trace in found if not trace.rows]:
        raise NotFound(
            f"{reader.name} has no spans of {', '.join(missing)}",
            "the trace was not kept, is not stored yet, or is older than the retention",
            "Check the id; the proof and the simulator say what sampling keeps.",
        )
    return found if one.trace_ids else sorted(found, key=lambda trace: (trace.start, trace.trace_id))


def _search(reader: StoreReader, one: Side) -> dict[str, int]:
    if is_traceql(one.search):
        if not isinstance(reader, Tempo):
            raise TypeError("TraceQL needs Tempo")
        return reader.search_traceql(one.search, one.start, one.end, one.limit)
    return reader.search(criteria(one.search, one.names.one("search")), one.start, one.end, one.limit)


def traces_data(
    one: Side,
    traces: Sequence[TraceRows],
    link: Callable[[TraceRows], str],
    logs: Callable[[TraceRows], page.Data | None],
) -> page.Data:
    """The page of some traces. link, logs: as page.trace_data has them."""
    spans = sum(len(trace.rows) for trace in traces)
    return {
        "title": f"{traces[0].service}: {traces[0].name}" if len(traces) == 1 else "Traces",
        "subtitle": " · ".join([*([one.search] if one.search else []), one.title, f"{spans:,} spans"]),
        "traces": [page.trace_data(trace, "", link(trace), logs(trace)) for trace in traces],
        "graphs": [page.graph_data(traces)],
    }


def comparison_data(
    sides: tuple[Side, Side],
    traces: tuple[Sequence[TraceRows], Sequence[TraceRows]],
    link: Callable[[TraceRows], str],
    logs: Callable[[TraceRows], page.Data | None],
) -> page.Data:
    """The page of two sets of traces, with the trace of the median duration of each."""
    compared = compare(*traces)
    titles = [one.title for one in sides]
    about = " · ".join(dict.fromkeys(one.search for one in sides if one.search)) or " and ".join(titles)
    if titles[0] == titles[1]:
        # What differs would be too long for the headings of columns.
        about = f"{titles[0]} · " + " · ".join(f"{which}: {one.what}" for which, one in zip(ORDER, sides, strict=True))
        titles = list(ORDER)
    for which, title in zip(compared["sides"], titles, strict=True):
        which["title"] = title
    shown = [sorted(some, key=lambda trace: trace.duration)[(len(some) - 1) // 2] for some in traces]
    return {
        "title": "Comparison",
        "subtitle": about,
        "comparison": compared,
        "traces": [
            page.trace_data(trace, title, link(trace), logs(trace)) for trace, title in zip(shown, titles, strict=True)
        ],
    }
