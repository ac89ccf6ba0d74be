# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The execution environment: ansible-builder takes its definition, and its steps do what they should.

The image itself needs a registry with its base, so it is not built here. Its steps of shell run in a folder instead.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.controller.conftest import ROOT, collections, image_environment, programs

DEFINITION = ROOT / "execution-environment.yml"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build context, as ansible-builder makes it."""
    folder = tmp_path_factory.mktemp("builder") / "context"
    argv = [programs() / "ansible-builder", "create", "--file", DEFINITION, "--context", folder]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_context_has_the_packages_that_modules_need(context: Path) -> None:
    assert (context / "_build/requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()
    text = next(file for name in ("Containerfile", "Dockerfile") if (file := context / name).exists()).read_text()
    helm = yaml.safe_load(DEFINITION.read_text())["additional_build_steps"]["append_final"][0]
    assert helm.strip() in text and "ENV ANSIBLE_HOME=" in text
    assert text.index("FROM $EE_BASE_IMAGE") < text.rindex("FROM base") < text.index("ARG HELM_VERSION")


def test_the_collection_names_the_same_packages() -> None:
    """For environments that have the collection inside."""
    argv = [programs() / "ansible-builder", "introspect", collections()]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = [line.partition("  # from collection ")[::2] for line in yaml.safe_load(done.stdout)["python"]]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    # Builder leaves Ansible itself to the environment.
    wanted = [line for line in lines if line and not line.startswith(("#", "ansible-core"))]
    assert found == [(line, "orion.tracing") for line in wanted]


def test_a_definition_that_is_wrong_is_refused(tmp_path: Path) -> None:
    """So that the test above can fail."""
    definition = yaml.safe_load(DEFINITION.read_text())
    definition["additional_build_steps"]["after_final"] = []
    (tmp_path / "execution-environment.yml").write_text(yaml.safe_dump(definition))
    argv = [programs() / "ansible-builder", "create", "--context", tmp_path / "context"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "after_final" in done.stdout + done.stderr


def archive(folder: Path) -> tuple[Path, str]:
    """An archive of helm as its publisher packs it, with a helm that prints its name; and its checksum."""
    path, script = folder / "helm.tar.gz", b"#!/bin/sh\necho helm\n"
    with tarfile.open(path, "w:gz") as made:
        member = tarfile.TarInfo("linux-amd64/helm")
        member.size, member.mode = len(script), 0o755
        made.addfile(member, io.BytesIO(script))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def install(tmp_path: Path) -> Any:
    """Run the step that installs helm, with an archive instead of a download; machine: what uname says."""
    step = yaml.safe_load(DEFINITION.read_text())["additional_build_steps"]["append_final"][0]
    script = step.partition("RUN ")[2].replace("\\\n", " ").replace("/tmp/", f"{tmp_path}/")
    script = script.replace("/usr/local/bin", str(tmp_path / "bin"))
    tools = tmp_path / "tools"
    for folder in (tools, tmp_path / "bin"):
        folder.mkdir()
    path, checksum = archive(tmp_path)
    kept = path.rename(tmp_path / "published.tar.gz")

    def run(machine: str, **arguments: str) -> subprocess.CompletedProcess[str]:
        for name, body in (("curl", f'echo "$4" >> {tmp_path}/asked; cp {kept} "$3"'), ("uname", f"echo {machine}")):
            (tools / name).write_text(f"#!/bin/sh\n{body}\n")
            (tools / name).chmod(0o755)
        given = {"HELM_VERSION": "v3.19.4", "HELM_SHA256_AMD64": checksum, "HELM_SHA256_ARM64": "0" * 64, **arguments}
        environ = {"PATH": f"{tools}:{tmp_path / 'bin'}:/usr/bin:/bin", **given}
        return subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=False)

    return run


def test_helm_is_installed(install: Any, tmp_path: Path) -> None:
    done = install("x86_64")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text().endswith("/helm-v3.19.4-linux-amd64.tar.gz\n")
    assert done.stdout.splitlines()[-1] == "helm" and (tmp_path / "bin/helm").exists()
    assert not (tmp_path / "helm.tar.gz").exists()


@pytest.mark.parametrize(
    ("machine", "arguments", "words"),
    [
        ("x86_64", {"HELM_SHA256_AMD64": "1" * 64}, "did NOT match"),
        ("aarch64", {}, "did NOT match"),
        ("riscv64", {}, "helm is not pinned for riscv64"),
    ],
)
def test_another_helm_is_refused(
    machine: str, arguments: dict[str, str], words: str, install: Any, tmp_path: Path
) -> None:
    done = install(machine, **arguments)
    assert done.returncode != 0 and words in done.stderr and not (tmp_path / "bin/helm").exists()


def test_what_the_documentation_says_of_the_image() -> None:
    text = (ROOT / "docs/execution-environment.md").read_text()
    assert all(f"`{name}`" in text for name in image_environment())
    step = yaml.safe_load(DEFINITION.read_text())["additional_build_steps"]["append_final"][0]
    assert all(name in text for name in ("HELM_VERSION", "HELM_SHA256_AMD64", "HELM_SHA256_ARM64") if name in step)
