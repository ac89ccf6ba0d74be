# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""One trace as rows: every span once, below its parent, with the critical path and what is wrong with the trace. Pure.

A trace from a store can be anything: spans without a parent in it, two roots, parents in a circle, ids used twice,
times of clocks that differ. Nothing is repaired or left out: every span is a row, and each oddity is a finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp import records

KIND_NAMES = {number: name for name, number in otlp.KINDS.items()}
STATUS_NAMES = {0: "UNSET", 1: "OK", 2: "ERROR"}
# The view begins with the root's time only where all spans take this many times as long.
FAR = 100
# Rows, services and ids that a finding names; the rest are counted.
NAMED = 3
UNITS = ((60_000_000_000, "min"), (1_000_000_000, "s"), (1_000_000, "ms"), (1000, "µs"), (1, "ns"))


@dataclass
class SpanRow:
    """A span. Times are nanoseconds; start is Unix time. parent: number of a row, -1 for none; depth: rows above it.

    descendants: how many of the rows that follow are below it. critical: parts of its time that are on the critical
    path, as (start, end). notes: what is wrong with it. events: (name, time, attributes). links: (trace id, span id,
    attributes). resource: its number in TraceRows.resources.
    """

    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start: int
    duration: int
    status: str
    message: str
    attributes: dict[str, Any]
    resource: int
    scope: str
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[str, str, dict[str, Any]]]
    dropped: dict[str, int]
    parent: int = -1
    depth: int = 0
    descendants: int = 0
    critical: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def is_error(self) -> bool:
        return self.status == "ERROR"

    @property
    def critical_ns(self) -> int:
        return sum(end - start for start, end in self.critical)


@dataclass
class TraceRows:
    """rows: in the order in which they are shown, depth first, children by start. root: number of the row whose time is
    the trace's, -1 for a trace without spans. start, end: of all rows, Unix nanoseconds. view: the part to show first.
    findings: what is wrong with the trace, for people. resources: attributes, by SpanRow.resource.
    """

    trace_id: str
    rows: list[SpanRow] = field(default_factory=list)
    root: int = -1
    start: int = 0
    end: int = 0
    view: tuple[int, int] = (0, 0)
    findings: list[str] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def duration(self) -> int:
        """Of the root: what a caller waited for."""
        return self.rows[self.root].duration if self.rows else 0

    @property
    def name(self) -> str:
        return self.rows[self.root].name if self.rows else ""

    @property
    def service(self) -> str:
        return self.rows[self.root].service if self.rows else ""

    @property
    def errors(self) -> int:
        return sum(row.is_error for row in self.rows)

    def services(self) -> dict[str, int]:
        """Services with their numbers of spans, in the order of their first rows."""
        return dict(Counter(row.service for row in self.rows))


def duration_text(nanoseconds: float) -> str:
    """1234567 → 1.23 ms"""
    for size, unit in UNITS:
        if abs(nanoseconds) >= size:
            value = nanoseconds / size
            digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
            return f"{value:.{digits}f} {unit}"
    return "0"


def trace_rows(trace_id: str, document: Mapping[str, Any]) -> TraceRows:
    """The trace in this document; spans of other traces are left out.

    trace_id: 32 hexadecimal digits. document: OTLP/JSON as a store gives it (Tempo's has ids in base64). BrokenDocument
    for an id that is none.
    """
    found = TraceRows(trace_id)
    repeated = _read(found, document)
    if not found.rows:
        found.findings.append("the trace has no spans in the store")
        return found
    if repeated:
        found.findings.append(f"{_count(repeated, 'span')} stored more than once, shown once")
    roots = _parents(found)
    _order(found, roots)
    _choose_root(found)
    _times(found)
    _clocks(found)
    critical_path(found)
    return found


def _read(found: TraceRows, document: Mapping[str, Any]) -> int:
    """Add the rows and resources. Returns how many spans were there before.

    Their order comes from the spans: a store may give the same trace in another order each time (Jaeger with Badger
    does), and the same trace is to be the same page.
    """
    resources: dict[str, dict[str, Any]] = {}
    kept: dict[tuple[Any, ...], SpanRow] = {}
    repeated = 0
    for part in records.from_document(document).resource_spans:
        values = _sorted(part.resource.values()) if part.resource else {}
        key = repr(values)
        resources[key] = values
        service = part.resource.service if part.resource else "unknown_service"
        for scope in part.scope_spans:
            about = scope.scope
            scope_name = f"{about.name} {about.version}".strip() if about else ""
            for span in scope.spans:
                if span.trace_id != found.trace_id:
                    continue
                row = _row(span, service, scope_name)
                # Client and server may share an id (Zipkin), so the id alone does not make two spans the same.
                same = (span.start, span.end, span.span_id, span.parent_span_id, span.kind_number, span.name, key)
                if same in kept:
                    repeated += 1
                    row = min(kept[same], row, key=repr)
                kept[same] = row
    places: dict[str, int] = {}
    # As text, since a broken document may have null anywhere.
    for same in sorted(kept, key=repr):
        key = same[-1]
        kept[same].resource = places.setdefault(key, len(places))
        found.rows.append(kept[same])
    found.resources = [resources[key] for key in places]
    return repeated


