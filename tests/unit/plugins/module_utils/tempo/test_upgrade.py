# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import BY_HAND, InstalledTempo
from ansible_collections.orion.tracing.plugins.module_utils.tempo.upgrade import UpgradeState, WantedTempo, next_step

OLD = InstalledTempo("distributed", (2, 10), "2.10.8", "traces", "", "168h", True)
NEW = InstalledTempo("kafka", (3, 0), "3.0.3", "traces", "", "168h", False)
WANTED = WantedTempo("tempo-3", "kafka", (3, 0), "traces", "", "168h")
MOVED: dict[str, Any] = {"old": OLD, "new": NEW, "writes_to_new": True}


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (UpgradeState(OLD, None), "install"),
        (UpgradeState(OLD, NEW, drained=True), "move_writes"),
        (UpgradeState(**MOVED), "drain"),
        (UpgradeState(**MOVED, drained=True), "hand_over"),
        (UpgradeState(None, NEW, writes_to_new=True), "finish"),
        (UpgradeState(None, replace(NEW, compacts=True), writes_to_new=True), "finish"),
        (UpgradeState(None, NEW, new_serves=True, writes_to_new=True), "finish"),
        (UpgradeState(None, replace(NEW, compacts=True), new_serves=True), "done"),
    ],
)
def test_the_step_follows_from_what_is_installed(state: UpgradeState, step: str) -> None:
    assert next_step(state, WANTED, "tempo") == step


def test_equal_durations_and_prefixes_may_be_written_differently() -> None:
    state = UpgradeState(replace(OLD, retention="168h0m", prefix="p/"), None)
    assert next_step(state, replace(WANTED, prefix="p"), "tempo") == "install"


@pytest.mark.parametrize(
    ("state", "wanted", "error", "message"),
    [
        (UpgradeState(None, None), WANTED, NotFound, "neither release tempo nor tempo-3 is installed"),
        (UpgradeState(OLD, None), replace(WANTED, line=(2, 10)), InvalidInput, "tempo_image_tag is not a version of"),
        (UpgradeState(OLD, None), replace(WANTED, profile="monolithic"), InvalidInput, "tempo_profile is monolithic"),
        (UpgradeState(OLD, None), replace(WANTED, release="tempo"), InvalidInput, "tempo_release_name is tempo"),
        (UpgradeState(replace(OLD, profile="monolithic"), None), WANTED, Conflict, "release tempo is one instance"),
        (UpgradeState(NEW, None), WANTED, Conflict, "release tempo is Tempo 3.0.3, not 2.10"),
        (UpgradeState(OLD, None), replace(WANTED, bucket="b"), Conflict, "tempo_s3_bucket is 'b', release tempo has"),
        (UpgradeState(OLD, NEW), replace(WANTED, prefix="p"), Conflict, "tempo_s3_prefix is 'p', release tempo has ''"),
        (UpgradeState(OLD, None), replace(WANTED, retention="24h"), Conflict, "tempo_retention is 24h, release tempo"),
        (UpgradeState(None, NEW), replace(WANTED, bucket="b"), Conflict, "release tempo-3 has 'traces'"),
    ],
)
def test_no_step_leads_on(state: UpgradeState, wanted: WantedTempo, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        next_step(state, wanted, "tempo")


@pytest.mark.parametrize(
    "wanted", [WANTED, replace(WANTED, release="tempo"), replace(WANTED, line=(2, 10)), replace(WANTED, bucket="b")]
)
def test_one_instance_is_sent_to_its_section_whatever_is_wanted(wanted: WantedTempo) -> None:
    """Another name for the release, which other upgrades need, would be a wrong step."""
    one = replace(OLD, profile="monolithic")
    with pytest.raises(Conflict) as caught:
        next_step(UpgradeState(one, one if wanted.release == "tempo" else None), wanted, "tempo")
    assert "tempo_profile: monolithic" in str(caught.value) and BY_HAND in str(caught.value)
    page, _hash, anchor = BY_HAND.partition("#")
    text = (Path(__file__).resolve().parents[5] / page).read_text()
    assert f"\n### {anchor.replace('-', ' ').capitalize()}\n" in text


def test_all_differences_are_told_at_once() -> None:
    with pytest.raises(Conflict) as caught:
        next_step(UpgradeState(OLD, None), replace(WANTED, bucket="b", prefix="p", retention="1h"), "tempo")
    for name in ("tempo_s3_bucket", "tempo_s3_prefix", "tempo_retention"):
        assert name in str(caught.value)
