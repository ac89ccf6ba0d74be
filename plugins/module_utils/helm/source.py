# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a chart comes from, and charts from elsewhere: pinned, downloaded with C(helm pull) once, kept, checked.

A downloaded chart lies in C($XDG_CACHE_HOME/orion-tracing/charts/<key>/<sha256 of the file>.tgz). The key covers what
decides which chart is meant (reference, repository, version) and how it was checked (signature and keyring); the name
holds the content's digest, so that a damaged file shows. An entry appears only when it is complete and checked.

Sources: helm.sh/helm/v4 pkg/action/pull.go, pkg/downloader/chart_downloader.go and pkg/registry/{client,reference}.go
(the same in Helm 3.18+). The file of an OCI chart is its manifest's layer of the media type
application/vnd.cncf.helm.chart.content.v1.tar+gzip, so one digest serves for both kinds of source
(https://helm.sh/docs/topics/registries/#helm-chart-manifest).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput, ToolError
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts

OCI = "oci://"
# https://semver.org; Helm takes a leading v, too, and reads parts that are missing as a range
SEMVER = re.compile(
    r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
REPOSITORY = "source"  # the name under which a repository with credentials is known to helm for one download


class Puller(Protocol):
    """What is needed of R(cli.Helm)."""

    def pull(self, argv_tail: list[str], env_extra: Mapping[str, str]) -> None: ...

    def repo_add(self, argv_tail: list[str], env_extra: Mapping[str, str], password: str) -> None: ...


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


def of_params(params: Mapping[str, Any]) -> Source:
    """The source that a module's options name. Options that are not set keep their defaults."""
    names = [field.name for field in fields(Source)]
    return Source(**{name: params[name] for name in names if params.get(name) is not None})


def is_remote(source: Source) -> bool:
    """Whether the chart has to be downloaded."""
    return bool(source.chart_repo_url) or "://" in source.chart_ref


def pinned(source: Source) -> tuple[str, str]:
    """Name and version of the chart, as far as the options say; "" for what only the chart itself tells."""
    if source.chart_repo_url:
        return source.chart_ref, source.chart_version or ""
    if source.chart_ref.startswith(OCI):
        repository, tag, _digest = _oci(source.chart_ref)
        return repository.rpartition("/")[2], source.chart_version or tag.replace("_", "+")
    return "", source.chart_version or ""


def check(source: Source) -> None:
    """InvalidInput where the options do not go together, or leave open which chart is meant."""
    _check_form(source)
    if not is_remote(source):
        _check_local(source)
    elif source.chart_repo_url:
        _check_repository(source)
    elif source.chart_ref.startswith(OCI):
        _check_oci(source)
    else:
        _check_url(source)


def cached(source: Source) -> Path | None:
    """The chart's file, where it was downloaded before and is whole. A damaged one is removed."""
    for path in sorted(_folder(source).glob("*.tgz"), key=lambda path: path.stat().st_mtime, reverse=True):
        if digest_of(path) != f"sha256:{path.stem}":
            path.unlink(missing_ok=True)
        elif source.chart_digest in (None, "", f"sha256:{path.stem}"):
            return path
    return None


def pull(source: Source, helm: Puller) -> Path:
    """Download the chart with one helm process (two for a repository with credentials), check it and keep it.

    InvalidInput for a file that is not the chart asked for, ToolError with helm's message for everything else.
    """
    folder = _folder(source)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In the cache's own file system, so that the file can be moved into place at once.
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder.parent) as name:
        work = Path(name)
        _download(source, helm, work)
        found = sorted((work / "chart").glob("*.tgz"))
        if len(found) != 1:
            raise ToolError(f"helm pull of {_shown(source)} left {len(found)} charts", "", "Check chart_ref.")
        digest = digest_of(found[0])
        _check_chart(source, found[0], digest)
        path = folder / f"{digest.removeprefix('sha256:')}.tgz"
        os.replace(found[0], path)
    return path


def digest_of(path: Path) -> str:
    """sha256:<hex> of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "orion-tracing" / "charts"


def _check_form(source: Source) -> None:
    if source.chart_digest and not DIGEST.fullmatch(source.chart_digest):
        raise InvalidInput(
            f"chart_digest {source.chart_digest} is not a digest",
            "it has to be sha256: and 64 hexadecimal digits",
            "It is the SHA-256 of the packaged chart (sha256sum chart.tgz).",
        )
    if source.chart_version and not SEMVER.fullmatch(source.chart_version):
        raise InvalidInput(
            f"chart_version {source.chart_version} is not one version",
            "ranges and parts of a version would mean another chart tomorrow",
            "Write all of it, e.g. 1.2.3 (https://semver.org).",
        )
    if bool(source.repo_username) != bool(source.repo_password):
        missing = "repo_password" if source.repo_username else "repo_username"
        raise InvalidInput(f"{missing} is missing", "both or none are needed", f"Set {missing}.")


def _check_local(source: Source) -> None:
    for name in ("chart_version", "repo_username", "repo_ca_file", "insecure_skip_tls_verify", "plain_http"):
        if getattr(source, name):
            raise InvalidInput(
                f"{name} is set, and chart_ref {source.chart_ref} is a path",
                "it says something about a download only",
                f"Remove {name}, or set chart_repo_url.",
            )


def _check_repository(source: Source) -> None:
    url = urlsplit(source.chart_repo_url or "")
    if (source.chart_repo_url or "").startswith(OCI):
        raise InvalidInput(
            f"chart_repo_url {source.chart_repo_url} is an OCI reference",
            "OCI registries have no repository index",
            f"Leave chart_repo_url out, and set chart_ref to {source.chart_repo_url}/{source.chart_ref}.",
        )
    if url.scheme not in ("http", "https") or not url.hostname:
        raise InvalidInput(
            f"chart_repo_url {source.chart_repo_url} is not the URL of a chart repository",
            "it has to begin with https:// or http://",
            "Give the URL under which index.yaml lies.",
        )
    _check_no_password("chart_repo_url", source.chart_repo_url or "")
    if not NAME.fullmatch(source.chart_ref):
        raise InvalidInput(
            f"chart_ref {source.chart_ref} is not the name of a chart",
            "with chart_repo_url, it names a chart in that repository",
            "Write the name alone, e.g. tempo.",
        )
    if not source.chart_version:
        raise _unpinned(source)


def _check_oci(source: Source) -> None:
    repository, tag, digest = _oci(source.chart_ref)
    _check_no_password("chart_ref", source.chart_ref)
    if "/" not in repository:
        raise InvalidInput(
            f"chart_ref {source.chart_ref} names no chart", "", "Write oci://registry/path/chart, and chart_version."
        )
    if digest and not DIGEST.fullmatch(digest):
        raise InvalidInput(f"chart_ref {source.chart_ref}: {digest} is not a digest", "", "Write @sha256:<64 digits>.")
    if tag and source.chart_version and tag.replace("_", "+") != source.chart_version:
        raise InvalidInput(
            f"chart_ref {source.chart_ref} and chart_version {source.chart_version} name different versions",
            "",
            "Leave one of them out.",
        )
    if tag and not SEMVER.fullmatch(tag.replace("_", "+")):
        raise InvalidInput(
            f"chart_ref {source.chart_ref}: the tag {tag} is not a version",
            "a chart's tag is its version, and any other tag may mean another chart tomorrow",
            "Write the version, e.g. :1.2.3, or set chart_version.",
        )
    if not (tag or digest or source.chart_version):
        raise _unpinned(source)


def _check_url(source: Source) -> None:
    url = urlsplit(source.chart_ref)
    if url.scheme not in ("http", "https") or not url.path.endswith((".tgz", ".tar.gz")):
        raise InvalidInput(
            f"chart_ref {source.chart_ref} is not a chart",
            "a URL has to be that of a packaged chart (.tgz) or begin with oci://",
            "For a chart repository, set chart_repo_url to its URL and chart_ref to the chart's name.",
        )
    _check_no_password("chart_ref", source.chart_ref)
    if source.repo_username:
        raise InvalidInput(
            "repo_username is set, and chart_ref is the URL of a file",
            "helm would need the password on its command line",
            "Set chart_repo_url to the repository's URL and chart_ref to the chart's name.",
        )
    if not (source.chart_version or source.chart_digest):
        raise _unpinned(source)


def _check_no_password(option: str, url: str) -> None:
    if "@" in urlsplit(url).netloc:
        raise InvalidInput(
            f"{option} holds credentials", "they would show in results and logs", "Use repo_username and repo_password."
        )


def _unpinned(source: Source) -> InvalidInput:
    return InvalidInput(
        f"chart_version is missing for {_shown(source)}",
        "without it the newest chart would be taken, which is another one tomorrow",
        "Set chart_version (helm show chart tells the newest).",
    )


def _oci(reference: str) -> tuple[str, str, str]:
    """Host and path, tag, digest of an oci:// reference; the last two may be empty."""
    rest, _at, digest = reference.removeprefix(OCI).partition("@")
    path, colon, tag = rest.rpartition(":")
    return (path, tag, digest) if colon and "/" not in tag else (rest, "", digest)


def _shown(source: Source) -> str:
    where = f" of {source.chart_repo_url}" if source.chart_repo_url else ""
    return f"chart {source.chart_ref}{where}"


def _folder(source: Source) -> Path:
    keyring = ""
    if source.verify:
        path = _keyring(source)
        keyring = digest_of(path) if path.is_file() else ""
    key = [source.chart_repo_url or "", source.chart_ref, source.chart_version or "", source.verify, keyring]
    return cache_folder() / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]


