# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""An archive for support: what is in it, read from the cluster within bounds, and how it is written."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import THREADS, in_threads
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import OWNER_ANNOTATION
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.pages import pages
from ansible_collections.orion.tracing.plugins.module_utils.status.reading import LISTS, component, metrics_of
from ansible_collections.orion.tracing.plugins.module_utils.status.removal import Removal

# Of one file, and of one answer with a log: a line may be of any length.
FILE_BYTES, LOG_BYTES = 2 * 2**20, 8 * 2**20
CUT = "[what was before this is left out: the file would be longer than {} bytes]\n"
MORE_LISTS = {
    "Service": "/api/v1/namespaces/{}/services",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ArchiveLimits:
    """log_lines: of each container. size: bytes of all files together, before they are packed."""

    log_lines: int = 500
    size: int = 50 * 2**20


@dataclass
class ArchiveContents:
    """files: text by path in the archive, without secrets. missing: what is not in it, and why."""

    files: dict[str, str] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    size: int = 0

    def manifest(self, removal: Removal, about: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **about,
            "files": {path: len(text.encode()) for path, text in sorted(self.files.items())},
            "removed": dict(sorted(removal.removed.items())),
            "secret_values_looked_for": removal.known,
            "secret_values_too_short_to_look_for": removal.short,
            "missing": [{"what": what, "why": why} for what, why in self.missing],
        }


class Collector:
    """Fills ArchiveContents. What cannot be read, or does not fit into the limits, is missing with its reason; nothing
    raises TracingError."""

    def __init__(self, removal: Removal, limits: ArchiveLimits, deadline: Deadline, progress: Progress) -> None:
        self.removal, self.limits, self.deadline, self.progress = removal, limits, deadline, progress
        self.contents = ArchiveContents()
        self._history: dict[str, list[dict[str, Any]]] = {}  # summaries of revisions by namespace

    def add(self, path: str, content: Any) -> None:
        """A file: text, or a document, which becomes JSON."""
        if not isinstance(content, str):
            content = json.dumps(self.removal.document(content), indent=1, ensure_ascii=False, default=str) + "\n"
        text = _tail(self.removal.text(content))
        size = len(text.encode("utf-8", "replace"))
        if self.contents.size + size > self.limits.size:
            self.contents.missing.append((path, f"the archive would hold more than {self.limits.size} bytes"))
            return
        self.contents.size += size
        self.contents.files[path] = text

    def learn(self, kube: Kube, namespaces: list[str]) -> bool:
        """Read the Secrets, only so that their values can be removed from all else. Whether the cluster answers."""
        kube.patience = 0.0
        version = self._read("everything of the cluster", kube.version)
        if version is None:
            return False
        self.add("kubernetes.json", {"version": version})
        for namespace in namespaces:
            self._learn_secrets(kube, namespace)
        return True

    def cluster(self, kube: Kube, namespaces: list[str]) -> None:
        """Everything else."""
        for namespace in namespaces:
            self.progress(f"namespace {namespace}")
            self._namespace(kube, namespace)

    def _read(self, what: str, read: Callable[[], Any]) -> Any:
        if not self.deadline.left:
            self.contents.missing.append((what, f"the time limit of {self.deadline.seconds:.0f} s has passed"))
            return None
        try:
            return read()
        except TracingError as error:
            self.contents.missing.append((what, self.removal.text(str(error))))
            return None

    def _learn_secrets(self, kube: Kube, namespace: str) -> None:
        what = f"the values of Secrets in namespace {namespace} to be looked for (what looks like a secret is removed)"
        secrets = (
            self._read(what, lambda: pages(kube, f"/api/v1/namespaces/{quote(namespace)}/secrets", limit=50)) or []
        )
        self.removal.names.update(secret["metadata"]["name"] for secret in secrets)
        for secret in secrets:
            if secret.get("type") != release.TYPE:
                self.removal.learn_secret(secret)
                continue
            try:
                document = release.decode((secret.get("data") or {}).get("release", ""))
            except ValueError as error:
                self.contents.missing.append((f"release record {secret['metadata']['name']}", str(error)))
                continue
            self.removal.learn_named(document.get("config") or {})
            one = release.of_document(document, release.labels_of(secret))
            self._history.setdefault(namespace, []).append({**one.summary(), "apply_method": one.apply_method})

    def _namespace(self, kube: Kube, namespace: str) -> None:
        if history := self._history.get(namespace):
            self.add(f"{namespace}/releases.json", sorted(history, key=lambda one: (one["name"], one["revision"])))
        lists = {**LISTS, **MORE_LISTS, "Event": "/api/v1/namespaces/{}/events"}
        lists["ConfigMap"] = "/api/v1/namespaces/{}/configmaps"

        def read(kind: str) -> Any:
            path = lists[kind].format(quote(namespace))
            return self._read(f"{kind}s in namespace {namespace}", lambda: pages(kube, path))

        found = dict(zip(lists, in_threads(read, list(lists)), strict=True))
        for kind, items in found.items():
            if kind == "ConfigMap":
                self._config_maps(namespace, items or [])
            elif kind == "Event":
                self.add(f"{namespace}/events.txt", "".join(_events(items or [])))
            elif items:
                self.add(f"{namespace}/{kind}.json", items)
        self._pods(kube, namespace, found["Pod"] or [])

    def _config_maps(self, namespace: str, items: list[dict[str, Any]]) -> None:
        """Those of Helm releases: the configurations as they were rendered."""
        for item in items:
            metadata = item["metadata"]
            if OWNER_ANNOTATION not in (metadata.get("annotations") or {}):
                continue
            for key, text in sorted((item.get("data") or {}).items()):
                self.add(f"{namespace}/config/{metadata['name']}/{key}", text)

    def _pods(self, kube: Kube, namespace: str, pods: list[dict[str, Any]]) -> None:
        jobs = [*_metrics(kube, namespace, pods), *_logs(kube, namespace, pods, self.limits.log_lines)]
        # Some at a time: all of them may be more than the archive may hold.
        for start in range(0, len(jobs), THREADS):
            some = jobs[start : start + THREADS]
            texts = in_threads(lambda job: self._read(f"{namespace}/{job[0]}", job[1]), some)
            for (path, _job), text in zip(some, texts, strict=True):
                if text:
                    self.add(f"{namespace}/{path}", text)
            self.progress(f"namespace {namespace}: {min(start + THREADS, len(jobs))} of {len(jobs)} logs and metrics")


def write(path: str, contents: ArchiveContents, manifest: Mapping[str, Any]) -> int:
    """The archive, readable by its owner only, all at once: an interrupted run leaves none. Returns its bytes.
    InvalidInput where it cannot be written."""
    target = Path(path)
    name = target.name.removesuffix(".tar.gz")
    files = {"manifest.json": json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", **contents.files}
    try:
        handle, there = tempfile.mkstemp(prefix=".tracing-support-", dir=target.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
                for file, text in sorted(files.items()):
                    data = text.encode("utf-8", "replace")
                    entry = tarfile.TarInfo(f"{name}/{file}")
                    entry.size, entry.mode = len(data), 0o600
                    archive.addfile(entry, io.BytesIO(data))
            Path(there).replace(target)
        except BaseException:
            Path(there).unlink(missing_ok=True)
            raise
        return target.stat().st_size
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written", str(error)) from error


def _tail(text: str) -> str:
    """The end of a text that is too long, from the beginning of a line on."""
    data = text.encode("utf-8", "replace")
    if len(data) <= FILE_BYTES:
        return text
    rest = data[-FILE_BYTES:]
    return CUT.format(FILE_BYTES) + rest[rest.find(b"\n") + 1 :].decode("utf-8", "replace")


def _events(items: list[dict[str, Any]]) -> Iterator[str]:
    """One line for each event, the newest last."""

    def at(item: Mapping[str, Any]) -> str:
        series = inside(item, "series", "lastObservedTime")
        return str(
            series
            or item.get("lastTimestamp")
            or item.get("eventTime")
            or item["metadata"].get("creationTimestamp")
            or ""
        )

    for item in sorted(items, key=at):
        about = item.get("involvedObject") or {}
        text = " ".join(str(item.get("message") or "").split())
        where = f"{about.get('kind', '')}/{about.get('name', '')}"
        yield f"{at(item)} {item.get('type', '')} {item.get('reason', '')} {where} ×{item.get('count') or 1}: {text}\n"


def _metrics(kube: Kube, namespace: str, pods: list[dict[str, Any]]) -> Iterator[tuple[str, Callable[[], str]]]:
    for pod in pods:
        part = component(pod)
        if not part:
            continue
        name = pod["metadata"]["name"]

        def read(name: str = name, part: str = part) -> str:
            return metrics_of(kube, namespace, name, part)

        yield f"metrics/{name}.txt", read


def _logs(
    kube: Kube, namespace: str, pods: list[dict[str, Any]], lines: int
) -> Iterator[tuple[str, Callable[[], str]]]:
    """The last lines of each container, and those of its process before where it was restarted."""
    for pod in pods:
        name = pod["metadata"]["name"]
        for part in ("initContainerStatuses", "containerStatuses"):
            for status in inside(pod, "status", part) or []:
                for previous in (False, True) if status.get("restartCount") else (False,):

                    def read(name: str = name, container: str = status["name"], previous: bool = previous) -> str:
                        query = {"container": container, "tailLines": lines, "limitBytes": LOG_BYTES}
                        if previous:
                            query["previous"] = "true"
                        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}/log"
                        answer = kube.send("GET", path, query, headers={"Accept": "*/*"})
                        if not answer.ok:
                            raise refusal(f"the log of container {container} in pod {name}", answer)
                        text = answer.text
                        # A line that was cut may end in a part of a secret, which nothing would find.
                        return text if len(answer.body) < LOG_BYTES else text[: text.rfind("\n") + 1]

                    yield f"logs/{name}/{status['name']}{'.previous' if previous else ''}.log", read
