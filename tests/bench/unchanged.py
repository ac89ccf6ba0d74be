# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a re-run that changes nothing costs: site.yml on the cluster of `make up`, beside a play with one empty task.

Five rounds, alternating. Prints a Markdown table of medians and their ratio; timings are never a test.
usage: make up && make bench
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
EMPTY = "- {hosts: all, gather_facts: false, tasks: [{name: Do nothing, ansible.builtin.ping: {}}]}\n"


def seconds(playbook: str) -> float:
    argv = ["ansible-playbook", playbook, "-i", "inventories/local"]
    start = time.monotonic()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode or "changed=0" not in done.stdout:
        sys.exit(
            f"{playbook} failed or changed something; run `make up` first.\n{done.stdout[-2000:]}{done.stderr[-500:]}"
        )
    return time.monotonic() - start


def main() -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as empty:
        empty.write(EMPTY)
        empty.flush()
        plays = {"one empty module task": empty.name, "site.yml, nothing to change": "playbooks/site.yml"}
        times: dict[str, list[float]] = {name: [] for name in plays}
        for number in range(1, ROUNDS + 1):
            for name, playbook in plays.items():
                times[name].append(seconds(playbook))
            print(f"round {number} of {ROUNDS}: " + ", ".join(f"{t[-1]:.1f} s" for t in times.values()), flush=True)
    base = statistics.median(times["one empty module task"])
    print("\n| Play | median s | ratio |\n|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.2f} | {statistics.median(values) / base:.1f} |")


if __name__ == "__main__":
    main()
