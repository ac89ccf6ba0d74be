# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""One or two policy sets over the records of a recording. Records in, results out; who reads them is the caller's."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import (
    Outcome,
    Samplers,
    Settings,
    at_rate,
    by_end_time,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.summary import (
    Comparison,
    CostLoad,
    Decision,
    Summary,
    table,
)

PROGRESS_RECORDS = 2000
COLUMNS = ("trace_id", "spans", "duration_ms", "error", "kept", "reason", "policies")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy set that is tried. config: the tail_sampling processor's configuration. samplers: pods that share it."""

    name: str
    config: Mapping[str, Any]
    samplers: int = 1


@dataclass
class Result:
    """results: one for each candidate, as summary.Summary.result gives them. errors: evaluations that failed."""

    results: list[dict[str, Any]] = field(default_factory=list)
    comparison: dict[str, Any] | None = None
    errors: int = 0

    @property
    def table(self) -> str:
        return table(self.results, self.comparison)


class _Decisions:
    """Writes a line of CSV for each decision, with the second candidate's columns beside the first's."""

    def __init__(self, stream: IO[str], names: list[str]) -> None:
        self._write = csv.writer(stream, lineterminator="\n").writerow
        self._columns = len(COLUMNS)
        more = [f"{column}_{names[1]}" for column in COLUMNS[4:]] if len(names) > 1 else []
        self._write([*COLUMNS, *more])

    def one(self, decision: Decision) -> None:
        self._write([*_what(decision), *_how(decision)])

    def both(self, first: Decision | None, second: Decision | None) -> None:
        known = first or second
        if known is not None:
            self._write([*_what(known), *_how(first), *_how(second)])


def _what(decision: Decision) -> list[Any]:
    return [decision.trace_id, decision.spans, f"{decision.duration * 1000:.6f}", int(decision.error)]


def _how(decision: Decision | None) -> list[Any]:
    return ["", "", ""] if decision is None else [int(decision.kept), decision.reason, " ".join(decision.policies)]


def simulate(
    records: Iterable[Record],
    candidates: list[Candidate],
    load: CostLoad,
    spans_per_second: float | None = None,
    decisions: IO[str] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Result:
    """Run one or two candidates over the same records.

    spans_per_second: arrival at this rate; None: when the spans had ended. decisions: a text stream for a line of CSV
    for each trace. InvalidInput for a configuration that the simulator or the collector refuses, before any record is
    read.
    """
    settings = [Settings.from_config(one.config) for one in candidates]
    groups = [Samplers(own, one.samplers) for own, one in zip(settings, candidates, strict=True)]
    summaries = [Summary.of(one.name, own) for own, one in zip(settings, candidates, strict=True)]
    comparison = Comparison() if len(candidates) > 1 else None
    lines = _Decisions(decisions, [one.name for one in candidates]) if decisions else None

    def take(side: int, outcomes: Iterator[Outcome]) -> None:
        add = summaries[side].add
        for outcome in outcomes:
            add(outcome)
            if comparison:
                pair = comparison.add(side, outcome)
                if pair and lines:
                    lines.both(*pair)
            elif lines and not outcome.late:
                lines.one(Decision.of(outcome))

    arrivals = by_end_time(records) if spans_per_second is None else at_rate(records, spans_per_second)
    for number, (record, arrival) in enumerate(arrivals, 1):
        for side, group in enumerate(groups):
            take(side, group.feed(record, arrival))
        if number % PROGRESS_RECORDS == 0:
            total = summaries[0].total.seen
            progress(f"{number:,} records read, {total.traces:,} traces decided, {total.spans:,} spans")
    for side, group in enumerate(groups):
        take(side, group.finish())
    if comparison and lines:
        for first, second in comparison.rest():
            lines.both(first, second)
    names = (candidates[0].name, candidates[-1].name)
    return Result(
        [summary.result(load) for summary in summaries],
        comparison.result(names) if comparison else None,
        sum(group.errors for group in groups),
    )


def peek(records: Iterator[Record]) -> tuple[bool, Iterator[Record]]:
    """Whether there is a record at all, and the records."""
    for first in records:
        return True, itertools.chain([first], records)
    return False, iter(())