def _keyring(source: Source) -> Path:
    """The file of public keys; helm's default is what GnuPG used before 2.1."""
    if source.keyring:
        return Path(source.keyring).expanduser()
    return Path(os.environ.get("GNUPGHOME") or "~/.gnupg").expanduser() / "pubring.gpg"


def _download(source: Source, helm: Puller, work: Path) -> None:
    target = work / "chart"
    target.mkdir()
    flags = _transport(source)
    with _settings(source, work) as env:
        reference = source.chart_ref
        argv = ["--destination", str(target)]
        if source.chart_repo_url and source.repo_username:
            add = [REPOSITORY, source.chart_repo_url, "--username", source.repo_username, "--password-stdin"]
            helm.repo_add([*add, *[flag for flag in flags if flag != "--plain-http"]], env, source.repo_password or "")
            reference = f"{REPOSITORY}/{source.chart_ref}"
        elif source.chart_repo_url:
            argv += ["--repo", source.chart_repo_url]
        if source.chart_version and (source.chart_repo_url or reference.startswith(OCI)):
            argv += ["--version", source.chart_version]
        if source.verify:
            argv += ["--verify", "--keyring", str(_keyring(source))]
        helm.pull([reference, *argv, *flags], env)


def _transport(source: Source) -> list[str]:
    flags: list[str] = []
    if source.repo_ca_file:
        flags += ["--ca-file", str(Path(source.repo_ca_file).expanduser())]
    if source.insecure_skip_tls_verify:
        flags.append("--insecure-skip-tls-verify")
    if source.plain_http:
        flags.append("--plain-http")
    return flags


