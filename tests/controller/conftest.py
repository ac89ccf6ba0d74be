# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs as a controller runs them, by ansible-runner: the project and the home are read-only, the user is not root,
variables come from a survey, and the cluster and the store from credentials, as variables of the environment.

A container engine is not needed: runner starts ansible-playbook itself, as it does inside an execution environment.
The user is nobody of a user namespace, so what belongs to the one who runs the tests can still be read, but not written
where its mode forbids it.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.admission.conftest import TOKEN, serving
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
IDENT = "1"
# What every process has; nothing of the user who runs the tests.
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


def programs() -> Path:
    """The folder with ansible-runner and the others."""
    folder = Path(os.environ.get("ORION_CONTROLLER", "")) / "bin"
    if not (folder / "ansible-runner").exists():
        pytest.fail("The controller's programs are needed: run these tests by `make test`, which makes them.")
    return folder


def collections() -> Path:
    """The folder in which the built collection is installed."""
    folder = Path(os.environ.get("ORION_COLLECTION", ""))
    if not (folder / "ansible_collections/orion/tracing").is_dir():
        pytest.fail("The built collection is needed: run these tests by `make test`, which makes it.")
    return folder


@dataclass(frozen=True)
class Server:
    """kube: of an administrator. certificate: its authority's file. store: URL of an S3 store."""

    kube: Kube
    certificate: Path
    store: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("kube")
    with serving(folder) as kube, simulated_aws() as store:
        storage = {"metadata": {"name": "gp3"}, "provisioner": "example.com/none"}
        kube.request("POST", "/apis/storage.k8s.io/v1/storageclasses", body=storage)
        for name in ("tracing", "monitoring"):
            kube.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
        keys = {"stringData": {"access_key": "simulated", "secret_key": "simulated-secret"}}
        kube.request("POST", "/api/v1/namespaces/tracing/secrets", body={"metadata": {"name": "tempo-s3"}, **keys})
        yield Server(kube, folder / "certificates/apiserver.crt", store)


@dataclass(frozen=True)
class Job:
    """What a job left. status: runner's. output: what ansible-playbook printed. folder: the private data folder."""

    status: str
    output: str
    folder: Path
    ident: str

    @classmethod
    def read(cls, folder: Path, ident: str, said: str) -> Job:
        """folder: the private data folder. said: what ansible-runner printed, for a job that has not even begun."""
        artifacts = folder / "artifacts" / ident
        assert (artifacts / "status").exists(), said
        return cls((artifacts / "status").read_text(), (artifacts / "stdout").read_text(), folder, ident)

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts" / self.ident

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of a kind, in their order."""
        found = [json.loads(file.read_text()) for file in (self.artifacts / "job_events").glob("*.json")]
        return [one["event_data"] for one in sorted(found, key=lambda one: one["counter"]) if one["event"] == kind]


@pytest.fixture
def job(server: Server, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Run a playbook of the project. cmdline: options of ansible-playbook. extravars: of a survey. environ: more of
    what credentials inject; None takes one away."""
    folder = tmp_path / "runner"
    project = folder / "project"
    shutil.copytree(collections() / "ansible_collections/orion/tracing", project)
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "tmp").mkdir()
    # That of the user in /etc/passwd, which root could create.
    own_home = Path(pwd.getpwuid(NOBODY).pw_dir)
    assert os.getuid() or not own_home.exists()

    def run(playbook: str, cmdline: str, extravars: dict[str, Any], **environ: str | None) -> Job:
        injected = {
            # AWX: OpenShift or Kubernetes API Bearer Token, and Amazon Web Services.
            "K8S_AUTH_HOST": server.kube.host,
            "K8S_AUTH_API_KEY": TOKEN,
            "K8S_AUTH_VERIFY_SSL": "True",
            "K8S_AUTH_SSL_CA_CERT": str(server.certificate),
            "AWS_ACCESS_KEY_ID": "simulated",
            "AWS_SECRET_ACCESS_KEY": "simulated-secret",
            # Where the controller installs what collections/requirements.yml of a project names.
            "ANSIBLE_COLLECTIONS_PATH": str(collections()),
            "ANSIBLE_FORCE_COLOR": "False",
            **environ,
        }
        injected = {name: text for name, text in injected.items() if text is not None}
        for name in ("env", "inventory", "artifacts"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "inventory/hosts.yml").write_text(yaml.safe_dump(inventory(server)))
        (folder / "env/extravars").write_text(json.dumps(extravars))
        (folder / "env/envvars").write_text(json.dumps(injected))
        (folder / "env/cmdline").write_text(cmdline)
        for path in (project, home):
            read_only(path, True)
        argv = [programs() / "ansible-runner", "run", folder, "--playbook", playbook, "--ident", IDENT, "--quiet"]
        done = subprocess.run(
            as_nobody(argv), env=surroundings(home), cwd=project, capture_output=True, text=True, check=False
        )
        return Job.read(folder, IDENT, done.stdout + done.stderr)

    yield run
    assert list(home.iterdir()) == [] and not own_home.exists()
    for path in (project, home):
        read_only(path, False)


def read_only(folder: Path, yes: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o555 if yes else 0o755)


def as_nobody(argv: list[Any]) -> list[Any]:
    """The command as a user that is not root; as it is where the tests have such a user."""
    if os.getuid():
        return argv
    return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", *argv]


def surroundings(home: Path) -> dict[str, str]:
    """The environment of runner itself: programs of the execution environment first."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = os.pathsep.join([str(programs()), "/usr/bin", "/bin"])
    # The image's /tmp is one of the test's own here.
    image = {name: text.replace("/tmp/", f"{home.parent}/tmp/") for name, text in image_environment().items()}
    return {**kept, "HOME": str(home), "PATH": path, **image}


def image_environment() -> dict[str, str]:
    """What execution-environment.yml sets in the image."""
    definition = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
    steps = definition["additional_build_steps"]["append_final"]
    found = [line.removeprefix("ENV ").split("=", 1) for step in steps for line in step.splitlines()
             if line.startswith("ENV ")]  # fmt: skip
    return dict(found)


def inventory(server: Server) -> dict[str, Any]:
    """An inventory as a project has it."""
    variables = {
        "ansible_connection": "local",
        "tracing_environment": "test",
        "tracing_cluster_name": "test",
        "tracing_helm_binary": os.environ["ORION_HELM"],
        "object_storage_bucket": "traces",
        "object_storage_endpoint_url": server.store,
        "object_storage_tls_only": False,
        "tempo_s3_endpoint": "s3.store.svc:9000",
        "tempo_s3_credentials_secret": "tempo-s3",
        "grafana_namespace": "monitoring",
    }
    return {"all": {"hosts": {"cluster": None}, "vars": variables}}
