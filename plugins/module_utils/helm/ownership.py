# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The annotations by which Helm marks an object as a part of a release. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWNER_ANNOTATION = "meta.helm.sh/release-name"  # set by Helm alone, so whoever owns it is Helm, whatever its file name
NAMESPACE_ANNOTATION = "meta.helm.sh/release-namespace"


def release_of(live: Mapping[str, Any]) -> str:
    """The release of a live object, as namespace/name; "" where it belongs to none."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    name, namespace = annotations.get(OWNER_ANNOTATION), annotations.get(NAMESPACE_ANNOTATION)
    return f"{namespace}/{name}" if name else ""
