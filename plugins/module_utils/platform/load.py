# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What an expected load means for the samplers. Pure: no I/O, no Ansible."""

from __future__ import annotations

import math

# Largest request that a sampler sends to a destination, in bytes of OTLP protobuf: gRPC receivers refuse messages above
# 4 MiB by default.
MAX_EXPORT_BYTES = 3 * 2**20


def kept_spans(
    traces: float, spans_per_trace: float, bytes_per_span: float, kept_percentage: float, spans: float, size: float
) -> float:
    """Spans per second that all samplers together pass on.

    traces: per second, over the platform. kept_percentage: of the spans, by all policies. spans, size: ceilings of
    collector_max_total_spans_per_second and collector_max_total_bytes_per_second, 0 for none. A ceiling counts in full,
    whatever is expected: it is the most that can be kept.
    """
    kept = spans or traces * spans_per_trace * kept_percentage / 100
    return min(kept, size / bytes_per_span) if size else kept


def queued_spans(spans_per_second: float, samplers: int, outage_minutes: float) -> int:
    """Spans that wait in one sampler while a destination is away.

    spans_per_second: what the destination gets, over the platform. One of the samplers is taken to be away too, and its
    traces to be shared by the others: spans per second ÷ samplers × samplers ÷ (samplers − 1) × seconds.
    """
    spare = samplers / (samplers - 1) if samplers > 1 else 1
    return math.ceil(round(spans_per_second / samplers * spare * outage_minutes * 60, 3))


def num_traces(traces: float, samplers: int, decision_wait: float) -> int:
    """num_traces that one sampler needs: twice the traces that reach it in one decision wait.

    traces: per second, over the platform. decision_wait: seconds.
    Source: the README of
    https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/processor/tailsamplingprocessor
    """
    return math.ceil(2 * (traces / samplers) * decision_wait)
