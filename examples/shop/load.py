# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Sends a mix of good, slow and failing requests to the storefront, at an even rate.

    python3 examples/shop/load.py --url http://127.0.0.1:30380 --rate 5 --duration 60

It ends after --duration seconds or --count requests, and prints what came back for each kind of request. Exit status:
0; 1 where an answer had a status that its kind of request does not have; 2 for wrong arguments. It needs Python alone.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

# Kind of request → the status of its answer.
KINDS = {"book": 201, "slow": 201, "broken-price": 502, "flaky-shipment": 201, "unknown": 404, "batch": 201}
MIX = {"book": 70, "slow": 8, "broken-price": 8, "flaky-shipment": 6, "unknown": 2, "batch": 6}
LARGEST_BATCH = 5


@dataclass(frozen=True)
class Shot:
    """One request: its kind, tenant, path and body."""

    kind: str
    tenant: str
    path: str
    body: Mapping[str, object]


@dataclass
class Results:
    """Answers by kind: counts of each status, where 0 is no answer, and seconds. skipped: requests not sent."""

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    skipped: int = 0

    def add(self, kind: str, status: int, seconds: float) -> None:
        self.statuses[kind][status] += 1
        self.seconds[kind].append(seconds)

    @property
    def unexpected(self) -> int:
        """Answers with another status than the kind of request has."""
        return sum(n for kind, counts in self.statuses.items() for status, n in counts.items() if status != KINDS[kind])


def shots(seed: int, mix: Mapping[str, int], tenants: int) -> Iterator[Shot]:
    """An endless sequence of requests in these proportions, the same for the same seed."""
    chance = random.Random(seed)
    kinds, weights = list(mix), list(mix.values())
    while True:
        (kind,) = chance.choices(kinds, weights)
        tenant = f"tenant-{chance.randrange(tenants) + 1}"
        if kind == "batch":
            orders = [order("book", chance) for _ in range(chance.randint(2, LARGEST_BATCH))]
            yield Shot(kind, tenant, "/checkout/batch", {"orders": orders})
        else:
            yield Shot(kind, tenant, "/checkout", order(kind, chance))


def order(sku: str, chance: random.Random) -> dict[str, object]:
    return {"sku": sku, "quantity": chance.randint(1, 20)}


def send(url: str, shot: Shot, timeout: float) -> int:
    """The status of the answer, or 0 where there is none."""
    headers = {"content-type": "application/json", "x-tenant-id": shot.tenant}
    request = urllib.request.Request(url + shot.path, json.dumps(shot.body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.read()
        return error.code
    except OSError:
        return 0


def run(options: argparse.Namespace) -> Results:
    """Sends the requests at their times. One that is due while as many as allowed are under way is skipped."""
    results, lock = Results(), threading.Lock()
    free = threading.Semaphore(options.concurrency)

    def fire(shot: Shot) -> None:
        begin = time.monotonic()
        try:
            status = send(options.url, shot, options.timeout)
        finally:
            free.release()
        with lock:
            results.add(shot.kind, status, time.monotonic() - begin)

    begin = reported = time.monotonic()
    number = 0
    with ThreadPoolExecutor(options.concurrency) as pool:
        for number, shot in enumerate(shots(options.seed, options.mix, options.tenants)):
            due = number / options.rate
            if (options.count and number >= options.count) or (options.duration and due >= options.duration):
                break
            time.sleep(max(0.0, begin + due - time.monotonic()))
            if free.acquire(blocking=False):
                pool.submit(fire, shot)
            else:
                results.skipped += 1
            if time.monotonic() - reported >= 5:
                reported = time.monotonic()
                print(f"{reported - begin:.0f} s: {number + 1} requests", file=sys.stderr)
    return results


def report(results: Results) -> str:
    """A table with a line for each kind of request."""
    lines = [f"{'kind':16}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}  statuses"]
    for kind in KINDS:
        if times := sorted(results.seconds.get(kind, [])):
            p50, p99 = (1000 * times[int(share * (len(times) - 1))] for share in (0.5, 0.99))
            counts = sorted(results.statuses[kind].items())
            statuses = ", ".join(f"{status or 'no answer'}: {n}" for status, n in counts)
            lines.append(f"{kind:16}{len(times):>9}{p50:>9.0f}{p99:>9.0f}  {statuses}")
    if results.skipped:
        lines.append(f"{results.skipped} requests were not sent, because too many were under way: raise --concurrency")
    if results.unexpected:
        lines.append(f"{results.unexpected} answers with a status that their kind of request does not have")
    return "\n".join(lines)


def mix_of(text: str) -> dict[str, int]:
    """`book=70,slow=30` → the weight of each kind."""
    mix = {}
    for part in text.split(","):
        kind, equals, weight = part.strip().partition("=")
        if kind not in KINDS or not equals or not weight.isdecimal():
            raise argparse.ArgumentTypeError(f"{part!r} is not KIND=WEIGHT with a kind of {', '.join(KINDS)}")
        mix[kind] = int(weight)
    if not sum(mix.values()):
        raise argparse.ArgumentTypeError("all weights are 0, so there is nothing to send")
    return mix


def positive(text: str) -> float:
    """A number above 0 and not above 86400: a day, or requests a second."""
    number = float(text)
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 86400")
    return number


def whole(text: str) -> int:
    """A whole number from 1 to 1000000."""
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 1000000")
    return number


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:30380", help="the storefront (default: %(default)s)")
    parser.add_argument("--rate", type=positive, default=5.0, help="requests a second (default: %(default)s)")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--duration", type=positive, help="seconds (default: 60)")
    end.add_argument("--count", type=whole, help="requests")
    parser.add_argument("--mix", type=mix_of, default=MIX, help=f"KIND=WEIGHT,… with the kinds {', '.join(KINDS)}")
    parser.add_argument("--tenants", type=whole, default=3, help="number of tenants (default: %(default)s)")
    parser.add_argument("--concurrency", type=whole, default=32, help="requests under way at most (default: 32)")
    parser.add_argument("--timeout", type=positive, default=15.0, help="seconds for an answer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same requests (default: 1)")
    options = parser.parse_args(argv)
    options.url = options.url.rstrip("/")
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"--url is {options.url}, which is not a http:// or https:// address")
    if not options.duration and not options.count:
        options.duration = 60.0
    return options


def main(argv: Sequence[str]) -> int:
    results = run(parse(argv))
    print(report(results))
    return 1 if results.unexpected else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