def _sorted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(attributes.items(), key=lambda item: str(item[0])))


def _row(span: records.Span, service: str, scope: str) -> SpanRow:
    notes = []
    if not span.start:
        notes.append("it has no start time, and is drawn where the trace begins")
    elif span.end < span.start:
        notes.append(f"it ends {duration_text(span.start - span.end)} before it starts, and is drawn without length")
    dropped = {
        "attributes": span.dropped_attributes_count,
        "events": span.dropped_events_count,
        "links": span.dropped_links_count,
    }
    return SpanRow(
        span_id=span.span_id,
        parent_id="" if span.is_root else span.parent_span_id,
        service=service,
        name=span.name,
        kind=KIND_NAMES.get(span.kind_number, "UNSPECIFIED"),
        start=span.start,
        duration=max(0, span.end - span.start) if span.start else 0,
        status=STATUS_NAMES.get(span.code, "UNSET"),
        message=span.status.message if span.status else "",
        attributes=_sorted(span.values()),
        resource=-1,
        scope=scope,
        events=[
            (
                one.get("name", ""),
                int(one.get("timeUnixNano") or 0),
                _sorted(records.attribute_map(one.get("attributes") or ())),
            )
            for one in records.listed(span.events)
        ],
        links=[
            (
                otlp.hex_id(one.get("traceId") or "", otlp.TRACE_ID_DIGITS),
                otlp.hex_id(one.get("spanId") or "", otlp.SPAN_ID_DIGITS),
                _sorted(records.attribute_map(one.get("attributes") or ())),
            )
            for one in records.listed(span.links)
        ],
        dropped={what: count for what, count in dropped.items() if count},
        notes=notes,
    )


def _parents(found: TraceRows) -> list[int]:
    """Set parents, by their numbers, and return the rows without one: roots, orphans, and one of each circle."""
    rows = found.rows
    by_id: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        by_id.setdefault(row.span_id, []).append(number)
    shared = [span_id for span_id, numbers in by_id.items() if len(numbers) > 1]
    if shared:
        found.findings.append(f"{_count(len(shared), 'span id')} used by several spans: {_named(shared)}")
    missing: Counter[str] = Counter()
    top = []
    for number, row in enumerate(rows):
        candidates = by_id.get(row.parent_id, []) if row.parent_id else []
        # Where a client and a server have the same id, children belong below the server.
        others = [one for one in candidates if one != number]
        if row.parent_id == row.span_id and not others:
            row.notes.append("it names itself as its parent")
        elif others:
            row.parent = max(others, key=lambda one: (rows[one].kind == "SERVER", -one))
            continue
        elif row.parent_id:
            missing[row.parent_id] += 1
            row.notes.append(f"its parent {row.parent_id} is not in the trace")
        top.append(number)
    if missing:
        spans = sum(missing.values())
        found.findings.append(
            f"{_count(spans, 'span')} whose parent is not in the trace ({_named(list(missing))}): it was never sent, "
            "arrived after the decision, or is not stored yet"
        )
    return top + _circles(found, top)


def _circles(found: TraceRows, top: Sequence[int]) -> list[int]:
    """Rows that no row at the top leads to are in circles, or below one. Each circle is opened at its earliest span."""
    rows = found.rows
    below = _below(rows)
    reached: set[int] = set()
    _reach(top, below, reached)
    opened = []
    for number in range(len(rows)):
        if number in reached:
            continue
        path: dict[int, None] = {}
        place = number
        while place not in path:
            path[place] = None
            place = rows[place].parent
        circle = list(path)[list(path).index(place) :]
        first = min(circle, key=lambda one: (rows[one].start, one))
        rows[first].parent = -1
        rows[first].notes.append(
            f"its parent {rows[first].parent_id} is below it: {_count(len(circle), 'span')} in a circle"
        )
        opened.append(first)
        below = _below(rows)
        _reach([first], below, reached)
    if opened:
        found.findings.append(
            f"{_count(len(opened), 'circle')} of spans that are each other's parents, opened at the earliest span"
        )
    return opened


def _below(rows: Sequence[SpanRow]) -> list[list[int]]:
    found: list[list[int]] = [[] for _row in rows]
    for number, row in enumerate(rows):
        if row.parent >= 0:
            found[row.parent].append(number)
    return found


def _reach(top: Iterable[int], below: Sequence[Sequence[int]], reached: set[int]) -> None:
    waiting = list(top)
    while waiting:
        number = waiting.pop()
        if number not in reached:
            reached.add(number)
            waiting.extend(below[number])


