# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can stop `make up` is asked before anything is built."""

from __future__ import annotations

import json
import socket
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import local, machine
from tools.steps import Failed

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an engine, room and no proxies."""
    monkeypatch.setattr(machine, "STATE", tmp_path)
    for name in machine.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(100 * machine.GIB, 0, 60 * machine.GIB))
    answers(monkeypatch, 0)


def answers(monkeypatch: pytest.MonkeyPatch, code: int, words: str = "") -> None:
    done = SimpleNamespace(returncode=code, stdout="present\n", stderr=words)
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: done)


def room(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(0, 0, int(gib * machine.GIB)))


def test_an_able_machine_is_not_talked_about(able: None, capsys: pytest.CaptureFixture[str]) -> None:
    machine.check()
    assert capsys.readouterr().out == ""


def test_everything_at_once_and_before_anything_is_built(able: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, 1, "engine: no container engine answers and starting one needs root: start Docker\n")
    room(monkeypatch, 2)
    monkeypatch.setenv("https_proxy", "http://user:hidden@127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hidden@127.0.0.1:9")
    monkeypatch.setattr(local, "prepare", lambda *_: pytest.fail("something is built"))
    with pytest.raises(Failed) as caught:
        local.up()
    first, *problems = str(caught.value).splitlines()
    assert first == "This machine is not ready, and nothing was changed:"
    engine, space, proxy = problems
    assert engine == "- no container engine answers and starting one needs root: start Docker"
    assert "has 2.0 GiB free, and a cluster with its images takes 5: make room" in space
    assert proxy.startswith("- https_proxy names a proxy that does not answer (127.0.0.1: ")
    assert "hidden" not in str(caught.value)


def test_what_is_built_needs_neither_room_nor_proxy(
    able: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kind").touch()
    known = tmp_path / "local.json"
    room(monkeypatch, 10)
    known.write_text(json.dumps({"kind": str(tmp_path / "kind"), "helm": str(tmp_path / "kind"), "archives": []}))
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    machine.check()
    printed = capsys.readouterr().out
    assert printed.startswith("ALL_PROXY names a proxy that does not answer") and "20" not in printed
    known.write_text(json.dumps({"kind": str(tmp_path / "gone"), "archives": []}))
    with pytest.raises(Failed, match="ALL_PROXY names a proxy"):
        machine.check()
    assert "has 10.0 GiB free. Where images have to be built, 20 are needed" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["http://127.0.0.1:{port}", "127.0.0.1:{port}"])
def test_a_proxy_that_answers(able: None, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("http_proxy", value.format(port=server.getsockname()[1]))
        machine.check()


@pytest.mark.parametrize("value", ["http://", "http://h:port", "::"])
def test_a_proxy_that_is_none(able: None, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(Failed, match="http_proxy names a proxy that does not answer"):
        machine.check()
