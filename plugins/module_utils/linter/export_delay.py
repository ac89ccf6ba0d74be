# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Whether the spans of a trace reach the sampler before it decides: the SDKs' export delay against decision_wait.

A BatchSpanProcessor exports what has ended every OTEL_BSP_SCHEDULE_DELAY milliseconds. One service may export the first
span of a trace at once, which starts decision_wait, and another the span that decides, such as one with an error, a
whole delay later.
Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import integer, usable
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import finding
from ansible_collections.orion.tracing.plugins.module_utils.sampling.sdk import sdk_sampling

ENVIRONMENT, WAIT = "instrumentation_environment", "collector_decision_wait"
SCHEDULE_DELAY, DEFAULT_DELAY = "OTEL_BSP_SCHEDULE_DELAY", 5000
# The delay may be half of the wait. The other half is for the way through the gateways, which batch too, and for the
# time from the end of a trace's first span to that of its last.
SHARE = 2


def lint_export_delay(variables: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding where the wait is shorter than twice the delay. None without the instrumentation role's variables or
    the wait. SDKs take the default for what is not a whole number of milliseconds."""
    wait = usable(0.0, lambda: duration_seconds(variables[WAIT]))
    if not sdk_sampling(variables) or wait <= 0:
        return
    environment = variables.get(ENVIRONMENT)
    given = environment.get(SCHEDULE_DELAY) if isinstance(environment, Mapping) else None
    delay = usable(DEFAULT_DELAY, integer, given)
    if wait * 1000 >= SHARE * delay:
        return
    default = "" if delay == given or str(delay) == given else f", {SCHEDULE_DELAY}'s default"
    yield finding(
        "export-delay",
        Place(ENVIRONMENT).key(SCHEDULE_DELAY),
        f"agents export spans every {delay} ms{default}, which is more than half of {WAIT} ({variables[WAIT]})",
        f"Set it to {int(wait * 1000 / SHARE)} or less, or {WAIT} to {SHARE * delay / 1000:g}s or more.",
        "a span that decides, such as one with an error or of a critical route, arrives after the decision where "
        "another service's spans of the trace arrive at once, and the trace is dropped",
    )
