# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages to look at and to test: a proof, a trace that has everything wrong, one of 50,000 spans, and a comparison.

usage: python -m ansible_collections.orion.tracing.tests.report.made FOLDER     writes them as HTML files
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp import recordings
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.plugins.module_utils.report.comparison import compare
from ansible_collections.orion.tracing.plugins.module_utils.report.logs import log_data
from ansible_collections.orion.tracing.plugins.module_utils.report.measured import measured_graph
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows, trace_rows
from ansible_collections.orion.tracing.plugins.module_utils.sampling.report import page_data
from ansible_collections.orion.tracing.plugins.module_utils.sampling.simulate import Candidate, simulate
from ansible_collections.orion.tracing.plugins.module_utils.sampling.summary import CostLoad

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles/verify/files/report.html"
MADE = {"title": "", "subtitle": "", "made": "2026-11-29T10:15:00+00:00"}
MARKUP = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
BEGIN = 1_769_853_600 * 10**9
MS = 10**6


def shop(count: int) -> list[TraceRows]:
    """The largest traces of the recorded shop, those with errors first."""
    documents = [m.document() for m in recordings.FileRecording(ROOT / "tests/data/shop.jsonl.gz").messages()]
    found = [trace_rows(next(otlp.spans(one))["traceId"], one) for one in documents]
    return sorted(found, key=lambda one: (not one.errors, -len(one.rows)))[:count]


def span(
    number: int, parent: int, name: str, start: float, end: float, kind: str = "INTERNAL", **more: Any
) -> otlp.Span:
    """One of the trace `odd`; times in milliseconds."""
    error, values = more.pop("error", None), more.pop("values", {})
    times = BEGIN + int(start * MS), BEGIN + int(end * MS)
    made = otlp.span("0d" * 16, f"{number:016x}", f"{parent:016x}" if parent else "", name, kind, *times, values, error)
    return {**made, **more}


def odd() -> TraceRows:
    """A trace with everything that can be wrong with one, and markup wherever text can be."""
    web = [
        span(1, 0, "GET /checkout", 0, 120, "SERVER", values={"http.route": "/checkout", "note": MARKUP}),
        span(2, 1, MARKUP, 5, 110, "CLIENT", values={"big": 2**60, "nan": float("nan"), "list": ["a", "<b>"]}),
        span(8, 0, "second root", 20, 60),
        span(9, 99, "orphan", 10, 30),
        span(20, 21, "circle one", 40, 70),
        span(21, 20, "circle two", 45, 60),
        span(22, 22, "own parent", 50, 55),
        span(23, 1, "ends before it starts", 80, 70),
        span(24, 1, "untimed", 0, 0, startTimeUnixNano="0", endTimeUnixNano="0"),
    ]
    api = [
        span(3, 2, "POST /orders", -8, 90, "SERVER", error=MARKUP, values={"code.stacktrace": "a\n  b\n" * 40},
             events=[{"name": "exception", "timeUnixNano": str(BEGIN + 30 * MS),
                      "attributes": otlp.attributes({"exception.message": MARKUP})}],
             links=[{"traceId": "0d" * 16, "spanId": f"{9:016x}"}, {"traceId": "ab" * 16, "spanId": "cd" * 8}],
             droppedAttributesCount=3),
        span(4, 3, "INSERT", 10, 60, "CLIENT", values={"db.system.name": "postgresql", "db.namespace": "shop"}),
        span(5, 3, "send orders", 62, 66, "PRODUCER",
             values={"messaging.system": "kafka", "messaging.destination.name": "orders"}),
    ]  # fmt: skip
    ship = [span(6, 5, "process orders", 75, 400, "CONSUMER",
                 values={"messaging.system": "kafka", "messaging.destination.name": "orders"})]  # fmt: skip
    parts = [otlp.request({"service.name": name}, "shop 1.4", spans) for name, spans in
             (("web", web), (MARKUP, api), ("fulfilment", ship))]  # fmt: skip
    return trace_rows("0d" * 16, otlp.merge(parts))


