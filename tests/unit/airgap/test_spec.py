"""The list of what is built: what it accepts, and that the project's own list tells the truth."""

from __future__ import annotations

import re

import pytest

from airgap import cache, spec
from airgap.errors import AirgapError


def test_needs_come_from_the_layers_and_the_toolchain(artifacts):
    assert artifacts["tool"].needs == ["go"]
    assert artifacts["alias"].needs == ["tool"]
    assert artifacts["picture"].needs == ["tool"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: link", "kind: lnk", "alias: kind 'lnk' is not one of"),
        ("sha256: aa", "sha265: aa", "go (wheel): missing sha256, unknown sha265"),
        ('of: "tool:tool"', 'of: "tol:tool"', "alias needs 'tol', which no entry has as its name"),
        ("tool@v1.2.3", "tool@v1.2.4", "says tool is example.test/tool v1.2.4, its go.mod does not"),
        ("tool@v1.2.3", "tool@v1.2", "says tool is example.test/tool v1.2, its go.mod does not"),
        ("folder: tool\n", "folder: tol\n", "does not exist; write it"),
    ],
)
def test_an_entry_that_cannot_work_is_named_with_the_reason(checkout, old, new, message):
    path = checkout / "images.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(AirgapError, match=re.escape(message)):
        spec.load(path)


def test_every_image_carries_its_version_in_its_tag():
    for artifact in spec.load().values():
        if artifact.ref:
            assert artifact.version in artifact.ref.rsplit(":", 1)[1], artifact.name


def test_the_images_in_the_node_are_what_their_tags_say():
    artifacts = spec.load()
    tags = dict(image["ref"].rsplit(":", 1) for image in artifacts["node-images"].fields["images"])
    for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert tags[f"registry.k8s.io/{component}"] == f"v{artifacts['kube'].version}"
    assert tags["registry.k8s.io/coredns/coredns"] == f"v{artifacts['coredns'].version}"
    assert tags["docker.io/library/busybox"].startswith(artifacts["busybox"].version)
    assert tags["docker.io/rancher/local-path-provisioner"] == f"v{artifacts['local-path-provisioner'].version}"
    etcd = tags["registry.k8s.io/etcd"].removesuffix("-0")
    assert f"go.etcd.io/etcd/server/v3 v{etcd}\n" in (spec.HERE / "go/kube/go.mod").read_text()
    assert (spec.HERE / "node/version").read_text().strip() == f"v{artifacts['kube'].version}"


def test_the_node_uses_images_that_it_has():
    artifacts = spec.load()
    bundled = {image["ref"] for image in artifacts["node-images"].fields["images"]}
    storage = (spec.HERE / "node/default-storage.yaml").read_text()
    named = set(re.findall(r"docker\.io/[\w./-]+:[\w.-]+", storage))
    named |= set(re.findall(r'sandbox_image = "(.+)"', (spec.HERE / "node/containerd.toml").read_text()))
    assert len(named) == 3
    assert named <= bundled


def test_every_image_outside_the_node_runs_as_somebody_else_than_root():
    for artifact in spec.load().values():
        if artifact.kind == "image" and artifact.name != "node":
            assert not artifact.fields["config"]["user"].startswith(("0", "root")), artifact.name


BUNDLE = """
  together: {kind: bundle, images: [picture, {ref: "example.test/other:1", layers: [{/etc: files}], config: {}}]}
"""


def test_a_bundle_holds_the_images_that_it_names(checkout):
    path = checkout / "images.yml"
    path.write_text(path.read_text() + BUNDLE)
    artifacts = spec.load(path)
    assert [image["ref"] for image in artifacts["together"].fields["images"]] == [
        "example.test/picture:1.2.3",
        "example.test/other:1",
    ]
    assert artifacts["together"].needs == ["tool"]
    assert (artifacts["together"].delivered, artifacts["together"].output) == ("image", "together.tar")
    assert spec.archive_of("picture", artifacts) == "together"
    path.write_text(path.read_text().replace("images: [picture", "images: [alias"))
    with pytest.raises(AirgapError, match="together: images: 'alias' is not an entry of kind image"):
        spec.load(path)


def test_a_folder_of_the_checkout_is_all_its_files(checkout):
    path = checkout / "images.yml"
    path.write_text(path.read_text() + BUNDLE)
    (checkout / "files/deep/__pycache__").mkdir(parents=True)
    (checkout / "files/deep/group").write_text("root:x:0:\n")
    (checkout / "files/deep/__pycache__/group.pyc").touch()
    artifact = spec.load(path)["together"]
    assert artifact.local_files == [checkout / "files/deep/group", checkout / "files/passwd", checkout / "files/passwd"]
    before = cache.digests(spec.load(path))
    (checkout / "files/deep/group").write_text("root:x:0:\nusers:x:100:\n")
    changed = {name for name, digest in cache.digests(spec.load(path)).items() if digest != before[name]}
    assert changed == {"together"}
