# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs in the image that airgap builds of execution-environment.yml, on the test cluster, as controllers run them.

Two ways: ansible-runner starts the image with the private data folder mounted, as on a controller that is a virtual
machine; or the job is sent to `ansible-runner worker` in the image, whose results come back on standard output, as AWX
does with pods. The user is not root and has no entry in the image's /etc/passwd, and in the first way the project and
the image's root are read-only. The cluster and the store are reached by the node's address in the engine's network.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.preflight.account import Account, token
from ansible_collections.orion.tracing.tests.container_engine import engine_environment, node_container
from ansible_collections.orion.tracing.tests.controller.conftest import KEPT, Job, collections, programs

ROOT = Path(__file__).resolve().parents[2]
# No entry of the image's /etc/passwd.
USER = 4321
RUNNER = "/runner"
COLLECTIONS = f"{RUNNER}/requirements_collections"
NETWORK = "kind"
# As inventories/local has it, and a name in the certificate of the store.
STORE, STORE_PORT = "seaweedfs.local-backends.svc", 30333
# Variables of inventories/local that name paths of this machine, ports of it, and credentials.
OF_THIS_MACHINE = (
    "grafana_password",
    "grafana_url",
    "grafana_username",
    "object_storage_access_key",
    "object_storage_ca_bundle",
    "object_storage_endpoint_url",
    "object_storage_secret_key",
    "tracing_helm_binary",
    "tracing_kubeconfig",
    "tracing_state_dir",
    "verify_grafana_url",
)
SECONDS = 600


@dataclass(frozen=True)
class Cluster:
    """kube: of an administrator. api: URL of the API server for containers in the network. hosts: options that name the
    node for a container. inventory: variables, without what depends on where the inventory lies. token, authority: of
    the service account. keys: of the store (access key, secret key). store_authority: certificate of its authority."""

    kube: Kube
    api: str
    hosts: list[str]
    inventory: dict[str, Any]
    token: str
    authority: str
    keys: tuple[str, str]
    store_authority: str

    def hosts_file(self, folder: str) -> str:
        """The inventory's text. folder: where the job finds the store's certificate authority."""
        variables = {**self.inventory, "object_storage_ca_bundle": f"{folder}/store.crt"}
        return yaml.safe_dump({"all": {"hosts": {"cluster": None}, "vars": variables}})

    def write_authorities(self, folder: Path) -> None:
        for name, text in (("cluster.crt", self.authority), ("store.crt", self.store_authority)):
            (folder / name).write_text(text)

    def credentials(self, folder: str) -> dict[str, str]:
        """What AWX injects for its types OpenShift or Kubernetes API Bearer Token, and Amazon Web Services."""
        return {
            "K8S_AUTH_HOST": self.api,
            "K8S_AUTH_API_KEY": self.token,
            "K8S_AUTH_VERIFY_SSL": "True",
            "K8S_AUTH_SSL_CA_CERT": f"{folder}/cluster.crt",
            "AWS_ACCESS_KEY_ID": self.keys[0],
            "AWS_SECRET_ACCESS_KEY": self.keys[1],
        }

    def leaks(self, folder: Path) -> Iterator[str]:
        """Files that come back with a credential in them, without those that the controller writes its own input to."""
        for file in folder.rglob("*"):
            if file.is_file() and file.name not in ("command", "env.list"):
                text = file.read_text(errors="replace")
                yield from (file.name for secret in (self.token, self.keys[1]) if secret in text)


@pytest.fixture(scope="session")
def state() -> Path:
    state = Path(os.environ.get("ORION_TEST_STATE", "unset"))
    if not (state / "kubeconfig").is_file():
        pytest.fail("no test cluster: run `make test GATE=execution-environment`")
    return state


