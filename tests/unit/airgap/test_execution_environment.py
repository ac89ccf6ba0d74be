"""The execution environment that is built here is what execution-environment.yml defines, and starts for any user."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from airgap import pypi, spec

ROOT = spec.HERE.parent
FILES = spec.HERE / "execution-environment"
ARTIFACTS = spec.load()
IMAGE = ARTIFACTS["execution-environment"]
DEFINITION = yaml.safe_load((ROOT / "execution-environment.yml").read_text())


def test_it_sets_the_variables_of_the_definition():
    steps = DEFINITION["additional_build_steps"]["append_final"]
    wanted = dict(step.removeprefix("ENV ").split("=", 1) for step in steps if step.startswith("ENV "))
    assert len(wanted) == 3
    assert wanted.items() <= IMAGE.fields["config"]["env"].items()


def test_it_has_the_packages_of_the_definition():
    pins = {pin.name: pin.version for pin in pypi.read(FILES / "requirements.txt")}
    dependencies = DEFINITION["dependencies"]
    lines = (ROOT / dependencies["python"]).read_text().splitlines()
    lines += [dependencies[name]["package_pip"] for name in ("ansible_core", "ansible_runner")]
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len(wanted) > 7
    missed = [str(one) for one in wanted if pins.get(pypi.normalized(one.name), "0") not in one.specifier]
    assert missed == []


def test_its_version_is_that_of_ansible_core():
    assert IMAGE.version == ARTIFACTS["execution-environment-packages"].version
    assert IMAGE.ref and IMAGE.ref.endswith(f":{IMAGE.version}")
    assert ARTIFACTS["execution-environment-bytecode"].version == ARTIFACTS["python"].version


def test_it_is_built_only_when_named():
    assert not IMAGE.default


def paths() -> dict[str, str]:
    return {path: source for layer in IMAGE.layers for path, source in layer.items()}


def test_ansibles_programs_are_names_of_one_file():
    names = [path for path, source in paths().items() if source == "-> ansible"]
    assert "/usr/local/bin/ansible-playbook" in names and "/usr/local/bin/ansible-runner" in names


@pytest.mark.parametrize("name", ["ansible", "ansible-playbook", "ansible-galaxy"])
def test_a_program_is_started_by_its_name(name, tmp_path):
    program = tmp_path / name
    program.symlink_to(FILES / "program")
    done = subprocess.run([sys.executable, program, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{name} [core "), done.stderr


@pytest.fixture
def entrypoint(tmp_path):
    """Run a command by the entrypoint, with a passwd and a /runner of its own. entry: whether the user is in it.
    writable: of the folders home and runner."""

    def run(entry: bool, writable: str, environ: dict[str, str]) -> dict[str, str]:
        (tmp_path / "passwd").write_text(
            f"me:x:{os.getuid()}:0::/nowhere:/bin/sh\n" if entry else "other:x:987654:0:::\n"
        )
        for name in writable.split():
            (tmp_path / name).mkdir()
        script = tmp_path / "entrypoint"
        text = (FILES / "entrypoint").read_text()
        script.write_text(text.replace("/etc/passwd", f"{tmp_path}/passwd").replace("/runner", f"{tmp_path}/runner"))
        environ = {name: value.replace("HERE", str(tmp_path)) for name, value in environ.items()}
        argv = ["sh", script, "env"]
        done = subprocess.run(
            argv, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True, check=True
        )
        found = dict(line.split("=", 1) for line in done.stdout.splitlines())
        return {name: found[name].replace(str(tmp_path), "HERE") for name in ("HOME", "USER")}

    return run


@pytest.mark.parametrize(
    ("entry", "writable", "environ", "wanted"),
    [
        (True, "home runner", {"HOME": "HERE/home"}, {"HOME": "HERE/home", "USER": "me"}),
        (True, "home runner", {"HOME": "HERE/home", "USER": "you"}, {"HOME": "HERE/home", "USER": "you"}),
        (False, "home runner", {"HOME": "HERE/home"}, {"HOME": "HERE/home", "USER": "runner"}),
        # What an engine sets for a user without an entry
        (False, "runner", {"HOME": "/"}, {"HOME": "HERE/runner", "USER": "runner"}),
        (False, "runner", {}, {"HOME": "HERE/runner", "USER": "runner"}),
        (False, "runner", {"HOME": "HERE/missing"}, {"HOME": "HERE/runner", "USER": "runner"}),
        (False, "", {"HOME": ""}, {"HOME": "/tmp", "USER": "runner"}),
    ],
)
def test_every_user_has_a_name_and_a_home(entry, writable, environ, wanted, entrypoint):
    assert entrypoint(entry, writable, environ) == wanted


def test_the_entrypoint_hands_arguments_and_the_exit_code_on():
    argv = [FILES / "entrypoint", "sh", "-c", 'printf "%s|" "$@"; exit 7', "x", "a b", "*"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "a b|*|")


def test_the_shell_has_what_the_entrypoint_calls():
    text = re.sub(r"#.*", "", (FILES / "entrypoint").read_text())
    assert {"id", "grep"} == {
        name for name in ("id", "grep", "sed", "awk", "getent", "cut") if re.search(rf"\b{name} ", text)
    }
    assert paths()["/usr/bin/id"] == paths()["/usr/bin/grep"] == paths()["/usr/bin/sh"] == "-> busybox"
