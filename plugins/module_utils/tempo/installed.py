# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The Tempo that is installed, as its release has it, and what must not become of it. Pure: no I/O, no Ansible.

Source: docs/sources/tempo/set-up-for-tracing/setup-tempo/migrate-to-3.md of v3.0.3: there is no way back from 3.0 to
2.x, and the way there leads over two installations beside each other on one bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import tagged_version
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import FRONT, LINES, VERSION, VERSION_3, line

UPGRADE = "playbooks/upgrade_tempo.yml"
# How one instance is upgraded, which no playbook does.
BY_HAND = "docs/tempo-3.md#one-instance"
# How one version gets another profile, which no playbook does either.
OTHER_PROFILE = "docs/tempo-3.md#another-profile"


@dataclass(frozen=True)
class InstalledTempo:
    """line: the minor version of its configuration. tag: of its image. retention: as it is written."""

    profile: str
    line: tuple[int, int]
    tag: str
    bucket: str
    prefix: str
    retention: str
    compacts: bool

    @property
    def version(self) -> str:
        return self.tag if tagged_version(self.tag) else dotted(self.line)


def installed(values: Mapping[str, Any]) -> InstalledTempo | None:
    """From the values of a release of this role's chart; None for values of another chart."""
    config, tag = values.get("config"), inside(values, "image", "tag")
    if not isinstance(config, Mapping) or "profile" not in values:
        return None
    # Releases of earlier versions of the role have no line: they are all of 2.10.
    third = values.get("line", dotted(VERSION)) == dotted(VERSION_3)
    path = ("backend_worker", "compaction") if third else ("compactor", "compaction")
    disabled = inside(config, "overrides", "defaults", "compaction", "compaction_disabled")
    return InstalledTempo(
        profile=str(values["profile"]),
        line=VERSION_3 if third else VERSION,
        tag=str(tag or ""),
        bucket=str(inside(config, "storage", "trace", "s3", "bucket") or ""),
        prefix=str(inside(config, "storage", "trace", "s3", "prefix") or ""),
        retention=str(inside(config, *path, "block_retention") or ""),
        compacts=disabled is not True,
    )


def changes_refused(
    v: Mapping[str, Any], there: InstalledTempo | None, before: InstalledTempo | None = None
) -> Iterator[Finding]:
    """What a plain run must not do to the Tempo that is there. v: the tempo role's variables.

    before: the release of the usual name, where tempo_release_name is another one.
    """
    if before is not None:
        yield error(
            "tempo_release_name",
            f"is {v.get('tempo_release_name')}, but the release {FRONT} (Tempo {before.version}) is still there",
            f"Run {UPGRADE} until it is done (docs/tempo-3.md).",
            f"the Services {FRONT}-distributor and {FRONT}-query-frontend belong to it",
        )
        return
    if there is None or "tempo_image_tag" not in v:
        return
    tag, wanted = str(v["tempo_image_tag"]).strip(), line(v)
    given, running = tagged_version(tag), tagged_version(there.tag)
    # The line of a tag that names no version is a guess.
    if given is None and wanted != there.line:
        given = wanted
    if wanted < there.line:
        yield error(
            "tempo_image_tag",
            f"is {tag}, but Tempo {there.version} is installed, and there is no way back to {dotted(wanted)}",
            f"Set tempo_profile: {there.profile} and tempo_image_tag: {there.tag}.",
            "spans that are not in the bucket yet would be lost, and Tempo 2 does not look after Tempo 3's blocks",
        )
    elif wanted > there.line:
        alone = there.profile == "monolithic"
        way = f"Upgrade it by hand ({BY_HAND})" if alone else f"Run {UPGRADE} (docs/tempo-3.md#the-upgrade)"
        yield error(
            "tempo_image_tag",
            f"is {tag}, but Tempo {there.version} is installed, which a plain run does not replace by {dotted(wanted)}",
            f"{way}, or keep tempo_profile: {there.profile} and its tag {there.tag}.",
            f"spans that {'it has' if alone else 'its ingesters have'} not stored yet would be lost",
        )
    elif v["tempo_profile"] != there.profile:
        yield error(
            "tempo_profile",
            f"is {v['tempo_profile']}, but Tempo {there.version} is installed with {there.profile}",
            f"Let it store everything and remove it first ({OTHER_PROFILE}), or keep tempo_profile: {there.profile}.",
            "what is only on its volumes or in Kafka would not be found any more",
        )
    elif given and running and given[0] in LINES and given < running:
        yield error(
            "tempo_image_tag",
            f"is {tag}, but Tempo {there.tag} is installed, which is newer",
            f"Set tempo_image_tag: {there.tag}.",
            "an older Tempo may not read what a newer one has written",
        )
    elif given and given == running and _patch(tag) < _patch(there.tag):
        yield warning(
            "tempo_image_tag",
            f"is {tag}, but Tempo {there.tag} is installed, which is a newer patch",
            f"Set tempo_image_tag: {there.tag}, unless you want to go back.",
        )


def _patch(tag: str) -> int:
    parts = tag.removeprefix("v").split(".")
    digits = "".join(c for c in parts[2].partition("-")[0] if c.isdecimal()) if len(parts) > 2 else ""
    return int(digits or 0)
