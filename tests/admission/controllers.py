# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kubernetes' controllers beside the API server, and pods that are ready without a node.

The controllers are the real ones: Deployments get ReplicaSets and pods, Secrets get tokens. No kubelet runs: a thread
writes into the status of every pod that it is ready, so that helm's wait ends.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

CONTROLLERS = (
    "daemonset-controller",
    "deployment-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
)
INTERVAL = 0.2
CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
READY = {"phase": "Running", "conditions": [{"type": kind, "status": "True"} for kind in CONDITIONS]}


def kubeconfig(kube: Kube, token: str, folder: Path) -> Path:
    """A kubeconfig for the API server of that folder."""
    cluster = {"server": kube.host, "certificate-authority": str(folder / "certificates/apiserver.crt")}
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "one", "cluster": cluster}],
                "users": [{"name": "one", "user": {"token": token}}],
                "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
                "current-context": "one",
            }
        )
    )
    return path


@contextmanager
def controllers(kube: Kube, token: str, folder: Path, program: str) -> Iterator[None]:
    """folder: of the API server. program: Kubernetes' binary. token: of an administrator."""
    binary = folder / "kube-controller-manager"
    binary.symlink_to(program)
    argv = [
        binary,
        f"--kubeconfig={kubeconfig(kube, token, folder)}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        f"--root-ca-file={folder / 'certificates/apiserver.crt'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
    ]
    log = folder / "kube-controller-manager.log"
    manager = subprocess.Popen(argv, stdout=log.open("wb"), stderr=subprocess.STDOUT)
    stop = threading.Event()
    thread = threading.Thread(target=_make_ready, args=(kube.host, token, folder, stop))
    thread.start()
    try:
        yield
        # Without it, waits only end at their time limits.
        assert manager.poll() is None, "\n".join(log.read_text().splitlines()[-15:])
    finally:
        stop.set()
        thread.join()
        manager.terminate()
        manager.wait(60)


def _make_ready(host: str, token: str, folder: Path, stop: threading.Event) -> None:
    options = {"host": host, "api_key": token, "ca_cert": str(folder / "certificates/apiserver.crt")}
    with closing(Kube.connect(options)) as kube:
        while not stop.wait(INTERVAL):
            try:
                pods = kube.list("/api/v1/pods")
            except TracingError:
                continue  # Not answered in time on a loaded machine. Ended here, every wait of helm would time out.
            for pod in pods:
                if (pod.get("status") or {}).get("phase") == "Running":
                    continue
                metadata = pod["metadata"]
                path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
                try:
                    kube.request("PATCH", path, body={"status": READY}, content_type="application/merge-patch+json")
                except TracingError:
                    continue  # it was deleted meanwhile
