# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's own job: options in, keys out, and no value of the user's in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.module_utils.errors import ToolError
from ansible_collections.orion.tracing.plugins.module_utils.module import KUBE_OPTIONS
from ansible_collections.orion.tracing.plugins.module_utils.plan import Plan, Step
from ansible_collections.orion.tracing.plugins.modules import helm_release

SECRET = "value-of-a-password"
OPTIONS = {
    "name": "r",
    "namespace": "ns",
    "chart": "/charts/c",
    "release_values": {"password": SECRET, "replicas": 2},
    "atomic": True,
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., SimpleNamespace]:
    """Run the module with ensure() replaced; returns its result, what it logged and what ensure() was given."""
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg}{log_args}"))

    @contextmanager
    def client(self):
        with self.guard():
            yield SimpleNamespace(calls=0)

    monkeypatch.setattr(helm_release.HelmModule, "client", client)

    def call(options: dict, outcome: Plan | Exception | None = None) -> SimpleNamespace:
        seen: dict = {}

        def ensure(kube, helm, wanted, check_mode, mask):
            seen.update(helm=helm, wanted=wanted, check_mode=check_mode)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome or Plan()

        monkeypatch.setattr(helm_release, "ensure", ensure)
        with patch_module_args({**options, "_ansible_inject_invocation": True}), pytest.raises(SystemExit) as ended:
            helm_release.main()
        return SimpleNamespace(
            result=json.loads(capsys.readouterr().out), logged="".join(logged), code=ended.value.code, **seen
        )

    return call


def test_options_reach_the_plan(run) -> None:
    done = run(OPTIONS)
    assert done.code == 0
    wanted = done.wanted
    assert (wanted.name, wanted.namespace, wanted.state, wanted.chart_ref) == ("r", "ns", "present", "/charts/c")
    assert wanted.values == {"password": SECRET, "replicas": 2}
    assert wanted.rollback_on_failure
    assert (wanted.wait, wanted.timeout, wanted.history_max) == (True, "5m", None)
    assert (wanted.on_pending, wanted.on_failed, wanted.namespace_labels) == ("fail", "upgrade", None)
    assert done.helm.binary == "helm"
    assert not done.check_mode


def test_values_are_neither_logged_nor_returned(run) -> None:
    done = run(OPTIONS)
    assert "invocation" in done.result
    assert SECRET not in json.dumps(done.result) + done.logged
    failed = run({**OPTIONS, "unknown_option": 1})
    assert failed.result["failed"]
    assert SECRET not in json.dumps(failed.result) + failed.logged


def test_the_result_is_the_plans(run) -> None:
    plan = Plan(steps=[Step("install", "upgrade")], diff=[{"before": ""}], result={"objects": [], "helm_processes": 2})
    result = run(OPTIONS, plan).result
    assert (result["changed"], result["steps"], result["diff"], result["helm_processes"]) == (
        True,
        ["install"],
        [{"before": ""}],
        2,
    )


def test_errors_become_failures(run) -> None:
    failed = run(OPTIONS, ToolError("helm broke", "its words", not_ready=["Pod a: b"]))
    assert failed.code == 1
    assert failed.result["msg"] == "helm broke: its words."
    assert failed.result["not_ready"] == ["Pod a: b"]


def test_a_timeout_that_is_no_duration_is_refused_first(run) -> None:
    failed = run({**OPTIONS, "timeout": "5 minutes"})
    assert "timeout 5 minutes is not a duration" in failed.result["msg"]
    assert not hasattr(failed, "wanted")


def test_a_chart_is_needed_unless_the_release_goes(run) -> None:
    assert "chart_ref" in run({"name": "r", "namespace": "ns"}).result["msg"]
    assert run({"name": "r", "namespace": "ns", "state": "absent"}).wanted.chart_ref == ""


def test_the_binary_falls_back_to_the_environment(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_BINARY", "/opt/helm")
    assert run(OPTIONS).helm.binary == "/opt/helm"
    assert run({**OPTIONS, "binary_path": "helm3"}).helm.binary == "helm3"


def test_documentation_and_arguments_agree() -> None:
    documented = yaml.safe_load(helm_release.DOCUMENTATION)["options"]
    assert documented.keys() == helm_release.ARGUMENTS.keys()
    assert not documented.keys() & KUBE_OPTIONS.keys()
    for name, option in documented.items():
        argument = helm_release.ARGUMENTS[name]
        for key in ("type", "default", "choices", "aliases", "required"):
            assert option.get(key) == argument.get(key), (name, key)