@pytest.fixture(scope="session")
def engine() -> Callable[..., bytes]:
    """Run the engine's client; its standard output. codes: exit codes with which the test does not fail."""
    environ = {**os.environ, **engine_environment()}

    def run(*argv: str | Path, stdin: bytes | None = None, codes: tuple[int, ...] = (0,)) -> bytes:
        done = subprocess.run(
            ["docker", *argv], env=environ, input=stdin, capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode in codes, f"{argv}: {done.stdout[-2000:]!r} {done.stderr[-4000:]!r}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def image(engine: Callable[..., bytes]) -> Iterator[str]:
    """The image's name, in the engine as long as the tests run."""
    archive = Path(os.environ.get("ORION_EXECUTION_ENVIRONMENT", "unset"))
    if not archive.is_file():
        pytest.fail("the image is needed: run `make test GATE=execution-environment`, which builds it")
    said = engine("load", "--input", archive).decode()
    name = said.partition("Loaded image: ")[2].strip()
    assert name, said
    yield name
    engine("image", "rm", name)


def playbook(name: str | Path, inventory: str | Path, **variables: Any) -> None:
    """Run a playbook on this machine, as an administrator. The test fails where it does."""
    argv = ["ansible-playbook", name, "-i", inventory, "-e", json.dumps(variables)]
    done = subprocess.run(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def resolved(folder: Path) -> dict[str, Any]:
    """The variables of inventories/local with their values, as the inventory of a project has them."""
    names = [
        name
        for name in yaml.safe_load((ROOT / "inventories/local/group_vars/all.yml").read_text())
        if not name.startswith(("__", "local_")) and name not in OF_THIS_MACHINE
    ]
    content = "{{ dict(names | zip(query('ansible.builtin.vars', *names))) | to_json }}"
    task = {"ansible.builtin.copy": {"content": content, "dest": "{{ target }}", "mode": "0600"}}
    (folder / "resolve.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    target = folder / "variables.json"
    playbook(folder / "resolve.yml", "inventories/local", names=names, target=str(target), local_demo_enabled=False)
    found: dict[str, Any] = json.loads(target.read_text())
    return {
        **found,
        "ansible_connection": "local",
        "grafana_provisioning": "sidecar",
        "object_storage_endpoint_url": f"https://{STORE}:{STORE_PORT}",
    }


@pytest.fixture(scope="session")
def cluster(state: Path, engine: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The test cluster with a service account of playbooks/rbac.yml, which is removed again."""
    folder = tmp_path_factory.mktemp("inventory")
    variables = resolved(folder)
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"cluster": None}, "vars": variables}}))
    node = node_container(state)
    template = f"{{{{.NetworkSettings.Networks.{NETWORK}.IPAddress}}}}"
    address = engine("inspect", "--format", template, node).decode().strip()
    assert address, f"{node} has no address in the network {NETWORK}"
    account = {"tracing_kubeconfig": str(state / "kubeconfig")}
    playbook("playbooks/rbac.yml", inventory, rbac_token_enabled=True, **account)
    kube = Kube.connect({"kubeconfig": str(state / "kubeconfig")})
    secret = token(kube, Account("orion-tracing", "tracing", token=True))
    keys = json.loads((state / "s3-credentials.json").read_text())
    yield Cluster(
        kube,
        f"https://{node}:6443",
        [f"--network={NETWORK}", f"--add-host={node}:{address}", f"--add-host={STORE}:{address}"],
        variables,
        base64.b64decode(secret["token"]).decode(),
        base64.b64decode(secret["ca.crt"]).decode(),
        (keys["access_key"], keys["secret_key"]),
        (state / "s3-ca.crt").read_text(),
    )
    playbook("playbooks/rbac.yml", inventory, rbac_state="absent", **account)


def surroundings(home: Path) -> dict[str, str]:
    """The environment of the controller's programs: nothing of the user who runs the tests."""
    kept = {name: os.environ[name] for name in os.environ if name in KEPT or name.startswith("DOCKER_")}
    engine = engine_environment()
    path = os.pathsep.join([str(programs()), engine["PATH"]])
    return {**kept, **engine, "PATH": path, "HOME": str(home)}


def user_options() -> list[str]:
    """Options of the engine: ansible-runner's container has the user that runs it, which here may be root."""
    return [] if os.getuid() else [f"--user={USER}:{USER}"]


@pytest.fixture(scope="session")
def private_data(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a private data folder, as a controller fills it for a job."""

    def make(ident: str, cmdline: str, extravars: dict[str, Any]) -> Path:
        folder = tmp_path_factory.mktemp(ident)
        folder.chmod(0o755)
        installed = collections() / "ansible_collections"
        shutil.copytree(installed / "orion/tracing", folder / "project")
        shutil.copytree(installed, folder / "requirements_collections/ansible_collections")
        for name in ("env", "inventory"):
            (folder / name).mkdir()
        (folder / "inventory/hosts.yml").write_text(cluster.hosts_file(f"{RUNNER}/env"))
        cluster.write_authorities(folder / "env")
        environ = {
            **cluster.credentials(f"{RUNNER}/env"),
            # Where the controller installs what collections/requirements.yml of a project names.
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_FORCE_COLOR": "False",
        }
        (folder / "env/envvars").write_text(json.dumps(environ))
        (folder / "env/extravars").write_text(json.dumps(extravars))
        (folder / "env/cmdline").write_text(cmdline)
        # What the user of the container writes to, all that he may write to.
        for path in (folder / "artifacts", folder / "artifacts" / ident, folder / "artifacts" / ident / "job_events"):
            path.mkdir()
            if not os.getuid():
                os.chown(path, USER, USER)
        return folder

    return make


@pytest.fixture(scope="session")
def job(
    cluster: Cluster, image: str, private_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Job]:
    """Run a playbook of the project in the image. ident: the job's. cmdline: options of ansible-playbook. extravars: of
    a survey and of the job template."""
    home = tmp_path_factory.mktemp("home")

    def run(ident: str, name: str, cmdline: str, extravars: dict[str, Any]) -> Job:
        folder = private_data(ident, cmdline, extravars)
        settings = {
            "process_isolation": True,
            "process_isolation_executable": "docker",
            "container_image": image,
            "container_volume_mounts": [
                f"{folder}/project:{RUNNER}/project:ro",
                f"{folder}/requirements_collections:{COLLECTIONS}:ro",
            ],
            "container_options": [
                *cluster.hosts,
                *user_options(),
                "--read-only",
                "--tmpfs=/tmp:rw,nosuid,nodev,mode=1777",
                "--cap-drop=ALL",
                "--security-opt=no-new-privileges",
            ],
            "job_timeout": SECONDS,
        }
        (folder / "env/settings").write_text(json.dumps(settings))
        argv = [programs() / "ansible-runner", "run", folder, "--playbook", name, "--ident", ident, "--quiet"]
        done = subprocess.run(argv, env=surroundings(home), capture_output=True, text=True, check=False)
        return Job.read(folder, ident, done.stdout + done.stderr)

    return run


@pytest.fixture(scope="session")
def sent_job(
    cluster: Cluster,
    image: str,
    engine: Callable[..., bytes],
    private_data: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Job]:
    """The same, sent to a worker in the image."""
    home = tmp_path_factory.mktemp("home")

    def runner(*argv: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        program = programs() / "ansible-runner"
        return subprocess.run(
            [program, *argv], env=surroundings(home), input=stdin, capture_output=True, timeout=SECONDS, check=False
        )

    def run(ident: str, name: str, cmdline: str, extravars: dict[str, Any]) -> Job:
        folder = private_data(ident, cmdline, extravars)
        sent = runner("transmit", folder, "--playbook", name, "--ident", ident)
        assert sent.returncode == 0, sent.stderr
        options = ["--rm", "--interactive", f"--user={USER}:{USER}", *cluster.hosts]
        worker = ["ansible-runner", "worker", f"--private-data-dir={RUNNER}"]
        # The worker ends with the job's exit code: 2 for a task that fails.
        back = engine("run", *options, image, *worker, stdin=sent.stdout, codes=(0, 2))
        done = runner("process", folder, "--ident", ident, stdin=back)
        return Job.read(folder, ident, (done.stdout + done.stderr).decode())

    return run
