# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.helm.diagnose import (
    LINES,
    LOGS,
    WIDTH,
    diagnose,
    ended,
    findings,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response

WEB = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}
JOB = {"kind": "Job", "metadata": {"name": "migrate"}, "spec": {}}
SINCE = "2026-01-01T00:00:00+00:00"


def pod(name: str, labels: dict | None = None, conditions: list | None = None, **status: object) -> dict:
    labels = {"app": "web", "hash": "1"} if labels is None else labels
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions or [], **status}}


def container(state: dict, **more: object) -> dict:
    return {"name": "c", "ready": False, "state": state, **more}


def event(kind: str, name: str, reason: str, message: str, time: str = "2026-01-01T00:00:05Z", **more: object) -> dict:
    about = {"kind": kind, "name": name}
    return {
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
        "metadata": {},
        **more,
    }


def test_pods_that_cannot_pull_their_image_are_one_line() -> None:
    waiting = container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}})
    pods = [pod("web-1-a", containerStatuses=[waiting]), pod("web-1-b", containerStatuses=[waiting])]
    pods.append(pod("other", {"app": "other"}, containerStatuses=[waiting]))
    events = [event("Pod", "web-1-a", "Failed", "the same again")]
    assert findings([WEB], pods, events, SINCE) == [
        "Pod web-1-a and 1 more: container c: ImagePullBackOff: Back-off pulling image x"
    ]


def test_ready_and_finished_pods_say_nothing() -> None:
    ready = pod("web-1-a", conditions=[{"type": "Ready", "status": "True"}])
    assert findings([WEB], [ready, pod("web-1-b", phase="Succeeded")], [], SINCE) == []


def test_unschedulable_pods() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert findings([WEB], [pod("web-1", conditions=[scheduled])], [], SINCE) == ["Pod web-1: Unschedulable: 0/1 nodes"]


def test_crashing_containers_show_their_exit_code() -> None:
    crashed = container(
        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
    )
    ended = container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    lines = findings([WEB], [pod("web-1", containerStatuses=[crashed, ended])], [], SINCE)
    assert "CrashLoopBackOff: back-off (last exit code 1, Error)" in lines[0]
    assert "(last exit code 137, OOMKilled)" in lines[1]


def test_a_pod_that_runs_but_is_not_ready_is_explained_by_its_events() -> None:
    running = pod("web-1", containerStatuses=[container({"running": {}})])
    events = [event("Pod", "web-1", "Unhealthy", "Readiness probe failed: 503")]
    lines = findings([WEB], [running], events, SINCE)
    assert lines == ["Pod web-1: running, but not ready", "Pod web-1: Unhealthy: Readiness probe failed: 503"]


def test_containers_that_wait_for_others_are_not_named() -> None:
    done = container({"terminated": {"exitCode": 0, "reason": "Completed"}})
    waits = container({"waiting": {"reason": "PodInitializing"}})
    assert findings([WEB], [pod("web-1", initContainerStatuses=[done], containerStatuses=[waits])], [], SINCE) == [
        "Pod web-1: not ready"
    ]


def test_the_pods_of_a_job() -> None:
    assert findings([JOB], [pod("migrate-x", {"job-name": "migrate"})], [], SINCE) == ["Pod migrate-x: not ready"]


def test_refused_pods_are_told_by_the_newest_event_of_a_kind() -> None:
    events = [
        event("ReplicaSet", "web-1", "FailedCreate", "Error creating: web-1-a", "2026-01-01T00:00:01Z"),
        event("ReplicaSet", "web-2", "FailedCreate", "(combined from similar events): Error creating: web-2-b"),
        event("ReplicaSet", "web-2", "FailedCreate", "too old", "2025-12-31T23:59:59Z"),
        event("ReplicaSet", "webster", "FailedCreate", "of another workload"),
        event("Deployment", "web", "Other", "x", "", series={"lastObservedTime": "2026-01-01T00:00:09.5Z"}),
        event("Deployment", "web", "Later", "y", "", eventTime="2026-01-01T00:00:08Z"),
        event("Deployment", "web", "Last", "z", "", metadata={"creationTimestamp": "2026-01-01T00:00:07Z"}),
    ]
    assert findings([WEB], [], events, SINCE) == [
        "Deployment web: Other: x",
        "Deployment web: Later: y",
        "Deployment web: Last: z",
        "ReplicaSet web-2: FailedCreate: Error creating: …-b",
    ]


def test_the_report_is_bounded() -> None:
    events = [event("Deployment", "web", f"Reason{n}", "long " * 200) for n in range(30)]
    lines = findings([WEB], [], events, SINCE)
    assert len(lines) == LINES
    assert all(len(line) < WIDTH + 30 for line in lines)


