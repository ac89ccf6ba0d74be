# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drift: what differs between the objects of a release's manifest and the objects in the cluster.

Only what the manifest states counts: neither what the API server defaults nor what others add beside it. Three steps,
from cheap to exact:

1. Read: resource paths by the API server's discovery, then each kind once per namespace, all of it in parallel.
2. Suspect (subset_differences, pure): compare field by field, with the normalisations of the API server.
3. Confirm: only for objects with a suspicion, a dry run of the server-side apply of the manifest's object. What differs
   between its result and the live object is what Helm would change back. Mutating webhooks take part in the dry run, so
   what they change is no drift.

metadata.managedFields says who wrote a field. The API server keeps one time per manager, the one of its last change to
the object, and nothing about a field that was removed. A webhook's changes carry the name of the manager whose request
they were made on, so the two cannot be told apart by name.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.errors import (
    ApiError,
    Conflict,
    NotFound,
    PermissionDenied,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import MANIFEST, Key, Mask, Objects
from ansible_collections.orion.tracing.plugins.module_utils.kube import APPLY_PATCH, Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube_pages import pages
from ansible_collections.orion.tracing.plugins.module_utils.quantities import quantity

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MISSING, CHANGED = "missing", "changed"
HELM = "helm"  # the field manager that Helm 4 applies with
OWNER_ANNOTATION = "meta.helm.sh/release-name"  # set by Helm alone, so whoever owns it is Helm, whatever its file name
HELM_MARKS = {
    "labels": {"app.kubernetes.io/managed-by"},
    "annotations": {OWNER_ANNOTATION, "meta.helm.sh/release-namespace"},
}
RELEASE_TYPE = "helm.sh/release.v1"
THREADS = 8
# v2 since Kubernetes 1.30, v2beta1 since 1.26, the list of groups before.
DISCOVERY = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)

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
# The groups that client-go, and so Helm, knows as types: staging/src/k8s.io/client-go/kubernetes/scheme/register.go.
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
# autoscaler runs in the kube-controller-manager; KEDA scales to and from zero itself; cert-manager injects authorities.
BY_DESIGN: dict[str, frozenset[str] | None] = {
    "kube-controller-manager": None,
    "clusterrole-aggregation-controller": frozenset({"rules"}),
    "keda": frozenset({"replicas"}),
    "cainjector": frozenset({"caBundle"}),
    "cert-manager-cainjector": frozenset({"caBundle"}),
}


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


