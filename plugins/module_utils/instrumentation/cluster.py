# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The workloads of a cluster with their pods, and what can instrument them there, read at the same time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import release_of
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import injection
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import LANGUAGES
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import GROUP as OPERATOR
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import VERSION as OPERATOR_VERSION
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.policies import policy_name
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource, discover
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import BINDING_KIND, KIND, VERSIONS
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import GROUP as ADMISSION

# Kinds whose pod template may be changed, and the path to it.
RESOURCES = {
    "Deployment": ApiResource("apps", "v1", "deployments", True),
    "StatefulSet": ApiResource("apps", "v1", "statefulsets", True),
    "DaemonSet": ApiResource("apps", "v1", "daemonsets", True),
    "CronJob": ApiResource("batch", "v1", "cronjobs", True),
}
TEMPLATES = {
    **dict.fromkeys(RESOURCES, ("spec", "template")),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
# Their pods belong to something else, or cannot be changed once they exist.
OWNED = {
    "Pod": ApiResource("", "v1", "pods", True),
    "ReplicaSet": ApiResource("apps", "v1", "replicasets", True),
    "Job": ApiResource("batch", "v1", "jobs", True),
}
# How Kubernetes names the Jobs of a CronJob: by the scheduled time in minutes.
SCHEDULED = re.compile(r"(.+)-[0-9]{8,}")
READY, NOT_READY, ABSENT, UNKNOWN = "ready", "not_ready", "absent", "unknown"
Key = tuple[str, str, str]  # kind, namespace, name
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Workload:
    """What owns pods, with those of its pods that run or are to run. document: {} for an owner of another kind than
    those of RESOURCES, of which only the pods are known."""

    kind: str
    namespace: str
    name: str
    document: Document = field(default_factory=dict)
    pods: tuple[Document, ...] = ()

    @property
    def key(self) -> Key:
        return (self.kind, self.namespace, self.name)

    @property
    def template(self) -> Document:
        """The pod template; of other owners, the newest pod."""
        if self.document:
            return inside(self.document, *TEMPLATES[self.kind]) or {}
        return max(self.pods, key=created, default={})

    @property
    def annotations(self) -> dict[str, str]:
        """Those of the pod template."""
        return dict(inside(self.template, "metadata", "annotations") or {})

    @property
    def containers(self) -> list[str]:
        return injection.container_names(self.template)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class InjectionPolicy:
    """A policy of this collection for one language, by its name. created: RFC 3339. bound: whether a binding makes it
    effective. selectors: label selectors that a namespace has to match, all of them. release: the Helm
    release that it belongs to, as helm.ownership.release_of has it."""

    name: str
    language: str
    created: str
    bound: bool
    selectors: tuple[Document, ...] = ()
    release: str = ""

    def covers(self, namespace_labels: Mapping[str, str]) -> bool:
        return all(matches(selector, namespace_labels) for selector in self.selectors)


@dataclass(frozen=True)
class Modes:
    """What can instrument pods in a cluster.

    policy_version: the API version of MutatingAdmissionPolicy, "" where it is not served. operator_version: likewise
    of the OpenTelemetry Operator's Instrumentation. webhook: READY, NOT_READY, ABSENT, or UNKNOWN where it may not be
    read. instrumentations: namespace/name of the resources. unreadable: what the user may not read.
    """

    policy_version: str = ""
    policies: tuple[InjectionPolicy, ...] = ()
    operator_version: str = ""
    webhook: str = ABSENT
    instrumentations: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def serves(self) -> dict[str, str]:
        """As modes.py has it."""
        return {
            "policy": self.policy_version.rpartition("/")[2],
            "operator": self.operator_version.rpartition("/")[2],
        }

    def effective(self, language: str) -> list[InjectionPolicy]:
        """The policies of a language that are bound."""
        return [policy for policy in self.policies if policy.bound and policy.language == language]


@dataclass(frozen=True)
class Snapshot:
    """namespaces: name → the object, {} for one that may not be read."""

    namespaces: Mapping[str, Document]
    workloads: Mapping[Key, Workload]
    modes: Modes

    def annotations_of(self, namespace: str) -> dict[str, str]:
        return dict(inside(self.namespaces.get(namespace) or {}, "metadata", "annotations") or {})

    def labels_of(self, namespace: str) -> dict[str, str]:
        labels = inside(self.namespaces.get(namespace) or {}, "metadata", "labels") or {}
        return {"kubernetes.io/metadata.name": namespace, **labels}


def read(kube: Kube, namespace: str = "") -> Snapshot:
    """All workloads of a namespace, or of the cluster: seven requests, or more where lists have several pages or where
    policies or the operator are there. NotFound where the namespace does not exist."""
    names: list[str] = [*RESOURCES, "Pod"]
    jobs: list[Callable[[], Any]] = [
        lambda: read_modes(kube),
        lambda: _namespaces(kube, namespace),
        *(_listing(kube, {**RESOURCES, **OWNED}[kind], namespace) for kind in names),
    ]
    modes, namespaces, *lists = in_threads(lambda job: job(), jobs, threads=len(jobs))
    items = dict(zip(names, lists, strict=True))
    return Snapshot(namespaces, assemble(items, items.pop("Pod")), modes)


def _listing(kube: Kube, resource: ApiResource, namespace: str) -> Callable[[], list[dict[str, Any]]]:
    path = resource.url(namespace) if namespace else replace(resource, namespaced=False).url("")
    return lambda: pages(kube, path)


def _namespaces(kube: Kube, namespace: str) -> dict[str, Document]:
    """Annotations and labels of namespaces matter little where the user may not read them."""
    try:
        if not namespace:
            return {str(one["metadata"]["name"]): one for one in pages(kube, "/api/v1/namespaces")}
        found = kube.get(f"/api/v1/namespaces/{quote(namespace)}")
    except PermissionDenied:
        return {namespace: {}} if namespace else {}
    if found is None:
        raise NotFound(f"namespace {namespace} does not exist", remedy="Check its name: kubectl get namespaces.")
    return {namespace: found}


def assemble(lists: Mapping[str, Iterable[Document]], pods: Iterable[Document]) -> dict[Key, Workload]:
    """Workloads with their pods. lists: kind → objects. Owners of pods that are in no list are workloads too."""
    documents = {
        (kind, str(one["metadata"]["namespace"]), str(one["metadata"]["name"])): one
        for kind, items in lists.items()
        for one in items
    }
    owned: dict[Key, list[Document]] = {key: [] for key in documents}
    for pod in pods:
        owner = owner_of(pod, documents)
        if owner[0] != "Node" and is_alive(pod):
            owned.setdefault(owner, []).append(pod)
    return {key: Workload(*key, documents.get(key, {}), tuple(found)) for key, found in owned.items()}


def is_alive(pod: Document) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and inside(pod, "status", "phase") not in (
        "Succeeded",
        "Failed",
    )


def owner_of(pod: Document, known: Iterable[Key]) -> Key:
    """The workload that a pod belongs to. known: workloads that exist, since a Deployment is found by the name of its
    ReplicaSet and the pod's label, and a CronJob by the name of its Job, which saves two lists."""
    metadata = pod["metadata"]
    namespace = str(metadata["namespace"])
    reference = next((one for one in metadata.get("ownerReferences") or [] if one.get("controller")), None)
    if reference is None:
        return ("Pod", namespace, str(metadata["name"]))
    kind, name = str(reference["kind"]), str(reference["name"])
    suffix = f"-{(metadata.get('labels') or {}).get('pod-template-hash')}"
    above = name
    if kind == "ReplicaSet" and name.endswith(suffix):
        above = name.removesuffix(suffix)
        kind_above = "Deployment"
    elif kind == "Job" and (scheduled := SCHEDULED.fullmatch(name)):
        above, kind_above = scheduled[1], "CronJob"
    else:
        return (kind, namespace, name)
    return (kind_above, namespace, above) if (kind_above, namespace, above) in known else (kind, namespace, name)


def created(document: Document) -> str:
    return str(inside(document, "metadata", "creationTimestamp") or "")


def read_modes(kube: Kube) -> Modes:
    """One request, and two where policies are served, and two or three where the operator's resources are."""
    served = discover(kube, [*(f"{ADMISSION}/{version}" for version in VERSIONS), f"{OPERATOR}/{OPERATOR_VERSION}"])
    policy, binding = (
        next((found for one in VERSIONS if (found := served.resources.get((ADMISSION, one, kind)))), None)
        for kind in (KIND, BINDING_KIND)
    )
    operator = served.resource(OPERATOR, OPERATOR_VERSION, "Instrumentation")
    unreadable: list[str] = []

    def listed(resource: ApiResource | None) -> list[dict[str, Any]]:
        if resource is None:
            return []
        try:
            return pages(kube, replace(resource, namespaced=False).url(""))
        except PermissionDenied:
            unreadable.append(resource.plural)
            return []

    hooks = ApiResource(ADMISSION, "v1", "mutatingwebhookconfigurations", False) if operator else None
    policies, bindings, instrumentations, webhooks = in_threads(listed, [policy, binding, operator, hooks])
    webhook = ABSENT
    if hooks and hooks.plural in unreadable:
        webhook = UNKNOWN
    elif service := webhook_service(webhooks):
        webhook = webhook_state(kube, *service)
    return Modes(
        policy.api_version if policy else "",
        tuple(injection_policies(policies, bindings)),
        operator.api_version if operator else "",
        webhook,
        tuple(sorted(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in instrumentations)),
        tuple(sorted(unreadable)),
    )


def injection_policies(policies: Iterable[Document], bindings: Iterable[Document]) -> list[InjectionPolicy]:
    """Of all policies, those of this collection, by their names."""
    languages = {policy_name(language): language for language in LANGUAGES}
    bound: dict[str, list[Document]] = {}
    for one in bindings:
        bound.setdefault(str(inside(one, "spec", "policyName")), []).append(one)
    found = []
    for policy in policies:
        name = str(policy["metadata"]["name"])
        if name not in languages:
            continue
        selectors = [inside(policy, "spec", "matchConstraints", "namespaceSelector")]
        if len(bound.get(name, [])) == 1:
            selectors.append(inside(bound[name][0], "spec", "matchResources", "namespaceSelector"))
        kept = tuple(one for one in selectors if one)
        found.append(InjectionPolicy(name, languages[name], created(policy), name in bound, kept, release_of(policy)))
    return found


def matches(selector: Document, labels: Mapping[str, str]) -> bool:
    """Whether labels match a Kubernetes label selector."""
    tests: dict[str, Callable[[str | None, list[str]], bool]] = {
        "In": lambda value, values: value in values,
        "NotIn": lambda value, values: value not in values,
        "Exists": lambda value, values: value is not None,
        "DoesNotExist": lambda value, values: value is None,
    }
    return all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items()) and all(
        tests[term["operator"]](labels.get(term["key"]), term.get("values") or [])
        for term in selector.get("matchExpressions") or []
    )


def webhook_service(configurations: Iterable[Document]) -> tuple[str, str] | None:
    """Namespace and name of the Service behind the operator's webhook for pods."""
    for configuration in configurations:
        for webhook in configuration.get("webhooks") or []:
            service = inside(webhook, "clientConfig", "service") or {}
            names = f"{configuration['metadata']['name']} {service.get('name')}"
            if service.get("path") == "/mutate-v1-pod" and "opentelemetry" in names:
                return (str(service["namespace"]), str(service["name"]))
    return None


def webhook_state(kube: Kube, namespace: str, service: str) -> str:
    """READY where a pod answers for the Service, else NOT_READY; UNKNOWN where that may not be read."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{quote(namespace)}/endpointslices"
    try:
        slices = kube.list(path, label_selector=f"kubernetes.io/service-name={service}")
    except PermissionDenied:
        return UNKNOWN
    endpoints: Sequence[Document] = [one for piece in slices for one in piece.get("endpoints") or []]
    # A ready condition that is missing counts as true, by the API's own rule.
    return READY if any(inside(one, "conditions", "ready") is not False for one in endpoints) else NOT_READY
