# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recordings that tests use: one in the repository, always, and one beside the checkout where there is one."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Made by tests/data/make_shop.py
OURS = ROOT / "tests/data/shop.jsonl.gz"
SHARED = "../shared/data"
NEZHA = (ROOT / SHARED / "nezha/traces.jsonl.gz").resolve()


def at_hand() -> dict[str, Path]:
    """Recordings by name."""
    return {"shop": OURS} | ({"nezha": NEZHA} if NEZHA.is_file() else {})


def note() -> str:
    """What the line of a gate says of the recording beside the checkout."""
    if not NEZHA.is_file():
        return f"{SHARED} is not at hand: on the recording of the repository alone"
    with gzip.open(NEZHA) as file:
        traces = {found for line in file for found in re.findall(rb'"traceId":"(\w+)"', line)}
    return f"also on {len(traces):,} recorded traces of {SHARED}"
