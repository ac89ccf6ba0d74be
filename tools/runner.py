# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs gates: which ones, in which order, what they need, what they counted, and one line of totals at the end.

A gate that runs pytest, by itself or in a scenario of Molecule, counts with its tests, any other as one. A skipped test
is a failure: where something is missing, the set-up has to bring it. The exception is Tempo, whose image nothing builds
(docs/testing.md): what was not run for that is counted as skipped, in a line of its own.

There are two lanes beside each other: gates that need the test cluster, and all others. Each lane runs its gates one
after another. Then come those that have to be alone. The output of a gate goes into a file and is printed when the gate
ends; that of a gate that was asked for alone is printed as it comes.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from airgap import images
from airgap.errors import AirgapError
from tools import gates, local, machine, recordings
from tools.gates import CLUSTER, MAKE_CLUSTER, NOTHING, REMOVE_CLUSTER, TEST_CLUSTER, WORK, Gate
from tools.steps import ROOT, STATE, Failed, environment

# Molecule's scenarios that run on the embedded store where Tempo is not at hand.
STORE_SCENARIOS = ("site", "applications", "fleet", "load")
# Of a failed gate, what is printed; its file has everything.
PRINTED = 40_000
# How many failures of a gate the last lines of a run name, and characters of each: CI systems often show only the end.
NAMED, WIDTH = 5, 300
# Gates beside the cluster's give way to those on it, which hold times to bounds and take longer all together.
GIVE_WAY = ("nice", "-n", "5")
# How long programs that a gate has started may take to end after it.
END_SECONDS = 10.0


@dataclass
class Outcome:
    """seconds: elapsed; cpu: processor seconds of the gate's processes, without what runs in the cluster. skipped:
    tests of a component that is not at hand. note: what to say of it in the table. tempo_3: of the skipped, those that
    need Tempo 3. failures: what failed, and why, one string each."""

    name: str
    passed: int
    seconds: float
    failures: tuple[str, ...] = ()
    skipped: int = 0
    cpu: float = 0.0
    note: str = ""
    tempo_3: int = 0

    @property
    def failed(self) -> int:
        return len(self.failures)


@dataclass
class Tools:
    """What local.prepare has found. failed: why there is nothing."""

    environment: dict[str, str]
    images: frozenset[str] = frozenset()
    failed: str = ""


class Process:
    """A program in a session of its own, so that whatever it starts can be found."""

    def __init__(self, argv: Sequence[str], cwd: Path, env: dict[str, str], log: Path | None) -> None:
        with log.open("ab") if log else open(os.devnull, "rb") as output:
            self._process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output if log else None,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
            )

    def wait(self) -> tuple[int, float]:
        """Its exit code, negative for a signal, and the processor seconds of it and of what it has waited for."""
        _pid, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, usage.ru_utime + usage.ru_stime

    def members(self) -> dict[int, str]:
        """Processes of the session that run: pid and command line."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if not folder.name.isdigit():
                    continue
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._process.pid and fields[0] not in "ZX":
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:  # it has just ended
                continue
        return found

    def end(self) -> list[str]:
        """Ends what is left of the session. Command lines of what had to be ended."""
        until, pause = time.monotonic() + END_SECONDS, threading.Event()
        while (left := self.members()) and time.monotonic() < until:
            pause.wait(0.1)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return list(left.values())

    def interrupt(self) -> None:
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGINT)
            except ProcessLookupError:
                continue


def results(junit: Path) -> tuple[int, list[str], int, int]:
    """Of a pytest run: how many tests passed, the failed ones with the first line of what they say, how many a
    component was not at hand for, and how many of these need Tempo 3.

    A skipped test has failed, unless tests/conftest.py has marked it with the property not_at_hand.
    """
    passed, failed, skipped, tempo_3 = 0, list[str](), 0, 0
    for test in ET.parse(junit).getroot().iter("testcase"):
        [*problems] = (one for one in test if one.tag in ("failure", "error", "skipped"))
        absent = test.find("properties/property[@name='not_at_hand']")
        if not problems:
            passed += 1
        elif absent is not None and all(one.tag == "skipped" for one in problems):
            skipped += 1
            tempo_3 += absent.get("value") == "Tempo 3"
        else:
            message = problems[0].get("message", "").strip().partition("\n")[0]
            failed.append(f"{test.get('classname')}::{test.get('name')}: {message}")
    return passed, failed, skipped, tempo_3


def last_error(output: str) -> str:
    """What a program without pytest failed for: Ansible's last error with its task, of any other the last line."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if line.startswith("[ERROR]: ")]
    if not errors:
        return lines[-1] if lines else "no output"
    task = next((line for line in reversed(lines[: errors[-1]]) if line.startswith("TASK [")), "TASK []")
    return f"{task.strip(' *')} {lines[errors[-1]]}"


