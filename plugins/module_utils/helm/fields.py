# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Fields of Kubernetes objects: their paths, how the API server normalises and merges them, who wrote them.

Pure. metadata.managedFields records who wrote a field. The API server keeps one time per manager, the one of its last
change to the object, and nothing about a field that was removed. A webhook's changes carry the name of the manager
whose request they were made on, so names do not distinguish the two.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import quantity
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import OWNER_ANNOTATION

HELM = "helm"  # the field manager that Helm 4 applies with
# The field manager that this collection claims spec.replicas with. Not the one of its other fields: an apply removes
# what it leaves out of its earlier one.
CLAIM = "orion.tracing/replicas"
# Lists of Kubernetes' own types that the API server merges by keys (x-kubernetes-list-map-keys in its OpenAPI
# document); every other list is one value. Needed only for objects without managedFields, which tell it of any type.
MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "webhooks": ("name",),
    "secrets": ("name",),
    "matchConditions": ("name",),
}
SETS = {"finalizers"}
# The groups that client-go, and so Helm, has types for: staging/src/k8s.io/client-go/kubernetes/scheme/register.go.
BUILT_IN = {
    *("", "apps", "autoscaling", "batch", "extensions", "policy"),
    *(
        f"{group}.k8s.io"
        for group in (
            "admissionregistration",
            "authentication",
            "authorization",
            "certificates",
            "coordination",
            "discovery",
            "events",
            "flowcontrol.apiserver",
            "internal.apiserver",
            "networking",
            "node",
            "rbac.authorization",
            "resource",
            "scheduling",
            "storage",
            "storagemigration",
        )
    ),
}
# Maps of strings: an empty map is not stored, an empty string in one is.
MAPS = {
    "annotations",
    "binaryData",
    "data",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "parameters",
    "properties",
    "requests",
    "selector",
    "volumeAttributes",
}
# Numbers and booleans that Kubernetes' types do not store when they are zero or false. Others are pointers, whose
# absence means something else than false (automountServiceAccountToken).
ZERO_IS_ABSENT = {
    "exclusiveMaximum",
    "exclusiveMinimum",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "initialDelaySeconds",
    "minReadySeconds",
    "nullable",
    "paused",
    "preserveUnknownFields",
    "priority",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "uniqueItems",
}
QUANTITIES = {
    "averageValue",
    "capacity",
    "default",
    "defaultRequest",
    "divisor",
    "hard",
    "limits",
    "max",
    "min",
    "overhead",
    "requests",
    "sizeLimit",
    "value",
}
# Who writes fields by design, and which: the last name of the path, or any where there is none. The horizontal pod
# autoscaler runs in the kube-controller-manager; KEDA scales to and from zero itself; CLAIM keeps a number for an
# autoscaler (replicas.py); cert-manager injects authorities.
BY_DESIGN: dict[str, frozenset[str] | None] = {
    "kube-controller-manager": None,
    "clusterrole-aggregation-controller": frozenset({"rules"}),
    "keda": frozenset({"replicas"}),
    CLAIM: frozenset({"replicas"}),
    "cainjector": frozenset({"caBundle"}),
    "cert-manager-cainjector": frozenset({"caBundle"}),
}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
IDENTITY = (("metadata", "name"), ("metadata", "namespace"), ("metadata", "creationTimestamp"))
DEFAULT_KEYS = {"protocol": "TCP"}


class Item(NamedTuple):
    """A step of a path: the item of a list with these keys, ((name, value), ...)."""

    keys: tuple[tuple[str, Any], ...]


Step: TypeAlias = "str | int | Item"
Path = tuple[Step, ...]


class Difference(NamedTuple):
    """A field that differs. wanted, live: None where the field is not there."""

    path: Path
    wanted: Any
    live: Any


class Owner(NamedTuple):
    """An entry of managedFields. time: RFC 3339, of the manager's last change to the object."""

    manager: str
    operation: str
    subresource: str
    time: str
    fields: Mapping[str, Any]


