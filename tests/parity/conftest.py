# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collector's binary, from ORION_OTELCOL. Without it these tests fail: a skipped one would look passed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from tools import recordings


@pytest.fixture(scope="session")
def otelcol() -> str:
    path = os.environ.get("ORION_OTELCOL", "")
    if not os.access(path, os.X_OK):
        pytest.fail("the collector's binary is needed: run `make test GATE=parity`")
    return path


@pytest.fixture(scope="session", params=recordings.at_hand().values(), ids=recordings.at_hand())
def recorded_file(request: pytest.FixtureRequest) -> Path:
    """The recording of the repository, and that beside the checkout where there is one (tools/recordings.py)."""
    path: Path = request.param
    return path
