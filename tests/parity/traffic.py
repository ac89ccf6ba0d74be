# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traces of many shapes from a seed, as OTLP/JSON requests.

The shapes are chosen for what a policy can trip over: the same key with values of every type, on resource, scope, span
and event; empty strings; times at a threshold, a nanosecond beside it, zero and running backwards; traces without a
root, with two roots, of one span, in several requests; tracestate that does not parse; flags beyond the sampled bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

MS = 1_000_000
EPOCH = 1_700_000_000_000_000_000
SERVICES = ("cart", "checkout", "payment", "frontend", "Frontend", "größe-日本", "")
NAMES = ("GET /api/v1/orders", "GET /health", "SELECT shop.orders", "publish", "käse", "", "a.b+c(d)", "two\nlines")
ROUTES = ("/api/v1/orders", "/api/v1/trades", "/health", "/healthz", "/", "", "$HOME/{id}")
# Both sides of every bound that the policy lists use, for keys that hold any type.
MIXED: tuple[dict[str, Any], ...] = (
    *({"intValue": str(n)} for n in (-(2**63), -5, -1, 0, 1, 4, 5, 6, 199, 200, 404, 499, 500, 503, 599, 600)),
    *({"intValue": str(n)} for n in (9007199254740993, 9223372036854775807)),
    *({"doubleValue": x} for x in (-0.5, 0.0, 0.5, 5.0, 499.9999999, 500.0, 1e300, 9007199254740992.0)),
    *({"stringValue": s} for s in ("", "5", "500", "true", "false", "acme", "Acme", "acme.com", "xacmex", "GET", "ü")),
    *({"boolValue": b} for b in (True, False)),
    {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "5"}, {"boolValue": True}]}},
    {"arrayValue": {"values": []}},
    {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}},
                                {"key": "n", "value": {"intValue": "5"}}]}},
    {"bytesValue": "AQL/"},
    {},
)  # fmt: skip
STATES = ("", "vendor=a", "vendor=b,other=a", "other=a, vendor=c", "ot=th:8;rv:7f0123456789ab", "=", "vendor", "a=b=c",
          "Upper=x", "vendor=a,vendor=b", "tenant@vendor=a", "vendor= a", "vendor=a,", ",vendor=a",
          "vendor=" + "v" * 256, "vendor=" + "v" * 257)  # fmt: skip
FLAGS = (0, 1, 2, 3, 0x100, 0x101, 0x300, 0x301, 0xFF)
DURATIONS = (0, 1, MS - 1, MS, MS + 1, 5 * MS, 99 * MS, 100 * MS - 1, 100 * MS, 100 * MS + 1, 101 * MS - 1, 101 * MS,
             101 * MS + 1, 500 * MS, 999 * MS, 1000 * MS - 1, 1000 * MS, 1000 * MS + 1, 1001 * MS, 1001 * MS - 1,
             5000 * MS, 5001 * MS, 60_000 * MS)  # fmt: skip


