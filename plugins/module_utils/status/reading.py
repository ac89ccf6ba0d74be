# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Everything that the status page is made of, read at once. Nothing is written.

What cannot be read is listed with its reason, and is None in the facts: never 0, and never an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.helm.info import Query
from ansible_collections.orion.tracing.plugins.module_utils.helm.info import gather as releases_of
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import (
    COLLECTOR_METRICS_PORT,
    TEMPO_PORT,
    scrape,
)
from ansible_collections.orion.tracing.plugins.module_utils.status import certificates, rates
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import FRONT

# Release → what it is for people. That of Tempo may have another name.
RELEASES = {
    FRONT: "Tempo",
    "otel-collector": "collectors",
    "instrumentation": "instrumentation",
    "grafana-datasources": "Grafana provisioning",
    "trace-probe": "periodic probe",
    "local-backends": "local backends",
}
# Kind → where it is listed, in a namespace.
LISTS = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
}
THREADS = 16
T = TypeVar("T")


@dataclass(frozen=True)
class StatusQuery:
    """What is asked about. namespace: of the platform. grafana: that of its release beside Grafana, "" for none.
    others: namespaces with more releases that belong to it, such as the local backends. tempo: Tempo's release.
    prometheus_url: "" for none.
    last: the time range of what Prometheus is asked about, as a Go duration."""

    namespace: str
    grafana: str = ""
    others: tuple[str, ...] = ()
    tempo: str = FRONT
    prometheus_url: str = ""
    last: str = "1h"

    @property
    def namespaces(self) -> list[str]:
        """All with releases, each once."""
        return list(dict.fromkeys(one for one in (self.namespace, self.grafana, *self.others) if one))


@dataclass
class StatusFacts:
    """components: what a release is for people, by its name. lists: objects by kind, of the platform's namespace.
    releases: as helm.info has them, of all namespaces. metrics: samples by pod. volumes: used and all bytes by claim.
    measured: what Prometheus answered, by figure and label. ends: certificates. unreadable: what could not be read, and
    why."""

    kubernetes: str = ""
    components: dict[str, str] = field(default_factory=lambda: dict(RELEASES))
    releases: list[dict[str, Any]] | None = None
    lists: dict[str, list[dict[str, Any]] | None] = field(default_factory=dict)
    metrics: dict[str, text.Samples] = field(default_factory=dict)
    volumes: dict[str, tuple[int, int]] | None = None
    measured: list[tuple[dict[str, str], float]] | None = None
    ends: list[certificates.Certificate] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, what: str, read: Callable[[], T]) -> T | None:
        """What read returns; None, with the reason noted, where it cannot be read."""
        try:
            return read()
        except TracingError as error:
            self.unreadable.append((what, str(error)))
            return None


def gather(kube: Kube, wanted: StatusQuery, connection: Mapping[str, Any]) -> StatusFacts:
    """Read all. connection: the options that kube was connected with.

    Requests: one for the version, for each namespace of releases, for each of LISTS, for the pods of each other
    namespace and for Prometheus; then, by what the pods are: one for each collector and Tempo pod, for each node with a
    volume of theirs and for each Secret that they mount. Raises only where the API server does not answer at all.
    """
    kube.patience = 0.0  # what does not answer is worth more at once than after a wait
    facts = StatusFacts(kubernetes=kube.version())
    with ThreadPoolExecutor(THREADS) as pool:
        releases = [
            pool.submit(facts.attempt, f"releases in namespace {one}", _releases(kube, one))
            for one in wanted.namespaces
        ]
        lists = {
            kind: pool.submit(facts.attempt, f"{kind}s", _list(kube, path.format(quote(wanted.namespace))))
            for kind, path in LISTS.items()
        }
        measured = pool.submit(facts.attempt, "figures of Prometheus", _measured(kube, wanted))
        server = pool.submit(
            facts.attempt, "the API server's certificate", lambda: certificates.of_api_server(kube.host)
        )
        client = pool.submit(facts.attempt, "the client's certificate", lambda: certificates.of_client(connection))
        facts.lists = {kind: future.result() for kind, future in lists.items()}
        pods = facts.lists["Pod"] or []
        beside = [
            (one, pool.submit(facts.attempt, f"Pods in namespace {one}", _list(kube, LISTS["Pod"].format(quote(one)))))
            for one in wanted.others
            if one != wanted.namespace
        ]
        scraped = [
            (pod["metadata"]["name"], pool.submit(facts.attempt, f"metrics of {pod['metadata']['name']}", read))
            for pod, read in _scrapes(kube, wanted.namespace, pods)
        ]
        volumes = pool.submit(facts.attempt, "how full the volumes are", _volumes(kube, wanted.namespace, pods))
        secrets = [
            pool.submit(facts.attempt, f"certificates in Secret {space}/{name}", _certificates(kube, space, name))
            for space, some in [(wanted.namespace, pods), *((one, future.result() or []) for one, future in beside)]
            for name in secrets_of(some)
        ]
        found = [future.result() for future in releases]
        every = [one for some in found for one in some or []]
        # While Tempo is upgraded, there are two.
        tempos = [wanted.tempo, *(one["name"] for one in every if one["chart"] == FRONT)]
        facts.components |= dict.fromkeys(tempos, RELEASES[FRONT])
        known = [one for one in every if one["name"] in facts.components]
        facts.releases = known if known or None not in found else None
        facts.metrics = {pod: samples for pod, future in scraped if (samples := future.result()) is not None}
        facts.volumes = volumes.result() if pods else None
        facts.measured = measured.result()
        own = [one.result() for one in (server, client)]
        facts.ends = [one for one in own if one] + [one for future in secrets for one in future.result() or []]
    return facts


