# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Workloads and pods for tests, and a cluster in memory that behaves as far as instrumentation is concerned: it applies
with field managers, its controllers replace pods at once, and its policies give new pods an init container."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import (
    RESOURCES,
    TEMPLATES,
    Snapshot,
    read,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.injection import asked, container_names
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    AGENTS,
    LANGUAGES,
    POD_NAME,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.policies import policy_name
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request, answer_of, refused

PREFIX = "instrumentation.opentelemetry.io/"
ADMISSION = ("admissionregistration.k8s.io", "v1beta1")
POLICIES = {
    "MutatingAdmissionPolicy": ApiResource(*ADMISSION, "mutatingadmissionpolicies", False),
    "MutatingAdmissionPolicyBinding": ApiResource(*ADMISSION, "mutatingadmissionpolicybindings", False),
}
OPERATOR = {
    "Instrumentation": ApiResource("opentelemetry.io", "v1alpha1", "instrumentations", True),
    "MutatingWebhookConfiguration": ApiResource(
        "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", False
    ),
    "EndpointSlice": ApiResource("discovery.k8s.io", "v1", "endpointslices", True),
}
ALWAYS = {
    **RESOURCES,
    "ReplicaSet": ApiResource("apps", "v1", "replicasets", True),
    "Job": ApiResource("batch", "v1", "jobs", True),
}
OLD, POLICY_TIME, NEW = "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z"
IMAGE = "registry.example/agent-{}:1.2.3"


