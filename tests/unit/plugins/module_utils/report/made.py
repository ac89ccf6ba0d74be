# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traces written as short lines."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import trace_rows

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
BEGIN = 1_769_853_600 * 10**9
MS = 10**6


def document(*spans, trace_id=TRACE_ID):
    """spans: (id, parent, service, name, start ms, end ms[, more fields: kind, attributes, status, events, links])."""
    services = {}
    for span_id, parent, service, name, start, end, *more in spans:
        fields = dict(more[0]) if more else {}
        one = otlp.span(
            trace_id,
            f"{span_id:016x}",
            f"{parent:016x}" if parent else "",
            name,
            fields.pop("kind", "INTERNAL"),
            BEGIN + int(start * MS),
            BEGIN + int(end * MS),
            fields.pop("attributes", {}),
            fields.pop("error", None),
        )
        services.setdefault(service, []).append({**one, **fields})
    return otlp.merge([otlp.request({"service.name": name}, "test", some) for name, some in services.items()])


def rows(*spans):
    return trace_rows(TRACE_ID, document(*spans))
