# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make up` and `make down`: tools and images for this machine, then the playbooks.

What is found or built is written to .state/local.json, from which inventories/local takes it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airgap import cache, spec
from airgap.images import ARCHIVE, BUILD, PULL, Source, carried
from airgap.spec import Artifact
from tools import images, machine
from tools.steps import INVENTORY, ROOT, STATE, Steps, playbook, run

OLDEST = {"kind": (0, 31), "helm": (3, 18)}
# Built for the tests, whatever is on PATH
TEST_TOOLS = ["helm", "helm3", "otelcol", "registry", "jaeger", "victorialogs", "kube"]
TEST_TOOLS += ["promtool", "prometheus", "lezer", "nodejs", "kafka", "jre"]
LOCAL = STATE / "local.json"
# Where each store answers (host, port), and its path to a trace
STORES = {
    "tempo": ("tempo-query-frontend.tracing", 3200, "/api/traces"),
    "jaeger": ("jaeger.local-backends", 16686, "/api/v3/traces"),
}
# Where the logs are, and how to read those of a trace
LOGS_PROXY = "/api/v1/namespaces/local-backends/services/http:victorialogs:9428/proxy"
LOGS = {
    "VictoriaLogs answers at": "http://victorialogs.local-backends.svc:9428/select/logsql/query",
    "Logs of a trace": f"kubectl get --raw '{LOGS_PROXY}/select/logsql/query?query=trace_id:=ID'",
}


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
    print(f"      {found} is older than {'.'.join(map(str, OLDEST[tool]))} and is ignored")
    return None


def prepare(everything: bool = False) -> dict[str, Any]:
    """Find or build tools and images, and write them down. everything: also what only the tests need.

    Archives are read, checked and copied first: a bad one ends this before anything is built.
    """
    artifacts = spec.load()
    sources = images.find(artifacts, everything)
    loaded = {name: carried(source) / "image.tar" for name, source in sources.items() if source.origin == ARCHIVE}
    found = {tool: on_path(tool) for tool in OLDEST}
    names = [tool for tool, path in found.items() if not path]
    entries = {
        name: spec.archive_of(source.image.build, artifacts)
        for name, source in sources.items()
        if source.origin == BUILD
    }
    names += entries.values()
    if everything:
        names += TEST_TOOLS
    if names:
        run(sys.executable, "-m", "airgap", "build", *dict.fromkeys(names))
    store = cache.Store(cache.default_root(), cache.digests(artifacts))

    def built(name: str) -> Path:
        return store.folder(name) / artifacts[name].output

    loaded |= {name: built(entry) for name, entry in entries.items()}
    result: dict[str, Any] = {tool: path or str(built(tool)) for tool, path in found.items()}
    if "node" in loaded:
        result |= {"node_image": sources["node"].ref, "node_archive": str(loaded["node"])}
    demo = {name for name, source in sources.items() if source.image.demo}
    result["demo"] = bool(demo)
    result["archives"] = _paths(path for name, path in loaded.items() if name != "node" and name not in demo)
    result["demo_archives"] = _paths(path for name, path in loaded.items() if name in demo)
    result["images"] = {
        name: {"ref": source.ref, "tag": source.tag, "origin": source.origin}
        for name, source in sources.items()
        if name != "node"
    }
    # one mirror for all, so that all images of the roles have this origin or none
    result["registry"] = images.mirror() if any(i["origin"] == PULL for i in result["images"].values()) else ""
    STATE.mkdir(exist_ok=True)
    LOCAL.write_text(json.dumps(result, indent=2) + "\n")
    if everything:
        result |= _test_tools(artifacts, store, sources)
    return result


def _paths(archives: Iterable[Path]) -> list[str]:
    """Each archive once: one may have several images."""
    return list(dict.fromkeys(map(str, archives)))


def test_tools() -> dict[str, Any]:
    """Find or build the programs of the tests, without the images of the cluster."""
    artifacts = spec.load()
    sources = images.find_programs(artifacts)
    run(sys.executable, "-m", "airgap", "build", *TEST_TOOLS)
    return _test_tools(artifacts, cache.Store(cache.default_root(), cache.digests(artifacts)), sources)


