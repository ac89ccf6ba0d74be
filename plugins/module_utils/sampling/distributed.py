# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The simulation on a cluster, for recordings that one machine is too slow for. The engine is Dask.

The partition is what load_balancing makes of the traffic: all spans of a trace go to one sampler, and no sampler knows
of another. So a recording in many files is read where the files are, shuffled by sampler, and each sampler's part, in
the order of arrival, is decided by the same Engine as on one machine. The result is exactly that of
engine.Samplers with as many samplers. The same three steps are a flatMap, a repartition by key with a sort inside
partitions, and a mapPartitions of Apache Spark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp import records as spans
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import ResourceSpans
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import (
    Engine,
    Settings,
    Sizes,
    by_end_time,
    owner,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.summary import Summary

# Number of the file, number in it, arrival in seconds, trace id, its spans of one resource, how many, their bytes.
Piece = tuple[int, int, float, str, ResourceSpans, int, int]


def latest(path: str) -> float:
    """When the last record of a file arrived, in Unix seconds."""
    return max((arrival for _record, arrival in by_end_time(spans.read(path))), default=0.0)


def pieces(file: tuple[int, str, float], samplers: int) -> Iterable[tuple[int, Piece]]:
    """What each sampler gets of a file. file: its number, its path, and when the files before it ended."""
    number, path, before = file
    sizes = Sizes(exact=True)
    place = 0
    for record, arrival in by_end_time(spans.read(path)):
        for trace_id, batch, count, size in sizes.batches(record):
            place += 1
            yield owner(trace_id, samplers), (number, place, max(arrival, before), trace_id, batch, count, size)


def decide(parts: Iterable[Piece], config: Mapping[str, Any], name: str) -> Summary:
    """One sampler's summary of its part, which is put into order here."""
    engine = Engine(Settings.from_config(config))
    summary = Summary.of(name, config)
    for _file, _place, arrival, trace_id, batch, count, size in sorted(parts, key=lambda piece: piece[:2]):
        for outcome in (*engine.advance(arrival), *engine.process(trace_id, batch, count, size)):
            summary.add(outcome)
    for outcome in engine.finish():
        summary.add(outcome)
    return summary


def simulate(paths: Sequence[str], config: Mapping[str, Any], samplers: int, name: str = "policies") -> Summary:
    """On the Dask scheduler in use, usually that of a distributed.Client. A worker holds one sampler's part at a time.

    paths: files that every worker can read, in the order of their recording. Needs the Python package dask.
    """
    import dask.bag

    files = dask.bag.from_sequence(paths, partition_size=1)
    ends = list(accumulate(files.map(latest).compute(), max, initial=0.0))
    numbered = [(number, path, ends[number]) for number, path in enumerate(paths)]
    summaries = (
        dask.bag.from_sequence(numbered, partition_size=1)
        .map(pieces, samplers)
        .flatten()
        .groupby(_sampler, npartitions=samplers)
        .map(_decide, config, name)
        .compute()
    )
    whole = Summary.of(name, config)
    for summary in summaries:
        whole.merge(summary)
    return whole


def _sampler(item: tuple[int, Piece]) -> int:
    return item[0]


def _decide(group: tuple[int, list[tuple[int, Piece]]], config: Mapping[str, Any], name: str) -> Summary:
    return decide((piece for _sampler, piece in group[1]), config, name)
