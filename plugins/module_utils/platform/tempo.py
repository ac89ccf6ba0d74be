# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Limits and times of Tempo on which its configuration and the planner agree. Pure: no I/O, no Ansible."""

from __future__ import annotations

import math

# The share of the memory limit, in percent, that Go's garbage collector aims to stay below; the rest is for stacks, the
# kernel and allocations between two collections. https://go.dev/doc/gc-guide#Memory_limit recommends to leave 5 to 10 %
# at least, the collector's documentation 20 %:
# https://github.com/open-telemetry/opentelemetry-collector/tree/main/processor/memorylimiterprocessor
GOMEMLIMIT = 80

# After an outage the samplers' queues come on top of what is kept now, and spans do not spread evenly.
INGESTION_HEADROOM = 4
# Twice upstream's default of 15 MB/s (rate_limit_bytes).
MIN_INGESTION_LIMIT = 30_000_000

# terminationGracePeriodSeconds by component. An ingester ends when the blocks that it is completing are done, the
# metrics-generator when its samples have been sent, a backend-worker when its job is done or after 30 s. What the
# consumers of Kafka have not finished, they read again.
GRACE_SECONDS = {
    "ingester": 300,
    "metrics-generator": 90,
    "live-store": 60,
    "block-builder": 60,
    "backend-scheduler": 60,
    "backend-worker": 60,
}
# The other components: querier, query-frontend and all poll the list of blocks and never end by themselves, since
# nothing cancels that loop's context (cmd/tempo/app/modules.go of 2.10 and 3.0). They are killed at the end of this
# period, after they have done their work.
DEFAULT_GRACE_SECONDS = 20


# What a pod of memcached requests. Reading from memory takes little.
MEMCACHED_CPU = 0.1


def memcached_memory_mib(cached_mib: int) -> int:
    """Memory of a pod of memcached that may cache so much, both request and limit: hash table, connections and what is
    being sent, beside the items.
    """
    return cached_mib + cached_mib // 4 + 64


def ingestion_limit(kept_bytes_per_second: float, distributors: int) -> int:
    """Bytes per second that one distributor accepts: four times its share of what is kept, and 30 MB at least.

    distributors: how many share the traffic; 1 where the limit is for all of them together (rate_strategy global).
    """
    return max(math.ceil(INGESTION_HEADROOM * kept_bytes_per_second / max(distributors, 1)), MIN_INGESTION_LIMIT)


def grace_seconds(component: str) -> int:
    """terminationGracePeriodSeconds of a component, by Tempo's -target."""
    return GRACE_SECONDS.get(component, DEFAULT_GRACE_SECONDS)
