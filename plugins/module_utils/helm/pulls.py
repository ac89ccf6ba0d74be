# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Images that cannot be pulled, noticed while helm waits: helm itself notices nothing until its time is up.

Only what will not heal by itself counts: a name, tag or digest that the registry does not have, credentials that it
does not take, a certificate that the node does not trust. The words are those of containerd, CRI-O and cri-dockerd, as
the kubelet passes them on (pkg/kubelet/images/image_manager.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PermissionDenied,
    ToolError,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.diagnose import WIDTH, WORKLOADS, selected
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

# In Chart.yaml: container=PREFIX, separated by commas, where PREFIX_image_tag etc. are the variables of its image.
VARIABLES = "orion.tracing/image-variables"

NAME, NEVER, ARCHITECTURE, CERTIFICATE, CREDENTIALS, DIGEST, MISSING = (
    "its name is wrong",
    "it is not on the node, and the pull policy is Never",
    "it does not exist for the architecture of the node",
    "the node does not trust the registry's certificate",
    "the registry rejects the credentials",
    "the content that the registry sent does not match the digest",
    "the registry does not have it",
)
REASONS = {"InvalidImageName": NAME, "ErrImageNeverPull": NEVER, "ErrImagePull": "", "ImagePullBackOff": ""}
TEMPORARY = re.compile(
    r"(?i)no such host|timeout|timed out|deadline exceeded|connection re(fused|set)|\beof\b|no route to host"
    r"|network is unreachable|toomanyrequests|429 too many|\b50\d (internal|bad|service|gateway)|server misbehaving"
)
FINAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    (NAME, re.compile(r"invalid reference format")),
    (CERTIFICATE, re.compile(r"x509: |server gave HTTP response to HTTPS client")),
    (ARCHITECTURE, re.compile(r"no match for platform|no matching manifest|no image found in .*for architecture")),
    (DIGEST, re.compile(r"unexpected (commit )?digest|digest mismatch|does not match digest")),
    (
        CREDENTIALS,
        re.compile(
            r"(?i)\bunauthorized\b|403 forbidden|authentication required|pull access denied|insufficient_scope"
            r"|no basic auth credentials|authorization failed|access to the resource is denied"
        ),
    ),
    (MISSING, re.compile(r"(?i)not found|manifest unknown|name unknown|repository name not known")),
)
# What the layers above the registry put before its answer.
WRAPPING = re.compile(
    r'Back-off pulling image "[^"]*"(: )?|ErrImagePull: |rpc error: code = \w+ desc = |Failed to pull image "[^"]*": '
    r'|failed to pull and unpack image "[^"]*": |failed to resolve (reference|image) "[^"]*": |initializing source \S+ '
)


@dataclass(frozen=True)
class Failure:
    """An image that will not be pulled: why (one of the above), and the other side's words.

    pods: names of those that wait for it. secrets: names of the Secrets that they give to the registry.
    """

    image: str
    container: str
    kind: str
    words: str
    pods: tuple[str, ...]
    secrets: tuple[str, ...] = ()


def failures(
    workloads: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    since: str,
) -> list[Failure]:
    """One for each image that the workloads' pods will not get. Pods from before since (RFC 3339, UTC) do not count:
    what they say may be about a cause that is gone, as they wait up to five minutes between two attempts."""
    said = {
        str((event.get("involvedObject") or {}).get("name")): str(event.get("message"))
        for event in events
        if "pull image" in str(event.get("message"))
    }
    found: dict[tuple[str, str, str], Failure] = {}
    for pod, container, reason, message in waiting(workloads, pods, since):
        name = pod["metadata"]["name"]
        # Kubernetes before 1.32 shows the cause only briefly, and in an event.
        words = WRAPPING.sub("", message).strip(" :") or WRAPPING.sub("", said.get(name, "")).strip(" :")
        kind = REASONS[reason] or final(words)
        if not kind:
            continue
        image = _image(pod, container)
        known = found.get((image, container, kind))
        secrets = tuple(one["name"] for one in pod["spec"].get("imagePullSecrets") or [] if one.get("name"))
        found[image, container, kind] = Failure(
            image, container, kind, words[:WIDTH], (*(known.pods if known else ()), name), secrets
        )
    return list(found.values())


def waiting(
    workloads: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]], since: str
) -> list[tuple[Mapping[str, Any], str, str, str]]:
    """Pod, container, reason and message of all that wait for an image."""
    workloads = list(workloads)
    found = []
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        if str(metadata.get("creationTimestamp", "")) < since or metadata.get("deletionTimestamp"):
            continue
        if not selected(pod, workloads):
            continue
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            state = (container.get("state") or {}).get("waiting") or {}
            if state.get("reason") in REASONS:
                found.append((pod, container["name"], state["reason"], str(state.get("message") or "")))
    return found


def final(words: str) -> str:
    """Why it will not heal by itself; "" where it may."""
    if TEMPORARY.search(words):
        return ""
    return next((kind for kind, pattern in FINAL if pattern.search(words)), "")


