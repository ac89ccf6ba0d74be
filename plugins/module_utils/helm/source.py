# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Charts from elsewhere: downloaded with C(helm pull), checked, and kept.

A chart lies in C($XDG_CACHE_HOME/orion-tracing/charts/<key>/<digest>.tgz). The key covers what decides which chart is
meant (reference, repository, version) and how far it can be trusted (TLS, signature, the keyring's content); the digest
is the SHA-256 of the file, so that a damaged one shows. Only checked charts come there, each by one renaming.

Sources: helm.sh/helm/v4 pkg/action/pull.go, pkg/downloader/chart_downloader.go, pkg/getter/httpgetter.go and
pkg/registry/client.go (the same in Helm 3.18+). The file of an OCI chart is its manifest's layer of the media type
application/vnd.cncf.helm.chart.content.v1.tar+gzip, so one digest serves for every kind of source
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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
    TimedOut,
    ToolError,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import reference
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import (
    OCI,
    Source,
    check,
    digest_of,
    is_remote,
    of_params,
    pinned,
)

__all__ = ["Source", "cached", "check", "is_remote", "of_params", "pinned", "pull"]

REPOSITORY = "source"  # the name of a repository with a password, for the time of one download
# Which names a login is looked up by, see oras.land/oras-go/v2 registry/remote/credentials/registry.go
DOCKER_HUB = {"docker.io": "https://index.docker.io/v1/", "registry-1.docker.io": "https://index.docker.io/v1/"}
HOME = "Set XDG_CACHE_HOME to a folder that the module may write to (environment of the task), or correct HOME."
HELM_HOME = (
    "Set HELM_CACHE_HOME, HELM_CONFIG_HOME and HELM_DATA_HOME to folders that helm may write to (environment of the"
    " task), or correct HOME."
)
NETWORK = "Check the address, and the proxy settings (HTTPS_PROXY, NO_PROXY) of the host the module runs on."
# Helm has no exit codes for these: words of its messages, the error they mean, what is wrong, what to do.
FAILURES: list[tuple[str, type[TracingError], str, str]] = [
    (
        r"(mkdir|open|rename) .*: (permission denied|read-only file system)",
        ToolError,
        "cannot be downloaded",
        HELM_HOME,
    ),
    (
        r"provenance|openpgp|keyring|signature|sha256 sum does not match",
        ToolError,
        "is not verified",
        "Set keyring to the publisher's public key, or verify to false if the chart is not signed.",
    ),
    (
        r"x509|tls:|HTTP response to HTTPS client",
        Unreachable,
        "cannot be downloaded",
        "Set repo_ca_file to the certificate authority's file; plain_http if the registry has no TLS.",
    ),
    (
        r"(: |status code )40[13]\b|[Uu]nauthorized|[Ff]orbidden|denied|credential not found",
        PermissionDenied,
        "may not be downloaded",
        "Check repo_username and repo_password, and what that user may read.",
    ),
    (
        r"not found|(: |status code )404\b|NAME_UNKNOWN|MANIFEST_UNKNOWN",
        NotFound,
        "does not exist",
        "Check chart_repo_url, chart_ref and chart_version.",
    ),
    (
        r"dial tcp|cannot be reached|connection re|timeout|EOF|(: |status code )5\d\d\b",
        Unreachable,
        "cannot be downloaded",
        NETWORK,
    ),
]


class Puller(Protocol):
    """What is needed of R(cli.Helm)."""

    def pull(self, argv_tail: list[str], env_extra: Mapping[str, str]) -> None: ...

    def repo_add(self, argv_tail: list[str], env_extra: Mapping[str, str], password: str) -> None: ...


def cached(source: Source) -> Path | None:
    """The file of a remote chart, where it was downloaded before, is whole, and has the digest that it should have.
    A damaged one is removed."""
    folder = _folder(source)
    with _cache_errors(folder), suppress(FileNotFoundError):  # another run removed one
        for path in sorted(folder.glob("*.tgz"), key=os.path.getmtime, reverse=True):
            digest = digest_of(path)
            if digest != f"sha256:{path.stem}":
                path.unlink(missing_ok=True)
            elif source.chart_digest in (None, digest):
                return path
    return None


def pull(source: Source, helm: Puller) -> Path:
    """Download a remote chart, check and keep it: one helm process, two for a repository with a password.

    Unreachable, PermissionDenied, NotFound or ToolError (not signed) with helm's message; InvalidInput where the chart
    is not the one that was asked for, and then it is not kept. InvalidInput where the cache cannot be written.
    """
    folder = _folder(source)
    with _cache_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _pull(source, helm, folder)


@contextmanager
def _cache_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"the cache of charts {folder.parent} cannot be used", error.strerror or str(error), HOME
        ) from error


