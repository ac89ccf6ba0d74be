# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Two sets of traces, operation by operation: where one takes longer than the other. Pure.

The time of an operation is its part of the critical path, per trace. These parts add up to the roots' durations, so the
differences of all operations add up to the difference of the two sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.report.service_graph import percentile
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows, where_time_went

Key = tuple[str, str, str]


def compare(first: Sequence[TraceRows], second: Sequence[TraceRows]) -> dict[str, Any]:
    """sides: traces, errors and durations of the roots (nanoseconds) of each set. operations: service, name, kind, and
    for both sets nanoseconds on the critical path and spans on it, per trace; the largest differences first.
    """
    sides = [_side(first), _side(second)]
    parts = [_operations(first), _operations(second)]
    operations: list[dict[str, Any]] = []
    for key in parts[0].keys() | parts[1].keys():
        (one, one_spans), (other, other_spans) = (part.get(key, (0.0, 0.0)) for part in parts)
        service, name, kind = key
        operations.append(
            {
                "service": service,
                "name": name,
                "kind": kind,
                "times": [one, other],
                "spans": [one_spans, other_spans],
                "difference": other - one,
            }
        )
    operations.sort(key=lambda one: (-abs(one["difference"]), one["service"], one["name"], one["kind"]))
    return {"sides": sides, "operations": operations}


def _side(traces: Sequence[TraceRows]) -> dict[str, Any]:
    durations = sorted(trace.duration for trace in traces)
    return {
        "traces": len(traces),
        "spans": sum(len(trace.rows) for trace in traces),
        "errors": sum(trace.errors > 0 for trace in traces),
        "mean": sum(durations) / len(durations) if durations else 0.0,
        "p50": percentile(durations, 50),
        "p95": percentile(durations, 95),
        "max": durations[-1] if durations else 0,
    }


def _operations(traces: Sequence[TraceRows]) -> dict[Key, tuple[float, float]]:
    """(nanoseconds, spans) per trace."""
    found: dict[Key, tuple[float, float]] = {}
    for trace in traces:
        for service, name, kind, spans, time in where_time_went(trace):
            times, counts = found.get((service, name, kind), (0.0, 0.0))
            found[service, name, kind] = (times + time / len(traces), counts + spans / len(traces))
    return found
