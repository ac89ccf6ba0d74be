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


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a run leaves in the folder of its cluster."""
    state = tmp_path / "a path; true"
    state.mkdir()
    proof = {"first_trace_seconds": 1, "checks": [], "traces": {"error": ["aa"]}}
    (state / "proof.json").write_text(json.dumps(proof))
    (state / "cluster.json").write_text(json.dumps({"ports": {"30333": 1, "30380": 2}}))
    monkeypatch.setattr(local, "LOCAL", tmp_path / "local.json")
    local.LOCAL.write_text(json.dumps({"images": {"tempo": {}}, "demo": True}))
    return state


def rows(state: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    local.summary(Steps(0), state, 1.0)
    return dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)


def test_commands_are_quoted(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = rows(state, capsys)
    assert shlex.split(lines["Kubeconfig"]) == ["export", f"KUBECONFIG={state}/kubeconfig"]
    curl, *arguments, address = shlex.split(lines["Order something"])
    assert (curl, address) == ("curl", f"{lines['Storefront of the shop'].strip()}/checkout")
    assert json.loads(arguments[arguments.index("-d") + 1]) == {"sku": "book", "quantity": 2}


def test_grafana_is_named_where_it_runs(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not {"Grafana", "Its password"} & rows(state, capsys).keys()
    (state / "cluster.json").write_text(json.dumps({"ports": {"30333": 1, "30380": 2, "30300": 3}}))
    (state / "grafana-credentials.json").write_text(json.dumps({"admin_password": "s3cr3t"}))
    local.LOCAL.write_text(json.dumps({"images": {"tempo": {}, "grafana": {}}, "demo": True}))
    lines = rows(state, capsys)
    assert lines["Grafana"].strip() == "http://127.0.0.1:3 (user admin)"
    assert shlex.split(lines["Its password"])[-1] == str(state / "grafana-credentials.json")
    assert "s3cr3t" not in str(lines)


def test_without_the_shop_nothing_is_said_of_it(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local.LOCAL.write_text(json.dumps({"images": {"tempo": {}}, "demo": False}))
    assert not {"Order something", "Storefront of the shop"} & rows(state, capsys).keys()
