"""Reads image archives that others wrote, and copies an image out of one into an archive in docker's format.

Read are `docker save` and `skopeo copy … docker-archive:` (manifest.json) and an OCI layout in a tar (index.json, with
nested indexes), plain or compressed with gzip, bzip2 or xz. Archives are copied rather than loaded as they are because
kind imports with --all-platforms, which fails where an index names platforms whose content was not saved, and because
containerd does not complete the names in an OCI layout. The copy has one image, under the name that pods ask for, and
every layer in it was compared with its digest.

Sources: https://github.com/moby/docker-image-spec/blob/main/v1.2.md (manifest.json),
https://github.com/opencontainers/image-spec/blob/main/image-layout.md (index.json, names),
https://github.com/opencontainers/image-spec/blob/main/layer.md (whiteouts)
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import lzma
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from . import archive
from .errors import AirgapError

# containerd's annotation has the whole name; OCI's has the whole name or the tag alone
NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError)
# Indexes, manifests and configs are some kilobytes; a layer that happens to begin like one is not kept in memory.
LARGEST_DOCUMENT = 4 * 2**20
MOST_LINKS = 40  # as many as Linux follows in one path


@dataclass(frozen=True)
class ArchivedImage:
    """One image of an archive, for the architecture that was asked for.

    refs: full names with tag, e.g. docker.io/grafana/tempo:2.10.8. config: the image config as it is stored.
    layers: names of the archive's members, from the lowest to the topmost.
    """

    path: Path
    refs: tuple[str, ...]
    config: bytes
    layers: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The image's id: hexadecimal SHA-256 of its config."""
        return hashlib.sha256(self.config).hexdigest()

    @property
    def architecture(self) -> str:
        return str(self._config["architecture"])

    @property
    def entrypoint(self) -> list[str]:
        return list(self._settings.get("Entrypoint") or [])

    @property
    def user(self) -> str:
        """The user that the image runs as, as it says: a name or number, with or without group; "" is root."""
        return str(self._settings.get("User") or "")

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the uncompressed layers, in the order of `layers`."""
        return [str(diff) for diff in self._config["rootfs"]["diff_ids"]]

    @property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.config)
        return config

    @property
    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self._config.get("config") or {}
        return settings


def normalized(name: str) -> str | None:
    """A name as containerd and pods write it: 'grafana/tempo' → 'docker.io/grafana/tempo:latest'. None where the name
    has a digest and no tag.

    Source: https://github.com/distribution/reference/blob/main/normalize.go
    """
    name, _at, digest = name.partition("@")
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost"):
        first, rest = "docker.io", name
    if first == "index.docker.io":
        first = "docker.io"
    if first == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    if ":" not in rest:
        if digest:
            return None
        rest += ":latest"
    return f"{first}/{rest}"


def read(path: Path, architecture: str) -> list[ArchivedImage]:
    """The named images of an archive, for Linux on `architecture` (Go's word: amd64, arm64).

    Errors: AirgapError, naming the file and the remedy, if it is not an image archive, is truncated or incomplete, is
    for another platform, or names none of its images.
    """
    documents, names = _scan(path)
    return find_images(path, documents, names, architecture)


def _scan(path: Path) -> tuple[dict[str, bytes], set[str]]:
    """The JSON documents among the members, and the names of all members, in one pass."""
    documents, names = {}, set()
    with _opened(path) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            names.add(name)
            if member.isfile() and member.size <= LARGEST_DOCUMENT:
                content = _extracted(tar, member)
                first = content.read(1)
                if first in (b"{", b"["):
                    documents[name] = first + content.read()
    return documents, names


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """An archive, open; what cannot be read in it becomes one message."""
    begun = False
    try:
        with tarfile.open(path, "r:*") as tar:
            begun = True
            yield tar
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno:
            raise AirgapError(f"{path} cannot be read or copied: {error.strerror}; correct that first") from error
        if begun or isinstance(error, EOFError):
            raise AirgapError(
                f"{path} is truncated or damaged ({error}); save it again, and compare its size and checksum where it "
                "was copied from"
            ) from error
        raise AirgapError(
            f"{path} is not an image archive: it is not a tar file, plain or compressed with gzip; save the image "
            "again with `docker save --output FILE NAME:TAG`, or move the file out of the folder"
        ) from error


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Content of a file, or of the file that a link in the archive points at."""
    try:
        content = tar.extractfile(member)
    except KeyError as error:
        raise tarfile.ReadError(str(error)) from error
    if content is None:
        raise tarfile.ReadError(f"{member.name} is not a file")
    return content


def find_images(path: Path, documents: Mapping[str, bytes], names: set[str], architecture: str) -> list[ArchivedImage]:
    """The images that the documents of an archive describe, checked to be whole. Pure; `path` is for messages.

    documents: content of the members that are JSON, by name. names: all members.
    """
    contents = _Contents(path, documents, names)
    try:
        candidates = list(contents.candidates())
    except (AttributeError, TypeError, KeyError) as error:  # a document of another shape than the specification's
        raise contents.incomplete(f"its manifest or index is malformed ({error})") from error
    images = [image for image in candidates if image.platform == f"linux/{architecture}"]
    if not images:
        held = ", ".join(sorted({f"{' '.join(image.refs) or 'an image'} for {image.platform}" for image in candidates}))
        raise AirgapError(
            f"{path} holds {held or 'no image'}; this machine needs linux/{architecture}: pull and save it again with "
            f"`docker pull --platform linux/{architecture} NAME:TAG`, or `skopeo copy --override-arch {architecture}`"
        )
    if not any(image.refs for image in images):
        raise AirgapError(
            f"{path} does not say which image it holds; save it by name: `docker save --output FILE NAME:TAG`, "
            "`skopeo copy … docker-archive:FILE:NAME:TAG` or `skopeo copy … oci-archive:FILE:NAME:TAG`"
        )
    return [contents.whole(image) for image in images if image.refs]


@dataclass(frozen=True)
class _Candidate:
    """What an archive says that it holds; config is the name of a member, or "" where only the platform is known."""

    refs: tuple[str, ...]
    platform: str
    config: str = ""
    layers: tuple[str, ...] = ()


class _Contents:
    """The documents of one archive."""

    def __init__(self, path: Path, documents: Mapping[str, bytes], names: set[str]) -> None:
        self.path, self.documents, self.names = path, documents, names

    def candidates(self) -> Iterator[_Candidate]:
        # docker save writes both since version 25; manifest.json alone names no platform that was not saved
        if "manifest.json" in self.documents:
            return self.docker()
        if "index.json" in self.documents:
            return self.oci()
        raise AirgapError(
            f"{self.path} is not an image archive: it has neither manifest.json (docker save) nor index.json "
            "(OCI layout); save it again with `docker save --output FILE NAME:TAG`, or move the file out of the folder"
        )

    def docker(self) -> Iterator[_Candidate]:
        for entry in self.parsed("manifest.json", list):
            config, layers = str(entry["Config"]), tuple(map(str, entry["Layers"]))
            yield _Candidate(self.refs(entry.get("RepoTags") or []), self.platform(config), config, layers)

    def oci(self) -> Iterator[_Candidate]:
        for descriptor in self.parsed("index.json", dict).get("manifests") or []:
            annotations = descriptor.get("annotations") or {}
            # a lone tag is not a name: an index has no place for the repository that it belongs to
            given = [annotations[key] for key in NAME_ANNOTATIONS if set("/:") & set(annotations.get(key, ""))]
            yield from self.described(descriptor, self.refs(given[:1]))

    def described(self, descriptor: Mapping[str, Any], refs: tuple[str, ...]) -> Iterator[_Candidate]:
        """The images below a descriptor: itself, or those of the index that it points at."""
        blob = self.blob(descriptor)
        platform = descriptor.get("platform") or {}
        if platform.get("os") == "unknown":  # BuildKit's attestations stand in the index beside the images
            return
        if blob not in self.names and platform:  # docker save leaves out what had not been pulled
            yield _Candidate(refs, f"{platform.get('os')}/{platform.get('architecture')}", "", (blob,))
            return
        manifest = self.parsed(blob, dict)
        if "manifests" in manifest:
            for below in manifest["manifests"]:
                yield from self.described(below, refs)
            return
        if "layers" not in manifest or "config" not in manifest:
            raise self.incomplete(f"{blob} is not an image manifest")
        config = self.blob(manifest["config"])
        layers = tuple(self.blob(layer) for layer in manifest["layers"])
        yield _Candidate(refs, self.platform(config), config, layers)

    def whole(self, candidate: _Candidate) -> ArchivedImage:
        """The image, whose config and layers are all there."""
        needed = [name for name in (candidate.config, *candidate.layers) if name]
        missing = [name for name in needed if name not in self.names]
        if missing:
            raise self.incomplete(f"it lacks {missing[0]}")
        image = ArchivedImage(self.path, candidate.refs, self.documents[candidate.config], candidate.layers)
        if len(image.diff_ids) != len(image.layers):
            raise self.incomplete(f"{candidate.config} and the manifest differ in the number of layers")
        return image

    def platform(self, config: str) -> str:
        document = self.parsed(config, dict)
        if not isinstance(document.get("rootfs"), dict) or "diff_ids" not in document["rootfs"]:
            raise AirgapError(f"{self.path} has no image: {config} is not an image config; move it out of the folder")
        return f"{document.get('os', '?')}/{document.get('architecture', '?')}"

    def parsed(self, name: str, kind: type) -> Any:
        if name not in self.documents:
            raise self.incomplete(f"it lacks {name}")
        try:
            document = json.loads(self.documents[name])
        except ValueError as error:
            raise self.incomplete(f"{name} is not JSON: {error}") from error
        if not isinstance(document, kind):
            raise self.incomplete(f"{name} is not what its name says")
        return document

    def blob(self, descriptor: Mapping[str, Any]) -> str:
        return "blobs/" + str(descriptor.get("digest")).replace(":", "/")

    def incomplete(self, what: str) -> AirgapError:
        return AirgapError(
            f"{self.path} is truncated or was not saved whole: {what}; save it again, and compare its size and "
            "checksum where it was copied from"
        )

    @staticmethod
    def refs(names: list[str]) -> tuple[str, ...]:
        return tuple(ref for ref in map(normalized, names) if ref)


def copy(image: ArchivedImage, ref: str, target: Path) -> None:
    """Writes the image alone, under one name, as an archive in docker's format with plain layers.

    Errors: AirgapError where a layer is damaged or in a compression that Python lacks.
    """
    with _opened(image.path) as tar, archive.Copy(target, ref, image.config) as out:
        for name, diff_id in zip(image.layers, image.diff_ids, strict=True):
            with _layer(tar, image, name) as layer:
                written = out.add_layer(layer)
            if f"sha256:{written}" != diff_id:
                raise tarfile.ReadError(f"layer {name} is not the {diff_id} that the image's config names")


@contextlib.contextmanager
def _layer(tar: tarfile.TarFile, image: ArchivedImage, name: str) -> Iterator[IO[bytes]]:
    """An uncompressed layer."""
    # a layout packed with `tar -C FOLDER -c .` has its names below ./
    [member] = [member for member in tar.getmembers() if member.name.removeprefix("./") == name][:1]
    with _extracted(tar, member) as content:
        start = content.read(4)
        content.seek(0)
        if start.startswith(b"\x1f\x8b"):
            yield cast(IO[bytes], gzip.GzipFile(fileobj=content))
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            raise AirgapError(
                f"{image.path}: layer {name} is compressed with zstd, which is not read here; save the image with "
                "`skopeo copy … docker-archive:FILE:NAME:TAG`, which writes plain layers"
            )
        else:
            yield content


def extract(image: ArchivedImage, path: str, target: Path) -> None:
    """Writes the file that a container of this image has at `path`, executable.

    Layers are read from the topmost down; a file that a layer removes is not looked for below it, and links are
    followed. Errors: AirgapError where there is no such file.
    """
    wanted = _place(path)
    with _opened(image.path) as tar:
        for _link in range(MOST_LINKS):
            step = _look_through(tar, image, wanted, target)
            if step is None:
                target.chmod(0o755)
                return
            wanted = step
            if not wanted:
                break
    raise AirgapError(f"{image.path}: {' '.join(image.refs)} has no file {path}; is it the publisher's own image?")


def _look_through(tar: tarfile.TarFile, image: ArchivedImage, wanted: str, target: Path) -> str | None:
    """None when the file was written; else the path to look for instead, or "" where there is none."""
    for name in reversed(image.layers):
        with _layer(tar, image, name) as layer:
            step = _look(layer, wanted, target)
        if step != wanted:
            return step
    return ""


def _look(layer: IO[bytes], wanted: str, target: Path) -> str | None:
    """One layer: None when the file was written, `wanted` where the layer says nothing of it, else as above."""
    found: str | None = wanted
    hidden = False
    with tarfile.open(fileobj=layer, mode="r|") as tar:
        for member in tar:
            name = _place(member.name)
            above = wanted.startswith(f"{name}/")
            folder, base = posixpath.split(name)
            if base.startswith(".wh."):
                # a whiteout removes what the layers below have, not what this one brings
                removed = folder if base == ".wh..wh..opq" else posixpath.join(folder, base.removeprefix(".wh."))
                hidden = hidden or removed in ("", wanted) or wanted.startswith(f"{removed}/")
            elif name == wanted and member.isfile():
                with open(target, "wb") as out:
                    shutil.copyfileobj(_extracted(tar, member), out)
                found = None
            elif (name == wanted or above) and (member.issym() or member.islnk()):
                base_folder = "" if member.islnk() else folder
                found = _place(posixpath.join("/", base_folder, member.linkname) + wanted.removeprefix(name))
            elif name == wanted or (above and not member.isdir()):
                found = ""
    return "" if hidden and found == wanted else found


def _place(path: str) -> str:
    """'./usr/../bin/tempo' → 'bin/tempo'"""
    return posixpath.normpath(posixpath.join("/", path)).lstrip("/")