def _test_tools(artifacts: dict[str, Artifact], store: cache.Store, sources: dict[str, Source]) -> dict[str, Any]:
    """Paths of what has been built, and of each Tempo whose image is at hand. A Tempo 3 that the user's ORION_TEMPO_3
    names is used instead of the image's."""
    found = {
        "helm4" if name == "helm" else name: str(store.folder(name) / artifacts[name].output) for name in TEST_TOOLS
    }
    if named := os.environ.get("ORION_TEMPO_3"):
        found["tempo-3"] = named
    for name in images.PROGRAMS:
        if name not in found and name in sources and (program := images.program(sources[name])):
            found[name] = str(program)
    return found


def tool_environment(found: dict[str, Any]) -> dict[str, str]:
    """What the tests take their real programs from. ORION_TEMPO and ORION_TEMPO_3 are set only where that Tempo is at
    hand."""
    variables = {
        "ORION_HELM": "helm4",
        "ORION_HELM3": "helm3",
        "ORION_OTELCOL": "otelcol",
        "ORION_REGISTRY": "registry",
        "ORION_JAEGER": "jaeger",
        "ORION_VICTORIALOGS": "victorialogs",
        "ORION_KUBE": "kube",
        "ORION_PROMETHEUS": "prometheus",
        "ORION_PROMTOOL": "promtool",
        "ORION_LEZER": "lezer",
        "ORION_NODEJS": "nodejs",
        "ORION_KAFKA": "kafka",
        "ORION_JRE": "jre",
        "ORION_TEMPO": "tempo",
        "ORION_TEMPO_3": "tempo-3",
    }
    return {variable: found[name] for variable, name in variables.items() if name in found}


def up() -> None:
    machine.check()
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
    trace_id = next(ids[0] for ids in proof["traces"].values())
    ports = json.loads((state / "cluster.json").read_text())["ports"]
    local = json.loads(LOCAL.read_text())
    store = "tempo" if "tempo" in local["images"] else "jaeger"
    host, query_port, traces = STORES[store]
    service, namespace = host.split(".")
    proxy = f"/api/v1/namespaces/{namespace}/services/http:{service}:{query_port}/proxy"
    print(f"\nProof: the first trace was read back {proof['first_trace_seconds']} s after it was sent.")
    for check in proof["checks"]:
        print(f"  {'ok    ' if check['passed'] else 'FAILED'}  {check['name']}: {check['observed']}")
    print()
    rows = {
        "Namespace": "tracing",
        "Applications send OTLP to": "otel-collector.tracing.svc:4317 (gRPC), :4318 (HTTP)",
        f"{store.title()} answers queries at": f"http://{host}.svc:{query_port}",
        "A trace to open": f"kubectl get --raw {proxy}{traces}/{trace_id}",
        **(LOGS if "victorialogs" in local["images"] else {}),
        **(grafana(ports, state) if "grafana" in local["images"] else {}),
        **(shop(ports) if local["demo"] else {}),
        "S3 store": f"https://127.0.0.1:{ports['30333']} (credentials: {state / 's3-credentials.json'})",
        "Kubeconfig": f"export KUBECONFIG={shlex.quote(str(state / 'kubeconfig'))}",
        "Proof": str(state / "proof.json"),
        "Report to open": str(state / "report.html"),
        "Another cluster": "edit inventories/production/group_vars/all.yml, then: "
        "ansible-playbook playbooks/site.yml -i inventories/production --check --diff",
        "Remove it": "make down",
    }
    for name, value in rows.items():
        print(f"{name + ':':<27}{value}")
    times = ", ".join(f"{name} {value:.0f} s" for name, value in steps.seconds.items())
    print(f"\nDone in {seconds:.0f} s: {times}.")


def grafana(ports: dict[str, int], state: Path) -> dict[str, str]:
    """Where Grafana is and how to log in."""
    credentials = shlex.quote(str(state / "grafana-credentials.json"))
    return {
        "Grafana": f"http://127.0.0.1:{ports['30300']} (user admin)",
        "Its password": f"jq -r .admin_password {credentials}",
    }


def shop(ports: dict[str, int]) -> dict[str, str]:
    """Where the shop is and how to order something. ports: of this machine, by node port."""
    storefront = f"http://127.0.0.1:{ports['30380']}"
    order = json.dumps({"sku": "book", "quantity": 2})
    headers = "-H 'content-type: application/json' -H 'x-tenant-id: acme'"
    return {
        "Storefront of the shop": storefront,
        "Order something": f"curl {headers} -d '{order}' {storefront}/checkout",
    }


def down() -> None:
    playbook("local_down")
    print(f"Removed. The cache stays in {cache.default_root().parent}; {INVENTORY.relative_to(ROOT)} is unchanged.")
