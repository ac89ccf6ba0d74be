# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.helm import pulls

WEB = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}
SINCE, STARTED = "2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = "docker.io/grafana/tempo:9"
DIGEST = "sha256:" + "0a" * 32
# As containerd 1.6, 1.7 and 2, CRI-O and cri-dockerd say it, with what the kubelet puts before it.
TRIED = 'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/grafana/tempo:9": '
RESOLVE = f'{TRIED}failed to resolve reference "docker.io/grafana/tempo:9": '
BACK_OFF = f'Back-off pulling image "{IMAGE}"'


def pod(reason: str, message: str = "", name: str = "web-1", image: str = IMAGE, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:01Z", **metadata},
        "spec": {"containers": [{"name": "c", "image": image}]},
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": reason, "message": message}}}],
        },
    }


def found(*pods: dict[str, Any], events: list[dict[str, Any]] | None = None) -> list[pulls.Failure]:
    return pulls.failures([WEB], pods, events or [], SINCE)


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        (f"{RESOLVE}docker.io/grafana/tempo:9: not found", pulls.MISSING, "docker.io/grafana/tempo:9: not found"),
        (f"{BACK_OFF}: ErrImagePull: {RESOLVE}{IMAGE}: not found", pulls.MISSING, f"{IMAGE}: not found"),
        (
            f"{TRIED}failed to copy: failed open: content at http://h/v2/x/{DIGEST} not found: not found",
            pulls.MISSING,
            "failed to copy",
        ),
        (
            "rpc error: code = Unknown desc = reading manifest 9 in docker.io/x/y: manifest unknown",
            pulls.MISSING,
            "reading",
        ),
        (
            f"{RESOLVE}unexpected status from HEAD request to http://h/v2/x/manifests/9: 401 Unauthorized",
            pulls.CREDENTIALS,
            "unexpected status",
        ),
        (
            f"{RESOLVE}pulling from host h:5000 failed with status code [manifests 9]: 401 Unauthorized",
            pulls.CREDENTIALS,
            "pulling from host h:5000",
        ),
        (
            f"{RESOLVE}pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
            pulls.CREDENTIALS,
            "pull access denied",
        ),
        ("Error response from daemon: Head: no basic auth credentials", pulls.CREDENTIALS, "Error response"),
        (
            f"{RESOLVE}unexpected status from HEAD request to https://h/v2/: 403 Forbidden",
            pulls.CREDENTIALS,
            "unexpected",
        ),
        (f"{TRIED}no match for platform in manifest: not found", pulls.ARCHITECTURE, "no match for platform"),
        (
            f"{TRIED}failed commit on ref x: unexpected commit digest {DIGEST}, expected y",
            pulls.DIGEST,
            "failed commit",
        ),
        (
            f"{RESOLVE}failed to do request: Head x: tls: failed to verify: x509: certificate signed by unknown "
            "authority",
            pulls.CERTIFICATE,
            "failed to do request",
        ),
        (
            f"{RESOLVE}failed to do request: http: server gave HTTP response to HTTPS client",
            pulls.CERTIFICATE,
            "failed",
        ),
    ],
)
def test_what_will_not_heal(message: str, kind: str, words: str) -> None:
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        (one,) = found(pod(reason, message))
        assert (one.kind, one.image, one.pods) == (kind, IMAGE, ("web-1",))
        assert one.words.startswith(words)


@pytest.mark.parametrize(
    "answer",
    [
        "failed to do request: Head x: dial tcp: lookup registry.invalid on 10.0.0.2:53: no such host",
        "failed to do request: Head x: dial tcp 10.0.0.1:443: i/o timeout",
        "failed to do request: Head x: dial tcp 10.0.0.1:443: connect: connection refused",
        "failed to do request: Head x: net/http: TLS handshake timeout",
        "failed to do request: Head x: EOF",
        "unexpected status from HEAD request to http://h/v2/x: 503 Service Unavailable",
        "unexpected status code x: 429 Too Many Requests - Server message: toomanyrequests: rate limit, unauthorized",
        "context deadline exceeded",
        "something that nobody has seen before",
    ],
)
def test_what_may_heal(answer: str) -> None:
    assert found(pod("ErrImagePull", RESOLVE + answer)) == []


def test_names_and_policies_need_no_registry() -> None:
    (one,) = found(pod("InvalidImageName", "couldn't parse image name: invalid reference format"))
    assert one.kind == pulls.NAME
    (one,) = found(pod("ErrImageNeverPull", ""))
    assert one.kind == pulls.NEVER


def test_before_kubernetes_1_32_an_event_has_the_cause() -> None:
    failed = {"message": f'Failed to pull image "{IMAGE}": {RESOLVE}{IMAGE}: not found'}
    events = [
        {"involvedObject": {"name": "web-1"}, **failed},
        {"involvedObject": {"name": "web-1"}, "message": "Error: ImagePullBackOff"},
        {"message": "of nothing"},
    ]
    (one,) = found(pod("ImagePullBackOff", BACK_OFF), events=events)
    assert (one.kind, one.words) == (pulls.MISSING, f"{IMAGE}: not found")
    assert found(pod("ImagePullBackOff", BACK_OFF)) == []


def test_only_pods_of_this_run_count() -> None:
    message = f"{RESOLVE}{IMAGE}: not found"
    assert found(pod("ErrImagePull", message, creationTimestamp="2025-12-31T23:59:59Z")) == []
    assert found(pod("ErrImagePull", message, deletionTimestamp=SINCE)) == []
    assert found(pod("ErrImagePull", message, labels={"app": "other"})) == []
    assert found(pod("ContainerCreating", message)) == []
    assert len(found(pod("ErrImagePull", message, creationTimestamp=SINCE))) == 1