class StoppedClock(Clock):
    """It is NEW until somebody sleeps. on_sleep: called then, such as by a controller."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return int((datetime.fromisoformat(NEW).timestamp() + self.now) * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()


def template(annotations: dict[str, str] | None = None, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app.kubernetes.io/name": "x"}, "annotations": dict(annotations or {})},
        "spec": {"containers": [{"name": "app", "image": "shop:1", **container}]},
    }


def workload(
    name: str = "orders",
    kind: str = "Deployment",
    namespace: str = "shop",
    annotations: dict[str, str] | None = None,
    pod_template: dict[str, Any] | None = None,
    replicas: int = 1,
    **spec: Any,
) -> dict[str, Any]:
    body = pod_template or template(annotations)
    body["metadata"]["labels"] = {"app.kubernetes.io/name": name}
    inner = {"spec": {"template": body}} if kind == "CronJob" else body
    counts = ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")
    daemon = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "generation": 1, "creationTimestamp": OLD},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            ("jobTemplate" if kind == "CronJob" else "template"): inner,
            **spec,
        },
        "status": {"observedGeneration": 1, **dict.fromkeys(daemon if kind == "DaemonSet" else counts, replicas)},
    }


def pod_of(owner: dict[str, Any], number: int = 1, created: str = OLD, inject: bool = False) -> dict[str, Any]:
    """As its controller makes it; inject: with what the policies add for its annotations."""
    kind, metadata = owner["kind"], owner["metadata"]
    body = owner
    for key in TEMPLATES[kind]:
        body = body[key]
    made = copy.deepcopy(body)
    direct, suffix = {"Deployment": ("ReplicaSet", "-abc"), "CronJob": ("Job", "-29412345")}.get(kind, (kind, ""))
    labels = {**made["metadata"].get("labels", {}), **({"pod-template-hash": "abc"} if kind == "Deployment" else {})}
    pod = {
        "kind": "Pod",
        "metadata": {
            **made["metadata"],
            "labels": labels,
            "name": f"{metadata['name']}{suffix}-{number}",
            "namespace": metadata["namespace"],
            "creationTimestamp": created,
            "ownerReferences": [{"kind": direct, "name": metadata["name"] + suffix, "controller": True}],
        },
        "spec": made["spec"],
        "status": {"phase": "Running"},
    }
    return injected(pod) if inject else pod


def injected(
    pod: dict[str, Any], namespace: dict[str, str] | None = None, only: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A pod with what policies, or the operator, add. only: languages that are installed, all without any."""
    pod = copy.deepcopy(pod)
    wanted = asked(pod["metadata"].get("annotations") or {}, namespace or {}, container_names(pod))
    for language, containers in wanted.languages.items():
        if wanted.problems or (only and language not in only):
            continue
        if LANGUAGES[language] in AGENTS:
            init = {"name": LANGUAGES[language].injected, "image": IMAGE.format(language)}
            pod["spec"].setdefault("initContainers", []).append(init)
        for one in pod["spec"]["containers"]:
            if one["name"] in containers:
                one["env"] = [
                    *one.get("env", []),
                    {"name": POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {
                        "name": "OTEL_SERVICE_NAME",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app.kubernetes.io/name']"}},
                    },
                    {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"},
                ]
    return pod


def policy(language: str, created: str = POLICY_TIME, excluded: tuple[str, ...] = ("kube-system",)) -> dict[str, Any]:
    selector = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(excluded)}
    return {
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": policy_name(language), "creationTimestamp": created},
        "spec": {"matchConstraints": {"namespaceSelector": {"matchExpressions": [selector]}}},
    }


def binding(language: str) -> dict[str, Any]:
    return {
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": policy_name(language)},
        "spec": {"policyName": policy_name(language)},
    }


def namespace(name: str = "shop", annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {"kind": "Namespace", "metadata": {"name": name, "annotations": dict(annotations or {})}}


class Cluster(FakeKube):
    """policies: languages that are installed. operator: whether its API is served, instead of policies'.

    active: whether new pods get what their annotations ask for. stuck: pods are not replaced by themselves.
    """

    def __init__(
        self,
        *objects: dict[str, Any],
        policies: tuple[str, ...] = tuple(LANGUAGES),
        operator: bool = False,
        **more: Any,
    ) -> None:
        served = more.pop("served", True)
        policies = policies if served else ()
        apis = OPERATOR if operator else POLICIES
        super().__init__(resources={**ALWAYS, **(apis if served else {})}, **more)
        self.active, self.stuck = True, False
        self.languages = tuple(LANGUAGES) if operator else policies
        self._numbers = itertools.count(100)
        for language in () if operator else policies:
            self.put(policy(language))
            self.put(binding(language))
        for one in objects:
            self.put(one)
        names = {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]}
        for name in names:
            if f"/api/v1/namespaces/{name}" not in self.objects:
                self.put(namespace(name))
        plurals = "|".join(one.plural for one in RESOURCES.values())
        self.on(rf"^PATCH .*/({plurals})/[^/]+$", self._apply_with_managers)
        self.on(r"^POST /api/v1/namespaces/[^/]+/pods$", self._try_pod)

    def snapshot(self, name: str = "") -> Snapshot:
        return read(self.client(), name)

    def deployed(self, name: str = "orders", plural: str = "deployments", group: str = "apps") -> dict[str, Any]:
        return self.objects[f"/apis/{group}/v1/namespaces/shop/{plural}/{name}"]

    def pods(self, name: str) -> list[dict[str, Any]]:
        return [one for path, one in self.objects.items() if f"/pods/{name}-" in path]

    def admitted(self, pod: dict[str, Any]) -> dict[str, Any]:
        space = self.objects.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}") or namespace()
        inherited = space["metadata"].get("annotations") or {}
        return injected(pod, inherited, self.languages) if self.active and self.languages else pod

    def _try_pod(self, request: Request) -> Response:
        assert request.query["dryRun"] == "All", "no pod is ever made"
        return answer_of(self.admitted(request.document), 201)

    def _apply_with_managers(self, request: Request) -> Response | None:
        """Server-side apply as far as pod templates go: what the manager owned and does not send is removed."""
        before = self.objects.get(request.path)
        if before is None:
            return refused(404, "not found")
        types = [value for name, value in request.headers.items() if name.lower() == "content-type"]
        assert types == ["application/apply-patch+yaml"]
        after = copy.deepcopy(before)
        manager, path = request.query["fieldManager"], TEMPLATES[before["kind"]]
        managed = after["metadata"].setdefault("managedFields", [])
        own = next((one for one in managed if (one["manager"], one["operation"]) == (manager, "Apply")), None)
        body, fields = after, own["fieldsV1"] if own else {}
        for key in path:
            body, fields = body[key], fields.get(f"f:{key}", {})
        _remove(body, fields)
        sent: dict[str, Any] = request.document
        for key in path:
            sent = sent.get(key, {})
        _add(body, sent)
        if own:
            managed.remove(own)
        new = _fields(sent)
        for key in reversed(path):
            new = {f"f:{key}": new} if new else {}
        if new:
            managed.append({"manager": manager, "operation": "Apply", "fieldsV1": new})
        if "dryRun" not in request.query:
            self.objects[request.path] = after
            if json.dumps(before["spec"], sort_keys=True) != json.dumps(after["spec"], sort_keys=True):
                self._roll_out(after)
        return answer_of(after)

    def _roll_out(self, document: dict[str, Any]) -> None:
        document["metadata"]["generation"] += 1
        if self.stuck or document["kind"] == "CronJob":
            return
        document["status"]["observedGeneration"] = document["metadata"]["generation"]
        for pod in self.pods(document["metadata"]["name"]):
            del self.objects[self.path_of(pod)]
        for _index in range(document["spec"]["replicas"]):
            self.put(self.admitted(pod_of(document, next(self._numbers), NEW)))