class Watch:
    """Called now and then while helm waits: whether to stop it, since an image will never be pulled.

    At most two requests each time, the second only where pods wait for an image. found: the failures.
    """

    def __init__(self, kube: Kube, namespace: str, objects: Iterable[Mapping[str, Any]], started: datetime) -> None:
        self._kube, self._path = kube, f"/api/v1/namespaces/{quote(namespace)}"
        self._workloads = [document for document in objects if document.get("kind") in WORKLOADS]
        self._since = rfc3339(started)
        self.found: list[Failure] = []

    def __call__(self) -> bool:
        if not self._workloads or self.found:
            return bool(self.found)
        try:
            pods = self._kube.list(f"{self._path}/pods", field_selector="status.phase=Pending")
            if waiting(self._workloads, pods, self._since):
                events = self._kube.list(f"{self._path}/events", field_selector="type=Warning")
                self.found = failures(self._workloads, pods, events, self._since)
        except PermissionDenied:
            self._workloads = []
        except TracingError:
            pass  # helm gets the same error
        return bool(self.found)

    def missing_secrets(self) -> list[str]:
        """Of the Secrets for the registry, those that do not exist. What cannot be read counts as there."""
        names = dict.fromkeys(name for failure in self.found for name in failure.secrets)
        return [name for name in names if not self._exists(name)]

    def _exists(self, name: str) -> bool:
        try:
            return self._kube.get(f"{self._path}/secrets/{quote(name)}") is not None
        except TracingError:
            return True


def variables_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Container → prefix of the variables of its image, of a chart's Chart.yaml."""
    text = str((metadata.get("annotations") or {}).get(VARIABLES, ""))
    return dict(pair.strip().split("=", 1) for pair in text.split(",") if "=" in pair)


def error_of(
    found: Iterable[Failure], missing: Iterable[str], namespace: str, variables: Mapping[str, str], serving: str
) -> ToolError:
    """What to tell: image, the registry's answer, and the variable to change. missing: Secrets that do not exist."""
    found = list(found)
    what, lines, remedies = "", [], []
    for one in found:
        pods = f"Pod {one.pods[0]}{f' and {len(one.pods) - 1} more' if len(one.pods) > 1 else ''}"
        what = what or f"image {one.image} cannot be pulled, since {one.kind}"
        lines.append(f"{one.words or one.kind} ({pods}, container {one.container})")
        if one is not found[0]:
            lines[-1] = f"image {one.image}, since {one.kind}: {lines[-1]}"
        remedies.append(_remedy(one, [name for name in missing if name in one.secrets], namespace, variables))
    why = "\n".join([*lines, serving] if serving else lines)
    return ToolError(what, why, " ".join(dict.fromkeys(remedies)), not_ready=lines)


def _remedy(one: Failure, missing: list[str], namespace: str, variables: Mapping[str, str]) -> str:
    prefix = variables.get(one.container)
    repository, tag, digest = (
        f"{prefix}_image_{part}" if prefix else f"the image's {part}" for part in ("repository", "tag", "digest")
    )
    mirror = f", or {images.REGISTRY}" if prefix else ""
    shared = images.PULL_SECRETS if prefix else "imagePullSecrets"
    if one.kind == CREDENTIALS:
        server = images.split(one.image.partition("@")[0])[0]
        create = f"kubectl -n {namespace} create secret docker-registry NAME --docker-server={server} …"
        if missing:
            return (
                f"There is no Secret {' or '.join(missing)} in namespace {namespace}: create it "
                f"({create.replace('NAME', missing[0])}), or name another one in {shared}."
            )
        if one.secrets:
            return (
                f"Secret {', '.join(one.secrets)} in namespace {namespace} holds no credentials that {server} takes "
                f"for it: correct the Secret, or name another one in {shared}. Registries answer the same where the "
                f"repository does not exist: check {repository}{mirror}."
            )
        return (
            f"Name a Secret with credentials in {shared} ({create}). Registries answer the same where the repository "
            f"does not exist: check {repository}{mirror}."
        )
    if one.kind == CERTIFICATE:
        return f"Make the nodes trust it (containerd: hosts.toml), or correct {repository}{mirror}."
    if one.kind == ARCHITECTURE:
        return f"Change {tag} or {digest} to an image for several architectures."
    if one.kind == NEVER:
        return f"Load the image into the nodes, or correct {tag}."
    if one.kind == NAME:
        return f"Correct {repository}, {tag} or {digest}{mirror}."
    if "@" in one.image:
        return (
            f"Correct {digest} (the tag counts for nothing beside it), or {repository}{mirror}; "
            "an image that was loaded into the nodes from an archive is not found by a digest."
        )
    return f"Change {tag} to one that the registry has, or correct {repository}{mirror}."


def _image(pod: Mapping[str, Any], container: str) -> str:
    """As the pod's spec names it: the status has the name that the node resolved."""
    specs = [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]
    return next((str(spec.get("image")) for spec in specs if spec["name"] == container), "")
