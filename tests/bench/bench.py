# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Timings side by side: this collection's modules beside those of kubernetes.core, amazon.aws and community.aws.

Everything runs on the cluster of `make up`, with one Python, one ansible-core and one helm. One round runs every play
once, in turn; five rounds. Timings are never a test, but a play that fails ends the run, and one that changes
something where nothing is to change, or the other way round, is told in the table. docs/bench.md says how to read it.
usage: make up && make bench
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from distance import Forwarder

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STATE = Path(os.environ.get("ORION_STATE") or ROOT / ".state")
WORK = ROOT / ".state/bench"
VENV = WORK / "venv"
# Those that the peers' site.yml has too.
ROLES = ("object_storage", "tempo", "collector", "grafana")
LIMIT = 300.0
ROUND_TRIP = 0.05
OURS, HELM, DIFF = "orion.tracing.helm_release", "kubernetes.core.helm", "kubernetes.core.helm, helm-diff"
SECTIONS = {
    "empty": "Start of Ansible",
    "a": "(a) unchanged release",
    "a far": "(a) from afar",
    "b": "(b) changed release",
    "c": "(c) first install",
    "d": "(d) unchanged bucket, six aspects",
    "d far": "(d) from afar",
    "e": "(e) whole site.yml, unchanged",
    "e far": "(e) from afar",
}


class Failed(Exception):
    """One line: what, why, what to do."""


@dataclass
class Play:
    """One timed ansible-playbook run of a section. changed: tasks that are to change something; None for any number.

    ours: the play that the others of its section are compared with; before: what has to be so first, not timed;
    settles: the play itself is run once before, not timed.
    """

    section: str
    name: str
    playbook: Path
    changed: int
    ours: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    inventory: Path = HERE / "inventory.yml"
    before: Callable[[], None] | None = None
    settles: bool = False
    seconds: list[float] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def finding(self) -> str:
        wrong = [count for count in self.seen if count != self.changed]
        return f"{len(wrong)} of {len(self.seen)} runs changed {wrong[0]} instead of {self.changed}" if wrong else ""


