# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images of one layer, made here and pushed into a registry through its HTTP API, and read back.

Sources: https://github.com/opencontainers/image-spec and https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import platform
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """The bytes of the manifest, and of what it refers to."""

    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def make_image(files: Mapping[str, bytes], config: Mapping[str, Any], architecture: str = "") -> Image:
    """files: path → content, all of them executable. config: Entrypoint, Cmd, User and so on."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    layer = buffer.getvalue()
    architecture = architecture or MACHINES[platform.machine()]
    image = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
    }
    configuration = json.dumps(image).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, configuration),
        "layers": [_descriptor(LAYER, layer)],
    }
    return Image(json.dumps(manifest).encode(), configuration, layer)


def push(host: str, repository: str, tag: str, image: Image, login: tuple[str, str] | None = None) -> None:
    """Into a registry that speaks HTTP. login: user and password."""
    base = f"http://{host}/v2/{repository}"
    for blob in (image.config, image.layer):
        started = _ask("POST", f"{base}/blobs/uploads/", login)
        location = urllib.parse.urljoin(base, started.headers["Location"])
        separator = "&" if urllib.parse.urlsplit(location).query else "?"
        _ask("PUT", f"{location}{separator}digest={digest_of(blob)}", login, blob, "application/octet-stream")
    _ask("PUT", f"{base}/manifests/{tag}", login, image.manifest, MANIFEST)


def pull(host: str, repository: str, reference: str, login: tuple[str, str] | None = None) -> Image:
    """As a container runtime does it. urllib.error.HTTPError where the registry refuses."""
    base = f"http://{host}/v2/{repository}"
    manifest = _ask("GET", f"{base}/manifests/{reference}", login, accept=MANIFEST).read()
    document = json.loads(manifest)
    blobs = [document["config"], *document["layers"]]
    config, layer = (_ask("GET", f"{base}/blobs/{blob['digest']}", login).read() for blob in blobs)
    return Image(manifest, config, layer)


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def _ask(
    method: str, url: str, login: tuple[str, str] | None, body: bytes | None = None, kind: str = "", accept: str = "*/*"
) -> Any:
    headers = {"Accept": accept, **({"Content-Type": kind} if kind else {})}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    # The registry is on this machine: a proxy of the environment has no part in it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, body, headers, method=method), timeout=60)
