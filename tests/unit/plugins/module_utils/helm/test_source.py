# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What helm is asked for, and what becomes of its answers; tests/integration/test_chart_sources.py asks helm itself."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
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
from ansible_collections.orion.tracing.plugins.module_utils.helm import reference, source
from ansible_collections.orion.tracing.plugins.module_utils.helm.source import Source

REPO = "https://charts.example.com"
OCI = "oci://registry.example.com/charts/tempo"
LOGIN = {"repo_username": "reader", "repo_password": "never-an-argument"}
PACKAGE = charts.archive(charts.of_files({"Chart.yaml": b"name: tempo\nversion: 1.2.3"}), {})


class Puller:
    """Plays helm: leaves a chart where it is asked to, or fails."""

    def __init__(self, package: bytes = PACKAGE, error: Exception | None = None, files: int = 1) -> None:
        self.package, self.error, self.files = package, error, files
        self.calls: list[list[str]] = []
        self.passwords: list[str] = []
        self.registries: list[tuple[dict, int]] = []

    def pull(self, argv_tail: list[str], env_extra: Mapping[str, str]) -> None:
        self.calls.append(["pull", *argv_tail])
        if "HELM_REGISTRY_CONFIG" in env_extra:
            path = Path(env_extra["HELM_REGISTRY_CONFIG"])
            self.registries.append((json.loads(path.read_text()), stat.S_IMODE(path.stat().st_mode)))
        target = Path(argv_tail[argv_tail.index("--destination") + 1])
        for number in range(self.files):
            (target / f"tempo-{number}.tgz").write_bytes(self.package)
        if self.error:
            raise self.error

    def repo_add(self, argv_tail: list[str], env_extra: Mapping[str, str], password: str) -> None:
        self.calls.append(["repo", "add", *argv_tail])
        self.passwords.append(password)

    @property
    def words(self) -> list[list[str]]:
        """The arguments without the folder, which is another one each time."""
        return [
            [word for before, word in zip(["", *call], call, strict=False) if "--destination" not in (before, word)]
            for call in self.calls
        ]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "orion-tracing" / "charts"


@pytest.mark.parametrize(
    ("wanted", "calls"),
    [
        (Source("tempo", REPO, "1.2.3"), [["pull", "tempo", "--repo", REPO, "--version", "1.2.3"]]),
        (
            Source("tempo", REPO, "1.2.3", repo_ca_file="/ca.pem", **LOGIN),
            [
                ["repo", "add", "source", REPO, "--username", "reader", "--password-stdin", "--ca-file", "/ca.pem"],
                ["pull", "source/tempo", "--version", "1.2.3", "--ca-file", "/ca.pem"],
            ],
        ),
        (Source(OCI, chart_version="1.2.3"), [["pull", OCI, "--version", "1.2.3"]]),
        (
            Source(f"{OCI}:1.2.3", insecure_skip_tls_verify=True),
            [["pull", OCI, "--version", "1.2.3", "--insecure-skip-tls-verify"]],
        ),
        (Source(f"{OCI}:1.2.3", plain_http=True), [["pull", OCI, "--version", "1.2.3", "--plain-http"]]),
        (Source(f"{OCI}@sha256:{'0' * 64}"), [["pull", f"{OCI}@sha256:{'0' * 64}"]]),
        (Source(f"{REPO}/tempo-1.2.3.tgz", chart_version="1.2.3"), [["pull", f"{REPO}/tempo-1.2.3.tgz"]]),
    ],
)
def test_what_helm_is_asked_for(wanted: Source, calls: list[list[str]]) -> None:
    puller = Puller()
    path = source.pull(wanted, puller)
    assert puller.words == calls
    assert path.read_bytes() == PACKAGE
    assert source.cached(wanted) == path


def test_passwords_go_through_standard_input_and_a_private_file(cache: Path) -> None:
    puller = Puller()
    source.pull(Source("tempo", REPO, "1.2.3", **LOGIN), puller)
    source.pull(Source(OCI, chart_version="1.2.3", **LOGIN), puller)
    source.pull(Source("oci://docker.io/charts/tempo", chart_version="1.2.3", **LOGIN), puller)
    secret = base64.b64encode(b"reader:never-an-argument").decode()
    assert puller.passwords == ["never-an-argument"]
    assert puller.registries == [
        ({"auths": {"registry.example.com": {"auth": secret}}}, 0o600),
        ({"auths": {"https://index.docker.io/v1/": {"auth": secret}}}, 0o600),
    ]
    assert "never-an-argument" not in str(puller.calls)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".tgz"]


def test_signatures_are_asked_for(tmp_path: Path) -> None:
    keyring = tmp_path / "keys.gpg"
    keyring.write_bytes(b"\x99")
    puller, wanted = Puller(), Source(OCI, chart_version="1.2.3", verify=True, keyring=str(keyring))
    source.pull(wanted, puller)
    assert puller.words == [["pull", OCI, "--version", "1.2.3", "--verify", "--keyring", str(keyring)]]
    keyring.write_bytes(b"\x98")
    assert source.cached(wanted) is None, "verified with another keyring"


def test_references_to_the_same_version_share_a_file() -> None:
    path = source.pull(Source(f"{OCI}:1.2.3"), Puller())
    assert source.cached(Source(OCI, chart_version="1.2.3")) == path
    assert source.cached(Source(OCI, chart_version="1.2.4")) is None
    assert source.cached(Source(OCI, chart_version="1.2.3", insecure_skip_tls_verify=True)) is None