@dataclass(frozen=True)
class Drifted:
    """An object that is not as the manifest says.

    action: "missing" or "changed". fields, for the latter: list of {path, wanted, live, manager, time}, secrets masked;
    manager and time are empty where the field was removed. document: the manifest's object as it is sent to the API
    server. url: path of the object on the API server. differences: as fields, with the plain values: not for results.
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
class Report:
    drifted: list[Drifted] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True)
class Resource:
    """Where the API server serves a kind."""

    group: str
    version: str
    plural: str
    namespaced: bool

    def url(self, namespace: str, name: str = "") -> str:
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace)}" if self.namespaced else ""
        return f"{base}{inside}/{self.plural}" + (f"/{quote(name)}" if name else "")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Served:
    """What the API server serves, by group, version and kind; stale: groups whose extension server does not answer."""

    resources: Mapping[tuple[str, str, str], Resource]
    stale: frozenset[str] = frozenset()

    def resource(self, key: Key, version: str) -> Resource | None:
        """In the version of the manifest, or in another one where that is no longer served."""
        exact = self.resources.get((key.group, version, key.kind))
        others = (r for (group, _version, kind), r in self.resources.items() if (group, kind) == (key.group, key.kind))
        return exact or next(others, None)


def find(kube: Kube, namespace: str, objects: Objects, mask: Mask) -> list[Drifted]:
    """The objects that differ, in the order of the manifest. See survey."""
    return survey(kube, namespace, objects, mask).drifted


def survey(kube: Kube, namespace: str, objects: Objects, mask: Mask, served: Served | None = None) -> Report:
    """Compare the objects of a manifest with the live ones. Nothing is written.

    namespace: the release's, for objects that name none. objects: of render.parse_release; hooks and CRDs of the crds
    folder are left out, because Helm does not keep them as they were. mask learns the values of Secrets. served: what
    discover() gave for these objects, where several manifests are compared.

    Requests: one or two of discovery, one list per kind and namespace (a get where it is a single object), one dry run
    per suspect. Needs get and list on the kinds; without patch differences stay unconfirmed. A kind that may not be
    read is in the report's unreadable. Raises Unreachable where the API server is silent.
    """
    wanted = {key: document for key, document in objects.items() if key.part == MANIFEST and key.name}
    report = Report()
    if not wanted:
        return report
    with _threads() as pool:
        served = served or _discover(kube, pool, api_versions(wanted))
        found: dict[Key, Drifted] = {}
        reads: dict[tuple[Resource, str], list[tuple[Key, Drifted]]] = {}
        for key, document in wanted.items():
            resource = served.resource(key, _version(document))
            inside = "" if resource and not resource.namespaced else key.namespace or namespace
            full = key._replace(namespace=inside)
            sent = _prepared(document, resource, full)
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
                    suspects.append((key, candidate, present))
                elif not _expires(candidate.document):
                    found[key] = replace(candidate, action=MISSING)
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
    return item.action == CHANGED and not _is_built_in(str(item.document.get("apiVersion", "")))


def put_back(kube: Kube, item: Drifted) -> None:
    """Apply the manifest's object on the server, as Helm 4 would: fields that others changed are taken over."""
    query = {"fieldManager": HELM, "force": "true"}
    kube.request("PATCH", item.url, query, item.document, content_type=APPLY_PATCH)


def diff_entries(drifted: Iterable[Drifted], mask: Mask) -> list[dict[str, str]]:
    """Entries of Ansible's diff: before is the live object, of which only the fields of the manifest are shown, and
    after is the wanted one. What is no drift looks the same on both sides."""
    entries = []
    for item in drifted:
        before = after = item.document
        for path, wanted, live in item.differences:
            before, after = _with(before, path, live), _with(after, path, wanted)
        header = f"{item.key.kind} {item.key.namespace}/{item.key.name}" if item.key.namespace else ""
        header = (header or f"{item.key.kind} {item.key.name}") + f" ({item.action} in the cluster)"
        entries.append(
            {
                "before_header": header,
                "after_header": header,
                "before": "" if item.action == MISSING else mask.text(documents.dump(mask.object(before))),
                "after": mask.text(documents.dump(mask.object(after))),
            }
        )
    return entries


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


# What differs


def subset_differences(manifest_doc: Mapping[str, Any], live_doc: Mapping[str, Any]) -> list[Difference]:
    """The fields of the manifest's object that the live object does not have, or has with another value. Pure.

    A suspicion rather than a proof: only the API server knows all of its normalisations. Those known here: quantities
    (1000m is 1), nulls, empty and zero values that are not stored, stringData of Secrets, numbers and strings that
    look the same, lists merged by keys. Other lists are one value; where Helm wrote them, members of their items that
    the manifest does not state are defaults, else they count. In CustomResourceDefinitions they always count: the API
    server adds nothing to their versions. status is the controllers'.
    """
    wanted, live = _plain_secret(manifest_doc), _plain_secret(live_doc)
    compare = _Comparison(
        built_in=_is_built_in(str(wanted.get("apiVersion", ""))),
        kind=str(wanted.get("kind", "")),
        owners=_owners(live_doc),
    )
    for name, value in wanted.items():
        if name not in ("apiVersion", "kind", "status"):
            compare.walk(value, live.get(name), (name,), name not in live, False)
    return [difference for difference in compare.found if difference.path not in IDENTITY]


IDENTITY = (("metadata", "name"), ("metadata", "namespace"), ("metadata", "creationTimestamp"))


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
        helm = _helm(self.owners)
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
        helm = _helm(self.owners)
        return known or any(owner.manager in helm and owner.operation == "Apply" for owner in owning(self.owners, path))


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