def large(count: int) -> TraceRows:
    """A trace of so many spans of twelve services, up to thirty deep."""
    random, parents = Random(5), [0]
    spans: dict[str, list[otlp.Span]] = {}
    times = [(0.0, 60_000.0)]
    for number in range(1, count + 1):
        above = max(0, number - 1 - random.randrange(60)) if number > 1 else 0
        start, end = times[above]
        begin = start + (end - start) * random.random() * 0.5
        times.append((begin, begin + (end - begin) * random.uniform(0.2, 0.9)) if number > 1 else (0.0, 60_000.0))
        parents.append(above)
        values = {"http.route": f"/items/{number % 97}", "thread.id": number % 16, "net.peer": f"10.0.0.{number % 250}"}
        one = span(number, above, f"operation {number % 211}", *times[number], values=values,
                   error="failed" if number % 997 == 0 else None)  # fmt: skip
        spans.setdefault(f"service-{number % 12}", []).append(one)
    parts = [otlp.request({"service.name": name}, "bench", some) for name, some in spans.items()]
    return trace_rows("0d" * 16, otlp.merge(parts))


def records(trace: TraceRows) -> list[dict[str, str]]:
    """As VictoriaLogs has them: two of the first span, one of another trace's span, one without a span."""
    texts = ["checkout", "order 7 failed: " + MARKUP, "of a span that was not kept", "x" * 3000]
    ids = [trace.rows[0].span_id, trace.rows[0].span_id, "f" * 16, ""]
    levels = ["INFO", "ERROR", "WARN", ""]
    begin = datetime.fromtimestamp(trace.start / 1e9, UTC)
    times = [begin + timedelta(milliseconds=12 * number) for number in range(len(texts))]
    return [{"_time": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z", "_msg": text, "span_id": span_id, "trace_id": trace.trace_id,
             "service.name": trace.service, "severity_text": level}
            for time, text, span_id, level in zip(times, texts, ids, levels, strict=True)]  # fmt: skip


def measured() -> dict[str, Any]:
    """The graph of an hour, as Prometheus' answers give it: services, a database, a broker's edge, a carrier."""
    edges = [("user", "storefront", "virtual_node", 3605, 0), ("storefront", "gateway", "", 3604, 36),
             ("gateway", "orders", "", 3604, 36), ("orders", "shop", "database", 7208, 0),
             ("orders", "pricing", "", 3604, 36), ("orders", "fulfilment", "messaging_system", 3500, 2),
             ("pricing", "fulfilment", "", 12, 0), ("fulfilment", "carrier", "virtual_node", 3498, 1)]  # fmt: skip
    found = {"calls": [], "errors": [], "p50": [], "p95": []}
    for number, (client, server, way, calls, errors) in enumerate(edges):
        ends = {"client": client, "server": server}
        found["calls"].append(({**ends, "connection_type": way}, float(calls)))
        found["errors"].append(({**ends, "connection_type": way}, float(errors)))
        if way != "messaging_system":
            found["p50"].append((ends, 0.004 * (number + 1)))
            found["p95"].append((ends, 0.02 * (number + 1)))
    return measured_graph(found, 3600)


