"""The table of all images that roles and the local cluster run, and the choice of where each one comes from.

Origins, in the order in which they are tried:
  pull     a container registry answers: the publisher's own image
  archive  an archive in the user's folder of images has it (`reader` says in which formats)
  build    built here from packages, where images.yml knows how
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from . import reader
from .cache import META, Store, default_root
from .errors import AirgapError
from .reader import ArchivedImage
from .spec import HERE, Artifact

PULL, ARCHIVE, BUILD = ORIGINS = ("pull", "archive", "build")
FOLDER_VARIABLE = "ORION_IMAGE_DIR"
FLAGS = ("demo", "optional", "tests", "same_major")
# What lies beside archives and is none: notes, checksums, signatures
NO_ARCHIVES = (".md", ".txt", ".json", ".sha256", ".sha512", ".asc", ".sig")


@dataclass(frozen=True)
class Image:
    """One row of the table. tag: what the roles ask for, "" where any does. built_ref: name of the image that is built,
    "" where none is. demo: of the example system, which nobody publishes. optional: what misses it works without it.
    tests: the tests alone run it. same_major: only an archive of the tag's major version can take its place."""

    name: str
    repository: str
    tag: str
    license: str
    build: str = ""
    built_ref: str = ""
    demo: bool = False
    optional: bool = False
    tests: bool = False
    same_major: bool = False

    @property
    def origins(self) -> tuple[str, ...]:
        possible = {PULL: not self.demo, ARCHIVE: True, BUILD: bool(self.build)}
        return tuple(origin for origin in ORIGINS if possible[origin])

    @property
    def ref(self) -> str:
        return f"{self.repository}:{self.tag}" if self.tag else self.repository

    def mirrored(self, mirror: str) -> str:
        """The name at a mirror, whose prefix takes the place of the registry, as tracing_image_registry does."""
        return f"{mirror}/{self.ref.partition('/')[2]}" if mirror else self.ref

    def asks_for(self, ref: str) -> bool:
        """Whether this is the image in the version that the roles ask for, as published or as built here."""
        return not self.tag or ref in (self.ref, self.built_ref)

    def takes(self, ref: str) -> bool:
        """Whether an archive with an image of this name can be its origin."""
        return _repository(ref) == self.repository and not (self.same_major and _major(ref) != _major(self.ref))


@dataclass(frozen=True)
class Source:
    """Where one image comes from. archived: the image in the user's archive, where that is the origin."""

    image: Image
    origin: str
    ref: str
    archived: ArchivedImage | None = None

    @property
    def tag(self) -> str:
        return self.ref.partition("/")[2].partition(":")[2]

    @property
    def other_version(self) -> bool:
        return self.origin == ARCHIVE and not self.image.asks_for(self.ref)


def load(artifacts: dict[str, Artifact], path: Path = HERE / "images.yml") -> dict[str, Image]:
    """The table by name, checked."""
    document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {name: _row(name, fields, artifacts) for name, fields in document["images"].items()}


def _row(name: str, fields: dict[str, Any], artifacts: dict[str, Artifact]) -> Image:
    missing = {"repository", "license"} - fields.keys()
    unknown = fields.keys() - {"repository", "license", "tag", "build", *FLAGS}
    if missing or unknown:
        words = [f"missing {word}" for word in sorted(missing)] + [f"unknown {word}" for word in sorted(unknown)]
        raise AirgapError(f"images.yml: images: {name}: {', '.join(words)}")
    build = str(fields.get("build", ""))
    built_ref = ""
    if build:
        built_ref = reader.normalized(artifacts[build].ref or "") or "" if build in artifacts else ""
        if built_ref.rpartition(":")[0] != fields["repository"]:
            raise AirgapError(
                f"images.yml: images: {name}: build: {build!r} is not an entry of kind image with a ref in "
                f"{fields['repository']}; name one, or leave build out"
            )
    flags = {flag: bool(fields.get(flag)) for flag in FLAGS}
    return Image(name, fields["repository"], str(fields.get("tag", "")), fields["license"], build, built_ref, **flags)


def folder() -> Path:
    """The user's folder of image archives: $ORION_IMAGE_DIR, else `images` beside the cache of what is built."""
    asked = os.environ.get(FOLDER_VARIABLE)
    return Path(asked).expanduser() if asked else default_root().parent / "images"