def show(path: Path) -> str:
    """A path for people: spec.template.spec.containers[name=main].image, metadata.labels["example.com/x"]."""
    text = ""
    for step in path:
        if isinstance(step, Item):
            text += "[" + ",".join(f"{name}={value}" for name, value in step.keys) + "]"
        elif isinstance(step, int):
            text += f"[{step}]"
        elif not step or set(step) & set('.[]"/'):
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def with_value(document: Any, path: Path, value: Any) -> Any:
    """A copy in which the field at path is value; without the field where value is None."""
    if not path:
        return copy.deepcopy(value)
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        changed = dict(document) if isinstance(document, dict) else {}
        new = with_value(changed.get(step), rest, value) if rest or value is not None else None
        changed.pop(step, None)
        return changed if new is None else {**changed, step: new}
    items = list(document) if isinstance(document, list) else []
    if isinstance(step, int):
        number = step
    else:
        number = next((n for n, item in enumerate(items) if _has(item, step)), len(items))
    new = with_value(items[number] if number < len(items) else None, rest, value) if rest or value is not None else None
    items[number : number + 1] = [] if new is None else [new]
    return items


def _has(item: Any, step: Item) -> bool:
    return isinstance(item, dict) and all(item.get(name, DEFAULT_KEYS.get(name)) == value for name, value in step.keys)


# What differs


def subset_differences(manifest_doc: Mapping[str, Any], live_doc: Mapping[str, Any]) -> list[Difference]:
    """The fields of the manifest's object that the live object does not have, or has with another value. Pure.

    A suspicion, not a proof: only the API server has all of its normalisations. Those implemented here: quantities
    (1000m is 1), nulls, empty and zero values that are not stored, stringData of Secrets, numbers and strings that
    look the same, lists merged by keys. Other lists are one value; where Helm wrote them, members of their items that
    the manifest does not state are defaults, else they count. In CustomResourceDefinitions they always count: the API
    server adds nothing to their versions. status is the controllers'.
    """
    wanted, live = plain_secret(manifest_doc), plain_secret(live_doc)
    compare = _Comparison(
        built_in=is_built_in(str(wanted.get("apiVersion", ""))),
        kind=str(wanted.get("kind", "")),
        owners=owners_of(live_doc),
    )
    for name, value in wanted.items():
        if name not in ("apiVersion", "kind", "status"):
            compare.walk(value, live.get(name), (name,), name not in live, False)
    return [difference for difference in compare.found if difference.path not in IDENTITY]


