# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""From Tempo 2.10 to 3.0: which step comes next, from what is installed. Pure: no I/O, no Ansible.

The new installation is beside the old one on the same bucket, without compaction, until the old one is gone.
Source: docs/sources/tempo/set-up-for-tracing/setup-tempo/migrate-to-3.md of grafana/tempo v3.0.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import usable
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import BY_HAND, InstalledTempo
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import VERSION, VERSION_3

INSTALL, MOVE, DRAIN, HAND_OVER, FINISH, DONE = "install", "move_writes", "drain", "hand_over", "finish", "done"
STEPS = (INSTALL, MOVE, DRAIN, HAND_OVER, FINISH, DONE)
# Only in this step nothing can be taken back any more.
IRREVERSIBLE = HAND_OVER


@dataclass(frozen=True)
class WantedTempo:
    """What the inventory asks for. retention: a Go duration."""

    release: str
    profile: str
    line: tuple[int, int]
    bucket: str
    prefix: str
    retention: str


@dataclass(frozen=True)
class UpgradeState:
    """old, new: the two installations, None for one that is not there. new_serves: whether the new one has the Services
    of the platform's own names. writes_to_new: whether the samplers export to the new one, and to it alone.

    drained: whether the old ingesters were made to store everything just now, after writes had been moved. Their
    metrics alone do not tell: they do not count what is in an open block.
    """

    old: InstalledTempo | None
    new: InstalledTempo | None
    new_serves: bool = False
    writes_to_new: bool = False
    drained: bool = False


def next_step(state: UpgradeState, wanted: WantedTempo, old_release: str) -> str:
    """One of STEPS. Raises for a state from which no step leads on: NotFound, Conflict, or InvalidInput."""
    # Before anything is asked for that only two installations need.
    if state.old is not None and state.old.line == VERSION and state.old.profile != "distributed":
        raise Conflict(
            f"release {old_release} is one instance (tempo_profile: {state.old.profile})",
            "nothing can run beside it: it answers queries and stores blocks in one process",
            f"Upgrade it by hand ({BY_HAND}); tempo_release_name stays {old_release}.",
        )
    if wanted.line == VERSION_3 and wanted.profile != "kafka":
        raise InvalidInput(
            f"tempo_profile is {wanted.profile}, which cannot take over from the services of release {old_release}",
            "it is one instance, whose blocks and queries are not watched step by step",
            "Set tempo_profile: kafka and tempo_kafka_address (docs/tempo-3.md).",
        )
    if wanted.line != VERSION_3:
        raise InvalidInput(
            "tempo_image_tag is not a version of Tempo 3",
            remedy="Set tempo_profile: kafka, tempo_image_tag: 3.0.3 and tempo_kafka_address (docs/tempo-3.md).",
        )
    if wanted.release == old_release:
        raise InvalidInput(
            f"tempo_release_name is {old_release}, the name of the Tempo that is there",
            "the new one runs beside it",
            f"Set tempo_release_name: {old_release}-3, for good.",
        )
    if state.old is None and state.new is None:
        raise NotFound(
            f"neither release {old_release} nor {wanted.release} is installed",
            remedy="There is nothing to upgrade: run playbooks/site.yml.",
        )
    if state.old is not None and state.old.line != VERSION:
        raise Conflict(
            f"release {old_release} is Tempo {state.old.version}, not 2.10",
            remedy=f"There is nothing to upgrade: set tempo_release_name: {old_release}, and run playbooks/site.yml.",
        )
    if different := list(_differences(state, wanted, old_release)):
        raise Conflict(
            "the two installations would not be one: " + "; ".join(different),
            "each would miss, or delete, what the other one has written",
            "Set both to the same, with playbooks/site.yml before the upgrade.",
        )
    if state.old is None:
        complete = state.new is not None and state.new.compacts and state.new_serves
        return DONE if complete else FINISH
    if state.new is None:
        return INSTALL
    if not state.writes_to_new:
        return MOVE
    return HAND_OVER if state.drained else DRAIN


def _differences(state: UpgradeState, wanted: WantedTempo, old_release: str) -> Iterator[str]:
    there = state.old or state.new
    if there is None:
        return
    who = old_release if state.old else wanted.release
    pairs = (("bucket", there.bucket, wanted.bucket), ("prefix", there.prefix.strip("/"), wanted.prefix.strip("/")))
    for name, before, after in pairs:
        if before != after:
            yield f"tempo_s3_{name} is '{after}', release {who} has '{before}'"
    if state.old and _seconds(there.retention) != _seconds(wanted.retention):
        yield f"tempo_retention is {wanted.retention}, release {who} has {there.retention}"


def _seconds(text: str) -> float | str:
    """Of a Go duration, so that 168h and 7 times 24h are one; the text where it is none."""
    return usable(text, duration_seconds, text)
