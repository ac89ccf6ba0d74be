"""Reads images.yml, the one list of what is built, and knows what each entry needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import AirgapError

HERE = Path(__file__).resolve().parent
TOOLCHAIN = "go"  # the entry whose output compiles every entry of kind "go"
# The entries that fetch and compile every entry of the kinds "maven" and "java"
JRE, MAVEN, COMPILER = "jre", "maven", "ecj"
POM, JARS = "pom.xml", "jars.lock"
NODE = "nodejs"  # the entry whose npm fetches every entry of kind "npm"
# The entry whose Python compiles every entry of kind "bytecode", and the folder that these have
PYTHON, BYTECODE = "python", "bytecode"
PACKAGE, LOCK = "package.json", "package-lock.json"

# What an entry of each kind may say, and must say. An unknown word is a typing error that would otherwise change
# nothing and be noticed by nobody.
KINDS: dict[str, tuple[set[str], set[str]]] = {
    "wheel": ({"package", "version", "sha256", "license"}, set()),
    "go": ({"folder", "package", "module", "version", "license"}, {"ldflags", "tool", "default"}),
    "link": ({"of", "version"}, {"tool"}),
    "debian": ({"packages", "suite", "license"}, {"version", "dependencies", "without", "exclude"}),
    "maven": ({"folder", "module", "version", "license"}, set()),
    "java": ({"folder", "libraries", "release", "version", "license"}, set()),
    "pypi": ({"requirements", "pythons", "libc", "package", "version", "license"}, {"folders"}),
    "npm": ({"folder", "package", "version", "license"}, {"exclude"}),
    "bytecode": ({"of", "version"}, set()),
    "image": ({"ref", "version", "layers", "config"}, {"default"}),
    "bundle": ({"images"}, {"splice"}),
}


@dataclass(frozen=True)
class Artifact:
    """One entry of images.yml."""

    name: str
    kind: str
    fields: dict[str, Any]
    folder: Path = HERE

    @property
    def version(self) -> str:
        return str(self.fields.get("version", ""))

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip()

    @property
    def ref(self) -> str | None:
        return self.fields.get("ref")

    @property
    def default(self) -> bool:
        return bool(self.fields.get("default", True))

    @property
    def delivered(self) -> str | None:
        """What this is to the user: an image, a tool, or only a step on the way (None)."""
        if self.kind == "image" or (self.kind == "bundle" and "splice" not in self.fields):
            return "image"
        return "tool" if self.fields.get("tool") else None

    @property
    def output(self) -> str:
        """The file or folder that `path` names, below the artefact's own folder."""
        if self.delivered == "image":
            return f"{self.name}.tar"
        folders = {"debian": "root", "maven": "jars", "java": "classes", "npm": "node_modules", "bytecode": BYTECODE}
        return {"go": self.name, "link": self.name, **folders}.get(self.kind, ".")

    @property
    def layers(self) -> list[dict[str, str]]:
        images = self.fields["images"] if self.kind == "bundle" else [self.fields] if self.kind == "image" else []
        return [layer for image in images for layer in image["layers"]]

    @property
    def folders(self) -> dict[str, str]:
        """Of kind pypi: pattern of a package's name → the folder that it is unpacked into."""
        return dict(self.fields.get("folders", {"*": "site"}))

    @property
    def needs(self) -> list[str]:
        """Names of the artefacts that this one is made from."""
        needed = {
            "go": [TOOLCHAIN],
            "maven": [JRE, MAVEN],
            "java": [JRE, COMPILER],
            "npm": [NODE],
            "bytecode": [PYTHON],
        }.get(self.kind, [])
        needed = needed + ([self.fields["libraries"]] if self.kind == "java" else [])
        sources = [self.fields["of"]] if self.kind == "link" else []
        sources += list(self.fields["of"].values()) if self.kind == "bytecode" else []
        sources += [source for layer in self.layers for source in layer.values()]
        needed += [owner for owner, _path in map(split_source, sources) if owner]
        return sorted(set(needed))

    @property
    def local_files(self) -> list[Path]:
        """Files of this checkout that decide what comes out."""
        if self.kind == "go":
            return sorted(path for path in (self.folder / "go" / self.fields["folder"]).iterdir() if path.is_file())
        if self.kind == "maven":
            return [self.folder / self.fields["folder"] / name for name in (JARS, POM)]
        if self.kind == "java":
            source = self.folder / self.fields["folder"] / "src/main"
            return sorted(path for path in source.rglob("*") if path.is_file())
        if self.kind == "pypi":
            return [self.folder / self.fields["requirements"]]
        if self.kind == "npm":
            return [self.folder / self.fields["folder"] / name for name in (PACKAGE, LOCK)]
        sources = {source for layer in self.layers for source in layer.values()}
        return [path for source in sorted(sources) if is_local(source) for path in files(self.folder / source)]


