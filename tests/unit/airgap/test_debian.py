"""Debian packages: which, from where, and how they become one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from airgap import debian, recipes
from airgap.errors import AirgapError
from airgap.spec import Artifact


def test_sources_are_one_suite_its_updates_and_its_security_updates():
    lines = debian.source_lines(["http://one/debian", "http://one/debian-security"], "bookworm", Path("/key.gpg"))
    assert lines == [
        "deb [signed-by=/key.gpg] http://one/debian bookworm main",
        "deb [signed-by=/key.gpg] http://one/debian bookworm-updates main",
        "deb [signed-by=/key.gpg] http://one/debian-security bookworm-security main",
    ]


def test_mirrors_can_be_named(monkeypatch):
    monkeypatch.setenv(debian.MIRROR_VARIABLE, "http://own/debian http://own/debian-security")
    assert debian.mirrors() == ["http://own/debian", "http://own/debian-security"]


def test_a_package_is_read_from_its_file_name():
    assert debian.package_of(Path("conntrack_1%3a1.4.7-1+b2_amd64.deb")) == ("conntrack", "1:1.4.7-1+b2")


def test_unwanted_dependencies_are_left_out():
    debs = [Path(f"{name}_1_amd64.deb") for name in ("perl-base", "libperl5.36", "bash")]
    assert debian.chosen(debs, ["*perl*"]) == [debs[2]]


def test_usr_is_merged(tmp_path):
    for path in ("bin/sh", "lib/x/one", "usr/lib/x/two", "usr/bin/env"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "lib/x/link").symlink_to("one")
    for name in debian.MERGED:
        debian.merge(tmp_path / name, tmp_path / "usr" / name)
    assert not (tmp_path / "bin").exists()
    assert (tmp_path / "usr/bin/sh").read_text() == "bin/sh"
    assert (tmp_path / "usr/lib/x/link").readlink() == Path("one")
    assert sorted(path.name for path in (tmp_path / "usr/lib/x").iterdir()) == ["link", "one", "two"]


def test_authorities_become_one_file(tmp_path):
    debian.write_certificates(tmp_path)
    assert not (tmp_path / "etc").exists()
    folder = tmp_path / "usr/share/ca-certificates/mozilla"
    folder.mkdir(parents=True)
    (folder / "b.crt").write_text("B")
    (folder / "a.crt").write_text("A\n")
    debian.write_certificates(tmp_path)
    assert (tmp_path / "etc/ssl/certs/ca-certificates.crt").read_text() == "A\nB\n"


def test_what_no_container_reads_is_dropped(tmp_path):
    for path in ("usr/share/doc/x/copyright", "etc/cron.d/x", "etc/passwd"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    debian.drop(tmp_path, ["usr/share/doc", "etc/cron.*", "not/there"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["passwd"]


@pytest.mark.parametrize(("found", "good"), [("2.42.0+ds-5", True), ("1%3a2.42.0-1", True), ("2.45.0-1", False)])
def test_an_image_is_not_named_after_a_version_that_the_archive_no_longer_has(found, good):
    artifact = Artifact("prometheus", "debian", {"packages": ["prometheus"], "version": "2.42.0"})
    debs = [Path(f"prometheus_{found}_amd64.deb")]
    if good:
        recipes.check_version(artifact, debs)
    else:
        with pytest.raises(AirgapError, match="says prometheus is 2.42.0, the archive has 2.45.0-1; change"):
            recipes.check_version(artifact, debs)


def test_without_apt_the_error_says_where_to_build_instead(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AirgapError, match="apt-get or dpkg-deb not found: .* build on a Debian or Ubuntu machine"):
        debian.Apt(tmp_path / "apt", "bookworm", tmp_path / "log").update()
