"""Writes archives that `docker load` and `ctr images import` accept, from plain files and without a container engine.

The same files always give the same bytes: entries are sorted, owned by root and dated 1970. Contents are streamed, so
memory does not grow with an image's size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

from .errors import AirgapError

BLOCK = tarfile.BLOCKSIZE
COPIED = io.DEFAULT_BUFFER_SIZE * 128  # bytes at a time: layers are large


@dataclass(frozen=True)
class Entry:
    """One thing in a layer: a file or tree (source), a symbolic link (target) or an empty folder (mode alone).

    compiled: whether the tree's __pycache__ is meant to be there. Else a Python that ran from the cache has left it."""

    path: str
    source: Path | None = None
    target: str | None = None
    mode: int = 0o755
    compiled: bool = False


@dataclass
class Image:
    ref: str
    layers: list[list[Entry]]
    config: dict[str, Any] = field(default_factory=dict)


class Tee:
    """A file that is written and hashed at once. It starts at 0 wherever the other one is, since tar pads its end by
    position, and a layer's bytes must not depend on what comes before it."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self.out.write(data)

    def tell(self) -> int:
        return self.size


@dataclass
class Written:
    """Where the content of one source file lies, inside its layer or inside the archive."""

    offset: int
    size: int


def write(path: Path, images: list[Image]) -> dict[Path, Written]:
    """One archive of all images; images with equal layers share them. Returns where each single file's content lies."""
    places: dict[Path, Written] = {}
    layers: dict[str, str] = {}
    manifest: list[dict[str, Any]] = []
    members: set[str] = set()
    with open(path, "wb") as out:
        for image in images:
            diffs = []
            for entries in image.layers:
                key = repr(entries)
                if key not in layers:
                    layers[key] = _add_layer(out, entries, places, members)
                diffs.append(layers[key])
            manifest.append(_add_config(out, image.ref, _config(image, diffs), diffs, members))
        _finish(out, manifest)
    return places


class Copy:
    """An archive of one image whose config and layers are there already. Use it in a with statement, and add the layers
    from the lowest to the topmost; an archive that an error leaves unfinished is not usable."""

    def __init__(self, path: Path, ref: str, config: bytes) -> None:
        self.ref, self.config = ref, config
        self.out: BinaryIO = open(path, "wb")  # noqa: SIM115 (closed by __exit__)
        self.diffs: list[str] = []
        self.members: set[str] = set()

    def __enter__(self) -> Copy:
        return self

    def add_layer(self, layer: IO[bytes]) -> str:
        """Adds an uncompressed layer; returns its SHA-256 in hexadecimal."""
        with _layer(self.out, self.members) as tee:
            shutil.copyfileobj(layer, tee, COPIED)
        self.diffs.append(tee.hash.hexdigest())
        return self.diffs[-1]

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        with self.out:
            if kind is None:
                _finish(self.out, [_add_config(self.out, self.ref, self.config, self.diffs, self.members)])


def _finish(out: BinaryIO, manifest: list[dict[str, Any]]) -> None:
    _add_member(out, "manifest.json", json.dumps(manifest, sort_keys=True).encode())
    out.write(bytes(2 * BLOCK))


def _config(image: Image, diffs: list[str]) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}" for diff in diffs]},
        },
        sort_keys=True,
    ).encode()


def _add_config(out: BinaryIO, ref: str, body: bytes, diffs: list[str], members: set[str]) -> dict[str, Any]:
    """Writes an image's config; returns its entry of manifest.json."""
    name = hashlib.sha256(body).hexdigest() + ".json"
    if name not in members:
        members.add(name)
        _add_member(out, name, body)
    return {"Config": name, "RepoTags": [ref], "Layers": [f"{diff}.tar" for diff in diffs]}


