# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The custom resource definitions in a chart's crds folder, and in those of its subcharts.

Helm installs them with the first revision, where they are missing, and never again. Which subcharts take part is
decided by conditions and tags. Source: helm.sh/helm/v4 pkg/chart/v2/util/dependencies.go, CRDObjects of
pkg/chart/v2/chart.go and pkg/action/install.go (the same in v3).
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import render
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import CRD, Key, Objects
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

if TYPE_CHECKING:
    from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import Difference

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Crds:
    """chart: the definitions of the chart; live: those of the cluster, by name."""

    chart: Objects = field(default_factory=dict)
    live: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def missing(self) -> dict[Key, dict[str, Any]]:
        return {key: document for key, document in self.chart.items() if key.name not in self.live}

    @property
    def outdated(self) -> dict[Key, tuple[Difference, ...]]:
        """Those that the cluster has otherwise than the chart, with the fields that differ."""
        from ansible_collections.orion.tracing.plugins.module_utils.helm.fields import subset_differences

        found = {
            key: tuple(subset_differences(document, self.live[key.name]))
            for key, document in self.chart.items()
            if key.name in self.live
        }
        return {key: differences for key, differences in found.items() if differences}


def of_chart(chart: Chart, values: Mapping[str, Any]) -> dict[Key, dict[str, Any]]:
    """The definitions that belong to a chart with these values of the user's."""
    found: dict[Key, dict[str, Any]] = {}
    for data in _files(chart, values):
        for key, document in render.parse(data.decode("utf-8", "replace"), CRD).items():
            # Written by the API server; old generators put empty ones into the file.
            metadata = {name: item for name, item in document["metadata"].items() if name != "creationTimestamp"}
            plain = {name: item for name, item in document.items() if name != "status"}
            found.setdefault(key, {**plain, "metadata": metadata})
    return found


def versions(objects: Objects) -> list[str]:
    """What these definitions will serve when templates are rendered, as helm's --api-versions takes it."""
    found: list[str] = []
    for document in objects.values():
        spec = document.get("spec") or {}
        for version in spec.get("versions") or []:
            prefix = f"{spec.get('group')}/{version.get('name')}"
            found += [prefix, f"{prefix}/{(spec.get('names') or {}).get('kind')}"]
    return found


def read(kube: Kube, wanted: Objects, required: bool) -> Crds:
    """One list. Where it may not be read and is not required, all definitions count as missing."""
    if not wanted:
        return Crds()
    try:
        return Crds(wanted, {item["metadata"]["name"]: item for item in kube.list(PATH)})
    except PermissionDenied:
        if required:
            raise
        return Crds(wanted)


def changes(
    found: Crds, apply: Mapping[Key, dict[str, Any]], mask: Mask
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Entries for the result and for Ansible's diff, as render.changes() gives them. apply: those that are written."""
    from ansible_collections.orion.tracing.plugins.module_utils.helm import drift

    objects: list[dict[str, str]] = []
    diff: list[dict[str, str]] = []
    outdated = found.outdated
    for key, document in apply.items():
        action = "update" if key in outdated else "create"
        item = drift.Drifted(
            key,
            drift.CHANGED if key in outdated else drift.MISSING,
            document,
            differences=outdated.get(key, ()),
        )
        header = f"{key.kind} {key.name} (CRD, server-side apply)"
        diff += [
            {**entry, "before_header": header, "after_header": header} for entry in drift.diff_entries([item], mask)
        ]
        objects.append({**render.entry(key, document, ""), "action": action})
    return objects, diff


def apply(kube: Kube, document: dict[str, Any], seconds: float) -> None:
    """Server-side apply of one definition; TimedOut where it is not served within so many seconds."""
    path = f"{PATH}/{quote(document['metadata']['name'])}"
    deadline = time.monotonic() + seconds
    answer = kube.apply(path, document)
    while not _established(answer):
        if time.monotonic() > deadline:
            raise TimedOut(f"CRD {document['metadata']['name']} is not established", _why(answer), "Raise timeout.")
        time.sleep(PAUSE_SECONDS)
        answer = kube.get(path) or {}


def _established(document: Mapping[str, Any]) -> bool:
    conditions = (document.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Established" and item.get("status") == "True" for item in conditions)


def _why(document: Mapping[str, Any]) -> str:
    conditions = (document.get("status") or {}).get("conditions") or []
    return "; ".join(str(item.get("message")) for item in conditions if item.get("status") == "False")


def _files(chart: Chart, values: Mapping[str, Any]) -> Iterator[bytes]:
    yield from chart.crds.values()
    given = overlay(chart.values, values)
    dependencies = chart.metadata.get("dependencies") or []
    for subchart in _subcharts(chart.raw):
        name = str(subchart.metadata.get("name"))
        uses = [item for item in dependencies if isinstance(item, dict) and item.get("name") == name]
        # A chart that lies in the folder without being declared takes part, too.
        for alias in [str(item.get("alias") or name) for item in uses if _enabled(item, given)] if uses else [name]:
            below = given.get(alias)
            yield from _files(subchart, below if isinstance(below, dict) else {})


def _subcharts(raw: Mapping[str, bytes]) -> Iterator[Chart]:
    """Charts of the folder charts, as folders or packaged. Names that begin with _ or . are left out, as Helm does."""
    folders: dict[str, dict[str, bytes]] = {}
    for name, data in raw.items():
        parts = PurePosixPath(name).parts
        if len(parts) < 2 or parts[0] != "charts" or parts[1].startswith(("_", ".")):
            continue
        if len(parts) > 2:
            folders.setdefault(parts[1], {})["/".join(parts[2:])] = data
        elif name.endswith(".tgz"):
            folders[parts[1]] = charts.unpack(io.BytesIO(data))
    for files in folders.values():
        if charts.METADATA in files:
            yield charts.of_files(files)


def _enabled(dependency: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Helm's rule: the first of the conditions that names a boolean decides, else the tags, else it is enabled."""
    for path in str(dependency.get("condition") or "").split(","):
        found: Any = values
        for part in path.strip().split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, bool):
            return found
    tags = values.get("tags")
    said = [tags.get(name) for name in dependency.get("tags") or []] if isinstance(tags, dict) else []
    return True in said or False not in said