def archive_of(name: str, artifacts: dict[str, Artifact]) -> str:
    """Name of the entry whose archive has the image of this entry: a bundle that it is in, else the entry itself."""
    for other in artifacts.values():
        images = other.fields["images"] if other.kind == "bundle" and other.delivered else []
        if any(image["ref"] == artifacts[name].ref for image in images):
            return other.name
    return name


def files(path: Path) -> list[Path]:
    """A file, or all files of a tree but what Python leaves in it."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def license_of(name: str, artifacts: dict[str, Artifact]) -> str:
    """The SPDX expression of an artefact: its own, or all of what it is made from, joined with AND. The compiler is no
    part of what it compiles.

    Source: https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/
    """
    return " AND ".join(sorted(_license_terms(name, artifacts)))


def identifiers(expression: str) -> set[str]:
    """The licences and exceptions that an SPDX expression names."""
    return set(re.split(r" AND | OR | WITH |[()]", expression)) - {""}


def check_licenses(artifact: Artifact, packages: Iterable[tuple[str, str]]) -> None:
    """Rejects packages whose licences the entry does not name. packages: name and version, SPDX expression."""
    named = identifiers(artifact.fields["license"])
    other = [f"{package} is under {terms}" for package, terms in packages if not identifiers(terms) <= named]
    if other:
        raise AirgapError(
            f"images.yml: {artifact.name}: license does not name all licences: {'; '.join(other)}; if the package may "
            "be used, add its licence there"
        )


def _license_terms(name: str, artifacts: dict[str, Artifact]) -> set[str]:
    own = artifacts[name].fields.get("license")
    if own:
        return set(re.split(r"\s+AND\s+(?![^(]*\))", own))
    return {term for needed in artifacts[name].needs for term in _license_terms(needed, artifacts)}


def split_source(source: str) -> tuple[str | None, str]:
    """'kube:kube' → ('kube', 'kube'); a local file, a link or a mode belongs to no artefact."""
    if source.startswith("->") or ":" not in source:
        return None, source
    owner, path = source.split(":", 1)
    return owner, path


def is_local(source: str) -> bool:
    return split_source(source)[0] is None and not source.startswith("->") and not source.isdigit()


def load(path: Path = HERE / "images.yml") -> dict[str, Artifact]:
    """All artefacts by name, in the file's order, checked."""
    document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    entries = document["artifacts"]
    artifacts = {
        name: Artifact(name, str(entry.get("kind")), {k: v for k, v in entry.items() if k != "kind"}, path.parent)
        for name, entry in entries.items()
    }
    for artifact in artifacts.values():
        _fill(artifact, artifacts)
    for artifact in artifacts.values():
        check(artifact, artifacts)
    return artifacts


def _fill(artifact: Artifact, artifacts: dict[str, Artifact]) -> None:
    """Puts the images that a bundle only names into it."""
    for place, image in enumerate(artifact.fields.get("images", []) if artifact.kind == "bundle" else []):
        if isinstance(image, str):
            if image not in artifacts or artifacts[image].kind != "image":
                raise AirgapError(f"images.yml: {artifact.name}: images: {image!r} is not an entry of kind image")
            artifact.fields["images"][place] = {
                key: artifacts[image].fields[key] for key in ("ref", "layers", "config")
            }


