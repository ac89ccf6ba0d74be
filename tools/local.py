# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make up` and `make down`: tools and images for this machine, then the playbooks.

What is found or built is written to .state/local.json, from which inventories/local takes it.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from airgap import cache, spec
from tools.steps import INVENTORY, ROOT, STATE, Failed, Steps, playbook, run

# Container registries that the images of an ordinary set-up come from. Both must answer, or all is built here.
REGISTRIES = ("https://registry-1.docker.io/v2/", "https://registry.k8s.io/v2/")
OLDEST = {"kind": (0, 31), "helm": (3, 18)}
# Roles' image variables, and the archives that serve them.
IMAGES = {
    "collector": "otelcol-image",
    "tempo": "tempo-image",
    "prometheus": "prometheus-image",
    "seaweedfs": "seaweedfs-image",
}
LOCAL = STATE / "local.json"
QUERY = "/api/v1/namespaces/tracing/services/http:tempo-query-frontend:3200/proxy"


def registry_answers(url: str) -> bool:
    """Whether a container registry can be reached; its 401 is an answer."""
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


def pulls() -> bool:
    """Whether images are pulled (ORION_IMAGES=pull) or built from packages (build); auto: what the machine can do."""
    choice = os.environ.get("ORION_IMAGES", "auto")
    if choice not in ("auto", "pull", "build"):
        raise Failed(f"ORION_IMAGES is {choice!r}: write auto, pull or build.")
    if choice == "auto":
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return all(pool.map(registry_answers, REGISTRIES))
    return choice == "pull"


def on_path(tool: str) -> str | None:
    """The tool on PATH, if it is there and new enough."""
    found = shutil.which(tool)
    if not found:
        return None
    try:
        words = subprocess.run([found, "version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"v(\d+)\.(\d+)", words)
    if version and tuple(map(int, version.groups())) >= OLDEST[tool]:
        return found
    print(f"      {found} is older than {'.'.join(map(str, OLDEST[tool]))} and is left aside")
    return None


def prepare(everything: bool = False) -> dict:
    """Find or build tools and images, and write them down. everything: also what only the tests need."""
    pull = pulls()
    found = {tool: on_path(tool) for tool in OLDEST}
    artifacts = spec.load()
    names = [tool for tool, path in found.items() if not path]
    if pull:
        print("      container registries answer: images are pulled by the cluster")
    else:
        print("      no container registry answers: images are built from packages")
        names += ["node", *IMAGES.values()]
    if everything:
        names += ["helm", "helm3", "otelcol", "registry", "tempo"]
    if names:
        run(sys.executable, "-m", "airgap", "build", *dict.fromkeys(names))
    store = cache.Store(cache.default_root(), cache.digests(artifacts))

    def built(name: str) -> str:
        return str(store.folder(name) / artifacts[name].output)

    result = {tool: path or built(tool) for tool, path in found.items()}
    if not pull:
        result |= {
            "node_image": artifacts["node"].ref,
            "node_archive": built("node"),
            "archives": [built(name) for name in IMAGES.values()],
            "images": {role: str(artifacts[name].ref).rpartition(":")[2] for role, name in IMAGES.items()},
        }
    STATE.mkdir(exist_ok=True)
    LOCAL.write_text(json.dumps(result, indent=2) + "\n")
    if everything:
        result |= {name: built(name) for name in ("helm3", "otelcol", "registry", "tempo")} | {"helm4": built("helm")}
    return result


def tool_environment(found: dict) -> dict[str, str]:
    """What the tests take their real programs from."""
    return {
        "ORION_HELM": found["helm4"],
        "ORION_HELM3": found["helm3"],
        "ORION_OTELCOL": found["otelcol"],
        "ORION_REGISTRY": found["registry"],
        "ORION_TEMPO": found["tempo"],
    }


def up() -> None:
    steps, cluster = Steps(4), os.environ.get("ORION_CLUSTER", "orion")
    start = time.monotonic()
    with steps.step("Tools and images"):
        prepare()
    with steps.step("Cluster, S3 store, Prometheus"):
        playbook("local")
    with steps.step("site.yml"):
        playbook("site", "-e", "tracing_prove=never")
    with steps.step("Proof"):
        playbook("verify")
    summary(steps, STATE / cluster, time.monotonic() - start)


def summary(steps: Steps, state: Path, seconds: float) -> None:
    """The proof's table and where things are."""
    proof = json.loads((state / "proof.json").read_text())
    port = json.loads((state / "cluster.json").read_text())["ports"]["30333"]
    print(f"\nProof: the first trace was read back {proof['first_trace_seconds']} s after it was sent.")
    for check in proof["checks"]:
        print(f"  {'ok    ' if check['passed'] else 'FAILED'}  {check['name']}: {check['observed']}")
    print()
    rows = {
        "Namespace": "tracing",
        "Applications send OTLP to": "otel-collector.tracing.svc:4317 (gRPC), :4318 (HTTP)",
        "Tempo answers queries at": "http://tempo-query-frontend.tracing.svc:3200",
        "A trace to open": f"kubectl get --raw {QUERY}/api/traces/{proof['traces']['error'][0]}",
        "S3 store": f"https://127.0.0.1:{port} (credentials: {state / 's3-credentials.json'})",
        "Kubeconfig": f"export KUBECONFIG={state / 'kubeconfig'}",
        "Proof": str(state / "proof.json"),
        "Another cluster": "edit inventories/production/group_vars/all.yml, then: "
        "ansible-playbook playbooks/site.yml -i inventories/production --check --diff",
        "Remove it": "make down",
    }
    for name, value in rows.items():
        print(f"{name + ':':<27}{value}")
    times = ", ".join(f"{name} {value:.0f} s" for name, value in steps.seconds.items())
    print(f"\nDone in {seconds:.0f} s: {times}.")


def down() -> None:
    playbook("local_down")
    print(f"Removed. The cache stays in {cache.default_root().parent}; {INVENTORY.relative_to(ROOT)} is as it was.")