@contextmanager
def _settings(source: Source, work: Path) -> Iterator[dict[str, str]]:
    """Helm's own configuration and caches for one download: repositories and files of the user's would mix in
    otherwise (Helm 4 takes a file with the right name from its cache without looking into it). A login that the user
    has done (helm registry login) holds where no credentials are given."""
    env = {
        "HELM_REPOSITORY_CONFIG": str(work / "repositories.yaml"),
        "HELM_REPOSITORY_CACHE": str(work / "cache"),
        "HELM_CONTENT_CACHE": str(work / "content"),
    }
    if source.repo_username and not source.chart_repo_url:
        host = _oci(source.chart_ref)[0].partition("/")[0]
        login = base64.b64encode(f"{source.repo_username}:{source.repo_password}".encode()).decode()
        path = work / "registry.json"
        path.touch(0o600)
        path.write_text(json.dumps({"auths": {host: {"auth": login}}}), "utf-8")
        env["HELM_REGISTRY_CONFIG"] = str(path)
    yield env


def _check_chart(source: Source, path: Path, digest: str) -> None:
    shown = _shown(source)
    if source.chart_digest and digest != source.chart_digest:
        raise InvalidInput(
            f"{shown} has the digest {digest}, and chart_digest is {source.chart_digest}",
            "the chart was changed, or chart_digest is that of another one",
            "Find out which before you change chart_digest.",
        )
    metadata = charts.load(str(path)).metadata
    name, version = pinned(source)
    for what, wanted, found in (("name", name, metadata["name"]), ("version", version, metadata.get("version", ""))):
        if wanted and wanted.removeprefix("v") != str(found).removeprefix("v"):
            raise InvalidInput(
                f"{shown}: the {what} in its Chart.yaml is {found}", f"{wanted} was asked for", "Ask who publishes it."
            )