def _order(found: TraceRows, top: list[int]) -> None:
    """Put the rows into the order in which they are shown. Without recursion: a trace may be one chain."""
    rows, below = found.rows, _below(found.rows)

    def by_start(numbers: Iterable[int]) -> list[int]:
        return sorted(numbers, key=lambda one: (rows[one].start, -rows[one].duration, one), reverse=True)

    order: list[int] = []
    place: dict[int, int] = {}
    waiting = [(number, 0) for number in by_start(top)]
    while waiting:
        number, depth = waiting.pop()
        rows[number].depth = depth
        place[number] = len(order)
        order.append(number)
        waiting += [(one, depth + 1) for one in by_start(below[number])]
    for row in rows:
        row.parent = place.get(row.parent, -1)
    found.rows = [rows[number] for number in order]
    for number in range(len(found.rows) - 1, -1, -1):
        if (parent := found.rows[number].parent) >= 0:
            found.rows[parent].descendants += found.rows[number].descendants + 1


def _choose_root(found: TraceRows) -> None:
    """The row at the top with the most rows below it; a real root before an orphan."""
    top = [number for number, row in enumerate(found.rows) if row.parent < 0]
    found.root = max(top, key=lambda one: (found.rows[one].descendants, not found.rows[one].parent_id, -one))
    roots = [number for number in top if not found.rows[number].parent_id]
    if len(roots) > 1:
        names = [f"{found.rows[one].service}: {found.rows[one].name}" for one in roots]
        root = found.rows[found.root]
        found.findings.append(
            f"{len(roots)} roots ({_named(names)}); the critical path is that of {root.service}: {root.name}"
        )
    elif not roots:
        found.findings.append("no root; the critical path is that of the span with the most spans below it")


def _times(found: TraceRows) -> None:
    rows, whole = found.rows, found.rows[found.root]
    untimed = [row for row in rows if not row.start]
    timed = [row for row in rows if row.start]
    if untimed:
        found.findings.append(f"{_count(len(untimed), 'span')} without a start time, drawn where the trace begins")
    found.start = min((row.start for row in timed), default=0)
    for row in untimed:
        row.start = found.start
    found.end = max(row.end for row in rows)
    found.view = (found.start, found.end)
    if whole.duration and found.end - found.start > FAR * whole.duration:
        found.view = (whole.start, whole.end)
        found.findings.append(
            f"spans reach from {duration_text(whole.start - found.start)} before the root's start to "
            f"{duration_text(max(0, found.end - whole.end))} after its end; the timeline begins with the root's time"
        )


def _clocks(found: TraceRows) -> None:
    """A span cannot start before its parent does: where it does, one of two clocks is wrong. Times are not changed."""
    ahead: dict[tuple[str, str], list[int]] = {}
    inside = 0
    for row in found.rows:
        if row.parent < 0:
            continue
        parent = found.rows[row.parent]
        early = parent.start - row.start
        if early <= 0:
            continue
        row.notes.append(f"it starts {duration_text(early)} before its parent")
        if row.resource == parent.resource:
            inside += 1
        else:
            ahead.setdefault((row.service, parent.service), []).append(early)
    for (service, other), early_by in ahead.items():
        found.findings.append(
            f"clock skew: {_count(len(early_by), 'span')} of {service} before the parent's start in {other}, by up to "
            f"{duration_text(max(early_by))}; the times are shown as they were recorded"
        )
    if inside:
        found.findings.append(f"{_count(inside, 'span')} before the parent's start in the same process")


def critical_path(found: TraceRows) -> None:
    """Set SpanRow.critical: at every moment of the root's time, the span that the root was waiting for.

    From the end of a span backwards: the child that ended last was waited for, until its start; before it the child
    that had ended last by then; in between, the span itself worked. What a child does after its parent's end (a
    consumer of a queue) was not waited for. The parts add up to the root's duration.
    """
    rows, below = found.rows, _below(found.rows)
    root = rows[found.root]
    waiting = [(found.root, root.start, root.end)]
    while waiting:
        number, start, end = waiting.pop()
        row, until = rows[number], end
        for child in sorted(below[number], key=lambda one: (min(rows[one].end, end), one), reverse=True):
            inner_start, inner_end = max(rows[child].start, start), min(rows[child].end, until)
            if inner_start >= inner_end:
                continue
            if inner_end < until:
                row.critical.append((inner_end, until))
            waiting.append((child, inner_start, inner_end))
            until = inner_start
        if until > start:
            row.critical.append((start, until))
        row.critical.reverse()


def where_time_went(found: TraceRows) -> Iterator[tuple[str, str, str, int, int]]:
    """(service, name, kind, spans, nanoseconds) of the critical path, most time first."""
    spans: Counter[tuple[str, str, str]] = Counter()
    times: Counter[tuple[str, str, str]] = Counter()
    for row in found.rows:
        if row.critical:
            key = (row.service, row.name, row.kind)
            spans[key] += 1
            times[key] += row.critical_ns
    for key, time in sorted(times.items(), key=lambda item: (-item[1], item[0])):
        yield (*key, spans[key], time)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _named(values: Sequence[str]) -> str:
    return ", ".join(values[:NAMED]) + (", …" if len(values) > NAMED else "")
