# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Records of the traces that a store received in the last minutes."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, from_document
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS, Criteria, StoreReader

TRACES_BETWEEN_LINES = 100


def recent_records(
    reader: StoreReader,
    criteria: Criteria,
    start: int,
    end: int,
    limit: int,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Record]:
    """The traces with a span that meets the criteria, in the order in which they ended.

    start, end: Unix seconds. limit: the most traces that are read. Raises what the reader raises.
    """
    found = reader.search(criteria, start, end, limit)
    progress(f"{len(found):,} traces found in {reader.name}")
    records = []
    for number, trace_id in enumerate(found, 1):
        document = reader.document(trace_id, start - MARGIN_SECONDS, end + MARGIN_SECONDS)
        if document:
            records.append(from_document(document))
        if number % TRACES_BETWEEN_LINES == 0:
            progress(f"{number:,} of {len(found):,} traces read from {reader.name}")
    return sorted(records, key=_last_end)


def _last_end(record: Record) -> int:
    return max((s.end for part in record.resource_spans for scope in part.scope_spans for s in scope.spans), default=0)
