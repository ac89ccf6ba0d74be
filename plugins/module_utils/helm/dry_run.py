# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the API server will refuse, asked before helm writes anything: one dry run per object that differs.

Helm's own dry run renders, and compares nothing with the live objects. Each object that differs from the recorded one
is applied here with dryRun=All, under Helm's field manager. Found this way: fields that cannot change (the volume
claims of a StatefulSet), fields that another manager owns, objects that are being deleted, and invalid ones.

What a dry run cannot decide is left to helm: a kind or namespace that comes with the release, a missing permission, an
admission webhook that does not answer.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents, replicas
from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import HELM
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import (
    NAMESPACE_ANNOTATION,
    OWNER_ANNOTATION,
    release_of,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import MANIFEST, Key, Objects
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import APPLY_PATCH, Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import Served, discover

THREADS = 8
# The words of k8s.io/kubernetes pkg/apis/*/validation for fields that cannot change.
IMMUTABLE = re.compile(
    r"immutable|[Uu]pdates to .*forbidden|may not (be )?change|cannot (be )?(change|update|modif)"
    r"|can not be (less|change)"
)
# Trouble of server-side apply with an object that a client-side apply, as Helm 3 does, takes as it is.
TYPED = re.compile(r"typed patch|duplicate entries for key|not declared in schema")
INVALID, CONFLICT = 422, 409
TERMINATING, OWNED, FIXED, REFUSED = "terminating", "owned", "fixed", "refused"
REMEDIES = {
    TERMINATING: "Wait until it is gone (kubectl wait --for=delete), or remove its finalizers, then run again.",
    OWNED: "Set force_conflicts, or drift to repair, to take the fields over, or leave them out of the chart.",
    FIXED: (
        "Such a field cannot change in place: set it back, or delete the object first (of a StatefulSet, kubectl delete"
        " --cascade=orphan keeps pods and volumes)."
    ),
    REFUSED: "Correct the values or the chart.",
}


@dataclass(frozen=True)
class Refusal:
    """why the API server will not take an object; kind: TERMINATING, OWNED, FIXED or REFUSED."""

    key: Key
    kind: str
    why: str


@dataclass(frozen=True)
class DryRun:
    """taken: live objects that exist and are not this release's, with what is recorded there of their owner. force:
    the release takes numbers of replicas back, which takes a forced apply."""

    taken: Mapping[Key, dict[str, Any]] = field(default_factory=dict)
    force: bool = False


def check(
    kube: Kube,
    wanted: ReleaseOptions,
    before: Objects,
    after: Objects,
    on_server: bool,
    force: bool,
    definitions: Objects | None = None,
) -> DryRun:
    """Ask the API server about every object of after that differs from before.

    definitions: CRDs that are applied before helm runs. Custom resources of these, and of CRDs among the objects, are
    left out: the API server does not have the new schema yet. on_server: helm applies on the server. force: fields that
    others changed are taken over.
    Requests: one or two of discovery and one per object, in parallel; one more per object that exists already with
    take_ownership, and per workload whose number of replicas is taken back. None where nothing differs. Conflict or
    InvalidInput with everything that will be refused.
    """
    coming = {
        (str(spec.get("group")), str((spec.get("names") or {}).get("kind")))
        for key, document in [*(definitions or {}).items(), *after.items()]
        if key.kind == "CustomResourceDefinition" and (spec := document.get("spec") or {})
    }
    objects = {
        key: document
        for key, document in after.items()
        if key.part == MANIFEST
        and key.name
        and (key.group, key.kind) not in coming
        and documents.canonical(document) != documents.canonical(before.get(key))
    }
    if not objects:
        return DryRun()
    from concurrent.futures import ThreadPoolExecutor

    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

    try:
        served = discover(kube, drift.api_versions(objects))
    except TracingError:
        return DryRun()

    back = replicas.taken_back(before, after, wanted.namespace)
    forced: set[Key] = set()

    def is_number(key: Key, answer: Response) -> bool:
        found = on_server and answer.status == CONFLICT and replicas.only_number(answer, key in back)
        if found:
            forced.add(key)
        return found

    def ask(key: Key) -> tuple[Key, dict[str, Any] | Refusal | None]:
        is_new = key not in before
        return key, _ask(kube, served, wanted, key, objects[key], on_server, force, is_new, is_number)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, objects))
    refusals = [answer for _key, answer in answers if isinstance(answer, Refusal)]
    if refusals:
        raise _error(wanted, refusals)
    return DryRun({key: answer for key, answer in answers if isinstance(answer, dict)}, bool(forced))


