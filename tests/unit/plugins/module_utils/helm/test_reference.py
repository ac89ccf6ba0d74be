# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.helm import reference
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import Oci, Source, check, oci

REPO = "https://charts.example.com"
CHART = "oci://registry.example.com:5000/charts/tempo"
DIGEST = "sha256:" + "0a" * 32
LOGIN = {"repo_username": "u", "repo_password": "p"}


def test_of_params_takes_what_is_set() -> None:
    params = {"chart_ref": "tempo", "chart_repo_url": REPO, "chart_version": "", "keyring": None, "verify": False}
    assert reference.of_params({**params, "release_name": "r"}) == Source(chart_ref="tempo", chart_repo_url=REPO)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHART, Oci("registry.example.com:5000/charts/tempo", "", "")),
        (f"{CHART}:1.2.3", Oci("registry.example.com:5000/charts/tempo", "1.2.3", "")),
        (f"{CHART}:1.2.3_b.1", Oci("registry.example.com:5000/charts/tempo", "1.2.3+b.1", "")),
        (f"{CHART}@{DIGEST}", Oci("registry.example.com:5000/charts/tempo", "", DIGEST)),
        (f"{CHART}:1.2.3@{DIGEST}", Oci("registry.example.com:5000/charts/tempo", "1.2.3", DIGEST)),
    ],
)
def test_oci(text: str, expected: Oci) -> None:
    assert oci(text) == expected
    assert oci(text).host == "registry.example.com:5000"


@pytest.mark.parametrize(
    ("source", "remote", "pinned"),
    [
        (Source("tempo", REPO, "1.2.3"), True, ("tempo", "1.2.3")),
        (Source(CHART, chart_version="1.2.3"), True, ("tempo", "1.2.3")),
        (Source(f"{CHART}:1.2.3_b"), True, ("tempo", "1.2.3+b")),
        (Source(f"{CHART}@{DIGEST}"), True, ("tempo", "")),
        (Source(f"{REPO}/tempo-1.2.3.tgz", chart_version="1.2.3"), True, ("", "1.2.3")),
        (Source(f"{REPO}/tempo-1.2.3.tgz", chart_digest=DIGEST), True, ("", "")),
        (Source("/charts/tempo"), False, ("", "")),
    ],
)
def test_what_the_options_say(source: Source, remote: bool, pinned: tuple[str, str]) -> None:
    check(source)
    assert reference.is_remote(source) is remote
    assert reference.pinned(source) == pinned


def test_a_chart_that_is_another_one() -> None:
    source = Source("tempo", REPO, "v1.2.3")
    assert reference.mismatch(source, {"name": "tempo", "version": "1.2.3"}) == ""
    assert "name in its Chart.yaml is loki" in reference.mismatch(source, {"name": "loki", "version": "1.2.3"})
    assert "1.2.4, and v1.2.3 was asked for" in reference.mismatch(source, {"name": "tempo", "version": "1.2.4"})
    assert reference.mismatch(Source(f"{CHART}@{DIGEST}"), {"name": "tempo", "version": "9.9.9"}) == ""


