# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs in which time decides, made so that the collector and the simulator see the same.

The processor decides at the ticks of a timer, once a second from its start. A run first finds out where in a second
these ticks lie, by the export of a trace that is always kept, and then sends each request half-way between two of them.
So an arrival belongs to the same tick for both sides, whatever the machine does within a third of a second. Requests
that come later than that make the run void.

What is left is the moment of a decision: the collector's buckets fill until then, and a tick may be some milliseconds
late. So the sizes of traces keep a distance from what can be in a bucket (see Lattice).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from real import Collector, Processor, Spans
from traffic import EPOCH, MS, request

PHASES = (0.15, 0.75)  # of a tick within a Unix second: composite counts by these, and a late tick must not cross one
LATEST = 0.35


class Void(Exception):
    """The machine was too busy for the run to mean anything."""


@dataclass(frozen=True)
class Sent:
    """One request: when it arrived, in seconds, where every whole second is a tick of the processors."""

    arrival: float
    group: int
    body: bytes


@dataclass(frozen=True)
class Run:
    kept: list[Spans]  # for every processor
    sent: list[Sent]


Slots = Sequence[Sequence[tuple[int, bytes]]]  # for every second: the group and the body of each request, in order


def marker(number: int) -> bytes:
    """A trace for the processors that tell the time."""
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "marker"}
    span |= {"startTimeUnixNano": str(EPOCH), "endTimeUnixNano": str(EPOCH + MS)}
    return request([{"scopeSpans": [{"spans": [span]}]}])


def _pace(until: float) -> None:
    """Lets the clock go on to a Unix time: the test's subject is what comes when."""
    while (left := until - time.time()) > 0:
        time.sleep(left)


def run(binary: str, folder: Path, processors: Sequence[Processor], slots: Slots, attempts: int = 3) -> Run:
    """Feeds processors, whose groups begin at 1: 0 is the clock's. Once more where the machine was too busy."""
    for attempt in range(1, attempts):
        try:
            return _run(binary, folder / f"run-{attempt}", processors, slots)
        except Void:
            continue
    return _run(binary, folder / "last-run", processors, slots)


def _run(binary: str, folder: Path, processors: Sequence[Processor], slots: Slots) -> Run:
    always = [{"name": "all", "type": "always_sample"}]
    longest = 2 + max(math.ceil(duration_seconds(one.settings["decision_wait"])) for one in processors)
    clocks = [Processor({"decision_wait": wait, "policies": always}, 0, True) for wait in ("1s", f"{longest}s")]
    for attempt in range(4):
        with Collector(binary, folder / str(attempt), [*clocks, *processors]) as collector:
            seen = collector.exported
            collector.send(marker(1))
            collector.until("the first tick", lambda seen=seen: f"{1:032x}" in seen[0])
            tick = seen[0][f"{1:032x}"]
            phase = tick % 1
            if not PHASES[0] <= phase <= PHASES[1]:
                shift = (sum(PHASES) / 2 - phase) % 1
            else:
                return _feed(collector, tick, slots)
        _pace(time.time() + shift)
    raise Void("the processors could not be started at a good moment of a second")


def _feed(collector: Collector, tick: float, slots: Slots) -> Run:
    # Slot 0 is half a second after a tick that is yet to come.
    first = tick + int(time.time() - tick) + 1.5
    sent: list[Sent] = []
    for number, requests in enumerate(slots):
        _pace(first + number)
        for group, body in requests:
            done = collector.send(body, group)
            late = done - first - number
            if late > LATEST:
                raise Void(f"the requests of second {number} took until {late:.2f} s after its middle")
            sent.append(Sent(first + number + late - tick, group, body))
    collector.send(marker(2))
    seen = collector.exported
    collector.until("the last decisions", lambda: f"{2:032x}" in seen[1])
    return Run(collector.stop()[2:], sent)


def _varint(number: int) -> int:
    return max((number.bit_length() + 6) // 7, 1)


def _field(length: int) -> int:
    """Bytes of a length-delimited field with a number below 16."""
    return 1 + _varint(length) + length


@dataclass(frozen=True)
class Lattice:
    """Sizes such that a token bucket never holds about as much as a trace needs.

    Rates and bucket sizes are multiples of step, and a trace's size is one of these plus rest. At a tick a bucket thus
    holds a multiple of step less k x rest, where k traces, of all of the run at most, were taken from it since it was
    full. It never comes nearer to what is asked than rest or step - traces x rest, so a tick may be that much divided
    by the rate early or late.
    """

    step: int
    rest: int
    traces: int

    def __post_init__(self) -> None:
        assert 0 < self.rest * self.traces < self.step

    def size(self, steps: int) -> int:
        return steps * self.step + self.rest


def sized(random: Random, spans: int, size: int, milliseconds: int, error: bool) -> dict[str, Any]:
    """resourceSpans of a trace with so many spans, which has so many bytes as OTLP protobuf (the first span is padded).

    Every field that protobuf may leave out when empty is filled, so that its size is that of the wire format.
    """
    trace_id = f"{random.getrandbits(128) | 1:032x}"
    documents = [
        {
            "traceId": trace_id,
            "spanId": f"{random.getrandbits(64) | 1:016x}",
            "traceState": "a=b",
            "parentSpanId": f"{1:016x}",
            "flags": 1,
            "name": "x",
            "kind": 1,
            "startTimeUnixNano": str(EPOCH),
            "endTimeUnixNano": str(EPOCH + milliseconds * MS),
            "status": {"code": 2 if error else 1, "message": "x"},
        }
        for _number in range(spans)
    ]
    one, two = _field(1), _field(16) + 2 * _field(8)
    # ids, tracestate, flags (a fixed32 of number 16), name, kind, times, status with its message and code
    plain = two + _field(3) + 6 + one + 2 + 2 * 9 + _field(one + 2)
    resource, scope = _field(one + _field(one)), 2 * one

    def total(pad: int) -> int:
        """Of TracesData with one ResourceSpans, and a pad so long in the attributes of the first span."""
        padded = plain + _field(_field(3) + _field(_field(pad)))
        return _field(_field(resource) + _field(_field(scope) + _field(padded) + (spans - 1) * _field(plain)))

    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if total(middle) < size else (low, middle)
    documents[0]["attributes"] = [{"key": "pad", "value": {"stringValue": "p" * low}}]
    return {
        "resource": {"attributes": [{"key": "r", "value": {"stringValue": "r"}}]},
        "scopeSpans": [{"scope": {"name": "s", "version": "1"}, "spans": documents}],
    }


def settings(policies: list[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    return {"decision_wait": "1s", "num_traces": 100_000, "policies": policies, **more}
