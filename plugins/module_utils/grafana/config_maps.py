# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How much an object that Grafana's sidecar reads can hold. Pure: no I/O, no Ansible."""

from __future__ import annotations

from collections.abc import Mapping

# Of a ConfigMap's or Secret's data, in bytes. The API server refuses more.
# Source: https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
LIMIT = 2**20


def oversized(files: Mapping[str, str]) -> str:
    """What is wrong with an object of these files (text by name) as a clause, "" if it fits."""
    sizes = {name: len(name.encode()) + len(text.encode()) for name, text in files.items()}
    total = sum(sizes.values())
    if total <= LIMIT:
        return ""
    largest = max(sizes, key=lambda name: sizes[name])
    return f"has {total} bytes, more than the {LIMIT} that a ConfigMap or Secret can hold ({largest}: {sizes[largest]})"
