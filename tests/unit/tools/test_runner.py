# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How gates are run: what counts as passed, failed and skipped, what runs beside what, and what is left behind.

Gates are real processes; pytest really runs, on tests made for it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools import gates, runner
from tools.gates import CLUSTER, TOOLS, Gate
from tools.runner import Outcome, Run
from tools.steps import Failed

TESTS = """
import pytest

def test_passes():
    pass

def test_fails():
    assert False

def test_skipped():
    pytest.skip("ORION_TEMPO is not set")

@pytest.mark.xfail
def test_fails_as_expected():
    assert False

@pytest.fixture
def broken():
    yield
    assert False

def test_fails_at_its_end(broken):
    pass

@pytest.mark.needs_tempo
def test_with_tempo(tempo):
    pass

@pytest.mark.needs_tempo
@pytest.mark.parametrize("case", [1, 2])
def test_of_tempo(case, tempo):
    assert case == 1

@pytest.mark.needs_tempo_3
def test_with_tempo_3(tempo_3):
    pass
"""


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where gates write."""
    # These tests are run by a gate too, which has set it.
    monkeypatch.delenv("ORION_HELM", raising=False)
    monkeypatch.setattr(gates, "WORK", tmp_path / "work")
    monkeypatch.setattr(runner, "WORK", tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def some(tmp_path: Path) -> Gate:
    """A gate of the tests above, with the project's conftest and settings."""
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_some.py").write_text(TESTS)
    return gates.pytest("some", "some tests", str(tmp_path / "test_some.py"), cwd=tmp_path)


def shell(name: str, script: str, needs: int = gates.NOTHING, **settings: bool) -> Gate:
    return Gate(name, "a script", ("sh", "-c", script), needs=needs, cwd=ROOT, **settings)


def counted(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.passed, outcome.failed, outcome.skipped


def run_one(gate: Gate, *arguments: str, **env: str) -> Outcome:
    return Run([gate], arguments).gate(replace(gate, env=env))


def test_only_tests_of_what_is_not_at_hand_are_skipped(some: Gate) -> None:
    outcome = run_one(some, ORION_TEMPO="", ORION_TEMPO_3="")
    assert counted(outcome) == (1, 4, 4)
    assert outcome.tempo_3 == 1


def test_with_tempo_at_hand_nothing_is_skipped(some: Gate) -> None:
    assert counted(run_one(some, ORION_TEMPO=sys.executable, ORION_TEMPO_3=sys.executable)) == (4, 5, 0)
    assert counted(run_one(some, ORION_TEMPO=sys.executable, ORION_TEMPO_3="")) == (3, 5, 1)


def test_a_tempo_that_cannot_be_run_is_a_failure(some: Gate) -> None:
    assert counted(run_one(some, ORION_TEMPO=os.devnull, ORION_TEMPO_3=os.devnull)) == (1, 8, 0)


def test_arguments_choose_tests_and_leave_out_coverage(some: Gate) -> None:
    some = replace(some, argv=(*some.argv, "--cov", "--cov-fail-under=100"))
    assert counted(run_one(some, "-k", "passes", ORION_TEMPO="")) == (1, 0, 0)
    assert counted(run_one(some, "-k", "no such test", ORION_TEMPO="")) == (0, 1, 0)


def test_output_is_printed_whole_when_the_gate_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert counted(run_one(shell("quiet", "echo secret of success"))) == (1, 0, 0)
    assert "success" not in capsys.readouterr().out
    assert counted(run_one(shell("loud", "echo why; exit 3"))) == (0, 1, 0)
    said = capsys.readouterr().out
    assert "=== output of loud, all of it in logs/loud.log\nwhy\n" in said
    assert "=== loud: FAILED, 0 passed, 1 failed, " in said


def test_the_last_lines_name_what_failed_and_why(some: Gate) -> None:
    """CI systems often show the end of the output alone."""
    ansible = "TASK [verify : Read it] ***\n[ERROR]: Task failed: no trace\nOrigin: x.yml\nfatal: [a]: FAILED!"
    molecule = shell("site", f"printf '%s' '{ansible}'; exit 2")
    tests_in_it = replace(some, argv=(*some.argv, "-k", "fails and not expected"), pytest=False)
    outcomes = [
        run_one(molecule),
        run_one(tests_in_it),
        run_one(shell("ruff", "printf 'Found 3 errors.\n\n'; exit 1")),
        run_one(shell("silent", "exit 1")),
        replace(Outcome("unit", 0, 1.0), failures=tuple(f"test {number}: {'x' * 500}\ny" for number in range(7))),
    ]
    *lines, empty, total = runner.table(outcomes).splitlines()
    lines = lines[len(outcomes) + 1 :]
    assert lines[0] == "FAILED site: TASK [verify : Read it] [ERROR]: Task failed: no trace"
    assert lines[1:4] == [
        "FAILED some: test_some::test_fails: assert False",
        'FAILED some: test_some::test_fails_at_its_end: failed on teardown with "assert False"',
        "FAILED ruff: Found 3 errors.",
    ]
    assert lines[4] == "FAILED silent: no output"
    assert [len(line) for line in lines[5:10]] == [runner.WIDTH] * 5
    assert lines[10:] == ["FAILED unit: 2 more"]
    assert (empty, total) == ("", "0 passed, 12 failed")


def test_what_a_gate_leaves_where_it_fails_is_removed_unless_somebody_looks(tmp_path: Path) -> None:
    removed = tmp_path / "removed"
    fails = replace(shell("fails", "exit 3"), if_failed=("touch", str(removed)))
    Run([fails], stream=True).gate(fails)
    run_one(replace(shell("passes", "true"), if_failed=fails.if_failed))
    assert not removed.exists()
    assert counted(run_one(fails)) == (0, 1, 0)
    assert removed.exists()


def test_a_gate_whose_setup_fails_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise Failed("no room")

    assert counted(run_one(replace(shell("never", "touch never"), before=broken))) == (0, 1, 0)
    assert "no room" in capsys.readouterr().out


def test_a_process_that_is_left_behind_is_ended_and_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "END_SECONDS", 0.2)
    assert counted(run_one(shell("leaves", "tail -f /dev/null & echo $!"))) == (0, 1, 0)
    said = capsys.readouterr().out
    assert "leaves: it left a process behind, which was ended: tail -f /dev/null" in said


