# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `make test` counts as passed, failed and skipped: pytest really runs, on tests made for it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools import gates

TESTS = """
import pytest

def test_passes():
    pass

def test_fails():
    assert False

def test_skipped():
    pytest.skip("ORION_TEMPO is not set")

@pytest.mark.xfail
def test_fails_as_expected():
    assert False

@pytest.fixture
def broken():
    yield
    assert False

def test_fails_at_its_end(broken):
    pass

@pytest.mark.needs_tempo
def test_with_tempo(tempo):
    pass

@pytest.mark.needs_tempo
@pytest.mark.parametrize("case", [1, 2])
def test_of_tempo(case, tempo):
    assert case == 1
"""


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gates.Gate:
    """A gate of the tests above, with the project's conftest and settings."""
    monkeypatch.setattr(gates, "WORK", tmp_path)
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_some.py").write_text(TESTS)
    return gates.pytest("some tests", str(tmp_path / "test_some.py"), cwd=tmp_path)


def counted(outcome: gates.Outcome) -> tuple[int, int, int]:
    return outcome.passed, outcome.failed, outcome.skipped


def test_only_tests_of_what_is_not_at_hand_are_skipped(gate: gates.Gate) -> None:
    gate.env = {"ORION_TEMPO": ""}
    assert counted(gates.run_gate(gate)) == (1, 4, 3)


def test_with_tempo_at_hand_nothing_is_skipped(gate: gates.Gate) -> None:
    gate.env = {"ORION_TEMPO": sys.executable}
    assert counted(gates.run_gate(gate)) == (3, 5, 0)


def test_a_tempo_that_cannot_be_run_is_a_failure(gate: gates.Gate) -> None:
    gate.env = {"ORION_TEMPO": os.devnull}
    assert counted(gates.run_gate(gate)) == (1, 7, 0)


def test_the_table_tells_what_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORION_IMAGE_DIR", "/srv/images")
    outcomes = [gates.Outcome("unit tests", 900, 0, 61.5, 30), gates.Outcome("integration tests", 70, 1, 300.0, 2)]
    before = gates.table(outcomes[1:]).splitlines()
    assert before[-1] == "70 passed, 1 failed, 2 skipped"
    lines = gates.table(gates.without_tempo(outcomes, installed=False)).splitlines()
    assert lines[0].split() == ["Gate", "passed", "failed", "skipped", "seconds"]
    assert lines[1].split() == ["unit", "tests", "900", "0", "0", "61.5"]
    assert lines[2].split() == ["integration", "tests", "70", "1", "0", "300.0"]
    version = gates.tempo_version()
    assert lines[3].split()[:6] == ["Tempo", version, "0", "0", "34", "0.0"]
    assert lines[3].endswith(
        "  not run, since no registry and no archive in /srv/images has its image: 32 tests with its binary, "
        "and molecule site and load on it, which used the embedded store"
    )
    assert lines[4:] == ["", "970 passed, 1 failed, 34 skipped"]
    lines = gates.table(gates.without_tempo(outcomes, installed=True)).splitlines()
    assert lines[3].endswith("could take it out of the image: 32 tests with its binary")
    assert lines[-1] == "970 passed, 1 failed, 32 skipped"


def test_without_skipped_tests_the_last_line_does_not_name_them() -> None:
    assert gates.table([gates.Outcome("ruff", 1, 0, 1.0)]).splitlines()[-1] == "1 passed, 0 failed"