def _attributes(random: Random, where: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if random.random() < 0.35:
        found["mixed"] = random.choice(MIXED)
    if random.random() < 0.15:
        found["rare"] = random.choice(MIXED)
    if random.random() < 0.2:
        found[f"{where}.only"] = random.choice(MIXED)
    if where == "span":
        if random.random() < 0.6:
            key = random.choice(("http.route", "url.path", "http.target"))
            found[key] = {"stringValue": random.choice(ROUTES)}
        if random.random() < 0.4:
            found["http.response.status_code"] = {"intValue": str(random.choice((200, 200, 200, 404, 500, 503)))}
        if random.random() < 0.3:
            found["cache.hit"] = {"boolValue": random.random() < 0.5}
    return [{"key": key, "value": value} for key, value in found.items()]


def _span(random: Random, trace: str, parent: str, start: int, end: int) -> dict[str, Any]:
    span: dict[str, Any] = {"traceId": trace, "spanId": f"{random.getrandbits(64) | 1:016x}"}
    if random.random() < 0.25:
        span["traceState"] = random.choice(STATES)
    if parent:
        span["parentSpanId"] = parent
    if random.random() < 0.3:
        span["flags"] = random.choice(FLAGS)
    span["name"] = random.choice(NAMES)
    span["kind"] = random.randrange(6)
    if start:
        span["startTimeUnixNano"] = str(start)
    if end:
        span["endTimeUnixNano"] = str(end)
    if attributes := _attributes(random, "span"):
        span["attributes"] = attributes
    if random.random() < 0.2:
        span["events"] = [
            {
                "timeUnixNano": str(start + random.randrange(MS)),
                "name": random.choice(("exception", "log", "", "retry")),
                "attributes": _attributes(random, "event"),
            }
            for _number in range(random.randint(1, 3))
        ]
    if random.random() < 0.1:
        span["links"] = [
            {"traceId": f"{random.getrandbits(128) | 1:032x}", "spanId": f"{random.getrandbits(64) | 1:016x}"}
        ]
    if random.random() < 0.3:
        code = random.choice((0, 0, 0, 0, 1, 2))
        span["status"] = {"code": code, "message": random.choice(("", "timeout", "Zeit über"))} if code else {}
    return span


def _times(random: Random) -> tuple[int, int]:
    start = EPOCH + random.randrange(10**12)
    return start, start + random.choice(DURATIONS)


def trace(random: Random, spans: int | None = None) -> list[dict[str, Any]]:
    """resourceSpans of one trace, in the order in which they are sent; 1 to 12 spans unless told."""
    trace_id = f"{random.getrandbits(128) | 1:032x}"
    first, last = _times(random)
    count = spans or random.choice((1, 1, 2, 3, 4, 5, 5, 6, 8, 12))
    quiet = random.random() < 0.3  # nothing but names and times, so that policies do not all match every trace
    found, parents = [], [""]
    for number in range(count):
        start, end = (first, last) if number == 0 else sorted(random.randint(first, last) for _edge in range(2))
        shape = random.random()
        if shape < 0.01:
            start, end = end, start  # a clock that was set back
        elif shape < 0.02:
            start = 0
        elif shape < 0.03:
            end = 0
        parent = random.choice(parents) if number else ""
        if number == 0 and random.random() < 0.15:
            parent = f"{random.getrandbits(64) | 1:016x}"  # the root was lost
        one = _span(random, trace_id, parent, start, end)
        if quiet:
            one = {key: one[key] for key in one if key not in ("attributes", "events", "status", "flags", "traceState")}
        parents.append(one["spanId"])
        found.append(one)
    if random.random() < 0.4:
        random.shuffle(found)
    return list(_resources(random, found, quiet))


def _resources(random: Random, spans: list[dict[str, Any]], quiet: bool) -> Iterator[dict[str, Any]]:
    while spans:
        size = random.randint(1, len(spans))
        part, spans = spans[:size], spans[size:]
        cut = random.randint(0, len(part))
        scopes = []
        for piece in (part[:cut], part[cut:]):
            if piece:
                scope: dict[str, Any] = {
                    "name": random.choice(("", "http", "db")),
                    "version": random.choice(("", "1.2")),
                }
                if random.random() < 0.3 and not quiet:
                    scope["attributes"] = _attributes(random, "scope")
                scopes.append({"scope": scope, "spans": piece})
        resource: list[dict[str, Any]] = [{"key": "service.name", "value": {"stringValue": random.choice(SERVICES)}}]
        if random.random() < 0.1:
            resource = []
        if not quiet and random.random() < 0.4:
            resource += _attributes(random, "resource")
        yield {"resource": {"attributes": resource}, "scopeSpans": scopes}


def probes() -> list[dict[str, Any]]:
    """resourceSpans of traces of one span that differ in one thing: a value of some type in some place, its times,
    kind, status, flags, tracestate or name. What a condition says of each shows in its trace's decision alone."""
    changes: list[tuple[str, Any]] = [("", None)]
    changes += [(where, value) for where in ("span", "resource", "scope", "event") for value in MIXED]
    changes += [("endTimeUnixNano", str(EPOCH + duration)) for duration in DURATIONS]
    changes += [("endTimeUnixNano", str(EPOCH - duration)) for duration in (1, MS, 101 * MS)]
    changes += [("startTimeUnixNano", "0"), ("endTimeUnixNano", "0")]
    changes += [("kind", kind) for kind in range(7)] + [("flags", flags) for flags in FLAGS]
    changes += [("status", {"code": code, "message": text}) for code in range(4) for text in ("", "timeout")]
    changes += [("traceState", state) for state in STATES] + [("name", name) for name in NAMES]
    changes += [("parentSpanId", "00f067aa0ba902b7"), ("links", [{"traceId": "1" * 32, "spanId": "2" * 16}])]
    found = []
    for number, (key, value) in enumerate(changes, 1):
        span: dict[str, Any] = {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "name": "probe",
            "kind": 1,
            "startTimeUnixNano": str(EPOCH),
            "endTimeUnixNano": str(EPOCH + 50 * MS),
        }
        pair = [{"key": "mixed", "value": value}]
        resource: dict[str, Any] = {}
        scope: dict[str, Any] = {}
        if key == "span":
            span["attributes"] = pair
        elif key == "resource":
            resource["attributes"] = pair
        elif key == "scope":
            scope = {"name": "probe", "version": "1", "attributes": pair}
        elif key == "event":
            span["events"] = [{"timeUnixNano": str(EPOCH + 1), "name": "exception", "attributes": pair}]
        elif key:
            span[key] = value
        found.append({"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]})
    return found


TEXTS = (
    "", "a", "A", "ab", "abc", "aab", "b\na", "a\n", "\n", "a b", "a_b", "é", "É", "ß", "日本", "٣", "5", "55",
    "-", "a-b", "a.b", "/api/v1/orders", "[x]", "a]b", "\\", "^a$", "a+b", "{2}", "a{2}", "x\ty", " ", "\u00a0",
    "ſ", "k", "K", "\u212a", "_", "Straße", "aaa", "\x0b", "\x0c", "\r", "\u2028", "abcabc", "ﬀ", "i", "I",
    "\u0130", "\u0131", "µ", "μ", "foo.bar",
)  # fmt: skip


def texts() -> list[dict[str, Any]]:
    """resourceSpans of traces of one span, each with another text, for patterns to match."""
    found = []
    for number, text in enumerate(TEXTS, 1):
        span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "text", "kind": 1}
        span |= {"startTimeUnixNano": str(EPOCH), "endTimeUnixNano": str(EPOCH + MS)}
        found.append(
            {"scopeSpans": [{"spans": [{**span, "attributes": [{"key": "text", "value": {"stringValue": text}}]}]}]}
        )
    return found


def request(resources: Iterable[dict[str, Any]]) -> bytes:
    return json.dumps({"resourceSpans": list(resources)}, ensure_ascii=False).encode()


def requests(seed: int, traces: int) -> list[bytes]:
    """The probes in one request, then traces in requests of about 20; one trace in five has its resources spread over
    two requests, in order."""
    random = Random(seed)
    bodies: list[list[dict[str, Any]]] = [probes()]
    for start in range(0, traces, 20):
        now: list[dict[str, Any]] = []
        later: list[dict[str, Any]] = []
        for _number in range(start, min(start + 20, traces)):
            parts = trace(random)
            cut = random.randint(1, len(parts)) if random.random() < 0.2 else len(parts)
            now += parts[:cut]
            later += parts[cut:]
        bodies += [now, later] if later else [now]
    return [request(body) for body in bodies]
