# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Findings about head sampling in the applications' SDKs; sampling.sdk says how they decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import number, usable
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import finding
from ansible_collections.orion.tracing.plugins.module_utils.sampling.sdk import (
    ARGUMENT,
    SAMPLER,
    sdk_percentage,
    sdk_ratio,
    sdk_sampling,
    share_absolute,
    share_low,
)

WORKLOADS, GATEWAY = "instrumentation_workloads", "collector_head_sampling_percentage"
# A share that passes the gateways is reported where it differs from the percentage by more than this factor.
TOLERANCE = 1.1


def lint_sdk_sampling(variables: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings about the ratios of single workloads, the choice of the sampler, and ratios that the gateways' head
    sampling does not meet evenly. What the default ratio costs is said by the rule head-sampling (capacity.head)."""
    if not sdk_sampling(variables):
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
        if not isinstance(workload, Mapping) or workload.get("state") == "absent":
            continue
        if workload.get("sampler_argument") in (None, ""):
            continue
        place, ratio = Place(WORKLOADS).item(index).key("sampler_argument"), sdk_ratio(workload["sampler_argument"])
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
