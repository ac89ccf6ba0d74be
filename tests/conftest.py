# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a test may do without: components that come only as their publishers' images, so not on every machine.

A test marked needs_tempo is skipped where ORION_TEMPO, the path of Tempo's binary, is not set, and its result carries
the property `not_at_hand`. tools/runner.py counts such tests as not run, and every other skipped test as failed.
"""

from __future__ import annotations

import os

import pytest

TEMPO = os.environ.get("ORION_TEMPO", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if TEMPO:
        return
    for item in items:
        if item.get_closest_marker("needs_tempo"):
            item.user_properties.append(("not_at_hand", "Tempo"))
            item.add_marker(pytest.mark.skip(reason="ORION_TEMPO is not set (docs/testing.md)"))


@pytest.fixture(scope="session")
def tempo() -> str:
    """Path of Tempo's binary, for tests marked needs_tempo."""
    if not os.access(TEMPO, os.X_OK):
        pytest.fail(f"ORION_TEMPO names {TEMPO!r}, which cannot be run; mark tests that use it with needs_tempo")
    return TEMPO
