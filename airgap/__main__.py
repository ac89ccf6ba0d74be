"""python -m airgap: builds every image and tool from package registries."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from . import cache, images, spec
from .builder import Build, default_jobs, megabytes
from .errors import AirgapError
from .export import export
from .spec import Artifact


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="airgap", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what is not in the cache yet")
    build.add_argument("names", nargs="*", metavar="NAME", help="names or image refs (default: all)")
    build.add_argument("--output", type=Path, metavar="DIR", help="also collect images and tools in this folder")
    build.add_argument("--jobs", type=int, default=default_jobs(), help="builds at once (default: %(default)s)")
    commands.add_parser("list", help="what there is, whether it is in the cache, and under which licence")
    path = commands.add_parser("path", help="print where a built artefact lies")
    path.add_argument("name", metavar="NAME")
    go = commands.add_parser("go", help="run the pinned Go in a folder of airgap/go, to change its go.mod")
    go.add_argument("folder", metavar="FOLDER")
    go.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT")
    maven = commands.add_parser("maven", help=f"write the {spec.JARS} of a folder anew, from its {spec.POM}")
    maven.add_argument("folder", type=Path, metavar="FOLDER")
    return parser.parse_args(argv)


def find(artifacts: dict[str, Artifact], name: str) -> str:
    """An artefact by its name or, for an image, by its ref."""
    if name in artifacts:
        return name
    for artifact in artifacts.values():
        if name == artifact.ref:
            return artifact.name
    raise AirgapError(f"{name}: there is no such artefact; `python -m airgap list` lists all")


def build(artifacts: dict[str, Artifact], store: cache.Store, arguments: argparse.Namespace) -> int:
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        raise AirgapError(f"this is {platform.system()} on {platform.machine()}; images are built on Linux x86_64 only")
    if arguments.jobs < 1:
        raise AirgapError(f"--jobs {arguments.jobs}: at least one build has to run")
    os.umask(0o022)  # packages keep their modes, whatever this user's habit is
    begun = time.monotonic()
    wanted = [find(artifacts, name) for name in arguments.names]
    wanted = wanted or [name for name, artifact in artifacts.items() if artifact.default and artifact.delivered]
    failed = Build(artifacts, store, arguments.jobs).run(wanted)
    if failed:
        print(f"airgap: {len(failed)} not built: {', '.join(failed)}; what was built is kept", file=sys.stderr)
        return 1
    if arguments.output:
        listed = export(wanted, artifacts, images.load(artifacts), store, arguments.output)
        print(f"airgap  {len(listed)} files, {megabytes(sum(item['size'] for item in listed))}, in {arguments.output}")
    print(f"airgap  {len(wanted)} artefacts ready after {time.monotonic() - begun:.0f} s")
    return 0


def show(artifacts: dict[str, Artifact], store: cache.Store) -> int:
    for name, artifact in artifacts.items():
        state = megabytes(store.meta(name)["size"]) if store.cached(name) else "-"
        handed_out = artifact.ref or artifact.delivered or ""
        print(f"{name:32}{artifact.version:12}{state:>9}  {handed_out:64}{spec.license_of(name, artifacts)}")
    print("\nImages that roles and the local cluster run, and the origins that are tried for them:")
    for image in images.load(artifacts).values():
        print(f"{image.name:32}{', '.join(image.origins):23}{image.ref:64}{image.license}")
    return 0


def path(artifacts: dict[str, Artifact], store: cache.Store, name: str) -> int:
    name = find(artifacts, name)
    if not store.cached(name):
        raise AirgapError(f"{name} is not built; run `python -m airgap build {name}`")
    print(store.folder(name) / artifacts[name].output)
    return 0


def go(store: cache.Store, folder: str, arguments: list[str]) -> int:
    from .recipes import go_environment

    if not store.cached(spec.TOOLCHAIN):
        raise AirgapError(f"the Go toolchain is not built; run `python -m airgap build {spec.TOOLCHAIN}`")
    os.chdir(spec.HERE / "go" / folder)
    # this is for changing go.mod, which the builds themselves never do
    environment = {**go_environment(store), "GOFLAGS": "-mod=mod -modcacherw"}
    os.execvpe("go", ["go", *arguments], environment)


def maven(store: cache.Store, folder: Path) -> int:
    from . import maven as jars

    for needed in (spec.JRE, spec.MAVEN):
        if not store.cached(needed):
            raise AirgapError(f"{needed} is not built; run `python -m airgap build {spec.JRE} {spec.MAVEN}`")
    folder = folder.resolve()
    with tempfile.TemporaryDirectory(dir=store.root) as work:
        count = jars.lock(folder, Path(work), store, store.root / "_logs" / "maven-lock.log")
    print(f"airgap  {count} jars pinned in {folder / spec.JARS}")
    return 0


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, interrupt)
    try:
        arguments = parse(argv)
        artifacts = spec.load()
        store = cache.Store(cache.default_root(), cache.digests(artifacts))
        if arguments.command == "build":
            return build(artifacts, store, arguments)
        if arguments.command == "path":
            return path(artifacts, store, arguments.name)
        if arguments.command == "go":
            return go(store, arguments.folder, arguments.arguments)
        if arguments.command == "maven":
            return maven(store, arguments.folder)
        return show(artifacts, store)
    except AirgapError as error:
        print(f"airgap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("airgap: interrupted; what was built is kept, and the next run goes on from there", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
