# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as Ansible runs it, against an API server of a few lines."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

MODULE = "ansible_collections.orion.tracing.plugins.modules.local_credentials"
SECRET = "/api/v1/namespaces/local-backends/secrets/tempo-s3"


@pytest.fixture
def api() -> Iterator[tuple[str, dict[str, Any]]]:
    """URL and documents (by path) of an API server that gets, posts and applies."""
    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            found = documents.get(self.path)
            self.answer(200 if found else 404, found or {"message": "not found"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            documents[f"{self.path}/{body['metadata']['name']}"] = body
            self.answer(201, body)

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            documents[self.path.split("?")[0]] = body
            self.answer(200, body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", documents
    server.shutdown()


def run(**arguments: Any) -> dict[str, Any]:
    """Run the module in a process of its own, with its arguments on standard input, as Ansible does."""
    program = (
        "import sys, json\n"
        "from ansible.module_utils import basic\n"
        "basic._ANSIBLE_ARGS = sys.stdin.buffer.read()\n"
        "basic._ANSIBLE_PROFILE = 'legacy'\n"
        f"import {MODULE} as module\n"
        "module.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
        },
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def options(url: str, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "host": url,
        "namespace": "local-backends",
        "copy_to": ["tracing"],
        "subject_alt_names": ["localhost"],
        "files_dir": str(folder),
        **more,
    }


def test_check_mode_then_real_then_unchanged(api: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    url, documents = api
    checked = run(**options(url, tmp_path, _ansible_check_mode=True))
    assert checked["changed"] and not documents and not list(tmp_path.iterdir())
    done = run(**options(url, tmp_path))
    assert set(done) == set(checked), "both modes return the same keys"
    assert done["steps"] == checked["steps"] and done["diff"] == checked["diff"]
    pair = json.loads((tmp_path / "s3-credentials.json").read_text())
    assert pair["secret_key"] not in json.dumps(done) and pair["access_key"] not in json.dumps(done["diff"])
    again = run(**options(url, tmp_path))
    assert not again["changed"] and again["diff"] == [] and again["api_calls"] == 2
    assert again["ca_fingerprint"] == done["ca_fingerprint"] and again["revision"] == done["revision"]


def test_a_wrong_option_fails_before_anything_is_read(tmp_path: Path) -> None:
    failed = run(**options("http://127.0.0.1:1", tmp_path, subject_alt_names=["http://x"]))
    assert failed["failed"] and "subject_alt_names: 'http://x'" in failed["msg"]


def test_an_unreachable_cluster_is_named(tmp_path: Path) -> None:
    failed = run(**options("http://127.0.0.1:1", tmp_path))
    assert "no answer from the API server http://127.0.0.1:1" in failed["msg"]
    assert not list(tmp_path.iterdir())