def marked(document: Mapping[str, Any], wanted: ReleaseOptions) -> dict[str, Any]:
    """The object with the marks of ownership that Helm adds to it."""
    metadata = dict(document.get("metadata") or {})
    annotations = {OWNER_ANNOTATION: wanted.name, NAMESPACE_ANNOTATION: wanted.namespace}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    return {**document, "metadata": metadata}


def _ask(
    kube: Kube,
    served: Served,
    wanted: ReleaseOptions,
    key: Key,
    document: dict[str, Any],
    on_server: bool,
    force: bool,
    is_new: bool,
    is_number: Callable[[Key, Response], bool],
) -> dict[str, Any] | Refusal | None:
    """The refusal; the live object where it is taken over; None otherwise. is_number: whether a refusal is only about a
    number of replicas that is taken back: then the rest of the object is asked about."""
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

    resource = served.resource(key.group, drift.version_of(document), key.kind)
    if resource is None:
        return None
    inside = (key.namespace or wanted.namespace) if resource.namespaced else ""
    full = key._replace(namespace=inside)
    sent = marked(drift.prepared(document, resource, full), wanted)
    url = resource.url(inside, key.name)
    query = {"fieldManager": HELM, "force": str(force or not on_server).lower(), "dryRun": "All"}
    body, headers = json.dumps(sent).encode(), {"Content-Type": APPLY_PATCH}
    try:
        answer = kube.send("PATCH", url, query, body, headers)
        if not answer.ok and is_number(key, answer):
            answer = kube.send("PATCH", url, {**query, "force": "true"}, body, headers)
    except TracingError:
        return None
    if not answer.ok:
        return _refused(full, answer, on_server, is_new)
    applied = answer.json()
    if isinstance(applied, dict) and (applied.get("metadata") or {}).get("deletionTimestamp"):
        return Refusal(full, TERMINATING, "it is being deleted, and would disappear after helm has applied it")
    if not (is_new and wanted.take_ownership and answer.status == 200):
        return None
    try:
        live = kube.get(url)
    except TracingError:
        return None
    return live if live and release_of(live) != f"{wanted.namespace}/{wanted.name}" else None


def _refused(key: Key, answer: Response, on_server: bool, is_new: bool) -> Refusal | None:
    why = refusal("", answer).why
    if answer.status == CONFLICT and on_server and "conflict" in why:
        return Refusal(key, OWNED, why)
    if answer.status == INVALID and IMMUTABLE.search(why) and not is_new:
        return Refusal(key, FIXED, why)
    if TYPED.search(why):
        return Refusal(key, REFUSED, why) if on_server else None
    # A client-side apply may get there: it removes fields that an apply on the server leaves.
    return Refusal(key, REFUSED, why) if answer.status == INVALID and (is_new or on_server) else None


def _error(wanted: ReleaseOptions, refusals: list[Refusal]) -> TracingError:
    lines = []
    for one in refusals:
        where = f"{one.key.namespace}/{one.key.name}" if one.key.namespace else one.key.name
        lines.append(f"{one.key.kind} {where}: {one.why}")
    kinds = dict.fromkeys(one.kind for one in refusals)
    what = f"{wanted} cannot be applied, and nothing was changed"
    remedy = " ".join(REMEDIES[kind] for kind in kinds)
    error: type[TracingError] = InvalidInput if REFUSED in kinds or FIXED in kinds else Conflict
    return error(what, "\n".join(lines), remedy)


def shown(taken: Mapping[Key, dict[str, Any]], after: Objects, wanted: ReleaseOptions, mask: Mask) -> Objects:
    """What a diff shows of objects that are taken over: of the live ones, the fields that the manifest states, and
    whose they are."""
    from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import subset_differences, with_value

    found: dict[Key, dict[str, Any]] = {}
    for key, live in taken.items():
        mask.object(live)
        document = marked(after[key], wanted)
        for path, _wanted, present in subset_differences(document, live):
            document = with_value(document, path, present)
        found[key] = document
    return found
