# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The simulator, asked the same as the collector: how many spans of which traces it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import read as read_file
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, parse_json
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import (
    Engine,
    Outcome,
    Settings,
    by_end_time,
)

Kept = dict[str, int]  # trace id -> spans


class Arrived(Protocol):
    """A request and when it came; see clock.Sent."""

    @property
    def arrival(self) -> float: ...

    @property
    def body(self) -> bytes: ...


def read(requests: Iterable[bytes]) -> list[Record]:
    return [parse_json(body) for body in requests]


def _kept(outcomes: Iterable[Outcome]) -> Kept:
    found: Kept = {}
    for outcome in outcomes:
        if outcome.kept:
            found[outcome.facts.trace_id] = found.get(outcome.facts.trace_id, 0) + outcome.facts.spans
    return found


def _outcomes(engine: Engine, requests: Iterable[tuple[Record, float]]) -> Iterator[Outcome]:
    for record, arrival in requests:
        yield from engine.feed(record, arrival)
    yield from engine.finish()


def decide(settings: Mapping[str, Any], records: Sequence[Record]) -> Kept:
    """All requests arrive at once, before the first decision."""
    engine = Engine(Settings.from_config(settings))
    return _kept(_outcomes(engine, ((record, 0.5) for record in records)))


def replay(settings: Mapping[str, Any], sent: Sequence[Arrived]) -> Kept:
    """Requests arrive when they did in a run of the collector."""
    engine = Engine(Settings.from_config(settings))
    return _kept(_outcomes(engine, ((parse_json(one.body), one.arrival) for one in sent)))


def outcomes(settings: Mapping[str, Any], path: Path) -> Iterator[Outcome]:
    """Of a file, whose records arrive when their spans end."""
    return _outcomes(Engine(Settings.from_config(settings)), by_end_time(read_file(path)))


def decide_file(settings: Mapping[str, Any], path: Path) -> Kept:
    """All records of a file arrive at once: a decision is on the whole trace."""
    engine = Engine(Settings.from_config(settings))
    return _kept(_outcomes(engine, ((record, 0.5) for record in read_file(path))))
