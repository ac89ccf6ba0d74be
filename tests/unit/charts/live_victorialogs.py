# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real VictoriaLogs on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import free_ports, program, until

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
        return VictoriaLogs(Loopback(self.url), "local-backends")  # type: ignore[arg-type]


@dataclass
class Loopback:
    """A Kube whose service proxy leads to a server of this machine."""

    url: str

    def proxy(self, _kind: str, _namespace: str, _name: str, _port: int | str, path: str, **options: Any) -> Response:
        url = f"{self.url}/{path}?{urlencode(options['query'])}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return Response(answer.status, {}, answer.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, {}, error.read())


@contextlib.contextmanager
def started(folder: Path, args: Sequence[str] = ARGS) -> Iterator[Server]:
    """A server with these arguments, its port and folder exchanged; it ends with the block."""
    server = Server(program("ORION_VICTORIALOGS", "victorialogs"), free_ports(1)[0])
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