def owned_by(document: dict[str, Any], manager: str, **annotations: str) -> dict[str, Any]:
    """The object, with these annotations of its pod template set by a field manager."""
    sent = {"metadata": {"annotations": annotations}}
    body = document
    fields = _fields(sent)
    for key in TEMPLATES[document["kind"]]:
        body = body[key]
    for key in reversed(TEMPLATES[document["kind"]]):
        fields = {f"f:{key}": fields}
    _add(body, sent)
    document["metadata"].setdefault("managedFields", []).append(
        {"manager": manager, "operation": "Apply", "fieldsV1": fields}
    )
    return document


def _fields(sent: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if names := (sent.get("metadata") or {}).get("annotations"):
        found["f:metadata"] = {"f:annotations": {f"f:{name}": {} for name in names}}
    for one in (sent.get("spec") or {}).get("containers") or []:
        env = {_key(variable): {".": {}, "f:name": {}, "f:value": {}} for variable in one["env"]}
        fields = {".": {}, "f:name": {}, "f:env": env}
        found.setdefault("f:spec", {}).setdefault("f:containers", {})[_key(one)] = fields
    return found


def _key(item: dict[str, Any]) -> str:
    return "k:" + json.dumps({"name": item["name"]}, separators=(",", ":"))


def _remove(body: dict[str, Any], fields: dict[str, Any]) -> None:
    for name in fields.get("f:metadata", {}).get("f:annotations", {}):
        body["metadata"]["annotations"].pop(name.removeprefix("f:"), None)
    for one in body["spec"]["containers"]:
        owned = fields.get("f:spec", {}).get("f:containers", {}).get(_key(one), {}).get("f:env", {})
        if owned:
            one["env"] = [variable for variable in one["env"] if _key(variable) not in owned]


def _add(body: dict[str, Any], sent: dict[str, Any]) -> None:
    body["metadata"].setdefault("annotations", {}).update((sent.get("metadata") or {}).get("annotations") or {})
    for one in (sent.get("spec") or {}).get("containers") or []:
        target = next(there for there in body["spec"]["containers"] if there["name"] == one["name"])
        names = {variable["name"] for variable in one["env"]}
        target["env"] = [v for v in target.get("env", []) if v["name"] not in names] + one["env"]
