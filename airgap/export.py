"""Lays everything that is handed out into one folder, which can be carried to a site that reaches no registry."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from .cache import Store
from .spec import Artifact

README = """\
# Images and tools

`images.json` lists every file with its SHA-256, its size and the packages it was built from (package URLs).
`sha256sum --check SHA256SUMS` in this folder checks them all.

## Load
Into a container engine: `docker load --input images/NAME.tar`
Into a registry of yours: `docker load`, then `docker tag` and `docker push`
Into a kind cluster: `kind load image-archive images/NAME.tar --name CLUSTER`
Into containerd: `ctr --namespace k8s.io images import images/NAME.tar`

## Start a cluster
`docker load --input images/node.tar`, then
`tools/kind create cluster --image {node} --config kind.yaml` with `networking: {{kubeProxyMode: none}}` in the
configuration, since this node image brings its own kube-proxy. It is one node: it has no network between nodes.

The tools are static binaries for Linux on x86-64: put `tools` on your PATH.

| Image | File |
|---|---|
{rows}
"""


def export(artifacts: list[Artifact], store: Store, output: Path) -> list[dict[str, Any]]:
    """Fills the folder. The lists are written last, so a folder that has them is complete."""
    for name in ("images.json", "SHA256SUMS"):
        (output / name).unlink(missing_ok=True)
    listed = [place(artifact, store, output) for artifact in artifacts if artifact.delivered]
    rows = "\n".join(f"| `{item['ref']}` | `{item['file']}` |" for item in listed if item["ref"])
    node = next((item["ref"] for item in listed if item["name"] == "node"), "the node image")
    (output / "README.md").write_text(README.format(rows=rows, node=node))
    (output / "SHA256SUMS").write_text("".join(f"{item['sha256']}  {item['file']}\n" for item in listed))
    (output / "images.json").write_text(json.dumps(listed, indent=2) + "\n")
    return listed


def place(artifact: Artifact, store: Store, output: Path) -> dict[str, Any]:
    """Links one file into the folder, or copies it to another file system."""
    source = store.folder(artifact.name) / artifact.output
    target = output / f"{artifact.delivered}s" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    partial.replace(target)
    meta = store.meta(artifact.name)
    return {
        "name": artifact.name,
        "kind": artifact.delivered,
        "ref": artifact.ref,
        "version": artifact.version,
        "file": target.relative_to(output).as_posix(),
        "sha256": meta["sha256"],
        "size": meta["size"],
        "built_from": meta["sources"],
    }
