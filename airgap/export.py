"""Lays everything that is handed out into one folder, which can be carried to a site that reaches no registry."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from .cache import Store
from .images import Image, how_to_bring
from .spec import Artifact, license_of

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

| What | File | Licence (SPDX) |
|---|---|---|
{rows}

A program's licence is its own; the Go modules compiled into it bring theirs.

## Carry these in besides
These are not built: Tempo because of its licence, the agent for .NET because no package has it. Save each one where its
registry can be reached, by either command, and put the file into `images`. A local cluster without Tempo uses Jaeger as
its store, and uses Tempo 2 only: Tempo 3 is for `tempo_profile: kafka`, memcached for `tempo_memcached_enabled`.
Without the agent, applications in .NET are not instrumented.

{besides}

In a checkout of orion.tracing, `PATH=HERE/tools:$PATH ORION_IMAGE_DIR=HERE/images make up` takes everything from here.
"""


def export(
    names: list[str], artifacts: dict[str, Artifact], table: dict[str, Image], store: Store, output: Path
) -> list[dict[str, Any]]:
    """Fills the folder with the artefacts of these names. The lists are written last, so a folder that has them is
    complete. table: all images that run, of which some are not built."""
    for name in ("images.json", "SHA256SUMS"):
        (output / name).unlink(missing_ok=True)
    listed = [
        place(artifacts[name], license_of(name, artifacts), store, output)
        for name in names
        if artifacts[name].delivered
    ]
    rows = "\n".join(f"| `{item['ref'] or item['name']}` | `{item['file']}` | {item['license']} |" for item in listed)
    besides = "\n\n".join(bring(image) for image in table.values() if not image.build)
    node = next((item["ref"] for item in listed if item["name"] == "node"), "the node image")
    (output / "README.md").write_text(README.format(rows=rows, node=node, besides=besides))
    (output / "SHA256SUMS").write_text("".join(f"{item['sha256']}  {item['file']}\n" for item in listed))
    (output / "images.json").write_text(json.dumps(listed, indent=2) + "\n")
    return listed


def bring(image: Image) -> str:
    commands = "\n".join(how_to_bring(image, "amd64"))
    return f"`{image.ref}` ({image.license})\n```sh\n{commands}\n```"


def place(artifact: Artifact, terms: str, store: Store, output: Path) -> dict[str, Any]:
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
        "license": terms,
        "file": target.relative_to(output).as_posix(),
        "sha256": meta["sha256"],
        "size": meta["size"],
        "built_from": meta["sources"],
    }
