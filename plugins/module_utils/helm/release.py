# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
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
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput

DEPLOYED, FAILED, SUPERSEDED, UNINSTALLED, UNINSTALLING = (
    "deployed",
    "failed",
    "superseded",
    "uninstalled",
    "uninstalling",
)
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
TYPE = "helm.sh/release.v1"  # of the Secrets
GZIP_MAGIC = b"\x1f\x8b\x08"
# Labels of the Secret that Helm sets itself (pkg/storage/driver/labels.go); all others are the release's labels.
SYSTEM_LABELS = frozenset({"name", "owner", "status", "version", "createdAt", "modifiedAt"})
CHART_LABEL = "orion.tracing/chart"
# What the API server takes in one Secret, over all values: MaxSecretSize in pkg/apis/core/types.go of Kubernetes.
SECRET_LIMIT = 1024 * 1024
SIZE_ERROR = 0.02  # Go compresses a little better or worse than zlib
# What Helm notes about hooks that failed before it applied the manifest. Source: performInstall of
# pkg/action/install.go and releasingUpgrade of pkg/action/upgrade.go
HOOK_FAILED = re.compile(r'^(Release|Upgrade) ".*" failed: (failed pre-install|pre-upgrade hooks failed): ')
SSA = "ssa"  # Release.apply_method of server-side apply, Helm 4 only


@dataclass(frozen=True)
class Release:
    """One revision.

    config: the user's values. chart: the chart as Helm stores it (metadata, lock, templates, values, schema, files).
    hooks: objects with name, kind, path, manifest, events and last_run. updated: RFC 3339 time of the last operation.
    labels: the release's own, without Helm's. chart_digest: digest of the chart's content (chart.content_digest) as
    this collection noted it at this very revision, else "". apply_method: "ssa", "csa" or "" (Helm 3).
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
    labels: dict[str, str] = field(default_factory=dict)
    chart_digest: str = ""
    apply_method: str = ""

    @property
    def pending(self) -> bool:
        return self.status in PENDING

    @property
    def never_applied(self) -> bool:
        """Whether a hook failed before any object of the manifest was applied."""
        return self.status == FAILED and bool(HOOK_FAILED.search(self.description))

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
            "updated": self.updated,
            "description": self.description,
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
    return base64.b64encode(_packed(document)).decode()


def size(document: dict[str, Any]) -> int:
    """Bytes that a release record takes of SECRET_LIMIT."""
    return len(_packed(document))


def _packed(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode()))


def largest(document: dict[str, Any], count: int = 3) -> list[tuple[str, int]]:
    """The parts that take the most of a record: path in the chart, or what it is, and bytes when compressed."""
    chart = document.get("chart") or {}
    parts = {
        file["name"]: base64.b64decode(file.get("data") or "")
        for kind in ("templates", "files")
        for file in chart.get(kind) or []
    }
    parts["the rendered manifest"] = str(document.get("manifest") or "").encode()
    parts["the values"] = json.dumps(document.get("config") or {}).encode()
    sizes = [(name, len(zlib.compress(data))) for name, data in parts.items()]
    return sorted(sizes, key=lambda part: part[1], reverse=True)[:count]


def check_size(document: Mapping[str, Any], what: str) -> None:
    """InvalidInput where a release record would not fit into a Secret: by then, Helm would have made the namespace, and
    its message names neither the size nor what is large. document: as a dry run prints it. what: names the release."""
    total = size(dict(document))
    if total * (1 - SIZE_ERROR) > SECRET_LIMIT:
        parts = ", ".join(f"{name} ({_kib(packed)})" for name, packed in largest(dict(document)) if packed > total / 50)
        raise InvalidInput(
            f"{what} is too large: its record takes about {_kib(total)}, and a Secret holds {_kib(SECRET_LIMIT)}",
            f"the largest parts, compressed: {parts}",
            "Keep files that no template reads out of the chart (.helmignore), or split the chart.",
        )


def _kib(count: int) -> str:
    return f"{count / 1024:.0f} KiB"


def chart_label(revision: int, digest: str) -> str:
    """Value of CHART_LABEL. Helm copies labels to later revisions, so the value names the one that it describes."""
    return f"{revision}.{digest}"


def of_document(document: dict[str, Any], labels: Mapping[str, str] | None = None) -> Release:
    """A release of Helm's own JSON: a decoded Secret, or what `--output json` prints. labels: those of the Secret."""
    info = document.get("info") or {}
    labels = labels or {}
    revision, description = int(document.get("version") or 0), info.get("description", "")
    noted, _dot, digest = labels.get(CHART_LABEL, "").partition(".")
    # A rollback takes content and labels from the same revision.
    valid = noted == str(revision) or (noted and description == f"Rollback to {noted}")
    return Release(
        name=document.get("name", ""),
        namespace=document.get("namespace", ""),
        revision=revision,
        status=info.get("status", ""),
        manifest=document.get("manifest") or "",
        hooks=document.get("hooks") or [],
        config=document.get("config") or {},
        chart=document.get("chart") or {},
        updated=info.get("last_deployed", ""),
        description=description,
        labels={name: text for name, text in labels.items() if name not in SYSTEM_LABELS and name != CHART_LABEL},
        chart_digest=digest if valid else "",
        apply_method=document.get("apply_method") or "",
    )


