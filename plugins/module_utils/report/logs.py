# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The log records of traces, for a page: read from VictoriaLogs; of another store, only where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows
from ansible_collections.orion.tracing.plugins.module_utils.store import logs as store
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import Record, VictoriaLogs

# The most records of a trace, and the most traces of a page that have any: a page is one file.
RECORDS = 500
TRACES = 50
# Records before and after the trace, which clocks that differ and late writers have.
MARGIN_SECONDS = 300
BODY_LIMIT = 2000


class LogsOfTraces:
    """Call it with a trace for its log records (page.trace_data). problem: why a store that was asked gave none, ''
    where nothing went wrong; it is then not asked again.

    reader: None where nothing can be read, for the reason none. link: a trace's logs in Grafana, '' for no address.
    """

    def __init__(
        self, reader: VictoriaLogs | None, none: str = "", link: Callable[[TraceRows], str] = lambda trace: ""
    ) -> None:
        self.reader, self.none, self.link = reader, none, link
        self.problem = ""
        self._asked = 0

    def __call__(self, trace: TraceRows) -> page.Data:
        found = self._records(trace)
        if link := self.link(trace):
            found["link"] = link
        return found

    def _records(self, trace: TraceRows) -> page.Data:
        if self.reader is None:
            return {"none": self.none}
        if self._asked == TRACES:
            return {"none": f"Logs are read of the first {TRACES} traces of a page; draw this trace alone."}
        if not self.problem:
            self._asked += 1
            times = trace.start / 1e9 - MARGIN_SECONDS, trace.end / 1e9 + MARGIN_SECONDS
            try:
                records = self.reader.records(trace.trace_id, None, None, *times, limit=RECORDS + 1)
                return log_data(trace, records, self.reader.name)
            except TracingError as error:
                self.problem = f"{self.reader.name} gave no log records: {error}"
        return {"none": self.problem}


def log_data(trace: TraceRows, records: Sequence[Record], name: str) -> page.Data:
    """The newest RECORDS of a trace's records as the page has them. name: of the store. Pure.

    ApiError for a record without a time.
    """
    if not records:
        return {"none": f"{name} has no log record with the id of this trace."}
    found: page.Data = {"records": [_record(one, trace) for one in records[-RECORDS:]]}
    if len(records) > RECORDS:
        found["note"] = f"These are the newest {RECORDS} records of the trace; {name} has more."
    return found


def _record(record: Record, trace: TraceRows) -> page.Data:
    return {
        "at": nanoseconds(record.get(store.TIME, "")) - trace.start,
        "span_id": record.get(store.SPAN_ID, ""),
        "service": record.get(store.SERVICE, ""),
        "severity": next((record[name] for name in store.SEVERITIES if record.get(name)), ""),
        "body": page.cut(record.get(store.MESSAGE, ""), BODY_LIMIT),
    }


def nanoseconds(text: str) -> int:
    """A time such as 2026-01-31T10:00:01.05Z, in UTC, as Unix nanoseconds. ApiError for another text."""
    seconds, _point, fraction = text.removesuffix("Z").partition(".")
    try:
        return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 10**9 + int(fraction[:9].ljust(9, "0"))
    except ValueError as error:
        raise ApiError(f"a log record has the time {text!r}", "it is not a time in UTC") from error