def test_a_damaged_file_is_removed() -> None:
    wanted = Source("tempo", REPO, "1.2.3")
    path = source.pull(wanted, Puller())
    path.write_bytes(PACKAGE[:-1])
    assert source.cached(wanted) is None
    assert not path.exists()


def test_a_chart_with_another_digest_is_not_kept(cache: Path) -> None:
    right = source.pull(Source("tempo", REPO, "1.2.3"), Puller())
    digest, other = reference.digest_of(right), "sha256:" + "0" * 64
    right.unlink()
    with pytest.raises(InvalidInput, match=f"digest {digest}, and chart_digest is {other}"):
        source.pull(Source("tempo", REPO, "1.2.3", chart_digest=other), Puller())
    assert not [path for path in cache.rglob("*") if path.is_file()]
    wanted = Source("tempo", REPO, "1.2.3", chart_digest=digest)
    assert source.pull(wanted, Puller()) == source.cached(wanted)
    assert source.cached(Source("tempo", REPO, "1.2.3", chart_digest=other)) is None


def test_another_chart_or_none_is_not_kept(cache: Path) -> None:
    with pytest.raises(InvalidInput, match="version in its Chart.yaml is 1.2.3, and 1.2.4 was asked for"):
        source.pull(Source("tempo", REPO, "1.2.4"), Puller())
    with pytest.raises(InvalidInput, match="cannot be read"):
        source.pull(Source("tempo", REPO, "1.2.3"), Puller(b"<html>a login page</html>"))
    with pytest.raises(ToolError, match="left 0 charts behind"):
        source.pull(Source("tempo", REPO, "1.2.3"), Puller(files=0))
    assert not [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ('looks like "X" is not a valid chart repository or cannot be reached: dial tcp', Unreachable, "HTTPS_PROXY"),
        ("failed to fetch X/index.yaml : 503 Service Unavailable", Unreachable, "HTTPS_PROXY"),
        ("failed to fetch X/index.yaml : 401 Unauthorized", PermissionDenied, "repo_username"),
        ("failed to fetch X/index.yaml : 403 ", PermissionDenied, "repo_username"),
        ("GET X: basic credential not found", PermissionDenied, "repo_username"),
        ("GET X: response status code 403: denied: requested access", PermissionDenied, "repo_username"),
        ("failed to fetch X/index.yaml : 404 Not Found", NotFound, "chart_repo_url"),
        ('chart "tempo" version "1.2.3" not found in X repository', NotFound, "does not exist"),
        (
            "chart \"tempo\" matching 1.2.3 not found in source index. (try 'helm repo update'): no",
            NotFound,
            "found: no",
        ),
        ("tls: failed to verify certificate: x509: unknown authority", Unreachable, "repo_ca_file"),
        ("http: server gave HTTP response to HTTPS client", Unreachable, "plain_http"),
        ('failed to fetch provenance "X.prov"', ToolError, "is not verified"),
        ("openpgp: signature made by unknown entity", ToolError, "is not verified"),
        ("something else", ToolError, "cannot be downloaded: something else"),
    ],
)
@pytest.mark.parametrize("kind_of_helm_error", [ToolError, Unreachable])
def test_what_helm_s_messages_mean(
    message: str, kind: type[TracingError], words: str, kind_of_helm_error: type[TracingError]
) -> None:
    error = kind_of_helm_error("helm pull: failed", message, "Look at the cluster.", helm_exit_code=1)
    with pytest.raises(kind, match=f"chart tempo 1.2.3 of {REPO} .*{words}") as caught:
        source.pull(Source("tempo", REPO, "1.2.3"), Puller(error=error))
    assert caught.value.__class__ is kind
    assert caught.value.details == {"helm_exit_code": 1}
    assert "cluster" not in str(caught.value)


@pytest.mark.parametrize("name", ["keyring", "tls-proxy", "denied"])
def test_a_chart_s_name_does_not_decide_what_a_message_means(name: str) -> None:
    message = f'chart "{name}" version "1.0.403" not found in {REPO} repository'
    error = ToolError("helm pull: failed", message, helm_exit_code=1)
    with pytest.raises(NotFound, match=f"{name} 1.0.403"):
        source.pull(Source(name, REPO, "1.0.403"), Puller(error=error))


def test_an_error_that_is_not_helm_s_own_stays() -> None:
    error = ToolError("helm is missing", "no helm on PATH", "Install it.")
    with pytest.raises(ToolError) as caught:
        source.pull(Source("tempo", REPO, "1.2.3"), Puller(error=error))
    assert caught.value is error


def test_a_download_that_does_not_end() -> None:
    error = TimedOut("helm pull did not end within 300 s", "", "Raise timeout.")
    with pytest.raises(TimedOut, match="tempo 1.2.3 of .*within 300 s.*HTTPS_PROXY") as caught:
        source.pull(Source("tempo", REPO, "1.2.3"), Puller(error=error))
    assert "Raise timeout" not in str(caught.value)


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_a_cache_that_cannot_be_written_is_named(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder can be made below it")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    with pytest.raises(InvalidInput) as caught:
        source.pull(Source("tempo", REPO, "1.2.3"), Puller())
    assert f"the cache of charts {tmp_path / 'file'}" in str(caught.value)
    assert "Not a directory" in str(caught.value)
    assert "Set XDG_CACHE_HOME" in str(caught.value)


def test_folders_of_helms_own_that_cannot_be_written_are_named() -> None:
    refused = ToolError("helm pull: failed", "mkdir /nonexistent: permission denied", helm_exit_code=1)
    with pytest.raises(ToolError, match="Set HELM_CACHE_HOME"):
        source.pull(Source("tempo", REPO, "1.2.3"), Puller(error=refused))
