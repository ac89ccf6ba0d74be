# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `make up` ends with can be pasted into a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tools import local
from tools.steps import Steps


def test_commands_are_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "a path; true"
    state.mkdir()
    proof = {"first_trace_seconds": 1, "checks": [], "traces": {"error": ["aa"]}}
    (state / "proof.json").write_text(json.dumps(proof))
    (state / "cluster.json").write_text(json.dumps({"ports": {"30333": 1}}))
    monkeypatch.setattr(local, "LOCAL", tmp_path / "local.json")
    local.LOCAL.write_text(json.dumps({"images": {"tempo": {}}}))
    local.summary(Steps(0), state, 1.0)
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    assert shlex.split(lines["Kubeconfig"]) == ["export", f"KUBECONFIG={state}/kubeconfig"]