def proof() -> dict[str, Any]:
    """A proof's page, from recorded traces."""
    traces = [*shop(5), odd()]
    labels = ["one order", "error trace", "slow trace", "critical route", "ordinary trace", "everything wrong"]
    first = traces[0]
    logs = log_data(first, records(first), "VictoriaLogs") | {"link": "https://grafana.example.com/explore?logs"}
    data = [page.trace_data(one, label, "", logs if not n else {"none": "No log store is configured."})
            for n, (one, label) in enumerate(zip(traces, labels, strict=True))]  # fmt: skip
    checks = [
        (
            "AC1 one trace over all services",
            "one order: 14 spans of 5 services",
            f"one order: 14 spans, trace {first.trace_id}",
        ),
        ("AC5 baggage", "one order: tenant.id on every span", "one order: 14 spans"),
        ("error traces kept and complete", "3 of 3 traces", "3 of 3 traces"),
        ("health checks dropped", "0 of 20 traces", "0 of 20 traces"),
        ("share of other traces kept", "the same 31 of 300 traces (10.3 %)", "31 of 300 traces (10.3 %)"),
        ("found by TraceQL search", "40 of 40 kept traces", "40 of 40 kept traces"),
    ]
    cases = [
        ("error traces", 3, 3, [3, 3], [("kept by errors", 3)]),
        ("slow traces", 3, 3, [3, 3], [("kept by slow", 3)]),
        ("health checks", 20, 0, [0, 0], [("dropped by drop-health-checks", 20)]),
        ("other traces", 300, 31, [31, 31], [("kept by baseline", 31), ("kept by no policy", 269)]),
    ]
    return {
        **MADE,
        "title": "Proof of the tracing platform",
        "subtitle": "29 November 2026, 10:14 UTC · namespace tracing · Tempo · run 3f9c0a77",
        "passed": True,
        "tiles": [
            {"name": "Checks passed", "value": "6 of 6", "note": ""},
            {"name": "First trace read back", "value": "3.4 s", "note": "after it was sent"},
            {"name": "Traces kept", "value": "37 of 326", "note": "as the policies say"},
            {"name": "Spans sent", "value": "1,932", "note": "in 48 requests"},
        ],
        "checks": [
            {"name": name, "expected": expected, "observed": observed, "seconds": 3.4 + number, "passed": True}
            for number, (name, expected, observed) in enumerate(checks)
        ],
        "notes": ["only one gateway replica: that spans of one trace meet again was not put to the test"],
        "traces": data,
        "graphs": [measured(), page.graph_data(traces[:5])],
        "sampling": {
            "cases": [
                {"name": name, "sent": sent, "kept": kept, "wanted": wanted,
                 "why": [{"text": text, "traces": number} for text, number in why]}
                for name, sent, kept, wanted, why in cases
            ],
            "policies": [{"name": "errors", "type": "status_code", "traces": 3},
                         {"name": "baseline", "type": "probabilistic", "traces": 31}],
            "note": "What has to become of each trace is what the deployed policies make of it.",
        },
        "freshness": [
            {"name": "first trace read back", "seconds": 3.4, "note": ""},
            {"name": "found by TraceQL search", "seconds": 8.4, "note": ""},
            {"name": "block objects in the bucket", "seconds": None, "note": "not checked"},
        ],
        "versions": [{"name": "Kubernetes", "version": "v1.34.4", "image": ""},
                     {"name": "otel-collector", "version": "0.158.0",
                      "image": "docker.io/otel/opentelemetry-collector-contrib:0.158.0"}],
        "links": [{"name": "Grafana", "url": "https://grafana.example.com/explore"}],
    }  # fmt: skip


def traces(*some: TraceRows) -> dict[str, Any]:
    """The page of some traces alone."""
    return {**MADE, "title": "Traces", "subtitle": f"{len(some)}", "traces": [page.trace_data(one) for one in some],
            "graphs": [page.graph_data(some)]}  # fmt: skip


def simulation() -> dict[str, Any]:
    """Two configurations over some recorded traces."""
    policy = {"name": MARKUP, "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
    share = {"name": "share", "type": "probabilistic", "probabilistic": {"sampling_percentage": 20}}
    tried = [Candidate(name, {"decision_wait": "5s", "policies": some})
             for name, some in (("errors and a share", [policy, share]), ("errors alone", [policy]))]  # fmt: skip
    found = simulate(islice(recordings.read(ROOT / "tests/data/shop.jsonl.gz"), 3000), tried, CostLoad())
    return MADE | page_data(found.results, found.comparison, "shop.jsonl.gz")


def comparison() -> dict[str, Any]:
    """Two ranges of one operation."""
    found = [one for one in shop(400) if one.name == "POST /api/v1/orders"] or shop(40)
    half = len(found) // 2
    compared = compare(found[:half], found[half:])
    for side, title in zip(compared["sides"], ("before", "after"), strict=True):
        side["title"] = title
    return {**MADE, "title": "Comparison", "subtitle": "POST /api/v1/orders", "comparison": compared,
            "traces": [page.trace_data(found[0], "before"), page.trace_data(found[half], "after")]}  # fmt: skip


def write(folder: Path, name: str, data: dict[str, Any]) -> Path:
    path = folder / f"{name}.html"
    path.write_text(page.render(TEMPLATE.read_text(encoding="utf-8"), data), encoding="utf-8")
    return path


if __name__ == "__main__":
    where = Path(sys.argv[1])
    pages = {
        "proof": proof(),
        "odd": traces(odd()),
        "large": traces(large(50_000)),
        "comparison": comparison(),
        "simulation": simulation(),
    }
    for page_name, content in pages.items():
        print(write(where, page_name, content), write(where, page_name, content).stat().st_size)