def _pull(source: Source, helm: Puller, folder: Path) -> Path:
    # The chart comes into the cache's own file system, so that it can be renamed; passwords do not come near it.
    with (
        tempfile.TemporaryDirectory(prefix=".pull-", dir=folder.parent) as download,
        tempfile.TemporaryDirectory(prefix="orion-tracing-") as settings,
    ):
        try:
            _download(source, helm, download, Path(settings))
        except TracingError as error:
            raise _explained(source, error) from error
        found = list(Path(download).glob("*.tgz"))
        if len(found) != 1:
            raise ToolError(f"helm pull of {source} left {len(found)} charts behind", "", "Check chart_ref.")
        digest = digest_of(found[0])
        reference.check_digest(source, digest)
        wrong = reference.mismatch(source, charts.load(str(found[0])).metadata)
        if wrong:
            raise InvalidInput(f"{source} is another chart", wrong, "Tell the publisher of the chart.")
        path = folder / f"{digest.removeprefix('sha256:')}.tgz"
        os.replace(found[0], path)
    return path


def _folder(source: Source) -> Path:
    name, version = reference.pinned(source)
    repository, digest = source.chart_repo_url or source.chart_ref, ""
    if repository.startswith(OCI):
        parts = reference.oci(repository)
        repository, digest = OCI + parts.repository, parts.digest
    trust = [source.insecure_skip_tls_verify, source.plain_http]
    key = json.dumps([repository, name, version, digest, trust, reference.keyring_digest(source)])
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError as error:
        raise InvalidInput("there is no folder for the cache of charts", str(error), HOME) from error
    return base / "orion-tracing" / "charts" / hashlib.sha256(key.encode()).hexdigest()[:32]


def _download(source: Source, helm: Puller, target: str, settings: Path) -> None:
    name, version, tls = source.chart_ref, source.chart_version, _tls(source)
    # The user's own repositories and files stay out of it: Helm 4 takes a chart from its content cache unseen.
    env = {
        "HELM_REPOSITORY_CONFIG": str(settings / "repositories.yaml"),
        "HELM_REPOSITORY_CACHE": str(settings / "cache"),
        "HELM_CONTENT_CACHE": str(settings / "content"),
    }
    argv = ["--destination", target]
    if source.chart_repo_url and source.repo_username:
        # The password is sent to the repository's own host only, whatever URLs its index has.
        login = ["--username", source.repo_username, "--password-stdin"]
        helm.repo_add([REPOSITORY, source.chart_repo_url, *login, *tls], env, source.repo_password or "")
        name = f"{REPOSITORY}/{name}"
    elif source.chart_repo_url:
        argv += ["--repo", source.chart_repo_url]
    elif name.startswith(OCI):
        parts = reference.oci(name)
        # Helm does not find a version with a + by its tag, only by --version.
        name = f"{OCI}{parts.repository}" + (f"@{parts.digest}" if parts.digest else "")
        version = version or parts.version
        if source.repo_username:
            env["HELM_REGISTRY_CONFIG"] = _login(source, parts.host, settings)
    else:
        version = None  # helm ignores it for a URL
    argv += ["--version", version] if version else []
    argv += [*reference.verify_flags(source), *tls, *(["--plain-http"] if source.plain_http else [])]
    helm.pull([name, *argv], env)


def _tls(source: Source) -> list[str]:
    flags = ["--ca-file", str(Path(source.repo_ca_file).expanduser())] if source.repo_ca_file else []
    return [*flags, "--insecure-skip-tls-verify"] if source.insecure_skip_tls_verify else flags


def _login(source: Source, host: str, settings: Path) -> str:
    """A registry configuration as helm registry login leaves it. Without one, the user's own login holds."""
    path = settings / "registry.json"
    path.touch(0o600)
    secret = base64.b64encode(f"{source.repo_username}:{source.repo_password}".encode()).decode()
    path.write_text(json.dumps({"auths": {DOCKER_HUB.get(host, host): {"auth": secret}}}), "utf-8")
    return str(path)


def _explained(source: Source, error: TracingError) -> TracingError:
    """What helm's message means for a download. The error itself where helm did not run to its end."""
    if isinstance(error, TimedOut):
        return TimedOut(f"{source} cannot be downloaded", error.what, NETWORK)
    if "helm_exit_code" not in error.details:
        return error
    why = error.why.replace(f" in {REPOSITORY} index. (try 'helm repo update')", "")
    said = why
    for own in filter(None, (source.chart_repo_url, source.chart_ref, source.chart_version)):
        said = said.replace(own, "")  # a chart may be called keyring
    for words, kind, what, remedy in FAILURES:
        if re.search(words, said):
            return kind(f"{source} {what}", why, remedy, **error.details)
    return ToolError(f"{source} cannot be downloaded", why, "", **error.details)