def test_it_names_itself_without_credentials() -> None:
    assert str(Source("tempo", REPO, "1.2.3", **LOGIN)) == f"chart tempo 1.2.3 of {REPO}"
    assert str(Source(CHART)) == f"chart {CHART}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source("tempo", REPO), "chart_version is missing for chart tempo of https.*Set chart_version"),
        (Source(CHART), "chart_version is missing"),
        (Source(f"{REPO}/tempo.tgz"), "Set chart_version or chart_digest"),
        (Source("tempo", REPO, "1.2"), "chart_version 1.2 is not one version"),
        (Source("tempo", REPO, "^1.2.3"), "is not one version"),
        (Source("tempo", REPO, "1.2.03"), "is not one version"),
        (Source("tempo", REPO, "1.2.3", chart_digest="md5:00"), "chart_digest md5:00 is not a digest"),
        (Source("tempo", REPO, "1.2.3", chart_digest=DIGEST.upper()), "is not a digest.*lower case"),
        (Source("tempo", REPO, "1.2.3", repo_username="u"), "repo_password is missing beside repo_username"),
        (Source("tempo", REPO, "1.2.3", repo_password="p"), "repo_username is missing beside repo_password"),
        (Source("tempo", REPO, "1.2.3", keyring="/k"), "keyring is set, and verify is not"),
        (Source("tempo", "oci://registry.example.com/charts", "1.2.3"), "set chart_ref to oci://.*/charts/tempo"),
        (Source("tempo", "charts.example.com", "1.2.3"), "is not the URL of a chart repository"),
        (Source("tempo", "https://u:p@charts.example.com", "1.2.3"), "chart_repo_url holds a user's name"),
        (Source("stable/tempo", REPO, "1.2.3"), "chart_ref stable/tempo is not the name of a chart"),
        (Source("--post-renderer=x", REPO, "1.2.3"), "is not the name of a chart"),
        (Source("oci://registry.example.com", chart_version="1.2.3"), "names no chart"),
        (Source("oci:///tempo", chart_version="1.2.3"), "names no chart"),
        (Source("oci://u:p@registry.example.com/tempo:1.2.3"), "chart_ref holds a user's name"),
        (Source(f"{CHART}@sha256:00"), "sha256:00 is not a digest"),
        (Source(f"{CHART}:latest"), "the tag is not one version"),
        (Source(f"{CHART}:1.2.3", chart_version="1.2.4"), "name different versions"),
        (Source("ftp://example.com/tempo.tgz", chart_version="1.2.3"), "is not a chart"),
        (Source(f"{REPO}/tempo", chart_version="1.2.3"), "is not a chart.*set chart_repo_url to the URL"),
        (Source("https://u@example.com/tempo.tgz", chart_version="1.2.3"), "chart_ref holds a user's name"),
        (Source(f"{REPO}/tempo.tgz", chart_version="1.2.3", **LOGIN), "repo_username is set, and chart_ref is the URL"),
        (Source("/charts/tempo", chart_version="1.2.3"), "chart_version is set, and chart_ref /charts/tempo is a path"),
    ],
)
def test_what_cannot_work_is_refused(source: Source, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        check(source)
    assert "u:p" not in str(caught.value)


def test_a_packaged_chart_on_this_machine_is_checked(tmp_path: Path) -> None:
    package = tmp_path / "tempo.tgz"
    package.write_bytes(b"a chart")
    digest = reference.digest_of(package)
    check(Source(str(package), chart_digest=digest))
    with pytest.raises(InvalidInput, match=f"has the digest {digest}, and chart_digest is {DIGEST}"):
        check(Source(str(package), chart_digest=DIGEST))
    with pytest.raises(InvalidInput, match="chart_digest is set, and chart_ref .* is a directory"):
        check(Source(str(tmp_path), chart_digest=DIGEST))
    with pytest.raises(InvalidInput, match="verify is set, and chart_ref .* is a directory"):
        check(Source(str(tmp_path), verify=True))


def test_keyrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = tmp_path / "pubring.gpg"
    with pytest.raises(InvalidInput, match=f"the keyring {keyring} cannot be read: No such file.*gpg --export"):
        check(Source("tempo", REPO, "1.2.3", verify=True, keyring=str(keyring)))
    keyring.write_bytes(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    with pytest.raises(InvalidInput, match="ASCII-armored.*gpg --dearmor"):
        check(Source("tempo", REPO, "1.2.3", verify=True, keyring=str(keyring)))
    keyring.write_bytes(b"\x99")
    check(Source("tempo", REPO, "1.2.3", verify=True, keyring=str(keyring)))
    monkeypatch.setenv("GNUPGHOME", str(tmp_path))
    default = Source("tempo", REPO, "1.2.3", verify=True)
    check(default)
    assert reference.verify_flags(default) == ["--verify", "--keyring", str(keyring)]
    assert reference.verify_flags(Source("tempo", REPO, "1.2.3")) == []