def check(artifact: Artifact, artifacts: dict[str, Artifact]) -> None:
    """Rejects an entry that could only fail later, or that calls itself what it is not."""
    required, optional = KINDS.get(artifact.kind, (set(), set()))
    if not required:
        raise AirgapError(f"images.yml: {artifact.name}: kind {artifact.kind!r} is not one of {', '.join(KINDS)}")
    missing, unknown = required - artifact.fields.keys(), artifact.fields.keys() - required - optional
    if missing or unknown:
        words = [f"missing {word}" for word in sorted(missing)] + [f"unknown {word}" for word in sorted(unknown)]
        raise AirgapError(f"images.yml: {artifact.name} ({artifact.kind}): {', '.join(words)}")
    for needed in artifact.needs:
        if needed not in artifacts:
            raise AirgapError(f"images.yml: {artifact.name} needs {needed!r}, which no entry has as its name")
    if artifact.kind == "go":
        check_module(artifact)
    if artifact.kind == "maven":
        check_jar(artifact)
    if artifact.kind == "pypi":
        check_wheel(artifact)
    if artifact.kind == "npm":
        check_package(artifact)


def check_module(artifact: Artifact) -> None:
    """The version that an entry claims has to be the one that its go.mod pins."""
    module, _at, version = artifact.fields["module"].partition("@")
    go_mod = artifact.folder / "go" / artifact.fields["folder"] / "go.mod"
    if not go_mod.is_file():
        raise AirgapError(f"images.yml: {artifact.name}: {go_mod} does not exist; write it as docs/airgap.md says")
    pin = re.compile(rf"^(require)?\s*{re.escape(module)} {re.escape(version)}\s", re.MULTILINE)
    if version and not pin.search(go_mod.read_text()):
        raise AirgapError(
            f"images.yml says {artifact.name} is {module} {version}, its go.mod does not; change one to match the other"
        )


def check_jar(artifact: Artifact) -> None:
    """The version that an entry claims has to be the one that its jars.lock pins."""
    group, name = artifact.fields["module"].split(":")
    pins = pinned(artifact, artifact.folder / artifact.fields["folder"] / JARS)
    if f"  {group.replace('.', '/')}/{name}/{artifact.version}/" not in pins:
        raise AirgapError(
            f"images.yml says {artifact.name} is {artifact.fields['module']} {artifact.version}, its {JARS} does not; "
            "change one to match the other"
        )


def check_wheel(artifact: Artifact) -> None:
    """The version that an entry claims has to be the one that its requirements file pins."""
    package, requirements = artifact.fields["package"], artifact.folder / artifact.fields["requirements"]
    if artifact.fields["libc"] not in ("glibc", "musl"):
        raise AirgapError(f"images.yml: {artifact.name}: libc is {artifact.fields['libc']!r}: write glibc or musl")
    pins = pinned(artifact, requirements)
    if not re.search(rf"^{re.escape(package)}=={re.escape(artifact.version)}\s", pins, re.MULTILINE):
        raise AirgapError(
            f"images.yml says {artifact.name} is {package} {artifact.version}, {requirements.name} does not; change "
            "one to match the other"
        )


def check_package(artifact: Artifact) -> None:
    """The version that an entry claims has to be the one that its package-lock.json pins."""
    package = artifact.fields["package"]
    pins = json.loads(pinned(artifact, artifact.folder / artifact.fields["folder"] / LOCK))["packages"]
    version = pins.get(f"node_modules/{package}", {}).get("version")
    if version != artifact.version:
        raise AirgapError(
            f"images.yml says {artifact.name} is {package} {artifact.version}, its {LOCK} says {version}; change one "
            "to match the other"
        )


def pinned(artifact: Artifact, path: Path) -> str:
    """The text of the file that pins what an entry brings in."""
    if not path.is_file():
        raise AirgapError(f"images.yml: {artifact.name}: {path} does not exist; write it as docs/airgap.md says")
    return path.read_text()
