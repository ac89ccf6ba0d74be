# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What docs/fleet.md has people make by hand for an edge and a central platform, in two namespaces of one cluster.

usage: given.py KUBECONFIG --make | --remove
"""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.local.credentials import new_certificate
from ansible_collections.orion.tracing.plugins.module_utils.local.secret import create_namespace, secret_document
from ansible_collections.orion.tracing.plugins.module_utils.otlp.documents import new_id

CENTRAL, EDGE = "tracing", "edge"
NAME = f"otel-collector-edge.{CENTRAL}.svc"
RECEIVER, TOKENS, CLIENT = "edge-receiver-tls", "edge-tokens", "central-tracing"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
PATIENCE = 120.0


def path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def make(kube: Kube) -> None:
    certificate = new_certificate([NAME], datetime.now(UTC))
    token = new_id(32)
    tokens = f"{new_id(32)} another edge\n{token} {EDGE}\n".encode()
    for namespace in (CENTRAL, EDGE):
        create_namespace(kube, namespace, RESTRICTED)
    for namespace, name, data in (
        (CENTRAL, RECEIVER, {key: certificate[key] for key in ("tls.crt", "tls.key")}),
        (CENTRAL, TOKENS, {"tokens": tokens}),
        (EDGE, CLIENT, {"token": token.encode(), "ca.crt": certificate["ca.crt"]}),
    ):
        texts = {key: base64.b64encode(value).decode() for key, value in data.items()}
        kube.apply(path(namespace, name), secret_document(name, namespace, texts))


def remove(kube: Kube) -> None:
    for name in (RECEIVER, TOKENS):
        kube.request("DELETE", path(CENTRAL, name))
    kube.request("DELETE", f"/api/v1/namespaces/{EDGE}")
    limit = Deadline(Clock(), PATIENCE)
    while kube.get(f"/api/v1/namespaces/{EDGE}") is not None:
        if not limit.wait(1.0):
            sys.exit(f"The namespace {EDGE} is still there after {PATIENCE:.0f} s.")


def main() -> None:
    kube = Kube.connect({"kubeconfig": sys.argv[1]})
    {"--make": make, "--remove": remove}[sys.argv[2]](kube)
    kube.close()


if __name__ == "__main__":
    main()