def _add_member(out: BinaryIO, name: str, data: bytes) -> None:
    out.write(_header(name, len(data)) + data + bytes(-len(data) % BLOCK))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def _add_layer(out: BinaryIO, entries: list[Entry], places: dict[Path, Written], members: set[str]) -> str:
    start = out.tell()
    with _layer(out, members) as tee:
        inside = write_layer(tee, entries)
    if out.tell() > start:
        places.update({source: Written(start + BLOCK + place.offset, place.size) for source, place in inside.items()})
    return tee.hash.hexdigest()


@contextlib.contextmanager
def _layer(out: BinaryIO, members: set[str]) -> Iterator[Tee]:
    """Streams a layer into the archive. Its name is its digest, so its header is written last, into the gap left."""
    start = out.tell()
    out.write(bytes(BLOCK))
    tee = Tee(out)
    yield tee
    name = f"{tee.hash.hexdigest()}.tar"
    if name in members:  # other sources, same bytes: one copy is enough
        out.seek(start)
        out.truncate()
        return
    members.add(name)
    out.write(bytes(-tee.size % BLOCK))
    end = out.tell()
    out.seek(start)
    out.write(_header(name, tee.size))
    out.seek(end)


def write_layer(out: Any, entries: list[Entry]) -> dict[Path, Written]:
    """Writes one uncompressed layer, every parent folder before what it holds."""
    places: dict[Path, Written] = {}
    found = {name: (info, source) for entry in entries for name, info, source in _expand(entry)}
    for name in list(found):
        for parent in Path(name).parents[:-1]:
            above = found.setdefault(parent.as_posix(), (_folder(parent.as_posix(), 0o755), None))[0]
            if not above.isdir():
                raise AirgapError(f"/{name} cannot be in an image where /{parent} is not a folder; name its real place")
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(found):
            info, source = found[name]
            if source is None:
                tar.addfile(info)
                continue
            with open(source, "rb") as content:
                tar.addfile(info, content)
            places[source] = Written(out.tell() - info.size - (-info.size % BLOCK), info.size)
    return places


def _expand(entry: Entry) -> Iterator[tuple[str, tarfile.TarInfo, Path | None]]:
    """(name, header, file to read) of the entry and, when its source is a folder, of all that is below."""
    name = entry.path.strip("/")
    if entry.target is not None:
        yield name, _link(name, entry.target), None
    elif entry.source is None:
        yield name, _folder(name, entry.mode), None
    elif entry.source.is_dir() and not entry.source.is_symlink():
        for path in entry.source.rglob("*"):
            if "__pycache__" in path.parts and not entry.compiled:
                continue
            inner = f"{name}/{path.relative_to(entry.source).as_posix()}".strip("/")
            yield inner, *_from_disk(inner, path, keep_mode=True)
    else:
        yield name, *_from_disk(name, entry.source, keep_mode=False)


def _from_disk(name: str, path: Path, keep_mode: bool) -> tuple[tarfile.TarInfo, Path | None]:
    """A single file's mode is 755 or 644 whatever the umask was; a tree (a package's files) keeps its modes."""
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return _link(name, os.readlink(path)), None
    if stat.S_ISDIR(status.st_mode):
        return _folder(name, mode), None
    info = tarfile.TarInfo(name)
    info.size = status.st_size
    info.mode = mode if keep_mode else 0o755 if mode & stat.S_IXUSR else 0o644
    return info, path


def _folder(name: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info


def _link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    return info


def cut(path: Path, hole: Written, head: Path, tail: Path) -> None:
    """Splits an archive around one file's content, so that the file can be stored once and the archive joined again:
    `cat head file tail` is the archive."""
    with open(path, "rb") as whole:
        _copy(whole, head, hole.offset)
        whole.seek(hole.offset + hole.size)
        _copy(whole, tail, os.fstat(whole.fileno()).st_size - whole.tell())
    path.unlink()


def _copy(source: BinaryIO, destination: Path, size: int) -> None:
    with open(destination, "wb") as out:
        while size:
            data = source.read(min(size, COPIED))
            size -= len(data)
            out.write(data)
