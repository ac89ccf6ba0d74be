# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""README's "On your own cluster", word by word: its commands and its inventory, in a fresh virtual environment.

They are typed in a checkout in which `make` has been at work, on a machine whose discovered Python has none of the
packages.

The cluster is a server that knows its version, and nothing of AWS is in reach, so that all stops at the preflight.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## On your own cluster\n")[2].partition("\n## ")[0]
# Releases of one package that pip may look at: it was hundreds of botocore's, and over six minutes, where bounds made
# it go back through them.
MOST_TRIED = 3

Run = Callable[..., subprocess.CompletedProcess[str]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)


def commands(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


class Api(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        Api.asked += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = {"gitVersion": "v1.34.0", "status": {"allowed": True}, "items": [], "metadata": {}}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as http:
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme") / "checkout"
    ignored = shutil.ignore_patterns(".git", ".state", ".venv", ".*_cache", "__pycache__", "*.tar.gz")
    shutil.copytree(ROOT, folder, ignore=ignored)
    link = folder / ".state/collections/ansible_collections/orion/tracing"
    link.parent.mkdir(parents=True)
    link.symlink_to(folder)
    return folder


@pytest.fixture(scope="module")
def run(checkout: Path, server: str) -> Run:
    """A shell with the fresh environment first on PATH."""
    home, venv, decoy = checkout.parent / "home", checkout.parent / "venv", checkout.parent / "decoy"
    (home / ".kube").mkdir(parents=True)
    kubeconfig = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "c", "user": {}}],
    }
    (home / ".kube/config").write_text(json.dumps(kubeconfig))
    base = Path(sys.base_prefix) / "bin/python3"
    subprocess.run([base, "-m", "venv", venv], check=True)
    # What discovery finds before the environment's own, by its name.
    decoy.mkdir()
    (decoy / "python3.14").symlink_to(base)
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name.lower()}
    for config in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if config.is_file():
            kept.setdefault("PIP_CONFIG_FILE", str(config))
    environ = {
        **kept,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{decoy}:{venv}/bin:/usr/bin:/bin",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def shell(command: str, cwd: Path = checkout) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], cwd=cwd, env=environ, capture_output=True, text=True, check=False
        )

    return shell


@pytest.fixture(scope="module")
def installed(run: Run, checkout: Path) -> Path:
    """Both commands of the first block, typed; then the inventory written where its first line says."""
    pip, galaxy = commands(blocks("console")[0])
    done = run(pip)
    assert done.returncode == 0, done.stdout + done.stderr
    files = set(re.findall(r"(?:Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+)-(\d[^-\s]*)-\S*whl", done.stdout))
    tried = Counter(name for name, _version in files)
    assert {"botocore", "kubernetes"} <= tried.keys(), done.stdout
    assert max(tried.values()) <= MOST_TRIED, tried.most_common(3)
    for done in (run(galaxy), run(galaxy)):  # the second time it is there already
        assert done.returncode == 0 and "installed successfully" in done.stdout, done.stdout + done.stderr
    (inventory,) = blocks("yaml")
    path = checkout / inventory.splitlines()[0].removeprefix("# ")
    path.parent.mkdir()
    path.write_text(inventory)
    return path.parent


def test_the_collection_is_where_ansible_looks_from_everywhere(
    run: Run, installed: Path, checkout: Path, tmp_path: Path
) -> None:
    assert (checkout.parent / "home/.ansible/collections/ansible_collections/orion/tracing/MANIFEST.json").is_file()
    assert (checkout / ".state/collections/ansible_collections/orion/tracing").is_symlink()
    done = run(f"ansible-playbook orion.tracing.plan -i {installed}", tmp_path)
    assert done.returncode == 0 and "failed=0" in done.stdout, done.stdout + done.stderr


def test_the_playbooks_as_printed(run: Run, installed: Path) -> None:
    plan, check, site = commands(blocks("console")[1])
    done = run(plan)
    assert done.returncode == 0 and "WARNING]" not in done.stdout + done.stderr, done.stdout + done.stderr
    for command in (check, site):
        before = Api.asked
        done = run(command)
        output = done.stdout + done.stderr
        assert Api.asked > before, output
        assert "would fail. Nothing was changed." in output and "changed=0" in output
        # What is missing here, and no Python package.
        assert "cannot be imported" not in output and "ansible_python_interpreter" not in output
        assert "tracing_helm_binary: " in output and "object_storage_" in output
