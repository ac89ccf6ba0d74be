# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What is wrong or doubtful about a tail_sampling configuration under a load. Pure: data in, findings out.

Statements about the processor's behaviour are about processor/tailsamplingprocessor v0.158.0 of
opentelemetry-collector-contrib (config.go, processor.go, internal/sampling/*.go). Every rule has an entry in
docs/sampling-linter.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place
from ansible_collections.orion.tracing.plugins.module_utils.linter import attributes, capacity, ceilings, reach, values
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import LintLoad, Names, Node, Subject
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import read_policies

_CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    values.refused,
    values.ignored,
    values.changed,
    capacity.capacity,
    capacity.caches,
    capacity.wait,
    capacity.topology,
    reach.reach,
    reach.nothing,
    reach.contradictions,
    reach.any_span,
    attributes.keys,
    attributes.conditions,
    values.zeros,
    values.latencies,
    ceilings.composites,
    ceilings.limits,
    capacity.head,
)


def lint(config: Mapping[str, Any], load: LintLoad, names: Names | None = None) -> list[Finding]:
    """Findings about a processor's configuration, by upstream's keys, in the order of the checks; [] for a clean one.

    Raises ValueError for a decision_wait or num_traces that is not a duration or number.
    """
    names = names or Names()
    policies = list(config.get("policies") or [])
    written = nodes(policies, [Place(names.policies).item(index) for index in range(len(policies))])
    wait = duration_seconds(config.get("decision_wait", "30s"))
    return check(Subject(config, load, names, wait, written, written))


def nodes(policies: Sequence[Any], places: Sequence[Place], built: int = 0) -> list[Node]:
    """The policies at these places. built: how many of the first ones the role makes of flat variables."""
    read = read_policies(policies, [""] * len(policies))
    return [
        Node(policy, place, built=index < built) for index, (policy, place) in enumerate(zip(read, places, strict=True))
    ]


def check(subject: Subject) -> list[Finding]:
    """Each finding once."""
    return list(dict.fromkeys(found for one in _CHECKS for found in one(subject)))
