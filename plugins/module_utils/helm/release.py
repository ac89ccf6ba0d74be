# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Helm's release records: the Secrets of type helm.sh/release.v1 that hold one revision each.

Source: helm.sh/helm/v4 pkg/storage/driver/{secrets,util}.go (the same in v3): the Secret's key `release` is
base64(gzip(JSON)), and the Kubernetes API encodes Secret data in base64 once more. Labels: owner=helm, name, version
(the revision), status.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import Conflict

DEPLOYED, FAILED, SUPERSEDED, UNINSTALLED, UNINSTALLING = (
    "deployed",
    "failed",
    "superseded",
    "uninstalled",
    "uninstalling",
)
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
GZIP_MAGIC = b"\x1f\x8b\x08"


@dataclass(frozen=True)
class Release:
    """One revision.

    config: the user's values. chart: the chart as Helm stores it (metadata, lock, templates, values, schema, files).
    hooks: objects with name, kind, path and manifest. updated: RFC 3339 time of the last operation.
    """

    name: str
    namespace: str
    revision: int
    status: str
    manifest: str
    hooks: list[dict[str, Any]]
    config: dict[str, Any]
    chart: dict[str, Any]
    updated: str = ""
    description: str = ""

    @property
    def pending(self) -> bool:
        return self.status in PENDING

    def summary(self) -> dict[str, Any]:
        """What a module returns of it: nothing that can hold a secret."""
        metadata = self.chart.get("metadata") or {}
        return {
            "name": self.name,
            "namespace": self.namespace,
            "revision": self.revision,
            "status": self.status,
            "chart": metadata.get("name", ""),
            "chart_version": metadata.get("version", ""),
            "app_version": metadata.get("appVersion", ""),
        }


def absent(name: str, namespace: str) -> dict[str, Any]:
    """The summary of a release that does not exist: revision 0, status absent."""
    return Release(name, namespace, 0, "absent", "", [], {}, {}).summary()


def decode(data: str) -> dict[str, Any]:
    """The release document in a Secret's data.release; ValueError where it is damaged."""
    try:
        content = base64.b64decode(base64.b64decode(data, validate=True), validate=True)
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        document = json.loads(content)
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    return document


def encode(document: dict[str, Any]) -> str:
    """The other way: what the Kubernetes API shows as data.release."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(document).encode()))).decode()


def of_document(document: dict[str, Any]) -> Release:
    """A release of Helm's own JSON: a decoded Secret, or what `--output json` prints."""
    info = document.get("info") or {}
    return Release(
        name=document.get("name", ""),
        namespace=document.get("namespace", ""),
        revision=int(document.get("version") or 0),
        status=info.get("status", ""),
        manifest=document.get("manifest") or "",
        hooks=document.get("hooks") or [],
        config=document.get("config") or {},
        chart=document.get("chart") or {},
        updated=info.get("last_deployed", ""),
        description=info.get("description", ""),
    )


@dataclass(frozen=True)
class History:
    """latest: the revision that Helm goes by.

    fallback: where latest is pending, the revision to go back to: the deployed one, else the newest that is finished.
    """

    latest: Release | None = None
    fallback: Release | None = None


def history(secrets: Iterable[dict[str, Any]]) -> History:
    """Pick and decode the two revisions that matter from a list of release Secrets. Conflict where one is damaged."""
    by_revision = sorted(secrets, key=_revision)
    if not by_revision:
        return History()
    latest = _of_secret(by_revision[-1])
    if latest.status == UNINSTALLED:
        return History()  # kept with `helm uninstall --keep-history`: Helm itself installs over it
    if not latest.pending:
        return History(latest)
    finished = [secret for secret in by_revision[:-1] if _labels(secret).get("status") in (DEPLOYED, FAILED)]
    finished.sort(key=lambda secret: (_labels(secret).get("status") == DEPLOYED, _revision(secret)))
    return History(latest, _of_secret(finished[-1]) if finished else None)


def _labels(secret: dict[str, Any]) -> dict[str, str]:
    return secret["metadata"].get("labels") or {}


def _revision(secret: dict[str, Any]) -> int:
    version = _labels(secret).get("version", "")
    return int(version) if version.isdigit() else 0


def _of_secret(secret: dict[str, Any]) -> Release:
    try:
        return of_document(decode((secret.get("data") or {}).get("release", "")))
    except ValueError as error:
        name = f"{secret['metadata'].get('namespace')}/{secret['metadata']['name']}"
        raise Conflict(
            f"the release record in Secret {name} cannot be read",
            str(error),
            "Restore it, or delete it to make Helm go by the revision before it.",
        ) from error
