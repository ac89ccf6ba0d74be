# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which images the local cluster runs on this machine, and where each one comes from; said before anything is built."""

from __future__ import annotations

import concurrent.futures
import os
import platform
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

from airgap import images, reader
from airgap.images import ARCHIVE, BUILD, ORIGINS, PULL, Image, Source
from airgap.reader import ArchivedImage
from airgap.spec import Artifact
from tools.steps import Failed

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# A mirror's prefix, as tracing_image_registry takes it
MIRROR_VARIABLE = "ORION_IMAGE_REGISTRY"
# false: without the example system
DEMO_VARIABLE = "ORION_DEMO"
# The store that is installed if the image of the first one is not available
STORE, OTHER_STORE = "tempo", "jaeger"
# Images whose programs the tests start, too
PROGRAMS = (STORE, "tempo-3")


def architecture() -> str:
    """This machine's, in Go's words."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def registry_answers(host: str) -> bool:
    """Whether a container registry can be reached; its 401 is an answer."""
    try:
        urllib.request.urlopen(f"https://{'registry-1.docker.io' if host == 'docker.io' else host}/v2/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


def mirror() -> str:
    """The mirror that the roles' images are pulled from; "" for none."""
    prefix = os.environ.get(MIRROR_VARIABLE, "").strip("/")
    if "://" in prefix:
        raise Failed(f"{MIRROR_VARIABLE} is {prefix!r}: write host and path without a scheme, as in an image's name.")
    return prefix


def allowed() -> tuple[str, ...]:
    """The origins that ORION_IMAGES allows: auto (all of them, in their order) or one alone."""
    choice = os.environ.get("ORION_IMAGES") or "auto"
    if choice not in ("auto", *ORIGINS):
        raise Failed(f"ORION_IMAGES is {choice!r}: write auto, {', '.join(ORIGINS[:-1])} or {ORIGINS[-1]}.")
    return ORIGINS if choice == "auto" else (choice,)


def demo() -> bool:
    """Whether the example system is wanted."""
    choice = os.environ.get(DEMO_VARIABLE) or "true"
    if choice not in ("true", "false"):
        raise Failed(f"{DEMO_VARIABLE} is {choice!r}: write true, which is the default, or false.")
    return choice == "true"


def find(artifacts: dict[str, Artifact], everything: bool) -> dict[str, Source]:
    """The source of each image by name, printed. Without everything, the second store only where the first is missing,
    and nothing that only the tests use. The example system's images are all in it or none.

    Errors: AirgapError for bad archives; Failed where an image has no origin.
    """
    wanted, origins = demo(), allowed()
    rows = images.load(artifacts).items()
    table = {name: image for name, image in rows if (wanted or not image.demo) and (everything or not image.tests)}
    chosen, archived = _choose(table, origins)
    found = {name: source for name, source in chosen.items() if source}
    if STORE in found and not everything:
        found.pop(OTHER_STORE, None)
    without_demo = _drop_demo(table, found) if wanted else ""
    for source in found.values():
        print(line(source), flush=True)
    for unused in images.unused(archived, table.values()):
        print(f"      {unused.path} is ignored: nothing here uses {' '.join(unused.refs)}")
    absent = [image for image in table.values() if image.name not in found and not image.demo]
    missing = [image for image in absent if not image.optional and image.name not in (STORE, OTHER_STORE)]
    if STORE not in found and OTHER_STORE not in found:
        missing += [table[STORE]]
    if missing:
        raise Failed(not_to_be_had(missing, origins))
    if STORE not in found:
        print(
            f"      no origin has {table[STORE].ref} (searched: {', '.join(origins)}; archives in {images.folder()}):\n"
            "      Jaeger is installed as the store instead. The proof then does not cover TraceQL and "
            "blocks in the\n      bucket. docs/airgap.md describes how to bring the image.",
            flush=True,
        )
        for other, ref in images.other_majors(archived, table[STORE]):
            difference = f"another major version than {table[STORE].ref}"
            print(f"      {other.path} holds {ref}, {difference}: it is not used as {STORE}")
    for image in absent:
        if image.optional:
            print(f"      no origin has {image.ref}: it is left out")
    if without_demo:
        print(f"      the example system is left out: {without_demo}", flush=True)
    return found


