# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a load takes: collectors, Tempo, bucket and money. Pure: no I/O, no Ansible. docs/capacity.md explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass

MEBIBYTE = 2**20

# Resident memory of a sampler with metrics connectors, beside its traces: 88 MiB idle, 103 MiB under 2,000 spans/s.
COLLECTOR_BASE = 95 * MEBIBYTE
# A span in memory is a Go structure beside its own text. Measured: a collector 0.158 with 233,698 spans of 105 bytes
# took 134 to 147 MiB, this gives 141.
SPAN_IN_MEMORY, SPAN_BYTES_FACTOR = 100, 1.0
# GOMEMLIMIT and the memory limiter stay below 80 % of the limit; stacks and the kernel's buffers come on top.
LIMIT_SHARE, LIMIT_MARGIN = 0.8, 1.15


@dataclass(frozen=True, slots=True)
class Memory:
    """expected: resident bytes. limit: bytes that the container's limit should have."""

    expected: int
    limit: int


def sampler_memory(spans: float, bytes_per_span: float) -> Memory:
    """Of a sampler that holds so many undecided spans.

    expected = 95 MiB + spans × (100 + bytes per span); limit = expected / 0.8 × 1.15. bytes_per_span: OTLP
    protobuf. Source of the limit:
    https://github.com/open-telemetry/opentelemetry-collector/tree/main/processor/memorylimiterprocessor
    """
    expected = COLLECTOR_BASE + spans * (SPAN_IN_MEMORY + SPAN_BYTES_FACTOR * bytes_per_span)
    return Memory(math.ceil(expected), math.ceil(expected / LIMIT_SHARE * LIMIT_MARGIN))
