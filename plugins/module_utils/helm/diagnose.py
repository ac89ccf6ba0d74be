# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Why a release did not become ready: Helm itself says only that it waited in vain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

LINES, WIDTH = 8, 400
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")
NOT_READY, STARTING = "not ready", "running, but not ready"
UNEXPLAINED = (NOT_READY, STARTING)  # the pod's status does not say why; its events may
Found = list[tuple[str, str]]  # name of the object, what is wrong with it


def diagnose(kube: Kube, namespace: str, objects: Iterable[Mapping[str, Any]], since: str) -> list[str]:
    """At most LINES lines about the pods and events of a release's workloads: two API requests.

    since: RFC 3339 time in UTC; older events do not count. An API error gives no lines: there is already an error to
    report.
    """
    workloads = [document for document in objects if document.get("kind") in WORKLOADS]
    if not workloads:
        return []
    path = f"/api/v1/namespaces/{quote(namespace)}"
    try:
        pods = kube.list(f"{path}/pods")
        events = kube.list(f"{path}/events", field_selector="type=Warning")
    except TracingError:
        return []
    return findings(workloads, pods, events, since)


def findings(
    workloads: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    since: str,
) -> list[str]:
    """Pure part of diagnose(): pods that are not ready with the reason, then warnings about the rest."""
    names = {str(document["metadata"]["name"]) for document in workloads}
    found: Found = []
    explained: set[str] = set()
    for pod in pods:
        if not selected(pod, workloads):
            continue
        for problem in _pod_problems(pod):
            found.append((f"Pod {pod['metadata']['name']}", problem))
            if problem not in UNEXPLAINED:
                explained.add(pod["metadata"]["name"])
    said: dict[tuple[str, str], tuple[str, str]] = {}
    for event in sorted(events, key=_time, reverse=True):
        about = event.get("involvedObject") or {}
        name, reason = str(about.get("name", "")), str(event.get("reason"))
        workload = next((known for known in names if name == known or name.startswith(f"{known}-")), None)
        if workload is None or name in explained or _time(event) < since[:19]:
            continue
        message = str(event.get("message", "")).removeprefix("(combined from similar events): ")
        # The longest says most: "Error: ErrImagePull" follows the message that names the image.
        if len(message) > len(said.get((workload, reason), ("", ""))[1]):
            said[workload, reason] = (f"{about.get('kind')} {name}", message)
    found += [(name, f"{reason}: {message}") for (_workload, reason), (name, message) in said.items()]
    return _lines(found)


def _lines(found: Found) -> list[str]:
    """One line per problem, however many objects have it."""
    grouped: dict[str, list[str]] = {}
    for name, problem in found:
        # Messages repeat the name of their object, which would make each of them unique.
        text = " ".join(problem.replace(name.partition(" ")[2], "…").split())[:WIDTH]
        names = grouped.setdefault(text, [])
        if name not in names:
            names.append(name)
    lines = [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {text}"
        for text, names in grouped.items()
    ]
    return lines[:LINES]


def selected(pod: Mapping[str, Any], workloads: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a pod belongs to one of the workloads."""
    labels = (pod["metadata"].get("labels") or {}).items()
    for workload in workloads:
        if workload.get("kind") == "Pod":
            if workload["metadata"]["name"] == pod["metadata"]["name"]:
                return True
            continue
        spec = workload.get("spec") or {}
        wanted = (spec.get("selector") or {}).get("matchLabels")
        if not wanted and workload.get("kind") == "Job":
            wanted = {"job-name": workload["metadata"]["name"]}
        if wanted and wanted.items() <= labels:
            return True
    return False


def _pod_problems(pod: Mapping[str, Any]) -> list[str]:
    status = pod.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    if status.get("phase") == "Succeeded" or (conditions.get("Ready") or {}).get("status") == "True":
        return []
    problems = []
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        problems.append(f"{scheduled.get('reason')}: {scheduled.get('message')}")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting")
        ended = (container.get("lastState") or {}).get("terminated") or (container.get("state") or {}).get("terminated")
        if container.get("ready") or (waiting or {}).get("reason") in ("PodInitializing", "ContainerCreating"):
            continue
        text = f"container {container['name']}: "
        if waiting:
            text += f"{waiting.get('reason')}: {waiting.get('message', '')}"
        elif not ended:
            problems.append(STARTING)
            continue
        if ended:
            text += f" (last exit code {ended.get('exitCode')}, {ended.get('reason')})"
            if ended.get("exitCode") == 0 and not waiting:
                continue  # an init container that is done
        problems.append(text)
    return problems or [NOT_READY]


def _time(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    time = (
        event.get("lastTimestamp")
        or series.get("lastObservedTime")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return str(time or "")[:19]
