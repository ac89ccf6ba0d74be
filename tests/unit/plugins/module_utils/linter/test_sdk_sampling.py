# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Head sampling in SDKs: the findings, and the shares that pass the gateways against both decisions, trace by trace."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.linter.sdk_sampling import lint_sdk_sampling
from ansible_collections.orion.tracing.plugins.module_utils.linter.variables import lint_variables
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway, head_threshold
from ansible_collections.orion.tracing.plugins.module_utils.sampling.sdk import (
    sdk_percentage,
    share_absolute,
    share_low,
)
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

RATIOS = (0.0005, 0.001, 0.003, 0.01, 0.02, 0.25, 0.7)


def python_samples(trace_id: int, ratio: float) -> bool:
    """opentelemetry-python 1.45, TraceIdRatioBased; opentelemetry-go's comparison of 63 bits is the same."""
    return trace_id & ((1 << 64) - 1) < round(ratio * (1 << 64))


def java_samples(trace_id: int, ratio: float) -> bool:
    """opentelemetry-java, TraceIdRatioBasedSampler: of the lowest 64 bits as a signed number."""
    low = trace_id & ((1 << 64) - 1)
    return abs(low - (1 << 64) if low >> 63 else low) < int(ratio * ((1 << 63) - 1))


@pytest.mark.parametrize("percentage", [10, 50, 90])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize(("samples", "share"), [(python_samples, share_low), (java_samples, share_absolute)])
def test_the_share_is_what_gateways_pass_of_sampled_traces(samples, share, ratio, percentage):
    random, gateway = Random(f"{ratio} {percentage}"), Gateway(head_threshold(percentage))
    top = max(1, round(ratio * 256)) + 1
    sampled: list[int] = []
    while len(sampled) < 2000:
        # The top byte of the lower half decides first; others than these are never sampled.
        first = (
            random.randrange(top) if random.random() < 0.5 or samples is python_samples else -1 - random.randrange(top)
        )
        one = random.getrandbits(64) << 64 | (first & 255) << 56 | random.getrandbits(56)
        if samples(one, ratio):
            sampled.append(one)
    passed = sum(gateway.passes(f"{one:032x}") for one in sampled) / len(sampled)
    assert share(ratio, percentage) == pytest.approx(passed, abs=0.05)


def variables(**changes: Any) -> dict[str, Any]:
    sdk = {"instrumentation_sampler": "parentbased_traceidratio", "instrumentation_sampler_argument": 1}
    return {**role_defaults("collector"), **sdk, **changes}


def found(**changes: Any) -> list[tuple[str, str]]:
    return [(str(one.place), one.code) for one in lint_variables(variables(**changes))]


@pytest.mark.parametrize("argument", [1, 1.0, "1", "1.0"])
def test_a_ratio_of_one_has_no_finding(argument):
    assert found(instrumentation_sampler_argument=argument) == []


def test_variables_without_the_role_have_no_finding():
    assert lint_variables(role_defaults("collector")) == []
    assert sdk_percentage({"instrumentation_sampler_argument": 0.1}) == 100


def test_a_role_that_is_off_has_no_finding():
    assert found(instrumentation_enabled=False, instrumentation_sampler_argument=0.1) == []


def test_a_ratio_costs_errors_and_metrics_and_multiplies():
    findings = lint_variables(variables(instrumentation_sampler_argument="0.25"))
    assert [(str(one.place), one.code) for one in findings] == [
        ("instrumentation_sampler_argument", "head-sampling"),
        ("collector_sampling_percentage", "head-sampling"),
    ]
    assert findings[0].what == "75 % of the traces are never recorded, errors and slow ones too"
    assert "the service graph count only the rest" in findings[0].why
    assert findings[1].what == "10 % of the 25 % that head sampling lets through are 2.5 % of all traces"


def test_the_ratios_of_sdk_and_gateway_multiply():
    findings = lint_variables(variables(instrumentation_sampler_argument=0.25, collector_head_sampling_percentage=50))
    [product] = [one.what for one in findings if one.variable == "collector_sampling_percentage"]
    assert product == "10 % of the 12.5 % that head sampling lets through are 1.25 % of all traces"


@pytest.mark.parametrize("sampler", ["parentbased_always_off", "always_off"])
def test_a_sampler_that_is_off_loses_all(sampler):
    [first, *_others] = lint_variables(variables(instrumentation_sampler=sampler))
    assert first.what.startswith("100 % of the traces are never recorded")


@pytest.mark.parametrize("sampler", ["parentbased_always_on", "always_on"])
def test_the_argument_of_another_sampler_is_not_a_ratio(sampler):
    assert found(instrumentation_sampler=sampler, instrumentation_sampler_argument="0.1") == []


def test_a_workload_is_named_with_its_ratio():
    workloads = [
        {"namespace": "shop", "name": "gateway", "kind": "Deployment", "language": "python"},
        {"namespace": "shop", "name": "orders", "sampler_argument": 0.1},
        {"namespace": "shop", "name": "pricing", "sampler_argument": "1"},
        {"namespace": "shop", "name": "storefront", "sampler_argument": ""},
        {"namespace": "shop", "name": "fulfilment", "sampler_argument": 0.1, "state": "absent"},
        "not a mapping",
    ]
    [one] = lint_variables(variables(instrumentation_workloads=workloads))
    assert (str(one.place), one.code) == ("instrumentation_workloads[1].sampler_argument", "head-sampling")
    assert one.what.startswith("90 % of the traces that begin in shop/orders are never recorded")


def test_a_sampler_without_parent_keeps_traces_in_part():
    assert found(instrumentation_sampler="traceidratio") == [("instrumentation_sampler", "sampler-without-parent")]


def uneven(**changes: Any) -> list[Any]:
    return [one for one in lint_sdk_sampling(variables(**changes)) if one.code == "head-sampling-uneven"]


def test_a_small_ratio_meets_the_threshold_of_the_gateways_unevenly():
    [one] = uneven(instrumentation_sampler_argument=0.001, collector_head_sampling_percentage=50)
    assert "pass 0 % of those that begin in a Python or Go service" in one.what and "Java" not in one.what
    workloads = [{"namespace": "a", "name": "b", "sampler_argument": 0.001}]
    [one] = uneven(collector_head_sampling_percentage=10, instrumentation_workloads=workloads)
    assert str(one.place) == "instrumentation_workloads[0].sampler_argument"
    assert "39.1 % of those that begin in a Java service" in one.what


@pytest.mark.parametrize(("ratio", "percentage"), [(0.25, 50), (0.5, 10), (0.001, 100), (1, 50), (0, 50)])
def test_ratios_of_whole_256ths_are_even(ratio, percentage):
    assert not uneven(instrumentation_sampler_argument=ratio, collector_head_sampling_percentage=percentage)


@pytest.mark.parametrize("argument", ["much", None, True, -1, 7])
def test_what_the_role_refuses_is_left_to_it(argument):
    assert found(instrumentation_sampler_argument=argument) == []
