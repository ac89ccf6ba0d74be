# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real VictoriaLogs on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import program, until
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

ARGS = ("-httpListenAddr=:9428", "-storageDataPath=/var/lib/victorialogs")


@dataclass
class Server:
    program: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def reader(self) -> VictoriaLogs:
        return VictoriaLogs(FakeKube().client(), self.url)


@contextlib.contextmanager
def started(folder: Path, args: Sequence[str] = ARGS) -> Iterator[Server]:
    """A server with these arguments, its port and folder exchanged; it ends with the block."""
    server = Server(program("ORION_VICTORIALOGS", "victorialogs"), free_ports()[0])
    exchanged = [
        arg.replace(":9428", f"127.0.0.1:{server.port}").replace("/var/lib/victorialogs", str(folder / "victorialogs"))
        for arg in args
    ]
    with (folder / "victorialogs.log").open("wb") as log:
        process = subprocess.Popen(
            [server.program, *exchanged], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}
        )

    def healthy() -> bool:
        assert process.poll() is None, (folder / "victorialogs.log").read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        until(healthy, "the start of VictoriaLogs")
        yield server
    finally:
        process.kill()
        process.wait(30)
