"""Recipe bytecode: modules are compiled for the places that they have in the image. This Python stands in for the
image's, behind a script in the place of its loader."""

from __future__ import annotations

import importlib.util
import marshal
import sys

import pytest

from airgap import cache, recipes, spec

ENTRIES = """
  python: {kind: debian, license: PSF-2.0, suite: trixie, packages: [python3.13-minimal]}
  library: {kind: wheel, license: MIT, package: library, version: "1", sha256: bb}
  compiled: {kind: bytecode, of: {/opt/site: "library:site"}, version: "1"}
"""
# called as: loader --library-path FOLDER PROGRAM ARGUMENT...
LOADER = '#!/bin/sh\nshift 3\nunset PYTHONHOME\nexec {python} "$@"\n'


@pytest.fixture
def built(checkout, tmp_path):
    path = checkout / "images.yml"
    path.write_text(path.read_text() + ENTRIES)
    artifacts = spec.load(path)
    store = cache.Store(tmp_path / "cache", cache.digests(artifacts))
    root = store.folder("python") / "root/usr"
    loader = root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    for file in (loader, root / "bin/python3.13"):
        file.parent.mkdir(parents=True)
        file.write_text(LOADER.format(python=sys.executable))
        file.chmod(0o755)
    site = store.folder("library") / "site"
    (site / "thing/__pycache__").mkdir(parents=True)
    (site / "thing/__init__.py").write_text("def where(): pass\n")
    (site / "thing/__pycache__/old.pyc").touch()
    assert artifacts["compiled"].needs == ["library", "python"]
    work = tmp_path / "work"
    work.mkdir()
    assert recipes.build(artifacts["compiled"], store, work) == []
    return work


def test_modules_are_compiled_for_their_place_in_the_image(built):
    [compiled] = [path for path in built.rglob("*") if path.is_file()]
    cached = importlib.util.cache_from_source("/opt/site/thing/__init__.py").lstrip("/")
    assert compiled == built / spec.BYTECODE / cached
    content = compiled.read_bytes()
    # flags 1: the hash of the source is there and not compared (https://peps.python.org/pep-0552/)
    assert int.from_bytes(content[4:8], "little") == 1
    assert marshal.loads(content[16:]).co_filename == "/opt/site/thing/__init__.py"


def test_what_is_compiled_on_purpose_is_in_the_image(checkout, built, tmp_path):
    artifacts = spec.load(checkout / "images.yml")
    store = cache.Store(tmp_path / "cache", cache.digests(artifacts))
    store.folder("compiled").parent.mkdir(parents=True)
    built.rename(store.folder("compiled"))
    [entry] = recipes.entries("/", "library:site", artifacts["picture"], store)
    assert not entry.compiled
    [entry] = recipes.entries("/", f"compiled:{spec.BYTECODE}", artifacts["picture"], store)
    assert entry.compiled