class _Comparison:
    def __init__(self, built_in: bool, kind: str, owners: Sequence[Owner]) -> None:
        self.built_in, self.kind, self.owners = built_in, kind, owners
        self.found: list[Difference] = []

    def walk(self, wanted: Any, live: Any, path: Path, absent: bool, strict: bool) -> None:
        """strict: members that only the live value has count too."""
        if wanted is None:
            if strict and not absent and live is not None:
                self.found.append(Difference(path, None, live))
            return
        if absent or live is None:
            if not self._not_stored(path, wanted):
                self.found.append(Difference(path, wanted, None))
        elif isinstance(wanted, dict) and isinstance(live, dict):
            for name, value in wanted.items():
                name = str(name)
                self.walk(value, live.get(name), (*path, name), name not in live, strict)
            if strict:
                for name in live.keys() - wanted.keys():
                    if not _empty(live[name]):
                        self.found.append(Difference((*path, name), None, live[name]))
        elif isinstance(wanted, list) and isinstance(live, list):
            self._walk_list(wanted, live, path, strict)
        elif not _same(wanted, live, path):
            self.found.append(Difference(path, wanted, live))

    def _walk_list(self, wanted: list[Any], live: list[Any], path: Path, strict: bool) -> None:
        merge = merging(self.owners, path, self.kind, self.built_in, [*wanted, *live])
        if merge.set:
            if not set(map(_text, wanted)) <= set(map(_text, live)):
                self.found.append(Difference(path, wanted, live))
            return
        one, other = merge.items(wanted), merge.items(live)
        if one is not None and other is not None:
            for item, value in one.items():
                self.walk(value, other.get(item), (*path, item), item not in other, strict)
            return
        if len(wanted) != len(live):
            self.found.append(Difference(path, wanted, live))
            return
        strict = strict or self.kind == "CustomResourceDefinition" or self._by_others(path)
        for number, (first, second) in enumerate(zip(wanted, live, strict=True)):
            self.walk(first, second, (*path, number), False, strict)

    def _by_others(self, path: Path) -> bool:
        helm = helm_names(self.owners)
        return any(owner.manager not in helm for owner in owning(self.owners, path))

    def _not_stored(self, path: Path, wanted: Any) -> bool:
        """Whether a value that is not there is the same as this one."""
        if isinstance(wanted, dict) and wanted:
            return all(value is None or self._not_stored((*path, str(name)), value) for name, value in wanted.items())
        if not _empty(wanted):
            return False
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        inside = next((step for step in reversed(path[:-1]) if isinstance(step, str)), "")
        if wanted == "" and not isinstance(wanted, bool):
            known = inside not in MAPS
        elif isinstance(wanted, list):
            known = True
        elif isinstance(wanted, dict):
            known = name in MAPS
        else:
            known = name in ZERO_IS_ABSENT
        # What Helm 4 applied and nobody has removed since is still Helm's: then the API server does not store it.
        helm = helm_names(self.owners)
        return known or any(owner.manager in helm and owner.operation == "Apply" for owner in owning(self.owners, path))


def _same(wanted: Any, live: Any, path: Path) -> bool:
    if isinstance(wanted, dict | list) or isinstance(live, dict | list):
        return _empty(wanted) and _empty(live)
    if documents.canonical(wanted) == documents.canonical(live) or _text(wanted) == _text(live):
        return True
    if not {step for step in path if isinstance(step, str)} & QUANTITIES:
        return False
    one, other = _quantity(wanted), _quantity(live)
    return one is not None and one == other


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _quantity(value: Any) -> Decimal | None:
    try:
        return quantity(_text(value).strip())
    except ValueError:
        return None


def _empty(value: Any) -> bool:
    return value is None or value in ("", 0) or (isinstance(value, dict | list) and not value)


def is_built_in(api_version: str) -> bool:
    return api_version.rpartition("/")[0] in BUILT_IN


