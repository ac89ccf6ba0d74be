# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which chart is meant: the options that name it, and whether they leave that open. Only local files are read.

A reference is one of: a path (directory or .tgz); with chart_repo_url, the name of a chart in that repository;
oci://registry/path/chart, with :version, @digest, both or none of them; the http(s) URL of a .tgz. What is not a path
has to be pinned: to one version, or to a digest.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

OCI = "oci://"
PACKAGE = (".tgz", ".tar.gz")
# https://semver.org; Helm takes a leading v, too, and reads a version with parts missing as a range.
_IDENTIFIERS = r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*"
SEMVER = re.compile(rf"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-{_IDENTIFIERS})?(\+{_IDENTIFIERS})?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ARMOR = b"-----BEGIN PGP"


@dataclass(frozen=True)
class Source:
    """The options of the module that say where the chart comes from, by their names there."""

    chart_ref: str = ""
    chart_repo_url: str | None = None
    chart_version: str | None = None
    chart_digest: str | None = None
    repo_username: str | None = None
    repo_password: str | None = None
    repo_ca_file: str | None = None
    insecure_skip_tls_verify: bool = False
    plain_http: bool = False
    verify: bool = False
    keyring: str | None = None

    def __str__(self) -> str:
        version = f" {self.chart_version}" if self.chart_version else ""
        return f"chart {self.chart_ref}{version}" + (f" of {self.chart_repo_url}" if self.chart_repo_url else "")


@dataclass(frozen=True)
class Oci:
    """The parts of an oci:// reference. repository: host and path; version and digest may be empty."""

    repository: str
    version: str
    digest: str

    @property
    def host(self) -> str:
        return self.repository.partition("/")[0]


def of_params(params: Mapping[str, Any]) -> Source:
    """The source that a module's options name; those that are not set, or empty, keep their defaults."""
    return Source(**{field.name: params[field.name] for field in fields(Source) if params.get(field.name)})


def is_remote(source: Source) -> bool:
    """Whether the chart has to be downloaded."""
    return bool(source.chart_repo_url) or "://" in source.chart_ref


def mismatch(source: Source, metadata: Mapping[str, Any]) -> str:
    """What in a Chart.yaml is not what was asked for, in words, or ""."""
    for what, wanted in zip(("name", "version"), pinned(source), strict=True):
        found = str(metadata.get(what) or "")
        if wanted and wanted.removeprefix("v") != found.removeprefix("v"):
            return f"the {what} in its Chart.yaml is {found}, and {wanted} was asked for"
    return ""


def pinned(source: Source) -> tuple[str, str]:
    """Name and version of a remote chart, as far as the options give them; "" for what only the chart contains."""
    if source.chart_repo_url:
        return source.chart_ref, source.chart_version or ""
    if source.chart_ref.startswith(OCI):
        parts = oci(source.chart_ref)
        return parts.repository.rpartition("/")[2], source.chart_version or parts.version
    return "", source.chart_version or ""


def oci(reference: str) -> Oci:
    """Split an oci:// reference. A version's + is written _ in a tag (https://helm.sh/docs/topics/registries/)."""
    rest, _at, digest = reference.removeprefix(OCI).partition("@")
    repository, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # the colon of a port
        return Oci(rest, "", digest)
    return Oci(repository, tag.replace("_", "+"), digest)


def digest_of(path: Path) -> str:
    """sha256:<hex> of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def keyring_of(source: Source) -> Path:
    """The file of public keys. Helm's default is where GnuPG kept them before version 2.1."""
    if source.keyring:
        return Path(source.keyring).expanduser()
    return Path(os.environ.get("GNUPGHOME") or "~/.gnupg").expanduser() / "pubring.gpg"


def keyring_digest(source: Source) -> str:
    """sha256:<hex> of the keyring, "" where none is needed. InvalidInput where helm could not read it."""
    if not source.verify:
        return ""
    path = keyring_of(source)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"verify is set, and the keyring {path} cannot be read",
            error.strerror or str(error),
            "Export the publisher's key (gpg --export KEY > FILE), and set keyring to that file.",
        ) from error
    if content.startswith(ARMOR):
        raise InvalidInput(
            f"the keyring {path} is ASCII-armored", "helm reads binary keyrings only", "Convert it (gpg --dearmor)."
        )
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def verify_flags(source: Source) -> list[str]:
    """helm's flags for a chart that has to be signed."""
    return ["--verify", "--keyring", str(keyring_of(source))] if source.verify else []


def check(source: Source) -> None:
    """InvalidInput where the options do not go together, leave open which chart is meant, or where the chart is a
    packaged one on this machine without the digest that it should have."""
    _check_form(source)
    if source.chart_repo_url:
        _check_repository(source, source.chart_repo_url)
    elif source.chart_ref.startswith(OCI):
        _check_oci(source)
    elif is_remote(source):
        _check_url(source)
    else:
        _check_path(source)
    keyring_digest(source)


def check_digest(source: Source, digest: str) -> None:
    """InvalidInput where chart_digest is given and is not this one."""
    if source.chart_digest and digest != source.chart_digest:
        raise InvalidInput(
            f"{source} has the digest {digest}, and chart_digest is {source.chart_digest}",
            "either the chart was changed since, or chart_digest is that of another chart or version",
            "Find out which of them before you change chart_digest.",
        )


