# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gates of `make check`, `make test` and `make test-all`: one list, in the order in which they run.

docs/testing.md has the same list with durations; a unit test compares the two. tools/runner.py runs the gates.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from airgap import cache, spec
from tools import browser, peers
from tools.steps import ROOT, STATE, environment, run

WORK = STATE / "gates"
BUILD = WORK / "build"
INSTALLED = BUILD / "ansible_collections/orion/tracing"
# ansible-test asks git for the files, so it gets a work tree of its own.
SANITY = WORK / "sanity/ansible_collections/orion/tracing"
INVENTORY = f"--inventory={ROOT / 'inventories/local'}"
# Apart from the cluster of `make up`, whatever its name.
TEST_CLUSTER = f"{os.environ.get('ORION_CLUSTER') or 'orion'}-test"
PROCESSORS = os.cpu_count() or 1

CHECK, TEST, TEST_ALL = "check", "test", "test-all"
EVERYWHERE, PULL_REQUEST, NIGHTLY = (CHECK, TEST, TEST_ALL), (TEST, TEST_ALL), (TEST_ALL,)

# What a gate needs before it can run. Gates that need the cluster run beside those that do not.
NOTHING, TOOLS, CLUSTER = range(3)


@dataclass(frozen=True)
class Gate:
    """A program that must exit with 0, with everything needed to run it.

    name: that of `make test GATE=name`. what: what it shows, in half a sentence. commands: those that it is part of.
    argv is run in cwd, after before. alone: it measures times, so no other gate runs beside it. recordings: it uses the
    recording beside the checkout where there is one. pytest: it counts with its tests, any other gate as one. images:
    names in airgap/images.yml; without one of them it is not run, which the table has as skipped. if_failed: a program
    that removes what argv leaves on the cluster where it fails, so that the next gate finds what it expects.
    """

    name: str
    what: str
    argv: tuple[str, ...]
    commands: tuple[str, ...] = PULL_REQUEST
    needs: int = NOTHING
    cwd: Path = ROOT
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], object] | None = None
    alone: bool = False
    recordings: bool = False
    pytest: bool = False
    images: frozenset[str] = frozenset()
    if_failed: tuple[str, ...] = ()


def junit(name: str) -> Path:
    """Where the tests of a gate write their results."""
    return WORK / "junit" / f"{name}.xml"


def pytest(name: str, what: str, *argv: str, **settings: Any) -> Gate:
    command = ("python", "-m", "pytest", "-q", "--durations=5", f"--junitxml={junit(name)}")
    return Gate(name, what, (*command, *argv), pytest=True, **settings)


def tests(name: str, what: str, folder: str, *argv: str, **settings: Any) -> Gate:
    """The tests of a folder that are not marked nightly."""
    return pytest(name, what, folder, "-m", "not nightly", *argv, **settings)


def nightly(name: str, what: str, *argv: str, **settings: Any) -> Gate:
    """The tests that are marked nightly."""
    return pytest(name, what, "-m", "nightly", *argv, commands=NIGHTLY, **settings)


def molecule(scenario: str, name: str, what: str, **settings: Any) -> Gate:
    """destroy=never: the runner removes the cluster. A sequence that fails ends before its cleanup."""
    options = (f"--scenario-name={scenario}", "--no-command-borders")
    return Gate(
        name,
        what,
        ("molecule", "test", *options, "--destroy=never"),
        needs=CLUSTER,
        # pytest reads it, where verify.yml runs it.
        env={"PYTEST_ADDOPTS": f"--junitxml={junit(name)}", **settings.pop("env", {})},
        if_failed=("molecule", "cleanup", *options),
        **settings,
    )


