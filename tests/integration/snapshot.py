# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every object of a local cluster and every bucket of its store, to show that something changed nothing.

usage: snapshot.py STATE_DIR --write | --compare
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

# The cluster writes these on its own, all the time.
RESTLESS = {"events", "leases", "endpoints", "endpointslices", "nodes", "csinodes", "componentstatuses"}


def objects(kube: Kube) -> dict[str, str]:
    """resource/namespace/name → resourceVersion, of every kind that can be listed.

    Pods and what counts them are left to their owners' specs: a probe that flickers is no change of ours.
    """
    paths = ["/api/v1"] + [
        f"/apis/{group['preferredVersion']['groupVersion']}" for group in kube.request("GET", "/apis")["groups"]
    ]
    found = {}
    for path in paths:
        for resource in kube.request("GET", path)["resources"]:
            if "/" in resource["name"] or "list" not in resource["verbs"] or resource["name"] in RESTLESS:
                continue
            for item in kube.list(f"{path}/{resource['name']}"):
                meta = item["metadata"]
                key = f"{resource['name']}/{meta.get('namespace', '')}/{meta['name']}"
                found[key] = f"{meta['uid']} generation {meta.get('generation', meta['resourceVersion'])}"
    return {k: v for k, v in found.items() if not k.startswith("pods/")} | {
        k: v.split()[0] for k, v in found.items() if k.startswith("pods/")
    }


def buckets(state: Path) -> dict[str, str]:
    keys = json.loads((state / "s3-credentials.json").read_text())
    port = json.loads((state / "cluster.json").read_text())["ports"]["30333"]
    s3 = boto3.client(
        "s3",
        endpoint_url=f"https://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        verify=str(state / "s3-ca.crt"),
    )
    return {f"bucket/{b['Name']}": str(b["CreationDate"]) for b in s3.list_buckets()["Buckets"]}


def main() -> None:
    state, action = Path(sys.argv[1]), sys.argv[2]
    now = objects(Kube.connect({"kubeconfig": str(state / "kubeconfig")})) | buckets(state)
    file = state / "snapshot.json"
    if action == "--write":
        file.write_text(json.dumps(now))
        print(f"{len(now)} objects")
        return
    before = json.loads(file.read_text())
    differ = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
    print(f"{len(now)} objects, {len(differ)} differ")
    for key in differ:
        print(f"  {key}: {before.get(key, 'absent')} → {now.get(key, 'absent')}")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
