# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common import quantities


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("168h", 604800), ("1h30m", 5400), ("1m30s", 90), ("10s", 10), ("1.5h", 5400), ("1m0.5s", 60.5), ("500ms", 0.5),
        ("2us", 2e-6), ("3\u00b5s", 3e-6), ("3\u03bcs", 3e-6), ("7ns", 7e-9), ("1.s", 1), (".5s", 0.5), ("0s", 0),
        ("1ms1m", 60.001),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert quantities.duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "", "10", 300, "7 days", "7d", "h", "s", ".s", "-1h", "+1h", "1h 30m", " 1h", "1h\n", "1hx", "1H", "\u0661h",
        None, True,
    ],
)  # fmt: skip
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a Go duration") as caught:
        quantities.duration_seconds(text)
    assert f"'{text}'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("-5m", -300), ("1h", 3600), ("250ms", 0.25), ("30s", 30), ("2d", 172800), ("1w", 604800)]
)
def test_intervals(text: str, seconds: float) -> None:
    assert quantities.interval_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", 5, "m", "1.5h", "1h30m", "+1h", " 1h", "1h\n", "1M", "1us", None])
def test_what_is_no_interval(text: Any) -> None:
    with pytest.raises(ValueError, match="is not an interval") as caught:
        quantities.interval_seconds(text)
    assert f"'{text}'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512Mi", 512 * 2**20), ("2Gi", 2**31), ("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("1Ti", 2**40), ("1Ei", 2**60),
        ("1.5G", 1_500_000_000), ("2M", 2_000_000), ("100k", 100_000), ("5E", 5 * 10**18), ("1e9", 10**9),
        ("2E3", 2000), ("1e+9", 10**9), (1048576, 2**20), (1e9, 10**9), ("1.", 1), (".5Ki", 512), ("0.1Gi", 107374182),
        ("0", 0), ("9007199254740993", 9007199254740993),
    ],
)  # fmt: skip
def test_memory(text: Any, size: int) -> None:
    assert quantities.memory_bytes(text) == size


@pytest.mark.parametrize("text", ["512m", "1n", "1u", "1e-3", "-1", "-1Mi", "+1Mi"])
def test_a_quantity_that_is_none_of_memory(text: str) -> None:
    assert quantities.quantity(text)
    with pytest.raises(ValueError, match=f"'{re.escape(text)}' is not a Kubernetes quantity of bytes"):
        quantities.memory_bytes(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", "0.5"), ("250u", "0.00025"), ("3n", "3e-9"), ("1.5", "1.5"), (2, "2"), ("-2k", "-2000"), ("+1", "1"),
        ("0.1Gi", "107374182.4"), ("1e-3", "0.001"), ("1E", "1e18"), ("1E1", "10"), ("100n", "1e-7"),
    ],
)  # fmt: skip
def test_quantities_are_exact(text: Any, number: str) -> None:
    assert quantities.quantity(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "", "1 Gi", " 1Gi", "1Gi\n", "2GB", "512MB", "1KiB", "Mi", "-", "1Gi2", "1e999", "1e", "1K", "1_000", "nan",
        "Infinity", None, True,
    ],
)  # fmt: skip
def test_what_is_no_quantity(text: Any) -> None:
    for read in (quantities.quantity, quantities.memory_bytes):
        with pytest.raises(ValueError, match="is not a Kubernetes quantity") as caught:
            read(text)
        assert f"'{text}'" in str(caught.value)


@pytest.mark.parametrize(("limit", "expected"), [("256Mi", "204MiB"), ("512Mi", "409MiB"), ("1G", "762MiB")])
def test_gomemlimit_is_a_share_of_the_limit_in_whole_mebibytes(limit: str, expected: str) -> None:
    assert quantities.go_mem_limit(limit, 80) == expected
