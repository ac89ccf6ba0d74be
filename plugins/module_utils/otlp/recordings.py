# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Recordings of traces, export request by export request, as a collector wrote them to a file.

s3/recording.py has the recordings in a bucket. Both give the same messages, so whoever reads them need not know where
they come from. One message is in memory at a time.

What a file holds: OTLP/JSON lines or OTLP protobuf messages behind their length (the file exporter), or one protobuf
message alone (an object of the S3 exporter, downloaded).
Sources: exporter/fileexporter/README.md and exporter/awss3exporter/marshaler.go of opentelemetry-collector-contrib
v0.158.0.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import BrokenDocument, Document
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import (
    Record,
    json_document,
    parse_json,
    parse_protobuf,
    protobuf_document,
)

_ZSTD = b"\x28\xb5\x2f\xfd"
# One protobuf message is all there is in it.
_ALONE = re.compile(r"\.binpb(\.gz)?$")
# Its first byte then: field 1 (resource_spans), of a length.
_FIRST_FIELD = b"\x0a"
PATH_REMEDY = "Give a file of OTLP/JSON lines or OTLP protobuf, plain or gzip, or s3://bucket/prefix."
# More than a collector sends at once by far; a longer one means that the file is none of these.
MAX_MESSAGE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Message:
    """One export request.

    number: of the line or message in its file, or of the object in its recording, from 1. place: that for people.
    text: OTLP protobuf or OTLP/JSON, as it stands there. problem: why there is no text; "" where there is.
    """

    number: int
    place: str
    text: bytes = b""
    protobuf: bool = False
    problem: str = ""

    def record(self) -> Record:
        """The request as the simulator needs it. BrokenDocument if it is not one."""
        if self.problem:
            raise BrokenDocument(self.problem)
        return parse_protobuf(self.text) if self.protobuf else parse_json(self.text)

    def document(self) -> Document:
        """The request as OTLP/JSON has it. BrokenDocument if it is not one."""
        if self.problem:
            raise BrokenDocument(self.problem)
        return protobuf_document(self.text) if self.protobuf else json_document(self.text)


class Recording(Protocol):
    """name: what the user called it. unit: what its messages are counted in, for people."""

    name: str
    unit: str

    def messages(self) -> Iterator[Message]:
        """All messages in order, from the start each time. OSError or TracingError if it cannot be read."""


class FileRecording:
    """A file, plain or gzip."""

    unit = "lines"

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)

    def messages(self) -> Iterator[Message]:
        """Raises OSError for a file that cannot be read, damaged gzip data included, InvalidInput for zstd."""
        with opened(self.name) as stream:
            yield from framed(self.name, stream)


def framed(name: str, stream: IO[bytes]) -> Iterator[Message]:
    """The messages of a file or object of that name; stream: what is in it, decompressed, and can be rewound."""
    begin = stream.read(8)
    stream.seek(0)
    if _ZSTD in (begin[:4], begin[4:]):
        raise InvalidInput(
            f"{name} is compressed with zstd",
            "it is read as it is or as gzip",
            "Decompress it (zstd -d), or record with the exporter's compression none or gzip.",
        )
    if begin[:1] == _FIRST_FIELD and _ALONE.search(name):
        text = stream.read(MAX_MESSAGE_BYTES + 1)
        too_long = f"longer than {MAX_MESSAGE_BYTES} bytes" if len(text) > MAX_MESSAGE_BYTES else ""
        yield Message(1, "message 1", b"" if too_long else text, True, too_long)
    elif begin[:1] in (b"{", b" ", b"\t", b"\r", b"\n", b""):
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield Message(number, f"line {number}", line)
    else:
        for number, message in enumerate(_prefixed(stream), 1):
            place = f"message {number}"
            yield (
                Message(number, place, problem=message)
                if isinstance(message, str)
                else Message(number, place, message, True)
            )


def _prefixed(stream: IO[bytes]) -> Iterator[bytes | str]:
    """Messages that follow their length in 4 bytes, most significant first (file_writer.go of fileexporter); at the
    end, what is wrong with the rest."""
    while prefix := stream.read(4):
        length = int.from_bytes(prefix, "big")
        if len(prefix) < 4 or length > MAX_MESSAGE_BYTES:
            yield "neither OTLP/JSON lines nor OTLP protobuf with length prefixes, or cut in a prefix"
            return
        message = stream.read(length)
        if len(message) < length:
            yield f"ends after {len(message)} of the {length} bytes of a message"
            return
        yield message


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """A file, plain or gzip. Damaged or cut gzip data is an OSError too."""
    with Path(path).open("rb") as raw, unpacked(raw) as stream:
        yield stream


@contextmanager
def unpacked(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """The content of a file or buffer, plain or gzip, which is known by its first two bytes. Errors: as opened."""
    magic = raw.read(2)
    raw.seek(0)
    try:
        yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw
    except (EOFError, zlib.error) as error:
        raise OSError(f"damaged gzip data: {error}") from error


def read(source: Recording | str | Path, broken: Callable[[str, str], None] | None = None) -> Iterator[Record]:
    """The records of a recording, or of a file by its path, in their order.

    broken: called with the place of a record and what is wrong with it; the record is skipped. Without it
    BrokenDocument is raised. Raises what the recording raises, and InvalidInput for protobuf where the Python package
    for it is missing.
    """
    recording = FileRecording(source) if isinstance(source, str | Path) else source
    for message in recording.messages():
        try:
            record = message.record()
        except BrokenDocument as error:
            if broken is None:
                raise BrokenDocument(f"{message.place}: {error}") from None
            broken(message.place, str(error))
        else:
            yield record


class BrokenRecords:
    """Counts records that are not OTLP, or refuses the first one with InvalidInput. For the option on_broken_line."""

    def __init__(self, path: str, refuse: bool) -> None:
        self.path, self.refuse, self.count = path, refuse, 0

    def __call__(self, place: str, why: str) -> None:
        self.count += 1
        if self.refuse:
            raise InvalidInput(
                f"path {self.path}: {place} is broken",
                why,
                "Repair it, or set on_broken_line to skip to leave such records out.",
            )


def read_option(source: Recording, broken: BrokenRecords) -> Iterator[Record]:
    """As read, for the recording of the option path: InvalidInput where it cannot be read."""
    try:
        yield from read(source, broken)
    except (OSError, BrokenDocument) as error:
        raise InvalidInput(f"path {source.name} cannot be read", str(error), PATH_REMEDY) from error
