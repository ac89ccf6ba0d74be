"""Unpacks Debian packages into a folder: no root, no debootstrap, no change to the machine's own packages.

apt checks the archive's signature with the archive's keyring, so a package is what Debian signed, whichever mirror
serves it. The suite is fixed, not the version: the archive keeps only the newest, and the manifest says which it was.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .errors import AirgapError
from .process import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "ORION_DEBIAN_MIRROR"
MERGED = ("bin", "sbin", "lib", "lib64")  # packages still ship files there, and a system has links into /usr
_updating = threading.Lock()


def mirrors() -> list[str]:
    """The Debian mirrors that this machine already uses, or those that the environment names."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return named.split()
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    found = [uri.rstrip("/") for uri in dict.fromkeys(listed)]
    return [uri for uri in found if urlsplit(uri).path.endswith(("/debian", "/debian-security"))]


def source_lines(uris: list[str], suite: str, keyring: Path = KEYRING) -> list[str]:
    """sources.list of exactly one suite, with its updates and what the mirrors have of security updates."""
    lines = []
    for uri in uris:
        secure = urlsplit(uri).path.rstrip("/").endswith("-security")
        names = [f"{suite}-security"] if secure else [suite, f"{suite}-updates"]
        lines += [f"deb [signed-by={keyring}] {uri} {name} main" for name in names]
    return lines


class Apt:
    """apt with folders of its own, so that it neither needs root nor sees what this machine has installed."""

    def __init__(self, folder: Path, suite: str, log: Path) -> None:
        self.folder = folder / suite
        self.suite = suite
        self.log = log
        self.env = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}

    def update(self) -> None:
        """Fetches the package lists, once per run: the marker is this process."""
        with _updating:
            marker = self.folder / f"updated.{os.getpid()}"
            if marker.exists():
                return
            self._configure()
            run(["apt-get", "update", "-qq"], self.log, env=self.env)
            for old in self.folder.glob("updated.*"):
                old.unlink()
            marker.touch()

    def _configure(self) -> None:
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise AirgapError(
                "apt-get or dpkg-deb not found: Debian packages can only be fetched with them; "
                "build on a Debian or Ubuntu machine and carry the result with --output"
            )
        uris = mirrors()
        if not uris:
            raise AirgapError(f"this machine's apt knows no Debian mirror; name one in {MIRROR_VARIABLE}")
        if not KEYRING.is_file():
            raise AirgapError(f"{KEYRING} is missing, so packages cannot be verified; install debian-archive-keyring")
        (self.folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text("\n".join(source_lines(uris, self.suite)) + "\n")
        # proxies and certificates are the machine's own; its hooks and pins are not wanted
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        acquire = [line for line in dump.splitlines() if line.startswith("Acquire::") and not line.endswith(' "";')]
        (self.folder / "apt.conf").write_text(apt_conf(self.folder) + "\n".join(acquire) + "\n")

    def fetch(self, packages: list[str], destination: Path, dependencies: bool) -> list[Path]:
        """Downloads packages, with all that they depend on if asked, into a folder of their own."""
        self.update()
        (destination / "partial").mkdir(parents=True)
        if dependencies:
            options = ["--yes", "--download-only", "-o", f"Dir::Cache::archives={destination}"]
            run(["apt-get", "install", "-qq", *options, *packages], self.log, env=self.env)
        else:
            run(["apt-get", "download", "-qq", *packages], self.log, cwd=destination, env=self.env)
        return sorted(destination.glob("*.deb"))


def apt_conf(folder: Path) -> str:
    settings = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Debug::NoLocking": "1",  # the lock of the artefact is held, and the folder is nobody else's
        "APT::Architecture": "amd64",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "",  # apt's own user cannot enter a home folder
    }
    lines = [f'{key} "{value}";' for key, value in settings.items()]
    return "\n".join([*lines, 'APT::Architectures { "amd64"; };', ""])


def package_of(deb: Path) -> tuple[str, str]:
    """conntrack_1%3a1.4.7-1+b2_amd64.deb → ('conntrack', '1:1.4.7-1+b2')"""
    name, version, _architecture = unquote(deb.stem).split("_")
    return name, version


def chosen(debs: list[Path], without: list[str]) -> list[Path]:
    return [deb for deb in debs if not any(fnmatch.fnmatch(package_of(deb)[0], pattern) for pattern in without)]


def unpack(debs: list[Path], root: Path, log: Path) -> None:
    """Unpacks without running any maintainer script, and merges /usr as an installed system has it."""
    root.mkdir()
    for deb in debs:
        run(["dpkg-deb", "--extract", str(deb), str(root)], log)
    for name in MERGED:
        merge(root / name, root / "usr" / name)
        (root / name).symlink_to(f"usr/{name}")


def merge(source: Path, target: Path) -> None:
    """Moves what is in one folder to another, which may have folders of the same names."""
    target.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        return
    for path in source.iterdir():
        if path.is_dir() and not path.is_symlink():
            merge(path, target / path.name)
        else:
            path.replace(target / path.name)
    source.rmdir()


def write_certificates(root: Path) -> None:
    """What ca-certificates' maintainer script would write: all authorities in one file."""
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    if authorities:
        bundle = root / "etc/ssl/certs/ca-certificates.crt"
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_text("".join(path.read_text().rstrip("\n") + "\n" for path in authorities))


def drop(root: Path, patterns: list[str]) -> None:
    """Removes files and folders that no container reads."""
    for pattern in patterns:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
