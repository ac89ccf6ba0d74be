# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make lint` and `make test`: every gate by name, its time, and one line of totals at the end.

A gate is a program that must exit with 0. One that runs pytest counts with its tests, any other as one. A skipped test
is a failure: where something is missing, the set-up has to bring it. The exception is Tempo, whose image nothing builds
(docs/testing.md): what was not run for that is told, and counted as skipped, in a line of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from airgap import images
from tools import local, machine, peers
from tools.steps import ROOT, STATE, Failed, environment

WORK = STATE / "gates"
INSTALLED = WORK / "build/ansible_collections/orion/tracing"
TARBALL = WORK / "build/orion-tracing-0.1.0.tar.gz"
TEST_CLUSTER = "orion-test"
MODULE_UTILS = "ansible_collections.orion.tracing.plugins.module_utils"
# Molecule's scenarios that run on the embedded store where Tempo is not at hand.
STORE_SCENARIOS = ("site", "load")


@dataclass
class Gate:
    """argv is run in cwd, after before, if that is given."""

    name: str
    argv: list[str]
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] | None = None
    pytest: bool = False
    stream: bool = False


@dataclass
class Outcome:
    """skipped: tests of a component that is not at hand. note: what to say of it in the table."""

    name: str
    passed: int
    failed: int
    seconds: float
    skipped: int = 0
    note: str = ""


def copy_for_ansible_test() -> None:
    """The files of the built collection, in a git work tree of their own: ansible-test asks git for the files."""
    build_collection()
    for argv in (["init", "-q"], ["add", "-A", "-f"]):
        subprocess.run(["git", *argv], cwd=INSTALLED, check=True, capture_output=True)
    # The sanity tests' own virtual environments take pip from Python instead of downloading a bootstrap script: the
    # machine may reach package registries only.
    stub = WORK / "home/.ansible/test/cache"
    stub.mkdir(parents=True, exist_ok=True)
    for version in ("20_3_4", "21_3_1", "24_2", "25_2", "25_3", "26_0", "26_1"):
        file = stub / f"get_pip_{version}.py"
        if not file.exists():
            file.write_text("import ensurepip\nensurepip.bootstrap(default_pip=True)\n")


