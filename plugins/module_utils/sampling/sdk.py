# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Head sampling in the applications' SDKs, as the instrumentation role sets it. Pure: no I/O, no Ansible.

An SDK drops a span before it is exported, and no SDK's ratio sampler writes its ratio to tracestate (ot=th), unlike the
gateway's probabilistic_sampler. So no collector can see that it happened: neither span metrics nor the service graph
are corrected for it. Each language computes the decision in its own way: Python and Go compare the lowest 64 bits of
the trace id, Java the same bits as a signed number without its sign, .NET the highest 64 bits, Node.js the exclusive or
of its four 32-bit words. Sources: opentelemetry-python 1.45 sdk/trace/sampling.py, opentelemetry-go 1.45
sdk/trace/sampling.go, opentelemetry-java and opentelemetry-dotnet (2026-08) TraceIdRatioBasedSampler,
opentelemetry-js 2.x sdk-trace TraceIdRatioBasedSampler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean, number, usable
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import head_threshold

SAMPLER, ARGUMENT = "instrumentation_sampler", "instrumentation_sampler_argument"
# The samplers whose argument is a ratio, and those that never sample a root span.
RATIO_SAMPLERS = ("parentbased_traceidratio", "traceidratio")
OFF_SAMPLERS = ("parentbased_always_off", "always_off")
# Bits of a trace id that the gateway compares; the SDKs of Python, Go and Java compare the lowest 64.
GATEWAY_BITS, SDK_BITS = 56, 64


def sdk_sampling(variables: Mapping[str, Any]) -> bool:
    """Whether the instrumentation role is among the variables, and switched on."""
    return SAMPLER in variables and usable(True, boolean, variables.get("instrumentation_enabled", True))


def sdk_ratio(argument: Any) -> float:
    """The ratio (0 to 1) of a sampler's argument; 1 for what is not a ratio, which the role reports."""
    return usable(1.0, number, argument, 0, 1)


def sdk_percentage(variables: Mapping[str, Any]) -> float:
    """Percentage of the traces that the SDKs record by default: 100 without the role's variables, for a sampler whose
    argument is not a ratio, and for values that the role refuses."""
    if not sdk_sampling(variables):
        return 100.0
    sampler = variables.get(SAMPLER)
    if sampler in OFF_SAMPLERS:
        return 0.0
    return 100 * sdk_ratio(variables.get(ARGUMENT)) if sampler in RATIO_SAMPLERS else 100.0


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
