# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from random import Random
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import NEVER, Gateway, head_threshold

# What ProbabilityToThresholdWithPrecision of contrib 0.158 gives for float64(float32(percentage)) / 100.
THRESHOLDS = [
    (50, 4, 0x80000000000000),
    (50, 14, 0x80000000000000),
    (50, 2, 0x80000000000000),
    (10, 4, 0xE6660000000000),
    (10, 14, 0xE6666666666666),
    (10, 2, 0xE6000000000000),
    (25, 4, 0xC0000000000000),
    (25, 14, 0xC0000000000000),
    (25, 2, 0xC0000000000000),
    (33.3, 4, 0xAAC10000000000),
    (33.3, 14, 0xAAC08333333334),
    (33.3, 2, 0xAB000000000000),
    (1, 4, 0xFD70A000000000),
    (1, 14, 0xFD70A3D70A3D71),
    (1, 2, 0xFD700000000000),
    (0.1, 4, 0xFFBE7700000000),
    (0.1, 14, 0xFFBE76C8A3D70A),
    (0.1, 2, 0xFFBE0000000000),
    (0.01, 4, 0xFFF97240000000),
    (0.01, 14, 0xFFF9724747AE14),
    (0.01, 2, 0xFFF97000000000),
    (99, 4, 0x028F6000000000),
    (99, 14, 0x028F5C28F5C290),
    (99, 2, 0x02900000000000),
    (99.9, 4, 0x00418900000000),
    (99.9, 14, 0x004188F5C28F60),
    (99.9, 2, 0x00420000000000),
    (99.999, 4, 0x0000A7AE000000),
    (99.999, 14, 0x0000A7AE147AE0),
    (99.999, 2, 0x0000A800000000),
    (12.5, 4, 0xE0000000000000),
    (12.5, 14, 0xE0000000000000),
    (12.5, 2, 0xE0000000000000),
    (0.0003, 4, 0xFFFFCDAB000000),
    (0.0003, 14, 0xFFFFCDAB18F5C3),
    (0.0003, 2, 0xFFFFCE00000000),
    (66.6, 4, 0x55810000000000),
    (66.6, 14, 0x55810666666668),
    (66.6, 2, 0x56000000000000),
    (7, 4, 0xEE140000000000),
    (7, 14, 0xEE147AE147AE14),
    (7, 2, 0xEE000000000000),
    (100, 4, 0x00000000000000),
    (100, 14, 0x00000000000000),
    (100, 2, 0x00000000000000),
]


@pytest.mark.parametrize(("percentage", "precision", "threshold"), THRESHOLDS)
def test_thresholds_are_the_collectors(percentage: float, precision: int, threshold: int) -> None:
    assert head_threshold(percentage, precision) == threshold


def test_thresholds_at_the_ends() -> None:
    assert head_threshold(100) == head_threshold(250) == 0
    assert head_threshold(0) == NEVER
    assert head_threshold(1e-16) < NEVER


def sampler(percentage: float, mode: str = "proportional") -> dict[str, Any]:
    return {"probabilistic_sampler": {"mode": mode, "sampling_percentage": percentage}}


def test_a_trace_passes_by_its_last_56_bits() -> None:
    half = Gateway.from_config(sampler(50))
    assert half.passes("0" * 18 + "80000000000000")
    assert not half.passes("f" * 18 + "7fffffffffffff")
    assert not Gateway.from_config(sampler(0)).passes("f" * 32)
    assert Gateway.from_config({}).passes("1".rjust(32, "0"))
    ids = [otlp.new_id(32, Random(number)) for number in range(4000)]
    assert 340 < sum(Gateway.from_config(sampler(10, "equalizing")).passes(one) for one in ids) < 460


def test_what_samplers_get() -> None:
    gateway = Gateway.from_config(
        {
            "memory_limiter": {"check_interval": "1s"},
            **sampler(10),
            "k8s_attributes": {"extract": {}},
            "resource": {"attributes": [{"key": "cluster", "value": "a$$b", "action": "insert"}]},
            "attributes": {"actions": [{"key": "env", "value": "prod", "action": "insert"}]},
        }
    )
    span = otlp.span("f" * 32, "1" * 16, "", "n", "SERVER", 1, 2, {"env": "mine"})
    other = otlp.span("f" * 32, "2" * 16, "", "n", "SERVER", 1, 2, {})
    sent = otlp.request({"service.name": "shop"}, "s", [span, other])
    [part] = gateway.document(sent)["resourceSpans"]
    assert otlp.attribute_values(part["resource"]["attributes"]) == {"service.name": "shop", "cluster": "a$b"}
    spans = part["scopeSpans"][0]["spans"]
    assert [otlp.attribute_values(one["attributes"])["env"] for one in spans] == ["mine", "prod"]
    assert {one["traceState"] for one in spans} == {"ot=th:e666"}
    assert "traceState" not in span


@pytest.mark.parametrize(
    ("processors", "message"),
    [
        (sampler(10, "hash_seed"), "has the mode 'hash_seed': what it keeps cannot be predicted"),
        (sampler(-1), "sampling_percentage -1"),
        ({"probabilistic_sampler/2": None}, "probabilistic_sampler/2 has the mode None"),
        ({"attributes": {"actions": [{"key": "a", "action": "hash"}]}}, "cannot be predicted"),
    ],
)
def test_what_cannot_be_predicted(processors: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Gateway.from_config(processors)
