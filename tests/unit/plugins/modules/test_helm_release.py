# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's own job: options in, keys out, and no value of the user's in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ToolError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step
from ansible_collections.orion.tracing.plugins.module_utils.helm.reference import Source
from ansible_collections.orion.tracing.plugins.module_utils.module.base import KUBE_OPTIONS
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
    assert (wanted.name, wanted.namespace, wanted.state, wanted.source.chart_ref) == ("r", "ns", "present", "/charts/c")
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


def test_every_option_of_the_plan_is_one_of_the_modules(run) -> None:
    options = {
        "chart_repo_url": "https://charts.example.com",
        "chart": "c",
        "chart_version": "1.2.3",
        "repo_username": "u",
        "repo_password": SECRET,
        "wait_for_jobs": True,
        "wait_timeout": "90s",
        "upgrade_crds": True,
        "take_ownership": True,
        "force_conflicts": True,
        "labels": {"a": 1},
        "description": "d",
        "post_renderer": "p",
        "post_renderer_args": ["x"],
        "test": True,
        "drift": "repair",
    }
    done = run({"name": "r", "namespace": "ns", **options})
    wanted = done.wanted
    assert wanted.source == Source("c", "https://charts.example.com", "1.2.3", None, "u", SECRET)
    assert (wanted.wait_for_jobs, wanted.timeout, wanted.upgrade_crds, wanted.skip_crds) == (True, "90s", True, False)
    assert (wanted.take_ownership, wanted.force_conflicts, wanted.labels) == (True, True, {"a": "1"})
    assert (wanted.description, wanted.post_renderer, wanted.post_renderer_args) == ("d", "p", ("x",))
    assert (wanted.test, wanted.drift, wanted.rollback_to) == (True, "repair", None)
    assert SECRET not in json.dumps(done.result) + done.logged


def test_values_files_are_merged_below_the_values(run, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(f"replicas: 1\nimage: {{tag: '1.0'}}\nmine: {SECRET}\n")
    (tmp_path / "b.yml").write_text("image: {pull: Always}\n")
    files = [str(tmp_path / "a.yml"), str(tmp_path / "b.yml")]
    done = run({**OPTIONS, "values_files": files})
    assert done.wanted.values == {
        "replicas": 2,
        "image": {"tag": "1.0", "pull": "Always"},
        "mine": SECRET,
        "password": SECRET,
    }
    assert SECRET not in json.dumps(done.result) + done.logged


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chart_version": "1.x"}, "chart_version 1.x"),
        ({"chart": "c", "chart_repo_url": "https://charts.example.com"}, "chart_version is missing"),
        ({"chart_digest": "md5:1"}, "chart_digest"),
        ({"upgrade_crds": True, "skip_crds": True}, "upgrade_crds and skip_crds"),
        ({"rollback_to": 3}, "mutually exclusive"),
        ({"repo_username": "u"}, "required together"),
        ({"drift": "yes"}, "drift"),
    ],
)
def test_what_is_refused_before_the_cluster_is_asked(run, options: dict, message: str) -> None:
    failed = run({**OPTIONS, **options})
    assert message in failed.result["msg"]
    assert not hasattr(failed, "wanted")


def test_a_values_file_that_is_not_yaml_is_refused_first(run, tmp_path: Path) -> None:
    path = tmp_path / "broken.yml"
    path.write_text("a: 1\nb: [\n")
    failed = run({**OPTIONS, "values_files": [str(path)]})
    assert f"values_files: {path}, line 3" in failed.result["msg"]
    assert not hasattr(failed, "wanted")
    assert run({"name": "r", "namespace": "ns", "state": "absent", "values_files": [str(path)]}).code == 0


def test_rollback_to_needs_no_chart(run) -> None:
    assert run({"name": "r", "namespace": "ns", "rollback_to": 3}).wanted.rollback_to == 3


def test_a_chart_is_needed_unless_the_release_goes(run) -> None:
    assert "chart_ref" in run({"name": "r", "namespace": "ns"}).result["msg"]
    assert run({"name": "r", "namespace": "ns", "state": "absent"}).wanted.source.chart_ref == ""


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
        for key in ("type", "default", "choices", "aliases", "required", "elements"):
            assert option.get(key) == argument.get(key), (name, key)
