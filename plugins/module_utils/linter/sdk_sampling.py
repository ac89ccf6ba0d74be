# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Head sampling in the applications' SDKs, as the instrumentation role sets it. Pure: no I/O, no Ansible.

An SDK drops a span before it is exported, and no SDK's ratio sampler writes its ratio to tracestate (ot=th), unlike the
gateway's probabilistic_sampler. So no collector can see that it happened: neither span metrics nor the service graph
are corrected for it. Sources: opentelemetry-python 1.45 sdk/trace/sampling.py, opentelemetry-java 1.6x
TraceIdRatioBasedSampler.java, opentelemetry-js 2.x TraceIdRatioBasedSampler.ts, opentelemetry-go 1.45
sdk/trace/sampling.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import number, usable
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import finding
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import head_threshold

SAMPLER, ARGUMENT, WORKLOADS = (
    "instrumentation_sampler",
    "instrumentation_sampler_argument",
    "instrumentation_workloads",
)
GATEWAY = "collector_head_sampling_percentage"
# The samplers whose argument is a ratio, and those that never sample a root span.
RATIO_SAMPLERS = ("parentbased_traceidratio", "traceidratio")
OFF_SAMPLERS = ("parentbased_always_off", "always_off")
# Bits of a trace id that the gateway compares; the SDKs of Python, Go and Java compare the lowest 64.
GATEWAY_BITS, SDK_BITS = 56, 64
# A share that passes the gateways is reported where it differs from the percentage by more than this factor.
TOLERANCE = 1.1


def sdk_percentage(variables: Mapping[str, Any]) -> float:
    """Percentage of the traces that the SDKs record by default: 100 without the role's variables, for a sampler whose
    argument is not a ratio, and for values that the role refuses."""
    if not _sampling(variables):
        return 100.0
    sampler = variables.get(SAMPLER)
    if sampler in OFF_SAMPLERS:
        return 0.0
    return 100 * _ratio(variables.get(ARGUMENT)) if sampler in RATIO_SAMPLERS else 100.0


def lint_sdk_sampling(variables: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings about the ratios of single workloads, the choice of the sampler, and ratios that the gateways' head
    sampling does not meet evenly. What the default ratio costs is said by the rule head-sampling (capacity.head)."""
    if not _sampling(variables):
        return
    if variables.get(SAMPLER) == "traceidratio":
        yield finding(
            "sampler-without-parent",
            Place(SAMPLER),
            "is traceidratio",
            "Set it to parentbased_traceidratio.",
            "every service decides by itself, and the SDKs of different languages compute the decision from different "
            "bits of the trace id, so traces are kept in part",
        )
    ratios = [(Place(ARGUMENT), sdk_percentage(variables) / 100)]
    workloads = variables.get(WORKLOADS)
    for index, workload in enumerate(workloads if isinstance(workloads, list) else ()):
        if not isinstance(workload, Mapping) or workload.get("sampler_argument") in (None, ""):
            continue
        place, ratio = Place(WORKLOADS).item(index).key("sampler_argument"), _ratio(workload["sampler_argument"])
        ratios.append((place, ratio))
        if ratio < 1:
            name = f"{workload.get('namespace', '')}/{workload.get('name', '')}"
            yield finding("head-sampling", place, cost(ratio, f"that begin in {name}"), REMEDY, WHY)
    gateway = usable(100.0, number, variables.get(GATEWAY, 100))
    for place, ratio in ratios:
        yield from _uneven(place, ratio, gateway)


REMEDY = "Set it to 1 and let tail sampling decide."
WHY = (
    "no policy sees them, and request rates, error rates and the service graph count only the rest, because SDKs do "
    "not write their ratio to tracestate"
)


def cost(ratio: float, which: str = "") -> str:
    """What a ratio loses. which: restricts the traces, such as "that begin in shop/orders"."""
    traces = f"traces {which}" if which else "traces"
    return f"{100 * (1 - ratio):g} % of the {traces} are never recorded, errors and slow ones too"


def _uneven(place: Place, ratio: float, percentage: float) -> Iterator[Finding]:
    """Where SDK and gateway compare the same bits of the trace id, one decision depends on the other."""
    if not (0 < ratio < 1 and 0 < percentage < 100):
        return
    shares = {"Python or Go": share_low(ratio, percentage), "Java": share_absolute(ratio, percentage)}
    off = {
        name: 100 * share
        for name, share in shares.items()
        if not 1 / TOLERANCE <= 100 * share / percentage <= TOLERANCE
    }
    if off:
        found = " and ".join(f"{share:.3g} % of those that begin in a {name} service" for name, share in off.items())
        yield finding(
            "head-sampling-uneven",
            place,
            f"{GATEWAY} is {percentage:g}, and of the traces that the SDKs record with the ratio {ratio:g} the "
            f"gateways pass {found}",
            f"Set {GATEWAY} to 100, or sample in one place.",
            "both compare the lowest bits of the trace id: the SDKs keep low numbers, the gateways high ones",
        )


def share_low(ratio: float, percentage: float) -> float:
    """Share (0 to 1) of the traces sampled by Python's or Go's SDK that the gateways pass.

    The SDKs sample where the lowest 64 bits are below ratio × 2^64, the gateways pass where the lowest 56 are at or
    above the threshold. Source: opentelemetry-python sampling.py (TRACE_ID_LIMIT), opentelemetry-go sampling.go.
    """
    passed = (1 << GATEWAY_BITS) - head_threshold(percentage)
    bound = round(ratio * (1 << SDK_BITS))
    whole, rest = divmod(bound, 1 << GATEWAY_BITS)
    return (whole * passed + max(0, rest - head_threshold(percentage))) / bound if bound else 0.0


def share_absolute(ratio: float, percentage: float) -> float:
    """The same for Java's SDK, which samples where the lowest 64 bits, as a signed number without its sign, are below
    ratio × 2^63: half of them count up from 0, as in Python, and half down from the highest number."""
    passed = (1 << GATEWAY_BITS) - head_threshold(percentage)
    bound = round(ratio * (1 << (SDK_BITS - 1)))
    whole, rest = divmod(bound, 1 << GATEWAY_BITS)
    up = whole * passed + max(0, rest - head_threshold(percentage))
    down = whole * passed + min(rest, passed)
    return (up + down) / (2 * bound) if bound else 0.0


def _sampling(variables: Mapping[str, Any]) -> bool:
    """Whether the instrumentation role is among the variables, and switched on."""
    return SAMPLER in variables and variables.get("instrumentation_enabled", True) is not False


def _ratio(value: Any) -> float:
    """0 to 1; 1 for what is not a ratio, which the role reports."""
    ratio = usable(1.0, number, value)
    return ratio if 0 <= ratio <= 1 else 1.0
