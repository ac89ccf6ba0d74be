# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Versions that this release of the collection supports and is tested with. Pure: no I/O, no Ansible.

README.md (Compatibility), the roles' default tags, meta/runtime.yml and the requirements are compared with it by
tests/unit/test_versions.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# The oldest supported minor version of each.
MIN_ANSIBLE_CORE = (2, 20)
MIN_PYTHON = (3, 12)
MIN_KUBERNETES = (1, 31)
MIN_HELM = (3, 18)
# The first version with load_balancing, the newest of the component names in the configuration.
# Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/pull/48533
MIN_COLLECTOR = (0, 153)

# Versions whose configuration the roles generate, which are their default image tags.
COLLECTOR = "0.158.0"
TEMPO = "2.10.8"
# Of the profile kafka, which Tempo 2 does not have.
TEMPO_3 = "3.0.3"
# The store of inventories/local where Tempo's image is not available.
JAEGER = "2.13.0"

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def minor(version: str) -> tuple[int, int]:
    """(2, 10) for 2.10.8 or v2.10.8. ValueError for text that does not begin with a version."""
    found = _VERSION.match(version)
    if not found:
        raise ValueError(f"'{version}' is not a version such as 2.10.8")
    return int(found[1]), int(found[2])


def dotted(version: Iterable[int]) -> str:
    """2.10 for (2, 10)."""
    return ".".join(map(str, version))
