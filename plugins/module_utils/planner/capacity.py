# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What a load takes: collectors, Tempo, bucket and money. Pure: no I/O, no Ansible. docs/capacity.md explains it.

Sizes of Tempo's components: https://grafana.com/docs/tempo/latest/set-up-for-tracing/setup-tempo/plan/size/ (one
distributor for 10 MB/s, an ingester or compactor for 3 to 5, a querier for 1 to 2). MB are 10^6 bytes of OTLP protobuf.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import destinations
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    GIBIBYTE,
    MEBIBYTE,
    memory_bytes,
    quantity,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader, number, usable
from ansible_collections.orion.tracing.plugins.module_utils.platform import collector as numbers
from ansible_collections.orion.tracing.plugins.module_utils.platform import load
from ansible_collections.orion.tracing.plugins.module_utils.platform import tempo as tempo_numbers

MEGABYTE = 10**6
DAY, HOURS_PER_MONTH = 86400, 730.5

# Spans per second and core. tests/bench/tiers.py measures 48,000 and more for both tiers together on a fast core; a
# vendor's sizing guide says 15,000 for a collector, so these leave room for slower cores and richer spans.
GATEWAY_SPANS_PER_CORE, SAMPLER_SPANS_PER_CORE = 25_000, 15_000
# Replicas are counted so that they are busy by this much, and the loss of one can be borne.
BUSY = 0.6
# num_traces of a small platform.
MIN_NUM_TRACES = 10_000

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


@dataclass(frozen=True, slots=True)
class Prices:
    """In USD. storage: GiB and month in S3 Standard. put, get: 1,000 requests. cpu, memory: vCPU and GiB for an hour.
    volume: GiB and month of a persistent volume."""

    storage: float = 0.023
    put: float = 0.005
    get: float = 0.0004
    cpu: float = 0.04048
    memory: float = 0.004445
    volume: float = 0.08


