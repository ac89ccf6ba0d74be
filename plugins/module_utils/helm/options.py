# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The options of helm_release, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import Source

IGNORE, REPORT, REPAIR = "ignore", "report", "repair"


@dataclass(frozen=True)
class ReleaseOptions:
    """The options of the module, by their names there.

    values: merged with those of values_files. labels: None leaves those of the release alone. source: the options that
    name the chart.
    """

    name: str
    namespace: str
    state: str = "present"
    values: dict[str, Any] = field(default_factory=dict)
    create_namespace: bool = False
    namespace_labels: dict[str, str] | None = None
    wait: bool = True
    wait_for_jobs: bool = False
    timeout: str = "5m"
    history_max: int | None = None
    rollback_on_failure: bool = False
    on_pending: str = "fail"
    on_failed: str = "upgrade"
    source: Source = field(default_factory=Source)
    skip_crds: bool = False
    upgrade_crds: bool = False
    take_ownership: bool = False
    force_conflicts: bool = False
    labels: dict[str, str] | None = None
    description: str | None = None
    post_renderer: str | None = None
    post_renderer_args: tuple[str, ...] = ()
    rollback_to: int | None = None
    test: bool = False
    drift: str = IGNORE
    drift_added: bool = False

    def __str__(self) -> str:
        return f"release {self.namespace}/{self.name}"


def check_options(wanted: ReleaseOptions) -> None:
    """InvalidInput for options that contradict each other, which no argument specification can say of booleans."""
    if wanted.upgrade_crds and wanted.skip_crds:
        raise InvalidInput("upgrade_crds and skip_crds are both set", "they contradict each other", "Drop one of them.")
    if wanted.wait_for_jobs and not wanted.wait:
        raise InvalidInput("wait_for_jobs is set, and wait is not", "", "Set wait to true.")
    if wanted.drift_added and wanted.drift == IGNORE:
        raise InvalidInput("drift_added is set, and drift is ignore", "nothing is compared", "Set drift to report.")
    if wanted.post_renderer_args and not wanted.post_renderer:
        raise InvalidInput("post_renderer_args is set, and post_renderer is not", "", "Set post_renderer.")
    for name, text in (wanted.labels or {}).items():
        if name in release.SYSTEM_LABELS or name == release.CHART_LABEL:
            raise InvalidInput(f"labels: {name} is reserved", "Helm or this module sets it", "Choose another name.")
        if text == "null":
            raise InvalidInput(f"labels: {name} is null", "Helm removes a label for this value", "Leave the label out.")
    if wanted.rollback_to is None:
        return
    if wanted.rollback_to < 1:
        raise InvalidInput(f"rollback_to {wanted.rollback_to} is not a revision", "", "Revisions count from 1.")
    for name in ("values", "skip_crds", "upgrade_crds", "take_ownership", "rollback_on_failure"):
        if getattr(wanted, name):
            why = "a rollback brings back that revision as it was"
            raise InvalidInput(f"rollback_to and {name} are both set", why, f"Drop {name}.")