class Prepared:
    """In place of tools, images and cluster: what was asked for, in order."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.state, self.fails = tmp_path / "log", tmp_path / "state", False
        self.log.touch()
        monkeypatch.setattr(runner, "STATE", self.state)
        monkeypatch.setattr(runner.local, "prepare", self.prepare)
        monkeypatch.setattr(runner.local, "test_tools", lambda: self.prepare(tools=True))
        for name in ("MAKE_CLUSTER", "REMOVE_CLUSTER"):
            stub = self.gate(getattr(gates, name).name, needs=CLUSTER)
            monkeypatch.setattr(gates, name, stub)
            monkeypatch.setattr(runner, name, stub)

    def prepare(self, everything: bool = False, tools: bool = False) -> dict[str, str]:
        self.write("tools" if tools else "tools and images")
        if self.fails:
            raise Failed("no compiler")
        return {"helm4": "/the/helm"}

    def write(self, line: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{line}\n")

    def gate(self, name: str, script: str = "true", **settings: int) -> Gate:
        return shell(name, f"echo {name} $ORION_HELM >> '{self.log}'; {script}", **settings)

    def run(self, *selected: Gate) -> tuple[list[str], list[str]]:
        """What ran, and the outcomes that failed."""
        run = Run(selected)
        run.run()
        return self.log.read_text().splitlines(), [one.name for one in run.outcomes if one.failed]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    return Prepared(tmp_path, monkeypatch)


def test_gates_that_need_nothing_start_nothing(prepared: Prepared) -> None:
    assert prepared.run(prepared.gate("a"), prepared.gate("b", "exit 1"), prepared.gate("c")) == (
        ["a", "b", "c"],
        ["b"],
    )


def test_programs_are_prepared_for_the_gates_that_need_them(prepared: Prepared) -> None:
    assert prepared.run(prepared.gate("a", needs=TOOLS)) == (["tools", "a /the/helm"], [])
    prepared.fails = True
    assert prepared.run(prepared.gate("a", needs=TOOLS))[1] == ["preparation", "a"]


def test_a_cluster_is_made_and_removed_for_the_gates_that_need_it(prepared: Prepared) -> None:
    inside = prepared.gate("inside", "exit 1", needs=CLUSTER)
    lines = ["tools and images", "cluster /the/helm", "inside /the/helm", "remove-cluster /the/helm"]
    assert prepared.run(inside) == (lines, ["inside"])


def test_without_a_cluster_its_gates_have_failed(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAKE_CLUSTER", prepared.gate("cluster", "exit 1", needs=CLUSTER))
    _ran, failed = prepared.run(prepared.gate("inside", needs=CLUSTER), prepared.gate("load", needs=CLUSTER, alone=1))
    assert failed == ["cluster", "inside", "load"]


def test_a_cluster_that_was_there_stays(prepared: Prepared) -> None:
    state = prepared.state / gates.TEST_CLUSTER
    state.mkdir(parents=True)
    (state / "kubeconfig").touch()
    assert prepared.run(prepared.gate("inside", needs=CLUSTER))[0][-1] == "inside /the/helm"
    assert prepared.run(runner.REMOVE_CLUSTER)[0][-1] == "remove-cluster"


def test_lanes_run_beside_each_other_and_what_has_to_be_alone_afterwards(prepared: Prepared) -> None:
    """Each of two gates waits for a line of the other, which one after the other they would for ever."""
    here = prepared.gate("here", f"timeout 20 sh -c 'until grep -q inside \"{prepared.log}\"; do :; done'")
    inside = prepared.gate(
        "inside", f"timeout 20 sh -c 'until grep -q here \"{prepared.log}\"; do :; done'", needs=CLUSTER
    )
    ran, failed = prepared.run(prepared.gate("alone", alone=1), here, inside)
    assert not failed
    assert ran[-2:] == ["alone", "remove-cluster /the/helm"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts jobs in the background with SIGINT ignored, which Python and its children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_everything_and_removes_the_cluster(prepared: Prepared) -> None:
    """As a signal to this process, while a gate runs in each lane."""
    here, inside = (
        prepared.gate(name, f"exec tail -f '{prepared.log}'", needs=needs)
        for name, needs in (("here", 0), ("inside", CLUSTER))
    )

    def interrupt() -> None:
        pause = threading.Event()
        while not {"here", "inside /the/helm"} <= set(prepared.log.read_text().splitlines()):
            pause.wait(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        prepared.run(here, inside)
    thread.join()
    assert prepared.log.read_text().splitlines()[-1] == "remove-cluster /the/helm"
    assert (
        f"tail -f {prepared.log}"
        not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    )


def test_gates_are_chosen_by_name() -> None:
    assert [one.name for one in runner.choose("test", ["unit", "mypy"])] == ["mypy", "unit"]
    assert {"sanity", "mypy"} < {one.name for one in runner.choose("test", ["static"])}
    with pytest.raises(Failed, match=r"(?s)No gate has the name parityy\. These are the gates:.* parity "):
        runner.choose("test", ["parityy"])


def test_the_table_says_what_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORION_IMAGE_DIR", "/srv/images")
    outcomes = [Outcome("unit", 900, 61.5, skipped=30, cpu=90.25), Outcome("site", 1, 300.0, note="also on 9 traces")]
    before = runner.table(outcomes[:1]).splitlines()
    assert before[-1] == "900 passed, 0 failed, 30 skipped"
    lines = runner.table(runner.without_tempo(outcomes, installed=False)).splitlines()
    assert lines[0].split() == ["Gate", "passed", "failed", "skipped", "seconds", "processor", "s"]
    assert lines[1].split() == ["unit", "900", "0", "0", "61.5", "90.2"]
    assert lines[2].split() == ["site", "1", "0", "0", "300.0", "0.0", "also", "on", "9", "traces"]
    version = runner.tempo_version()
    assert lines[3].split()[:6] == ["Tempo", version, "0", "0", "31", "0.0"]
    assert lines[3].endswith(
        "  not run, since no registry and no archive in /srv/images has its image: 30 tests with its binary, "
        "and site on it, which used the embedded store"
    )
    assert lines[4:] == ["", "901 passed, 0 failed, 31 skipped"]
    lines = runner.table(runner.without_tempo(outcomes, installed=True)).splitlines()
    assert lines[3].endswith("could take it out of the image: 30 tests with its binary")
    assert lines[-1] == "901 passed, 0 failed, 30 skipped"


def test_what_was_not_run_on_tempo_3_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORION_IMAGE_DIR", "/srv/images")
    outcomes = [Outcome("unit", 900, 61.5, skipped=30, tempo_3=12)]
    [unit, line] = runner.without_tempo_3(outcomes, installed=False)
    assert (unit.skipped, line.name, line.skipped) == (18, "Tempo 3", 12)
    assert line.note == (
        "not run, since no registry and no archive in /srv/images has its image, and ORION_TEMPO_3 is not set: "
        "12 tests with its binary"
    )
    both = runner.without_tempo_3(runner.without_tempo(outcomes, installed=False), installed=True)
    assert [one.skipped for one in both] == [0, 18, 12]
    assert "could take it out of the image, and ORION_TEMPO_3" in both[-1].note
    assert runner.without_tempo_3([Outcome("unit", 900, 61.5, skipped=30)], installed=False) == [
        Outcome("unit", 900, 61.5, skipped=30)
    ]


def test_a_gate_without_its_images_is_not_run_and_counts_as_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.images, "folder", lambda: Path("/archives"))
    gate = Gate("tempo-3", "the upgrade", ("false",), images=frozenset({"tempo", "tempo-3"}))
    run = runner.Run([gate])
    run.tools.set_result(runner.Tools({}, frozenset({"tempo"})))
    outcome = run.gate(gate)
    assert (outcome.failed, outcome.skipped, outcome.note) == (0, 1, "not run, without the image tempo-3")
    assert run.outcomes == [outcome]
    unit = Outcome("unit", 900, 61.5, skipped=12, tempo_3=12)
    [*_both, line] = runner.without_tempo_3([unit, outcome], installed=False)
    assert line.skipped == 13 and line.note.endswith("12 tests with its binary, and the gate tempo-3")


def test_without_skipped_tests_the_last_line_does_not_name_them() -> None:
    outcomes = [Outcome("ruff", 1, 1.0)]
    assert runner.without_tempo(outcomes, installed=False) == outcomes
    assert runner.table(outcomes).splitlines()[-1] == "1 passed, 0 failed"
