# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's own job: options in, keys out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.helm.info import Gathered, Query
from ansible_collections.orion.tracing.plugins.modules import helm_release_info


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., SimpleNamespace]:
    """Run the module with gather() replaced; returns its result and the query that gather() was given."""

    @contextmanager
    def client(self):
        with self.guard():
            yield SimpleNamespace(calls=3)

    monkeypatch.setattr(helm_release_info.TracingModule, "client", client)

    def call(options: dict[str, Any], outcome: Gathered | Exception | None = None) -> SimpleNamespace:
        seen: list[Query] = []

        def gather(kube, query):
            seen.append(query)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome or Gathered([], [])

        monkeypatch.setattr(helm_release_info, "gather", gather)
        # Ansible collects warnings for a whole process, and elsewhere if that has loaded its controller.
        with (
            patch_module_args(options),
            patch.object(helm_release_info.TracingModule, "warn") as warn,
            pytest.raises(SystemExit) as ended,
        ):
            helm_release_info.main()
        result = {**json.loads(capsys.readouterr().out), "warnings": [call.args[0] for call in warn.call_args_list]}
        return SimpleNamespace(result=result, code=ended.value.code, query=seen[0] if seen else None)

    return call


def test_by_default_all_releases_without_values(run) -> None:
    assert run({}).query == Query()


def test_options_reach_the_query(run) -> None:
    options = {"name": "r", "namespace": "ns", "release_state": ["failed"], "with_values": "user"}
    flags = {"history": True, "notes": True, "objects": True, "drift": True}
    assert run({**options, **flags}).query == Query("r", "ns", ("failed",), "user", True, True, True, True)


@pytest.mark.parametrize("check", [True, False])
def test_nothing_ever_changes(run, check: bool) -> None:
    done = run({"_ansible_check_mode": check}, Gathered([{"name": "r"}], ["a kind may not be read"]))
    assert done.code == 0
    assert (done.result["changed"], done.result["releases"], done.result["api_calls"]) == (False, [{"name": "r"}], 3)
    assert done.result["warnings"] == ["a kind may not be read"]


def test_errors_fail_the_task(run) -> None:
    done = run({}, PermissionDenied("no", "secrets is forbidden", "Grant it."))
    assert done.code == 1
    assert done.result["msg"] == "no: secrets is forbidden. Grant it."


def test_unknown_states_are_refused(run) -> None:
    assert "release_state" in run({"release_state": ["installed"]}).result["msg"]


def test_options_are_documented_as_they_are() -> None:
    documented = yaml.safe_load(helm_release_info.DOCUMENTATION)["options"]
    assert documented.keys() == helm_release_info.ARGUMENTS.keys()
    for name, spec in helm_release_info.ARGUMENTS.items():
        for key in ("type", "elements", "choices", "default", "aliases"):
            assert documented[name].get(key) == spec.get(key), (name, key)