class Bench:
    def __init__(self, cluster: str, rounds: int) -> None:
        self.state, self.rounds = STATE / cluster, rounds
        try:
            self.tools = json.loads((STATE / "local.json").read_text())
            ports = json.loads((self.state / "cluster.json").read_text())["ports"]
            keys = json.loads((self.state / "s3-credentials.json").read_text())
        except (OSError, ValueError, KeyError) as error:
            raise Failed(f"There is no local cluster in {self.state} ({error}): run `make up` first.") from error
        self.helm = shutil.which(self.tools["helm"]) or ""
        self.endpoint = f"https://127.0.0.1:{ports['30333']}"
        self.env = {
            **os.environ,
            "PATH": os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]]),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".state/collections"),
            "PYTHONPATH": str(ROOT / ".state/collections"),
            "ORION_CLUSTER": cluster,
            "ORION_STATE": str(STATE),
            "K8S_AUTH_KUBECONFIG": str(self.state / "kubeconfig"),
            "HELM_BINARY": self.helm,
            "AWS_ACCESS_KEY_ID": keys["access_key"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
            "AWS_CA_BUNDLE": str(self.state / "s3-ca.crt"),
        }
        self.round = 0
        self.notes: list[str] = []
        self.distant = self._distant()
        self.plays = self._plays()

    def _plays(self) -> list[Play]:
        plays = [
            Play("empty", "no task", HERE / "plays/empty.yml", 0),
            Play("empty", "one module that does nothing", HERE / "plays/ping.yml", 0),
        ]
        none = WORK / "no-plugins"
        none.mkdir(parents=True, exist_ok=True)
        peers = {HELM: none}
        diff = self._helm_diff()
        if diff:
            peers[DIFF] = diff
        for section, changed in (("a", 0), ("b", 1), ("c", 1)):
            # Releases that (c) removes are not those that (a) finds.
            plays.append(self._release(section, OURS, "orion", changed, HERE / "plays/release_orion.yml", none))
            for name, plugins in peers.items():
                tag = "diff" if name == DIFF else "peer"
                plays.append(self._release(section, name, tag, changed, HERE / "plays/release_peer.yml", plugins))
        for name, tag, playbook in (
            ("orion.tracing.s3_bucket", "orion", HERE / "plays/bucket_orion.yml"),
            ("amazon.aws.s3_bucket, community.aws.s3_lifecycle", "peer", HERE / "plays/bucket_peer.yml"),
        ):
            variables = {"bench_bucket": f"bench-{tag}", "bench_endpoint": self.endpoint}
            plays.append(Play("d", name, playbook, 0, tag == "orion", variables))
        local = ROOT / "inventories/local"
        # The endpoint of the store, which is another one from afar, is a variable like any other: what was applied last
        # has to be what is timed.
        site_yml = ROOT / "playbooks/site.yml"
        plays.append(Play("e", "playbooks/site.yml", site_yml, 0, ours=True, inventory=local, settles=True))
        bare = Play("e", "its roles for these, without the plan", site_yml, 0, inventory=local)
        bare.options = ("--tags", ",".join(ROLES), "--skip-tags", "preflight")
        site = Play("e", "the same with those modules", self._peer_site(), 0, inventory=local)
        site.variables = {"bench_bucket": "bench-site"}
        site.env = {"HELM_PLUGINS": str(none)}
        plays += [bare, site]
        plays += [self._afar(play) for play in plays if play.section in "ade"]
        # What (b) changes, (a) finds in the next round.
        return sorted(plays, key=lambda play: list(SECTIONS).index(play.section))

    def _afar(self, play: Play) -> Play:
        """The same with the API server and the store a round trip of 50 ms away."""
        path, endpoint = self.distant
        variables = {**play.variables, **({"bench_endpoint": endpoint} if "bench_endpoint" in play.variables else {})}
        if play.section == "e":
            variables |= {"tracing_kubeconfig": path, "object_storage_endpoint_url": endpoint}
        env = {**play.env, "K8S_AUTH_KUBECONFIG": path}
        return replace(play, section=f"{play.section} far", variables=variables, env=env, seconds=[], seen=[])

    def _distant(self) -> tuple[str, str]:
        """A kubeconfig and an endpoint that lead through forwarders."""
        config = yaml.safe_load((self.state / "kubeconfig").read_text())
        for entry in config["clusters"]:
            port = urlsplit(entry["cluster"]["server"]).port or 443
            entry["cluster"]["server"] = f"https://127.0.0.1:{Forwarder(port, ROUND_TRIP).port}"
        path = WORK / "kubeconfig"
        path.touch(0o600)
        path.write_text(yaml.safe_dump(config))
        port = urlsplit(self.endpoint).port or 443
        return str(path), f"https://127.0.0.1:{Forwarder(port, ROUND_TRIP).port}"

    def _release(self, section: str, name: str, tag: str, changed: int, playbook: Path, plugins: Path) -> Play:
        namespace = f"bench-{tag}-{'first' if section == 'c' else 'kept'}"
        variables = {
            "bench_namespace": namespace,
            "bench_chart": str(HERE / "chart"),
            "bench_helm": self.helm,
            "bench_message": "",
        }
        play = Play(section, name, playbook, changed, tag == "orion", variables, {"HELM_PLUGINS": str(plugins)})
        if section == "c":
            play.before = lambda: self._uninstall(namespace)
        return play

    def _helm_diff(self) -> Path | None:
        """A folder of Helm plugins with helm-diff in it: that of ORION_HELM_PLUGINS, or of the user's own helm."""
        asked = subprocess.run([self.helm, "env", "HELM_PLUGINS"], capture_output=True, text=True, check=False)
        folder = Path(os.environ.get("ORION_HELM_PLUGINS") or asked.stdout.strip() or "/nonexistent")
        for manifest in folder.glob("*/plugin.yaml"):
            if re.search(r"^name: [\"']?diff[\"']?$", manifest.read_text(), re.MULTILINE):
                return folder
        self.notes.append(
            f"helm-diff is not measured: {folder} has no such plugin. Set ORION_HELM_PLUGINS to a folder with one "
            "(3.14.0 or newer for Helm 4)."
        )
        return None

    def _uninstall(self, namespace: str) -> None:
        argv = [self.helm, "uninstall", "bench", "--namespace", namespace, "--ignore-not-found", "--wait"]
        argv += ["--kubeconfig", str(self.state / "kubeconfig")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
        if done.returncode:
            raise Failed(f"helm uninstall in {namespace} failed: {done.stderr.strip()[-300:]}")

    def _peer_site(self) -> Path:
        """The peers' site.yml with its roles: defaults and charts of this collection's, tasks with their modules."""
        folder = WORK / "peer"
        shutil.rmtree(folder, ignore_errors=True)
        for role in ROLES:
            (folder / "roles" / role / "tasks").mkdir(parents=True)
            # The dependency on the role tracing is in meta/main.yml; without the argument spec, which costs a task.
            (folder / "roles" / role / "meta").mkdir()
            for part in ("defaults", "files", "vars", "meta/main.yml"):
                source = ROOT / "roles" / role / part
                if source.exists():
                    (folder / "roles" / role / part).symlink_to(source)
            shutil.copy(HERE / f"peer/tasks/{role}.yml", folder / "roles" / role / "tasks/main.yml")
        return Path(shutil.copy(HERE / "peer/site.yml", folder / "site.yml"))

    def time(self, play: Play, message: str) -> tuple[float, int]:
        """Seconds of one run, and how many tasks changed something."""
        if play.before:
            play.before()
        argv = [str(VENV / "bin/ansible-playbook"), str(play.playbook), "-i", str(play.inventory)]
        variables = {**play.variables, **({"bench_message": message} if "bench_message" in play.variables else {})}
        argv += ["-e", json.dumps(variables), *play.options]
        try:
            for _number in range(2 if play.settles else 1):
                start = time.monotonic()
                done = subprocess.run(
                    argv, cwd=ROOT, env=self.env | play.env, capture_output=True, text=True, timeout=LIMIT, check=False
                )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{SECTIONS[play.section]}, {play.name}: did not end within {LIMIT:.0f} s.") from error
        seconds = time.monotonic() - start
        recap = re.search(r"localhost\s+:.*\bchanged=(\d+)\s+unreachable=0\s+failed=0", done.stdout)
        if done.returncode or not (recap or play.section == "empty"):
            tail = (done.stdout + done.stderr)[-3000:]
            raise Failed(
                f"{tail}\n{SECTIONS[play.section]}, {play.name}: the play failed; its last lines above say why."
            )
        return seconds, int(recap[1]) if recap else 0

    def run(self) -> None:
        print("Preparing: releases and buckets are made, caches are filled (not timed)", flush=True)
        for play in self.plays:
            self.time(play, "unchanged")
            print(f"  {SECTIONS[play.section]}: {play.name}", flush=True)
        for number in range(1, self.rounds + 1):
            start, words = time.monotonic(), []
            for section, plays in groupby(self.plays, key=lambda play: play.section):
                # Everything is compared with the play without a task, so it is timed once more in every section.
                for play in plays if section == "empty" else (self.plays[0], *plays):
                    # (a) finds what (b) of the round before has left.
                    left = "unchanged" if number == 1 else f"round {number - 1}"
                    seconds, changed = self.time(play, f"round {number}" if play.section == "b" else left)
                    play.seconds.append(seconds)
                    play.seen.append(changed)
                    words.append(f"{play.section} {seconds:.1f}")
            took = time.monotonic() - start
            print(f"round {number} of {self.rounds}, {took:.0f} s: {', '.join(words)}", flush=True)

    def table(self) -> str:
        base = self.plays[0].median
        lines = ["| | Play | median s | × empty | net s | factor | net factor |", "|---|---|---|---|---|---|---|"]
        for play in self.plays:
            net, cells = play.median - base, ["", ""]
            mine = next((p for p in self.plays if p.section == play.section and p.ours), None)
            if mine and mine is not play:
                cells = [f"{play.median / mine.median:.1f}", f"{net / max(mine.median - base, 0.01):.1f}"]
            first = SECTIONS[play.section] if play is next(p for p in self.plays if p.section == play.section) else ""
            name = f"{play.name} ({play.finding})" if play.finding else play.name
            times = f"{play.median / base:.1f}"
            lines.append(f"| {first} | {name} | {play.median:.2f} | {times} | {net:.2f} | {cells[0]} | {cells[1]} |")
        return "\n".join(lines)

    def report(self, loads: list[float]) -> dict[str, Any]:
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"processors": os.cpu_count(), "load_average": loads, "python": platform.python_version()},
            "versions": versions(self.helm),
            "rounds": self.rounds,
            "notes": self.notes,
            "plays": [
                {
                    "section": play.section,
                    "name": play.name,
                    "median": round(play.median, 3),
                    "net": round(play.median - self.plays[0].median, 3),
                    "seconds": [round(value, 3) for value in play.seconds],
                    "changed": play.seen,
                    "expected": play.changed,
                    "finding": play.finding,
                }
                for play in self.plays
            ],
        }


