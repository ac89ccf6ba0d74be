"""Python packages: wheels that a requirements file pins by hash, unpacked into folders for the import path.

pip fetches them, so its configuration decides as ever which index or mirror is asked, through which proxy and with
which credentials. Nothing is installed and nothing of a package runs: wheels for another Python or another libc than
this machine's are as good as any.

Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path, PurePosixPath

from .errors import AirgapError
from .process import run

# Tags of wheels that run on each C library: https://peps.python.org/pep-0600/, https://peps.python.org/pep-0656/
PLATFORMS = {
    "glibc": ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "musl": ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"],
}
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>(?:[^\n]*\\\n)*[^\n]*)")
OPTIONS = ["--quiet", "--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary=:all:"]


@dataclass(frozen=True)
class Pin:
    """One package of a requirements file. text: its lines, with all hashes."""

    name: str
    version: str
    text: str


@dataclass(frozen=True)
class Wheel:
    """A wheel file. name: normalized. universal: of pure Python, so one file serves every version and platform."""

    path: Path
    name: str
    version: str
    universal: bool


def normalized(name: str) -> str:
    """Source: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path) -> list[Pin]:
    """The packages that a requirements file pins.

    Errors: AirgapError for a package without version or hash, and for markers about a version of Python, which pip
    compares with the Python that runs it instead of the one that the packages are for.
    """
    pins = []
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    for block in re.split(r"(?<!\\)\n", text):
        match = PIN.fullmatch(block.strip())
        if not block.strip():
            continue
        if not match or "--hash=sha256:" not in match["rest"]:
            first = block.strip().splitlines()[0].rstrip(" \\")
            raise AirgapError(f"{path}: {first!r} is not `NAME==VERSION --hash=sha256:…`; write the file again: {HOW}")
        if re.search(r";[^\\]*python_", match["rest"]):
            raise AirgapError(
                f"{path}: {match['name']} is for some versions of Python only, and pip would compare them with the "
                f"version that runs here; write the file again without --universal: {HOW}"
            )
        pins.append(Pin(normalized(match["name"]), match["version"], block.strip()))
    return pins


HOW = "`uv pip compile --generate-hashes --python-version OLDEST --no-header requirements.in -o requirements.txt`"


def build(
    requirements: Path, pythons: Sequence[str], libc: str, folders: Mapping[str, str], work: Path, log: Path
) -> list[str]:
    """Unpacks the wheels for every version of Python into the same folders; returns their package URLs.

    Compiled modules of different versions have different file names, and so lie side by side. folders: pattern of the
    package's name → folder below `work`; the first one that matches is taken.

    Errors: AirgapError if two wheels have different content under one name, or no folder is meant for a package.
    """
    pins = read(requirements)
    download = work / "download"
    wheels: dict[str, Wheel] = {}
    wanted = pins
    for python in pythons:
        for wheel in _fetch(wanted, python, libc, download, log):
            wheels[wheel.path.name] = wheel
        universal = {wheel.name for wheel in wheels.values() if wheel.universal}
        wanted = [pin for pin in pins if pin.name not in universal]
    for wheel in wheels.values():
        unpack(wheel, work / _folder(wheel.name, folders))
    shutil.rmtree(download)
    return sorted({f"pkg:pypi/{wheel.name}@{wheel.version}" for wheel in wheels.values()})


def _fetch(pins: list[Pin], python: str, libc: str, download: Path, log: Path) -> list[Wheel]:
    """Downloads the wheels of one version of Python."""
    if not pins:
        return []
    target = ["--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS[libc]:
        target += ["--platform", platform]
    found = fetch("".join(f"{pin.text}\n" for pin in pins), target, download / python, log)
    return [described(path) for path in found]


def fetch(requirements: str, target: Sequence[str], folder: Path, log: Path) -> list[Path]:
    """Downloads wheels into a new folder. requirements: text of a requirements file with hashes. target: pip's options
    for another Python or platform than this machine's."""
    folder.mkdir(parents=True)
    file = folder / "requirements.txt"
    file.write_text(requirements)
    files = ["--dest", str(folder), "--requirement", str(file)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    run([sys.executable, "-m", "pip", "download", *OPTIONS, *target, *files], log, env=environment)
    return sorted(folder.glob("*.whl"))


def described(path: Path) -> Wheel:
    """What a wheel's file name says: name-version[-build]-python-abi-platform.whl"""
    name, version, *_build, _python, abi, platform = path.stem.split("-")
    return Wheel(path, normalized(name), version, (abi, platform) == ("none", "any"))


def _folder(name: str, folders: Mapping[str, str]) -> str:
    for pattern, folder in folders.items():
        if fnmatch.fnmatchcase(name, pattern):
            return folder
    raise AirgapError(f"images.yml: no pattern of folders matches {name}; add one, or '*' for all others")


def unpack(wheel: Wheel, folder: Path) -> None:
    """Unpacks a wheel as an installer does, but for its scripts: their first line names a Python that only the image
    has; `python -m` starts a program as well."""
    with zipfile.ZipFile(wheel.path) as zipped:
        for member in zipped.infolist():
            place = None if member.is_dir() else _place(PurePosixPath(member.filename))
            if not place:
                continue
            target = folder / place
            content = zipped.read(member)
            metadata = place.parts[0].endswith(".dist-info")
            if target.exists() and target.read_bytes() != content and not metadata:
                raise AirgapError(f"{wheel.path.name} and another wheel have different files {place}; leave one out")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            # zipfile drops modes, and a program that cannot be started is of no use
            if (member.external_attr >> 16) & 0o111:
                target.chmod(0o755)


def _place(path: PurePosixPath) -> PurePosixPath | None:
    """Where a wheel's file goes on the import path; None for scripts, headers and data."""
    if not path.parts[0].endswith(".data"):
        return path
    return PurePosixPath(*path.parts[2:]) if path.parts[1] in ("purelib", "platlib") else None


# What metadata without an SPDX expression says, and what the package's licence file then is
TERMS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}


def licenses(folder: Path) -> Iterator[tuple[str, str]]:
    """(name and version, SPDX expression) of every package below a folder, as its metadata has it: License-Expression,
    else the classifiers, else the text of License where it is one of TERMS.

    Source: https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    for path in sorted(folder.rglob("*.dist-info/METADATA")):
        with open(path, "rb") as content:
            metadata = BytesHeaderParser().parse(content)
        classifiers = [line for line in metadata.get_all("Classifier", []) if line.startswith("License :: ")]
        terms = classifiers or [metadata["License"] or "none"]
        expression = metadata["License-Expression"] or " AND ".join(TERMS.get(term, term) for term in terms)
        yield f"{metadata['Name']} {metadata['Version']}", expression
