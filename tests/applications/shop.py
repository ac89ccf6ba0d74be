# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of the shop share: requests to it, the traces that the store has of them, its logs, pods beside it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id
from ansible_collections.orion.tracing.plugins.module_utils.proof.expected_trace import SeenSpan, seen_spans
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import MARGIN_SECONDS, NotNow, StoreReader

NAMESPACE = "shop"
# From a request to a complete trace in the store: the agents' batches (1 s), the decision wait (8 s), the store's part.
PATIENCE = 60.0
TENANT = "acme"

Headers = Sequence[tuple[str, str]]


def request(url: str, body: Any = None, headers: Headers = (), timeout: float = 30.0) -> tuple[int, Any]:
    """A POST of this body as JSON, or a GET without one. Headers are sent as they are, repeated ones too."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=timeout)
    content = b"" if body is None else json.dumps(body).encode()
    try:
        connection.putrequest("GET" if body is None else "POST", target.path, skip_accept_encoding=True)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(content))), *headers):
            connection.putheader(name, value)
        connection.endheaders(content)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


@dataclass(frozen=True)
class Trace:
    """The spans of a trace, by span id."""

    spans: Mapping[str, SeenSpan] = field(default_factory=dict)

    def __iter__(self) -> Iterator[SeenSpan]:
        return iter(self.spans.values())

    def __str__(self) -> str:
        """The tree, for messages."""
        children: dict[str, list[SeenSpan]] = {}
        for span in self:
            children.setdefault(span.parent if span.parent in self.spans else "", []).append(span)

        def lines(parent: str, depth: int) -> Iterator[str]:
            for span in children.get(parent, ()):
                missing = " (its parent is missing)" if not depth and span.parent else ""
                yield f"{'  ' * depth}{span}{' ERROR' if failed(span) else ''}{missing}"
                yield from lines(span.span_id, depth + 1)

        return "\n".join(lines("", 0)) or "(no span)"

    def find(self, service: str, name: str, kind: str = "") -> list[SeenSpan]:
        return [s for s in self if s.service == service and s.name == name and (not kind or s.kind == kind)]

    def one(self, service: str, name: str, kind: str = "") -> SeenSpan:
        found = self.find(service, name, kind)
        assert len(found) == 1, f"{len(found)} spans {service}: {name!r} {kind} instead of one:\n{self}"
        return found[0]

    def ancestors(self, span: SeenSpan) -> list[SeenSpan]:
        """From the parent to the root."""
        found = []
        while span.parent in self.spans:
            span = self.spans[span.parent]
            assert span not in found, f"a cycle at {span}"
            found.append(span)
        return found

    def roots(self) -> list[SeenSpan]:
        """Spans without a parent, and those whose parent is not in the trace."""
        return [span for span in self if span.parent not in self.spans]

    @property
    def services(self) -> set[str]:
        return {span.service for span in self}


class Shop:
    """The shop in the cluster, the store that has its traces, and the logs of its services."""

    def __init__(self, kube: Kube, store: StoreReader, storefront: str, gateway: str) -> None:
        self.kube, self.store, self.storefront, self.gateway = kube, store, storefront, gateway
        self.started = int(time.time()) - MARGIN_SECONDS

    def checkout(self, sku: str = "book", headers: Headers = (("x-tenant-id", TENANT),)) -> tuple[int, Any]:
        return request(f"{self.storefront}/checkout", {"sku": sku, "quantity": 2}, headers)

    def now(self, trace_id: str) -> Trace:
        """What the store has of a trace now."""
        try:
            document = self.store.document(trace_id, self.started, int(time.time()) + MARGIN_SECONDS)
        except NotNow:
            return Trace()
        return Trace({span.span_id: span for span in seen_spans(document)})

    def trace(self, trace_id: str, complete: Callable[[Trace], object], patience: float = PATIENCE) -> Trace:
        """A trace as soon as it is complete. One that does not become so fails the test, with what there is of it."""
        limit, found = Deadline(Clock(), patience), self.now(trace_id)
        while not complete(found):
            assert limit.wait(0.5), f"trace {trace_id} is not complete after {patience:g} s:\n{found}"
            found = self.now(trace_id)
        return found

    def pods(self, selector: str) -> list[dict[str, Any]]:
        return self.kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods", selector)

    def logs(self, service: str) -> list[dict[str, Any]]:
        """The JSON lines that the running pods of a service have written since the tests started."""
        found = []
        for pod in self.pods(f"app.kubernetes.io/name={service}"):
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/log"
            query = {"sinceSeconds": int(time.time()) - self.started, "container": pod["spec"]["containers"][0]["name"]}
            answer = self.kube.send("GET", path, query)
            lines = answer.text.splitlines() if answer.ok else []
            found += [json.loads(line) for line in lines if line.startswith("{")]
        return found

    def logged(self, service: str, patience: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The first line of a service's log with these fields, as soon as it is there."""
        limit = Deadline(Clock(), patience)
        while True:
            for line in self.logs(service):
                if all(line.get(name) == value for name, value in fields.items()):
                    return line
            assert limit.wait(0.5), f"{service} has not logged {fields} within {patience:g} s"

    def beside(self, name: str, spec: dict[str, Any], annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A pod of the namespace that runs beside the shop's own, as it was admitted. The test removes it (remove)."""
        metadata = {"name": name, "labels": {"app.kubernetes.io/name": name}, "annotations": dict(annotations or {})}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        made: dict[str, Any] = self.kube.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body=body)
        return made

    def template(self, service: str, environment: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Spec and annotations of a service's pods, with more environment: values, or documents of an EnvVar."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{service}"
        template = self.kube.get(path)["spec"]["template"]
        [container] = template["spec"]["containers"]
        more = [
            {"name": name, **(value if isinstance(value, Mapping) else {"value": value})}
            for name, value in environment.items()
        ]
        container["env"] = [*container.get("env", []), *more]
        return template["spec"], template["metadata"]["annotations"]

    @contextmanager
    def copies(self, environments: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, str]]:
        """A ready pod like those of each service, with more environment: service → name of the pod. They serve nobody
        but the tests, and are removed at the end."""
        names = {service: f"{service}-{new_id(8)}" for service in environments}
        made = []
        try:
            for service, name in names.items():
                spec, annotations = self.template(service, environments[service])
                pod = self.beside(name, spec, annotations)
                made.append(name)
                # What the workload sets itself, the policies leave as it is.
                found = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
                assert found.items() >= environments[service].items()
            for name in made:
                self.pod(name, is_ready, patience=300)
            yield names
        finally:
            for name in made:
                self.remove(name)

    def remove(self, name: str) -> None:
        """Removes a pod, and waits until it is gone."""
        path, limit = f"/api/v1/namespaces/{NAMESPACE}/pods", Deadline(Clock(), PATIENCE)
        self.kube.request("DELETE", f"{path}/{name}", query={"gracePeriodSeconds": 0})
        while self.kube.list(path, field_selector=f"metadata.name={name}"):
            assert limit.wait(0.5), f"pod {name} is still there"

    def pod(self, name: str, ready: Callable[[dict[str, Any]], object], patience: float = 120.0) -> dict[str, Any]:
        """A pod as soon as it is as a test wants it."""
        limit = Deadline(Clock(), patience)
        while True:
            found: dict[str, Any] = self.kube.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")
            if ready(found):
                return found
            assert limit.wait(0.5), f"pod {name} is not as expected: {json.dumps(found['status'])}"


def failed(span: SeenSpan) -> bool:
    return span.status == "ERROR"


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def has_ended(pod: Mapping[str, Any]) -> bool:
    assert pod["status"].get("phase") != "Failed", pod["status"]
    return pod["status"].get("phase") == "Succeeded"


def traceparent(trace_id: str, parent: str = "b7ad6b7169203331", flags: str = "01") -> tuple[str, str]:
    return "traceparent", f"00-{trace_id}-{parent}-{flags}"
