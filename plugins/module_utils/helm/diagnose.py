# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Why a release did not become ready. Helm's own message is only that its wait timed out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

LINES, WIDTH = 8, 400
LOGS, LOG_LINES = 3, 3  # how many containers' logs are read, and how much of each
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")
NOT_READY, STARTING = "not ready", "running, but not ready"
UNEXPLAINED = (NOT_READY, STARTING)  # the pod's status does not say why; its events may
Found = list[tuple[str, str]]  # name of the object, what is wrong with it
Logs = Mapping[tuple[str, str], str]  # (owner of a pod, container) → the end of its log


class Ended(NamedTuple):
    """A container that ended: owner is what its pods are made of, for which one log is enough. previous: whether it
    has been started again since."""

    owner: str
    container: str
    pod: str
    previous: bool


def diagnose(
    kube: Kube, namespace: str, objects: Iterable[Mapping[str, Any]], since: str, read_logs: bool = True
) -> list[str]:
    """At most LINES lines about the pods and events of a release's workloads: two API requests, and one for the log of
    each container that ended (at most LOGS).

    since: RFC 3339 time in UTC; older events do not count. An API error gives no lines: there is already an error to
    report. Without the permission to read logs (pods/log), they are left out.
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
    logs: dict[tuple[str, str], str] = {}
    for one in ended(workloads, pods)[:LOGS] if read_logs else []:
        query = {"container": one.container, "previous": str(one.previous).lower(), "tailLines": LOG_LINES}
        try:
            answer = kube.send("GET", f"{path}/pods/{quote(one.pod)}/log", query, headers={"Accept": "*/*"})
        except TracingError:
            break
        if answer.ok:
            logs[one.owner, one.container] = answer.text
    return findings(workloads, pods, events, since, logs)


def ended(workloads: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> list[Ended]:
    """The containers whose logs may say why their pods are not ready: one for each owner and container. Those that left
    a termination message are left out."""
    found: dict[tuple[str, str], Ended] = {}
    for pod in pods:
        if _is_ready(pod) or not selected(pod, workloads):
            continue
        for container in _containers(pod):
            last = _terminated(container)
            if last and last.get("exitCode") != 0 and not last.get("message") and not container.get("ready"):
                previous = "terminated" not in (container.get("state") or {})
                one = Ended(_owner(pod), container["name"], pod["metadata"]["name"], previous)
                found.setdefault((one.owner, one.container), one)
    return list(found.values())


def findings(
    workloads: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    since: str,
    logs: Logs | None = None,
) -> list[str]:
    """Pure part of diagnose(): pods that are not ready with the reason, then warnings about the rest. logs: of those
    that ended() names."""
    names = {str(document["metadata"]["name"]) for document in workloads}
    found: Found = []
    explained: set[str] = set()
    for pod in pods:
        if not selected(pod, workloads):
            continue
        for problem in _pod_problems(pod, logs or {}):
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
    found += [(name, f"{reason}: {message}"[:WIDTH]) for (_workload, reason), (name, message) in said.items()]
    return _lines(found)


def _lines(found: Found) -> list[str]:
    """One line per problem, however many objects have it."""
    grouped: dict[str, list[str]] = {}
    for name, problem in found:
        # Messages repeat the name of their object, which would make each of them unique.
        text = " ".join(problem.replace(name.partition(" ")[2], "…").split())
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


def _pod_problems(pod: Mapping[str, Any], logs: Logs) -> list[str]:
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded" or _is_ready(pod):
        return []
    problems = []
    scheduled: Mapping[str, Any] = next((c for c in status.get("conditions") or [] if c["type"] == "PodScheduled"), {})
    if scheduled.get("status") == "False":
        problems.append(f"{scheduled.get('reason')}: {scheduled.get('message')}"[:WIDTH])
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting")
        last = _terminated(container)
        if container.get("ready") or (waiting or {}).get("reason") in ("PodInitializing", "ContainerCreating"):
            continue
        text = f"container {container['name']}: "
        if waiting:
            text += f"{waiting.get('reason')}: {waiting.get('message', '')}"[:WIDTH]
        elif not last:
            problems.append(STARTING)
            continue
        if last:
            if last.get("exitCode") == 0 and not waiting:
                continue  # an init container that is done
            text += f" (last exit code {last.get('exitCode')}, {last.get('reason')})"
            end = str(last.get("message") or logs.get((_owner(pod), container["name"]), ""))
            lines = [line.strip() for line in end.splitlines() if line.strip()][-LOG_LINES:]
            text += f"; its log ends: {' / '.join(lines)[-WIDTH:]}" if lines else ""
        problems.append(text)
    return problems or [NOT_READY]


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition.get("status") == "True" for condition in conditions)


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _terminated(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the container ended, the last time that it did."""
    parts = (container.get("lastState") or {}, container.get("state") or {})
    return next((part["terminated"] for part in parts if part.get("terminated")), {})


def _owner(pod: Mapping[str, Any]) -> str:
    owners = pod["metadata"].get("ownerReferences") or [pod["metadata"]]
    return str(owners[0].get("name"))


def _time(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    time = (
        event.get("lastTimestamp")
        or series.get("lastObservedTime")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return str(time or "")[:19]
