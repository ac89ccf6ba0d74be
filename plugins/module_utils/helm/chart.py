# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Charts, from disk and from a release record, in one comparable form.

Sources: helm.sh/helm/v4 pkg/chart/v2/loader/{load,directory,archive}.go, pkg/ignore/rules.go and
pkg/chart/v2/metadata.go (the same rules in v3). A release record holds a chart without its subcharts and without the
text of values.yaml (the parsed values only).
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents

BOM = b"\xef\xbb\xbf"
MAX_FILE = 5 * 1024 * 1024  # Helm refuses larger files in a chart
VALUES, SUBCHARTS, METADATA, SCHEMA, LOCK = "values.yaml", "charts/", "Chart.yaml", "values.schema.json", "Chart.lock"
# Parts in which a release record may differ from the chart on disk although nothing changed: values are compared as
# two YAML parsers read them, and subcharts are not in the record. Rendering decides.
UNCERTAIN = frozenset({VALUES, SUBCHARTS})
# Helm drops other fields of Chart.yaml.
FIELDS = frozenset(
    {"apiVersion", "name", "version", "kubeVersion", "description", "type", "keywords", "home", "sources"}
    | {"dependencies", "maintainers", "icon", "appVersion", "deprecated", "annotations", "condition", "tags"}
)


@dataclass(frozen=True)
class Chart:
    """metadata: Chart.yaml; files: everything else that Helm stores, by path; values: parsed values.yaml.

    raw: all files of the chart by path, as they lie on disk (empty for a chart of a release record). path: of the
    directory or package it was read from, "" for none.
    """

    metadata: dict[str, Any]
    files: dict[str, bytes]
    values: dict[str, Any]
    lock: dict[str, Any]
    raw: dict[str, bytes]
    path: str = ""

    @property
    def crds(self) -> dict[str, bytes]:
        """Files with CustomResourceDefinitions, which Helm installs before everything else and never updates."""
        return {name: data for name, data in self.files.items() if name.startswith("crds/") and _yaml_name(name)}

    @property
    def has_subcharts(self) -> bool:
        return any(name.startswith(SUBCHARTS) for name in self.raw) or bool(self.metadata.get("dependencies"))


