# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/site.yml over many clusters: seconds and memory, unchanged and changed, by number of forks.

Each cluster is a stand-in for an API server on loopback (tests/unit/plugins/fake_kube.py), in a few processes. helm is
the real one; since no objects are made, a wrapper has it render without the cluster (--dry-run=client) and stores the
release's record itself. Each host is an edge as in inventories/fleet, without the proof. The first run installs; then,
for each number of forks, one run with nothing to change and one with another sampling percentage. A run that changes
what it should not, or fails anywhere, ends the bench with 1.

Memory is the sum of PSS over ansible-playbook and all that it has started, looked at every half second: what processes
share counts once. It is no figure of the stand-ins. docs/bench.md says how to read the figures.
usage: ORION_HELM=... python tests/bench/fleet.py [--hosts 50] [--forks 10,50]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "tracing"
WRAPPER = "ORION_BENCH_HELM"
LIMIT = 3600.0


def serve(count: int, channel: Any) -> None:
    """That many stand-ins in this process, until the channel closes; their URLs go through it."""
    from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
    from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

    def secret(name: str, *keys: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": dict.fromkeys(keys, "eA==")}

    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": level},
        "status": {"phase": "Active"},
    }
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "gp3", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    }
    objects = (space, storage, secret("central-tracing", "token", "ca.crt"), secret("metrics", "token"))
    more = {
        kind: ApiResource(group, "v1", f"{kind.lower()}s", True)
        for kind, group in (("DaemonSet", "apps"), ("CronJob", "batch"), ("Job", "batch"))
    }
    urls = []
    for _number in range(count):
        handler = FakeKube(*objects, resources=more).handler()
        # Connections last, as an API server's do.
        handler.protocol_version = "HTTP/1.1"
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        urls.append(f"http://127.0.0.1:{server.server_port}")
    channel.send(urls)
    with suppress(EOFError):
        channel.recv()


def helm() -> int:
    """What the wrapper does: real helm, without objects in the cluster."""
    real, argv = os.environ[WRAPPER], sys.argv[1:]
    if argv[0] != "upgrade":
        os.execv(real, [real, *argv])
    from ansible_collections.orion.tracing.plugins.module_utils.helm import release
    from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

    dry = "--dry-run=server" in argv
    # As a first installation always: an upgrade looks its objects up in the cluster.
    left_out = ("--wait", "--dry-run=server", "--install", "--reset-values")
    rest = [one for one in argv[1:] if one not in left_out and not one.startswith("--labels=")]
    done = subprocess.run(
        [real, "install", *rest, "--dry-run=client"], stdin=sys.stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        return done.returncode
    kube, path = Kube.connect({"kubeconfig": os.environ["KUBECONFIG"]}), f"/api/v1/namespaces/{NAMESPACE}/secrets"
    document = json.loads(done.stdout)
    name = document["name"]
    before = kube.list(path, f"owner=helm,name={name}")
    revision = document["version"] = 1 + max((int(one["metadata"]["labels"]["version"]) for one in before), default=0)
    if dry:
        sys.stdout.write(json.dumps(document))
        return 0
    document["info"]["status"] = "deployed"
    labels = {"owner": "helm", "name": name, "status": "deployed", "version": str(revision)}
    record = f"sh.helm.release.v1.{name}.v{revision}"
    for item in before:
        kube.request("DELETE", f"{path}/{item['metadata']['name']}")
    kube.request(
        "POST",
        path,
        body={
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {"name": record, "namespace": NAMESPACE, "labels": labels},
            "data": {"release": release.encode(document)},
        },
    )
    kube.close()
    sys.stdout.write(json.dumps(document))
    return 0


@dataclass
class Run:
    seconds: float
    megabytes: float
    processes: int
    changed: dict[str, int]


class Bench:
    def __init__(self, folder: Path, urls: list[str], real_helm: str) -> None:
        self.folder, self.real_helm = folder, real_helm
        self.percentage = 10
        wrapper = folder / "helm"
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(__file__)} --as-helm "$@"\n')
        wrapper.chmod(0o755)
        hosts = {}
        for number, url in enumerate(urls):
            name = f"edge-{number:02}"
            config = {
                "apiVersion": "v1", "kind": "Config", "current-context": name,
                "clusters": [{"name": name, "cluster": {"server": url}}],
                "users": [{"name": name, "user": {"token": "t"}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            }  # fmt: skip
            (folder / f"{name}.kubeconfig").write_text(yaml.safe_dump(config))
            hosts[name] = {"tracing_kubeconfig": str(folder / f"{name}.kubeconfig"), "tracing_context": name}
        groups = ROOT / "inventories/fleet/group_vars"
        own = {name: yaml.safe_load((groups / f"{name}.yml").read_text()) for name in ("all", "edges")}
        variables = {
            **own["all"], **own["edges"],
            "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "tracing_namespace": NAMESPACE, "tracing_helm_binary": str(wrapper), "tracing_prove": "never",
        }  # fmt: skip
        for name in ("tracing_kubeconfig", "tracing_context"):
            del variables[name]
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "hosts": hosts}}))
        (folder / "ansible.cfg").write_text("")
        self.hosts = list(hosts)

    def run(self, forks: int) -> Run:
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / "playbooks/site.yml")]
        argv += ["-i", str(self.folder / "hosts.yml"), "--forks", str(forks)]
        argv += ["-e", json.dumps({"collector_sampling_percentage": self.percentage})]
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("K8S_AUTH_")},
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".state/collections"),
            "PYTHONPATH": str(ROOT / ".state/collections"),
            WRAPPER: self.real_helm,
        }
        output = self.folder / "output"
        began = time.monotonic()
        with output.open("w") as file:
            process = subprocess.Popen(argv, env=env, cwd=self.folder, stdout=file, stderr=subprocess.STDOUT)
            memory = Memory(process.pid)
            try:
                process.wait(LIMIT)
            finally:
                process.kill()
                memory.end()
        seconds = time.monotonic() - began
        text = output.read_text()
        found = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0 ", text, re.MULTILINE)
        changed = {host: int(count) for host, count in found}
        if process.returncode or set(changed) != set(self.hosts):
            raise SystemExit(f"The playbook failed, or not all hosts were there:\n{text[-6000:]}")
        return Run(seconds, memory.highest / 2**20, memory.processes, changed)