@dataclass(frozen=True)
class History:
    """latest: the revision that Helm goes by.

    fallback: where latest is pending, the revision to go back to: the deployed one, else the newest that was deployed
    once, else the newest that failed; where latest was never applied, the deployed one. target: the revision asked for.
    newest: the highest number that is taken, which is also that of a release uninstalled with its history kept.
    deployed: number of the deployed one, 0 where none is. revisions: all that were read. deleting: the record of latest
    is being deleted; it still exists only because a finalizer holds it, usually while its namespace is deleted.
    """

    latest: Release | None = None
    fallback: Release | None = None
    target: Release | None = None
    newest: int = 0
    deployed: int = 0
    revisions: tuple[int, ...] = ()
    deleting: bool = False

    @property
    def applied(self) -> Release | None:
        """The revision whose objects are in the cluster, as far as records show: not one that failed in a hook before
        its objects."""
        return self.fallback if self.latest and self.latest.never_applied else self.latest

    @property
    def incomplete(self) -> bool:
        """Whether superseded revisions matter, too: there is nothing else, or nothing deployed to go back to."""
        if self.latest is None:
            return not self.newest
        return self.latest.pending and not self.deployed


def history(secrets: Iterable[dict[str, Any]], target: int = 0) -> History:
    """Pick and decode the revisions that matter from a list of release Secrets. Conflict where one is damaged."""
    by_revision = sorted(secrets, key=revision_of)
    if not by_revision:
        return History()
    newest = revision_of(by_revision[-1])
    deployed = max((revision_of(secret) for secret in by_revision if _status(secret) == DEPLOYED), default=0)
    latest = _of_secret(by_revision[-1])
    if latest.status == UNINSTALLED:
        return History(newest=newest)  # kept with `helm uninstall --keep-history`: Helm itself installs over it
    chosen = next((_of_secret(secret) for secret in by_revision if target and revision_of(secret) == target), None)
    fallback = None
    if latest.pending:
        ranks = {FAILED: 1, SUPERSEDED: 2, DEPLOYED: 3}
        finished = [secret for secret in by_revision[:-1] if _status(secret) in ranks]
        finished.sort(key=lambda secret: (ranks[_status(secret)], revision_of(secret)))
        fallback = _of_secret(finished[-1]) if finished else None
    elif latest.never_applied:
        last = next((secret for secret in reversed(by_revision[:-1]) if _status(secret) == DEPLOYED), None)
        fallback = _of_secret(last) if last else None
    deleting = bool(by_revision[-1]["metadata"].get("deletionTimestamp"))
    return History(latest, fallback, chosen, newest, deployed, tuple(map(revision_of, by_revision)), deleting)


def labels_of(secret: Mapping[str, Any]) -> dict[str, str]:
    """Helm's own and the user's, of a record's Secret."""
    return secret["metadata"].get("labels") or {}


def _status(secret: dict[str, Any]) -> str:
    return labels_of(secret).get("status", "")


def revision_of(secret: Mapping[str, Any]) -> int:
    """The number of a record's Secret, 0 where it has none."""
    version = labels_of(secret).get("version", "")
    return int(version) if version.isdigit() else 0


def _of_secret(secret: dict[str, Any]) -> Release:
    try:
        return of_document(decode((secret.get("data") or {}).get("release", "")), labels_of(secret))
    except ValueError as error:
        name = f"{secret['metadata'].get('namespace')}/{secret['metadata']['name']}"
        raise Conflict(
            f"the release record in Secret {name} cannot be read",
            str(error),
            "Restore it, or delete it to make Helm go by the revision before it.",
        ) from error
