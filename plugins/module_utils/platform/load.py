# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the platform keeps of its expected load. Pure: no I/O, no Ansible."""

from __future__ import annotations


def kept_spans(
    traces: float, spans_per_trace: float, bytes_per_span: float, kept_percentage: float, spans: float, size: float
) -> float:
    """Spans per second that all samplers together pass on.

    traces: per second, over the platform. kept_percentage: of the spans, by all policies. spans, size: ceilings of
    collector_max_total_spans_per_second and collector_max_total_bytes_per_second, 0 for none. A ceiling counts in full,
    whatever is expected: it is what is kept at the worst.
    """
    kept = spans or traces * spans_per_trace * kept_percentage / 100
    return min(kept, size / bytes_per_span) if size else kept
