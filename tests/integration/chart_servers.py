# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where charts come from, on the loopback interface: a repository over HTTP, and distribution's registry
(ORION_REGISTRY)."""

from __future__ import annotations

import base64
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ansible_collections.orion.tracing.tests.ports import free_ports

USER, PASSWORD = "reader", "correct horse"  # the registry knows this one by its bcrypt hash
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"


@dataclass
class Server:
    """A chart repository. requests: (path, value of the Authorization header)."""

    url: str
    folder: Path
    requests: list[tuple[str, str]] = field(default_factory=list)
    login: str = ""

    @property
    def paths(self) -> list[str]:
        return [path for path, _authorization in self.requests]


@dataclass(frozen=True)
class Registry:
    """host: host and port."""

    host: str

    def manifest(self, repository: str, tag: str) -> tuple[str, dict]:
        """Digest and content of the manifest of one tag."""
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        with urllib.request.urlopen(request) as answer:
            return answer.headers["Docker-Content-Digest"], json.load(answer)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, with a password where the server has one."""

    def __init__(self, *args, shop: Server, **kwargs) -> None:
        self.shop = shop
        super().__init__(*args, directory=str(shop.folder), **kwargs)

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        self.shop.requests.append((self.path, authorization))
        if self.shop.login and authorization != self.shop.login:
            self.send_error(401 if not authorization else 403)
        else:
            super().do_GET()

    def log_message(self, *args) -> None:
        pass


def run(*argv: str | Path, **kwargs) -> str:
    done = subprocess.run(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **kwargs
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def serve_repository(folder: Path, login: bool = False, tls: tuple[Path, Path] | None = None) -> Iterator[Server]:
    """A folder with packaged charts and their index.yaml. tls: certificate and key."""
    shop = Server("", folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, shop=shop))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    if login:
        shop.login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    shop.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serve_registry(
    folder: Path, login: bool = False, tls: tuple[Path, Path] | None = None, address: str = "127.0.0.1"
) -> Iterator[Registry]:
    """A registry that keeps its data in a folder. tls: certificate and key. address: of this machine."""
    host = f"{address}:{free_ports(address=address)[0]}"
    config: dict = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": host},
    }
    if login:
        (folder / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "charts", "path": str(folder / "htpasswd")}}
    if tls:
        config["http"]["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    (folder / "config.yml").write_text(json.dumps(config))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [os.environ["ORION_REGISTRY"], "serve", str(folder / "config.yml")],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
    )
    log.close()
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(tuple(host.split(":")), timeout=1):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
        yield Registry(host)
    finally:
        process.terminate()
        process.wait(10)
