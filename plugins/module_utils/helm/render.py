# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Rendered manifests as objects, and the difference between two of them, without the values of Secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ToolError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents, restarts
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask

HOOK_ANNOTATION, KEEP_ANNOTATION = "helm.sh/hook", "helm.sh/resource-policy"
MANIFEST, HOOK, CRD = "manifest", "hook", "crd"


class Key(NamedTuple):
    """What identifies an object, as in Helm: the version of its API does not count."""

    part: str
    group: str
    kind: str
    namespace: str
    name: str


Objects = Mapping[Key, dict[str, Any]]


def parse(manifest: str, part: str = MANIFEST) -> dict[Key, dict[str, Any]]:
    """The objects of a stream of documents. Objects with a hook annotation count as hooks; lists are unfolded."""
    try:
        found = [document for document in documents.load_all(manifest) if isinstance(document, dict)]
    except ValueError as error:
        raise ToolError("the rendered chart is not YAML", str(error), "Check the chart with helm lint.") from error
    return {key_of(document, part): document for document in _unfold(found)}


def parse_release(manifest: str, hooks: Iterable[Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """The objects of a release record, hooks included."""
    objects = parse(manifest)
    for hook in hooks:
        objects.update(parse(hook.get("manifest") or "", HOOK))
    return objects


def key_of(document: dict[str, Any], part: str = MANIFEST) -> Key:
    metadata = document.get("metadata") or {}
    if part == MANIFEST and HOOK_ANNOTATION in (metadata.get("annotations") or {}):
        part = HOOK
    group, slash, _version = str(document.get("apiVersion", "")).rpartition("/")
    return Key(
        part,
        group if slash else "",
        str(document.get("kind", "")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name", "")),
    )


def same(before: Objects, after: Objects) -> bool:
    return documents.canonical({"/".join(k): v for k, v in before.items()}) == documents.canonical(
        {"/".join(k): v for k, v in after.items()}
    )


def changes(
    before: Objects, after: Objects, namespace: str, mask: Mask, notes: Mapping[Key, str] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Per object that differs: an entry for the result (kind, name, namespace, api_version, part, action, and restarts
    where its pods are replaced) and one for Ansible's diff (before_header, after_header, before, after).

    namespace: the release's, for objects that name none. notes: what the headers of the diff say of objects. Order: as
    in the manifests, deleted objects last.
    """
    for document in (*before.values(), *after.values()):
        mask.object(document)  # learns the values of all Secrets, whether or not they change
    objects: list[dict[str, Any]] = []
    diff: list[dict[str, str]] = []
    for key in [*after, *(key for key, document in before.items() if key not in after and _deleted(key, document))]:
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and documents.canonical(old) == documents.canonical(new):
            continue
        present = new if new is not None else old
        action = "create" if old is None else "delete" if new is None else "update"
        replaced = restarts.of_update(old, new) if old is not None and new is not None else None
        listed: dict[str, Any] = {**entry(key, present or {}, namespace), "action": action}
        objects.append({**listed, "restarts": mask.all(replaced)} if replaced else listed)
        header = f"{key.kind} {key.namespace or namespace}/{key.name}"
        note = (notes or {}).get(key) or (_note(key.part, present or {}) if key.part != MANIFEST else "")
        header += f" ({note})" if note else ""
        diff.append(diff_entry(header, show(old, mask), show(new, mask)))
    return objects, diff


def entry(key: Key, document: Mapping[str, Any], namespace: str) -> dict[str, str]:
    """An object as results name it. namespace: of an object that names none; "" for one that is in no namespace."""
    return {
        "kind": key.kind,
        "name": key.name,
        "namespace": key.namespace or namespace,
        "api_version": str(document.get("apiVersion", "")),
        "part": key.part,
    }


def _deleted(key: Key, document: dict[str, Any]) -> bool:
    """Helm leaves hooks behind, and objects that ask for it."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    return key.part == MANIFEST and annotations.get(KEEP_ANNOTATION) != "keep"


def _note(part: str, document: dict[str, Any]) -> str:
    if part == CRD:
        return "CRD, installed once and never updated by Helm"
    return f"hook {((document.get('metadata') or {}).get('annotations') or {}).get(HOOK_ANNOTATION, '')}"


def show(document: dict[str, Any] | None, mask: Mask) -> str:
    """The object as YAML without secret values, which are masked before YAML quotes and wraps them."""
    return "" if document is None else documents.dump(mask.all(mask.object(document)))


def _unfold(found: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for document in found:
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            yield from _unfold(item for item in document["items"] if isinstance(item, dict))
        elif document.get("kind"):
            yield document
