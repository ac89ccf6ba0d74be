# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Environments of their own for what tests work with: collections that ours are compared with, and client libraries."""

from __future__ import annotations

import threading
from pathlib import Path

from tools.steps import ROOT, STATE, run

# The PyPI package ansible, which carries kubernetes.core, amazon.aws and community.aws.
VENV = STATE / "bench/venv"
# An OpenTelemetry SDK with exporters for every protocol of the gateway.
CLIENTS = STATE / "clients"
# ansible-builder, ansible-runner and ansible-navigator, beside what an execution environment has.
CONTROLLER = STATE / "controller/venv"
# Sphinx and antsibull-docs.
DOCS = STATE / "docs/venv"
# The PyPI package ansible in the last release that carries awx.awx, without what it depends on.
AWX = STATE / "awx"

_preparing = threading.Lock()


def _prepare(venv: Path, requirements: Path, what: str) -> Path:
    """The environment, made or brought up to date where its pins have changed."""
    uv = ROOT / ".venv/bin/uv"
    done, pins = venv / ".complete", requirements.read_text()
    # Gates beside each other may need the same one.
    with _preparing:
        if not done.exists() or done.read_text() != pins:
            pinned = f"packages pinned in requirements/{requirements.name}"
            print(f"Environment of {what}: {venv.relative_to(ROOT)}, {pinned} …", flush=True)
            run(uv, "venv", "-q", "--clear", "-p", ROOT / ".venv/bin/python", venv)
            run(uv, "pip", "sync", "-q", "--python", venv / "bin/python", "--require-hashes", requirements)
            done.write_text(pins)
    return venv


def prepare() -> Path:
    """The collections that ours are compared with."""
    return _prepare(VENV, ROOT / "requirements/bench.txt", "the comparison")


def prepare_clients() -> Path:
    """The client libraries."""
    return _prepare(CLIENTS, ROOT / "requirements/clients.txt", "the client libraries")


def prepare_controller() -> Path:
    """What makes execution environments and runs jobs in them."""
    return _prepare(CONTROLLER, ROOT / "requirements/controller.txt", "the controller")


def prepare_docs() -> Path:
    """What the documentation site is built with."""
    return _prepare(DOCS, ROOT / "requirements/docs.txt", "the documentation site")


def prepare_awx() -> Path:
    """The collection awx.awx."""
    return _prepare(AWX, ROOT / "requirements/awx.txt", "awx.awx")
