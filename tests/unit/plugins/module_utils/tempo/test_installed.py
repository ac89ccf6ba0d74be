# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import changes_refused, installed
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

KAFKA = {"tempo_profile": "kafka", "tempo_image_tag": "3.0.3", "tempo_kafka_address": "kafka:9092"}
ONE = {"tempo_profile": "monolithic"}


def variables(**changes: Any) -> dict[str, Any]:
    limits = ("collector_max_total_spans_per_second", "collector_max_total_bytes_per_second")
    return role_defaults("tempo", *limits, **{"object_storage_bucket": "traces", **changes})


def test_what_a_release_tells() -> None:
    old = installed(tempo_values(variables(tempo_s3_prefix="p", tempo_retention="48h")))
    assert old and (old.profile, old.line, old.tag) == ("distributed", (2, 10), "2.10.8")
    assert (old.bucket, old.prefix, old.retention, old.compacts) == ("traces", "p", "48h", True)
    new = installed(tempo_values(variables(**KAFKA, tempo_compaction_enabled=False)))
    assert new and (new.profile, new.line, new.retention, new.compacts) == ("kafka", (3, 0), "168h", False)
    # A release of before there was a second line, and one of another chart.
    values = tempo_values(variables())
    del values["line"]
    earlier = installed(values)
    assert earlier and earlier.line == (2, 10)
    assert installed({"tempo": {"storage": {}}}) is None


@pytest.mark.parametrize(
    ("before", "after", "severity", "texts"),
    [
        ({}, {}, "", []),
        (KAFKA, KAFKA, "", []),
        (ONE, ONE, "", []),
        (ONE, {}, "error", ["is distributed, but Tempo 2.10.8 is installed with monolithic", "another-profile"]),
        ({}, ONE, "error", ["is monolithic, but Tempo 2.10.8 is installed with distributed"]),
        (KAFKA, {**ONE, "tempo_image_tag": "3.0.3"}, "error", ["Tempo 3.0.3 is installed with kafka"]),
        ({}, {"tempo_image_tag": "2.10.9"}, "", []),
        ({}, {"tempo_image_tag": "2.10.7"}, "warning", ["newer patch"]),
        ({}, {"tempo_image_tag": "2.9.5"}, "error", ["is 2.9.5, but Tempo 2.10.8 is installed, which is newer"]),
        ({}, KAFKA, "error", ["is 3.0.3, but Tempo 2.10.8 is installed", "playbooks/upgrade_tempo.yml"]),
        (
            ONE,
            {**ONE, "tempo_image_tag": "3.0.3"},
            "error",
            ["a plain run does not replace", "by hand (docs/tempo-3.md#one-instance)"],
        ),
        (KAFKA, {}, "error", ["Tempo 3.0.3 is installed, and there is no way back", "tempo_profile: kafka"]),
        ({**ONE, "tempo_image_tag": "3.0.3"}, ONE, "error", ["no way back to 2.10"]),
        (KAFKA, {**KAFKA, "tempo_image_tag": "latest"}, "", []),
        ({"tempo_image_tag": "3f4e5d6"}, KAFKA, "error", ["but Tempo 2.10 is installed"]),
    ],
)
def test_a_plain_run(before: dict[str, Any], after: dict[str, Any], severity: str, texts: list[str]) -> None:
    there = installed(tempo_values(variables(**before)))
    found = list(changes_refused(variables(**after), there))
    assert [one.severity for one in found] == ([severity] if severity else [])
    for text in texts:
        assert text in str(found[0])


def test_a_plain_run_in_the_middle_of_an_upgrade() -> None:
    old = installed(tempo_values(variables()))
    [found] = changes_refused(variables(**KAFKA, tempo_release_name="tempo-3"), None, old)
    assert found.variable == "tempo_release_name"
    assert "the release tempo (Tempo 2.10.8) is still there" in str(found)


def test_nothing_is_refused_where_nothing_is_installed() -> None:
    assert list(changes_refused(variables(**KAFKA), None)) == []
