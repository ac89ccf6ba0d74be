"""Image archives as other programs write them, made from a few files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF = "docker.io/grafana/tempo:2.10.8"


def tar(*entries: tuple[str, bytes | str], folder: str = "") -> bytes:
    """A tar of files (bytes), symbolic links ("-> target"), hard links ("=> target") and folders ("/")."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, content in entries:
            info = tarfile.TarInfo(folder + name)
            if isinstance(content, bytes):
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
                continue
            info.type = {"-": tarfile.SYMTYPE, "=": tarfile.LNKTYPE, "/": tarfile.DIRTYPE}[content[0]]
            info.linkname = content[3:]
            out.addfile(info)
    return buffer.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config(layers: list[bytes], architecture: str = "amd64") -> bytes:
    """An image config; layers as they are before compression."""
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": ["/tempo"], "User": "10001:10001"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(layer)}" for layer in layers]},
    }
    return json.dumps(document).encode()


class Layout:
    """An OCI layout, filled bit by bit."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def blob(self, data: bytes, **more) -> dict:
        self.blobs[f"blobs/sha256/{sha(data)}"] = data
        return {"digest": f"sha256:{sha(data)}", "size": len(data), **more}

    def image(self, layers: list[bytes], architecture: str = "amd64", compressed: bool = True) -> dict:
        """Descriptor of a manifest."""
        stored = [gzip.compress(layer, mtime=0) if compressed else layer for layer in layers]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(config(layers, architecture), mediaType="application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(layer, mediaType=LAYER + "+gzip" * compressed) for layer in stored],
        }
        return self.blob(json.dumps(manifest).encode(), mediaType=MANIFEST)

    def index(self, *descriptors: dict) -> dict:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)}
        return self.blob(json.dumps(document).encode(), mediaType=INDEX)

    def members(self, *descriptors: dict) -> list[tuple[str, bytes | str]]:
        index = json.dumps({"schemaVersion": 2, "manifests": list(descriptors)}).encode()
        return [("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'), ("index.json", index), *self.blobs.items()]


def platform(descriptor: dict, architecture: str, os: str = "linux") -> dict:
    return {**descriptor, "platform": {"os": os, "architecture": architecture}}


def named(descriptor: dict, name: str, key: str = "org.opencontainers.image.ref.name") -> dict:
    return {**descriptor, "annotations": {key: name}}


def docker(layers: list[bytes], refs: list[str] | None, architecture: str = "amd64") -> bytes:
    """As `docker save` up to version 24 and `skopeo copy … docker-archive:` write it."""
    body = config(layers, architecture)
    entry = {"Config": f"{sha(body)}.json", "RepoTags": refs, "Layers": [f"{sha(layer)}/layer.tar" for layer in layers]}
    return tar(
        (f"{sha(body)}.json", body),
        *[(f"{sha(layer)}/layer.tar", layer) for layer in dict.fromkeys(layers)],
        ("manifest.json", json.dumps([entry]).encode()),
    )


def docker_25(layers: list[bytes], ref: str) -> bytes:
    """As `docker save` writes it since version 25: both formats over the same blobs."""
    layout = Layout()
    image = layout.image(layers, compressed=False)
    body = config(layers)
    entry = {
        "Config": f"blobs/sha256/{sha(body)}",
        "RepoTags": [ref.removeprefix("docker.io/")],
        "Layers": [f"blobs/sha256/{sha(layer)}" for layer in layers],
    }
    annotations = {"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref.rpartition(":")[2]}
    return tar(*layout.members({**image, "annotations": annotations}), ("manifest.json", json.dumps([entry]).encode()))


def oci(layers: list[bytes], name: str, key: str = "org.opencontainers.image.ref.name", folder: str = "") -> bytes:
    """As `skopeo copy … oci-archive:FILE:NAME` writes it."""
    layout = Layout()
    return tar(*layout.members(named(layout.image(layers), name, key)), folder=folder)


def oci_platforms(layers: list[bytes], name: str) -> bytes:
    """An index of several platforms of which one was saved, and an attestation, as the containerd store saves it."""
    layout, away = Layout(), Layout()
    index = layout.index(
        platform(away.image(layers, "arm64"), "arm64"),
        platform(layout.image(layers), "amd64"),
        platform(away.index(), "unknown", "unknown"),
    )
    return tar(*layout.members(named(index, name, "io.containerd.image.name")))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
