# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What is known about releases: one list of their records, read without helm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.helm import release, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import Release
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages

ALL, PENDING = "all", "pending"
NONE, USER, COMPUTED = "none", "user", "computed"
# A record is up to 1 MiB; a page must not be much for the API server or for this process.
PAGE = 50


@dataclass(frozen=True)
class Query:
    """The options of the module. name, namespace: "" for all. states: of the newest revision; empty for all but
    uninstalled. values: "none", "user" or "computed"."""

    name: str = ""
    namespace: str = ""
    states: tuple[str, ...] = ()
    values: str = NONE
    history: bool = False
    notes: bool = False
    objects: bool = False
    drift: bool = False
    drift_added: bool = False


@dataclass(frozen=True)
class RevisionRecord:
    """A revision. document: Helm's own JSON, for what Release leaves out."""

    release: Release
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Gathered:
    releases: list[dict[str, Any]]
    warnings: list[str]


def user_values(kube: Kube, namespace: str, name: str) -> dict[str, Any] | None:
    """The values that a release was installed with, None without the release."""
    found = gather(kube, Query(name=name, namespace=namespace, values=USER)).releases
    return dict(found[0]["release_values"]) if found else None


def gather(kube: Kube, query: Query) -> Gathered:
    """The releases that fit, by namespace and name; nothing is written.

    Requests: one list of Secrets (one per 50 records), and those of drift.survey for each release where drift is asked
    for, discovery once. PermissionDenied where Secrets may not be listed. A damaged record becomes a warning.
    """
    warnings: list[str] = []
    found: list[tuple[dict[str, Any], list[RevisionRecord]]] = []
    for secrets in _by_release(_read(kube, query)).values():
        records = _decode(secrets, query, warnings)
        if records and _fits(records[-1].release, query.states):
            found.append((_entry(records, query), records))
    if query.drift:
        _add_drift(kube, found, query.drift_added, warnings)
    return Gathered([entry for entry, _records in found], warnings)


def computed(defaults: Mapping[str, Any] | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The values over the chart's defaults, as `helm get values --all` shows them: mappings are merged, everything else
    is replaced, a null removes the default, and defaults that are null are none, as in Helm 4 (Helm 3 shows them).
    Values of subcharts are those that the chart itself gives: a release record does not hold subcharts.

    Source: coalesceValues of helm.sh/helm/v4 pkg/chart/common/util/coalesce.go."""
    below = {name: _given(value) for name, value in (defaults or {}).items() if value is not None}
    result = {name: value for name, value in config.items() if value is not None or name not in below}
    for name, default in below.items():
        if name not in config:
            result[name] = default
        elif isinstance(config[name], dict) and isinstance(default, dict):
            result[name] = computed((defaults or {})[name], config[name])
    return result


def _given(value: Any) -> Any:
    return {k: _given(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _read(kube: Kube, query: Query) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{quote(query.namespace)}/secrets" if query.namespace else "/api/v1/secrets"
    selector = ["owner=helm"]
    if query.name:
        selector.append(f"name={query.name}")
    if not query.history and not {ALL, release.SUPERSEDED} & set(query.states):
        selector.append(f"status!={release.SUPERSEDED}")  # most of the bytes
    try:
        return pages(kube, path, ",".join(selector), limit=PAGE)
    except PermissionDenied as error:
        where = f"in namespace {query.namespace}" if query.namespace else "in all namespaces"
        remedy = f"Grant the verb list on secrets {where}" + (
            "." if query.namespace else ", or set release_namespace to one where it is granted."
        )
        raise PermissionDenied(error.what, error.why, remedy, **error.details) from error


def _by_release(secrets: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for secret in secrets:
        metadata = secret["metadata"]
        found.setdefault((metadata.get("namespace", ""), release.labels_of(secret).get("name", "")), []).append(secret)
    return {place: sorted(found[place], key=release.revision_of) for place in sorted(found)}


def _decode(secrets: list[dict[str, Any]], query: Query, warnings: list[str]) -> list[RevisionRecord]:
    """The revisions that are needed, oldest first. Decoding takes longest, so only those."""
    if not query.history:
        deployed = [s for s in secrets[:-1] if query.drift and release.labels_of(s).get("status") == release.DEPLOYED]
        secrets = [*deployed[-1:], secrets[-1]]
    found: list[RevisionRecord] = []
    for secret in reversed(secrets):
        try:
            document = release.decode((secret.get("data") or {}).get("release", ""))
        except ValueError as error:
            metadata = secret["metadata"]
            warnings.append(
                f"the release record in Secret {metadata.get('namespace')}/{metadata['name']} cannot be read and is "
                f"left out: {error}"
            )
            if not found:
                return []  # the revision before it is not what the release is
            continue
        found.append(RevisionRecord(release.of_document(document, release.labels_of(secret)), document))
    return found[::-1]


def _fits(newest: Release, states: tuple[str, ...]) -> bool:
    if not states:
        return newest.status != release.UNINSTALLED
    return ALL in states or newest.status in states or (PENDING in states and newest.pending)


def _entry(records: list[RevisionRecord], query: Query) -> dict[str, Any]:
    newest, document = records[-1].release, records[-1].document
    entry: dict[str, Any] = {**newest.summary(), "labels": newest.labels}
    if query.values == USER:
        entry["release_values"] = newest.config
    elif query.values == COMPUTED:
        entry["release_values"] = computed(newest.chart.get("values"), newest.config)
    if query.notes:
        entry["notes"] = (document.get("info") or {}).get("notes") or ""
    if query.history:
        entry["history"] = [_revision_entry(record.release) for record in records]
    if query.objects:
        entry["objects"] = [
            render.entry(key, item, newest.namespace)
            for key, item in render.parse_release(newest.manifest, newest.hooks).items()
        ]
    return entry


def _revision_entry(revision: Release) -> dict[str, Any]:
    summary = revision.summary()
    names = ("revision", "updated", "status", "chart", "chart_version", "app_version", "description")
    return {name: summary[name] for name in names}


def _add_drift(
    kube: Kube, found: list[tuple[dict[str, Any], list[RevisionRecord]]], added: bool, warnings: list[str]
) -> None:
    """Against the revision that is deployed, which is not the newest where an upgrade failed."""
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift  # imported only where it is used
    from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import discover

    deployed = []
    for entry, records in found:
        revision = next((record.release for record in reversed(records) if _deployed(record.release)), None)
        if revision is not None:
            deployed.append((entry, revision, render.parse_release(revision.manifest, revision.hooks)))
    served = discover(kube, drift.api_versions(*(objects for _found, _deployed_one, objects in deployed)))
    for entry, revision, objects in deployed:
        mask = Mask()
        mask.learn(revision.config)
        report = drift.survey(kube, revision.namespace, objects, mask, served, added)
        entry["drift"] = [item.summary() for item in report.drifted]
        found_wrong = [*map(str, report.unreadable), *report.deleting]
        warnings.extend(f"release {revision.namespace}/{revision.name}: {text}" for text in found_wrong)


def _deployed(revision: Release) -> bool:
    return revision.status == release.DEPLOYED