def _check_form(source: Source) -> None:
    if source.chart_digest and not DIGEST.fullmatch(source.chart_digest):
        raise InvalidInput(
            f"chart_digest {source.chart_digest} is not a digest",
            "it has to be sha256: and 64 hexadecimal digits in lower case",
            "It is the SHA-256 of the packaged chart (sha256sum of the .tgz).",
        )
    if source.chart_version and not SEMVER.fullmatch(source.chart_version):
        raise InvalidInput(
            f"chart_version {source.chart_version} is not one version",
            "a range, or a version with parts missing, can mean another chart tomorrow",
            "Write all of it, e.g. 1.2.3 (https://semver.org).",
        )
    if bool(source.repo_username) != bool(source.repo_password):
        missing, given = ("password", "username") if source.repo_username else ("username", "password")
        raise InvalidInput(f"repo_{missing} is missing beside repo_{given}", "", f"Set repo_{missing}.")
    if source.keyring and not source.verify:
        raise InvalidInput("keyring is set, and verify is not", "no signature would be checked", "Set verify to true.")


def _check_repository(source: Source, repository: str) -> None:
    if repository.startswith(OCI):
        raise InvalidInput(
            f"chart_repo_url {repository} is an OCI reference",
            "a registry has no repository index",
            f"Leave chart_repo_url out, and set chart_ref to {repository.rstrip('/')}/{source.chart_ref}.",
        )
    url = urlsplit(repository)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise InvalidInput(
            f"chart_repo_url {repository} is not the URL of a chart repository",
            "it has to begin with https:// or http://",
            "Give the URL under which index.yaml lies.",
        )
    _check_no_login("chart_repo_url", repository)
    if not NAME.fullmatch(source.chart_ref):
        raise InvalidInput(
            f"chart_ref {source.chart_ref} is not the name of a chart",
            "beside chart_repo_url, it names a chart of that repository",
            "Write the name alone, e.g. tempo, or leave chart_repo_url out.",
        )
    if not source.chart_version:
        raise _unpinned(source)


def _check_oci(source: Source) -> None:
    parts = oci(source.chart_ref)
    _check_no_login("chart_ref", source.chart_ref.partition("@sha256:")[0])
    if not all(parts.repository.split("/")) or "/" not in parts.repository:
        raise InvalidInput(f"chart_ref {source.chart_ref} names no chart", "", "Write oci://registry/path/chart.")
    if parts.digest and not DIGEST.fullmatch(parts.digest):
        raise InvalidInput(
            f"chart_ref {source.chart_ref}: {parts.digest} is not a digest", "", "Write sha256: and 64 digits."
        )
    if parts.version and not SEMVER.fullmatch(parts.version):
        raise InvalidInput(
            f"chart_ref {source.chart_ref}: the tag is not one version",
            "a chart's tag is its version, and any other tag can mean another chart tomorrow",
            "Write all of the version, e.g. :1.2.3.",
        )
    if parts.version and source.chart_version and parts.version != source.chart_version:
        raise InvalidInput(
            f"chart_ref {source.chart_ref} and chart_version {source.chart_version} name different versions",
            "",
            "Leave one of them out.",
        )
    if not (parts.version or parts.digest or source.chart_version):
        raise _unpinned(source)


def _check_url(source: Source) -> None:
    url = urlsplit(source.chart_ref)
    if url.scheme not in ("http", "https") or not url.path.endswith(PACKAGE):
        raise InvalidInput(
            f"chart_ref {source.chart_ref} is not a chart",
            "a URL has to be that of a packaged chart (.tgz), or begin with oci://",
            "For a chart of a repository, set chart_repo_url to the URL and chart_ref to the chart's name.",
        )
    _check_no_login("chart_ref", source.chart_ref)
    if source.repo_username:
        raise InvalidInput(
            "repo_username is set, and chart_ref is the URL of a file",
            "helm takes a password for it on the command line only, where others can read it",
            "Set chart_repo_url to the repository's URL and chart_ref to the chart's name.",
        )
    if not (source.chart_version or source.chart_digest):
        raise _unpinned(source, " or chart_digest")


def _check_path(source: Source) -> None:
    if source.chart_version:
        raise InvalidInput(
            f"chart_version is set, and chart_ref {source.chart_ref} is a path",
            "the version of a chart on this machine is the one in its Chart.yaml",
            "Leave chart_version out, or set chart_repo_url.",
        )
    path, option = Path(source.chart_ref).expanduser(), "chart_digest" if source.chart_digest else "verify"
    if path.is_dir() and (source.chart_digest or source.verify):
        raise InvalidInput(
            f"{option} is set, and chart_ref {source.chart_ref} is a directory",
            "only a packaged chart has a digest and a signature",
            "Package it (helm package), and give the .tgz.",
        )
    if path.is_file() and source.chart_digest:
        check_digest(source, digest_of(path))


def _check_no_login(option: str, url: str) -> None:
    if "@" in urlsplit(url).netloc:
        raise InvalidInput(
            f"{option} holds a user's name or password",
            "results and logs would show it",
            "Use repo_username and repo_password.",
        )


def _unpinned(source: Source, also: str = "") -> InvalidInput:
    return InvalidInput(
        f"chart_version is missing for {source}",
        "the newest chart would be taken, which is another one tomorrow",
        f"Set chart_version{also}.",
    )
