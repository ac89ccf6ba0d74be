"""Image archives: the structure that `docker load` reads, sharing, and the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from airgap import archive
from airgap.archive import Entry, Image
from airgap.errors import AirgapError


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(bytes(range(256)) * 5)
    path.chmod(0o700)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def layer(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def test_an_archive_has_what_docker_load_reads(tmp_path, program):
    image = Image("example.test/it:1", [[Entry("/bin/it", program)]], {"Entrypoint": ["/bin/it"], "User": "10001"})
    archive.write(tmp_path / "it.tar", [image])
    found = contents(tmp_path / "it.tar")
    (listed,) = json.loads(found["manifest.json"])
    assert listed["RepoTags"] == ["example.test/it:1"]
    config = json.loads(found[listed["Config"]])
    assert listed["Config"] == hashlib.sha256(found[listed["Config"]]).hexdigest() + ".json"
    assert config["config"] == {"Entrypoint": ["/bin/it"], "User": "10001"}
    (data,) = (found[name] for name in listed["Layers"])
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]}


def test_a_layer_has_parents_links_and_folders_owned_by_root(tmp_path, program):
    entries = [Entry("/usr/bin/it", program), Entry("/usr/bin/again", target="it"), Entry("/tmp", mode=0o1777)]
    out = io.BytesIO()
    archive.write_layer(out, entries)
    found = layer(out.getvalue())
    assert list(found) == ["tmp", "usr", "usr/bin", "usr/bin/again", "usr/bin/it"]
    assert found["tmp"].isdir() and found["tmp"].mode == 0o1777
    assert found["usr/bin/again"].issym() and found["usr/bin/again"].linkname == "it"
    assert found["usr/bin/it"].mode == 0o755
    assert {(member.uid, member.gid, member.mtime) for member in found.values()} == {(0, 0, 0)}


def test_a_tree_keeps_its_modes_and_links(tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "secret").write_text("x")
    (root / "etc" / "secret").chmod(0o640)
    (root / "lib").symlink_to("usr/lib")
    out = io.BytesIO()
    archive.write_layer(out, [Entry("/", root), Entry("/etc/more", target="secret")])
    found = layer(out.getvalue())
    assert found["etc/secret"].mode == 0o640
    assert found["lib"].linkname == "usr/lib"
    assert "etc/more" in found


def test_the_same_files_give_the_same_bytes_whenever_they_were_made(tmp_path, program):
    def write(name: str, mtime: int) -> bytes:
        root = tmp_path / name
        root.mkdir()
        for file in ("b", "a") if mtime else ("a", "b"):
            (root / file).write_text(file)
            os.utime(root / file, (mtime, mtime))
        archive.write(tmp_path / f"{name}.tar", [Image("it:1", [[Entry("/data", root)], [Entry("/it", program)]])])
        return (tmp_path / f"{name}.tar").read_bytes()

    assert write("first", 0) == write("second", 1_700_000_000)


def test_images_with_equal_layers_share_them(tmp_path, program):
    def image(ref: str, path: str) -> Image:
        return Image(ref, [[Entry("/base", program)], [Entry(path, program)]], {"Entrypoint": [ref]})

    archive.write(tmp_path / "both.tar", [image("one:1", "/one"), image("two:1", "/two"), image("three:1", "/one")])
    found = contents(tmp_path / "both.tar")
    one, two, three = (item["Layers"] for item in json.loads(found["manifest.json"]))
    assert one[0] == two[0] and one[1] != two[1] and one == three
    assert len([name for name in found if name.endswith(".tar")]) == 3


def test_equal_bytes_from_other_sources_are_stored_once(tmp_path, program):
    copy = tmp_path / "copy"
    copy.write_bytes(program.read_bytes())
    copy.chmod(0o755)
    images = [Image("one:1", [[Entry("/it", program)]]), Image("two:1", [[Entry("/it", copy)]])]
    places = archive.write(tmp_path / "both.tar", images)
    with tarfile.open(tmp_path / "both.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert set(places) == {program}


def test_an_archive_cut_around_a_file_is_whole_when_joined(tmp_path, program):
    path, head, tail = (tmp_path / name for name in ("images.tar", "head", "tail"))
    places = archive.write(path, [Image("it:1", [[Entry("/tmp", mode=0o1777)], [Entry("/bin/it", program)]])])
    whole = path.read_bytes()
    archive.cut(path, places[program], head, tail)
    assert head.read_bytes() + program.read_bytes() + tail.read_bytes() == whole
    assert not path.exists()


def test_nothing_can_lie_below_a_link(tmp_path, program):
    entries = [Entry("/bin", target="usr/bin"), Entry("/bin/it", program)]
    with pytest.raises(AirgapError, match="where /bin is not a folder"):
        archive.write_layer(io.BytesIO(), entries)


def test_what_python_compiled_in_the_cache_is_not_in_the_image(tmp_path):
    tree = tmp_path / "site"
    (tree / "thing/__pycache__").mkdir(parents=True)
    (tree / "thing/__init__.py").touch()
    (tree / "thing/__pycache__/__init__.cpython-313.pyc").write_bytes(b"compiled here")
    out = io.BytesIO()
    archive.write_layer(out, [Entry("/app", tree)])
    assert sorted(layer(out.getvalue())) == ["app", "app/thing", "app/thing/__init__.py"]