def version() -> str:
    return str(yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"])


def tarball() -> Path:
    return BUILD / f"orion-tracing-{version()}.tar.gz"


_building = threading.Lock()


def build_collection() -> None:
    """The tarball as it would be published, and an installation of it in an empty folder; once in a run."""
    with _building:
        _build_collection()


@functools.cache
def _build_collection() -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    commands: list[list[str | Path]] = [
        ["build", "--output-path", BUILD, ROOT],
        ["install", "--offline", "--force", "-p", BUILD, tarball()],
    ]
    for argv in commands:
        galaxy = [ROOT / ".venv/bin/ansible-galaxy", "collection", *argv]
        subprocess.run(galaxy, env=environment(), check=True, capture_output=True)


def copy_for_ansible_test() -> None:
    """The built collection and the repository's other Python code in a git work tree, and an empty download cache for
    ansible-test."""
    build_collection()
    shutil.rmtree(SANITY, ignore_errors=True)
    shutil.copytree(INSTALLED, SANITY)
    # Not in the tarball, and to be checked all the same; tests/config.yml also has ansible-test's own settings.
    for folder in ("airgap", "extensions", "tests", "tools"):
        shutil.copytree(ROOT / folder, SANITY / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for argv in (["init", "-q"], ["add", "-A", "-f"]):
        subprocess.run(["git", *argv], cwd=SANITY, env=environment(), check=True, capture_output=True)
    # The sanity tests' own virtual environments take pip from Python instead of downloading a bootstrap script: the
    # machine may reach package registries only.
    stub = WORK / "home/.ansible/test/cache"
    stub.mkdir(parents=True, exist_ok=True)
    for pip in ("20_3_4", "21_3_1", "24_2", "25_2", "25_3", "26_0", "26_1"):
        file = stub / f"get_pip_{pip}.py"
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


def oldest_core() -> None:
    """The built collection, and a virtual environment with the oldest supported ansible-core."""
    build_collection()
    uv, venv = ROOT / ".venv/bin/uv", WORK / "core-2.20"
    if not (venv / "bin/python").exists():
        subprocess.run([uv, "venv", "-q", "-p", ROOT / ".venv/bin/python", venv], check=True)
    requirements = ROOT / "requirements/core-2.20.txt"
    subprocess.run(
        [uv, "pip", "sync", "-q", "--python", venv / "bin/python", "--require-hashes", requirements], check=True
    )
    (WORK / "defaults.cfg").write_text("[defaults]\n")


def controller() -> None:
    """The built collection, as a controller installs it, and the programs with which it runs jobs."""
    build_collection()
    peers.prepare_controller()


# The archive of the image that jobs run in.
EXECUTION_ENVIRONMENT = WORK / "execution-environment.tar"


def execution_environment() -> None:
    """What controller() prepares, and the image."""
    controller()
    name = "execution-environment"
    run(sys.executable, "-m", "airgap", "build", name)
    artifacts = spec.load()
    store = cache.Store(cache.default_root(), cache.digests(artifacts))
    EXECUTION_ENVIRONMENT.unlink(missing_ok=True)
    EXECUTION_ENVIRONMENT.symlink_to(store.folder(name) / artifacts[name].output)


# The cluster is made before the first gate that needs it and removed after the last one: see runner.py.
MAKE_CLUSTER = Gate(
    "cluster",
    "the local cluster as `make up` makes it, under a name of its own",
    ("ansible-playbook", "playbooks/local.yml", INVENTORY),
    needs=CLUSTER,
)
REMOVE_CLUSTER = Gate(
    "remove-cluster", "its removal", ("ansible-playbook", "playbooks/local_down.yml", INVENTORY), needs=CLUSTER
)

GATES = (
    # Without any program or image of the platform
    Gate("ruff", "style and common errors of the Python code", ("ruff", "check", "."), EVERYWHERE),
    Gate("format", "its formatting", ("ruff", "format", "--check", "."), EVERYWHERE),
    Gate(
        "mypy",
        "types of the collection's plugins, of tools, of airgap and of the example system",
        (
            "mypy",
            f"--config-file={ROOT / 'pyproject.toml'}",
            *("-p", "ansible_collections.orion.tracing.plugins", "-p", "tools", "-p", "airgap"),
            *("-p", "service", "-p", "gateway", "-p", "orders", "-p", "fulfilment"),
        ),
        EVERYWHERE,
        cwd=STATE / "collections",
    ),
    pytest(
        "unit-quick",
        "unit tests that start no program of the platform",
        "tests/unit",
        "-m",
        "not slow and not nightly",
        f"-n{PROCESSORS}",
        "--dist=worksteal",
        commands=(CHECK,),
    ),
    Gate("yamllint", "style of YAML files", ("yamllint", "-s", ".")),
    Gate("ansible-lint", "roles and playbooks, profile `production`", ("ansible-lint", "--offline", "-q")),
    Gate(
        "sanity",
        "`ansible-test sanity` on the built collection and the tests",
        ("ansible-test", "sanity", "--local", "--requirements", "--color", "no"),
        cwd=SANITY,
        before=copy_for_ansible_test,
        env=sanity_environment(),
    ),
    Gate(
        "plugin-docs",
        "documentation of modules, plugins and roles (antsibull-docs)",
        ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "."),
    ),
    Gate("changelog", "fragments, and CHANGELOG.md made from them", ("python", "-m", "tools.changelog", "--check")),
    Gate("docs-site", "the documentation site; no warning, no broken link", ("python", "-m", "tools.docs_site")),
    Gate("workflows", "GitHub Actions workflows (actionlint)", ("python", "-m", "tools.workflows")),
    Gate(
        "report",
        "the page of the reports is what its sources build; types of the sources (TypeScript)",
        ("python", "-m", "tools.report", "--check"),
    ),
    tests(
        "report-page",
        "the page in headless Chromium: content, keyboard, axe-core, 50,000 spans, no request leaves it",
        "tests/report",
        before=browser.prepare,
    ),
    Gate(
        "importer",
        "what Galaxy checks when the tarball is uploaded (galaxy-importer)",
        ("python", "-m", "galaxy_importer.main", str(tarball())),
        cwd=WORK,
        before=build_collection,
        env={"GALAXY_IMPORTER_CONFIG": str(ROOT / "tools/galaxy-importer.cfg")},
    ),
    tests(
        "awx",
        "`playbooks/awx.yml` with the real awx.awx against a stub of a controller; awx/ fits awx.awx's argument specs",
        "tests/awx",
        before=peers.prepare_awx,
        env={"ORION_AWX": str(peers.AWX)},
    ),
    # With the real programs, without a cluster
    tests(
        "unit",
        "unit and chart tests; branch coverage of module_utils at least 90 %",
        "tests/unit",
        # Most of these tests wait for servers and programs that they start.
        f"-n{2 * PROCESSORS}",
        "--dist=worksteal",
        "--cov",
        "--cov-branch",
        "--cov-report=term-missing:skip-covered",
        "--cov-fail-under=90",
        needs=TOOLS,
    ),
    tests(
        "queries",
        "queries of dashboards and alert rules are parsed and return data; every alert fires and ends",
        "tests/queries",
        needs=TOOLS,
    ),
    tests(
        "admission",
        "a real API server: pods with the policies of the instrumentation role, and rights that are just enough",
        "tests/admission",
        needs=TOOLS,
    ),
    nightly("admission-all", "the same rights with Helm 3", "tests/admission", needs=TOOLS),
    tests(
        "controller",
        "jobs as a controller runs them (ansible-runner), and the execution environment (ansible-builder)",
        "tests/controller",
        needs=TOOLS,
        before=controller,
        env={"ORION_CONTROLLER": str(peers.CONTROLLER), "ORION_COLLECTION": str(BUILD)},
    ),
    tests(
        "parity",
        "the simulator keeps what the real Collector keeps",
        "tests/parity",
        needs=TOOLS,
        recordings=True,
    ),
    nightly(
        "parity-lists",
        "the same with every generated policy list",
        "tests/parity",
        "--ignore=tests/parity/test_clock.py",
        needs=TOOLS,
    ),
    # On the test cluster
    MAKE_CLUSTER,
    molecule("check", "molecule-check", "`site.yml --check --diff` changes nothing"),
    tests(
        "integration",
        "modules and roles on a cluster",
        "tests/integration",
        needs=CLUSTER,
    ),
    nightly(
        "integration-all",
        "the rest of them",
        "tests/integration",
        needs=CLUSTER,
        before=peers.prepare,
        env={"ORION_PEERS": str(peers.VENV)},
    ),
    Gate(
        "core-2.20",
        "the built collection on the oldest supported ansible-core",
        (str(WORK / "core-2.20/bin/ansible-playbook"), "orion.tracing.site", INVENTORY, "--check"),
        NIGHTLY,
        CLUSTER,
        cwd=WORK,
        before=oldest_core,
        env={"ANSIBLE_COLLECTIONS_PATH": str(BUILD), "ANSIBLE_CONFIG": str(WORK / "defaults.cfg")},
    ),
    molecule(
        "site",
        "site",
        "install, second run, proof, client libraries, replay, simulation, removal",
        before=peers.prepare_clients,
        env={"ORION_CLIENTS": str(peers.CLIENTS)},
        recordings=True,
    ),
    tests(
        "execution-environment",
        "jobs of a controller (ansible-runner, ansible-navigator) in the image, on the cluster",
        "tests/execution_environment",
        needs=CLUSTER,
        before=execution_environment,
        env={
            "ORION_CONTROLLER": str(peers.CONTROLLER),
            "ORION_COLLECTION": str(BUILD),
            "ORION_EXECUTION_ENVIRONMENT": str(EXECUTION_ENVIRONMENT),
        },
    ),
    molecule(
        "applications",
        "applications",
        "the shop: one request is one trace, across HTTP, Kafka and the database, in three languages",
    ),
    molecule(
        "tempo-3",
        "tempo-3",
        "Tempo 2.10 to 3.0 with Kafka: refusals, each step with a proof, traces of before, no second change",
        commands=NIGHTLY,
        images=frozenset({"tempo", "tempo-3"}),
    ),
    molecule(
        "fleet",
        "fleet",
        "two namespaces as two inventory hosts: an edge that sends to a central platform, and what fails apart",
        commands=NIGHTLY,
    ),
    # Nothing beside them: they hold times to bounds
    nightly("parity-clock", "parity in real time", "tests/parity/test_clock.py", needs=TOOLS, alone=True),
    molecule(
        "load",
        "load",
        "samplers scale and restart, the store is away for five minutes, every trace accounted for",
        commands=NIGHTLY,
        alone=True,
    ),
    REMOVE_CLUSTER,
)
