# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What has to be done to a release, decided from its record alone: whether it is in order, whether the chart has to be
rendered at all, and how. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents, reference, release
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import (
    UNCERTAIN,
    Chart,
    content_digest,
    differences,
    of_release,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.crds import Crds
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import History, Release

UNKNOWN: Any = object()  # the namespace was not read, or may not be read
POST_RENDERER = "post_renderer"  # a part of what is deployed that only running it can tell


@dataclass(frozen=True)
class CurrentRelease:
    """history: of the release. namespace: its Namespace object, None where it does not exist, or UNKNOWN. crds: those
    of the chart, where they matter."""

    history: History
    namespace: Any = UNKNOWN
    crds: Crds = field(default_factory=Crds)


@dataclass(frozen=True)
class ReleaseDecision:
    """What comes before the upgrade, whether there is one, and how it can be rendered.

    rollback_to: revision, or 0. uninstall: remove the release first. render: "" (nothing to install), "upgrade" (as
    Helm's dry run of the very upgrade) or "template" (where Helm refuses that).
    sure: the chart or the values differ; otherwise only the rendered objects can tell whether anything changed.
    revision: number of the revision that the upgrade or installation makes. labels: of that revision, as helm's
    --labels takes them; a value None removes one. Both only with render.
    """

    rollback_to: int = 0
    uninstall: bool = False
    render: str = ""
    sure: bool = False
    revision: int = 0
    labels: Mapping[str, str | None] = field(default_factory=dict)


def check(current: CurrentRelease, wanted: ReleaseOptions) -> None:
    """Conflict or NotFound where the options, or what is there, forbid to go on."""
    _check_namespace(current, wanted)
    latest = current.history.latest
    if wanted.rollback_to:
        _check_revision(current, wanted)
    if latest is None:
        return
    if current.history.deleting:
        why = "its namespace is being deleted, or somebody else is deleting the release"
        raise Conflict(f"the record of {wanted} is being deleted", why, "Wait, then run again.")
    if latest.pending or latest.status == release.UNINSTALLING:
        if wanted.on_pending == "fail":
            raise Conflict(
                _state(latest, wanted),
                "another helm operation is running, or one was interrupted",
                "Wait for it; if nothing is running, set on_pending to rollback (back to the revision before, then"
                " upgrade) or to replace (uninstall, then install again).",
            )
    elif latest.status not in (release.DEPLOYED, release.SUPERSEDED) and wanted.on_failed == "fail":
        raise Conflict(
            _state(latest, wanted), latest.description, "Repair it, or set on_failed to upgrade or to replace."
        )


def is_pinned(current: CurrentRelease, wanted: ReleaseOptions) -> bool:
    """Whether the release has the very chart, by name and version, and everything else that is wanted, so that a chart
    from elsewhere need not be looked at."""
    latest = current.history.latest
    if latest is None or latest.status != release.DEPLOYED or wanted.post_renderer:
        return False
    metadata = latest.chart.get("metadata") or {}
    name, version = reference.pinned(wanted.source)
    if not name or not version or (wanted.upgrade_crds and metadata.get("dependencies")):
        return False  # the CRDs of subcharts are in no release record
    return (name, version.removeprefix("v")) == (
        metadata.get("name"),
        str(metadata.get("version", "")).removeprefix("v"),
    ) and not _settings_changed(latest, wanted)


def decide(current: CurrentRelease, wanted: ReleaseOptions, chart: Chart | None) -> ReleaseDecision:
    """Compare by content. chart: None for the one that the release has (rollback_to, is_pinned)."""
    decision = _decide(current, wanted, chart)
    if chart is None or not decision.render:
        return decision
    revision = 1 if decision.uninstall else current.history.newest + 1 + bool(decision.rollback_to)
    return replace(decision, revision=revision, labels=_labels(current, wanted, decision, revision, chart))


def _decide(current: CurrentRelease, wanted: ReleaseOptions, chart: Chart | None) -> ReleaseDecision:
    latest, fallback = current.history.latest, current.history.fallback
    if wanted.rollback_to:
        target = current.history.target
        if latest is None or target is None or _serves(latest, target):
            return ReleaseDecision()
        return ReleaseDecision(rollback_to=target.revision)
    # A dry run against the server fails on custom resources whose definitions are yet to come with the chart.
    dry = "template" if current.crds.missing else "upgrade"
    if latest is None:
        return ReleaseDecision(render=dry, sure=True)
    if latest.pending or latest.status == release.UNINSTALLING:
        return _recover(latest, fallback, wanted, chart)
    if latest.status == release.SUPERSEDED:
        return ReleaseDecision(render=dry, sure=True)  # the record of the revision that replaced it is gone
    if latest.status != release.DEPLOYED:
        anew = wanted.on_failed == "replace"
        return ReleaseDecision(uninstall=anew, render="template" if anew else dry, sure=True)
    changed = _changed(latest, wanted, chart)
    if not changed:
        return ReleaseDecision()
    return ReleaseDecision(render=dry, sure=not changed <= UNCERTAIN | {POST_RENDERER})


def _labels(
    current: CurrentRelease, wanted: ReleaseOptions, decision: ReleaseDecision, revision: int, chart: Chart
) -> dict[str, str | None]:
    """The wanted ones, None for what has to go, and the note about the chart's content."""
    last = current.history.fallback if decision.rollback_to else current.history.latest
    before = {} if decision.uninstall or not last else last.labels
    given = wanted.labels or {}
    gone = {} if wanted.labels is None else dict.fromkeys(name for name in before if name not in given)
    return {**gone, **given, release.CHART_LABEL: release.chart_label(revision, content_digest(chart))}


def _recover(latest: Release, fallback: Release | None, wanted: ReleaseOptions, chart: Chart | None) -> ReleaseDecision:
    if wanted.on_pending == "replace" or fallback is None or not latest.pending:
        return ReleaseDecision(uninstall=True, render="template", sure=True)
    changed = _changed(fallback, wanted, chart)
    sure = not changed <= UNCERTAIN | {POST_RENDERER}
    return ReleaseDecision(rollback_to=fallback.revision, render="template" if changed else "", sure=sure)


def _changed(stored: Release, wanted: ReleaseOptions, chart: Chart | None) -> set[str]:
    changed = _settings_changed(stored, wanted)
    if chart is not None and stored.chart_digest != content_digest(chart):
        changed |= differences(of_release(stored.chart), chart)
    if wanted.post_renderer:
        changed.add(POST_RENDERER)
    return changed


def _settings_changed(stored: Release, wanted: ReleaseOptions) -> set[str]:
    changed = set()
    if not same_values(stored.config, wanted.values):
        changed.add("values")
    if wanted.labels is not None and stored.labels != wanted.labels:
        changed.add("labels")
    return changed


def same_values(one: Any, other: Any) -> bool:
    """Whether Helm keeps the same of two sets of values."""
    return documents.canonical(documents.as_float64(one)) == documents.canonical(documents.as_float64(other))


def _serves(latest: Release, target: Release) -> bool:
    """Whether the newest revision is deployed and has the content of another one."""
    return latest.status == release.DEPLOYED and all(
        documents.canonical(getattr(latest, part)) == documents.canonical(getattr(target, part))
        for part in ("manifest", "config", "chart")
    )


def _state(latest: Release, wanted: ReleaseOptions) -> str:
    since = f" since {latest.updated}" if latest.updated else ""
    return f"{wanted} is in state {latest.status} (revision {latest.revision}{since})"


def _check_revision(current: CurrentRelease, wanted: ReleaseOptions) -> None:
    if current.history.latest is None:
        raise NotFound(f"{wanted} does not exist", "there is no revision to roll back to", "Install it.")
    if current.history.target is None:
        kept = ", ".join(map(str, current.history.revisions))
        raise NotFound(
            f"{wanted} has no revision {wanted.rollback_to}",
            f"helm keeps {kept}",
            "Choose one of them, or set chart_ref and values instead of rollback_to.",
        )


def _check_namespace(current: CurrentRelease, wanted: ReleaseOptions) -> None:
    if current.namespace is UNKNOWN:
        return
    if current.namespace is None:
        if not wanted.create_namespace:
            raise NotFound(
                f"namespace {wanted.namespace} does not exist", "", "Create it, or set create_namespace to true."
            )
    elif (current.namespace.get("status") or {}).get("phase") == "Terminating":
        raise Conflict(f"namespace {wanted.namespace} is being deleted", "", "Wait until it is gone, then run again.")
