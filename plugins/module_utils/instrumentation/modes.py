# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What instruments pods: an admission policy, the OpenTelemetry Operator, or nothing but the environment. Pure.

What a cluster serves is a mapping of "policy" to the version of MutatingAdmissionPolicy there, and of "operator" to
that of Instrumentation, such as v1beta1, "" where it is not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import GROUP, KIND, VERSIONS

AUTO, POLICY, OPERATOR, SDK = "auto", "policy", "operator", "sdk"
MODES = (AUTO, POLICY, OPERATOR, SDK)
VARIABLE = "instrumentation_mode"
WITHOUT_POLICIES = f"does not serve {KIND} in {' or '.join(VERSIONS)}"
WITHOUT_OPERATOR = "does not have the OpenTelemetry Operator's Instrumentation"
NEEDED = {
    POLICY: (
        f"use a cluster of Kubernetes 1.36 or newer, or 1.34 with the feature gate {KIND} and the API {GROUP}/v1beta1 "
        "switched on"
    ),
    OPERATOR: "install the OpenTelemetry Operator",
}


def served(modes: Mapping[str, Any]) -> dict[str, str]:
    """What a cluster serves, of what the module instrumentation_info returns as modes."""
    return {name: str(modes[name]["version"]).rpartition("/")[2] for name in (POLICY, OPERATOR)}


def resolved(mode: str, serves: Mapping[str, str]) -> str:
    """POLICY, OPERATOR or SDK: "auto" stands for the first that the cluster serves."""
    if mode != AUTO:
        return mode
    return POLICY if serves[POLICY] in VERSIONS else OPERATOR if serves[OPERATOR] else SDK


def of_variables(v: Mapping[str, Any]) -> str:
    """The mode that the inventory asks for; without one, AUTO."""
    return str(v.get(VARIABLE) or AUTO)


def findings(mode: str, serves: Mapping[str, str], variable: str = VARIABLE) -> list[Finding]:
    """Whether the cluster serves what a mode needs. variable: where the user writes it."""
    best = resolved(AUTO, serves)
    other = serves[POLICY] if serves[POLICY] not in VERSIONS else ""
    without_policies = WITHOUT_POLICIES + (f", only {other}" if other else "")
    if mode == AUTO and best == SDK:
        return [
            warning(
                variable,
                f"is auto, and the cluster {without_policies}, and it {WITHOUT_OPERATOR}",
                _remedy(list(NEEDED.values()), SDK, variable),
                "annotated pods are not instrumented; only listed workloads are, as with sdk",
            )
        ]
    if mode == POLICY and serves[POLICY] not in VERSIONS:
        lacking = without_policies
    elif mode == OPERATOR and not serves[OPERATOR]:
        lacking = WITHOUT_OPERATOR
    else:
        return []
    ways = list(NEEDED.values()) if best == SDK else [NEEDED[mode]]
    return [error(variable, f"is {mode}, but the cluster {lacking}", _remedy(ways, best, variable))]


def _remedy(ways: list[str], instead: str, variable: str) -> str:
    last = f"set {variable}: {instead}"
    last += ", which gives the listed workloads the environment variables alone" if instead == SDK else ""
    text = "; or ".join([*ways, last])
    return f"{text[0].upper()}{text[1:]}."
