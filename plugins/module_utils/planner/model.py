# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Figures of a capacity plan: collectors, Tempo, bucket and money. Pure. docs/capacity.md explains them.

Sizes of Tempo's components: https://grafana.com/docs/tempo/latest/set-up-for-tracing/setup-tempo/plan/size/ (one
distributor for 10 MB/s, an ingester or compactor for 3 to 5, a querier for 1 to 2). MB are 10^6 bytes of OTLP protobuf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    GIBIBYTE,
    MEBIBYTE,
)
from ansible_collections.orion.tracing.plugins.module_utils.planner.prices import Prices
from ansible_collections.orion.tracing.plugins.module_utils.platform import collector as numbers
from ansible_collections.orion.tracing.plugins.module_utils.platform import load
from ansible_collections.orion.tracing.plugins.module_utils.platform import tempo as tempo_numbers

MEGABYTE = 10**6


DAY = 86400


# Spans per second and core. tests/bench/tiers.py measures 48,000 and more for both tiers together on a fast core; a
# vendor's sizing guide says 15,000 for a collector, so these leave room for slower cores and richer spans.
GATEWAY_SPANS_PER_CORE, SAMPLER_SPANS_PER_CORE = 25_000, 15_000


# Replicas are planned for this utilization, so that the others can take over the load of one that is lost.
MAX_UTILIZATION = 0.6


# num_traces of a small platform.
MIN_NUM_TRACES = 10_000


# Of Tempo 3 from the same page: a live-store with 1 core and 12 GB takes 6 MB/s, a block-builder with half a core and
# 7 GB a partition of 10 MB/s, of which each live-store has one.
LIVE_STORE_RATE, BLOCK_BUILDER_RATE = 6.0, 10.0


DISTRIBUTOR_RATE, INGESTER_RATE, COMPACTOR_RATE, QUERIER_RATE = 10.0, 4.0, 4.0, 2.0  # MB/s for one of them


# Of 25 to 35 MB/s that one instance takes:
# https://grafana.com/docs/tempo/latest/set-up-for-tracing/setup-tempo/plan/deployment-modes/
MONOLITHIC_RATE = 25.0


# A block that is cut, kept for a while and flushed: ingesters' storage holds twice what arrives meanwhile.
STORAGE_MARGIN = 2


# Each object of a block is written once by an ingester and about three times by compaction.
WRITES_PER_BLOCK = 4


OBJECTS_PER_BLOCK, PART_BYTES = 12, 10 * MEGABYTE


POLLS_PER_DAY = DAY / 300


# A bloom filter has -ln(p) / ln(2)² bits for each trace of a block; p is 0.01 by default.
# Source: DefaultBloomFP and NewBloom in tempodb/encoding/common of v2.10.8 and v3.0.3
BLOOM_BYTES_PER_TRACE = -math.log(0.01) / math.log(2) ** 2 / 8


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is planned for. Rates are of the whole platform; retention, decision_wait in seconds.

    block_seconds: how long an ingester keeps a block open; local_seconds: until it deletes it from its volume.
    num_traces: the inventory's, where it is more than the load takes; 0 for that alone.
    kept_destinations: how many take what is kept. unsampled_share: of all spans, over those that take these; 1 is one.
    own_store: whether kept traces are stored in this platform's Tempo; another store, and recordings, are not planned.
    global_limit: whether all distributors share one ingestion limit (tempo_ingestion_rate_strategy global).
    memcached_replicas: of the release's own, 0 for none. memcached_mib: what each may cache. caches_blooms: whether it
    alone has to hold the bloom filters.
    """

    traces_per_second: float
    spans_per_trace: float
    bytes_per_span: float
    kept_percentage: float
    retention: float
    decision_wait: float
    outage_minutes: float
    max_spans: float
    max_bytes: float
    profile: str
    replication_factor: int
    persistent_queue: bool
    block_seconds: float
    local_seconds: float
    stored_bytes_per_byte: float
    queries_per_day: float
    metrics_generator: bool = False
    num_traces: float = 0.0
    kept_destinations: int = 1
    unsampled_share: float = 0.0
    own_store: bool = True
    global_limit: bool = False
    memcached_replicas: int = 0
    memcached_mib: int = 0
    caches_blooms: bool = False

    @property
    def offered(self) -> float:
        """Spans per second."""
        return self.traces_per_second * self.spans_per_trace

    @property
    def kept(self) -> float:
        """Spans per second."""
        share = self.kept_percentage
        return load.kept_spans(
            self.traces_per_second, self.spans_per_trace, self.bytes_per_span, share, self.max_spans, self.max_bytes
        )

    @property
    def kept_mb(self) -> float:
        """MB per second."""
        return self.kept * self.bytes_per_span / MEGABYTE

    @property
    def copies(self) -> int:
        """Of each trace, until compaction merges them."""
        return self.replication_factor if self.profile == "distributed" else 1

    @property
    def stored_seconds(self) -> float:
        """How long what arrives is in the bucket, with copies until the next compaction, whose window is an hour."""
        return self.retention + (self.copies - 1) * 3600


@dataclass(frozen=True, slots=True)
class PlannedComponent:
    """One component. Of each replica, cpu: cores of its request; memory: bytes of its limit; storage: of its volume.

    variable: of its resources; "" where the role derives them, so that they are what they are. requested: share of the
    memory's limit that is requested.
    """

    name: str
    variable: str
    replicas: int
    cpu: float
    memory: int
    storage: int = 0
    replicas_variable: str = ""
    storage_variable: str = ""
    requested: float = 0.5

    @property
    def memory_mib(self) -> int:
        return mebibytes(self.memory) if self.variable else math.ceil(self.memory / MEBIBYTE)

    def resources(self) -> dict[str, Any]:
        """As a role's variable has them."""
        return {
            "requests": {"cpu": f"{millicores(self.cpu)}m", "memory": f"{mebibytes(self.memory * self.requested)}Mi"},
            "limits": {"memory": f"{self.memory_mib}Mi"},
        }


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """Everything that follows from the inputs."""

    inputs: Inputs
    parts: list[PlannedComponent]
    num_traces: int
    queue_spans: int
    queue_volume: int
    ingestion_limit: int
    max_traces: int
    max_bytes_per_trace: int
    stored_per_day: float
    at_rest: float
    puts: float
    gets: float
    prices: Prices
    cost: dict[str, float] = field(default_factory=dict)


