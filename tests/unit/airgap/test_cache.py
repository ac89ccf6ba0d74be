"""The cache: what changes a digest, and that half-built things are never seen."""

from __future__ import annotations

import os
import time

import pytest

from airgap import cache, spec


def digests(checkout):
    return cache.digests(spec.load(checkout / "images.yml"))


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def test_a_source_file_changes_what_is_built_from_it_and_nothing_else(checkout):
    before = digests(checkout)
    (checkout / "go/tool/main.go").write_text("package main // other\n")
    assert changed(before, digests(checkout)) == {"tool", "alias", "picture", "extra"}


def test_a_layer_file_changes_the_image(checkout):
    before = digests(checkout)
    (checkout / "files/passwd").write_text("root:x:0:0::/:/bin/false\n")
    assert changed(before, digests(checkout)) == {"picture"}


def test_a_file_that_becomes_executable_changes_the_image(checkout):
    before = digests(checkout)
    (checkout / "files/passwd").chmod(0o755)
    assert changed(before, digests(checkout)) == {"picture"}


def test_the_toolchain_changes_all_that_it_compiles(checkout):
    before = digests(checkout)
    path = checkout / "images.yml"
    path.write_text(path.read_text().replace("sha256: aa", "sha256: bb"))
    assert changed(before, digests(checkout)) == set(before)


def test_a_recipe_changes_its_kind(checkout, monkeypatch):
    before = digests(checkout)
    monkeypatch.setitem(cache.RECIPES, "image", 99)
    assert changed(before, digests(checkout)) == {"picture"}


def test_how_an_artefact_is_handed_out_changes_nothing(checkout):
    before = digests(checkout)
    path = checkout / "images.yml"
    path.write_text(path.read_text().replace(", default: false", ""))
    assert changed(before, digests(checkout)) == set()


def test_an_interrupted_build_leaves_nothing(store):
    with pytest.raises(KeyboardInterrupt), store.building("tool") as work:
        (work / "tool").write_text("half")
        raise KeyboardInterrupt
    assert not store.cached("tool")
    assert not list(store.root.rglob("tool"))


def test_what_a_killed_build_left_is_removed_by_the_next(store):
    left = store.root / "_tmp" / "tool" / "left"
    left.mkdir(parents=True)
    (left / "half").touch()
    left.chmod(0o500)  # Go makes its folders read-only
    with store.building("tool") as work:
        assert work != left
        (work / cache.META).write_text('{"size": 1}')
    assert not left.exists()
    assert store.cached("tool")


def test_a_build_removes_what_other_inputs_produced_unless_it_was_used_lately(store):
    forgotten, broken = store.root / "tool/0123456789abcdef", store.root / "tool/half"
    for folder in (forgotten, broken):
        folder.mkdir(parents=True)
    (forgotten / cache.META).write_text("{}")
    os.utime(forgotten / cache.META, (time.time() - cache.KEPT - 60,) * 2)
    elsewhere = cache.Store(store.root, store.digests | {"tool": "fedcba9876543210"})
    elsewhere.folder("tool").mkdir(parents=True)
    (elsewhere.folder("tool") / cache.META).write_text("{}")
    os.utime(elsewhere.folder("tool") / cache.META, (0, 0))
    assert elsewhere.cached("tool")
    with store.building("tool") as work:
        (work / cache.META).write_text("{}")
    assert set((store.root / "tool").iterdir()) == {store.folder("tool"), elsewhere.folder("tool")}


def test_two_builders_of_one_name_take_turns(store):
    waited = []
    with store.locked("tool", lambda: waited.append("first")):
        other = cache.Store(store.root, store.digests)

        class Waiting(Exception):
            pass

        def waiting():
            raise Waiting

        with pytest.raises(Waiting), other.locked("tool", waiting):
            pass
        with other.locked("alias", waiting):
            pass
    assert waited == []
    with store.locked("tool", waiting):
        pass


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("ORION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_root() == tmp_path / "orion-tracing" / "airgap"
    monkeypatch.setenv("ORION_CACHE", str(tmp_path / "own"))
    assert cache.default_root() == tmp_path / "own" / "airgap"
