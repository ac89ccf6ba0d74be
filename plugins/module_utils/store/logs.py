# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Reads log records back from VictoriaLogs, by the trace and the span that they belong to.

Source: https://docs.victoriametrics.com/victorialogs/querying/ and
https://docs.victoriametrics.com/victorialogs/data-ingestion/opentelemetry/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import read_answer
from ansible_collections.orion.tracing.plugins.module_utils.store.url import UrlEndpoint

# For messages about an option with its URL.
EXAMPLE = "http://victorialogs.logging.svc:9428"
REMEDY = "Look at the logs of VictoriaLogs, and check its URL."
# A record as it is stored: names of fields and their values, all of them text.
Record = Mapping[str, str]
MESSAGE, TIME, STREAM = "_msg", "_time", "_stream"
TRACE_ID, SPAN_ID, SERVICE = "trace_id", "span_id", "service.name"
# Of OTLP, and what log collectors commonly write.
SEVERITIES = ("severity_text", "severity", "level")


class VictoriaLogs:
    """A VictoriaLogs server, by its base URL."""

    name = "VictoriaLogs"

    def __init__(self, kube: Kube, url: str) -> None:
        self.endpoint = UrlEndpoint(kube, url)

    def records(
        self,
        trace_id: str,
        span_id: str | None = None,
        fields: Mapping[str, str] | None = None,
        start: float | None = None,
        end: float | None = None,
        limit: int = 1000,
    ) -> list[Record]:
        """The newest records of a trace, or of one of its spans, that are there now, in the order of their times.

        trace_id, span_id: 32 and 16 hexadecimal digits. fields: values that fields have exactly, such as service.name.
        start, end: Unix seconds; without them, of any time that is kept. ApiError for other ids.
        """
        conditions = {
            TRACE_ID: _hex(trace_id, 32),
            **({SPAN_ID: _hex(span_id, 16)} if span_id else {}),
            **(fields or {}),
        }
        return self.query(" ".join(f"{quoted(name)}:={quoted(value)}" for name, value in conditions.items()),
                          start, end, limit)  # fmt: skip

    def query(
        self, query: str, start: float | None = None, end: float | None = None, limit: int = 1000
    ) -> list[Record]:
        """The newest records that a LogsQL query matches, in the order of their times, those of one time by stream.

        start, end: Unix seconds, end exclusive. NotNow if the store cannot say.
        """
        asked: dict[str, str | int] = {"query": query, "limit": limit}
        asked |= {name: f"{value:.3f}" for name, value in (("start", start), ("end", end)) if value is not None}
        answer = self.endpoint.get("select/logsql/query", asked)
        what = "VictoriaLogs' /select/logsql/query"
        text = read_answer(answer, what, REMEDY)
        try:
            found = [json.loads(line) for line in text.split("\n") if line]
        except ValueError:
            raise ApiError(f"{what} answered {answer.status} with lines that are not JSON", remedy=REMEDY) from None
        # Streams are read at the same time, so those of the same time come in another order each time.
        return sorted(found, key=lambda record: (moment(record), record.get(STREAM, "")))


def moment(record: Record) -> tuple[str, str]:
    """When it was written, comparable with others: the store leaves zeros at the end of a fraction out."""
    seconds, _point, fraction = record.get(TIME, "").removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def quoted(text: str) -> str:
    """A name or a value in a query, whatever characters it has.

    Source: https://docs.victoriametrics.com/victorialogs/logsql/#string-literals
    """
    return json.dumps(text, ensure_ascii=False)


def _hex(value: str, digits: int) -> str:
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
        raise ApiError(
            f"'{value}' is not the id of a {'trace' if digits == 32 else 'span'}",
            remedy=f"Give {digits} hexadecimal digits in lower case.",
        )
    return value
