# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every configuration of the tempo role is one that Tempo has accepted; with Tempo at hand, it is asked again.

tempo_configs.py says how the files in approved/tempo are made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted
from ansible_collections.orion.tracing.plugins.module_utils.tempo.keys import KEYS
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import TAGS, VERSION, VERSION_3
from ansible_collections.orion.tracing.tests.unit.charts import tempo_configs as configs


def problem(case: str) -> str:
    """What is wrong with the approved file of a case, and what to do; "" for nothing."""
    config, kept = configs.values_of(case)["config"], configs.approved(case)
    if kept is None:
        what = "has no approved file"
    elif kept.config != config:
        what = f"differs from {configs.file_of(case).relative_to(configs.ROOT)}"
    else:
        return ""
    return f"the configuration of case {case} {what}: verify it with Tempo. {configs.COMMAND}"


def of_line(line: tuple[int, int]) -> list[str]:
    return [case for case in configs.CONFIGURATIONS if configs.values_of(case)["line"] == dotted(line)]


@pytest.mark.parametrize("case", configs.CONFIGURATIONS)
def test_config_is_the_approved_one(case: str) -> None:
    assert problem(case) == ""


def test_every_approved_file_belongs_to_a_case() -> None:
    assert {file.stem for file in configs.APPROVED.iterdir()} == set(configs.CONFIGURATIONS)


@pytest.mark.parametrize("case", configs.CONFIGURATIONS)
def test_default_version_has_accepted_it(case: str) -> None:
    """A new default tag, or a new one of Tempo 3, is a reason to ask Tempo again."""
    default = {dotted(line): tag for line, tag in TAGS.items()}[configs.values_of(case)["line"]]
    kept = configs.approved(case)
    assert kept is not None
    assert default in kept.versions, f"verify it with Tempo {default}. {configs.COMMAND}"


def test_a_changed_config_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above can fail."""
    config = configs.values_of("prefix")["config"]
    monkeypatch.setattr(configs, "APPROVED", tmp_path)
    monkeypatch.setattr(configs, "ROOT", tmp_path)
    assert "case prefix has no approved file: verify it with Tempo. ORION_TEMPO=" in problem("prefix")
    text = f"{configs.ACCEPTED_BY}2.10.8, 2.10.9.\n{configs.text_of(config)}"
    configs.file_of("prefix").write_text(text)
    assert problem("prefix") == ""
    kept = configs.approved("prefix")
    assert kept is not None
    assert kept.versions == ("2.10.8", "2.10.9")
    configs.file_of("prefix").write_text(text.replace("level: info", "level: warn"))
    assert "case prefix differs from prefix.yaml: verify it with Tempo" in problem("prefix")
    configs.file_of("prefix").write_text(configs.text_of(config))
    assert configs.approved("prefix") == configs.Approved(config, ())


@pytest.mark.needs_tempo
@pytest.mark.parametrize("case", of_line(VERSION))
def test_tempo_accepts_the_config(case: str, tempo: str) -> None:
    verdict = configs.verify(tempo, configs.text_of(configs.values_of(case)["config"]))
    assert verdict.accepted, verdict.output


@pytest.mark.needs_tempo_3
@pytest.mark.parametrize("case", of_line(VERSION_3))
def test_tempo_3_accepts_the_config(case: str, tempo_3: str) -> None:
    verdict = configs.verify(tempo_3, configs.text_of(configs.values_of(case)["config"]))
    assert verdict.accepted, verdict.output


@pytest.mark.needs_tempo
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ingester": {"no_such_key": 1}}, "no_such_key"),
        ({"compactor": {"compaction": {"block_retention": "7d"}}}, "7d"),
        ({"storage": {"trace": {"blocklist_poll": "20m"}}}, "complete_block_timeout"),
    ],
    ids=["unknown key", "no duration", "warning"],
)
def test_tempo_refuses_what_is_wrong(changes: dict[str, Any], said: str, tempo: str) -> None:
    """The test above can fail."""
    config = overlay(configs.values_of("production")["config"], changes)
    verdict = configs.verify(tempo, configs.text_of(config))
    assert not verdict.accepted
    assert said in verdict.output


@pytest.mark.needs_tempo
def test_approval_writes_what_tempo_accepts_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tempo: str
) -> None:
    wrong = {"tempo_extra_config": {"ingester": {"max_block_bytes": "many"}}}
    monkeypatch.setattr(configs, "APPROVED", tmp_path)
    monkeypatch.setattr(configs, "CONFIGURATIONS", {"prefix": configs.CONFIGURATIONS["prefix"], "wrong": wrong})
    config, own = configs.values_of("prefix")["config"], configs.version(tempo)
    head = f"{configs.ACCEPTED_BY}0.0.1.\n"
    for name, text in {
        "prefix": head + configs.text_of(config),
        "wrong": head + configs.text_of({}),
        "of-no-case": head,
    }.items():
        configs.file_of(name).write_text(text)
    verdicts = dict(configs.approve(tempo))
    assert {case: verdict.accepted for case, verdict in verdicts.items()} == {"prefix": True, "wrong": False}
    assert configs.approved("prefix") == configs.Approved(config, ("0.0.1", own))
    assert configs.approved("wrong") == configs.Approved({}, ("0.0.1",))
    assert not configs.file_of("of-no-case").exists()
    # Another configuration begins with the version that accepted it.
    configs.file_of("prefix").write_text(head + configs.text_of({}))
    list(configs.approve(tempo))
    assert configs.approved("prefix") == configs.Approved(config, (own,))


@pytest.mark.needs_tempo
def test_tempo_knows_the_keys_of_the_table_and_no_others(tempo: str) -> None:
    compare_keys(tempo, VERSION)


@pytest.mark.needs_tempo_3
def test_tempo_3_knows_the_keys_of_the_table_and_no_others(tempo_3: str) -> None:
    compare_keys(tempo_3, VERSION_3)


def compare_keys(program: str, line: tuple[int, int]) -> None:
    """tempo/key_tables.py, with every option null, and in each section one option that does not exist."""
    sections = 0

    def document(tree: dict[str, Any]) -> dict[str, Any]:
        nonlocal sections
        sections += 1
        unknown = {f"unknown_{sections}": None}
        return {key: document(below) if below else None for key, below in tree.items()} | unknown

    said = configs.verify(program, configs.text_of(document(KEYS[line]))).output
    refused = re.findall(r"field (\S+) not found in type", said)
    assert sorted(refused) == sorted(f"unknown_{number}" for number in range(1, sections + 1)), said
