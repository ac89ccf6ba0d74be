# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A capacity plan for people and for an inventory: table, snippet, result, and where an inventory falls short of it.

Pure: no I/O, no Ansible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.workloads import (
    AUTOSCALING,
    REPLICAS,
    autoscaled,
    gateway_range,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    GIBIBYTE,
    MEBIBYTE,
    memory_bytes,
    quantity,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import usable
from ansible_collections.orion.tracing.plugins.module_utils.planner.model import (
    MEGABYTE,
    CapacityPlan,
    gibibytes,
    memcached_mib,
    millicores,
)


def wanted(made: CapacityPlan) -> dict[str, Any]:
    """Inventory variables that fit the plan."""
    values: dict[str, Any] = {}
    for part in made.parts:
        if part.replicas_variable:
            values[part.replicas_variable] = part.replicas
        if part.variable:
            values[part.variable] = part.resources()
        if part.storage_variable:
            values[part.storage_variable] = f"{gibibytes(part.storage)}Gi"
    values["collector_num_traces"] = made.num_traces
    if made.inputs.persistent_queue:
        values["collector_persistent_queue_volume_size"] = f"{gibibytes(made.queue_volume)}Gi"
    if made.inputs.own_store:
        if made.inputs.memcached_replicas:
            values["tempo_memcached_memory_mib"] = memcached_mib(made.inputs)
        values["tempo_max_traces_per_user"] = made.max_traces
        values["tempo_max_bytes_per_trace"] = made.max_bytes_per_trace
    return values


def shortfalls(made: CapacityPlan, v: Mapping[str, Any]) -> Iterator[str]:
    """Where the inventory is smaller than the plan: variable, its value and what is needed."""
    for name, needed in wanted(made).items():
        value = v.get(name)
        if value is None:
            continue
        if not isinstance(needed, dict):
            if name == REPLICAS and autoscaled(v):
                # At the expected load there may be as many as the autoscaler is allowed.
                name, value = f"{AUTOSCALING}.max_replicas", gateway_range(v)[1]
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


def snippet(made: CapacityPlan) -> str:
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


def result(made: CapacityPlan) -> dict[str, Any]:
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
                "cpu": millicores(part.cpu) / 1000,
                "memory": part.memory_mib * MEBIBYTE,
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
        "prices": asdict(made.prices),
        "cost": {name: round(value, 2) for name, value in made.cost.items()},
    }


def table(made: CapacityPlan) -> str:
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
            f"{millicores(part.cpu)}m",
            f"{part.memory_mib}Mi",
            f"{gibibytes(part.storage)}Gi" if part.storage else "",
        ]
        for part in made.parts
    ]
    cost = [["USD per month", ""], *([name, f"{value:,.2f}"] for name, value in made.cost.items())]
    return "\n\n".join((align(rows, set()), align(parts, {1, 2, 3, 4}), align(cost, {1})))


def _storage(made: CapacityPlan) -> list[list[str]]:
    return [
        ["bucket", f"{made.stored_per_day / GIBIBYTE:,.1f} GiB a day, {made.at_rest / GIBIBYTE:,.0f} GiB at rest"],
        ["requests", f"{made.puts:,.0f} PUT and {made.gets:,.0f} GET a day"],
    ]
