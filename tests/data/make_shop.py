# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes shop.jsonl.gz, the recording that tests use: ten minutes of a shop that does not exist.

A line is one OTLP/JSON request and holds one trace, as in a recording of the collector's file exporter. Nearly all
traces are visits and health checks. Few are what tail sampling is for: errors (in the root, or only deep inside), slow
traces, a rare path through services that nothing else calls, and routes that one trace in a hundred has. Attributes
have all types of OTLP, text beyond ASCII among them.

usage: python tests/data/make_shop.py     the content is the same each time (a unit test compares it with the file)
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

FILE = Path(__file__).with_name("shop.jsonl.gz")
TRACES, SECONDS = 600, 600
BEGIN = 1_769_853_600 * 10**9  # 2026-01-31T10:00:00Z
MS = 10**6
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(1, 6)


@dataclass
class Call:
    """A span to be: who does what, for how long by itself (milliseconds), and what it calls, one after another."""

    service: str
    name: str
    kind: int
    own_ms: float
    values: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)


def rpc(caller: str, service: str, method: str, own_ms: float, *calls: Call, **values: Any) -> Call:
    """A client span with the server span of the other service inside."""
    inner = Call(service, f"{service}/{method}", SERVER, own_ms, {"rpc.method": method, **values}, list(calls))
    return Call(caller, f"{service}/{method}", CLIENT, 0.4, {"server.address": service}, [inner])


def query(service: str, statement: str, own_ms: float) -> Call:
    values = {"db.system.name": "postgresql", "db.query.text": statement, "db.response.returned_rows": int(own_ms * 3)}
    return Call(service, statement.partition(" WHERE")[0], CLIENT, own_ms, values)


def route(method: str, path: str, own_ms: float, *calls: Call, **values: Any) -> Call:
    target = {"http.request.method": method, "http.route": path, "http.target": path, "http.response.status_code": 200}
    return Call("frontend", f"{method} {path}", SERVER, own_ms, {**target, **values}, list(calls))


def visit(random: Random) -> Call:
    """What one visitor asks for."""
    ms = round(random.lognormvariate(1.2, 0.6), 3)  # the same on every machine
    catalog = rpc(
        "frontend", "catalogservice", "List", ms, query("catalogservice", "SELECT products", ms * 2),
        **{"cache.hit": random.random() < 0.4},
    )  # fmt: skip
    cart = rpc("frontend", "cartservice", "Get", ms, **{"cart.items": random.randint(0, 5)})
    match random.choices(
        ("health", "home", "product", "orders", "trades", "checkout", "report"), (24, 36, 20, 8, 4, 7, 1)
    )[0]:
        case "health":
            return route("GET", "/health", 0.3)
        case "home":
            return route("GET", "/", ms, catalog, cart)
        case "product":
            product = query("catalogservice", "SELECT products WHERE id = $1", ms)
            return route("GET", "/product/{id}", ms, rpc("frontend", "catalogservice", "Get", ms, product))
        case "orders":
            return route("GET", "/api/v1/orders", ms, rpc("frontend", "orderservice", "List", ms * 2))
        case "trades":
            return route("POST", "/api/v1/trades", ms, rpc("frontend", "orderservice", "Add", ms * 3))
        case "checkout":
            pay = rpc("checkoutservice", "paymentservice", "Charge", ms * 9, **{"payment.amount": round(ms * 7.5, 2)})
            # The parcel is packed after the answer.
            ship = Call("checkoutservice", "parcels send", PRODUCER, 0.5, {"messaging.system": "kafka"})
            ship.calls.append(Call("shippingservice", "parcels process", CONSUMER, ms * 20, {"city": "Göteborg"}))
            return route("POST", "/checkout", ms, cart, rpc("frontend", "checkoutservice", "Place", ms, pay, ship))
        case _:
            return route("GET", "/admin/report", ms * 4, query("frontend", "SELECT report", ms * 50))


def all_of(call: Call) -> list[Call]:
    return [call, *(inner for one in call.calls for inner in all_of(one))]


def trace(random: Random) -> dict[str, Any]:
    """A request with all spans of one trace, by service."""
    root = visit(random)
    every = all_of(root)
    failed: list[int] = []
    if len(every) > 1:
        if random.random() < 0.06:  # somewhere inside; half of them fail as a whole
            failed = [id(random.choice(every[1:]))] + [id(root)] * (random.random() < 0.5)
        if random.random() < 0.05:
            random.choice(every[1:]).own_ms += random.choice((random.randint(600, 1400), random.randint(3600, 6000)))
    if id(root) in failed:
        root.values["http.response.status_code"] = random.choice((500, 503))
    trace_id, services = f"{random.getrandbits(128) | 1:032x}", dict[str, list[dict[str, Any]]]()

    def record(call: Call, parent: str, start: int) -> int:
        """Adds the span of a call and of what it calls; when it ends."""
        span_id, end = f"{random.getrandbits(64) | 1:016x}", start + int(call.own_ms * MS / 2)
        span: dict[str, Any] = {"traceId": trace_id, "spanId": span_id}
        span |= ({"parentSpanId": parent} if parent else {}) | {"name": call.name, "kind": call.kind}
        services.setdefault(call.service, []).append(span)
        for one in call.calls:
            end = record(one, span_id, end)
        end += int(call.own_ms * MS / 2)
        span |= {"startTimeUnixNano": str(start), "endTimeUnixNano": str(end), "attributes": attributes(call.values)}
        if id(call) in failed:
            about = {"exception.type": "TimeoutError", "exception.message": "no answer within 1 s"}
            span["events"] = [{"timeUnixNano": str(end), "name": "exception", "attributes": attributes(about)}]
        span["status"] = {"code": 2, "message": "no answer"} if id(call) in failed else {}
        return end

    record(root, "", BEGIN + random.randrange(SECONDS * 1000) * MS)
    return {"resourceSpans": [resource(name, spans) for name, spans in services.items()]}


def resource(service: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    about = {"service.name": service, "service.namespace": "shop", "k8s.pod.name": f"{service}-7c9f-0"}
    if service == "frontend":
        about["process.command_args"] = ["frontend", "--port=8080"]  # type: ignore[assignment]
    return {
        "resource": {"attributes": attributes(about)},
        "scopeSpans": [{"scope": {"name": "shop", "version": "1.4.0"}, "spans": spans}],
    }


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def any_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [any_value(one) for one in value]}}
        case _:
            return {"stringValue": value}


def content() -> bytes:
    """The lines of the file, in the order in which their traces begin."""
    random = Random(1)
    traces = [trace(random) for _number in range(TRACES)]

    def begin(document: dict[str, Any]) -> str:
        return str(document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"])

    lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in sorted(traces, key=begin))
    return "".join(f"{line}\n" for line in lines).encode()


if __name__ == "__main__":
    # Without a time, so that the same content is the same file.
    FILE.write_bytes(gzip.compress(content(), 9, mtime=0))