class Run:
    """One call of `make check`, `make test` or `make test-all`, or of single gates.

    arguments: more of them for every gate's program. Coverage is not counted then: they are a part of the tests.
    """

    def __init__(self, selected: Iterable[Gate], arguments: Sequence[str] = (), stream: bool = False) -> None:
        self.selected = list(selected)
        self.with_cluster = any(one.needs == CLUSTER for one in self.selected if one != REMOVE_CLUSTER)
        self.arguments, self.stream = tuple(arguments), stream
        self.outcomes: list[Outcome] = []
        self.tools: Future[Tools] = Future()
        self._printing, self._running = threading.Lock(), set[Process]()
        self._stopped = threading.Event()

    def say(self, text: str) -> None:
        with self._printing:
            print(text, flush=True)

    def gate(self, gate: Gate) -> Outcome:
        """Runs a gate, prints its output, and keeps its outcome."""
        if gate.images and not gate.images <= self.tools.result().images:
            missing = " and ".join(sorted(gate.images - self.tools.result().images))
            outcome = Outcome(gate.name, 0, 0.0, skipped=1, tempo_3=1, note=f"not run, without the image {missing}")
            self.outcomes.append(outcome)
            return outcome
        self.say(f"\n=== {gate.name}: {gate.what}" if self.stream else f"=== {gate.name} …")
        start = time.monotonic()
        log = WORK / "logs" / f"{gate.name}.log"
        for file in (log, gates.junit(gate.name)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
        code, cpu, left = 1, 0.0, list[str]()
        try:
            if gate.before:
                gate.before()
            code, cpu, left = self._start(gate, None if self.stream else log)
        except (OSError, subprocess.CalledProcessError, Failed) as error:
            log.write_text(f"{error}\n{(getattr(error, 'stderr', b'') or b'').decode(errors='replace')}")
            if self.stream:
                self.say(log.read_text())
        output = "" if self.stream else log.read_text(errors="replace")
        passed, failures, skipped, tempo_3 = 0 if code or left else 1, list[str](), 0, 0
        if gates.junit(gate.name).exists():
            passed, failures, skipped, tempo_3 = results(gates.junit(gate.name))
        failures += [f"it left a process behind, which was ended: {one}" for one in left]
        if code and not failures:
            failures.append("see its output above" if self.stream else last_error(output))
        note = recordings.note() if gate.recordings else ""
        seconds = time.monotonic() - start
        outcome = Outcome(gate.name, passed, seconds, tuple(failures), skipped, cpu, note, tempo_3)
        lines = []
        if not self.stream:
            if failures:
                lines += [f"\n=== output of {gate.name}, all of it in {log.relative_to(WORK)}", output[-PRINTED:]]
            elif gate.pytest:
                lines += output.strip().splitlines()[-8:]
        lines += [f"    {gate.name}: {one}" for one in failures[:NAMED]]
        lines.append(
            f"=== {gate.name}: {'FAILED' if failures else 'ok'}, {passed} passed, {len(failures)} failed, "
            f"{outcome.seconds:.1f} s ({cpu:.1f} s of processor time){'; ' + note if note else ''}"
        )
        if not self._stopped.is_set():
            self.say("\n".join(lines))
        self.outcomes.append(outcome)
        return outcome

    def _start(self, gate: Gate, log: Path | None) -> tuple[int, float, list[str]]:
        """Exit code, processor seconds and left processes of a gate's program."""
        argv, env = list(gate.argv), dict(gate.env)
        if self.arguments:
            argv = [*(one for one in argv if not (gate.pytest and one.startswith("--cov"))), *self.arguments]
        if gate.needs != NOTHING and self.tools.done():
            env = {**self.tools.result().environment, **env}
        if gate.needs == CLUSTER:
            env = {"ORION_CLUSTER": TEST_CLUSTER, "ORION_TEST_STATE": str(STATE / TEST_CLUSTER), **env}
        if self.with_cluster and gate.needs != CLUSTER and not gate.alone:
            argv = [*GIVE_WAY, *argv]
        code, cpu, left = self._process(argv, gate.cwd, env, log)
        # Who runs a single gate wants to look at what it left.
        if code and gate.if_failed and log and not self._stopped.is_set():
            self._process([*gate.if_failed], gate.cwd, env, log.with_suffix(".if_failed.log"))
        if gate.pytest and code == -signal.SIGSEGV:
            # A crash of the interpreter is no result of a test: this collection has no code of its own below Python.
            # Seen with CPython 3.13.0, in its garbage collector, once in several whole runs of these tests.
            self.say(f"=== {gate.name}: the Python interpreter crashed (SIGSEGV): once more")
            again, more, left = self._process(argv, gate.cwd, env, log)
            code, cpu = again, cpu + more
        return code, cpu, left

    def _process(
        self, argv: list[str], cwd: Path, env: dict[str, str], log: Path | None
    ) -> tuple[int, float, list[str]]:
        process = Process(argv, cwd, environment(**env), log)
        self._running.add(process)
        try:
            code, cpu = process.wait()
            return code, cpu, process.end()
        except BaseException:
            process.interrupt()
            process.end()
            raise
        finally:
            self._running.discard(process)

    def _without(self, gate: Gate, missing: str) -> None:
        self.outcomes.append(Outcome(gate.name, 0, 0.0, (f"it was not run: {missing}",)))

    def _here(self, selected: Iterable[Gate]) -> None:
        """Gates that need no cluster."""
        for gate in selected:
            if self._stopped.is_set():
                return
            if gate.needs != NOTHING and self.tools.result().failed:
                self._without(gate, "no tools")
            else:
                self.gate(gate)

    def _on_cluster(self, selected: Iterable[Gate]) -> None:
        for gate in selected:
            if self._stopped.is_set():
                return
            self.gate(gate)

    def _prepare(self, with_images: bool) -> None:
        start = time.monotonic()
        try:
            found = local.prepare(everything=True) if with_images else local.test_tools()
        except (AirgapError, Failed, OSError) as error:
            self.tools.set_result(Tools({}, failed=str(error)))
            self.outcomes.append(Outcome("preparation", 0, time.monotonic() - start, (str(error),)))
            self.say(f"=== preparation: FAILED: {error}")
            return
        # Empty where Tempo is not at hand: what the user's own environment says is not what the last line would tell.
        tools = {"ORION_TEMPO": "", "ORION_TEMPO_3": "", **local.tool_environment(found)}
        self.tools.set_result(Tools(tools, frozenset(found.get("images", ()))))
        self.say(f"=== preparation: ok, {time.monotonic() - start:.1f} s")

    def run(self) -> None:
        """All gates. An interruption ends what runs and removes the cluster, then goes on to the caller."""
        inside = [one for one in self.selected if one.needs == CLUSTER and not one.alone]
        inside = [one for one in inside if one not in (MAKE_CLUSTER, REMOVE_CLUSTER)]
        alone = [one for one in self.selected if one.alone]
        here = [one for one in self.selected if one.needs != CLUSTER and not one.alone]
        needs = max((one.needs for one in self.selected if one != REMOVE_CLUSTER), default=NOTHING)
        # A cluster that was there, or that was asked for, stays, except where its removal was asked for.
        keep = (STATE / TEST_CLUSTER / "kubeconfig").exists() or MAKE_CLUSTER in self.selected
        remove = REMOVE_CLUSTER in self.selected or (self.with_cluster and not keep)
        lane = threading.Thread(target=self._here, args=(here,))
        lane.start()
        made = False
        try:
            if needs != NOTHING:
                self._prepare(self.with_cluster)
            if self.with_cluster:
                made = not self.tools.result().failed and not self.gate(MAKE_CLUSTER).failed
                if made:
                    self._on_cluster(inside)
            lane.join()
            self._here(one for one in alone if one.needs != CLUSTER)
            if made:
                self._on_cluster(one for one in alone if one.needs == CLUSTER)
            else:
                for gate in (*inside, *(one for one in alone if one.needs == CLUSTER)):
                    self._without(gate, "no cluster")
        except BaseException:
            self._stopped.set()
            if not self.tools.done():
                self.tools.set_result(Tools({}, failed="interrupted"))
            for process in list(self._running):
                process.interrupt()
            raise
        finally:
            lane.join()
            if remove:
                self.gate(REMOVE_CLUSTER)


def tempo_version() -> str:
    """The version that the tempo role installs unless told otherwise."""
    return str(yaml.safe_load((ROOT / "roles/tempo/defaults/main.yml").read_text())["tempo_image_tag"])


def without_tempo(outcomes: Sequence[Outcome], installed: bool) -> list[Outcome]:
    """The outcomes with what was not run on Tempo in a line of its own.

    installed: whether the cluster has Tempo's image, and only its binary is missing on this machine.
    """
    skipped = sum(one.skipped - one.tempo_3 for one in outcomes)
    scenarios = [one.name for one in outcomes if one.name in STORE_SCENARIOS and not installed]
    if not skipped and not scenarios:
        return list(outcomes)
    what = f"{skipped} tests with its binary"
    if scenarios:
        what += f", and {' and '.join(scenarios)} on it, which used the embedded store"
    note = f"not run, since {_why(installed)}: {what}"
    line = Outcome(f"Tempo {tempo_version()}", 0, 0.0, skipped=skipped + len(scenarios), note=note)
    return [*(replace(one, skipped=one.tempo_3) for one in outcomes), line]


def without_tempo_3(outcomes: Sequence[Outcome], installed: bool) -> list[Outcome]:
    """The outcomes with the tests that need Tempo 3 in a line of their own. installed: as for without_tempo."""
    skipped = sum(one.tempo_3 for one in outcomes)
    if not skipped:
        return list(outcomes)
    scenarios = [
        gate.name for gate in gates.GATES if gate.images and any(o.name == gate.name and o.skipped for o in outcomes)
    ]
    what = f"{skipped - len(scenarios)} tests with its binary"
    what += f", and the gate {' and '.join(scenarios)}" if scenarios else ""
    note = f"not run, since {_why(installed)}, and ORION_TEMPO_3 is not set: {what}"
    line = Outcome("Tempo 3", 0, 0.0, skipped=skipped, note=note)
    return [*(replace(one, skipped=one.skipped - one.tempo_3, tempo_3=0) for one in outcomes), line]


def _why(installed: bool) -> str:
    if installed:
        return "no container engine here could take it out of the image"
    return f"no registry and no archive in {images.folder()} has its image"


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each outcome, one for each failure, and the totals alone on the last one."""
    width = max(4, *(len(one.name) for one in outcomes))
    lines = ["Gate" + " " * (width - 2) + "passed  failed  skipped  seconds  processor s"]
    for one in outcomes:
        line = f"{one.name:<{width}}  {one.passed:6}  {one.failed:6}  {one.skipped:7}  {one.seconds:7.1f}"
        lines.append(f"{line}  {one.cpu:11.1f}  {one.note}".rstrip())
    for one in outcomes:
        firsts = [failure.partition("\n")[0] for failure in one.failures[:NAMED]]
        lines += [f"FAILED {one.name}: {first}"[:WIDTH] for first in firsts]
        if one.failed > NAMED:
            lines.append(f"FAILED {one.name}: {one.failed - NAMED} more")
    total = f"{sum(one.passed for one in outcomes)} passed, {sum(one.failed for one in outcomes)} failed"
    if skipped := sum(one.skipped for one in outcomes):
        total += f", {skipped} skipped"
    return "\n".join([*lines, "", total])


def choose(command: str, names: Sequence[str]) -> list[Gate]:
    """The gates of a command, or those that are named. Failed for a name that no gate has."""
    if not names:
        return [gate for gate in gates.GATES if command in gate.commands]
    known = {gate.name: gate for gate in gates.GATES}
    groups = {"static": [g for g in gates.GATES if g.needs == NOTHING and gates.TEST in g.commands]}
    unknown = [name for name in names if name not in known and name not in groups]
    if unknown:
        raise Failed(f"No gate has the name {' or '.join(unknown)}. These are the gates:\n{listing()}")
    chosen = [gate for name in names for gate in groups.get(name) or [known[name]]]
    return [gate for gate in gates.GATES if gate in chosen]


def listing() -> str:
    """Every gate with what it shows, and the commands that it is part of."""
    width = max(len(gate.name) for gate in gates.GATES)
    lines = [f"  {gate.name:<{width}}  {gate.what}  [{gate.commands[0]}]" for gate in gates.GATES]
    return "\n".join([*lines, f"  {'static':<{width}}  all of `make test` that need neither programs nor cluster"])


def main(command: str, names: Sequence[str], arguments: Sequence[str]) -> None:
    """Runs a command's gates, or those named, and exits with 1 if one has failed."""
    selected = choose(command, names)
    if arguments and not names:
        raise Failed("ARGS are for gates that GATE names: add it, such as `make test GATE=unit ARGS='-k lint'`.")
    if any(gate.needs == CLUSTER for gate in selected):
        machine.check()
    WORK.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    run = Run(selected, arguments, stream=len(selected) == 1)
    run.run()
    order = {gate.name: number for number, gate in enumerate(gates.GATES)}
    outcomes = sorted(run.outcomes, key=lambda one: order.get(one.name.split(" ")[0], -1))
    if run.tools.done():
        tools = run.tools.result()
        if not tools.environment.get("ORION_TEMPO"):
            outcomes = without_tempo(outcomes, "tempo" in tools.images)
        if not tools.environment.get("ORION_TEMPO_3"):
            outcomes = without_tempo_3(outcomes, "tempo-3" in tools.images)
    print(f"\nmake {command}: {time.monotonic() - start:.0f} s\n\n{table(outcomes)}")
    sys.exit(any(one.failed for one in outcomes))