# Public list prices without discounts (S3 Standard, EBS gp3, and Fargate for compute), as of 2025; those of storage are
# still the same in July 2026. They are a start: give your own with plan_prices.
# https://aws.amazon.com/s3/pricing/, https://aws.amazon.com/fargate/pricing/
REGIONS = {
    "us-east-1": Prices(),
    "us-east-2": Prices(),
    "us-west-2": Prices(),
    "eu-west-1": Prices(volume=0.088),
    "eu-central-1": Prices(0.0245, 0.0054, 0.00043, 0.04656, 0.00511, 0.0952),
    "ap-southeast-1": Prices(0.025, 0.005, 0.0004, 0.05056, 0.00553, 0.096),
    "ap-southeast-2": Prices(0.025, 0.0055, 0.00044, 0.04856, 0.00532, 0.096),
    "ap-northeast-1": Prices(0.025, 0.0047, 0.00037, 0.05056, 0.00553, 0.096),
    "sa-east-1": Prices(0.0405, 0.007, 0.00056, 0.0696, 0.0076, 0.152),
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is planned for. Rates are of the whole platform; retention, decision_wait in seconds.

    block_seconds: how long an ingester keeps a block open; local_seconds: until it deletes it from its volume.
    num_traces: the inventory's, where it is more than the load takes; 0 for that alone.
    kept_destinations: how many take what is kept. unsampled_share: of all spans, over those that take these; 1 is one.
    own_store: whether kept traces are stored in this platform's Tempo; another store, and recordings, are not planned.
    global_limit: whether all distributors share one ingestion limit (tempo_ingestion_rate_strategy global).
    """

    traces_per_second: float
    spans_per_trace: float
    bytes_per_span: float
    kept_percentage: float
    baseline_percentage: float
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


@dataclass(frozen=True, slots=True)
class Part:
    """One component. Of each replica, cpu: cores of its request; memory: bytes of its limit; storage: of its volume."""

    name: str
    variable: str
    replicas: int
    cpu: float
    memory: int
    storage: int = 0
    replicas_variable: str = ""
    storage_variable: str = ""

    def resources(self) -> dict[str, Any]:
        """As a role's variable has them; the request is half of the limit."""
        return {
            "requests": {"cpu": f"{_millicores(self.cpu)}m", "memory": f"{_mebibytes(self.memory / 2)}Mi"},
            "limits": {"memory": f"{_mebibytes(self.memory)}Mi"},
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from the inputs."""

    inputs: Inputs
    parts: list[Part]
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
    cost: dict[str, float] = field(default_factory=dict)


def _millicores(cores: float) -> int:
    return max(50, 50 * math.ceil(cores * 1000 / 50 - 1e-9))


def _mebibytes(size: float) -> int:
    return 64 * math.ceil(size / (64 * MEBIBYTE) - 1e-9)


def _gibibytes(size: float) -> int:
    return max(1, math.ceil(size / GIBIBYTE - 1e-9))


def collectors(i: Inputs) -> list[Part]:
    """Gateways and samplers.

    replicas = offered / (spans per core × 60 %), two at least. A sampler's memory is sampler_memory of what
    arrives in one decision wait, whose limit has room for as much again, and of full decision caches; without a
    persistent queue, and of what waits there, for which the role asks 8 KiB of the limit a span.
    A gateway holds a second's worth, with the garbage that GOGC 400 allows, and its queue, a span for each 8 KiB of the
    limit, what a sampler would get in 15 seconds.
    """
    gateways = max(2, math.ceil(i.offered / (GATEWAY_SPANS_PER_CORE * BUSY)))
    samplers = max(2, math.ceil(i.offered / (SAMPLER_SPANS_PER_CORE * BUSY)))
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
        Part(
            "gateway",
            "collector_gateway_resources",
            gateways,
            i.offered / gateways / GATEWAY_SPANS_PER_CORE,
            max(256 * MEBIBYTE, math.ceil(gateway)),
            replicas_variable="collector_gateway_replicas",
        ),
        Part(
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


def tempo(i: Inputs) -> list[Part]:
    """Tempo's components, for what is kept. CPU and memory go with the share of a documented replica's rate that each
    one gets: distributor 2 cores and 2 GB at 10 MB/s, ingester 2.5 cores and 8 GB at 4 MB/s received three times,
    compactor 1 core and 4 GB at 4 MB/s, querier 1 core and 4 GB at 2 MB/s.
    """
    rate = i.kept_mb
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


def _of(share: float, cpu: float, memory: float) -> tuple[float, float]:
    return share * cpu, share * memory


def _part(
    name: str, replicas: int, cpu: float, gib: float, least: float = 0.5, storage: float = 0.0, alone: bool = False
) -> Part:
    return Part(
        name,
        f"tempo_{name}_resources",
        replicas,
        max(0.1, cpu),
        math.ceil(max(least, gib) * GIBIBYTE),
        math.ceil(storage),
        replicas_variable="" if alone else f"tempo_{name}_replicas",
        storage_variable="tempo_ingester_storage_size" if storage else "",
    )


def plan(i: Inputs, prices: Prices) -> Plan:
    """All figures.

    Ingestion limit of a distributor, or of all with the strategy global: platform.tempo.ingestion_limit.
    Live traces in an ingester: what is kept in a minute, twice. Largest trace: a hundred times the usual one, 5 MB at
    least (upstream's default). Without a store of one's own, figures of the bucket and of Tempo are 0.
    """
    parts = [*collectors(i), *(tempo(i) if i.own_store else [])]
    by_name = {part.name: part for part in parts}
    samplers = by_name["sampler"].replicas
    queue = queue_spans(i, samplers)
    kept_traces = i.kept / i.spans_per_trace
    stored_per_day = i.kept * i.bytes_per_span * DAY * i.stored_bytes_per_byte if i.own_store else 0.0
    copies = i.replication_factor if i.profile == "distributed" else 1
    # Copies of the replicas are merged by compaction, whose window is an hour.
    at_rest = stored_per_day * (i.retention / DAY + (copies - 1) / 24)
    ingesters = by_name["ingester"].replicas if "ingester" in by_name else 1
    blocks = ingesters * DAY / max(i.block_seconds, 60)
    puts = WRITES_PER_BLOCK * (blocks * OBJECTS_PER_BLOCK + copies * stored_per_day / PART_BYTES)
    # Compaction reads what it writes; queriers read blocks in parts; every poll lists and reads an index.
    gets = puts + i.queries_per_day * max(10.0, at_rest / (100 * MEBIBYTE) * 0.1) + POLLS_PER_DAY * 10
    if not i.own_store:
        puts = gets = 0.0
    each = "distributor" in by_name and not i.global_limit
    distributors = by_name["distributor"].replicas if each else 1
    volume = DISK_FACTOR * queue * i.bytes_per_span if i.persistent_queue else 0
    made = Plan(
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
    )
    month = HOURS_PER_MONTH / 24
    volumes = sum(p.replicas * p.storage for p in parts) + samplers * made.queue_volume
    made.cost.update(
        storage=at_rest / GIBIBYTE * prices.storage,
        requests=(puts * prices.put + gets * prices.get) / 1000 * month,
        volumes=volumes / GIBIBYTE * prices.volume,
        compute=HOURS_PER_MONTH
        * sum(p.replicas * (p.cpu * prices.cpu + p.memory / 2 / GIBIBYTE * prices.memory) for p in parts),
    )
    made.cost["total"] = sum(made.cost.values())
    return made


# What the role requires, and a fifth more.
DISK_FACTOR = 1.2 * numbers.DISK_PER_BYTE / numbers.QUEUE_SHARE_OF_VOLUME


def read_inputs(v: Mapping[str, Any]) -> tuple[Inputs, Prices, list[str]]:
    """Inputs and prices of inventory variables, and what to say about them. InvalidVariables has every error.

    v: the variables of the roles tempo and collector, and of the entry point plan of the role preflight.
    """
    read = Reader(v)
    block_seconds = read.duration("tempo_ingester_max_block_duration")
    profile = read.text("tempo_profile")
    if profile not in ("distributed", "monolithic"):
        read.wrong("tempo_profile", f"is {profile!r}, not a profile", "Choose distributed or monolithic.")
    exporters = destinations(v).exporters
    inputs = Inputs(
        traces_per_second=read.number("tracing_expected_traces_per_second", minimum=0.001),
        spans_per_trace=read.number("tracing_expected_spans_per_trace", minimum=1),
        bytes_per_span=read.number("tracing_expected_bytes_per_span", minimum=1),
        kept_percentage=read.number("tracing_expected_kept_percentage", maximum=100),
        baseline_percentage=read.number("collector_sampling_percentage"),
        retention=read.duration("tempo_retention"),
        decision_wait=read.duration("collector_decision_wait"),
        outage_minutes=read.number("collector_outage_minutes"),
        max_spans=read.number("collector_max_total_spans_per_second"),
        max_bytes=read.number("collector_max_total_bytes_per_second"),
        profile=profile,
        replication_factor=read.integer("tempo_replication_factor", minimum=1),
        persistent_queue=read.boolean("collector_persistent_queue_enabled"),
        block_seconds=block_seconds,
        local_seconds=block_seconds + read.duration("tempo_ingester_complete_block_timeout"),
        stored_bytes_per_byte=read.number("plan_stored_bytes_per_byte", minimum=0.01),
        queries_per_day=read.number("plan_queries_per_day"),
        metrics_generator=read.boolean("tempo_metrics_generator_enabled"),
        num_traces=read.number("collector_num_traces"),
        kept_destinations=max(1, sum(one.traces == "kept" for one in exporters)),
        unsampled_share=sum(one.share for one in exporters if one.traces == "all") / 100,
        own_store=v["tracing_store"] == "tempo",
        global_limit=v["tempo_ingestion_rate_strategy"] == "global",
    )
    notes = []
    region = v["tracing_region"]
    if region not in REGIONS:
        notes.append(f"tracing_region {region} has no prices here: those of us-east-1 are taken. Give plan_prices.")
    prices = REGIONS.get(region, Prices())
    own = read.mapping("plan_prices")
    if unknown := sorted(set(own) - set(asdict(prices))):
        read.wrong("plan_prices", f"has unknown prices {', '.join(unknown)}", f"Known are {', '.join(asdict(prices))}.")
    else:
        try:
            prices = Prices(**{**asdict(prices), **{name: number(value) for name, value in own.items()}})
        except ValueError:
            read.wrong("plan_prices", f"is {own!r}, not numbers by name", "Give numbers.")
    if inputs.own_store and profile == "monolithic" and inputs.kept_mb > MONOLITHIC_RATE:
        notes.append(
            f"tempo_profile is monolithic, and {inputs.kept_mb:,.0f} MB/s are kept: one instance takes up to "
            f"{MONOLITHIC_RATE:g} MB/s. Set it to distributed."
        )
    if inputs.kept_percentage < inputs.baseline_percentage and not (inputs.max_spans or inputs.max_bytes):
        notes.append(
            f"tracing_expected_kept_percentage {inputs.kept_percentage:g} is less than collector_sampling_percentage "
            f"{inputs.baseline_percentage:g}: all policies together keep at least the baseline. Simulate to find out."
        )
    refuse("the variables of the plan", read.findings)
    return inputs, prices, notes


def wanted(made: Plan) -> dict[str, Any]:
    """Inventory variables that fit the plan."""
    values: dict[str, Any] = {}
    for part in made.parts:
        if part.replicas_variable:
            values[part.replicas_variable] = part.replicas
        values[part.variable] = part.resources()
        if part.storage_variable:
            values[part.storage_variable] = f"{_gibibytes(part.storage)}Gi"
    values["collector_num_traces"] = made.num_traces
    if made.inputs.persistent_queue:
        values["collector_persistent_queue_volume_size"] = f"{_gibibytes(made.queue_volume)}Gi"
    if made.inputs.own_store:
        values["tempo_max_traces_per_user"] = made.max_traces
        values["tempo_max_bytes_per_trace"] = made.max_bytes_per_trace
    return values


def shortfalls(made: Plan, v: Mapping[str, Any]) -> Iterator[str]:
    """Where the inventory is smaller than the plan: variable, its value and what is needed."""
    for name, needed in wanted(made).items():
        value = v.get(name)
        if value is None:
            continue
        if not isinstance(needed, dict):
            if _number(value) < _number(needed):
                yield f"{name} is {value}: the load needs {needed}."
            continue
        for kind, key, read in (("limits", "memory", _memory), ("requests", "cpu", _cpu)):
            has = (value.get(kind) or {}).get(key) if isinstance(value, Mapping) else None
            if has is not None and read(has) < read(needed[kind][key]):
                queue = name == "collector_sampler_resources" and kind == "limits" and not made.inputs.persistent_queue
                hint = ", or collector_persistent_queue_enabled, for then spans wait on disk" if queue else ""
                yield f"{name} has {kind}.{key} {has}: the load needs {needed[kind][key]}{hint}."
    limit = v.get("tempo_ingestion_rate_limit_bytes") or 0
    if 0 < _number(limit) < made.ingestion_limit:
        yield f"tempo_ingestion_rate_limit_bytes is {limit}: the load needs {made.ingestion_limit}, or 0 to derive it."


def _number(value: Any) -> float:
    return float(usable(math.inf, quantity, value))  # what is none, the role itself refuses, and says so


_cpu: Callable[[Any], float] = _number


def _memory(value: Any) -> float:
    return usable(math.inf, memory_bytes, value)


def snippet(made: Plan) -> str:
    """wanted() as YAML for group_vars."""
    i = made.inputs
    lines = [
        f"# Planned for {i.traces_per_second:g} traces/s of {i.spans_per_trace:g} spans of {i.bytes_per_span:g} bytes, "
        f"of which {i.kept_percentage:g} % are kept."
    ]
    for name, value in wanted(made).items():
        if isinstance(value, dict):
            lines.append(f"{name}:")
            lines += [f"  {kind}: {{{', '.join(f'{k}: {x}' for k, x in one.items())}}}" for kind, one in value.items()]
        else:
            lines.append(f"{name}: {value}")
    return "\n".join(lines) + "\n"


def result(made: Plan) -> dict[str, Any]:
    """The plan as plain data; sizes in bytes, rates per second, money in USD per month."""
    i = made.inputs
    return {
        "inputs": asdict(i),
        "load": {
            "offered_spans_per_second": round(i.offered, 1),
            "kept_spans_per_second": round(i.kept, 1),
            "kept_bytes_per_second": round(i.kept * i.bytes_per_span),
        },
        "components": [
            {
                "name": part.name,
                "replicas": part.replicas,
                "cpu": _millicores(part.cpu) / 1000,
                "memory": _mebibytes(part.memory) * MEBIBYTE,
                "storage": part.storage,
            }
            for part in made.parts
        ],
        "collector": {
            "num_traces": made.num_traces,
            "queue_spans": made.queue_spans,
            "queue_volume": made.queue_volume,
        },
        "limits": {
            "ingestion_rate_limit_bytes": made.ingestion_limit,
            "max_traces_per_user": made.max_traces,
            "max_bytes_per_trace": made.max_bytes_per_trace,
        },
        "storage": {
            "bytes_per_day": round(made.stored_per_day),
            "bytes_at_rest": round(made.at_rest),
            "puts_per_day": round(made.puts),
            "gets_per_day": round(made.gets),
        },
        "cost": {name: round(value, 2) for name, value in made.cost.items()},
    }


def table(made: Plan) -> str:
    """The plan as text for people."""
    i = made.inputs
    rows = [
        ["offered", f"{i.offered:,.0f} spans/s, {i.offered * i.bytes_per_span / MEGABYTE:,.2f} MB/s"],
        ["kept", f"{i.kept:,.0f} spans/s, {i.kept_mb:,.2f} MB/s"],
        *(_storage(made) if i.own_store else [["store", "not this platform's (tracing_store: otlp): not planned"]]),
        ["queue", f"{made.queue_spans:,} spans in each sampler for {i.outage_minutes:g} minutes without a destination"],
        ["num_traces", f"{made.num_traces:,} in each sampler"],
    ]
    parts = [["component", "replicas", "cpu", "memory", "volume"]]
    parts += [
        [
            part.name,
            str(part.replicas),
            f"{_millicores(part.cpu)}m",
            f"{_mebibytes(part.memory)}Mi",
            f"{_gibibytes(part.storage)}Gi" if part.storage else "",
        ]
        for part in made.parts
    ]
    cost = [["USD per month", ""], *([name, f"{value:,.2f}"] for name, value in made.cost.items())]
    return "\n\n".join((align(rows, set()), align(parts, {1, 2, 3, 4}), align(cost, {1})))


def _storage(made: Plan) -> list[list[str]]:
    return [
        ["bucket", f"{made.stored_per_day / GIBIBYTE:,.1f} GiB a day, {made.at_rest / GIBIBYTE:,.0f} GiB at rest"],
        ["requests", f"{made.puts:,.0f} PUT and {made.gets:,.0f} GET a day"],
    ]


def tracing_plan(v: Mapping[str, Any]) -> dict[str, Any]:
    """From inventory variables: result(), with table, snippet and warnings. Raises InvalidVariables."""
    inputs, prices, notes = read_inputs(v)
    made = plan(replace(inputs, num_traces=0.0), prices)
    found: dict[str, Any] = json.loads(json.dumps(result(made)))
    return {
        **found,
        "table": table(made),
        "snippet": snippet(made),
        # What the inventory has must fit its own num_traces; the snippet has the load's.
        "warnings": [*notes, *shortfalls(plan(inputs, prices), v)],
    }
