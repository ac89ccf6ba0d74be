# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory of a sampler beside what the planner says, for spans of several shapes.

One sampler runs as a process, with the configuration that the role ships and a limit so high that it plays no part. A
constant stream keeps so many spans undecided that they, and not the collector itself, are most of what it takes. The
figure is the highest resident memory from the first decision on, over one and a half times the decision wait.
platform.collector.sampler_memory is for the mean of such shapes: bytes in a few long values take less than in many
attributes.
usage: ORION_OTELCOL=... python tests/bench/memory.py [SHAPE ...]
"""

from __future__ import annotations

import http.client
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiers
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import IDLE_MEMORY, sampler_memory

WAIT = 20
SERVICES, SPANS_PER_SERVICE = 4, 3
SPANS = SERVICES * SPANS_PER_SERVICE
TRACES_PER_REQUEST = 100


@dataclass(frozen=True)
class Shape:
    """attributes of a span and of a resource, and the length of their values. held: undecided spans."""

    name: str
    attributes: int
    length: int
    resource: int
    held: int


SHAPES = (
    Shape("bare", 0, 0, 1, 80_000),
    Shape("few attributes", 5, 16, 4, 60_000),
    Shape("usual", 10, 20, 12, 30_000),
    Shape("many attributes", 25, 24, 12, 20_000),
    Shape("a statement of 400 bytes", 3, 150, 12, 30_000),
    Shape("a statement of 4 KB", 1, 4000, 12, 15_000),
)


def _attributes(kind: str, count: int, length: int, random: random.Random) -> list[dict[str, Any]]:
    return [
        {"key": f"{kind}.attribute.{n}", "value": {"stringValue": f"{random.getrandbits(4 * length):0{length}x}"}}
        for n in range(count)
    ]


def _trace(shape: Shape, random: random.Random) -> Iterator[list[dict[str, Any]]]:
    """The spans of each service: a chain, as of requests that go from one to the next."""
    trace_id, parent = f"{random.getrandbits(128):032x}", ""
    now = time.time_ns()
    for service in range(SERVICES):
        spans = []
        for number in range(SPANS_PER_SERVICE):
            one: dict[str, Any] = {
                "traceId": trace_id,
                "spanId": f"{random.getrandbits(64):016x}",
                "parentSpanId": parent,
                "name": f"operation-{service}-{number}",
                "kind": (2, 1, 3)[number],
                "startTimeUnixNano": now,
                "endTimeUnixNano": now + 10**6,
                "attributes": _attributes("span", shape.attributes, shape.length, random),
            }
            parent = one["spanId"]
            spans.append(one)
        yield spans


class Stream:
    """Encodes requests. bytes: of all traces, each with resources of its own, as the processor holds them."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.random = shape, random.Random(shape.name)
        self.resources = [
            {"attributes": [
                {"key": "service.name", "value": {"stringValue": f"service-{number}"}},
                *_attributes("resource", shape.resource - 1, shape.length and 20, self.random),
            ]}
            for number in range(SERVICES)
        ]  # fmt: skip
        self.spans = self.bytes = 0

    def request(self, traces: int) -> bytes:
        by_service: list[list[dict[str, Any]]] = [[] for _service in range(SERVICES)]
        for _trace_number in range(traces):
            for service, spans in enumerate(_trace(self.shape, self.random)):
                by_service[service] += spans
                self.bytes += len(self._encoded(service, spans))
                self.spans += len(spans)
        return b"".join(self._encoded(service, spans) for service, spans in enumerate(by_service))

    def _encoded(self, service: int, spans: list[dict[str, Any]]) -> bytes:
        scopes = [{"scope": {"name": "memory"}, "spans": spans}]
        return tiers.encode({"resource": self.resources[service], "scopeSpans": scopes})


def measure(otelcol: str, shape: Shape) -> dict[str, Any]:
    sink = tiers.Sink()
    values = tiers.shipped(
        {
            "collector_decision_wait": f"{WAIT}s",
            "collector_num_traces": max(1000, 2 * shape.held // SPANS),
            "collector_sampler_replicas": 1,
            "collector_sampler_resources": {"limits": {"memory": "4Gi"}},
        },
        sink,
    )["sampler"]
    config = values["config"]
    [port] = tiers.ports(1)
    endpoint = {"endpoint": f"127.0.0.1:{port}", "max_request_body_size": 64 * MEBIBYTE}
    config["receivers"] = {"otlp": {"protocols": {"http": endpoint}}}
    rate = shape.held / (WAIT + 0.5)  # a tick is a second
    highest = 0
    with tempfile.TemporaryDirectory() as folder:
        collector = tiers.start(otelcol, Path(folder), "sampler", config, tiers.runtime(values))
        try:
            tiers.wait("the collector's health", collector.healthy)
            time.sleep(2)
            idle = collector.resident()
            connection = http.client.HTTPConnection("127.0.0.1", port)
            stream, began = Stream(shape), time.monotonic()
            while (passed := time.monotonic() - began) < 2.5 * WAIT:
                if (missing := passed * rate - stream.spans) < SPANS:
                    time.sleep(0.05)
                    continue
                body = stream.request(min(TRACES_PER_REQUEST, int(missing / SPANS)))
                connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"the collector answers {answer.status}")
                if passed > WAIT:
                    highest = max(highest, collector.resident())
            held = SPANS * collector.value("otelcol_processor_tail_sampling_sampling_traces_on_memory")
        finally:
            collector.process.terminate()
            collector.process.wait(60)
    size = stream.bytes / stream.spans
    planned = sampler_memory(held, size).expected
    return {
        "shape": shape.name,
        "bytes_per_span": round(size),
        "spans": round(held),
        "idle_mib": round(idle / MEBIBYTE),
        "highest_mib": round(highest / MEBIBYTE),
        "planned_mib": round(planned / MEBIBYTE),
        "ratio": round(highest / planned, 2),
        "ratio_of_the_spans": round((highest - idle) / (planned - IDLE_MEMORY), 2),
        "bytes_of_memory_per_span": round((highest - idle) / held),
    }


def main() -> None:
    otelcol = os.environ.get("ORION_OTELCOL", "")
    if not otelcol:
        raise SystemExit("set ORION_OTELCOL")
    known = {shape.name: shape for shape in SHAPES}
    for name in sys.argv[1:] or known:
        print(json.dumps(measure(otelcol, known[name])), flush=True)


if __name__ == "__main__":
    main()