class Server:
    def __init__(self, refuse: bool = False, pods: list[dict] | None = None, logs: Response | None = None) -> None:
        self.paths: list[str] = []
        self.refuse, self.pods, self.logs = refuse, pods or [pod("web-1")], logs
        self.queries: list[dict] = []

    def send(self, method: str, path: str, query: dict, headers: dict) -> Response:
        self.paths.append(path)
        self.queries.append(query)
        return self.logs

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> list[dict]:
        self.paths.append(path)
        if self.refuse:
            raise PermissionDenied("no")
        return self.pods if path.endswith("pods") else []


def test_two_requests_or_none() -> None:
    server = Server()
    assert diagnose(server, "ns", [WEB, {"kind": "Service"}], SINCE) == ["Pod web-1: not ready"]
    assert server.paths == ["/api/v1/namespaces/ns/pods", "/api/v1/namespaces/ns/events"]
    assert diagnose(server, "ns", [{"kind": "Service"}], SINCE) == []
    assert len(server.paths) == 2
    assert diagnose(Server(refuse=True), "ns", [WEB], SINCE) == []


def test_a_pod_of_its_own() -> None:
    alone = {"kind": "Pod", "metadata": {"name": "web-test"}}
    ended = container({"terminated": {"exitCode": 3, "reason": "Error"}})
    pods = [pod("web-test", {}, phase="Failed", containerStatuses=[ended]), pod("web-1", {})]
    assert findings([alone], pods, [], SINCE) == ["Pod web-test: container c: (last exit code 3, Error)"]


def test_the_event_that_says_most_is_shown() -> None:
    events = [
        event("Pod", "web-1-a", "Failed", 'Failed to pull image "x:1": not found', "2026-01-01T00:00:05Z"),
        event("Pod", "web-1-a", "Failed", "Error: ErrImagePull", "2026-01-01T00:00:09Z"),
    ]
    assert findings([WEB], [], events, SINCE) == ['Pod web-1-a: Failed: Failed to pull image "x:1": not found']


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}


def crashing(name: str, owner: str = "web-5d", state: dict | None = None, **last: object) -> dict:
    terminated = {"exitCode": 1, "reason": "Error", **last}
    made = pod(name, containerStatuses=[container(state or BACK_OFF, lastState={"terminated": terminated})])
    made["metadata"]["ownerReferences"] = [{"name": owner}]
    return made


def test_the_end_of_the_log_of_a_container_that_ends_is_shown() -> None:
    log = (
        "level=info msg=starting\nfailed parsing config: yaml: unmarshal errors:\n  line 4: field retentoin not found\n"
    )
    server = Server(pods=[crashing("web-1-a"), crashing("web-1-b")], logs=Response(200, {}, log.encode()))
    assert diagnose(server, "ns", [WEB], SINCE) == [
        "Pod web-1-a and 1 more: container c: CrashLoopBackOff: back-off (last exit code 1, Error); its log ends: "
        "level=info msg=starting / failed parsing config: yaml: unmarshal errors: / line 4: field retentoin not found"
    ]
    assert server.paths[2:] == ["/api/v1/namespaces/ns/pods/web-1-a/log"]
    assert server.queries == [{"container": "c", "previous": "true", "tailLines": 3}]


def test_without_the_right_to_read_logs_the_rest_is_shown() -> None:
    server = Server(pods=[crashing("web-1-a")], logs=Response(403, {}, b"{}"))
    lines = diagnose(server, "ns", [WEB], SINCE)
    assert lines == ["Pod web-1-a: container c: CrashLoopBackOff: back-off (last exit code 1, Error)"]


def test_a_termination_message_needs_no_log() -> None:
    server = Server(pods=[crashing("web-1-a", message="no such bucket\n")])
    assert diagnose(server, "ns", [WEB], SINCE)[0].endswith("; its log ends: no such bucket")
    assert len(server.paths) == 2


def test_which_logs_are_read() -> None:
    over = pod("web-2", containerStatuses=[container({"terminated": {"exitCode": 2, "reason": "Error"}})])
    ready = pod(
        "web-3", conditions=[{"type": "Ready", "status": "True"}], containerStatuses=over["status"]["containerStatuses"]
    )
    done = pod("web-4", initContainerStatuses=[container({"terminated": {"exitCode": 0, "reason": "Completed"}})])
    strange = pod("x", {"app": "x"}, containerStatuses=over["status"]["containerStatuses"])
    found = ended([WEB], [crashing("web-1"), over, ready, done, strange])
    assert [(one.pod, one.previous) for one in found] == [("web-1", True), ("web-2", False)]
    server = Server(pods=[crashing(f"web-{n}", f"o{n}") for n in range(9)], logs=Response(200, {}, b"end" * 999))
    lines = diagnose(server, "ns", [WEB], SINCE)
    assert len(server.queries) == LOGS
    assert all(len(line) < 2 * WIDTH for line in lines)
