# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables that nothing knows are found, each with the nearest known name."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.inventory.unknown import unknown_variables

KNOWN = ["tempo_retention", "tempo_profile", "tracing_prove"]


def test_the_nearest_name_is_offered() -> None:
    names = ["tempo_retnetion", "tempo_profile", "collector_x", "temporary", "tracing_prov"]
    assert [str(finding) for finding in unknown_variables(names, KNOWN, ["tempo", "tracing"])] == [
        "tempo_retnetion: is not a variable of this collection; did you mean tempo_retention? Correct or remove it.",
        "tracing_prov: is not a variable of this collection; did you mean tracing_prove? Correct or remove it.",
    ]


def test_without_a_near_name_all_are_listed() -> None:
    (finding,) = unknown_variables(["tempo_zzz"], KNOWN, ["tempo"])
    assert "which has tempo_profile, tempo_retention" in str(finding)
