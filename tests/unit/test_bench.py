# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures of tests/bench/applications.py: what docs/bench.md prints of the latencies and rounds."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE
from ansible_collections.orion.tracing.tests.bench.applications import (
    Measured,
    difference,
    java_options,
    memory_limit,
    percentiles,
    row,
    rows,
)


def measured(**changed: float) -> Measured:
    return Measured(**{"start": 1.0, "p50": 0.002, "p99": 0.01, "cpu": 0.001, "memory": 50.0 * MEBIBYTE, **changed})


def test_percentiles_do_not_depend_on_the_order_and_lie_between_the_values():
    latencies = [float(number) for number in range(101)]
    assert percentiles(latencies) == percentiles(latencies[::-1]) == (50.0, 99.0)
    assert percentiles([1.0, 2.0]) == pytest.approx((1.5, 1.99))


def test_a_single_outlier_in_a_thousand_does_not_move_the_p99():
    assert percentiles([1.0] * 999 + [100.0])[1] == 1.0


def test_a_row_has_median_least_and_greatest_of_the_rounds():
    rounds = [measured(p99=seconds) for seconds in (0.030, 0.010, 0.012)]
    assert row("gateway", rounds) == [
        "gateway",
        "1.00 (1.00–1.00)",
        "2.00 (2.00–2.00)",
        "12.00 (10.00–30.00)",
        "1.00 (1.00–1.00)",
        "50 (50–50)",
    ]


def test_the_difference_is_that_of_each_round():
    """Not of the medians: a round that other load has slowed down, slows both down."""
    rounds = [
        (measured(p50=0.001), measured(p50=0.0015)),
        (measured(p50=0.009), measured(p50=0.0096)),
        (measured(p50=0.002), measured(p50=0.0024)),
    ]
    assert [one[2] for one in rows("gateway", rounds)] == ["2.00 (1.00–9.00)", "2.40 (1.50–9.60)", "0.50 (0.40–0.60)"]


def test_less_with_the_agent_is_a_negative_difference():
    assert difference(measured(memory=3.0), measured(memory=1.0)).memory == -2.0


def test_limits_and_options_are_those_of_the_chart_and_the_image():
    assert memory_limit("pricing") == 512 * MEBIBYTE
    assert "-XX:MaxRAMPercentage=50" in java_options("shop-pricing")
