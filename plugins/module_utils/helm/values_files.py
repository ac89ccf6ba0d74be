# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Files of values, merged as helm does with several C(--values).

Mappings are merged by key at every depth, everything else (lists too) is replaced by what comes later, and a null stays
a null: Helm removes the chart's default for it. Source: helm.sh/helm/v4 pkg/cli/values/options.go, MergeMaps and
LoadValues of pkg/chart/v2/loader/load.go (Helm 3: mergeMaps of pkg/cli/values/options.go), and for the types
sigs.k8s.io/yaml, which turns every key into text.

Several documents in one file are merged in their order, as Helm 4 does; Helm 3 would drop all but the first without
a word.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents

VAULT = b"$ANSIBLE_VAULT;"


def merge(files: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """The values of the files (paths; later ones win), under those of the option values. {} where there are none.

    InvalidInput for a file that cannot be read, is not YAML or is not a mapping; it names the file and the line.
    """
    merged: dict[str, Any] = {}
    for name in files:
        for document in _documents(name):
            merged = overlay(merged, document)
    return overlay(merged, values)


def _documents(name: str) -> list[dict[str, Any]]:
    wrong = f"values_files: {name}"
    if "://" in name:
        raise InvalidInput(f"{wrong} is a URL", "values are read from files only", "Download it, and give its path.")
    try:
        data = Path(name).expanduser().read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{wrong} cannot be read", error.strerror or str(error), "Give a file on the host the module runs on."
        ) from error
    if data.startswith(VAULT):
        raise InvalidInput(
            f"{wrong} is encrypted with ansible-vault",
            "a module cannot decrypt it",
            "Load it with vars_files or include_vars, and pass the variable as values.",
        )
    try:
        found = documents.load_all(data)
    except ValueError as error:
        raise InvalidInput(f"{wrong}{_line(error, data)} is not YAML", _problem(error), "Correct the file.") from error
    for number, document in enumerate(found, 1):
        if document is not None and not isinstance(document, dict):
            which = f", document {number}," if len(found) > 1 else ""
            raise InvalidInput(
                f"{wrong}{which} is not a mapping", f"it is of the type {_kind(document)}", "Write key: value pairs."
            )
    try:
        return [_json(document) for document in found if document is not None]
    except ValueError as error:
        raise InvalidInput(f"{wrong} holds a value that Helm refuses", str(error), "Write it as a string.") from error


def _json(value: Any) -> Any:
    """The value, when JSON can hold it; ValueError otherwise."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is infinite or not a number")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"a value has the YAML type {_kind(value)}")


def _kind(value: Any) -> str:
    return {"str": "text"}.get(type(value).__name__, type(value).__name__)


def _line(error: ValueError, data: bytes) -> str:
    mark, position = (getattr(error.__cause__, name, None) for name in ("problem_mark", "position"))
    if mark:
        return f", line {mark.line + 1}, column {mark.column + 1},"
    return "" if position is None else f", line {data[:position].count(b'\n') + 1},"


def _problem(error: ValueError) -> str:
    """PyYAML's own words without the text of the file, which may be secret."""
    cause = error.__cause__
    return str(getattr(cause, "problem", None) or getattr(cause, "reason", None) or "it cannot be parsed")
