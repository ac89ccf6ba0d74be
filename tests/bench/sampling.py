# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast the sampling simulator is on one core, how much memory it takes, and the collector beside it.

A recording is simulated with the settings that the collector role ships, as it is and ten times behind one another with
other trace ids and later times, so that memory that grows with the file would show. Each run is a process of its own on
one processor. Where ORION_OTELCOL is set, the real collector decides on the same recording, sent over HTTP on loopback.
Figures, no test; what is kept must be the same, though.
usage: python tests/bench/sampling.py [RECORDING.jsonl[.gz]]... [--rounds 3]
Without a recording, it takes that of the repository, and that beside the checkout where there is one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/parity"), str(ROOT)]

from tools import recordings

WORK = ROOT / ".state/bench"
TIMES = 10
YEAR = 365 * 86_400 * 10**9
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    spans: int
    kept: int
    seconds: float
    mib: float  # peak of resident memory


def lines(path: Path) -> Iterator[bytes]:
    from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording

    return (message.text for message in FileRecording(path).messages())


def multiply(path: Path) -> Path:
    """The recording ten times, each copy a year after the one before and with trace ids of its own."""
    made = WORK / f"{path.name.split('.')[0]}-{TIMES}.jsonl.gz"
    if made.exists() and made.stat().st_mtime > path.stat().st_mtime:
        return made
    WORK.mkdir(parents=True, exist_ok=True)
    partial = made.with_suffix(".part")
    with gzip.open(partial, "wb", compresslevel=1) as out:
        for copy in range(TIMES):

            def later(found: re.Match[bytes], by: int = copy * YEAR) -> bytes:
                return b'%sUnixNano":"%d"' % (found[1], int(found[2]) + by)

            for line in lines(path):
                # In the right half, by which the decision cache knows a trace.
                line = re.sub(rb'("traceId":"[0-9a-f]{31}).', rb"\g<1>%x" % copy, line)
                out.write(re.sub(rb'(ime)UnixNano":"(\d+)"', later, line).rstrip() + b"\n")
    partial.rename(made)
    return made


def simulate(path: Path) -> Figures:
    """In this process: the file is read and decided on, and what was decided is counted."""
    from shipped import tail_sampling
    from simulated import outcomes

    settings = tail_sampling()
    start = time.perf_counter()
    spans = kept = 0
    for outcome in outcomes(settings, path):
        spans += outcome.facts.spans
        kept += outcome.facts.spans if outcome.kept else 0
    seconds = time.perf_counter() - start
    return Figures(spans, kept, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(path: Path, processor: int) -> Figures:
    """simulate() in a process on one processor."""
    argv = [sys.executable, __file__, str(path), "--child"]
    done = subprocess.run(
        argv,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {processor}),
    )
    return Figures(**json.loads(done.stdout))


def collect(binary: str, path: Path) -> tuple[Figures, float]:
    """The collector's figures, and its processor time in seconds. One request for each line of the recording."""
    from real import Collector, Processor
    from shipped import tail_sampling

    settings = {**tail_sampling(), "decision_wait": "1s"}
    bodies = [line.strip() for line in lines(path)]
    traces = {line.split(b'"traceId":"', 1)[1][:32] for line in bodies}
    spans = sum(len(re.findall(rb'"kind":', line)) for line in bodies)
    with tempfile.TemporaryDirectory() as folder, Collector(binary, Path(folder), [Processor(settings)]) as collector:
        before, start = _ticks(collector.process.pid), time.perf_counter()
        for body in bodies:
            collector.send(body)
        collector.wait(len(traces))
        seconds = time.perf_counter() - start
        used = (_ticks(collector.process.pid) - before) / TICKS
        status = Path(f"/proc/{collector.process.pid}/status").read_text()
        kept = collector.stop()[0]
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    return Figures(spans, sum(map(len, kept.values())), seconds, peak), used


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    paths = arguments.recording or list(recordings.at_hand().values())
    if arguments.child:
        print(json.dumps(vars(simulate(paths[0]))))
        return
    before = os.getloadavg()[0]
    report: dict[str, Any] = {path.name: compare(path, arguments.rounds) for path in paths}
    report["load_average"] = [before, os.getloadavg()[0]]
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "sampling.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"{os.cpu_count()} processors, load average {before:.1f} before")


def compare(path: Path, rounds: int) -> dict[str, Any]:
    """Prints the table of a recording."""
    processor = max(os.sched_getaffinity(0))
    report: dict[str, Any] = {}
    table = [f"| {path.name} | spans | spans/s | spans per processor second | peak MiB |", "|---|---|---|---|---|"]
    once = None
    for name, file in (("simulator", path), (f"simulator, x {TIMES}", multiply(path))):
        runs = [measured(file, processor) for _round in range(rounds)]
        seconds = statistics.median(run.seconds for run in runs)
        once = once or runs[0]
        rate = f"{runs[0].spans / seconds:,.0f}"
        table.append(f"| {name} | {runs[0].spans:,} | {rate} | {rate} | {max(run.mib for run in runs):,.0f} |")
        report[name] = [vars(run) for run in runs]
    binary = os.environ.get("ORION_OTELCOL", "")
    if binary:
        found, used = collect(binary, path)
        table.append(
            f"| collector | {found.spans:,} | {found.spans / found.seconds:,.0f} | {found.spans / used:,.0f} | "
            f"{found.mib:,.0f} |"
        )
        report["collector"] = {**vars(found), "processor_seconds": used}
        if once and (once.spans, once.kept) != (found.spans, found.kept):
            sys.exit(
                f"The simulator kept {once.kept} of {once.spans} spans, the collector {found.kept} of {found.spans}."
            )
    print("\n".join(table))
    return report


if __name__ == "__main__":
    main()
