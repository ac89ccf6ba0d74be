# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real API server with etcd on loopback, without nodes, and the policies of the instrumentation role in it.

The program of ORION_KUBE is Kubernetes and etcd in one; the name that it is started by chooses. Without it these tests
fail: a skipped one would look passed.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import LANGUAGES
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.variables import chart_values
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ADMISSION = "/apis/admissionregistration.k8s.io/v1beta1"
TOKEN = "loopback"
AGENTS = ("python", "java", "nodejs", "dotnet")
DEADLINE = 60.0
VARIABLES: dict[str, Any] = {
    "tracing_namespace": "tracing",
    "tracing_environment": "test",
    "tracing_cluster_name": "test",
    "instrumentation_excluded_namespaces": ["excluded"],
    "instrumentation_baggage_attributes": ["tenant.id"],
    "instrumentation_environment": {"OTEL_BSP_SCHEDULE_DELAY": "1000"},
    **{f"instrumentation_{name}_image_repository": f"registry.example/{name}" for name in AGENTS},
    **{f"instrumentation_{name}_image_tag": "1.0-orion" for name in AGENTS},
}
NAMESPACES: dict[str, dict[str, Any]] = {
    "shop": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    "annotated": {"annotations": {"instrumentation.opentelemetry.io/inject-python": "true"}},
    "opted-out": {"annotations": {"instrumentation.opentelemetry.io/inject-python": "false"}},
    "excluded": {},
    # A quota demands limits of every container, which the init container must have too.
    "quota": {},
}
QUOTA = {"requests.cpu": "4", "requests.memory": "4Gi", "limits.cpu": "4", "limits.memory": "4Gi"}


def until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it holds; fails with the end of the log when the process ends, or at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{log.stem} did not become ready:\n" + "\n".join(log.read_text().splitlines()[-15:]))
        time.sleep(0.1)


@contextmanager
def serving(folder: Path, policies: bool = True, audit: bool = False) -> Iterator[Kube]:
    """An API server of its own, with what it keeps in a folder. policies: whether it serves MutatingAdmissionPolicy.
    audit: whether every request is noted in audit.log, as a JSON document in each line."""
    program = os.environ.get("ORION_KUBE", "")
    if not os.access(program, os.X_OK):
        pytest.fail("Kubernetes' binary is needed: set ORION_KUBE (`python -m airgap path kube` prints it)")
    for name in ("etcd", "kube-apiserver"):
        (folder / name).symlink_to(program)
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    port, *etcds = free_ports(3)
    clients, peers = (f"http://127.0.0.1:{one}" for one in etcds)
    etcd = [folder / "etcd", f"--data-dir={folder / 'data'}", "--unsafe-no-fsync",
            f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}"]  # fmt: skip
    server = [folder / "kube-apiserver", f"--etcd-servers={clients}", "--bind-address=127.0.0.1",
              f"--secure-port={port}", f"--cert-dir={folder / 'certificates'}",
              f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC",
              f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
              "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/24",
              f"--feature-gates=MutatingAdmissionPolicy={str(policies).lower()}",
              f"--runtime-config=admissionregistration.k8s.io/v1beta1={str(policies).lower()}",
              # No controller makes the service accounts, which pods would have to wait for.
              "--disable-admission-plugins=ServiceAccount"]  # fmt: skip
    if audit:
        rules = [{"level": "Metadata", "omitStages": ["RequestReceived", "ResponseStarted"]}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
        (folder / "audit-policy.yml").write_text(json.dumps(policy))
        server += [f"--audit-policy-file={folder / 'audit-policy.yml'}", f"--audit-log-path={folder / 'audit.log'}"]
    running: list[tuple[subprocess.Popen[bytes], Path]] = []
    # Signed by itself, and written when the server starts.
    certificate = folder / "certificates/apiserver.crt"
    options = {"host": f"https://127.0.0.1:{port}", "api_key": TOKEN, "ca_cert": str(certificate)}

    def ready() -> bool:
        if not certificate.exists():
            return False
        try:
            with closing(Kube.connect(options)) as kube:
                kube.patience = 0.0
                return kube.send("GET", "/readyz").ok
        except TracingError:
            return False

    try:
        for argv in (etcd, server):
            log = folder / f"{Path(argv[0]).name}.log"
            running.append((subprocess.Popen(argv, stdout=log.open("wb"), stderr=subprocess.STDOUT), log))
        until(ready, *running[-1])
        with closing(Kube.connect(options)) as kube:
            yield kube
    finally:
        for process, _log in reversed(running):
            process.terminate()
            process.wait(DEADLINE)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """The one that has the policies (installed)."""
    with serving(tmp_path_factory.mktemp("kube")) as kube:
        yield kube


def install(kube: Kube, **variables: Any) -> dict[str, Any]:
    """The chart's objects as the API server stores them, by kind and name; returns the policies' specs by name."""
    values, _warnings = chart_values(
        role_defaults("instrumentation", **{**VARIABLES, **variables}), {"policy": "v1beta1", "operator": ""}
    )
    for policy in values["policies"]:
        for kind, spec in (("Policy", policy["spec"]), ("PolicyBinding", {"policyName": policy["name"]})):
            body = {
                "apiVersion": "admissionregistration.k8s.io/v1beta1",
                "kind": f"MutatingAdmission{kind}",
                "metadata": {"name": policy["name"]},
                "spec": spec,
            }
            plural = "policies" if kind == "Policy" else "policybindings"
            kube.request("POST", f"{ADMISSION}/mutatingadmission{plural}", body=body)
    return {policy["name"]: policy["spec"] for policy in values["policies"]}


@pytest.fixture(scope="session")
def installed(api_server: Kube) -> dict[str, Any]:
    """name → spec of the policies, which are in effect."""
    for name, metadata in NAMESPACES.items():
        api_server.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name, **metadata}})
    quota = {"metadata": {"name": "all"}, "spec": {"hard": QUOTA}, "status": {"hard": QUOTA}}
    api_server.request("POST", "/api/v1/namespaces/quota/resourcequotas", body=quota)
    specs = install(api_server)
    deadline = time.monotonic() + DEADLINE
    for name in LANGUAGES:
        # Policies take effect when the API server's caches have them.
        body = {
            "metadata": {"name": "probe", "annotations": {f"instrumentation.opentelemetry.io/inject-{name}": "true"}},
            "spec": {"containers": [{"name": "probe", "image": "probe"}]},
        }
        while True:
            answer = api_server.request("POST", "/api/v1/namespaces/opted-out/pods", {"dryRun": "All"}, body)
            if answer["spec"]["containers"][0].get("env"):
                break
            assert time.monotonic() < deadline, f"the policy for {name} never took effect"
            time.sleep(0.1)
    return specs