def load(reference: str) -> Chart:
    """Read a chart from a directory or a packaged archive (.tgz). InvalidInput where there is none."""
    if "://" in reference:
        raise InvalidInput(
            f"chart_ref {reference} is a URL",
            "only a path can be read as it is",
            "For a chart repository, set chart_repo_url to its URL and chart_ref to the chart's name.",
        )
    path = Path(reference).expanduser()
    if not path.exists():
        raise InvalidInput(
            f"chart_ref {reference} does not exist",
            "without chart_repo_url, it is the path of a chart",
            "Give the path of a chart directory or of a .tgz file, an oci:// reference, or set chart_repo_url.",
        )
    try:
        return replace(of_files(_directory(path) if path.is_dir() else _archive(path)), path=str(path))
    except (ValueError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise InvalidInput(f"the chart {reference} cannot be read", str(error), "Check it with helm lint.") from error


def of_files(raw: dict[str, bytes]) -> Chart:
    """A chart of its files by path. ValueError where Chart.yaml is missing or a file is not what it should be."""
    if METADATA not in raw:
        raise ValueError("Chart.yaml is missing")
    parsed = {name: _mapping(name, raw.get(name, b"")) for name in (METADATA, VALUES, LOCK)}
    if not parsed[METADATA].get("name"):
        raise ValueError("Chart.yaml: name is missing")
    files = {
        name: data
        for name, data in raw.items()
        if name not in parsed and (not name.startswith(SUBCHARTS) or name.endswith(".prov"))
    }
    return Chart(_metadata(parsed[METADATA]), files, parsed[VALUES], parsed[LOCK], raw)


def of_release(document: dict[str, Any]) -> Chart:
    """The chart inside a release record."""
    files = {
        file["name"]: base64.b64decode(file.get("data") or "")
        for part in ("templates", "files")
        for file in document.get(part) or []
    }
    if document.get("schema"):
        files[SCHEMA] = base64.b64decode(document["schema"])
    return Chart(
        _metadata(document.get("metadata") or {}), files, document.get("values") or {}, document.get("lock") or {}, {}
    )


def record_of(chart: Chart, values: dict[str, Any], manifest: str) -> dict[str, Any]:
    """The record that Helm would store, near enough to weigh it, for charts rendered without a dry run."""
    return {
        "config": values,
        "manifest": manifest,
        "chart": {
            "metadata": chart.metadata,
            "values": chart.values,
            "files": [{"name": name, "data": base64.b64encode(data).decode()} for name, data in chart.files.items()],
        },
    }


def content_digest(chart: Chart) -> str:
    """SHA-224 in hexadecimal over all files of the chart as they lie on disk, subcharts included, whatever their order
    or packaging. It fits a label's value (63 characters) beside a revision, which a SHA-256 would not."""
    total = hashlib.sha224()
    for name, data in sorted(chart.raw.items()):
        total.update(f"{len(name.encode())}:{name}{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()


def differences(stored: Chart, wanted: Chart) -> set[str]:
    """Paths of the files in which the chart on disk differs from the one of a release record."""
    names = {
        name for name in stored.files.keys() | wanted.files.keys() if stored.files.get(name) != wanted.files.get(name)
    }
    # Helm rewrites the list of dependencies (enabled, alias) when it installs: subcharts are compared by rendering.
    if _identity(stored) != _identity(wanted):
        names.add(METADATA)
    if stored.lock.get("digest") != wanted.lock.get("digest"):
        names.add(LOCK)
    if documents.canonical(documents.as_float64(stored.values)) != documents.canonical(
        documents.as_float64(wanted.values)
    ):
        names.add(VALUES)
    if wanted.has_subcharts or stored.metadata.get("dependencies"):
        names.add(SUBCHARTS)
    return names


def archive(chart: Chart, extra: dict[str, bytes]) -> bytes:
    """A packaged chart of the same files and some more."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as package:
        for name, data in {**chart.raw, **extra}.items():
            member = tarfile.TarInfo(f"{chart.metadata['name']}/{name}")
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def ignore_rules(text: str) -> Callable[[str, bool], bool]:
    """The matcher for a .helmignore file: (path relative to the chart, whether it is a directory) → ignored.

    Helm's own semantics: rules in order, the first match decides; a rule with ! ignores everything that it does not
    match. ValueError for patterns that Helm refuses.
    """
    rules: list[tuple[bool, bool, bool, re.Pattern[str]]] = []
    for line in [*text.removeprefix("\ufeff").splitlines(), "templates/.?*"]:
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        if "**" in rule:
            raise ValueError(f".helmignore: {rule}: double-star (**) syntax is not supported")
        negate, rule = rule.startswith("!"), rule.removeprefix("!")
        only_directories, rule = rule.endswith("/"), rule.removesuffix("/")
        whole_path, rule = "/" in rule, rule.removeprefix("/")
        rules.append((negate, only_directories, whole_path, _glob(rule)))

    def ignored(path: str, directory: bool) -> bool:
        for negate, only_directories, whole_path, pattern in rules:
            subject = path if whole_path else PurePosixPath(path).name
            matches = bool(pattern.fullmatch(subject))
            if negate:
                if (only_directories and not directory) or not matches:
                    return True
            elif matches and (directory or not only_directories):
                return True
        return False

    return ignored


def _glob(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match: * and ? do not cross a slash, [^a-z] negates, a backslash escapes."""
    out, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise ValueError(f".helmignore: {pattern}: syntax error in pattern")
            out += "[" + pattern[position:end] + "]"
            position = end + 1
        elif char == "\\" and position < len(pattern):
            out += re.escape(pattern[position])
            position += 1
        else:
            out += re.escape(char)
    return re.compile(out, re.DOTALL)


def _directory(top: Path) -> dict[str, bytes]:
    if not (top / METADATA).is_file():
        raise ValueError("it has no Chart.yaml")  # before walking through whatever this folder is
    ignore_file = top / ".helmignore"
    ignored = ignore_rules(ignore_file.read_text("utf-8") if ignore_file.is_file() else "")
    found: dict[str, bytes] = {}
    for folder, folders, names in os.walk(top, followlinks=True):
        below = Path(folder).relative_to(top).as_posix()
        prefix = "" if below == "." else below + "/"
        folders[:] = sorted(name for name in folders if not ignored(prefix + name, True))
        for name in sorted(names):
            path = Path(folder) / name
            if ignored(prefix + name, False):
                continue
            if not path.is_file():
                raise ValueError(f"{prefix}{name} is not a regular file")
            _check_size(prefix + name, path.stat().st_size)
            found[prefix + name] = path.read_bytes().removeprefix(BOM)
    return found


def _archive(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file:
        return unpack(file)


def unpack(file: IO[bytes]) -> dict[str, bytes]:
    """The files of a packaged chart by path, below the chart's own folder. ValueError or TarError where it is none."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=file, mode="r:gz") as package:
        for member in package:
            if not member.isreg():
                continue
            name = str(PurePosixPath(*PurePosixPath(member.name.replace("\\", "/")).parts[1:]))
            if name == "." or ".." in PurePosixPath(name).parts or name.startswith("/"):
                raise ValueError(f"{member.name} lies outside the chart's directory")
            _check_size(name, member.size)
            content = package.extractfile(member)
            found[name] = (content.read() if content else b"").removeprefix(BOM)
    return found


def _check_size(name: str, size: int) -> None:
    if size > MAX_FILE:
        raise ValueError(f"{name} is larger than {MAX_FILE} bytes")


def _yaml_name(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json"))


def _mapping(name: str, data: bytes) -> dict[str, Any]:
    value = documents.load(data)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a mapping")
    return value


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    """Chart.yaml as Helm keeps it: fields of text are text, white space is blanks, empty fields are left out."""
    known = {key: _clean(item) for key, item in {"apiVersion": "v1", **value}.items() if key in FIELDS}
    if isinstance(known.get("annotations"), dict):
        known["annotations"] = {
            key: str(item).lower() if isinstance(item, bool) else item for key, item in known["annotations"].items()
        }
    return {key: item for key, item in known.items() if item not in ("", [], {}, None, False)}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return "".join(" " if char.isspace() else char for char in value if char.isspace() or char.isprintable())
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _identity(chart: Chart) -> str:
    return documents.canonical({name: value for name, value in chart.metadata.items() if name != "dependencies"})
