# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The list of gates: which commands run them, and that docs/testing.md has all of them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tools import gates
from tools.gates import CHECK, CLUSTER, GATES, NOTHING, TEST, TEST_ALL, Gate

ROOT = Path(__file__).resolve().parents[3]


def of(command: str) -> list[Gate]:
    return [gate for gate in GATES if command in gate.commands]


def test_names_are_unique_and_fit_into_a_file_name() -> None:
    names = [gate.name for gate in GATES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9.-]{2,24}", name) for name in names)


def test_check_needs_neither_programs_nor_a_cluster() -> None:
    assert {gate.needs for gate in of(CHECK)} == {NOTHING}


def test_test_all_has_every_gate_of_test() -> None:
    assert [gate for gate in of(TEST) if gate not in of(TEST_ALL)] == []
    # The quick ones are among the unit tests.
    assert [gate.name for gate in GATES if gate not in of(TEST_ALL)] == ["unit-quick"]


def test_the_cluster_is_removed_last() -> None:
    on_cluster = [gate for gate in GATES if gate.needs == CLUSTER]
    assert (on_cluster[0], on_cluster[-1]) == (gates.MAKE_CLUSTER, gates.REMOVE_CLUSTER)


@pytest.mark.parametrize("folder", ["tests/unit", "tests/parity", "tests/integration", "tests/execution_environment"])
def test_every_test_is_in_a_gate_of_test_all(folder: str) -> None:
    """By the marks: all but the nightly tests in one gate, the nightly ones in others."""
    found = [gate.argv[gate.argv.index("-m", 3) + 1] for gate in of(TEST_ALL) if folder in gate.argv]
    assert "not nightly" in found
    assert "nightly" in found or "mark.nightly" not in "".join(
        file.read_text() for file in (ROOT / folder).rglob("test_*.py") if file != Path(__file__)
    )


def test_the_docs_have_every_gate() -> None:
    text = (ROOT / "docs/testing.md").read_text()
    rows = re.findall(r"^\| `([\w.-]+)` \| `([\w-]+)` \|.*\| [\d,]+ \|$", text, re.MULTILINE)
    assert rows == [(gate.name, gate.commands[0]) for gate in GATES]


def _make(*argv: str) -> str:
    """What make prints, without the lines that one inside another adds about folders."""
    argv = ("make", "--no-print-directory", *argv)
    # GATE of a make that runs this test would reach this one.
    env = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "GATE", "ARGS")
    }
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.rstrip()


@pytest.mark.parametrize("command", [CHECK, TEST, TEST_ALL])
def test_make_has_the_commands(command: str) -> None:
    assert _make("-n", command).endswith(f"-m tools {command}")


def test_make_hands_gates_and_arguments_on() -> None:
    assert _make("-n", "test", "GATE=unit parity", "ARGS=-k 'a or b'").endswith(
        "-m tools test --gate=unit --gate=parity -- -k 'a or b'"
    )
