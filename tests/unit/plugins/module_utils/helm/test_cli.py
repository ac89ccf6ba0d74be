# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common import process
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    Conflict,
    InvalidInput,
    PermissionDenied,
    TimedOut,
    ToolError,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import cli
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import (
    Answer,
    Helm,
    RaceLost,
    ServerLost,
    environment,
    seconds_of,
)
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions

CHART = replace(charts.of_files({"Chart.yaml": b"name: c\nversion: 1.0.0"}), path="/charts/c")
WANTED = ReleaseOptions("r", "ns", values={"password": "never-an-argument"}, timeout="90s")
LABELS = {"orion.tracing/chart": "5.abc", "team": "a", "old": None}
DOCUMENT = {"name": "r", "info": {"status": "deployed"}, "manifest": "# rendered by helm v4.3.1\n"}
SHELL = sys.executable  # any executable: the fake runner never starts it


class Fake:
    """Plays helm: answers by subcommand, and remembers what it was asked."""

    def __init__(self, **answers: Answer | Exception) -> None:
        self.answers = answers
        self.calls: list[list[str]] = []
        self.stdin: list[str] = []
        self.seconds: list[float] = []
        self.chart: list[str] = []

    def __call__(
        self, argv: list[str], env: Mapping[str, str], stdin: str, seconds: float, interrupt: Any = None
    ) -> Answer:
        self.calls.append(argv[1:])
        self.stdin.append(stdin)
        self.seconds.append(seconds)
        for word in argv:
            if word.endswith("chart.tgz"):
                with tarfile.open(word) as package:
                    self.chart = package.getnames()
        answer = self.answers[argv[1]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def good(document: dict | None = None, before: str = "") -> Answer:
    return Answer(0, before + json.dumps(document or DOCUMENT), "")


def bad(err: str, code: int = 1) -> Answer:
    return Answer(code, "", err)


def test_render_is_a_dry_run_of_the_upgrade() -> None:
    fake = Fake(upgrade=good())
    helm = Helm(SHELL, {}, fake)
    assert helm.render(WANTED, CHART, LABELS) == DOCUMENT
    helm.upgrade(WANTED, CHART, LABELS)
    dry, real = fake.calls
    assert [*real[:2], "", *real[3:], "--dry-run=server"] == [*dry[:2], "", *dry[3:]]
    assert real[:3] == ["upgrade", "r", "/charts/c"]
    assert {"--install", "--reset-values", "--wait"} <= set(real)
    assert real[real.index("--timeout") + 1] == "90s"
    assert [word for word in real if word.startswith("--labels")] == [
        "--labels=orion.tracing/chart=5.abc",
        "--labels=team=a",
        "--labels=old=null",
    ]
    assert (helm.processes, helm.version) == (2, "v4.3.1")
    assert fake.seconds == [cli.RENDER_SECONDS, 4 * 90 + 60]


def test_values_go_through_standard_input() -> None:
    fake = Fake(upgrade=good())
    helm = Helm(SHELL, {}, fake)
    helm.render(WANTED, CHART, LABELS)
    helm.upgrade(WANTED, CHART, LABELS)
    assert [json.loads(text) for text in fake.stdin] == [WANTED.values] * 2
    assert "never-an-argument" not in str(fake.calls)


def test_the_rendered_chart_tells_the_version_and_nothing_else_changes() -> None:
    fake = Fake(upgrade=good())
    Helm(SHELL, {}, fake).render(WANTED, CHART, {})
    assert fake.chart == ["c/Chart.yaml", f"c/{cli.VERSION_TEMPLATE}"]


@pytest.mark.parametrize(("version", "flag"), [("v3.22", "--atomic"), ("v4.3.1", "--rollback-on-failure")])
def test_rollback_on_failure_is_called_as_each_major_calls_it(version: str, flag: str) -> None:
    fake = Fake(upgrade=good({**DOCUMENT, "manifest": f"# rendered by helm {version}"}))
    helm = Helm(SHELL, {}, fake)
    wanted = replace(WANTED, rollback_on_failure=True, wait=False, history_max=3)
    helm.render(wanted, CHART, {})
    helm.upgrade(wanted, CHART, {})
    dry, real = fake.calls
    assert flag in real
    assert not {"--atomic", "--rollback-on-failure", "--wait"} & set(dry)
    assert real[real.index("--history-max") + 1] == "3"


def test_a_version_that_is_not_known_yet_is_asked_for() -> None:
    fake = Fake(upgrade=good(), version=Answer(0, "v3.22.0", ""))
    helm = Helm(SHELL, {}, fake)
    helm.upgrade(replace(WANTED, rollback_on_failure=True), CHART, {})
    assert [call[0] for call in fake.calls] == ["version", "upgrade"]
    assert "--atomic" in fake.calls[1]


def test_a_major_to_come_is_taken_for_the_newest_known() -> None:
    fake = Fake(upgrade=good({**DOCUMENT, "manifest": "# rendered by helm v5.0.0"}))
    helm = Helm(SHELL, {}, fake)
    helm.render(WANTED, CHART, {})
    helm.upgrade(replace(WANTED, rollback_on_failure=True), CHART, {})
    assert "--rollback-on-failure" in fake.calls[1]


OPTIONS = {
    "wait_for_jobs": ["--wait-for-jobs"],
    "skip_crds": ["--skip-crds"],
    "take_ownership": ["--take-ownership"],
}


@pytest.mark.parametrize("option", OPTIONS)
def test_flags_of_both_majors_are_in_the_dry_run_too(option: str) -> None:
    fake = Fake(upgrade=good())
    helm = Helm(SHELL, {}, fake)
    wanted = replace(WANTED, **{option: True})
    helm.render(wanted, CHART, {})
    helm.upgrade(wanted, CHART, {})
    assert all(set(OPTIONS[option]) <= set(call) for call in fake.calls)
    helm.upgrade(WANTED, CHART, {})
    assert not set(OPTIONS[option]) & set(fake.calls[2])
    helm.upgrade(replace(WANTED, wait_for_jobs=True, wait=False), CHART, {})
    assert "--wait-for-jobs" not in fake.calls[3]


def test_description_and_post_renderer_cannot_be_taken_for_flags() -> None:
    fake = Fake(upgrade=good(), template=Answer(0, "# rendered by helm v4.3.1", ""))
    helm = Helm(SHELL, {}, fake)
    wanted = replace(WANTED, description="--x", post_renderer="p", post_renderer_args=("--a", "b"))
    helm.render(wanted, CHART, {})
    helm.template(wanted, CHART, "v1.34.4", [], is_upgrade=False)
    flags = ["--post-renderer=p", "--post-renderer-args=--a", "--post-renderer-args=b"]
    assert fake.calls[0][-5:] == ["--description=--x", *flags, "--dry-run=server"]
    assert fake.calls[1][-3:] == flags


def test_a_post_renderer_that_drops_what_tells_the_version() -> None:
    fake = Fake(upgrade=good({**DOCUMENT, "manifest": "kind: A"}), version=Answer(0, "v4.3.1", ""))
    helm = Helm(SHELL, {}, fake)
    helm.render(replace(WANTED, post_renderer="p"), CHART, {})
    assert (helm.version, helm.processes) == ("v4.3.1", 2)


def test_helm_4_drops_it_itself_and_can_be_told_all_the_same() -> None:
    fake = Fake(upgrade=good({**DOCUMENT, "manifest": "kind: A", "apply_method": "csa"}))
    helm = Helm(SHELL, {}, fake)
    wanted = replace(WANTED, post_renderer="p", rollback_on_failure=True)
    helm.render(wanted, CHART, {})
    helm.upgrade(wanted, CHART, {})
    assert "--rollback-on-failure" in fake.calls[1]
    assert helm.processes == 2


def test_force_conflicts_is_helm_4s() -> None:
    wanted = replace(WANTED, force_conflicts=True)
    fake = Fake(upgrade=good())
    helm = Helm(SHELL, {}, fake)
    helm.render(wanted, CHART, {})
    helm.upgrade(wanted, CHART, {})
    assert "--force-conflicts" not in fake.calls[0]
    assert fake.calls[1][-2:] == ["--server-side=true", "--force-conflicts"]
    old = Fake(upgrade=good({**DOCUMENT, "manifest": "# rendered by helm v3.22.0"}))
    with pytest.raises(InvalidInput, match=r"force_conflicts is set, and .* is helm v3\.22\.0: helm 4 is needed"):
        Helm(SHELL, {}, old).render(wanted, CHART, {})
    assert len(old.calls) == 1


@pytest.mark.parametrize(("version", "flags"), [("v3.22.0", []), ("v4.3.1", ["--force-conflicts"])])
def test_a_repair_forces_where_that_is_needed(version: str, flags: list[str]) -> None:
    fake = Fake(rollback=Answer(0, "Rollback was a success!", ""), version=Answer(0, version, ""))
    Helm(SHELL, {}, fake).rollback(WANTED, 3, wait=False, repair=True, force=True)
    assert fake.calls[1][-1 - len(flags) :] == ["--no-hooks", *flags]


TESTED = """NAME: r
LAST DEPLOYED: Mon Nov 23 23:00:00 2026
TEST SUITE:     r-test
Last Started:   Mon Nov 23 23:00:00 2026
Phase:          Failed
TEST SUITE:     r-job
Phase:          Succeeded
NOTES: never-a-result

POD LOGS: r-test (main)
one
two
"""


def test_a_test_that_fails_keeps_its_log() -> None:
    fake = Fake(test=Answer(1, TESTED, "Error: 1 error occurred:\n\t* pod r-test failed\n"))
    with pytest.raises(ToolError, match="helm test: a test of the release failed: 1 error") as caught:
        Helm(SHELL, {}, fake).test(WANTED)
    assert caught.value.details["test"] == [
        {"name": "r-test", "phase": "Failed", "log": "one\ntwo"},
        {"name": "r-job", "phase": "Succeeded", "log": ""},
    ]
    assert fake.calls == [["test", "r", "--namespace", "ns", "--timeout", "90s", "--logs"]]


def test_tests_that_pass() -> None:
    out = "TEST SUITE:     r-test\nPhase:          Succeeded\nPOD LOGS: r-test\n" + "line\n" * 99
    tests = Helm(SHELL, {}, Fake(test=Answer(0, out, ""))).test(WANTED)
    assert [(t["name"], t["phase"], t["log"].count("line")) for t in tests] == [("r-test", "Succeeded", cli.LOG_LINES)]
    assert Helm(SHELL, {}, Fake(test=Answer(0, "TEST SUITE: None\n", ""))).test(WANTED) == []


def test_verify() -> None:
    fake = Fake(verify=Answer(0, "", ""))
    Helm(SHELL, {}, fake).verify(Path("/c.tgz"), Path("/ring"))
    assert fake.calls == [["verify", "/c.tgz", "--keyring", "/ring"]]
    with pytest.raises(ToolError, match=r"the signature of c\.tgz is not valid: no provenance"):
        Helm(SHELL, {}, Fake(verify=bad("Error: no provenance"))).verify(Path("/c.tgz"), Path("/ring"))


@pytest.mark.parametrize(
    ("message", "kind", "said"),
    [
        (
            "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            RaceLost,
            "another run is working",
        ),
        (
            'create: failed to create: secrets "sh.helm.release.v1.r.v2" already exists',
            RaceLost,
            "another run is working on this release, or has just changed it",
        ),
        ("cannot reuse a name that is still in use", RaceLost, "another run is"),
        ("UPGRADE FAILED: release: already exists", RaceLost, "another run is"),
        ('configmaps "a" is forbidden: because it is being terminated', Conflict, "the namespace is being deleted"),
        (
            'create: failed to create: Secret "sh.helm.release.v1.r.v1" is invalid: data: Too long: may not be'
            " more than 1048576 bytes",
            InvalidInput,
            "too large for a Secret",
        ),
        (
            'conflict occurred while applying object: Apply failed with 1 conflict: conflict with "kubectl"',
            Conflict,
            "force_conflicts",
        ),
        (
            'Unable to continue with install: ClusterRole "a" in namespace "" exists and cannot be imported into the'
            ' current release: invalid ownership metadata; annotation validation error: key "meta.helm.sh/release-name"'
            ' must equal "b": current value is "a"',
            Conflict,
            "Set take_ownership",
        ),
        (
            "failed to install CRD crds/w.yaml: 1 error occurred: customresourcedefinitions.apiextensions.k8s.io is"
            ' forbidden: User "u" cannot create resource "customresourcedefinitions" in API group'
            ' "apiextensions.k8s.io" at the cluster scope',
            PermissionDenied,
            "Set skip_crds",
        ),
        ("Kubernetes cluster unreachable: Get https://x: dial tcp: connection refused", ServerLost, "went away"),
        ("Get https://x: http2: client connection lost", ServerLost, "went away"),
        ("Post https://x: unexpected EOF", ServerLost, "went away"),
        ('failed calling webhook "a.b": dial tcp: connection refused', ToolError, "the release failed: failed calling"),
        ("timed out waiting for the condition", ToolError, "the release failed: timed out"),
    ],
)
def test_what_helm_means(message: str, kind: type, said: str) -> None:
    with pytest.raises(kind) as caught:
        Helm(SHELL, {}, Fake(upgrade=bad(f"Error: {message}"))).upgrade(WANTED, CHART, {})
    assert caught.type is kind
    assert said in str(caught.value)
    assert message in str(caught.value)
    assert caught.value.details == {"helm_exit_code": 1}


def test_a_repository_that_refuses_is_not_the_api_server() -> None:
    with pytest.raises(ToolError, match="connection refused"):
        Helm(SHELL, {}, Fake(pull=bad("Error: connection refused"))).pull(["c"], {})


@pytest.mark.parametrize(("code", "name"), [(-9, "9 \\(SIGKILL\\)"), (-99, "99 \\(unknown\\)")])
def test_a_helm_that_was_killed(code: int, name: str) -> None:
    with pytest.raises(ToolError, match=f"killed by signal {name}.*on_pending") as caught:
        Helm(SHELL, {}, Fake(upgrade=bad("", code))).upgrade(WANTED, CHART, {})
    assert caught.value.details == {"helm_exit_code": code}


def test_template() -> None:
    fake = Fake(template=Answer(0, "kind: A\n---\n# rendered by helm v3.22.0\n", ""))
    helm = Helm(SHELL, {}, fake)
    assert "kind: A" in helm.template(WANTED, CHART, "v1.34.4", ["e.com/v1", "e.com/v1/W"], is_upgrade=True)
    argv = fake.calls[0]
    assert argv[argv.index("--kube-version") + 1] == "v1.34.4"
    assert argv[-4:] == ["--api-versions", "e.com/v1", "--api-versions", "e.com/v1/W"]
    assert "--is-upgrade" in argv
    helm.template(WANTED, CHART, "v1.34.4", [], is_upgrade=False)
    assert "--is-upgrade" not in fake.calls[1]


def test_uninstall_and_rollback() -> None:
    fake = Fake(uninstall=Answer(0, 'release "r" uninstalled', ""), rollback=Answer(0, "Rollback was a success!", ""))
    helm = Helm(SHELL, {}, fake)
    helm.uninstall(WANTED, wait=True)
    helm.rollback(WANTED, 3, wait=False)
    assert fake.calls == [
        ["uninstall", "r", "--namespace", "ns", "--timeout", "90s", "--wait"],
        ["rollback", "r", "3", "--namespace", "ns", "--timeout", "90s"],
    ]


def test_warnings_before_the_document_are_skipped() -> None:
    assert Helm(SHELL, {}, Fake(upgrade=good(before="W1123 deprecated\n"))).upgrade(WANTED, CHART, {}) == DOCUMENT


@pytest.mark.parametrize("binary", ["/nowhere/helm", "no-such-program"])
def test_a_missing_helm(binary: str) -> None:
    helm = Helm(binary, {}, Fake())
    with pytest.raises(ToolError, match=r"missing.*3\.18 or newer.*binary_path.*HELM_BINARY.*tracing_helm_binary"):
        helm.render(WANTED, CHART, LABELS)
    assert helm.processes == 0


def test_a_helm_that_cannot_be_started() -> None:
    with pytest.raises(ToolError, match="cannot be started.*Exec format error"):
        Helm(SHELL, {}, Fake(upgrade=OSError(8, "Exec format error"))).render(WANTED, CHART, {})


@pytest.mark.parametrize("version", ["v3.17.3", "v2.17.0", "v3.9"])
def test_a_helm_that_is_too_old(version: str) -> None:
    fake = Fake(upgrade=good({**DOCUMENT, "manifest": f"# rendered by helm {version}"}))
    with pytest.raises(ToolError, match=rf"is helm {version}: helm 3\.18 or newer is needed"):
        Helm(SHELL, {}, fake).render(WANTED, CHART, {})


def test_a_helm_so_old_that_it_does_not_know_the_flags() -> None:
    fake = Fake(upgrade=bad('Error: invalid argument "server" for "--dry-run" flag'), version=Answer(0, "v3.9.0\n", ""))
    with pytest.raises(ToolError, match=r"is helm v3\.9\.0"):
        Helm(SHELL, {}, fake).render(WANTED, CHART, {})


def test_a_helm_that_is_new_enough_keeps_its_own_message() -> None:
    fake = Fake(upgrade=bad("Error: unknown flag: --x"), version=Answer(0, "v4.0.0", ""))
    with pytest.raises(ToolError, match="unknown flag: --x"):
        Helm(SHELL, {}, fake).upgrade(WANTED, CHART, {})


@pytest.mark.parametrize(
    "fake",
    [
        Fake(upgrade=Answer(0, "hello", "")),
        Fake(upgrade=Answer(0, "{broken", "")),
        Fake(upgrade=Answer(0, '{"some": "json"}', "")),
        Fake(upgrade=good({**DOCUMENT, "manifest": ""})),
        Fake(upgrade=good({**DOCUMENT, "manifest": "# rendered by helm nonsense"})),
        Fake(upgrade=bad(""), version=bad("")),
        Fake(upgrade=bad("unknown command upgrade"), version=Answer(0, "GNU Helm", "")),
    ],
)
def test_what_is_not_helm(fake: Fake) -> None:
    with pytest.raises(ToolError, match="does not behave like helm"):
        Helm(SHELL, {}, fake).render(WANTED, CHART, {})


def test_an_uninstall_that_is_not_helms() -> None:
    with pytest.raises(ToolError, match="does not behave like helm"):
        Helm(SHELL, {}, Fake(uninstall=Answer(0, "", ""))).uninstall(WANTED, wait=True)


def test_helms_own_words() -> None:
    err = (
        "WARNING: Kubernetes configuration file is group-readable\n"
        "level=WARN msg=deprecated\n"
        "Error: UPGRADE FAILED: values don't meet the specifications of the schema(s):\n"
        "c:\n- at '/replicas': got string\n"
    )
    with pytest.raises(ToolError, match="UPGRADE FAILED.*\n.*\n- at '/replicas': got string") as caught:
        Helm(SHELL, {}, Fake(upgrade=bad(err, 2))).render(WANTED, CHART, {})
    assert "WARN" not in str(caught.value)
    assert caught.value.details == {"helm_exit_code": 2}
    assert cli.explain("level=INFO msg=a\nplain words\n") == "plain words"
    assert cli.explain("WARNING: only this\n") == "WARNING: only this"


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("0s", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "5 min", "m5", "-5m", "5d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        seconds_of(text)


INHERITED = {
    "PATH": "/bin",
    "HELM_CACHE_HOME": "/cache",
    "HELM_KUBECONTEXT": "elsewhere",
    "HELM_NAMESPACE": "elsewhere",
    "HELM_DRIVER": "configmap",
    "HELM_DEBUG": "1",
}


def test_nothing_inherited_leads_elsewhere() -> None:
    with environment({}, INHERITED) as env:
        assert env == {"PATH": "/bin", "HELM_CACHE_HOME": "/cache"}


def test_a_kubeconfig_file() -> None:
    params = {"kubeconfig": "~/config", "context": "c", "ca_cert": "/ca.crt", "validate_certs": False}
    with environment(params, {}) as env:
        assert env == {
            "KUBECONFIG": str(Path("~/config").expanduser()),
            "HELM_KUBECONTEXT": "c",
            "HELM_KUBECAFILE": "/ca.crt",
            "HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "true",
        }


def test_a_kubeconfig_dictionary_is_a_private_file_for_the_time_being() -> None:
    with environment({"kubeconfig": {"kind": "Config"}}, {}) as env:
        path = Path(env["KUBECONFIG"])
        assert json.loads(path.read_text()) == {"kind": "Config"}
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_host_with_a_token_needs_no_kubeconfig() -> None:
    with environment({"host": "https://h", "api_key": "t", "context": "ignored"}, {"KUBECONFIG": "/mine"}) as env:
        assert env == {"KUBECONFIG": "/dev/null", "HELM_KUBEAPISERVER": "https://h", "HELM_KUBETOKEN": "t"}
    with environment({"host": "https://h"}, {}) as env:
        assert "HELM_KUBETOKEN" not in env


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return str(path)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    return lambda text: script(tmp_path, text)


def test_a_real_process(program: Callable[[str], str]) -> None:
    path = program('cat; echo "$X $1" >&2; exit 3')
    assert cli.run_process([path, "; echo no shell"], {"X": "x"}, "in", 5) == Answer(3, "in", "x ; echo no shell\n")


def test_a_process_that_hangs_is_asked_to_stop(program: Callable[[str], str], tmp_path: Path) -> None:
    path = program(f"trap 'echo asked > {tmp_path}/asked; exit 1' TERM\nwhile :; do sleep 0.05; done")
    with pytest.raises(TimedOut, match="upgrade did not end within"):
        cli.run_process([path, "upgrade"], {"PATH": "/bin:/usr/bin"}, "", 0.5)
    assert (tmp_path / "asked").exists()


def test_a_process_that_does_not_listen_is_killed(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)
    path = program("trap '' TERM\nwhile :; do sleep 0.05; done")
    with pytest.raises(TimedOut):
        cli.run_process([path, "upgrade"], {"PATH": "/bin:/usr/bin"}, "", 0.2)


def test_a_process_that_is_interrupted_ends_in_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.05)
    path = script(tmp_path, 'trap "echo cancelled; exit 7" TERM; cat; echo started; while :; do sleep 0.02; done')
    asked = iter([False, False, True])
    done = cli.run_process([path, "upgrade"], {"PATH": "/bin:/usr/bin"}, "in ", 20, lambda: next(asked))
    assert done == Answer(7, "in started\ncancelled\n", "")
    assert next(asked, None) is None


def test_a_process_is_not_looked_at_before_it_has_had_some_time(tmp_path: Path) -> None:
    path = script(tmp_path, "cat")
    assert cli.run_process([path, "x"], {"PATH": "/bin"}, "in", 20, lambda: pytest.fail("looked")).out == "in"


def test_a_process_that_is_looked_at_still_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.05)
    path = script(tmp_path, "exec sleep 60")
    with pytest.raises(TimedOut, match="did not end within 0 s"):
        cli.run_process([path, "upgrade"], {"PATH": "/bin:/usr/bin"}, "", 0.2, lambda: False)
