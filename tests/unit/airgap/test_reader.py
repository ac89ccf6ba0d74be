"""Archives of all formats that image tools write; what is wrong with one is said in one message."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile

import archives
import pytest
from archives import REF, Layout, named, platform, tar, write

from airgap import archive, reader
from airgap.errors import AirgapError

PROGRAM = b"\x7fELF tempo"
LAYERS = [tar(("etc", "/"), ("etc/passwd", b"nobody")), tar(("tempo", PROGRAM))]

FORMATS = {
    "docker": archives.docker(LAYERS, [REF]),
    "docker, short name": archives.docker(LAYERS, ["grafana/tempo:2.10.8"]),
    "docker 25": archives.docker_25(LAYERS, REF),
    "oci": archives.oci(LAYERS, REF),
    "oci, short name": archives.oci(LAYERS, "grafana/tempo:2.10.8"),
    "oci, containerd's name": archives.oci(LAYERS, REF, "io.containerd.image.name"),
    "oci, packed with tar": archives.oci(LAYERS, REF, folder="./"),
    "oci, several platforms": archives.oci_platforms(LAYERS, REF),
}
COMPRESSIONS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("data", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_every_format_gives_the_same_image(tmp_path, data, compress):
    [image] = reader.read(write(tmp_path / "a.tar", compress(data)), "amd64")
    assert image.refs == (REF,)
    assert image.digest == archives.sha(archives.config(LAYERS))
    assert (image.architecture, image.entrypoint, image.user) == ("amd64", ["/tempo"], "10001:10001")
    copy = tmp_path / "copy.tar"
    reader.copy(image, REF, copy)
    reader.extract(image, "/tempo", tmp_path / "tempo")
    assert (tmp_path / "tempo").read_bytes() == PROGRAM
    assert (tmp_path / "tempo").stat().st_mode & 0o111
    with tarfile.open(copy) as out:
        [entry] = json.load(out.extractfile("manifest.json"))
        assert entry["RepoTags"] == [REF]
        assert entry["Config"] == f"{image.digest}.json"
        assert out.extractfile(entry["Config"]).read() == image.config
        assert [out.extractfile(name).read() for name in entry["Layers"]] == LAYERS


def test_what_airgap_writes_is_read_and_its_copy_has_the_same_bytes(tmp_path):
    (tmp_path / "tempo").write_bytes(PROGRAM)
    entries = [[archive.Entry("/tmp", mode=0o1777)], [archive.Entry("/tempo", source=tmp_path / "tempo")]]
    written = tmp_path / "a.tar"
    archive.write(written, [archive.Image(REF, entries, {"Entrypoint": ["/tempo"]})])
    [image] = reader.read(written, "amd64")
    reader.copy(image, REF, tmp_path / "copy.tar")
    assert (tmp_path / "copy.tar").read_bytes() == written.read_bytes()


def test_several_images_and_a_layer_that_is_a_link(tmp_path):
    shared, body = LAYERS[0], archives.config([LAYERS[0]])
    entries = [
        {"Config": "c.json", "RepoTags": ["one:1", "two:2"], "Layers": ["a/layer.tar"]},
        {"Config": "c.json", "RepoTags": ["quay.io/three:3"], "Layers": ["b/layer.tar"]},
        {"Config": "c.json", "RepoTags": None, "Layers": ["b/layer.tar"]},
    ]
    data = tar(
        ("a/layer.tar", shared),
        ("b/layer.tar", "-> ../a/layer.tar"),
        ("c.json", body),
        ("manifest.json", json.dumps(entries).encode()),
    )
    images = reader.read(write(tmp_path / "a.tar", data), "amd64")
    assert [image.refs for image in images] == [
        ("docker.io/library/one:1", "docker.io/library/two:2"),
        ("quay.io/three:3",),
    ]
    reader.extract(images[1], "etc/passwd", tmp_path / "passwd")
    assert (tmp_path / "passwd").read_bytes() == b"nobody"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("tempo", "docker.io/library/tempo:latest"),
        ("docker.io/tempo:1", "docker.io/library/tempo:1"),
        ("index.docker.io/grafana/tempo:1", "docker.io/grafana/tempo:1"),
        ("localhost/tempo:1", "localhost/tempo:1"),
        ("mirror:5000/grafana/tempo", "mirror:5000/grafana/tempo:latest"),
        ("grafana/tempo:1@sha256:00", "docker.io/grafana/tempo:1"),
        ("grafana/tempo@sha256:00", None),
    ],
)
def test_names_are_completed_as_containerd_completes_them(name, full):
    assert reader.normalized(name) == full


def lacking(data: bytes, name: str) -> bytes:
    """An archive without one of its members, found by the end of its name."""
    with tarfile.open(fileobj=archives.io.BytesIO(data)) as source:
        members = [(m.name, source.extractfile(m).read()) for m in source if m.isfile()]
    assert any(member.endswith(name) for member, _content in members)
    return tar(*[(member, content) for member, content in members if not member.endswith(name)])


CONFIG = archives.sha(archives.config(LAYERS))
LAYER = archives.sha(LAYERS[1])
OCI = Layout()
ONE = OCI.image(LAYERS)
ONES_BLOB = ONE["digest"].removeprefix("sha256:")
BAD = {
    "no tar": (b"hello", "is not an image archive: it is not a tar"),
    "empty": (b"", "is not an image archive: it is not a tar"),
    "another tar": (tar(("x", b"{}")), "is not an image archive: it has neither manifest.json"),
    "cut off": (archives.docker(LAYERS, [REF])[:-9000], "is truncated or damaged (unexpected end of data)"),
    "cut off, gzip": (
        gzip.compress(archives.docker(LAYERS, [REF]))[:300],
        "is truncated or damaged (Compressed file ended",
    ),
    "no config": (lacking(archives.docker(LAYERS, [REF]), f"{CONFIG}.json"), f"it lacks {CONFIG}.json"),
    "no config, oci": (lacking(archives.oci(LAYERS, REF), CONFIG), f"it lacks blobs/sha256/{CONFIG}"),
    "no layer": (lacking(archives.docker(LAYERS, [REF]), f"{LAYER}/layer.tar"), f"it lacks {LAYER}/layer.tar"),
    "no manifest": (
        lacking(archives.oci(LAYERS, REF), ONE["digest"][7:]),
        f"it lacks blobs/sha256/{ONES_BLOB}",
    ),
    "our platform left out": (
        tar(*Layout().members(named(platform(ONE, "amd64"), REF))),
        f"it lacks blobs/sha256/{ONES_BLOB}",
    ),
    "other architecture": (
        archives.docker(LAYERS, [REF], "arm64"),
        f"holds {REF} for linux/arm64; this machine needs linux/amd64: pull and save it again",
    ),
    "other architecture left out": (
        tar(*Layout().members(named(platform(ONE, "arm64"), REF))),
        f"holds {REF} for linux/arm64; this machine needs linux/amd64",
    ),
    "no name": (archives.docker(LAYERS, None), "does not say which image it holds; save it by name"),
    "only a tag": (archives.oci(LAYERS, "2.10.8"), "does not say which image it holds; save it by name"),
    "no image": (tar(("manifest.json", b"[]")), "holds no image; this machine needs linux/amd64"),
    "no json": (tar(("manifest.json", b"[{]")), "manifest.json is not JSON"),
    "other json": (tar(("manifest.json", b"{}")), "manifest.json is not what its name says"),
    "other entries": (tar(("manifest.json", b'["x"]')), "its manifest or index is malformed"),
    "a chart": (
        tar(*Layout().members(named({"digest": "sha256:aa"}, REF)), ("blobs/sha256/aa", b'{"schemaVersion": 2}')),
        "blobs/sha256/aa is not an image manifest",
    ),
    "no rootfs": (
        tar(("manifest.json", b'[{"Config": "c", "RepoTags": ["x:1"], "Layers": []}]'), ("c", b"{}")),
        "has no image: c is not an image config",
    ),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_a_bad_archive_is_named_with_what_is_wrong(tmp_path, data, message):
    path = write(tmp_path / "bad.tar", data)
    with pytest.raises(AirgapError) as caught:
        reader.read(path, "amd64")
    assert str(caught.value).startswith(f"{path} ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (PROGRAM, PROGRAM[::-1], "is not the sha256:"),
        (LAYERS[1][:512], b"\x28\xb5\x2f\xfd" + LAYERS[1][4:512], "compressed with zstd, which is not read here"),
    ],
)
def test_a_damaged_layer_is_found_while_it_is_copied(tmp_path, old, new, message):
    data = archives.docker(LAYERS, [REF])
    assert data.count(old) == 1
    [image] = reader.read(write(tmp_path / "a.tar", data.replace(old, new)), "amd64")
    with pytest.raises(AirgapError, match=message):
        reader.copy(image, REF, tmp_path / "copy.tar")


def test_layers_that_config_and_manifest_count_differently(tmp_path):
    data = archives.docker(LAYERS, [REF]).replace(f', "{LAYER}/layer.tar"'.encode(), b"".ljust(len(LAYER) + 14))
    with pytest.raises(AirgapError, match="differ in the number of layers"):
        reader.read(write(tmp_path / "a.tar", data), "amd64")


@pytest.mark.parametrize(
    ("layers", "content"),
    [
        ([[("tempo", b"old")], [("tempo", b"new")]], b"new"),
        ([[("tempo", b"old")], [("./tempo", b"new"), (".wh.other", b"")]], b"new"),
        ([[("bin/t", b"x")], [("tempo", "-> bin/t")]], b"x"),
        ([[("bin/t", b"x")], [("sbin", "-> /bin"), ("tempo", "-> sbin/t")]], b"x"),
        ([[("bin/t", b"x"), ("tempo", "=> bin/t")]], b"x"),
        ([[("tempo", b"old")], [(".wh..wh..opq", b""), ("tempo", b"new")]], b"new"),
        ([[("tempo", b"old")], [(".wh.tempo", b"")], [("tempo", b"again")]], b"again"),
        ([[("tempo", b"old")], [(".wh.tempo", b"")]], None),
        ([[("tempo", b"old")], [(".wh..wh..opq", b"")]], None),
        ([[("tempo", "-> bin/t"), ("bin/t", b"x")], [("bin/.wh.t", b"")]], None),
        ([[("tempo", "-> bin/t"), ("bin/t", b"x")], [(".wh.bin", b"")]], None),
        ([[("tempo", "-> bin/t"), ("bin/t", b"x")], [("bin/.wh..wh..opq", b"")]], None),
        ([[("tempo", "-> bin/t"), ("bin/t", b"x")], [("bin", b"a file")]], None),
        ([[("tempo", b"old")], [("tempo", "/")]], None),
        ([[("tempo", "-> tempo")]], None),
        ([[("other", b"x")]], None),
    ],
)
def test_a_file_is_taken_as_a_container_sees_it(tmp_path, layers, content):
    data = archives.docker([tar(*entries) for entries in layers], [REF])
    [image] = reader.read(write(tmp_path / "a.tar", data), "amd64")
    target = tmp_path / "out"
    if content is None:
        with pytest.raises(AirgapError, match="has no file /tempo; is it the publisher's own image"):
            reader.extract(image, "/tempo", target)
    else:
        reader.extract(image, "/tempo", target)
        assert target.read_bytes() == content