def _drop_demo(table: Mapping[str, Image], found: dict[str, Source]) -> str:
    """Removes the example system's images where it cannot run; returns the reason, "" where it can.

    With a mirror, all images of the roles are pulled from it, and nobody has put these there.
    """
    names = [name for name, image in table.items() if image.demo]
    missing = [table[name].ref for name in names if name not in found]
    reason = f"no origin has {', '.join(missing)}" if missing else ""
    built = any(found[name].origin == BUILD for name in names if name in found)
    if built and (platform.system(), architecture()) != ("Linux", "amd64"):
        reason = "images are built on Linux x86-64 only"
    if mirror() and any(source.origin == PULL for source in found.values()):
        reason = f"its images are not published, and all others are pulled from {mirror()}"
    if reason:
        for name in names:
            found.pop(name, None)
    return reason


def find_programs(artifacts: dict[str, Artifact]) -> dict[str, Source]:
    """The sources of the images whose programs the tests start, of those that have one."""
    table = images.load(artifacts)
    chosen, _archived = _choose({name: table[name] for name in PROGRAMS}, allowed())
    return {name: source for name, source in chosen.items() if source}


def _choose(
    table: Mapping[str, Image], origins: tuple[str, ...]
) -> tuple[dict[str, Source | None], list[ArchivedImage]]:
    """The source of each image, None where no origin has it, and the archived images that were read for it."""
    # kind pulls its own node, by a name that no variable changes
    mirrors = {name: "" if name == "node" else mirror() for name in table}
    wanted = {name: image.mirrored(mirrors[name]).partition("/")[0] for name, image in table.items()}
    hosts = set(wanted.values()) if PULL in origins else set()
    if origins != (PULL,):  # whoever asks for pull alone need not reach from here what the cluster reaches
        with concurrent.futures.ThreadPoolExecutor() as pool:
            hosts = {host for host, answers in zip(hosts, pool.map(registry_answers, hosts), strict=True) if answers}
    archived = []
    if ARCHIVE in origins and not set(wanted.values()) <= hosts:
        archived = images.read_folder(images.folder(), architecture())
    chosen = {name: images.choose(image, origins, hosts, archived, mirrors[name]) for name, image in table.items()}
    return chosen, archived


def line(source: Source) -> str:
    """'tempo 2.10.8 archive FILE': name, version, origin, and from where."""
    where = {PULL: source.ref.removesuffix(f":{source.tag}"), ARCHIVE: source.archived and source.archived.path}
    text = f"      {source.image.name:<16}{source.tag or 'of kind':<18}{source.origin:<9}"
    text += str(where.get(source.origin) or "packages")
    if source.other_version:
        text += f"\n{'':22}it holds {source.tag}, the inventory asks for {source.image.tag}: {source.tag} is used"
    return text


def not_to_be_had(missing: Iterable[Image], origins: tuple[str, ...]) -> str:
    lines = [f"These images are not to be had (searched: {', '.join(origins)}; archives in {images.folder()}):"]
    lines += [f"  {image.ref}: {images.how_to_bring(image, architecture())[0]}" for image in missing]
    lines += ["Save them into that folder, or unset ORION_IMAGES, so that every origin is tried."]
    return "\n".join(lines)


def program(source: Source) -> Path | None:
    """The program in an image, in the cache; None, said in one line, where this machine has no container engine that
    pulls a published image, and where an optional image cannot be pulled.

    Errors: Failed where another image cannot be pulled.
    """
    if source.origin == ARCHIVE:
        return images.program(source)
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        print(f"      there is no container engine here to pull {source.ref}, so its program is not available")
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.tar"
        for argv in (["pull", "--quiet", source.ref], ["save", "--output", str(file), source.ref]):
            done = subprocess.run([docker, *argv], capture_output=True, text=True, check=False)
            if not done.returncode:
                continue
            failed = f"'docker {' '.join(argv)}' failed: {done.stderr.strip()}"
            if not source.image.optional:
                raise Failed(failed)
            print(f"      {failed}: the tests with this program are not run")
            return None
        [image] = reader.read(file, architecture())
        return images.program(Source(source.image, ARCHIVE, source.ref, image))