def millicores(cores: float) -> int:
    return max(50, 50 * math.ceil(cores * 1000 / 50 - 1e-9))


def mebibytes(size: float) -> int:
    return 64 * math.ceil(size / (64 * MEBIBYTE) - 1e-9)


def gibibytes(size: float) -> int:
    return max(1, math.ceil(size / GIBIBYTE - 1e-9))


def collectors(i: Inputs) -> list[PlannedComponent]:
    """Gateways and samplers.

    replicas = offered / (spans per core × 60 %), two at least. A sampler's memory is sampler_memory of what
    arrives in one decision wait, whose limit has room for as much again, and of full decision caches; without a
    persistent queue, and of what waits there, for which the role asks 8 KiB of the limit a span.
    A gateway holds a second's worth, with the garbage that GOGC 400 allows, and its queue, a span for each 8 KiB of the
    limit, what a sampler would get in 15 seconds.
    """
    gateways = max(2, math.ceil(i.offered / (GATEWAY_SPANS_PER_CORE * MAX_UTILIZATION)))
    samplers = max(2, math.ceil(i.offered / (SAMPLER_SPANS_PER_CORE * MAX_UTILIZATION)))
    to_one_sampler = i.offered / gateways / samplers
    waiting = numbers.MAX_SAMPLER_RETRY_SECONDS * to_one_sampler * numbers.BYTES_PER_QUEUED_SPAN
    gateway = max(waiting, numbers.gateway_memory_limit(i.offered / gateways, i.bytes_per_span))
    held = i.offered / samplers * (i.decision_wait + 1)
    if not i.persistent_queue:
        held += queue_spans(i, samplers)
    decisions = numbers.DECISION_CACHES * numbers.decision_cache_size(max(num_traces(i, samplers), i.num_traces))
    sampler = numbers.sampler_memory(held, i.bytes_per_span, decisions).limit
    if not i.persistent_queue:
        sampler = max(sampler, queue_spans(i, samplers) * numbers.BYTES_PER_QUEUED_SPAN)
    return [
        PlannedComponent(
            "gateway",
            "collector_gateway_resources",
            gateways,
            i.offered / gateways / GATEWAY_SPANS_PER_CORE,
            max(256 * MEBIBYTE, math.ceil(gateway)),
            replicas_variable="collector_gateway_replicas",
        ),
        PlannedComponent(
            "sampler",
            "collector_sampler_resources",
            samplers,
            i.offered / samplers / SAMPLER_SPANS_PER_CORE,
            max(256 * MEBIBYTE, sampler),
            replicas_variable="collector_sampler_replicas",
        ),
    ]


