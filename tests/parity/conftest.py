# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collector's binary, from ORION_OTELCOL. Without it these tests fail: a skipped one would look passed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def otelcol() -> str:
    path = os.environ.get("ORION_OTELCOL", "")
    if not os.access(path, os.X_OK):
        pytest.fail("the collector's binary is needed: set ORION_OTELCOL (`python -m airgap path otelcol` prints it)")
    return path


@pytest.fixture(scope="session")
def nezha() -> Path:
    """Recorded traces of two systems where they lie beside the checkout, else the fixture of the unit tests."""
    root = Path(__file__).resolve().parents[2]
    path = root.parent / "shared/data/nezha/traces.jsonl.gz"
    return path if path.is_file() else root / "tests/unit/fixtures/probe.jsonl"