def test_pods_with_one_image_are_one_failure() -> None:
    message = f"{RESOLVE}{IMAGE}: not found"
    other = pod("ErrImagePull", message, "web-3", "docker.io/other:1")
    one, two = found(pod("ErrImagePull", message), pod("ImagePullBackOff", message, "web-2"), other)
    assert (one.pods, two.pods, two.image) == (("web-1", "web-2"), ("web-3",), "docker.io/other:1")


# What is told


def told(
    kind: str, image: str = IMAGE, secrets: tuple[str, ...] = (), missing: tuple[str, ...] = (), **more: Any
) -> str:
    one = pulls.Failure(image, "c", kind, "its words", ("web-1", "web-2"), secrets)
    return str(
        pulls.error_of([one], missing, "tracing", more.get("variables", {"c": "tempo"}), more.get("serving", ""))
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (told(pulls.MISSING), "Change tempo_image_tag to one that the registry has"),
        (told(pulls.MISSING, f"{IMAGE}@{DIGEST}"), "Correct tempo_image_digest"),
        (told(pulls.DIGEST, f"{IMAGE}@{DIGEST}"), "Correct tempo_image_digest"),
        (told(pulls.CREDENTIALS), "Name a Secret with credentials in tracing_image_pull_secrets"),
        (told(pulls.CREDENTIALS), "--docker-server=docker.io"),
        (
            told(pulls.CREDENTIALS, secrets=("r",)),
            "Secret r in namespace tracing holds no credentials that docker.io takes",
        ),
        (
            told(pulls.CREDENTIALS, secrets=("r", "s"), missing=("s",)),
            "There is no Secret s in namespace tracing: create",
        ),
        (told(pulls.CERTIFICATE), "Make the nodes trust it"),
        (told(pulls.ARCHITECTURE), "for several architectures"),
        (told(pulls.NEVER), "Load the image into the nodes"),
        (told(pulls.NAME), "Correct tempo_image_repository, tempo_image_tag or tempo_image_digest"),
    ],
)
def test_the_message_names_image_answer_and_variable(error: str, words: str) -> None:
    assert error.startswith(f"image {IMAGE}")
    assert "its words (Pod web-1 and 1 more, container c)" in error
    assert words in error
    assert "\n" not in error


def test_charts_of_others_have_no_variables() -> None:
    error = told(pulls.MISSING, variables={}, serving="release tracing/web is not installed now")
    assert "tracing_image" not in error
    assert "Change the image's tag" in error
    assert error.splitlines()[1].startswith("release tracing/web is not installed now.")


def test_two_images_are_two_lines() -> None:
    one = pulls.Failure("a:1", "c", pulls.MISSING, "a: not found", ("web-1",))
    two = pulls.Failure("b:1", "d", pulls.MISSING, "b: not found", ("web-2",))
    error = pulls.error_of([one, two], [], "ns", {"c": "x", "d": "y"}, "")
    assert "image b:1, since the registry does not have it: b: not found (Pod web-2, container d)" in str(error)
    assert "x_image_tag" in error.remedy
    assert "y_image_tag" in error.remedy
    assert len(error.details["not_ready"]) == 2


def test_the_annotation_of_a_chart() -> None:
    metadata = {"annotations": {pulls.VARIABLES: "a=role_a, b=role_b,"}}
    assert pulls.variables_of(metadata) == {"a": "role_a", "b": "role_b"}
    assert pulls.variables_of({}) == pulls.variables_of({"annotations": None}) == {}


# Looking


class Server:
    def __init__(self, *pods: dict[str, Any], error: Exception | None = None) -> None:
        self.pods, self.error = pods, error
        self.asked: list[tuple[str, str]] = []

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        self.asked.append((path.rpartition("/")[2], field_selector))
        if self.error:
            raise self.error
        return list(self.pods) if path.endswith("pods") else []

    def get(self, path: str) -> dict[str, Any] | None:
        if path.endswith("secrets/hidden"):
            raise PermissionDenied("no")
        return {} if path.endswith("secrets/there") else None


def watch(server: Server, *objects: dict[str, Any]) -> pulls.Watch:
    return pulls.Watch(server, "ns", objects or (WEB, {"kind": "Service"}), STARTED)


def test_one_request_while_nothing_waits_for_an_image() -> None:
    server = Server(pod("ContainerCreating"))
    assert not watch(server)()
    assert server.asked == [("pods", "status.phase=Pending")]


def test_two_requests_where_something_does_and_none_afterwards() -> None:
    server = Server(pod("ErrImagePull", f"{RESOLVE}{IMAGE}: not found"))
    look = watch(server)
    assert look()
    assert look()
    assert server.asked == [("pods", "status.phase=Pending"), ("events", "type=Warning")]
    assert look.found[0].kind == pulls.MISSING


def test_no_request_without_workloads() -> None:
    server = Server()
    assert not watch(server, {"kind": "ConfigMap"})()
    assert server.asked == []


def test_without_the_right_to_look_it_looks_once() -> None:
    server = Server(error=PermissionDenied("no"))
    look = watch(server)
    assert [look(), look()] == [False, False]
    assert len(server.asked) == 1


def test_a_server_that_is_away_is_asked_again() -> None:
    server = Server(error=Unreachable("away"))
    look = watch(server)
    assert [look(), look()] == [False, False]
    assert len(server.asked) == 2


def test_secrets_that_are_not_there() -> None:
    look = watch(Server())
    look.found = [pulls.Failure(IMAGE, "c", pulls.CREDENTIALS, "", ("p",), ("there", "missing", "hidden"))]
    assert look.missing_secrets() == ["missing"]