def read_folder(path: Path, architecture: str) -> list[ArchivedImage]:
    """All images of all archives in the folder; none where the folder is not there.

    Errors: AirgapError that names every bad archive at once.
    """
    if not path.is_dir():
        if os.environ.get(FOLDER_VARIABLE):
            raise AirgapError(f"{FOLDER_VARIABLE} is {path}, which is not a folder; create it, or unset the variable")
        return []
    images: list[ArchivedImage] = []
    errors = []
    for file in sorted(path.iterdir()):
        if not file.is_file() or file.name.startswith(".") or file.name.endswith(NO_ARCHIVES):
            continue
        try:
            images += reader.read(file, architecture)
        except AirgapError as error:
            errors.append(str(error))
    if errors:
        raise AirgapError("\n".join(errors))
    return images


def choose(
    image: Image,
    allowed: Collection[str],
    registries: Collection[str],
    archived: Iterable[ArchivedImage],
    mirror: str = "",
) -> Source | None:
    """Where the image comes from: its first origin that is allowed and has it; None where none has.

    registries: hosts of the container registries that answer. mirror: asked in the place of all others. archived:
    images in the user's archives. Of several versions in archives the one that the roles ask for is taken, else the
    nearest: of the same minor version, then of the same major version, and of these the newest. An image with
    same_major is not taken from another major version.
    """
    for origin in image.origins:
        if origin not in allowed:
            continue
        if origin == PULL and image.mirrored(mirror).partition("/")[0] in registries:
            return Source(image, origin, image.mirrored(mirror))
        if origin == ARCHIVE:
            held = [(ref, found) for found in archived for ref in found.refs if image.takes(ref)]
            if held:
                ref, found = max(held, key=lambda pair: (image.asks_for(pair[0]), _likeness(pair[0], image.tag)))
                return Source(image, origin, ref, found)
        if origin == BUILD:
            return Source(image, origin, image.built_ref)
    return None


def unused(archived: Sequence[ArchivedImage], table: Iterable[Image]) -> list[ArchivedImage]:
    """Images in archives that no row of the table is about."""
    known = {image.repository for image in table}
    return [found for found in archived if not known & set(map(_repository, found.refs))]


def other_majors(archived: Iterable[ArchivedImage], image: Image) -> list[tuple[ArchivedImage, str]]:
    """Archives of the image, and the name inside, that are not its origin because of their major version."""
    held = [(found, ref) for found in archived for ref in found.refs]
    return [(found, ref) for found, ref in held if _repository(ref) == image.repository and not image.takes(ref)]


def _repository(ref: str) -> str:
    return ref.rpartition(":")[0]


def _version(tag: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", tag)))


def _major(ref: str) -> tuple[int, ...]:
    return _version(ref.rpartition(":")[2])[:1]


def _likeness(ref: str, tag: str) -> tuple[int, tuple[int, ...]]:
    """How many numbers of the two versions agree from the left, and the version: the greatest is the nearest one."""
    version, wanted = _version(ref.rpartition(":")[2]), _version(tag)
    return sum(1 for _same in takewhile(lambda pair: pair[0] == pair[1], zip(version, wanted, strict=False))), version


def carried(source: Source) -> Path:
    """The folder in the cache with `image.tar`, a copy of an archive's image that kind and the engine can load.

    It is made when it is missing, and checked by digest while it is made. Copies of other versions go.
    """
    assert source.archived
    key = hashlib.sha256(f"{source.ref} {source.archived.digest}".encode()).hexdigest()[:16]
    name = source.image.name
    store = Store(default_root().parent / "carried", {name: key})
    with store.locked(name, lambda: None):
        if not store.cached(name):
            with store.building(name) as work:
                reader.copy(source.archived, source.ref, work / "image.tar")
                (work / META).write_text(json.dumps({"ref": source.ref, "from": str(source.archived.path)}) + "\n")
    return store.folder(name)


def program(source: Source) -> Path:
    """The program that an archive's image starts, in the cache."""
    assert source.archived
    file = carried(source) / "program"
    if not file.exists():
        path = next(iter(source.archived.entrypoint), "")
        if not path:
            raise AirgapError(
                f"{source.archived.path}: {source.ref} does not start a program; is it the publisher's own image?"
            )
        partial = file.with_suffix(f".{os.getpid()}")
        reader.extract(source.archived, path, partial)
        partial.replace(file)
    return file


def how_to_bring(image: Image, architecture: str) -> list[str]:
    """Two ways of saving an image into a file, to be typed where its registry can be reached."""
    ref, file = f"{image.repository}:{image.tag or 'TAG'}", f"{image.name}.tar"
    return [
        f"docker pull --platform linux/{architecture} {ref} && docker save --output {file} {ref}",
        f"skopeo copy --override-arch {architecture} docker://{ref} docker-archive:{file}:{ref}",
    ]