def sanity_environment() -> dict[str, str]:
    """ansible-test keeps its environments in the home folder: it gets one of ours, with the user's caches. Of the
    Pythons it sees ours and the system's: pyenv's shims answer for versions that do not run."""
    return {
        "HOME": str(WORK / "home"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", f"{Path.home()}/.cache"),
        "PATH": f"{ROOT / '.venv/bin'}:/usr/local/bin:/usr/bin:/bin",
    }


def build_collection() -> None:
    """The tarball as it would be published, and an installation of it in an empty folder."""
    shutil.rmtree(WORK / "build", ignore_errors=True)
    (WORK / "build").mkdir(parents=True)
    for argv in (
        ["build", "--output-path", WORK / "build", ROOT],
        ["install", "--offline", "--force", "-p", WORK / "build", TARBALL],
    ):
        galaxy = [ROOT / ".venv/bin/ansible-galaxy", "collection", *argv]
        subprocess.run(galaxy, env=environment(), check=True, capture_output=True)


def oldest_core() -> None:
    """A virtual environment with the oldest supported ansible-core."""
    uv, venv = ROOT / ".venv/bin/uv", WORK / "core-2.20"
    if not (venv / "bin/python").exists():
        subprocess.run([uv, "venv", "-q", "-p", ROOT / ".venv/bin/python", venv], check=True)
    requirements = ROOT / "requirements/core-2.20.txt"
    subprocess.run(
        [uv, "pip", "sync", "-q", "--python", venv / "bin/python", "--require-hashes", requirements], check=True
    )
    (WORK / "defaults.cfg").write_text("[defaults]\n")


def pytest(name: str, *argv: str, **kwargs) -> Gate:
    return Gate(
        name, ["python", "-m", "pytest", "-q", f"--junitxml={WORK / 'junit.xml'}", *argv], pytest=True, **kwargs
    )


def static_gates() -> list[Gate]:
    """What needs neither a cluster nor an image."""
    return [
        Gate("ruff check", ["ruff", "check", "."]),
        Gate("ruff format", ["ruff", "format", "--check", "."]),
        Gate(
            "mypy",
            ["mypy", f"--config-file={ROOT / 'pyproject.toml'}", "-p", MODULE_UTILS],
            cwd=STATE / "collections",
        ),
        Gate("yamllint", ["yamllint", "-s", "."]),
        Gate("ansible-lint production", ["ansible-lint", "--offline", "-q"]),
        Gate(
            "ansible-test sanity",
            ["ansible-test", "sanity", "--local", "--requirements", "--color", "no"],
            cwd=INSTALLED,
            before=copy_for_ansible_test,
            env=sanity_environment(),
        ),
        Gate("antsibull-docs lint", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."]),
        Gate("antsibull-changelog lint", ["antsibull-changelog", "lint"]),
        Gate(
            "galaxy-importer",
            ["python", "-m", "galaxy_importer.main", str(TARBALL)],
            cwd=WORK,
            env={"GALAXY_IMPORTER_CONFIG": str(ROOT / "tools/galaxy-importer.cfg")},
        ),
    ]


def unit_gate(tools: dict[str, str]) -> Gate:
    return pytest(
        "unit and chart tests, branch coverage of module_utils",
        "tests/unit",
        # Most of these tests wait for programs that they start, so there may be more of them at once than cores.
        "-n4",
        "--dist=loadfile",
        "--cov",
        "--cov-branch",
        "--cov-report=term-missing:skip-covered",
        "--cov-fail-under=90",
        env=tools,
    )


def parity_gate(tools: dict[str, str]) -> Gate:
    """Needs the collector's binary, and no cluster."""
    return pytest("sampling parity with the collector", "tests/parity", env=tools)


def cluster_gates(tools: dict[str, str]) -> list[Gate]:
    """On one kind cluster, apart from that of `make up`."""
    env = {"ORION_CLUSTER": TEST_CLUSTER, **tools}
    state = {"ORION_TEST_STATE": str(STATE / TEST_CLUSTER), "ORION_PEERS": str(peers.VENV)}
    inventory = f"--inventory={ROOT / 'inventories/local'}"
    installed = {"ANSIBLE_COLLECTIONS_PATH": str(WORK / "build"), "ANSIBLE_CONFIG": str(WORK / "defaults.cfg")}
    return [
        Gate("test cluster", ["ansible-playbook", "playbooks/local.yml", inventory], env=env, stream=True),
        pytest("integration tests", "tests/integration", env=env | state, before=peers.prepare, stream=True),
        Gate(
            "built collection on ansible-core 2.20",
            [str(WORK / "core-2.20/bin/ansible-playbook"), "orion.tracing.site", inventory, "--check"],
            cwd=WORK,
            before=oldest_core,
            env=env | installed,
        ),
        Gate(
            "molecule check, load, site",
            ["molecule", "test", "--all", "--no-command-borders"],
            env=env | {"ORION_CLIENTS": str(peers.CLIENTS)},
            before=peers.prepare_clients,
            stream=True,
        ),
        Gate("removal", ["ansible-playbook", "playbooks/local_down.yml", inventory], env=env, stream=True),
    ]


def _run(gate: Gate) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        gate.argv,
        cwd=gate.cwd,
        env=environment(**gate.env),
        stdin=subprocess.DEVNULL,
        stdout=None if gate.stream else subprocess.PIPE,
        stderr=None if gate.stream else subprocess.STDOUT,
        text=True,
        check=False,
    )


def count(junit: Path) -> tuple[int, int, int]:
    """Tests that passed, that failed, and that a component was not at hand for, of a pytest run.

    A skipped test has failed, unless tests/conftest.py has marked it with the property not_at_hand.
    """
    passed = failed = skipped = 0
    for test in ET.parse(junit).getroot().iter("testcase"):
        if test.find("failure") is not None or test.find("error") is not None:
            failed += 1
        elif test.find("skipped") is None:
            passed += 1
        elif test.find("properties/property[@name='not_at_hand']") is not None:
            skipped += 1
        else:
            failed += 1
    return passed, failed, skipped


def run_gate(gate: Gate) -> Outcome:
    print(f"\n=== {gate.name}", flush=True)
    start, output = time.monotonic(), ""
    junit = WORK / "junit.xml"
    junit.unlink(missing_ok=True)
    try:
        if gate.before:
            gate.before()
        done = _run(gate)
        if gate.pytest and done.returncode == -signal.SIGSEGV:
            # A crash of the interpreter is no result of a test: this collection has no code of its own below Python.
            # Seen with CPython 3.13.0, in its garbage collector, once in several whole runs of these tests.
            print(f"{(done.stdout or '')[-4000:]}\n=== the Python interpreter crashed (SIGSEGV): once more", flush=True)
            done = _run(gate)
        code, output = done.returncode, done.stdout or ""
    except (OSError, subprocess.CalledProcessError, Failed) as error:
        code, output = 1, f"{error}\n{(getattr(error, 'stderr', b'') or b'').decode(errors='replace')}"
    passed, failed, skipped = (0, 1, 0) if code else (1, 0, 0)
    if gate.pytest and junit.exists():
        passed, failed, skipped = count(junit)
        failed = max(failed, 1 if code else 0)
    outcome = Outcome(gate.name, passed, failed, time.monotonic() - start, skipped)
    if failed and not gate.stream:
        print(output[-12000:])
    elif gate.pytest and not gate.stream:
        print("\n".join(output.strip().splitlines()[-3:]))
    print(
        f"=== {gate.name}: {'FAILED' if failed else 'ok'}, {passed} passed, {failed} failed, {outcome.seconds:.1f} s",
        flush=True,
    )
    return outcome


def tempo_version() -> str:
    """The version that the tempo role installs unless told otherwise."""
    return str(yaml.safe_load((ROOT / "roles/tempo/defaults/main.yml").read_text())["tempo_image_tag"])


def without_tempo(outcomes: list[Outcome], installed: bool) -> list[Outcome]:
    """The outcomes with what was not run on Tempo in a line of its own.

    installed: whether the cluster has Tempo's image, and only its binary is missing on this machine.
    """
    skipped = sum(o.skipped for o in outcomes)
    what = f"{skipped} tests with its binary"
    if installed:
        why = "no container engine here could take it out of the image"
    else:
        skipped += len(STORE_SCENARIOS)
        what += f", and molecule {' and '.join(STORE_SCENARIOS)} on it, which used the embedded store"
        why = f"no registry and no archive in {images.folder()} has its image"
    line = Outcome(f"Tempo {tempo_version()}", 0, 0, 0.0, skipped, f"not run, since {why}: {what}")
    return [*(replace(o, skipped=0) for o in outcomes), line]


def table(outcomes: list[Outcome]) -> str:
    """A line for each outcome, and the totals alone on the last one."""
    width = max(len(o.name) for o in outcomes)
    lines = ["Gate" + " " * (width - 2) + "passed  failed  skipped  seconds"]
    for o in outcomes:
        line = f"{o.name:<{width}}  {o.passed:6}  {o.failed:6}  {o.skipped:7}  {o.seconds:7.1f}  {o.note}"
        lines.append(line.rstrip())
    total = f"{sum(o.passed for o in outcomes)} passed, {sum(o.failed for o in outcomes)} failed"
    if skipped := sum(o.skipped for o in outcomes):
        total += f", {skipped} skipped"
    return "\n".join([*lines, "", total])


def finish(outcomes: list[Outcome]) -> None:
    print(f"\n{table(outcomes)}")
    sys.exit(any(o.failed for o in outcomes))


def lint() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    finish([run_gate(gate) for gate in static_gates()])


def test() -> None:
    """Static gates first: they cost seconds and fail early. Then tools and images, then what needs them."""
    machine.check()
    WORK.mkdir(parents=True, exist_ok=True)
    outcomes = [run_gate(gate) for gate in static_gates()]
    found = local.prepare(everything=True)
    # Empty where Tempo is not at hand: what the user's own environment says is not what the last line would tell.
    tools = {"ORION_TEMPO": "", **local.tool_environment(found)}
    outcomes.append(run_gate(unit_gate(tools)))
    outcomes.append(run_gate(parity_gate(tools)))
    cluster, *inside, removal = cluster_gates(tools)
    outcomes.append(run_gate(cluster))
    try:
        if outcomes[-1].failed:
            outcomes += [Outcome(f"{gate.name} (no cluster)", 0, 1, 0.0) for gate in inside]
        else:
            outcomes += [run_gate(gate) for gate in inside]
    finally:
        outcomes.append(run_gate(removal))
    if not tools["ORION_TEMPO"]:
        outcomes = without_tempo(outcomes, "tempo" in found["images"])
    finish(outcomes)
