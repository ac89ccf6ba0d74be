"""Images of `make up`: chosen, printed and checked before anything is built."""

from __future__ import annotations

import email.message
import json
import platform
import tarfile
import urllib.error

import archives
import pytest
from archives import tar, write

from airgap import cache, images, spec
from airgap.errors import AirgapError
from tools import images as local_images
from tools import local
from tools.steps import Failed

ARTIFACTS = spec.load()
TABLE = images.load(ARTIFACTS)
LAYERS = [tar(("tempo", b"program"))]
TEMPO = TABLE["tempo"].ref
DEMO = ["kafka", "postgresql", "shop-pricing", "shop-python", "shop-storefront"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of images, on a machine that reaches no registry."""
    monkeypatch.setenv("ORION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ORION_IMAGE_DIR", str(tmp_path / "images"))
    monkeypatch.delenv("ORION_IMAGES", raising=False)
    monkeypatch.delenv("ORION_IMAGE_REGISTRY", raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(local_images, "registry_answers", lambda host: False)
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def test_without_tempos_image_the_other_store_is_used_and_a_message_says_so(folder, capsys):
    found = local_images.find(ARTIFACTS, everything=False)
    assert {source.origin for source in found.values()} == {"build"}
    assert "jaeger" in found and "tempo" not in found
    printed = capsys.readouterr().out
    assert f"no origin has {TEMPO} (searched: pull, archive, build; archives in {folder})" in printed
    assert "The proof then does not cover TraceQL and blocks" in printed


@pytest.mark.parametrize("everything", [False, True])
def test_with_tempos_image_the_other_store_is_for_the_tests_alone(folder, capsys, everything):
    file = write(folder / "any name", archives.oci(LAYERS, TEMPO))
    found = local_images.find(ARTIFACTS, everything)
    assert (found["tempo"].origin, found["tempo"].tag) == ("archive", TABLE["tempo"].tag)
    assert ("jaeger" in found) == everything
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tempo", TABLE["tempo"].tag, "archive", *str(file).split()] in lines
    assert ["node", "v" + ARTIFACTS["node"].version + "-orion", "build", "packages"] in lines
    left_out = [line[3].removesuffix(":") for line in lines if line[-3:] == ["is", "left", "out"]]
    expected = ["grafana", "agent-dotnet"] if not everything else ["tempo-3", "memcached", "grafana", "agent-dotnet"]
    assert left_out == [TABLE[name].ref for name in expected]
    assert len(lines) == len(found) + len(expected)


def test_an_archive_of_another_version_is_used_and_named_as_such(folder, capsys):
    write(folder / "a.tar", archives.docker(LAYERS, ["grafana/tempo:2.9.1"]))
    assert local_images.find(ARTIFACTS, everything=False)["tempo"].tag == "2.9.1"
    assert f"it holds 2.9.1, the inventory asks for {TABLE['tempo'].tag}: 2.9.1 is used" in capsys.readouterr().out


TEMPO_3 = TABLE["tempo-3"].ref


def test_tempo_3_is_for_the_tests_alone(folder, prepared, capsys):
    write(folder / "a.tar", archives.docker(LAYERS, [TEMPO]))
    file = write(folder / "b.tar", archives.docker(LAYERS, [TEMPO_3]))
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert written["images"]["tempo"]["ref"] == TEMPO and "tempo-3" not in written["images"]
    assert not [path for path in written["archives"] if "/carried/tempo-3/" in path]
    assert str(file) not in capsys.readouterr().out
    local.prepare(everything=True)
    written = json.loads(local.LOCAL.read_text())
    assert written["images"]["tempo"]["ref"] == TEMPO and written["images"]["tempo-3"]["ref"] == TEMPO_3
    [copy] = [path for path in written["archives"] if "/carried/tempo-3/" in path]
    with tarfile.open(copy) as out:
        assert json.load(out.extractfile("manifest.json"))[0]["RepoTags"] == [TEMPO_3]


def test_tempo_3_is_not_installed_for_an_inventory_that_asks_for_2(folder, capsys):
    file = write(folder / "b.tar", archives.docker(LAYERS, [TEMPO_3]))
    found = local_images.find(ARTIFACTS, everything=True)
    assert found["tempo-3"].tag == TABLE["tempo-3"].tag and "tempo" not in found and "jaeger" in found
    line = f"{file} holds {TEMPO_3}, another major version than {TEMPO}: it is not used as tempo"
    assert line in capsys.readouterr().out
    assert "tempo" not in local_images.find(ARTIFACTS, everything=False)
    assert line in capsys.readouterr().out


def test_grafana_is_run_where_its_image_is_at_hand(folder, prepared):
    local.prepare()
    assert "grafana" not in json.loads(local.LOCAL.read_text())["images"]
    write(folder / "grafana.tar", archives.docker(LAYERS, ["grafana/grafana:12.4.1"]))
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert written["images"]["grafana"]["tag"] == "12.4.1"
    assert [path for path in written["archives"] if "/carried/grafana/" in path]


def test_an_archive_that_nothing_uses_is_named(folder, capsys):
    file = write(folder / "shop.tar", archives.docker(LAYERS, ["quay.io/acme/shop:1"]))
    local_images.find(ARTIFACTS, everything=False)
    assert f"{file} is ignored: nothing here uses quay.io/acme/shop:1" in capsys.readouterr().out


def test_where_a_registry_answers_all_is_pulled_and_no_archive_read(folder, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(local_images, "registry_answers", lambda host: asked.append(host) or True)
    write(folder / "bad.tar", b"hello")
    found = local_images.find(ARTIFACTS, everything=False)
    assert {source.origin for source in found.values() if not source.image.demo} == {"pull"}
    assert {source.origin for source in found.values() if source.image.demo} == {"build"}
    assert sorted(asked) == ["docker.io", "ghcr.io"]
    assert "tempo           2.10.8            pull     docker.io/grafana/tempo\n" in capsys.readouterr().out


def test_one_origin_can_be_asked_for(folder, monkeypatch):
    write(folder / "a.tar", archives.docker(LAYERS, [TEMPO]))
    monkeypatch.setenv("ORION_IMAGES", "build")
    assert "tempo" not in local_images.find(ARTIFACTS, everything=True)
    monkeypatch.setenv("ORION_IMAGES", "pull")
    assert {source.origin for source in local_images.find(ARTIFACTS, everything=True).values()} == {"pull"}
    monkeypatch.setenv("ORION_IMAGES", "archive")
    with pytest.raises(Failed) as caught:
        local_images.find(ARTIFACTS, everything=False)
    message = str(caught.value)
    for name in ("node", "collector", "seaweedfs", "prometheus"):
        assert f"{TABLE[name].ref}: docker pull" in message
    assert "tempo" not in message and "jaeger" not in message
    (folder / "a.tar").unlink()
    with pytest.raises(Failed, match=rf"{TEMPO}: docker pull --platform linux/amd64 {TEMPO} && docker save --output"):
        local_images.find(ARTIFACTS, everything=False)
    monkeypatch.setenv("ORION_IMAGES", "pulled")
    with pytest.raises(Failed, match="ORION_IMAGES is 'pulled': write auto, pull, archive or build"):
        local_images.find(ARTIFACTS, everything=False)


@pytest.mark.parametrize(("code", "answers"), [(401, True), (404, False), (503, False)])
def test_a_registry_answers_with_a_request_for_credentials(monkeypatch, code, answers):
    def refuse(url, timeout):
        assert url == "https://registry-1.docker.io/v2/"
        raise urllib.error.HTTPError(url, code, "", email.message.Message(), None)

    monkeypatch.setattr(local_images.urllib.request, "urlopen", refuse)
    assert local_images.registry_answers("docker.io") == answers


@pytest.fixture
def prepared(folder, monkeypatch, tmp_path):
    """prepare() with programs on PATH and with builds that only name what they would build."""
    built: list[str] = []
    monkeypatch.setattr(local, "STATE", tmp_path / "state")
    monkeypatch.setattr(local, "LOCAL", tmp_path / "state/local.json")
    monkeypatch.setattr(local, "on_path", lambda tool: f"/bin/{tool}")
    monkeypatch.setattr(local, "run", lambda *argv: built.extend(argv[4:]))
    return built


def test_what_was_found_is_written_down(folder, prepared):
    write(folder / "a.tar", archives.docker_25(LAYERS, TEMPO))
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    store = cache.Store(cache.default_root(), cache.digests(ARTIFACTS))
    agents = ["autoinstrumentation-java", "autoinstrumentation-nodejs", "autoinstrumentation-python"]
    assert prepared == [
        "node",
        "otelcol-image",
        "seaweedfs-image",
        "prometheus-image",
        "victorialogs-image",
        *agents,
        "shop-images",
    ]
    assert written["images"]["tempo"] == {"ref": TEMPO, "tag": TABLE["tempo"].tag, "origin": "archive"}
    assert written["images"]["collector"]["tag"] == "0.158.0-orion"
    assert written["images"]["agent-python"]["tag"] == ARTIFACTS["agent-python"].version + "-orion"
    assert sorted(written["images"]) == sorted(
        [
            "agent-java",
            "agent-nodejs",
            "agent-python",
            "collector",
            "prometheus",
            "seaweedfs",
            "tempo",
            "victorialogs",
            *DEMO,
        ]
    )
    [copy] = [path for path in written["archives"] if "/carried/tempo/" in path]
    assert str(store.folder("otelcol-image") / "otelcol-image.tar") in written["archives"]
    assert len(written["archives"]) == 8
    assert written["demo_archives"] == [str(store.folder("shop-images") / "shop-images.tar")]
    assert written["demo"] is True
    with tarfile.open(copy) as out:
        assert json.load(out.extractfile("manifest.json"))[0]["RepoTags"] == [TEMPO]
    assert written["node_image"] == TABLE["node"].built_ref
    assert written["node_archive"] == str(store.folder("node") / "node.tar")
    assert (written["kind"], written["helm"]) == ("/bin/kind", "/bin/helm")


def test_a_node_may_come_from_an_archive_too(folder, prepared):
    write(folder / "node.tar.gz", archives.gzip.compress(archives.docker(LAYERS, ["kindest/node:v1.35.0"])))
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert "node" not in prepared
    assert written["node_image"] == "docker.io/kindest/node:v1.35.0"
    assert "/carried/node/" in written["node_archive"] and written["node_archive"] not in written["archives"]


def test_what_is_pulled_needs_no_archive(folder, prepared, monkeypatch):
    monkeypatch.setenv("ORION_IMAGES", "pull")
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert prepared == [] and written["archives"] == [] and "node_image" not in written
    assert {name: image["ref"] for name, image in written["images"].items()} == {
        name: image.ref
        for name, image in TABLE.items()
        if name not in ("node", "jaeger", "tempo-3", "memcached", *DEMO)
    }
    assert written["demo"] is False and written["demo_archives"] == []


def test_a_mirror_serves_all_but_the_node(folder, prepared, monkeypatch, capsys):
    monkeypatch.setenv("ORION_IMAGE_REGISTRY", "mirror.test/hub/")
    monkeypatch.setattr(local_images, "registry_answers", lambda host: host == "mirror.test")
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert written["registry"] == "mirror.test/hub"
    assert written["images"]["tempo"]["ref"] == "mirror.test/hub/grafana/tempo:2.10.8"
    assert prepared == ["node"] and written["archives"] == []
    printed = capsys.readouterr().out
    assert "tempo           2.10.8            pull     mirror.test/hub/grafana/tempo\n" in printed
    assert written["demo"] is False
    assert "left out: its images are not published, and all others are pulled from mirror.test/hub\n" in printed
    monkeypatch.setattr(local_images, "registry_answers", lambda host: False)
    local.prepare()
    assert json.loads(local.LOCAL.read_text())["registry"] == ""


def test_the_example_system_can_be_left_out(folder, prepared, monkeypatch):
    monkeypatch.setenv("ORION_DEMO", "false")
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert "shop-images" not in prepared and not set(DEMO) & set(written["images"])
    assert written["demo"] is False and written["demo_archives"] == []
    monkeypatch.setenv("ORION_DEMO", "no")
    with pytest.raises(Failed, match="ORION_DEMO is 'no': write true, which is the default, or false"):
        local.prepare()


def test_a_machine_that_cannot_build_has_no_example_system(folder, monkeypatch, capsys):
    monkeypatch.setattr(local_images, "registry_answers", lambda host: True)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not set(DEMO) & set(local_images.find(ARTIFACTS, everything=False))
    assert "the example system is left out: images are built on Linux x86-64 only" in capsys.readouterr().out


def test_the_example_system_may_come_from_archives(folder, prepared):
    for name in DEMO:
        write(folder / name, archives.docker(LAYERS, [TABLE[name].ref]))
    local.prepare()
    written = json.loads(local.LOCAL.read_text())
    assert "shop-images" not in prepared
    assert {written["images"][name]["origin"] for name in DEMO} == {"archive"}
    assert len(written["demo_archives"]) == len(DEMO)


def test_a_mirror_is_named_as_in_an_images_name(folder, monkeypatch):
    monkeypatch.setenv("ORION_IMAGE_REGISTRY", "https://mirror.test")
    with pytest.raises(Failed, match="ORION_IMAGE_REGISTRY is 'https://mirror.test': write host and path"):
        local_images.find(ARTIFACTS, everything=False)


def test_a_bad_archive_ends_it_before_anything_is_built_or_written(folder, prepared):
    write(folder / "whole.tar", archives.docker(LAYERS, [TEMPO]).replace(b"program", b"damaged"))
    with pytest.raises(AirgapError, match="whole.tar is truncated or damaged"):
        local.prepare()
    assert prepared == [] and not local.LOCAL.exists()
    assert not list((folder.parent / "cache").rglob("image.tar"))


def test_tests_get_tempos_program_only_where_its_image_is_at_hand(folder, prepared, monkeypatch):
    monkeypatch.delenv("ORION_TEMPO_3", raising=False)
    tools = local.tool_environment(local.prepare(everything=True))
    assert "ORION_TEMPO" not in tools and "ORION_TEMPO_3" not in tools
    assert tools["ORION_JAEGER"].endswith("/jaeger")
    assert tools["ORION_VICTORIALOGS"].endswith("/victorialogs")
    write(folder / "a.tar", archives.docker(LAYERS, [TEMPO]))
    tools = local.tool_environment(local.prepare(everything=True))
    with open(tools["ORION_TEMPO"], "rb") as program:
        assert program.read() == b"program"
    assert "ORION_TEMPO_3" not in tools
    write(folder / "b.tar", archives.docker([tar(("tempo", b"another"))], [TEMPO_3]))
    for found in (local.prepare(everything=True), local.test_tools()):
        both = local.tool_environment(found)
        assert both["ORION_TEMPO"] == tools["ORION_TEMPO"]
        with open(both["ORION_TEMPO_3"], "rb") as program:
            assert program.read() == b"another"
    monkeypatch.setenv("ORION_TEMPO_3", "/opt/tempo")
    assert local.tool_environment(local.test_tools())["ORION_TEMPO_3"] == "/opt/tempo"


ENGINE = """\
#!/bin/sh
echo "$*" >>{log}
case $1 in
  save) cp {archive} "$3" ;;
  pull) [ "$3" = {ref} ] || {{ echo "manifest unknown" >&2; exit 1; }} ;;
