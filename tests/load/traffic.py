# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traces of a shop for the load scenario: alike in every run but for their ids and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp

SERVICES = ("load-frontend", "load-orders", "load-payment", "load-stock")
SPANS_PER_SERVICE = 3
SPANS = SPANS_PER_SERVICE * len(SERVICES)
RUN, STEP = "orion.load.run", "orion.load.step"
MILLISECOND = 10**6
# Of a hundred traces: so many with an error in the last service, slow ones, and orders on the critical route.
ERRORS, SLOW, CRITICAL = 4, 3, 2


@dataclass(frozen=True)
class Load:
    """A constant stream. run, step: attributes of all spans. slow_ms: how long a slow trace takes. attributes: so many
    more for each span, of 24 characters."""

    run: str
    step: str
    slow_ms: int
    attributes: int = 0

    def batch(self, number: int, traces: int, now: int) -> list[otlp.Document]:
        """So many traces that end now (Unix ns), as one request for each service."""
        random = Random(f"{self.run}/{self.step}/{number}")
        parts: list[list[otlp.Span]] = [[] for _service in SERVICES]
        for position in range(traces):
            for service, spans in enumerate(self._trace(random, (number * traces + position) % 100, now)):
                parts[service] += spans
        return [
            otlp.request({"service.name": name}, "orion.load", spans)
            for name, spans in zip(SERVICES, parts, strict=True)
        ]

    def _trace(self, random: Random, kind: int, now: int) -> Iterator[list[otlp.Span]]:
        trace_id = otlp.new_id(32, random)
        error = kind < ERRORS
        slow = ERRORS <= kind < ERRORS + SLOW
        critical = ERRORS + SLOW <= kind < ERRORS + SLOW + CRITICAL
        length = (self.slow_ms * 2 if slow else random.randint(20, 120)) * MILLISECOND
        start, parent = now - length, ""
        common = {RUN: self.run, STEP: self.step}
        common |= {f"orion.load.attribute.{n}": f"{random.getrandbits(96):024x}" for n in range(self.attributes)}
        for service, name in enumerate(SERVICES):
            route = "/api/v1/orders" if critical and not service else f"/{name}/items"
            spans = []
            for depth in range(SPANS_PER_SERVICE):
                last = service == len(SERVICES) - 1 and depth == SPANS_PER_SERVICE - 1
                one = otlp.span(
                    trace_id,
                    otlp.new_id(16, random),
                    parent,
                    f"{name} {('GET', 'handle', 'SELECT')[depth]}",
                    ("SERVER", "INTERNAL", "CLIENT")[depth],
                    start + (service * SPANS_PER_SERVICE + depth) * MILLISECOND,
                    now - (service * SPANS_PER_SERVICE + depth) * MILLISECOND // 4,
                    {**common, "http.route": route, "http.request.method": "GET", "net.peer.name": f"{name}.shop.svc"},
                    error="out of stock" if error and last else None,
                )
                parent = one["spanId"]
                spans.append(one)
            yield spans


def merged(documents: list[otlp.Document]) -> dict[str, Any]:
    """All services of a batch as one document."""
    return otlp.merge(documents)
