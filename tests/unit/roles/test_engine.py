# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""engine.sh with stand-ins for docker and dockerd: what it decides, and what it never stops."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "roles/local_cluster/files/engine.sh"
# The own engine's client: as docker's, it is led astray by the user's variables.
DOCKER = """#!/bin/sh
echo "$DOCKER_TLS_VERIFY$DOCKER_API_VERSION$DOCKER_CONTEXT $*" >> {log}
[ -z "$DOCKER_TLS_VERIFY$DOCKER_API_VERSION$DOCKER_CONTEXT" ] || {{ echo "wrong variables" >&2; exit 1; }}
[ ! -e {folder}/silent ] || {{ echo "Cannot connect to the Docker daemon" >&2; exit 1; }}
case "$*" in *"ps -aq") cat {folder}/containers ;; *info) ;; *) exit 2 ;; esac
"""
ASTRAY = {"DOCKER_TLS_VERIFY": "1", "DOCKER_API_VERSION": "1.20", "DOCKER_CONTEXT": "elsewhere"}


class Engine:
    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "engine", folder / "log"
        programs = self.folder / "deb/usr"
        (programs / "bin").mkdir(parents=True)
        (programs / "sbin").mkdir()
        (self.folder / "deb/.complete").touch()
        (self.folder / "containers").touch()
        docker = programs / "bin/docker"
        docker.write_text(DOCKER.format(log=self.log, folder=self.folder))
        docker.chmod(0o755)
        shutil.copy(shutil.which("sleep") or "/bin/sleep", programs / "sbin/dockerd")
        self.daemon = subprocess.Popen([programs / "sbin/dockerd", "600"])
        (self.folder / "dockerd.pid").write_text(str(self.daemon.pid))
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.folder / "docker.sock"))

    def run(self, action: str, **environ: str) -> subprocess.CompletedProcess[str]:
        # Without a docker of the user's, so that every machine decides alike.
        path = self.folder.parent / "bin"
        path.mkdir(exist_ok=True)
        for name in ("bash", "cat", "grep", "id", "kill", "ls", "readlink", "seq", "sleep", "tail", "tr", "env"):
            if not (path / name).exists():
                (path / name).symlink_to(str(shutil.which(name)))
        return subprocess.run(
            [path / "bash", SCRIPT, action, self.folder],
            env={"PATH": str(path), **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def runs(self) -> bool:
        return self.daemon.poll() is None


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    # The path of a socket may be no longer than 107 bytes.
    monkeypatch.chdir(tmp_path)
    made = Engine(tmp_path)
    yield made
    made.daemon.kill()
    made.daemon.wait()
    made.socket.close()


@pytest.mark.parametrize("environ", [{}, *({name: value} for name, value in ASTRAY.items()), ASTRAY])
def test_an_engine_with_containers_is_kept(engine: Engine, environ: dict[str, str]) -> None:
    (engine.folder / "containers").write_text("c0ffee\n")
    done = engine.run("stop", **environ)
    assert (done.returncode, done.stdout) == (0, "kept\n") and engine.runs


def test_an_engine_that_does_not_say_what_it_holds_is_left_running(engine: Engine) -> None:
    (engine.folder / "silent").touch()
    done = engine.run("stop")
    assert done.returncode == 1 and engine.runs
    assert f"process {engine.daemon.pid}) does not say whether it holds containers" in done.stderr
    assert done.stderr.endswith("Cannot connect to the Docker daemon\n")


@pytest.mark.parametrize("environ", [{}, ASTRAY])
def test_an_empty_engine_is_stopped(engine: Engine, environ: dict[str, str]) -> None:
    reaped: dict[str, Any] = {}
    # The stand-in is this process's child, which has to be reaped before it is gone.
    waiter = threading.Thread(target=lambda: reaped.update(code=engine.daemon.wait()))
    waiter.start()
    done = engine.run("stop", **environ)
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    waiter.join(10)
    assert reaped["code"] == -15


def test_another_process_of_that_number_is_not_the_engine(engine: Engine) -> None:
    (engine.folder / "dockerd.pid").write_text(str(os.getpid()))
    assert engine.run("stop").stdout == "absent\n"


@pytest.mark.parametrize("environ", [{}, ASTRAY])
def test_the_own_engine_answers_whatever_the_users_variables_say(engine: Engine, environ: dict[str, str]) -> None:
    assert engine.run("check", **environ).stdout == "running\n"
    assert engine.run("start", **environ).stdout == f"running\nunix://{engine.folder}/docker.sock\n"


def test_an_engine_that_the_user_names_is_used_or_the_reason_told(engine: Engine) -> None:
    for action in ("check", "start", "wake"):
        done = engine.run(action, DOCKER_HOST="tcp://10.0.0.9:2375")
        assert done.returncode == 1
        assert "DOCKER_HOST is tcp://10.0.0.9:2375, and no engine answers there" in done.stderr
    docker = engine.folder.parent / "bin/docker"
    docker.write_text('#!/bin/sh\n[ "$DOCKER_HOST" = tcp://10.0.0.9:2375 ]\n')
    docker.chmod(0o755)
    assert engine.run("check", DOCKER_HOST="tcp://10.0.0.9:2375").stdout == "present\n"
    # The own engine, named as such, is the own engine.
    own = f"unix://{engine.folder}/docker.sock"
    assert engine.run("check", DOCKER_HOST=own, DOCKER_TLS_VERIFY="1").stdout == "running\n"


def test_an_ordinary_user_without_an_engine_is_told_before_anything_starts(engine: Engine) -> None:
    (engine.folder / "silent").touch()
    user = engine.folder.parent / "bin/id"
    engine.run("check")
    user.unlink()
    user.write_text("#!/bin/sh\necho 1000\n")
    user.chmod(0o755)
    done = engine.run("check", DOCKER_TLS_VERIFY="1")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        "engine: no container engine answers (of the environment: DOCKER_TLS_VERIFY) and starting one needs root: "
        "start Docker, set DOCKER_HOST, or run this as root\n"
    )
