# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Drift: what differs between the objects of a release's manifest and the objects in the cluster.

What the manifest states counts, and, where it is asked for, what others added beside it; what the API server defaults
does not. Three steps, from cheap to exact:

1. Read: resource paths by the API server's discovery, then each kind once per namespace, all of it in parallel.
2. Suspect (subset_differences of fields.py): compare field by field, with the normalisations of the API server.
3. Confirm: only for objects with a suspicion, a dry run of the server-side apply of the manifest's object. What differs
   between its result and the live object is what Helm would change back. Mutating webhooks take part in the dry run, so
   what they change does not count as drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    NotFound,
    PermissionDenied,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import (
    HELM,
    Difference,
    Owner,
    additions,
    applied_differences,
    by_design,
    helm_names,
    is_built_in,
    owners_of,
    owning,
    plain_secret,
    pointer,
    subset_differences,
    with_value,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import (
    show as show_path,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import NAMESPACE_ANNOTATION, OWNER_ANNOTATION
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import TYPE as RELEASE_TYPE
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import MANIFEST, Key, Objects, show
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource, Served, discover
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages

MISSING, CHANGED = "missing", "changed"
HELM_MARKS = {
    "labels": {"app.kubernetes.io/managed-by"},
    "annotations": {OWNER_ANNOTATION, NAMESPACE_ANNOTATION},
}
THREADS = 8


@dataclass(frozen=True)
class Drifted:
    """An object that differs from its manifest.

    action: "missing" or "changed". fields, for the latter: list of {path, wanted, live, manager, time}, secrets masked;
    manager and time are empty where the field was removed. document: the manifest's object as it is sent to the API
    server. url: path of the object on the API server. differences: as fields, with the plain values: not for results.
    added: the same of what others added beside the manifest.
    confirmed: the API server was asked; it is not where a dry run is refused (no permission to patch, an admission
    webhook without dry runs, a field that cannot be changed).
    """

    key: Key
    action: str
    document: dict[str, Any] = field(repr=False)
    url: str = ""
    differences: tuple[Difference, ...] = field(default=(), repr=False)
    fields: tuple[dict[str, Any], ...] = ()
    confirmed: bool = True
    added: tuple[Difference, ...] = field(default=(), repr=False)

    def summary(self) -> dict[str, Any]:
        """What a module returns of it."""
        return {
            "kind": self.key.kind,
            "name": self.key.name,
            "namespace": self.key.namespace,
            "api_version": self.document.get("apiVersion", ""),
            "action": self.action,
            "confirmed": self.confirmed,
            "fields": [dict(entry) for entry in self.fields],
        }


@dataclass(frozen=True)
class Unreadable:
    """A kind of the manifest that could not be compared, and why."""

    kind: str
    api_version: str
    namespace: str
    why: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"drift of {self.kind} ({self.api_version}){where} is unknown: {self.why}"


@dataclass(frozen=True)
class DriftReport:
    """deleting: objects that are being deleted, in words."""

    drifted: list[Drifted] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    deleting: list[str] = field(default_factory=list)


def find(kube: Kube, namespace: str, objects: Objects, mask: Mask) -> list[Drifted]:
    """The objects that differ, in the order of the manifest. See survey."""
    return survey(kube, namespace, objects, mask).drifted


def survey(
    kube: Kube, namespace: str, objects: Objects, mask: Mask, served: Served | None = None, added: bool = False
) -> DriftReport:
    """Compare the objects of a manifest with the live ones. Nothing is written.

    namespace: the release's, for objects that name none. objects: of render.parse_release; hooks and CRDs of the crds
    folder are left out, because Helm does not keep them as they were. mask learns the values of Secrets. served: what
    discover() gave for these objects, where several manifests are compared. added: what others added counts too, as
    managedFields tell it.

    Requests: one or two of discovery, one list per kind and namespace (a get where it is a single object), one dry run
    per suspect. Needs get and list on the kinds; without patch differences stay unconfirmed. A kind that may not be
    read is in the report's unreadable. Raises Unreachable where the API server is silent.
    """
    wanted = {key: document for key, document in objects.items() if key.part == MANIFEST and key.name}
    report = DriftReport()
    if not wanted:
        return report
    served = served or discover(kube, api_versions(wanted))
    from concurrent.futures import ThreadPoolExecutor  # costs a module's start a few percent, and is seldom needed

    with ThreadPoolExecutor(THREADS) as pool:
        found: dict[Key, Drifted] = {}
        reads: dict[tuple[ApiResource, str], list[tuple[Key, Drifted]]] = {}
        for key, document in wanted.items():
            resource = served.resource(key.group, version_of(document), key.kind)
            inside = "" if resource and not resource.namespaced else key.namespace or namespace
            full = key._replace(namespace=inside)
            sent = prepared(document, resource, full)
            mask.object(sent)
            if resource is not None:
                candidate = Drifted(full, CHANGED, sent, resource.url(inside, key.name))
                reads.setdefault((resource, inside), []).append((key, candidate))
            elif key.group in served.stale:
                why = "the extension API server that serves it does not answer"
                report.unreadable.append(Unreadable(key.kind, str(document.get("apiVersion", "")), "", why))
            else:
                found[key] = Drifted(full, MISSING, sent)  # its definition is gone, and all objects with it
        answers = pool.map(lambda read: _read(kube, *read), [(*place, members) for place, members in reads.items()])
        suspects: list[tuple[Key, Drifted, dict[str, Any]]] = []
        for ((resource, inside), members), live in zip(reads.items(), answers, strict=True):
            if isinstance(live, TracingError):
                report.unreadable.append(Unreadable(members[0][0].kind, resource.api_version, inside, str(live)))
                continue
            for key, candidate in members:
                present = live.get(key.name)
                if present is not None:
                    mask.object(present)
                    since = (present.get("metadata") or {}).get("deletionTimestamp")
                    if since:
                        report.deleting.append(f"{_named(candidate.key)} is being deleted since {since}")
                    extra = tuple(additions(candidate.document, present)) if added else ()
                    suspects.append((key, replace(candidate, added=extra), present))
                elif not _expires(candidate.document):
                    found[key] = replace(candidate, action=MISSING)
        for key, candidate, present in suspects:
            if candidate.added:
                found[key] = _drifted(candidate, [], owners_of(present), mask)
        suspects = [suspect for suspect in suspects if _suspected(suspect[1].document, suspect[2])]
        confirmed = pool.map(lambda suspect: _confirm(kube, suspect[1], suspect[2], mask), suspects)
        for (key, _candidate, _present), drifted in zip(suspects, confirmed, strict=True):
            if drifted is not None:
                found[key] = drifted
    report.drifted.extend(found[key] for key in wanted if key in found)
    return report


def left_by_helm(item: Drifted) -> bool:
    """Whether Helm, where it does not apply on the server, never puts the object back: it compares the live object with
    the manifest for the types that it knows, and only two manifests for others. Missing objects it creates.

    Source: createPatch of helm.sh/helm/v3 pkg/kube/client.go (unstructured objects and CRDs).
    """
    return item.action == CHANGED and not is_built_in(str(item.document.get("apiVersion", "")))


def put_back(kube: Kube, item: Drifted) -> None:
    """Apply the manifest's object on the server, as Helm 4 would: fields that others changed are taken over."""
    kube.apply(item.url, item.document, manager=HELM)


def remove_added(kube: Kube, item: Drifted) -> None:
    """Remove what others added, by one JSON Patch of the object as it is now. Conflict where it changes meanwhile."""
    live = kube.get(item.url)
    if live is None:
        return
    pointers = [pointer(live, path) for path, _wanted, _live in item.added]
    # From the end of each list, so that the numbers of the items before stay what they are.
    ordered = sorted(filter(None, pointers), key=_numbers, reverse=True)
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
    if ordered:
        patch = [version, *({"op": "remove", "path": path} for path in ordered)]
        kube.request("PATCH", item.url, body=patch, content_type="application/json-patch+json")


def _numbers(path: str) -> list[tuple[int, str]]:
    return [(int(step), "") if step.isdigit() else (-1, step) for step in path.split("/")]


def diff_entries(drifted: Iterable[Drifted], mask: Mask) -> list[dict[str, str]]:
    """Entries of Ansible's diff: before is the live object, of which only the fields of the manifest are shown, and
    after is the wanted one. Fields that did not drift are equal on both sides."""
    entries = []
    for item in drifted:
        before = after = item.document
        for path, wanted, live in (*item.differences, *item.added):
            before, after = with_value(before, path, live), with_value(after, path, wanted)
        header = f"{_named(item.key)} ({item.action} in the cluster)"
        entries.append(diff_entry(header, show(None if item.action == MISSING else before, mask), show(after, mask)))
    return entries


def _named(key: Key) -> str:
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"


def _suspected(manifest: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    owners = owners_of(live)
    return any(not by_design(item, owners) for item in subset_differences(manifest, live))


# Requests


def api_versions(*manifests: Objects) -> set[str]:
    """The API versions of the objects, as discover() takes them."""
    return {
        str(doc.get("apiVersion", "")) for objects in manifests for key, doc in objects.items() if key.part == MANIFEST
    }


def _read(
    kube: Kube, resource: ApiResource, namespace: str, members: Sequence[tuple[Key, Drifted]]
) -> dict[str, dict[str, Any]] | TracingError:
    """The live objects by name; the refusal where they may not be read."""
    try:
        if len(members) == 1:
            name = members[0][0].name
            found = kube.get(resource.url(namespace, name))
            return {name: found} if found else {}
        # Release records are the bulk of a namespace's Secrets, and no manifest holds any.
        selector = f"type!={RELEASE_TYPE}" if (resource.group, resource.plural) == ("", "secrets") else ""
        return {
            item["metadata"]["name"]: item for item in pages(kube, resource.url(namespace), field_selector=selector)
        }
    except NotFound:
        return {}
    except (PermissionDenied, ApiError) as error:
        return error


def _confirm(kube: Kube, suspect: Drifted, live: dict[str, Any], mask: Mask) -> Drifted | None:
    """The suspect with its differences, or None if the API server finds none."""
    owners = owners_of(live)
    confirmed = True
    try:
        applied = kube.apply(suspect.url, _owned_by_helm(suspect.document, live), dry_run=True, manager=HELM)
        differences = applied_differences(suspect.document, applied, live)
    except NotFound:
        # Deleted since it was read. The dry run of what does not exist would create it.
        return Drifted(suspect.key, MISSING, suspect.document, suspect.url)
    except (PermissionDenied, Conflict, ApiError):
        confirmed = False
        differences = subset_differences(suspect.document, live)
    differences = [item for item in differences if not by_design(item, owners)]
    return _drifted(suspect, differences, owners, mask, confirmed) if differences else None


def _drifted(
    suspect: Drifted, differences: list[Difference], owners: Sequence[Owner], mask: Mask, confirmed: bool = True
) -> Drifted:
    secret = suspect.key.kind == "Secret"
    fields = tuple(_reported(item, owners, mask, secret) for item in (*differences, *suspect.added))
    return replace(suspect, differences=tuple(differences), fields=fields, confirmed=confirmed)


def _reported(difference: Difference, owners: Sequence[Owner], mask: Mask, secret: bool) -> dict[str, Any]:
    """The entry of the result. Of several owners, one other than Helm is named."""
    path, wanted, live = difference
    writers = owning(owners, path)
    helm = helm_names(owners)
    others = [owner for owner in writers if owner.manager not in helm]
    # What was removed has no owner, unless a whole that it was a part of has been written anew.
    writer = next(iter(others if live is None else others or writers), None)
    hidden: Callable[[Any], Any] = mask.all
    if secret and path[0] == "data":
        hidden = _digests(mask)
    return {
        "path": show_path(path),
        "wanted": hidden(wanted),
        "live": hidden(live),
        "manager": writer.manager if writer else "",
        "time": writer.time if writer else "",
    }


def _digests(mask: Mask) -> Callable[[Any], Any]:
    def hide(value: Any) -> Any:
        data = value if isinstance(value, dict) else {"": value}
        shown = mask.object({"kind": "Secret", "data": {k: v for k, v in data.items() if v is not None}})["data"]
        return shown if isinstance(value, dict) else shown.get("")

    return hide


# The manifest's object


def version_of(document: Mapping[str, Any]) -> str:
    """The version in an object's apiVersion, without the group."""
    return str(document.get("apiVersion", "")).rpartition("/")[2]


def prepared(document: Mapping[str, Any], resource: ApiResource | None, key: Key) -> dict[str, Any]:
    """The object as it is applied: in a version that is served, in its namespace, without what is not Helm's."""
    sent = {name: value for name, value in plain_secret(document).items() if name != "status"}
    metadata = {**(sent.get("metadata") or {}), "namespace": key.namespace}
    for name in ("managedFields", "creationTimestamp", *(() if key.namespace else ("namespace",))):
        metadata.pop(name, None)
    sent["metadata"] = metadata
    if resource is not None:
        sent["apiVersion"] = resource.api_version
    return _without_nulls(sent)


def _owned_by_helm(document: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the marks that Helm adds to it, which are in no manifest: admission policies may look at them."""
    metadata = {**document["metadata"]}
    present = live.get("metadata") or {}
    for part, names in HELM_MARKS.items():
        marks = {name: value for name, value in (present.get(part) or {}).items() if name in names}
        if marks:
            metadata[part] = {**marks, **(metadata.get(part) or {})}
    return {**document, "metadata": metadata}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _expires(document: Mapping[str, Any]) -> bool:
    """A finished Job with a time to live is deleted by design."""
    spec = document.get("spec") or {}
    return document.get("kind") == "Job" and spec.get("ttlSecondsAfterFinished") is not None