esac
"""


def test_the_program_of_a_pulled_image_is_fetched_by_the_engine(folder, monkeypatch, tmp_path, capsys):
    source = images.Source(TABLE["tempo"], "pull", TEMPO)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local_images.program(source) is None
    assert f"there is no container engine here to pull {TEMPO}" in capsys.readouterr().out
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    saved = write(tmp_path / "saved.tar", archives.docker_25(LAYERS, TEMPO))
    script = ENGINE.format(log=tmp_path / "log", archive=saved, ref=TEMPO)
    write(tmp_path / "docker", script.encode()).chmod(0o755)
    assert local_images.program(source).read_bytes() == b"program"
    assert [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()] == ["info", "pull", "save"]
    with pytest.raises(Failed, match="'docker pull --quiet x:1' failed: manifest unknown"):
        local_images.program(images.Source(TABLE["tempo"], "pull", "x:1"))
    assert local_images.program(images.Source(TABLE["tempo-3"], "pull", "x:1")) is None
    assert "failed: manifest unknown: the tests with this program are not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "address", "command"),
    [
        (
            {"tempo": {}},
            "Tempo answers queries at:  http://tempo-query-frontend.tracing.svc:3200",
            "/api/v1/namespaces/tracing/services/http:tempo-query-frontend:3200/proxy/api/traces/ab12",
        ),
        (
            {"jaeger": {}, "victorialogs": {}},
            "Jaeger answers queries at: http://jaeger.local-backends.svc:16686",
            "/api/v1/namespaces/local-backends/services/http:jaeger:16686/proxy/api/v3/traces/ab12",
        ),
    ],
)
def test_the_summary_names_the_store_that_is_there(tmp_path, monkeypatch, capsys, written, address, command):
    monkeypatch.setattr(
        local, "LOCAL", write(tmp_path / "local.json", json.dumps({"images": written, "demo": False}).encode())
    )
    write(tmp_path / "cluster.json", b'{"ports": {"30333": 40001}}')
    proof = {"first_trace_seconds": 4.6, "checks": [], "traces": {"error": ["ab12"]}}
    write(tmp_path / "proof.json", json.dumps(proof).encode())
    local.summary(local.Steps(0), tmp_path, 1.0)
    printed = capsys.readouterr().out
    assert address in printed and f"kubectl get --raw {command}\n" in printed
    assert ("victorialogs.local-backends.svc:9428" in printed) == ("victorialogs" in written)