def num_traces(i: Inputs, samplers: int) -> int:
    """num_traces of a sampler: what it needs, 10,000 at least."""
    return max(MIN_NUM_TRACES, load.num_traces(i.traces_per_second, samplers, i.decision_wait))


def queue_spans(i: Inputs, samplers: int) -> int:
    """Spans that wait in a sampler while all destinations are away."""
    rate = i.kept * i.kept_destinations + i.offered * i.unsampled_share
    return load.queued_spans(rate, samplers, i.outage_minutes)


def tempo(i: Inputs) -> list[PlannedComponent]:
    """Tempo's components, for what is kept. CPU and memory go with the share of a documented replica's rate that each
    one gets: distributor 2 cores and 2 GB at 10 MB/s, ingester 2.5 cores and 8 GB at 4 MB/s received three times,
    compactor 1 core and 4 GB at 4 MB/s, querier 1 core and 4 GB at 2 MB/s.
    """
    rate = i.kept_mb
    if i.profile == "kafka":
        return _with_kafka(i)
    if i.profile != "distributed":
        share = rate / INGESTER_RATE
        storage = STORAGE_MARGIN * rate * MEGABYTE * i.local_seconds
        return [_part("monolithic", 1, 2.5 * share, 8 * share, least=1.0, storage=storage, alone=True)]
    distributors = max(2, math.ceil(rate / DISTRIBUTOR_RATE))
    ingesters = max(i.replication_factor, math.ceil(rate / INGESTER_RATE))
    compactors, queriers = max(1, math.ceil(rate / COMPACTOR_RATE)), max(2, math.ceil(rate / QUERIER_RATE))
    share = rate * i.replication_factor / ingesters / (INGESTER_RATE * 3)
    storage = STORAGE_MARGIN * rate * MEGABYTE * i.replication_factor / ingesters * i.local_seconds
    parts = [
        _part("distributor", distributors, *_of(rate / distributors / DISTRIBUTOR_RATE, 2, 2)),
        _part("ingester", ingesters, 2.5 * share, 8 * share, least=1.0, storage=storage),
        _part("compactor", compactors, *_of(rate / compactors / COMPACTOR_RATE, 1, 4), least=1.0),
        _part("querier", queriers, *_of(rate / queriers / QUERIER_RATE, 1, 4), least=1.0),
        _part("query_frontend", 2, 0.25, 0.5),
    ]
    # No figure is published for it; these are the role's defaults.
    return [*parts, *([_part("metrics_generator", 1, 0.5, 2.0, alone=True)] if i.metrics_generator else [])]


def _with_kafka(i: Inputs) -> list[PlannedComponent]:
    """Tempo 3's components. Live-stores and block-builders are as many as the topic's partitions, which are three at
    least, so that the topic's replicas are spread over three brokers.
    """
    rate = i.kept_mb
    distributors = max(2, math.ceil(rate / DISTRIBUTOR_RATE))
    partitions, queriers = max(3, math.ceil(rate / LIVE_STORE_RATE)), max(2, math.ceil(rate / QUERIER_RATE))
    workers = max(1, math.ceil(rate / COMPACTOR_RATE))
    each = rate / partitions
    storage = STORAGE_MARGIN * each * MEGABYTE * i.local_seconds
    parts = [
        _part("distributor", distributors, *_of(rate / distributors / DISTRIBUTOR_RATE, 2, 2)),
        _part("live_store", partitions, *_of(each / LIVE_STORE_RATE, 1, 12), least=1.0, storage=storage),
        _part("block_builder", partitions, *_of(each / BLOCK_BUILDER_RATE, 0.5, 7), least=1.0),
        _part("backend_scheduler", 1, 0.5, 1.0, alone=True),
        _part("backend_worker", workers, 0.5, 2.0),
        _part("querier", queriers, *_of(rate / queriers / QUERIER_RATE, 1, 4), least=1.0),
        _part("query_frontend", 2, 0.25, 0.5),
    ]
    return [*parts, *([_part("metrics_generator", 1, 0.5, 2.0, alone=True)] if i.metrics_generator else [])]


def memcached_mib(i: Inputs) -> int:
    """What each pod of memcached has to cache: what the inventory says, or its part of the bloom filters of all blocks,
    if that is more. Queries by trace id read all of these, so a smaller cache would evict what the next one needs.
    Source: docs/sources/tempo/operations/caching.md of v2.10.8 ("Cache size control")
    """
    if not (i.caches_blooms and i.memcached_replicas):
        return i.memcached_mib
    blooms = i.kept / i.spans_per_trace * i.stored_seconds * BLOOM_BYTES_PER_TRACE
    return max(i.memcached_mib, math.ceil(blooms / i.memcached_replicas / MEBIBYTE))


