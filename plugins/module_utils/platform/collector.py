# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Memory, queues, caches and times of the collectors: numbers on which generator, linter, planner and proof agree.

Pure: no I/O, no Ansible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE

# Shares of the memory limit, in percent. Above MEMORY_REFUSED the memory limiter refuses spans, whether what fills the
# heap is garbage or not, and above MEMORY_HARD_LIMIT it also forces a garbage collection at every check. So Go's own
# collector aims below both (GOMEMLIMIT), and only live data counts; the rest of the limit is for what arrives between
# two checks, and for what is not heap.
# Source: https://github.com/open-telemetry/opentelemetry-collector/tree/main/processor/memorylimiterprocessor
GOMEMLIMIT, MEMORY_REFUSED, MEMORY_HARD_LIMIT = 65, 70, 80

# A gateway's garbage is most of its heap, and collecting it took a fifth of its CPU time at Go's default of GOGC 100
# (tests/bench/tiers.py). Samplers hold on to what they receive, so there the default stays.
GATEWAY_GOGC = 400
# How large the heap may grow before a collection, compared with the live data in it.
# Source: https://go.dev/doc/gc-guide#GOGC
HEAP_TO_LIVE_RATIO, GATEWAY_HEAP_TO_LIVE_RATIO = 2, 1 + GATEWAY_GOGC // 100

# Resident memory of an idle collector 0.158; two thirds are pages of its program. Measured by tests/bench/memory.py.
IDLE_MEMORY = 92 * MEBIBYTE
# Bytes that a span takes in memory: a Go structure, another one for each attribute, and in each trace a copy of its
# resources. Includes garbage, which at Go's default is as much as the live data. Measured by tests/bench/memory.py.
SPAN_MEMORY, SPAN_MEMORY_PER_BYTE = 700, 4.5
# Bytes that a decision in a cache takes. Measured: two full caches of a million decisions each took a collector 0.158
# from 266 to 697 MiB under load, 107 bytes of live heap and as much garbage for each decision.
DECISION_MEMORY = 220
# A limit is larger than the expected memory by this factor.
MEMORY_MARGIN = 1.15

# Each of the two decision caches holds this many times num_traces: "at least an order of magnitude higher".
# Source: the README of
# https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/processor/tailsamplingprocessor
DECISION_CACHE_FACTOR = 10
DECISION_CACHES = 2

# Queues are counted in spans. 8 KiB of memory limit for each: at 5 KiB, a large span, a full queue takes 60 % of the
# limit and the memory limiter still has room to work.
BYTES_PER_QUEUED_SPAN = 8 * 1024
# The share of the samplers' volume that the queues may take. The rest is for the copy that compaction makes of what is
# left once most of the queue has been sent, and for the file system itself.
QUEUE_SHARE_OF_VOLUME = 0.9
# Bytes on disk for each byte of a queued request: it is stored as protobuf, in pages of bbolt that are half full on
# average.
DISK_PER_BYTE = 1.5

# How long, in seconds, a gateway tries the same sampler again before it routes the spans to another one: half the
# decision wait, within these bounds. gRPC waits one second, give or take a fifth, before it connects a second time.
# Source: https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md
MIN_SAMPLER_RETRY_SECONDS, MAX_SAMPLER_RETRY_SECONDS = 2.0, 15.0
# Time limit of one request from a gateway to a sampler, in seconds.
SAMPLER_REQUEST_SECONDS = 5.0

# gRPC clients stay with one gateway for this long, in seconds, and half a minute more for what is under way. So the
# load of gateways that were added or taken away is spread again only after that.
GATEWAY_CONNECTION_SECONDS = 300
# Percent of the CPU request that the gateways' autoscaler aims at, so that the others can take over the load of one
# that is lost; and how long, in seconds, fewer gateways must have been enough before one is taken away: two rounds of
# connections.
GATEWAY_TARGET_CPU_UTILIZATION, GATEWAY_SCALE_DOWN_SECONDS = 60, 2 * GATEWAY_CONNECTION_SECONDS

# Seconds that a gateway has to send its queue when it is stopped.
GATEWAY_GRACE_SECONDS = 60
# Seconds that a sampler has, beside the decision wait, to send what it decided to keep when it was stopped.
EXPORT_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Memory:
    """expected: resident bytes. limit: bytes that the container's limit should have."""

    expected: int
    limit: int


def span_memory(spans: float, bytes_per_span: float) -> float:
    """Bytes that spans take in memory, half of it garbage at Go's default. bytes_per_span: OTLP protobuf."""
    return spans * (SPAN_MEMORY + SPAN_MEMORY_PER_BYTE * bytes_per_span)


def memory_limit(expected: float) -> int:
    """The limit of a container whose Go heap must stay below GOMEMLIMIT percent of it."""
    return math.ceil(expected / (GOMEMLIMIT / 100) * MEMORY_MARGIN)


def sampler_memory(spans: float, bytes_per_span: float, decisions: float = 0.0) -> Memory:
    """Memory of a sampler that holds this many undecided spans and remembers this many decisions.

    expected = 92 MiB + spans × (700 + 4.5 × bytes per span) + decisions × 220; limit = expected / 0.65 × 1.15.
    bytes_per_span: OTLP protobuf, resources included. decisions: in both caches; a new sampler has none.
    Half of what spans are expected to take is garbage, which Go collects sooner when there is more to hold: twice as
    many spans fit into the limit. It is for bytes in attributes of some 20 characters; spans whose bytes lie in a long
    value take less (0.5 of it for 4 KB of SQL).
    Source: tests/bench/memory.py, and for the limit
    https://github.com/open-telemetry/opentelemetry-collector/tree/main/processor/memorylimiterprocessor
    """
    expected = IDLE_MEMORY + span_memory(spans, bytes_per_span) + decisions * DECISION_MEMORY
    return Memory(math.ceil(expected), memory_limit(expected))


def gateway_memory_limit(spans_per_second: float, bytes_per_span: float) -> int:
    """The memory limit of a gateway, in bytes: it holds the spans of one second, and GOGC 400 lets its heap grow to
    five times that.
    """
    live = span_memory(spans_per_second, bytes_per_span) / HEAP_TO_LIVE_RATIO
    return memory_limit(IDLE_MEMORY + GATEWAY_HEAP_TO_LIVE_RATIO * live)


def decision_cache_size(num_traces: float) -> int:
    """Decisions that each of the two caches holds: late spans follow the decision on their trace as long as it is
    there."""
    return DECISION_CACHE_FACTOR * int(num_traces)


def sampler_retry_seconds(decision_wait: float) -> float:
    """How long a gateway tries the same sampler again. What waits longer than the decision does comes too late for it,
    so this is half of the decision wait, within bounds. decision_wait: seconds.
    """
    return min(max(decision_wait / 2, MIN_SAMPLER_RETRY_SECONDS), MAX_SAMPLER_RETRY_SECONDS)


def sampler_grace_period(decision_wait: float) -> int:
    """terminationGracePeriodSeconds of a sampler: on shutdown pending traces are decided at once; then the queue is
    sent. decision_wait: seconds.
    """
    return math.ceil(decision_wait) + EXPORT_GRACE_SECONDS