def component(pod: Mapping[str, Any]) -> str:
    """gateway, sampler or tempo; "" for any other pod."""
    labels = pod["metadata"].get("labels") or {}
    name, part = labels.get("app.kubernetes.io/name"), labels.get("app.kubernetes.io/component")
    if name == "otel-collector" and part in ("gateway", "sampler"):
        return str(part)
    return "tempo" if name == "tempo" else ""


def secrets_of(pods: list[dict[str, Any]]) -> list[str]:
    """Names of the Secrets that pods mount. Those that only fill variables of the environment hold no certificates."""
    found: set[str] = set()
    for pod in pods:
        for volume in inside(pod, "spec", "volumes") or []:
            projected = inside(volume, "projected", "sources") or []
            names = [inside(volume, "secret", "secretName"), *(inside(one, "secret", "name") for one in projected)]
            found.update(name for name in names if name)
    return sorted(found)


def _releases(kube: Kube, namespace: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: releases_of(kube, Query(namespace=namespace)).releases


def _list(kube: Kube, path: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: pages(kube, path)


def _measured(kube: Kube, wanted: StatusQuery) -> Callable[[], list[tuple[dict[str, str], float]] | None]:
    if not wanted.prometheus_url:
        return lambda: None
    return lambda: Prometheus(kube, wanted.prometheus_url).query(rates.query(wanted.last))


def _scrapes(
    kube: Kube, namespace: str, pods: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Callable[[], text.Samples]]]:
    for pod in pods:
        part = component(pod)
        if not part or "deletionTimestamp" in pod["metadata"]:
            continue

        def read(name: str = pod["metadata"]["name"], part: str = part) -> text.Samples:
            return text.parse(metrics_of(kube, namespace, name, part))

        yield pod, read


def metrics_of(kube: Kube, namespace: str, pod: str, part: str) -> str:
    """The text of a pod's metrics. part: as component() has it. TracingError where it does not answer with them."""
    answer = scrape(kube, namespace, pod, TEMPO_PORT if part == "tempo" else COLLECTOR_METRICS_PORT)
    if not answer.ok:
        raise refusal(f"GET /metrics of pod {pod}", answer)
    return answer.text


def _volumes(kube: Kube, namespace: str, pods: list[dict[str, Any]]) -> Callable[[], dict[str, tuple[int, int]]]:
    """Source: https://kubernetes.io/docs/reference/instrumentation/node-metrics/ (the Summary API)"""
    nodes = {
        pod["spec"]["nodeName"]
        for pod in pods
        if inside(pod, "spec", "nodeName")
        and any("persistentVolumeClaim" in volume for volume in inside(pod, "spec", "volumes") or [])
    }

    def one(node: str) -> dict[str, tuple[int, int]]:
        stats = kube.request("GET", f"/api/v1/nodes/{quote(node)}/proxy/stats/summary", timeout=10.0)
        return {
            volume["pvcRef"]["name"]: (int(volume["usedBytes"]), int(volume["capacityBytes"]))
            for pod in stats.get("pods") or []
            for volume in pod.get("volume") or []
            if inside(volume, "pvcRef", "namespace") == namespace
            and "usedBytes" in volume
            and "capacityBytes" in volume
        }

    return lambda: {claim: sizes for some in in_threads(one, sorted(nodes)) for claim, sizes in some.items()}


def _certificates(kube: Kube, namespace: str, name: str) -> Callable[[], list[certificates.Certificate]]:
    def read() -> list[certificates.Certificate]:
        try:
            secret = kube.request("GET", f"/api/v1/namespaces/{quote(namespace)}/secrets/{quote(name)}")
        except NotFound:
            return []  # an optional volume; a pod that needs it does not start, which the page has
        return list(certificates.of_secret(secret))

    return read