def versions(helm: str) -> dict[str, str]:
    site = next((VENV / "lib").glob("python*/site-packages"))
    found = {}
    for name in ("kubernetes.core", "amazon.aws", "community.aws"):
        manifest = site / "ansible_collections" / name.replace(".", "/") / "MANIFEST.json"
        found[name] = json.loads(manifest.read_text())["collection_info"]["version"]
    core = subprocess.run([VENV / "bin/ansible", "--version"], capture_output=True, text=True, check=True).stdout
    found["ansible-core"] = core.split("]")[0].rpartition(" ")[2]
    answer = subprocess.run([helm, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=True)
    return {**found, "helm": answer.stdout.strip()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    start, loads = time.monotonic(), [os.getloadavg()[0]]
    try:
        bench = Bench(os.environ.get("ORION_CLUSTER") or "orion", arguments.rounds)
        bench.run()
    except Failed as error:
        sys.exit(str(error))
    loads.append(os.getloadavg()[0])
    report = bench.report(loads)
    path = WORK / "results.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{bench.table()}\n")
    print(", ".join(f"{name} {version}" for name, version in report["versions"].items()), end="; ")
    print(f"{os.cpu_count()} processors, load average {loads[0]:.1f} before and {loads[1]:.1f} after")
    for note in bench.notes:
        print(note)
    print(f"{path}; {time.monotonic() - start:.0f} s")
    wrong = [f"{SECTIONS[play.section]}: {play.finding}" for play in bench.plays if play.ours and play.finding]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
