# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What an expected load means for the samplers, and the month by which costs are. Pure: no I/O, no Ansible."""

from __future__ import annotations

import math

# Of an average month, by which prices are: 365.25 days / 12.
HOURS_PER_MONTH = 730.5
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
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


def moved_share(before: int, after: int) -> float:
    """Share of the traces in progress that change their sampler when samplers are added or taken away.

    The gateways' load balancer hashes consistently: one sampler more, or fewer, moves 1 ÷ (the larger number) of the
    traces. Several become ready, or end, one after the other: 1/(n+1) + 1/(n+2) + …
    Source: exporter/loadbalancingexporter/consistent_hashing.go v0.158.0 of opentelemetry-collector-contrib
    """
    return sum(1 / number for number in range(min(before, after) + 1, max(before, after) + 1))


def restarted_share(before: int, after: int) -> float:
    """Share of the traces in progress that change their sampler when all that stay are restarted, one by one: at most
    2 ÷ samplers each time, since one comes back under another address."""
    return 2 * min(before, after) / after


def split_traces(traces: float, decision_wait: float, before: int, after: int) -> int:
    """How many traces are decided in parts at most, when the number of samplers changes.

    traces: per second, over the platform. decision_wait: seconds; a trace is in progress for no longer. The
    configuration depends on the number of samplers, so those that stay are restarted as well.
    """
    if before == after:
        return 0
    share = moved_share(before, after) + restarted_share(before, after)
    return math.ceil(round(traces * decision_wait * share, 6))
