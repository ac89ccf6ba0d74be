# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the checks look at: the policies with their places, the processor's other settings, and the load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    ERROR,
    WARNING,
    Finding,
    Place,
    error,
    warning,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import ReadPolicy

# Rule → severity. error: the collector refuses to start, or does not do what the configuration is for.
CODES = {
    "malformed-policy": ERROR,
    "unknown-type": ERROR,
    "unknown-option": ERROR,
    "invalid-setting": ERROR,
    "duplicate-name": ERROR,
    "invalid-ottl": ERROR,
    "invalid-regex": ERROR,
    "nothing-sampled": ERROR,
    "everything-dropped": ERROR,
    "empty-composite": ERROR,
    "one-tier": ERROR,
    "sampler-memory": ERROR,
    "composite-shares": ERROR,
    "composite-no-share": ERROR,
    "num-traces": WARNING,
    "decision-cache": WARNING,
    "decision-wait": WARNING,
    "export-delay": WARNING,
    "grace-period": WARNING,
    "trace-size": WARNING,
    "ignored-settings": WARNING,
    "changed-number": WARNING,
    "empty-and": WARNING,
    "matches-nothing": WARNING,
    "unreachable-policy": WARNING,
    "contradiction": WARNING,
    "drop-any-span": WARNING,
    "outdated-key": WARNING,
    "span-field": WARNING,
    "attribute-type": WARNING,
    "constant-condition": WARNING,
    "invert-match": WARNING,
    "zero-bound": WARNING,
    "zero-percentage": WARNING,
    "zero-latency": WARNING,
    "latency-beyond-wait": WARNING,
    "latency-upper-bound": WARNING,
    "route-pattern": WARNING,
    "composite-no-catch-all": WARNING,
    "composite-unreachable": WARNING,
    "composite-underprovisioned": WARNING,
    "composite-order": WARNING,
    "composite-repeated": WARNING,
    "composite-zero-percent": WARNING,
    "limit-not-divided": WARNING,
    "limit-alone": WARNING,
    "limit-order": WARNING,
    "limit-in-drop": WARNING,
    "limit-below-trace": WARNING,
    "head-sampling": WARNING,
    "head-sampling-uneven": WARNING,
    "sampler-without-parent": WARNING,
}

LIMITERS = {"rate_limiting": "spans_per_second", "bytes_limiting": "bytes_per_second"}


def finding(code: str, place: Place | str, what: str, remedy: str, why: str = "") -> Finding:
    """With the severity of its rule."""
    return (error if CODES[code] == ERROR else warning)(place, what, remedy, why, code)


@dataclass(frozen=True, slots=True)
class LintLoad:
    """What the samplers meet. None: unknown, and what depends on it is not checked.

    traces_per_second: new traces over all samplers. bytes_per_span: OTLP protobuf. memory_limit: bytes, of one sampler.
    grace_period: seconds that a pod has to stop. sdk_percentage: of the traces that the applications' SDKs record;
    head_percentage: of those, what the gateways let through.
    two_tiers: whether all spans of a trace reach the same sampler (load_balancing by trace id).
    """

    traces_per_second: float | None = None
    spans_per_trace: float = 20
    bytes_per_span: float = 500
    samplers: int = 1
    memory_limit: int | None = None
    grace_period: float | None = None
    sdk_percentage: float = 100
    head_percentage: float = 100
    two_tiers: bool = True

    @property
    def traces_per_sampler(self) -> float | None:
        return None if self.traces_per_second is None else self.traces_per_second / self.samplers

    @property
    def spans_per_sampler(self) -> float | None:
        rate = self.traces_per_sampler
        return None if rate is None else rate * self.spans_per_trace


@dataclass(frozen=True, slots=True)
class Names:
    """Where the user writes settings: names of variables. Upstream's names by default."""

    decision_wait: str = "decision_wait"
    num_traces: str = "num_traces"
    decision_cache: str = "decision_cache"
    memory: str = "the sampler's memory limit"
    grace_period: str = "terminationGracePeriodSeconds"
    sdk: str = "the SDKs' sampling ratio"
    head: str = "the head sampling percentage"
    samplers: str = "the number of collectors"
    trace_size: str = "maximum_trace_size_bytes"
    policies: str = "policies"


@dataclass(frozen=True, slots=True)
class Node:
    """A policy with the place of the top-level policy that it is in, and the types of the policies around it,
    outermost first.

    built: whether the role makes the policy of a flat variable, which then is the place of all that is in it.
    """

    policy: ReadPolicy
    top: Place
    around: tuple[str, ...] = ()
    built: bool = False

    @property
    def kind(self) -> str:
        return self.policy.kind

    @property
    def name(self) -> str:
        return self.policy.name

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.policy.settings

    def at(self, path: str = "") -> Place:
        """A place below the policy, such as .latency.threshold_ms."""
        return self.top if self.built else Place(self.top.variable, f"{self.top.path}{self.policy.path}{path}")

    def option(self, name: str) -> Place:
        """The place of an option of its type."""
        return self.at(f".{self.kind}.{name}")

    @property
    def shown(self) -> str:
        """The name, and where it is."""
        return f"'{self.name}', which the role adds" if self.built else f"'{self.name}' ({self.at()})"

    def inside(self) -> list[Node]:
        return [replace(self, policy=one, around=(*self.around, self.kind)) for one in self.policy.inside]

    def everything(self) -> Iterator[Node]:
        """This policy and all in it."""
        yield self
        for node in self.inside():
            yield from node.everything()

    @property
    def readable(self) -> bool:
        """Whether all its values are there and are what the collector takes."""
        return not any(one.problems or one.refers for one in self.policy.everything())


@dataclass(frozen=True, slots=True)
class Subject:
    """written: the policies as they are written. effective: as the processor gets them, at the same places; the two
    differ where the role rewrites policies. wait: decision_wait in seconds."""

    config: Mapping[str, Any]
    load: LintLoad
    names: Names
    wait: float
    written: Sequence[Node]
    effective: Sequence[Node] = field(default=())

    @property
    def num_traces(self) -> int:
        return int(self.config.get("num_traces", 50000))

    @property
    def keepers(self) -> list[Node]:
        """Policies that may keep traces, as far as they can be read."""
        return [node for node in self.effective if node.kind != "drop" and node.readable]

    @property
    def drops(self) -> list[Node]:
        return [node for node in self.effective if node.kind == "drop" and node.readable]

    def everywhere(self) -> Iterator[Node]:
        """Every policy at any depth that can be read, as written."""
        for node in self.written:
            if node.readable:
                yield from node.everything()
