# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After playbooks/uninstall.yml over both hosts."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.fleet.conftest import setting
from ansible_collections.orion.tracing.tests.integration.snapshot import objects

# What uninstall.yml leaves, and documents: Tempo's volumes. Pods may take as long as this to end.
KEPT = ("persistentvolumeclaims/", "persistentvolumes/")
PATIENCE = 120.0


def test_nothing_is_left(kube: Kube) -> None:
    before = json.loads(Path(setting("ORION_TEST_SNAPSHOT")).read_text())
    assert "namespaces//edge" in before
    limit, left = Deadline(Clock(), PATIENCE), {"something"}
    while left and limit.wait(2.0):
        left = {key for key in objects(kube).keys() - before.keys() if not key.startswith(KEPT)}
    assert left == set()
