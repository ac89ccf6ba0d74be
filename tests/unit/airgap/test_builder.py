"""The builder: order, failures, and what it says. Recipes are stand-ins: nothing is downloaded or compiled."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from airgap import __main__ as program
from airgap import builder, process, recipes
from airgap.builder import Build, plan
from airgap.errors import AirgapError
from airgap.export import export
from airgap.images import Image

CLOSED = Image("closed", "quay.io/acme/closed", "7", "AGPL-3.0-only")


@pytest.fixture
def recipe(monkeypatch):
    """Makes every artefact an empty file, except those in `broken`."""
    made: list[str] = []
    broken: set[str] = set()

    def make(artifact, store, work: Path) -> list[str]:
        if artifact.name in broken:
            raise AirgapError("the mirror is away; try again")
        made.append(artifact.name)
        if artifact.output != ".":
            (work / artifact.output).write_text(artifact.name)
        return [f"pkg:generic/{artifact.name}"]

    monkeypatch.setattr(builder, "make", make)
    make.made, make.broken = made, broken
    return make


def test_the_plan_puts_every_need_first(artifacts):
    assert plan(artifacts, ["picture", "tool"], lambda name: False) == ["go", "tool", "picture"]


def test_the_plan_leaves_out_what_only_a_cached_artefact_needs(artifacts):
    assert plan(artifacts, ["picture"], lambda name: name == "tool") == ["picture"]
    assert plan(artifacts, ["picture"], lambda name: name == "picture") == ["picture"]
    assert plan(artifacts, ["picture", "tool"], lambda name: name == "tool") == ["picture", "tool"]


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_build_makes_each_artefact_once_and_the_next_one_none(artifacts, store, recipe, capsys, jobs):
    assert Build(artifacts, store, jobs).run(["picture", "alias"]) == []
    assert sorted(recipe.made) == ["alias", "go", "picture", "tool"]
    assert recipe.made[:2] == ["go", "tool"]
    assert Build(artifacts, store, jobs).run(["picture", "alias"]) == []
    assert len(recipe.made) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "airgap  [1/4] go 1: building"
    assert lines[1].startswith("airgap  [1/4] go 1: done in 0 s (")
    assert sorted(lines[-2:]) == [
        "airgap  [1/2] picture 1.2.3: cached (0 kB)",
        "airgap  [2/2] alias 1.2.3: cached (0 kB)",
    ]


def test_a_failure_stops_only_what_needs_it(artifacts, store, recipe, capsys):
    recipe.broken.add("tool")
    assert Build(artifacts, store, 2).run(["picture", "extra"]) == ["tool", "picture"]
    assert recipe.made == ["go", "extra"]
    printed = capsys.readouterr()
    assert "picture 1.2.3: not built, since it needs tool" in printed.out
    assert printed.err == "airgap: tool: the mirror is away; try again\n"


def test_sources_are_those_of_everything_inside(artifacts, store, recipe):
    Build(artifacts, store, 1).run(["picture"])
    assert store.meta("picture")["sources"] == ["pkg:generic/go", "pkg:generic/picture", "pkg:generic/tool"]


def test_a_second_builder_finds_what_the_first_one_built_meanwhile(artifacts, store, recipe, monkeypatch):
    said: list[str] = []
    waiting = threading.Event()

    def say(progress, name, text):
        said.append(text)
        waiting.set()

    monkeypatch.setattr(builder.Progress, "say", say)
    other = threading.Thread(target=Build(artifacts, store, 1).run, args=(["go"],))
    with store.locked("go", lambda: None):
        other.start()
        assert waiting.wait(10)
        with store.building("go") as work:
            (work / "artifact.json").write_text('{"size": 0}')
    other.join(10)
    assert recipe.made == []
    assert said == ["waiting for another build of it", "built meanwhile"]


def test_a_heartbeat_names_what_runs_and_for_how_long(artifacts, capsys, monkeypatch):
    progress = builder.Progress(["go"], artifacts)
    progress.heartbeat()
    monkeypatch.setattr(builder.time, "monotonic", lambda: 131.0)
    progress.started["go"] = 100.0
    progress.heartbeat()
    assert capsys.readouterr().out == "airgap  still building go (31 s)\n"


def test_the_exported_folder_lists_and_holds_what_is_handed_out(artifacts, store, recipe, tmp_path):
    Build(artifacts, store, 1).run(["picture", "tool"])
    output = tmp_path / "carry"
    for _again in range(2):
        export(["tool", "picture"], artifacts, {"closed": CLOSED}, store, output)
    listed = json.loads((output / "images.json").read_text())
    assert [(item["kind"], item["ref"], item["file"], item["license"]) for item in listed] == [
        ("tool", None, "tools/tool", "Apache-2.0"),
        ("image", "example.test/picture:1.2.3", "images/picture.tar", "Apache-2.0"),
    ]
    for item in listed:
        assert builder.file_digest(output / item["file"]) == item["sha256"]
        assert f"{item['sha256']}  {item['file']}\n" in (output / "SHA256SUMS").read_text()
    readme = (output / "README.md").read_text()
    assert "| `example.test/picture:1.2.3` | `images/picture.tar` | Apache-2.0 |" in readme
    assert "`quay.io/acme/closed:7` (AGPL-3.0-only)" in readme
    assert "docker save --output closed.tar quay.io/acme/closed:7" in readme


def test_the_list_shows_licences_and_the_origins_of_images(artifacts, store, monkeypatch, capsys):
    monkeypatch.setattr(program.images, "load", lambda artifacts: {"closed": CLOSED})
    assert program.show(artifacts, store) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["picture", "1.2.3", "-", "example.test/picture:1.2.3", "Apache-2.0"] in lines
    assert lines[-1] == ["closed", "pull,", "archive", "quay.io/acme/closed:7", "AGPL-3.0-only"]


def test_a_failed_command_shows_the_end_of_its_log_and_where_all_of_it_is(tmp_path):
    log = tmp_path / "build.log"
    script = "import sys; [print('line', n) for n in range(50)]; sys.exit(3)"
    with pytest.raises(AirgapError) as caught:
        process.run([sys.executable, "-c", script], log)
    lines = str(caught.value).splitlines()
    assert "ended with 3" in lines[0] and str(log) in lines[0]
    assert lines[1:] == [f"line {n}" for n in range(20, 50)]
    assert "line 0" in log.read_text()


def test_a_missing_command_says_so(tmp_path):
    with pytest.raises(AirgapError, match="no-such-command: not found on this machine; install it"):
        process.run(["no-such-command"], tmp_path / "log")


def test_an_image_layer_is_found_in_the_store(artifacts, store, recipe):
    Build(artifacts, store, 1).run(["tool"])
    image = recipes.declared(artifacts["picture"].fields, artifacts["picture"], store)
    assert image.config == {"Entrypoint": ["/bin/tool"], "User": "10001", "Env": ["PATH=/bin"]}
    assert [entry.path for layer in image.layers for entry in layer] == [
        "/etc/passwd",
        "/tmp",
        "/bin/tool",
        "/bin/again",
    ]
    assert image.layers[0][1].mode == 0o1777
    assert image.layers[1][0].source == store.folder("tool") / "tool"
    assert image.layers[1][1].target == "tool"


def test_a_layer_of_a_file_that_is_not_there_names_it(artifacts, store):
    with pytest.raises(AirgapError, match="picture takes 'tool:tool'"):
        recipes.entries("/bin/tool", "tool:tool", artifacts["picture"], store)


def test_go_is_told_where_to_write_and_not_what_to_fetch_from(store, monkeypatch):
    monkeypatch.setenv("GOPROXY", "file:///mirror")
    monkeypatch.setenv("GOEXPERIMENT", "something")
    environment = recipes.go_environment(store)
    assert environment["GOPROXY"] == "file:///mirror"
    assert "GOEXPERIMENT" not in environment
    for variable in ("GOPATH", "GOMODCACHE", "GOCACHE", "XDG_CONFIG_HOME"):
        assert Path(environment[variable]).is_relative_to(store.root)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["path", "nothing"], "nothing: there is no such artefact; `python -m airgap list` lists all"),
        (["path", "kind"], "kind is not built; run `python -m airgap build kind`"),
        (["build", "--jobs", "0"], "--jobs 0: at least one build has to run"),
    ],
)
def test_errors_are_one_line_with_the_way_out(arguments, message, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ORION_CACHE", str(tmp_path))
    monkeypatch.setattr(program.platform, "machine", lambda: "x86_64")
    assert program.main(arguments) == 1
    assert capsys.readouterr().err == f"airgap: {message}\n"


def test_another_architecture_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ORION_CACHE", str(tmp_path))
    monkeypatch.setattr(program.platform, "machine", lambda: "aarch64")
    assert program.main(["build"]) == 1
    assert "images are built on Linux x86_64 only" in capsys.readouterr().err


def test_an_image_is_found_by_its_ref(artifacts):
    assert program.find(artifacts, "example.test/picture:1.2.3") == "picture"


def test_a_folder_of_the_checkout_becomes_files_with_modes_of_their_own(artifacts, store, checkout):
    (checkout / "files/deep").mkdir()
    (checkout / "files/deep/group").touch(0o600)
    found = recipes.entries("/etc", "files", artifacts["picture"], store)
    assert [(entry.path, entry.source) for entry in found] == [
        ("/etc/deep/group", checkout / "files/deep/group"),
        ("/etc/passwd", checkout / "files/passwd"),
    ]
    assert [entry.path for entry in recipes.entries("/etc/passwd", "files/passwd", artifacts["picture"], store)] == [
        "/etc/passwd"
    ]
