# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of the number of samplers costs, against the load balancer's own ring."""

from __future__ import annotations

import bisect
import zlib
from random import Random

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import (
    moved_share,
    restarted_share,
    split_traces,
)

POSITIONS, POINTS = 131071, 200


def ring(samplers: list[str]) -> list[tuple[int, str]]:
    """exporter/loadbalancingexporter/consistent_hashing.go v0.158.0, of which collisions are left out."""
    found: dict[int, str] = {}
    for sampler in samplers:
        for point in range(POINTS):
            found.setdefault(zlib.crc32(sampler.encode() + point.to_bytes(4, "little")) % POSITIONS, sampler)
    return sorted(found.items())


def sampler_of(trace: bytes, items: list[tuple[int, str]]) -> str:
    at = bisect.bisect_left(items, (zlib.crc32(trace) % POSITIONS, ""))
    return items[at % len(items)][1]


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 4), (4, 3), (9, 10)])
def test_one_more_or_fewer_moves_its_share(before: int, after: int) -> None:
    random = Random(f"{before} {after}")
    traces, moved, runs = [random.randbytes(16) for _number in range(4000)], 0, 5
    for _run in range(runs):
        names = [f"10.{random.randrange(256)}.{random.randrange(256)}.{number}:4317" for number in range(10)]
        one, other = ring(names[:before]), ring(names[:after])
        moved += sum(sampler_of(trace, one) != sampler_of(trace, other) for trace in traces)
    assert moved / runs / len(traces) == pytest.approx(moved_share(before, after), rel=0.25)
    assert moved_share(before, after) == 1 / max(before, after)


def test_several_move_one_after_the_other() -> None:
    assert moved_share(3, 6) == moved_share(6, 3) == pytest.approx(1 / 4 + 1 / 5 + 1 / 6)
    assert moved_share(3, 3) == 0


def test_those_that_stay_are_restarted() -> None:
    assert restarted_share(3, 4) == 1.5
    assert restarted_share(4, 3) == 2


@pytest.mark.parametrize(
    ("before", "after", "split"), [(3, 4, 17500), (4, 3, 22500), (3, 3, 0), (1, 2, 15000)]
)  # fmt: skip
def test_split_traces(before: int, after: int, split: int) -> None:
    assert split_traces(1000, 10, before, after) == split
