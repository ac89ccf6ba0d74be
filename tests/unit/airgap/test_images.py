"""The table of images, and the choice of each one's origin."""

from __future__ import annotations

import os
import re
from pathlib import Path

import archives
import pytest
import yaml
from archives import tar, write

from airgap import cache, images, reader, spec
from airgap.errors import AirgapError
from airgap.images import ARCHIVE, BUILD, ORIGINS, PULL, Image, Source

ROOT = Path(__file__).resolve().parents[3]
TABLE = images.load(spec.load())
TEMPO = Image("tempo", "docker.io/grafana/tempo", "2.10.8", "AGPL-3.0-only")
WEED_REPOSITORY = "docker.io/chrislusf/seaweedfs"
WEED = Image("weed", WEED_REPOSITORY, "4.48", "Apache-2.0", "seaweedfs-image", f"{WEED_REPOSITORY}:4.48-x")
LAYERS = [tar(("tempo", b"program"))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ORION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ORION_IMAGE_DIR", str(tmp_path / "images"))
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def role_images() -> dict[str, tuple[str, str]]:
    """Repository and tag of every image that a role names, by the variables' common part."""
    values = {}
    for path in sorted(ROOT.glob("roles/*/defaults/main.yml")):
        values |= yaml.safe_load(path.read_text())
    stems = [name.removesuffix("_repository") for name in values if name.endswith("_image_repository")]
    return {stem: (values[f"{stem}_repository"], str(values[f"{stem}_tag"])) for stem in stems}


def test_the_roles_ask_for_what_the_table_says():
    roles = role_images()
    assert len(roles) >= 4
    # The local cluster runs the periodic probe with the shop's image instead.
    del roles["verify_probe_image"]
    local = yaml.safe_load((ROOT / "inventories/local/group_vars/all.yml").read_text())
    assert local["verify_probe_image_repository"] == TABLE["shop-python"].repository
    rows = {(image.repository, image.tag) for image in TABLE.values()}
    assert {stem: image for stem, image in roles.items() if image not in rows} == {}


def test_the_local_inventory_takes_tags_from_the_set_up_and_else_asks_for_what_the_table_says():
    text = (ROOT / "inventories/local/group_vars/all.yml").read_text()
    found = re.findall(r"__local\.images(?:\.(\w+)|\['([\w-]+)'\])\.tag \| default\('(.+?)'\)", text)
    defaults = {plain or quoted: tag for plain, quoted, tag in found}
    assert len(defaults) >= 4
    assert defaults == {name: TABLE[name].tag for name in defaults}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"repository": "x", "licence": "MIT"}, "images: weed: missing license, unknown licence"),
        ({"repository": "x/y", "license": "MIT", "build": "tool"}, "build: 'tool' is not an entry of kind image"),
        ({"repository": "x/y", "license": "MIT", "build": "none"}, "build: 'none' is not an entry of kind image"),
        ({"repository": "x/y", "license": "MIT", "build": "picture"}, "with a ref in x/y"),
    ],
)
def test_a_row_that_cannot_be_is_refused(artifacts, checkout, fields, message):
    path = checkout / "table.yml"
    path.write_text(yaml.safe_dump({"images": {"weed": fields}}))
    with pytest.raises(AirgapError, match=re.escape(message)):
        images.load(artifacts, path)


def test_the_name_of_a_built_image_comes_from_its_entry(artifacts, checkout):
    row = {"repository": "example.test/picture", "license": "MIT", "tag": "v1", "build": "picture"}
    path = checkout / "table.yml"
    path.write_text(yaml.safe_dump({"images": {"picture": row}}))
    assert images.load(artifacts, path)["picture"].built_ref == "example.test/picture:1.2.3"


def archived(*refs: str) -> list[reader.ArchivedImage]:
    return [reader.ArchivedImage(Path(f"/{ref}.tar"), (ref,), archives.config([]), ()) for ref in refs]


def test_origins_are_tried_in_their_order():
    held = archived(WEED.ref, TEMPO.ref)
    registries = {"docker.io"}
    assert images.choose(WEED, ORIGINS, registries, held) == Source(WEED, PULL, WEED.ref)
    assert images.choose(WEED, ORIGINS, {"quay.io"}, held) == Source(WEED, ARCHIVE, WEED.ref, held[0])
    assert images.choose(WEED, ORIGINS, (), []) == Source(WEED, BUILD, WEED.built_ref)
    assert images.choose(WEED, [BUILD], registries, held) == Source(WEED, BUILD, WEED.built_ref)
    assert images.choose(WEED, [ARCHIVE], registries, []) is None
    assert images.choose(TEMPO, ORIGINS, (), held) == Source(TEMPO, ARCHIVE, TEMPO.ref, held[1])
    assert images.choose(TEMPO, ORIGINS, (), []) is None
    assert images.choose(TEMPO, [BUILD], registries, held) is None


def test_a_mirror_takes_the_place_of_the_registry():
    pulled = images.choose(WEED, ORIGINS, {"mirror.test:5000"}, (), "mirror.test:5000/hub")
    assert pulled == Source(WEED, PULL, "mirror.test:5000/hub/chrislusf/seaweedfs:4.48")
    assert (pulled.tag, pulled.other_version) == ("4.48", False)
    assert images.choose(WEED, ORIGINS, {"docker.io"}, (), "mirror.test:5000/hub").origin == BUILD


