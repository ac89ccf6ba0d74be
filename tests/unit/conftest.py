# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which unit tests are slow, so that `make check` leaves them to `make test`: those that start programs.

Folders in which nearly all tests do so are named here; other tests carry the mark themselves.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Helm, the Collector and Jaeger; ansible-playbook; modules as processes.
SLOW = [HERE / name for name in ("charts", "playbooks", "roles", "plugins/action", "plugins/modules")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in SLOW):
            item.add_marker(pytest.mark.slow)
