# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Rendered manifests as objects, and the difference between two of them, without the values of Secrets."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ToolError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import diff_entry
from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SECRET_NAME, SHORTEST_SECRET
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents

HOOK_ANNOTATION, KEEP_ANNOTATION = "helm.sh/hook", "helm.sh/resource-policy"
MANIFEST, HOOK, CRD = "manifest", "hook", "crd"
# What only names a Secret, or a key in one: secretName, existingSecret, imagePullSecrets, secretKeyRef, secretRef.
REFERENCE = re.compile(
    r"secret_?(key)?_?ref$|secrets?_?names?$|(existing|external|use).*secret|pull_?secrets?$|secret.*_?key_?name$",
    re.IGNORECASE,
)


class Key(NamedTuple):
    """What tells one object from another, as Helm tells them: the version of its API does not count."""

    part: str
    group: str
    kind: str
    namespace: str
    name: str


Objects = Mapping[Key, dict[str, Any]]


@dataclass
class Mask:
    """Hides secret values.

    Values of Secret objects become digests keyed with a random key of this run: equal values look equal, a change
    shows as a change, and the value cannot be guessed from it. Every value hidden this way, and every string given to
    learn(), is hidden in other text as well.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    known: set[str] = field(default_factory=set)

    def digest(self, value: str) -> str:
        if len(value) >= SHORTEST_SECRET:
            self.known.add(value)
        return "digest:" + hmac.new(self.key, value.encode(), hashlib.sha256).hexdigest()[:16]

    def learn(self, values: Any, secret: bool = False) -> None:
        """Take strings of the user's values whose names say that they are secret."""
        if isinstance(values, dict):
            for name, value in values.items():
                if REFERENCE.search(str(name)):
                    self.learn(value)
                else:
                    self.learn(value, secret or bool(SECRET_NAME.search(str(name))))
        elif isinstance(values, list):
            for value in values:
                self.learn(value, secret)
        elif secret and isinstance(values, str) and len(values) >= SHORTEST_SECRET:
            self.known.add(values)

    def all(self, value: Any) -> Any:
        """A JSON-like value with every text in it masked."""
        if isinstance(value, dict):
            return {name: self.all(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.all(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        for value in sorted(self.known, key=len, reverse=True):
            text = text.replace(value, "********")
        return text

    def object(self, document: dict[str, Any]) -> dict[str, Any]:
        """The object with the values of data and stringData replaced, where it is a Secret."""
        if document.get("kind") != "Secret":
            return document
        masked = dict(document)
        for part in ("data", "stringData"):
            if isinstance(document.get(part), dict):
                masked[part] = {
                    name: self.digest(_plaintext(value) if part == "data" else str(value))
                    for name, value in document[part].items()
                }
        return masked


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
    before: Objects, after: Objects, namespace: str, mask: Mask
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Per object that differs: an entry for the result (kind, name, namespace, api_version, part, action) and one
    for Ansible's diff (before_header, after_header, before, after).

    namespace: the release's, for objects that name none. Order: as in the manifests, deleted objects last.
    """
    for document in (*before.values(), *after.values()):
        mask.object(document)  # learns the values of all Secrets, whether or not they change
    objects: list[dict[str, str]] = []
    diff: list[dict[str, str]] = []
    for key in [*after, *(key for key, document in before.items() if key not in after and _deleted(key, document))]:
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and documents.canonical(old) == documents.canonical(new):
            continue
        present = new if new is not None else old
        action = "create" if old is None else "delete" if new is None else "update"
        objects.append({**entry(key, present or {}, namespace), "action": action})
        header = f"{key.kind} {key.namespace or namespace}/{key.name}"
        if key.part != MANIFEST:
            header += f" ({_note(key.part, present or {})})"
        diff.append(diff_entry(header, _show(old, mask), _show(new, mask)))
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


def _show(document: dict[str, Any] | None, mask: Mask) -> str:
    return "" if document is None else mask.text(documents.dump(mask.object(document)))


def _plaintext(value: Any) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode("utf-8", "backslashreplace")
    except (binascii.Error, ValueError):
        return str(value)


def _unfold(found: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for document in found:
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            yield from _unfold(item for item in document["items"] if isinstance(item, dict))
        elif document.get("kind"):
            yield document
