# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a test may do without: components that come only as their publishers' images, so not on every machine.

A test marked needs_tempo is skipped where ORION_TEMPO, the path of Tempo's binary, is not set, one marked needs_tempo_3
where ORION_TEMPO_3, that of Tempo 3, is not, and its result carries the property `not_at_hand`. tools/runner.py counts
such tests as not run, and every other skipped test as failed.
"""

from __future__ import annotations

import os

import pytest

TEMPO, TEMPO_3 = os.environ.get("ORION_TEMPO", ""), os.environ.get("ORION_TEMPO_3", "")
# Mark: the program, its variable and its name.
PROGRAMS = {"needs_tempo": (TEMPO, "ORION_TEMPO", "Tempo"), "needs_tempo_3": (TEMPO_3, "ORION_TEMPO_3", "Tempo 3")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for mark, (program, variable, name) in PROGRAMS.items():
        for item in items:
            if not program and item.get_closest_marker(mark):
                item.user_properties.append(("not_at_hand", name))
                item.add_marker(pytest.mark.skip(reason=f"{variable} is not set (docs/testing.md)"))


def _program(mark: str) -> str:
    program, variable, _name = PROGRAMS[mark]
    if not os.access(program, os.X_OK):
        pytest.fail(f"{variable} names {program!r}, which cannot be run; mark tests that use it with {mark}")
    return program


@pytest.fixture(scope="session")
def tempo() -> str:
    """Path of Tempo's binary, for tests marked needs_tempo."""
    return _program("needs_tempo")


@pytest.fixture(scope="session")
def tempo_3() -> str:
    """Path of Tempo 3's binary, for tests marked needs_tempo_3."""
    return _program("needs_tempo_3")
