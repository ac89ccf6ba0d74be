# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""From inventory variables to a capacity plan and its cost. Pure: no I/O, no Ansible. docs/capacity.md explains it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import destinations
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import EXTRA, OWN, placed
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader, number, usable
from ansible_collections.orion.tracing.plugins.module_utils.planner.model import (
    MONOLITHIC_RATE,
    Inputs,
    plan,
)
from ansible_collections.orion.tracing.plugins.module_utils.planner.output import (
    result,
    shortfalls,
    snippet,
    table,
)
from ansible_collections.orion.tracing.plugins.module_utils.planner.prices import REGIONS, Prices
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted
from ansible_collections.orion.tracing.plugins.module_utils.sampling.sdk import ARGUMENT, sdk_percentage
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import PROFILES, line


def read_inputs(v: Mapping[str, Any]) -> tuple[Inputs, Prices, list[str]]:
    """Inputs and prices of inventory variables, and what to say about them. InvalidVariables has every error.

    v: the variables of the roles tempo and collector, and of the entry point plan of the role preflight.
    """
    read = Reader(v)
    profile = read.choice("tempo_profile", PROFILES)
    kafka = profile == "kafka"
    opened = "tempo_live_store_max_block_duration" if kafka else "tempo_ingester_max_block_duration"
    kept = "tempo_live_store_complete_block_timeout" if kafka else "tempo_ingester_complete_block_timeout"
    open_seconds = read.duration(opened)
    exporters = destinations(v).exporters
    cached = read.boolean("tempo_memcached_enabled")
    inputs = Inputs(
        traces_per_second=read.number("tracing_expected_traces_per_second", minimum=0.001),
        spans_per_trace=read.number("tracing_expected_spans_per_trace", minimum=1),
        bytes_per_span=read.number("tracing_expected_bytes_per_span", minimum=1),
        kept_percentage=read.number("tracing_expected_kept_percentage", maximum=100),
        retention=read.duration("tempo_retention"),
        decision_wait=read.duration("collector_decision_wait"),
        outage_minutes=read.number("collector_outage_minutes"),
        max_spans=read.number("collector_max_total_spans_per_second"),
        max_bytes=read.number("collector_max_total_bytes_per_second"),
        profile=profile,
        replication_factor=read.integer("tempo_replication_factor", minimum=1),
        persistent_queue=read.boolean("collector_persistent_queue_enabled"),
        block_seconds=read.duration("tempo_block_builder_consume_cycle_duration") if kafka else open_seconds,
        local_seconds=open_seconds + read.duration(kept),
        stored_bytes_per_byte=read.number("plan_stored_bytes_per_byte", minimum=0.01),
        queries_per_day=read.number("plan_queries_per_day"),
        metrics_generator=read.boolean("tempo_metrics_generator_enabled"),
        num_traces=read.number("collector_num_traces"),
        kept_destinations=max(1, sum(one.traces == "kept" for one in exporters)),
        unsampled_share=sum(one.share for one in exporters if one.traces == "all") / 100,
        own_store=v["tracing_store"] == "tempo",
        global_limit=v["tempo_ingestion_rate_strategy"] == "global",
        memcached_replicas=read.integer("tempo_memcached_replicas", minimum=1) if cached else 0,
        memcached_mib=read.integer("tempo_memcached_memory_mib", minimum=64) if cached else 0,
        # Other servers have a part of them, and their size is not known here.
        caches_blooms=cached
        and "bloom" in read.listing("tempo_memcached_roles")
        and not read.listing("tempo_memcached_addresses"),
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
            f"{MONOLITHIC_RATE:g} MB/s. Set it to distributed, or kafka."
        )
    if 0 < (recorded := sdk_percentage(v)) < 100:
        started = inputs.traces_per_second * 100 / recorded
        notes.append(
            f"{ARGUMENT} lets SDKs record {recorded:g} % of the traces: tracing_expected_traces_per_second "
            f"({inputs.traces_per_second:g}) is what they send, so the plan is for applications that start "
            f"{started:,.0f} traces per second."
        )
    baseline, source = _baseline(read)
    if inputs.kept_percentage < baseline and not (inputs.max_spans or inputs.max_bytes):
        notes.append(
            f"tracing_expected_kept_percentage {inputs.kept_percentage:g} is less than the {baseline:g} % of all "
            f"traces that {source} keeps, whatever they contain. Simulate to find out what all policies keep."
        )
    refuse("the variables of the plan", read.findings)
    return inputs, prices, notes


def _baseline(read: Reader) -> tuple[float, str]:
    """The largest percentage of traces that one policy keeps whatever is in them, and which one that is.

    Policies of other types, nested ones too, depend on the traces: what they keep is for the simulator to say.
    """
    own, extra = read.listing(OWN, default=[]), read.listing(EXTRA, default=[])
    built = "collector_sampling_percentage"
    found = [(0.0, OWN) if own else (read.number(built), built)]
    for place, policy in placed(own, extra):
        kind = policy.get("type") if isinstance(policy, Mapping) else None
        if kind == "always_sample":
            found.append((100.0, f"{place} ({kind})"))
        elif kind == "probabilistic":
            share = inside(policy, kind, "sampling_percentage")
            found.append((usable(0.0, number, share), f"{place} ({kind})"))
    return max(found)


def tracing_plan(v: Mapping[str, Any]) -> dict[str, Any]:
    """From inventory variables: result(), with table, snippet and warnings. Raises InvalidVariables."""
    inputs, prices, notes = read_inputs(v)
    made = plan(replace(inputs, num_traces=0.0), prices)
    found: dict[str, Any] = json.loads(json.dumps(result(made)))
    return {
        **found,
        "tempo_version": dotted(line(v)),
        "table": table(made),
        "snippet": snippet(made),
        # What the inventory has must fit its own num_traces; the snippet has the load's.
        "warnings": [*notes, *shortfalls(plan(inputs, prices), v)],
    }
