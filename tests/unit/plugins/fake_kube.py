# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Kubernetes API server in memory: objects by path, lists with selectors and pages, server-side apply, dry runs,
discovery, access and rules reviews, refusals, and handlers for what is behind its proxy. It keeps every request.

client() is a Kube that calls it directly; serving() puts it behind a real socket, for processes and for the client
itself.
"""

from __future__ import annotations

import copy
import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

V1, APPS = ("", "v1"), ("apps", "v1")
RESOURCES = {
    "ConfigMap": ApiResource(*V1, "configmaps", True),
    "Secret": ApiResource(*V1, "secrets", True),
    "Service": ApiResource(*V1, "services", True),
    "Pod": ApiResource(*V1, "pods", True),
    "Event": ApiResource(*V1, "events", True),
    "Namespace": ApiResource(*V1, "namespaces", False),
    "Deployment": ApiResource(*APPS, "deployments", True),
    "StatefulSet": ApiResource(*APPS, "statefulsets", True),
    "ClusterRole": ApiResource("rbac.authorization.k8s.io", "v1", "clusterroles", False),
    "StorageClass": ApiResource("storage.k8s.io", "v1", "storageclasses", False),
    "CustomResourceDefinition": ApiResource("apiextensions.k8s.io", "v1", "customresourcedefinitions", False),
}
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Answer = Response | dict[str, Any] | list[Any] | Exception | Callable[[Request], "Response | None"]


def answer_of(document: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(document).encode())


def refused(status: int, message: str) -> Response:
    """As the API server refuses: with a Status document."""
    return answer_of({"kind": "Status", "status": "Failure", "code": status, "message": message}, status)


class FakeKube:
    """objects: path → object. resources: kind → where it is served. allowed: decides access reviews. rules:
    answers rules reviews, by namespace."""

    def __init__(
        self,
        *objects: dict[str, Any],
        resources: dict[str, ApiResource] | None = None,
        namespace: str = "default",
        version: str = "v1.34.4",
    ) -> None:
        self.resources = {**RESOURCES, **(resources or {})}
        self.namespace, self.version = namespace, version
        self.objects: dict[str, dict[str, Any]] = {}
        self.asked: list[Request] = []
        self.allowed: Callable[[dict[str, Any]], bool] = lambda _attributes: True
        self.rules: dict[str, list[dict[str, Any]]] = {}
        self._handlers: list[tuple[re.Pattern[str], Answer]] = []
        for one in objects:
            self.put(one)

    # What is there

    def path_of(self, document: dict[str, Any]) -> str:
        metadata = document["metadata"]
        return self.resources[document["kind"]].url(metadata.get("namespace") or self.namespace, metadata["name"])

    def put(self, document: dict[str, Any]) -> None:
        self.objects[self.path_of(document)] = document

    def on(self, pattern: str, answer: Answer) -> None:
        """Answer requests whose "METHOD path" the pattern matches: with a response, a document, an exception that is
        raised, or what a function returns (None: as without it). The last one given counts first."""
        self._handlers.insert(0, (re.compile(pattern), answer))

    def refuse(self, pattern: str, status: int = 403, message: str = "forbidden") -> None:
        self.on(pattern, refused(status, message))

    # What was asked

    @property
    def log(self) -> list[tuple[str, str]]:
        return [(one.method, one.path) for one in self.asked]

    @property
    def methods(self) -> list[str]:
        return [one.method for one in self.asked]

    @property
    def writes(self) -> list[Request]:
        return [
            one
            for one in self.asked
            if one.method != "GET" and "dryRun" not in one.query and one.path not in (REVIEWS, RULES)
        ]

    @property
    def reviews(self) -> list[dict[str, Any]]:
        """The permissions that were asked about."""
        return [one.document["spec"]["resourceAttributes"] for one in self.asked if one.path == REVIEWS]

    # How it answers

    def client(self) -> Kube:
        return _Client(self)

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        with serving(self.handler(), tls) as url:
            yield url

    def handler(self) -> type[Handler]:
        """What a server answers with."""
        fake = self

        class Api(Handler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = fake.answer(Request(self.command, url.path, query, headers, self.body()))
                # Without a type, Kubernetes' own client expects protobuf.
                self.answer(answer.status, answer.body, {"Content-Type": "application/json", **answer.headers})

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        return Api

    def answer(self, request: Request) -> Response:
        self.asked.append(request)
        for pattern, given in self._handlers:
            if pattern.search(f"{request.method} {request.path}"):
                found = given(request) if callable(given) else given
                if isinstance(found, Exception):
                    raise found
                if found is not None:
                    return found if isinstance(found, Response) else answer_of(found)
        return self._usual(request)

    def _usual(self, request: Request) -> Response:
        path = request.path
        if path == REVIEWS:
            return answer_of({"status": {"allowed": self.allowed(request.document["spec"]["resourceAttributes"])}}, 201)
        if path == RULES:
            rules = self.rules.get(request.document["spec"]["namespace"], [])
            return answer_of({"status": {"resourceRules": rules, "incomplete": False}}, 201)
        if path in ("/version", "/readyz"):
            return answer_of({"gitVersion": self.version})
        if path in ("/api", "/apis"):
            return answer_of(self._discovery(core=path == "/api"))
        write = {"POST": self._post, "PATCH": self._apply, "DELETE": self._delete}.get(request.method)
        if write:
            return write(request)
        if path in self.objects:
            return answer_of(self.objects[path])
        if self._is_collection(path):
            return answer_of(self._list(request))
        return refused(404, f"{path} not found")

    def _post(self, request: Request) -> Response:
        document = request.document
        path = f"{request.path}/{document['metadata']['name']}"
        if path in self.objects:
            return refused(409, "already exists")
        self.objects[path] = document
        return answer_of(document, 201)

    def _apply(self, request: Request) -> Response:
        before = self.objects.get(request.path)
        after = _merged(copy.deepcopy(before), request.document)
        if "dryRun" not in request.query:
            self.objects[request.path] = after
        return answer_of(after, 201 if before is None else 200)

    def _delete(self, request: Request) -> Response:
        found = self.objects.pop(request.path, None)
        return refused(404, "not found") if found is None else answer_of(found)

    def _is_collection(self, path: str) -> bool:
        known = {one.url("NAMESPACE").replace("NAMESPACE", "[^/]+") for one in self.resources.values()}
        everywhere = {one.url("").replace("/namespaces/", "") for one in self.resources.values() if one.namespaced}
        return any(re.fullmatch(pattern, path) for pattern in known) or path in everywhere | {
            "/api/v1/secrets",
            "/api/v1/pods",
        }

    def _list(self, request: Request) -> dict[str, Any]:
        parent, _slash, plural = request.path.rpartition("/")
        inside = re.compile(rf"{re.escape(parent)}(/namespaces/[^/]+)?/{plural}/[^/]+")
        items = [document for path, document in self.objects.items() if inside.fullmatch(path)]
        items = [item for item in items if _labelled(item, request.query.get("labelSelector", ""))]
        items = [item for item in items if _has_fields(item, request.query.get("fieldSelector", ""))]
        first, size = int(request.query.get("continue", 0)), int(request.query.get("limit", 0)) or len(items)
        more = {"continue": str(first + size)} if first + size < len(items) else {}
        return {"metadata": more, "items": items[first : first + size]}

    def _discovery(self, core: bool) -> dict[str, Any]:
        groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for kind, one in self.resources.items():
            if (one.group == "") is core:
                scope = "Namespaced" if one.namespaced else "Cluster"
                entry = {"resource": one.plural, "responseKind": {"kind": kind}, "scope": scope}
                groups.setdefault(one.group, {}).setdefault(one.version, []).append(entry)
        items = [
            {"metadata": {"name": group}, "versions": [{"version": v, "resources": r} for v, r in versions.items()]}
            for group, versions in groups.items()
        ]
        return {"kind": "APIGroupDiscoveryList", "items": items}


class _Client(Kube):
    """A Kube without a connection, which counts as the real one."""

    def __init__(self, fake: FakeKube) -> None:
        self.fake, self.calls = fake, 0
        self.host, self.origin = "https://k8s.test", ""
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Response:
        self.calls += 1
        texts = {name: str(value) for name, value in (query or {}).items()}
        return self.fake.answer(Request(method, path, texts, headers or {}, body or b""))


def _merged(before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, dict):
        return {**before, **{name: _merged(before.get(name), value) for name, value in after.items()}}
    return after


def _labelled(item: dict[str, Any], selector: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    return all(_is(labels.get(name), equal, value) for name, equal, value in _terms(selector))


def _has_fields(item: dict[str, Any], selector: str) -> bool:
    def at(path: str) -> Any:
        value: Any = item
        for step in path.split("."):
            value = (value or {}).get(step)
        return value

    return all(_is(at(name), equal, value) for name, equal, value in _terms(selector))


def _terms(selector: str) -> Iterator[tuple[str, bool, str]]:
    for term in filter(None, selector.split(",")):
        name, sign, value = re.split(r"(!=|==?)", term, maxsplit=1)
        yield name, sign != "!=", value


def _is(found: Any, equal: bool, value: str) -> bool:
    return (str(found if found is not None else "") == value) is equal
