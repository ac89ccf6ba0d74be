# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make` on machines whose environment is against it: Makefile, bootstrap.sh, tools and Ansible for real, in a checkout
whose path has a space, with a target that only says what it sees."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

from tools import surroundings

ROOT = Path(__file__).parents[3]
DEAD = "http://127.0.0.1:9"
# In place of tools/__main__.py: what `make up` would do, cheaply.
TARGET = """
import json, locale, os, sys, tempfile
from tools.steps import STATE, environment, playbook, run
print("äöü", flush=True)
mask = os.umask(0o022)
seen = {"environ": dict(os.environ), "steps": environment(), "umask": mask, "temporary": tempfile.gettempdir()}
(STATE / "seen.json").write_text(json.dumps(seen))
run("ansible-playbook", "--version")
playbook("probe", "-e", f"server={sys.argv[2]}")
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Ask the cluster of the task
      orion.tracing.helm_release_info:
        kubeconfig: "{{ document }}"
    - name: Say what the modules see
      ansible.builtin.command: sh -c 'echo äöü; touch "$0"' "{{ playbook_dir }}/../.state/touched"
      changed_when: false
  vars:
    document:
      current-context: c
      contexts: [{name: c, context: {cluster: c, user: u}}]
      clusters: [{name: c, cluster: {server: "{{ server }}"}}]
      users: [{name: u, user: {}}]
"""
INVENTORY = (ROOT / "inventories/production/hosts.yml").read_text()