DEFAULT_KEYS = {"protocol": "TCP"}


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


def _is_built_in(api_version: str) -> bool:
    return api_version.rpartition("/")[0] in BUILT_IN


def _plain_secret(document: Mapping[str, Any]) -> dict[str, Any]:
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


# Who wrote it


def _owners(live: Mapping[str, Any]) -> list[Owner]:
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


def _helm(owners: Iterable[Owner]) -> set[str]:
    """Names under which Helm wrote the object: by default the file name of its program (Helm 3) or helm."""
    return {HELM} | {owner.manager for owner in owning(owners, ("metadata", "annotations", OWNER_ANNOTATION))}


def _suspected(manifest: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    owners = _owners(live)
    return any(not _by_design(item, owners) for item in subset_differences(manifest, live))


def _by_design(difference: Difference, owners: Sequence[Owner]) -> bool:
    last = next((step for step in reversed(difference.path) if isinstance(step, str)), "")
    for owner in owning(owners, difference.path):
        names = BY_DESIGN.get(owner.manager, frozenset())
        if names is None or last in names:
            return True
    return False


# Requests


def _threads() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # costs a module's start a few percent, and is seldom needed

    return ThreadPoolExecutor(THREADS)


def api_versions(*manifests: Objects) -> set[str]:
    """The API versions of the objects, as discover() takes them."""
    return {
        str(doc.get("apiVersion", "")) for objects in manifests for key, doc in objects.items() if key.part == MANIFEST
    }


def discover(kube: Kube, versions: Collection[str]) -> Served:
    """Where these API versions ("v1", "apps/v1", ...) are served: one or two requests to an API server with aggregated
    discovery (Kubernetes 1.26 or newer), else one per version.

    Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
    """
    with _threads() as pool:
        return _discover(kube, pool, versions)


def _discover(kube: Kube, pool: ThreadPoolExecutor, versions: Collection[str]) -> Served:
    grouped = sorted(set(versions) - {"v1"})
    paths = [path for path, used in (("/api", "v1" in versions), ("/apis", grouped)) if used]
    found: dict[tuple[str, str, str], Resource] = {}
    stale: set[str] = set()
    plain: list[str] = []
    for path, document in zip(paths, pool.map(lambda path: _discovery(kube, path), paths), strict=True):
        if document.get("kind") != "APIGroupDiscoveryList":
            plain += ["v1"] if path == "/api" else grouped
            continue
        for group in document.get("items") or []:
            name = (group.get("metadata") or {}).get("name") or ""
            for version in group.get("versions") or []:
                if version.get("freshness") == "Stale":
                    stale.add(name)
                for resource in version.get("resources") or []:
                    kind = (resource.get("responseKind") or {}).get("kind", "")
                    where = Resource(name, version["version"], resource["resource"], resource["scope"] == "Namespaced")
                    found.setdefault((name, version["version"], kind), where)
    for served, document in zip(plain, pool.map(lambda version: _plain_discovery(kube, version), plain), strict=True):
        name, _slash, number = served.rpartition("/")
        for resource in document.get("resources") or []:
            if "/" not in resource["name"]:
                where = Resource(name, number, resource["name"], bool(resource.get("namespaced")))
                found.setdefault((name, number, resource["kind"]), where)
    return Served(found, frozenset(stale))


def _discovery(kube: Kube, path: str) -> dict[str, Any]:
    answer = kube.send("GET", path, headers={"Accept": DISCOVERY})
    document = answer.json() if answer.ok else {}
    return document if isinstance(document, dict) else {}


def _plain_discovery(kube: Kube, version: str) -> dict[str, Any]:
    return kube.get(f"/apis/{version}" if "/" in version else f"/api/{version}") or {}


def _read(
    kube: Kube, resource: Resource, namespace: str, members: Sequence[tuple[Key, Drifted]]
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
    """The suspect with its differences, or None where the API server says that there are none."""
    owners = _owners(live)
    confirmed = True
    try:
        applied = kube.request(
            "PATCH",
            suspect.url,
            {"fieldManager": HELM, "force": "true", "dryRun": "All"},
            _owned_by_helm(suspect.document, live),
            content_type=APPLY_PATCH,
        )
        differences = _applied_differences(suspect.document, applied, live)
    except NotFound:
        # Deleted since it was read. The dry run of what does not exist would create it.
        return Drifted(suspect.key, MISSING, suspect.document, suspect.url)
    except (PermissionDenied, Conflict, ApiError):
        confirmed = False
        differences = subset_differences(suspect.document, live)
    differences = [item for item in differences if not _by_design(item, owners)]
    if not differences:
        return None
    secret = suspect.key.kind == "Secret"
    fields = tuple(_reported(item, owners, mask, secret) for item in differences)
    return Drifted(suspect.key, CHANGED, suspect.document, suspect.url, tuple(differences), fields, confirmed=confirmed)


def _applied_differences(
    manifest: Mapping[str, Any], applied: Mapping[str, Any], live: Mapping[str, Any]
) -> list[Difference]:
    """What the apply would change, of the fields of the manifest. Both objects come from the API server, so they are
    normalised alike, and equal means equal."""
    built_in = _is_built_in(str(manifest.get("apiVersion", "")))
    kind = str(manifest.get("kind", ""))
    owners = [*_owners(applied), *_owners(live)]
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


def _reported(difference: Difference, owners: Sequence[Owner], mask: Mask, secret: bool) -> dict[str, Any]:
    """The entry of the result. The writer is somebody else than Helm where there is a choice."""
    path, wanted, live = difference
    writers = owning(owners, path)
    helm = _helm(owners)
    others = [owner for owner in writers if owner.manager not in helm]
    # What was removed has no owner, unless a whole that it was a part of has been written anew.
    writer = next(iter(others if live is None else others or writers), None)
    hidden: Callable[[Any], Any] = _masked(mask)
    if secret and path[0] == "data":
        hidden = _digests(mask)
    return {
        "path": show(path),
        "wanted": hidden(wanted),
        "live": hidden(live),
        "manager": writer.manager if writer else "",
        "time": writer.time if writer else "",
    }


def _masked(mask: Mask) -> Callable[[Any], Any]:
    def hide(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: hide(item) for name, item in value.items()}
        if isinstance(value, list):
            return [hide(item) for item in value]
        return mask.text(value) if isinstance(value, str) else value

    return hide


def _digests(mask: Mask) -> Callable[[Any], Any]:
    def hide(value: Any) -> Any:
        data = value if isinstance(value, dict) else {"": value}
        shown = mask.object({"kind": "Secret", "data": {k: v for k, v in data.items() if v is not None}})["data"]
        return shown if isinstance(value, dict) else shown.get("")

    return hide


# The manifest's object


def _version(document: Mapping[str, Any]) -> str:
    return str(document.get("apiVersion", "")).rpartition("/")[2]


def _prepared(document: Mapping[str, Any], resource: Resource | None, key: Key) -> dict[str, Any]:
    """The object as it is applied: in a version that is served, in its namespace, without what is not Helm's."""
    sent = {name: value for name, value in _plain_secret(document).items() if name != "status"}
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


def _with(document: Any, path: Path, value: Any) -> Any:
    """A copy in which the field at path is value; without the field where value is None."""
    if not path:
        return copy.deepcopy(value)
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        changed = dict(document) if isinstance(document, dict) else {}
        new = _with(changed.get(step), rest, value) if rest or value is not None else None
        changed.pop(step, None)
        return changed if new is None else {**changed, step: new}
    items = list(document) if isinstance(document, list) else []
    if isinstance(step, int):
        number = step
    else:
        number = next((n for n, item in enumerate(items) if _has(item, step)), len(items))
    new = _with(items[number] if number < len(items) else None, rest, value) if rest or value is not None else None
    items[number : number + 1] = [] if new is None else [new]
    return items


def _has(item: Any, step: Item) -> bool:
    return isinstance(item, dict) and all(item.get(name, DEFAULT_KEYS.get(name)) == value for name, value in step.keys)