class Memory:
    """The highest sum of PSS, in bytes, of a process and its descendants, and the most of them, while they run."""

    def __init__(self, pid: int) -> None:
        self.highest, self.processes, self._done = 0, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self, pid: int) -> None:
        while not self._done.wait(0.5):
            family = descendants(pid)
            self.processes = max(self.processes, len(family))
            self.highest = max(self.highest, sum(map(pss, family)))


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold spaces.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def pss(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that has ended."""
    try:
        match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=50, help="clusters (50)")
    parser.add_argument("--forks", default="10,50", help="numbers of forks, with commas (10,50)")
    parser.add_argument("--servers", type=int, default=2, help="processes for the stand-ins (2)")
    options = parser.parse_args()
    real = os.environ.get("ORION_HELM", "")
    if not os.access(real, os.X_OK):
        parser.error("set ORION_HELM to the path of helm (`python -m airgap path helm` prints it)")
    context, urls, channels = multiprocessing.get_context("spawn"), [], []
    for number in range(options.servers):
        mine, theirs = context.Pipe()
        count = len(range(number, options.hosts, options.servers))
        context.Process(target=serve, args=(count, theirs), daemon=True).start()
        theirs.close()
        channels.append(mine)
        urls += mine.recv()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="orion-fleet-") as folder:
        bench = Bench(Path(folder), urls, real)
        sys.stdout.write(f"{options.hosts} clusters, {os.cpu_count()} cores\n")
        sys.stdout.write("| run | forks | seconds | seconds per cluster | memory, MiB | processes | hosts changed |\n")
        sys.stdout.write("|---|---|---|---|---|---|---|\n")
        forks = [int(one) for one in options.forks.split(",")]
        for name, number in [
            ("first", forks[-1]),
            *((name, one) for one in forks for name in ("unchanged", "changed")),
        ]:
            if name == "changed":
                bench.percentage += 1
            done = bench.run(number)
            changed = sum(count > 0 for count in done.changed.values())
            wrong += changed != (0 if name == "unchanged" else options.hosts)
            cells = (
                name, number, f"{done.seconds:.1f}", f"{done.seconds / options.hosts:.2f}", f"{done.megabytes:,.0f}",
                done.processes, changed,
            )  # fmt: skip
            sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
            sys.stdout.flush()
    for channel in channels:
        channel.close()
    if wrong:
        sys.stderr.write(f"{wrong} runs changed other hosts than they should.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-helm"]:
        del sys.argv[1]
        sys.exit(helm())
    sys.exit(main())