class Server:
    """An API server without releases that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Api(Handler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.answer(200, json.dumps({"items": [], "metadata": {}}).encode())

            do_CONNECT = do_POST = do_GET

        self.handler = Api


@pytest.fixture
def decoy() -> Iterator[tuple[str, Server]]:
    server = Server()
    with serving(server.handler) as url:
        yield url, server


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This one, by links, with an environment that is complete and a target of its own."""
    folder = tmp_path_factory.mktemp("a path") / "mit ä"
    folder.mkdir()
    own = {".git", ".state", ".venv", "tools", "playbooks", "inventories"}
    for entry in ROOT.iterdir():
        if entry.name not in own:
            (folder / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tools/__main__.py").write_text(TARGET)
    (folder / "playbooks").mkdir()
    (folder / "playbooks/probe.yml").write_text(PLAY)
    (folder / "inventories/local").mkdir(parents=True)
    (folder / "inventories/local/hosts.yml").write_text(INVENTORY)
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(ROOT / ".venv" / part)
    pins = b"".join(
        (ROOT / f).read_bytes() for f in ("requirements/dev.txt", "requirements/uv.txt", "tools/bootstrap.sh")
    )
    (folder / ".venv/.complete").write_text(hashlib.sha256(pins).hexdigest()[:32])
    return folder


def make(checkout: Path, server: str, environ: dict[str, str], umask: int = 0o022) -> dict[str, Any]:
    shutil.rmtree(checkout / ".state", ignore_errors=True)
    # The recipe's own words, and the server that the play asks.
    recipe = (ROOT / "Makefile").read_text().replace("tools $@", f"tools $@ {server}")
    (checkout / "Makefile").unlink()
    (checkout / "Makefile").write_text(recipe)
    done = subprocess.run(
        ["make", "up"], cwd=checkout, env=environ, umask=umask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("äöü\n") and "ok=2" in done.stdout
    assert "WARNING" not in done.stdout + done.stderr
    seen: dict[str, Any] = json.loads((checkout / ".state/seen.json").read_text())
    seen["touched"] = stat.S_IMODE((checkout / ".state/touched").stat().st_mode)
    return seen


BASE = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
HOSTILE: dict[str, dict[str, str | None]] = {
    "locale": {"LC_ALL": "POSIX", "LANG": "C", "LANGUAGE": "de"},
    "callback": {"ANSIBLE_STDOUT_CALLBACK": "json", "ANSIBLE_CALLBACKS_ENABLED": "nowhere.of.ours"},
    "vault": {"ANSIBLE_VAULT_PASSWORD_FILE": "/nope", "ANSIBLE_STRATEGY": "nope", "ANSIBLE_CONFIG": "/nope"},
    "no home": {"HOME": None},
    "home that is not there": {"HOME": "/nonexistent"},
    "temporary folder that is not there": {"TMPDIR": "/nonexistent/tmp", "TMP": "/nonexistent", "TEMP": "/nonexistent"},
    "docker": {"DOCKER_TLS_VERIFY": "1", "DOCKER_API_VERSION": "1.20", "DOCKER_CONTEXT": "elsewhere"},
    "dead proxies": dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), DEAD),
    "another cluster": {
        "K8S_AUTH_HOST": "DECOY",
        "K8S_AUTH_API_KEY": "key",
        "K8S_AUTH_CONTEXT": "prod",
        "KUBECONFIG": "/nope",
        "HELM_KUBEAPISERVER": "DECOY",
        "HELM_DRIVER": "sql",
    },
    "python": {"PYTHONPATH": "/nonexistent:.", "PYTHONHOME": "/nonexistent", "PYTHONSAFEPATH": "1", "PYTHONUTF8": "0"},
    "pip": {"PIP_TARGET": "/nonexistent", "PIP_USER": "1", "UV_PYTHON": "3.9", "VIRTUAL_ENV": "/nonexistent"},
    "shell": {"CDPATH": "/:/tmp", "GIT_DIR": "/nonexistent", "MAKEFLAGS": "k"},
    "aws": {"AWS_PROFILE": "nope", "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL": "DECOY"},
}
HOSTILE["everything"] = {
    name: value for one in HOSTILE.values() for name, value in one.items() if value is not None and name != "PYTHONHOME"
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_make(name: str, checkout: Path, decoy: tuple[str, Server]) -> None:
    url, wrong = decoy
    hostile = {key: url if value == "DECOY" else value for key, value in HOSTILE[name].items()}
    environ = {key: value for key, value in (BASE | hostile).items() if value is not None}
    right = Server()
    with serving(right.handler) as server:
        seen = make(checkout, server, environ, umask=0o077)
    assert right.asked and not wrong.asked
    assert seen["umask"] == 0o022 and seen["touched"] == 0o644
    assert Path(seen["temporary"]).is_dir() and Path(seen["environ"]["HOME"]).is_dir()
    for given in (seen["environ"], seen["steps"]):
        assert given["LC_ALL"] == "C.UTF-8"
        kept = {variable for variable in hostile if given.get(variable) == hostile[variable]}
        assert kept <= {"HOME", *(v for v in hostile if v.startswith("DOCKER_") or v.lower().endswith("_proxy"))}
    assert seen["steps"]["ANSIBLE_CONFIG"] == str(checkout / "ansible.cfg")
    assert seen["steps"]["PYTHONPATH"] == str(checkout / ".state/collections")
    assert seen["steps"]["PATH"].startswith(f"{checkout}/.venv/bin:")


def test_what_is_the_users_is_kept() -> None:
    users = {
        "DOCKER_HOST": "tcp://10.0.0.1:2376",
        "GOPROXY": "https://proxy.example",
        "HOME": str(ROOT),
        "ORION_CACHE": "/cache",
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://index.example",
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "TMPDIR": str(ROOT),
        "UV_INDEX_URL": "https://index.example",
        "XDG_CACHE_HOME": "/cache",
    }
    assert surroundings.clean(users) == {**users, "LC_ALL": "C.UTF-8"}


def test_no_proxy_leads_to_what_is_near() -> None:
    environ = {"https_proxy": "http://proxy.example", "no_proxy": ".corp, 10.0.0.1", "NO_PROXY": "10.0.0.1,b.example"}
    clean = surroundings.clean(environ)
    near = "127.0.0.1,localhost,::1,10.96.0.0/16,10.244.0.0/16,.svc,.cluster.local"
    assert clean["no_proxy"] == clean["NO_PROXY"] == f".corp,10.0.0.1,b.example,{near}"
    assert clean["https_proxy"] == "http://proxy.example"
    assert surroundings.clean({"HTTP_PROXY": "http://p", "NO_PROXY": "*"})["no_proxy"] == "*"
    assert "no_proxy" not in surroundings.clean({})


def test_a_user_without_a_home_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert surroundings.clean({}, tmp_path)["HOME"] == str(tmp_path)
    assert surroundings.clean({"HOME": "/nonexistent"}, tmp_path)["HOME"] == str(tmp_path)