def memcached(i: Inputs) -> list[PlannedComponent]:
    """Its pods, as the inventory has them: no figure is published for how many a load needs."""
    if not i.memcached_replicas:
        return []
    return [
        PlannedComponent(
            "memcached",
            "",
            i.memcached_replicas,
            tempo_numbers.MEMCACHED_CPU,
            tempo_numbers.memcached_memory_mib(memcached_mib(i)) * MEBIBYTE,
            requested=1.0,
        )
    ]


def _of(share: float, cpu: float, memory: float) -> tuple[float, float]:
    return share * cpu, share * memory


def _part(
    name: str, replicas: int, cpu: float, gib: float, least: float = 0.5, storage: float = 0.0, alone: bool = False
) -> PlannedComponent:
    return PlannedComponent(
        name,
        f"tempo_{name}_resources",
        replicas,
        max(0.1, cpu),
        math.ceil(max(least, gib) * GIBIBYTE),
        math.ceil(storage),
        replicas_variable="" if alone else f"tempo_{name}_replicas",
        storage_variable=f"tempo_{'live_store' if name == 'live_store' else 'ingester'}_storage_size"
        if storage
        else "",
    )


def plan(i: Inputs, prices: Prices) -> CapacityPlan:
    """All figures.

    Ingestion limit of a distributor, or of all with the strategy global: platform.tempo.ingestion_limit.
    Live traces in an ingester: what is kept in a minute, twice. Largest trace: a hundred times the usual one, 5 MB at
    least (upstream's default). Without a store of one's own, figures of the bucket and of Tempo are 0.
    """
    parts = [*collectors(i), *([*tempo(i), *memcached(i)] if i.own_store else [])]
    by_name = {part.name: part for part in parts}
    samplers = by_name["sampler"].replicas
    queue = queue_spans(i, samplers)
    kept_traces = i.kept / i.spans_per_trace
    stored_per_day = i.kept * i.bytes_per_span * DAY * i.stored_bytes_per_byte if i.own_store else 0.0
    copies = i.copies
    at_rest = stored_per_day * i.stored_seconds / DAY
    # Of what holds recent traces, and with Kafka as many write blocks.
    ingesters = next((by_name[name].replicas for name in ("ingester", "live_store") if name in by_name), 1)
    blocks = ingesters * DAY / max(i.block_seconds, 60)
    puts = WRITES_PER_BLOCK * (blocks * OBJECTS_PER_BLOCK + copies * stored_per_day / PART_BYTES)
    # Compaction reads what it writes; queriers read blocks in parts; every poll lists and reads an index.
    gets = puts + i.queries_per_day * max(10.0, at_rest / (100 * MEBIBYTE) * 0.1) + POLLS_PER_DAY * 10
    if not i.own_store:
        puts = gets = 0.0
    each = "distributor" in by_name and not i.global_limit
    distributors = by_name["distributor"].replicas if each else 1
    volume = DISK_FACTOR * queue * i.bytes_per_span if i.persistent_queue else 0
    made = CapacityPlan(
        inputs=i,
        parts=parts,
        num_traces=num_traces(i, samplers),
        queue_spans=queue,
        queue_volume=math.ceil(volume),
        ingestion_limit=i.own_store * tempo_numbers.ingestion_limit(i.kept * i.bytes_per_span, distributors),
        max_traces=i.own_store * max(10_000, math.ceil(2 * kept_traces * copies / ingesters * 60)),
        max_bytes_per_trace=i.own_store * max(5 * MEGABYTE, math.ceil(100 * i.spans_per_trace * i.bytes_per_span)),
        stored_per_day=stored_per_day,
        at_rest=at_rest,
        puts=puts,
        gets=gets,
        prices=prices,
    )
    volumes = sum(p.replicas * p.storage for p in parts) + samplers * made.queue_volume
    made.cost.update(
        storage=at_rest / GIBIBYTE * prices.storage,
        requests=(puts * prices.put + gets * prices.get) / 1000 * load.DAYS_PER_MONTH,
        volumes=volumes / GIBIBYTE * prices.volume,
        compute=load.HOURS_PER_MONTH
        * sum(p.replicas * (p.cpu * prices.cpu + p.memory * p.requested / GIBIBYTE * prices.memory) for p in parts),
    )
    made.cost["total"] = sum(made.cost.values())
    return made


# What the role requires, and a fifth more.
DISK_FACTOR = 1.2 * numbers.DISK_PER_BYTE / numbers.QUEUE_SHARE_OF_VOLUME