def plain_secret(document: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret as the API server stores it: stringData over data, base64 in its one usual form."""
    plain = dict(document)
    if plain.get("kind") != "Secret":
        return plain
    data = {name: _base64(value) for name, value in (plain.get("data") or {}).items() if value is not None}
    for name, value in (plain.pop("stringData", None) or {}).items():
        data[name] = base64.b64encode(str(value).encode()).decode()
    if data:
        plain["data"] = data
    return plain


def _base64(value: Any) -> str:
    try:
        return base64.b64encode(base64.b64decode(str(value))).decode()
    except (binascii.Error, ValueError):
        return str(value)


def applied_differences(
    manifest: Mapping[str, Any], applied: Mapping[str, Any], live: Mapping[str, Any]
) -> list[Difference]:
    """What the apply would change, of the fields of the manifest. Both objects come from the API server, so they are
    normalised alike, and equal means equal."""
    built_in = is_built_in(str(manifest.get("apiVersion", "")))
    kind = str(manifest.get("kind", ""))
    owners = [*owners_of(applied), *owners_of(live)]
    found: list[Difference] = []

    def walk(wanted: Any, after: Any, before: Any, path: Path) -> None:
        if documents.canonical(after) == documents.canonical(before):
            return
        if wanted == {} and isinstance(wanted, dict) and (after is None or isinstance(before, dict)):
            return  # states nothing about what is in it
        if all(isinstance(value, dict) for value in (wanted, after, before)):
            for name in map(str, wanted):
                walk(wanted[name], after.get(name), before.get(name), (*path, name))
            return
        if all(isinstance(value, list) for value in (wanted, after, before)):
            merge = merging(owners, path, kind, built_in, [*after, *before])
            items = [merge.items(value) for value in (wanted, after, before)]
            if items[0] is not None and items[1] is not None and items[2] is not None:
                for item, value in items[0].items():
                    walk(value, items[1].get(item), items[2].get(item), (*path, item))
                return
        found.extend(_all_differences(after, before, path))

    for name in manifest:
        if name not in ("apiVersion", "kind", "status"):
            walk(manifest[name], applied.get(name), live.get(name), (name,))
    return found


def _all_differences(after: Any, before: Any, path: Path) -> Iterable[Difference]:
    """Inside a list that is one value, whatever its length allows to tell apart."""
    if isinstance(after, dict) and isinstance(before, dict):
        for name in [*after, *(name for name in before if name not in after)]:
            if documents.canonical(after.get(name)) != documents.canonical(before.get(name)):
                yield from _all_differences(after.get(name), before.get(name), (*path, name))
    elif isinstance(after, list) and isinstance(before, list) and len(after) == len(before):
        for number, (one, other) in enumerate(zip(after, before, strict=True)):
            if documents.canonical(one) != documents.canonical(other):
                yield from _all_differences(one, other, (*path, number))
    else:
        yield Difference(path, after, before)


def additions(manifest: Mapping[str, Any], live: Mapping[str, Any]) -> list[Difference]:
    """What others added to an object: fields of the live object that the manifest does not state and whose
    owner is neither Helm nor a controller of BY_DESIGN. Of the metadata, labels and annotations only.

    What a webhook or the API server itself adds is written in the name of Helm's own request, and does not count.
    """
    owners = owners_of(live)
    helm = helm_names(owners)
    found: dict[Path, Difference] = {}
    for owner in owners:
        if owner.manager not in helm and not owner.subresource:
            for difference in _additions(owner.fields, manifest, live, ()):
                if not by_design(difference, owners):
                    found.setdefault(difference.path, difference)
    # A whole that was added counts once.
    return [one for path, one in found.items() if not any(path[:length] in found for length in range(1, len(path)))]


def _additions(node: Mapping[str, Any], wanted: Any, live: Any, path: Path) -> Iterable[Difference]:
    for name, below in node.items():
        step = _step(name)
        if step is None or _not_added((*path, step)):
            continue
        stated, present = _member(wanted, step), _member(live, step)
        if present is None:
            continue
        if stated is None and (not below or "." in below):
            yield Difference((*path, step), None, present)
        elif below:
            yield from _additions(below, stated, present, (*path, step))


def _step(name: str) -> Step | None:
    if name.startswith("f:"):
        return name[2:]
    return Item(tuple(json.loads(name[2:]).items())) if name.startswith("k:") else None


def _not_added(path: Path) -> bool:
    if path[0] == "metadata":
        return path[1:2] not in ((), ("labels",), ("annotations",)) or path[2:3] == (LAST_APPLIED,)
    return path[0] in ("status", "apiVersion", "kind")


def _member(value: Any, step: Step) -> Any:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    if isinstance(step, Item) and isinstance(value, list):
        return next((item for item in value if _has(item, step)), None)
    return None


def pointer(document: Any, path: Path) -> str:
    """A path as a JSON Pointer (RFC 6901) into this very document; "" where it is not there."""
    text = ""
    for step in path:
        value = _member(document, step)
        if value is None:
            return ""
        if isinstance(step, Item):
            text += f"/{document.index(value)}"
        else:
            text += "/" + str(step).replace("~", "~0").replace("/", "~1")
        document = value
    return text


# How lists are merged


class Merge(NamedTuple):
    """How the API server merges a list: as a set, by the keys of its items, or (no keys) not at all."""

    keys: tuple[str, ...] = ()
    set: bool = False

    def items(self, values: list[Any]) -> dict[Item, Any] | None:
        """The items by their keys; None where that cannot be done."""
        found: dict[Item, Any] = {}
        if not self.keys or not all(isinstance(value, dict) for value in values):
            return None
        for value in values:
            item = Item(tuple((key, value.get(key, DEFAULT_KEYS.get(key))) for key in self.keys))
            if item in found or any(part is None or isinstance(part, dict | list) for _name, part in item.keys):
                return None
            found[item] = value
        return found


def merging(owners: Iterable[Owner], path: Path, kind: str, built_in: bool, values: list[Any]) -> Merge:
    """What managedFields say about the list at path, else what is known of Kubernetes' own types."""
    nodes = [
        node for node in (_node(owner.fields, path) for owner in owners if not owner.subresource) if node is not None
    ]
    for part in (part for node in nodes for part in node):
        if part.startswith("k:"):
            return Merge(tuple(json.loads(part[2:])))
        if part.startswith("v:"):
            return Merge(set=True)
    name = path[-1]
    if nodes or not built_in or not isinstance(name, str):
        return Merge()
    if name == "ports":
        if all(isinstance(value, dict) and "containerPort" in value for value in values):
            return Merge(("containerPort", "protocol"))
        return Merge(("port", "protocol")) if kind == "Service" else Merge()
    if kind == "ServiceAccount" and name == "imagePullSecrets":
        return Merge()
    return Merge(MERGE_KEYS.get(name, ()), name in SETS)


# Who wrote it


def owners_of(live: Mapping[str, Any]) -> list[Owner]:
    return [
        Owner(
            str(entry.get("manager", "")),
            str(entry.get("operation", "")),
            str(entry.get("subresource") or ""),
            str(entry.get("time") or ""),
            entry.get("fieldsV1") or {},
        )
        for entry in (live.get("metadata") or {}).get("managedFields") or []
    ]


def owning(owners: Iterable[Owner], path: Path) -> list[Owner]:
    """Those who own a field, or the whole that it is a part of; the last writer first."""
    found = [owner for owner in owners if _owns(owner.fields, path)]
    return sorted(found, key=lambda owner: owner.time, reverse=True)


def _owns(fields: Mapping[str, Any], path: Path) -> bool:
    for number in range(1, len(path) + 1):
        node = _node(fields, path[:number])
        if node is None:
            return False
        if not node:
            return True  # one value as a whole
    return bool(path)


def _node(fields: Mapping[str, Any], path: Path) -> Mapping[str, Any] | None:
    """The part of a fieldsV1 at a path, None where it has none. Source of the format: structured-merge-diff,
    fieldpath/serialize-pe.go: f:<field>, k:<keys of an item>, v:<value of a set>."""
    for step in path:
        if isinstance(step, str):
            name = f"f:{step}"
        else:
            name = next((name for name in fields if isinstance(step, Item) and _names(name, step)), "")
        if name not in fields:
            return None
        fields = fields[name]
    return fields


def _names(name: str, item: Item) -> bool:
    return name.startswith("k:") and json.loads(name[2:]) == dict(item.keys)


def helm_names(owners: Iterable[Owner]) -> set[str]:
    """Names under which Helm wrote the object: by default the file name of its program (Helm 3) or helm."""
    return {HELM} | {owner.manager for owner in owning(owners, ("metadata", "annotations", OWNER_ANNOTATION))}


def by_design(difference: Difference, owners: Sequence[Owner]) -> bool:
    last = next((step for step in reversed(difference.path) if isinstance(step, str)), "")
    for owner in owning(owners, difference.path):
        names = BY_DESIGN.get(owner.manager, frozenset())
        if names is None or last in names:
            return True
    return False