@pytest.mark.parametrize(
    ("tags", "taken", "other"),
    [
        (["2.10.7", "2.10.8", "2.11.0"], "2.10.8", False),
        (["2.9.10", "2.10.7", "2.10.6", "2.11.0", "3.0.1"], "2.10.7", True),
        (["2.9.10", "2.9.2", "3.0.1"], "2.9.10", True),
        (["latest"], "latest", True),
    ],
)
def test_of_several_versions_the_one_asked_for_else_the_nearest(tags, taken, other):
    source = images.choose(TEMPO, ORIGINS, (), archived(*[f"{TEMPO.repository}:{tag}" for tag in tags]))
    assert (source.tag, source.other_version) == (taken, other)


@pytest.mark.parametrize(
    ("tags", "tempo", "tempo_3"),
    [
        (["2.10.8", "3.0.3"], "2.10.8", "3.0.3"),
        (["2.9.1", "3.0.1", "3.1.0"], "2.9.1", "3.0.1"),
        (["3.0.3"], None, "3.0.3"),
        (["2.10.8"], "2.10.8", None),
        (["latest", "main-1a2b3c"], None, None),
    ],
)
def test_an_archive_of_one_major_version_of_tempo_is_not_taken_for_the_other(tags, tempo, tempo_3):
    held = archived(*[f"{TEMPO.repository}:{tag}" for tag in tags])
    found = {name: images.choose(TABLE[name], ORIGINS, (), held) for name in ("tempo", "tempo-3")}
    assert {name: source and source.tag for name, source in found.items()} == {"tempo": tempo, "tempo-3": tempo_3}
    others = [ref.rpartition(":")[2] for _found, ref in images.other_majors(held, TABLE["tempo"])]
    assert others == [tag for tag in tags if not tag.startswith("2.")]


def test_what_was_built_here_and_carried_over_is_no_other_version():
    assert not images.choose(WEED, ORIGINS, (), archived(WEED.built_ref)).other_version
    node = Image("node", "docker.io/kindest/node", "", "Apache-2.0")
    assert not images.choose(node, ORIGINS, (), archived("docker.io/kindest/node:v1.35.0")).other_version


def test_every_bad_archive_of_the_folder_is_named_at_once(folder):
    write(folder / "a.tar", b"hello")
    write(folder / "b.tar", archives.docker(LAYERS, [TEMPO.ref], "arm64"))
    write(folder / "c.tar", archives.docker(LAYERS, [TEMPO.ref]))
    with pytest.raises(AirgapError) as caught:
        images.read_folder(images.folder(), "amd64")
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == [str(folder / "a.tar"), str(folder / "b.tar")]


def test_notes_and_checksums_beside_archives_are_left_alone(folder):
    for name in ("README.md", "tempo.tar.sha256", "images.json", ".part"):
        write(folder / name, b"hello")
    (folder / "old").mkdir()
    write(folder / "tempo-2.10.8", archives.docker(LAYERS, [TEMPO.ref]))
    assert [image.refs for image in images.read_folder(images.folder(), "amd64")] == [(TEMPO.ref,)]


def test_a_folder_that_was_named_has_to_be_there_and_the_default_one_not(folder, monkeypatch, tmp_path):
    folder.rmdir()
    with pytest.raises(AirgapError, match="ORION_IMAGE_DIR is .*, which is not a folder; create it"):
        images.read_folder(images.folder(), "amd64")
    monkeypatch.delenv("ORION_IMAGE_DIR")
    assert images.folder() == tmp_path / "cache" / "images"
    assert images.read_folder(images.folder(), "amd64") == []


def test_an_image_is_copied_once_and_its_older_copy_goes(folder, monkeypatch):
    def source(layers):
        write(folder / "a.tar", archives.docker(layers, ["grafana/tempo:2.10.8"]))
        return images.choose(TEMPO, ORIGINS, (), images.read_folder(folder, "amd64"))

    first = images.carried(source(LAYERS))
    [copy] = reader.read(first / "image.tar", "amd64")
    assert copy.refs == (TEMPO.ref,)
    with monkeypatch.context() as patch:
        patch.setattr(reader, "copy", None)
        assert images.carried(source(LAYERS)) == first
    os.utime(first / cache.META, (0, 0))
    second = images.carried(source([tar(("tempo", b"another"))]))
    assert second != first
    assert not first.exists()


def test_the_program_of_an_image_is_taken_out_once(folder, monkeypatch):
    write(folder / "a.tar", archives.oci(LAYERS, TEMPO.ref))
    source = images.choose(TEMPO, ORIGINS, (), images.read_folder(folder, "amd64"))
    program = images.program(source)
    assert program.read_bytes() == b"program"
    assert [path.name for path in sorted(program.parent.iterdir())] == ["artifact.json", "image.tar", "program"]
    monkeypatch.setattr(reader, "extract", None)
    assert images.program(source) == program


def test_what_nothing_uses_is_told_apart():
    held = archived("quay.io/acme/shop:1", TEMPO.ref)
    assert images.unused(held, [TEMPO, WEED]) == held[:1]


def test_commands_that_bring_an_image_name_it():
    docker, skopeo = images.how_to_bring(TEMPO, "amd64")
    assert docker.endswith(f"docker save --output tempo.tar {TEMPO.ref}")
    assert skopeo.endswith(f"docker://{TEMPO.ref} docker-archive:tempo.tar:{TEMPO.ref}")
